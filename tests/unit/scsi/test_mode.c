/* SPDX-License-Identifier: GPL-2.0-or-later */
/* MODE SENSE and MODE SELECT: bytes by hand from SPC-4 and SBC-3. */
#include <stdio.h>
#include <string.h>
#include "base/endian.h"
#include "fixture.h"

static struct fx x;

static void setup(void)
{
	fx_setup(&x, 4096);
}
static void teardown(void)
{
	ck_assert_uint_eq(x.fake->n_log, 0); /* nothing here reaches the controller */
	fx_teardown(&x);
}

#define DESCRIPTOR     0x00, 0x00, 0x10, 0x00, 0x00, 0x00, 0x02, 0x00
#define ZEROS4	       0, 0, 0, 0
#define RECOVERY       0x01, 0x0a, ZEROS4, ZEROS4, 0, 0
#define CACHING(b)     0x08, 0x12, b, 0, ZEROS4, ZEROS4, ZEROS4, ZEROS4
#define CONTROL_(d, s) 0x0a, 0x0a, 0x02 | (d), 0x10, s, 0x40, ZEROS4, 0, 0
#define CONTROL	       CONTROL_(0, 0)
#define POWER	       0x1a, 0x26, ZEROS4, ZEROS4, ZEROS4, ZEROS4, ZEROS4, ZEROS4, ZEROS4, ZEROS4, ZEROS4, 0, 0
#define EXCEPTIONS     0x1c, 0x0a, 0x08, 0, 0, 0, ZEROS4, 0, 0

/* --- MODE SENSE --- */

static void mode(struct tst *t, const char *cdb, uint8_t cdb_len, const uint8_t *want, unsigned len)
{
	tst_do(t, &x, cdb, cdb_len, 255);
	assert_good(t);
	ck_assert_uint_eq(t->task.in_bytes, len);
	ck_assert_mem_eq(t->buf, want, len);
	tst_fini(t);
}

START_TEST(mode_sense_6_gives_each_page_and_all)
{
	static const uint8_t caching[] = {31, 0, 0x10, 8, DESCRIPTOR, CACHING(0)};
	static const uint8_t control[] = {15, 0, 0x10, 0, CONTROL};
	static const uint8_t all[] = {
		107, 0, 0x10, 8, DESCRIPTOR, RECOVERY, CACHING(0), CONTROL, POWER, EXCEPTIONS};
	struct tst t;

	mode(&t, "\x1a\x00\x08\x00\xff\x00", 6, caching, sizeof(caching));
	mode(&t, "\x1a\x08\x0a\x00\xff\x00", 6, control, sizeof(control));
	mode(&t, "\x1a\x00\x3f\x00\xff\x00", 6, all, sizeof(all));
	mode(&t, "\x1a\x00\x3f\xff\xff\x00", 6, all, sizeof(all));
	mode(&t, "\x1a\x08\x0a\xff\xff\x00", 6, control, sizeof(control)); /* a page and its subpages */
	mode(&t, "\x1a\x00\xbf\x00\xff\x00", 6, all, sizeof(all));	   /* default values */
	mode(&t, "\x1a\x00\x3f\x00\x04\x00", 6, all, 4);
	mode(&t, "\x1a\x00\x3f\x00\x00\x00", 6, all, 0);
}
END_TEST

START_TEST(mode_sense_10_has_short_and_long_descriptors)
{
	static const uint8_t brief[] = {0, 26, 0, 0x10, 0, 0, 0, 8, DESCRIPTOR, EXCEPTIONS};
	static const uint8_t wide[] = {
		0, 34, 0, 0x10, 1, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 2, 0, EXCEPTIONS};
	static const uint8_t none[] = {0, 18, 0, 0x10, 0, 0, 0, 0, EXCEPTIONS};
	struct tst t;

	mode(&t, "\x5a\x00\x1c\x00\x00\x00\x00\x01\x00\x00", 10, brief, sizeof(brief));
	mode(&t, "\x5a\x10\x1c\x00\x00\x00\x00\x01\x00\x00", 10, wide, sizeof(wide));
	mode(&t, "\x5a\x18\x1c\x00\x00\x00\x00\x01\x00\x00", 10, none, sizeof(none));
	mode(&t, "\x5a\x18\x1c\x00\x00\x00\x00\x00\x05\x00", 10, none, 5);
}
END_TEST

START_TEST(only_d_sense_and_swp_are_changeable_and_nothing_is_saved)
{
	static const uint8_t caching[] = {23, 0, 0x10, 0, 0x08, 0x12, 0, 0, ZEROS4, ZEROS4, ZEROS4, ZEROS4};
	static const uint8_t control[] = {15, 0, 0x10, 0, 0x0a, 0x0a, 0x04, 0, 0x08, 0, ZEROS4, 0, 0};
	struct tst t;

	x.fake->hba.unit[0].write_back = true;
	mode(&t, "\x1a\x08\x48\x00\xff\x00", 6, caching, sizeof(caching));
	mode(&t, "\x1a\x08\x4a\x00\xff\x00", 6, control, sizeof(control));
	tst_do(&t, &x, "\x1a\x08\xc8\x00\xff\x00", 6, 255);
	assert_check(&t, 0x05, 0x39, 0x00);
	tst_fini(&t);
}
END_TEST

START_TEST(unknown_pages_and_subpages_are_refused)
{
	static const char *const cdbs[] = {"\x1a\x00\x02\x00\xff\x00", "\x1a\x00\x00\x00\xff\x00",
		"\x1a\x00\x0a\x01\xff\x00", "\x1a\x00\x3f\x01\xff\x00"};
	struct tst t;

	for (unsigned i = 0; i < ARRAY_SIZE(cdbs); i++) {
		tst_do(&t, &x, cdbs[i], 6, 255);
		assert_check(&t, 0x05, 0x24, 0x00);
		tst_fini(&t);
	}
}
END_TEST

/* AWRE, ARRE and counts stay; TB, PER, DTE, DCR and LBPERE would not be true. */
START_TEST(the_units_own_recovery_and_power_pages_are_shown)
{
	static const uint8_t recovery[] = {
		15, 0, 0x10, 0, 0x01, 0x0a, 0xd8, 0x11, 0, 0, 0, 0x00, 0x22, 0, 0x33, 0x44};
	struct fake *f = fake_new(1, 4096, 512);
	uint8_t power[0x26];
	struct fx y;
	struct tst t;

	memset(power, 0x5a, sizeof(power));
	fake_set_page(&f->disk[0].mode[0x01], "\xff\x11\0\0\0\x80\x22\0\x33\x44", 10);
	fake_set_page(&f->disk[0].mode[0x1a], power, sizeof(power));
	fx_attach(&y, f);
	tst_do(&t, &y, "\x1a\x08\x01\x00\xff\x00", 6, 255);
	ck_assert_uint_eq(t.task.in_bytes, sizeof(recovery));
	ck_assert_mem_eq(t.buf, recovery, sizeof(recovery));
	tst_fini(&t);
	tst_do(&t, &y, "\x1a\x08\x1a\x00\xff\x00", 6, 255);
	ck_assert_uint_eq(t.task.in_bytes, 4 + 2 + 0x26);
	ck_assert_mem_eq(t.buf + 6, power, sizeof(power));
	tst_fini(&t);
	tst_do(&t, &y, "\x1a\x08\x5a\x00\xff\x00", 6, 255);
	for (unsigned i = 6; i < 44; i++)
		ck_assert_uint_eq(t.buf[i], 0);
	tst_fini(&t);
	fx_teardown(&y);
}
END_TEST

static uint8_t caching_bits(struct fx *fx)
{
	struct tst t;
	uint8_t bits;

	tst_do(&t, fx, "\x1a\x08\x08\x00\xff\x00", 6, 255);
	assert_good(&t);
	bits = t.buf[6];
	tst_fini(&t);
	return bits;
}

START_TEST(wce_is_set_when_anything_on_the_way_caches)
{
	struct hba_unit *u = &x.fake->hba.unit[0];
	struct fake *f = fake_new(1, 4096, 512);
	struct fx cached;

	ck_assert_uint_eq(caching_bits(&x), 0);
	u->write_back = true;
	ck_assert_uint_eq(caching_bits(&x), 0x04);
	u->cache_protected = true;
	ck_assert_uint_eq(caching_bits(&x), 0x04);
	u->write_back = false;
	ck_assert_uint_eq(caching_bits(&x), 0x00);
	u->disk_cache = true;
	ck_assert_uint_eq(caching_bits(&x), 0x04);
	f->disk[0].mode_wce = 0x05;
	fx_attach(&cached, f);
	ck_assert_uint_eq(caching_bits(&cached), 0x05); /* with RCD */
	fx_teardown(&cached);
}
END_TEST

/* H16: ro=1 refuses all that writes. */
START_TEST(ro_sets_wp_and_refuses_what_writes)
{
	static const struct {
		const char *cdb;
		uint8_t len;
	} writes[] = {{"\x0a\0\0\0\x01\0", 6}, {"\x2a\0\0\0\0\0\0\0\x01\0", 10},
		{"\xaa\0\0\0\0\0\0\0\0\x01\0\0", 12}, {"\x8a\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0", 16},
		{"\x1b\0\0\0\0\0", 6}, {"\x15\x10\0\0\x10\0", 6}};
	struct fx ro = x;
	struct tst t;

	ro.lun = fx_lun(&x, "ld0;ro=1");
	tst_do(&t, &ro, "\x1a\x08\x0a\x00\xff\x00", 6, 255);
	ck_assert_uint_eq(t.buf[2], 0x90);
	tst_fini(&t);
	tst_do(&t, &ro, "\x1a\x08\x4a\x00\xff\x00", 6, 255); /* and so nothing is changeable */
	for (unsigned i = 6; i < 16; i++)
		ck_assert_uint_eq(t.buf[i], 0);
	tst_fini(&t);
	for (unsigned i = 0; i < ARRAY_SIZE(writes); i++) {
		tst_do(&t, &ro, writes[i].cdb, writes[i].len, 512);
		assert_check(&t, 0x07, 0x27, 0x00);
		tst_fini(&t);
	}
	ck_assert_uint_eq(x.fake->n_log, 0);
	tst_do(&t, &ro, "\x28\0\0\0\0\0\0\0\x01\0", 10, 512);
	assert_good(&t);
	tst_fini(&t);
	x.fake->n_log = 0;
	scsi_lun_destroy(ro.lun);
}
END_TEST

/* --- MODE SELECT --- */

/* With a list of len bytes, and room for as much. */
static void select6(struct tst *t, uint8_t byte1, const uint8_t *list, size_t len)
{
	uint8_t cdb[6] = {0x15, byte1, 0, 0, (uint8_t)len, 0};

	tst_init(t, x.lun, cdb, sizeof(cdb), len, len ? (unsigned)MIN(len, (size_t)3) : 0);
	memcpy(t->buf, list, len);
	t->filled = true;
	tst_submit(t);
}

static void select10(struct tst *t, const uint8_t *list, size_t len)
{
	uint8_t cdb[10] = {0x55, 0x10};

	put_be16(cdb + 7, (uint16_t)len);
	tst_init(t, x.lun, cdb, sizeof(cdb), len, 1);
	memcpy(t->buf, list, len);
	t->filled = true;
	tst_submit(t);
}

/* What MODE SENSE gave is what MODE SELECT takes. */
START_TEST(what_was_sensed_can_be_selected)
{
	static const struct {
		const char *cdb;
		uint8_t len;
	} senses[] = {{"\x1a\x00\x3f\x00\xff\x00", 6}, {"\x1a\x08\x3f\x00\xff\x00", 6},
		{"\x5a\x00\x3f\x00\0\0\0\0\xff\x00", 10}, {"\x5a\x10\x3f\x00\0\0\0\0\xff\x00", 10},
		{"\x5a\x08\x0a\x00\0\0\0\0\xff\x00", 10}};

	x.fake->hba.unit[0].write_back = true;
	for (unsigned i = 0; i < ARRAY_SIZE(senses); i++) {
		struct tst t, s;

		tst_do(&t, &x, senses[i].cdb, senses[i].len, 255);
		assert_good(&t);
		if (senses[i].len == 6)
			select6(&s, 0x10, t.buf, t.task.in_bytes);
		else
			select10(&s, t.buf, t.task.in_bytes);
		assert_good(&s);
		ck_assert_uint_eq(s.task.dir, DMA_TO_DEVICE);
		ck_assert_uint_eq(s.task.in_bytes, 0);
		tst_fini(&s);
		tst_fini(&t);
	}
}
END_TEST

START_TEST(an_empty_list_and_headers_alone_change_nothing)
{
	static const uint8_t bare[] = {0, 0, 0, 0};
	static const uint8_t any_capacity[] = {0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 2, 0};
	static const uint8_t most[] = {0, 0, 0x90, 8, 0xff, 0xff, 0xff, 0xff, 0, 0, 2, 0};
	static const uint8_t wide[] = {0, 0, 0, 0, 1, 0, 0, 16, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0, 0, 0, 0, 0, 0, 2, 0};
	struct tst t;

	select6(&t, 0x00, bare, 0); /* PF does not matter without pages */
	assert_good(&t);
	tst_fini(&t);
	select6(&t, 0x10, bare, sizeof(bare));
	assert_good(&t);
	tst_fini(&t);
	select6(&t, 0x10, any_capacity, sizeof(any_capacity));
	assert_good(&t);
	tst_fini(&t);
	select6(&t, 0x10, most, sizeof(most));
	assert_good(&t);
	tst_fini(&t);
	select10(&t, wide, sizeof(wide));
	assert_good(&t);
	tst_fini(&t);
}
END_TEST

/* C/D is 0 in the pointer: it points into the list. */
static const struct {
	const char *what;
	uint8_t len;
	uint8_t list[40];
	uint8_t asc, pointer[3];
} wrong[] = {
	{"header cut", 3, {0, 0, 0}, 0x1a, {0}},
	{"medium type", 4, {0, 1, 0, 0}, 0x26, {0x8f, 0, 1}},
	{"descriptor length", 4 + 7, {0, 0, 0, 7}, 0x26, {0x8f, 0, 3}},
	{"descriptor cut", 4 + 7, {0, 0, 0, 8}, 0x1a, {0}},
	{"capacity", 12, {0, 0, 0, 8, 0, 0, 0x0f, 0xff, 0, 0, 2, 0}, 0x26, {0x8f, 0, 4}},
	{"block size", 12, {0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0x10, 0}, 0x26, {0x8f, 0, 9}},
	{"no such page", 4 + 12, {0, 0, 0, 0, 0x02, 0x0a}, 0x26, {0x8d, 0, 4}},
	{"all pages", 4 + 12, {0, 0, 0, 0, 0x3f, 0x0a}, 0x26, {0x8d, 0, 4}},
	{"subpage", 4 + 12, {0, 0, 0, 0, 0x4a, 0x01, 0, 8}, 0x26, {0x8e, 0, 4}},
	{"page of one byte", 5, {0, 0, 0, 0, 0x0a}, 0x1a, {0}},
	{"page length", 4 + 12, {0, 0, 0, 0, 0x0a, 0x08}, 0x26, {0x8f, 0, 5}},
	{"page cut", 4 + 11, {0, 0, 0, 0, CONTROL}, 0x1a, {0}},
	{"TST", 4 + 12, {0, 0, 0, 0, 0x0a, 0x0a, 0x22, 0x10, 0, 0x40}, 0x26, {0x8d, 0, 6}},
	{"TAS", 4 + 12, {0, 0, 0, 0, 0x0a, 0x0a, 0x02, 0x10, 0, 0x00}, 0x26, {0x8e, 0, 9}},
	{"WCE", 4 + 20, {0, 0, 0, 0, CACHING(0x04)}, 0x26, {0x8a, 0, 6}},
	{"a good page before a bad one", 4 + 12 + 20, {0, 0, 0, 0, CONTROL_(4, 8), CACHING(0x01)}, 0x26,
		{0x88, 0, 18}},
};

START_TEST(a_wrong_list_is_refused_where_it_is_wrong)
{
	static const uint8_t control[] = {15, 0, 0x10, 0, CONTROL};
	struct tst t;

	select6(&t, 0x10, wrong[_i].list, wrong[_i].len);
	ck_assert_msg(t.task.status == SCSI_CHECK_CONDITION, "%s", wrong[_i].what);
	assert_check(&t, 0x05, wrong[_i].asc, 0x00);
	ck_assert_msg(memcmp(t.task.sense + 15, wrong[_i].pointer, 3) == 0, "%s: %02x %02x %02x",
		wrong[_i].what, t.task.sense[15], t.task.sense[16], t.task.sense[17]);
	tst_fini(&t);
	/* Nothing of it counted. */
	mode(&t, "\x1a\x08\x0a\x00\xff\x00", 6, control, sizeof(control));
}
END_TEST

START_TEST(a_wrong_list_of_the_long_form_is_refused)
{
	static const uint8_t wide[] = {0, 0, 0, 0, 1, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0};
	static const uint8_t size[] = {
		0, 0, 0, 0, 1, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0};
	static const uint8_t medium[] = {0, 0, 1, 0, 0, 0, 0, 0};
	uint8_t huge[300] = {0};
	struct tst t;

	select10(&t, wide, sizeof(wide));
	assert_check(&t, 0x05, 0x26, 0x00);
	ck_assert_mem_eq(t.task.sense + 15, "\x8f\x00\x06", 3);
	tst_fini(&t);
	select10(&t, size, sizeof(size));
	assert_check(&t, 0x05, 0x26, 0x00);
	ck_assert_mem_eq(t.task.sense + 15, "\x8f\x00\x14", 3);
	tst_fini(&t);
	select10(&t, medium, sizeof(medium));
	ck_assert_mem_eq(t.task.sense + 15, "\x8f\x00\x02", 3);
	tst_fini(&t);
	select10(&t, huge, sizeof(huge));
	assert_check(&t, 0x05, 0x1a, 0x00);
	tst_fini(&t);
}
END_TEST

START_TEST(a_wrong_cdb_is_refused)
{
	static const uint8_t list[] = {0, 0, 0, 0, CONTROL};
	uint8_t cdb[6] = {0x15, 0x10, 0, 0, sizeof(list), 0};
	struct tst t;

	select6(&t, 0x11, list, sizeof(list)); /* SP */
	assert_check(&t, 0x05, 0x24, 0x00);
	ck_assert_mem_eq(t.task.sense + 15, "\xc8\x00\x01", 3);
	tst_fini(&t);
	select6(&t, 0x00, list, sizeof(list)); /* no PF */
	assert_check(&t, 0x05, 0x24, 0x00);
	ck_assert_mem_eq(t.task.sense + 15, "\xcc\x00\x01", 3);
	tst_fini(&t);
	for (unsigned room = 0; room < 32; room++) {
		if (room == sizeof(list))
			continue;
		tst_init(&t, x.lun, cdb, 6, room, room ? 1 : 0);
		tst_submit(&t);
		assert_check(&t, 0x05, 0x0e, 0x03);
		tst_fini(&t);
	}
}
END_TEST

/* Seeded. Whatever a list holds, it is taken whole or refused with a pointer into it, and only two bits ever change. */
START_TEST(any_list_is_taken_or_refused)
{
	uint32_t state = 12345;
	unsigned taken = 0;

	for (unsigned round = 0; round < 5000; round++) {
		uint8_t list[64] = {0, 0, 0, 0, 0x0a, 0x0a, 0x02, 0x10, 0, 0x40};
		size_t len = 16;
		struct tst t;

		for (unsigned i = 0; i < 3; i++) {
			state = state * 1103515245 + 12345;
			if (state >> 30)
				list[(state >> 8) % 20] = (uint8_t)(state >> 16);
			else if (state >> 28 == 1)
				len = (state >> 8) % sizeof(list);
		}
		select6(&t, 0x10, list, len);
		ck_assert_uint_eq(t.done, 1);
		taken += t.task.status == SCSI_GOOD;
		if (t.task.status != SCSI_GOOD && t.task.sense[0] == 0x70 && t.task.sense[12] == 0x26)
			ck_assert_uint_lt(get_be16(t.task.sense + 16), len);
		ck_assert(t.task.status == SCSI_GOOD || t.task.status == SCSI_CHECK_CONDITION);
		tst_fini(&t);
		if (round % 100)
			continue;
		tst_do(&t, &x, "\x1a\x08\x0a\x00\xff\x00", 6, 255);
		ck_assert_uint_eq(t.buf[6] & ~0x04, 0x02);
		ck_assert_uint_eq(t.buf[8] & ~0x08, 0x00);
		tst_fini(&t);
	}
	ck_assert_uint_gt(taken, 50);
}
END_TEST

/* --- what can be changed --- */

static void set_control(uint8_t d_sense, uint8_t swp)
{
	const uint8_t list[] = {0, 0, 0, 0, CONTROL_(d_sense, swp)};
	const uint8_t want[] = {15, 0, swp ? 0x90 : 0x10, 0, CONTROL_(d_sense, swp)};
	static const uint8_t defaults[] = {0, 18, 0, 0, 0, 0, 0, 0, CONTROL};
	struct tst t;

	select6(&t, 0x10, list, sizeof(list));
	assert_good(&t);
	tst_fini(&t);
	mode(&t, "\x1a\x08\x0a\x00\xff\x00", 6, want, sizeof(want));
	tst_do(&t, &x, "\x5a\x08\x8a\x00\x00\x00\x00\x00\xff\x00", 10, 255);
	ck_assert_mem_eq(t.buf + 8, defaults + 8, 12);
	tst_fini(&t);
}

START_TEST(swp_protects_the_medium_until_it_is_taken_back)
{
	uint8_t cdb[10];
	struct tst t;

	set_control(0, 0x08);
	cdb10(cdb, 0x2a, 0, 0, 1);
	tst_do(&t, &x, cdb, 10, 512);
	assert_check(&t, 0x07, 0x27, 0x00);
	tst_fini(&t);
	ck_assert_uint_eq(x.fake->n_log, 0);
	tst_do(&t, &x, "\x1b\0\0\0\x01\0", 6, 0); /* START is no write to the medium */
	assert_good(&t);
	tst_fini(&t);
	cdb10(cdb, 0x28, 0, 0, 1);
	tst_do(&t, &x, cdb, 10, 512);
	assert_good(&t);
	tst_fini(&t);
	set_control(0, 0);
	cdb10(cdb, 0x2a, 0, 0, 1);
	tst_do(&t, &x, cdb, 10, 512);
	assert_good(&t);
	tst_fini(&t);
	x.fake->n_log = 0;
}
END_TEST

START_TEST(d_sense_chooses_the_format_of_all_sense_data)
{
	static const uint8_t field[] = {
		0x72, 0x05, 0x24, 0x00, 0, 0, 0, 8, 0x02, 0x06, 0, 0, 0xcf, 0x00, 0x02, 0};
	static const uint8_t medium[] = {
		0x72, 0x03, 0x11, 0x00, 0, 0, 0, 12, 0x00, 0x0a, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 7};
	uint8_t cdb[10];
	struct tst t;

	set_control(0x04, 0);
	tst_do(&t, &x, "\x12\x01\x88\x00\xff\x00", 6, 255);
	assert_check_desc(&t, 0x05, 0x24, 0x00);
	ck_assert_uint_eq(t.task.sense_len, sizeof(field));
	ck_assert_mem_eq(t.task.sense, field, sizeof(field));
	tst_fini(&t);
	x.disk->bad_lba = 7; /* the unit itself answers in fixed format */
	cdb10(cdb, 0x28, 0, 0, 16);
	tst_do(&t, &x, cdb, 10, 8192);
	assert_check_desc(&t, 0x03, 0x11, 0x00);
	ck_assert_uint_eq(t.task.sense_len, sizeof(medium));
	ck_assert_mem_eq(t.task.sense, medium, sizeof(medium));
	ck_assert_uint_eq(t.task.sense[sizeof(medium)], 0);
	t.filled = true; /* the blocks before the bad one */
	tst_fini(&t);
	set_control(0, 0);
	tst_do(&t, &x, "\x12\x01\x88\x00\xff\x00", 6, 255);
	assert_check(&t, 0x05, 0x24, 0x00);
	tst_fini(&t);
	x.fake->n_log = 0;
}
END_TEST

/* Whatever format the unit itself was set to. */
START_TEST(a_units_descriptors_are_translated_for_who_wants_fixed_format)
{
	static const uint8_t medium[20] = {
		0x72, 0x03, 0x11, 0x00, 0, 0, 0, 12, 0x00, 0x0a, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 7};
	struct tst t;

	tst_init(&t, x.lun, "\x28\0\0\0\0\0\0\0\x10\0", 10, 8192, 1);
	tst_submit(&t);
	fake_end(x.fake, 0, HBA_DONE, 0x02, medium, sizeof(medium));
	assert_check(&t, 0x03, 0x11, 0x00);
	ck_assert_mem_eq(t.task.sense, "\xf0\0\x03\0\0\0\x07\x0a", 8);
	tst_fini(&t);
	set_control(0x04, 0);
	tst_init(&t, x.lun, "\x28\0\0\0\0\0\0\0\x10\0", 10, 8192, 1);
	tst_submit(&t);
	fake_end(x.fake, 0, HBA_DONE, 0x02, medium, sizeof(medium));
	assert_check_desc(&t, 0x03, 0x11, 0x00);
	ck_assert_mem_eq(t.task.sense, medium, sizeof(medium));
	tst_fini(&t);
	x.fake->n_log = 0;
}
END_TEST

static uint8_t control_byte(unsigned at)
{
	uint8_t byte;
	struct tst t;

	tst_do(&t, &x, "\x1a\x08\x0a\x00\xff\x00", 6, 255);
	assert_good(&t);
	byte = t.buf[4 + at];
	tst_fini(&t);
	return byte;
}

static void lun_anew(void)
{
	scsi_lun_destroy(x.lun);
	x.lun = fx_lun(&x, "ld0");
}

/* tcmu-runner hands a LUN over anew when it is restarted, and no initiator notices. */
START_TEST(what_was_chosen_outlives_the_lun)
{
	uint8_t cdb[10];
	struct tst t;

	set_control(0x04, 0x08);
	lun_anew();
	ck_assert_uint_eq(control_byte(2), 0x06);
	ck_assert_uint_eq(control_byte(4), 0x08);
	cdb10(cdb, 0x2a, 0, 0, 1);
	tst_do(&t, &x, cdb, 10, 512);
	assert_check_desc(&t, 0x07, 0x27, 0x00);
	tst_fini(&t);
	set_control(0, 0);
	lun_anew();
	ck_assert_uint_eq(control_byte(2), 0x02);
	ck_assert_uint_eq(control_byte(4), 0);
}
END_TEST

#define UNITS 12

START_TEST(what_was_chosen_belongs_to_its_unit)
{
	struct fake *f = fake_new(UNITS, 4096, 512);
	struct fx keep = x;
	struct scsi_lun *lun[UNITS];
	char name[8];

	fx_attach(&x, f);
	lun[0] = x.lun;
	for (unsigned i = 1; i < UNITS; i++) {
		snprintf(name, sizeof(name), "ld%u", i);
		lun[i] = fx_lun(&x, name);
	}
	for (unsigned i = 0; i < UNITS; i += 1 + i % 2) {
		x.lun = lun[i];
		set_control(i % 3 ? 0x04 : 0, i % 3 == 1 ? 0 : 0x08);
	}
	for (unsigned i = 0; i < UNITS; i++)
		scsi_lun_destroy(lun[i]);
	for (unsigned i = 0; i < UNITS; i++) {
		bool chosen = i == 0 || i % 2;

		snprintf(name, sizeof(name), "ld%u", i);
		x.lun = fx_lun(&x, name);
		ck_assert_uint_eq(control_byte(2), chosen && i % 3 ? 0x06 : 0x02);
		ck_assert_uint_eq(control_byte(4), chosen && i % 3 != 1 ? 0x08 : 0);
		scsi_lun_destroy(x.lun);
	}
	x.lun = fx_lun(&x, "ld0");
	fx_teardown(&x);
	x = keep;
}
END_TEST

/* As LIO does for its own sense data of such LUNs. */
START_TEST(luns_beyond_32_bits_begin_with_descriptor_format)
{
	for (unsigned i = 0; i < 2; i++) {
		struct fx big;
		struct tst t;

		fx_setup(&big, (UINT64_C(1) << 32) + i);
		tst_do(&t, &big, "\x1a\x08\x0a\x00\xff\x00", 6, 255);
		ck_assert_uint_eq(t.buf[6], i ? 0x06 : 0x02);
		tst_fini(&t);
		tst_do(&t, &big, "\x1a\x08\x8a\x00\xff\x00", 6, 255);
		ck_assert_uint_eq(t.buf[6], i ? 0x06 : 0x02);
		tst_fini(&t);
		fx_teardown(&big);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scsi mode");
	TCase *c = tcase_create("mode");

	tcase_set_timeout(c, 60);
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, mode_sense_6_gives_each_page_and_all);
	tcase_add_test(c, mode_sense_10_has_short_and_long_descriptors);
	tcase_add_test(c, only_d_sense_and_swp_are_changeable_and_nothing_is_saved);
	tcase_add_test(c, unknown_pages_and_subpages_are_refused);
	tcase_add_test(c, the_units_own_recovery_and_power_pages_are_shown);
	tcase_add_test(c, wce_is_set_when_anything_on_the_way_caches);
	tcase_add_test(c, ro_sets_wp_and_refuses_what_writes);
	tcase_add_test(c, what_was_sensed_can_be_selected);
	tcase_add_test(c, an_empty_list_and_headers_alone_change_nothing);
	tcase_add_loop_test(c, a_wrong_list_is_refused_where_it_is_wrong, 0, ARRAY_SIZE(wrong));
	tcase_add_test(c, a_wrong_list_of_the_long_form_is_refused);
	tcase_add_test(c, a_wrong_cdb_is_refused);
	tcase_add_test(c, any_list_is_taken_or_refused);
	tcase_add_test(c, swp_protects_the_medium_until_it_is_taken_back);
	tcase_add_test(c, d_sense_chooses_the_format_of_all_sense_data);
	tcase_add_test(c, a_units_descriptors_are_translated_for_who_wants_fixed_format);
	tcase_add_test(c, what_was_chosen_outlives_the_lun);
	tcase_add_test(c, what_was_chosen_belongs_to_its_unit);
	tcase_add_test(c, luns_beyond_32_bits_begin_with_descriptor_format);
	suite_add_tcase(s, c);
	return run_suite(s);
}
