/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Runs while hbad is built: writes the manual page to the file named. */
#include <stdlib.h>
#include "manual.h"

int main(int argc, char **argv)
{
	FILE *f = argc == 2 ? fopen(argv[1], "w") : NULL;

	if (!f || manual_write(f) < 0 || fclose(f) != 0) {
		fprintf(stderr, "%s: cannot write the manual page to %s\n", argv[0],
			argc == 2 ? argv[1] : "FILE");
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
