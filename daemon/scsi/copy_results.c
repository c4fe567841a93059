/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RECEIVE COPY RESULTS (LID1), SPC-4 6.19: how far a copy is, how it ended, and what copies this host takes. The
 * last COPY_RECORDS copies are remembered per LUN and list identifier, whoever sent them: nobody tells us. No
 * descriptor keeps data for RECEIVE DATA, which is refused.
 */
#include "copy.h"

#include <string.h>
#include "base/endian.h"
#include "commands.h"

enum copy_state { COPY_IN_PROGRESS, COPY_ENDED_GOOD, COPY_ENDED_BAD };

#define FAILED_HEADER_LEN 60
#define SNLID		  0x01 /* LIST ID USAGE 11b is supported */

static struct copy_record *find_record(struct copies *all, const struct scsi_lun *lun, uint8_t list_id)
{
	for (unsigned i = 0; i < COPY_RECORDS; i++)
		if (all->record[i].lun == lun && all->record[i].list_id == list_id)
			return &all->record[i];
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
	struct copy_record *r = find_record(all, t->lun, c->list_id);

	if (c->usage != COPY_HOLD || !c->accepted || t->lun->retired ||
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
	const struct copy_record *r = find_record(all, t->lun, t->cdb[2]);

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
	const struct copy_record *r = find_record(all, t->lun, t->cdb[2]);
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

/* MAXIMUM SEGMENT LENGTH is what a segment can say in the largest blocks. */
void cmd_copy_parameters(struct scsi_task *t)
{
	uint8_t data[46] = {0};

	put_be32(data, sizeof(data) - 4);
	data[4] = SNLID;
	put_be16(data + 8, COPY_MAX_CSCDS);
	put_be16(data + 10, COPY_MAX_SEGMENTS);
	put_be32(data + 12, COPY_LIST_MAX);
	put_be32(data + 16, UINT16_MAX * UINT32_C(4096));
	put_be16(data + 34, COPY_MAX_COPIES);
	data[36] = COPY_MAX_COPIES;
	data[37] = (uint8_t)__builtin_ctz(t->lun->facts.id.block_size);
	data[43] = 2;
	data[44] = COPY_BLOCK_TO_BLOCK;
	data[45] = COPY_CSCD_IDENTIFICATION;
	task_reply(t, data, sizeof(data), get_be32(t->cdb + 10));
}
