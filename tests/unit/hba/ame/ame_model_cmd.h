/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between the two files of the model; the caller holds the lock. */
#ifndef HBAD_TESTS_HBA_AME_MODEL_CMD_H
#define HBAD_TESTS_HBA_AME_MODEL_CMD_H

#include <string.h>

#include "ame_model.h"

static inline uint32_t model_get32(const uint8_t *p, unsigned off)
{
	return (uint32_t)p[off] | (uint32_t)p[off + 1] << 8 | (uint32_t)p[off + 2] << 16 |
	       (uint32_t)p[off + 3] << 24;
}
static inline void model_put32(uint8_t *p, unsigned off, uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		p[off + i] = (uint8_t)(v >> 8 * i);
}

void model_reply_fast(struct model *m, const uint8_t *f);
uint32_t model_reply_frame(struct model *m, const uint8_t reply[96]);
void model_execute(struct model *m, const uint8_t f[512]);

#endif
