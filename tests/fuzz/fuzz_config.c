/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What administrators write: the first byte chooses between the configuration file, a LUN's options, a whole
 * cfgstring and an instance's name; the rest is the text. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "control/config.h"
#include "fuzz.h"
#include "handler/cfgstring.c"
#include "scsi/scsi.h"

static void file(const uint8_t *data, size_t size)
{
	static int fd = -1;
	struct config c = {.queue_depth = 77};
	struct err e = {""};
	char path[40];
	int r;

	if (fd < 0)
		fd = memfd_create("fuzz-config", MFD_CLOEXEC);
	ck_assert(ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = config_load(path, &c, &e);
	if (r < 0) {
		ck_assert(e.text[0] && c.queue_depth == 77 && !c.device[0]);
		return;
	}
	ck_assert(c.device[0] && memchr(c.device, '\0', sizeof(c.device)));
	ck_assert_ptr_nonnull(memchr(c.kernel_driver, '\0', sizeof(c.kernel_driver)));
	ck_assert_uint_le(c.queue_depth, CONFIG_MAX_QUEUE_DEPTH);
	ck_assert(c.bounce_mib >= CONFIG_MIN_BOUNCE_MIB && c.bounce_mib <= CONFIG_MAX_BOUNCE_MIB);
	ck_assert_ptr_nonnull(config_level_name(c.log_level));
}

static void lun_options(const char *text)
{
	struct scsi_lun_config cfg = {.block_size = 77};
	struct err e = {""};
	int r = scsi_lun_parse(text, &cfg, &e);

	if (r < 0) {
		ck_assert(e.text[0] && cfg.block_size == 77);
		return;
	}
	ck_assert(cfg.unit[0] && memchr(cfg.unit, '\0', sizeof(cfg.unit)));
	for (unsigned i = 0; i < sizeof(cfg.vendor); i++)
		ck_assert_uint_le(cfg.vendor[i], 1 + DMA_FROM_DEVICE);
	/* What was taken for a unit's name is a name again. */
	ck_assert_int_eq(scsi_lun_parse(cfg.unit, &cfg, &e), 0);
}

static void whole(const char *text)
{
	struct cfgstring cfg;
	struct err e = {""};

	if (cfgstring_parse(text, &cfg, &e) < 0) {
		ck_assert(e.text[0]);
		return;
	}
	ck_assert_ptr_nonnull(memchr(cfg.text, '\0', sizeof(cfg.text)));
	/* The instance's name becomes part of a path. */
	ck_assert_int_eq(config_check_name(cfg.instance, &e), 0);
	ck_assert(cfgstring_same(text, cfg.text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	unsigned kind = take8(&in) % 4;
	struct err e = {""};
	char *text;

	if (kind == 0) {
		file(in.p, in.n);
		return 0;
	}
	text = calloc(1, in.n + 1);
	take(&in, text, in.n);
	if (kind == 1)
		lun_options(text);
	else if (kind == 2)
		whole(text);
	else if (config_check_name(text, &e) == 0)
		ck_assert(text[0] && !strchr(text, '/') && text[0] != '.');
	free(text);
	return 0;
}
