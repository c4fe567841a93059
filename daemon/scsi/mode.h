/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The mode pages of a LUN: one table for MODE SENSE, MODE SELECT and the manual. */
#ifndef HBAD_SCSI_MODE_H
#define HBAD_SCSI_MODE_H

#include "host.h"

#define MODE_PAGE_ALL	 0x3f
#define MODE_SUBPAGE_ALL 0xff
#define MODE_PAGE_MAX	 (2 + 0x26) /* bytes of the longest page, header included */
#define MODE_LONGLBA	 0x01	    /* of the header: block descriptors are long */

/* The page control field. */
enum mode_control { MODE_CURRENT, MODE_CHANGEABLE, MODE_DEFAULT, MODE_SAVED };

struct mode_page {
	const char *name;
	uint8_t code, len;  /* len: of the bytes after code and length */
	const char *origin; /* for the manual: where its values come from */
	/* p: len bytes, zeroed. Not called for MODE_SAVED: nothing is saved. */
	void (*fill)(const struct scsi_lun *lun, enum mode_control pc, uint8_t *p);
	/* Optional: bits that fill() shows as changeable take these values. */
	void (*take)(struct scsi_lun *lun, const uint8_t *p);
};

const struct mode_page *mode_pages(unsigned *ret_n);
/* All of a page, header included; returns its length. */
unsigned mode_put_page(const struct scsi_lun *lun, const struct mode_page *page, enum mode_control pc,
	uint8_t to[MODE_PAGE_MAX]);
/* A LUN that sees its unit for the first time gets what was chosen for that, by whatever LUN it was then, or the
 * defaults. */
void mode_recall(struct scsi_lun *lun);

#endif
