/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a vfio-user server sends to hbad. The scripted server of the unit tests answers as it should, and the input
 * changes its replies, puts commands of the server's own between them, or hangs up. The client opens the device and
 * does what drivers do; whatever happens, each call comes to its end and nothing stays open.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/pci/vuc.h"
#include "fuzz.h"
#include "unit/pci/vu_server.h"

#define PAGE	  4096u
#define MEM_PAGES 4u
#define MEM_GUARD (15u * PAGE)
#define MEM_ALL	  (2 * MEM_GUARD + MEM_PAGES * PAGE)
#define IOVA_FILE 0x100000u /* where the client's memory is mapped, with a descriptor ... */
#define IOVA_NONE 0x200000u /* ... and without */
#define MS	  50 /* for a server that says half of something; one that answers takes a thousandth */

static struct srv s;
static struct input replies; /* the server thread's, from srv_start() to srv_stop() */
static int file = -1, irq[4];

static void once(void)
{
	if (file >= 0)
		return;
	log_set_level((enum log_level)0);
	file = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ck_assert(file >= 0 && ftruncate(file, SRV_BAR1_LEN) == 0);
	for (unsigned i = 0; i < ARRAY_SIZE(irq); i++) {
		irq[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		ck_assert(irq[i] >= 0);
	}
}

/* --- the server --- */

static void patch(uint8_t *bytes, size_t len)
{
	for (unsigned n = 1 + take8(&replies) % 4; n; n--) {
		size_t at = take16(&replies) % len;

		bytes[at] = take8(&replies);
	}
}

/* With what was there, and the input behind it; the header says so or not. */
static void other_length(uint8_t *bytes, size_t *len)
{
	uint16_t how = take16(&replies);
	size_t now = sizeof(struct vu_header) + how % 512;
	uint32_t size = (uint32_t)now;

	if (now > *len)
		take(&replies, bytes + *len, now - *len);
	if (how < 0x8000)
		memcpy(bytes + offsetof(struct vu_header, size), &size, sizeof(size));
	*len = now;
}

static void error(uint8_t *bytes, size_t *len)
{
	struct vu_header h;

	memcpy(&h, bytes, sizeof(h));
	h.size = sizeof(h);
	h.flags = VU_TYPE_REPLY | VU_F_ERROR;
	h.error = take32(&replies);
	memcpy(bytes, &h, sizeof(h));
	*len = sizeof(h);
}

/* A command to the client, near its memory, right or wrong; or anything. */
static void command(void)
{
	struct {
		struct vu_header h;
		struct vu_dma_access a;
		uint8_t data[512];
	} m = {.h = {.id = take8(&replies)}};
	uint8_t what = take8(&replies);
	uint16_t where = take16(&replies), much = take16(&replies);

	m.h.cmd = what & 1 ? VU_DMA_WRITE : VU_DMA_READ;
	m.a.addr = (what & 2 ? IOVA_NONE : IOVA_FILE) + where;
	m.a.count = much;
	m.h.size = sizeof(m.h) + sizeof(m.a) + (what & 1 ? MIN(much, sizeof(m.data)) : 0);
	if (what & 4)
		m.a.count = take32(&replies) * (UINT64_C(1) << (take8(&replies) % 33));
	if (what & 8)
		m.a.addr = UINT64_MAX - where;
	if (what & 0x10)
		m.h.cmd = take8(&replies);
	if (what & 0x20)
		m.h.size = sizeof(m.h) + much % (sizeof(m) - sizeof(m.h));
	if (what & 0x40)
		m.h.flags = VU_F_NO_REPLY;
	srv_send(&s, &m, m.h.size, &file, what >> 7);
}

/* More of them, other ones, or none. */
static void descriptors(int *fd, unsigned *n_fds)
{
	uint8_t how = take8(&replies);

	*n_fds = how & 0x80 ? 0 : how % 20;
	for (unsigned i = 0; i < *n_fds; i++)
		fd[i] = how & 0x40 ? file : irq[0];
}

static bool change(struct srv *self, uint8_t *bytes, size_t *len, int *fd, unsigned *n_fds)
{
	switch (take8(&replies) % 10) {
	case 3:
		patch(bytes, *len);
		break;
	case 4:
		/* Flags, sizes and counts have high bytes of zero: here they are not. */
		bytes[take16(&replies) % *len] ^= 0x80;
		break;
	case 5:
		other_length(bytes, len);
		break;
	case 6:
		error(bytes, len);
		break;
	case 7:
		for (unsigned n = 1 + take8(&replies) % 3; n; n--)
			command();
		break;
	case 8:
		descriptors(fd, n_fds);
		break;
	case 9:
		return take8(&replies) & 3;
	default:
		break;
	}
	return true;
}

/* --- the client --- */

static void use_registers(struct pci_dev *dev)
{
	struct err e = {""};
	uint8_t cfg[4];

	for (unsigned n = 0; n < 2; n++) {
		pci_map_bar(dev, n, &e);
		pci_write32(dev, n, 0x10, 0x12345678);
		pci_read32(dev, n, 0x10);
		pci_read8(dev, n, 3);
		pci_write16(dev, n, 6, 7);
		pci_write64(dev, n, 0x20, UINT64_C(0x1122334455667788));
		pci_read32(dev, n, 1u << 20);
	}
	dev->ops->cfg_read(dev, PCI_CFG_VENDOR, cfg, sizeof(cfg));
	pci_set_bus_master(dev, true);
}

static void use_memory(struct pci_dev *dev, void *mem)
{
	struct err e = {""};
	bool with_file = dev->ops->dma_map(dev, mem, MEM_PAGES * PAGE, IOVA_FILE, file, 0, &e) == 0;
	bool without = dev->ops->dma_map(dev, mem, MEM_PAGES * PAGE, IOVA_NONE, -1, 0, &e) == 0;

	pci_read32(dev, 0, 0);
	pci_read32(dev, 1, 0);
	if (with_file)
		dev->ops->dma_unmap(dev, IOVA_FILE, MEM_PAGES * PAGE);
	if (without)
		dev->ops->dma_unmap(dev, IOVA_NONE, MEM_PAGES * PAGE);
	/* The server may not reach it any more: to the sanitizer, that is. */
	pci_read32(dev, 0, 0);
}

static void use_interrupts(struct pci_dev *dev)
{
	struct err e = {""};

	for (int kind = PCI_IRQ_INTX; kind <= PCI_IRQ_MSIX; kind++) {
		if (pci_irq_enable(dev, kind, irq, kind == PCI_IRQ_MSIX ? ARRAY_SIZE(irq) : 1, &e) < 0)
			continue;
		if (kind == PCI_IRQ_INTX)
			dev->ops->intx_unmask(dev);
		pci_irq_disable(dev);
	}
}

/* With a page less than the longest DMA command in front of it, and behind, that nobody may touch. */
static uint8_t *make_memory(void)
{
	uint8_t *all = mmap(NULL, MEM_ALL, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *mem;

	ck_assert(all != MAP_FAILED);
	mem = mmap(
		all + MEM_GUARD, MEM_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0);
	ck_assert(mem != MAP_FAILED);
	return all;
}

static void use(struct pci_dev *dev)
{
	uint8_t *memory = make_memory();
	struct err e = {""};

	use_registers(dev);
	use_memory(dev, memory + MEM_GUARD);
	/* Whoever still writes there is caught. */
	munmap(memory, MEM_ALL);
	use_interrupts(dev);
	pci_reset(dev, &e);
	use_registers(dev);
	/* Not pci_is_gone(): a server that works may say in configuration space that there is nobody, and something else in a
	 * register. */
	if (vuc_is_dead(container_of(dev, struct vuc_dev, pci)))
		ck_assert_uint_eq(pci_read32(dev, 1, 0), UINT32_MAX);
}

static void begin(uint8_t first)
{
	srv_init(&s);
	s.change = change;
	s.minor = first & 1;
	if (first & 2)
		s.bar1_fd = file;
	s.n_areas = first >> 2 & 3;
	for (unsigned i = 0; i < s.n_areas; i++) {
		s.area[i][0] = i * 0x2000;
		s.area[i][1] = 0x1000;
	}
	srv_start(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct vuc_times times = {.access_ms = MS, .setup_ms = MS, .reset_ms = MS};
	struct pci_dev *dev = NULL;
	struct err e = {""};
	unsigned before;
	uint8_t first;
	int r;

	once();
	before = open_fds();
	replies = (struct input){data, size};
	first = take8(&replies);
	begin(first);
	r = vuc_open(s.uri, &times, &dev, &e);
	ck_assert(r == 0 ? dev != NULL : r < 0 && e.text[0]);
	if (r == 0)
		use(dev);
	pci_close(dev);
	srv_stop(&s);
	ck_assert_uint_eq(open_fds(), before);
	return 0;
}
