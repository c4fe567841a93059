/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vfio-user: our memory for the server's device: by descriptor, and by messages where the server wants those. */
#include "vuc.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* What an IOMMU of today reaches; nothing above is of use to a device that is to be like a real one. */
#define IOVA_LAST ((UINT64_C(1) << 48) - 1)

void vuc_dma_limits(struct vuc_dev *v)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	v->pci.dma_page = MAX(page, v->caps.pgsizes & -v->caps.pgsizes);
	v->pci.dma_map_limit = (uint32_t)MIN(v->caps.max_maps, (uint64_t)VUC_MAX_MAPS);
	v->pci.iova[0] = (struct pci_iova_range){0, IOVA_LAST};
	v->pci.n_iova = 1;
	v->pci.dma_unpinned = true;
}

/* --- the table of what is mapped --- */

static bool overlaps(const struct vuc_map *m, uint64_t iova, uint64_t size)
{
	return iova < m->iova + m->size && m->iova < iova + size;
}

static int table_add(struct vuc_dev *v, uint64_t iova, uint64_t size, void *cpu)
{
	int r;

	pthread_mutex_lock(&v->maps_lock);
	r = v->n_maps == v->pci.dma_map_limit ? -ENOSPC : 0;
	for (unsigned i = 0; r == 0 && i < v->n_maps; i++)
		if (overlaps(&v->map[i], iova, size))
			r = -EEXIST;
	if (r == 0)
		v->map[v->n_maps++] = (struct vuc_map){iova, size, cpu};
	pthread_mutex_unlock(&v->maps_lock);
	return r;
}

static int table_remove(struct vuc_dev *v, uint64_t iova, uint64_t size)
{
	int r = -EINVAL;

	/* The reader copies with this lock held: afterwards it does not touch the memory any more. */
	pthread_mutex_lock(&v->maps_lock);
	for (unsigned i = 0; r < 0 && i < v->n_maps; i++)
		if (v->map[i].iova == iova && v->map[i].size == size) {
			v->map[i] = v->map[--v->n_maps];
			r = 0;
		}
	pthread_mutex_unlock(&v->maps_lock);
	return r;
}

/* --- by descriptor --- */

static int map_error(struct vuc_dev *v, int r, uint64_t size, uint64_t iova, struct err *e)
{
	switch (r) {
	case -ENODEV:
		return vuc_error(v, r, e, "a mapping");
	case -ENOSPC:
		return err_set(e, r, "%s: the server takes no more than %u mappings", v->pci.uri,
			v->pci.dma_map_limit);
	default:
		return err_set(e, r, "%s: mapping %llu KiB at device address %#llx failed: %s", v->pci.uri,
			(unsigned long long)size / 1024, (unsigned long long)iova, strerror(-r));
	}
}

int vuc_dma_map(struct pci_dev *dev, void *vaddr, uint64_t size, uint64_t iova, int memfd, uint64_t offset,
	struct err *e)
{
	struct vuc_dev *v = vuc_of(dev);
	const struct vu_dma_map map = {
		.argsz = sizeof(map),
		.flags = VU_DMA_READABLE | VU_DMA_WRITEABLE,
		.offset = memfd < 0 ? 0 : offset,
		.addr = iova,
		.size = size,
	};
	const struct vuc_msg m = {.cmd = VU_DMA_MAP,
		.head = &map,
		.head_len = sizeof(map),
		.fds = &memfd,
		.n_fds = memfd < 0 ? 0 : 1};
	int r = size && size <= IOVA_LAST && iova <= IOVA_LAST - size + 1 ? 0 : -EINVAL;

	/* Memory without a descriptor is all right: the server then sends DMA_READ and DMA_WRITE. */
	if (r == 0)
		r = table_add(v, iova, size, vaddr);
	if (r < 0)
		return map_error(v, r, size, iova, e);
	r = vuc_call(v, &m, NULL, v->times->access_ms);
	if (r < 0) {
		table_remove(v, iova, size);
		return map_error(v, r, size, iova, e);
	}
	return 0;
}

static int unmap(struct vuc_dev *v, uint64_t iova, uint64_t size)
{
	const struct vu_dma_unmap want = {.argsz = sizeof(want), .addr = iova, .size = size};
	const struct vuc_msg m = {.cmd = VU_DMA_UNMAP, .head = &want, .head_len = sizeof(want)};
	struct vu_dma_unmap got;
	const struct vuc_answer a = {.buf = &got, .min = sizeof(got), .max = sizeof(got)};
	int r = vuc_call(v, &m, &a, v->times->access_ms);

	if (r < 0)
		return r;
	if (got.addr != iova || got.size != size)
		return vuc_fail(v, "the server unmapped something else than it was told to");
	return 0;
}

int vuc_dma_unmap(struct pci_dev *dev, uint64_t iova, uint64_t size)
{
	struct vuc_dev *v = vuc_of(dev);
	/* First, and whatever the server says: our caller gives the memory away. */
	int r = table_remove(v, iova, size);

	return r < 0 ? r : unmap(v, iova, size);
}

void vuc_dma_unmap_all(struct vuc_dev *v)
{
	while (v->n_maps) {
		const struct vuc_map m = v->map[v->n_maps - 1];

		table_remove(v, m.iova, m.size);
		unmap(v, m.iova, m.size);
	}
}

/* --- by messages --- */

/* The mapping with addr in it. */
static const struct vuc_map *find_map(struct vuc_dev *v, uint64_t addr)
{
	for (unsigned i = 0; i < v->n_maps; i++)
		if (addr >= v->map[i].iova && addr - v->map[i].iova < v->map[i].size)
			return &v->map[i];
	return NULL;
}

/* All or nothing would need two passes; a real bus stops in the middle, too. */
static int copy(struct vuc_dev *v, uint64_t addr, uint8_t *data, uint64_t count, bool to_memory)
{
	int r = 0;

	pthread_mutex_lock(&v->maps_lock);
	while (count) {
		const struct vuc_map *m = find_map(v, addr);
		uint64_t n;

		if (!m) {
			r = EFAULT;
			break;
		}
		n = MIN(count, m->size - (addr - m->iova));
		memcpy(to_memory ? m->cpu + (addr - m->iova) : data,
			to_memory ? data : m->cpu + (addr - m->iova), n);
		addr += n;
		data += n;
		count -= n;
	}
	pthread_mutex_unlock(&v->maps_lock);
	return r;
}

int vuc_dma_serve(struct vuc_dev *v, const struct vu_header *h, uint32_t len)
{
	struct vu_dma_access a;
	struct vuc_msg m = {.cmd = h->cmd, .head = &a, .head_len = sizeof(a)};
	uint8_t *data = v->rx + sizeof(a);
	bool write = h->cmd == VU_DMA_WRITE;
	int error;

	if (len < sizeof(a))
		return vuc_reply(v, h, EINVAL, NULL);
	memcpy(&a, v->rx, sizeof(a));
	if (a.count > VU_CLIENT_MAX_XFER || len - sizeof(a) != (write ? a.count : 0))
		return vuc_reply(v, h, EINVAL, NULL);
	error = copy(v, a.addr, data, a.count, write);
	if (!write) {
		m.data = data;
		m.data_len = (uint32_t)a.count;
	}
	return vuc_reply(v, h, error, &m);
}
