/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Small files of sysfs, procfs and configfs, below a root that tests replace. Results are -errno. */
#ifndef HBAD_PCI_TREE_H
#define HBAD_PCI_TREE_H

#include <dirent.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

/* root and the formatted rest. -ENAMETOOLONG. */
int tree_path(char ret[PATH_MAX], const char *root, const char *fmt, ...) hb_printf(3, 4);
bool tree_exists(const char *root, const char *fmt, ...) hb_printf(2, 3);
/* First line of a file without blanks at its ends, cut to cap; length. */
int tree_line(char *ret, size_t cap, const char *root, const char *fmt, ...) hb_printf(4, 5);
/* The first cap bytes of a file that is no text; how many there are. */
int tree_bytes(void *ret, size_t cap, const char *root, const char *fmt, ...) hb_printf(4, 5);
/* A file's only number, hexadecimal with 0x or decimal. */
int tree_number(uint64_t *ret, const char *root, const char *fmt, ...) hb_printf(3, 4);
/* Last component of where a symbolic link points to; length. */
int tree_link_name(char *ret, size_t cap, const char *root, const char *fmt, ...) hb_printf(4, 5);
/* Whole file, terminated; freed by the caller. At most 4 MiB. */
int tree_slurp(char **ret, const char *root, const char *fmt, ...) hb_printf(3, 4);
/* NULL when it cannot be opened. */
DIR *tree_opendir(const char *root, const char *fmt, ...) hb_printf(2, 3);
/* Next entry that does not begin with a dot. */
const char *tree_next(DIR *dir);

/* In place: mountinfo and swaps write blanks and such as backslash and three octal digits. */
void tree_unescape(char *s);

/* "36 35 98:0 /root /mount/point options fields... - type source superoptions" (proc(5)), cut to pieces in place; point and
 * source are unescaped. The number names the device, except for file systems like btrfs that have their own: there the source
 * does. False: it is no such line. */
struct tree_mount {
	char *dev, *point, *source; /* source NULL: the line has none */
};
bool tree_mount_parse(char *line, struct tree_mount *ret);

/* Text built up in a fixed buffer; what does not fit is cut and marked by "..." at the end. */
struct text {
	char *buf;
	size_t cap, len;
};
static inline void text_init(struct text *t, char *buf, size_t cap)
{
	*t = (struct text){buf, cap, 0};
	buf[0] = '\0';
}
void text_add(struct text *t, const char *fmt, ...) hb_printf(2, 3);
/* With ", " or another separator in front of all but the first item. */
void text_item(struct text *t, const char *separator, const char *fmt, ...) hb_printf(3, 4);

#endif
