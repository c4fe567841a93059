/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A create whose every library call fails once: open() fails with a sentence in the log, hbad holds nothing and lives,
 * and neither descriptor, memory nor the runner's ring is lost. Or the call was one that open() can do without. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake.h"
#include "handler/decoy.h"
#include "tests/unit/steps.h"

static struct tcmu_device *dev;
static unsigned quiet; /* descriptors while there is no backstore */

/* As the runner does before open() ... */
static void runner_opens(void)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/dev/%s", fake.root, dev->uio);
	dev->fd = open(path, O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(dev->fd, 0);
	dev->map = mmap(NULL, dev->map_len, PROT_READ | PROT_WRITE, MAP_SHARED, dev->fd, 0);
	ck_assert(dev->map != MAP_FAILED);
	dev->priv = NULL;
}

/* ... and after it, or after close(). */
static void runner_closes(void)
{
	munmap(dev->map, dev->map_len);
	close(dev->fd);
}

/* Only once the watcher has come to it: then it has its connection, and hangs up when there is nothing left to watch. One
 * that was about to connect might do so at any time later, between somebody's counts of descriptors. */
static void delete_backstore(unsigned pings)
{
	steps_pause(true);
	eventually(hbad_count(fake.a, "PING") > pings);
	steps_pause(false);
	record_fail("vol1/block_dev", ENOENT);
	fake.handler->close(dev);
	record_fail("vol1/block_dev", 0);
}

static unsigned sockets(void)
{
	unsigned n = 0;
	char path[32], target[16];

	for (int fd = 0; fd < 1024; fd++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n += readlink(path, target, sizeof(target)) >= 7 && strncmp(target, "socket:", 7) == 0;
	}
	return n;
}

static int create(struct err *e)
{
	unsigned said, pings;
	int r;

	steps_pause(true);
	said = log_count("hba/g2/ld0");
	pings = hbad_count(fake.a, "PING");
	runner_opens();
	steps_pause(false);

	r = fake.handler->open(dev, false);
	steps_up();
	if (r == 0)
		delete_backstore(pings);

	steps_pause(true);
	if (r < 0 && log_count("hba/g2/ld0") > said)
		err_set(e, r, "it is in the log");
	ck_assert(hbad_alive(fake.a));
	runner_closes();
	eventually(open_fds() == quiet);
	steps_pause(false);
	return r;
}

static void setup(void)
{
	fake_setup();
	hbad_start(fake.a);
	dev = fake_device("vol1", "hba/g2/ld0", false);
	close(dev->fd);
	munmap(dev->map, dev->map_len);
}

START_TEST(every_step_gives_everything_back)
{
	/* open, pread: files of configfs that say what the backstore is like, with a sensible answer when they say
	 * nothing. pwrite: an attribute, which the watcher writes again. write: to eventfds, which wake somebody
	 * sooner. */
	static const char *const dispensable[] = {"open", "pread", "pwrite", "write", NULL};
	static const struct steps s = {.attempt = create, .dispensable = dispensable, .at_least = 20};
	const unsigned before = sockets();
	struct err e = {""};

	/* The watcher's thread and its descriptors stay for the instance's next device. */
	runner_opens();
	ck_assert_int_eq(fake.handler->open(dev, false), 0);
	delete_backstore(0);
	runner_closes();
	eventually(hbad_count(fake.a, "CLOSE"));
	eventually(sockets() == before);
	quiet = open_fds();
	ck_assert_int_eq(create(&e), 0);

	steps_run(&s);
	ck_assert_uint_eq(record_count("vol1/reset_ring=1"), 0);
}
END_TEST

/* --- the decoy alone --- */

static int lay_decoy(struct err *e)
{
	int quiet = -1, r;

	steps_pause(true);
	runner_opens();
	steps_pause(false);
	r = decoy_lay(dev->fd, dev->map, dev->map_len, &quiet, e);
	steps_up();
	/* open() does this when hbad may have the ring: then it must succeed, and there is no other one. */
	if (r < 0)
		ck_assert_int_eq(decoy_lay(dev->fd, dev->map, dev->map_len, &quiet, NULL), 0);
	ck_assert(map_is_decoy(dev));
	close(quiet);
	steps_pause(true);
	runner_closes();
	steps_pause(false);
	return r;
}

START_TEST(decoy_that_failed_half_way_can_be_laid_again)
{
	static const struct steps s = {.attempt = lay_decoy, .at_least = 4};

	steps_run(&s);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("handler open steps");
	TCase *t = tcase_create("steps");

	tcase_set_timeout(t, 110);
	tcase_add_checked_fixture(t, setup, fake_teardown);
	tcase_add_test(t, every_step_gives_everything_back);
	tcase_add_test(t, decoy_that_failed_half_way_can_be_laid_again);
	suite_add_tcase(s, t);
	return run_suite(s);
}
