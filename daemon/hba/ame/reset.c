/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Recovery of the box while running: a step machine that never blocks.
 *
 *   - A box that restarts by itself (it said so, or has forgotten its configuration) is waited for.
 *   - One that has given up all commands by a flush notice is talked to anew, unless it is about to restart.
 *   - In all other cases a command is stuck, or firmware talks nonsense, and nothing else is known that ends a command
 *     for certain. So the function is reset, with bus mastering off. (The vendor's driver resets the bus through the
 *     switch before the box; it does so only when configuration was lost.)
 *
 * Then the conversation begins anew [7], and the core re-issues. What fails is tried again, later each time.
 *
 * That beginning makes the box forget reply frames. Whether it drops answers that are queued, or commands, is not known
 * [12.3 has the former as an inference, and nothing on the latter], so neither is relied on. What proves that no command
 * of before is at work is a reset of the function, or lost configuration, which comes of one. Without such a proof, a command of
 * before could write to memory that has another use by now, or read a write's data from there; and its answer could end
 * the command that has its identifier now. Against this:
 *
 *   - For a while the box is no bus master, and what its commands reach for is refused [I: that they are all over by then.
 *     Check on real hardware: "has answered a command that it had given up", or "answers ... after it had given them up",
 *     is not logged when the box fails over under load].
 *   - An answer in that time, or at any time later, tells that commands outlive: the function is reset at once.
 *   - Answers that are queued are thrown away before the first request, and identifiers of before are not used for a minute.
 */
#include "box.h"

#include <errno.h>

enum reset_phase { RESET_BEGIN, RESET_AWAIT, RESET_FUNCTION, RESET_FUNCTION_END, RESET_BOOT, RESET_SHAKE };

#define RESET_TRIES 3

static int soon(struct ame *a, uint64_t now, uint64_t *next)
{
	*next = now + ame_times(a)->look * NS_PER_MS;
	return 1;
}

static int go(unsigned *phase, enum reset_phase to, uint64_t when, uint64_t *next)
{
	*phase = to;
	*next = when;
	return 1;
}

/* What the box still reads or writes is refused, until it is talked to again. */
static int wait_for_boot(struct ame *a, unsigned *phase, uint64_t now, uint64_t *next)
{
	ame_mute(a);
	a->reset.linger_ns = now + ame_times(a)->linger * NS_PER_MS;
	a->reset.until_ns = now + ame_times(a)->boot * NS_PER_MS;
	return go(phase, RESET_BOOT, now, next);
}

/* Again, after a while that doubles. */
static int fail(struct ame *a, unsigned *phase, uint64_t now, uint64_t *next, const char *why)
{
	uint64_t pause = ame_times(a)->settle * NS_PER_MS << a->reset.tries;

	log_warn("%s: %s", a->h->pci->uri, why);
	if (++a->reset.tries >= RESET_TRIES)
		return -EIO;
	return go(phase, RESET_FUNCTION, now + pause, next);
}

static int without_restart(struct ame *a, unsigned *phase, uint64_t now, uint64_t *next)
{
	return a->reset.flushed && !a->unforgetting ? wait_for_boot(a, phase, now, next)
						    : go(phase, RESET_FUNCTION, now, next);
}

static int await_restart(struct ame *a, unsigned *phase, uint64_t now, uint64_t *next)
{
	a->reset.until_ns = now + ame_times(a)->away * NS_PER_MS;
	return go(phase, RESET_AWAIT, now, next);
}

static enum ame_presence look(struct ame *a)
{
	enum ame_presence p = ame_look(a);

	a->reset.proven |= p == AME_FORGOT;
	return p;
}

static int begin(struct ame *a, unsigned *phase, uint64_t now, uint64_t *next)
{
	enum ame_presence p;

	a->reset.proven = a->reset.awaited = false;
	p = look(a);
	if (p == AME_GONE && !a->restart_ns)
		return -ENODEV;
	/* What the box has answered need not run again. */
	if (p == AME_HERE)
		ame_drain(a);
	ame_forget(a);
	a->reset.tries = 0;
	a->reset.restarted |= ame_restarted(a, p);
	if (a->reset.restarted)
		return wait_for_boot(a, phase, now, next);
	if (!a->restart_ns)
		return without_restart(a, phase, now, next);
	return await_restart(a, phase, now, next);
}

/* It has announced a restart, which must not be cut short. */
static int await(struct ame *a, unsigned *phase, uint64_t now, uint64_t *next)
{
	enum ame_presence p = look(a);

	if (p == AME_GONE || ame_restarted(a, p)) {
		a->reset.restarted = true;
		return wait_for_boot(a, phase, now, next);
	}
	if (now < a->reset.until_ns)
		return soon(a, now, next);
	a->restart_ns = 0;
	a->reset.awaited = true;
	return without_restart(a, phase, now, next);
}

static int reset_function(struct ame *a, unsigned *phase, uint64_t now, uint64_t *next)
{
	if (ame_look(a) == AME_GONE)
		return -ENODEV;
	log_warn("%s: resetting the box", a->h->pci->uri);
	a->reset.restarted = a->reset.flushed = false;
	ame_mute(a);
	if (hba_function_reset(a->h) < 0)
		return -EIO;
	*phase = RESET_FUNCTION_END;
	return soon(a, now, next);
}

/* Until it has ended, not even a look at the box is without risk: it would wait. */
static int function_end(struct ame *a, unsigned *phase, uint64_t now, uint64_t *next)
{
	struct err e = {""};
	int r = hba_function_reset_result(a->h, &e);

	if (r == -EINPROGRESS)
		return soon(a, now, next);
	if (r < 0) {
		log_err("%s: the box cannot be reset, so nobody knows when its commands end: %s",
			a->h->pci->uri, e.text);
		return r == -ENODEV ? r : -EIO;
	}
	a->reset.proven = true;
	return wait_for_boot(a, phase, now, next);
}

static int outlived(struct ame *a, unsigned n, unsigned *phase, uint64_t now, uint64_t *next)
{
	log_warn("%s: the box answers %u commands after it had given them up", a->h->pci->uri, n);
	a->unforgetting = true;
	return go(phase, RESET_FUNCTION, now, next);
}

/* 1: the time has not come, *next is set; 0: nothing of before is at work, as far as anybody knows. */
static int linger(struct ame *a, unsigned *phase, uint64_t now, uint64_t *next)
{
	unsigned n;

	if (a->reset.proven)
		return 0;
	n = ame_drop_replies(a, false);
	if (n)
		return outlived(a, n, phase, now, next);
	/* It may still ask whether the host is alive, or say that it restarts after all: that is waited for once. */
	if (a->reset.flushed && !a->reset.restarted) {
		ame_notices(a);
		if (a->restart_ns && !a->reset.awaited)
			return await_restart(a, phase, now, next);
		a->restart_ns = 0;
	}
	return now < a->reset.linger_ns ? soon(a, now, next) : 0;
}

/* Firmware marks that it is up; the mark was taken away after the last recovery. A cold start does not look at it
 * [3.3], nor does it mean anything after a flush. */
static bool firmware_up(const struct ame *a)
{
	bool never_went = a->reset.flushed && !a->reset.restarted;

	return !a->family->doorbells || never_went || ame_read(a, AME_PAD_READY) == 1;
}

static int boot(struct ame *a, unsigned *phase, uint64_t now, uint64_t *next)
{
	enum ame_presence p = look(a);

	if (p == AME_GONE && !a->restart_ns)
		return -ENODEV;
	if (p == AME_FORGOT)
		ame_restore_config(a);
	if (p == AME_HERE && linger(a, phase, now, next))
		return 1;
	if (p != AME_GONE && firmware_up(a)) {
		ame_shake_begin(a, true, now);
		return go(phase, RESET_SHAKE, now, next);
	}
	if (now < a->reset.until_ns)
		return soon(a, now, next);
	if (p == AME_GONE)
		return -ENODEV;
	/* Whether firmware that outlives a reset of its function sets the mark again is [?]; its answer is what counts. Check on real
	 * hardware: reset the box twice, and see whether this is logged. */
	log_warn("%s: the box's firmware does not say that it is up; speaking to it all the same",
		a->h->pci->uri);
	ame_shake_begin(a, true, now);
	return go(phase, RESET_SHAKE, now, next);
}

static int finish(struct ame *a)
{
	if (a->reset.proven)
		ame_carriers_pardon(a);
	a->exile_until_ns = clock_ns() + ame_times(a)->exile * NS_PER_MS;
	ame_frames_take_back(a);
	ame_frames_lend(a);
	a->paused = false;
	a->restart_ns = 0;
	a->reset.restarted = a->reset.flushed = false;
	/* Events are off after a start, and units may have come and gone. */
	a->want_switch = a->want_map = true;
	a->page_tries = 0;
	a->page_after_ns = 0;
	a->health_ns = clock_ns();
	/* Its interrupt may have come, and been left alone, while the box was frozen. */
	if (a->irq == PCI_IRQ_INTX)
		a->h->pci->ops->intx_unmask(a->h->pci);
	return 0;
}

static int shake(struct ame *a, unsigned *phase, uint64_t now, uint64_t *next)
{
	int r = ame_shake_step(a, now, next);
	unsigned n = r == 0 ? ame_drop_replies(a, false) : 0;

	if (n && !a->reset.proven)
		return outlived(a, n, phase, now, next);
	if (n)
		log_warn("%s: the box had %u answers to commands of before", a->h->pci->uri, n);
	if (r == 0)
		return finish(a);
	if (r > 0)
		return r;
	if (r == -ENODEV)
		return r;
	return fail(a, phase, now, next, "the box does not answer");
}

int ame_reset_step(struct hba *h, unsigned *phase, uint64_t now, uint64_t *next)
{
	struct ame *a = ame_of(h);

	switch ((enum reset_phase) * phase) {
	case RESET_BEGIN:
		return begin(a, phase, now, next);
	case RESET_AWAIT:
		return await(a, phase, now, next);
	case RESET_FUNCTION:
		return reset_function(a, phase, now, next);
	case RESET_FUNCTION_END:
		return function_end(a, phase, now, next);
	case RESET_BOOT:
		return boot(a, phase, now, next);
	case RESET_SHAKE:
		return shake(a, phase, now, next);
	}
	return -EINVAL;
}
