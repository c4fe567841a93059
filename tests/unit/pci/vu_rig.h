/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A device opened at the scripted server: what the tests of an open vfio-user device share. */
#ifndef HBAD_TEST_VU_RIG_H
#define HBAD_TEST_VU_RIG_H

#include "daemon/pci/vuc.h"
#include "vu_server.h"

#define OPENING 22 /* messages */

/* Nobody waits that long: a call that does runs into the test's own time limit. */
#define VU_PATIENT                                                                                           \
	{                                                                                                    \
		.access_ms = 200000, .setup_ms = 200000, .reset_ms = 200000                                  \
	}

extern struct srv s;
extern struct pci_dev *dev;
extern struct err e;
extern size_t page;

void vu_setup(void);
void vu_teardown(void);
void open_with(const struct vuc_times *t);
bool readable(int fd, int ms);
/* The end was told, and every access fails at once. */
void expect_gone(void);

#endif
