/* SPDX-License-Identifier: GPL-2.0-or-later */
/* HELLO: a new tcmu-runner is here, let go of the rings that an older one handed over. */
#ifndef HBAD_HANDLER_HELLO_H
#define HBAD_HANDLER_HELLO_H

#include "link.h"

/* To every instance that has a socket, side by side; HANDOFF_HELLO_MS for all together. Logs who did not answer:
 * check_config() deals with those. */
void hello_all(void);

/* To one, over a connection that is there already. 0: it has let go; else as link_call(), or the peer's refusal.
 * -EINPROGRESS: it will, and gives itself *ret_wait_ms for it (0: it does not say). */
int hello_one(struct link *l, struct until u, uint32_t *ret_wait_ms, struct err *e);

#endif
