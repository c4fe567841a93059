/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading a capture: every length, index and sum is checked before it is used. */
#include "replay_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/compiler.h"
#include "base/endian.h"

#define CFG_SIZE    4096
#define MAX_BAR	    (UINT64_C(1) << 31)
#define MAX_MESSAGE 2048

struct parser {
	const char *name;
	const uint8_t *bytes;
	size_t len, at;
	bool partial;
	struct replay_file *f;
	uint32_t room; /* of f->rec */
	uint64_t seen; /* records in front of the end, of any type */
	struct err *e;
};

static int bad(const struct parser *p, const char *fmt, ...) hb_printf(2, 3);

static int bad(const struct parser *p, const char *fmt, ...)
{
	char text[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_set(
		p->e, -EBADMSG, "%s is no capture that can be used: at byte %zu, %s", p->name, p->at, text);
}

static int cut(const struct parser *p)
{
	return bad(p, "it was cut off (hbad was killed, or the file was not copied whole); --partial takes "
		      "what is there");
}

/* --- header --- */

static void header_to_host(struct capture_header *h)
{
	h->major = le16toh(h->major);
	h->minor = le16toh(h->minor);
	h->header_len = le32toh(h->header_len);
	h->realtime_ns = le64toh(h->realtime_ns);
	h->vendor = le16toh(h->vendor);
	h->device = le16toh(h->device);
	h->subvendor = le16toh(h->subvendor);
	h->subdevice = le16toh(h->subdevice);
	h->class_rev = le32toh(h->class_rev);
	h->dma_page = le64toh(h->dma_page);
	h->n_iova = le32toh(h->n_iova);
	for (unsigned i = 0; i < ARRAY_SIZE(h->n_vectors); i++)
		h->n_vectors[i] = le32toh(h->n_vectors[i]);
	for (unsigned i = 0; i < ARRAY_SIZE(h->bar_size); i++)
		h->bar_size[i] = le64toh(h->bar_size[i]);
	for (unsigned i = 0; i < ARRAY_SIZE(h->iova); i++)
		for (unsigned k = 0; k < 2; k++)
			h->iova[i][k] = le64toh(h->iova[i][k]);
	h->program[sizeof(h->program) - 1] = '\0';
	h->transport[sizeof(h->transport) - 1] = '\0';
}

static int check_header(const struct parser *p, const struct capture_header *h)
{
	static const uint32_t most[] = {1, 32, MAX_MESSAGE};

	if (h->header_len < sizeof(*h) || h->header_len % 8 || h->header_len > p->len)
		return bad(p, "its header has %u bytes", h->header_len);
	if (h->n_iova > CAPTURE_MAX_IOVA)
		return bad(p, "its header has %u address ranges", h->n_iova);
	for (unsigned i = 0; i < ARRAY_SIZE(most); i++)
		if (h->n_vectors[i] > most[i])
			return bad(p, "its header has %u interrupts of one kind", h->n_vectors[i]);
	for (unsigned i = 0; i < ARRAY_SIZE(h->bar_size); i++)
		if (h->bar_size[i] > MAX_BAR || (h->bar_size[i] & (h->bar_size[i] - 1)))
			return bad(p, "BAR %u has 0x%llx bytes", i, (unsigned long long)h->bar_size[i]);
	return 0;
}

static int take_header(struct parser *p)
{
	struct capture_header *h = &p->f->h;
	int r;

	if (p->len < sizeof(*h) || memcmp(p->bytes, CAPTURE_MAGIC, sizeof(h->magic)) != 0)
		return bad(p, "it does not begin like one");
	memcpy(h, p->bytes, sizeof(*h));
	header_to_host(h);
	if (h->major != CAPTURE_MAJOR)
		return bad(p, "its format is version %u, and this program reads version %u", h->major,
			CAPTURE_MAJOR);
	r = check_header(p, h);
	p->at = h->header_len;
	return r;
}

/* --- records --- */

static bool width_ok(unsigned w, bool wide)
{
	return w == 1 || w == 2 || w == 4 || (w == 8 && wide);
}

static int take_reg(const struct parser *p, struct replay_rec *r, bool config)
{
	unsigned width = config ? r->arg : CAPTURE_WIDTH(r->arg), bar = CAPTURE_BAR(r->arg);
	struct capture_reg reg;
	uint64_t size;

	if (r->len != sizeof(reg))
		return bad(p, "a register record has %u bytes", r->len);
	memcpy(&reg, r->data, sizeof(reg));
	r->off = le32toh(reg.off);
	r->value = le64toh(reg.value);
	if (!config && bar >= ARRAY_SIZE(p->f->h.bar_size))
		return bad(p, "a register is in BAR %u", bar);
	size = config ? CFG_SIZE : p->f->h.bar_size[bar];
	if (!width_ok(width, !config) || r->off % width)
		return bad(p, "%u bytes are accessed at 0x%x", width, r->off);
	/* The driver may have reached beyond the BAR: all ones, as in real life. */
	if (r->off >= size && (config || r->type == CAPTURE_WRITE || !size))
		return bad(p, "a register at 0x%x is not in the device", r->off);
	if (width < 8 && r->value >> (8 * width))
		return bad(p, "a value of %u bytes is 0x%llx", width, (unsigned long long)r->value);
	return 0;
}

static int take_pair(const struct parser *p, struct replay_rec *r)
{
	struct capture_map m;
	struct capture_irq q;

	if (r->type == CAPTURE_MAP || r->type == CAPTURE_UNMAP) {
		if (r->len != sizeof(m))
			return bad(p, "a mapping has %u bytes", r->len);
		memcpy(&m, r->data, sizeof(m));
		r->value = le64toh(m.iova);
		r->extra = le64toh(m.size);
		return r->extra && r->extra - 1 <= UINT64_MAX - r->value ? 0 : bad(p, "a mapping wraps");
	}
	if (r->len != sizeof(q) || r->arg >= ARRAY_SIZE(p->f->h.n_vectors))
		return bad(p, "an interrupt makes no sense");
	memcpy(&q, r->data, sizeof(q));
	r->value = le32toh(q.vector);
	r->extra = le32toh(q.count);
	if (r->value >= p->f->h.n_vectors[r->arg])
		return bad(p, "interrupt %u is none of the device", (unsigned)r->value);
	return 0;
}

static int take_memory(const struct parser *p, struct replay_rec *r)
{
	uint64_t addr;

	if (r->len < sizeof(addr))
		return bad(p, "a memory record has %u bytes", r->len);
	memcpy(&addr, r->data, sizeof(addr));
	r->value = le64toh(addr);
	r->data += sizeof(addr);
	r->len = (uint16_t)(r->len - sizeof(addr));
	return r->len <= UINT64_MAX - r->value ? 0 : bad(p, "a memory record wraps");
}

static int take_dropped(const struct parser *p, struct replay_rec *r)
{
	struct capture_dropped d;

	if (r->len != sizeof(d))
		return bad(p, "a record of dropped ones has %u bytes", r->len);
	memcpy(&d, r->data, sizeof(d));
	r->extra = le64toh(d.records);
	return 0;
}

/* 1: of a type that is not known, and left out */
static int take_payload(const struct parser *p, struct replay_rec *r)
{
	switch (r->type) {
	case CAPTURE_READ:
	case CAPTURE_WRITE:
		return take_reg(p, r, false);
	case CAPTURE_CFG_READ:
	case CAPTURE_CFG_WRITE:
		return take_reg(p, r, true);
	case CAPTURE_IRQ:
	case CAPTURE_IRQ_ENABLE:
	case CAPTURE_MAP:
	case CAPTURE_UNMAP:
		return take_pair(p, r);
	case CAPTURE_MEM_OUT:
	case CAPTURE_MEM_IN:
		return take_memory(p, r);
	case CAPTURE_DROPPED:
		return take_dropped(p, r);
	case CAPTURE_IRQ_DISABLE:
	case CAPTURE_INTX_UNMASK:
	case CAPTURE_RESET:
	case CAPTURE_MAP_BAR:
		return r->len ? bad(p, "a record without contents has %u bytes", r->len) : 0;
	}
	return 1;
}

static int take_end(struct parser *p, const struct replay_rec *r)
{
	struct capture_end end;

	if (r->len < sizeof(end))
		return bad(p, "the end has %u bytes", r->len);
	memcpy(&end, r->data, sizeof(end));
	if (p->at + sizeof(struct capture_record) + CAPTURE_PAD(r->len) != p->len)
		return bad(p, "something stands behind the end");
	if (le64toh(end.records) != p->seen)
		return bad(p, "there should be %llu records in front of the end, not %llu",
			(unsigned long long)le64toh(end.records), (unsigned long long)p->seen);
	if (le32toh(end.crc) != capture_crc(0, p->bytes, p->at))
		return bad(p, "the checksum is wrong: the file was damaged");
	p->f->dropped = le64toh(end.dropped);
	p->f->whole = le32toh(end.why) == CAPTURE_CLOSED;
	return 1;
}

static int add(struct parser *p, const struct replay_rec *r)
{
	struct replay_file *f = p->f;

	if (f->n == p->room) {
		uint32_t room = p->room ? 2 * p->room : 1024;
		struct replay_rec *rec = reallocarray(f->rec, room, sizeof(*rec));

		if (!rec)
			return err_set(p->e, -ENOMEM, "out of memory");
		f->rec = rec;
		p->room = room;
	}
	f->rec[f->n++] = *r;
	return 0;
}

/* 1: that was the end */
static int take_record(struct parser *p)
{
	size_t left = p->len - p->at;
	struct capture_record head;
	struct replay_rec r;
	int ret;

	if (left < sizeof(head))
		return -ENODATA;
	memcpy(&head, p->bytes + p->at, sizeof(head));
	r = (struct replay_rec){.time_ns = le64toh(head.time_ns),
		.seq = le32toh(head.seq),
		.type = head.type,
		.arg = head.arg,
		.len = le16toh(head.len),
		.data = p->bytes + p->at + sizeof(head)};
	if (r.len > CAPTURE_MAX_PAYLOAD)
		return bad(p, "a record has %u bytes", r.len);
	if (left - sizeof(head) < CAPTURE_PAD(r.len))
		return -ENODATA;
	left = sizeof(head) + CAPTURE_PAD(r.len);
	ret = r.type == CAPTURE_END ? take_end(p, &r) : take_payload(p, &r);
	if (r.type == CAPTURE_END || ret < 0)
		return ret;
	/* Records of unknown types hold their place in the order. */
	ret = add(p, &r);
	p->at += left;
	p->seen++;
	return ret;
}

static int take_records(struct parser *p)
{
	int r = 0;

	while (r == 0 && p->at < p->len)
		r = take_record(p);
	/* Without its end, in the middle of a record or between two. */
	if (r == 0)
		r = -ENODATA;
	if (r == -ENODATA)
		return p->partial ? 0 : cut(p);
	return r < 0 ? r : 0;
}

/* --- order --- */

static int by_seq(const void *a, const void *b)
{
	const struct replay_rec *x = a, *y = b;

	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static int put_in_order(struct parser *p)
{
	struct replay_file *f = p->f;

	if (f->n)
		qsort(f->rec, f->n, sizeof(*f->rec), by_seq);
	for (uint32_t i = 0; i < f->n; i++) {
		if (f->rec[i].seq == i)
			continue;
		if (f->whole || f->rec[i].seq < i)
			return bad(p, "record %u is there twice or missing", i);
		/* What stood in another thread's ring when it ended. */
		f->n = i;
	}
	return 0;
}

/* Of polling: a driver that is faster or slower than the one captured may do without such a read. */
static void mark_old_news(struct replay_file *f)
{
	/* Registers are few: two that share a place cost only that such reads count as news. */
	static const struct replay_rec *last[1024];

	memset(last, 0, sizeof(last));
	for (uint32_t i = 0; i < f->n; i++) {
		struct replay_rec *r = &f->rec[i];
		const struct replay_rec **at = &last[(r->off ^ r->arg << 4) % ARRAY_SIZE(last)];

		if (r->type != CAPTURE_READ)
			continue;
		r->old_news = *at && (*at)->arg == r->arg && (*at)->off == r->off && (*at)->value == r->value;
		*at = r;
	}
}

int replay_file_parse(
	const char *name, uint8_t *bytes, size_t len, bool partial, struct replay_file *ret, struct err *e)
{
	struct replay_file f = {.bytes = bytes};
	struct parser p = {.name = name, .bytes = bytes, .len = len, .partial = partial, .f = &f, .e = e};
	int r = take_header(&p);

	if (r == 0)
		r = take_records(&p);
	if (r == 0)
		r = put_in_order(&p);
	if (r < 0) {
		replay_file_free(&f);
		return r;
	}
	mark_old_news(&f);
	*ret = f;
	return 0;
}

int replay_file_load(const char *path, bool partial, struct replay_file *ret, struct err *e)
{
	hb_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	uint8_t *bytes;
	size_t len = 0;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set(e, -errno, "cannot open the capture %s: %m", path);
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > CAPTURE_MAX_FILE)
		return err_set(
			e, -EINVAL, "%s is no capture: no file, or a larger one than hbad writes", path);
	bytes = malloc((size_t)st.st_size + 1);
	if (!bytes)
		return err_set(e, -ENOMEM, "out of memory");
	while (len < (size_t)st.st_size) {
		ssize_t n = read(fd, bytes + len, (size_t)st.st_size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err_set(e, -errno, "cannot read the capture %s: %m", path);
			free(bytes);
			return -EIO;
		}
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return replay_file_parse(path, bytes, len, partial, ret, e);
}

void replay_file_free(struct replay_file *f)
{
	free(f->rec);
	free(f->bytes);
	*f = (struct replay_file){0};
}
