/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vfio-user: opening a device, and every way in which a server can spoil it or any later step. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/pci/vuc.h"
#include "vu_server.h"

/* Who waits for a patient deadline runs into the test's own time limit. */
static const struct vuc_times times = {.access_ms = 200000, .setup_ms = 200000, .reset_ms = 200000};
static const struct vuc_times short_times = {.access_ms = 80, .setup_ms = 80, .reset_ms = 100};

static struct srv s;
static struct pci_dev *dev;
static struct err e;

static void setup(void)
{
	srv_init(&s);
	dev = NULL;
	e.text[0] = '\0';
}

static void teardown(void)
{
	pci_close(dev);
	srv_stop(&s);
}

static int start_open(void)
{
	srv_start(&s);
	return vuc_open(s.uri, &times, &dev, &e);
}

/* --- a good server --- */

START_TEST(device_is_described_as_the_server_says)
{
	ck_assert_msg(start_open() == 0, "%s", e.text);
	ck_assert_str_eq(dev->uri, s.uri);
	ck_assert_str_eq(dev->ops->name, "vfio-user");
	ck_assert_uint_eq(dev->id.vendor, 0x1000);
	ck_assert_uint_eq(dev->id.device, 0x005d);
	ck_assert_uint_eq(dev->id.subvendor, 0x1000);
	ck_assert_uint_eq(dev->id.subdevice, 0x9364);
	ck_assert_uint_eq(dev->id.class_code, 0x010400);
	ck_assert_uint_eq(dev->id.revision, 2);
	ck_assert_uint_eq(dev->bar[0].size, 256);
	ck_assert(dev->bar[0].is_io);
	ck_assert_uint_eq(dev->bar[1].size, SRV_BAR1_LEN);
	ck_assert(!dev->bar[1].is_io);
	ck_assert_uint_eq(dev->bar[2].size, 0);
	ck_assert_uint_eq(dev->n_vectors[PCI_IRQ_INTX], 1);
	ck_assert_uint_eq(dev->n_vectors[PCI_IRQ_MSI], 1);
	ck_assert_uint_eq(dev->n_vectors[PCI_IRQ_MSIX], 10);
	ck_assert_uint_eq(dev->dma_map_limit, 16);
	ck_assert_uint_eq(dev->dma_page, (uint64_t)sysconf(_SC_PAGESIZE));
	ck_assert_uint_eq(dev->n_iova, 1);
	ck_assert(dev->dma_unpinned);
	ck_assert_int_ge(dev->request_fd, 0);
	/* bus mastering off, ports and memory on */
	ck_assert_uint_eq(s.cfg[4], 0x03);
}
END_TEST

START_TEST(uri_leads_to_this_transport)
{
	srv_start(&s);
	ck_assert_msg(pci_open(s.uri, &dev, &e) == 0, "%s", e.text);
	ck_assert_str_eq(dev->ops->name, "vfio-user");
	ck_assert(!pci_is_gone(dev));
}
END_TEST

/* All from the tables of the specification. ids are the client's affair. */
START_TEST(opening_sends_these_bytes)
{
	static const struct {
		uint16_t cmd;
		unsigned nth;
		uint32_t size;
		uint8_t payload[32];
	} want[] = {
		/* DEVICE_GET_INFO: argsz 16, rest 0 */
		{4, 0, 32, {16}},
		/* DEVICE_GET_REGION_INFO: argsz 4096, index 7; then 0 */
		{5, 0, 48, {0x00, 0x10, 0, 0, 0, 0, 0, 0, 7}},
		{5, 1, 48, {0x00, 0x10, 0, 0, 0, 0, 0, 0, 0}},
		/* REGION_READ: offset 0x10, region 7, count 4 */
		{9, 0, 32, {0x10, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 4}},
		/* REGION_WRITE: offset 4, region 7, count 2, data 0003 */
		{10, 0, 34, {4, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 2, 0, 0, 0, 0x03, 0x00}},
		/* DEVICE_GET_IRQ_INFO: argsz 16, index 2 (MSI-X) */
		{7, 2, 32, {16, 0, 0, 0, 0, 0, 0, 0, 2}},
	};
	static const char version[] =
		"\0\0\1\0{\"capabilities\":{\"max_msg_fds\":8,\"max_data_xfer_size\":65536,";
	const struct srv_msg *m;

	ck_assert_int_eq(start_open(), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(want); i++) {
		m = srv_find(&s, want[i].cmd, want[i].nth);
		ck_assert_ptr_nonnull(m);
		ck_assert_uint_eq(m->size, want[i].size);
		ck_assert_uint_eq(m->flags, 0);
		ck_assert_uint_eq(m->error, 0);
		ck_assert_uint_eq(m->n_fds, 0);
		ck_assert_mem_eq(m->payload, want[i].payload, want[i].size - 16);
	}
	m = srv_find(&s, 1, 0);
	ck_assert_mem_eq(m->payload, version, sizeof(version) - 1);
	ck_assert_uint_eq(m->payload[m->size - 16 - 1], 0);
	ck_assert_uint_eq(m->payload[m->size - 16 - 2], '}');
}
END_TEST

START_TEST(old_server_without_capabilities_is_fine)
{
	s.minor = 0;
	s.json = NULL;
	ck_assert_msg(start_open() == 0, "%s", e.text);
	ck_assert_uint_eq(dev->dma_map_limit, VUC_MAX_MAPS);
}
END_TEST

START_TEST(larger_pages_of_the_server_are_the_granularity)
{
	s.json = "{\"capabilities\":{\"pgsizes\":2097152}}";
	ck_assert_int_eq(start_open(), 0);
	ck_assert_uint_eq(dev->dma_page, 2097152);
}
END_TEST

START_TEST(interrupts_without_eventfd_are_none)
{
	s.irq_flags[0] = 6;
	s.n_irqs = 2;
	s.irq_count[1] = 100000;
	ck_assert_int_eq(start_open(), 0);
	ck_assert_uint_eq(dev->n_vectors[PCI_IRQ_INTX], 0);
	ck_assert_uint_eq(dev->n_vectors[PCI_IRQ_MSI], PCI_MAX_VECTORS);
	ck_assert_uint_eq(dev->n_vectors[PCI_IRQ_MSIX], 0);
}
END_TEST

/* --- refusals --- */

static void expect_refusal(int code, const char *text)
{
	unsigned fds = open_fds();
	int r = start_open();

	ck_assert_msg(r == code, "%d: %s", r, e.text);
	ck_assert_msg(strstr(e.text, text) != NULL, "%s", e.text);
	ck_assert_ptr_null(dev);
	srv_stop(&s);
	ck_assert_uint_eq(open_fds(), fds);
}

START_TEST(other_major_version_is_refused)
{
	s.major = 1;
	expect_refusal(-EPROTO, "speaks vfio-user 1.1, hbad speaks 0.1");
}
END_TEST

START_TEST(minor_above_the_proposed_one_is_refused)
{
	s.minor = 2;
	expect_refusal(-EPROTO, "speaks vfio-user 0.2");
}
END_TEST

START_TEST(capabilities_that_are_no_json_are_refused)
{
	s.json = "{\"capabilities\":";
	expect_refusal(-EBADMSG, "no JSON");
}
END_TEST

static const char *const useless[] = {
	"{\"capabilities\":{\"max_msg_fds\":0}}",
	"{\"capabilities\":{\"max_data_xfer_size\":4}}",
	"{\"capabilities\":{\"max_dma_maps\":0}}",
	"{\"capabilities\":{\"pgsizes\":0}}",
};

START_TEST(server_that_takes_nothing_is_refused)
{
	s.json = useless[_i];
	expect_refusal(-ENOTSUP, "hbad needs them");
}
END_TEST

START_TEST(device_that_is_not_pci_is_refused)
{
	s.device_flags = 1;
	expect_refusal(-ENODEV, "not a PCI device");
}
END_TEST

START_TEST(device_without_configuration_region_is_refused)
{
	s.n_regions = 7;
	expect_refusal(-ENODEV, "not a PCI device");
}
END_TEST

START_TEST(device_that_reads_all_ones_is_refused)
{
	memset(s.cfg, 0xff, 4);
	expect_refusal(-ENODEV, "does not answer");
}
END_TEST

START_TEST(answer_on_another_region_is_refused)
{
	s.index_more = 1;
	expect_refusal(-EBADMSG, "about region 1 makes no sense");
}
END_TEST

START_TEST(answer_on_a_region_that_is_cut_is_refused)
{
	s.argsz_more = 1;
	expect_refusal(-EBADMSG, "about region 1 makes no sense");
}
END_TEST

START_TEST(socket_that_is_missing_is_named_with_the_cure)
{
	unsigned fds = open_fds();

	ck_assert_int_eq(vuc_open("vfio-user:/nonexistent/x.sock", &times, &dev, &e), -ENOENT);
	ck_assert_msg(
		strstr(e.text, "/nonexistent/x.sock") && strstr(e.text, "start the process"), "%s", e.text);
	ck_assert_int_eq(vuc_open("vfio-user:relative", &times, &dev, &e), -EINVAL);
	ck_assert_int_eq(vuc_open("vfio-user:", &times, &dev, &e), -EINVAL);
	ck_assert_int_eq(vuc_open("vfio-user:/"
				  "12345678901234567890123456789012345678901234567890"
				  "12345678901234567890123456789012345678901234567890123456789",
				 &times, &dev, &e),
		-EINVAL);
	ck_assert_uint_eq(open_fds(), fds);
}
END_TEST

START_TEST(socket_that_nobody_serves_is_named)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	char uri[64], dir[] = "/tmp/hbad-vu-XXXXXX";
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/s", dir);
	snprintf(uri, sizeof(uri), "vfio-user:%s/s", dir);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	ck_assert_int_eq(vuc_open(uri, &times, &dev, &e), -ECONNREFUSED);
	ck_assert_msg(strstr(e.text, "nobody serves"), "%s", e.text);
	/* it listens, and accepts nobody: first the answer is missing, then the queue is full */
	listen(fd, 0);
	ck_assert_int_eq(vuc_open(uri, &short_times, &dev, &e), -ENODEV);
	ck_assert_msg(strstr(e.text, "another client") && strstr(e.text, "VERSION"), "%s", e.text);
	for (unsigned i = 0; i < 8; i++)
		ck_assert_int_lt(vuc_open(uri, &short_times, &dev, &e), 0);
	unlink(sun.sun_path);
	rmdir(dir);
	close(fd);
}
END_TEST

/* --- a whole life, spoiled at each message --- */

static int first_error(int a, int b)
{
	return a < 0 ? a : b;
}

/* Everything that the layers above do. 0, or the first error; void calls show in *ret_read. */
static int live(const struct vuc_times *t, uint32_t *ret_read)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	int fds[10], memfd = memfd_create("t", MFD_CLOEXEC), r;
	uint8_t *mem;

	ck_assert_int_eq(ftruncate(memfd, (off_t)page), 0);
	mem = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	for (unsigned i = 0; i < 10; i++)
		fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = vuc_open(s.uri, t, &dev, &e);
	if (r == 0) {
		r = first_error(r, pci_map_bar(dev, 1, &e));
		r = first_error(r, dev->ops->dma_map(dev, mem, page, 0x10000, memfd, 0, &e));
		r = first_error(r, pci_irq_enable(dev, PCI_IRQ_MSIX, fds, 10, &e));
		r = first_error(r, pci_set_bus_master(dev, true));
		pci_write32(dev, 1, 0x2000, 0x12345678);
		*ret_read = pci_read32(dev, 1, 0x2000);
		r = first_error(r, pci_reset(dev, &e));
		pci_irq_disable(dev);
		r = first_error(r, dev->ops->dma_unmap(dev, 0x10000, page));
		pci_close(dev);
		dev = NULL;
	}
	for (unsigned i = 0; i < 10; i++)
		close(fds[i]);
	munmap(mem, page);
	close(memfd);
	return r;
}

static void start_life(unsigned at, enum twist t, unsigned seed)
{
	srv_init(&s);
	s.seed = seed;
	s.twist_at = at;
	s.twist = t;
	s.irq_flags[4] = 9;
	s.irq_count[4] = 1;
	/* the first page of BAR 1 can be mapped */
	s.bar1_fd = memfd_create("bar", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ck_assert_int_eq(ftruncate(s.bar1_fd, SRV_BAR1_LEN), 0);
	ck_assert_int_eq(fcntl(s.bar1_fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	s.n_areas = 1;
	s.area[0][1] = 0x1000;
	srv_start(&s);
}

static void end_life(void)
{
	srv_stop(&s);
	close(s.bar1_fd);
}

static bool posted[SRV_LOG_MAX]; /* messages of a good life that have no reply */

static unsigned life_length(void)
{
	uint32_t val = 0;
	unsigned n;

	start_life(0, TWIST_NONE, 0);
	ck_assert_msg(live(&times, &val) == 0, "%s", e.text);
	ck_assert_uint_eq(val, 0x12345678);
	end_life();
	n = srv_count(&s);
	ck_assert_uint_eq(s.n_maps, 0);
	ck_assert_uint_eq(s.resets, 1);
	ck_assert_uint_gt(n, 30);
	for (unsigned i = 0; i < n; i++)
		posted[i] = s.log[i].flags & 0x10;
	return n;
}

enum { GOES_ON = 1, ANYTHING };

/* What the first error must be when the reply to m is spoiled. */
static int expected(enum twist t, const struct srv_msg *m)
{
	bool has_payload = m->cmd != 2 && m->cmd != 8 && m->cmd != 13;

	if (m->flags & 0x10)
		return GOES_ON; /* there was no reply */
	switch (t) {
	case TWIST_ERROR:
	case TWIST_ERROR_ZERO:
	case TWIST_ERROR_HUGE:
		/* what is switched off, and a register, have nobody to tell */
		if ((m->cmd == 8 && m->payload[4] == 0x21) || (m->cmd == 9 && m->payload[8] == 1))
			return GOES_ON;
		return t == TWIST_ERROR ? -EPERM : -EIO;
	case TWIST_ECHO:
		return GOES_ON;
	case TWIST_SHORT:
		return !has_payload ? GOES_ON : m->cmd == 1 ? -EBADMSG : m->cmd == 5 ? ANYTHING : -ENODEV;
	case TWIST_LONG:
		return m->cmd == 1 ? -EBADMSG : m->cmd == 5 ? GOES_ON : -ENODEV;
	case TWIST_FDS:
	case TWIST_LATE_FDS:
		return m->cmd == 5 ? GOES_ON : -ENODEV;
	case TWIST_ZEROS:
	case TWIST_ONES:
		return m->cmd == 9 || m->cmd == 10 || m->cmd == 3 ? -ENODEV : ANYTHING;
	case TWIST_RANDOM:
		return ANYTHING;
	default:
		return -ENODEV;
	}
}

static void check_life(enum twist t, unsigned at, int r)
{
	unsigned last = 0;
	int want = expected(t, &s.log[at - 1]);

	for (unsigned i = 0; i < s.n_log; i++)
		if (s.log[i].cmd == 3)
			last = i + 1;
	/* behind the last call that gives an error to anybody */
	if (last && (at > last || (at == last && t == TWIST_TWICE)))
		want = GOES_ON;
	if (want == ANYTHING)
		return;
	ck_assert_msg(want == GOES_ON ? r == 0 : r == want,
		"twist %u at %u (command %u): %d, expected %d (%s)", t, at, s.log[at - 1].cmd, r, want,
		e.text);
}

static void spoil(enum twist t, unsigned at, unsigned seed)
{
	/* A deadline is waited for only where a reply is left out, or may be; elsewhere a busy machine must not meet one. */
	bool patient = (t != TWIST_SILENT && t != TWIST_HALF && t != TWIST_RANDOM) || posted[at - 1];
	unsigned fds = open_fds();
	uint32_t val = 0;
	int r;

	start_life(at, t, seed);
	r = live(patient ? &times : &short_times, &val);
	end_life();
	ck_assert_msg(open_fds() == fds, "twist %u at %u: %u descriptors, %u before", t, at, open_fds(), fds);
	/* a busy machine may have met the short deadline before */
	if (!patient && s.n_log < at)
		return;
	ck_assert_uint_ge(s.n_log, at);
	check_life(t, at, r);
}

START_TEST(server_that_spoils_any_message_costs_an_error_at_most)
{
	int quiet = open("/dev/null", O_WRONLY | O_CLOEXEC);
	unsigned n = life_length();

	/* the log is full of it, and opens what it needs with its first line */
	dup2(quiet, STDERR_FILENO);
	log_err("%s", "");
	for (unsigned at = 1; at <= n; at++)
		spoil((enum twist)_i, at, at);
	close(quiet);
}
END_TEST

START_TEST(bytes_by_chance_cost_an_error_at_most)
{
	int quiet = open("/dev/null", O_WRONLY | O_CLOEXEC);
	unsigned n = life_length();

	dup2(quiet, STDERR_FILENO);
	log_err("%s", "");
	for (unsigned seed = 0; seed < 50; seed++)
		spoil(TWIST_RANDOM, 1 + seed * 7 % n, seed + 50 * (unsigned)_i);
	close(quiet);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("vfio-user open");
	TCase *tc = tcase_create("open"), *spoiled = tcase_create("spoiled");
	SRunner *run;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, device_is_described_as_the_server_says);
	tcase_add_test(tc, uri_leads_to_this_transport);
	tcase_add_test(tc, opening_sends_these_bytes);
	tcase_add_test(tc, old_server_without_capabilities_is_fine);
	tcase_add_test(tc, larger_pages_of_the_server_are_the_granularity);
	tcase_add_test(tc, interrupts_without_eventfd_are_none);
	tcase_add_test(tc, other_major_version_is_refused);
	tcase_add_test(tc, minor_above_the_proposed_one_is_refused);
	tcase_add_test(tc, capabilities_that_are_no_json_are_refused);
	tcase_add_loop_test(tc, server_that_takes_nothing_is_refused, 0, ARRAY_SIZE(useless));
	tcase_add_test(tc, device_that_is_not_pci_is_refused);
	tcase_add_test(tc, device_without_configuration_region_is_refused);
	tcase_add_test(tc, device_that_reads_all_ones_is_refused);
	tcase_add_test(tc, answer_on_another_region_is_refused);
	tcase_add_test(tc, answer_on_a_region_that_is_cut_is_refused);
	tcase_add_test(tc, socket_that_is_missing_is_named_with_the_cure);
	tcase_add_test(tc, socket_that_nobody_serves_is_named);
	suite_add_tcase(suite, tc);
	tcase_add_checked_fixture(spoiled, setup, NULL);
	tcase_set_timeout(spoiled, 150);
	tcase_add_loop_test(
		spoiled, server_that_spoils_any_message_costs_an_error_at_most, TWIST_NONE + 1, N_TWISTS);
	tcase_add_loop_test(spoiled, bytes_by_chance_cost_an_error_at_most, 0, 6);
	suite_add_tcase(suite, spoiled);
	run = srunner_create(suite);
	srunner_run_all(run, CK_ENV);
	failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed != 0;
}
