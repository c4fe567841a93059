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
	uint8_t apart[HB_APART];      /* others are other threads' */
};

/* Device configuration, as read */
struct vio_config {
	uint32_t num_queues, seg_max, max_sectors, cmd_per_lun, event_info_size, max_lun;
	uint16_t max_target;
	uint16_t all_queues; /* of the common configuration */
};

struct vio_slot {
	bool at_device;
	bool behind_reset; /* of ours, which its unit had not told of when it was sent */
	uint32_t bytes;	   /* of all its buffers */
};

#define VIO_N_TMF    4
#define VIO_N_EVENTS 16

/* Its owner's thread has it, but from the message to the first lane until the one back: the control queue is that one's. */
struct vio_tmf {
	uint8_t owner; /* atomic: 0, or 1 + the lane that has it */
	bool at_device;
	bool answered;
	bool refused;	/* answered, but not with success */
	bool lun_reset; /* the second attempt */
	uint8_t unit;
	uint32_t tag, generation;
	struct vio *v;
	struct loop_msg msg;
};

/* A unit takes no more commands at once than the device says [5.6.4.1]; the others wait with their lanes. See turn.c. */
struct vio_turn {
	uint32_t busy;	/* atomic: at the device, of all lanes */
	uint8_t wanted; /* atomic: a bit for each lane with which some wait */
	uint8_t called; /* atomic: a bit for each lane that is to look whether they can go */
	uint8_t apart[HB_APART];
};
static_assert(HBA_MAX_LANES <= 8, "a bit for each");

/* Those of one unit that wait with one lane */
struct vio_wait {
	struct list requests; /* by drv_link */
	struct list link;     /* in vio_lane.waiting, if there are any */
};

struct vio_addr {
	uint8_t target;
	uint16_t lun;
	bool dpofua;	/* the unit knows DPO and FUA */
	bool expect_ua; /* atomic: our own reset left a unit attention behind, which is nobody's business */
};

/* What one I/O thread has, beside its request queue. Its thread's, or the first lane's while it is halted. */
struct vio_lane {
	uint32_t first_tag, n_tags;
	bool by_first; /* its queue has no interrupt of its own: the first lane, which has it, wakes this one */
	struct vio_wait wait[HBA_MAX_UNITS]; /* by unit->index */
	struct list waiting;		     /* of wait[] */
	struct list given_up;		     /* requests that were waiting, and are to end: by drv_link */
	struct log_limit garbage_limit, failure_limit, unit_limit;
	uint8_t apart[HB_APART];
};

/* One request queue for each lane; the others are the first one's. */
#define VIO_N_QUEUES (VIO_Q_REQUEST + HBA_MAX_LANES)

struct vio {
	struct hba *h;
	const struct vio_times *times;
	struct vio_area area[VIO_N_CAPS];
	uint32_t notify_multiplier;
	uint64_t features; /* that both sides have */
	struct vio_config config;
	enum pci_irq_kind irq;
	unsigned n_vectors; /* of MSI-X */

	unsigned n_queues; /* of ring[]; 0 until it is known */
	/* Requests of a lane; the last one's queue has room for what hba_lane_tags() may leave over beside. */
	uint32_t per_lane;
	uint32_t depth;	 /* slots of requests */
	uint32_t stride; /* descriptors of a slot */
	uint32_t segs;	 /* segments of a slot, of both directions */
	bool indirect;

	struct dma_arena mem;
	uint8_t *slot_mem, *list_mem, *tmf_mem, *event_mem, *data_mem; /* in mem */
	struct vio_slot *slot;					       /* by tag; behind them set-up's */
	uint32_t n_tmf, n_events, event_size;
	bool event_posted[VIO_N_EVENTS];
	struct vio_addr addr[HBA_MAX_UNITS]; /* by unit->index */

	bool polled_done;
	uint64_t health_ns; /* when the status was last looked at */
	uint64_t reset_until_ns;
	struct log_limit event_limit, doubt_limit;
	bool doubt;	      /* whether those that are away are away; nobody was told yet */
	unsigned doubt_looks; /* since a unit came back last */
	struct {
		uint64_t hard, rescan, removed, changed, capacity, missed, other;
	} events;

	uint8_t apart[HB_APART]; /* what all lanes read from what they write */
	struct vio_ring ring[VIO_N_QUEUES];
	struct vio_lane lane[HBA_MAX_LANES];
	struct vio_tmf tmf[VIO_N_TMF];
	struct vio_turn turn[HBA_MAX_UNITS]; /* by unit->index */
};

static inline struct vio *vio_of(const struct hba *h)
{
	return h->drv;
}

static inline struct vio_ring *vio_lane_ring(struct vio *v, unsigned lane)
{
	return &v->ring[VIO_Q_REQUEST + lane];
}
/* Set-up's: the first lane's queue has room for it behind the requests. */
static inline uint32_t vio_polled_slot(const struct vio *v)
{
	return v->depth;
}
/* Which one of its lane's queue it is: so many strides into the table of descriptors. */
static inline uint32_t vio_slot_number(const struct vio *v, unsigned lane, uint32_t slot)
{
	return slot == vio_polled_slot(v) ? v->per_lane : slot - v->lane[lane].first_tag;
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
/* Clears the rings, tells the device where they are, DRIVER_OK. With all other lanes halted. */
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
/* Fills the slot and offers it in its lane's queue. */
void vio_fire(struct vio *v, unsigned lane, uint32_t slot, const struct vio_cmd *c);
/* Result fields of req from a response. -EIO: the device has not written it. */
int vio_result(struct hba_req *req, const struct vio_cmd_resp *r);

/* --- turn.c: which requests go now; its lane's thread --- */

void vio_turns_init(struct vio *v);
/* All requests are the core's again: before a reset, and at the end. All other lanes are halted. */
void vio_turns_forget(struct vio *v);
/* Sends it now, or when it is its unit's turn. */
void vio_turn_await(struct vio *v, struct hba_req *req);
/* A request of this unit that was sent has come back. */
void vio_turn_over(struct vio *v, unsigned lane, unsigned unit);
/* Sends those that can go by now, if other lanes have made room. */
void vio_turns_look(struct vio *v, unsigned lane);
/* If it still waits for its turn, it ends with the next poll; false: it is at the device. */
bool vio_turn_give_up(struct vio *v, struct hba_req *req);
/* Ends those. */
void vio_turns_end_given_up(struct vio *v, unsigned lane);

/* --- io.c --- */

/* Sends it, whatever waits. */
void vio_send(struct vio *v, struct hba_req *req);
void vio_submit(struct hba *h, struct hba_req *req);
void vio_doorbell(struct hba *h, unsigned lane);
int vio_poll(struct hba *h);
int vio_poll_lane(struct hba *h, unsigned lane);
/* Takes all answers that are the first lane's, without any other look at the device. 0; 1: there is more than one call takes;
 * -EIO. */
int vio_drain(struct vio *v);
/* As vio_drain(), of a lane's request queue. */
int vio_drain_requests(struct vio *v, unsigned lane);

/* --- control.c: task management and events; where nothing else is said, the first lane's thread --- */

/* Thread of the request's lane. */
int vio_abort(struct hba *h, struct hba_req *req);
int vio_drain_control(struct vio *v);
/* After its queue was emptied, of this lane, on its thread: commands whose abort was refused, and which did not come back
 * since, lose their whole unit's task set. */
void vio_tmfs_settle(struct vio *v, unsigned lane);
/* Nothing is at the device. */
void vio_tmfs_forget(struct vio *v);
int vio_drain_events(struct vio *v);
void vio_events_post(struct vio *v);
/* hba_ops.unit_answers */
void vio_unit_answers(struct hba *h, struct hba_unit *u);
/* The first lane. An event may have been lost that says that a unit is back: the layers above are to ask those that are away. */
void vio_units_doubt(struct vio *v);
/* ... now and then, if that has had to wait. */
void vio_doubt_look(struct vio *v);

/* --- discover.c --- */

int vio_discover(struct vio *v, struct err *e);

/* --- reset.c --- */

int vio_reset_step(struct hba *h, unsigned *phase, uint64_t now, uint64_t *next);

#endif
