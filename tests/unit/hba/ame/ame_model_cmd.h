/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between the two files of the model; the caller holds the lock. */
#ifndef HBAD_TESTS_HBA_AME_MODEL_CMD_H
#define HBAD_TESTS_HBA_AME_MODEL_CMD_H

#include "ame_model.h"
#include "hba/model_bytes.h"

void model_reply_fast(struct model *m, const uint8_t *f);
uint32_t model_reply_frame(struct model *m, const uint8_t reply[96]);
void model_execute(struct model *m, const uint8_t f[512]);

#endif
