/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Private to the kernel VFIO transport: its state, its system calls, its parts. */
#ifndef HBAD_PCI_VFIO_H
#define HBAD_PCI_VFIO_H

#include <linux/vfio.h>
#include <sys/types.h>

#include "pci.h"

/* Everything that leaves the process, so that tests can stand in for the kernel. All return -1 and errno. */
struct vfio_sys {
	int (*open)(const char *path, int flags);
	int (*close)(int fd);
	int (*ioctl)(int fd, unsigned long request, void *arg);
	ssize_t (*pread)(int fd, void *buf, size_t len, off_t off);
	ssize_t (*pwrite)(int fd, const void *buf, size_t len, off_t off);
	void *(*mmap)(void *addr, size_t len, int prot, int flags, int fd, off_t off);
	int (*munmap)(void *addr, size_t len);
	int (*eventfd)(unsigned initial, int flags);
};

extern const struct vfio_sys vfio_linux;

struct vfio_region {
	uint64_t off; /* in the device's descriptor */
	uint64_t size;
	uint32_t flags;	   /* VFIO_REGION_INFO_FLAG_x */
	uint64_t mappable; /* bytes from 0 that the kernel lets us map */
};

struct vfio_dev {
	struct pci_dev pci;
	const struct vfio_sys *sys;
	const char *root; /* of sysfs and /proc, for explanations */
	char addr[16];
	int group_no;
	int container, group, device; /* descriptors, -1 while not open */
	struct vfio_region bar[PCI_NUM_BARS], cfg;
	bool can_reset, can_request, can_unmap_all;
	enum pci_irq_kind active; /* PCI_IRQ_NONE: none */
};

static inline struct vfio_dev *vfio_of(struct pci_dev *dev)
{
	return container_of(dev, struct vfio_dev, pci);
}

/* addr: full form. root and sys must outlive the device. */
int vfio_open(
	const char *root, const struct vfio_sys *sys, const char *addr, struct pci_dev **ret, struct err *e);

/* --- vfio_import.c: a device that another process has left. Takes the descriptors over in any case. --- */
int vfio_import(const char *root, const struct vfio_sys *sys, const char *addr,
	const struct pci_descriptors *d, struct pci_dev **ret, struct err *e);
void vfio_descriptors_close(const struct vfio_sys *sys, const struct pci_descriptors *d);

/* --- vfio_open.c: parts of it --- */
struct vfio_dev *vfio_new(
	const char *root, const struct vfio_sys *sys, const char *addr); /* NULL: no memory */
/* What sysfs says of it: a group, and a driver of VFIO's. */
int vfio_check_sysfs(struct vfio_dev *v, struct err *e);
/* Asks the group for the device by its name. */
int vfio_open_device(struct vfio_dev *v, struct err *e);

/* --- vfio.c: the ops table; close takes half-built devices --- */
extern const struct pci_ops vfio_ops;

/* --- vfio_bar.c --- */
int vfio_regions_read(struct vfio_dev *v, struct err *e);
int vfio_map_bar(struct pci_dev *dev, unsigned n, struct err *e);
void vfio_unmap_bars(struct vfio_dev *v);
uint32_t vfio_bar_read32(struct pci_dev *dev, unsigned n, uint64_t off);
void vfio_bar_write32(struct pci_dev *dev, unsigned n, uint64_t off, uint32_t val);
uint32_t vfio_bar_read_part(struct pci_dev *dev, unsigned n, uint64_t off, unsigned len);
void vfio_bar_write64(struct pci_dev *dev, unsigned n, uint64_t off, uint64_t val);
void vfio_bar_write_part(struct pci_dev *dev, unsigned n, uint64_t off, uint32_t val, unsigned len);

/* --- vfio_irq.c --- */
int vfio_irqs_read(struct vfio_dev *v, struct err *e);
int vfio_irq_enable(
	struct pci_dev *dev, enum pci_irq_kind kind, const int *eventfds, unsigned n, struct err *e);
void vfio_irq_disable(struct pci_dev *dev);
void vfio_intx_unmask(struct pci_dev *dev);
/* Sets up request_fd where the kernel has the notifier; without it request_fd stays -1. */
int vfio_request_enable(struct vfio_dev *v, struct err *e);
void vfio_request_disable(struct vfio_dev *v);

/* --- vfio_iommu.c --- */
int vfio_iommu_read(struct vfio_dev *v, struct err *e);
int vfio_dma_map(struct pci_dev *dev, void *vaddr, uint64_t size, uint64_t iova, int memfd, uint64_t offset,
	struct err *e);
int vfio_dma_unmap(struct pci_dev *dev, uint64_t iova, uint64_t size);
void vfio_dma_unmap_all(struct vfio_dev *v);

/* --- vfio_caps.c: what the kernel appends to its info structs; pure --- */

/* Runs an info ioctl with as large a buffer as the kernel asks for. *ret is freed by the caller; init_len
 * bytes of init (with argsz first) are the request. Length of the answer, or -errno. */
int vfio_info(const struct vfio_sys *sys, int fd, unsigned long request, const void *init, uint32_t init_len,
	uint8_t **ret);
/* Offset of the first capability with that id in buf. -ENOENT; -EBADMSG when the chain leaves the buffer or
 * runs in a circle. */
int vfio_cap_find(const uint8_t *buf, size_t len, uint32_t first, uint16_t id);
/* Bytes from 0 that the sparse mmap capability at off covers without a hole, at most size. */
int vfio_cap_sparse(const uint8_t *buf, size_t len, size_t off, uint64_t size, uint64_t *ret);
/* Sorted, joined ranges of the IOVA capability at off; those that do not fit into cap are left out. */
int vfio_cap_iova(const uint8_t *buf, size_t len, size_t off, struct pci_iova_range *ret, unsigned cap,
	unsigned *ret_n);

#endif
