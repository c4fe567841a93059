/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The uio device of a TCMU backstore. */
#include "priv.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"

static void *uio_map(int fd, uint64_t len, uint64_t offset)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);

	if (p == MAP_FAILED)
		return NULL;
	/* A child that kept the mapping would keep the device open: EBUSY for the next owner (hazard H19). */
	madvise(p, len, MADV_DONTFORK);
	return p;
}

/* The kernel hands out the event count in exactly four bytes, and forgets the event by it. */
static int uio_ack(int fd)
{
	uint32_t count;
	ssize_t n;

	do {
		n = read(fd, &count, sizeof(count));
	} while (n < 0 && errno == EINTR);
	if (n == sizeof(count))
		return 0;
	return n < 0 ? -errno : -EIO;
}

static int uio_kick(int fd)
{
	int32_t on = 0; /* value means nothing to TCMU */
	ssize_t n;

	do {
		n = write(fd, &on, sizeof(on));
	} while (n < 0 && errno == EINTR);
	if (n == sizeof(on))
		return 0;
	return n < 0 ? -errno : -EIO;
}

const struct front_os front_os_uio = {
	.map = uio_map,
	.ack = uio_ack,
	.kick = uio_kick,
	.now = clock_ns,
};
