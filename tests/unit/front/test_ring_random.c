/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ring rule at random, against the model of the kernel's side. */
#include <string.h>

#include "tests/unit/front/ring_rig.h"
#include "tests/unit/run_suite.h"

/* ck_assert tells the parent process each time, which costs too much in loops like these. */
#define check(cond)                                                                                          \
	do {                                                                                                 \
		if (!(cond))                                                                                 \
			ck_abort_msg("%s", #cond);                                                           \
	} while (0)

#define STEPS	 200000
#define MOST_OUT 256

static struct {
	struct model_cmd *queued[MOST_OUT * 4];
	unsigned n_queued;
	uint16_t taken[MOST_OUT * 4];
	unsigned n_taken;
	unsigned total, tmrs, wraps;
} sim;

static void sim_queue(uint64_t *rng)
{
	static const uint8_t ops[] = {0x08, 0x28, 0xa8, 0x88, 0x7f, 0xc1, 0x00};
	static const uint32_t lens[] = {0, 512, 4096, 5000, 12288, 20480};
	uint8_t op = ops[model_rand(rng) % 7];
	uint32_t len = lens[model_rand(rng) % 6], was = model_head(&m);
	uint16_t ids[20];
	struct model_cmd *c;
	int ret;

	if (model_rand(rng) % 8 == 0) {
		uint32_t n = model_rand(rng) % 20;

		for (uint32_t i = 0; i < n; i++)
			ids[i] = (uint16_t)model_rand(rng);
		model_tmr(&m, 1, ids, n);
		sim.tmrs++;
		return;
	}
	c = model_cmd_new(op, sim.total, len ? MODEL_READ : MODEL_NONE, len);
	ret = model_rand(rng) % 4 ? model_queue(&m, c) : model_queue_scattered(&m, c);
	if (ret < 0) {
		model_cmd_free(c);
		return;
	}
	sim.total++;
	sim.wraps += model_head(&m) < was;
	sim.queued[sim.n_queued++] = c;
	check(sim.n_queued < MOST_OUT * 4);
}

static void sim_take(void)
{
	static struct iovec iov[RIG_IOVS];
	uint64_t bytes;
	uint32_t n;

	switch (ring_peek(&g, &e)) {
	case RING_EMPTY:
		break;
	case RING_CMD:
		check(ring_copy_iovs(&g, &e, iov, &n, &bytes) == 0);
		sim.taken[sim.n_taken++] = e.id;
		/* fall through */
	case RING_TMR:
		ring_advance(&g, &e);
		break;
	default:
		ck_abort_msg("%s", g.problem);
	}
}

static void sim_reply(uint64_t *rng)
{
	unsigned i;

	if (!sim.n_taken)
		return;
	i = model_rand(rng) % sim.n_taken;
	rig_reply(sim.taken[i]);
	sim.taken[i] = sim.taken[--sim.n_taken];
	check(model_unread_intact(&m, g.read)); /* a reply overwrote an unread entry */
}

static void sim_publish(void)
{
	int ret = ring_publish(&g);

	check(ret >= 0);
	if (ret)
		model_completions(&m);
	check(!m.broken); /* the kernel would call the ring broken */
	for (unsigned i = 0; i < sim.n_queued;) {
		struct model_cmd *c = sim.queued[i];

		check(c->answers <= 1);
		if (!c->answers) {
			i++;
			continue;
		}
		model_cmd_free(c);
		sim.queued[i] = sim.queued[--sim.n_queued];
	}
}

/* H18: random order against a model of the kernel. */
START_TEST(any_interleaving_keeps_the_kernels_rules)
{
	uint64_t rng = (uint64_t)_i + 1;
	/* how keen each side is changes, so that the ring is sometimes full and sometimes empty */
	unsigned keen = 0;

	rig_close();
	memset(&sim, 0, sizeof(sim));
	rig_open((_i + 1) * 4096 - MODEL_CMDR_OFF, RIG_BLOCKS * 4);
	for (unsigned i = 0; i < STEPS; i++) {
		if (i % 500 == 0)
			keen = model_rand(&rng) % 4;
		switch (model_rand(&rng) % 8) {
		case 0:
		case 1:
			sim_queue(&rng);
			break;
		case 2:
			sim_take();
			break;
		case 3:
			sim_reply(&rng);
			break;
		case 4:
			sim_publish();
			break;
		default:
			keen == 0   ? sim_queue(&rng)
			: keen == 1 ? sim_take()
			: keen == 2 ? sim_reply(&rng)
				    : sim_publish();
		}
	}
	/* and out */
	while (model_head(&m) != g.read)
		sim_take();
	while (sim.n_taken)
		sim_reply(&rng);
	sim_publish();
	ck_assert_uint_eq(sim.n_queued, 0);
	ck_assert_uint_eq(m.in_ring, 0);
	ck_assert_uint_eq(m.last_cleaned, model_head(&m));
	ck_assert_uint_eq(m.dirty_reserved, 0);
	ck_assert_uint_gt(sim.total, 20000);
	ck_assert_uint_gt(sim.wraps, 100);
	ck_assert_uint_gt(sim.tmrs, 1000);
}
END_TEST

/* Whatever the bytes: no access outside, no endless loop, positions sane. */
START_TEST(random_bytes_neither_crash_nor_hang)
{
	static struct iovec iov[RIG_IOVS];
	uint64_t rng = (uint64_t)_i * 7919 + 3;

	for (unsigned round = 0; round < 1000; round++) {
		uint32_t head = model_rand(&rng) % RIG_RING_BYTES & ~7u,
			 at = model_rand(&rng) % RIG_RING_BYTES & ~7u;
		unsigned looks = 0;
		enum ring_what what;

		model_set_position(&m, at);
		check(ring_start(&g, NULL) == 0);
		for (uint32_t i = 0; i < RIG_RING_BYTES; i += 4)
			rig_put32(i, 0, model_rand(&rng) % 3 ? model_rand(&rng) % 512 : model_rand(&rng) * 2);
		for (unsigned i = 0; i < 20; i++) /* some that get further than the header */
			rig_put32(model_rand(&rng) % RIG_RING_BYTES & ~7u, 0,
				(model_rand(&rng) % 400 & ~7u) | model_rand(&rng) % 3);
		rig_set_head(head);
		do {
			uint64_t bytes;
			uint32_t n;

			what = ring_peek(&g, &e);
			check(looks++ < RIG_RING_BYTES);
			check(g.read < RIG_RING_BYTES && g.read % 8 == 0);
			if (what == RING_CMD && e.count <= RIG_IOVS &&
				ring_copy_iovs(&g, &e, iov, &n, &bytes) == 0)
				for (uint32_t i = 0; i < n; i++)
					check((uint8_t *)iov[i].iov_base >= m.map + m.data_off &&
						(uint8_t *)iov[i].iov_base + iov[i].iov_len <=
							m.map + m.map_len);
			if (what == RING_TMR)
				for (uint32_t i = 0; i < e.count; i++)
					ring_tmr_id(&g, &e, i);
			if (what == RING_CMD || what == RING_TMR)
				ring_advance(&g, &e);
			if (what == RING_CMD && model_rand(&rng) % 2)
				ring_put_reply(&g, &(struct ring_reply){.id = e.id});
			if (model_rand(&rng) % 8 == 0) /* somebody writes while we look */
				rig_put32(model_rand(&rng) % RIG_RING_BYTES & ~7u, 0, model_rand(&rng) * 2);
		} while (what == RING_CMD || what == RING_TMR);
		ring_publish(&g);
		check(g.tail < RIG_RING_BYTES && g.tail % 8 == 0);
	}
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("front-ring-random");
	TCase *t = tcase_create("random");

	tcase_set_timeout(t, 60); /* for busy machines and sanitizers */
	tcase_add_checked_fixture(t, rig_setup, rig_close);
	tcase_add_loop_test(t, any_interleaving_keeps_the_kernels_rules, 0, 4);
	tcase_add_loop_test(t, random_bytes_neither_crash_nor_hang, 0, 8);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return run_suite(suite());
}
