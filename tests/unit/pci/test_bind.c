/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Binding and giving back, with a fake kernel behind the writes: order, refusals, roll-back. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "fake_tree.h"
#include "daemon/pci/bind.h"
#include "daemon/pci/sysfs.h"
#include "daemon/pci/uevent.h"
#include "open_fds.h"

static struct err e;

/* What was done, one word per step, and the one that is to fail. */
static char steps[1024];
static const char *fail_step;
static int fail_code;
static bool no_node, late_node, late_driver, silent_probe, subscribed;
static unsigned waits;

static int step(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int step(const char *fmt, ...)
{
	char word[128];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(word, sizeof(word), fmt, ap);
	va_end(ap);
	if (steps[0])
		strcat(steps, " ");
	strcat(steps, word);
	return fail_step && strcmp(fail_step, word) == 0 ? -fail_code : 0;
}

static void now_driver(const char *driver)
{
	if (driver)
		put_link("/sys/bus/pci/devices/" HBA "/driver", str("../../drivers/%s", driver));
	else
		drop("/sys/bus/pci/devices/" HBA "/driver");
	if (driver && strcmp(driver, "vfio-pci") == 0 && !no_node && !late_node)
		put("/dev/vfio/12", "%s", "");
	else
		drop("/dev/vfio/12");
}

static bool ends(const char *path, const char *tail)
{
	size_t a = strlen(path), b = strlen(tail);

	return a >= b && strcmp(path + a - b, tail) == 0;
}

static unsigned fds_in_unbind;

static bool marked(void)
{
	return access(str("%s/run/hbad/.vfio/12", root), F_OK) == 0;
}

static bool marked_at_bind;

/* The kernel's part. */
static int k_write(const char *path, const char *text)
{
	char driver[32];
	int r;

	ck_assert(strncmp(path, root, strlen(root)) == 0);
	path += strlen(root);
	if (strcmp(path, "/sys/bus/pci/devices/" HBA "/driver_override") == 0)
		return step("override=%s", strcmp(text, "\n") == 0 ? "-" : text);
	ck_assert_str_eq(text, HBA);
	if (strcmp(path, "/sys/bus/pci/drivers_probe") == 0) {
		r = step("probe");
		if (r == 0 && !silent_probe)
			now_driver("megaraid_sas");
		return r;
	}
	ck_assert_int_eq(sscanf(path, "/sys/bus/pci/drivers/%31[^/]/", driver), 1);
	if (strcmp(driver, "megaraid_sas") == 0 && ends(path, "/unbind"))
		fds_in_unbind = open_fds();
	if (strcmp(driver, "vfio-pci") == 0 && ends(path, "/bind"))
		marked_at_bind = marked();
	r = step("%s:%s", driver, strrchr(path, '/') + 1);
	if (r == 0)
		now_driver(ends(path, "/bind") ? driver : NULL);
	return r;
}

static int k_load(const char *name, struct err *err)
{
	int r = step("load:%.8s", name);

	return r < 0 ? err_set(err, r, "no module %s", name) : 0;
}

static int k_claim(const char *path)
{
	return disk_claim(path);
}

static struct uevents *k_open(void)
{
	step("listen");
	subscribed = true;
	return NULL;
}

static void k_close(struct uevents *u)
{
	subscribed = false;
}

static void k_wait(struct uevents *u, unsigned timeout_ms)
{
	ck_assert(subscribed);
	ck_assert_uint_le(timeout_ms, 250);
	waits++;
	usleep(1000 * MIN(timeout_ms, 10u));
	if (late_node && waits == 3)
		put("/dev/vfio/12", "%s", "");
	if (late_driver && waits == 3)
		now_driver("megaraid_sas");
}

/* What comes is waited for as long as it takes, what does not come for a moment. */
#define PATIENT_MS 60000
static const struct bind_sys kernel = {
	k_write, k_load, k_claim, k_open, k_close, k_wait, PATIENT_MS, PATIENT_MS, NULL};
static const struct bind_sys hasty_kernel = {k_write, k_load, k_claim, k_open, k_close, k_wait, 60, 60, NULL};

static void setup(void)
{
	memset(&e, 0, sizeof(e));
	steps[0] = '\0';
	fail_step = NULL;
	no_node = late_node = late_driver = silent_probe = marked_at_bind = false;
	waits = 0;
	root_make();
	put_mounts("");
	put_function(HBA, "0x010400", 12, "megaraid_sas");
	put_disk(HBA, "sda", "8:0");
}

static const char *driver(void)
{
	static char name[64];
	char target[256];
	ssize_t n = readlink(str("%s/sys/bus/pci/devices/" HBA "/driver", root), target, sizeof(target) - 1);

	if (n < 0)
		return "";
	target[n] = '\0';
	strcpy(name, strrchr(target, '/') + 1);
	return name;
}

#define LOADS "load:vfio_pci load:vfio_iom"

START_TEST(binding_listens_before_it_writes_and_tells_the_driver_before)
{
	char previous[32];

	ck_assert_msg(bind_vfio(&kernel, root, "3:0.0", previous, &e) == 0, "%s", e.text);
	ck_assert_str_eq(steps, LOADS " listen override=vfio-pci megaraid_sas:unbind vfio-pci:bind");
	ck_assert_str_eq(previous, "megaraid_sas");
	ck_assert_str_eq(driver(), "vfio-pci");
	ck_assert(!subscribed);
}
END_TEST

static void *bind_beside(void *ret_previous)
{
	return (void *)(intptr_t)bind_vfio(&kernel, root, HBA, ret_previous, &e);
}

/* Held by this process: another open file. */
static int lock_of(const char *addr)
{
	int fd;

	put(str("/run/hbad/.vfio/lock-%s", addr), "%s", "");
	fd = open(str("%s/run/hbad/.vfio/lock-%s", root, addr), O_RDWR);
	ck_assert_int_eq(flock(fd, LOCK_EX), 0);
	return fd;
}

/* By somebody besides us */
static bool has_lock_open(void)
{
	unsigned n = 0;
	char path[PATH_MAX];

	for (int fd = 0; fd < 64; fd++) {
		ssize_t len = readlink(str("/proc/self/fd/%d", fd), path, sizeof(path) - 1);

		n += len > 0 && (path[len] = '\0', ends(path, "/lock-" HBA));
	}
	return n > 1;
}

/* The start of hbad and hbad-bind@.service: the later one must find what the first has done, not what was before it. */
START_TEST(one_binding_waits_for_the_other)
{
	char previous[32] = "x";
	pthread_t other;
	void *r;
	int fd;

	fd = lock_of(HBA);
	ck_assert_int_eq(pthread_create(&other, NULL, bind_beside, previous), 0);
	while (!has_lock_open())
		usleep(1000);
	usleep(100 * 1000);
	ck_assert_str_eq(steps, "");
	now_driver("vfio-pci");
	close(fd);
	pthread_join(other, &r);
	ck_assert_msg(!r, "%s", e.text);
	ck_assert_str_eq(steps, "");
	ck_assert_str_eq(previous, "");
}
END_TEST

/* A kernel driver that hangs in its remove: its HBA's lock is never free again. */
START_TEST(one_that_is_stuck_is_told_and_keeps_nobody_else)
{
	char previous[32];
	int fd = lock_of(HBA);

	ck_assert_int_eq(bind_vfio(&hasty_kernel, root, HBA, previous, &e), -EBUSY);
	ck_assert_msg(strstr(e.text, "another hbactl is still moving " HBA), "%s", e.text);
	ck_assert_int_eq(unbind_vfio(&hasty_kernel, root, HBA, "", PATIENT_MS, &e), -EBUSY);
	ck_assert_str_eq(steps, "");
	close(fd);
	fd = lock_of("0000:04:00.0");
	ck_assert_int_eq(bind_vfio(&kernel, root, HBA, previous, &e), 0);
	close(fd);
}
END_TEST

static const char *one_of_ours(uint16_t vendor, uint16_t device)
{
	return vendor == 0x1000 && device == 0x0079 ? "SAS2108" : NULL;
}

/* A network adapter is in the slot of the HBA now: its driver keeps it, and hbad's user has nothing of it. */
START_TEST(what_hbad_does_not_know_is_not_bound)
{
	struct bind_sys knowing = kernel;
	char previous[32];

	knowing.known = one_of_ours;
	put("/run/hbad/.vfio/12", HBA "\n");
	put("/sys/bus/pci/devices/" HBA "/vendor", "0x8086\n");
	put("/sys/bus/pci/devices/" HBA "/device", "0x1521\n");
	ck_assert_int_eq(bind_vfio(&knowing, root, HBA, previous, &e), -ENOTSUP);
	ck_assert_msg(strstr(e.text, HBA " (8086:1521) is no controller that hbad knows"), "%s", e.text);
	ck_assert_str_eq(steps, "");
	ck_assert(!marked());
	put("/sys/bus/pci/devices/" HBA "/vendor", "0x1000\n");
	put("/sys/bus/pci/devices/" HBA "/device", "0x0079\n");
	ck_assert_msg(bind_vfio(&knowing, root, HBA, previous, &e) == 0, "%s", e.text);
}
END_TEST

/* The probe of the kernel's driver, which the first write waits for, shows a disk that somebody mounts. */
static int k_write_after_a_probe(const char *path, const char *text)
{
	if (ends(path, "/driver_override") && strcmp(text, "\n") != 0) {
		now_driver("megaraid_sas");
		put_mounts("40 22 8:0 / /srv rw - ext4 /dev/sda rw\n");
	}
	return k_write(path, text);
}

START_TEST(disks_that_a_probe_shows_are_seen)
{
	struct bind_sys probing = kernel;
	char previous[32] = "x";

	probing.write = k_write_after_a_probe;
	now_driver(NULL);
	ck_assert_int_eq(bind_vfio(&probing, root, HBA, previous, &e), -EBUSY);
	ck_assert_msg(strstr(e.text, "sda is mounted on /srv"), "%s", e.text);
	ck_assert_str_eq(steps, LOADS " listen override=vfio-pci override=-");
	ck_assert_str_eq(driver(), "megaraid_sas");
	ck_assert(!subscribed);
}
END_TEST

/* Its kernel driver was the faster one: as it would have been without us. */
START_TEST(one_that_had_no_driver_may_end_with_one)
{
	char previous[32];

	now_driver(NULL);
	no_node = true;
	fail_step = "vfio-pci:unbind"; /* fake: what is left behind counts as a driver */
	fail_code = EIO;
	ck_assert_int_eq(bind_vfio(&hasty_kernel, root, HBA, previous, &e), -ETIMEDOUT);
	ck_assert_msg(!strstr(e.text, "given back"), "%s", e.text);
}
END_TEST

static bool locked_at_write;

static int k_write_and_look(const char *path, const char *text)
{
	int fd = open(str("%s/run/hbad/.vfio/lock-" HBA, root), O_RDWR);

	locked_at_write = flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK;
	close(fd);
	return k_write(path, text);
}

START_TEST(giving_back_keeps_others_from_binding)
{
	struct bind_sys looking = kernel;

	looking.write = k_write_and_look;
	now_driver("vfio-pci");
	ck_assert_int_eq(unbind_vfio(&looking, root, HBA, "megaraid_sas", PATIENT_MS, &e), 0);
	ck_assert(locked_at_write);
}
END_TEST

START_TEST(group_is_marked_for_udev_before_its_node_appears)
{
	char previous[32];

	ck_assert_int_eq(bind_vfio(&kernel, root, HBA, previous, &e), 0);
	ck_assert(marked_at_bind);
	ck_assert(marked());
	ck_assert_int_eq(unbind_vfio(&kernel, root, HBA, "megaraid_sas", PATIENT_MS, &e), 0);
	ck_assert(!marked());
}
END_TEST

static bool mark_is_there(int group)
{
	return access(str("%s/run/hbad/.vfio/%d", root, group), F_OK) == 0;
}

/* It was unplugged: the number of its group may be another device's next. Marks of others stay. */
START_TEST(mark_of_a_function_that_is_gone_goes)
{
	char previous[32];

	ck_assert_int_eq(bind_vfio(&kernel, root, HBA, previous, &e), 0);
	put("/run/hbad/.vfio/77", "0000:77:00.0\n");
	put("/run/hbad/.vfio/78", "%s", "");
	put("/run/hbad/.vfio/other", HBA "\n");
	drop("/sys/bus/pci/devices/" HBA);
	if (_i == 0)
		pci_revoke_vfio(root, HBA);
	else if (_i == 1)
		ck_assert_int_eq(bind_vfio(&kernel, root, HBA, previous, &e), -ENOENT);
	else
		ck_assert_int_eq(unbind_vfio(&kernel, root, HBA, "megaraid_sas", PATIENT_MS, &e), -ENOENT);
	ck_assert(!marked());
	ck_assert(mark_is_there(77));
	ck_assert(mark_is_there(78));
	ck_assert(access(str("%s/run/hbad/.vfio/other", root), F_OK) == 0);
}
END_TEST

/* Plugged in again it may be in another group. */
START_TEST(mark_of_an_older_group_goes)
{
	char previous[32];

	put("/run/hbad/.vfio/7", HBA "\n");
	put("/run/hbad/.vfio/8", "0000:77:00.0\n");
	ck_assert_int_eq(bind_vfio(&kernel, root, HBA, previous, &e), 0);
	ck_assert(marked());
	ck_assert(!mark_is_there(7));
	ck_assert(mark_is_there(8));
}
END_TEST

START_TEST(mark_that_cannot_be_made_changes_nothing)
{
	char previous[32];

	put("/run/hbad/.vfio", "a file in the way\n");
	ck_assert_int_eq(bind_vfio(&kernel, root, HBA, previous, &e), -ENOTDIR);
	ck_assert_msg(strstr(e.text, "cannot lock /run/hbad/.vfio/lock-" HBA), "%s", e.text);
	ck_assert_str_eq(driver(), "megaraid_sas");
}
END_TEST

/* Before any unit has made /run/hbad: hbad's user has to pass through it. */
START_TEST(folders_of_marks_do_not_depend_on_roots_umask)
{
	static const char *const folders[] = {"/run/hbad", "/run/hbad/.vfio"};
	mode_t before = umask(0077);
	char previous[32];
	struct stat st;

	ck_assert_int_eq(bind_vfio(&kernel, root, HBA, previous, &e), 0);
	umask(before);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_int_eq(stat(str("%s%s", root, folders[i]), &st), 0);
		ck_assert_uint_eq(st.st_mode & 07777, 0755);
	}
}
END_TEST

START_TEST(bound_group_is_given_to_a_user)
{
	struct passwd *me = getpwuid(geteuid());
	struct stat st;

	ck_assert_ptr_nonnull(me);
	ck_assert_int_eq(pci_grant_vfio(root, HBA, me->pw_name, &e), -ENOENT);
	ck_assert_msg(strstr(e.text, "cannot give /dev/vfio/12 to user"), "%s", e.text);
	ck_assert(!marked());
	now_driver("vfio-pci");
	ck_assert_msg(pci_grant_vfio(root, HBA, me->pw_name, &e) == 0, "%s", e.text);
	ck_assert_int_eq(stat(str("%s/dev/vfio/12", root), &st), 0);
	ck_assert_uint_eq(st.st_uid, geteuid());
	ck_assert_uint_eq(st.st_gid, me->pw_gid);
}
END_TEST

START_TEST(nothing_is_given_to_nobody_in_particular)
{
	now_driver("vfio-pci");
	ck_assert_int_eq(pci_grant_vfio(root, HBA, "no-such-user-here", &e), -ENOENT);
	ck_assert_msg(strstr(e.text, "systemd-sysusers"), "%s", e.text);
	drop("/sys/bus/pci/devices/" HBA "/iommu_group");
	ck_assert_int_eq(pci_grant_vfio(root, HBA, "root", &e), -ENODEV);
}
END_TEST

START_TEST(disks_are_claimed_while_the_driver_lets_go_and_free_afterwards)
{
	unsigned fds = open_fds();
	char previous[32];

	fds_in_unbind = 0;
	ck_assert_int_eq(bind_vfio(&kernel, root, HBA, previous, &e), 0);
	ck_assert_uint_eq(fds_in_unbind, fds + 2); /* and the lock */
	ck_assert_uint_eq(open_fds(), fds);
	fail_step = "megaraid_sas:unbind";
	fail_code = EIO;
	now_driver("megaraid_sas");
	ck_assert_int_eq(bind_vfio(&kernel, root, HBA, previous, &e), -EIO);
	ck_assert_uint_eq(open_fds(), fds);
}
END_TEST

START_TEST(binding_waits_for_the_group_node)
{
	char previous[32];

	late_node = true;
	ck_assert_msg(bind_vfio(&kernel, root, HBA, previous, &e) == 0, "%s", e.text);
	ck_assert_uint_eq(waits, 3);
}
END_TEST

START_TEST(function_without_driver_is_bound_too)
{
	char previous[32] = "x";

	drop("/sys/bus/pci/devices/" HBA "/driver");
	ck_assert_int_eq(bind_vfio(&kernel, root, HBA, previous, &e), 0);
	ck_assert_str_eq(steps, LOADS " listen override=vfio-pci vfio-pci:bind");
	ck_assert_str_eq(previous, "");
}
END_TEST

START_TEST(function_that_is_bound_already_is_left_alone)
{
	char previous[32] = "x";

	now_driver("vfio-pci");
	ck_assert_int_eq(bind_vfio(&kernel, root, HBA, previous, &e), 0);
	ck_assert_str_eq(steps, "");
	ck_assert_str_eq(previous, "");
}
END_TEST

/* H11: a write would wait for the remove of vfio-pci, that one for who has it open, and he, the next hbad, for us. */
START_TEST(function_that_is_being_removed_is_not_written_to)
{
	char previous[32] = "x";

	drop("/sys/bus/pci/devices/" HBA "/driver");
	put("/dev/vfio/12", "%s", "");
	ck_assert_int_eq(bind_vfio(&kernel, root, HBA, previous, &e), 0);
	ck_assert_str_eq(steps, "");
	ck_assert_str_eq(previous, "");
}
END_TEST

START_TEST(node_of_a_group_with_others_tells_nothing)
{
	char previous[32];

	drop("/sys/bus/pci/devices/" HBA "/driver");
	put("/dev/vfio/12", "%s", "");
	put_function("0000:03:00.1", "0x010700", 12, "vfio-pci");
	ck_assert_int_eq(bind_vfio(&kernel, root, HBA, previous, &e), 0);
	ck_assert_str_eq(steps, LOADS " listen override=vfio-pci vfio-pci:bind");
}
END_TEST

START_TEST(modules_that_are_there_are_not_loaded)
{
	char previous[32];

	put_dir("/sys/module/vfio_pci");
	ck_assert_int_eq(bind_vfio(&kernel, root, HBA, previous, &e), 0);
	ck_assert_str_eq(steps, "load:vfio_iom listen override=vfio-pci megaraid_sas:unbind vfio-pci:bind");
}
END_TEST

START_TEST(refusals_change_nothing)
{
	static const struct {
		const char *what, *text;
		int code;
	} rows[] = {
		{"mounted", "sda is mounted on /srv", -EBUSY},
		{"no group", "has no IOMMU group: switch the IOMMU on", -ENODEV},
		{"shared group", "shared with 0000:03:00.1 (xhci_hcd)", -EBUSY},
		{"bridge", "is a bridge", -EINVAL},
		{"missing", "no PCI device", -ENOENT},
		{"no module", "no module vfio_pci", -ENOENT},
	};
	char previous[32] = "x";

	if (_i == 0)
		put_mounts("40 22 8:0 / /srv rw - ext4 /dev/sda rw\n");
	else if (_i == 1)
		drop("/sys/bus/pci/devices/" HBA "/iommu_group");
	else if (_i == 2)
		put_function("0000:03:00.1", "0x0c0330", 12, "xhci_hcd");
	else if (_i == 3)
		put("/sys/bus/pci/devices/" HBA "/class", "0x060400\n");
	else if (_i == 4)
		drop("/sys/bus/pci/devices/" HBA);
	else
		fail_step = "load:vfio_pci", fail_code = ENOENT;
	ck_assert_int_eq(bind_vfio(&kernel, root, HBA, previous, &e), rows[_i].code);
	ck_assert_msg(strstr(e.text, rows[_i].text), "%s: %s", rows[_i].what, e.text);
	ck_assert_msg(!strstr(steps, "bind"), "%s", steps);
	/* Of what is in use, the write that a probe has to be waited for with is taken back. */
	ck_assert_msg(!strstr(steps, "override") || (_i == 0 && ends(steps, " override=vfio-pci override=-")),
		"%s", steps);
	ck_assert_str_eq(previous, "x");
}
END_TEST

/* Every write of the way there fails once; the function ends with its driver, without an override. */
static const struct {
	const char *step, *steps, *text;
} broken[] = {
	{"override=vfio-pci", LOADS " listen override=vfio-pci override=-", "cannot set driver_override"},
	{"megaraid_sas:unbind", LOADS " listen override=vfio-pci megaraid_sas:unbind override=-",
		"driver megaraid_sas does not let go"},
	{"vfio-pci:bind",
		LOADS
		" listen override=vfio-pci megaraid_sas:unbind vfio-pci:bind override=- megaraid_sas:bind",
		"vfio-pci does not take"},
};

START_TEST(failed_write_is_rolled_back)
{
	char previous[32] = "x";

	fail_step = broken[_i].step;
	fail_code = EINVAL;
	ck_assert_int_eq(bind_vfio(&kernel, root, HBA, previous, &e), -EINVAL);
	ck_assert_msg(strstr(e.text, broken[_i].text), "%s", e.text);
	ck_assert_str_eq(steps, broken[_i].steps);
	ck_assert_str_eq(driver(), "megaraid_sas");
	ck_assert(!marked());
	ck_assert_str_eq(previous, "x");
	ck_assert(!subscribed);
}
END_TEST

START_TEST(node_that_never_comes_is_rolled_back)
{
	char previous[32];

	no_node = true;
	ck_assert_int_eq(bind_vfio(&hasty_kernel, root, HBA, previous, &e), -ETIMEDOUT);
	ck_assert_msg(strstr(e.text, "/dev/vfio/12 did not appear"), "%s", e.text);
	ck_assert_str_eq(steps,
		LOADS " listen override=vfio-pci megaraid_sas:unbind vfio-pci:bind vfio-pci:unbind "
		      "override=- megaraid_sas:bind");
	ck_assert_str_eq(driver(), "megaraid_sas");
}
END_TEST

START_TEST(failed_roll_back_is_said)
{
	char previous[32];

	no_node = true;
	fail_step = "megaraid_sas:bind";
	fail_code = EIO;
	ck_assert_int_eq(bind_vfio(&hasty_kernel, root, HBA, previous, &e), -ETIMEDOUT);
	ck_assert_msg(
		strstr(e.text, "could not be given back to megaraid_sas") && strstr(e.text, "did not appear"),
		"%s", e.text);
}
END_TEST

START_TEST(giving_back_clears_the_override_first)
{
	now_driver("vfio-pci");
	ck_assert_msg(unbind_vfio(&kernel, root, HBA, "megaraid_sas", PATIENT_MS, &e) == 0, "%s", e.text);
	ck_assert_str_eq(steps, "listen override=- vfio-pci:unbind probe");
	ck_assert_str_eq(driver(), "megaraid_sas");
	ck_assert(!subscribed);
}
END_TEST

START_TEST(giving_back_loads_the_driver_by_alias_when_it_is_not_there)
{
	now_driver("vfio-pci");
	drop("/sys/bus/pci/drivers/megaraid_sas");
	ck_assert_int_eq(unbind_vfio(&kernel, root, HBA, "megaraid_sas", PATIENT_MS, &e), 0);
	ck_assert_str_eq(steps, "listen override=- vfio-pci:unbind load:pci:v000 probe");
}
END_TEST

START_TEST(giving_back_takes_any_driver_when_none_is_named)
{
	now_driver("vfio-pci");
	ck_assert_int_eq(unbind_vfio(&kernel, root, HBA, "", PATIENT_MS, &e), 0);
	steps[0] = '\0';
	/* again: nothing to unbind, a driver is there */
	ck_assert_int_eq(unbind_vfio(&kernel, root, HBA, "", PATIENT_MS, &e), 0);
	ck_assert_ptr_null(strstr(steps, "unbind"));
	ck_assert_ptr_null(strstr(steps, "probe"));
}
END_TEST

START_TEST(giving_back_says_when_no_driver_comes)
{
	now_driver("vfio-pci");
	silent_probe = true;
	ck_assert_int_eq(unbind_vfio(&kernel, root, HBA, "megaraid_sas", 60, &e), -ETIMEDOUT);
	ck_assert_msg(strstr(e.text, "no driver has it, not megaraid_sas"), "%s", e.text);
}
END_TEST

START_TEST(giving_back_waits_for_the_driver)
{
	now_driver("vfio-pci");
	silent_probe = late_driver = true;
	ck_assert_msg(unbind_vfio(&kernel, root, HBA, "megaraid_sas", PATIENT_MS, &e) == 0, "%s", e.text);
	ck_assert_uint_eq(waits, 3);
	ck_assert_str_eq(driver(), "megaraid_sas");
}
END_TEST

START_TEST(giving_back_what_a_process_holds_is_refused)
{
	now_driver("vfio-pci");
	put_link("/proc/812/fd/7", "/dev/vfio/12");
	put("/proc/812/comm", "hbad\n");
	ck_assert_int_eq(unbind_vfio(&kernel, root, HBA, "", PATIENT_MS, &e), -EBUSY);
	ck_assert_msg(strstr(e.text, "process 812 (hbad) has /dev/vfio/12 open"), "%s", e.text);
	ck_assert_str_eq(steps, "");
}
END_TEST

START_TEST(giving_back_with_failing_writes_is_an_error)
{
	static const char *const fails[] = {"override=-", "vfio-pci:unbind", "probe"};

	now_driver("vfio-pci");
	fail_step = fails[_i];
	fail_code = EIO;
	ck_assert_int_eq(unbind_vfio(&kernel, root, HBA, "megaraid_sas", PATIENT_MS, &e), -EIO);
	ck_assert(e.text[0]);
}
END_TEST

START_TEST(real_events_socket_waits_no_longer_than_told)
{
	struct uevents *u = uevents_open();

	uevents_wait(u, 20);
	uevents_close(u);
	uevents_wait(NULL, 1);
	uevents_close(NULL);
}
END_TEST

START_TEST(real_writes_report_what_failed)
{
	put("/attr", "%s", "");
	ck_assert_int_eq(bind_linux.write(str("%s/attr", root), "vfio-pci"), 0);
	ck_assert_int_eq(bind_linux.write(str("%s/missing/attr", root), "x"), -ENOENT);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("bind");
	TCase *tc = tcase_create("bind");
	SRunner *run;
	int failed;

	tcase_add_checked_fixture(tc, setup, root_remove);
	tcase_add_test(tc, binding_listens_before_it_writes_and_tells_the_driver_before);
	tcase_add_test(tc, one_binding_waits_for_the_other);
	tcase_add_test(tc, giving_back_keeps_others_from_binding);
	tcase_add_test(tc, one_that_is_stuck_is_told_and_keeps_nobody_else);
	tcase_add_test(tc, what_hbad_does_not_know_is_not_bound);
	tcase_add_test(tc, disks_that_a_probe_shows_are_seen);
	tcase_add_test(tc, one_that_had_no_driver_may_end_with_one);
	tcase_add_test(tc, group_is_marked_for_udev_before_its_node_appears);
	tcase_add_loop_test(tc, mark_of_a_function_that_is_gone_goes, 0, 3);
	tcase_add_test(tc, mark_of_an_older_group_goes);
	tcase_add_test(tc, mark_that_cannot_be_made_changes_nothing);
	tcase_add_test(tc, folders_of_marks_do_not_depend_on_roots_umask);
	tcase_add_test(tc, bound_group_is_given_to_a_user);
	tcase_add_test(tc, nothing_is_given_to_nobody_in_particular);
	tcase_add_test(tc, disks_are_claimed_while_the_driver_lets_go_and_free_afterwards);
	tcase_add_test(tc, binding_waits_for_the_group_node);
	tcase_add_test(tc, function_without_driver_is_bound_too);
	tcase_add_test(tc, function_that_is_being_removed_is_not_written_to);
	tcase_add_test(tc, node_of_a_group_with_others_tells_nothing);
	tcase_add_test(tc, function_that_is_bound_already_is_left_alone);
	tcase_add_test(tc, modules_that_are_there_are_not_loaded);
	tcase_add_loop_test(tc, refusals_change_nothing, 0, 6);
	tcase_add_loop_test(tc, failed_write_is_rolled_back, 0, 3);
	tcase_add_test(tc, node_that_never_comes_is_rolled_back);
	tcase_add_test(tc, failed_roll_back_is_said);
	tcase_add_test(tc, giving_back_clears_the_override_first);
	tcase_add_test(tc, giving_back_loads_the_driver_by_alias_when_it_is_not_there);
	tcase_add_test(tc, giving_back_takes_any_driver_when_none_is_named);
	tcase_add_test(tc, giving_back_says_when_no_driver_comes);
	tcase_add_test(tc, giving_back_waits_for_the_driver);
	tcase_add_test(tc, giving_back_what_a_process_holds_is_refused);
	tcase_add_loop_test(tc, giving_back_with_failing_writes_is_an_error, 0, 3);
	tcase_add_test(tc, real_events_socket_waits_no_longer_than_told);
	tcase_add_test(tc, real_writes_report_what_failed);
	suite_add_tcase(suite, tc);
	run = srunner_create(suite);
	srunner_run_all(run, CK_ENV);
	failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed != 0;
}
