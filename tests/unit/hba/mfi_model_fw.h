/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the two halves of the model offer each other. The caller holds the lock. */
#ifndef HBAD_TESTS_HBA_MFI_MODEL_FW_H
#define HBAD_TESTS_HBA_MFI_MODEL_FW_H

#include "mfi_model.h"

/* A frame arrives. */
void fw_submit(struct model *m, uint64_t frame);
/* Executes and answers a data or SCSI frame. */
void fw_execute(struct model *m, uint64_t frame);
/* Stores the status and posts the context. */
void fw_answer(struct model *m, uint64_t frame, uint8_t status, uint8_t scsi_status);
void fw_post(struct model *m, uint32_t context);
void fw_interrupt(struct model *m);
/* Forgets the i-th held frame. */
void fw_drop_pending(struct model *m, unsigned i);

#endif
