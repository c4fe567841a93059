/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Error sentences. */
#include "err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *e, int code, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;

	if (e) {
		va_start(ap, fmt);
		vsnprintf(e->text, sizeof(e->text), fmt, ap);
		va_end(ap);
	}
	errno = saved;
	return code;
}

int err_prefix(struct err *e, int code, const char *fmt, ...)
{
	int saved = errno;
	char rest[sizeof(e->text)];
	va_list ap;
	int n;

	if (!e)
		return code;
	memcpy(rest, e->text, sizeof(rest));
	rest[sizeof(rest) - 1] = '\0';
	va_start(ap, fmt);
	n = vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof(e->text))
		snprintf(e->text + n, sizeof(e->text) - (size_t)n, ": %s", rest);
	errno = saved;
	return code;
}
