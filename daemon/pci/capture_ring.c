/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Records on their way from the threads that use the device to the one that writes the file. No lock, no system call,
 * no waiting: a full ring drops and counts. */
#include "capture.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"

static_assert((CAP_RING_BYTES & (CAP_RING_BYTES - 1)) == 0, "positions are masked");
static_assert(CAP_RING_BYTES > 4 * CAP_RECORD_MAX, "a ring holds the largest records");

int cap_rings_init(struct capture *c)
{
	void *p = mmap(NULL, (size_t)CAP_RINGS * CAP_RING_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (p == MAP_FAILED)
		return -errno;
	c->memory = p;
	for (unsigned i = 0; i < CAP_RINGS; i++)
		c->ring[i].buf = c->memory + (size_t)i * CAP_RING_BYTES;
	return 0;
}

void cap_rings_fini(struct capture *c)
{
	if (c->memory)
		munmap(c->memory, (size_t)CAP_RINGS * CAP_RING_BYTES);
	c->memory = NULL;
}

/* --- the thread's own ring --- */

static _Thread_local struct {
	uint64_t capture; /* its id; ids begin at 1 */
	struct cap_ring *ring;
} mine;

static struct cap_ring *find_ring(struct capture *c)
{
	pthread_t self = pthread_self();
	unsigned n = MIN(__atomic_load_n(&c->n_rings, __ATOMIC_ACQUIRE), CAP_RINGS);

	/* A thread that uses two devices in turns finds its old one again. Of a place that another thread is only
	 * about to take, owner is 0, or a thread that is not this one. */
	for (unsigned i = 0; i < n; i++) {
		pthread_t owner = __atomic_load_n(&c->ring[i].owner, __ATOMIC_ACQUIRE);

		if (owner && pthread_equal(owner, self))
			return &c->ring[i];
	}
	if (n == CAP_RINGS)
		return NULL;
	n = __atomic_fetch_add(&c->n_rings, 1, __ATOMIC_ACQ_REL);
	if (n >= CAP_RINGS) {
		__atomic_store_n(&c->n_rings, CAP_RINGS, __ATOMIC_RELEASE);
		return NULL;
	}
	__atomic_store_n(&c->ring[n].owner, self, __ATOMIC_RELEASE);
	return &c->ring[n];
}

static struct cap_ring *my_ring(struct capture *c)
{
	if (unlikely(mine.capture != c->id)) {
		mine.ring = find_ring(c);
		mine.capture = c->id;
	}
	return mine.ring;
}

/* --- putting --- */

static uint64_t copy_in(struct cap_ring *r, uint64_t at, const void *from, uint32_t len)
{
	uint32_t in = (uint32_t)(at & (CAP_RING_BYTES - 1)), first = MIN(len, CAP_RING_BYTES - in);

	if (first)
		memcpy(r->buf + in, from, first);
	if (len > first)
		memcpy(r->buf, (const uint8_t *)from + first, len - first);
	return at + len;
}

static uint64_t put_at(struct capture *c, struct cap_ring *r, uint64_t at, enum capture_type type,
	uint8_t arg, const void *a, uint32_t a_len, const void *b, uint32_t b_len)
{
	static const uint8_t zeros[8];
	uint32_t len = a_len + b_len;
	const struct capture_record head = {
		.type = (uint8_t)type,
		.arg = arg,
		.len = htole16((uint16_t)len),
		.seq = htole32(__atomic_fetch_add(&c->seq, 1, __ATOMIC_RELAXED)),
		.time_ns = htole64(clock_ns() - c->start_ns),
	};

	at = copy_in(r, at, &head, sizeof(head));
	at = copy_in(r, at, a, a_len);
	at = copy_in(r, at, b, b_len);
	return copy_in(r, at, zeros, CAPTURE_PAD(len) - len);
}

void cap_put(struct capture *c, enum capture_type type, uint8_t arg, const void *a, uint32_t a_len,
	const void *b, uint32_t b_len)
{
	uint32_t need = (uint32_t)sizeof(struct capture_record) + CAPTURE_PAD(a_len + b_len);
	const uint32_t extra = sizeof(struct capture_record) + sizeof(struct capture_dropped);
	struct cap_ring *r;
	uint64_t at, used;

	if (__atomic_load_n(&c->stopped, __ATOMIC_RELAXED))
		return;
	r = my_ring(c);
	if (!r) {
		__atomic_fetch_add(&c->lost, 1, __ATOMIC_RELAXED);
		return;
	}
	at = r->head;
	/* Acquire: the writer has read what is overwritten now. */
	used = at - __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE);
	if (CAP_RING_BYTES - used < need + extra) {
		__atomic_store_n(&r->dropped, r->dropped + 1, __ATOMIC_RELAXED);
		return;
	}
	if (r->dropped != r->told) {
		const struct capture_dropped d = {htole64(r->dropped - r->told)};

		at = put_at(c, r, at, CAPTURE_DROPPED, 0, &d, sizeof(d), NULL, 0);
		r->told = r->dropped;
	}
	at = put_at(c, r, at, type, arg, a, a_len, b, b_len);
	/* Release: the record is whole before it can be seen. */
	__atomic_store_n(&r->head, at, __ATOMIC_RELEASE);
}

/* --- taking --- */

static void copy_out(const struct cap_ring *r, uint64_t at, void *to, uint32_t len)
{
	uint32_t in = (uint32_t)(at & (CAP_RING_BYTES - 1)), first = MIN(len, CAP_RING_BYTES - in);

	memcpy(to, r->buf + in, first);
	if (len > first)
		memcpy((uint8_t *)to + first, r->buf, len - first);
}

uint32_t cap_ring_take(struct cap_ring *r, uint8_t *to)
{
	struct capture_record head;
	uint32_t len;

	/* Acquire: what was put before head moved. */
	if (__atomic_load_n(&r->head, __ATOMIC_ACQUIRE) == r->tail)
		return 0;
	copy_out(r, r->tail, &head, sizeof(head));
	len = (uint32_t)sizeof(head) + CAPTURE_PAD(le16toh(head.len));
	copy_out(r, r->tail, to, len);
	/* Release: our reads are done before it is overwritten. */
	__atomic_store_n(&r->tail, r->tail + len, __ATOMIC_RELEASE);
	return len;
}
