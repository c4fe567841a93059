/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Captures for people. */
#include <inttypes.h>
#include <string.h>

#include "base/compiler.h"
#include "replay_file.h"

static const char *const kinds[] = {"INTx", "MSI", "MSI-X"};

static const struct {
	const char *name;
	enum { PLAIN, REGISTER, CONFIG, VECTOR, COUNT, RANGE, MEMORY, NUMBER, BAR } form;
} types[256] = {
	[CAPTURE_READ] = {"read", REGISTER},
	[CAPTURE_WRITE] = {"write", REGISTER},
	[CAPTURE_CFG_READ] = {"config-read", CONFIG},
	[CAPTURE_CFG_WRITE] = {"config-write", CONFIG},
	[CAPTURE_IRQ] = {"interrupt", VECTOR},
	[CAPTURE_IRQ_ENABLE] = {"interrupts-on", COUNT},
	[CAPTURE_IRQ_DISABLE] = {"interrupts-off", PLAIN},
	[CAPTURE_INTX_UNMASK] = {"intx-unmask", PLAIN},
	[CAPTURE_RESET] = {"function-reset", PLAIN},
	[CAPTURE_MAP] = {"map", RANGE},
	[CAPTURE_UNMAP] = {"unmap", RANGE},
	[CAPTURE_MEM_OUT] = {"memory-out", MEMORY},
	[CAPTURE_MEM_IN] = {"memory-in", MEMORY},
	[CAPTURE_DROPPED] = {"missing", NUMBER},
	[CAPTURE_MAP_BAR] = {"map-bar", BAR},
};

const char *replay_rec_text(const struct replay_rec *r, char *buf, size_t size)
{
	const char *name = types[r->type].name ? types[r->type].name : "unknown";
	unsigned width = r->type == CAPTURE_READ || r->type == CAPTURE_WRITE ? CAPTURE_WIDTH(r->arg) : r->arg;

	switch (types[r->type].form) {
	case REGISTER:
		snprintf(buf, size, "%s%u BAR%u+0x%x = 0x%0*" PRIx64, name, 8 * width, CAPTURE_BAR(r->arg),
			r->off, (int)(2 * width), r->value);
		break;
	case CONFIG:
		snprintf(buf, size, "%s%u 0x%x = 0x%0*" PRIx64, name, 8 * width, r->off, (int)(2 * width),
			r->value);
		break;
	case VECTOR:
		snprintf(buf, size, "%s %s %" PRIu64, name, kinds[r->arg % ARRAY_SIZE(kinds)], r->value);
		break;
	case COUNT:
		snprintf(buf, size, "%s %s, %" PRIu64, name, kinds[r->arg % ARRAY_SIZE(kinds)], r->extra);
		break;
	case RANGE:
		snprintf(buf, size, "%s 0x%" PRIx64 ", 0x%" PRIx64 " bytes", name, r->value, r->extra);
		break;
	case MEMORY:
		snprintf(buf, size, "%s 0x%" PRIx64 ", %u bytes%s", name, r->value, r->len,
			r->arg ? " (the rest was left out)" : "");
		break;
	case NUMBER:
		snprintf(buf, size, "%s: %" PRIu64 " records", name, r->extra);
		break;
	case BAR:
		snprintf(buf, size, "%s BAR%u", name, r->arg);
		break;
	case PLAIN:
		snprintf(buf, size, "%s", name);
	}
	return buf;
}

/* Lines of zeros are left out. */
static void dump_bytes(const struct replay_rec *r, FILE *out)
{
	static const uint8_t zeros[16];

	for (unsigned at = 0; at < r->len; at += 16) {
		unsigned n = MIN(16u, r->len - at);

		if (memcmp(r->data + at, zeros, n) == 0)
			continue;
		fprintf(out, "                     +%03x ", at);
		for (unsigned i = 0; i < n; i++)
			fprintf(out, " %02x", r->data[at + i]);
		fputc('\n', out);
	}
}

static void dump_header(const struct replay_file *f, FILE *out)
{
	const struct capture_header *h = &f->h;

	fprintf(out, "# %04x:%04x (subsystem %04x:%04x), class %06x, revision %02x\n", h->vendor, h->device,
		h->subvendor, h->subdevice, h->class_rev >> 8, h->class_rev & 0xff);
	for (unsigned i = 0; i < ARRAY_SIZE(h->bar_size); i++)
		if (h->bar_size[i])
			fprintf(out, "# BAR%u: 0x%" PRIx64 " bytes\n", i, h->bar_size[i]);
	fprintf(out, "# interrupts: %u INTx, %u MSI, %u MSI-X\n", h->n_vectors[0], h->n_vectors[1],
		h->n_vectors[2]);
	fprintf(out, "# by ");
	for (const char *c = h->program; *c; c++)
		fputc(*c >= ' ' && *c < 0x7f ? *c : '?', out);
	fprintf(out, "; %u records, %" PRIu64 " missing%s\n", f->n, f->dropped,
		f->whole ? "" : "; it ended before the driver did");
}

void replay_dump(const struct replay_file *f, FILE *out)
{
	char text[120];

	dump_header(f, out);
	for (uint32_t i = 0; i < f->n; i++) {
		const struct replay_rec *r = &f->rec[i];

		fprintf(out, "%7u %12.6f %s\n", r->seq, (double)r->time_ns / 1e9,
			replay_rec_text(r, text, sizeof(text)));
		if (types[r->type].form == MEMORY)
			dump_bytes(r, out);
	}
}
