/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Joins the model, a loop and a ring. */
#include "tests/unit/front/harness.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"

struct harness h;

static void *os_map(int fd, uint64_t len, uint64_t offset)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, h.m.memfd, (off_t)offset);

	return p == MAP_FAILED ? NULL : p;
}

static int os_ack(int fd)
{
	int ret;

	if (h.before_ack)
		h.before_ack();
	if (h.ack_fails)
		return h.ack_fails;
	ret = front_os_uio.ack(fd);
	if (ret == 0)
		model_acked(&h.m);
	return ret;
}

static int os_kick(int fd)
{
	if (h.kick_fails || h.m.removed)
		return h.kick_fails ? h.kick_fails : -EINVAL;
	model_completions(&h.m);
	if (h.after_kick)
		h.after_kick();
	return 0;
}

static uint64_t os_now(void)
{
	return h.now_ns;
}

const struct front_os harness_os = {.map = os_map, .ack = os_ack, .kick = os_kick, .now = os_now};

void harness_open(uint32_t cmdr_size, uint32_t blocks)
{
	memset(&h, 0, sizeof(h));
	h.now_ns = 1000000000;
	log_this_thread_is_io(); /* and nobody writes what it logs */
	fake_reset();
	model_init(&h.m, cmdr_size, blocks);
	must(loop_create(&h.loop) == 0);
}

void harness_create(void)
{
	const struct front_config cfg = {
		.uio_fd = h.m.event[0],
		.map_len = h.m.map_len,
		.loop = h.loop,
		.name = "test",
		.cmd_time_out_s = h.cmd_time_out_s,
	};
	struct err err = {0};

	if (front_create_os(&cfg, &harness_os, &h.r, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		abort();
	}
}

void harness_start(void)
{
	struct err err = {0};

	if (front_io_start(h.r, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		abort();
	}
}

void harness_setup(void)
{
	harness_open(HARNESS_RING_BYTES, HARNESS_BLOCKS);
	harness_create();
	harness_start();
}

void harness_setup_small(void)
{
	harness_open(4096 - MODEL_CMDR_OFF, 64);
	harness_create();
	harness_start();
}

void harness_close(void)
{
	if (h.r) {
		front_io_stop(h.r);
		front_put(h.r);
	}
	loop_destroy(h.loop);
	model_fini(&h.m);
}

void harness_spin(void)
{
	/* An event wakes once; its hooks run in the same iteration. Three are enough for what follows from it. */
	for (int i = 0; i < 3; i++)
		must(loop_once(h.loop, 0) == 0);
}

struct model_cmd *harness_queue(uint8_t opcode, uint32_t tag, enum model_dir dir, uint32_t len)
{
	struct model_cmd *c = model_cmd_new(opcode, tag, dir, len);

	must(model_queue(&h.m, c) == 0);
	return c;
}

bool harness_data_is(const struct model_cmd *c, uint32_t n, uint8_t v)
{
	for (uint32_t i = 0; i < c->len; i++)
		if (c->buf[i] != (i < n ? model_pattern(c->tag, i) : v))
			return false;
	return true;
}

struct front_stats harness_stats(void)
{
	struct front_stats st;

	front_get_stats(h.r, &st);
	return st;
}

const char *harness_dropped(void)
{
	const char *why = NULL;

	return front_dropped(h.r, &why) ? why : NULL;
}

uint8_t *harness_snapshot(void)
{
	uint8_t *copy = malloc(h.m.map_len);

	must(copy);
	memcpy(copy, h.m.map, h.m.map_len);
	return copy;
}

bool harness_sleeps(void)
{
	uint64_t t = clock_ns();

	loop_once(h.loop, 60);
	return clock_ns() - t >= 55 * NS_PER_MS;
}
