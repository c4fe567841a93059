/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vfio-user: registers, interrupts, DMA. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "vu_rig.h"

static const struct vuc_times times = VU_PATIENT;

/* --- registers --- */

START_TEST(registers_are_read_and_written_by_messages)
{
	/* offset 0x1040, region 1, count 4 */
	static const uint8_t read_bytes[16] = {0x40, 0x10, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 4};
	static const uint8_t write_bytes[20] = {
		0xfc, 0x3f, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 0x78, 0x56, 0x34, 0x12};
	const struct srv_msg *m;
	unsigned before;

	open_with(&times);
	ck_assert_int_eq(pci_map_bar(dev, 1, &e), 0);
	ck_assert_ptr_null((void *)(uintptr_t)dev->bar[1].map);
	ck_assert_uint_eq(pci_read32(dev, 1, 0x1040), 0xb1001040);
	m = &s.log[srv_count(&s) - 1];
	ck_assert_uint_eq(m->cmd, 9);
	ck_assert_uint_eq(m->size, 32);
	ck_assert_uint_eq(m->flags, 0);
	ck_assert_mem_eq(m->payload, read_bytes, 16);
	pci_write32(dev, 1, 0x3ffc, 0x12345678);
	m = srv_find(&s, 10, 1); /* after the command register's */
	ck_assert_ptr_nonnull(m);
	ck_assert_uint_eq(m->size, 36);
	ck_assert_uint_eq(m->flags, 0x10); /* posted: no reply wanted */
	ck_assert_mem_eq(m->payload, write_bytes, 20);
	/* in order: the read sees the write */
	ck_assert_uint_eq(pci_read32(dev, 1, 0x3ffc), 0x12345678);
	/* 64 bits are one message */
	ck_assert(pci_can_write64(dev, 1, 0x3ff0));
	ck_assert(!pci_can_write64(dev, 5, 0));
	before = srv_count(&s);
	pci_write64(dev, 1, 0x3ff0, UINT64_C(0x1122334455667788));
	ck_assert_uint_eq(pci_read32(dev, 1, 0x3ff4), 0x11223344);
	ck_assert_uint_eq(srv_count(&s), before + 2);
	ck_assert_uint_eq(pci_read32(dev, 0, 0xfc), 0xb00000fc);
	ck_assert_uint_eq(pci_read8(dev, 0, 0xff), 0xb0);
	ck_assert_uint_eq(pci_read16(dev, 0, 0xfc), 0x00fc);
	ck_assert_uint_eq(pci_read16(dev, 0, 0xff), UINT16_MAX);
	ck_assert_uint_eq(pci_read8(dev, 0, 0x100), UINT8_MAX);
}
END_TEST

START_TEST(access_outside_a_bar_reads_all_ones_and_is_not_sent)
{
	unsigned before;

	open_with(&times);
	before = srv_count(&s);
	ck_assert_uint_eq(pci_read32(dev, 0, 0xfd), UINT32_MAX);
	ck_assert_uint_eq(pci_read32(dev, 1, SRV_BAR1_LEN), UINT32_MAX);
	ck_assert_uint_eq(pci_read32(dev, 1, UINT64_MAX), UINT32_MAX);
	ck_assert_uint_eq(pci_read32(dev, 5, 0), UINT32_MAX);
	pci_write32(dev, 1, SRV_BAR1_LEN, 1);
	pci_write32(dev, 5, 0, 1);
	ck_assert_uint_eq(pci_read32(dev, 0, 0xfc), 0xb00000fc);
	ck_assert_uint_eq(srv_count(&s), before + 1);
}
END_TEST

START_TEST(configuration_space_has_its_bounds)
{
	uint32_t val = 0;

	open_with(&times);
	ck_assert_int_eq(dev->ops->cfg_read(dev, 256, &val, 4), -EINVAL);
	ck_assert_int_eq(dev->ops->cfg_read(dev, 2, &val, 4), -EINVAL);
	ck_assert_int_eq(dev->ops->cfg_read(dev, 0, &val, 3), -EINVAL);
	ck_assert_int_eq(dev->ops->cfg_write(dev, 254, &val, 4), -EINVAL);
	ck_assert_int_eq(dev->ops->cfg_read(dev, 2, &val, 1), 0);
	ck_assert_uint_eq(val, 0x5d);
	ck_assert_int_eq(pci_set_bus_master(dev, true), 0);
	ck_assert_uint_eq(s.cfg[4], 0x07);
}
END_TEST

START_TEST(error_of_the_server_is_an_error_of_the_access_only)
{
	uint16_t id;

	s.twist_at = OPENING + 1;
	s.twist = TWIST_ERROR;
	open_with(&times);
	ck_assert_uint_eq(srv_count(&s), OPENING);
	ck_assert_int_eq(dev->ops->cfg_read(dev, 0, &id, 2), -EPERM);
	ck_assert_int_eq(dev->ops->cfg_read(dev, 0, &id, 2), 0);
	ck_assert_uint_eq(id, 0x1000);
	ck_assert(!readable(dev->request_fd, 0));
}
END_TEST

/* --- mapped registers --- */

static uint32_t *share_bar1(int seals, off_t size)
{
	uint32_t *p;

	s.bar1_fd = memfd_create("bar", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ck_assert_int_eq(ftruncate(s.bar1_fd, size), 0);
	if (seals)
		ck_assert_int_eq(fcntl(s.bar1_fd, F_ADD_SEALS, seals), 0);
	p = mmap(NULL, SRV_BAR1_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, s.bar1_fd, (off_t)s.bar1_offset);
	ck_assert_ptr_ne(p, MAP_FAILED);
	return p;
}

START_TEST(whole_bar_is_mapped)
{
	uint32_t *regs = share_bar1(F_SEAL_SHRINK, SRV_BAR1_LEN);
	unsigned before;

	open_with(&times);
	ck_assert_msg(pci_map_bar(dev, 1, &e) == 0, "%s", e.text);
	ck_assert_uint_eq(dev->bar[1].map_len, SRV_BAR1_LEN);
	before = srv_count(&s);
	regs[0xfff] = 0xcafe;
	ck_assert_uint_eq(pci_read32(dev, 1, 0x3ffc), regs[0xfff]);
	pci_write32(dev, 1, 0x3ffc, 77);
	ck_assert_uint_eq(regs[0xfff], 77);
	ck_assert_uint_eq(srv_count(&s), before);
	/* and when the server is gone: ones, and writes that harm nobody */
	srv_hang_up(&s);
	expect_gone();
	ck_assert_uint_eq(regs[0xfff], 77);
	ck_assert_uint_eq(pci_read32(dev, 1, 0x2000), UINT32_MAX);
}
END_TEST

START_TEST(sparse_bar_is_mapped_from_its_begin_to_the_first_hole)
{
	uint32_t *regs;

	s.bar1_offset = page;
	regs = share_bar1(F_SEAL_SHRINK, (off_t)(page + SRV_BAR1_LEN));
	/* in any order, the last one behind a hole */
	s.n_areas = 3;
	memcpy(s.area, (uint64_t[3][2]){{0x1000, 0x1000}, {0x3000, 0x1000}, {0, 0x1000}},
		sizeof(s.area[0]) * 3);
	open_with(&times);
	ck_assert_int_eq(pci_map_bar(dev, 1, &e), 0);
	ck_assert_uint_eq(dev->bar[1].map_len, 0x2000);
	regs[0x1ffc / 4] = 5;
	ck_assert_uint_eq(pci_read32(dev, 1, 0x1ffc), 5);
	ck_assert_uint_eq(pci_read32(dev, 1, 0x2000), 0xb1002000);
	ck_assert_uint_eq(pci_read32(dev, 1, 0x3000), 0xb1003000);
	srv_hang_up(&s);
	expect_gone();
}
END_TEST

START_TEST(only_whole_pages_of_a_sparse_bar_are_mapped)
{
	share_bar1(F_SEAL_SHRINK, SRV_BAR1_LEN);
	s.n_areas = 1;
	s.area[0][1] = page + 0x800;
	open_with(&times);
	ck_assert_int_eq(pci_map_bar(dev, 1, &e), 0);
	ck_assert_uint_eq(dev->bar[1].map_len, page);
	ck_assert_uint_eq(pci_read32(dev, 1, page + 4), 0xb1000000 + page + 4);
}
END_TEST

START_TEST(bar_whose_first_page_is_a_hole_is_not_mapped)
{
	share_bar1(F_SEAL_SHRINK, SRV_BAR1_LEN);
	s.n_areas = 1;
	s.area[0][0] = 0x1000;
	s.area[0][1] = 0x3000;
	open_with(&times);
	ck_assert_int_eq(pci_map_bar(dev, 1, &e), 0);
	ck_assert_uint_eq(dev->bar[1].map_len, 0);
	ck_assert_uint_eq(pci_read32(dev, 1, 0x1000), 0xb1001000);
}
END_TEST

static const struct {
	int seals;
	off_t size;
	uint64_t offset;
	unsigned fds;
} unsafe[] = {
	{0, SRV_BAR1_LEN, 0, 1},			/* may shrink */
	{F_SEAL_SHRINK, SRV_BAR1_LEN - 1, 0, 1},	/* too short */
	{F_SEAL_SHRINK, SRV_BAR1_LEN, 0x1000, 1},	/* too short behind its offset */
	{F_SEAL_SHRINK, SRV_BAR1_LEN + 4096, 0x800, 1}, /* no page */
	{F_SEAL_SHRINK, SRV_BAR1_LEN, UINT64_C(1) << 62, 1},
	{F_SEAL_SHRINK, SRV_BAR1_LEN, 0, 0}, /* says it, and sends none */
};

START_TEST(bar_that_cannot_be_mapped_safely_goes_by_messages)
{
	s.bar1_fd = memfd_create("bar", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ck_assert_int_eq(ftruncate(s.bar1_fd, unsafe[_i].size), 0);
	if (unsafe[_i].seals)
		ck_assert_int_eq(fcntl(s.bar1_fd, F_ADD_SEALS, unsafe[_i].seals), 0);
	s.bar1_offset = unsafe[_i].offset;
	s.n_region_fds = unsafe[_i].fds;
	open_with(&times);
	ck_assert_int_eq(pci_map_bar(dev, 1, &e), 0);
	ck_assert_ptr_null((void *)(uintptr_t)dev->bar[1].map);
	ck_assert_uint_eq(pci_read32(dev, 1, 8), 0xb1000008);
}
END_TEST

START_TEST(several_descriptors_of_a_region_are_closed_but_one)
{
	unsigned fds = open_fds();

	share_bar1(F_SEAL_SHRINK, SRV_BAR1_LEN);
	s.n_region_fds = 8;
	open_with(&times);
	ck_assert_int_eq(pci_map_bar(dev, 1, &e), 0);
	ck_assert_uint_eq(dev->bar[1].map_len, SRV_BAR1_LEN);
	pci_close(dev);
	dev = NULL;
	srv_stop(&s);
	close(s.bar1_fd);
	ck_assert_uint_eq(open_fds(), fds);
}
END_TEST

/* --- interrupts --- */

static void make_eventfds(int *fds, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

START_TEST(vectors_are_given_in_pieces_that_the_server_takes)
{
	/* argsz 20, flags DATA_EVENTFD|ACTION_TRIGGER, index 2, start, count */
	static const uint8_t want[3][20] = {
		{20, 0, 0, 0, 0x24, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0},
		{20, 0, 0, 0, 0x24, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0},
		{20, 0, 0, 0, 0x24, 0, 0, 0, 2, 0, 0, 0, 8, 0, 0, 0, 2, 0, 0, 0},
	};
	/* DATA_NONE|ACTION_TRIGGER, start 0, count 0: all off */
	static const uint8_t off[20] = {20, 0, 0, 0, 0x21, 0, 0, 0, 2};
	int fds[10];

	open_with(&times);
	make_eventfds(fds, 10);
	ck_assert_msg(pci_irq_enable(dev, PCI_IRQ_MSIX, fds, 10, &e) == 0, "%s", e.text);
	for (unsigned i = 0; i < 3; i++) {
		const struct srv_msg *m = srv_find(&s, 8, i);

		ck_assert_ptr_nonnull(m);
		ck_assert_uint_eq(m->size, 36);
		ck_assert_uint_eq(m->n_fds, i < 2 ? 4 : 2);
		ck_assert_mem_eq(m->payload, want[i], 20);
	}
	for (unsigned i = 0; i < 10; i++) {
		srv_irq(&s, 2, i);
		for (unsigned k = 0; k < 10; k++)
			ck_assert_int_eq(readable(fds[k], 0), k <= i);
	}
	pci_irq_disable(dev);
	ck_assert_mem_eq(srv_find(&s, 8, 3)->payload, off, 20);
	ck_assert_int_eq(s.irq_fd[2][0], -1);
	pci_irq_disable(dev);
	ck_assert_uint_eq(srv_find(&s, 8, 3) - s.log, srv_count(&s) - 1);
	for (unsigned i = 0; i < 10; i++)
		close(fds[i]);
}
END_TEST

START_TEST(intx_is_unmasked_without_waiting)
{
	/* DATA_NONE|ACTION_UNMASK, index 0, start 0, count 1 */
	static const uint8_t unmask[20] = {20, 0, 0, 0, 0x11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
	const struct srv_msg *m;
	int fd;

	open_with(&times);
	make_eventfds(&fd, 1);
	dev->ops->intx_unmask(dev); /* not enabled: nothing to do */
	ck_assert_int_eq(pci_irq_enable(dev, PCI_IRQ_INTX, &fd, 1, &e), 0);
	dev->ops->intx_unmask(dev);
	m = srv_find(&s, 8, 1);
	ck_assert_ptr_nonnull(m);
	ck_assert_uint_eq(m->flags, 0x10);
	ck_assert_mem_eq(m->payload, unmask, 20);
	close(fd);
}
END_TEST

START_TEST(line_that_does_not_mask_itself_is_not_unmasked)
{
	unsigned before;
	int fd;

	s.irq_flags[0] = 3;
	open_with(&times);
	make_eventfds(&fd, 1);
	ck_assert_int_eq(pci_irq_enable(dev, PCI_IRQ_INTX, &fd, 1, &e), 0);
	before = srv_count(&s);
	dev->ops->intx_unmask(dev);
	pci_read32(dev, 0, 0);
	ck_assert_uint_eq(srv_count(&s), before + 1);
	close(fd);
}
END_TEST

START_TEST(refused_vectors_are_all_taken_back)
{
	int fds[10];

	s.twist_at = OPENING + 2; /* the second piece */
	s.twist = TWIST_ERROR;
	open_with(&times);
	make_eventfds(fds, 10);
	ck_assert_int_eq(pci_irq_enable(dev, PCI_IRQ_MSIX, fds, 10, &e), -EPERM);
	ck_assert_msg(strstr(e.text, "refuses interrupts"), "%s", e.text);
	ck_assert_uint_eq(srv_find(&s, 8, 2)->payload[4], 0x21);
	ck_assert_int_eq(s.irq_fd[2][0], -1);
	for (unsigned i = 0; i < 10; i++)
		close(fds[i]);
}
END_TEST

/* Capabilities at 0x50 (MSI, next 0x80) and 0x80 (MSI-X): PCI Local Bus Specification 3.0, 6.8. */
static void add_caps(void)
{
	s.cfg[0x06] = 0x10;
	s.cfg[0x34] = 0x50;
	s.cfg[0x50] = 0x05;
	s.cfg[0x51] = 0x80;
	s.cfg[0x52] = 0x86; /* 64 bit addresses, 8 vectors */
	s.cfg[0x80] = 0x11;
	s.cfg[0x82] = 0x09; /* 10 vectors */
	s.cfg[0x83] = 0x40; /* all masked */
}

START_TEST(switch_in_configuration_space_follows_the_vectors)
{
	int fds[10];

	add_caps();
	s.irq_count[1] = 8;
	open_with(&times);
	make_eventfds(fds, 10);
	ck_assert_int_eq(pci_irq_enable(dev, PCI_IRQ_MSIX, fds, 10, &e), 0);
	ck_assert_uint_eq(s.cfg[0x83], 0x80);
	ck_assert_uint_eq(s.cfg[0x82], 0x09);
	/* another kind switches this one off */
	ck_assert_int_eq(pci_irq_enable(dev, PCI_IRQ_MSI, fds, 5, &e), 0);
	ck_assert_uint_eq(s.cfg[0x83], 0);
	ck_assert_uint_eq(s.cfg[0x52], 0xb7); /* on, 8 of 8 */
	pci_irq_disable(dev);
	ck_assert_uint_eq(s.cfg[0x52], 0x86);
	for (unsigned i = 0; i < 10; i++)
		close(fds[i]);
}
END_TEST

START_TEST(circle_of_capabilities_is_left)
{
	add_caps();
	s.cfg[0x81] = 0x50;
	s.cfg[0x80] = 0x01;
	open_with(&times);
	ck_assert_uint_eq(dev->n_vectors[PCI_IRQ_MSIX], 10);
}
END_TEST

/* --- DMA --- */

static uint8_t *memory(size_t len, int *ret_fd)
{
	uint8_t *mem;

	*ret_fd = memfd_create("mem", MFD_CLOEXEC);
	ck_assert_int_eq(ftruncate(*ret_fd, (off_t)len), 0);
	mem = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, *ret_fd, 0);
	ck_assert_ptr_ne(mem, MAP_FAILED);
	return mem;
}

START_TEST(memory_is_given_by_descriptor_and_taken_back)
{
	/* argsz 32, readable|writeable, offset 0x1000, address 0x123456000, size 0x2000 */
	static const uint8_t map_bytes[32] = {32, 0, 0, 0, 3, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0x60,
		0x45, 0x23, 1, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0, 0};
	/* argsz 24, flags 0, address, size */
	static const uint8_t unmap_bytes[24] = {
		24, 0, 0, 0, 0, 0, 0, 0, 0, 0x60, 0x45, 0x23, 1, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0, 0};
	int fd;
	uint8_t *mem = memory(0x4000, &fd), *theirs;
	const struct srv_msg *m;

	open_with(&times);
	ck_assert_msg(
		dev->ops->dma_map(dev, mem + 0x1000, 0x2000, 0x123456000, fd, 0x1000, &e) == 0, "%s", e.text);
	m = srv_find(&s, 2, 0);
	ck_assert_ptr_nonnull(m);
	ck_assert_uint_eq(m->size, 48);
	ck_assert_uint_eq(m->n_fds, 1);
	ck_assert_mem_eq(m->payload, map_bytes, 32);
	theirs = mmap(NULL, 0x2000, PROT_READ | PROT_WRITE, MAP_SHARED, s.map[0].fd, (off_t)s.map[0].offset);
	theirs[5] = 0x55;
	ck_assert_uint_eq(mem[0x1005], 0x55);
	ck_assert_int_eq(dev->ops->dma_unmap(dev, 0x123456000, 0x1000), -EINVAL);
	ck_assert_int_eq(dev->ops->dma_unmap(dev, 0x123456000, 0x2000), 0);
	m = srv_find(&s, 3, 0);
	ck_assert_uint_eq(m->size, 40);
	ck_assert_uint_eq(m->n_fds, 0);
	ck_assert_mem_eq(m->payload, unmap_bytes, 24);
	ck_assert_uint_eq(s.n_maps, 0);
	munmap(theirs, 0x2000);
	close(fd);
}
END_TEST

START_TEST(mappings_that_cannot_be_are_refused_with_a_sentence)
{
	int fd;
	uint8_t *mem = memory(17 * page, &fd);

	open_with(&times);
	for (unsigned i = 0; i < 16; i++)
		ck_assert_int_eq(
			dev->ops->dma_map(dev, mem + i * page, page, 0x100000 + i * page, fd, 0, &e), 0);
	ck_assert_int_eq(dev->ops->dma_map(dev, mem, page, 0x100000 + 17 * page, fd, 0, &e), -ENOSPC);
	ck_assert_msg(strstr(e.text, "16 mappings"), "%s", e.text);
	ck_assert_int_eq(dev->ops->dma_unmap(dev, 0x100000, page), 0);
	ck_assert_int_eq(dev->ops->dma_map(dev, mem, 2 * page, 0x100000, fd, 0, &e), -EEXIST);
	ck_assert_int_eq(dev->ops->dma_map(dev, mem, page, UINT64_MAX - page + 1, fd, 0, &e), -EINVAL);
	ck_assert_int_eq(dev->ops->dma_map(dev, mem, 0, 0x100000, fd, 0, &e), -EINVAL);
	/* what is left is unmapped at close */
	pci_close(dev);
	dev = NULL;
	ck_assert_uint_eq(s.n_maps, 0);
	close(fd);
}
END_TEST

START_TEST(refused_mapping_is_not_served)
{
	int fd;
	uint8_t *mem = memory(page, &fd);

	s.twist_at = OPENING + 1;
	s.twist = TWIST_ERROR;
	open_with(&times);
	ck_assert_int_eq(dev->ops->dma_map(dev, mem, page, 0x10000, fd, 0, &e), -EPERM);
	ck_assert_msg(strstr(e.text, "0x10000"), "%s", e.text);
	ck_assert(srv_dma(&s, false, 0x10000, 8, NULL, 0));
	ck_assert_uint_eq(s.dma_errno, EFAULT);
	close(fd);
}
END_TEST

START_TEST(server_may_read_and_write_memory_by_messages)
{
	uint8_t *mem = calloc(1, 0x20000), big[65536];
	static const uint64_t head[2] = {0x10ffc, 8};

	open_with(&times);
	/* two mappings that touch; without descriptor */
	ck_assert_int_eq(dev->ops->dma_map(dev, mem, 0x1000, 0x10000, -1, 0, &e), 0);
	ck_assert_uint_eq(srv_find(&s, 2, 0)->n_fds, 0);
	ck_assert_int_eq(dev->ops->dma_map(dev, mem + 0x1000, 0x1f000, 0x11000, -1, 0, &e), 0);
	ck_assert(srv_dma(&s, true, 0x10ffc, 8, "abcdefgh", 8));
	ck_assert_uint_eq(s.dma_errno, 0);
	ck_assert_uint_eq(s.dma_len, 16);
	ck_assert_mem_eq(s.dma_data, head, 16);
	ck_assert_mem_eq(mem + 0xffc, "abcdefgh", 8);
	ck_assert(srv_dma(&s, false, 0x10ffc, 8, NULL, 0));
	ck_assert_uint_eq(s.dma_len, 24);
	ck_assert_mem_eq(s.dma_data, head, 16);
	ck_assert_mem_eq(s.dma_data + 16, "abcdefgh", 8);
	/* as much as we said that we take */
	memset(big, 0x5a, sizeof(big));
	ck_assert(srv_dma(&s, true, 0x10000, sizeof(big), big, sizeof(big)));
	ck_assert_uint_eq(s.dma_errno, 0);
	ck_assert_uint_eq(mem[65535], 0x5a);
	ck_assert_uint_eq(mem[65536], 0);
	ck_assert(!readable(dev->request_fd, 0));
	pci_close(dev);
	dev = NULL;
	free(mem);
}
END_TEST

static const struct {
	bool write;
	uint64_t addr, count;
	size_t len;
	uint32_t error;
} wrong_dma[] = {
	{false, 0xfff8, 8, 0, EFAULT},	       /* in front */
	{false, 0x10ffc, 8, 0, EFAULT},	       /* across the end */
	{false, UINT64_MAX - 3, 8, 0, EFAULT}, /* around */
	{true, 0x11000, 8, 8, EFAULT},
	{false, 0x10000, 65537, 0, EINVAL}, /* more than we said */
	{false, 0x10000, UINT64_MAX, 0, EINVAL},
	{true, 0x10000, 8, 7, EINVAL}, /* other count than data */
	{true, 0x10000, 7, 8, EINVAL},
	{false, 0x10000, 8, 8, EINVAL},
};

START_TEST(wrong_dma_gets_an_error_and_touches_nothing_else)
{
	uint8_t *mem = calloc(1, 0x1000);

	open_with(&times);
	ck_assert_int_eq(dev->ops->dma_map(dev, mem, 0x1000, 0x10000, -1, 0, &e), 0);
	ck_assert(srv_dma(&s, wrong_dma[_i].write, wrong_dma[_i].addr, wrong_dma[_i].count, "12345678",
		wrong_dma[_i].len));
	ck_assert_uint_eq(s.dma_errno, wrong_dma[_i].error);
	ck_assert_uint_eq(s.dma_len, 0);
	/* the connection goes on */
	ck_assert_uint_eq(pci_read32(dev, 0, 4), 0xb0000004);
	ck_assert_int_eq(dev->ops->dma_unmap(dev, 0x10000, 0x1000), 0);
	free(mem);
	ck_assert(srv_dma(&s, true, 0x10000, 8, "12345678", 8));
	ck_assert_uint_eq(s.dma_errno, EFAULT);
}
END_TEST

START_TEST(command_that_we_do_not_know_is_answered_with_an_error)
{
	/* id 9, command 13, size 16, command; the same that wants no reply */
	static const uint8_t msg[16] = {9, 0, 13, 0, 16}, quiet[16] = {9, 0, 13, 0, 16, 0, 0, 0, 0x10};

	open_with(&times);
	srv_send(&s, quiet, 16, NULL, 0);
	srv_send(&s, msg, 16, NULL, 0);
	ck_assert(srv_await_replies(&s, 1));
	ck_assert_uint_eq(s.dma_errno, ENOTSUP);
	ck_assert(srv_dma(&s, false, 0, 8, NULL, 0));
	ck_assert_uint_eq(s.dma_errno, EFAULT);
	ck_assert_uint_eq(s.dma_replies, 2);
	ck_assert_uint_eq(pci_read32(dev, 0, 4), 0xb0000004);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("vfio-user I/O");
	TCase *tc = tcase_create("io");
	SRunner *run;
	int failed;

	tcase_add_checked_fixture(tc, vu_setup, vu_teardown);
	tcase_set_timeout(tc, 100);
	tcase_add_test(tc, registers_are_read_and_written_by_messages);
	tcase_add_test(tc, access_outside_a_bar_reads_all_ones_and_is_not_sent);
	tcase_add_test(tc, configuration_space_has_its_bounds);
	tcase_add_test(tc, error_of_the_server_is_an_error_of_the_access_only);
	tcase_add_test(tc, whole_bar_is_mapped);
	tcase_add_test(tc, sparse_bar_is_mapped_from_its_begin_to_the_first_hole);
	tcase_add_test(tc, only_whole_pages_of_a_sparse_bar_are_mapped);
	tcase_add_test(tc, bar_whose_first_page_is_a_hole_is_not_mapped);
	tcase_add_loop_test(tc, bar_that_cannot_be_mapped_safely_goes_by_messages, 0, ARRAY_SIZE(unsafe));
	tcase_add_test(tc, several_descriptors_of_a_region_are_closed_but_one);
	tcase_add_test(tc, vectors_are_given_in_pieces_that_the_server_takes);
	tcase_add_test(tc, intx_is_unmasked_without_waiting);
	tcase_add_test(tc, line_that_does_not_mask_itself_is_not_unmasked);
	tcase_add_test(tc, refused_vectors_are_all_taken_back);
	tcase_add_test(tc, switch_in_configuration_space_follows_the_vectors);
	tcase_add_test(tc, circle_of_capabilities_is_left);
	tcase_add_test(tc, memory_is_given_by_descriptor_and_taken_back);
	tcase_add_test(tc, mappings_that_cannot_be_are_refused_with_a_sentence);
	tcase_add_test(tc, refused_mapping_is_not_served);
	tcase_add_test(tc, server_may_read_and_write_memory_by_messages);
	tcase_add_loop_test(tc, wrong_dma_gets_an_error_and_touches_nothing_else, 0, ARRAY_SIZE(wrong_dma));
	tcase_add_test(tc, command_that_we_do_not_know_is_answered_with_an_error);
	suite_add_tcase(suite, tc);
	run = srunner_create(suite);
	srunner_run_all(run, CK_ENV);
	failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed != 0;
}
