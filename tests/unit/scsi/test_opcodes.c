/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The opcode table, and REPORT SUPPORTED OPERATION CODES against it. */
#include <string.h>
#include "base/endian.h"
#include "fixture.h"
#include "scsi/opcodes.h"

static struct fx x;

/* A unit that has all that rows may ask for, and a LUN that allows everything. */
static void setup(void)
{
	struct fake *f = fake_new(1, 4096, 512);

	f->disk[0].thin = true;
	fx_attach(&x, f);
	scsi_lun_destroy(x.lun);
	x.lun = fx_lun(&x, "ld0;allow=format+sanitize+buffer+security+ata+nodata+copy+power");
}
static void teardown(void)
{
	fx_teardown(&x);
}

static void rsoc_cdb(uint8_t cdb[12], uint8_t options, uint8_t opcode, uint16_t sa, uint32_t alloc)
{
	memset(cdb, 0, 12);
	cdb[0] = 0xa3;
	cdb[1] = 0x0c;
	cdb[2] = options;
	cdb[3] = opcode;
	put_be16(cdb + 4, sa);
	put_be32(cdb + 6, alloc);
}

static void rsoc(struct tst *t, uint8_t options, uint8_t opcode, uint16_t sa, uint32_t alloc)
{
	uint8_t cdb[12];

	rsoc_cdb(cdb, options, opcode, sa, alloc);
	tst_do(t, &x, cdb, sizeof(cdb), alloc);
}

/* --- the table --- */

START_TEST(rows_are_sorted_and_unique)
{
	unsigned n;
	const struct scsi_op *op = scsi_op_table(&n);

	for (unsigned i = 1; i < n; i++)
		ck_assert_msg(op[i - 1].opcode < op[i].opcode ||
				      (op[i - 1].opcode == op[i].opcode && op[i - 1].sa < op[i].sa),
			"%s comes before %s", op[i - 1].name, op[i].name);
}
END_TEST

static unsigned control_byte(const struct scsi_op *op)
{
	return op->opcode == OP_VARIABLE ? 1 : op->cdb_len - 1U;
}

START_TEST(every_row_is_complete_and_found)
{
	unsigned n;
	const struct scsi_op *op = scsi_op_table(&n);

	for (; n--; op++) {
		ck_assert_ptr_nonnull(op->name);
		ck_assert_ptr_eq(scsi_op_lookup(op->opcode, op->sa), op);
		ck_assert_msg((op->start == NULL) == (op->fate >= FATE_LIO), "%s", op->name);
		if (op->fate == FATE_REJECT)
			continue;
		ck_assert_msg((op->time == TIME_NONE) == (op->fate == FATE_EMULATE || op->fate == FATE_LIO),
			"%s", op->name);
		ck_assert_msg(op->usage[0] == op->opcode, "%s", op->name);
		if (op->opcode == OP_VARIABLE) {
			ck_assert_msg(op->usage[7] + 8 == op->cdb_len, "%s", op->name);
			ck_assert_msg(get_be16(op->usage + 8) == op->sa, "%s", op->name);
		} else if (op->flags & OP_SERVICE_ACTION) {
			ck_assert_msg((op->usage[1] & 0x1f) == op->sa, "%s", op->name);
		}
		ck_assert_msg(op->usage[control_byte(op)] == (op->start ? 0x04 : 0),
			"%s: CONTROL is not its last byte", op->name);
		for (unsigned i = op->cdb_len; i < SCSI_USAGE_MAX; i++)
			ck_assert_msg(op->usage[i] == 0, "%s", op->name);
	}
}
END_TEST

START_TEST(cdb_lengths_are_those_of_the_groups)
{
	static const uint8_t group[8] = {6, 10, 10, 32, 16, 12, 0, 0};
	unsigned n;
	const struct scsi_op *op = scsi_op_table(&n);

	for (; n--; op++)
		ck_assert_msg(op->cdb_len == group[op->opcode >> 5], "%s", op->name);
}
END_TEST

/* Refuses what has no data unless the LUN allows it: see test_write_same.c. */
static bool checks_by_itself(const struct scsi_op *op)
{
	return op->opcode == 0x93 || (op->opcode == OP_VARIABLE && op->sa == 0x000d);
}

/* Hazard H16: LIO's read-only and reservation checks do not see them. */
START_TEST(what_changes_media_without_data_needs_to_be_allowed)
{
	unsigned n;
	const struct scsi_op *op = scsi_op_table(&n);

	for (; n--; op++) {
		if (!(op->flags & OP_DATALESS_WRITE))
			continue;
		ck_assert_msg(op->flags & OP_WRITE, "%s", op->name);
		ck_assert_msg(op->fate == FATE_REJECT || op->allow || checks_by_itself(op), "%s", op->name);
	}
}
END_TEST

START_TEST(what_is_not_allowed_is_not_offered)
{
	struct fx plain = x;
	unsigned n;
	const struct scsi_op *op = scsi_op_table(&n);

	plain.lun = fx_lun(&x, "ld0");
	for (; n--; op++) {
		uint8_t cdb[32] = {op->opcode, (uint8_t)op->sa};
		struct tst t;

		if (!op->allow || !op->start)
			continue;
		ck_assert_msg(!scsi_op_offered(op, plain.lun) && scsi_op_offered(op, x.lun), "%s", op->name);
		tst_do(&t, &plain, cdb, op->cdb_len, 64);
		assert_check(&t, 0x05, 0x20, 0x00);
		tst_fini(&t);
	}
	ck_assert_uint_eq(x.fake->n_log, 0);
	scsi_lun_destroy(plain.lun);
}
END_TEST

START_TEST(writes_are_marked)
{
	static const uint8_t writes[] = {0x04, 0x07, 0x0a, 0x2a, 0x2e, 0x3b, 0x3f, 0x41, 0x42, 0x48, 0x83,
		0x85, 0x89, 0x8a, 0x8b, 0x8e, 0x93, 0x9c, 0xa1, 0xaa, 0xae, 0xb5};
	static const uint8_t others[] = {
		0x00, 0x03, 0x08, 0x12, 0x1a, 0x1b, 0x25, 0x28, 0x2f, 0x35, 0x88, 0x8f, 0x91, 0xa8};

	for (unsigned i = 0; i < sizeof(writes); i++)
		ck_assert_msg(scsi_op_first(writes[i])->flags & OP_WRITE, "%02x", writes[i]);
	for (unsigned i = 0; i < sizeof(others); i++)
		ck_assert_msg(!(scsi_op_first(others[i])->flags & OP_WRITE), "%02x", others[i]);
}
END_TEST

START_TEST(long_commands_have_long_limits)
{
	ck_assert_uint_ge(scsi_time_seconds(scsi_op_first(0x1b)->time), 120);
	ck_assert_uint_ge(scsi_time_seconds(scsi_op_first(0x35)->time), 120);
	ck_assert_uint_eq(scsi_time_seconds(scsi_op_first(0x28)->time), 60);
	ck_assert_str_eq(scsi_fate_name(scsi_op_first(0x00)->fate), "pass");
	ck_assert_str_eq(scsi_fate_name(scsi_op_first(0x07)->fate), "reject");
}
END_TEST

/* --- refusals --- */

START_TEST(opcodes_without_a_row_or_with_a_rejected_one_are_invalid)
{
	struct tst t;

	for (unsigned opcode = 0; opcode < 256; opcode++) {
		const struct scsi_op *op = scsi_op_first((uint8_t)opcode);
		uint8_t cdb[32] = {(uint8_t)opcode};

		if (op && op->start && (scsi_op_offered(op, x.lun) || op->flags & OP_SERVICE_ACTION))
			continue;
		if (opcode == 0xa3) /* other service actions are answered */
			continue;
		if (op)
			cdb[1] = (uint8_t)op->sa;
		tst_do(&t, &x, cdb, sizeof(cdb), 64);
		assert_check(&t, 0x05, 0x20, 0x00);
		tst_fini(&t);
	}
	ck_assert_uint_eq(x.fake->n_log, 0);
}
END_TEST

START_TEST(an_unknown_service_action_is_an_invalid_field)
{
	static const uint8_t xdwriteread[32] = {0x7f, 0, 0, 0, 0, 0, 0, 0x18, 0x00, 0x07};
	struct tst t;

	tst_do(&t, &x, "\x9e\x11\0\0\0\0\0\0\0\0\0\0\0\x20\0\0", 16, 32); /* READ LONG(16) */
	assert_check(&t, 0x05, 0x24, 0x00);
	ck_assert_mem_eq(t.task.sense + 15, "\xcc\x00\x01", 3); /* byte 1, bit 4 */
	tst_fini(&t);
	tst_do(&t, &x, "\xa3\x0b\0\0\0\0\0\0\0\x20\0\0", 12, 32); /* REPORT ALIASES */
	assert_check(&t, 0x05, 0x24, 0x00);
	tst_fini(&t);
	tst_do(&t, &x, xdwriteread, 32, 512);
	assert_check(&t, 0x05, 0x24, 0x00);
	ck_assert_mem_eq(t.task.sense + 15, "\xcf\x00\x08", 3); /* byte 8, bit 7 */
	tst_fini(&t);
}
END_TEST

/* SPC-4 4.2.3: ADDITIONAL CDB LENGTH is n - 7 for the last byte n. */
START_TEST(a_long_cdb_of_another_length_than_its_action_takes_is_refused)
{
	uint8_t cdb[32] = {0x7f, 0, 0, 0, 0, 0, 0, 0, 0, 0x09};
	struct tst t;

	for (unsigned len = 0; len < 256; len++) {
		cdb[7] = (uint8_t)len;
		tst_do(&t, &x, cdb, MIN(32, 8 + len), 0);
		if (len == 0x18) {
			assert_good(&t);
		} else if (len < 2) {
			/* too short for a service action */
			assert_check(&t, 0x05, 0x24, 0x00);
		} else {
			assert_check(&t, 0x05, 0x24, 0x00);
			ck_assert_mem_eq(t.task.sense + 15, "\xcf\x00\x07", 3);
		}
		tst_fini(&t);
	}
}
END_TEST

START_TEST(long_reads_and_writes_are_reported_with_length_and_action)
{
	static const uint8_t want[] = {0x00, 0x03, 0x00, 0x20, 0x7f, 0x04, 0, 0, 0, 0, 0, 0x18, 0x00, 0x0b,
		0x1a, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff,
		0xff, 0xff};
	struct tst t;

	rsoc(&t, 2, 0x7f, 0x000b, 512);
	assert_good(&t);
	ck_assert_uint_eq(t.task.in_bytes, sizeof(want));
	ck_assert_mem_eq(t.buf, want, sizeof(want));
	tst_fini(&t);
}
END_TEST

START_TEST(naca_is_refused_in_every_command)
{
	unsigned n;
	const struct scsi_op *op = scsi_op_table(&n);

	for (; n--; op++) {
		uint8_t cdb[32] = {op->opcode, (uint8_t)op->sa};
		struct tst t;

		if (!op->start || !scsi_op_offered(op, x.lun))
			continue;
		if (op->opcode == OP_VARIABLE) {
			cdb[7] = 24;
			put_be16(cdb + 8, op->sa);
		}
		cdb[control_byte(op)] = 0x04;
		tst_do(&t, &x, cdb, op->cdb_len, 64);
		assert_check(&t, 0x05, 0x24, 0x00);
		ck_assert_uint_eq(t.task.sense[15], 0xca); /* bit 2 */
		ck_assert_uint_eq(get_be16(t.task.sense + 16), control_byte(op));
		tst_fini(&t);
	}
	ck_assert_uint_eq(x.fake->n_log, 0);
}
END_TEST

/* H17: a CDB shorter than its group. */
START_TEST(a_cdb_that_was_cut_is_refused)
{
	uint8_t cdb[16];
	struct tst t;

	cdb16(cdb, 0x88, 0, 0, 1);
	tst_do(&t, &x, cdb, 15, 512);
	assert_check(&t, 0x05, 0x24, 0x00);
	tst_fini(&t);
	tst_do(&t, &x, "", 0, 0);
	assert_check(&t, 0x05, 0x20, 0x00);
	tst_fini(&t);
	/* Longer than needed is how some transports deliver. */
	cdb10(cdb, 0x28, 0, 0, 1);
	tst_do(&t, &x, cdb, 16, 512);
	assert_good(&t);
	tst_fini(&t);
}
END_TEST

/* --- REPORT SUPPORTED OPERATION CODES --- */

static void check_all(bool rctd)
{
	unsigned n, each = rctd ? 20 : 8, at = 4;
	const struct scsi_op *op = scsi_op_table(&n);
	struct tst t;

	rsoc(&t, rctd ? 0x80 : 0x00, 0, 0, 4096);
	assert_good(&t);
	ck_assert_uint_eq(t.task.in_bytes, get_be32(t.buf) + 4U);
	for (; n--; op++) {
		const uint8_t *p = t.buf + at;

		if (!scsi_op_offered(op, x.lun))
			continue;
		ck_assert_uint_eq(p[0], op->opcode);
		ck_assert_uint_eq(get_be16(p + 2), op->sa);
		ck_assert_uint_eq(p[5], (rctd ? 2 : 0) | (op->flags & OP_SERVICE_ACTION ? 1 : 0));
		ck_assert_uint_eq(get_be16(p + 6), op->cdb_len);
		if (rctd) {
			ck_assert_uint_eq(get_be16(p + 8), 10);
			ck_assert_uint_eq(get_be32(p + 16), scsi_time_seconds(op->time));
		}
		at += each;
	}
	ck_assert_uint_eq(at, t.task.in_bytes);
	tst_fini(&t);
}

START_TEST(option_0_lists_the_table_and_no_rejected_command)
{
	check_all(false);
	check_all(true);
}
END_TEST

/* Bytes by hand from SPC-4: SUPPORT 3, 10 bytes of CDB; DPO, FUA and FUA_NV, LBA, length, NACA. */
START_TEST(read_10_is_reported_as_it_is)
{
	static const uint8_t want[] = {
		0x00, 0x03, 0x00, 0x0a, 0x28, 0x1a, 0xff, 0xff, 0xff, 0xff, 0x00, 0xff, 0xff, 0x04};
	static const uint8_t times[] = {0x00, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 60};
	struct tst t;

	rsoc(&t, 1, 0x28, 0, 512);
	assert_good(&t);
	ck_assert_uint_eq(t.task.in_bytes, sizeof(want));
	ck_assert_mem_eq(t.buf, want, sizeof(want));
	tst_fini(&t);
	rsoc(&t, 0x81, 0x28, 0, 512);
	ck_assert_uint_eq(t.task.in_bytes, sizeof(want) + sizeof(times));
	ck_assert_uint_eq(t.buf[1], 0x83);
	ck_assert_mem_eq(t.buf + sizeof(want), times, sizeof(times));
	tst_fini(&t);
}
END_TEST

/* H23: LIO hands these to pass-through back ends, and TPGS says that there are none. */
START_TEST(target_port_groups_are_neither_reported_nor_answered)
{
	struct tst t;

	for (unsigned i = 0; i < 2; i++) {
		uint8_t cdb[16] = {(uint8_t)(0xa3 + i), 0x0a, [9] = 64};

		rsoc(&t, 3, cdb[0], 0x0a, 64);
		assert_good(&t);
		ck_assert_uint_eq(t.buf[1], 1);
		tst_fini(&t);
		tst_do(&t, &x, cdb, 16, 64);
		/* Of A3h other service actions are answered, of A4h none. */
		assert_check(&t, 0x05, i ? 0x20 : 0x24, 0x00);
		ck_assert_mem_eq(t.task.sense + 15, i ? "\0\0\0" : "\xcc\x00\x01", 3);
		tst_fini(&t);
	}
}
END_TEST

/* LIO's commands work for initiators, so they are reported; should one come here, it is not ours. */
START_TEST(what_lio_answers_is_reported_and_not_answered_here)
{
	static const struct {
		uint8_t cdb[16], len, usage[12];
	} rows[] = {
		{{0x16}, 6, {0x16}},
		{{0x5e, 0x02}, 10, {0x5e, 0x02, 0, 0, 0, 0, 0, 0xff, 0xff, 0}},
		{{0x5f, 0x05}, 10, {0x5f, 0x05, 0xff, 0, 0, 0xff, 0xff, 0xff, 0xff, 0}},
	};
	struct tst t;

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		rsoc(&t, 3, rows[i].cdb[0], rows[i].cdb[1], 64);
		assert_good(&t);
		ck_assert_uint_eq(t.buf[1], 3);
		ck_assert_uint_eq(t.buf[3], rows[i].len);
		ck_assert_mem_eq(t.buf + 4, rows[i].usage, rows[i].len);
		tst_fini(&t);
		tst_do(&t, &x, rows[i].cdb, 16, 512);
		assert_check(&t, 0x05, 0x20, 0x00);
		tst_fini(&t);
	}
}
END_TEST

START_TEST(every_row_is_reported_alone)
{
	unsigned n;
	const struct scsi_op *op = scsi_op_table(&n);

	for (; n--; op++) {
		uint8_t option = op->flags & OP_SERVICE_ACTION ? 2 : 1;
		bool rejected = !scsi_op_offered(op, x.lun);
		struct tst t;

		for (; option <= 3; option += 3 - option ? 3 - option : 1) {
			rsoc(&t, option, op->opcode, op->sa, 64);
			assert_good(&t);
			ck_assert_uint_eq(t.buf[1], rejected ? 1 : 3);
			ck_assert_uint_eq(t.task.in_bytes, rejected ? 4 : 4U + op->cdb_len);
			if (!rejected)
				ck_assert_mem_eq(t.buf + 4, op->usage, op->cdb_len);
			tst_fini(&t);
		}
	}
}
END_TEST

START_TEST(options_that_do_not_fit_the_opcode_are_refused)
{
	struct tst t;

	rsoc(&t, 1, 0xa3, 0, 64); /* has service actions */
	assert_check(&t, 0x05, 0x24, 0x00);
	ck_assert_mem_eq(t.task.sense + 15, "\xca\x00\x02", 3);
	tst_fini(&t);
	rsoc(&t, 2, 0x28, 0, 64); /* has none */
	assert_check(&t, 0x05, 0x24, 0x00);
	tst_fini(&t);
	for (uint8_t option = 4; option < 8; option++) {
		rsoc(&t, option, 0x28, 0, 64);
		assert_check(&t, 0x05, 0x24, 0x00);
		tst_fini(&t);
	}
}
END_TEST

START_TEST(what_is_not_there_is_reported_as_not_supported)
{
	static const struct {
		uint8_t option, opcode;
		uint16_t sa;
	} rows[] = {{1, 0xc1, 0}, {1, 0x94, 0}, {2, 0x7f, 0x20}, {2, 0xa3, 0x0b}, {2, 0xa3, 0x010c},
		{3, 0x28, 1}, {3, 0x9e, 0x11}};
	struct tst t;

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		rsoc(&t, rows[i].option, rows[i].opcode, rows[i].sa, 64);
		assert_good(&t);
		ck_assert_uint_eq(t.buf[1], 1);
		ck_assert_uint_eq(t.task.in_bytes, 4);
		tst_fini(&t);
	}
}
END_TEST

START_TEST(the_whole_list_is_cut_anywhere)
{
	struct tst whole, t;
	uint32_t len;

	rsoc(&whole, 0x80, 0, 0, 8192);
	len = (uint32_t)whole.task.in_bytes;
	for (uint32_t alloc = 0; alloc < len + 50; alloc += 1 + alloc / 40) {
		uint8_t cdb[12];

		rsoc(&t, 0x80, 0, 0, alloc);
		assert_good(&t);
		ck_assert_uint_eq(t.task.in_bytes, MIN(alloc, len));
		ck_assert_mem_eq(t.buf, whole.buf, MIN(alloc, len));
		tst_fini(&t);
		/* less room than the CDB says, in pieces */
		rsoc_cdb(cdb, 0x80, 0, 0, 65535);
		tst_init(&t, x.lun, cdb, sizeof(cdb), alloc, MIN(alloc, 7));
		tst_submit(&t);
		ck_assert_uint_eq(t.task.in_bytes, MIN(alloc, len));
		ck_assert_mem_eq(t.buf, whole.buf, MIN(alloc, len));
		tst_fini(&t);
	}
	tst_fini(&whole);
}
END_TEST

START_TEST(allocation_length_cuts_the_answer)
{
	struct tst t;

	for (uint32_t alloc = 0; alloc < 20; alloc++) {
		rsoc(&t, 1, 0x28, 0, alloc);
		assert_good(&t);
		ck_assert_uint_eq(t.task.in_bytes, MIN(alloc, 14));
		tst_fini(&t);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scsi opcodes");
	TCase *c = tcase_create("opcodes");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, rows_are_sorted_and_unique);
	tcase_add_test(c, every_row_is_complete_and_found);
	tcase_add_test(c, cdb_lengths_are_those_of_the_groups);
	tcase_add_test(c, what_changes_media_without_data_needs_to_be_allowed);
	tcase_add_test(c, what_is_not_allowed_is_not_offered);
	tcase_add_test(c, writes_are_marked);
	tcase_add_test(c, long_commands_have_long_limits);
	tcase_add_test(c, opcodes_without_a_row_or_with_a_rejected_one_are_invalid);
	tcase_add_test(c, an_unknown_service_action_is_an_invalid_field);
	tcase_add_test(c, a_long_cdb_of_another_length_than_its_action_takes_is_refused);
	tcase_add_test(c, long_reads_and_writes_are_reported_with_length_and_action);
	tcase_add_test(c, naca_is_refused_in_every_command);
	tcase_add_test(c, a_cdb_that_was_cut_is_refused);
	tcase_add_test(c, option_0_lists_the_table_and_no_rejected_command);
	tcase_add_test(c, read_10_is_reported_as_it_is);
	tcase_add_test(c, target_port_groups_are_neither_reported_nor_answered);
	tcase_add_test(c, what_lio_answers_is_reported_and_not_answered_here);
	tcase_add_test(c, every_row_is_reported_alone);
	tcase_add_test(c, options_that_do_not_fit_the_opcode_are_refused);
	tcase_add_test(c, what_is_not_there_is_reported_as_not_supported);
	tcase_add_test(c, the_whole_list_is_cut_anywhere);
	tcase_add_test(c, allocation_length_cuts_the_answer);
	suite_add_tcase(s, c);
	return run_suite(s);
}
