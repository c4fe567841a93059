/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hbactl probe: what the registers of Accusys boxes and virtio hosts say. */
#include <string.h>

#include "probe.h"

/* --- Accusys. What is inferred is said to be. --- */

static void ame_doorbell(struct probe *p)
{
	static const char *const bits[] = {"ready for this host", "about to restart",
		"flush: commands may be failed", "pause", "asks whether the host is alive (or resumes)"};
	uint32_t v = probe_value(p, "outbound doorbell");
	char text[160] = "";
	size_t at = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(bits); i++)
		if (v >> i & 1)
			at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s", at ? ", " : "", bits[i]);
	if (v >> ARRAY_SIZE(bits))
		snprintf(text + at, sizeof(text) - at, "%sunknown bits", at ? ", " : "");
	probe_fact(p, "Notices", "%s", text[0] ? text : "none");
}

static void ame_type(struct probe *p)
{
	uint32_t type = probe_value(p, "type");
	const struct pci_id *id = &p->dev->id;

	if (type == ((uint32_t)id->device << 16 | id->vendor))
		probe_fact(p, "Type", "%04x:%04x, as the PCI id", type & 0xffff, type >> 16);
	else
		probe_fact(p, "Type",
			"%04x:%04x, not the PCI id: other boxes repeat it here, so this may be another "
			"family",
			type & 0xffff, type >> 16);
}

static void ame_341(struct probe *p)
{
	uint32_t status = probe_value(p, "interrupt status");

	probe_fact(p, "Controller ready", "%s",
		status & 1 ? "yes" : "not told (it is when a host has introduced itself)");
	probe_fact(p, "Replies waiting", "%s", status & 8 ? "yes" : "no");
}

void probe_decode_ame(struct probe *p)
{
	uint32_t mask = probe_value(p, "interrupt mask"), post = probe_value(p, "inbound post indices");

	if (p->family == probe_family_find("ame-341")) {
		ame_341(p);
	} else {
		probe_fact(p, "Firmware ready", "%s",
			probe_value(p, "scratch pad 1") == 1 ? "yes"
							     : "no, or a driver had it (which writes 0)");
		ame_doorbell(p);
		ame_type(p);
		probe_fact(p, "Requests not taken yet", "%s (consumer %u, producer %u)",
			(post & 0xffff) == post >> 16 ? "none" : "some", post & 0xffff, post >> 16);
	}
	probe_fact(p, "Interrupts let through", "%08xh (that the mask can be read is inferred)", ~mask & 0xf);
}

/* --- virtio --- */

static void virtio_status(struct probe *p)
{
	static const struct {
		unsigned bit;
		const char *name;
	} bits[] = {{0x01, "ACKNOWLEDGE"}, {0x02, "DRIVER"}, {0x04, "DRIVER_OK"}, {0x08, "FEATURES_OK"},
		{0x40, "NEEDS_RESET"}, {0x80, "FAILED"}};
	uint32_t v = probe_value(p, "device status");
	char text[100] = "";
	size_t at = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(bits); i++)
		if (v & bits[i].bit)
			at += (size_t)snprintf(
				text + at, sizeof(text) - at, "%s%s", at ? " " : "", bits[i].name);
	probe_fact(p, "Device status", "%s", v ? text : "0: reset, waiting for a driver");
}

/* A window of 32 bits, and choosing another would be a write. */
static void virtio_features(struct probe *p)
{
	probe_fact(p, "Device features",
		"%08xh, bits %u to %u of them (only what the last driver selected is shown)",
		probe_value(p, "device features"), 32 * (probe_value(p, "device feature select") & 1),
		32 * (probe_value(p, "device feature select") & 1) + 31);
}

void probe_decode_virtio(struct probe *p)
{
	virtio_status(p);
	virtio_features(p);
	probe_fact(p, "Queues", "%u, of them %u for requests", probe_value(p, "queues"),
		probe_value(p, "request queues"));
	probe_fact(p, "SGEs per command", "%u", probe_value(p, "segments"));
	probe_fact(p, "Commands per LUN", "%u", probe_value(p, "commands per LUN"));
	probe_fact(p, "Largest command", "%u sectors", probe_value(p, "sectors"));
	probe_fact(p, "Last target and LUN", "%u, %u", probe_value(p, "last target"),
		probe_value(p, "last LUN"));
}
