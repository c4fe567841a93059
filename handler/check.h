/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What check_config answers. */
#ifndef HBAD_HANDLER_CHECK_H
#define HBAD_HANDLER_CHECK_H

#include "base/err.h"

/*
 * The runner asks in three situations and does not say which. The uio devices tell, without a look into configfs:
 *
 *  - none has this configuration: somebody asks over D-Bus before a create ("targetcli create"; a restore does not
 *    ask). hbad is asked, and its refusal, or its absence, is the answer that the administrator reads.
 *  - one has it which this process has not taken: the runner is about to open it, because it was just created (the
 *    backstore's uio device is there before the runner hears of it), or because the runner has just started and
 *    is about to reset its ring. Then the only question is whether somebody still has that ring (hazard H1): open()
 *    is the judge of everything else, and for a device that was served before, it must not fail just because hbad is
 *    down (H6). The kernel knows: the device can be opened once. If somebody has it, HELLO asks hbad to let go; an
 *    hbad that does not answer is killed; and if the ring is still taken after that, the answer is no.
 *
 * 0, or a negative errno and a sentence.
 */
int check_configuration(const char *cfgstring, struct err *e);

#endif
