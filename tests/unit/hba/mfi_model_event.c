/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The model's event log: one entry long, which is enough for a wait. */
#include <string.h>

#include "mfi_model_fw.h"
#include "model_bytes.h"
#include "model_megaraid.h"

uint8_t fw_event_info(struct model *m, const uint8_t *f)
{
	uint8_t d[20] = {0};

	m->n_event_info++;
	if (m->info_changes_ld)
		m->ld_state[0] = 0;
	put_le32(d, m->next_event - 1);
	if (!m->event_info_status)
		fw_dcmd_data(m, f, d, sizeof(d));
	return m->event_info_status;
}

void fw_event_wait(struct model *m, uint64_t frame, const uint8_t *f)
{
	m->n_event_wait++;
	m->event_from = le32_at(f + 0x1c);
	m->event_filter = le32_at(f + 0x20);
	if (m->event_frame || le32_at(f + 0x14) != 256 || le16_at(f + 0x10) & 1)
		fn_error(&m->fn, "a second wait for events, or one of another kind");
	if (m->event_status) {
		fw_answer(m, frame, m->event_status, 0);
		return;
	}
	m->event_frame = frame;
	fw_deliver_event(m);
}

void fw_deliver_event(struct model *m)
{
	uint64_t frame = m->event_frame;
	uint8_t f[64];

	if (!frame || m->keeps_wait || !le32_at(m->event_data) || le32_at(m->event_data) < m->event_from)
		return;
	m->event_frame = 0;
	fn_read(&m->fn, f, frame, sizeof(f));
	fw_dcmd_data(m, f, m->event_data, sizeof(m->event_data));
	fw_answer(m, frame, 0, 0);
}

/* In the order that nobody has promised. */
void fw_abort_wait(struct model *m, uint64_t frame)
{
	uint64_t victim = m->event_frame;

	m->n_wait_abort++;
	if (m->wait_abort_silent)
		return;
	if (m->wait_abort_late) {
		fw_deliver_event(m);
		fw_answer(m, frame, 5, 0);
		return;
	}
	if (m->gen == GEN1)
		fw_answer(m, frame, 0, 0);
	if (!m->keeps_wait) {
		m->event_frame = 0;
		fw_answer(m, victim, 0x23, 0);
	}
	if (m->gen != GEN1)
		fw_answer(m, frame, 0, 0);
}

/* --- the test's hands --- */

static void record(struct model *m, uint32_t code, const char *text)
{
	megaraid_event(m->event_data, m->next_event++, code, text);
}

void model_event(struct model *m, uint32_t code, const char *text)
{
	pthread_mutex_lock(&m->fn.lock);
	record(m, code, text);
	fw_deliver_event(m);
	pthread_mutex_unlock(&m->fn.lock);
}

void model_drive_event(struct model *m, uint32_t code, uint16_t id)
{
	pthread_mutex_lock(&m->fn.lock);
	record(m, code, "");
	m->event_data[0x10] = 10;
	put_le16(m->event_data + 0x20, id);
	fw_deliver_event(m);
	pthread_mutex_unlock(&m->fn.lock);
}

void model_event_missed(struct model *m, uint32_t code)
{
	fn_do_locked(&m->fn, record(m, code, ""));
}

void model_end_wait(struct model *m, uint8_t status, uint32_t next)
{
	uint64_t frame;

	pthread_mutex_lock(&m->fn.lock);
	frame = m->event_frame;
	m->event_frame = 0;
	m->next_event = next;
	fw_answer(m, frame, status, 0);
	pthread_mutex_unlock(&m->fn.lock);
}
