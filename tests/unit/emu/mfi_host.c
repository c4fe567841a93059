/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The driver's side, by hand. */
#include "mfi_host.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct rig *rig;
struct client c;
int efd = -1;
uint32_t consumer;

void le16(uint8_t *p, unsigned off, uint16_t v)
{
	p[off] = (uint8_t)v;
	p[off + 1] = (uint8_t)(v >> 8);
}
void le32(uint8_t *p, unsigned off, uint32_t v)
{
	le16(p, off, (uint16_t)v);
	le16(p, off + 2, (uint16_t)(v >> 16));
}
void le64(uint8_t *p, unsigned off, uint64_t v)
{
	le32(p, off, (uint32_t)v);
	le32(p, off + 4, (uint32_t)(v >> 32));
}
uint16_t get_le16(const uint8_t *p, unsigned off)
{
	return (uint16_t)(p[off] | p[off + 1] << 8);
}
uint32_t get_le32(const uint8_t *p, unsigned off)
{
	return get_le16(p, off) | (uint32_t)get_le16(p, off + 2) << 16;
}
uint64_t get_le64(const uint8_t *p, unsigned off)
{
	return get_le32(p, off) | (uint64_t)get_le32(p, off + 4) << 32;
}

uint8_t *frame_again(unsigned slot)
{
	return c.mem + AT_FRAMES + slot * 2048u;
}

uint8_t *frame(unsigned slot)
{
	uint8_t *f = frame_again(slot);

	memset(f, 0, 2048);
	f[0x02] = 0xff;
	le32(f, 0x08, 0x1000 + slot);
	return f;
}

uint32_t frame_addr(unsigned slot)
{
	return MEM_IOVA + AT_FRAMES + slot * 2048u;
}

void fire(unsigned slot, unsigned extra)
{
	client_write32(&c, 1, 0x40, frame_addr(slot) | extra << 1 | 1);
}

uint32_t producer(void)
{
	return __atomic_load_n((uint32_t *)(c.mem + AT_PRODUCER), __ATOMIC_ACQUIRE);
}

uint32_t take(unsigned n)
{
	uint32_t context = 0;

	while (n--) {
		rig_wait(producer() != consumer);
		context = get_le32(c.mem + AT_RING, consumer * 4);
		consumer = (consumer + 1) % ENTRIES;
		le32(c.mem, AT_CONSUMER, consumer);
	}
	return context;
}

bool nothing_comes(void)
{
	usleep(30000);
	return producer() == consumer;
}

uint8_t run(unsigned slot, unsigned extra)
{
	fire(slot, extra);
	ck_assert_uint_eq(take(1), 0x1000 + slot);
	return frame_again(slot)[0x02];
}

void to_ready(void)
{
	rig_wait(client_read32(&c, 1, 0xb0) >> 28 == 0x6);
	client_write32(&c, 1, 0x20, 0x18);
	rig_wait(client_read32(&c, 1, 0xb0) >> 28 == 0xb);
}

uint8_t init(unsigned entries, uint32_t flags)
{
	uint8_t *f = frame(500), *q = c.mem + AT_QUEUE_INFO;

	le16(f, 0x10, 0x0001); /* do not post */
	le32(f, 0x14, 32);
	le32(f, 0x18, MEM_IOVA + AT_QUEUE_INFO);
	memset(q, 0, 32);
	le32(q, 0x00, flags);
	le32(q, 0x04, entries);
	le32(q, 0x08, MEM_IOVA + AT_RING);
	le32(q, 0x10, MEM_IOVA + AT_PRODUCER);
	le32(q, 0x18, MEM_IOVA + AT_CONSUMER);
	le32(c.mem, AT_PRODUCER, 0);
	le32(c.mem, AT_CONSUMER, 0);
	memset(c.mem + AT_RING, 0xff, ENTRIES * 4);
	consumer = 0;
	fire(500, 0);
	rig_wait(*(volatile uint8_t *)(f + 2) != 0xff);
	return f[2];
}

void bring_up(void)
{
	if (efd < 0)
		efd = eventfd(0, EFD_NONBLOCK);
	ck_assert_int_eq(client_irq(&c, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
				 VFIO_PCI_MSIX_IRQ_INDEX, 0, 1, &efd, 1),
		0);
	client_write32(&c, 1, 0x34, 0xffffffff);
	ck_assert_uint_eq(init(ENTRIES, 0), 0);
	client_write32(&c, 1, 0xa0, 0xffffffff);
	client_write32(&c, 1, 0x34, 0xfffffffa);
}

uint8_t *ld_rw(unsigned slot, bool write, uint8_t target, uint64_t lba, uint32_t blocks)
{
	uint8_t *f = frame(slot);

	f[0x00] = write ? 0x02 : 0x01;
	f[0x01] = 96;
	f[0x04] = target;
	f[0x07] = 1;
	le16(f, 0x10, 0x0002 | (write ? 0x0008 : 0x0010));
	le32(f, 0x14, blocks);
	le32(f, 0x18, MEM_IOVA + AT_SENSE + slot * 128);
	le64(f, 0x20, lba);
	le64(f, 0x28, MEM_IOVA + AT_DATA + (slot % 32) * 0x10000);
	le32(f, 0x30, blocks * 512);
	return f;
}

uint8_t *ld_scsi(unsigned slot, uint8_t target, const void *cdb, uint8_t cdb_len, uint32_t len, uint16_t dir)
{
	uint8_t *f = frame(slot);

	f[0x00] = 0x03;
	f[0x01] = 96;
	f[0x04] = target;
	f[0x06] = cdb_len;
	f[0x07] = len ? 1 : 0;
	le16(f, 0x10, 0x0002 | dir);
	le32(f, 0x14, len);
	le32(f, 0x18, MEM_IOVA + AT_SENSE + slot * 128);
	memcpy(f + 0x20, cdb, cdb_len);
	le64(f, 0x30, MEM_IOVA + AT_DATA + (slot % 32) * 0x10000);
	le32(f, 0x38, len);
	return f;
}

uint8_t *dcmd(unsigned slot, uint32_t opcode, uint32_t len)
{
	uint8_t *f = frame(slot);

	f[0x00] = 0x05;
	f[0x07] = len ? 1 : 0;
	le16(f, 0x10, len ? 0x0010 : 0);
	le32(f, 0x14, len);
	le32(f, 0x18, opcode);
	le32(f, 0x28, MEM_IOVA + AT_DATA + (slot % 32) * 0x10000);
	le32(f, 0x2c, len);
	memset(data_at(slot % 32), 0xee, len);
	return f;
}

uint8_t *abort_of(unsigned slot, unsigned victim)
{
	uint8_t *f = frame(slot);

	f[0x00] = 0x06;
	le32(f, 0x18, 0x1000 + victim);
	le32(f, 0x20, frame_addr(victim));
	return f;
}

/* --- a rig around it --- */

extern const struct model model_sas2108;
uint64_t forgiven_protocol, forgiven_dma;

void mfi_setup(void)
{
	rig = rig_new(&model_sas2108);
	rig_unit(rig, "ld0,size=64M");
	rig_unit(rig, "ld5,size=32M,wt=1");
	rig_unit(rig, "pd8,size=16M");
	rig_unit(rig, "pd9,size=16M,block=4096");
	rig_up(rig);
	client_up(&c, rig->socket);
	to_ready();
	forgiven_protocol = forgiven_dma = 0;
	/* Power on is the first thing that units tell; tests that want to see it take it themselves. */
	for (unsigned i = 0; i < MAX_UNITS; i++)
		rig->emu.units.unit[i].disk.attention = 0;
}

void mfi_teardown(void)
{
	struct emu_stats s = rig_stats(rig);

	ck_assert_uint_eq(s.protocol_errors, forgiven_protocol);
	ck_assert_uint_eq(s.wrong_dma, forgiven_dma);
	rig->emu.stats.wrong_dma = 0;
	client_close(&c);
	rig_down(rig);
	if (efd >= 0)
		close(efd);
	efd = -1;
}
