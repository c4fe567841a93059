/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Time is CLOCK_MONOTONIC in nanoseconds everywhere inside the daemon. */
#ifndef HBAD_BASE_CLOCK_H
#define HBAD_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NS_PER_MS  UINT64_C(1000000)
#define NS_PER_SEC UINT64_C(1000000000)

static inline uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_SEC + (uint64_t)ts.tv_nsec;
}
/* Sleeps at least ms milliseconds; for control threads only. */
void clock_sleep_ms(unsigned ms);

#endif
