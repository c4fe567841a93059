/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When root is asked to bind a controller that was plugged in again, and when not. */
#include "daemon/returned.c"
#include "run_suite.h"

#include <glib/gstdio.h>
#include <sys/stat.h>

static struct hbad d;
static char *dir, *file;
static struct pci_uevent queue[4];
static unsigned n_queue, soon;
static int pipe_fd[2];
static bool deaf; /* the kernel gives no socket */

/* --- the layers below --- */

struct uevents *uevents_open(void)
{
	return deaf ? NULL : (struct uevents *)queue;
}

void uevents_close(struct uevents *u)
{
}

int uevents_fd(struct uevents *u)
{
	return pipe_fd[0];
}

bool uevents_next(struct uevents *u, struct pci_uevent *ret)
{
	if (!n_queue)
		return false;
	*ret = queue[--n_queue];
	return true;
}

void hbad_look_soon(struct hbad *self)
{
	soon++;
}

/* --- the rig --- */

static void setup(void)
{
	memset(&d, 0, sizeof(d));
	log_set_level(LOG_LV_ERR - 1);
	dir = g_dir_make_tmp("hbad-returned-XXXXXX", NULL);
	d.runtime_dir = dir;
	d.name = "g2";
	g_strlcpy(d.config.device, "0000:03:00.0", sizeof(d.config.device));
	file = g_strdup_printf("%s/g2", dir);
	ck_assert_int_eq(g_mkdir(file, 0755), 0);
	g_free(file);
	file = g_strdup_printf("%s/g2/unbound", dir);
	ck_assert_int_eq(pipe(pipe_fd), 0);
	n_queue = soon = 0;
	deaf = false;
	d.phase = HBAD_AWAY;
	hbad_returned_begin(&d);
}

static void teardown(void)
{
	g_autofree char *folder = g_path_get_dirname(file);

	hbad_returned_end(&d);
	close(pipe_fd[0]);
	close(pipe_fd[1]);
	g_unlink(file);
	g_rmdir(folder);
	g_rmdir(dir);
	g_free(file);
	g_free(dir);
}

/* Root was asked since the last call. */
static bool asked(void)
{
	bool there = g_file_test(file, G_FILE_TEST_IS_REGULAR);

	g_unlink(file);
	return there;
}

static void happens(enum pci_uevent_kind kind, const char *addr, const char *driver)
{
	queue[0] = (struct pci_uevent){.kind = kind, .vendor = 0x1000};
	g_strlcpy(queue[0].addr, addr, sizeof(queue[0].addr));
	g_strlcpy(queue[0].driver, driver, sizeof(queue[0].driver));
	n_queue = 1;
	ck_assert_int_eq(write(pipe_fd[1], "x", 1), 1);
	g_main_context_iteration(NULL, FALSE);
	ck_assert_uint_eq(n_queue, 0);
	ck_assert_int_eq(read(pipe_fd[0], &(char){0}, 1), 1);
}

static void time_passes(uint64_t ns)
{
	d.returns.ask_ns -= MIN(ns, d.returns.ask_ns);
}

/* --- tests --- */

START_TEST(what_is_plugged_in_in_its_place_is_asked_for_at_once)
{
	happens(PCI_UEVENT_ADD, "0000:03:00.0", "");
	ck_assert(asked());
	ck_assert_uint_eq(soon, 1);
	/* Bound: looked at now. */
	happens(PCI_UEVENT_BIND, "0000:03:00.0", "vfio-pci");
	ck_assert_uint_eq(soon, 2);
	ck_assert(!asked());
}
END_TEST

START_TEST(the_configuration_may_have_a_short_address)
{
	g_strlcpy(d.config.device, "3:0.0", sizeof(d.config.device));
	happens(PCI_UEVENT_ADD, "0000:03:00.0", "");
	ck_assert(asked());
}
END_TEST

START_TEST(other_places_drivers_and_events_are_nobody_s_business)
{
	happens(PCI_UEVENT_ADD, "0000:04:00.0", "");
	happens(PCI_UEVENT_REMOVE, "0000:03:00.0", "");
	happens(PCI_UEVENT_BIND, "0000:03:00.0", "megaraid_sas");
	happens(PCI_UEVENT_OTHER, "0000:03:00.0", "");
	ck_assert(!asked());
	ck_assert_uint_eq(soon, 0);
}
END_TEST

START_TEST(nothing_is_asked_for_while_it_runs)
{
	d.phase = HBAD_RUN;
	happens(PCI_UEVENT_ADD, "0000:03:00.0", "");
	ck_assert(!asked());
	ck_assert_uint_eq(soon, 0);
}
END_TEST

/* Somebody has unbound it by hand, to update its firmware perhaps. */
START_TEST(one_that_has_never_left_is_not_taken_from_whoever_has_it)
{
	for (unsigned i = 0; i < 100; i++) {
		hbad_returned_not(&d, -ENXIO);
		time_passes(10 * NS_PER_SEC);
	}
	ck_assert(!asked());
}
END_TEST

/* Uevents are lost when too many come, or there are none. */
START_TEST(one_that_a_look_has_missed_is_asked_for_when_a_look_finds_it)
{
	hbad_returned_not(&d, -ENOENT);
	ck_assert(!asked());
	hbad_returned_not(&d, -ENXIO);
	ck_assert(asked());
}
END_TEST

START_TEST(root_is_asked_more_and_more_rarely)
{
	unsigned n = 0;

	happens(PCI_UEVENT_ADD, "0000:03:00.0", "");
	ck_assert(asked());
	hbad_returned_not(&d, -ENXIO);
	ck_assert(!asked());
	time_passes(FIRST_PAUSE_NS);
	hbad_returned_not(&d, -ENXIO);
	ck_assert(asked());
	time_passes(FIRST_PAUSE_NS);
	hbad_returned_not(&d, -ENXIO);
	ck_assert(!asked());
	/* A day of looks */
	for (unsigned i = 0; i < 8640; i++) {
		hbad_returned_not(&d, -ENXIO);
		time_passes(10 * NS_PER_SEC);
		n += asked();
	}
	ck_assert_uint_ge(n, 280);
	ck_assert_uint_le(n, 295);
	/* What comes next is asked for at once. */
	happens(PCI_UEVENT_ADD, "0000:03:00.0", "");
	ck_assert(asked());
}
END_TEST

START_TEST(one_that_is_found_ends_it)
{
	happens(PCI_UEVENT_ADD, "0000:03:00.0", "");
	ck_assert(asked());
	hbad_returned_found(&d);
	time_passes(LONGEST_PAUSE_NS);
	hbad_returned_not(&d, -ENXIO);
	ck_assert(!asked());
}
END_TEST

/* The file may be anything by now; hbad neither follows a link nor waits for a reader. */
START_TEST(a_file_that_is_none_is_not_written_to)
{
	g_autofree char *other = g_strdup_printf("%s/other", dir);

	ck_assert_int_eq(_i ? mkfifo(file, 0600) : symlink(other, file), 0);
	happens(PCI_UEVENT_ADD, "0000:03:00.0", "");
	ck_assert(!g_file_test(other, G_FILE_TEST_EXISTS));
	ck_assert_uint_eq(soon, 1);
}
END_TEST

START_TEST(a_served_device_is_bound_by_nobody)
{
	hbad_returned_end(&d);
	g_strlcpy(d.config.device, "vfio-user:/run/x.sock", sizeof(d.config.device));
	hbad_returned_begin(&d);
	ck_assert_ptr_null(d.returns.uevents);
}
END_TEST

START_TEST(without_uevents_it_goes_on)
{
	hbad_returned_end(&d);
	deaf = true;
	hbad_returned_begin(&d);
	ck_assert_uint_eq(d.returns.source, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("returned");
	TCase *c = tcase_create("ask");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, what_is_plugged_in_in_its_place_is_asked_for_at_once);
	tcase_add_test(c, the_configuration_may_have_a_short_address);
	tcase_add_test(c, other_places_drivers_and_events_are_nobody_s_business);
	tcase_add_test(c, nothing_is_asked_for_while_it_runs);
	tcase_add_test(c, one_that_has_never_left_is_not_taken_from_whoever_has_it);
	tcase_add_test(c, one_that_a_look_has_missed_is_asked_for_when_a_look_finds_it);
	tcase_add_test(c, root_is_asked_more_and_more_rarely);
	tcase_add_test(c, one_that_is_found_ends_it);
	tcase_add_loop_test(c, a_file_that_is_none_is_not_written_to, 0, 2);
	tcase_add_test(c, a_served_device_is_bound_by_nobody);
	tcase_add_test(c, without_uevents_it_goes_on);
	suite_add_tcase(s, c);
	return run_suite(s);
}
