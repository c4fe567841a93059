/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fixture of the SCSI tests. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/endian.h"
#include "base/log.h"

#define GUARD 64

struct scsi_lun *fx_lun(struct fx *x, const char *text)
{
	struct scsi_lun_config cfg;
	struct err e = {""};
	struct scsi_lun *lun = NULL;

	ck_assert_msg(scsi_lun_parse(text, &cfg, &e) == 0, "%s", e.text);
	ck_assert_int_eq(scsi_lun_create(x->host, &cfg, &lun), 0);
	scsi_lun_serve(lun);
	return lun;
}

void fx_host_attach(struct fx *x)
{
	struct err e = {""};

	ck_assert_msg(scsi_host_attach(x->host, &x->fake->hba, &e) == 0, "%s", e.text);
}

void fx_attach(struct fx *x, struct fake *fake)
{
	memset(x, 0, sizeof(*x));
	x->fake = fake;
	x->disk = &fake->disk[0];
	ck_assert_int_eq(scsi_host_create((struct loop *)0x1000, &x->host), 0);
	fx_host_attach(x);
	memset(x->disk->cdbs, 0, sizeof(x->disk->cdbs));
	x->lun = fx_lun(x, "ld0");
	ck_assert_int_eq(scsi_lun_gate(x->lun), SCSI_GATE_OPEN);
}

void fx_setup(struct fx *x, uint64_t blocks)
{
	fx_attach(x, fake_new(1, blocks, 512));
}

void fx_teardown(struct fx *x)
{
	ck_assert_uint_eq(x->fake->n_flight, 0);
	ck_assert_uint_eq(scsi_lun_busy(x->lun), 0);
	scsi_lun_destroy(x->lun);
	scsi_host_detach(x->host, SCSI_GATE_GONE);
	fake_loop_run();
	scsi_host_destroy(x->host);
	fake_free(x->fake);
}

static void tst_done(struct scsi_task *task)
{
	struct tst *t = container_of(task, struct tst, task);

	ck_assert_uint_eq(t->done, 0);
	ck_assert_uint_le(task->in_bytes, task->iov_bytes);
	ck_assert(task->status != SCSI_CHECK_CONDITION || task->sense_len > 0);
	t->done++;
}

void tst_init(
	struct tst *t, struct scsi_lun *lun, const void *cdb, size_t cdb_len, size_t len, unsigned pieces)
{
	memset(t, 0, offsetof(struct tst, iov));
	/* What the ring's last user left there must not matter. */
	memset(&t->task, 0xa5, sizeof(t->task));
	t->buf = malloc(len + GUARD);
	memset(t->buf, POISON, len + GUARD);
	t->len = len;
	for (unsigned i = 0; i < pieces; i++) {
		size_t from = len * i / pieces, to = len * (i + 1) / pieces;

		t->iov[i] = (struct iovec){t->buf + from, to - from};
	}
	t->niov = pieces;
	t->task.lun = lun;
	memset(t->task.cdb, 0, sizeof(t->task.cdb));
	memcpy(t->task.cdb, cdb, cdb_len);
	t->task.cdb_len = (uint8_t)cdb_len;
	t->task.iov = t->iov;
	t->task.niov = pieces;
	t->task.iov_bytes = len;
	t->task.done = tst_done;
}

void tst_fill(struct tst *t, uint8_t seed)
{
	for (size_t i = 0; i < t->len; i++)
		t->buf[i] = (uint8_t)(seed + i * 13 + i / 512);
	t->filled = true;
}

void tst_fini(struct tst *t)
{
	size_t clean =
		t->task.dir == DMA_FROM_DEVICE && t->task.status == SCSI_GOOD ? t->task.in_bytes : t->len;

	if (t->filled)
		clean = t->len;
	for (size_t i = clean; i < t->len + GUARD; i++)
		ck_assert_msg(t->buf[i] == POISON, "byte %zu of %zu was written to", i, t->len);
	free(t->buf);
	t->buf = NULL;
}

void tst_submit(struct tst *t)
{
	scsi_submit(&t->task);
}

void tst_do(struct tst *t, struct fx *x, const void *cdb, size_t cdb_len, size_t len)
{
	tst_init(t, x->lun, cdb, cdb_len, len, len ? 1 : 0);
	tst_submit(t);
	fake_run(x->fake, 0);
	ck_assert_uint_eq(t->done, 1);
}

void cdb16(uint8_t cdb[16], uint8_t opcode, uint8_t byte1, uint64_t lba, uint32_t n)
{
	memset(cdb, 0, 16);
	cdb[0] = opcode;
	cdb[1] = byte1;
	put_be64(cdb + 2, lba);
	put_be32(cdb + 10, n);
}

void cdb10(uint8_t cdb[10], uint8_t opcode, uint8_t byte1, uint32_t lba, uint16_t n)
{
	memset(cdb, 0, 10);
	cdb[0] = opcode;
	cdb[1] = byte1;
	put_be32(cdb + 2, lba);
	put_be16(cdb + 7, n);
}

bool is_pattern(const uint8_t *buf, uint64_t lba, uint64_t bytes, uint32_t block_size)
{
	uint8_t block[4096];

	for (; bytes; lba++) {
		uint64_t n = MIN(bytes, block_size);

		fake_pattern(lba, block, block_size);
		if (memcmp(buf, block, n) != 0)
			return false;
		buf += n;
		bytes -= n;
	}
	return true;
}

const char *fx_logged(void (*run)(struct fx *), struct fx *fx)
{
	static char text[8192];
	FILE *to = tmpfile();
	int keep = dup(2);
	size_t n;

	ck_assert_ptr_nonnull(to);
	log_set_level(LOG_LV_INFO);
	dup2(fileno(to), 2);
	run(fx);
	dup2(keep, 2);
	close(keep);
	log_set_level(LOG_LV_ERR);
	rewind(to);
	n = fread(text, 1, sizeof(text) - 1, to);
	text[n] = '\0';
	fclose(to);
	return text;
}

unsigned fx_lines(const char *text)
{
	unsigned n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

int run_suite(Suite *s)
{
	SRunner *r = srunner_create(s);
	int failed;

	log_set_level(LOG_LV_ERR);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
