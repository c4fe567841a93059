/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the emulator writes down: records in order, transfers cut, an end with the right sum. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mfi_host.h"

static char path[64];
static uint8_t file[1 << 20];
static size_t size;

static void setup(void)
{
	strcpy(path, "/tmp/hba-emu-capture-XXXXXX");
	close(mkstemp(path));
	rig = rig_new(models[0]);
	rig_unit(rig, "ld0,size=64M");
	rig->cfg.capture = path;
	rig_up(rig);
	client_up(&c, rig->socket);
	client_bus_master(&c, true);
	rig_wait(client_read32(&c, 1, 0xb0) >> 28 == 0x6);
	client_write32(&c, 1, 0x20, 0x18);
	rig_wait(client_read32(&c, 1, 0xb0) >> 28 == 0xb);
}

static void stop_and_load(void)
{
	FILE *f;

	client_close(&c);
	rig_down(rig);
	f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	size = fread(file, 1, sizeof(file), f);
	fclose(f);
	unlink(path);
}

/* The next record of this type at or behind at; NULL: none. Walks the file by its lengths. */
static const uint8_t *find(unsigned type, size_t *at)
{
	while (*at + 16 <= size) {
		const uint8_t *p = file + *at;

		*at += 16 + ((get_le16(p, 2) + 7u) & ~7u);
		if (p[0] == type)
			return p;
	}
	return NULL;
}

START_TEST(the_header_tells_of_the_device)
{
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	stop_and_load();
	ck_assert_uint_gt(size, 0x2a0);
	ck_assert_int_eq(memcmp(file, "HBADCAP\n", 8), 0);
	ck_assert_uint_eq(get_le16(file, 0x08), 1);
	ck_assert_uint_eq(get_le32(file, 0x0c), 0x2a0);
	ck_assert_uint_eq(get_le16(file, 0x18), 0x1000);
	ck_assert_uint_eq(get_le16(file, 0x1a), 0x0079);
	ck_assert_uint_eq(get_le64(file, 0x38), 16384);
	ck_assert_uint_eq(get_le16(file, 0x170), 0x1000);
}
END_TEST

START_TEST(an_access_is_there_with_its_value)
{
	size_t at = 0x2a0;
	const uint8_t *p;

	client_write32(&c, 1, 0x34, 0xfffffffa);
	ck_assert_uint_eq(client_read32(&c, 1, 0x34), 0xfffffffa);
	stop_and_load();
	do
		ck_assert_ptr_nonnull(p = find(2, &at));
	while (get_le32(p, 16) != 0x34);
	ck_assert_uint_eq(p[1], 0x14); /* BAR 1, 4 bytes */
	ck_assert_uint_eq(get_le64(p, 24), 0xfffffffa);
	ck_assert_ptr_nonnull(p = find(1, &at));
	ck_assert_uint_eq(get_le32(p, 16), 0x34);
	ck_assert_uint_eq(get_le64(p, 24), 0xfffffffa);
}
END_TEST

/* LD_GET_LIST, polled: 64 bytes of frame are read, 1032 of answer written and 256 of them recorded. */
START_TEST(transfers_are_there_and_long_ones_are_cut)
{
	uint8_t *f = frame(0);
	size_t at = 0x2a0;
	const uint8_t *p;

	memset(f, 0, 64);
	f[0x00] = 0x05;
	f[0x02] = 0xff;
	f[0x07] = 1;
	le16(f, 0x10, 0x0011);
	le32(f, 0x14, 1032);
	le32(f, 0x18, 0x03010000);
	le32(f, 0x28, MEM_IOVA + AT_DATA);
	le32(f, 0x2c, 1032);
	fire(0, 0);
	rig_wait(frame_again(0)[2] == 0x00);
	stop_and_load();
	ck_assert_ptr_nonnull(p = find(12, &at));
	ck_assert_uint_eq(p[1], 0);
	ck_assert_uint_eq(get_le16(p, 2), 8 + 64);
	ck_assert_uint_eq(get_le64(p, 16), frame_addr(0));
	ck_assert_uint_eq(p[24], 0x05);
	ck_assert_uint_eq(get_le32(p, 24 + 0x18), 0x03010000);
	do
		ck_assert_ptr_nonnull(p = find(13, &at));
	while (get_le64(p, 16) != MEM_IOVA + AT_DATA);
	ck_assert_uint_eq(p[1], 1);
	ck_assert_uint_eq(get_le16(p, 2), 8 + 256);
	ck_assert_uint_eq(get_le32(p, 24), 1);
}
END_TEST

START_TEST(the_end_counts_and_sums)
{
	size_t at = 0x2a0, last;
	uint32_t n = 0;
	const uint8_t *p;

	stop_and_load();
	for (last = at; (p = file + at)[0] != 255; last = at) {
		ck_assert_uint_eq(get_le32(p, 4), n);
		n++;
		at += 16 + ((get_le16(p, 2) + 7u) & ~7u);
		ck_assert_uint_lt(at, size);
	}
	ck_assert_uint_eq(get_le64(p, 16), n);
	ck_assert_uint_eq(get_le32(p, 32), capture_crc(0, file, last));
	ck_assert_uint_eq(get_le32(p, 36), 0);
	ck_assert_uint_eq(last + 16 + 24, size);
}
END_TEST

/* The sum's definition: "123456789" gives cbf43926. */
START_TEST(the_sum_is_the_one_of_ieee_802_3)
{
	ck_assert_uint_eq(capture_crc(capture_crc(0, "1234", 4), "56789", 5), 0xcbf43926);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("capture by the emulator");
	TCase *t = tcase_create("file"), *bare = tcase_create("sum");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, the_header_tells_of_the_device);
	tcase_add_test(t, an_access_is_there_with_its_value);
	tcase_add_test(t, transfers_are_there_and_long_ones_are_cut);
	tcase_add_test(t, the_end_counts_and_sums);
	suite_add_tcase(s, t);
	tcase_add_test(bare, the_sum_is_the_one_of_ieee_802_3);
	suite_add_tcase(s, bare);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
