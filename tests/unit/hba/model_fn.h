/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What all model controllers share: a PCI function behind struct pci_ops whose interrupt is an eventfd, and access to
 * the driver's memory by I/O virtual address. A model's struct model begins with a struct model_fn fn.
 *
 * Register accesses come from the driver's threads, everything else from the test: one mutex covers both. Functions
 * of struct pci_ops take it; the others are for models, which hold it.
 */
#ifndef HBAD_TESTS_HBA_MODEL_FN_H
#define HBAD_TESTS_HBA_MODEL_FN_H

#include <pthread.h>

#include "pci/pci.h"

struct model_map {
	uint64_t iova, size;
	uint8_t *va;
};

struct model_fn {
	struct pci_dev pci; /* what the driver sees */
	pthread_mutex_t lock;

	/* --- set by the model or the test --- */
	uint8_t cfg[256]; /* configuration space */
	bool gone;	  /* all ones; the registers are the model's business */
	/* Optional: could the device write to memory, even if bus mastering were still on? Looked at when memory is
	 * taken away. */
	bool (*runs)(const struct model_fn *f);
	bool no_vectors; /* the kernel has none left: no MSI-X */
	bool one_vector; /* it has one left */

	/* --- observed by the test --- */
	bool bus_master, irq_on;
	int irq_fd[16]; /* by vector */
	enum pci_irq_kind irq_kind;
	unsigned n_irqs;
	unsigned n_unmask;
	unsigned dma_faults;	   /* accesses to unmapped memory, or without bus mastering */
	unsigned protocol_errors;  /* things that a real device would choke on */
	const char *protocol_what; /* the last of them */

	/* --- private --- */
	struct model_map map[16];
};

/* A function without BARs and interrupts: those are for the model to add, in f->pci. */
void fn_init(struct model_fn *f, const struct pci_ops *ops, const struct pci_id *id);
void fn_error(struct model_fn *f, const char *what);
/* Writes the eventfd, if interrupts are on. */
void fn_interrupt(struct model_fn *f); /* the first, or only one */
void fn_interrupt_vector(struct model_fn *f, unsigned n);

/* NULL, and counted, where the device must not go. */
uint8_t *fn_at(struct model_fn *f, uint64_t iova, uint64_t len);
void fn_read(struct model_fn *f, void *to, uint64_t iova, uint64_t len); /* all ones instead */
void fn_write(struct model_fn *f, uint64_t iova, const void *from, uint64_t len);
/* What the driver looks at while it is written: atomic, little-endian, with acquire and release. */
uint16_t fn_read16(struct model_fn *f, uint64_t iova);
uint32_t fn_read32(struct model_fn *f, uint64_t iova);
void fn_write8(struct model_fn *f, uint64_t iova, uint8_t v);
void fn_write16(struct model_fn *f, uint64_t iova, uint16_t v);
void fn_write32(struct model_fn *f, uint64_t iova, uint32_t v);
void fn_write64(struct model_fn *f, uint64_t iova, uint64_t v);

/* For a model's struct pci_ops. The command register can be written, nothing else. */
int fn_cfg_read(struct pci_dev *pci, unsigned off, void *buf, unsigned len);
int fn_cfg_write(struct pci_dev *pci, unsigned off, const void *buf, unsigned len);
int fn_map_bar(struct pci_dev *pci, unsigned n, struct err *e); /* the accessors serve it */
int fn_irq_enable(
	struct pci_dev *pci, enum pci_irq_kind kind, const int *eventfds, unsigned n, struct err *e);
void fn_irq_disable(struct pci_dev *pci);
void fn_intx_unmask(struct pci_dev *pci);
int fn_dma_map(struct pci_dev *pci, void *va, uint64_t size, uint64_t iova, int memfd, uint64_t offset,
	struct err *e);
int fn_dma_unmap(struct pci_dev *pci, uint64_t iova, uint64_t size);
void fn_close(struct pci_dev *pci); /* memory still mapped, bus mastering or interrupts on: errors */

/* An expression's value, or what a statement does, under the lock. */
#define fn_locked(f, expr)                                                                                   \
	({                                                                                                   \
		struct model_fn *_f = (f);                                                                   \
		pthread_mutex_lock(&_f->lock);                                                               \
		__typeof__(expr) _value = (expr);                                                            \
		pthread_mutex_unlock(&_f->lock);                                                             \
		_value;                                                                                      \
	})
#define fn_do_locked(f, statement)                                                                           \
	do {                                                                                                 \
		struct model_fn *_f = (f);                                                                   \
		pthread_mutex_lock(&_f->lock);                                                               \
		statement;                                                                                   \
		pthread_mutex_unlock(&_f->lock);                                                             \
	} while (0)

/* Every model that can hold commands has these, for rig_pump(). They take the lock. */
struct model;
unsigned model_pending(struct model *m);
/* Executes and answers the i-th held command; nothing, when there is none (any more). */
void model_complete(struct model *m, unsigned i);

/* All but the register accessors (and but the writing of configuration space, for those that do more of it). */
#define FN_OPS FN_OPS_BUT_CFG_WRITE, .cfg_write = fn_cfg_write
#define FN_OPS_BUT_CFG_WRITE                                                                                 \
	.name = "model", .close = fn_close, .cfg_read = fn_cfg_read, .map_bar = fn_map_bar,                  \
	.irq_enable = fn_irq_enable, .irq_disable = fn_irq_disable, .intx_unmask = fn_intx_unmask,           \
	.dma_map = fn_dma_map, .dma_unmap = fn_dma_unmap

#endif
