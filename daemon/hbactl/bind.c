/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hbactl bind: what has to be true of the HBA before hbad starts. Called by hbad@.service and
 * hbad-bind@.service. */
#include "hbactl.h"

#include <errno.h>
#include <string.h>
#include "base/clock.h"
#include "instance.h"

#define MAX_WAIT_S 3600

static int bind_once(struct ctl *c, const char *name, const char *user, struct err *e)
{
	g_autofree char *path = instance_path(c, name);
	char addr[PCI_ADDR_LEN], previous[32] = "";
	struct config config;
	int r = config_load(path, &config, e);

	if (r < 0)
		return r;
	if (pci_uri_is_served(config.device))
		return 0; /* a socket: no kernel driver to take it from */
	r = pci_addr_parse(config.device, addr, e);
	if (r < 0)
		return err_prefix(e, r, "%s", path);
	r = c->ops->bind(c->sysfs_root, addr, c->ops->supported, previous, e);
	if (r == 0 && previous[0] && strcmp(previous, "vfio-pci") != 0)
		fprintf(c->out, "%s taken from %s\n", addr, previous);
	return r == 0 && user ? c->ops->grant(c->sysfs_root, addr, user, e) : r;
}

/* At boot, disks are held for a moment by whoever probes them, and a controller may be late to appear. */
static int bind_patiently(struct ctl *c, const char *name, const char *user, int wait_s, struct err *e)
{
	uint64_t deadline = c->ops->now_ns() + (uint64_t)wait_s * NS_PER_SEC;
	bool told = false;
	int r;

	while ((r = bind_once(c, name, user, e)) < 0 && r != -ENOTSUP && c->ops->now_ns() < deadline) {
		if (!told)
			ctl_warn(c, "%s (trying again for %d s)", e->text, wait_s);
		told = true;
		c->ops->sleep_ms(1000);
	}
	return r;
}

static int run(struct ctl *c, int argc, char **argv)
{
	gint wait_s = 0;
	g_autofree char *user = NULL;
	const GOptionEntry entries[] = {
		{"user", 'u', 0, G_OPTION_ARG_STRING, &user, "Let USER open the bound HBA", "USER"},
		{"wait", 'w', 0, G_OPTION_ARG_INT, &wait_s, "Try again for so long when it fails", "SECONDS"},
		G_OPTION_ENTRY_NULL,
	};
	const struct ctl_syntax syntax = {
		.command = "bind",
		.operand = "NAME",
		.summary = "Binds the instance's HBA to vfio-pci; does nothing when it is already. Refuses "
			   "an HBA whose "
			   "disks are\nin use. For ExecStartPre= of hbad@.service.",
		.entries = entries,
	};
	struct err e = {""};
	const char *name;
	int exit_code;

	if (ctl_parse(c, &syntax, argc, argv, &name, &exit_code) == CTL_PARSE_EXIT)
		return exit_code;
	if (ctl_check_name(c, "bind", name) != CTL_OK)
		return CTL_USAGE;
	if (wait_s < 0 || wait_s > MAX_WAIT_S)
		return ctl_usage(c, "bind", "bind: --wait takes 0 to %d seconds", MAX_WAIT_S);
	if (ctl_need_root(c, "bind") != CTL_OK)
		return CTL_FAILED;
	if (bind_patiently(c, name, user, wait_s, &e) < 0)
		return ctl_fail(c, "%s", e.text);
	return CTL_OK;
}

const struct ctl_command cmd_bind = {
	.name = "bind",
	.summary = "Bind an instance's HBA to vfio-pci",
	.run = run,
	.for_unit = true,
};
