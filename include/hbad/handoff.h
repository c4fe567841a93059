/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hand-off protocol between handler_hba.so (inside tcmu-runner) and hbad: one message per packet on a
 * SOCK_SEQPACKET unix socket, HBAD_RUNTIME_DIR "/NAME/" HBAD_HANDOFF_SOCKET. Host byte order: both ends are
 * on one machine.
 *
 * Every message starts with struct handoff_head: size and version first. A receiver takes min(its own size,
 * head.size) bytes of a body and reads what is missing as zero, so bodies may grow at the end; anything else
 * is a new version. A peer with another major version gets status -EPROTO and its own version in the reply.
 *
 * The handler is the client. Short calls use a connection of their own; OPEN and START of one device share a
 * connection, and hbad lets go of a device that was OPENed but not STARTed when that connection ends (H5).
 * One more connection per instance says WATCH and stays: its end is how the handler learns that hbad may be
 * dead (it then proves it, H10), and hbad sends its events there.
 *
 *	HELLO	a (new) tcmu-runner is here: let go of every ring taken for another nonce; reply when done.
 *		-EINPROGRESS: hbad is being stopped, and lets go of all rings when their commands have ended, for which it
 *		gives itself wait_ms; as long as it answers PING meanwhile it is well
 *	CHECK	would this cfgstring work?
 *	OPEN	here is a device (uio descriptor attached, SCM_RIGHTS); check, map, prepare; do not consume
 *	START	consume
 *	CLOSE	let go of the device: reply after munmap and close
 *	WATCH	this connection is for events and PING
 *	PING	are all your threads alive? The reply's handle names a device whose ring hbad had to drop while both
 *		lived (somebody reset it by hand): hbad holds it no more, the handler guards and offers it again;
 *		0: none. Several take turns.
 *	GATED	answer to EVENT_STOPPING: block_dev=1 is written for all devices of this instance
 *	RESIZE	the backstore's size is to be so many blocks from now on: the unit has to have them
 */
#ifndef HBAD_HANDOFF_H
#define HBAD_HANDOFF_H

#include <stdint.h>

#define HBAD_RUNTIME_DIR    "/run/hbad"
#define HBAD_HANDOFF_SOCKET "handoff.sock"
#define HBAD_SUBTYPE	    "hba"

#define HANDOFF_MAGIC	    0x44414248u /* "HBAD" */
#define HANDOFF_VERSION	    1
#define HANDOFF_MAX	    2048 /* bytes of the largest message */

#define HANDOFF_CFG_LEN	    256 /* dev_config's own limit in the kernel */
#define HANDOFF_NAME_LEN    64
#define HANDOFF_REASON_LEN  480
#define HANDOFF_NONCE_LEN   16
#define HANDOFF_NAME_MAX    32 /* characters of an instance name: [a-z0-9][a-z0-9_-]* */

/* Deadlines of the client for each reply, milliseconds (hazard H24: the runner has one thread for all). */
#define HANDOFF_CALL_MS	  3000 /* CHECK, CLOSE, WATCH, RESIZE */
#define HANDOFF_OPEN_MS	  8000 /* OPEN; START too, for which hbad waits up to 5 s for its I/O thread */
#define HANDOFF_HELLO_MS  5000
#define HANDOFF_DRAIN_MS  30000 /* from -EINPROGRESS to the last ring, of an hbad that does not say wait_ms */
#define HANDOFF_PING_MS	  3000	/* interval of PINGs */
#define HANDOFF_SILENT_MS 15000 /* no answer for so long: prove it dead */

/* All of hbad's stop: then it ends, whatever is still to be done. What has to end before the rings' commands are finished, such as a
 * look at units that do not answer, may take most of it. */
#define HANDOFF_STOP_MS 300000

/* How long an upgrade may take, from the end of one hbad to the beginning of the next; and what is believed of that.
 * Linux sends a command again for 180 s when BUSY answers it. */
#define HANDOFF_UPGRADE_S 90
#define HANDOFF_BACK_S	  120

enum handoff_type {
	HANDOFF_HELLO = 1,
	HANDOFF_CHECK = 2,
	HANDOFF_OPEN = 3,
	HANDOFF_START = 4,
	HANDOFF_CLOSE = 5,
	HANDOFF_WATCH = 6,
	HANDOFF_PING = 7,
	HANDOFF_GATED = 8,
	HANDOFF_RESIZE = 9,
	HANDOFF_EVENT = 0x40, /* hbad -> handler, never answered (but see GATED) */
	HANDOFF_REPLY = 0x80, /* or-ed to the request's type */
};

struct handoff_head {
	uint32_t size; /* of the whole message */
	uint16_t version;
	uint16_t type;
	uint32_t magic;
	uint32_t seq;	/* echoed by the reply; 0 in events */
	int32_t status; /* replies: 0 or a negative errno; else 0 */
	uint32_t reserved;
};

struct handoff_hello {
	struct handoff_head head;
	uint8_t nonce[HANDOFF_NONCE_LEN]; /* random, one per tcmu-runner process */
	char version[HANDOFF_NAME_LEN];
};

/* Body of every reply. handle is OPEN's, reason is a sentence for the administrator when status < 0. */
struct handoff_reply {
	struct handoff_head head;
	uint64_t handle;
	uint32_t state; /* enum handoff_state */
	uint32_t pid;	/* hbad's; a hint: the truth is SO_PEERCRED */
	char version[HANDOFF_NAME_LEN];
	char reason[HANDOFF_REASON_LEN];
	uint32_t wait_ms; /* with -EINPROGRESS: then the rings are free, or hbad ends; 0: it does not say */
	uint32_t reserved;
};

enum handoff_state { HANDOFF_BOOTING = 1, HANDOFF_READY = 2, HANDOFF_STOPPING = 3, HANDOFF_FAILED = 4 };

struct handoff_check {
	struct handoff_head head;
	char cfgstring[HANDOFF_CFG_LEN]; /* "hba/g2/ld0;ro=1", terminated */
};

struct handoff_open {
	struct handoff_head head;
	uint8_t nonce[HANDOFF_NONCE_LEN];
	char cfgstring[HANDOFF_CFG_LEN];
	char device[HANDOFF_NAME_LEN]; /* backstore's name, for messages */
	uint64_t map_len, map_offset;  /* bytes; as libtcmu mapped the device */
	uint64_t blocks;	       /* as configured in LIO */
	uint32_t block_size;	       /* bytes */
	uint32_t known;	       /* 1: a device that was served before: accept it while the controller boots */
	uint32_t cmd_time_out; /* s; then the kernel gives a command up. 0, as it should be: never */
	uint32_t reserved;
};

struct handoff_handle {
	struct handoff_head head;
	uint64_t handle;
};

struct handoff_resize {
	struct handoff_head head;
	uint64_t handle;
	uint64_t blocks;
};

enum handoff_event_what { HANDOFF_EVENT_STOPPING = 1 };

struct handoff_event {
	struct handoff_head head;
	uint32_t what;
	uint32_t
		back_s; /* STOPPING: another hbad will come, within so many seconds after the end; 0: who knows */
};

#endif
