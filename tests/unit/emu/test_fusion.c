/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The SAS3108 model, byte by byte, over the socket: requests and descriptors laid down by hand from [5]. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fusion_host.h"

/* --- state and pads --- */

START_TEST(registers_of_a_ready_controller)
{
	ck_assert_uint_eq(client_read32(&c, 1, 0xb0), 0xb45003f0);
	/* chain frames of 8 x 512 bytes, 16 queues, arrays of them, SYNCHRONIZE CACHE */
	ck_assert_uint_eq(client_read32(&c, 1, 0xb4), 0x01c3c100);
	ck_assert_uint_eq(client_read32(&c, 1, 0xb8), 1008);
	ck_assert_uint_eq(client_read32(&c, 1, 0x00) & 1, 0);
}
END_TEST

START_TEST(ioc_init_makes_it_operational)
{
	le64(c.mem, AT_RDPQ, MEM_IOVA + AT_QUEUES);
	ck_assert_uint_eq(
		_i ? ioc_init(1, true, MEM_IOVA + AT_RDPQ) : ioc_init(0, false, MEM_IOVA + AT_QUEUES), 0);
	ck_assert_uint_eq(client_read32(&c, 1, 0xb0) >> 28, 0xc);
	ck_assert(!there(0));
}
END_TEST

/* SeaBIOS: LD_GET_LIST by the old port, polled, and no answer in a queue. */
START_TEST(boot_firmware_gets_on_without_queues)
{
	uint8_t *f = frame(0);

	memset(f, 0, 64);
	f[0x00] = 0x05;
	f[0x02] = 0xff;
	f[0x07] = 1;
	le16(f, 0x10, 0x0011);
	le32(f, 0x14, 1032);
	le32(f, 0x18, 0x03010000);
	le32(f, 0x28, MEM_IOVA + AT_DATA);
	le32(f, 0x2c, 1032);
	client_write32(&c, 1, 0x40, MEM_IOVA + (uint32_t)(f - c.mem) + 1);
	rig_wait(frame_again(0)[2] == 0x00);
	ck_assert_uint_gt(get_le32(c.mem, AT_DATA), 0);
	ck_assert_uint_eq(rig_stats(rig).replies, 0);
	bring_up_fusion();
}
END_TEST

START_TEST(ioc_init_with_too_much_is_refused)
{
	ck_assert_uint_eq(
		_i ? ioc_init(1, false, UINT64_C(0x100000000)) : ioc_init(17, false, MEM_IOVA + AT_QUEUES),
		3);
	ck_assert_uint_eq(client_read32(&c, 1, 0xb0) >> 28, 0xb);
	forgiven_protocol = 1;
	forgiven_dma = (uint64_t)_i;
}
END_TEST

/* --- I/O --- */

START_TEST(inquiry_to_a_logical_drive)
{
	static const uint8_t inquiry[6] = {0x12, 0, 0, 0, 36, 0};

	bring_up_fusion();
	ld_io(7, 0, inquiry, 6, 36, 0x02000000);
	ck_assert_uint_eq(run_io(7, 0), 0);
	ck_assert_int_eq(memcmp(data_at(7) + 8, "LSI     ", 8), 0);
	ck_assert_uint_eq(client_irq_wait(vector_fd[0], LIMIT_MS), 1);
	/* what a host that acknowledged all sees */
	ck_assert_uint_eq(client_read32(&c, 1, 0x30), 0);
}
END_TEST

START_TEST(reads_return_what_was_written_by_each_type_of_descriptor)
{
	static const unsigned types[] = {7, 2, 0};

	bring_up_fusion();
	for (unsigned i = 0; i < 3; i++) {
		rw(1, true, 5, 100 + i, 8);
		memset(data_at(1), (int)(0x30 + i), 4096);
		ck_assert_uint_eq(run_io(1, types[i]), 0);
		rw(2, false, 5, 100 + i, 1);
		ck_assert_uint_eq(run_io(2, types[i]), 0);
		ck_assert_uint_eq(data_at(2)[511], 0x30 + i);
	}
}
END_TEST

/* A request by the fast path, to a drive: as Linux sends it on this generation [5.8, 5.9]. */
static void by_fast_path(uint8_t *r)
{
	le16(r, 0x00, 0xffff);
	r[0x02] = 0x00;
	r[0x03] = 0x00;
	r[0x25] |= 0x40;
	r[0x66] = 8;
	r[0x78] = 0x10;
}

/*
 * 12 elements of a block: seven in the frame, a chain element in the eighth slot, five in the chain frame [5.9]. A
 * fast path request has no chain offset.
 */
START_TEST(a_chained_list)
{
	unsigned type = _i ? 6 : 7;
	uint8_t *r;

	bring_up_fusion();
	r = rw(1, true, 0, 0, 12);
	if (_i)
		by_fast_path(r);
	for (unsigned i = 0; i < 12; i++)
		memset(data_at(1) + i * 512, (int)i + 1, 512);
	ck_assert_uint_eq(run_io(1, type), 0);
	r = rw(2, false, 0, 0, 12);
	r[0x02] = 0x0f;
	if (_i)
		by_fast_path(r);
	for (unsigned i = 0; i < 12; i++) {
		uint8_t *e = i < 7 ? r + 0x80 + 16 * i : c.mem + AT_CHAIN + 16 * (i - 7);

		memset(e, 0, 16);
		le64(e, 0, MEM_IOVA + AT_DATA + 0x20000 + i * 0x1000);
		le32(e, 8, 512);
		e[15] = i == 11 ? 0x40 : 0;
	}
	le64(r, 0xf0, MEM_IOVA + AT_CHAIN);
	le32(r, 0xf8, 16 * 5);
	r[0xff] = 0x80;
	ck_assert_uint_eq(run_io(2, type), 0);
	for (unsigned i = 0; i < 12; i++)
		ck_assert_uint_eq(data_at(2)[i * 0x1000 + 511], i + 1);
}
END_TEST

START_TEST(errors_have_sense_and_the_count_that_was_moved)
{
	const uint8_t *sense = c.mem + AT_SENSE + 2 * 128;
	uint8_t *r;

	bring_up_fusion();
	r = rw(2, false, 0, 64 * 2048, 1);
	ck_assert_uint_eq(run_io(2, 7), 0x2d02);
	ck_assert_uint_eq(sense[0], 0x70);
	ck_assert_uint_eq(sense[2], 0x05);
	ck_assert_uint_eq(sense[12], 0x21);
	ck_assert_uint_eq(get_le32(r, 0x1c), 0);
}
END_TEST

START_TEST(units_that_are_not_there)
{
	static const uint8_t tur[6];
	uint8_t *r;

	bring_up_fusion();
	ld_io(1, 9, tur, 6, 0, 0);
	ck_assert_uint_eq(run_io(1, 0), 0x0c00);
	ld_io(1, 0, tur, 6, 0, 0)[0x35] = 1;
	ck_assert_uint_eq(run_io(1, 0), 0x0c00);
	/* a system drive, by the firmware's path and by the fast one */
	r = ld_io(1, 8, tur, 6, 0, 0);
	le16(r, 0x00, 0xffff);
	r[0x78] = 0x10;
	ck_assert_uint_eq(run_io(1, 0), 0);
	by_fast_path(ld_io(1, 8, tur, 6, 0, 0));
	ck_assert_uint_eq(run_io(1, 6), 0);
}
END_TEST

START_TEST(replies_come_in_the_queue_that_was_asked_for)
{
	bring_up_fusion();
	for (unsigned v = 0; v < VECTORS; v++) {
		rw(10 + v, false, 0, v, 1);
		descriptor(7, v, 10 + v);
	}
	for (unsigned v = 0; v < VECTORS; v++) {
		ck_assert_uint_eq(reap(v), 10 + v);
		ck_assert_uint_eq(client_irq_wait(vector_fd[v], LIMIT_MS), 1);
		ck_assert(!there(v));
	}
}
END_TEST

START_TEST(queues_wrap_and_every_request_comes_back_once)
{
	unsigned seen[64] = {0};

	bring_up_fusion();
	for (unsigned n = 0; n < 3 * DEPTH; n += 16) {
		for (unsigned i = 0; i < 16; i++) {
			rw(1 + i, false, 0, n + i, 1);
			descriptor(7, i % VECTORS, 1 + i);
		}
		for (unsigned i = 0; i < 16; i++)
			seen[reap(i % VECTORS)]++;
	}
	for (unsigned i = 1; i <= 16; i++)
		ck_assert_uint_eq(seen[i], 3 * DEPTH / 16);
}
END_TEST

START_TEST(the_combined_index_registers_work_too)
{
	bring_up_fusion();
	rw(1, false, 0, 0, 1);
	descriptor(7, 2, 1);
	rig_wait(there(2));
	ck_assert_uint_eq(client_read32(&c, 1, 0x30) & 0x8, 0x8);
	client_write32(&c, 1, 0x30c, 2u << 24 | 1);
	ck_assert_uint_eq(client_read32(&c, 1, 0x30) & 0x8, 0);
}
END_TEST

START_TEST(a_full_queue_waits_for_the_host)
{
	bring_up_fusion();
	for (unsigned i = 0; i < DEPTH - 1; i++) {
		rw(1 + i, false, 0, 0, 1);
		descriptor(7, 1, 1 + i);
	}
	rig_wait(rig_stats(rig).replies == DEPTH - 1);
	rw(200, false, 0, 0, 1);
	descriptor(7, 1, 200);
	rig_wait(rig_stats(rig).protocol_errors == 1);
	for (unsigned i = 0; i < DEPTH - 1; i++)
		ck_assert_uint_ne(reap(1), 200);
	ck_assert_uint_eq(reap(1), 200);
	forgiven_protocol = 1;
}
END_TEST

START_TEST(masked_replies_are_announced_when_the_mask_opens)
{
	bring_up_fusion();
	client_write32(&c, 1, 0x34, 0xffffffff);
	rw(1, false, 0, 0, 1);
	descriptor(7, 3, 1);
	ck_assert_uint_eq(reap(3), 1);
	ck_assert_uint_eq(client_irq_wait(vector_fd[3], 30), 0);
	client_write32(&c, 1, 0x34, 0xfffffff6);
	ck_assert_uint_eq(client_irq_wait(vector_fd[3], LIMIT_MS), 1);
}
END_TEST

static const struct {
	unsigned type, vector, smid;
	uint8_t function;
} wrong[] = {
	{7, 0, 0, 0xf1},
	{7, 0, 1009, 0xf1},
	{7, VECTORS, 1, 0xf1},
	{3, 0, 1, 0xf1},
	{0, 0, 1, 0x01},
	{7, 0, 1, 0xf0},
	{0, 0, 1, 0x77},
};

START_TEST(requests_that_make_no_sense_are_mistakes_of_the_driver)
{
	bring_up_fusion();
	rw(1, false, 0, 0, 1)[0x03] = wrong[_i].function;
	descriptor(wrong[_i].type, wrong[_i].vector, wrong[_i].smid);
	rig_wait(rig_stats(rig).protocol_errors == 1);
	for (unsigned v = 0; v < VECTORS; v++)
		ck_assert(!there(v));
	/* and the next one is served */
	rw(1, false, 0, 0, 1);
	ck_assert_uint_eq(run_io(1, 7), 0);
	forgiven_protocol = 1;
}
END_TEST

/* --- task management [5.14] --- */

static uint8_t task(uint8_t type, uint16_t handle, uint16_t victim)
{
	uint8_t *r = request(950);

	le16(r, 0x00, handle);
	r[0x03] = 0x01;
	r[0x05] = type;
	le16(r, 0x30, victim);
	r[0x80] = 1;
	descriptor(3, 0, 950);
	ck_assert_uint_eq(reap(0), 950);
	ck_assert_uint_eq(r[0x83], 0x01);
	return r[0x84];
}

/* Waits until the emulator has begun with one more command. */
static void begun(uint64_t before)
{
	rig_wait(rig_stats(rig).commands > before);
	for (unsigned i = 0; i < 3; i++)
		rig_stats(rig); /* a turn of its loop each, and timers that are due */
}

START_TEST(an_aborted_request_comes_back_before_the_answer_to_the_abort)
{
	uint64_t before;

	bring_up_fusion();
	rig_do(rig, "fault late-dma=500 on=read");
	rw(1, false, 0, 0, 1);
	memset(data_at(1), 0xee, 512);
	before = rig_stats(rig).commands;
	descriptor(7, 1, 1);
	begun(before);
	ck_assert_uint_eq(task(1, 0, 1), 0x00);
	ck_assert(there(1));
	ck_assert_uint_eq(reap(1), 1);
	ck_assert_uint_ne(c.mem[AT_REQUESTS + 256 + 0x77], 0);
	rig_wait(*(volatile uint8_t *)(data_at(1) + 511) == 0xdb);
}
END_TEST

START_TEST(a_lost_request_cannot_be_aborted_but_reset)
{
	uint64_t before;

	bring_up_fusion();
	rig_do(rig, "fault drop on=read");
	rw(1, false, 0, 0, 1);
	before = rig_stats(rig).commands;
	descriptor(7, 1, 1);
	begun(before);
	ck_assert_uint_eq(task(1, 0, 1), 0x05);
	ck_assert_uint_eq(task(5, 5, 0), 0x00); /* the other drive */
	ck_assert(!there(1));
	ck_assert_uint_eq(task(5, 0, 0), 0x00);
	ck_assert_uint_eq(reap(1), 1);
	ck_assert_uint_eq(task(1, 0, 1), 0x00); /* there is nothing any more */
}
END_TEST

/* --- reset --- */

START_TEST(the_chip_reset_starts_firmware_anew)
{
	static const uint32_t key[] = {0x0, 0xf, 0x4, 0xb, 0x2, 0x7, 0xd};

	bring_up_fusion();
	rig_do(rig, "fault delay=2500");
	rw(1, false, 0, 0, 1);
	descriptor(7, 0, 1);
	rig_do(rig, "fw-fault 123");
	ck_assert_uint_eq(client_read32(&c, 1, 0xb0), 0xf1230003);
	for (unsigned i = 0; i < ARRAY_SIZE(key); i++)
		client_write32(&c, 1, 0x04, key[i]);
	ck_assert_uint_eq(client_read32(&c, 1, 0x08), 0x80);
	client_write32(&c, 1, 0x08, 0x84);
	rig_wait(!(client_read32(&c, 1, 0x08) & 0x4));
	rig_wait(client_read32(&c, 1, 0xb0) >> 28 == 0xb);
	bring_up_fusion();
	rw(2, false, 0, 0, 1);
	ck_assert_uint_eq(run_io(2, 7), 0);
	usleep(2600000);
	ck_assert(!there(0));
}
END_TEST

START_TEST(wrong_and_repeated_replies)
{
	bring_up_fusion();
	rig_do(rig, "fault wrong-context");
	rw(1, false, 0, 0, 1);
	descriptor(7, 0, 1);
	ck_assert_uint_eq(reap(0), 0x4001);
	rig_do(rig, "fault twice");
	rw(1, false, 0, 0, 1);
	descriptor(7, 0, 1);
	ck_assert_uint_eq(reap(0), 1);
	ck_assert_uint_eq(reap(0), 1);
}
END_TEST

/* A driver out of its mind. */
START_TEST(requests_that_mean_nothing)
{
	static const uint8_t functions[] = {0xf1, 0xf1, 0xf0, 0x00, 0x01};
	struct rng rng = {(uint64_t)_i + 77};

	bring_up_fusion();
	for (unsigned n = 0; n < 1500; n++) {
		unsigned smid = 1 + (unsigned)rng_below(&rng, 20);
		uint8_t *r = rw(smid, rng_below(&rng, 2), 0, (uint32_t)rng_below(&rng, 100), 4);

		for (unsigned i = 0; i < 6; i++)
			r[rng_below(&rng, 256)] = (uint8_t)rng_next(&rng);
		r[0x03] = functions[rng_below(&rng, sizeof(functions))];
		if (r[0x03] == 0xf0) {
			r[0x02] = 0x08;
			le64(r, 0x80, frame_addr(smid));
			r[0x8f] = 0x83;
			le32(dcmd(smid, 0x01010000, 64), 0x18,
				0x01000000 + (uint32_t)rng_below(&rng, 0x3000000));
			frame_again(smid)[rng_below(&rng, 64)] = (uint8_t)rng_next(&rng);
		}
		descriptor((unsigned)rng_below(&rng, 8) | (rng_below(&rng, 2) ? 7 : 0),
			(unsigned)rng_below(&rng, 5), smid);
		for (unsigned v = 0; v < VECTORS; v++)
			if (there(v))
				reap(v);
	}
	rig_do(rig, "back");
	client_bus_master(&c, true);
	rig_wait(client_read32(&c, 1, 0xb0) >> 28 == 0x6);
	client_write32(&c, 1, 0x00, 0x18);
	rig_wait(client_read32(&c, 1, 0xb0) >> 28 == 0xb);
	bring_up_fusion();
	rw(1, false, 0, 0, 1);
	ck_assert_uint_eq(run_io(1, 7), 0);
	forgiven_protocol = rig_stats(rig).protocol_errors;
	forgiven_dma = rig_stats(rig).wrong_dma;
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sas3108");
	TCase *t = tcase_create("wire");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 30);
	tcase_add_test(t, registers_of_a_ready_controller);
	tcase_add_test(t, boot_firmware_gets_on_without_queues);
	tcase_add_loop_test(t, ioc_init_makes_it_operational, 0, 2);
	tcase_add_loop_test(t, ioc_init_with_too_much_is_refused, 0, 2);
	tcase_add_test(t, inquiry_to_a_logical_drive);
	tcase_add_test(t, reads_return_what_was_written_by_each_type_of_descriptor);
	tcase_add_loop_test(t, a_chained_list, 0, 2);
	tcase_add_test(t, errors_have_sense_and_the_count_that_was_moved);
	tcase_add_test(t, units_that_are_not_there);
	tcase_add_test(t, replies_come_in_the_queue_that_was_asked_for);
	tcase_add_test(t, queues_wrap_and_every_request_comes_back_once);
	tcase_add_test(t, the_combined_index_registers_work_too);
	tcase_add_test(t, a_full_queue_waits_for_the_host);
	tcase_add_test(t, masked_replies_are_announced_when_the_mask_opens);
	tcase_add_loop_test(
		t, requests_that_make_no_sense_are_mistakes_of_the_driver, 0, (int)ARRAY_SIZE(wrong));
	tcase_add_test(t, an_aborted_request_comes_back_before_the_answer_to_the_abort);
	tcase_add_test(t, a_lost_request_cannot_be_aborted_but_reset);
	tcase_add_test(t, the_chip_reset_starts_firmware_anew);
	tcase_add_test(t, wrong_and_repeated_replies);
	tcase_add_loop_test(t, requests_that_mean_nothing, 0, 6);
	suite_add_tcase(s, t);
	return run_suite(s);
}
