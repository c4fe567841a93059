/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The SAS3108 model, byte by byte, over the socket: requests and descriptors laid down by hand from [5]. */
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "mfi_host.h"

extern const struct model model_sas3108;

/* Places in the client's memory. MFI frames, sense and data are where mfi_host.h has them. */
enum {
	AT_IOC_INIT = 0x1100,
	AT_RDPQ = 0x1200,
	AT_QUEUES = 0x4000, /* depth x 8 each, 2 KiB apart */
	AT_REQUESTS = 0xc0000,
	AT_CHAIN = 0x180000,
};
#define DEPTH	128
#define VECTORS 4

static uint32_t host[VECTORS];
static int vector_fd[VECTORS];

static void setup(void)
{
	rig = rig_new(&model_sas3108);
	rig_unit(rig, "ld0,size=64M");
	rig_unit(rig, "ld5,size=32M");
	rig_unit(rig, "pd8,size=16M");
	rig_up(rig);
	client_up(&c, rig->socket);
	rig_wait(client_read32(&c, 1, 0xb0) >> 28 == 0x6);
	client_write32(&c, 1, 0x00, 0x18);
	rig_wait(client_read32(&c, 1, 0xb0) >> 28 == 0xb);
	forgiven_protocol = forgiven_dma = 0;
	for (unsigned i = 0; i < MAX_UNITS; i++)
		rig->emu.units.unit[i].disk.attention = 0;
	memset(vector_fd, 0xff, sizeof(vector_fd));
}

static void teardown(void)
{
	struct emu_stats s = rig_stats(rig);

	ck_assert_uint_eq(s.protocol_errors, forgiven_protocol);
	ck_assert_uint_eq(s.wrong_dma, forgiven_dma);
	rig->emu.stats.wrong_dma = 0;
	client_close(&c);
	rig_down(rig);
	for (unsigned i = 0; i < VECTORS; i++)
		if (vector_fd[i] >= 0)
			close(vector_fd[i]);
}

/* --- the host's side --- */

static uint8_t *request(unsigned smid)
{
	uint8_t *r = c.mem + AT_REQUESTS + smid * 256;

	memset(r, 0, 256);
	return r;
}

static void descriptor(unsigned type, unsigned vector, unsigned smid)
{
	uint8_t d[8] = {(uint8_t)(type << 1), (uint8_t)vector};

	le16(d, 2, (uint16_t)smid);
	ck_assert_int_eq(client_write(&c, 1, 0xc0, d, 8), 0);
}

static uint8_t ioc_init(unsigned vectors, bool array, uint64_t queues)
{
	uint8_t *f = frame(500), *i = c.mem + AT_IOC_INIT;
	uint64_t mfa = frame_addr(500) | 2;

	le16(f, 0x10, 0x0001);
	le32(f, 0x14, 72);
	le32(f, 0x18, MEM_IOVA + AT_IOC_INIT);
	memset(i, 0, 72);
	i[0x00] = 4;
	i[0x03] = 2;
	i[0x07] = array;
	le16(i, 0x0c, 0x0200);
	le16(i, 0x0e, 0x1000);
	i[0x16] = 0x0c;
	i[0x17] = (uint8_t)vectors;
	le16(i, 0x1a, 0x40);
	le16(i, 0x1c, DEPTH);
	le64(i, 0x28, MEM_IOVA + AT_REQUESTS);
	le64(i, 0x30, queues);
	memset(c.mem + AT_QUEUES, 0xff, VECTORS * 2048);
	memset(host, 0, sizeof(host));
	ck_assert_int_eq(client_write(&c, 1, 0xc0, &mfa, 8), 0);
	rig_wait(*(volatile uint8_t *)(f + 2) != 0xff);
	return f[2];
}

static void bring_up_fusion(void)
{
	for (unsigned v = 0; v < VECTORS; v++) {
		vector_fd[v] = eventfd(0, EFD_NONBLOCK);
		le64(c.mem, AT_RDPQ + 16 * v, MEM_IOVA + AT_QUEUES + 2048 * v);
	}
	ck_assert_int_eq(client_irq(&c, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
				 VFIO_PCI_MSIX_IRQ_INDEX, 0, VECTORS, vector_fd, VECTORS),
		0);
	client_write32(&c, 1, 0x34, 0xffffffff);
	ck_assert_uint_eq(ioc_init(VECTORS, true, MEM_IOVA + AT_RDPQ), 0);
	client_write32(&c, 1, 0x30, 0xffffffff);
	client_write32(&c, 1, 0x34, 0xfffffff6);
}

static uint8_t *entry(unsigned vector)
{
	return c.mem + AT_QUEUES + 2048 * vector + host[vector] * 8;
}

static bool there(unsigned vector)
{
	return __atomic_load_n((uint64_t *)entry(vector), __ATOMIC_ACQUIRE) != UINT64_MAX;
}

/* The next reply of the queue: returns its SMID. */
static unsigned reap(unsigned vector)
{
	uint8_t *e = entry(vector);
	unsigned smid;

	rig_wait(there(vector));
	ck_assert_uint_eq(e[0] & 0x0f, 0);
	ck_assert_uint_eq(e[1], vector);
	smid = get_le16(e, 2);
	memset(e, 0xff, 8);
	host[vector] = (host[vector] + 1) % DEPTH;
	client_write32(&c, 1, 0x6c, vector << 24 | host[vector]);
	return smid;
}

/* An LD I/O [10.2]: CDB, one element with the end flag. */
static uint8_t *ld_io(
	unsigned smid, uint8_t target, const void *cdb, uint8_t cdb_len, uint32_t len, uint32_t control)
{
	uint8_t *r = request(smid);

	r[0x00] = target;
	r[0x03] = 0xf1;
	le32(r, 0x0c, MEM_IOVA + AT_SENSE + smid * 128);
	le16(r, 0x10, 0x0002);
	r[0x12] = 96;
	r[0x14] = 0x20;
	le32(r, 0x1c, len);
	le16(r, 0x24, cdb_len);
	le32(r, 0x3c, control);
	memcpy(r + 0x40, cdb, cdb_len);
	r[0x60] = 0x12;
	le16(r, 0x66, target);
	le64(r, 0x80, MEM_IOVA + AT_DATA + (smid % 32) * 0x10000);
	le32(r, 0x88, len);
	r[0x8f] = len ? 0x40 : 0;
	return r;
}

static uint8_t *rw(unsigned smid, bool write, uint8_t target, uint32_t lba, uint16_t blocks)
{
	uint8_t cdb[10] = {write ? 0x2a : 0x28, 0, (uint8_t)(lba >> 24), (uint8_t)(lba >> 16),
		(uint8_t)(lba >> 8), (uint8_t)lba, 0, (uint8_t)(blocks >> 8), (uint8_t)blocks, 0};

	return ld_io(smid, target, cdb, 10, blocks * 512u, write ? 0x01000000 : 0x02000000);
}

/* Sends, reaps from queue 0, returns status << 8 | exStatus. */
static unsigned run_io(unsigned smid, unsigned type)
{
	const uint8_t *r = c.mem + AT_REQUESTS + smid * 256;

	descriptor(type, 0, smid);
	ck_assert_uint_eq(reap(0), smid);
	return (unsigned)r[0x77] << 8 | r[0x76];
}

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

/* --- state and pads --- */

START_TEST(registers_of_a_ready_controller)
{
	ck_assert_uint_eq(client_read32(&c, 1, 0xb0), 0xb45003f0);
	/* chain frames of 8 x 512 bytes, 16 queues, arrays of them, SYNCHRONIZE CACHE */
	ck_assert_uint_eq(client_read32(&c, 1, 0xb4), 0x01c3c100);
	ck_assert_uint_eq(client_read32(&c, 1, 0xb8), 1008);
	ck_assert_uint_eq(client_read32(&c, 1, 0x00) & 1, 0);
}
END_TEST

START_TEST(ioc_init_makes_it_operational)
{
	le64(c.mem, AT_RDPQ, MEM_IOVA + AT_QUEUES);
	ck_assert_uint_eq(
		_i ? ioc_init(1, true, MEM_IOVA + AT_RDPQ) : ioc_init(0, false, MEM_IOVA + AT_QUEUES), 0);
	ck_assert_uint_eq(client_read32(&c, 1, 0xb0) >> 28, 0xc);
	ck_assert(!there(0));
}
END_TEST

/* SeaBIOS: LD_GET_LIST by the old port, polled, and no answer in a queue. */
START_TEST(boot_firmware_gets_on_without_queues)
{
	uint8_t *f = frame(0);

	memset(f, 0, 64);
	f[0x00] = 0x05;
	f[0x02] = 0xff;
	f[0x07] = 1;
	le16(f, 0x10, 0x0011);
	le32(f, 0x14, 1032);
	le32(f, 0x18, 0x03010000);
	le32(f, 0x28, MEM_IOVA + AT_DATA);
	le32(f, 0x2c, 1032);
	client_write32(&c, 1, 0x40, MEM_IOVA + (uint32_t)(f - c.mem) + 1);
	rig_wait(frame_again(0)[2] == 0x00);
	ck_assert_uint_gt(get_le32(c.mem, AT_DATA), 0);
	ck_assert_uint_eq(rig_stats(rig).replies, 0);
	bring_up_fusion();
}
END_TEST

START_TEST(ioc_init_with_too_much_is_refused)
{
	ck_assert_uint_eq(
		_i ? ioc_init(1, false, UINT64_C(0x100000000)) : ioc_init(17, false, MEM_IOVA + AT_QUEUES),
		3);
	ck_assert_uint_eq(client_read32(&c, 1, 0xb0) >> 28, 0xb);
	forgiven_protocol = 1;
	forgiven_dma = (uint64_t)_i;
}
END_TEST

/* --- I/O --- */

START_TEST(inquiry_to_a_logical_drive)
{
	static const uint8_t inquiry[6] = {0x12, 0, 0, 0, 36, 0};

	bring_up_fusion();
	ld_io(7, 0, inquiry, 6, 36, 0x02000000);
	ck_assert_uint_eq(run_io(7, 0), 0);
	ck_assert_int_eq(memcmp(data_at(7) + 8, "LSI     ", 8), 0);
	ck_assert_uint_eq(client_irq_wait(vector_fd[0], LIMIT_MS), 1);
	/* what a host that acknowledged all sees */
	ck_assert_uint_eq(client_read32(&c, 1, 0x30), 0);
}
END_TEST

START_TEST(reads_return_what_was_written_by_each_type_of_descriptor)
{
	static const unsigned types[] = {7, 2, 0};

	bring_up_fusion();
	for (unsigned i = 0; i < 3; i++) {
		rw(1, true, 5, 100 + i, 8);
		memset(data_at(1), (int)(0x30 + i), 4096);
		ck_assert_uint_eq(run_io(1, types[i]), 0);
		rw(2, false, 5, 100 + i, 1);
		ck_assert_uint_eq(run_io(2, types[i]), 0);
		ck_assert_uint_eq(data_at(2)[511], 0x30 + i);
	}
}
END_TEST

/* A request by the fast path, to a drive: as Linux sends it on this generation [5.8, 5.9]. */
static void by_fast_path(uint8_t *r)
{
	le16(r, 0x00, 0xffff);
	r[0x02] = 0x00;
	r[0x03] = 0x00;
	r[0x25] |= 0x40;
	r[0x66] = 8;
	r[0x78] = 0x10;
}

/*
 * 12 elements of a block: seven in the frame, a chain element in the eighth slot, five in the chain frame [5.9]. A
 * fast path request has no chain offset.
 */
START_TEST(a_chained_list)
{
	unsigned type = _i ? 6 : 7;
	uint8_t *r;

	bring_up_fusion();
	r = rw(1, true, 0, 0, 12);
	if (_i)
		by_fast_path(r);
	for (unsigned i = 0; i < 12; i++)
		memset(data_at(1) + i * 512, (int)i + 1, 512);
	ck_assert_uint_eq(run_io(1, type), 0);
	r = rw(2, false, 0, 0, 12);
	r[0x02] = 0x0f;
	if (_i)
		by_fast_path(r);
	for (unsigned i = 0; i < 12; i++) {
		uint8_t *e = i < 7 ? r + 0x80 + 16 * i : c.mem + AT_CHAIN + 16 * (i - 7);

		memset(e, 0, 16);
		le64(e, 0, MEM_IOVA + AT_DATA + 0x20000 + i * 0x1000);
		le32(e, 8, 512);
		e[15] = i == 11 ? 0x40 : 0;
	}
	le64(r, 0xf0, MEM_IOVA + AT_CHAIN);
	le32(r, 0xf8, 16 * 5);
	r[0xff] = 0x80;
	ck_assert_uint_eq(run_io(2, type), 0);
	for (unsigned i = 0; i < 12; i++)
		ck_assert_uint_eq(data_at(2)[i * 0x1000 + 511], i + 1);
}
END_TEST

START_TEST(errors_have_sense_and_the_count_that_was_moved)
{
	const uint8_t *sense = c.mem + AT_SENSE + 2 * 128;
	uint8_t *r;

	bring_up_fusion();
	r = rw(2, false, 0, 64 * 2048, 1);
	ck_assert_uint_eq(run_io(2, 7), 0x2d02);
	ck_assert_uint_eq(sense[0], 0x70);
	ck_assert_uint_eq(sense[2], 0x05);
	ck_assert_uint_eq(sense[12], 0x21);
	ck_assert_uint_eq(get_le32(r, 0x1c), 0);
}
END_TEST

START_TEST(units_that_are_not_there)
{
	static const uint8_t tur[6];
	uint8_t *r;

	bring_up_fusion();
	ld_io(1, 9, tur, 6, 0, 0);
	ck_assert_uint_eq(run_io(1, 0), 0x0c00);
	ld_io(1, 0, tur, 6, 0, 0)[0x35] = 1;
	ck_assert_uint_eq(run_io(1, 0), 0x0c00);
	/* a system drive, by the firmware's path and by the fast one */
	r = ld_io(1, 8, tur, 6, 0, 0);
	le16(r, 0x00, 0xffff);
	r[0x78] = 0x10;
	ck_assert_uint_eq(run_io(1, 0), 0);
	by_fast_path(ld_io(1, 8, tur, 6, 0, 0));
	ck_assert_uint_eq(run_io(1, 6), 0);
}
END_TEST

START_TEST(replies_come_in_the_queue_that_was_asked_for)
{
	bring_up_fusion();
	for (unsigned v = 0; v < VECTORS; v++) {
		rw(10 + v, false, 0, v, 1);
		descriptor(7, v, 10 + v);
	}
	for (unsigned v = 0; v < VECTORS; v++) {
		ck_assert_uint_eq(reap(v), 10 + v);
		ck_assert_uint_eq(client_irq_wait(vector_fd[v], LIMIT_MS), 1);
		ck_assert(!there(v));
	}
}
END_TEST

START_TEST(queues_wrap_and_every_request_comes_back_once)
{
	unsigned seen[64] = {0};

	bring_up_fusion();
	for (unsigned n = 0; n < 3 * DEPTH; n += 16) {
		for (unsigned i = 0; i < 16; i++) {
			rw(1 + i, false, 0, n + i, 1);
			descriptor(7, i % VECTORS, 1 + i);
		}
		for (unsigned i = 0; i < 16; i++)
			seen[reap(i % VECTORS)]++;
	}
	for (unsigned i = 1; i <= 16; i++)
		ck_assert_uint_eq(seen[i], 3 * DEPTH / 16);
}
END_TEST

START_TEST(the_combined_index_registers_work_too)
{
	bring_up_fusion();
	rw(1, false, 0, 0, 1);
	descriptor(7, 2, 1);
	rig_wait(there(2));
	ck_assert_uint_eq(client_read32(&c, 1, 0x30) & 0x8, 0x8);
	client_write32(&c, 1, 0x30c, 2u << 24 | 1);
	ck_assert_uint_eq(client_read32(&c, 1, 0x30) & 0x8, 0);
}
END_TEST

START_TEST(a_full_queue_waits_for_the_host)
{
	bring_up_fusion();
	for (unsigned i = 0; i < DEPTH - 1; i++) {
		rw(1 + i, false, 0, 0, 1);
		descriptor(7, 1, 1 + i);
	}
	rig_wait(rig_stats(rig).replies == DEPTH - 1);
	rw(200, false, 0, 0, 1);
	descriptor(7, 1, 200);
	rig_wait(rig_stats(rig).protocol_errors == 1);
	for (unsigned i = 0; i < DEPTH - 1; i++)
		ck_assert_uint_ne(reap(1), 200);
	ck_assert_uint_eq(reap(1), 200);
	forgiven_protocol = 1;
}
END_TEST

START_TEST(masked_replies_are_announced_when_the_mask_opens)
{
	bring_up_fusion();
	client_write32(&c, 1, 0x34, 0xffffffff);
	rw(1, false, 0, 0, 1);
	descriptor(7, 3, 1);
	ck_assert_uint_eq(reap(3), 1);
	ck_assert_uint_eq(client_irq_wait(vector_fd[3], 30), 0);
	client_write32(&c, 1, 0x34, 0xfffffff6);
	ck_assert_uint_eq(client_irq_wait(vector_fd[3], LIMIT_MS), 1);
}
END_TEST

static const struct {
	unsigned type, vector, smid;
	uint8_t function;
} wrong[] = {
	{7, 0, 0, 0xf1},
	{7, 0, 1009, 0xf1},
	{7, VECTORS, 1, 0xf1},
	{3, 0, 1, 0xf1},
	{0, 0, 1, 0x01},
	{7, 0, 1, 0xf0},
	{0, 0, 1, 0x77},
};

START_TEST(requests_that_make_no_sense_are_mistakes_of_the_driver)
{
	bring_up_fusion();
	rw(1, false, 0, 0, 1)[0x03] = wrong[_i].function;
	descriptor(wrong[_i].type, wrong[_i].vector, wrong[_i].smid);
	rig_wait(rig_stats(rig).protocol_errors == 1);
	for (unsigned v = 0; v < VECTORS; v++)
		ck_assert(!there(v));
	/* and the next one is served */
	rw(1, false, 0, 0, 1);
	ck_assert_uint_eq(run_io(1, 7), 0);
	forgiven_protocol = 1;
}
END_TEST

/* --- management --- */

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

/* --- task management [5.14] --- */

static uint8_t task(uint8_t type, uint16_t handle, uint16_t victim)
{
	uint8_t *r = request(950);

	le16(r, 0x00, handle);
	r[0x03] = 0x01;
	r[0x05] = type;
	le16(r, 0x30, victim);
	r[0x80] = 1;
	descriptor(3, 0, 950);
	ck_assert_uint_eq(reap(0), 950);
	ck_assert_uint_eq(r[0x83], 0x01);
	return r[0x84];
}

/* Waits until the emulator has begun with one more command. */
static void begun(uint64_t before)
{
	rig_wait(rig_stats(rig).commands > before);
	for (unsigned i = 0; i < 3; i++)
		rig_stats(rig); /* a turn of its loop each, and timers that are due */
}

START_TEST(an_aborted_request_comes_back_before_the_answer_to_the_abort)
{
	uint64_t before;

	bring_up_fusion();
	rig_do(rig, "fault late-dma=500 on=read");
	rw(1, false, 0, 0, 1);
	memset(data_at(1), 0xee, 512);
	before = rig_stats(rig).commands;
	descriptor(7, 1, 1);
	begun(before);
	ck_assert_uint_eq(task(1, 0, 1), 0x00);
	ck_assert(there(1));
	ck_assert_uint_eq(reap(1), 1);
	ck_assert_uint_ne(c.mem[AT_REQUESTS + 256 + 0x77], 0);
	rig_wait(*(volatile uint8_t *)(data_at(1) + 511) == 0xdb);
}
END_TEST

START_TEST(a_lost_request_cannot_be_aborted_but_reset)
{
	uint64_t before;

	bring_up_fusion();
	rig_do(rig, "fault drop on=read");
	rw(1, false, 0, 0, 1);
	before = rig_stats(rig).commands;
	descriptor(7, 1, 1);
	begun(before);
	ck_assert_uint_eq(task(1, 0, 1), 0x05);
	ck_assert_uint_eq(task(5, 5, 0), 0x00); /* the other drive */
	ck_assert(!there(1));
	ck_assert_uint_eq(task(5, 0, 0), 0x00);
	ck_assert_uint_eq(reap(1), 1);
	ck_assert_uint_eq(task(1, 0, 1), 0x00); /* there is nothing any more */
}
END_TEST

/* --- reset --- */

START_TEST(the_chip_reset_starts_firmware_anew)
{
	static const uint32_t key[] = {0x0, 0xf, 0x4, 0xb, 0x2, 0x7, 0xd};

	bring_up_fusion();
	rig_do(rig, "fault delay=2500");
	rw(1, false, 0, 0, 1);
	descriptor(7, 0, 1);
	rig_do(rig, "fw-fault 123");
	ck_assert_uint_eq(client_read32(&c, 1, 0xb0), 0xf1230003);
	for (unsigned i = 0; i < ARRAY_SIZE(key); i++)
		client_write32(&c, 1, 0x04, key[i]);
	ck_assert_uint_eq(client_read32(&c, 1, 0x08), 0x80);
	client_write32(&c, 1, 0x08, 0x84);
	rig_wait(!(client_read32(&c, 1, 0x08) & 0x4));
	rig_wait(client_read32(&c, 1, 0xb0) >> 28 == 0xb);
	bring_up_fusion();
	rw(2, false, 0, 0, 1);
	ck_assert_uint_eq(run_io(2, 7), 0);
	usleep(2600000);
	ck_assert(!there(0));
}
END_TEST

START_TEST(wrong_and_repeated_replies)
{
	bring_up_fusion();
	rig_do(rig, "fault wrong-context");
	rw(1, false, 0, 0, 1);
	descriptor(7, 0, 1);
	ck_assert_uint_eq(reap(0), 0x4001);
	rig_do(rig, "fault twice");
	rw(1, false, 0, 0, 1);
	descriptor(7, 0, 1);
	ck_assert_uint_eq(reap(0), 1);
	ck_assert_uint_eq(reap(0), 1);
}
END_TEST

/* A driver out of its mind. */
START_TEST(requests_that_mean_nothing)
{
	static const uint8_t functions[] = {0xf1, 0xf1, 0xf0, 0x00, 0x01};
	struct rng rng = {(uint64_t)_i + 77};

	bring_up_fusion();
	for (unsigned n = 0; n < 1500; n++) {
		unsigned smid = 1 + (unsigned)rng_below(&rng, 20);
		uint8_t *r = rw(smid, rng_below(&rng, 2), 0, (uint32_t)rng_below(&rng, 100), 4);

		for (unsigned i = 0; i < 6; i++)
			r[rng_below(&rng, 256)] = (uint8_t)rng_next(&rng);
		r[0x03] = functions[rng_below(&rng, sizeof(functions))];
		if (r[0x03] == 0xf0) {
			r[0x02] = 0x08;
			le64(r, 0x80, frame_addr(smid));
			r[0x8f] = 0x83;
			le32(dcmd(smid, 0x01010000, 64), 0x18,
				0x01000000 + (uint32_t)rng_below(&rng, 0x3000000));
			frame_again(smid)[rng_below(&rng, 64)] = (uint8_t)rng_next(&rng);
		}
		descriptor((unsigned)rng_below(&rng, 8) | (rng_below(&rng, 2) ? 7 : 0),
			(unsigned)rng_below(&rng, 5), smid);
		for (unsigned v = 0; v < VECTORS; v++)
			if (there(v))
				reap(v);
	}
	rig_do(rig, "back");
	client_bus_master(&c, true);
	rig_wait(client_read32(&c, 1, 0xb0) >> 28 == 0x6);
	client_write32(&c, 1, 0x00, 0x18);
	rig_wait(client_read32(&c, 1, 0xb0) >> 28 == 0xb);
	bring_up_fusion();
	rw(1, false, 0, 0, 1);
	ck_assert_uint_eq(run_io(1, 7), 0);
	forgiven_protocol = rig_stats(rig).protocol_errors;
	forgiven_dma = rig_stats(rig).wrong_dma;
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sas3108");
	TCase *t = tcase_create("wire");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 30);
	tcase_add_test(t, registers_of_a_ready_controller);
	tcase_add_test(t, boot_firmware_gets_on_without_queues);
	tcase_add_loop_test(t, ioc_init_makes_it_operational, 0, 2);
	tcase_add_loop_test(t, ioc_init_with_too_much_is_refused, 0, 2);
	tcase_add_test(t, inquiry_to_a_logical_drive);
	tcase_add_test(t, reads_return_what_was_written_by_each_type_of_descriptor);
	tcase_add_loop_test(t, a_chained_list, 0, 2);
	tcase_add_test(t, errors_have_sense_and_the_count_that_was_moved);
	tcase_add_test(t, units_that_are_not_there);
	tcase_add_test(t, replies_come_in_the_queue_that_was_asked_for);
	tcase_add_test(t, queues_wrap_and_every_request_comes_back_once);
	tcase_add_test(t, the_combined_index_registers_work_too);
	tcase_add_test(t, a_full_queue_waits_for_the_host);
	tcase_add_test(t, masked_replies_are_announced_when_the_mask_opens);
	tcase_add_loop_test(
		t, requests_that_make_no_sense_are_mistakes_of_the_driver, 0, (int)ARRAY_SIZE(wrong));
	tcase_add_test(t, dcmds_are_passed_through);
	tcase_add_test(t, the_raid_map_has_the_drives_and_no_fast_path);
	tcase_add_test(t, the_wait_for_another_map);
	tcase_add_test(t, drives_have_handles_and_sequence_numbers);
	tcase_add_test(t, the_wait_for_another_map_of_drives);
	tcase_add_test(t, events_end_the_wait);
	tcase_add_test(t, an_aborted_request_comes_back_before_the_answer_to_the_abort);
	tcase_add_test(t, a_lost_request_cannot_be_aborted_but_reset);
	tcase_add_test(t, the_chip_reset_starts_firmware_anew);
	tcase_add_test(t, wrong_and_repeated_replies);
	tcase_add_loop_test(t, requests_that_mean_nothing, 0, 6);
	suite_add_tcase(s, t);
	return run_suite(s);
}
