/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One emulated controller with everything around it, and the commands that a person or a test gives it. */
#ifndef HBAD_EMU_EMU_H
#define HBAD_EMU_EMU_H

#include <stdio.h>
#include "control.h"
#include "script.h"
#include "vu_server.h"

struct emu_config {
	const char *socket, *control, *script, *capture; /* all but socket: NULL for none */
	const struct model *model;
	struct model_options opt;
	uint64_t seed;
	unsigned speed;
	struct units units; /* its settings; units come by emu_add_unit() */
};

struct emu {
	struct loop *loop;
	struct clockwork clock;
	struct rng rng;
	struct units units;
	struct faults faults;
	struct emu_stats stats;
	struct model_env env;
	struct pcifn fn;
	struct vu_server server;
	struct control control;
	struct script script;
	struct loop_msg
		vanish; /* fault rules strike from deep inside; the device goes at the end of the turn */
	bool vanishing;
	const struct model *model;
};

/* The configuration that --help tells of. */
void emu_config_init(struct emu_config *c);
/* Two steps, with units added in between. emu must stay where it is. */
int emu_prepare(struct emu *m, const struct emu_config *c, struct err *e);
int emu_add_unit(struct emu *m, const char *spec, struct err *e);
int emu_start(struct emu *m, const struct emu_config *c, struct err *e);
void emu_stop(struct emu *m); /* also after a start that failed */

/* One line of the control socket or a script. Writes a JSON object without newline. 0 or -errno. */
int emu_command(struct emu *m, const char *line, FILE *out);
extern const char emu_commands_help[];

#endif
