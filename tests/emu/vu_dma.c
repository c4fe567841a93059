/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The client's memory. */
#include "vu_dma.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* One file of the client, mapped from 0 to as far as any region needed. */
struct vu_file {
	struct list link;
	dev_t dev;
	ino_t ino;
	uint8_t *base;
	uint64_t len;
	bool writeable;
	uint32_t refs;
};

void vu_dma_init(struct vu_dma *d)
{
	*d = (struct vu_dma){0};
	list_init(&d->files);
}

static void put_file(struct vu_file *f)
{
	if (!f || --f->refs)
		return;
	munmap(f->base, f->len);
	list_remove(&f->link);
	free(f);
}

void vu_dma_clear(struct vu_dma *d)
{
	for (uint32_t i = 0; i < d->n; i++)
		put_file(d->region[i].file);
	free(d->region);
	vu_dma_init(d);
}

static int map_file(struct vu_file *f, int fd, uint64_t len)
{
	int prot = PROT_READ | PROT_WRITE;
	void *p = mmap(NULL, len, prot, MAP_SHARED, fd, 0);

	f->writeable = p != MAP_FAILED;
	if (p == MAP_FAILED)
		p = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	f->base = p;
	f->len = len;
	return 0;
}

/* The file grew since it was mapped: regions point by offset, so the place may change. */
static int grow_file(struct vu_file *f, int fd, uint64_t len)
{
	struct vu_file old = *f;
	int r = map_file(f, fd, len);

	if (r < 0) {
		*f = old;
		return r;
	}
	munmap(old.base, old.len);
	return 0;
}

static int get_file(struct vu_dma *d, int fd, uint64_t end, struct vu_file **ret)
{
	struct stat st;
	struct vu_file *f;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_size < end)
		return -EINVAL;
	list_for_each(pos, &d->files) {
		f = container_of(pos, struct vu_file, link);
		if (f->dev != st.st_dev || f->ino != st.st_ino)
			continue;
		r = f->len < end ? grow_file(f, fd, (uint64_t)st.st_size) : 0;
		f->refs += r == 0;
		*ret = f;
		return r;
	}
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	r = map_file(f, fd, (uint64_t)st.st_size);
	if (r < 0) {
		free(f);
		return r;
	}
	f->dev = st.st_dev;
	f->ino = st.st_ino;
	f->refs = 1;
	list_append(&d->files, &f->link);
	*ret = f;
	return 0;
}

/* Index of the first region that ends behind addr. */
static uint32_t find(const struct vu_dma *d, uint64_t addr)
{
	uint32_t lo = 0, hi = d->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (d->region[mid].addr + (d->region[mid].size - 1) < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static int make_room(struct vu_dma *d)
{
	uint32_t cap = d->cap ? d->cap * 2 : 64;
	struct vu_region *bigger;

	if (d->n < d->cap)
		return 0;
	if (d->n >= VU_DEFAULT_MAX_MAPS)
		return -ENOSPC;
	bigger = realloc(d->region, cap * sizeof(*bigger));
	if (!bigger)
		return -ENOMEM;
	d->region = bigger;
	d->cap = cap;
	return 0;
}

int vu_dma_map(struct vu_dma *d, const struct vu_dma_map *m, int fd)
{
	struct vu_region new = {
		m->addr, m->size, m->offset, m->flags & (VU_DMA_READABLE | VU_DMA_WRITEABLE), NULL};
	uint32_t at = find(d, m->addr);
	int r;

	if (!m->size || m->addr + (m->size - 1) < m->addr || m->offset + m->size < m->offset || !new.flags)
		return -EINVAL;
	if (at < d->n && d->region[at].addr == m->addr && d->region[at].size == m->size) {
		/* The newer one counts. */
		r = fd >= 0 ? get_file(d, fd, m->offset + m->size, &new.file) : 0;
		if (r < 0)
			return r;
		put_file(d->region[at].file);
		d->region[at] = new;
		return 1;
	}
	if (at < d->n && d->region[at].addr <= m->addr + (m->size - 1))
		return -EEXIST;
	r = make_room(d);
	if (r == 0 && fd >= 0)
		r = get_file(d, fd, m->offset + m->size, &new.file);
	if (r < 0)
		return r;
	memmove(&d->region[at + 1], &d->region[at], (d->n - at) * sizeof(new));
	d->region[at] = new;
	d->n++;
	return 0;
}

/*
 * All mappings in the range go, as with the kernel's VFIO: when a guest lets go of its container, QEMU unmaps the whole
 * range of the virtual IOMMU at once, and it held thousands of pages.
 */
int vu_dma_unmap(struct vu_dma *d, uint64_t addr, uint64_t size)
{
	uint32_t at = find(d, addr), end = at;

	if (!size || addr + (size - 1) < addr)
		return -EINVAL;
	for (; end < d->n && d->region[end].addr <= addr + (size - 1); end++)
		if (d->region[end].addr < addr ||
			d->region[end].addr + (d->region[end].size - 1) > addr + (size - 1))
			return -EINVAL;
	if (at == end)
		return -ENOENT;
	for (uint32_t i = at; i < end; i++)
		put_file(d->region[i].file);
	memmove(&d->region[at], &d->region[end], (d->n - end) * sizeof(d->region[0]));
	d->n -= end - at;
	return 0;
}

/* --- access --- */

/* A client may shrink a file that is mapped here. That costs the access, not the emulator. */
static sigjmp_buf bus_error;
static volatile sig_atomic_t guarded;

static void on_sigbus(int sig)
{
	if (guarded)
		siglongjmp(bus_error, 1);
	signal(sig, SIG_DFL);
	raise(sig);
}

/* A naturally aligned word goes over the bus in one piece, and once: memcpy() may well store its bytes twice, and
 * the second time over what the host has put there after the first. */
static void move(void *to, const void *from, uint32_t len)
{
	uint64_t v64;
	uint32_t v32;
	uint16_t v16;

	if (len == sizeof(v64) && (uintptr_t)to % sizeof(v64) == 0) {
		memcpy(&v64, from, sizeof(v64));
		__atomic_store_n((uint64_t *)to, v64, __ATOMIC_RELAXED);
	} else if (len == sizeof(v32) && (uintptr_t)to % sizeof(v32) == 0) {
		memcpy(&v32, from, sizeof(v32));
		__atomic_store_n((uint32_t *)to, v32, __ATOMIC_RELAXED);
	} else if (len == sizeof(v16) && (uintptr_t)to % sizeof(v16) == 0) {
		memcpy(&v16, from, sizeof(v16));
		__atomic_store_n((uint16_t *)to, v16, __ATOMIC_RELAXED);
	} else {
		memcpy(to, from, len);
	}
}

static int guarded_copy(void *to, const void *from, uint32_t len)
{
	static bool installed;

	if (!installed) {
		struct sigaction sa = {.sa_handler = on_sigbus, .sa_flags = SA_NODEFER};

		installed = sigaction(SIGBUS, &sa, NULL) == 0;
	}
	if (sigsetjmp(bus_error, 0)) {
		guarded = 0;
		return -EFAULT;
	}
	guarded = 1;
	/* The host's driver reads what the device has written in the order it was written, and the other way round. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	move(to, from, len);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	guarded = 0;
	return 0;
}

static int by_message(struct vu_conn *c, uint64_t addr, uint8_t *buf, uint32_t len, bool to_client)
{
	struct vu_dma_access a = {addr, len};
	struct vu_msg *m = NULL;
	int r = vu_conn_call(
		c, to_client ? VU_DMA_WRITE : VU_DMA_READ, &a, sizeof(a), buf, to_client ? len : 0, &m);

	if (r < 0)
		return -EFAULT;
	if (!to_client && m->len == sizeof(a) + len)
		memcpy(buf, m->data + sizeof(a), len);
	else if (!to_client)
		r = -EFAULT;
	vu_msg_free(m);
	return r;
}

static int in_region(struct vu_conn *c, const struct vu_region *g, uint64_t addr, uint8_t *buf, uint32_t len,
	bool to_client)
{
	uint8_t *p;

	if (!(g->flags & (to_client ? VU_DMA_WRITEABLE : VU_DMA_READABLE)))
		return -EFAULT;
	if (!g->file) {
		for (uint32_t done = 0, part; done < len; done += part) {
			part = MIN(len - done, c->peer_max_xfer);
			if (by_message(c, addr + done, buf + done, part, to_client) < 0)
				return -EFAULT;
		}
		return 0;
	}
	if (to_client && !g->file->writeable)
		return -EFAULT;
	p = g->file->base + g->offset + (addr - g->addr);
	return to_client ? guarded_copy(p, buf, len) : guarded_copy(buf, p, len);
}

/* Is all of it mapped, in the wanted direction? Looked at before a byte moves. */
static bool reachable(const struct vu_dma *d, uint64_t addr, uint32_t len, bool to_client, uint64_t *ret_at)
{
	uint32_t i = find(d, addr);

	*ret_at = addr;
	if (addr + (len - 1) < addr)
		return false;
	for (uint64_t end = addr + (len - 1);; i++) {
		if (i == d->n || d->region[i].addr > *ret_at ||
			!(d->region[i].flags & (to_client ? VU_DMA_WRITEABLE : VU_DMA_READABLE)))
			return false;
		if (d->region[i].addr + (d->region[i].size - 1) >= end)
			return true;
		*ret_at = d->region[i].addr + d->region[i].size;
	}
}

int vu_dma_move(struct vu_dma *d, struct vu_conn *c, uint64_t addr, void *buf, uint32_t len, bool to_client,
	uint64_t *ret_at)
{
	uint8_t *at = buf;

	if (!len)
		return 0;
	if (!reachable(d, addr, len, to_client, ret_at))
		return -EFAULT;
	for (uint32_t i = find(d, addr); len; i++) {
		const struct vu_region *g = &d->region[i];
		uint32_t part = (uint32_t)MIN((uint64_t)len, g->size - (addr - g->addr));

		*ret_at = addr;
		if (in_region(c, g, addr, at, part, to_client) < 0)
			return -EFAULT;
		addr += part;
		at += part;
		len -= part;
	}
	return 0;
}
