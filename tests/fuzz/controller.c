/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See controller.h. */
#include "controller.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "unit/hba/model_fn.h"

#define STEPS 200
/* Of registers, in one poll or one step of a reset: more than any driver has, to take all that a controller says in one
 * go, and to lend it what it takes. */
#define ACCESSES    8192
#define RESET_STEPS 100 /* of 20 s: more than all time limits of a reset together */
#define LAST_POLLS  8
#define STEP_NS	    (50 * NS_PER_MS)

struct hba *h;
struct hba_req req[REQS];
struct input *source;
struct dma_arena data;

static bool flying[REQS];
static unsigned done[REQS];
static uint32_t generation;
static bool answering; /* requests are completed by nothing but polls and resets */
static bool faulted;   /* the driver has asked for a reset */
static unsigned accesses;

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
	ck_assert(answering);
	ck_assert(r >= req && r < req + REQS && flying[r - req]);
	ck_assert_uint_le(r->sense_len, HBA_SENSE_SIZE);
	ck_assert_uint_le(r->moved, r->xfer.len);
	ck_assert(r->result <= HBA_GONE);
	if (r->result == HBA_DONE && r->scsi_status == 0x02)
		ck_assert(r->sense_len >= 8);
	flying[r - req] = false;
	done[r - req]++;
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
	faulted = true;
}

void hba_lane_fault(struct hba *hba, unsigned lane, const char *why)
{
	faulted = true;
}

/* It takes some looks, in which nothing of the device is touched. */
static unsigned reset_looks;

int hba_function_reset(struct hba *hba)
{
	ck_assert(!reset_looks);
	reset_looks = 3;
	return 0;
}

int hba_function_reset_result(const struct hba *hba, struct err *e)
{
	ck_assert(reset_looks);
	return --reset_looks ? -EINPROGRESS : pci_reset(hba->pci, e);
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

void hba_lane_wake(const struct hba *hba, unsigned lane)
{
	uint64_t one = 1;

	/* As the core's. */
	if (write(hba_lane_irq_fd(hba, lane), &one, sizeof(one)) < 0)
		return;
}

void hba_abort_room(const struct hba *hba)
{
}

/* The input's requests take turns with the lanes, so none has a part of its own: only of one all are the first one's. */
uint32_t hba_lane_tags(const struct hba *hba, unsigned lane, uint32_t *ret_n)
{
	ck_assert(hba->n_lanes == 1 && lane == 0);
	*ret_n = hba->limits.queue_depth;
	return 0;
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
	if (hba->n_units == HBA_MAX_UNITS)
		return false;
	hba->unit[hba->n_units] = *u;
	hba->unit[hba->n_units].index = (uint8_t)hba->n_units;
	hba->n_units++;
	return true;
}

/* --- time --- */

static uint64_t fake_ns; /* 0: time is real, which is only so between runs */

void time_passes(uint64_t ns)
{
	if (fake_ns)
		fake_ns += ns;
}

/* At least so long: waiting is to be over soon. */
void clock_sleep_ms(unsigned ms)
{
	time_passes(100 * ms * NS_PER_MS);
}

/* The fuzzer's own time is real. */
int __real_clock_gettime(clockid_t id, struct timespec *ret);
int __wrap_clock_gettime(clockid_t id, struct timespec *ret);

int __wrap_clock_gettime(clockid_t id, struct timespec *ret)
{
	if (!fake_ns || id != CLOCK_MONOTONIC)
		return __real_clock_gettime(id, ret);
	fake_ns += 1000;
	*ret = (struct timespec){(time_t)(fake_ns / NS_PER_SEC), (long)(fake_ns % NS_PER_SEC)};
	return 0;
}

/* --- registers --- */

static const struct pci_ops *truth;

uint32_t truth_read(unsigned bar, uint64_t off, unsigned len)
{
	return len == 4 ? truth->bar_read32(h->pci, bar, off) : truth->bar_read_part(h->pci, bar, off, len);
}

void truth_write(unsigned bar, uint64_t off, uint32_t v, unsigned len)
{
	if (len == 4)
		truth->bar_write32(h->pci, bar, off, v);
	else
		truth->bar_write_part(h->pci, bar, off, v, len);
}

/* Nobody stays with the registers for ever. */
static void count_access(void)
{
	accesses++;
	ck_assert(!reset_looks);
	ck_assert(!answering || accesses < ACCESSES);
}

static uint32_t fuzz_read_part(struct pci_dev *pci, unsigned n, uint64_t off, unsigned len)
{
	count_access();
	if (!source)
		return truth_read(n, off, len);
	return target.read ? target.read(n, off, len) : take32(source);
}

static void fuzz_write_part(struct pci_dev *pci, unsigned n, uint64_t off, uint32_t v, unsigned len)
{
	count_access();
	if (source && target.write)
		target.write(n, off, v, len);
	else if (!source)
		truth_write(n, off, v, len);
}

static uint32_t fuzz_read(struct pci_dev *pci, unsigned n, uint64_t off)
{
	return fuzz_read_part(pci, n, off, 4);
}

static void fuzz_write(struct pci_dev *pci, unsigned n, uint64_t off, uint32_t v)
{
	fuzz_write_part(pci, n, off, v, 4);
}

/* Of descriptors, where several threads post them. */
static void fuzz_write64(struct pci_dev *pci, unsigned n, uint64_t off, uint64_t v)
{
	fuzz_write(pci, n, off, (uint32_t)v);
	fuzz_write(pci, n, off + 4, (uint32_t)(v >> 32));
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

/* A capture: it may look at all that it is told of. */
static void take_note(struct pci_dev *pci, enum pci_note what, uint64_t iova, const void *mem, uint32_t len)
{
	static uint8_t copy[16384];

	ck_assert_uint_le(len, sizeof(copy));
	memcpy(copy, mem, len);
}

static const struct hba_match *match;

static void take_over(void)
{
	static struct pci_ops ops;

	truth = h->pci->ops;
	ops = *truth;
	ops.bar_read32 = fuzz_read;
	ops.bar_write32 = fuzz_write;
	ops.bar_write64 = target.lanes ? fuzz_write64 : NULL; /* as two of the others */
	ops.bar_read_part = fuzz_read_part;
	ops.bar_write_part = fuzz_write_part;
	if (!target.lanes)
		ops.note = take_note;
	h->pci->ops = &ops;
}

void controller_up(struct pci_dev *pci, uint16_t device)
{
	struct err e = {""};

	log_set_level(LOG_LV_ERR);
	h = calloc(1, sizeof(*h));
	h->pci = pci;
	make_lanes(target.lanes ? target.lanes : 1);
	dma_space_init(&h->space, h->pci);
	for (match = target.ops->match; match->vendor && match->device != device;)
		match++;
	ck_assert(match->vendor);
	ck_assert_msg(target.ops->attach(h, match, &e) == 0, "%s", e.text);
	ck_assert_msg(target.ops->start(h, &e) == 0, "%s", e.text);
	ck_assert_uint_eq(h->n_lanes, target.lanes ? target.lanes : 1);
	take_over();
	ck_assert_int_eq(dma_arena_alloc(&h->space, "data", 512, 0, UINT32_MAX, &data, &e), 0);
}

/* --- requests --- */

struct hba_req *new_request(struct input *in, uint8_t *ret_what)
{
	static const uint8_t read10[10] = {0x28, 0, 0, 0, 0, 0, 0, 0, 1};
	uint32_t tag = take8(in) % MIN(h->limits.queue_depth, REQS);
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
	r->generation = ++generation;
	if (r->kind != HBA_REQ_FLUSH) {
		r->nblocks = 1;
		memcpy(r->cdb, read10, sizeof(read10));
		r->cdb_len = sizeof(read10);
		r->xfer = (struct dma_xfer){.iov = &iov, .niov = 1, .len = 512, .dir = DMA_FROM_DEVICE};
		r->seg[0] = (struct dma_seg){data.iova, 512};
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

bool is_flying(uint32_t tag)
{
	return flying[tag];
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
	answering = true;
	accesses = 0;
	ck_assert_int_eq(loop_once(l, 0), 0);
	answering = false;
}

static int poll_result;

static void poll_here(void *unused)
{
	answering = true;
	accesses = 0;
	poll_result = here ? target.ops->poll_lane(h, here) : target.ops->poll(h);
	answering = false;
}

static void submit_here(void *r)
{
	target.ops->submit(h, r);
	if (target.ops->ring_doorbell)
		target.ops->ring_doorbell(h, here);
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

bool controller_again(void)
{
	struct err e = {""};

	if (h->drv) {
		empty_loops();
		let_lanes_go();
		pci_set_bus_master(h->pci, false);
		target.ops->quiesce(h);
		target.ops->detach(h);
	}
	h->n_units = 0;
	h->n_lanes = target.lanes ? target.lanes : 1;
	if (target.ops->attach(h, match, &e) < 0) {
		ck_assert(e.text[0] && !h->drv);
		return false;
	}
	if (target.ops->start(h, &e) == 0)
		return true;
	ck_assert(e.text[0]);
	pci_set_bus_master(h->pci, false);
	target.ops->quiesce(h);
	target.ops->detach(h);
	return false;
}

/* --- a run --- */

void forget_all(void)
{
	target.forget();
	memset(flying, 0, sizeof(flying));
}

/* As the core does it: what nobody waits for, or must not run twice, ends; the driver sees the others once more. */
static void issue_again(void)
{
	for (unsigned i = 0; i < REQS; i++) {
		if (!flying[i])
			continue;
		flying[i] = !req[i].doom && !req[i].no_reissue;
		if (flying[i])
			submit_step(&req[i]);
	}
}

/* The driver is left alone from now on. */
static void give_up(struct input *in, int r)
{
	h->gone = r == -ENODEV;
	pci_set_bus_master(h->pci, false);
	target.ops->quiesce(h);
	forget_all();
	in->n = 0;
}

static int reset_until_it_ends(void)
{
	unsigned phase = 0;
	uint64_t now = clock_ns(), next;
	int r = 1;

	answering = true;
	for (unsigned i = 0; i < RESET_STEPS && r > 0; i++) {
		now += 20 * NS_PER_SEC;
		time_passes(20 * NS_PER_SEC);
		accesses = 0;
		r = target.ops->reset_step(h, &phase, now, &next);
	}
	answering = false;
	ck_assert(r <= 0);
	return r;
}

static int reset_halted(void)
{
	int r;

	halt_lanes();
	halted[0] = true;
	r = reset_until_it_ends();
	/* What was posted to a lane before the message that lets it go. */
	for (unsigned i = 1; i < h->n_lanes; i++)
		on_lane(i, run_posted, loop[i]);
	/* Whatever was complained of until here the reset was for. */
	faulted = false;
	let_lanes_go();
	return r;
}

void reset_step(struct input *in)
{
	int r = reset_halted();

	if (r < 0)
		give_up(in, r);
	else
		issue_again();
}

void poll_step(struct input *in)
{
	uint8_t what = h->n_lanes > 1 ? take8(in) : 0;
	unsigned lane = what % h->n_lanes;

	poll_result = 0;
	if (what & 0x80)
		on_lane(lane, run_posted, loop[lane]);
	else
		on_lane(lane, poll_here, NULL);
	if (poll_result == -ENODEV)
		give_up(in, poll_result);
	else if (poll_result < 0)
		reset_step(in);
}

/* Everybody takes what is there: there is nothing to complain about. */
static void poll_all(void)
{
	for (unsigned i = 0; i < LAST_POLLS * h->n_lanes; i++) {
		unsigned lane = i % h->n_lanes;

		if (h->n_lanes > 1)
			on_lane(lane, run_posted, loop[lane]);
		on_lane(lane, poll_here, NULL);
		ck_assert_int_eq(poll_result, 0);
		ck_assert(!faulted);
	}
	for (unsigned i = 0; i < REQS; i++)
		ck_assert(!flying[i]);
}

/* A read by each lane of each unit brings what is there, once. */
static void prove_io(void)
{
	for (unsigned i = 0; i < 2 * h->n_lanes; i++) {
		uint8_t choice[] = {(uint8_t)(i / 2), i & 1, 0};
		struct input in = {choice, sizeof(choice)};
		const uint8_t *want = target.block(i & 1);
		struct hba_req *r;
		uint8_t what;

		r = new_request(&in, &what);
		ck_assert(r && r->kind == HBA_REQ_RW);
		memset(data.cpu, 0xee, 512);
		done[r - req] = 0;
		submit_step(r);
		poll_all();
		ck_assert_uint_eq(done[r - req], 1);
		ck_assert(r->result == HBA_DONE && r->scsi_status == 0);
		ck_assert(memcmp(data.cpu, want, 512) == 0);
	}
}

/* Whatever the input was: a controller that does what it should serves everybody after a reset. */
static void come_back(void)
{
	const struct model_fn *fn = container_of(h->pci, struct model_fn, pci);

	source = NULL;
	h->gone = false;
	target.truth();
	memset(done, 0, sizeof(done));
	ck_assert_int_eq(reset_halted(), 0);
	issue_again();
	poll_all();
	if (target.check)
		target.check();
	for (unsigned i = 0; i < REQS; i++)
		ck_assert_uint_le(done[i], 1);
	if (target.block)
		prove_io();
	/* As long as it is the controller it finds nothing to complain about. */
	ck_assert_msg(
		!fn->protocol_errors && !fn->dma_faults, "%s", fn->protocol_what ? fn->protocol_what : "DMA");
}

static void first_run(void)
{
	target.bring_up();
	come_back();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct input in;

	in = (struct input){data, size};
	source = NULL;
	fake_ns = 1000 * NS_PER_SEC;
	generation = 0;
	if (!h)
		first_run();
	empty_loops();
	forget_all();
	let_lanes_go();
	target.rewind();
	source = &in;
	if (target.resume)
		target.resume();
	for (unsigned i = 0; in.n && i < STEPS; i++) {
		time_passes(STEP_NS);
		target.step[take8(&in) % ARRAY_SIZE(target.step)](&in);
		if (faulted)
			reset_step(&in);
		if (target.check)
			target.check();
	}
	come_back();
	fake_ns = 0;
	return 0;
}
