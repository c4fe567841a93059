/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See controller.h. */
#include "controller.h"

#include <stdlib.h>
#include <sys/eventfd.h>

#include "base/clock.h"
#include "base/log.h"

#define STEPS 200

struct hba *h;
struct hba_req req[REQS];
struct input *source;

static bool flying[REQS];

/* Lanes. None of their loops runs: their threads are steps of the input. */
static struct loop *loop[HBA_MAX_LANES];
static int irq_fd[HBA_MAX_LANES];
static bool halted[HBA_MAX_LANES];
static unsigned here; /* whose thread this is */

static struct hba_unit units[2] = {
	{.name = "ld0", .kind = HBA_UNIT_LD},
	{.name = "pd8", .kind = HBA_UNIT_PD, .target = 8, .index = 1},
};
static uint8_t data_buf[512];
static struct iovec iov = {data_buf, sizeof(data_buf)};

/* --- the core --- */

struct hba_req *hba_req_by_tag(struct hba *hba, uint32_t tag)
{
	ck_assert(tag < h->limits.queue_depth);
	return tag < REQS && flying[tag] ? &req[tag] : NULL;
}

void hba_complete(struct hba_req *r)
{
	ck_assert_uint_eq(r->lane, here);
	ck_assert(r >= req && r < req + REQS && flying[r - req]);
	ck_assert_uint_le(r->sense_len, HBA_SENSE_SIZE);
	ck_assert_uint_le(r->moved, r->xfer.len);
	ck_assert(r->result <= HBA_GONE);
	if (r->result == HBA_DONE && r->scsi_status == 0x02)
		ck_assert(r->sense_len >= 8);
	flying[r - req] = false;
}

void hba_req_rearm(struct hba_req *r)
{
	ck_assert(!here || r->lane == here);
	ck_assert(flying[r - req]);
}

enum hba_state hba_state(const struct hba *hba)
{
	return hba_lane_state(hba, 0);
}

void hba_note_data(const struct hba_req *r)
{
	ck_assert(r >= req && r < req + REQS && flying[r - req]);
}

void hba_fault(struct hba *hba, const char *why)
{
}

void hba_lane_fault(struct hba *hba, unsigned lane, const char *why)
{
}

/* Of one lane nothing is ever posted. */
struct loop *hba_lane_loop(const struct hba *hba, unsigned lane)
{
	ck_assert(hba->n_lanes > 1 && lane < hba->n_lanes);
	return loop[lane];
}

enum hba_state hba_lane_state(const struct hba *hba, unsigned lane)
{
	ck_assert(lane < hba->n_lanes);
	return halted[lane] ? HBA_RESETTING : HBA_RUNNING;
}

bool hba_lane_runs(const struct hba *hba, unsigned lane)
{
	return hba_lane_state(hba, lane) == HBA_RUNNING;
}

int hba_lane_irq_fd(const struct hba *hba, unsigned lane)
{
	ck_assert(lane < hba->n_lanes);
	return irq_fd[lane];
}

void hba_tell(struct hba *hba, uint32_t code, const char *text)
{
	for (; *text; text++)
		ck_assert(*text >= 0x20 && *text < 0x7f);
}

void hba_unit_listed(struct hba_unit *u, bool listed)
{
	u->missing = !listed;
}

void hba_units_changed(struct hba *hba)
{
}

bool hba_add_unit(struct hba *hba, const struct hba_unit *u)
{
	ck_assert(memchr(u->name, '\0', sizeof(u->name)));
	return false;
}

void clock_sleep_ms(unsigned ms)
{
}

/* --- registers --- */

static uint32_t (*model_read)(struct pci_dev *pci, unsigned n, uint64_t off);

static uint32_t fuzz_read(struct pci_dev *pci, unsigned n, uint64_t off)
{
	return source ? take32(source) : model_read(pci, n, off);
}

static void fuzz_write(struct pci_dev *pci, unsigned n, uint64_t off, uint32_t v)
{
}

static void make_lanes(unsigned n)
{
	h->n_lanes = n;
	for (unsigned i = 0; i < n; i++) {
		irq_fd[i] = eventfd(0, EFD_NONBLOCK);
		ck_assert_int_eq(loop_create(&loop[i]), 0);
	}
	h->irq_fd = irq_fd[0];
	h->loop = loop[0];
}

void controller_up(struct pci_dev *pci, uint16_t device)
{
	static struct pci_ops ops;
	const struct hba_match *match = target.ops->match;
	struct err e = {""};

	log_set_level(LOG_LV_ERR);
	h = calloc(1, sizeof(*h));
	h->pci = pci;
	make_lanes(target.lanes ? target.lanes : 1);
	dma_space_init(&h->space, h->pci);
	while (match->vendor && match->device != device)
		match++;
	ck_assert(match->vendor);
	ck_assert_msg(target.ops->attach(h, match, &e) == 0, "%s", e.text);
	ck_assert_msg(target.ops->start(h, &e) == 0, "%s", e.text);
	ck_assert_uint_eq(h->n_lanes, target.lanes ? target.lanes : 1);
	ops = *h->pci->ops;
	model_read = ops.bar_read32;
	ops.bar_read32 = fuzz_read;
	ops.bar_write32 = fuzz_write;
	ops.bar_write64 = NULL; /* as two of the others */
	h->pci->ops = &ops;
}

/* --- requests --- */

struct hba_req *new_request(struct input *in, uint8_t *ret_what)
{
	static const uint8_t read10[10] = {0x28, 0, 0, 0, 0, 0, 0, 0, 1};
	uint32_t tag = take8(in) % REQS;
	uint8_t what = take8(in);
	struct hba_req *r = &req[tag];

	*ret_what = what;
	if (flying[tag])
		return NULL;
	memset(r, 0, sizeof(*r));
	list_init(&r->drv_link);
	r->hba = h;
	r->tag = tag;
	r->lane = (uint8_t)(tag % h->n_lanes);
	r->unit = &units[what & 1];
	r->kind = (enum hba_req_kind)(what >> 1 & 3) % 3;
	r->block_size = 512;
	r->timeout_ms = 1000;
	if (r->kind != HBA_REQ_FLUSH) {
		r->nblocks = 1;
		memcpy(r->cdb, read10, sizeof(read10));
		r->cdb_len = sizeof(read10);
		r->xfer = (struct dma_xfer){.iov = &iov, .niov = 1, .len = 512, .dir = DMA_FROM_DEVICE};
		r->seg[0] = (struct dma_seg){0x10000, 512};
		r->sgl = (struct dma_sgl){.seg = r->seg, .n = 1, .cap = HBA_MAX_SEGMENTS, .bytes = 512};
	}
	flying[tag] = true;
	return r;
}

struct hba_req *flying_request(struct input *in)
{
	uint32_t tag = take8(in) % REQS;

	return flying[tag] ? &req[tag] : NULL;
}

/* --- lanes --- */

/* As its thread. */
static void on_lane(unsigned lane, void (*fn)(void *arg), void *arg)
{
	unsigned was = here;

	here = lane;
	fn(arg);
	here = was;
}

/* What was posted to it up to now. */
static void run_posted(void *l)
{
	ck_assert_int_eq(loop_once(l, 0), 0);
}

static void poll_here(void *unused)
{
	if (here)
		target.ops->poll_lane(h, here);
	else
		target.ops->poll(h);
}

static void submit_here(void *r)
{
	target.ops->submit(h, r);
}

void submit_step(struct hba_req *r)
{
	on_lane(r->lane, submit_here, r);
}

static void abort_here(void *r)
{
	target.ops->abort(h, r);
}

void abort_step(struct hba_req *r)
{
	on_lane(r->lane, abort_here, r);
}

void halt_lanes(void)
{
	if (h->n_lanes == 1)
		return;
	halted[0] = true;
	for (unsigned i = 1; i < h->n_lanes; i++) {
		/* What had been posted to it before the message that halts it. */
		on_lane(i, run_posted, loop[i]);
		on_lane(i, poll_here, NULL);
		halted[i] = true;
	}
	/* ... and to the first one, before the one that says that all are halted. */
	on_lane(0, run_posted, loop[0]);
}

void let_lanes_go(void)
{
	memset(halted, 0, sizeof(halted));
}

/* No message is on its way any more. Halted lanes post nothing but what tells whoever has asked all of them. */
static void empty_loops(void)
{
	halt_lanes();
	for (unsigned i = 0; i < 2 * h->n_lanes && h->n_lanes > 1; i++)
		on_lane(i % h->n_lanes, run_posted, loop[i % h->n_lanes]);
}

/* --- a run --- */

static void forget_all(void)
{
	target.forget();
	memset(flying, 0, sizeof(flying));
}

void reset_step(struct input *in)
{
	unsigned phase = 0;
	uint64_t now = clock_ns(), next;

	for (unsigned i = 0; i < 20; i++) {
		now += 20 * NS_PER_SEC;
		if (target.ops->reset_step(h, &phase, now, &next) <= 0)
			break;
	}
	/* What was posted to a lane before the message that lets it go. */
	for (unsigned i = 1; i < h->n_lanes; i++)
		on_lane(i, run_posted, loop[i]);
	/* All that was there is forgotten. */
	forget_all();
}

void poll_step(struct input *in)
{
	uint8_t what = h->n_lanes > 1 ? take8(in) : 0;
	unsigned lane = what % h->n_lanes;

	if (what & 0x80)
		on_lane(lane, run_posted, loop[lane]);
	else
		on_lane(lane, poll_here, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct input in;

	in = (struct input){data, size};
	source = NULL;
	if (!h)
		target.bring_up();
	empty_loops();
	forget_all();
	let_lanes_go();
	target.rewind();
	source = &in;
	if (target.resume)
		target.resume();
	for (unsigned i = 0; in.n && i < STEPS; i++) {
		target.step[take8(&in) % ARRAY_SIZE(target.step)](&in);
		if (target.check)
			target.check();
	}
	return 0;
}
