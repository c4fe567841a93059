/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an input chooses from, of a controller's firmware and of those who use it; see controller.h. */
#include "controller.h"

static void in_pieces(struct hba_req *r, uint32_t n)
{
	while (n > h->limits.max_segments)
		n /= 2;
	for (uint32_t i = 0; i < n; i++)
		r->seg[i] = (struct dma_seg){data.iova + 512 / n * i, 512 / n};
	r->sgl.n = n;
}

void vary_request(struct input *in, struct hba_req *r)
{
	static const uint8_t zero[] = {0x08, 0x28, 0x88, 0xa8};
	uint8_t what = take8(in);

	r->no_reissue = what & 1 && r->kind == HBA_REQ_CDB;
	if (r->kind == HBA_REQ_FLUSH)
		return;
	if (what & 2) {
		r->cdb[0] = 0x2a;
		r->xfer.dir = DMA_TO_DEVICE;
	}
	in_pieces(r, what & 4 ? 64 : 1);
	if (r->kind == HBA_REQ_RW) {
		r->lba = what & 8 ? UINT64_C(1) << 33 : 0;
		r->dpo = what & 0x10;
		r->fua = what & 0x20 && h->fua_native;
	} else if (what & 8) {
		r->xfer = (struct dma_xfer){.dir = DMA_NONE};
		r->sgl.n = r->sgl.bytes = 0;
		r->cdb[0] = zero[what >> 6];
		r->cdb[8] = what >> 5 & 1;
	}
}

uint8_t choose(struct input *in, const uint8_t *from, unsigned n)
{
	uint8_t what = take8(in);

	return what < 0xf0 ? from[what % n] : take8(in);
}

void put_sense(struct input *in, uint8_t *to, size_t size)
{
	static const uint8_t codes[] = {0x70, 0x70, 0x70, 0x71, 0x72}, keys[] = {5, 6, 1, 4, 0};
	static const uint8_t ascs[] = {0x20, 0x29, 0x17, 0x44};
	uint8_t what = take8(in);

	if (what >= 0xe0) {
		take(in, to, MIN(size, 48));
		return;
	}
	ck_assert_uint_ge(size, 18);
	memset(to, 0, 18);
	to[0] = codes[what % ARRAY_SIZE(codes)];
	to[2] = choose(in, keys, ARRAY_SIZE(keys));
	to[7] = what & 0x80 ? take8(in) : 10;
	to[12] = choose(in, ascs, ARRAY_SIZE(ascs));
}
