/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which units there are, asked by polled commands on the set-up thread. Answers are untrusted. */
#include "box.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

enum {
	OP_INQUIRY = 0x12,
	OP_MODE_SENSE_6 = 0x1a,
	OP_READ_CAPACITY_10 = 0x25,
	OP_SERVICE_ACTION_IN_16 = 0x9e,
};
#define SCSI_GOOD      0x00
#define SCSI_BUSY      0x08
#define TRIES	       6 /* of unit attentions (each is reported once) and BUSY */
#define BUSY_MS	       100
#define SPINS	       200 /* before sleeping: emulated boxes answer at once */
#define LOOK_EVERY     256
#define MAP_TRIES      5
#define LAST_SWITCH_MS 15000

struct question {
	uint8_t lun;
	const uint8_t *cdb;
	uint8_t cdb_len;
	uint32_t len;	    /* of data in */
	struct hba_req req; /* the result; nothing else of it */
};

/* --- one polled request --- */

static int wait_for(struct ame *a, const bool *at_box, uint64_t until)
{
	for (unsigned n = 1; *at_box; n++) {
		int r = ame_drain(a);

		if (r < 0)
			return r;
		ame_frames_lend(a);
		if (!*at_box)
			break;
		if (n % LOOK_EVERY == 0 && ame_look(a) != AME_HERE)
			return -ENODEV;
		if (clock_ns() >= until)
			return -ETIMEDOUT;
		if (n < SPINS)
			sched_yield();
		else
			clock_sleep_ms(1);
	}
	return 0;
}

/* A pause may be asked for at any time; then there may be no room as well. */
static int wait_for_room(struct ame *a, uint64_t until)
{
	int r = 0;

	while (r >= 0 && (ame_held(a) || !ame_has_room(a))) {
		if (a->restart_ns || clock_ns() >= until)
			return -EBUSY;
		clock_sleep_ms(1);
		r = ame_drain(a);
	}
	return r < 0 ? r : 0;
}

/* The frame has been built. */
static int ask_slot(struct ame *a, enum ame_own_slot own, enum ame_function function, uint32_t timeout_ms)
{
	uint64_t until = clock_ns() + timeout_ms * NS_PER_MS;
	int r = wait_for_room(a, until);

	if (r < 0)
		return r;
	ame_fire(a, own, function);
	return wait_for(a, &a->slot[own].at_box, until);
}

static int ask_once(struct ame *a, struct question *q)
{
	const struct dma_seg seg = {ame_iova(a, a->data_mem), q->len};
	const struct ame_cmd c = {
		.lun = q->lun,
		.cdb = q->cdb,
		.cdb_len = q->cdb_len,
		.dir = q->len ? DMA_FROM_DEVICE : DMA_NONE,
		.seg = &seg,
		.n_seg = q->len ? 1 : 0,
	};
	uint32_t slot = AME_SLOT_POLLED;
	struct ame_sense sense;
	int r;

	/* One that was given up on is the box's until the next reset. */
	if (a->slot[slot].at_box)
		return -EBUSY;
	memset(a->data_mem, 0, AME_DATA_BYTES);
	ame_build_scsi(a, slot, &c);
	r = ask_slot(a, AME_SLOT_POLLED, AME_F_SCSI, ame_times(a)->polled);
	if (r < 0)
		return r;
	memcpy(&sense, ame_slot_at(a, slot, AME_AT_SENSE), sizeof(sense));
	if (a->polled_fast)
		ame_result_fast(&q->req, q->len);
	else
		ame_result(&q->req, q->len, &a->polled_reply, &sense);
	return 0;
}

/* 0: answered, see q->req. */
static int ask(struct ame *a, struct question *q)
{
	int r = 0;

	for (unsigned try = 0; try < TRIES; try++) {
		r = ask_once(a, q);
		if (r < 0)
			break;
		if (q->req.result == HBA_DONE && q->req.scsi_status == SCSI_BUSY)
			clock_sleep_ms(BUSY_MS);
		else if (!hba_sense_key_is(&q->req, SENSE_KEY_UNIT_ATTENTION) && q->req.result != HBA_ABORTED)
			break;
	}
	return r;
}

static bool good(const struct question *q, uint32_t least)
{
	return q->req.result == HBA_DONE && q->req.scsi_status == SCSI_GOOD && q->req.moved >= least;
}

static int no_answer(const struct question *q, int r, struct err *e)
{
	return err_set(e, r,
		"lun%u did not answer opcode %02xh (%s); look at the box's own display or manager, or "
		"restart "
		"the box",
		q->lun, q->cdb[0], strerror(-r));
}

/* --- a unit --- */

/* What is not known is taken for volatile. */
static int read_caching(struct ame *a, struct hba_unit *u)
{
	static const uint8_t cdb[6] = {OP_MODE_SENSE_6, 0x08, 0x08, 0, 192};
	struct question q = {.lun = (uint8_t)u->target, .cdb = cdb, .cdb_len = sizeof(cdb), .len = 192};
	int r = ask(a, &q);

	u->write_back = true;
	if (r == 0 && good(&q, 4))
		u->write_back = ame_caching_wce(a->data_mem, q.req.moved) != 0;
	return r;
}

static int read_capacity(struct ame *a, struct hba_unit *u)
{
	static const uint8_t cdb10[10] = {OP_READ_CAPACITY_10};
	static const uint8_t cdb16[16] = {[0] = OP_SERVICE_ACTION_IN_16, [1] = 0x10, [13] = 32};
	struct question q = {.lun = (uint8_t)u->target, .cdb = cdb10, .cdb_len = sizeof(cdb10), .len = 8};
	int r = ask(a, &q);

	if (r < 0 || !good(&q, 8))
		return r;
	u->blocks = (uint64_t)get_be32(a->data_mem) + 1;
	if (u->blocks <= UINT32_MAX)
		return 0;
	q = (struct question){.lun = (uint8_t)u->target, .cdb = cdb16, .cdb_len = sizeof(cdb16), .len = 32};
	r = ask(a, &q);
	if (r == 0 && good(&q, 8))
		u->blocks = get_be64(a->data_mem) + 1;
	return r;
}

static int add_unit(struct ame *a, uint8_t lun)
{
	struct hba *h = a->h;
	struct hba_unit *u = &h->unit[h->n_units];
	int r;

	*u = (struct hba_unit){
		.kind = HBA_UNIT_LD,
		.target = lun,
		.state = HBA_UNIT_OPTIMAL,
		.flush_alone = true,
		.index = (uint8_t)h->n_units,
	};
	snprintf(u->name, sizeof(u->name), "lun%u", lun);
	r = read_caching(a, u);
	if (r == 0)
		r = read_capacity(a, u);
	if (r == 0)
		h->n_units++;
	return r;
}

/* Adds it if it is a disk. */
static int look_at(struct ame *a, uint8_t lun, struct err *e)
{
	static const uint8_t cdb[6] = {OP_INQUIRY, 0, 0, 0, 36};
	struct question q = {.lun = lun, .cdb = cdb, .cdb_len = sizeof(cdb), .len = 36};
	int r = ask(a, &q);

	/* Peripheral qualifier 0 (there is one) and device type 0 (a disk) */
	if (r == 0 && good(&q, 1) && a->data_mem[0] == 0)
		r = add_unit(a, lun);
	return r < 0 ? no_answer(&q, r, e) : 0;
}

/* --- the box --- */

static int ask_for_page(struct ame *a, struct err *e)
{
	uint32_t slot = AME_SLOT_INBAND;
	int r;

	a->map_known = a->want_map = false;
	memset(a->page_mem, 0, AME_PAGE_SIZE);
	ame_build_page(a, slot, 0, ame_iova(a, a->page_mem));
	r = ask_slot(a, AME_SLOT_INBAND, AME_F_INBAND, ame_times(a)->inband);
	return r < 0 ? err_set(e, r, "the box does not answer a management request (%s); restart the box",
			       strerror(-r))
		     : 0;
}

/* The map, and the name. That it cannot be had is no failure: then all LUNs are asked, as the vendor's driver does.
 * One that changed while it was read is of no use. One that changed since, or was refused, is read again while running. */
static int read_page0(struct ame *a, struct err *e)
{
	int r = ask_for_page(a, e);

	for (unsigned n = 1; r == 0 && !a->map_known && !a->page_after_ns && n < MAP_TRIES; n++)
		r = ask_for_page(a, e);
	return r;
}

static int switch_within(struct ame *a, bool on, uint32_t timeout_ms, struct err *e)
{
	int r;

	if (a->slot[AME_SLOT_SWITCH].at_box)
		return err_set(e, -EBUSY, "the box has not answered the event switch");
	ame_build_switch(a, AME_SLOT_SWITCH, on);
	r = ask_slot(a, AME_SLOT_SWITCH, AME_F_EVENT, timeout_ms);
	return r < 0 ? err_set(e, r, "the box does not answer the event switch (%s)", strerror(-r)) : 0;
}

/* ASCII, padded by blanks or zeros */
static void take_text(char *to, size_t size, const char *from, size_t n)
{
	size_t end = 0;

	for (size_t i = 0; i < n && i + 1 < size && from[i]; i++) {
		to[i] = from[i] >= 0x20 && from[i] < 0x7f ? from[i] : '?';
		if (to[i] != ' ')
			end = i + 1;
	}
	to[end] = '\0';
}

static void describe(struct ame *a)
{
	struct hba_info *to = &a->h->info;
	struct ame_page0 page;
	char product[17] = "", model[17] = "";

	memcpy(&page, a->page_mem, sizeof(page));
	take_text(product, sizeof(product), page.product, sizeof(page.product));
	take_text(model, sizeof(model), page.model, sizeof(page.model));
	take_text(to->serial, sizeof(to->serial), page.serial, sizeof(page.serial));
	snprintf(to->product, sizeof(to->product), "%s%s%s", product, *product && *model ? " " : "", model);
	snprintf(to->driver, sizeof(to->driver), "ame %s", a->family->name);
	/* FUA is never relied on: nobody has seen firmware honour it. The SCSI layer flushes instead. */
	a->h->fua_native = false;
}

/* Page 0, then events on, as the vendor's driver does; then the page again, for what changed in between. */
int ame_discover(struct ame *a, struct err *e)
{
	int r = read_page0(a, e);

	if (r == 0)
		r = switch_within(a, true, ame_times(a)->inband, e);
	if (r == 0)
		r = read_page0(a, e);
	if (r < 0)
		return r;
	describe(a);
	a->h->n_units = 0;
	for (unsigned lun = 0; r == 0 && lun < AME_MAX_LUNS; lun++)
		if (ame_map_entry(a, lun) != AME_LUN_NOT_THERE)
			r = look_at(a, (uint8_t)lun, e);
	return r;
}

/* --- the end --- */

/* What is written to our memory without having been asked for is somebody else's soon. That this switch ends it is [I]: the
 * vendor's driver leaves events on. Bus mastering goes off behind it in any case. Check on real hardware: no IOMMU fault of
 * the box's in the kernel's log after hbad has stopped, while a unit is pulled. */
int ame_events_off(struct ame *a, struct err *e)
{
	return switch_within(a, false, MIN(ame_times(a)->inband, (uint32_t)LAST_SWITCH_MS), e);
}
