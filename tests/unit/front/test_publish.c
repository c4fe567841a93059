/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The moment between looking at the mailbox and storing the tail, which no test from outside can hit (hazard H1). */
#include <check.h>
#include <stdlib.h>
#include <unistd.h>
#include "daemon/front/ring.c"
#include "tests/unit/front/tcmu_model.h"

static struct model m;
static struct ring g;

static void take_and_reply(struct model_cmd *c)
{
	struct ring_entry e;

	ck_assert_int_eq(model_queue(&m, c), 0);
	ck_assert_int_eq(ring_peek(&g, &e), RING_CMD);
	ring_advance(&g, &e);
	ck_assert_int_eq(ring_put_reply(&g, &(struct ring_reply){.id = e.id}), 0);
}

/* A tail that survived the reset would make the kernel take requests from 0 on for replies. */
START_TEST(a_reset_after_the_look_leaves_the_kernels_tail)
{
	struct model_cmd *c[2];
	uint32_t head;

	model_init(&m, (1U << 16) - MODEL_CMDR_OFF, 64);
	ck_assert_int_eq(ring_attach(&g, m.map, m.map_len, NULL), 0);
	ck_assert_int_eq(ring_start(&g, NULL), 0);
	for (unsigned i = 0; i < 2; i++) {
		c[i] = model_cmd_new(0x00, i, MODEL_NONE, 0);
		take_and_reply(c[i]);
		if (i == 0)
			ck_assert_int_eq(ring_publish(&g), 1);
	}
	ck_assert(look(&g, &head));
	model_reset_ring(&m);
	ck_assert(!store_tail(&g));
	ck_assert_uint_eq(load_tail(&g), 0);
	ck_assert_int_eq(ring_publish(&g), -ESTALE);
	for (unsigned i = 0; i < 2; i++)
		model_cmd_free(c[i]);
	close(m.event[0]);
	model_fini(&m);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("front-publish");
	TCase *tc = tcase_create("publish");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_test(tc, a_reset_after_the_look_leaves_the_kernels_tail);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
