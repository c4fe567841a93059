/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hba-emu as another process. Trouble with it is soak_wrong(). */
#ifndef HBAD_TESTS_SOAK_EMULATOR_H
#define HBAD_TESTS_SOAK_EMULATOR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/compiler.h"

struct emulator {
	pid_t pid; /* 0: does not run */
	char dir[64], uri[112], control[96];
	char answer[16384];
};

/* argv without sockets; ends with NULL. -1 when it does not come up. */
int emulator_start(struct emulator *e, const char *program, const char *const *options);
/* Ends it. Its exit status tells of wrong DMA, and of breaches of the controller's protocol. */
void emulator_stop(struct emulator *e);
/* A command of the control socket that must work. */
bool emulator_do(struct emulator *e, const char *fmt, ...) hb_printf(2, 3);
/* The first number of that name in the answer to a command. */
uint64_t emulator_number(struct emulator *e, const char *command, const char *name);

#endif
