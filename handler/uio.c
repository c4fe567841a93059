/* SPDX-License-Identifier: GPL-2.0-or-later */
/* uio devices: names, and who has them. */
#include "uio.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "cfgstring.h"
#include "place.h"

#define PREFIX	    "tcm-user/"
#define MAX_HOLDERS 4

static int read_text(const char *path, char *text, size_t size)
{
	hb_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, text, size - 1);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	return 0;
}

/* Copies up to the end of the text or to stop, exclusive. Returns what follows, NULL if it does not fit. */
static const char *take(const char *s, char stop, char *ret, size_t size)
{
	size_t len = strcspn(s, stop ? (char[]){stop, '\0'} : "");

	if (len >= size || (stop && !s[len]))
		return NULL;
	memcpy(ret, s, len);
	ret[len] = '\0';
	return stop ? s + len + 1 : s + len;
}

static bool parse_name(const char *s, struct uio_name *ret)
{
	char *end;

	if (strncmp(s, PREFIX, strlen(PREFIX)))
		return false;
	ret->hba = (unsigned)strtoul(s + strlen(PREFIX), &end, 10);
	if (end == s + strlen(PREFIX) || *end != '/')
		return false;
	s = take(end + 1, '/', ret->device, sizeof(ret->device));
	return s && take(s, '\0', ret->config, sizeof(ret->config)) && ret->device[0];
}

static int read_name(const char *uio, struct uio_name *ret)
{
	char path[PATH_MAX], text[1024];
	size_t len;
	int r;

	snprintf(path, sizeof(path), "%s/%s/name", place_uio(), uio);
	r = read_text(path, text, sizeof(text));
	if (r)
		return r;
	len = strlen(text);
	if (len && text[len - 1] == '\n')
		text[len - 1] = '\0';
	return parse_name(text, ret) ? 0 : -EPROTO;
}

int uio_describe(const char *uio, struct uio_name *ret, struct err *e)
{
	int r = read_name(uio, ret);

	return r ? err_set(e, r, "cannot tell which backstore %s belongs to: %s", uio, strerror(-r)) : 0;
}

unsigned uio_find(const char *config, char (*ret)[UIO_NAME_LEN], unsigned max)
{
	hb_autoclosedir DIR *d = opendir(place_uio());
	const struct dirent *de;
	struct uio_name name;
	unsigned n = 0;

	while (d && n < max && (de = readdir(d))) {
		if (strncmp(de->d_name, "uio", 3) || strlen(de->d_name) >= UIO_NAME_LEN)
			continue;
		if (!read_name(de->d_name, &name) && cfgstring_same(name.config, config))
			strcpy(ret[n++], de->d_name);
	}
	return n;
}

bool uio_held(const char *uio)
{
	hb_autoclose int fd = -1;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", place_dev(), uio);
	fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	return fd < 0 && errno == EBUSY;
}

/* --- who --- */

static bool has_open(const char *pid, const char *target)
{
	char path[PATH_MAX], link[PATH_MAX];
	hb_autoclosedir DIR *d = NULL;
	const struct dirent *de;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	d = opendir(path);
	while (d && (de = readdir(d))) {
		ssize_t n = readlinkat(dirfd(d), de->d_name, link, sizeof(link) - 1);

		if (n > 0 && (size_t)n == strlen(target) && !memcmp(link, target, (size_t)n))
			return true;
	}
	return false;
}

void uio_holders(const char *uio, char *text, size_t size)
{
	hb_autoclosedir DIR *d = opendir("/proc");
	char target[PATH_MAX], path[PATH_MAX], comm[32];
	const struct dirent *de;
	unsigned found = 0;
	size_t used = 0;

	snprintf(target, sizeof(target), "%s/%s", place_dev(), uio);
	snprintf(text, size, "an unknown process");
	while (d && found < MAX_HOLDERS && used < size && (de = readdir(d))) {
		if (!isdigit((unsigned char)de->d_name[0]) || !has_open(de->d_name, target))
			continue;
		snprintf(path, sizeof(path), "/proc/%.20s/comm", de->d_name);
		if (read_text(path, comm, sizeof(comm)))
			continue;
		comm[strcspn(comm, "\n")] = '\0';
		used += (size_t)snprintf(text + used, size - used, "%sprocess %.20s (%s)",
			found++ ? ", " : "", de->d_name, comm);
	}
}
