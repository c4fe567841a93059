/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's device events, as a reason to look at sysfs again: never as the truth. */
#ifndef HBAD_PCI_UEVENT_H
#define HBAD_PCI_UEVENT_H

struct uevents;

/* Subscribe before the write whose effect is awaited. NULL when the kernel gives no socket: waiting then
 * polls. */
struct uevents *uevents_open(void);
void uevents_close(struct uevents *u); /* NULL is fine */
/* Returns when an event from the kernel has come, or after timeout_ms. NULL sleeps. */
void uevents_wait(struct uevents *u, unsigned timeout_ms);

#endif
