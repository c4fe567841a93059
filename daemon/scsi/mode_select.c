/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MODE SELECT. The whole list is checked before any of it counts. What cannot be changed must be sent as it is, and
 * errors point at the byte. Changes are for all initiators, and LIO cannot tell the others (hazard H22).
 */
#include <string.h>
#include "base/endian.h"
#include "commands.h"
#include "mode.h"
#include "task.h"

#define PF	  0x10
#define SP	  0x01

#define PAGE_CODE 0x3f
#define PAGE_SPF  0x40 /* has a subpage; PS above it means nothing here */

/* Longer lists would have to repeat pages. */
#define LIST_MAX 256

struct mode_list {
	struct scsi_task *t;
	unsigned len, at;
	uint8_t data[LIST_MAX + 1];
};

/* --- each of these returns false when it has completed the task --- */

static bool is_short(struct mode_list *l, unsigned want)
{
	if (l->len - l->at >= want)
		return false;
	task_check(l->t, SENSE_LIST_LENGTH);
	return true;
}

static bool bad(struct mode_list *l, unsigned byte, int bit)
{
	task_bad_list(l->t, byte, bit);
	return false;
}

/* Header and block descriptor. Mode data length, WP and DPOFUA mean nothing here. */
static bool check_header(struct mode_list *l, unsigned header, unsigned *ret_descriptor)
{
	unsigned medium_type = header == 8 ? 2 : 1, at = header == 8 ? 6 : 3;
	unsigned size = header == 8 && l->data[4] & MODE_LONGLBA ? 16 : 8;
	unsigned len;

	if (is_short(l, header))
		return false;
	len = header == 8 ? get_be16(l->data + 6) : l->data[3];
	if (l->data[medium_type])
		return bad(l, medium_type, 7);
	if (len && len != size)
		return bad(l, at, 7);
	l->at = header;
	*ret_descriptor = len;
	return !is_short(l, len);
}

/* Capacity and block size are the unit's. 0 and all ones stand for the capacity that there is. */
static bool check_descriptor(struct mode_list *l, unsigned len)
{
	const struct scsi_identity *id = &l->t->lun->facts.id;
	const uint8_t *p = l->data + l->at;
	unsigned size_at = l->at + (len == 16 ? 12 : 5);
	uint64_t blocks, most = len == 16 ? UINT64_MAX : UINT32_MAX;
	uint32_t size;

	if (!len)
		return true;
	blocks = len == 16 ? get_be64(p) : get_be32(p);
	size = len == 16 ? get_be32(p + 12) : get_be24(p + 5);
	if (blocks && blocks != most && blocks != id->blocks)
		return bad(l, l->at, 7);
	if (size != id->block_size)
		return bad(l, size_at, 7);
	l->at += len;
	return true;
}

static const struct mode_page *find_page(uint8_t code)
{
	unsigned n;
	const struct mode_page *p = mode_pages(&n);

	for (; n--; p++)
		if (p->code == code)
			return p;
	return NULL;
}

static int highest_bit(uint8_t bits)
{
	int bit = 7;

	while (!(bits & 1 << bit))
		bit--;
	return bit;
}

/* Only what is changeable differs. */
static bool check_values(struct mode_list *l, const struct mode_page *page)
{
	uint8_t now[MODE_PAGE_MAX], mask[MODE_PAGE_MAX];
	unsigned n = mode_put_page(l->t->lun, page, MODE_CURRENT, now);

	mode_put_page(l->t->lun, page, MODE_CHANGEABLE, mask);
	for (unsigned i = 2; i < n; i++) {
		uint8_t wrong = (uint8_t)((l->data[l->at + i] ^ now[i]) & ~mask[i]);

		if (wrong)
			return bad(l, l->at + i, highest_bit(wrong));
	}
	return true;
}

static bool check_page(struct mode_list *l)
{
	const uint8_t *p = l->data + l->at;
	const struct mode_page *page = find_page(p[0] & PAGE_CODE);

	if (p[0] & PAGE_SPF)
		return bad(l, l->at, 6);
	if (!page)
		return bad(l, l->at, 5);
	if (is_short(l, 2))
		return false;
	if (p[1] != page->len)
		return bad(l, l->at + 1, 7);
	if (is_short(l, 2U + page->len) || !check_values(l, page))
		return false;
	l->at += 2U + page->len;
	return true;
}

static bool check_list(struct mode_list *l, unsigned header, unsigned *ret_pages)
{
	unsigned descriptor;

	if (!check_header(l, header, &descriptor) || !check_descriptor(l, descriptor))
		return false;
	*ret_pages = l->at;
	while (l->at < l->len)
		if (!check_page(l))
			return false;
	return true;
}

/* --- a list that has been checked --- */

static void take_pages(struct mode_list *l, unsigned at)
{
	while (at < l->len) {
		const struct mode_page *page = find_page(l->data[at] & PAGE_CODE);

		if (page->take)
			page->take(l->t->lun, l->data + at + 2);
		at += 2U + page->len;
	}
}

static void take_list(struct scsi_task *t, unsigned header, unsigned len)
{
	struct mode_list l = {.t = t, .len = len};
	unsigned pages;

	/* Read once: the initiator's memory may change. */
	if (iov_get(t->iov, t->niov, 0, l.data, len) < len) {
		task_check(t, SENSE_LIST_LENGTH);
		return;
	}
	if (!check_list(&l, header, &pages))
		return;
	take_pages(&l, pages);
	task_good(t);
}

static void mode_select(struct scsi_task *t, unsigned header, unsigned len)
{
	if (t->cdb[1] & SP)
		task_bad_field(t, 1, 0);
	else if (len != t->iov_bytes)
		task_check(t, SENSE_INVALID_IU_FIELD);
	else if (!len)
		task_good(t);
	else if (!(t->cdb[1] & PF))
		task_bad_field(t, 1, 4);
	else if (len > LIST_MAX)
		task_check(t, SENSE_LIST_LENGTH);
	else
		take_list(t, header, len);
}

void cmd_mode_select6(struct scsi_task *t)
{
	mode_select(t, 4, t->cdb[4]);
}

void cmd_mode_select10(struct scsi_task *t)
{
	mode_select(t, 8, get_be16(t->cdb + 7));
}
