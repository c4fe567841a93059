/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SEND DIAGNOSTIC and RECEIVE DIAGNOSTIC RESULTS. The default self-test asks the unit whether it is ready; the page of
 * supported pages lists itself. Extended and background self-tests are the controller's business (patrol read),
 * and a unit must not go offline for one initiator's sake.
 */
#include "commands.h"

#include <string.h>
#include "base/endian.h"
#include "task.h"

#define SELF_TEST_CODE 0xe0
#define PF	       0x10
#define SELFTEST       0x04
#define PCV	       0x01
#define LIST_LEN       4 /* of page 00h, the only one */

static int ready_fill(struct scsi_task *t, struct hba_req *req, uint64_t *ret_span)
{
	memset(req->cdb, 0, sizeof(req->cdb)); /* TEST UNIT READY */
	req->cdb_len = 6;
	*ret_span = 1;
	return 0;
}

static const struct scsi_work work_ready = {.max_children = 1, .fill = ready_fill};

/* The one page that may be sent asks for the list of pages, which is what RECEIVE DIAGNOSTIC RESULTS gives anyway. */
static void take_page(struct scsi_task *t, uint32_t len)
{
	uint8_t list[LIST_LEN];

	t->dir = DMA_TO_DEVICE;
	if (t->iov_bytes != len)
		task_check(t, SENSE_INVALID_IU_FIELD);
	else if (len < LIST_LEN || iov_get(t->iov, t->niov, 0, list, LIST_LEN) < LIST_LEN)
		task_check(t, SENSE_LIST_LENGTH);
	else if (list[0])
		task_bad_list(t, 0, 7);
	else if (get_be16(list + 2) || len > LIST_LEN)
		task_bad_list(t, 2, 7);
	else
		task_good(t);
}

void cmd_send_diagnostic(struct scsi_task *t)
{
	uint16_t len = get_be16(t->cdb + 3);

	if (t->cdb[1] & SELF_TEST_CODE)
		task_bad_field(t, 1, 7);
	else if (t->cdb[1] & SELFTEST && len)
		task_bad_field(t, 3, 7);
	else if (t->cdb[1] & SELFTEST)
		task_work(t, &work_ready, 1);
	else if (len && !(t->cdb[1] & PF))
		task_bad_field(t, 1, 4);
	else if (len)
		take_page(t, len);
	else
		task_good(t);
}

/* Without PCV it is the page that was sent last: the same. */
void cmd_receive_diagnostic(struct scsi_task *t)
{
	static const uint8_t supported[] = {0x00, 0, 0, 1, 0x00};

	if (t->cdb[1] & PCV && t->cdb[2])
		task_bad_field(t, 2, 7);
	else
		task_reply(t, supported, sizeof(supported), get_be16(t->cdb + 3));
}
