/* SPDX-License-Identifier: GPL-2.0-or-later */
/* EXTENDED COPY and RECEIVE COPY RESULTS. Lists and answers are bytes of SPC-4 put down by hand. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/endian.h"
#include "fixture.h"

#define BLOCKS 8192
#define UNITS  4

static struct fx x;
static struct scsi_lun *other[UNITS]; /* of ld1 to ld3 */

/* A list in the making. */
struct list_bytes {
	uint8_t data[8192];
	unsigned cscds, segments;
};

static void setup(void)
{
	fx_attach(&x, fake_new(UNITS, BLOCKS, 512));
}

static void open_all(const char *options)
{
	char text[40];

	for (unsigned i = 1; i < UNITS; i++) {
		snprintf(text, sizeof(text), "ld%u%s", i, options);
		other[i] = fx_lun(&x, text);
		ck_assert_int_eq(scsi_lun_gate(other[i]), SCSI_GATE_OPEN);
	}
}

/* ld0 as well. */
static void setup_allowed(void)
{
	struct fake *f = fake_new(UNITS, BLOCKS, 512);

	f->disk[2].block_size = 4096;
	f->disk[2].blocks = BLOCKS / 8;
	for (unsigned lba = 0; lba < BLOCKS / 8; lba++)
		fake_pattern(lba, f->disk[2].store + lba * 4096, 4096);
	fx_attach(&x, f);
	scsi_lun_destroy(x.lun);
	x.lun = fx_lun(&x, "ld0;allow=copy");
	open_all(";allow=copy");
}

static void teardown(void)
{
	for (unsigned i = 1; i < UNITS; i++) {
		scsi_lun_destroy(other[i]);
		other[i] = NULL;
	}
	fx_teardown(&x);
}

/* --- lists --- */

/* The NAA designator of a LUN's VPD page 83h, its first one, as 4 + n bytes. */
static void designator(struct scsi_lun *lun, uint8_t to[24])
{
	struct tst t;

	memset(to, 0, 24);
	tst_init(&t, lun, "\x12\x01\x83\x00\xff\x00", 6, 255, 1);
	tst_submit(&t);
	assert_good(&t);
	ck_assert_uint_eq(t.buf[4] & 0x0f, 1); /* binary */
	ck_assert_uint_eq(t.buf[5], 0x03);     /* NAA of the logical unit */
	memcpy(to, t.buf + 4, 4U + t.buf[7]);
	tst_fini(&t);
}

static void add_cscd(struct list_bytes *l, struct scsi_lun *lun, uint32_t block_size)
{
	uint8_t *d = l->data + 16 + 32 * l->cscds++;

	memset(d, 0, 32);
	d[0] = 0xe4;
	designator(lun, d + 4);
	put_be24(d + 29, block_size);
}

/* After all descriptors of CSCDs. */
static uint8_t *add_segment(
	struct list_bytes *l, uint16_t src, uint16_t dst, uint16_t blocks, uint64_t src_lba, uint64_t dst_lba)
{
	uint8_t *d = l->data + 16 + 32 * l->cscds + 28 * l->segments++;

	memset(d, 0, 28);
	d[0] = 0x02;
	d[3] = 0x18;
	put_be16(d + 4, src);
	put_be16(d + 6, dst);
	put_be16(d + 10, blocks);
	put_be64(d + 12, src_lba);
	put_be64(d + 20, dst_lba);
	return d;
}

static unsigned finish_list(struct list_bytes *l)
{
	put_be16(l->data + 2, (uint16_t)(32 * l->cscds));
	put_be32(l->data + 8, 28 * l->segments);
	return 16 + 32 * l->cscds + 28 * l->segments;
}

static void xcopy_init(struct tst *t, const struct list_bytes *l, uint32_t len)
{
	uint8_t cdb[16] = {0x83};

	put_be32(cdb + 10, len);
	tst_init(t, x.lun, cdb, 16, len, len > 40 ? 3 : len ? 1 : 0);
	memcpy(t->buf, l->data, len);
	t->filled = true;
}

/* As the list says, or cut to len. */
static void xcopy_len(struct tst *t, struct list_bytes *l, uint32_t len)
{
	xcopy_init(t, l, len);
	tst_submit(t);
	fake_run(x.fake, 0);
	ck_assert_uint_eq(t->done, 1);
}

static void xcopy(struct tst *t, struct list_bytes *l)
{
	xcopy_len(t, l, finish_list(l));
}

static void in_lun(struct list_bytes *l, uint16_t blocks, uint64_t src_lba, uint64_t dst_lba)
{
	memset(l, 0, sizeof(*l));
	add_cscd(l, x.lun, 512);
	add_segment(l, 0, 0, blocks, src_lba, dst_lba);
}

static unsigned writes(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < x.fake->n_log; i++)
		n += x.fake->log[i].dir == DMA_TO_DEVICE;
	return n;
}

static bool holds(unsigned disk, uint64_t lba, uint64_t pattern_lba, unsigned blocks)
{
	const struct fake_disk *d = &x.fake->disk[disk];

	return is_pattern(
		d->store + lba * d->block_size, pattern_lba, (uint64_t)blocks * d->block_size, d->block_size);
}

/* --- copies --- */

START_TEST(blocks_are_copied_within_the_lun)
{
	struct list_bytes l;
	struct tst t;

	in_lun(&l, 2000, 100, 5000);
	xcopy(&t, &l);
	assert_good(&t);
	ck_assert(holds(0, 5000, 100, 2000));
	ck_assert(holds(0, 0, 0, 5000)); /* and nothing else has changed */
	ck_assert(holds(0, 7000, 7000, BLOCKS - 7000));
	ck_assert_uint_eq(t.task.dir, DMA_TO_DEVICE);
	ck_assert_uint_ge(x.fake->most_in_flight, 2);
	ck_assert_uint_le(x.fake->most_in_flight, 4);
	tst_fini(&t);
}
END_TEST

START_TEST(in_whatever_order_the_controller_answers)
{
	struct list_bytes l;
	struct tst t;

	in_lun(&l, 3000, 0, 4000);
	add_segment(&l, 0, 0, 1000, 4000, 7100); /* of what the first one has written */
	xcopy_init(&t, &l, finish_list(&l));
	tst_submit(&t);
	fake_run(x.fake, (unsigned)_i + 1);
	assert_good(&t);
	ck_assert(holds(0, 4000, 0, 3000));
	ck_assert(holds(0, 7100, 0, 1000));
	tst_fini(&t);
}
END_TEST

START_TEST(no_list_no_segments_and_no_blocks_are_nothing_to_do)
{
	struct list_bytes l = {{0}};
	struct tst t;

	xcopy_len(&t, &l, 0);
	assert_good(&t);
	tst_fini(&t);
	xcopy(&t, &l);
	assert_good(&t);
	tst_fini(&t);
	in_lun(&l, 0, BLOCKS, BLOCKS);
	xcopy(&t, &l);
	assert_good(&t);
	tst_fini(&t);
	ck_assert_uint_eq(x.fake->n_log, 0);
}
END_TEST

START_TEST(overlapping_ranges_end_as_if_copied_at_once)
{
	static const struct {
		uint64_t src, dst;
	} rows[] = {{1000, 1001}, {1001, 1000}, {1000, 1700}, {1700, 1000}, {1000, 1000}};
	struct list_bytes l;
	struct tst t;

	in_lun(&l, 2000, rows[_i].src, rows[_i].dst);
	xcopy(&t, &l);
	assert_good(&t);
	ck_assert(holds(0, rows[_i].dst, rows[_i].src, 2000));
	ck_assert_uint_eq(x.fake->most_in_flight, 1);
	tst_fini(&t);
}
END_TEST

START_TEST(other_luns_take_part_when_both_allow_it)
{
	struct list_bytes l = {{0}};
	struct tst t;

	add_cscd(&l, x.lun, 512);
	add_cscd(&l, other[1], 512);
	add_cscd(&l, other[3], 0); /* not told */
	add_segment(&l, 0, 1, 700, 10, 20);
	add_segment(&l, 1, 2, 100, 25, 0);
	xcopy(&t, &l);
	assert_good(&t);
	ck_assert(holds(1, 20, 10, 700));
	ck_assert(holds(1, 0, 0, 20));
	ck_assert(holds(3, 0, 15, 100));
	ck_assert(holds(0, 0, 0, BLOCKS));
	tst_fini(&t);
}
END_TEST

START_TEST(block_sizes_may_differ_when_the_bytes_fit)
{
	struct list_bytes l = {{0}};
	struct tst t;

	add_cscd(&l, x.lun, 512);
	add_cscd(&l, other[2], 4096);
	add_segment(&l, 0, 1, 800, 8, 3); /* counted in blocks of 512 bytes */
	xcopy(&t, &l);
	assert_good(&t);
	ck_assert(is_pattern(x.fake->disk[2].store + 3 * 4096, 8, 800 * 512, 512));
	ck_assert(holds(2, 103, 103, BLOCKS / 8 - 103));
	tst_fini(&t);

	l.segments = 0;
	add_segment(&l, 0, 1, 2, 1, 500)[1] = 0x02; /* DC: in blocks of 4096 bytes */
	xcopy(&t, &l);
	assert_good(&t);
	ck_assert(is_pattern(x.fake->disk[2].store + 500 * 4096, 1, 2 * 4096, 512));
	ck_assert(holds(2, 502, 502, 100));
	tst_fini(&t);

	l.segments = 0;
	add_segment(&l, 0, 1, 7, 0, 0)[1] = 0x01; /* CAT does not help */
	xcopy(&t, &l);
	assert_check(&t, 0x0a, 0x26, 0x0a);
	tst_fini(&t);
}
END_TEST

/* --- refused lists --- */

START_TEST(lengths_that_do_not_fit_are_refused)
{
	uint8_t cdb[16] = {0x83, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 76};
	struct list_bytes l;
	struct tst t;

	in_lun(&l, 8, 0, 100);
	finish_list(&l);
	for (uint32_t len = 1; len < 76; len++) {
		xcopy_len(&t, &l, len);
		assert_check(&t, 0x05, 0x1a, 0x00);
		tst_fini(&t);
	}
	/* What the initiator sends is not what the CDB says (hazard H15). */
	tst_do(&t, &x, cdb, 16, 75);
	assert_check(&t, 0x05, 0x0e, 0x03);
	tst_fini(&t);
	tst_do(&t, &x, cdb, 16, 0);
	assert_check(&t, 0x05, 0x0e, 0x03);
	tst_fini(&t);
	put_be16(l.data + 2, 0xffff);
	put_be32(l.data + 8, 0xffffffff);
	xcopy_len(&t, &l, 8000);
	assert_check(&t, 0x05, 0x1a, 0x00);
	tst_fini(&t);
	ck_assert_uint_eq(x.fake->n_log, 0);
}
END_TEST

/* Key and code of fixed sense, and a pointer to a byte of the list; bit: as the sense-key specific byte has it. */
#define assert_list(t, asc, ascq, sks, field)                                                                \
	do {                                                                                                 \
		assert_check(t, 0x05, asc, ascq);                                                            \
		ck_assert_uint_eq((t)->task.sense[15], sks);                                                 \
		ck_assert_uint_eq(get_be16((t)->task.sense + 16), field);                                    \
	} while (0)

START_TEST(fields_of_the_header_are_judged)
{
	struct list_bytes l;
	struct tst t;

	in_lun(&l, 8, 0, 100);
	l.data[1] = 0x08; /* LIST ID USAGE 01b */
	xcopy(&t, &l);
	assert_list(&t, 0x26, 0x00, 0x8c, 1);
	tst_fini(&t);
	l.data[0] = 0x01; /* an identifier, */
	l.data[1] = 0x18; /* and none is used */
	xcopy(&t, &l);
	assert_list(&t, 0x26, 0x00, 0x8f, 0);
	tst_fini(&t);
	l.data[0] = 0x00;
	l.data[1] = 0x3f; /* STR and PRIORITY are hints */
	xcopy(&t, &l);
	assert_good(&t);
	tst_fini(&t);
	l.data[15] = 1; /* inline data */
	xcopy(&t, &l);
	assert_list(&t, 0x26, 0x0b, 0x8f, 12);
	tst_fini(&t);
	l.data[15] = 0;
	finish_list(&l);
	put_be16(l.data + 2, 33);
	xcopy_len(&t, &l, 100);
	assert_list(&t, 0x26, 0x00, 0x8f, 2);
	tst_fini(&t);
}
END_TEST

START_TEST(more_descriptors_than_the_maxima_are_refused)
{
	struct list_bytes l = {{0}};
	struct tst t;

	for (unsigned i = 0; i < 17; i++)
		add_cscd(&l, x.lun, 512);
	add_segment(&l, 0, 0, 8, 0, 100);
	xcopy(&t, &l);
	assert_list(&t, 0x26, 0x06, 0x8f, 2);
	tst_fini(&t);
	in_lun(&l, 8, 0, 100);
	while (l.segments < 65)
		add_segment(&l, 0, 0, 8, 0, 100);
	xcopy(&t, &l);
	assert_list(&t, 0x26, 0x08, 0x8f, 8);
	tst_fini(&t);
	ck_assert_uint_eq(x.fake->n_log, 0);
	memset(&l, 0, sizeof(l));
	for (unsigned i = 0; i < 16; i++)
		add_cscd(&l, x.lun, 512);
	for (unsigned i = 0; i < 64; i++)
		add_segment(&l, (uint16_t)(i % 16), 15, 8, 0, 1000 + i * 8);
	xcopy(&t, &l);
	assert_good(&t);
	for (unsigned i = 0; i < 64; i++)
		ck_assert(holds(0, 1000 + i * 8, 0, 8));
	tst_fini(&t);
	/* Longer than any list can be, whatever is in it. */
	for (unsigned i = 0; i < 16; i++)
		add_segment(&l, 0, 0, 8, 0, 100);
	xcopy(&t, &l);
	assert_check(&t, 0x05, 0x1a, 0x00);
	tst_fini(&t);
}
END_TEST

START_TEST(unknown_descriptors_are_refused)
{
	struct list_bytes l;
	struct tst t;

	in_lun(&l, 8, 0, 100);
	l.data[16] = 0xe0; /* N_Port_Name */
	xcopy(&t, &l);
	assert_list(&t, 0x26, 0x07, 0x8f, 16);
	tst_fini(&t);
	in_lun(&l, 8, 0, 100);
	l.data[48] = 0x03; /* stream to stream, 20 bytes */
	l.data[51] = 0x10;
	finish_list(&l);
	put_be32(l.data + 8, 20);
	xcopy_len(&t, &l, 68);
	assert_list(&t, 0x26, 0x09, 0x8f, 48);
	tst_fini(&t);
	l.data[48] = 0x02;
	xcopy_len(&t, &l, 68);
	assert_check(&t, 0x05, 0x1a, 0x00);
	tst_fini(&t);
	put_be32(l.data + 8, 28);
	xcopy_len(&t, &l, 76);
	assert_list(&t, 0x26, 0x00, 0x8f, 50);
	tst_fini(&t);
	ck_assert_uint_eq(x.fake->n_log, 0);
}
END_TEST

/* --- COPY ABORTED --- */

/* The second segment is at fault; sense-key specific: a byte of the list. */
#define assert_aborted(t, asc, ascq, field)                                                                  \
	do {                                                                                                 \
		assert_check(t, 0x0a, asc, ascq);                                                            \
		ck_assert_uint_eq(get_be16((t)->task.sense + 10), 1);                                        \
		ck_assert_uint_eq((t)->task.sense[15], 0x80);                                                \
		ck_assert_uint_eq(get_be16((t)->task.sense + 16), field);                                    \
	} while (0)

static void in_lun_second(
	struct list_bytes *l, uint16_t src, uint16_t dst, uint16_t blocks, uint64_t src_lba, uint64_t dst_lba)
{
	in_lun(l, 8, 0, 100);
	add_segment(l, src, dst, blocks, src_lba, dst_lba);
}

START_TEST(devices_that_cannot_be_copied_from_or_to_abort_it)
{
	struct list_bytes l;
	struct tst t;

	in_lun_second(&l, 0, 1, 8, 0, 100);
	xcopy(&t, &l);
	assert_aborted(&t, 0x08, 0x04, 48 + 28 + 6);
	tst_fini(&t);
	in_lun_second(&l, 0xffff, 0, 8, 0, 100);
	xcopy(&t, &l);
	assert_aborted(&t, 0x08, 0x04, 48 + 28 + 4);
	tst_fini(&t);
	ck_assert_uint_eq(x.fake->n_log, 0); /* the first segment was not begun */
}
END_TEST

START_TEST(descriptors_that_are_of_no_lun_or_of_another_kind_abort_it)
{
	struct list_bytes l;
	struct tst t;

	in_lun(&l, 8, 0, 100);
	l.data[16 + 8 + 7] ^= 1; /* nobody's name */
	xcopy(&t, &l);
	assert_check(&t, 0x0a, 0x08, 0x04);
	tst_fini(&t);
	in_lun(&l, 8, 0, 100);
	l.data[16 + 5] |= 0x10; /* of a port */
	xcopy(&t, &l);
	assert_check(&t, 0x0a, 0x08, 0x04);
	tst_fini(&t);
	in_lun(&l, 8, 0, 100);
	l.data[16 + 7] = 21; /* longer than there is room for */
	xcopy(&t, &l);
	assert_check(&t, 0x0a, 0x08, 0x04);
	tst_fini(&t);
	in_lun(&l, 8, 0, 100);
	l.data[17] = 0x01; /* a tape */
	xcopy(&t, &l);
	assert_check(&t, 0x0a, 0x0d, 0x03);
	tst_fini(&t);
	in_lun(&l, 8, 0, 100);
	put_be24(l.data + 16 + 29, 520);
	xcopy(&t, &l);
	assert_check(&t, 0x0a, 0x26, 0x00);
	ck_assert_uint_eq(get_be16(t.task.sense + 16), 16 + 29);
	tst_fini(&t);
	in_lun(&l, 8, 0, 100);
	l.data[17] = 0xe0; /* LU ID TYPE is ignored (SPC-4), NUL is obsolete */
	xcopy(&t, &l);
	assert_good(&t);
	tst_fini(&t);
}
END_TEST

/* Every unit of this controller has the same T10 designator: it names none of them, once there are two LUNs. */
START_TEST(a_designator_of_two_luns_names_none)
{
	static const uint8_t t10[] = "\x02\x01\x00\x0cLSI     XYZ1";
	struct list_bytes l;
	struct tst t;

	in_lun(&l, 8, 0, 100);
	memset(l.data + 20, 0, 24);
	memcpy(l.data + 20, t10, 16);
	xcopy(&t, &l);
	assert_good(&t);
	tst_fini(&t);
	open_all("");
	xcopy(&t, &l);
	assert_check(&t, 0x0a, 0x08, 0x04);
	tst_fini(&t);
	/* Nor when only one of them is served. */
	for (unsigned i = 1; i < UNITS; i++)
		scsi_lun_retire(other[i]);
	xcopy(&t, &l);
	assert_check(&t, 0x0a, 0x08, 0x04);
	tst_fini(&t);
}
END_TEST

START_TEST(ranges_beyond_the_end_abort_it)
{
	static const struct {
		uint64_t src, dst;
		uint16_t n;
		bool of_destination;
	} rows[] = {
		{0, BLOCKS - 1, 2, true},
		{BLOCKS - 1, 0, 2, false},
		{0, UINT64_MAX, 1, true},
		{UINT64_MAX - 1, 0, 1, false},
		{0, BLOCKS + 1, 0, true},
	};
	struct list_bytes l;
	struct tst t;

	in_lun_second(&l, 0, 0, rows[_i].n, rows[_i].src, rows[_i].dst);
	xcopy(&t, &l);
	assert_aborted(&t, 0x00, 0x00, rows[_i].of_destination ? 48 + 28 + 20 : 48 + 28 + 12);
	/* where to find what the device would have said: CHECK CONDITION and 05/21/00 */
	ck_assert_uint_eq(t.task.sense[8], rows[_i].of_destination ? 0 : 18);
	ck_assert_uint_eq(t.task.sense[9], rows[_i].of_destination ? 18 : 0);
	ck_assert_uint_eq(t.task.sense_len, 18 + 1 + 18);
	ck_assert_uint_eq(t.task.sense[7], 18 + 1 + 18 - 8);
	ck_assert_uint_eq(t.task.sense[18], 0x02);
	ck_assert_uint_eq(t.task.sense[19], 0x70);
	ck_assert_uint_eq(t.task.sense[19 + 2], 0x05);
	ck_assert_uint_eq(t.task.sense[19 + 12], 0x21);
	ck_assert_uint_eq(x.fake->n_log, 0);
	tst_fini(&t);
}
END_TEST

START_TEST(other_luns_without_leave_are_unreachable)
{
	static const char *const options[][2] = {
		{"ld0", "ld1"}, {"ld0;allow=copy", "ld1"}, {"ld0", "ld1;allow=copy"}};
	struct list_bytes l = {{0}};
	struct tst t;

	scsi_lun_destroy(x.lun);
	x.lun = fx_lun(&x, options[_i][0]);
	other[1] = fx_lun(&x, options[_i][1]);
	add_cscd(&l, x.lun, 512);
	add_cscd(&l, other[1], 512);
	add_segment(&l, 0, 1, 8, 0, 0);
	xcopy(&t, &l);
	assert_check(&t, 0x0a, 0x08, 0x04);
	tst_fini(&t);
	l.segments = 0;
	add_segment(&l, 1, 0, 8, 0, 0);
	xcopy(&t, &l);
	assert_check(&t, 0x0a, 0x08, 0x04);
	tst_fini(&t);
	ck_assert_uint_eq(x.fake->n_log, 0);
}
END_TEST

START_TEST(a_read_only_lun_is_copied_from_and_not_to)
{
	struct list_bytes l = {{0}};
	struct tst t;

	scsi_lun_destroy(other[1]);
	other[1] = fx_lun(&x, "ld1;ro=1;allow=copy");
	add_cscd(&l, x.lun, 512);
	add_cscd(&l, other[1], 512);
	add_segment(&l, 0, 1, 8, 100, 0);
	xcopy(&t, &l);
	assert_check(&t, 0x0a, 0x0d, 0x01);
	ck_assert_uint_eq(t.task.sense[9], 18);
	ck_assert_uint_eq(t.task.sense[19 + 2], 0x07);
	ck_assert_uint_eq(t.task.sense[19 + 12], 0x27);
	ck_assert_uint_eq(writes(), 0);
	tst_fini(&t);
	l.segments = 0;
	add_segment(&l, 1, 0, 8, 100, 0);
	xcopy(&t, &l);
	assert_good(&t);
	ck_assert(holds(0, 0, 100, 8));
	tst_fini(&t);
	/* The command itself does not go to it at all. */
	xcopy_init(&t, &l, finish_list(&l));
	t.task.lun = other[1];
	tst_submit(&t);
	assert_check(&t, 0x07, 0x27, 0x00);
	tst_fini(&t);
}
END_TEST

/* --- errors of the devices --- */

START_TEST(an_error_of_the_source_is_told_with_its_sense)
{
	struct list_bytes l;
	struct tst t;

	in_lun(&l, 100, 0, 4000);
	add_segment(&l, 0, 0, 2000, 100, 5000);
	x.disk->bad_lba = 1800;
	xcopy(&t, &l);
	assert_check(&t, 0x0a, 0x0d, 0x01);
	ck_assert_uint_eq(t.task.sense[8], 18);
	ck_assert_uint_eq(t.task.sense[9], 0);
	ck_assert_uint_eq(get_be16(t.task.sense + 10), 1);
	ck_assert_uint_eq(t.task.sense[15], 0);
	ck_assert_uint_eq(t.task.sense[18], 0x02);
	ck_assert_uint_eq(t.task.sense[19], 0xf0);
	ck_assert_uint_eq(get_be32(t.task.sense + 19 + 3), 1800);
	ck_assert_uint_eq(t.task.sense[19 + 12], 0x11);
	ck_assert(holds(0, 4000, 0, 100)); /* the segment before is done */
	tst_fini(&t);
}
END_TEST

START_TEST(an_error_of_the_destination_is_told_with_its_status)
{
	struct list_bytes l;
	struct tst t;

	in_lun(&l, 8, 0, 4000);
	xcopy_init(&t, &l, finish_list(&l));
	tst_submit(&t);
	fake_complete(x.fake, 0);
	ck_assert_uint_eq(x.fake->log[1].dir, DMA_TO_DEVICE);
	fake_end(x.fake, 0, HBA_DONE, SCSI_TASK_SET_FULL, NULL, 0);
	assert_check(&t, 0x0a, 0x0d, 0x01);
	ck_assert_uint_eq(t.task.sense[8], 0);
	ck_assert_uint_eq(t.task.sense[9], 18);
	ck_assert_uint_eq(t.task.sense[18], SCSI_TASK_SET_FULL);
	ck_assert_uint_eq(t.task.sense_len, 19);
	tst_fini(&t);
}
END_TEST

START_TEST(sense_in_descriptor_format_forwards_the_devices_answer)
{
	struct fake *f = fake_new(1, UINT64_C(1) << 33, 512); /* D_SENSE is set then */
	struct list_bytes l;
	struct tst t;

	fx_teardown(&x);
	fx_attach(&x, f);
	in_lun(&l, 8, 0, 4000);
	add_segment(&l, 0, 0, 8, 100, 5000);
	x.disk->bad_lba = 100;
	xcopy(&t, &l);
	ck_assert_uint_eq(t.task.status, SCSI_CHECK_CONDITION);
	/* COPY ABORTED, third party device failure */
	ck_assert_mem_eq(t.task.sense, "\x72\x0a\x0d\x01\0\0\0", 7);
	/* command-specific information: segment 1; then the source's CHECK CONDITION with its sense */
	ck_assert_mem_eq(t.task.sense + 8, "\x01\x0a\0\0\0\0\0\0\0\0\0\x01", 12);
	ck_assert_mem_eq(t.task.sense + 20, "\x0c", 1);
	ck_assert_uint_eq(t.task.sense[21], t.task.sense_len - 22);
	ck_assert_uint_eq(t.task.sense[22], 0x01);
	ck_assert_uint_eq(t.task.sense[23], 0x02);
	ck_assert_uint_eq(t.task.sense[7], t.task.sense_len - 8);
	tst_fini(&t);
}
END_TEST

START_TEST(unit_attentions_of_the_disk_are_passed_over)
{
	struct list_bytes l;
	struct tst t;
	uint8_t attention[18] = {0x70, 0, 0x06, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x29, 0x00};

	in_lun(&l, 8, 0, 4000);
	xcopy_init(&t, &l, finish_list(&l));
	tst_submit(&t);
	for (unsigned i = 0; i < 3; i++)
		fake_end(x.fake, 0, HBA_DONE, SCSI_CHECK_CONDITION, attention, 18);
	fake_run(x.fake, 0);
	assert_good(&t);
	ck_assert(holds(0, 4000, 0, 8));
	tst_fini(&t);
	/* but not for ever */
	xcopy_init(&t, &l, finish_list(&l));
	tst_submit(&t);
	for (unsigned i = 0; i < 4; i++)
		fake_end(x.fake, 0, HBA_DONE, SCSI_CHECK_CONDITION, attention, 18);
	assert_check(&t, 0x0a, 0x0d, 0x01);
	tst_fini(&t);
}
END_TEST

START_TEST(a_controller_that_goes_away_ends_all_copies)
{
	struct list_bytes l;
	struct tst t[6];

	in_lun(&l, 2000, 0, 4000);
	finish_list(&l);
	for (unsigned i = 0; i < 6; i++) {
		xcopy_init(&t[i], &l, finish_list(&l));
		tst_submit(&t[i]);
	}
	scsi_host_detach(x.host, SCSI_GATE_GONE);
	while (x.fake->n_flight)
		fake_end(x.fake, 0, HBA_GONE, 0, NULL, 0);
	for (unsigned i = 0; i < 6; i++) {
		assert_check(&t[i], 0x0a, 0x0d, 0x02);
		tst_fini(&t[i]);
	}
}
END_TEST

/* --- many, and none --- */

START_TEST(more_copies_than_there_are_wait_for_one_to_end)
{
	struct list_bytes l;
	struct tst t[20];

	for (unsigned i = 0; i < 20; i++) {
		in_lun(&l, 64, i * 64, 4000 + i * 64);
		xcopy_init(&t[i], &l, finish_list(&l));
		tst_submit(&t[i]);
	}
	ck_assert_uint_eq(x.fake->n_flight, 4);
	fake_run(x.fake, 7);
	for (unsigned i = 0; i < 20; i++) {
		assert_good(&t[i]);
		tst_fini(&t[i]);
	}
	ck_assert(holds(0, 4000, 0, 20 * 64));
}
END_TEST

/* All of them end in the call that frees the copy; the stack must not grow with their number. */
START_TEST(many_waiting_lists_that_are_wrong_end_one_after_another)
{
	enum { N = 3000 };
	struct tst *t = calloc(N, sizeof(*t));
	struct tst first[4];
	struct list_bytes l;

	in_lun(&l, 8, 0, 4000);
	for (unsigned i = 0; i < 4; i++) {
		xcopy_init(&first[i], &l, finish_list(&l));
		tst_submit(&first[i]);
	}
	l.data[16] = 0xe0;
	for (unsigned i = 0; i < N; i++) {
		xcopy_init(&t[i], &l, finish_list(&l));
		tst_submit(&t[i]);
		ck_assert_uint_eq(t[i].done, 0);
	}
	fake_run(x.fake, 0);
	for (unsigned i = 0; i < N; i++) {
		assert_check(&t[i], 0x05, 0x26, 0x07);
		tst_fini(&t[i]);
	}
	for (unsigned i = 0; i < 4; i++)
		tst_fini(&first[i]);
	free(t);
}
END_TEST

START_TEST(other_commands_have_their_turn)
{
	struct list_bytes l;
	struct tst copy, read;
	uint8_t cdb[16];

	x.fake->slots = 1;
	in_lun(&l, 4000, 0, 4000);
	xcopy_init(&copy, &l, finish_list(&l));
	tst_submit(&copy);
	cdb16(cdb, 0x88, 0, 0, 1);
	tst_init(&read, x.lun, cdb, 16, 512, 1);
	tst_submit(&read);
	for (unsigned i = 0; i < 8; i++)
		fake_complete(x.fake, 0);
	assert_good(&read);
	fake_run(x.fake, 0);
	assert_good(&copy);
	tst_fini(&read);
	tst_fini(&copy);
}
END_TEST

/* COMPARE AND WRITE of a block that a piece of the copy is just writing waits for that piece. */
START_TEST(exclusive_commands_and_pieces_wait_for_each_other)
{
	struct list_bytes l;
	struct tst copy, caw, other_block;
	uint8_t cdb[16];

	in_lun(&l, 8, 0, 4000);
	xcopy_init(&copy, &l, finish_list(&l));
	tst_submit(&copy);
	fake_complete(x.fake, 0); /* read; the write is at the controller */
	cdb16(cdb, 0x89, 0, 4003, 0);
	cdb[13] = 1;
	tst_init(&caw, x.lun, cdb, 16, 1024, 1);
	fake_pattern(3, caw.buf, 512); /* what the copy brings */
	memset(caw.buf + 512, 0x77, 512);
	caw.filled = true;
	tst_submit(&caw);
	ck_assert_uint_eq(x.fake->n_flight, 1);
	cdb16(cdb, 0x88, 0, 5000, 1);
	tst_init(&other_block, x.lun, cdb, 16, 512, 1);
	tst_submit(&other_block);
	ck_assert_uint_eq(x.fake->n_flight, 2);
	fake_run(x.fake, 0);
	assert_good(&copy);
	assert_good(&caw);
	assert_good(&other_block);
	ck_assert_uint_eq(x.disk->store[4003 * 512], 0x77);
	tst_fini(&copy);
	tst_fini(&caw);
	tst_fini(&other_block);
}
END_TEST

START_TEST(an_abort_ends_a_copy_when_its_requests_are_back)
{
	struct list_bytes l;
	struct tst t;
	unsigned n;

	in_lun(&l, 4000, 0, 4000);
	xcopy_init(&t, &l, finish_list(&l));
	tst_submit(&t);
	for (int i = 0; i < _i; i++)
		fake_complete(x.fake, 0);
	n = x.fake->n_log;
	scsi_task_abort(&t.task);
	scsi_task_abort(&t.task);
	ck_assert_uint_eq(t.done, 0);
	ck_assert_uint_eq(x.fake->n_aborts, x.fake->n_flight);
	while (x.fake->n_flight > 1)
		fake_end(x.fake, 1, HBA_ABORTED, 0, NULL, 0);
	ck_assert_uint_eq(t.done, 0);
	fake_complete(x.fake, 0); /* the last one was faster */
	ck_assert_uint_eq(t.done, 1);
	ck_assert_uint_eq(t.task.status, SCSI_TASK_ABORTED);
	ck_assert_uint_eq(t.task.sense_len, 0);
	ck_assert_uint_eq(x.fake->n_log, n); /* nothing new was begun */
	tst_fini(&t);
}
END_TEST

START_TEST(a_copy_that_waits_is_aborted_at_once)
{
	struct list_bytes l;
	struct tst t[6];

	in_lun(&l, 8, 0, 4000);
	for (unsigned i = 0; i < 6; i++) {
		xcopy_init(&t[i], &l, finish_list(&l));
		tst_submit(&t[i]);
	}
	scsi_task_abort(&t[4].task);
	ck_assert_uint_eq(t[4].done, 1);
	ck_assert_uint_eq(t[4].task.status, SCSI_TASK_ABORTED);
	fake_run(x.fake, 0);
	for (unsigned i = 0; i < 6; i++) {
		ck_assert_uint_eq(t[i].done, 1);
		ck_assert_uint_eq(t[i].task.status, i == 4 ? SCSI_TASK_ABORTED : SCSI_GOOD);
		tst_fini(&t[i]);
	}
}
END_TEST

/* Pieces that wait for a slot are gone at once. */
START_TEST(an_abort_with_nothing_at_the_controller_ends_it_at_once)
{
	struct list_bytes l;
	struct tst t;

	x.fake->state = HBA_RESETTING; /* no slots */
	in_lun(&l, 4000, 0, 4000);
	xcopy_init(&t, &l, finish_list(&l));
	tst_submit(&t);
	scsi_task_abort(&t.task);
	ck_assert_uint_eq(t.done, 1);
	ck_assert_uint_eq(t.task.status, SCSI_TASK_ABORTED);
	x.fake->state = HBA_RUNNING;
	fake_ready(x.fake);
	ck_assert_uint_eq(x.fake->n_log, 0);
	tst_fini(&t);
}
END_TEST

/* --- LUNs that leave --- */

static void to_other(struct list_bytes *l, uint16_t blocks)
{
	memset(l, 0, sizeof(*l));
	add_cscd(l, x.lun, 512);
	add_cscd(l, other[1], 512);
	add_segment(l, 0, 1, blocks, 0, 0);
}

static void from_other(struct list_bytes *l, uint16_t blocks)
{
	memset(l, 0, sizeof(*l));
	add_cscd(l, x.lun, 512);
	add_cscd(l, other[1], 512);
	add_segment(l, 1, 0, blocks, 0, 0);
}

START_TEST(copies_with_a_lun_that_leaves_end)
{
	struct list_bytes l;
	struct tst t;

	to_other(&l, 4000);
	xcopy_init(&t, &l, finish_list(&l));
	tst_submit(&t);
	for (int i = 0; i < _i; i++)
		fake_complete(x.fake, 0);
	/* The LUN's memory lives on until its requests are back, which ASan watches. */
	scsi_lun_destroy(other[1]);
	other[1] = NULL;
	ck_assert_uint_eq(t.done, 0);
	while (x.fake->n_flight)
		fake_end(x.fake, 0, HBA_ABORTED, 0, NULL, 0);
	assert_check(&t, 0x0a, 0x0d, 0x02);
	tst_fini(&t);
}
END_TEST

/* A copy that has failed already, and whose other pieces wait for slots of the controller. */
START_TEST(a_lun_may_leave_a_copy_that_fails)
{
	struct list_bytes l;
	struct tst t;

	to_other(&l, 4000);
	x.fake->slots = 1;
	xcopy_init(&t, &l, finish_list(&l));
	tst_submit(&t);
	fake_complete(x.fake, 0); /* its write waits behind the other reads */
	x.fake->state = HBA_RESETTING;
	fake_end(x.fake, 0, HBA_DONE, 0x02, fake_sense_medium, 18);
	ck_assert_uint_eq(t.done, 0);
	scsi_lun_destroy(other[1]);
	other[1] = NULL;
	x.fake->state = HBA_RUNNING;
	fake_ready(x.fake);
	fake_run(x.fake, 0);
	assert_check(&t, 0x0a, 0x0d, 0x01);
	tst_fini(&t);
}
END_TEST

/* ... and none is begun until it is served. */
START_TEST(nobody_copies_from_or_to_a_lun_that_is_not_served)
{
	struct list_bytes l;
	struct tst t;

	to_other(&l, 8);
	if (_i)
		from_other(&l, 8);
	scsi_lun_retire(other[1]);
	xcopy(&t, &l);
	assert_check(&t, 0x0a, 0x0d, 0x02); /* copy target device not reachable */
	tst_fini(&t);
	ck_assert_uint_eq(x.fake->n_log, 0);
	scsi_lun_serve(other[1]);
	xcopy(&t, &l);
	assert_good(&t);
	tst_fini(&t);
}
END_TEST

/* Between OPEN and START of its ring: the gate is open, and commands may still come by the old owner of the ring. */
START_TEST(nobody_copies_from_or_to_a_lun_whose_ring_was_never_started)
{
	struct scsi_lun_config cfg;
	struct err e = {""};
	struct list_bytes l;
	struct tst t;

	to_other(&l, 8);
	if (_i)
		from_other(&l, 8);
	scsi_lun_destroy(other[1]);
	ck_assert_int_eq(scsi_lun_parse("ld1;allow=copy", &cfg, &e), 0);
	ck_assert_int_eq(scsi_lun_create(x.host, &cfg, &other[1]), 0);
	ck_assert_int_eq(scsi_lun_gate(other[1]), SCSI_GATE_OPEN);
	xcopy(&t, &l);
	assert_check(&t, 0x0a, 0x0d, 0x02);
	tst_fini(&t);
	ck_assert_uint_eq(x.fake->n_log, 0);
	scsi_lun_serve(other[1]);
	xcopy(&t, &l);
	assert_good(&t);
	tst_fini(&t);
}
END_TEST

/* The old LUN of a unit, which still has pieces of a copy, does not stand in the way of the new one. */
START_TEST(of_two_luns_of_a_unit_the_one_that_is_served_is_copied_to)
{
	struct scsi_lun *old = other[1];
	struct list_bytes l;
	struct tst t, held;

	to_other(&l, 8);
	xcopy_init(&held, &l, finish_list(&l));
	tst_submit(&held);
	scsi_lun_retire(old);
	other[1] = fx_lun(&x, "ld1;allow=copy");
	xcopy_init(&t, &l, finish_list(&l));
	tst_submit(&t);
	fake_run(x.fake, 0);
	assert_check(&held, 0x0a, 0x0d, 0x02);
	assert_good(&t);
	scsi_lun_destroy(old);
	tst_fini(&t);
	tst_fini(&held);
}
END_TEST

START_TEST(copies_that_do_not_need_the_lun_any_more_go_on)
{
	struct list_bytes l;
	struct tst t;

	to_other(&l, 8);
	add_segment(&l, 0, 0, 8, 0, 4000);
	xcopy_init(&t, &l, finish_list(&l));
	tst_submit(&t);
	fake_complete(x.fake, 0);
	fake_complete(x.fake, 0);
	ck_assert_uint_eq(x.fake->n_flight, 1); /* the second segment */
	scsi_lun_destroy(other[1]);
	other[1] = NULL;
	fake_run(x.fake, 0);
	assert_good(&t);
	tst_fini(&t);
}
END_TEST

/* --- RECEIVE COPY RESULTS --- */

static void results(struct tst *t, uint8_t sa, uint8_t id, uint32_t alloc, struct scsi_lun *lun)
{
	uint8_t cdb[16] = {0x84, sa, id};

	put_be32(cdb + 10, alloc);
	tst_init(t, lun, cdb, 16, 200, 1);
	tst_submit(t);
	ck_assert_uint_eq(t->done, 1);
}

static void copy_with_id(struct list_bytes *l, uint8_t id, uint8_t usage)
{
	struct tst t;

	l->data[0] = id;
	l->data[1] = (uint8_t)(usage << 3);
	xcopy(&t, l);
	tst_fini(&t);
}

START_TEST(operating_parameters_tell_the_maxima)
{
	static const uint8_t want[46] = {
		0,
		0,
		0,
		42,
		0x01,
		0,
		0,
		0, /* SNLID */
		0,
		16,
		0,
		64, /* descriptors */
		0,
		0,
		0x09,
		0, /* 16 x 32 + 64 x 28 = 2304 bytes of them */
		0x0f,
		0xff,
		0xf0,
		0, /* 65,535 x 4,096 bytes per segment */
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0, /* no inline data, held data, streams */
		0,
		0,
		0,
		4,
		4, /* copies at once */
		9,
		0,
		0,
		0,
		0,
		0, /* granularity 2^9 */
		2,
		0x02,
		0xe4,
	};
	struct tst t;

	results(&t, 0x03, 0, 200, x.lun);
	assert_good(&t);
	ck_assert_uint_eq(t.task.in_bytes, 46);
	ck_assert_mem_eq(t.buf, want, 46);
	tst_fini(&t);
	results(&t, 0x03, 0, 10, x.lun);
	assert_good(&t);
	ck_assert_uint_eq(t.task.in_bytes, 10);
	tst_fini(&t);
}
END_TEST

START_TEST(held_data_and_other_service_actions_are_refused)
{
	static const uint8_t actions[] = {0x01, 0x02, 0x05, 0x06, 0x07, 0x1f};
	struct tst t;

	for (unsigned i = 0; i < sizeof(actions); i++) {
		results(&t, actions[i], 0, 200, x.lun);
		assert_check(&t, 0x05, 0x24, 0x00);
		ck_assert_mem_eq(t.task.sense + 15, "\xcc\x00\x01", 3);
		tst_fini(&t);
	}
	tst_do(&t, &x, "\x83\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16, 0); /* EXTENDED COPY(LID4) */
	assert_check(&t, 0x05, 0x24, 0x00);
	tst_fini(&t);
}
END_TEST

START_TEST(status_tells_of_a_copy_in_progress_and_at_its_end)
{
	static const uint8_t ended[12] = {0, 0, 0, 8, 0x01, 0, 2, 0x00, 0, 0x0f, 0xb0, 0};
	struct list_bytes l;
	struct tst t, s;

	results(&s, 0x00, 0x55, 200, x.lun);
	assert_check(&s, 0x05, 0x24, 0x00);
	ck_assert_mem_eq(s.task.sense + 15, "\xcf\x00\x02", 3);
	tst_fini(&s);
	in_lun(&l, 8, 0, 4000);
	add_segment(&l, 0, 0, 2000, 0, 5000);
	l.data[0] = 0x55;
	xcopy_init(&t, &l, finish_list(&l));
	tst_submit(&t);
	fake_complete(x.fake, 0);
	fake_complete(x.fake, 0); /* 8 blocks written: 4,096 bytes */
	results(&s, 0x00, 0x55, 200, x.lun);
	assert_good(&s);
	ck_assert_uint_eq(s.task.in_bytes, 12);
	ck_assert_mem_eq(s.buf, "\0\0\0\x08\x00\0\x01\0\0\0\x10\0", 12);
	tst_fini(&s);
	results(&s, 0x04, 0x55, 200, x.lun); /* it has not failed yet */
	assert_check(&s, 0x05, 0x24, 0x00);
	tst_fini(&s);
	fake_run(x.fake, 0);
	assert_good(&t);
	tst_fini(&t);
	results(&s, 0x00, 0x55, 200, x.lun); /* 2,008 blocks: FB000h bytes */
	assert_good(&s);
	ck_assert_mem_eq(s.buf, ended, 12);
	tst_fini(&s);
	results(&s, 0x04, 0x55, 200, x.lun);
	assert_good(&s);
	ck_assert_uint_eq(s.task.in_bytes, 4);
	ck_assert_mem_eq(s.buf, "\0\0\0\0", 4);
	tst_fini(&s);
	results(&s, 0x00, 0x54, 200, x.lun);
	assert_check(&s, 0x05, 0x24, 0x00);
	tst_fini(&s);
}
END_TEST

START_TEST(failure_details_hold_the_sense_that_the_command_ended_with)
{
	struct list_bytes l;
	struct tst t;

	in_lun(&l, 8, 0, BLOCKS);
	copy_with_id(&l, 7, 0);
	results(&t, 0x00, 7, 200, x.lun);
	assert_good(&t);
	ck_assert_uint_eq(t.buf[4], 0x02);
	tst_fini(&t);
	results(&t, 0x04, 7, 200, x.lun);
	assert_good(&t);
	ck_assert_uint_eq(t.task.in_bytes, 60 + 37);
	ck_assert_uint_eq(get_be32(t.buf), 60 + 37 - 4);
	ck_assert_uint_eq(t.buf[56], 0x02);
	ck_assert_uint_eq(get_be16(t.buf + 58), 37);
	ck_assert_uint_eq(t.buf[60], 0x70);
	ck_assert_uint_eq(t.buf[62], 0x0a);
	tst_fini(&t);
	in_lun(&l, 8, 0, 100); /* the identifier is used again */
	copy_with_id(&l, 7, 0);
	results(&t, 0x04, 7, 200, x.lun);
	assert_good(&t);
	ck_assert_uint_eq(t.task.in_bytes, 4);
	tst_fini(&t);
}
END_TEST

START_TEST(what_need_not_be_kept_is_not_kept)
{
	struct list_bytes l;
	struct tst t;

	in_lun(&l, 8, 0, 100);
	copy_with_id(&l, 1, 2); /* discard */
	results(&t, 0x00, 1, 200, x.lun);
	assert_check(&t, 0x05, 0x24, 0x00);
	tst_fini(&t);
	copy_with_id(&l, 0, 3); /* no identifier */
	results(&t, 0x00, 0, 200, x.lun);
	assert_check(&t, 0x05, 0x24, 0x00);
	tst_fini(&t);
	l.data[16] = 0xe0;
	copy_with_id(&l, 1, 0); /* never began */
	results(&t, 0x00, 1, 200, x.lun);
	assert_check(&t, 0x05, 0x24, 0x00);
	tst_fini(&t);
}
END_TEST

START_TEST(the_oldest_results_make_room)
{
	struct list_bytes l;
	struct tst t;

	in_lun(&l, 8, 0, 100);
	for (uint8_t id = 0; id < 17; id++)
		copy_with_id(&l, id, 0);
	for (uint8_t id = 0; id < 17; id++) {
		results(&t, 0x00, id, 200, x.lun);
		ck_assert_uint_eq(t.task.status, id ? SCSI_GOOD : SCSI_CHECK_CONDITION);
		tst_fini(&t);
	}
}
END_TEST

START_TEST(results_belong_to_a_lun_and_leave_with_it)
{
	struct list_bytes l;
	struct tst t;

	in_lun(&l, 8, 0, 100);
	copy_with_id(&l, 3, 0);
	results(&t, 0x00, 3, 200, other[1]);
	assert_check(&t, 0x05, 0x24, 0x00);
	tst_fini(&t);
	scsi_lun_retire(x.lun);
	results(&t, 0x00, 3, 200, x.lun);
	assert_check(&t, 0x05, 0x24, 0x00);
	tst_fini(&t);
}
END_TEST

/* Nobody tells of an initiator that leaves. */
START_TEST(results_are_forgotten_after_a_while)
{
	struct list_bytes l;
	struct tst t;

	in_lun(&l, 8, 0, 100);
	copy_with_id(&l, 1, 0);
	fake_now += UINT64_C(9999999999);
	results(&t, 0x00, 1, 200, x.lun);
	assert_good(&t);
	tst_fini(&t);
	fake_now += 1;
	results(&t, 0x00, 1, 200, x.lun);
	assert_check(&t, 0x05, 0x24, 0x00);
	tst_fini(&t);
}
END_TEST

/* SPC-4 7.8.17, by hand: the mandatory descriptors. */
START_TEST(page_8f_tells_what_copies_are_taken)
{
	static const uint8_t want[] = {0x00, 0x8f, 0x00, 132,
		/* supported commands */
		0x00, 0x01, 0x00, 12, 8, 0x83, 1, 0x00, 0x84, 3, 0x00, 0x03, 0x04, 0, 0, 0,
		/* parameter data: CSCDs, segments, bytes of both */
		0x00, 0x04, 0x00, 28, 0, 0, 0, 0, 0, 16, 0, 64, 0, 0, 0x09, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0, 0, 0, 0, 0, 0,
		/* supported descriptors */
		0x00, 0x08, 0x00, 4, 2, 0x02, 0xe4, 0,
		/* supported CSCD ids: none */
		0x00, 0x0c, 0x00, 4, 0, 0, 0, 0,
		/* general copy operations: concurrent copies, segment length, granularity */
		0x80, 0x01, 0x00, 32, 0, 0, 0, 4, 0, 0, 0, 4, 0x0f, 0xff, 0xf0, 0x00, 9, 0, 0, 0, 0, 0, 0, 0,
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		/* held data: none */
		0xc0, 0x01, 0x00, 28, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0, 0, 0, 0};
	struct tst t;

	tst_do(&t, &x, "\x12\x01\x8f\x00\xff\x00", 6, 255);
	assert_good(&t);
	ck_assert_uint_eq(t.task.in_bytes, sizeof(want));
	ck_assert_mem_eq(t.buf, want, sizeof(want));
	tst_fini(&t);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scsi copy");
	TCase *c = tcase_create("copy"), *o = tcase_create("other luns");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, blocks_are_copied_within_the_lun);
	tcase_add_loop_test(c, in_whatever_order_the_controller_answers, 0, 20);
	tcase_add_test(c, no_list_no_segments_and_no_blocks_are_nothing_to_do);
	tcase_add_loop_test(c, overlapping_ranges_end_as_if_copied_at_once, 0, 5);
	tcase_add_test(c, lengths_that_do_not_fit_are_refused);
	tcase_add_test(c, fields_of_the_header_are_judged);
	tcase_add_test(c, more_descriptors_than_the_maxima_are_refused);
	tcase_add_test(c, unknown_descriptors_are_refused);
	tcase_add_test(c, devices_that_cannot_be_copied_from_or_to_abort_it);
	tcase_add_test(c, descriptors_that_are_of_no_lun_or_of_another_kind_abort_it);
	tcase_add_test(c, a_designator_of_two_luns_names_none);
	tcase_add_loop_test(c, ranges_beyond_the_end_abort_it, 0, 5);
	tcase_add_loop_test(c, other_luns_without_leave_are_unreachable, 0, 3);
	tcase_add_test(c, an_error_of_the_source_is_told_with_its_sense);
	tcase_add_test(c, an_error_of_the_destination_is_told_with_its_status);
	tcase_add_test(c, sense_in_descriptor_format_forwards_the_devices_answer);
	tcase_add_test(c, unit_attentions_of_the_disk_are_passed_over);
	tcase_add_test(c, a_controller_that_goes_away_ends_all_copies);
	tcase_add_test(c, more_copies_than_there_are_wait_for_one_to_end);
	tcase_add_test(c, many_waiting_lists_that_are_wrong_end_one_after_another);
	tcase_add_test(c, other_commands_have_their_turn);
	tcase_add_test(c, exclusive_commands_and_pieces_wait_for_each_other);
	tcase_add_loop_test(c, an_abort_ends_a_copy_when_its_requests_are_back, 0, 7);
	tcase_add_test(c, a_copy_that_waits_is_aborted_at_once);
	tcase_add_test(c, an_abort_with_nothing_at_the_controller_ends_it_at_once);
	tcase_add_test(c, operating_parameters_tell_the_maxima);
	tcase_add_test(c, held_data_and_other_service_actions_are_refused);
	tcase_add_test(c, status_tells_of_a_copy_in_progress_and_at_its_end);
	tcase_add_test(c, failure_details_hold_the_sense_that_the_command_ended_with);
	tcase_add_test(c, what_need_not_be_kept_is_not_kept);
	tcase_add_test(c, the_oldest_results_make_room);
	tcase_add_test(c, results_are_forgotten_after_a_while);
	tcase_add_test(c, page_8f_tells_what_copies_are_taken);
	suite_add_tcase(s, c);
	tcase_add_checked_fixture(o, setup_allowed, teardown);
	tcase_add_test(o, other_luns_take_part_when_both_allow_it);
	tcase_add_test(o, block_sizes_may_differ_when_the_bytes_fit);
	tcase_add_test(o, a_read_only_lun_is_copied_from_and_not_to);
	tcase_add_loop_test(o, copies_with_a_lun_that_leaves_end, 0, 7);
	tcase_add_test(o, a_lun_may_leave_a_copy_that_fails);
	tcase_add_loop_test(o, nobody_copies_from_or_to_a_lun_that_is_not_served, 0, 2);
	tcase_add_loop_test(o, nobody_copies_from_or_to_a_lun_whose_ring_was_never_started, 0, 2);
	tcase_add_test(o, of_two_luns_of_a_unit_the_one_that_is_served_is_copied_to);
	tcase_add_test(o, copies_that_do_not_need_the_lun_any_more_go_on);
	tcase_add_test(o, results_belong_to_a_lun_and_leave_with_it);
	suite_add_tcase(s, o);
	return run_suite(s);
}
