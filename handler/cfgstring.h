/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Configuration strings: "hba/NAME/UNIT[;option=value...]". What follows NAME is hbad's business. */
#ifndef HBAD_HANDLER_CFGSTRING_H
#define HBAD_HANDLER_CFGSTRING_H

#include <hbad/handoff.h>
#include "base/err.h"

struct cfgstring {
	char text[HANDOFF_CFG_LEN]; /* the whole string, without white space at its end */
	char instance[HANDOFF_NAME_MAX + 1];
};

/*
 * -EINVAL or -ENAMETOOLONG with a sentence; *ret is untouched then. White space at the end is dropped: the kernel
 * keeps the newline that somebody writes into attrib/dev_config, and hands it out again.
 */
int cfgstring_parse(const char *text, struct cfgstring *ret, struct err *e);

/* Are these the same but for white space at the end? */
bool cfgstring_same(const char *a, const char *b);

#endif
