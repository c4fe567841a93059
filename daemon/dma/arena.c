/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Arenas: memory of a memfd, locked, mapped into the device's address space once. */
#include "dma.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "pci/memlock.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/* The system calls of set-up, so that tests can make each of them fail. All: -1 and errno. */
struct arena_sys {
	int (*memfd_create)(const char *name, unsigned flags);
	int (*ftruncate)(int fd, off_t len);
	int (*seal)(int fd, int seals);
	void *(*mmap)(void *addr, size_t len, int prot, int flags, int fd, off_t off);
	int (*mlock)(const void *addr, size_t len);
	int (*madvise)(void *addr, size_t len, int advice);
};

static int seal_memfd(int fd, int seals)
{
	return fcntl(fd, F_ADD_SEALS, seals);
}

static const struct arena_sys arena_linux = {
	.memfd_create = memfd_create,
	.ftruncate = ftruncate,
	.seal = seal_memfd,
	.mmap = mmap,
	.mlock = mlock,
	.madvise = madvise,
};

/* A memfd whose size nobody who gets the descriptor can change: a truncated one would be SIGBUS for us. */
static int open_memfd(
	const struct arena_sys *sys, const char *name, uint64_t size, int *ret_fd, struct err *e)
{
	hb_autoclose int fd = sys->memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return err_set(e, -errno, "cannot create a memory file: %m");
	if (sys->ftruncate(fd, (off_t)size) < 0)
		return err_set(e, -errno, "cannot size a memory file to %llu KiB: %m",
			(unsigned long long)size / 1024);
	if (sys->seal(fd, SEALS) < 0)
		return err_set(e, -errno, "cannot seal a memory file: %m");
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int lock_error(struct err *e, int err, uint64_t size)
{
	/* mlock and the IOMMU's pin count twice against one limit, so name the sum of both. */
	if (err == ENOMEM || err == EAGAIN || err == EPERM)
		return pci_memlock_error(e, -ENOMEM, 2 * size);
	errno = err;
	return err_set(e, -err, "cannot map %llu KiB: %m", (unsigned long long)size / 1024);
}

/* Present, locked, and not in children. Where nobody pins the pages, one that is swapped out costs time and no
 * more. */
static int map_memory(
	const struct arena_sys *sys, int fd, uint64_t size, bool may_swap, uint8_t **ret_cpu, struct err *e)
{
	uint8_t *cpu = sys->mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	int err;

	if (cpu == MAP_FAILED)
		return lock_error(e, errno, size);
	/* MAP_POPULATE fails silently; mlock faults in what is missing, or says that it cannot. */
	if ((sys->mlock(cpu, size) < 0 && !may_swap) || sys->madvise(cpu, size, MADV_DONTFORK) < 0) {
		err = errno;
		munmap(cpu, size);
		return lock_error(e, err, size);
	}
	*ret_cpu = cpu;
	return 0;
}

/* Finds an address and maps there. */
static int map_device(struct dma_arena *a, uint64_t align, uint64_t limit, struct err *e)
{
	struct dma_space *s = a->space;
	int r;

	if (s->maps >= s->maps_limit)
		return err_set(e, -ENOSPC,
			"all %u DMA mappings of the IOMMU container are in use "
			"(vfio_iommu_type1.dma_entry_limit)",
			s->maps_limit);
	r = iova_take(&s->iova, a->size, align, limit, &a->iova);
	if (r < 0)
		return err_set(e, r, "no room for %llu KiB below %#llx in the device's address space",
			(unsigned long long)a->size / 1024, (unsigned long long)limit);
	r = s->pci->ops->dma_map(s->pci, a->cpu, a->size, a->iova, a->memfd, 0, e);
	if (r < 0) {
		iova_put(&s->iova, a->iova, a->size);
		return r;
	}
	s->maps++;
	return 0;
}

static int arena_alloc(const struct arena_sys *sys, struct dma_space *s, const char *name, uint64_t size,
	uint64_t align, uint64_t limit, struct dma_arena *ret, struct err *e)
{
	uint64_t page = MAX(s->pci->dma_page, (uint64_t)sysconf(_SC_PAGESIZE));
	struct dma_arena a = {.space = s, .memfd = -1};
	int r;

	*ret = (struct dma_arena){.memfd = -1};
	if (!size || size > INT64_MAX / 4 || (align & (align - 1)))
		return err_set(e, -EINVAL, "arena %s: bad size or alignment", name);
	a.size = ALIGN_UP(size, page);
	r = open_memfd(sys, name, a.size, &a.memfd, e);
	if (r < 0)
		return err_prefix(e, r, "arena %s", name);
	r = map_memory(sys, a.memfd, a.size, s->pci->dma_unpinned, &a.cpu, e);
	if (r < 0)
		goto close_memfd;
	r = map_device(&a, MAX(align, page), limit, e);
	if (r < 0)
		goto unmap_memory;
	*ret = a;
	return 0;
unmap_memory:
	munmap(a.cpu, a.size);
close_memfd:
	hb_close(&a.memfd);
	return err_prefix(e, r, "arena %s", name);
}

int dma_arena_alloc(struct dma_space *s, const char *name, uint64_t size, uint64_t align, uint64_t limit,
	struct dma_arena *ret, struct err *e)
{
	return arena_alloc(&arena_linux, s, name, size, align, limit, ret, e);
}

static int check_kept(
	const struct dma_space *s, int memfd, uint64_t iova, uint64_t size, uint64_t limit, struct err *e)
{
	uint64_t page = MAX(s->pci->dma_page, (uint64_t)sysconf(_SC_PAGESIZE));
	int seals = fcntl(memfd, F_GET_SEALS), flags = fcntl(memfd, F_GETFL);
	struct stat st;

	if (seals < 0 || flags < 0 || fstat(memfd, &st) < 0)
		return err_set(e, -EBADF, "what was kept is no memory file: %m");
	/* Exactly these: F_SEAL_WRITE would make it memory that firmware writes to and we cannot. */
	if (seals != SEALS || (flags & O_ACCMODE) != O_RDWR || (uint64_t)st.st_size != size)
		return err_set(e, -EBADF,
			"what was kept is another file (%lld bytes, seals %xh), not one of %llu bytes",
			(long long)st.st_size, (unsigned)seals, (unsigned long long)size);
	if (!size || (size | iova) & (page - 1) || size - 1 > limit || iova > limit - (size - 1))
		return err_set(e, -EINVAL, "%llu bytes cannot be at %#llx", (unsigned long long)size,
			(unsigned long long)iova);
	return 0;
}

/* The mapping is there already, and says so; or it is not, and is made. */
static int map_kept(const struct dma_arena *a, struct err *e)
{
	const struct dma_space *s = a->space;
	struct err why = {""};
	int r = s->pci->ops->dma_map(s->pci, a->cpu, a->size, a->iova, a->memfd, 0, &why);

	return r < 0 && r != -EEXIST ? err_set(e, r, "%s", why.text) : 0;
}

int dma_arena_adopt(struct dma_space *s, const char *name, int *memfd, uint64_t iova, uint64_t size,
	uint64_t limit, struct dma_arena *ret, struct err *e)
{
	struct dma_arena a = {.space = s, .memfd = *memfd, .iova = iova, .size = size};
	int r = check_kept(s, *memfd, iova, size, limit, e);

	*ret = (struct dma_arena){.memfd = -1};
	if (r < 0)
		return err_prefix(e, r, "arena %s", name);
	r = iova_take_at(&s->iova, iova, size);
	if (r < 0)
		return err_set(e, r, "arena %s: %#llx is taken, or no address of the device", name,
			(unsigned long long)iova);
	r = map_memory(&arena_linux, a.memfd, size, s->pci->dma_unpinned, &a.cpu, e);
	if (r < 0)
		goto put_iova;
	r = map_kept(&a, e);
	if (r < 0)
		goto unmap_memory;
	/* The limit is what the container still took when it was asked, with this mapping there. */
	s->maps++;
	s->maps_limit++;
	*memfd = -1;
	*ret = a;
	return 0;
unmap_memory:
	munmap(a.cpu, size);
put_iova:
	iova_put(&s->iova, iova, size);
	return err_prefix(e, r, "arena %s", name);
}

void dma_arena_leave(struct dma_arena *a)
{
	if (!a->cpu)
		return;
	munmap(a->cpu, a->size);
	hb_close(&a->memfd);
	*a = (struct dma_arena){.memfd = -1};
}

void dma_arena_free(struct dma_arena *a)
{
	struct dma_space *s = a->space;

	if (!a->cpu)
		return;
	/* An address that the IOMMU would not let go of is never given out again. The memory can go: the
	 * kernel's pin keeps its pages from other users until the container is closed. */
	if (s->pci->ops->dma_unmap(s->pci, a->iova, a->size) == 0) {
		iova_put(&s->iova, a->iova, a->size);
		s->maps--;
	}
	munmap(a->cpu, a->size);
	hb_close(&a->memfd);
	*a = (struct dma_arena){.memfd = -1};
}
