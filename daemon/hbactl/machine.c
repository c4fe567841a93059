/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The real machine below struct ctl_ops. */
#include "machine.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include "base/clock.h"

static volatile sig_atomic_t got_signal;

static void on_signal(int sig)
{
	got_signal = sig;
}

static bool machine_interrupted(void)
{
	static const int sigs[] = {SIGINT, SIGTERM, SIGHUP};
	static bool armed;
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

	if (!armed) {
		armed = true;
		for (size_t i = 0; i < ARRAY_SIZE(sigs); i++)
			sigaction(sigs[i], &sa, NULL);
	}
	return got_signal != 0;
}

static bool machine_privileged(void)
{
	return geteuid() == 0;
}

static const char *machine_supported(uint16_t vendor, uint16_t device)
{
	for (const struct hba_ops *const *drv = hba_drivers; *drv; drv++)
		for (const struct hba_match *m = (*drv)->match; m->vendor; m++)
			if (m->vendor == vendor && m->device == device)
				return m->name;
	return NULL;
}

int machine_config_remove(const char *path, struct err *e)
{
	if (unlink(path) < 0 && errno != ENOENT)
		return err_set(e, -errno, "cannot remove %s: %s", path, strerror(errno));
	return 0;
}

int machine_run(const char *const *argv, char **ret_out, struct err *e)
{
	g_autofree char *out = NULL, *errors = NULL;
	g_autoptr(GError) error = NULL;
	int status;

	if (!g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &out, &errors, &status,
		    &error))
		return err_set(e, -EIO, "cannot run %s: %s", argv[0], error->message);
	*ret_out = g_steal_pointer(&out);
	if (status == 0)
		return 0;
	g_strdelimit(g_strstrip(errors), "\r\n\t", ' '); /* one sentence */
	if (!WIFEXITED(status))
		return err_set(e, -EIO, "%s was ended by signal %d", argv[0], WTERMSIG(status));
	err_set(e, 0, "%s: %s", argv[0], *errors ? errors : "failed without a word");
	return WEXITSTATUS(status);
}

const struct ctl_ops machine_ops = {
	.candidate_read = pci_candidate_read,
	.candidates = pci_candidates,
	.check_unused = pci_check_unused,
	.pci_open = pci_open,
	.bind = pci_bind_vfio,
	.grant = pci_grant_vfio,
	.revoke = pci_revoke_vfio,
	.unbind = pci_unbind_vfio,
	.supported = machine_supported,
	.config_save = config_save,
	.config_remove = machine_config_remove,
	.call = proto_call,
	.events = proto_events,
	.guard = guard_run,
	.run = machine_run,
	.backstores = machine_backstores,
	.sleep_ms = clock_sleep_ms,
	.now_ns = clock_ns,
	.interrupted = machine_interrupted,
	.privileged = machine_privileged,
};
