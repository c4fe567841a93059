/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The log pages that are passed from units: one table for LOG SENSE, the look at a unit and the manual. */
#ifndef HBAD_SCSI_LOG_SENSE_H
#define HBAD_SCSI_LOG_SENSE_H

#include "base/compiler.h"

struct log_page {
	uint8_t code;
	const char *name;
};

const struct log_page *log_pages(unsigned *ret_n);
/* A bit for each page code in a unit's list of pages that is passed. */
uint64_t log_pages_of_unit(const uint8_t *list, size_t len);

#endif
