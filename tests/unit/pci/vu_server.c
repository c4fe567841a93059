/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The scripted vfio-user server. Offsets are those of the specification's tables. */
#include "vu_server.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define HDR 16

/* --- bytes --- */

static void put16(uint8_t *p, uint16_t v)
{
	memcpy(p, &v, sizeof(v));
}
static void put32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, sizeof(v));
}
static void put64(uint8_t *p, uint64_t v)
{
	memcpy(p, &v, sizeof(v));
}
static uint16_t get16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}
static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}
static uint64_t get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void sleep_ms(unsigned ms)
{
	struct timespec ts = {ms / 1000, ms % 1000 * 1000000L};

	nanosleep(&ts, NULL);
}

/* --- the socket --- */

struct packet {
	uint8_t b[SRV_MSG_MAX];
	size_t len;
	int fd[SRV_FDS_MAX];
	unsigned n_fds;
};

static bool receive(struct srv *s, uint8_t *p, size_t len, struct packet *k)
{
	while (len) {
		_Alignas(struct cmsghdr) char control[CMSG_SPACE(SRV_FDS_MAX * sizeof(int))];
		struct iovec iov = {p, len};
		struct msghdr m = {.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control)};
		ssize_t n = recvmsg(s->sock, &m, MSG_CMSG_CLOEXEC);
		struct cmsghdr *c;

		if (n <= 0)
			return false;
		c = CMSG_FIRSTHDR(&m);
		if (c) {
			unsigned got = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));

			memcpy(k->fd + k->n_fds, CMSG_DATA(c), got * sizeof(int));
			k->n_fds += got;
		}
		p += n;
		len -= (size_t)n;
	}
	return true;
}

static void send_all(struct srv *s, const void *bytes, size_t len, const int *fds, unsigned n_fds)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(SRV_FDS_MAX * sizeof(int))] = {0};
	struct iovec iov = {(void *)bytes, len};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *c;
	ssize_t n;

	if (n_fds) {
		m.msg_control = control;
		m.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
	}
	n = sendmsg(s->sock, &m, MSG_NOSIGNAL);
	if (n > 0 && (size_t)n < len)
		send_all(s, (const char *)bytes + n, len - (size_t)n, NULL, 0);
}

void srv_send(struct srv *s, const void *bytes, size_t len, const int *fds, unsigned n_fds)
{
	send_all(s, bytes, len, fds, n_fds);
}

/* --- the device --- */

static uint8_t *region(struct srv *s, uint32_t index, uint64_t off, uint32_t count)
{
	static const struct {
		uint32_t index;
		size_t at, size;
	} regions[] = {{0, offsetof(struct srv, bar0), 256}, {1, offsetof(struct srv, bar1), SRV_BAR1_LEN},
		{7, offsetof(struct srv, cfg), 256}};

	for (unsigned i = 0; i < 3; i++)
		if (regions[i].index == index && off < regions[i].size && count <= regions[i].size - off)
			return (uint8_t *)s + regions[i].at + off;
	return NULL;
}

static uint32_t region_info(struct srv *s, const uint8_t *q, struct packet *r)
{
	uint32_t index = get32(q + 8), len = 32;
	static const uint64_t size[9] = {256, SRV_BAR1_LEN, 0, 0, 0, 0, 0, 256, 0};
	uint8_t *p = r->b + HDR;
	bool map = index == 1 && s->bar1_fd >= 0;

	ck_assert_uint_lt(index, 9);
	if (map && s->n_areas)
		len += 16 + 16 * s->n_areas;
	put32(p, len + (index == 1 ? s->argsz_more : 0));
	put32(p + 4, size[index] ? 3 | (map ? 4 : 0) | (len > 32 ? 8 : 0) : 0);
	put32(p + 8, index + (index == 1 ? s->index_more : 0));
	put32(p + 12, len > 32 ? 32 : 0);
	put64(p + 16, size[index]);
	put64(p + 24, map ? s->bar1_offset : 0);
	if (len > 32) {
		put16(p + 32, 1); /* VFIO_REGION_INFO_CAP_SPARSE_MMAP */
		put16(p + 34, 1);
		put32(p + 36, 0);
		put32(p + 40, s->n_areas);
		put32(p + 44, 0);
		for (unsigned i = 0; i < s->n_areas; i++) {
			put64(p + 48 + 16 * i, s->area[i][0]);
			put64(p + 56 + 16 * i, s->area[i][1]);
		}
	}
	for (unsigned i = 0; map && i < s->n_region_fds; i++)
		r->fd[r->n_fds++] = s->bar1_fd;
	return len;
}

static int set_irqs(struct srv *s, const uint8_t *q, struct packet *in)
{
	uint32_t flags = get32(q + 4), index = get32(q + 8), start = get32(q + 12), count = get32(q + 16);

	if (index > 4 || start + count > 128)
		return EINVAL;
	if (flags == 0x21 && !count) /* DATA_NONE, ACTION_TRIGGER: off */
		for (unsigned i = 0; i < 128; i++) {
			if (s->irq_fd[index][i] >= 0)
				close(s->irq_fd[index][i]);
			s->irq_fd[index][i] = -1;
		}
	if (flags != 0x24) /* DATA_EVENTFD, ACTION_TRIGGER */
		return 0;
	if (count != in->n_fds)
		return EINVAL;
	for (unsigned i = 0; i < count; i++) {
		if (s->irq_fd[index][start + i] >= 0)
			close(s->irq_fd[index][start + i]);
		s->irq_fd[index][start + i] = in->fd[i];
	}
	in->n_fds = 0;
	return 0;
}

static int dma_map(struct srv *s, const uint8_t *q, struct packet *in)
{
	struct srv_map m = {.offset = get64(q + 8), .addr = get64(q + 16), .size = get64(q + 24), .fd = -1};

	if (s->n_maps == 16 || in->n_fds > 1)
		return ENOSPC;
	for (unsigned i = 0; i < s->n_maps; i++)
		if (s->map[i].addr == m.addr)
			return EEXIST;
	if (in->n_fds)
		m.fd = in->fd[--in->n_fds];
	s->map[s->n_maps++] = m;
	return 0;
}

static int dma_unmap(struct srv *s, const uint8_t *q)
{
	for (unsigned i = 0; i < s->n_maps; i++)
		if (s->map[i].addr == get64(q + 8) && s->map[i].size == get64(q + 16)) {
			if (s->map[i].fd >= 0)
				close(s->map[i].fd);
			s->map[i] = s->map[--s->n_maps];
			return 0;
		}
	return ENOENT;
}

/* Length of the reply's payload, or -errno. */
static int answer(struct srv *s, const struct srv_msg *m, struct packet *in, struct packet *r)
{
	const uint8_t *q = in->b + HDR;
	uint8_t *p = r->b + HDR, *at;

	switch (m->cmd) {
	case 1: /* VERSION */
		put16(p, s->major);
		put16(p + 2, s->minor);
		if (!s->json)
			return 4;
		memcpy(p + 4, s->json, s->json_len);
		return 4 + (int)s->json_len;
	case 2:
		return -dma_map(s, q, in);
	case 3:
		memcpy(p, q, 24);
		return dma_unmap(s, q) ? -ENOENT : 24;
	case 4: /* DEVICE_GET_INFO */
		put32(p, 16);
		put32(p + 4, s->device_flags);
		put32(p + 8, s->n_regions);
		put32(p + 12, s->n_irqs);
		return 16;
	case 5:
		return (int)region_info(s, q, r);
	case 7: /* DEVICE_GET_IRQ_INFO */
		put32(p, 16);
		put32(p + 4, s->irq_flags[get32(q + 8) % 5]);
		put32(p + 8, get32(q + 8));
		put32(p + 12, s->irq_count[get32(q + 8) % 5]);
		return 16;
	case 8:
		return -set_irqs(s, q, in);
	case 9: /* REGION_READ */
		memcpy(p, q, 16);
		at = region(s, get32(q + 8), get64(q), get32(q + 12));
		if (!at)
			return -EINVAL;
		memcpy(p + 16, at, get32(q + 12));
		return 16 + (int)get32(q + 12);
	case 10: /* REGION_WRITE */
		memcpy(p, q, 16);
		at = region(s, get32(q + 8), get64(q), get32(q + 12));
		if (!at)
			return -EINVAL;
		memcpy(at, q + 16, get32(q + 12));
		return 16;
	case 13:
		s->resets++;
		return 0;
	default:
		return -ENOTSUP;
	}
}

/* --- misbehaviour --- */

/* False: hang up. */
static bool send_twisted(struct srv *s, struct packet *r, struct packet *in, enum twist t)
{
	int extra[30];

	switch (t) {
	case TWIST_HANG_UP:
		return false;
	case TWIST_HANG_UP_LATE:
		send_all(s, r->b, r->len > 20 ? 20 : r->len / 2, r->fd, r->n_fds);
		return false;
	case TWIST_SHORT:
		if (r->len > HDR)
			r->len--;
		put32(r->b + 4, (uint32_t)r->len);
		break;
	case TWIST_LONG:
		memset(r->b + r->len, 0, 4);
		r->len += 4;
		put32(r->b + 4, (uint32_t)r->len);
		break;
	case TWIST_OTHER_ID:
		put16(r->b, (uint16_t)(get16(r->b) + 1));
		break;
	case TWIST_OTHER_CMD:
		put16(r->b + 2, get16(r->b + 2) == 9 ? 10 : 9);
		break;
	case TWIST_ECHO:
		send_all(s, in->b, in->len, NULL, 0);
		break;
	case TWIST_ERROR:
	case TWIST_ERROR_ZERO:
	case TWIST_ERROR_HUGE:
		put32(r->b + 4, HDR);
		put32(r->b + 8, 0x21);
		put32(r->b + 12, t == TWIST_ERROR ? EPERM : t == TWIST_ERROR_ZERO ? 0 : UINT32_MAX);
		r->len = HDR;
		break;
	case TWIST_FDS:
	case TWIST_MANY_FDS:
	case TWIST_LATE_FDS:
		for (unsigned i = 0; i < 30; i++)
			extra[i] = s->listener;
		if (t == TWIST_LATE_FDS) {
			send_all(s, r->b, r->len - 1, r->fd, r->n_fds);
			send_all(s, r->b + r->len - 1, 1, extra, 2);
		} else {
			send_all(s, r->b, r->len, extra, t == TWIST_FDS ? 3 : 30);
		}
		return true;
	case TWIST_SIZE_TINY:
		put32(r->b + 4, 15);
		break;
	case TWIST_SIZE_HUGE:
		put32(r->b + 4, 1u << 31);
		break;
	case TWIST_TYPE:
		put32(r->b + 8, 0x2);
		break;
	case TWIST_FLAGS:
		put32(r->b + 8, 0x41);
		break;
	case TWIST_TWICE:
		send_all(s, r->b, r->len, r->fd, r->n_fds);
		break;
	case TWIST_ZEROS:
	case TWIST_ONES:
		memset(r->b + HDR, t == TWIST_ONES ? 0xff : 0, r->len - HDR);
		break;
	case TWIST_RANDOM:
		for (unsigned i = 0; i <= s->seed % 3; i++)
			r->b[(unsigned)rand_r(&s->seed) % r->len] = (uint8_t)rand_r(&s->seed);
		break;
	case TWIST_SILENT:
		return true;
	case TWIST_HALF:
		send_all(s, r->b, r->len / 2, NULL, 0);
		return true;
	default:
		break;
	}
	send_all(s, r->b, r->len, r->fd, r->n_fds);
	return true;
}

/* --- the thread --- */

static void note(struct srv *s, const struct srv_msg *m)
{
	pthread_mutex_lock(&s->lock);
	if (s->n_log < SRV_LOG_MAX)
		s->log[s->n_log] = *m;
	s->n_log++;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

static void note_dma(struct srv *s, const struct srv_msg *m, const struct packet *in)
{
	pthread_mutex_lock(&s->lock);
	s->dma_replies++;
	s->dma_errno = m->flags & 0x20 ? m->error : 0;
	s->dma_errors += s->dma_errno != 0;
	s->dma_len = m->size - HDR;
	if (s->dma_len <= sizeof(s->dma_data))
		memcpy(s->dma_data, in->b + HDR, s->dma_len);
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

static void dma_command(
	struct srv *s, bool write, uint64_t addr, uint64_t count, const void *data, size_t len)
{
	uint8_t *b = calloc(1, HDR + 16 + len);

	put16(b, 0x7777);
	put16(b + 2, write ? 12 : 11);
	put32(b + 4, (uint32_t)(HDR + 16 + len));
	put64(b + HDR, addr);
	put64(b + HDR + 8, count);
	if (len)
		memcpy(b + HDR + 16, data, len);
	send_all(s, b, HDR + 16 + len, NULL, 0);
	free(b);
}

static bool stopped(struct srv *s, unsigned nth)
{
	pthread_mutex_lock(&s->lock);
	while (s->stop_reading_at && nth >= s->stop_reading_at && !s->may_go_on)
		pthread_cond_wait(&s->changed, &s->lock);
	pthread_mutex_unlock(&s->lock);
	return true;
}

static bool reply(struct srv *s, unsigned nth, const struct srv_msg *m, struct packet *in, struct packet *out)
{
	int n;

	out->n_fds = 0;
	n = answer(s, m, in, out);
	if (m->flags & 0x10)
		return true;
	out->len = HDR + (n > 0 ? (size_t)n : 0);
	put16(out->b, m->id);
	put16(out->b + 2, m->cmd);
	put32(out->b + 4, (uint32_t)out->len);
	put32(out->b + 8, n < 0 ? 0x21 : 0x1);
	put32(out->b + 12, n < 0 ? (uint32_t)-n : 0);
	if (s->slow_at == nth)
		sleep_ms(s->slow_ms);
	if (s->read_dma_between && m->cmd == 9)
		dma_command(s, false, s->dma_addr, 16, NULL, 0);
	if (s->change && !s->change(s, out->b, &out->len, out->fd, &out->n_fds))
		return false;
	return send_twisted(s, out, in, s->twist_at == nth ? s->twist : TWIST_NONE);
}

static bool handle(struct srv *s, unsigned *nth, struct packet *in, struct packet *out)
{
	struct srv_msg m = {0};
	bool ok;

	in->n_fds = 0;
	if (!receive(s, in->b, HDR, in))
		return false;
	m.id = get16(in->b);
	m.cmd = get16(in->b + 2);
	m.size = get32(in->b + 4);
	m.flags = get32(in->b + 8);
	m.error = get32(in->b + 12);
	ck_assert_uint_ge(m.size, HDR);
	ck_assert_uint_le(m.size, SRV_MSG_MAX);
	in->len = m.size;
	if (!receive(s, in->b + HDR, m.size - HDR, in))
		return false;
	memcpy(m.payload, in->b + HDR, m.size - HDR < 128 ? m.size - HDR : 128);
	m.n_fds = in->n_fds;
	if ((m.flags & 0xf) == 1) {
		note_dma(s, &m, in);
		return true;
	}
	note(s, &m);
	stopped(s, ++*nth);
	ok = reply(s, *nth, &m, in, out);
	while (in->n_fds)
		close(in->fd[--in->n_fds]);
	return ok;
}

static void *srv_run(void *arg)
{
	struct srv *s = arg;
	struct packet *in = malloc(sizeof(*in)), *out = malloc(sizeof(*out));
	unsigned nth = 0;
	int sock = accept(s->listener, NULL, NULL);

	pthread_mutex_lock(&s->lock);
	s->sock = sock;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	while (sock >= 0 && handle(s, &nth, in, out))
		;
	if (sock >= 0)
		shutdown(sock, SHUT_RDWR);
	while (in->n_fds && sock >= 0)
		close(in->fd[--in->n_fds]);
	free(in);
	free(out);
	return NULL;
}

static const char default_json[] =
	"{\"capabilities\":{\"max_msg_fds\":4,\"max_data_xfer_size\":1048576,\"max_dma_maps\":16}}";

void srv_init(struct srv *s)
{
	memset(s, 0, sizeof(*s));
	s->minor = 1;
	s->json = default_json;
	s->device_flags = 3; /* RESET, PCI */
	s->n_regions = 9;
	s->n_irqs = 5;
	s->irq_flags[0] = 7; /* EVENTFD, MASKABLE, AUTOMASKED */
	s->irq_flags[1] = s->irq_flags[2] = 9;
	s->irq_count[0] = s->irq_count[1] = 1;
	s->irq_count[2] = 10;
	s->bar1_fd = s->listener = s->sock = -1;
	s->n_region_fds = 1;
	memset(s->irq_fd, 0xff, sizeof(s->irq_fd));
	put32(s->cfg, 0x005d1000); /* vendor 1000, device 005d */
	put16(s->cfg + 4, 0x0007); /* bus mastering left on by whoever had it */
	put32(s->cfg + 8, 0x01040002);
	put32(s->cfg + 0x10, 0x1); /* BAR 0: ports */
	put32(s->cfg + 0x2c, 0x93641000);
	for (unsigned i = 0; i < sizeof(s->bar1); i += 4)
		put32(s->bar1 + i, 0xb1000000 + i);
	for (unsigned i = 0; i < sizeof(s->bar0); i += 4)
		put32(s->bar0 + i, 0xb0000000 + i);
}

void srv_start(struct srv *s)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};

	if (s->json && !s->json_len)
		s->json_len = strlen(s->json) + 1;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->changed, NULL);
	snprintf(s->dir, sizeof(s->dir), "/tmp/hbad-vu-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(s->dir));
	snprintf(s->path, sizeof(s->path), "%s/s", s->dir);
	snprintf(s->uri, sizeof(s->uri), "vfio-user:%s", s->path);
	strcpy(sun.sun_path, s->path);
	s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(s->listener, (struct sockaddr *)&sun, sizeof(sun)), 0);
	ck_assert_int_eq(listen(s->listener, 1), 0);
	ck_assert_int_eq(pthread_create(&s->thread, NULL, srv_run, s), 0);
	s->running = true;
}

void srv_hang_up(struct srv *s)
{
	pthread_mutex_lock(&s->lock);
	s->may_go_on = true;
	if (s->sock >= 0)
		shutdown(s->sock, SHUT_RDWR);
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

void srv_go_on(struct srv *s)
{
	pthread_mutex_lock(&s->lock);
	s->may_go_on = true;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

void srv_stop(struct srv *s)
{
	if (!s->running)
		return;
	srv_hang_up(s);
	shutdown(s->listener, SHUT_RDWR); /* a test without a client */
	pthread_join(s->thread, NULL);
	if (s->sock >= 0)
		close(s->sock);
	close(s->listener);
	for (unsigned k = 0; k < 5; k++)
		for (unsigned i = 0; i < 128; i++)
			if (s->irq_fd[k][i] >= 0)
				close(s->irq_fd[k][i]);
	for (unsigned i = 0; i < s->n_maps; i++)
		if (s->map[i].fd >= 0)
			close(s->map[i].fd);
	unlink(s->path);
	rmdir(s->dir);
	s->running = false;
}

/* --- what tests ask --- */

static bool wait_change(struct srv *s, uint64_t until_ms)
{
	struct timespec ts;

	if (now_ms() >= until_ms)
		return false;
	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_nsec += 20000000;
	if (ts.tv_nsec >= 1000000000) {
		ts.tv_sec++;
		ts.tv_nsec -= 1000000000;
	}
	pthread_cond_timedwait(&s->changed, &s->lock, &ts);
	return true;
}

const struct srv_msg *srv_find(struct srv *s, uint16_t cmd, unsigned n)
{
	uint64_t until = now_ms() + SRV_LIMIT_MS;
	const struct srv_msg *found = NULL;

	pthread_mutex_lock(&s->lock);
	do {
		unsigned skip = n;

		for (unsigned i = 0; !found && i < s->n_log && i < SRV_LOG_MAX; i++)
			if (s->log[i].cmd == cmd && !skip--)
				found = &s->log[i];
	} while (!found && wait_change(s, until));
	pthread_mutex_unlock(&s->lock);
	return found;
}

unsigned srv_count(struct srv *s)
{
	unsigned n;

	pthread_mutex_lock(&s->lock);
	n = s->n_log;
	pthread_mutex_unlock(&s->lock);
	return n;
}

bool srv_await_replies(struct srv *s, unsigned n)
{
	uint64_t until = now_ms() + SRV_LIMIT_MS;
	bool ok;

	pthread_mutex_lock(&s->lock);
	while (s->dma_replies < n && wait_change(s, until))
		;
	ok = s->dma_replies >= n;
	pthread_mutex_unlock(&s->lock);
	return ok;
}

bool srv_dma(struct srv *s, bool write, uint64_t addr, uint64_t count, const void *data, size_t len)
{
	unsigned before;

	pthread_mutex_lock(&s->lock);
	before = s->dma_replies;
	pthread_mutex_unlock(&s->lock);
	dma_command(s, write, addr, count, data, len);
	return srv_await_replies(s, before + 1);
}

void srv_irq(struct srv *s, unsigned kind, unsigned n)
{
	ck_assert_int_ge(s->irq_fd[kind][n], 0);
	ck_assert_int_eq(eventfd_write(s->irq_fd[kind][n], 1), 0);
}
