/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hbactl: gives HBAs to hbad, takes them back, and shows what hbad does with them. */
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <string.h>
#include "hbad/handoff.h"
#include "machine.h"

int main(int argc, char **argv)
{
	struct ctl c = {
		.ops = &machine_ops,
		.out = stdout,
		.err = stderr,
		.sysfs_root = "",
		.configfs = GUARD_CONFIGFS,
		.config_dir = CONFIG_DIR,
		.runtime_dir = HBAD_RUNTIME_DIR,
	};
	int exit_code;

	/* Character set of arguments; numbers stay in the C locale. */
	setlocale(LC_CTYPE, "");
	/* hbad may go away while we write to it. */
	signal(SIGPIPE, SIG_IGN);
	exit_code = ctl_main(&c, argc, argv);
	/* A full disk or a closed pipe behind "hbactl list > file" is a failure, too. */
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(stderr, "hbactl: the output could not be written: %s\n", strerror(errno));
		return exit_code == CTL_OK ? CTL_FAILED : exit_code;
	}
	return exit_code;
}
