/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Function-local resources that release themselves; handing one over is explicit (TAKE_FD, TAKE_PTR). */
#ifndef HBAD_BASE_CLEANUP_H
#define HBAD_BASE_CLEANUP_H

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Closes *fd if it is open and marks it closed; keeps errno. Never retried on EINTR: Linux has closed it. */
static inline void hb_close(int *fd)
{
	if (*fd >= 0) {
		int saved = errno;

		close(*fd);
		errno = saved;
	}
	*fd = -1;
}
static inline void hb_freep(void *p)
{
	free(*(void **)p);
}
static inline void hb_fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}
static inline void hb_closedirp(DIR **d)
{
	if (*d)
		closedir(*d);
}
#define hb_autoclose	__attribute__((cleanup(hb_close)))
#define hb_autofree	__attribute__((cleanup(hb_freep)))
#define hb_autofclose	__attribute__((cleanup(hb_fclosep)))
#define hb_autoclosedir __attribute__((cleanup(hb_closedirp)))

#define TAKE_FD(fd)                                                                                          \
	({                                                                                                   \
		int _taken = (fd);                                                                           \
		(fd) = -1;                                                                                   \
		_taken;                                                                                      \
	})
#define TAKE_PTR(p)                                                                                          \
	({                                                                                                   \
		__typeof__(p) _taken = (p);                                                                  \
		(p) = NULL;                                                                                  \
		_taken;                                                                                      \
	})

#endif
