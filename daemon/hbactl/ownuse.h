/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an instance needs for its restart and has on a LUN of its own (hazard H25), as this machine is now. */
#ifndef HBAD_HBACTL_OWNUSE_H
#define HBAD_HBACTL_OWNUSE_H

#include "instance.h"

/* Sentences, none when hbad does not answer; g_strfreev(). */
char **ownuse_read(const struct ctl *c, const struct instance *i);

#endif
