/* SPDX-License-Identifier: GPL-2.0-or-later */
/* LUNs while their controller comes and goes, and tasks that are aborted. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/endian.h"
#include "fixture.h"
#include "scsi/host.h"

#define BLOCKS 16384

static struct fx x;

static void setup(void)
{
	fake_loop_defer = false;
	fx_setup(&x, BLOCKS);
}
static void teardown(void)
{
	fx_teardown(&x);
}

static void attach(struct fx *fx)
{
	struct err e = {""};

	ck_assert_msg(scsi_host_attach(fx->host, &fx->fake->hba, &e) == 0, "%s", e.text);
}

static void read_init(struct tst *t, uint32_t lba, uint16_t n)
{
	uint8_t cdb[10];

	cdb10(cdb, 0x28, 0, lba, n);
	tst_init(t, x.lun, cdb, 10, n * 512U, 1);
}

/* --- closed gates --- */

static const struct {
	enum scsi_gate gate;
	uint8_t key, asc, ascq;
} gates[] = {
	{SCSI_GATE_BECOMING_READY, 0x02, 0x04, 0x01},
	{SCSI_GATE_NO_UNIT, 0x05, 0x25, 0x00},
	{SCSI_GATE_GONE, 0x02, 0x04, 0x03},
};

/* H13: 04/01 until it is there. */
START_TEST(a_closed_gate_answers_with_its_condition)
{
	static const char *const cdbs[] = {"\0\0\0\0\0\0\0\0\0\0", "\x28\0\0\0\0\0\0\0\x01\0",
		"\x2a\0\0\0\0\0\0\0\x01\0", "\x35\0\0\0\0\0\0\0\0\0", "\x25\0\0\0\0\0\0\0\0\0",
		"\x1a\0\x3f\0\xff\0\0\0\0\0", "\xc1\0\0\0\0\0\0\0\0\0"};
	uint8_t want[8] = {0x72, gates[_i].key, gates[_i].asc, gates[_i].ascq};
	struct tst t;

	scsi_host_detach(x.host, gates[_i].gate);
	ck_assert_int_eq(scsi_lun_gate(x.lun), gates[_i].gate);
	for (unsigned i = 0; i < ARRAY_SIZE(cdbs); i++) {
		tst_do(&t, &x, cdbs[i], 10, 512);
		assert_check(&t, gates[_i].key, gates[_i].asc, gates[_i].ascq);
		tst_fini(&t);
	}
	tst_do(&t, &x, "\x03\x01\0\0\xff\0", 6, 255);
	assert_good(&t);
	ck_assert_mem_eq(t.buf, want, 8);
	tst_fini(&t);
	tst_do(&t, &x, "\xa3\x0c\0\0\0\0\0\0\x10\0\0\0", 12, 4096);
	assert_good(&t);
	tst_fini(&t);
	ck_assert_uint_eq(x.fake->n_log, 0);
}
END_TEST

START_TEST(inquiry_keeps_the_identity_while_the_controller_is_away)
{
	struct tst t;

	scsi_host_detach(x.host, _i ? SCSI_GATE_GONE : SCSI_GATE_BECOMING_READY);
	tst_do(&t, &x, "\x12\0\0\0\x24\0", 6, 36);
	assert_good(&t);
	ck_assert_mem_eq(t.buf + 8, "LSI     MR9260-8i       2.13", 28);
	tst_fini(&t);
	tst_do(&t, &x, "\x12\x01\x83\0\xff\0", 6, 255);
	assert_good(&t);
	tst_fini(&t);
}
END_TEST

START_TEST(a_unit_that_is_not_there_says_so_in_inquiry)
{
	struct tst t;

	scsi_host_detach(x.host, SCSI_GATE_NO_UNIT);
	tst_do(&t, &x, "\x12\0\0\0\xff\0", 6, 255);
	assert_good(&t);
	ck_assert_uint_eq(t.task.in_bytes, 36);
	ck_assert_uint_eq(t.buf[0], 0x7f);
	tst_fini(&t);
	tst_do(&t, &x, "\x12\x01\x83\0\xff\0", 6, 255);
	assert_check(&t, 0x05, 0x25, 0x00);
	tst_fini(&t);
}
END_TEST

/* An answer without identity would stick with the initiator. */
START_TEST(nobody_is_told_an_identity_that_is_not_known_yet)
{
	struct fx early = {.fake = fake_new(1, BLOCKS, 512)};
	struct tst t;

	ck_assert_int_eq(scsi_host_create((struct loop *)1, &early.host), 0);
	early.lun = fx_lun(&early, "ld0");
	ck_assert_int_eq(scsi_lun_gate(early.lun), SCSI_GATE_BECOMING_READY);
	tst_do(&t, &early, "\x12\0\0\0\xff\0", 6, 255);
	ck_assert_uint_eq(t.task.status, SCSI_BUSY);
	tst_fini(&t);
	tst_do(&t, &early, "\0\0\0\0\0\0", 6, 0);
	assert_check(&t, 0x02, 0x04, 0x01);
	tst_fini(&t);
	attach(&early);
	ck_assert_int_eq(scsi_lun_gate(early.lun), SCSI_GATE_OPEN);
	tst_do(&t, &early, "\x28\0\0\0\0\x01\0\0\x01\0", 10, 512);
	assert_good(&t);
	tst_fini(&t);
	scsi_host_detach(early.host, SCSI_GATE_GONE);
	tst_do(&t, &early, "\x12\0\0\0\xff\0", 6, 255);
	assert_good(&t);
	tst_fini(&t);
	fx_teardown(&early);
}
END_TEST

START_TEST(a_controller_that_never_came_fails_inquiry)
{
	struct fx never = {.fake = fake_new(1, BLOCKS, 512)};
	struct tst t;

	ck_assert_int_eq(scsi_host_create((struct loop *)1, &never.host), 0);
	scsi_host_detach(never.host, SCSI_GATE_GONE);
	never.lun = fx_lun(&never, "ld0");
	tst_do(&t, &never, "\x12\0\0\0\xff\0", 6, 255);
	assert_check(&t, 0x02, 0x04, 0x03);
	tst_fini(&t);
	fx_teardown(&never);
}
END_TEST

/* --- lanes --- */

/* Three lanes, two units. */
static void lanes_setup(struct fx *fx)
{
	*fx = (struct fx){.fake = fake_new(2, BLOCKS, 512)};
	fx->fake->hba.n_lanes = 3;
	ck_assert_int_eq(scsi_host_create((struct loop *)1, &fx->host), 0);
}

static void lanes_teardown(struct fx *fx)
{
	scsi_host_detach(fx->host, SCSI_GATE_GONE);
	scsi_host_destroy(fx->host);
	fake_free(fx->fake);
}

static struct scsi_lun *lun_for(struct fx *fx, unsigned lane, const char *naa, const char *text)
{
	struct scsi_lun_config cfg;
	struct scsi_lun *lun = NULL;

	ck_assert_int_eq(scsi_lun_parse(text, &cfg, NULL), 0);
	ck_assert_int_eq(scsi_lun_create_on(fx->host, lane, naa, &cfg, &lun), 0);
	scsi_lun_serve(lun);
	return lun;
}

static struct scsi_lun *lun_on(struct fx *fx, unsigned lane, const char *text)
{
	return lun_for(fx, lane, NULL, text);
}

static void settle(struct scsi_lun *lun, unsigned lane)
{
	scsi_lun_leave(lun);
	scsi_lun_settle(lun, lane, NULL);
	ck_assert_uint_lt(scsi_lun_lane(lun), 3);
}

static void read_from(struct fx *fx, struct scsi_lun *lun, unsigned lane)
{
	struct tst t;

	fx->lun = lun;
	tst_do(&t, fx, "\x28\0\0\0\0\x01\0\0\x01\0", 10, 512);
	assert_good(&t);
	ck_assert_uint_eq(fx->fake->last_lane, lane);
	tst_fini(&t);
}

START_TEST(luns_have_their_requests_from_their_lane)
{
	struct scsi_lun_config cfg = {.unit = "ld0"};
	struct scsi_lun *first, *third;
	struct fx y;

	lanes_setup(&y);
	ck_assert_int_eq(scsi_lun_create_on(y.host, 1, NULL, &cfg, &first), -ERANGE);
	attach(&y);
	ck_assert_uint_eq(scsi_host_lanes(y.host), 3);
	ck_assert_int_eq(scsi_lun_create_on(y.host, 3, NULL, &cfg, &first), -ERANGE);
	first = lun_on(&y, 0, "ld0");
	third = lun_on(&y, 2, "ld1");
	for (unsigned i = 0; i < 3; i++)
		ck_assert_ptr_nonnull((void *)(uintptr_t)y.fake->hba.listener[i].ready);
	read_from(&y, first, 0);
	read_from(&y, third, 2);
	scsi_host_detach(y.host, SCSI_GATE_GONE);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_ptr_null((void *)(uintptr_t)y.fake->hba.listener[i].ready);
	ck_assert_int_eq(scsi_lun_gate(third), SCSI_GATE_GONE);
	attach(&y);
	ck_assert_int_eq(scsi_lun_gate(third), SCSI_GATE_OPEN);
	scsi_lun_destroy(first);
	scsi_lun_destroy(third);
	lanes_teardown(&y);
}
END_TEST

START_TEST(a_lun_opens_on_its_lane_and_not_before)
{
	struct scsi_lun *lun, *other;
	struct fx y;

	lanes_setup(&y);
	lun = lun_on(&y, SCSI_UNSETTLED, "ld0");
	other = lun_on(&y, SCSI_UNSETTLED, "ld7");
	attach(&y);
	ck_assert_int_eq(scsi_lun_gate(lun), SCSI_GATE_BECOMING_READY);
	/* What need not wait for a lane does not. */
	ck_assert_int_eq(scsi_lun_gate(other), SCSI_GATE_NO_UNIT);
	ck_assert(!scsi_lun_is_settled(lun));
	settle(lun, 1);
	ck_assert(scsi_lun_is_settled(lun));
	ck_assert_ptr_eq(scsi_lun_loop(lun), scsi_lane_loop(lun, 1));
	ck_assert_int_eq(scsi_lun_gate(lun), SCSI_GATE_OPEN);
	read_from(&y, lun, 1);
	/* Once and for all. */
	settle(lun, 2);
	read_from(&y, lun, 1);
	scsi_lun_destroy(lun);
	scsi_lun_destroy(other);
	lanes_teardown(&y);
}
END_TEST

START_TEST(what_a_lun_holds_goes_with_it_to_its_lane)
{
	struct scsi_lun *lun;
	struct tst t;
	struct fx y;

	lanes_setup(&y);
	attach(&y);
	scsi_host_detach(y.host, SCSI_GATE_GONE);
	lun = lun_on(&y, SCSI_UNSETTLED, "ld0;hold=60");
	ck_assert_int_eq(scsi_lun_gate(lun), SCSI_GATE_HELD);
	tst_init(&t, lun, "\x28\0\0\0\0\x01\0\0\x01\0", 10, 512, 1);
	tst_submit(&t);
	attach(&y);
	ck_assert_int_eq(scsi_lun_gate(lun), SCSI_GATE_HELD);
	ck_assert_uint_eq(t.done, 0);
	settle(lun, 2);
	fake_run(y.fake, 0);
	assert_good(&t);
	ck_assert_uint_eq(y.fake->last_lane, 2);
	tst_fini(&t);
	scsi_lun_destroy(lun);
	lanes_teardown(&y);
}
END_TEST

START_TEST(a_lun_on_its_way_may_be_destroyed)
{
	struct scsi_lun *lun;
	struct fx y;

	lanes_setup(&y);
	attach(&y);
	scsi_host_detach(y.host, SCSI_GATE_GONE);
	lun = lun_on(&y, SCSI_UNSETTLED, "ld0;hold=60");
	scsi_lun_leave(lun);
	scsi_lun_destroy(lun);
	lanes_teardown(&y);
}
END_TEST

START_TEST(a_controller_that_returns_with_fewer_lanes_is_refused)
{
	struct err e = {""};
	struct fx y;

	lanes_setup(&y);
	attach(&y);
	scsi_host_detach(y.host, SCSI_GATE_GONE);
	y.fake->hba.n_lanes = 2;
	ck_assert_int_eq(scsi_host_attach(y.host, &y.fake->hba, &e), -ERANGE);
	ck_assert_ptr_nonnull(strstr(e.text, "restart the service"));
	y.fake->hba.n_lanes = 4;
	attach(&y);
	ck_assert_uint_eq(scsi_host_lanes(y.host), 3);
	lanes_teardown(&y);
}
END_TEST

/* What the hbad before has left is told on the unit's lane, and is left again only as long as it was not. */
START_TEST(what_was_inherited_is_told_on_any_lane_and_once)
{
	struct scsi_untold u = {.attention = {0x062a09}}, left[HBA_MAX_UNITS];
	const struct scsi_unit *units;
	struct scsi_lun *lun;
	struct tst t;
	struct fx y;

	lanes_setup(&y);
	attach(&y);
	ck_assert_uint_eq(scsi_host_units(y.host, &units), 2);
	strcpy(u.naa, units[1].id.naa_text);
	lanes_teardown(&y);

	lanes_setup(&y);
	ck_assert_int_eq(scsi_host_inherit(y.host, &u), 0);
	attach(&y);
	ck_assert_uint_eq(scsi_host_leave(y.host, true, left), 1);
	ck_assert_str_eq(left[0].naa, u.naa);
	ck_assert_uint_eq(left[0].attention[0], 0x062a09);
	lun = lun_on(&y, 2, "ld1");
	ck_assert_uint_eq(scsi_host_leave(y.host, true, left), 0);
	y.lun = lun;
	tst_do(&t, &y, "\x28\0\0\0\0\x01\0\0\x01\0", 10, 512);
	assert_check(&t, 0x06, 0x2a, 0x09);
	tst_fini(&t);
	lun_attention(lun, SENSE_CAPACITY_CHANGED);
	scsi_lun_destroy(lun);
	ck_assert_uint_eq(scsi_host_leave(y.host, true, left), 1);
	ck_assert_str_eq(left[0].naa, u.naa);
	lanes_teardown(&y);
}
END_TEST

/* The first lane has lost the controller, this one still takes answers. They are counted before the loss. */
START_TEST(what_is_answered_before_its_lane_hears_of_the_loss_may_be_lost)
{
	struct scsi_lun *a, *b;
	struct tst read, write, flush;
	struct fx y;

	lanes_setup(&y);
	y.fake->hba.unit[0].write_back = y.fake->hba.unit[1].write_back = true;
	attach(&y);
	a = lun_on(&y, 1, "ld0;hold=60");
	b = lun_on(&y, 1, "ld1;hold=60");
	tst_init(&read, a, "\x28\0\0\0\0\x01\0\0\x01\0", 10, 512, 1);
	tst_submit(&read);
	tst_init(&write, b, "\x2a\0\0\0\0\x01\0\0\x01\0", 10, 512, 1);
	tst_fill(&write, 1);
	tst_submit(&write);
	ck_assert_uint_eq(y.fake->n_flight, 2);
	y.fake->late = true;
	__atomic_store_n(&y.fake->state, HBA_REMOVED, __ATOMIC_RELEASE);
	fake_complete(y.fake, 0);
	assert_good(&read);
	ck_assert_int_eq(scsi_lun_gate(b), SCSI_GATE_OPEN);
	fake_complete(y.fake, 0);
	assert_good(&write);
	y.fake->late = false;
	fake_ready(y.fake);
	ck_assert_int_eq(scsi_lun_gate(b), SCSI_GATE_HELD);
	scsi_host_detach(y.host, SCSI_GATE_GONE);
	__atomic_store_n(&y.fake->state, HBA_RUNNING, __ATOMIC_RELEASE);
	attach(&y);
	tst_init(&flush, b, "\x35\0\0\0\0\0\0\0\0\0", 10, 0, 1);
	tst_submit(&flush);
	fake_run(y.fake, 0);
	assert_check(&flush, 0x03, 0x0c, 0x00);
	tst_fini(&read);
	tst_fini(&write);
	tst_fini(&flush);
	scsi_lun_destroy(a);
	scsi_lun_destroy(b);
	lanes_teardown(&y);
}
END_TEST

/* The detach is here sooner than the lane's own news of the loss. */
START_TEST(what_is_answered_behind_the_gate_may_be_lost)
{
	char cfg[16];
	struct scsi_lun *lun;
	struct tst write, flush;
	struct fx y;

	lanes_setup(&y);
	y.fake->hba.unit[0].write_back = true;
	attach(&y);
	snprintf(cfg, sizeof(cfg), "ld0;hold=%d", _i);
	lun = lun_on(&y, 1, cfg);
	tst_init(&write, lun, "\x2a\0\0\0\0\x01\0\0\x01\0", 10, 512, 1);
	tst_fill(&write, 1);
	tst_submit(&write);
	scsi_host_detach(y.host, SCSI_GATE_GONE);
	ck_assert_int_eq(scsi_lun_gate(lun), _i ? SCSI_GATE_HELD : SCSI_GATE_GONE);
	fake_complete(y.fake, 0);
	assert_good(&write);
	attach(&y);
	tst_init(&flush, lun, "\x35\0\0\0\0\0\0\0\0\0", 10, 0, 1);
	tst_submit(&flush);
	fake_run(y.fake, 0);
	assert_check(&flush, 0x03, 0x0c, 0x00);
	tst_fini(&write);
	tst_fini(&flush);
	scsi_lun_destroy(lun);
	lanes_teardown(&y);
}
END_TEST

static const char *naa_of(struct fx *fx, unsigned unit)
{
	const struct scsi_unit *units;

	ck_assert_uint_gt(scsi_host_units(fx->host, &units), unit);
	return units[unit].id.naa_text;
}

/* The lane is chosen for the unit that is there, and when the LUN opens there is another one under the name. What is known of
 * that is on a lane of its own. */
START_TEST(a_lun_opens_for_the_unit_that_its_lane_was_chosen_for)
{
	struct scsi_lun *placed, *settled, *whole;
	struct fx y;
	char naa[2][sizeof(((struct scsi_identity *)0)->naa_text)];

	lanes_setup(&y);
	attach(&y);
	for (unsigned i = 0; i < 2; i++)
		strcpy(naa[i], naa_of(&y, i));
	/* The I/O threads see the loss before the control thread does. */
	__atomic_store_n(&y.fake->state, HBA_REMOVED, __ATOMIC_RELEASE);
	fake_ready(y.fake);
	placed = lun_for(&y, 1, naa[0], "ld0");
	settled = lun_on(&y, SCSI_UNSETTLED, "ld0");
	whole = lun_for(&y, 2, naa[1], "ld1");
	scsi_lun_leave(settled);
	scsi_lun_settle(settled, 1, naa[0]);
	scsi_host_detach(y.host, SCSI_GATE_GONE);
	__atomic_store_n(&y.fake->state, HBA_RUNNING, __ATOMIC_RELEASE);
	fake_default_pages(&y.fake->disk[0], "ANOTHER0001");
	attach(&y);
	ck_assert_str_ne(naa_of(&y, 0), naa[0]);
	ck_assert_int_eq(scsi_lun_gate(placed), SCSI_GATE_NO_UNIT);
	ck_assert_int_eq(scsi_lun_gate(settled), SCSI_GATE_NO_UNIT);
	ck_assert_int_eq(scsi_lun_gate(whole), SCSI_GATE_OPEN);
	scsi_lun_destroy(placed);
	scsi_lun_destroy(settled);
	scsi_lun_destroy(whole);
	lanes_teardown(&y);
}
END_TEST

static void designator_of(struct scsi_lun *lun, uint8_t *to)
{
	struct tst t;

	tst_init(&t, lun, "\x12\x01\x83\x00\xff\x00", 6, 255, 1);
	tst_submit(&t);
	assert_good(&t);
	memcpy(to, t.buf + 4, 4U + t.buf[7]);
	tst_fini(&t);
}

#define COPY_LEN (16 + 2 * 32 + 28)

/* One block from the second to the first. */
static void copy_init(struct tst *t, struct scsi_lun *lun, const uint8_t designators[2][64])
{
	static const uint8_t segment[28] = {
		[0] = 0x02, [3] = 0x18, [7] = 0x01, [11] = 0x01, [19] = 0x05, [27] = 0x07};
	uint8_t cdb[16] = {0x83, [13] = COPY_LEN};

	tst_init(t, lun, (const char *)cdb, 16, COPY_LEN, 1);
	memset(t->buf, 0, t->len);
	t->filled = true;
	t->buf[3] = 2 * 32;
	t->buf[11] = 28;
	for (unsigned i = 0; i < 2; i++) {
		uint8_t *d = t->buf + 16 + i * 32;

		d[0] = 0xe4;
		memcpy(d + 4, designators[1 - i], 4U + designators[1 - i][3]);
		d[30] = 0x02;
	}
	memcpy(t->buf + 80, segment, sizeof(segment));
}

/* LUNs come to their lanes one after the other, and a copy that waited may need one that is still to come. */
START_TEST(a_copy_is_tried_again_until_its_luns_are_there)
{
	struct scsi_lun *a, *b;
	uint8_t designator[2][64] = {{0}};
	struct tst waited, again;
	struct fx y;

	lanes_setup(&y);
	attach(&y);
	a = lun_on(&y, 1, "ld0;hold=60;allow=copy");
	b = lun_on(&y, 1, "ld1;allow=copy");
	designator_of(a, designator[0]);
	designator_of(b, designator[1]);
	scsi_lun_destroy(b);
	if (_i)
		scsi_lun_destroy(a);
	scsi_host_detach(y.host, SCSI_GATE_GONE);
	if (_i)
		a = lun_on(&y, SCSI_UNSETTLED, "ld0;hold=60;allow=copy");
	b = lun_on(&y, SCSI_UNSETTLED, "ld1;hold=60;allow=copy");
	copy_init(&waited, a, designator);
	tst_submit(&waited);
	ck_assert_uint_eq(waited.done, 0);
	attach(&y);
	if (_i)
		settle(a, 1);
	fake_run(y.fake, 0);
	ck_assert_uint_eq(waited.done, 1);
	ck_assert_uint_eq(waited.task.status, SCSI_BUSY);
	settle(b, 1);
	ck_assert_uint_eq(y.host->awaited, 0);
	copy_init(&again, a, designator);
	tst_submit(&again);
	fake_run(y.fake, 0);
	assert_good(&again);
	/* What nobody has, nobody waits for. */
	tst_fini(&again);
	designator[1][8] ^= 0x55;
	copy_init(&again, a, designator);
	tst_submit(&again);
	fake_run(y.fake, 0);
	assert_check(&again, 0x0a, 0x08, 0x04);
	tst_fini(&again);
	tst_fini(&waited);
	scsi_lun_destroy(a);
	scsi_lun_destroy(b);
	lanes_teardown(&y);
}
END_TEST

/* ... nor for a LUN whose unit is not there, or that has gone. */
START_TEST(copies_wait_for_no_lun_without_a_unit)
{
	struct scsi_lun *none, *gone, *plain;
	struct fx y;

	lanes_setup(&y);
	none = lun_on(&y, SCSI_UNSETTLED, "ld7;allow=copy");
	gone = lun_on(&y, SCSI_UNSETTLED, "ld0;allow=copy");
	plain = lun_on(&y, SCSI_UNSETTLED, "ld1");
	ck_assert_uint_eq(y.host->awaited, 2);
	attach(&y);
	ck_assert_int_eq(scsi_lun_gate(none), SCSI_GATE_NO_UNIT);
	ck_assert_uint_eq(y.host->awaited, 1);
	scsi_lun_destroy(gone);
	ck_assert_uint_eq(y.host->awaited, 0);
	scsi_lun_destroy(none);
	scsi_lun_destroy(plain);
	lanes_teardown(&y);
}
END_TEST

/* --- coming and going --- */

START_TEST(what_waits_is_answered_when_the_gate_closes)
{
	struct tst waits, flies;

	x.fake->slots = 1;
	read_init(&flies, 0, 1);
	tst_submit(&flies);
	read_init(&waits, 1, 1);
	tst_submit(&waits);
	scsi_host_detach(x.host, SCSI_GATE_GONE);
	assert_check(&waits, 0x02, 0x04, 0x03);
	/* What the controller has completes through it, with what it says. */
	ck_assert_uint_eq(flies.done, 0);
	fake_run(x.fake, 0);
	assert_good(&flies);
	tst_fini(&flies);
	tst_fini(&waits);
}
END_TEST

START_TEST(half_a_command_ends_with_the_gate_when_its_parts_are_back)
{
	uint8_t cdb[16];
	struct tst t;

	cdb16(cdb, 0x88, 0, 0, 8192);
	tst_init(&t, x.lun, cdb, 16, 8192 * 512, 1);
	tst_submit(&t);
	fake_complete(x.fake, 0);
	fake_complete(x.fake, 0);
	scsi_host_detach(x.host, SCSI_GATE_BECOMING_READY);
	ck_assert_uint_eq(t.done, 0);
	ck_assert_uint_eq(x.fake->n_flight, 8);
	fake_run(x.fake, 9);
	assert_check(&t, 0x02, 0x04, 0x01);
	ck_assert_uint_eq(t.task.in_bytes, 10 * 131072);
	ck_assert(is_pattern(t.buf, 0, t.task.in_bytes, 512));
	free(t.buf);
}
END_TEST

/* Data is with the controller, the flush that FUA needs cannot be sent any more. */
START_TEST(a_fua_write_without_its_flush_is_not_good)
{
	struct tst t;

	tst_init(&t, x.lun, "\x2a\x08\0\0\0\0\0\0\x01\0", 10, 512, 1);
	tst_submit(&t);
	scsi_host_detach(x.host, SCSI_GATE_GONE);
	fake_run(x.fake, 0);
	assert_check(&t, 0x02, 0x04, 0x03);
	tst_fini(&t);
}
END_TEST

/* It would be read instead, but there is nobody to read from. */
START_TEST(a_verify_refused_after_the_controller_left_ends_with_the_gate)
{
	struct tst t;

	x.disk->verify = false;
	tst_init(&t, x.lun, "\x2f\0\0\0\0\0\0\0\x01\0", 10, 0, 0);
	tst_submit(&t);
	scsi_host_detach(x.host, SCSI_GATE_GONE);
	fake_run(x.fake, 0);
	assert_check(&t, 0x02, 0x04, 0x03);
	tst_fini(&t);
}
END_TEST

START_TEST(a_task_that_waits_for_scratch_is_answered_too)
{
	static struct tst t[65];

	x.fake->slots = 100;
	for (unsigned i = 0; i < 65; i++) {
		tst_init(&t[i], x.lun, "\x28\0\0\0\0\0\0\0\x01\0", 10, 100, 1);
		tst_submit(&t[i]);
	}
	ck_assert_uint_eq(x.fake->n_flight, 64);
	scsi_host_detach(x.host, SCSI_GATE_GONE);
	assert_check(&t[64], 0x02, 0x04, 0x03);
	fake_run(x.fake, 1);
	for (unsigned i = 0; i < 65; i++)
		tst_fini(&t[i]);
}
END_TEST

/* Those that were told of free scratch end before they take it: others must be told instead. */
START_TEST(scratch_that_its_next_user_does_not_take_goes_to_another)
{
	enum { HOLD = 64, N = 2 * HOLD + 1 };
	struct fake *f = fake_new(2, BLOCKS, 512);
	static struct tst t[N];
	struct scsi_lun *other;
	struct fx two;
	struct tst last;

	f->slots = 200;
	fx_attach(&two, f);
	other = fx_lun(&two, "ld1");
	for (unsigned i = 0; i < N; i++) {
		tst_init(&t[i], two.lun, "\x28\0\0\0\0\0\0\0\x01\0", 10, 100, 1);
		tst_submit(&t[i]);
	}
	tst_init(&last, other, "\x28\0\0\0\0\0\0\0\x01\0", 10, 100, 1);
	tst_submit(&last);
	ck_assert_uint_eq(f->n_flight, HOLD);
	f->state = HBA_RESETTING; /* no slots, but for the one that the host has kept */
	fake_run(f, 0);
	for (unsigned i = N; i-- > HOLD + 1;)
		scsi_task_abort(&t[i].task);
	f->state = HBA_RUNNING;
	fake_ready(f);
	fake_run(f, 0);
	assert_good(&last);
	tst_fini(&last);
	for (unsigned i = 0; i < N; i++) {
		ck_assert_uint_eq(t[i].done, 1);
		tst_fini(&t[i]);
	}
	scsi_lun_destroy(other);
	fx_teardown(&two);
}
END_TEST

START_TEST(a_failed_or_removed_controller_closes_the_gate_by_itself)
{
	struct tst waits, flies;

	x.fake->slots = 1;
	read_init(&flies, 0, 1);
	tst_submit(&flies);
	read_init(&waits, 1, 1);
	tst_submit(&waits);
	x.fake->state = _i ? HBA_REMOVED : HBA_FAILED;
	fake_ready(x.fake);
	ck_assert_int_eq(scsi_lun_gate(x.lun), SCSI_GATE_GONE);
	assert_check(&waits, 0x02, 0x04, 0x03);
	fake_end(x.fake, 0, HBA_GONE, 0, NULL, 0);
	assert_check(&flies, 0x02, 0x04, 0x03);
	tst_fini(&waits);
	tst_fini(&flies);
}
END_TEST

START_TEST(a_task_finds_out_that_the_controller_failed_before_anybody_said_so)
{
	struct tst t;

	x.fake->state = HBA_FAILED;
	read_init(&t, 0, 1);
	tst_submit(&t);
	assert_check(&t, 0x02, 0x04, 0x03);
	ck_assert_int_eq(scsi_lun_gate(x.lun), SCSI_GATE_GONE);
	tst_fini(&t);
}
END_TEST

START_TEST(the_same_disk_behind_another_controller_opens_again)
{
	struct fake *second = fake_new(1, BLOCKS, 512);
	struct fake *first = x.fake;
	struct tst t;

	scsi_host_detach(x.host, SCSI_GATE_GONE);
	fake_free(first);
	x.fake = second;
	x.disk = &second->disk[0];
	attach(&x);
	ck_assert_int_eq(scsi_lun_gate(x.lun), SCSI_GATE_OPEN);
	read_init(&t, 7, 3);
	tst_submit(&t);
	fake_run(second, 0);
	assert_good(&t);
	tst_fini(&t);
}
END_TEST

START_TEST(another_disk_under_the_same_name_stays_out)
{
	scsi_host_detach(x.host, SCSI_GATE_GONE);
	fake_default_pages(x.disk, "OTHER");
	attach(&x);
	ck_assert_int_eq(scsi_lun_gate(x.lun), SCSI_GATE_NO_UNIT);
	scsi_host_detach(x.host, SCSI_GATE_GONE);
	fake_default_pages(x.disk, "SN0000");
	attach(&x);
	ck_assert_int_eq(scsi_lun_gate(x.lun), SCSI_GATE_OPEN);
}
END_TEST

/* Units are looked at again while commands are under way. */
START_TEST(a_second_look_at_the_same_controller_disturbs_nobody)
{
	struct tst t;

	read_init(&t, 5, 600);
	tst_submit(&t);
	attach(&x);
	ck_assert_int_eq(scsi_lun_gate(x.lun), SCSI_GATE_OPEN);
	fake_run(x.fake, 3);
	assert_good(&t);
	ck_assert(is_pattern(t.buf, 5, t.len, 512));
	tst_fini(&t);
	/* The unit is gone in the meantime. */
	read_init(&t, 5, 600);
	tst_submit(&t);
	x.fake->fault.count = 1;
	x.fake->fault.kind = HBA_REQ_CDB;
	x.fake->fault.result = HBA_NO_UNIT;
	attach(&x);
	ck_assert_int_eq(scsi_lun_gate(x.lun), SCSI_GATE_NO_UNIT);
	fake_run(x.fake, 3);
	assert_good(&t);
	tst_fini(&t);
}
END_TEST

START_TEST(a_disk_reformatted_to_other_blocks_stays_out)
{
	scsi_host_detach(x.host, SCSI_GATE_GONE);
	x.disk->block_size = 4096;
	x.disk->blocks /= 8;
	attach(&x);
	ck_assert_int_eq(scsi_lun_gate(x.lun), SCSI_GATE_NO_UNIT);
}
END_TEST

START_TEST(a_disk_of_another_size_stays_out)
{
	struct scsi_lun_config cfg = {.unit = "ld0", .blocks = BLOCKS + 1, .block_size = 512};
	struct scsi_lun *lun;

	ck_assert_int_eq(scsi_lun_create(x.host, &cfg, &lun), 0);
	ck_assert_int_eq(scsi_lun_gate(lun), SCSI_GATE_NO_UNIT);
	scsi_lun_destroy(lun);
	cfg.blocks = BLOCKS;
	ck_assert_int_eq(scsi_lun_create(x.host, &cfg, &lun), 0);
	ck_assert_int_eq(scsi_lun_gate(lun), SCSI_GATE_OPEN);
	ck_assert_str_eq(scsi_lun_config(lun)->unit, "ld0");
	scsi_lun_destroy(lun);
}
END_TEST

/* H22: a new size is told to whoever comes first. */
START_TEST(a_lun_grows_with_its_unit_when_told)
{
	struct scsi_lun_config cfg = {.unit = "ld0", .blocks = BLOCKS, .block_size = 512};
	struct scsi_lun *lun;
	struct err e;
	struct tst t;

	ck_assert_int_eq(scsi_lun_create(x.host, &cfg, &lun), 0);
	x.disk->blocks = BLOCKS + 8;
	attach(&x);
	/* A unit that has grown does not close the gate of a LUN that may be smaller, nor change what it shows. */
	ck_assert_int_eq(scsi_lun_gate(lun), SCSI_GATE_NO_UNIT);
	scsi_lun_destroy(lun);
	cfg.may_be_smaller = true;
	ck_assert_int_eq(scsi_lun_create(x.host, &cfg, &lun), 0);
	ck_assert_int_eq(scsi_lun_gate(lun), SCSI_GATE_OPEN);
	tst_do(&t, &(struct fx){x.fake, x.disk, x.host, lun}, "\x25\0\0\0\0\0\0\0\0\0", 10, 8);
	assert_good(&t);
	ck_assert_uint_eq(t.buf[2] << 8 | t.buf[3], (BLOCKS - 1) & 0xffff);
	tst_fini(&t);
	ck_assert_int_eq(scsi_lun_resize(lun, BLOCKS + 8, &e), 0);
	/* Whoever comes first learns of it; who only asks who it is does not. */
	tst_do(&t, &(struct fx){x.fake, x.disk, x.host, lun}, "\x12\0\0\0\x24\0", 6, 36);
	assert_good(&t);
	tst_fini(&t);
	tst_do(&t, &(struct fx){x.fake, x.disk, x.host, lun}, "\0\0\0\0\0\0", 6, 0);
	assert_check(&t, 0x06, 0x2a, 0x09);
	tst_fini(&t);
	tst_do(&t, &(struct fx){x.fake, x.disk, x.host, lun}, "\x25\0\0\0\0\0\0\0\0\0", 10, 8);
	assert_good(&t);
	ck_assert_uint_eq(t.buf[2] << 8 | t.buf[3], (BLOCKS + 7) & 0xffff);
	tst_fini(&t);
	/* More than the unit has: nothing is read beyond its end. */
	ck_assert_int_eq(scsi_lun_resize(lun, BLOCKS + 9, &e), 0);
	ck_assert_int_eq(scsi_lun_gate(lun), SCSI_GATE_NO_UNIT);
	scsi_lun_destroy(lun);
}
END_TEST

START_TEST(luns_join_in_order_with_what_is_posted_around_them)
{
	struct scsi_lun *lun, *dead;
	struct tst t;

	fake_loop_defer = true;
	lun = fx_lun(&x, "ld0");
	dead = fx_lun(&x, "ld0");
	ck_assert_int_eq(scsi_lun_gate(lun), SCSI_GATE_BECOMING_READY);
	tst_init(&t, lun, "\0\0\0\0\0\0", 6, 0, 0);
	tst_submit(&t);
	assert_check(&t, 0x02, 0x04, 0x01);
	tst_fini(&t);
	scsi_lun_destroy(dead); /* before it has joined */
	scsi_host_detach(x.host, SCSI_GATE_NO_UNIT);
	scsi_host_detach(x.host, SCSI_GATE_GONE); /* while the first is on its way: the later reason counts */
	fake_loop_run();
	ck_assert_int_eq(scsi_lun_gate(lun), SCSI_GATE_GONE);
	ck_assert_int_eq(scsi_lun_gate(x.lun), SCSI_GATE_GONE);
	fake_loop_defer = false;
	scsi_lun_destroy(lun);
	scsi_lun_destroy(NULL);
}
END_TEST

START_TEST(a_request_that_was_kept_is_given_back_at_detach)
{
	struct tst t;

	x.fake->refuse_eagain = 1000;
	read_init(&t, 0, 1);
	tst_submit(&t);
	ck_assert_uint_eq(t.done, 0);
	scsi_host_detach(x.host, SCSI_GATE_GONE);
	assert_check(&t, 0x02, 0x04, 0x03);
	tst_fini(&t);
	for (unsigned i = 0; i < x.fake->slots; i++)
		ck_assert(!x.fake->used[i]);
}
END_TEST

/* --- done() that acts --- */

static struct tst chain[50];
static unsigned chain_at;

static void chain_done(struct scsi_task *task)
{
	struct tst *t = container_of(task, struct tst, task);

	t->done++;
	if (chain_at < ARRAY_SIZE(chain)) {
		struct tst *next = &chain[chain_at++];

		read_init(next, chain_at, 1);
		next->task.done = chain_done;
		scsi_submit(&next->task);
	}
}

START_TEST(done_may_submit_the_next_command)
{
	x.fake->slots = 1;
	read_init(&chain[0], 0, 1);
	chain[0].task.done = chain_done;
	chain_at = 1;
	tst_submit(&chain[0]);
	fake_run(x.fake, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(chain); i++) {
		ck_assert_uint_eq(chain[i].done, 1);
		ck_assert_uint_eq(chain[i].task.status, SCSI_GOOD);
		tst_fini(&chain[i]);
	}
	/* And while the gate closes: each next one is answered at once. */
	memset(chain, 0, sizeof(chain));
	x.fake->refuse_eagain = 1;
	read_init(&chain[0], 0, 1);
	chain[0].task.done = chain_done;
	chain_at = 1;
	tst_submit(&chain[0]);
	scsi_host_detach(x.host, SCSI_GATE_GONE);
	for (unsigned i = 0; i < ARRAY_SIZE(chain); i++) {
		ck_assert_uint_eq(chain[i].done, 1);
		ck_assert_uint_eq(chain[i].task.status, SCSI_CHECK_CONDITION);
		tst_fini(&chain[i]);
	}
}
END_TEST

/* --- abort --- */

/* H7: who waits for a slot is aborted without one. */
START_TEST(a_waiting_task_is_aborted_at_once)
{
	struct tst a, b;

	x.fake->slots = 1;
	read_init(&a, 0, 1);
	tst_submit(&a);
	read_init(&b, 1, 1);
	tst_submit(&b);
	scsi_task_abort(&b.task);
	ck_assert_uint_eq(b.done, 1);
	ck_assert_uint_eq(b.task.status, SCSI_TASK_ABORTED);
	ck_assert_uint_eq(b.task.in_bytes, 0);
	fake_run(x.fake, 0);
	assert_good(&a);
	ck_assert_uint_eq(x.fake->n_log, 1);
	tst_fini(&a);
	tst_fini(&b);
}
END_TEST

/* H8: the answer waits for firmware. */
START_TEST(a_task_at_the_controller_ends_when_that_has_answered)
{
	uint8_t cdb[16];
	struct tst t;

	cdb16(cdb, 0x88, 0, 0, 8192);
	tst_init(&t, x.lun, cdb, 16, 8192 * 512, 1);
	tst_submit(&t);
	scsi_task_abort(&t.task);
	ck_assert_uint_eq(t.done, 0);
	for (unsigned i = 0; i < 7; i++)
		fake_complete(x.fake, 0);
	ck_assert_uint_eq(t.done, 0);
	fake_complete(x.fake, 0);
	ck_assert_uint_eq(t.done, 1);
	ck_assert_uint_eq(t.task.status, SCSI_TASK_ABORTED);
	ck_assert_uint_eq(t.task.in_bytes, 0);
	ck_assert_uint_eq(x.fake->n_log, 8); /* no further part */
	free(t.buf);
}
END_TEST

START_TEST(an_abort_that_comes_too_late_changes_nothing)
{
	struct tst t;

	read_init(&t, 0, 1);
	tst_submit(&t);
	scsi_task_abort(&t.task);
	scsi_task_abort(&t.task);
	fake_run(x.fake, 0);
	assert_good(&t); /* all of it was done */
	tst_fini(&t);
}
END_TEST

START_TEST(an_aborted_fua_write_is_not_flushed_and_not_good)
{
	struct tst t;

	tst_init(&t, x.lun, "\x2a\x08\0\0\0\0\0\0\x01\0", 10, 512, 1);
	tst_submit(&t);
	scsi_task_abort(&t.task);
	fake_run(x.fake, 0);
	ck_assert_uint_eq(t.task.status, SCSI_TASK_ABORTED);
	ck_assert_uint_eq(x.fake->n_log, 1);
	tst_fini(&t);
}
END_TEST

START_TEST(an_error_found_before_the_abort_is_told)
{
	struct tst t;

	x.disk->bad_lba = 1;
	read_init(&t, 0, 2);
	tst_submit(&t);
	scsi_task_abort(&t.task);
	fake_run(x.fake, 0);
	assert_check(&t, 0x03, 0x11, 0x00);
	tst_fini(&t);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scsi gate");
	TCase *c = tcase_create("gate");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_loop_test(c, a_closed_gate_answers_with_its_condition, 0, ARRAY_SIZE(gates));
	tcase_add_loop_test(c, inquiry_keeps_the_identity_while_the_controller_is_away, 0, 2);
	tcase_add_test(c, a_unit_that_is_not_there_says_so_in_inquiry);
	tcase_add_test(c, nobody_is_told_an_identity_that_is_not_known_yet);
	tcase_add_test(c, a_controller_that_never_came_fails_inquiry);
	tcase_add_test(c, what_waits_is_answered_when_the_gate_closes);
	tcase_add_test(c, half_a_command_ends_with_the_gate_when_its_parts_are_back);
	tcase_add_test(c, a_fua_write_without_its_flush_is_not_good);
	tcase_add_test(c, a_verify_refused_after_the_controller_left_ends_with_the_gate);
	tcase_add_test(c, a_task_that_waits_for_scratch_is_answered_too);
	tcase_add_test(c, scratch_that_its_next_user_does_not_take_goes_to_another);
	tcase_add_loop_test(c, a_failed_or_removed_controller_closes_the_gate_by_itself, 0, 2);
	tcase_add_test(c, a_task_finds_out_that_the_controller_failed_before_anybody_said_so);
	tcase_add_test(c, the_same_disk_behind_another_controller_opens_again);
	tcase_add_test(c, another_disk_under_the_same_name_stays_out);
	tcase_add_test(c, a_second_look_at_the_same_controller_disturbs_nobody);
	tcase_add_test(c, a_disk_reformatted_to_other_blocks_stays_out);
	tcase_add_test(c, a_disk_of_another_size_stays_out);
	tcase_add_test(c, a_lun_grows_with_its_unit_when_told);
	tcase_add_test(c, luns_join_in_order_with_what_is_posted_around_them);
	tcase_add_test(c, a_request_that_was_kept_is_given_back_at_detach);
	tcase_add_test(c, done_may_submit_the_next_command);
	tcase_add_test(c, a_waiting_task_is_aborted_at_once);
	tcase_add_test(c, a_task_at_the_controller_ends_when_that_has_answered);
	tcase_add_test(c, an_abort_that_comes_too_late_changes_nothing);
	tcase_add_test(c, an_aborted_fua_write_is_not_flushed_and_not_good);
	tcase_add_test(c, an_error_found_before_the_abort_is_told);
	suite_add_tcase(s, c);
	c = tcase_create("lanes");
	tcase_add_test(c, luns_have_their_requests_from_their_lane);
	tcase_add_test(c, what_is_answered_before_its_lane_hears_of_the_loss_may_be_lost);
	tcase_add_loop_test(c, what_is_answered_behind_the_gate_may_be_lost, 0, 2);
	tcase_add_test(c, a_lun_opens_for_the_unit_that_its_lane_was_chosen_for);
	tcase_add_loop_test(c, a_copy_is_tried_again_until_its_luns_are_there, 0, 2);
	tcase_add_test(c, copies_wait_for_no_lun_without_a_unit);
	tcase_add_test(c, a_lun_opens_on_its_lane_and_not_before);
	tcase_add_test(c, what_a_lun_holds_goes_with_it_to_its_lane);
	tcase_add_test(c, a_lun_on_its_way_may_be_destroyed);
	tcase_add_test(c, a_controller_that_returns_with_fewer_lanes_is_refused);
	tcase_add_test(c, what_was_inherited_is_told_on_any_lane_and_once);
	suite_add_tcase(s, c);
	return run_suite(s);
}
