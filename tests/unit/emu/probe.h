/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A model that is nothing but a DMA engine, to test the server with. BAR0, 4 KiB: 00 address, 04 address high, 08
 * length, 0C write 1 to read memory into the engine's buffer, 2 to write the buffer to memory; reads as the result of
 * the last (0, or errno). 10 counts resets. 14: write n to signal message n, or the line with 100 (up), 101 (down).
 * 20: writes here are counted, read gives the last. 100 and on: the first 256 bytes of the buffer.
 */
#ifndef HBAD_TESTS_EMU_PROBE_H
#define HBAD_TESTS_EMU_PROBE_H

#include "emu/model.h"

extern const struct model model_probe;

#endif
