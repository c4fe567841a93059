/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The record that one hbad leaves for the next: the input is one; its first byte says whether it gets a right checksum. */
#include <errno.h>
#include "control/kept.h"
#include "fuzz.h"

#define CHECKSUM_AT 0x10

static void sign(uint8_t *p, size_t n)
{
	uint32_t crc = UINT32_MAX;

	if (n < CHECKSUM_AT + 4)
		return;
	memset(p + CHECKSUM_AT, 0, 4);
	for (size_t bit = 0; bit < 8 * n; bit++)
		crc = crc >> 1 ^ ((crc ^ p[bit / 8] >> bit % 8) & 1 ? 0xedb88320u : 0);
	crc = htole32(~crc);
	memcpy(p + CHECKSUM_AT, &crc, 4);
}

static void check_arenas(const struct hba_frozen *f)
{
	for (unsigned i = 0; i < f->n_arenas; i++) {
		const struct hba_frozen_arena *a = &f->arena[i];

		ck_assert(a->size && a->iova + (a->size - 1) >= a->iova);
		ck_assert_int_eq(a->memfd, -1);
		for (unsigned j = 0; j < i; j++)
			ck_assert(a->iova > f->arena[j].iova + (f->arena[j].size - 1) ||
				  f->arena[j].iova > a->iova + (a->size - 1));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	bool right = take8(&in) & 1;
	uint8_t buf[2 * KEPT_RECORD_MAX], again[KEPT_RECORD_MAX];
	size_t n = MIN(in.n, sizeof(buf));
	struct err e = {""};
	struct kept k;
	int r;

	kept_init(&k);
	take(&in, buf, n);
	if (right)
		sign(buf, n);
	r = kept_decode(buf, n, &k, &e);
	ck_assert(r == 0 || (r == -EBADMSG && e.text[0]));
	if (r < 0)
		return 0;
	ck_assert_uint_le(k.hba.n_arenas, HBA_FROZEN_ARENAS);
	ck_assert_uint_le(k.hba.n_bytes, HBA_FROZEN_BYTES);
	ck_assert_ptr_nonnull(memchr(k.addr, '\0', sizeof(k.addr)));
	ck_assert_ptr_nonnull(memchr(k.hba.driver, '\0', sizeof(k.hba.driver)));
	check_arenas(&k.hba);
	ck_assert_uint_eq(kept_encode(&k, again), n);
	return 0;
}
