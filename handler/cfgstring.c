/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Parsing of configuration strings. */
#include "cfgstring.h"

#include <errno.h>
#include <string.h>

#define PREFIX	HBAD_SUBTYPE "/"
#define EXAMPLE HBAD_SUBTYPE "/g2/ld0"
/* What people type: targetcli puts the prefix in front. */
#define TYPED "cfgstring=g2/ld0"

static size_t trimmed_length(const char *s)
{
	size_t len = strlen(s);

	while (len && strchr(" \t\r\n", s[len - 1]))
		len--;
	return len;
}

bool cfgstring_same(const char *a, const char *b)
{
	size_t len = trimmed_length(a);

	return len == trimmed_length(b) && !memcmp(a, b, len);
}

static bool is_name_char(char c, bool first)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (!first && (c == '_' || c == '-'));
}

/* Length of the instance name at the start of s; 0 when there is none. */
static size_t name_length(const char *s)
{
	size_t n = 0;

	while (is_name_char(s[n], !n))
		n++;
	return n;
}

static int check_characters(const char *s, struct err *e)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return err_set(
				e, -EINVAL, "the configuration string has a control character: remove it");
		else if (*s == ':')
			return err_set(e, -EINVAL,
				"the configuration string has a colon, which targets do not allow there: "
				"name the unit "
				"as \"ld0\" or \"naa.…\"");
	return 0;
}

static int check_unit(const char *unit, struct err *e)
{
	if (!*unit || *unit == ';')
		return err_set(e, -EINVAL,
			"the configuration string names no unit: write one after the controller, such as "
			"\"" TYPED "\" (\"hbactl units NAME\" lists them)");
	/* The runner cuts this option out of what open() sees, and with it the semicolon after it. */
	if (strstr(unit, ";tcmur_cmd_time_out="))
		return err_set(e, -EINVAL,
			"\"tcmur_cmd_time_out\" has no meaning for " HBAD_SUBTYPE " devices: remove it");
	return 0;
}

static int parse_name(const char *s, struct cfgstring *c, struct err *e)
{
	size_t len = name_length(s);

	if (!len || (s[len] != '/' && s[len] != '\0'))
		return err_set(e, -EINVAL,
			"\"%.40s\" is no controller name: it is made of a-z, 0-9, _ and -, such as in "
			"\"" TYPED "\" (\"hbactl list\" shows the names)",
			s);
	if (len > HANDOFF_NAME_MAX)
		return err_set(e, -EINVAL,
			"the controller name is longer than %d characters: see \"hbactl list\"",
			HANDOFF_NAME_MAX);
	memcpy(c->instance, s, len);
	c->instance[len] = '\0';
	return check_unit(s[len] ? s + len + 1 : s + len, e);
}

int cfgstring_parse(const char *text, struct cfgstring *ret, struct err *e)
{
	size_t len = trimmed_length(text);
	struct cfgstring c;
	int r;

	if (len >= sizeof(c.text))
		return err_set(e, -ENAMETOOLONG, "the configuration string is longer than %zu characters",
			sizeof(c.text) - 1);
	memcpy(c.text, text, len);
	c.text[len] = '\0';
	r = check_characters(c.text, e);
	if (r)
		return r;
	/* libtcmu takes any beginning of "hba" for ours, even an empty one. */
	if (strncmp(c.text, PREFIX, strlen(PREFIX)))
		return err_set(e, -EINVAL,
			"the configuration string does not begin with \"" PREFIX
			"\": write it like \"" EXAMPLE "\"");
	r = parse_name(c.text + strlen(PREFIX), &c, e);
	if (r)
		return r;
	*ret = c;
	return 0;
}
