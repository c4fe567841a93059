/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sleeping for control threads. */
#include "clock.h"

#include <errno.h>

void clock_sleep_ms(unsigned ms)
{
	struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, &ts) == EINTR)
		;
}
