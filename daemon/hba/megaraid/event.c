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

#include "mfi.h"

#define LOOK_EVERY   60	   /* looks at the firmware's health */
#define TAKE_BACK_MS 10000 /* a wait: it takes firmware no time, and more important things wait behind it */
#define KEPT_MS	     1000  /* from the abort's answer to the wait's, of firmware that may owe it for ever */

static uint32_t event_slot(const struct mfi *m)
{
	return m->depth + MFI_SLOT_EVENT;
}

static uint8_t *event_data(const struct mfi *m)
{
	return m->control.cpu + MFI_CTL_EVENT;
}

static void set_lost(struct mfi *m, bool lost)
{
	__atomic_store_n(&m->event.lost, lost, __ATOMIC_RELAXED);
}

static void fire(struct mfi *m, enum mfi_event_step step, const struct mfi_dcmd *d)
{
	uint32_t slot = event_slot(m);

	assert(d->len <= MFI_CTL_EVENT_LEN);
	m->event.step = step;
	m->event.kept = false;
	m->event.due_ns = clock_ns() + m->iop->times->dcmd * NS_PER_MS;
	set_lost(m, false);
	memset(event_data(m), 0, d->len);
	mfi_build_dcmd(mfi_frame(m, slot), mfi_slot_use(m, slot), true, d,
		(uint32_t)m->control.iova + MFI_CTL_EVENT);
	mfi_fire(m, slot, 0);
}

static void wait_for_next(struct mfi *m)
{
	struct mfi_dcmd d = {
		.opcode = MFI_DCMD_EVENT_WAIT, .dir = DMA_FROM_DEVICE, .len = sizeof(struct mfi_event)};
	const le32_t mbox[2] = {cpu_to_le32(m->event.next), cpu_to_le32(MFI_EVENT_FILTER)};

	memcpy(d.mbox, mbox, sizeof(mbox));
	fire(m, MFI_EVENTS_WAITING, &d);
}

static void ask_lds(struct mfi *m)
{
	const struct mfi_dcmd d = mfi_ld_list_dcmd(m);

	m->event.lds_changed = false;
	fire(m, MFI_EVENTS_LDS, &d);
}

static void ask_pds(struct mfi *m)
{
	const struct mfi_dcmd d = {
		.opcode = MFI_DCMD_PD_LIST_QUERY,
		.mbox = {MFI_PD_QUERY_EXPOSED},
		.dir = DMA_FROM_DEVICE,
		.len = MFI_PD_LIST_SIZE,
	};

	m->event.pds_changed = false;
	fire(m, MFI_EVENTS_PDS, &d);
}

static void ask_info(struct mfi *m)
{
	const struct mfi_dcmd d = {.opcode = MFI_DCMD_EVENT_GET_INFO,
		.dir = DMA_FROM_DEVICE,
		.len = sizeof(struct mfi_event_info)};

	fire(m, MFI_EVENTS_INFO, &d);
}

static void go_on(struct mfi *m)
{
	if (!m->live)
		return;
	/* First of all: what comes behind it is told, and what came before it is in the lists. */
	if (!m->event.known)
		ask_info(m);
	else if (m->event.lds_changed)
		ask_lds(m);
	else if (m->event.pds_changed)
		ask_pds(m);
	else
		wait_for_next(m);
}

/* --- what they say --- */

static void set_state(struct mfi *m, struct hba_unit *u, enum hba_unit_state state, bool listed)
{
	static const char *const text[] = {[HBA_UNIT_OFFLINE] = "is offline or gone",
		[HBA_UNIT_DEGRADED] = "is degraded",
		[HBA_UNIT_OPTIMAL] = "is optimal"};

	if (u->state == state && u->missing == !listed)
		return;
	hba_unit_listed(u, listed);
	if (log_limit_ok(&m->event.limit, 20, 60 * NS_PER_SEC))
		log_info("%s: %s %s", m->h->pci->uri, u->name, text[state]);
	/* Alone of all fields it may change while others look. */
	__atomic_store_n(&u->state, state, __ATOMIC_RELAXED);
	hba_units_changed(m->h);
}

static bool in_units(const struct mfi *m, enum hba_unit_kind kind, unsigned target)
{
	for (unsigned i = 0; i < m->h->n_units; i++)
		if (m->h->unit[i].kind == kind && m->h->unit[i].target == target)
			return true;
	return false;
}

/* Details of its caches are not asked for: what is not known is volatile. */
static void take_new(struct mfi *m, enum hba_unit_kind kind, unsigned target, uint64_t blocks)
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

	if (!mfi_can_name(m, target) || in_units(m, kind, target))
		return;
	snprintf(u.name, sizeof(u.name), "%s%u", kind == HBA_UNIT_LD ? "ld" : "pd", target);
	if (!hba_add_unit(m->h, &u) && log_limit_ok(&m->event.limit, 20, 60 * NS_PER_SEC))
		log_warn("%s: %s cannot be used: there are too many units", m->h->pci->uri, u.name);
}

static uint64_t blocks_of(const struct mfi_ld_entry *ld)
{
	return (uint64_t)le32_to_cpu(ld->blocks_hi) << 32 | le32_to_cpu(ld->blocks_lo);
}

/* Another size than the last list's is news; the unit itself says which. */
static void note_size(struct mfi *m, unsigned unit, uint64_t blocks)
{
	uint64_t *told = &m->event.blocks[unit];

	if (blocks + 1 != (*told ? *told : m->h->unit[unit].blocks + 1))
		hba_units_changed(m->h);
	*told = blocks + 1;
}

static void on_lds(struct mfi *m)
{
	struct hba *h = m->h;
	struct mfi_ld_list_many list;
	uint32_t count;

	/* A snapshot: what is checked is what is used. */
	memcpy(&list, event_data(m), sizeof(list));
	count = le32_to_cpu(list.count);
	if (count > (m->many_lds ? MFI_MAX_MANY_LDS : MFI_MAX_LDS))
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
			note_size(m, i, blocks_of(&list.ld[n]));
		}
		set_state(m, &h->unit[i], state, listed);
	}
	for (uint32_t n = 0; n < count; n++)
		take_new(m, HBA_UNIT_LD, list.ld[n].target_id, blocks_of(&list.ld[n]));
}

static void on_pds(struct mfi *m)
{
	struct hba *h = m->h;
	const struct mfi_pd_list *list = (const struct mfi_pd_list *)event_data(m);
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
		set_state(m, &h->unit[i], state, state == HBA_UNIT_OPTIMAL);
	}
	for (uint32_t n = 0; n < count; n++)
		if (list->pd[n].scsi_type == 0)
			take_new(m, HBA_UNIT_PD, le16_to_cpu(list->pd[n].device_id), 0);
}

/* Without a log the wait begins at its beginning, and firmware says what it thinks of it. */
static void on_info(struct mfi *m, uint8_t status)
{
	struct mfi_event_info info;

	m->event.known = true;
	if (status != MFI_OK)
		return;
	memcpy(&info, event_data(m), sizeof(info));
	m->event.next = le32_to_cpu(info.newest) + 1;
}

/* NULL: it is no unit, but a member of one, or another device; or the event names none. */
static struct hba_unit *drive_of(struct hba *h, const struct mfi_event *ev)
{
	unsigned id = ev->args[0] | (unsigned)ev->args[1] << 8;

	if (ev->arg_type != MFI_EV_ARG_PD)
		return NULL;
	for (unsigned i = 0; i < h->n_units; i++)
		if (h->unit[i].kind == HBA_UNIT_PD && h->unit[i].target == id)
			return &h->unit[i];
	return NULL;
}

/* A drive that is put back before the list is read is listed as if nothing had been. But its cache had no power for a
 * while, and in its place there may be another one: it is missing until the list has it, and asked who it is. */
static void on_drive(struct hba *h, const struct mfi_event *ev, uint32_t code)
{
	struct hba_unit *u = drive_of(h, ev);

	if (u && code == MFI_EV_PD_REMOVED)
		hba_unit_listed(u, false);
	/* The list after its removal may have had it before it could answer. */
	if (u && code == MFI_EV_PD_INSERTED)
		hba_units_changed(h);
}

static void on_event(struct mfi *m)
{
	struct mfi_event ev;
	char text[sizeof(ev.text) + 1];
	uint32_t code;

	memcpy(&ev, event_data(m), sizeof(ev));
	m->event.next = le32_to_cpu(ev.seq) + 1;
	m->event.refused = false;
	code = le32_to_cpu(ev.code);
	m->event.lds_changed |= code == MFI_EV_CFG_CLEARED || code == MFI_EV_LD_STATE ||
				code == MFI_EV_LD_CREATED || code == MFI_EV_LD_DELETED ||
				code == MFI_EV_LD_OFFLINE || code == MFI_EV_FOREIGN_IMPORTED ||
				code == MFI_EV_BUS_SCAN;
	m->event.pds_changed |= code == MFI_EV_PD_INSERTED || code == MFI_EV_PD_REMOVED ||
				code == MFI_EV_PD_STATE || code == MFI_EV_FOREIGN_IMPORTED ||
				code == MFI_EV_CFG_CLEARED || code == MFI_EV_BUS_SCAN;
	on_drive(m->h, &ev, code);
	mfi_clean_text(text, ev.text, sizeof(ev.text));
	hba_tell(m->h, code, text);
	if (!log_limit_ok(&m->event.limit, 20, 60 * NS_PER_SEC))
		return;
	log_info("%s: controller event %u, code %03xh: %s", m->h->pci->uri, le32_to_cpu(ev.seq), code, text);
}

/* Taken back at the end; or it has no such event, because its log was cleared, or no log at all. Asked again it would
 * refuse again, at once and for ever. */
static void on_refusal(struct mfi *m, uint8_t status)
{
	if (!m->live)
		return;
	if (!m->event.refused)
		log_warn("%s: firmware ended the wait for events with status %02xh; looking at its units now "
			 "and then",
			m->h->pci->uri, status);
	m->event.refused = true;
	m->event.due_ns = clock_ns() + LOOK_EVERY * m->iop->times->health * NS_PER_MS;
}

void mfi_event_reply(struct mfi *m)
{
	uint8_t status = mfi_cmd_status(m, event_slot(m));
	enum mfi_event_step step = m->event.step;
	bool late = m->event.kept;
	struct mfi_dcmd more;

	m->event.step = MFI_EVENTS_OFF;
	m->event.kept = false;
	/* A late one was taken back by the process before this one: no refusal. */
	if (status != MFI_OK && step == MFI_EVENTS_WAITING && !late) {
		on_refusal(m, status);
		return;
	}
	if (status == MFI_OK && step == MFI_EVENTS_WAITING)
		on_event(m);
	else if (step == MFI_EVENTS_INFO)
		on_info(m, status);
	else if (step == MFI_EVENTS_LDS && status == MFI_OK)
		on_lds(m);
	else if (step == MFI_EVENTS_PDS && status == MFI_OK)
		on_pds(m);
	else if (step == MFI_EVENTS_DRIVES && status == MFI_OK)
		m->iop->drives_told(m, event_data(m));
	if (step == MFI_EVENTS_PDS && m->live && m->iop->ask_drives && m->iop->ask_drives(m, &more))
		fire(m, MFI_EVENTS_DRIVES, &more);
	else
		go_on(m);
}

/* --- begin and end --- */

int mfi_events_find(struct mfi *m, struct err *e)
{
	const struct mfi_dcmd d = {.opcode = MFI_DCMD_EVENT_GET_INFO,
		.dir = DMA_FROM_DEVICE,
		.len = sizeof(struct mfi_event_info)};
	struct mfi_event_info info;
	uint8_t status = MFI_PENDING;
	int r = mfi_dcmd(m, &d, &info, &status);

	if (r < 0)
		return err_set(
			e, r, "firmware did not answer CTRL_EVENT_GET_INFO; power-cycle the controller");
	m->event.known = true;
	m->event.next = status == MFI_OK ? le32_to_cpu(info.newest) + 1 : 0;
	return 0;
}

void mfi_events_resume(struct mfi *m)
{
	if (m->event.step != MFI_EVENTS_OFF && m->slot[event_slot(m)].fired)
		return;
	/* What was being asked when the reset came is asked again. */
	m->event.lds_changed |= m->event.step == MFI_EVENTS_LDS;
	m->event.pds_changed |= m->event.step == MFI_EVENTS_PDS || m->event.step == MFI_EVENTS_DRIVES;
	go_on(m);
}

/* The log may have lost its end with the firmware that died, and drives have new handles. */
void mfi_events_doubt(struct mfi *m)
{
	m->event.lds_changed = m->event.pds_changed = true;
}

/* All that depends on the answer is what units' states are said to be: no reason to reset everybody's controller. The
 * slot stays firmware's until somebody else finds one. */
void mfi_events_check(struct mfi *m, uint64_t now)
{
	if (m->event.step == MFI_EVENTS_WAITING || m->event.lost || now < m->event.due_ns)
		return;
	if (m->event.step == MFI_EVENTS_OFF) {
		if (!m->live || !m->event.refused)
			return;
		mfi_events_doubt(m);
		ask_info(m);
		return;
	}
	log_warn("%s: firmware does not answer what its units are; changes are not noticed before it does",
		m->h->pci->uri);
	set_lost(m, true);
}

int mfi_events_stop(struct mfi *m)
{
	uint32_t slot = m->depth + MFI_SLOT_EVENT_ABORT, victim = event_slot(m);
	uint64_t until = mfi_until(m, MIN(m->iop->times->dcmd, (uint32_t)TAKE_BACK_MS));
	uint8_t status = MFI_PENDING;
	int r;

	m->iop->drain(m);
	if (!m->slot[victim].fired)
		return 0;
	if (m->event.kept)
		return 1;
	/* Firmware has the abort of a freeze that came to nothing. */
	if (m->slot[slot].fired)
		return -EBUSY;
	mfi_build_abort(mfi_frame(m, slot), mfi_slot_use(m, slot), mfi_slot_context(m, victim),
		mfi_frame_addr(m, victim));
	mfi_fire(m, slot, 0);
	r = mfi_wait_status(m, slot, MIN(m->iop->times->dcmd, (uint32_t)TAKE_BACK_MS), &status);
	if (r < 0)
		return r;
	/* Before the loop, too: the wait may have ended with an event just before, and the abort been refused for that. */
	m->iop->drain(m);
	if (m->iop->keeps_wait)
		until = MIN(until, mfi_until(m, KEPT_MS));
	/* The victim's own reply is what counts; but firmware that refuses owes none. */
	while (status == MFI_OK && m->slot[victim].fired && clock_ns() < until) {
		clock_sleep_ms(1);
		m->iop->drain(m);
	}
	m->event.kept = m->slot[victim].fired && status == MFI_OK && m->iop->keeps_wait &&
			m->event.step == MFI_EVENTS_WAITING;
	if (m->event.kept)
		return 1;
	return m->slot[victim].fired ? -ETIMEDOUT : 0;
}
