/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A fake libtcmu and tcmu-runner, fake folders, and the wrapped seams of the plugin (CMakeLists.txt: --wrap). */
#include "fake.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "fake_hbad.h"
#include "handler/handler.h"
#include "handler/timing.h"

struct fake fake;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char records[4096][64];
static unsigned n_records;
static char fail_file[8][64];
static int fail_err[8];
static char logged[512][512];
static unsigned n_logged;
static unsigned n_devices;

/* --- libtcmu and the runner --- */

int tcmur_register_handler(struct tcmur_handler *handler)
{
	if (!fake.register_result)
		fake.handler = handler;
	return fake.register_result;
}

void tcmur_dev_set_private(struct tcmu_device *dev, void *priv)
{
	dev->priv = priv;
}

void *tcmur_dev_get_private(struct tcmu_device *dev)
{
	return dev->priv;
}

int tcmu_dev_get_fd(struct tcmu_device *dev)
{
	return dev->fd;
}

const char *tcmu_dev_get_uio_name(struct tcmu_device *dev)
{
	return dev->uio;
}

char *tcmu_dev_get_cfgstring(struct tcmu_device *dev)
{
	return dev->cfgstring;
}

uint64_t tcmu_dev_get_num_lbas(struct tcmu_device *dev)
{
	return dev->lbas;
}

uint32_t tcmu_dev_get_block_size(struct tcmu_device *dev)
{
	return dev->block_size;
}

char *tcmu_dev_get_memory_info(struct tcmu_device *dev, void **base, size_t *len, off_t *offset)
{
	*base = dev->map;
	*len = dev->map_len;
	*offset = 0;
	return strdup("/dev/uio");
}

static void keep_line(const char *fmt, va_list ap)
{
	pthread_mutex_lock(&lock);
	if (n_logged < 512)
		vsnprintf(logged[n_logged++], sizeof(logged[0]), fmt, ap);
	pthread_mutex_unlock(&lock);
}

#define LOG_FN(name)                                                                                         \
	void name(struct tcmu_device *dev, const char *function, int line, const char *fmt, ...)             \
	{                                                                                                    \
		va_list ap;                                                                                  \
		va_start(ap, fmt);                                                                           \
		keep_line(fmt, ap);                                                                          \
		va_end(ap);                                                                                  \
	}
LOG_FN(tcmu_err_message)
LOG_FN(tcmu_warn_message)
LOG_FN(tcmu_info_message)

unsigned log_count(const char *part)
{
	unsigned n = 0;

	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < n_logged; i++)
		n += strstr(logged[i], part) != NULL;
	pthread_mutex_unlock(&lock);
	return n;
}

char *log_all(void)
{
	static char text[512 * 512 + 4096 * 64];
	char *at = text;

	pthread_mutex_lock(&lock);
	*at = '\0';
	for (unsigned i = 0; i < n_logged; i++)
		at = stpcpy(at, logged[i]);
	for (unsigned i = 0; i < n_records && i < 40; i++)
		at += sprintf(at, "  %s\n", records[i]);
	pthread_mutex_unlock(&lock);
	return text;
}

/* --- wrapped seams --- */

int __real_cfgfs_write(int fd, const char *value);
int __wrap_cfgfs_write(int fd, const char *value);
bool __wrap_uio_held(const char *uio);
int __real_proc_kill(int pidfd, pid_t pid);
int __wrap_proc_kill(int pidfd, pid_t pid);

/* "…/user_0/vol1/action/block_dev" -> "vol1/block_dev" */
static void name_of(int fd, char *ret, size_t size)
{
	char link[64], path[256], none[] = "", *part[3] = {none, none, none};
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	for (char *p = strtok(path, "/"); p; p = strtok(NULL, "/")) {
		part[0] = part[1];
		part[1] = part[2];
		part[2] = p;
	}
	snprintf(ret, size, "%s/%s", part[0], part[2]);
}

int __wrap_cfgfs_write(int fd, const char *value)
{
	char name[64];
	int err = 0;

	pthread_mutex_lock(&lock);
	name_of(fd, name, sizeof(name));
	if (n_records < 4096)
		snprintf(records[n_records++], sizeof(records[0]), "%.50s=%.5s", name, value);
	for (unsigned i = 0; i < 8; i++)
		if (fail_err[i] && !strcmp(fail_file[i], name))
			err = fail_err[i];
	pthread_mutex_unlock(&lock);
	return err ? -err : __real_cfgfs_write(fd, value);
}

bool __wrap_uio_held(const char *uio)
{
	switch (atomic_load(&fake.held)) {
	case 1:
		return true;
	case 2:
		return !hbad_count(fake.a, "HELLO");
	case 3:
		return hbad_alive(fake.a);
	case 4:
		return hbad_alive(fake.a) && now_ms() < fake.drained_ms;
	default:
		return false;
	}
}

int __wrap_proc_kill(int pidfd, pid_t pid)
{
	return atomic_load(&fake.killing_off) ? 0 : __real_proc_kill(pidfd, pid);
}

unsigned record_count(const char *what)
{
	unsigned n = 0;

	while (record_index(what, n) >= 0)
		n++;
	return n;
}

int record_index(const char *what, unsigned n)
{
	int found = -1;

	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < n_records && found < 0; i++)
		if (!strcmp(records[i], what) && !n--)
			found = (int)i;
	pthread_mutex_unlock(&lock);
	return found;
}

unsigned record_total(void)
{
	unsigned n;

	pthread_mutex_lock(&lock);
	n = n_records;
	pthread_mutex_unlock(&lock);
	return n;
}

const char *record_at(unsigned n)
{
	return records[n];
}

void record_fail(const char *file, int err)
{
	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < 8; i++) {
		if (fail_file[i][0] && strcmp(fail_file[i], file))
			continue;
		snprintf(fail_file[i], sizeof(fail_file[i]), "%s", file);
		fail_err[i] = err;
		break;
	}
	pthread_mutex_unlock(&lock);
}

/* --- folders --- */

static void make_path(const char *path)
{
	char full[256];

	snprintf(full, sizeof(full), "%s/%s", fake.root, path);
	for (char *p = full + strlen(fake.root) + 1; (p = strchr(p, '/')); *p++ = '/') {
		*p = '\0';
		mkdir(full, 0700);
	}
}

void fake_write(const char *path, const char *text)
{
	char full[256];
	FILE *f;

	make_path(path);
	snprintf(full, sizeof(full), "%s/%s", fake.root, path);
	f = fopen(full, "w");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

void fake_read(const char *path, char *text, size_t size)
{
	char full[256];
	FILE *f;

	snprintf(full, sizeof(full), "%s/%s", fake.root, path);
	f = fopen(full, "r");
	ck_assert_ptr_nonnull(f);
	text[fread(text, 1, size - 1, f)] = '\0';
	fclose(f);
}

static void make_backstore(const char *name, const char *cfgstring, const char *uio, bool configured)
{
	static const char *const files[][2] = {
		{"action/block_dev", "0"},
		{"action/reset_ring", ""},
		{"attrib/cmd_time_out", "5"},
		{"attrib/tmr_notification", "0"},
		{"attrib/nl_reply_supported", "0"},
		{"attrib/emulate_write_cache", "0"},
	};
	char path[256], text[512];

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "cfg/target/core/user_0/%s/%s", name, files[i][0]);
		fake_write(path, files[i][1]);
	}
	snprintf(path, sizeof(path), "cfg/target/core/user_0/%s/enable", name);
	fake_write(path, configured ? "1\n" : "0\n");
	snprintf(path, sizeof(path), "uio/%s/name", uio);
	snprintf(text, sizeof(text), "tcm-user/0/%s/%s\n", name, cfgstring);
	fake_write(path, text);
}

static void make_ring(struct tcmu_device *dev)
{
	uint32_t *mailbox;
	char path[256];

	make_path("dev/x");
	snprintf(path, sizeof(path), "%s/dev/%s", fake.root, dev->uio);
	dev->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ck_assert_int_ge(dev->fd, 0);
	ck_assert_int_eq(ftruncate(dev->fd, RING_BYTES), 0);
	dev->map_len = RING_BYTES;
	dev->map = mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, dev->fd, 0);
	mailbox = dev->map;
	mailbox[0] = 2 | 0xf << 16; /* version, flags */
	mailbox[1] = 128;	    /* cmdr_off */
	mailbox[2] = 8192 - 128;    /* cmdr_size */
	mailbox[3] = 0x340;	    /* cmd_head */
	mailbox[16] = 0x1c0;	    /* cmd_tail */
	((uint64_t *)dev->map)[4096 / 8] = RING_MAGIC;
	/* Writes to the descriptor ("kicks") leave the ring alone and can be counted. */
	lseek(dev->fd, RING_BYTES, SEEK_SET);
	dev->real_fd = fcntl(dev->fd, F_DUPFD_CLOEXEC, 100);
}

struct tcmu_device *fake_device(const char *name, const char *cfgstring, bool configured)
{
	static struct tcmu_device devices[16];
	struct tcmu_device *dev = &devices[n_devices];

	snprintf(dev->uio, sizeof(dev->uio), "uio%u", n_devices++);
	snprintf(dev->name, sizeof(dev->name), "%s", name);
	snprintf(dev->cfgstring, sizeof(dev->cfgstring), "%s", cfgstring);
	dev->lbas = 2048;
	dev->block_size = 512;
	make_backstore(name, cfgstring, dev->uio, configured);
	make_ring(dev);
	return dev;
}

bool map_is_decoy(const struct tcmu_device *dev)
{
	const uint32_t *mailbox = dev->map;
	char byte;

	/* The runner compares the tail that it has copied with the head. */
	return mailbox[3] == 0x1c0 && mailbox[16] == 0x1c0 && mailbox[0] == (2 | 0xf << 16) &&
	       mailbox[1] == 128 && mailbox[2] == 8192 - 128 && !((const uint64_t *)dev->map)[4096 / 8] &&
	       read(dev->fd, &byte, 1) == -1 && errno == EAGAIN;
}

unsigned kicks(const struct tcmu_device *dev)
{
	return (unsigned)(lseek(dev->real_fd, 0, SEEK_CUR) - RING_BYTES) / 4;
}

uint64_t now_ms(void)
{
	return clock_ns() / NS_PER_MS;
}

/* --- fixture --- */

static void set_folder(const char *variable, const char *folder)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", fake.root, folder);
	setenv(variable, path, 1);
}

void fake_setup(void)
{
	strcpy(fake.root, "/tmp/hbad-handler-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(fake.root));
	set_folder("HBAD_RUNTIME_DIR", "run");
	set_folder("HBAD_CONFIG_DIR", "etc");
	set_folder("HBAD_CONFIGFS", "cfg");
	set_folder("HBAD_UIO_CLASS", "uio");
	set_folder("HBAD_DEV", "dev");
	fake_write("run/g2/lock", "");
	fake_write("etc/g2.conf", "");
	timing = (struct timing){
		.call = 1500,
		.open = 2000,
		.hello = 1600,
		.ping = 60,
		.silent = 2500,
		.absent = 20000,
		.back = 120000,
		.retry = 30,
		.offer_retry = 100,
		.death = 300,
		.alarm = 300,
		.stop = 4000,
		.settle = 1500,
		.killed = 2000,
		.grace = 200,
		.release = 500,
		.drain = 1500,
		.stop_max = 300000,
		.unfenceable = 5000,
		.join = 5000,
	};
	fake.a = hbad_new("g2");
	fake.b = hbad_new("g2");
	ck_assert_int_eq(handler_register(), 0);
}

void fake_patient(void)
{
	timing.call = timing.open = timing.hello = 3 * BUSY_MS;
}

void fake_teardown(void)
{
	char command[128];

	fake.handler->destroy();
	hbad_free(fake.a);
	hbad_free(fake.b);
	snprintf(command, sizeof(command), "rm -rf %s", fake.root);
	ck_assert_int_eq(system(command), 0);
}
