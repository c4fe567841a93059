/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The one symbol that tcmu-runner looks up. */
#include "handler.h"

int handler_init(void);

__attribute__((visibility("default"))) int handler_init(void)
{
	return handler_register();
}
