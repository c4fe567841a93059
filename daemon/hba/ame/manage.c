/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The LUN map (controller page 0 [4.3]) and the event switch [4.4]: which units come and go while running. */
#include "box.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PAGE_TRIES 5

/* --- events --- */

static void on_record(struct ame *a, const uint8_t *e)
{
	char text[HBA_EVENT_TEXT];

	a->seen.records++;
	/* What they mean is only told by the vendor's manager. */
	snprintf(text, sizeof(text), "event %02x %02x %02x %02x %02x %02x %02x %02x", e[0], e[1], e[2], e[3],
		e[4], e[5], e[6], e[7]);
	hba_tell(a->h, e[0], text);
	if (log_limit_ok(&a->event_limit, 10, 60 * NS_PER_SEC))
		log_info("%s: %s", a->h->pci->uri, text);
}

static void on_luns_changed(struct ame *a)
{
	a->seen.luns++;
	a->want_map = true;
	a->page_tries = 0;
	/* A page that is being read may be of before. */
	a->map_stale = a->slot[AME_SLOT_INBAND].at_box;
}

static void on_switched(struct ame *a, const struct ame_reply *r)
{
	a->slot[AME_SLOT_SWITCH].at_box = false;
	a->n_at_box--;
	if (r->status)
		log_warn("%s: the box does not switch its events on (status %02xh): units that come and go "
			 "are "
			 "not noticed",
			a->h->pci->uri, r->status);
	if (a->family->doorbells)
		ame_write(a, AME_PAD_HOST, AME_HOST_NORMAL);
}

/* The identifier tells an answer to the switch from what comes unasked, whose identifier means nothing [5.1], and may
 * be anything: a change of the units is none whatever it says. */
void ame_event_reply(struct ame *a, const struct ame_reply *r)
{
	uint32_t slot = AME_SLOT_SWITCH;

	if (r->event[0] == AME_E_LUNS)
		on_luns_changed(a);
	else if (a->slot[slot].at_box && le32_to_cpu(r->id) == ame_id(slot))
		on_switched(a, r);
	else if (r->event[0] != AME_E_USING && r->event[0] != AME_E_COMPLETE)
		on_record(a, r->event);
}

/* --- the map --- */

uint16_t ame_map_entry(const struct ame *a, unsigned lun)
{
	return a->map_known ? a->map[lun] : 0; /* any may be there */
}

static struct hba_unit *unit_of(struct hba *h, unsigned lun)
{
	for (unsigned i = 0; i < h->n_units; i++)
		if (h->unit[i].target == lun)
			return &h->unit[i];
	return NULL;
}

static void set_there(struct hba_unit *u, bool there)
{
	/* These two alone may change while others look. */
	hba_unit_listed(u, there);
	__atomic_store_n(&u->state, there ? HBA_UNIT_OPTIMAL : HBA_UNIT_OFFLINE, __ATOMIC_RELAXED);
}

/* Whether it is a disk, and how large, the SCSI layer asks it. What is not known of its cache is volatile. */
static const char *add_unit(struct ame *a, unsigned lun)
{
	struct hba_unit u = {
		.kind = HBA_UNIT_LD,
		.target = (uint16_t)lun,
		.state = HBA_UNIT_OPTIMAL,
		.write_back = true,
		.flush_alone = true,
	};

	snprintf(u.name, sizeof(u.name), "lun%u", lun);
	return hba_add_unit(a->h, &u) ? "is new" : "is new, but there are too many units";
}

/* What the values mean is [?]; the vendor's driver takes any change of them for a removal. Here only those who
 * disappear are gone; whether one that changed is still the same disk, it is asked. Check on real hardware: grow a unit,
 * and see whether this is logged. */
static void on_entry(struct ame *a, unsigned lun, uint16_t before, uint16_t now)
{
	struct hba_unit *u = unit_of(a->h, lun);
	const char *what = "has changed";

	if (before == now)
		return;
	if (u && (now == AME_LUN_NOT_THERE || before == AME_LUN_NOT_THERE)) {
		set_there(u, now != AME_LUN_NOT_THERE);
		what = now == AME_LUN_NOT_THERE ? "was removed" : "is back";
	} else if (before == AME_LUN_NOT_THERE) {
		what = add_unit(a, lun);
	} else if (now == AME_LUN_NOT_THERE) {
		what = "was removed";
	}
	hba_units_changed(a->h);
	if (log_limit_ok(&a->event_limit, 20, 60 * NS_PER_SEC))
		log_info("%s: lun%u %s", a->h->pci->uri, lun, what);
}

/* Without a map of before there are the units, all of which were there; of other LUNs nothing is known. */
static uint16_t entry_before(const struct ame *a, unsigned lun, uint16_t now)
{
	if (a->map_known)
		return a->map[lun];
	return now == AME_LUN_NOT_THERE && unit_of(a->h, lun) ? 0 : now;
}

static void take_map(struct ame *a)
{
	struct ame_page0 page;

	memcpy(&page, a->page_mem, sizeof(page));
	for (unsigned i = 0; i < AME_MAX_LUNS; i++) {
		uint16_t now = (uint16_t)(page.map[i][0] | page.map[i][1] << 8);

		on_entry(a, i, entry_before(a, i, now), now);
		a->map[i] = now;
	}
	a->map_known = true;
}

void ame_inband_reply(struct ame *a, const struct ame_reply *r)
{
	a->page_after_ns = 0;
	if (a->map_stale) {
		a->map_stale = false;
	} else if (r->status == AME_S_OK && !le16_to_cpu(r->inband_error)) {
		take_map(a);
	} else {
		a->want_map = ++a->page_tries < PAGE_TRIES;
		a->page_after_ns = clock_ns() + ame_times(a)->retry * NS_PER_MS;
		if (log_limit_ok(&a->failure_limit, 5, 60 * NS_PER_SEC))
			log_warn("%s: the box does not give its page 0 (status %02xh, error %u)%s",
				a->h->pci->uri, r->status, le16_to_cpu(r->inband_error),
				a->want_map ? "" : ": changes of its units are not seen");
	}
}

/* --- sending --- */

/* One in-band command at a time [4.3]: the slot sees to that. */
void ame_manage(struct ame *a, uint64_t now)
{
	uint32_t page = AME_SLOT_INBAND, events = AME_SLOT_SWITCH;

	if (hba_state(a->h) != HBA_RUNNING || ame_held(a))
		return;
	if (a->want_switch && !a->slot[events].at_box && ame_has_room(a)) {
		a->want_switch = false;
		ame_build_switch(a, events, true);
		ame_fire(a, events, AME_F_EVENT);
	}
	if (a->want_map && now >= a->page_after_ns && !a->slot[page].at_box && ame_has_room(a)) {
		a->want_map = false;
		ame_build_page(a, page, 0, ame_iova(a, a->page_mem));
		ame_fire(a, page, AME_F_INBAND);
	}
}

int ame_manage_limits(const struct ame *a, uint64_t now)
{
	static const enum ame_own_slot own[] = {AME_SLOT_INBAND, AME_SLOT_SWITCH};

	for (unsigned i = 0; i < ARRAY_SIZE(own); i++) {
		const struct ame_slot *s = &a->slot[own[i]];

		if (!s->at_box || now < s->fired_ns || now - s->fired_ns < ame_times(a)->inband * NS_PER_MS)
			continue;
		log_warn("%s: the box does not answer a management request", a->h->pci->uri);
		return -EIO;
	}
	return 0;
}
