/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which I/O thread serves which unit. What the SCSI layer keeps of a unit beyond its LUN (writes without a flush, mode pages,
 * an overwriting that goes on) belongs to one lane, so a unit stays on its lane for the life of the process, whatever becomes
 * of its LUNs. Control thread.
 */
#ifndef HBAD_CONTROL_PLACE_H
#define HBAD_CONTROL_PLACE_H

#include "scsi/scsi.h"

struct placement {
	unsigned n_lanes; /* 0: not known yet */
	unsigned n;
	struct {
		char naa[sizeof(((struct scsi_identity *)0)->naa_text)];
		uint8_t lane;
	} unit[HBA_MAX_UNITS];
	bool copies; /* there have been LUNs with allow=copy, ... */
	unsigned copy_lane;
};

/* The lane of the unit: that which it has had, or the one with the fewest LUNs; those that may copy from one to the other
 * share one. *ret_apart: it may copy, and stays where it is, without the others that may. load: LUNs of each lane. */
unsigned place_unit(struct placement *p, const char *naa, bool copies, const unsigned load[HBA_MAX_LANES],
	bool *ret_apart);

#endif
