/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the box rings the outbound doorbell for [2, 6]: restart, flush, pause, resume. 2208 and 3108. */
#include "box.h"

#include <errno.h>

#define MAX_NOTICES 32 /* in one go: a doorbell that cannot be cleared must not hold the thread */

static bool may_log(struct ame *a)
{
	return log_limit_ok(&a->notice_limit, 10, 60 * NS_PER_SEC);
}

/* The vendor's driver only logs it, and waits until configuration space shows the restart. So do we, but nothing more
 * is sent: a restart that has not begun yet must not be disturbed, for the box may be saving its cache. */
static void on_restart(struct ame *a)
{
	a->seen.restart++;
	if (may_log(a))
		log_warn("%s: the box says that it is about to restart", a->h->pci->uri);
	if (!a->restart_ns)
		a->restart_ns = clock_ns();
}

/* "The host may fail all commands." Unless it has been seen not to be true, it is taken for firmware's word that none of them
 * runs for long any more [I: see reset.c, also how to check it], so this recovery does without a reset of the function;
 * they are issued again. The core learns of it by the error, and only while the I/O thread polls: during an orderly end
 * nothing must begin a recovery. */
static int on_flush(struct ame *a)
{
	a->seen.flush++;
	a->reset.flushed = true;
	if (may_log(a))
		log_warn("%s: the box has given up all commands", a->h->pci->uri);
	return -EIO;
}

/* Replies are taken all the same; the vendor's driver leaves them [6]. A reply that is there is an answer, and one
 * that is not has a time limit. */
static void on_pause(struct ame *a)
{
	a->seen.pause++;
	if (may_log(a))
		log_info("%s: the box asks for a pause", a->h->pci->uri);
	if (!a->paused)
		a->paused_ns = clock_ns();
	a->paused = true;
}

/* Also the heartbeat: clearing the bit, which has been done, is the sign of life. */
static void on_resume(struct ame *a)
{
	a->seen.resume++;
	if (a->paused && may_log(a))
		log_info("%s: the box goes on", a->h->pci->uri);
	a->paused = false;
}

static int one(struct ame *a, uint32_t bit)
{
	ame_write(a, AME_OUTBOUND_CLEAR, bit);
	switch (bit) {
	case AME_OUT_RESTART:
		on_restart(a);
		return 0;
	case AME_OUT_FLUSH:
		return on_flush(a);
	case AME_OUT_PAUSE:
		on_pause(a);
		return 0;
	case AME_OUT_RESUME:
		on_resume(a);
		return 0;
	}
	/* The ready bit too: nobody waits for it now, and it would keep the interrupt up. */
	a->seen.unknown++;
	if (may_log(a))
		log_info("%s: the box rings for %xh, which means nothing here", a->h->pci->uri, bit);
	return 0;
}

static uint32_t lowest_known(uint32_t v)
{
	const uint32_t known = AME_OUT_RESTART | AME_OUT_FLUSH | AME_OUT_PAUSE | AME_OUT_RESUME;

	return v & known ? v & known & -(v & known) : v;
}

static int no_answer(struct ame *a)
{
	switch (ame_look(a)) {
	case AME_GONE:
		return a->restart_ns ? -EIO : -ENODEV;
	case AME_FORGOT:
		a->reset.restarted = true;
		return -EIO;
	case AME_HERE:
		break;
	}
	return -EIO;
}

int ame_notices(struct ame *a)
{
	int ret = 0;

	for (unsigned n = 0; n < MAX_NOTICES; n++) {
		uint32_t v = ame_read(a, AME_OUTBOUND);

		if (v == AME_ALL_ONES)
			return no_answer(a);
		if (!v)
			return ret;
		if (one(a, lowest_known(v)) < 0)
			ret = -EIO;
	}
	log_warn("%s: the box's doorbell cannot be cleared", a->h->pci->uri);
	return -EIO;
}

int ame_notice_limits(struct ame *a, uint64_t now)
{
	if (a->restart_ns && now - a->restart_ns >= ame_times(a)->away * NS_PER_MS) {
		log_warn("%s: the box has not restarted; going on", a->h->pci->uri);
		a->restart_ns = 0;
	}
	if (a->paused && now - a->paused_ns >= ame_times(a)->pause * NS_PER_MS) {
		log_warn("%s: the box does not end its pause", a->h->pci->uri);
		return -EIO;
	}
	return 0;
}
