/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A controller brought up by the hba layer and its driver, with each library call and each call to the transport failing
 * once: the device is quiet, its interrupts are off, nothing of our memory stays mapped for it, and nothing is lost.
 * Built once for each driver: RIG_H is its rig, RIG_KIND what rig_new() chooses by (or undefined), RIG_KINDS of them;
 * RIG_HANDOVER: it can go on with a controller that runs; RIG_LANES: RIG_H has lanes_new(), and so many I/O threads. */
#include <errno.h>
#include <sys/mman.h>

#include RIG_H
#ifdef RIG_HANDOVER
#include "hba/handover.h"
#endif
#include "tests/unit/steps.h"
#include "tests/unit/run_suite.h"

#ifndef RIG_DISPENSABLE
#define RIG_DISPENSABLE NULL
#endif
#if defined(RIG_LANES) && defined(RIG_KIND)
#define NEW_RIG(i) lanes_new((enum RIG_KIND)(i), RIG_LANES)
#elif defined(RIG_LANES)
#define NEW_RIG(i) lanes_new(RIG_LANES)
#elif defined(RIG_KIND)
#define NEW_RIG(i) rig_new((enum RIG_KIND)(i))
#else
#define NEW_RIG(i) rig_new()
#endif

static const struct pci_ops *model_ops;
static struct pci_ops failing;
static int kind;

/* The model's own calls are no steps. */
#define MODEL(call)                                                                                          \
	({                                                                                                   \
		steps_pause(true);                                                                           \
		__typeof__(model_ops->call) _ret = model_ops->call;                                          \
		steps_pause(false);                                                                          \
		_ret;                                                                                        \
	})

static int s_cfg_read(struct pci_dev *pci, unsigned off, void *buf, unsigned len)
{
	return steps_fail_here("cfg_read", EIO) ? -EIO : MODEL(cfg_read(pci, off, buf, len));
}

static int s_cfg_write(struct pci_dev *pci, unsigned off, const void *buf, unsigned len)
{
	return steps_fail_here("cfg_write", EIO) ? -EIO : MODEL(cfg_write(pci, off, buf, len));
}

static int s_map_bar(struct pci_dev *pci, unsigned n, struct err *e)
{
	return steps_fail_here("map_bar", ENOMEM) ? err_set(e, -ENOMEM, "the BAR cannot be mapped")
						  : MODEL(map_bar(pci, n, e));
}

static int s_irq_enable(
	struct pci_dev *pci, enum pci_irq_kind irq, const int *eventfds, unsigned n, struct err *e)
{
	return steps_fail_here("irq_enable", ENOSPC) ? err_set(e, -ENOSPC, "there is no interrupt left")
						     : MODEL(irq_enable(pci, irq, eventfds, n, e));
}

static int s_dma_map(struct pci_dev *pci, void *va, uint64_t size, uint64_t iova, int memfd, uint64_t offset,
	struct err *e)
{
	return steps_fail_here("dma_map", ENOMEM) ? err_set(e, -ENOMEM, "the IOMMU does not map it")
						  : MODEL(dma_map(pci, va, size, iova, memfd, offset, e));
}

static uint32_t s_bar_read32(struct pci_dev *pci, unsigned n, uint64_t off)
{
	return MODEL(bar_read32(pci, n, off));
}

static uint32_t s_bar_read_part(struct pci_dev *pci, unsigned n, uint64_t off, unsigned len)
{
	return MODEL(bar_read_part(pci, n, off, len));
}

static void s_bar_write32(struct pci_dev *pci, unsigned n, uint64_t off, uint32_t val)
{
	steps_pause(true);
	model_ops->bar_write32(pci, n, off, val);
	steps_pause(false);
}

static void s_bar_write_part(struct pci_dev *pci, unsigned n, uint64_t off, uint32_t val, unsigned len)
{
	steps_pause(true);
	model_ops->bar_write_part(pci, n, off, val, len);
	steps_pause(false);
}

static struct rig *rig_failing(void)
{
	struct rig *r = NEW_RIG(kind);

	rig_make_lanes(r);
	model_ops = r->fn->pci.ops;
	failing = *model_ops;
	failing.cfg_read = s_cfg_read;
	failing.cfg_write = s_cfg_write;
	failing.map_bar = s_map_bar;
	failing.irq_enable = s_irq_enable;
	failing.dma_map = s_dma_map;
	failing.bar_read32 = s_bar_read32;
	failing.bar_write32 = s_bar_write32;
	failing.bar_read_part = model_ops->bar_read_part ? s_bar_read_part : NULL;
	failing.bar_write_part = model_ops->bar_write_part ? s_bar_write_part : NULL;
	r->fn->pci.ops = &failing;
	return r;
}

static int bring_up(struct err *e)
{
	struct rig *r;
	int rc;

	steps_pause(true);
	r = rig_failing();
	steps_pause(false);
	rc = rig_start(r);
	*e = r->e;
	steps_up();
	hba_close(r->open ? r->h : NULL);
	r->open = false;
	steps_pause(true);
	ck_assert(!r->fn->irq_on);
	ck_assert(!r->fn->bus_master);
	rig_down(r);
	steps_pause(false);
	return rc;
}

START_TEST(every_step_gives_everything_back)
{
	/* A loop that is not woken by a write looks again within a second. Of interrupts there are several kinds. */
	static const char *const dispensable[] = {"write", "irq_enable", RIG_DISPENSABLE, NULL};
	static const struct steps s = {.attempt = bring_up, .dispensable = dispensable, .at_least = 25};

	kind = _i;
	log_fd(); /* made once for the whole process, when there is something to say */
	steps_run(&s);
}
END_TEST

#ifdef RIG_HANDOVER
static int go_on(struct err *e)
{
	struct hba_frozen f;
	struct rig *r;
	int rc;

	steps_pause(true);
	r = rig_failing();
	rig_must_start(r);
	rig_leave(r, &f);
	steps_pause(false);
	rc = rig_create(r);
	if (rc == 0)
		rc = hba_adopt(r->h, &f, &r->e);
	if (rc == 0)
		rc = hba_start(r->h, &r->e);
	*e = r->e;
	steps_up();
	steps_pause(true);
	if (!r->open)
		left_close(&f);
	/* What the kernel does when the device is closed. */
	if (rc < 0) {
		fn_do_locked(r->fn, memset(r->fn->map, 0, sizeof(r->fn->map)));
		pci_set_bus_master(&r->fn->pci, false);
	}
	steps_pause(false);
	hba_close(r->open ? r->h : NULL);
	r->open = false;
	steps_pause(true);
	ck_assert(!r->fn->irq_on);
	ck_assert(!r->fn->bus_master);
	rig_down(r);
	steps_pause(false);
	return rc;
}

START_TEST(every_step_of_going_on_gives_everything_back)
{
	static const char *const dispensable[] = {"write", "irq_enable", RIG_DISPENSABLE, NULL};
	static const struct steps s = {.attempt = go_on, .dispensable = dispensable, .at_least = 25};

	kind = _i;
	log_fd();
	steps_run(&s);
}
END_TEST
#endif

int main(void)
{
	Suite *s = suite_create("hba steps");
	TCase *t = tcase_create("steps");

	tcase_set_timeout(t, 280);
	tcase_add_loop_test(t, every_step_gives_everything_back, 0, RIG_KINDS);
#ifdef RIG_HANDOVER
	tcase_add_loop_test(t, every_step_of_going_on_gives_everything_back, 0, RIG_KINDS);
#endif
	suite_add_tcase(s, t);
	return run_suite(s);
}
