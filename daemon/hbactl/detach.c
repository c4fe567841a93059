/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hbactl detach: stops an instance and gives its HBA back to the kernel driver. */
#include "hbactl.h"

#include <errno.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "hbad/handoff.h"
#include "instance.h"
#include "ready.h"
#include "table.h"

#define DISKS_WAIT_S	60
#define DISKS_QUIET_MS	2000 /* no new disk for so long: all there, when nobody knows how many to expect */
#define DISKS_UNKNOWN_S 20   /* ... and none at all: the controller has none */
#define DISKS_POLL_MS	250

struct detach {
	struct ctl *c;
	const char *name;
	bool force;
	char *path;
	struct config config;
	char addr[PCI_ADDR_LEN];  /* "" when there is nothing to give back */
	int expected;		  /* disks; -1: not known */
	struct pci_candidate hba; /* after unbinding */
	FILE *progress;
};

static void detach_clear(struct detach *d)
{
	pci_candidate_free(&d->hba);
	g_clear_pointer(&d->path, g_free);
}

/* --- refusals --- */

/* What hbad serves and what LIO is configured for differ while tcmu-runner or hbad is down: both count. */
static int find_luns(struct detach *d, GPtrArray *luns, struct err *e)
{
	g_autoptr(JsonNode) status = NULL;
	g_auto(GStrv) backstores = NULL;
	JsonArray *served;
	int r = d->c->ops->backstores(d->c->configfs, d->name, &backstores, e);

	if (r < 0)
		return r;
	for (char **b = backstores; *b; b++)
		g_ptr_array_add(luns, g_strdup(*b));
	if (status_read(d->c, d->name, &status, NULL) < 0)
		return 0;
	served = json_arr(json_node_get_object(status), "luns");
	for (unsigned i = 0; i < json_arr_len(served); i++) {
		const char *device = json_str(json_arr_obj(served, i), "device");

		if (!g_ptr_array_find_with_equal_func(luns, device, g_str_equal, NULL))
			g_ptr_array_add(luns, g_strdup(device));
	}
	if (!json_obj(json_node_get_object(status), "controller"))
		return 0;
	d->expected = 0;
	served = json_arr(json_node_get_object(status), "units");
	for (unsigned i = 0; i < json_arr_len(served); i++)
		d->expected += json_bool(json_arr_obj(served, i), "exportable");
	return 0;
}

static int refuse_luns(struct detach *d, struct err *e)
{
	g_autoptr(GPtrArray) luns = g_ptr_array_new_with_free_func(g_free);
	g_autofree char *list = NULL;
	int r = find_luns(d, luns, e);

	if (r < 0)
		return d->force ? 0 : r;
	if (luns->len == 0)
		return 0;
	g_ptr_array_add(luns, NULL);
	list = g_strjoinv(" ", (char **)luns->pdata);
	if (!d->force)
		return err_set(e, -EBUSY,
			"it is exported as %s: delete each backstore ('targetcli "
			"/backstores/user:" HBAD_SUBTYPE
			" delete BACKSTORE') and run 'targetcli saveconfig', or use --force",
			list);
	ctl_warn(d->c,
		"detaching below the backstores %s: their initiators get BUSY until the backstores are "
		"deleted or the "
		"HBA is attached as '%s' again",
		list, d->name);
	return 0;
}

/* --- the steps --- */

static int stop_unit(struct detach *d, struct err *e)
{
	struct unit_state u;
	int r;

	fprintf(d->progress, "Stopping hbad@%s (the controller writes its cache out)\n", d->name);
	fflush(d->progress);
	r = ready_systemctl(d->c, "stop", NULL, d->name, e);
	if (r < 0)
		return r;
	unit_read(d->c, d->name, &u);
	if (u.known && strcmp(u.active, "inactive") != 0 && strcmp(u.active, "failed") != 0)
		return err_set(e, -EBUSY, "hbad@%s does not stop (it is %s): see 'journalctl -u hbad@%s'",
			d->name, u.active, d->name);
	ready_systemctl(d->c, "reset-failed", NULL, d->name, NULL);
	r = ready_stop_binding(d->c, d->name, e);
	return r < 0 ? r : ready_systemctl(d->c, "disable", "--quiet", d->name, e);
}

static int give_back(struct detach *d, struct err *e)
{
	struct pci_candidate now = {0};
	const char *to = d->config.kernel_driver;
	bool done;
	int r;

	if (!d->addr[0])
		return 0;
	r = d->c->ops->candidate_read(d->c->sysfs_root, d->addr, &now, e);
	if (r == -ENOENT) {
		fprintf(d->progress, "%s is not in this machine any more: nothing to give back\n", d->addr);
		d->c->ops->revoke(d->c->sysfs_root, d->addr);
		d->addr[0] = '\0';
		return 0;
	}
	if (r < 0)
		return r;
	/* None: a detach that was interrupted here. */
	done = now.driver[0] && strcmp(now.driver, "vfio-pci") != 0;
	pci_candidate_free(&now);
	if (done)
		return 0;
	fprintf(d->progress, "Giving %s back to %s\n", d->addr, to[0] ? to : "its kernel driver");
	fflush(d->progress);
	return ctl_unbind(d->c, d->addr, to, e);
}

/* The kernel driver looks for its disks after it is bound, one by one. */
static bool all_disks_back(const struct detach *d, uint64_t began, uint64_t changed, uint64_t now)
{
	if (d->expected >= 0)
		return d->hba.n_disks >= (unsigned)d->expected;
	if (d->hba.n_disks > 0)
		return now - changed >= DISKS_QUIET_MS * NS_PER_MS;
	return now - began >= DISKS_UNKNOWN_S * NS_PER_SEC;
}

static void await_disks(struct detach *d)
{
	uint64_t began = d->c->ops->now_ns(), changed = began, now = began;
	unsigned before = 0;

	while (now - began < DISKS_WAIT_S * NS_PER_SEC) {
		pci_candidate_free(&d->hba);
		memset(&d->hba, 0, sizeof(d->hba));
		if (d->c->ops->candidate_read(d->c->sysfs_root, d->addr, &d->hba, NULL) < 0)
			return; /* unplugged meanwhile */
		if (!d->hba.driver[0])
			return; /* it had no driver before, and has none now: no disks */
		if (d->hba.n_disks != before)
			changed = now;
		before = d->hba.n_disks;
		if (all_disks_back(d, began, changed, now))
			return;
		d->c->ops->sleep_ms(DISKS_POLL_MS);
		now = d->c->ops->now_ns();
	}
	ctl_warn(d->c, "%u of %d disks are back after %d s: see dmesg", d->hba.n_disks, d->expected,
		DISKS_WAIT_S);
}

static int detach(struct detach *d, struct err *e)
{
	hb_autoclose int lock = ctl_lock(d->c, e);
	g_autofree char *unit = instance_unit(d->name), *out = NULL;
	const char *const clean[] = {"systemctl", "clean", "--what=runtime", unit, NULL};
	int r = lock;

	if (r < 0)
		return r;
	r = config_load(d->path, &d->config, e);
	if (r < 0)
		return r;
	if (!pci_uri_is_served(d->config.device)) {
		r = pci_addr_parse(d->config.device, d->addr, e);
		if (r < 0)
			return err_prefix(e, r, "%s", d->path);
	}
	r = refuse_luns(d, e);
	if (r < 0)
		return r;
	r = stop_unit(d, e);
	if (r < 0)
		return r;
	r = give_back(d, e);
	if (r < 0)
		return err_prefix(e, r,
			"stopped and disabled, but its HBA could not be given back (run this command again)");
	/* Its runtime folder is kept across restarts on purpose; nobody needs it now. Trouble is harmless. */
	if (!d->force)
		d->c->ops->run(clean, &out, NULL);
	return d->c->ops->config_remove(d->path, e);
}

/* --- the result --- */

static void print_json(const struct detach *d)
{
	g_autoptr(JsonBuilder) b = json_builder_new();
	g_autoptr(JsonNode) root = NULL;

	json_builder_begin_object(b);
	json_put_str(b, "name", d->name);
	json_put_str(b, "device", d->config.device);
	json_put_str(b, "driver", d->hba.driver);
	json_builder_set_member_name(b, "disks");
	json_builder_begin_array(b);
	for (unsigned i = 0; i < d->hba.n_disks; i++) {
		json_builder_begin_object(b);
		json_put_str(b, "name", d->hba.disks[i].name);
		json_put_str(b, "model", d->hba.disks[i].model);
		json_put_int(b, "size_bytes", (int64_t)d->hba.disks[i].bytes);
		json_builder_end_object(b);
	}
	json_builder_end_array(b);
	json_builder_end_object(b);
	root = json_builder_get_root(b);
	json_print(root, d->c->out);
}

static void print_text(const struct detach *d)
{
	static const char *const headings[] = {"DISK", ">SIZE", "MODEL", NULL};
	g_autoptr(table_t) t = table_new(headings);

	fprintf(d->c->out, "%s is detached.\n", d->name);
	for (unsigned i = 0; i < d->hba.n_disks; i++) {
		g_autofree char *size = table_size(d->hba.disks[i].bytes);

		table_cell(t, d->hba.disks[i].name);
		table_cell(t, size);
		table_cell(t, d->hba.disks[i].model);
	}
	if (table_rows(t) > 0) {
		fprintf(d->c->out, "%s with driver %s has the disks:\n", d->addr, d->hba.driver);
		table_print(t, "  ", d->c->out);
	}
}

static int run(struct ctl *c, int argc, char **argv)
{
	gboolean force = FALSE, json = FALSE;
	const GOptionEntry entries[] = {
		{"force", 'f', 0, G_OPTION_ARG_NONE, &force, "Also when its units are exported", NULL},
		{"json", 'j', 0, G_OPTION_ARG_NONE, &json, "Print JSON; progress goes to standard error",
			NULL},
		G_OPTION_ENTRY_NULL,
	};
	const struct ctl_syntax syntax = {
		.command = "detach",
		.operand = "NAME",
		.summary = "Stops an instance, gives its HBA back to the kernel driver, waits for the disks "
			   "and removes "
			   "the\nconfiguration. Refuses while LIO backstores use it.",
		.entries = entries,
	};
	__attribute__((cleanup(detach_clear))) struct detach d = {.c = c, .expected = -1};
	struct err e = {""};
	int exit_code;

	if (ctl_parse(c, &syntax, argc, argv, &d.name, &exit_code) == CTL_PARSE_EXIT)
		return exit_code;
	if (ctl_check_name(c, "detach", d.name) != CTL_OK)
		return CTL_USAGE;
	if (ctl_need_root(c, "detach") != CTL_OK)
		return CTL_FAILED;
	if (!instance_exists(c, d.name))
		return instance_fail(c, d.name, &e);
	d.path = instance_path(c, d.name);
	d.force = force;
	d.progress = json ? c->err : c->out;
	if (detach(&d, &e) < 0)
		return ctl_fail(c, "%s is not detached: %s", d.name, e.text);
	if (d.addr[0])
		await_disks(&d);
	if (json)
		print_json(&d);
	else
		print_text(&d);
	return CTL_OK;
}

const struct ctl_command cmd_detach = {
	.name = "detach",
	.summary = "Give an HBA back to its kernel driver",
	.run = run,
};
