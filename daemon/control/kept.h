/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A controller that one hbad leaves running, and the next one goes on with: what keeps its device open, the memory that
 * its firmware knows, and a record that says what is what. All of it are descriptors, which systemd's descriptor store
 * keeps in between. Set-up and control threads.
 */
#ifndef HBAD_CONTROL_KEPT_H
#define HBAD_CONTROL_KEPT_H

#include "hba/hba.h"

#define KEPT_ADDR_LEN 16
#define KEPT_NAMES    (4 + HBA_FROZEN_ARENAS) /* descriptors at most */

struct kept {
	char addr[KEPT_ADDR_LEN]; /* "0000:03:00.0" */
	struct pci_descriptors pci;
	struct hba_frozen hba;
};

/* No descriptor is there. */
void kept_init(struct kept *k);
void kept_close(struct kept *k);

/* --- kept_record.c: the record, as bytes. Pure, but for the file. --- */

#define KEPT_RECORD_MAX 1024

size_t kept_encode(const struct kept *k, uint8_t buf[KEPT_RECORD_MAX]);
/* Everything but the descriptors, which stay as they are. Bytes may be anything: -EBADMSG with a sentence. */
int kept_decode(const uint8_t *buf, size_t n, struct kept *k, struct err *e);
/* A sealed memory file with the record in it. */
int kept_write_record(const struct kept *k, int *ret_fd, struct err *e);
int kept_read_record(int fd, struct kept *k, struct err *e);

/* --- kept_store.c: systemd's descriptor store --- */

/* Does this process's service have one? -ENOTCONN: there is no systemd that would start another hbad; -ENOTSUP, -ENOSPC. */
int kept_store_check(struct err *e);
/* Duplicates of all go into the store: when this returns, systemd has them (or has thrown them away, which it does not
 * tell). On failure none of them is there. */
int kept_store(const struct kept *k, struct err *e);
/* What an earlier hbad has put there, and out of the store with it, so that a crash from now on closes the device. -ENOENT:
 * nothing. On failure all is closed. */
int kept_take(struct kept *ret, struct err *e);
/* The part of it that knows which is which: descriptors first to first + n - 1, by their names. Takes them over in any
 * case. *ret_record: the record's. */
int kept_sort(char *const *names, unsigned n, int first, struct kept *ret, int *ret_record, struct err *e);

#endif
