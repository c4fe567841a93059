/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A short list of refused backstores, each of them once. */
#include "refusals.h"

#include <string.h>
#include <glib.h>

static struct refusal *find(struct refusals *r, const char *device)
{
	for (unsigned i = 0; i < r->n; i++)
		if (!strcmp(r->newest_first[i].device, device))
			return &r->newest_first[i];
	return NULL;
}

void refusals_forget(struct refusals *r, const char *device)
{
	struct refusal *old = find(r, device);

	if (!old)
		return;
	r->n--;
	memmove(old, old + 1, (size_t)(&r->newest_first[r->n] - old) * sizeof(*old));
}

static bool says_the_same(const struct refusal *old, const char *cfgstring, const char *reason)
{
	return old && !strcmp(old->cfgstring, cfgstring) && !strcmp(old->reason, reason);
}

bool refusals_add(
	struct refusals *r, const char *device, const char *cfgstring, bool again, const char *reason)
{
	const struct refusal *old = find(r, device);
	int64_t now = g_get_real_time();
	bool news = !says_the_same(old, cfgstring, reason) ||
		    (!again && now - old->time_us > REFUSALS_SAME_S * G_USEC_PER_SEC);
	struct refusal *first = &r->newest_first[0];

	refusals_forget(r, device);
	if (r->n < REFUSALS_KEPT)
		r->n++;
	memmove(first + 1, first, (r->n - 1) * sizeof(*first));
	first->time_us = now;
	g_strlcpy(first->device, device, sizeof(first->device));
	g_strlcpy(first->cfgstring, cfgstring, sizeof(first->cfgstring));
	g_strlcpy(first->reason, reason, sizeof(first->reason));
	return news;
}
