/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A script: commands of the control socket, each at a time or after a number of controller commands. */
#ifndef HBAD_EMU_SCRIPT_H
#define HBAD_EMU_SCRIPT_H

#include "base/err.h"
#include "clockwork.h"

#define SCRIPT_LINES 256

struct emu;
struct script;

struct script_line {
	struct script *script;
	struct wheel timer;
	uint64_t after; /* commands; 0: by time */
	uint64_t ms;
	bool done;
	char text[256];
};

struct script {
	struct emu *emu;
	struct loop_hook hook;
	bool hooked;
	unsigned n;
	struct script_line line[SCRIPT_LINES];
};

int script_load(struct script *s, const char *path, struct err *e);
void script_start(struct script *s, struct emu *emu);
void script_stop(struct script *s);

#endif
