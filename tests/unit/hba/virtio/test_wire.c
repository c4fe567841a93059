/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bytes of the wire, worked out by hand from the OASIS specification, sections 2.7 and 5.6.6. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hba/virtio/vio.h"
#include "tests/unit/run_suite.h"

/* --- addresses --- */

START_TEST(lun_field)
{
	static const struct {
		uint8_t target;
		uint16_t lun;
		uint8_t bytes[8];
	} t[] = {
		{0, 0, {1, 0, 0x40, 0}},
		{7, 1, {1, 7, 0x40, 1}},
		{255, 255, {1, 255, 0x40, 255}},
		{3, 256, {1, 3, 0x41, 0}},
		{3, 16383, {1, 3, 0x7f, 0xff}},
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		uint8_t b[8], target;
		uint16_t lun;

		memset(b, 0xee, sizeof(b));
		vio_lun_put(b, t[i].target, t[i].lun);
		ck_assert_mem_eq(b, t[i].bytes, 8);
		ck_assert(vio_lun_get(b, &target, &lun));
		ck_assert_uint_eq(target, t[i].target);
		ck_assert_uint_eq(lun, t[i].lun);
	}
}
END_TEST

START_TEST(lun_field_of_the_device)
{
	static const struct {
		uint8_t bytes[8];
		bool good;
		uint16_t lun;
	} t[] = {
		{{1, 9, 0x00, 0x05}, true, 5},	/* peripheral device addressing, bus 0 */
		{{1, 9, 0x40, 0x05}, true, 5},	/* flat */
		{{1, 9, 0x01, 0x05}, false, 0}, /* another bus */
		{{1, 9, 0x80, 0x05}, false, 0}, /* logical unit addressing */
		{{0xc1, 0x01}, false, 0},	/* REPORT LUNS well-known logical unit */
		{{0}, false, 0},
		{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, false, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		uint8_t target = 0;
		uint16_t lun = 0;

		ck_assert_int_eq(vio_lun_get(t[i].bytes, &target, &lun), t[i].good);
		if (t[i].good) {
			ck_assert_uint_eq(target, 9);
			ck_assert_uint_eq(lun, t[i].lun);
		}
	}
}
END_TEST

/* --- CDBs --- */

START_TEST(rw_cdb)
{
	static const struct {
		uint64_t lba;
		uint32_t n;
		bool write, fua, dpo, dpofua;
		uint8_t len, cdb[16];
	} t[] = {
		{0, 1, false, false, false, true, 10, {0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0}},
		{0x01020304, 0x0506, true, false, false, true, 10, {0x2a, 0, 1, 2, 3, 4, 0, 5, 6, 0}},
		{5, 6, true, true, false, true, 10, {0x2a, 0x08, 0, 0, 0, 5, 0, 0, 6, 0}},
		{5, 6, false, true, true, true, 10, {0x28, 0x18, 0, 0, 0, 5, 0, 0, 6, 0}},
		{5, 6, false, false, true, false, 10, {0x28, 0x00, 0, 0, 0, 5, 0, 0, 6, 0}},
		/* the last block that ten bytes can name, and the first they cannot */
		{0xfffffffe, 1, false, false, false, true, 10, {0x28, 0, 0xff, 0xff, 0xff, 0xfe, 0, 0, 1, 0}},
		{0xffffffff, 1, false, false, false, true, 16,
			{0x88, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 0, 0}},
		{0, 65535, true, false, false, true, 10, {0x2a, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0}},
		{0, 65536, true, true, false, true, 16,
			{0x8a, 0x08, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0}},
		{UINT64_C(0x0102030405060708), 9, false, false, false, true, 16,
			{0x88, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 9, 0, 0}},
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct hba_req req = {.lba = t[i].lba, .nblocks = t[i].n, .fua = t[i].fua, .dpo = t[i].dpo};
		uint8_t cdb[16];

		memset(cdb, 0xee, sizeof(cdb));
		req.xfer.dir = t[i].write ? DMA_TO_DEVICE : DMA_FROM_DEVICE;
		ck_assert_uint_eq(vio_rw_cdb(&req, t[i].dpofua, cdb), t[i].len);
		ck_assert_mem_eq(cdb, t[i].cdb, t[i].len);
	}
}
END_TEST

/* --- slots and chains --- */

#define IOVA UINT64_C(0x1122330000)

struct bench {
	struct vio v;
	struct vio_slot slot[4];
	uint8_t mem[65536] __attribute__((aligned(64)));
};

static struct bench *bench_new(bool indirect, uint32_t segs)
{
	struct bench *b = aligned_alloc(64, sizeof(*b));

	memset(b, 0, sizeof(*b));
	b->v.mem.cpu = b->mem;
	b->v.mem.iova = IOVA;
	b->v.slot = b->slot;
	b->v.depth = b->v.per_lane = 3;
	b->v.segs = segs;
	b->v.indirect = indirect;
	b->v.stride = indirect ? 1 : segs + 2;
	vio_ring_place(&b->v.ring[VIO_Q_REQUEST], 2, 16, b->mem, IOVA);
	vio_ring_clear(&b->v.ring[VIO_Q_REQUEST]);
	b->v.slot_mem = b->mem + 4096;
	b->v.list_mem = b->mem + 8192;
	return b;
}

static const struct vio_addr t7l1 = {.target = 7, .lun = 1};
static const uint8_t read_cdb[10] = {0x28, 0, 0, 0, 0, 5, 0, 0, 6, 0};
static const struct dma_seg two[] = {{UINT64_C(0xaabbccdd00), 0x200}, {0x3000, 0x1000}};

static void expect_desc(const uint8_t *at, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	uint8_t want[16];

	for (unsigned i = 0; i < 8; i++)
		want[i] = (uint8_t)(addr >> 8 * i);
	for (unsigned i = 0; i < 4; i++)
		want[8 + i] = (uint8_t)(len >> 8 * i);
	want[12] = (uint8_t)flags;
	want[13] = (uint8_t)(flags >> 8);
	want[14] = (uint8_t)next;
	want[15] = (uint8_t)(next >> 8);
	ck_assert_mem_eq(at, want, 16);
}

START_TEST(request_bytes)
{
	static const uint8_t head[51] = {1, 7, 0x40, 1, 0, 0, 0, 0, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22,
		0x11, 0, 0, 0, 0x28, 0, 0, 0, 0, 5, 0, 0, 6, 0};
	struct bench *b = bench_new(true, 8);
	const struct vio_cmd c = {.addr = &t7l1,
		.id = UINT64_C(0x1122334455667788),
		.cdb = read_cdb,
		.cdb_len = 10,
		.dir = DMA_FROM_DEVICE,
		.seg = two,
		.n_seg = 2};
	uint8_t *mem;

	memset(b->v.slot_mem, 0xee, 4096);
	vio_fire(&b->v, 0, 2, &c);
	mem = vio_slot_mem(&b->v, 2);
	ck_assert_mem_eq(mem, head, sizeof(head));
	/* no older command's answer: 96 zeros as sense, a response that nobody gives */
	ck_assert_uint_eq(mem[64 + 11], 0xff);
	for (unsigned i = 0; i < 108; i++)
		ck_assert(i == 11 || mem[64 + i] == 0);
	free(b);
}
END_TEST

START_TEST(list_of_a_read)
{
	struct bench *b = bench_new(true, 8);
	const struct vio_cmd c = {.addr = &t7l1,
		.cdb = read_cdb,
		.cdb_len = 10,
		.dir = DMA_FROM_DEVICE,
		.seg = two,
		.n_seg = 2};
	/* slots of 256 bytes; lists of 8 + 2 elements */
	uint8_t *list = b->mem + 8192 + 160;
	uint64_t iova = IOVA + 4096 + 256;

	vio_fire(&b->v, 0, 1, &c);
	/* INDIRECT in the ring; 2 WRITE, 1 NEXT in the list */
	expect_desc(b->mem + 16, IOVA + 8192 + 160, 64, 4, 0);
	expect_desc(list, iova, 51, 1, 1);
	expect_desc(list + 16, iova + 64, 108, 3, 2);
	expect_desc(list + 32, 0xaabbccdd00, 0x200, 3, 3);
	expect_desc(list + 48, 0x3000, 0x1000, 2, 0);
	ck_assert_uint_eq(b->slot[1].bytes, 51 + 108 + 0x1200);
	free(b);
}
END_TEST

START_TEST(chain_of_a_write_without_lists)
{
	struct bench *b = bench_new(false, 2);
	const struct vio_cmd c = {
		.addr = &t7l1, .cdb = read_cdb, .cdb_len = 10, .dir = DMA_TO_DEVICE, .seg = two, .n_seg = 2};
	uint64_t iova = IOVA + (uint64_t)(vio_slot_mem(&b->v, 3) - b->mem);

	vio_fire(&b->v, 0, 3, &c);
	/* slot 3 owns descriptors 12 to 15 */
	expect_desc(b->mem + 12 * 16, iova, 51, 1, 13);
	expect_desc(b->mem + 13 * 16, 0xaabbccdd00, 0x200, 1, 14);
	expect_desc(b->mem + 14 * 16, 0x3000, 0x1000, 1, 15);
	expect_desc(b->mem + 15 * 16, iova + 64, 108, 2, 0);
	free(b);
}
END_TEST

START_TEST(chain_without_data)
{
	static const uint8_t tur[6];
	struct bench *b = bench_new(false, 2);
	const struct vio_cmd c = {.addr = &t7l1, .cdb = tur, .cdb_len = 6, .dir = DMA_NONE};
	uint64_t iova = IOVA + (uint64_t)(vio_slot_mem(&b->v, 0) - b->mem);

	vio_fire(&b->v, 0, 0, &c);
	expect_desc(b->mem, iova, 51, 1, 1);
	expect_desc(b->mem + 16, iova + 64, 108, 2, 0);
	free(b);
}
END_TEST

/* --- rings --- */

START_TEST(available_ring_bytes)
{
	/* size 16: 256 bytes of descriptors, then flags, index, ring */
	uint8_t *mem = aligned_alloc(64, 4096), *avail = mem + 256;
	struct vio_ring q;

	ck_assert_uint_le(vio_ring_bytes(16), 4096);
	vio_ring_place(&q, 5, 16, mem, 0x10000);
	vio_ring_clear(&q);
	ck_assert_uint_eq(q.iova_desc, 0x10000);
	ck_assert_uint_eq(q.iova_avail, 0x10100);
	ck_assert_uint_eq(q.iova_used % 4, 0);
	/* Flags, index, 16 entries, used_event: 38 bytes at least in between */
	ck_assert_uint_ge(q.iova_used, 0x10100 + 38);
	vio_ring_offer(&q, 7);
	vio_ring_offer(&q, 9);
	ck_assert_mem_eq(avail, "\0\0\2\0\7\0\x09\0", 8);
	for (unsigned i = 0; i < 65535; i++) {
		vio_ring_offer(&q, (uint16_t)(i % 16));
		q.at_device--;
	}
	/* 65537 in all: the index is past its end, the ring went round */
	ck_assert_mem_eq(avail + 2, "\1\0", 2);
	free(mem);
}
END_TEST

START_TEST(used_ring_is_believed_no_further_than_it_can_be)
{
	uint8_t *mem = aligned_alloc(64, 4096), *used;
	uint32_t id = 0, len = 0;
	struct vio_ring q;

	vio_ring_place(&q, 5, 16, mem, 0x10000);
	vio_ring_clear(&q);
	used = mem + (q.iova_used - 0x10000);
	ck_assert_int_eq(vio_ring_take(&q, &id, &len), 0);
	memcpy(used + 2, "\1\0", 2);
	ck_assert_int_eq(vio_ring_take(&q, &id, &len), -EIO); /* nothing is at the device */
	vio_ring_offer(&q, 3);
	vio_ring_offer(&q, 4);
	memcpy(used + 4, "\4\0\0\0\x11\x22\0\0", 8);
	ck_assert_int_eq(vio_ring_take(&q, &id, &len), 1);
	ck_assert_uint_eq(id, 4);
	ck_assert_uint_eq(len, 0x2211);
	ck_assert_int_eq(vio_ring_take(&q, &id, &len), 0);
	memcpy(used + 2, "\3\0", 2); /* two more, but one is left */
	ck_assert_int_eq(vio_ring_take(&q, &id, &len), -EIO);
	memcpy(used + 2, "\0\0", 2); /* backwards */
	ck_assert_int_eq(vio_ring_take(&q, &id, &len), -EIO);
	free(mem);
}
END_TEST

START_TEST(one_kick_for_many_offers_and_none_when_not_wanted)
{
	uint8_t *mem = aligned_alloc(64, 4096), *used;
	struct vio_ring q;

	vio_ring_place(&q, 5, 16, mem, 0x10000);
	vio_ring_clear(&q);
	used = mem + (q.iova_used - 0x10000);
	ck_assert(!vio_ring_wants_kick(&q));
	vio_ring_offer(&q, 1);
	vio_ring_offer(&q, 2);
	ck_assert(vio_ring_wants_kick(&q));
	ck_assert(!vio_ring_wants_kick(&q));
	used[0] = 1; /* NO_NOTIFY */
	vio_ring_offer(&q, 3);
	ck_assert(!vio_ring_wants_kick(&q));
	free(mem);
}
END_TEST

/* --- answers --- */

START_TEST(response_codes)
{
	static const struct {
		uint8_t response;
		enum hba_result result;
		uint8_t status;
		int r;
	} t[] = {
		{0, HBA_DONE, 0x00, 0}, {1, HBA_IO_ERROR, 0, 0},	   /* overrun */
		{2, HBA_ABORTED, 0, 0},					   /* aborted */
		{3, HBA_NO_UNIT, 0, 0},					   /* bad target */
		{4, HBA_ABORTED, 0, 0},					   /* reset */
		{5, HBA_DONE, 0x08, 0},					   /* busy */
		{6, HBA_IO_ERROR, 0, 0},				   /* transport failure */
		{7, HBA_IO_ERROR, 0, 0},				   /* target failure */
		{8, HBA_IO_ERROR, 0, 0},				   /* nexus failure */
		{9, HBA_IO_ERROR, 0, 0},				   /* failure */
		{12, HBA_NO_UNIT, 0, 0},				   /* incorrect LUN */
		{13, HBA_IO_ERROR, 0, 0},				   /* nobody knows */
		{0xfe, HBA_IO_ERROR, 0, 0}, {0xff, HBA_IO_ERROR, 0, -EIO}, /* what we put there */
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct vio_cmd_resp resp = {.response = t[i].response};
		struct hba_req req = {.xfer.len = 4096};

		ck_assert_int_eq(vio_result(&req, &resp), t[i].r);
		ck_assert_int_eq(req.result, t[i].result);
		ck_assert_uint_eq(req.scsi_status, t[i].status);
		ck_assert_uint_eq(req.moved, i == 0 ? 4096 : 0);
		ck_assert_uint_eq(req.fw_status, t[i].response);
	}
}
END_TEST

START_TEST(residual_and_status)
{
	static const struct {
		uint8_t status, key; /* key: of fixed-format sense, 0xff: no sense */
		uint32_t residual;
		enum hba_result result;
		uint32_t moved;
	} t[] = {
		{0x00, 0xff, 0, HBA_DONE, 4096}, {0x00, 0xff, 1, HBA_DONE, 4095},
		{0x00, 0xff, 4096, HBA_DONE, 0},
		{0x00, 0xff, 4097, HBA_IO_ERROR, 0}, /* more than there was */
		{0x00, 0xff, 0xffffffff, HBA_IO_ERROR, 0},
		{0x04, 0xff, 0, HBA_DONE, 4096}, /* CONDITION MET */
		{0x08, 0xff, 0, HBA_DONE, 0},	 /* BUSY */
		{0x28, 0xff, 0, HBA_DONE, 0},	 /* TASK SET FULL */
		{0x02, 3, 0, HBA_DONE, 0},	 /* QEMU: residual 0 with every error */
		{0x02, 1, 0, HBA_DONE, 4096},	 /* RECOVERED ERROR */
		{0x02, 1, 512, HBA_DONE, 3584},
		{0x02, 0xff, 0, HBA_IO_ERROR, 0}, /* CHECK CONDITION without sense */
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct vio_cmd_resp resp = {.status = t[i].status, .residual = cpu_to_le32(t[i].residual)};
		struct hba_req req = {.xfer.len = 4096};

		if (t[i].key != 0xff) {
			resp.sense[0] = 0x70;
			resp.sense[2] = t[i].key;
			resp.sense[7] = 10;
			resp.sense_len = cpu_to_le32(18);
		}
		ck_assert_int_eq(vio_result(&req, &resp), 0);
		ck_assert_int_eq(req.result, t[i].result);
		ck_assert_uint_eq(req.moved, t[i].moved);
		if (t[i].key != 0xff)
			ck_assert_uint_eq(req.sense_len, 18);
	}
}
END_TEST

START_TEST(sense_lengths_are_bounded)
{
	static const struct {
		uint32_t told;
		uint8_t additional, want; /* want 0: no sense */
	} t[] = {
		{18, 10, 18},
		{96, 10, 18},
		{18, 255, 18},
		{96, 255, 96},
		{0xffffffff, 255, 96},
		{8, 0, 8},
		{7, 0, 0},
		{0, 10, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct vio_cmd_resp resp = {.status = 2, .sense_len = cpu_to_le32(t[i].told)};
		struct hba_req req = {0};

		resp.sense[0] = 0x70;
		resp.sense[2] = 5;
		resp.sense[7] = t[i].additional;
		vio_result(&req, &resp);
		ck_assert_uint_eq(req.sense_len, t[i].want);
		ck_assert_int_eq(req.result, t[i].want ? HBA_DONE : HBA_IO_ERROR);
	}
}
END_TEST

START_TEST(only_current_sense_is_about_this_command)
{
	static const struct {
		uint8_t sense[14];
		bool ua, recovered;
	} t[] = {
		{{0x70, 0, 6, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x29, 0}, true, false},
		{{0x71, 0, 6, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x29, 0}, false, false},
		{{0x72, 6, 0x29, 0, 0, 0, 0, 0}, true, false},
		{{0x73, 6, 0x29, 0, 0, 0, 0, 0}, false, false},
		{{0x70, 0, 1, 0, 0, 0, 0, 10}, false, true},
		{{0x71, 0, 1, 0, 0, 0, 0, 10}, false, false},
		{{0x72, 1}, false, true},
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct vio_cmd_resp resp = {.status = 2, .sense_len = cpu_to_le32(18)};
		struct hba_req req = {0};

		memcpy(resp.sense, t[i].sense, sizeof(t[i].sense));
		vio_result(&req, &resp);
		ck_assert_int_eq(hba_sense_key_is(&req, SENSE_KEY_UNIT_ATTENTION), t[i].ua);
		ck_assert_int_eq(hba_sense_is(&req, 6, 0x29), t[i].ua);
		ck_assert_int_eq(hba_sense_key_is(&req, SENSE_KEY_RECOVERED_ERROR), t[i].recovered);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("virtio wire");
	TCase *c = tcase_create("bytes");

	tcase_add_test(c, lun_field);
	tcase_add_test(c, lun_field_of_the_device);
	tcase_add_test(c, rw_cdb);
	tcase_add_test(c, request_bytes);
	tcase_add_test(c, list_of_a_read);
	tcase_add_test(c, chain_of_a_write_without_lists);
	tcase_add_test(c, chain_without_data);
	tcase_add_test(c, available_ring_bytes);
	tcase_add_test(c, used_ring_is_believed_no_further_than_it_can_be);
	tcase_add_test(c, one_kick_for_many_offers_and_none_when_not_wanted);
	tcase_add_test(c, response_codes);
	tcase_add_test(c, residual_and_status);
	tcase_add_test(c, sense_lengths_are_bounded);
	tcase_add_test(c, only_current_sense_is_about_this_command);
	suite_add_tcase(s, c);
	return run_suite(s);
}
