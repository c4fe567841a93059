/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where things are. Each folder can be moved with an environment variable, for tests. */
#ifndef HBAD_HANDLER_PLACE_H
#define HBAD_HANDLER_PLACE_H

#include "base/compiler.h"

#define PLACE_MAX_INSTANCES 64

const char *place_runtime(void);  /* HBAD_RUNTIME_DIR: /run/hbad */
const char *place_config(void);	  /* HBAD_CONFIG_DIR: /etc/hbad */
const char *place_configfs(void); /* HBAD_CONFIGFS: /sys/kernel/config */
const char *place_uio(void);	  /* HBAD_UIO_CLASS: /sys/class/uio */
const char *place_dev(void);	  /* HBAD_DEV: /dev */

/* Does the instance have a configuration file or a runtime folder with a socket? */
bool place_known(const char *instance);

/* Instances that have a hand-off socket. *ret_more: there are more than fit. */
unsigned place_sockets(char (*names)[33], unsigned max, bool *ret_more);

/* "g1, g2": every instance that is configured or runs; "none" without any. */
void place_list(char *text, size_t size);

#endif
