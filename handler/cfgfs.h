/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A backstore's files below configfs. They are opened once, in open(), and only their descriptors are used later:
 * while a backstore is being deleted, a path below it blocks for as long as the deletion waits for us, but a
 * descriptor answers ENOENT at once (hazard H12).
 *
 * One more lock of the kernel's: a read or write waits while a deletion wants to begin and another write to the same
 * backstore is still running. tcmu-runner itself has that exposure in its own open().
 */
#ifndef HBAD_HANDLER_CFGFS_H
#define HBAD_HANDLER_CFGFS_H

#include "base/err.h"

struct cfgfs {
	int block_dev, reset_ring; /* action/ */
	int fate;		   /* action/block_dev again, never read yet: see device_fate() */
	int cmd_time_out;	   /* attrib/ */
	int tmr_notification,
		nl_reply_supported; /* attrib/; -1: this kernel has none, or a user has switched it off */
	bool configured;	    /* the device existed before this open() */
	bool write_cache;	    /* attrib/emulate_write_cache */
};

#define CFGFS_INIT                                                                                           \
	((struct cfgfs){.block_dev = -1,                                                                     \
		.reset_ring = -1,                                                                            \
		.fate = -1,                                                                                  \
		.cmd_time_out = -1,                                                                          \
		.tmr_notification = -1,                                                                      \
		.nl_reply_supported = -1})

/* hba: number of the "user" backstore group; device: the backstore's name. */
int cfgfs_open(struct cfgfs *c, unsigned hba, const char *device, struct err *e);
void cfgfs_close(struct cfgfs *c);

/* 0 or -errno: -EINVAL (the kernel refuses now), -ENOENT (the backstore is being deleted). */
int cfgfs_write(int fd, const char *value);
/* What the file says now, without white space at its end; through a descriptor that cannot write: what it said when that
 * was first read. */
int cfgfs_read(int fd, char *text, size_t size);

#endif
