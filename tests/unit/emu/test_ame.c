/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The AME models, byte by byte, over the socket: the happy path of the facts page [13] and what strays from it. */
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "mfi_host.h"

extern const struct model model_ame_6262, model_ame_626f;

/* Places in the client's memory: slots of a request frame, a sense block and a reply frame [3.1]. */
#define SLOT_SIZE 0xb00
enum { SENSE_IN_SLOT = 0x900, REPLY_IN_SLOT = 0xa00, AT_LIST = 0x1f0000 };
#define FRAMES 40

static int line_fd = -1;

static void setup_of(const struct model *model)
{
	rig = rig_new(model);
	rig_unit(rig, "ld0,size=64M");
	rig_unit(rig, "ld5,size=32M");
	rig_up(rig);
	client_up(&c, rig->socket);
	forgiven_protocol = forgiven_dma = 0;
}

static void setup(void)
{
	setup_of(&model_ame_626f);
}

static void teardown(void)
{
	struct emu_stats s = rig_stats(rig);

	ck_assert_uint_eq(s.protocol_errors, forgiven_protocol);
	ck_assert_uint_eq(s.wrong_dma, forgiven_dma);
	client_close(&c);
	rig_down(rig);
	if (line_fd >= 0)
		close(line_fd);
	line_fd = -1;
}

static uint32_t rd(uint32_t off)
{
	return client_read32(&c, 1, off);
}

static void wr(uint32_t off, uint32_t v)
{
	client_write32(&c, 1, off, v);
}

static uint8_t *slot(unsigned n)
{
	return c.mem + n * SLOT_SIZE;
}

static uint32_t slot_addr(unsigned n)
{
	return MEM_IOVA + n * SLOT_SIZE;
}

static void post_frame(unsigned n)
{
	memset(slot(n) + REPLY_IN_SLOT, 0, 96);
	wr(0x44, slot_addr(n) + REPLY_IN_SLOT);
}

/* Steps 3 to 12 of [13]. */
static void bring_up_ame(unsigned frames)
{
	uint32_t v = 0;

	wr(0x34, 0x0000000f);
	wr(0xa0, 0x00000001);
	wr(0x20, 0xffffffff);
	wr(0xb8, 0x00010000);
	wr(0xa0, 0x00000010);
	wr(0x20, 0x80000000);
	rig_wait((v = rd(0x9c)) != 0);
	ck_assert_uint_eq(v, 0x1);
	wr(0xa0, v);
	wr(0x34, 0x00000001);
	for (unsigned i = 1; i <= frames; i++)
		post_frame(i);
}

static uint8_t *request(unsigned n, uint8_t flag, uint8_t function)
{
	uint8_t *q = slot(n);

	memset(q, 0, SENSE_IN_SLOT + 64);
	q[0x02] = flag;
	q[0x03] = function;
	le32(q, 0x04, n << 2);
	return q;
}

static uint8_t *scsi(
	unsigned n, uint8_t lun, const void *cdb, uint8_t cdb_len, uint32_t len, uint32_t control)
{
	uint8_t *q = request(n, lun, 0x00);

	q[0x08] = cdb_len;
	q[0x09] = 64;
	le32(q, 0x0c, control);
	memcpy(q + 0x10, cdb, cdb_len);
	le32(q, 0x20, len);
	le32(q, 0x24, slot_addr(n) + SENSE_IN_SLOT);
	return q;
}

static uint8_t *rw(unsigned n, bool write, uint8_t lun, uint32_t lba, uint16_t blocks)
{
	const uint8_t cdb[10] = {write ? 0x2a : 0x28, 0, (uint8_t)(lba >> 24), (uint8_t)(lba >> 16),
		(uint8_t)(lba >> 8), (uint8_t)lba, 0, (uint8_t)(blocks >> 8), (uint8_t)blocks, 0};
	uint8_t *q = scsi(n, lun, cdb, 10, blocks * 512u, write ? 0x2d : 0x2e);

	le64(q, 0x30, MEM_IOVA + AT_DATA + (n % 16) * 0x10000);
	le32(q, 0x38, blocks * 512u);
	le32(q, 0x3c, 0x40000000);
	return q;
}

static void submit(unsigned n)
{
	ck_assert_uint_ne(rd(0x40), 0xffffffff);
	wr(0x40, slot_addr(n));
}

static uint32_t pop(void)
{
	uint32_t m = 0;

	rig_wait((m = rd(0x44)) != 0xffffffff);
	return m;
}

/* A reply in a frame: returns it, and lends it again. */
static const uint8_t *normal(unsigned n, uint8_t function)
{
	static uint8_t copy[96];
	uint32_t m = pop();
	unsigned frame = ((m << 1) - MEM_IOVA) / SLOT_SIZE;

	ck_assert_uint_eq(m >> 31, 1);
	ck_assert_uint_le(frame, FRAMES);
	ck_assert_uint_eq(m << 1, slot_addr(frame) + REPLY_IN_SLOT);
	memcpy(copy, slot(frame) + REPLY_IN_SLOT, sizeof(copy));
	ck_assert_uint_eq(copy[0x03], function);
	ck_assert_uint_eq(get_le32(copy, 0x04), n << 2);
	post_frame(frame);
	return copy;
}

static const uint8_t *page0(void)
{
	uint8_t *q = request(2, 2, 0x03);

	memcpy(q + 8, "\x01\x01\x00", 3);
	le32(q, 0x28, 0x200);
	le32(q, 0x30, 0x10000200);
	le32(q, 0x34, MEM_IOVA + AT_DATA);
	submit(2);
	ck_assert_uint_eq(normal(2, 0x03)[0x01], 0x00);
	return data_at(0);
}

static void event_switch(bool on)
{
	request(3, on, 0x02);
	submit(3);
	ck_assert_uint_eq(normal(3, 0x02)[0x08], 0xaa);
}

/* --- */

START_TEST(the_happy_path)
{
	static const uint8_t inquiry[6] = {0x12, 0, 0, 0, 36, 0};
	const uint8_t *page;
	uint8_t *q;

	ck_assert_uint_eq(rd(0xbc), 0x626f14d6);
	bring_up_ame(FRAMES);
	ck_assert_uint_eq(rd(0xb4), 1);
	page = page0();
	ck_assert_uint_ne(get_le16(page, 0x80), 0xffff);
	ck_assert_uint_eq(get_le16(page, 0x82), 0xffff);
	ck_assert_uint_ne(get_le16(page, 0x80 + 10), 0xffff);
	q = scsi(1, 0, inquiry, 6, 36, 0x2e);
	le32(q, 0x28, 0x10000024);
	le32(q, 0x2c, MEM_IOVA + AT_DATA + 0x10000);
	submit(1);
	ck_assert_uint_eq(pop(), 0x00000004);
	ck_assert_int_eq(memcmp(data_at(1) + 8, "LSI     ", 8), 0);
	ck_assert_uint_eq(rd(0x44), 0xffffffff);
	event_switch(true);
}
END_TEST

START_TEST(reads_return_what_was_written)
{
	bring_up_ame(4);
	for (unsigned lun = 0; lun < 6; lun += 5) {
		rw(1, true, (uint8_t)lun, 77, 16);
		for (unsigned i = 0; i < 8192; i++)
			data_at(1)[i] = (uint8_t)(i * 13 + lun);
		submit(1);
		ck_assert_uint_eq(pop(), 4);
		rw(2, false, (uint8_t)lun, 78, 2);
		submit(2);
		ck_assert_uint_eq(pop(), 8);
		ck_assert_int_eq(memcmp(data_at(2), data_at(1) + 512, 1024), 0);
	}
}
END_TEST

/* 32 elements of a block in a list, the last marked; then the same without its mark. */
START_TEST(a_list_of_elements_ends_with_a_mark)
{
	uint8_t *q, *e = c.mem + AT_LIST;

	bring_up_ame(4);
	rw(1, true, 0, 0, 32);
	for (unsigned i = 0; i < 32; i++)
		memset(data_at(1) + i * 512, (int)i + 1, 512);
	submit(1);
	ck_assert_uint_eq(pop(), 4);
	q = rw(2, false, 0, 0, 32);
	le32(q, 0x28, 0x50000000 | 32);
	le32(q, 0x2c, MEM_IOVA + AT_LIST);
	le32(q, 0x30, 0);
	memset(e, 0, 32 * 16);
	for (unsigned i = 0; i < 32; i++) {
		le64(e, i * 16, MEM_IOVA + AT_DATA + 0x20000 + i * 0x400);
		le32(e, i * 16 + 8, 512);
	}
	le32(e, 31 * 16 + 12, 0x40000000);
	submit(2);
	ck_assert_uint_eq(pop(), 8);
	for (unsigned i = 0; i < 32; i++)
		ck_assert_uint_eq(data_at(2)[i * 0x400 + 511], i + 1);
	le32(e, 31 * 16 + 12, 0);
	submit(2);
	ck_assert_uint_eq(normal(2, 0x00)[0x01], 0x03);
	forgiven_protocol = 1;
}
END_TEST

START_TEST(short_data_is_told_in_the_sense_block)
{
	static const uint8_t inquiry[6] = {0x12, 0, 0, 0, 255, 0};
	const uint8_t *r, *sense = slot(1) + SENSE_IN_SLOT;
	uint8_t *q;

	bring_up_ame(4);
	q = scsi(1, 0, inquiry, 6, 255, 0x2e);
	le32(q, 0x28, 0x100000ff);
	le32(q, 0x2c, MEM_IOVA + AT_DATA);
	submit(1);
	r = normal(1, 0x00);
	ck_assert_uint_eq(r[0x01], 0);
	ck_assert_uint_eq(r[0x08], 0);
	ck_assert_uint_eq(r[0x09], 1);
	ck_assert_uint_eq(get_le32(r, 0x0c), 96);
	ck_assert_uint_eq(sense[0x02], 0x08);
	ck_assert_uint_eq(get_le32(sense, 0x04), 255 - 96);
}
END_TEST

START_TEST(errors_have_sense_in_the_block)
{
	const uint8_t *r, *sense = slot(1) + SENSE_IN_SLOT;

	bring_up_ame(4);
	rw(1, false, 0, 64 * 2048, 1);
	submit(1);
	r = normal(1, 0x00);
	ck_assert_uint_eq(r[0x01], 0);
	ck_assert_uint_eq(r[0x08], 2);
	ck_assert_uint_eq(r[0x09], 1);
	ck_assert_uint_eq(sense[0x02] & 0x02, 0x02);
	ck_assert_uint_eq(sense[0x03], 0x02);
	ck_assert_uint_eq(get_le32(sense, 0x08), 18);
	ck_assert_uint_eq(sense[0x10], 0x70);
	ck_assert_uint_eq(sense[0x12], 0x05);
	ck_assert_uint_eq(sense[0x1c], 0x21);
}
END_TEST

START_TEST(luns_that_are_not_there)
{
	static const uint8_t tur[6];

	bring_up_ame(4);
	scsi(1, 7, tur, 6, 0, 0x2c);
	submit(1);
	ck_assert_uint_eq(normal(1, 0x00)[0x01], 0x22);
	scsi(1, 0, tur, 6, 0, 0x2c);
	submit(1);
	ck_assert_uint_eq(pop(), 4);
	request(1, 0, 0x55);
	submit(1);
	ck_assert_uint_eq(normal(1, 0x55)[0x01], 0x01);
}
END_TEST

START_TEST(replies_wait_for_a_frame)
{
	bring_up_ame(0);
	rw(1, false, 9, 0, 1);
	submit(1);
	rw(2, false, 0, 0, 1);
	submit(2);
	/* the fast one needs none */
	ck_assert_uint_eq(pop(), 8);
	usleep(20000);
	ck_assert_uint_eq(rd(0x44), 0xffffffff);
	post_frame(5);
	rig_wait(rig_stats(rig).replies == 2);
	ck_assert_uint_eq(pop(), 0x80000000 | (slot_addr(5) + REPLY_IN_SLOT) >> 1);
}
END_TEST

START_TEST(lun_changes_are_told_when_switched_on)
{
	const uint8_t *r;

	bring_up_ame(8);
	rig_do(rig, "add ld9,size=1M");
	usleep(20000);
	ck_assert_uint_eq(rd(0x44), 0xffffffff);
	event_switch(false);
	event_switch(true);
	rig_do(rig, "add ld10,size=1M");
	r = normal(0, 0x02);
	ck_assert_uint_eq(r[0x08], 0x14);
	ck_assert_uint_ne(get_le16(page0(), 0x80 + 20), 0xffff);
	rig_do(rig, "remove ld10");
	normal(0, 0x02);
	ck_assert_uint_eq(get_le16(page0(), 0x80 + 20), 0xffff);
	rig_do(rig, "aen-storm 20");
	for (unsigned i = 0; i < 20; i++)
		ck_assert_uint_eq(normal(0, 0x02)[0x08], 0x14);
}
END_TEST

START_TEST(the_line_is_up_while_there_are_replies_or_notices)
{
	const uint32_t unmask = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK;

	line_fd = eventfd(0, EFD_NONBLOCK);
	bring_up_ame(4);
	ck_assert_int_eq(client_irq(&c, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
				 VFIO_PCI_INTX_IRQ_INDEX, 0, 1, &line_fd, 1),
		0);
	rw(1, false, 0, 0, 1);
	submit(1);
	ck_assert_uint_eq(client_irq_wait(line_fd, LIMIT_MS), 1);
	ck_assert_uint_eq(rd(0x30), 0x8);
	ck_assert_int_eq(client_irq(&c, unmask, VFIO_PCI_INTX_IRQ_INDEX, 0, 1, NULL, 0), 0);
	ck_assert_uint_eq(client_irq_wait(line_fd, LIMIT_MS), 1); /* nobody took it */
	pop();
	ck_assert_int_eq(client_irq(&c, unmask, VFIO_PCI_INTX_IRQ_INDEX, 0, 1, NULL, 0), 0);
	ck_assert_uint_eq(client_irq_wait(line_fd, 20), 0);
	rig_do(rig, "notice 8");
	ck_assert_uint_eq(client_irq_wait(line_fd, LIMIT_MS), 1);
	ck_assert_uint_eq(rd(0x9c) & 0x8, 0x8);
	wr(0xa0, 0x8);
	ck_assert_uint_eq(rd(0x9c) & 0x8, 0);
}
END_TEST

START_TEST(the_heartbeat_comes_after_a_second)
{
	bring_up_ame(4);
	ck_assert_uint_eq(rd(0x9c), 0);
	rig_wait(rd(0x9c) == 0x10);
	wr(0xa0, 0x10);
	ck_assert_uint_eq(rd(0x9c), 0);
}
END_TEST

START_TEST(mistakes_of_the_driver)
{
	bring_up_ame(4);
	switch (_i) {
	case 0: /* not aligned to 256 */
		wr(0x44, slot_addr(9) + REPLY_IN_SLOT + 4);
		break;
	case 1: /* bit 31 of an identifier */
		le32(rw(1, false, 0, 0, 1), 0x04, 0x80000004);
		submit(1);
		break;
	case 2: /* after the host made it forget */
		wr(0x20, 0xffffffff);
		rw(1, false, 0, 0, 1);
		submit(1);
		break;
	case 3: /* data, but no direction */
		le32(rw(1, false, 0, 0, 1), 0x0c, 0x2c);
		submit(1);
		normal(1, 0x00);
		break;
	}
	rig_wait(rig_stats(rig).protocol_errors == 1);
	forgiven_protocol = 1;
}
END_TEST

START_TEST(synchronize_cache_saves_what_was_written)
{
	static const uint8_t sync[10] = {0x35};

	if (_i)
		rig->emu.units.ld_sync = LD_SYNC_IGNORED;
	bring_up_ame(4);
	rw(1, true, 0, 0, 8);
	memset(data_at(1), 0x66, 4096);
	submit(1);
	pop();
	scsi(2, 0, sync, 10, 0, 0x2c);
	submit(2);
	ck_assert_uint_eq(pop(), 8);
	rig_do(rig, "power-cut survive=none");
	client_close(&c);
	client_up(&c, rig->socket);
	bring_up_ame(4);
	rw(1, false, 0, 0, 8);
	submit(1);
	ck_assert_uint_eq(pop(), 4);
	ck_assert_uint_eq(data_at(1)[0], _i ? 0x00 : 0x66);
}
END_TEST

/* [7]: the bridge forgets, the box starts anew; pad 1 tells when. */
START_TEST(a_restarting_box_loses_its_addresses)
{
	const uint32_t bar = 0xfebc0000;

	client_write(&c, VFIO_PCI_CONFIG_REGION_INDEX, 0x14, &bar, 4);
	bring_up_ame(4);
	rig_do(rig, "fault delay=2000");
	rw(1, false, 0, 0, 1);
	submit(1);
	rig_do(rig, "fw-fault");
	ck_assert_uint_eq(client_read32(&c, VFIO_PCI_CONFIG_REGION_INDEX, 0x14), 0);
	ck_assert_uint_eq(client_read32(&c, VFIO_PCI_CONFIG_REGION_INDEX, 0x04) & 7, 0);
	ck_assert_uint_eq(rd(0x9c), 0x2);
	wr(0xa0, 0x2);
	client_bus_master(&c, true);
	rig_wait(rd(0xb4) == 1);
	ck_assert_uint_eq(rig_stats(rig).inits, 1);
	bring_up_ame(4);
	ck_assert_uint_eq(rig_stats(rig).inits, 2);
	rw(2, false, 0, 0, 1);
	submit(2);
	ck_assert_uint_eq(pop(), 8);
	usleep(2100000);
	ck_assert_uint_eq(rd(0x44), 0xffffffff);
}
END_TEST

START_TEST(flush_forgets_what_is_outstanding)
{
	bring_up_ame(4);
	rig_do(rig, "fault delay=2000");
	rw(1, false, 0, 0, 1);
	submit(1);
	rig_do(rig, "notice 4");
	ck_assert_uint_eq(rd(0x9c), 0x4);
	usleep(2100000);
	ck_assert_uint_eq(rd(0x44), 0xffffffff);
}
END_TEST

static void abort_task(unsigned n, unsigned victim)
{
	uint8_t *q = request(n, 1, 0x01);

	le32(q, 0x0c, victim << 2);
	submit(n);
}

/* Waits until the emulator has begun with one more command. */
static void begun(uint64_t before)
{
	rig_wait(rig_stats(rig).commands > before);
}

START_TEST(dma_after_an_abort_really_comes)
{
	uint64_t before;

	bring_up_ame(8);
	rig_do(rig, _i ? "fault late-dma=300 on=read" : "fault late-dma=0 on=read");
	rw(1, false, 0, 0, 1);
	memset(data_at(1), 0xee, 512);
	before = rig_stats(rig).commands;
	submit(1);
	begun(before);
	abort_task(2, 1);
	ck_assert_uint_eq(normal(1, 0x00)[0x01], 0x27);
	/* After 0 ms is before the command's end. */
	if (_i == 0)
		ck_assert_uint_eq(data_at(1)[511], 0xdb);
	ck_assert_uint_eq(normal(2, 0x01)[0x01], 0x00);
	rig_wait(*(volatile uint8_t *)(data_at(1) + 511) == 0xdb);
}
END_TEST

START_TEST(dma_after_an_abort_is_refused_without_bus_mastering)
{
	uint64_t before, blocked;

	bring_up_ame(8);
	rig_do(rig, "fault late-dma=200 on=read");
	rw(1, false, 0, 0, 1);
	memset(data_at(1), 0xee, 512);
	before = rig_stats(rig).commands;
	submit(1);
	begun(before);
	abort_task(2, 1);
	normal(1, 0x00);
	normal(2, 0x01);
	blocked = rig_stats(rig).dma_blocked;
	client_bus_master(&c, false);
	/* On a slow machine it came before that. */
	rig_wait(rig_stats(rig).dma_blocked > blocked || data_at(1)[511] == 0xdb);
}
END_TEST

/* Of one that is still at work: the answer is taken for its own. While there is none, it waits. */
START_TEST(an_answer_may_bear_anothers_name)
{
	bring_up_ame(4);
	rig_do(rig, "fault drop on=write");
	rig_do(rig, "fault other-context on=read");
	rw(2, false, 0, 8, 1);
	submit(2);
	rig_wait(rig_stats(rig).faults == 1);
	usleep(20000);
	ck_assert_uint_eq(rd(0x44), 0xffffffff);
	rw(1, true, 0, 0, 1);
	submit(1);
	ck_assert_uint_eq(pop(), 1 << 2);
}
END_TEST

START_TEST(the_older_id_differs_in_its_id_only)
{
	teardown();
	setup_of(&model_ame_6262);
	ck_assert_uint_eq(client_read32(&c, VFIO_PCI_CONFIG_REGION_INDEX, 0), 0x626214d6);
	ck_assert_uint_eq(rd(0xbc), 0x626214d6);
	bring_up_ame(4);
	ck_assert_uint_ne(get_le16(page0(), 0x80), 0xffff);
}
END_TEST

START_TEST(requests_that_mean_nothing)
{
	struct rng r = {(uint64_t)_i + 5};

	bring_up_ame(FRAMES);
	for (unsigned n = 0; n < 1500; n++) {
		unsigned s = 1 + (unsigned)rng_below(&r, 8);
		uint8_t *q = rw(s, rng_below(&r, 2), 0, 3, 4);
		uint32_t m;

		for (unsigned i = 0; i < 6; i++)
			q[rng_below(&r, 0x80)] = (uint8_t)rng_next(&r);
		q[0x03] = (uint8_t)rng_below(&r, 5);
		wr(0x40, slot_addr(s));
		while ((m = rd(0x44)) != 0xffffffff)
			if (m >> 31)
				wr(0x44, m << 1);
	}
	rig_do(rig, "back");
	client_bus_master(&c, true);
	bring_up_ame(4);
	rw(1, false, 0, 0, 1);
	submit(1);
	ck_assert_uint_eq(pop(), 4);
	forgiven_protocol = rig_stats(rig).protocol_errors;
	forgiven_dma = rig_stats(rig).wrong_dma;
	rig->emu.stats.wrong_dma = forgiven_dma = 0;
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ame");
	TCase *t = tcase_create("wire");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 30);
	tcase_add_test(t, the_happy_path);
	tcase_add_test(t, reads_return_what_was_written);
	tcase_add_test(t, a_list_of_elements_ends_with_a_mark);
	tcase_add_test(t, short_data_is_told_in_the_sense_block);
	tcase_add_test(t, errors_have_sense_in_the_block);
	tcase_add_test(t, luns_that_are_not_there);
	tcase_add_test(t, replies_wait_for_a_frame);
	tcase_add_test(t, lun_changes_are_told_when_switched_on);
	tcase_add_test(t, the_line_is_up_while_there_are_replies_or_notices);
	tcase_add_test(t, the_heartbeat_comes_after_a_second);
	tcase_add_loop_test(t, mistakes_of_the_driver, 0, 4);
	tcase_add_loop_test(t, synchronize_cache_saves_what_was_written, 0, 2);
	tcase_add_test(t, a_restarting_box_loses_its_addresses);
	tcase_add_test(t, flush_forgets_what_is_outstanding);
	tcase_add_loop_test(t, dma_after_an_abort_really_comes, 0, 2);
	tcase_add_test(t, dma_after_an_abort_is_refused_without_bus_mastering);
	tcase_add_test(t, an_answer_may_bear_anothers_name);
	tcase_add_test(t, the_older_id_differs_in_its_id_only);
	tcase_add_loop_test(t, requests_that_mean_nothing, 0, 4);
	suite_add_tcase(s, t);
	return run_suite(s);
}
