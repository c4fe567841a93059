/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The vfio-user server against a client of the specification. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "probe.h"

static struct rig *rig;
static struct client c;

static void setup(void)
{
	rig = rig_new(&model_probe);
	rig_up(rig);
	client_up(&c, rig->socket);
}

static void teardown(void)
{
	client_close(&c);
	rig_down(rig);
}

static void forgive(void *arg)
{
	rig->emu.stats.wrong_dma = 0;
}

/* --- negotiation --- */

static int negotiate(struct client *cl, uint16_t major, uint16_t minor, const void *text, uint32_t len)
{
	uint8_t m[4096];
	const struct vu_version v = {major, minor};

	memcpy(m, &v, sizeof(v));
	memcpy(m + sizeof(v), text, len);
	client_send(cl, VU_VERSION, VU_TYPE_COMMAND, m, (uint32_t)sizeof(v) + len, NULL, 0);
	return client_receive(cl) && !(answer.h.flags & VU_F_ERROR) ? 0 : -1;
}

START_TEST(minor_of_the_reply_is_not_above_the_proposed_one)
{
	const uint16_t proposed[] = {0, 1, 7}, replied[] = {0, 1, 1};
	struct vu_version v;

	client_close(&c);
	client_connect(&c, rig->socket);
	ck_assert_int_eq(negotiate(&c, 0, proposed[_i], "", 0), 0);
	memcpy(&v, answer.data, sizeof(v));
	ck_assert_uint_eq(v.major, 0);
	ck_assert_uint_eq(v.minor, replied[_i]);
	ck_assert_uint_eq(answer.data[answer.len - 1], 0);
	ck_assert_ptr_nonnull(strstr((char *)answer.data + 4, "\"max_msg_fds\":16"));
	ck_assert_ptr_null(strstr((char *)answer.data + 4, "write_multiple"));
}
END_TEST

START_TEST(multiple_writes_are_offered_to_those_who_know_them)
{
	static const char text[] = "{\"capabilities\":{\"write_multiple\":true}}";

	client_close(&c);
	client_connect(&c, rig->socket);
	ck_assert_int_eq(negotiate(&c, 0, 0, text, sizeof(text)), 0);
	ck_assert_ptr_nonnull(strstr((char *)answer.data + 4, "\"write_multiple\":true"));
}
END_TEST

static const struct {
	const char *text;
	uint32_t len; /* 0: strlen + 1 */
	bool good;
} capabilities[] = {
	{"{}", 0, true},
	{"{\"capabilities\":{}}", 0, true},
	{"{\"capabilities\":{\"max_data_xfer_size\":65536,\"unknown\":[1]}}", 0, true},
	{"{\"capabilities\":{\"max_msg_fds\":0}}", 0, false},
	{"{\"capabilities\":{\"max_msg_fds\":\"8\"}}", 0, false},
	{"{\"capabilities\":{\"max_data_xfer_size\":99999999999}}", 0, false},
	{"{\"capabilities\":3}", 0, false},
	{"[]", 0, false},
	{"{", 0, false},
	{"", 0, false},
	{"{}", 2, false}, /* no NUL */
	{"{}\0{}", 6, false},
};

START_TEST(capabilities_are_read_or_the_client_is_thrown_out)
{
	uint32_t len =
		capabilities[_i].len ? capabilities[_i].len : (uint32_t)strlen(capabilities[_i].text) + 1;

	client_close(&c);
	client_connect(&c, rig->socket);
	if (capabilities[_i].good) {
		ck_assert_int_eq(negotiate(&c, 0, 1, capabilities[_i].text, len), 0);
	} else {
		ck_assert_int_eq(negotiate(&c, 0, 1, capabilities[_i].text, len), -1);
		ck_assert(client_is_closed(&c));
		ck_assert_uint_eq(rig_stats(rig).bad_messages, 1);
	}
}
END_TEST

/* --- device, regions, interrupts --- */

START_TEST(device_and_regions_are_those_of_the_model)
{
	struct vu_device_info d = {.argsz = sizeof(d)};
	static const struct {
		uint64_t size;
		uint32_t flags;
	} expected[VFIO_PCI_NUM_REGIONS] = {
		[0] = {4096, 3},
		[2] = {8192, 7},
		[VFIO_PCI_CONFIG_REGION_INDEX] = {4096, 3},
	};

	ck_assert_int_eq(client_call(&c, VU_DEVICE_GET_INFO, &d, sizeof(d), -1), 0);
	ck_assert_uint_eq(answer.len, 16);
	memcpy(&d, answer.data, sizeof(d));
	ck_assert_uint_eq(d.flags, VFIO_DEVICE_FLAGS_RESET | VFIO_DEVICE_FLAGS_PCI);
	ck_assert_uint_eq(d.num_regions, 9);
	ck_assert_uint_eq(d.num_irqs, 5);
	for (uint32_t i = 0; i < 9; i++) {
		struct vu_region_info g = {.argsz = sizeof(g), .index = i};

		ck_assert_int_eq(client_call(&c, VU_DEVICE_GET_REGION_INFO, &g, sizeof(g), -1), 0);
		memcpy(&g, answer.data, sizeof(g));
		ck_assert_uint_eq(g.index, i);
		ck_assert_uint_eq(g.size, expected[i].size);
		ck_assert_uint_eq(g.flags, expected[i].flags);
		ck_assert_int_eq(answer.fd >= 0, i == 2);
		if (answer.fd >= 0)
			close(answer.fd);
	}
}
END_TEST

START_TEST(shared_bar_is_one_memory_by_message_and_by_mapping)
{
	struct vu_region_info g = {.argsz = sizeof(g), .index = 2};
	uint8_t *p;
	uint32_t v = 0;

	ck_assert_int_eq(client_call(&c, VU_DEVICE_GET_REGION_INFO, &g, sizeof(g), -1), 0);
	p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, answer.fd, 0);
	ck_assert_ptr_ne(p, MAP_FAILED);
	close(answer.fd);
	client_write32(&c, 2, 0x1ffc, 0xcafe1234);
	memcpy(&v, p + 0x1ffc, 4);
	ck_assert_uint_eq(v, 0xcafe1234);
	memset(p, 0x5a, 4);
	ck_assert_uint_eq(client_read32(&c, 2, 0), 0x5a5a5a5a);
	munmap(p, 8192);
}
END_TEST

START_TEST(configuration_space_has_identity_capabilities_and_bar_sizes)
{
	uint8_t cfg[256];
	const uint32_t ones = UINT32_MAX;

	ck_assert_int_eq(client_read(&c, VFIO_PCI_CONFIG_REGION_INDEX, 0, cfg, sizeof(cfg)), 0);
	ck_assert_int_eq(memcmp(cfg, "\x34\x12\x78\x56", 4), 0);
	ck_assert_int_eq(memcmp(cfg + 9, "\x00\x04\x01", 3), 0);
	ck_assert_int_eq(memcmp(cfg + 0x2c, "\x11\x11\x22\x22", 4), 0);
	ck_assert_uint_eq(cfg[6] & 0x10, 0x10);
	/* 34h -> MSI -> MSI-X (4 vectors, table at 800h, PBA at c00h of BAR 0) -> PCI Express -> end */
	ck_assert_uint_eq(cfg[cfg[0x34]], 0x05);
	ck_assert_uint_eq(cfg[cfg[cfg[0x34] + 1]], 0x11);
	ck_assert_int_eq(
		memcmp(cfg + cfg[cfg[0x34] + 1] + 2, "\x03\x00\x00\x08\x00\x00\x00\x0c\x00\x00", 10), 0);
	ck_assert_uint_eq(cfg[cfg[cfg[cfg[0x34] + 1] + 1]], 0x10);
	ck_assert_uint_eq(cfg[cfg[cfg[cfg[0x34] + 1] + 1] + 1], 0x00);
	ck_assert_int_eq(client_write(&c, VFIO_PCI_CONFIG_REGION_INDEX, 0x10, &ones, 4), 0);
	ck_assert_uint_eq(client_read32(&c, VFIO_PCI_CONFIG_REGION_INDEX, 0x10), 0xfffff000);
	ck_assert_int_eq(client_write(&c, VFIO_PCI_CONFIG_REGION_INDEX, 0x14, &ones, 4), 0);
	ck_assert_uint_eq(client_read32(&c, VFIO_PCI_CONFIG_REGION_INDEX, 0x14), 0);
	ck_assert_int_eq(client_write(&c, VFIO_PCI_CONFIG_REGION_INDEX, 0x18, &ones, 4), 0);
	ck_assert_uint_eq(client_read32(&c, VFIO_PCI_CONFIG_REGION_INDEX, 0x18), 0xffffe004);
	ck_assert_int_eq(client_write(&c, VFIO_PCI_CONFIG_REGION_INDEX, 0x00, &ones, 4), 0);
	ck_assert_uint_eq(client_read32(&c, VFIO_PCI_CONFIG_REGION_INDEX, 0x00), 0x56781234);
}
END_TEST

START_TEST(accesses_beyond_a_region_are_refused)
{
	uint8_t b[16];
	static const struct {
		uint32_t region;
		uint64_t off;
		uint32_t len;
	} bad[] = {
		{0, 4096, 4},
		{0, 4094, 4},
		{0, UINT64_MAX - 1, 4},
		{0, 0, 0},
		{1, 0, 4},
		{6, 0, 4},
		{9, 0, 4},
		{77, 0, 4},
		{7, 4096, 1},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		ck_assert_int_eq(client_read(&c, bad[i].region, bad[i].off, b, bad[i].len), EINVAL);
		ck_assert_int_eq(client_write(&c, bad[i].region, bad[i].off, b, bad[i].len), EINVAL);
	}
	ck_assert_uint_eq(rig_stats(rig).bad_messages, 0);
}
END_TEST

START_TEST(a_write_without_reply_is_done_before_the_next_command)
{
	struct {
		struct vu_region_access a;
		uint32_t v;
	} w = {{0x20, 0, 4}, 77};

	client_send(&c, VU_REGION_WRITE, VU_TYPE_COMMAND | VU_F_NO_REPLY, &w, 20, NULL, 0);
	ck_assert_uint_eq(client_read32(&c, 0, 0x20), 77);
}
END_TEST

START_TEST(several_writes_in_one_message_are_done_in_order)
{
	struct {
		uint64_t n;
		struct vu_write_one w[2];
	} m = {2, {{0x20, 0, 4, {1}}, {0x20, 0, 4, {2}}}};

	ck_assert_int_eq(client_call(&c, VU_REGION_WRITE_MULTI, &m, sizeof(m), -1), 0);
	ck_assert_uint_eq(answer.len, 8);
	ck_assert_uint_eq(client_read32(&c, 0, 0x20), 2);
}
END_TEST

START_TEST(reset_reaches_the_model_and_stops_bus_mastering)
{
	uint16_t command;

	ck_assert_int_eq(client_call(&c, VU_DEVICE_RESET, NULL, 0, -1), 0);
	ck_assert_uint_eq(client_read32(&c, 0, 0x10), 1);
	ck_assert_int_eq(client_read(&c, VFIO_PCI_CONFIG_REGION_INDEX, 4, &command, 2), 0);
	ck_assert_uint_eq(command, 0);
}
END_TEST

/* --- interrupts --- */

#define EVENTFD_TRIGGER (VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER)

START_TEST(messages_signal_the_eventfd_of_their_vector)
{
	int fds[4];

	for (unsigned i = 0; i < 4; i++)
		fds[i] = eventfd(0, EFD_NONBLOCK);
	ck_assert_int_eq(client_irq(&c, EVENTFD_TRIGGER, VFIO_PCI_MSIX_IRQ_INDEX, 0, 3, fds, 3), 0);
	ck_assert_int_eq(client_irq(&c, EVENTFD_TRIGGER, VFIO_PCI_MSIX_IRQ_INDEX, 3, 1, fds + 3, 1), 0);
	for (uint32_t i = 0; i < 4; i++) {
		client_write32(&c, 0, 0x14, i);
		for (uint32_t k = 0; k < 4; k++)
			ck_assert_uint_eq(client_irq_wait(fds[k], k == i ? LIMIT_MS : 0), k == i);
	}
	/* taken back: one, then all */
	ck_assert_int_eq(client_irq(&c, EVENTFD_TRIGGER, VFIO_PCI_MSIX_IRQ_INDEX, 1, 1, NULL, 0), 0);
	client_write32(&c, 0, 0x14, 1);
	ck_assert_uint_eq(client_irq_wait(fds[1], 20), 0);
	ck_assert_int_eq(client_irq(&c, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
				 VFIO_PCI_MSIX_IRQ_INDEX, 0, 0, NULL, 0),
		0);
	client_write32(&c, 0, 0x14, 0);
	ck_assert_uint_eq(client_irq_wait(fds[0], 20), 0);
	for (unsigned i = 0; i < 4; i++)
		close(fds[i]);
}
END_TEST

START_TEST(interrupts_can_be_lost)
{
	int message = eventfd(0, EFD_NONBLOCK), line = eventfd(0, EFD_NONBLOCK);

	ck_assert_int_eq(client_irq(&c, EVENTFD_TRIGGER, VFIO_PCI_INTX_IRQ_INDEX, 0, 1, &line, 1), 0);
	rig_do(rig, "lose-irqs 1");
	client_write32(&c, 0, 0x14, 0x100);
	ck_assert_uint_eq(client_irq_wait(line, 20), 0);
	/* It was not masked: whoever asserts it next is heard. */
	client_write32(&c, 0, 0x14, 0x100);
	ck_assert_uint_eq(client_irq_wait(line, LIMIT_MS), 1);
	ck_assert_int_eq(client_irq(&c, EVENTFD_TRIGGER, VFIO_PCI_MSIX_IRQ_INDEX, 0, 1, &message, 1), 0);
	rig_do(rig, "lose-irqs 2");
	/* Nobody listens: nothing to lose. */
	client_write32(&c, 0, 0x14, 3);
	client_write32(&c, 0, 0x14, 0);
	client_write32(&c, 0, 0x14, 0);
	ck_assert_uint_eq(client_irq_wait(message, 20), 0);
	client_write32(&c, 0, 0x14, 0);
	ck_assert_uint_eq(client_irq_wait(message, LIMIT_MS), 1);
	ck_assert_uint_eq(rig_stats(rig).lost_irqs, 3);
	close(message);
	close(line);
}
END_TEST

START_TEST(messages_need_bus_mastering)
{
	int efd = eventfd(0, EFD_NONBLOCK);

	ck_assert_int_eq(client_irq(&c, EVENTFD_TRIGGER, VFIO_PCI_MSI_IRQ_INDEX, 0, 1, &efd, 1), 0);
	client_bus_master(&c, false);
	client_write32(&c, 0, 0x14, 0);
	ck_assert_uint_eq(client_irq_wait(efd, 20), 0);
	client_bus_master(&c, true);
	client_write32(&c, 0, 0x14, 0);
	ck_assert_uint_eq(client_irq_wait(efd, LIMIT_MS), 1);
	close(efd);
}
END_TEST

/* A driver of a shared line looks there. */
START_TEST(the_status_register_shows_the_line)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	client_write32(&c, 0, 0x14, 0x100);
	ck_assert_uint_eq(client_read32(&c, VFIO_PCI_CONFIG_REGION_INDEX, 0x04) >> 16 & 0x08, 0x08);
	client_write32(&c, 0, 0x14, 0x101);
	ck_assert_uint_eq(client_read32(&c, VFIO_PCI_CONFIG_REGION_INDEX, 0x04) >> 16 & 0x08, 0);
	/* not while messages are sent in its place */
	client_write32(&c, 0, 0x14, 0x100);
	ck_assert_int_eq(client_irq(&c, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
				 VFIO_PCI_MSIX_IRQ_INDEX, 0, 1, &fd, 1),
		0);
	ck_assert_uint_eq(client_read32(&c, VFIO_PCI_CONFIG_REGION_INDEX, 0x04) >> 16 & 0x08, 0);
	close(fd);
}
END_TEST

START_TEST(the_line_is_masked_when_it_fires_and_fires_again_after_unmask_while_up)
{
	int efd = eventfd(0, EFD_NONBLOCK);
	const uint32_t unmask = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK;

	ck_assert_int_eq(client_irq(&c, EVENTFD_TRIGGER, VFIO_PCI_INTX_IRQ_INDEX, 0, 1, &efd, 1), 0);
	client_write32(&c, 0, 0x14, 0x100);
	ck_assert_uint_eq(client_irq_wait(efd, LIMIT_MS), 1);
	client_write32(&c, 0, 0x14, 0x100);
	ck_assert_uint_eq(client_irq_wait(efd, 20), 0);
	ck_assert_int_eq(client_irq(&c, unmask, VFIO_PCI_INTX_IRQ_INDEX, 0, 1, NULL, 0), 0);
	ck_assert_uint_eq(client_irq_wait(efd, LIMIT_MS), 1);
	client_write32(&c, 0, 0x14, 0x101);
	ck_assert_int_eq(client_irq(&c, unmask, VFIO_PCI_INTX_IRQ_INDEX, 0, 1, NULL, 0), 0);
	ck_assert_uint_eq(client_irq_wait(efd, 20), 0);
	close(efd);
}
END_TEST

START_TEST(impossible_interrupt_sets_are_refused)
{
	int efd = eventfd(0, 0);
	int two[2] = {efd, efd};
	static const struct {
		uint32_t flags, index, start, count;
		unsigned fds;
	} bad[] = {
		{EVENTFD_TRIGGER, VFIO_PCI_MSIX_IRQ_INDEX, 0, 5, 2},
		{EVENTFD_TRIGGER, VFIO_PCI_MSIX_IRQ_INDEX, 4, 1, 1},
		{EVENTFD_TRIGGER, VFIO_PCI_MSIX_IRQ_INDEX, UINT32_MAX, 2, 2},
		{EVENTFD_TRIGGER, VFIO_PCI_MSIX_IRQ_INDEX, 0, 3, 2},
		{EVENTFD_TRIGGER, 99, 0, 1, 1},
		{VFIO_IRQ_SET_DATA_BOOL | VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_PCI_MSIX_IRQ_INDEX, 0, 4, 0},
		{VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_MASK, VFIO_PCI_MSIX_IRQ_INDEX, 0, 1, 0},
		{0, VFIO_PCI_MSIX_IRQ_INDEX, 0, 1, 0},
		{UINT32_MAX, VFIO_PCI_MSIX_IRQ_INDEX, 0, 1, 0},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_int_ne(client_irq(&c, bad[i].flags, bad[i].index, bad[i].start, bad[i].count, two,
					 bad[i].fds),
			0);
	ck_assert_uint_eq(rig_stats(rig).bad_messages, 0);
	close(efd);
}
END_TEST

START_TEST(a_full_eventfd_does_not_stop_the_server)
{
	int efd = eventfd(0, 0);
	uint64_t full = UINT64_MAX - 1;

	ck_assert_int_eq(write(efd, &full, sizeof(full)), sizeof(full));
	ck_assert_int_eq(client_irq(&c, EVENTFD_TRIGGER, VFIO_PCI_MSI_IRQ_INDEX, 0, 1, &efd, 1), 0);
	client_write32(&c, 0, 0x14, 0);
	ck_assert_uint_eq(client_read32(&c, 0, 0x10), 0);
	close(efd);
}
END_TEST

/* --- memory --- */

static uint32_t engine(uint32_t command, uint64_t addr, uint32_t len)
{
	client_write32(&c, 0, 0x00, (uint32_t)addr);
	client_write32(&c, 0, 0x04, (uint32_t)(addr >> 32));
	client_write32(&c, 0, 0x08, len);
	client_write32(&c, 0, 0x0c, command);
	rig_wait(client_read32(&c, 0, 0x0c) != UINT32_MAX);
	return client_read32(&c, 0, 0x0c);
}

START_TEST(dma_moves_bytes_both_ways)
{
	memset(c.mem + 0x1000, 0xab, 64);
	ck_assert_uint_eq(engine(1, MEM_IOVA + 0x1000, 64), 0);
	ck_assert_uint_eq(client_read32(&c, 0, 0x100), 0xabababab);
	client_write32(&c, 0, 0x100, 0x01020304);
	ck_assert_uint_eq(engine(2, MEM_IOVA + MEM_SIZE - 4, 4), 0);
	ck_assert_int_eq(memcmp(c.mem + MEM_SIZE - 4, "\x04\x03\x02\x01", 4), 0);
	ck_assert_uint_eq(c.mem[MEM_SIZE - 5], 0);
}
END_TEST

START_TEST(dma_outside_of_mapped_memory_is_counted)
{
	static const struct {
		uint64_t addr;
		uint32_t len;
	} bad[] = {
		{MEM_IOVA - 1, 2},
		{MEM_IOVA + MEM_SIZE - 1, 2},
		{0, 1},
		{UINT64_MAX, 2},
		{UINT64_MAX, 1},
		{MEM_IOVA + (UINT64_C(1) << 32), 1},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		ck_assert_uint_eq(engine(1 + i % 2, bad[i].addr, bad[i].len), EFAULT);
		ck_assert_uint_eq(rig_stats(rig).wrong_dma, i + 1);
	}
	/* Not a byte of a write that begins well and ends badly. */
	client_write32(&c, 0, 0x100, 0x77777777);
	ck_assert_uint_eq(engine(2, MEM_IOVA + MEM_SIZE - 2, 4), EFAULT);
	ck_assert_uint_eq(c.mem[MEM_SIZE - 2], 0);
	ck_assert_ptr_nonnull(strstr(rig_do(rig, "stats"), "\"wrong_dma\":7"));
	rig_call(rig, forgive, NULL);
}
END_TEST

START_TEST(dma_after_unmap_is_wrong)
{
	ck_assert_int_eq(client_unmap(&c, MEM_IOVA, MEM_SIZE), 0);
	ck_assert_uint_eq(answer.len, sizeof(struct vu_dma_unmap));
	ck_assert_uint_eq(engine(1, MEM_IOVA, 4), EFAULT);
	ck_assert_uint_eq(rig_stats(rig).wrong_dma, 1);
	rig_call(rig, forgive, NULL);
}
END_TEST

/* As QEMU does when a guest lets go of a container behind its virtual IOMMU. */
START_TEST(an_unmap_of_a_range_takes_all_mappings_in_it)
{
	for (uint32_t i = 0; i < 16; i++)
		ck_assert_int_eq(client_map(&c, 0x100000 + i * 0x2000, 0x1000, 3, c.memfd, i * 0x1000), 0);
	/* The client's own memory is one. */
	ck_assert_ptr_nonnull(strstr(rig_do(rig, "status"), "\"dma_maps\":17,"));
	/* half of one */
	ck_assert_int_eq(client_unmap(&c, 0x100000, 0x2800), EINVAL);
	ck_assert_uint_eq(engine(1, 0x100000, 16), 0);
	ck_assert_int_eq(client_unmap(&c, 0x0ff000, 0x10000), 0);
	ck_assert_uint_eq(engine(1, 0x100000, 16), EFAULT);
	ck_assert_uint_eq(engine(1, 0x10e000, 16), EFAULT);
	ck_assert_uint_eq(engine(1, 0x110000, 16), 0);
	ck_assert_uint_eq(engine(1, MEM_IOVA, 16), 0);
	rig_call(rig, forgive, NULL);
}
END_TEST

START_TEST(dma_without_bus_mastering_touches_nothing_and_is_no_mistake)
{
	client_bus_master(&c, false);
	client_write32(&c, 0, 0x100, 0x77777777);
	ck_assert_uint_eq(engine(2, MEM_IOVA, 4), EPERM);
	ck_assert_uint_eq(c.mem[0], 0);
	ck_assert_uint_eq(rig_stats(rig).dma_blocked, 1);
}
END_TEST

START_TEST(dma_does_not_wrap_at_the_end_of_all_addresses)
{
	ck_assert_int_eq(client_map(&c, UINT64_MAX - 0xfff, 0x1000, 3, c.memfd, 0), 0);
	ck_assert_uint_eq(engine(1, UINT64_MAX - 3, 4), 0);
	ck_assert_uint_eq(engine(1, UINT64_MAX - 3, 8), EFAULT);
	rig_call(rig, forgive, NULL);
}
END_TEST

START_TEST(permissions_of_a_mapping_hold)
{
	ck_assert_int_eq(client_map(&c, 0x1000, 0x1000, VU_DMA_READABLE, c.memfd, 0x1000), 0);
	ck_assert_int_eq(client_map(&c, 0x2000, 0x1000, VU_DMA_WRITEABLE, c.memfd, 0x2000), 0);
	ck_assert_uint_eq(engine(1, 0x1000, 16), 0);
	ck_assert_uint_eq(engine(2, 0x1000, 16), EFAULT);
	ck_assert_uint_eq(engine(1, 0x2000, 16), EFAULT);
	ck_assert_uint_eq(engine(2, 0x2000, 16), 0);
	ck_assert_uint_eq(engine(2, 0x1ff0, 32), EFAULT);
	rig_call(rig, forgive, NULL);
}
END_TEST

START_TEST(dma_goes_across_neighbouring_mappings_page_by_page)
{
	/* As a virtual IOMMU maps: pages of one file, scattered. */
	for (uint32_t i = 0; i < 64; i++)
		ck_assert_int_eq(
			client_map(&c, 0x100000 + i * 0x1000, 0x1000, 3, c.memfd, (63 - i) * 0x1000), 0);
	for (uint32_t i = 0; i < 64; i++)
		memset(c.mem + (63 - i) * 0x1000, (int)i, 0x1000);
	ck_assert_uint_eq(engine(1, 0x100000 + 0x1000 * 5 + 0xff0, 64), 0);
	ck_assert_uint_eq(client_read32(&c, 0, 0x100), 0x05050505);
	ck_assert_uint_eq(client_read32(&c, 0, 0x110), 0x06060606);
	ck_assert_int_eq(client_unmap(&c, 0x100000 + 0x1000 * 6, 0x1000), 0);
	ck_assert_uint_eq(engine(1, 0x100000 + 0x1000 * 5 + 0xff0, 64), EFAULT);
	rig_call(rig, forgive, NULL);
}
END_TEST

START_TEST(overlaps_are_refused_and_repeats_are_taken_calmly)
{
	ck_assert_int_eq(client_map(&c, MEM_IOVA + 0x1000, 0x1000, 3, c.memfd, 0), EEXIST);
	ck_assert_int_eq(client_map(&c, MEM_IOVA - 0x1000, 0x2000, 3, c.memfd, 0), EEXIST);
	ck_assert_int_eq(client_map(&c, MEM_IOVA, MEM_SIZE, 3, c.memfd, 0), 0);
	ck_assert_int_eq(client_unmap(&c, MEM_IOVA, 0x1000), EINVAL);
	ck_assert_int_eq(client_unmap(&c, 0x5000, 0x1000), 0);
	ck_assert_uint_eq(rig_stats(rig).odd_maps, 5);
	ck_assert_uint_eq(engine(1, MEM_IOVA, 16), 0);
}
END_TEST

START_TEST(impossible_mappings_are_refused)
{
	ck_assert_int_eq(client_map(&c, 0x1000, 0, 3, c.memfd, 0), EINVAL);
	ck_assert_int_eq(client_map(&c, UINT64_MAX - 0xfff, 0x2000, 3, c.memfd, 0), EINVAL);
	ck_assert_int_eq(client_map(&c, 0x1000, 0x1000, 3, c.memfd, UINT64_MAX - 0xfff), EINVAL);
	ck_assert_int_eq(client_map(&c, 0x1000, 0x1000, 0, c.memfd, 0), EINVAL);
	/* behind the end of the file: access would be a bus error */
	ck_assert_int_eq(client_map(&c, 0x1000, 0x2000, 3, c.memfd, MEM_SIZE - 0x1000), EINVAL);
}
END_TEST

START_TEST(a_file_that_shrinks_under_a_mapping_costs_the_access_only)
{
	ck_assert_int_eq(ftruncate(c.memfd, 0x1000), 0);
	ck_assert_uint_eq(engine(1, MEM_IOVA + 0x2000, 64), EFAULT);
	ck_assert_uint_eq(engine(2, MEM_IOVA + 0x2000, 64), EFAULT);
	ck_assert_uint_eq(engine(1, MEM_IOVA, 64), 0);
	rig_call(rig, forgive, NULL);
}
END_TEST

START_TEST(a_narrow_controller_does_not_reach_above_4_gib)
{
	teardown();
	rig = rig_new(&model_probe);
	rig->cfg.opt.narrow = true;
	rig_up(rig);
	client_up(&c, rig->socket);
	ck_assert_int_eq(client_map(&c, 0xfffff000, 0x2000, 3, c.memfd, 0), 0);
	ck_assert_uint_eq(engine(1, 0xfffffff0, 16), 0);
	ck_assert_uint_eq(engine(1, 0xfffffff0, 17), EFAULT);
	ck_assert_uint_eq(engine(1, UINT64_C(0x100000000), 1), EFAULT);
	ck_assert_uint_eq(rig_stats(rig).wrong_dma, 2);
	rig_call(rig, forgive, NULL);
}
END_TEST

/* A client that shares no memory answers for it, while it goes on with its own business. Takes messages until n
 * accesses were answered; returns how many replies of the server came in between. */
static unsigned serve_memory(uint8_t *mem, uint64_t base, unsigned n)
{
	static uint8_t out[sizeof(struct vu_dma_access) + (1 << 20)];
	unsigned replies = 0;

	while (n) {
		struct vu_dma_access a;
		struct vu_header h;
		uint32_t len = sizeof(a);

		ck_assert(client_receive(&c));
		if ((answer.h.flags & VU_TYPE_MASK) == VU_TYPE_REPLY) {
			replies++;
			continue;
		}
		memcpy(&a, answer.data, sizeof(a));
		memcpy(out, &a, sizeof(a));
		if (answer.h.cmd == VU_DMA_READ) {
			memcpy(out + sizeof(a), mem + (a.addr - base), a.count);
			len += (uint32_t)a.count;
		} else {
			ck_assert_uint_eq(answer.h.cmd, VU_DMA_WRITE);
			ck_assert_uint_eq(answer.len, sizeof(a) + a.count);
			memcpy(mem + (a.addr - base), answer.data + sizeof(a), a.count);
		}
		h = (struct vu_header){
			answer.h.id, answer.h.cmd, (uint32_t)sizeof(h) + len, VU_TYPE_REPLY, 0};
		client_send_raw(&c, &h, sizeof(h));
		client_send_raw(&c, out, len);
		n--;
	}
	return replies;
}

START_TEST(memory_without_descriptor_is_reached_by_messages)
{
	static uint8_t mem[0x4000];
	const struct vu_region_access a = {0x20, 0, 4};

	for (unsigned i = 0; i < sizeof(mem); i++)
		mem[i] = (uint8_t)(i * 7);
	ck_assert_int_eq(client_map(&c, 0x8000, sizeof(mem), 3, -1, 0), 0);
	client_write32(&c, 0, 0x00, 0x8000 + 0x100);
	client_write32(&c, 0, 0x04, 0);
	client_write32(&c, 0, 0x08, 256);
	client_write32(&c, 0, 0x0c, 1);
	/* A command that is sent before the answer is served before, or waits its turn. */
	client_send(&c, VU_REGION_READ, VU_TYPE_COMMAND, &a, sizeof(a), NULL, 0);
	if (!serve_memory(mem, 0x8000, 1))
		ck_assert(client_receive(&c));
	ck_assert_uint_eq(client_read32(&c, 0, 0x0c), 0);
	ck_assert_uint_eq(client_read32(&c, 0, 0x100) & 0xff, (uint8_t)(0x100 * 7));
	client_write32(&c, 0, 0x100, 0x11223344);
	client_write32(&c, 0, 0x00, 0x8000);
	client_write32(&c, 0, 0x0c, 2);
	serve_memory(mem, 0x8000, 1);
	rig_wait(client_read32(&c, 0, 0x0c) == 0);
	ck_assert_int_eq(memcmp(mem, "\x44\x33\x22\x11", 4), 0);
}
END_TEST

START_TEST(a_client_that_refuses_its_memory_makes_the_dma_wrong)
{
	const struct vu_header refusal = {0, VU_DMA_READ, sizeof(refusal), VU_TYPE_REPLY | VU_F_ERROR, EPERM};
	struct vu_header h = refusal;

	ck_assert_int_eq(client_map(&c, 0x8000, 0x1000, 3, -1, 0), 0);
	client_write32(&c, 0, 0x00, 0x8000);
	client_write32(&c, 0, 0x08, 64);
	client_write32(&c, 0, 0x0c, 1);
	ck_assert(client_receive(&c));
	h.id = answer.h.id;
	client_send_raw(&c, &h, sizeof(h));
	rig_wait(client_read32(&c, 0, 0x0c) == EFAULT);
	rig_call(rig, forgive, NULL);
}
END_TEST

/* --- life of a client --- */

START_TEST(the_device_keeps_its_state_and_forgets_the_client)
{
	int efd = eventfd(0, EFD_NONBLOCK);

	ck_assert_int_eq(client_irq(&c, EVENTFD_TRIGGER, VFIO_PCI_MSI_IRQ_INDEX, 0, 1, &efd, 1), 0);
	client_write32(&c, 0, 0x20, 4711);
	client_close(&c);
	client_hello(&c, rig->socket);
	ck_assert_uint_eq(client_read32(&c, 0, 0x20), 4711);
	client_bus_master(&c, true);
	ck_assert_uint_eq(engine(1, MEM_IOVA, 4), EFAULT);
	client_write32(&c, 0, 0x14, 0);
	ck_assert_uint_eq(client_irq_wait(efd, 20), 0);
	ck_assert_uint_eq(rig_stats(rig).connections, 2);
	rig_call(rig, forgive, NULL);
	close(efd);
}
END_TEST

START_TEST(a_second_client_is_sent_away)
{
	struct client other;

	ck_assert_int_ge(client_connect(&other, rig->socket), 0);
	ck_assert(client_is_closed(&other));
	client_close(&other);
	ck_assert_uint_eq(client_read32(&c, 0, 0x10), 0);
}
END_TEST

START_TEST(a_hundred_clients_come_and_go)
{
	for (unsigned i = 0; i < 100; i++) {
		client_close(&c);
		client_up(&c, rig->socket);
		ck_assert_uint_eq(engine(1, MEM_IOVA, 4096), 0);
	}
	ck_assert_uint_eq(rig_stats(rig).connections, 101);
}
END_TEST

START_TEST(a_taken_away_device_reads_as_ones_and_comes_back)
{
	rig_do(rig, "gone ff");
	ck_assert_uint_eq(client_read32(&c, 0, 0x10), UINT32_MAX);
	ck_assert_uint_eq(client_read32(&c, VFIO_PCI_CONFIG_REGION_INDEX, 0), UINT32_MAX);
	rig_do(rig, "back");
	ck_assert_uint_eq(client_read32(&c, VFIO_PCI_CONFIG_REGION_INDEX, 0), 0x56781234);
	rig_do(rig, "gone socket");
	ck_assert(client_is_closed(&c));
	client_close(&c);
	ck_assert_int_lt(client_connect(&c, rig->socket), 0);
	rig_do(rig, "back");
	client_up(&c, rig->socket);
	ck_assert_uint_eq(client_read32(&c, VFIO_PCI_CONFIG_REGION_INDEX, 0), 0x56781234);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vfio-user server");
	TCase *t = tcase_create("one client");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 30);
	tcase_add_loop_test(t, minor_of_the_reply_is_not_above_the_proposed_one, 0, 3);
	tcase_add_test(t, multiple_writes_are_offered_to_those_who_know_them);
	tcase_add_loop_test(
		t, capabilities_are_read_or_the_client_is_thrown_out, 0, (int)ARRAY_SIZE(capabilities));
	tcase_add_test(t, device_and_regions_are_those_of_the_model);
	tcase_add_test(t, shared_bar_is_one_memory_by_message_and_by_mapping);
	tcase_add_test(t, configuration_space_has_identity_capabilities_and_bar_sizes);
	tcase_add_test(t, accesses_beyond_a_region_are_refused);
	tcase_add_test(t, a_write_without_reply_is_done_before_the_next_command);
	tcase_add_test(t, several_writes_in_one_message_are_done_in_order);
	tcase_add_test(t, reset_reaches_the_model_and_stops_bus_mastering);
	tcase_add_test(t, messages_signal_the_eventfd_of_their_vector);
	tcase_add_test(t, interrupts_can_be_lost);
	tcase_add_test(t, messages_need_bus_mastering);
	tcase_add_test(t, the_status_register_shows_the_line);
	tcase_add_test(t, the_line_is_masked_when_it_fires_and_fires_again_after_unmask_while_up);
	tcase_add_test(t, impossible_interrupt_sets_are_refused);
	tcase_add_test(t, a_full_eventfd_does_not_stop_the_server);
	tcase_add_test(t, dma_moves_bytes_both_ways);
	tcase_add_test(t, dma_outside_of_mapped_memory_is_counted);
	tcase_add_test(t, dma_after_unmap_is_wrong);
	tcase_add_test(t, an_unmap_of_a_range_takes_all_mappings_in_it);
	tcase_add_test(t, dma_without_bus_mastering_touches_nothing_and_is_no_mistake);
	tcase_add_test(t, dma_does_not_wrap_at_the_end_of_all_addresses);
	tcase_add_test(t, a_narrow_controller_does_not_reach_above_4_gib);
	tcase_add_test(t, permissions_of_a_mapping_hold);
	tcase_add_test(t, dma_goes_across_neighbouring_mappings_page_by_page);
	tcase_add_test(t, overlaps_are_refused_and_repeats_are_taken_calmly);
	tcase_add_test(t, impossible_mappings_are_refused);
	tcase_add_test(t, a_file_that_shrinks_under_a_mapping_costs_the_access_only);
	tcase_add_test(t, memory_without_descriptor_is_reached_by_messages);
	tcase_add_test(t, a_client_that_refuses_its_memory_makes_the_dma_wrong);
	tcase_add_test(t, the_device_keeps_its_state_and_forgets_the_client);
	tcase_add_test(t, a_second_client_is_sent_away);
	tcase_add_test(t, a_hundred_clients_come_and_go);
	tcase_add_test(t, a_taken_away_device_reads_as_ones_and_comes_back);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
