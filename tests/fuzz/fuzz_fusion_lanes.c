/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fuzz_fusion.c with several lanes: the input also says which of them does something next, and when messages arrive. */
#define LANES 3
#include "fuzz_fusion.c"
