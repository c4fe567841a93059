/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Handles of system drives (JBOD) [4.8, 5.8]. With one, reads and writes go to the drive directly, and task management
 * can name it. Firmware that has no such map takes everything by its own path.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "fusion.h"

void fusion_forget_pd_map(struct fusion *f)
{
	for (unsigned i = 0; i < HBA_MAX_UNITS; i++)
		f->unit[i].handle = FUSION_NO_HANDLE;
}

/* The table goes by device id [5.8]. */
static struct fusion_unit *unit_of(struct fusion *f, uint32_t n)
{
	const struct hba *h = f->m.h;

	for (unsigned i = 0; i < h->n_units; i++)
		if (h->unit[i].kind == HBA_UNIT_PD && h->unit[i].target == n)
			return &f->unit[i];
	return NULL;
}

void fusion_take_pd_map(struct fusion *f, const struct fusion_pd_map *map)
{
	uint32_t count = le32_to_cpu(map->count);

	fusion_forget_pd_map(f);
	if (count > FUSION_PD_MAP_MAX) {
		log_warn("%s: firmware's map of drives has %u entries, which makes no sense; not using it",
			f->m.h->pci->uri, count);
		return;
	}
	for (uint32_t n = 0; n < count; n++) {
		const struct fusion_pd_map_entry *p = &map->pd[n];
		struct fusion_unit *u = unit_of(f, n);

		if (!u || le16_to_cpu(p->handle) == FUSION_NO_HANDLE)
			continue;
		u->handle = le16_to_cpu(p->handle);
		u->seq = le16_to_cpu(p->seq);
		u->map_target =
			f->m.ctrl_ops4 & FUSION_OPS4_PD_ID ? le16_to_cpu(p->target) : (uint16_t)(n + 255);
	}
}

int fusion_read_pd_map(struct fusion *f, struct err *e)
{
	const struct mfi_dcmd d = {
		.opcode = FUSION_DCMD_PD_MAP, .dir = DMA_FROM_DEVICE, .len = sizeof(struct fusion_pd_map)};
	hb_autofree struct fusion_pd_map *map = malloc(sizeof(*map));
	uint8_t status = MFI_PENDING;
	int r;

	fusion_forget_pd_map(f);
	if (!(f->m.ctrl_ops3 & FUSION_OPS3_PD_MAP))
		return 0;
	if (!map)
		return err_set(e, -ENOMEM, "out of memory");
	r = mfi_dcmd(&f->m, &d, map, &status);
	if (r < 0)
		return err_set(
			e, r, "firmware did not answer SYSTEM_PD_MAP_GET_INFO; power-cycle the controller");
	if (status == MFI_OK)
		fusion_take_pd_map(f, map);
	return 0;
}
