/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Captures as they are written: bytes laid out by hand, nothing lost in silence, nobody held up. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "pci/capture.h"

#define MAX_FILE (32u << 20)

struct fake {
	struct pci_dev dev;
	uint8_t cfg[256];
	uint32_t regs[64];
	uint32_t last_write;
	unsigned last_len;
	int irq_fd; /* what the device would signal */
	unsigned maps, unmaps, resets, unmasks, disables, closes;
};

static struct fake fake;
static char dir[64], path[96];
static uint8_t *file;
static size_t file_len;

static void f_close(struct pci_dev *dev)
{
	fake.closes++;
}
static int f_cfg_read(struct pci_dev *dev, unsigned off, void *buf, unsigned len)
{
	memcpy(buf, fake.cfg + off, len);
	return 0;
}
static int f_cfg_write(struct pci_dev *dev, unsigned off, const void *buf, unsigned len)
{
	memcpy(fake.cfg + off, buf, len);
	return 0;
}
static int f_map_bar(struct pci_dev *dev, unsigned n, struct err *e)
{
	dev->bar[n].map = (volatile uint8_t *)fake.regs;
	dev->bar[n].map_len = 128;
	return 0;
}
static uint32_t f_read_part(struct pci_dev *dev, unsigned n, uint64_t off, unsigned len)
{
	return 0x42;
}
static uint32_t f_read32(struct pci_dev *dev, unsigned n, uint64_t off)
{
	return 0x1000 + (uint32_t)off;
}
static void f_write_part(struct pci_dev *dev, unsigned n, uint64_t off, uint32_t val, unsigned len)
{
	/* From many threads at once. */
	__atomic_store_n(&fake.last_write, val, __ATOMIC_RELAXED);
	__atomic_store_n(&fake.last_len, len, __ATOMIC_RELAXED);
}
static void f_write32(struct pci_dev *dev, unsigned n, uint64_t off, uint32_t val)
{
	f_write_part(dev, n, off, val, 4);
}
static int f_irq_enable(
	struct pci_dev *dev, enum pci_irq_kind kind, const int *fds, unsigned n, struct err *e)
{
	fake.irq_fd = fds[n - 1];
	return 0;
}
static void f_irq_disable(struct pci_dev *dev)
{
	fake.disables++;
}
static void f_unmask(struct pci_dev *dev)
{
	fake.unmasks++;
}
static int f_reset(struct pci_dev *dev, struct err *e)
{
	fake.resets++;
	return 0;
}
static int f_dma_map(struct pci_dev *dev, void *vaddr, uint64_t size, uint64_t iova, int memfd,
	uint64_t offset, struct err *e)
{
	fake.maps++;
	return 0;
}
static int f_dma_unmap(struct pci_dev *dev, uint64_t iova, uint64_t size)
{
	fake.unmaps++;
	return 0;
}

static const struct pci_ops ops = {
	.name = "fake",
	.close = f_close,
	.cfg_read = f_cfg_read,
	.cfg_write = f_cfg_write,
	.map_bar = f_map_bar,
	.bar_read32 = f_read32,
	.bar_write32 = f_write32,
	.bar_read_part = f_read_part,
	.bar_write_part = f_write_part,
	.irq_enable = f_irq_enable,
	.irq_disable = f_irq_disable,
	.intx_unmask = f_unmask,
	.reset = f_reset,
	.dma_map = f_dma_map,
	.dma_unmap = f_dma_unmap,
};

static void setup(void)
{
	log_set_level(LOG_LV_ERR);
	strcpy(dir, "/tmp/hbad-capture-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/c", dir);
	memset(&fake, 0, sizeof(fake));
	fake.dev = (struct pci_dev){
		.ops = &ops,
		.uri = "fake",
		.id = {0x1000, 0x005d, 0x1028, 0x1f49, 0x010400, 0x02},
		.bar = {[1] = {.size = 0x10000}, [3] = {.size = 0x100000}},
		.n_vectors = {[PCI_IRQ_INTX] = 1, [PCI_IRQ_MSIX] = 96},
		.iova = {{0x0, 0xfedfffff}, {0xfef00000, 0xffffffffff}},
		.n_iova = 2,
		.dma_page = 4096,
		.request_fd = 77,
	};
	for (unsigned i = 0; i < sizeof(fake.cfg); i++)
		fake.cfg[i] = (uint8_t)i;
	file = malloc(MAX_FILE);
}

static void teardown(void)
{
	char old[sizeof(path) + 4];

	snprintf(old, sizeof(old), "%s.old", path);
	unlink(old);
	unlink(path);
	ck_assert_int_eq(rmdir(dir), 0);
	free(file);
}

static struct pci_dev *begin(void)
{
	struct err e = {""};
	struct pci_dev *dev = NULL;

	ck_assert_msg(pci_capture(&fake.dev, path, &dev, &e) == 0, "%s", e.text);
	return dev;
}

static void finish(struct pci_dev *dev)
{
	int fd;
	ssize_t n;

	pci_close(dev);
	fd = open(path, O_RDONLY);
	ck_assert_int_ge(fd, 0);
	for (file_len = 0; (n = read(fd, file + file_len, MAX_FILE - file_len)) > 0; file_len += (size_t)n)
		;
	close(fd);
}

static uint32_t get32(size_t at)
{
	return (uint32_t)file[at] | (uint32_t)file[at + 1] << 8 | (uint32_t)file[at + 2] << 16 |
	       (uint32_t)file[at + 3] << 24;
}
static uint64_t get64(size_t at)
{
	return get32(at) | (uint64_t)get32(at + 4) << 32;
}

/* Where record number seq is. */
static size_t record(uint32_t seq)
{
	for (size_t at = 0x2a0; at + 16 <= file_len;
		at += 16 + (((size_t)file[at + 2] | file[at + 3] << 8) + 7) / 8 * 8)
		if (get32(at + 4) == seq)
			return at;
	ck_abort_msg("there is no record %u", seq);
	return 0;
}

static void expect(uint32_t seq, const uint8_t *bytes, size_t len)
{
	size_t at = record(seq);

	/* type, arg, length; payload with padding */
	ck_assert_mem_eq(file + at, bytes, 4);
	ck_assert_mem_eq(file + at + 16, bytes + 4, len - 4);
}
#define EXPECT(seq, ...)                                                                                     \
	do {                                                                                                 \
		static const uint8_t want[] = {__VA_ARGS__};                                                 \
		expect(seq, want, sizeof(want));                                                             \
	} while (0)

START_TEST(the_checksum_is_the_usual_one)
{
	ck_assert_uint_eq(capture_crc(0, "123456789", 9), 0xcbf43926);
	ck_assert_uint_eq(capture_crc(capture_crc(0, "1234", 4), "56789", 5), 0xcbf43926);
}
END_TEST

START_TEST(the_header_says_what_the_device_is)
{
	struct stat st;

	finish(begin());
	ck_assert_uint_eq(file_len, 0x2a0 + 16 + 24);
	ck_assert_mem_eq(file, "HBADCAP\n\x01\x00\x00\x00\xa0\x02\x00\x00", 16);
	ck_assert_mem_eq(file + 0x18, "\x00\x10\x5d\x00\x28\x10\x49\x1f\x02\x00\x04\x01", 12);
	ck_assert_uint_eq(get32(0x24), 1);
	ck_assert_uint_eq(get32(0x28), 0);
	ck_assert_uint_eq(get32(0x2c), 96);
	ck_assert_uint_eq(get64(0x30), 0);
	ck_assert_uint_eq(get64(0x38), 0x10000);
	ck_assert_uint_eq(get64(0x48), 0x100000);
	ck_assert_uint_eq(get64(0x60), 4096);
	ck_assert_uint_eq(get32(0x68), 2);
	ck_assert_uint_eq(get64(0x78), 0xfedfffff);
	ck_assert_uint_eq(get64(0x80), 0xfef00000);
	ck_assert_mem_eq(file + 0x170, fake.cfg, 256);
	ck_assert_str_eq((const char *)file + 0x270, "hbad " HBAD_VERSION);
	ck_assert_str_eq((const char *)file + 0x290, "fake");
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ck_assert_uint_eq(fake.closes, 1);
}
END_TEST

START_TEST(registers_are_written_down_and_reach_the_device)
{
	struct pci_dev *dev = begin();

	ck_assert_int_eq(pci_map_bar(dev, 1, NULL), 0);
	ck_assert_ptr_null((const void *)dev->bar[1].map);
	ck_assert_int_eq(dev->request_fd, 77);
	fake.regs[4] = htole32(0xb4500070);
	ck_assert_uint_eq(pci_read32(dev, 1, 0x10), 0xb4500070);
	pci_write32(dev, 1, 0x14, 0x11223344);
	ck_assert_uint_eq(le32toh(fake.regs[5]), 0x11223344);
	ck_assert_uint_eq(pci_read32(dev, 3, 0x2000), 0x3000);
	ck_assert_uint_eq(pci_read8(dev, 3, 0x15), 0x42);
	pci_write16(dev, 3, 0x16, 0xabcd);
	ck_assert_uint_eq(fake.last_write, 0xabcd);
	ck_assert_uint_eq(fake.last_len, 2);
	ck_assert(pci_can_write64(dev, 1, 0x18));
	pci_write64(dev, 1, 0x18, UINT64_C(0x1122334455667788));
	ck_assert_uint_eq(le32toh(fake.regs[6]), 0x55667788);
	ck_assert_uint_eq(le32toh(fake.regs[7]), 0x11223344);
	ck_assert(!pci_can_write64(dev, 3, 0x20)); /* the fake's is not mapped there, and has no such write */
	pci_write64(dev, 3, 0x20, UINT64_C(0x1122334455667788));
	ck_assert_uint_eq(fake.last_write, 0x11223344); /* the upper half comes last */
	finish(dev);
	EXPECT(0, 15, 1, 0, 0);
	EXPECT(1, 1, 0x14, 16, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0x70, 0, 0x50, 0xb4, 0, 0, 0, 0);
	EXPECT(2, 2, 0x14, 16, 0, 0x14, 0, 0, 0, 0, 0, 0, 0, 0x44, 0x33, 0x22, 0x11, 0, 0, 0, 0);
	EXPECT(3, 1, 0x34, 16, 0, 0x00, 0x20, 0, 0, 0, 0, 0, 0, 0x00, 0x30, 0, 0, 0, 0, 0, 0);
	EXPECT(4, 1, 0x31, 16, 0, 0x15, 0, 0, 0, 0, 0, 0, 0, 0x42, 0, 0, 0, 0, 0, 0, 0);
	EXPECT(5, 2, 0x32, 16, 0, 0x16, 0, 0, 0, 0, 0, 0, 0, 0xcd, 0xab, 0, 0, 0, 0, 0, 0);
	EXPECT(6, 2, 0x18, 16, 0, 0x18, 0, 0, 0, 0, 0, 0, 0, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11);
	EXPECT(7, 2, 0x34, 16, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0x88, 0x77, 0x66, 0x55, 0, 0, 0, 0);
	EXPECT(8, 2, 0x34, 16, 0, 0x24, 0, 0, 0, 0, 0, 0, 0, 0x44, 0x33, 0x22, 0x11, 0, 0, 0, 0);
}
END_TEST

START_TEST(everything_else_is_written_down_too)
{
	static uint8_t page[4096];
	struct pci_dev *dev = begin();

	ck_assert_int_eq(pci_set_bus_master(dev, true), 0);
	ck_assert_int_eq(dev->ops->dma_map(dev, page, 4096, 0x1000, -1, 0, NULL), 0);
	pci_note(dev, PCI_NOTE_OUT, 0x1040, "\x01\x02\x03", 3);
	pci_note(dev, PCI_NOTE_IN, 0x1080, "\xff", 1);
	ck_assert_int_eq(dev->ops->dma_unmap(dev, 0x1000, 4096), 0);
	ck_assert_int_eq(pci_reset(dev, NULL), 0);
	dev->ops->intx_unmask(dev);
	finish(dev);
	ck_assert_uint_eq(fake.maps + fake.unmaps + fake.resets + fake.unmasks, 4);
	EXPECT(0, 3, 2, 16, 0, 0x04, 0, 0, 0, 0, 0, 0, 0, 0x04, 0x05, 0, 0, 0, 0, 0, 0);
	EXPECT(1, 4, 2, 16, 0, 0x04, 0, 0, 0, 0, 0, 0, 0, 0x04, 0x05, 0, 0, 0, 0, 0, 0);
	EXPECT(3, 10, 0, 16, 0, 0x00, 0x10, 0, 0, 0, 0, 0, 0, 0x00, 0x10, 0, 0, 0, 0, 0, 0);
	EXPECT(4, 12, 0, 11, 0, 0x40, 0x10, 0, 0, 0, 0, 0, 0, 1, 2, 3, 0, 0, 0, 0, 0);
	EXPECT(5, 13, 0, 9, 0, 0x80, 0x10, 0, 0, 0, 0, 0, 0, 0xff, 0, 0, 0, 0, 0, 0, 0);
	EXPECT(6, 11, 0, 16, 0, 0x00, 0x10, 0, 0, 0, 0, 0, 0, 0x00, 0x10, 0, 0, 0, 0, 0, 0);
	EXPECT(7, 9, 0, 0, 0);
	EXPECT(8, 8, 0, 0, 0);
}
END_TEST

START_TEST(the_end_counts_and_sums)
{
	struct pci_dev *dev = begin();
	size_t end;

	for (unsigned i = 0; i < 1000; i++)
		pci_read32(dev, 3, 4 * i);
	finish(dev);
	end = file_len - 40;
	ck_assert_uint_eq(file[end], 255);
	ck_assert_uint_eq(get64(end + 16), 1000);
	ck_assert_uint_eq(get64(end + 24), 0);
	ck_assert_uint_eq(get32(end + 32), capture_crc(0, file, end));
	ck_assert_uint_eq(get32(end + 36), 0);
}
END_TEST

START_TEST(long_notes_are_cut_into_records_and_at_64_kib)
{
	static uint8_t big[70000];
	struct pci_dev *dev = begin();

	memset(big, 0x5a, sizeof(big));
	pci_note(dev, PCI_NOTE_IN, 0x100000, big, sizeof(big));
	finish(dev);
	for (unsigned i = 0; i < 16; i++) {
		size_t at = record(i);

		ck_assert_mem_eq(file + at, "\x0d\x01\x08\x10", 4);
		ck_assert_uint_eq(get64(at + 16), 0x100000 + i * 4096);
	}
	ck_assert_uint_eq(get64(file_len - 24), 16);
}
END_TEST

/* --- interrupts --- */

static bool readable(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, ms) == 1;
}

START_TEST(interrupts_are_passed_on)
{
	int theirs[2] = {eventfd(0, EFD_NONBLOCK), eventfd(0, EFD_NONBLOCK)};
	struct pci_dev *dev = begin();
	uint64_t three = 3, got = 0;
	struct err e = {""};

	ck_assert_int_eq(pci_irq_enable(dev, PCI_IRQ_MSIX, theirs, 2, &e), 0);
	ck_assert_int_ne(fake.irq_fd, theirs[1]);
	ck_assert_int_eq(write(fake.irq_fd, &three, sizeof(three)), sizeof(three));
	ck_assert(readable(theirs[1], 30000));
	ck_assert_int_eq(read(theirs[1], &got, sizeof(got)), sizeof(got));
	ck_assert_uint_eq(got, 3);
	ck_assert(!readable(theirs[0], 0));
	pci_irq_disable(dev);
	ck_assert_uint_eq(fake.disables, 1);
	/* Again, with others. */
	ck_assert_int_eq(pci_irq_enable(dev, PCI_IRQ_INTX, theirs, 1, &e), 0);
	ck_assert_int_eq(write(fake.irq_fd, &three, sizeof(three)), sizeof(three));
	ck_assert(readable(theirs[0], 30000));
	finish(dev);
	EXPECT(0, 6, 2, 8, 0, 0, 0, 0, 0, 2, 0, 0, 0);
	EXPECT(1, 5, 2, 8, 0, 1, 0, 0, 0, 3, 0, 0, 0);
	EXPECT(2, 7, 0, 0, 0);
	EXPECT(3, 6, 0, 8, 0, 0, 0, 0, 0, 1, 0, 0, 0);
	EXPECT(4, 5, 0, 8, 0, 0, 0, 0, 0, 3, 0, 0, 0);
	close(theirs[0]);
	close(theirs[1]);
}
END_TEST

/* --- many, fast, and not at all --- */

#define THREADS	 8
#define ACCESSES 20000

static void *hammer(void *arg)
{
	struct pci_dev *dev = arg;
	static unsigned next;
	unsigned me = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED) % THREADS;

	for (unsigned i = 0; i < ACCESSES; i++)
		pci_write32(dev, 3, 4 * me, i);
	return NULL;
}

/* What is not there is counted; what is there is in order. */
START_TEST(threads_lose_nothing_in_silence)
{
	struct pci_dev *dev = begin();
	uint64_t writes = 0, told = 0, next[THREADS] = {0};
	static uint8_t seen[THREADS * ACCESSES * 2];
	uint32_t n = 0;
	pthread_t t[THREADS];

	for (unsigned i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, hammer, dev), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	finish(dev);
	for (size_t at = 0x2a0; file[at] != 255; n++) {
		uint32_t seq = get32(at + 4);

		ck_assert_uint_lt(seq, sizeof(seen));
		ck_assert_uint_eq(seen[seq]++, 0);
		if (file[at] == 2) {
			unsigned who = get32(at + 16) / 4;

			ck_assert_uint_ge(get64(at + 24), next[who]);
			next[who] = get64(at + 24) + 1;
			writes++;
			at += 32;
		} else {
			ck_assert_uint_eq(file[at], 14);
			told += get64(at + 16);
			at += 24;
		}
	}
	for (uint32_t i = 0; i < n; i++)
		ck_assert_uint_eq(seen[i], 1);
	ck_assert_uint_eq(writes + get64(file_len - 16), THREADS * ACCESSES);
	ck_assert_uint_le(told, get64(file_len - 16));
}
END_TEST

START_TEST(a_full_ring_drops_counts_and_goes_on)
{
	struct capture *c = calloc(1, sizeof(*c));
	_Alignas(8) uint8_t rec[CAP_RECORD_MAX];
	struct capture_record head;
	unsigned put = 0, taken = 0;

	ck_assert_int_eq(cap_rings_init(c), 0);
	c->id = 1000000;
	while (!c->ring[0].dropped) {
		cap_put(c, CAPTURE_RESET, 0, NULL, 0, NULL, 0);
		put++;
	}
	cap_put(c, CAPTURE_RESET, 0, NULL, 0, NULL, 0);
	ck_assert_uint_eq(c->ring[0].dropped, 2);
	while (cap_ring_take(&c->ring[0], rec))
		taken++;
	ck_assert_uint_eq(taken, put - 1);
	ck_assert_uint_gt(taken, CAP_RING_BYTES / 16 - 8);
	cap_put(c, CAPTURE_INTX_UNMASK, 0, NULL, 0, NULL, 0);
	ck_assert_uint_eq(cap_ring_take(&c->ring[0], rec), 24);
	ck_assert_uint_eq(rec[0], 14);
	ck_assert_uint_eq(rec[16], 2);
	ck_assert_uint_eq(cap_ring_take(&c->ring[0], rec), 16);
	memcpy(&head, rec, sizeof(head));
	ck_assert_uint_eq(head.type, CAPTURE_INTX_UNMASK);
	/* No number is missing: what was dropped had none. */
	ck_assert_uint_eq(le32toh(head.seq), taken + 1);
	cap_rings_fini(c);
	free(c);
}
END_TEST

static void *one_write(void *arg)
{
	pci_write32(arg, 3, 0, 1);
	return NULL;
}

START_TEST(more_threads_than_rings_are_counted)
{
	struct pci_dev *dev = begin();
	pthread_t t;

	/* One after the other: a new thread may get the number, and so the ring, of one that has ended. */
	for (unsigned i = 0; i < 3 * CAP_RINGS; i++) {
		ck_assert_int_eq(pthread_create(&t, NULL, one_write, dev), 0);
		pthread_join(t, NULL);
	}
	finish(dev);
	ck_assert_uint_eq(get64(file_len - 24) + get64(file_len - 16), 3 * CAP_RINGS);
}
END_TEST

START_TEST(a_capture_ends_at_its_largest_size)
{
	struct pci_dev *dev = begin();

	capture_of(dev)->max_bytes = 8192;
	for (unsigned i = 0; i < 1000; i++)
		pci_write32(dev, 3, 0, i);
	finish(dev);
	ck_assert_uint_le(file_len, 8192);
	ck_assert_uint_gt(file_len, 8192 - 64);
	ck_assert_uint_eq(get32(file_len - 4), 1);
	ck_assert_uint_eq(get32(file_len - 8), capture_crc(0, file, file_len - 40));
	ck_assert_uint_eq(fake.last_write, 999);
}
END_TEST

START_TEST(a_disk_that_is_full_costs_the_capture_and_nothing_else)
{
	struct rlimit before, little;
	struct pci_dev *dev = begin();

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
	little = before;
	little.rlim_cur = 4096;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &little), 0);
	for (unsigned i = 0; i < 1000; i++)
		pci_write32(dev, 3, 0, i);
	finish(dev);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
	ck_assert_uint_le(file_len, 4096);
	ck_assert_uint_eq(fake.last_write, 999);
	ck_assert_uint_eq(fake.closes, 1);
}
END_TEST

/* Neither followed nor moved: "--capture /dev/null" of root must not take that away from everybody. */
START_TEST(what_is_no_file_stays_where_it_is)
{
	char target[sizeof(path) + 8], old[sizeof(path) + 4];
	struct pci_dev *dev = NULL;
	struct err e = {""};
	struct stat st;

	snprintf(target, sizeof(target), "%s.target", path);
	snprintf(old, sizeof(old), "%s.old", path);
	ck_assert_int_eq(_i == 0   ? symlink(target, path)
			 : _i == 1 ? mkfifo(path, 0600)
				   : mkdir(path, 0700),
		0);
	ck_assert_int_eq(pci_capture(&fake.dev, path, &dev, &e), -EINVAL);
	ck_assert_ptr_nonnull(strstr(e.text, path));
	ck_assert_int_ne(lstat(target, &st), 0);
	ck_assert_int_ne(lstat(old, &st), 0);
	ck_assert_int_eq(lstat(path, &st), 0);
	ck_assert(!S_ISREG(st.st_mode));
	ck_assert_uint_eq(fake.closes, 0);
	ck_assert_int_eq(remove(path), 0);
}
END_TEST

/* As the unit's sandbox answers for what is not below /var/lib/hbad; root may write everywhere else. */
START_TEST(where_a_capture_may_be_is_told)
{
	struct pci_dev *dev = NULL;
	struct err e = {""};
	int r = pci_capture(&fake.dev, "/sys/capture", &dev, &e);

	ck_assert_msg(r == -EACCES || r == -EPERM || r == -EROFS, "%d", r);
	ck_assert_ptr_nonnull(strstr(e.text, "/var/lib/hbad"));
}
END_TEST

START_TEST(a_folder_that_is_not_there_is_told_and_the_device_stays_the_callers)
{
	struct err e = {""};
	struct pci_dev *dev;

	ck_assert_int_eq(pci_capture(&fake.dev, "/nowhere/at/all", &dev, &e), -ENOENT);
	ck_assert_ptr_nonnull(strstr(e.text, "/nowhere/at/all"));
	ck_assert_uint_eq(fake.closes, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("capture");
	TCase *t = tcase_create("capture");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 100);
	tcase_add_test(t, the_checksum_is_the_usual_one);
	tcase_add_test(t, the_header_says_what_the_device_is);
	tcase_add_test(t, registers_are_written_down_and_reach_the_device);
	tcase_add_test(t, everything_else_is_written_down_too);
	tcase_add_test(t, the_end_counts_and_sums);
	tcase_add_test(t, long_notes_are_cut_into_records_and_at_64_kib);
	tcase_add_test(t, interrupts_are_passed_on);
	tcase_add_test(t, threads_lose_nothing_in_silence);
	tcase_add_test(t, a_full_ring_drops_counts_and_goes_on);
	tcase_add_test(t, more_threads_than_rings_are_counted);
	tcase_add_test(t, a_capture_ends_at_its_largest_size);
	tcase_add_test(t, a_disk_that_is_full_costs_the_capture_and_nothing_else);
	tcase_add_loop_test(t, what_is_no_file_stays_where_it_is, 0, 3);
	tcase_add_test(t, where_a_capture_may_be_is_told);
	tcase_add_test(t, a_folder_that_is_not_there_is_told_and_the_device_stays_the_callers);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
