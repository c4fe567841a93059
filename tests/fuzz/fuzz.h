/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the fuzzers share: the entry point, and the input taken off as bytes; behind its end all is zero. */
#ifndef HBAD_TESTS_FUZZ_H
#define HBAD_TESTS_FUZZ_H

#include <check.h>
#include <stdint.h>
#include <string.h>
#include "base/compiler.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *p;
	size_t n;
};

static inline void take(struct input *in, void *to, size_t n)
{
	size_t here = MIN(n, in->n);

	memset(to, 0, n);
	if (here)
		memcpy(to, in->p, here);
	in->p += here;
	in->n -= here;
}

static inline uint8_t take8(struct input *in)
{
	uint8_t v;

	take(in, &v, sizeof(v));
	return v;
}

static inline uint16_t take16(struct input *in)
{
	uint16_t v;

	take(in, &v, sizeof(v));
	return v;
}

static inline uint32_t take32(struct input *in)
{
	uint32_t v;

	take(in, &v, sizeof(v));
	return v;
}

#endif
