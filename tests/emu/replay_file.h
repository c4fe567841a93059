/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A capture (hbad/capture.h) read whole, checked, and sorted. It comes from other people's machines: nothing of it is
 * believed. */
#ifndef HBAD_EMU_REPLAY_FILE_H
#define HBAD_EMU_REPLAY_FILE_H

#include <stdio.h>

#include "base/err.h"
#include "hbad/capture.h"

/* In host byte order, checked for its type. */
struct replay_rec {
	uint64_t time_ns;
	uint32_t seq;
	uint8_t type, arg;
	bool old_news;	/* a read that gave what the last one of this register gave */
	uint16_t len;	/* CAPTURE_MEM_x: of data */
	uint32_t off;	/* registers, configuration space */
	uint64_t value; /* registers; address of memory and mappings; vector */
	uint64_t extra; /* count of interrupts; size of mappings; records dropped */
	const uint8_t *data;
};

struct replay_file {
	struct capture_header h; /* in host byte order */
	struct replay_rec *rec;	 /* by seq, without CAPTURE_END and unknown types */
	uint32_t n;
	uint64_t dropped;
	bool whole; /* it has an end that says so */
	uint8_t *bytes;
};

/* partial: takes a file that was cut off, up to its last whole record. -errno with a sentence. */
int replay_file_load(const char *path, bool partial, struct replay_file *ret, struct err *e);
/* The same from memory, which it takes over (malloc) whatever happens. name is for sentences. */
int replay_file_parse(
	const char *name, uint8_t *bytes, size_t len, bool partial, struct replay_file *ret, struct err *e);
void replay_file_free(struct replay_file *f);

/* "write32 BAR1+0x40 = 0x00012301"; for any record. */
const char *replay_rec_text(const struct replay_rec *r, char *buf, size_t size);
/* One line for each record, after some on the device. */
void replay_dump(const struct replay_file *f, FILE *out);

#endif
