/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A made-up PCI function for hbactl probe, which writes down every access. */
#ifndef HBAD_TESTS_HBACTL_FAKE_DEV_H
#define HBAD_TESTS_HBACTL_FAKE_DEV_H

#include "pci/pci.h"

#define FAKE_DEV_BARS 0x4000

struct fake_dev {
	struct pci_dev pci;
	uint8_t cfg[4096];
	bool cfg_gone; /* configuration space answers ones from the second look at the class on */
	unsigned class_reads;
	uint8_t bar[PCI_NUM_BARS][FAKE_DEV_BARS];
	uint8_t read[PCI_NUM_BARS][FAKE_DEV_BARS]; /* how often each byte was read */
	unsigned zero_reads;			   /* so many reads answer 0 first */
	unsigned writes;			   /* to anything */
	unsigned maps, irqs, resets, closes;
};

/* A SAS2108 with MSI, MSI-X and PCI Express capabilities; BAR1 is memory. Firmware is READY. */
void fake_dev_init(struct fake_dev *d);
void fake_dev_reg(struct fake_dev *d, unsigned bar, unsigned off, uint32_t value);
void fake_dev_id(struct fake_dev *d, uint16_t vendor, uint16_t device, uint32_t class_code);

#endif
