/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An initiator's thread: what it sends, and what it makes of the answers. */
#include "soak.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define REGION_LBA   1001u /* within the unit; crosses the boundaries that there may be */
#define MOST_BLOCKS  128u
#define SCAN_BLOCKS  256u
#define RETRY_MS     10
#define LOOK_MS	     100
#define TRIES_TO_FIT 8

/* --- commands --- */

static void put_cdb(const struct slot *s, bool long_cdb)
{
	static const uint8_t opcodes[][2] = {
		[IO_READ] = {0x28, 0x88}, [IO_WRITE] = {0x2a, 0x8a}, [IO_FLUSH] = {0x35, 0x91}};
	uint8_t *cdb = s->c->cdb;
	uint32_t lba = s->n ? REGION_LBA + s->lba : 0;

	if (s->kind == IO_START) {
		cdb[0] = 0x1b;
		cdb[4] = 1;
		return;
	}
	cdb[0] = opcodes[s->kind][long_cdb];
	cdb[1] = s->fua ? 0x08 : 0;
	for (unsigned b = 0; b < 4; b++)
		cdb[(long_cdb ? 6 : 2) + b] = (uint8_t)(lba >> (24 - 8 * b));
	for (unsigned b = 0; b < 2; b++)
		cdb[(long_cdb ? 12 : 7) + b] = (uint8_t)(s->n >> (8 - 8 * b));
}

static void new_command(struct initiator *i, struct slot *s)
{
	bool data = s->kind == IO_READ || s->kind == IO_WRITE;
	struct model_cmd *c = calloc(1, sizeof(*c));

	must(c);
	c->dir = s->kind == IO_READ ? MODEL_READ : s->kind == IO_WRITE ? MODEL_WRITE : MODEL_NONE;
	c->len = data ? s->n * DISK_BLOCK : 0;
	c->buf = malloc(c->len ? c->len : 1);
	must(c->buf);
	s->c = c;
	put_cdb(s, rng_below(&i->rng, 4) == 0);
	if (s->kind == IO_WRITE)
		disk_write_begin(&i->disk, s->lba, s->n, c->buf);
	s->state = SLOT_WAITING;
	s->named = false;
	s->tries = 0;
	s->begun_ns = clock_ns();
	s->due_ns = 0;
}

static void view_of(const struct slot *s, uint32_t *ret_lba, uint32_t *ret_n)
{
	*ret_lba = s->n ? s->lba : 0;
	*ret_n = s->n ? s->n : DISK_BLOCKS;
}

/* Each time that it is sent: the earlier answer said that it was not done. */
static void prepare(struct initiator *i, struct slot *s)
{
	uint32_t lba, n;

	s->c->answers = 0;
	s->c->by_reset = false;
	s->c->has_read_len = false;
	if (s->kind == IO_READ)
		memset(s->c->buf, 0xee, s->c->len);
	view_of(s, &lba, &n);
	if (s->kind == IO_READ || s->kind == IO_FLUSH)
		disk_look(&i->disk, lba, n, s->view);
	pthread_mutex_lock(&i->lock);
	s->phase = i->orders.phase;
	pthread_mutex_unlock(&i->lock);
	s->queued_ns = clock_ns();
}

static void send_command(struct initiator *i, struct slot *s)
{
	int r;

	prepare(i, s);
	/* Before: it may be answered before the call is over. */
	s->state = SLOT_QUEUED;
	r = model_queue(&i->model, s->c);
	if (r == 0)
		return;
	s->state = SLOT_WAITING;
	s->due_ns = clock_ns() + RETRY_MS * NS_PER_MS;
	if (r == -EIO)
		soak_wrong("LUN %u: the kernel would call the ring broken: %u unknown ids, %u bad slots",
			i->index, i->model.unknown_ids, i->model.bad_slots);
}

/* --- what to do next --- */

static bool pick_scan(struct initiator *i, struct slot *s)
{
	if (i->scan_at >= DISK_BLOCKS)
		return false;
	*s = (struct slot){
		.view = s->view, .kind = IO_READ, .ordered = true, .lba = i->scan_at, .n = SCAN_BLOCKS};
	i->scan_at += SCAN_BLOCKS;
	new_command(i, s);
	return true;
}

static void pick_range(struct initiator *i, struct slot *s)
{
	s->n = 1 + (uint32_t)rng_below(&i->rng, MOST_BLOCKS);
	s->lba = (uint32_t)rng_below(&i->rng, DISK_BLOCKS - s->n + 1);
}

static void pick_load(struct initiator *i, struct slot *s, unsigned flush_one_in)
{
	*s = (struct slot){.view = s->view, .kind = IO_READ};
	pick_range(i, s);
	if (flush_one_in && rng_below(&i->rng, flush_one_in) == 0) {
		s->kind = IO_FLUSH;
		if (rng_below(&i->rng, 2))
			s->n = s->lba = 0;
	} else if (rng_below(&i->rng, 2)) {
		for (unsigned t = 0; t < TRIES_TO_FIT && s->kind == IO_READ; t++) {
			if (disk_is_free(&i->disk, s->lba, s->n))
				s->kind = IO_WRITE;
			else
				pick_range(i, s);
		}
		s->fua = flush_one_in && s->kind == IO_WRITE && rng_below(&i->rng, 64) == 0;
	}
	new_command(i, s);
}

static bool is_under_way(const struct initiator *i, enum initiator_kind kind)
{
	for (unsigned k = 0; k < i->depth; k++)
		if (i->slot[k].state != SLOT_FREE && i->slot[k].ordered && i->slot[k].kind == kind)
			return true;
	return false;
}

static void pick_order(struct initiator *i, struct slot *s, enum initiator_kind kind)
{
	*s = (struct slot){.view = s->view, .kind = kind, .ordered = true};
	new_command(i, s);
}

/* True if the slot has something to send now. */
static bool pick(struct initiator *i, struct slot *s, const struct initiator_orders *o)
{
	if (o->flushes && !is_under_way(i, IO_FLUSH))
		pick_order(i, s, IO_FLUSH);
	else if (o->starts && !is_under_way(i, IO_START))
		pick_order(i, s, IO_START);
	else if (o->mode == INITIATOR_SCAN)
		return pick_scan(i, s);
	else if (o->mode == INITIATOR_LOAD)
		pick_load(i, s, o->flush_one_in);
	else
		return false;
	return true;
}

/* --- answers --- */

static void end_command(struct initiator *i, struct slot *s, bool good)
{
	struct initiator_counts *n = &i->counts;

	if (s->kind == IO_WRITE)
		disk_write_end(&i->disk, s->lba, s->n, good, s->fua);
	pthread_mutex_lock(&i->lock);
	n->answers++;
	n->reads += good && s->kind == IO_READ;
	n->writes += good && s->kind == IO_WRITE;
	n->fua_writes += good && s->fua;
	n->flushes += good && s->kind == IO_FLUSH;
	n->starts += good && s->kind == IO_START;
	n->bytes += good ? s->c->len : 0;
	n->aborted_good += good && s->named;
	if (s->ordered && s->kind == IO_FLUSH)
		i->orders.flushes--;
	if (s->ordered && s->kind == IO_START)
		i->orders.starts--;
	pthread_mutex_unlock(&i->lock);
	model_cmd_free(s->c);
	s->c = NULL;
	s->state = SLOT_FREE;
}

static void note_time(struct initiator *i, const struct slot *s, bool good)
{
	uint64_t took = clock_ns() - s->queued_ns;

	pthread_mutex_lock(&i->lock);
	/* START STOP UNIT is meant to take long. */
	if (took > i->counts.longest_ns && s->kind != IO_START) {
		i->counts.longest_ns = took;
		i->counts.longest_opcode = s->c->cdb[0];
	}
	if (good && (s->kind == IO_READ || s->kind == IO_WRITE) && !s->ordered)
		latency_note(&i->latency[s->phase], took);
	pthread_mutex_unlock(&i->lock);
}

/* A GOOD flush vouches for every write that was acknowledged before it, whatever happened in between; unless another
 * one that was under way together with it has told that writes are lost. False: it vouches for nothing. */
static bool flush_vouches(struct initiator *i, const struct slot *s, const struct initiator_orders *o)
{
	bool besides = s->queued_ns < o->told_ns;

	if (o->must_tell)
		soak_wrong("LOST: LUN %u: a flush was GOOD although writes before it were lost with the "
			   "controller",
			i->index);
	pthread_mutex_lock(&i->lock);
	if (s->queued_ns >= o->back_ns)
		i->orders.may_tell = false;
	i->counts.besides += besides;
	pthread_mutex_unlock(&i->lock);
	return !besides;
}

static void good(struct initiator *i, struct slot *s, const struct initiator_orders *o)
{
	enum disk_past past = s->ordered ? o->past : o->shady ? DISK_SHADY : DISK_LIVE;
	uint32_t lba, n;

	view_of(s, &lba, &n);
	if (s->kind == IO_READ && s->c->has_read_len && s->c->read_len < s->c->len)
		soak_wrong("WRONG: LUN %u: a GOOD read of %u bytes brought %u", i->index, s->c->len,
			s->c->read_len);
	else if (s->kind == IO_READ)
		disk_judge(&i->disk, lba, n, s->view, s->c->buf, past);
	if (s->kind == IO_FLUSH && flush_vouches(i, s, o))
		disk_flushed(&i->disk, lba, n, s->view);
	end_command(i, s, true);
}

/* What Linux repeats: it says that nothing was done, or that it may be done again. */
static bool is_retriable(const struct model_cmd *c)
{
	uint8_t key = c->sense[2] & 0xf;

	if (c->status == 0x08 || c->status == 0x28)
		return true;
	if (c->status != 0x02)
		return false;
	return key == 6 || key == 0xb || (key == 2 && c->sense[12] == 0x04 && c->sense[13] == 0x01);
}

/* WRITE ERROR: what was acknowledged before may be lost. Once, and to all that were under way then. */
static bool tells_of_loss(struct initiator *i, const struct slot *s, const struct initiator_orders *o)
{
	const struct model_cmd *c = s->c;
	bool beside = s->queued_ns < o->told_ns;

	if (!(o->may_tell || beside) || !(s->kind == IO_FLUSH || s->fua) || c->status != 0x02 ||
		(c->sense[2] & 0xf) != 4 || c->sense[12] != 0x0c)
		return false;
	pthread_mutex_lock(&i->lock);
	/* While the controller goes, it may be the last loss that is told of, with the next one yet to come. And whether hbad knew
	 * that a task management function had named it, and nobody would hear this, cannot be seen from here. */
	i->orders.told_away = o->back_ns == UINT64_MAX;
	i->orders.may_tell = i->orders.told_away || s->named;
	i->orders.must_tell = false;
	if (o->may_tell)
		i->orders.told_ns = clock_ns();
	i->counts.told++;
	pthread_mutex_unlock(&i->lock);
	return true;
}

static void wait_a_little(struct slot *s)
{
	s->due_ns = clock_ns() + RETRY_MS * NS_PER_MS;
}

static void tell(const struct initiator *i, const struct slot *s)
{
	const uint8_t *sense = s->c->sense;

	soak_wrong(
		"INITIATOR ERROR: LUN %u, CDB %02x, block %u: status %02x, sense %x/%02x/%02x, retries: %u",
		i->index, s->c->cdb[0], s->lba, s->c->status, sense[2] & 0xf, sense[12], sense[13], s->tries);
}

static void bad(struct initiator *i, struct slot *s, const struct initiator_orders *o)
{
	const struct model_cmd *c = s->c;
	bool told = tells_of_loss(i, s, o), tolerant = o->tolerant || told;
	bool again = (is_retriable(c) || told) && clock_ns() - s->begun_ns < SOAK_STUCK_MS * NS_PER_MS;

	if ((c->status == 0x40 || is_retriable(c)) && s->named) {
		pthread_mutex_lock(&i->lock);
		i->counts.aborted++;
		pthread_mutex_unlock(&i->lock);
		end_command(i, s, false);
		return;
	}
	/* What was ordered is done in the end. */
	if (again && (!tolerant || s->ordered)) {
		s->tries++;
		s->state = SLOT_WAITING;
		wait_a_little(s);
		pthread_mutex_lock(&i->lock);
		i->counts.retries++;
		pthread_mutex_unlock(&i->lock);
		return;
	}
	if (!tolerant)
		tell(i, s);
	pthread_mutex_lock(&i->lock);
	i->counts.tolerated++;
	pthread_mutex_unlock(&i->lock);
	end_command(i, s, false);
	wait_a_little(s);
}

/* Its write may have been done or not: whoever it was writes the same blocks again at once, and nothing of the old
 * command may come after that. */
static void write_again(struct initiator *i, struct slot *s)
{
	if (!disk_is_free(&i->disk, s->lba, s->n))
		return;
	s->fua = false;
	new_command(i, s);
}

struct initiator_orders initiator_orders_now(struct initiator *i)
{
	struct initiator_orders o;

	pthread_mutex_lock(&i->lock);
	o = i->orders;
	pthread_mutex_unlock(&i->lock);
	return o;
}

static void take_answer(struct initiator *i, struct slot *s)
{
	bool rewrite = s->named && s->kind == IO_WRITE && rng_below(&i->rng, 2);
	const struct initiator_orders o = initiator_orders_now(i);

	if (s->c->answers > 1)
		soak_wrong("WRONG: LUN %u: a command was answered %u times", i->index, s->c->answers);
	note_time(i, s, s->c->status == 0);
	if (o.may_tell && (s->kind == IO_FLUSH || s->fua))
		fprintf(stderr, "soak: LUN %u: CDB %02x of %u blocks at %u, sent %.3f s ago: status %02x\n",
			i->index, s->c->cdb[0], s->n, s->lba, (double)(clock_ns() - s->queued_ns) / 1e9,
			s->c->status);
	if (s->c->status == 0 && !s->c->by_reset)
		good(i, s, &o);
	else
		bad(i, s, &o);
	if (rewrite && s->state == SLOT_FREE && o.mode == INITIATOR_LOAD)
		write_again(i, s);
}

static void take_answers(struct initiator *i)
{
	bool answered[INITIATOR_MOST];

	pthread_mutex_lock(&i->model.lock);
	for (unsigned k = 0; k < i->depth; k++)
		answered[k] = i->slot[k].state == SLOT_QUEUED && i->slot[k].c->answers;
	pthread_mutex_unlock(&i->model.lock);
	/* Of flushes that came back together, the one that failed has told for all. */
	for (unsigned pass = 0; pass < 2; pass++)
		for (unsigned k = 0; k < i->depth; k++) {
			struct slot *s = &i->slot[k];

			if (!answered[k] || (pass == 0 && s->c->status == 0))
				continue;
			answered[k] = false;
			take_answer(i, s);
		}
}

/* --- task management --- */

/* The id that the kernel would name, 0 if the command is not in the ring any more. */
static uint16_t id_of(struct initiator *i, const struct slot *s)
{
	uint16_t id = 0;

	if (s->state != SLOT_QUEUED)
		return 0;
	pthread_mutex_lock(&i->model.lock);
	if (!s->c->answers)
		id = s->c->id;
	pthread_mutex_unlock(&i->model.lock);
	return id;
}

static bool send_tmf(struct initiator *i, uint8_t type, struct slot *const *victim, unsigned n)
{
	uint16_t ids[INITIATOR_MOST];
	unsigned count = 0;

	for (unsigned k = 0; k < n; k++) {
		uint16_t id = id_of(i, victim[k]);

		if (id)
			ids[count++] = id;
		victim[k]->named |= id != 0;
	}
	if (model_tmr(&i->model, type, ids, count) < 0)
		return false;
	pthread_mutex_lock(&i->lock);
	i->counts.tmfs++;
	i->counts.tmfs_unknown += !count;
	pthread_mutex_unlock(&i->lock);
	return true;
}

/* ABORT TASK comes for one command each, LUN RESET names all that there are. */
static void begin_tmf(struct initiator *i, uint8_t type, unsigned want)
{
	struct slot *victim[INITIATOR_MOST];
	unsigned n = 0;

	if (type == TMF_LUN_RESET) {
		for (unsigned k = 0; k < i->depth; k++)
			if (i->slot[k].state == SLOT_QUEUED && !i->slot[k].ordered)
				victim[n++] = &i->slot[k];
		send_tmf(i, type, victim, n);
	}
	for (unsigned k = 0; k < want && type == TMF_ABORT_TASK; k++) {
		victim[0] = &i->slot[rng_below(&i->rng, i->depth)];
		if (!victim[0]->ordered)
			send_tmf(i, type, victim, 1);
	}
	i->tmf_began_ns = clock_ns();
	i->tmf_waits = true;
}

/* LIO answers it when all that it named are completed. */
static void look_at_tmf(struct initiator *i)
{
	const struct initiator_orders o = initiator_orders_now(i);

	if (o.tmfs && !i->tmf_waits)
		begin_tmf(i, o.tmf_type, o.tmfs);
	if (!i->tmf_waits)
		return;
	for (unsigned k = 0; k < i->depth; k++)
		if (i->slot[k].state == SLOT_QUEUED && i->slot[k].named)
			return;
	i->tmf_waits = false;
	pthread_mutex_lock(&i->lock);
	i->counts.longest_tmf_ns = MAX(i->counts.longest_tmf_ns, clock_ns() - i->tmf_began_ns);
	i->orders.tmfs = 0;
	pthread_mutex_unlock(&i->lock);
}

/* --- the thread --- */

static void send_all(struct initiator *i)
{
	const struct initiator_orders o = initiator_orders_now(i);

	for (unsigned k = 0; k < i->depth; k++) {
		struct slot *s = &i->slot[k];

		if (s->due_ns > clock_ns())
			continue;
		if (s->state == SLOT_FREE && !pick(i, s, &o))
			continue;
		if (s->state == SLOT_WAITING)
			send_command(i, s);
	}
}

static bool look_if_idle(struct initiator *i)
{
	struct initiator_orders *o = &i->orders;
	unsigned busy = 0;
	bool quit;

	for (unsigned k = 0; k < i->depth; k++)
		busy += i->slot[k].state != SLOT_FREE;
	pthread_mutex_lock(&i->lock);
	if (!busy && o->mode == INITIATOR_SCAN && i->scan_at >= DISK_BLOCKS)
		o->mode = INITIATOR_IDLE;
	i->passes++;
	i->idle = !busy && o->mode == INITIATOR_IDLE && !o->flushes && !o->starts && !o->tmfs;
	quit = o->quit && i->idle;
	pthread_mutex_unlock(&i->lock);
	return quit;
}

static void sleep_a_while(struct initiator *i)
{
	struct pollfd p = {.fd = i->wake_fd, .events = POLLIN};
	int ms = LOOK_MS;
	uint64_t n;

	for (unsigned k = 0; k < i->depth; k++)
		if (i->slot[k].due_ns > clock_ns())
			ms = RETRY_MS;
	if (poll(&p, 1, ms) > 0 && read(i->wake_fd, &n, sizeof(n)) < 0)
		soak_wrong("LUN %u: an eventfd cannot be read: %s", i->index, strerror(errno));
}

void *initiator_main(void *arg)
{
	struct initiator *i = arg;

	do {
		sleep_a_while(i);
		take_answers(i);
		look_at_tmf(i);
		send_all(i);
	} while (!look_if_idle(i));
	return NULL;
}
