/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Absence. */
#include "absence.h"

#include <hbad/handoff.h>
#include <stddef.h>
#include "base/clock.h"
#include "base/compiler.h"
#include "hlog.h"
#include "timing.h"

static void come_back(struct absence *a)
{
	if (!a->serves)
		a->back_ms = 0;
	a->serves = true;
}

/* One that has lost its controller (HANDOFF_FAILED) answers for the LUNs that it has, and speaks for no others. */
void absence_first_word(struct absence *a, uint32_t state)
{
	a->serves = false;
	a->booting = state == HANDOFF_BOOTING;
	if (state != HANDOFF_BOOTING && state != HANDOFF_FAILED)
		come_back(a);
}

void absence_word(struct absence *a, uint32_t state)
{
	a->booting = state == HANDOFF_BOOTING;
	if (state == HANDOFF_READY)
		come_back(a);
}

void absence_announce(struct absence *a, uint32_t back_s)
{
	a->back_ms = (unsigned)MIN(back_s * UINT64_C(1000), (uint64_t)timing.back);
}

/* One that was announced is waited for a little longer: BUSY is what makes it a pause. */
static unsigned limit_ms(const struct absence *a)
{
	return MAX(timing.absent, a->back_ms);
}

void absence_judge(struct absence *a, bool connected, bool well, bool has_some, uint64_t now_ns)
{
	a->in_time = connected && well && a->booting && (a->in_time || (has_some && !a->failing));
	if (connected && a->serves)
		a->since_ns = 0;
	else if (!a->since_ns)
		a->since_ns = now_ns;
	a->failing = a->since_ns && !a->in_time && now_ns > a->since_ns + limit_ms(a) * NS_PER_MS;
	a->said &= a->failing;
}

void absence_end(struct absence *a)
{
	*a = (struct absence){.since_ns = 0};
}

bool absence_awaits_start(const struct absence *a)
{
	return a->failing && a->booting;
}

void absence_say(struct absence *a, const char *instance, unsigned unserved)
{
	if (!a->failing || !unserved || a->said)
		return;
	a->said = true;
	hlog_err("hbad@%s has been away, or could not start its controller, for %u s: until it serves, "
		 "commands to its LUNs fail instead of being answered with BUSY. See \"systemctl status "
		 "hbad@%s\".",
		instance, limit_ms(a) / 1000, instance);
}
