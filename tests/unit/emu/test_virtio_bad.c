/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The virtio model with drivers that break the specification, and its own scripted misbehaviour. */
#include <string.h>
#include <unistd.h>

#include "virtio_host.h"

#define Q	 (&vq[REQUEST])
#define NOWHERE	 UINT64_C(0x7000000000)
#define AT_TABLE 0x3f0000

static void setup(void)
{
	virtio_new();
	virtio_up();
	bring_up_virtio(F_USUAL, false);
	calm(1, 0);
}

static void table(uint16_t i, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	uint8_t *d = c.mem + AT_TABLE + 16u * i;

	le64(d, 0, addr);
	le32(d, 8, len);
	le16(d, 12, flags);
	le16(d, 14, next);
}

/* --- chains [2.7.4, 2.7.5]: of each, only what its name says is wrong --- */

static void good_table(void)
{
	table(0, iova(req_at(0)), 51, D_NEXT, 1);
	table(1, iova(resp_at(0)), 108, D_WRITE, 0);
}

static void loop_of_descriptors(void)
{
	desc(Q, 0, iova(req_at(0)), 51, D_NEXT, 0);
}
static void next_out_of_range(void)
{
	desc(Q, 0, iova(req_at(0)), 51, D_NEXT, RING + 9);
	desc(Q, RING + 9, iova(resp_at(0)), 108, D_WRITE, 0);
}
static void read_behind_write(void)
{
	desc(Q, 0, iova(resp_at(0)), 108, D_WRITE | D_NEXT, 1);
	desc(Q, 1, iova(req_at(0)), 51, 0, 0);
}
static void empty_buffer(void)
{
	desc(Q, 1, iova(resp_at(0)), 108, D_WRITE | D_NEXT, 2);
	desc(Q, 2, iova(payload(0)), 0, D_WRITE, 0);
}
static void more_than_4_gib(void)
{
	desc(Q, 0, iova(req_at(0)), UINT32_MAX, D_NEXT, 1);
	desc(Q, 1, iova(resp_at(0)), UINT32_MAX, D_WRITE, 0);
}
static void short_request(void)
{
	desc(Q, 0, iova(req_at(0)), 50, D_NEXT, 1);
}
static void short_answer(void)
{
	desc(Q, 1, iova(resp_at(0)), 107, D_WRITE, 0);
}
static void no_room_for_an_answer(void)
{
	desc(Q, 0, iova(req_at(0)), 51, 0, 0);
}
static void odd_table(void)
{
	desc(Q, 0, MEM_IOVA + AT_TABLE, 33, D_INDIRECT, 0);
	good_table();
}
static void empty_table(void)
{
	desc(Q, 0, MEM_IOVA + AT_TABLE, 0, D_INDIRECT, 0);
}
static void table_goes_on(void)
{
	desc(Q, 0, MEM_IOVA + AT_TABLE, 32, D_INDIRECT | D_NEXT, 4);
	good_table();
}
static void table_in_a_table(void)
{
	desc(Q, 0, MEM_IOVA + AT_TABLE, 32, D_INDIRECT, 0);
	good_table();
	table(1, iova(resp_at(0)), 108, D_WRITE | D_INDIRECT, 0);
}
static void way_out_of_a_table(void)
{
	desc(Q, 0, MEM_IOVA + AT_TABLE, 16, D_INDIRECT, 0);
	good_table();
}
static void loop_in_a_table(void)
{
	desc(Q, 0, MEM_IOVA + AT_TABLE, 32, D_INDIRECT, 0);
	table(0, iova(req_at(0)), 51, D_NEXT, 1);
	table(1, iova(resp_at(0)), 1, D_WRITE | D_NEXT, 1);
}
static void table_longer_than_the_queue(void)
{
	desc(Q, 0, MEM_IOVA + AT_TABLE, 16 * (RING + 1), D_INDIRECT, 0);
	table(0, iova(req_at(0)), 51, D_NEXT, 1);
	for (uint16_t i = 1; i < RING; i++)
		table(i, iova(payload(0)) + i, 1, D_NEXT, i + 1);
	table(RING, iova(resp_at(0)), 108, D_WRITE, 0);
}
static void head_out_of_range(void)
{
	desc(Q, RING + 4, iova(req_at(0)), 51, D_NEXT, 1);
	offer(Q, RING + 4);
}
static void index_runs_ahead(void)
{
	Q->offered = (uint16_t)(Q->offered + 300);
	offer(Q, 0);
}
static void twice_at_the_device(void)
{
	rig_do(rig, "fault drop");
	offer(Q, 0);
}

static void (*const bad_chain[])(void) = {loop_of_descriptors, next_out_of_range, read_behind_write,
	empty_buffer, more_than_4_gib, short_request, short_answer, no_room_for_an_answer, odd_table,
	empty_table, table_goes_on, table_in_a_table, way_out_of_a_table, loop_in_a_table,
	table_longer_than_the_queue, head_out_of_range, index_runs_ahead, twice_at_the_device};

/* Broken, counted once, nothing answered; and as good as new after a reset. */
static void expect_broken(void)
{
	rig_wait(needs_reset());
	ck_assert_uint_eq(used_index(Q), Q->seen);
	forgiven_protocol = rig_stats(rig).protocol_errors;
	forgiven_dma = rig_stats(rig).wrong_dma;
	ck_assert_uint_eq(forgiven_protocol + forgiven_dma, 1);
	rig_do(rig, "fault-clear");
	bring_up_virtio(F_USUAL, false);
	ck_assert_uint_eq(run_one(Q, 4, rw(Q, 4, false, 1, 0, 0, 1))[11], 0);
}

START_TEST(a_bad_chain_breaks_the_device)
{
	static const uint8_t tur[6];

	prepare(Q, 0, 1, 0, tur, 6, 0, 0);
	bad_chain[_i]();
	offer(Q, 0);
	kick(Q);
	expect_broken();
}
END_TEST

START_TEST(a_table_that_was_not_agreed_on_breaks_the_device)
{
	static const uint8_t tur[6];

	bring_up_virtio(F_USUAL & ~F_INDIRECT, false);
	prepare(Q, 0, 1, 0, tur, 6, 0, 0);
	desc(Q, 0, MEM_IOVA + AT_TABLE, 32, D_INDIRECT, 0);
	good_table();
	offer(Q, 0);
	kick(Q);
	expect_broken();
}
END_TEST

/* --- memory that is not there --- */

static void request_nowhere(void)
{
	desc(Q, 0, NOWHERE, 51, D_NEXT, 1);
}
static void answer_nowhere(void)
{
	desc(Q, 1, NOWHERE, 108, D_WRITE | D_NEXT, 2);
}
static void data_nowhere(void)
{
	desc(Q, 2, NOWHERE, 512, D_WRITE, 0);
}
static void data_half_there(void)
{
	desc(Q, 2, MEM_IOVA + MEM_SIZE - 256, 512, D_WRITE, 0);
}
static void table_nowhere(void)
{
	desc(Q, 0, NOWHERE, 48, D_INDIRECT, 0);
}

static void (*const nowhere[])(void) = {
	request_nowhere, answer_nowhere, data_nowhere, data_half_there, table_nowhere};

START_TEST(memory_that_is_not_there_breaks_the_device)
{
	rw(Q, 0, false, 1, 0, 0, 1);
	nowhere[_i]();
	offer(Q, 0);
	kick(Q);
	expect_broken();
	ck_assert_uint_eq(forgiven_protocol, 0);
}
END_TEST

/* --- events' buffers, registers, order --- */

static void small_event_buffer(void)
{
	desc(&vq[EVENT], 0, iova(payload(0)), 15, D_WRITE, 0);
}
static void event_buffer_to_read(void)
{
	desc(&vq[EVENT], 0, iova(payload(0)), 16, 0, 0);
}

static void (*const bad_buffer[])(void) = {small_event_buffer, event_buffer_to_read};

START_TEST(a_bad_buffer_for_events_breaks_the_device)
{
	bad_buffer[_i]();
	offer(&vq[EVENT], 0);
	kick(&vq[EVENT]);
	rig_do(rig, "resize ld0 16M");
	expect_broken();
}
END_TEST

static void set_up_again(void)
{
	set_common(0x16, 2, REQUEST);
	set_common(0x20, 4, 0x1000);
}
static void odd_width(void)
{
	set_common(0x14, 4, 0);
}
static void read_only(void)
{
	set_common(0x12, 2, 1);
}
static void bits_taken_back(void)
{
	set_common(0x14, 1, 0x03);
}
static void wrong_queue_number(void)
{
	uint16_t v = 3;

	client_write(&c, cap[CAP_NOTIFY].bar, vq[REQUEST].notify, &v, sizeof(v));
}
static void features_too_late(void)
{
	set_common(0x08, 4, 0);
	set_common(0x0c, 4, 0);
}
static void kick_without_driver_ok(void)
{
	negotiate(F_USUAL);
	kick(&vq[REQUEST]);
}
static void driver_ok_without_features(void)
{
	set_common(0x14, 1, 0);
	set_common(0x14, 1, 0x07);
	ck_assert_uint_eq(common(0x14, 1), 0x03);
}
static void no_power_of_two(void)
{
	negotiate(F_USUAL);
	set_common(0x16, 2, 0);
	set_common(0x18, 2, 12);
	set_common(0x1c, 2, 1);
	ck_assert_uint_eq(common(0x1c, 2), 0);
}
static void too_large_a_ring(void)
{
	negotiate(F_USUAL);
	set_common(0x16, 2, REQUEST);
	set_common(0x18, 2, 512);
	ck_assert_uint_eq(common(0x18, 2), 256);
}
static void nothing_there(void)
{
	uint32_t v;

	client_read(&c, cap[CAP_COMMON].bar, 0x3ff8, &v, 4);
}
static void both_directions(void)
{
	static const uint8_t tur[6];
	uint16_t head = prepare(&vq[REQUEST], 2, 1, 0, tur, 6, 1, 512);

	desc(&vq[REQUEST], head + 2, iova(resp_at(2)), 200, D_WRITE, 0);
	ck_assert_uint_eq(run_one(&vq[REQUEST], 2, head)[11], 9);
}

static void (*const mistake[])(void) = {set_up_again, odd_width, read_only, bits_taken_back,
	wrong_queue_number, features_too_late, kick_without_driver_ok, driver_ok_without_features,
	no_power_of_two, too_large_a_ring, nothing_there, both_directions};

START_TEST(mistakes_are_counted)
{
	uint64_t before = rig_stats(rig).protocol_errors;

	ck_assert_uint_eq(before, 0);
	mistake[_i]();
	forgiven_protocol = 1;
	bring_up_virtio(F_USUAL, false);
	ck_assert_uint_eq(run_one(Q, 4, rw(Q, 4, false, 1, 0, 0, 1))[11], 0);
}
END_TEST

/* --- the device's own faults --- */

static void send_read(unsigned slot)
{
	offer(Q, rw(Q, slot, false, 1, 0, 0, 1));
	kick(Q);
}

START_TEST(an_answer_may_bear_a_false_name)
{
	uint32_t id;

	rig_do(rig, "fault wrong-context on=read");
	send_read(3);
	answered(Q, &id);
	ck_assert_uint_ge(id, 256);
	rig_do(rig, "fault twice on=read");
	send_read(4);
	answered(Q, &id);
	ck_assert_uint_eq(id, 16);
	answered(Q, &id);
	ck_assert_uint_eq(id, 16);
	/* of another that is still at work; while there is none, it waits */
	rig_do(rig, "fault drop on=write");
	rig_do(rig, "fault other-context on=read");
	send_read(5);
	usleep(20000);
	ck_assert_uint_eq(used_index(Q), Q->seen);
	offer(Q, rw(Q, 6, true, 1, 0, 0, 1));
	kick(Q);
	answered(Q, &id);
	ck_assert_uint_eq(id, 24);
}
END_TEST

START_TEST(a_ring_may_be_wrong)
{
	uint32_t id;

	rig_do(rig, "fault used-len=7fff on=read");
	send_read(3);
	ck_assert_uint_eq(answered(Q, &id), 0x7fff);
	rig_do(rig, "fault used-index=12c on=read");
	send_read(4);
	rig_wait(used_index(Q) == (uint16_t)(Q->seen + 301));
}
END_TEST

START_TEST(status_and_sense_by_rule)
{
	static const uint8_t start[6] = {0x1b, 0, 0, 0, 1, 0};
	const uint8_t *r;

	rig_do(rig, "fault status=5 on=read");
	r = run_one(Q, 3, rw(Q, 3, false, 1, 0, 0, 1));
	ck_assert_uint_eq(r[11], 5);
	rig_do(rig, "fault sense=3/1100 on=read unit=pd0");
	r = run_one(Q, 3, rw(Q, 3, false, 1, 0, 0, 1));
	ck_assert_uint_eq(r[11], 0);
	ck_assert_uint_eq(r[10], 2);
	ck_assert_uint_eq(r[12 + 12], 0x11);
	rig_do(rig, "fault status=b on=abort");
	ck_assert_uint_eq(tmf(5, 1, 0, 0), 11);
	rig_do(rig, "set pd0 start-ms 1000");
	offer(Q, prepare(Q, 3, 1, 0, start, 6, 0, 0));
	kick(Q);
	usleep(50000);
	ck_assert_uint_eq(resp_at(3)[11], 0xee);
	answered(Q, &(uint32_t){0});
	ck_assert_uint_eq(resp_at(3)[11], 0);
}
END_TEST

START_TEST(dma_after_an_abort_really_comes)
{
	uint64_t before = rig_stats(rig).commands;
	uint32_t id;

	rig_do(rig, _i ? "fault late-dma=300 on=read" : "fault late-dma=0 on=read");
	memset(payload(3), 0xee, 512);
	send_read(3);
	rig_wait(rig_stats(rig).commands > before);
	offer_tmf(0, 1, 0, 0x1003);
	answered(Q, &id);
	ck_assert_uint_eq(resp_at(3)[11], 2);
	/* After 0 ms is before the command's end. */
	if (_i == 0)
		ck_assert_uint_eq(payload(3)[511], 0xdb);
	answered(&vq[CONTROL], &id);
	rig_wait(*(volatile uint8_t *)(payload(3) + 511) == 0xdb);
}
END_TEST

START_TEST(what_makes_no_sense_is_refused)
{
	ck_assert_ptr_nonnull(strstr(rig_try(rig, "boot-ms 5"), "no firmware that starts"));
	ck_assert_ptr_nonnull(strstr(rig_try(rig, "notice 2"), "has no notices"));
}
END_TEST

/* All of memory that the device reads is the fuzzer's: it may say that it needs a reset, and nothing else happens. */
START_TEST(rings_that_mean_nothing)
{
	struct rng r = {(uint64_t)_i + 5};

	for (unsigned n = 0; n < 400; n++) {
		uint8_t *rings = c.mem + Q->at;

		for (unsigned s = 0; s < 8; s++)
			rw(Q, s, rng_below(&r, 2), (uint8_t)rng_below(&r, 3), 0, 3, 4);
		for (unsigned i = 0; i < 6; i++)
			rings[rng_below(&r, 16 * 40)] = (uint8_t)rng_next(&r);
		if (n % 3 == 0)
			req_at(n % 8)[rng_below(&r, 51)] = (uint8_t)rng_next(&r);
		for (unsigned s = 0; s < 8; s++)
			offer(Q, (uint16_t)(rng_below(&r, 20) ? 4 * s : rng_next(&r)));
		kick(Q);
		if (n % 4 == 3 && needs_reset())
			bring_up_virtio(F_USUAL, false);
	}
	bring_up_virtio(F_USUAL, false);
	calm(1, 0);
	ck_assert_uint_eq(run_one(Q, 4, rw(Q, 4, false, 1, 0, 0, 1))[11], 0);
	forgiven_protocol = rig_stats(rig).protocol_errors;
	forgiven_dma = rig_stats(rig).wrong_dma;
}
END_TEST

static void add_all(TCase *t)
{
	tcase_add_loop_test(t, a_bad_chain_breaks_the_device, 0, (int)ARRAY_SIZE(bad_chain));
	tcase_add_test(t, a_table_that_was_not_agreed_on_breaks_the_device);
	tcase_add_loop_test(t, memory_that_is_not_there_breaks_the_device, 0, (int)ARRAY_SIZE(nowhere));
	tcase_add_loop_test(t, a_bad_buffer_for_events_breaks_the_device, 0, (int)ARRAY_SIZE(bad_buffer));
	tcase_add_loop_test(t, mistakes_are_counted, 0, (int)ARRAY_SIZE(mistake));
	tcase_add_test(t, an_answer_may_bear_a_false_name);
	tcase_add_test(t, a_ring_may_be_wrong);
	tcase_add_test(t, status_and_sense_by_rule);
	tcase_add_loop_test(t, dma_after_an_abort_really_comes, 0, 2);
	tcase_add_test(t, what_makes_no_sense_is_refused);
	tcase_add_loop_test(t, rings_that_mean_nothing, 0, 4);
}

int main(void)
{
	Suite *s = suite_create("virtio, badly");
	TCase *t = tcase_create("wire");

	tcase_add_checked_fixture(t, setup, virtio_down);
	tcase_set_timeout(t, 30);
	add_all(t);
	suite_add_tcase(s, t);
	return run_suite(s);
}
