/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An initiator from outside: its life, its orders, and the kernel's side of its ring's uio descriptor. */
#include "soak.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/front/priv.h"

#define RING_BYTES  (1024u * 1024 - MODEL_CMDR_OFF)
#define DATA_BLOCKS 1024u

/* --- the kernel's side of the uio descriptor --- */

static struct initiator *all[SOAK_MAX_LUNS];

static struct initiator *by_fd(int fd)
{
	for (unsigned k = 0; k < SOAK_MAX_LUNS; k++)
		if (all[k] && __atomic_load_n(&all[k]->uio_fd, __ATOMIC_ACQUIRE) == fd)
			return all[k];
	must(false);
	return NULL;
}

static void wake(struct initiator *i)
{
	const uint64_t one = 1;

	if (write(i->wake_fd, &one, sizeof(one)) < 0)
		soak_wrong("LUN %u: an eventfd cannot be written: %s", i->index, strerror(errno));
}

static void *os_map(int fd, uint64_t len, uint64_t offset)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, by_fd(fd)->model.memfd, (off_t)offset);

	return p == MAP_FAILED ? NULL : p;
}

static int os_ack(int fd)
{
	int r = front_os_uio.ack(fd);

	if (r == 0)
		model_acked(&by_fd(fd)->model);
	return r;
}

static int os_kick(int fd)
{
	struct initiator *i = by_fd(fd);

	model_completions(&i->model);
	wake(i);
	return 0;
}

const struct front_os initiator_os = {.map = os_map, .ack = os_ack, .kick = os_kick, .now = clock_ns};

/* --- from outside --- */

int initiator_create(struct initiator *i, unsigned index, const char *name, unsigned depth, uint64_t seed)
{
	i->index = i->disk.lun = index;
	i->name = name;
	i->depth = MIN(depth, INITIATOR_MOST);
	i->rng.state = seed;
	i->uio_fd = -1;
	i->orders.flush_one_in = 100;
	i->wake_fd = eventfd(0, EFD_CLOEXEC);
	if (i->wake_fd < 0)
		return -errno;
	pthread_mutex_init(&i->lock, NULL);
	model_init(&i->model, RING_BYTES, DATA_BLOCKS);
	for (unsigned k = 0; k < i->depth; k++) {
		i->slot[k].view = calloc(1, sizeof(*i->slot[k].view));
		if (!i->slot[k].view)
			return -ENOMEM;
	}
	all[index] = i;
	return 0;
}

int initiator_start(struct initiator *i)
{
	int r = -pthread_create(&i->thread, NULL, initiator_main, i);

	i->started = r == 0;
	return r;
}

static void order(struct initiator *i, unsigned *what, unsigned value)
{
	pthread_mutex_lock(&i->lock);
	*what = value;
	i->idle = false;
	pthread_mutex_unlock(&i->lock);
	wake(i);
}

void initiator_destroy(struct initiator *i)
{
	order(i, &i->orders.quit, 1);
	if (i->started)
		pthread_join(i->thread, NULL);
	all[i->index] = NULL;
	if (i->model.broken || i->model.unknown_ids || i->model.bad_slots || i->model.dirty_reserved)
		soak_wrong(
			"WRONG: LUN %u: the ring has seen %u unknown ids, %u bad slots, %u replies with bits "
			"that are reserved",
			i->index, i->model.unknown_ids, i->model.bad_slots, i->model.dirty_reserved);
	close(i->model.event[0]);
	model_fini(&i->model);
	for (unsigned k = 0; k < i->depth; k++)
		free(i->slot[k].view);
	close(i->wake_fd);
	/* The lock stays: the report looks at the counters. */
}

void initiator_set_mode(struct initiator *i, enum initiator_mode mode, enum disk_past past)
{
	pthread_mutex_lock(&i->lock);
	if (mode == INITIATOR_SCAN)
		i->scan_at = 0; /* nothing is under way */
	i->orders.mode = mode;
	i->orders.past = past;
	i->idle = false;
	pthread_mutex_unlock(&i->lock);
	wake(i);
}

void initiator_tolerate(struct initiator *i, bool errors)
{
	order(i, &i->orders.tolerant, errors);
}

void initiator_flush_rate(struct initiator *i, unsigned one_in)
{
	order(i, &i->orders.flush_one_in, one_in);
}

void initiator_shady(struct initiator *i, bool shady)
{
	order(i, &i->orders.shady, shady);
}

void initiator_away(struct initiator *i)
{
	pthread_mutex_lock(&i->lock);
	i->orders.may_tell = true;
	i->orders.told_away = false;
	i->orders.back_ns = UINT64_MAX;
	pthread_mutex_unlock(&i->lock);
}

void initiator_back(struct initiator *i)
{
	pthread_mutex_lock(&i->lock);
	i->orders.back_ns = clock_ns();
	pthread_mutex_unlock(&i->lock);
}

/* Unless a flush has told of it already. */
void initiator_lost(struct initiator *i)
{
	pthread_mutex_lock(&i->lock);
	i->orders.must_tell = i->orders.may_tell && !i->orders.told_away;
	pthread_mutex_unlock(&i->lock);
}

void initiator_phase(struct initiator *i, enum initiator_phase phase)
{
	order(i, &i->orders.phase, phase);
}

void initiator_flush(struct initiator *i)
{
	order(i, &i->orders.flushes, 1);
}

void initiator_unit_start(struct initiator *i)
{
	order(i, &i->orders.starts, 1);
}

void initiator_tmf(struct initiator *i, uint8_t type, unsigned commands)
{
	pthread_mutex_lock(&i->lock);
	i->orders.tmf_type = type;
	pthread_mutex_unlock(&i->lock);
	order(i, &i->orders.tmfs, commands);
}

unsigned initiator_ordered(struct initiator *i)
{
	const struct initiator_orders o = initiator_orders_now(i);

	return o.flushes + o.starts + o.tmfs;
}

bool initiator_idle(struct initiator *i)
{
	bool idle;

	pthread_mutex_lock(&i->lock);
	idle = i->idle;
	pthread_mutex_unlock(&i->lock);
	return idle;
}

void initiator_look(struct initiator *i, struct initiator_counts *ret_counts, struct latency *ret_latency)
{
	pthread_mutex_lock(&i->lock);
	*ret_counts = i->counts;
	if (ret_latency)
		memcpy(ret_latency, i->latency, sizeof(i->latency));
	pthread_mutex_unlock(&i->lock);
}

unsigned initiator_passes(struct initiator *i)
{
	unsigned n;

	pthread_mutex_lock(&i->lock);
	n = i->passes;
	pthread_mutex_unlock(&i->lock);
	return n;
}

void initiator_poke(struct initiator *i)
{
	wake(i);
}
