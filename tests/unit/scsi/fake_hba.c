/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The fake controller. */
#include "fake_hba.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/endian.h"

const uint8_t fake_sense_medium[18] = {0x70, 0, 0x03, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x11, 0x00};

/* --- disks --- */

void fake_pattern(uint64_t lba, uint8_t *block, uint32_t block_size)
{
	for (uint32_t i = 0; i < block_size; i += 8) {
		uint64_t word = (lba + 1) * UINT64_C(0x9e3779b97f4a7c15) + i * UINT64_C(0x0101010101010101);

		memcpy(block + i, &word, 8);
	}
}

void fake_set_page(struct fake_page *p, const void *bytes, size_t n)
{
	memset(p, 0, sizeof(*p));
	memcpy(p->data, bytes, n);
	p->len = (uint16_t)n;
}

void fake_default_pages(struct fake_disk *d, const char *serial)
{
	uint8_t inq[96] = {0x00, 0x00, 0x06, 0x32, 91, 0x99, 0x50, 0x0a};
	uint8_t page[64];
	size_t n = strlen(serial);

	memcpy(inq + 8, "LSI     MR9260-8i       2.13", 28);
	put_be16(inq + 58, 0x0462); /* SPC-4 */
	put_be16(inq + 60, 0x0c60); /* SAS-2: a transport */
	put_be16(inq + 62, 0x04c5); /* SBC-3 */
	fake_set_page(&d->inquiry, inq, sizeof(inq));
	fake_set_page(&d->vpd[0x00], "\x00\x00\x00\x06\x00\x80\x83\xb0\xb1\xb2", 10);
	memset(page, 0, sizeof(page));
	page[1] = 0x80;
	page[3] = (uint8_t)n;
	memcpy(page + 4, serial, n);
	fake_set_page(&d->vpd[0x80], page, 4 + n);
	/* T10 vendor id of the unit; NAA of the port; relative port; of the target. No NAA of the unit. */
	fake_set_page(&d->vpd[0x83],
		"\x00\x83\x00\x30"
		"\x02\x01\x00\x0cLSI     XYZ1"
		"\x61\x93\x00\x08\x50\x01\x02\x03\x04\x05\x06\x07"
		"\x61\x94\x00\x04\x00\x00\x00\x01"
		"\x61\xa3\x00\x08\x50\x01\x02\x03\x04\x05\x06\x08",
		52);
	memset(page, 0, sizeof(page));
	page[1] = 0xb0;
	page[3] = 0x3c;
	page[4] = 0x01; /* WSNZ */
	page[5] = 0x01; /* COMPARE AND WRITE */
	put_be16(page + 6, 8);
	put_be32(page + 8, 256);
	put_be32(page + 12, 128);
	memset(page + 16, 0x11, 48);
	fake_set_page(&d->vpd[0xb0], page, 64);
	memset(page, 0, sizeof(page));
	page[1] = 0xb1;
	page[3] = 0x3c;
	put_be16(page + 4, 7200);
	page[7] = 0xf2; /* WABEREQ, WACEREQ, 3.5 inch */
	page[8] = 0x13; /* ZONED, FUAB, VBULS */
	fake_set_page(&d->vpd[0xb1], page, 64);
	fake_set_page(&d->vpd[0xb2], "\x00\xb2\x00\x04\x00\xe0\x02\x00", 8);
}

struct fake *fake_new(unsigned units, uint64_t blocks, uint32_t block_size)
{
	struct fake *f = calloc(1, sizeof(*f));

	ck_assert_ptr_nonnull(f);
	f->hba.limits = (struct hba_limits){.max_segments = 80,
		.max_segment_bytes = 65536,
		.max_transfer = 131072,
		.queue_depth = 32,
		.data_addr_max = UINT32_MAX,
		.control_addr_max = UINT32_MAX,
		.data_align = 1,
		.max_cdb = 16};
	f->slots = 32;
	f->state = HBA_RUNNING;
	snprintf(f->hba.info.serial, sizeof(f->hba.info.serial), "CTL0001");
	f->hba.n_units = units;
	f->hba.n_lanes = 1;
	for (unsigned i = 0; i < units; i++) {
		struct hba_unit *u = &f->hba.unit[i];
		struct fake_disk *d = &f->disk[i];
		char serial[16];

		snprintf(u->name, sizeof(u->name), "ld%u", i);
		u->target = (uint16_t)i;
		u->index = (uint8_t)i;
		u->state = HBA_UNIT_OPTIMAL;
		d->blocks = blocks;
		d->block_size = block_size;
		d->store = malloc(FAKE_STORE);
		d->rc16 = d->verify = d->mode_sense = true;
		d->bad_lba = UINT64_MAX;
		snprintf(serial, sizeof(serial), "SN%04u", i);
		fake_default_pages(d, serial);
		for (uint64_t lba = 0; lba < MIN(blocks, FAKE_STORE / block_size); lba++)
			fake_pattern(lba, d->store + lba * block_size, block_size);
	}
	return f;
}

void fake_free(struct fake *f)
{
	for (unsigned i = 0; i < f->slots; i++)
		ck_assert_msg(!f->used[i], "request slot %u was not given back", i);
	for (unsigned i = 0; i < HBA_MAX_UNITS; i++)
		free(f->disk[i].store);
	free(f);
}

/* --- what the disk does --- */

static void copy(const struct hba_req *req, uint64_t at, uint8_t *block, uint64_t n, bool to_iov)
{
	uint64_t skip = req->xfer.offset + at;

	for (uint32_t i = 0; i < req->xfer.niov && n; i++) {
		const struct iovec *v = &req->xfer.iov[i];
		uint64_t here;

		if (skip >= v->iov_len) {
			skip -= v->iov_len;
			continue;
		}
		here = MIN(n, v->iov_len - skip);
		if (to_iov)
			memcpy((uint8_t *)v->iov_base + skip, block, here);
		else
			memcpy(block, (uint8_t *)v->iov_base + skip, here);
		block += here;
		n -= here;
		skip = 0;
	}
	ck_assert_uint_eq(n, 0);
}

static void sense(struct hba_req *req, uint8_t key, uint8_t asc, uint8_t ascq, uint64_t lba)
{
	req->scsi_status = 0x02;
	memset(req->sense, 0, sizeof(req->sense));
	req->sense[0] = lba <= UINT32_MAX ? 0xf0 : 0x70;
	req->sense[2] = key;
	put_be32(req->sense + 3, (uint32_t)lba);
	req->sense[7] = 10;
	req->sense[12] = asc;
	req->sense[13] = ascq;
	req->sense_len = 18;
	req->moved = 0;
}

static void do_rw(struct fake_disk *d, struct hba_req *req)
{
	uint8_t block[4096];

	for (uint32_t i = 0; i < req->nblocks; i++) {
		uint64_t lba = req->lba + i, at = lba * d->block_size;
		bool kept = at < FAKE_STORE;

		if (lba == d->bad_lba) {
			sense(req, 0x03, 0x11, 0x00, lba);
			return;
		}
		if (req->xfer.dir == DMA_TO_DEVICE) {
			copy(req, (uint64_t)i * d->block_size, block, d->block_size, false);
			if (kept)
				memcpy(d->store + at, block, d->block_size);
			d->dirty = true;
			continue;
		}
		if (kept)
			memcpy(block, d->store + at, d->block_size);
		else
			fake_pattern(lba, block, d->block_size);
		copy(req, (uint64_t)i * d->block_size, block, d->block_size, true);
	}
	req->moved = req->xfer.len;
}

static void data_in(struct hba_req *req, const void *data, uint32_t n)
{
	uint8_t *zeros = calloc(1, req->xfer.len);
	uint32_t len = MIN(n, req->xfer.len);

	/* Firmware does not tell how much there was: the rest reads as zeros. */
	copy(req, 0, zeros, req->xfer.len, true);
	copy(req, 0, (uint8_t *)data, len, true);
	free(zeros);
	req->moved = req->xfer.len;
}

static void do_inquiry(struct fake_disk *d, struct hba_req *req)
{
	const struct fake_page *p = req->cdb[1] & 1 ? &d->vpd[req->cdb[2]] : &d->inquiry;
	uint16_t alloc = get_be16(req->cdb + 3);

	if (d->n_inquiry < ARRAY_SIZE(d->inquiry_alloc))
		d->inquiry_alloc[d->n_inquiry] = alloc;
	d->n_inquiry++;
	if (d->low_byte_only)
		alloc &= 0xff;
	if (!p->len)
		sense(req, 0x05, 0x24, 0x00, UINT64_MAX);
	else
		data_in(req, p->data, MIN(p->len, alloc));
}

static void do_capacity(struct fake_disk *d, struct hba_req *req)
{
	uint8_t data[32] = {0};
	uint64_t last = d->blocks - 1;

	if (req->cdb[0] == 0x25) {
		put_be32(data, last > UINT32_MAX ? UINT32_MAX : (uint32_t)last);
		put_be32(data + 4, d->block_size);
		data_in(req, data, 8);
	} else if (!d->rc16) {
		sense(req, 0x05, 0x20, 0x00, UINT64_MAX);
	} else {
		put_be64(data, last);
		put_be32(data + 8, d->block_size);
		data[12] = 0x01;	/* PROT_EN */
		data[13] = 0x03;	/* 8 logical blocks per physical one */
		put_be16(data + 14, 5); /* lowest aligned */
		if (d->thin)
			data[14] |= 0xc0; /* LBPME, LBPRZ */
		data_in(req, data, 32);
	}
}

static void do_verify(struct fake_disk *d, struct hba_req *req)
{
	uint64_t lba = req->cdb[0] == 0x2f ? get_be32(req->cdb + 2) : get_be64(req->cdb + 2);
	uint32_t n = req->cdb[0] == 0x2f ? get_be16(req->cdb + 7) : get_be32(req->cdb + 10);

	ck_assert_uint_eq(req->cdb[1], 0);
	ck_assert_uint_eq(req->lba, lba);
	if (!d->verify)
		sense(req, 0x05, 0x20, 0x00, UINT64_MAX);
	else if (d->bad_lba >= lba && d->bad_lba - lba < n)
		sense(req, 0x03, 0x11, 0x00, d->bad_lba);
}

static void do_unmap(struct fake_disk *d, struct hba_req *req)
{
	uint32_t len = get_be16(req->cdb + 7);
	const uint8_t *p = d->unmap_list;

	ck_assert_uint_eq(req->cdb_len, 10);
	ck_assert_uint_eq(req->xfer.dir, DMA_TO_DEVICE);
	ck_assert_uint_eq(req->xfer.len, len);
	ck_assert_uint_le(len, sizeof(d->unmap_list));
	copy(req, 0, d->unmap_list, len, false);
	d->unmap_len = len;
	ck_assert_uint_eq(get_be16(p), len - 2);
	ck_assert_uint_eq(get_be16(p + 2), len - 8);
	for (uint32_t at = 8; at < len; at += 16) {
		uint64_t lba = get_be64(p + at), n = get_be32(p + at + 8);

		ck_assert_uint_eq(get_be32(p + at + 12), 0);
		ck_assert_uint_le(lba + n, d->blocks);
		if ((lba + n) * d->block_size <= FAKE_STORE)
			memset(d->store + lba * d->block_size, 0, n * d->block_size);
	}
}

static void do_lba_status(struct fake_disk *d, struct hba_req *req)
{
	if (d->lba_status.len)
		data_in(req, d->lba_status.data, MIN(d->lba_status.len, get_be32(req->cdb + 10)));
	else
		sense(req, 0x05, 0x24, 0x00, UINT64_MAX);
}

static void do_mode_sense(struct fake_disk *d, struct hba_req *req)
{
	uint8_t code = req->cdb[2] & 0x3f;
	const struct fake_page *p = &d->mode[code];
	uint8_t data[64] = {23, 0, 0, 0, 0x08, 0x12, d->mode_wce};

	if (code != 0x08 && !p->len) {
		sense(req, 0x05, 0x24, 0x00, UINT64_MAX);
		return;
	}
	if (code != 0x08) {
		data[0] = (uint8_t)(5 + p->len);
		data[4] = 0x80 | code; /* PS */
		data[5] = (uint8_t)p->len;
		memcpy(data + 6, p->data, p->len);
	}
	data_in(req, data, data[0] + 1U);
}

static void do_log_sense(struct fake_disk *d, struct hba_req *req)
{
	const struct fake_page *p = &d->log[req->cdb[2] & 0x3f];

	if (!d->log[0].len)
		sense(req, 0x05, 0x20, 0x00, UINT64_MAX);
	else if (!p->len)
		sense(req, 0x05, 0x24, 0x00, UINT64_MAX);
	else
		data_in(req, p->data, MIN(p->len, get_be16(req->cdb + 7)));
}

static void do_pass(struct fake_disk *d, struct hba_req *req)
{
	memcpy(d->passed_cdb, req->cdb, sizeof(d->passed_cdb));
	d->passed_cdb_len = req->cdb_len;
	d->passed_once = req->no_reissue;
	d->passed_len = req->xfer.len;
	d->passed_dir = req->xfer.dir;
	if (req->xfer.dir == DMA_TO_DEVICE)
		copy(req, 0, d->passed, MIN(req->xfer.len, sizeof(d->passed)), false);
	else if (req->xfer.dir == DMA_FROM_DEVICE)
		data_in(req, d->answer.data, d->answer.len);
}

static void do_write_atomic(struct fake_disk *d, struct hba_req *req)
{
	ck_assert_uint_eq(req->cdb[1], 0x10 & req->cdb[1]);
	ck_assert_uint_eq(req->xfer.len, get_be16(req->cdb + 12) * d->block_size);
	req->lba = get_be64(req->cdb + 2);
	req->nblocks = get_be16(req->cdb + 12);
	do_rw(d, req);
}

static void do_cdb(struct fake_disk *d, struct hba_req *req)
{
	d->cdbs[req->cdb[0]]++;
	if (d->attentions) {
		d->attentions--;
		sense(req, 0x06, 0x29, 0x00, UINT64_MAX);
		return;
	}
	if (d->becoming_ready && req->cdb[0] != 0x12) {
		d->becoming_ready--;
		sense(req, 0x02, 0x04, 0x01, UINT64_MAX);
		return;
	}
	if (d->passes[req->cdb[0]]) {
		do_pass(d, req);
		return;
	}
	switch (req->cdb[0]) {
	case 0x4d:
		do_log_sense(d, req);
		return;
	case 0x00:
	case 0x1b:
		return;
	case 0x12:
		do_inquiry(d, req);
		return;
	case 0x1a:
		if (d->mode_sense) {
			do_mode_sense(d, req);
			return;
		}
		break;
	case 0x42:
		if (d->thin) {
			do_unmap(d, req);
			return;
		}
		break;
	case 0x9e:
		if ((req->cdb[1] & 0x1f) == 0x12) {
			do_lba_status(d, req);
			return;
		}
		/* fall through */
	case 0x25:
		do_capacity(d, req);
		return;
	case 0x2f:
	case 0x8f:
		do_verify(d, req);
		return;
	case 0x9c:
		do_write_atomic(d, req);
		return;
	}
	sense(req, 0x05, 0x20, 0x00, UINT64_MAX);
}

static bool take_fault(struct fake *f, struct hba_req *req)
{
	if (!f->fault.count || f->fault.kind != req->kind)
		return false;
	if (f->fault.skip) {
		f->fault.skip--;
		return false;
	}
	f->fault.count--;
	req->result = f->fault.result;
	req->scsi_status = f->fault.status;
	req->sense_len = f->fault.sense_len;
	memcpy(req->sense, f->fault.sense, sizeof(req->sense));
	req->moved = 0;
	return true;
}

static void execute(struct fake *f, struct hba_req *req)
{
	struct fake_disk *d = &f->disk[req->unit->index];

	req->result = HBA_DONE;
	req->scsi_status = 0;
	req->sense_len = 0;
	req->moved = 0;
	if (take_fault(f, req))
		return;
	if (req->kind == HBA_REQ_RW)
		do_rw(d, req);
	else if (req->kind == HBA_REQ_CDB)
		do_cdb(d, req);
	else
		d->dirty = false;
	if (req->kind == HBA_REQ_CDB && f->tells_moved)
		req->moved = f->cdb_moved;
	if (req->kind == HBA_REQ_RW && f->short_moved) {
		req->moved -= f->short_moved;
		f->short_moved = 0;
	}
}

/* --- hba.h --- */

static struct fake *fake_of(struct hba *h)
{
	return container_of(h, struct fake, hba);
}

unsigned hba_n_units(const struct hba *h)
{
	return h->n_units;
}

void hba_unit_answered(struct hba *h, const struct hba_unit *u, uint32_t goings)
{
	struct fake *f = container_of(h, struct fake, hba);

	f->n_answered++;
	f->answered_goings = goings;
}

enum hba_state hba_state(const struct hba *h)
{
	return __atomic_load_n(&container_of(h, const struct fake, hba)->state, __ATOMIC_ACQUIRE);
}

enum hba_state hba_lane_state(const struct hba *h, unsigned lane)
{
	return lane && container_of(h, const struct fake, hba)->late ? HBA_RUNNING : hba_state(h);
}

struct loop *hba_lane_loop(const struct hba *h, unsigned lane)
{
	return (struct loop *)(uintptr_t)(lane + 1);
}

struct hba_req *hba_lane_req_get(struct hba *h, unsigned lane)
{
	struct fake *f = fake_of(h);

	f->last_lane = lane;
	if (f->state != HBA_RUNNING)
		return NULL;
	for (unsigned i = 0; i < f->slots; i++) {
		if (f->used[i])
			continue;
		f->used[i] = true;
		memset(&f->req[i], 0, offsetof(struct hba_req, hba));
		f->req[i].hba = h;
		return &f->req[i];
	}
	return NULL;
}

void hba_req_put(struct hba_req *req)
{
	struct fake *f = fake_of(req->hba);

	ck_assert(f->used[req - f->req]);
	/* A slot that came free is news at once, the worst moment for the layer above. */
	f->used[req - f->req] = false;
	memset(req, 0xdd, offsetof(struct hba_req, hba));
	for (unsigned i = 0; i < f->hba.n_lanes; i++)
		if (f->hba.listener[i].ready)
			f->hba.listener[i].ready(f->hba.listener[i].user);
}

static void check_request(const struct fake *f, const struct hba_req *req)
{
	uint64_t room = 0;

	ck_assert(req->unit >= f->hba.unit && req->unit < f->hba.unit + f->hba.n_units);
	ck_assert_uint_gt(req->timeout_ms, 0);
	ck_assert_ptr_nonnull(req->done);
	ck_assert_uint_le(req->xfer.len, f->hba.limits.max_transfer);
	ck_assert((req->xfer.dir != DMA_NONE) == (req->xfer.len > 0));
	for (uint32_t i = 0; i < req->xfer.niov; i++)
		room += req->xfer.iov[i].iov_len;
	ck_assert_uint_ge(room, req->xfer.offset + req->xfer.len);
	if (req->kind == HBA_REQ_RW) {
		const struct fake_disk *d = &f->disk[req->unit->index];

		ck_assert_uint_eq(req->block_size, d->block_size);
		ck_assert_uint_gt(req->nblocks, 0);
		ck_assert_uint_eq((uint64_t)req->nblocks * req->block_size, req->xfer.len);
		ck_assert_uint_le(req->lba + req->nblocks, d->blocks);
		ck_assert(!req->fua || f->hba.fua_native);
	} else if (req->kind == HBA_REQ_FLUSH) {
		ck_assert_uint_eq(req->xfer.len, 0);
	} else {
		ck_assert(req->cdb_len > 0 && req->cdb_len <= f->hba.limits.max_cdb);
	}
}

int hba_submit(struct hba_req *req)
{
	struct fake *f = fake_of(req->hba);

	ck_assert(f->used[req - f->req]);
	if (f->state != HBA_RUNNING && f->state != HBA_RESETTING)
		return -ENODEV;
	if (f->refuse)
		return f->refuse;
	check_request(f, req);
	if (f->refuse_eagain) {
		f->refuse_eagain--;
		return -EAGAIN;
	}
	ck_assert_uint_lt(f->n_flight, FAKE_MAX_SLOTS);
	f->log[f->n_log % FAKE_LOG] = (struct fake_entry){.kind = req->kind,
		.unit = req->unit->index,
		.cdb0 = req->kind == HBA_REQ_CDB ? req->cdb[0] : 0,
		.dir = req->xfer.dir,
		.lba = req->lba,
		.nblocks = req->nblocks,
		.len = req->xfer.len,
		.timeout_ms = req->timeout_ms,
		.fua = req->fua,
		.dpo = req->dpo};
	f->aborted[req - f->req] = false;
	f->entry[f->n_flight] = f->n_log++;
	f->flight[f->n_flight++] = req;
	f->most_in_flight = MAX(f->most_in_flight, f->n_flight);
	return 0;
}

void hba_abort(struct hba_req *req)
{
	struct fake *f = fake_of(req->hba);
	unsigned i = 0;

	while (i < f->n_flight && f->flight[i] != req)
		i++;
	ck_assert_msg(i < f->n_flight, "aborted a request that is not in flight");
	ck_assert_msg(!f->aborted[req - f->req], "aborted a request twice");
	f->aborted[req - f->req] = true;
	f->n_aborts++;
}

int hba_run(struct hba *h, struct hba_req *tmpl)
{
	struct fake *f = fake_of(h);

	if (f->run_error)
		return f->run_error;
	ck_assert_uint_gt(tmpl->timeout_ms, 0);
	execute(f, tmpl);
	return 0;
}

/* --- for tests --- */

static struct hba_req *take(struct fake *f, unsigned i)
{
	struct hba_req *req = f->flight[i];

	ck_assert_uint_lt(i, f->n_flight);
	f->log[f->entry[i] % FAKE_LOG].done = true;
	f->n_flight--;
	memmove(f->flight + i, f->flight + i + 1, (f->n_flight - i) * sizeof(f->flight[0]));
	memmove(f->entry + i, f->entry + i + 1, (f->n_flight - i) * sizeof(f->entry[0]));
	return req;
}

void fake_complete(struct fake *f, unsigned i)
{
	struct hba_req *req = take(f, i);

	execute(f, req);
	req->done(req);
}

void fake_execute(struct fake *f, unsigned i)
{
	ck_assert_uint_lt(i, f->n_flight);
	execute(f, f->flight[i]);
}

void fake_end(
	struct fake *f, unsigned i, enum hba_result result, uint8_t status, const uint8_t *s, uint8_t len)
{
	struct hba_req *req = take(f, i);

	req->result = result;
	req->scsi_status = status;
	req->sense_len = len;
	if (len)
		memcpy(req->sense, s, MIN(len, HBA_SENSE_SIZE));
	/* As drivers do: RECOVERED ERROR of this command has moved the data. */
	req->moved = len && (s[0] & 0x7f) == 0x70 && (s[2] & 0xf) == 1 ? req->xfer.len : 0;
	req->done(req);
}

void fake_end_moved(struct fake *f, unsigned i, const uint8_t *s, uint8_t len, uint32_t moved)
{
	struct hba_req *req = take(f, i);

	req->result = HBA_DONE;
	req->scsi_status = 0x02;
	req->sense_len = len;
	memcpy(req->sense, s, MIN(len, HBA_SENSE_SIZE));
	req->moved = moved;
	req->done(req);
}

void fake_run(struct fake *f, unsigned seed)
{
	while (f->n_flight) {
		seed = seed ? seed * 1103515245 + 12345 : 0;
		fake_complete(f, (seed >> 16) % f->n_flight);
	}
}

void fake_ready(struct fake *f)
{
	for (unsigned i = 0; i < f->hba.n_lanes; i++)
		if (f->hba.listener[i].ready)
			f->hba.listener[i].ready(f->hba.listener[i].user);
}
