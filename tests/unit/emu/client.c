/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The client, and the emulator's thread. */
#include "client.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"

struct answer answer;

/* --- the emulator --- */

struct rig *rig_new(const struct model *model)
{
	struct rig *r = calloc(1, sizeof(*r));

	log_set_level(LOG_LV_ERR);
	emu_config_init(&r->cfg);
	r->cfg.model = model;
	r->cfg.opt.boot_ms = 0;
	r->cfg.opt.latency_us = 0;
	strcpy(r->dir, "/tmp/hba-emu-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(r->dir));
	snprintf(r->socket, sizeof(r->socket), "%s/s", r->dir);
	snprintf(r->control, sizeof(r->control), "%s/c", r->dir);
	r->cfg.socket = r->socket;
	r->cfg.control = r->control;
	return r;
}

/* Units need the emulator, which takes the configuration when the first one comes. */
static void prepare(struct rig *r)
{
	struct err e = {""};

	if (!r->emu.loop)
		ck_assert_msg(emu_prepare(&r->emu, &r->cfg, &e) == 0, "%s", e.text);
}

void rig_unit(struct rig *r, const char *spec)
{
	struct err e = {""};

	prepare(r);
	ck_assert_msg(emu_add_unit(&r->emu, spec, &e) == 0, "%s", e.text);
}

static void *run(void *arg)
{
	loop_run(((struct rig *)arg)->emu.loop);
	return NULL;
}

void rig_up(struct rig *r)
{
	struct err e = {""};

	prepare(r);
	ck_assert_msg(emu_start(&r->emu, &r->cfg, &e) == 0, "%s", e.text);
	pthread_create(&r->thread, NULL, run, r);
	r->runs = true;
}

void rig_down(struct rig *r)
{
	uint64_t wrong;

	loop_stop(r->emu.loop);
	pthread_join(r->thread, NULL);
	wrong = r->emu.stats.wrong_dma;
	emu_stop(&r->emu);
	rmdir(r->dir);
	free(r);
	ck_assert_uint_eq(wrong, 0);
}

void rig_call(struct rig *r, void (*fn)(void *arg), void *arg)
{
	ck_assert_int_eq(loop_call(r->emu.loop, fn, arg, 10000), 0);
}

struct copy {
	struct rig *rig;
	struct emu_stats stats;
};

static void copy_stats(void *arg)
{
	struct copy *c = arg;

	c->stats = c->rig->emu.stats;
}

struct emu_stats rig_stats(struct rig *r)
{
	static struct copy c;

	c.rig = r;
	rig_call(r, copy_stats, &c);
	return c.stats;
}

static int connect_to(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		close(fd);
		return -errno;
	}
	return fd;
}

const char *rig_try(struct rig *r, const char *line)
{
	static char text[65536];
	size_t n = 0;
	int fd = connect_to(r->control);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(send(fd, line, strlen(line), 0), (ssize_t)strlen(line));
	ck_assert_int_eq(send(fd, "\n", 1, 0), 1);
	do {
		ssize_t got = recv(fd, text + n, sizeof(text) - 1 - n, 0);

		ck_assert_int_gt(got, 0);
		n += (size_t)got;
	} while (text[n - 1] != '\n');
	text[n - 1] = '\0';
	close(fd);
	return text;
}

const char *rig_do(struct rig *r, const char *line)
{
	const char *text = rig_try(r, line);

	ck_assert_msg(strncmp(text, "{\"ok\":true", 10) == 0, "%s: %s", line, text);
	return text;
}

/* --- the client --- */

int client_connect(struct client *c, const char *path)
{
	struct timeval two = {.tv_sec = 2};

	memset(c, 0, sizeof(*c));
	c->memfd = -1;
	c->fd = connect_to(path);
	if (c->fd >= 0)
		setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &two, sizeof(two));
	return c->fd;
}

void client_close(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	if (c->mem)
		munmap(c->mem, MEM_SIZE);
	if (c->memfd >= 0)
		close(c->memfd);
	c->fd = c->memfd = -1;
	c->mem = NULL;
}

void client_send(struct client *c, uint16_t cmd, uint32_t flags, const void *payload, uint32_t len,
	const int *fds, unsigned n_fds)
{
	struct vu_header h = {++c->id, cmd, (uint32_t)sizeof(h) + len, flags, 0};
	struct iovec iov[] = {{&h, sizeof(h)}, {(void *)payload, len}};
	char control[CMSG_SPACE(sizeof(int) * 32)] = {0};
	struct msghdr mh = {.msg_iov = iov, .msg_iovlen = 2};

	if (n_fds) {
		mh.msg_control = control;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		*CMSG_FIRSTHDR(&mh) = (struct cmsghdr){CMSG_LEN(sizeof(int) * n_fds), SOL_SOCKET, SCM_RIGHTS};
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&mh)), fds, sizeof(int) * n_fds);
	}
	ck_assert_int_eq(sendmsg(c->fd, &mh, MSG_NOSIGNAL), (ssize_t)(sizeof(h) + len));
}

void client_send_raw(struct client *c, const void *data, size_t len)
{
	send(c->fd, data, len, MSG_NOSIGNAL);
}

static bool receive_bytes(struct client *c, void *to, size_t len)
{
	for (size_t done = 0; done < len;) {
		char control[CMSG_SPACE(sizeof(int) * 4)];
		struct iovec iov = {(char *)to + done, len - done};
		struct msghdr mh = {.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control)};
		ssize_t n = recvmsg(c->fd, &mh, 0);

		if (n <= 0)
			return false;
		if (mh.msg_controllen)
			memcpy(&answer.fd, CMSG_DATA(CMSG_FIRSTHDR(&mh)), sizeof(int));
		done += (size_t)n;
	}
	return true;
}

bool client_receive(struct client *c)
{
	answer.fd = -1;
	if (!receive_bytes(c, &answer.h, sizeof(answer.h)))
		return false;
	ck_assert_uint_ge(answer.h.size, sizeof(answer.h));
	answer.len = answer.h.size - (uint32_t)sizeof(answer.h);
	ck_assert_uint_le(answer.len, sizeof(answer.data));
	return receive_bytes(c, answer.data, answer.len);
}

int client_call(struct client *c, uint16_t cmd, const void *payload, uint32_t len, int fd)
{
	client_send(c, cmd, VU_TYPE_COMMAND, payload, len, &fd, fd >= 0);
	ck_assert(client_receive(c));
	ck_assert_uint_eq(answer.h.cmd, cmd);
	ck_assert_uint_eq(answer.h.id, c->id);
	ck_assert_uint_eq(answer.h.flags & VU_TYPE_MASK, VU_TYPE_REPLY);
	if (!(answer.h.flags & VU_F_ERROR))
		return 0;
	ck_assert_uint_eq(answer.len, 0);
	return (int)answer.h.error;
}

bool client_is_closed(struct client *c)
{
	char byte;

	for (;;) {
		ssize_t n = recv(c->fd, &byte, 1, 0);

		if (n <= 0)
			return n == 0 || errno == ECONNRESET;
	}
}

void client_hello(struct client *c, const char *path)
{
	static const struct {
		struct vu_version v;
		char text[64];
	} hello = {{0, 1}, "{\"capabilities\":{\"max_msg_fds\":8}}"};

	ck_assert_int_ge(client_connect(c, path), 0);
	ck_assert_int_eq(
		client_call(c, VU_VERSION, &hello, (uint32_t)(sizeof(hello.v) + strlen(hello.text) + 1), -1),
		0);
}

int client_map(struct client *c, uint64_t addr, uint64_t size, uint32_t flags, int fd, uint64_t offset)
{
	const struct vu_dma_map m = {sizeof(m), flags, offset, addr, size};

	return client_call(c, VU_DMA_MAP, &m, sizeof(m), fd);
}

int client_unmap(struct client *c, uint64_t addr, uint64_t size)
{
	const struct vu_dma_unmap m = {sizeof(m), 0, addr, size};

	return client_call(c, VU_DMA_UNMAP, &m, sizeof(m), -1);
}

void client_up(struct client *c, const char *path)
{
	client_hello(c, path);
	c->memfd = memfd_create("client", MFD_CLOEXEC);
	ck_assert_int_eq(ftruncate(c->memfd, MEM_SIZE), 0);
	c->mem = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, c->memfd, 0);
	ck_assert_ptr_ne(c->mem, MAP_FAILED);
	ck_assert_int_eq(
		client_map(c, MEM_IOVA, MEM_SIZE, VU_DMA_READABLE | VU_DMA_WRITEABLE, c->memfd, 0), 0);
	client_bus_master(c, true);
}

int client_read(struct client *c, uint32_t region, uint64_t off, void *buf, uint32_t len)
{
	const struct vu_region_access a = {off, region, len};
	int r = client_call(c, VU_REGION_READ, &a, sizeof(a), -1);

	if (r)
		return r;
	ck_assert_uint_eq(answer.len, sizeof(a) + len);
	ck_assert_int_eq(memcmp(answer.data, &a, sizeof(a)), 0);
	memcpy(buf, answer.data + sizeof(a), len);
	return 0;
}

int client_write(struct client *c, uint32_t region, uint64_t off, const void *buf, uint32_t len)
{
	struct {
		struct vu_region_access a;
		uint8_t data[4096];
	} m = {{off, region, len}, {0}};

	memcpy(m.data, buf, len);
	return client_call(c, VU_REGION_WRITE, &m, (uint32_t)sizeof(m.a) + len, -1);
}

uint32_t client_read32(struct client *c, uint32_t region, uint64_t off)
{
	uint32_t v = 0;

	ck_assert_int_eq(client_read(c, region, off, &v, sizeof(v)), 0);
	return v;
}

void client_write32(struct client *c, uint32_t region, uint64_t off, uint32_t val)
{
	ck_assert_int_eq(client_write(c, region, off, &val, sizeof(val)), 0);
}

void client_bus_master(struct client *c, bool on)
{
	uint16_t command = on ? 0x6 : 0x2;

	ck_assert_int_eq(client_write(c, VFIO_PCI_CONFIG_REGION_INDEX, 4, &command, sizeof(command)), 0);
}

int client_irq(struct client *c, uint32_t flags, uint32_t index, uint32_t start, uint32_t count,
	const int *fds, unsigned n_fds)
{
	const struct vu_irq_set q = {sizeof(q), flags, index, start, count};

	client_send(c, VU_DEVICE_SET_IRQS, VU_TYPE_COMMAND, &q, sizeof(q), fds, n_fds);
	ck_assert(client_receive(c));
	return answer.h.flags & VU_F_ERROR ? (int)answer.h.error : 0;
}

uint64_t client_irq_wait(int efd, int ms)
{
	struct pollfd p = {.fd = efd, .events = POLLIN};
	uint64_t n = 0;

	if (poll(&p, 1, ms) == 1)
		ck_assert_int_eq(read(efd, &n, sizeof(n)), sizeof(n));
	return n;
}
