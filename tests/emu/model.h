/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A controller model: what it looks like on the PCI bus, and what it does. One const struct model for each; the
 * list is in models.c. Everything runs on the one thread of the loop.
 */
#ifndef HBAD_EMU_MODEL_H
#define HBAD_EMU_MODEL_H

#include "base/err.h"
#include "bus.h"
#include "clockwork.h"
#include "faults.h"
#include "units.h"

#define MODEL_MAX_VECTORS 128

struct model_bar {
	uint32_t size; /* 0: none */
	bool io, wide; /* wide: takes the next BAR as its upper half */
	bool shared;   /* plain memory that the client may map; reads and writes do not reach the model */
};

struct model_pci {
	uint16_t vendor, device, subvendor, subdevice;
	uint32_t class_code;
	uint8_t revision;
	struct model_bar bar[6];
	uint8_t n_msi, n_msix;
	uint8_t msix_bar;
	uint32_t msix_table, msix_pba;
};

enum reset_kind {
	RESET_FUNCTION, /* by the bus: firmware starts anew, caches keep what they have */
	RESET_POWER,	/* power was away */
};

enum unit_change { UNIT_ADDED, UNIT_REMOVED, UNIT_RESIZED, UNIT_STATE };

struct ctrl;

/* What a model gets to work with; lives longer than the controller. */
struct model_env {
	struct emu_bus *bus;
	struct clockwork *clock;
	struct rng *rng;
	struct units *units;
	struct faults *faults;
	struct emu_stats *stats;
	/* For fault rules: firmware faults; the device vanishes from the bus. */
	void (*fault)(struct model_env *env, uint16_t code);
	void (*vanish)(struct model_env *env);
	/* The function forgets its BARs and its command register. */
	void (*lose_config)(struct model_env *env);
	struct model_options {
		uint32_t max_cmds, max_sge, max_strips;
		uint32_t queues;     /* request queues of virtio */
		uint32_t vectors;    /* reply queues offered, by models that have several */
		uint32_t boot_ms;    /* from reset to READY, about */
		uint32_t latency_us; /* a command takes 0 to twice this */
		bool narrow;	     /* 32-bit DMA only */
		bool forget_keeps; /* ame: commands that are forgotten, or given up, are answered all the same */
		uint32_t reset_ms; /* a reset of the function takes this long, of real time */
	} opt;
};

struct model {
	const char *name, *about;
	struct model_pci pci;
	uint32_t own_faults; /* 1 << FAULT_x, of those that not every model has */
	bool no_boot;	     /* ready at once, whatever --boot-ms says */
	int (*create)(struct model_env *env, struct ctrl **ret, struct err *e);
	void (*destroy)(struct ctrl *c);
	/* Registers are 32 bits wide; off is a multiple of 4. */
	uint32_t (*read)(struct ctrl *c, unsigned bar, uint32_t off);
	void (*write)(struct ctrl *c, unsigned bar, uint32_t off, uint32_t val);
	/* Optional, in place of both: any aligned access of 1, 2, 4 or 8 bytes, as it came. */
	uint64_t (*access)(
		struct ctrl *c, unsigned bar, uint64_t off, unsigned width, bool write, uint64_t value);
	/* Optional: changes configuration space, and what of it can be written, after they were made from pci. */
	void (*config)(const struct model *m, uint8_t *cfg, uint8_t *writable);
	/* Optional: these bytes of cfg are about to be read, or were written. */
	void (*config_window)(struct ctrl *c, uint8_t *cfg, uint64_t off, uint32_t len, bool write);
	void (*reset)(struct ctrl *c, enum reset_kind kind);
	/* Once per turn of the loop. True if it did something. */
	bool (*work)(struct ctrl *c);
	/* The interrupt set-up of the host changed: a level that is up is announced again. */
	void (*irq_changed)(struct ctrl *c);
	/* env->units changed by the control socket; tells the driver if the model has a way. */
	void (*unit_changed)(struct ctrl *c, struct unit *u, enum unit_change what);
	/* Raises count meaningless events. -ENOTSUP */
	int (*event_storm)(struct ctrl *c, unsigned count);
	/* Firmware faults with this code, now. */
	void (*fault)(struct ctrl *c, uint16_t code);
	/* Optional: raises the model's own notice bits. */
	int (*notice)(struct ctrl *c, uint32_t bits);
	/* "state=READY inflight=0", for status */
	void (*describe)(const struct ctrl *c, char *buf, size_t size);
};

extern const struct model *const models[]; /* ends with NULL */

#endif
