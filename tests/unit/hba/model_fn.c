/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See model_fn.h. */
#include "model_fn.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static struct model_fn *of(struct pci_dev *pci)
{
	return container_of(pci, struct model_fn, pci);
}

void fn_init(struct model_fn *f, const struct pci_ops *ops, const struct pci_id *id)
{
	memset(f, 0, sizeof(*f));
	pthread_mutex_init(&f->lock, NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(f->irq_fd); i++)
		f->irq_fd[i] = -1;
	f->cfg[0] = (uint8_t)id->vendor;
	f->cfg[1] = (uint8_t)(id->vendor >> 8);
	f->cfg[2] = (uint8_t)id->device;
	f->cfg[3] = (uint8_t)(id->device >> 8);
	f->pci = (struct pci_dev){
		.ops = ops,
		.uri = "model",
		.id = *id,
		.iova = {{0x10000, 0xfedfffff}, {0xfef00000, UINT64_C(0x7fffffffff)}},
		.n_iova = 2,
		.dma_map_limit = ARRAY_SIZE(f->map),
		.dma_page = 4096,
		.request_fd = -1,
	};
}

void fn_error(struct model_fn *f, const char *what)
{
	f->protocol_errors++;
	f->protocol_what = what;
}

void fn_interrupt(struct model_fn *f)
{
	fn_interrupt_vector(f, 0);
}

void fn_interrupt_vector(struct model_fn *f, unsigned n)
{
	uint64_t one = 1;

	if (f->irq_on && (n >= f->n_irqs || write(f->irq_fd[n], &one, sizeof(one)) < 0))
		fn_error(f, "interrupt");
}

/* --- DMA --- */

uint8_t *fn_at(struct model_fn *f, uint64_t iova, uint64_t len)
{
	for (unsigned i = 0; i < ARRAY_SIZE(f->map); i++) {
		const struct model_map *p = &f->map[i];

		if (f->bus_master && p->size && iova >= p->iova && len <= p->size &&
			iova - p->iova <= p->size - len)
			return p->va + (iova - p->iova);
	}
	f->dma_faults++;
	return NULL;
}

void fn_read(struct model_fn *f, void *to, uint64_t iova, uint64_t len)
{
	const uint8_t *p = fn_at(f, iova, len);

	if (p)
		memcpy(to, p, len);
	else
		memset(to, 0xff, len);
}

void fn_write(struct model_fn *f, uint64_t iova, const void *from, uint64_t len)
{
	uint8_t *p = fn_at(f, iova, len);

	if (p)
		memcpy(p, from, len);
}

uint16_t fn_read16(struct model_fn *f, uint64_t iova)
{
	uint8_t *p = fn_at(f, iova, 2);

	return p ? le16toh(__atomic_load_n((uint16_t *)p, __ATOMIC_ACQUIRE)) : 0;
}

uint32_t fn_read32(struct model_fn *f, uint64_t iova)
{
	uint8_t *p = fn_at(f, iova, 4);

	return p ? le32toh(__atomic_load_n((uint32_t *)p, __ATOMIC_ACQUIRE)) : 0;
}

void fn_write8(struct model_fn *f, uint64_t iova, uint8_t v)
{
	uint8_t *p = fn_at(f, iova, 1);

	if (p)
		__atomic_store_n(p, v, __ATOMIC_RELEASE);
}

void fn_write16(struct model_fn *f, uint64_t iova, uint16_t v)
{
	uint8_t *p = fn_at(f, iova, 2);

	if (p)
		__atomic_store_n((uint16_t *)p, htole16(v), __ATOMIC_RELEASE);
}

void fn_write32(struct model_fn *f, uint64_t iova, uint32_t v)
{
	uint8_t *p = fn_at(f, iova, 4);

	if (p)
		__atomic_store_n((uint32_t *)p, htole32(v), __ATOMIC_RELEASE);
}

void fn_write64(struct model_fn *f, uint64_t iova, uint64_t v)
{
	uint8_t *p = fn_at(f, iova, 8);

	if (p)
		__atomic_store_n((uint64_t *)p, htole64(v), __ATOMIC_RELEASE);
}

/* --- the PCI function --- */

int fn_cfg_read(struct pci_dev *pci, unsigned off, void *buf, unsigned len)
{
	struct model_fn *f = of(pci);
	int r = !len || off % len || off + len > sizeof(f->cfg) ? -EINVAL : 0;

	pthread_mutex_lock(&f->lock);
	if (f->gone)
		memset(buf, 0xff, len);
	else if (r == 0)
		memcpy(buf, f->cfg + off, len);
	pthread_mutex_unlock(&f->lock);
	return r;
}

int fn_cfg_write(struct pci_dev *pci, unsigned off, const void *buf, unsigned len)
{
	struct model_fn *f = of(pci);

	pthread_mutex_lock(&f->lock);
	if (off == 4 && len == 2) {
		memcpy(f->cfg + 4, buf, 2);
		f->bus_master = f->cfg[4] & 4;
	} else {
		fn_error(f, "write to configuration space");
	}
	pthread_mutex_unlock(&f->lock);
	return 0;
}

int fn_map_bar(struct pci_dev *pci, unsigned n, struct err *e)
{
	return 0;
}

int fn_irq_enable(struct pci_dev *pci, enum pci_irq_kind kind, const int *eventfds, unsigned n, struct err *e)
{
	struct model_fn *f = of(pci);

	if (n > ARRAY_SIZE(f->irq_fd))
		return -EINVAL;
	if (kind == PCI_IRQ_MSIX && (f->no_vectors || (f->one_vector && n > 1)))
		return err_set(e, -ENOSPC, "there is no interrupt left");
	pthread_mutex_lock(&f->lock);
	f->irq_on = true;
	f->irq_kind = kind;
	memcpy(f->irq_fd, eventfds, n * sizeof(*eventfds));
	f->n_irqs = n;
	pthread_mutex_unlock(&f->lock);
	return n <= f->pci.n_vectors[kind] ? 0 : -EINVAL;
}

void fn_irq_disable(struct pci_dev *pci)
{
	struct model_fn *f = of(pci);

	pthread_mutex_lock(&f->lock);
	f->irq_on = false;
	pthread_mutex_unlock(&f->lock);
}

void fn_intx_unmask(struct pci_dev *pci)
{
	struct model_fn *f = of(pci);

	pthread_mutex_lock(&f->lock);
	f->n_unmask++;
	pthread_mutex_unlock(&f->lock);
}

int fn_dma_map(struct pci_dev *pci, void *va, uint64_t size, uint64_t iova, int memfd, uint64_t offset,
	struct err *e)
{
	struct model_fn *f = of(pci);
	int r = -ENOSPC;

	pthread_mutex_lock(&f->lock);
	for (unsigned i = 0; i < ARRAY_SIZE(f->map); i++)
		if (f->map[i].size && iova < f->map[i].iova + f->map[i].size &&
			f->map[i].iova < iova + size) {
			/* The pages stay; whoever adopts them has them elsewhere. */
			if (f->map[i].iova == iova && f->map[i].size == size)
				f->map[i].va = va;
			r = -EEXIST;
		}
	for (unsigned i = 0; i < ARRAY_SIZE(f->map) && r == -ENOSPC; i++)
		if (!f->map[i].size) {
			f->map[i] = (struct model_map){iova, size, va};
			r = 0;
		}
	pthread_mutex_unlock(&f->lock);
	return r;
}

int fn_dma_unmap(struct pci_dev *pci, uint64_t iova, uint64_t size)
{
	struct model_fn *f = of(pci);
	int r = -ENOENT;

	pthread_mutex_lock(&f->lock);
	/* Memory must not be taken away from a device that can still write to it. */
	if (f->bus_master || (f->runs && f->runs(f)))
		fn_error(f, "memory was unmapped under a running device");
	for (unsigned i = 0; i < ARRAY_SIZE(f->map); i++)
		if (f->map[i].size == size && f->map[i].iova == iova) {
			f->map[i] = (struct model_map){0};
			r = 0;
		}
	pthread_mutex_unlock(&f->lock);
	return r;
}

void fn_close(struct pci_dev *pci)
{
	struct model_fn *f = of(pci);

	for (unsigned i = 0; i < ARRAY_SIZE(f->map); i++)
		if (f->map[i].size)
			fn_error(f, "memory still mapped at close");
	if (f->bus_master || f->irq_on)
		fn_error(f, "bus mastering or interrupts on at close");
}
