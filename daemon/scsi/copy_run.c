/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Moving the data of EXTENDED COPY. Segments follow one another; the pieces of one are read and written at once,
 * up to COPY_PIECES of them. A copy's task has no requests: while it runs, children is 1, and that is the copy.
 */
#include "copy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/endian.h"

#define TRIES	     4 /* of a piece that meets UNIT ATTENTION of the unit: each is reported once */
#define SKS_VALID    0x80
#define SOURCE_AREA  8 /* bytes of the COMMAND-SPECIFIC INFORMATION: where the answers of the devices are, */
#define DEST_AREA    9
#define SEGMENT_AREA 10 /* and the segment's number */

/* Forwarded sense data (SPC-4 4.5.2.8) */
#define FORWARDED_SENSE 0x0c
#define OF_SOURCE	0x01
#define OF_DESTINATION	0x02

static void copy_pump(struct copy *c);

/* --- failure --- */

/* What the device said, unchanged: behind the sense data proper as status and sense, or in the descriptor for it. */
static void append_answer(struct scsi_task *t, const struct copy_trouble *trouble)
{
	uint8_t *s = t->sense, *end = s + t->sense_len;
	uint8_t head = t->lun->d_sense ? 4 : 1;
	uint8_t n = (uint8_t)MIN(trouble->sense_len, SCSI_SENSE_SIZE - t->sense_len - head);

	if (t->lun->d_sense) {
		end[0] = FORWARDED_SENSE;
		end[1] = (uint8_t)(2 + n);
		end[2] = trouble->of_destination ? OF_DESTINATION : OF_SOURCE;
	} else {
		s[trouble->of_destination ? DEST_AREA : SOURCE_AREA] = t->sense_len;
	}
	end[head - 1] = trouble->status;
	if (n)
		memcpy(end + head, trouble->sense, n);
	s[7] = (uint8_t)(s[7] + head + n);
	t->sense_len = (uint8_t)(t->sense_len + head + n);
}

/* SPC-4 6.4.3.3: where in the list it happened, and what the source or destination said of it. */
void copy_fail(struct copy *c, const struct copy_trouble *trouble)
{
	struct scsi_task *t = c->t;

	c->stop = true;
	task_fail_at(t, 0, trouble->code, NULL);
	t->sense_len = sense_fixed(t->sense, trouble->code, NULL);
	put_be16(t->sense + SEGMENT_AREA, (uint16_t)trouble->segment);
	if (trouble->field) {
		t->sense[15] = SKS_VALID;
		put_be16(t->sense + 16, trouble->field);
	}
	if (t->lun->d_sense)
		t->sense_len = sense_to_descriptor(t->sense, t->sense_len);
	if (trouble->status)
		append_answer(t, trouble);
}

static void piece_failed(struct copy *c, const struct copy_piece *p)
{
	const struct scsi_task *sub = &p->task;
	bool open = lun_gate(sub->lun) == SCSI_GATE_OPEN;
	struct copy_trouble trouble = {
		.code = open ? SENSE_COPY_DEVICE_FAILURE : SENSE_COPY_NOT_REACHABLE,
		.segment = c->segment,
		.of_destination = p->writing,
		.status = sub->status,
		.sense = sub->sense,
		.sense_len = sub->sense_len,
	};

	copy_fail(c, &trouble);
}

/* --- pieces --- */

static void piece_done(struct scsi_task *sub);

static void piece_submit(struct copy_piece *p, bool writing)
{
	const struct copy_segment *seg = &p->copy->seg[p->copy->segment];
	struct scsi_lun *lun = writing ? seg->dst : seg->src;
	uint32_t block_size = lun->facts.id.block_size;
	struct scsi_task *sub = &p->task;

	p->writing = writing;
	p->iov.iov_len = p->bytes;
	memset(sub->cdb, 0, sizeof(sub->cdb));
	sub->cdb[0] = writing ? 0x8a : 0x88;
	put_be64(sub->cdb + 2, (writing ? seg->dst_lba : seg->src_lba) + p->offset / block_size);
	put_be32(sub->cdb + 10, p->bytes / block_size);
	sub->cdb_len = 16;
	sub->lun = lun;
	sub->iov = &p->iov;
	sub->niov = 1;
	sub->iov_bytes = p->bytes;
	sub->done = piece_done;
	lun->copying++;
	task_submit(sub);
}

static bool is_attention(const struct scsi_task *sub)
{
	enum scsi_sense code;

	return sub->status == SCSI_CHECK_CONDITION && sense_parse(sub->sense, sub->sense_len, &code) &&
	       SENSE_KEY(code) == KEY_UNIT_ATTENTION;
}

static void piece_done(struct scsi_task *sub)
{
	struct copy_piece *p = container_of(sub, struct copy_piece, task);
	struct copy *c = p->copy;
	bool good = sub->status == SCSI_GOOD;

	lun_copy_left(sub->lun);
	if (!c->stop && good && !p->writing) {
		piece_submit(p, true);
		return;
	}
	if (!c->stop && is_attention(sub) && ++p->tries < TRIES) {
		piece_submit(p, p->writing);
		return;
	}
	if (good && p->writing)
		c->done += p->bytes;
	else if (!good && !c->stop)
		piece_failed(c, p);
	p->busy = false;
	c->busy--;
	copy_pump(c);
}

static struct copy_piece *idle_piece(struct copy *c)
{
	for (unsigned i = 0; i < COPY_PIECES; i++)
		if (!c->piece[i].busy)
			return &c->piece[i];
	return NULL;
}

/* One step forward; false: nothing can be done now. */
static bool copy_step(struct copy *c)
{
	const struct copy_segment *seg = &c->seg[c->segment];
	struct copy_piece *p = idle_piece(c);

	if (c->stop || c->segment == c->n_segments)
		return false;
	if (c->next == seg->bytes) {
		if (c->busy)
			return false;
		c->segment++;
		c->next = 0;
		return true;
	}
	if (!p || (seg->overlap && c->busy))
		return false;
	p->bytes = (uint32_t)MIN(seg->bytes - c->next, (uint64_t)COPY_PIECE_BYTES);
	p->offset = seg->backward ? seg->bytes - c->next - p->bytes : c->next;
	p->tries = 0;
	p->busy = true;
	c->next += p->bytes;
	c->busy++;
	piece_submit(p, false);
	return true;
}

/* --- a copy's life --- */

static void copies_kick(struct scsi_host *s);

static void copy_end(struct copy *c)
{
	struct scsi_host *s = c->host;
	struct scsi_task *t = c->t;

	copy_remember(c);
	c->t = NULL;
	t->children = 0;
	if (!c->stop)
		t->bytes = 0; /* all done */
	task_advance(t);
	copies_kick(s);
}

/* Pieces may come back while it runs: who is inside goes on with what they have left. */
static void copy_pump(struct copy *c)
{
	if (c->pumping)
		return;
	c->pumping = true;
	while (copy_step(c))
		;
	c->pumping = false;
	if (!c->busy && (c->stop || c->segment == c->n_segments))
		copy_end(c);
}

/* Those at the controller are asked back; the copy ends with the last of them. */
static void copy_stop(struct copy *c)
{
	bool pumping = c->pumping;

	c->stop = true;
	c->pumping = true;
	for (unsigned i = 0; i < COPY_PIECES; i++)
		if (c->piece[i].busy)
			scsi_task_abort(&c->piece[i].task);
	c->pumping = pumping;
	copy_pump(c);
}

static struct copy *copy_of(struct copies *all, const struct scsi_task *t)
{
	for (unsigned i = 0; i < COPY_MAX_COPIES; i++)
		if (all->copy[i].t == t)
			return &all->copy[i];
	return NULL;
}

static void copy_abort(struct scsi_task *t)
{
	copy_stop(copy_of(t->lun->host->copies, t));
}

/* fill() is never called: children and bytes are both 1 until the end. */
static const struct scsi_work work_copy = {.max_children = 1, .abort = copy_abort};

static void copy_begin(struct copy *c, struct scsi_task *t)
{
	c->t = t;
	c->n_cscds = c->n_segments = c->segment = 0;
	c->next = c->done = 0;
	c->stop = c->accepted = false;
	task_next_body(t, &work_copy, 1);
	t->children = 1;
	if (!copy_parse(c))
		c->stop = true;
	copy_pump(c);
}

static void copies_kick(struct scsi_host *s)
{
	struct copies *all = s->copies;
	struct scsi_task *t;
	struct copy *c;

	if (all->kicking)
		return;
	all->kicking = true;
	while ((t = list_first(&all->wait, struct scsi_task, link)) && (c = copy_of(all, NULL))) {
		task_unqueue(t);
		copy_begin(c, t);
	}
	all->kicking = false;
}

void copy_start(struct scsi_task *t)
{
	struct copies *all = t->lun->host->copies;

	/* Not nothing: an abort finds it unfinished. */
	t->bytes = 1;
	t->flags |= TASK_STARVED;
	list_append(&all->wait, &t->link);
	copies_kick(t->lun->host);
}

/* --- LUNs come and go --- */

static bool uses(const struct copy *c, const struct scsi_lun *lun)
{
	for (unsigned i = c->segment; c->t && i < c->n_segments; i++)
		if (c->seg[i].src == lun || c->seg[i].dst == lun)
			return true;
	return false;
}

void scsi_lun_serve(struct scsi_lun *lun)
{
	assert(!lun->dead);
	lun->serving = true;
	lun_await(lun);
}

/* Nothing is to be done for one that was never served: no copy has found it. */
void scsi_lun_retire(struct scsi_lun *lun)
{
	struct copies *all = lun->host->copies;

	if (!lun->serving)
		return;
	lun->serving = false;
	lun_await(lun);
	copy_forget(all, lun);
	for (unsigned i = 0; i < COPY_MAX_COPIES; i++) {
		struct copy *c = &all->copy[i];

		if (!uses(c, lun))
			continue;
		/* One that has failed already may have pieces that wait in this LUN's queue. */
		if (!c->stop)
			copy_fail(c, &(struct copy_trouble){
					     .code = SENSE_COPY_NOT_REACHABLE, .segment = c->segment});
		copy_stop(c);
	}
}

int copies_create(struct scsi_host *s)
{
	struct copies *all = calloc(1, sizeof(*all));

	if (!all)
		return -ENOMEM;
	s->copies = all;
	list_init(&all->wait);
	all->buffers = calloc(COPY_MAX_COPIES * COPY_PIECES, COPY_PIECE_BYTES);
	if (!all->buffers)
		return -ENOMEM;
	for (unsigned i = 0; i < COPY_MAX_COPIES * COPY_PIECES; i++) {
		struct copy *c = &all->copy[i / COPY_PIECES];
		struct copy_piece *p = &c->piece[i % COPY_PIECES];

		c->host = s;
		p->copy = c;
		p->iov.iov_base = all->buffers + (size_t)i * COPY_PIECE_BYTES;
	}
	return 0;
}

void copies_destroy(struct scsi_host *s)
{
	if (!s->copies)
		return;
	free(s->copies->buffers);
	free(s->copies);
}
