/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Private to hbactl probe: what is found out about a function without changing anything in it. Only registers of the
 * tables in probe_regs.c are read, which names those that may be: some registers of these devices do something when
 * they are read (a queue port gives out its next entry, virtio's interrupt status clears itself).
 */
#ifndef HBAD_HBACTL_PROBE_H
#define HBAD_HBACTL_PROBE_H

#include "base/err.h"
#include "hbactl.h"
#include "pci/pci.h"

#define PROBE_CFG	256
#define PROBE_MAX_CAPS	64
#define PROBE_MAX_REGS	32
#define PROBE_MAX_FACTS 32

enum probe_area { AREA_BAR, AREA_COMMON, AREA_DEVICE, N_AREAS }; /* AREA_COMMON and on: virtio's structures */

struct probe_reg {
	uint16_t off;
	uint8_t width; /* bytes */
	const char *name;
	enum probe_area area;
};

struct probe;

struct probe_family {
	const char *name;  /* what --as takes */
	const char *about; /* "MegaRAID with MFI firmware, generation 2 (SAS2108)" */
	const char *safe;  /* where it is said that these registers can be read without effect */
	/* Finds the places of the areas; 0, or -ENXIO with p->problem. */
	int (*locate)(struct probe *p);
	const struct probe_reg *regs;
	unsigned n_regs;
	bool zero_again; /* an answer of 0 may be an erratum: read up to three times more */
	void (*decode)(struct probe *p);
};

struct probe_place {
	uint8_t bar;
	uint32_t off, size; /* size 0: there is none */
};

struct probe_cap {
	uint16_t at, id;
	bool extended;
	char text[120];
};

struct probe {
	struct pci_dev *dev;
	const char *target;
	uint8_t cfg[PROBE_CFG];
	struct probe_cap cap[PROBE_MAX_CAPS];
	unsigned n_caps;

	const char *driver;		   /* of hbad's tables, or NULL */
	char verdict[400];		   /* which driver would take it, or which is nearest and why */
	const struct probe_family *family; /* whose registers are read; NULL: none */

	struct probe_place place[N_AREAS];
	uint32_t value[PROBE_MAX_REGS]; /* of family->regs */
	bool has_values;
	struct probe_fact {
		const char *name;
		char text[160];
	} fact[PROBE_MAX_FACTS];
	unsigned n_facts;
	char problem[400]; /* why there are no values, or why they mean nothing */
};

/* --- probe_pci.c --- */

/* Configuration space and what it says. -errno with a sentence. */
int probe_config(struct probe *p, struct err *e);
static inline uint16_t probe_cfg16(const struct probe *p, unsigned at)
{
	return (uint16_t)(p->cfg[at] | p->cfg[at + 1] << 8);
}
static inline uint32_t probe_cfg32(const struct probe *p, unsigned at)
{
	return probe_cfg16(p, at) | (uint32_t)probe_cfg16(p, at + 2) << 16;
}
/* 0 to 3; 0 also when the function has no power management. */
unsigned probe_power_state(const struct probe *p);

/* --- probe_match.c --- */

/* Writes driver, family (if there is no doubt) and verdict. */
void probe_match(struct probe *p, struct ctl *c);

/* --- probe_regs.c --- */

extern const struct probe_family probe_families[]; /* ends with name NULL */
const struct probe_family *probe_family_find(const char *name);
/* Reads and decodes the registers of p->family. Trouble is p->problem. */
void probe_registers(struct probe *p);
uint32_t probe_value(const struct probe *p, const char *name);
void probe_fact(struct probe *p, const char *name, const char *fmt, ...) hb_printf(3, 4);

/* --- probe_megaraid.c, probe_others.c: how values are decoded --- */

void probe_decode_mfi(struct probe *p);
void probe_decode_fusion(struct probe *p);
void probe_decode_ame(struct probe *p);
void probe_decode_virtio(struct probe *p);

/* --- probe_print.c --- */

void probe_print(const struct probe *p, FILE *out);
void probe_print_json(const struct probe *p, FILE *out);

#endif
