/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An initiator with one LUN, on a model of the kernel's ring: a thread that keeps some commands in the ring, each with blocks
 * of its own, and knows what each block must hold.
 */
#ifndef HBAD_TESTS_INTEGRATION_RING_DISK_H
#define HBAD_TESTS_INTEGRATION_RING_DISK_H

#include <pthread.h>
#include "tests/unit/front/tcmu_model.h"

#define DISK_BLOCK    512
#define DISK_SLOTS    16
#define DISK_SLOT_MAX 64 /* blocks of a slot */

struct disk_slot {
	struct model_cmd *c; /* NULL: none in the ring */
	bool write;
	/* Generations; sent is the higher one: the write is to be repeated until it is acknowledged. */
	uint32_t acked, sent;
	uint32_t n;	 /* blocks of the last write */
	uint64_t due_ns; /* of the next try */
};

struct ring_disk {
	struct model model;
	int fd; /* stands for the uio descriptor; the daemon's, once it was handed over */
	unsigned index;
	pthread_t thread;
	struct disk_slot slot[DISK_SLOTS];
	bool stop; /* atomic */
	/* atomic */
	uint64_t n_reads, n_writes, n_retries, n_wrong, n_twice, n_aborted;
};

/* Before there are other threads. */
void ring_disk_init(struct ring_disk *k, unsigned index);
void ring_disk_start(struct ring_disk *k);
/* When all commands have been answered, and what each slot has written last has been read back. */
void ring_disk_stop(struct ring_disk *k);
void ring_disk_fini(struct ring_disk *k);
/* A task management function for all commands in the ring. */
void ring_disk_abort_all(struct ring_disk *k);
uint64_t ring_disk_done(struct ring_disk *k);

#endif
