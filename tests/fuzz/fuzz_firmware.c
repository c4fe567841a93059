/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Firmware of a MegaRAID controller that says what the input says. The driver is brought up by the model of the unit
 * tests; from then on what it fires is answered by the input: payloads of DCMDs, command statuses, sense, contexts and
 * the index of the reply ring, register values. The core of the hba layer is replaced by one that only counts: each
 * request is completed at most once while it is at the controller, with results inside their bounds.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "base/log.h"
#include "fuzz.h"
#include "hba/hba.h"
#include "hba/megaraid/megaraid.h"
#include "hba/megaraid/mfi.h"
#include "unit/hba/mfi_model.h"

#define REQS  8
#define STEPS 200

static struct model *model;
static struct hba *h;
static struct mfi *m;
static struct mfi_iop iop;
static struct hba_unit units[2];
static struct hba_req req[REQS];
static bool flying[REQS];
static uint8_t data_buf[512];
static struct iovec iov = {data_buf, sizeof(data_buf)};
static struct input *source; /* NULL: firmware is the model */

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

void clock_sleep_ms(unsigned ms)
{
}

/* --- firmware --- */

static void fuzz_fire(struct mfi *mfi, uint32_t frame, unsigned extra)
{
	uint32_t slot = (frame - (uint32_t)m->frames.iova) / MFI_FRAME_SLOT;
	struct mfi_header *head = mfi_frame(m, slot);

	ck_assert(slot < m->depth + MFI_INTERNAL);
	if (slot != m->depth + MFI_SLOT_POLLED)
		return;
	/* A waiter: its answer comes at once. Zeros fill it as far as the input does not. */
	for (unsigned at = 0; source->n && at < MFI_CTL_DATA_LEN; at += 64)
		take(source, m->control.cpu + MFI_CTL_DATA + at, 64);
	head->cmd_status = take8(source) & 1 ? take8(source) & 0x7f : MFI_OK;
}

static uint32_t (*model_read)(struct pci_dev *pci, unsigned n, uint64_t off);

static uint32_t fuzz_read(struct pci_dev *pci, unsigned n, uint64_t off)
{
	return source ? take32(source) : model_read(pci, n, off);
}

static void fuzz_write(struct pci_dev *pci, unsigned n, uint64_t off, uint32_t v)
{
}

/* --- set-up --- */

static void bring_up(void)
{
	static struct pci_ops ops;
	struct err e = {""};

	log_set_level(LOG_LV_ERR);
	model = malloc(sizeof(*model));
	model_init(model, GEN2);
	h = calloc(1, sizeof(*h));
	h->pci = &model->fn.pci;
	h->irq_fd = eventfd(0, EFD_NONBLOCK);
	dma_space_init(&h->space, h->pci);
	ck_assert_msg(mfi_ops.attach(h, &mfi_ops.match[2], &e) == 0, "%s", e.text);
	ck_assert_msg(mfi_ops.start(h, &e) == 0, "%s", e.text);
	m = h->drv;
	iop = *m->iop;
	iop.fire = fuzz_fire;
	m->iop = &iop;
	ops = *h->pci->ops;
	model_read = ops.bar_read32;
	ops.bar_read32 = fuzz_read;
	ops.bar_write32 = fuzz_write;
	h->pci->ops = &ops;
	units[0] = (struct hba_unit){.name = "ld0", .kind = HBA_UNIT_LD};
	units[1] = (struct hba_unit){.name = "pd8", .kind = HBA_UNIT_PD, .target = 8};
}

static void reset_driver(void)
{
	mfi_flush_forget(m);
	mfi_queue_reset(m);
	memset(m->control.cpu + MFI_CTL_DATA, 0, MFI_CTL_DATA_LEN);
	for (uint32_t i = 0; i < m->depth + MFI_INTERNAL; i++)
		m->slot[i].use = 0; /* runs are the same each time */
	memset(flying, 0, sizeof(flying));
	m->context_limit = (struct log_limit){0};
}

/* --- steps --- */

static void discover(void)
{
	struct err e = {""};

	m->polled_lost = false;
	if (mfi_discover(m, &e) < 0)
		ck_assert(e.text[0]);
	ck_assert_uint_le(h->n_units, HBA_MAX_UNITS);
	ck_assert(h->limits.max_transfer >= 4096 && h->limits.max_transfer % 4096 == 0);
	for (unsigned i = 0; i < h->n_units; i++)
		ck_assert_uint_le(h->unit[i].target, UINT8_MAX);
	for (const char *p = h->info.product; *p; p++)
		ck_assert(*p >= 0x20 && *p < 0x7f);
}

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
	if (r->kind != HBA_REQ_FLUSH) {
		r->nblocks = 1;
		memcpy(r->cdb, read10, sizeof(read10));
		r->cdb_len = sizeof(read10);
		r->xfer = (struct dma_xfer){.iov = &iov, .niov = 1, .len = 512, .dir = DMA_FROM_DEVICE};
		r->seg[0] = (struct dma_seg){0x10000, 512};
		r->sgl = (struct dma_sgl){.seg = r->seg, .n = 1, .cap = HBA_MAX_SEGMENTS, .bytes = 512};
	}
	flying[tag] = true;
	mfi_ops.submit(h, r);
}

/* Right, nearly right, or wild contexts, in any number. */
static void post(struct input *in)
{
	le32_t *ring = (le32_t *)(m->control.cpu + MFI_CTL_RING);
	le32_t *producer = (le32_t *)(m->control.cpu + MFI_CTL_PRODUCER);
	uint32_t at = le32_to_cpu(*producer) % m->fw_cmds, n = take8(in) % 16;

	while (n--) {
		uint8_t what = take8(in);
		uint32_t slot = (what & 0x40 ? m->depth : 0) + (what & 0x0f) % (MFI_INTERNAL + 2);
		uint32_t context = slot < m->depth + MFI_INTERNAL ? mfi_slot_context(m, slot) : slot;

		ring[at] = cpu_to_le32(what & 0x80 ? take32(in) : context);
		at = (at + 1) % m->fw_cmds;
	}
	*producer = cpu_to_le32(take8(in) == 0xff ? take32(in) : at);
}

/* Frames and sense are firmware's to write while a command is there. */
static void scribble(struct input *in)
{
	uint32_t slot = take8(in) % (REQS + 1);
	struct mfi_header *head;

	slot = slot == REQS ? m->depth + MFI_SLOT_FLUSH : slot;
	head = mfi_frame(m, slot);
	head->cmd_status = take8(in);
	head->scsi_status = take8(in);
	if (slot < REQS)
		take(in, m->sense.cpu + slot * MFI_SENSE_SLOT, 20);
}

static void abort_one(struct input *in)
{
	uint32_t tag = take8(in) % REQS;

	if (flying[tag])
		mfi_ops.abort(h, &req[tag]);
}

static void reset(struct input *in)
{
	unsigned phase = 0;
	uint64_t now = clock_ns(), next;

	for (unsigned i = 0; i < 20; i++) {
		now += 20 * NS_PER_SEC;
		if (mfi_ops.reset_step(h, &phase, now, &next) <= 0)
			break;
	}
	/* All that was there is forgotten. */
	mfi_flush_forget(m);
	mfi_queue_reset(m);
	memset(flying, 0, sizeof(flying));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct input in;

	in = (struct input){data, size};
	source = NULL;
	if (!m)
		bring_up();
	reset_driver();
	source = &in;
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
			discover();
			break;
		case 6:
			reset(&in);
			break;
		default:
			mfi_ops.poll(h);
		}
	}
	return 0;
}
