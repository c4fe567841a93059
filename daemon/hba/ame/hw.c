/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Registers and configuration space of the box: presence, start of a conversation, reply frames [2, 3]. */
#include "box.h"

#include <errno.h>
#include <string.h>

#define CFG_BAR0    0x10
#define CMD_MEMORY  0x0002
#define CMD_MASTER  0x0004
#define CMD_WATCHED (CMD_MEMORY | CMD_MASTER)

/* --- presence --- */

static int cfg16(const struct ame *a, unsigned off, uint16_t *ret)
{
	uint16_t v;
	int r = a->h->pci->ops->cfg_read(a->h->pci, off, &v, sizeof(v));

	if (r == 0)
		*ret = le16toh(v);
	return r;
}

static int cfg32(const struct ame *a, unsigned off, uint32_t *ret)
{
	uint32_t v;
	int r = a->h->pci->ops->cfg_read(a->h->pci, off, &v, sizeof(v));

	if (r == 0)
		*ret = le32toh(v);
	return r;
}

/* The vendor's driver compares the BARs [2]. Behind the kernel's VFIO those are not the device's own, but its
 * command register is; and a box that restarted has forgotten that as well. */
enum ame_presence ame_look(const struct ame *a)
{
	uint16_t command = 0;
	uint32_t bar;

	if (pci_is_gone(a->h->pci))
		return AME_GONE;
	if (!a->saved_command)
		return AME_HERE;
	if (cfg16(a, PCI_CFG_COMMAND, &command) < 0)
		return AME_GONE;
	if (~command & a->saved_command & (a->muted ? CMD_MEMORY : CMD_WATCHED))
		return AME_FORGOT;
	for (unsigned i = 0; i < ARRAY_SIZE(a->saved_bar); i++)
		if (cfg32(a, CFG_BAR0 + 4 * i, &bar) == 0 && bar != AME_ALL_ONES && bar != a->saved_bar[i])
			return AME_FORGOT;
	return AME_HERE;
}

int ame_save_config(struct ame *a, struct err *e)
{
	int r = cfg16(a, PCI_CFG_COMMAND, &a->saved_command);

	for (unsigned i = 0; i < ARRAY_SIZE(a->saved_bar) && r == 0; i++)
		r = cfg32(a, CFG_BAR0 + 4 * i, &a->saved_bar[i]);
	return r < 0 ? err_set(e, r, "cannot read the box's configuration space (error %d)", -r) : 0;
}

void ame_mute(struct ame *a)
{
	pci_set_bus_master(a->h->pci, false);
	a->muted = true;
}

void ame_restore_config(struct ame *a)
{
	uint16_t command = htole16((uint16_t)(a->saved_command & ~CMD_MASTER));
	struct pci_dev *pci = a->h->pci;

	if (!a->saved_command)
		return;
	for (unsigned i = 0; i < ARRAY_SIZE(a->saved_bar); i++) {
		uint32_t bar = htole32(a->saved_bar[i]);

		pci->ops->cfg_write(pci, CFG_BAR0 + 4 * i, &bar, sizeof(bar));
	}
	/* VFIO gives the device its own BARs back when memory is switched on. */
	pci->ops->cfg_write(pci, PCI_CFG_COMMAND, &command, sizeof(command));
}

/* A box that restarted masks its interrupts [I]. Compared is what was read before, not what was written: nobody has
 * seen this register be read. Check on real hardware: the debug log's line on it after the start. */
bool ame_restarted(const struct ame *a, enum ame_presence p)
{
	if (p == AME_FORGOT)
		return true;
	return p == AME_HERE && !a->mask_restless && ame_read(a, AME_MASK) != a->mask_read;
}

/* --- start of a conversation [3.3, 3.4, 7] --- */

static uint32_t high32(const struct ame *a)
{
	return (uint32_t)(a->mem.iova >> 32);
}

void ame_shake_begin(struct ame *a, bool recovery, uint64_t now)
{
	a->shake.recovery = recovery;
	a->shake.step = AME_SHAKE_SETTLE;
	a->shake.settled_ns = now;
	if (!a->family->doorbells) {
		ame_write(a, AME_STATUS, AME_STATUS_READY);
		return;
	}
	if (recovery)
		ame_write(a, AME_PAD_HOST, AME_HOST_RECOVERY);
	ame_write(a, AME_MASK, a->family->mask_all);
	ame_write(a, AME_OUTBOUND_CLEAR, AME_OUT_READY);
	ame_write(a, AME_INBOUND, AME_IN_FORGET);
	a->shake.settled_ns = now + ame_times(a)->settle * NS_PER_MS;
}

/* From here on the box may touch our memory. Up to here it could not, so what a driver that died has left at it ran
 * into the void while the box settled. */
static int talk(struct ame *a, uint64_t now)
{
	int r = pci_set_bus_master(a->h->pci, true);

	if (r < 0)
		return r;
	a->muted = false;
	if (!a->family->doorbells) {
		ame_write(a, AME_MESSAGE, high32(a));
	} else {
		if (!a->shake.recovery)
			ame_write(a, AME_PAD_HOST, AME_HOST_NORMAL);
		ame_write(a, AME_OUTBOUND_CLEAR, AME_OUT_RESUME);
		ame_write(a, AME_INBOUND, AME_IN_HIGH | high32(a));
	}
	a->shake.step = AME_SHAKE_READY;
	a->shake.until_ns = now + ame_times(a)->ready * NS_PER_MS;
	a->shake.strict_until_ns = now + ame_times(a)->strict * NS_PER_MS;
	return 0;
}

/* Bit 0 is the answer [I]; the vendor's driver takes any bit for it. So other notices are cleared and passed over at
 * first, and believed later. Check on real hardware: the value that the debug log shows at the start. */
static uint32_t answer_doorbell(struct ame *a, uint64_t now)
{
	uint32_t v = ame_read(a, AME_OUTBOUND);

	if (!v || v == AME_ALL_ONES || v & AME_OUT_READY || now >= a->shake.strict_until_ns)
		return v;
	ame_write(a, AME_OUTBOUND_CLEAR, v);
	return 0;
}

static void answered(struct ame *a, uint32_t v)
{
	log_debug("%s: the box answers with %xh", a->h->pci->uri, v);
	if (!a->family->doorbells) {
		ame_write(a, AME_STATUS, AME_STATUS_READY);
	} else {
		ame_write(a, AME_OUTBOUND_CLEAR, v);
		/* So that the next restart of firmware is seen by its setting this again. */
		if (a->shake.recovery)
			ame_write(a, AME_PAD_READY, 0);
	}
	ame_write(a, AME_MASK, a->family->mask_run);
	a->mask_read = ame_read(a, AME_MASK);
}

int ame_shake_step(struct ame *a, uint64_t now, uint64_t *next)
{
	uint32_t v;
	int r;

	if (a->shake.step == AME_SHAKE_SETTLE) {
		*next = a->shake.settled_ns;
		if (now < a->shake.settled_ns)
			return 1;
		r = talk(a, now);
		*next = now;
		return r < 0 ? r : 1;
	}
	v = a->family->doorbells ? answer_doorbell(a, now) : ame_read(a, AME_STATUS);
	if (v == AME_ALL_ONES)
		return ame_look(a) == AME_GONE ? -ENODEV : -EIO;
	if (!a->family->doorbells)
		v &= AME_STATUS_READY;
	if (v) {
		answered(a, v);
		return 0;
	}
	*next = now + ame_times(a)->look * NS_PER_MS;
	return now >= a->shake.until_ns ? -ETIMEDOUT : 1;
}

/* Not what the vendor's driver does when it stops, which leaves its reply frames with the box [7]. */
void ame_hush(struct ame *a)
{
	if (ame_read(a, AME_MASK) == AME_ALL_ONES && ame_look(a) != AME_HERE)
		return;
	ame_write(a, AME_MASK, a->family->mask_all);
	if (a->family->doorbells)
		ame_write(a, AME_INBOUND, AME_IN_FORGET);
}

bool ame_has_room(const struct ame *a)
{
	return !a->family->ask_room || ame_read(a, AME_REQUEST) != AME_ALL_ONES;
}

/* --- reply frames --- */

void ame_frames_take_back(struct ame *a)
{
	memset(a->reply_mem, 0, AME_REPLY_FRAMES * AME_REPLY_STRIDE);
	memset(a->lent, 0, sizeof(a->lent));
	/* The first to be lent is the last here. */
	for (uint32_t i = 0; i < AME_REPLY_FRAMES; i++)
		a->spare[i] = (uint16_t)(AME_REPLY_FRAMES - 1 - i);
	a->n_spare = AME_REPLY_FRAMES;
}

static bool frame_ring_full(const struct ame *a)
{
	uint16_t producer, consumer;

	if (!a->family->ring_frames)
		return false;
	consumer = pci_read16(a->h->pci, a->family->bar, AME_FRAMES_CONSUMER);
	producer = pci_read16(a->h->pci, a->family->bar, AME_FRAMES_PRODUCER);
	return ((producer + 1) & (AME_FRAME_RING_2208 - 1)) == (consumer & (AME_FRAME_RING_2208 - 1));
}

void ame_frames_lend(struct ame *a)
{
	while (a->n_spare && !frame_ring_full(a)) {
		uint16_t frame = a->spare[--a->n_spare];

		a->lent[frame] = true;
		ame_write(a, AME_REPLY, (uint32_t)ame_iova(a, ame_reply_at(a, frame)));
		if (a->family->ring_frames)
			ame_write(a, AME_INBOUND, AME_IN_FRAME);
	}
}

int ame_frame_by_message(const struct ame *a, uint32_t message)
{
	uint32_t off = (message << 1) - (uint32_t)ame_iova(a, a->reply_mem);

	if (off % AME_REPLY_STRIDE || off / AME_REPLY_STRIDE >= AME_REPLY_FRAMES ||
		!a->lent[off / AME_REPLY_STRIDE])
		return -1;
	return (int)(off / AME_REPLY_STRIDE);
}

void ame_frame_returned(struct ame *a, uint32_t frame)
{
	memset(ame_reply_at(a, frame), 0, AME_REPLY_SIZE);
	a->lent[frame] = false;
	a->spare[a->n_spare++] = (uint16_t)frame;
}
