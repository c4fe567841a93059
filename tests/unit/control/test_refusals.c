/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What was refused is kept, once for each backstore, until that is taken; and told as an event. */
#include <stdlib.h>
#include "client.h"
#include "control/events.h"
#include "control/refusals.h"

/* --- the list --- */

static struct refusals list;

/* "c b a": newest first */
static const char *devices(const struct refusals *r)
{
	static char text[REFUSALS_KEPT * (HANDOFF_NAME_LEN + 1)];

	text[0] = '\0';
	for (unsigned i = 0; i < r->n; i++) {
		strcat(text, i ? " " : "");
		strcat(text, r->newest_first[i].device);
	}
	return text;
}

static void add(const char *device)
{
	refusals_add(&list, device, "hba/g2/ld0", false, "too small");
}

/* "n0" and so on */
static void add_many(unsigned first, unsigned n)
{
	char name[16];

	for (unsigned i = first; i < first + n; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		add(name);
	}
}

START_TEST(the_oldest_makes_room)
{
	int64_t before = g_get_real_time();

	add_many(0, REFUSALS_KEPT);
	ck_assert_uint_eq(list.n, REFUSALS_KEPT);
	ck_assert_str_eq(list.newest_first[REFUSALS_KEPT - 1].device, "n0");
	add("a");
	add("b");
	ck_assert_uint_eq(list.n, REFUSALS_KEPT);
	ck_assert_int_eq(strncmp(devices(&list), "b a n255 n254 ", 14), 0);
	ck_assert_str_eq(list.newest_first[REFUSALS_KEPT - 1].device, "n2");
	ck_assert_int_ge(list.newest_first[0].time_us, before);
	ck_assert_int_le(list.newest_first[0].time_us, g_get_real_time());
}
END_TEST

START_TEST(a_device_is_listed_once_with_what_was_last)
{
	ck_assert(refusals_add(&list, "a", "hba/g2/ld0", false, "too small"));
	ck_assert(refusals_add(&list, "b", "hba/g2/ld0", false, "too small"));
	ck_assert(refusals_add(&list, "b", "hba/g2/ld1", true, "too small"));
	ck_assert(refusals_add(&list, "a", "hba/g2/ld0", true, "too large"));
	ck_assert_str_eq(devices(&list), "a b");
	ck_assert_str_eq(list.newest_first[0].reason, "too large");
	ck_assert_str_eq(list.newest_first[1].cfgstring, "hba/g2/ld1");
}
END_TEST

#define LATER G_MAXINT64 / 2 /* the clock was set back: no time has passed */

static const struct {
	int64_t before_us; /* of the one before */
	bool again, news;
} repeats[] = {
	{7, false, true},
	{7, true, false},
	{LATER, false, false},
	{LATER, true, false},
};

START_TEST(the_same_once_more_is_newer_and_news_only_after_a_while)
{
	add("a");
	list.newest_first[0].time_us = repeats[_i].before_us;
	add("b");
	ck_assert(refusals_add(&list, "a", "hba/g2/ld0", repeats[_i].again, "too small") == repeats[_i].news);
	ck_assert_str_eq(devices(&list), "a b");
	ck_assert_int_ne(list.newest_first[0].time_us, repeats[_i].before_us);
}
END_TEST

START_TEST(a_full_list_takes_a_known_device_without_loss)
{
	add_many(0, REFUSALS_KEPT);
	add("n0");
	add("n3");
	ck_assert_int_eq(strncmp(devices(&list), "n3 n0 n255 ", 11), 0);
	ck_assert_uint_eq(list.n, REFUSALS_KEPT);
	ck_assert_str_eq(list.newest_first[REFUSALS_KEPT - 1].device, "n1");
}
END_TEST

/* The handler offers each again every 5 s. */
START_TEST(as_many_as_there_may_be_units_are_told_once)
{
	char name[16];

	add_many(0, HBA_MAX_UNITS);
	for (unsigned i = 0; i < HBA_MAX_UNITS; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		ck_assert(!refusals_add(&list, name, "hba/g2/ld0", true, "too small"));
	}
}
END_TEST

START_TEST(what_is_forgotten_leaves_the_others_in_order)
{
	static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h"};

	refusals_forget(&list, "a");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		add(names[i]);
	refusals_forget(&list, "nobody");
	refusals_forget(&list, "a"); /* the last */
	refusals_forget(&list, "h");
	refusals_forget(&list, "e");
	ck_assert_str_eq(devices(&list), "g f d c b");
	while (list.n)
		refusals_forget(&list, list.newest_first[0].device);
	ck_assert_str_eq(devices(&list), "");
}
END_TEST

START_TEST(what_is_too_long_is_cut)
{
	char word[2000];

	memset(word, 'x', sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	refusals_add(&list, word, word, false, word);
	ck_assert_uint_eq(strlen(list.newest_first[0].device), HANDOFF_NAME_LEN - 1);
	ck_assert_uint_eq(strlen(list.newest_first[0].cfgstring), HANDOFF_CFG_LEN - 1);
	ck_assert_uint_eq(strlen(list.newest_first[0].reason), 479);
}
END_TEST

static void list_clear(void)
{
	memset(&list, 0, sizeof(list));
}

/* --- who fills it --- */

static void start(void)
{
	service_start();
	luns.events = events_new();
}

static void stop(void)
{
	service_stop();
	events_free(luns.events);
}

/* ld0 has 2048 blocks of 512 bytes. */
static int open_ld0(int fd, const char *device, uint64_t blocks, uint32_t block_size, bool known)
{
	struct handoff_open m = open_msg(device, "hba/g2/ld0", 1);

	m.blocks = blocks;
	m.block_size = block_size;
	m.known = known;
	return client_send_open(fd, &m).head.status;
}

START_TEST(a_wrong_size_is_kept_and_told_until_the_backstore_is_served)
{
	int fd = client_connect();
	const struct event *e;
	uint64_t handle;

	ck_assert_int_eq(open_ld0(fd, "a", 1024, 512, false), -EINVAL);
	ck_assert_int_eq(open_ld0(fd, "b", 256, 4096, false), -EINVAL);
	ck_assert_str_eq(devices(&luns.refusals), "b a");
	ck_assert_str_eq(luns.refusals.newest_first[0].cfgstring, "hba/g2/ld0");
	ck_assert_str_eq(luns.refusals.newest_first[0].reason, "ld0 has 2048 blocks of 512");
	e = events_after(luns.events, 0);
	ck_assert_str_eq(e->what, "refused");
	ck_assert_str_eq(e->unit, "ld0");
	ck_assert_str_eq(e->naa, "naa.60a0");
	ck_assert_str_eq(e->text, "backstore \"a\": ld0 has 2048 blocks of 512");
	/* Mapped is not served yet. */
	handle = client_open(fd, "a", "hba/g2/ld0", 1).handle;
	ck_assert_str_eq(devices(&luns.refusals), "b a");
	ck_assert_int_eq(client_handle(fd, HANDOFF_START, handle).head.status, 0);
	ck_assert_str_eq(devices(&luns.refusals), "b");
	/* The other one names a unit that is taken now: another reason in its place. */
	ck_assert_int_eq(open_ld0(fd, "b", 2048, 512, false), -EBUSY);
	ck_assert_str_eq(devices(&luns.refusals), "b");
	ck_assert_ptr_nonnull(
		strstr(luns.refusals.newest_first[0].reason, "exported by the backstore \"a\""));
	close(fd);
}
END_TEST

START_TEST(what_is_tried_all_the_time_is_told_once)
{
	int fd = client_connect();

	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(open_ld0(fd, "a", 4096, 512, true), -EINVAL);
	ck_assert_uint_eq(events_last(luns.events), 1);
	fake.check = -EINVAL; /* another sentence */
	ck_assert_int_eq(open_ld0(fd, "a", 4096, 512, true), -EINVAL);
	ck_assert_uint_eq(events_last(luns.events), 2);
	/* An administrator who types it again wants to see it again. */
	luns.refusals.newest_first[0].time_us = 7;
	ck_assert_int_eq(open_ld0(fd, "a", 4096, 512, false), -EINVAL);
	ck_assert_uint_eq(events_last(luns.events), 3);
	ck_assert_str_eq(devices(&luns.refusals), "a");
	close(fd);
}
END_TEST

START_TEST(a_check_is_not_kept)
{
	int fd = client_connect();

	ck_assert_int_eq(client_check(fd, "hba/g2/ld9").head.status, -ENOENT);
	ck_assert_uint_eq(luns.refusals.n, 0);
	ck_assert_uint_eq(events_last(luns.events), 0);
	close(fd);
}
END_TEST

START_TEST(a_unit_that_nobody_knows_is_told_without_its_name)
{
	int fd = client_connect();

	ck_assert_int_eq(client_open(fd, "a", "hba/g2/ld9", 1).head.status, -ENOENT);
	ck_assert_int_eq(client_open(fd, "b", "nonsense", 1).head.status, -EINVAL);
	ck_assert_str_eq(devices(&luns.refusals), "b a");
	ck_assert_str_eq(events_after(luns.events, 0)->unit, "");
	ck_assert_str_eq(events_after(luns.events, 1)->unit, "");
	/* A unit without an identity has a name. */
	ck_assert_int_eq(client_open(fd, "c", "hba/g2/pd8", 1).head.status, -EMEDIUMTYPE);
	ck_assert_str_eq(events_after(luns.events, 2)->unit, "pd8");
	ck_assert_str_eq(events_after(luns.events, 2)->naa, "");
	close(fd);
}
END_TEST

START_TEST(a_ring_that_cannot_be_opened_or_started_is_a_refusal)
{
	int fd = client_connect();
	uint64_t handle;

	fake.create_ring = -EAGAIN;
	client_open(fd, "a", "hba/g2/ld0", 1);
	ck_assert_str_eq(devices(&luns.refusals), "a");
	fake.create_ring = 0;
	handle = client_open(fd, "b", "hba/g2/ld0", 1).handle;
	fake.start = -EIO;
	ck_assert_int_eq(client_handle(fd, HANDOFF_START, handle).head.status, -EIO);
	ck_assert_str_eq(devices(&luns.refusals), "b a");
	ck_assert_ptr_nonnull(strstr(luns.refusals.newest_first[0].reason, "makes no sense"));
	ck_assert_str_eq(luns.refusals.newest_first[0].cfgstring, "hba/g2/ld0");
	fake.start = 0;
	handle = client_serve(fd, "b", "hba/g2/ld0", 1);
	ck_assert_str_eq(devices(&luns.refusals), "a");
	/* A second START is the handler's mistake, not a backstore's. */
	ck_assert_int_eq(client_handle(fd, HANDOFF_START, handle).head.status, -EALREADY);
	ck_assert_str_eq(devices(&luns.refusals), "a");
	close(fd);
}
END_TEST

START_TEST(a_refused_size_of_a_served_backstore_is_kept_until_it_fits_or_the_backstore_goes)
{
	int fd = client_connect();
	uint64_t handle = client_serve(fd, "a", "hba/g2/ld0", 1);

	ck_assert_int_eq(client_resize(fd, handle, 4096).head.status, -EINVAL);
	ck_assert_str_eq(devices(&luns.refusals), "a");
	ck_assert_ptr_nonnull(strstr(
		luns.refusals.newest_first[0].reason, "has 1048576 bytes as far as hbad knows, not 2097152"));
	ck_assert_ptr_nonnull(strstr(luns.refusals.newest_first[0].reason, "hbactl rescan g2"));
	ck_assert_str_eq(events_after(luns.events, 0)->unit, "ld0");
	ck_assert_int_eq(client_resize(fd, handle, 2048).head.status, 0);
	ck_assert_uint_eq(luns.refusals.n, 0);
	ck_assert_int_eq(client_resize(fd, handle, 4096).head.status, -EINVAL);
	ck_assert_int_eq(client_handle(fd, HANDOFF_CLOSE, handle).head.status, 0);
	ck_assert_uint_eq(luns.refusals.n, 0);
	/* Nobody's. */
	ck_assert_int_eq(client_resize(fd, handle, 4096).head.status, -ENOENT);
	ck_assert_uint_eq(luns.refusals.n, 0);
	close(fd);
}
END_TEST

START_TEST(names_that_no_message_may_have_are_kept_as_they_came)
{
	int fd = client_connect();
	struct handoff_open m = open_msg("a\xff\x1b", "hba/g2/ld0", 1);

	ck_assert_int_eq(client_send_open(fd, &m).head.status, -EINVAL);
	ck_assert_str_eq(devices(&luns.refusals), "a\xff\x1b");
	m = open_msg("b\xff", "hba/g2/ld0", 1);
	ck_assert_int_eq(client_send_open(fd, &m).head.status, -EINVAL);
	ck_assert_str_eq(devices(&luns.refusals), "b\xff a\xff\x1b");
	ck_assert_ptr_nonnull(strstr(luns.refusals.newest_first[0].reason, "is not UTF-8: rename it"));
	/* Without an end. */
	m = open_msg("", "", 1);
	memset(m.cfgstring, 'x', sizeof(m.cfgstring));
	memset(m.device, 'y', sizeof(m.device));
	ck_assert_int_eq(client_send_open(fd, &m).head.status, -EINVAL);
	ck_assert_uint_eq(strlen(luns.refusals.newest_first[0].device), HANDOFF_NAME_LEN - 1);
	ck_assert_uint_eq(strlen(luns.refusals.newest_first[0].cfgstring), HANDOFF_CFG_LEN - 1);
	close(fd);
}
END_TEST

START_TEST(messages_that_name_no_backstore_are_not_kept)
{
	int fd = client_connect();
	struct handoff_open m = open_msg("", "hba/g2/ld0", 1);
	struct handoff_head h;

	ck_assert_int_eq(client_send_open(fd, &m).head.status, -EINVAL);
	m = open_msg("a", "hba/g2/ld0", 1);
	m.head.version = HANDOFF_VERSION + 1;
	ck_assert_int_eq(client_send_open(fd, &m).head.status, -EPROTO);
	h = head_of(HANDOFF_PING, sizeof(h));
	h.version = HANDOFF_VERSION + 1;
	client_send(fd, &h, sizeof(h), -1, 0);
	ck_assert_int_eq(client_receive(fd).head.status, -EPROTO);
	ck_assert_uint_eq(luns.refusals.n, 0);
	close(fd);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("refusals");
	TCase *t = tcase_create("list"), *u = tcase_create("hand-off");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	suite_add_tcase(s, u);
	tcase_add_checked_fixture(t, list_clear, NULL);
	tcase_add_test(t, the_oldest_makes_room);
	tcase_add_test(t, a_device_is_listed_once_with_what_was_last);
	tcase_add_loop_test(
		t, the_same_once_more_is_newer_and_news_only_after_a_while, 0, ARRAY_SIZE(repeats));
	tcase_add_test(t, a_full_list_takes_a_known_device_without_loss);
	tcase_add_test(t, as_many_as_there_may_be_units_are_told_once);
	tcase_add_test(t, what_is_forgotten_leaves_the_others_in_order);
	tcase_add_test(t, what_is_too_long_is_cut);
	tcase_set_timeout(u, 100);
	tcase_add_checked_fixture(u, start, stop);
	tcase_add_test(u, a_wrong_size_is_kept_and_told_until_the_backstore_is_served);
	tcase_add_test(u, what_is_tried_all_the_time_is_told_once);
	tcase_add_test(u, a_check_is_not_kept);
	tcase_add_test(u, a_unit_that_nobody_knows_is_told_without_its_name);
	tcase_add_test(u, a_ring_that_cannot_be_opened_or_started_is_a_refusal);
	tcase_add_test(u, a_refused_size_of_a_served_backstore_is_kept_until_it_fits_or_the_backstore_goes);
	tcase_add_test(u, names_that_no_message_may_have_are_kept_as_they_came);
	tcase_add_test(u, messages_that_name_no_backstore_are_not_kept);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
