/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Captures, which come from other people's machines. The first byte says whether one that was cut off is taken, and how
 * the driver behaves that it is then played to; the rest is the file. */
#include <stdio.h>
#include <stdlib.h>
#include "base/log.h"
#include "emu/replay_file.h"
#include "fuzz.h"

/* The model as it is, but for where its file comes from. */
#include "emu/replay.c"

static int h_write(struct emu_bus *b, uint64_t addr, const void *buf, uint32_t len)
{
	uint8_t sum = 0;

	for (uint32_t i = 0; i < len; i++)
		sum ^= ((const uint8_t *)buf)[i];
	return sum == 77 ? -EFAULT : 0;
}
static void h_message(struct emu_bus *b, unsigned vector)
{
}
static void h_line(struct emu_bus *b, bool level)
{
}

/* Does what the captured driver did, but for what the lots say. */
static void drive(struct ctrl *c, uint32_t lots)
{
	for (uint32_t i = 0; i < replay.file.n && i < 2000; i++) {
		const struct replay_rec *r = &replay.file.rec[i];

		lots = lots * 1664525 + 1013904223;
		if (!is_access(r) || lots >> 28 == 0)
			continue;
		bar_access(c, CAPTURE_BAR(r->arg), r->off, CAPTURE_WIDTH(r->arg), r->type == CAPTURE_WRITE,
			lots >> 28 == 1 ? lots : r->value);
		if (lots >> 24 & 1)
			work(c);
	}
}

static void play(uint32_t lots)
{
	static const struct emu_bus_ops ops = {.write = h_write, .message = h_message, .line = h_line};
	static uint8_t cfg[PCIFN_CFG_SIZE], writable[PCIFN_CFG_SIZE];
	struct emu_stats stats = {0};
	struct emu_bus bus = {&ops, &stats};
	struct model_env env = {.bus = &bus, .stats = &stats};
	struct model_pci pci = {0};
	struct ctrl *c = NULL;
	char text[768];

	describe_bars(&pci, &replay.file.h);
	describe_msix(&pci, &replay.file.h);
	config(NULL, cfg, writable);
	ck_assert_int_eq(create(&env, &c, NULL), 0);
	drive(c, lots);
	describe(c, text, sizeof(text));
	ck_assert(!strchr(text, '\n'));
	destroy(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	uint8_t how = take8(&in);
	uint8_t *bytes = malloc(in.n ? in.n : 1);
	size_t n = in.n;
	struct err e = {""};
	FILE *out;

	log_set_level(LOG_LV_ERR);
	take(&in, bytes, n);
	if (replay_file_parse("input", bytes, n, how & 1, &replay.file, &e) < 0) {
		ck_assert(e.text[0]);
		return 0;
	}
	for (uint32_t i = 0; i < replay.file.n; i++)
		ck_assert_uint_eq(replay.file.rec[i].seq, i);
	out = fopen("/dev/null", "w");
	replay_dump(&replay.file, out);
	fclose(out);
	play(how);
	replay_close();
	return 0;
}
