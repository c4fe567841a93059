/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Events [4.7]. Firmware keeps a wait until there is an event with the sequence number that it asks for, or a later
 * one; so nothing is missed between two waits, nor in a reset of the controller. How units are is only believed after
 * firmware's lists have been read again: one slot, one command after the other. That a drive was away in between is
 * what events alone tell.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fusion.h"

#define LOOK_EVERY   60	   /* looks at the firmware's health */
#define TAKE_BACK_MS 10000 /* a wait: it takes firmware no time, and more important things wait behind it */

static uint32_t event_slot(const struct fusion *f)
{
	return f->m.depth + FUSION_SLOT_EVENT;
}

static uint8_t *event_data(const struct fusion *f)
{
	return f->m.control.cpu + FUSION_CTL_EVENT;
}

static void set_lost(struct fusion *f, bool lost)
{
	__atomic_store_n(&f->event.lost, lost, __ATOMIC_RELAXED);
}

static void fire(struct fusion *f, enum fusion_event_step step, const struct mfi_dcmd *d)
{
	struct mfi *m = &f->m;
	uint32_t slot = event_slot(f);

	assert(d->len <= FUSION_CTL_SIZE - FUSION_CTL_EVENT);
	f->event.step = step;
	f->event.due_ns = clock_ns() + m->iop->times->dcmd * NS_PER_MS;
	set_lost(f, false);
	memset(event_data(f), 0, d->len);
	mfi_build_dcmd(mfi_frame(m, slot), mfi_slot_use(m, slot), true, d,
		(uint32_t)m->control.iova + FUSION_CTL_EVENT);
	mfi_fire(m, slot, 0);
}

static void wait_for_next(struct fusion *f)
{
	struct mfi_dcmd d = {
		.opcode = FUSION_DCMD_EVENT_WAIT, .dir = DMA_FROM_DEVICE, .len = sizeof(struct fusion_event)};
	const le32_t mbox[2] = {cpu_to_le32(f->event.next), cpu_to_le32(FUSION_EVENT_FILTER)};

	memcpy(d.mbox, mbox, sizeof(mbox));
	fire(f, FUSION_EVENT_WAITING, &d);
}

static void ask_lds(struct fusion *f)
{
	const struct mfi_dcmd d = mfi_ld_list_dcmd(&f->m);

	f->event.lds_changed = false;
	fire(f, FUSION_EVENT_LDS, &d);
}

static void ask_pds(struct fusion *f)
{
	const struct mfi_dcmd d = {
		.opcode = MFI_DCMD_PD_LIST_QUERY,
		.mbox = {MFI_PD_QUERY_EXPOSED},
		.dir = DMA_FROM_DEVICE,
		.len = MFI_PD_LIST_SIZE,
	};

	f->event.pds_changed = false;
	fire(f, FUSION_EVENT_PDS, &d);
}

static void ask_map(struct fusion *f)
{
	const struct mfi_dcmd d = {
		.opcode = FUSION_DCMD_PD_MAP, .dir = DMA_FROM_DEVICE, .len = sizeof(struct fusion_pd_map)};

	fire(f, FUSION_EVENT_MAP, &d);
}

static void ask_info(struct fusion *f)
{
	const struct mfi_dcmd d = {.opcode = FUSION_DCMD_EVENT_GET_INFO,
		.dir = DMA_FROM_DEVICE,
		.len = sizeof(struct fusion_event_info)};

	fire(f, FUSION_EVENT_INFO, &d);
}

static void go_on(struct fusion *f)
{
	if (!f->live)
		return;
	if (f->event.lds_changed)
		ask_lds(f);
	else if (f->event.pds_changed)
		ask_pds(f);
	else
		wait_for_next(f);
}

/* --- what they say --- */

static void set_state(struct fusion *f, struct hba_unit *u, enum hba_unit_state state, bool listed)
{
	static const char *const text[] = {[HBA_UNIT_OFFLINE] = "is offline or gone",
		[HBA_UNIT_DEGRADED] = "is degraded",
		[HBA_UNIT_OPTIMAL] = "is optimal"};

	if (u->state == state && u->missing == !listed)
		return;
	hba_unit_listed(u, listed);
	if (log_limit_ok(&f->event_limit, 20, 60 * NS_PER_SEC))
		log_info("%s: %s %s", f->m.h->pci->uri, u->name, text[state]);
	/* Alone of all fields it may change while others look. */
	__atomic_store_n(&u->state, state, __ATOMIC_RELAXED);
	hba_units_changed(f->m.h);
}

static bool in_units(const struct fusion *f, enum hba_unit_kind kind, unsigned target)
{
	for (unsigned i = 0; i < f->m.h->n_units; i++)
		if (f->m.h->unit[i].kind == kind && f->m.h->unit[i].target == target)
			return true;
	return false;
}

/* Details of its caches are not asked for: what is not known is volatile. */
static void take_new(struct fusion *f, enum hba_unit_kind kind, unsigned target, uint64_t blocks)
{
	struct hba_unit u = {
		.kind = kind,
		.target = (uint16_t)target,
		.state = HBA_UNIT_OPTIMAL,
		.blocks = blocks,
		.write_back = kind == HBA_UNIT_LD,
		.disk_cache = true,
		.flush_alone = kind == HBA_UNIT_PD,
	};

	if (target >= UINT16_MAX || in_units(f, kind, target))
		return;
	snprintf(u.name, sizeof(u.name), "%s%u", kind == HBA_UNIT_LD ? "ld" : "pd", target);
	if (!hba_add_unit(f->m.h, &u) && log_limit_ok(&f->event_limit, 20, 60 * NS_PER_SEC))
		log_warn("%s: %s cannot be used: there are too many units", f->m.h->pci->uri, u.name);
}

static uint64_t blocks_of(const struct mfi_ld_entry *ld)
{
	return (uint64_t)le32_to_cpu(ld->blocks_hi) << 32 | le32_to_cpu(ld->blocks_lo);
}

static void on_lds(struct fusion *f)
{
	struct hba *h = f->m.h;
	struct mfi_ld_list_many list;
	uint32_t count;

	/* A snapshot: what is checked is what is used. */
	memcpy(&list, event_data(f), sizeof(list));
	count = le32_to_cpu(list.count);
	if (count > (f->m.many_lds ? MFI_MAX_MANY_LDS : MFI_MAX_LDS))
		return;
	for (unsigned i = 0; i < h->n_units; i++) {
		enum hba_unit_state state = HBA_UNIT_OFFLINE;
		bool listed = false;

		if (h->unit[i].kind != HBA_UNIT_LD)
			continue;
		for (uint32_t n = 0; n < count; n++) {
			if (list.ld[n].target_id != h->unit[i].target)
				continue;
			listed = true;
			state = mfi_ld_state(list.ld[n].state);
			/* Another size: the unit itself says which. */
			if (blocks_of(&list.ld[n]) != h->unit[i].blocks)
				hba_units_changed(h);
		}
		set_state(f, &h->unit[i], state, listed);
	}
	for (uint32_t n = 0; n < count; n++)
		take_new(f, HBA_UNIT_LD, list.ld[n].target_id, blocks_of(&list.ld[n]));
}

static void on_pds(struct fusion *f)
{
	struct hba *h = f->m.h;
	const struct mfi_pd_list *list = (const struct mfi_pd_list *)event_data(f);
	/* Read once; ids are only compared, so that it does not matter if they change. */
	uint32_t count = le32_to_cpu(__atomic_load_n(&list->count, __ATOMIC_RELAXED));

	if (count > MFI_PD_LIST_MAX)
		return;
	for (unsigned i = 0; i < h->n_units; i++) {
		enum hba_unit_state state = HBA_UNIT_OFFLINE;

		if (h->unit[i].kind != HBA_UNIT_PD)
			continue;
		for (uint32_t n = 0; n < count; n++)
			if (le16_to_cpu(list->pd[n].device_id) == h->unit[i].target)
				state = HBA_UNIT_OPTIMAL;
		set_state(f, &h->unit[i], state, state == HBA_UNIT_OPTIMAL);
	}
	for (uint32_t n = 0; n < count; n++)
		if (list->pd[n].scsi_type == 0)
			take_new(f, HBA_UNIT_PD, le16_to_cpu(list->pd[n].device_id), 0);
}

static void on_map(struct fusion *f)
{
	struct fusion_pd_map map;

	memcpy(&map, event_data(f), sizeof(map));
	fusion_take_pd_map(f, &map);
}

static void on_info(struct fusion *f)
{
	struct fusion_event_info info;

	memcpy(&info, event_data(f), sizeof(info));
	f->event.next = le32_to_cpu(info.newest) + 1;
}

/* NULL: it is no unit, but a member of one, or another device; or the event names none. */
static struct hba_unit *drive_of(struct hba *h, const struct fusion_event *ev)
{
	unsigned id = ev->args[0] | (unsigned)ev->args[1] << 8;

	if (ev->arg_type != FUSION_EV_ARG_PD)
		return NULL;
	for (unsigned i = 0; i < h->n_units; i++)
		if (h->unit[i].kind == HBA_UNIT_PD && h->unit[i].target == id)
			return &h->unit[i];
	return NULL;
}

/* A drive that is put back before the list is read is listed as if nothing had been. But its cache had no power for a
 * while, and in its place there may be another one: it is missing until the list has it, and asked who it is. */
static void on_drive(struct hba *h, const struct fusion_event *ev, uint32_t code)
{
	struct hba_unit *u = drive_of(h, ev);

	if (u && code == FUSION_EV_PD_REMOVED)
		hba_unit_listed(u, false);
	/* The list after its removal may have had it before it could answer. */
	if (u && code == FUSION_EV_PD_INSERTED)
		hba_units_changed(h);
}

static void on_event(struct fusion *f)
{
	struct fusion_event ev;
	char text[sizeof(ev.text) + 1];
	uint32_t code;

	memcpy(&ev, event_data(f), sizeof(ev));
	f->event.next = le32_to_cpu(ev.seq) + 1;
	f->event.refused = false;
	f->count.events++;
	code = le32_to_cpu(ev.code);
	f->event.lds_changed |= code == FUSION_EV_CFG_CLEARED || code == FUSION_EV_LD_STATE ||
				code == FUSION_EV_LD_CREATED || code == FUSION_EV_LD_DELETED ||
				code == FUSION_EV_LD_OFFLINE || code == FUSION_EV_FOREIGN_IMPORTED ||
				code == FUSION_EV_BUS_SCAN;
	f->event.pds_changed |= code == FUSION_EV_PD_INSERTED || code == FUSION_EV_PD_REMOVED ||
				code == FUSION_EV_PD_STATE || code == FUSION_EV_FOREIGN_IMPORTED ||
				code == FUSION_EV_CFG_CLEARED || code == FUSION_EV_BUS_SCAN;
	on_drive(f->m.h, &ev, code);
	mfi_clean_text(text, ev.text, sizeof(ev.text));
	hba_tell(f->m.h, code, text);
	if (!log_limit_ok(&f->event_limit, 20, 60 * NS_PER_SEC))
		return;
	log_info(
		"%s: controller event %u, code %03xh: %s", f->m.h->pci->uri, le32_to_cpu(ev.seq), code, text);
}

/* Taken back at the end; or it has no such event, because its log was cleared, or no log at all. Asked again it would
 * refuse again, at once and for ever. */
static void on_refusal(struct fusion *f, uint8_t status)
{
	if (!f->live)
		return;
	if (!f->event.refused)
		log_warn("%s: firmware ended the wait for events with status %02xh; looking at its units now "
			 "and then",
			f->m.h->pci->uri, status);
	f->event.refused = true;
	f->event.due_ns = clock_ns() + LOOK_EVERY * f->m.iop->times->health * NS_PER_MS;
}

void fusion_event_reply(struct fusion *f)
{
	uint8_t status = mfi_cmd_status(&f->m, event_slot(f));
	enum fusion_event_step step = f->event.step;

	pci_note(f->m.h->pci, PCI_NOTE_IN, f->m.control.iova + FUSION_CTL_EVENT, event_data(f),
		FUSION_CTL_SIZE - FUSION_CTL_EVENT);
	f->event.step = FUSION_EVENT_OFF;
	if (status != MFI_OK && step == FUSION_EVENT_WAITING) {
		on_refusal(f, status);
		return;
	}
	if (step == FUSION_EVENT_WAITING)
		on_event(f);
	else if (step == FUSION_EVENT_INFO && status == MFI_OK)
		on_info(f);
	else if (step == FUSION_EVENT_LDS && status == MFI_OK)
		on_lds(f);
	else if (step == FUSION_EVENT_PDS && status == MFI_OK)
		on_pds(f);
	else if (step == FUSION_EVENT_MAP && status == MFI_OK)
		on_map(f);
	if (step == FUSION_EVENT_PDS && f->live && f->m.ctrl_ops3 & FUSION_OPS3_PD_MAP)
		ask_map(f);
	else
		go_on(f);
}

/* --- begin and end --- */

int fusion_events_find(struct fusion *f, struct err *e)
{
	const struct mfi_dcmd d = {.opcode = FUSION_DCMD_EVENT_GET_INFO,
		.dir = DMA_FROM_DEVICE,
		.len = sizeof(struct fusion_event_info)};
	struct fusion_event_info info;
	uint8_t status = MFI_PENDING;
	int r = mfi_dcmd(&f->m, &d, &info, &status);

	if (r < 0)
		return err_set(
			e, r, "firmware did not answer CTRL_EVENT_GET_INFO; power-cycle the controller");
	/* Without a log the wait begins at its beginning, and firmware says what it thinks of it. */
	f->event.next = status == MFI_OK ? le32_to_cpu(info.newest) + 1 : 0;
	return 0;
}

void fusion_events_resume(struct fusion *f)
{
	if (f->event.step != FUSION_EVENT_OFF && f->m.slot[event_slot(f)].fired)
		return;
	/* What was being asked when the reset came is asked again. */
	f->event.lds_changed |= f->event.step == FUSION_EVENT_LDS;
	f->event.pds_changed |= f->event.step == FUSION_EVENT_PDS || f->event.step == FUSION_EVENT_MAP;
	go_on(f);
}

/* The log may have lost its end with the firmware that died, and drives have new handles. */
void fusion_events_doubt(struct fusion *f)
{
	f->event.lds_changed = f->event.pds_changed = true;
}

/* All that depends on the answer is what units' states are said to be: no reason to reset everybody's controller. The
 * slot stays firmware's until somebody else finds one. */
void fusion_events_check(struct fusion *f, uint64_t now)
{
	if (f->event.step == FUSION_EVENT_WAITING || f->event.lost || now < f->event.due_ns)
		return;
	if (f->event.step == FUSION_EVENT_OFF) {
		if (!f->live || !f->event.refused)
			return;
		fusion_events_doubt(f);
		ask_info(f);
		return;
	}
	log_warn("%s: firmware does not answer what its units are; changes are not noticed before it does",
		f->m.h->pci->uri);
	set_lost(f, true);
}

int fusion_events_stop(struct fusion *f)
{
	struct mfi *m = &f->m;
	uint32_t slot = m->depth + MFI_SLOT_ABORT, victim = event_slot(f);
	uint64_t until = mfi_until(m, MIN(m->iop->times->dcmd, (uint32_t)TAKE_BACK_MS));
	uint8_t status = MFI_PENDING;
	int r;

	fusion_drain(m);
	if (!m->slot[victim].fired)
		return 0;
	/* Firmware has the abort of a freeze that came to nothing. */
	if (m->slot[slot].fired)
		return -EBUSY;
	mfi_build_abort(mfi_frame(m, slot), mfi_slot_use(m, slot), mfi_slot_context(m, victim),
		mfi_frame_addr(m, victim));
	mfi_fire(m, slot, 0);
	r = mfi_wait_status(m, slot, MIN(m->iop->times->dcmd, (uint32_t)TAKE_BACK_MS), &status);
	if (r < 0)
		return r;
	/* The victim's own reply is what counts; but firmware that refuses owes none. */
	while (status == MFI_OK && m->slot[victim].fired && clock_ns() < until) {
		clock_sleep_ms(1);
		fusion_drain(m);
	}
	return m->slot[victim].fired ? -ETIMEDOUT : 0;
}
