/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When root is asked to bind a controller that was plugged in again, and when not. */
#include "daemon/returned.c"
#include "run_suite.h"
#include "tests/unit/control/temp.h"

#include <glib/gstdio.h>
#include <sys/stat.h>

static struct hbad d;
static char *file, *slot;
static struct pci_uevent queue[4];
static unsigned n_queue, soon, gone;
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

static const struct pci_dev card = {.id = {.vendor = 0x1000, .device = 0x0079}};
static const struct hba controller = {.pci = (struct pci_dev *)&card};

static void write_id(const char *what, unsigned id)
{
	g_autofree char *path = g_strdup_printf("%s/%s", slot, what), *text = g_strdup_printf("0x%04x\n", id);

	ck_assert(g_file_set_contents(path, text, -1, NULL));
}

/* Nothing is removed before the end: a file system may use the number of a folder that is gone for the next one. */
static void slot_is_empty(void)
{
	g_autofree char *to = g_strdup_printf("%s/gone-%u", temp_dir, gone++);

	ck_assert_int_eq(rename(slot, to), 0);
}

static void slot_has(unsigned vendor, unsigned device)
{
	ck_assert_int_eq(g_mkdir_with_parents(slot, 0755), 0);
	write_id("vendor", vendor);
	write_id("device", device);
}

static void is_bound_to(const char *driver)
{
	g_autofree char *path = g_strdup_printf("%s/driver", slot);
	g_autofree char *to = g_strdup_printf("../../drivers/%s", driver);

	unlink(path);
	if (*driver)
		ck_assert_int_eq(symlink(to, path), 0);
}

static void setup(void)
{
	memset(&d, 0, sizeof(d));
	log_set_level(LOG_LV_ERR - 1);
	temp_make();
	d.runtime_dir = d.sysfs_root = temp_dir;
	d.name = "g2";
	g_strlcpy(d.config.device, "0000:03:00.0", sizeof(d.config.device));
	temp_write("g2/status", "");
	file = g_strdup(temp_path("g2/unbound"));
	slot = g_strdup(temp_path("sys/bus/pci/devices/0000:03:00.0"));
	slot_has(0x1000, 0x0079);
	is_bound_to("vfio-pci");
	ck_assert_int_eq(pipe(pipe_fd), 0);
	n_queue = soon = gone = 0;
	deaf = false;
	d.phase = HBAD_AWAY;
	hbad_returned_begin(&d);
	hbad_returned_up(&d, &controller);
}

static void teardown(void)
{
	hbad_returned_end(&d);
	close(pipe_fd[0]);
	close(pipe_fd[1]);
	temp_remove();
	g_free(slot);
	g_free(file);
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
	queue[0] = (struct pci_uevent){.kind = kind, .vendor = 0x1000, .device = 0x0079};
	g_strlcpy(queue[0].addr, addr, sizeof(queue[0].addr));
	g_strlcpy(queue[0].driver, driver, sizeof(queue[0].driver));
	n_queue = 1;
	ck_assert_int_eq(write(pipe_fd[1], "x", 1), 1);
	g_main_context_iteration(NULL, FALSE);
	ck_assert_uint_eq(n_queue, 0);
	ck_assert_int_eq(read(pipe_fd[0], &(char){0}, 1), 1);
}

static void is_pulled_and_put_in(unsigned device)
{
	slot_is_empty();
	slot_has(0x1000, device);
}

static void arrives(void)
{
	is_pulled_and_put_in(0x0079);
	happens(PCI_UEVENT_ADD, "0000:03:00.0", "");
}

static void time_passes(uint64_t ns)
{
	d.returns.ask_ns -= MIN(ns, d.returns.ask_ns);
}

/* How often root is asked in some 1,000 s. */
static unsigned looks_find(int result)
{
	unsigned n = 0;

	for (unsigned i = 0; i < 100; i++) {
		hbad_returned_not(&d, result);
		time_passes(10 * NS_PER_SEC);
		n += asked();
	}
	return n;
}

/* --- tests --- */

START_TEST(what_is_plugged_in_in_its_place_is_asked_for_at_once)
{
	arrives();
	ck_assert(asked());
	ck_assert_uint_eq(soon, 1);
	/* Bound: looked at now. */
	is_bound_to("vfio-pci");
	happens(PCI_UEVENT_BIND, "0000:03:00.0", "vfio-pci");
	ck_assert_uint_eq(soon, 2);
	ck_assert(!asked());
}
END_TEST

START_TEST(the_configuration_may_have_a_short_address)
{
	g_strlcpy(d.config.device, "3:0.0", sizeof(d.config.device));
	arrives();
	ck_assert(asked());
}
END_TEST

START_TEST(other_places_drivers_and_events_are_nobody_s_business)
{
	is_pulled_and_put_in(0x0079);
	happens(PCI_UEVENT_ADD, "0000:04:00.0", "");
	happens(PCI_UEVENT_BIND, "0000:03:00.0", "megaraid_sas");
	happens(PCI_UEVENT_OTHER, "0000:03:00.0", "");
	ck_assert(!asked());
	ck_assert_uint_eq(soon, 0);
}
END_TEST

START_TEST(nothing_is_asked_for_while_it_runs)
{
	d.phase = HBAD_RUN;
	arrives();
	ck_assert(!asked());
	ck_assert_uint_eq(soon, 0);
	happens(PCI_UEVENT_LOST, "", "");
	ck_assert_uint_eq(soon, 0);
}
END_TEST

/* Somebody has unbound it by hand, to update its firmware perhaps; whatever events there are, or were. */
START_TEST(one_that_has_never_left_is_not_taken_from_whoever_has_it)
{
	is_bound_to("megaraid_sas");
	happens(PCI_UEVENT_ADD, "0000:03:00.0", "");
	happens(PCI_UEVENT_LOST, "", "");
	ck_assert_uint_eq(looks_find(-ENXIO), 0);
	ck_assert_uint_eq(looks_find(-EACCES), 0);
}
END_TEST

/* There are none, or not all. */
START_TEST(no_event_is_needed)
{
	if (_i) {
		slot_is_empty();
		hbad_returned_not(&d, -ENOENT);
		asked();
		slot_has(0x1000, 0x0079);
	} else {
		is_pulled_and_put_in(0x0079);
		happens(PCI_UEVENT_LOST, "", "");
		ck_assert_uint_eq(soon, 1);
	}
	ck_assert(!asked());
	hbad_returned_not(&d, -ENXIO);
	ck_assert(asked());
}
END_TEST

/* What has /dev/vfio/vfio or the group's node missing says -ENOENT, too. */
START_TEST(a_missing_node_is_no_absence)
{
	hbad_returned_not(&d, -ENOENT);
	is_bound_to("");
	hbad_returned_not(&d, -ENXIO);
	ck_assert(!asked());
}
END_TEST

/* Root binds nothing there, but takes back what hbad's user was granted. */
START_TEST(an_empty_place_is_told_root_once)
{
	slot_is_empty();
	ck_assert_uint_eq(looks_find(-ENOENT), 1);
}
END_TEST

/* A network adapter */
START_TEST(another_device_in_its_place_is_told_root_once)
{
	is_pulled_and_put_in(0x1521);
	is_bound_to("igb");
	if (_i)
		happens(PCI_UEVENT_ADD, "0000:03:00.0", "");
	ck_assert_uint_eq(looks_find(-ENXIO), 1);
	/* It makes room again. */
	arrives();
	ck_assert(asked());
}
END_TEST

/* Another HBA, or firmware that does not start: it was bound, and whoever unbinds it then has a reason. */
START_TEST(one_that_was_bound_is_asked_for_no_more)
{
	static const int results[] = {-EEXIST, -EIO, -EBUSY, -ETIMEDOUT, -ENODEV};

	arrives();
	ck_assert(asked());
	is_bound_to("vfio-pci");
	hbad_returned_not(&d, results[_i]);
	is_bound_to(_i % 2 ? "" : "megaraid_sas");
	time_passes(LONGEST_PAUSE_NS);
	ck_assert_uint_eq(looks_find(-ENXIO), 0);
	ck_assert(!asked());
}
END_TEST

/* vfio-pci.ids= on the kernel's command line: bound, but nobody has given it to hbad's user. */
START_TEST(one_that_hbad_may_not_open_is_asked_for)
{
	is_pulled_and_put_in(0x0079);
	is_bound_to("vfio-pci");
	hbad_returned_not(&d, -EACCES);
	ck_assert(asked());
	/* Root has nothing more to give: something else is refused (capture=), and it counts as bound. */
	ck_assert_uint_eq(looks_find(-EACCES), ASKED_TOO_OFTEN - 1);
	is_bound_to("megaraid_sas");
	ck_assert_uint_eq(looks_find(-ENXIO), 0);
}
END_TEST

/* The look found it without a driver, and vfio-pci has it a moment later; or it had it when the event was read. */
START_TEST(one_that_was_bound_behind_the_look_is_judged_by_the_next)
{
	is_pulled_and_put_in(0x0079);
	is_bound_to("vfio-pci");
	if (_i)
		hbad_returned_not(&d, -ENXIO);
	else
		happens(PCI_UEVENT_ADD, "0000:03:00.0", "");
	ck_assert(!asked());
	hbad_returned_not(&d, _i ? -EACCES : -EPERM);
	ck_assert(asked());
}
END_TEST

/* Who is pulled and put in ten times a day does not wait longer each time. */
START_TEST(pauses_begin_anew_when_it_was_gone)
{
	arrives();
	for (unsigned i = 0; i < 10; i++) {
		time_passes(LONGEST_PAUSE_NS);
		hbad_returned_not(&d, -ENXIO);
	}
	ck_assert(asked());
	ck_assert_uint_eq(d.returns.pause_ns, LONGEST_PAUSE_NS);
	ck_assert_uint_eq(d.returns.asked, 11);
	is_pulled_and_put_in(0x0079);
	hbad_returned_not(&d, -ENXIO);
	ck_assert(asked());
	ck_assert_uint_eq(d.returns.pause_ns, 2 * FIRST_PAUSE_NS);
	ck_assert_uint_eq(d.returns.asked, 1);
}
END_TEST

START_TEST(root_is_asked_more_and_more_rarely)
{
	unsigned n = 0;

	arrives();
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
	arrives();
	ck_assert(asked());
}
END_TEST

static bool told_why(void)
{
	g_autofree char *text = NULL;

	fflush(stderr);
	ck_assert(g_file_get_contents(temp_path("log"), &text, NULL, NULL));
	return strstr(text, "journalctl -u hbad-bind@g2");
}

START_TEST(where_the_reason_is_is_told_once)
{
	log_set_level(LOG_LV_WARN);
	ck_assert_ptr_nonnull(freopen(temp_path("log"), "w", stderr));
	arrives();
	time_passes(LONGEST_PAUSE_NS);
	hbad_returned_not(&d, -ENXIO);
	ck_assert(!told_why());
	time_passes(LONGEST_PAUSE_NS);
	hbad_returned_not(&d, -ENXIO);
	ck_assert(told_why());
	ck_assert_int_eq(truncate(temp_path("log"), 0), 0);
	time_passes(LONGEST_PAUSE_NS);
	hbad_returned_not(&d, -ENXIO);
	ck_assert(!told_why());
}
END_TEST

START_TEST(one_that_is_found_ends_it)
{
	arrives();
	ck_assert(asked());
	hbad_returned_up(&d, &controller);
	time_passes(LONGEST_PAUSE_NS);
	ck_assert_uint_eq(looks_find(-ENXIO), 0);
}
END_TEST

/* The file may be anything by now: hbad neither follows a link nor waits for a reader, and systemd finds a file. */
START_TEST(what_stands_in_the_place_of_the_file_goes)
{
	const char *other = temp_path("other");

	if (_i == 0)
		ck_assert_int_eq(symlink(other, file), 0);
	else if (_i == 1)
		ck_assert_int_eq(mkfifo(file, 0600), 0);
	else if (_i == 2)
		ck_assert_int_eq(mkdir(file, 0700), 0);
	else
		ck_assert_int_eq(symlink("unbound", file), 0);
	arrives();
	ck_assert(!g_file_test(other, G_FILE_TEST_EXISTS));
	ck_assert(asked());
}
END_TEST

START_TEST(a_served_device_is_bound_by_nobody)
{
	hbad_returned_end(&d);
	g_strlcpy(d.config.device, "vfio-user:/run/x.sock", sizeof(d.config.device));
	hbad_returned_begin(&d);
	ck_assert_ptr_null(d.returns.uevents);
	hbad_returned_up(&d, &controller);
	ck_assert_uint_eq(looks_find(-ENOENT), 0);
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
	tcase_add_loop_test(c, no_event_is_needed, 0, 2);
	tcase_add_test(c, a_missing_node_is_no_absence);
	tcase_add_test(c, an_empty_place_is_told_root_once);
	tcase_add_loop_test(c, another_device_in_its_place_is_told_root_once, 0, 2);
	tcase_add_loop_test(c, one_that_was_bound_is_asked_for_no_more, 0, 5);
	tcase_add_test(c, one_that_hbad_may_not_open_is_asked_for);
	tcase_add_loop_test(c, one_that_was_bound_behind_the_look_is_judged_by_the_next, 0, 2);
	tcase_add_test(c, pauses_begin_anew_when_it_was_gone);
	tcase_add_test(c, root_is_asked_more_and_more_rarely);
	tcase_add_test(c, where_the_reason_is_is_told_once);
	tcase_add_test(c, one_that_is_found_ends_it);
	tcase_add_loop_test(c, what_stands_in_the_place_of_the_file_goes, 0, 4);
	tcase_add_test(c, a_served_device_is_bound_by_nobody);
	tcase_add_test(c, without_uevents_it_goes_on);
	suite_add_tcase(s, c);
	return run_suite(s);
}
