/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A ring on its I/O thread: entries become tasks, finished tasks become replies.
 *
 * Replies are written once per iteration of the loop, in the hook, and not where tasks finish: one look at
 * the kernel's positions then precedes all writes of a batch, so that a process which was stopped while
 * somebody reset the ring writes nothing into what is another one's ring by now (hazard H1).
 */
#include "priv.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "tcmu.h"

#define SENSE_FIXED	       0x70
#define SENSE_ILLEGAL	       0x05
#define ASC_INVALID_OPCODE     0x20
#define SENSE_FIXED_ADDITIONAL 10

/* One writer: a relaxed load and store are enough, and cheaper than a locked addition. */
static void count(atomic_uint_fast64_t *stat)
{
	atomic_store_explicit(
		stat, atomic_load_explicit(stat, memory_order_relaxed) + 1, memory_order_relaxed);
}

static void set_outstanding(struct front_ring *r, int by)
{
	unsigned n = atomic_load_explicit(&r->outstanding, memory_order_relaxed) + (unsigned)by;

	/* Release: who sees 0 in another thread also sees that everything was replied to. */
	atomic_store_explicit(&r->outstanding, n, memory_order_release);
}

static unsigned outstanding(const struct front_ring *r)
{
	return atomic_load_explicit(&r->outstanding, memory_order_relaxed);
}

/* --- letting go --- */

static void drop(struct front_ring *r, const char *why)
{
	const char *none = NULL;

	if (atomic_compare_exchange_strong(&r->dropped, &none, why))
		log_err("%s: let go of the ring: %s; commands are not served until it is handed over again",
			r->name, why);
}

static void leave_intake(struct front_ring *r)
{
	loop_del_fd(r->loop, &r->fd);
	if (r->state == FRONT_RUNNING)
		r->state = FRONT_QUIET;
}

static void free_cmd(struct front_ring *r, struct front_cmd *c)
{
	list_remove(&c->link);
	slots_put(&r->slots, c);
	set_outstanding(r, -1);
}

/* From here on every task ends without a reply. Youngest first: a task that still waits for the controller is
 * ended before an older one's end could make room for it. */
static void abandon_tasks(struct front_ring *r)
{
	struct list aborting;

	list_init(&aborting);
	while (!list_empty(&r->done))
		free_cmd(r, list_first(&r->done, struct front_cmd, link));
	while (!list_empty(&r->taken)) {
		struct front_cmd *c = container_of(r->taken.prev, struct front_cmd, link);

		list_remove(&c->link);
		list_prepend(&aborting, &c->link);
		if (c->aborted)
			continue;
		c->aborted = true;
		scsi_task_abort(&c->task);
	}
	list_splice(&r->taken, &aborting);
}

/* Lays private memory over the kernel's: a late reply of the controller is then copied where it harms nobody.
 * An unmapped hole would crash the copy, the kernel's memory belongs to the next owner's commands. Never
 * before abandon_tasks(): a write not yet issued would take its data from the new, empty memory. */
static void replace_mapping(struct front_ring *r)
{
	void *p = mmap(r->ring.map, r->ring.map_len, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		log_err("%s: %u late commands may still write to the ring's data area: %s", r->name,
			outstanding(r), strerror(errno));
}

/* why: the ring was taken from us, its memory may vanish: unmap at once. NULL: orderly stop; unmapping a
 * large area takes long, so without orphans it is left to the control thread. */
static void let_go(struct front_ring *r, const char *why)
{
	if (why)
		drop(r, why);
	leave_intake(r);
	loop_disarm(&r->look_timer);
	loop_disarm(&r->abort_timer);
	r->state = FRONT_DETACHED;
	scsi_lun_retire(r->lun);
	abandon_tasks(r);
	if (outstanding(r)) {
		r->orphans = true;
		front_get(r);
		replace_mapping(r);
	} else if (why) {
		munmap(r->ring.map, r->ring.map_len);
		r->ring.map = NULL;
	}
	hb_close(&r->fd.fd);
}

/* --- replies --- */

static void zero_from(const struct scsi_task *t, uint64_t skip)
{
	for (uint32_t i = 0; i < t->niov; i++) {
		uint64_t here = MIN(skip, (uint64_t)t->iov[i].iov_len);

		memset((uint8_t *)t->iov[i].iov_base + here, 0, t->iov[i].iov_len - here);
		skip -= here;
	}
}

/* What the kernel will copy to the initiator must be what the task placed there, or zeros, never an earlier
 * command's data (hazard H15). It copies the blocks of a command that the initiator marked as a read: all, or
 * read_len bytes if that is given and not 0. With CHECK CONDITION it copies only when read_len is given. The
 * initiator's mark is not in the entry, so a task without direction is treated as if it were a read. */
static uint32_t settle_data(struct front_ring *r, const struct scsi_task *t)
{
	const bool can_tell = r->ring.caps & TCMU_MAILBOX_FLAG_CAP_READ_LEN;
	uint64_t in = t->dir == DMA_FROM_DEVICE ? MIN(t->in_bytes, t->iov_bytes) : 0;

	if (t->dir == DMA_TO_DEVICE)
		return 0;
	if (t->status == SCSI_CHECK_CONDITION)
		return can_tell ? (uint32_t)in : 0;
	if (t->status != SCSI_GOOD)
		in = 0;
	if (in == t->iov_bytes)
		return 0;
	if (t->status == SCSI_GOOD)
		count(&r->residuals);
	if (in && can_tell)
		return (uint32_t)in;
	zero_from(t, in);
	return 0;
}

static int reply(struct front_ring *r, struct front_cmd *c)
{
	const struct ring_reply rep = {
		.id = c->id,
		.status = c->task.status,
		.read_len = settle_data(r, &c->task),
		.sense = c->task.status == SCSI_CHECK_CONDITION ? c->task.sense : NULL,
	};
	int ret = ring_put_reply(&r->ring, &rep);

	if (ret < 0)
		return ret;
	count(&r->completions);
	free_cmd(r, c);
	return 0;
}

/* One tail store and one uio write for all that is done. */
static void flush(struct front_ring *r)
{
	int ret;

	if (list_empty(&r->done) && ring_settled(&r->ring))
		return;
	/* Before anything of ours lands in the ring or the data area. */
	if (!ring_intact(&r->ring))
		goto lost;
	while (!list_empty(&r->done))
		if (reply(r, list_first(&r->done, struct front_cmd, link)) < 0)
			goto lost;
	ret = ring_publish(&r->ring);
	if (ret < 0)
		goto lost;
	if (ret == 0)
		return;
	count(&r->batches);
	if (r->os->kick(r->fd.fd) < 0)
		let_go(r, "the kernel removed the device");
	return;
lost:
	let_go(r, r->ring.problem);
}

static void finish(struct front_ring *r, struct front_cmd *c)
{
	c->state = FRONT_CMD_DONE;
	list_remove(&c->link);
	list_append(&r->done, &c->link);
}

static void finish_with(struct front_ring *r, struct front_cmd *c, enum scsi_status status)
{
	c->task.status = (uint8_t)status;
	c->task.dir = DMA_NONE;
	finish(r, c);
}

static void task_done(struct scsi_task *task)
{
	struct front_cmd *c = container_of(task, struct front_cmd, task);
	struct front_ring *r = c->ring;

	if (unlikely(!(c->generation & 1) || c->state != FRONT_CMD_TAKEN)) {
		/* A bug above us; the slot may be free, so nothing of it is touched. */
		if (log_limit_ok(&r->limit, 5, NS_PER_SEC))
			log_err("%s: a command completed twice", r->name);
		return;
	}
	if (likely(r->state != FRONT_DETACHED)) {
		finish(r, c);
		return;
	}
	free_cmd(r, c);
	if (r->orphans && !outstanding(r)) {
		r->orphans = false;
		front_put(r);
	}
}

/* --- intake --- */

/* The kernel answers a command after cmd_time_out, and leaves no mark in its entry. */
static bool may_have_expired(const struct front_ring *r)
{
	if (!r->age_bound_ns)
		return false;
	return !r->found_after || r->os->now() - r->found_after > r->age_bound_ns;
}

static void refuse(struct front_ring *r, struct front_cmd *c)
{
	c->task.sense[0] = SENSE_FIXED;
	c->task.sense[2] = SENSE_ILLEGAL;
	c->task.sense[7] = SENSE_FIXED_ADDITIONAL;
	c->task.sense[12] = ASC_INVALID_OPCODE;
	c->task.sense_len = 8 + SENSE_FIXED_ADDITIONAL;
	count(&r->invalid);
	finish_with(r, c, SCSI_CHECK_CONDITION);
}

static void fill_task(struct front_ring *r, struct front_cmd *c, const struct ring_entry *e)
{
	memset(&c->task, 0, sizeof(c->task));
	c->task.lun = r->lun;
	memcpy(c->task.cdb, e->cdb, sizeof(c->task.cdb));
	c->task.cdb_len = e->cdb_len;
	c->task.done = task_done;
	c->ring = r;
	c->state = FRONT_CMD_TAKEN;
}

/* 0, -EINVAL: the entry is not one, -ESTALE: it proves that the ring was reset. */
static int take_cmd(struct front_ring *r, const struct ring_entry *e)
{
	struct front_cmd *c;
	struct iovec *iov;

	/* The kernel gives an id out again only after it has seen our reply, or after a reset. */
	if (slots_find(&r->slots, e->id)) {
		r->ring.problem = "the kernel's ring was reset: a command came with an id that is in use";
		return -ESTALE;
	}
	c = slots_get(&r->slots, e->id, e->count, &iov);
	if (!c) {
		r->ring.problem = "the kernel's ring has more data than its data area";
		return -EINVAL;
	}
	fill_task(r, c, e);
	if (ring_copy_iovs(&r->ring, e, iov, &c->task.niov, &c->task.iov_bytes) < 0) {
		slots_put(&r->slots, c);
		return -EINVAL;
	}
	c->task.iov = iov;
	ring_advance(&r->ring, e);
	count(&r->commands);
	set_outstanding(r, 1);
	list_append(&r->taken, &c->link);
	if (unlikely(e->refuse)) {
		refuse(r, c);
	} else if (unlikely(may_have_expired(r))) {
		count(&r->aged);
		finish_with(r, c, SCSI_BUSY);
	} else {
		scsi_submit(&c->task);
	}
	return 0;
}

/* The youngest first: they may wait for the blocks of an older one, and would go to the controller at its end. */
static struct front_cmd *youngest_due(struct front_ring *r, uint64_t now)
{
	for (struct list *pos = r->taken.prev; pos != &r->taken; pos = pos->prev) {
		struct front_cmd *c = container_of(pos, struct front_cmd, link);

		if (c->named_ns && !c->aborted && now - c->named_ns >= r->grace_ns)
			return c;
	}
	return NULL;
}

/* Looked for anew each time: an abort may end its own command and others, or the ring, before it returns. */
static void abort_due(struct front_ring *r)
{
	const uint64_t now = loop_now(r->loop);
	struct front_cmd *c;

	while ((c = youngest_due(r, now))) {
		c->aborted = true;
		scsi_task_abort(&c->task);
	}
}

/* Is one named whose time is not over yet, and when is the first of them due? */
static bool more_due(struct front_ring *r, uint64_t *ret_due_ns)
{
	bool more = false;

	list_for_each(pos, &r->taken) {
		struct front_cmd *c = container_of(pos, struct front_cmd, link);

		if (!c->named_ns || c->aborted || (more && c->named_ns + r->grace_ns >= *ret_due_ns))
			continue;
		more = true;
		*ret_due_ns = c->named_ns + r->grace_ns;
	}
	return more;
}

/* Each command has its own time, from the first function that names it: with one resets after another, the last one
 * named would have none if it were counted from the first. */
static void on_abort_timer(struct loop_timer *self)
{
	struct front_ring *r = container_of(self, struct front_ring, abort_timer);
	uint64_t due_ns = 0;

	abort_due(r);
	r->abort_armed = more_due(r, &due_ns);
	if (r->abort_armed)
		loop_arm(r->loop, self, due_ns);
}

/* LIO answers the task management function when the named commands are completed, so there is nothing to
 * reply here. Ids are resolved now, while they cannot name a later command; those already done are normal. */
static void take_tmr(struct front_ring *r, const struct ring_entry *e)
{
	for (uint32_t i = 0; i < e->count; i++) {
		struct front_cmd *c = slots_find(&r->slots, ring_tmr_id(&r->ring, e, i));

		if (!c || c->state != FRONT_CMD_TAKEN || c->named_ns)
			continue;
		c->named_ns = MAX(loop_now(r->loop), 1u);
		c->task.unheard = true;
	}
	ring_advance(&r->ring, e);
	if (!r->grace_ns) {
		abort_due(r);
	} else if (!r->abort_armed) {
		r->abort_armed = true;
		r->abort_timer.cb = on_abort_timer;
		loop_arm(r->loop, &r->abort_timer, loop_now(r->loop) + r->grace_ns);
	}
	count(&r->tmrs);
	if (log_limit_ok(&r->limit, 5, NS_PER_SEC))
		log_info("%s: task management function %u for %u commands", r->name, e->tmr_type, e->count);
}

/* Takes everything there is: a command that has to wait for the controller waits above it, or an abort behind
 * it would never be seen (hazard H7). Ends, because the kernel cannot reuse ring space before we publish. */
static bool intake(struct front_ring *r)
{
	struct ring_entry e;
	bool any = false;
	int ret = 0;

	r->found_after = r->looked_ns;
	/* Stamped before the look: what this look does not find is younger. */
	if (r->age_bound_ns)
		r->looked_ns = r->os->now();
	while (ret == 0) {
		switch (ring_peek(&r->ring, &e)) {
		case RING_EMPTY:
			return any;
		case RING_CMD:
			ret = take_cmd(r, &e);
			any = true;
			break;
		case RING_TMR:
			take_tmr(r, &e);
			any = true;
			break;
		case RING_BROKEN:
			ret = -EINVAL;
			break;
		case RING_LOST:
			ret = -ESTALE;
			break;
		}
	}
	if (ret == -ESTALE) {
		let_go(r, r->ring.problem);
	} else {
		/* What was taken before is sound, and gets its replies. */
		count(&r->invalid);
		drop(r, r->ring.problem);
		leave_intake(r);
	}
	return any;
}

/* --- the loop --- */

static void on_event(struct loop_fd *self, uint32_t events)
{
	struct front_ring *r = container_of(self, struct front_ring, fd);
	int ret;

	/* Kernels differ in how a removed device polls; reading it fails in all of them. */
	if (events & (EPOLLERR | EPOLLHUP)) {
		let_go(r, "the kernel removed the device");
		return;
	}
	/* First the event, then the ring: an entry that comes in between then raises a new event (hazard
	 * H19). */
	ret = r->os->ack(self->fd);
	if (ret < 0 && ret != -EAGAIN) {
		let_go(r, "the kernel removed the device");
		return;
	}
	intake(r);
}

static bool on_iteration(struct loop_hook *self)
{
	struct front_ring *r = container_of(self, struct front_ring, hook);
	bool took = false;

	/* A bound on age needs looks also when nothing comes, or the first entry after a pause has no age. */
	if (r->state == FRONT_RUNNING && r->age_bound_ns)
		took = intake(r);
	if (r->state == FRONT_RUNNING || r->state == FRONT_QUIET)
		flush(r);
	return took;
}

static void on_look_timer(struct loop_timer *self)
{
	struct front_ring *r = container_of(self, struct front_ring, look_timer);

	/* The hook of this iteration looks. */
	loop_arm(r->loop, self, loop_now(r->loop) + r->age_bound_ns / 2);
}

int front_io_start(struct front_ring *r, struct err *e)
{
	const char *why;
	int ret;

	if (r->state != FRONT_IDLE)
		return err_set(e, -EALREADY, "the ring of %s was started before", r->name);
	ret = ring_start(&r->ring, e);
	if (ret < 0)
		return ret;
	r->fd.cb = on_event;
	ret = loop_add_fd(r->loop, &r->fd, EPOLLIN);
	if (ret < 0)
		return err_set(e, ret, "the uio device of %s cannot be watched: %s", r->name, strerror(-ret));
	r->hook.cb = on_iteration;
	loop_add_hook(r->loop, &r->hook);
	front_get(r); /* the loop's */
	r->started = true;
	r->state = FRONT_RUNNING;
	if (r->age_bound_ns) {
		r->look_timer.cb = on_look_timer;
		on_look_timer(&r->look_timer);
	}
	/* Before the first look: a copy within the LUN may wait in the ring. */
	scsi_lun_serve(r->lun);
	on_event(&r->fd, 0);
	if (!front_dropped(r, &why))
		return 0;
	scsi_lun_retire(r->lun);
	return err_set(e, -EIO, "the ring of %s cannot be served: %s", r->name, why);
}

static void leave_hook(struct front_ring *r)
{
	if (!r->hook.link.next)
		return;
	loop_del_hook(&r->hook);
	r->hook.link.next = NULL;
}

int front_io_leave(struct front_ring *r)
{
	if (scsi_lun_is_settled(r->lun))
		return 1;
	if (r->hook.link.next && (r->state == FRONT_RUNNING || r->state == FRONT_QUIET))
		flush(r);
	if (r->state == FRONT_DETACHED)
		return -EIO;
	loop_del_fd(r->loop, &r->fd);
	loop_disarm(&r->look_timer);
	loop_disarm(&r->abort_timer);
	leave_hook(r);
	scsi_lun_leave(r->lun);
	return 0;
}

static int rejoin(struct front_ring *r)
{
	int ret = r->state == FRONT_RUNNING ? loop_add_fd(r->loop, &r->fd, EPOLLIN) : 0;

	if (ret < 0) {
		let_go(r, "it cannot be watched on its I/O thread");
		return ret;
	}
	loop_add_hook(r->loop, &r->hook);
	if (r->age_bound_ns)
		on_look_timer(&r->look_timer);
	if (r->abort_armed)
		on_abort_timer(&r->abort_timer);
	return 0;
}

int front_io_join(struct front_ring *r)
{
	if (scsi_lun_is_settled(r->lun))
		return 0;
	/* On the way the ring may have been stopped. */
	if (r->state == FRONT_DETACHED)
		return -EIO;
	scsi_lun_settle(r->lun, r->lane, r->unit);
	if (r->state == FRONT_IDLE)
		return 0;
	if (rejoin(r) < 0)
		return -EIO;
	/* What came meanwhile has raised its event, which nobody need wait for. */
	if (r->state == FRONT_RUNNING)
		on_event(&r->fd, 0);
	return front_dropped(r, NULL) ? -EIO : 0;
}

int front_io_drain(struct front_ring *r)
{
	if (r->state == FRONT_RUNNING) {
		intake(r);
		if (r->state == FRONT_RUNNING)
			flush(r);
	}
	if (r->state != FRONT_RUNNING)
		return -EIO;
	return ring_empty(&r->ring) && !outstanding(r) ? 0 : -EAGAIN;
}

void front_io_quiet(struct front_ring *r)
{
	leave_intake(r);
}

int front_io_stop(struct front_ring *r)
{
	if (r->state == FRONT_RUNNING || r->state == FRONT_QUIET) {
		leave_intake(r);
		flush(r);
	}
	if (r->state != FRONT_DETACHED)
		let_go(r, NULL);
	leave_hook(r);
	if (r->started) {
		r->started = false;
		front_put(r);
	}
	return (int)outstanding(r);
}
