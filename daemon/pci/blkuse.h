/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Private: use of block devices according to the kernel's tables. */
#ifndef HBAD_PCI_BLKUSE_H
#define HBAD_PCI_BLKUSE_H

#include "disks.h"
#include "tree.h"

/* The machine's tables, read once for all disks. */
struct blk_tables {
	const char *root;
	char *mounts, *swaps;
	struct lio_disk *lio;
	unsigned n_lio;
};

int blk_tables_read(struct blk_tables *t, const char *root); /* -ENOMEM; free also after a failure */
void blk_tables_free(struct blk_tables *t);
/* Appends what uses the disk, its partitions and what is stacked on them. False when nothing does. */
bool blk_use(const struct blk_tables *t, const char *name, struct text *out);

#endif
