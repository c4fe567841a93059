/* SPDX-License-Identifier: GPL-2.0-or-later */
/* MODE SENSE and MODE SELECT: error recovery, caching, control, informational exceptions. */
#include <string.h>

#include "scsi.h"

enum control { CURRENT, CHANGEABLE, DEFAULTS, SAVED };

#define WCE 0x04

static uint32_t page_recovery(const struct scsi_disk *d, enum control pc, uint8_t *p)
{
	p[0] = 0x81;
	p[1] = 10;
	if (pc != CHANGEABLE)
		p[2] = 0xc0; /* AWRE, ARRE */
	return 12;
}

static uint32_t page_caching(const struct scsi_disk *d, enum control pc, uint8_t *p)
{
	p[0] = 0x88;
	p[1] = 18;
	if (pc == CHANGEABLE)
		p[2] = d->logical ? 0 : WCE;
	else if (pc == DEFAULTS ? d->saved.wce : d->get_wce(d))
		p[2] = WCE;
	return 20;
}

static uint32_t page_control(const struct scsi_disk *d, enum control pc, uint8_t *p)
{
	p[0] = 0x8a;
	p[1] = 10;
	if (pc != CHANGEABLE)
		p[3] = 0x10; /* unrestricted reordering */
	return 12;
}

static uint32_t page_exceptions(const struct scsi_disk *d, enum control pc, uint8_t *p)
{
	p[0] = 0x9c;
	p[1] = 10;
	if (pc != CHANGEABLE)
		p[3] = 0x06; /* on request only */
	return 12;
}

static const struct {
	uint8_t page;
	uint32_t (*build)(const struct scsi_disk *d, enum control pc, uint8_t *p);
} pages[] = {{0x01, page_recovery}, {0x08, page_caching}, {0x0a, page_control}, {0x1c, page_exceptions}};

/* A page, or all with 3fh. Returns the bytes; 0: no such page. */
static uint32_t build(const struct scsi_disk *d, uint8_t page, enum control pc, uint8_t *p)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(pages); i++)
		if (page == 0x3f || page == pages[i].page)
			n += pages[i].build(d, pc, p + n);
	return n;
}

static uint32_t descriptor(const struct scsi_disk *d, uint8_t *p)
{
	put_be32(p, (uint32_t)MIN(d->store->blocks, UINT64_C(0xffffffff)));
	put_be24(p + 5, d->store->block);
	return 8;
}

void scsi_mode_sense(struct scsi_disk *d, struct scsi_cmd *c)
{
	bool ten = c->cdb[0] == 0x5a;
	uint8_t p[256] = {0}, head = ten ? 8 : 4, bd = 0;
	uint32_t n;
	uint8_t specific = (uint8_t)((d->says_dpofua ? 0x10 : 0) | (d->read_only ? 0x80 : 0));

	if (c->cdb[3]) { /* no subpages */
		scsi_invalid_field(c);
		return;
	}
	if (!(c->cdb[1] & 0x08))
		bd = (uint8_t)descriptor(d, p + head);
	n = build(d, c->cdb[2] & 0x3f, c->cdb[2] >> 6, p + head + bd);
	if (!n) {
		scsi_invalid_field(c);
		return;
	}
	n += head + bd;
	if (ten) {
		put_be16(p, (uint16_t)(n - 2));
		p[3] = specific;
		p[7] = bd;
	} else {
		p[0] = (uint8_t)(n - 1);
		p[2] = specific;
		p[3] = bd;
	}
	scsi_data_in(c, p, n, ten ? get_be16(c->cdb + 7) : c->cdb[4]);
}

/* May these values be set? Only changeable bits may differ from what is there. */
static bool acceptable(const struct scsi_disk *d, const uint8_t *page, uint32_t len)
{
	uint8_t now[64] = {0}, mask[64] = {0};
	uint32_t n = build(d, page[0] & 0x3f, CURRENT, now);

	if (!n || n != len || (page[0] & 0x3f) == 0x3f)
		return false;
	build(d, page[0] & 0x3f, CHANGEABLE, mask);
	for (uint32_t i = 2; i < n; i++)
		if ((page[i] ^ now[i]) & ~mask[i])
			return false;
	return true;
}

/* Two passes: all is checked before anything is set. */
static bool select_pages(struct scsi_disk *d, const uint8_t *p, uint32_t len, bool set)
{
	while (len) {
		uint32_t n = len >= 2 ? 2u + p[1] : 0;

		if (!n || n > len || !acceptable(d, p, n))
			return false;
		if (set && (p[0] & 0x3f) == 0x08 && !d->logical)
			d->set_wce(d, p[2] & WCE);
		p += n;
		len -= n;
	}
	return true;
}

void scsi_mode_select(struct scsi_disk *d, struct scsi_cmd *c)
{
	bool ten = c->cdb[0] == 0x55;
	uint32_t len = ten ? get_be16(c->cdb + 7) : c->cdb[4], head = ten ? 8 : 4, bd;

	if (!(c->cdb[1] & 0x10)) { /* page format */
		scsi_invalid_field(c);
		return;
	}
	if (!len)
		return;
	if (len < head || c->data_len < len) {
		scsi_sense(c, KEY_ILLEGAL, ASC_PARAMETER_LENGTH);
		return;
	}
	bd = ten ? get_be16(c->data + 6) : c->data[3];
	if (bd > len - head) {
		scsi_sense(c, KEY_ILLEGAL, ASC_PARAMETER_LENGTH);
		return;
	}
	if (!select_pages(d, c->data + head + bd, len - head - bd, false)) {
		scsi_sense(c, KEY_ILLEGAL, ASC_INVALID_FIELD_PARAMETER);
		return;
	}
	select_pages(d, c->data + head + bd, len - head - bd, true);
}
