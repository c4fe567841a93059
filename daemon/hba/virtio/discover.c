/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which units there are, asked by polled commands on the set-up thread, in the first request queue. Answers are untrusted. */
#include "vio.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

enum {
	OP_INQUIRY = 0x12,
	OP_MODE_SENSE_6 = 0x1a,
	OP_READ_CAPACITY_10 = 0x25,
	OP_SERVICE_ACTION_IN_16 = 0x9e,
	OP_REPORT_LUNS = 0xa0,
};
#define SCSI_GOOD    0x00
#define SCSI_BUSY    0x08
#define TRIES	     6 /* of unit attentions (each is reported once) and BUSY */
#define BUSY_MS	     100
#define SPINS	     200 /* before sleeping: emulated devices answer at once */
#define HEALTH_EVERY 256

struct question {
	struct vio_addr addr;
	const uint8_t *cdb;
	uint8_t cdb_len;
	uint32_t len;	    /* of data in */
	struct hba_req req; /* the result; nothing else of it */
};

/* --- one polled command --- */

static int wait_done(struct vio *v, uint32_t timeout_ms)
{
	uint64_t until = clock_ns() + timeout_ms * NS_PER_MS;

	for (unsigned n = 0; !v->polled_done; n++) {
		int r = vio_drain_requests(v, 0);

		if (r < 0)
			return r;
		if (v->polled_done)
			break;
		if (n % HEALTH_EVERY == HEALTH_EVERY - 1) {
			r = vio_health(v);
			if (r < 0)
				return r;
		}
		if (clock_ns() >= until)
			return -ETIMEDOUT;
		if (n < SPINS)
			sched_yield();
		else
			clock_sleep_ms(1);
	}
	return 0;
}

static int ask_once(struct vio *v, struct question *q)
{
	const struct dma_seg seg = {vio_iova(v, v->data_mem), q->len};
	const struct vio_cmd c = {
		.addr = &q->addr,
		.id = UINT64_MAX, /* never a request's */
		.cdb = q->cdb,
		.cdb_len = q->cdb_len,
		.dir = q->len ? DMA_FROM_DEVICE : DMA_NONE,
		.seg = &seg,
		.n_seg = q->len ? 1 : 0,
	};
	uint32_t slot = vio_polled_slot(v);
	struct vio_cmd_resp resp;
	int r;

	/* One that was given up on is the device's until the next reset. */
	if (v->slot[slot].at_device)
		return -EBUSY;
	memset(v->data_mem, 0, VIO_DATA_MEM);
	v->polled_done = false;
	vio_fire(v, 0, slot, &c);
	vio_kick(v, vio_lane_ring(v, 0));
	r = wait_done(v, v->times->polled);
	if (r < 0)
		return r;
	memcpy(&resp, vio_slot_mem(v, slot) + VIO_SLOT_RESP, sizeof(resp));
	q->req.xfer.len = q->len;
	return vio_result(&q->req, &resp);
}

/* 0: answered, see q->req. */
static int ask(struct vio *v, struct question *q)
{
	int r = 0;

	for (unsigned try = 0; try < TRIES; try++) {
		r = ask_once(v, q);
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

static int no_answer(struct vio *v, const struct question *q, int r, struct err *e)
{
	return err_set(e, r,
		"t%ul%u did not answer opcode %02xh (%s); restart the virtual machine, or the host's "
		"process that serves the device",
		q->addr.target, q->addr.lun, q->cdb[0], strerror(-r));
}

/* --- a unit --- */

/* DPOFUA and the caching page. What is not known is taken for volatile, and for not knowing FUA. */
static int read_modes(struct vio *v, struct hba_unit *u, struct vio_addr *a)
{
	static const uint8_t cdb[6] = {OP_MODE_SENSE_6, 0x08, 0x08, 0, 192};
	struct question q = {.addr = *a, .cdb = cdb, .cdb_len = sizeof(cdb), .len = 192};
	const uint8_t *d = v->data_mem, *page;
	int r = ask(v, &q);

	u->disk_cache = true;
	if (r < 0 || !good(&q, 4))
		return r;
	a->dpofua = d[2] & 0x10;
	page = d + 4 + MIN(d[3], 64); /* a block descriptor, DBD or not; zeros behind what was sent */
	if ((page[0] & 0x3f) == 0x08 && page[1] >= 1)
		u->disk_cache = page[2] & 0x04;
	return 0;
}

static int read_capacity(struct vio *v, struct hba_unit *u, const struct vio_addr *a)
{
	static const uint8_t cdb10[10] = {OP_READ_CAPACITY_10};
	static const uint8_t cdb16[16] = {[0] = OP_SERVICE_ACTION_IN_16, [1] = 0x10, [13] = 32};
	struct question q = {.addr = *a, .cdb = cdb10, .cdb_len = sizeof(cdb10), .len = 8};
	int r = ask(v, &q);

	if (r < 0 || !good(&q, 8))
		return r;
	u->blocks = (uint64_t)get_be32(v->data_mem) + 1;
	if (u->blocks <= UINT32_MAX)
		return 0;
	q = (struct question){.addr = *a, .cdb = cdb16, .cdb_len = sizeof(cdb16), .len = 32};
	r = ask(v, &q);
	if (r == 0 && good(&q, 8))
		u->blocks = get_be64(v->data_mem) + 1;
	return r;
}

static int add_unit(struct vio *v, struct vio_addr *a)
{
	struct hba *h = v->h;
	struct hba_unit *u = &h->unit[h->n_units];
	int r;

	*u = (struct hba_unit){
		.kind = HBA_UNIT_PD,
		.target = a->target,
		.state = HBA_UNIT_OPTIMAL,
		.flush_alone = true,
		.index = (uint8_t)h->n_units,
	};
	/* Always with its target: a name must not depend on which others there are. */
	snprintf(u->name, sizeof(u->name), "t%ul%u", a->target, a->lun);
	r = read_modes(v, u, a);
	if (r == 0)
		r = read_capacity(v, u, a);
	if (r < 0)
		return r;
	v->addr[h->n_units] = *a;
	h->n_units++;
	return 0;
}

static bool known(const struct vio *v, const struct vio_addr *a)
{
	for (unsigned i = 0; i < v->h->n_units; i++)
		if (v->addr[i].target == a->target && v->addr[i].lun == a->lun)
			return true;
	return false;
}

/* Adds it if it is a disk. */
static int look_at(struct vio *v, uint8_t target, uint16_t lun, struct err *e)
{
	static const uint8_t cdb[6] = {OP_INQUIRY, 0, 0, 0, 36};
	struct question q = {
		.addr = {.target = target, .lun = lun}, .cdb = cdb, .cdb_len = sizeof(cdb), .len = 36};
	int r;

	if (known(v, &q.addr))
		return 0;
	r = ask(v, &q);
	/* Peripheral qualifier 0 (there is one) and device type 0 (a disk) */
	if (r == 0 && good(&q, 1) && v->data_mem[0] == 0) {
		if (v->h->n_units == HBA_MAX_UNITS) {
			if (log_limit_ok(&v->event_limit, 1, 60 * NS_PER_SEC))
				log_warn("%s: leaving out t%ul%u and what follows: %u units are the most",
					v->h->pci->uri, target, lun, HBA_MAX_UNITS);
			return 0;
		}
		r = add_unit(v, &q.addr);
	}
	return r < 0 ? no_answer(v, &q, r, e) : 0;
}

/* --- targets --- */

/* SAM-5 4.7.7: single level LUNs of up to 14 bits; others cannot be addressed here. */
static bool take_lun(const uint8_t entry[8], uint32_t max_lun, uint16_t *ret)
{
	uint8_t method = entry[0] & VIO_LUN_METHOD;
	uint16_t number = (uint16_t)((entry[0] & 0x3f) << 8 | entry[1]);

	if ((method != VIO_LUN_FLAT && entry[0] != 0) || get_be16(entry + 2) || get_be32(entry + 4) ||
		number > max_lun)
		return false;
	*ret = number;
	return true;
}

static int discover_target(struct vio *v, uint8_t target, struct err *e)
{
	static const uint8_t cdb[12] = {[0] = OP_REPORT_LUNS, [8] = VIO_DATA_MEM >> 8};
	struct question q = {
		.addr = {.target = target}, .cdb = cdb, .cdb_len = sizeof(cdb), .len = VIO_DATA_MEM};
	uint8_t list[VIO_DATA_MEM];
	uint32_t end;
	int r = ask(v, &q);

	if (r < 0)
		return no_answer(v, &q, r, e);
	if (q.req.result == HBA_NO_UNIT)
		return 0;
	/* A target that does not know the command has one unit. */
	if (!good(&q, 8))
		return look_at(v, target, 0, e);
	memcpy(list, v->data_mem, sizeof(list));
	end = MIN(q.req.moved, (uint32_t)sizeof(list));
	end = (uint32_t)MIN((uint64_t)end, UINT64_C(8) + get_be32(list));
	for (uint32_t at = 8; r == 0 && at + 8 <= end; at += 8) {
		uint16_t lun;

		if (take_lun(list + at, MIN(v->config.max_lun, VIO_MAX_LUN), &lun))
			r = look_at(v, target, lun, e);
	}
	return r;
}

static void describe(struct vio *v)
{
	struct hba *h = v->h;
	struct hba_info *to = &h->info;

	snprintf(to->product, sizeof(to->product), "virtio SCSI host (%04x:%04x)", h->pci->id.subvendor,
		h->pci->id.subdevice);
	to->serial[0] = '\0';
	snprintf(to->firmware, sizeof(to->firmware), "virtio 1.x, features %llxh",
		(unsigned long long)v->features);
	snprintf(to->driver, sizeof(to->driver), "virtio-scsi%s", v->indirect ? "" : " (direct)");
	/* One word for all units: it is true only when each of them says so. */
	h->fua_native = h->n_units > 0;
	for (unsigned i = 0; i < h->n_units; i++)
		h->fua_native &= v->addr[i].dpofua;
}

int vio_discover(struct vio *v, struct err *e)
{
	unsigned last = MIN(v->config.max_target, VIO_MAX_TARGET);
	int r = 0;

	v->h->n_units = 0;
	for (unsigned t = 0; r == 0 && t <= last; t++)
		r = discover_target(v, (uint8_t)t, e);
	if (r == 0)
		describe(v);
	return r;
}
