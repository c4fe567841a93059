/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The plugin's log: tcmu-runner's own log (file and syslog), or syslog alone where that is missing. */
#ifndef HBAD_HANDLER_HLOG_H
#define HBAD_HANDLER_HLOG_H

#include "base/compiler.h"

enum hlog_level { HLOG_ERR, HLOG_WARN, HLOG_INFO };

/*
 * One sentence, without a newline; long ones are split, because the runner cuts lines at 255 bytes. Any thread,
 * from handler_init() until the runner calls destroy().
 *
 * Writes to a file: it can block for as long as that file system does, and that file system may live on a LUN
 * which waits for this plugin (hazard H25). So act first and log afterwards, and hold no lock.
 */
void hlog(enum hlog_level level, const char *fmt, ...) hb_printf(2, 3);

#define hlog_err(...)  hlog(HLOG_ERR, __VA_ARGS__)
#define hlog_warn(...) hlog(HLOG_WARN, __VA_ARGS__)
#define hlog_info(...) hlog(HLOG_INFO, __VA_ARGS__)

#endif
