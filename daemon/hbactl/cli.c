/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command table: dispatch, general help, suggestions. */
#include "hbactl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include "base/cleanup.h"
#include "table.h"

#define UNBIND_WAIT_S	  60
#define UNBIND_ANY_WAIT_S 15 /* when no driver had it, perhaps none wants it */

const struct ctl_command *const ctl_commands[] = {
	&cmd_candidates,
	&cmd_attach,
	&cmd_detach,
	&cmd_list,
	&cmd_show,
	&cmd_units,
	&cmd_rescan,
	&cmd_monitor,
	&cmd_upgrade,
	&cmd_probe,
	&cmd_bind,
	&cmd_guard,
	NULL,
};

/* Sentences may quote firmware: nothing in them reaches the terminal as a control sequence. */
static void vsay(struct ctl *c, const char *before, const char *fmt, va_list ap)
{
	g_autofree char *text = g_strdup_vprintf(fmt, ap);
	g_autofree char *clean = table_clean(text);

	fflush(c->out); /* what was printed before comes before, in a log of both as well */
	fprintf(c->err, "hbactl: %s%s\n", before, clean);
}

int ctl_fail(struct ctl *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsay(c, "", fmt, ap);
	va_end(ap);
	return CTL_FAILED;
}

void ctl_warn(struct ctl *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsay(c, "warning: ", fmt, ap);
	va_end(ap);
}

int ctl_need_root(struct ctl *c, const char *command)
{
	if (c->ops->privileged())
		return CTL_OK;
	return ctl_fail(c, "%s changes devices and units of this machine: run it as root", command);
}

int ctl_lock(struct ctl *c, struct err *e)
{
	hb_autoclose int fd = -1;

	if (mkdir(c->config_dir, 0755) < 0 && errno != EEXIST)
		return err_set(e, -errno, "cannot make %s: %s", c->config_dir, strerror(errno));
	fd = open(c->config_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_set(e, -errno, "cannot open %s: %s", c->config_dir, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return err_set(
			e, -errno, "another hbactl attach or detach is running: wait until it is done");
	return TAKE_FD(fd);
}

int ctl_unbind(struct ctl *c, const char *addr, const char *driver, struct err *e)
{
	struct pci_candidate now = {0};
	bool is_free;
	int r = c->ops->unbind(c->sysfs_root, addr, driver, driver[0] ? UNBIND_WAIT_S : UNBIND_ANY_WAIT_S, e);

	if (r != -ETIMEDOUT || driver[0])
		return r;
	is_free = c->ops->candidate_read(c->sysfs_root, addr, &now, NULL) == 0 && !now.driver[0];
	pci_candidate_free(&now);
	return is_free ? 0 : r;
}

const struct ctl_command *ctl_find(const char *name)
{
	for (const struct ctl_command *const *cmd = ctl_commands; *cmd; cmd++)
		if (strcmp((*cmd)->name, name) == 0)
			return *cmd;
	return NULL;
}

static void print_commands(struct ctl *c, bool for_unit)
{
	for (const struct ctl_command *const *cmd = ctl_commands; *cmd; cmd++)
		if ((*cmd)->for_unit == for_unit)
			fprintf(c->out, "  %-12s %s\n", (*cmd)->name, (*cmd)->summary);
}

static int general_help(struct ctl *c)
{
	fputs("Usage:\n"
	      "  hbactl COMMAND [OPTION...] [ARGUMENT]\n\n"
	      "Gives SCSI HBAs to hbad, which exports their units through Linux-IO, and takes them back.\n\n"
	      "Commands:\n",
		c->out);
	print_commands(c, false);
	fputs("\nFor the unit hbad@.service:\n", c->out);
	print_commands(c, true);
	fputs("\nOptions:\n"
	      "  -h, --help   Print this help and leave; after a command: that command's help\n"
	      "  --version    Print the version and leave\n\n"
	      "Exit status: 0 done, 1 failed, 2 wrong usage. See hbactl(1).\n",
		c->out);
	return CTL_OK;
}

static int unknown_command(struct ctl *c, const char *typed)
{
	const char *names[ARRAY_SIZE(ctl_commands)];
	const char *guess;
	unsigned n = 0;

	for (const struct ctl_command *const *cmd = ctl_commands; *cmd; cmd++)
		names[n++] = (*cmd)->name;
	names[n] = NULL;
	guess = ctl_suggest(typed, names);
	if (guess)
		return ctl_usage(c, NULL, "there is no command '%s'; did you mean '%s'?", typed, guess);
	return ctl_usage(c, NULL, "there is no command '%s'", typed);
}

/* "hbactl help COMMAND" is what people try next. */
static int help_about(struct ctl *c, const char *name)
{
	const struct ctl_command *cmd = ctl_find(name);
	char help[] = "--help";
	char *argv[] = {(char *)name, help, NULL};

	return cmd ? cmd->run(c, 2, argv) : unknown_command(c, name);
}

int ctl_main(struct ctl *c, int argc, char **argv)
{
	const struct ctl_command *cmd;
	const char *word;

	if (argc < 2)
		return ctl_usage(c, NULL, "which command?");
	word = argv[1];
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
		return general_help(c);
	if (strcmp(word, "help") == 0)
		return argc > 2 ? help_about(c, argv[2]) : general_help(c);
	if (strcmp(word, "--version") == 0) {
		fprintf(c->out, "hbactl %s\n", HBAD_VERSION);
		return CTL_OK;
	}
	if (word[0] == '-')
		return ctl_usage(c, NULL, "there is no option '%s'", word);
	cmd = ctl_find(word);
	return cmd ? cmd->run(c, argc - 1, argv + 1) : unknown_command(c, word);
}
