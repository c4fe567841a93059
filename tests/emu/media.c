/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Media: a sparse file, or a sparse memfd. What is written here survives a power cut. */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct media {
	struct store store;
	int fd;
};

static int fd_of(struct store *s)
{
	return container_of(s, struct media, store)->fd;
}

static int media_read(struct store *s, uint64_t lba, uint32_t n, void *buf)
{
	size_t len = (size_t)n * s->block;

	for (size_t done = 0; done < len;) {
		ssize_t r = pread(fd_of(s), (char *)buf + done, len - done, (off_t)(lba * s->block + done));

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return r < 0 ? -errno : -EIO;
		done += (size_t)r;
	}
	return 0;
}

static int media_write(struct store *s, uint64_t lba, uint32_t n, const void *buf, bool through)
{
	size_t len = (size_t)n * s->block;

	for (size_t done = 0; done < len;) {
		ssize_t r = pwrite(
			fd_of(s), (const char *)buf + done, len - done, (off_t)(lba * s->block + done));

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		done += (size_t)r;
	}
	return 0;
}

static int media_flush(struct store *s)
{
	return 0; /* the emulated power fails, not the host's */
}

static int media_discard(struct store *s, uint64_t lba, uint64_t n)
{
	if (!n)
		return 0;
	return fallocate(fd_of(s), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(lba * s->block),
		       (off_t)(n * s->block)) < 0
		       ? -errno
		       : 0;
}

/* A file that is larger keeps its tail: it is somebody's data, and to cut many gigabytes off takes so long that a client gives
 * up whoever serves it (QEMU: 5 s). */
static int make_room(int fd, uint64_t bytes)
{
	struct stat st;

	if (fstat(fd, &st) < 0 || ((uint64_t)st.st_size < bytes && ftruncate(fd, (off_t)bytes) < 0))
		return -errno;
	return 0;
}

static int media_resize(struct store *s, uint64_t blocks)
{
	int r = make_room(fd_of(s), blocks * s->block);

	if (r == 0)
		s->blocks = blocks;
	return r;
}

static void media_power_cut(struct store *s, const struct cut *cut)
{
}

static void media_free(struct store *s)
{
	struct media *m = container_of(s, struct media, store);

	close(m->fd);
	free(m);
}

static const struct store_ops media_ops = {
	.read = media_read,
	.write = media_write,
	.flush = media_flush,
	.discard = media_discard,
	.resize = media_resize,
	.power_cut = media_power_cut,
	.free = media_free,
};

int media_open(const char *path, uint64_t blocks, uint32_t block, struct store **ret)
{
	struct media *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return -ENOMEM;
	m->fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600)
		     : memfd_create("hba-emu media", MFD_CLOEXEC);
	r = m->fd < 0 ? -errno : make_room(m->fd, blocks * block);
	if (r < 0)
		goto failed;
	m->store = (struct store){.ops = &media_ops, .blocks = blocks, .block = block};
	*ret = &m->store;
	return 0;
failed:
	if (m->fd >= 0)
		close(m->fd);
	free(m);
	return r;
}
