/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which I/O thread gets which LUN, and when. */
#include "client.h"
#include "control/place.h"
#include "tests/unit/run_suite.h"

static struct placement p;
static unsigned load[HBA_MAX_LANES];
static bool apart;

static unsigned place(const char *naa, bool copies)
{
	unsigned lane = place_unit(&p, naa, copies, load, &apart);

	load[lane]++;
	return lane;
}

/* --- units --- */

static void setup_table(void)
{
	memset(&p, 0, sizeof(p));
	memset(load, 0, sizeof(load));
	p.n_lanes = 3;
}

START_TEST(units_go_where_there_are_fewest)
{
	ck_assert_uint_eq(place("naa.1", false), 0);
	ck_assert_uint_eq(place("naa.2", false), 1);
	ck_assert_uint_eq(place("naa.3", false), 2);
	ck_assert_uint_eq(place("naa.4", false), 0);
	load[1]--; /* the second one's LUN is deleted */
	ck_assert_uint_eq(place("naa.5", false), 1);
}
END_TEST

START_TEST(a_unit_stays_where_it_was)
{
	ck_assert_uint_eq(place("naa.1", false), 0);
	ck_assert_uint_eq(place("naa.2", false), 1);
	memset(load, 0, sizeof(load));
	load[1] = 7;
	ck_assert_uint_eq(place("naa.2", false), 1);
	ck_assert_uint_eq(place("naa.1", false), 0);
}
END_TEST

START_TEST(units_that_copy_share_one)
{
	ck_assert_uint_eq(place("naa.1", false), 0);
	ck_assert_uint_eq(place("naa.2", true), 1);
	ck_assert_uint_eq(place("naa.3", false), 2);
	ck_assert_uint_eq(place("naa.4", true), 1);
	ck_assert(!apart);
	/* This one is in the way of that, but what is known of it is elsewhere. */
	ck_assert_uint_eq(place("naa.1", true), 0);
	ck_assert(apart);
	ck_assert_uint_eq(place("naa.1", false), 0);
	ck_assert(!apart);
}
END_TEST

START_TEST(one_that_is_not_remembered_always_goes_to_the_first)
{
	char naa[40];

	for (unsigned i = 0; i < ARRAY_SIZE(p.unit); i++) {
		snprintf(naa, sizeof(naa), "naa.%u", i);
		ck_assert_uint_eq(place(naa, false), i % 3);
	}
	for (unsigned i = 0; i < 3; i++)
		ck_assert_uint_eq(place("naa.new", false), 0);
	ck_assert_uint_eq(place("naa.1", false), 1);
}
END_TEST

/* --- LUNs --- */

static struct io io;

static void setup_luns(void)
{
	service_start();
	io = fake_io;
	io.n_loops = 3;
	luns_init(&luns, "g2", fake_host(), &io);
	luns.state = HANDOFF_BOOTING;
	fake.lanes = 3;
	fake_calls();
}

static void attached(void)
{
	luns_attached(&luns);
	luns.state = HANDOFF_READY;
}

START_TEST(luns_are_distributed_when_the_lanes_are_known)
{
	int fd = client_connect();

	client_hello(fd, 7);
	client_serve(fd, "a", "hba/g2/ld0", 7);
	client_serve(fd, "b", "hba/g2/naa.60a1", 7);
	ck_assert_uint_eq(fake_ring(0)->lun->lane, SCSI_UNSETTLED);
	luns_tick(&luns);
	ck_assert_str_eq(fake_calls(), "lun ld0, create a, start a, lun naa.60a1, create b, start b");
	attached();
	ck_assert_str_eq(fake_calls(), "settle a, settle b");
	ck_assert_uint_eq(fake_ring(0)->lun->lane, 0);
	ck_assert_uint_eq(fake_ring(1)->lun->lane, 1);
	/* Once. */
	luns_tick(&luns);
	attached();
	ck_assert_str_eq(fake_calls(), "");
	close(fd);
}
END_TEST

/* Also by another name, and while nobody knows which unit that is. */
START_TEST(a_unit_comes_back_to_its_lane)
{
	int fd = client_connect();
	uint64_t b;

	attached();
	client_hello(fd, 7);
	client_serve(fd, "a", "hba/g2/ld0", 7);
	b = client_serve(fd, "b", "hba/g2/ld1", 7);
	ck_assert_uint_eq(fake_ring(1)->lun->lane, 1);
	ck_assert_int_eq(client_handle(fd, HANDOFF_CLOSE, b).head.status, 0);
	b = client_serve(fd, "b", "hba/g2/naa.60a1", 7);
	ck_assert_uint_eq(fake_ring(2)->lun->lane, 1);
	ck_assert_int_eq(client_handle(fd, HANDOFF_CLOSE, b).head.status, 0);
	luns.attached = false;
	luns.state = HANDOFF_BOOTING;
	client_serve(fd, "b", "hba/g2/ld1", 7);
	ck_assert_uint_eq(fake_ring(3)->lun->lane, SCSI_UNSETTLED);
	attached();
	ck_assert_uint_eq(fake_ring(3)->lun->lane, 1);
	close(fd);
}
END_TEST

START_TEST(a_lun_without_a_unit_waits_for_one)
{
	int fd = client_connect();

	client_hello(fd, 7);
	client_serve(fd, "a", "hba/g2/ld9", 7);
	client_serve(fd, "b", "hba/g2/pd8", 7);
	attached();
	ck_assert_uint_eq(fake_ring(0)->lun->lane, SCSI_UNSETTLED);
	ck_assert_uint_eq(fake_ring(1)->lun->lane, SCSI_UNSETTLED);
	ck_assert_ptr_null(strstr(fake_calls(), "settle"));
	close(fd);
}
END_TEST

START_TEST(a_lun_that_does_not_fit_is_not_placed)
{
	int fd = client_connect();

	client_hello(fd, 7);
	client_serve(fd, "a", "hba/g2/ld0", 7);
	fake.check = -EINVAL;
	attached();
	luns_tick(&luns);
	ck_assert_uint_eq(fake_ring(0)->lun->lane, SCSI_UNSETTLED);
	fake.check = 0;
	luns_tick(&luns);
	ck_assert_uint_eq(fake_ring(0)->lun->lane, 0);
	close(fd);
}
END_TEST

/* This one waits for it once, not for each of its LUNs. */
START_TEST(a_thread_that_is_slow_gets_its_lun_later)
{
	int fd = client_connect();
	uint64_t a;

	client_hello(fd, 7);
	a = client_serve(fd, "a", "hba/g2/ld0", 7);
	client_serve(fd, "b", "hba/g2/ld1", 7);
	fake_calls();
	fake.settle = -ETIMEDOUT;
	attached();
	luns_tick(&luns);
	ck_assert_str_eq(fake_calls(), "settle a, settle a");
	/* Nobody knows where it is: a new size would get lost. */
	ck_assert_int_eq(client_resize(fd, a, 1000).head.status, -EAGAIN);
	ck_assert_str_eq(fake_calls(), "");
	fake.settle = 0;
	luns_tick(&luns);
	luns_tick(&luns);
	ck_assert_str_eq(fake_calls(), "settle a, settle b");
	ck_assert_uint_eq(fake_ring(0)->lun->lane, 0);
	ck_assert_int_ne(client_resize(fd, a, 1000).head.status, -EAGAIN);
	close(fd);
}
END_TEST

/* An earlier call has come to its end by itself, and now there would be another choice. */
START_TEST(a_lun_is_where_its_ring_says)
{
	int fd = client_connect();
	const struct lun *lun;

	client_hello(fd, 7);
	client_serve(fd, "a", "hba/g2/ld0", 7);
	fake_ring(0)->lun->lane = 2;
	attached();
	lun = container_of(luns.all.next, struct lun, link);
	ck_assert(lun->settled);
	ck_assert_uint_eq(lun->lane, 2);
	close(fd);
}
END_TEST

START_TEST(no_lun_goes_anywhere_when_the_threads_have_ended)
{
	int fd = client_connect();

	client_hello(fd, 7);
	client_serve(fd, "a", "hba/g2/ld0", 7);
	fake_calls();
	luns.loop_gone = true;
	attached();
	luns_tick(&luns);
	ck_assert_str_eq(fake_calls(), "");
	luns.loop_gone = false;
	close(fd);
}
END_TEST

START_TEST(a_controller_with_one_queue_has_all_on_one_thread)
{
	int fd = client_connect();

	fake.lanes = 1;
	client_hello(fd, 7);
	client_serve(fd, "a", "hba/g2/ld0", 7);
	attached();
	client_serve(fd, "b", "hba/g2/ld1", 7);
	ck_assert_uint_eq(fake_ring(0)->lun->lane, 0);
	ck_assert_uint_eq(fake_ring(1)->lun->lane, 0);
	close(fd);
}
END_TEST

/* As it was before there could be several. */
START_TEST(one_thread_has_nothing_to_distribute)
{
	int fd = client_connect();

	luns_init(&luns, "g2", fake_host(), &fake_io);
	luns.state = HANDOFF_BOOTING;
	client_hello(fd, 7);
	client_serve(fd, "a", "hba/g2/ld0", 7);
	ck_assert_uint_eq(fake_ring(0)->lun->lane, 0);
	attached();
	ck_assert_ptr_null(strstr(fake_calls(), "settle"));
	close(fd);
}
END_TEST

START_TEST(luns_that_copy_share_a_thread)
{
	int fd = client_connect();

	attached();
	client_hello(fd, 7);
	client_serve(fd, "a", "hba/g2/ld0;allow=copy", 7);
	client_serve(fd, "b", "hba/g2/ld1;allow=copy", 7);
	ck_assert_uint_eq(fake_ring(0)->lun->lane, fake_ring(1)->lun->lane);
	close(fd);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("placement");
	TCase *t = tcase_create("units");

	tcase_add_checked_fixture(t, setup_table, NULL);
	tcase_add_test(t, units_go_where_there_are_fewest);
	tcase_add_test(t, a_unit_stays_where_it_was);
	tcase_add_test(t, units_that_copy_share_one);
	tcase_add_test(t, one_that_is_not_remembered_always_goes_to_the_first);
	suite_add_tcase(s, t);
	t = tcase_create("LUNs");
	tcase_add_checked_fixture(t, setup_luns, service_stop);
	tcase_add_test(t, luns_are_distributed_when_the_lanes_are_known);
	tcase_add_test(t, a_unit_comes_back_to_its_lane);
	tcase_add_test(t, a_lun_without_a_unit_waits_for_one);
	tcase_add_test(t, a_lun_that_does_not_fit_is_not_placed);
	tcase_add_test(t, a_thread_that_is_slow_gets_its_lun_later);
	tcase_add_test(t, a_lun_is_where_its_ring_says);
	tcase_add_test(t, no_lun_goes_anywhere_when_the_threads_have_ended);
	tcase_add_test(t, a_controller_with_one_queue_has_all_on_one_thread);
	tcase_add_test(t, one_thread_has_nothing_to_distribute);
	tcase_add_test(t, luns_that_copy_share_a_thread);
	suite_add_tcase(s, t);
	return run_suite(s);
}
