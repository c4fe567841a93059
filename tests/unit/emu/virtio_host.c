/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The driver's side of a virtio SCSI host, by hand. */
#include "virtio_host.h"

#include <string.h>
#include <unistd.h>

extern const struct model model_virtio;

struct cap cap[6];
uint32_t notify_factor;
struct vq vq[6];

/* Places in the client's memory */
enum { AT_RINGS = 0x1000, RING_SPACE = 0x3000, AT_REQS = 0x20000, REQ_SPACE = 0x400, RESP_IN_REQ = 0x200 };
enum { AT_PAYLOAD = 0x40000, PAYLOAD_SPACE = 0xc000, AT_TMF = 0x18000, TMF_RESP = 0x40, AT_EVENTS = 0x1a000 };

void virtio_new(void)
{
	rig = rig_new(&model_virtio);
	memset(cap, 0, sizeof(cap));
	forgiven_protocol = forgiven_dma = 0;
}

void virtio_up(void)
{
	rig_unit(rig, "ld0,size=64M");
	rig_unit(rig, "ld5,size=32M");
	rig_unit(rig, "pd0,size=16M");
	rig_up(rig);
	client_up(&c, rig->socket);
	find_caps();
}

void virtio_down(void)
{
	struct emu_stats s = rig_stats(rig);

	ck_assert_uint_eq(s.protocol_errors, forgiven_protocol);
	ck_assert_uint_eq(s.wrong_dma, forgiven_dma);
	rig->emu.stats.wrong_dma = 0;
	client_close(&c);
	rig_down(rig);
}

/* --- registers --- */

static uint32_t cfg32(unsigned at)
{
	return client_read32(&c, VFIO_PCI_CONFIG_REGION_INDEX, at);
}

/* [4.1.4]: the first of each type counts. */
void find_caps(void)
{
	for (unsigned at = cfg32(0x34) & 0xfc, n = 0; at; n++) {
		uint32_t head = cfg32(at);
		unsigned type = head >> 24;

		ck_assert_uint_lt(n, 48);
		if ((head & 0xff) == 0x09 && type >= CAP_COMMON && type <= CAP_PCI && !cap[type].at) {
			cap[type] = (struct cap){
				(uint8_t)at, (uint8_t)cfg32(at + 4), cfg32(at + 8), cfg32(at + 12)};
			if (type == CAP_NOTIFY)
				notify_factor = cfg32(at + 16);
		}
		at = head >> 8 & 0xfc;
	}
}

uint32_t common(uint32_t off, uint32_t width)
{
	uint32_t v = 0;

	ck_assert_int_eq(client_read(&c, cap[CAP_COMMON].bar, cap[CAP_COMMON].offset + off, &v, width), 0);
	return v;
}

void set_common(uint32_t off, uint32_t width, uint32_t v)
{
	ck_assert_int_eq(client_write(&c, cap[CAP_COMMON].bar, cap[CAP_COMMON].offset + off, &v, width), 0);
}

uint32_t device32(uint32_t off)
{
	return client_read32(&c, cap[CAP_DEVICE].bar, cap[CAP_DEVICE].offset + off);
}

bool needs_reset(void)
{
	return common(0x14, 1) & 0x40;
}

/* --- set-up [3.1.1] --- */

bool negotiate(uint64_t features)
{
	set_common(0x14, 1, 0);
	ck_assert_uint_eq(common(0x14, 1), 0);
	set_common(0x14, 1, 0x01);
	set_common(0x14, 1, 0x03);
	for (uint32_t i = 0; i < 2; i++) {
		set_common(0x08, 4, i);
		set_common(0x0c, 4, (uint32_t)(features >> 32 * i));
	}
	set_common(0x14, 1, 0x0b);
	return common(0x14, 1) & 0x08;
}

void queue_up(unsigned index, uint16_t size, uint16_t vector)
{
	struct vq *q = &vq[index];
	uint64_t at = AT_RINGS + index * RING_SPACE;
	const uint64_t part[] = {MEM_IOVA + at, MEM_IOVA + at + 0x1000, MEM_IOVA + at + 0x1800};

	*q = (struct vq){.index = index, .size = size, .at = at};
	memset(c.mem + at, 0, RING_SPACE);
	set_common(0x16, 2, index);
	ck_assert_uint_ge(common(0x18, 2), size);
	set_common(0x18, 2, size);
	set_common(0x1a, 2, vector);
	ck_assert_uint_eq(common(0x1a, 2), vector);
	for (unsigned i = 0; i < 3; i++) {
		set_common(0x20 + 8 * i, 4, (uint32_t)part[i]);
		set_common(0x24 + 8 * i, 4, (uint32_t)(part[i] >> 32));
	}
	q->notify = cap[CAP_NOTIFY].offset + common(0x1e, 2) * notify_factor;
	set_common(0x1c, 2, 1);
}

void driver_ok(void)
{
	set_common(0x14, 1, 0x0f);
	ck_assert_uint_eq(common(0x14, 1), 0x0f);
}

void bring_up_virtio(uint64_t features, bool msix)
{
	ck_assert(negotiate(features));
	set_common(0x10, 2, msix ? 0 : 0xffff);
	for (unsigned i = 0; i < 6; i++)
		queue_up(i, i < REQUEST ? 16 : RING, msix ? (uint16_t)(i + 1) : 0xffff);
	driver_ok();
}

/* --- rings [2.7] --- */

void desc(struct vq *q, uint16_t i, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	uint8_t *d = c.mem + q->at + 16u * i;

	le64(d, 0, addr);
	le32(d, 8, len);
	le16(d, 12, flags);
	le16(d, 14, next);
}

void offer(struct vq *q, uint16_t head)
{
	uint8_t *avail = c.mem + q->at + 0x1000;

	le16(avail, 4 + 2u * (q->offered++ % q->size), head);
	__atomic_store_n((uint16_t *)(avail + 2), q->offered, __ATOMIC_RELEASE);
}

void kick(struct vq *q)
{
	uint16_t v = (uint16_t)q->index;

	ck_assert_int_eq(client_write(&c, cap[CAP_NOTIFY].bar, q->notify, &v, sizeof(v)), 0);
}

uint16_t used_index(const struct vq *q)
{
	return __atomic_load_n((uint16_t *)(c.mem + q->at + 0x1800 + 2), __ATOMIC_ACQUIRE);
}

uint32_t answered(struct vq *q, uint32_t *ret_id)
{
	const uint8_t *e = c.mem + q->at + 0x1800 + 4 + 8u * (q->seen % q->size);

	rig_wait(used_index(q) != q->seen);
	q->seen++;
	*ret_id = get_le32(e, 0);
	return get_le32(e, 4);
}

/* --- requests [5.6.6.1] --- */

uint64_t iova(const uint8_t *p)
{
	return MEM_IOVA + (uint64_t)(p - c.mem);
}

uint8_t *req_at(unsigned slot)
{
	return c.mem + AT_REQS + slot * REQ_SPACE;
}

uint8_t *resp_at(unsigned slot)
{
	return req_at(slot) + RESP_IN_REQ;
}

uint8_t *payload(unsigned slot)
{
	return c.mem + AT_PAYLOAD + slot * PAYLOAD_SPACE;
}

void lun(uint8_t *to, uint8_t target, uint8_t l)
{
	memset(to, 0, 8);
	to[0] = 1;
	to[1] = target;
	to[2] = 0x40;
	to[3] = l;
}

uint16_t prepare(struct vq *q, unsigned slot, uint8_t target, uint8_t l, const void *cdb, uint8_t cdb_len,
	int dir, uint32_t len)
{
	uint16_t head = (uint16_t)(slot * 4);
	uint8_t *r = req_at(slot);

	memset(r, 0, RESP_IN_REQ);
	memset(resp_at(slot), 0xee, RESP_IN_REQ);
	lun(r, target, l);
	le64(r, 8, 0x1000 + slot);
	memcpy(r + 19, cdb, cdb_len);
	desc(q, head, iova(r), 19 + 32, D_NEXT, head + 1);
	if (dir == 1)
		desc(q, head + 1, iova(payload(slot)), len, D_NEXT, head + 2);
	desc(q, head + (dir == 1 ? 2 : 1), iova(resp_at(slot)), 12 + 96, D_WRITE | (dir == 2 ? D_NEXT : 0),
		head + 2);
	if (dir == 2)
		desc(q, head + 2, iova(payload(slot)), len, D_WRITE, 0);
	return head;
}

uint16_t rw(struct vq *q, unsigned slot, bool write, uint8_t target, uint8_t l, uint32_t lba, uint16_t blocks)
{
	const uint8_t cdb[10] = {write ? 0x2a : 0x28, 0, (uint8_t)(lba >> 24), (uint8_t)(lba >> 16),
		(uint8_t)(lba >> 8), (uint8_t)lba, 0, (uint8_t)(blocks >> 8), (uint8_t)blocks, 0};

	return prepare(q, slot, target, l, cdb, sizeof(cdb), write ? 1 : 2, blocks * 512u);
}

const uint8_t *run_one(struct vq *q, unsigned slot, uint16_t head)
{
	uint32_t id;

	offer(q, head);
	kick(q);
	answered(q, &id);
	ck_assert_uint_eq(id, head);
	return resp_at(slot);
}

void calm(uint8_t target, uint8_t l)
{
	static const uint8_t tur[6];
	const uint8_t *r;

	do {
		r = run_one(&vq[REQUEST], 1, prepare(&vq[REQUEST], 1, target, l, tur, 6, 0, 0));
		ck_assert_uint_eq(r[11], 0);
	} while (r[10]);
}

/* --- task management [5.6.6.2] --- */

void offer_tmf(uint32_t subtype, uint8_t target, uint8_t l, uint64_t id)
{
	uint8_t *p = c.mem + AT_TMF;

	memset(p, 0, TMF_RESP);
	p[TMF_RESP] = 0xee;
	le32(p, 4, subtype);
	lun(p + 8, target, l);
	le64(p, 16, id);
	desc(&vq[CONTROL], 0, iova(p), 24, D_NEXT, 1);
	desc(&vq[CONTROL], 1, iova(p + TMF_RESP), 1, D_WRITE, 0);
	offer(&vq[CONTROL], 0);
	kick(&vq[CONTROL]);
}

uint8_t tmf(uint32_t subtype, uint8_t target, uint8_t l, uint64_t id)
{
	uint32_t head;

	offer_tmf(subtype, target, l, id);
	ck_assert_uint_eq(answered(&vq[CONTROL], &head), 1);
	ck_assert_uint_eq(head, 0);
	return c.mem[AT_TMF + TMF_RESP];
}

/* --- events [5.6.6.3] --- */

void event_buffers(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		desc(&vq[EVENT], (uint16_t)i, MEM_IOVA + AT_EVENTS + 16 * i, 16, D_WRITE, 0);
		offer(&vq[EVENT], (uint16_t)i);
	}
	kick(&vq[EVENT]);
}

const uint8_t *event(void)
{
	static uint8_t copy[16];
	uint32_t id;

	ck_assert_uint_eq(answered(&vq[EVENT], &id), 16);
	memcpy(copy, c.mem + AT_EVENTS + 16 * id, sizeof(copy));
	offer(&vq[EVENT], (uint16_t)id);
	kick(&vq[EVENT]);
	return copy;
}
