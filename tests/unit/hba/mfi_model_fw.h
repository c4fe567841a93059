/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the two halves of the model offer each other. The caller holds the lock. */
#ifndef HBAD_TESTS_HBA_MFI_MODEL_FW_H
#define HBAD_TESTS_HBA_MFI_MODEL_FW_H

#include "mfi_model.h"

/* A frame arrives, by this write. */
void fw_submit(struct model *m, uint64_t frame, uint32_t fire);
/* Executes and answers a data or SCSI frame. */
void fw_execute(struct model *m, uint64_t frame);
/* Stores the status and posts the context. */
void fw_answer(struct model *m, uint64_t frame, uint8_t status, uint8_t scsi_status);
void fw_post(struct model *m, uint32_t context);
void fw_interrupt(struct model *m);
/* Into the data of a DCMD: exactly one SG32 element, as Linux sends them. */
void fw_dcmd_data(struct model *m, const uint8_t *f, const uint8_t *data, uint32_t len);
/* DCMDs of the event log; the answer of a wait comes later. */
uint8_t fw_event_info(struct model *m, const uint8_t *f);
void fw_event_wait(struct model *m, uint64_t frame, const uint8_t *f);
/* Answers the wait, if the recorded event is for it. */
void fw_deliver_event(struct model *m);
/* An ABORT of the wait. */
void fw_abort_wait(struct model *m, uint64_t frame);
/* Forgets the i-th held frame. */
void fw_drop_pending(struct model *m, unsigned i);

#endif
