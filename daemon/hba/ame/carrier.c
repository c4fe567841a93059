/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Slots that carry requests: each is free, at the box, or in exile.
 *
 * Whether a box that was told to forget answers a command of before is not known (see reset.c). Its answer has nothing but the
 * slot's identifier, and would end whatever carries that now. So slots that were at the box then are not used for a
 * while, unless it is certain that their commands have ended; the free ones go on in their order. At most AME_DEPTH are in
 * exile: the oldest of more are free again, so that there is always something to go on with.
 */
#include "box.h"

static void push(struct ame *a, uint16_t slot)
{
	a->carrier[a->carrier_in++ % AME_CARRIER_RING] = slot;
}

void ame_carriers_init(struct ame *a)
{
	for (uint32_t i = AME_N_OWN; i < AME_MAX_SLOTS; i++)
		push(a, (uint16_t)i);
}

bool ame_carrier_free(const struct ame *a)
{
	return a->carrier_in != a->carrier_out;
}

uint32_t ame_carrier_take(struct ame *a, uint32_t tag)
{
	uint32_t slot = a->carrier[a->carrier_out++ % AME_CARRIER_RING];

	a->slot_of[tag] = (int16_t)slot;
	a->slot[slot].tag = tag;
	return slot;
}

void ame_carrier_put(struct ame *a, uint32_t slot)
{
	a->slot_of[a->slot[slot].tag] = -1;
	push(a, (uint16_t)slot);
}

/* --- exile --- */

/* The oldest n. */
static void pardon(struct ame *a, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		a->slot[a->exile[i]].exiled = false;
		push(a, a->exile[i]);
	}
	a->n_exile -= n;
	memmove(a->exile, a->exile + n, a->n_exile * sizeof(a->exile[0]));
}

void ame_carriers_exile(struct ame *a)
{
	for (uint32_t i = AME_N_OWN; i < AME_MAX_SLOTS; i++) {
		if (!a->slot[i].at_box)
			continue;
		a->slot[i].exiled = true;
		a->exile[a->n_exile++] = (uint16_t)i;
	}
	if (a->n_exile > AME_DEPTH)
		pardon(a, a->n_exile - AME_DEPTH);
}

void ame_carriers_pardon(struct ame *a)
{
	pardon(a, a->n_exile);
}
