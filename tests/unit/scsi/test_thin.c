/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Thin provisioning: what is said of it in READ CAPACITY and VPD pages, UNMAP, GET LBA STATUS. Bytes by hand from
 * SBC-3. */
#include <stdlib.h>
#include <string.h>
#include "base/endian.h"
#include "fixture.h"
#include "scsi/scsi.h"

#define BLOCKS 400000

static struct fx x;

static void limits(struct fake_disk *d, uint32_t lbas, uint32_t descs)
{
	put_be32(d->vpd[0xb0].data + 20, lbas);
	put_be32(d->vpd[0xb0].data + 24, descs);
}

static void attach(uint32_t lbas, uint32_t descs)
{
	struct fake *f = fake_new(1, BLOCKS, 512);

	f->disk[0].thin = true;
	limits(&f->disk[0], lbas, descs);
	fx_attach(&x, f);
}

static void setup_thick(void)
{
	fx_setup(&x, BLOCKS);
}
static void setup_thin(void)
{
	attach(200000, 32);
}
static void teardown(void)
{
	fx_teardown(&x);
}

/* --- what is said --- */

static void vpd(struct tst *t, uint8_t page)
{
	uint8_t cdb[6] = {0x12, 0x01, page, 0, 0xff, 0};

	tst_do(t, &x, cdb, 6, 255);
	assert_good(t);
}

static void assert_thick(void)
{
	struct tst t;

	tst_do(&t, &x, "\x9e\x10\0\0\0\0\0\0\0\0\0\0\0\x20\0\0", 16, 32);
	assert_good(&t);
	ck_assert_uint_eq(get_be16(t.buf + 14), 5);
	tst_fini(&t);
	vpd(&t, 0xb2);
	ck_assert_mem_eq(t.buf, "\x00\xb2\x00\x04\x00\x00\x00\x00", 8);
	tst_fini(&t);
	vpd(&t, 0xb0);
	for (unsigned i = 20; i < 36; i++)
		ck_assert_uint_eq(t.buf[i], 0);
	tst_fini(&t);
	tst_do(&t, &x, "\x42\0\0\0\0\0\0\0\0\0", 10, 0);
	assert_check(&t, 0x05, 0x20, 0x00);
	tst_fini(&t);
	tst_do(&t, &x, "\xa3\x0c\x01\x42\0\0\0\0\0\x40\0\0", 12, 64);
	ck_assert_uint_eq(t.buf[1], 1); /* not supported */
	tst_fini(&t);
}

START_TEST(a_thick_unit_promises_nothing)
{
	assert_thick();
}
END_TEST

START_TEST(what_one_page_denies_is_not_promised)
{
	struct fake *f = fake_new(1, BLOCKS, 512);

	f->disk[0].thin = true;
	limits(&f->disk[0], 200000, 32);
	switch (_i) {
	case 0:
		f->disk[0].thin = false; /* LBPME 0 */
		break;
	case 1:
		f->disk[0].vpd[0xb2].data[5] = 0x60; /* by WRITE SAME only */
		break;
	case 2:
		f->disk[0].vpd[0xb2].len = 0;
		break;
	case 3:
		f->disk[0].vpd[0xb0].len = 0;
		break;
	case 4:
		limits(&f->disk[0], 0, 32);
		break;
	case 5:
		limits(&f->disk[0], 7, 32); /* a physical block has 8 */
		break;
	case 6:
		limits(&f->disk[0], 200000, 0);
		break;
	default:
		fake_set_page(
			&f->disk[0].vpd[0xb0], "\x00\xb0\x00\x0c\0\0\0\0\0\0\0\0\0\0\0\0", 16); /* SBC-2 */
	}
	fx_attach(&x, f);
	assert_thick();
	fx_teardown(&x);
}
END_TEST

START_TEST(a_thin_unit_says_so_in_its_own_limits)
{
	struct tst t;

	tst_do(&t, &x, "\x9e\x10\0\0\0\0\0\0\0\0\0\0\0\x20\0\0", 16, 32);
	assert_good(&t);
	ck_assert_mem_eq(t.buf + 12, "\x00\x03\xc0\x05", 4); /* LBPME, LBPRZ */
	tst_fini(&t);
	/* LBPU and LBPRZ; neither LBPWS nor LBPWS10, nor ANC_SUP; thin */
	vpd(&t, 0xb2);
	ck_assert_mem_eq(t.buf, "\x00\xb2\x00\x04\x00\x84\x02\x00", 8);
	tst_fini(&t);
	vpd(&t, 0xb0);
	ck_assert_mem_eq(t.buf + 20, "\x00\x03\x0d\x40\x00\x00\x00\x20\x11\x11\x11\x11\x11\x11\x11\x11", 16);
	ck_assert_mem_eq(t.buf + 36, "\0\0\0\0\0\x01\0\0", 8);
	tst_fini(&t);
	tst_do(&t, &x, "\xa3\x0c\x01\x42\0\0\0\0\0\x40\0\0", 12, 64);
	ck_assert_mem_eq(t.buf, "\x00\x03\x00\x0a\x42\x00\x00\x00\x00\x00\x00\xff\xff\x04", 14);
	tst_fini(&t);
}
END_TEST

START_TEST(limits_without_end_are_cut_to_ours)
{
	struct tst t;

	attach(UINT32_MAX, UINT32_MAX);
	vpd(&t, 0xb0);
	ck_assert_mem_eq(t.buf + 20, "\x00\x08\x00\x00\x00\x00\x01\x00", 8); /* 256 MiB; 256 */
	tst_fini(&t);
	fx_teardown(&x);
}
END_TEST

/* --- UNMAP --- */

struct unmap_list {
	size_t len;
	uint8_t bytes[8 + 300 * 16];
};

static void list_begin(struct unmap_list *l)
{
	memset(l, 0, sizeof(*l));
	l->len = 8;
}

static void list_add(struct unmap_list *l, uint64_t lba, uint32_t n)
{
	put_be64(l->bytes + l->len, lba);
	put_be32(l->bytes + l->len + 8, n);
	put_be32(l->bytes + l->len + 12, 0xdddddddd); /* reserved */
	l->len += 16;
	put_be16(l->bytes, (uint16_t)(l->len - 2));
	put_be16(l->bytes + 2, (uint16_t)(l->len - 8));
}

static void unmap_start(struct tst *t, const struct unmap_list *l)
{
	uint8_t cdb[10] = {0x42};

	put_be16(cdb + 7, (uint16_t)l->len);
	tst_init(t, x.lun, cdb, 10, l->len, l->len ? MIN(l->len, 3) : 0);
	memcpy(t->buf, l->bytes, l->len);
	t->filled = true;
	tst_submit(t);
}

static void unmap(struct tst *t, const struct unmap_list *l)
{
	unmap_start(t, l);
	fake_run(x.fake, 0);
	ck_assert_uint_eq(t->done, 1);
}

static bool is_zero(uint64_t lba)
{
	static const uint8_t zeros[512];

	return memcmp(x.disk->store + lba * 512, zeros, 512) == 0;
}

START_TEST(extents_are_handed_to_the_unit_in_a_list_of_ours)
{
	static const uint8_t want[] = {0, 38, 0, 32, 0, 0, 0, 0, /**/ 0, 0, 0, 0, 0, 0, 0, 100, 0, 0, 0, 8, 0,
		0, 0, 0, /**/ 0, 0, 0, 0, 0, 0, 0, 50, 0, 0, 0, 1, 0, 0, 0, 0};
	struct unmap_list l;
	struct tst t;

	list_begin(&l);
	list_add(&l, 100, 8);
	list_add(&l, 7, 0); /* nothing */
	list_add(&l, 50, 1);
	unmap(&t, &l);
	assert_good(&t);
	ck_assert_uint_eq(x.fake->n_log, 1);
	ck_assert_uint_eq(x.fake->log[0].cdb0, 0x42);
	ck_assert_uint_eq(x.disk->unmap_len, sizeof(want));
	ck_assert_mem_eq(x.disk->unmap_list, want, sizeof(want));
	for (unsigned i = 0; i < 120; i++)
		ck_assert(is_zero(i) == (i == 50 || (i >= 100 && i < 108)));
	tst_fini(&t);
}
END_TEST

START_TEST(nothing_to_unmap_is_good_and_costs_nothing)
{
	struct unmap_list l;
	struct tst t;

	l.len = 0;
	unmap(&t, &l); /* no list */
	assert_good(&t);
	tst_fini(&t);
	list_begin(&l);
	unmap(&t, &l); /* no descriptors */
	assert_good(&t);
	tst_fini(&t);
	list_add(&l, BLOCKS, 0); /* nothing at the end */
	list_add(&l, 0, 0);
	unmap(&t, &l);
	assert_good(&t);
	tst_fini(&t);
	/* an incomplete descriptor is ignored */
	list_begin(&l);
	list_add(&l, 0, 8);
	l.len = 8 + 15;
	put_be16(l.bytes + 2, 15);
	unmap(&t, &l);
	assert_good(&t);
	tst_fini(&t);
	ck_assert_uint_eq(x.fake->n_log, 0);
}
END_TEST

START_TEST(lists_of_the_wrong_length_are_refused)
{
	struct unmap_list l;
	struct tst t;

	for (size_t len = 1; len < 8; len++) {
		list_begin(&l);
		l.len = len;
		unmap(&t, &l);
		assert_check(&t, 0x05, 0x1a, 0x00);
		tst_fini(&t);
	}
	list_begin(&l);
	list_add(&l, 0, 8);
	put_be16(l.bytes + 2, 17); /* more than there is */
	unmap(&t, &l);
	assert_check(&t, 0x05, 0x1a, 0x00);
	tst_fini(&t);
	/* the CDB says one thing, the initiator sends another */
	tst_do(&t, &x, "\x42\0\0\0\0\0\0\0\x18\0", 10, 23);
	assert_check(&t, 0x05, 0x0e, 0x03);
	tst_fini(&t);
	tst_do(&t, &x, "\x42\0\0\0\0\0\0\0\0\0", 10, 24);
	assert_check(&t, 0x05, 0x0e, 0x03);
	tst_fini(&t);
	ck_assert_uint_eq(x.fake->n_log, 0);
}
END_TEST

START_TEST(anchor_is_refused)
{
	struct tst t;

	tst_do(&t, &x, "\x42\x01\0\0\0\0\0\0\0\0", 10, 0);
	assert_check(&t, 0x05, 0x24, 0x00);
	ck_assert_mem_eq(t.task.sense + 15, "\xc8\x00\x01", 3);
	tst_fini(&t);
}
END_TEST

START_TEST(extents_beyond_the_medium_are_refused)
{
	static const struct {
		uint64_t lba;
		uint32_t n;
	} rows[] = {{BLOCKS, 1}, {BLOCKS - 1, 2}, {UINT64_MAX, 1}, {UINT64_MAX, 0}, {UINT64_MAX, UINT32_MAX},
		{BLOCKS + 1, 0}};
	struct unmap_list l;
	struct tst t;

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		list_begin(&l);
		list_add(&l, 0, 8);
		list_add(&l, rows[i].lba, rows[i].n);
		unmap(&t, &l);
		assert_check(&t, 0x05, 0x21, 0x00);
		tst_fini(&t);
	}
	ck_assert_uint_eq(x.fake->n_log, 0); /* not even the first one */
	list_begin(&l);
	list_add(&l, BLOCKS - 1, 1);
	unmap(&t, &l);
	assert_good(&t);
	tst_fini(&t);
}
END_TEST

START_TEST(limits_are_enforced_with_a_pointer_into_the_list)
{
	struct unmap_list l;
	struct tst t;

	list_begin(&l);
	for (unsigned i = 0; i < 32; i++)
		list_add(&l, i * 10, 1);
	unmap(&t, &l);
	assert_good(&t);
	tst_fini(&t);
	list_add(&l, 5000, 1);
	unmap(&t, &l);
	assert_check(&t, 0x05, 0x26, 0x00);
	ck_assert_mem_eq(t.task.sense + 15, "\x8f\x00\x02", 3);
	tst_fini(&t);
	list_begin(&l);
	list_add(&l, 0, 100000);
	list_add(&l, 150000, 100000);
	unmap(&t, &l);
	assert_good(&t);
	tst_fini(&t);
	list_begin(&l);
	list_add(&l, 0, 100000);
	list_add(&l, 150000, 100001);
	unmap(&t, &l);
	assert_check(&t, 0x05, 0x26, 0x00);
	ck_assert_mem_eq(t.task.sense + 15, "\x8f\x00\x20", 3); /* byte 32: the second one's length */
	tst_fini(&t);
	ck_assert_uint_eq(x.fake->n_log, 2);
}
END_TEST

/* The list is in memory that others can write to. */
START_TEST(a_list_that_changes_after_it_was_checked_stays_within_what_was_checked)
{
	struct unmap_list l;
	struct tst t;

	list_begin(&l);
	list_add(&l, 100, 10);
	list_add(&l, 200, 10);
	x.fake->state = HBA_RESETTING; /* no slots now: the request is made later */
	unmap_start(&t, &l);
	ck_assert_uint_eq(x.fake->n_log, 0);
	put_be64(t.buf + 8, 50);	      /* before */
	put_be32(t.buf + 24 + 8, UINT32_MAX); /* beyond */
	x.fake->state = HBA_RUNNING;
	fake_ready(x.fake);
	fake_run(x.fake, 0);
	assert_good(&t);
	ck_assert_uint_eq(x.disk->unmap_len, 8);
	tst_fini(&t);
	/* Many small ones that overlap are bounded by their sum. */
	list_begin(&l);
	for (unsigned i = 0; i < 32; i++)
		list_add(&l, i ? 1 : 0, i ? 1 : 190000);
	x.fake->state = HBA_RESETTING;
	unmap_start(&t, &l);
	for (unsigned i = 0; i < 32; i++)
		put_be32(t.buf + 16 + 16 * i, 150000);
	x.fake->state = HBA_RUNNING;
	fake_ready(x.fake);
	fake_run(x.fake, 0);
	ck_assert_uint_eq(x.disk->unmap_len, 8 + 16);
	tst_fini(&t);
}
END_TEST

START_TEST(the_units_refusal_is_passed_on)
{
	static const uint8_t space[18] = {0x70, 0, 0x07, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x27, 0x07};
	struct unmap_list l;
	struct tst t;

	list_begin(&l);
	list_add(&l, 0, 8);
	unmap_start(&t, &l);
	fake_end(x.fake, 0, HBA_DONE, 0x02, space, 18);
	assert_check(&t, 0x07, 0x27, 0x07);
	tst_fini(&t);
}
END_TEST

START_TEST(read_only_refuses_unmap)
{
	struct fx ro = x;
	struct tst t;

	ro.lun = fx_lun(&x, "ld0;ro=1");
	tst_do(&t, &ro, "\x42\0\0\0\0\0\0\0\0\0", 10, 0);
	assert_check(&t, 0x07, 0x27, 0x00);
	tst_fini(&t);
	scsi_lun_destroy(ro.lun);
}
END_TEST

/* --- GET LBA STATUS --- */

static void lba_status(struct tst *t, uint64_t lba, uint32_t alloc, size_t room)
{
	uint8_t cdb[16];

	cdb16(cdb, 0x9e, 0x12, lba, alloc);
	tst_do(t, &x, cdb, 16, room);
}

/* 400000 = 61A80h */
static const uint8_t mapped[24] = {
	0, 0, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0x06, 0x1a, 0x70, 0, 0, 0, 0};

START_TEST(a_thick_unit_is_mapped_to_its_end)
{
	struct tst t;

	for (uint32_t alloc = 0; alloc < 40; alloc += 3) {
		lba_status(&t, 16, alloc, 40);
		assert_good(&t);
		ck_assert_uint_eq(t.task.in_bytes, MIN(alloc, 24));
		ck_assert_mem_eq(t.buf, mapped, t.task.in_bytes);
		tst_fini(&t);
	}
	lba_status(&t, 16, 24, 10); /* the initiator has room for less than it asks for */
	assert_good(&t);
	ck_assert_uint_eq(t.task.in_bytes, 10);
	tst_fini(&t);
	lba_status(&t, BLOCKS - 1, 24, 24);
	ck_assert_mem_eq(t.buf + 16, "\0\0\0\x01\0\0\0\0", 8);
	tst_fini(&t);
	lba_status(&t, BLOCKS, 24, 24);
	assert_check(&t, 0x05, 0x21, 0x00);
	tst_fini(&t);
	lba_status(&t, UINT64_MAX, 24, 24);
	assert_check(&t, 0x05, 0x21, 0x00);
	tst_fini(&t);
	ck_assert_uint_eq(x.fake->n_log, 0);
}
END_TEST

START_TEST(a_unit_longer_than_an_extent_can_be_is_told_as_far_as_it_can)
{
	struct fx huge;
	struct tst t;

	fx_setup(&huge, UINT64_C(1) << 40);
	tst_do(&t, &huge, "\x9e\x12\0\0\0\0\0\0\0\x05\0\0\0\x18\0\0", 16, 24);
	ck_assert_mem_eq(t.buf, "\0\0\0\x14\0\0\0\0\0\0\0\0\0\0\0\x05\xff\xff\xff\xff\0\0\0\0", 24);
	tst_fini(&t);
	fx_teardown(&huge);
}
END_TEST

/* Extents from LBA 16 on: 84 mapped, 100 unmapped; then one that does not follow. */
static const uint8_t unit_says[] = {0, 0, 0, 52, 0, 0, 0, 0, /**/ 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 84, 0, 0,
	0, 0, /**/ 0, 0, 0, 0, 0, 0, 0, 100, 0, 0, 0, 100, 1, 0, 0, 0, /**/ 0, 0, 0, 0, 0, 0, 1, 100, 0, 0, 0,
	1, 0, 0, 0, 0};

START_TEST(a_thin_unit_is_asked)
{
	struct tst t;

	fake_set_page(&x.disk->lba_status, unit_says, sizeof(unit_says));
	lba_status(&t, 16, 512, 512);
	assert_good(&t);
	ck_assert_uint_eq(t.task.in_bytes, 40);
	ck_assert_mem_eq(t.buf, "\0\0\0\x24\0\0\0\0", 8);
	ck_assert_mem_eq(t.buf + 8, unit_says + 8, 32);
	ck_assert_uint_eq(x.fake->log[0].cdb0, 0x9e);
	tst_fini(&t);
	lba_status(&t, 16, 24, 512);
	ck_assert_uint_eq(t.task.in_bytes, 24);
	tst_fini(&t);
}
END_TEST

START_TEST(an_answer_that_makes_no_sense_is_no_answer)
{
	uint8_t bad[sizeof(unit_says)];
	struct tst t;

	for (unsigned i = 0; i < 6; i++) {
		memcpy(bad, unit_says, sizeof(bad));
		switch (i) {
		case 0:
			put_be64(bad + 8, 17); /* another LBA */
			break;
		case 1:
			put_be32(bad + 16, 0); /* no blocks */
			break;
		case 2:
			put_be32(bad + 16, UINT32_MAX); /* beyond the end: cut there */
			break;
		case 3:
			put_be32(bad, 0);
			break;
		case 4:
			put_be32(bad, 19); /* ends within the first one */
			break;
		default:
			memset(bad, 0xff, sizeof(bad));
		}
		fake_set_page(&x.disk->lba_status, bad, sizeof(bad));
		lba_status(&t, 16, 512, 512);
		assert_good(&t);
		ck_assert_uint_eq(t.task.in_bytes, 24); /* case 2: the same as ours */
		ck_assert_mem_eq(t.buf, mapped, 24);
		tst_fini(&t);
	}
}
END_TEST

START_TEST(a_unit_that_says_more_than_it_sent_is_cut)
{
	uint8_t data[1024] = {0};
	struct tst t;

	put_be32(data, UINT32_MAX);
	for (unsigned i = 0; i < 63; i++) {
		put_be64(data + 8 + 16 * i, 16 + i);
		put_be32(data + 16 + 16 * i, 1);
	}
	fake_set_page(&x.disk->lba_status, data, sizeof(data));
	lba_status(&t, 16, 65535, 65535);
	assert_good(&t);
	ck_assert_uint_eq(t.task.in_bytes, 8 + 63 * 16);
	ck_assert_uint_eq(get_be32(t.buf), 4 + 63 * 16);
	tst_fini(&t);
}
END_TEST

START_TEST(a_unit_that_refuses_is_asked_once)
{
	struct tst t;

	for (unsigned i = 0; i < 3; i++) {
		lba_status(&t, 16, 512, 512);
		assert_good(&t);
		ck_assert_uint_eq(t.task.in_bytes, 24);
		ck_assert_mem_eq(t.buf, mapped, 24);
		tst_fini(&t);
	}
	ck_assert_uint_eq(x.fake->n_log, 1);
}
END_TEST

START_TEST(other_errors_of_the_unit_are_passed_on)
{
	uint8_t cdb[16];
	struct tst t;

	cdb16(cdb, 0x9e, 0x12, 0, 512);
	tst_init(&t, x.lun, cdb, 16, 512, 1);
	tst_submit(&t);
	fake_end(x.fake, 0, HBA_DONE, 0x02, fake_sense_medium, 18);
	assert_check(&t, 0x03, 0x11, 0x00);
	ck_assert_uint_eq(t.task.in_bytes, 0);
	tst_fini(&t);
}
END_TEST

static void add_unmap(Suite *s)
{
	TCase *c = tcase_create("unmap");

	tcase_add_checked_fixture(c, setup_thin, teardown);
	tcase_add_test(c, a_thin_unit_says_so_in_its_own_limits);
	tcase_add_test(c, extents_are_handed_to_the_unit_in_a_list_of_ours);
	tcase_add_test(c, nothing_to_unmap_is_good_and_costs_nothing);
	tcase_add_test(c, lists_of_the_wrong_length_are_refused);
	tcase_add_test(c, anchor_is_refused);
	tcase_add_test(c, extents_beyond_the_medium_are_refused);
	tcase_add_test(c, limits_are_enforced_with_a_pointer_into_the_list);
	tcase_add_test(c, a_list_that_changes_after_it_was_checked_stays_within_what_was_checked);
	tcase_add_test(c, the_units_refusal_is_passed_on);
	tcase_add_test(c, read_only_refuses_unmap);
	suite_add_tcase(s, c);
}

static void add_status(Suite *s)
{
	TCase *c = tcase_create("status of thin units");

	tcase_add_checked_fixture(c, setup_thin, teardown);
	tcase_add_test(c, a_thin_unit_is_asked);
	tcase_add_test(c, an_answer_that_makes_no_sense_is_no_answer);
	tcase_add_test(c, a_unit_that_says_more_than_it_sent_is_cut);
	tcase_add_test(c, a_unit_that_refuses_is_asked_once);
	tcase_add_test(c, other_errors_of_the_unit_are_passed_on);
	suite_add_tcase(s, c);
}

int main(void)
{
	Suite *s = suite_create("scsi thin");
	TCase *thick = tcase_create("thick"), *pages = tcase_create("pages");

	tcase_add_checked_fixture(thick, setup_thick, teardown);
	tcase_add_test(thick, a_thick_unit_promises_nothing);
	tcase_add_test(thick, a_thick_unit_is_mapped_to_its_end);
	suite_add_tcase(s, thick);
	tcase_add_loop_test(pages, what_one_page_denies_is_not_promised, 0, 8);
	tcase_add_test(pages, limits_without_end_are_cut_to_ours);
	tcase_add_test(pages, a_unit_longer_than_an_extent_can_be_is_told_as_far_as_it_can);
	suite_add_tcase(s, pages);
	add_unmap(s);
	add_status(s);
	return run_suite(s);
}
