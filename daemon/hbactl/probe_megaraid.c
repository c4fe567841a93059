/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hbactl probe: what the registers of MegaRAID controllers say. */
#include "probe.h"

static const struct {
	const char *name, *meaning;
} states[16] = {
	[0x0] = {"UNDEFINED", "firmware has not begun to start"},
	[0x1] = {"BB_INIT", "the boot block runs; READY may be minutes away"},
	[0x4] = {"FW_INIT", "firmware starts; READY may be minutes away"},
	[0x6] = {"WAIT_HANDSHAKE",
		"firmware waits for its driver's word, which a driver gives by the doorbell"},
	[0x7] = {"FW_INIT_2", "firmware starts; READY may be minutes away"},
	[0x8] = {"DEVICE_SCAN", "firmware looks for disks; READY may be minutes away"},
	[0x9] = {"BOOT_MESSAGE_PENDING",
		"firmware wants somebody to see its message; a driver waves it through by the "
		"doorbell"},
	[0xa] = {"FLUSH_CACHE", "firmware writes its cache out; wait"},
	[0xb] = {"READY", "firmware waits for a driver: all is well"},
	[0xc] = {"OPERATIONAL",
		"a driver had it and did not shut it down; the next driver resets it to READY"},
	[0xf] = {"FAULT", "firmware has stopped: power-cycle, and update it if that comes again"},
};

static const char *yes(uint32_t bit)
{
	return bit ? "yes" : "no";
}

static void state(struct probe *p, uint32_t word)
{
	unsigned st = word >> 28;

	if (!states[st].name) {
		probe_fact(p, "Firmware state",
			"%xh, which is no state of this family: it is probably another one", st);
		return;
	}
	probe_fact(p, "Firmware state", "%s: %s", states[st].name, states[st].meaning);
	if (st == 0xf) {
		probe_fact(p, "Fault code", "%03xh, sub-code %02xh", word >> 16 & 0xfff, word >> 8 & 0xff);
		probe_fact(p, "Reset needed", "%s", yes(word & 1));
		probe_fact(p, "Adapter reset permitted", "%s", yes(word & 2));
		probe_fact(p, "Crash dump done", "%s", yes(word & 4));
	}
}

/* Only then do the low bits say this. */
static bool tells_limits(uint32_t word)
{
	return word >> 28 == 0xb || word >> 28 == 0xc;
}

static void interrupts(struct probe *p)
{
	uint32_t status = probe_value(p, "interrupt status"), mask = probe_value(p, "interrupt mask");

	probe_fact(p, "Interrupts", "pending %08xh, let through %08xh", status, ~mask);
}

static void diagnostic(struct probe *p)
{
	uint32_t diag = probe_value(p, "host diagnostic");

	probe_fact(p, "Host diagnostic", "writing %s, adapter reset %s", diag & 0x80 ? "enabled" : "disabled",
		diag & 0x04 ? "under way" : "not under way");
}

void probe_decode_mfi(struct probe *p)
{
	uint32_t word = probe_value(p, "state");

	state(p, word);
	if (tells_limits(word)) {
		probe_fact(p, "Commands", "%u", word & 0xffff);
		probe_fact(p, "SGEs per command", "%u", word >> 16 & 0xff);
		/* The same bit has another meaning after INIT. */
		if (word >> 28 == 0xb)
			probe_fact(p, "MSI-X offered", "%s", yes(word & 0x04000000));
		else
			probe_fact(p, "IEEE SGEs", "%s", yes(word & 0x04000000));
	}
	interrupts(p);
	if (p->family == probe_family_find("sas2108") || p->family == probe_family_find("sas2008"))
		diagnostic(p);
}

/* The field for the number of queues moved between the generations, which ids tell apart and registers do not. */
static void queues(struct probe *p, uint32_t pad1)
{
	probe_fact(
		p, "Reply queues", "%u if SAS2208, %u if later", (pad1 & 0x1f) + 1, (pad1 >> 14 & 0xff) + 1);
}

static unsigned power_of_two_below(unsigned n)
{
	unsigned v = 1;

	while (v * 2 <= n)
		v *= 2;
	return v;
}

static void pads(struct probe *p, uint32_t word)
{
	uint32_t pad1 = probe_value(p, "scratch pad 1"), pad2 = probe_value(p, "scratch pad 2");
	uint32_t chain = MAX((pad1 >> 5 & 0x1f) * (pad1 & 0x00400000 ? 512 : 128), 1024u);

	probe_fact(p, "Commands", "%u; %u by scratch pad 2, which counts before the SAS35xx when it is not 0",
		word & 0xffff, pad2 & 0xffff);
	probe_fact(p, "SGEs per command", "%u, by chain frames of %u bytes",
		power_of_two_below(8 + chain / 16 - 2), chain);
	queues(p, pad1);
	probe_fact(p, "MSI-X offered", "%s", yes(word & 0x04000000));
	probe_fact(p, "Queue array (RDPQ)", "%s", yes(pad1 & 0x00800000));
	if (word >> 28 == 0xb)
		probe_fact(p, "Firmware syncs caches itself", "%s", yes(pad1 & 0x01000000));
	else
		probe_fact(p, "32-bit descriptors", "%s, on SAS39xx", yes(pad1 & 0x01000000));
	probe_fact(p, "64-bit control structures", "%s", yes(pad1 & 0x02000000));
	probe_fact(p, "RAID map", "%u KiB, on SAS35xx and later (0: old formats)", (pad2 >> 16 & 0x1ff) * 64);
}

void probe_decode_fusion(struct probe *p)
{
	uint32_t word = probe_value(p, "state");

	state(p, word);
	if (tells_limits(word))
		pads(p, word);
	probe_fact(p, "Doorbell", "%s", probe_value(p, "doorbell") & 1 ? "busy" : "free");
	interrupts(p);
	diagnostic(p);
}
