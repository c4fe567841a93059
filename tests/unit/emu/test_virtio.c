/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The virtio model as a driver sees it that keeps to the specification. */
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "virtio_host.h"

static int vector[7] = {-1, -1, -1, -1, -1, -1, -1};

static void setup(void)
{
	virtio_new();
	virtio_up();
}

static void teardown(void)
{
	virtio_down();
	for (unsigned i = 0; i < ARRAY_SIZE(vector); i++) {
		if (vector[i] >= 0)
			close(vector[i]);
		vector[i] = -1;
	}
}

static void msix(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(vector); i++)
		vector[i] = eventfd(0, EFD_NONBLOCK);
	ck_assert_int_eq(client_irq(&c, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
				 VFIO_PCI_MSIX_IRQ_INDEX, 0, ARRAY_SIZE(vector), vector, ARRAY_SIZE(vector)),
		0);
}

static void up(void)
{
	bring_up_virtio(F_USUAL, false);
	calm(0, 0);
	calm(0, 5);
	calm(1, 0);
}

/* --- what it looks like --- */

START_TEST(it_is_a_modern_scsi_host_and_nothing_else)
{
	ck_assert_uint_eq(client_read32(&c, VFIO_PCI_CONFIG_REGION_INDEX, 0), 0x10481af4);
	ck_assert_uint_ge(client_read32(&c, VFIO_PCI_CONFIG_REGION_INDEX, 8) & 0xff, 1);
	ck_assert_uint_ge(client_read32(&c, VFIO_PCI_CONFIG_REGION_INDEX, 0x2c) >> 16, 0x40);
	for (unsigned t = CAP_COMMON; t <= CAP_PCI; t++)
		ck_assert_uint_ne(cap[t].at, 0);
	ck_assert_uint_ge(cap[CAP_COMMON].length, 0x38);
	ck_assert_uint_eq(notify_factor % 2, 0);
	ck_assert_uint_eq(common(0x12, 2), 6);
	ck_assert_uint_eq(common(0x14, 1), 0);
	ck_assert_uint_eq(device32(0x00), 4);
	ck_assert_uint_eq(device32(0x10), 16);
	ck_assert_uint_eq(device32(0x14), 96);
	ck_assert_uint_eq(device32(0x18), 32);
	ck_assert_uint_ge(device32(0x20), 63);
}
END_TEST

START_TEST(features_are_taken_as_a_whole)
{
	uint64_t offered;

	set_common(0, 4, 0);
	offered = common(4, 4);
	set_common(0, 4, 1);
	offered |= (uint64_t)common(4, 4) << 32;
	set_common(0, 4, 2);
	ck_assert_uint_eq(common(4, 4), 0);
	ck_assert_uint_eq(offered, F_ALL);
	ck_assert(!negotiate(offered & ~F_VERSION_1));
	ck_assert(negotiate(F_VERSION_1));
	ck_assert(!negotiate(F_VERSION_1 | 1)); /* INOUT */
	forgiven_protocol = 1;
}
END_TEST

START_TEST(a_queue_that_there_is_not_has_no_size)
{
	set_common(0x16, 2, 6);
	ck_assert_uint_eq(common(0x18, 2), 0);
	set_common(0x16, 2, 2);
	ck_assert_uint_eq(common(0x18, 2), 256);
	/* and a vector that there is not reads as none */
	set_common(0x1a, 2, 500);
	ck_assert_uint_eq(common(0x1a, 2), 0xffff);
}
END_TEST

/* [4.1.4.9]: a window in configuration space to the same registers */
START_TEST(the_window_in_configuration_space_reaches_the_registers)
{
	const unsigned at = cap[CAP_PCI].at;
	uint8_t bar = cap[CAP_COMMON].bar, byte = 1;

	/* Not opened: a look at it means nothing. */
	ck_assert_uint_eq(client_read32(&c, VFIO_PCI_CONFIG_REGION_INDEX, at + 16), 0);
	ck_assert_uint_eq(rig_stats(rig).protocol_errors, 0);
	ck_assert_int_eq(client_write(&c, VFIO_PCI_CONFIG_REGION_INDEX, at + 4, &bar, 1), 0);
	client_write32(&c, VFIO_PCI_CONFIG_REGION_INDEX, at + 8, cap[CAP_COMMON].offset + 0x12);
	client_write32(&c, VFIO_PCI_CONFIG_REGION_INDEX, at + 12, 2);
	ck_assert_uint_eq(client_read32(&c, VFIO_PCI_CONFIG_REGION_INDEX, at + 16), 6);
	client_write32(&c, VFIO_PCI_CONFIG_REGION_INDEX, at + 8, cap[CAP_COMMON].offset + 0x14);
	client_write32(&c, VFIO_PCI_CONFIG_REGION_INDEX, at + 12, 1);
	ck_assert_int_eq(client_write(&c, VFIO_PCI_CONFIG_REGION_INDEX, at + 16, &byte, 1), 0);
	ck_assert_uint_eq(common(0x14, 1), 1);
}
END_TEST

/* --- requests --- */

START_TEST(inquiry_goes_to_the_unit)
{
	static const uint8_t inquiry[6] = {0x12, 0, 0, 0, 255, 0};
	const uint8_t *r;

	up();
	r = run_one(&vq[REQUEST], 2, prepare(&vq[REQUEST], 2, 1, 0, inquiry, 6, 2, 255));
	ck_assert_uint_eq(r[11], 0);
	ck_assert_uint_eq(r[10], 0);
	ck_assert_uint_eq(get_le32(r, 0), 0);
	ck_assert_uint_eq(get_le32(r, 4), 255 - 96);
	ck_assert_int_eq(memcmp(payload(2) + 8, "SEAGATE ", 8), 0);
}
END_TEST

START_TEST(targets_and_luns_that_are_not_there)
{
	static const uint8_t luns[12] = {0xa0, [9] = 64}, inquiry[6] = {0x12, 0, 0, 0, 36, 0}, tur[6];
	struct vq *q = &vq[REQUEST];
	const uint8_t *r;

	up();
	r = run_one(q, 2, prepare(q, 2, 0, 0, luns, 12, 2, 64));
	ck_assert_uint_eq(r[10], 0);
	ck_assert_uint_eq(get_le32(r, 4), 64 - 24);
	ck_assert_int_eq(memcmp(payload(2), "\0\0\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\5\0\0\0\0\0\0", 24), 0);
	ck_assert_uint_eq(run_one(q, 2, prepare(q, 2, 2, 0, tur, 6, 0, 0))[11], 3);
	ck_assert_uint_eq(run_one(q, 2, prepare(q, 2, 63, 0, tur, 6, 0, 0))[11], 3);
	r = run_one(q, 2, prepare(q, 2, 0, 1, tur, 6, 0, 0));
	ck_assert_uint_eq(r[11], 0);
	ck_assert_uint_eq(r[10], 2);
	ck_assert_uint_eq(r[12 + 2], 5);
	ck_assert_uint_eq(r[12 + 12], 0x25);
	run_one(q, 2, prepare(q, 2, 0, 1, inquiry, 6, 2, 36));
	ck_assert_uint_eq(payload(2)[0], 0x7f);
}
END_TEST

START_TEST(reads_return_what_was_written_on_all_queues)
{
	bring_up_virtio(_i ? F_ALL : F_USUAL, false);
	calm(1, 0);
	for (unsigned n = 0; n < 4; n++) {
		struct vq *q = &vq[REQUEST + n], *other = &vq[REQUEST + (n + 1) % 4];
		const uint8_t *r;

		for (unsigned i = 0; i < 8192; i++)
			payload(3)[i] = (uint8_t)(i * 13 + n);
		r = run_one(q, 3, rw(q, 3, true, n % 2, 0, 77 * n, 16));
		ck_assert_uint_eq(r[10] | r[11], 0);
		ck_assert_uint_eq(get_le32(r, 4), 0);
		r = run_one(other, 4, rw(other, 4, false, n % 2, 0, 77 * n + 1, 2));
		ck_assert_uint_eq(r[10] | r[11], 0);
		ck_assert_int_eq(memcmp(payload(4), payload(3) + 512, 1024), 0);
	}
}
END_TEST

/* [2.7.4]: however request, answer and data are cut into buffers, also within a field; by a table of its own. */
START_TEST(the_cut_into_buffers_means_nothing)
{
	struct vq *q = &vq[REQUEST];
	uint8_t *table = c.mem + 0x3f0000, *in = payload(9);
	const uint32_t cut[] = {3, 10, 38}, back[] = {5, 100, 3 + 509, 515};
	uint64_t from, to = iova(resp_at(2));
	uint16_t n = 0;

	up();
	memset(payload(3), 0x5a, 1024);
	run_one(q, 3, rw(q, 3, true, 0, 0, 5, 2));
	rw(q, 2, false, 0, 0, 5, 2);
	memset(in, 0, 2048);
	memset(table, 0, 256);
	from = iova(req_at(2));
	for (unsigned i = 0; i < 3; i++, n++) {
		le64(table, 16u * n, from);
		le32(table, 16u * n + 8, cut[i]);
		le16(table, 16u * n + 12, D_NEXT);
		le16(table, 16u * n + 14, n + 1);
		from += cut[i];
	}
	/* 108 bytes of answer and 1024 of data, in one piece of memory */
	to = iova(in);
	for (unsigned i = 0; i < 4; i++, n++) {
		le64(table, 16u * n, to);
		le32(table, 16u * n + 8, back[i]);
		le16(table, 16u * n + 12, D_WRITE | (i < 3 ? D_NEXT : 0));
		le16(table, 16u * n + 14, n + 1);
		to += back[i];
	}
	desc(q, 8, iova(table), 16u * n, D_INDIRECT, 0);
	offer(q, 8);
	kick(q);
	ck_assert_uint_eq(answered(q, &(uint32_t){0}), 108 + 1024);
	ck_assert_uint_eq(in[10] | in[11], 0);
	for (unsigned i = 0; i < 1024; i++)
		ck_assert_uint_eq(in[108 + i], 0x5a);
	ck_assert_uint_eq(in[108 + 1024], 0);
}
END_TEST

START_TEST(too_little_room_is_an_overrun)
{
	struct vq *q = &vq[REQUEST];
	static const uint8_t read[10] = {0x28, [8] = 4}, write[10] = {0x2a, [8] = 1};

	up();
	ck_assert_uint_eq(run_one(q, 2, prepare(q, 2, 0, 0, read, 10, 2, 1536))[11], 1);
	/* nor does a write take what is there to be written into */
	ck_assert_uint_eq(run_one(q, 2, prepare(q, 2, 0, 0, write, 10, 2, 512))[11], 1);
	ck_assert_uint_eq(run_one(q, 2, prepare(q, 2, 0, 0, write, 10, 0, 0))[11], 1);
}
END_TEST

START_TEST(sense_comes_with_the_answer)
{
	struct vq *q = &vq[REQUEST];
	const uint8_t *r;

	up();
	r = run_one(q, 2, rw(q, 2, false, 0, 0, 64 * 2048, 1));
	ck_assert_uint_eq(r[11], 0);
	ck_assert_uint_eq(r[10], 2);
	ck_assert_uint_eq(get_le32(r, 0), 18);
	ck_assert_uint_eq(get_le32(r, 4), 512);
	ck_assert_uint_eq(r[12], 0x70);
	ck_assert_uint_eq(r[12 + 2], 5);
	ck_assert_uint_eq(r[12 + 12], 0x21);
}
END_TEST

START_TEST(synchronize_cache_saves_what_was_written)
{
	static const uint8_t sync[10] = {0x35};
	struct vq *q = &vq[REQUEST];

	up();
	memset(payload(3), 0x66, 512);
	for (unsigned t = 0; t < 2; t++) {
		run_one(q, 3, rw(q, 3, true, (uint8_t)t, 0, 1, 1));
		ck_assert_uint_eq(run_one(q, 2, prepare(q, 2, (uint8_t)t, 0, sync, 10, 0, 0))[10], 0);
		run_one(q, 3, rw(q, 3, true, (uint8_t)t, 0, 2, 1));
	}
	ck_assert_uint_eq(rig_stats(rig).flushes, 2);
	rig_do(rig, "power-cut survive=none");
	client_close(&c);
	client_up(&c, rig->socket);
	up();
	for (unsigned t = 0; t < 2; t++) {
		run_one(q, 4, rw(q, 4, false, (uint8_t)t, 0, 1, 2));
		ck_assert_uint_eq(payload(4)[0], 0x66);
		ck_assert_uint_eq(payload(4)[512], 0);
	}
}
END_TEST

/* --- interrupts --- */

START_TEST(each_queue_has_its_vector)
{
	static const uint8_t tur[6];

	msix();
	bring_up_virtio(F_USUAL, true);
	for (unsigned n = 0; n < 4; n++) {
		run_one(&vq[REQUEST + n], 1, prepare(&vq[REQUEST + n], 1, 0, 0, tur, 6, 0, 0));
		ck_assert_uint_eq(client_irq_wait(vector[1 + REQUEST + n], LIMIT_MS), 1);
	}
	tmf(7, 0, 0, 0);
	ck_assert_uint_eq(client_irq_wait(vector[1 + CONTROL], LIMIT_MS), 1);
	event_buffers(2);
	rig_do(rig, "resize ld0 16M");
	event();
	ck_assert_uint_eq(client_irq_wait(vector[1 + EVENT], LIMIT_MS), 1);
	for (unsigned i = 0; i < 7; i++)
		ck_assert_uint_eq(client_irq_wait(vector[i], 0), 0);
}
END_TEST

START_TEST(a_driver_that_wants_no_interrupt_gets_none)
{
	struct vq *q = &vq[REQUEST];
	static const uint8_t tur[6];

	msix();
	bring_up_virtio(F_USUAL, true);
	le16(c.mem + q->at + 0x1000, 0, 1);
	run_one(q, 1, prepare(q, 1, 0, 0, tur, 6, 0, 0));
	ck_assert_uint_eq(client_irq_wait(vector[1 + REQUEST], 20), 0);
	le16(c.mem + q->at + 0x1000, 0, 0);
	run_one(q, 1, prepare(q, 1, 0, 0, tur, 6, 0, 0));
	ck_assert_uint_eq(client_irq_wait(vector[1 + REQUEST], LIMIT_MS), 1);
}
END_TEST

/* [2.7.7.1, 2.7.10.1]: both sides say which index they wait for. */
START_TEST(event_indices_say_when_to_interrupt_and_to_notify)
{
	struct vq *q = &vq[REQUEST];
	static const uint8_t tur[6];
	uint8_t *used_event, *avail_event;

	msix();
	bring_up_virtio(F_ALL, true);
	used_event = c.mem + q->at + 0x1000 + 4 + 2 * RING;
	avail_event = c.mem + q->at + 0x1800 + 4 + 8 * RING;
	le16(used_event, 0, 1); /* after the second one */
	run_one(q, 1, prepare(q, 1, 0, 0, tur, 6, 0, 0));
	ck_assert_uint_eq(client_irq_wait(vector[1 + REQUEST], 20), 0);
	ck_assert_uint_eq(get_le16(avail_event, 0), 1);
	run_one(q, 1, prepare(q, 1, 0, 0, tur, 6, 0, 0));
	ck_assert_uint_eq(client_irq_wait(vector[1 + REQUEST], LIMIT_MS), 1);
	rig_wait(get_le16(avail_event, 0) == 2);
}
END_TEST

START_TEST(the_line_is_up_until_the_isr_is_read)
{
	struct vq *q = &vq[REQUEST];
	static const uint8_t tur[6];
	uint8_t isr = 0;

	vector[0] = eventfd(0, EFD_NONBLOCK);
	bring_up_virtio(F_USUAL, false);
	ck_assert_int_eq(client_irq(&c, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
				 VFIO_PCI_INTX_IRQ_INDEX, 0, 1, vector, 1),
		0);
	run_one(q, 1, prepare(q, 1, 0, 0, tur, 6, 0, 0));
	ck_assert_uint_eq(client_irq_wait(vector[0], LIMIT_MS), 1);
	ck_assert_uint_ne(client_read32(&c, VFIO_PCI_CONFIG_REGION_INDEX, 4) & 0x80000, 0);
	ck_assert_int_eq(client_read(&c, cap[CAP_ISR].bar, cap[CAP_ISR].offset, &isr, 1), 0);
	ck_assert_uint_eq(isr, 1);
	ck_assert_uint_eq(client_read32(&c, VFIO_PCI_CONFIG_REGION_INDEX, 4) & 0x80000, 0);
	ck_assert_int_eq(client_read(&c, cap[CAP_ISR].bar, cap[CAP_ISR].offset, &isr, 1), 0);
	ck_assert_uint_eq(isr, 0);
	rig_do(rig, "fw-fault");
	ck_assert_int_eq(client_read(&c, cap[CAP_ISR].bar, cap[CAP_ISR].offset, &isr, 1), 0);
	ck_assert_uint_eq(isr, 2);
	ck_assert(needs_reset());
}
END_TEST

/* --- task management --- */

/* Commands that hang, two of one unit and one of another. */
static void hang(struct vq *q, const char *rule)
{
	uint64_t before = rig_stats(rig).commands;

	rig_do(rig, rule);
	offer(q, rw(q, 10, false, 0, 0, 0, 1));
	offer(q, rw(q, 11, false, 0, 0, 8, 1));
	offer(q, rw(q, 12, false, 0, 5, 0, 1));
	kick(q);
	rig_wait(rig_stats(rig).commands == before + 3);
}

START_TEST(an_abort_ends_one_command)
{
	struct vq *q = &vq[REQUEST];
	uint32_t id;

	up();
	hang(q, "fault delay=60000 on=read count=3");
	ck_assert_uint_eq(tmf(6, 0, 0, 0x1000 + 11), 10); /* query task */
	ck_assert_uint_eq(tmf(0, 0, 0, 0x1000 + 11), 0);
	answered(q, &id);
	ck_assert_uint_eq(id, 44);
	ck_assert_uint_eq(resp_at(11)[11], 2);
	ck_assert_uint_eq(tmf(6, 0, 0, 0x1000 + 11), 0);
	/* the same name at another unit is another command */
	ck_assert_uint_eq(tmf(0, 0, 5, 0x1000 + 10), 0);
	ck_assert_uint_eq(tmf(6, 0, 0, 0x1000 + 10), 10);
	ck_assert_uint_eq(used_index(q), q->seen);
	ck_assert_uint_eq(tmf(1, 0, 0, 0), 0); /* the task set */
	answered(q, &id);
	ck_assert_uint_eq(resp_at(10)[11], 2);
	ck_assert_uint_eq(tmf(7, 0, 5, 0), 10);
}
END_TEST

START_TEST(a_reset_ends_all_of_a_unit_or_of_a_target)
{
	struct vq *q = &vq[REQUEST];
	static const uint8_t tur[6];
	const uint8_t *r;
	uint32_t id;

	up();
	/* Firmware has lost them: no abort finds them. */
	hang(q, "fault drop on=read count=3");
	ck_assert_uint_eq(tmf(0, 0, 0, 0x1000 + 10), 9);
	ck_assert_uint_eq(tmf(_i ? 4 : 5, 0, 0, 0), 0);
	for (unsigned i = 0; i < (_i ? 3u : 2u); i++)
		answered(q, &id);
	ck_assert_uint_eq(resp_at(10)[11], 4);
	ck_assert_uint_eq(resp_at(11)[11], 4);
	ck_assert_uint_eq(resp_at(12)[11], _i ? 4 : 0xee);
	r = run_one(q, 2, prepare(q, 2, 0, 0, tur, 6, 0, 0));
	ck_assert_uint_eq(r[12 + 2], 6);
	ck_assert_uint_eq(r[12 + 12], 0x29);
	ck_assert_uint_eq(r[12 + 13], _i ? 7 : 3);
}
END_TEST

START_TEST(functions_that_find_nobody)
{
	up();
	ck_assert_uint_eq(tmf(5, 9, 0, 0), 3);
	ck_assert_uint_eq(tmf(5, 0, 1, 0), 12);
	ck_assert_uint_eq(tmf(2, 0, 0, 0), 11); /* CLEAR ACA */
	ck_assert_uint_eq(tmf(77, 0, 0, 0), 11);
	ck_assert_uint_eq(tmf(0, 0, 0, 1), 0);
}
END_TEST

START_TEST(asynchronous_notification_subscribes_to_nothing)
{
	uint8_t *p = c.mem + 0x18000;
	uint32_t id;

	up();
	memset(p, 0, 64);
	memset(p + 32, 0xee, 8);
	le32(p, 0, 2);
	lun(p + 4, 0, 0);
	le32(p, 12, 0x7e);
	desc(&vq[CONTROL], 0, iova(p), 16, D_NEXT, 1);
	desc(&vq[CONTROL], 1, iova(p + 32), 5, D_WRITE, 0);
	offer(&vq[CONTROL], 0);
	kick(&vq[CONTROL]);
	ck_assert_uint_eq(answered(&vq[CONTROL], &id), 5);
	ck_assert_uint_eq(get_le32(p, 32), 0);
	ck_assert_uint_eq(p[36], 0);
}
END_TEST

/* --- events --- */

static void expect(uint32_t what, uint8_t target, uint8_t l, uint32_t reason)
{
	const uint8_t *e = event();

	ck_assert_uint_eq(get_le32(e, 0), what);
	ck_assert_uint_eq(e[4], 1);
	ck_assert_uint_eq(e[5], target);
	ck_assert_uint_eq(e[7], l);
	ck_assert_uint_eq(get_le32(e, 12), reason);
}

START_TEST(changes_of_units_are_told)
{
	up();
	event_buffers(4);
	rig_do(rig, "remove ld5");
	expect(1, 0, 5, 2);
	rig_do(rig, "add pd7,size=1M");
	expect(1, 8, 0, 1);
	rig_do(rig, "resize pd7 2M");
	expect(3, 8, 0, 0x092a);
	rig_do(rig, "offline ld0");
	expect(1, 0, 0, 2);
	rig_do(rig, "online ld0");
	expect(1, 0, 0, 1);
}
END_TEST

START_TEST(who_did_not_ask_for_events_gets_none)
{
	bring_up_virtio(F_VERSION_1, false);
	event_buffers(4);
	rig_do(rig, "remove ld5");
	rig_do(rig, "resize ld0 16M");
	rig_do(rig, "aen-storm 5");
	usleep(20000);
	ck_assert_uint_eq(used_index(&vq[EVENT]), 0);
}
END_TEST

START_TEST(events_without_a_buffer_are_missed_in_the_end)
{
	const uint8_t *e;

	up();
	for (unsigned i = 0; i < 65; i++)
		rig_do(rig, i % 2 ? "online ld0" : "offline ld0");
	event_buffers(4);
	e = event();
	ck_assert_uint_eq(get_le32(e, 0), 0x80000001);
	for (unsigned i = 1; i < 64; i++)
		expect(1, 0, 0, i % 2 ? 1 : 2);
	rig_do(rig, "aen-storm 30");
	for (unsigned i = 0; i < 30; i++)
		ck_assert_uint_eq(get_le32(event(), 0), 3);
}
END_TEST

/* --- life --- */

START_TEST(a_reset_forgets_everything)
{
	struct vq *q = &vq[REQUEST];
	uint64_t resets;

	up();
	resets = rig_stats(rig).resets;
	hang(q, "fault delay=1000 on=read count=3");
	set_common(0x14, 1, 0);
	ck_assert_uint_eq(common(0x14, 1), 0);
	set_common(0x16, 2, REQUEST);
	ck_assert_uint_eq(common(0x1c, 2), 0);
	ck_assert_uint_eq(common(0x20, 4), 0);
	ck_assert_uint_eq(rig_stats(rig).resets, resets + 1);
	usleep(1200000);
	ck_assert_uint_eq(resp_at(10)[11], 0xee);
	up();
	ck_assert_uint_eq(run_one(q, 10, rw(q, 10, false, 0, 0, 0, 1))[11], 0);
}
END_TEST

START_TEST(trouble_inside_needs_a_reset)
{
	struct vq *q = &vq[REQUEST];

	msix();
	bring_up_virtio(F_USUAL, true);
	calm(1, 0);
	client_irq_wait(vector[0], 0);
	rig_do(rig, "fault fw-fault=5 on=read");
	offer(q, rw(q, 10, false, 1, 0, 0, 1));
	kick(q);
	ck_assert_uint_eq(client_irq_wait(vector[0], LIMIT_MS), 1);
	ck_assert(needs_reset());
	/* It is deaf until then, and nobody is to blame. */
	offer(q, rw(q, 11, false, 1, 0, 0, 1));
	kick(q);
	usleep(20000);
	ck_assert_uint_eq(resp_at(11)[11], 0xee);
	bring_up_virtio(F_USUAL, true);
	ck_assert_uint_eq(run_one(q, 10, rw(q, 10, false, 1, 0, 0, 1))[11], 0);
}
END_TEST

START_TEST(queues_and_their_size_are_options)
{
	teardown();
	virtio_new();
	rig->cfg.opt.queues = 16;
	rig->cfg.opt.max_cmds = 100;
	virtio_up();
	ck_assert_uint_eq(common(0x12, 2), 18);
	ck_assert_uint_eq(device32(0), 16);
	set_common(0x16, 2, 17);
	ck_assert_uint_eq(common(0x18, 2), 64);
}
END_TEST

static void add_all(TCase *t)
{
	tcase_add_test(t, it_is_a_modern_scsi_host_and_nothing_else);
	tcase_add_test(t, features_are_taken_as_a_whole);
	tcase_add_test(t, a_queue_that_there_is_not_has_no_size);
	tcase_add_test(t, the_window_in_configuration_space_reaches_the_registers);
	tcase_add_test(t, inquiry_goes_to_the_unit);
	tcase_add_test(t, targets_and_luns_that_are_not_there);
	tcase_add_loop_test(t, reads_return_what_was_written_on_all_queues, 0, 2);
	tcase_add_test(t, the_cut_into_buffers_means_nothing);
	tcase_add_test(t, too_little_room_is_an_overrun);
	tcase_add_test(t, sense_comes_with_the_answer);
	tcase_add_test(t, synchronize_cache_saves_what_was_written);
	tcase_add_test(t, each_queue_has_its_vector);
	tcase_add_test(t, a_driver_that_wants_no_interrupt_gets_none);
	tcase_add_test(t, event_indices_say_when_to_interrupt_and_to_notify);
	tcase_add_test(t, the_line_is_up_until_the_isr_is_read);
	tcase_add_test(t, an_abort_ends_one_command);
	tcase_add_loop_test(t, a_reset_ends_all_of_a_unit_or_of_a_target, 0, 2);
	tcase_add_test(t, functions_that_find_nobody);
	tcase_add_test(t, asynchronous_notification_subscribes_to_nothing);
	tcase_add_test(t, changes_of_units_are_told);
	tcase_add_test(t, who_did_not_ask_for_events_gets_none);
	tcase_add_test(t, events_without_a_buffer_are_missed_in_the_end);
	tcase_add_test(t, a_reset_forgets_everything);
	tcase_add_test(t, trouble_inside_needs_a_reset);
	tcase_add_test(t, queues_and_their_size_are_options);
}

int main(void)
{
	Suite *s = suite_create("virtio");
	TCase *t = tcase_create("wire");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 30);
	add_all(t);
	suite_add_tcase(s, t);
	return run_suite(s);
}
