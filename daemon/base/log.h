/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Logging to standard error with the "<N>" priority prefix that journald reads.
 *
 * On an I/O thread (after log_this_thread_is_io()) nothing is written at once: the line is formatted into a
 * fixed-size lock-free ring and written by whoever calls log_drain() (the control thread, when log_fd() is
 * readable). A full ring counts what it dropped and says so later; it never blocks.
 * Libraries below control/ log only what an operator must know about the machine; refusals go up as struct
 * err.
 */
#ifndef HBAD_BASE_LOG_H
#define HBAD_BASE_LOG_H

#include "compiler.h"

enum log_level { LOG_LV_ERR = 3, LOG_LV_WARN = 4, LOG_LV_INFO = 6, LOG_LV_DEBUG = 7 };

/* Lowest priority that is written; LOG_LV_INFO at start. Any thread. */
void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);
/* name is kept, not copied: "hbad@g2" in front of every line when standard error is not the journal */
void log_set_name(const char *name);
void log_write(enum log_level level, const char *fmt, ...) hb_printf(2, 3);

#define log_err(...)  log_write(LOG_LV_ERR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_LV_WARN, __VA_ARGS__)
#define log_info(...) log_write(LOG_LV_INFO, __VA_ARGS__)
#define log_debug(...)                                                                                       \
	do {                                                                                                 \
		if (unlikely(log_enabled(LOG_LV_DEBUG)))                                                     \
			log_write(LOG_LV_DEBUG, __VA_ARGS__);                                                \
	} while (0)

/* At most burst lines per interval for one call site; returns false when this one is to be left out. */
struct log_limit {
	uint64_t window_ns; /* start of the running interval */
	unsigned count;
	unsigned suppressed; /* since the caller last printed and zeroed it */
};
bool log_limit_ok(struct log_limit *l, unsigned burst, uint64_t interval_ns);

void log_this_thread_is_io(void);
int log_fd(void); /* eventfd, readable when log_drain() has something to write; -1 if none could be made */
void log_drain(void); /* one thread only */

#endif
