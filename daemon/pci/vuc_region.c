/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vfio-user: regions. What can be mapped is mapped, all else goes by messages. */
#include "vuc.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "barguard.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "cfgspace.h"
#include "vfio.h"

#define INFO_MAX 4096 /* 250 areas of a sparse region */

/* --- what there is --- */

/* May it be mapped without giving the server power over us? A file that shrinks below a mapping is SIGBUS, so
 * only files whose size is sealed are. */
static bool safe_to_map(int fd, uint64_t off, uint64_t len)
{
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);

	return seals >= 0 && seals & F_SEAL_SHRINK && fstat(fd, &st) == 0 && st.st_size >= 0 &&
	       off <= (uint64_t)st.st_size && len <= (uint64_t)st.st_size - off;
}

/* Bytes from the region's begin. */
static int mappable(const struct vu_region_info *info, const uint8_t *buf, size_t len, uint64_t *ret)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), n = info->size;
	int off = -ENOENT, r = 0;

	if (info->flags & VFIO_REGION_INFO_FLAG_CAPS)
		off = vfio_cap_find(buf, len, info->cap_offset, VFIO_REGION_INFO_CAP_SPARSE_MMAP);
	if (off >= 0)
		r = vfio_cap_sparse(buf, len, (size_t)off, info->size, &n);
	else if (off != -ENOENT)
		r = off;
	n = MIN(n, (uint64_t)VUC_MAX_BAR_MAP);
	*ret = n < info->size ? n & ~(page - 1) : n;
	return r;
}

static int judge_region(struct vuc_dev *v, const struct vu_region_info *info, const uint8_t *buf, size_t len,
	struct vuc_region *g)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	int r;

	*g = (struct vuc_region){.size = info->size, .off = info->offset, .flags = info->flags, .fd = g->fd};
	if (!(info->flags & VFIO_REGION_INFO_FLAG_MMAP) || g->fd < 0)
		return 0;
	r = mappable(info, buf, len, &g->mappable);
	if (r < 0)
		return r;
	if (!g->mappable || (g->off & (page - 1)) || !safe_to_map(g->fd, g->off, g->mappable)) {
		log_debug("%s: region %u is not mapped: its file could shrink, or is too short", v->pci.uri,
			info->index);
		g->mappable = 0;
	}
	return 0;
}

static int read_region(struct vuc_dev *v, uint32_t index, struct vuc_region *ret, struct err *e)
{
	_Alignas(8) uint8_t buf[INFO_MAX] = {0};
	struct vu_region_info info = {.argsz = INFO_MAX, .index = index};
	const struct vuc_msg m = {.cmd = VU_DEVICE_GET_REGION_INFO, .head = &info, .head_len = sizeof(info)};
	struct vuc_region g = {.fd = -1};
	const struct vuc_answer a = {.buf = buf, .min = sizeof(info), .max = sizeof(buf), .ret_fd = &g.fd};
	int r = vuc_call(v, &m, &a, v->times->access_ms);

	if (r < 0)
		return vuc_error(v, r, e, "information on a region");
	memcpy(&info, buf, sizeof(info));
	if (info.index != index || info.argsz > (uint32_t)r || info.size > INT64_MAX ||
		info.offset > INT64_MAX)
		r = -EBADMSG;
	else
		r = judge_region(v, &info, buf, (size_t)r, &g);
	if (r < 0) {
		hb_close(&g.fd);
		return err_set(e, -EBADMSG, "%s: what the server says about region %u makes no sense",
			v->pci.uri, index);
	}
	if (!g.mappable)
		hb_close(&g.fd);
	*ret = g;
	return 0;
}

int vuc_regions_read(struct vuc_dev *v, struct err *e)
{
	int r = read_region(v, VFIO_PCI_CONFIG_REGION_INDEX, &v->cfg, e);

	if (r == 0 && v->cfg.size < 64)
		r = err_set(e, -EBADMSG, "%s: the server's device has no configuration space", v->pci.uri);
	for (unsigned i = 0; r == 0 && i < PCI_NUM_BARS; i++) {
		r = read_region(v, VFIO_PCI_BAR0_REGION_INDEX + i, &v->bar[i], e);
		if (r < 0 || !v->bar[i].size)
			continue;
		r = cfgspace_bar_is_io(&v->pci, i, &v->pci.bar[i].is_io);
		if (r < 0)
			return vuc_error(v, r, e, "a read of configuration space");
		v->pci.bar[i].size = v->bar[i].size;
	}
	return r;
}

/* --- by messages --- */

int vuc_region_read(struct vuc_dev *v, uint32_t index, uint64_t off, void *buf, uint32_t len)
{
	const struct vu_region_access want = {off, index, len};
	struct {
		struct vu_region_access head;
		uint8_t data[8];
	} got;
	const struct vuc_msg m = {.cmd = VU_REGION_READ, .head = &want, .head_len = sizeof(want)};
	const struct vuc_answer a = {
		.buf = &got, .min = sizeof(got.head) + len, .max = sizeof(got.head) + len};
	int r;

	assert(len <= sizeof(got.data));
	r = vuc_call(v, &m, &a, v->times->access_ms);
	if (r < 0)
		return r;
	if (memcmp(&got.head, &want, sizeof(want)) != 0)
		return vuc_fail(v, "the server answered another read than that of region %u", index);
	memcpy(buf, got.data, len);
	return 0;
}

int vuc_region_write(
	struct vuc_dev *v, uint32_t index, uint64_t off, const void *buf, uint32_t len, bool posted)
{
	const struct vu_region_access want = {off, index, len};
	struct vu_region_access got;
	const struct vuc_msg m = {.cmd = VU_REGION_WRITE,
		.head = &want,
		.head_len = sizeof(want),
		.data = buf,
		.data_len = len};
	const struct vuc_answer a = {.buf = &got, .min = sizeof(got), .max = sizeof(got)};
	int r;

	if (posted)
		return vuc_post(v, &m);
	r = vuc_call(v, &m, &a, v->times->access_ms);
	if (r < 0)
		return r;
	if (memcmp(&got, &want, sizeof(want)) != 0)
		return vuc_fail(v, "the server answered another write than that of region %u", index);
	return 0;
}

static bool in_bar(const struct vuc_region *g, uint64_t off, unsigned len)
{
	return g->size >= len && off <= g->size - len;
}

uint32_t vuc_bar_read_part(struct pci_dev *dev, unsigned n, uint64_t off, unsigned len)
{
	struct vuc_dev *v = vuc_of(dev);
	uint32_t val = 0;

	if (!in_bar(&v->bar[n], off, len) ||
		vuc_region_read(v, VFIO_PCI_BAR0_REGION_INDEX + n, off, &val, len) < 0)
		return UINT32_MAX;
	return le32toh(val);
}

void vuc_bar_write_part(struct pci_dev *dev, unsigned n, uint64_t off, uint32_t val, unsigned len)
{
	struct vuc_dev *v = vuc_of(dev);
	uint32_t le = htole32(val);

	/* Posted, as on a bus: who needs to know reads afterwards, and gets all ones. */
	if (in_bar(&v->bar[n], off, len))
		vuc_region_write(v, VFIO_PCI_BAR0_REGION_INDEX + n, off, &le, len, true);
}

void vuc_bar_write64(struct pci_dev *dev, unsigned n, uint64_t off, uint64_t val)
{
	struct vuc_dev *v = vuc_of(dev);
	uint64_t le = htole64(val);

	if (in_bar(&v->bar[n], off, sizeof(le)))
		vuc_region_write(v, VFIO_PCI_BAR0_REGION_INDEX + n, off, &le, sizeof(le), true);
}

/* One message, which the server takes as a whole. */
bool vuc_bar_whole64(struct pci_dev *dev, unsigned n, uint64_t off)
{
	return in_bar(&vuc_of(dev)->bar[n], off, sizeof(uint64_t));
}

uint32_t vuc_bar_read32(struct pci_dev *dev, unsigned n, uint64_t off)
{
	return vuc_bar_read_part(dev, n, off, sizeof(uint32_t));
}

void vuc_bar_write32(struct pci_dev *dev, unsigned n, uint64_t off, uint32_t val)
{
	vuc_bar_write_part(dev, n, off, val, sizeof(uint32_t));
}

/* --- by mapping --- */

int vuc_map_bar(struct pci_dev *dev, unsigned n, struct err *e)
{
	struct vuc_dev *v = vuc_of(dev);
	struct vuc_region *g = &v->bar[n];
	bool dead;
	void *p;

	/* Locked against the connection's end: a BAR is mapped before it, and replaced, or not at all. */
	pthread_mutex_lock(&v->lock);
	dead = v->dead;
	if (!dead && g->mappable) {
		/* Both directions whatever the flags say: the replacement must not fault either. */
		p = mmap(NULL, g->mappable, PROT_READ | PROT_WRITE, MAP_SHARED, g->fd, (off_t)g->off);
		/* A file that cannot be mapped like that (of huge pages, say) costs speed only. */
		if (p != MAP_FAILED) {
			dev->bar[n].map = p;
			dev->bar[n].map_len = g->mappable;
			/* The file cannot shrink, but its file system may be full. */
			barguard_add(p, g->mappable, v->end_fd);
		}
	}
	pthread_mutex_unlock(&v->lock);
	return dead ? vuc_error(v, -ENODEV, e, "a mapping") : 0;
}

void vuc_unmap_bars(struct vuc_dev *v)
{
	for (unsigned i = 0; i < PCI_NUM_BARS; i++) {
		struct pci_bar *b = &v->pci.bar[i];

		if (b->map)
			barguard_remove(b->map);
		if (b->map)
			munmap((void *)(uintptr_t)b->map, b->map_len);
		b->map = NULL;
		b->map_len = 0;
		hb_close(&v->bar[i].fd);
	}
	hb_close(&v->cfg.fd);
}

void vuc_blank_bars(struct vuc_dev *v)
{
	for (unsigned i = 0; i < PCI_NUM_BARS; i++) {
		struct pci_bar *b = &v->pci.bar[i];
		void *ones;

		if (!b->map)
			continue;
		ones = mmap(NULL, b->map_len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (ones == MAP_FAILED)
			continue; /* registers then keep their last values; the event and the calls tell */
		memset(ones, 0xff, b->map_len);
		/* In one step: who reads at this moment gets the old or the new page, never a fault. */
		if (mremap(ones, b->map_len, b->map_len, MREMAP_MAYMOVE | MREMAP_FIXED,
			    (void *)(uintptr_t)b->map) == MAP_FAILED)
			munmap(ones, b->map_len);
	}
}
