/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mode pages, and MODE SENSE. Nothing can be saved; what can be changed is in the control page. */
#include "mode.h"

#include <string.h>
#include "base/endian.h"
#include "commands.h"
#include "task.h"

#define DBD	0x08
#define LLBAA	0x10
#define WP	0x80
#define DPOFUA	0x10

#define D_SENSE 0x04
#define SWP	0x08

/* --- pages: the bytes after code and length --- */

/* Its own values when the unit has the page. What would have it report recovered errors (PER), stop at them (DTE) or
 * transfer bad blocks (TB) is off: commands are split, and a part that recovered is a part that worked. */
static void fill_recovery(const struct scsi_lun *lun, enum mode_control pc, uint8_t *p)
{
	if (pc == MODE_CHANGEABLE)
		return;
	memcpy(p, lun->facts.mode.recovery, sizeof(lun->facts.mode.recovery));
	p[0] &= (uint8_t)~0x27; /* TB, PER, DTE, DCR */
	p[5] = 0;		/* LBPERE */
}

static void fill_caching(const struct scsi_lun *lun, enum mode_control pc, uint8_t *p)
{
	const struct hba_unit *u = lun->unit;

	/* WCE when anything between us and the medium acknowledges writes before they are on it: the unit
	 * says so, the controller's cache does (kept by a battery or not: batteries fail, and a flush costs
	 * little then), or the member disks may. Not changeable: what hbad was told would be forgotten when it
	 * restarts, and nobody could tell the initiators (hazard H22), who then count on a write-through cache. */
	if (pc == MODE_CHANGEABLE)
		return;
	if (lun->facts.wce || u->write_back || u->disk_cache)
		p[0] |= 0x04;
	if (lun->facts.rcd)
		p[0] |= 0x01;
}

/* What D_SENSE is before anybody changes it. */
static bool default_d_sense(const struct scsi_facts *facts)
{
	/* Fixed format has no room for the addresses of such a unit. LIO decides so for the sense data that it makes
	 * itself, and one LUN should speak one format. */
	return facts->id.blocks - 1 > UINT32_MAX;
}

static void fill_control(const struct scsi_lun *lun, enum mode_control pc, uint8_t *p)
{
	if (pc == MODE_CHANGEABLE) {
		p[0] = lun->cfg.ro ? 0 : D_SENSE;
		p[2] = lun->cfg.ro ? 0 : SWP;
		return;
	}
	p[0] = 0x02; /* GLTSD */
	p[1] = 0x10; /* QUEUE ALGORITHM MODIFIER 1: commands are reordered; QERR 0 */
	p[3] = 0x40; /* TAS: LIO's default, and it is LIO that aborts for other initiators */
	if (pc == MODE_CURRENT ? lun->d_sense : default_d_sense(&lun->facts))
		p[0] |= D_SENSE;
	if (pc == MODE_CURRENT && lun->swp)
		p[2] |= SWP;
}

static struct mode_choice *find_choice(const struct scsi_lun *lun)
{
	struct scsi_host *s = lun->host;

	for (unsigned i = 0; i < MIN(s->n_choices, ARRAY_SIZE(s->choice)); i++)
		if (strcmp(s->choice[i].naa, lun->facts.id.naa_text) == 0)
			return &s->choice[i];
	return NULL;
}

/* The LUN goes and comes again whenever tcmu-runner is restarted, which initiators do not notice: what they have
 * chosen, and above all a write protection, is the unit's. */
static void remember(const struct scsi_lun *lun)
{
	struct scsi_host *s = lun->host;
	struct mode_choice *c = find_choice(lun);

	if (!c)
		c = &s->choice[s->n_choices++ % ARRAY_SIZE(s->choice)];
	static_assert(sizeof(c->naa) >= sizeof(lun->facts.id.naa_text), "holds it");
	strcpy(c->naa, lun->facts.id.naa_text);
	c->d_sense = lun->d_sense;
	c->swp = lun->swp;
}

void mode_recall(struct scsi_lun *lun)
{
	const struct mode_choice *c = find_choice(lun);

	lun->d_sense = c ? c->d_sense : default_d_sense(&lun->facts);
	lun->swp = c && c->swp;
	if (lun->swp)
		log_info("unit %s: an initiator has protected it against writes (SWP of its control mode "
			 "page)",
			lun->cfg.unit);
}

static void take_control(struct scsi_lun *lun, const uint8_t *p)
{
	lun->d_sense = p[0] & D_SENSE;
	lun->swp = p[2] & SWP;
	remember(lun);
}

/* The unit's own timers when it has the page; a logical drive has none. */
static void fill_power(const struct scsi_lun *lun, enum mode_control pc, uint8_t *p)
{
	if (pc != MODE_CHANGEABLE)
		memcpy(p, lun->facts.mode.power, sizeof(lun->facts.mode.power));
}

static void fill_exceptions(const struct scsi_lun *lun, enum mode_control pc, uint8_t *p)
{
	if (pc != MODE_CHANGEABLE)
		p[0] = 0x08; /* DEXCPT: the firmware watches its disks and tells by events, not by sense */
}

/* No control extension page (0Ah, subpage 01h): it speaks of implicit ALUA, which is LIO's. */
static const struct mode_page pages[] = {
	{"Read-Write Error Recovery", 0x01, 0x0a, "the unit, if it has the page", fill_recovery, NULL},
	{"Caching", 0x08, 0x12, "hbad: WCE is the real state of controller, unit and disks", fill_caching,
		NULL},
	{"Control", 0x0a, 0x0a, "hbad; D_SENSE and SWP can be changed", fill_control, take_control},
	{"Power Condition", 0x1a, 0x26, "the unit, if it has the page", fill_power, NULL},
	{"Informational Exceptions Control", 0x1c, 0x0a, "hbad", fill_exceptions, NULL},
};
#define PAGES_LEN (5 * 2 + 0x0a + 0x12 + 0x0a + 0x26 + 0x0a)

const struct mode_page *mode_pages(unsigned *ret_n)
{
	*ret_n = ARRAY_SIZE(pages);
	return pages;
}

unsigned mode_put_page(const struct scsi_lun *lun, const struct mode_page *page, enum mode_control pc,
	uint8_t to[MODE_PAGE_MAX])
{
	memset(to, 0, MODE_PAGE_MAX);
	to[0] = page->code;
	to[1] = page->len;
	page->fill(lun, pc, to + 2);
	return 2U + page->len;
}

/* --- MODE SENSE --- */

struct mode_data {
	unsigned len;
	uint8_t data[192];
};
static_assert(8 + 16 + PAGES_LEN <= 192 - MODE_PAGE_MAX, "all pages fit, and one can be cleared behind them");

static bool put_pages(const struct scsi_lun *lun, uint8_t code, enum mode_control pc, struct mode_data *m)
{
	bool found = false;

	for (unsigned i = 0; i < ARRAY_SIZE(pages); i++) {
		if (code != MODE_PAGE_ALL && code != pages[i].code)
			continue;
		m->len += mode_put_page(lun, &pages[i], pc, m->data + m->len);
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
	enum mode_control pc = (enum mode_control)(t->cdb[2] >> 6);

	memset(m, 0, sizeof(*m));
	m->len = header;
	if (pc == MODE_SAVED) {
		task_check(t, SENSE_SAVING_UNSUPPORTED);
		return false;
	}
	if (subpage != 0 && subpage != MODE_SUBPAGE_ALL) {
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
	return DPOFUA | (lun->cfg.ro || lun->swp ? WP : 0);
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
		m.data[4] = MODE_LONGLBA;
	m.data[7] = descriptor_len(t, long_lba);
	task_reply(t, m.data, m.len, get_be16(t->cdb + 7));
}
