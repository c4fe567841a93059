/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For captures: what the box wrote before it said so. Nothing of this runs while nobody captures. */
#include "box.h"

#include <string.h>

static void note(const struct ame *a, enum pci_note what, const void *mem, uint32_t len)
{
	pci_note(a->h->pci, what, ame_iova(a, mem), mem, len);
}

void ame_note_request(const struct ame *a, uint32_t slot)
{
	note(a, PCI_NOTE_OUT, ame_slot_at(a, slot, AME_AT_FRAME), AME_AT_LIST - AME_AT_FRAME);
}

/* Of the slot that an answer names; which may be wrong, then it names none, or one whose memory nobody looks at. */
static void note_slot(const struct ame *a, uint32_t id)
{
	uint32_t slot = (id >> AME_ID_SHIFT) - 1;
	const struct hba_req *req;

	if (slot >= AME_MAX_SLOTS || ame_id(slot) != id || !a->slot[slot].at_box)
		return;
	if (a->slot[slot].function == AME_F_INBAND)
		note(a, PCI_NOTE_IN, a->page_mem, AME_PAGE_SIZE);
	if (a->slot[slot].function != AME_F_SCSI)
		return;
	note(a, PCI_NOTE_IN, ame_slot_at(a, slot, AME_AT_SENSE), AME_SENSE_SIZE);
	if (slot == AME_SLOT_POLLED) {
		note(a, PCI_NOTE_IN, a->data_mem, AME_DATA_BYTES);
		return;
	}
	req = hba_req_by_tag(a->h, a->slot[slot].tag);
	if (req)
		hba_note_data(req);
}

void ame_note_message(const struct ame *a, uint32_t m)
{
	struct ame_reply r;
	int frame;

	if (!(m & AME_MSG_FRAME)) {
		note_slot(a, m);
		return;
	}
	frame = ame_frame_by_message(a, m);
	if (frame < 0)
		return;
	memcpy(&r, ame_reply_at(a, (uint32_t)frame), sizeof(r));
	note_slot(a, le32_to_cpu(r.id));
	note(a, PCI_NOTE_IN, ame_reply_at(a, (uint32_t)frame), AME_REPLY_SIZE);
}
