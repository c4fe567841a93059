/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Private to the capture: a transport in front of another one, which writes down what passes.
 *
 * A thread that uses the device puts its records into a ring of its own; one thread of ours, the writer, empties the
 * rings into the file. Nobody wakes it: it looks every few milliseconds. Another one passes interrupts on.
 */
#ifndef HBAD_PCI_CAPTURE_H
#define HBAD_PCI_CAPTURE_H

#include <pthread.h>

#include "hbad/capture.h"
#include "pci.h"

#define CAP_RINGS      16 /* threads that may use the device, ever */
#define CAP_RING_BYTES (256u << 10)
#define CAP_OUT_BYTES  (64u << 10)
#define CAP_LOOK_MS    5
#define CAP_NOTE_MAX   65536u /* bytes of one note */

/* One thread writes (head, dropped), the writer reads (tail). Positions count bytes and never wrap. */
struct cap_ring {
	_Alignas(64) uint64_t head;
	uint64_t dropped, told; /* records, and how many of them a CAPTURE_DROPPED has told of */
	pthread_t owner;
	uint8_t *buf;
	_Alignas(64) uint64_t tail;
};

struct cap_irqs {
	pthread_t thread;
	bool running;
	enum pci_irq_kind kind;
	unsigned n;
	int stop_fd, epoll_fd;	     /* -1: none */
	int ours[PCI_MAX_VECTORS];   /* what the device signals */
	int theirs[PCI_MAX_VECTORS]; /* what the driver gave us */
};

struct capture {
	struct pci_dev pci; /* what the driver sees */
	struct pci_dev *inner;
	uint64_t id; /* tells one capture from another at the same address */
	uint64_t start_ns;
	uint32_t seq;  /* atomic */
	bool stopped;  /* atomic: nothing is taken any more */
	uint64_t lost; /* atomic: records of threads without a ring */
	struct cap_ring ring[CAP_RINGS];
	unsigned n_rings; /* atomic; may count beyond CAP_RINGS */
	uint8_t *memory;  /* of all rings */
	struct cap_irqs irqs;

	/* the writer's */
	pthread_t writer;
	bool has_writer;
	bool closing; /* atomic */
	int fd;
	char path[192];
	uint64_t max_bytes, written, records;
	uint32_t crc;
	enum capture_why why;
	uint32_t fill; /* of out */
	uint8_t out[CAP_OUT_BYTES];
};

static inline struct capture *capture_of(struct pci_dev *dev)
{
	return container_of(dev, struct capture, pci);
}

/* --- capture_ring.c --- */

int cap_rings_init(struct capture *c);
void cap_rings_fini(struct capture *c);
/* Any thread. Payload in two parts, the second may be NULL. */
void cap_put(struct capture *c, enum capture_type type, uint8_t arg, const void *a, uint32_t a_len,
	const void *b, uint32_t b_len);
/* The writer: takes the next whole record (with its padding), 0 when there is none. to has room for the largest. */
uint32_t cap_ring_take(struct cap_ring *r, uint8_t *to);
#define CAP_RECORD_MAX (sizeof(struct capture_record) + CAPTURE_PAD(CAPTURE_MAX_PAYLOAD))

/* --- capture_file.c --- */

/* The file with its header, and the writer. */
int cap_file_open(struct capture *c, const char *path, struct err *e);
/* Writes what is in the rings and the end; fine when nothing was opened. */
void cap_file_close(struct capture *c);

/* --- capture_irq.c --- */

/* Descriptors that stand for the driver's: ret has n places. */
int cap_irqs_start(struct capture *c, enum pci_irq_kind kind, const int *eventfds, unsigned n, struct err *e);
void cap_irqs_stop(struct capture *c);

#endif
