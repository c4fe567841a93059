/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Accusys AME boxes: set-up, orderly end, families, and the ops table. */
#include "ame.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "box.h"

#define SEGMENT_BYTES  65536 /* what the vendor's driver runs with */
#define TRANSFER_BYTES (512 * 1024)

/* --- families [1] --- */

static const struct ame_times times = {
	.settle = 1000,
	.look = 100,
	.strict = 5000,
	.ready = 101000,
	.boot = 180000,
	.away = 60000,
	.linger = 5000,
	.exile = 60000,
	.pause = 60000,
	.inband = 60000,
	.retry = 1000,
	.polled = 30000,
	.health = 1000,
	.fast = 1,
	.slow = 200,
};

const struct ame_family ame_341 = {
	.name = "341",
	.bar = 0,
	.mask_all = AME_MASK_ALL_341,
	.mask_run = AME_MASK_RUN_341,
	.times = &times,
};

const struct ame_family ame_2208 = {
	.name = "2208",
	.bar = 1,
	.doorbells = true,
	.ask_room = true,
	.ring_frames = true,
	.sge16 = true,
	.mask_all = AME_MASK_ALL,
	.mask_run = AME_MASK_RUN,
	.times = &times,
};

const struct ame_family ame_3108 = {
	.name = "3108",
	.bar = 1,
	.doorbells = true,
	.ask_room = true,
	.sge16 = true,
	.mark_last = true,
	.mask_all = AME_MASK_ALL,
	.mask_run = AME_MASK_RUN,
	.times = &times,
};

/* --- attach --- */

/* One set of limits for all families [9], with addresses below 4 GiB: there it needs no upper half, and one personality
 * of the 3108 takes no wider ones for data. */
static void declare_limits(struct ame *a)
{
	a->h->limits = (struct hba_limits){
		.max_segments = HBA_MAX_SEGMENTS,
		.max_segment_bytes = SEGMENT_BYTES,
		.max_transfer = TRANSFER_BYTES,
		.queue_depth = AME_DEPTH,
		.control_addr_max = UINT32_MAX,
		.data_addr_max = UINT32_MAX,
		.data_align = 4,
		.max_cdb = AME_MAX_CDB,
	};
}

static int alloc_mem(struct ame *a, struct err *e)
{
	uint64_t replies = (uint64_t)AME_MAX_SLOTS * AME_SLOT_SIZE;
	uint64_t page = replies + AME_REPLY_FRAMES * AME_REPLY_STRIDE, data = page + AME_PAGE_SIZE;
	int r = dma_arena_alloc(&a->h->space, "hbad-ame", data + AME_DATA_BYTES, 0,
		a->h->limits.control_addr_max, &a->mem, e);

	if (r < 0)
		return r;
	a->slot_mem = a->mem.cpu;
	a->reply_mem = a->mem.cpu + replies;
	a->page_mem = a->mem.cpu + page;
	a->data_mem = a->mem.cpu + data;
	ame_frames_take_back(a);
	return 0;
}

static int gone(struct err *e)
{
	return err_set(
		e, -ENODEV, "the box does not answer (all ones); is it still plugged in and switched on?");
}

static int map_registers(struct ame *a, struct err *e)
{
	struct pci_dev *pci = a->h->pci;
	unsigned bar = a->family->bar;
	int r;

	if (pci->bar[bar].size < AME_REGS_END || pci->bar[bar].is_io)
		return err_set(e, -EIO, "the box's BAR %u is no memory of at least %u bytes", bar,
			(unsigned)AME_REGS_END);
	r = pci_map_bar(pci, bar, e);
	if (r < 0)
		return r;
	return pci_is_gone(pci) ? gone(e) : 0;
}

static void ame_quiesce(struct hba *h)
{
	struct ame *a = ame_of(h);

	pci_irq_disable(h->pci);
	if (!a || !a->mem.cpu)
		return;
	ame_forget(a);
	if (!h->gone)
		ame_hush(a);
}

/* What nobody asked for, in one line: whoever reads the log after trouble wants to know what the box had to say. */
static void tell_seen(const struct ame *a)
{
	uint64_t notices = a->seen.restart + a->seen.flush + a->seen.pause + a->seen.unknown;

	if (!notices && !a->seen.luns && !a->seen.records && !a->seen.resume)
		return;
	log_info("%s: the box has told of %" PRIu64 " restarts, %" PRIu64
		 " times of giving up all commands, %" PRIu64 " pauses, %" PRIu64 " unknown notices, %" PRIu64
		 " changes of units, %" PRIu64 " other events; it has asked %" PRIu64
		 " times whether the host is alive",
		a->h->pci->uri, a->seen.restart, a->seen.flush, a->seen.pause, a->seen.unknown, a->seen.luns,
		a->seen.records, a->seen.resume);
}

static void ame_detach(struct hba *h)
{
	struct ame *a = ame_of(h);

	if (!a)
		return;
	tell_seen(a);
	dma_arena_free(&a->mem);
	free(a);
	h->drv = NULL;
}

static int ame_attach(struct hba *h, const struct hba_match *match, struct err *e)
{
	struct ame *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return err_set(e, -ENOMEM, "out of memory");
	h->drv = a;
	a->h = h;
	a->family = match->data;
	a->mem.memfd = -1;
	list_init(&a->waiting);
	list_init(&a->local);
	ame_forget(a);
	ame_carriers_init(a);
	r = map_registers(a, e);
	if (r == 0) {
		declare_limits(a);
		r = alloc_mem(a, e);
	}
	if (r < 0)
		ame_detach(h);
	return r;
}

/* --- start --- */

/* As in a reset, but here it may block. */
static int shake_once(struct ame *a, struct err *e)
{
	uint64_t next = 0;
	int r;

	ame_shake_begin(a, false, clock_ns());
	while ((r = ame_shake_step(a, clock_ns(), &next)) > 0) {
		uint64_t now = clock_ns();

		if (next > now)
			clock_sleep_ms((unsigned)DIV_ROUND_UP(next - now, NS_PER_MS));
	}
	if (r == -ENODEV || r == -EIO)
		return gone(e);
	if (r < 0)
		return err_set(e, r,
			"the box's firmware does not answer within %u s; look at the box's own display or "
			"manager, or "
			"restart the box",
			ame_times(a)->ready / 1000);
	return 0;
}

/* Firmware's mark that it is up, after a reset; one that outlived it may not set it again. */
static void await_firmware(const struct ame *a)
{
	uint64_t until = clock_ns() + ame_times(a)->boot * NS_PER_MS;

	while (a->family->doorbells && ame_read(a, AME_PAD_READY) != 1 && clock_ns() < until)
		clock_sleep_ms(ame_times(a)->look);
}

/* Whoever had the box before may have left commands at it, and it does not always forget those (see reset.c). Normally the
 * kernel has reset it; where that was not so, answers show it, and it is done now. */
static int shake_hands(struct ame *a, struct err *e)
{
	struct err why = {""};
	int r = shake_once(a, e);
	unsigned n = r == 0 ? ame_drop_replies(a, true) : 0;

	if (!n)
		return r;
	log_warn("%s: the box answers %u commands of an earlier driver; resetting it", a->h->pci->uri, n);
	ame_mute(a);
	if (pci_reset(a->h->pci, &why) < 0)
		log_warn("%s: it cannot be reset, so its older commands may still run: %s", a->h->pci->uri,
			why.text);
	else
		await_firmware(a);
	r = shake_once(a, e);
	if (r == 0)
		ame_drop_replies(a, true);
	return r;
}

/* All of them before the first request: the ring of the 2208 takes few at a time. One that stops taking them still has
 * enough for a start; what is left is lent later. */
static void lend_all(struct ame *a)
{
	uint64_t until = clock_ns() + NS_PER_SEC;

	for (ame_frames_lend(a); a->n_spare && clock_ns() < until; ame_frames_lend(a))
		clock_sleep_ms(1);
}

static int ame_start(struct hba *h, struct err *e)
{
	struct ame *a = ame_of(h);
	int r = ame_irq_enable(a, e);

	if (r == 0)
		r = shake_hands(a, e);
	if (r == 0)
		r = ame_save_config(a, e);
	if (r < 0)
		return r;
	lend_all(a);
	r = ame_discover(a, e);
	a->mask_restless = ame_read(a, AME_MASK) != a->mask_read;
	log_debug("%s: the interrupt mask reads %xh%s", h->pci->uri, a->mask_read,
		a->mask_restless ? ", and then something else" : "");
	a->health_ns = clock_ns();
	return r;
}

static int ame_shutdown(struct hba *h, struct err *e)
{
	/* No command of firmware's own that flushes is known, see flush.c. */
	return ame_events_off(ame_of(h), e) < 0 ? -EIO : 0;
}

static const char name_341[] = "Accusys 341 (ACS-61xxx, ACS-62xxx)";
static const char name_2208[] = "Accusys AME on LSI 2208";
static const char name_3108[] = "Accusys AME on LSI 3108";

static const struct hba_match ame_match[] = {
	{AME_PCI_VENDOR, 0x6101, &ame_341, name_341},
	{AME_PCI_VENDOR, 0x6201, &ame_341, name_341},
	{AME_PCI_VENDOR, 0x6232, &ame_2208, name_2208},
	{AME_PCI_VENDOR, 0x6300, &ame_2208, name_2208},
	{AME_PCI_VENDOR, 0x6233, &ame_2208, name_2208},
	{AME_PCI_VENDOR, 0x6235, &ame_2208, name_2208},
	{AME_PCI_VENDOR, 0x6240, &ame_3108, name_3108},
	{AME_PCI_VENDOR, 0x6262, &ame_3108, name_3108},
	/* [I] "Gamma Carry": in no source that could be read. Its registers are in BAR 1 and its processor is a 3108.
	 * Check on real hardware: register BCh of BAR 1 should read 626f14d6h. */
	{AME_PCI_VENDOR, 0x626f, &ame_3108, name_3108},
	{0},
};

const struct hba_ops ame_ops = {
	.name = "ame",
	.match = ame_match,
	.attach = ame_attach,
	.start = ame_start,
	.submit = ame_submit,
	.poll = ame_poll,
	.abort = ame_abort,
	.reset_step = ame_reset_step,
	.quiesce = ame_quiesce,
	.shutdown = ame_shutdown,
	.detach = ame_detach,
};
