/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between the two files of the model. Callers hold the lock. */
#ifndef HBAD_TESTS_HBA_FUSION_MODEL_FW_H
#define HBAD_TESTS_HBA_FUSION_MODEL_FW_H

#include "fusion_model.h"

void fw_descriptor(struct model *m, uint64_t desc);
void fw_execute(struct model *m, struct model_request q);
void fw_drop_pending(struct model *m, unsigned i);
void fw_post(struct model *m, struct model_request q);
void fw_post_raw(struct model *m, unsigned queue, uint64_t desc);
void fw_forget(struct model *m);
void fw_answer_mfi(struct model *m, struct model_request q, uint8_t status);
/* What a task management request takes along, without its answer. */
void fw_kill_for_task(struct model *m, struct model_request q);
void fw_do_task(struct model *m, struct model_request q);
void fw_deliver_event(struct model *m);

#endif
