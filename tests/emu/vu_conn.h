/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One vfio-user connection: whole messages with their descriptors in, messages out. Nothing that comes is believed:
 * sizes are bounded before a byte is stored, descriptors that no handler takes are closed.
 */
#ifndef HBAD_EMU_VU_CONN_H
#define HBAD_EMU_VU_CONN_H

#include <hbad/vfio_user.h>
#include "base/err.h"
#include "base/list.h"

#define VU_SERVER_MAX_XFER 1048576
#define VU_SERVER_MAX_FDS  16
#define VU_MAX_MESSAGE	   (sizeof(struct vu_header) + sizeof(struct vu_region_access) + VU_SERVER_MAX_XFER)
#define VU_MAX_BACKLOG	   1024

struct vu_msg {
	struct list link;
	struct vu_header h;
	uint32_t len; /* of the payload */
	unsigned n_fds;
	int fd[VU_SERVER_MAX_FDS]; /* taken by a handler: -1 */
	uint8_t data[];
};

struct vu_conn {
	int fd;
	uint32_t have; /* of the message that is arriving */
	struct vu_header head;
	struct vu_msg *rx;
	unsigned n_fds;
	int fds[VU_SERVER_MAX_FDS];
	struct list backlog; /* commands that came while a reply was waited for */
	unsigned n_backlog;
	uint16_t next_id;
	uint32_t peer_max_xfer, peer_max_fds;
	const char *broken; /* why it must be closed; static text */
};

/* fd is taken over and made non-blocking. */
void vu_conn_init(struct vu_conn *c, int fd);
void vu_conn_fini(struct vu_conn *c);
void vu_msg_free(struct vu_msg *m); /* NULL is fine */

/* The next command, from the backlog first; replies to nothing break the connection. 1: *ret (to be freed). 0: none
 * now. -EPROTO: broken, see there. -EPIPE: the peer left. */
int vu_conn_next(struct vu_conn *c, struct vu_msg **ret);
/* 0, or -EPIPE, -ETIMEDOUT (the peer does not read): broken. */
int vu_conn_reply(struct vu_conn *c, const struct vu_header *to, const void *a, size_t a_len, const void *b,
	size_t b_len, int fd);
int vu_conn_reply_error(struct vu_conn *c, const struct vu_header *to, int error);
/* Sends a command and waits for its reply; *ret is freed by the caller. -EIO: the peer refused. */
int vu_conn_call(struct vu_conn *c, uint16_t cmd, const void *a, size_t a_len, const void *b, size_t b_len,
	struct vu_msg **ret);

#endif
