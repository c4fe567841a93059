/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The uio devices behind TCMU backstores, found without touching configfs. */
#ifndef HBAD_HANDLER_UIO_H
#define HBAD_HANDLER_UIO_H

#include <hbad/handoff.h>
#include "base/err.h"

#define UIO_NAME_LEN 16 /* "uio3", as libtcmu keeps it */

/* "tcm-user/<hba>/<device>/<configuration>", the name of the uio device */
struct uio_name {
	unsigned hba;
	char device[128];
	char config[HANDOFF_CFG_LEN];
};

int uio_describe(const char *uio, struct uio_name *ret, struct err *e);

/* All that have this configuration (but for white space at its end). Returns how many, at most max. */
unsigned uio_find(const char *config, char (*ret)[UIO_NAME_LEN], unsigned max);

/*
 * Does any process have the device open or mapped? The kernel allows one open of a TCMU device, and it ends with the
 * last descriptor and the last mapping, so this is a proof. Only for devices that this process has not taken.
 */
bool uio_held(const char *uio);

/* "process 123 (hbad)": who has it open; "an unknown process" when none is found. */
void uio_holders(const char *uio, char *text, size_t size);

#endif
