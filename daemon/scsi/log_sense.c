/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * LOG SENSE. The unit's own pages, as far as they say something about the unit itself: what speaks of its ports or is
 * a vendor's is left out. The lists of pages are made here, so that they name just what is answered.
 */
#include "log_sense.h"

#include "base/endian.h"
#include "commands.h"
#include "through.h"

#define PPC	    0x02 /* obsolete */
#define SP	    0x01
#define PAGE_LISTS  0x00
#define SUBPAGE_ALL 0xff
#define PAGE_SPF    0x40

static const struct log_page pages[] = {
	{0x02, "Write Error Counters"},
	{0x03, "Read Error Counters"},
	{0x05, "Verify Error Counters"},
	{0x06, "Non-Medium Error"},
	{0x08, "Format Status"},
	{0x0d, "Temperature"},
	{0x0e, "Start-Stop Cycle Counter"},
	{0x10, "Self-Test Results"},
	{0x11, "Solid State Media"},
	{0x15, "Background Scan Results"},
	{0x19, "General Statistics and Performance"},
	{0x1a, "Power Condition Transitions"},
	{0x2f, "Informational Exceptions"},
};

static const struct through page = {
	.len_at = 7, .len_width = 2, .unit = 1, .head_at = 2, .head_width = 2, .head_len = 4};

const struct log_page *log_pages(unsigned *ret_n)
{
	*ret_n = ARRAY_SIZE(pages);
	return pages;
}

uint64_t log_pages_of_unit(const uint8_t *list, size_t len)
{
	uint64_t listed = 0, known = 0;

	for (size_t i = 0; i < len; i++)
		listed |= UINT64_C(1) << (list[i] & 0x3f);
	for (unsigned i = 0; i < ARRAY_SIZE(pages); i++)
		known |= UINT64_C(1) << pages[i].code;
	return listed & known;
}

/* Page 00h, subpage 00h: codes; subpage FFh: codes and subpages, itself included. */
static void reply_lists(struct scsi_task *t, bool with_subpages)
{
	uint8_t data[4 + 2 * (ARRAY_SIZE(pages) + 2)] = {PAGE_LISTS};
	unsigned len = 4;

	data[len++] = PAGE_LISTS;
	if (with_subpages) {
		data[0] |= PAGE_SPF;
		data[1] = SUBPAGE_ALL;
		len++; /* 00h, 00h */
		data[len++] = PAGE_LISTS;
		data[len++] = SUBPAGE_ALL;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(pages); i++) {
		if (!(t->lun->facts.log_pages >> pages[i].code & 1))
			continue;
		data[len++] = pages[i].code;
		len += with_subpages;
	}
	put_be16(data + 2, (uint16_t)(len - 4));
	task_reply(t, data, len, get_be16(t->cdb + 7));
}

/* There are no parameters with codes to begin from. */
static void send_lists(struct scsi_task *t)
{
	uint8_t subpage = t->cdb[3];

	if (subpage && subpage != SUBPAGE_ALL)
		task_bad_field(t, 3, 7);
	else if (get_be16(t->cdb + 5))
		task_bad_field(t, 5, 7);
	else
		reply_lists(t, subpage);
}

void cmd_log_sense(struct scsi_task *t)
{
	uint8_t code = t->cdb[2] & 0x3f;

	if (t->cdb[1] & PPC)
		task_bad_field(t, 1, 1);
	else if (t->cdb[1] & SP)
		task_bad_field(t, 1, 0);
	else if (code == PAGE_LISTS)
		send_lists(t);
	else if (!(t->lun->facts.log_pages >> code & 1))
		task_bad_field(t, 2, 5);
	else if (t->cdb[3])
		task_bad_field(t, 3, 7);
	else
		through_in(t, &page, get_be16(t->cdb + 7));
}
