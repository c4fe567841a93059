/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The file of a capture: header, writer, end. */
#include "capture.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"

#define END_BYTES (sizeof(struct capture_record) + sizeof(struct capture_end))

/* --- writing --- */

static int write_all(int fd, const uint8_t *p, size_t len)
{
	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* From now on nothing is taken: a hole in the middle would be worse than an end. */
static void give_up(struct capture *c, enum capture_why why, int error)
{
	__atomic_store_n(&c->stopped, true, __ATOMIC_RELAXED);
	c->why = why;
	c->fill = 0;
	if (why == CAPTURE_FULL)
		log_warn("%s: the capture %s has its largest size, %" PRIu64 " MiB: it ends here", c->pci.uri,
			c->path, c->max_bytes >> 20);
	else
		log_warn("%s: the capture %s cannot be written, it ends here: %s", c->pci.uri, c->path,
			strerror(-error));
}

static void flush(struct capture *c)
{
	int r = write_all(c->fd, c->out, c->fill);

	if (r < 0) {
		/* What is there of it must not stand in front of the end. */
		if (ftruncate(c->fd, (off_t)c->written) == 0)
			lseek(c->fd, (off_t)c->written, SEEK_SET);
		give_up(c, CAPTURE_FAILED, r);
		return;
	}
	c->crc = capture_crc(c->crc, c->out, c->fill);
	c->written += c->fill;
	c->fill = 0;
}

static void drain(struct capture *c)
{
	unsigned n = MIN(__atomic_load_n(&c->n_rings, __ATOMIC_ACQUIRE), CAP_RINGS);
	uint32_t len;

	for (unsigned i = 0; i < n && c->why == CAPTURE_CLOSED; i++)
		/* At most what fits: a thread that never stops must not keep the others waiting. */
		for (unsigned k = 0; k < 4096; k++) {
			if (c->fill + CAP_RECORD_MAX > sizeof(c->out))
				flush(c);
			if (c->why != CAPTURE_CLOSED)
				return;
			len = cap_ring_take(&c->ring[i], c->out + c->fill);
			if (!len)
				break;
			if (c->written + c->fill + len + END_BYTES > c->max_bytes) {
				flush(c);
				if (c->why == CAPTURE_CLOSED)
					give_up(c, CAPTURE_FULL, 0);
				return;
			}
			c->fill += len;
			c->records++;
		}
	if (c->fill)
		flush(c);
}

static void *writer(void *arg)
{
	struct capture *c = arg;

	while (!__atomic_load_n(&c->closing, __ATOMIC_ACQUIRE)) {
		drain(c);
		clock_sleep_ms(CAP_LOOK_MS);
	}
	return NULL;
}

/* --- open --- */

static int fill_header(const struct capture *c, struct capture_header *h)
{
	struct pci_dev *p = c->inner;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	*h = (struct capture_header){
		.major = htole16(CAPTURE_MAJOR),
		.minor = htole16(CAPTURE_MINOR),
		.header_len = htole32(sizeof(*h)),
		.realtime_ns = htole64((uint64_t)now.tv_sec * NS_PER_SEC + (uint64_t)now.tv_nsec),
		.vendor = htole16(p->id.vendor),
		.device = htole16(p->id.device),
		.subvendor = htole16(p->id.subvendor),
		.subdevice = htole16(p->id.subdevice),
		.class_rev = htole32(p->id.class_code << 8 | p->id.revision),
		.dma_page = htole64(p->dma_page),
		.n_iova = htole32(MIN(p->n_iova, CAPTURE_MAX_IOVA)),
		.program = "hbad " HBAD_VERSION,
	};
	memcpy(h->magic, CAPTURE_MAGIC, sizeof(h->magic));
	snprintf(h->transport, sizeof(h->transport), "%s", p->ops->name);
	for (unsigned i = 0; i < 3; i++)
		h->n_vectors[i] = htole32(p->n_vectors[PCI_IRQ_INTX + i]);
	for (unsigned i = 0; i < PCI_NUM_BARS; i++)
		h->bar_size[i] = htole64(p->bar[i].size);
	for (unsigned i = 0; i < p->n_iova && i < CAPTURE_MAX_IOVA; i++) {
		h->iova[i][0] = htole64(p->iova[i].first);
		h->iova[i][1] = htole64(p->iova[i].last);
	}
	for (unsigned i = 0; i < CAPTURE_CONFIG_SIZE; i += 4) {
		int r = p->ops->cfg_read(p, i, h->config + i, 4);

		if (r < 0)
			return r;
	}
	return 0;
}

static int cannot_create(const char *path, int error, struct err *e)
{
	bool kept_out = error == EROFS || error == EACCES || error == EPERM;

	return err_set(e, -error, "cannot create the capture %s: %s%s", path, strerror(error),
		kept_out ? "; the unit lets hbad write below /var/lib/hbad only" : "");
}

/* A capture of before is kept. Nothing else is moved out of the way: /dev/null, say. */
static int keep_older(const char *path, const char *old, struct err *e)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : cannot_create(path, errno, e);
	if (!S_ISREG(st.st_mode))
		return err_set(e, -EINVAL,
			"the capture cannot be %s, which is there and no file: name a file for it", path);
	if (rename(path, old) < 0 && errno != ENOENT)
		return err_set(e, -errno, "cannot keep the capture that is there already as %s: %m", old);
	return 0;
}

static int create(struct capture *c, const char *path, struct err *e)
{
	char old[sizeof(c->path) + sizeof(".old")];
	int r;

	if (strlen(path) >= sizeof(c->path))
		return err_set(e, -ENAMETOOLONG, "the capture's path is too long: %zu bytes at most",
			sizeof(c->path) - 1);
	strcpy(c->path, path);
	snprintf(old, sizeof(old), "%s.old", path);
	r = keep_older(path, old, e);
	if (r < 0)
		return r;
	/* Nobody else's file, whatever was put in the way since. */
	c->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return c->fd < 0 ? cannot_create(path, errno, e) : 0;
}

/* Signals are for the threads that wait for them. */
static int start_writer(struct capture *c)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&c->writer, NULL, writer, c);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	c->has_writer = r == 0;
	return -r;
}

int cap_file_open(struct capture *c, const char *path, struct err *e)
{
	struct capture_header h;
	int r = fill_header(c, &h);

	if (r < 0)
		return err_set(
			e, r, "%s: configuration space cannot be read: %s", c->inner->uri, strerror(-r));
	r = create(c, path, e);
	if (r < 0)
		return r;
	r = write_all(c->fd, (const uint8_t *)&h, sizeof(h));
	if (r < 0) {
		unlink(path);
		return err_set(e, r, "cannot write the capture %s: %s", path, strerror(-r));
	}
	c->crc = capture_crc(0, &h, sizeof(h));
	c->written = sizeof(h);
	r = start_writer(c);
	return r < 0 ? err_set(e, r, "cannot start a thread: %s", strerror(-r)) : 0;
}

/* --- close --- */

static uint64_t count_dropped(const struct capture *c)
{
	uint64_t n = __atomic_load_n(&c->lost, __ATOMIC_RELAXED);

	for (unsigned i = 0; i < CAP_RINGS; i++)
		n += __atomic_load_n(&c->ring[i].dropped, __ATOMIC_RELAXED);
	return n;
}

static void write_end(struct capture *c)
{
	uint64_t dropped = count_dropped(c);
	struct {
		struct capture_record head;
		struct capture_end end;
	} last = {
		.head = {.type = CAPTURE_END,
			.len = htole16(sizeof(last.end)),
			.seq = htole32(c->seq),
			.time_ns = htole64(clock_ns() - c->start_ns)},
		.end = {.records = htole64(c->records),
			.dropped = htole64(dropped),
			.crc = htole32(c->crc),
			.why = htole32(c->why)},
	};

	if (write_all(c->fd, (const uint8_t *)&last, sizeof(last)) < 0)
		log_warn("%s: the end of the capture %s cannot be written: 'hba-emu --partial' takes it",
			c->pci.uri, c->path);
	if (dropped)
		log_warn("%s: %" PRIu64 " records are missing in the capture %s: the disk was too slow",
			c->pci.uri, dropped, c->path);
}

void cap_file_close(struct capture *c)
{
	if (c->has_writer) {
		__atomic_store_n(&c->closing, true, __ATOMIC_RELEASE);
		pthread_join(c->writer, NULL);
		/* Nobody puts anything any more; a full ring needs several turns. */
		for (unsigned i = 0; i <= CAP_RINGS; i++)
			drain(c);
		write_end(c);
	}
	hb_close(&c->fd);
}
