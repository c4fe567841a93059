/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hold_rig.h"
#include "scsi/host.h"

struct fx x;
struct tst t[8];

void take_over(const char *text)
{
	scsi_lun_destroy(x.lun);
	x.lun = fx_lun(&x, text);
}

void setup(void)
{
	fake_loop_defer = false;
	fx_setup(&x, BLOCKS);
	take_over("ld0;hold=30");
	ck_assert_int_eq(scsi_lun_gate(x.lun), SCSI_GATE_OPEN);
}

void teardown(void)
{
	fx_teardown(&x);
}

void rw_init(unsigned n, bool write, uint32_t lba, uint16_t blocks)
{
	uint8_t cdb[10];

	cdb10(cdb, write ? 0x2a : 0x28, 0, lba, blocks);
	tst_init(&t[n], x.lun, cdb, 10, blocks * 512U, 1);
	if (write)
		tst_fill(&t[n], (uint8_t)(n + 1));
}

void unplug(bool newest_first)
{
	x.fake->state = HBA_REMOVED;
	while (x.fake->n_flight)
		fake_end(x.fake, newest_first ? x.fake->n_flight - 1 : 0, HBA_GONE, 0, NULL, 0);
	scsi_host_detach(x.host, SCSI_GATE_GONE);
}

void plug_in(void)
{
	struct err e = {""};

	x.fake->state = HBA_RUNNING;
	ck_assert_msg(scsi_host_attach(x.host, &x.fake->hba, &e) == 0, "%s", e.text);
	scsi_host_trim(x.host);
}
