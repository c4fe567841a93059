/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sense data of a request, fixed and descriptor format (SPC-4 4.5.2, 4.5.3). */
#include "hba/sense.h"

#define SCSI_CHECK_CONDITION 0x02

struct code {
	uint8_t response, key, asc, ascq;
};

static bool sense_code(const struct hba_req *req, struct code *ret)
{
	const uint8_t *s = req->sense;

	if (req->result != HBA_DONE || req->scsi_status != SCSI_CHECK_CONDITION)
		return false;
	ret->response = s[0] & 0x7f;
	if (ret->response == 0x70 || ret->response == 0x71) {
		ret->key = s[2] & 0xf;
		ret->asc = req->sense_len > 12 ? s[12] : 0;
		ret->ascq = req->sense_len > 13 ? s[13] : 0;
		return true;
	}
	ret->key = s[1] & 0xf;
	ret->asc = s[2];
	ret->ascq = s[3];
	return ret->response == 0x72 || ret->response == 0x73;
}

static bool is_current(const struct code *c)
{
	return c->response == 0x70 || c->response == 0x72;
}

bool hba_sense_key_is(const struct hba_req *req, uint8_t key)
{
	struct code c;

	return sense_code(req, &c) && is_current(&c) && c.key == key;
}

bool hba_sense_is(const struct hba_req *req, uint8_t key, uint8_t asc)
{
	struct code c;

	return sense_code(req, &c) && is_current(&c) && c.key == key && c.asc == asc;
}

bool hba_sense_is_exactly(const struct hba_req *req, uint8_t key, uint8_t asc, uint8_t ascq)
{
	struct code c;

	return sense_code(req, &c) && is_current(&c) && c.key == key && c.asc == asc && c.ascq == ascq;
}

bool hba_sense_is_outage(const struct hba_req *req)
{
	return hba_sense_is_exactly(req, SENSE_KEY_UNIT_ATTENTION, 0x29, 0x01) ||
	       hba_sense_is_exactly(req, SENSE_KEY_UNIT_ATTENTION, 0x29, 0x04);
}

bool hba_sense_is_deferred(const struct hba_req *req)
{
	struct code c;

	return sense_code(req, &c) && !is_current(&c);
}
