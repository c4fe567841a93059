/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The SAS3108 model: DCMDs in requests, the maps of logical drives and of drives, and waits for another one [5.10]. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fusion_host.h"

/* A DCMD of mfi_host.h in a request [5.10]. Returns its cmd_status. */
static void wrap(unsigned smid, unsigned slot)
{
	uint8_t *r = request(smid);

	r[0x02] = 0x08;
	r[0x03] = 0xf0;
	r[0x14] = 0x20;
	le64(r, 0x80, frame_addr(slot));
	le32(r, 0x88, 256);
	r[0x8f] = 0x83;
	descriptor(0, 0, smid);
}

static uint8_t run_dcmd(unsigned slot)
{
	wrap(900, slot);
	ck_assert_uint_eq(reap(0), 900);
	return frame_again(slot)[2];
}

START_TEST(dcmds_are_passed_through)
{
	const uint8_t *d = data_at(1);

	bring_up_fusion();
	dcmd(1, 0x01010000, 2384)[0x1c] = 1;
	ck_assert_uint_eq(run_dcmd(1), 0);
	ck_assert_uint_eq(get_le16(d, 0x002), 0x005d);
	ck_assert_str_eq((const char *)d + 0x540, "AVAGO MegaRAID SAS 9361-8i");
	dcmd(1, 0x03010000, 4104);
	ck_assert_uint_eq(run_dcmd(1), 0);
	ck_assert_uint_eq(get_le32(d, 0), 2);
	/* polled ones too are answered in the queue */
	le16(dcmd(1, 0x03010100, 268), 0x10, 0x0011);
	ck_assert_uint_eq(run_dcmd(1), 0);
	ck_assert_uint_eq(get_le32(d, 4), 2);
}
END_TEST

START_TEST(the_raid_map_has_the_drives_and_no_fast_path)
{
	const uint8_t *d = data_at(1);

	bring_up_fusion();
	dcmd(1, 0x0300e101, 172200);
	ck_assert_uint_eq(run_dcmd(1), 0);
	ck_assert_uint_eq(get_le32(d, 0x0000), 0x28a8 + 2 * 0x9e0);
	ck_assert_uint_eq(get_le32(d, 0x0018), 2);
	ck_assert_uint_eq(d[0x20], 0);
	ck_assert_uint_eq(d[0x25], 1);
	ck_assert_uint_eq(d[0x21], 0xff);
	ck_assert_uint_eq(get_le32(d, 0x28a8) & 1, 0);
	ck_assert_uint_eq(get_le16(d, 0x28a8 + 0x9e0 + 0x18), 5);
	ck_assert_uint_eq(d[0x28a8 + 0x10], 1);
}
END_TEST

/* The host says what it knows; firmware answers when that is no longer so, into the same buffer. */
START_TEST(the_wait_for_another_map)
{
	uint8_t *f, *d = data_at(1);

	bring_up_fusion();
	f = dcmd(1, 0x0300e101, 172200);
	le16(f, 0x10, 0x0008);
	f[0x1c] = 2;
	f[0x1d] = 1;
	memset(d, 0, 8);
	le16(d, 2, 1);
	d[4] = 5;
	le16(d, 6, 1);
	wrap(900, 1);
	usleep(30000);
	ck_assert(!there(0));
	rig_do(rig, "add ld9,size=1M");
	ck_assert_uint_eq(reap(0), 900);
	ck_assert_uint_eq(f[2], 0);
	ck_assert_uint_eq(get_le32(d, 0x18), 3);
	/* what is out of date at once: one sequence number */
	memset(d, 0, 12);
	le16(d, 2, 1);
	d[4] = 5;
	le16(d, 6, 77);
	d[8] = 9;
	le16(d, 10, 1);
	f[0x02] = 0xff;
	f[0x1c] = 3;
	wrap(900, 1);
	ck_assert_uint_eq(reap(0), 900);
	/* aborted: not found */
	memset(d, 0, 12);
	le16(d, 2, 1);
	d[4] = 5;
	le16(d, 6, 1);
	d[8] = 9;
	le16(d, 10, 1);
	f[0x1c] = 3;
	wrap(900, 1);
	abort_of(2, 1);
	wrap(901, 2);
	ck_assert_uint_eq(reap(0), 900);
	ck_assert_uint_eq(reap(0), 901);
	ck_assert_uint_eq(f[2], 0x23);
}
END_TEST

/* Handle and sequence number of pd8, as the map has them. */
static uint32_t pd8(void)
{
	const uint8_t *d = data_at(1);

	dcmd(1, 0x0200e102, 2056);
	ck_assert_uint_eq(run_dcmd(1), 0);
	ck_assert_uint_eq(get_le32(d, 0), 2056);
	ck_assert_uint_eq(get_le32(d, 4), 256);
	ck_assert_uint_eq(get_le16(d, 8 + 2), 0xffff);
	ck_assert_uint_eq(d[8 + 8 * 8 + 4], 0x01);
	ck_assert_uint_eq(get_le16(d, 8 + 8 * 8 + 6), 8);
	ck_assert_uint_ne(get_le16(d, 8 + 8 * 8 + 2), 0xffff);
	return get_le32(d, 8 + 8 * 8);
}

/* A read with what the map said, by the way of this function and type [5.8]. */
static unsigned read_pd8(uint32_t entry, uint8_t function)
{
	uint8_t *r = rw(3, false, 8, 0, 1);

	le16(r, 0x00, (uint16_t)(entry >> 16));
	r[0x03] = function;
	r[0x25] |= function ? 0x00 : 0x40;
	r[0x64] = 0x88;
	le16(r, 0x66, function ? 8 : 8 + 255);
	r[0x78] = 0x10;
	le16(r, 0x7a, (uint16_t)entry);
	return run_io(3, function ? 0 : 6);
}

START_TEST(drives_have_handles_and_sequence_numbers)
{
	uint32_t was, is;

	bring_up_fusion();
	dcmd(1, 0x01010000, 2384)[0x1c] = 1;
	ck_assert_uint_eq(run_dcmd(1), 0);
	ck_assert_uint_eq(get_le32(data_at(1), 0x7e8) & 0x01000000, 0x01000000);
	was = pd8();
	ck_assert_uint_eq(pd8(), was);
	ck_assert_uint_eq(read_pd8(was, 0x00), 0);
	ck_assert_uint_eq(read_pd8(was, 0xf1), 0);
	ck_assert_uint_eq(read_pd8(was + 1, 0x00), 0x6700);
	ck_assert_uint_eq(read_pd8(was + 0x10000, 0x00), 0x0c00);
	/* Another one in its place. */
	rig_do(rig, "remove pd8");
	rig_do(rig, "add pd8,size=1M");
	ck_assert_uint_eq(read_pd8(was, 0x00), 0x6700);
	is = pd8();
	ck_assert_uint_ne(is & 0xffff, was & 0xffff);
	ck_assert_uint_ne(is >> 16, was >> 16);
	ck_assert_uint_eq(read_pd8(is, 0x00), 0x2d02); /* power on */
	ck_assert_uint_eq(read_pd8(is, 0x00), 0);
}
END_TEST

START_TEST(the_wait_for_another_map_of_drives)
{
	uint8_t *f;

	bring_up_fusion();
	pd8();
	f = dcmd(2, 0x0200e102, 2056);
	le16(f, 0x10, 0x0008);
	f[0x1c] = 1;
	memset(data_at(2), 0, 2056);
	wrap(901, 2);
	usleep(30000);
	ck_assert(!there(0));
	rig_do(rig, "remove pd8");
	ck_assert_uint_eq(reap(0), 901);
	ck_assert_uint_eq(f[2], 0);
	ck_assert_uint_eq(get_le16(data_at(2), 8 + 8 * 8 + 2), 0xffff);
	/* What came before the next wait is told at once. */
	rig_do(rig, "add pd8,size=1M");
	f[0x02] = 0xff;
	wrap(901, 2);
	ck_assert_uint_eq(reap(0), 901);
	ck_assert_uint_ne(get_le16(data_at(2), 8 + 8 * 8 + 2), 0xffff);
	/* Aborted: anything but OK, or the host would wait again. */
	f[0x02] = 0xff;
	wrap(901, 2);
	abort_of(3, 2);
	wrap(902, 3);
	ck_assert_uint_eq(reap(0), 901);
	ck_assert_uint_eq(reap(0), 902);
	ck_assert_uint_ne(f[2], 0);
}
END_TEST

START_TEST(events_end_the_wait)
{
	uint8_t *f;

	bring_up_fusion();
	dcmd(1, 0x01040100, 20);
	ck_assert_uint_eq(run_dcmd(1), 0);
	f = dcmd(2, 0x01040500, 256);
	le32(f, 0x1c, get_le32(data_at(1), 0) + 1);
	le32(f, 0x20, 0xfe00ffff);
	wrap(901, 2);
	usleep(30000);
	ck_assert(!there(0));
	rig_do(rig, "remove ld5");
	ck_assert_uint_eq(reap(0), 901);
	ck_assert_uint_eq(get_le32(data_at(2), 8), 0x8b);
}
END_TEST
int main(void)
{
	Suite *s = suite_create("sas3108 maps");
	TCase *t = tcase_create("maps");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 30);
	tcase_add_test(t, dcmds_are_passed_through);
	tcase_add_test(t, the_raid_map_has_the_drives_and_no_fast_path);
	tcase_add_test(t, the_wait_for_another_map);
	tcase_add_test(t, drives_have_handles_and_sequence_numbers);
	tcase_add_test(t, the_wait_for_another_map_of_drives);
	tcase_add_test(t, events_end_the_wait);
	suite_add_tcase(s, t);
	return run_suite(s);
}
