/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The world around the plugin: a tcmu-runner with one structure per device, a folder that looks like configfs, sysfs
 * and /dev, and hbads that are real processes on real sockets, so that pidfds, signals and hang-ups are real too.
 *
 * Everything is made in fake_setup() before any thread exists, because the hbads are forked.
 */
#ifndef HBAD_TEST_HANDLER_FAKE_H
#define HBAD_TEST_HANDLER_FAKE_H

#include <check.h>
#include <stdatomic.h>

#include "handler/device.h"
#include "handler/tcmu_abi.h"
#include "tests/unit/open_fds.h"
#include "tests/unit/run_suite.h"

#define RING_BYTES  (16 * 4096)
#define RING_MAGIC  0x1122334455667788ull /* in the ring's second page */
#define FAKE_HANDLE 0x7001

struct tcmu_device {
	int fd;
	void *map;
	size_t map_len;
	char uio[16];
	char name[32];
	char cfgstring[256];
	uint64_t lbas;
	uint32_t block_size;
	void *priv;
	int real_fd; /* the same open file, kept by the test */
};

/* --- hbad --- */

enum act {
	ACT_OK,
	ACT_REFUSE, /* status -EINVAL and a reason */
	ACT_NOENT,  /* status -ENOENT, no reason */
	/* status -EINPROGRESS */
	ACT_DRAINING,
	ACT_SILENT,
	ACT_HANG_UP,
	ACT_DIE,
	ACT_FREEZE, /* SIGSTOP to itself */
	/* answers that break the protocol */
	ACT_SHORT,
	ACT_SEQ,
	ACT_MAGIC,
	ACT_LONG, /* longer than HANDOFF_MAX */
	ACT_SIZE, /* head.size is not the packet's */
	ACT_TYPE,
	ACT_POSITIVE,
	ACT_VERSION, /* another version, status 0 */
	/* another version, said as the protocol wants it */
	ACT_EPROTO,
	ACT_DROPPED, /* PING: names the device as one that was let go of */
};

struct fake_hbad {
	atomic_int go, stop_event, hang_up_watch, exit_now;
	atomic_uint back_s;  /* what stop_event says */
	atomic_uint wait_ms; /* of its replies */
	atomic_uint state;   /* enum handoff_state of its replies; 0: HANDOFF_READY */
	atomic_int act[16];  /* enum act by enum handoff_type */
	atomic_uint n_log;
	char log[512][128]; /* "OPEN vol1 hba/g2/ld0 known=1 ring=ok": in order of arrival */
	atomic_int ready;
	pid_t pid;
	char instance[33];
};

/* Listens only once it is started. */
void hbad_start(struct fake_hbad *h);
/* The n-th (from 0) message whose text begins with prefix, or NULL. */
const char *hbad_log(struct fake_hbad *h, const char *prefix, unsigned n);
unsigned hbad_count(struct fake_hbad *h, const char *prefix);
bool hbad_alive(struct fake_hbad *h);
void hbad_wait_dead(struct fake_hbad *h);

/* --- the machine --- */

extern struct fake {
	char root[64];
	struct fake_hbad *a, *b;       /* two lives of hbad@g2 */
	struct tcmur_handler *handler; /* what was registered */
	int register_result;
	/* what uio_held() says: 0 or 1; 2: until HELLO; 3: until the first hbad is dead; 4: so, but until drained_ms at most */
	atomic_int held;
	uint64_t drained_ms;
	atomic_int killing_off; /* proc_kill() does nothing */
} fake;

void fake_setup(void);
void fake_teardown(void);
void fake_write(const char *path, const char *text); /* below root */
void fake_read(const char *path, char *text, size_t size);
/* A backstore with its files, and its ring; configured: it exists since before this runner. */
struct tcmu_device *fake_device(const char *name, const char *cfgstring, bool configured);

/* Writes to configfs, in order: "vol1/block_dev=1". */
unsigned record_count(const char *what);
int record_index(const char *what, unsigned n); /* position of the n-th, -1: there is none */
unsigned record_total(void);
const char *record_at(unsigned n);
/* From now on such writes fail with err: "vol1/cmd_time_out". 0: they work again. */
void record_fail(const char *file, int err);

unsigned log_count(const char *part); /* lines of the runner's log that contain it */
char *log_all(void);

bool map_is_decoy(const struct tcmu_device *dev);
unsigned kicks(const struct tcmu_device *dev);
uint64_t now_ms(void);

/* How much later than it should something may be on a busy machine. */
#define BUSY_MS 20000
/* For tests in which no deadline may be waited for: far beyond BUSY_MS, so that it shows. Before the call. */
void fake_patient(void);

/* Waits for expr to become true, at most half a minute. */
#define eventually(expr)                                                                                     \
	do {                                                                                                 \
		uint64_t _until = now_ms() + 30000;                                                          \
		while (!(expr) && now_ms() < _until)                                                         \
			usleep(2000);                                                                        \
		ck_assert_msg((expr), "not within 30 s: %s\nlog:\n%s", #expr, log_all());                    \
	} while (0)

/* Expected to stay true for ms. */
#define stays(expr, ms)                                                                                      \
	do {                                                                                                 \
		uint64_t _until = now_ms() + (ms);                                                           \
		while (now_ms() < _until) {                                                                  \
			ck_assert_msg((expr), "not any more: %s\nlog:\n%s", #expr, log_all());               \
			usleep(2000);                                                                        \
		}                                                                                            \
	} while (0)

#endif
