/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <string.h>
#include "base/endian.h"
#include "copy_rig.h"

struct fx x;
struct scsi_lun *other[UNITS]; /* of ld1 to ld3 */

void setup(void)
{
	fx_attach(&x, fake_new(UNITS, BLOCKS, 512));
}

void open_all(const char *options)
{
	char text[40];

	for (unsigned i = 1; i < UNITS; i++) {
		snprintf(text, sizeof(text), "ld%u%s", i, options);
		other[i] = fx_lun(&x, text);
		ck_assert_int_eq(scsi_lun_gate(other[i]), SCSI_GATE_OPEN);
	}
}

void setup_allowed(void)
{
	struct fake *f = fake_new(UNITS, BLOCKS, 512);

	f->disk[2].block_size = 4096;
	f->disk[2].blocks = BLOCKS / 8;
	for (unsigned lba = 0; lba < BLOCKS / 8; lba++)
		fake_pattern(lba, f->disk[2].store + lba * 4096, 4096);
	fx_attach(&x, f);
	scsi_lun_destroy(x.lun);
	x.lun = fx_lun(&x, "ld0;allow=copy");
	open_all(";allow=copy");
}

void teardown(void)
{
	for (unsigned i = 1; i < UNITS; i++) {
		scsi_lun_destroy(other[i]);
		other[i] = NULL;
	}
	fx_teardown(&x);
}

void designator(struct scsi_lun *lun, uint8_t to[24])
{
	struct tst t;

	memset(to, 0, 24);
	tst_init(&t, lun, "\x12\x01\x83\x00\xff\x00", 6, 255, 1);
	tst_submit(&t);
	assert_good(&t);
	ck_assert_uint_eq(t.buf[4] & 0x0f, 1); /* binary */
	ck_assert_uint_eq(t.buf[5], 0x03);     /* NAA of the logical unit */
	memcpy(to, t.buf + 4, 4U + t.buf[7]);
	tst_fini(&t);
}

void add_cscd(struct list_bytes *l, struct scsi_lun *lun, uint32_t block_size)
{
	uint8_t *d = l->data + 16 + 32 * l->cscds++;

	memset(d, 0, 32);
	d[0] = 0xe4;
	designator(lun, d + 4);
	put_be24(d + 29, block_size);
}

uint8_t *add_segment(
	struct list_bytes *l, uint16_t src, uint16_t dst, uint16_t blocks, uint64_t src_lba, uint64_t dst_lba)
{
	uint8_t *d = l->data + 16 + 32 * l->cscds + 28 * l->segments++;

	memset(d, 0, 28);
	d[0] = 0x02;
	d[3] = 0x18;
	put_be16(d + 4, src);
	put_be16(d + 6, dst);
	put_be16(d + 10, blocks);
	put_be64(d + 12, src_lba);
	put_be64(d + 20, dst_lba);
	return d;
}

unsigned finish_list(struct list_bytes *l)
{
	put_be16(l->data + 2, (uint16_t)(32 * l->cscds));
	put_be32(l->data + 8, 28 * l->segments);
	return 16 + 32 * l->cscds + 28 * l->segments;
}

void xcopy_init(struct tst *t, const struct list_bytes *l, uint32_t len)
{
	uint8_t cdb[16] = {0x83};

	put_be32(cdb + 10, len);
	tst_init(t, x.lun, cdb, 16, len, len > 40 ? 3 : len ? 1 : 0);
	memcpy(t->buf, l->data, len);
	t->filled = true;
}

void xcopy_len(struct tst *t, struct list_bytes *l, uint32_t len)
{
	xcopy_init(t, l, len);
	tst_submit(t);
	fake_run(x.fake, 0);
	ck_assert_uint_eq(t->done, 1);
}

void xcopy(struct tst *t, struct list_bytes *l)
{
	xcopy_len(t, l, finish_list(l));
}

void in_lun(struct list_bytes *l, uint16_t blocks, uint64_t src_lba, uint64_t dst_lba)
{
	memset(l, 0, sizeof(*l));
	add_cscd(l, x.lun, 512);
	add_segment(l, 0, 0, blocks, src_lba, dst_lba);
}

unsigned writes(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < x.fake->n_log; i++)
		n += x.fake->log[i].dir == DMA_TO_DEVICE;
	return n;
}

bool holds(unsigned disk, uint64_t lba, uint64_t pattern_lba, unsigned blocks)
{
	const struct fake_disk *d = &x.fake->disk[disk];

	return is_pattern(
		d->store + lba * d->block_size, pattern_lba, (uint64_t)blocks * d->block_size, d->block_size);
}
