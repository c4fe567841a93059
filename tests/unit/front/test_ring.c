/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ring rule against hand-written wire bytes and against the model of the kernel's side. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/front/ring.h"
#include "tests/unit/front/tcmu_model.h"

#define RING_BYTES  (4096 - MODEL_CMDR_OFF)
#define DATA_BLOCKS 64
#define IOVS_MAX    1024

static struct model m;
static struct ring g;
static struct ring_entry e;

static void open_ring(uint32_t cmdr_size, uint32_t blocks)
{
	model_init(&m, cmdr_size, blocks);
	ck_assert_int_eq(ring_attach(&g, m.map, m.map_len, NULL), 0);
	ck_assert_int_eq(ring_start(&g, NULL), 0);
}

static void setup(void)
{
	open_ring(RING_BYTES, DATA_BLOCKS);
}

static void teardown(void)
{
	close(m.event[0]);
	model_fini(&m);
}

static uint8_t *slot(uint32_t at)
{
	return m.map + MODEL_CMDR_OFF + at;
}

static void put(uint32_t at, uint32_t off, const void *bytes, size_t n)
{
	memcpy(slot(at) + off, bytes, n);
}

static void put32(uint32_t at, uint32_t off, uint32_t v)
{
	put(at, off, &v, sizeof(v));
}

static void put64(uint32_t at, uint32_t off, uint64_t v)
{
	put(at, off, &v, sizeof(v));
}

static void put16(uint32_t at, uint32_t off, uint16_t v)
{
	put(at, off, &v, sizeof(v));
}

static void set_head(uint32_t v)
{
	memcpy(m.map + 12, &v, 4);
}

/* READ(10) of one 4096-byte iovec, id 5: written out byte by byte from linux/target_core_user.h. */
static void write_read10(uint32_t at)
{
	static const uint8_t cdb[10] = {0x28, 0, 0, 0, 0, 1, 0, 0, 8, 0};

	memset(slot(at), 0, 128);
	put32(at, 0, 128 | 1);			  /* len_op: 112 + 16, CMD */
	put16(at, 4, 5);			  /* cmd_id */
	put32(at, 8, 1);			  /* iov_cnt */
	put64(at, 24, MODEL_CMDR_OFF + at + 112); /* cdb_off */
	put64(at, 48, m.data_off + 8192);	  /* iov[0].iov_base */
	put64(at, 56, 4096);			  /* iov[0].iov_len */
	put(at, 112, cdb, sizeof(cdb));
	set_head(at + 128);
}

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
	{"ring larger than the mapping", 8, 4, 4096 - 128 + DATA_BLOCKS * 4096 + 8, -EINVAL},
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
	static const uint32_t bad[] = {4, RING_BYTES, RING_BYTES + 8, 0xfffffff8};

	for (unsigned i = 0; i < 4; i++) {
		model_set_position(&m, bad[i]);
		ck_assert_int_eq(ring_start(&g, NULL), -EIO);
		m.mb->cmd_tail = 0;
		ck_assert_int_eq(ring_start(&g, NULL), -EIO);
	}
	model_set_position(&m, RING_BYTES - 8);
	ck_assert_int_eq(ring_start(&g, NULL), 0);
	ck_assert_uint_eq(g.read, RING_BYTES - 8);
	ck_assert_int_eq(ring_peek(&g, &e), RING_EMPTY);
	ck_assert(ring_empty(&g));
}
END_TEST

/* --- entries --- */

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

	write_read10(0);
	ck_assert_int_eq(ring_peek(&g, &e), RING_CMD);
	ck_assert_uint_eq(e.id, 5);
	ck_assert_uint_eq(e.len, 128);
	ck_assert_uint_eq(e.count, 1);
	ck_assert_uint_eq(e.cdb_len, 10);
	ck_assert(!e.refuse);
	ck_assert_mem_eq(e.cdb, slot(112), 10);
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

	write_read10(0);
	slot(0)[6] = 0xa5; /* kflags: the kernel's */
	memcpy(before, slot(0), 8);
	for (unsigned i = 0; i < 96; i++)
		sense[i] = (uint8_t)(i + 1);
	ck_assert_int_eq(ring_peek(&g, &e), RING_CMD);
	ring_advance(&g, &e);
	ck_assert_int_eq(ring_put_reply(&g,
				 &(struct ring_reply){
					 .id = 0x1234, .status = 2, .read_len = 0x01020304, .sense = sense}),
		0);
	ck_assert_mem_eq(slot(0), before, 4); /* len_op untouched */
	ck_assert_uint_eq(slot(0)[4], 0x34);
	ck_assert_uint_eq(slot(0)[5], 0x12);
	ck_assert_uint_eq(slot(0)[6], 0xa5);
	ck_assert_uint_eq(slot(0)[7], 2); /* READ_LEN */
	ck_assert_uint_eq(slot(0)[8], 2);
	ck_assert_mem_eq(slot(0) + 9, "\0\0\0", 3);
	ck_assert_mem_eq(slot(0) + 12, "\x04\x03\x02\x01", 4);
	ck_assert_mem_eq(slot(0) + 16, sense, 96);
	ck_assert_uint_eq(slot(0)[112], 0x28); /* nothing behind the reply */
	ck_assert_uint_eq(model_tail(&m), 0);
	ck_assert_int_eq(ring_publish(&g), 1);
	ck_assert_uint_eq(model_tail(&m), 128);
	ck_assert_int_eq(ring_publish(&g), 0);
}
END_TEST

START_TEST(a_good_reply_clears_flags_and_sense_of_the_slot)
{
	write_read10(0);
	slot(0)[7] = 0xff;
	ck_assert_int_eq(ring_peek(&g, &e), RING_CMD);
	ring_advance(&g, &e);
	ck_assert_int_eq(ring_put_reply(&g, &(struct ring_reply){.id = 5}), 0);
	ck_assert_uint_eq(slot(0)[7], 0);
	for (unsigned i = 8; i < 112; i++)
		ck_assert_uint_eq(slot(0)[i], 0);
}
END_TEST

START_TEST(adjacent_iovecs_become_one)
{
	struct iovec iov[3];
	uint64_t bytes;
	uint32_t n;

	write_read10(0);
	put32(0, 8, 3);
	put64(0, 48, m.data_off);
	put64(0, 56, 4096);
	put64(0, 64, m.data_off + 4096);
	put64(0, 72, 8192);
	put64(0, 80, m.data_off + 4 * 4096);
	put64(0, 88, 512);
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

	write_read10(0);
	put64(0, 48, m.data_off);
	put64(0, 56, DATA_BLOCKS * 4096);
	ck_assert_int_eq(ring_peek(&g, &e), RING_CMD);
	ck_assert_int_eq(ring_copy_iovs(&g, &e, iov, &n, &bytes), 0);
	ck_assert_uint_eq(bytes, DATA_BLOCKS * 4096);
}
END_TEST

#define AREA ((uint64_t)DATA_BLOCKS * 4096)
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

START_TEST(data_outside_the_data_area_breaks_the_ring)
{
	struct iovec iov[2];
	uint64_t bytes = 77;
	uint32_t n = 77;

	write_read10(0);
	put64(0, 48, bad_iov[_i].base);
	put64(0, 56, bad_iov[_i].len);
	if (bad_iov[_i].len2) {
		put32(0, 8, 2);
		put64(0, 64, bad_iov[_i].base2);
		put64(0, 72, bad_iov[_i].len2);
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
	write_read10(0);
	put(0, bad_entry[_i].off, &bad_entry[_i].value, bad_entry[_i].size);
	ck_assert_msg(ring_peek(&g, &e) == RING_BROKEN, "%s", bad_entry[_i].what);
	ck_assert_ptr_nonnull(g.problem);
	ck_assert(!g.lost);
	/* and stays broken, at the same place */
	write_read10(0);
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
		write_read10(0);
		slot(0)[t[i].last] = t[i].opcode;
		put64(0, 24, MODEL_CMDR_OFF + t[i].last);
		ck_assert_int_eq(ring_peek(&g, &e), RING_CMD);
		ck_assert_uint_eq(e.cdb[0], t[i].opcode);
	}
	for (unsigned i = 0; i < 5; i++) {
		ck_assert_int_eq(ring_start(&g, NULL), 0);
		write_read10(0);
		slot(0)[t[i].last + 1] = t[i].opcode;
		put64(0, 24, MODEL_CMDR_OFF + t[i].last + 1);
		ck_assert_int_eq(ring_peek(&g, &e), RING_BROKEN);
	}
}
END_TEST

START_TEST(an_entry_may_not_cross_the_end_of_the_ring)
{
	const uint32_t at = RING_BYTES - 128;

	model_set_position(&m, at);
	ck_assert_int_eq(ring_start(&g, NULL), 0);
	write_read10(at);
	set_head(0);
	ck_assert_int_eq(ring_peek(&g, &e), RING_CMD);
	put32(at, 0, 136 | 1);
	set_head(8);
	ck_assert_int_eq(ring_peek(&g, &e), RING_BROKEN);
}
END_TEST

START_TEST(replies_before_a_malformed_entry_still_go_out)
{
	write_read10(0);
	memcpy(slot(128), slot(0), 128);
	put32(128, 0, 128 | 3);
	set_head(256);
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
	write_read10(0);
	put32(0, 12, 1);
	ck_assert_int_eq(ring_peek(&g, &e), RING_CMD);
	ck_assert(e.refuse);
	ck_assert_uint_eq(e.count, 1);
	put32(0, 12, 0);
	put32(0, 16, 1);
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
		memset(slot(0), 0, 400);
		put32(0, 0, 376 | 1);
		put16(0, 4, 9);
		put64(0, 24, MODEL_CMDR_OFF + 112);
		slot(0)[112] = 0x7f;
		slot(0)[119] = t[i].additional;
		set_head(376);
		ck_assert_int_eq(ring_peek(&g, &e), RING_CMD);
		ck_assert_int_eq(e.refuse, t[i].refuse);
		ck_assert_uint_eq(e.cdb_len, t[i].refuse ? 32 : 8u + t[i].additional);
	}
}
END_TEST

START_TEST(a_tmr_entry_gives_its_ids)
{
	/* type 5 (LUN RESET), three ids; 32 + 6 rounded up */
	put32(0, 0, 40 | 2);
	slot(0)[8] = 5;
	put32(0, 12, 3);
	put16(0, 32, 1);
	put16(0, 34, 0xffff);
	put16(0, 36, 0);
	set_head(40);
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
	put32(0, 0, 40 | 2);
	put32(0, 12, 5);
	set_head(40);
	ck_assert_int_eq(ring_peek(&g, &e), RING_BROKEN);
}
END_TEST

/* --- replies and other slots --- */

static struct model_cmd *queue(uint8_t opcode, uint32_t tag, enum model_dir dir, uint32_t len)
{
	struct model_cmd *c = model_cmd_new(opcode, tag, dir, len);

	ck_assert_int_eq(model_queue(&m, c), 0);
	return c;
}

static uint16_t take(void)
{
	ck_assert_int_eq(ring_peek(&g, &e), RING_CMD);
	ring_advance(&g, &e);
	return e.id;
}

static void reply(uint16_t id)
{
	if (ring_put_reply(&g, &(struct ring_reply){.id = id}) < 0)
		ck_abort_msg("%s", g.problem);
}

static void publish(void)
{
	ck_assert_int_eq(ring_publish(&g), 1);
	model_completions(&m);
	ck_assert(!m.broken);
}

START_TEST(replies_of_every_slot_length_go_into_other_slots)
{
	/* 1 to 40 iovecs: slots of 120 to 704 bytes; replies in reverse order */
	struct model_cmd *c[40];
	uint16_t id[40];

	teardown();
	open_ring(16 * 4096 - MODEL_CMDR_OFF, 2048);
	for (unsigned i = 0; i < 40; i++) {
		c[i] = model_cmd_new(i % 2 ? 0x08 : 0x88, i, MODEL_READ, (i + 1) * 4096);
		ck_assert_int_eq(model_queue_scattered(&m, c[i]), 0);
	}
	for (unsigned i = 0; i < 40; i++) {
		id[i] = take();
		ck_assert_uint_eq(e.count, i + 1);
		ck_assert_uint_eq(e.len, model_entry_size(&m, c[i], i + 1));
	}
	for (unsigned i = 40; i-- > 0;)
		reply(id[i]);
	publish();
	for (unsigned i = 0; i < 40; i++) {
		ck_assert_uint_eq(c[i]->answers, 1);
		model_cmd_free(c[i]);
	}
	ck_assert_uint_eq(m.last_cleaned, model_head(&m));
}
END_TEST

START_TEST(a_pad_at_the_end_is_stepped_over_by_both_sides)
{
	/* every possible room at the end of the ring, from none over a PAD of 8 bytes to one a byte short */
	for (uint32_t room = 0; room <= 160; room += 8) {
		struct model_cmd *c;

		model_set_position(&m, room ? RING_BYTES - room : 0);
		ck_assert_int_eq(ring_start(&g, NULL), 0);
		c = queue(0x28, room, MODEL_NONE, 0);
		reply(take());
		publish();
		ck_assert_uint_eq(c->answers, 1);
		ck_assert_uint_eq(g.published, model_head(&m));
		ck_assert_uint_eq(m.last_cleaned, model_head(&m));
		model_cmd_free(c);
	}
}
END_TEST

START_TEST(silent_slots_never_get_a_reply_wherever_they_are)
{
	/* all placements of up to one TMR before, between and after three commands; every order of replies */
	static const uint8_t order[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

	for (unsigned where = 0; where < 16; where++)
		for (unsigned o = 0; o < 6; o++) {
			struct model_cmd *c[3];
			uint16_t id[3], named[1] = {1};
			unsigned n = 0, tmrs = 0;

			for (unsigned i = 0; i < 4; i++) {
				if (where >> i & 1)
					ck_assert_int_eq(model_tmr(&m, 1, named, 1), 0);
				if (i < 3)
					c[i] = queue(0x88, i, MODEL_READ, 512);
			}
			while (n < 3 || ring_peek(&g, &e) == RING_TMR) {
				if (ring_peek(&g, &e) == RING_CMD)
					id[n++] = e.id;
				else
					tmrs++;
				ring_advance(&g, &e);
			}
			ck_assert_uint_eq(tmrs, (unsigned)__builtin_popcount(where));
			for (unsigned i = 0; i < 3; i++) {
				reply(id[order[o][i]]);
				publish();
				ck_assert_uint_eq(m.in_ring, 2 - i);
			}
			ck_assert_uint_eq(m.last_cleaned, model_head(&m));
			for (unsigned i = 0; i < 3; i++) {
				ck_assert_uint_eq(c[i]->answers, 1);
				model_cmd_free(c[i]);
			}
		}
}
END_TEST

START_TEST(a_lone_tmr_does_not_stay_unpublished)
{
	ck_assert_int_eq(model_tmr(&m, 5, NULL, 0), 0); /* 32 bytes */
	ck_assert_int_eq(ring_peek(&g, &e), RING_TMR);
	ring_advance(&g, &e);
	ck_assert(!ring_settled(&g));
	publish();
	ck_assert(ring_settled(&g));
	ck_assert(ring_empty(&g));
	ck_assert_uint_eq(m.last_cleaned, 32);
}
END_TEST

START_TEST(an_unread_silent_slot_is_not_published)
{
	struct model_cmd *c = queue(0x88, 1, MODEL_NONE, 0);

	reply(take());
	ck_assert_int_eq(model_tmr(&m, 5, NULL, 0), 0);
	publish();
	ck_assert_uint_eq(model_tail(&m), 128);
	ck_assert_int_eq(ring_peek(&g, &e), RING_TMR);
	model_cmd_free(c);
}
END_TEST

START_TEST(a_reply_without_a_taken_command_is_refused)
{
	struct model_cmd *c = queue(0x88, 1, MODEL_NONE, 0);

	ck_assert_int_eq(ring_put_reply(&g, &(struct ring_reply){.id = 1}), -ESTALE);
	ck_assert(g.lost);
	ck_assert(model_unread_intact(&m, 0));
	ck_assert_int_eq(ring_publish(&g), -ESTALE);
	model_cmd_free(c);
}
END_TEST

/* --- changes behind our back --- */

START_TEST(nothing_is_published_after_a_reset)
{
	struct model_cmd *c[4];
	uint16_t id;

	for (unsigned i = 0; i < 3; i++)
		c[i] = queue(0x88, i, MODEL_NONE, 0);
	id = take();
	reply(id);
	publish();
	id = take();
	take();
	model_reset_ring(&m);
	c[3] = queue(0x88, 3, MODEL_NONE, 0);
	ck_assert(!ring_intact(&g));
	ck_assert_int_eq(ring_publish(&g), -ESTALE);
	ck_assert_int_eq(ring_put_reply(&g, &(struct ring_reply){.id = id}), -ESTALE);
	ck_assert_int_eq(ring_peek(&g, &e), RING_LOST);
	ck_assert_uint_eq(model_tail(&m), 0);
	ck_assert(model_unread_intact(&m, 0));
	ck_assert_uint_eq(c[3]->answers, 0);
	for (unsigned i = 0; i < 4; i++)
		model_cmd_free(c[i]);
}
END_TEST

START_TEST(a_reset_between_reply_and_publish_is_noticed)
{
	struct model_cmd *c[2] = {queue(0x88, 0, MODEL_NONE, 0), queue(0x88, 1, MODEL_NONE, 0)};

	reply(take());
	publish();
	reply(take());
	model_reset_ring(&m);
	ck_assert_int_eq(ring_publish(&g), -ESTALE);
	ck_assert_uint_eq(model_tail(&m), 0);
	model_cmd_free(c[0]);
	model_cmd_free(c[1]);
}
END_TEST

START_TEST(a_reset_before_the_first_reply_is_noticed_by_the_head)
{
	struct model_cmd *c[2] = {queue(0x88, 0, MODEL_NONE, 0), queue(0x88, 1, MODEL_NONE, 0)};

	take();
	take();
	model_reset_ring(&m);
	ck_assert(!ring_intact(&g));
	ck_assert_int_eq(ring_peek(&g, &e), RING_LOST);
	model_cmd_free(c[0]);
	model_cmd_free(c[1]);
}
END_TEST

START_TEST(a_reset_before_the_first_reply_is_noticed_when_new_entries_took_the_slots)
{
	/* tail 0 before and after, the same ids, and a head that is where it was, or further */
	struct model_cmd *c[6];
	uint16_t id;

	for (unsigned i = 0; i < 2; i++)
		c[i] = queue(0x88, i, MODEL_NONE, 0);
	id = take();
	take();
	model_reset_ring(&m);
	for (unsigned i = 2; i < 4u + (unsigned)_i; i++)
		c[i] = queue(0x88, i, MODEL_NONE, 0);
	ck_assert_int_eq(ring_put_reply(&g, &(struct ring_reply){.id = id}), -ESTALE);
	ck_assert_int_eq(ring_publish(&g), -ESTALE);
	ck_assert_uint_eq(model_tail(&m), 0);
	ck_assert(model_unread_intact(&m, 0));
	for (unsigned i = 0; i < 4u + (unsigned)_i; i++)
		model_cmd_free(c[i]);
}
END_TEST

START_TEST(a_head_outside_the_ring_loses_it)
{
	static const uint32_t bad[] = {4, 7, RING_BYTES, RING_BYTES + 8, UINT32_MAX};

	set_head(bad[_i]);
	ck_assert_int_eq(ring_peek(&g, &e), RING_LOST);
	set_head(0);
	ck_assert_int_eq(ring_peek(&g, &e), RING_LOST);
}
END_TEST

START_TEST(a_taken_slot_that_changed_loses_the_ring)
{
	static const uint32_t bad[] = {0 | 1, 128 | 3, 104 | 1, 136 | 1, 0xfffffff8 | 1, 0, 264};

	write_read10(0);
	ck_assert_int_eq(ring_peek(&g, &e), RING_CMD);
	ring_advance(&g, &e);
	put32(0, 0, bad[_i]);
	ck_assert_int_eq(ring_put_reply(&g, &(struct ring_reply){.id = 5}), -ESTALE);
	ck_assert_uint_eq(slot(0)[8], 1); /* not written */
	ck_assert_int_eq(ring_publish(&g), -ESTALE);
	ck_assert_uint_eq(model_tail(&m), 0);
}
END_TEST

/* --- at random --- */

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
	static struct iovec iov[IOVS_MAX];
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
	reply(sim.taken[i]);
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

START_TEST(any_interleaving_keeps_the_kernels_rules)
{
	uint64_t rng = (uint64_t)_i + 1;
	/* how keen each side is changes, so that the ring is sometimes full and sometimes empty */
	unsigned keen = 0;

	teardown();
	memset(&sim, 0, sizeof(sim));
	open_ring((_i + 1) * 4096 - MODEL_CMDR_OFF, DATA_BLOCKS * 4);
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
	static struct iovec iov[IOVS_MAX];
	uint64_t rng = (uint64_t)_i * 7919 + 3;

	for (unsigned round = 0; round < 1000; round++) {
		uint32_t head = model_rand(&rng) % RING_BYTES & ~7u, at = model_rand(&rng) % RING_BYTES & ~7u;
		unsigned looks = 0;
		enum ring_what what;

		model_set_position(&m, at);
		check(ring_start(&g, NULL) == 0);
		for (uint32_t i = 0; i < RING_BYTES; i += 4)
			put32(i, 0, model_rand(&rng) % 3 ? model_rand(&rng) % 512 : model_rand(&rng) * 2);
		for (unsigned i = 0; i < 20; i++) /* some that get further than the header */
			put32(model_rand(&rng) % RING_BYTES & ~7u, 0,
				(model_rand(&rng) % 400 & ~7u) | model_rand(&rng) % 3);
		set_head(head);
		do {
			uint64_t bytes;
			uint32_t n;

			what = ring_peek(&g, &e);
			check(looks++ < RING_BYTES);
			check(g.read < RING_BYTES && g.read % 8 == 0);
			if (what == RING_CMD && e.count <= IOVS_MAX &&
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
				put32(model_rand(&rng) % RING_BYTES & ~7u, 0, model_rand(&rng) * 2);
		} while (what == RING_CMD || what == RING_TMR);
		ring_publish(&g);
		check(g.tail < RING_BYTES && g.tail % 8 == 0);
	}
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("front-ring");
	TCase *t = tcase_create("bytes");

	tcase_set_timeout(t, 60); /* for busy machines and sanitizers */
	tcase_add_checked_fixture(t, setup, teardown);
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

	t = tcase_create("slots");
	tcase_set_timeout(t, 60); /* for busy machines and sanitizers */
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, replies_of_every_slot_length_go_into_other_slots);
	tcase_add_test(t, a_pad_at_the_end_is_stepped_over_by_both_sides);
	tcase_add_test(t, silent_slots_never_get_a_reply_wherever_they_are);
	tcase_add_test(t, a_lone_tmr_does_not_stay_unpublished);
	tcase_add_test(t, an_unread_silent_slot_is_not_published);
	tcase_add_test(t, a_reply_without_a_taken_command_is_refused);
	tcase_add_test(t, nothing_is_published_after_a_reset);
	tcase_add_test(t, a_reset_between_reply_and_publish_is_noticed);
	tcase_add_test(t, a_reset_before_the_first_reply_is_noticed_by_the_head);
	tcase_add_loop_test(
		t, a_reset_before_the_first_reply_is_noticed_when_new_entries_took_the_slots, 0, 3);
	tcase_add_loop_test(t, a_head_outside_the_ring_loses_it, 0, 5);
	tcase_add_loop_test(t, a_taken_slot_that_changed_loses_the_ring, 0, 7);
	suite_add_tcase(s, t);

	t = tcase_create("random");
	tcase_set_timeout(t, 60); /* for busy machines and sanitizers */
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, any_interleaving_keeps_the_kernels_rules, 0, 4);
	tcase_add_loop_test(t, random_bytes_neither_crash_nor_hang, 0, 8);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	SRunner *r = srunner_create(suite());
	int failed;

	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
