/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The made-up machine. */
#include "fake.h"

#include <check.h>
#include <errno.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"

struct fake *fake;

/* By hand from the field list in control/proto.h. */
const char fake_booting[] =
	"{\"protocol\":1,\"name\":\"g2\",\"version\":\"0.1.0\",\"pid\":4711,\"uptime_s\":2,\"state\":"
	"\"booting\","
	"\"problem\":\"\",\"device\":\"0000:03:00.0\",\"kernel_driver\":\"megaraid_sas\",\"controller\":null,"
	"\"limits\":null,\"handler\":{\"connected\":false,\"version\":\"\"},\"units\":[],\"luns\":[],"
	"\"stats\":{}}";

const char fake_ready[] =
	"{\"protocol\":1,\"name\":\"g2\",\"version\":\"0.1.0\",\"pid\":4711,\"uptime_s\":93784,\"state\":"
	"\"ready\","
	"\"problem\":\"\",\"device\":\"0000:03:00.0\",\"kernel_driver\":\"megaraid_sas\","
	"\"controller\":{\"product\":\"LSI MegaRAID "
	"9260\",\"serial\":\"SV123\",\"firmware\":\"12.15.0-0239\","
	"\"driver\":\"megaraid-mfi gen2\",\"cache_mb\":512,\"battery\":true},"
	"\"limits\":{\"queue_depth\":1008,\"max_transfer\":524288,\"max_segments\":80,\"max_segment_bytes\":"
	"65536},"
	"\"handler\":{\"connected\":true,\"version\":\"0.1.0\"},"
	"\"rescans\":1,\"rescanning\":false,\"rescan_problem\":\"\","
	"\"taken_over\":true,\"start_note\":\"\","
	"\"units\":["
	"{\"name\":\"ld0\",\"kind\":\"ld\",\"raid\":\"RAID "
	"5\",\"state\":\"optimal\",\"naa\":\"naa.600605b00a1b2c3d\","
	"\"naa_from_unit\":true,\"serial\":\"1\",\"vendor\":\"LSI\",\"product\":\"MR9260\",\"revision\":\"2."
	"13\","
	"\"blocks\":20971520,\"block_size\":512,\"size_bytes\":10737418240,\"write_back\":true,"
	"\"cache_protected\":true,\"disk_cache\":false,\"exportable\":true,\"problem\":\"\",\"exported_by\":"
	"\"\"},"
	"{\"name\":\"ld1\",\"kind\":\"ld\",\"raid\":\"RAID 1\",\"state\":\"offline\",\"naa\":\"\","
	"\"naa_from_unit\":false,\"blocks\":0,\"block_size\":512,\"size_bytes\":0,\"write_back\":false,"
	"\"cache_protected\":false,\"disk_cache\":true,\"exportable\":false,"
	"\"problem\":\"two member disks are missing\",\"exported_by\":\"\"},"
	"{\"name\":\"ld2\",\"kind\":\"ld\",\"raid\":\"RAID "
	"6\",\"state\":\"degraded\",\"naa\":\"naa.600605b00a1b2c3e\","
	"\"naa_from_unit\":true,\"blocks\":2621440,\"block_size\":4096,\"size_bytes\":10737418240,"
	"\"write_back\":true,\"cache_protected\":false,\"disk_cache\":false,\"exportable\":true,\"problem\":"
	"\"\","
	"\"exported_by\":\"g2-ld2\"}],"
	"\"luns\":[{\"device\":\"g2-ld2\",\"cfgstring\":\"hba/g2/naa.600605b00a1b2c3e\",\"unit\":\"ld2\","
	"\"state\":\"serving\",\"reason\":\"\",\"gate\":\"open\",\"ro\":false,\"blocks\":2621440,\"block_"
	"size\":4096,"
	"\"io_thread\":1,\"busy\":3,\"outstanding\":2,\"stats\":{\"commands\":1000,\"completions\":997,"
	"\"read_bytes\":"
	"1048576,"
	"\"write_bytes\":1073741824,\"flushes\":42,\"errors\":0}}],"
	"\"io_threads\":[{\"thread\":0,\"inflight\":0,\"heartbeat_age_ms\":5,\"luns\":[]},"
	"{\"thread\":1,\"inflight\":2,\"heartbeat_age_ms\":12,\"luns\":[\"g2-ld2\"]}],"
	"\"refused\":[{\"time\":\"2026-11-21T11:20:33Z\",\"device\":\"bad\",\"cfgstring\":\"hba/g2/ld0\","
	"\"reason\":\"create it with size=10737418240\"}],"
	"\"stats\":{\"requests\":1234,\"errors\":5,\"timeouts\":0,\"aborts\":0,\"resets\":4,\"reset_pauses\":"
	"2,"
	"\"reissues\":7,"
	"\"interrupts\":999,\"flushes\":42,\"inflight\":2,\"heartbeat_age_ms\":12}}";

/* Writes the call down; true when it is to fail. */
static bool note(struct err *e, const char *fmt, ...)
{
	g_autofree char *line = NULL;
	va_list ap;

	va_start(ap, fmt);
	line = g_strdup_vprintf(fmt, ap);
	va_end(ap);
	g_string_append_printf(fake->log, "%s\n", line);
	if (!fake->fail_on || !g_str_has_prefix(line, fake->fail_on))
		return false;
	err_set(e, 0, "made to fail: %s", line);
	return true;
}

static void copy_candidate(struct pci_candidate *ret, const struct pci_candidate *from)
{
	*ret = *from;
	ret->disks = calloc(from->n_disks + 1, sizeof(ret->disks[0]));
	for (unsigned i = 0; i < from->n_disks; i++)
		ret->disks[i] = from->disks[i];
}

static int fake_candidate_read(const char *root, const char *addr, struct pci_candidate *ret, struct err *e)
{
	for (unsigned i = 0; i < fake->n_hba; i++) {
		if (strcmp(fake->hba[i].addr, addr) != 0)
			continue;
		copy_candidate(ret, &fake->hba[i]);
		if (fake->disks_after > 0) {
			fake->disks_after--;
			ret->n_disks = 0;
		}
		return 0;
	}
	if (fake->group_other_driver) {
		memset(ret, 0, sizeof(*ret));
		g_strlcpy(ret->driver, fake->group_other_driver, sizeof(ret->driver));
		return 0;
	}
	return err_set(e, -ENOENT, "there is no PCI device %s: see 'lspci'", addr);
}

static int fake_candidates(const char *root, struct pci_candidate **ret, unsigned *ret_n, struct err *e)
{
	struct pci_candidate *all = calloc(fake->n_hba + 1, sizeof(*all));

	for (unsigned i = 0; i < fake->n_hba; i++)
		copy_candidate(&all[i], &fake->hba[i]);
	*ret = all;
	*ret_n = fake->n_hba;
	return 0;
}

static int fake_check_unused(const char *root, const struct pci_candidate *c, struct err *e)
{
	return fake->in_use ? err_set(e, -EBUSY, "sda is mounted on /srv: unmount it") : 0;
}

static int fake_bind(
	const char *root, const char *addr, pci_known_fn known, char ret_previous[32], struct err *e)
{
	if (note(e, "bind %s", addr))
		return -EBUSY;
	if (!known(fake->hba[0].vendor, fake->hba[0].device))
		return err_set(e, -ENOTSUP, "%s is no controller that hbad knows", addr);
	if (fake->bind_failures > 0) {
		fake->bind_failures--;
		return err_set(e, -EBUSY, "sda is open");
	}
	g_strlcpy(ret_previous, fake->hba[0].driver, 32);
	g_strlcpy(fake->hba[0].driver, "vfio-pci", sizeof(fake->hba[0].driver));
	return 0;
}

static int fake_grant(const char *root, const char *addr, const char *user, struct err *e)
{
	return note(e, "grant %s %s", addr, user) ? -ENOENT : 0;
}

static void fake_revoke(const char *root, const char *addr)
{
	note(NULL, "revoke %s", addr);
}

static int fake_unbind(
	const char *root, const char *addr, const char *previous, unsigned wait_s, struct err *e)
{
	if (note(e, "unbind %s %s", addr, previous))
		return -EBUSY;
	if (fake->nobody_wants_it) {
		fake->hba[0].driver[0] = '\0';
		return err_set(e, -ETIMEDOUT, "no driver has it after %u s", wait_s);
	}
	g_strlcpy(fake->hba[0].driver, previous[0] ? previous : "megaraid_sas", sizeof(fake->hba[0].driver));
	return 0;
}

static int fake_pci_open(const char *uri, struct pci_dev **ret, struct err *e)
{
	if (!fake->pci)
		return err_set(e, -EBUSY, "%s cannot be opened", uri);
	*ret = fake->pci;
	return 0;
}

static const char *fake_supported(uint16_t vendor, uint16_t device)
{
	return vendor == 0x1000 && device == 0x0079 ? "SAS2108 (MegaRAID gen 2)" : NULL;
}

static int fake_config_save(const char *path, const struct config *config, struct err *e)
{
	if (note(e, "save %s queue_depth=%u kernel_driver=%s", config->device, config->queue_depth,
		    config->kernel_driver))
		return -ENOSPC;
	return config_save(path, config, e);
}

static int fake_config_remove(const char *path, struct err *e)
{
	if (note(e, "remove"))
		return -EIO;
	ck_assert(g_unlink(path) == 0 || errno == ENOENT);
	return 0;
}

static int fake_call(const char *runtime_dir, const char *name, const char *verb, unsigned timeout_ms,
	char **ret, struct err *e)
{
	const char *reply = fake->status;

	if (strcmp(verb, "upgrade") == 0) {
		note(NULL, "ask for an upgrade");
		if (!fake->upgrade)
			return err_set(e, -EREMOTEIO, "the controller is not ready");
		*ret = strdup(fake->upgrade);
		return 0;
	}
	if (fake->status_after > 0) {
		fake->status_after--;
		reply = fake->boot_status;
	}
	if (!reply)
		return err_set(
			e, -ENOENT, "hbad@%s does not run: 'systemctl start hbad@%s' starts it", name, name);
	*ret = strdup(reply);
	return 0;
}

static int fake_events(const char *runtime_dir, const char *name, int64_t since, unsigned timeout_ms,
	char **ret, struct err *e)
{
	unsigned n = fake->events_asked++;
	const char *reply = fake->events ? *fake->events : "";

	if (n < ARRAY_SIZE(fake->since))
		fake->since[n] = since;
	if (fake->events && fake->events[1])
		fake->events++;
	if (!*reply)
		return err_set(e, -ECONNREFUSED, "hbad \"%s\" does not run", name);
	*ret = strdup(reply);
	return 0;
}

static int fake_guard(const struct guard_config *cfg, struct guard_result *ret, struct err *e)
{
	note(e, "guard %s", cfg->name);
	ret->guarded = fake->guarded;
	return fake->guard_ret < 0 ? err_set(e, fake->guard_ret, "hbad of %s lives", cfg->name) : 0;
}

static char *unit_properties(void)
{
	if (fake->unit_show)
		return g_strdup(fake->unit_show);
	return g_strdup_printf(
		"ActiveState=%s\nSubState=%s\nResult=success\nUnitFileState=%s\nNRestarts=0\nJob=0\n",
		fake->unit_active ? "active" : "inactive", fake->unit_active ? "running" : "dead",
		fake->unit_enabled ? "enabled" : "disabled");
}

static int fake_run_program(const char *const *argv, char **ret_out, struct err *e)
{
	g_autofree char *line = g_strjoinv(" ", (char **)argv);
	const char *verb = argv[1];

	*ret_out = g_strdup("");
	if (strcmp(argv[0], "journalctl") == 0) {
		g_free(*ret_out);
		*ret_out = g_strdup("firmware does not answer\n");
		return 0;
	}
	if (strcmp(verb, "show") == 0) {
		g_free(*ret_out);
		*ret_out = unit_properties();
		return 0;
	}
	if (note(e, "%s", line))
		return 1;
	if (strcmp(verb, "enable") == 0 || strcmp(verb, "disable") == 0)
		fake->unit_enabled = verb[0] == 'e';
	if (strcmp(verb, "start") == 0 || strcmp(verb, "stop") == 0)
		fake->unit_active = strcmp(verb, "start") == 0;
	return 0;
}

static int fake_backstores(const char *configfs, const char *name, char ***ret, struct err *e)
{
	static const char *const none[] = {NULL};

	if (fake->backstores_ret < 0)
		return err_set(e, fake->backstores_ret, "configfs does not answer");
	*ret = g_strdupv((char **)(fake->backstores ? fake->backstores : none));
	return 0;
}

static void fake_sleep(unsigned ms)
{
	fake->now_ns += ms * NS_PER_MS;
}

static uint64_t fake_now(void)
{
	return fake->now_ns;
}

static bool fake_interrupted(void)
{
	unsigned n = 0;

	if (fake->events_until && fake->events_asked >= fake->events_until)
		return true;
	for (const char *p = fake->log->str; (p = strchr(p, '\n')); p++)
		n++;
	return fake->interrupt_after && n >= fake->interrupt_after;
}

static bool fake_privileged(void)
{
	return !fake->unprivileged;
}

static const struct ctl_ops fake_ops = {
	.candidate_read = fake_candidate_read,
	.candidates = fake_candidates,
	.check_unused = fake_check_unused,
	.pci_open = fake_pci_open,
	.bind = fake_bind,
	.grant = fake_grant,
	.revoke = fake_revoke,
	.unbind = fake_unbind,
	.supported = fake_supported,
	.config_save = fake_config_save,
	.config_remove = fake_config_remove,
	.call = fake_call,
	.events = fake_events,
	.guard = fake_guard,
	.run = fake_run_program,
	.backstores = fake_backstores,
	.sleep_ms = fake_sleep,
	.now_ns = fake_now,
	.interrupted = fake_interrupted,
	.privileged = fake_privileged,
};

static void add_hba(const char *addr, uint16_t device, const char *name)
{
	struct pci_candidate *p = &fake->hba[fake->n_hba++];

	g_strlcpy(p->addr, addr, sizeof(p->addr));
	p->vendor = 0x1000;
	p->device = device;
	p->class_code = 0x010400;
	g_strlcpy(p->driver, "megaraid_sas", sizeof(p->driver));
	g_strlcpy(p->name, name, sizeof(p->name));
	p->iommu_group = 12;
}

void fake_setup(void)
{
	fake = g_new0(struct fake, 1);
	fake->log = g_string_new(NULL);
	g_strlcpy(fake->dir, "/tmp/hbactl-test-XXXXXX", sizeof(fake->dir));
	ck_assert_ptr_nonnull(g_mkdtemp(fake->dir));
	fake->now_ns = 1000 * NS_PER_SEC;
	add_hba(HBA_ADDR, 0x0079, "MegaRAID SAS 2108");
	g_strlcpy(fake->disks[0].name, "sda", sizeof(fake->disks[0].name));
	g_strlcpy(fake->disks[0].model, "LSI MR9260", sizeof(fake->disks[0].model));
	fake->disks[0].bytes = UINT64_C(10737418240);
	g_strlcpy(fake->disks[1].name, "sdb", sizeof(fake->disks[1].name));
	fake->disks[1].bytes = UINT64_C(1000204886016);
	fake->hba[0].disks = fake->disks;
	fake->hba[0].n_disks = 2;
	fake->status = fake_ready;
	fake->ctl = (struct ctl){
		.ops = &fake_ops,
		.sysfs_root = "",
		.configfs = "/nowhere",
		.config_dir = fake->dir,
		.runtime_dir = "/nowhere",
	};
}

static void remove_configs(void)
{
	g_autoptr(GDir) dir = g_dir_open(fake->dir, 0, NULL);
	const char *file;

	while (dir && (file = g_dir_read_name(dir))) {
		g_autofree char *path = g_strdup_printf("%s/%s", fake->dir, file);

		g_unlink(path);
	}
	g_rmdir(fake->dir);
}

void fake_teardown(void)
{
	remove_configs();
	g_string_free(fake->log, TRUE);
	free(fake->out);
	free(fake->err);
	g_clear_pointer(&fake, g_free);
}

int fake_run(const char *args)
{
	g_autofree char *line = g_strdup_printf("hbactl %s", args);
	g_auto(GStrv) argv = NULL;
	g_autofree char **copy = NULL; /* parsers move pointers about */
	int argc, ret;

	g_strchomp(line);
	ck_assert(g_shell_parse_argv(line, &argc, &argv, NULL));
	copy = g_new0(char *, argc + 1);
	memcpy(copy, argv, (size_t)argc * sizeof(copy[0]));
	g_clear_pointer(&fake->out, free);
	g_clear_pointer(&fake->err, free);
	fake->ctl.out = open_memstream(&fake->out, &fake->out_len);
	fake->ctl.err = open_memstream(&fake->err, &fake->err_len);
	ret = ctl_main(&fake->ctl, argc, copy);
	fclose(fake->ctl.out);
	fclose(fake->ctl.err);
	return ret;
}

static char *config_file(const char *name)
{
	return g_strdup_printf("%s/%s.conf", fake->dir, name);
}

void fake_write_config(const char *name, const char *device)
{
	g_autofree char *path = config_file(name);
	g_autofree char *text =
		g_strdup_printf("[controller]\ndevice=%s\nkernel_driver=megaraid_sas\n", device);

	ck_assert(g_file_set_contents(path, text, -1, NULL));
}

bool fake_has_config(const char *name)
{
	g_autofree char *path = config_file(name);

	return g_file_test(path, G_FILE_TEST_EXISTS);
}
