/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Options and the operand of a subcommand, by GOption, with our words and exit codes. */
#include "hbactl.h"

#include <stdarg.h>

int ctl_usage(struct ctl *c, const char *command, const char *fmt, ...)
{
	va_list ap;

	fputs("hbactl: ", c->err);
	va_start(ap, fmt);
	vfprintf(c->err, fmt, ap);
	va_end(ap);
	if (command)
		fprintf(c->err, "\nTry 'hbactl %s --help'.\n", command);
	else
		fputs("\nTry 'hbactl --help'.\n", c->err);
	return CTL_USAGE;
}

int ctl_check_name(struct ctl *c, const char *command, const char *name)
{
	struct err e = {""};

	if (config_check_name(name, &e) == 0)
		return CTL_OK;
	return ctl_usage(c, command, "%s", e.text);
}

static int check_operands(struct ctl *c, const struct ctl_syntax *s, int argc, char **argv)
{
	/* GOption leaves a "--" in place that it did not have to consume. */
	if (s->operand && argc < 2)
		return ctl_usage(c, s->command, "%s: %s is missing", s->command, s->operand);
	if (argc > (s->operand ? 2 : 1))
		return ctl_usage(c, s->command, "%s: '%s' is one argument too many", s->command,
			argv[s->operand ? 2 : 1]);
	return CTL_OK;
}

static char **without_dashes(int *argc, char **argv)
{
	int n = 0;
	bool seen = false;

	for (int i = 0; i < *argc; i++) {
		if (!seen && i > 0 && g_str_equal(argv[i], "--"))
			seen = true;
		else
			argv[n++] = argv[i];
	}
	argv[n] = NULL;
	*argc = n;
	return argv;
}

enum ctl_parse ctl_parse(struct ctl *c, const struct ctl_syntax *s, int argc, char **argv,
	const char **ret_operand, int *ret_exit)
{
	gboolean help = FALSE;
	const GOptionEntry common[] = {
		{"help", 'h', 0, G_OPTION_ARG_NONE, &help, "Print this help and leave", NULL},
		G_OPTION_ENTRY_NULL,
	};
	g_autofree char *prgname = g_strdup_printf("hbactl %s", s->command);
	g_autoptr(GOptionContext) ctx = g_option_context_new(s->operand);
	g_autoptr(GError) error = NULL;

	g_set_prgname(prgname);
	g_option_context_set_help_enabled(ctx, FALSE);
	g_option_context_set_summary(ctx, s->summary);
	if (s->entries)
		g_option_context_add_main_entries(ctx, s->entries, NULL);
	g_option_context_add_main_entries(ctx, common, NULL);
	if (!g_option_context_parse(ctx, &argc, &argv, &error)) {
		*ret_exit = ctl_usage(c, s->command, "%s: %s", s->command, error->message);
		return CTL_PARSE_EXIT;
	}
	if (help) {
		g_autofree char *text = g_option_context_get_help(ctx, TRUE, NULL);

		fputs(text, c->out);
		*ret_exit = CTL_OK;
		return CTL_PARSE_EXIT;
	}
	argv = without_dashes(&argc, argv);
	*ret_exit = check_operands(c, s, argc, argv);
	if (*ret_exit != CTL_OK)
		return CTL_PARSE_EXIT;
	if (ret_operand)
		*ret_operand = s->operand ? argv[1] : NULL;
	return CTL_PARSE_RUN;
}
