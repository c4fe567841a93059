/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control socket: commands as lines, answers as one line of JSON each. */
#ifndef HBAD_EMU_CONTROL_H
#define HBAD_EMU_CONTROL_H

#include "base/err.h"
#include "base/loop.h"

#define CONTROL_CLIENTS 8
#define CONTROL_LINE	1024

struct emu;
struct control;

struct control_client {
	struct control *control;
	struct loop_fd ev;
	bool used;
	uint32_t have;
	char line[CONTROL_LINE];
};

struct control {
	struct emu *emu;
	struct loop *loop;
	int fd;
	char path[108];
	struct loop_fd ev;
	struct control_client client[CONTROL_CLIENTS];
};

int control_start(struct control *c, struct emu *emu, struct loop *loop, const char *path, struct err *e);
void control_stop(struct control *c);

#endif
