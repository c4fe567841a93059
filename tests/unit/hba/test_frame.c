/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MFI frames and SGLs against bytes worked out by hand from public drivers: header, INIT and queue info, LD I/O, SCSI
 * I/O, DCMD, ABORT, elements and extra frames, firing.
 */
#include <check.h>
#include <string.h>

#include "hba/megaraid/mfi.h"
#include "tests/unit/run_suite.h"

static uint8_t frame[MFI_FRAME_SLOT];

static void dirty(void)
{
	memset(frame, 0xaa, sizeof(frame));
}

/* The first n bytes are as expected and the byte after them was not touched. */
static void expect(const uint8_t *want, size_t n)
{
	for (size_t i = 0; i < n; i++)
		ck_assert_msg(frame[i] == want[i], "byte %02zxh is %02x, not %02x", i, frame[i], want[i]);
	ck_assert_uint_eq(frame[n], 0xaa);
}

/* --- INIT --- */

START_TEST(init_frame)
{
	/* cmd 00, status FF, context 00030195, flags 0001 DONT_POST, length 32 = 20h, queue info 1_23450100h */
	static const uint8_t want[64] = {
		0x00, 0x00, 0xff, 0x00, 0x00, 0x00, 0x00, 0x00, /* 00 */
		0x95, 0x01, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, /* 08 context */
		0x01, 0x00, 0x00, 0x00, 0x20, 0x00, 0x00, 0x00, /* 10 flags, 14 length */
		0x00, 0x01, 0x45, 0x23, 0x01, 0x00, 0x00, 0x00, /* 18 queue info lo, hi */
	};

	dirty();
	mfi_build_init(frame, 0x00030195, 0x123450100);
	expect(want, sizeof(want));
}
END_TEST

START_TEST(queue_info)
{
	/* 1008 = 3F0h entries of 32 bits (flags 0) */
	static const uint8_t want[32] = {
		0x00, 0x00, 0x00, 0x00, 0xf0, 0x03, 0x00, 0x00, /* 00 flags, 04 entries */
		0x00, 0x30, 0x40, 0x00, 0x00, 0x00, 0x00, 0x00, /* 08 ring 403000h */
		0x00, 0x00, 0x40, 0x00, 0x00, 0x00, 0x00, 0x00, /* 10 producer 400000h */
		0x80, 0x00, 0x40, 0x00, 0x02, 0x00, 0x00, 0x00, /* 18 consumer 2_00400080h */
	};

	dirty();
	mfi_build_queue_info(frame, 1008, 0x403000, 0x400000, 0x200400080);
	expect(want, sizeof(want));
}
END_TEST

/* --- LD READ, LD WRITE --- */

/* Segments of the tests: i-th at (i + 1) << 32 | 1000h * (i + 1), but below 4 GiB for SG32, of 200h + i bytes. */
static struct dma_seg segs[125];

static void make_segs(bool high)
{
	for (uint32_t i = 0; i < ARRAY_SIZE(segs); i++)
		segs[i] =
			(struct dma_seg){(high ? (uint64_t)(i + 1) << 32 : 0) | 0x1000 * (i + 1), 0x200 + i};
}

static struct mfi_io ld_io(enum mfi_cmd cmd, enum mfi_sgl format, uint32_t n)
{
	make_segs(format != MFI_SG32);
	return (struct mfi_io){
		.cmd = cmd,
		.target = 5,
		.context = 0x00070003,
		.sense = 0x00200180,
		.lba = 0x1122334455,
		.blocks = 0x88,
		.dir = cmd == MFI_CMD_LD_READ ? DMA_FROM_DEVICE : DMA_TO_DEVICE,
		.format = format,
		.seg = segs,
		.n_seg = n,
	};
}

/* Everything before the SGL: 01/02, sense length 96 = 60h, status 00, target 05, n, context, flags, 88h blocks,
 * sense 00200180h, LBA 11_22334455h. */
#define LD_HEAD(cmd, access, n, flags)                                                                       \
	cmd, 0x60, 0x00, 0x00, 0x05, access, 0x00, n,		 /* 00 */                                    \
		0x03, 0x00, 0x07, 0x00, 0x00, 0x00, 0x00, 0x00,	 /* 08 */                                    \
		flags, 0x00, 0x00, 0x00, 0x88, 0x00, 0x00, 0x00, /* 10 */                                    \
		0x80, 0x01, 0x20, 0x00, 0x00, 0x00, 0x00, 0x00,	 /* 18 */                                    \
		0x55, 0x44, 0x33, 0x22, 0x11, 0x00, 0x00, 0x00	 /* 20 */

START_TEST(ld_read_sg32)
{
	/* flags: DIR_READ 10h */
	static const uint8_t one[] = {LD_HEAD(1, 0, 1, 0x10), 0x00, 0x10, 0, 0, 0x00, 2, 0, 0};
	static const uint8_t three[] = {LD_HEAD(1, 0, 3, 0x10), 0x00, 0x10, 0, 0, 0x00, 2, 0, 0, 0x00, 0x20,
		0, 0, 0x01, 2, 0, 0, 0x00, 0x30, 0, 0, 0x02, 2, 0, 0};
	struct mfi_io io = ld_io(MFI_CMD_LD_READ, MFI_SG32, 1);

	dirty();
	ck_assert_uint_eq(mfi_build_io(frame, &io), 0);
	expect(one, sizeof(one));
	io.n_seg = 3;
	dirty();
	ck_assert_uint_eq(mfi_build_io(frame, &io), 0); /* three fit */
	expect(three, sizeof(three));
	ck_assert_uint_eq(sizeof(three), 64);
}
END_TEST

START_TEST(ld_write_sg64)
{
	/* flags: SGL64 02h, DIR_WRITE 08h; elements of 12 bytes: address 64, length 32 */
	static const uint8_t one[] = {LD_HEAD(2, 0, 1, 0x0a), 0x00, 0x10, 0, 0, 1, 0, 0, 0, 0x00, 2, 0, 0};
	static const uint8_t two[] = {LD_HEAD(2, 0, 2, 0x0a), 0x00, 0x10, 0, 0, 1, 0, 0, 0, 0x00, 2, 0, 0,
		0x00, 0x20, 0, 0, 2, 0, 0, 0, 0x01, 2, 0, 0};
	static const uint8_t three[] = {LD_HEAD(2, 0, 3, 0x0a), 0x00, 0x10, 0, 0, 1, 0, 0, 0, 0x00, 2, 0, 0,
		0x00, 0x20, 0, 0, 2, 0, 0, 0, 0x01, 2, 0, 0, 0x00, 0x30, 0, 0, 3, 0, 0, 0, 0x02, 2, 0, 0};
	struct mfi_io io = ld_io(MFI_CMD_LD_WRITE, MFI_SG64, 1);

	dirty();
	ck_assert_uint_eq(mfi_build_io(frame, &io), 0);
	expect(one, sizeof(one));
	io.n_seg = 2;
	dirty();
	ck_assert_uint_eq(mfi_build_io(frame, &io), 0); /* two fit: 28h + 24 = 40h */
	expect(two, sizeof(two));
	io.n_seg = 3;
	dirty();
	ck_assert_uint_eq(mfi_build_io(frame, &io), 1); /* 12 bytes more */
	expect(three, sizeof(three));
}
END_TEST

START_TEST(ld_read_ieee)
{
	/* flags: SGL64 02h, DIR_READ 10h, IEEE 20h; elements of 16 bytes with a flag word of 0 */
	static const uint8_t one[] = {
		LD_HEAD(1, 0, 1, 0x32), 0x00, 0x10, 0, 0, 1, 0, 0, 0, 0x00, 2, 0, 0, 0, 0, 0, 0};
	static const uint8_t two[] = {LD_HEAD(1, 0, 2, 0x32), 0x00, 0x10, 0, 0, 1, 0, 0, 0, 0x00, 2, 0, 0, 0,
		0, 0, 0, 0x00, 0x20, 0, 0, 2, 0, 0, 0, 0x01, 2, 0, 0, 0, 0, 0, 0};
	struct mfi_io io = ld_io(MFI_CMD_LD_READ, MFI_SG_IEEE, 1);

	dirty();
	ck_assert_uint_eq(mfi_build_io(frame, &io), 0);
	expect(one, sizeof(one));
	io.n_seg = 2;
	dirty();
	ck_assert_uint_eq(mfi_build_io(frame, &io), 1); /* one fits, by Linux's count */
	expect(two, sizeof(two));
}
END_TEST

START_TEST(ld_write_of_17_segments)
{
	static const struct {
		enum mfi_sgl format;
		uint8_t flags;
		size_t last; /* offset of the 17th element: 28h + 16 * size */
		size_t size;
		unsigned extra; /* (17 - fitting) * size / 64, rounded up: 112, 180, 256 bytes */
		uint8_t want[16];
	} t[] = {
		{MFI_SG32, 0x08, 0xa8, 8, 2, {0x00, 0x10, 0x01, 0, 0x10, 2, 0, 0}},
		{MFI_SG64, 0x0a, 0xe8, 12, 3, {0x00, 0x10, 0x01, 0, 0x11, 0, 0, 0, 0x10, 2, 0, 0}},
		{MFI_SG_IEEE, 0x2a, 0x128, 16, 4,
			{0x00, 0x10, 0x01, 0, 0x11, 0, 0, 0, 0x10, 2, 0, 0, 0, 0, 0, 0}},
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		const uint8_t head[] = {LD_HEAD(2, 0, 17, t[i].flags)};
		struct mfi_io io = ld_io(MFI_CMD_LD_WRITE, t[i].format, 17);

		dirty();
		ck_assert_uint_eq(mfi_build_io(frame, &io), t[i].extra);
		ck_assert_mem_eq(frame, head, sizeof(head));
		ck_assert_mem_eq(frame + t[i].last, t[i].want, t[i].size);
		ck_assert_uint_eq(frame[t[i].last + t[i].size], 0xaa);
	}
}
END_TEST

START_TEST(ld_access_byte_is_cdb_byte_1)
{
	const uint8_t want[] = {LD_HEAD(2, 0x18, 1, 0x08)};
	struct mfi_io io = ld_io(MFI_CMD_LD_WRITE, MFI_SG32, 1);

	io.access = MFI_ACCESS_DPO | MFI_ACCESS_FUA; /* DPO bit 4, FUA bit 3 */
	mfi_build_io(frame, &io);
	ck_assert_mem_eq(frame, want, sizeof(want));
}
END_TEST

/* --- SCSI I/O --- */

START_TEST(ld_scsi_inquiry)
{
	static const uint8_t cdb[6] = {0x12, 0x00, 0x00, 0x00, 0x24, 0x00};
	static const uint8_t want[] = {
		0x03, 0x60, 0x00, 0x00, 0x02, 0x00, 0x06,
		0x01, /* 00 cmd, sense len, -, -, target, lun, cdb len, sges */
		0x0c, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, /* 08 context 0001000Ch */
		0x32, 0x00, 0x00, 0x00, 0x24, 0x00, 0x00,
		0x00, /* 10 READ | SGL64 | IEEE, timeout 0, 36 bytes */
		0x00, 0x06, 0x50, 0x00, 0x00, 0x00, 0x00, 0x00, /* 18 sense 00500600h */
		0x12, 0x00, 0x00, 0x00, 0x24, 0x00, 0x00, 0x00, /* 20 CDB, padded with zeros */
		0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* 28 */
		0x00, 0x40, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, /* 30 address 24000h */
		0x24, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* 38 length 36, flags 0 */
	};
	const struct dma_seg seg = {0x24000, 36};
	const struct mfi_io io = {
		.cmd = MFI_CMD_LD_SCSI_IO,
		.target = 2,
		.context = 0x0001000c,
		.sense = 0x00500600,
		.cdb = cdb,
		.cdb_len = 6,
		.bytes = 36,
		.dir = DMA_FROM_DEVICE,
		.format = MFI_SG_IEEE,
		.seg = &seg,
		.n_seg = 1,
	};

	dirty();
	ck_assert_uint_eq(mfi_build_io(frame, &io), 0);
	expect(want, sizeof(want));
}
END_TEST

START_TEST(pd_scsi_write_16_in_sg64)
{
	/* WRITE (16), LBA 1_00000000h, 8 blocks of 4096 */
	static const uint8_t cdb[16] = {0x8a, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0};
	static const uint8_t want[] = {
		0x04, 0x60, 0x00, 0x00, 0x09, 0x00, 0x10, 0x02, /* 00 cdb len 16, 2 elements */
		0xff, 0x01, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, /* 08 context FFFF01FFh */
		0x0a, 0x00, 0x00, 0x00, 0x00, 0x80, 0x00, 0x00, /* 10 WRITE | SGL64, 8000h bytes */
		0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* 18 */
		0x8a, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, /* 20 */
		0x00, 0x00, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00, /* 28 */
		0x00, 0x00, 0x00, 0xf0, 0x07, 0x00, 0x00, 0x00, /* 30 address 7_F0000000h */
		0x00, 0x40, 0x00, 0x00,				/* 38 length 4000h */
		0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, /* 3c address 10000h */
		0x00, 0x40, 0x00, 0x00,				/* 44 */
	};
	const struct dma_seg seg[] = {{0x7f0000000, 0x4000}, {0x10000, 0x4000}};
	const struct mfi_io io = {
		.cmd = MFI_CMD_PD_SCSI_IO,
		.target = 9,
		.context = 0xffff01ff,
		.sense = 0x80,
		.cdb = cdb,
		.cdb_len = 16,
		.bytes = 0x8000,
		.dir = DMA_TO_DEVICE,
		.format = MFI_SG64,
		.seg = seg,
		.n_seg = 2,
	};

	dirty();
	ck_assert_uint_eq(mfi_build_io(frame, &io), 1); /* one fits behind 30h */
	expect(want, sizeof(want));
}
END_TEST

START_TEST(scsi_extra_frames)
{
	static const struct {
		enum mfi_sgl format;
		uint32_t n;
		unsigned extra;
	} t[] = {
		{MFI_SG32, 2, 0}, {MFI_SG32, 3, 1}, {MFI_SG32, 17, 2}, /* (17 - 2) * 8 = 120 */
		{MFI_SG64, 1, 0}, {MFI_SG64, 2, 1}, {MFI_SG64, 17, 3}, /* 16 * 12 = 192 */
		{MFI_SG_IEEE, 1, 0}, {MFI_SG_IEEE, 5, 1}, {MFI_SG_IEEE, 6, 2}, {MFI_SG_IEEE, 17, 4},
		{MFI_SG_IEEE, 29, 7}, {MFI_SG_IEEE, 30, 7},
		{MFI_SG_IEEE, 125, 7}, /* a hint: clamped at 8 in all */
	};
	static const uint8_t cdb[16];

	make_segs(false);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		const struct mfi_io io = {.cmd = MFI_CMD_LD_SCSI_IO,
			.cdb = cdb,
			.cdb_len = 10,
			.dir = DMA_TO_DEVICE,
			.format = t[i].format,
			.seg = segs,
			.n_seg = t[i].n};

		ck_assert_msg(mfi_build_io(frame, &io) == t[i].extra, "%u elements of format %d", t[i].n,
			(int)t[i].format);
	}
}
END_TEST

START_TEST(slot_holds_the_largest_list)
{
	/* 2048 - 30h = 2000 bytes */
	ck_assert_uint_eq(mfi_sgl_room(MFI_SG32), 250);
	ck_assert_uint_eq(mfi_sgl_room(MFI_SG64), 166);
	ck_assert_uint_eq(mfi_sgl_room(MFI_SG_IEEE), 125);
}
END_TEST

/* --- DCMD, ABORT --- */

START_TEST(dcmd_with_data)
{
	/* LD_GET_INFO of target 3: opcode 03020000h, 384 = 180h bytes to 00301000h */
	static const uint8_t want[64] = {
		0x05, 0x00, 0xff, 0x00, 0x00, 0x00, 0x00, 0x01, /* 00 status FF, one element */
		0x93, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, /* 08 */
		0x11, 0x00, 0x00, 0x00, 0x80, 0x01, 0x00, 0x00, /* 10 DIR_READ | DONT_POST, no SGL64 */
		0x00, 0x00, 0x02, 0x03, 0x03, 0x00, 0x00, 0x00, /* 18 opcode, 1c mailbox */
		0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* 20 */
		0x00, 0x10, 0x30, 0x00, 0x80, 0x01, 0x00, 0x00, /* 28 SG32 */
	};
	const struct mfi_dcmd d = {0x03020000, {3}, DMA_FROM_DEVICE, 384};

	dirty();
	mfi_build_dcmd(frame, 0x00020193, false, &d, 0x00301000);
	expect(want, sizeof(want));
}
END_TEST

START_TEST(dcmd_without_data)
{
	/* CTRL_CACHE_FLUSH 01101000h, mailbox b0 = 3, posted */
	static const uint8_t want[64] = {
		0x05, 0x00, 0xff, 0x00, 0x00, 0x00, 0x00, 0x00, /* 00 no element */
		0x94, 0x01, 0x10, 0x00, 0x00, 0x00, 0x00, 0x00, /* 08 */
		0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* 10 no flags, no length */
		0x00, 0x10, 0x10, 0x01, 0x03, 0x00, 0x00, 0x00, /* 18 */
	};
	const struct mfi_dcmd d = {0x01101000, {3}, DMA_NONE, 0};

	dirty();
	mfi_build_dcmd(frame, 0x00100194, true, &d, 0x00301000);
	expect(want, sizeof(want));
}
END_TEST

START_TEST(abort_frame)
{
	static const uint8_t want[64] = {
		0x06, 0x00, 0xff, 0x00, 0x00, 0x00, 0x00, 0x00, /* 00 */
		0x95, 0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, /* 08 own context */
		0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* 10 */
		0x21, 0x00, 0x07, 0x00, 0x00, 0x00, 0x00, 0x00, /* 18 context of the victim */
		0x00, 0x08, 0x61, 0x00, 0x01, 0x00, 0x00, 0x00, /* 20 address of the victim 1_00610800h */
	};

	dirty();
	mfi_build_abort(frame, 0x00010195, 0x00070021, 0x100610800);
	expect(want, sizeof(want));
}
END_TEST

/* --- firing --- */

static struct {
	uint64_t off;
	uint32_t val;
} written[4];
static unsigned n_written;

static void note_write(struct pci_dev *pci, unsigned n, uint64_t off, uint32_t val)
{
	ck_assert_uint_lt(n_written, ARRAY_SIZE(written));
	written[n_written].off = off;
	written[n_written++].val = val;
}

static void fire(const struct mfi_iop *iop, uint32_t addr, unsigned extra)
{
	static const struct pci_ops ops = {.bar_write32 = note_write};
	struct pci_dev pci = {.ops = &ops};
	struct hba h = {.pci = &pci};
	struct mfi m = {.h = &h, .iop = iop};

	n_written = 0;
	iop->fire(&m, addr, extra);
}

START_TEST(fire_values)
{
	/* 40h <- address | extra << 1 | 1 */
	fire(&mfi_iop_gen1, 0x00345000, 0);
	ck_assert_uint_eq(n_written, 1);
	ck_assert_uint_eq(written[0].off, 0x40);
	ck_assert_uint_eq(written[0].val, 0x00345001);
	fire(&mfi_iop_gen2, 0xfffff800, 3);
	ck_assert_uint_eq(n_written, 1);
	ck_assert_uint_eq(written[0].off, 0x40);
	ck_assert_uint_eq(written[0].val, 0xfffff807);
	fire(&mfi_iop_gen2, 0x00345800, 7);
	ck_assert_uint_eq(written[0].val, 0x0034580f);
	/* C4h <- high half, then C0h <- low half: the second one submits */
	fire(&mfi_iop_skinny, 0x00345800, 2);
	ck_assert_uint_eq(n_written, 2);
	ck_assert_uint_eq(written[0].off, 0xc4);
	ck_assert_uint_eq(written[0].val, 0);
	ck_assert_uint_eq(written[1].off, 0xc0);
	ck_assert_uint_eq(written[1].val, 0x00345805);
}
END_TEST

START_TEST(interrupt_registers)
{
	/* [2.4] per generation: acknowledge register, enable value */
	ck_assert_uint_eq(mfi_iop_gen1.ack, 0xa0);
	ck_assert_uint_eq(mfi_iop_gen1.enable_mask, 0x7fffffff);
	ck_assert_uint_eq(mfi_iop_gen2.ack, 0xa0);
	ck_assert_uint_eq(mfi_iop_gen2.enable_mask, 0xfffffffa);
	ck_assert_uint_eq(mfi_iop_skinny.ack, 0x30);
	ck_assert_uint_eq(mfi_iop_skinny.enable_mask, 0xfffffffe);
	/* [2.2] state doorbell */
	ck_assert_uint_eq(mfi_iop_gen1.doorbell, 0x20);
	ck_assert_uint_eq(mfi_iop_gen2.doorbell, 0x20);
	ck_assert_uint_eq(mfi_iop_skinny.doorbell, 0x00);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mfi frames");
	TCase *c = tcase_create("bytes");

	tcase_add_test(c, init_frame);
	tcase_add_test(c, queue_info);
	tcase_add_test(c, ld_read_sg32);
	tcase_add_test(c, ld_write_sg64);
	tcase_add_test(c, ld_read_ieee);
	tcase_add_test(c, ld_write_of_17_segments);
	tcase_add_test(c, ld_access_byte_is_cdb_byte_1);
	tcase_add_test(c, ld_scsi_inquiry);
	tcase_add_test(c, pd_scsi_write_16_in_sg64);
	tcase_add_test(c, scsi_extra_frames);
	tcase_add_test(c, slot_holds_the_largest_list);
	tcase_add_test(c, dcmd_with_data);
	tcase_add_test(c, dcmd_without_data);
	tcase_add_test(c, abort_frame);
	tcase_add_test(c, fire_values);
	tcase_add_test(c, interrupt_registers);
	suite_add_tcase(s, c);
	return run_suite(s);
}
