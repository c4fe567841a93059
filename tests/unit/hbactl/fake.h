/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A made-up machine below hbactl: everything it does is written down, and any step can be made to fail. */
#ifndef HBAD_TESTS_HBACTL_FAKE_H
#define HBAD_TESTS_HBACTL_FAKE_H

#include "hbactl/hbactl.h"

#define HBA_ADDR   "0000:03:00.0"
#define OTHER_ADDR "0000:04:00.0"

struct fake {
	struct ctl ctl;
	char dir[64];	 /* configuration folder, real */
	char *out, *err; /* what was printed, after fake_run() */
	size_t out_len, err_len;

	GString *log;		  /* one line per call that changes something: "bind 0000:03:00.0" */
	const char *fail_on;	  /* a call whose line begins so fails */
	unsigned interrupt_after; /* so many things were done, from 1; 0: never */
	bool unprivileged;

	/* PCI */
	struct pci_candidate hba[2];
	unsigned n_hba;
	struct pci_disk disks[2];
	unsigned disks_after; /* disks of hba[0] appear after so many looks at it after unbinding */
	const char *group_other_driver;
	bool in_use;
	bool nobody_wants_it;	/* unbinding works, but no kernel driver binds */
	unsigned bind_failures; /* so many binds fail before one works */

	/* systemd and hbad */
	bool unit_active, unit_enabled;
	const char *unit_show;	 /* canned "systemctl show"; NULL: from the two above */
	const char *status;	 /* canned reply; NULL: does not answer */
	unsigned status_after;	 /* calls that are not answered before that */
	const char *boot_status; /* answered before status_after calls are over, if set */
	const char *upgrade;	 /* canned reply to "upgrade"; NULL: it refuses */

	const char *const
		*events; /* canned replies to "events", the last again and again; "": it does not answer */
	unsigned events_asked, events_until; /* interrupted after so many */
	int64_t since[16];		     /* what was asked for */

	/* LIO */
	const char *const *backstores; /* NULL: none */
	int backstores_ret;
	int guard_ret;
	unsigned guarded;

	struct pci_dev *pci; /* what is opened; NULL: that fails */

	uint64_t now_ns;
};

extern struct fake *fake; /* the one in use: ops have no argument for it */

void fake_setup(
	void); /* one supported HBA with two free disks; nothing attached; for tcase_add_checked_fixture() */
void fake_teardown(void);
/* Runs "hbactl ARGS" (blank separated) and returns its exit status. */
int fake_run(const char *args);
void fake_write_config(const char *name, const char *device);
bool fake_has_config(const char *name);

/* "booting", and "ready" with one exportable unit, one that cannot be, and one exported 4Kn unit. */
extern const char fake_booting[], fake_ready[];

#define ck_has(text, part)   ck_assert_msg(strstr(text, part) != NULL, "'%s' is not in:\n%s", part, text)
#define ck_hasnt(text, part) ck_assert_msg(strstr(text, part) == NULL, "'%s' is in:\n%s", part, text)

#endif
