/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hbactl probe: configuration space. Offsets are those of PCI Local Bus Specification 3.0, chapter 6 and appendix H, and
 * PCI Express Base Specification 3.0, chapter 7. */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "probe.h"

#define CFG_STATUS   0x06
#define STATUS_CAPS  0x10
#define CFG_CAPS     0x34
#define CFG_FIRST    0x40
#define MAX_CAPS     48 /* as many fit; more is a circle */
#define EXT_FIRST    0x100
#define EXT_SIZE     0x1000
#define MAX_EXT_CAPS 16

enum cap_id {
	CAP_PM = 0x01,
	CAP_VPD = 0x03,
	CAP_MSI = 0x05,
	CAP_VENDOR = 0x09,
	CAP_SSVID = 0x0d,
	CAP_PCIE = 0x10,
	CAP_MSIX = 0x11
};

static const struct {
	uint16_t id;
	const char *name;
} extended[] = {
	{0x0001, "advanced error reporting"},
	{0x0002, "virtual channel"},
	{0x0003, "device serial number"},
	{0x0004, "power budgeting"},
	{0x000b, "vendor specific"},
	{0x000d, "access control services"},
	{0x000e, "alternative routing-ID (ARI)"},
	{0x000f, "address translation services"},
	{0x0010, "single-root I/O virtualization"},
	{0x0015, "resizable BAR"},
	{0x0016, "dynamic power allocation"},
	{0x0018, "latency tolerance reporting"},
	{0x0019, "secondary PCI Express"},
	{0x001e, "L1 PM substates"},
};

static void say(struct probe_cap *c, const char *fmt, ...) hb_printf(2, 3);

static void say(struct probe_cap *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->text, sizeof(c->text), fmt, ap);
	va_end(ap);
}

/* Is all of len bytes at the capability inside? A capability that leaves it says nothing. */
static bool fits(const struct probe_cap *c, unsigned len)
{
	return c->at + len <= PROBE_CFG;
}

static void tell_pcie(const struct probe *p, struct probe_cap *c)
{
	uint32_t can = probe_cfg32(p, c->at + 0x0cu);
	uint16_t is = probe_cfg16(p, c->at + 0x12u);

	say(c, "PCI Express, link generation %u width %u (it can %u and %u)%s", is & 0xf, is >> 4 & 0x3f,
		can & 0xf, can >> 4 & 0x3f,
		probe_cfg32(p, c->at + 4u) >> 28 & 1 ? ", function level reset" : "");
}

static void tell_virtio(const struct probe *p, struct probe_cap *c)
{
	static const char *const name[] = {"", "common configuration", "notification", "interrupt status",
		"device configuration", "access through configuration space"};
	unsigned type = p->cfg[c->at + 3];
	const struct probe_place at = {
		p->cfg[c->at + 4], probe_cfg32(p, c->at + 8u), probe_cfg32(p, c->at + 12u)};

	say(c, "virtio: %s, BAR%u+0x%x, 0x%x bytes", type && type < ARRAY_SIZE(name) ? name[type] : "unknown",
		at.bar, at.off, at.size);
}

static void tell_cap(const struct probe *p, struct probe_cap *c)
{
	uint16_t control = fits(c, 4) ? probe_cfg16(p, c->at + 2u) : 0;

	say(c, "capability 0x%02x", c->id);
	if (c->id == CAP_PM && fits(c, 8))
		say(c, "power management, D%u", probe_cfg16(p, c->at + 4u) & 3);
	else if (c->id == CAP_VPD)
		say(c, "vital product data");
	else if (c->id == CAP_SSVID)
		say(c, "subsystem ids of a bridge");
	else if (c->id == CAP_MSI)
		say(c, "MSI, vectors: %u, %s addresses", 1u << (control >> 1 & 7),
			control & 0x80 ? "64-bit" : "32-bit");
	else if (c->id == CAP_MSIX && fits(c, 12))
		say(c, "MSI-X, vectors: %u, table BAR%u+0x%x, pending bits BAR%u+0x%x",
			(control & 0x7ffu) + 1, p->cfg[c->at + 4] & 7, probe_cfg32(p, c->at + 4u) & ~7u,
			p->cfg[c->at + 8] & 7, probe_cfg32(p, c->at + 8u) & ~7u);
	else if (c->id == CAP_PCIE && fits(c, 0x14))
		tell_pcie(p, c);
	else if (c->id == CAP_VENDOR && p->dev->id.vendor == 0x1af4 && fits(c, 16))
		tell_virtio(p, c);
	else if (c->id == CAP_VENDOR)
		say(c, "vendor specific");
}

static void walk(struct probe *p)
{
	unsigned at = p->cfg[CFG_CAPS] & 0xfc;

	if (!(p->cfg[CFG_STATUS] & STATUS_CAPS))
		return;
	for (unsigned i = 0; i < MAX_CAPS && at >= CFG_FIRST; i++) {
		struct probe_cap *c = &p->cap[p->n_caps++];

		*c = (struct probe_cap){.at = (uint16_t)at, .id = p->cfg[at]};
		tell_cap(p, c);
		at = p->cfg[at + 1] & 0xfc;
	}
}

/* Extended configuration space is there for PCI Express only; who does not pass it on answers zeros or an error. */
static void walk_extended(struct probe *p)
{
	unsigned at = EXT_FIRST;

	for (unsigned i = 0; i < MAX_EXT_CAPS && at >= EXT_FIRST && at < EXT_SIZE; i++) {
		struct probe_cap *c = &p->cap[p->n_caps];
		uint32_t head;

		if (p->dev->ops->cfg_read(p->dev, at, &head, sizeof(head)) < 0)
			return;
		head = le32toh(head);
		if (!head || head == UINT32_MAX)
			return;
		*c = (struct probe_cap){.at = (uint16_t)at, .id = (uint16_t)head, .extended = true};
		say(c, "extended capability 0x%04x", c->id);
		for (unsigned k = 0; k < ARRAY_SIZE(extended); k++)
			if (extended[k].id == c->id)
				say(c, "%s", extended[k].name);
		p->n_caps++;
		at = head >> 20 & 0xffc;
	}
}
static_assert(MAX_CAPS + MAX_EXT_CAPS <= PROBE_MAX_CAPS, "they fit");

int probe_config(struct probe *p, struct err *e)
{
	for (unsigned at = 0; at < PROBE_CFG; at += 4) {
		int r = p->dev->ops->cfg_read(p->dev, at, p->cfg + at, 4);

		if (r < 0)
			return err_set(e, r, "%s: configuration space cannot be read at 0x%x: %s", p->target,
				at, strerror(-r));
	}
	if (probe_cfg16(p, 0) == 0xffff)
		return err_set(e, -ENODEV,
			"%s answers all ones: it was removed, has no power, or its link is down", p->target);
	walk(p);
	walk_extended(p);
	return 0;
}

unsigned probe_power_state(const struct probe *p)
{
	for (unsigned i = 0; i < p->n_caps; i++)
		if (!p->cap[i].extended && p->cap[i].id == CAP_PM && fits(&p->cap[i], 8))
			return p->cfg[p->cap[i].at + 4] & 3;
	return 0;
}
