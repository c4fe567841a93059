/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the two halves of the model offer each other. The caller holds the lock. */
#ifndef HBAD_TESTS_HBA_MFI_MODEL_FW_H
#define HBAD_TESTS_HBA_MFI_MODEL_FW_H

#include "mfi_model.h"

/* A frame arrives. */
void fw_submit(struct mfi_model *m, uint64_t frame);
/* Executes and answers a data or SCSI frame. */
void fw_execute(struct mfi_model *m, uint64_t frame);
/* Stores the status and posts the context. */
void fw_answer(struct mfi_model *m, uint64_t frame, uint8_t status, uint8_t scsi_status);
void fw_post(struct mfi_model *m, uint32_t context);
void fw_interrupt(struct mfi_model *m);
/* Forgets the i-th held frame. */
void fw_drop_pending(struct mfi_model *m, unsigned i);
uint32_t fw_dma_read32(struct mfi_model *m, uint64_t iova);
void fw_dma_write32(struct mfi_model *m, uint64_t iova, uint32_t v);

#endif
