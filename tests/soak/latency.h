/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How long commands took: a histogram with buckets of 3 % at most, 32 for each power of two. */
#ifndef HBAD_TESTS_SOAK_LATENCY_H
#define HBAD_TESTS_SOAK_LATENCY_H

#include <stdint.h>

#define LATENCY_BITS	5
#define LATENCY_BUCKETS (64u << LATENCY_BITS)

struct latency {
	uint64_t n, bucket[LATENCY_BUCKETS];
};

static inline unsigned latency_bucket(uint64_t ns)
{
	unsigned log2 = 63 - (unsigned)__builtin_clzll(ns | 1u << LATENCY_BITS), shift = log2 - LATENCY_BITS;

	return (shift << LATENCY_BITS) + (unsigned)(ns >> shift & ((1u << LATENCY_BITS) - 1));
}

static inline void latency_note(struct latency *l, uint64_t ns)
{
	l->n++;
	l->bucket[latency_bucket(ns)]++;
}

static inline void latency_add(struct latency *l, const struct latency *more)
{
	l->n += more->n;
	for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
		l->bucket[i] += more->bucket[i];
}

/* The lower end of the bucket that this share of all is not above. */
static inline uint64_t latency_at(const struct latency *l, double share)
{
	uint64_t below = 0, want = (uint64_t)((double)l->n * share);

	for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
		below += l->bucket[i];
		if (below > want)
			return (uint64_t)(1u << LATENCY_BITS | (i & ((1u << LATENCY_BITS) - 1)))
			       << (i >> LATENCY_BITS);
	}
	return 0;
}

#endif
