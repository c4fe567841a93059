/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vfio-user: the capabilities that come as JSON with VERSION. The text is another process's: as little is read as
 * is needed, and nothing is believed. */
#include "vuc.h"

#include <errno.h>
#include <string.h>

#define DEPTH_MAX 16

struct text {
	const char *p; /* ends with a NUL, which is no character of JSON */
	unsigned depth;
};

typedef bool (*member_fn)(struct text *t, const char *key, size_t len, struct vuc_caps *caps);

static void blanks(struct text *t)
{
	t->p += strspn(t->p, " \t\r\n");
}

static bool take(struct text *t, char c)
{
	blanks(t);
	if (*t->p != c)
		return false;
	t->p++;
	return true;
}

/* The raw characters between the quotes: the names that we look for need no escapes. */
static bool string(struct text *t, const char **ret, size_t *ret_len)
{
	if (!take(t, '"'))
		return false;
	*ret = t->p;
	for (; *t->p != '"'; t->p++) {
		if ((unsigned char)*t->p < ' ')
			return false;
		if (*t->p == '\\' && !*++t->p)
			return false;
	}
	*ret_len = (size_t)(t->p++ - *ret);
	return true;
}

static bool object(struct text *t, member_fn member, struct vuc_caps *caps)
{
	const char *key;
	size_t len;

	if (!take(t, '{') || t->depth == DEPTH_MAX)
		return false;
	if (take(t, '}'))
		return true;
	t->depth++;
	do {
		if (!string(t, &key, &len) || !take(t, ':') || !member(t, key, len, caps))
			return false;
	} while (take(t, ','));
	t->depth--;
	return take(t, '}');
}

static bool any_member(struct text *t, const char *key, size_t len, struct vuc_caps *caps);

static bool any_array(struct text *t)
{
	if (!take(t, '[') || t->depth == DEPTH_MAX)
		return false;
	if (take(t, ']'))
		return true;
	t->depth++;
	do {
		if (!any_member(t, NULL, 0, NULL))
			return false;
	} while (take(t, ','));
	t->depth--;
	return take(t, ']');
}

/* A number, true, false or null. */
static bool any_word(struct text *t)
{
	static const char *const words[] = {"true", "false", "null"};
	size_t len = strspn(t->p, "+-.0123456789eE");

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strncmp(t->p, words[i], strlen(words[i])) == 0)
			len = strlen(words[i]);
	t->p += len;
	return len > 0;
}

/* Skips a value. */
static bool any_member(struct text *t, const char *key, size_t len, struct vuc_caps *caps)
{
	blanks(t);
	switch (*t->p) {
	case '{':
		return object(t, any_member, NULL);
	case '[':
		return any_array(t);
	case '"':
		return string(t, &key, &len);
	default:
		return any_word(t);
	}
}

static bool whole_number(struct text *t, uint64_t *ret)
{
	uint64_t n = 0;
	const char *first;

	blanks(t);
	for (first = t->p; *t->p >= '0' && *t->p <= '9'; t->p++)
		if (__builtin_mul_overflow(n, 10u, &n) || __builtin_add_overflow(n, *t->p - '0', &n))
			return false;
	*ret = n;
	return t->p > first && !strchr(".eE", *t->p ? *t->p : ' ');
}

static bool is(const char *key, size_t len, const char *name)
{
	return len == strlen(name) && memcmp(key, name, len) == 0;
}

static bool capability(struct text *t, const char *key, size_t len, struct vuc_caps *caps)
{
	if (is(key, len, VU_CAP_MAX_FDS))
		return whole_number(t, &caps->max_fds);
	if (is(key, len, VU_CAP_MAX_XFER))
		return whole_number(t, &caps->max_xfer);
	if (is(key, len, VU_CAP_MAX_MAPS))
		return whole_number(t, &caps->max_maps);
	if (is(key, len, VU_CAP_PGSIZES))
		return whole_number(t, &caps->pgsizes);
	return any_member(t, key, len, NULL);
}

static bool top(struct text *t, const char *key, size_t len, struct vuc_caps *caps)
{
	return is(key, len, VU_CAPS_KEY) ? object(t, capability, caps) : any_member(t, key, len, NULL);
}

int vuc_caps_parse(const char *text, size_t len, struct vuc_caps *ret)
{
	struct vuc_caps caps = {
		.max_fds = VU_DEFAULT_MAX_FDS,
		.max_xfer = VU_DEFAULT_MAX_XFER,
		.max_maps = VU_DEFAULT_MAX_MAPS,
		.pgsizes = VU_DEFAULT_PGSIZES,
	};
	struct text t = {.p = text};

	if (len) {
		if (memchr(text, '\0', len) != text + len - 1 || !object(&t, top, &caps))
			return -EBADMSG;
		blanks(&t);
		if (*t.p)
			return -EBADMSG;
	}
	*ret = caps;
	return 0;
}
