/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sense data of a request, fixed and descriptor format (SPC-4 4.5.2, 4.5.3). */
#include "hba/sense.h"

#define SCSI_CHECK_CONDITION 0x02

static bool sense_code(const struct hba_req *req, uint8_t *ret_key, uint8_t *ret_asc)
{
	const uint8_t *s = req->sense;

	if (req->result != HBA_DONE || req->scsi_status != SCSI_CHECK_CONDITION)
		return false;
	if ((s[0] & 0x7f) == 0x70) {
		*ret_key = s[2] & 0xf;
		*ret_asc = req->sense_len > 12 ? s[12] : 0;
		return true;
	}
	*ret_key = s[1] & 0xf;
	*ret_asc = s[2];
	return (s[0] & 0x7f) == 0x72;
}

bool hba_sense_key_is(const struct hba_req *req, uint8_t key)
{
	uint8_t k, asc;

	return sense_code(req, &k, &asc) && k == key;
}

bool hba_sense_is(const struct hba_req *req, uint8_t key, uint8_t asc)
{
	uint8_t k, a;

	return sense_code(req, &k, &a) && k == key && a == asc;
}
