/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Split virtqueues [2.7]. The device reads descriptors and the available ring, and writes the used ring; neither side
 * waits for the other, so the order of every access counts. Nothing that the device writes is believed: its index can
 * be ahead by no more than what it has.
 */
#include "vio.h"

#include <errno.h>
#include <string.h>

/* Each part begins on a cache line of its own, which is more than any of them needs [2.7]. */
#define PART_ALIGN 64u

static uint64_t desc_bytes(uint16_t size)
{
	return ALIGN_UP((uint64_t)size * sizeof(struct vio_desc), PART_ALIGN);
}

/* Both rings end with a field for event suppression, which is not negotiated but has its place. */
static uint64_t avail_bytes(uint16_t size)
{
	return ALIGN_UP(sizeof(struct vio_avail) + ((uint64_t)size + 1) * sizeof(le16_t), PART_ALIGN);
}

static uint64_t used_bytes(uint16_t size)
{
	return ALIGN_UP(
		sizeof(struct vio_used) + (uint64_t)size * sizeof(struct vio_used_elem) + sizeof(le16_t),
		PART_ALIGN);
}

uint64_t vio_ring_bytes(uint16_t size)
{
	return desc_bytes(size) + avail_bytes(size) + used_bytes(size);
}

void vio_ring_place(struct vio_ring *q, uint16_t index, uint16_t size, uint8_t *mem, uint64_t iova)
{
	uint64_t avail = desc_bytes(size), used = avail + avail_bytes(size);

	*q = (struct vio_ring){
		.index = index,
		.size = size,
		.iova_desc = iova,
		.iova_avail = iova + avail,
		.iova_used = iova + used,
		.desc = (struct vio_desc *)mem,
		.avail = (struct vio_avail *)(mem + avail),
		.used = (struct vio_used *)(mem + used),
	};
}

void vio_ring_clear(struct vio_ring *q)
{
	memset(q->desc, 0, vio_ring_bytes(q->size));
	q->avail_idx = q->used_idx = q->at_device = 0;
	q->kick = false;
}

void vio_desc_put(struct vio_desc *d, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	*d = (struct vio_desc){
		.addr = cpu_to_le64(addr),
		.len = cpu_to_le32(len),
		.flags = cpu_to_le16(flags),
		.next = cpu_to_le16(next),
	};
}

void vio_ring_offer(struct vio_ring *q, uint16_t head)
{
	q->avail->ring[q->avail_idx & (q->size - 1)] = cpu_to_le16(head);
	q->avail_idx++;
	q->at_device++;
	q->kick = true;
	/* Release [2.7.13.3]: whoever sees the new index sees the entry, its descriptors and the buffers too. */
	__atomic_store_n(&q->avail->idx, cpu_to_le16(q->avail_idx), __ATOMIC_RELEASE);
}

bool vio_ring_wants_kick(struct vio_ring *q)
{
	if (!q->kick)
		return false;
	q->kick = false;
	/* Full barrier [2.7.13.4.1]: our index is out before the flag is read. Without it a device that stops looking
	 * at the index just now and clears the flag after we read it would sleep on what we offered. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return !(le16_to_cpu(__atomic_load_n(&q->used->flags, __ATOMIC_RELAXED)) & VIO_USED_NO_NOTIFY);
}

int vio_ring_take(struct vio_ring *q, uint32_t *ret_id, uint32_t *ret_len)
{
	/* Acquire [2.7.14]: the entry, and what the device wrote into the buffers before, are read after the index. */
	uint16_t idx = le16_to_cpu(__atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE));
	uint16_t ready = (uint16_t)(idx - q->used_idx);
	const struct vio_used_elem *u = &q->used->ring[q->used_idx & (q->size - 1)];

	if (!ready)
		return 0;
	if (ready > q->at_device)
		return -EIO;
	*ret_id = le32_to_cpu(__atomic_load_n(&u->id, __ATOMIC_RELAXED));
	*ret_len = le32_to_cpu(__atomic_load_n(&u->len, __ATOMIC_RELAXED));
	q->used_idx++;
	q->at_device--;
	return 1;
}

void vio_kick(struct vio *v, struct vio_ring *q)
{
	/* The register write comes after all stores to memory (pci_write16). */
	if (vio_ring_wants_kick(q))
		pci_write16(v->h->pci, v->area[VIO_CAP_NOTIFY].bar, q->notify, q->index);
}
