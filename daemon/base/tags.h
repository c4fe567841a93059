/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A fixed set of small integers handed out and taken back in O(1), each with a generation against late
 * replies. */
#ifndef HBAD_BASE_TAGS_H
#define HBAD_BASE_TAGS_H

#include <stdint.h>
#include "compiler.h"

struct tags {
	uint32_t *free_stack;
	uint32_t *generation; /* of each tag; odd while the tag is in use */
	uint32_t n, n_free;
};

/* 0 or -ENOMEM. */
int tags_init(struct tags *t, uint32_t n);
void tags_fini(struct tags *t); /* zeroed memory is fine */
/* The tag, or -1 when none is free. Most recently freed first, to stay warm in the cache. */
int32_t tags_get(struct tags *t);
void tags_put(struct tags *t, uint32_t tag); /* asserts that it is in use */
static inline bool tags_in_use(const struct tags *t, uint32_t tag)
{
	return tag < t->n && (t->generation[tag] & 1);
}

#endif
