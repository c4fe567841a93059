/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How long things may take, in milliseconds. One table, so that tests can be quick; nothing else writes it. */
#ifndef HBAD_HANDLER_TIMING_H
#define HBAD_HANDLER_TIMING_H

struct timing {
	/* include/hbad/handoff.h */
	unsigned call, open, hello, ping, silent;
	/* watcher */
	unsigned retry; /* between attempts to reach hbad, and between looks at devices that nobody serves */
	unsigned offer_retry; /* after hbad has refused a device */
	unsigned death;	      /* a killed hbad that lives on for longer is an alarm */
	unsigned alarm;	      /* between repetitions of an alarm */
	unsigned
		stop; /* the same as silent, for an hbad that has announced its end: flushing a cache takes time */
	unsigned
		absent; /* when no hbad has served for so long none is waited for any more: errors, not BUSY */
	unsigned
		back; /* ... unless it has said that another one comes: as long as it has said, but at most this */
	unsigned settle; /* after open(), until a restore has written all attributes */
	/* while the runner waits for us */
	unsigned killed;  /* for a killed hbad to die */
	unsigned grace;	  /* an hbad that closed a connection may be about to die by itself */
	unsigned release; /* for a dying or polite hbad to let go of a ring */
	unsigned
		drain; /* for one that is being stopped in order and does not say how long that may take, ... */
	unsigned leave;	      /* ... what one that does gets on top of it, to end by itself, */
	unsigned stop_max;    /* ... and what it gets at most */
	unsigned unfenceable; /* after a kill that did not help, the next devices are refused at once */
	unsigned mute; /* after an hbad that gave no answer, the next devices are not offered at once */
	unsigned join; /* a watcher lets go of a device, or ends, at once; more than this is a bug */
};

extern struct timing timing;

#endif
