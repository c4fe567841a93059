/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Interrupts of a captured device: signalled to us, written down, passed on. */
#include "capture.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"

#define STOP PCI_MAX_VECTORS

static void pass_on(struct capture *c, unsigned vector)
{
	struct cap_irqs *q = &c->irqs;
	struct capture_irq rec = {htole32(vector)};
	uint64_t count;

	if (read(q->ours[vector], &count, sizeof(count)) != sizeof(count))
		return;
	rec.count = htole32((uint32_t)MIN(count, (uint64_t)UINT32_MAX));
	cap_put(c, CAPTURE_IRQ, (uint8_t)(q->kind - PCI_IRQ_INTX), &rec, sizeof(rec), NULL, 0);
	/* Drivers' descriptors do not block, and one whose counter is full is readable anyhow. */
	if (write(q->theirs[vector], &count, sizeof(count)) < 0)
		return;
}

static void *proxy(void *arg)
{
	struct capture *c = arg;
	struct epoll_event ev[16];

	for (;;) {
		int n = epoll_wait(c->irqs.epoll_fd, ev, ARRAY_SIZE(ev), -1);

		if (n < 0 && errno != EINTR)
			return NULL;
		for (int i = 0; i < n; i++) {
			if (ev[i].data.u32 == STOP)
				return NULL;
			pass_on(c, ev[i].data.u32);
		}
	}
}

static int watch(struct cap_irqs *q, int fd, uint32_t what)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.u32 = what};

	return fd < 0 || epoll_ctl(q->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

static int start_proxy(struct capture *c)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&c->irqs.thread, NULL, proxy, c);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	c->irqs.running = r == 0;
	return -r;
}

int cap_irqs_start(struct capture *c, enum pci_irq_kind kind, const int *eventfds, unsigned n, struct err *e)
{
	struct cap_irqs *q = &c->irqs;
	int r;

	cap_irqs_stop(c);
	q->kind = kind;
	q->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	q->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = q->epoll_fd < 0 ? -errno : watch(q, q->stop_fd, STOP);
	for (unsigned i = 0; r == 0 && i < n; i++) {
		q->theirs[i] = eventfds[i];
		q->ours[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		q->n = i + 1;
		r = watch(q, q->ours[i], i);
	}
	if (r == 0)
		r = start_proxy(c);
	if (r == 0)
		return 0;
	cap_irqs_stop(c);
	return err_set(e, r, "%s: interrupts cannot be captured: %s", c->pci.uri, strerror(-r));
}

void cap_irqs_stop(struct capture *c)
{
	struct cap_irqs *q = &c->irqs;
	uint64_t one = 1;

	if (q->running && write(q->stop_fd, &one, sizeof(one)) == sizeof(one))
		pthread_join(q->thread, NULL);
	q->running = false;
	while (q->n)
		hb_close(&q->ours[--q->n]);
	hb_close(&q->stop_fd);
	hb_close(&q->epoll_fd);
}
