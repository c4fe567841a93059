/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * EXTENDED COPY (LID1), SPC-4 6.4: its parameter list. Identification descriptors (E4h) and copies from block
 * device to block device (02h) are known, what initiators use. All of a list is judged before anything moves.
 *
 * Who may copy what: within the LUN that got the command, always. LIO has looked at access to that LUN only
 * (hazard H16), so another one takes part when the administrator has given both allow=copy.
 *
 * LIST IDENTIFIERs are unique per initiator, and LIO does not tell who sent a command: two hosts may well use the
 * same one at once, so it is no error.
 */
#include "copy.h"

#include <string.h>
#include "base/endian.h"
#include "commands.h"

#define PDT_MASK	    0x1f
#define DC		    0x02 /* blocks are counted in those of the destination */
#define DESIG_MAX	    20

#define SEGMENT_SOURCE	    4 /* offsets in its descriptor */
#define SEGMENT_DESTINATION 6
#define SEGMENT_BLOCKS	    10
#define SEGMENT_SOURCE_LBA  12
#define SEGMENT_DEST_LBA    20

/* --- errors in the list itself: ILLEGAL REQUEST --- */

static bool refuse(struct copy *c, enum scsi_sense code)
{
	task_fail_at(c->t, 0, code, NULL);
	return false;
}

static bool refuse_field(struct copy *c, enum scsi_sense code, unsigned field, int bit)
{
	struct sense_detail detail = {
		.has_field = true, .in_list = true, .field = (uint16_t)field, .bit = bit};

	task_fail_at(c->t, 0, code, &detail);
	return false;
}

/* The order is that of the standard's own text: lengths, then counts, then codes. STR and PRIORITY are hints.
 * What lies behind the descriptors is nobody's. */
static bool check_header(struct copy *c)
{
	const uint8_t *h = c->list;
	uint32_t cscds = get_be16(h + 2), segments = get_be32(h + 8);
	uint64_t descriptors = (uint64_t)cscds + segments;

	c->list_id = h[0];
	c->usage = h[1] >> 3 & 3;
	if (descriptors > COPY_LIST_MAX || COPY_HEADER_LEN + descriptors > c->t->iov_bytes)
		return refuse(c, SENSE_LIST_LENGTH);
	if (get_be32(h + 12))
		return refuse_field(c, SENSE_COPY_INLINE, 12, 7);
	if (c->usage == COPY_USAGE_RESERVED)
		return refuse_field(c, SENSE_INVALID_LIST, 1, 4);
	if (c->usage == COPY_NO_ID && c->list_id)
		return refuse_field(c, SENSE_INVALID_LIST, 0, 7);
	if (cscds % COPY_CSCD_LEN)
		return refuse_field(c, SENSE_INVALID_LIST, 2, 7);
	if (cscds / COPY_CSCD_LEN > COPY_MAX_CSCDS)
		return refuse_field(c, SENSE_COPY_TOO_MANY_CSCDS, 2, 7);
	c->n_cscds = cscds / COPY_CSCD_LEN;
	return true;
}

static unsigned cscd_at(unsigned i)
{
	return COPY_HEADER_LEN + i * COPY_CSCD_LEN;
}

/* Segments that are not of the one length that is known do not get past check_segments(). */
static unsigned segment_at(const struct copy *c, unsigned i)
{
	return cscd_at(c->n_cscds) + i * COPY_SEGMENT_LEN;
}

static bool check_cscds(struct copy *c)
{
	for (unsigned i = 0; i < c->n_cscds; i++)
		if (c->list[cscd_at(i)] != COPY_CSCD_IDENTIFICATION)
			return refuse_field(c, SENSE_COPY_CSCD_CODE, cscd_at(i), 7);
	return true;
}

static bool check_segments(struct copy *c)
{
	unsigned at = segment_at(c, 0), end = at + get_be32(c->list + 8);

	for (c->n_segments = 0; at < end; at += COPY_SEGMENT_LEN) {
		if (c->n_segments == COPY_MAX_SEGMENTS)
			return refuse_field(c, SENSE_COPY_TOO_MANY_SEGMENTS, 8, 7);
		if (c->list[at] != COPY_BLOCK_TO_BLOCK)
			return refuse_field(c, SENSE_COPY_SEGMENT_CODE, at, 7);
		if (end - at < COPY_SEGMENT_LEN)
			return refuse(c, SENSE_LIST_LENGTH);
		if (get_be16(c->list + at + 2) != COPY_SEGMENT_LEN - 4)
			return refuse_field(c, SENSE_INVALID_LIST, at + 2, 7);
		c->n_segments++;
	}
	return true;
}

/* --- errors of what it names: COPY ABORTED, with the segment's number --- */

static bool fail(struct copy *c, enum scsi_sense code, unsigned segment, unsigned field)
{
	copy_fail(c, &(struct copy_trouble){.code = code, .segment = segment, .field = (uint16_t)field});
	return false;
}

/* A range beyond the end: as if the LUN had been asked. */
static bool fail_range(struct copy *c, unsigned segment, unsigned field, bool of_destination)
{
	uint8_t sense[SCSI_SENSE_SIZE];
	struct copy_trouble trouble = {.code = SENSE_COPY_ABORTED,
		.segment = segment,
		.field = (uint16_t)field,
		.of_destination = of_destination,
		.status = SCSI_CHECK_CONDITION,
		.sense = sense};

	trouble.sense_len = sense_fixed(sense, SENSE_LBA_OUT_OF_RANGE, NULL);
	copy_fail(c, &trouble);
	return false;
}

/* Code set, association with the unit, type, length and the bytes. */
static bool has_designator(const struct scsi_facts *facts, const uint8_t *want)
{
	const struct scsi_page *page = &facts->page[PAGE_VPD_83];
	size_t at = 4, len;
	const uint8_t *d;

	while (scsi_next_designator(page, &at, &d, &len))
		if (d[0] == (want[0] & 0x0f) && d[1] == (want[1] & 0x3f) && d[3] == want[3] &&
			len - 4 <= DESIG_MAX && memcmp(d + 4, want + 4, len - 4) == 0)
			return true;
	return false;
}

/* LUNs of other lanes are out of sight. All units are not. */
static bool is_anothers_elsewhere(const struct scsi_lun *lun, const uint8_t *designator)
{
	const struct scsi_units *units = lun->host->io_units;

	if (scsi_host_lanes(lun->first) == 1)
		return false;
	for (unsigned i = 0; units && i < units->n; i++)
		if (units->unit[i].identified && has_designator(&units->facts[i], designator) &&
			strcmp(units->unit[i].id.naa_text, lun->facts.id.naa_text) != 0)
			return true;
	return false;
}

/* The LUN of the one unit with this designator; firmware may give one to all of its units, and then it names none. Of two
 * LUNs of a unit, whose ring changes hands, the one that is served; one that is not is found to be told so. */
static struct scsi_lun *find_lun(struct scsi_host *s, const uint8_t *designator)
{
	struct scsi_lun *found = NULL;

	list_for_each(pos, &s->luns) {
		struct scsi_lun *lun = container_of(pos, struct scsi_lun, all);

		if (!lun->known || !has_designator(&lun->facts, designator))
			continue;
		if (found && strcmp(found->facts.id.naa_text, lun->facts.id.naa_text) != 0)
			return NULL;
		if (!found || lun->serving)
			found = lun;
	}
	return found && !is_anothers_elsewhere(found, designator) ? found : NULL;
}

static bool is_permitted(const struct scsi_lun *own, const struct scsi_lun *lun)
{
	return lun == own || (own->cfg.allow & lun->cfg.allow & ALLOW_COPY);
}

/* The LUN of the descriptor whose id is at `field` of the list. NULL: the copy has failed. */
static struct scsi_lun *resolve(struct copy *c, unsigned segment, unsigned field)
{
	unsigned id = get_be16(c->list + field), at = cscd_at(id);
	struct scsi_lun *lun;
	uint32_t block_size;
	const uint8_t *d;

	if (id >= c->n_cscds) {
		fail(c, SENSE_COPY_UNREACHABLE, segment, field);
		return NULL;
	}
	d = c->list + at;
	block_size = get_be24(d + 29);
	lun = c->cscd[id];
	if (lun && !is_permitted(c->t->lun, lun)) {
		task_tell_not_allowed(c->t, ALLOW_COPY);
		lun = NULL;
	}
	if (d[1] & PDT_MASK) {
		fail(c, SENSE_COPY_DEVICE_TYPE, segment, at + 1);
	} else if (!lun) {
		fail(c, SENSE_COPY_UNREACHABLE, segment, at);
	} else if (!lun->serving || lun_gate(lun) != SCSI_GATE_OPEN) {
		fail(c, SENSE_COPY_NOT_REACHABLE, segment, at);
	} else if (block_size && block_size != lun->facts.id.block_size) {
		fail(c, SENSE_COPY_FIELD, segment, at + 29);
	} else {
		return lun;
	}
	return NULL;
}

static bool is_in_range(const struct scsi_lun *lun, uint64_t lba, uint64_t bytes)
{
	uint64_t blocks = lun->facts.id.blocks;

	return lba <= blocks && bytes / lun->facts.id.block_size <= blocks - lba;
}

static bool overlap(const struct copy_segment *seg)
{
	uint64_t n = seg->bytes / seg->src->facts.id.block_size;

	if (seg->src != seg->dst)
		return false;
	return seg->src_lba <= seg->dst_lba ? seg->dst_lba - seg->src_lba < n
					    : seg->src_lba - seg->dst_lba < n;
}

static bool read_segment(struct copy *c, unsigned i)
{
	struct copy_segment *seg = &c->seg[i];
	unsigned at = segment_at(c, i);
	const uint8_t *d = c->list + at;
	uint32_t src_bs, dst_bs;

	seg->src = resolve(c, i, at + SEGMENT_SOURCE);
	seg->dst = seg->src ? resolve(c, i, at + SEGMENT_DESTINATION) : NULL;
	if (!seg->dst)
		return false;
	src_bs = seg->src->facts.id.block_size;
	dst_bs = seg->dst->facts.id.block_size;
	seg->src_lba = get_be64(d + SEGMENT_SOURCE_LBA);
	seg->dst_lba = get_be64(d + SEGMENT_DEST_LBA);
	seg->bytes = (uint64_t)get_be16(d + SEGMENT_BLOCKS) * (d[1] & DC ? dst_bs : src_bs);
	/* No padding, and nothing is carried into the next segment: PAD and CAT have nothing to act on. */
	if (seg->bytes % src_bs || seg->bytes % dst_bs)
		return fail(c, SENSE_COPY_INEXACT, i, at + SEGMENT_BLOCKS);
	if (!is_in_range(seg->src, seg->src_lba, seg->bytes))
		return fail_range(c, i, at + SEGMENT_SOURCE_LBA, false);
	if (!is_in_range(seg->dst, seg->dst_lba, seg->bytes))
		return fail_range(c, i, at + SEGMENT_DEST_LBA, true);
	seg->overlap = overlap(seg);
	seg->backward = seg->overlap && seg->dst_lba > seg->src_lba;
	return true;
}

static bool is_missing(const struct copy *c, unsigned field)
{
	unsigned id = get_be16(c->list + field);

	return id < c->n_cscds && !c->cscd[id];
}

/* One that is not may be on its way to this lane: LUNs come one after the other when their controller does. The initiator
 * tries again. Where it would not be permitted, or is not used, nothing is waited for. */
static bool all_are_here(struct copy *c)
{
	const struct scsi_lun *own = c->t->lun;

	if (!(own->cfg.allow & ALLOW_COPY) || !atomic_load(&own->first->awaited))
		return true;
	for (unsigned i = 0; i < c->n_segments; i++) {
		unsigned at = segment_at(c, i);

		if (!is_missing(c, at + SEGMENT_SOURCE) && !is_missing(c, at + SEGMENT_DESTINATION))
			continue;
		task_fail_status(c->t, 0, SCSI_BUSY);
		return false;
	}
	return true;
}

bool copy_parse(struct copy *c)
{
	/* One look at the initiator's memory: it may change at any time. */
	iov_get(c->t->iov, c->t->niov, 0, c->list, MIN(c->t->iov_bytes, sizeof(c->list)));
	if (!check_header(c) || !check_cscds(c) || !check_segments(c))
		return false;
	for (unsigned i = 0; i < c->n_cscds; i++)
		c->cscd[i] = find_lun(c->host, c->list + cscd_at(i) + 4);
	if (!all_are_here(c))
		return false;
	c->accepted = true;
	for (unsigned i = 0; i < c->n_segments; i++)
		if (!read_segment(c, i))
			return false;
	return true;
}

void cmd_extended_copy(struct scsi_task *t)
{
	uint32_t len = get_be32(t->cdb + 10);

	if (t->iov_bytes != len)
		task_check(t, SENSE_INVALID_IU_FIELD);
	else if (!len)
		task_good(t);
	else if (len < COPY_HEADER_LEN)
		task_check(t, SENSE_LIST_LENGTH);
	else
		copy_start(t);
}
