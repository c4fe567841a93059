/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The hand-off service over a real socket: every request, wrong orders, lost connections, new tcmu-runners. */
#include <stdlib.h>
#include "client.h"

/* --- one LUN's life --- */

START_TEST(open_start_close_in_order)
{
	int fd = client_connect();
	uint64_t handle;

	ck_assert_int_eq(client_hello(fd, 1).head.status, 0);
	ck_assert_str_eq(handoff_service_peer(service), "0.1.0");
	handle = client_open(fd, "a", "hba/g2/ld0;ro=1", 1).handle;
	ck_assert_str_eq(fake_calls(), "lun ld0, create a");
	ck_assert(!fake_ring(0)->started);
	ck_assert_uint_eq(fake_ring(0)->map_len, 1 << 20);
	ck_assert_uint_eq(fake_ring(0)->map_offset, 4096);
	ck_assert(fake_ring(0)->lun->cfg.ro);
	ck_assert_uint_eq(fake_ring(0)->lun->cfg.blocks, 2048);
	ck_assert_uint_eq(fake_ring(0)->lun->cfg.block_size, 512);
	ck_assert_int_eq(client_handle(fd, HANDOFF_START, handle).head.status, 0);
	ck_assert_str_eq(fake_calls(), "start a");
	ck_assert_int_eq(client_handle(fd, HANDOFF_CLOSE, handle).head.status, 0);
	ck_assert_str_eq(fake_calls(), "stop a, destroy a, unlun ld0");
	ck_assert(list_empty(&luns.all));
	close(fd);
}
END_TEST

START_TEST(started_lun_outlives_its_connection)
{
	int fd = client_connect();

	client_serve(fd, "a", "hba/g2/ld0", 1);
	close(fd);
	fake_calls();
	pump(-1, 50);
	ck_assert_str_eq(fake_calls(), "");
	ck_assert_int_eq(luns_find(&luns, luns.last_handle)->state, LUN_SERVING);
}
END_TEST

/* H5: a runner that dies within open(): hbad unmaps. */
START_TEST(connection_that_ends_between_open_and_start_undoes_the_open)
{
	int fd = client_connect(), other = client_connect();

	client_serve(other, "b", "hba/g2/ld1", 1);
	ck_assert_int_eq(client_open(fd, "a", "hba/g2/ld0", 1).head.status, 0);
	fake_calls();
	close(fd);
	pump(-1, 50);
	ck_assert_str_eq(fake_calls(), "stop a, destroy a, unlun ld0");
	ck_assert_int_eq(client_open(other, "a", "hba/g2/ld0", 1).head.status, 0);
	close(other);
}
END_TEST

START_TEST(failed_start_lets_go_before_it_is_answered)
{
	int fd = client_connect();
	uint64_t handle = client_open(fd, "a", "hba/g2/ld0", 1).handle;
	struct handoff_reply r;

	fake_calls();
	fake.start = -EIO;
	r = client_handle(fd, HANDOFF_START, handle);
	ck_assert_int_eq(r.head.status, -EIO);
	SPEAKS(r, "makes no sense");
	ck_assert_str_eq(fake_calls(), "start a, stop a, destroy a, unlun ld0");
	ck_assert_int_eq(client_handle(fd, HANDOFF_CLOSE, handle).head.status, -ENOENT);
	close(fd);
}
END_TEST

START_TEST(failed_open_leaves_nothing)
{
	int fd = client_connect();
	unsigned fds = open_fds();
	struct handoff_reply r;

	fake.create_ring = -EAGAIN;
	r = client_open(fd, "a", "hba/g2/ld0", 1);
	ck_assert_int_eq(r.head.status, -EAGAIN);
	SPEAKS(r, "the ring cannot be mapped");
	ck_assert_uint_eq(r.handle, 0);
	ck_assert_str_eq(fake_calls(), "lun ld0, unlun ld0");
	fake.create_ring = 0;
	fake.create_lun = -ENOMEM;
	ck_assert_int_eq(client_open(fd, "a", "hba/g2/ld0", 1).head.status, -ENOMEM);
	ck_assert_str_eq(fake_calls(), "");
	ck_assert(list_empty(&luns.all));
	pump(-1, 20);
	ck_assert_uint_eq(open_fds(), fds + 1); /* the accepted end of fd */
	close(fd);
}
END_TEST

/* --- wrong orders --- */

START_TEST(unknown_handles_are_refused)
{
	int fd = client_connect();

	ck_assert_int_eq(client_handle(fd, HANDOFF_START, 0).head.status, -ENOENT);
	ck_assert_int_eq(client_handle(fd, HANDOFF_START, 77).head.status, -ENOENT);
	ck_assert_int_eq(client_handle(fd, HANDOFF_CLOSE, 77).head.status, -ENOENT);
	ck_assert_str_eq(fake_calls(), "");
	close(fd);
}
END_TEST

START_TEST(second_start_and_second_close_are_refused)
{
	int fd = client_connect();
	uint64_t handle = client_serve(fd, "a", "hba/g2/ld0", 1);

	fake_calls();
	ck_assert_int_eq(client_handle(fd, HANDOFF_START, handle).head.status, -EALREADY);
	ck_assert_str_eq(fake_calls(), "");
	ck_assert_int_eq(client_handle(fd, HANDOFF_CLOSE, handle).head.status, 0);
	ck_assert_int_eq(client_handle(fd, HANDOFF_CLOSE, handle).head.status, -ENOENT);
	ck_assert_int_eq(client_handle(fd, HANDOFF_START, handle).head.status, -ENOENT);
	close(fd);
}
END_TEST

START_TEST(start_belongs_to_the_connection_of_its_open)
{
	int fd = client_connect(), other = client_connect();
	uint64_t handle = client_open(fd, "a", "hba/g2/ld0", 1).handle;

	ck_assert_int_eq(client_handle(other, HANDOFF_START, handle).head.status, -EPROTO);
	ck_assert(!fake_ring(0)->started);
	ck_assert_int_eq(client_handle(fd, HANDOFF_START, handle).head.status, 0);
	ck_assert_int_eq(client_handle(other, HANDOFF_CLOSE, handle).head.status, 0);
	close(fd);
	close(other);
}
END_TEST

START_TEST(handles_are_not_used_twice)
{
	int fd = client_connect();
	uint64_t first = client_serve(fd, "a", "hba/g2/ld0", 1);

	client_handle(fd, HANDOFF_CLOSE, first);
	ck_assert_uint_ne(client_serve(fd, "a", "hba/g2/ld0", 1), first);
	close(fd);
}
END_TEST

/* --- what is checked --- */

static const struct {
	const char *cfgstring;
	int status;
	const char *words;
} checks[] = {
	{"hba/g2/ld0", 0, ""},
	{"hba/g2/naa.60a1;ro=1", 0, ""},
	{"hba/g2/ld9", -ENOENT, "there are ld0, ld1"},
	{"hba/g2/pd8", -EMEDIUMTYPE, "is a tape"},
	{"hba/g2/", -EINVAL, "no unit"},
	{"hba/g2", -EINVAL, "write hba/g2/UNIT"},
	{"hba/g22/ld0", -EINVAL, "write hba/g2/UNIT"},
	{"rbd/g2/ld0", -EINVAL, "write hba/g2/UNIT"},
	{"", -EINVAL, "write hba/g2/UNIT"},
};

START_TEST(check_judges_the_configuration_string)
{
	int fd = client_connect();
	struct handoff_reply r = client_check(fd, checks[_i].cfgstring);

	ck_assert_int_eq(r.head.status, checks[_i].status);
	SPEAKS(r, checks[_i].words);
	ck_assert_uint_eq(r.state, HANDOFF_READY);
	ck_assert_str_eq(fake_calls(), "");
	close(fd);
}
END_TEST

START_TEST(open_with_missing_parts_is_refused)
{
	int fd = client_connect();
	struct handoff_open m = open_msg("a", "hba/g2/ld0", 1);

	m.map_len = 0;
	ck_assert_int_eq(client_send_open(fd, &m).head.status, -EINVAL);
	m = open_msg("", "hba/g2/ld0", 1);
	ck_assert_int_eq(client_send_open(fd, &m).head.status, -EINVAL);
	m = open_msg("a", "hba/g2/ld0", 1);
	m.blocks = 0;
	ck_assert_int_eq(client_send_open(fd, &m).head.status, -EINVAL);
	m = open_msg("a", "hba/g2/ld0", 1);
	m.block_size = 0;
	ck_assert_int_eq(client_send_open(fd, &m).head.status, -EINVAL);
	m = open_msg("a", "hba/g1/ld0", 1);
	ck_assert_int_eq(client_send_open(fd, &m).head.status, -EINVAL);
	ck_assert_str_eq(fake_calls(), "");
	close(fd);
}
END_TEST

/* H2: what may have been given up by the kernel is known by its age only. A handler of an earlier release says nothing of it. */
START_TEST(the_kernels_time_out_bounds_the_age_of_commands)
{
	int fd = client_connect(), uio = memfd_create("uio", MFD_CLOEXEC);
	struct handoff_open m = open_msg("a", "hba/g2/ld0", 1);

	m.cmd_time_out = 30;
	ck_assert_int_eq(client_send_open(fd, &m).head.status, 0);
	ck_assert_uint_eq(fake_ring(0)->cmd_time_out_s, 30);
	m = open_msg("b", "hba/g2/ld1", 1);
	m.blocks = 10;
	m.block_size = 4096;
	m.head.size = offsetof(struct handoff_open, cmd_time_out);
	client_send(fd, &m, m.head.size, uio, 1);
	ck_assert_int_eq(client_answer(fd, HANDOFF_OPEN).head.status, 0);
	ck_assert_uint_eq(fake_ring(1)->cmd_time_out_s, 0);
	close(fd);
	close(uio);
}
END_TEST

START_TEST(unit_is_exported_once_by_either_of_its_names)
{
	int fd = client_connect();
	struct handoff_reply r;
	uint64_t handle = client_serve(fd, "first", "hba/g2/ld0", 1);

	r = client_open(fd, "second", "hba/g2/naa.60a0", 1);
	ck_assert_int_eq(r.head.status, -EBUSY);
	SPEAKS(r, "\"first\"");
	r = client_check(fd, "hba/g2/ld0;ro=1");
	ck_assert_int_eq(r.head.status, -EBUSY);
	SPEAKS(r, "\"first\"");
	ck_assert_int_eq(client_check(fd, "hba/g2/ld1").head.status, 0);
	client_handle(fd, HANDOFF_CLOSE, handle);
	ck_assert_int_eq(client_check(fd, "hba/g2/ld0").head.status, 0);
	close(fd);
}
END_TEST

/* LIO's restore at boot creates each backstore once: hazard H13. */
START_TEST(booting_controller_takes_luns_on_trust)
{
	int fd = client_connect();
	struct handoff_open m;
	struct handoff_reply r;

	luns.state = HANDOFF_BOOTING;
	luns.attached = false;
	r = client_check(fd, "hba/g2/ld0");
	ck_assert_int_eq(r.head.status, 0);
	ck_assert_uint_eq(r.state, HANDOFF_BOOTING);
	ck_assert_int_eq(client_open(fd, "a", "hba/g2/ld0", 1).head.status, 0);
	/* Two names of one unit cannot be told while nobody knows the units; equal ones can. */
	m = open_msg("b", "hba/g2/ld0", 1);
	m.known = 1;
	ck_assert_int_eq(client_send_open(fd, &m).head.status, -EBUSY);
	close(fd);
}
END_TEST

START_TEST(second_name_of_a_unit_is_dropped_once_the_controller_is_up)
{
	static const char *const names[] = {"hba/g2/ld0", "hba/g2/naa.60a0", "hba/g2/ld1"};
	static const char *const devices[] = {"a", "b", "c"};
	int fd = client_connect();
	struct handoff_open m;
	struct handoff_reply r;
	uint64_t h[3];

	luns.state = HANDOFF_BOOTING;
	luns.attached = false;
	for (int i = 0; i < 3; i++)
		h[i] = client_serve(fd, devices[i], names[i], 1);
	fake_calls();
	luns_attached(&luns);
	luns.state = HANDOFF_READY;
	ck_assert_str_eq(fake_calls(), "stop b, destroy b");
	ck_assert_int_eq(luns_find(&luns, h[0])->state, LUN_SERVING);
	ck_assert_int_eq(luns_find(&luns, h[1])->state, LUN_DROPPED);
	ck_assert_str_eq(luns_find(&luns, h[1])->reason, "its unit is served as another LUN already");
	ck_assert_int_eq(luns_find(&luns, h[2])->state, LUN_SERVING);
	/* The handler's answer: CLOSE and another OPEN, which is refused while the first one lives. */
	ck_assert_uint_eq(client_plain(fd, HANDOFF_PING).handle, h[1]);
	ck_assert_int_eq(client_handle(fd, HANDOFF_CLOSE, h[1]).head.status, 0);
	ck_assert_uint_eq(client_plain(fd, HANDOFF_PING).handle, 0);
	m = open_msg("b", names[1], 1);
	m.known = 1;
	r = client_send_open(fd, &m);
	ck_assert_int_eq(r.head.status, -EBUSY);
	SPEAKS(r, "\"a\"");
	ck_assert_uint_eq(client_plain(fd, HANDOFF_PING).handle, 0);
	ck_assert_int_eq(client_handle(fd, HANDOFF_CLOSE, h[0]).head.status, 0);
	m.head.seq = ++next_seq;
	ck_assert_int_eq(client_send_open(fd, &m).head.status, 0);
	close(fd);
}
END_TEST

START_TEST(second_name_that_is_only_prepared_cannot_be_started)
{
	int fd = client_connect();
	struct handoff_reply r;
	uint64_t b;

	luns.state = HANDOFF_BOOTING;
	luns.attached = false;
	client_serve(fd, "a", "hba/g2/naa.60a0", 1);
	b = client_open(fd, "b", "hba/g2/ld0", 1).handle;
	/* Unknown units are not the same unit. */
	client_serve(fd, "c", "hba/g2/ld8", 1);
	client_serve(fd, "d", "hba/g2/ld9", 1);
	fake_calls();
	luns_attached(&luns);
	ck_assert_str_eq(fake_calls(), "stop b, destroy b");
	r = client_handle(fd, HANDOFF_START, b);
	ck_assert_int_eq(r.head.status, -EBUSY);
	SPEAKS(r, "its unit is served as another LUN already");
	close(fd);
}
END_TEST

START_TEST(lost_controller_takes_known_luns_only)
{
	int fd = client_connect();
	struct handoff_open m;
	struct handoff_reply r;

	luns.state = HANDOFF_FAILED;
	luns.attached = false;
	ck_assert_int_eq(client_check(fd, "hba/g2/ld0").head.status, -ENODEV);
	r = client_open(fd, "a", "hba/g2/ld0", 1);
	ck_assert_int_eq(r.head.status, -ENODEV);
	SPEAKS(r, "hbactl show g2");
	m = open_msg("a", "hba/g2/ld0", 1);
	m.known = 1;
	ck_assert_int_eq(client_send_open(fd, &m).head.status, 0);
	close(fd);
}
END_TEST

START_TEST(known_lun_whose_unit_is_missing_is_taken)
{
	int fd = client_connect();
	struct handoff_open m = open_msg("a", "hba/g2/ld9", 1);

	ck_assert_int_eq(client_send_open(fd, &m).head.status, -ENOENT);
	m = open_msg("a", "hba/g2/ld9", 1);
	m.known = 1;
	ck_assert_int_eq(client_send_open(fd, &m).head.status, 0);
	/* Nor one that did not say who it is. */
	m = open_msg("b", "hba/g2/pd8", 1);
	m.known = 1;
	ck_assert_int_eq(client_send_open(fd, &m).head.status, 0);
	close(fd);
}
END_TEST

/* --- HELLO and orphans --- */

START_TEST(hello_lets_go_of_other_nonces_only)
{
	int fd = client_connect();
	uint64_t a = client_serve(fd, "a", "hba/g2/ld0", 1), b;

	ck_assert_int_eq(client_hello(fd, 1).head.status, 0);
	ck_assert_ptr_nonnull(luns_find(&luns, a));
	fake_calls();
	ck_assert_int_eq(client_hello(fd, 2).head.status, 0);
	ck_assert_str_eq(fake_calls(), "stop a, destroy a, unlun ld0");
	ck_assert_ptr_null(luns_find(&luns, a));
	b = client_serve(fd, "a", "hba/g2/ld0", 2);
	ck_assert_ptr_nonnull(luns_find(&luns, b));
	close(fd);
}
END_TEST

START_TEST(open_of_an_unannounced_runner_counts_as_hello)
{
	int fd = client_connect();

	client_serve(fd, "a", "hba/g2/ld0", 1);
	fake_calls();
	ck_assert_int_eq(client_open(fd, "a", "hba/g2/ld0", 2).head.status, 0);
	ck_assert_str_eq(fake_calls(), "stop a, destroy a, unlun ld0, lun ld0, create a");
	close(fd);
}
END_TEST

START_TEST(hello_without_nonce_is_refused)
{
	int fd = client_connect();

	client_serve(fd, "a", "hba/g2/ld0", 1);
	ck_assert_int_eq(client_hello(fd, 0).head.status, -EINVAL);
	ck_assert_ptr_nonnull(luns_find(&luns, luns.last_handle));
	close(fd);
}
END_TEST

START_TEST(hello_with_many_slow_rings_keeps_its_deadline)
{
	static const char *const names[] = {"hba/g2/ld0", "hba/g2/ld1"};
	int fd = client_connect();
	uint64_t start;

	for (int i = 0; i < 2; i++)
		client_serve(fd, i ? "b" : "a", names[i], 1);
	fake.stop_sleep_ms = 10000;
	fake.stop = 1;
	start = clock_ns();
	ck_assert_int_eq(client_hello(fd, 2).head.status, 0);
	ck_assert_uint_ge((clock_ns() - start) / NS_PER_MS, LUNS_RELEASE_MS - 50);
	/* The first one has used it up, which leaves the rest of the caller's time. */
	static_assert(LUNS_RELEASE_MS + 500 <= HANDOFF_CALL_MS, "HELLO is answered in time");
	ck_assert_uint_le(fake_ring(0)->stop_ms, LUNS_RELEASE_MS);
	ck_assert_uint_eq(fake_ring(1)->stop_ms, 0);
	ck_assert(fake_ring(0)->destroyed && fake_ring(1)->destroyed);
	close(fd);
}
END_TEST

START_TEST(orphans_hold_the_units_next_start_back)
{
	int fd = client_connect();
	uint64_t a, b;

	client_serve(fd, "a", "hba/g2/ld0", 1);
	client_serve(fd, "b", "hba/g2/ld1", 1);
	fake.stop = 3;
	ck_assert_int_eq(client_hello(fd, 2).head.status, 0);
	fake.stop = 0;
	ck_assert(fake_ring(0)->destroyed && !fake_ring(0)->lun->destroyed);
	/* ld1's orphans are done, ld0's are not. */
	fake_ring(1)->lun->busy = 0;
	a = client_open(fd, "a", "hba/g2/naa.60a0", 2).handle;
	b = client_open(fd, "b", "hba/g2/ld1", 2).handle;
	ck_assert_int_eq(client_handle(fd, HANDOFF_START, a).head.status, 0);
	ck_assert(fake_ring(1)->lun->destroyed && !fake_ring(2)->started);
	ck_assert_int_eq(luns_find(&luns, a)->state, LUN_HELD);
	ck_assert_int_eq(client_handle(fd, HANDOFF_START, b).head.status, 0);
	ck_assert_int_eq(luns_find(&luns, b)->state, LUN_SERVING);
	fake_calls();
	luns_tick(&luns);
	ck_assert_str_eq(fake_calls(), "");
	fake_ring(0)->lun->busy = 0;
	luns_tick(&luns);
	ck_assert_str_eq(fake_calls(), "unlun ld0, start a");
	ck_assert_int_eq(luns_find(&luns, a)->state, LUN_SERVING);
	close(fd);
}
END_TEST

START_TEST(held_lun_outlives_its_connection_and_can_be_closed)
{
	int fd = client_connect(), other = client_connect();
	uint64_t a;

	client_serve(fd, "a", "hba/g2/ld0", 1);
	fake.stop = 1;
	client_hello(fd, 2);
	fake.stop = 0;
	a = client_serve(fd, "a", "hba/g2/ld0", 2);
	close(fd);
	pump(-1, 50);
	ck_assert_int_eq(luns_find(&luns, a)->state, LUN_HELD);
	ck_assert_int_eq(client_handle(other, HANDOFF_CLOSE, a).head.status, 0);
	ck_assert(fake_ring(1)->destroyed && !fake_ring(1)->started);
	close(other);
}
END_TEST

START_TEST(held_lun_that_cannot_start_is_dropped)
{
	int fd = client_connect();
	uint64_t a;

	client_serve(fd, "a", "hba/g2/ld0", 1);
	fake.stop = 1;
	client_hello(fd, 2);
	fake.stop = 0;
	a = client_serve(fd, "a", "hba/g2/ld0", 2);
	fake_ring(0)->lun->busy = 0;
	fake.start = -EIO;
	luns_tick(&luns);
	ck_assert_int_eq(luns_find(&luns, a)->state, LUN_DROPPED);
	ck_assert(fake_ring(1)->destroyed);
	close(fd);
}
END_TEST

/* H1: a unit whose ring is still in use is refused to the runner. */
START_TEST(io_thread_without_answer_is_said_and_nothing_is_freed)
{
	int fd = client_connect();
	uint64_t a = client_serve(fd, "a", "hba/g2/ld0", 1);

	fake.stop = -ETIMEDOUT;
	ck_assert_int_eq(client_handle(fd, HANDOFF_CLOSE, a).head.status, -ETIMEDOUT);
	ck_assert_int_eq(client_hello(fd, 2).head.status, -ETIMEDOUT);
	ck_assert_int_eq(client_check(fd, "hba/g2/ld0").head.status, -EBUSY); /* the veto of hazard H1 */
	ck_assert(!fake_ring(0)->destroyed);
	fake.stop = 0;
	ck_assert_int_eq(client_handle(fd, HANDOFF_CLOSE, a).head.status, 0);
	close(fd);
}
END_TEST

/* --- rings that the kernel takes away --- */

START_TEST(dropped_ring_is_let_go_of_at_once_and_shown_until_close)
{
	int fd = client_connect();
	uint64_t a = client_serve(fd, "a", "hba/g2/ld0", 1);

	fake_calls();
	fake_ring(0)->dropped = "the device was removed";
	luns_tick(&luns);
	ck_assert_str_eq(fake_calls(), "stop a, destroy a, unlun ld0");
	ck_assert_int_eq(luns_find(&luns, a)->state, LUN_DROPPED);
	ck_assert_str_eq(luns_find(&luns, a)->reason, "the device was removed");
	luns_tick(&luns);
	ck_assert_str_eq(fake_calls(), "");
	ck_assert_int_eq(client_check(fd, "hba/g2/ld0").head.status, 0);
	ck_assert_int_eq(client_handle(fd, HANDOFF_CLOSE, a).head.status, 0);
	ck_assert(list_empty(&luns.all));
	close(fd);
}
END_TEST

START_TEST(dropped_lun_is_forgotten_when_its_backstore_returns)
{
	int fd = client_connect();
	uint64_t a = client_serve(fd, "a", "hba/g2/ld0", 1), again;

	fake_ring(0)->dropped = "the device was removed";
	luns_tick(&luns);
	again = client_serve(fd, "a", "hba/g2/ld0", 1);
	ck_assert_ptr_null(luns_find(&luns, a));
	ck_assert_int_eq(luns_find(&luns, again)->state, LUN_SERVING);
	close(fd);
}
END_TEST

START_TEST(dropped_luns_are_told_by_ping_in_turn)
{
	int fd = client_connect();
	uint64_t a = client_serve(fd, "a", "hba/g2/ld0", 1);
	uint64_t b = client_serve(fd, "b", "hba/g2/ld1", 1);

	ck_assert_uint_eq(client_plain(fd, HANDOFF_PING).handle, 0);
	fake_ring(0)->dropped = "reset by hand";
	fake_ring(1)->dropped = "reset by hand";
	luns_tick(&luns);
	ck_assert_uint_eq(client_plain(fd, HANDOFF_PING).handle, a);
	ck_assert_uint_eq(client_plain(fd, HANDOFF_PING).handle, b);
	ck_assert_uint_eq(client_plain(fd, HANDOFF_PING).handle, a);
	client_handle(fd, HANDOFF_CLOSE, a);
	ck_assert_uint_eq(client_plain(fd, HANDOFF_PING).handle, b);
	client_handle(fd, HANDOFF_CLOSE, b);
	ck_assert_uint_eq(client_plain(fd, HANDOFF_PING).handle, 0);
	close(fd);
}
END_TEST

/* --- the socket --- */

START_TEST(strange_packets_end_the_connection)
{
	int fd = client_connect();
	struct handoff_head h = head_of(HANDOFF_PING, sizeof(h));

	client_send(fd, "hello", 5, -1, 0);
	expect_end(fd);
	fd = client_connect();
	h.magic ^= 1;
	client_send(fd, &h, sizeof(h), -1, 0);
	expect_end(fd);
}
END_TEST

START_TEST(malformed_messages_are_answered_and_the_connection_stays)
{
	int fd = client_connect();
	struct handoff_head h = head_of(HANDOFF_PING, sizeof(h));
	uint8_t big[HANDOFF_MAX + 8] = {0};
	struct handoff_reply r;

	h.version = HANDOFF_VERSION + 1;
	client_send(fd, &h, sizeof(h), -1, 0);
	r = client_receive(fd);
	ck_assert_int_eq(r.head.status, -EPROTO);
	ck_assert_uint_eq(r.head.version, HANDOFF_VERSION);
	h = head_of(HANDOFF_PING, sizeof(big));
	memcpy(big, &h, sizeof(h));
	client_send(fd, big, sizeof(big), -1, 0);
	ck_assert_int_eq(client_receive(fd).head.status, -EPROTO);
	ck_assert_int_eq(client_plain(fd, HANDOFF_PING).head.status, 0);
	close(fd);
}
END_TEST

START_TEST(descriptors_come_with_open_only_and_never_leak)
{
	int fd = client_connect(), uio = memfd_create("uio", MFD_CLOEXEC);
	struct handoff_open m = open_msg("a", "hba/g2/ld0", 1);
	struct handoff_head h = head_of(HANDOFF_PING, sizeof(h));
	unsigned fds;

	client_plain(fd, HANDOFF_PING);
	fds = open_fds();
	client_send(fd, &m, sizeof(m), -1, 0);
	ck_assert_int_eq(client_receive(fd).head.status, -EPROTO);
	client_send(fd, &m, sizeof(m), uio, 2);
	ck_assert_int_eq(client_receive(fd).head.status, -EPROTO);
	client_send(fd, &h, sizeof(h), uio, 1);
	ck_assert_int_eq(client_receive(fd).head.status, -EPROTO);
	m.blocks = 1;
	client_send(fd, &m, sizeof(m), uio, 1);
	ck_assert_int_eq(client_receive(fd).head.status, -EINVAL);
	ck_assert_uint_eq(open_fds(), fds);
	ck_assert_str_eq(fake_calls(), "");
	close(fd);
	close(uio);
}
END_TEST

START_TEST(repeated_hand_overs_keep_no_descriptor)
{
	int fd = client_connect();
	unsigned fds;

	client_plain(fd, HANDOFF_PING);
	fds = open_fds();
	for (int i = 0; i < 30; i++) {
		uint64_t h = client_serve(fd, "a", "hba/g2/ld0", 1);

		ck_assert_int_eq(client_handle(fd, HANDOFF_CLOSE, h).head.status, 0);
	}
	ck_assert_uint_eq(open_fds(), fds);
	close(fd);
}
END_TEST

START_TEST(two_connections_are_served_side_by_side)
{
	int a = client_connect(), b = client_connect();
	struct handoff_head ha = head_of(HANDOFF_PING, sizeof(ha)), hb = head_of(HANDOFF_PING, sizeof(hb));

	client_send(a, &ha, sizeof(ha), -1, 0);
	client_send(b, &hb, sizeof(hb), -1, 0);
	ck_assert_uint_eq(client_receive(b).head.seq, hb.seq);
	ck_assert_uint_eq(client_receive(a).head.seq, ha.seq);
	close(a);
	close(b);
}
END_TEST

START_TEST(connections_have_a_limit)
{
	int fds[HANDOFF_MAX_CONNS + 1];

	for (unsigned i = 0; i < HANDOFF_MAX_CONNS; i++) {
		fds[i] = client_connect();
		ck_assert_int_eq(client_plain(fds[i], HANDOFF_PING).head.status, 0);
	}
	fds[HANDOFF_MAX_CONNS] = client_connect();
	expect_end(fds[HANDOFF_MAX_CONNS]);
	close(fds[0]);
	pump(-1, 50);
	fds[0] = client_connect();
	ck_assert_int_eq(client_plain(fds[0], HANDOFF_PING).head.status, 0);
	for (unsigned i = 0; i < HANDOFF_MAX_CONNS; i++)
		close(fds[i]);
}
END_TEST

static uint64_t beat_age_ms(void)
{
	return (clock_ns() - loop_heartbeat_ns(fake_loop)) / NS_PER_MS;
}

/* H10: a hung I/O thread gives no sign of life. */
START_TEST(ping_is_silent_while_the_io_thread_hangs)
{
	int fd = client_connect();
	struct handoff_head h;
	uint64_t beat;

	ck_assert_int_eq(client_plain(fd, HANDOFF_PING).head.status, 0);
	fakes_hang_io(true);
	/* Not yet: the heartbeat is younger than LUNS_ALIVE_AGE_MS; unless the machine took that long itself. */
	h = head_of(HANDOFF_PING, sizeof(h));
	client_send(fd, &h, sizeof(h), -1, 0);
	if (pump(fd, 200))
		ck_assert_int_eq(client_answer(fd, HANDOFF_PING).head.status, 0);
	else
		ck_assert_uint_gt(beat_age_ms(), LUNS_ALIVE_AGE_MS);
	while (beat_age_ms() <= LUNS_ALIVE_AGE_MS)
		clock_sleep_ms(10);
	h = head_of(HANDOFF_PING, sizeof(h));
	client_send(fd, &h, sizeof(h), -1, 0);
	ck_assert(!pump(fd, 200));
	beat = loop_heartbeat_ns(fake_loop);
	fakes_hang_io(false);
	/* The loop wakes once per second. */
	pump_until(loop_heartbeat_ns(fake_loop) != beat);
	ck_assert_int_eq(client_plain(fd, HANDOFF_PING).head.status, 0);
	close(fd);
}
END_TEST

static void start_for_another_user(void)
{
	service_start_for(getuid() + 1);
}

START_TEST(other_users_are_not_heard)
{
	expect_end(client_connect());
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hand-off");
	TCase *t = tcase_create("service"), *u = tcase_create("user");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	suite_add_tcase(s, u);
	tcase_set_timeout(t, 100);
	tcase_add_checked_fixture(t, service_start, service_stop);
	tcase_add_checked_fixture(u, start_for_another_user, service_stop);
	tcase_add_test(t, open_start_close_in_order);
	tcase_add_test(t, started_lun_outlives_its_connection);
	tcase_add_test(t, connection_that_ends_between_open_and_start_undoes_the_open);
	tcase_add_test(t, failed_start_lets_go_before_it_is_answered);
	tcase_add_test(t, failed_open_leaves_nothing);
	tcase_add_test(t, unknown_handles_are_refused);
	tcase_add_test(t, second_start_and_second_close_are_refused);
	tcase_add_test(t, start_belongs_to_the_connection_of_its_open);
	tcase_add_test(t, handles_are_not_used_twice);
	tcase_add_loop_test(t, check_judges_the_configuration_string, 0, ARRAY_SIZE(checks));
	tcase_add_test(t, open_with_missing_parts_is_refused);
	tcase_add_test(t, the_kernels_time_out_bounds_the_age_of_commands);
	tcase_add_test(t, unit_is_exported_once_by_either_of_its_names);
	tcase_add_test(t, booting_controller_takes_luns_on_trust);
	tcase_add_test(t, second_name_of_a_unit_is_dropped_once_the_controller_is_up);
	tcase_add_test(t, second_name_that_is_only_prepared_cannot_be_started);
	tcase_add_test(t, lost_controller_takes_known_luns_only);
	tcase_add_test(t, known_lun_whose_unit_is_missing_is_taken);
	tcase_add_test(t, hello_lets_go_of_other_nonces_only);
	tcase_add_test(t, open_of_an_unannounced_runner_counts_as_hello);
	tcase_add_test(t, hello_without_nonce_is_refused);
	tcase_add_test(t, hello_with_many_slow_rings_keeps_its_deadline);
	tcase_add_test(t, orphans_hold_the_units_next_start_back);
	tcase_add_test(t, held_lun_outlives_its_connection_and_can_be_closed);
	tcase_add_test(t, held_lun_that_cannot_start_is_dropped);
	tcase_add_test(t, io_thread_without_answer_is_said_and_nothing_is_freed);
	tcase_add_test(t, dropped_ring_is_let_go_of_at_once_and_shown_until_close);
	tcase_add_test(t, dropped_lun_is_forgotten_when_its_backstore_returns);
	tcase_add_test(t, dropped_luns_are_told_by_ping_in_turn);
	tcase_add_test(t, strange_packets_end_the_connection);
	tcase_add_test(t, malformed_messages_are_answered_and_the_connection_stays);
	tcase_add_test(t, descriptors_come_with_open_only_and_never_leak);
	tcase_add_test(t, repeated_hand_overs_keep_no_descriptor);
	tcase_add_test(t, two_connections_are_served_side_by_side);
	tcase_add_test(t, connections_have_a_limit);
	tcase_add_test(t, ping_is_silent_while_the_io_thread_hangs);
	tcase_add_test(u, other_users_are_not_heard);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
