/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RECEIVE COPY RESULTS (LID1), SPC-4 6.19: how far a copy is, how it ended, and what copies this host takes, which VPD
 * page 8Fh tells, too. No descriptor keeps data for RECEIVE DATA, which is refused.
 *
 * Copies that ended are remembered per LUN and list identifier, whoever sent them: nobody tells us. Neither are we told
 * of resets and of initiators that leave, with which their copies are to be forgotten, so all are after some seconds:
 * who asks at all asks at once, and an identifier that another initiator used is none of its own.
 */
#include "copy.h"

#include <string.h>
#include "base/endian.h"
#include "commands.h"

enum copy_state { COPY_IN_PROGRESS, COPY_ENDED_GOOD, COPY_ENDED_BAD };

#define FAILED_HEADER_LEN 60
#define SNLID		  0x01 /* LIST ID USAGE 11b is supported */

static struct copy_record *find_record(const struct scsi_lun *lun, uint8_t list_id)
{
	struct copies *all = lun->host->copies;
	uint64_t now = loop_now(lun->host->loop);

	for (unsigned i = 0; i < COPY_RECORDS; i++) {
		struct copy_record *r = &all->record[i];

		if (r->lun == lun && r->list_id == list_id && now - r->ended_ns < COPY_RECORD_NS)
			return r;
	}
	return NULL;
}

static const struct copy *find_running(const struct copies *all, const struct scsi_lun *lun, uint8_t list_id)
{
	for (unsigned i = 0; i < COPY_MAX_COPIES; i++) {
		const struct copy *c = &all->copy[i];

		if (c->t && c->t->lun == lun && c->list_id == list_id && c->usage != COPY_NO_ID)
			return c;
	}
	return NULL;
}

void copy_forget(struct copies *all, const struct scsi_lun *lun)
{
	for (unsigned i = 0; i < COPY_RECORDS; i++)
		if (all->record[i].lun == lun)
			all->record[i].lun = NULL;
}

/* An aborted one has no end that anybody was told. */
void copy_remember(struct copy *c)
{
	struct copies *all = c->host->copies;
	const struct scsi_task *t = c->t;
	struct copy_record *r = find_record(t->lun, c->list_id);

	if (c->usage != COPY_HOLD || !c->accepted || !t->lun->serving ||
		(c->stop && !(t->flags & TASK_FAILED)))
		return;
	if (!r)
		r = &all->record[all->next_record++ % COPY_RECORDS];
	r->lun = t->lun;
	r->list_id = c->list_id;
	r->status = t->status;
	r->sense_len = t->sense_len;
	memcpy(r->sense, t->sense, sizeof(r->sense));
	r->segments = (uint16_t)c->segment;
	r->bytes = c->done;
	r->ended_ns = loop_now(c->host->loop);
}

static void reply_status(struct scsi_task *t, enum copy_state state, unsigned segments, uint64_t bytes)
{
	bool large = bytes > UINT32_MAX;
	uint8_t data[12] = {0, 0, 0, sizeof(data) - 4, (uint8_t)state};

	put_be16(data + 5, (uint16_t)segments);
	data[7] = large; /* in bytes, or KiB */
	put_be32(data + 8, (uint32_t)(large ? MIN(bytes >> 10, UINT32_MAX) : bytes));
	task_reply(t, data, sizeof(data), get_be32(t->cdb + 10));
}

void cmd_copy_status(struct scsi_task *t)
{
	struct copies *all = t->lun->host->copies;
	const struct copy *c = find_running(all, t->lun, t->cdb[2]);
	const struct copy_record *r = find_record(t->lun, t->cdb[2]);

	if (c)
		reply_status(t, COPY_IN_PROGRESS, c->segment, c->done);
	else if (r)
		reply_status(
			t, r->status == SCSI_GOOD ? COPY_ENDED_GOOD : COPY_ENDED_BAD, r->segments, r->bytes);
	else
		task_bad_field(t, 2, 7);
}

void cmd_copy_failure(struct scsi_task *t)
{
	struct copies *all = t->lun->host->copies;
	const struct copy_record *r = find_record(t->lun, t->cdb[2]);
	uint8_t data[FAILED_HEADER_LEN + SCSI_SENSE_SIZE] = {0};
	size_t len = 4;

	if (!r || find_running(all, t->lun, t->cdb[2])) {
		task_bad_field(t, 2, 7);
		return;
	}
	/* AVAILABLE DATA 0: it has not failed. */
	if (r->status != SCSI_GOOD) {
		len = FAILED_HEADER_LEN + (size_t)r->sense_len;
		put_be32(data, (uint32_t)len - 4);
		data[56] = r->status;
		put_be16(data + 58, r->sense_len);
		memcpy(data + FAILED_HEADER_LEN, r->sense, r->sense_len);
	}
	task_reply(t, data, len, get_be32(t->cdb + 10));
}

void cmd_copy_parameters(struct scsi_task *t)
{
	uint8_t data[46] = {0};

	put_be32(data, sizeof(data) - 4);
	data[4] = SNLID;
	put_be16(data + 8, COPY_MAX_CSCDS);
	put_be16(data + 10, COPY_MAX_SEGMENTS);
	put_be32(data + 12, COPY_LIST_MAX);
	put_be32(data + 16, COPY_MAX_SEGMENT_BYTES);
	put_be16(data + 34, COPY_MAX_COPIES);
	data[36] = COPY_MAX_COPIES;
	data[37] = (uint8_t)__builtin_ctz(t->lun->facts.id.block_size);
	data[43] = 2;
	data[44] = COPY_BLOCK_TO_BLOCK;
	data[45] = COPY_CSCD_IDENTIFICATION;
	task_reply(t, data, sizeof(data), get_be32(t->cdb + 10));
}

/* --- VPD page 8Fh, SPC-4 7.8.17 --- */

enum {
	TPC_COMMANDS = 0x0001,
	TPC_PARAMETERS = 0x0004,
	TPC_DESCRIPTORS = 0x0008,
	TPC_CSCD_IDS = 0x000c,
	TPC_GENERAL = 0x8001,
	TPC_HELD_DATA = 0xc001,
};

/* A descriptor of so many bytes behind its head; returns where they are, zeros. */
static uint8_t *add_tpc(struct scsi_page *p, uint16_t type, uint16_t len)
{
	uint8_t *d = p->data + p->len;

	put_be16(d, type);
	put_be16(d + 2, len);
	p->len = (uint16_t)(p->len + 4 + len);
	put_be16(p->data + 2, (uint16_t)(p->len - 4));
	return d + 4;
}

void scsi_build_copy_page(uint32_t block_size, struct scsi_page *p)
{
	/* opcode, number of service actions, service actions */
	static const uint8_t commands[] = {0x83, 1, 0x00, 0x84, 3, 0x00, 0x03, 0x04};
	uint8_t *d;

	memset(p, 0, sizeof(*p));
	p->data[1] = 0x8f;
	p->len = 4;
	d = add_tpc(p, TPC_COMMANDS, 12);
	d[0] = sizeof(commands);
	memcpy(d + 1, commands, sizeof(commands));
	d = add_tpc(p, TPC_PARAMETERS, 28);
	put_be16(d + 4, COPY_MAX_CSCDS);
	put_be16(d + 6, COPY_MAX_SEGMENTS);
	put_be32(d + 8, COPY_LIST_MAX);
	d = add_tpc(p, TPC_DESCRIPTORS, 4);
	d[0] = 2;
	d[1] = COPY_BLOCK_TO_BLOCK;
	d[2] = COPY_CSCD_IDENTIFICATION;
	add_tpc(p, TPC_CSCD_IDS, 4); /* none above 07FFh */
	d = add_tpc(p, TPC_GENERAL, 32);
	put_be32(d, COPY_MAX_COPIES);
	put_be32(d + 4, COPY_MAX_COPIES);
	put_be32(d + 8, COPY_MAX_SEGMENT_BYTES);
	d[12] = (uint8_t)__builtin_ctz(block_size);
	add_tpc(p, TPC_HELD_DATA, 28);
}
