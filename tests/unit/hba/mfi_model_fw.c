/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The model's firmware: DMA, replies, data, DCMDs, frames. Numbers in this file are offsets and codes as
 * public drivers have them.
 */
#include "mfi_model.h"

#include <string.h>

#include "mfi_model_fw.h"
#include "hba/model_bytes.h"

#define FRAME 2048

/* --- interrupts and replies --- */

void fw_interrupt(struct model *m)
{
	if (m->mask == 0xffffffff || !m->fn.irq_on)
		return;
	/* Under MSI and MSI-X the status register reads 0, as in QEMU. */
	if (m->fn.irq_kind == PCI_IRQ_INTX)
		m->status = m->gen == GEN1 ? 0x80000001 : 0x00000001;
	fn_interrupt(&m->fn);
}

void fw_post(struct model *m, uint32_t context)
{
	if (!m->queue_active)
		return;
	fn_write32(&m->fn, m->ring + 4 * m->head, context);
	if (m->mask == 0xffffffff)
		return; /* QEMU: the producer stays */
	m->head = m->head + 1 == m->fw_cmds ? 0 : m->head + 1;
	if (m->head == fn_read32(&m->fn, m->consumer_at))
		fn_error(&m->fn, "the ring is full: it must not be possible");
	fn_write32(&m->fn, m->producer_at, m->head);
	fw_interrupt(m);
}

void fw_answer(struct model *m, uint64_t frame, uint8_t status, uint8_t scsi_status)
{
	uint8_t head[0x18];
	bool dont_post;

	fn_read(&m->fn, head, frame, sizeof(head));
	dont_post = le16_at(head + 0x10) & 1;
	fn_write8(&m->fn, frame + 3, scsi_status);
	fn_write8(&m->fn, frame + 2, status);
	if (!dont_post || !m->real_dont_post)
		fw_post(m, le32_at(head + 8));
}

/* --- data --- */

/* Moves up to len bytes between buf and the SGL at f + off. */
static bool move(struct model *m, const uint8_t *f, unsigned off, uint8_t *buf, uint64_t len, bool to_host)
{
	uint16_t flags = le16_at(f + 0x10);
	unsigned n = f[7];

	for (unsigned i = 0; i < n; i++) {
		const uint8_t *e;
		uint64_t addr, here;

		if (flags & 0x20) {
			e = f + off + 16 * i;
			addr = le64_at(e);
			here = le32_at(e + 8);
			if (le32_at(e + 12))
				fn_error(&m->fn, "an SGE has flags");
		} else if (flags & 2) {
			e = f + off + 12 * i;
			addr = le64_at(e);
			here = le32_at(e + 8);
		} else {
			e = f + off + 8 * i;
			addr = le32_at(e);
			here = le32_at(e + 4);
		}
		if (!addr || !here)
			return false;
		here = MIN(here, len);
		if (here && to_host)
			fn_write(&m->fn, addr, buf, here);
		else if (here)
			fn_read(&m->fn, buf, addr, here);
		buf += here;
		len -= here;
	}
	return len == 0;
}

static void sense_code(struct model *m, const uint8_t *f, uint32_t code)
{
	uint8_t s[18] = {code >> 24 ? (uint8_t)(code >> 24) : 0x70, 0, (uint8_t)(code >> 16), 0, 0, 0, 0, 10};

	s[12] = (uint8_t)(code >> 8);
	s[13] = (uint8_t)code;
	fn_write(&m->fn, le32_at(f + 0x18), s, sizeof(s));
}

static void sense(struct model *m, const uint8_t *f, uint8_t key, uint8_t asc)
{
	sense_code(m, f, (uint32_t)(key << 16 | asc << 8));
}

static void ld_rw(struct model *m, uint64_t frame, const uint8_t *f)
{
	uint64_t lba = le64_at(f + 0x20), n = le32_at(f + 0x14);
	bool read = f[0] == 1;

	m->n_ld_rw++;
	if (f[4] >= m->ld_count || f[4] >= MODEL_LDS) {
		fw_answer(m, frame, 0x0c, 0);
		return;
	}
	if (lba + n > MODEL_LD_BLOCKS) {
		sense(m, f, 5, 0x21);
		fw_answer(m, frame, 0x2d, 2);
		return;
	}
	if (!move(m, f, 0x28, m->ld[f[4]] + lba * 512, n * 512, read)) {
		sense(m, f, 4, 0x44);
		fw_answer(m, frame, 0x2d, 2);
		return;
	}
	fw_answer(m, frame, 0, 0);
}

static void scsi_rw(struct model *m, uint64_t frame, const uint8_t *f, uint64_t lba, uint64_t n, bool read)
{
	uint64_t bytes = le32_at(f + 0x14);
	unsigned unit = f[0] == 3 ? f[4] : 0;

	if (bytes % (n ? n : 1) || (lba + n) * (bytes / (n ? n : 1)) > sizeof(m->ld[0])) {
		sense(m, f, 5, 0x21);
		fw_answer(m, frame, 0x2d, 2);
		return;
	}
	if (!move(m, f, 0x30, m->ld[unit] + lba * (bytes / n), bytes, read))
		fn_error(&m->fn, "data do not fit");
	fw_answer(m, frame, 0, 0);
}

static uint32_t drive_says(struct model *m, uint8_t id)
{
	for (unsigned i = 0; i < MODEL_PDS; i++)
		if (i < m->pd_count && m->pd_ids[i] == id) {
			unsigned n = m->n_pd_sync[i]++;

			return n < MODEL_SAYS ? m->pd_says[i][n] : 0;
		}
	return 0;
}

static void sync_cache(struct model *m, uint64_t frame, const uint8_t *f)
{
	uint32_t says = f[0] == 4 ? drive_says(m, f[4]) : 0;

	if (f[0] != 4)
		m->n_sync[f[4] % MODEL_LDS]++;
	if (says == MODEL_SILENT)
		return;
	if (says) {
		sense_code(m, f, says);
		fw_answer(m, frame, 0x2d, 2);
		return;
	}
	if (m->sync_mode == MODEL_SYNC_GOOD) {
		fw_answer(m, frame, 0, 0);
		return;
	}
	if (m->sync_mode == MODEL_SYNC_UNKNOWN)
		sense(m, f, 5, 0x20);
	else
		sense(m, f, 4, 0x44);
	fw_answer(m, frame, 0x2d, 2);
}

static void inquiry(struct model *m, uint64_t frame, const uint8_t *f)
{
	uint8_t data[96] = {0, 0, 5, 2, 31, 0, 0, 2, 'M', 'O', 'D', 'E', 'L', ' ', ' ', ' '};
	uint32_t len = le32_at(f + 0x14);

	memset(data + 16, 'x', 20);
	len = MIN(len, m->io_short ? m->io_short : 36);
	if (!move(m, f, 0x30, data, len, true) && le32_at(f + 0x14) <= 36)
		fn_error(&m->fn, "data do not fit");
	fw_answer(m, frame, 0, 0);
}

static void scsi_io(struct model *m, uint64_t frame, const uint8_t *f)
{
	const uint8_t *cdb = f + 0x20;

	m->n_scsi++;
	if (f[7] == 0 || f[5] != 0 || f[6] > 16) {
		/* No SGE at all: QEMU fails it. */
		fn_error(&m->fn, "pass-through without an SGE");
		fw_answer(m, frame, 0x2d, 2);
		return;
	}
	if (f[0] == 3 && f[4] >= m->ld_count) {
		fw_answer(m, frame, 0x0c, 0);
		return;
	}
	switch (cdb[0]) {
	case 0x00:
		fw_answer(m, frame, 0, 0);
		return;
	case 0x12:
		inquiry(m, frame, f);
		return;
	case 0x28:
	case 0x2a:
		scsi_rw(m, frame, f, get_be32(cdb + 2), get_be16(cdb + 7), cdb[0] == 0x28);
		return;
	case 0x88:
	case 0x8a:
		scsi_rw(m, frame, f, get_be64(cdb + 2), get_be32(cdb + 10), cdb[0] == 0x88);
		return;
	case 0x35:
		sync_cache(m, frame, f);
		return;
	}
	sense(m, f, 5, 0x20);
	fw_answer(m, frame, 0x2d, 2);
}

void fw_execute(struct model *m, uint64_t frame)
{
	uint8_t f[FRAME];

	fn_read(&m->fn, f, frame, sizeof(f));
	if (m->io_status || m->io_scsi_status) {
		if (m->io_sense[0])
			fn_write(&m->fn, le32_at(f + 0x18), m->io_sense, sizeof(m->io_sense));
		fw_answer(m, frame, m->io_status, m->io_scsi_status);
	} else if (f[0] == 1 || f[0] == 2) {
		ld_rw(m, frame, f);
	} else {
		scsi_io(m, frame, f);
	}
}

/* --- DCMDs --- */

void fw_dcmd_data(struct model *m, const uint8_t *f, const uint8_t *data, uint32_t len)
{
	if (f[7] != 1 || (le16_at(f + 0x10) & 0x2a) || le32_at(f + 0x14) != le32_at(f + 0x2c)) {
		fn_error(&m->fn, "a DCMD wants exactly one SG32 element");
		return;
	}
	fn_write(&m->fn, le32_at(f + 0x28), data, MIN(len, le32_at(f + 0x2c)));
}

static uint8_t ctrl_get_info(struct model *m, const uint8_t *f)
{
	static uint8_t d[0x950];
	uint32_t len = le32_at(f + 0x14);

	if (m->ctrl_info_status)
		return m->ctrl_info_status;
	if (len < 2048 || (m->ctrl_info_old && len > 2048) || f[0x1c] != 1)
		return 3;
	memset(d, 0, sizeof(d));
	memcpy(d + 0x540, "LSI MegaRAID MODEL   ", 21);
	memcpy(d + 0x590,
		"SV\x01"
		"234 ",
		7);
	d[0x5b0] = 1;
	put_le32(d + 0x5bc, m->max_sectors);
	put_le16(d + 0x5d0, 512);
	put_le16(d + 0x5da, (uint16_t)m->max_strips);
	d[0x5e8] = (uint8_t)m->strip_min;
	put_le32(d + 0x620, m->on_off);
	memcpy(d + 0x640, "12.3.4", 6);
	fw_dcmd_data(m, f, d, sizeof(d));
	return 0;
}

/* In reverse order, as QEMU does; the last one is offline, the one before degraded. */
static uint8_t ld_get_list(struct model *m, const uint8_t *f)
{
	static uint8_t d[1032];

	if (m->ld_list_status || le32_at(f + 0x14) > sizeof(d))
		return m->ld_list_status ? m->ld_list_status : 3;
	m->n_ld_list++;
	memset(d, 0, sizeof(d));
	put_le32(d, m->ld_count);
	for (unsigned i = 0; i < MIN(m->ld_count, 64u); i++) {
		uint8_t *e = d + 8 + 16 * i;

		e[0] = (uint8_t)(m->ld_count - 1 - i);
		e[4] = e[0] < MODEL_LDS ? m->ld_state[e[0]] : 3;
		put_le32(e + 8, m->ld_blocks);
	}
	fw_dcmd_data(m, f, d, sizeof(d));
	return 0;
}

static uint8_t ld_get_info(struct model *m, const uint8_t *f)
{
	static uint8_t d[384];

	if (m->ld_info_status)
		return m->ld_info_status;
	memset(d, 0, sizeof(d));
	d[0] = f[0x1c];
	d[0x16] = m->disk_cache_policy;
	d[0x17] = m->cache_policy;
	d[0x20] = f[0x1c] == 0 ? 1 : 5;
	d[0x25] = f[0x1c] == 0 ? 2 : 1;
	fw_dcmd_data(m, f, d, sizeof(d));
	return 0;
}

static uint8_t pd_list(struct model *m, const uint8_t *f)
{
	static uint8_t d[8192];

	if (m->pd_list_status || f[0x1c] != 5)
		return m->pd_list_status ? m->pd_list_status : 3;
	m->n_pd_list++;
	memset(d, 0, sizeof(d));
	put_le32(d, 8 + 24 * m->pd_count);
	put_le32(d + 4, m->pd_count);
	for (unsigned i = 0; i < MIN(m->pd_count, ARRAY_SIZE(m->pd_ids)); i++) {
		put_le16(d + 8 + 24 * i, m->pd_ids[i]);
		d[8 + 24 * i + 6] = m->pd_types[i];
	}
	fw_dcmd_data(m, f, d, sizeof(d));
	return 0;
}

static uint8_t pd_info(struct model *m, const uint8_t *f)
{
	static uint8_t d[512];

	memset(d, 0, sizeof(d));
	put_le32(d + 0xf8, 0x1000u + f[0x1c]);
	fw_dcmd_data(m, f, d, sizeof(d));
	return 0;
}

static void dcmd(struct model *m, uint64_t frame, const uint8_t *f)
{
	uint8_t status;

	if (m->silent_dcmd || (m->silent_op && le32_at(f + 0x18) == m->silent_op))
		return;
	switch (le32_at(f + 0x18)) {
	case 0x01040100:
		status = fw_event_info(m, f);
		break;
	case 0x01040500:
		fw_event_wait(m, frame, f);
		return;
	case 0x01010000:
		status = ctrl_get_info(m, f);
		break;
	case 0x03010000:
		status = ld_get_list(m, f);
		break;
	case 0x03020000:
		status = ld_get_info(m, f);
		break;
	case 0x02010100:
		status = pd_list(m, f);
		break;
	case 0x02020000:
		status = pd_info(m, f);
		break;
	case 0x01101000:
		m->n_flush++;
		if (f[0x1c] != 3 || f[7] != 0)
			fn_error(&m->fn, "flush of something else");
		if (m->hold_flush) {
			if (m->flush_frame)
				fn_error(&m->fn, "two flushes at a time");
			m->flush_frame = frame;
			return;
		}
		status = m->flush_status;
		break;
	case 0x01050000:
		m->n_shutdown++;
		status = m->shutdown_status;
		if (m->event_frame && !m->keeps_wait && !m->wait_abort_silent)
			fn_error(&m->fn, "shutdown with a wait for events");
		if (!status) {
			m->event_frame = 0;
			m->state = 0xb;
			m->closed = true;
		}
		break;
	default:
		fn_error(&m->fn, "an unknown DCMD");
		status = 2;
	}
	fw_answer(m, frame, status, 0);
}

/* --- frames --- */

void fw_drop_pending(struct model *m, unsigned i)
{
	assert(i < m->n_pending);
	memmove(m->pending + i, m->pending + i + 1, (--m->n_pending - i) * sizeof(m->pending[0]));
}

static void abort_frame(struct model *m, uint64_t frame, const uint8_t *f)
{
	uint64_t victim = le64_at(f + 0x20);

	if (victim && victim == m->event_frame) {
		if (fn_read32(&m->fn, victim + 8) != le32_at(f + 0x18))
			fn_error(&m->fn, "abort names another context");
		fw_abort_wait(m, frame);
		return;
	}
	m->n_abort++;
	for (unsigned i = 0; i < m->n_pending && !m->abort_lies; i++)
		if (m->pending[i] == victim) {
			if (fn_read32(&m->fn, victim + 8) != le32_at(f + 0x18)) {
				fn_error(&m->fn, "abort names another context");
				fw_answer(m, frame, 5, 0);
				return;
			}
			fw_drop_pending(m, i);
			fw_answer(m, victim, 0x2e, 0);
			break;
		}
	fw_answer(m, frame, 0, 0);
}

static void init(struct model *m, uint64_t frame, const uint8_t *f)
{
	uint8_t q[32];

	m->n_init++;
	if (m->init_silent)
		return;
	if (m->init_status || le32_at(f + 0x14) != 32) {
		fw_answer(m, frame, m->init_status ? m->init_status : 3, 0);
		return;
	}
	/* QEMU: says OK to a second INIT, and to one after CTRL_SHUTDOWN, and does nothing. */
	if (m->queue_active || m->closed) {
		fw_answer(m, frame, 0, 0);
		return;
	}
	fn_read(&m->fn, q, le64_at(f + 0x18), sizeof(q));
	if (le32_at(q) != 0 || le32_at(q + 4) != m->fw_cmds)
		fn_error(&m->fn, "INIT with another queue size");
	m->ring = le64_at(q + 8);
	m->producer_at = le64_at(q + 0x10);
	m->consumer_at = le64_at(q + 0x18);
	m->head = fn_read32(&m->fn, m->producer_at);
	if (m->head != 0 || fn_read32(&m->fn, m->consumer_at) != 0)
		fn_error(&m->fn, "indices are not 0 at INIT");
	m->queue_active = true;
	m->state = 0xc;
	fw_answer(m, frame, 0, 0);
}

/* What the driver sends by itself, until it has noticed that firmware does not run. */
static bool asks_for_news(const uint8_t *f)
{
	uint32_t op = le32_at(f + 0x18);

	return f[0] == 5 && (op == 0x01040100 || op == 0x01040500 || op == 0x03010000 || op == 0x02010100);
}

void fw_submit(struct model *m, uint64_t frame, uint32_t fire)
{
	uint8_t f[FRAME];

	if (frame & 63)
		fn_error(&m->fn, "a frame is not aligned");
	/* QEMU wants 2048 readable bytes behind every frame. */
	fn_read(&m->fn, f, frame, sizeof(f));
	if (f[0] != 5) {
		memcpy(m->last_frame, f, sizeof(m->last_frame));
		m->last_fire = fire;
	}
	if (m->state == 0xf && asks_for_news(f))
		return;
	if (f[0] != 0 && (m->state != 0xc || !m->queue_active)) {
		fn_error(&m->fn, "a frame before INIT");
		return;
	}
	switch (f[0]) {
	case 0:
		init(m, frame, f);
		return;
	case 1:
	case 2:
	case 3:
	case 4:
		if (m->hold && m->n_pending < MODEL_PENDING) {
			m->pending[m->n_pending++] = frame;
			return;
		}
		fw_execute(m, frame);
		return;
	case 5:
		dcmd(m, frame, f);
		return;
	case 6:
		abort_frame(m, frame, f);
		return;
	}
	fn_error(&m->fn, "an unknown frame");
}
