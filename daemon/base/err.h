/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Errors for people. Functions return a negative errno; those whose failure an administrator has to act on
 * also take a struct err and write one sentence into it that names the thing and the cure. The caller owns
 * the struct (usually on its stack) and may pass NULL when it does not want the text.
 */
#ifndef HBAD_BASE_ERR_H
#define HBAD_BASE_ERR_H

#include "compiler.h"

struct err {
	char text[480]; /* always terminated once set; empty when nothing failed */
};

/* Writes the sentence and returns code, so that "return err_set(e, -EBUSY, ...)" reads well. Keeps errno. */
int err_set(struct err *e, int code, const char *fmt, ...) hb_printf(3, 4);

/* Puts "context: " before what a callee wrote. Returns code. */
int err_prefix(struct err *e, int code, const char *fmt, ...) hb_printf(3, 4);

#endif
