/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Runs a fuzzer over kept inputs, files or folders of them: what once was found is looked for in every test run. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include "fuzz.h"

#define INPUT_MAX (1 << 20)

static uint8_t buf[INPUT_MAX];

/* A copy of its own size, so that a byte read too far is seen. */
static bool replay_file(const char *path)
{
	FILE *f = fopen(path, "r");
	size_t n;
	uint8_t *data;

	if (!f)
		return false;
	n = fread(buf, 1, sizeof(buf), f);
	fclose(f);
	data = malloc(n ? n : 1);
	if (!data)
		return false;
	memcpy(data, buf, n);
	LLVMFuzzerTestOneInput(data, n);
	free(data);
	return true;
}

static int replay_folder(const char *path)
{
	struct dirent **entry;
	int n = scandir(path, &entry, NULL, alphasort), done = 0;
	char file[4096];

	for (int i = 0; i < n; i++) {
		snprintf(file, sizeof(file), "%s/%s", path, entry[i]->d_name);
		if (entry[i]->d_name[0] != '.')
			done += replay_file(file);
		free(entry[i]);
	}
	if (n >= 0)
		free(entry);
	return n < 0 ? replay_file(path) : done;
}

int main(int argc, char **argv)
{
	int done = 0;

	for (int i = 1; i < argc; i++)
		done += replay_folder(argv[i]);
	printf("%d inputs\n", done);
	return done ? 0 : 1;
}
