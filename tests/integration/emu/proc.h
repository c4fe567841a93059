/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hba-emu as another process. */
#ifndef HBAD_TESTS_INTEGRATION_PROC_H
#define HBAD_TESTS_INTEGRATION_PROC_H

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct emu_proc {
	pid_t pid;
	char dir[64], uri[112], control[96];
};

/* Starts the emulator with these options (ends with NULL) besides its sockets, and waits until it serves. */
void emu_start_proc(struct emu_proc *p, const char *const *options);
/* It dies without a word; then, on the same sockets (or those that p says now), another one. */
void emu_kill_proc(struct emu_proc *p);
void emu_restart_proc(struct emu_proc *p, const char *const *options);
/* Ends it; asserts exit status 0: no wrong DMA, and (as it runs with --strict) no protocol error of ours. */
void emu_end_proc(struct emu_proc *p);
/* A command of the control socket that must work; the answer is static. */
const char *emu_do(struct emu_proc *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A number of "stats" or "status". */
uint64_t emu_number(struct emu_proc *p, const char *command, const char *name);

#endif
