/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * FORMAT UNIT. Logical drives cannot be formatted by command; what a format promises to the initiator, all blocks
 * readable and filled with the initialization pattern, is had by writing them. The medium's defects are the
 * controller's business: lists of them are refused.
 */
#include "commands.h"

#include <string.h>
#include "base/endian.h"
#include "task.h"

/* byte 1 of the CDB */
#define FMTPINFO 0xc0
#define LONGLIST 0x20
#define FMTDATA	 0x10
#define FFMT	 0x03 /* in byte 4: a fast format, which leaves the blocks as they are */

/* byte 1 of the list's header */
#define FOV   0x80
#define DPRY  0x40
#define DCRT  0x20
#define STPF  0x10
#define IP    0x08
#define IMMED 0x02

/* byte 0 of the initialization pattern descriptor */
#define IP_MODIFIER    0xc0
#define IP_SECURE      0x20 /* blocks that were replaced, too */

#define PATTERN_HEADER 4
enum pattern_type { PATTERN_DEFAULT, PATTERN_REPEAT };

/* Each function below returns false when it has completed the task. */

static bool bad_list(struct scsi_task *t, unsigned byte, int bit)
{
	task_bad_list(t, byte, bit);
	return false;
}

static bool check_cdb(struct scsi_task *t)
{
	if (t->cdb[1] & FMTPINFO)
		task_bad_field(t, 1, 7);
	else if (t->cdb[4] & FFMT)
		task_bad_field(t, 4, 1);
	else
		return true;
	return false;
}

/* Protection, defect list, and the options that only FOV makes valid. Certification and what to do without a defect
 * list mean nothing where no list is kept; not to use the primary one (DPRY) cannot be had. */
static bool check_header(struct scsi_task *t, const uint8_t *header, unsigned len)
{
	bool wide = len == 8;

	if (header[0] & 0x07)
		return bad_list(t, 0, 2);
	if (!(header[1] & FOV) && header[1] & (DPRY | DCRT | STPF | IP))
		return bad_list(t, 1, 7);
	if (header[1] & DPRY)
		return bad_list(t, 1, 6);
	if (wide && header[3])
		return bad_list(t, 3, 7);
	if (wide ? get_be32(header + 4) : get_be16(header + 2))
		return bad_list(t, wide ? 4 : 2, 7);
	return true;
}

static bool check_pattern(struct scsi_task *t, unsigned at, struct wipe_plan *plan)
{
	uint8_t desc[PATTERN_HEADER] = {0};
	uint16_t len;

	iov_get(t->iov, t->niov, at, desc, sizeof(desc));
	len = get_be16(desc + 2);
	if (desc[0] & IP_MODIFIER)
		return bad_list(t, at, 7);
	if (desc[0] & IP_SECURE)
		return bad_list(t, at, 5);
	if (desc[1] > PATTERN_REPEAT)
		return bad_list(t, at + 1, 7);
	if (desc[1] == PATTERN_DEFAULT ? len != 0 : !len || len > t->lun->facts.id.block_size)
		return bad_list(t, at + 2, 7);
	plan->pattern_at = (uint16_t)(at + PATTERN_HEADER);
	plan->pattern_len = len;
	return true;
}

static bool read_list(struct scsi_task *t, struct wipe_plan *plan)
{
	unsigned len = t->cdb[1] & LONGLIST ? 8 : 4;
	uint8_t header[8] = {0};

	if (t->iov_bytes < len)
		return rw_data_out(t, len);
	iov_get(t->iov, t->niov, 0, header, len);
	if (!check_header(t, header, len))
		return false;
	plan->immed = header[1] & IMMED;
	if (header[1] & IP) {
		if (t->iov_bytes < len + PATTERN_HEADER)
			return rw_data_out(t, len + PATTERN_HEADER);
		if (!check_pattern(t, len, plan))
			return false;
		len += PATTERN_HEADER + plan->pattern_len;
	}
	return rw_data_out(t, len);
}

void cmd_format_unit(struct scsi_task *t)
{
	struct wipe_plan plan = {.state = WIPE_FORMAT, .passes = 1};
	bool has_list = t->cdb[1] & FMTDATA;

	if (!has_list)
		t->dir = DMA_NONE;
	if (!check_cdb(t) || !(has_list ? read_list(t, &plan) : rw_data_out(t, 0)))
		return;
	wipe_start(t, &plan);
}
