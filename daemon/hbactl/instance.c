/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One configured instance: configuration, systemd unit, control socket. */
#include "instance.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SUFFIX ".conf"

char *instance_unit(const char *name)
{
	return g_strdup_printf("hbad@%s.service", name);
}

char *instance_path(const struct ctl *c, const char *name)
{
	return g_strdup_printf("%s/%s" SUFFIX, c->config_dir, name);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

char **instance_names(struct ctl *c)
{
	g_autoptr(GDir) dir = g_dir_open(c->config_dir, 0, NULL);
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	const char *file;

	while (dir && (file = g_dir_read_name(dir))) {
		g_autofree char *name = NULL;
		struct err e = {""};

		if (!g_str_has_suffix(file, SUFFIX) || file[0] == '.')
			continue;
		name = g_strndup(file, strlen(file) - strlen(SUFFIX));
		if (config_check_name(name, &e) < 0)
			ctl_warn(c, "ignoring %s/%s: %s", c->config_dir, file, e.text);
		else
			g_ptr_array_add(names, g_steal_pointer(&name));
	}
	g_ptr_array_sort(names, by_name);
	g_ptr_array_add(names, NULL);
	return (char **)g_ptr_array_steal(names, NULL);
}

char *instance_by_device(struct ctl *c, char *const *names, const char *addr)
{
	for (; *names; names++) {
		g_autofree char *path = instance_path(c, *names);
		char theirs[sizeof(((struct config *)0)->device)];
		struct config config;

		if (config_load(path, &config, NULL) < 0)
			continue;
		if (pci_addr_parse(config.device, theirs, NULL) < 0)
			g_strlcpy(theirs, config.device, sizeof(theirs));
		if (strcmp(theirs, addr) == 0)
			return g_strdup(*names);
	}
	return NULL;
}

static void take_property(struct unit_state *u, const char *line)
{
	const char *value = strchr(line, '=');

	if (!value)
		return;
	value++;
	if (g_str_has_prefix(line, "ActiveState="))
		g_strlcpy(u->active, value, sizeof(u->active));
	else if (g_str_has_prefix(line, "SubState="))
		g_strlcpy(u->sub, value, sizeof(u->sub));
	else if (g_str_has_prefix(line, "Result="))
		g_strlcpy(u->result, value, sizeof(u->result));
	else if (g_str_has_prefix(line, "UnitFileState="))
		g_strlcpy(u->enabled, value, sizeof(u->enabled));
	else if (g_str_has_prefix(line, "NRestarts="))
		u->restarts = (unsigned)strtoul(value, NULL, 10);
	else if (g_str_has_prefix(line, "Job="))
		u->has_job = strtoul(value, NULL, 10) != 0;
}

void unit_read(struct ctl *c, const char *name, struct unit_state *ret)
{
	g_autofree char *unit = instance_unit(name), *out = NULL;
	const char *const argv[] = {"systemctl", "show", "--no-pager",
		"--property=ActiveState,SubState,Result,UnitFileState,NRestarts,Job", unit, NULL};
	g_auto(GStrv) lines = NULL;

	memset(ret, 0, sizeof(*ret));
	if (c->ops->run(argv, &out, NULL) != 0)
		return;
	lines = g_strsplit(out, "\n", -1);
	for (char **line = lines; *line; line++)
		take_property(ret, *line);
	ret->known = ret->active[0] != '\0';
}

int status_read(struct ctl *c, const char *name, JsonNode **ret, struct err *e)
{
	char *text = NULL;
	int r = c->ops->call(c->runtime_dir, name, "status", STATUS_MS, &text, e);

	if (r == 0)
		r = json_parse(text, ret, e);
	free(text);
	return r;
}

bool instance_exists(const struct ctl *c, const char *name)
{
	g_autofree char *path = instance_path(c, name);

	return access(path, F_OK) == 0 || errno != ENOENT;
}

int instance_fail(struct ctl *c, const char *name, const struct err *e)
{
	g_autofree char *path = instance_path(c, name);

	if (instance_exists(c, name))
		return ctl_fail(c, "%s", e->text);
	return ctl_fail(c, "there is no instance '%s' (no %s): 'hbactl list' lists them", name, path);
}

void instance_read(struct ctl *c, const char *name, struct instance *ret)
{
	g_autofree char *path = instance_path(c, name);

	memset(ret, 0, sizeof(*ret));
	g_strlcpy(ret->name, name, sizeof(ret->name));
	config_init(&ret->config);
	ret->configured = config_load(path, &ret->config, &ret->config_err) == 0;
	unit_read(c, name, &ret->unit);
	status_read(c, name, &ret->status, &ret->status_err);
}

void instance_clear(struct instance *i)
{
	g_clear_pointer(&i->status, json_node_unref);
}

JsonObject *instance_status(const struct instance *i)
{
	return i->status ? json_node_get_object(i->status) : NULL;
}

const char *instance_state(const struct instance *i)
{
	const struct unit_state *u = &i->unit;
	const char *own = json_str(instance_status(i), "state");

	if (*own)
		return own;
	if (!u->known)
		return "unknown";
	if (strcmp(u->sub, "auto-restart") == 0)
		return "restarting";
	if (strcmp(u->active, "activating") == 0)
		return "starting";
	if (strcmp(u->active, "deactivating") == 0)
		return "stopping";
	if (strcmp(u->active, "active") == 0)
		return "silent";
	return strcmp(u->active, "failed") == 0 ? "failed" : "stopped";
}
