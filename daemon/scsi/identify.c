/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Asking a unit who it is. Set-up thread: every request is waited for. */
#include "task.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/endian.h"
#include "log_sense.h"

#define TRIES 5 /* of UNIT ATTENTION (power on, reset, changes: each reported once) and BUSY */

struct question {
	struct hba *h;
	const struct hba_unit *unit;
	char *problem; /* 160 bytes */
	unsigned *patience;
};

static struct hba_req request(
	const struct question *q, const uint8_t *cdb, unsigned cdb_len, struct iovec *iov)
{
	struct hba_req req = {
		.unit = q->unit,
		.kind = HBA_REQ_CDB,
		.cdb_len = (uint8_t)cdb_len,
		.block_size = 512,
		.xfer = {.iov = iov, .niov = 1, .len = (uint32_t)iov->iov_len, .dir = DMA_FROM_DEVICE},
		.timeout_ms = scsi_time_seconds(TIME_SHORT) * 1000,
	};

	memcpy(req.cdb, cdb, cdb_len);
	return req;
}

/* Is it worth asking again? Sleeps when the unit needs time. */
static bool again(struct question *q, const struct hba_req *req, unsigned try)
{
	enum scsi_sense code;

	if (req->result != HBA_DONE)
		return false;
	if (req->scsi_status == SCSI_BUSY || req->scsi_status == SCSI_TASK_SET_FULL) {
		clock_sleep_ms(100);
		return try < TRIES;
	}
	if (!req_sense(req, &code))
		return false;
	if (SENSE_KEY(code) == KEY_UNIT_ATTENTION)
		return try < TRIES;
	if (code == SENSE_BECOMING_READY && *q->patience) {
		--*q->patience;
		clock_sleep_ms(SCSI_READY_WAIT_MS);
		return true;
	}
	return false;
}

/* What went wrong, for people. */
static void describe(struct question *q, const char *what, const struct hba_req *req, int r)
{
	static const char *const results[] = {
		[HBA_NO_UNIT] = "the controller does not know it or it is offline",
		[HBA_IO_ERROR] = "the firmware failed it",
		[HBA_TIMEOUT] = "no answer in time",
		[HBA_ABORTED] = "aborted",
		[HBA_GONE] = "the controller is gone",
	};
	enum scsi_sense code = SENSE_NONE;

	if (r < 0)
		snprintf(q->problem, 160, "failed %s: %s", what, strerror(-r));
	else if (req->result != HBA_DONE)
		snprintf(q->problem, 160, "failed %s: %s", what, results[req->result]);
	else if (req_sense(req, &code))
		snprintf(q->problem, 160, "failed %s: sense %x/%02x/%02x", what, SENSE_KEY(code),
			SENSE_ASC(code), SENSE_ASCQ(code));
	else
		snprintf(q->problem, 160, "failed %s: status %02xh", what, req->scsi_status);
}

static bool succeeded(const struct hba_req *req)
{
	enum scsi_sense code;

	if (req_sense(req, &code))
		return SENSE_KEY(code) == KEY_RECOVERED_ERROR;
	return req->result == HBA_DONE && req->scsi_status == SCSI_GOOD;
}

static bool is_gone(const struct hba_req *req, int r)
{
	return r == -ENODEV || (r == 0 && req->result == HBA_GONE);
}

/* One data-in command. 0; -ENODEV: no controller any more; -EIO: no useful answer, problem says why. */
static int ask(
	struct question *q, const char *what, const uint8_t *cdb, unsigned cdb_len, void *buf, size_t len)
{
	struct iovec iov = {.iov_base = buf, .iov_len = len};
	struct hba_req req;
	unsigned try = 0;
	int r;

	do {
		memset(buf, 0, len);
		req = request(q, cdb, cdb_len, &iov);
		r = hba_run(q->h, &req);
	} while (r == 0 && again(q, &req, ++try));
	if (r == 0 && succeeded(&req))
		return 0;
	describe(q, what, &req, r);
	return is_gone(&req, r) ? -ENODEV : -EIO;
}

/* --- INQUIRY --- */

static int inquiry(struct question *q, bool evpd, uint8_t page, void *buf, uint16_t len)
{
	uint8_t cdb[6] = {0x12, evpd, page};

	put_be16(cdb + 3, len);
	return ask(q, "INQUIRY", cdb, sizeof(cdb), buf, len);
}

/* 36 bytes first, as everybody does: some firmware mistakes other lengths. Then what it says there is. */
static int ask_inquiry(struct question *q, struct scsi_page *p)
{
	uint16_t len;
	int r = inquiry(q, false, 0, p->data, 36);

	if (r < 0)
		return r;
	len = (uint16_t)MIN(p->data[4] + 5, 255);
	if (len > 36)
		r = inquiry(q, false, 0, p->data, len);
	if (r == -EIO)
		r = inquiry(q, false, 0, p->data, len = 36);
	p->len = MAX(len, 36);
	return r;
}

/* The first alloc bytes of a page; *ret_len: of the whole page, 0 when there is none or it is not what it
 * should be. */
static int ask_page(struct question *q, uint8_t code, struct scsi_page *p, unsigned alloc, unsigned *ret_len)
{
	int r = inquiry(q, true, code, p->data, (uint16_t)alloc);

	*ret_len = r == 0 && p->data[1] == code ? 4U + get_be16(p->data + 2) : 0;
	return r == -ENODEV ? r : 0;
}

/* A page that the unit does not have is left empty. */
static int ask_vpd(struct question *q, enum scsi_page_id id, struct scsi_page *p)
{
	uint8_t code = scsi_page_code[id];
	unsigned len, whole;
	/* 255 bytes first: a unit of SPC-2 reads only the low byte of the length. */
	int r = ask_page(q, code, p, 255, &len);

	if (r == 0 && len > 255) {
		r = ask_page(q, code, p, MIN(len, SCSI_PAGE_MAX), &whole);
		len = MIN(whole, SCSI_PAGE_MAX);
		if (r == 0 && !len) {
			/* It did not like that: what came at first has to do. */
			r = ask_page(q, code, p, 255, &len);
			len = MIN(len, 255);
		}
	}
	if (r < 0 || !len)
		return r;
	p->len = (uint16_t)len;
	put_be16(p->data + 2, (uint16_t)(len - 4));
	return 0;
}

static bool lists(const struct scsi_page *supported, uint8_t code)
{
	return supported->len > 4 && memchr(supported->data + 4, code, supported->len - 4U);
}

/* Pages that describe what stands between initiators and the unit. */
static bool is_ours(enum scsi_page_id id)
{
	return id == PAGE_VPD_86 || id == PAGE_VPD_87 || id == PAGE_VPD_8F;
}

static int ask_vpd_pages(struct question *q, struct scsi_raw *raw)
{
	const struct scsi_page *supported = &raw->page[PAGE_VPD_00];
	int r = ask_vpd(q, PAGE_VPD_00, &raw->page[PAGE_VPD_00]);

	for (enum scsi_page_id id = PAGE_VPD_80; r == 0 && id < PAGE_COUNT; id++)
		if (!is_ours(id) && lists(supported, scsi_page_code[id]))
			r = ask_vpd(q, id, &raw->page[id]);
	return r;
}

/* --- capacity --- */

static int ask_capacity10(struct question *q, struct scsi_raw *raw)
{
	static const uint8_t cdb[10] = {0x25};
	uint8_t data[8];
	int r = ask(q, "READ CAPACITY(10)", cdb, sizeof(cdb), data, sizeof(data));

	if (r < 0)
		return r;
	if (get_be32(data) == UINT32_MAX) {
		snprintf(q->problem, 160,
			"is larger than READ CAPACITY(10) can tell and refuses READ CAPACITY(16)");
		return -EIO;
	}
	raw->blocks = (uint64_t)get_be32(data) + 1;
	raw->block_size = get_be32(data + 4);
	return 0;
}

static int ask_capacity(struct question *q, struct scsi_raw *raw)
{
	static const uint8_t cdb[16] = {[0] = 0x9e, [1] = 0x10, [13] = 32};
	uint8_t data[32];
	int r = ask(q, "READ CAPACITY(16)", cdb, sizeof(cdb), data, sizeof(data));

	/* A block size of 0 is an answer that was not one. */
	if (r == -EIO || (r == 0 && !get_be32(data + 8)))
		return ask_capacity10(q, raw);
	if (r < 0)
		return r;
	raw->blocks = get_be64(data) + 1; /* 2^64 blocks become 0, which is refused later */
	raw->block_size = get_be32(data + 8);
	raw->lbppbe = data[13] & 0x0f;
	raw->lowest_aligned = get_be16(data + 14) & 0x3fff;
	raw->lbpme = data[14] & 0x80;
	raw->lbprz = data[14] & 0x40;
	return 0;
}

/* --- mode and log pages --- */

/* The bytes of a mode page behind code and length, at most n of them. -EIO: there is no such page. */
static int ask_mode_page(struct question *q, uint8_t code, uint8_t *to, size_t n)
{
	const uint8_t cdb[6] = {0x1a, 0x08, code, 0, 192, 0};
	uint8_t data[192];
	const uint8_t *page = data + 4;
	int r = ask(q, "MODE SENSE(6)", cdb, sizeof(cdb), data, sizeof(data));

	if (r < 0)
		return r;
	page += MIN(data[3], 16); /* a block descriptor, DBD or not */
	if ((page[0] & 0x7f) != code || !page[1])
		return -EIO;
	memcpy(to, page + 2, MIN(n, page[1]));
	return 0;
}

static int ignore_missing(int r)
{
	return r == -ENODEV ? r : 0;
}

/* Only what the controller does not say by itself; a unit that refuses MODE SENSE is not asked twice. */
static int ask_modes(struct question *q, struct scsi_raw *raw)
{
	uint8_t caching[1] = {0};
	int r = ask_mode_page(q, 0x08, caching, sizeof(caching));

	if (r < 0)
		return ignore_missing(r);
	raw->wce = caching[0] & 0x04;
	raw->rcd = caching[0] & 0x01;
	r = ask_mode_page(q, 0x01, raw->mode.recovery, sizeof(raw->mode.recovery));
	if (r != -ENODEV)
		r = ask_mode_page(q, 0x1a, raw->mode.power, sizeof(raw->mode.power));
	return ignore_missing(r);
}

/* Which log pages there are. Most logical drives do not know the command. */
static int ask_log_pages(struct question *q, struct scsi_raw *raw)
{
	static const uint8_t cdb[10] = {[0] = 0x4d, [2] = 0x40, [8] = 68};
	uint8_t data[68];
	int r = ask(q, "LOG SENSE", cdb, sizeof(cdb), data, sizeof(data));

	if (r == 0 && !data[0] && !data[1])
		raw->log_pages = log_pages_of_unit(data + 4, MIN(get_be16(data + 2), sizeof(data) - 4));
	return ignore_missing(r);
}

int scsi_poke_unit(struct hba *h, const struct hba_unit *u)
{
	/* INQUIRY takes no unit attention away from initiators. */
	static const uint8_t cdb[6] = {[0] = 0x12, [4] = 36};
	const struct question q = {.h = h, .unit = u};
	uint8_t data[36];
	struct iovec iov = {.iov_base = data, .iov_len = sizeof(data)};
	struct hba_req req = request(&q, cdb, sizeof(cdb), &iov);
	int r = hba_run(h, &req);

	return is_gone(&req, r) ? -ENODEV : 0;
}

int scsi_ask_unit(
	struct hba *h, const struct hba_unit *u, struct scsi_raw *raw, unsigned *patience, char problem[160])
{
	struct question q = {.h = h, .unit = u, .problem = problem, .patience = patience};
	int r;

	memset(raw, 0, sizeof(*raw));
	raw->max_transfer = h->limits.max_transfer;
	problem[0] = '\0';
	r = ask_inquiry(&q, &raw->page[PAGE_INQUIRY]);
	/* Its type is known: scsi_identify() says what is wrong with it. */
	if (r < 0 || raw->page[PAGE_INQUIRY].data[0] != 0)
		return r;
	r = ask_vpd_pages(&q, raw);
	if (r == 0)
		r = ask_capacity(&q, raw);
	if (r == 0)
		r = ask_modes(&q, raw);
	if (r == 0)
		r = ask_log_pages(&q, raw);
	if (r == 0)
		problem[0] = '\0';
	return r;
}
