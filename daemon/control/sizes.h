/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sizes with which units were served, on disk, by NAA identity. LIO's saved configuration keeps the size that a
 * backstore had; when its unit has grown while nobody looked, this tells such a backstore from one that was created
 * with a wrong size. Nothing but that depends on it: without the file, or with a damaged one, no size is known.
 * Control thread; files are written by the worker, because the file system may be on one of our own LUNs.
 */
#ifndef HBAD_CONTROL_SIZES_H
#define HBAD_CONTROL_SIZES_H

#include <stdbool.h>
#include <stdint.h>
#include "worker.h"

#define HBAD_STATE_DIR "/var/lib/hbad" /* StateDirectory= of hbad@.service */

struct sizes;

/* path: of the file, which need not exist. Never fails. */
struct sizes *sizes_open(const char *path);
void sizes_close(struct sizes *s); /* NULL is fine */

/* NULL: nothing is known. */
bool sizes_had(const struct sizes *s, const char *naa, uint64_t blocks, uint32_t block_size);
void sizes_note(struct sizes *s, const char *naa, uint64_t blocks, uint32_t block_size); /* NULL is fine */
/* Has what is new written; a failure is logged, and tried again with the next news. NULL is fine. */
void sizes_save(struct sizes *s, struct worker *w);

#endif
