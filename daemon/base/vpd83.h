/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The Device Identification VPD page [SPC-4 7.8.6]. */
#ifndef HBAD_BASE_VPD83_H
#define HBAD_BASE_VPD83_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The next designation descriptor of a page of len bytes: *ret, ret_len bytes with its header of 4. *at is where it begins: 4 for
 * the first, and then where the last call left it. False: there is no other, or it is cut. */
static inline bool vpd83_next(
	const uint8_t *page, size_t len, size_t *at, const uint8_t **ret, size_t *ret_len)
{
	const uint8_t *d = page + *at;

	if (*at + 4 > len || *at + 4 + d[3] > len)
		return false;
	*ret = d;
	*ret_len = 4u + d[3];
	*at += *ret_len;
	return true;
}

#endif
