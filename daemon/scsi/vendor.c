/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Opcodes C0h to FFh, passed where the LUN's configuration names them. LIO delivers ten bytes of their CDBs and
 * zeros behind (hazard H17), so ten bytes go to the unit. Nothing in such a CDB tells the direction of the data,
 * so the configuration does, and their length is what the initiator has room for.
 */
#include "commands.h"

#include "through.h"

static const struct through vendor = {.unit = 1, .once = true};

void cmd_vendor(struct scsi_task *t)
{
	switch ((enum dma_dir)(t->lun->cfg.vendor[t->cdb[0] - OP_VENDOR] - 1)) {
	case DMA_FROM_DEVICE:
		through_in_exact(t, &vendor, t->iov_bytes);
		return;
	case DMA_TO_DEVICE:
		through_out(t, &vendor, t->iov_bytes);
		return;
	default:
		through_no_data(t, &vendor);
	}
}
