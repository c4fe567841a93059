/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The intrusive list. */
#include "main.h"

#include "base/list.h"

struct item {
	int n;
	struct list link;
};

static struct list head;
static struct item items[5];

static void setup(void)
{
	list_init(&head);
	for (int i = 0; i < 5; i++) {
		items[i].n = i;
		list_init(&items[i].link);
	}
}

/* The list holds exactly these, in both directions. */
static void expect(const struct list *l, const char *want)
{
	char forth[16] = "", back[16] = "";
	int n = 0;

	list_for_each(pos, l)
		forth[n++] = (char)('0' + container_of(pos, struct item, link)->n);
	forth[n] = '\0';
	for (struct list *pos = l->prev; pos != l; pos = pos->prev)
		back[--n] = (char)('0' + container_of(pos, struct item, link)->n);
	ck_assert_int_eq(n, 0);
	ck_assert_str_eq(forth, want);
	ck_assert_str_eq(back, want);
}

START_TEST(keeps_order)
{
	ck_assert(list_empty(&head));
	ck_assert_ptr_null(list_first(&head, struct item, link));
	list_append(&head, &items[1].link);
	list_append(&head, &items[2].link);
	list_prepend(&head, &items[0].link);
	expect(&head, "012");
	ck_assert_ptr_eq(list_first(&head, struct item, link), &items[0]);
	ck_assert(!list_empty(&head));
}
END_TEST

START_TEST(removal_is_idempotent)
{
	list_append(&head, &items[0].link);
	list_append(&head, &items[1].link);
	list_append(&head, &items[2].link);
	list_remove(&items[1].link);
	expect(&head, "02");
	list_remove(&items[1].link);
	expect(&head, "02");
	ck_assert(list_empty(&items[1].link));
	list_remove(&items[0].link);
	list_remove(&items[2].link);
	ck_assert(list_empty(&head));
	list_append(&head, &items[1].link);
	expect(&head, "1");
}
END_TEST

START_TEST(removal_while_walking)
{
	for (int i = 0; i < 5; i++)
		list_append(&head, &items[i].link);
	list_for_each_safe(pos, &head)
		if (container_of(pos, struct item, link)->n % 2 == 0)
			list_remove(pos);
	expect(&head, "13");
}
END_TEST

START_TEST(splice_moves_all)
{
	struct list from;

	list_init(&from);
	list_splice(&head, &from);
	ck_assert(list_empty(&head));
	list_append(&from, &items[2].link);
	list_append(&from, &items[3].link);
	list_splice(&head, &from);
	expect(&head, "23");
	ck_assert(list_empty(&from));
	list_append(&from, &items[0].link);
	list_splice(&head, &from);
	expect(&head, "230");
	ck_assert(list_empty(&from));
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("list");

	tcase_add_checked_fixture(c, setup, NULL);
	tcase_add_test(c, keeps_order);
	tcase_add_test(c, removal_is_idempotent);
	tcase_add_test(c, removal_while_walking);
	tcase_add_test(c, splice_moves_all);
	return run_case(c, "list");
}
