/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checks that config.c and config_file.c share. */
#ifndef HBAD_CONTROL_CONFIG_PRIVATE_H
#define HBAD_CONTROL_CONFIG_PRIVATE_H

#include "config.h"

int config_check_device(const char *text, struct err *e);
int config_check_driver(const char *text, struct err *e);
int config_check_capture(const char *text, struct err *e);
int config_check(const struct config *c, struct err *e);

#endif
