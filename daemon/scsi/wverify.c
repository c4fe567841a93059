/* SPDX-License-Identifier: GPL-2.0-or-later */
/* WRITE AND VERIFY: a write, and then VERIFY's own work on the same blocks. */
#include "commands.h"

#include "task.h"

/* What is verified must be what is on the medium: the controller's cache is emptied in between unless it
 * honours FUA. There the write had it, too, so that also a unit that verifies by itself finds its data on the
 * medium. */
static bool wv_next(struct scsi_task *t)
{
	rw_force_medium(t);
	task_next_body(t, verify_work(t, verify_bytchk(t)), t->bytes);
	return true;
}

static const struct scsi_work work_write_first = {
	.max_children = SCSI_MAX_CHILDREN, .fill = rw_fill, .next = wv_next};

/* SBC-3 5.46: BYTCHK knows 00b and 01b. There is no FUA bit. */
void cmd_write_verify(struct scsi_task *t)
{
	uint32_t nblocks;
	uint64_t bytes;

	if (verify_bytchk(t) > BYTCHK_ALL) {
		task_bad_field(t, rw_bits_at(t), 2);
		return;
	}
	if (!rw_no_protection(t) || !rw_range(t, &nblocks))
		return;
	bytes = (uint64_t)nblocks * t->lun->facts.id.block_size;
	if (!rw_data_out(t, bytes))
		return;
	rw_take_dpo(t);
	if (t->lun->fua_native)
		t->flags |= TASK_FUA;
	task_work(t, bytes ? &work_write_first : NULL, bytes);
}
