/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Request frames and descriptors, byte by byte: worked out by hand from the facts page [5.5 to 5.10, 5.14]. */
#include <check.h>
#include <string.h>

#include "hba/megaraid/fusion.h"
#include "tests/unit/run_suite.h"

/* Pieces of a frame; what none of them covers must be zero. */
struct piece {
	unsigned off;
	const char *hex; /* NULL ends the list */
};

static unsigned nibble(char c)
{
	return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'a' + 10);
}

static void fill(uint8_t *to, const struct piece *p)
{
	for (; p->hex; p++) {
		unsigned at = p->off;

		for (const char *h = p->hex; *h; h++) {
			if (*h == ' ')
				continue;
			to[at++] = (uint8_t)(nibble(h[0]) << 4 | nibble(h[1]));
			h++;
		}
	}
}

static void expect(const void *got, const struct piece *p)
{
	uint8_t want[256] = {0};
	const uint8_t *g = got;

	fill(want, p);
	for (unsigned i = 0; i < sizeof(want); i++)
		ck_assert_msg(g[i] == want[i], "byte %02x is %02x, not %02x", i, g[i], want[i]);
}

static struct fusion_request frame;
static uint8_t chain[FUSION_CHAIN_SLOT];

static void build(const struct fusion_gen *g, struct fusion_io *io)
{
	memset(&frame, 0xa5, sizeof(frame));
	memset(chain, 0xa5, sizeof(chain));
	io->chain = 0x89ab000;
	io->chain_cpu = chain;
	io->sense = 0x12345680;
	fusion_build_io(g, &frame, io);
}

static const uint8_t inquiry[6] = {0x12, 0, 0, 0, 0x24, 0};
static const uint8_t read10[10] = {0x28, 0, 0, 0x11, 0x22, 0x33, 0, 0, 8, 0};
static const struct dma_seg one[] = {{0x1122334455667000, 0x1000}};

/* The head that all SCSI requests share. */
#define HEAD                                                                                                 \
	{0x0c, "80563412"}, {0x10, "0200"}, {0x12, "60"},                                                    \
	{                                                                                                    \
		0x14, "20"                                                                                   \
	}

START_TEST(inquiry_of_a_logical_drive)
{
	const struct dma_seg seg[] = {{0x5000, 36}};
	struct fusion_io io = {.function = FUSION_FN_LD_IO,
		.ld = true,
		.handle = 3,
		.target = 3,
		.timeout_s = 30,
		.cdb = inquiry,
		.cdb_len = 6,
		.dir = DMA_FROM_DEVICE,
		.bytes = 36,
		.seg = seg,
		.n_seg = 1};

	build(&fusion_gen_invader, &io);
	expect(&frame,
		(const struct piece[]){HEAD, {0x00, "0300"}, {0x03, "f1"}, {0x1c, "24000000"}, {0x24, "0600"},
			{0x3c, "00000002"}, {0x40, "120000002400"}, {0x62, "1e00"}, {0x66, "0300"},
			{0x79, "01"}, {0x80, "0050000000000000 24000000 00000040"}, {0, NULL}});
}
END_TEST

static struct fusion_io ld_read(const struct dma_seg *seg, uint32_t n)
{
	return (struct fusion_io){.function = FUSION_FN_LD_IO,
		.rw = true,
		.ld = true,
		.handle = 0x105,
		.target = 0x105,
		.timeout_s = 30,
		.cdb = read10,
		.cdb_len = 10,
		.dir = DMA_FROM_DEVICE,
		.bytes = 0x1000,
		.seg = seg,
		.n_seg = n};
}

#define LD_READ                                                                                              \
	HEAD, {0x00, "0501"}, {0x03, "f1"}, {0x1c, "00100000"}, {0x24, "0a00"}, {0x3c, "00000002"},          \
		{0x40, "28000011223300000800"},                                                              \
	{                                                                                                    \
		0x66, "0501"                                                                                 \
	}

START_TEST(read_of_a_logical_drive_on_invader)
{
	struct fusion_io io = ld_read(one, 1);

	build(&fusion_gen_invader, &io);
	expect(&frame, (const struct piece[]){LD_READ, {0x60, "12"}, {0x64, "08"}, {0x79, "01"},
			       {0x80, "0070665544332211 00100000 00000040"}, {0, NULL}});
	ck_assert_int_eq(fusion_gen_invader.ld_rw, 0x04);
}
END_TEST

START_TEST(read_of_a_logical_drive_on_thunderbolt)
{
	struct fusion_io io = ld_read(one, 1);

	/* No type, no mark on the last element. */
	build(&fusion_gen_thunderbolt, &io);
	expect(&frame, (const struct piece[]){
			       LD_READ, {0x79, "01"}, {0x80, "0070665544332211 00100000"}, {0, NULL}});
	ck_assert_int_eq(fusion_gen_thunderbolt.ld_rw, 0x0e);
}
END_TEST

START_TEST(read_of_a_logical_drive_on_ventura)
{
	struct fusion_io io = ld_read(one, 1);

	build(&fusion_gen_ventura, &io);
	expect(&frame, (const struct piece[]){LD_READ, {0x60, "1200"}, {0x64, "1000"}, {0x7c, "0100"},
			       {0x80, "0070665544332211 00100000 00000040"}, {0, NULL}});
	ck_assert_int_eq(fusion_gen_ventura.ld_rw, 0x0e);
	ck_assert_int_eq(fusion_gen_aero.ld_rw, 0x0e);
}
END_TEST

START_TEST(without_sequence_number_after_firmware_refused_it)
{
	struct fusion_io io = ld_read(one, 1);

	io.plain = true;
	build(&fusion_gen_invader, &io);
	expect(&frame, (const struct piece[]){LD_READ, {0x60, "12"}, {0x79, "01"},
			       {0x80, "0070665544332211 00100000 00000040"}, {0, NULL}});
}
END_TEST

START_TEST(write_with_16_byte_cdb)
{
	static const uint8_t write16[16] = {0x8a, 0x08, 0, 0, 0, 1, 2, 3, 4, 5, 0, 0, 0, 8, 0, 0};
	struct fusion_io io = ld_read(one, 1);

	io.cdb = write16;
	io.cdb_len = 16;
	io.dir = DMA_TO_DEVICE;
	build(&fusion_gen_invader, &io);
	expect(&frame,
		(const struct piece[]){HEAD, {0x00, "0501"}, {0x03, "f1"}, {0x1c, "00100000"}, {0x24, "1000"},
			{0x3c, "00000001"}, {0x40, "8a080000 00010203 04050000 00080000"}, {0x60, "12"},
			{0x64, "08"}, {0x66, "0501"}, {0x79, "01"},
			{0x80, "0070665544332211 00100000 00000040"}, {0, NULL}});
}
END_TEST

START_TEST(no_data_no_element)
{
	static const uint8_t tur[6];
	struct fusion_io io = {
		.function = FUSION_FN_LD_IO, .ld = true, .timeout_s = 5, .cdb = tur, .cdb_len = 6};

	build(&fusion_gen_invader, &io);
	expect(&frame, (const struct piece[]){HEAD, {0x03, "f1"}, {0x24, "0600"}, {0x62, "0500"}, {0, NULL}});
}
END_TEST

/* --- lists --- */

static const struct dma_seg many[] = {{0x10000, 0x100}, {0x20000, 0x200}, {0x30000, 0x300}, {0x40000, 0x400},
	{0x50000, 0x500}, {0x60000, 0x600}, {0x70000, 0x700}, {0x80000, 0x800}, {0x90000, 0x900},
	{0xa0000, 0xa00}};

#define SEVEN                                                                                                \
	{0x80, "0000010000000000 00010000 00000000"}, {0x90, "0000020000000000 00020000 00000000"},          \
		{0xa0, "0000030000000000 00030000 00000000"}, {0xb0, "0000040000000000 00040000 00000000"},  \
		{0xc0, "0000050000000000 00050000 00000000"}, {0xd0, "0000060000000000 00060000 00000000"},  \
	{                                                                                                    \
		0xe0, "0000070000000000 00070000 00000000"                                                   \
	}

START_TEST(eight_elements_fit_into_the_frame)
{
	struct fusion_io io = ld_read(many, 8);

	build(&fusion_gen_invader, &io);
	expect(&frame, (const struct piece[]){LD_READ, {0x60, "12"}, {0x64, "08"}, {0x79, "08"}, SEVEN,
			       {0xf0, "0000080000000000 00080000 00000040"}, {0, NULL}});
	ck_assert_uint_eq(chain[0], 0xa5);
}
END_TEST

START_TEST(the_ninth_makes_a_chain)
{
	static const struct piece rest[] = {{0x00, "0000080000000000 00080000 00000000"},
		{0x10, "0000090000000000 00090000 00000000"}, {0x20, "00000a0000000000 000a0000 00000040"},
		{0, NULL}};
	uint8_t want[256] = {0};
	struct fusion_io io = ld_read(many, 10);

	build(&fusion_gen_invader, &io);
	expect(&frame, (const struct piece[]){LD_READ, {0x02, "0f"}, {0x60, "12"}, {0x64, "08"}, {0x79, "0a"},
			       SEVEN, {0xf0, "00b09a0800000000 30000000 00000080"}, {0, NULL}});
	fill(want, rest);
	ck_assert_int_eq(memcmp(chain, want, 0x30), 0);
	ck_assert_uint_eq(chain[0x30], 0xa5);
}
END_TEST

START_TEST(the_older_chip_has_its_chain_in_another_address_space)
{
	struct fusion_io io = ld_read(many, 9);

	build(&fusion_gen_thunderbolt, &io);
	expect(&frame, (const struct piece[]){LD_READ, {0x02, "0f"}, {0x79, "09"}, SEVEN,
			       {0xf0, "00b09a0800000000 20000000 00000083"}, {0, NULL}});
	ck_assert_uint_eq(chain[15], 0);
	ck_assert_uint_eq(chain[31], 0);
}
END_TEST

START_TEST(as_many_elements_as_there_may_be)
{
	struct dma_seg seg[HBA_MAX_SEGMENTS] = {{0}};
	struct fusion_io io = ld_read(seg, HBA_MAX_SEGMENTS);

	for (unsigned i = 0; i < HBA_MAX_SEGMENTS; i++)
		seg[i] = (struct dma_seg){0x1000 * (i + 1), 16};
	build(&fusion_gen_ventura, &io);
	/* 121 of them in the chain: 790h bytes */
	ck_assert_int_eq(memcmp((uint8_t *)&frame + 0xf8, "\x90\x07\0\0\0\0\0\x80", 8), 0);
	ck_assert_int_eq(memcmp((uint8_t *)&frame + 0x7c, "\x80\0", 2), 0);
	ck_assert_uint_eq(chain[0x780 + 15], 0x40);
	ck_assert_uint_eq(chain[0x790], 0xa5);
}
END_TEST

/* --- system drives --- */

static struct fusion_io pd_read(const struct dma_seg *seg, uint32_t n)
{
	struct fusion_io io = ld_read(seg, n);

	io.ld = false;
	io.fast_path = true;
	io.function = FUSION_FN_SCSI_IO;
	io.handle = 0x0019;
	io.target = 0x0107;
	io.seq = 0x1234;
	return io;
}

#define PD_READ                                                                                              \
	HEAD, {0x00, "1900"}, {0x03, "00"}, {0x1c, "00100000"}, {0x3c, "00000002"},                          \
		{0x40, "28000011223300000800"}, {0x62, "1f00"}, {0x66, "0701"},                              \
	{                                                                                                    \
		0x78, "10"                                                                                   \
	}

START_TEST(read_of_a_drive_by_its_handle)
{
	struct fusion_io io = pd_read(one, 1);

	build(&fusion_gen_invader, &io);
	expect(&frame,
		(const struct piece[]){PD_READ, {0x24, "0a40"}, {0x60, "12"}, {0x64, "88"}, {0x79, "01"},
			{0x7a, "3412"}, {0x80, "0070665544332211 00100000 00000040"}, {0, NULL}});
	build(&fusion_gen_ventura, &io);
	expect(&frame, (const struct piece[]){PD_READ, {0x24, "0a40"}, {0x60, "1200"}, {0x64, "1000"},
			       {0x7a, "3412"}, {0x7c, "0100"}, {0x80, "0070665544332211 00100000 00000040"},
			       {0, NULL}});
	build(&fusion_gen_thunderbolt, &io);
	expect(&frame, (const struct piece[]){PD_READ, {0x24, "0a00"}, {0x60, "12"}, {0x64, "88"},
			       {0x79, "01"}, {0x7a, "3412"}, {0x80, "0070665544332211 00100000"}, {0, NULL}});
}
END_TEST

START_TEST(the_newer_chips_find_the_chain_of_a_fast_path_read_themselves)
{
	struct fusion_io io = pd_read(many, 10);

	build(&fusion_gen_invader, &io);
	ck_assert_uint_eq(frame.chain_offset, 0);
	ck_assert_uint_eq(((uint8_t *)&frame)[0xff], 0x80);
	build(&fusion_gen_thunderbolt, &io);
	ck_assert_uint_eq(frame.chain_offset, 0x0f);
}
END_TEST

START_TEST(time_limit_of_a_drive_is_one_byte)
{
	struct fusion_io io = pd_read(one, 1);

	io.timeout_s = 254;
	build(&fusion_gen_invader, &io);
	ck_assert_int_eq(memcmp((uint8_t *)&frame + 0x62, "\xff\0", 2), 0);
	io.timeout_s = 255;
	build(&fusion_gen_invader, &io);
	ck_assert_int_eq(memcmp((uint8_t *)&frame + 0x62, "\xff\0", 2), 0);
	io.timeout_s = 65535;
	build(&fusion_gen_ventura, &io);
	ck_assert_int_eq(memcmp((uint8_t *)&frame + 0x62, "\xff\0", 2), 0);
}
END_TEST

START_TEST(command_of_a_drive_by_firmware)
{
	struct fusion_io io = {.function = FUSION_FN_LD_IO,
		.handle = 0xffff,
		.target = 8,
		.timeout_s = 300,
		.cdb = inquiry,
		.cdb_len = 6,
		.dir = DMA_FROM_DEVICE,
		.bytes = 36,
		.seg = one,
		.n_seg = 1};

	build(&fusion_gen_invader, &io);
	expect(&frame,
		(const struct piece[]){HEAD, {0x00, "ffff"}, {0x03, "f1"}, {0x1c, "24000000"}, {0x24, "0600"},
			{0x3c, "00000002"}, {0x40, "120000002400"}, {0x62, "2c01"}, {0x66, "0800"},
			{0x78, "1001"}, {0x80, "0070665544332211 00100000 00000040"}, {0, NULL}});
}
END_TEST

/* --- the rest --- */

START_TEST(management_frames_are_wrapped)
{
	memset(&frame, 0xa5, sizeof(frame));
	fusion_build_pass(&frame, 0x7654300);
	expect(&frame, (const struct piece[]){{0x02, "08f0"}, {0x14, "20"},
			       {0x80, "0043650700000000 00010000 00000083"}, {0, NULL}});
}
END_TEST

START_TEST(abort_of_a_logical_drives_command)
{
	struct fusion_task t;

	memset(&t, 0xa5, sizeof(t));
	fusion_build_task(&t, FUSION_TASK_ABORT, true, 5, 0x1234);
	expect(&t, (const struct piece[]){{0x00, "0500"}, {0x03, "01"}, {0x05, "01"}, {0x30, "3412"},
			   {0x80, "01000000"}, {0, NULL}});
}
END_TEST

START_TEST(reset_of_a_drive)
{
	struct fusion_task t;

	memset(&t, 0xa5, sizeof(t));
	fusion_build_task(&t, FUSION_TASK_TARGET_RESET, false, 0x0119, 0);
	expect(&t, (const struct piece[]){
			   {0x00, "1901"}, {0x03, "01"}, {0x05, "03"}, {0x80, "02000000"}, {0, NULL}});
}
END_TEST

START_TEST(descriptors)
{
	static const struct {
		enum fusion_type type;
		unsigned queue;
		uint32_t smid;
		uint16_t handle;
		uint64_t want;
	} all[] = {
		{FUSION_TYPE_SCSI_IO, 0, 1, 0, 0x0000000000010000},
		{FUSION_TYPE_NO_LOCK, 5, 0x0102, 0, 0x0000000001020504},
		{FUSION_TYPE_HIGH_PRIORITY, 0, 0x07ff, 0, 0x0000000007ff0006},
		{FUSION_TYPE_FP_IO, 15, 0xfffe, 0x1234, 0x12340000fffe0f0c},
		{FUSION_TYPE_LD_IO, 1, 2, 0, 0x000000000002010e},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
		ck_assert_uint_eq(fusion_descriptor(all[i].type, all[i].queue, all[i].smid, all[i].handle),
			all[i].want);
}
END_TEST

START_TEST(reads_and_writes_take_the_short_cdb_while_they_can)
{
	static const struct {
		uint64_t lba;
		uint32_t n;
		bool write, fua, dpo;
		const char *want;
	} all[] = {
		{0x112233, 8, false, false, false, "28000011223300000800"},
		{0x112233, 8, true, true, false, "2a080011223300000800"},
		{0, 1, true, false, true, "2a100000000000000100"},
		{0xfffffffe, 1, false, false, false, "2800fffffffe00000100"},
		{0xffffffff, 1, false, false, false, "88000000 0000ffff ffff0000 00010000"},
		{0, 0xffff, false, false, false, "28000000000000ffff00"},
		{0, 0x10000, true, false, false, "8a000000 00000000 00000001 00000000"},
		{0x0102030405, 0x20, true, true, true, "8a180000 00010203 04050000 00200000"},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
		const struct piece want[] = {{0, all[i].want}, {0, NULL}};
		struct hba_req req = {.kind = HBA_REQ_RW,
			.lba = all[i].lba,
			.nblocks = all[i].n,
			.fua = all[i].fua,
			.dpo = all[i].dpo,
			.xfer = {.dir = all[i].write ? DMA_TO_DEVICE : DMA_FROM_DEVICE}};
		uint8_t cdb[256] = {0};
		uint8_t len = fusion_rw_cdb(&req, cdb);

		ck_assert_uint_eq(len, all[i].want[0] == '2' ? 10 : 16);
		expect(cdb, want);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fusion frames");
	TCase *t = tcase_create("wire");

	tcase_add_test(t, inquiry_of_a_logical_drive);
	tcase_add_test(t, read_of_a_logical_drive_on_invader);
	tcase_add_test(t, read_of_a_logical_drive_on_thunderbolt);
	tcase_add_test(t, read_of_a_logical_drive_on_ventura);
	tcase_add_test(t, without_sequence_number_after_firmware_refused_it);
	tcase_add_test(t, write_with_16_byte_cdb);
	tcase_add_test(t, no_data_no_element);
	tcase_add_test(t, eight_elements_fit_into_the_frame);
	tcase_add_test(t, the_ninth_makes_a_chain);
	tcase_add_test(t, the_older_chip_has_its_chain_in_another_address_space);
	tcase_add_test(t, as_many_elements_as_there_may_be);
	tcase_add_test(t, read_of_a_drive_by_its_handle);
	tcase_add_test(t, the_newer_chips_find_the_chain_of_a_fast_path_read_themselves);
	tcase_add_test(t, time_limit_of_a_drive_is_one_byte);
	tcase_add_test(t, command_of_a_drive_by_firmware);
	tcase_add_test(t, management_frames_are_wrapped);
	tcase_add_test(t, abort_of_a_logical_drives_command);
	tcase_add_test(t, reset_of_a_drive);
	tcase_add_test(t, descriptors);
	tcase_add_test(t, reads_and_writes_take_the_short_cdb_while_they_can);
	suite_add_tcase(s, t);
	return run_suite(s);
}
