/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit attentions are for initiators: EXTENDED COPY's own reads and writes neither hear of those that the LUNs have for
 * them, nor keep to themselves what the units say; and they outlive the LUN. */
#include <errno.h>
#include <string.h>
#include "copy_rig.h"
#include "scsi/host.h"

static const uint8_t reset[18] = {0x70, 0, 0x06, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x29, 0x00};
static const uint8_t mode_changed[18] = {0x70, 0, 0x06, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x2a, 0x01};

static void resize(struct scsi_lun *lun)
{
	struct err e = {""};

	lun->cfg.block_size = 512; /* as a backstore says it */
	ck_assert_int_eq(scsi_lun_resize(lun, BLOCKS, &e), 0);
}

static void tur(struct tst *t, struct scsi_lun *lun)
{
	struct fx at = x;

	at.lun = lun;
	tst_do(t, &at, "\0\0\0\0\0\0", 6, 0);
}

static void assert_hears(struct scsi_lun *lun, uint8_t asc, uint8_t ascq)
{
	struct tst t;

	tur(&t, lun);
	assert_check(&t, 0x06, asc, ascq);
	tst_fini(&t);
}

static void assert_hears_nothing(struct scsi_lun *lun)
{
	struct tst t;

	tur(&t, lun);
	assert_good(&t);
	tst_fini(&t);
}

static void between(struct list_bytes *l, struct scsi_lun *src, struct scsi_lun *dst, uint16_t blocks)
{
	memset(l, 0, sizeof(*l));
	add_cscd(l, src, 512);
	add_cscd(l, dst, 512);
	add_segment(l, 0, 1, blocks, 10, 20);
}

static void begin(struct tst *t, struct list_bytes *l)
{
	xcopy_init(t, l, finish_list(l));
	tst_submit(t);
}

static void end(struct tst *t)
{
	fake_run(x.fake, 0);
	assert_good(t);
	tst_fini(t);
}

/* --- of the LUNs --- */

START_TEST(a_new_size_of_its_source_or_destination_stays_to_be_told)
{
	struct list_bytes l;
	struct tst t;

	if (_i)
		between(&l, x.lun, other[1], 2000);
	else
		between(&l, other[1], x.lun, 2000);
	finish_list(&l);
	resize(other[1]);
	xcopy(&t, &l);
	assert_good(&t);
	ck_assert(holds(_i, 20, 10, 2000));
	tst_fini(&t);
	assert_hears_nothing(x.lun);
	assert_hears(other[1], 0x2a, 0x09);
	assert_hears_nothing(other[1]);
}
END_TEST

/* After any number of its requests; then all of its LUNs are of another size. */
START_TEST(so_does_one_that_comes_while_it_runs)
{
	struct list_bytes l;
	struct tst t;

	between(&l, x.lun, other[1], 2000);
	begin(&t, &l);
	for (int i = 0; i < _i; i++)
		fake_complete(x.fake, 0);
	resize(x.lun);
	resize(other[1]);
	end(&t);
	ck_assert(holds(1, 20, 10, 2000));
	assert_hears(x.lun, 0x2a, 0x09);
	assert_hears(other[1], 0x2a, 0x09);
	assert_hears_nothing(x.lun);
	assert_hears_nothing(other[1]);
}
END_TEST

/* The command is an initiator's, and its LUN has something to tell: it is not begun. */
START_TEST(the_command_itself_hears_what_its_own_lun_has_to_tell)
{
	struct list_bytes l;
	struct tst t;

	between(&l, x.lun, other[1], 8);
	finish_list(&l);
	resize(x.lun);
	xcopy(&t, &l);
	assert_check(&t, 0x06, 0x2a, 0x09);
	tst_fini(&t);
	ck_assert_uint_eq(x.fake->n_log, 0);
	begin(&t, &l);
	end(&t);
	assert_hears_nothing(x.lun);
}
END_TEST

START_TEST(initiators_are_told_while_a_copy_runs)
{
	struct list_bytes l;
	struct tst t, r;
	uint8_t cdb[16];

	between(&l, x.lun, other[1], 2000);
	begin(&t, &l);
	resize(other[1]);
	fake_complete(x.fake, 0);
	cdb16(cdb, 0x88, 0, 0, 1);
	tst_init(&r, other[1], cdb, 16, 512, 1);
	tst_submit(&r);
	assert_check(&r, 0x06, 0x2a, 0x09);
	tst_fini(&r);
	end(&t);
	assert_hears_nothing(other[1]);
}
END_TEST

/* --- of the units --- */

START_TEST(what_the_disk_says_to_a_copy_is_passed_over_and_told_to_initiators)
{
	struct list_bytes l;
	struct tst t;

	in_lun(&l, 8, 0, 4000);
	begin(&t, &l);
	for (unsigned i = 0; i < 3; i++)
		fake_end(x.fake, 0, HBA_DONE, SCSI_CHECK_CONDITION, reset, 18);
	end(&t);
	ck_assert(holds(0, 4000, 0, 8));
	assert_hears(x.lun, 0x29, 0x00);
	assert_hears_nothing(x.lun); /* once */
	/* but not for ever */
	begin(&t, &l);
	for (unsigned i = 0; i < 4; i++)
		fake_end(x.fake, 0, HBA_DONE, SCSI_CHECK_CONDITION, reset, 18);
	assert_check(&t, 0x0a, 0x0d, 0x01);
	tst_fini(&t);
	assert_hears(x.lun, 0x29, 0x00);
	assert_hears_nothing(x.lun);
}
END_TEST

/* H22: the first who comes hears it. */
START_TEST(what_is_said_to_an_initiator_is_told_once)
{
	uint8_t cdb[16];
	struct tst t;

	cdb16(cdb, 0x88, 0, 0, 1);
	tst_init(&t, x.lun, cdb, 16, 512, 1);
	tst_submit(&t);
	fake_end(x.fake, 0, HBA_DONE, SCSI_CHECK_CONDITION, reset, 18);
	assert_check(&t, 0x06, 0x29, 0x00);
	tst_fini(&t);
	assert_hears_nothing(x.lun);
}
END_TEST

/* Of the source to a read, or of the destination to a write; the LUN itself has something to tell, too. */
START_TEST(each_thing_is_told_in_turn_by_the_lun_of_the_disk_that_said_it)
{
	struct scsi_lun *src = _i ? x.lun : other[1], *dst = _i ? other[1] : x.lun;
	struct list_bytes l;
	struct tst t;

	between(&l, src, dst, 8);
	begin(&t, &l);
	if (_i)
		fake_complete(x.fake, 0);
	ck_assert_uint_eq(x.fake->log[x.fake->n_log - 1].unit, 1);
	fake_end(x.fake, 0, HBA_DONE, SCSI_CHECK_CONDITION, reset, 18);
	resize(other[1]);
	fake_end(x.fake, 0, HBA_DONE, SCSI_CHECK_CONDITION, mode_changed, 18);
	end(&t);
	assert_hears_nothing(x.lun);
	assert_hears(other[1], 0x29, 0x00);
	assert_hears(other[1], 0x2a, 0x09);
	assert_hears(other[1], 0x2a, 0x01);
	assert_hears_nothing(other[1]);
}
END_TEST

/* More than are kept: the newest is, and some are told before it. */
START_TEST(of_very_many_things_the_newest_is_told)
{
	uint8_t sense[18];
	struct list_bytes l;
	struct tst t;
	unsigned n = 0;

	memcpy(sense, mode_changed, sizeof(sense));
	between(&l, other[1], x.lun, 8);
	for (unsigned copy = 0; copy < 4; copy++) {
		begin(&t, &l);
		for (unsigned i = 0; i < 3; i++) {
			sense[13]++;
			fake_end(x.fake, 0, HBA_DONE, SCSI_CHECK_CONDITION, sense, 18);
		}
		end(&t);
	}
	resize(other[1]);
	do {
		tur(&t, other[1]);
		ck_assert_uint_eq(t.task.sense[2], 0x06);
		ck_assert_uint_lt(++n, 14);
		tst_fini(&t);
	} while (t.task.sense[13] != 0x09 || n == 1);
	ck_assert_uint_gt(n, 1);
	assert_hears_nothing(other[1]);
}
END_TEST

/* A piece in several requests, of which another one has failed: its sense is that of the failure. */
START_TEST(what_is_said_beside_a_failure_is_told)
{
	struct list_bytes l;
	struct tst t;

	teardown();
	setup();
	x.fake->hba.limits.max_transfer = 32768;
	scsi_lun_destroy(x.lun);
	x.lun = fx_lun(&x, "ld0");
	in_lun(&l, 128, 0, 4000);
	begin(&t, &l);
	ck_assert_uint_eq(x.fake->n_flight, 2);
	fake_end(x.fake, 1, HBA_DONE, SCSI_CHECK_CONDITION, reset, 18);
	fake_end(x.fake, 0, HBA_DONE, SCSI_CHECK_CONDITION, fake_sense_medium, 18);
	assert_check(&t, 0x0a, 0x0d, 0x01);
	tst_fini(&t);
	assert_hears(x.lun, 0x29, 0x00);
	assert_hears_nothing(x.lun);
}
END_TEST

START_TEST(what_is_said_to_a_copy_that_was_aborted_is_told)
{
	struct list_bytes l;
	struct tst t;

	in_lun(&l, 8, 0, 4000);
	begin(&t, &l);
	scsi_task_abort(&t.task);
	fake_end(x.fake, 0, HBA_DONE, SCSI_CHECK_CONDITION, reset, 18);
	ck_assert_uint_eq(t.task.status, SCSI_TASK_ABORTED);
	tst_fini(&t);
	assert_hears(x.lun, 0x29, 0x00);
}
END_TEST

/* A copy whose reads have waited for the controller's return is still nobody's but the copy's. */
START_TEST(a_copy_that_was_held_hears_nothing_either)
{
	struct list_bytes l;
	struct err e = {""};
	struct tst t;

	for (unsigned i = 1; i < UNITS; i++)
		scsi_lun_destroy(other[i]);
	open_all(";allow=copy;hold=30");
	between(&l, other[1], other[3], 8);
	begin(&t, &l);
	x.fake->state = HBA_REMOVED;
	fake_end(x.fake, 0, HBA_GONE, 0, NULL, 0);
	scsi_host_detach(x.host, SCSI_GATE_GONE);
	ck_assert_int_eq(scsi_lun_gate(other[1]), SCSI_GATE_HELD);
	ck_assert_uint_eq(t.done, 0);
	resize(other[1]);
	x.fake->state = HBA_RUNNING;
	ck_assert_int_eq(scsi_host_attach(x.host, &x.fake->hba, &e), 0);
	scsi_host_trim(x.host);
	ck_assert_uint_eq(x.fake->n_flight, 1); /* its read */
	fake_end(x.fake, 0, HBA_DONE, SCSI_CHECK_CONDITION, reset, 18);
	end(&t);
	ck_assert(holds(3, 20, 10, 8));
	assert_hears(other[1], 0x2a, 0x09);
	assert_hears(other[1], 0x29, 0x00);
	assert_hears_nothing(other[1]);
	assert_hears_nothing(other[3]);
}
END_TEST

/* ... and the LUN is made anew before that. */
START_TEST(what_is_said_when_the_lun_has_left_is_told_by_the_next_one_of_the_unit)
{
	struct list_bytes l;
	struct tst t;

	between(&l, other[1], x.lun, 8);
	begin(&t, &l);
	scsi_lun_destroy(other[1]);
	other[1] = fx_lun(&x, "ld1");
	fake_end(x.fake, 0, HBA_DONE, SCSI_CHECK_CONDITION, reset, 18);
	assert_check(&t, 0x0a, 0x0d, 0x02);
	tst_fini(&t);
	assert_hears(other[1], 0x29, 0x00);
	assert_hears_nothing(other[1]);
	assert_hears_nothing(x.lun);
}
END_TEST

/* --- of a LUN that has left --- */

static void write_one_block(struct scsi_lun *lun)
{
	struct tst t;

	tst_init(&t, lun, "\x2a\0\0\0\0\0\0\0\1\0", 10, 512, 1);
	tst_fill(&t, 1);
	tst_submit(&t);
	fake_run(x.fake, 0);
	assert_good(&t);
	tst_fini(&t);
}

/* tcmu-runner is restarted, and initiators do not notice. 1: there is another LUN of the unit already; 2: writes without
 * a flush are left, too; 3: twice, before anybody has asked */
START_TEST(what_nobody_has_heard_is_told_by_the_next_lun_of_the_unit)
{
	struct scsi_lun *next = _i == 1 ? fx_lun(&x, "ld1") : NULL;

	if (_i == 2)
		write_one_block(other[1]);
	resize(other[1]);
	for (int n = 0; n < (_i == 3 ? 2 : 1); n++) {
		scsi_lun_destroy(other[1]);
		other[1] = next ? next : fx_lun(&x, "ld1");
	}
	assert_hears_nothing(x.lun);
	assert_hears(other[1], 0x2a, 0x09);
	assert_hears_nothing(other[1]);
	scsi_lun_destroy(other[1]);
	other[1] = fx_lun(&x, "ld1");
	assert_hears_nothing(other[1]);
}
END_TEST

/* From one hbad to the next, which nobody notices either. */
static bool pulled_late; /* the second unit, when its LUN has gone */

static void next_hbad(bool flushed, unsigned expected)
{
	static struct scsi_untold left[HBA_MAX_UNITS];
	struct err e = {""};
	unsigned n;

	scsi_lun_destroy(x.lun);
	for (unsigned i = 1; i < UNITS; i++)
		scsi_lun_destroy(other[i]);
	scsi_host_detach(x.host, SCSI_GATE_BECOMING_READY);
	fake_loop_run();
	/* Of the first one nothing was written. */
	x.fake->hba.unit[0].unflushed = true;
	x.fake->hba.unit[1].unflushed = !flushed;
	x.fake->hba.unit[1].outages += pulled_late;
	n = scsi_host_leave(x.host, &x.fake->hba, left);
	ck_assert_uint_eq(n, expected);
	scsi_host_destroy(x.host);
	ck_assert_int_eq(scsi_host_create((struct loop *)0x1000, &x.host), 0);
	for (unsigned i = 0; i < n; i++)
		ck_assert_int_eq(scsi_host_inherit(x.host, &left[i]), 0);
	ck_assert_msg(scsi_host_attach(x.host, &x.fake->hba, &e) == 0, "%s", e.text);
	x.lun = fx_lun(&x, "ld0");
	open_all("");
}

/* H22: what nobody has heard outlives hbad. */
START_TEST(what_nobody_has_heard_is_told_by_the_next_hbad)
{
	resize(other[1]);
	lun_attention(other[1], (enum scsi_sense)0x062a01);
	next_hbad(true, 1);
	assert_hears_nothing(x.lun);
	assert_hears(other[1], 0x2a, 0x09);
	assert_hears(other[1], 0x2a, 0x01);
	assert_hears_nothing(other[1]);
	next_hbad(true, 0);
	assert_hears_nothing(other[1]);
}
END_TEST

static void assert_flush(uint8_t key)
{
	struct fx at = x;
	struct tst t;

	at.lun = other[1];
	tst_do(&t, &at, "\x35\0\0\0\0\0\0\0\0\0", 10, 0);
	if (key)
		assert_check(&t, key, 0x0c, 0x00);
	else
		assert_good(&t);
	tst_fini(&t);
}

static void show_units(unsigned n)
{
	struct err e = {""};

	x.fake->hba.n_units = n;
	ck_assert_msg(scsi_host_attach(x.host, &x.fake->hba, &e) == 0, "%s", e.text);
	scsi_host_trim(x.host);
}

/* 0: flushed in between; 1: it was not; 2: nor was it, but there is a battery; 3: it had been lost before; 4: the unit was
 * away when the others were flushed; 5: the drive was out, and back before anybody looked;
 * 6: it was out when its LUN had gone, before it was flushed */
START_TEST(writes_that_may_be_lost_are_told_by_the_next_hbad)
{
	bool lost = _i == 1 || _i >= 3;
	unsigned n = x.fake->hba.n_units;

	x.fake->hba.unit[1].write_back = true;
	x.fake->hba.unit[1].cache_protected = _i == 2;
	x.fake->hba.unit[1].disk_cache = _i >= 5;
	pulled_late = _i == 6;
	write_one_block(other[1]);
	if (_i == 3)
		other[1]->lost = true;
	if (_i == 4)
		show_units(1);
	if (_i == 5)
		x.fake->hba.unit[1].outages++;
	x.fake->hba.n_units = n; /* as the next one finds it */
	next_hbad(_i != 1 && _i != 2, lost);
	pulled_late = false;
	assert_flush(lost ? 0x04 : 0);
	assert_flush(0);
	next_hbad(true, 0);
	assert_flush(0);
}
END_TEST

START_TEST(what_makes_no_sense_is_not_inherited)
{
	struct scsi_untold bad[] = {
		{.naa = "", .lost = true},
		{.naa = "naa.1", .attention = {0x052400}},
		{.naa = "naa.1", .attention = {0x062900, 0x1062900}},
		{.lost = true},
	};

	memset(bad[3].naa, 'n', sizeof(bad[3].naa));
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_int_eq(scsi_host_inherit(x.host, &bad[i]), -EINVAL);
	ck_assert_str_eq(x.host->debt[ARRAY_SIZE(x.host->debt) - 1].naa, "");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scsi attention");
	TCase *c = tcase_create("attention");

	tcase_add_checked_fixture(c, setup_allowed, teardown);
	tcase_add_loop_test(c, a_new_size_of_its_source_or_destination_stays_to_be_told, 0, 2);
	tcase_add_loop_test(c, so_does_one_that_comes_while_it_runs, 0, 16);
	tcase_add_test(c, the_command_itself_hears_what_its_own_lun_has_to_tell);
	tcase_add_test(c, initiators_are_told_while_a_copy_runs);
	tcase_add_test(c, what_the_disk_says_to_a_copy_is_passed_over_and_told_to_initiators);
	tcase_add_test(c, what_is_said_to_an_initiator_is_told_once);
	tcase_add_loop_test(c, each_thing_is_told_in_turn_by_the_lun_of_the_disk_that_said_it, 0, 2);
	tcase_add_test(c, of_very_many_things_the_newest_is_told);
	tcase_add_test(c, what_is_said_to_a_copy_that_was_aborted_is_told);
	tcase_add_test(c, a_copy_that_was_held_hears_nothing_either);
	tcase_add_test(c, what_is_said_when_the_lun_has_left_is_told_by_the_next_one_of_the_unit);
	tcase_add_test(c, what_nobody_has_heard_is_told_by_the_next_hbad);
	tcase_add_loop_test(c, writes_that_may_be_lost_are_told_by_the_next_hbad, 0, 7);
	tcase_add_test(c, what_makes_no_sense_is_not_inherited);
	tcase_add_test(c, what_is_said_beside_a_failure_is_told);
	tcase_add_loop_test(c, what_nobody_has_heard_is_told_by_the_next_lun_of_the_unit, 0, 4);
	suite_add_tcase(s, c);
	return run_suite(s);
}
