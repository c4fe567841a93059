/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The configuration of one instance: /etc/hbad/NAME.conf, a GLib key file, read by hbad and written by
 * hbactl.
 *
 *   [controller]
 *   device=0000:03:00.0         required: a PCI address (domain:bus:device.function), or
 *                               vfio-user:PATH
 *   kernel_driver=megaraid_sas  who had it before "hbactl attach"; "hbactl detach" gives it back to
 *                               this driver. Left out or empty: any driver that wants it
 *   queue_depth=128             cap on commands at the controller, 1 to 4096; 0 or left out: what it
 *                               takes
 *   hold_s=0                    so long commands wait for a controller that is gone before they fail, 0 to
 *                               3600 s; 0 or left out: not at all. LUNs may say otherwise (hold= of their
 *                               cfgstring)
 *   io_threads=1                threads that carry commands, each with a reply queue of the controller and LUNs of its own,
 *                               1 to 8, or "auto": one for each processor, 8 at most; left out: 1. Controllers with fewer
 *                               reply queues get fewer
 *   bounce_mib=64               memory for data in flight, 8 to 1024 MiB; left out: 64
 *
 *   [log]
 *   level=info                  error, warning, info or debug; left out: info
 *   capture=/var/lib/hbad/x     all traffic with the controller goes into this file, for hba-emu --replay;
 *                               left out: none
 *
 * Unknown groups and keys, values out of range, and keys given twice are refused with the line and the
 * cure: a typing error in this file must not be found out at the next power cut.
 */
#ifndef HBAD_CONTROL_CONFIG_H
#define HBAD_CONTROL_CONFIG_H

#include <stdint.h>
#include "base/err.h"
#include "base/log.h"

#define CONFIG_DIR	       "/etc/hbad"
#define CONFIG_MAX_BYTES       65536
#define CONFIG_MAX_QUEUE_DEPTH 4096
#define CONFIG_MIN_BOUNCE_MIB  8
#define CONFIG_MAX_BOUNCE_MIB  1024
#define CONFIG_DEF_BOUNCE_MIB  64
#define CONFIG_MAX_HOLD_S      3600
#define CONFIG_MAX_IO_THREADS  8

struct config {
	char device[96];
	char kernel_driver[32];
	uint32_t queue_depth; /* 0: no cap */
	uint32_t bounce_mib;
	enum log_level log_level;
	char capture[128]; /* empty: none */
	uint32_t hold_s;
	uint32_t io_threads; /* 0: "auto" */
};

/* Every field at its default; device empty. */
void config_init(struct config *c);

/* How many I/O threads there may be: what io_threads says, or one for each processor. */
unsigned config_count_threads(const struct config *c);

/* Instance names: 1 to 32 of [a-z0-9_-], the first of [a-z0-9] (HANDOFF_NAME_MAX). -EINVAL with a sentence. */
int config_check_name(const char *name, struct err *e);

/* "DIR/NAME.conf"; dir NULL: CONFIG_DIR. name must be valid. -ENAMETOOLONG. */
int config_path(const char *dir, const char *name, char *ret, size_t size);

/* 0; -ENOENT, -EINVAL, -EFBIG or what open() says, always with a sentence that names file, line and cure.
 * *ret is untouched on failure. */
int config_load(const char *path, struct config *ret, struct err *e);

/* Checks as config_load() does, then writes a temporary file beside path (mode 0644: hbad is not root), syncs it, renames
 * it over path and syncs the folder, so that path is the old or the new file at every moment. The folder is made
 * (0755) when it is missing. */
int config_save(const char *path, const struct config *c, struct err *e);

/* A path of the command line, which may be relative: it is completed. -EINVAL. */
int config_set_capture(struct config *c, const char *path, struct err *e);

/* "error", "warning", "info", "debug". -EINVAL lists them. */
int config_parse_level(const char *text, enum log_level *ret, struct err *e);
const char *config_level_name(enum log_level level);

#endif
