/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Interrupts of the emulated function: messages to eventfds, and a line with VFIO's masking. */
#include <inttypes.h>
#include <poll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "pcifn_priv.h"

static bool signal_fd(int fd)
{
	struct pollfd out = {.fd = fd, .events = POLLOUT};
	uint64_t one = 1;

	/* Asked first: on a counter that the client filled, or a pipe that it sent in its place, a write would wait for
	 * ever. */
	return fd >= 0 && poll(&out, 1, 0) == 1 && out.revents & POLLOUT &&
	       write(fd, &one, sizeof(one)) == sizeof(one);
}

static bool has_messages(const struct pcifn *p, unsigned index)
{
	for (unsigned i = 0; i < MODEL_MAX_VECTORS; i++)
		if (p->efd[index][i] >= 0)
			return true;
	return false;
}

static bool lose(struct pcifn *p)
{
	if (!p->lose_irqs)
		return false;
	p->lose_irqs--;
	p->stats->lost_irqs++;
	return true;
}

void pcifn_bus_message(struct emu_bus *b, unsigned vector)
{
	struct pcifn *p = container_of(b, struct pcifn, bus);
	unsigned index =
		has_messages(p, VFIO_PCI_MSIX_IRQ_INDEX) ? VFIO_PCI_MSIX_IRQ_INDEX : VFIO_PCI_MSI_IRQ_INDEX;

	/* They are writes to memory: nothing without bus mastering. */
	if (p->gone || !pcifn_master(p) || vector >= MODEL_MAX_VECTORS)
		return;
	if (p->efd[index][vector] >= 0 && lose(p))
		return;
	if (!signal_fd(p->efd[index][vector]))
		return;
	p->stats->interrupts++;
	record_irq(p->record, index == VFIO_PCI_MSIX_IRQ_INDEX ? 2 : 1, vector);
}

bool pcifn_line_shows(const struct pcifn *p)
{
	return p->line && !has_messages(p, VFIO_PCI_MSIX_IRQ_INDEX) &&
	       !has_messages(p, VFIO_PCI_MSI_IRQ_INDEX);
}

/* VFIO masks the line when it has told of it; the client opens it again. */
static void look_at_line(struct pcifn *p)
{
	if (has_messages(p, VFIO_PCI_MSIX_IRQ_INDEX) || has_messages(p, VFIO_PCI_MSI_IRQ_INDEX))
		return;
	if (!p->line || p->line_masked || p->gone || !pcifn_intx_allowed(p))
		return;
	/* Whoever asserts the line next, or opens it, brings it to light. */
	if (p->efd[VFIO_PCI_INTX_IRQ_INDEX][0] >= 0 && lose(p))
		return;
	if (signal_fd(p->efd[VFIO_PCI_INTX_IRQ_INDEX][0])) {
		record_irq(p->record, 0, 0);
		p->stats->interrupts++;
		p->line_masked = true;
	}
}

void pcifn_bus_line(struct emu_bus *b, bool level)
{
	struct pcifn *p = container_of(b, struct pcifn, bus);

	p->line = level;
	look_at_line(p);
}

void pcifn_line_mask(struct pcifn *p, bool masked)
{
	p->line_masked = masked;
	look_at_line(p);
}

unsigned pcifn_irqs(const struct pcifn *p, unsigned index, uint32_t *ret_flags)
{
	*ret_flags = VFIO_IRQ_INFO_EVENTFD;
	switch (index) {
	case VFIO_PCI_INTX_IRQ_INDEX:
		*ret_flags |= VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED;
		return 1;
	case VFIO_PCI_MSI_IRQ_INDEX:
		*ret_flags |= VFIO_IRQ_INFO_NORESIZE;
		return p->model->pci.n_msi;
	case VFIO_PCI_MSIX_IRQ_INDEX:
		*ret_flags |= VFIO_IRQ_INFO_NORESIZE;
		return p->model->pci.n_msix;
	case VFIO_PCI_ERR_IRQ_INDEX:
	case VFIO_PCI_REQ_IRQ_INDEX:
		return 1;
	}
	*ret_flags = 0;
	return 0;
}

void pcifn_irq_set(struct pcifn *p, unsigned index, unsigned vector, int fd)
{
	int *slot = &p->efd[index][vector];

	if (*slot >= 0)
		close(*slot);
	*slot = fd;
	if (index == VFIO_PCI_INTX_IRQ_INDEX)
		p->line_masked = false;
	if (fd < 0)
		return;
	if (p->ctrl && p->model->irq_changed)
		p->model->irq_changed(p->ctrl);
	look_at_line(p);
}

void pcifn_irq_trigger(struct pcifn *p, unsigned index, unsigned vector)
{
	signal_fd(p->efd[index][vector]);
}

void pcifn_irqs_clear(struct pcifn *p)
{
	for (unsigned i = 0; i < VFIO_PCI_NUM_IRQS; i++)
		for (unsigned v = 0; v < MODEL_MAX_VECTORS; v++) {
			if (p->efd[i][v] >= 0)
				close(p->efd[i][v]);
			p->efd[i][v] = -1;
		}
}

void pcifn_tell_wrong_dma(const struct pcifn *p, uint64_t addr, uint32_t len, bool to_client, uint64_t at)
{
	static struct log_limit limit;

	if (!log_limit_ok(&limit, 20, 10 * NS_PER_SEC))
		return;
	if (p->narrow && addr + len > UINT64_C(0x100000000))
		log_err("wrong DMA: %s of %u bytes at 0x%" PRIx64 ", above the 32 bits of this controller",
			to_client ? "write" : "read", len, addr);
	else
		log_err("wrong DMA: %s of %u bytes at 0x%" PRIx64
			", not mapped (or not in this direction) at 0x%" PRIx64,
			to_client ? "write" : "read", len, addr, at);
}
