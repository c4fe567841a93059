/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the control socket tells: the replies of proto.h, built from what the layers know now. Control thread. */
#ifndef HBAD_CONTROL_INVENTORY_H
#define HBAD_CONTROL_INVENTORY_H

#include "config.h"
#include "events.h"
#include "handoff.h"
#include "hba/hba.h"
#include "luns.h"

struct inventory {
	const char *name;
	const struct config *config;
	uint64_t started_ns;
	const char *problem; /* a sentence, or "" */
	struct hba *hba;     /* NULL while the controller boots, and when it was given up */
	bool removed;	     /* the controller was unplugged */
	struct luns *luns;
	struct handoff_service *handoff;
	bool rescanning;
	unsigned rescans;			  /* how many have ended */
	const struct events *events;		  /* NULL: none */
	const char *rescan_problem;		  /* of the last one, or "" */
	int (*rescan)(void *user, struct err *e); /* starts one */
	bool taken_over;			  /* the controller was not started, but gone on with */
	const char *start_note;			  /* why it was not, or "" */
	bool may_upgrade;			  /* whoever asks */
	int (*upgrade)(void *user, struct err *why_not, struct err *e);
	void *user;
};

/* Answers one request line (without its end); the reply's line with its end, to be freed with g_free(). */
char *inventory_answer(const struct inventory *inv, const char *line);

#endif
