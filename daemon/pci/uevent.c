/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Device events through libnl. */
#include "uevent.h"

#include <linux/netlink.h>
#include <netlink/errno.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* --- for a main loop --- */

static enum pci_uevent_kind kind_of(const char *action)
{
	static const struct {
		const char *action;
		enum pci_uevent_kind kind;
	} kinds[] = {{"add", PCI_UEVENT_ADD}, {"bind", PCI_UEVENT_BIND}};

	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(action, kinds[i].action))
			return kinds[i].kind;
	return PCI_UEVENT_OTHER;
}

/* "1000:005D" */
static bool parse_ids(const char *text, uint16_t *a, uint16_t *b)
{
	int end = 0;

	return sscanf(text, "%4hx:%4hx%n", a, b, &end) == 2 && !text[end];
}

/* The value of a line that begins with key, or NULL. */
static const char *value_of(const char *line, const char *key)
{
	size_t n = strlen(key);

	return strncmp(line, key, n) == 0 ? line + n : NULL;
}

static bool take_line(const char *line, struct pci_uevent *ret, bool *is_pci)
{
	const char *v;

	/* Somebody wrote to the uevent file in sysfs (udevadm trigger): nothing has happened to the device. */
	if (value_of(line, "SYNTH_UUID="))
		return false;
	if ((v = value_of(line, "ACTION=")))
		ret->kind = kind_of(v);
	else if ((v = value_of(line, "SUBSYSTEM=")))
		*is_pci = !strcmp(v, "pci");
	else if ((v = value_of(line, "PCI_SLOT_NAME=")))
		return pci_addr_parse(v, ret->addr, NULL) == 0;
	else if ((v = value_of(line, "PCI_ID=")))
		return parse_ids(v, &ret->vendor, &ret->device);
	else if ((v = value_of(line, "DRIVER=")))
		snprintf(ret->driver, sizeof(ret->driver), "%s", v);
	return true;
}

bool uevent_parse(const char *text, size_t len, struct pci_uevent *ret)
{
	bool is_pci = false;

	*ret = (struct pci_uevent){.kind = PCI_UEVENT_OTHER};
	if (!len || text[len - 1])
		return false;
	for (const char *line = text; line < text + len; line += strlen(line) + 1)
		if (!take_line(line, ret, &is_pci))
			return false;
	return is_pci && ret->addr[0] && ret->vendor;
}

int uevents_fd(struct uevents *u)
{
	return nl_socket_get_fd(sock_of(u));
}

bool uevents_next(struct uevents *u, struct pci_uevent *ret)
{
	for (;;) {
		struct sockaddr_nl from = {.nl_family = AF_NETLINK};
		unsigned char *buf = NULL;
		int n = nl_recv(sock_of(u), &from, &buf, NULL);
		/* A process with CAP_NET_ADMIN could write to the socket; the kernel's port is 0. */
		bool ours = n > 0 && !from.nl_pid && uevent_parse((char *)buf, (size_t)n, ret);

		free(buf);
		/* libnl's word for ENOBUFS. */
		if (n == -NLE_NOMEM) {
			*ret = (struct pci_uevent){.kind = PCI_UEVENT_LOST};
			return true;
		}
		if (n <= 0 || ours)
			return n > 0;
	}
}
