/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One backstore: what is needed to hand its ring to an hbad, to guard it, and to hand it to the next hbad.
 *
 * A device is used by one thread at a time: by the runner's main thread in open(), then by its instance's watcher
 * while "busy" is set, and by the thread that runs close() once "closing" is set and "busy" is not (instance.h).
 * reconfig() in the main thread looks at what never changes and at "exported", and has the device to itself
 * (instance_borrow()) for a new size.
 */
#ifndef HBAD_HANDLER_DEVICE_H
#define HBAD_HANDLER_DEVICE_H

#include <stdatomic.h>
#include "base/list.h"
#include "cfgfs.h"
#include "cfgstring.h"
#include "link.h"
#include "uio.h"

struct tcmu_device;
struct instance;

/* The process that may be consuming the ring, or preparing to. While pidfd >= 0 nobody else may have the ring, and
 * reset_ring is forbidden unless the process is proven dead (hazard H1). */
struct server {
	int pidfd;
	pid_t pid;
	uint64_t handle; /* 0: not known */
};

struct device {
	struct list link; /* instance's; under its lock */
	struct instance *instance;
	bool busy, closing, visited; /* under the instance's lock */
	int cancel_fd;		     /* eventfd: ends what is being waited for on behalf of this device */

	char name[HANDOFF_NAME_LEN]; /* of the backstore, for messages */
	char uio[UIO_NAME_LEN];
	struct cfgstring cfg;
	struct cfgfs cfgfs;
	int uio_fd; /* our duplicate; never read from it (H19) */
	uint64_t map_len, map_offset, blocks;
	uint32_t block_size;
	bool known; /* it was served before: hbad is to take it while its controller boots */

	int runner_fd; /* the runner's descriptor and mapping, until the decoy is laid */
	void *map;
	int quiet_fd; /* decoy's other end; -1: not laid yet */

	struct server server;
	uint64_t heard_ns;  /* when that process last proved that it is well */
	uint64_t killed_ns; /* 0: not killed by us */
	uint64_t next_offer_ns, next_alarm_ns;
	bool stopping; /* that process has announced its end */
	bool dropped;  /* that process says that it has let go, or is to, but has not confirmed it yet */
	unsigned told_time_out_s; /* the cmd_time_out that it was told */
	uint64_t adopted_ns;
	bool netlink_checked;
	atomic_bool exported; /* cmd_time_out cannot be changed any more; reconfig() and the watcher */
	bool seized;	      /* to be logged */
	char refusal[sizeof(((struct err *)0)->text)]; /* why hbad did not take it; said once */
};

/* Everything but the instance. Writes cmd_time_out=0. */
int device_new(struct tcmu_device *dev, struct device **ret, struct err *e);
void device_free(struct device *d); /* NULL is fine */

/* The kernel's clock off and task management on, whatever a saved configuration has put there (H3). Logs when that
 * is not possible. */
void device_assert_attributes(struct device *d);
/* cmd_time_out as it is, in seconds; -errno when it cannot be read: the backstore is being deleted. */
int device_time_out(const struct device *d);
/* Netlink replies on (H13). Once, timing.settle after open(); never while the kernel may be sending an event. */
void device_check_netlink(struct device *d, uint64_t now_ns);

/* Instead of the runner's ring and descriptor; once, later calls do nothing. */
int device_lay_decoy(struct device *d, struct err *e);

enum offer {
	OFFER_SERVED,
	OFFER_ABSENT,	/* no hbad there */
	OFFER_REFUSED,	/* hbad said no to OPEN, and holds nothing */
	OFFER_PREPARED, /* hbad said no to START: it does not consume, but may have the ring mapped */
	OFFER_LOST,	/* no answer to OPEN: it does not consume, but may have the ring mapped */
	OFFER_UNSURE,	/* no answer to START: it may consume */
};

/* OPEN, decoy, START. e says what went wrong. */
enum offer device_offer(struct device *d, struct err *e);

/*
 * After an offer that failed: true when hbad holds nothing that matters any more. A device that exists already only
 * needs that nobody consumes. One that is being created needs that nobody has its ring mapped, because the kernel
 * frees the ring when open() fails (H5); for that, an hbad that does not answer is killed.
 */
bool device_settle(struct device *d, enum offer o);

/* RESIZE: from now on the backstore has so many blocks, for this hbad and for the next one. */
int device_resize(struct device *d, uint64_t blocks, struct err *e);

/* CLOSE. True: hbad says that it holds the device no more, or the process that did is dead. */
bool device_take_back(struct device *d);

void device_block(struct device *d);
void device_unblock(struct device *d);
/* The gate of a device that nobody serves: closed, and whatever got in is answered with BUSY. */
void device_guard(struct device *d);
/* The same when nobody is expected to come soon: commands fail instead of coming again. Opens the gate. */
void device_fail(struct device *d);
/* What whoever had the ring has finished and not published; nobody has it any more. */
void device_publish(struct device *d);
/* The same as device_guard() after the death of who served it; publishes first what that process had finished (H9). */
void device_seize(struct device *d);

bool device_served(const struct device *d);

enum device_fate { DEVICE_STAYS, DEVICE_UNBORN, DEVICE_DYING };
/* For close(), once: does the backstore stay, was its creation never finished, or is it being deleted? */
enum device_fate device_fate(struct device *d);

#endif
