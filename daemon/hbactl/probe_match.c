/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hbactl probe: which of hbad's drivers would take the function, and if none: which is near, and why. */
#include "probe.h"

#include <string.h>

/* Ids whose family is known, from the public drivers' tables; whether hbad drives them is for its drivers to say. */
static const struct {
	uint16_t vendor, device;
	const char *family; /* NULL: none whose registers are known */
	const char *name;
} known[] = {
	{0x1000, 0x0411, NULL,
		"SAS1064R, MFI firmware of the XScale generation, whose registers lie differently"},
	{0x1000, 0x0413, NULL,
		"Verde ZCR, MFI firmware of the XScale generation, whose registers lie differently"},
	{0x1028, 0x0015, NULL,
		"Dell PERC 5, MFI firmware of the XScale generation, whose registers lie differently"},
	{0x1000, 0x0060, "sas1078", "SAS1078R"},
	{0x1000, 0x007c, "sas1078", "SAS1078DE"},
	{0x1000, 0x0078, "sas2108", "SAS2108"},
	{0x1000, 0x0079, "sas2108", "SAS2108"},
	{0x1000, 0x0071, "sas2008", "SAS2008 with MFI firmware"},
	{0x1000, 0x0073, "sas2008", "SAS2008 with MFI firmware"},
	{0x1000, 0x005b, "sas3108", "SAS2208 (Thunderbolt)"},
	{0x1000, 0x002f, "sas3108", "SAS2208 (Plasma)"},
	{0x1000, 0x005d, "sas3108", "SAS3108 (Invader)"},
	{0x1000, 0x005f, "sas3108", "SAS3008 (Fury)"},
	{0x1000, 0x00ce, "sas3108", "SAS3316 (Intruder)"},
	{0x1000, 0x00cf, "sas3108", "SAS3324 (Intruder)"},
	{0x1000, 0x0052, "sas3108", "Cutlass"},
	{0x1000, 0x0053, "sas3108", "Cutlass"},
	{0x1000, 0x0014, "sas3108", "SAS3516 (Ventura)"},
	{0x1000, 0x0015, "sas3108", "SAS3416 (Crusader)"},
	{0x1000, 0x0016, "sas3108", "SAS3508 (Harpoon)"},
	{0x1000, 0x0017, "sas3108", "SAS3408 (Tomcat)"},
	{0x1000, 0x001b, "sas3108", "SAS3504 (Ventura)"},
	{0x1000, 0x001c, "sas3108", "SAS3404 (Crusader)"},
	{0x1000, 0x10e1, "sas3108", "SAS3916 (Aero)"},
	{0x1000, 0x10e2, "sas3108", "SAS3908 (Aero)"},
	{0x1000, 0x10e5, "sas3108", "SAS3816 (Sea)"},
	{0x1000, 0x10e6, "sas3108", "SAS3808 (Sea)"},
	{0x1000, 0x10e0, NULL, "an Aero that calls itself invalid; the kernel's driver refuses it too"},
	{0x1000, 0x10e3, NULL, "an Aero that calls itself tampered; the kernel's driver refuses it too"},
	{0x1000, 0x10e4, NULL, "an Aero that calls itself invalid; the kernel's driver refuses it too"},
	{0x1000, 0x10e7, NULL, "an Aero that calls itself tampered; the kernel's driver refuses it too"},
	{0x14d6, 0x6101, "ame-341", "Accusys ACS-61xxx"},
	{0x14d6, 0x6201, "ame-341", "Accusys ACS-62xxx"},
	{0x14d6, 0x6232, "ame", "Accusys 2208 family"},
	{0x14d6, 0x6300, "ame", "Accusys 2208 family"},
	{0x14d6, 0x6233, "ame", "Accusys 2208 family"},
	{0x14d6, 0x6235, "ame", "Accusys 2208 family"},
	{0x14d6, 0x6240, "ame", "Accusys 3108 family"},
	{0x14d6, 0x6262, "ame", "Accusys 3108 family"},
	{0x14d6, 0x626f, "ame", "Accusys 626F, presumably of the 3108 family"},
	{0x10b5, 0x8508, NULL, "a PLX switch port, behind which Accusys boxes may be (NT mode)"},
	{0x10b5, 0x8608, NULL, "a PLX switch port, behind which Accusys boxes may be (NT mode)"},
	{0x10b5, 0x512d, NULL, "a PLX switch port, behind which Accusys boxes may be (NT mode)"},
	{0x1af4, 0x1004, "virtio", "virtio SCSI host"},
	{0x1af4, 0x1048, "virtio", "virtio SCSI host"},
};

/* What a function's class and maker tell when its id is in no table. */
static const struct {
	uint16_t vendor; /* 0: any */
	uint32_t class_code, mask;
	const char *why;
} near[] = {
	{0x1000, 0x010400, 0xffff00,
		"the same maker's class RAID: it probably speaks Fusion as the SAS3108 does; look with --as "
		"sas3108, and "
		"with --as sas2108 if its state makes no sense"},
	{0x1000, 0x010700, 0xffff00,
		"an LSI SAS HBA with IT firmware, which speaks MPT, and no driver of hbad does; with "
		"MegaRAID "
		"firmware it would be another device"},
	{0x1000, 0x010000, 0xffff00,
		"an LSI SCSI HBA, which speaks MPT or is older, and no driver of hbad does"},
	{0x14d6, 0, 0, "Accusys, whose later boxes were all of the 3108 family: look with --as ame"},
	{0x1af4, 0, 0, "a virtio device, but no SCSI host (1af4:1048 or 1af4:1004)"},
	{0, 0x010802, 0xffffff, "an NVMe disk: export it with the kernel's own target, no HBA is involved"},
	{0, 0x010601, 0xffffff, "a SATA controller (AHCI): hbad has no driver for that"},
	{0, 0x010400, 0xffff00, "a RAID controller of a maker for which hbad has no driver"},
	{0, 0x010700, 0xffff00, "a SAS controller of a maker for which hbad has no driver"},
	{0, 0x010000, 0xff0000, "a storage controller of a kind for which hbad has no driver"},
	{0, 0, 0, "no storage controller at all, by its class code"},
};

static const char *nearest(const struct pci_id *id)
{
	unsigned i = 0;

	while (near[i].mask || near[i].vendor) {
		if ((!near[i].vendor || near[i].vendor == id->vendor) &&
			(id->class_code & near[i].mask) == near[i].class_code)
			break;
		i++;
	}
	return near[i].why;
}

void probe_match(struct probe *p, struct ctl *c)
{
	const struct pci_id *id = &p->dev->id;
	const char *name = NULL;

	p->driver = c->ops->supported(id->vendor, id->device);
	for (unsigned i = 0; i < ARRAY_SIZE(known); i++)
		if (known[i].vendor == id->vendor && known[i].device == id->device) {
			name = known[i].name;
			if (known[i].family)
				p->family = probe_family_find(known[i].family);
		}
	if (p->driver)
		snprintf(p->verdict, sizeof(p->verdict), "hbad drives it: %s", p->driver);
	else if (p->family)
		snprintf(p->verdict, sizeof(p->verdict),
			"this hbad has no driver for it, but it is known: %s. Nearest: %s, because its "
			"registers are "
			"the same",
			name, p->family->about);
	else
		snprintf(p->verdict, sizeof(p->verdict), "hbad has no driver for it: %s",
			name ? name : nearest(id));
}
