/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Aligned columns for people. */
#include "table.h"

#include <inttypes.h>
#include <stdarg.h>

struct table {
	const char *const *headings;
	unsigned n_columns;
	GPtrArray *cells; /* row by row, without the headings */
};

struct table *table_new(const char *const *headings)
{
	struct table *t = g_new0(struct table, 1);

	t->headings = headings;
	while (headings[t->n_columns])
		t->n_columns++;
	g_assert(t->n_columns <= TABLE_MAX_COLUMNS);
	t->cells = g_ptr_array_new_with_free_func(g_free);
	return t;
}

void table_free(struct table *t)
{
	if (!t)
		return;
	g_ptr_array_unref(t->cells);
	g_free(t);
}

char *table_clean(const char *text)
{
	GString *s = g_string_new(NULL);

	while (text && *text) {
		gunichar ch = g_utf8_get_char_validated(text, -1);

		if (ch == (gunichar)-1 || ch == (gunichar)-2) {
			g_string_append_c(s, '?');
			text++;
			continue;
		}
		if (g_unichar_isprint(ch))
			g_string_append_unichar(s, ch);
		else
			g_string_append_c(s, '?');
		text = g_utf8_next_char(text);
	}
	return g_string_free(s, FALSE);
}

void table_cell(struct table *t, const char *text)
{
	g_ptr_array_add(t->cells, text && *text ? table_clean(text) : g_strdup("-"));
}

void table_cellf(struct table *t, const char *fmt, ...)
{
	g_autofree char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = g_strdup_vprintf(fmt, ap);
	va_end(ap);
	table_cell(t, text);
}

unsigned table_rows(const struct table *t)
{
	return t->cells->len / t->n_columns;
}

static bool is_right(const struct table *t, unsigned col)
{
	return t->headings[col][0] == '>';
}

static const char *heading(const struct table *t, unsigned col)
{
	return t->headings[col] + is_right(t, col);
}

static void measure(const struct table *t, long width[TABLE_MAX_COLUMNS])
{
	for (unsigned col = 0; col < t->n_columns; col++)
		width[col] = g_utf8_strlen(heading(t, col), -1);
	for (unsigned i = 0; i < t->cells->len; i++) {
		long len = g_utf8_strlen(t->cells->pdata[i], -1);

		width[i % t->n_columns] = MAX(width[i % t->n_columns], len);
	}
}

static void print_cell(const struct table *t, unsigned col, const char *text, long width, FILE *out)
{
	/* printf pads by bytes, we by characters */
	int pad = (int)(width - g_utf8_strlen(text, -1));
	bool last = col + 1 == t->n_columns;

	if (is_right(t, col))
		fprintf(out, "%*s%s", pad, "", text);
	else
		fprintf(out, "%s%*s", text, last ? 0 : pad, "");
	fputs(last ? "\n" : "  ", out);
}

void table_print(const struct table *t, const char *indent, FILE *out)
{
	long width[TABLE_MAX_COLUMNS];

	measure(t, width);
	fputs(indent, out);
	for (unsigned col = 0; col < t->n_columns; col++)
		print_cell(t, col, heading(t, col), width[col], out);
	for (unsigned i = 0; i < table_rows(t) * t->n_columns; i++) {
		unsigned col = i % t->n_columns;

		if (col == 0)
			fputs(indent, out);
		print_cell(t, col, t->cells->pdata[i], width[col], out);
	}
}

char *table_size(uint64_t bytes)
{
	static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	uint64_t whole = bytes, rest = 0;
	unsigned i = 0;

	for (; whole >= 1024 && i + 1 < ARRAY_SIZE(unit); i++) {
		rest = whole % 1024;
		whole /= 1024;
	}
	if (i == 0)
		return g_strdup_printf("%" PRIu64 " B", bytes);
	/* tenths, cut rather than rounded: a disk is never shown larger than it is */
	return g_strdup_printf("%" PRIu64 ".%" PRIu64 " %s", whole, rest * 10 / 1024, unit[i]);
}
