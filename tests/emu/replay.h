/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A model that is somebody else's device, as far as it is in a capture. */
#ifndef HBAD_EMU_REPLAY_H
#define HBAD_EMU_REPLAY_H

#include "model.h"
#include "replay_file.h"

/* One at a time. It looks like the captured device; env->units is not used. -errno with a sentence. */
int replay_open(const char *path, bool partial, const struct model **ret, struct err *e);
void replay_close(void);

#endif
