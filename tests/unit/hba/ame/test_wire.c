/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames byte by byte, worked out by hand from the facts page; and what becomes of answers. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "hba/ame/box.h"
#include "tests/unit/run_suite.h"

#define IOVA 0x40000000u

static struct ame a;
static struct hba h;
static uint8_t *mem;

/* Slot 7 is the first that carries requests: identifier (7 + 1) << 2 = 20h, frame at 7 * B00h = 4d00h. */
#define SLOT  7
#define FRAME 0x4d00

static void setup(void)
{
	memset(&a, 0, sizeof(a));
	memset(&h, 0, sizeof(h));
	mem = malloc(AME_MAX_SLOTS * 0xb00);
	memset(mem, 0xa5, AME_MAX_SLOTS * 0xb00);
	a.h = &h;
	a.family = &ame_3108;
	a.mem.cpu = a.slot_mem = mem;
	a.mem.iova = IOVA;
}

static void teardown(void)
{
	free(mem);
}

static void expect(uint32_t at, const void *bytes, size_t n)
{
	const uint8_t *want = bytes;

	for (size_t i = 0; i < n; i++)
		ck_assert_msg(mem[at + i] == want[i], "byte %02zxh at %xh: %02x instead of %02x", i, at,
			mem[at + i], want[i]);
}

/* All from at on up to the frame's end. */
static void expect_zeros(uint32_t at)
{
	for (; at < FRAME + 512; at++)
		ck_assert_msg(mem[at] == 0, "byte at %xh: %02x", at, mem[at]);
}

START_TEST(places_of_frames)
{
	ck_assert_uint_eq(ame_id(SLOT), 0x20);
	ck_assert_ptr_eq(ame_slot_at(&a, SLOT, AME_AT_FRAME), mem + FRAME);
	ck_assert_uint_eq(ame_iova(&a, mem + FRAME), 0x40004d00);
}
END_TEST

/* Facts page, section 13 step 14: INQUIRY, allocation 36. */
START_TEST(inquiry_has_a_buffer_descriptor)
{
	static const uint8_t cdb[] = {0x12, 0, 0, 0, 36, 0};
	const struct dma_seg seg = {UINT64_C(0x123456000), 36};
	const struct ame_cmd c = {
		.lun = 5, .cdb = cdb, .cdb_len = 6, .dir = DMA_FROM_DEVICE, .seg = &seg, .n_seg = 1};
	static const uint8_t want[] = {
		0,
		0,
		5,
		0x00, /* LUN, function */
		0x20,
		0,
		0,
		0, /* identifier */
		6,
		64,
		0,
		0, /* CDB and sense length */
		0x2e,
		0,
		0,
		0, /* control: read */
		0x12,
		0,
		0,
		0,
		36,
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
		0, /* CDB */
		36,
		0,
		0,
		0, /* data length */
		0x00,
		0x57,
		0x00,
		0x40, /* sense at frame + a00h */
		36,
		0,
		0,
		0x10, /* element: 64-bit address, to the host; length */
		0x00,
		0x60,
		0x45,
		0x23, /* address */
		0x01,
		0,
		0,
		0,
	};

	ame_build_scsi(&a, SLOT, &c);
	expect(FRAME, want, sizeof(want));
	expect_zeros(FRAME + sizeof(want));
	/* The sense block is cleared. */
	for (unsigned i = 0; i < 64; i++)
		ck_assert_uint_eq(mem[FRAME + 0xa00 + i], 0);
}
END_TEST

START_TEST(without_data_nothing_follows)
{
	static const uint8_t cdb[] = {0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0};
	const struct ame_cmd c = {.lun = 63, .cdb = cdb, .cdb_len = 10, .dir = DMA_NONE};
	static const uint8_t want[] = {0, 0, 63, 0, 0x20, 0, 0, 0, 10, 64, 0, 0, 0x2c, 0, 0, 0, 0x35};

	ame_build_scsi(&a, SLOT, &c);
	expect(FRAME, want, sizeof(want));
	ck_assert_uint_eq(mem[FRAME + 0x20], 0);
	expect_zeros(FRAME + 0x28);
}
END_TEST

static void rw(const struct ame_family *family, uint8_t op, const struct dma_seg *seg, uint32_t n)
{
	uint8_t cdb[16] = {op};
	const struct ame_cmd c = {
		.cdb = cdb,
		.cdb_len = 10,
		.dir = op & 2 ? DMA_TO_DEVICE : DMA_FROM_DEVICE,
		.seg = seg,
		.n_seg = n,
	};

	a.family = family;
	ame_build_scsi(&a, SLOT, &c);
}

/* Two elements of 16 bytes from 30h on; only the 3108's last has its mark; 28h to 2fh are zero. */
START_TEST(reads_and_writes_have_elements_of_16_bytes)
{
	static const struct dma_seg seg[] = {{0x40010000, 0x10000}, {UINT64_C(0x240000200), 0x200}};
	uint8_t want[] = {
		0x2d,
		0,
		0,
		0,
		0x2a,
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
		0,
		0,
		0,
		0, /* control: write; CDB */
		0x00,
		0x02,
		0x01,
		0, /* 10200h bytes */
		0x00,
		0x57,
		0x00,
		0x40, /* sense */
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0x00,
		0x00,
		0x01,
		0x40,
		0,
		0,
		0,
		0,
		0x00,
		0x00,
		0x01,
		0,
		0,
		0,
		0,
		0,
		0x00,
		0x02,
		0x00,
		0x40,
		2,
		0,
		0,
		0,
		0x00,
		0x02,
		0x00,
		0,
		0,
		0,
		0,
		0x40,
	};

	rw(&ame_3108, 0x2a, seg, 2);
	expect(FRAME + 0x0c, want, sizeof(want));
	expect_zeros(FRAME + 0x50);
	want[sizeof(want) - 1] = 0;
	rw(&ame_2208, 0x2a, seg, 2);
	expect(FRAME + 0x0c, want, sizeof(want));
	expect_zeros(FRAME + 0x50);
}
END_TEST

/* A 341 has 12 bytes for everything: 30000000h | length for what it reads. */
START_TEST(the_341_has_buffer_descriptors_for_everything)
{
	static const struct dma_seg seg[] = {{0x40010000, 0x10000}, {0x40040000, 0x200}};
	static const uint8_t want[] = {
		0x00,
		0x00,
		0x01,
		0x30,
		0x00,
		0x00,
		0x01,
		0x40,
		0,
		0,
		0,
		0,
		0x00,
		0x02,
		0x00,
		0x30,
		0x00,
		0x00,
		0x04,
		0x40,
		0,
		0,
		0,
		0,
	};

	rw(&ame_341, 0x2a, seg, 2);
	expect(FRAME + 0x28, want, sizeof(want));
	expect_zeros(FRAME + 0x40);
}
END_TEST

START_TEST(only_eight_opcodes_are_reads_and_writes)
{
	static const uint8_t ops[] = {0x08, 0x0a, 0x28, 0x2a, 0x88, 0x8a, 0xa8, 0xaa};

	for (unsigned op = 0; op < 256; op++)
		ck_assert_int_eq(ame_is_rw((uint8_t)op), memchr(ops, (int)op, sizeof(ops)) != NULL);
}
END_TEST

static const struct {
	const struct ame_family *family;
	uint8_t op;
	uint32_t n;
	bool list;
} lists[] = {
	{&ame_3108, 0x28, 29, false},
	{&ame_3108, 0x28, 30, true},
	{&ame_3108, 0x28, 128, true},
	{&ame_2208, 0x2a, 29, false},
	{&ame_2208, 0x2a, 30, true},
	{&ame_3108, 0x42, 39, false}, /* UNMAP */
	{&ame_3108, 0x42, 40, true},
	{&ame_341, 0x28, 39, false},
	{&ame_341, 0x28, 40, true},
	{&ame_341, 0x28, 128, true},
};

/* Pointer at 28h: 50h and a number of elements, then the address of frame + 200h. */
START_TEST(many_segments_are_in_a_list)
{
	struct dma_seg seg[128];
	bool wide = lists[_i].family != &ame_341 && lists[_i].op != 0x42;
	uint32_t n = lists[_i].n;
	const uint8_t pointer[] = {(uint8_t)n, 0, 0, 0x50, 0x00, 0x4f, 0x00, 0x40, 0, 0, 0, 0};
	const uint8_t *last = mem + FRAME + 0x200 + (n - 1) * (wide ? 16 : 12);

	for (uint32_t i = 0; i < 128; i++)
		seg[i] = (struct dma_seg){0x50000000 + i * 0x1000, 0x200};
	rw(lists[_i].family, lists[_i].op, seg, n);
	if (!lists[_i].list) {
		ck_assert_uint_ne(mem[FRAME + 0x2b], 0x50);
		/* nothing beyond the frame */
		ck_assert_uint_eq(mem[FRAME + 0x200], 0xa5);
		return;
	}
	expect(FRAME + 0x28, pointer, sizeof(pointer));
	expect_zeros(FRAME + 0x34);
	ck_assert_uint_eq(get_be16(last + (wide ? 0 : 4)), ((n - 1) * 0x1000) >> 8 & 0xff);
	if (wide)
		ck_assert_uint_eq(last[15], lists[_i].family == &ame_3108 ? 0x40 : 0);
	/* The sense block behind the longest list is untouched by it. */
	ck_assert_uint_eq(mem[FRAME + 0xa00], 0);
}
END_TEST

/* Section 13 step 13. */
START_TEST(get_page_zero)
{
	static const uint8_t want[] = {0, 0, 2, 3, 0x04, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x00, 0x02, 0, 0, 0, 0, 0, 0, 0x00, 0x02,
		0, 0x10, 0x00, 0x10, 0x00, 0x40, 0, 0, 0, 0};

	ame_build_page(&a, 0, 0, IOVA + 0x1000);
	expect(0, want, sizeof(want));
	ck_assert_uint_eq(mem[sizeof(want)], 0);
}
END_TEST

START_TEST(event_switch_and_task_management)
{
	static const uint8_t on[] = {0, 0, 1, 2, 0x08, 0, 0, 0, 0}, off[] = {0, 0, 0, 2, 0x08, 0, 0, 0, 0};
	static const uint8_t abort[] = {0, 0, 1, 1, 0x10, 0, 0, 0, 9, 0, 0, 0, 0x20, 0, 0, 0, 0};
	static const uint8_t lun[] = {0, 0, 3, 1, 0x10, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0};

	ame_build_switch(&a, 1, true);
	expect(0xb00, on, sizeof(on));
	ame_build_switch(&a, 1, false);
	expect(0xb00, off, sizeof(off));
	ame_build_task(&a, 3, AME_T_ABORT, 9, SLOT);
	expect(3 * 0xb00, abort, sizeof(abort));
	ame_build_task(&a, 3, AME_T_LUN_RESET, 9, SLOT);
	expect(3 * 0xb00, lun, sizeof(lun));
}
END_TEST

static const struct {
	uint64_t lba;
	uint32_t blocks;
	enum dma_dir dir;
	uint8_t len, cdb[16];
} cdbs[] = {
	{0x12345678, 8, DMA_FROM_DEVICE, 10, {0x28, 0, 0x12, 0x34, 0x56, 0x78, 0, 0, 8}},
	{0x12345678, 1024, DMA_TO_DEVICE, 10, {0x2a, 0, 0x12, 0x34, 0x56, 0x78, 0, 4, 0}},
	{0xfffffff7, 8, DMA_FROM_DEVICE, 10, {0x28, 0, 0xff, 0xff, 0xff, 0xf7, 0, 0, 8}},
	{0xfffffff8, 8, DMA_FROM_DEVICE, 16, {0x88, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xf8, 0, 0, 0, 8}},
	{UINT64_C(0x1122334455), 1024, DMA_TO_DEVICE, 16,
		{0x8a, 0, 0, 0, 0, 0x11, 0x22, 0x33, 0x44, 0x55, 0, 0, 4, 0}},
};

START_TEST(cdbs_of_reads_and_writes)
{
	struct hba_req req = {.lba = cdbs[_i].lba, .nblocks = cdbs[_i].blocks, .dpo = true};
	uint8_t cdb[16];

	req.xfer.dir = cdbs[_i].dir;
	ck_assert_uint_eq(ame_rw_cdb(&req, cdb), cdbs[_i].len);
	ck_assert_int_eq(memcmp(cdb, cdbs[_i].cdb, 16), 0);
	req.fua = true;
	ame_rw_cdb(&req, cdb);
	ck_assert_uint_eq(cdb[1], 0x08);
}
END_TEST

/* --- results --- */

#define MEDIUM 0x70, 0, 3, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x11, 0
#define RECOV  0x70, 0, 1, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x17, 0
#define DEFER  0x71, 0, 1, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x17, 0

static const struct {
	const char *what;
	uint8_t reply[16], sense[40];
	enum hba_result result;
	uint8_t scsi;
	uint32_t moved;
	uint8_t sense_len;
} results[] = {
	{"good", {0}, {0}, HBA_DONE, 0, 4096, 0},
	{"short, told by the sense block", {[9] = 1}, {[2] = 0x08, [4] = 0, 1}, HBA_DONE, 0, 3840, 0},
	{"a residual without the state bit", {0}, {[2] = 0x08, [5] = 1}, HBA_DONE, 0, 4096, 0},
	{"all left over", {[9] = 1}, {[2] = 0x08, [5] = 0x10}, HBA_DONE, 0, 0, 0},
	{"more left over than asked for", {[9] = 1}, {[2] = 0x08, 0, 0x01, 0x10}, HBA_IO_ERROR, 0, 0, 0},
	{"too much", {[9] = 1}, {[2] = 0x04}, HBA_IO_ERROR, 0, 0, 0},
	{"underrun with a residual", {[1] = 0x24, [9] = 1}, {[2] = 0x08, [5] = 1}, HBA_DONE, 0, 3840, 0},
	{"underrun with a count", {[1] = 0x24, [0x0c] = 0, 2}, {0}, HBA_DONE, 0, 512, 0},
	{"underrun with a wild count", {[1] = 0x24, [0x0c] = 1, 0x10}, {0}, HBA_IO_ERROR, 0, 0, 0},
	{"check condition", {[8] = 2, [9] = 1}, {[2] = 0x02, 2, [8] = 18, [16] = MEDIUM}, HBA_DONE, 2, 0, 18},
	{"... behind response data", {[8] = 2, [9] = 1}, {[2] = 0x03, 2, [8] = 18, [12] = 8, [24] = MEDIUM},
		HBA_DONE, 2, 0, 18},
	{"... with a wild length", {[8] = 2, [9] = 1},
		{[2] = 0x02, 2, [8] = 0xff, 0xff, 0xff, 0xff, [16] = MEDIUM}, HBA_DONE, 2, 0, 18},
	{"... with wild response data", {[8] = 2, [9] = 1},
		{[2] = 0x03, 2, [8] = 18, [12] = 49, [16] = MEDIUM}, HBA_IO_ERROR, 2, 0, 0},
	{"... with very wild response data", {[8] = 2, [9] = 1},
		{[2] = 0x03, 2, [8] = 18, [12] = 0xff, 0xff, 0xff, 0xff, [16] = MEDIUM}, HBA_IO_ERROR, 2, 0,
		0},
	{"... without sense", {[8] = 2}, {[2] = 0x02, [8] = 18, [16] = MEDIUM}, HBA_IO_ERROR, 2, 0, 0},
	{"... whose sense failed", {[8] = 2, [9] = 3}, {0}, HBA_IO_ERROR, 2, 0, 0},
	{"... too short", {[8] = 2, [9] = 1}, {[2] = 0x02, [8] = 7, [16] = MEDIUM}, HBA_IO_ERROR, 2, 0, 0},
	{"... which is none", {[8] = 2, [9] = 1}, {[2] = 0x02, [8] = 18, [16] = 0x12}, HBA_IO_ERROR, 2, 0, 0},
	{"recovered", {[8] = 2, [9] = 1}, {[2] = 0x02, [8] = 18, [16] = RECOV}, HBA_DONE, 2, 4096, 18},
	{"recovered, by reply status", {[1] = 0x21, [8] = 2, [9] = 1}, {[2] = 0x02, [8] = 18, [16] = RECOV},
		HBA_DONE, 2, 4096, 18},
	{"recovered, without a word", {[1] = 0x21}, {0}, HBA_IO_ERROR, 0, 0, 0},
	{"recovered, of another", {[8] = 2, [9] = 1}, {[2] = 0x02, [8] = 18, [16] = DEFER}, HBA_DONE, 2, 0,
		18},
	{"data error with sense", {[1] = 0x25, [8] = 2, [9] = 1}, {[2] = 0x02, [8] = 18, [16] = MEDIUM},
		HBA_DONE, 2, 0, 18},
	{"data error", {[1] = 0x25}, {0}, HBA_IO_ERROR, 0, 0, 0},
	{"overrun", {[1] = 0x23}, {0}, HBA_IO_ERROR, 0, 0, 0},
	{"busy unit", {[8] = 0x08}, {0}, HBA_DONE, 0x08, 0, 0},
	{"reservation conflict", {[8] = 0x18}, {0}, HBA_DONE, 0x18, 0, 0},
	{"task set full", {[8] = 0x28}, {0}, HBA_DONE, 0x28, 0, 0},
	{"busy box", {[1] = 0x02}, {0}, HBA_DONE, 0x08, 0, 0},
	{"no resources", {[1] = 0x05}, {0}, HBA_DONE, 0x08, 0, 0},
	{"no SCSI status", {[9] = 0x04}, {0}, HBA_IO_ERROR, 0, 0, 0},
	{"terminated, by state", {[9] = 0x08}, {0}, HBA_ABORTED, 0, 0, 0},
	{"terminated, by status", {[1] = 0x27}, {0}, HBA_ABORTED, 0, 0, 0},
	{"no such unit", {[1] = 0x22}, {0}, HBA_NO_UNIT, 0, 0, 0},
	{"invalid function", {[1] = 0x01}, {0}, HBA_IO_ERROR, 0, 0, 0},
	{"invalid list", {[1] = 0x03}, {0}, HBA_IO_ERROR, 0, 0, 0},
	{"internal error", {[1] = 0x04}, {0}, HBA_IO_ERROR, 0, 0, 0},
	{"something new", {[1] = 0x77}, {0}, HBA_IO_ERROR, 0, 0, 0},
};

START_TEST(what_becomes_of_answers)
{
	struct ame_reply r = {0};
	struct ame_sense s = {0};
	struct hba_req req = {.moved = 77, .sense_len = 9, .scsi_status = 0x40};

	memcpy(&r, results[_i].reply, sizeof(results[_i].reply));
	memcpy(&s, results[_i].sense, sizeof(results[_i].sense));
	ame_result(&req, 4096, &r, &s);
	ck_assert_msg(req.result == results[_i].result, "%s: result %d", results[_i].what, (int)req.result);
	ck_assert_msg(req.moved == results[_i].moved, "%s: %u moved", results[_i].what, req.moved);
	ck_assert_msg(req.sense_len == results[_i].sense_len, "%s: %u bytes of sense", results[_i].what,
		req.sense_len);
	if (req.result == HBA_DONE)
		ck_assert_msg(req.scsi_status == results[_i].scsi, "%s: SCSI status %02x", results[_i].what,
			req.scsi_status);
	ck_assert_uint_eq(req.fw_status, results[_i].reply[1]);
}
END_TEST

static const struct {
	uint8_t mode[16];
	uint32_t len;
	int wce;
} modes[] = {
	{{23, 0, 0, 0, 0x08, 18, 0x04}, 16, 1},
	{{23, 0, 0, 0, 0x88, 18, 0x00}, 16, 0},
	{{23, 0, 0, 8, 0, 0, 0, 0, 0, 0, 2, 0, 0x08, 18, 0x04}, 16, 1},
	{{23, 0, 0, 0, 0x08, 18, 0x04}, 7, 1},
	{{23, 0, 0, 0, 0x08, 18, 0x04}, 6, -1},
	{{23, 0, 0, 0, 0x0a, 18, 0x04}, 16, -1},
	{{23, 0, 0, 0, 0x08, 0, 0x04}, 16, -1},
	{{23, 0, 0, 255, 0x08, 18, 0x04}, 16, -1},
	{{0}, 0, -1},
	{{0}, 3, -1},
};

START_TEST(write_cache_by_mode_page)
{
	ck_assert_int_eq(ame_caching_wce(modes[_i].mode, modes[_i].len), modes[_i].wce);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("AME frames");
	TCase *t = tcase_create("wire");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, places_of_frames);
	tcase_add_test(t, inquiry_has_a_buffer_descriptor);
	tcase_add_test(t, without_data_nothing_follows);
	tcase_add_test(t, reads_and_writes_have_elements_of_16_bytes);
	tcase_add_test(t, the_341_has_buffer_descriptors_for_everything);
	tcase_add_test(t, only_eight_opcodes_are_reads_and_writes);
	tcase_add_loop_test(t, many_segments_are_in_a_list, 0, (int)ARRAY_SIZE(lists));
	tcase_add_test(t, get_page_zero);
	tcase_add_test(t, event_switch_and_task_management);
	tcase_add_loop_test(t, cdbs_of_reads_and_writes, 0, (int)ARRAY_SIZE(cdbs));
	tcase_add_loop_test(t, what_becomes_of_answers, 0, (int)ARRAY_SIZE(results));
	tcase_add_loop_test(t, write_cache_by_mode_page, 0, (int)ARRAY_SIZE(modes));
	suite_add_tcase(s, t);
	return run_suite(s);
}
