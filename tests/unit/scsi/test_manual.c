/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The manual page: every row of every table has a line of its own, with what is true of it. */
#include "daemon/scsi/manual.c"

#include <stdlib.h>
#include <string.h>
#include "fixture.h"

static char *page;

static void setup(void)
{
	size_t size;
	FILE *f = open_memstream(&page, &size);

	ck_assert_int_eq(manual_write(f), 0);
	fclose(f);
}
static void teardown(void)
{
	free(page);
}

/* The text between two headings. */
static const char *section(const char *title)
{
	static char text[32768];
	char heading[64];
	const char *from, *to;
	size_t n;

	snprintf(heading, sizeof(heading), ".SH %s\n", title);
	from = strstr(page, heading);
	ck_assert_msg(from, "no section %s", title);
	from += strlen(heading);
	to = strstr(from, "\n.SH ");
	n = to ? (size_t)(to - from) + 1 : strlen(from);
	ck_assert_uint_lt(n, sizeof(text));
	memcpy(text, from, n);
	text[n] = '\0';
	return text;
}

START_TEST(every_command_has_its_row)
{
	const char *text = section("COMMANDS");
	unsigned n;
	const struct scsi_op *op = scsi_op_table(&n);

	for (; n--; op++) {
		char row[200], code[16];

		if (op->opcode == OP_VARIABLE)
			snprintf(code, sizeof(code), "7Fh/%04Xh", op->sa);
		else if (op->flags & OP_SERVICE_ACTION)
			snprintf(code, sizeof(code), "%02Xh/%02Xh", op->opcode, op->sa);
		else
			snprintf(code, sizeof(code), "%02Xh", op->opcode);
		snprintf(row, sizeof(row), "\n%s|T{\n%s\nT}|%s|", code, op->name, scsi_fate_name(op->fate));
		ck_assert_msg(strstr(text, row), "no row %s", row);
	}
}
END_TEST

static unsigned count(const char *text, const char *what)
{
	unsigned n = 0;

	while ((text = strstr(text, what))) {
		text += strlen(what);
		n++;
	}
	return n;
}

START_TEST(there_are_no_other_rows)
{
	unsigned n;

	scsi_op_table(&n);
	/* and that of the vendors' opcodes */
	ck_assert_uint_eq(count(section("COMMANDS"), "|T{\n"), n + 1);
}
END_TEST

START_TEST(rows_tell_option_limit_and_guards)
{
	static const char *const rows[] = {
		"3Bh|T{\nWRITE BUFFER\nT}|pass|buffer|600|wn\n",
		"28h|T{\nREAD(10)\nT}|translate||60|\n",
		"2Ah|T{\nWRITE(10)\nT}|translate||60|wm\n",
		"15h|T{\nMODE SELECT(6)\nT}|emulate|||w\n",
		"A1h|T{\nATA PASS-THROUGH(12)\nT}|pass|ata|600|wmn\n",
		"5Eh/00h|T{\nPERSISTENT RESERVE IN, READ KEYS\nT}|LIO|||\n",
		"4Ch|T{\nLOG SELECT\nT}|reject|||\n",
		"7Fh/000Bh|T{\nWRITE(32)\nT}|translate||60|wm\n",
		"C0h\\-FFh|T{\nvendor specific, see below\nT}|pass|its own|600|wmn\n",
	};
	const char *text = section("COMMANDS");

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
		ck_assert_msg(strstr(text, rows[i]), "no row %s", rows[i]);
}
END_TEST

START_TEST(every_page_has_its_row)
{
	char row[80];
	unsigned n;
	const struct mode_page *mode = mode_pages(&n);
	const struct log_page *log;
	const char *text = section("MODE PAGES");

	for (unsigned i = 0; i < n; i++) {
		snprintf(row, sizeof(row), "\n%02Xh|%s|", mode[i].code, mode[i].name);
		ck_assert_msg(strstr(text, row), "no row %s", row);
	}
	ck_assert_uint_eq(count(text, "|T{\n"), n);
	log = log_pages(&n);
	text = section("LOG PAGES");
	for (unsigned i = 0; i < n; i++) {
		snprintf(row, sizeof(row), "\n%02Xh|%s\n", log[i].code, log[i].name);
		ck_assert_msg(strstr(text, row), "no row %s", row);
	}
	text = section("VPD PAGES");
	for (unsigned i = PAGE_VPD_00; i < PAGE_COUNT; i++) {
		snprintf(row, sizeof(row), "\n%02Xh|", scsi_page_code[i]);
		ck_assert_msg(strstr(text, row), "no row %s", row);
	}
	ck_assert_uint_eq(count(text, "|T{\n"), PAGE_COUNT);
}
END_TEST

static char *read_file(const char *path)
{
	char *text = calloc(1, 65536);
	FILE *f = fopen(path, "r");

	ck_assert_msg(f != NULL, "cannot open %s", path);
	ck_assert_uint_lt(fread(text, 1, 65535, f), 65535);
	fclose(f);
	return text;
}

/* What targetcli shows of user:hba, and the manual that it names. */
START_TEST(what_can_be_allowed_is_described_where_people_look)
{
	char *manual = read_file(HBAD_HANDLER "/hbad-handler.7");
	char *handler = read_file(HBAD_HANDLER "/handler.c");
	unsigned n = 0;

	for (unsigned bit = 1; bit <= UINT16_MAX; bit <<= 1) {
		const char *name = scsi_allow_name((enum scsi_allow)bit);
		char tag[64];

		if (!name)
			continue;
		n++;
		snprintf(tag, sizeof(tag), "\n.TP\n.B allow=%s\n", name);
		ck_assert_msg(strstr(manual, tag), "hbad-handler.7 does not describe allow=%s", name);
		ck_assert_msg(strstr(handler, name), "the handler's description has no %s", name);
	}
	/* and that of the vendors' opcodes, which is set in another way */
	ck_assert_uint_eq(count(manual, "\n.TP\n.B allow="), n);
	ck_assert_ptr_nonnull(strstr(manual, "\n.BR allow=c1\\-in "));
	free(manual);
	free(handler);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scsi manual");
	TCase *c = tcase_create("manual");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, every_command_has_its_row);
	tcase_add_test(c, there_are_no_other_rows);
	tcase_add_test(c, rows_tell_option_limit_and_guards);
	tcase_add_test(c, every_page_has_its_row);
	tcase_add_test(c, what_can_be_allowed_is_described_where_people_look);
	suite_add_tcase(s, c);
	return run_suite(s);
}
