/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The configuration file: strict reader, atomic writer. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <glib.h>
#include "base/cleanup.h"
#include "config_private.h"

/* --- reading --- */

enum key {
	KEY_DEVICE,
	KEY_KERNEL_DRIVER,
	KEY_QUEUE_DEPTH,
	KEY_BOUNCE_MIB,
	KEY_HOLD_S,
	KEY_IO_THREADS,
	KEY_LOG_LEVEL,
	KEY_CAPTURE,
	N_KEYS
};

static const struct {
	const char *group, *key;
} known[N_KEYS] = {
	[KEY_DEVICE] = {"controller", "device"},
	[KEY_KERNEL_DRIVER] = {"controller", "kernel_driver"},
	[KEY_QUEUE_DEPTH] = {"controller", "queue_depth"},
	[KEY_BOUNCE_MIB] = {"controller", "bounce_mib"},
	[KEY_HOLD_S] = {"controller", "hold_s"},
	[KEY_IO_THREADS] = {"controller", "io_threads"},
	[KEY_LOG_LEVEL] = {"log", "level"},
	[KEY_CAPTURE] = {"log", "capture"},
};

struct reading {
	const char *path;
	unsigned line[N_KEYS]; /* where each key is; 0: not given */
	const char *group;     /* while scanning; points into known[] */
	struct err *e;
};

static int refuse(const struct reading *rd, unsigned line, const char *why)
{
	return err_set(rd->e, -EINVAL, "%s line %u: %s", rd->path, line, why);
}

static int scan_group(struct reading *rd, unsigned line, char *text)
{
	char *end = strchr(text, ']');

	if (!end || *g_strstrip(end + 1))
		return refuse(rd, line, "a group is written as [controller], alone on its line");
	*end = 0;
	for (size_t i = 0; i < N_KEYS; i++) {
		if (!strcmp(known[i].group, text + 1)) {
			rd->group = known[i].group;
			return 0;
		}
	}
	return err_set(rd->e, -EINVAL, "%s line %u: there is no group [%.40s]: use [controller] or [log]",
		rd->path, line, text + 1);
}

static int unknown_key(const struct reading *rd, unsigned line, const char *key)
{
	char list[120] = "";

	for (size_t i = 0; i < N_KEYS; i++) {
		if (strcmp(known[i].group, rd->group))
			continue;
		if (list[0])
			g_strlcat(list, ", ", sizeof(list));
		g_strlcat(list, known[i].key, sizeof(list));
	}
	return err_set(rd->e, -EINVAL, "%s line %u: [%s] has no key \"%.40s\": remove it, or use one of %s",
		rd->path, line, rd->group, key, list);
}

static int scan_key(struct reading *rd, unsigned line, char *text)
{
	char *eq = strchr(text, '=');

	if (!eq)
		return refuse(rd, line, "neither a [group], nor key=value, nor a # comment");
	*eq = 0;
	g_strchomp(text);
	if (!rd->group)
		return refuse(rd, line, "a key before the first group: begin with [controller]");
	for (size_t i = 0; i < N_KEYS; i++) {
		if (strcmp(known[i].group, rd->group) || strcmp(known[i].key, text))
			continue;
		if (rd->line[i])
			return err_set(rd->e, -EINVAL, "%s line %u: \"%s\" is given in line %u too: keep one",
				rd->path, line, text, rd->line[i]);
		rd->line[i] = line;
		return 0;
	}
	return unknown_key(rd, line, text);
}

/* GKeyFile takes unknown and repeated names in silence and forgets lines: so every line is looked at here
 * first. */
static int scan(struct reading *rd, const char *data)
{
	g_auto(GStrv) lines = g_strsplit(data, "\n", -1);

	for (unsigned i = 0; lines[i]; i++) {
		char *text = g_strstrip(lines[i]);
		int r = 0;

		if (*text == '[')
			r = scan_group(rd, i + 1, text);
		else if (*text && *text != '#')
			r = scan_key(rd, i + 1, text);
		if (r)
			return r;
	}
	return 0;
}

/* The value, or NULL when the key is not there. */
static char *value_of(const struct reading *rd, GKeyFile *kf, enum key k)
{
	char *v = rd->line[k] ? g_key_file_get_string(kf, known[k].group, known[k].key, NULL) : NULL;

	return v ? g_strstrip(v) : NULL;
}

static int read_number(
	const struct reading *rd, GKeyFile *kf, enum key k, unsigned min, unsigned max, uint32_t *ret)
{
	g_autofree char *text = value_of(rd, kf, k);
	guint64 v;

	if (!rd->line[k])
		return 0;
	if (!text || !g_ascii_string_to_unsigned(text, 10, min, max, &v, NULL))
		return err_set(rd->e, -EINVAL,
			"%s line %u: %s is \"%.40s\": use a whole number from %u to %u", rd->path,
			rd->line[k], known[k].key, text ? text : "", min, max);
	*ret = (uint32_t)v;
	return 0;
}

static int read_text(const struct reading *rd, GKeyFile *kf, enum key k,
	int (*check)(const char *, struct err *), char *ret, size_t size)
{
	g_autofree char *text = value_of(rd, kf, k);
	int r;

	if (!rd->line[k])
		return 0;
	if (!text)
		return refuse(rd, rd->line[k], "the value has a wrong \\ sequence: remove the backslash");
	r = check(text, rd->e);
	if (r)
		return err_prefix(rd->e, r, "%s line %u", rd->path, rd->line[k]);
	g_strlcpy(ret, text, size);
	return 0;
}

/* 0: "auto" */
static int read_threads(const struct reading *rd, GKeyFile *kf, uint32_t *ret)
{
	g_autofree char *text = value_of(rd, kf, KEY_IO_THREADS);
	guint64 v = 0;

	if (!rd->line[KEY_IO_THREADS])
		return 0;
	if (!text || (strcmp(text, "auto") != 0 &&
			     !g_ascii_string_to_unsigned(text, 10, 1, CONFIG_MAX_IO_THREADS, &v, NULL)))
		return err_set(rd->e, -EINVAL,
			"%s line %u: io_threads is \"%.40s\": use a whole number from 1 to %u, or auto for "
			"one for each processor",
			rd->path, rd->line[KEY_IO_THREADS], text ? text : "", CONFIG_MAX_IO_THREADS);
	*ret = (uint32_t)v;
	return 0;
}

static int read_level(const struct reading *rd, GKeyFile *kf, enum log_level *ret)
{
	g_autofree char *text = value_of(rd, kf, KEY_LOG_LEVEL);
	int r;

	if (!rd->line[KEY_LOG_LEVEL])
		return 0;
	r = config_parse_level(text ? text : "", ret, rd->e);
	return r ? err_prefix(rd->e, r, "%s line %u", rd->path, rd->line[KEY_LOG_LEVEL]) : 0;
}

static int read_values(const struct reading *rd, GKeyFile *kf, struct config *c)
{
	int r;

	if (!rd->line[KEY_DEVICE])
		return err_set(rd->e, -EINVAL,
			"%s: there is no device: add \"device=\" with the PCI address to [controller]",
			rd->path);
	r = read_text(rd, kf, KEY_DEVICE, config_check_device, c->device, sizeof(c->device));
	if (!r)
		r = read_text(rd, kf, KEY_KERNEL_DRIVER, config_check_driver, c->kernel_driver,
			sizeof(c->kernel_driver));
	if (!r)
		r = read_number(rd, kf, KEY_QUEUE_DEPTH, 0, CONFIG_MAX_QUEUE_DEPTH, &c->queue_depth);
	if (!r)
		r = read_number(
			rd, kf, KEY_BOUNCE_MIB, CONFIG_MIN_BOUNCE_MIB, CONFIG_MAX_BOUNCE_MIB, &c->bounce_mib);
	if (!r)
		r = read_number(rd, kf, KEY_HOLD_S, 0, CONFIG_MAX_HOLD_S, &c->hold_s);
	if (!r)
		r = read_threads(rd, kf, &c->io_threads);
	if (!r)
		r = read_level(rd, kf, &c->log_level);
	if (!r)
		r = read_text(rd, kf, KEY_CAPTURE, config_check_capture, c->capture, sizeof(c->capture));
	return r;
}

static int parse(struct reading *rd, const char *data, size_t len, struct config *ret)
{
	g_autoptr(GKeyFile) kf = g_key_file_new();
	g_autoptr(GError) error = NULL;
	struct config c;
	int r;

	if (!g_utf8_validate_len(data, len, NULL))
		return err_set(rd->e, -EINVAL, "%s is not a text file: write it anew with \"hbactl attach\"",
			rd->path);
	r = scan(rd, data);
	if (r)
		return r;
	if (!g_key_file_load_from_data(kf, data, len, G_KEY_FILE_NONE, &error))
		return err_set(rd->e, -EINVAL, "%s: %s", rd->path, error->message);
	config_init(&c);
	r = read_values(rd, kf, &c);
	if (!r)
		*ret = c;
	return r;
}

static int cannot(struct err *e, const char *what, const char *path, int error)
{
	return err_set(e, -error, "cannot %s %s: %s", what, path, g_strerror(error));
}

/* Reads to the end, not to st_size: the file may change below us. */
static int read_file(const char *path, char *data, size_t size, size_t *ret_len, struct err *e)
{
	hb_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;
	size_t len = 0;

	if (fd < 0 && errno == ENOENT)
		return err_set(e, -ENOENT,
			"there is no %s: \"hbactl attach PCI-ADDRESS --name NAME\" makes it", path);
	if (fd < 0 && errno == EACCES)
		return err_set(e, -EACCES,
			"cannot open %s: permission denied; hbad is not root, so it has to be readable for "
			"all (\"chmod 644\"), "
			"and its folder passable (\"chmod 755\")",
			path);
	if (fd < 0 || fstat(fd, &st))
		return cannot(e, "open", path, errno);
	if (!S_ISREG(st.st_mode))
		return err_set(e, -EINVAL, "%s is not a file: remove it and use \"hbactl attach\"", path);
	while (len < size) {
		ssize_t n = read(fd, data + len, size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return cannot(e, "read", path, errno);
		if (!n)
			break;
		len += (size_t)n;
	}
	*ret_len = len;
	return 0;
}

int config_load(const char *path, struct config *ret, struct err *e)
{
	struct reading rd = {.path = path, .e = e};
	g_autofree char *data = g_malloc(CONFIG_MAX_BYTES + 1);
	size_t len = 0;
	int r = read_file(path, data, CONFIG_MAX_BYTES + 1, &len, e);

	if (r)
		return r;
	if (len > CONFIG_MAX_BYTES)
		return err_set(e, -EFBIG, "%s is larger than %d bytes: that is no configuration of hbad",
			path, CONFIG_MAX_BYTES);
	data[len] = 0;
	return parse(&rd, data, len, ret);
}

/* --- writing --- */

static char *to_text(const struct config *c, gsize *ret_len)
{
	g_autoptr(GKeyFile) kf = g_key_file_new();
	g_autofree char *body = NULL;
	char *text;

	g_key_file_set_string(kf, "controller", "device", c->device);
	g_key_file_set_string(kf, "controller", "kernel_driver", c->kernel_driver);
	if (c->queue_depth)
		g_key_file_set_uint64(kf, "controller", "queue_depth", c->queue_depth);
	g_key_file_set_uint64(kf, "controller", "bounce_mib", c->bounce_mib);
	if (c->hold_s)
		g_key_file_set_uint64(kf, "controller", "hold_s", c->hold_s);
	if (!c->io_threads)
		g_key_file_set_string(kf, "controller", "io_threads", "auto");
	else if (c->io_threads > 1)
		g_key_file_set_uint64(kf, "controller", "io_threads", c->io_threads);
	g_key_file_set_string(kf, "log", "level", config_level_name(c->log_level));
	if (c->capture[0])
		g_key_file_set_string(kf, "log", "capture", c->capture);
	body = g_key_file_to_data(kf, NULL, NULL);
	text = g_strconcat("# hbad.conf(5)\n", body, NULL);
	*ret_len = strlen(text);
	return text;
}

static int write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Readable for all: hbad does not run as root, and there is nothing secret in it. Contents and mode are on disk before
 * the name is: a crash leaves the old file or the new one. */
static int write_temporary(char *temp, const char *text, size_t len)
{
	hb_autoclose int fd = mkostemp(temp, O_CLOEXEC);
	int r = fd < 0 ? -errno : 0;

	if (r)
		return r;
	r = write_all(fd, text, len);
	if (!r && (fchmod(fd, 0644) || fsync(fd)))
		r = -errno;
	if (r)
		unlink(temp);
	return r;
}

static int sync_folder(const char *dir)
{
	hb_autoclose int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) ? -errno : 0;
}

/* hbad's user has to pass through, whatever the umask of root is. */
static int make_folder(const char *dir)
{
	if (!access(dir, F_OK))
		return 0;
	return g_mkdir_with_parents(dir, 0755) || chmod(dir, 0755) ? -errno : 0;
}

int config_save(const char *path, const struct config *c, struct err *e)
{
	g_autofree char *dir = g_path_get_dirname(path);
	g_autofree char *base = g_path_get_basename(path);
	g_autofree char *temp = g_strdup_printf("%s/.%s.XXXXXX", dir, base);
	g_autofree char *text = NULL;
	gsize len;
	int r = config_check(c, e);

	if (r)
		return err_prefix(e, r, "%s is not written", path);
	r = make_folder(dir);
	if (r)
		return cannot(e, "make the folder", dir, -r);
	text = to_text(c, &len);
	r = write_temporary(temp, text, len);
	if (r)
		return cannot(e, "write", temp, -r);
	if (rename(temp, path)) {
		r = cannot(e, "replace", path, errno);
		unlink(temp);
		return r;
	}
	r = sync_folder(dir);
	return r ? cannot(e, "sync the folder", dir, -r) : 0;
}
