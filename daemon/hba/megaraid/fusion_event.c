/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Events [4.7]. Firmware keeps a wait until there is an event with the sequence number that it asks for, or a later
 * one; so nothing is missed between two waits, nor in a reset of the controller. What an event says is only believed
 * after firmware's lists have been read again: one slot, one command after the other.
 */
#include <errno.h>
#include <string.h>

#include "fusion.h"

static uint32_t event_slot(const struct fusion *f)
{
	return f->m.depth + FUSION_SLOT_EVENT;
}

static uint8_t *event_data(const struct fusion *f)
{
	return f->m.control.cpu + FUSION_CTL_EVENT;
}

static void fire(struct fusion *f, enum fusion_event_step step, const struct mfi_dcmd *d)
{
	struct mfi *m = &f->m;
	uint32_t slot = event_slot(f);

	assert(d->len <= FUSION_CTL_SIZE - FUSION_CTL_EVENT);
	f->event.step = step;
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

static void set_state(struct fusion *f, struct hba_unit *u, enum hba_unit_state state)
{
	static const char *const text[] = {[HBA_UNIT_OFFLINE] = "is offline or gone",
		[HBA_UNIT_DEGRADED] = "is degraded",
		[HBA_UNIT_OPTIMAL] = "is optimal"};

	if (u->state == state)
		return;
	if (log_limit_ok(&f->event_limit, 20, 60 * NS_PER_SEC))
		log_info("%s: %s %s", f->m.h->pci->uri, u->name, text[state]);
	/* Alone of all fields it may change while others look. */
	__atomic_store_n(&u->state, state, __ATOMIC_RELAXED);
}

static bool in_units(const struct fusion *f, enum hba_unit_kind kind, unsigned target)
{
	for (unsigned i = 0; i < f->m.h->n_units; i++)
		if (f->m.h->unit[i].kind == kind && f->m.h->unit[i].target == target)
			return true;
	return false;
}

static void say_new(struct fusion *f, enum hba_unit_kind kind, unsigned target)
{
	if (!in_units(f, kind, target) && log_limit_ok(&f->event_limit, 20, 60 * NS_PER_SEC))
		log_info("%s: %s%u is new: it can be used after the instance was restarted", f->m.h->pci->uri,
			kind == HBA_UNIT_LD ? "ld" : "pd", target);
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

		if (h->unit[i].kind != HBA_UNIT_LD)
			continue;
		for (uint32_t n = 0; n < count; n++)
			if (list.ld[n].target_id == h->unit[i].target)
				state = mfi_ld_state(list.ld[n].state);
		set_state(f, &h->unit[i], state);
	}
	for (uint32_t n = 0; n < count; n++)
		say_new(f, HBA_UNIT_LD, list.ld[n].target_id);
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
		set_state(f, &h->unit[i], state);
	}
	for (uint32_t n = 0; n < count; n++)
		if (list->pd[n].scsi_type == 0)
			say_new(f, HBA_UNIT_PD, le16_to_cpu(list->pd[n].device_id));
}

static void on_map(struct fusion *f)
{
	struct fusion_pd_map map;

	memcpy(&map, event_data(f), sizeof(map));
	fusion_take_pd_map(f, &map);
}

static void on_event(struct fusion *f)
{
	struct fusion_event ev;
	char text[sizeof(ev.text) + 1];
	uint32_t code;

	memcpy(&ev, event_data(f), sizeof(ev));
	f->event.next = le32_to_cpu(ev.seq) + 1;
	f->count.events++;
	code = le32_to_cpu(ev.code);
	f->event.lds_changed |= code == FUSION_EV_CFG_CLEARED || code == FUSION_EV_LD_STATE ||
				code == FUSION_EV_LD_CREATED || code == FUSION_EV_LD_DELETED ||
				code == FUSION_EV_LD_OFFLINE || code == FUSION_EV_FOREIGN_IMPORTED ||
				code == FUSION_EV_BUS_SCAN;
	f->event.pds_changed |= code == FUSION_EV_PD_INSERTED || code == FUSION_EV_PD_REMOVED ||
				code == FUSION_EV_PD_STATE || code == FUSION_EV_FOREIGN_IMPORTED ||
				code == FUSION_EV_CFG_CLEARED || code == FUSION_EV_BUS_SCAN;
	if (!log_limit_ok(&f->event_limit, 20, 60 * NS_PER_SEC))
		return;
	mfi_clean_text(text, ev.text, sizeof(ev.text));
	log_info(
		"%s: controller event %u, code %03xh: %s", f->m.h->pci->uri, le32_to_cpu(ev.seq), code, text);
}

void fusion_event_reply(struct fusion *f)
{
	uint8_t status = mfi_cmd_status(&f->m, event_slot(f));
	enum fusion_event_step step = f->event.step;

	pci_note(f->m.h->pci, PCI_NOTE_IN, f->m.control.iova + FUSION_CTL_EVENT, event_data(f),
		FUSION_CTL_SIZE - FUSION_CTL_EVENT);
	f->event.step = FUSION_EVENT_OFF;
	if (status != MFI_OK && step == FUSION_EVENT_WAITING) {
		/* Taken back at the end, or refused: asked again it would be refused again, at once and for ever. */
		if (f->live)
			log_warn("%s: firmware ended the wait for events with status %02xh: changes of its "
				 "units will not be noticed before its next reset",
				f->m.h->pci->uri, status);
		return;
	}
	if (step == FUSION_EVENT_WAITING)
		on_event(f);
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

int fusion_events_stop(struct fusion *f)
{
	struct mfi *m = &f->m;
	uint32_t slot = m->depth + MFI_SLOT_ABORT, victim = event_slot(f);
	uint64_t until = clock_ns() + m->iop->times->dcmd * NS_PER_MS;
	uint8_t status = MFI_PENDING;
	int r;

	fusion_drain(m);
	if (!m->slot[victim].fired)
		return 0;
	mfi_build_abort(mfi_frame(m, slot), mfi_slot_use(m, slot), mfi_slot_context(m, victim),
		mfi_frame_addr(m, victim));
	mfi_fire(m, slot, 0);
	r = mfi_wait_status(m, slot, m->iop->times->dcmd, &status);
	if (r < 0)
		return r;
	/* The victim's own reply is what counts; but firmware that refuses owes none. */
	while (status == MFI_OK && m->slot[victim].fired && clock_ns() < until) {
		clock_sleep_ms(1);
		fusion_drain(m);
	}
	return m->slot[victim].fired ? -ETIMEDOUT : 0;
}
