/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For tests of drivers that can leave a controller running: one process plays both, and systemd and the kernel in
 * between. Include after the driver's rig.h. */
#ifndef HBAD_TESTS_HBA_HANDOVER_H
#define HBAD_TESTS_HBA_HANDOVER_H

#include <errno.h>
#include <string.h>
#include <unistd.h>

static inline void left_close(struct hba_frozen *f)
{
	for (unsigned i = 0; i < HBA_FROZEN_ARENAS; i++) {
		if (f->arena[i].memfd > 0)
			close(f->arena[i].memfd);
		f->arena[i].memfd = -1;
	}
}

/* The first process's end. Descriptors in f are duplicates. */
static inline void rig_leave(struct rig *r, struct hba_frozen *f)
{
	ck_assert_int_eq(hba_drain(r->h, RIG_WAIT_MS), 0);
	ck_assert_msg(hba_freeze(r->h, f, &r->e) == 0, "%s", r->e.text);
	ck_assert_int_eq(hba_state(r->h), HBA_RUNNING);
	for (unsigned i = 0; i < f->n_arenas; i++)
		f->arena[i].memfd = dup(f->arena[i].memfd);
	ck_assert_ptr_eq(hba_leave(r->h), &r->fn->pci);
	r->open = r->started = false;
	fn_do_locked(r->fn, ck_assert(r->fn->bus_master && !r->fn->irq_on));
}

/* The second one's beginning. */
static inline int rig_adopt(struct rig *r, struct hba_frozen *f)
{
	int rc;

	ck_assert_int_eq(rig_create(r), 0);
	r->e.text[0] = '\0';
	rc = hba_adopt(r->h, f, &r->e);
	for (unsigned i = 0; i < HBA_FROZEN_ARENAS; i++)
		ck_assert_int_le(f->arena[i].memfd, 0);
	if (rc == 0)
		rc = hba_start(r->h, &r->e);
	r->started = rc == 0;
	return rc;
}

static inline void rig_must_adopt(struct rig *r, struct hba_frozen *f)
{
	int rc = rig_adopt(r, f);

	ck_assert_msg(rc == 0, "adopt: %d %s", rc, r->e.text);
}

/* It does not, says why, and closes the device, which is what resets it; then it is started as always. */
static inline void rig_must_not_adopt(struct rig *r, struct hba_frozen *f, const char *what)
{
	int rc = rig_adopt(r, f);

	ck_assert_msg(rc < 0, "%s was adopted", what);
	ck_assert_msg(r->e.text[0], "%s: no sentence", what);
	/* The kernel's part of closing: what another process has mapped goes with the container. */
	fn_do_locked(r->fn, memset(r->fn->map, 0, sizeof(r->fn->map)));
	pci_set_bus_master(&r->fn->pci, false);
	hba_close(r->h);
	r->open = false;
	rig_must_start(r);
}

static inline unsigned rig_maps(struct rig *r)
{
	unsigned n = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(r->fn->map); i++)
		n += r->fn->map[i].size != 0;
	return n;
}

#endif
