/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Private to the vfio-user transport: its state and its parts.
 *
 * One stream socket carries commands and replies of both sides. Any thread sends; whole messages leave one after
 * another (sending). One thread of our own, the reader, receives everything: it gives replies to the calls that
 * wait, answers what the server asks, and notices when the server hangs up. So a register access waits for the
 * server, never for another thread's access, and no wait is without an end:
 *
 *   - a call ends at the latest when its time is over: that of the access, or, because the server works in order,
 *     that of the longest call in front of it (a device reset);
 *   - a register write is posted: it waits only while the socket is full, and not longer than a call;
 *   - the first wait that ends by the clock, the first reply that makes no sense and the server's end all do the same,
 *     once: the connection is shut down, all calls end with -ENODEV, registers read all ones (mapped ones too), and
 *     request_fd becomes readable. After that nothing waits any more.
 *
 * request_fd is an epoll over two eventfds: end_fd is ours alone, asked_fd is signalled by a server that asks for the
 * device back, as the kernel does. With one for both, a server could take back the news of its own end.
 */
#ifndef HBAD_PCI_VUC_H
#define HBAD_PCI_VUC_H

#include <pthread.h>
#include <sys/types.h>

#include "base/list.h"
#include "hbad/vfio_user.h"
#include "pci.h"

#define VUC_URI	     "vfio-user:"
#define VUC_MAX_MAPS 1024
/* More of a BAR than this goes by messages: what is mapped is replaced by so much memory when the server dies. */
#define VUC_MAX_BAR_MAP (16u << 20)
#define VUC_RX_MAX	(sizeof(struct vu_dma_access) + VU_CLIENT_MAX_XFER) /* payload that we take */

struct vuc_times {
	unsigned access_ms; /* registers, mappings */
	unsigned setup_ms;  /* connecting, version: the server may have another client just now */
	unsigned reset_ms;
};
extern const struct vuc_times vuc_times;

/* What the server said about itself. */
struct vuc_caps {
	uint64_t max_fds, max_xfer, max_maps, pgsizes;
};

struct vuc_region {
	uint64_t size;
	uint64_t off; /* in fd */
	uint32_t flags;
	uint64_t mappable; /* bytes from 0 */
	int fd;		   /* -1: none */
};

struct vuc_map {
	uint64_t iova, size;
	uint8_t *cpu;
};

struct vuc_dev {
	struct pci_dev pci;
	const struct vuc_times *times;
	int sock;
	int end_fd, asked_fd; /* -1: none */
	pthread_t reader;
	bool has_reader;

	/* lock: never held while something waits. maps_lock is taken alone. */
	pthread_mutex_t lock;
	pthread_cond_t turn; /* sending or dead changed */
	bool sending;	     /* somebody is in the middle of a message */
	struct list calls;   /* that wait for their reply, by age */
	uint16_t next_id;
	bool ready; /* opened: what goes wrong from now on is news */
	bool closing, dead;
	bool news;	/* somebody should read why in the log */
	struct err why; /* it is dead */

	pthread_mutex_t maps_lock;
	struct vuc_map map[VUC_MAX_MAPS];
	unsigned n_maps;

	/* written while opening, and by the control thread */
	struct vuc_caps caps;
	uint32_t n_regions, n_irqs;
	struct vuc_region bar[PCI_NUM_BARS], cfg;
	bool can_reset;
	uint32_t irq_flags[PCI_IRQ_MSIX + 1]; /* VFIO_IRQ_INFO_x */
	unsigned irq_cap[PCI_IRQ_MSIX + 1];   /* offset of its capability in configuration space, 0: none */
	enum pci_irq_kind active;

	/* the reader's own */
	_Alignas(8) uint8_t rx[VUC_RX_MAX];
};

static inline struct vuc_dev *vuc_of(struct pci_dev *dev)
{
	return container_of(dev, struct vuc_dev, pci);
}

/* uri: VUC_URI and an absolute path. times must outlive the device. */
int vuc_open(const char *uri, const struct vuc_times *times, struct pci_dev **ret, struct err *e);

/* --- vu.c: the ops table; close takes half-built devices --- */
extern const struct pci_ops vuc_ops;

/* --- vuc_conn.c: commands to the server --- */

struct vuc_msg {
	uint16_t cmd; /* enum vu_cmd */
	const void *head;
	uint32_t head_len;
	const void *data; /* behind head */
	uint32_t data_len;
	const int *fds;
	unsigned n_fds;
};

/* Where the reply's payload goes. */
struct vuc_answer {
	void *buf;
	uint32_t min, max; /* bytes that a right reply has */
	int *ret_fd;	   /* takes the first descriptor, -1 if there is none; NULL: there must be none */
};

/* One command on the caller's stack that waits for its reply. */
struct vuc_call {
	struct list link;
	uint16_t id, cmd;
	uint64_t deadline;
	struct vuc_answer answer;
	pthread_cond_t ended;
	bool done;
	int result; /* bytes of payload, or -errno */
};

int vuc_conn_init(struct vuc_dev *v); /* locks; undone by vuc_conn_fini() */
void vuc_conn_fini(struct vuc_dev *v);
/* Bytes of the reply's payload; what the server says (-errno, -EIO without one); -ENODEV when it is dead.
 * answer NULL: the reply has no payload. */
int vuc_call(struct vuc_dev *v, const struct vuc_msg *m, const struct vuc_answer *answer, unsigned ms);
/* Without reply. -ENODEV. */
int vuc_post(struct vuc_dev *v, const struct vuc_msg *m);
/* A reply to the command h of the server; error 0 or an errno, without payload then. */
int vuc_reply(struct vuc_dev *v, const struct vu_header *h, int error, const struct vuc_msg *m);
/* The end of the connection, whoever notices. The first sentence is kept. Returns -ENODEV. */
int vuc_fail(struct vuc_dev *v, const char *fmt, ...) hb_printf(2, 3);
bool vuc_is_dead(struct vuc_dev *v); /* any thread: the connection has ended */
/* With v->lock held. */
void vuc_call_end(struct vuc_call *c, int result);
/* The sentence for a call that ended with r. */
int vuc_error(struct vuc_dev *v, int r, struct err *e, const char *what);

/* --- vuc_reader.c --- */
int vuc_reader_start(struct vuc_dev *v, struct err *e);
/* Ends the connection and the thread. Fine when there is none. */
void vuc_reader_stop(struct vuc_dev *v);

/* --- vuc_caps.c: the JSON of VERSION; pure --- */

/* text of len bytes with a NUL as the last one; len 0: nothing was said. -EBADMSG. What is not named gets the
 * specification's default, what we do not know is skipped. */
int vuc_caps_parse(const char *text, size_t len, struct vuc_caps *ret);

/* --- vuc_region.c --- */
int vuc_regions_read(struct vuc_dev *v, struct err *e);
int vuc_region_read(struct vuc_dev *v, uint32_t index, uint64_t off, void *buf, uint32_t len);
int vuc_region_write(
	struct vuc_dev *v, uint32_t index, uint64_t off, const void *buf, uint32_t len, bool posted);
int vuc_map_bar(struct pci_dev *dev, unsigned n, struct err *e);
void vuc_unmap_bars(struct vuc_dev *v);
/* Registers that are mapped read all ones from now on. With v->lock held, which map_bar takes too. */
void vuc_blank_bars(struct vuc_dev *v);
uint32_t vuc_bar_read32(struct pci_dev *dev, unsigned n, uint64_t off);
void vuc_bar_write32(struct pci_dev *dev, unsigned n, uint64_t off, uint32_t val);
uint32_t vuc_bar_read_part(struct pci_dev *dev, unsigned n, uint64_t off, unsigned len);
void vuc_bar_write64(struct pci_dev *dev, unsigned n, uint64_t off, uint64_t val);
bool vuc_bar_whole64(struct pci_dev *dev, unsigned n, uint64_t off);
void vuc_bar_write_part(struct pci_dev *dev, unsigned n, uint64_t off, uint32_t val, unsigned len);

/* --- vuc_irq.c --- */
int vuc_irqs_read(struct vuc_dev *v, struct err *e);
int vuc_irq_enable(
	struct pci_dev *dev, enum pci_irq_kind kind, const int *eventfds, unsigned n, struct err *e);
void vuc_irq_disable(struct pci_dev *dev);
void vuc_intx_unmask(struct pci_dev *dev);
/* request_fd, and the server's part of it where the server has that notifier. */
int vuc_request_open(struct vuc_dev *v, struct err *e);
int vuc_request_enable(struct vuc_dev *v, struct err *e);
void vuc_request_close(struct vuc_dev *v);

/* --- vuc_dma.c --- */
void vuc_dma_limits(struct vuc_dev *v);
int vuc_dma_map(struct pci_dev *dev, void *vaddr, uint64_t size, uint64_t iova, int memfd, uint64_t offset,
	struct err *e);
int vuc_dma_unmap(struct pci_dev *dev, uint64_t iova, uint64_t size);
void vuc_dma_unmap_all(struct vuc_dev *v);
/* A command of the server, payload in v->rx; from the reader. -ENODEV. */
int vuc_dma_serve(struct vuc_dev *v, const struct vu_header *h, uint32_t len);

#endif
