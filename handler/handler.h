/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The handler that tcmu-runner sees. */
#ifndef HBAD_HANDLER_HANDLER_H
#define HBAD_HANDLER_HANDLER_H

/* Registers with the runner and says HELLO. 0, or what the runner's registration said: another copy of this plugin
 * is loaded already (hazard H24), and this one stays idle. */
int handler_register(void);

#endif
