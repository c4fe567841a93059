/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Private to the virtio-scsi driver: one device, and what its files offer each other.
 *
 * A slot is a request at the device: its head, its answer and its list of segments, found by index. The first
 * limits.queue_depth slots are the requests', by tag; the last one is polled by set-up code. A slot owns its
 * descriptors for good (the one that points to its list, or a run of them), so there is no free list that a device
 * could bring out of order: descriptor number / stride = slot.
 */
#ifndef HBAD_HBA_VIRTIO_VIO_H
#define HBAD_HBA_VIRTIO_VIO_H

#include "base/clock.h"
#include "base/log.h"
#include "hba/hba.h"
#include "hba/sense.h"
#include "vio_wire.h"

/* How long a device may take. Tests have their own. Milliseconds. */
struct vio_times {
	uint32_t reset;	 /* from writing 0 to the status until it reads 0 */
	uint32_t polled; /* a command of set-up */
	uint32_t health; /* between two looks at the status while running */
};

/* Where the structures are [4.1.4] */
struct vio_area {
	uint8_t bar;
	uint32_t offset, length; /* length 0: none found */
};

struct vio_ring {
	uint16_t index; /* the device's number of the queue */
	uint16_t size;
	uint64_t notify; /* offset in the notify BAR */
	uint64_t iova_desc, iova_avail, iova_used;
	struct vio_desc *desc;
	struct vio_avail *avail;
	struct vio_used *used;
	uint16_t avail_idx, used_idx; /* ours: both run free, modulo 2^16 */
	uint16_t at_device;	      /* chains that the device has */
	bool kick;		      /* something was made available since the last notification */
};

/* Device configuration, as read */
struct vio_config {
	uint32_t num_queues, seg_max, max_sectors, cmd_per_lun, event_info_size, max_lun;
	uint16_t max_target;
};

struct vio_slot {
	bool at_device;
	uint32_t bytes; /* of all its buffers */
};

#define VIO_N_TMF    4
#define VIO_N_EVENTS 16

struct vio_tmf {
	bool at_device;
	bool refused;	/* answered, but not with success */
	bool lun_reset; /* the second attempt */
	uint32_t tag, generation;
};

/* A unit takes no more commands at once than the device says [5.6.4.1]; the others wait here. */
struct vio_turn {
	uint32_t busy;
	struct list waiting; /* by drv_link */
};

struct vio_addr {
	uint8_t target;
	uint16_t lun;
	bool dpofua;	/* the unit knows DPO and FUA */
	bool expect_ua; /* our own reset left a unit attention behind, which is nobody's business */
};

/* Request queues: a table, of which the core's single I/O thread uses one. */
#define VIO_N_REQUEST_QUEUES 1
#define VIO_N_QUEUES	     (VIO_Q_REQUEST + VIO_N_REQUEST_QUEUES)

struct vio {
	struct hba *h;
	const struct vio_times *times;
	struct vio_area area[VIO_N_CAPS];
	uint32_t notify_multiplier;
	uint64_t features; /* that both sides have */
	struct vio_config config;
	enum pci_irq_kind irq;

	struct vio_ring ring[VIO_N_QUEUES];
	uint32_t depth;	 /* slots of requests */
	uint32_t stride; /* descriptors of a slot */
	uint32_t segs;	 /* segments of a slot, of both directions */
	bool indirect;

	struct dma_arena mem;
	uint8_t *slot_mem, *list_mem, *tmf_mem, *event_mem, *data_mem; /* in mem */
	struct vio_slot *slot;					       /* depth + 1 */
	struct vio_tmf tmf[VIO_N_TMF];
	uint32_t n_tmf, n_events, event_size;
	bool event_posted[VIO_N_EVENTS];
	struct vio_addr addr[HBA_MAX_UNITS]; /* by unit->index */
	struct vio_turn turn[HBA_MAX_UNITS]; /* likewise */
	struct list given_up;		     /* requests that were waiting, and are to end: by drv_link */

	bool polled_done;
	uint64_t health_ns; /* when the status was last looked at */
	uint64_t reset_until_ns;
	struct log_limit garbage_limit, event_limit, failure_limit;
	struct {
		uint64_t hard, rescan, removed, changed, capacity, missed, other;
	} events;
};

static inline struct vio *vio_of(const struct hba *h)
{
	return h->drv;
}

static inline uint32_t vio_polled_slot(const struct vio *v)
{
	return v->depth;
}

/* Layout of a slot's memory. It lies within a page: memory that is contiguous for us need not be so behind a virtual
 * IOMMU, and QEMU takes all of a response behind the first piece of it for data-in, since only the legacy ANY_LAYOUT
 * bit, which is no driver's of virtio 1.x, tells it otherwise. */
enum vio_slot_layout {
	VIO_SLOT_REQ = 0,
	VIO_SLOT_RESP = 64,
	VIO_SLOT_SIZE = 256,
	VIO_SLOT_FIXED = 2, /* descriptors beside the segments: request, response */
};
static_assert(VIO_SLOT_REQ + sizeof(struct vio_cmd_req) <= VIO_SLOT_RESP, "slot");
static_assert(VIO_SLOT_RESP + sizeof(struct vio_cmd_resp) <= VIO_SLOT_SIZE, "slot");

#define VIO_TMF_MEM	64 /* of each: request, and response behind it */
#define VIO_TMF_RESP	32
#define VIO_DATA_MEM	8192 /* of polled commands */
#define VIO_EVENT_LIMIT 1024 /* larger events are not asked for */

static inline uint64_t vio_iova(const struct vio *v, const void *cpu)
{
	return v->mem.iova + (uint64_t)((const uint8_t *)cpu - v->mem.cpu);
}
static inline uint8_t *vio_slot_mem(const struct vio *v, uint32_t slot)
{
	return v->slot_mem + (size_t)slot * VIO_SLOT_SIZE;
}
/* Its list of descriptors, where there are lists */
static inline uint32_t vio_list_size(const struct vio *v)
{
	return v->indirect ? (v->segs + VIO_SLOT_FIXED) * (uint32_t)sizeof(struct vio_desc) : 0;
}
static inline struct vio_desc *vio_slot_list(const struct vio *v, uint32_t slot)
{
	return (struct vio_desc *)(v->list_mem + (size_t)slot * vio_list_size(v));
}

/* --- caps.c --- */

/* Finds the structures and maps their BARs. -ENOTSUP: not a modern device. */
int vio_caps_read(struct vio *v, struct err *e);

/* --- device.c: registers --- */

uint8_t vio_status(const struct vio *v);
/* Resetting is asked for once and looked at until done: 0; 1 not yet; -ENODEV. */
void vio_reset_ask(struct vio *v);
int vio_reset_look(struct vio *v);
/* Both, blocking. */
int vio_reset_wait(struct vio *v, struct err *e);
/* From reset to FEATURES_OK. */
int vio_negotiate(struct vio *v, struct err *e);
int vio_config_read(struct vio *v, struct err *e);
/* How large a queue may be, at most limit; 0: the device has not got it. */
uint16_t vio_queue_max(const struct vio *v, uint16_t index, uint16_t limit);
/* Clears the rings, tells the device where they are, DRIVER_OK. */
int vio_run(struct vio *v, struct err *e);
/* A look at the status: 0, -ENODEV, -EIO (wants a reset, or was reset behind our back). */
int vio_health(struct vio *v);

/* --- ring.c --- */

uint64_t vio_ring_bytes(uint16_t size);
/* mem: vio_ring_bytes() of zeroed memory. */
void vio_ring_place(struct vio_ring *q, uint16_t index, uint16_t size, uint8_t *mem, uint64_t iova);
void vio_ring_clear(struct vio_ring *q);
/* Makes the chain that begins with this descriptor available. */
void vio_ring_offer(struct vio_ring *q, uint16_t head);
/* Must the device be told? Asks once for all that was offered since. */
bool vio_ring_wants_kick(struct vio_ring *q);
/* Takes one used element. 1; 0: there is none; -EIO: the index is wild. */
int vio_ring_take(struct vio_ring *q, uint32_t *ret_id, uint32_t *ret_len);
void vio_desc_put(struct vio_desc *d, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next);
void vio_kick(struct vio *v, struct vio_ring *q);

/* --- cmd.c: pure, but for the slot's memory --- */

struct vio_cmd {
	const struct vio_addr *addr;
	uint64_t id;
	const uint8_t *cdb;
	uint8_t cdb_len;
	enum dma_dir dir;
	const struct dma_seg *seg;
	uint32_t n_seg;
};

void vio_lun_put(uint8_t lun[VIO_LUN_SIZE], uint8_t target, uint16_t number);
/* False: not the address of a target's logical unit. */
bool vio_lun_get(const uint8_t lun[VIO_LUN_SIZE], uint8_t *ret_target, uint16_t *ret_number);
/* The CDB of a read or write. Returns its length. */
uint8_t vio_rw_cdb(const struct hba_req *req, bool dpofua, uint8_t cdb[16]);
/* Fills the slot and offers it. */
void vio_fire(struct vio *v, uint32_t slot, const struct vio_cmd *c);
/* Result fields of req from a response. -EIO: the device has not written it. */
int vio_result(struct hba_req *req, const struct vio_cmd_resp *r);

/* --- io.c --- */

void vio_turns_init(struct vio *v);
/* All requests are the core's again: before a reset, and at the end. */
void vio_turns_forget(struct vio *v);
/* If it still waits for its turn, it ends with the next poll; false: it is at the device. */
bool vio_give_up_waiting(struct vio *v, struct hba_req *req);
void vio_submit(struct hba *h, struct hba_req *req);
void vio_doorbell(struct hba *h);
int vio_poll(struct hba *h);
/* Takes all answers, without any other look at the device. 0; 1: there is more than one call takes; -EIO. */
int vio_drain(struct vio *v);
/* As vio_drain(), of one request queue. */
int vio_drain_requests(struct vio *v, struct vio_ring *q);

/* --- control.c: task management and events --- */

int vio_abort(struct hba *h, struct hba_req *req);
int vio_drain_control(struct vio *v);
/* Commands whose abort was refused, and which did not come back since, lose their whole unit's task set. */
void vio_escalate(struct vio *v);
int vio_drain_events(struct vio *v);
void vio_events_post(struct vio *v);

/* --- discover.c --- */

int vio_discover(struct vio *v, struct err *e);

/* --- reset.c --- */

int vio_reset_step(struct hba *h, unsigned *phase, uint64_t now, uint64_t *next);

#endif
