/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hbad: options, configuration, then hbad.c. */
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include "base/log.h"
#include "control/process.h"
#include "control/sizes.h"
#include "hbad.h"
#include "pci/pci.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct options {
	char *name, *config, *runtime_dir, *log_level, *capture;
	gboolean version;
	char **rest;
};

static int usage(const char *sentence)
{
	fprintf(stderr, "hbad: %s\nTry \"hbad --help\".\n", sentence);
	return EXIT_USAGE;
}

static int parse_options(int argc, char **argv, struct options *o)
{
	const GOptionEntry entries[] = {
		{"name", 'n', 0, G_OPTION_ARG_STRING, &o->name, "Instance to run (required)", "NAME"},
		{"config", 'c', 0, G_OPTION_ARG_FILENAME, &o->config,
			"Configuration file [" CONFIG_DIR "/NAME.conf]", "FILE"},
		{"runtime-dir", 0, 0, G_OPTION_ARG_FILENAME, &o->runtime_dir,
			"Sockets and lock go to DIR/NAME [" HBAD_RUNTIME_DIR "]", "DIR"},
		{"log-level", 'l', 0, G_OPTION_ARG_STRING, &o->log_level,
			"error, warning, info or debug [what the file says]", "LEVEL"},
		{"capture", 0, 0, G_OPTION_ARG_FILENAME, &o->capture,
			"Write all traffic with the controller into FILE [what the file says]", "FILE"},
		{"version", 'V', 0, G_OPTION_ARG_NONE, &o->version, "Print the version and leave", NULL},
		{G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_STRING_ARRAY, &o->rest, NULL, NULL},
		{NULL},
	};
	g_autoptr(GOptionContext) context =
		g_option_context_new("- own a SCSI HBA and serve its units to tcmu-runner");
	g_autoptr(GError) error = NULL;

	g_option_context_set_description(
		context, "See hbad(8). \"hbactl attach\" writes the configuration and starts hbad.");
	g_option_context_add_main_entries(context, entries, NULL);
	if (!g_option_context_parse(context, &argc, &argv, &error))
		return usage(error->message);
	return o->rest ? usage("there is one word too many") : EXIT_OK;
}

/* These outlive everything. */
static char path[256];
static char log_name[HANDOFF_NAME_MAX + sizeof("hbad@")];

/* What can be seen without a look at the machine is wrong usage. */
static int check_options(const struct options *o)
{
	enum log_level level;
	struct err e = {""};

	if (!o->name)
		return usage("which instance? Give --name");
	if (config_check_name(o->name, &e) || (o->log_level && config_parse_level(o->log_level, &level, &e)))
		return usage(e.text);
	return EXIT_OK;
}

static int configure(struct hbad *d, const struct options *o, struct err *e)
{
	int r;

	snprintf(log_name, sizeof(log_name), "hbad@%s", o->name);
	log_set_name(log_name);
	process_io_flusher(); /* before anything starts a thread */
	process_drop_capabilities();
	hbad_init(d, o->name, o->runtime_dir ? o->runtime_dir : HBAD_RUNTIME_DIR);
	hbad_take_over(d);
	d->state_dir = HBAD_STATE_DIR;
	config_path(NULL, o->name, path, sizeof(path));
	d->config_path = o->config ? o->config : path;
	r = config_load(d->config_path, &d->config, e);
	if (!r && o->log_level)
		r = config_parse_level(o->log_level, &d->config.log_level, e);
	if (r)
		return r;
	if (o->capture)
		r = config_set_capture(&d->config, o->capture, e);
	if (r)
		return r;
	log_set_level(d->config.log_level);
	/* A process that serves the device does its DMA through page tables: nothing has to be pinned for it. */
	if (pci_uri_is_served(d->config.device))
		return 0;
	return process_check_memlock(d->config.bounce_mib, config_count_threads(&d->config), e);
}

int main(int argc, char **argv)
{
	static struct hbad d;
	static struct options o; /* its strings are in use until the end */
	struct err e = {""};
	int r;

	setlocale(LC_CTYPE, ""); /* the character set of --help; numbers stay in the C locale */
	r = parse_options(argc, argv, &o);
	if (r)
		return r;
	if (o.version) {
		puts("hbad " HBAD_VERSION);
		return EXIT_OK;
	}
	r = check_options(&o);
	if (r)
		return r;
	r = configure(&d, &o, &e);
	if (!r)
		r = hbad_prepare(&d, &e);
	if (r) {
		log_err("%s", e.text);
		return EXIT_FAILED;
	}
	return hbad_run(&d);
}
