/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What differs between the generations of Fusion controllers. */
#include <limits.h>

#include "fusion.h"

/* [2.3, 2.5]. settle is the pause before the second of several resets; it doubles. */
static const struct mfi_times production = {
	.poll = 100,
	.state = 180 * 1000,
	.bring_up = 900 * 1000,
	.key = 100,
	.diag = 10 * 1000,
	.diag_reset = 3000,
	.diag_end = 100 * 1000,
	.settle = 5000,
	.dcmd = 180 * 1000,
	.health = 1000,
};

#define FUSION_IOP(generation)                                                                               \
	.name = (generation), .driver = "megaraid-fusion", .doorbell = FUSION_REG_DOORBELL,                  \
	.ack = MFI_REG_INTR_STATUS, .ack_flush = MFI_REG_INTR_STATUS, .enable_ack = MFI_ALL_ONES,            \
	.enable_mask = FUSION_INTR_ENABLE, .intr_state = 0x00000001u, .fire = fusion_fire,                   \
	.reset_step = fusion_chip_reset, .diag_key = FUSION_REG_KEY, .diag = FUSION_REG_DIAG,                \
	.times = &production, .drain = fusion_drain, .send_cdb = fusion_send_cdb, .result = fusion_result,   \
	.ask_drives = fusion_ask_pd_map, .drives_told = fusion_pd_map_told, .posts_polled = true,            \
	.wide = true

#define DATA_63_BITS (UINT64_MAX >> 1) /* as far as any open driver lets them go [5.1] */

const struct fusion_gen fusion_gen_thunderbolt = {
	.iop = {FUSION_IOP("sas2208")},
	.ld_rw = FUSION_TYPE_LD_IO,
	.old_queue_count = true,
	.ext_depth = true,
	.combined_above = UINT_MAX, /* it has none of those registers, and up to 32 queues */
	.data_addr_max = DATA_63_BITS,
};

const struct fusion_gen fusion_gen_invader = {
	.iop = {FUSION_IOP("sas3108")},
	.ld_rw = FUSION_TYPE_NO_LOCK,
	.marks_end = true,
	.ext_depth = true,
	.combined_above = 8,
	.data_addr_max = DATA_63_BITS,
};

const struct fusion_gen fusion_gen_ventura = {
	.iop = {FUSION_IOP("sas35xx")},
	.ld_rw = FUSION_TYPE_LD_IO,
	.marks_end = true,
	.g35 = true,
	.combined_above = 16,
	.data_addr_max = DATA_63_BITS,
};

const struct fusion_gen fusion_gen_aero = {
	.iop = {FUSION_IOP("sas39xx"), .read_again = 3},
	.ld_rw = FUSION_TYPE_LD_IO,
	.marks_end = true,
	.g35 = true,
	.atomic = true,
	.combined_above = 16,
	.data_addr_max = DATA_63_BITS,
};
