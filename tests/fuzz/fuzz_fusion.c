/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Firmware of a Fusion controller that says what the input says: as fuzz_firmware.c does for MFI, with reply
 * descriptors, RAID contexts, task management and events.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "base/log.h"
#include "fuzz.h"
#include "hba/hba.h"
#include "hba/megaraid/fusion.h"
#include "hba/megaraid/megaraid.h"
#include "unit/hba/fusion/fusion_model.h"

#define REQS  8
#define STEPS 200

static struct model *model;
static struct hba *h;
static struct fusion *f;
static struct hba_unit units[2];
static struct hba_req req[REQS];
static bool flying[REQS];
static uint8_t data_buf[512];
static struct iovec iov = {data_buf, sizeof(data_buf)};
static struct input *source; /* NULL: firmware is the model */
static uint64_t n_fired;

/* --- the core --- */

struct hba_req *hba_req_by_tag(struct hba *hba, uint32_t tag)
{
	ck_assert(tag < h->limits.queue_depth);
	return tag < REQS && flying[tag] ? &req[tag] : NULL;
}

void hba_complete(struct hba_req *r)
{
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
	ck_assert(flying[r - req]);
}

enum hba_state hba_state(const struct hba *hba)
{
	return HBA_RUNNING;
}

void hba_note_data(const struct hba_req *r)
{
	ck_assert(r >= req && r < req + REQS && flying[r - req]);
}

void hba_fault(struct hba *hba, const char *why)
{
}

void hba_tell(struct hba *hba, uint32_t code, const char *text)
{
	for (; *text; text++)
		ck_assert(*text >= 0x20 && *text < 0x7f);
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

/* --- firmware --- */

static uint32_t (*model_read)(struct pci_dev *pci, unsigned n, uint64_t off);

static uint32_t fuzz_read(struct pci_dev *pci, unsigned n, uint64_t off)
{
	return source ? take32(source) : model_read(pci, n, off);
}

/* A descriptor that is sent names a number that has not been there. */
static void fuzz_write(struct pci_dev *pci, unsigned n, uint64_t off, uint32_t v)
{
	if (off == FUSION_REG_QUEUE_HIGH)
		n_fired++;
}

static void bring_up(void)
{
	static struct pci_ops ops;
	struct err e = {""};

	log_set_level(LOG_LV_ERR);
	model = malloc(sizeof(*model));
	model_init(model, INVADER);
	model->pd_map = true;
	h = calloc(1, sizeof(*h));
	h->pci = &model->fn.pci;
	h->irq_fd = eventfd(0, EFD_NONBLOCK);
	dma_space_init(&h->space, h->pci);
	for (const struct hba_match *match = fusion_ops.match; match->vendor; match++)
		if (match->device == 0x005d)
			ck_assert_msg(fusion_ops.attach(h, match, &e) == 0, "%s", e.text);
	ck_assert_msg(fusion_ops.start(h, &e) == 0, "%s", e.text);
	f = fusion_of(h->drv);
	ops = *h->pci->ops;
	model_read = ops.bar_read32;
	ops.bar_read32 = fuzz_read;
	ops.bar_write32 = fuzz_write;
	h->pci->ops = &ops;
	units[0] = (struct hba_unit){.name = "ld0", .kind = HBA_UNIT_LD};
	units[1] = (struct hba_unit){.name = "pd8", .kind = HBA_UNIT_PD, .target = 8, .index = 1};
}

static void forget_all(void)
{
	mfi_flush_forget(&f->m);
	fusion_forget_swept(f);
	fusion_tasks_forget(f);
	fusion_queue_reset(f);
	memset(flying, 0, sizeof(flying));
}

/* Runs are the same each time. */
static void reset_driver(void)
{
	forget_all();
	for (uint32_t i = 0; i < f->n_io; i++)
		f->free_smid[i] = (uint16_t)(i + 1);
	f->free_first = 0;
	f->no_seq = false;
	f->live = true;
	f->unit[1] = (struct fusion_unit){.handle = 0x19, .map_target = 263};
	memset(&f->event, 0, sizeof(f->event));
	memset(f->m.control.cpu, 0, FUSION_CTL_SIZE);
	memset(f->requests.cpu, 0, f->requests.size);
	memset(f->m.sense.cpu, 0, f->m.sense.size);
	f->m.context_limit = (struct log_limit){0};
	f->event_limit = f->unit_limit = (struct log_limit){0};
	h->n_units = 0;
}

/* --- steps --- */

static void submit(struct input *in)
{
	static const uint8_t read10[10] = {0x28, 0, 0, 0, 0, 0, 0, 0, 1};
	uint32_t tag = take8(in) % REQS;
	uint8_t what = take8(in);
	struct hba_req *r = &req[tag];

	if (flying[tag])
		return;
	memset(r, 0, sizeof(*r));
	list_init(&r->drv_link);
	r->hba = h;
	r->tag = tag;
	r->unit = &units[what & 1];
	r->kind = (enum hba_req_kind)(what >> 1 & 3) % 3;
	r->block_size = 512;
	r->timeout_ms = 1000;
	r->no_reissue = what & 8;
	r->doom = what & 0x10 ? HBA_ABORTED : 0;
	if (r->kind != HBA_REQ_FLUSH) {
		r->nblocks = 1;
		memcpy(r->cdb, read10, sizeof(read10));
		r->cdb_len = sizeof(read10);
		r->xfer = (struct dma_xfer){.iov = &iov, .niov = 1, .len = 512, .dir = DMA_FROM_DEVICE};
		r->seg[0] = (struct dma_seg){0x10000, 512};
		r->sgl = (struct dma_sgl){.seg = r->seg, .n = 1, .cap = HBA_MAX_SEGMENTS, .bytes = 512};
	}
	flying[tag] = true;
	fusion_ops.submit(h, r);
}

/* The number of a command that is (or was) at the controller, of any kind. */
static uint32_t some_smid(struct input *in)
{
	uint8_t what = take8(in);

	switch (what >> 6) {
	case 0:
	case 1:
		return f->tag[what % REQS].smid;
	case 2:
		return f->slot_smid + what % MFI_INTERNAL;
	default:
		return f->task_smid + what % FUSION_N_TASKS;
	}
}

/* Right or wild descriptors, in any queue. */
static void post(struct input *in)
{
	unsigned n = take8(in) % 16;

	while (n--) {
		struct fusion_queue *q = &f->queue[take8(in) % f->n_queues];
		uint32_t at = q->index;

		while (le64_to_cpu(q->ring[at]) != FUSION_REPLY_NONE && (at + 1) % f->queue_depth != q->index)
			at = (at + 1) % f->queue_depth;
		if (take8(in) & 0x80)
			take(in, &q->ring[at], sizeof(q->ring[at]));
		else
			q->ring[at] = cpu_to_le64((uint64_t)some_smid(in) << 16);
	}
}

/* Frames, sense and data are firmware's to write while a command is there. */
static void scribble(struct input *in)
{
	uint32_t smid = some_smid(in);
	uint8_t *frame = fusion_frame(f, smid);
	struct mfi_header *head;

	take(in, frame + 0x76, 2);
	take(in, frame + 0x80, 8);
	take(in, fusion_sense(f, smid), 20);
	if (smid < f->slot_smid || smid >= f->task_smid)
		return;
	head = mfi_frame(&f->m, f->m.depth + smid - f->slot_smid);
	head->cmd_status = take8(in);
}

static void event_data(struct input *in)
{
	unsigned at = take8(in) * 32u;

	take(in, f->m.control.cpu + FUSION_CTL_EVENT + at % 0x1000, 64);
}

static void abort_one(struct input *in)
{
	uint32_t tag = take8(in) % REQS;

	if (!flying[tag])
		return;
	req[tag].doom = HBA_ABORTED;
	fusion_ops.abort(h, &req[tag]);
}

static void reset(void)
{
	unsigned phase = 0;
	uint64_t now = clock_ns(), next;

	for (unsigned i = 0; i < 20; i++) {
		now += 20 * NS_PER_SEC;
		if (fusion_ops.reset_step(h, &phase, now, &next) <= 0)
			break;
	}
	/* All that was there is forgotten. */
	forget_all();
	f->live = true;
}

static void check(void)
{
	uint32_t at_work = 0, kept = 0;

	for (uint32_t smid = 1; smid <= f->n_io; smid++) {
		ck_assert(!f->smid[smid].kept || (f->smid[smid].named && !f->smid[smid].fired));
		at_work += f->smid[smid].fired;
		kept += f->smid[smid].kept;
	}
	ck_assert_uint_le(kept, FUSION_N_TASKS);
	ck_assert_uint_eq(at_work + kept + f->n_free, f->n_io);
	for (unsigned q = 0; q < f->n_queues; q++)
		ck_assert(f->queue[q].index < f->queue_depth);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct input in;

	in = (struct input){data, size};
	source = NULL;
	if (!f)
		bring_up();
	reset_driver();
	source = &in;
	fusion_events_resume(f);
	for (unsigned i = 0; in.n && i < STEPS; i++) {
		switch (take8(&in) % 8) {
		case 0:
		case 1:
			submit(&in);
			break;
		case 2:
			scribble(&in);
			break;
		case 3:
			post(&in);
			break;
		case 4:
			abort_one(&in);
			break;
		case 5:
			event_data(&in);
			break;
		case 6:
			reset();
			break;
		default:
			fusion_ops.poll(h);
		}
		check();
	}
	return 0;
}
