/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Units on lanes. */
#include "place.h"

#include <string.h>

static unsigned least_loaded(const struct placement *p, const unsigned load[HBA_MAX_LANES])
{
	unsigned least = 0;

	for (unsigned i = 1; i < p->n_lanes; i++)
		if (load[i] < load[least])
			least = i;
	return least;
}

static bool was_placed(const struct placement *p, const char *naa, unsigned *ret)
{
	for (unsigned i = 0; i < p->n; i++) {
		if (strcmp(p->unit[i].naa, naa) != 0)
			continue;
		*ret = p->unit[i].lane;
		return true;
	}
	/* Those that there is no room to remember must always get the same answer, too. */
	*ret = 0;
	return p->n == ARRAY_SIZE(p->unit);
}

unsigned place_unit(struct placement *p, const char *naa, bool copies, const unsigned load[HBA_MAX_LANES],
	bool *ret_apart)
{
	unsigned lane;

	if (!was_placed(p, naa, &lane)) {
		lane = copies && p->copies ? p->copy_lane : least_loaded(p, load);
		strcpy(p->unit[p->n].naa, naa);
		p->unit[p->n++].lane = (uint8_t)lane;
	}
	*ret_apart = copies && p->copies && p->copy_lane != lane;
	if (copies && !p->copies) {
		p->copies = true;
		p->copy_lane = lane;
	}
	return lane;
}
