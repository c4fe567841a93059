/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Connections (handoff_conn.c) and what is done for them (handoff.c). */
#ifndef HBAD_CONTROL_HANDOFF_PRIVATE_H
#define HBAD_CONTROL_HANDOFF_PRIVATE_H

#include <glib.h>
#include "base/log.h"
#include "handoff.h"
#include "handoff_msg.h"
#include "listen.h"

struct handoff_service {
	struct luns *luns;
	struct list conns;
	unsigned n_conns;
	struct listener listener;
	uid_t peer_uid;
	char peer_version[HANDOFF_NAME_LEN];
	struct log_limit log_limit;
	/* stop */
	unsigned back_s;
	void (*stop_done)(bool gated, void *user);
	void *stop_user;
	guint stop_timer;
};

struct handoff_conn {
	struct list link;
	struct handoff_service *service;
	int fd;
	guint source;
	bool watch, gated;
	bool waiting; /* the request in "deferred" is answered by handoff_service_released() */
	struct handoff_head deferred;
};

/* handoff_conn.c */
void handoff_accept_start(struct handoff_service *s, int listen_fd);
void handoff_conn_close(struct handoff_conn *c);
/* false: the peer does not read; the connection is to be closed. */
bool handoff_conn_send(struct handoff_conn *c, const void *msg, size_t size);

/* handoff.c; passed_fd is -1 or a descriptor, which is taken over. false: close the connection. */
bool handoff_handle(struct handoff_conn *c, const union handoff_msg *m, int passed_fd);
void handoff_conn_ended(struct handoff_conn *c);
bool handoff_answer(struct handoff_conn *c, const struct handoff_head *request, uint64_t handle, int status,
	const struct err *e);

#endif
