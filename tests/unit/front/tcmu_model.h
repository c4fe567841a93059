/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's side of a TCMU ring, for tests: queues commands as an initiator's, allocates ids and data
 * blocks as the kernel does, and walks completions as the kernel does, with all that the kernel takes on
 * trust. Calls lock, so that a test may use it beside an I/O thread.
 */
#ifndef HBAD_TESTS_TCMU_MODEL_H
#define HBAD_TESTS_TCMU_MODEL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include "daemon/front/tcmu.h"

/* Unlike assert(): also in a release build, where NDEBUG is set. */
#define must(cond)                                                                                           \
	do {                                                                                                 \
		if (!(cond)) {                                                                               \
			fprintf(stderr, "%s:%d: must(%s)\n", __FILE__, __LINE__, #cond);                     \
			abort();                                                                             \
		}                                                                                            \
	} while (0)

#define MODEL_CMDR_OFF 128 /* sizeof(struct tcmu_mailbox) */
#define MODEL_BLOCK    4096

enum model_dir { MODEL_NONE, MODEL_READ, MODEL_WRITE };

struct model_cmd {
	/* the initiator's */
	uint8_t cdb[64];
	enum model_dir dir;
	uint32_t len;
	uint8_t *buf;
	uint32_t tag; /* in bytes 2..5 of the CDB */

	/* the kernel's */
	uint16_t id; /* 0: not in the ring */
	bool expired;
	uint32_t *block;
	uint32_t nblocks;

	/* the answer */
	unsigned answers;
	bool by_reset; /* answered by reset_ring() */
	uint8_t status;
	uint8_t sense[96];
	bool has_read_len;
	uint32_t read_len;
};

struct model {
	int memfd;
	int event[2];	 /* [0] stands for the uio descriptor */
	uint8_t *map;	 /* the kernel's own view */
	uint8_t *shadow; /* of the ring: entries as they were queued */
	uint64_t map_len, data_off;
	uint32_t cmdr_size, nblocks;
	struct tcmu_mailbox *mb;
	uint32_t last_cleaned;
	bool broken, blocked, removed;
	bool event_pending;
	struct model_cmd **by_id; /* 65536 */
	uint8_t *used;		  /* per block */
	uint32_t in_ring;	  /* ids in use */
	uint32_t lowest_free_id;
	unsigned kicks, completions, unknown_ids, bad_slots, dirty_reserved;
	pthread_mutex_t lock;
};

/* cmdr_size + MODEL_CMDR_OFF must be a multiple of 4096. */
void model_init(struct model *m, uint32_t cmdr_size, uint32_t nblocks);
void model_fini(struct model *m);
/* Ring and last_cleaned somewhere in the middle, as a ring that was in use before. */
void model_set_position(struct model *m, uint32_t at);

/* 0; -ENOSPC: ring, data area or ids are full; -EBUSY: blocked; -EIO: broken. */
int model_queue(struct model *m, struct model_cmd *c);
/* More iovecs than there are blocks of data cannot be had otherwise: takes every second block only. */
int model_queue_scattered(struct model *m, struct model_cmd *c);
int model_tmr(struct model *m, uint8_t type, const uint16_t *ids, uint32_t n);
/* Ring bytes that model_queue() would take for c now, without a PAD. */
uint32_t model_entry_size(const struct model *m, const struct model_cmd *c, uint32_t iovs);
/* The kernel's answer to a uio write. */
void model_completions(struct model *m);
void model_expire(struct model *m, struct model_cmd *c);
void model_reset_ring(struct model *m);
void model_remove(struct model *m); /* the uio device goes */
void model_notify(struct model *m);
/* The consumer read its event. */
void model_acked(struct model *m);

uint32_t model_head(struct model *m);
uint32_t model_tail(struct model *m);
/* Nothing between from and head differs from what was queued. */
bool model_unread_intact(struct model *m, uint32_t from);

uint8_t model_pattern(uint32_t tag, uint64_t i);
/* A command with its buffer; WRITE data is the pattern of its tag. Opcode chooses the CDB's length. */
struct model_cmd *model_cmd_new(uint8_t opcode, uint32_t tag, enum model_dir dir, uint32_t len);
void model_cmd_free(struct model_cmd *c);
uint32_t model_cdb_len(const uint8_t *cdb);

/* A small, seeded generator: failures repeat. */
uint32_t model_rand(uint64_t *state);

#endif
