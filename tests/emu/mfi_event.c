/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Firmware's event log, and the command that waits for the next entry [4.7]. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "mfi.h"

/* Argument types and layouts as in the public megaraid_sas header: 2 an LD, 10 a PD. */
enum { ARG_NONE = 0, ARG_LD = 2, ARG_PD = 10 };
enum {
	EV_SEQ = 0x00,
	EV_TIME = 0x04,
	EV_CODE = 0x08,
	EV_CLASS = 0x0c,
	EV_ARG_TYPE = 0x10,
	EV_ARGS = 0x20,
	EV_TEXT = 0x80,
	EV_SIZE = 256
};

void mfi_events_init(struct mfi *m)
{
	m->next_seq = 1;
}

static uint32_t oldest(const struct mfi *m)
{
	return m->next_seq > EVENTS_KEPT ? m->next_seq - EVENTS_KEPT : 1;
}

static void encode(const struct event *ev, uint8_t *p)
{
	memset(p, 0, EV_SIZE);
	to32(p, EV_SEQ, ev->seq);
	to32(p, EV_TIME, ev->time);
	to32(p, EV_CODE, ev->code);
	to16(p, EV_CLASS, ev->locale);
	p[EV_CLASS + 3] = (uint8_t)ev->class;
	p[EV_ARG_TYPE] = ev->arg_type;
	memcpy(p + EV_ARGS, ev->args, sizeof(ev->args));
	memcpy(p + EV_TEXT, ev->text, sizeof(ev->text));
}

/* Class and locale word of the wait: bits 31:24 the least class, 15:0 the locales. */
static bool wanted(const struct event *ev, uint32_t word)
{
	return ev->class >= (int8_t)(word >> 24) && ev->locale & (word & 0xffff);
}

/* The first event from seq on that the filter lets through, or NULL. */
static const struct event *find(const struct mfi *m, uint32_t seq, uint32_t word)
{
	for (uint32_t s = MAX(seq, oldest(m)); s < m->next_seq; s++) {
		const struct event *ev = &m->event[s % EVENTS_KEPT];

		if (wanted(ev, word))
			return ev;
	}
	return NULL;
}

/* Data into the buffer; the command then ends like any other. */
static void deliver(struct cmd *c, const struct event *ev)
{
	uint8_t p[EV_SIZE];
	uint32_t len = MIN(fr32(c->f, FR_DATA_LEN), (uint32_t)EV_SIZE);

	encode(ev, p);
	c->status = mfi_sgl_write(c, p, len) < 0 ? ST_INVALID_SGL : ST_OK;
	c->m->env->stats->events++;
}

bool mfi_event_wait(struct cmd *c)
{
	struct mfi *m = c->m;
	const struct event *ev = find(m, fr32(c->f, FR_MBOX), fr32(c->f, FR_MBOX + 4));

	if (m->aen) {
		mfi_protocol_error(m, "a second event wait");
		c->status = ST_INVALID_PARAMETER;
		return false;
	}
	if (ev) {
		deliver(c, ev);
		return false;
	}
	m->aen = c;
	return true;
}

void mfi_event(
	struct mfi *m, uint32_t code, int8_t class, uint16_t locale, const struct unit *u, const char *text)
{
	struct event *ev = &m->event[m->next_seq % EVENTS_KEPT];
	struct cmd *c = m->aen;

	memset(ev, 0, sizeof(*ev));
	ev->seq = m->next_seq++;
	ev->time = (uint32_t)(clockwork_now(m->env->clock) / NS_PER_SEC);
	ev->code = code;
	ev->class = class;
	ev->locale = locale;
	if (u) {
		ev->arg_type = u->kind == UNIT_LD ? ARG_LD : ARG_PD;
		to16(ev->args, 0, u->target);
	}
	snprintf(ev->text, sizeof(ev->text), "%s", text);
	if (!c || ev->seq < fr32(c->f, FR_MBOX) || !wanted(ev, fr32(c->f, FR_MBOX + 4)))
		return;
	m->aen = NULL;
	deliver(c, ev);
	mfi_finish(c);
}

uint8_t mfi_event_get_info(struct mfi *m, uint8_t *p, uint32_t *len)
{
	to32(p, 0x00, m->next_seq - 1);
	to32(p, 0x04, oldest(m));
	to32(p, 0x08, 0);
	to32(p, 0x0c, m->shutdown_seq);
	to32(p, 0x10, m->boot_seq);
	*len = 20;
	return ST_OK;
}
