/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tests of drivers on hba-emu share: the emulator, a load on it, and what happens in the middle of that load. */
#ifndef HBAD_TESTS_INTEGRATION_LOAD_RIG_H
#define HBAD_TESTS_INTEGRATION_LOAD_RIG_H

#include "base/clock.h"
#include "load.h"

#define LIMIT_MS     60000 /* for what must come, however slow the machine */
#define N_VANISHINGS 4

extern struct emu_proc emu;
extern struct load *load;

/* Waits until the expression is true; fails the test if it never is. */
#define wait_until(expr)                                                                                     \
	do {                                                                                                 \
		bool _true = (expr);                                                                         \
		for (unsigned _n = 0; !_true && _n < LIMIT_MS; _n++) {                                       \
			clock_sleep_ms(1);                                                                   \
			_true = (expr);                                                                      \
		}                                                                                            \
		ck_assert_msg(_true, "never true: %s", #expr);                                               \
	} while (0)

/* Starts the emulator with these options; nothing is attached to it. */
void rig_start(uint64_t seed, const char *const *options);
/* This MegaRAID model with ld0, ld1 and pd8; more are further options, and end with NULL. */
void megaraid_start(const char *model, uint64_t seed, const char *const *more);
/* The same units of the virtio model: t0l0, t0l1 and t9l0. */
void virtio_start(uint64_t seed, const char *const *more);
void rig_teardown(void);

/* Power on is told once to each unit. */
void take_attention(void);
enum hba_unit_state state_of(unsigned unit);
void wait_for_resets(unsigned resets);
/* The rest of the load comes back, all of it good; nothing is lost, and there were at least that many resets. */
void expect_recovery(unsigned resets);

/* So many requests are answered, all of them well; verified afterwards. Returns how many were in flight at most. */
uint64_t random_io(uint64_t total, uint32_t jobs);

/* --- under load --- */

/* A command of the emulator's that ends in a reset, the n-th so far. */
void disturb(const char *command, unsigned resets);
/* A whole load under this rule. */
void misbehave(const char *rule);
/* No driver can tell such an answer from a true one, so data may be wrong; but all is answered once, and the controller
 * is reset when the true one comes. */
void answer_under_anothers_names(void);
/* Power cuts with these seeds. Returns how many acknowledged writes are lost; what was flushed is not. */
unsigned power_cuts(unsigned first, unsigned n);
void cut_after_flushes(unsigned n);
/* In one of N_VANISHINGS ways. All ends, and the device comes back, so often. */
void vanish_and_come_back(unsigned way, unsigned times);

/* --- attach and detach --- */

/* A cut that follows takes nothing away. */
void stop_in_order(void);
void attach_again(unsigned times);
/* The sentence names the device. */
void attach_to_nobody(const char *command);

#endif
