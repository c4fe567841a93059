/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vfio-user on the wire: messages between a client that drives a PCI device (hbad, QEMU) and the server that
 * emulates it (hba-emu), over a unix stream socket.
 *
 * Source: the vfio-user Protocol Specification, docs/interop/vfio-user.rst of QEMU (commit 1053bb627cf5), section
 * "Protocol Specification"; where it is silent, what include/vfio-user.h of libvfio-user (commit 05259daa087f) and
 * hw/vfio-user/protocol.h of QEMU say, marked so.
 *
 * All fields are in the byte order of the host, nothing is packed, no field is at an odd place. A message is struct
 * vu_header, then a payload; offsets below are from the payload's begin. Flags of regions, interrupts and devices and
 * the numbers of PCI regions (VFIO_PCI_CONFIG_REGION_INDEX) and interrupts are those of <linux/vfio.h>.
 *
 * A reply echoes id and cmd. A reply with VU_F_ERROR is the header alone; error is then an errno or 0. Descriptors
 * travel as SCM_RIGHTS of the message they belong to. Commands go on one stream in both directions, so a command
 * of the server can come while the client waits for a reply. The server executes commands in the order of their
 * receipt.
 */
#ifndef HBAD_VFIO_USER_H
#define HBAD_VFIO_USER_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/vfio.h>

/* What is proposed; the reply must have the same major and a minor not above it. QEMU proposes and takes 0.0 only. */
#define VU_MAJOR 0
#define VU_MINOR 1

enum vu_cmd {
	VU_VERSION = 1,
	VU_DMA_MAP = 2,
	VU_DMA_UNMAP = 3,
	VU_DEVICE_GET_INFO = 4,
	VU_DEVICE_GET_REGION_INFO = 5,
	VU_DEVICE_GET_REGION_IO_FDS = 6, /* optional, for KVM; hbad never sends it */
	VU_DEVICE_GET_IRQ_INFO = 7,
	VU_DEVICE_SET_IRQS = 8,
	VU_REGION_READ = 9,
	VU_REGION_WRITE = 10,
	VU_DMA_READ = 11,  /* server to client */
	VU_DMA_WRITE = 12, /* server to client */
	VU_DEVICE_RESET = 13,
	/* 14: dirty pages of old versions */
	VU_REGION_WRITE_MULTI = 15,
	VU_DEVICE_FEATURE = 16,
	VU_MIG_DATA_READ = 17,
	VU_MIG_DATA_WRITE = 18,
};

enum vu_flags {
	VU_TYPE_MASK = 0xf,
	VU_TYPE_COMMAND = 0x0,
	VU_TYPE_REPLY = 0x1,
	VU_F_NO_REPLY = 0x10, /* in a command: no reply is wanted, not even an error */
	VU_F_ERROR = 0x20,    /* in a reply */
};

struct vu_header {
	uint16_t id; /* the sender's own; says nothing to the receiver */
	uint16_t cmd;
	uint32_t size; /* header and payload */
	uint32_t flags;
	uint32_t error; /* 0 in commands */
};
static_assert(sizeof(struct vu_header) == 16, "16 bytes of header");
static_assert(offsetof(struct vu_header, size) == 4, "size at 4");
static_assert(offsetof(struct vu_header, error) == 12, "error at 12");

/* --- VU_VERSION, both directions: then an optional JSON text with its terminating NUL,
 * {"capabilities":{"max_msg_fds":8,...}} --- */
struct vu_version {
	uint16_t major, minor;
};
static_assert(sizeof(struct vu_version) == 4, "major, minor");

#define VU_CAPS_KEY	      "capabilities"
#define VU_CAP_MAX_FDS	      "max_msg_fds"	   /* descriptors that the sender takes in one message */
#define VU_CAP_MAX_XFER	      "max_data_xfer_size" /* bytes of data it takes in one message */
#define VU_CAP_MAX_MAPS	      "max_dma_maps"
#define VU_CAP_PGSIZES	      "pgsizes"	       /* or'ed page sizes of DMA_MAP */
#define VU_CAP_WRITE_MULTIPLE "write_multiple" /* boolean */
#define VU_CAP_TWIN_SOCKET                                                                                   \
	"twin_socket" /* object {"supported":bool,"fd_index":number}; hbad has no use for it */

/* What holds for a capability that is not named. */
#define VU_DEFAULT_MAX_FDS  1
#define VU_DEFAULT_MAX_XFER 1048576
#define VU_DEFAULT_MAX_MAPS 65535
#define VU_DEFAULT_PGSIZES  4096

/* QEMU breaks off when a server says more than these (its hw/vfio-user/protocol.h and proxy.c). */
#define VU_QEMU_MAX_FDS	 16
#define VU_QEMU_MAX_XFER 67108864
#define VU_QEMU_MAX_MAPS 65535

/* --- VU_DMA_MAP: 0 or 1 descriptor; reply without payload. EEXIST when something is mapped there. --- */
enum vu_dma_flags { VU_DMA_READABLE = 0x1, VU_DMA_WRITEABLE = 0x2 };

struct vu_dma_map {
	uint32_t argsz; /* 32 */
	uint32_t flags;
	uint64_t offset; /* in the descriptor's file; 0 without one */
	uint64_t addr;
	uint64_t size;
};
static_assert(sizeof(struct vu_dma_map) == 32, "the specification says 32");
static_assert(offsetof(struct vu_dma_map, addr) == 16, "address at 16");

/* --- VU_DMA_UNMAP: exactly one earlier mapping; the reply repeats the payload, after the last reference of the
 * server is gone --- */
struct vu_dma_unmap {
	uint32_t argsz; /* size of the reply's payload: 24 */
	uint32_t flags; /* 0. libvfio-user: bit 1 with addr and size 0 unmaps all */
	uint64_t addr;
	uint64_t size;
};
static_assert(sizeof(struct vu_dma_unmap) == 24, "argsz, flags, address, size");

/* --- VU_DEVICE_GET_INFO: command (argsz, rest 0) and reply --- */
struct vu_device_info {
	uint32_t argsz;
	uint32_t flags; /* VFIO_DEVICE_FLAGS_RESET, VFIO_DEVICE_FLAGS_PCI */
	uint32_t num_regions;
	uint32_t num_irqs;
};
static_assert(sizeof(struct vu_device_info) == 16, "16 bytes today");

/* --- VU_DEVICE_GET_REGION_INFO: command (argsz, index) and reply. argsz of the command is what the client has room
 * for, of the reply what is needed; when that is more, the reply is cut and the client asks again. With
 * VFIO_REGION_INFO_FLAG_MMAP the reply carries the descriptor to map. hbad maps only descriptors that cannot shrink
 * (memfd with F_SEAL_SHRINK): a server that truncated its file would kill the client by SIGBUS. --- */
struct vu_region_info {
	uint32_t argsz;
	uint32_t flags; /* VFIO_REGION_INFO_FLAG_x */
	uint32_t index;
	uint32_t cap_offset; /* from this struct's begin; chain of struct vfio_info_cap_header */
	uint64_t size;
	uint64_t offset; /* for mmap; areas of the sparse capability are relative to it */
};
static_assert(sizeof(struct vu_region_info) == 32, "32 bytes");
static_assert(sizeof(struct vu_region_info) == sizeof(struct vfio_region_info), "same as the kernel's");
static_assert(offsetof(struct vu_region_info, size) == 16, "size at 16");

/* Capability of id VFIO_REGION_INFO_CAP_SPARSE_MMAP, version 1. */
struct vu_sparse_area {
	uint64_t offset, size;
};
struct vu_sparse_mmap {
	uint16_t id, version;
	uint32_t next;
	uint32_t nr_areas;
	uint32_t reserved;
	struct vu_sparse_area areas[];
};
static_assert(
	sizeof(struct vu_sparse_mmap) == 16 && sizeof(struct vu_sparse_area) == 16, "as in linux/vfio.h");

/* --- VU_DEVICE_GET_IRQ_INFO: command (argsz, index) and reply --- */
struct vu_irq_info {
	uint32_t argsz;
	uint32_t flags; /* VFIO_IRQ_INFO_x */
	uint32_t index;
	uint32_t count;
};
static_assert(sizeof(struct vu_irq_info) == 16, "16 bytes today");

/* --- VU_DEVICE_SET_IRQS: then bytes of 0 or 1 with VFIO_IRQ_SET_DATA_BOOL; descriptors (count of them, or none to
 * take them back) with VFIO_IRQ_SET_DATA_EVENTFD. Count 0 with VFIO_IRQ_SET_DATA_NONE and ACTION_TRIGGER switches
 * the whole index off. Reply without payload. More vectors than the server's max_msg_fds come in several messages
 * that follow each other, start counting up. --- */
struct vu_irq_set {
	uint32_t argsz; /* of this struct and the data in the message */
	uint32_t flags;
	uint32_t index;
	uint32_t start;
	uint32_t count;
};
static_assert(sizeof(struct vu_irq_set) == 20, "data at 20");

/* --- VU_REGION_READ and VU_REGION_WRITE, command and reply: then count bytes of data in the command of a write and
 * in the reply of a read. hbad sends register writes with VU_F_NO_REPLY, as a bus posts them. --- */
struct vu_region_access {
	uint64_t offset;
	uint32_t region;
	uint32_t count;
};
static_assert(sizeof(struct vu_region_access) == 16, "data at 16");

/* --- VU_DMA_READ and VU_DMA_WRITE, server to client, command and reply: then count bytes of data in the command of
 * a write and in the reply of a read. The specification's table for the reply of a write gives count 4 bytes, its
 * others 8; libvfio-user has 8 everywhere, and that is what hbad sends and takes. QEMU's struct has 4 bytes of
 * count with the data right behind. --- */
struct vu_dma_access {
	uint64_t addr;
	uint64_t count;
};
static_assert(sizeof(struct vu_dma_access) == 16, "data at 16");

/* --- VU_DEVICE_RESET: no payload in either direction --- */

/* --- VU_REGION_WRITE_MULTI, only to a server that said write_multiple: a count (8 bytes), then that many of these;
 * the reply is the count done (8 bytes). hbad does not send it; QEMU does when its queue is long. --- */
struct vu_write_one {
	uint64_t offset;
	uint32_t region;
	uint32_t count; /* 1 to 8 */
	uint8_t data[8];
};
static_assert(sizeof(struct vu_write_one) == 24, "24 bytes each");

/* Bounds of what hbad takes from a server: data per DMA message, descriptors per message. */
#define VU_CLIENT_MAX_XFER 65536
#define VU_CLIENT_MAX_FDS  8

#endif
