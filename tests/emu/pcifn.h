/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The PCI function around a controller: configuration space, BARs, interrupts, and the way to memory. */
#ifndef HBAD_EMU_PCIFN_H
#define HBAD_EMU_PCIFN_H

#include <linux/vfio.h>
#include "model.h"
#include "record.h"

#define PCIFN_CFG_SIZE 4096

/* How memory is reached; the server's. */
struct pcifn_host {
	int (*dma)(struct pcifn_host *host, uint64_t addr, void *buf, uint32_t len, bool to_client,
		uint64_t *ret_at);
};

struct pcifn {
	const struct model *model;
	struct ctrl *ctrl;
	struct emu_bus bus;
	struct emu_stats *stats;
	struct pcifn_host *host; /* NULL: no client */
	struct record *record;	 /* NULL: nobody writes down what passes */
	bool gone;		 /* unplugged: all reads are ones */
	bool narrow;		 /* DMA above 4 GiB is wrong */
	uint32_t reset_ms; /* the server answers nothing so long after the client has reset the function */
	uint8_t cfg[PCIFN_CFG_SIZE], writable[PCIFN_CFG_SIZE];
	int shared_fd[6]; /* memory of shared BARs, or -1 */
	uint32_t msix[MODEL_MAX_VECTORS * 4];
	/* interrupts: eventfds by VFIO index and vector, -1 when there is none */
	int efd[VFIO_PCI_NUM_IRQS][MODEL_MAX_VECTORS];
	bool line, line_masked;
	uint32_t lose_irqs; /* so many of the next ones never arrive */
};

int pcifn_init(struct pcifn *p, const struct model *m, struct emu_stats *stats);
void pcifn_fini(struct pcifn *p);
void pcifn_reset(struct pcifn *p, enum reset_kind kind);
/* Only the configuration space, as if a bridge above had been reset; the controller is not told. */
void pcifn_lose_config(struct pcifn *p);
/* The client has gone: interrupts, and bus mastering as after a release by VFIO. */
void pcifn_client_gone(struct pcifn *p);

/* VFIO region index. Returns the size, 0 for none. */
uint64_t pcifn_region(const struct pcifn *p, unsigned region, uint32_t *ret_flags, int *ret_fd);
/* 0 or -EINVAL. Any length and alignment within the region. */
int pcifn_read(struct pcifn *p, unsigned region, uint64_t off, void *buf, uint32_t len);
int pcifn_write(struct pcifn *p, unsigned region, uint64_t off, const void *buf, uint32_t len);

/* VFIO interrupt index: how many, and the VFIO_IRQ_INFO_x flags. */
unsigned pcifn_irqs(const struct pcifn *p, unsigned index, uint32_t *ret_flags);
/* Takes fd over (-1: none). */
void pcifn_irq_set(struct pcifn *p, unsigned index, unsigned vector, int fd);
void pcifn_irq_trigger(struct pcifn *p, unsigned index, unsigned vector);
void pcifn_line_mask(struct pcifn *p, bool masked);

#endif
