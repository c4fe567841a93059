/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the fuzzers of a controller's firmware share. The driver is brought up by the model of the unit tests; from then
 * on registers say what the input says, and its bytes choose the steps. The core of the hba layer is replaced by one
 * that only counts: each request is completed at most once while it is at the controller, with results inside their
 * bounds, and by its own lane.
 */
#ifndef HBAD_TESTS_FUZZ_CONTROLLER_H
#define HBAD_TESTS_FUZZ_CONTROLLER_H

#include "fuzz.h"
#include "hba/hba.h"

#define REQS 8

/* The driver under test. */
struct target {
	const struct hba_ops *ops;
	unsigned lanes;		/* 0: one */
	void (*bring_up)(void); /* once, with controller_up() */
	void (*forget)(void);	/* all that is at the controller */
	void (*rewind)(void);	/* after forget(): runs are the same each time */
	void (*resume)(void);	/* what begins a run, registers being the input's; or NULL */
	void (*step[8])(struct input *in);
	void (*check)(void); /* after each step; or NULL */
};

extern const struct target target; /* the fuzzer's */

extern struct hba *h;
extern struct hba_req req[REQS];
extern struct input *source; /* NULL: firmware is the model */

/* Attaches and starts the driver on the model's function as this device. */
void controller_up(struct pci_dev *pci, uint16_t device);

/* Prepares a request of the input's choice, which what tells in part, and counts it as flying. NULL: it flies. */
struct hba_req *new_request(struct input *in, uint8_t *ret_what);
/* One of the input's choice, or NULL where that one does not fly. */
struct hba_req *flying_request(struct input *in);

/* On the thread of the request's lane. */
void submit_step(struct hba_req *r);
void abort_step(struct hba_req *r);

/* Around a reset: all lanes' doings until they are halted; they do something again. Nothing with one lane. */
void halt_lanes(void);
void let_lanes_go(void);

/* Steps. With several lanes the input tells which one polls, or takes what was posted to it. */
void reset_step(struct input *in);
void poll_step(struct input *in);

#endif
