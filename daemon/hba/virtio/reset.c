/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reset of the device while running: a step machine that never blocks. The device ends all commands before it shows
 * status 0; then everything is set up anew with empty queues, and the core re-issues.
 */
#include "vio.h"

#include <errno.h>

enum reset_phase { RESET_BEGIN, RESET_WAIT };

#define LOOK_NS (2 * NS_PER_MS)

static int begin(struct vio *v, unsigned *phase, uint64_t now, uint64_t *next)
{
	if (vio_status(v) == VIO_ST_ALL_ONES)
		return -ENODEV;
	/* What the device has answered need not run again. The other lanes have looked before they were halted. */
	vio_drain(v);
	vio_reset_ask(v);
	v->reset_until_ns = now + v->times->reset * NS_PER_MS;
	*phase = RESET_WAIT;
	*next = now;
	return 1;
}

static int set_up(struct vio *v)
{
	struct err e = {""};
	int r = vio_negotiate(v, &e);

	if (r == 0)
		r = vio_config_read(v, &e);
	if (r == 0)
		r = vio_run(v, &e);
	if (r < 0) {
		log_err("%s: after its reset: %s", v->h->pci->uri, e.text);
		return r;
	}
	for (unsigned i = 0; i < v->h->n_units; i++)
		__atomic_store_n(&v->addr[i].expect_ua, true, __ATOMIC_RELAXED);
	vio_units_doubt(v);
	/* Its interrupt may have come, and been left alone, while the device was frozen. */
	if (v->irq == PCI_IRQ_INTX)
		v->h->pci->ops->intx_unmask(v->h->pci);
	return 0;
}

static int wait_end(struct vio *v, uint64_t now, uint64_t *next)
{
	int r = vio_reset_look(v);

	if (r == 0)
		return set_up(v);
	if (r > 0 && now >= v->reset_until_ns) {
		log_err("%s: the device does not end its reset", v->h->pci->uri);
		return -EIO;
	}
	*next = now + LOOK_NS;
	return r;
}

int vio_reset_step(struct hba *h, unsigned *phase, uint64_t now, uint64_t *next)
{
	struct vio *v = vio_of(h);

	if (*phase == RESET_BEGIN)
		return begin(v, phase, now, next);
	return wait_end(v, now, next);
}
