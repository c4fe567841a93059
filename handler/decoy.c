/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The decoy. The runner's command thread compares the address of the entry at its own copy of the tail (read when it
 * mapped the ring, just before open()) with the one at the mailbox's head, finds them equal, and sleeps in ppoll()
 * for ever. The descriptor must give EAGAIN to its read(), which a non-blocking socket does; an eventfd would give
 * EINVAL for four bytes, logged each time.
 */
#include "decoy.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/cleanup.h"

/* struct tcmu_mailbox of linux/target_core_user.h, whose struct iovec and glibc's exclude each other. */
struct mailbox {
	uint16_t version, flags;
	uint32_t cmdr_off, cmdr_size;
	uint32_t cmd_head;
	uint8_t reserved16[48];
	uint32_t cmd_tail;
};

static_assert(offsetof(struct mailbox, cmd_head) == 12, "mailbox.cmd_head");
static_assert(offsetof(struct mailbox, cmd_tail) == 64, "mailbox.cmd_tail");

static int map_zeros(uint8_t *at, size_t len, int prot)
{
	return mmap(at, len, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) == at
		       ? 0
		       : -errno;
}

/*
 * Read-only but for the mailbox: a gigabyte of writable private memory would count against strict overcommit. The
 * mailbox comes first and whole, so that a decoy that is laid a second time, after the first time has failed half-way,
 * finds one there too: with zeros for cmdr_size the runner would divide by it.
 */
static int map_over(uint8_t *base, size_t len, const struct mailbox *mailbox)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	int r;

	if (len < page)
		return -EINVAL;
	r = map_zeros(base, page, PROT_READ | PROT_WRITE);
	if (r)
		return r;
	memcpy(base, mailbox, sizeof(*mailbox));
	return len > page ? map_zeros(base + page, len - page, PROT_READ) : 0;
}

int decoy_lay(int runner_fd, void *base, size_t len, int *ret_quiet, struct err *e)
{
	hb_autoclose int quiet = -1, end = -1;
	struct mailbox mailbox;
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
		return err_set(e, -errno, "cannot make a socket pair: %s", strerror(errno));
	quiet = pair[0];
	end = pair[1];
	/* Nothing consumes yet, so the tail is still the one that the runner has copied. */
	mailbox = *(const volatile struct mailbox *)base;
	mailbox.cmd_head = mailbox.cmd_tail;
	r = map_over(base, len, &mailbox);
	if (r)
		return err_set(e, r, "cannot map over the runner's ring: %s", strerror(-r));
	if (dup3(end, runner_fd, O_CLOEXEC) < 0)
		return err_set(e, -errno, "cannot replace the runner's descriptor: %s", strerror(errno));
	*ret_quiet = TAKE_FD(quiet);
	return 0;
}
