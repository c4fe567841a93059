/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The end of a device's DMA, and resets of its function, which are the last way to it: another thread does them. */
#include "core.h"

#include <errno.h>

int hba_function_reset(struct hba *h)
{
	return pci_resetter_begin(h->core->resetter);
}

int hba_function_reset_result(const struct hba *h, struct err *e)
{
	const struct hba_core *c = h->core;
	int r = pci_resetter_result(c->resetter, e);

	if (r != -EINPROGRESS || pci_resetter_age_ns(c->resetter) < c->times.function_ms * NS_PER_MS)
		return r;
	return err_set(e, -ETIMEDOUT, "%s: its reset has not ended within %u s", h->pci->uri,
		c->times.function_ms / 1000);
}

/* Can the device still touch memory? 0: no; 1: a reset of its function was begun, which ends that. */
static int stop_dma(struct hba *h, int result)
{
	struct hba_core *c = h->core;
	/* Also one that reads all ones: a link that comes up again must not find it a master. */
	int r = pci_set_bus_master(h->pci, false);
	bool again = c->quiet_by_reset;

	c->quiet_by_reset = false;
	/* A device that is gone cannot DMA either; any other failure leaves only its reset. */
	h->gone = pci_is_gone(h->pci);
	if (r == 0 || h->gone)
		return 0;
	if (!again && hba_function_reset(h) == 0) {
		c->quiet_by_reset = true;
		return 1;
	}
	if (result < 0)
		log_err("%s: cannot stop the device's DMA (error %d): what it holds may still reach its "
			"disks; "
			"power-cycle it before they are used elsewhere",
			h->pci->uri, -r);
	return 0;
}

/* A stop has an end, whatever does not. */
static int until_the_stop_is_over(const struct hba *h, struct err *e)
{
	uint64_t until = stop_until(h);

	if (!until || clock_ns() < until)
		return -EINPROGRESS;
	return err_set(e, -ETIMEDOUT, "%s: its reset has not ended within the time of the stop", h->pci->uri);
}

int hba_try_quiet(struct hba *h)
{
	struct err e = {""};
	int r = hba_function_reset_result(h, &e);

	if (r == -EINPROGRESS)
		r = until_the_stop_is_over(h, &e);
	if (r == -EINPROGRESS)
		return -EAGAIN;
	if (r == -ETIMEDOUT) {
		log_err("%s; it is left as it is until the process ends, and its memory with it", e.text);
		return r;
	}
	if (stop_dma(h, r) > 0)
		return -EAGAIN;
	h->ops->quiesce(h);
	return 0;
}

int hba_make_quiet(struct hba *h)
{
	int r;

	while ((r = hba_try_quiet(h)) == -EAGAIN)
		clock_sleep_ms(QUIET_LOOK_MS);
	if (r < 0)
		h->core->stuck = true;
	return r;
}
