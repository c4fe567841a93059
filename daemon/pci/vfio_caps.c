/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Capability chains behind VFIO's info structs. The kernel wrote them, but another version of it than we
 * know. */
#include "vfio.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define INFO_MAX     65536u
#define CHAIN_MAX    64
#define SPARSE_FIRST offsetof(struct vfio_region_info_cap_sparse_mmap, areas)
#define IOVA_FIRST   offsetof(struct vfio_iommu_type1_info_cap_iova_range, iova_ranges)

static_assert(sizeof(struct vfio_info_cap_header) == 8, "id, version, next");
static_assert(SPARSE_FIRST == 16 && sizeof(struct vfio_region_sparse_mmap_area) == 16, "uapi layout");
static_assert(IOVA_FIRST == 16 && sizeof(struct vfio_iova_range) == 16, "uapi layout");

int vfio_info(const struct vfio_sys *sys, int fd, unsigned long request, const void *init, uint32_t init_len,
	uint8_t **ret)
{
	uint32_t len = init_len, argsz;

	/* The first call says how much there is; a second gets it. A third if it grew in between. */
	for (int i = 0; i < 4; i++) {
		hb_autofree uint8_t *buf = calloc(1, len);

		if (!buf)
			return -ENOMEM;
		memcpy(buf, init, init_len);
		memcpy(buf, &len, sizeof(len));
		if (sys->ioctl(fd, request, buf) < 0)
			return -errno;
		memcpy(&argsz, buf, sizeof(argsz));
		if (argsz <= len) {
			*ret = TAKE_PTR(buf);
			return (int)len;
		}
		if (argsz > INFO_MAX)
			return -EBADMSG;
		len = argsz;
	}
	return -EBADMSG;
}

int vfio_cap_find(const uint8_t *buf, size_t len, uint32_t first, uint16_t id)
{
	uint32_t off = first;

	for (unsigned i = 0; off; i++) {
		struct vfio_info_cap_header h;

		if (i == CHAIN_MAX || off > len || len - off < sizeof(h))
			return -EBADMSG;
		memcpy(&h, buf + off, sizeof(h));
		if (h.id == id)
			return (int)off;
		off = h.next;
	}
	return -ENOENT;
}

/* Number of entries at off + first, which must all lie in the buffer. */
static int entries(const uint8_t *buf, size_t len, size_t off, size_t first, size_t entry, uint32_t *ret)
{
	uint32_t n;

	if (off > len || len - off < first)
		return -EBADMSG;
	memcpy(&n, buf + off + sizeof(struct vfio_info_cap_header), sizeof(n));
	if (n > (len - off - first) / entry)
		return -EBADMSG;
	*ret = n;
	return 0;
}

int vfio_cap_sparse(const uint8_t *buf, size_t len, size_t off, uint64_t size, uint64_t *ret)
{
	uint64_t end = 0;
	bool grew = true;
	uint32_t n;
	int r = entries(buf, len, off, SPARSE_FIRST, sizeof(struct vfio_region_sparse_mmap_area), &n);

	if (r < 0)
		return r;
	/* Areas come in any order: go on as long as one of them continues what we have. */
	while (grew) {
		grew = false;
		for (uint32_t i = 0; i < n; i++) {
			struct vfio_region_sparse_mmap_area a;

			memcpy(&a, buf + off + SPARSE_FIRST + i * sizeof(a), sizeof(a));
			if (a.offset > end || a.offset > size || a.size > size - a.offset ||
				a.offset + a.size <= end)
				continue;
			end = a.offset + a.size;
			grew = true;
		}
	}
	*ret = end;
	return 0;
}

static int by_first(const void *a, const void *b)
{
	const struct pci_iova_range *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

int vfio_cap_iova(
	const uint8_t *buf, size_t len, size_t off, struct pci_iova_range *ret, unsigned cap, unsigned *ret_n)
{
	hb_autofree struct pci_iova_range *all = NULL;
	unsigned out = 0;
	uint32_t n;
	int r = entries(buf, len, off, IOVA_FIRST, sizeof(struct vfio_iova_range), &n);

	if (r < 0)
		return r;
	all = calloc(n ? n : 1, sizeof(*all));
	if (!all)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		struct vfio_iova_range k;

		memcpy(&k, buf + off + IOVA_FIRST + i * sizeof(k), sizeof(k));
		if (k.start > k.end)
			return -EBADMSG;
		all[i] = (struct pci_iova_range){k.start, k.end};
	}
	qsort(all, n, sizeof(*all), by_first);
	for (uint32_t i = 0; i < n; i++) {
		if (out && (ret[out - 1].last == UINT64_MAX || all[i].first <= ret[out - 1].last + 1))
			ret[out - 1].last = MAX(ret[out - 1].last, all[i].last);
		else if (out < cap)
			ret[out++] = all[i];
		else
			break;
	}
	*ret_n = out;
	return 0;
}
