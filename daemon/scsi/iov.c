/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Walking iovec lists: bytes in and out at an offset, never beyond the end. */
#include "task.h"

#include <string.h>

/* The next stretch at *offset of the list; advances over it. Returns its length, 0 at the end. */
static uint64_t next_stretch(
	const struct iovec **iov, uint32_t *niov, uint64_t *offset, uint64_t max, uint8_t **ret)
{
	while (*niov && *offset >= (*iov)->iov_len) {
		*offset -= (*iov)->iov_len;
		(*iov)++;
		(*niov)--;
	}
	if (!*niov)
		return 0;
	uint64_t n = MIN(max, (uint64_t)(*iov)->iov_len - *offset);

	*ret = (uint8_t *)(*iov)->iov_base + *offset;
	*offset += n;
	return n;
}

uint64_t iov_put(const struct iovec *iov, uint32_t niov, uint64_t offset, const void *src, uint64_t len)
{
	uint64_t done = 0, n;
	uint8_t *to;

	while (done < len && (n = next_stretch(&iov, &niov, &offset, len - done, &to))) {
		memcpy(to, (const uint8_t *)src + done, n);
		done += n;
	}
	return done;
}

uint64_t iov_get(const struct iovec *iov, uint32_t niov, uint64_t offset, void *dst, uint64_t len)
{
	uint64_t done = 0, n;
	uint8_t *from;

	while (done < len && (n = next_stretch(&iov, &niov, &offset, len - done, &from))) {
		memcpy((uint8_t *)dst + done, from, n);
		done += n;
	}
	return done;
}

uint64_t iov_or(const struct iovec *iov, uint32_t niov, uint64_t offset, void *buf, uint64_t len)
{
	uint64_t done = 0, n;
	uint8_t *at;

	while (done < len && (n = next_stretch(&iov, &niov, &offset, len - done, &at))) {
		uint8_t *b = (uint8_t *)buf + done;

		for (uint64_t i = 0; i < n; i++)
			b[i] |= at[i];
		done += n;
	}
	return done;
}

uint64_t iov_differs(const struct iovec *iov, uint32_t niov, uint64_t offset, const void *buf, uint64_t len)
{
	uint64_t done = 0, n;
	uint8_t *at;

	while (done < len && (n = next_stretch(&iov, &niov, &offset, len - done, &at))) {
		const uint8_t *b = (const uint8_t *)buf + done;

		if (memcmp(at, b, n) != 0) {
			uint64_t i = 0;

			/* The initiator's memory may change while we look at it: stay inside all the same. */
			while (i + 1 < n && at[i] == b[i])
				i++;
			return done + i;
		}
		done += n;
	}
	return done;
}
