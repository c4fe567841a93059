/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Intrusive doubly linked list with a sentinel head. An unlinked node points at itself. Not thread safe. */
#ifndef HBAD_BASE_LIST_H
#define HBAD_BASE_LIST_H

#include "compiler.h"

struct list {
	struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}
static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}
static inline void list_append(struct list *head, struct list *n)
{
	n->prev = head->prev;
	n->next = head;
	head->prev->next = n;
	head->prev = n;
}
static inline void list_prepend(struct list *head, struct list *n)
{
	list_append(head->next, n);
}
/* Harmless on a node that is in no list (but was initialised). */
static inline void list_remove(struct list *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	list_init(n);
}
/* What is in it is in no list afterwards. */
static inline void list_scatter(struct list *head)
{
	while (!list_empty(head))
		list_remove(head->next);
}
/* Moves all of from to the end of to; from is empty afterwards. */
static inline void list_splice(struct list *to, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}
/* NULL when empty */
#define list_first(head, type, member) (list_empty(head) ? NULL : container_of((head)->next, type, member))
/* pos is a struct list *; the safe form allows removal of pos */
#define list_for_each(pos, head) for (struct list *pos = (head)->next; pos != (head); pos = pos->next)
#define list_for_each_safe(pos, head)                                                                        \
	for (struct list *pos = (head)->next, *pos##_next = pos->next; pos != (head);                        \
		pos = pos##_next, pos##_next = pos->next)

#endif
