/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tag allocator. */
#include "tags.h"

#include <errno.h>
#include <stdlib.h>

int tags_init(struct tags *t, uint32_t n)
{
	t->free_stack = calloc(n ? n : 1, sizeof(*t->free_stack));
	t->generation = calloc(n ? n : 1, sizeof(*t->generation));
	t->n = t->n_free = 0;
	if (!t->free_stack || !t->generation) {
		tags_fini(t);
		return -ENOMEM;
	}
	t->n = t->n_free = n;
	/* Lowest tag on top of the stack. */
	for (uint32_t i = 0; i < n; i++)
		t->free_stack[i] = n - 1 - i;
	return 0;
}

void tags_fini(struct tags *t)
{
	free(t->free_stack);
	free(t->generation);
	*t = (struct tags){0};
}

int32_t tags_get(struct tags *t)
{
	uint32_t tag;

	if (!t->n_free)
		return -1;
	tag = t->free_stack[--t->n_free];
	t->generation[tag]++;
	return (int32_t)tag;
}

void tags_put(struct tags *t, uint32_t tag)
{
	assert(tags_in_use(t, tag));
	t->generation[tag]++;
	t->free_stack[t->n_free++] = tag;
}
