/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The whole daemon above fake layers: one that leaves its controller running, and the next one. */
#include "daemon.h"

#define HANDED_OVER "host-detach, drain, freeze, host-destroy, leave, let-go"

static char *ask_for_upgrade(void)
{
	struct err e = {""};
	char *reply = NULL;

	ck_assert_msg(!proto_call(temp_dir, "g2", "upgrade", FAKE_LIMIT_MS, &reply, &e), "%s", e.text);
	return reply;
}

static char *left_note(void)
{
	char *text = NULL;

	g_file_get_contents(temp_path("g2/upgrade"), &text, NULL, NULL);
	return text;
}

/* H11: descriptors go into the store at the end of a drained stop. */
START_TEST(an_upgrade_hands_the_controller_over)
{
	g_autofree char *reply = NULL, *note = NULL;

	spawn();
	ck_assert(told("READY=1"));
	expect_status("\"taken_over\":false");
	fake_calls();
	reply = ask_for_upgrade();
	ck_assert_msg(strstr(reply, "\"in_place\":true,\"reason\":\"\"") != NULL, "%s", reply);
	ck_assert_int_eq(ended(), 0);
	ck_assert_str_eq(fake_calls(), HANDED_OVER);
	ck_assert_msg(strstr(hear(), "FDNAME=hbad-memory-0\nFDSTORE=1\nFDPOLL=0\nFDNAME=hbad-device\n"
				     "FDSTORE=1\nFDPOLL=0\nFDNAME=hbad-group\n"
				     "FDSTORE=1\nFDPOLL=0\nFDNAME=hbad-container\n"
				     "FDSTORE=1\nFDPOLL=0\nFDNAME=hbad-record\nBARRIER=1\n") != NULL,
		"%s", hear());
	note = left_note();
	ck_assert_ptr_null(note);
}
END_TEST

START_TEST(an_upgrade_waits_for_the_gates_as_a_stop_does)
{
	int watch = serve_and_watch();

	g_free(ask_for_upgrade());
	client_expect_stopping(watch, 90);
	client_plain(watch, HANDOFF_GATED);
	ck_assert_int_eq(ended(), 0);
	ck_assert_str_eq(fake_calls(), "drain a, stop a, destroy a, unlun ld0, " HANDED_OVER);
	close(watch);
}
END_TEST

START_TEST(what_cannot_be_handed_over_is_shut_down)
{
	g_autofree char *reply = NULL, *note = NULL;

	spawn();
	ck_assert(told("READY=1"));
	fake_calls();
	fake.can_freeze = -ENOTSUP;
	reply = ask_for_upgrade();
	ck_assert_msg(
		strstr(reply, "\"in_place\":false") && strstr(reply, "the fake driver cannot"), "%s", reply);
	ck_assert_int_eq(ended(), 0);
	ck_assert_str_eq(fake_calls(), DOWN);
	ck_assert(!told_already("FDSTORE"));
	note = left_note();
	ck_assert_str_eq(note, "the fake driver cannot");
}
END_TEST

START_TEST(without_a_store_it_is_shut_down)
{
	g_autofree char *reply = NULL;

	unsetenv("FDSTORE");
	spawn();
	ck_assert(told("READY=1"));
	fake_calls();
	reply = ask_for_upgrade();
	ck_assert_msg(
		strstr(reply, "\"in_place\":false") && strstr(reply, "FileDescriptorStoreMax="), "%s", reply);
	ck_assert_int_eq(ended(), 0);
	ck_assert_str_eq(fake_calls(), DOWN);
}
END_TEST

START_TEST(what_does_not_freeze_is_shut_down)
{
	g_autofree char *reply = NULL, *note = NULL;

	fake.hba_freeze = -EIO;
	spawn();
	ck_assert(told("READY=1"));
	fake_calls();
	reply = ask_for_upgrade();
	ck_assert_ptr_nonnull(strstr(reply, "\"in_place\":true"));
	ck_assert_int_eq(ended(), 0);
	ck_assert_str_eq(fake_calls(), "host-detach, drain, freeze, halt, host-destroy, close");
	ck_assert(!told_already("FDSTORE"));
	note = left_note();
	ck_assert_str_eq(note, "freeze failed");
}
END_TEST

/* H11: descriptors of a stop that was not drained are not kept. */
START_TEST(what_is_not_drained_in_time_is_shut_down)
{
	int watch = serve_and_watch();
	g_autofree char *reply = NULL, *note = NULL;

	fake.drain = -ETIMEDOUT;
	reply = ask_for_upgrade();
	client_expect_stopping(watch, 90);
	client_plain(watch, HANDOFF_GATED);
	ck_assert_int_eq(ended(), 0);
	ck_assert_str_eq(fake_calls(), "drain a, stop a, destroy a, unlun ld0, " DOWN);
	note = left_note();
	ck_assert_str_eq(note, "not all commands were done in time");
	close(watch);
}
END_TEST

/* 1: it could not have been handed over, and there was a note of that. */
START_TEST(what_is_to_be_stopped_meanwhile_is_shut_down)
{
	int watch = serve_and_watch();
	g_autofree char *reply = NULL, *note = NULL;

	fake.can_freeze = _i ? -ENOTSUP : 0;
	reply = ask_for_upgrade();
	client_expect_stopping(watch, 90);
	kill(pid, SIGTERM);
	/* An answer: the signal has been read. */
	expect_status("\"state\":\"stopping\"");
	client_plain(watch, HANDOFF_GATED);
	ck_assert_int_eq(ended(), 0);
	ck_assert_str_eq(fake_calls(), "drain a, stop a, destroy a, unlun ld0, " DOWN);
	ck_assert(!told_already("FDSTORE=1"));
	/* Not for whoever is started some day. */
	note = left_note();
	ck_assert_ptr_null(note);
	close(watch);
}
END_TEST

START_TEST(what_was_not_flushed_is_an_error_here_too)
{
	g_autofree char *reply = NULL;

	fake.hba_freeze = fake.hba_stop = -EIO;
	spawn();
	ck_assert(told("READY=1"));
	reply = ask_for_upgrade();
	ck_assert_int_eq(ended(), 1);
	ck_assert(!told_already("FDSTORE=1"));
}
END_TEST

START_TEST(an_upgrade_needs_a_controller_that_runs)
{
	g_autofree char *reply = NULL;
	struct err e = {""};

	fake.boot_held = true;
	spawn();
	wait_for_socket();
	fake_boot_reached();
	ck_assert_int_eq(proto_call(temp_dir, "g2", "upgrade", FAKE_LIMIT_MS, &reply, &e), -EREMOTEIO);
	ck_assert_ptr_nonnull(strstr(e.text, "not ready"));
	fake_boot_go();
	ck_assert(told("STATUS=Fake"));
	kill(pid, SIGTERM);
	ck_assert_int_eq(ended(), 0);
}
END_TEST

START_TEST(the_next_one_goes_on)
{
	is_next = true;
	spawn();
	ck_assert(told("READY=1"));
	ck_assert_str_eq(fake_calls(), "import, adopt, start, host-attach, trim");
	/* A crash from now on closes the device. */
	ck_assert(told_already("FDSTOREREMOVE=1\nFDNAME=hbad-device"));
	expect_status("\"taken_over\":true,\"start_note\":\"\"");
	kill(pid, SIGTERM);
	ck_assert_int_eq(ended(), 0);
	ck_assert_str_eq(fake_calls(), DOWN);
}
END_TEST

static const struct {
	size_t step;
	const char *calls, *note;
} misfits[] = {
	{offsetof(struct fake_answers, hba_import), "import, ", "import failed"},
	{offsetof(struct fake_answers, hba_adopt), "import, adopt, close, ", "adopt failed"},
};

START_TEST(the_next_one_starts_anew_what_it_cannot_use)
{
	g_autofree char *calls =
		g_strconcat(misfits[_i].calls, "open, attach, start, host-attach, trim", NULL);

	memcpy((char *)&fake + misfits[_i].step, &(int){-EBADMSG}, sizeof(int));
	is_next = true;
	spawn();
	ck_assert(told("READY=1"));
	ck_assert_str_eq(fake_calls(), calls);
	expect_status("\"taken_over\":false");
	expect_status(misfits[_i].note);
	kill(pid, SIGTERM);
	ck_assert_int_eq(ended(), 0);
}
END_TEST

START_TEST(another_device_in_the_configuration_is_started)
{
	device = "0000:04:00.0";
	is_next = true;
	spawn();
	ck_assert(told("READY=1"));
	ck_assert_str_eq(fake_calls(), "open, attach, start, host-attach, trim");
	expect_status("the configuration says another device");
	kill(pid, SIGTERM);
	ck_assert_int_eq(ended(), 0);
}
END_TEST

START_TEST(why_not_is_told_once)
{
	temp_write("g2/upgrade", "it was \033[2J too late");
	spawn();
	ck_assert(told("READY=1"));
	expect_status("too late");
	expect_status("\"taken_over\":false");
	ck_assert_int_lt(access(temp_path("g2/upgrade"), F_OK), 0);
	kill(pid, SIGTERM);
	ck_assert_int_eq(ended(), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("upgrade");
	TCase *t = tcase_create("upgrade");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	tcase_set_timeout(t, 100);
	tcase_add_checked_fixture(t, start, stop);
	tcase_add_test(t, an_upgrade_hands_the_controller_over);
	tcase_add_test(t, an_upgrade_waits_for_the_gates_as_a_stop_does);
	tcase_add_test(t, what_cannot_be_handed_over_is_shut_down);
	tcase_add_test(t, without_a_store_it_is_shut_down);
	tcase_add_test(t, what_does_not_freeze_is_shut_down);
	tcase_add_test(t, what_is_not_drained_in_time_is_shut_down);
	tcase_add_loop_test(t, what_is_to_be_stopped_meanwhile_is_shut_down, 0, 2);
	tcase_add_test(t, what_was_not_flushed_is_an_error_here_too);
	tcase_add_test(t, an_upgrade_needs_a_controller_that_runs);
	tcase_add_test(t, the_next_one_goes_on);
	tcase_add_loop_test(t, the_next_one_starts_anew_what_it_cannot_use, 0, ARRAY_SIZE(misfits));
	tcase_add_test(t, another_device_in_the_configuration_is_started);
	tcase_add_test(t, why_not_is_told_once);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
