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
	unsigned lanes; /* 0: one */
	/*
	 * As the core does it, what flies is issued again after a reset, a poll that fails is followed by one, units are
	 * added, and time is the input's, as is whatever a driver waits for (programs are linked with
	 * --wrap=clock_gettime). A run ends with a controller that is as it ought to be again: truth() says so to the model,
	 * to which registers belong from then on. Then a reset must bring the driver back, with an answer to all that flew, and
	 * reads that bring what is there.
	 */
	void (*truth)(void);
	/* What both units, a logical drive and a drive, have in block 0; NULL: they are not read. */
	const uint8_t *(*block)(unsigned unit);
	/* Registers while the input is the firmware; NULL: reads are the input's, writes are lost. */
	uint32_t (*read)(unsigned bar, uint64_t off, unsigned len);
	void (*write)(unsigned bar, uint64_t off, uint32_t v, unsigned len);
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
extern struct input *source;  /* NULL: firmware is the model */
extern struct dma_arena data; /* of requests */

/* Attaches and starts the driver on the model's function as this device. */
void controller_up(struct pci_dev *pci, uint16_t device);
/* The same once more, by firmware of the input's if there is one. False: it failed, and nothing is attached. */
bool controller_again(void);
/* The model's registers, whoever the firmware is. */
uint32_t truth_read(unsigned bar, uint64_t off, unsigned len);
void truth_write(unsigned bar, uint64_t off, uint32_t v, unsigned len);
/* Of struct target's time, which never stands still for whoever looks at it in a loop. */
void time_passes(uint64_t ns);

/* Prepares a request of the input's choice, which what tells in part, and counts it as flying. NULL: it flies. */
struct hba_req *new_request(struct input *in, uint8_t *ret_what);
/* One of the input's choice, or NULL where that one does not fly. */
struct hba_req *flying_request(struct input *in);
bool is_flying(uint32_t tag);
/* Nothing is at the controller any more. */
void forget_all(void);

/* On the thread of the request's lane. */
void submit_step(struct hba_req *r);
void abort_step(struct hba_req *r);

/* Around a reset: all lanes' doings until they are halted; they do something again. Nothing with one lane. */
void halt_lanes(void);
void let_lanes_go(void);

/* Steps. With several lanes the input tells which one polls, or takes what was posted to it. */
void reset_step(struct input *in);
void poll_step(struct input *in);

/* --- choices.c --- */

/* It reads block 0, if it moves data at all: in one piece, unless the input says otherwise. */
void vary_request(struct input *in, struct hba_req *r);
/* One of these, or, now and then, anything. */
uint8_t choose(struct input *in, const uint8_t *from, unsigned n);
/* Sense data of fixed format, of which drivers look at the key and the ASC: 18 bytes, or nothing like it. */
void put_sense(struct input *in, uint8_t *to, size_t size);

#endif
