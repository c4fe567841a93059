/* SPDX-License-Identifier: GPL-2.0-or-later */
/* DCMDs by polling: at set-up, before interrupts are on, and at the orderly end. */
#include "mfi.h"

#include <errno.h>
#include <string.h>

/* Firmware that has died meanwhile is not waited for. */
static int still_alive(const struct mfi *m)
{
	uint32_t word = mfi_read(m, MFI_REG_STATE);

	if (word == MFI_ALL_ONES)
		return -ENODEV;
	return word >> MFI_STATE_SHIFT == MFI_ST_FAULT ? -EIO : 0;
}

/* What the next command in this slot would take for its own. */
static bool reply_is_due(struct mfi *m, uint32_t slot)
{
	if (!m->iop->posts_polled)
		return false;
	m->iop->drain(m);
	return m->slot[slot].fired;
}

uint64_t mfi_until(const struct mfi *m, uint32_t ms)
{
	uint64_t until = clock_ns() + ms * NS_PER_MS, stop = m->h->stop_until_ns;

	return stop ? MIN(until, stop) : until;
}

int mfi_wait_status(struct mfi *m, uint32_t slot, uint32_t timeout_ms, uint8_t *ret_status)
{
	uint64_t until = mfi_until(m, timeout_ms);
	unsigned looks = 0;
	int r;

	while (reply_is_due(m, slot) || (*ret_status = mfi_cmd_status(m, slot)) == MFI_PENDING) {
		r = looks % 16 == 15 ? still_alive(m) : 0;
		if (r == 0 && clock_ns() > until)
			r = -ETIMEDOUT;
		if (r < 0)
			return r;
		/* Most are answered at once. */
		clock_sleep_ms(looks++ < 20 ? 1 : 20);
	}
	return 0;
}

int mfi_dcmd(struct mfi *m, const struct mfi_dcmd *d, void *data, uint8_t *ret_status)
{
	uint32_t slot = m->depth + MFI_SLOT_POLLED;
	uint8_t *shared = m->control.cpu + MFI_CTL_DATA;
	int r;

	assert(d->len <= MFI_CTL_DATA_LEN && d->dir != DMA_TO_DEVICE);
	if (m->polled_lost)
		return -EBUSY;
	memset(shared, 0, d->len);
	mfi_build_dcmd(mfi_frame(m, slot), mfi_slot_use(m, slot), false, d,
		(uint32_t)m->control.iova + MFI_CTL_DATA);
	m->polled_len = d->len;
	m->polled_untold = true;
	mfi_fire(m, slot, 0);
	r = mfi_wait_status(m, slot, m->iop->times->dcmd, ret_status);
	if (r < 0) {
		m->polled_lost = true;
		return r;
	}
	/* Unless it came by the reply queue too, which had to tell of it earlier. */
	if (m->polled_untold)
		mfi_note_status(m, slot);
	/* A snapshot: what is checked later is what was read here. */
	if (d->len)
		memcpy(data, shared, d->len);
	/* Once interrupts are unmasked QEMU posts polled commands too; nobody else reads the ring now. */
	m->iop->drain(m);
	return 0;
}

int mfi_dcmd_ok(struct mfi *m, const struct mfi_dcmd *d, void *data, const char *what, struct err *e)
{
	uint8_t status = MFI_PENDING;
	uint64_t began = clock_ns();
	int r = mfi_dcmd(m, d, data, &status);

	if (r == -ENODEV)
		return err_set(e, r, "the controller went away during %s", what);
	if (r == -EIO)
		return err_set(e, r, "firmware faulted during %s; power-cycle the controller", what);
	if (r < 0)
		return err_set(e, r, "firmware did not answer %s within %u s; power-cycle the controller",
			what, (unsigned)((clock_ns() - began) / NS_PER_SEC));
	if (status != MFI_OK)
		return err_set(
			e, -EIO, "firmware refused %s with status %02xh; update its firmware", what, status);
	return 0;
}
