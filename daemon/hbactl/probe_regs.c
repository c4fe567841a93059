/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hbactl probe: the registers that may be read. A register is in a table only when public drivers read it at any time,
 * and do so without meaning to change anything. Left out on purpose, because a read takes something or is not known:
 *
 *   MegaRAID  40h to 48h queue ports (in I2O's way, a read takes the next entry), C0h to C8h, 6Ch, 30Ch and on (written
 *             only), A0h (acknowledges), 04h and FCh (keys), 10h to 2Ch and 9Ch (used by nobody)
 *   AME       40h (takes a free index), 44h (takes the next reply), 10h, 18h, 20h, A0h, B8h (written only)
 *   virtio    interrupt status (clears itself), the selected queue's addresses, notification
 */
#include "probe.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

static const struct probe_reg mfi_gen1[] = {
	{0x30, 4, "interrupt status"},
	{0x34, 4, "interrupt mask"},
	{0xb0, 4, "state"},
};
static const struct probe_reg mfi_gen2[] = {
	{0x30, 4, "interrupt status"},
	{0x34, 4, "interrupt mask"},
	{0xb0, 4, "state"},
	{0xf8, 4, "host diagnostic"},
};
static const struct probe_reg mfi_skinny[] = {
	{0x08, 4, "host diagnostic"},
	{0x30, 4, "interrupt status"},
	{0x34, 4, "interrupt mask"},
	{0xb0, 4, "state"},
};
static const struct probe_reg fusion[] = {
	{0x00, 4, "doorbell"},
	{0x08, 4, "host diagnostic"},
	{0x30, 4, "interrupt status"},
	{0x34, 4, "interrupt mask"},
	{0xb0, 4, "state"}, /* scratch pad 0 */
	{0xb4, 4, "scratch pad 1"},
	{0xb8, 4, "scratch pad 2"},
	{0xbc, 4, "scratch pad 3"},
};
static const struct probe_reg ame_341[] = {
	{0x30, 4, "interrupt status"},
	{0x34, 4, "interrupt mask"},
};
static const struct probe_reg ame[] = {
	{0x34, 4, "interrupt mask"},
	{0x60, 4, "inbound free indices"},
	{0x64, 4, "inbound post indices"},
	{0x68, 4, "outbound free indices"},
	{0x9c, 4, "outbound doorbell"},
	{0xb4, 4, "scratch pad 1"},
	{0xbc, 4, "type"},
};
static const struct probe_reg virtio[] = {
	{0x00, 4, "device feature select", AREA_COMMON},
	{0x04, 4, "device features", AREA_COMMON},
	{0x08, 4, "driver feature select", AREA_COMMON},
	{0x0c, 4, "driver features", AREA_COMMON},
	{0x10, 2, "configuration vector", AREA_COMMON},
	{0x12, 2, "queues", AREA_COMMON},
	{0x14, 1, "device status", AREA_COMMON},
	{0x15, 1, "configuration generation", AREA_COMMON},
	{0x16, 2, "queue select", AREA_COMMON},
	{0x18, 2, "queue size", AREA_COMMON},
	{0x00, 4, "request queues", AREA_DEVICE},
	{0x04, 4, "segments", AREA_DEVICE},
	{0x08, 4, "sectors", AREA_DEVICE},
	{0x0c, 4, "commands per LUN", AREA_DEVICE},
	{0x10, 4, "event size", AREA_DEVICE},
	{0x14, 4, "sense size", AREA_DEVICE},
	{0x18, 4, "CDB size", AREA_DEVICE},
	{0x1c, 2, "last channel", AREA_DEVICE},
	{0x1e, 2, "last target", AREA_DEVICE},
	{0x20, 4, "last LUN", AREA_DEVICE},
};

/* --- where they are --- */

static int no_place(struct probe *p, const char *fmt, ...) hb_printf(2, 3);

static int no_place(struct probe *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p->problem, sizeof(p->problem), fmt, ap);
	va_end(ap);
	return -ENXIO;
}

static int take_bar(struct probe *p, unsigned bar)
{
	p->place[AREA_BAR] = (struct probe_place){
		(uint8_t)bar, 0, (uint32_t)MIN(p->dev->bar[bar].size, (uint64_t)UINT32_MAX)};
	return 0;
}

/* As the kernel's driver does it. */
static int first_memory(struct probe *p)
{
	for (unsigned i = 0; i < PCI_NUM_BARS; i++)
		if (p->dev->bar[i].size && !p->dev->bar[i].is_io)
			return take_bar(p, i);
	return no_place(
		p, "it has no memory BAR: its firmware did not start, or the machine's gave it no addresses");
}

static int fixed(struct probe *p, unsigned bar)
{
	if (!p->dev->bar[bar].size)
		return no_place(p, "it has no BAR%u, where %s has its registers", bar, p->family->name);
	return take_bar(p, bar);
}

static int bar0(struct probe *p)
{
	return fixed(p, 0);
}

static int bar1(struct probe *p)
{
	return fixed(p, 1);
}

/* The first capability of each type that makes sense, as the driver takes it. */
static int virtio_places(struct probe *p)
{
	for (unsigned i = p->n_caps; i-- > 0;) {
		unsigned at = p->cap[i].at, bar;
		enum probe_area a;

		if (p->cap[i].extended || p->cap[i].id != 0x09 || at + 16 > PROBE_CFG)
			continue;
		a = p->cfg[at + 3] == 1 ? AREA_COMMON : p->cfg[at + 3] == 4 ? AREA_DEVICE : AREA_BAR;
		bar = p->cfg[at + 4];
		if (a == AREA_BAR || bar >= PCI_NUM_BARS || !p->dev->bar[bar].size || p->dev->bar[bar].is_io)
			continue;
		p->place[a] =
			(struct probe_place){(uint8_t)bar, probe_cfg32(p, at + 8), probe_cfg32(p, at + 12)};
	}
	if (!p->place[AREA_COMMON].size || !p->place[AREA_DEVICE].size)
		return no_place(p, "no capability says where its virtio 1.x structures are: it is older, or "
				   "no virtio device");
	return 0;
}

/* --- the families --- */

#define REGS(table) .regs = table, .n_regs = ARRAY_SIZE(table)
const struct probe_family probe_families[] = {
	{.name = "sas1078",
		.about = "MegaRAID with MFI firmware, generation 1 (SAS1078)",
		.safe = "read at any time by the kernel's megaraid_sas",
		.locate = first_memory,
		REGS(mfi_gen1),
		.decode = probe_decode_mfi},
	{.name = "sas2108",
		.about = "MegaRAID with MFI firmware, generation 2 (SAS2108)",
		.safe = "read at any time by the kernel's megaraid_sas",
		.locate = first_memory,
		REGS(mfi_gen2),
		.decode = probe_decode_mfi},
	{.name = "sas2008",
		.about = "MegaRAID with MFI firmware on SAS2008",
		.safe = "read at any time by the kernel's megaraid_sas",
		.locate = first_memory,
		REGS(mfi_skinny),
		.decode = probe_decode_mfi},
	{.name = "sas3108",
		.about = "MegaRAID with Fusion firmware (SAS2208, SAS3108, SAS35xx, SAS39xx)",
		.safe = "read at any time by the kernel's megaraid_sas",
		.locate = first_memory,
		.zero_again = true,
		REGS(fusion),
		.decode = probe_decode_fusion},
	{.name = "ame",
		.about = "Accusys RAID box, 2208 and 3108 families",
		.safe = "read by the vendor's driver without effect, 34h by inference",
		.locate = bar1,
		REGS(ame),
		.decode = probe_decode_ame},
	{.name = "ame-341",
		.about = "Accusys RAID box, 341 family",
		.safe = "read by the vendor's driver without effect, 34h by inference",
		.locate = bar0,
		REGS(ame_341),
		.decode = probe_decode_ame},
	{.name = "virtio",
		.about = "virtio SCSI host",
		.safe = "VIRTIO 1.2, 4.1.4.3 and 5.6.4",
		.locate = virtio_places,
		REGS(virtio),
		.decode = probe_decode_virtio},
	{0},
};
static_assert(ARRAY_SIZE(virtio) <= PROBE_MAX_REGS, "they fit");

const struct probe_family *probe_family_find(const char *name)
{
	for (const struct probe_family *f = probe_families; f->name; f++)
		if (strcmp(f->name, name) == 0)
			return f;
	return NULL;
}

/* --- reading --- */

static uint32_t ones(unsigned width)
{
	return width == 4 ? UINT32_MAX : (1u << 8 * width) - 1;
}

static uint32_t read_reg(const struct probe *p, const struct probe_reg *r)
{
	const struct probe_place *at = &p->place[r->area];
	uint64_t off = (uint64_t)at->off + r->off;

	/* Not mapped: a transport that cannot read answers all ones, where a mapping could fault. */
	switch (r->width) {
	case 1:
		return pci_read8(p->dev, at->bar, off);
	case 2:
		return pci_read16(p->dev, at->bar, off);
	default:
		return pci_read32(p->dev, at->bar, off);
	}
}

static int check_room(struct probe *p)
{
	for (unsigned i = 0; i < p->family->n_regs; i++) {
		const struct probe_reg *r = &p->family->regs[i];
		const struct probe_place *at = &p->place[r->area];
		uint64_t end = (uint64_t)r->off + r->width;

		if (end > at->size || at->off + end > p->dev->bar[at->bar].size)
			return no_place(p,
				"BAR%u has %llu bytes and %u of them for this structure, too few for the "
				"registers of "
				"%s, of which '%s' is at 0x%x",
				at->bar, (unsigned long long)p->dev->bar[at->bar].size, at->size,
				p->family->name, r->name, at->off + r->off);
	}
	return 0;
}

static void all_ones(struct probe *p)
{
	unsigned d = probe_power_state(p);

	if (pci_is_gone(p->dev))
		no_place(p, "every register answers all ones and so does configuration space: it was "
			    "removed, or its link "
			    "is down");
	else if (d)
		no_place(p,
			"every register answers all ones: the function sleeps (D%u); a cold start of the "
			"machine "
			"wakes it",
			d);
	else
		no_place(p,
			"every register answers all ones although configuration space answers: its firmware "
			"or its "
			"bus interface hangs, or BAR%u cannot be read; power-cycle the machine, not only "
			"restart it",
			p->place[p->family->regs[0].area].bar);
}

void probe_registers(struct probe *p)
{
	const struct probe_family *f = p->family;
	bool gone = true;

	if (f->locate(p) < 0 || check_room(p) < 0)
		return;
	for (unsigned i = 0; i < f->n_regs; i++) {
		p->value[i] = read_reg(p, &f->regs[i]);
		for (unsigned again = 0; f->zero_again && !p->value[i] && again < 3; again++)
			p->value[i] = read_reg(p, &f->regs[i]);
		gone = gone && p->value[i] == ones(f->regs[i].width);
	}
	p->has_values = true;
	if (gone)
		all_ones(p);
	else
		f->decode(p);
}

uint32_t probe_value(const struct probe *p, const char *name)
{
	for (unsigned i = 0; i < p->family->n_regs; i++)
		if (strcmp(p->family->regs[i].name, name) == 0)
			return p->value[i];
	return 0;
}

void probe_fact(struct probe *p, const char *name, const char *fmt, ...)
{
	struct probe_fact *f;
	va_list ap;

	if (p->n_facts == PROBE_MAX_FACTS)
		return;
	f = &p->fact[p->n_facts++];
	f->name = name;
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
}
