/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a vfio-user client sends to hba-emu. The input chooses the model and the messages, which are sent all at once;
 * then the client leaves, or stays for some turns, so that the controller works on what it was given. After that a
 * well-behaved client must be served.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <hbad/vfio_user.h>

#include "base/log.h"
#include "emu/emu.h"
#include "fuzz.h"
#include "open_fds.h"

#define MESSAGES 32
#define PAYLOAD	 400
#define MEMORY	 (1u << 20)
#define PAGE	 4096u
/* Replies of them all fit into the socket: nobody takes them off meanwhile. */
#define READ_MOST 4096

enum how {
	HOW_RAW = 0x01, /* the payload is the input's */
	HOW_NO_REPLY = 0x02,
	HOW_REPLY = 0x04, /* not a command */
	HOW_SIZE = 0x08,  /* the header says another size */
	HOW_FDS = 0x30,	  /* so many descriptors */
	HOW_MANY_FDS = 0x40,
	HOW_ODD_FLAGS = 0x80,
};
enum which {
	WHICH_FD = 0x03,    /* the first descriptor */
	WHICH_CUT = 0x10,   /* the payload is shorter */
	WHICH_PATCH = 0xc0, /* so many of its bytes are others */
};

/* One of each model, which stay: to make one takes a hundred times as long as an input. */
static struct emu emulators[4], *emu;
static char dir[] = "/tmp/hbad-fuzz-XXXXXX";
static int memory = -1, event = -1, other = -1;
static bool waits_for_us; /* memory without a descriptor: the server asks the client for it */

static void bye(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(emulators); i++)
		if (emulators[i].loop)
			emu_stop(&emulators[i]);
	rmdir(dir);
}

static void once(void)
{
	if (memory >= 0)
		return;
	log_set_level((enum log_level)0);
	ck_assert(mkdtemp(dir) != NULL);
	atexit(bye);
	memory = memfd_create("fuzz", MFD_CLOEXEC);
	event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	other = open("/dev/null", O_RDWR | O_CLOEXEC);
	ck_assert(memory >= 0 && event >= 0 && other >= 0);
}

static void turns(unsigned n)
{
	while (n--)
		loop_once(emu->loop, 0);
}

static void make_emulator(unsigned nth)
{
	char path[sizeof(dir) + 4];
	struct emu_config cfg;
	struct err e = {""};

	emu = &emulators[nth];
	if (emu->loop)
		return;
	snprintf(path, sizeof(path), "%s/%u", dir, nth);
	emu_config_init(&cfg);
	cfg.model = models[nth];
	cfg.socket = path;
	cfg.opt.boot_ms = 0;
	cfg.opt.latency_us = 0;
	ck_assert_msg(emu_prepare(emu, &cfg, &e) == 0, "%s", e.text);
	ck_assert_msg(emu_add_unit(emu, "ld0,size=1M", &e) == 0, "%s", e.text);
	ck_assert_msg(emu_start(emu, &cfg, &e) == 0, "%s", e.text);
}

/* Each input finds the same. */
static void up(unsigned nth)
{
	make_emulator(nth);
	pcifn_reset(&emu->fn, RESET_POWER);
	turns(1);
	ck_assert(ftruncate(memory, 0) == 0 && ftruncate(memory, MEMORY) == 0);
	waits_for_us = false;
}

/* --- messages --- */

static uint32_t put(uint8_t *to, const void *from, uint32_t len)
{
	memcpy(to, from, len);
	return len;
}

static uint32_t make_map(struct input *in, uint8_t *to)
{
	struct vu_dma_map m = {.argsz = sizeof(m), .flags = VU_DMA_READABLE | VU_DMA_WRITEABLE};
	uint8_t where = take8(in), much = take8(in);

	m.addr = (uint64_t)(where & 0x1f) * PAGE;
	m.offset = (uint64_t)(where >> 5) * PAGE;
	m.size = (uint64_t)much * PAGE;
	return put(to, &m, sizeof(m));
}

static uint32_t make_unmap(struct input *in, uint8_t *to)
{
	struct vu_dma_unmap u = {.argsz = sizeof(u), .addr = (uint64_t)take8(in) * PAGE};

	u.size = (uint64_t)take8(in) * PAGE;
	u.flags = u.addr || u.size ? 0 : take8(in);
	return put(to, &u, sizeof(u));
}

static uint32_t make_irqs(struct input *in, uint8_t *to)
{
	struct vu_irq_set q = {.argsz = sizeof(q), .flags = take8(in)};

	q.index = take8(in) % (VFIO_PCI_NUM_IRQS + 1);
	q.start = take8(in);
	q.count = take8(in);
	return put(to, &q, sizeof(q));
}

static uint32_t make_access(struct input *in, uint8_t *to, bool write)
{
	struct vu_region_access a = {.offset = take16(in), .region = take8(in) % (VFIO_PCI_NUM_REGIONS + 1)};
	uint32_t len = sizeof(a);

	a.count = 1 + take8(in) % 64;
	if (write) {
		take(in, to + len, a.count);
		len += a.count;
	}
	put(to, &a, sizeof(a));
	return len;
}

static uint32_t make_multi(struct input *in, uint8_t *to)
{
	uint64_t count = take8(in) % 8;
	uint32_t len = put(to, &count, sizeof(count));

	for (uint64_t i = 0; i < count; i++) {
		struct vu_write_one w = {.offset = take16(in), .region = take8(in) % VFIO_PCI_NUM_REGIONS};

		w.count = take8(in) % 10;
		take(in, w.data, sizeof(w.data));
		len += put(to + len, &w, sizeof(w));
	}
	return len;
}

static uint32_t make_raw(struct input *in, uint8_t *to)
{
	uint32_t len = take16(in) % PAYLOAD;

	take(in, to, len);
	return len;
}

/* The payload of a command as it should be; those that are not here are raw. */
static uint32_t make(struct input *in, uint16_t cmd, uint8_t *to)
{
	const struct vu_version v = {VU_MAJOR, VU_MINOR};
	uint32_t words[8] = {16}; /* argsz; the third one is the index */

	switch (cmd) {
	case VU_VERSION:
		return put(to, &v, sizeof(v));
	case VU_DMA_MAP:
		return make_map(in, to);
	case VU_DMA_UNMAP:
		return make_unmap(in, to);
	case VU_DEVICE_SET_IRQS:
		return make_irqs(in, to);
	case VU_REGION_READ:
	case VU_REGION_WRITE:
		return make_access(in, to, cmd == VU_REGION_WRITE);
	case VU_REGION_WRITE_MULTI:
		return make_multi(in, to);
	case VU_DEVICE_GET_INFO:
	case VU_DEVICE_GET_REGION_INFO:
	case VU_DEVICE_GET_IRQ_INFO:
		words[2] = take8(in);
		return put(to, words, cmd == VU_DEVICE_GET_REGION_INFO ? 32 : 16);
	case VU_DEVICE_RESET:
		return 0;
	default:
		return make_raw(in, to);
	}
}

/* Reads of much would fill the socket; too much is refused, and answered with nothing. */
static void bound_read(uint8_t *payload, uint32_t len)
{
	struct vu_region_access a;

	if (len < sizeof(a))
		return;
	memcpy(&a, payload, sizeof(a));
	if (a.count <= VU_SERVER_MAX_XFER)
		a.count %= READ_MOST + 1;
	memcpy(payload, &a, sizeof(a));
}

static void send_it(int sock, const void *bytes, size_t len, unsigned n_fds, uint8_t which)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * 32)] = {0};
	struct iovec iov = {(void *)bytes, len};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	const int of_client[] = {memory, memory, event, other};
	int fd[32];

	for (unsigned i = 0; i < n_fds; i++)
		fd[i] = i ? event : of_client[which & WHICH_FD];
	if (n_fds) {
		m.msg_control = control;
		m.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		*CMSG_FIRSTHDR(&m) = (struct cmsghdr){CMSG_LEN(n_fds * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), fd, n_fds * sizeof(int));
	}
	/* Should it be full, or closed, then the rest is not sent. */
	(void)!sendmsg(sock, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Length of the payload */
static uint32_t spoil(struct input *in, uint8_t which, uint8_t *payload, uint32_t len)
{
	for (unsigned n = (which & WHICH_PATCH) >> 6; n && len; n--) {
		uint32_t at = take8(in) % len;

		payload[at] = take8(in);
	}
	return which & WHICH_CUT ? take8(in) % (len + 1) : len;
}

static void message(struct input *in, int sock)
{
	uint8_t bytes[sizeof(struct vu_header) + PAYLOAD] = {0}, how, which;
	struct vu_header h = {.id = take8(in)};
	unsigned n_fds;

	h.cmd = take8(in) % (VU_MIG_DATA_WRITE + 2);
	how = take8(in);
	which = take8(in);
	h.size = how & HOW_RAW ? make_raw(in, bytes + sizeof(h)) : make(in, h.cmd, bytes + sizeof(h));
	h.size = spoil(in, which, bytes + sizeof(h), h.size);
	if (h.cmd == VU_REGION_READ)
		bound_read(bytes + sizeof(h), h.size);
	h.size += (uint32_t)sizeof(h);
	h.flags = (how & HOW_NO_REPLY ? VU_F_NO_REPLY : 0) | (how & HOW_REPLY ? VU_TYPE_REPLY : 0);
	if (how & HOW_ODD_FLAGS)
		h.flags ^= take8(in);
	n_fds = how & HOW_MANY_FDS ? 17 + (how & HOW_FDS) / 16 : (how & HOW_FDS) / 16;
	if (h.cmd == VU_DMA_MAP && !n_fds)
		waits_for_us = true;
	memcpy(bytes, &h, sizeof(h));
	if (how & HOW_SIZE) {
		uint32_t lie = take16(in);

		memcpy(bytes + offsetof(struct vu_header, size), &lie, sizeof(lie));
	}
	send_it(sock, bytes, h.size, n_fds, which);
}

/* --- clients --- */

static int client(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(a.sun_path, emu->server.path);
	ck_assert(sock >= 0);
	ck_assert(connect(sock, (struct sockaddr *)&a, sizeof(a)) == 0);
	turns(1);
	return sock;
}

/* The bytes of a command, and their number. */
static size_t command(uint8_t *to, uint16_t id, uint16_t cmd, const void *payload, size_t len)
{
	const struct vu_header h = {.id = id, .cmd = cmd, .size = (uint32_t)(sizeof(h) + len)};

	memcpy(to, &h, sizeof(h));
	memcpy(to + sizeof(h), payload, len);
	return h.size;
}

static size_t hello(uint8_t *to)
{
	const struct vu_version v = {VU_MAJOR, VU_MINOR};

	return command(to, 1, VU_VERSION, &v, sizeof(v));
}

static void bad_client(struct input *in, bool stays)
{
	uint8_t first[32];
	int sock = client();

	if (take8(in) & 7)
		send_it(sock, first, hello(first), 0, 0);
	for (unsigned i = 0; i < MESSAGES && in->n; i++)
		message(in, sock);
	/* A server that waits for a reply to its own command waits for seconds, or until the end. */
	if (stays && !waits_for_us)
		turns(20);
	shutdown(sock, SHUT_WR);
	for (unsigned i = 0; emu->server.connected; i++) {
		ck_assert_msg(i < 1000, "the client is not let go");
		turns(1);
	}
	close(sock);
}

/* Length of the reply, which is as it should be. */
static uint32_t check_reply(const uint8_t *got, uint16_t id, uint16_t cmd)
{
	struct vu_header h;

	memcpy(&h, got, sizeof(h));
	ck_assert(h.id == id && h.cmd == cmd && h.flags == VU_TYPE_REPLY);
	return h.size;
}

static void good_client(void)
{
	const struct vu_region_access a = {.region = VFIO_PCI_CONFIG_REGION_INDEX, .count = 4};
	uint8_t ask[128], got[4096] = {0};
	int sock = client();
	size_t len = hello(ask);
	uint32_t first;
	ssize_t n;

	len += command(ask + len, 2, VU_REGION_READ, &a, sizeof(a));
	ck_assert(send(sock, ask, len, MSG_NOSIGNAL) == (ssize_t)len);
	turns(2);
	n = recv(sock, got, sizeof(got) / 2, MSG_DONTWAIT);
	ck_assert(n > (ssize_t)sizeof(struct vu_header));
	first = check_reply(got, 1, VU_VERSION);
	ck_assert(first < n);
	ck_assert_uint_eq(first + check_reply(got + first, 2, VU_REGION_READ), (size_t)n);
	close(sock);
	turns(2);
	ck_assert(!emu->server.connected);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	uint8_t first = take8(&in);
	unsigned before;

	once();
	up(first % 4);
	before = open_fds();
	bad_client(&in, first & 0x10);
	good_client();
	ck_assert_uint_eq(open_fds(), before);
	return 0;
}
