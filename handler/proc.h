/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Waiting with a deadline, and processes by descriptor: "dead" is proven, never guessed (hazard H10). */
#ifndef HBAD_HANDLER_PROC_H
#define HBAD_HANDLER_PROC_H

#include <sys/types.h>
#include "base/clock.h"
#include "base/compiler.h"

/* Every wait of this plugin ends at a deadline, or when its eventfd (-1: none) becomes readable. */
struct until {
	uint64_t deadline_ns;
	int cancel_fd;
};

struct until until_ms(unsigned ms, int cancel_fd);
/* 0: ready (or in error: the next call on fd tells); -ETIMEDOUT, -ECANCELED. */
int until_ready(struct until u, int fd, short events);
/* 0: time is up; -ECANCELED. */
int until_slept(struct until u);

int proc_open(pid_t pid); /* a pidfd (close-on-exec), or -errno */
/* Its effective user: of the process that a pidfd stands for, while that is not dead. -ESRCH: there is none. */
int proc_user(pid_t pid, uid_t *ret);
bool proc_dead(int pidfd);
/* 0: the process is dead, all its threads included; -ETIMEDOUT, -ECANCELED. */
int proc_wait(int pidfd, struct until u);
/* SIGKILL. Refuses init and this process itself: whoever handed us such an id is not an hbad. */
int proc_kill(int pidfd, pid_t pid);

#endif
