/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A PCI function owned by this process, over one of several transports (struct pci_ops): kernel VFIO type 1,
 * or a vfio-user socket behind which another process emulates it. Drivers above see only this header.
 *
 * Threads: set-up and tear-down calls are for the control thread. pci_read32/pci_write32 and their like are for any thread
 * that the caller keeps from pci_close().
 */
#ifndef HBAD_PCI_PCI_H
#define HBAD_PCI_PCI_H

#include <stddef.h>
#include <stdint.h>
#include "base/endian.h"
#include "base/err.h"

#define PCI_NUM_BARS	6
#define PCI_MAX_VECTORS 128

/* Configuration space, PCI Local Bus Specification 3.0 section 6.1 and PCI Code and ID Assignment. */
enum pci_cfg {
	PCI_CFG_VENDOR = 0x00,
	PCI_CFG_DEVICE = 0x02,
	PCI_CFG_COMMAND = 0x04,
	PCI_CFG_REVISION = 0x08,
	PCI_CFG_CLASS = 0x09,
	PCI_CFG_SUBSYS_VENDOR = 0x2c,
	PCI_CFG_SUBSYS_DEVICE = 0x2e,
};

struct pci_id {
	uint16_t vendor, device, subvendor, subdevice;
	uint32_t class_code; /* 24 bits */
	uint8_t revision;
};

/* Half-open is awkward at 2^64: last is inclusive. */
struct pci_iova_range {
	uint64_t first, last;
};

enum pci_irq_kind { PCI_IRQ_NONE, PCI_IRQ_INTX, PCI_IRQ_MSI, PCI_IRQ_MSIX };

struct pci_bar {
	uint64_t size; /* 0: not implemented */
	bool is_io;
	volatile uint8_t *map; /* NULL when the transport gives no mapping: accessors then go through ops */
	uint64_t map_len;      /* bytes of map from 0; what lies behind (an MSI-X table on old kernels) goes
				  through ops */
};

struct pci_dev;

/* What keeps a device of the kernel's open. As long as some process has all of these, it is not reset, and memory that
 * was mapped for it stays mapped. -1: none. */
struct pci_descriptors {
	int container, group, device;
};

enum pci_note { PCI_NOTE_OUT, PCI_NOTE_IN };

struct pci_ops {
	const char *name;
	/* Required. Releases everything; interrupts off, bus mastering off, mappings undone, then
	 * descriptors. */
	void (*close)(struct pci_dev *dev);
	/* Required. len 1, 2 or 4. -errno; -ENODEV when the device is gone. */
	int (*cfg_read)(struct pci_dev *dev, unsigned off, void *buf, unsigned len);
	int (*cfg_write)(struct pci_dev *dev, unsigned off, const void *buf, unsigned len);
	/* Required. Fills dev->bar[n].map and map_len where the transport can map; leaves NULL and 0 where
	 * not. */
	int (*map_bar)(struct pci_dev *dev, unsigned n, struct err *e);
	/* Required for BARs that are not mapped whole. All ones when the read fails. */
	uint32_t (*bar_read32)(struct pci_dev *dev, unsigned n, uint64_t off);
	void (*bar_write32)(struct pci_dev *dev, unsigned n, uint64_t off, uint32_t val);
	/* Optional: the same for registers of 1 or 2 bytes (len), which only some devices have. */
	uint32_t (*bar_read_part)(struct pci_dev *dev, unsigned n, uint64_t off, unsigned len);
	void (*bar_write_part)(struct pci_dev *dev, unsigned n, uint64_t off, uint32_t val, unsigned len);
	/* Optional: the same for a register of 8 bytes; without it there are two writes of 4, the lower one first. */
	void (*bar_write64)(struct pci_dev *dev, unsigned n, uint64_t off, uint64_t val);
	/* Optional: does bar_write64 reach this register in one piece? Without it: no. */
	bool (*bar_whole64)(struct pci_dev *dev, unsigned n, uint64_t off);
	/* Required. Vectors n of kind signal eventfds[i]. -ENOTSUP when the device has not so many. */
	int (*irq_enable)(
		struct pci_dev *dev, enum pci_irq_kind kind, const int *eventfds, unsigned n, struct err *e);
	void (*irq_disable)(struct pci_dev *dev);
	/* Required. INTx is masked by the transport when it fires; this unmasks it after the device was
	 * quieted. */
	void (*intx_unmask)(struct pci_dev *dev);
	/* Optional. -ENOTSUP when the function cannot be reset by itself. */
	int (*reset)(struct pci_dev *dev, struct err *e);
	/* Required. vaddr, size and iova are multiples of the transport's page size. memfd/offset name the
	 * same memory for transports that pass descriptors; -1 when there is none. */
	int (*dma_map)(struct pci_dev *dev, void *vaddr, uint64_t size, uint64_t iova, int memfd,
		uint64_t offset, struct err *e);
	int (*dma_unmap)(struct pci_dev *dev, uint64_t iova, uint64_t size);
	/* Optional: see pci_note(). */
	void (*note)(struct pci_dev *dev, enum pci_note what, uint64_t iova, const void *mem, uint32_t len);
	/* Optional, both or none: see pci_export() and pci_leave(). */
	int (*export)(struct pci_dev *dev, struct pci_descriptors *ret, struct err *e);
	void (*leave)(struct pci_dev *dev);
};

struct pci_dev {
	const struct pci_ops *ops;
	char uri[128]; /* as given: "0000:03:00.0", "vfio-user:/run/x.sock" */
	struct pci_id id;
	struct pci_bar bar[PCI_NUM_BARS];
	unsigned n_vectors[PCI_IRQ_MSIX + 1]; /* by kind: how many the device has; 0 = none */
	struct pci_iova_range iova[32];	      /* what the IOMMU can map, sorted, without reserved windows */
	unsigned n_iova;
	uint32_t dma_map_limit; /* how many mappings the container takes at once */
	uint64_t dma_page;	/* granularity of dma_map */
	bool dma_unpinned; /* another process does the DMA, through the memory's descriptor: pages need not stay where
			      they are, and memory that cannot be locked is no obstacle */
	int request_fd; /* readable: the kernel asks for the device back (unplug), or the server of the device is gone;
			      -1 if the transport has none */
};

/* Opens a device named by URI: a PCI address ("0000:03:00.0", domain optional) bound to vfio-pci; or
 * "vfio-user:/PATH", a socket, for which no privilege is needed: -ENOENT, -ECONNREFUSED nobody serves it, -EBUSY
 * the server has another client, -EPROTO another version, -EBADMSG or -ENODEV its answers make no sense.
 * The caller owns *ret until pci_close(). Bus mastering is off and no interrupt is enabled. Errors name the cause
 * and the cure: -ENOENT no such device, -ENXIO not bound to vfio-pci, -ENODEV no IOMMU group or the device left,
 * -EPERM no-IOMMU mode or no interrupt remapping, -EBUSY open elsewhere or group not viable (names the others),
 * -ENOTSUP old kernel. */
int pci_open(const char *uri, struct pci_dev **ret, struct err *e);
/* Does another process serve it on a socket? Then there is no driver to bind and no IOMMU group to look at. */
bool pci_uri_is_served(const char *uri);
void pci_close(struct pci_dev *dev); /* NULL is fine */

/* --- from one process to the next, without a reset in between --- */

/* The descriptors stay dev's: whoever is to have them makes duplicates before pci_leave(). -ENOTSUP: this transport has
 * nothing that could be handed on. */
int pci_export(struct pci_dev *dev, struct pci_descriptors *ret, struct err *e);
/* In place of pci_close(): lets go of the device without touching it, but for its interrupts, which go off. Bus
 * mastering, and what is mapped for DMA, stay as they are while somebody else has the descriptors. */
void pci_leave(struct pci_dev *dev);
/* As pci_open(), of a device that another process has left with bus mastering on. Takes the descriptors over in any case,
 * so that a failure resets the device. They are not believed: the kernel is asked by the device's name. -ESTALE: it was
 * reset meanwhile. */
int pci_import(const char *uri, const struct pci_descriptors *d, struct pci_dev **ret, struct err *e);

/* A device whose traffic is written to a file (hbad/capture.h) while it is used; a file that is there already is kept
 * as PATH.old. Takes inner over when it succeeds, and is closed in its place. Registers are not mapped, and interrupts
 * make a detour through a thread: slower, but the I/O threads wait for nothing and nobody; what cannot be written
 * fast enough is left out, counted and said in the log. */
int pci_capture(struct pci_dev *inner, const char *path, struct pci_dev **ret, struct err *e);

int pci_map_bar(struct pci_dev *dev, unsigned n, struct err *e);
/* DMA by the device is possible only while bus mastering is on; so are MSI and MSI-X, which are writes to memory.
 * When switching it off returns, nothing that the device wrote is still on its way. */
int pci_set_bus_master(struct pci_dev *dev, bool on);
int pci_irq_enable(
	struct pci_dev *dev, enum pci_irq_kind kind, const int *eventfds, unsigned n, struct err *e);
void pci_irq_disable(struct pci_dev *dev);
int pci_reset(struct pci_dev *dev, struct err *e);

/* The one test for a device that is gone: all ones where no device can have them (class and revision), read from
 * configuration space. Not for the I/O path. */
bool pci_is_gone(struct pci_dev *dev);

static inline uint32_t pci_read32(struct pci_dev *dev, unsigned bar, uint64_t off)
{
	const struct pci_bar *b = &dev->bar[bar];

	if (likely(off < b->map_len)) {
		uint32_t v = *(const volatile uint32_t *)(b->map + off);

		/* Reads of host memory that the register value vouches for must not be done before it. */
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		return le32toh(v);
	}
	return dev->ops->bar_read32(dev, bar, off);
}

static inline void pci_write32(struct pci_dev *dev, unsigned bar, uint64_t off, uint32_t val)
{
	const struct pci_bar *b = &dev->bar[bar];

	if (likely(off < b->map_len)) {
		/* What was written to host memory (frames, indices) must be visible before the device is
		 * told. */
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		*(volatile uint32_t *)(b->map + off) = htole32(val);
		return;
	}
	dev->ops->bar_write32(dev, bar, off, val);
}

/* May several threads write this register of 8 bytes at the same time, so that each value arrives whole? A store of 8
 * bytes is one write on the bus where the host has 64 bits, and one message is one write to whoever serves it. The
 * kernel's way around a mapping is neither: it may make two writes of it. */
static inline bool pci_can_write64(struct pci_dev *dev, unsigned bar, uint64_t off)
{
	const struct pci_bar *b = &dev->bar[bar];

	if (off % sizeof(uint64_t))
		return false;
	if (b->map_len >= sizeof(uint64_t) && off <= b->map_len - sizeof(uint64_t))
		return sizeof(void *) >= sizeof(uint64_t);
	return dev->ops->bar_whole64 && dev->ops->bar_whole64(dev, bar, off);
}

/* off is a multiple of 8. In two halves, the lower first, where pci_can_write64() says no. */
static inline void pci_write64(struct pci_dev *dev, unsigned bar, uint64_t off, uint64_t val)
{
	const struct pci_bar *b = &dev->bar[bar];

	if (likely(b->map_len >= sizeof(uint64_t) && off <= b->map_len - sizeof(uint64_t))) {
		/* As in pci_write32(). */
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		*(volatile uint64_t *)(b->map + off) = htole64(val);
	} else if (dev->ops->bar_write64) {
		dev->ops->bar_write64(dev, bar, off, val);
	} else {
		pci_write32(dev, bar, off, (uint32_t)val);
		pci_write32(dev, bar, off + sizeof(uint32_t), (uint32_t)(val >> 32));
	}
}

/* What a capture is to know of the message memory, without data of users: PCI_NOTE_OUT, right before the register
 * write that makes the device read it: frames, tables. PCI_NOTE_IN, when the driver has found an answer there: status,
 * firmware's data, entries and indices of reply rings, what vouches for others last. Any thread; never blocks; one
 * test of a pointer when nobody captures. */
static inline void pci_note(
	struct pci_dev *dev, enum pci_note what, uint64_t iova, const void *mem, uint32_t len)
{
	if (unlikely(dev->ops->note))
		dev->ops->note(dev, what, iova, mem, len);
}
/* For what takes work to find out. */
static inline bool pci_is_noted(const struct pci_dev *dev)
{
	return unlikely(dev->ops->note);
}

/* Registers of other widths, for devices that must not be asked with 32 bits; ordered as those above. */
static inline uint8_t pci_read8(struct pci_dev *dev, unsigned bar, uint64_t off)
{
	const struct pci_bar *b = &dev->bar[bar];

	if (likely(off < b->map_len)) {
		uint8_t v = b->map[off];

		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		return v;
	}
	return dev->ops->bar_read_part ? (uint8_t)dev->ops->bar_read_part(dev, bar, off, sizeof(uint8_t))
				       : UINT8_MAX;
}

static inline uint16_t pci_read16(struct pci_dev *dev, unsigned bar, uint64_t off)
{
	const struct pci_bar *b = &dev->bar[bar];

	if (likely(off < b->map_len)) {
		uint16_t v = *(const volatile uint16_t *)(b->map + off);

		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		return le16toh(v);
	}
	return dev->ops->bar_read_part ? (uint16_t)dev->ops->bar_read_part(dev, bar, off, sizeof(uint16_t))
				       : UINT16_MAX;
}

static inline void pci_write8(struct pci_dev *dev, unsigned bar, uint64_t off, uint8_t val)
{
	const struct pci_bar *b = &dev->bar[bar];

	if (likely(off < b->map_len)) {
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		b->map[off] = val;
	} else if (dev->ops->bar_write_part) {
		dev->ops->bar_write_part(dev, bar, off, val, sizeof(val));
	}
}

static inline void pci_write16(struct pci_dev *dev, unsigned bar, uint64_t off, uint16_t val)
{
	const struct pci_bar *b = &dev->bar[bar];

	if (likely(off < b->map_len)) {
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		*(volatile uint16_t *)(b->map + off) = htole16(val);
	} else if (dev->ops->bar_write_part) {
		dev->ops->bar_write_part(dev, bar, off, val, sizeof(val));
	}
}

#endif
