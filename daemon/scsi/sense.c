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

#define SKS_LEN		    3

enum { DESC_INFORMATION = 0x00, DESC_COMMAND = 0x01, DESC_SKS = 0x02, DESC_FRU = 0x03, DESC_BLOCK = 0x05 };

#define ILI 0x20 /* incorrect length: of the block commands descriptor, and of fixed format */

/* Sense-key specific bytes; false when there are none. */
static bool put_sks(uint8_t sks[SKS_LEN], const struct sense_detail *d)
{
	if (d->has_field) {
		sks[0] = SKS_VALID | (d->in_list ? 0 : SKS_IN_CDB);
		if (d->bit != SENSE_NO_BIT)
			sks[0] |= (uint8_t)(SKS_BIT_VALID | (d->bit & 7));
		put_be16(sks + 1, d->field);
	} else if (d->has_progress) {
		sks[0] = SKS_VALID;
		put_be16(sks + 1, d->progress);
	}
	return sks[0];
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
	if (detail)
		put_sks(buf + 15, detail);
	return SENSE_FIXED_LEN;
}

/* SPC-4 4.5.2: type, additional length, then body bytes from the third on. Returns where the body is. */
static uint8_t *add_descriptor(uint8_t *buf, uint8_t type, uint8_t body_len)
{
	uint8_t *p = buf + 8 + buf[7];

	p[0] = type;
	p[1] = body_len;
	buf[7] = (uint8_t)(buf[7] + 2 + body_len);
	return p + 2;
}

static void add_information(uint8_t *buf, uint64_t info)
{
	uint8_t *body = add_descriptor(buf, DESC_INFORMATION, 10);

	body[0] = FIXED_VALID;
	put_be64(body + 2, info);
}

static void add_sks(uint8_t *buf, const uint8_t sks[SKS_LEN])
{
	memcpy(add_descriptor(buf, DESC_SKS, 6) + 2, sks, SKS_LEN);
}

uint8_t sense_descriptor(
	uint8_t buf[SCSI_SENSE_SIZE], enum scsi_sense code, const struct sense_detail *detail)
{
	uint8_t sks[SKS_LEN] = {0};

	memset(buf, 0, SCSI_SENSE_SIZE);
	buf[0] = RESPONSE_DESCRIPTOR;
	buf[1] = SENSE_KEY(code);
	buf[2] = SENSE_ASC(code);
	buf[3] = SENSE_ASCQ(code);
	if (detail && detail->has_info)
		add_information(buf, detail->info);
	if (detail && put_sks(sks, detail))
		add_sks(buf, sks);
	return (uint8_t)(8 + buf[7]);
}

/* What fixed format has beyond the triple: 18 bytes of it, zero where the unit sent fewer. */
static void convert_details(uint8_t *to, const uint8_t *fixed)
{
	if (fixed[0] & FIXED_VALID)
		add_information(to, get_be32(fixed + 3));
	if (get_be32(fixed + 8))
		put_be32(add_descriptor(to, DESC_COMMAND, 10) + 6, get_be32(fixed + 8));
	if (fixed[15] & SKS_VALID)
		add_sks(to, fixed + 15);
	if (fixed[14])
		add_descriptor(to, DESC_FRU, 2)[1] = fixed[14];
}

uint8_t sense_to_descriptor(uint8_t buf[SCSI_SENSE_SIZE], uint8_t len)
{
	uint8_t fixed[SENSE_FIXED_LEN] = {0};
	enum scsi_sense code;
	uint8_t deferred;

	if (!sense_parse(buf, len, &code) || (buf[0] & 0x7f) >= RESPONSE_DESCRIPTOR)
		return len;
	memcpy(fixed, buf, len < sizeof(fixed) ? len : sizeof(fixed));
	deferred = (fixed[0] & 0x7f) - RESPONSE_FIXED;
	sense_descriptor(buf, code, NULL);
	buf[0] = (uint8_t)(buf[0] + deferred);
	convert_details(buf, fixed);
	return (uint8_t)(8 + buf[7]);
}

/* Of a descriptor (len bytes, type and length included) into fixed format. False: there is no room for what it says. */
static bool put_fixed(uint8_t *to, const uint8_t *d, unsigned len)
{
	switch (d[0]) {
	case DESC_INFORMATION:
		if (len < 12 || get_be32(d + 4))
			return false;
		to[0] |= d[2] & FIXED_VALID;
		put_be32(to + 3, get_be32(d + 8));
		return true;
	case DESC_COMMAND:
		if (len < 12 || get_be32(d + 4))
			return false;
		put_be32(to + 8, get_be32(d + 8));
		return true;
	case DESC_SKS:
		if (len < 4 + SKS_LEN)
			return false;
		memcpy(to + 15, d + 4, SKS_LEN);
		return true;
	case DESC_FRU:
	case DESC_BLOCK:
		if (len < 4)
			return false;
		if (d[0] == DESC_FRU)
			to[14] = d[3];
		else
			to[2] |= d[3] & ILI;
		return true;
	default:
		return false;
	}
}

uint8_t sense_to_fixed(uint8_t buf[SCSI_SENSE_SIZE], uint8_t len)
{
	uint8_t fixed[SCSI_SENSE_SIZE];
	enum scsi_sense code;
	unsigned end;

	if (!sense_parse(buf, len, &code) || (buf[0] & 0x7f) < RESPONSE_DESCRIPTOR || len < 8)
		return len;
	end = 8U + buf[7];
	if (end > len)
		return len;
	sense_fixed(fixed, code, NULL);
	fixed[0] = (uint8_t)(fixed[0] + (buf[0] & 0x7f) - RESPONSE_DESCRIPTOR); /* deferred */
	for (unsigned at = 8; at < end; at += 2U + buf[at + 1])
		if (end - at < 2 || end - at < 2U + buf[at + 1] ||
			!put_fixed(fixed, buf + at, 2U + buf[at + 1]))
			return len;
	memcpy(buf, fixed, sizeof(fixed));
	return SENSE_FIXED_LEN;
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
