/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A vfio-user server on a thread, for one client: it answers as the specification says, writes down what it got, and
 * misbehaves where a test wants it. It knows the protocol as bytes at offsets of the specification's tables, not by
 * the structures under test.
 */
#ifndef HBAD_TEST_VU_SERVER_H
#define HBAD_TEST_VU_SERVER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "open_fds.h"

enum twist {
	TWIST_NONE,
	TWIST_HANG_UP,	    /* instead of the reply */
	TWIST_HANG_UP_LATE, /* after the reply's first 20 bytes at most */
	TWIST_SHORT,	    /* payload of one byte less */
	TWIST_LONG,	    /* of four more */
	TWIST_OTHER_ID,
	TWIST_OTHER_CMD,
	TWIST_ECHO,	  /* a command instead of a reply: what the client sent */
	TWIST_ERROR,	  /* EPERM */
	TWIST_ERROR_ZERO, /* no errno */
	TWIST_ERROR_HUGE, /* 0xffffffff */
	TWIST_FDS,	  /* three descriptors in addition */
	TWIST_MANY_FDS,	  /* thirty */
	TWIST_LATE_FDS,	  /* two with the last byte */
	TWIST_SIZE_TINY,  /* the header says 15 bytes */
	TWIST_SIZE_HUGE,  /* it says 2 GiB */
	TWIST_TYPE,	  /* neither command nor reply */
	TWIST_FLAGS,	  /* bits that nobody has defined */
	TWIST_TWICE,
	TWIST_ZEROS, /* payload of zeros */
	TWIST_ONES,  /* payload of 0xff */
	TWIST_SILENT,
	TWIST_HALF,   /* then silence */
	TWIST_RANDOM, /* up to three bytes of the reply are others */
	N_TWISTS
};

#define SRV_MSG_MAX  65600
#define SRV_LOG_MAX  256
#define SRV_FDS_MAX  64
#define SRV_BAR1_LEN 0x4000
#define SRV_LIMIT_MS 30000 /* for what must come, however slow the machine */

struct srv_msg {
	uint16_t id, cmd;
	uint32_t size, flags, error;
	uint8_t payload[128]; /* its beginning */
	unsigned n_fds;
};

struct srv_map {
	uint64_t addr, size, offset;
	int fd; /* -1: none */
};

struct srv {
	/* set before srv_start() */
	unsigned twist_at; /* message number, from 1; 0: none */
	enum twist twist;
	unsigned seed;
	unsigned slow_at, slow_ms; /* that message is answered late */
	unsigned stop_reading_at;  /* from that message on nothing is read until srv_go_on() */
	uint16_t major, minor;
	const char *json; /* NULL: no data; else sent with its NUL */
	size_t json_len;  /* 0: strlen + 1 */
	uint32_t device_flags, n_regions, n_irqs;
	uint32_t irq_flags[5], irq_count[5];
	int bar1_fd; /* -1: not mappable */
	uint64_t bar1_offset;
	unsigned n_areas; /* of BAR 1: sparse capability with these */
	uint64_t area[4][2];
	unsigned n_region_fds;		 /* copies of bar1_fd in the reply */
	uint32_t argsz_more, index_more; /* in the reply on region 1 */
	/* Each reply (whole, with its header) as it is about to be sent: may change all of it. False: hang up instead. On the
	 * server's thread. */
	bool (*change)(struct srv *s, uint8_t *bytes, size_t *len, int *fd, unsigned *n_fds);
	bool read_dma_between; /* DMA_READ of 16 bytes at dma_addr before each reply to REGION_READ */
	uint64_t dma_addr;

	/* the device */
	uint8_t cfg[256], bar0[256], bar1[SRV_BAR1_LEN];
	int irq_fd[5][128];
	struct srv_map map[16];
	unsigned n_maps;
	unsigned resets;

	/* what was seen; lock */
	struct srv_msg log[SRV_LOG_MAX];
	unsigned n_log;
	unsigned dma_replies, dma_errors;
	uint8_t dma_data[65536];
	uint32_t dma_len, dma_errno;

	/* private */
	char dir[64], path[96], uri[112];
	int listener, sock;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool running, may_go_on, gone;
};

/* Defaults of a well-behaved server; nothing is started. */
void srv_init(struct srv *s);
void srv_start(struct srv *s);
void srv_stop(struct srv *s); /* hangs up, joins, closes all */
void srv_hang_up(struct srv *s);
void srv_go_on(struct srv *s);

/* The n-th message with that command (from 0), which is waited for; NULL: it never came. */
const struct srv_msg *srv_find(struct srv *s, uint16_t cmd, unsigned n);
unsigned srv_count(struct srv *s);
/* Sends a message as it is, from the test's thread. */
void srv_send(struct srv *s, const void *bytes, size_t len, const int *fds, unsigned n_fds);
/* A DMA command to the client; data for a write. Its reply is awaited: dma_len, dma_data, dma_errno. False when none
 * comes. */
bool srv_dma(struct srv *s, bool write, uint64_t addr, uint64_t count, const void *data, size_t len);
/* Waits for that many replies to DMA commands in all. */
bool srv_await_replies(struct srv *s, unsigned n);
void srv_irq(struct srv *s, unsigned kind, unsigned n);

uint64_t now_ms(void);

#endif
