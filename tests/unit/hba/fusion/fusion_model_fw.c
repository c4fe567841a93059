/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The model's firmware: descriptors, requests, replies, DCMDs. Numbers in this file are offsets and codes as
 * public drivers have them.
 */
#include "fusion_model_fw.h"

#include <string.h>

#include "fusion_model.h"
#include "hba/model_bytes.h"

/* --- replies [5.11] --- */

void fw_post_raw(struct model *m, unsigned queue, uint64_t desc)
{
	uint64_t at = m->replies + 8ull * (queue * m->depth + m->producer[queue]);

	if (!m->running)
		return;
	fn_write64(&m->fn, at, desc);
	m->producer[queue] = (m->producer[queue] + 1) % m->depth;
	if (m->producer[queue] == m->host[queue])
		fn_error(&m->fn, "a reply queue is full: it must not be possible");
	m->n_posted[queue]++;
	m->status |= 8;
	/* Bit 3 masks replies. */
	if (!(m->mask & 8) && !(m->silent_queues >> queue & 1))
		fn_interrupt_vector(&m->fn, m->fn.irq_kind == PCI_IRQ_MSIX ? queue : 0);
}

void fw_post(struct model *m, struct model_request q)
{
	m->at_firmware[q.smid] = false;
	fw_post_raw(m, (q.queue + m->stray) % m->vectors, (uint64_t)q.smid << 16 | (uint64_t)q.queue << 8);
}

void fw_forget(struct model *m)
{
	m->running = false;
	m->n_pending = 0;
	m->flush.smid = m->event.smid = 0;
	m->n_tasks = 0;
	memset(m->at_firmware, 0, sizeof(m->at_firmware));
	memset(m->producer, 0, sizeof(m->producer));
	memset(m->host, 0, sizeof(m->host));
}

/* --- IOC INIT [5.4] --- */

static const char *bad_init(const struct model *m, const uint8_t *f, const uint8_t *i)
{
	if (f[0] != 0 || le32_at(f + 0x14) != 72 || !(le16_at(f + 0x10) & 1) || f[2] != 0xff)
		return "INIT frame";
	if (i[0] != 4 || i[3] != 2 || le16_at(i + 0x0c) != 0x0200 || le16_at(i + 0x0e) != 0x1000 ||
		i[0x16] != 0x0c)
		return "IOC INIT: head";
	if (le16_at(i + 0x1a) != 0x40 || le16_at(i + 0x1c) % 16 || le64_at(i + 0x28) & 15 ||
		le64_at(i + 0x30) & 15)
		return "IOC INIT: sizes, alignment";
	if (le32_at(i + 0x20) || le64_at(i + 0x28) > 0xffffffff || le64_at(i + 0x30) > 0xffffffff)
		return "IOC INIT: above 4 GiB";
	if (m->fn.irq_kind == PCI_IRQ_MSIX ? i[0x17] != m->fn.n_irqs : i[0x17] != 0)
		return "IOC INIT: vectors";
	if (m->mask != 0xffffffff)
		return "IOC INIT while interrupts are not masked";
	return NULL;
}

static void take_init(struct model *m, uint64_t addr)
{
	const char *bad;
	uint8_t status;

	m->n_init++;
	fn_read(&m->fn, m->init_frame, addr, 64);
	fn_read(&m->fn, m->ioc_init, le64_at(m->init_frame + 0x18), 72);
	bad = m->state != 0xb ? "IOC INIT in another state than READY"
			      : bad_init(m, m->init_frame, m->ioc_init);
	if (bad)
		fn_error(&m->fn, bad);
	if (m->init_silent)
		return;
	if (m->init_faults) {
		m->init_faults--;
		m->state = 0xf;
		return;
	}
	status = bad ? 0x03 : m->init_status;
	if (!status) {
		m->vectors = m->ioc_init[0x17] ? m->ioc_init[0x17] : 1;
		m->depth = le16_at(m->ioc_init + 0x1c);
		m->requests = le64_at(m->ioc_init + 0x28);
		m->replies = le64_at(m->ioc_init + 0x30);
		for (uint64_t n = 0; n < (uint64_t)m->vectors * m->depth; n++)
			if (fn_read32(&m->fn, m->replies + 8 * n) != 0xffffffff)
				fn_error(&m->fn, "a reply queue is not filled with ones");
		m->running = true;
		m->state = 0xc;
	}
	fn_write8(&m->fn, addr + 2, status);
}

/* --- requests --- */

static uint64_t frame_of(const struct model *m, unsigned smid)
{
	return m->requests + 256ull * smid;
}

static int unit_of(const struct model *m, const uint8_t *r)
{
	unsigned target = le16_at(r + 0x66);

	/* A drive has its own number on the way through firmware, and the map's on the direct one [5.8]. */
	if (r[0x78] >> 4 == 1)
		return target == (r[3] == 0x00 ? 8u + 255 : 8u) ? 2 : -1;
	return target == 0 ? 0 : target == 5 ? 1 : -1;
}

/* Moves data between p and the request's elements [5.9]. */
static bool move(struct model *m, const uint8_t *r, uint8_t *p, uint32_t len, bool to_host)
{
	uint64_t list = 0;
	unsigned n = 0, in_chain = 0;

	while (len) {
		uint8_t e[16];
		uint32_t here;

		if (list)
			fn_read(&m->fn, e, list + 16 * in_chain++, 16);
		else
			memcpy(e, r + 0x80 + 16 * n, 16);
		if (e[15] & 0x80) {
			/* The 8th; the newer find it by themselves in fast path requests. */
			bool fast = le16_at(r + 0x24) & 0x4000;
			uint8_t flags = m->gen == THUNDERBOLT ? 0x83 : 0x80;

			if (list || n != 7 || r[2] != (fast ? 0 : 0x0f) || e[15] != flags)
				return false;
			list = le64_at(e);
			continue;
		}
		n++;
		if (n > 256)
			return false;
		here = le32_at(e + 8) < len ? le32_at(e + 8) : len;
		if (to_host)
			fn_write(&m->fn, le64_at(e), p, here);
		else
			fn_read(&m->fn, p, le64_at(e), here);
		p += here;
		len -= here;
		if (len && e[15] & 0x40)
			return false;
		if (!len && m->gen != THUNDERBOLT && !(e[15] & 0x40))
			return false;
	}
	return true;
}

static uint64_t cdb_lba(const uint8_t *cdb)
{
	uint64_t v = 0;

	for (unsigned i = 2; i < (cdb[0] & 0x80 ? 10u : 6u); i++)
		v = v << 8 | cdb[i];
	return v;
}

/* Status and exStatus behind each other [5.7]. */
static void verdict(struct model *m, struct model_request q, uint8_t ex, uint8_t status)
{
	fn_write8(&m->fn, frame_of(m, q.smid) + 0x76, ex);
	fn_write8(&m->fn, frame_of(m, q.smid) + 0x77, status);
}

static uint8_t run_cdb(struct model *m, const uint8_t *r, int unit)
{
	const uint8_t *cdb = r + 0x40;
	uint32_t len = le32_at(r + 0x1c);
	uint8_t data[256] = {0};

	switch (cdb[0]) {
	case 0x28:
	case 0x88:
	case 0x2a:
	case 0x8a:
		if (cdb_lba(cdb) * 512 + len > sizeof(m->disk[0]))
			return 0x19;
		return move(m, r, m->disk[unit] + cdb_lba(cdb) * 512, len, !(cdb[0] & 2)) ? 0 : 0x3c;
	case 0x35:
		m->n_sync[unit]++;
		return 0;
	case 0x12:
		memcpy(data, "\0\0\6\2\37\0\0\0MODEL   ", 16);
		return move(m, r, data, len < 36 ? len : 36, true) ? 0 : 0x3c;
	default:
		return 0;
	}
}

/* What the driver must have got right, whatever the command [5.6 to 5.8]. */
static const char *bad_io(const struct model *m, const uint8_t *r)
{
	bool rw = (r[0x40] & 0x7d) == 0x28 || (r[0x40] & 0x7d) == 0x08, pd = r[0x78] >> 4 == 1;
	uint32_t control = le32_at(r + 0x3c), type = (uint32_t)(m->last_desc >> 1 & 7);

	if (le16_at(r + 0x10) != 2 || r[0x12] != 96 || r[0x14] != 0x20 || r[0x76] || r[0x77])
		return "request: head, or status not cleared";
	if (!le32_at(r + 0x1c) != !control || (control && control != 0x01000000 && control != 0x02000000))
		return "request: direction and length";
	/* The handle has no place in a descriptor of 32 bits. */
	if (r[3] == 0x00)
		return pd && type == 6 && le16_at(r) == m->pd_handle &&
				       m->last_desc >> 48 == (m->gen == AERO ? 0 : m->pd_handle)
			       ? NULL
			       : "fast path request";
	if (pd || !rw)
		return type == 0 ? NULL : "descriptor of a request for firmware";
	return type == (m->gen == INVADER ? 2 : 7) ? NULL : "descriptor of a read or write";
}

static bool names_seq(const struct model *m, const uint8_t *r)
{
	return m->gen >= VENTURA ? le16_at(r + 0x64) & 0x10 : r[0x64] & 8;
}

static void do_io(struct model *m, struct model_request q, const uint8_t *r)
{
	int unit = unit_of(m, r);
	uint8_t status = m->io_status, ex = m->io_scsi_status;

	if (unit < 0) {
		status = 0x0c;
	} else if (m->check_seq && names_seq(m, r)) {
		status = 0x67;
	} else if (status == 0x2d) {
		fn_write(&m->fn, le32_at(r + 0x0c), m->io_sense, sizeof(m->io_sense));
	} else if (!status) {
		status = run_cdb(m, r, unit);
	}
	if (r[3] == 0)
		m->n_fast_path++;
	/* What was moved, of a request that ends short [5.6]. */
	if (status == 0x2d && m->io_moved)
		fn_write32(&m->fn, frame_of(m, q.smid) + 0x1c, m->io_moved);
	verdict(m, q, ex, status);
	fw_post(m, q);
}

/* --- MFI frames [3.6, 3.7, 4] --- */

void fw_answer_mfi(struct model *m, struct model_request q, uint8_t status)
{
	uint8_t r[256];

	if (!q.smid)
		return;
	fn_read(&m->fn, r, frame_of(m, q.smid), sizeof(r));
	fn_write8(&m->fn, le64_at(r + 0x80) + 2, status);
	fw_post(m, q);
}

static void put_ctrl_info(struct model *m, uint8_t *p)
{
	p[0x53f] = m->many_lds ? 255 : 64;
	memcpy(p + 0x540, "AVAGO MegaRAID MODEL", 20);
	memcpy(p + 0x590, "SV12345678", 10);
	p[0x5b0] = 0x31;
	put_le16(p + 0x5ba, m->info_sge);
	put_le32(p + 0x5bc, 0xffff);
	put_le16(p + 0x5d0, 2048);
	put_le16(p + 0x5da, 168);
	p[0x5e8] = 4;
	put_le32(p + 0x620, m->no_ocr ? 0x400 : 0);
	memcpy(p + 0x640, "24.21.0-0132", 12);
	put_le32(p + 0x7e8, (m->pd_map ? 0x01000000u : 0) | (m->many_lds ? 0x20u : 0));
}

static void put_lds(struct model *m, uint8_t *p, const uint8_t *mbox)
{
	static const uint8_t target[] = {5, 0};

	m->n_ld_list++;
	if (mbox[0] != m->many_lds)
		fn_error(&m->fn, "LD_GET_LIST for another number of drives");
	put_le32(p, m->ld_count ? m->ld_count : 2);
	for (unsigned i = 0; i < 2; i++) {
		p[8 + 16 * i] = target[i];
		p[8 + 16 * i + 4] = m->ld_state[target[i] == 5];
		put_le32(p + 8 + 16 * i + 8, MODEL_BLOCKS);
	}
}

static void put_pds(struct model *m, uint8_t *p)
{
	m->n_pd_list++;
	put_le32(p + 4, m->pd_gone ? 1 : 2);
	put_le16(p + 8, 8);
	put_le16(p + 32, 252);
	p[32 + 6] = 0x0d; /* an enclosure */
	if (m->pd_gone)
		memmove(p + 8, p + 32, 24);
}

static void put_pd_map(struct model *m, uint8_t *p)
{
	put_le32(p, 8 + 8 * 9);
	put_le32(p + 4, m->pd_map_count ? m->pd_map_count : 9);
	for (unsigned i = 0; i < 9; i++)
		put_le16(p + 8 + 8 * i + 2, 0xffff);
	put_le16(p + 8 + 8 * 8, m->pd_seq);
	put_le16(p + 8 + 8 * 8 + 2, m->pd_handle);
	p[8 + 8 * 8 + 4] = !m->pd_no_tm;
}

/* False: the answer comes later. */
static bool run_dcmd(struct model *m, struct model_request q, const uint8_t *f, uint8_t *p, uint8_t *status)
{
	switch (le32_at(f + 0x18)) {
	case 0x01010000:
		put_ctrl_info(m, p);
		return true;
	case 0x01040100:
		put_le32(p, m->next_event - 1);
		*status = m->event_info_status;
		return true;
	case 0x01040500:
		m->n_event_wait++;
		m->event_from = le32_at(f + 0x1c);
		m->event_filter = le32_at(f + 0x20);
		*status = m->event_status;
		if (*status)
			return true;
		m->event = q;
		fw_deliver_event(m);
		return false;
	case 0x01101000:
		m->n_flush++;
		m->n_flush_polled += f[0x10] & 1;
		if (f[0x1c] != 3)
			fn_error(&m->fn, "flush of less than everything");
		*status = m->flush_status;
		m->flush = m->hold_flush ? q : m->flush;
		return !m->hold_flush;
	case 0x01050000:
		m->n_shutdown++;
		*status = m->stop_status;
		if (m->event.smid && !m->abort_silent)
			fn_error(&m->fn, "shutdown with a wait for events");
		return true;
	case 0x03010000:
		put_lds(m, p, f + 0x1c);
		return true;
	case 0x03020000:
		p[0x16] = 1;
		p[0x17] = 1;
		p[0x20] = 5;
		p[0x25] = 1;
		return true;
	case 0x02010100:
		put_pds(m, p);
		return true;
	case 0x02020000:
		put_le32(p + 0xbc, m->pd_interface << 12);
		put_le32(p + 0xf8, MODEL_BLOCKS);
		*status = m->pd_info_status;
		return true;
	case 0x0200e102:
		put_pd_map(m, p);
		return true;
	default:
		*status = 0x02;
		return true;
	}
}

static void do_dcmd(struct model *m, struct model_request q, const uint8_t *f)
{
	static uint8_t p[16384];
	uint8_t status = m->dcmd_status;
	uint32_t len = le32_at(f + 0x14);

	if (m->silent_dcmd || (m->silent_lists && le32_at(f + 0x18) == 0x03010000))
		return;
	memset(p, 0, sizeof(p));
	if (!run_dcmd(m, q, f, p, &status))
		return;
	if (len > sizeof(p) || !len != !f[7] || (len && !(le16_at(f + 0x10) & 0x10)) ||
		le16_at(f + 0x10) & 0x22)
		fn_error(&m->fn, "DCMD: length, elements, flags");
	if (!status && len)
		fn_write(&m->fn, le32_at(f + 0x28), p, len);
	fw_answer_mfi(m, q, status);
}

/* The only one that is taken back is the wait for events. */
static void do_mfi_abort(struct model *m, struct model_request q, const uint8_t *f)
{
	struct model_request victim = m->event;
	uint8_t r[256], v[64];

	m->n_mfi_abort++;
	if (m->abort_silent)
		return;
	if (m->abort_too_late) {
		fw_deliver_event(m);
		fw_answer_mfi(m, q, 0x05);
		return;
	}
	if (victim.smid) {
		fn_read(&m->fn, r, frame_of(m, victim.smid), sizeof(r));
		fn_read(&m->fn, v, le64_at(r + 0x80), sizeof(v));
		if (le64_at(f + 0x20) == le64_at(r + 0x80) && le32_at(f + 0x18) == le32_at(v + 8)) {
			m->event.smid = 0;
			fw_answer_mfi(m, q, 0);
			fw_answer_mfi(m, victim, 0x23);
			return;
		}
	}
	fn_error(&m->fn, "ABORT of something else");
	fw_answer_mfi(m, q, 0x05);
}

static void do_pass(struct model *m, struct model_request q, const uint8_t *r)
{
	uint8_t f[64];

	if (r[2] != 8 || r[0x14] != 0x20 || le32_at(r + 0x88) != 256 || r[0x8f] != 0x83 ||
		le64_at(r + 0x80) & 0xff || q.queue) {
		fn_error(&m->fn, "pass-through request");
		return;
	}
	fn_read(&m->fn, f, le64_at(r + 0x80), sizeof(f));
	if (f[0] == 5)
		do_dcmd(m, q, f);
	else if (f[0] == 6)
		do_mfi_abort(m, q, f);
	else
		fn_error(&m->fn, "an MFI command that is none of ours");
}

void fw_deliver_event(struct model *m)
{
	struct model_request q = m->event;
	uint8_t r[256], f[64];

	if (!q.smid || le32_at(m->event_data) < m->event_from || !le32_at(m->event_data))
		return;
	m->event.smid = 0;
	fn_read(&m->fn, r, frame_of(m, q.smid), sizeof(r));
	fn_read(&m->fn, f, le64_at(r + 0x80), sizeof(f));
	fn_write(&m->fn, le32_at(f + 0x28), m->event_data, sizeof(m->event_data));
	fw_answer_mfi(m, q, 0);
}

/* --- task management [5.14] --- */

static void kill(struct model *m, unsigned i)
{
	struct model_request q = m->pending[i];

	fw_drop_pending(m, i);
	verdict(m, q, 0, 0x2e);
	fw_post(m, q);
}

static bool of_unit(struct model *m, unsigned i, const uint8_t *task)
{
	uint8_t r[256];
	bool pd = task[0x80] & 2;
	int unit;

	fn_read(&m->fn, r, frame_of(m, m->pending[i].smid), sizeof(r));
	unit = unit_of(m, r);
	if (pd)
		return unit == 2 && le16_at(task) == m->pd_handle;
	return (unit == 0 && le16_at(task) == 0) || (unit == 1 && le16_at(task) == 5);
}

void fw_kill_for_task(struct model *m, struct model_request q)
{
	uint8_t t[256];

	fn_read(&m->fn, t, frame_of(m, q.smid), sizeof(t));
	for (unsigned i = m->n_pending; i-- > 0;)
		if (t[5] == 3 ? m->reset_kills && of_unit(m, i, t)
			      : m->abort_kills && m->pending[i].smid == le16_at(t + 0x30))
			kill(m, i);
}

void fw_do_task(struct model *m, struct model_request q)
{
	uint8_t t[256], reply[24] = {0};

	fn_read(&m->fn, t, frame_of(m, q.smid), sizeof(t));
	fw_kill_for_task(m, q);
	reply[3] = 1;
	reply[4] = t[5] == 3 ? m->reset_response : m->abort_response;
	reply[5] = t[5];
	fn_write(&m->fn, frame_of(m, q.smid) + 0x80, reply, sizeof(reply));
	fw_post(m, q);
}

static void take_task(struct model *m, struct model_request q, const uint8_t *r)
{
	memcpy(m->last_task, r, sizeof(m->last_task));
	if (r[0x80] & 2 && m->pd_no_tm)
		fn_error(&m->fn, "task management of a drive that has none");
	if (r[5] == 1)
		m->n_abort++;
	else if (r[5] == 3)
		m->n_unit_reset++;
	else
		fn_error(&m->fn, "task management of an unknown kind");
	if (m->hold_tasks && m->n_tasks < ARRAY_SIZE(m->task))
		m->task[m->n_tasks++] = q;
	else
		fw_do_task(m, q);
}

/* --- descriptors [5.5] --- */

void fw_drop_pending(struct model *m, unsigned i)
{
	if (i >= m->n_pending)
		return;
	m->n_pending--;
	memmove(&m->pending[i], &m->pending[i + 1], (m->n_pending - i) * sizeof(m->pending[0]));
}

void fw_execute(struct model *m, struct model_request q)
{
	uint8_t r[256];

	fn_read(&m->fn, r, frame_of(m, q.smid), sizeof(r));
	do_io(m, q, r);
}

static void take_io(struct model *m, struct model_request q, const uint8_t *r)
{
	const char *bad = bad_io(m, r);

	if (bad)
		fn_error(&m->fn, bad);
	memcpy(m->last_request, r, sizeof(m->last_request));
	if (!m->hold || m->n_pending == MODEL_PENDING) {
		do_io(m, q, r);
		return;
	}
	m->pending[m->n_pending++] = q;
	m->most_pending = m->n_pending > m->most_pending ? m->n_pending : m->most_pending;
}

void fw_descriptor(struct model *m, uint64_t desc)
{
	struct model_request q = {.smid = (uint16_t)(desc >> 16), .queue = (uint8_t)(desc >> 8)};
	uint32_t cmds = m->ext_cmds ? m->ext_cmds : m->fw_cmds;
	uint8_t r[256];

	if ((desc & 0xe) == 2) {
		take_init(m, desc & ~255ull);
		return;
	}
	if (!m->running || m->state != 0xc)
		return; /* firmware that does not run takes nothing */
	if (!q.smid || q.smid >= cmds || q.queue >= m->vectors || m->at_firmware[q.smid]) {
		fn_error(&m->fn, "descriptor: number, queue, or there already");
		return;
	}
	m->at_firmware[q.smid] = true;
	m->last_desc = desc;
	fn_read(&m->fn, r, frame_of(m, q.smid), sizeof(r));
	if (r[3] == 0xf0)
		do_pass(m, q, r);
	else if (r[3] == 0x01)
		take_task(m, q, r);
	else if (r[3] == 0xf1 || r[3] == 0x00)
		take_io(m, q, r);
	else
		fn_error(&m->fn, "request: function");
}
