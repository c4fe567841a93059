/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A vfio-user server: one PCI function on one unix socket, for one client at a time. When a client leaves, or breaks
 * the protocol and is thrown out, its memory and interrupts are forgotten, the device stays as it is, and the next
 * one may come.
 */
#ifndef HBAD_EMU_VU_SERVER_H
#define HBAD_EMU_VU_SERVER_H

#include "base/loop.h"
#include "pcifn.h"
#include "vu_dma.h"

struct vu_server {
	struct loop *loop;
	struct pcifn *fn;
	struct emu_stats *stats;
	struct pcifn_host host;
	char path[108];
	int listen_fd;
	struct loop_fd listen_ev, conn_ev;
	struct loop_hook hook;
	struct loop_timer hello; /* a client that does not negotiate is thrown out */
	struct loop_timer reset_end;
	struct vu_header reset; /* the command, while it lasts */
	bool resetting;		/* the client is not served */
	struct vu_conn conn;
	bool connected, negotiated;
	struct vu_dma dma;
};

/* fn must be initialised and stay. A socket that nobody serves any more is replaced. -errno with a sentence. */
int vu_server_start(
	struct vu_server *s, struct loop *loop, struct pcifn *fn, const char *path, struct err *e);
void vu_server_stop(struct vu_server *s);
/* Throws the client out. */
void vu_server_drop(struct vu_server *s, const char *why);
/* As if the slot were empty: the client is thrown out, and the socket is gone until it is opened again. */
int vu_server_close(struct vu_server *s);
int vu_server_open(struct vu_server *s, struct err *e);
/* The client's reset lasts for so long: what it sends is read afterwards, and then h is answered. */
void vu_server_reset_lasts(struct vu_server *s, const struct vu_header *h, uint32_t ms);

/* A listening socket at path. -errno with a sentence. */
int vu_listen(const char *path, struct err *e);

/* --- vu_commands.c --- */

/* Executes one command and replies. -EPROTO: the client broke the protocol; conn.broken says how. Other errors were
 * told to the client. */
int vu_command(struct vu_server *s, struct vu_msg *m);

/* --- vu_version.c --- */

struct vu_caps {
	uint32_t max_fds, max_xfer;
	bool write_multiple;
};
/* Of the text behind the version; len may be 0. -EPROTO when it is no text, not JSON, or has a number out of range. */
int vu_caps_parse(const char *text, uint32_t len, struct vu_caps *ret);
/* What this server says to that. Returns the length with the NUL. */
uint32_t vu_caps_text(const struct vu_caps *peer, char *buf, size_t size);

#endif
