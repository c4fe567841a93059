/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * INQUIRY and VPD pages: the unit's own words where they stay true behind LIO, ours where they would not.
 * Pages that speak of limits and abilities describe what this daemon does; identity is the unit's.
 */
#include "facts.h"

#include <string.h>
#include "base/endian.h"

const uint8_t scsi_page_code[PAGE_COUNT] = {
	[PAGE_INQUIRY] = 0x00,
	[PAGE_VPD_00] = 0x00,
	[PAGE_VPD_80] = 0x80,
	[PAGE_VPD_83] = 0x83,
	[PAGE_VPD_B0] = 0xb0,
	[PAGE_VPD_B1] = 0xb1,
	[PAGE_VPD_B2] = 0xb2,
};

/* --- standard INQUIRY data --- */

#define VERSION_DESCRIPTORS	58
#define VERSION_DESCRIPTORS_END 74

/* Version descriptors of the architecture and command sets; those of the unit's transport are not true here.
 * Codes of one standard and its revisions share all but the low five bits. */
static bool is_command_set(uint16_t version)
{
	static const uint16_t standards[] = {
		0x0020, 0x0040, 0x0060, 0x0080, 0x00a0, 0x00c0, /* SAM to SAM-6 */
		0x0120, 0x0260, 0x0300, 0x0460, 0x05c0,		/* SPC to SPC-5 */
		0x0180, 0x0320, 0x04c0, 0x0600,			/* SBC to SBC-4 */
	};

	for (unsigned i = 0; i < ARRAY_SIZE(standards); i++)
		if ((version & ~0x1f) == standards[i])
			return true;
	return false;
}

static void filter_versions(struct scsi_page *p)
{
	unsigned end = MIN(p->len, VERSION_DESCRIPTORS_END) & ~1U;
	unsigned to = VERSION_DESCRIPTORS;

	for (unsigned at = VERSION_DESCRIPTORS; at < end; at += 2) {
		uint16_t version = get_be16(p->data + at);

		put_be16(p->data + at, 0);
		if (is_command_set(version)) {
			put_be16(p->data + to, version);
			to += 2;
		}
	}
}

static void build_inquiry(const struct scsi_raw *raw, struct scsi_page *p)
{
	*p = raw->page[PAGE_INQUIRY];
	if (p->len < 36)
		p->len = 36;
	p->data[0] = 0x00;			 /* a disk, connected */
	p->data[3] = (p->data[3] & 0x10) | 0x02; /* HISUP as it is; no NORMACA; data format of SPC */
	p->data[4] = (uint8_t)(p->len - 5);
	/* No SCC, access controls coordinator, target port groups (LIO's, hazard H23), third party copy, or
	 * protection information; no enclosure services or other ports. Commands are queued. */
	p->data[5] = 0;
	p->data[6] = 0;
	p->data[7] = 0x02;
	if (p->len > 56)
		p->data[56] = 0; /* clocking of the parallel bus */
	filter_versions(p);
}

/* --- VPD pages --- */

static void start_page(struct scsi_page *p, enum scsi_page_id id, uint16_t len)
{
	memset(p, 0, sizeof(*p));
	p->data[1] = scsi_page_code[id];
	put_be16(p->data + 2, len);
	p->len = (uint16_t)(4 + len);
}

static void append(struct scsi_page *p, const uint8_t *bytes, size_t n)
{
	if (p->len + n > sizeof(p->data))
		return;
	memcpy(p->data + p->len, bytes, n);
	p->len = (uint16_t)(p->len + n);
	put_be16(p->data + 2, (uint16_t)(p->len - 4));
}

static void build_serial(const struct scsi_raw *raw, struct scsi_page *p)
{
	*p = raw->page[PAGE_VPD_80];
	p->data[0] = 0x00;
}

static void build_identification(
	const struct scsi_raw *raw, const struct scsi_identity *id, struct scsi_page *p)
{
	const struct scsi_page *own = &raw->page[PAGE_VPD_83];
	/* binary, associated with the logical unit, NAA */
	uint8_t derived[4 + sizeof(id->naa)] = {0x01, DESIG_NAA, 0, id->naa_len};
	const uint8_t *desig;
	size_t at = 4, len;

	start_page(p, PAGE_VPD_83, 0);
	if (!id->naa_from_unit) {
		memcpy(derived + 4, id->naa, id->naa_len);
		append(p, derived, 4U + id->naa_len);
	}
	while (scsi_next_designator(own, &at, &desig, &len)) {
		uint16_t start = p->len;

		if (!scsi_designator_is_of_unit(desig, len))
			continue;
		append(p, desig, len);
		if (p->len == start)
			continue;
		p->data[start] &= 0x0f;	    /* no protocol of a port, */
		p->data[start + 1] &= 0x0f; /* so PIV 0 */
	}
}

static void build_block_limits(const struct scsi_raw *raw, struct scsi_page *p)
{
	const struct scsi_page *own = &raw->page[PAGE_VPD_B0];

	/* Any length is taken and split: MAXIMUM TRANSFER LENGTH 0, no limit. No COMPARE AND WRITE,
	 * PRE-FETCH, UNMAP, WRITE SAME or atomic writes: 0 all of them. What is best for the medium, the unit
	 * knows. */
	start_page(p, PAGE_VPD_B0, 0x3c);
	if (own->len >= 16) {
		memcpy(p->data + 6, own->data + 6, 2);	 /* optimal transfer length granularity */
		memcpy(p->data + 12, own->data + 12, 4); /* optimal transfer length */
	}
}

static void build_characteristics(const struct scsi_raw *raw, struct scsi_page *p)
{
	const struct scsi_page *own = &raw->page[PAGE_VPD_B1];

	/* A unit without this page says nothing about rotation and size, and zeros mean just that. */
	start_page(p, PAGE_VPD_B1, 0x3c);
	if (own->len >= 8)
		memcpy(p->data + 4, own->data + 4, 4);
	/* Bytes from 8 on (ZONED, FUAB, VBULS...) speak of commands that are rejected: 0. */
}

static void build_supported(struct scsi_facts *f)
{
	struct scsi_page *p = &f->page[PAGE_VPD_00];

	start_page(p, PAGE_VPD_00, 0);
	append(p, &scsi_page_code[PAGE_VPD_00], 1);
	for (unsigned i = PAGE_VPD_80; i < PAGE_COUNT; i++)
		if (f->page[i].len)
			append(p, &scsi_page_code[i], 1);
}

void scsi_build_pages(const struct scsi_raw *raw, struct scsi_facts *f)
{
	build_inquiry(raw, &f->page[PAGE_INQUIRY]);
	build_serial(raw, &f->page[PAGE_VPD_80]);
	build_identification(raw, &f->id, &f->page[PAGE_VPD_83]);
	build_block_limits(raw, &f->page[PAGE_VPD_B0]);
	build_characteristics(raw, &f->page[PAGE_VPD_B1]);
	start_page(&f->page[PAGE_VPD_B2], PAGE_VPD_B2, 4); /* no UNMAP, no provisioning */
	build_supported(f);
	f->wce = raw->wce;
	f->rcd = raw->rcd;
}
