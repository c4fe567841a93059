/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Aligned columns for people; the same with or without a terminal. */
#ifndef HBAD_HBACTL_TABLE_H
#define HBAD_HBACTL_TABLE_H

#include <glib.h>
#include <stdint.h>
#include <stdio.h>
#include "base/compiler.h"

#define TABLE_MAX_COLUMNS 12

struct table;

/* headings ends with NULL. A heading that begins with '>' makes its column right-aligned. */
struct table *table_new(const char *const *headings);
void table_free(struct table *t);
typedef struct table table_t; /* for g_autoptr() */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(table_t, table_free)

/* Cells fill rows from left to right. Empty cells are shown as "-". Control characters and what is no UTF-8
 * are shown as '?': they may come from firmware. */
void table_cell(struct table *t, const char *text);
void table_cellf(struct table *t, const char *fmt, ...) hb_printf(2, 3);
unsigned table_rows(const struct table *t);
void table_print(const struct table *t, const char *indent, FILE *out);

/* text with control characters and what is no UTF-8 replaced; g_free(). */
char *table_clean(const char *text);
/* "931.5 GiB"; a static buffer would not do for two in one line: g_free(). */
char *table_size(uint64_t bytes);

#endif
