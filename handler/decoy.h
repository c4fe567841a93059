/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the runner is left with once its ring is handed off: an empty ring and a quiet descriptor. */
#ifndef HBAD_HANDLER_DECOY_H
#define HBAD_HANDLER_DECOY_H

#include "base/err.h"

/*
 * Lays a private mapping over the runner's mapping of the ring (base, len) and puts one end of a socketpair in the
 * place of its descriptor (runner_fd). *ret_quiet is the other end: keep it open for as long as the runner's command
 * thread lives, which takes a hang-up for an error.
 *
 * On failure runner_fd is what it was, but the mapping may be the decoy already; nothing needs to be undone, since
 * the runner only closes and unmaps after a failed open().
 */
int decoy_lay(int runner_fd, void *base, size_t len, int *ret_quiet, struct err *e);

#endif
