/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The driver's side of a virtio SCSI host for tests: rings and requests as OASIS "Virtual I/O Device (VIRTIO) Version 1.2"
 * has them (sections in brackets), laid down byte by byte. Nothing here comes from the driver or from the model.
 */
#ifndef HBAD_TESTS_EMU_VIRTIO_HOST_H
#define HBAD_TESTS_EMU_VIRTIO_HOST_H

#include "mfi_host.h"

/* [6, 5.6.3] */
#define F_HOTPLUG   (UINT64_C(1) << 1)
#define F_CHANGE    (UINT64_C(1) << 2)
#define F_INDIRECT  (UINT64_C(1) << 28)
#define F_EVENT_IDX (UINT64_C(1) << 29)
#define F_VERSION_1 (UINT64_C(1) << 32)
#define F_PLATFORM  (UINT64_C(1) << 33)
#define F_USUAL	    (F_HOTPLUG | F_CHANGE | F_INDIRECT | F_VERSION_1 | F_PLATFORM)
#define F_ALL	    (F_USUAL | F_EVENT_IDX)

enum { D_NEXT = 1, D_WRITE = 2, D_INDIRECT = 4 };		   /* [2.7.5] */
enum { CONTROL = 0, EVENT = 1, REQUEST = 2 };			   /* [5.6.2] */
enum { CAP_COMMON = 1, CAP_NOTIFY, CAP_ISR, CAP_DEVICE, CAP_PCI }; /* [4.1.4] */
#define RING 128 /* of a request queue, which could have more */

/* A capability as it was found: where it is, and what it says. */
struct cap {
	uint8_t at, bar;
	uint32_t offset, length;
};
extern struct cap cap[6];
extern uint32_t notify_factor;

struct vq {
	unsigned index;
	uint16_t size, offered, seen;
	uint64_t at; /* its place in the client's memory: descriptors, then both rings */
	uint32_t notify;
};
extern struct vq vq[6];

/* The emulator with this model of 4 request queues; its options may be changed before up(), which adds ld0, ld5 and pd0. */
void virtio_new(void);
void virtio_up(void);
/* Ends both; the driver was wrong as often as the test says in forgiven_protocol and forgiven_dma. */
void virtio_down(void);

void find_caps(void);
uint32_t common(uint32_t off, uint32_t width);
void set_common(uint32_t off, uint32_t width, uint32_t v);
uint32_t device32(uint32_t off);
/* Features and FEATURES_OK; false if the device does not take them. */
bool negotiate(uint64_t features);
void queue_up(unsigned index, uint16_t size, uint16_t vector);
/* All of [3.1.1] for all queues, MSI-X vectors 0 (configuration) to 6 if so. */
void bring_up_virtio(uint64_t features, bool msix);
void driver_ok(void);

void desc(struct vq *q, uint16_t i, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next);
void offer(struct vq *q, uint16_t head);
void kick(struct vq *q);
uint16_t used_index(const struct vq *q);
/* The next answer, which must come; its length. */
uint32_t answered(struct vq *q, uint32_t *ret_id);
bool needs_reset(void);

/* A slot (0 to 31) has room for a request, its answer and 48 KiB of data; its chain begins at descriptor 4 * slot. */
uint8_t *req_at(unsigned slot);
uint8_t *resp_at(unsigned slot);
uint8_t *payload(unsigned slot);
uint64_t iova(const uint8_t *p);
void lun(uint8_t *to, uint8_t target, uint8_t l);
/* dir: 0 none, 1 out, 2 in. Returns the head. */
uint16_t prepare(struct vq *q, unsigned slot, uint8_t target, uint8_t l, const void *cdb, uint8_t cdb_len,
	int dir, uint32_t len);
uint16_t rw(
	struct vq *q, unsigned slot, bool write, uint8_t target, uint8_t l, uint32_t lba, uint16_t blocks);
/* Offers, kicks, waits; the answer's bytes. */
const uint8_t *run_one(struct vq *q, unsigned slot, uint16_t head);
/* TEST UNIT READY until there is no unit attention */
void calm(uint8_t target, uint8_t l);
/* Task management: offers it; the response. */
uint8_t tmf(uint32_t subtype, uint8_t target, uint8_t l, uint64_t id);
void offer_tmf(uint32_t subtype, uint8_t target, uint8_t l, uint64_t id);
/* n buffers for events */
void event_buffers(unsigned n);
/* The next event, with its buffer back in the ring. */
const uint8_t *event(void);

#endif
