/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What LIO's saved configuration does not tell, on disk: the sizes with which units were served, by NAA identity, and which
 * disk each backstore was. When a unit has grown while nobody looked, the first tells its backstore from one that was created
 * with a wrong size. The second is for disks that were exchanged meanwhile: "ld0" is another one then, perhaps of the same
 * size, and an initiator's file system belongs to the old one. Without the file, or with a damaged one, nothing is known.
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
/* The disk that a backstore was under this unit's name, "naa.…", to be freed; NULL: none that is known. */
char *sizes_disk(const struct sizes *s, const char *backstore, const char *unit);
/* From now on it is this one. NULL is fine. */
void sizes_note_disk(struct sizes *s, const char *backstore, const char *unit, const char *naa);
/* Has what is new written; a failure is logged, and tried again with the next news. NULL is fine. */
void sizes_save(struct sizes *s, struct worker *w);

#endif
