/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Handles of system drives (JBOD) [4.8, 5.8]. With one, reads and writes go to the drive directly, and task management
 * can name it, if the map says so. Firmware that has no such map takes everything by its own path.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "fusion.h"

static const struct fusion_drive none = {.handle = FUSION_NO_HANDLE};

struct fusion_drive fusion_drive_of(const struct fusion *f, const struct hba_unit *u)
{
	struct fusion_drive d;

	/* Relaxed: nothing else depends on it, and a command with an older one is refused, or goes where it was meant to. */
	__atomic_load(&f->unit[u->index].drive, &d, __ATOMIC_RELAXED);
	return d;
}

void fusion_set_drive(struct fusion_unit *u, const struct fusion_drive *d)
{
	struct fusion_drive copy = *d;

	__atomic_store(&u->drive, &copy, __ATOMIC_RELAXED);
}

void fusion_forget_pd_map(struct fusion *f)
{
	for (unsigned i = 0; i < HBA_MAX_UNITS; i++)
		fusion_set_drive(&f->unit[i], &none);
}

/* The table goes by device id [5.8]. */
static struct fusion_drive drive_in(
	const struct fusion *f, const struct fusion_pd_map *map, const struct hba_unit *u)
{
	const struct fusion_pd_map_entry *p = &map->pd[u->target];

	if (u->kind != HBA_UNIT_PD || u->target >= le32_to_cpu(map->count) ||
		le16_to_cpu(p->handle) == FUSION_NO_HANDLE)
		return none;
	return (struct fusion_drive){
		.handle = le16_to_cpu(p->handle),
		.seq = le16_to_cpu(p->seq),
		.map_target = f->m.ctrl_ops4 & FUSION_OPS4_PD_ID ? le16_to_cpu(p->target)
								 : (uint16_t)(u->target + 255),
		.tm = p->capability & FUSION_PD_TM,
	};
}

void fusion_take_pd_map(struct fusion *f, const struct fusion_pd_map *map)
{
	uint32_t count = le32_to_cpu(map->count);

	if (count > FUSION_PD_MAP_MAX) {
		fusion_forget_pd_map(f);
		log_warn("%s: firmware's map of drives has %u entries, which makes no sense; not using it",
			f->m.h->pci->uri, count);
		return;
	}
	/* Each at once: a drive that keeps its handle has one all the time, or it could not be named by an abort. */
	for (unsigned i = 0; i < HBA_MAX_UNITS; i++) {
		struct fusion_drive d = i < f->m.h->n_units ? drive_in(f, map, &f->m.h->unit[i]) : none;

		fusion_set_drive(&f->unit[i], &d);
	}
}

static const struct mfi_dcmd read_map = {
	.opcode = FUSION_DCMD_PD_MAP, .dir = DMA_FROM_DEVICE, .len = sizeof(struct fusion_pd_map)};

bool fusion_ask_pd_map(const struct mfi *m, struct mfi_dcmd *ret)
{
	*ret = read_map;
	return m->ctrl_ops3 & FUSION_OPS3_PD_MAP;
}

void fusion_pd_map_told(struct mfi *m, const void *data)
{
	struct fusion_pd_map map;

	memcpy(&map, data, sizeof(map));
	fusion_take_pd_map(fusion_of(m), &map);
}

int fusion_read_pd_map(struct fusion *f, struct err *e)
{
	hb_autofree struct fusion_pd_map *map = malloc(sizeof(*map));
	uint8_t status = MFI_PENDING;
	int r;

	fusion_forget_pd_map(f);
	if (!(f->m.ctrl_ops3 & FUSION_OPS3_PD_MAP))
		return 0;
	if (!map)
		return err_set(e, -ENOMEM, "out of memory");
	r = mfi_dcmd(&f->m, &read_map, map, &status);
	if (r < 0)
		return err_set(
			e, r, "firmware did not answer SYSTEM_PD_MAP_GET_INFO; power-cycle the controller");
	if (status == MFI_OK)
		fusion_take_pd_map(f, map);
	return 0;
}
