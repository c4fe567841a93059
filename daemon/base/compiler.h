/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Small language helpers that every layer uses. */
#ifndef HBAD_BASE_COMPILER_H
#define HBAD_BASE_COMPILER_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define container_of(ptr, type, member)                                                                      \
	((type *)((char *)(1 ? (ptr) : &((type *)0)->member) - offsetof(type, member)))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
/* GLib and sys/param.h have them too, with the same meaning. */
#undef MIN
#undef MAX
#define MIN(a, b)	   ((a) < (b) ? (a) : (b))
#define MAX(a, b)	   ((a) > (b) ? (a) : (b))
#define DIV_ROUND_UP(n, d) (((n) + (d)-1) / (d))
/* align must be a power of two */
#define ALIGN_UP(n, align)   (((n) + ((align)-1)) & ~((__typeof__(n))(align)-1))
#define likely(x)	     __builtin_expect(!!(x), 1)
#define unlikely(x)	     __builtin_expect(!!(x), 0)
#define hb_printf(fmt, args) __attribute__((format(printf, fmt, args)))
#define hb_unused	     __attribute__((unused))
/* Bytes at the end of an element that one thread writes, in an array whose elements are of different threads: wherever the
 * array begins, two of them have no cache line in common. */
#define HB_APART 64

#endif
