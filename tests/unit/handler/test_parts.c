/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The small parts: configuration strings, the decoy, uio and configfs files, folders, the log. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "fake.h"
#include "handler/cfgfs.h"
#include "handler/cfgstring.h"
#include "handler/decoy.h"
#include "handler/hlog.h"
#include "handler/place.h"
#include "handler/timing.h"
#include "handler/uio.h"

bool __real_uio_held(const char *uio);

/* --- configuration strings --- */

#define A32 "a2345678901234567890123456789012"

static const struct {
	const char *text, *instance, *part; /* part: of the sentence, when it is refused */
} strings[] = {
	{"hba/g2/ld0", "g2", NULL},
	{"hba/g2/ld0;ro=1", "g2", NULL},
	{"hba/g2/naa.600605b0/x;y", "g2", NULL},
	{"hba/0/x", "0", NULL},
	{"hba/a_b-c/x", "a_b-c", NULL},
	{"hba/" A32 "/x", A32, NULL},
	{"hba/" A32 "3/x", NULL, "longer than 32"},
	{"hba/g2/ld0 \n", "g2", NULL},
	{"", NULL, "does not begin with"},
	{"h", NULL, "does not begin with"},
	{"hb/g2/ld0", NULL, "does not begin with"},
	{"hba", NULL, "does not begin with"},
	{"hbaa/g2/ld0", NULL, "does not begin with"},
	{"/g2/ld0", NULL, "does not begin with"},
	{"HBA/g2/ld0", NULL, "does not begin with"},
	{"hba/", NULL, "no controller name"},
	{"hba//ld0", NULL, "no controller name"},
	{"hba/G2/ld0", NULL, "no controller name"},
	{"hba/-g2/ld0", NULL, "no controller name"},
	{"hba/_g2/ld0", NULL, "no controller name"},
	{"hba/../ld0", NULL, "no controller name"},
	{"hba/g2.x/ld0", NULL, "no controller name"},
	{"hba/g2;ro=1", NULL, "no controller name"},
	{"hba/g2", NULL, "names no unit"},
	{"hba/g2/", NULL, "names no unit"},
	{"hba/g2/;ro=1", NULL, "names no unit"},
	{"hba/g2/ld0:1", NULL, "colon"},
	{"hba/g2/ld\n0", NULL, "control character"},
	{"hba/g2/ld\0330", NULL, "control character"},
	{"hba/g2/ld0;tcmur_cmd_time_out=5;ro=1", NULL, "tcmur_cmd_time_out"},
};

START_TEST(configuration_string)
{
	struct cfgstring c = {.instance = "before"};
	struct err e = {""};
	int r = cfgstring_parse(strings[_i].text, &c, &e);

	if (!strings[_i].part) {
		ck_assert_msg(!r, "%s: %s", strings[_i].text, e.text);
		ck_assert_str_eq(c.instance, strings[_i].instance);
		ck_assert(cfgstring_same(c.text, strings[_i].text));
		return;
	}
	ck_assert_msg(r < 0, "%s was accepted", strings[_i].text);
	ck_assert_msg(strstr(e.text, strings[_i].part), "%s: \"%s\"", strings[_i].text, e.text);
	ck_assert_str_eq(c.instance, "before");
}
END_TEST

START_TEST(configuration_string_as_long_as_the_kernel_allows)
{
	char text[300];
	struct cfgstring c;

	memset(text, 'x', sizeof(text));
	memcpy(text, "hba/g2/", 7);
	text[256] = '\0';
	ck_assert_int_eq(cfgstring_parse(text, &c, NULL), -ENAMETOOLONG);
	text[255] = '\0';
	ck_assert_int_eq(cfgstring_parse(text, &c, NULL), 0);
	ck_assert_uint_eq(strlen(c.text), 255);
}
END_TEST

START_TEST(white_space_at_the_end_does_not_matter)
{
	ck_assert(cfgstring_same("hba/g2/ld0", "hba/g2/ld0\n"));
	ck_assert(cfgstring_same("", "\n"));
	ck_assert(!cfgstring_same("hba/g2/ld0", "hba/g2/ld01"));
	ck_assert(!cfgstring_same("hba/g2/ld0", ""));
	ck_assert(!cfgstring_same(" hba/g2/ld0", "hba/g2/ld0"));
}
END_TEST

/* --- decoy --- */

START_TEST(decoy_is_an_empty_ring_and_a_quiet_descriptor)
{
	struct tcmu_device *dev = fake_device("vol1", "hba/g2/ld0", false);
	struct pollfd p = {.events = POLLIN};
	int quiet = -1;

	ck_assert_int_eq(decoy_lay(dev->fd, dev->map, dev->map_len, &quiet, NULL), 0);
	ck_assert(map_is_decoy(dev));
	p.fd = dev->fd;
	ck_assert_int_eq(poll(&p, 1, 0), 0);
	ck_assert_int_eq(fcntl(dev->fd, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(fcntl(quiet, F_GETFD), FD_CLOEXEC);
	/* What the runner does at the end works on it. */
	ck_assert_int_eq(close(dev->fd), 0);
	ck_assert_int_eq(munmap(dev->map, dev->map_len), 0);
	close(quiet);
}
END_TEST

START_TEST(decoy_leaves_the_real_ring_alone)
{
	struct tcmu_device *dev = fake_device("vol1", "hba/g2/ld0", false);
	uint32_t *real = mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, dev->real_fd, 0);
	int quiet = -1;

	ck_assert_int_eq(decoy_lay(dev->fd, dev->map, dev->map_len, &quiet, NULL), 0);
	ck_assert_uint_eq(real[3], 0x340);
	ck_assert_uint_eq(real[16], 0x1c0);
	/* nor does the kernel's progress show */
	real[3] = 0x400;
	ck_assert(map_is_decoy(dev));
	close(quiet);
}
END_TEST

START_TEST(decoy_needs_a_page)
{
	struct tcmu_device *dev = fake_device("vol1", "hba/g2/ld0", false);
	unsigned before = open_fds();
	int quiet = -1;

	ck_assert_int_eq(decoy_lay(dev->fd, dev->map, 100, &quiet, NULL), -EINVAL);
	ck_assert_uint_eq(open_fds(), before);
	ck_assert_int_eq(quiet, -1);
}
END_TEST

START_TEST(decoy_with_a_bad_descriptor_fails)
{
	struct tcmu_device *dev = fake_device("vol1", "hba/g2/ld0", false);
	unsigned before = open_fds();
	struct err e = {""};
	int quiet = -1;

	ck_assert_int_lt(decoy_lay(-1, dev->map, dev->map_len, &quiet, &e), 0);
	ck_assert_uint_eq(open_fds(), before);
	ck_assert_ptr_nonnull(strstr(e.text, "descriptor"));
}
END_TEST

/* --- uio --- */

static const struct {
	const char *name;
	int r;
	unsigned hba;
	const char *device, *config;
} uio_names[] = {
	{"tcm-user/7/vol 1/hba/g2/ld0;ro=1\n", 0, 7, "vol 1", "hba/g2/ld0;ro=1"},
	{"tcm-user/0/v/hba/g2/ld0\n\n", 0, 0, "v", "hba/g2/ld0\n"},
	{"tcm-user/12/v/\n", 0, 12, "v", ""},
	{"tcm-user/0/v", -EPROTO, 0, NULL, NULL},
	{"tcm-user/0//x", -EPROTO, 0, NULL, NULL},
	{"tcm-user//v/x", -EPROTO, 0, NULL, NULL},
	{"tcm-user/x/v/x", -EPROTO, 0, NULL, NULL},
	{"tcm-user", -EPROTO, 0, NULL, NULL},
	{"pci-uio", -EPROTO, 0, NULL, NULL},
	{"", -EPROTO, 0, NULL, NULL},
};

START_TEST(uio_name_is_taken_apart)
{
	struct uio_name n;
	struct err e = {""};

	fake_write("uio/uio9/name", uio_names[_i].name);
	ck_assert_int_eq(uio_describe("uio9", &n, &e), uio_names[_i].r);
	if (uio_names[_i].r) {
		ck_assert_ptr_nonnull(strstr(e.text, "uio9"));
		return;
	}
	ck_assert_uint_eq(n.hba, uio_names[_i].hba);
	ck_assert_str_eq(n.device, uio_names[_i].device);
	ck_assert_str_eq(n.config, uio_names[_i].config);
}
END_TEST

START_TEST(uio_devices_are_found_by_configuration)
{
	char found[4][UIO_NAME_LEN];

	fake_device("a", "hba/g2/ld0", true);
	fake_device("b", "hba/g2/ld1", true);
	fake_device("c", "hba/g2/ld0\n", true);
	fake_write("uio/uio77/name", "something else\n");
	ck_assert_uint_eq(uio_find("hba/g2/ld1", found, 4), 1);
	ck_assert_str_eq(found[0], "uio1");
	ck_assert_uint_eq(uio_find("hba/g2/ld0", found, 4), 2);
	ck_assert_uint_eq(uio_find("hba/g2/ld0", found, 1), 1);
	ck_assert_uint_eq(uio_find("hba/g2/ld", found, 4), 0);
	setenv("HBAD_UIO_CLASS", "/nonexistent", 1);
	ck_assert_uint_eq(uio_find("hba/g2/ld0", found, 4), 0);
}
END_TEST

START_TEST(device_that_can_be_opened_is_not_held)
{
	fake_device("a", "hba/g2/ld0", true);
	ck_assert(!__real_uio_held("uio0"));
	ck_assert(!__real_uio_held("uio1")); /* absent: the runner's own open tells */
}
END_TEST

START_TEST(holder_is_named)
{
	struct tcmu_device *dev = fake_device("a", "hba/g2/ld0", true);
	char text[160], expected[64];

	uio_holders("uio0", text, sizeof(text));
	snprintf(expected, sizeof(expected), "process %d (", (int)getpid());
	ck_assert_msg(!strncmp(text, expected, strlen(expected)), "%s", text);
	close(dev->fd);
	close(dev->real_fd);
	munmap(dev->map, dev->map_len);
	uio_holders("uio0", text, sizeof(text));
	ck_assert_str_eq(text, "an unknown process");
}
END_TEST

/* --- configfs --- */

START_TEST(configfs_files_are_opened_and_read)
{
	unsigned before = open_fds();
	struct cfgfs c;

	fake_device("a", "hba/g2/ld0", true);
	fake_write("cfg/target/core/user_0/a/attrib/emulate_write_cache", "1\n");
	before = open_fds();
	ck_assert_int_eq(cfgfs_open(&c, 0, "a", NULL), 0);
	ck_assert(c.configured && c.write_cache);
	ck_assert(c.tmr_notification >= 0 && c.nl_reply_supported >= 0);
	cfgfs_close(&c);
	ck_assert_uint_eq(open_fds(), before);
}
END_TEST

START_TEST(new_device_is_told_from_an_existing_one)
{
	struct cfgfs c;

	fake_device("a", "hba/g2/ld0", false);
	ck_assert_int_eq(cfgfs_open(&c, 0, "a", NULL), 0);
	ck_assert(!c.configured && !c.write_cache);
	cfgfs_close(&c);
}
END_TEST

START_TEST(netlink_replies_that_a_user_switched_off_stay_off)
{
	struct cfgfs c;

	fake_device("a", "hba/g2/ld0", false);
	fake_write("cfg/target/core/user_0/a/attrib/nl_reply_supported", "-1\n");
	ck_assert_int_eq(cfgfs_open(&c, 0, "a", NULL), 0);
	ck_assert_int_eq(c.nl_reply_supported, -1);
	cfgfs_close(&c);
}
END_TEST

static const char *const required[] = {"action/block_dev", "action/reset_ring", "attrib/cmd_time_out"};
static const char *const optional[] = {
	"attrib/tmr_notification", "attrib/nl_reply_supported", "attrib/emulate_write_cache", "enable"};

static void remove_file(const char *file)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/cfg/target/core/user_0/a/%s", fake.root, file);
	ck_assert_int_eq(unlink(path), 0);
}

START_TEST(missing_file_is_named)
{
	unsigned before;
	struct err e = {""};
	struct cfgfs c;

	fake_device("a", "hba/g2/ld0", true);
	before = open_fds();
	remove_file(required[_i]);
	ck_assert_int_eq(cfgfs_open(&c, 0, "a", &e), -ENOENT);
	ck_assert_ptr_nonnull(strstr(e.text, required[_i]));
	ck_assert_uint_eq(open_fds(), before);
}
END_TEST

START_TEST(missing_optional_file_is_none)
{
	struct cfgfs c;

	fake_device("a", "hba/g2/ld0", true);
	remove_file(optional[_i]);
	ck_assert_int_eq(cfgfs_open(&c, 0, "a", NULL), 0);
	cfgfs_close(&c);
}
END_TEST

START_TEST(values_are_written_at_the_beginning)
{
	struct cfgfs c;
	char text[16];

	fake_device("a", "hba/g2/ld0", true);
	ck_assert_int_eq(cfgfs_open(&c, 0, "a", NULL), 0);
	cfgfs_write(c.cmd_time_out, "7");
	cfgfs_write(c.cmd_time_out, "8");
	ck_assert_int_eq(cfgfs_read(c.cmd_time_out, text, sizeof(text)), 0);
	ck_assert_str_eq(text, "8");
	ck_assert_int_eq(cfgfs_write(-1, "1"), -EBADF);
	ck_assert_int_eq(cfgfs_read(-1, text, sizeof(text)), -EBADF);
	cfgfs_close(&c);
}
END_TEST

/* configfs: what a descriptor has shown it shows again, until something is written through it; nothing is refused. */
static struct {
	int fd;
	char shown[32];
	ssize_t n;
	bool full;
} page = {.fd = -1};

ssize_t __real_pread(int fd, void *buf, size_t size, off_t at);
ssize_t __real_pwrite(int fd, const void *buf, size_t size, off_t at);
ssize_t __wrap_pread(int fd, void *buf, size_t size, off_t at);
ssize_t __wrap_pwrite(int fd, const void *buf, size_t size, off_t at);

ssize_t __wrap_pread(int fd, void *buf, size_t size, off_t at)
{
	if (fd != page.fd || fd < 0)
		return __real_pread(fd, buf, size, at);
	if (!page.full)
		page.n = __real_pread(fd, page.shown, sizeof(page.shown), 0);
	page.full = true;
	ck_assert(page.n >= 0 && (size_t)page.n <= size);
	memcpy(buf, page.shown, (size_t)page.n);
	return page.n;
}

ssize_t __wrap_pwrite(int fd, const void *buf, size_t size, off_t at)
{
	if (fd != page.fd || fd < 0)
		return __real_pwrite(fd, buf, size, at);
	page.full = false;
	if (size)
		return __real_pwrite(fd, buf, size, at);
	errno = EFAULT;
	return -1;
}

/* H3: what a restore has written is seen. */
START_TEST(values_that_others_write_are_seen)
{
	struct cfgfs c;
	char text[16];

	fake_device("a", "hba/g2/ld0", true);
	ck_assert_int_eq(cfgfs_open(&c, 0, "a", NULL), 0);
	page.fd = c.cmd_time_out;
	ck_assert_int_eq(cfgfs_read(c.cmd_time_out, text, sizeof(text)), 0);
	ck_assert_str_eq(text, "5");
	fake_write("cfg/target/core/user_0/a/attrib/cmd_time_out", "30\n");
	ck_assert_int_eq(cfgfs_read(c.cmd_time_out, text, sizeof(text)), 0);
	ck_assert_str_eq(text, "30");
	page.fd = -1;
	cfgfs_close(&c);
}
END_TEST

/* --- log --- */

START_TEST(long_sentences_are_split_at_spaces)
{
	char text[451] = "";

	for (int i = 0; i < 45; i++)
		strcat(text, "nine char ");
	text[449] = '\0';
	hlog_err("%s", text);
	/* 200 bytes fit: twenty of them less the last space, twenty again, five */
	ck_assert_uint_eq(log_count("nine char"), 3);
	ck_assert_uint_eq(log_count("nine char\n"), 3);
	ck_assert_uint_eq(log_count("nin\n"), 0);
}
END_TEST

START_TEST(words_longer_than_a_line_are_cut)
{
	char text[500];

	memset(text, 'w', sizeof(text));
	text[499] = '\0';
	hlog_info("%s", text);
	ck_assert_uint_eq(log_count("www"), 3);
}
END_TEST

START_TEST(folders_are_where_they_belong)
{
	unsetenv("HBAD_RUNTIME_DIR");
	unsetenv("HBAD_CONFIG_DIR");
	setenv("HBAD_CONFIGFS", "", 1);
	unsetenv("HBAD_UIO_CLASS");
	unsetenv("HBAD_DEV");
	ck_assert_str_eq(place_runtime(), "/run/hbad");
	ck_assert_str_eq(place_config(), "/etc/hbad");
	ck_assert_str_eq(place_configfs(), "/sys/kernel/config");
	ck_assert_str_eq(place_uio(), "/sys/class/uio");
	ck_assert_str_eq(place_dev(), "/dev");
}
END_TEST

#define ADD_TABLE(tc, test, table) tcase_add_loop_test(tc, test, 0, ARRAY_SIZE(table))

static Suite *suite(void)
{
	Suite *s = suite_create("handler parts");
	TCase *t = tcase_create("parts");

	tcase_set_timeout(t, 20);
	tcase_add_checked_fixture(t, fake_setup, fake_teardown);
	ADD_TABLE(t, configuration_string, strings);
	tcase_add_test(t, configuration_string_as_long_as_the_kernel_allows);
	tcase_add_test(t, white_space_at_the_end_does_not_matter);
	tcase_add_test(t, decoy_is_an_empty_ring_and_a_quiet_descriptor);
	tcase_add_test(t, decoy_leaves_the_real_ring_alone);
	tcase_add_test(t, decoy_needs_a_page);
	tcase_add_test(t, decoy_with_a_bad_descriptor_fails);
	ADD_TABLE(t, uio_name_is_taken_apart, uio_names);
	tcase_add_test(t, uio_devices_are_found_by_configuration);
	tcase_add_test(t, device_that_can_be_opened_is_not_held);
	tcase_add_test(t, holder_is_named);
	tcase_add_test(t, configfs_files_are_opened_and_read);
	tcase_add_test(t, new_device_is_told_from_an_existing_one);
	tcase_add_test(t, netlink_replies_that_a_user_switched_off_stay_off);
	ADD_TABLE(t, missing_file_is_named, required);
	ADD_TABLE(t, missing_optional_file_is_none, optional);
	tcase_add_test(t, values_are_written_at_the_beginning);
	tcase_add_test(t, values_that_others_write_are_seen);
	tcase_add_test(t, long_sentences_are_split_at_spaces);
	tcase_add_test(t, words_longer_than_a_line_are_cut);
	tcase_add_test(t, folders_are_where_they_belong);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return run_suite(suite());
}
