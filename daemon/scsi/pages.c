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
	[PAGE_VPD_86] = 0x86,
	[PAGE_VPD_87] = 0x87,
	[PAGE_VPD_8F] = 0x8f,
	[PAGE_VPD_B0] = 0xb0,
	[PAGE_VPD_B1] = 0xb1,
	[PAGE_VPD_B2] = 0xb2,
};

/* --- standard INQUIRY data --- */

#define VENDOR_SPECIFIC_END 56
#define PARAMETERS	    96 /* the unit's own again */
#define VERSION_SPC4	    0x06

/* What answers here is hbad, whatever standard the unit was made for: SAM-5, SPC-4 and SBC-3, without a version. No
 * transport: that is LIO's. */
static void put_versions(struct scsi_page *p)
{
	put_be16(p->data + 58, 0x00a0);
	put_be16(p->data + 60, 0x0460);
	put_be16(p->data + 62, 0x04c0);
}

static void build_inquiry(const struct scsi_raw *raw, struct scsi_page *p)
{
	*p = raw->page[PAGE_INQUIRY];
	p->len = MAX(p->len, PARAMETERS);
	p->data[0] = 0x00; /* a disk, connected, */
	p->data[1] = 0;	   /* fixed: nothing here loads or ejects; no conglomerate */
	p->data[2] = VERSION_SPC4;
	p->data[3] = 0x02; /* data format of SPC; LIO's LUNs are not hierarchical; no NORMACA */
	p->data[4] = (uint8_t)(p->len - 5);
	/* Third party copy (3PC: EXTENDED COPY). No SCC, access controls coordinator, target port groups (LIO's,
	 * hazard H23), or protection information; no enclosure services or other ports. Commands are queued. */
	p->data[5] = 0x08;
	p->data[6] = 0;
	p->data[7] = 0x02;
	memset(p->data + VENDOR_SPECIFIC_END, 0, PARAMETERS - VENDOR_SPECIFIC_END);
	put_versions(p);
}

/* --- VPD pages --- */

#define B2_LBPU	 0x80
#define B2_LBPRZ 0x04 /* of the values that SBC-4 has for this field, the one that SBC-3 has, too */

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

#define SIMPSUP 0x01
#define NV_SUP	0x02
#define V_SUP	0x01

/*
 * SPC-4 7.8.7. Ordered and head-of-queue tasks are not promised: LIO leaves these attributes to pass-through back
 * ends and does not tell them to us. No protection information, priorities or referrals; group numbers are not
 * looked at. A cache that a battery keeps is non-volatile; that of a disk is not.
 */
static void build_extended(const struct hba_unit *u, const struct scsi_raw *raw, struct scsi_page *p)
{
	start_page(p, PAGE_VPD_86, 0x3c);
	p->data[5] = SIMPSUP;
	if (u->write_back && u->cache_protected)
		p->data[6] |= NV_SUP;
	if (u->disk_cache || raw->wce || (u->write_back && !u->cache_protected))
		p->data[6] |= V_SUP;
	p->data[13] = SCSI_SENSE_SIZE;
}

/* All mode pages and subpages are the same for everybody, of this logical unit alone. */
static void build_mode_policy(struct scsi_page *p)
{
	static const uint8_t policy[4] = {0x3f, 0xff, 0x00, 0};

	start_page(p, PAGE_VPD_87, 0);
	append(p, policy, sizeof(policy));
}

/* All three pages have to say it, and the limits have to let at least one physical block through. */
static void find_thin(const struct scsi_raw *raw, const struct scsi_identity *id, struct scsi_thin *thin)
{
	const struct scsi_page *b0 = &raw->page[PAGE_VPD_B0], *b2 = &raw->page[PAGE_VPD_B2];
	uint32_t lbas = b0->len >= 28 ? get_be32(b0->data + 20) : 0;
	uint32_t descs = b0->len >= 28 ? get_be32(b0->data + 24) : 0;

	memset(thin, 0, sizeof(*thin));
	if (!raw->lbpme || b2->len < 6 || !(b2->data[5] & B2_LBPU) || lbas >> id->lbppbe == 0 || !descs)
		return;
	thin->unmap = true;
	thin->lbprz = raw->lbprz;
	thin->max_lbas = MIN(lbas, SCSI_UNMAP_MAX / id->block_size);
	thin->max_descs = MIN(descs, SCSI_UNMAP_MAX_DESCS);
}

/*
 * Any transfer length is taken and split, and PRE-FETCH of any length does nothing: 0, no limit. WRITE SAME ends
 * at ours, and needs a number of blocks (WSNZ): without one it would mean all the rest of the medium, which is
 * more than that on nearly every disk. What is best for the medium, the unit knows.
 */
static void build_block_limits(const struct scsi_raw *raw, const struct scsi_facts *f, struct scsi_page *p)
{
	const struct scsi_page *own = &raw->page[PAGE_VPD_B0];
	struct scsi_atomic atomic;

	start_page(p, PAGE_VPD_B0, 0x3c);
	p->data[4] = 0x01; /* WSNZ */
	p->data[5] = scsi_compare_max(f->id.block_size, raw->max_transfer);
	if (own->len >= 16) {
		memcpy(p->data + 6, own->data + 6, 2);	 /* optimal transfer length granularity */
		memcpy(p->data + 12, own->data + 12, 4); /* optimal transfer length */
	}
	put_be32(p->data + 20, f->thin.max_lbas);
	put_be32(p->data + 24, f->thin.max_descs);
	if (f->thin.unmap && own->len >= 36)
		memcpy(p->data + 28, own->data + 28, 8); /* optimal unmap granularity and its alignment */
	put_be64(p->data + 36, SCSI_WRITE_SAME_MAX / f->id.block_size);
	scsi_atomic_limits(own->data, own->len, f->id.block_size, raw->max_transfer, &atomic);
	put_be32(p->data + 44, atomic.max);
	put_be32(p->data + 48, atomic.alignment);
	put_be32(p->data + 52, atomic.granularity);
}

static void build_characteristics(const struct scsi_raw *raw, struct scsi_page *p)
{
	const struct scsi_page *own = &raw->page[PAGE_VPD_B1];

	/* A unit without this page says nothing about rotation and size, and zeros mean just that. */
	start_page(p, PAGE_VPD_B1, 0x3c);
	if (own->len >= 8)
		memcpy(p->data + 4, own->data + 4, 4);
	/* WABEREQ, WACEREQ and bytes from 8 on (ZONED, FUAB, VBULS...) speak of commands that are rejected: 0. */
	p->data[7] &= 0x0f;
}

/* Unmapping is by UNMAP alone: WRITE SAME is never handed to the unit (write_same.c), so LBPWS and LBPWS10 are 0. No
 * anchored blocks, thresholds or groups. */
static void build_provisioning(const struct scsi_raw *raw, const struct scsi_thin *thin, struct scsi_page *p)
{
	const struct scsi_page *own = &raw->page[PAGE_VPD_B2];

	start_page(p, PAGE_VPD_B2, 4);
	if (!thin->unmap)
		return;
	p->data[5] = (uint8_t)(B2_LBPU | (thin->lbprz ? B2_LBPRZ : 0));
	if (own->len >= 7)
		p->data[6] = own->data[6] & 0x07; /* PROVISIONING TYPE */
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

/* No page 88h (SCSI ports): the ports are LIO's, and it does not name them to us. */
void scsi_build_pages(const struct hba_unit *u, const struct scsi_raw *raw, struct scsi_facts *f)
{
	build_inquiry(raw, &f->page[PAGE_INQUIRY]);
	build_serial(raw, &f->page[PAGE_VPD_80]);
	build_identification(raw, &f->id, &f->page[PAGE_VPD_83]);
	build_extended(u, raw, &f->page[PAGE_VPD_86]);
	build_mode_policy(&f->page[PAGE_VPD_87]);
	scsi_build_copy_page(f->id.block_size, &f->page[PAGE_VPD_8F]);
	find_thin(raw, &f->id, &f->thin);
	build_block_limits(raw, f, &f->page[PAGE_VPD_B0]);
	build_characteristics(raw, &f->page[PAGE_VPD_B1]);
	build_provisioning(raw, &f->thin, &f->page[PAGE_VPD_B2]);
	build_supported(f);
	f->wce = raw->wce;
	f->rcd = raw->rcd;
	f->mode = raw->mode;
	f->log_pages = raw->log_pages;
}
