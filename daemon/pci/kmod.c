/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Loading kernel modules. */
#include "kmod.h"

#include <errno.h>
#include <libkmod.h>
#include <string.h>

/* Blacklists are for automatic loading; who calls this means it, as modprobe does. */
static int insert_all(struct kmod_list *list)
{
	struct kmod_list *it;
	int r = 0;

	kmod_list_foreach(it, list)
	{
		struct kmod_module *mod = kmod_module_get_module(it);

		r = kmod_module_probe_insert_module(mod, 0, NULL, NULL, NULL, NULL);
		kmod_module_unref(mod);
		if (r < 0)
			break;
	}
	return r;
}

int kmod_load(const char *name, struct err *e)
{
	struct kmod_ctx *ctx = kmod_new(NULL, NULL);
	struct kmod_list *list = NULL;
	int r;

	if (!ctx)
		return err_set(e, -ENOMEM, "cannot load the kernel module %s: out of memory", name);
	r = kmod_module_new_from_lookup(ctx, name, &list);
	if (r == 0 && !list)
		r = -ENOENT;
	if (r == 0)
		r = insert_all(list);
	kmod_module_unref_list(list);
	kmod_unref(ctx);
	if (r == -ENOENT)
		return err_set(e, r,
			"this kernel has no module %s; install the full kernel package (linux-image-amd64) "
			"and reboot into it",
			name);
	if (r < 0)
		return err_set(e, r, "cannot load the kernel module %s: %s", name, strerror(-r));
	return 0;
}
