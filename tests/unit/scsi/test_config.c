/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cfgstrings, and whether a unit fits what the LUN was created for. */
#include <errno.h>
#include <string.h>
#include "fixture.h"

START_TEST(good_texts_are_taken)
{
	static const struct {
		const char *text, *unit;
		bool ro;
	} rows[] = {
		{"ld0", "ld0", false},
		{"pd12;ro=1", "pd12", true},
		{"ld3;ro=0", "ld3", false},
		{"t1l2", "t1l2", false},
		{"naa.600605B00A1B2C3D", "naa.600605b00a1b2c3d", false},
		{"naa.600605b00a1b2c3d600605b00a1b2c3d;ro=1", "naa.600605b00a1b2c3d600605b00a1b2c3d", true},
	};
	struct scsi_lun_config cfg;
	struct err e;

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		memset(&cfg, 0xff, sizeof(cfg));
		ck_assert_int_eq(scsi_lun_parse(rows[i].text, &cfg, &e), 0);
		ck_assert_str_eq(cfg.unit, rows[i].unit);
		ck_assert(cfg.ro == rows[i].ro);
		ck_assert_uint_eq(cfg.blocks, 0);
	}
}
END_TEST

START_TEST(allow_names_are_bits_and_vendor_opcodes_have_a_direction)
{
	struct scsi_lun_config cfg;
	struct err e = {.text = ""};

	ck_assert_int_eq(scsi_lun_parse("ld0;allow=format+copy+c0-none+FF-out+c1-in;ro=1", &cfg, &e), 0);
	ck_assert_uint_eq(cfg.allow, ALLOW_FORMAT | ALLOW_COPY);
	ck_assert(cfg.ro);
	ck_assert_uint_eq(cfg.vendor[0x00], 1 + DMA_NONE);
	ck_assert_uint_eq(cfg.vendor[0x01], 1 + DMA_FROM_DEVICE);
	ck_assert_uint_eq(cfg.vendor[0x3f], 1 + DMA_TO_DEVICE);
	ck_assert_uint_eq(cfg.vendor[0x02], 0);
	ck_assert_int_eq(scsi_lun_parse("ld0;allow=sanitize+buffer+security+ata+nodata+power", &cfg, &e), 0);
	ck_assert_uint_eq(cfg.allow,
		ALLOW_SANITIZE | ALLOW_BUFFER | ALLOW_SECURITY | ALLOW_ATA | ALLOW_NODATA | ALLOW_POWER);
}
END_TEST

START_TEST(bad_texts_are_refused_with_the_cure)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{"", "names no unit"},
		{";ro=1", "names no unit"},
		{"ld 0", "ldN"},
		{"LD0", "ldN"},
		{"0ld", "ldN"},
		{"ld0/x", "ldN"},
		{"ld-1", "ldN"},
		{"naa.", "16 or 32"},
		{"naa.12345", "16 or 32"},
		{"naa.600605b00a1b2c3g", "16 or 32"},
		{"naa.600605b00a1b2c3d6", "16 or 32"},
		{"ld0;", "known options: ro=0, ro=1"},
		{"ld0;rw=1", "known options: ro=0, ro=1"},
		{"ld0;ro", "known options: ro=0, ro=1"},
		{"ld0;ro=", "takes 0 or 1"},
		{"ld0;ro=10", "takes 0 or 1"},
		{"ld0;ro=2", "takes 0 or 1"},
		{"ld0;ro=1;ro=0", "twice"},
		{"ld0;ro=1;", "known options: ro=0, ro=1"},
		{"ld0;hold=", "0 to 3600"},
		{"ld0;hold=3601", "0 to 3600"},
		{"ld0;hold=99999999999999", "0 to 3600"},
		{"ld0;hold=-1", "0 to 3600"},
		{"ld0;hold=3s", "0 to 3600"},
		{"ld0;hold=1;hold=2", "twice"},
		{"ld0;allow=", "does not know \"\""},
		{"ld0;allow=format+", "does not know \"\""},
		{"ld0;allow=+format", "does not know \"\""},
		{"ld0;allow=formats", "format, sanitize, buffer"},
		{"ld0;allow=c1", "c1-in"},
		{"ld0;allow=bf-in", "c1-in"},
		{"ld0;allow=c1-inn", "c1-in"},
		{"ld0;allow=g1-in", "c1-in"},
		{"ld0;allow=ata;allow=copy", "twice"},
		{"ld0;;ro=1", "known options: ro=0, ro=1"},
		{"ldaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "too long"},
	};
	struct scsi_lun_config cfg;
	struct err e;

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		e.text[0] = '\0';
		ck_assert_msg(scsi_lun_parse(rows[i].text, &cfg, &e) == -EINVAL, "%s", rows[i].text);
		ck_assert_msg(strstr(e.text, rows[i].says), "%s: %s", rows[i].text, e.text);
	}
}
END_TEST

START_TEST(names_of_63_characters_fit_and_64_do_not)
{
	char text[80] = "";
	struct scsi_lun_config cfg;

	memset(text, 'a', 63);
	ck_assert_int_eq(scsi_lun_parse(text, &cfg, NULL), 0);
	text[63] = 'a';
	ck_assert_int_eq(scsi_lun_parse(text, &cfg, NULL), -EINVAL);
}
END_TEST

static int check(struct fx *x, const char *text, uint64_t blocks, uint32_t block_size, struct err *e)
{
	struct scsi_lun_config cfg;

	ck_assert_int_eq(scsi_lun_parse(text, &cfg, e), 0);
	cfg.blocks = blocks;
	cfg.block_size = block_size;
	e->text[0] = '\0';
	return scsi_lun_check(x->host, &cfg, e);
}

START_TEST(a_unit_that_fits_is_confirmed_by_either_name)
{
	struct fx x;
	struct err e;
	const struct scsi_unit *u;

	fx_setup(&x, 4194304);
	ck_assert_int_eq(check(&x, "ld0", 4194304, 512, &e), 0);
	ck_assert_int_eq(check(&x, "ld0", 0, 0, &e), 0);
	ck_assert_uint_eq(scsi_host_units(x.host, &u), 1);
	ck_assert_int_eq(check(&x, u->id.naa_text, 4194304, 512, &e), 0);
	ck_assert_ptr_eq(scsi_host_find(x.host, u->id.naa_text, &e), u);
	fx_teardown(&x);
}
END_TEST

START_TEST(a_wrong_size_is_refused_with_the_right_one)
{
	struct fx x;
	struct err e;

	fx_setup(&x, 4194304);
	ck_assert_int_eq(check(&x, "ld0", 4194303, 512, &e), -EINVAL);
	ck_assert_str_eq(e.text, "unit ld0 has 2147483648 bytes in blocks of 512, the backstore was given "
				 "2147483136 in blocks of 512: create it with size=2147483648");
	ck_assert_int_eq(check(&x, "ld0", 524288, 4096, &e), -EINVAL);
	ck_assert_str_eq(e.text,
		"unit ld0 has 2147483648 bytes in blocks of 512, the backstore was given 2147483648 in "
		"blocks of 4096: create it with size=2147483648 control=hw_block_size=512");
	fx_teardown(&x);
}
END_TEST

START_TEST(a_wrong_unit_is_refused_with_a_list)
{
	struct fake *f = fake_new(3, 4096, 512);
	struct fx x;
	struct err e;

	f->disk[1].inquiry.data[0] = 0x05;
	fx_attach(&x, f);
	ck_assert_int_eq(check(&x, "ld9", 4096, 512, &e), -ENOENT);
	ck_assert_ptr_nonnull(strstr(e.text, "there is no unit ld9; use one of: ld0 (naa.3"));
	ck_assert_ptr_nonnull(strstr(e.text, "ld1 (not usable), ld2 (naa.3"));
	ck_assert_int_eq(check(&x, "ld1", 4096, 512, &e), -EMEDIUMTYPE);
	ck_assert_str_eq(
		e.text, "unit ld1 cannot be exported: it is not a disk (peripheral device type 05h)");
	fx_teardown(&x);
}
END_TEST

START_TEST(many_units_are_listed_as_far_as_they_fit)
{
	struct fake *f = fake_new(200, 4096, 512);
	struct fx x;
	struct err e;

	fx_attach(&x, f);
	ck_assert_int_eq(check(&x, "pd0", 4096, 512, &e), -ENOENT);
	ck_assert_uint_lt(strlen(e.text), sizeof(e.text) - 1);
	ck_assert_str_eq(e.text + strlen(e.text) - 3, "...");
	fx_teardown(&x);
}
END_TEST

START_TEST(before_the_controller_is_ready_nothing_can_be_said)
{
	struct scsi_lun_config cfg = {.unit = "ld0"};
	struct fake *f = fake_new(0, 0, 512);
	const struct scsi_unit *units;
	struct scsi_host *host;
	struct err e = {""};

	ck_assert_int_eq(scsi_host_create((struct loop *)1, &host), 0);
	ck_assert_int_eq(scsi_lun_check(host, &cfg, &e), -EAGAIN);
	ck_assert_ptr_nonnull(strstr(e.text, "not ready"));
	ck_assert_uint_eq(scsi_host_units(host, &units), 0);
	ck_assert_int_eq(scsi_host_attach(host, &f->hba, &e), 0);
	ck_assert_int_eq(scsi_lun_check(host, &cfg, &e), -ENOENT);
	ck_assert_ptr_nonnull(strstr(e.text, "no units"));
	scsi_host_detach(host, SCSI_GATE_GONE);
	ck_assert_int_eq(scsi_lun_check(host, &cfg, &e), -EAGAIN);
	scsi_host_destroy(host);
	fake_free(f);
	scsi_host_destroy(NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scsi config");
	TCase *c = tcase_create("config");

	tcase_add_test(c, good_texts_are_taken);
	tcase_add_test(c, allow_names_are_bits_and_vendor_opcodes_have_a_direction);
	tcase_add_test(c, bad_texts_are_refused_with_the_cure);
	tcase_add_test(c, names_of_63_characters_fit_and_64_do_not);
	tcase_add_test(c, a_unit_that_fits_is_confirmed_by_either_name);
	tcase_add_test(c, a_wrong_size_is_refused_with_the_right_one);
	tcase_add_test(c, a_wrong_unit_is_refused_with_a_list);
	tcase_add_test(c, many_units_are_listed_as_far_as_they_fit);
	tcase_add_test(c, before_the_controller_is_ready_nothing_can_be_said);
	suite_add_tcase(s, c);
	return run_suite(s);
}
