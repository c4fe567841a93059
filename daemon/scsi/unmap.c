/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * UNMAP, for units that do it (struct scsi_thin). The initiator's list is checked here, descriptor by descriptor,
 * and the unit gets a list of ours.
 */
#include "commands.h"

#include <errno.h>
#include <string.h>
#include "base/endian.h"
#include "task.h"

#define ANCHOR	     0x01
#define HEADER	     8
#define DESC	     16
#define LENGTH_AT    7 /* PARAMETER LIST LENGTH in the CDB */
#define DESCS_LEN_AT 2 /* BLOCK DESCRIPTOR DATA LENGTH in the list */

static_assert(HEADER + SCSI_UNMAP_MAX_DESCS * DESC <= SCRATCH_BYTES, "our list fits a scratch buffer");

bool can_unmap(const struct scsi_lun *lun)
{
	return lun->facts.thin.unmap;
}

/* Start and length of a descriptor's extent. What is not there reads as nothing to do. */
static uint32_t read_desc(const struct scsi_task *t, unsigned i, uint64_t *ret_lba)
{
	uint8_t desc[DESC] = {0};

	iov_get(t->iov, t->niov, HEADER + (uint64_t)i * DESC, desc, sizeof(desc));
	*ret_lba = get_be64(desc);
	return get_be32(desc + 8);
}

/* --- at the unit --- */

/* The list is in the initiator's memory, and read again now: what has changed since it was checked stays within what
 * was checked, by being left out. */
static unsigned put_descs(const struct scsi_task *t, uint8_t *list)
{
	uint64_t lbas = t->lun->facts.thin.max_lbas, lba;
	unsigned n = 0;

	for (unsigned i = 0; i < t->arg[0]; i++) {
		uint32_t blocks = read_desc(t, i, &lba);
		uint8_t *desc = list + HEADER + n * DESC;

		if (!blocks || blocks > lbas || lba < t->lba || lba - t->lba > t->nblocks ||
			blocks > t->nblocks - (lba - t->lba))
			continue;
		lbas -= blocks;
		memset(desc, 0, DESC);
		put_be64(desc, lba);
		put_be32(desc + 8, blocks);
		n++;
	}
	return n;
}

static int unmap_fill(struct scsi_task *t, struct hba_req *req, uint64_t *ret_span)
{
	struct iovec *scratch = task_scratch(t);
	uint16_t bytes;
	uint8_t *list;

	if (!scratch)
		return -ENOBUFS;
	list = scratch->iov_base;
	bytes = (uint16_t)(put_descs(t, list) * DESC);
	memset(list, 0, HEADER);
	put_be16(list, (uint16_t)(HEADER - 2 + bytes));
	put_be16(list + DESCS_LEN_AT, bytes);
	memset(req->cdb, 0, sizeof(req->cdb));
	req->cdb[0] = 0x42;
	put_be16(req->cdb + LENGTH_AT, (uint16_t)(HEADER + bytes));
	req->cdb_len = 10;
	req->xfer.iov = scratch;
	req->xfer.niov = 1;
	req->xfer.len = HEADER + bytes;
	req->xfer.dir = DMA_TO_DEVICE;
	*ret_span = 1;
	return 0;
}

/* One request: it is within the unit's own limits. */
static const struct scsi_work work_unmap = {.max_children = 1, .fill = unmap_fill};

/* --- the command --- */

/* Leaves the number of descriptors in arg[0]; false: completed. An incomplete one at the end is to be ignored. */
static bool read_header(struct scsi_task *t, uint16_t len)
{
	uint8_t header[HEADER] = {0};
	uint16_t descs_len;

	if (len < HEADER) {
		task_check(t, SENSE_LIST_LENGTH);
		return false;
	}
	iov_get(t->iov, t->niov, 0, header, sizeof(header));
	descs_len = get_be16(header + DESCS_LEN_AT);
	if (descs_len > len - HEADER) {
		task_check(t, SENSE_LIST_LENGTH);
		return false;
	}
	t->arg[0] = descs_len / DESC;
	if (t->arg[0] <= t->lun->facts.thin.max_descs)
		return true;
	task_bad_list(t, DESCS_LEN_AT, 7);
	return false;
}

/* All extents and their sum; t->lba and t->nblocks span them. False: completed. */
static bool check_descs(struct scsi_task *t)
{
	uint64_t blocks_of_unit = t->lun->facts.id.blocks, sum = 0, end = 0, lba;

	for (unsigned i = 0; i < t->arg[0]; i++) {
		uint32_t blocks = read_desc(t, i, &lba);

		if (lba > blocks_of_unit || blocks > blocks_of_unit - lba) {
			task_check(t, SENSE_LBA_OUT_OF_RANGE);
			return false;
		}
		sum += blocks;
		if (sum > t->lun->facts.thin.max_lbas) {
			task_bad_list(t, HEADER + i * DESC + 8, 7);
			return false;
		}
		if (!blocks)
			continue;
		t->lba = end ? MIN(t->lba, lba) : lba;
		end = MAX(end, lba + blocks);
	}
	t->nblocks = end - t->lba;
	return true;
}

void cmd_unmap(struct scsi_task *t)
{
	uint16_t len = get_be16(t->cdb + LENGTH_AT);

	/* ANC_SUP is 0. */
	if (t->cdb[1] & ANCHOR)
		task_bad_field(t, 1, 0);
	else if (!rw_data_out(t, len))
		return;
	else if (!len)
		task_good(t);
	else if (!read_header(t, len) || !check_descs(t))
		return;
	else if (!t->nblocks)
		task_good(t);
	else
		task_work(t, &work_unmap, 1);
}
