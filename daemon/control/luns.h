/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The LUNs that tcmu-runner's handler has handed over: each a ring (front) and a SCSI LUN, from OPEN to the
 * last of its commands. Control thread only, but for luns_drain() (see there).
 */
#ifndef HBAD_CONTROL_LUNS_H
#define HBAD_CONTROL_LUNS_H

#include "base/list.h"
#include "events.h"
#include "front/front.h"
#include "hbad/handoff.h"
#include "io.h"
#include "place.h"
#include "refusals.h"
#include "scsi/scsi.h"

#define LUNS_RELEASE_MS	  2000 /* how long letting go waits for commands at the controller */
#define LUNS_ALIVE_AGE_MS 5000 /* an older heartbeat of the I/O thread is none */

enum lun_state {
	LUN_PREPARED, /* OPENed: mapped, nothing consumed */
	LUN_HELD,     /* STARTed, but commands of the unit's earlier ring are still at the controller */
	LUN_SERVING,
	LUN_DROPPED, /* the kernel took the ring away; kept so that people see it, until CLOSE or HELLO */
	LUN_ORPHAN,  /* let go of; its commands are still at the controller */
};

struct lun {
	struct list link;
	uint64_t handle;
	enum lun_state state;
	uint8_t nonce[HANDOFF_NONCE_LEN]; /* of the tcmu-runner process that opened it */
	char cfgstring[HANDOFF_CFG_LEN];
	char device[HANDOFF_NAME_LEN];
	struct scsi_lun_config cfg;
	bool settled;		 /* on its lane; before, it is on the first one and has never been open */
	unsigned lane;		 /* of the controller, and so I/O thread */
	struct scsi_lun *scsi;	 /* NULL once nothing of it is at the controller any more */
	struct front_ring *ring; /* NULL once unmapped and closed */
	bool stopped;		 /* luns_drain() has stopped the ring */
	const void *owner;	 /* connection that OPENed and has not yet STARTed it */
	const char *reason;	 /* LUN_DROPPED: static string */
};

struct luns {
	const char *name;      /* instance */
	struct sizes *sizes;   /* NULL: nothing is remembered */
	struct events *events; /* NULL: nobody is told */
	uint32_t hold_s;       /* of LUNs whose cfgstring does not say */
	struct scsi_host *host;
	const struct io *io;
	struct placement place;
	enum handoff_state state; /* of the instance */
	bool attached;		  /* the host knows its units */
	bool away;		  /* luns_drain() has the rings: nothing here may be changed */
	bool loop_gone;		  /* the I/O threads have ended */
	uint64_t stop_until_ns;	  /* of clock_ns(), once the instance is being stopped: it ends by then */
	struct list all;
	struct refusals refusals;
	uint64_t last_handle;
	unsigned starts;       /* LUNs that began to be served, ever */
	uint64_t told_dropped; /* handle that luns_next_dropped() returned last */
};

/* With loops for several lanes, the first luns_attached() tells how many there are. */
void luns_init(struct luns *l, const char *name, struct scsi_host *host, const struct io *io);
/* The host knows its units now, and its lanes. Of LUNs that turn out to name the same one, all but the oldest are dropped;
 * those whose unit is known go to its lane. Within LUNS_RELEASE_MS, if the I/O threads answer. */
void luns_attached(struct luns *l);

/* Would a new LUN with this cfgstring work? */
int luns_check(const struct luns *l, const char *cfgstring, struct err *e);
/* Takes *fd over on success (and sets it to -1). owner: see struct lun. */
int luns_open(struct luns *l, const struct handoff_open *msg, int *fd, const void *owner, struct lun **ret,
	struct err *e);
int luns_start(struct luns *l, struct lun *lun, struct err *e);
/* The LUN shows so many blocks of its unit from now on; more than before only. -EINVAL: the unit has not as many,
 * as far as is known ("hbactl rescan" looks again). */
int luns_resize(struct luns *l, struct lun *lun, uint64_t blocks, struct err *e);
/* A backstore was not taken, or did not get another size: shown to people (refusals.h) and told as an event. again: it is
 * tried all the time, so that only another reason is news. device may be "": then nobody could tell what it is about. */
void luns_refused(
	struct luns *l, const char *device, const char *cfgstring, bool again, const struct err *reason);
/* Unmaps and closes the ring, waiting until deadline_ns for its commands. lun is gone or an orphan
 * afterwards. -ETIMEDOUT: the I/O thread does not answer; the ring is still mapped and nothing changed. */
int luns_release(struct luns *l, struct lun *lun, uint64_t deadline_ns, struct err *e);
/* All that another tcmu-runner process handed over. Within LUNS_RELEASE_MS. */
int luns_release_strangers(struct luns *l, const uint8_t nonce[HANDOFF_NONCE_LEN], struct err *e);
/* What the connection OPENed and did not START. */
void luns_release_owner(struct luns *l, const void *owner);
/* What consumes nothing yet: PREPARED and HELD. */
void luns_release_idle(struct luns *l);
/* All. Within LUNS_RELEASE_MS. */
int luns_release_all(struct luns *l, struct err *e);

/* Now and then: drops rings that the kernel took away, ends orphans, starts what was held, settles what was not. */
void luns_tick(struct luns *l);

/* For a worker thread while l->away is set. gated: the kernel's gates are closed (hazard H2), so consume and
 * complete everything; else stop intake and wait for what is at the controller. Returns how many LUNs did not
 * get there in time. */
unsigned luns_drain(struct luns *l, bool gated, unsigned timeout_ms);

/* Handle of a dropped LUN, each in turn; 0: there is none. */
uint64_t luns_next_dropped(struct luns *l);

struct lun *luns_find(const struct luns *l, uint64_t handle);
/* Who serves this unit now; NULL: nobody. */
const struct lun *luns_user_of(const struct luns *l, const struct scsi_unit *unit);
/* The unit, or NULL while it is not known. */
const struct scsi_unit *luns_unit(const struct luns *l, const struct lun *lun);

#endif
