/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the models of both kinds of MegaRAID firmware do alike, before they are spoken to in frames. */
#ifndef HBAD_TESTS_HBA_MODEL_MEGARAID_H
#define HBAD_TESTS_HBA_MODEL_MEGARAID_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "hba/model_bytes.h"

#define MEGARAID_EVENT 256 /* bytes of one [4.7] */

/* A write of the doorbell may bring firmware to READY. Returns true where that takes a soft reset, which is then the
 * caller's to do. */
static inline bool megaraid_doorbell(uint32_t *state, uint32_t v)
{
	switch (*state) {
	case 0x6:
		if ((v & 0x18) == 0x18)
			*state = 0xb;
		return false;
	case 0x9:
		if (v & 0x10)
			*state = 0xb;
		return false;
	case 0xc:
		return (v & 7) == 7;
	}
	return false;
}

/* Writes of the key register, one after the other: true with the last of the key. It may begin anew at any time. */
static inline bool megaraid_key(unsigned *at, const uint8_t *key, unsigned n, uint32_t v)
{
	*at = v == key[*at] ? *at + 1 : v == 0;
	if (*at < n)
		return false;
	*at = 0;
	return true;
}

/* A write of the diagnostic register. With writing enabled by the key, bit 2 resets the chip; that of a dead one does
 * not end. Returns true where it did, and the rest is the caller's. */
static inline bool megaraid_diag(uint32_t *diag, uint32_t v, unsigned *n_reset, bool dead)
{
	if (!(*diag & 0x80) || !(v & 4))
		return false;
	++*n_reset;
	*diag = dead ? 0x84 : 0;
	return !dead;
}

/* An event of the log without an argument. */
static inline void megaraid_event(
	uint8_t data[MEGARAID_EVENT], uint32_t number, uint32_t code, const char *text)
{
	memset(data, 0, MEGARAID_EVENT);
	put_le32(data, number);
	put_le32(data + 8, code);
	snprintf((char *)data + 0x80, 128, "%s", text);
}

#endif
