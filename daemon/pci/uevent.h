/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's device events, as a reason to look at sysfs again: never as the truth. */
#ifndef HBAD_PCI_UEVENT_H
#define HBAD_PCI_UEVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "sysfs.h"

struct uevents;

enum pci_uevent_kind {
	PCI_UEVENT_OTHER,
	PCI_UEVENT_ADD,	 /* it is there: plugged in, or found by a rescan of the bus */
	PCI_UEVENT_BIND, /* a driver has it */
	PCI_UEVENT_LOST, /* events were lost, which came faster than they were read; nothing else of it is set */
};

/* What the kernel says of a PCI function when that happens: who cares need not look at sysfs. */
struct pci_uevent {
	enum pci_uevent_kind kind;
	char addr[PCI_ADDR_LEN];
	uint16_t vendor, device;
	char driver[32]; /* that has it; empty: none */
};

/* Subscribe before the write whose effect is awaited. NULL when the kernel gives no socket: waiting then
 * polls. */
struct uevents *uevents_open(void);
void uevents_close(struct uevents *u); /* NULL is fine */
/* Returns when an event from the kernel has come, or after timeout_ms. NULL sleeps. */
void uevents_wait(struct uevents *u, unsigned timeout_ms);

/* --- for a main loop --- */

int uevents_fd(struct uevents *u); /* readable: something has come; the caller's no longer than u */
/* The next event of a PCI function, never blocking. False: there is none any more, for now. */
bool uevents_next(struct uevents *u, struct pci_uevent *ret);
/* The kernel's text, len bytes of strings with a terminator each. False: not of a PCI function, made by somebody who wrote to
 * a uevent file, or makes no sense. */
bool uevent_parse(const char *text, size_t len, struct pci_uevent *ret);

#endif
