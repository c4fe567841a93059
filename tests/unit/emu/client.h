/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A small vfio-user client, written from the specification, and an emulator on a thread to talk to. */
#ifndef HBAD_TESTS_EMU_CLIENT_H
#define HBAD_TESTS_EMU_CLIENT_H

#include <check.h>
#include <pthread.h>
#include <hbad/vfio_user.h>

#include "emu/emu.h"

#define MEM_SIZE (4u << 20)
#define MEM_IOVA 0x10000000u

struct rig {
	struct emu_config cfg;
	struct emu emu;
	pthread_t thread;
	bool runs;
	char dir[64], socket[96], control[96];
};

/* A configuration without delays, in a directory of its own. Change it, then go up. */
struct rig *rig_new(const struct model *model);
void rig_unit(struct rig *r, const char *spec); /* before rig_up() */
void rig_up(struct rig *r);
/* Stops and frees. Asserts no wrong DMA unless the test took it back to zero. */
void rig_down(struct rig *r);
/* On the emulator's thread. */
void rig_call(struct rig *r, void (*fn)(void *arg), void *arg);
struct emu_stats rig_stats(struct rig *r);
/* A command of the control socket; asserts that it worked. The answer is static. */
const char *rig_do(struct rig *r, const char *line);
const char *rig_try(struct rig *r, const char *line);
#define LIMIT_MS 30000 /* for what must come, however slow the machine */
#define rig_wait(expr)                                                                                       \
	do {                                                                                                 \
		unsigned _left = LIMIT_MS;                                                                   \
		while (!(expr) && --_left)                                                                   \
			usleep(1000);                                                                        \
		ck_assert_msg(_left, "never true: %s", #expr);                                               \
	} while (0)

struct client {
	int fd;
	uint16_t id;
	int memfd;
	uint8_t *mem; /* MEM_SIZE, at MEM_IOVA once mapped */
};

/* A reply (or a command of the server). */
struct answer {
	struct vu_header h;
	uint8_t data[2 << 20];
	uint32_t len;
	int fd;
};
extern struct answer answer;

int client_connect(struct client *c, const char *path); /* the socket only */
void client_close(struct client *c);
void client_send(struct client *c, uint16_t cmd, uint32_t flags, const void *payload, uint32_t len,
	const int *fds, unsigned n_fds);
void client_send_raw(struct client *c, const void *data, size_t len);
/* The next message into answer. False: the server closed. */
bool client_receive(struct client *c);
/* Sends and receives. Returns 0, or the error of the reply; asserts that there is one. */
int client_call(struct client *c, uint16_t cmd, const void *payload, uint32_t len, int fd);
bool client_is_closed(struct client *c); /* within two seconds */

/* Connected and negotiated. */
void client_hello(struct client *c, const char *path);
/* ... with memory mapped */
void client_up(struct client *c, const char *path);
int client_map(struct client *c, uint64_t addr, uint64_t size, uint32_t flags, int fd, uint64_t offset);
int client_unmap(struct client *c, uint64_t addr, uint64_t size);
int client_read(struct client *c, uint32_t region, uint64_t off, void *buf, uint32_t len);
int client_write(struct client *c, uint32_t region, uint64_t off, const void *buf, uint32_t len);
uint32_t client_read32(struct client *c, uint32_t region, uint64_t off);
void client_write32(struct client *c, uint32_t region, uint64_t off, uint32_t val);
void client_bus_master(struct client *c, bool on);
int client_irq(struct client *c, uint32_t flags, uint32_t index, uint32_t start, uint32_t count,
	const int *fds, unsigned n_fds);
/* How often the eventfd was signalled since the last look, within the time; 0 after it. */
uint64_t client_irq_wait(int efd, int ms);

#endif
