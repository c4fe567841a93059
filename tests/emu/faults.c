/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fault rules: their grammar, and which one strikes. */
#include "faults.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char faults_help[] =
	"ACTION [on=CLASS[+CLASS]] [unit=NAME] [op=HEX] [nth=N] [count=N] [one-in=N]\n"
	"  ACTION: delay=MS drop wrong-context other-context twice sense=KEY/ASCQ(hex) status=HEX "
	"fw-fault[=HEX] late-dma=MS gone\n"
	"          virtio only: used-len=HEX used-index=HEX (so many entries too far)\n"
	"  CLASS:  read write flush scsi dcmd abort any (any is the default)\n"
	"  op=HEX: operation code of the CDB, opcode of the DCMD, or type of task management (virtio).\n"
	"  nth=N: the N-th such command is the first. "
	"count=N: so many are hit (default 1, 0: all). one-in=N: each by lot.";

static const struct {
	const char *name;
	enum fault_action action;
	char arg; /* 'm' ms, 's' sense, 'x' hex, 'o' optional hex, 0 none */
} actions[] = {
	{"delay", FAULT_DELAY, 'm'},
	{"drop", FAULT_DROP, 0},
	{"wrong-context", FAULT_WRONG_CONTEXT, 0},
	{"other-context", FAULT_OTHER_CONTEXT, 0},
	{"twice", FAULT_TWICE, 0},
	{"sense", FAULT_SENSE, 's'},
	{"status", FAULT_STATUS, 'x'},
	{"fw-fault", FAULT_FIRMWARE, 'o'},
	{"late-dma", FAULT_LATE_DMA, 'm'},
	{"used-len", FAULT_USED_LEN, 'x'},
	{"used-index", FAULT_USED_INDEX, 'x'},
	{"gone", FAULT_GONE, 0},
};
#define OWN_FAULTS (1u << FAULT_USED_LEN | 1u << FAULT_USED_INDEX)

static const struct {
	const char *name;
	uint32_t classes;
} classes[] = {
	{"read", CLASS_READ},
	{"write", CLASS_WRITE},
	{"flush", CLASS_FLUSH},
	{"scsi", CLASS_SCSI},
	{"dcmd", CLASS_DCMD},
	{"abort", CLASS_ABORT},
	{"any", UINT32_MAX},
};

static int number(const char *text, int base, uint64_t max, uint64_t *ret)
{
	char *end;

	if (!text || !*text || *text == '-')
		return -EINVAL;
	errno = 0;
	*ret = strtoull(text, &end, base);
	return errno || *end || *ret > max ? -EINVAL : 0;
}

static int parse_arg(struct fault *f, char kind, const char *value)
{
	unsigned key, asc;
	uint64_t v = 0;
	char extra;
	int r = 0;

	switch (kind) {
	case 'm':
		r = number(value, 10, 3600000, &v);
		break;
	case 'o':
		if (!value)
			break;
		/* fallthrough */
	case 'x':
		r = number(value, 16, 0xffff, &v);
		break;
	case 's':
		if (!value || sscanf(value, "%x/%x%c", &key, &asc, &extra) != 2 || key > 0xf || asc > 0xffff)
			return -EINVAL;
		v = (uint64_t)key << 16 | asc;
		break;
	default:
		r = value ? -EINVAL : 0;
	}
	f->arg = (uint32_t)v;
	return r;
}

static int parse_action(struct fault *f, const char *word, const char *value)
{
	for (unsigned i = 0; i < ARRAY_SIZE(actions); i++)
		if (strcmp(word, actions[i].name) == 0) {
			f->action = actions[i].action;
			return parse_arg(f, actions[i].arg, value);
		}
	return -EINVAL;
}

static int parse_classes(struct fault *f, char *value)
{
	char *save = NULL;

	f->classes = 0;
	for (char *w = strtok_r(value, "+", &save); w; w = strtok_r(NULL, "+", &save)) {
		uint32_t found = 0;

		for (unsigned i = 0; i < ARRAY_SIZE(classes); i++)
			if (strcmp(w, classes[i].name) == 0)
				found = classes[i].classes;
		if (!found)
			return -EINVAL;
		f->classes |= found;
	}
	return f->classes ? 0 : -EINVAL;
}

static int parse_option(struct fault *f, const char *key, char *value)
{
	uint64_t v;
	int r;

	if (!value)
		return -EINVAL;
	if (strcmp(key, "on") == 0)
		return parse_classes(f, value);
	if (strcmp(key, "unit") == 0)
		return (size_t)snprintf(f->unit, sizeof(f->unit), "%s", value) < sizeof(f->unit) ? 0
												 : -EINVAL;
	r = number(value, strcmp(key, "op") == 0 ? 16 : 10, UINT64_C(1) << 60, &v);
	if (r < 0)
		return r;
	if (strcmp(key, "op") == 0 && v <= UINT32_MAX) {
		f->opcode = (uint32_t)v;
		f->any_opcode = false;
	} else if (strcmp(key, "nth") == 0 && v) {
		f->skip = v - 1;
	} else if (strcmp(key, "count") == 0) {
		f->count = v ? v : UINT64_MAX;
	} else if (strcmp(key, "one-in") == 0 && v) {
		f->one_in = v;
	} else {
		return -EINVAL;
	}
	return 0;
}

static int parse(struct fault *f, char *text, const char **ret_bad)
{
	char *save = NULL;
	bool first = true;

	for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		char *value = strchr(word, '=');

		if (value)
			*value++ = '\0';
		*ret_bad = word;
		if ((first ? parse_action(f, word, value) : parse_option(f, word, value)) < 0)
			return -EINVAL;
		first = false;
	}
	*ret_bad = "(nothing)";
	return first ? -EINVAL : 0;
}

int faults_add(struct faults *fs, const char *text, struct err *e)
{
	struct fault f = {.used = true, .classes = UINT32_MAX, .any_opcode = true, .count = 1, .one_in = 1};
	char copy[256];
	const char *bad = "";

	if ((size_t)snprintf(copy, sizeof(copy), "%s", text) >= sizeof(copy))
		return err_set(e, -EINVAL, "too long");
	if (parse(&f, copy, &bad) < 0)
		return err_set(e, -EINVAL, "'%s' is not understood", bad);
	if (OWN_FAULTS & 1u << f.action & ~fs->own)
		return err_set(e, -ENOTSUP, "this model gives no such answer");
	for (unsigned i = 0; i < MAX_FAULTS; i++) {
		if (fs->rule[i].used)
			continue;
		fs->rule[i] = f;
		return 0;
	}
	return err_set(e, -ENOSPC, "no more than %d rules at once", MAX_FAULTS);
}

void faults_clear(struct faults *f)
{
	memset(f->rule, 0, sizeof(f->rule));
}

static bool fits(const struct fault *f, const struct cmd_info *c)
{
	return f->used && f->classes & c->classes && (f->any_opcode || f->opcode == c->opcode) &&
	       (!f->unit[0] || strcmp(f->unit, c->unit) == 0);
}

const struct fault *faults_match(struct faults *fs, const struct cmd_info *c)
{
	for (unsigned i = 0; i < MAX_FAULTS; i++) {
		struct fault *f = &fs->rule[i];

		if (!fits(f, c))
			continue;
		if (f->skip) {
			f->skip--;
			continue;
		}
		if (f->one_in > 1 && rng_below(fs->rng, f->one_in))
			continue;
		if (f->count != UINT64_MAX && !--f->count)
			f->used = false;
		fs->hits++;
		return f;
	}
	return NULL;
}
