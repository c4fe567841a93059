/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the unit's sense data says of a request, for drivers that have to know: pure, any thread, and true only for a
 * request that ended HBA_DONE with CHECK CONDITION. Deferred sense (71h, 73h) tells of an earlier command: of this one
 * it says nothing, so all answers are false.
 */
#ifndef HBAD_HBA_SENSE_H
#define HBAD_HBA_SENSE_H

#include "hba/hba.h"

/* SPC-4 4.5.6 */
enum {
	SENSE_KEY_RECOVERED_ERROR = 0x1,
	SENSE_KEY_NOT_READY = 0x2,
	SENSE_KEY_ILLEGAL_REQUEST = 0x5,
	SENSE_KEY_UNIT_ATTENTION = 0x6,
	SENSE_KEY_ABORTED_COMMAND = 0xb,
};

bool hba_sense_key_is(const struct hba_req *req, uint8_t key);
bool hba_sense_is(const struct hba_req *req, uint8_t key, uint8_t asc);
/* ... with this additional sense code qualifier as well. */
bool hba_sense_is_exactly(const struct hba_req *req, uint8_t key, uint8_t asc, uint8_t ascq);
/* The unit's caches were without power, or it has started anew by itself: POWER ON OCCURRED, DEVICE INTERNAL RESET. */
bool hba_sense_is_outage(const struct hba_req *req);
/* The sense data is deferred: this command was not executed. */
bool hba_sense_is_deferred(const struct hba_req *req);

#endif
