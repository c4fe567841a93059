/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commands of initiators on a controller that fails, refuses, reorders, resets and goes away. The input is a list of
 * steps: submit a CDB with its data, let the controller answer, abort, disturb. Each command completes exactly once,
 * with sense if and only if it is CHECK CONDITION, and claims no more data than there is room for. The fake
 * controller holds the layer to its side of hba.h.
 */
#include <stdlib.h>
#include "base/endian.h"
#include "base/log.h"
#include "fuzz.h"
#include "scsi/host.h"
#include "scsi/opcodes.h"
#include "unit/scsi/fake_hba.h"

#define SLOTS	 12
#define IOVS	 16
#define MAX_DATA (192u << 10)
#define STEPS	 300
#define DRAIN	 2000 /* completions before what is left is aborted */
#define LUNS	 3

/* Small, small with large blocks, and so large that its sense is in descriptor format. */
#define BLOCKS_512  256
#define BLOCKS_4096 64
#define BLOCKS_HUGE (UINT64_C(1) << 33)

struct cmd {
	struct scsi_task task;
	bool flying, aborted;
	unsigned done;
	struct iovec iov[IOVS];
};

static struct fake *f;
static struct fake *pristine; /* only the parts that reset_fake() copies */
static struct scsi_host *host;
static struct scsi_lun *lun[LUNS];
static uint8_t designator[LUNS][24];
static struct cmd cmd[SLOTS];

/* --- the controller --- */

static void copy_fake(struct fake *to, const struct fake *from)
{
	size_t rest = offsetof(struct fake, req);

	to->hba = from->hba;
	memcpy(to->disk, from->disk, LUNS * sizeof(to->disk[0]));
	memcpy((uint8_t *)to + rest, (const uint8_t *)from + rest, sizeof(*to) - rest);
}

static void make_fake(void)
{
	log_set_level(LOG_LV_ERR);
	f = fake_new(LUNS, BLOCKS_512, 512);
	f->disk[1].blocks = BLOCKS_4096;
	f->disk[1].block_size = 4096;
	f->disk[1].thin = true;
	f->disk[2].blocks = BLOCKS_HUGE;
	f->hba.limits.max_transfer = 65536;
	pristine = malloc(sizeof(*pristine));
	copy_fake(pristine, f);
}

static void attach(void)
{
	struct err e = {""};

	ck_assert_msg(scsi_host_attach(host, &f->hba, &e) == 0, "%s", e.text);
	scsi_host_trim(host);
}

static void open_lun(unsigned i, const char *text)
{
	struct scsi_lun_config cfg;
	struct err e = {""};

	ck_assert_msg(scsi_lun_parse(text, &cfg, &e) == 0, "%s", e.text);
	ck_assert_int_eq(scsi_lun_create(host, &cfg, &lun[i]), 0);
	scsi_lun_serve(lun[i]);
	if (lun_gate(lun[i]) == SCSI_GATE_OPEN)
		memcpy(designator[i], lun[i]->facts.page[PAGE_VPD_83].data + 4, 24);
}

static void open_lun_again(unsigned i)
{
	static const char *const text[LUNS] = {
		"ld0;allow=format+sanitize+buffer+security+ata+nodata+copy+power+c1-in+c2-out+c3-none",
		"ld1;allow=copy+nodata", "ld2;allow=copy"};

	open_lun(i, text[i]);
}

static void setup(void)
{
	if (!f)
		make_fake();
	copy_fake(f, pristine);
	for (unsigned i = 0; i < LUNS; i++)
		memset(f->disk[i].store, 0, BLOCKS_512 * 1024);
	ck_assert_int_eq(scsi_host_create((struct loop *)0x1000, &host), 0);
	attach();
	for (unsigned i = 0; i < LUNS; i++)
		open_lun_again(i);
}

/* --- commands --- */

static void check_sense(const struct scsi_task *t)
{
	ck_assert(t->sense_len >= 1 && t->sense_len <= SCSI_SENSE_SIZE);
	for (unsigned i = t->sense_len; i < SCSI_SENSE_SIZE; i++)
		ck_assert(!t->sense[i]);
}

static void done(struct scsi_task *t)
{
	struct cmd *c = container_of(t, struct cmd, task);

	ck_assert(c->flying && !c->done);
	c->done++;
	c->flying = false;
	ck_assert_uint_le(t->in_bytes, t->iov_bytes);
	if (t->status == SCSI_CHECK_CONDITION)
		check_sense(t);
	else
		ck_assert_uint_eq(t->sense_len, 0);
	if (t->dir != DMA_FROM_DEVICE || (t->status != SCSI_GOOD && t->status != SCSI_CHECK_CONDITION))
		ck_assert_uint_eq(t->in_bytes, 0);
	if (t->status == SCSI_TASK_ABORTED || t->status == SCSI_GOOD || c->aborted)
		return;
	ck_assert(t->status != 0xff);
}

static void free_data(struct cmd *c)
{
	for (unsigned i = 0; i < IOVS; i++) {
		free(c->iov[i].iov_base);
		c->iov[i].iov_base = NULL;
	}
}

static void put_be(uint8_t *p, unsigned width, uint64_t value)
{
	while (width--) {
		p[width] = (uint8_t)value;
		value >>= 8;
	}
}

static uint64_t get_be(const uint8_t *p, unsigned width)
{
	uint64_t value = 0;

	while (width--)
		value = value << 8 | *p++;
	return value;
}

/* Where CDBs have their list's length. */
static const struct {
	uint8_t opcode, at, width;
} lists[] = {{0x15, 4, 1}, {0x1d, 3, 2}, {0x3b, 6, 3}, {0x42, 7, 2}, {0x48, 7, 2}, {0x4c, 7, 2}, {0x55, 7, 2},
	{0x83, 10, 4}, {0xb5, 6, 4}};

static int find_list(uint8_t opcode)
{
	for (unsigned i = 0; i < ARRAY_SIZE(lists); i++)
		if (lists[i].opcode == opcode)
			return (int)i;
	return -1;
}

/* Where CDBs have LBA and number of blocks, by their length. */
struct place {
	uint8_t lba, lba_width, blocks, blocks_width;
};

static struct place place_of(const uint8_t *cdb)
{
	static const struct place by_group[8] = {{2, 2, 4, 1}, {2, 4, 7, 2}, {2, 4, 7, 2}, {12, 8, 28, 4},
		{2, 8, 10, 4}, {2, 4, 6, 4}, {2, 4, 7, 2}, {2, 4, 7, 2}};

	if (cdb[0] == 0x89)
		return (struct place){2, 8, 13, 1};
	if (cdb[0] == 0x9c)
		return (struct place){2, 8, 12, 2};
	return by_group[cdb[0] >> 5];
}

/* Fields that make sense, so that more than their checks is reached. */
static void sane_fields(struct input *in, uint8_t *cdb)
{
	struct place at = place_of(cdb);
	int list = find_list(cdb[0]);

	if (list >= 0) {
		put_be(cdb + lists[list].at, lists[list].width, take8(in));
		return;
	}
	put_be(cdb + at.lba, at.lba_width, take8(in));
	put_be(cdb + at.blocks, at.blocks_width, take8(in) % 40);
}

/* By opcode and not by row, so that kept inputs mean the same when the table grows. */
static void choose_op(struct input *in, uint8_t *cdb)
{
	unsigned rows, n, nth;
	const struct scsi_op *op, *table = scsi_op_table(&rows);

	cdb[0] = take8(in);
	op = scsi_op_first(cdb[0]);
	if (!op || !(op->flags & OP_SERVICE_ACTION))
		return;
	for (n = 1; op + n < table + rows && op[n].opcode == cdb[0]; n++)
		;
	nth = take8(in) % n;
	if (cdb[0] == OP_VARIABLE) {
		cdb[7] = 24;
		put_be16(cdb + 8, op[nth].sa);
	} else {
		cdb[1] = (uint8_t)op[nth].sa;
	}
}

static void choose_cdb(struct input *in, uint8_t cdb[SCSI_MAX_CDB])
{
	uint8_t sparse;

	memset(cdb, 0, SCSI_MAX_CDB);
	choose_op(in, cdb);
	sparse = take8(in);
	if (sparse & 0x80)
		sane_fields(in, cdb);
	/* Pairs of place and value, so that a change of one field is a change of two bytes of the input. */
	for (unsigned i = 0; i < sparse % 8; i++) {
		uint8_t at = take8(in) % SCSI_MAX_CDB, value = take8(in);

		if (at)
			cdb[at] |= value;
	}
}

/* As much data as the CDB says, or something else. */
static size_t choose_length(struct input *in, const uint8_t *cdb, uint32_t block_size)
{
	struct place at = place_of(cdb);
	int list = find_list(cdb[0]);
	uint8_t how = take8(in);
	uint64_t n;

	if (how >= 250)
		n = take16(in);
	else if (how >= 240)
		n = how - 240;
	else if (list >= 0)
		n = get_be(cdb + lists[list].at, lists[list].width);
	else if (how >= 200 || cdb[0] == 0x41 || cdb[0] == 0x93)
		n = block_size;
	else if (how >= 150)
		n = 255;
	else
		n = get_be(cdb + at.blocks, at.blocks_width) * block_size * (cdb[0] == 0x89 ? 2 : 1);
	return (size_t)MIN(n, MAX_DATA);
}

/* Each iovec in memory of its own, for ASan to watch its end. */
static void give_data(struct cmd *c, size_t len, unsigned pieces)
{
	for (unsigned i = 0; i < pieces; i++) {
		size_t from = len * i / pieces, n = len * (i + 1) / pieces - from;

		c->iov[i] = (struct iovec){calloc(1, n ? n : 1), n};
	}
	c->task.iov = c->iov;
	c->task.niov = pieces;
	c->task.iov_bytes = len;
}

/* The parameter list, or what else there is. */
static void fill_data(struct input *in, struct cmd *c)
{
	size_t n = take8(in);
	uint8_t seed = take8(in);

	for (unsigned i = 0; i < c->task.niov; i++) {
		uint8_t *p = c->iov[i].iov_base;

		memset(p, seed & 1 ? seed : 0, c->iov[i].iov_len);
		for (size_t at = 0; at < c->iov[i].iov_len && n; at++, n--)
			p[at] = take8(in);
	}
}

/* EXTENDED COPY: CSCDs are named by hashes, which no input would find, and lengths depend on one another. */
static void copy_list(struct input *in, uint8_t *list, size_t len)
{
	unsigned segments = take8(in) % 4, order = take8(in);

	if (len < 16 + 32 * LUNS + 28 * segments)
		return;
	put_be16(list + 2, 32 * LUNS);
	put_be32(list + 8, 28 * segments);
	list += 16;
	for (unsigned i = 0; i < LUNS; i++, list += 32) {
		list[0] = 0xe4;
		memcpy(list + 4, designator[(order >> 2 * i & 3) % LUNS], 24);
	}
	for (; segments--; list += 28) {
		list[0] = 0x02;
		list[1] = take8(in) & 3;
		list[3] = 0x18;
		list[5] = take8(in) % 4;
		list[7] = take8(in) % 4;
		list[11] = take8(in);
		list[19] = take8(in);
		list[27] = take8(in);
	}
}

static void unmap_list(struct input *in, uint8_t *list, size_t len)
{
	if (len < 24)
		return;
	put_be16(list, (uint16_t)(len - 2));
	put_be16(list + 2, (uint16_t)((len - 8) / 16 * 16));
	for (size_t at = 8; at + 16 <= len; at += 16) {
		list[at + 7] = take8(in);
		list[at + 11] = take8(in);
	}
}

/* A mode page behind its header, of the right length. */
static void mode_list(struct input *in, uint8_t *list, size_t len, unsigned header)
{
	static const uint8_t pages[][2] = {
		{0x01, 0x0a}, {0x08, 0x12}, {0x0a, 0x0a}, {0x1a, 0x26}, {0x1c, 0x0a}};
	const uint8_t *page = pages[take8(in) % ARRAY_SIZE(pages)];

	if (len < header + 2U + page[1])
		return;
	list[header] = page[0];
	list[header + 1] = page[1];
}

/* Flat lists come first; what the input says on top. */
static void shape_list(struct input *in, struct cmd *c)
{
	uint8_t *list = c->iov[0].iov_base;
	size_t len = c->iov[0].iov_len;
	uint8_t n;

	if (!c->task.niov)
		return;
	if (c->task.cdb[0] == 0x83)
		copy_list(in, list, len);
	else if (c->task.cdb[0] == 0x42)
		unmap_list(in, list, len);
	else if (c->task.cdb[0] == 0x15 || c->task.cdb[0] == 0x55)
		mode_list(in, list, len, c->task.cdb[0] == 0x15 ? 4 : 8);
	for (n = take8(in) % 8; n; n--) {
		uint8_t at = take8(in), value = take8(in);

		if (at < len)
			list[at] = value;
	}
}

static void submit(struct input *in)
{
	struct cmd *c = &cmd[take8(in) % SLOTS];
	uint8_t what = take8(in);
	struct scsi_lun *to = lun[what % LUNS];
	size_t len;

	if (c->flying)
		return;
	free_data(c);
	/* What the ring's last user left there must not matter. */
	memset(&c->task, 0xa5, sizeof(c->task));
	c->task.lun = to;
	choose_cdb(in, c->task.cdb);
	c->task.cdb_len = what & 0x80 ? take8(in) % (SCSI_MAX_CDB + 1) : SCSI_MAX_CDB;
	len = choose_length(in, c->task.cdb, what % LUNS == 1 ? 4096 : 512);
	give_data(c, len, len ? 1 + (what >> 3 & 7) * (what >> 3 & 7) % MIN(IOVS, len) : 0);
	fill_data(in, c);
	if (what & 0x40)
		shape_list(in, c);
	c->task.done = done;
	c->done = 0;
	c->aborted = false;
	c->flying = true;
	scsi_submit(&c->task);
}

/* One of those that are under way, if any. */
static void abort_one(struct input *in)
{
	unsigned skip = take8(in) % SLOTS;

	for (unsigned i = 0; i < 2 * SLOTS; i++) {
		struct cmd *c = &cmd[i % SLOTS];

		if (!c->flying || skip--)
			continue;
		c->aborted = true;
		scsi_task_abort(&c->task);
		return;
	}
}

/* --- disturbances --- */

static void fault(struct input *in)
{
	f->fault.count = take8(in) % 4;
	f->fault.skip = take8(in) % 4;
	f->fault.kind = (enum hba_req_kind)(take8(in) % 3);
	f->fault.result = (enum hba_result)(take8(in) % (HBA_GONE + 1));
	f->fault.status = take8(in);
	f->fault.sense_len = take8(in) % (HBA_SENSE_SIZE + 1);
	take(in, f->fault.sense, 20);
}

/* Aborted requests may come back as such, without having been done. */
static void complete(struct input *in)
{
	uint8_t what = take8(in);
	unsigned i = f->n_flight ? (what & 0x7f) % f->n_flight : 0;

	if (!f->n_flight)
		return;
	if (what & 0x80)
		fake_end(f, i, (enum hba_result)(HBA_TIMEOUT + what % 2), 0, NULL, 0);
	else
		fake_complete(f, i);
}

static bool any_flying(void)
{
	for (unsigned i = 0; i < SLOTS; i++)
		if (cmd[i].flying)
			return true;
	return false;
}

static void drain(void)
{
	f->state = HBA_RUNNING;
	f->refuse = 0;
	f->refuse_eagain = 0;
	f->slots = pristine->slots;
	fake_ready(f);
	for (unsigned left = DRAIN; f->n_flight && left; left--)
		fake_complete(f, 0);
	for (unsigned i = 0; i < SLOTS; i++)
		if (cmd[i].flying)
			scsi_task_abort(&cmd[i].task);
	while (f->n_flight)
		fake_complete(f, 0);
	fake_loop_run();
	ck_assert(!any_flying());
}

static void replace_lun(unsigned i)
{
	for (unsigned k = 0; k < SLOTS; k++)
		if (cmd[k].flying && cmd[k].task.lun == lun[i])
			return;
	scsi_lun_destroy(lun[i]);
	open_lun_again(i);
}

/* Never beyond what the unit has: the caller's duty. */
static void resize(unsigned i, uint8_t value)
{
	uint64_t blocks = f->disk[i].blocks;
	struct err e = {""};

	ck_assert_int_eq(scsi_lun_resize(lun[i], value & 0x10 ? blocks : blocks / 2 + value % 16, &e), 0);
}

static void come_and_go(struct input *in)
{
	scsi_host_detach(host, (enum scsi_gate)(1 + take8(in) % 3));
	drain();
	f->fault.count = 0;
	f->hba.fua_native = take8(in) & 1;
	attach();
}

static void disturb(struct input *in)
{
	uint8_t what = take8(in), value = take8(in);
	struct fake_disk *d = &f->disk[value % LUNS];

	switch (what % 12) {
	case 0:
		f->refuse_eagain = value % 8;
		break;
	case 1:
		f->state = f->state == HBA_RUNNING ? HBA_RESETTING : HBA_RUNNING;
		break;
	case 2:
		f->state = value & 1 ? HBA_FAILED : HBA_REMOVED;
		break;
	case 3:
		d->bad_lba = value / LUNS;
		break;
	case 4:
		d->verify = value & 0x10;
		d->mode_sense = value & 0x20;
		break;
	case 5:
		f->short_moved = value % 2;
		f->tells_moved = value & 0x04;
		f->cdb_moved = value & 0x08 ? UINT32_MAX : value >> 4;
		break;
	case 6:
		d->attentions = value / LUNS % 4;
		break;
	case 7:
		come_and_go(in);
		break;
	case 8:
		replace_lun(value % LUNS);
		break;
	case 9:
		scsi_lun_retire(lun[value % LUNS]);
		break;
	case 10:
		resize(value % LUNS, value);
		break;
	case 11:
		scsi_lun_serve(lun[value % LUNS]);
		break;
	default:
		break;
	}
	fake_ready(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};

	setup();
	for (unsigned i = 0; in.n && i < STEPS; i++) {
		uint8_t op = take8(&in);

		if (op < 128)
			submit(&in);
		else if (op < 200)
			complete(&in);
		else if (op < 220)
			abort_one(&in);
		else if (op < 236)
			fault(&in);
		else
			disturb(&in);
		f->n_log = 0;
	}
	drain();
	for (unsigned i = 0; i < SLOTS; i++)
		free_data(&cmd[i]);
	for (unsigned i = 0; i < LUNS; i++) {
		ck_assert_uint_eq(scsi_lun_busy(lun[i]), 0);
		scsi_lun_destroy(lun[i]);
	}
	scsi_host_detach(host, SCSI_GATE_GONE);
	fake_loop_run();
	scsi_host_destroy(host);
	for (unsigned i = 0; i < FAKE_MAX_SLOTS; i++)
		ck_assert_msg(!f->used[i], "request slot %u was not given back", i);
	return 0;
}
