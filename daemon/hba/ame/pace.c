/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What calls for a poll. The vendor's driver uses the shared line and nothing else [6]; whether firmware drives MSI is
 * [?], so it is not tried. (Check on real hardware: what lspci -vv says of MSI. Only speed hangs on it.) Where the line
 * cannot be had (shared with a device that does not know how to mask it, or not routed by a virtual machine), a timer takes
 * the interrupt's place in the core's descriptor.
 */
#include "box.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

static struct timespec span(uint32_t ms)
{
	return (struct timespec){.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
}

/* The first one now or after a period, and then again and again. */
static void set_timer(struct ame *a, uint32_t ms, bool now)
{
	struct itimerspec t = {.it_interval = span(ms), .it_value = span(ms)};

	if (now)
		t.it_value = (struct timespec){.tv_nsec = 1};
	timerfd_settime(a->h->irq_fd, 0, &t, NULL);
}

static int use_timer(struct ame *a, struct err *e)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC), r = 0;

	/* The core reads 8 bytes of either, and owns the number. */
	if (fd < 0 || dup3(fd, a->h->irq_fd, O_CLOEXEC) < 0)
		r = -errno;
	if (fd >= 0)
		close(fd);
	if (r < 0)
		return err_set(e, r, "cannot create a timer: %s", strerror(-r));
	a->irq = PCI_IRQ_NONE;
	a->pace_fast = false;
	set_timer(a, ame_times(a)->slow, false);
	return 0;
}

int ame_irq_enable(struct ame *a, struct err *e)
{
	struct pci_dev *pci = a->h->pci;
	struct err why = {"it has none"};
	int r = -ENOTSUP;

	if (pci->n_vectors[PCI_IRQ_INTX])
		r = pci_irq_enable(pci, PCI_IRQ_INTX, &a->h->irq_fd, 1, &why);
	if (r == 0) {
		a->irq = PCI_IRQ_INTX;
		return 0;
	}
	log_warn("%s: no interrupt line (%s): the box is polled", pci->uri, why.text);
	return use_timer(a, e);
}

void ame_pace(struct ame *a)
{
	bool fast = a->n_at_box;

	if (a->irq != PCI_IRQ_NONE || fast == a->pace_fast)
		return;
	a->pace_fast = fast;
	set_timer(a, fast ? ame_times(a)->fast : ame_times(a)->slow, false);
}

void ame_wake(struct ame *a)
{
	if (a->irq == PCI_IRQ_NONE)
		set_timer(a, a->pace_fast ? ame_times(a)->fast : ame_times(a)->slow, true);
	else
		hba_lane_wake(a->h, 0);
}
