/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The initiator's thread, and the uio device of its LUN. */
#include "ring_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/front/priv.h"

#define RETRY_NS  (20 * NS_PER_MS)
#define LUN_RESET 5

static struct ring_disk *disks[8];
static unsigned n_disks;

#define add(x) __atomic_add_fetch(&(x), 1, __ATOMIC_ACQ_REL)
#define get(x) __atomic_load_n(&(x), __ATOMIC_ACQUIRE)

/* --- in place of uio.c --- */

static struct ring_disk *disk_of(int fd)
{
	for (unsigned i = 0; i < n_disks; i++)
		if (get(disks[i]->fd) == fd)
			return disks[i];
	must(!"a descriptor of no ring");
	return NULL;
}

static void *os_map(int fd, uint64_t len, uint64_t offset)
{
	void *p =
		mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, disk_of(fd)->model.memfd, (off_t)offset);

	return p == MAP_FAILED ? NULL : p;
}

static int os_ack(int fd)
{
	uint32_t count;
	ssize_t n = read(fd, &count, sizeof(count));

	if (n == sizeof(count)) {
		model_acked(&disk_of(fd)->model);
		return 0;
	}
	return n < 0 && errno == EAGAIN ? -EAGAIN : -EIO;
}

static int os_kick(int fd)
{
	model_completions(&disk_of(fd)->model);
	return 0;
}

const struct front_os front_os_uio = {.map = os_map, .ack = os_ack, .kick = os_kick, .now = clock_ns};

/* --- what blocks hold --- */

static void stamp(uint8_t *p, unsigned disk, uint32_t lba, uint32_t generation)
{
	const uint32_t s[4] = {0x6c616e65, disk, lba, generation};

	for (unsigned i = 0; i < DISK_BLOCK; i += sizeof(s))
		memcpy(p + i, s, sizeof(s));
}

static uint32_t first_lba(const struct ring_disk *k, const struct disk_slot *s)
{
	return (uint32_t)(s - k->slot) * DISK_SLOT_MAX;
}

static bool is_right(const struct ring_disk *k, const struct disk_slot *s)
{
	static const uint8_t zeros[DISK_BLOCK];
	uint8_t want[DISK_BLOCK];

	for (uint32_t i = 0; i < s->c->len / DISK_BLOCK; i++) {
		stamp(want, k->index, first_lba(k, s) + i, s->acked);
		if (memcmp(s->c->buf + i * DISK_BLOCK, s->acked ? want : zeros, DISK_BLOCK) != 0)
			return false;
	}
	return true;
}

/* --- commands --- */

static struct model_cmd *command(const struct ring_disk *k, struct disk_slot *s)
{
	uint32_t lba = first_lba(k, s);
	struct model_cmd *c = calloc(1, sizeof(*c));

	must(c);
	c->dir = s->write ? MODEL_WRITE : MODEL_READ;
	c->len = s->n * DISK_BLOCK;
	c->buf = malloc(c->len);
	must(c->buf);
	c->cdb[0] = s->write ? 0x2a : 0x28;
	c->cdb[4] = (uint8_t)(lba >> 8);
	c->cdb[5] = (uint8_t)lba;
	c->cdb[8] = (uint8_t)s->n;
	for (uint32_t i = 0; i < s->n; i++)
		if (s->write)
			stamp(c->buf + i * DISK_BLOCK, k->index, lba + i, s->sent);
		else
			memset(c->buf + i * DISK_BLOCK, 0xee, DISK_BLOCK);
	return c;
}

/* Writes of ever new sizes and reads of what was written, in turn. */
static void send_next(struct ring_disk *k, struct disk_slot *s)
{
	if (s->sent > s->acked) {
		s->write = true; /* again */
	} else if (get(k->stop) && !s->write) {
		return;
	} else {
		s->write = !s->write;
		if (s->write) {
			s->sent++;
			s->n = 1 + (s->sent * 7 + (uint32_t)(s - k->slot)) % DISK_SLOT_MAX;
		}
	}
	s->c = command(k, s);
	if (model_queue(&k->model, s->c) == 0)
		return;
	free(s->c->buf);
	free(s->c);
	s->c = NULL;
	s->due_ns = clock_ns() + RETRY_NS;
}

static void judge(struct ring_disk *k, struct disk_slot *s)
{
	struct model_cmd *c = s->c;

	if (c->answers != 1)
		add(k->n_twice);
	if (c->status == 0 && s->write) {
		s->acked = s->sent;
		add(k->n_writes);
	} else if (c->status == 0) {
		if (!is_right(k, s))
			add(k->n_wrong);
		add(k->n_reads);
	} else {
		add(k->n_retries);
		if (c->status == 0x40)
			add(k->n_aborted);
		s->write = !s->write; /* a read once more */
		s->due_ns = clock_ns() + RETRY_NS;
	}
	free(c->buf);
	free(c);
	s->c = NULL;
}

static unsigned answers(struct ring_disk *k, const struct model_cmd *c)
{
	unsigned n;

	pthread_mutex_lock(&k->model.lock);
	n = c->answers;
	pthread_mutex_unlock(&k->model.lock);
	return n;
}

/* What was written last is read once more in any case. */
static bool is_busy(const struct disk_slot *s)
{
	return s->c || s->sent > s->acked || s->write;
}

static void *disk_main(void *arg)
{
	struct ring_disk *k = arg;
	bool busy = true;

	while (busy || !get(k->stop)) {
		busy = false;
		for (unsigned i = 0; i < DISK_SLOTS; i++) {
			struct disk_slot *s = &k->slot[i];

			if (s->c && answers(k, s->c))
				judge(k, s);
			if (!s->c && clock_ns() >= s->due_ns)
				send_next(k, s);
			busy |= is_busy(s);
		}
		clock_sleep_ms(1);
	}
	return NULL;
}

/* --- life --- */

void ring_disk_init(struct ring_disk *k, unsigned index)
{
	memset(k, 0, sizeof(*k));
	model_init(&k->model, 16 * 4096 - MODEL_CMDR_OFF, 256);
	k->index = index;
	k->fd = fcntl(k->model.event[0], F_DUPFD_CLOEXEC, 0);
	must(n_disks < ARRAY_SIZE(disks));
	disks[n_disks++] = k;
}

void ring_disk_start(struct ring_disk *k)
{
	k->stop = false;
	must(pthread_create(&k->thread, NULL, disk_main, k) == 0);
}

void ring_disk_stop(struct ring_disk *k)
{
	__atomic_store_n(&k->stop, true, __ATOMIC_RELEASE);
	pthread_join(k->thread, NULL);
}

void ring_disk_fini(struct ring_disk *k)
{
	model_fini(&k->model);
}

void ring_disk_abort_all(struct ring_disk *k)
{
	uint16_t ids[DISK_SLOTS];
	uint32_t n = 0;

	pthread_mutex_lock(&k->model.lock);
	for (uint32_t id = 1; id < 65536 && n < DISK_SLOTS; id++)
		if (k->model.by_id[id])
			ids[n++] = (uint16_t)id;
	pthread_mutex_unlock(&k->model.lock);
	if (n)
		must(model_tmr(&k->model, LUN_RESET, ids, n) == 0);
}

uint64_t ring_disk_done(struct ring_disk *k)
{
	return get(k->n_reads) + get(k->n_writes);
}
