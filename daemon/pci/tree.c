/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Small files below a root. */
#include "tree.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

#define SLURP_MAX (4u << 20)

static int vpath(char ret[PATH_MAX], const char *root, const char *fmt, va_list ap)
{
	size_t len = strlen(root);
	int n;

	if (len >= PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(ret, root, len);
	n = vsnprintf(ret + len, PATH_MAX - len, fmt, ap);
	return n < 0 || (size_t)n >= PATH_MAX - len ? -ENAMETOOLONG : 0;
}

/* The formatted path of a variadic caller; r is its int. */
#define VPATH(path, root, fmt)                                                                               \
	({                                                                                                   \
		va_list _ap;                                                                                 \
		int _r;                                                                                      \
		va_start(_ap, fmt);                                                                          \
		_r = vpath(path, root, fmt, _ap);                                                            \
		va_end(_ap);                                                                                 \
		_r;                                                                                          \
	})

int tree_path(char ret[PATH_MAX], const char *root, const char *fmt, ...)
{
	return VPATH(ret, root, fmt);
}

bool tree_exists(const char *root, const char *fmt, ...)
{
	char path[PATH_MAX];

	return VPATH(path, root, fmt) == 0 && access(path, F_OK) == 0;
}

static int read_bytes(const char *path, void *buf, size_t cap)
{
	hb_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, buf, cap);
	return n < 0 ? -errno : (int)n;
}

static int read_some(const char *path, char *buf, size_t cap)
{
	int n = read_bytes(path, buf, cap - 1);

	if (n >= 0)
		buf[n] = '\0';
	return n;
}

/* First line, blanks at both ends gone. */
static int trim(char *ret, size_t cap, char *line)
{
	size_t len;

	line[strcspn(line, "\n")] = '\0';
	while (isspace((unsigned char)*line))
		line++;
	len = strlen(line);
	while (len && isspace((unsigned char)line[len - 1]))
		len--;
	len = MIN(len, cap - 1);
	memcpy(ret, line, len);
	ret[len] = '\0';
	return (int)len;
}

int tree_line(char *ret, size_t cap, const char *root, const char *fmt, ...)
{
	char path[PATH_MAX], buf[4096];
	int r = VPATH(path, root, fmt);

	if (r == 0)
		r = read_some(path, buf, sizeof(buf));
	return r < 0 ? r : trim(ret, cap, buf);
}

int tree_bytes(void *ret, size_t cap, const char *root, const char *fmt, ...)
{
	char path[PATH_MAX];
	int r = VPATH(path, root, fmt);

	return r < 0 ? r : read_bytes(path, ret, cap);
}

int tree_number(uint64_t *ret, const char *root, const char *fmt, ...)
{
	char path[PATH_MAX], buf[64], *end;
	int r = VPATH(path, root, fmt);
	uint64_t v;

	if (r == 0)
		r = read_some(path, buf, sizeof(buf));
	if (r < 0)
		return r;
	if (!isdigit((unsigned char)buf[0]))
		return -EINVAL;
	v = strtoull(buf, &end, strncmp(buf, "0x", 2) == 0 ? 16 : 10);
	if (*end != '\n' && *end != '\0')
		return -EINVAL;
	*ret = v;
	return 0;
}

int tree_link_name(char *ret, size_t cap, const char *root, const char *fmt, ...)
{
	char path[PATH_MAX], target[PATH_MAX];
	const char *base;
	ssize_t n;
	int r = VPATH(path, root, fmt);

	if (r < 0)
		return r;
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return -errno;
	target[n] = '\0';
	base = strrchr(target, '/');
	base = base ? base + 1 : target;
	if (strlen(base) >= cap)
		return -ENAMETOOLONG;
	strcpy(ret, base);
	return (int)strlen(ret);
}

/* procfs gives no size: read until the end. */
static int slurp(FILE *f, char **ret)
{
	hb_autofree char *buf = NULL;
	size_t cap = 0, len = 0, n;

	do {
		char *bigger;

		cap = cap ? cap * 2 : 8192;
		bigger = realloc(buf, cap);
		if (!bigger)
			return -ENOMEM;
		buf = bigger;
		n = fread(buf + len, 1, cap - 1 - len, f);
		len += n;
	} while (len == cap - 1 && cap < SLURP_MAX);
	if (ferror(f))
		return -EIO;
	buf[len] = '\0';
	*ret = TAKE_PTR(buf);
	return 0;
}

int tree_slurp(char **ret, const char *root, const char *fmt, ...)
{
	hb_autofclose FILE *f = NULL;
	char path[PATH_MAX];
	int r = VPATH(path, root, fmt);

	if (r < 0)
		return r;
	f = fopen(path, "re");
	return f ? slurp(f, ret) : -errno;
}

DIR *tree_opendir(const char *root, const char *fmt, ...)
{
	char path[PATH_MAX];

	return VPATH(path, root, fmt) < 0 ? NULL : opendir(path);
}

const char *tree_next(DIR *dir)
{
	const struct dirent *d;

	do
		d = readdir(dir);
	while (d && d->d_name[0] == '.');
	return d ? d->d_name : NULL;
}

static void text_vadd(struct text *t, const char *fmt, va_list ap)
{
	int n;

	if (t->len + 1 >= t->cap)
		return;
	n = vsnprintf(t->buf + t->len, t->cap - t->len, fmt, ap);
	if (n < 0)
		return;
	t->len += (size_t)n;
	if (t->len < t->cap)
		return;
	t->len = t->cap - 1;
	if (t->cap > 3)
		memcpy(t->buf + t->cap - 4, "...", 4);
}

void text_add(struct text *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	text_vadd(t, fmt, ap);
	va_end(ap);
}

void text_item(struct text *t, const char *separator, const char *fmt, ...)
{
	va_list ap;

	if (t->len)
		text_add(t, "%s", separator);
	va_start(ap, fmt);
	text_vadd(t, fmt, ap);
	va_end(ap);
}

void tree_unescape(char *s)
{
	char *out = s;

	while (*s) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' && s[3] >= '0' &&
			s[3] <= '7') {
			*out++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 4;
		} else {
			*out++ = *s++;
		}
	}
	*out = '\0';
}

bool tree_mount_parse(char *line, struct tree_mount *ret)
{
	char *save, *word = strtok_r(line, " ", &save);

	*ret = (struct tree_mount){NULL};
	for (int i = 0; word; i++, word = strtok_r(NULL, " ", &save)) {
		if (i == 2)
			ret->dev = word;
		else if (i == 4)
			ret->point = word;
		else if (i > 5 && !strcmp(word, "-")) {
			strtok_r(NULL, " ", &save);
			ret->source = strtok_r(NULL, " ", &save);
			break;
		}
	}
	if (!ret->point)
		return false;
	tree_unescape(ret->point);
	if (ret->source)
		tree_unescape(ret->source);
	return true;
}
