/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between the files of the model. The lock is held. */
#ifndef HBAD_TESTS_HBA_VIO_MODEL_DEV_H
#define HBAD_TESTS_HBA_VIO_MODEL_DEV_H

#include "vio_model.h"

void dev_notify(struct model *m, unsigned queue);
void dev_used(struct model *m, unsigned queue, uint32_t id, uint32_t len);
void dev_skip(struct model *m, unsigned queue, uint16_t by);
void dev_execute(struct model *m, unsigned queue, uint16_t head);
bool dev_finish_tmf(struct model *m);
void dev_drop_pending(struct model *m, unsigned i);
bool dev_event(struct model *m, uint32_t event, uint8_t target, uint16_t lun, uint32_t reason);

#endif
