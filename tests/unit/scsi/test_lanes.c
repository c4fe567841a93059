/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A controller with several I/O threads: LUNs find theirs, and stay there. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "fixture.h"
#include "scsi/host.h"

#define BLOCKS 16384

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
	fx_host_attach(&y);
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
	fx_host_attach(&y);
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
	fx_host_attach(&y);
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
	fx_host_attach(&y);
	scsi_host_detach(y.host, SCSI_GATE_GONE);
	lun = lun_on(&y, SCSI_UNSETTLED, "ld0;hold=60");
	ck_assert_int_eq(scsi_lun_gate(lun), SCSI_GATE_HELD);
	tst_init(&t, lun, "\x28\0\0\0\0\x01\0\0\x01\0", 10, 512, 1);
	tst_submit(&t);
	fx_host_attach(&y);
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
	fx_host_attach(&y);
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
	fx_host_attach(&y);
	scsi_host_detach(y.host, SCSI_GATE_GONE);
	y.fake->hba.n_lanes = 2;
	ck_assert_int_eq(scsi_host_attach(y.host, &y.fake->hba, &e), -ERANGE);
	ck_assert_ptr_nonnull(strstr(e.text, "restart the service"));
	y.fake->hba.n_lanes = 4;
	fx_host_attach(&y);
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
	fx_host_attach(&y);
	ck_assert_uint_eq(scsi_host_units(y.host, &units), 2);
	strcpy(u.naa, units[1].id.naa_text);
	lanes_teardown(&y);

	lanes_setup(&y);
	ck_assert_int_eq(scsi_host_inherit(y.host, &u), 0);
	fx_host_attach(&y);
	ck_assert_uint_eq(scsi_host_leave(y.host, &y.fake->hba, left), 1);
	ck_assert_str_eq(left[0].naa, u.naa);
	ck_assert_uint_eq(left[0].attention[0], 0x062a09);
	lun = lun_on(&y, 2, "ld1");
	y.lun = lun;
	tst_do(&t, &y, "\x28\0\0\0\0\x01\0\0\x01\0", 10, 512);
	assert_check(&t, 0x06, 0x2a, 0x09);
	tst_fini(&t);
	ck_assert_uint_eq(scsi_host_leave(y.host, &y.fake->hba, left), 0);
	lun_attention(lun, SENSE_CAPACITY_CHANGED);
	scsi_lun_destroy(lun);
	ck_assert_uint_eq(scsi_host_leave(y.host, &y.fake->hba, left), 1);
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
	fx_host_attach(&y);
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
	fx_host_attach(&y);
	tst_init(&flush, b, "\x35\0\0\0\0\0\0\0\0\0", 10, 0, 1);
	tst_submit(&flush);
	fake_run(y.fake, 0);
	assert_check(&flush, 0x04, 0x0c, 0x00);
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
	fx_host_attach(&y);
	snprintf(cfg, sizeof(cfg), "ld0;hold=%d", _i);
	lun = lun_on(&y, 1, cfg);
	tst_init(&write, lun, "\x2a\0\0\0\0\x01\0\0\x01\0", 10, 512, 1);
	tst_fill(&write, 1);
	tst_submit(&write);
	scsi_host_detach(y.host, SCSI_GATE_GONE);
	ck_assert_int_eq(scsi_lun_gate(lun), _i ? SCSI_GATE_HELD : SCSI_GATE_GONE);
	fake_complete(y.fake, 0);
	assert_good(&write);
	fx_host_attach(&y);
	tst_init(&flush, lun, "\x35\0\0\0\0\0\0\0\0\0", 10, 0, 1);
	tst_submit(&flush);
	fake_run(y.fake, 0);
	assert_check(&flush, 0x04, 0x0c, 0x00);
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
	fx_host_attach(&y);
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
	fx_host_attach(&y);
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
	fx_host_attach(&y);
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
	fx_host_attach(&y);
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
	fx_host_attach(&y);
	ck_assert_int_eq(scsi_lun_gate(none), SCSI_GATE_NO_UNIT);
	ck_assert_uint_eq(y.host->awaited, 1);
	scsi_lun_destroy(gone);
	ck_assert_uint_eq(y.host->awaited, 0);
	scsi_lun_destroy(none);
	scsi_lun_destroy(plain);
	lanes_teardown(&y);
}
END_TEST

/* ... nor for one that is held for a drive that has not come back, until it has; nor when a LUN's ring is taken away. */
START_TEST(copies_wait_for_no_lun_whose_unit_was_sought_in_vain)
{
	struct scsi_lun *held, *taken;
	struct fx y;

	lanes_setup(&y);
	fx_host_attach(&y);
	scsi_host_detach(y.host, SCSI_GATE_GONE);
	held = lun_on(&y, SCSI_UNSETTLED, "ld7;hold=60;allow=copy");
	taken = lun_on(&y, SCSI_UNSETTLED, "ld0;hold=60;allow=copy");
	ck_assert_int_eq(scsi_lun_gate(held), SCSI_GATE_HELD);
	ck_assert_uint_eq(y.host->awaited, 2);
	fx_host_attach(&y);
	ck_assert_int_eq(scsi_lun_gate(held), SCSI_GATE_HELD);
	ck_assert_uint_eq(y.host->awaited, 1);
	scsi_lun_retire(taken);
	ck_assert_uint_eq(y.host->awaited, 0);
	/* The next controller may have it. */
	scsi_host_detach(y.host, SCSI_GATE_GONE);
	ck_assert_uint_eq(y.host->awaited, 1);
	scsi_lun_destroy(held);
	ck_assert_uint_eq(y.host->awaited, 0);
	scsi_lun_destroy(taken);
	lanes_teardown(&y);
}
END_TEST

/* Neither a LUN that may not copy from others, nor a descriptor that no segment names, waits for one that may come. */
START_TEST(copies_wait_only_for_what_they_may_use)
{
	struct scsi_lun *own, *coming;
	uint8_t designator[2][64] = {{0}};
	struct tst t;
	struct fx y;

	lanes_setup(&y);
	fx_host_attach(&y);
	own = lun_on(&y, 1, _i ? "ld0;allow=copy" : "ld0");
	coming = lun_on(&y, SCSI_UNSETTLED, "ld1;allow=copy");
	ck_assert_uint_eq(y.host->awaited, 1);
	designator_of(own, designator[0]);
	memcpy(designator[1], designator[0], sizeof(designator[1]));
	designator[1][8] ^= 0x55;
	copy_init(&t, own, designator);
	/* From the LUN to itself: the other descriptor is there for nothing. */
	if (_i)
		put_be16(t.buf + 80 + 4, 1);
	tst_submit(&t);
	fake_run(y.fake, 0);
	if (_i)
		assert_good(&t);
	else
		assert_check(&t, 0x0a, 0x08, 0x04);
	tst_fini(&t);
	scsi_lun_destroy(own);
	scsi_lun_destroy(coming);
	lanes_teardown(&y);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scsi lanes");
	TCase *c = tcase_create("lanes");

	tcase_add_test(c, luns_have_their_requests_from_their_lane);
	tcase_add_test(c, what_is_answered_before_its_lane_hears_of_the_loss_may_be_lost);
	tcase_add_loop_test(c, what_is_answered_behind_the_gate_may_be_lost, 0, 2);
	tcase_add_test(c, a_lun_opens_for_the_unit_that_its_lane_was_chosen_for);
	tcase_add_loop_test(c, a_copy_is_tried_again_until_its_luns_are_there, 0, 2);
	tcase_add_test(c, copies_wait_for_no_lun_without_a_unit);
	tcase_add_test(c, copies_wait_for_no_lun_whose_unit_was_sought_in_vain);
	tcase_add_loop_test(c, copies_wait_only_for_what_they_may_use, 0, 2);
	tcase_add_test(c, a_lun_opens_on_its_lane_and_not_before);
	tcase_add_test(c, what_a_lun_holds_goes_with_it_to_its_lane);
	tcase_add_test(c, a_lun_on_its_way_may_be_destroyed);
	tcase_add_test(c, a_controller_that_returns_with_fewer_lanes_is_refused);
	tcase_add_test(c, what_was_inherited_is_told_on_any_lane_and_once);
	suite_add_tcase(s, c);
	return run_suite(s);
}
