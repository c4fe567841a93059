/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mailbox and entries of a ring, as wire bytes written by hand. */
#include <errno.h>
#include <string.h>

#include "tests/unit/front/ring_rig.h"
#include "tests/unit/run_suite.h"

/* --- mailbox --- */

START_TEST(attach_accepts_the_kernels_mailbox)
{
	ck_assert_uint_eq(g.cmdr_off, 128);
	ck_assert_uint_eq(g.cmdr_size, 4096 - 128);
	ck_assert_uint_eq(g.data_off, 4096);
	ck_assert_uint_eq(g.caps, 0xf);
}
END_TEST

static const struct {
	const char *what;
	unsigned off, size;
	uint32_t value;
	int ret;
} bad_mailbox[] = {
	{"version 1", 0, 2, 1, -EPROTO},
	{"version 3", 0, 2, 3, -EPROTO},
	{"no out-of-order completion", 2, 2, 0xe, -EPROTO},
	{"ring over the mailbox", 4, 4, 64, -EINVAL},
	{"ring not aligned", 4, 4, 132, -EINVAL},
	{"ring behind the mapping", 4, 4, 0xfffffff8, -EINVAL},
	{"ring of nothing", 8, 4, 0, -EINVAL},
	{"ring without room for two entries", 8, 4, 216, -EINVAL},
	{"ring size not aligned", 8, 4, 4096 - 128 - 4, -EINVAL},
	{"ring larger than the mapping", 8, 4, 4096 - 128 + RIG_BLOCKS * 4096 + 8, -EINVAL},
	{"ring size that overflows", 8, 4, 0xfffffff8, -EINVAL},
};

START_TEST(attach_refuses_a_mailbox_that_makes_no_sense)
{
	struct err err = {0};
	struct ring other;

	memcpy(m.map + bad_mailbox[_i].off, &bad_mailbox[_i].value, bad_mailbox[_i].size);
	ck_assert_msg(ring_attach(&other, m.map, m.map_len, &err) == bad_mailbox[_i].ret, "%s",
		bad_mailbox[_i].what);
	ck_assert_uint_gt(strlen(err.text), 20);
}
END_TEST

START_TEST(attach_takes_a_ring_that_ends_with_the_mapping)
{
	struct ring other;

	ck_assert_int_eq(ring_attach(&other, m.map, 4096, NULL), 0);
	ck_assert_int_eq(ring_attach(&other, m.map, 4095, NULL), -EINVAL);
	ck_assert_int_eq(ring_attach(&other, m.map, 127, NULL), -EINVAL);
}
END_TEST

START_TEST(start_refuses_positions_outside_the_ring)
{
	static const uint32_t bad[] = {4, RIG_RING_BYTES, RIG_RING_BYTES + 8, 0xfffffff8};

	for (unsigned i = 0; i < 4; i++) {
		model_set_position(&m, bad[i]);
		ck_assert_int_eq(ring_start(&g, NULL), -EIO);
		m.mb->cmd_tail = 0;
		ck_assert_int_eq(ring_start(&g, NULL), -EIO);
	}
	model_set_position(&m, RIG_RING_BYTES - 8);
	ck_assert_int_eq(ring_start(&g, NULL), 0);
	ck_assert_uint_eq(g.read, RIG_RING_BYTES - 8);
	ck_assert_int_eq(ring_peek(&g, &e), RING_EMPTY);
	ck_assert(ring_empty(&g));
}
END_TEST

/* --- entries --- */

/* H17: what LIO delivers of each group. */
START_TEST(a_cdb_is_as_long_as_its_group_says)
{
	static const struct {
		uint8_t first, last;
		uint32_t len;
	} t[] = {{0x00, 0x1f, 6}, {0x20, 0x5f, 10}, {0x60, 0x7e, 12}, {0x80, 0x9f, 16}, {0xa0, 0xbf, 12},
		{0xc0, 0xff, 10}};
	uint8_t cdb[8] = {0};

	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		for (unsigned op = t[i].first; op <= t[i].last; op++) {
			cdb[0] = (uint8_t)op;
			ck_assert_uint_eq(ring_cdb_len(cdb), t[i].len);
		}
	cdb[0] = 0x7f;
	ck_assert_uint_eq(ring_cdb_len(cdb), 8);
	cdb[7] = 24;
	ck_assert_uint_eq(ring_cdb_len(cdb), 32);
	cdb[7] = 255;
	ck_assert_uint_eq(ring_cdb_len(cdb), 263);
}
END_TEST

START_TEST(a_command_entry_is_copied)
{
	struct iovec iov[1];
	uint64_t bytes;
	uint32_t n;

	rig_write_read10(0);
	ck_assert_int_eq(ring_peek(&g, &e), RING_CMD);
	ck_assert_uint_eq(e.id, 5);
	ck_assert_uint_eq(e.len, 128);
	ck_assert_uint_eq(e.count, 1);
	ck_assert_uint_eq(e.cdb_len, 10);
	ck_assert(!e.refuse);
	ck_assert_mem_eq(e.cdb, rig_slot(112), 10);
	for (unsigned i = 10; i < RING_CDB_MAX; i++)
		ck_assert_uint_eq(e.cdb[i], 0);
	ck_assert_int_eq(ring_copy_iovs(&g, &e, iov, &n, &bytes), 0);
	ck_assert_uint_eq(n, 1);
	ck_assert_uint_eq(bytes, 4096);
	ck_assert_ptr_eq(iov[0].iov_base, m.map + 4096 + 8192);
	ck_assert_uint_eq(iov[0].iov_len, 4096);
	ring_advance(&g, &e);
	ck_assert_int_eq(ring_peek(&g, &e), RING_EMPTY);
}
END_TEST

START_TEST(a_reply_has_its_bytes_where_the_kernel_reads_them)
{
	uint8_t sense[96], before[8];

	rig_write_read10(0);
	rig_slot(0)[6] = 0xa5; /* kflags: the kernel's */
	memcpy(before, rig_slot(0), 8);
	for (unsigned i = 0; i < 96; i++)
		sense[i] = (uint8_t)(i + 1);
	ck_assert_int_eq(ring_peek(&g, &e), RING_CMD);
	ring_advance(&g, &e);
	ck_assert_int_eq(ring_put_reply(&g,
				 &(struct ring_reply){
					 .id = 0x1234, .status = 2, .read_len = 0x01020304, .sense = sense}),
		0);
	ck_assert_mem_eq(rig_slot(0), before, 4); /* len_op untouched */
	ck_assert_uint_eq(rig_slot(0)[4], 0x34);
	ck_assert_uint_eq(rig_slot(0)[5], 0x12);
	ck_assert_uint_eq(rig_slot(0)[6], 0xa5);
	ck_assert_uint_eq(rig_slot(0)[7], 2); /* READ_LEN */
	ck_assert_uint_eq(rig_slot(0)[8], 2);
	ck_assert_mem_eq(rig_slot(0) + 9, "\0\0\0", 3);
	ck_assert_mem_eq(rig_slot(0) + 12, "\x04\x03\x02\x01", 4);
	ck_assert_mem_eq(rig_slot(0) + 16, sense, 96);
	ck_assert_uint_eq(rig_slot(0)[112], 0x28); /* nothing behind the reply */
	ck_assert_uint_eq(model_tail(&m), 0);
	ck_assert_int_eq(ring_publish(&g), 1);
	ck_assert_uint_eq(model_tail(&m), 128);
	ck_assert_int_eq(ring_publish(&g), 0);
}
END_TEST

/* H18: flags and all 96 bytes of sense, each time. */
START_TEST(a_good_reply_clears_flags_and_sense_of_the_slot)
{
	rig_write_read10(0);
	rig_slot(0)[7] = 0xff;
	ck_assert_int_eq(ring_peek(&g, &e), RING_CMD);
	ring_advance(&g, &e);
	ck_assert_int_eq(ring_put_reply(&g, &(struct ring_reply){.id = 5}), 0);
	ck_assert_uint_eq(rig_slot(0)[7], 0);
	for (unsigned i = 8; i < 112; i++)
		ck_assert_uint_eq(rig_slot(0)[i], 0);
}
END_TEST

START_TEST(adjacent_iovecs_become_one)
{
	struct iovec iov[3];
	uint64_t bytes;
	uint32_t n;

	rig_write_read10(0);
	rig_put32(0, 8, 3);
	rig_put64(0, 48, m.data_off);
	rig_put64(0, 56, 4096);
	rig_put64(0, 64, m.data_off + 4096);
	rig_put64(0, 72, 8192);
	rig_put64(0, 80, m.data_off + 4 * 4096);
	rig_put64(0, 88, 512);
	ck_assert_int_eq(ring_peek(&g, &e), RING_CMD);
	ck_assert_int_eq(ring_copy_iovs(&g, &e, iov, &n, &bytes), 0);
	ck_assert_uint_eq(n, 2);
	ck_assert_uint_eq(bytes, 4096 + 8192 + 512);
	ck_assert_ptr_eq(iov[0].iov_base, m.map + m.data_off);
	ck_assert_uint_eq(iov[0].iov_len, 12288);
	ck_assert_ptr_eq(iov[1].iov_base, m.map + m.data_off + 16384);
	ck_assert_uint_eq(iov[1].iov_len, 512);
}
END_TEST

START_TEST(an_iovec_may_end_with_the_data_area)
{
	struct iovec iov[1];
	uint64_t bytes;
	uint32_t n;

	rig_write_read10(0);
	rig_put64(0, 48, m.data_off);
	rig_put64(0, 56, RIG_BLOCKS * 4096);
	ck_assert_int_eq(ring_peek(&g, &e), RING_CMD);
	ck_assert_int_eq(ring_copy_iovs(&g, &e, iov, &n, &bytes), 0);
	ck_assert_uint_eq(bytes, RIG_BLOCKS * 4096);
}
END_TEST

#define AREA ((uint64_t)RIG_BLOCKS * 4096)
#define DATA ((uint64_t)4096)

static const struct {
	const char *what;
	uint64_t base, len, base2, len2;
} bad_iov[] = {
	{"before the data area", DATA - 1, 1, 0, 0},
	{"in the mailbox", 0, 4096, 0, 0},
	{"in the command ring", 128, 64, 0, 0},
	{"one byte too long", DATA, AREA + 1, 0, 0},
	{"one byte behind", DATA + AREA, 1, 0, 0},
	{"far behind", 1ull << 40, 4096, 0, 0},
	{"sum overflows", DATA, UINT64_MAX, 0, 0},
	{"base overflows", UINT64_MAX - 7, 16, 0, 0},
	{"empty", DATA, 0, 0, 0},
	{"second one outside", DATA, 4096, DATA + AREA - 1, 2},
	{"together more than the area", DATA, AREA, DATA, 1},
};

/* H20: no byte beside the iovecs is touched. */
START_TEST(data_outside_the_data_area_breaks_the_ring)
{
	struct iovec iov[2];
	uint64_t bytes = 77;
	uint32_t n = 77;

	rig_write_read10(0);
	rig_put64(0, 48, bad_iov[_i].base);
	rig_put64(0, 56, bad_iov[_i].len);
	if (bad_iov[_i].len2) {
		rig_put32(0, 8, 2);
		rig_put64(0, 64, bad_iov[_i].base2);
		rig_put64(0, 72, bad_iov[_i].len2);
	}
	ck_assert_int_eq(ring_peek(&g, &e), RING_CMD);
	ck_assert_msg(ring_copy_iovs(&g, &e, iov, &n, &bytes) == -EINVAL, "%s", bad_iov[_i].what);
	ck_assert_uint_eq(n, 77);
	ck_assert_uint_eq(bytes, 77);
	ck_assert_int_eq(ring_peek(&g, &e), RING_BROKEN);
	ck_assert_ptr_nonnull(g.problem);
}
END_TEST

static const struct {
	const char *what;
	uint32_t off, size;
	uint64_t value;
} bad_entry[] = {
	{"length 0", 0, 4, 0 | 1},
	{"PAD of length 0", 0, 4, 0},
	{"beyond head", 0, 4, 136 | 1},
	{"PAD beyond head", 0, 4, 136},
	{"far beyond the ring", 0, 4, 0x7ffffff8 | 1},
	{"longest possible", 0, 4, 0xfffffff8 | 1},
	{"command shorter than a reply", 0, 4, 104 | 1},
	{"TMR shorter than its header", 0, 4, 24 | 2},
	{"unknown type 3", 0, 4, 128 | 3},
	{"unknown type 7", 0, 4, 128 | 7},
	{"id 0", 4, 2, 0},
	{"more iovecs than the entry", 8, 4, 6},
	{"iovec count that overflows", 8, 4, 0x10000001},
	{"largest iovec count", 8, 4, 0xffffffff},
	{"more BIDI iovecs than the entry", 12, 4, 5},
	{"BIDI count that overflows", 12, 4, 0xffffffff},
	{"more DIF iovecs than the entry", 16, 4, 5},
	{"CDB in the mailbox", 24, 8, 0},
	{"CDB over the iovecs", 24, 8, MODEL_CMDR_OFF + 63},
	{"CDB starts at the entry's end", 24, 8, MODEL_CMDR_OFF + 128},
	{"CDB in the data area", 24, 8, 8192},
	{"CDB offset that overflows", 24, 8, UINT64_MAX - 3},
	{"variable-length CDB longer than the entry", 112, 8, 0x7f | 0x09ull << 56},
};

START_TEST(a_malformed_entry_breaks_the_ring)
{
	rig_write_read10(0);
	rig_put(0, bad_entry[_i].off, &bad_entry[_i].value, bad_entry[_i].size);
	ck_assert_msg(ring_peek(&g, &e) == RING_BROKEN, "%s", bad_entry[_i].what);
	ck_assert_ptr_nonnull(g.problem);
	ck_assert(!g.lost);
	/* and stays broken, at the same place */
	rig_write_read10(0);
	ck_assert_int_eq(ring_peek(&g, &e), RING_BROKEN);
	ck_assert_uint_eq(g.read, 0);
}
END_TEST

START_TEST(a_cdb_lies_inside_its_entry)
{
	static const struct {
		uint8_t opcode;
		uint32_t
			last; /* highest offset in the entry of 128 bytes; the kernel pads a CDB to 8 bytes */
	} t[] = {{0x00, 120}, {0x28, 118}, {0xa8, 116}, {0x88, 112}, {0xc1, 118}};

	for (unsigned i = 0; i < 5; i++) {
		rig_write_read10(0);
		rig_slot(0)[t[i].last] = t[i].opcode;
		rig_put64(0, 24, MODEL_CMDR_OFF + t[i].last);
		ck_assert_int_eq(ring_peek(&g, &e), RING_CMD);
		ck_assert_uint_eq(e.cdb[0], t[i].opcode);
	}
	for (unsigned i = 0; i < 5; i++) {
		ck_assert_int_eq(ring_start(&g, NULL), 0);
		rig_write_read10(0);
		rig_slot(0)[t[i].last + 1] = t[i].opcode;
		rig_put64(0, 24, MODEL_CMDR_OFF + t[i].last + 1);
		ck_assert_int_eq(ring_peek(&g, &e), RING_BROKEN);
	}
}
END_TEST

START_TEST(an_entry_may_not_cross_the_end_of_the_ring)
{
	const uint32_t at = RIG_RING_BYTES - 128;

	model_set_position(&m, at);
	ck_assert_int_eq(ring_start(&g, NULL), 0);
	rig_write_read10(at);
	rig_set_head(0);
	ck_assert_int_eq(ring_peek(&g, &e), RING_CMD);
	rig_put32(at, 0, 136 | 1);
	rig_set_head(8);
	ck_assert_int_eq(ring_peek(&g, &e), RING_BROKEN);
}
END_TEST

START_TEST(replies_before_a_malformed_entry_still_go_out)
{
	rig_write_read10(0);
	memcpy(rig_slot(128), rig_slot(0), 128);
	rig_put32(128, 0, 128 | 3);
	rig_set_head(256);
	ck_assert_int_eq(ring_peek(&g, &e), RING_CMD);
	ring_advance(&g, &e);
	ck_assert_int_eq(ring_peek(&g, &e), RING_BROKEN);
	ck_assert_int_eq(ring_put_reply(&g, &(struct ring_reply){.id = 5}), 0);
	ck_assert_int_eq(ring_publish(&g), 1);
	ck_assert_uint_eq(model_tail(&m), 128);
}
END_TEST

START_TEST(bidirectional_and_protected_commands_are_to_be_refused)
{
	rig_write_read10(0);
	rig_put32(0, 12, 1);
	ck_assert_int_eq(ring_peek(&g, &e), RING_CMD);
	ck_assert(e.refuse);
	ck_assert_uint_eq(e.count, 1);
	rig_put32(0, 12, 0);
	rig_put32(0, 16, 1);
	ck_assert_int_eq(ring_peek(&g, &e), RING_CMD);
	ck_assert(e.refuse);
}
END_TEST

START_TEST(a_cdb_longer_than_32_bytes_is_to_be_refused)
{
	static const struct {
		uint8_t additional;
		bool refuse;
	} t[] = {{0, false}, {24, false}, {25, true}, {252, true}, {255, true}};

	for (unsigned i = 0; i < 5; i++) {
		memset(rig_slot(0), 0, 400);
		rig_put32(0, 0, 376 | 1);
		rig_put16(0, 4, 9);
		rig_put64(0, 24, MODEL_CMDR_OFF + 112);
		rig_slot(0)[112] = 0x7f;
		rig_slot(0)[119] = t[i].additional;
		rig_set_head(376);
		ck_assert_int_eq(ring_peek(&g, &e), RING_CMD);
		ck_assert_int_eq(e.refuse, t[i].refuse);
		ck_assert_uint_eq(e.cdb_len, t[i].refuse ? 32 : 8u + t[i].additional);
	}
}
END_TEST

START_TEST(a_tmr_entry_gives_its_ids)
{
	/* type 5 (LUN RESET), three ids; 32 + 6 rounded up */
	rig_put32(0, 0, 40 | 2);
	rig_slot(0)[8] = 5;
	rig_put32(0, 12, 3);
	rig_put16(0, 32, 1);
	rig_put16(0, 34, 0xffff);
	rig_put16(0, 36, 0);
	rig_set_head(40);
	ck_assert_int_eq(ring_peek(&g, &e), RING_TMR);
	ck_assert_uint_eq(e.tmr_type, 5);
	ck_assert_uint_eq(e.count, 3);
	ck_assert_uint_eq(ring_tmr_id(&g, &e, 0), 1);
	ck_assert_uint_eq(ring_tmr_id(&g, &e, 1), 0xffff);
	ck_assert_uint_eq(ring_tmr_id(&g, &e, 2), 0);
	ring_advance(&g, &e);
	ck_assert_int_eq(ring_publish(&g), 1);
	ck_assert_uint_eq(model_tail(&m), 40);
}
END_TEST

START_TEST(a_tmr_entry_with_more_ids_than_bytes_breaks_the_ring)
{
	rig_put32(0, 0, 40 | 2);
	rig_put32(0, 12, 5);
	rig_set_head(40);
	ck_assert_int_eq(ring_peek(&g, &e), RING_BROKEN);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("front-ring");
	TCase *t = tcase_create("bytes");

	tcase_set_timeout(t, 60); /* for busy machines and sanitizers */
	tcase_add_checked_fixture(t, rig_setup, rig_close);
	tcase_add_test(t, attach_accepts_the_kernels_mailbox);
	tcase_add_loop_test(t, attach_refuses_a_mailbox_that_makes_no_sense, 0,
		sizeof(bad_mailbox) / sizeof(bad_mailbox[0]));
	tcase_add_test(t, attach_takes_a_ring_that_ends_with_the_mapping);
	tcase_add_test(t, start_refuses_positions_outside_the_ring);
	tcase_add_test(t, a_cdb_is_as_long_as_its_group_says);
	tcase_add_test(t, a_command_entry_is_copied);
	tcase_add_test(t, a_reply_has_its_bytes_where_the_kernel_reads_them);
	tcase_add_test(t, a_good_reply_clears_flags_and_sense_of_the_slot);
	tcase_add_test(t, adjacent_iovecs_become_one);
	tcase_add_test(t, an_iovec_may_end_with_the_data_area);
	tcase_add_loop_test(
		t, data_outside_the_data_area_breaks_the_ring, 0, sizeof(bad_iov) / sizeof(bad_iov[0]));
	tcase_add_loop_test(
		t, a_malformed_entry_breaks_the_ring, 0, sizeof(bad_entry) / sizeof(bad_entry[0]));
	tcase_add_test(t, a_cdb_lies_inside_its_entry);
	tcase_add_test(t, an_entry_may_not_cross_the_end_of_the_ring);
	tcase_add_test(t, replies_before_a_malformed_entry_still_go_out);
	tcase_add_test(t, bidirectional_and_protected_commands_are_to_be_refused);
	tcase_add_test(t, a_cdb_longer_than_32_bytes_is_to_be_refused);
	tcase_add_test(t, a_tmr_entry_gives_its_ids);
	tcase_add_test(t, a_tmr_entry_with_more_ids_than_bytes_breaks_the_ring);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return run_suite(suite());
}
