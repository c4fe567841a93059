/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "fusion_host.h"

extern const struct model model_sas3108;

uint32_t host[VECTORS];
int vector_fd[VECTORS];

void setup(void)
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

void teardown(void)
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

uint8_t *request(unsigned smid)
{
	uint8_t *r = c.mem + AT_REQUESTS + smid * 256;

	memset(r, 0, 256);
	return r;
}

void descriptor(unsigned type, unsigned vector, unsigned smid)
{
	uint8_t d[8] = {(uint8_t)(type << 1), (uint8_t)vector};

	le16(d, 2, (uint16_t)smid);
	ck_assert_int_eq(client_write(&c, 1, 0xc0, d, 8), 0);
}

uint8_t ioc_init(unsigned vectors, bool array, uint64_t queues)
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

void bring_up_fusion(void)
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

uint8_t *entry(unsigned vector)
{
	return c.mem + AT_QUEUES + 2048 * vector + host[vector] * 8;
}

bool there(unsigned vector)
{
	return __atomic_load_n((uint64_t *)entry(vector), __ATOMIC_ACQUIRE) != UINT64_MAX;
}

unsigned reap(unsigned vector)
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

uint8_t *ld_io(
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

uint8_t *rw(unsigned smid, bool write, uint8_t target, uint32_t lba, uint16_t blocks)
{
	uint8_t cdb[10] = {write ? 0x2a : 0x28, 0, (uint8_t)(lba >> 24), (uint8_t)(lba >> 16),
		(uint8_t)(lba >> 8), (uint8_t)lba, 0, (uint8_t)(blocks >> 8), (uint8_t)blocks, 0};

	return ld_io(smid, target, cdb, 10, blocks * 512u, write ? 0x01000000 : 0x02000000);
}

unsigned run_io(unsigned smid, unsigned type)
{
	const uint8_t *r = c.mem + AT_REQUESTS + smid * 256;

	descriptor(type, 0, smid);
	ck_assert_uint_eq(reap(0), smid);
	return (unsigned)r[0x77] << 8 | r[0x76];
}
