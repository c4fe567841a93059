/* SPDX-License-Identifier: GPL-2.0-or-later */
/* First-fit allocator over a sorted array of free ranges. */
#include "iova.h"

#include <errno.h>
#include <string.h>

/* Page 0 stays out: an address of 0 means "none" to some firmware. */
#define IOVA_LOWEST UINT64_C(4096)

void iova_init(struct iova_space *s)
{
	s->n = 0;
}

/* Index of the first free range that ends at or behind addr; s->n when there is none. */
static unsigned first_reaching(const struct iova_space *s, uint64_t addr)
{
	unsigned lo = 0, hi = s->n;

	while (lo < hi) {
		unsigned mid = lo + (hi - lo) / 2;

		if (s->range[mid].last < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Replaces del ranges at i by the n_new (0 to 2) given ones. -ENOSPC when the table cannot hold the result. */
static int splice(struct iova_space *s, unsigned i, unsigned del, const struct iova_free *new, unsigned n_new)
{
	unsigned tail = s->n - i - del;

	if (s->n - del + n_new > IOVA_MAX_FREE)
		return -ENOSPC;
	memmove(&s->range[i + n_new], &s->range[i + del], tail * sizeof(s->range[0]));
	if (n_new)
		memcpy(&s->range[i], new, n_new * sizeof(*new));
	s->n += n_new;
	s->n -= del;
	return 0;
}

/* Makes first..last free; what touches or overlaps it melts into one range. */
static int add_merged(struct iova_space *s, uint64_t first, uint64_t last)
{
	/* first > 0 always: page 0 was cut off */
	unsigned i = first_reaching(s, first - 1), end = i;
	struct iova_free all = {first, last};

	while (end < s->n && (last == UINT64_MAX || s->range[end].first <= last + 1)) {
		all.first = MIN(all.first, s->range[end].first);
		all.last = MAX(all.last, s->range[end].last);
		end++;
	}
	return splice(s, i, end - i, &all, 1);
}

int iova_allow(struct iova_space *s, uint64_t first, uint64_t last)
{
	if (first > last)
		return -EINVAL;
	if (last < IOVA_LOWEST)
		return 0;
	return add_merged(s, MAX(first, IOVA_LOWEST), last);
}

/* Lowest aligned address in f that leaves room for size bytes at or below limit. */
static bool fits(const struct iova_free *f, uint64_t size, uint64_t align, uint64_t limit, uint64_t *ret)
{
	uint64_t last = MIN(f->last, limit), at = f->first;

	if (at & (align - 1)) {
		at = (at | (align - 1)) + 1;
		if (at == 0) /* wrapped: nothing aligned above */
			return false;
	}
	if (at > last || last - at < size - 1)
		return false;
	*ret = at;
	return true;
}

/* Takes the size bytes at "at" out of range i. */
static int cut(struct iova_space *s, unsigned i, uint64_t at, uint64_t size)
{
	const struct iova_free f = s->range[i];
	struct iova_free rest[2];
	unsigned n = 0;

	if (at > f.first)
		rest[n++] = (struct iova_free){f.first, at - 1};
	if (at + (size - 1) < f.last)
		rest[n++] = (struct iova_free){at + size, f.last};
	return splice(s, i, 1, rest, n);
}

int iova_take_at(struct iova_space *s, uint64_t iova, uint64_t size)
{
	unsigned i = first_reaching(s, iova);

	if (!size || iova + (size - 1) < iova)
		return -EINVAL;
	if (i == s->n || s->range[i].first > iova || s->range[i].last < iova + (size - 1))
		return -ENOSPC;
	return cut(s, i, iova, size);
}

int iova_take(struct iova_space *s, uint64_t size, uint64_t align, uint64_t limit, uint64_t *ret_iova)
{
	if (!size || !align || (align & (align - 1)))
		return -EINVAL;
	for (unsigned i = 0; i < s->n; i++) {
		const struct iova_free f = s->range[i];
		uint64_t at;

		if (f.first > limit)
			break;
		if (!fits(&f, size, align, limit, &at))
			continue;
		/* A full table cannot hold another fragment; a later range may fit without leaving two. */
		if (cut(s, i, at, size) < 0)
			continue;
		*ret_iova = at;
		return 0;
	}
	return -ENOSPC;
}

int iova_put(struct iova_space *s, uint64_t iova, uint64_t size)
{
	uint64_t last = iova + (size - 1);
	unsigned i;

	if (!size || iova < IOVA_LOWEST || last < iova)
		return -EINVAL;
	i = first_reaching(s, iova);
	if (i < s->n && s->range[i].first <= last)
		return -EINVAL;
	return add_merged(s, iova, last);
}

uint64_t iova_free_bytes(const struct iova_space *s)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < s->n; i++)
		sum += s->range[i].last - s->range[i].first + 1;
	return sum;
}
