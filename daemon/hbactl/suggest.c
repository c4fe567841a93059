/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guesses which command was meant by a mistyped one. */
#include "hbactl.h"

#include <string.h>

#define WORD_MAX 32

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	return MIN(MIN(a, b), c);
}

/* Optimal string alignment: insertions, deletions, substitutions and swapped neighbours cost one each. */
static unsigned distance(const char *a, const char *b)
{
	unsigned d[WORD_MAX + 1][WORD_MAX + 1];
	size_t la = strlen(a), lb = strlen(b);

	for (size_t i = 0; i <= la; i++)
		d[i][0] = (unsigned)i;
	for (size_t j = 0; j <= lb; j++)
		d[0][j] = (unsigned)j;
	for (size_t i = 1; i <= la; i++) {
		for (size_t j = 1; j <= lb; j++) {
			unsigned cost = a[i - 1] != b[j - 1];

			d[i][j] = min3(d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + cost);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				d[i][j] = MIN(d[i][j], d[i - 2][j - 2] + 1);
		}
	}
	return d[la][lb];
}

const char *ctl_suggest(const char *typed, const char *const *words)
{
	const char *best = NULL;
	size_t len = strlen(typed);
	/* Short words are alike by chance: allow one slip in three letters, three at most. */
	unsigned limit = MIN((unsigned)(len + 1) / 3, 3u) + 1;

	if (len == 0 || len > WORD_MAX)
		return NULL;
	for (; *words; words++) {
		unsigned d;

		if (strlen(*words) > WORD_MAX)
			continue;
		if (len >= 2 && g_str_has_prefix(*words, typed))
			return *words;
		d = distance(typed, *words);
		if (d < limit) {
			limit = d;
			best = *words;
		}
	}
	return best;
}
