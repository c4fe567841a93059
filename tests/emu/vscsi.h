/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A virtio SCSI host on PCI, modern interface only. Written from OASIS "Virtual I/O Device (VIRTIO) Version 1.2" (sections
 * in brackets) and from nothing else; what it leaves open is said where it is decided. The unit "ldN" is LUN N of target 0,
 * "pdN" is LUN 0 of target N + 1.
 */
#ifndef HBAD_EMU_VSCSI_H
#define HBAD_EMU_VSCSI_H

#include "base/endian.h"
#include "base/log.h"
#include "model.h"

/* [2.1] */
enum vs_status {
	VST_ACKNOWLEDGE = 0x01,
	VST_DRIVER = 0x02,
	VST_DRIVER_OK = 0x04,
	VST_FEATURES_OK = 0x08,
	VST_NEEDS_RESET = 0x40,
	VST_FAILED = 0x80,
};

/* [5.6.3, 6] */
#define VF_HOTPLUG	   (UINT64_C(1) << 1)
#define VF_CHANGE	   (UINT64_C(1) << 2)
#define VF_INDIRECT_DESC   (UINT64_C(1) << 28)
#define VF_EVENT_IDX	   (UINT64_C(1) << 29)
#define VF_VERSION_1	   (UINT64_C(1) << 32)
#define VF_ACCESS_PLATFORM (UINT64_C(1) << 33)

/* [5.6.2] */
enum { VQ_CONTROL, VQ_EVENT, VQ_REQUEST };
#define VS_REQUEST_QUEUES 16
#define VS_QUEUES	  (VQ_REQUEST + VS_REQUEST_QUEUES)
#define VS_VECTORS	  (1 + VS_QUEUES)
#define VS_RING_MAX	  256 /* descriptors of a queue, and of a chain [2.7.5.3.1] */
#define VS_OTHER_RING	  64  /* of the control and the event queue */
#define VS_NO_VECTOR	  0xffff

/* [5.6.4, 5.6.6.1]: what the driver may set, and how far */
#define VS_CDB_SIZE   32
#define VS_SENSE_SIZE 96
#define VS_SIZES_MAX  255
#define VS_TARGETS    64
#define VS_MAX_LUN    16383
/* Of data in one command. max_sectors is a hint [5.6.4]: more than it says is taken, up to here. */
#define VS_DATA_MAX (16u << 20)

enum vs_response { /* [5.6.6.1, 5.6.6.2] */
	VSR_OK = 0,
	VSR_OVERRUN = 1,
	VSR_ABORTED = 2,
	VSR_BAD_TARGET = 3,
	VSR_RESET = 4,
	VSR_BUSY = 5,
	VSR_FAILURE = 9,
	VSR_FUNCTION_COMPLETE = 0,
	VSR_FUNCTION_SUCCEEDED = 10,
	VSR_FUNCTION_REJECTED = 11,
	VSR_INCORRECT_LUN = 12,
};

/* Offsets in a request [5.6.6.1]; the CDB is followed by data out, the sense by data in. */
enum { RQ_LUN = 0, RQ_ID = 8, RQ_CDB = 19 };
enum { RS_SENSE_LEN = 0, RS_RESIDUAL = 4, RS_STATUS = 10, RS_RESPONSE = 11, RS_SENSE = 12 };

struct vscsi;

struct vs_seg {
	uint64_t addr;
	uint32_t len;
};

/* A chain of descriptors: what the device reads, then what it writes. */
struct vs_chain {
	uint16_t head;
	uint16_t n_out, n_in;
	uint64_t out_len, in_len;
	struct vs_seg seg[VS_RING_MAX];
};

struct vs_queue {
	uint16_t size, size_max, vector;
	bool enabled, kicked;
	uint64_t desc, driver, device;
	uint16_t avail, used; /* next to be taken, next to be filled; both run freely */
	uint64_t answers;
	bool busy[VS_RING_MAX]; /* heads that the device has */
};

struct vs_cmd {
	struct list link;
	struct vscsi *v;
	struct wheel timer;
	unsigned queue;
	struct vs_chain ch;
	uint8_t req[RQ_CDB + VS_SIZES_MAX];
	uint8_t reply[RS_SENSE + VS_SIZES_MAX];
	uint32_t reply_len, written; /* written: data in, behind the reply */
	uint32_t delay_ms, twice;
	bool executed;
	bool told; /* a fault has given its head back already */
	enum fault_action fault;
	uint32_t fault_arg;
};

/* What the fault "late-dma" still writes after the command has ended. */
struct vs_late {
	struct wheel timer;
	struct vscsi *v;
	struct vs_seg seg;
};

struct vs_event {
	uint32_t event, reason;
	uint8_t target, lun;
};
#define VS_EVENTS 64 /* that wait for a buffer; what comes after them is missed [5.6.6.3] */

struct vscsi {
	struct model_env *env;
	uint8_t status, isr;
	bool lost;	   /* it lost its state since the driver talked to it, who cannot know that yet */
	uint64_t features; /* the driver's */
	uint32_t device_select, driver_select, sense_size, cdb_size;
	uint16_t queue_select, config_vector;
	uint32_t n_queues;
	struct vs_queue queue[VS_QUEUES];
	struct vs_cmd *cmd; /* all of them */
	uint32_t n_cmds, n_flying, most_flying;
	struct list free, flying;
	struct vs_late late[8];
	struct vs_event event[VS_EVENTS];
	uint32_t event_in, event_out, storm;
	bool missed;
	uint32_t msix[VS_VECTORS * 4];
	uint8_t *buf; /* of buf_size, for the data of the command that is being executed */
	uint32_t buf_size;
};

static inline uint16_t vs_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}
static inline uint32_t vs_get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}
static inline uint64_t vs_get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}
static inline void vs_put32(uint8_t *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, sizeof(v));
}

/* --- vscsi_hw.c --- */

/* The driver broke the specification: counted, and logged. */
void vs_wrong(struct vscsi *v, const char *fmt, ...) hb_printf(2, 3);
/* The device cannot go on: DEVICE_NEEDS_RESET, and a notification if the driver is up [2.1.2]. All commands are forgotten. */
void vs_broken(struct vscsi *v);
/* Vector and ISR bit of the queue. */
void vs_notify_queue(struct vscsi *v, unsigned queue);
static inline bool vs_runs(const struct vscsi *v)
{
	return v->status & VST_DRIVER_OK && !(v->status & VST_NEEDS_RESET);
}

/* --- vscsi_regs.c --- */

extern const uint64_t vs_features;
/* BARs, and what lies where in the first of them; see vs_config(). */
enum { VBAR = 0, VBAR_MSIX = 2 };
void vs_config(const struct model *m, uint8_t *cfg, uint8_t *writable);
/* The window of the PCI access capability [4.1.4.9] was read, or written, at these bytes of configuration space. */
void vs_config_window(struct ctrl *c, uint8_t *cfg, uint64_t off, uint32_t len, bool write);
uint64_t vs_access(struct ctrl *c, unsigned bar, uint64_t off, unsigned width, bool write, uint64_t value);
struct vscsi *vscsi_of(struct ctrl *c);
void vs_reset(struct vscsi *v);

/* --- vscsi_ring.c --- */

/* The next chain. 1: ch is it; 0: there is none; -1: the driver, or its memory, is wrong and the device is broken now. */
int vs_pop(struct vscsi *v, unsigned queue, struct vs_chain *ch);
/* Copies from what the device reads, or to what it writes. False as for -1 above. */
bool vs_gather(struct vscsi *v, const struct vs_chain *ch, uint64_t off, void *buf, uint32_t len);
bool vs_scatter(struct vscsi *v, const struct vs_chain *ch, uint64_t off, const void *buf, uint32_t len);
/* The device is done with the chain, and has written len bytes; interrupts if the driver wants to know. */
void vs_push(struct vscsi *v, unsigned queue, uint32_t id, uint32_t len);
/* Entries that nobody filled are declared used. */
void vs_jump(struct vscsi *v, unsigned queue, uint16_t entries);

/* --- vscsi_cmd.c --- */

int vs_cmds_init(struct vscsi *v);
void vs_cmds_fini(struct vscsi *v);
void vs_cmds_drop(struct vscsi *v);
void vs_take(struct vscsi *v, unsigned queue);
void vs_finish(struct vs_cmd *c);

/* --- vscsi_io.c --- */

void vs_exec_request(struct vs_cmd *c);
/* NULL: there is none; *ret_target says whether there is anything behind that target. */
struct unit *vs_unit(const struct vscsi *v, const uint8_t *lun, bool *ret_target);
bool vs_lun_of(const struct unit *u, uint8_t *ret_target, uint8_t *ret_lun);
/* The command ends without having been executed. */
void vs_reply(struct vs_cmd *c, enum vs_response response);

/* --- vscsi_task.c --- */

void vs_exec_control(struct vs_cmd *c);
void vs_late_stop(struct vscsi *v);

/* --- vscsi_event.c --- */

void vs_event_unit(struct vscsi *v, const struct unit *u, enum unit_change what);
/* True if one was sent. */
bool vs_events_work(struct vscsi *v);

#endif
