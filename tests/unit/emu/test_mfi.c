/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The SAS2108 model, byte by byte, over the socket. */
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "mfi_host.h"

/* --- state, INIT --- */

START_TEST(ready_tells_commands_segments_and_bit_26)
{
	/* 1008 commands, 80 segments: the word that QEMU's model of the same card shows [7.1] */
	ck_assert_uint_eq(client_read32(&c, 1, 0xb0), 0xb45003f0);
}
END_TEST

START_TEST(init_makes_it_operational)
{
	ck_assert_uint_eq(init(ENTRIES, 0), 0x00);
	ck_assert_uint_eq(client_read32(&c, 1, 0xb0), 0xc45003f0);
	ck_assert_uint_eq(producer(), 0);
}
END_TEST

START_TEST(init_with_another_number_of_entries_is_refused)
{
	ck_assert_uint_eq(init((unsigned)_i, 0), 0x03);
	ck_assert_uint_eq(client_read32(&c, 1, 0xb0) >> 28, 0xb);
	forgiven_protocol = 1;
}
END_TEST

START_TEST(frames_before_init_are_a_mistake_of_the_driver)
{
	ld_rw(0, false, 0, 0, 1);
	fire(0, 0);
	rig_wait(rig_stats(rig).protocol_errors == 1);
	ck_assert_uint_eq(frame_again(0)[2], 0xff);
	forgiven_protocol = 1;
}
END_TEST

/* As boot firmware does: LD_GET_LIST, polled [2.4, 4.4]. */
START_TEST(a_polled_frame_before_init_is_answered)
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
	fire(0, 0);
	rig_wait(frame_again(0)[2] == 0x00);
	ck_assert_uint_gt(get_le32(c.mem, AT_DATA), 0);
	ck_assert_uint_eq(rig_stats(rig).replies, 0);
	ck_assert_uint_eq(client_read32(&c, 1, 0xb0) >> 28, 0xb);
	ck_assert_uint_eq(init(ENTRIES, 0), 0x00);
}
END_TEST

START_TEST(a_queue_above_4_gib_is_wrong)
{
	uint8_t *f = frame(1), *q = c.mem + AT_QUEUE_INFO;

	memset(q, 0, 32);
	le32(q, 0x04, ENTRIES);
	le64(q, 0x08, UINT64_C(0x100000000));
	le64(q, 0x10, MEM_IOVA + AT_PRODUCER);
	le64(q, 0x18, MEM_IOVA + AT_CONSUMER);
	le16(f, 0x10, 0x0001);
	le32(f, 0x14, 32);
	le32(f, 0x18, MEM_IOVA + AT_QUEUE_INFO);
	fire(1, 0);
	rig_wait(f[2] == 0x03);
	forgiven_protocol = forgiven_dma = 1;
}
END_TEST

/* --- commands and replies --- */

START_TEST(inquiry_through_a_scsi_frame)
{
	static const uint8_t cdb[6] = {0x12, 0, 0, 0, 36, 0};
	uint8_t *f;

	bring_up();
	f = ld_scsi(3, 0, cdb, 6, 36, 0x0010);
	ck_assert_uint_eq(run(3, 0), 0x00);
	ck_assert_uint_eq(f[0x03], 0x00);
	ck_assert_uint_eq(data_at(3)[0], 0x00);
	ck_assert_uint_eq(data_at(3)[4], 91);
	ck_assert_int_eq(memcmp(data_at(3) + 8, "LSI     MR9260-8i       ", 24), 0);
	ck_assert_uint_eq(producer(), 1);
	ck_assert_uint_eq(client_irq_wait(efd, LIMIT_MS), 1);
}
END_TEST

START_TEST(reads_return_what_was_written)
{
	bring_up();
	ld_rw(1, true, 0, 1000, 16);
	for (unsigned i = 0; i < 8192; i++)
		data_at(1)[i] = (uint8_t)(i * 31);
	ck_assert_uint_eq(run(1, 0), 0x00);
	ld_rw(2, false, 0, 1004, 4);
	memset(data_at(2), 0, 4096);
	ck_assert_uint_eq(run(2, 0), 0x00);
	ck_assert_int_eq(memcmp(data_at(2), data_at(1) + 4 * 512, 4 * 512), 0);
	ck_assert_uint_eq(data_at(2)[4 * 512], 0);
}
END_TEST

/* Three elements in each format [3.8]: 8, 12 and 16 bytes; they start at 28h of a read. */
START_TEST(all_three_formats_of_elements)
{
	static const struct {
		uint16_t flags;
		unsigned size, extra;
	} format[] = {{0x0000, 8, 0}, {0x0002, 12, 1}, {0x0022, 16, 1}};
	unsigned size = format[_i].size;
	uint8_t *f;

	bring_up();
	ld_rw(1, true, 0, 0, 3);
	for (unsigned i = 0; i < 1536; i++)
		data_at(1)[i] = (uint8_t)(i / 512 + 1);
	ck_assert_uint_eq(run(1, 0), 0x00);
	f = ld_rw(2, false, 0, 0, 3);
	f[0x07] = 3;
	le16(f, 0x10, format[_i].flags | 0x0010);
	for (unsigned i = 0; i < 3; i++) {
		le32(f, 0x28 + i * size, MEM_IOVA + AT_DATA + 0x20000 + i * 0x4000);
		if (size > 8)
			le32(f, 0x2c + i * size, 0);
		le32(f, 0x28 + i * size + (size > 8 ? 8 : 4), 512);
	}
	ck_assert_uint_eq(run(2, format[_i].extra), 0x00);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_uint_eq(data_at(2)[i * 0x4000 + 511], i + 1);
}
END_TEST

START_TEST(a_list_longer_than_announced_is_a_mistake_of_the_driver)
{
	uint8_t *f;

	bring_up();
	f = ld_rw(2, false, 0, 0, 3);
	f[0x07] = 3;
	for (unsigned i = 0; i < 3; i++) {
		le64(f, 0x28 + i * 12, MEM_IOVA + AT_DATA);
		le32(f, 0x30 + i * 12, 512);
	}
	ck_assert_uint_eq(run(2, 0), 0x00);
	forgiven_protocol = 1;
}
END_TEST

START_TEST(more_segments_than_offered_are_refused)
{
	bring_up();
	ld_rw(2, false, 0, 0, 1)[0x07] = 81;
	ck_assert_uint_eq(run(2, 7), 0x3c);
	forgiven_protocol = 1;
}
END_TEST

START_TEST(addresses_that_are_not_mapped_are_wrong_dma)
{
	uint8_t *f;

	bring_up();
	f = ld_rw(2, false, 0, 0, 1);
	le64(f, 0x28, 0x5000);
	ck_assert_uint_eq(run(2, 0), 0x2e);
	forgiven_dma = 1;
}
END_TEST

START_TEST(beyond_the_end_there_is_sense)
{
	const uint8_t *sense = c.mem + AT_SENSE + 2 * 128;
	uint8_t *f;

	bring_up();
	f = ld_rw(2, false, 0, 64u * 2048 - 1, 2);
	ck_assert_uint_eq(run(2, 0), 0x2d);
	ck_assert_uint_eq(f[0x03], 0x02);
	ck_assert_uint_eq(sense[0], 0x70);
	ck_assert_uint_eq(sense[2], 0x05);
	ck_assert_uint_eq(sense[7], 10);
	ck_assert_uint_eq(sense[12], 0x21);
	ld_rw(2, false, 0, 64u * 2048 - 1, 1);
	ck_assert_uint_eq(run(2, 0), 0x00);
}
END_TEST

START_TEST(units_that_are_not_there_are_not_found)
{
	static const uint8_t tur[6];

	bring_up();
	ld_rw(1, false, 1, 0, 1);
	ck_assert_uint_eq(run(1, 0), 0x0c);
	ld_scsi(1, 7, tur, 6, 0, 0);
	ck_assert_uint_eq(run(1, 0), 0x0c);
	ld_scsi(1, 0, tur, 6, 0, 0)[0x05] = 1;
	ck_assert_uint_eq(run(1, 0), 0x0c);
	ld_scsi(1, 0, tur, 6, 0, 0);
	ck_assert_uint_eq(run(1, 0), 0x00);
	ld_scsi(1, 8, tur, 6, 0, 0)[0x00] = 0x04; /* PD */
	ck_assert_uint_eq(run(1, 0), 0x00);
	rig_do(rig, "offline ld0");
	ld_scsi(1, 0, tur, 6, 0, 0);
	ck_assert_uint_eq(run(1, 0), 0x33);
}
END_TEST

START_TEST(a_4k_drive_has_its_blocks)
{
	static const uint8_t cap[10] = {0x25};
	static const uint8_t write[10] = {0x2a, 0, 0, 0, 0, 9, 0, 0, 1, 0},
			     read[10] = {0x28, 0, 0, 0, 0, 9, 0, 0, 1, 0};

	bring_up();
	ld_scsi(1, 9, cap, 10, 8, 0x0010)[0] = 0x04;
	ck_assert_uint_eq(run(1, 0), 0x00);
	ck_assert_int_eq(memcmp(data_at(1), "\x00\x00\x0f\xff\x00\x00\x10\x00", 8), 0);
	ld_scsi(1, 9, write, 10, 4096, 0x0008)[0] = 0x04;
	memset(data_at(1), 0x99, 4096);
	ck_assert_uint_eq(run(1, 0), 0x00);
	ld_scsi(2, 9, read, 10, 4096, 0x0010)[0] = 0x04;
	ck_assert_uint_eq(run(2, 0), 0x00);
	ck_assert_int_eq(memcmp(data_at(1), data_at(2), 4096), 0);
}
END_TEST

START_TEST(the_ring_wraps_and_every_context_comes_once)
{
	unsigned seen[16] = {0};

	bring_up();
	for (unsigned n = 0; n < 2 * ENTRIES + 8; n += 8) {
		for (unsigned i = 0; i < 8; i++) {
			ld_rw(i, false, 0, n + i, 1);
			fire(i, 0);
		}
		for (unsigned i = 0; i < 8; i++) {
			uint32_t context = take(1);

			if (context < 0x1000 || context >= 0x1008)
				ck_abort_msg("context %x", context);
			seen[context - 0x1000]++;
		}
	}
	for (unsigned i = 0; i < 8; i++)
		ck_assert_uint_eq(seen[i], 2 * ENTRIES / 8 + 1);
}
END_TEST

START_TEST(a_full_ring_waits_for_the_host)
{
	unsigned n = 0;

	bring_up();
	/* The host takes nothing: all but one of the entries can be used. */
	for (; n < ENTRIES - 1; n++) {
		ld_rw(n % 64, false, 0, 0, 1);
		fire(n % 64, 0);
		rig_wait(producer() == n + 1);
	}
	ld_rw(70, false, 0, 0, 1);
	fire(70, 0);
	rig_wait(rig_stats(rig).protocol_errors == 1);
	ck_assert_uint_eq(producer(), ENTRIES - 1);
	ck_assert_uint_eq(frame_again(70)[2], 0xff);
	take(10);
	/* It looks again when something happens. */
	client_read32(&c, 1, 0xb0);
	rig_wait(producer() == 0);
	ck_assert_uint_eq(take(ENTRIES - 10), 0x1000 + 70);
	forgiven_protocol = 1;
}
END_TEST

START_TEST(contexts_of_64_bits)
{
	ck_assert_uint_eq(init(ENTRIES, 2), 0);
	le32(ld_rw(0, false, 0, 0, 1), 0x0c, 0xfeedbeef);
	fire(0, 0);
	rig_wait(producer() == 1);
	ck_assert_uint_eq(get_le64(c.mem, AT_RING), UINT64_C(0xfeedbeef00001000));
}
END_TEST

START_TEST(dont_post_posts_nothing)
{
	bring_up();
	le16(ld_rw(0, false, 0, 0, 1), 0x10, 0x0013);
	fire(0, 0);
	rig_wait(*(volatile uint8_t *)(frame_again(0) + 2) == 0x00);
	ck_assert(nothing_comes());
	ck_assert_uint_eq(client_irq_wait(efd, 0), 0);
}
END_TEST

START_TEST(interrupts_come_once_until_acknowledged_and_not_while_masked)
{
	bring_up();
	ld_rw(0, false, 0, 0, 1);
	run(0, 0);
	ck_assert_uint_eq(client_irq_wait(efd, LIMIT_MS), 1);
	ck_assert_uint_eq(client_read32(&c, 1, 0x30), 0x1);
	ld_rw(0, false, 0, 0, 1);
	run(0, 0);
	ck_assert_uint_eq(client_irq_wait(efd, 20), 0); /* still up */
	client_write32(&c, 1, 0xa0, 0x1);
	ck_assert_uint_eq(client_read32(&c, 1, 0x30), 0x0);
	ld_rw(0, false, 0, 0, 1);
	run(0, 0);
	ck_assert_uint_eq(client_irq_wait(efd, LIMIT_MS), 1);
	client_write32(&c, 1, 0x34, 0xffffffff);
	client_write32(&c, 1, 0xa0, 0x1);
	ld_rw(0, false, 0, 0, 1);
	run(0, 0);
	ck_assert_uint_eq(client_irq_wait(efd, 20), 0);
	client_write32(&c, 1, 0x34, 0xfffffffa);
	ck_assert_uint_eq(client_irq_wait(efd, LIMIT_MS), 1);
}
END_TEST

START_TEST(one_frame_twice_at_the_controller_is_a_mistake_of_the_driver)
{
	bring_up();
	rig_do(rig, "fault delay=500");
	ld_rw(0, false, 0, 0, 1);
	fire(0, 0);
	fire(0, 0);
	take(1);
	ck_assert(nothing_comes());
	forgiven_protocol = 1;
}
END_TEST

/* --- DCMDs --- */

START_TEST(controller_information)
{
	const uint8_t *d;

	bring_up();
	dcmd(1, 0x01010000, 2384)[0x1c] = 1;
	ck_assert_uint_eq(run(1, 0), 0x00);
	d = data_at(1);
	ck_assert_uint_eq(get_le16(d, 0x000), 0x1000);
	ck_assert_uint_eq(get_le16(d, 0x002), 0x0079);
	ck_assert_uint_eq(d[0x53f], 64);
	ck_assert_str_eq((const char *)d + 0x540, "LSI MegaRAID SAS 9260-8i");
	ck_assert_uint_eq(get_le32(d, 0x5b0) & 0x01, 0); /* no battery */
	ck_assert_uint_eq(get_le16(d, 0x5b8), 1008);
	ck_assert_uint_eq(get_le16(d, 0x5ba), 80);
	ck_assert_uint_eq(get_le16(d, 0x5c0), 2);
	ck_assert_uint_eq(get_le16(d, 0x5c8), 2);
	ck_assert_uint_ne(get_le16(d, 0x5d0), 0);
	ck_assert_uint_eq(get_le32(d, 0x620) & 0x400, 0); /* online reset is allowed */
	ck_assert_uint_eq(get_le32(d, 0x7a4) | get_le32(d, 0x7e8) | get_le32(d, 0x848), 0);
	ck_assert_uint_eq(get_le32(d, 0x800), 0x950);
	/* the old size: nothing behind it is touched */
	dcmd(1, 0x01010000, 2048);
	data_at(1)[2048] = 0xee;
	ck_assert_uint_eq(run(1, 0), 0x00);
	ck_assert_uint_eq(data_at(1)[2048], 0xee);
}
END_TEST

START_TEST(lists_of_logical_drives)
{
	const uint8_t *d = data_at(1);

	bring_up();
	dcmd(1, 0x03010000, 1032);
	ck_assert_uint_eq(run(1, 0), 0x00);
	ck_assert_uint_eq(get_le32(d, 0), 2);
	ck_assert_uint_eq(d[8], 0);
	ck_assert_uint_eq(d[8 + 4], 3);
	ck_assert_uint_eq(get_le64(d, 8 + 8), 64 * 2048);
	ck_assert_uint_eq(d[24], 5);
	ck_assert_uint_eq(get_le64(d, 24 + 8), 32 * 2048);
	dcmd(1, 0x03010100, 268)[0x1c] = 1;
	ck_assert_uint_eq(run(1, 0), 0x00);
	ck_assert_uint_eq(get_le32(d, 4), 2);
	ck_assert_uint_eq(d[0x0b], 0);
	ck_assert_uint_eq(d[0x0c], 5);
}
END_TEST

START_TEST(one_logical_drive)
{
	const uint8_t *d = data_at(1);

	bring_up();
	dcmd(1, 0x03020000, 384)[0x1c] = 0;
	ck_assert_uint_eq(run(1, 0), 0x00);
	ck_assert_uint_eq(d[0x17] & 0x01, 1);
	ck_assert_uint_eq(d[0x16], 1);
	ck_assert_uint_eq(get_le64(d, 0x100), 64 * 2048);
	dcmd(1, 0x03020000, 384)[0x1c] = 5;
	ck_assert_uint_eq(run(1, 0), 0x00);
	ck_assert_uint_eq(d[0x17] & 0x01, 0); /* write-through */
	dcmd(1, 0x03020000, 384)[0x1c] = 6;
	ck_assert_uint_eq(run(1, 0), 0x0c);
}
END_TEST

START_TEST(drives)
{
	const uint8_t *d = data_at(1);

	bring_up();
	dcmd(1, 0x02010100, 8192)[0x1c] = 5;
	ck_assert_uint_eq(run(1, 0), 0x00);
	ck_assert_uint_eq(get_le32(d, 0), 8 + 2 * 24);
	ck_assert_uint_eq(get_le32(d, 4), 2);
	ck_assert_uint_eq(get_le16(d, 8), 8);
	ck_assert_uint_eq(d[8 + 6], 0);
	ck_assert_uint_eq(get_le16(d, 32), 9);
	dcmd(1, 0x02020000, 512)[0x1c] = 9;
	ck_assert_uint_eq(run(1, 0), 0x00);
	ck_assert_uint_eq(get_le16(d, 0), 9);
	ck_assert_int_eq(memcmp(d + 4 + 8, "SEAGATE ", 8), 0);
	ck_assert_uint_eq(get_le16(d, 0xb8), 0x40);
	ck_assert_uint_eq(get_le32(d, 0xbc) >> 12 & 0xf, 2);
	ck_assert_uint_eq(get_le64(d, 0xf8), 4096);
	dcmd(1, 0x02020000, 512)[0x1c] = 7;
	ck_assert_uint_eq(run(1, 0), 0x0c);
}
END_TEST

START_TEST(unknown_dcmds_are_invalid)
{
	bring_up();
	dcmd(1, 0x0badc0de, 64);
	ck_assert_uint_eq(run(1, 0), 0x02);
	ck_assert_uint_eq(data_at(1)[0], 0xee);
}
END_TEST

/* --- events [4.7] --- */

static uint32_t newest(void)
{
	dcmd(9, 0x01040100, 20);
	ck_assert_uint_eq(run(9, 0), 0x00);
	return get_le32(data_at(9), 0);
}

static void wait_event(unsigned slot, uint32_t seq, uint32_t class_locale)
{
	uint8_t *f = dcmd(slot, 0x01040500, 256);

	f[2] = 0;
	le32(f, 0x1c, seq);
	le32(f, 0x20, class_locale);
	fire(slot, 0);
}

START_TEST(an_added_unit_ends_the_wait_with_its_event)
{
	const uint8_t *d = data_at(1);
	uint32_t seq;

	bring_up();
	seq = newest();
	wait_event(1, seq + 1, 0xfe00ffff);
	ck_assert(nothing_comes());
	rig_do(rig, "add ld7,size=8M");
	ck_assert_uint_eq(take(1), 0x1001);
	ck_assert_uint_eq(frame_again(1)[2], 0x00);
	ck_assert_uint_eq(get_le32(d, 0x00), seq + 1);
	ck_assert_uint_eq(get_le32(d, 0x08), 0x8a);
	ck_assert_uint_eq(get_le16(d, 0x0c), 0x01);
	ck_assert_uint_eq(get_le16(d, 0x20), 7);
	ck_assert_str_eq((const char *)d + 0x80, "ld7 added");
	ck_assert_uint_eq(newest(), seq + 1);
}
END_TEST

START_TEST(events_of_all_changes)
{
	static const struct {
		const char *command;
		uint32_t code;
		uint16_t locale;
	} all[] = {
		{"add pd20,size=1M", 0x5b, 0x02},
		{"remove pd20", 0x70, 0x02},
		{"resize ld0 128M", 0x51, 0x01},
		{"offline ld0", 0x51, 0x01},
		{"online ld0", 0x51, 0x01},
		{"remove ld5", 0x8b, 0x01},
		{"aen-storm 1", 0x12f, 0x20},
	};

	bring_up();
	for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
		uint32_t seq = newest();

		wait_event(1, seq + 1, 0xfe00ffff);
		rig_do(rig, all[i].command);
		take(1);
		ck_assert_uint_eq(get_le32(data_at(1), 0x08), all[i].code);
		ck_assert_uint_eq(get_le16(data_at(1), 0x0c), all[i].locale);
	}
	ck_assert_uint_eq(rig_stats(rig).events, ARRAY_SIZE(all));
}
END_TEST

START_TEST(events_that_were_missed_are_replayed_one_by_one)
{
	uint32_t seq;

	bring_up();
	seq = newest();
	rig_do(rig, "aen-storm 40");
	for (unsigned i = 1; i <= 40; i++) {
		wait_event(1, seq + i, 0xfe00ffff);
		take(1);
		ck_assert_uint_eq(get_le32(data_at(1), 0x00), seq + i);
	}
	wait_event(1, seq + 41, 0xfe00ffff);
	ck_assert(nothing_comes());
}
END_TEST

START_TEST(events_below_the_class_or_of_another_locale_do_not_end_the_wait)
{
	uint32_t seq;

	bring_up();
	seq = newest();
	wait_event(1, seq + 1, 0x0100ffff); /* warnings and worse */
	rig_do(rig, "add ld7,size=8M");
	ck_assert(nothing_comes());
	abort_of(2, 1);
	fire(2, 0);
	take(2);
	wait_event(1, newest() + 1, 0xfe000020); /* of the controller */
	rig_do(rig, "remove ld7");
	ck_assert(nothing_comes());
	rig_do(rig, "aen-storm 1");
	take(1);
}
END_TEST

START_TEST(the_wait_can_be_aborted)
{
	bring_up();
	wait_event(1, newest() + 1, 0xfe00ffff);
	abort_of(2, 1);
	fire(2, 0);
	take(2);
	ck_assert_uint_ne(frame_again(1)[2], 0x00);
	ck_assert_uint_eq(frame_again(2)[2], 0x00);
	/* and another one may come */
	wait_event(3, newest() + 1, 0xfe00ffff);
	ck_assert(nothing_comes());
}
END_TEST

START_TEST(an_abort_of_nothing_is_not_possible)
{
	bring_up();
	abort_of(2, 1);
	ck_assert_uint_eq(run(2, 0), 0x05);
}
END_TEST

static void add_commands(TCase *t)
{
	tcase_add_test(t, ready_tells_commands_segments_and_bit_26);
	tcase_add_test(t, init_makes_it_operational);
	tcase_add_loop_test(t, init_with_another_number_of_entries_is_refused, 1007, 1008);
	tcase_add_loop_test(t, init_with_another_number_of_entries_is_refused, 1009, 1010);
	tcase_add_loop_test(t, init_with_another_number_of_entries_is_refused, 0, 1);
	tcase_add_test(t, frames_before_init_are_a_mistake_of_the_driver);
	tcase_add_test(t, a_polled_frame_before_init_is_answered);
	tcase_add_test(t, a_queue_above_4_gib_is_wrong);
	tcase_add_test(t, inquiry_through_a_scsi_frame);
	tcase_add_test(t, reads_return_what_was_written);
	tcase_add_loop_test(t, all_three_formats_of_elements, 0, 3);
	tcase_add_test(t, a_list_longer_than_announced_is_a_mistake_of_the_driver);
	tcase_add_test(t, more_segments_than_offered_are_refused);
	tcase_add_test(t, addresses_that_are_not_mapped_are_wrong_dma);
	tcase_add_test(t, beyond_the_end_there_is_sense);
	tcase_add_test(t, units_that_are_not_there_are_not_found);
	tcase_add_test(t, a_4k_drive_has_its_blocks);
	tcase_add_test(t, the_ring_wraps_and_every_context_comes_once);
	tcase_add_test(t, a_full_ring_waits_for_the_host);
	tcase_add_test(t, contexts_of_64_bits);
	tcase_add_test(t, dont_post_posts_nothing);
	tcase_add_test(t, interrupts_come_once_until_acknowledged_and_not_while_masked);
	tcase_add_test(t, one_frame_twice_at_the_controller_is_a_mistake_of_the_driver);
}

static void add_management(TCase *t)
{
	tcase_add_test(t, controller_information);
	tcase_add_test(t, lists_of_logical_drives);
	tcase_add_test(t, one_logical_drive);
	tcase_add_test(t, drives);
	tcase_add_test(t, unknown_dcmds_are_invalid);
	tcase_add_test(t, an_added_unit_ends_the_wait_with_its_event);
	tcase_add_test(t, events_of_all_changes);
	tcase_add_test(t, events_that_were_missed_are_replayed_one_by_one);
	tcase_add_test(t, events_below_the_class_or_of_another_locale_do_not_end_the_wait);
	tcase_add_test(t, the_wait_can_be_aborted);
	tcase_add_test(t, an_abort_of_nothing_is_not_possible);
}

int main(void)
{
	Suite *s = suite_create("sas2108");
	TCase *t = tcase_create("wire");

	tcase_add_checked_fixture(t, mfi_setup, mfi_teardown);
	tcase_set_timeout(t, 30);
	add_commands(t);
	add_management(t);
	suite_add_tcase(s, t);
	return run_suite(s);
}
