/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The thread that resets a function. */
#include <check.h>
#include <errno.h>
#include <semaphore.h>

#include "base/clock.h"
#include "pci/resetter.h"
#include "tests/unit/run_suite.h"

static struct {
	sem_t entered, go_on;
	int result;
	unsigned resets;
} fake;

static int fake_reset(struct pci_dev *dev, struct err *e)
{
	fake.resets++;
	sem_post(&fake.entered);
	sem_wait(&fake.go_on);
	return fake.result < 0 ? err_set(e, fake.result, "it does not want to") : 0;
}

static const struct pci_ops ops = {.name = "fake", .reset = fake_reset}, no_ops = {.name = "none"};
static struct pci_dev dev;
static struct pci_resetter *resetter;

static void setup(void)
{
	struct err e = {""};

	dev = (struct pci_dev){.ops = &ops, .uri = "fake"};
	sem_init(&fake.entered, 0, 0);
	sem_init(&fake.go_on, 0, 0);
	ck_assert_int_eq(pci_resetter_start(&dev, &resetter, &e), 0);
}

static void teardown(void)
{
	ck_assert(pci_resetter_stop(resetter));
}

static int result(struct err *e)
{
	int r;

	while ((r = pci_resetter_result(resetter, e)) == -EINPROGRESS)
		clock_sleep_ms(1);
	return r;
}

START_TEST(nobody_waits_for_a_reset)
{
	struct err e = {""};

	ck_assert_int_eq(pci_resetter_result(resetter, &e), -ENODATA);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_int_eq(pci_resetter_begin(resetter), 0);
		/* It stays in it, and we are here. */
		sem_wait(&fake.entered);
		ck_assert_int_eq(pci_resetter_result(resetter, &e), -EINPROGRESS);
		ck_assert_int_eq(pci_resetter_begin(resetter), -EBUSY);
		sem_post(&fake.go_on);
		ck_assert_int_eq(result(&e), 0);
		/* ... as often as one likes */
		ck_assert_int_eq(pci_resetter_result(resetter, NULL), 0);
		ck_assert_uint_eq(fake.resets, i + 1);
	}
	ck_assert_str_eq(e.text, "");
}
END_TEST

START_TEST(what_went_wrong_is_told)
{
	struct err e = {""};

	fake.result = -EIO;
	sem_post(&fake.go_on);
	pci_resetter_begin(resetter);
	ck_assert_int_eq(result(&e), -EIO);
	ck_assert_str_eq(e.text, "it does not want to");
	fake.result = 0;
	sem_post(&fake.go_on);
	pci_resetter_begin(resetter);
	ck_assert_int_eq(result(&e), 0);
	dev.ops = &no_ops;
	pci_resetter_begin(resetter);
	ck_assert_int_eq(result(&e), -ENOTSUP);
}
END_TEST

START_TEST(in_the_middle_of_a_reset_it_does_not_stop)
{
	pci_resetter_begin(resetter);
	sem_wait(&fake.entered);
	ck_assert(!pci_resetter_stop(resetter));
	clock_sleep_ms(20);
	ck_assert_uint_ge(pci_resetter_age_ns(resetter), 20 * NS_PER_MS);
	ck_assert_int_eq(pci_resetter_result(resetter, NULL), -EINPROGRESS);
	sem_post(&fake.go_on);
	ck_assert_int_eq(result(NULL), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("resets of a function");
	TCase *t = tcase_create("thread");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, nobody_waits_for_a_reset);
	tcase_add_test(t, what_went_wrong_is_told);
	tcase_add_test(t, in_the_middle_of_a_reset_it_does_not_stop);
	suite_add_tcase(s, t);
	return run_suite(s);
}
