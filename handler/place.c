/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Folders, and which instances live in them. */
#include "place.h"

#include <dirent.h>
#include <hbad/handoff.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"

static_assert(HANDOFF_NAME_MAX + 1 == 33, "place_sockets()");

/* secure_getenv(): whoever starts a privileged runner for us does not choose its folders. */
static const char *folder(const char *variable, const char *normal)
{
	const char *value = secure_getenv(variable);

	return value && *value ? value : normal;
}

const char *place_runtime(void)
{
	return folder("HBAD_RUNTIME_DIR", HBAD_RUNTIME_DIR);
}

const char *place_config(void)
{
	return folder("HBAD_CONFIG_DIR", "/etc/hbad");
}

const char *place_configfs(void)
{
	return folder("HBAD_CONFIGFS", "/sys/kernel/config");
}

const char *place_uio(void)
{
	return folder("HBAD_UIO_CLASS", "/sys/class/uio");
}

const char *place_dev(void)
{
	return folder("HBAD_DEV", "/dev");
}

static bool has_socket(const char *instance)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s/" HBAD_HANDOFF_SOCKET, place_runtime(), instance);
	return !access(path, F_OK);
}

static bool has_config(const char *instance)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s.conf", place_config(), instance);
	return !access(path, F_OK);
}

bool place_known(const char *instance)
{
	return has_config(instance) || has_socket(instance);
}

unsigned place_sockets(char (*names)[33], unsigned max, bool *ret_more)
{
	hb_autoclosedir DIR *d = opendir(place_runtime());
	const struct dirent *de;
	unsigned n = 0;

	*ret_more = false;
	while (d && (de = readdir(d))) {
		if (de->d_name[0] == '.' || strlen(de->d_name) > HANDOFF_NAME_MAX || !has_socket(de->d_name))
			continue;
		if (n == max) {
			*ret_more = true;
			break;
		}
		snprintf(names[n++], 33, "%.32s", de->d_name);
	}
	return n;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void add_name(char (*names)[33], unsigned *n, const char *name, size_t len)
{
	if (*n == PLACE_MAX_INSTANCES || !len || len > HANDOFF_NAME_MAX)
		return;
	memcpy(names[*n], name, len);
	names[(*n)++][len] = '\0';
}

/* Configured ones whose socket is not there. */
static void add_configured(char (*names)[33], unsigned *n)
{
	hb_autoclosedir DIR *d = opendir(place_config());
	const struct dirent *de;
	unsigned running = *n;

	while (d && (de = readdir(d))) {
		const char *dot = strrchr(de->d_name, '.');
		bool known = false;

		if (!dot || strcmp(dot, ".conf"))
			continue;
		for (unsigned i = 0; i < running; i++)
			known |= strlen(names[i]) == (size_t)(dot - de->d_name) &&
				 !strncmp(names[i], de->d_name, strlen(names[i]));
		if (!known)
			add_name(names, n, de->d_name, (size_t)(dot - de->d_name));
	}
}

void place_list(char *text, size_t size)
{
	char names[PLACE_MAX_INSTANCES][33];
	size_t used = 0;
	bool more;
	unsigned n = place_sockets(names, PLACE_MAX_INSTANCES, &more);

	add_configured(names, &n);
	qsort(names, n, sizeof(names[0]), by_name);
	snprintf(text, size, "none");
	for (unsigned i = 0; i < n && used < size; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : "", names[i]);
}
