/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The plugin as the runner loads it: this program exports what tcmu-runner and libtcmu do. */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include "fake.h"
#include "handler/timing.h"

static void *load(void)
{
	void *so = dlopen(PLUGIN, RTLD_NOW | RTLD_LOCAL);

	ck_assert_msg(so != NULL, "%s", dlerror());
	return so;
}

static int init(void *so)
{
	int (*handler_init)(void);

	*(void **)&handler_init = dlsym(so, "handler_init");
	ck_assert_ptr_nonnull(handler_init);
	return handler_init();
}

static void setup(void)
{
	setenv("HBAD_RUNTIME_DIR", "/nonexistent", 1);
	setenv("HBAD_CONFIG_DIR", "/nonexistent", 1);
	setenv("HBAD_UIO_CLASS", "/nonexistent", 1);
	fake.register_result = 0;
	fake.handler = NULL;
}

START_TEST(plugin_registers_itself)
{
	char *reason = NULL;

	ck_assert_int_eq(init(load()), 0);
	ck_assert_ptr_nonnull(fake.handler);
	ck_assert_str_eq(fake.handler->subtype, "hba");
	ck_assert(!fake.handler->check_config("hba/g2/ld0", &reason));
	ck_assert_ptr_nonnull(strstr(reason, "there is no controller \"g2\"; known: none"));
	free(reason);
	fake.handler->destroy();
}
END_TEST

START_TEST(plugin_loaded_twice_reports_it)
{
	void *so = load();

	ck_assert_int_eq(init(so), 0);
	fake.register_result = -1;
	ck_assert_int_eq(init(so), -1);
	fake.handler->destroy();
}
END_TEST

START_TEST(plugin_exports_nothing_else)
{
	void *so = load();

	/* Found here, and in the runner's process perhaps, but not through the plugin. */
	ck_assert_ptr_nonnull(dlsym(RTLD_DEFAULT, "link_call"));
	ck_assert_ptr_null(dlsym(so, "link_call"));
	ck_assert_ptr_null(dlsym(so, "err_set"));
	ck_assert_ptr_null(dlsym(so, "handler_register"));
}
END_TEST

START_TEST(times_are_those_of_the_contract)
{
	ck_assert_uint_eq(timing.call, 3000);
	ck_assert_uint_eq(timing.open, 8000);
	ck_assert_uint_eq(timing.hello, 5000);
	ck_assert_uint_eq(timing.ping, 3000);
	ck_assert_uint_eq(timing.silent, 15000);
	/* A few pings may get lost before anybody is killed; a guard looks more often than initiators give up. */
	ck_assert_uint_ge(timing.silent, 4 * timing.ping);
	ck_assert_uint_le(timing.retry, 1000);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("handler plugin");
	TCase *t = tcase_create("plugin");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, plugin_registers_itself);
	tcase_add_test(t, plugin_loaded_twice_reports_it);
	tcase_add_test(t, plugin_exports_nothing_else);
	tcase_add_test(t, times_are_those_of_the_contract);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return run_suite(suite());
}
