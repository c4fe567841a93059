/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's words about PCI functions. */
#include <check.h>
#include <dlfcn.h>
#include <linux/netlink.h>
#include <netlink/errno.h>
#include <netlink/netlink.h>
#include <string.h>

#include "daemon/pci/uevent.h"
#include "run_suite.h"

#define HEAD "add@/devices/pci0000:00/0000:00:08.0/0000:03:00.0\0"
#define BODY                                                                                                 \
	"DEVPATH=/devices/pci0000:00/0000:00:08.0/0000:03:00.0\0SUBSYSTEM=pci\0PCI_CLASS=10400\0"            \
	"PCI_ID=1000:005D\0PCI_SUBSYS_ID=1000:9361\0PCI_SLOT_NAME=0000:03:00.0\0"                            \
	"MODALIAS=pci:v00001000d0000005Dsv00001000sd00009361bc01sc04i00\0SEQNUM=4711"

#define ARRIVAL HEAD "ACTION=add\0" BODY

/* What libnl says next in place of itself; 0: it speaks for itself. */
static int answer;
static const char *message; /* or this, from that port */
static uint32_t port;

int nl_recv(struct nl_sock *sk, struct sockaddr_nl *from, unsigned char **buf, struct ucred **creds)
{
	int (*real)(struct nl_sock *, struct sockaddr_nl *, unsigned char **, struct ucred **) =
		(int (*)(struct nl_sock *, struct sockaddr_nl *, unsigned char **, struct ucred **))dlsym(
			RTLD_NEXT, "nl_recv");
	int r = answer;

	if (message) {
		*buf = malloc(sizeof(ARRIVAL));
		memcpy(*buf, message, sizeof(ARRIVAL));
		*from = (struct sockaddr_nl){.nl_family = AF_NETLINK, .nl_pid = port};
		message = NULL;
		return sizeof(ARRIVAL);
	}
	answer = 0;
	return r ? r : real(sk, from, buf, creds);
}

#define parse(text, u) uevent_parse(text, sizeof(text), u)

START_TEST(an_arrival_has_address_and_ids)
{
	struct pci_uevent u;

	ck_assert(parse(HEAD "ACTION=add\0" BODY, &u));
	ck_assert_int_eq(u.kind, PCI_UEVENT_ADD);
	ck_assert_str_eq(u.addr, "0000:03:00.0");
	ck_assert_uint_eq(u.vendor, 0x1000);
	ck_assert_uint_eq(u.device, 0x5d);
	ck_assert_str_eq(u.driver, "");
}
END_TEST

START_TEST(each_action_is_told_apart)
{
	struct pci_uevent u;

	ck_assert(parse(HEAD "ACTION=bind\0DRIVER=vfio-pci\0" BODY, &u));
	ck_assert_int_eq(u.kind, PCI_UEVENT_BIND);
	ck_assert_str_eq(u.driver, "vfio-pci");
	ck_assert(parse(HEAD "ACTION=unbind\0" BODY, &u));
	ck_assert_int_eq(u.kind, PCI_UEVENT_OTHER);
}
END_TEST

START_TEST(what_is_no_pci_function_or_makes_no_sense_is_left_out)
{
	struct pci_uevent u;

	ck_assert(!parse(
		"add@/devices/x\0ACTION=add\0SUBSYSTEM=block\0PCI_SLOT_NAME=0000:03:00.0\0PCI_ID=1000:005D",
		&u));
	ck_assert(!parse(HEAD "ACTION=add\0SUBSYSTEM=pci\0PCI_ID=1000:005D", &u));
	ck_assert(!parse(HEAD "ACTION=add\0SUBSYSTEM=pci\0PCI_SLOT_NAME=0000:03:00.0", &u));
	ck_assert(!parse(HEAD "ACTION=add\0SUBSYSTEM=pci\0PCI_SLOT_NAME=../../etc\0PCI_ID=1000:005D", &u));
	ck_assert(
		!parse(HEAD "ACTION=add\0SUBSYSTEM=pci\0PCI_SLOT_NAME=0000:03:00.0\0PCI_ID=1000:005D0", &u));
	ck_assert(!uevent_parse("", 0, &u));
	ck_assert(!uevent_parse("SUBSYSTEM=pci", 13, &u)); /* no terminator */
}
END_TEST

/* "udevadm trigger --action=add": nothing was plugged in. */
START_TEST(what_somebody_has_the_kernel_say_is_left_out)
{
	struct pci_uevent u;

	ck_assert(parse(HEAD "ACTION=add\0" BODY, &u));
	ck_assert(!parse(HEAD "ACTION=add\0SYNTH_UUID=0\0" BODY, &u));
	ck_assert(!parse(HEAD "ACTION=add\0" BODY
			      "\0SYNTH_UUID=fe4d7c9d-b8c6-4a70-9ef1-3d8a58d18eed\0SYNTH_ARG_A=1",
		&u));
}
END_TEST

START_TEST(a_driver_name_of_any_length_fits)
{
	struct pci_uevent u;

	ck_assert(parse(
		HEAD "ACTION=bind\0DRIVER=a_driver_whose_name_is_longer_than_anybody_expects\0" BODY, &u));
	ck_assert_uint_eq(strlen(u.driver), sizeof(u.driver) - 1);
}
END_TEST

/* A process with the rights to do so says it. */
START_TEST(only_the_kernel_is_believed)
{
	struct uevents *u = uevents_open();
	struct pci_uevent event;

	ck_assert_ptr_nonnull(u);
	message = ARRIVAL;
	port = 0;
	ck_assert(uevents_next(u, &event));
	ck_assert_int_eq(event.kind, PCI_UEVENT_ADD);
	message = ARRIVAL;
	port = 4711;
	answer = -NLE_AGAIN;
	ck_assert(!uevents_next(u, &event));
	uevents_close(u);
}
END_TEST

START_TEST(a_socket_without_events_does_not_block)
{
	struct uevents *u = uevents_open();
	struct pci_uevent event;

	ck_assert_ptr_nonnull(u);
	ck_assert_int_ge(uevents_fd(u), 0);
	while (uevents_next(u, &event))
		;
	uevents_close(u);
}
END_TEST

/* More came than the socket holds. */
START_TEST(lost_events_are_told)
{
	struct uevents *u = uevents_open();
	struct pci_uevent event;

	ck_assert_ptr_nonnull(u);
	answer = -NLE_NOMEM;
	ck_assert(uevents_next(u, &event));
	ck_assert_int_eq(event.kind, PCI_UEVENT_LOST);
	ck_assert_str_eq(event.addr, "");
	answer = -NLE_AGAIN;
	ck_assert(!uevents_next(u, &event));
	uevents_close(u);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("uevent");
	TCase *c = tcase_create("uevent");

	tcase_add_test(c, an_arrival_has_address_and_ids);
	tcase_add_test(c, each_action_is_told_apart);
	tcase_add_test(c, what_is_no_pci_function_or_makes_no_sense_is_left_out);
	tcase_add_test(c, what_somebody_has_the_kernel_say_is_left_out);
	tcase_add_test(c, a_driver_name_of_any_length_fits);
	tcase_add_test(c, only_the_kernel_is_believed);
	tcase_add_test(c, a_socket_without_events_does_not_block);
	tcase_add_test(c, lost_events_are_told);
	suite_add_tcase(s, c);
	return run_suite(s);
}
