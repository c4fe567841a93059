/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Device events through libnl. */
#include "uevent.h"

#include <linux/netlink.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <poll.h>
#include <stdlib.h>

#include "base/clock.h"

#define GROUP_KERNEL 1 /* 2 is udev's */
#define RX_BYTES     (256 * 1024)

/* struct nl_sock under our name */
static struct nl_sock *sock_of(struct uevents *u)
{
	return (struct nl_sock *)u;
}

struct uevents *uevents_open(void)
{
	struct nl_sock *sk = nl_socket_alloc();

	if (!sk)
		return NULL;
	if (nl_connect(sk, NETLINK_KOBJECT_UEVENT) < 0 || nl_socket_set_nonblocking(sk) < 0 ||
		nl_socket_add_membership(sk, GROUP_KERNEL) < 0) {
		nl_socket_free(sk);
		return NULL;
	}
	/* A burst that overflows even this loses events, not the look at sysfs that follows. */
	nl_socket_set_buffer_size(sk, RX_BYTES, 0);
	return (struct uevents *)sk;
}

void uevents_close(struct uevents *u)
{
	if (u)
		nl_socket_free(sock_of(u));
}

/* Takes everything that is there, so that the next wait is for something new. */
static void drain(struct nl_sock *sk)
{
	for (int i = 0; i < 4096; i++) {
		struct sockaddr_nl from;
		unsigned char *buf = NULL;
		int n = nl_recv(sk, &from, &buf, NULL);

		free(buf);
		if (n <= 0)
			return;
	}
}

void uevents_wait(struct uevents *u, unsigned timeout_ms)
{
	struct pollfd p = {.events = POLLIN};

	if (!u) {
		clock_sleep_ms(timeout_ms);
		return;
	}
	p.fd = nl_socket_get_fd(sock_of(u));
	if (poll(&p, 1, (int)timeout_ms) > 0)
		drain(sock_of(u));
}
