/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sentences into tcmu-runner's log. */
#include "hlog.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include "tcmu_abi.h"

#define LINE_MAX_BYTES 200 /* the runner's 255 less its prefix */

static void emit(enum hlog_level level, const char *text, int len)
{
	static const int priorities[] = {
		[HLOG_ERR] = LOG_ERR, [HLOG_WARN] = LOG_WARNING, [HLOG_INFO] = LOG_INFO};

	/* No device: libtcmu would read its structure, which a watcher must not touch. */
	if (level == HLOG_ERR && tcmu_err_message)
		tcmu_err_message(NULL, "hba", 0, "%.*s\n", len, text);
	else if (level == HLOG_WARN && tcmu_warn_message)
		tcmu_warn_message(NULL, "hba", 0, "%.*s\n", len, text);
	else if (level == HLOG_INFO && tcmu_info_message)
		tcmu_info_message(NULL, "hba", 0, "%.*s\n", len, text);
	else
		syslog(LOG_DAEMON | priorities[level], "handler_hba: %.*s", len, text);
}

/* Bytes of the next line: all that is left, or up to the last space that fits. */
static int line_length(const char *text)
{
	size_t left = strlen(text);
	const char *space;

	if (left <= LINE_MAX_BYTES)
		return (int)left;
	space = memrchr(text, ' ', LINE_MAX_BYTES);
	return space && space > text ? (int)(space - text) : LINE_MAX_BYTES;
}

void hlog(enum hlog_level level, const char *fmt, ...)
{
	char text[1024];
	const char *at = text;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	while (*at) {
		int len = line_length(at);

		emit(level, at, len);
		at += len;
		while (*at == ' ')
			at++;
	}
}
