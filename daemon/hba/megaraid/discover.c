/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the controller is and which units it has, asked by polled DCMDs. Replies are untrusted: counts and ids are
 * checked, texts are cleaned. */
#include "mfi.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

void mfi_clean_text(char *dst, const char *src, size_t n)
{
	size_t begin = 0, end = 0;

	while (end < n && src[end])
		end++;
	while (begin < end && src[begin] == ' ')
		begin++;
	while (end > begin && src[end - 1] == ' ')
		end--;
	for (size_t i = begin; i < end; i++)
		*dst++ = src[i] >= 0x20 && src[i] < 0x7f ? src[i] : '?';
	*dst = '\0';
}

static uint64_t le64_of(le32_t lo, le32_t hi)
{
	return (uint64_t)le32_to_cpu(hi) << 32 | le32_to_cpu(lo);
}

/* --- controller --- */

/* Linux's rule [3.12], within what the SGL holds when every bounce chunk is a segment of its own. */
static void limit_transfer(struct mfi *m, const struct mfi_ctrl_info *info)
{
	struct hba_limits *l = &m->h->limits;
	uint64_t stripes = (UINT64_C(1) << (info->strip_min & 31)) * le16_to_cpu(info->max_strips);
	uint64_t sectors = (uint64_t)m->fw_sge * 4096 / 512;
	uint64_t told = MIN(stripes, (uint64_t)le32_to_cpu(info->max_request_sectors));

	if (told)
		sectors = MIN(sectors, told);
	if (m->ieee)
		sectors = 256;
	/* Whole 4 KiB, so that 4Kn units can use it all; never nothing. */
	l->max_transfer = (uint32_t)MIN(sectors * 512, (uint64_t)l->max_transfer) & ~4095u;
	l->max_transfer = MAX(l->max_transfer, 4096u);
}

static int get_ctrl_info(struct mfi *m, struct mfi_ctrl_info *info, struct err *e)
{
	struct mfi_dcmd d = {
		.opcode = MFI_DCMD_CTRL_GET_INFO,
		.mbox = {1},
		.dir = DMA_FROM_DEVICE,
		.len = sizeof(*info),
	};
	uint8_t status = MFI_PENDING;

	memset(info, 0, sizeof(*info));
	if (mfi_dcmd(m, &d, info, &status) == 0 && status == MFI_OK)
		return 0;
	/* Old firmware knows only the first 2 KiB of it. */
	memset(info, 0, sizeof(*info));
	d.len = MFI_CTRL_INFO_OLD_SIZE;
	return mfi_dcmd_ok(m, &d, info, "CTRL_GET_INFO", e);
}

static int discover_controller(struct mfi *m, struct err *e)
{
	hb_autofree struct mfi_ctrl_info *info = malloc(sizeof(*info));
	struct hba_info *to = &m->h->info;
	int r;

	if (!info)
		return err_set(e, -ENOMEM, "out of memory");
	r = get_ctrl_info(m, info, e);
	if (r < 0)
		return r;
	mfi_clean_text(to->product, info->product, sizeof(info->product));
	mfi_clean_text(to->serial, info->serial, sizeof(info->serial));
	mfi_clean_text(to->firmware, info->package_version, sizeof(info->package_version));
	snprintf(to->driver, sizeof(to->driver), "%s %s", m->iop->driver, m->iop->name);
	to->cache_mb = le16_to_cpu(info->memory_mb);
	to->battery_present = le32_to_cpu(info->hw_present) & MFI_HW_BBU;
	m->no_adapter_reset = le32_to_cpu(info->on_off) & MFI_ONOFF_NO_OCR;
	m->ctrl_sge = le16_to_cpu(info->max_sge);
	m->ctrl_ops3 = le32_to_cpu(info->operations3);
	m->ctrl_ops4 = le16_to_cpu(info->operations4);
	m->many_lds = m->iop->wide && (m->ctrl_ops3 & MFI_OPS3_MANY_LDS || info->max_lds > MFI_MAX_LDS);
	limit_transfer(m, info);
	return 0;
}

/* --- units --- */

static struct hba_unit *add_unit(struct mfi *m, enum hba_unit_kind kind, unsigned target)
{
	struct hba *h = m->h;
	struct hba_unit *u;

	if (!mfi_can_name(m, target)) {
		log_warn("%s: leaving out %s%u: commands cannot name an id as large", h->pci->uri,
			kind == HBA_UNIT_LD ? "ld" : "pd", target);
		return NULL;
	}
	for (unsigned i = 0; i < h->n_units; i++)
		if (h->unit[i].kind == kind && h->unit[i].target == target)
			return NULL;
	if (h->n_units == HBA_MAX_UNITS)
		return NULL;
	u = &h->unit[h->n_units];
	*u = (struct hba_unit){
		.kind = kind,
		.target = (uint16_t)target,
		.flush_alone = kind == HBA_UNIT_PD,
		.index = (uint8_t)h->n_units,
	};
	snprintf(u->name, sizeof(u->name), "%s%u", kind == HBA_UNIT_LD ? "ld" : "pd", target);
	h->n_units++;
	return u;
}

static void raid_name(char *buf, size_t size, const struct mfi_ld_info *info)
{
	static const struct {
		uint8_t level;
		const char *plain, *spanned;
	} names[] = {
		{0x00, "RAID 0", "RAID 00"},
		{0x01, "RAID 1", "RAID 10"},
		{0x03, "RAID 3", "RAID 30"},
		{0x04, "RAID 4", "RAID 40"},
		{0x05, "RAID 5", "RAID 50"},
		{0x0f, "JBOD", "JBOD"},
		{0x11, "RAID 1E", "RAID 1E0"},
		{0x15, "RAID 5E", "RAID 5E0"},
		{0x16, "RAID 6", "RAID 60"},
		{0x1f, "concatenation", "concatenation"},
	};

	buf[0] = '\0';
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i].level == info->raid_primary)
			snprintf(buf, size, "%s", info->span_depth > 1 ? names[i].spanned : names[i].plain);
}

static int discover_ld_info(struct mfi *m, struct hba_unit *u)
{
	const struct mfi_dcmd d = {
		.opcode = MFI_DCMD_LD_GET_INFO,
		.mbox = {(uint8_t)u->target},
		.dir = DMA_FROM_DEVICE,
		.len = sizeof(struct mfi_ld_info),
	};
	struct mfi_ld_info info;
	uint8_t status = MFI_PENDING;
	int r = mfi_dcmd(m, &d, &info, &status);

	/* What is not known is taken for volatile. */
	u->write_back = true;
	u->disk_cache = true;
	if (r < 0 || status != MFI_OK)
		return r;
	u->write_back = info.current_cache_policy & MFI_CACHE_WRITE_BACK;
	u->disk_cache = info.disk_cache_policy != MFI_DISK_CACHE_DISABLED;
	raid_name(u->raid, sizeof(u->raid), &info);
	return 0;
}

enum hba_unit_state mfi_ld_state(uint8_t state)
{
	switch (state) {
	case MFI_LD_ST_OPTIMAL:
		return HBA_UNIT_OPTIMAL;
	case MFI_LD_ST_DEGRADED:
	case MFI_LD_ST_PARTIALLY_DEGRADED:
		return HBA_UNIT_DEGRADED;
	default:
		return HBA_UNIT_OFFLINE;
	}
}

static int by_target(const void *a, const void *b)
{
	const struct mfi_ld_entry *x = a, *y = b;

	return (int)x->target_id - (int)y->target_id;
}

struct mfi_dcmd mfi_ld_list_dcmd(const struct mfi *m)
{
	return (struct mfi_dcmd){
		.opcode = MFI_DCMD_LD_GET_LIST,
		.mbox = {m->many_lds},
		.dir = DMA_FROM_DEVICE,
		.len = m->many_lds ? sizeof(struct mfi_ld_list_many) : sizeof(struct mfi_ld_list),
	};
}

/* LD_GET_LIST rather than LD_LIST_QUERY, in whose place QEMU returns LUNs. */
static int discover_lds(struct mfi *m, struct err *e)
{
	const struct mfi_dcmd d = mfi_ld_list_dcmd(m);
	struct mfi_ld_list_many list;
	uint32_t most = m->many_lds ? MFI_MAX_MANY_LDS : MFI_MAX_LDS, count;
	int r = mfi_dcmd_ok(m, &d, &list, "LD_GET_LIST", e);

	if (r < 0)
		return r;
	count = le32_to_cpu(list.count);
	if (count > most)
		return err_set(e, -EIO,
			"firmware lists %u logical drives, %u is the most it can have; update it", count,
			most);
	qsort(list.ld, count, sizeof(list.ld[0]), by_target);
	for (uint32_t i = 0; i < count; i++) {
		struct hba_unit *u = add_unit(m, HBA_UNIT_LD, list.ld[i].target_id);

		if (!u)
			continue;
		u->state = mfi_ld_state(list.ld[i].state);
		u->blocks = le64_of(list.ld[i].blocks_lo, list.ld[i].blocks_hi);
		u->cache_protected = m->h->info.battery_present;
		r = discover_ld_info(m, u);
		if (r < 0)
			return err_set(e, r,
				"firmware did not answer LD_GET_INFO of %s; power-cycle the controller",
				u->name);
	}
	return 0;
}

static int discover_pd_info(struct mfi *m, struct hba_unit *u)
{
	const struct mfi_dcmd d = {
		.opcode = MFI_DCMD_PD_GET_INFO,
		.mbox = {(uint8_t)u->target, (uint8_t)(u->target >> 8)},
		.dir = DMA_FROM_DEVICE,
		.len = sizeof(struct mfi_pd_info),
	};
	struct mfi_pd_info info;
	uint8_t status = MFI_PENDING;
	int r = mfi_dcmd(m, &d, &info, &status);

	m->pd_interface[u->index] = MFI_PD_IF_UNKNOWN;
	if (r < 0 || status != MFI_OK)
		return r;
	u->blocks = le64_of(info.coerced_blocks_lo, info.coerced_blocks_hi);
	m->pd_interface[u->index] = MFI_PD_INTERFACE(le32_to_cpu(info.type));
	return 0;
}

/* System drives (JBOD). Its firmware state is not looked at: what is listed as exposed to the host answers, or says
 * itself why not. */
static int discover_pds(struct mfi *m, struct err *e)
{
	const struct mfi_dcmd d = {
		.opcode = MFI_DCMD_PD_LIST_QUERY,
		.mbox = {MFI_PD_QUERY_EXPOSED},
		.dir = DMA_FROM_DEVICE,
		.len = MFI_PD_LIST_SIZE,
	};
	hb_autofree struct mfi_pd_list *list = malloc(MFI_PD_LIST_SIZE);
	uint8_t status = MFI_PENDING;
	uint32_t count;
	int r;

	if (!list)
		return err_set(e, -ENOMEM, "out of memory");
	r = mfi_dcmd(m, &d, list, &status);
	if (r < 0)
		return err_set(e, r, "firmware did not answer PD_LIST_QUERY; power-cycle the controller");
	/* Firmware without system drives does not know the query. */
	count = status == MFI_OK ? le32_to_cpu(list->count) : 0;
	if (count > MFI_PD_LIST_MAX)
		return err_set(e, -EIO, "firmware lists %u physical drives; update it", count);
	for (uint32_t i = 0; i < count; i++) {
		struct hba_unit *u;

		if (list->pd[i].scsi_type != 0)
			continue; /* an enclosure or a tape */
		u = add_unit(m, HBA_UNIT_PD, le16_to_cpu(list->pd[i].device_id));
		if (!u)
			continue;
		u->state = HBA_UNIT_OPTIMAL;
		u->disk_cache = true;
		r = discover_pd_info(m, u);
		if (r < 0)
			return err_set(e, r,
				"firmware did not answer PD_GET_INFO of %s; power-cycle the controller",
				u->name);
	}
	return 0;
}

int mfi_discover(struct mfi *m, struct err *e)
{
	int r;

	m->h->n_units = 0;
	r = discover_controller(m, e);
	if (r == 0)
		r = discover_lds(m, e);
	if (r == 0)
		r = discover_pds(m, e);
	return r;
}
