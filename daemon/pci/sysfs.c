/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PCI functions as sysfs shows them. */
#include "sysfs.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "disks.h"
#include "group.h"
#include "tree.h"

#define DEVICES "/sys/bus/pci/devices"

/* Hexadecimal digits up to a separator; -1 when there are none, too many, or something else. */
static long hex_field(const char **p, char separator, unsigned max_digits, long max)
{
	unsigned n = 0;
	long v = 0;

	for (; n <= max_digits && isxdigit((unsigned char)**p); n++, (*p)++)
		v = v * 16 +
		    (isdigit((unsigned char)**p) ? **p - '0' : (tolower((unsigned char)**p) - 'a') + 10);
	if (!n || n > max_digits || v > max || **p != separator)
		return -1;
	if (separator)
		(*p)++;
	return v;
}

int pci_addr_parse(const char *text, char ret[PCI_ADDR_LEN], struct err *e)
{
	const char *p = text, *colon = strchr(text, ':');
	bool has_domain = colon && strchr(colon + 1, ':');
	long domain = has_domain ? hex_field(&p, ':', 4, 0xffff) : 0;
	long bus = domain < 0 ? -1 : hex_field(&p, ':', 2, 0xff);
	long dev = bus < 0 ? -1 : hex_field(&p, '.', 2, 0x1f);
	long fn = dev < 0 ? -1 : hex_field(&p, '\0', 1, 7);

	if (fn < 0)
		return err_set(e, -EINVAL,
			"\"%.40s\" is not a PCI address; it looks like 0000:03:00.0 "
			"(domain:bus:device.function)",
			text);
	snprintf(ret, PCI_ADDR_LEN, "%04x:%02x:%02x.%x", (unsigned)domain & 0xffff, (unsigned)bus & 0xff,
		(unsigned)dev & 0x1f, (unsigned)fn & 7);
	return 0;
}

static unsigned attr(const char *root, const char *addr, const char *name)
{
	uint64_t v = 0;

	return tree_number(&v, root, DEVICES "/%s/%s", addr, name) < 0 ? 0 : (unsigned)v;
}

bool pci_place_read(const char *root, const char *addr, struct pci_place *ret)
{
	char path[PATH_MAX];
	struct stat st;

	*ret = (struct pci_place){0};
	if (tree_path(path, root, DEVICES "/%s", addr) < 0 || stat(path, &st) < 0)
		return false;
	ret->instance = st.st_ino; /* kernfs does not use one twice */
	ret->vendor = (uint16_t)attr(root, addr, "vendor");
	ret->device = (uint16_t)attr(root, addr, "device");
	if (tree_link_name(ret->driver, sizeof(ret->driver), root, DEVICES "/%s/driver", addr) < 0)
		ret->driver[0] = '\0';
	return true;
}

int pci_candidate_read(const char *root, const char *addr, struct pci_candidate *ret, struct err *e)
{
	struct pci_candidate c = {.iommu_group = -1};
	struct pci_place place;
	int r = pci_addr_parse(addr, c.addr, e);

	if (r < 0)
		return r;
	if (!pci_place_read(root, c.addr, &place))
		return err_set(e, -ENOENT,
			"there is no PCI device %s; 'hbactl candidates' lists what there is", c.addr);
	c.vendor = place.vendor;
	c.device = place.device;
	strcpy(c.driver, place.driver);
	c.subvendor = (uint16_t)attr(root, c.addr, "subsystem_vendor");
	c.subdevice = (uint16_t)attr(root, c.addr, "subsystem_device");
	c.class_code = attr(root, c.addr, "class") & 0xffffff;
	r = group_of(root, c.addr);
	if (r >= 0) {
		c.iommu_group = r;
		group_others(root, c.addr, c.group_others, sizeof(c.group_others));
	}
	pciids_name(root, &c, c.name, sizeof(c.name));
	r = disks_read(root, c.addr, disk_claim, &c.disks, &c.n_disks, e);
	if (r < 0)
		return r;
	*ret = c;
	return 0;
}

void pci_candidate_free(struct pci_candidate *c)
{
	free(c->disks);
	c->disks = NULL;
	c->n_disks = 0;
}

void pci_candidates_free(struct pci_candidate *c, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		pci_candidate_free(&c[i]);
	free(c);
}

/* PCI Code and ID Assignment Specification, base class 01h. */
static bool is_hba_class(uint32_t class_code)
{
	switch (class_code >> 8) {
	case 0x0101: /* IDE */
	case 0x0106: /* SATA */
	case 0x0108: /* NVM Express */
		return false;
	default:
		return class_code >> 16 == 0x01;
	}
}

/* Some clouds give their virtio SCSI hosts no class. [virtio 1.2, 4.1.2: vendor, and 1040h + device type 8 or the
 * transitional number] */
static bool is_virtio_scsi(const char *root, const char *addr)
{
	unsigned device = attr(root, addr, "device");

	return attr(root, addr, "vendor") == 0x1af4 && (device == 0x1048 || device == 0x1004);
}

static int by_addr(const void *a, const void *b)
{
	return strcmp(((const struct pci_candidate *)a)->addr, ((const struct pci_candidate *)b)->addr);
}

static int append(const char *root, const char *addr, struct pci_candidate **all, unsigned *n, struct err *e)
{
	struct pci_candidate *bigger = realloc(*all, (*n + 1) * sizeof(*bigger));
	int r;

	if (!bigger)
		return err_set(e, -ENOMEM, "out of memory");
	*all = bigger;
	r = pci_candidate_read(root, addr, &bigger[*n], e);
	/* Unplugged while we look, or an address that we cannot name (a domain of more than 16 bits): not
	 * one. */
	if (r == -ENOENT || r == -EINVAL)
		return 0;
	if (r == 0)
		(*n)++;
	return r;
}

int pci_candidates(const char *root, struct pci_candidate **ret, unsigned *ret_n, struct err *e)
{
	hb_autoclosedir DIR *dir = tree_opendir(root, DEVICES);
	struct pci_candidate *all = NULL;
	unsigned n = 0;
	const char *addr;
	int r = 0;

	if (!dir)
		return err_set(e, -errno, "cannot read " DEVICES ": %m; is sysfs mounted?");
	while (r == 0 && (addr = tree_next(dir)))
		if (is_hba_class(attr(root, addr, "class") & 0xffffff) || is_virtio_scsi(root, addr))
			r = append(root, addr, &all, &n, e);
	if (r < 0) {
		pci_candidates_free(all, n);
		return r;
	}
	if (n)
		qsort(all, n, sizeof(*all), by_addr);
	*ret = all;
	*ret_n = n;
	return 0;
}
