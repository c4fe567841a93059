/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the PCI function offer each other. */
#ifndef HBAD_EMU_PCIFN_PRIV_H
#define HBAD_EMU_PCIFN_PRIV_H

#include "pcifn.h"

bool pcifn_intx_allowed(const struct pcifn *p);
/* Is the interrupt line up, as the status register tells it? */
bool pcifn_line_shows(const struct pcifn *p);
bool pcifn_master(const struct pcifn *p);
void pcifn_irqs_clear(struct pcifn *p);
void pcifn_bus_message(struct emu_bus *b, unsigned vector);
void pcifn_bus_line(struct emu_bus *b, bool level);
void pcifn_tell_wrong_dma(const struct pcifn *p, uint64_t addr, uint32_t len, bool to_client, uint64_t at);

#endif
