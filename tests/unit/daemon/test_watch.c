/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the daemon notices of its units, from a controller and a SCSI layer that the test plays. */
#include <stdio.h>
#include "base/clock.h"

static uint64_t now_ns;
#define clock_ns() now_ns
#include "daemon/watch.c"
#include "run_suite.h"

static struct hbad d;
static struct hba hba;
static struct scsi_unit unit[HBA_MAX_UNITS];
static unsigned n_units;
static uint32_t news, untold;
static enum hba_state state;
static bool look_again_fails;
static unsigned looks;
static struct hba_event pending[64];
static unsigned n_pending;

/* --- the layers below --- */

unsigned scsi_host_units(const struct scsi_host *s, const struct scsi_unit **ret)
{
	*ret = unit;
	return n_units;
}

const struct lun *luns_user_of(const struct luns *l, const struct scsi_unit *u)
{
	return NULL;
}

bool hba_next_event(struct hba *h, struct hba_event *ret)
{
	if (!n_pending)
		return false;
	*ret = pending[--n_pending];
	return true;
}

uint32_t hba_events_untold(const struct hba *h)
{
	return untold;
}

uint32_t hba_unit_news(const struct hba *h)
{
	return news;
}

enum hba_state hba_state(const struct hba *h)
{
	return state;
}

bool hbad_look_again(struct hbad *self)
{
	if (look_again_fails)
		return false;
	looks++;
	return true;
}

/* --- the rig --- */

static void add_unit(const char *name)
{
	struct hba_unit *u = &hba.unit[n_units];

	g_strlcpy(u->name, name, sizeof(u->name));
	u->state = HBA_UNIT_OPTIMAL;
	unit[n_units] =
		(struct scsi_unit){.hba = u, .identified = true, .id = {.blocks = 100, .block_size = 512}};
	g_snprintf(unit[n_units].id.naa_text, sizeof(unit[n_units].id.naa_text), "naa.%s", name);
	n_units++;
}

static void setup(void)
{
	memset(&d, 0, sizeof(d));
	memset(&hba, 0, sizeof(hba));
	log_set_level(LOG_LV_ERR);
	d.hba = &hba;
	d.events = events_new();
	n_units = news = untold = looks = n_pending = 0;
	state = HBA_RUNNING;
	look_again_fails = false;
	now_ns = 100 * NS_PER_SEC;
	add_unit("ld0");
}

static void teardown(void)
{
	events_free(d.events);
}

static unsigned told(const char *what)
{
	const struct event *e;
	unsigned n = 0;

	for (uint64_t seq = 0; (e = events_after(d.events, seq)); seq = e->seq)
		n += !strcmp(e->what, what);
	return n;
}

/* It was not there when the units were asked, and said so before anybody counted its news. */
START_TEST(a_unit_that_comes_while_the_units_are_asked_is_looked_for)
{
	news = 1;
	hbad_watch_begin(&d);
	hbad_watch_tick(&d);
	ck_assert_uint_eq(looks, 1);
	now_ns += 60 * NS_PER_SEC;
	hbad_watch_tick(&d);
	ck_assert_uint_eq(looks, 1);
}
END_TEST

START_TEST(without_news_nobody_is_asked)
{
	hbad_watch_begin(&d);
	for (unsigned i = 0; i < 100; i++) {
		now_ns += NS_PER_SEC;
		hbad_watch_tick(&d);
	}
	ck_assert_uint_eq(looks, 0);
	ck_assert_uint_eq(events_last(d.events), 0);
}
END_TEST

START_TEST(news_that_cannot_be_followed_now_are_followed_later)
{
	hbad_watch_begin(&d);
	look_again_fails = true;
	news = 7;
	hbad_watch_tick(&d);
	look_again_fails = false;
	hbad_watch_tick(&d);
	ck_assert_uint_eq(looks, 1);
	/* A storm is one reason. */
	for (unsigned i = 0; i < 9; i++) {
		news++;
		now_ns += NS_PER_SEC / 5;
		hbad_watch_tick(&d);
	}
	ck_assert_uint_eq(looks, 1);
	now_ns += NS_PER_SEC;
	hbad_watch_tick(&d);
	ck_assert_uint_eq(looks, 2);
}
END_TEST

START_TEST(units_that_do_not_come_back_are_told_once)
{
	add_unit("ld1");
	hbad_watch_begin(&d);
	ck_assert_uint_eq(events_last(d.events), 0);
	n_units = 1;
	hbad_watch_begin(&d);
	hbad_watch_begin(&d);
	ck_assert_uint_eq(told("unit-removed"), 1);
	n_units = 2;
	hbad_watch_begin(&d);
	ck_assert_uint_eq(told("unit-added"), 1);
	ck_assert_uint_eq(events_last(d.events), 2);
}
END_TEST

/* Names are the controller's; more than there is room for are not remembered, and nothing else suffers. */
START_TEST(more_names_than_can_be_remembered_do_no_harm)
{
	char name[16];

	for (unsigned round = 0; round < 3; round++) {
		n_units = 0;
		for (unsigned i = 0; i < HBA_MAX_UNITS; i++) {
			snprintf(name, sizeof(name), "ld%u", round * 1000 + i);
			add_unit(name);
		}
		hbad_watch_begin(&d);
		hbad_watch_tick(&d);
	}
	ck_assert_uint_eq(d.watch.n, HBA_MAX_UNITS);
	ck_assert_uint_eq(told("unit-removed"), HBA_MAX_UNITS);
}
END_TEST

START_TEST(what_firmware_says_is_passed_on_a_few_at_a_time)
{
	hbad_watch_begin(&d);
	for (n_pending = 0; n_pending < 9; n_pending++) {
		pending[n_pending].code = n_pending;
		memset(pending[n_pending].text, '%', HBA_EVENT_TEXT - 1);
		memcpy(pending[n_pending].text, "\xff%n%s", 5);
	}
	untold = 3;
	hbad_watch_tick(&d);
	ck_assert_uint_eq(told("controller-event"), 4);
	hbad_watch_tick(&d);
	ck_assert_uint_eq(told("events-lost"), 0);
	hbad_watch_tick(&d);
	ck_assert_uint_eq(told("controller-event"), 9);
	ck_assert_uint_eq(told("events-lost"), 1);
	hbad_watch_tick(&d);
	ck_assert_uint_eq(events_last(d.events), 10);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("watch");
	TCase *c = tcase_create("watch");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, a_unit_that_comes_while_the_units_are_asked_is_looked_for);
	tcase_add_test(c, without_news_nobody_is_asked);
	tcase_add_test(c, news_that_cannot_be_followed_now_are_followed_later);
	tcase_add_test(c, units_that_do_not_come_back_are_told_once);
	tcase_add_test(c, more_names_than_can_be_remembered_do_no_harm);
	tcase_add_test(c, what_firmware_says_is_passed_on_a_few_at_a_time);
	suite_add_tcase(s, c);
	return run_suite(s);
}
