/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What scsi_host_attach() finds out about units, and the names that it gives them. */
#include <errno.h>
#include <string.h>
#include "base/endian.h"
#include "fixture.h"

static struct fake *fake;
static struct scsi_host *host;

static void setup(void)
{
	fake = fake_new(2, 4096, 512);
	ck_assert_int_eq(scsi_host_create((struct loop *)1, &host), 0);
}
static void teardown(void)
{
	scsi_host_detach(host, SCSI_GATE_GONE);
	scsi_host_destroy(host);
	fake_free(fake);
}

static const struct scsi_unit *attach(void)
{
	struct err e = {""};
	const struct scsi_unit *u;

	ck_assert_msg(scsi_host_attach(host, &fake->hba, &e) == 0, "%s", e.text);
	ck_assert_uint_eq(scsi_host_units(host, &u), fake->hba.n_units);
	return u;
}

static void page83(struct fake_disk *d, const void *designators, size_t n)
{
	uint8_t page[512] = {0x00, 0x83};

	put_be16(page + 2, (uint16_t)n);
	memcpy(page + 4, designators, n);
	fake_set_page(&d->vpd[0x83], page, 4 + n);
}

#define NAA6	   "\x60\x06\x05\xb0\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c"
#define DESIG_NAA6 "\x01\x03\x00\x10" NAA6

/* --- strings and sizes --- */

START_TEST(a_unit_is_what_its_pages_say)
{
	const struct scsi_unit *u = attach();

	ck_assert(u->identified);
	ck_assert_str_eq(u->problem, "");
	ck_assert_str_eq(u->id.vendor, "LSI");
	ck_assert_str_eq(u->id.product, "MR9260-8i");
	ck_assert_str_eq(u->id.revision, "2.13");
	ck_assert_str_eq(u->id.serial, "SN0000");
	ck_assert_uint_eq(u->id.blocks, 4096);
	ck_assert_uint_eq(u->id.block_size, 512);
	ck_assert_uint_eq(u->id.lbppbe, 3);
	ck_assert_uint_eq(u->id.lowest_aligned, 5);
	ck_assert_ptr_eq(u->hba, &fake->hba.unit[0]);
}
END_TEST

START_TEST(inquiry_is_asked_for_36_bytes_first)
{
	attach();
	ck_assert_uint_eq(fake->disk[0].inquiry_alloc[0], 36);
	ck_assert_uint_eq(fake->disk[0].inquiry_alloc[1], 96);
	ck_assert_uint_eq(fake->disk[0].inquiry_alloc[2], 255); /* VPD 00h */
}
END_TEST

START_TEST(firmwares_characters_are_made_safe)
{
	memcpy(fake->disk[0].inquiry.data + 8, "\x1b[31mAB\0", 8);
	fake_set_page(&fake->disk[0].vpd[0x80], "\x00\x80\x00\x06 \xff\nx\0 ", 10);
	ck_assert_str_eq(attach()->id.vendor, "?[31mAB");
	ck_assert_str_eq(attach()->id.serial, "??x");
}
END_TEST

START_TEST(a_serial_number_longer_than_its_place_is_cut)
{
	uint8_t page[4 + 200] = {0x00, 0x80, 0x00, 200};

	memset(page + 4, 'x', 200);
	fake_set_page(&fake->disk[0].vpd[0x80], page, sizeof(page));
	ck_assert_uint_eq(strlen(attach()->id.serial), 64);
}
END_TEST

START_TEST(read_capacity_10_helps_where_16_is_unknown)
{
	fake->disk[0].rc16 = fake->disk[1].rc16 = false;
	fake->disk[1].blocks = UINT64_C(1) << 33;
	const struct scsi_unit *u = attach();

	ck_assert_uint_eq(u[0].id.blocks, 4096);
	ck_assert(!u[1].identified);
	ck_assert_ptr_nonnull(strstr(u[1].problem, "larger than READ CAPACITY(10) can tell"));
}
END_TEST

START_TEST(the_last_page_length_is_bounded)
{
	uint8_t d[600];

	/* VPD 83h longer than 255 bytes is asked for again, and cut at a whole designator. */
	memset(d, 0, sizeof(d));
	for (unsigned i = 0; i + 20 <= sizeof(d); i += 20) {
		memcpy(d + i, DESIG_NAA6, 20);
		d[i + 1] = 0x13; /* of a port */
	}
	memcpy(d + 480, DESIG_NAA6, 20);
	{
		uint8_t page[604] = {0x00, 0x83};

		put_be16(page + 2, 600);
		memcpy(page + 4, d, 600);
		fake_set_page(&fake->disk[0].vpd[0x83], page, sizeof(page));
	}
	ck_assert_str_eq(attach()->id.naa_text, "naa.600605b00102030405060708090a0b0c");
	/* An old unit gives the first 255 bytes, and the designator behind them is not seen. */
	fake->disk[0].low_byte_only = true;
	fake->disk[0].vpd[0x83].data[3] = 0x00; /* 512 bytes + header: 0 to such a unit */
	fake->disk[0].vpd[0x83].data[2] = 0x02;
	ck_assert(attach()->identified);
	ck_assert(!attach()->id.naa_from_unit);
}
END_TEST

/* --- mode and log pages --- */

START_TEST(a_unit_without_mode_sense_is_asked_once)
{
	fake->disk[0].mode_sense = false;
	attach();
	ck_assert_uint_eq(fake->disk[0].cdbs[0x1a], 1);
	ck_assert_uint_eq(fake->disk[1].cdbs[0x1a], 3); /* caching, recovery, power */
	ck_assert_uint_eq(fake->disk[0].cdbs[0x4d], 1);
}
END_TEST

START_TEST(log_page_lists_that_lie_about_their_length_are_bounded)
{
	struct scsi_lun_config cfg;
	struct scsi_lun *lun;
	struct err e;
	struct tst t;

	memset(fake->disk[0].log[0].data, 0x0d, 256);
	memcpy(fake->disk[0].log[0].data, "\x00\x00\xff\xff", 4);
	fake->disk[0].log[0].len = 256;
	attach();
	ck_assert_int_eq(scsi_lun_parse("ld0", &cfg, &e), 0);
	ck_assert_int_eq(scsi_lun_create(host, &cfg, &lun), 0);
	tst_init(&t, lun, "\x4d\0\x40\0\0\0\0\0\xff\0", 10, 255, 1);
	tst_submit(&t);
	assert_good(&t);
	ck_assert_uint_eq(t.task.in_bytes, 6);
	ck_assert_mem_eq(t.buf, "\x00\x00\x00\x02\x00\x0d", 6);
	tst_fini(&t);
	scsi_lun_destroy(lun);
}
END_TEST

/* --- trouble --- */

START_TEST(unit_attentions_and_slow_starts_do_not_stop_discovery)
{
	fake->disk[0].attentions = 3;
	fake->disk[1].becoming_ready = 10;
	const struct scsi_unit *u = attach();

	ck_assert(u[0].identified && u[1].identified);
	ck_assert_uint_ge(fake_slept_ms, 5000);
}
END_TEST

START_TEST(patience_ends)
{
	fake->disk[0].attentions = 1000;
	fake->disk[1].becoming_ready = 1000;
	const struct scsi_unit *u = attach();

	ck_assert(!u[0].identified && !u[1].identified);
	ck_assert_str_eq(u[0].problem, "failed INQUIRY: sense 6/29/00");
	ck_assert_str_eq(u[1].problem, "failed READ CAPACITY(10): sense 2/04/01");
}
END_TEST

START_TEST(one_bad_unit_leaves_the_others_alone)
{
	fake->fault.count = 1;
	fake->fault.kind = HBA_REQ_CDB;
	fake->fault.result = HBA_NO_UNIT;
	const struct scsi_unit *u = attach();

	ck_assert(!u[0].identified && u[1].identified);
	ck_assert_str_eq(u[0].problem, "failed INQUIRY: the controller does not know it or it is offline");
}
END_TEST

/* Its driver may not have heard that it is back. A target has much to say for units that it does not have: not who they are. */
START_TEST(an_offline_unit_that_says_who_it_is_is_told_of)
{
	attach();
	ck_assert_uint_eq(fake->n_answered, 0);
	fake->hba.unit[1].state = HBA_UNIT_OFFLINE;
	fake->hba.unit[1].goings = 7;
	fake->hba.unit[1].outages = 9;
	attach();
	ck_assert_uint_eq(fake->n_answered, 1);
	ck_assert_uint_eq(fake->answered_goings, 7);
	fake->disk[1].inquiry.data[0] = 0x3f;
	attach();
	ck_assert_uint_eq(fake->n_answered, 1);
}
END_TEST

/* Each that is mute costs a reset; the controller is taken for dead if nobody answers between several of them. */
START_TEST(behind_a_mute_unit_another_one_is_asked)
{
	const struct scsi_unit *u;
	unsigned first = 0, inquiries;

	attach();
	for (unsigned op = 0; op < 256; op++)
		first += fake->disk[0].cdbs[op];
	inquiries = fake->disk[0].cdbs[0x12];
	fake->fault.count = 1;
	fake->fault.skip = first;
	fake->fault.kind = HBA_REQ_CDB;
	fake->fault.result = HBA_TIMEOUT;
	u = attach();
	ck_assert(u[0].identified && !u[1].identified);
	ck_assert_str_eq(u[1].problem, "failed INQUIRY: no answer in time");
	ck_assert_uint_eq(fake->disk[0].cdbs[0x12], 2 * inquiries + 1);
}
END_TEST

START_TEST(a_controller_that_goes_away_fails_the_attach)
{
	struct err e = {""};

	fake->run_error = -ENODEV;
	ck_assert_int_eq(scsi_host_attach(host, &fake->hba, &e), -ENODEV);
	ck_assert_uint_ne(strlen(e.text), 0);
	fake->run_error = 0;
	fake->fault.count = 1;
	fake->fault.skip = 5;
	fake->fault.kind = HBA_REQ_CDB;
	fake->fault.result = HBA_GONE;
	ck_assert_int_eq(scsi_host_attach(host, &fake->hba, &e), -ENODEV);
	attach();
}
END_TEST

START_TEST(units_that_cannot_be_exported_say_why)
{
	static const struct {
		uint8_t byte0;
		uint32_t block_size;
		uint64_t blocks;
		const char *says;
	} rows[] = {
		{0x05, 512, 4096, "not a disk (peripheral device type 05h)"},
		{0x0d, 512, 4096, "not a disk (peripheral device type 0dh)"},
		{0x20, 512, 4096, "not connected"},
		{0x7f, 512, 4096, "not connected"},
		{0x00, 520, 4096, "blocks of 520 bytes"},
		{0x00, 512, 0, "impossible size"},
		{0x00, 4096, UINT64_MAX, "impossible size"},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		struct fake_disk *d = &fake->disk[0];

		d->inquiry.data[0] = rows[i].byte0;
		d->block_size = rows[i].block_size;
		d->blocks = rows[i].blocks;
		const struct scsi_unit *u = attach();

		ck_assert(!u->identified);
		ck_assert_msg(strstr(u->problem, rows[i].says), "%s", u->problem);
	}
}
END_TEST

START_TEST(a_unit_without_vpd_pages_is_exported_by_its_controllers_serial)
{
	struct fake_disk *d = &fake->disk[0];
	char first[40];

	memset(d->vpd, 0, sizeof(d->vpd));
	d->mode_sense = false;
	const struct scsi_unit *u = attach();

	ck_assert(u->identified);
	ck_assert_str_eq(u->id.serial, "");
	strcpy(first, u->id.naa_text);
	strcpy(fake->hba.info.serial, "CTL0002");
	ck_assert_str_ne(attach()->id.naa_text, first);
	fake->hba.info.serial[0] = '\0';
	u = attach();
	ck_assert(!u->identified);
	ck_assert_ptr_nonnull(strstr(u->problem, "no identity that lasts"));
	ck_assert(u[1].identified);
}
END_TEST

/* --- NAA --- */

/* SHA-256 of "hbad unit identity 1\0LSI\0MR9260-8i\0SN0000\0", worked out with sha256sum. If this changes,
 * every disk that is exported becomes another one. */
START_TEST(the_derived_identity_is_for_ever)
{
	const struct scsi_unit *u = attach();

	ck_assert(!u->id.naa_from_unit);
	ck_assert_uint_eq(u->id.naa_len, 8);
	ck_assert_str_eq(u->id.naa_text, "naa.3cc95477a4135d27");
}
END_TEST

START_TEST(the_derived_identity_depends_on_the_disk_and_on_nothing_else)
{
	char first[40], second[40];
	const struct scsi_unit *u = attach();

	strcpy(first, u[0].id.naa_text);
	strcpy(second, u[1].id.naa_text);
	ck_assert_str_ne(first, second);
	/* Another name, place and controller; firmware updated. */
	strcpy(fake->hba.unit[0].name, "ld7");
	fake->hba.unit[0].target = 7;
	strcpy(fake->hba.info.serial, "CTL9999");
	memcpy(fake->disk[0].inquiry.data + 32, "9.99", 4);
	ck_assert_str_eq(attach()[0].id.naa_text, first);
	/* One that shifts a character from product to serial number */
	memcpy(fake->disk[0].inquiry.data + 16, "MR9260-8        ", 16);
	fake_set_page(&fake->disk[0].vpd[0x80], "\x00\x80\x00\x07iSN0000", 11);
	ck_assert_str_ne(attach()[0].id.naa_text, first);
}
END_TEST

START_TEST(the_units_own_naa_is_taken_the_longest_first)
{
	static const char naa5[] = "\x01\x03\x00\x08\x50\x00\xc5\x00\x11\x22\x33\x44";
	const struct scsi_unit *u;
	uint8_t both[32];

	page83(&fake->disk[0], naa5, 12);
	u = attach();
	ck_assert(u->id.naa_from_unit);
	ck_assert_str_eq(u->id.naa_text, "naa.5000c50011223344");
	memcpy(both, naa5, 12);
	memcpy(both + 12, DESIG_NAA6, 20);
	page83(&fake->disk[0], both, 32);
	u = attach();
	ck_assert_str_eq(u->id.naa_text, "naa.600605b00102030405060708090a0b0c");
	ck_assert_uint_eq(u->id.naa_len, 16);
	ck_assert_mem_eq(u->id.naa, NAA6, 16);
}
END_TEST

START_TEST(what_is_no_naa_of_the_unit_is_not_taken)
{
	static const struct {
		const char *desig;
		uint8_t n;
	} rows[] = {
		{"\x01\x13\x00\x08\x50\x00\xc5\x00\x11\x22\x33\x44", 12}, /* of the port */
		{"\x01\x23\x00\x08\x50\x00\xc5\x00\x11\x22\x33\x44", 12}, /* of the target */
		{"\x02\x03\x00\x08\x50\x00\xc5\x00\x11\x22\x33\x44", 12}, /* ASCII */
		{"\x01\x02\x00\x08\x50\x00\xc5\x00\x11\x22\x33\x44", 12}, /* EUI-64 */
		{"\x01\x03\x00\x08\x70\x00\xc5\x00\x11\x22\x33\x44", 12}, /* NAA 7h */
		{"\x01\x03\x00\x08\x60\x00\xc5\x00\x11\x22\x33\x44", 12}, /* NAA 6h of 8 bytes */
		{"\x01\x03\x00\x08\x50\x00\x00\x00\x00\x00\x00\x00", 12}, /* never set */
		{"\x01\x03\x00\x08\x5f\xff\xff\xff\xff\xff\xff\xff", 12},
		{"\x01\x03\x00\x10\x60\x00\xc5\x00\x11\x22\x33\x44", 12}, /* longer than the page */
		{"\x01\x03\x00\x00", 4},
		{"\x01\x03", 2},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		page83(&fake->disk[0], rows[i].desig, rows[i].n);
		ck_assert_msg(!attach()->id.naa_from_unit, "row %u", i);
	}
}
END_TEST

START_TEST(two_units_with_one_identity_are_not_both_exported)
{
	const struct scsi_unit *u;

	page83(&fake->disk[0], DESIG_NAA6, 20);
	page83(&fake->disk[1], DESIG_NAA6, 20);
	u = attach();
	ck_assert(u[0].identified);
	ck_assert(!u[1].identified);
	ck_assert_str_eq(u[1].problem, "has the same identity naa.600605b00102030405060708090a0b0c as ld0");
}
END_TEST

START_TEST(the_units_own_designators_are_shown_and_no_derived_one_beside_an_naa)
{
	/* NAA with a protocol identifier and PIV, vendor specific, SCSI name; target port group */
	static const char d[] = "\x61\x83\x00\x08\x50\x00\xc5\x00\x11\x22\x33\x44"
				"\x02\x00\x00\x02yz"
				"\x03\x08\x00\x04naa."
				"\x01\x05\x00\x04\x00\x00\x00\x01";
	static const char want[] = "\x00\x83\x00\x1a"
				   "\x01\x03\x00\x08\x50\x00\xc5\x00\x11\x22\x33\x44"
				   "\x02\x00\x00\x02yz"
				   "\x03\x08\x00\x04naa.";
	struct fx x = {.fake = fake, .host = host};
	struct tst t;

	page83(&fake->disk[0], d, sizeof(d) - 1);
	attach();
	x.lun = fx_lun(&x, "naa.5000c50011223344");
	tst_do(&t, &x, "\x12\x01\x83\0\xff\0", 6, 255);
	assert_good(&t);
	ck_assert_uint_eq(t.task.in_bytes, sizeof(want) - 1);
	ck_assert_mem_eq(t.buf, want, sizeof(want) - 1);
	tst_fini(&t);
	scsi_lun_destroy(x.lun);
}
END_TEST

START_TEST(tables_of_earlier_attaches_are_freed)
{
	for (unsigned i = 0; i < 20; i++) {
		attach();
		scsi_host_detach(host, SCSI_GATE_GONE);
	}
	attach();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scsi identity");
	TCase *c = tcase_create("identity");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, a_unit_is_what_its_pages_say);
	tcase_add_test(c, inquiry_is_asked_for_36_bytes_first);
	tcase_add_test(c, firmwares_characters_are_made_safe);
	tcase_add_test(c, a_serial_number_longer_than_its_place_is_cut);
	tcase_add_test(c, read_capacity_10_helps_where_16_is_unknown);
	tcase_add_test(c, the_last_page_length_is_bounded);
	tcase_add_test(c, a_unit_without_mode_sense_is_asked_once);
	tcase_add_test(c, log_page_lists_that_lie_about_their_length_are_bounded);
	tcase_add_test(c, unit_attentions_and_slow_starts_do_not_stop_discovery);
	tcase_add_test(c, patience_ends);
	tcase_add_test(c, one_bad_unit_leaves_the_others_alone);
	tcase_add_test(c, an_offline_unit_that_says_who_it_is_is_told_of);
	tcase_add_test(c, behind_a_mute_unit_another_one_is_asked);
	tcase_add_test(c, a_controller_that_goes_away_fails_the_attach);
	tcase_add_test(c, units_that_cannot_be_exported_say_why);
	tcase_add_test(c, a_unit_without_vpd_pages_is_exported_by_its_controllers_serial);
	tcase_add_test(c, the_derived_identity_is_for_ever);
	tcase_add_test(c, the_derived_identity_depends_on_the_disk_and_on_nothing_else);
	tcase_add_test(c, the_units_own_naa_is_taken_the_longest_first);
	tcase_add_test(c, what_is_no_naa_of_the_unit_is_not_taken);
	tcase_add_test(c, two_units_with_one_identity_are_not_both_exported);
	tcase_add_test(c, the_units_own_designators_are_shown_and_no_derived_one_beside_an_naa);
	tcase_add_test(c, tables_of_earlier_attaches_are_freed);
	suite_add_tcase(s, c);
	return run_suite(s);
}
