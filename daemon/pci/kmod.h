/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Kernel modules through libkmod. */
#ifndef HBAD_PCI_KMOD_H
#define HBAD_PCI_KMOD_H

#include "base/err.h"

/* Loads a module by name or alias, with what it depends on; fine when it is loaded or built in already. */
int kmod_load(const char *name, struct err *e);

#endif
