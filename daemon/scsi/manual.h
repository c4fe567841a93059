/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The manual page of all commands and pages, made from the tables that decide about them. Not part of hbad itself. */
#ifndef HBAD_SCSI_MANUAL_H
#define HBAD_SCSI_MANUAL_H

#include <stdio.h>

/* Writes hbad-commands(7). -EINVAL: a row lacks what the manual has to say about it. */
int manual_write(FILE *f);

#endif
