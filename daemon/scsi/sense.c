/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Building and reading sense data. */
#include "sense.h"

#include <string.h>
#include "base/endian.h"

#define RESPONSE_FIXED	    0x70 /* current error */
#define RESPONSE_DESCRIPTOR 0x72
#define FIXED_VALID	    0x80
#define SKS_VALID	    0x80
#define SKS_IN_CDB	    0x40
#define SKS_BIT_VALID	    0x08

static void put_field_pointer(uint8_t *sks, const struct sense_detail *d)
{
	sks[0] = SKS_VALID | SKS_IN_CDB;
	if (d->bit != SENSE_NO_BIT)
		sks[0] |= (uint8_t)(SKS_BIT_VALID | (d->bit & 7));
	put_be16(sks + 1, d->field);
}

uint8_t sense_fixed(uint8_t buf[SCSI_SENSE_SIZE], enum scsi_sense code, const struct sense_detail *detail)
{
	memset(buf, 0, SCSI_SENSE_SIZE);
	buf[0] = RESPONSE_FIXED;
	buf[2] = SENSE_KEY(code);
	buf[7] = SENSE_FIXED_LEN - 8;
	buf[12] = SENSE_ASC(code);
	buf[13] = SENSE_ASCQ(code);
	if (detail && detail->has_info && detail->info <= UINT32_MAX) {
		buf[0] |= FIXED_VALID;
		put_be32(buf + 3, (uint32_t)detail->info);
	}
	if (detail && detail->has_field)
		put_field_pointer(buf + 15, detail);
	return SENSE_FIXED_LEN;
}

uint8_t sense_descriptor(uint8_t buf[SCSI_SENSE_SIZE], enum scsi_sense code)
{
	memset(buf, 0, SCSI_SENSE_SIZE);
	buf[0] = RESPONSE_DESCRIPTOR;
	buf[1] = SENSE_KEY(code);
	buf[2] = SENSE_ASC(code);
	buf[3] = SENSE_ASCQ(code);
	return 8;
}

bool sense_parse(const uint8_t *buf, size_t len, enum scsi_sense *ret)
{
	uint32_t key, asc, ascq;

	if (len < 4)
		return false;
	switch (buf[0] & 0x7f) {
	case RESPONSE_FIXED:
	case RESPONSE_FIXED + 1: /* deferred */
		key = buf[2] & 0x0f;
		asc = len > 12 ? buf[12] : 0;
		ascq = len > 13 ? buf[13] : 0;
		break;
	case RESPONSE_DESCRIPTOR:
	case RESPONSE_DESCRIPTOR + 1:
		key = buf[1] & 0x0f;
		asc = buf[2];
		ascq = buf[3];
		break;
	default:
		return false;
	}
	*ret = (enum scsi_sense)(key << 16 | asc << 8 | ascq);
	return true;
}
