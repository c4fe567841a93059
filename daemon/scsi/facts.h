/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is known of a unit: asked once per attach on the set-up thread (identify.c), turned into ready answers
 * (pages.c) and copied into each LUN, so that INQUIRY, capacity and mode pages cost no request slot, give
 * exact lengths (firmware does not tell how much it sent), and stay the same while the controller is away.
 */
#ifndef HBAD_SCSI_FACTS_H
#define HBAD_SCSI_FACTS_H

#include "scsi.h"

#define SCSI_PAGE_MAX 512

struct scsi_page {
	uint16_t len; /* 0: there is none */
	uint8_t data[SCSI_PAGE_MAX];
};

enum scsi_page_id {
	PAGE_INQUIRY,
	PAGE_VPD_00, /* supported pages */
	PAGE_VPD_80, /* unit serial number */
	PAGE_VPD_83, /* device identification */
	PAGE_VPD_86, /* extended INQUIRY data */
	PAGE_VPD_87, /* mode page policy */
	PAGE_VPD_8F, /* third-party copy */
	PAGE_VPD_B0, /* block limits */
	PAGE_VPD_B1, /* block device characteristics */
	PAGE_VPD_B2, /* logical block provisioning */
	PAGE_COUNT,
};

extern const uint8_t scsi_page_code[PAGE_COUNT]; /* VPD page codes */

/* Bytes of its mode pages behind code and length; zeros where it has no such page. */
struct scsi_mode_values {
	uint8_t recovery[0x0a], power[0x26]; /* pages 01h and 1Ah */
};

/* The unit's own answers, unchanged. */
struct scsi_raw {
	struct scsi_page page[PAGE_COUNT];
	uint64_t blocks;
	uint32_t block_size;
	uint8_t lbppbe;
	uint16_t lowest_aligned;
	bool lbpme, lbprz;
	uint32_t max_transfer; /* bytes of one request, of the controller */
	bool wce, rcd;	       /* of its caching mode page; false when it has none */
	struct scsi_mode_values mode;
	uint64_t log_pages; /* a bit for each page code that it lists and that is passed */
};

/* Longest WRITE SAME: it is written block by block, and shares the LUN with others meanwhile. */
#define SCSI_WRITE_SAME_MAX (UINT32_C(32) << 20)
/* Longest UNMAP and most descriptors of one, whatever the unit would take: none lasts long, and the list fits a
 * scratch buffer. */
#define SCSI_UNMAP_MAX	     (UINT32_C(256) << 20)
#define SCSI_UNMAP_MAX_DESCS 256

/* Thin provisioning, as far as the unit does it by UNMAP; else all zeros. */
struct scsi_thin {
	bool unmap;
	bool lbprz; /* what is unmapped reads as zeros */
	uint32_t max_lbas, max_descs;
};

/* What a LUN answers from. */
struct scsi_facts {
	struct scsi_identity id;
	struct scsi_thin thin;
	struct scsi_page page[PAGE_COUNT];
	bool wce, rcd;
	struct scsi_mode_values mode;
	uint64_t log_pages;
};

/* --- set-up thread --- */

#define SCSI_READY_WAIT_MS 500

/* Asks the unit. 0: raw is complete; -ENODEV: the controller is gone; other: problem says what went wrong.
 * patience: rounds of SCSI_READY_WAIT_MS to spend on units that become ready; counted down. */
int scsi_ask_unit(
	struct hba *h, const struct hba_unit *u, struct scsi_raw *raw, unsigned *patience, char problem[160]);
/* Has the unit say anything. -ENODEV: the controller is gone; else 0, whatever it says. */
int scsi_poke_unit(struct hba *h, const struct hba_unit *u);
/* Strings, NAA and sizes. -EMEDIUMTYPE and others, with problem set; then id->type is valid all the same. */
int scsi_identify(const struct hba *h, const struct hba_unit *u, const struct scsi_raw *raw,
	struct scsi_identity *id, char problem[160]);
/* The answers; facts->id must be set. */
void scsi_build_pages(const struct hba_unit *u, const struct scsi_raw *raw, struct scsi_facts *facts);

/* --- limits of commands, for VPD page B0h and for the commands; pure --- */

/* Most blocks of one COMPARE AND WRITE: they fit a scratch buffer, one request of the controller, and the CDB's one
 * byte. */
uint8_t scsi_compare_max(uint32_t block_size, uint32_t max_transfer);

struct scsi_atomic {
	uint32_t max, alignment, granularity; /* blocks, as in the page; max 0: nothing is atomic */
};
/* Out of a unit's page B0h, cut to what one request of max_transfer bytes carries. */
void scsi_atomic_limits(
	const uint8_t *b0, size_t len, uint32_t block_size, uint32_t max_transfer, struct scsi_atomic *ret);

/* Page 8Fh of a LUN with such blocks; copy_results.c. Pure. */
void scsi_build_copy_page(uint32_t block_size, struct scsi_page *p);

/* --- designators of VPD page 83h; pure --- */

enum { DESIG_T10 = 1, DESIG_EUI64 = 2, DESIG_NAA = 3, DESIG_MD5 = 7, DESIG_SCSI_NAME = 8 };

/* Takes the next designator off [*at, len) of a page; false at the end or when it does not fit. */
bool scsi_next_designator(const struct scsi_page *p, size_t *at, const uint8_t **ret_desig, size_t *ret_len);
/* Names the logical unit itself, in a way that stays true behind LIO's ports (hazard H23). */
bool scsi_designator_is_of_unit(const uint8_t *desig, size_t len);

#endif
