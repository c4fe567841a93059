/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Firmware of a MegaRAID controller that says what the input says: payloads of DCMDs, command statuses, sense, contexts
 * and the index of the reply ring, register values. See controller.h.
 */
#include <stdlib.h>
#include "controller.h"
#include "hba/megaraid/megaraid.h"
#include "hba/megaraid/mfi.h"
#include "unit/hba/mfi_model.h"

static struct model *model;
static struct mfi *m;
static struct mfi_iop iop;

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

/* --- set-up --- */

static void bring_up(void)
{
	model = malloc(sizeof(*model));
	model_init(model, GEN2);
	controller_up(&model->fn.pci, 0x0078);
	m = h->drv;
	iop = *m->iop;
	iop.fire = fuzz_fire;
	m->iop = &iop;
}

static void forget(void)
{
	mfi_flush_forget(m);
	mfi_queue_reset(m);
}

static void rewind_driver(void)
{
	memset(m->control.cpu + MFI_CTL_DATA, 0, MFI_CTL_DATA_LEN);
	for (uint32_t i = 0; i < m->depth + MFI_INTERNAL; i++)
		m->slot[i].use = 0;
	m->context_limit = (struct log_limit){0};
}

/* --- steps --- */

static void discover(struct input *in)
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
	uint8_t what;
	struct hba_req *r = new_request(in, &what);

	if (r)
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
	struct hba_req *r = flying_request(in);

	if (r)
		mfi_ops.abort(h, r);
}

const struct target target = {
	.ops = &mfi_ops,
	.bring_up = bring_up,
	.forget = forget,
	.rewind = rewind_driver,
	.step = {submit, submit, scribble, post, abort_one, discover, reset_step, poll_step},
};
