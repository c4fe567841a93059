/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hbactl probe: what a function is and what its firmware says, without starting or changing anything. */
#include "probe.h"

#include <errno.h>
#include <string.h>

#include "instance.h"

struct request {
	struct ctl *c;
	const char *target;
	char addr[PCI_ADDR_LEN]; /* empty: a socket */
	char *as, *capture;
	gboolean json;
};

static void request_clear(struct request *q)
{
	g_clear_pointer(&q->as, g_free);
	g_clear_pointer(&q->capture, g_free);
}

/* --- what must be true before it is opened --- */

static void tell_how_to_bind(const struct request *q, const char *driver)
{
	FILE *out = q->c->err;

	fprintf(out,
		"For the time of the probe, give it to vfio-pci, as root:\n"
		"  modprobe vfio-pci\n"
		"  echo vfio-pci > /sys/bus/pci/devices/%s/driver_override\n",
		q->addr);
	if (driver[0])
		fprintf(out, "  echo %s > /sys/bus/pci/devices/%s/driver/unbind\n", q->addr, q->addr);
	fprintf(out, "  echo %s > /sys/bus/pci/drivers_probe\n", q->addr);
	fprintf(out,
		"And afterwards back:\n"
		"  echo %s > /sys/bus/pci/drivers/vfio-pci/unbind\n"
		"  echo > /sys/bus/pci/devices/%s/driver_override\n"
		"  echo %s > /sys/bus/pci/drivers_probe\n",
		q->addr, q->addr, q->addr);
}

static int check_candidate(const struct request *q, const struct pci_candidate *hba, struct err *e)
{
	int r = q->c->ops->check_unused(q->c->sysfs_root, hba, e);

	if (r < 0)
		return r;
	if (strstr(hba->driver, "vfio"))
		return 0;
	if (hba->driver[0])
		return err_set(e, -ENXIO,
			"%s belongs to the kernel driver %s; a probe needs it at vfio-pci. None of its %u "
			"disks is in use",
			q->addr, hba->driver, hba->n_disks);
	return err_set(e, -ENXIO, "%s has no driver; a probe needs it at vfio-pci", q->addr);
}

static int check(const struct request *q)
{
	struct pci_candidate hba = {0};
	struct err e = {""};
	int r;

	if (!q->addr[0])
		return CTL_OK;
	r = q->c->ops->candidate_read(q->c->sysfs_root, q->addr, &hba, &e);
	if (r == 0)
		r = check_candidate(q, &hba, &e);
	if (r < 0)
		ctl_fail(q->c, "%s", e.text);
	if (r == -ENXIO)
		tell_how_to_bind(q, hba.driver);
	pci_candidate_free(&hba);
	return r < 0 ? CTL_FAILED : CTL_OK;
}

/* --- the probe --- */

static int open_device(const struct request *q, struct pci_dev **ret, struct err *e)
{
	int r = q->c->ops->pci_open(q->addr[0] ? q->addr : q->target, ret, e);

	if (r < 0 || !q->capture)
		return r;
	r = pci_capture(*ret, q->capture, ret, e);
	if (r < 0)
		pci_close(*ret);
	return r;
}

static int look(const struct request *q, struct probe *p)
{
	struct err e = {""};

	if (probe_config(p, &e) < 0)
		return ctl_fail(q->c, "%s", e.text);
	probe_match(p, q->c);
	if (q->as)
		p->family = probe_family_find(q->as);
	if (p->family)
		probe_registers(p);
	q->json ? probe_print_json(p, q->c->out) : probe_print(p, q->c->out);
	return p->problem[0] ? ctl_fail(q->c, "%s: %s", p->target, p->problem) : CTL_OK;
}

static int probe_it(const struct request *q)
{
	g_autofree struct probe *p = g_new0(struct probe, 1);
	struct err e = {""};
	int exit_code;

	p->target = q->target;
	if (open_device(q, &p->dev, &e) < 0)
		return ctl_fail(q->c, "%s", e.text);
	exit_code = look(q, p);
	pci_close(p->dev);
	return exit_code;
}

/* --- the command line --- */

static int check_words(struct request *q)
{
	g_autoptr(GString) names = g_string_new(NULL);
	struct err e = {""};

	if (!pci_uri_is_served(q->target) && pci_addr_parse(q->target, q->addr, &e) < 0)
		return ctl_usage(q->c, "probe", "probe: %s", e.text);
	if (!q->as || probe_family_find(q->as))
		return CTL_OK;
	for (const struct probe_family *f = probe_families; f->name; f++)
		g_string_append_printf(names, "%s%s", names->len ? ", " : "", f->name);
	return ctl_usage(q->c, "probe", "probe: --as takes %s; not '%s'", names->str, q->as);
}

static int run(struct ctl *c, int argc, char **argv)
{
	__attribute__((cleanup(request_clear))) struct request q = {.c = c};
	const GOptionEntry entries[] = {
		{"as", 0, 0, G_OPTION_ARG_STRING, &q.as,
			"Read the registers of this family, whatever the id: sas2108, sas3108, ame, virtio, "
			"...",
			"FAMILY"},
		{"capture", 0, 0, G_OPTION_ARG_FILENAME, &q.capture,
			"Write what is read into FILE, for hba-emu", "FILE"},
		{"json", 'j', 0, G_OPTION_ARG_NONE, &q.json, "Print JSON", NULL},
		G_OPTION_ENTRY_NULL,
	};
	const struct ctl_syntax syntax = {
		.command = "probe",
		.operand = "PCI-ADDRESS|vfio-user:PATH",
		.summary =
			"Looks at a controller that is bound to vfio-pci, or served on a socket: ids, BARs, "
			"capabilities,\nwhich driver of hbad would take it, and its status registers with "
			"their "
			"meaning. Nothing is\nstarted, reset or written, and the controller can reach no "
			"memory. "
			"See hbad-bringup(7).",
		.entries = entries,
	};
	int exit_code;

	if (ctl_parse(c, &syntax, argc, argv, &q.target, &exit_code) == CTL_PARSE_EXIT)
		return exit_code;
	exit_code = check_words(&q);
	if (exit_code == CTL_OK)
		exit_code = check(&q);
	return exit_code == CTL_OK ? probe_it(&q) : exit_code;
}

const struct ctl_command cmd_probe = {
	.name = "probe",
	.summary = "Look at a controller without starting it",
	.run = run,
};
