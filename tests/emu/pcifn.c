/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Configuration space and BARs of the emulated function. */
#include "pcifn.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/endian.h"
#include "pcifn_priv.h"

/* PCI Local Bus Specification 3.0, 6.1 and 6.8; PCI Express Base 3.0, 7.8 */
enum cfg {
	CFG_VENDOR = 0x00,
	CFG_DEVICE = 0x02,
	CFG_COMMAND = 0x04,
	CFG_STATUS = 0x06,
	CFG_REVISION = 0x08,
	CFG_CLASS = 0x09,
	CFG_CACHE_LINE = 0x0c,
	CFG_BAR0 = 0x10,
	CFG_SUBVENDOR = 0x2c,
	CFG_SUBDEVICE = 0x2e,
	CFG_CAP = 0x34,
	CFG_INT_LINE = 0x3c,
	CFG_INT_PIN = 0x3d,
	CAP_MSI_AT = 0x50,
	CAP_MSIX_AT = 0x68,
	CAP_PCIE_AT = 0xa0,
};
enum { CAP_MSI = 0x05, CAP_PCIE = 0x10, CAP_MSIX = 0x11 };
#define COMMAND_IO	 0x0001
#define COMMAND_MEMORY	 0x0002
#define COMMAND_MASTER	 0x0004
#define COMMAND_NO_INTX	 0x0400
#define STATUS_INTERRUPT 0x08
#define STATUS_CAPS	 0x0010

static void put16(uint8_t *at, uint16_t v)
{
	v = htole16(v);
	memcpy(at, &v, sizeof(v));
}

static void put32(uint8_t *at, uint32_t v)
{
	v = htole32(v);
	memcpy(at, &v, sizeof(v));
}

static uint16_t get16(const uint8_t *at)
{
	uint16_t v;

	memcpy(&v, at, sizeof(v));
	return le16toh(v);
}

static void build_bars(struct pcifn *p)
{
	for (unsigned i = 0; i < ARRAY_SIZE(p->model->pci.bar); i++) {
		const struct model_bar *b = &p->model->pci.bar[i];
		uint8_t *at = p->cfg + CFG_BAR0 + 4 * i;

		if (!b->size)
			continue;
		put32(at, b->io ? 0x1 : b->wide ? 0x4 : 0x0);
		put32(p->writable + CFG_BAR0 + 4 * i, ~(b->size - 1));
		if (b->wide)
			put32(p->writable + CFG_BAR0 + 4 * i + 4, UINT32_MAX);
	}
}

/* Appends a capability to the chain. */
static uint8_t *add_cap(struct pcifn *p, uint8_t *link, uint8_t at, uint8_t id)
{
	*link = at;
	p->cfg[at] = id;
	return &p->cfg[at + 1];
}

/* MSI with a 64-bit address, MSI-X, PCI Express endpoint with function level reset. */
static void build_caps(struct pcifn *p)
{
	const struct model_pci *d = &p->model->pci;
	uint8_t *c = p->cfg, *w = p->writable, *link = &p->cfg[CFG_CAP];

	put16(c + CFG_STATUS, STATUS_CAPS);
	if (d->n_msi) {
		link = add_cap(p, link, CAP_MSI_AT, CAP_MSI);
		put16(c + CAP_MSI_AT + 2, 0x0080);
		put16(w + CAP_MSI_AT + 2, 0x0071);
		memset(w + CAP_MSI_AT + 4, 0xff, 10);
		w[CAP_MSI_AT + 4] = 0xfc;
	}
	if (d->n_msix) {
		link = add_cap(p, link, CAP_MSIX_AT, CAP_MSIX);
		put16(c + CAP_MSIX_AT + 2, (uint16_t)(d->n_msix - 1));
		put16(w + CAP_MSIX_AT + 2, 0xc000);
		put32(c + CAP_MSIX_AT + 4, d->msix_table | d->msix_bar);
		put32(c + CAP_MSIX_AT + 8, d->msix_pba | d->msix_bar);
	}
	add_cap(p, link, CAP_PCIE_AT, CAP_PCIE);
	put16(c + CAP_PCIE_AT + 2, 0x0002);
	put32(c + CAP_PCIE_AT + 4, 0x10008001);
	put16(w + CAP_PCIE_AT + 8, 0x78ff); /* not bit 15, which starts a reset */
	put32(c + CAP_PCIE_AT + 12, 0x00000482);
	put16(c + CAP_PCIE_AT + 18, 0x0082);
}

static void build_config(struct pcifn *p)
{
	const struct model_pci *d = &p->model->pci;
	uint8_t *c = p->cfg;

	memset(p->cfg, 0, sizeof(p->cfg));
	memset(p->writable, 0, sizeof(p->writable));
	put16(c + CFG_VENDOR, d->vendor);
	put16(c + CFG_DEVICE, d->device);
	c[CFG_REVISION] = d->revision;
	c[CFG_CLASS] = (uint8_t)d->class_code;
	put16(c + CFG_CLASS + 1, (uint16_t)(d->class_code >> 8));
	put16(c + CFG_SUBVENDOR, d->subvendor);
	put16(c + CFG_SUBDEVICE, d->subdevice);
	c[CFG_INT_PIN] = 1;
	put16(p->writable + CFG_COMMAND, COMMAND_IO | COMMAND_MEMORY | COMMAND_MASTER | COMMAND_NO_INTX);
	p->writable[CFG_CACHE_LINE] = 0xff;
	p->writable[CFG_INT_LINE] = 0xff;
	build_bars(p);
	build_caps(p);
	if (p->model->config)
		p->model->config(p->model, p->cfg, p->writable);
}

/* --- the model's view --- */

static struct pcifn *pcifn_of(struct emu_bus *b)
{
	return container_of(b, struct pcifn, bus);
}

static int move(struct emu_bus *b, uint64_t addr, void *buf, uint32_t len, bool to_client)
{
	struct pcifn *p = pcifn_of(b);
	uint64_t at = addr;
	int r = -EFAULT;

	if (p->gone || !p->host || !(get16(p->cfg + CFG_COMMAND) & COMMAND_MASTER)) {
		p->stats->dma_blocked++;
		return -EPERM;
	}
	to_client ? p->stats->dma_writes++ : p->stats->dma_reads++;
	p->stats->dma_bytes += len;
	if (to_client)
		record_mem(p->record, CAPTURE_MEM_IN, addr, buf, len);
	if (!p->narrow || (addr <= UINT32_MAX && len <= UINT32_MAX - addr + 1))
		r = p->host->dma(p->host, addr, buf, len, to_client, &at);
	if (r < 0) {
		p->stats->wrong_dma++;
		pcifn_tell_wrong_dma(p, addr, len, to_client, at);
	} else if (!to_client) {
		record_mem(p->record, CAPTURE_MEM_OUT, addr, buf, len);
	}
	return r;
}

static int bus_op_read(struct emu_bus *b, uint64_t addr, void *buf, uint32_t len)
{
	return move(b, addr, buf, len, false);
}

static int bus_op_write(struct emu_bus *b, uint64_t addr, const void *buf, uint32_t len)
{
	return move(b, addr, (void *)buf, len, true);
}

static const struct emu_bus_ops bus_ops = {
	.read = bus_op_read,
	.write = bus_op_write,
	.message = pcifn_bus_message,
	.line = pcifn_bus_line,
};

bool pcifn_intx_allowed(const struct pcifn *p)
{
	return !(get16(p->cfg + CFG_COMMAND) & COMMAND_NO_INTX);
}

bool pcifn_master(const struct pcifn *p)
{
	return get16(p->cfg + CFG_COMMAND) & COMMAND_MASTER;
}

/* --- life --- */

/* What a client maps must not be able to shrink under it. */
static int make_shared(uint32_t size)
{
	int fd = memfd_create("hba-emu BAR", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, size) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

int pcifn_init(struct pcifn *p, const struct model *m, struct emu_stats *stats)
{
	int r = 0;

	memset(p, 0, sizeof(*p));
	p->model = m;
	p->stats = stats;
	p->bus = (struct emu_bus){&bus_ops, stats};
	memset(p->efd, 0xff, sizeof(p->efd));
	memset(p->shared_fd, 0xff, sizeof(p->shared_fd));
	build_config(p);
	for (unsigned i = 0; i < ARRAY_SIZE(m->pci.bar) && r >= 0; i++)
		if (m->pci.bar[i].shared)
			r = p->shared_fd[i] = make_shared(m->pci.bar[i].size);
	if (r < 0)
		pcifn_fini(p);
	return r < 0 ? r : 0;
}

void pcifn_fini(struct pcifn *p)
{
	pcifn_irqs_clear(p);
	for (unsigned i = 0; i < ARRAY_SIZE(p->shared_fd); i++)
		if (p->shared_fd[i] >= 0)
			close(p->shared_fd[i]);
}

void pcifn_reset(struct pcifn *p, enum reset_kind kind)
{
	uint8_t bars[24];

	record_reset(p->record);
	/* VFIO restores the BARs after a reset of the function. */
	memcpy(bars, p->cfg + CFG_BAR0, sizeof(bars));
	build_config(p);
	if (kind == RESET_FUNCTION)
		memcpy(p->cfg + CFG_BAR0, bars, sizeof(bars));
	memset(p->msix, 0, sizeof(p->msix));
	p->line = p->line_masked = false;
	if (p->ctrl)
		p->model->reset(p->ctrl, kind);
}

void pcifn_lose_config(struct pcifn *p)
{
	build_config(p);
}

void pcifn_client_gone(struct pcifn *p)
{
	uint16_t command = get16(p->cfg + CFG_COMMAND);

	put16(p->cfg + CFG_COMMAND, command & (uint16_t)~COMMAND_MASTER);
	pcifn_irqs_clear(p);
	p->line_masked = false;
}

/* --- regions --- */

uint64_t pcifn_region(const struct pcifn *p, unsigned region, uint32_t *ret_flags, int *ret_fd)
{
	const struct model_bar *b;

	*ret_flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	*ret_fd = -1;
	if (region == VFIO_PCI_CONFIG_REGION_INDEX)
		return PCIFN_CFG_SIZE;
	b = region < ARRAY_SIZE(p->model->pci.bar) ? &p->model->pci.bar[region] : NULL;
	if (!b || !b->size) {
		*ret_flags = 0;
		return 0;
	}
	if (b->shared) {
		*ret_flags |= VFIO_REGION_INFO_FLAG_MMAP;
		*ret_fd = p->shared_fd[region];
	}
	return b->size;
}

/* One aligned 32-bit register. */
static uint32_t reg_read(struct pcifn *p, unsigned bar, uint32_t off)
{
	const struct model_pci *d = &p->model->pci;

	if (bar == d->msix_bar && off >= d->msix_table && off < d->msix_table + d->n_msix * 16u)
		return p->msix[(off - d->msix_table) / 4];
	if (bar == d->msix_bar && off >= d->msix_pba && off < d->msix_pba + 16)
		return 0;
	return p->model->read(p->ctrl, bar, off);
}

static void reg_write(struct pcifn *p, unsigned bar, uint32_t off, uint32_t val)
{
	const struct model_pci *d = &p->model->pci;

	if (bar == d->msix_bar && off >= d->msix_table && off < d->msix_table + d->n_msix * 16u)
		p->msix[(off - d->msix_table) / 4] = val;
	else
		p->model->write(p->ctrl, bar, off, val);
}

static int shared_access(struct pcifn *p, unsigned bar, uint64_t off, void *buf, uint32_t len, bool write)
{
	ssize_t n = write ? pwrite(p->shared_fd[bar], buf, len, (off_t)off)
			  : pread(p->shared_fd[bar], buf, len, (off_t)off);

	return n == (ssize_t)len ? 0 : -EIO;
}

/* For models that take accesses as they come. False: not such a model, or not such an access. */
static bool whole_access(struct pcifn *p, unsigned bar, uint64_t off, void *buf, uint32_t len, bool write)
{
	uint64_t v = 0;

	if (!p->model->access || (len & (len - 1)) || len > sizeof(v) || off % len)
		return false;
	if (write)
		memcpy(&v, buf, len);
	v = htole64(p->model->access(p->ctrl, bar, off, len, write, le64toh(v)));
	if (!write)
		memcpy(buf, &v, len);
	return true;
}

/* Registers answer to whole aligned words; parts of words are cut out, as a bridge does. */
static void bar_read(struct pcifn *p, unsigned bar, uint64_t off, uint8_t *buf, uint32_t len)
{
	while (len) {
		uint32_t in = off & 3, part = MIN(4 - in, len);
		uint32_t word = htole32(reg_read(p, bar, (uint32_t)(off - in)));

		memcpy(buf, (uint8_t *)&word + in, part);
		buf += part;
		off += part;
		len -= part;
	}
}

static void bar_write(struct pcifn *p, unsigned bar, uint64_t off, const uint8_t *buf, uint32_t len)
{
	while (len) {
		uint32_t in = off & 3, part = MIN(4 - in, len), word = 0;

		memcpy((uint8_t *)&word + in, buf, part);
		reg_write(p, bar, (uint32_t)(off - in), le32toh(word));
		buf += part;
		off += part;
		len -= part;
	}
}

static bool within(const struct pcifn *p, unsigned region, uint64_t off, uint32_t len)
{
	uint32_t flags;
	int fd;
	uint64_t size = pcifn_region(p, region, &flags, &fd);

	return len && off < size && len <= size - off;
}

static void record_region(
	struct pcifn *p, bool write, unsigned region, uint64_t off, const void *buf, uint32_t len)
{
	if (!p->record || p->gone)
		return;
	if (region == VFIO_PCI_CONFIG_REGION_INDEX)
		record_access(p->record, write ? CAPTURE_CFG_WRITE : CAPTURE_CFG_READ, 0, off, buf, len);
	else
		record_access(p->record, write ? CAPTURE_WRITE : CAPTURE_READ, region, off, buf, len);
}

/* A line that is up shows in the status register: that is how drivers of a shared line know whose it is. */
static void config_read(struct pcifn *p, uint64_t off, uint8_t *buf, uint32_t len)
{
	if (p->model->config_window)
		p->model->config_window(p->ctrl, p->cfg, off, len, false);
	memcpy(buf, p->cfg + off, len);
	if (pcifn_line_shows(p) && off <= CFG_STATUS && CFG_STATUS < off + len)
		buf[CFG_STATUS - off] |= STATUS_INTERRUPT;
}

static int region_read(struct pcifn *p, unsigned region, uint64_t off, void *buf, uint32_t len)
{
	if (!within(p, region, off, len))
		return -EINVAL;
	if (p->gone)
		memset(buf, 0xff, len);
	else if (region == VFIO_PCI_CONFIG_REGION_INDEX)
		config_read(p, off, buf, len);
	else if (p->shared_fd[region] >= 0)
		return shared_access(p, region, off, buf, len, false);
	else if (!whole_access(p, region, off, buf, len, false))
		bar_read(p, region, off, buf, len);
	return 0;
}

int pcifn_read(struct pcifn *p, unsigned region, uint64_t off, void *buf, uint32_t len)
{
	int r = region_read(p, region, off, buf, len);

	if (r == 0)
		record_region(p, false, region, off, buf, len);
	return r;
}

int pcifn_write(struct pcifn *p, unsigned region, uint64_t off, const void *buf, uint32_t len)
{
	const uint8_t *from = buf;

	if (!within(p, region, off, len))
		return -EINVAL;
	record_region(p, true, region, off, buf, len);
	if (p->gone)
		return 0;
	if (region == VFIO_PCI_CONFIG_REGION_INDEX) {
		for (uint32_t i = 0; i < len; i++) {
			uint8_t w = p->writable[off + i];

			p->cfg[off + i] = (uint8_t)((p->cfg[off + i] & ~w) | (from[i] & w));
		}
		if (p->model->config_window)
			p->model->config_window(p->ctrl, p->cfg, off, len, true);
		/* The line may have been allowed. */
		pcifn_bus_line(&p->bus, p->line);
		return 0;
	}
	if (p->shared_fd[region] >= 0)
		return shared_access(p, region, off, (void *)buf, len, true);
	if (!whole_access(p, region, off, (void *)buf, len, true))
		bar_write(p, region, off, buf, len);
	return 0;
}
