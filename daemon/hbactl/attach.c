/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hbactl attach: takes an HBA from its kernel driver, and gives it to a new instance of hbad; all or nothing. */
#include "hbactl.h"

#include <errno.h>
#include <string.h>
#include "base/cleanup.h"
#include "export.h"
#include "instance.h"
#include "ready.h"

struct attach {
	struct ctl *c;
	const char *name;
	char *path;
	struct config config;
	struct pci_candidate hba;
	bool was_bound; /* to vfio-pci, before us */
	bool served;	/* by a process, on a socket: hba is empty */
	FILE *progress; /* standard output, or standard error when that is for JSON */
	JsonNode *status;
};

static void attach_clear(struct attach *a)
{
	pci_candidate_free(&a->hba);
	g_clear_pointer(&a->path, g_free);
	g_clear_pointer(&a->status, json_node_unref);
}

/* --- what must be true before anything is changed --- */

static int check_free(struct attach *a, struct err *e)
{
	g_auto(GStrv) names = instance_names(a->c);
	g_autofree char *owner = NULL;

	if (g_strv_contains((const char *const *)names, a->name))
		return err_set(e, -EEXIST,
			"there is an instance '%s' (%s): choose another name, or 'hbactl detach %s' first",
			a->name, a->path, a->name);
	owner = instance_by_device(a->c, names, a->config.device);
	if (owner)
		return err_set(e, -EEXIST, "%s is attached as '%s': 'hbactl detach %s' first",
			a->config.device, owner, owner);
	return 0;
}

/* VFIO hands out IOMMU groups whole: nobody else in it may have a kernel driver. */
static int check_group(const struct attach *a, struct err *e)
{
	g_auto(GStrv) others = g_strsplit(a->hba.group_others, " ", -1);

	if (a->hba.iommu_group < 0)
		return err_set(e, -ENODEV,
			"%s has no IOMMU group: switch on VT-d or AMD-Vi in the firmware's set-up, and on "
			"Intel "
			"machines boot with intel_iommu=on",
			a->hba.addr);
	for (char **addr = others; *addr; addr++) {
		struct pci_candidate other = {0};
		bool foreign;

		if (!**addr || a->c->ops->candidate_read(a->c->sysfs_root, *addr, &other, NULL) < 0)
			continue;
		foreign = other.driver[0] && strcmp(other.driver, "vfio-pci") != 0 &&
			  strcmp(other.driver, "pci-stub") != 0 && strcmp(other.driver, "pcieport") != 0;
		if (foreign)
			err_set(e, 0,
				"%s shares IOMMU group %d with %s, which the kernel's %s drives: put the HBA "
				"into "
				"another slot, or unbind %s from its driver",
				a->hba.addr, a->hba.iommu_group, *addr, other.driver, *addr);
		pci_candidate_free(&other);
		if (foreign)
			return -EBUSY;
	}
	return 0;
}

static int check_hba(struct attach *a, struct err *e)
{
	const char *driver;
	int r = check_free(a, e);

	if (r < 0)
		return r;
	driver = a->c->ops->supported(a->hba.vendor, a->hba.device);
	if (!driver)
		return err_set(e, -ENOTSUP,
			"%s (%04x:%04x%s%s) is no controller that hbad knows: 'hbactl candidates' says which "
			"are, and hbad-bringup(7) what can be done",
			a->hba.addr, a->hba.vendor, a->hba.device, a->hba.name[0] ? ", " : "", a->hba.name);
	r = check_group(a, e);
	if (r < 0)
		return r;
	r = a->c->ops->check_unused(a->c->sysfs_root, &a->hba, e);
	if (r < 0)
		return r;
	fprintf(a->progress, "%s: %s, %u disk%s, not in use\n", a->hba.addr, driver, a->hba.n_disks,
		a->hba.n_disks == 1 ? "" : "s");
	return 0;
}

/* --- the steps, and how each is undone --- */

static int write_config(struct attach *a, struct err *e)
{
	fprintf(a->progress, "Writing %s\n", a->path);
	return a->c->ops->config_save(a->path, &a->config, e);
}

static int remove_config(struct attach *a, struct err *e)
{
	return a->c->ops->config_remove(a->path, e);
}

static int bind_hba(struct attach *a, struct err *e)
{
	char previous[32] = "";

	if (a->served)
		return 0;
	fprintf(a->progress, "Binding %s to vfio-pci\n", a->hba.addr);
	return a->c->ops->bind(a->c->sysfs_root, a->hba.addr, a->c->ops->supported, previous, e);
}

static int unbind_hba(struct attach *a, struct err *e)
{
	if (a->was_bound || a->served)
		return 0; /* as we found it */
	return ctl_unbind(a->c, a->hba.addr, a->config.kernel_driver, e);
}

static int enable_unit(struct attach *a, struct err *e)
{
	fprintf(a->progress, "Enabling hbad@%s\n", a->name);
	return ready_systemctl(a->c, "enable", "--quiet", a->name, e);
}

static int disable_unit(struct attach *a, struct err *e)
{
	return ready_systemctl(a->c, "disable", "--quiet", a->name, e);
}

static int start_unit(struct attach *a, struct err *e)
{
	fprintf(a->progress, "Starting hbad@%s (a controller's firmware may need minutes)\n", a->name);
	fflush(a->progress);
	/* Failures of an earlier life count against the new one; none is fine. */
	ready_systemctl(a->c, "reset-failed", NULL, a->name, NULL);
	return ready_systemctl(a->c, "start", "--no-block", a->name, e);
}

static int stop_unit(struct attach *a, struct err *e)
{
	int r = ready_systemctl(a->c, "stop", NULL, a->name, e);

	ready_systemctl(a->c, "reset-failed", NULL, a->name, NULL);
	return r < 0 ? r : ready_stop_binding(a->c, a->name, e);
}

static int wait_unit(struct attach *a, struct err *e)
{
	int r = ready_wait(a->c, a->name, READY_TIMEOUT_S, a->progress, &a->status, e);

	if (r < 0)
		ready_print_journal(a->c, a->name, a->progress);
	return r;
}

struct step {
	int (*apply)(struct attach *a, struct err *e);
	int (*undo)(struct attach *a, struct err *e); /* NULL: nothing to undo */
	const char *undone;
	bool half_done; /* a failed apply may leave something behind; others clean up themselves */
	bool starts;	/* left out with --no-start */
};

static const struct step steps[] = {
	{write_config, remove_config, "the configuration is removed", true, false},
	{bind_hba, unbind_hba, "the HBA is as it was", false, true},
	{enable_unit, disable_unit, "the unit is disabled", true, false},
	{start_unit, stop_unit, "the unit is stopped", true, true},
	{wait_unit, NULL, NULL, false, true},
};

/* In reverse. Stops at what cannot be undone: an HBA must not be unbound below a live hbad, and as long as
 * the configuration is there, detach can finish the work. */
static void roll_back(struct attach *a, const bool *applied, size_t n)
{
	while (n-- > 0) {
		struct err e = {""};

		if (!applied[n] || !steps[n].undo)
			continue;
		if (steps[n].undo(a, &e) < 0) {
			ctl_warn(a->c,
				"not everything could be undone (%s): 'hbactl detach %s' does the rest",
				e.text, a->name);
			return;
		}
		fprintf(a->progress, "Rolled back: %s\n", steps[n].undone);
	}
}

static int apply_all(struct attach *a, bool no_start, struct err *e)
{
	bool applied[ARRAY_SIZE(steps)] = {false};

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		int r;

		if (no_start && steps[i].starts)
			continue;
		r = steps[i].apply(a, e);
		applied[i] = r == 0 || steps[i].half_done;
		if (r == 0 && a->c->ops->interrupted())
			r = err_set(e, -EINTR, "interrupted");
		if (r < 0) {
			roll_back(a, applied, i + 1);
			return r;
		}
	}
	return 0;
}

/* --- the result --- */

static void print_json(const struct attach *a)
{
	JsonObject *o = a->status ? json_node_get_object(a->status) : NULL;
	g_autoptr(JsonBuilder) b = json_builder_new();
	g_autoptr(JsonNode) root = NULL;

	json_builder_begin_object(b);
	json_put_str(b, "name", a->name);
	json_put_str(b, "device", a->config.device);
	json_put_str(b, "configuration", a->path);
	json_put_str(b, "state", o ? json_str(o, "state") : "stopped");
	json_builder_set_member_name(b, "units");
	export_json(b, a->name, json_arr(o, "units"));
	json_builder_end_object(b);
	root = json_builder_get_root(b);
	json_print(root, a->c->out);
}

static void print_text(const struct attach *a)
{
	JsonObject *o = a->status ? json_node_get_object(a->status) : NULL;

	if (!o) {
		fprintf(a->c->out,
			"%s is attached as %s, not started: 'systemctl start hbad@%s' starts it, and so does "
			"the next "
			"boot.\n",
			a->config.device, a->name, a->name);
		return;
	}
	fprintf(a->c->out, "%s is attached as %s.\n\n", a->config.device, a->name);
	export_print_units(json_arr(o, "units"), "", a->c->out);
	export_print_commands(a->name, json_arr(o, "units"), a->c->out);
}

static int find_hba(struct attach *a, const char *text, struct err *e)
{
	char addr[PCI_ADDR_LEN];
	int r = pci_addr_parse(text, addr, e);

	if (r < 0)
		return r;
	g_strlcpy(a->config.device, addr, sizeof(a->config.device));
	r = a->c->ops->candidate_read(a->c->sysfs_root, addr, &a->hba, e);
	if (r < 0)
		return r;
	r = check_hba(a, e);
	if (r < 0)
		return r;
	a->was_bound = strcmp(a->hba.driver, "vfio-pci") == 0;
	if (!a->was_bound)
		g_strlcpy(a->config.kernel_driver, a->hba.driver, sizeof(a->config.kernel_driver));
	return 0;
}

/* Which controller it is, hbad finds out when it connects. */
static int find_served(struct attach *a, const char *uri, struct err *e)
{
	if (g_strlcpy(a->config.device, uri, sizeof(a->config.device)) >= sizeof(a->config.device))
		return err_set(e, -EINVAL, "the path is too long: %zu characters at most",
			sizeof(a->config.device) - 1);
	a->served = true;
	return check_free(a, e);
}

static int attach(struct attach *a, const char *text, bool no_start, struct err *e)
{
	hb_autoclose int lock = ctl_lock(a->c, e);
	int r = lock;

	if (r < 0)
		return r;
	r = pci_uri_is_served(text) ? find_served(a, text, e) : find_hba(a, text, e);
	if (r < 0)
		return r;
	if (a->c->ops->interrupted())
		return err_set(e, -EINTR, "interrupted");
	return apply_all(a, no_start, e);
}

/* What can be seen without a look at the machine is wrong usage. */
static int check_target(struct ctl *c, const char *text)
{
	char addr[PCI_ADDR_LEN];
	struct err e = {""};

	if (pci_uri_is_served(text))
		return strchr(text, ':')[1] == '/' ? CTL_OK
						   : ctl_usage(c, "attach",
							     "attach: '%s': write vfio-user: and the whole "
							     "path of a socket",
							     text);
	return pci_addr_parse(text, addr, &e) < 0 ? ctl_usage(c, "attach", "attach: %s", e.text) : CTL_OK;
}

static int run_checked(struct attach *a, const char *addr, bool no_start, bool json)
{
	struct err e = {""};

	if (ctl_need_root(a->c, "attach") != CTL_OK)
		return CTL_FAILED;
	a->path = instance_path(a->c, a->name);
	a->progress = json ? a->c->err : a->c->out;
	if (attach(a, addr, no_start, &e) < 0)
		return ctl_fail(a->c, "%s is not attached: %s", addr, e.text);
	if (json)
		print_json(a);
	else
		print_text(a);
	return CTL_OK;
}

static int run(struct ctl *c, int argc, char **argv)
{
	g_autofree char *name = NULL;
	gint queue_depth = 0;
	gboolean no_start = FALSE, json = FALSE;
	const GOptionEntry entries[] = {
		{"name", 'n', 0, G_OPTION_ARG_STRING, &name,
			"Name of the new instance: [a-z0-9][a-z0-9_-]*, required", "NAME"},
		{"queue-depth", 'q', 0, G_OPTION_ARG_INT, &queue_depth,
			"Cap on commands at the controller (0: what it takes)", "N"},
		{"no-start", 0, 0, G_OPTION_ARG_NONE, &no_start,
			"Only write the configuration and enable the unit; the HBA stays with its driver",
			NULL},
		{"json", 'j', 0, G_OPTION_ARG_NONE, &json, "Print JSON; progress goes to standard error",
			NULL},
		G_OPTION_ENTRY_NULL,
	};
	const struct ctl_syntax syntax = {
		.command = "attach",
		.operand = "PCI-ADDRESS",
		.summary = "Takes an HBA from its kernel driver and starts hbad on it, now and at each boot. "
			   "Refuses "
			   "HBAs whose\ndisks are in use, and undoes everything when a step fails. "
			   "vfio-user:PATH instead of the address\nmeans a controller that another process "
			   "serves on that socket.",
		.entries = entries,
	};
	__attribute__((cleanup(attach_clear))) struct attach a = {.c = c};
	const char *addr;
	int exit_code;

	if (ctl_parse(c, &syntax, argc, argv, &addr, &exit_code) == CTL_PARSE_EXIT)
		return exit_code;
	if (!name)
		return ctl_usage(
			c, "attach", "attach: --name NAME is missing: what shall the instance be called?");
	if (ctl_check_name(c, "attach", name) != CTL_OK || check_target(c, addr) != CTL_OK)
		return CTL_USAGE;
	if (queue_depth < 0 || queue_depth > CONFIG_MAX_QUEUE_DEPTH)
		return ctl_usage(c, "attach", "attach: --queue-depth takes 0 to %d", CONFIG_MAX_QUEUE_DEPTH);
	config_init(&a.config);
	a.config.queue_depth = (uint32_t)queue_depth;
	a.name = name;
	return run_checked(&a, addr, no_start, json);
}

const struct ctl_command cmd_attach = {
	.name = "attach",
	.summary = "Give an HBA to hbad",
	.run = run,
};
