/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an instance's configuration may say: names, ranges, defaults. Reading and writing: config_file.c. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <glib.h>
#include "config_private.h"
#include "hbad/handoff.h"

void config_init(struct config *c)
{
	memset(c, 0, sizeof(*c));
	c->bounce_mib = CONFIG_DEF_BOUNCE_MIB;
	/* Slots and bounce memory are divided among threads, which one busy LUN would pay for. */
	c->io_threads = 1;
	c->log_level = LOG_LV_INFO;
}

unsigned config_count_threads(const struct config *c)
{
	return c->io_threads ? c->io_threads : MIN(g_get_num_processors(), CONFIG_MAX_IO_THREADS);
}

int config_check_name(const char *name, struct err *e)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-");

	if (!*name)
		return err_set(e, -EINVAL, "the instance has no name: give it one, such as g2");
	if (name[len] || name[0] == '_' || name[0] == '-')
		return err_set(e, -EINVAL,
			"\"%.40s\" cannot be an instance name: use lower-case letters, digits, - and _, "
			"beginning with a letter or digit",
			name);
	if (len > HANDOFF_NAME_MAX)
		return err_set(e, -EINVAL, "the instance name \"%.40s\" is too long: %d characters at most",
			name, HANDOFF_NAME_MAX);
	return 0;
}

int config_path(const char *dir, const char *name, char *ret, size_t size)
{
	int n = snprintf(ret, size, "%s/%s.conf", dir ? dir : CONFIG_DIR, name);

	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

static const struct {
	const char *name;
	enum log_level level;
} levels[] = {
	{"error", LOG_LV_ERR},
	{"warning", LOG_LV_WARN},
	{"info", LOG_LV_INFO},
	{"debug", LOG_LV_DEBUG},
};

int config_parse_level(const char *text, enum log_level *ret, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
		if (!strcmp(text, levels[i].name)) {
			*ret = levels[i].level;
			return 0;
		}
	}
	return err_set(e, -EINVAL, "\"%.40s\" is no log level: use error, warning, info or debug", text);
}

const char *config_level_name(enum log_level level)
{
	for (size_t i = 0; i < ARRAY_SIZE(levels); i++)
		if (levels[i].level == level)
			return levels[i].name;
	return "info";
}

/* "0000:03:00.0": 4 hexadecimal digits of domain, 2 of bus, 2 of device (to 1f), 1 of function (to 7). */
static bool is_pci_address(const char *s)
{
	static const char form[] = "xxxx:xx:xx.x";

	if (strlen(s) != sizeof(form) - 1)
		return false;
	for (size_t i = 0; form[i]; i++)
		if (form[i] == 'x' ? !g_ascii_isxdigit(s[i]) || g_ascii_isupper(s[i]) : s[i] != form[i])
			return false;
	return s[8] <= '1' && s[11] <= '7';
}

int config_check_device(const char *text, struct err *e)
{
	static const char user[] = "vfio-user:/";

	if (strlen(text) >= sizeof(((struct config *)0)->device))
		return err_set(e, -EINVAL, "the device is too long: %zu characters at most",
			sizeof(((struct config *)0)->device) - 1);
	if (is_pci_address(text) || (!strncmp(text, user, strlen(user)) && text[strlen(user)]))
		return 0;
	return err_set(e, -EINVAL,
		"\"%.96s\" is no device: write the whole PCI address in lower case, such as 0000:03:00.0 "
		"(\"hbactl candidates\" lists them), or vfio-user: and the whole path of a socket",
		text);
}

int config_check_driver(const char *text, struct err *e)
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");

	if (text[len] || len >= sizeof(((struct config *)0)->kernel_driver))
		return err_set(e, -EINVAL,
			"\"%.40s\" is no name of a kernel driver: write it as \"lspci -k\" shows it, or "
			"leave it empty",
			text);
	return 0;
}

int config_check_capture(const char *text, struct err *e)
{
	if (strlen(text) >= sizeof(((struct config *)0)->capture))
		return err_set(e, -EINVAL, "the capture's path is too long: %zu characters at most",
			sizeof(((struct config *)0)->capture) - 1);
	if (text[0] != '/')
		return err_set(e, -EINVAL,
			"\"%.96s\" is no whole path: write the capture as /var/lib/hbad/FILE", text);
	return 0;
}

int config_set_capture(struct config *c, const char *path, struct err *e)
{
	g_autofree char *whole = g_canonicalize_filename(path, NULL);
	int r = config_check_capture(whole, e);

	if (!r)
		g_strlcpy(c->capture, whole, sizeof(c->capture));
	return r;
}

int config_check(const struct config *c, struct err *e)
{
	int r;

	if (!c->device[0])
		return err_set(e, -EINVAL,
			"there is no device: add \"device=\" with the PCI address to [controller]");
	r = config_check_device(c->device, e);
	if (!r)
		r = config_check_driver(c->kernel_driver, e);
	if (!r && c->capture[0])
		r = config_check_capture(c->capture, e);
	if (r)
		return r;
	if (c->queue_depth > CONFIG_MAX_QUEUE_DEPTH)
		return err_set(e, -EINVAL,
			"queue_depth is %u: use 1 to %d, or 0 for what the controller takes", c->queue_depth,
			CONFIG_MAX_QUEUE_DEPTH);
	if (c->io_threads > CONFIG_MAX_IO_THREADS)
		return err_set(e, -EINVAL, "io_threads is %u: use 1 to %d, or \"auto\"", c->io_threads,
			CONFIG_MAX_IO_THREADS);
	if (c->hold_s > CONFIG_MAX_HOLD_S)
		return err_set(e, -EINVAL, "hold_s is %u: use 0 to %d", c->hold_s, CONFIG_MAX_HOLD_S);
	if (c->bounce_mib < CONFIG_MIN_BOUNCE_MIB || c->bounce_mib > CONFIG_MAX_BOUNCE_MIB)
		return err_set(e, -EINVAL, "bounce_mib is %u: use %d to %d", c->bounce_mib,
			CONFIG_MIN_BOUNCE_MIB, CONFIG_MAX_BOUNCE_MIB);
	return 0;
}
