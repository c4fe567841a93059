/* SPDX-License-Identifier: GPL-2.0-or-later */
/* MODE SENSE: caching, control and informational exceptions pages. Nothing can be changed or saved. */
#include "commands.h"

#include <string.h>
#include "base/endian.h"
#include "task.h"

#define DBD	    0x08
#define LLBAA	    0x10
#define WP	    0x80
#define DPOFUA	    0x10
#define LONGLBA	    0x01

#define PAGE_ALL    0x3f
#define SUBPAGE_ALL 0xff

enum page_control { PC_CURRENT, PC_CHANGEABLE, PC_DEFAULT, PC_SAVED };

/* --- pages: the bytes after code and length --- */

static void fill_caching(const struct scsi_lun *lun, uint8_t *p)
{
	const struct hba_unit *u = lun->unit;

	/* WCE when anything between us and the medium acknowledges writes before they are on it: the unit
	 * says so, the controller's cache does (kept by a battery or not: batteries fail, and a flush costs
	 * little then), or the member disks may. */
	if (lun->facts.wce || u->write_back || u->disk_cache)
		p[0] |= 0x04;
	if (lun->facts.rcd)
		p[0] |= 0x01;
}

static void fill_control(const struct scsi_lun *lun, uint8_t *p)
{
	p[0] = 0x02; /* GLTSD; D_SENSE 0: fixed format sense */
	p[1] = 0x10; /* QUEUE ALGORITHM MODIFIER 1: commands are reordered; QERR 0 */
	p[3] = 0x40; /* TAS: LIO's default, and it is LIO that aborts for other initiators */
}

static void fill_exceptions(const struct scsi_lun *lun, uint8_t *p)
{
	p[0] = 0x08; /* DEXCPT: the firmware watches its disks and tells by events, not by sense */
}

static const struct mode_page {
	uint8_t code, len; /* len: of the bytes after code and length */
	void (*fill)(const struct scsi_lun *lun, uint8_t *p);
} pages[] = {
	{0x08, 0x12, fill_caching},
	{0x0a, 0x0a, fill_control},
	{0x1c, 0x0a, fill_exceptions},
};

/* --- commands --- */

struct mode_data {
	unsigned len;
	uint8_t data[128];
};
static_assert(8 + 16 + 3 * 2 + 0x12 + 2 * 0x0a <= 128, "all pages fit");

static bool put_pages(const struct scsi_lun *lun, uint8_t code, enum page_control pc, struct mode_data *m)
{
	bool found = false;

	for (unsigned i = 0; i < ARRAY_SIZE(pages); i++) {
		const struct mode_page *p = &pages[i];

		if (code != PAGE_ALL && code != p->code)
			continue;
		m->data[m->len] = p->code;
		m->data[m->len + 1] = p->len;
		if (pc != PC_CHANGEABLE)
			p->fill(lun, m->data + m->len + 2);
		m->len += 2U + p->len;
		found = true;
	}
	return found;
}

static void put_block_descriptor(const struct scsi_lun *lun, bool long_lba, struct mode_data *m)
{
	const struct scsi_identity *id = &lun->facts.id;
	uint8_t *p = m->data + m->len;

	if (long_lba) {
		put_be64(p, id->blocks);
		put_be32(p + 12, id->block_size);
		m->len += 16;
	} else {
		put_be32(p, id->blocks > UINT32_MAX ? UINT32_MAX : (uint32_t)id->blocks);
		put_be24(p + 5, id->block_size);
		m->len += 8;
	}
}

/* False: completed with the sense that fits. The header's bytes are left for the caller. */
static bool mode_sense(struct scsi_task *t, unsigned header, struct mode_data *m)
{
	bool long_lba = header == 8 && t->cdb[1] & LLBAA;
	uint8_t code = t->cdb[2] & 0x3f, subpage = t->cdb[3];
	enum page_control pc = (enum page_control)(t->cdb[2] >> 6);

	memset(m, 0, sizeof(*m));
	m->len = header;
	if (pc == PC_SAVED) {
		task_check(t, SENSE_SAVING_UNSUPPORTED);
		return false;
	}
	if (subpage != 0 && subpage != SUBPAGE_ALL) {
		task_bad_field(t, 3, 7);
		return false;
	}
	if (!(t->cdb[1] & DBD))
		put_block_descriptor(t->lun, long_lba, m);
	if (!put_pages(t->lun, code, pc, m)) {
		task_bad_field(t, 2, 5);
		return false;
	}
	return true;
}

static uint8_t device_specific(const struct scsi_lun *lun)
{
	return DPOFUA | (lun->cfg.ro ? WP : 0);
}

static uint8_t descriptor_len(const struct scsi_task *t, bool long_lba)
{
	if (t->cdb[1] & DBD)
		return 0;
	return long_lba ? 16 : 8;
}

void cmd_mode_sense6(struct scsi_task *t)
{
	struct mode_data m;

	if (!mode_sense(t, 4, &m))
		return;
	m.data[0] = (uint8_t)(m.len - 1);
	m.data[2] = device_specific(t->lun);
	m.data[3] = descriptor_len(t, false);
	task_reply(t, m.data, m.len, t->cdb[4]);
}

void cmd_mode_sense10(struct scsi_task *t)
{
	bool long_lba = t->cdb[1] & LLBAA;
	struct mode_data m;

	if (!mode_sense(t, 8, &m))
		return;
	put_be16(m.data, (uint16_t)(m.len - 2));
	m.data[3] = device_specific(t->lun);
	if (long_lba && !(t->cdb[1] & DBD))
		m.data[4] = LONGLBA;
	m.data[7] = descriptor_len(t, long_lba);
	task_reply(t, m.data, m.len, get_be16(t->cdb + 7));
}
