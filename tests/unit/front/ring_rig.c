/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A ring over the model's memory, without descriptors and loops. */
#include "tests/unit/front/ring_rig.h"

#include <check.h>
#include <string.h>
#include <unistd.h>

struct model m;
struct ring g;
struct ring_entry e;

void rig_open(uint32_t cmdr_size, uint32_t blocks)
{
	model_init(&m, cmdr_size, blocks);
	ck_assert_int_eq(ring_attach(&g, m.map, m.map_len, NULL), 0);
	ck_assert_int_eq(ring_start(&g, NULL), 0);
}

void rig_setup(void)
{
	rig_open(RIG_RING_BYTES, RIG_BLOCKS);
}

void rig_close(void)
{
	close(m.event[0]);
	model_fini(&m);
}

uint8_t *rig_slot(uint32_t at)
{
	return m.map + MODEL_CMDR_OFF + at;
}

void rig_put(uint32_t at, uint32_t off, const void *bytes, size_t n)
{
	memcpy(rig_slot(at) + off, bytes, n);
}

void rig_put32(uint32_t at, uint32_t off, uint32_t v)
{
	rig_put(at, off, &v, sizeof(v));
}

void rig_put64(uint32_t at, uint32_t off, uint64_t v)
{
	rig_put(at, off, &v, sizeof(v));
}

void rig_put16(uint32_t at, uint32_t off, uint16_t v)
{
	rig_put(at, off, &v, sizeof(v));
}

void rig_set_head(uint32_t v)
{
	memcpy(m.map + 12, &v, 4);
}

/* READ(10) of one 4096-byte iovec, id 5: written out byte by byte from linux/target_core_user.h. */
void rig_write_read10(uint32_t at)
{
	static const uint8_t cdb[10] = {0x28, 0, 0, 0, 0, 1, 0, 0, 8, 0};

	memset(rig_slot(at), 0, 128);
	rig_put32(at, 0, 128 | 1);		      /* len_op: 112 + 16, CMD */
	rig_put16(at, 4, 5);			      /* cmd_id */
	rig_put32(at, 8, 1);			      /* iov_cnt */
	rig_put64(at, 24, MODEL_CMDR_OFF + at + 112); /* cdb_off */
	rig_put64(at, 48, m.data_off + 8192);	      /* iov[0].iov_base */
	rig_put64(at, 56, 4096);		      /* iov[0].iov_len */
	rig_put(at, 112, cdb, sizeof(cdb));
	rig_set_head(at + 128);
}

void rig_reply(uint16_t id)
{
	if (ring_put_reply(&g, &(struct ring_reply){.id = id}) < 0)
		ck_abort_msg("%s", g.problem);
}
