/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hbactl, the command line tool: what its subcommands share. One file per subcommand; everything that touches
 * the machine goes through struct ctl_ops, so that tests can put a made-up machine below.
 */
#ifndef HBAD_HBACTL_HBACTL_H
#define HBAD_HBACTL_HBACTL_H

#include <glib.h>
#include <stdio.h>
#include "base/err.h"
#include "control/config.h"
#include "control/guard.h"
#include "control/proto.h"
#include "hba/hba.h"
#include "pci/pci.h"
#include "pci/sysfs.h"

enum ctl_exit { CTL_OK = 0, CTL_FAILED = 1, CTL_USAGE = 2 };

/* The machine. All Required. Signatures are those of the functions that production puts in. */
struct ctl_ops {
	int (*candidate_read)(const char *root, const char *addr, struct pci_candidate *ret, struct err *e);
	int (*candidates)(const char *root, struct pci_candidate **ret, unsigned *ret_n, struct err *e);
	int (*check_unused)(const char *root, const struct pci_candidate *c, struct err *e);
	int (*pci_open)(const char *uri, struct pci_dev **ret, struct err *e);
	int (*bind)(
		const char *root, const char *addr, pci_known_fn known, char ret_previous[32], struct err *e);
	int (*grant)(const char *root, const char *addr, const char *user, struct err *e);
	void (*revoke)(const char *root, const char *addr);
	int (*unbind)(
		const char *root, const char *addr, const char *previous, unsigned wait_s, struct err *e);
	/* Name of the generation, "SAS2108 (MegaRAID gen 2)", or NULL: hbad has no driver for it. */
	pci_known_fn supported;
	int (*config_save)(const char *path, const struct config *c, struct err *e);
	int (*config_remove)(const char *path, struct err *e);
	int (*call)(const char *runtime_dir, const char *name, const char *verb, unsigned timeout_ms,
		char **ret, struct err *e);
	int (*events)(const char *runtime_dir, const char *name, int64_t since, unsigned timeout_ms,
		char **ret, struct err *e);
	int (*guard)(const struct guard_config *cfg, struct guard_result *ret, struct err *e);
	/* Runs a program and waits. Exit status >= 0 with what it wrote to standard output (g_malloc, never
	 * NULL), -errno when it could not run. *e is what it wrote to standard error when the status is not
	 * 0. */
	int (*run)(const char *const *argv, char **ret_out, struct err *e);
	/* Names of the LIO backstores whose configuration begins with hba/NAME/; g_strfreev(). */
	int (*backstores)(const char *configfs, const char *name, char ***ret, struct err *e);
	void (*sleep_ms)(unsigned ms);
	uint64_t (*now_ns)(void);
	/* From the first call on ^C, SIGTERM and SIGHUP do not end the program but make this true. */
	bool (*interrupted)(void);
	bool (*privileged)(void); /* may change this machine's devices and units */
};

struct ctl {
	const struct ctl_ops *ops;
	FILE *out, *err;
	const char *sysfs_root; /* "" */
	const char *configfs;
	const char *config_dir;
	const char *runtime_dir;
};

struct ctl_command {
	const char *name;
	const char *summary; /* one line of "hbactl --help" */
	/* argv[0] is the command's name. enum ctl_exit. */
	int (*run)(struct ctl *c, int argc, char **argv);
	bool for_unit; /* listed apart: called by units */
};

extern const struct ctl_command cmd_attach, cmd_bind, cmd_candidates, cmd_detach, cmd_guard, cmd_list,
	cmd_monitor, cmd_probe, cmd_rescan, cmd_show, cmd_units, cmd_upgrade;

/* cli.c */
extern const struct ctl_command *const ctl_commands[]; /* ends with NULL */
int ctl_main(struct ctl *c, int argc, char **argv);
const struct ctl_command *ctl_find(const char *name);
/* Gives a function back to its kernel driver, and waits for that. An HBA that had none before (driver is empty) may
 * stay without. */
int ctl_unbind(struct ctl *c, const char *addr, const char *driver, struct err *e);

/* Prints "hbactl: SENTENCE" to standard error; returns CTL_FAILED. */
int ctl_fail(struct ctl *c, const char *fmt, ...) hb_printf(2, 3);
void ctl_warn(struct ctl *c, const char *fmt, ...) hb_printf(2, 3);
/* CTL_OK, or CTL_FAILED and the cure. */
int ctl_need_root(struct ctl *c, const char *command);
/* One attach or detach at a time: a descriptor that holds the lock until it is closed, or -errno. Makes the
 * configuration's folder when it is missing. */
int ctl_lock(struct ctl *c, struct err *e);

/* opts.c */
enum ctl_parse { CTL_PARSE_RUN, CTL_PARSE_EXIT };

struct ctl_syntax {
	const char *command;
	const char *operand;	     /* "NAME", or NULL: none is taken */
	const char *summary;	     /* sentences of --help */
	const GOptionEntry *entries; /* or NULL; "help" is added */
};

/* CTL_PARSE_RUN: go on; *ret_operand (if not NULL) points into argv. CTL_PARSE_EXIT: done, leave with
 * *ret_exit. Strings that options return are the caller's to g_free(). */
enum ctl_parse ctl_parse(struct ctl *c, const struct ctl_syntax *s, int argc, char **argv,
	const char **ret_operand, int *ret_exit);
int ctl_usage(struct ctl *c, const char *command, const char *fmt, ...) hb_printf(3, 4);
/* Checks an instance's name given by the user; CTL_OK or CTL_USAGE. */
int ctl_check_name(struct ctl *c, const char *command, const char *name);

/* suggest.c: the word of the list that was probably meant, or NULL. */
const char *ctl_suggest(const char *typed, const char *const *words);

#endif
