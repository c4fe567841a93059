/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A controller with disks in RAM behind the symbols of hba.h. Requests lie in flight until the test completes
 * them, in the order it likes; what a disk answers to INQUIRY and its like is bytes that the test can change.
 * Each breach of the contract of hba.h by the layer above aborts the test.
 */
#ifndef TESTS_SCSI_FAKE_HBA_H
#define TESTS_SCSI_FAKE_HBA_H

#include "hba/hba.h"

#define FAKE_MAX_SLOTS 256
#define FAKE_STORE     (8U << 20) /* bytes of each disk that remember writes; further on there is a pattern */
#define FAKE_LOG       4096

struct fake_page {
	uint16_t len;
	uint8_t data[1024];
};

struct fake_disk {
	uint64_t blocks;
	uint32_t block_size;
	uint8_t *store;
	struct fake_page inquiry, vpd[256];
	bool rc16, verify, mode_sense; /* what it implements */
	bool low_byte_only;	       /* of INQUIRY allocation lengths, as in SPC-2 */
	uint8_t mode_wce;
	unsigned attentions; /* UNIT ATTENTIONs still to report, one per command */
	unsigned becoming_ready;
	uint64_t bad_lba;	   /* MEDIUM ERROR there; UINT64_MAX: none */
	unsigned cdbs[256];	   /* how often each opcode came */
	uint16_t inquiry_alloc[8]; /* of the first INQUIRYs */
	unsigned n_inquiry;
	bool dirty;		  /* written since the last flush */
	bool thin;		  /* LBPME and LBPRZ; UNMAP works, and fills with zeros */
	uint8_t unmap_list[1024]; /* of the last UNMAP */
	uint32_t unmap_len;
	struct fake_page mode[64]; /* bytes of mode pages behind code and length; 08h is always there */
	struct fake_page log[64];  /* log pages; all empty: LOG SENSE is refused */
	/* Opcodes that it takes as they come: data-out is kept, data-in is the answer. */
	bool passes[256];
	struct fake_page answer;
	uint8_t passed_cdb[32], passed_cdb_len;
	bool passed_once;     /* no_reissue */
	uint8_t passed[4096]; /* data-out, as much as fits */
	uint32_t passed_len;
	enum dma_dir passed_dir;
	struct fake_page lba_status; /* the answer to GET LBA STATUS; empty: refused */
};

/* What was submitted, in order. */
struct fake_entry {
	enum hba_req_kind kind;
	uint8_t unit, cdb0;
	enum dma_dir dir;
	uint64_t lba;
	uint32_t nblocks, len, timeout_ms;
	bool fua, dpo;
	bool done;
};

struct fake {
	struct hba hba;
	struct fake_disk disk[HBA_MAX_UNITS];
	struct hba_req req[FAKE_MAX_SLOTS];
	bool used[FAKE_MAX_SLOTS];
	bool aborted[FAKE_MAX_SLOTS]; /* hba_abort() was called; how it ends is the test's choice */
	unsigned slots;
	struct hba_req *flight[FAKE_MAX_SLOTS]; /* oldest first */
	unsigned entry[FAKE_MAX_SLOTS];		/* its place in the log */
	unsigned n_flight;
	unsigned refuse_eagain; /* this many submits answer -EAGAIN */
	int refuse;		/* ... or each of them this */
	enum hba_state state;
	bool late;	     /* other lanes than the first have not heard of it yet: they run */
	unsigned last_lane;  /* that a slot was asked of */
	unsigned n_answered; /* calls of hba_unit_answered(), and the last one's count */
	uint32_t answered_goings;
	struct fake_entry log[FAKE_LOG];
	unsigned n_log;
	unsigned most_in_flight;
	unsigned n_aborts;
	/* The next completions of that kind end so, instead of being done. */
	struct {
		unsigned count, skip;
		enum hba_req_kind kind;
		enum hba_result result;
		uint8_t status;
		uint8_t sense_len, sense[HBA_SENSE_SIZE];
	} fault;
	int run_error;	      /* hba_run() returns it */
	unsigned short_moved; /* the next read moves this many bytes less */
	/* It knows how much the unit sent: what is passed has moved so many bytes, as far as it says. */
	bool tells_moved;
	uint32_t cdb_moved;
};

struct fake *fake_new(unsigned units, uint64_t blocks, uint32_t block_size);
void fake_free(struct fake *f);
/* INQUIRY and VPD pages as a disk behind such controllers gives them. */
void fake_default_pages(struct fake_disk *d, const char *serial);
void fake_set_page(struct fake_page *p, const void *bytes, size_t n);
/* What the disk holds at an LBA before anybody writes. */
void fake_pattern(uint64_t lba, uint8_t *block, uint32_t block_size);

/* Completes the i-th request in flight as the disk would. */
void fake_complete(struct fake *f, unsigned i);
/* The disk does it, but its answer is lost: fake_end() is to follow. */
void fake_execute(struct fake *f, unsigned i);
/* ... or with this result, untouched by the disk. */
void fake_end(struct fake *f, unsigned i, enum hba_result result, uint8_t status, const uint8_t *sense,
	uint8_t len);
/* ... or with CHECK CONDITION after so many bytes. */
void fake_end_moved(struct fake *f, unsigned i, const uint8_t *sense, uint8_t len, uint32_t moved);
/* Until nothing is in flight; seed 0: oldest first, else in an order it gives. */
void fake_run(struct fake *f, unsigned seed);
void fake_ready(struct fake *f);

extern const uint8_t fake_sense_medium[18]; /* 03/11/00, no LBA */

/* --- fake_loop.c: a loop that runs posted calls at once, or when told to --- */

extern bool fake_loop_defer;
void fake_loop_run(void);
extern unsigned fake_slept_ms;
extern uint64_t fake_now; /* ns */
/* ... and timers run. */
void fake_time_passes(uint64_t ns);

#endif
