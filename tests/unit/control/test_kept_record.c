/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The record that one hbad leaves for the next: bytes, which may be anybody's. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "control/kept.h"
#include "tests/unit/run_suite.h"

static struct kept k;
static uint8_t bytes[KEPT_RECORD_MAX];
static size_t n_bytes;
static struct err e;

static void setup(void)
{
	memset(&e, 0, sizeof(e));
	kept_init(&k);
	strcpy(k.addr, "0000:03:00.0");
	strcpy(k.hba.driver, "megaraid-mfi");
	k.hba.id = (struct pci_id){0x1000, 0x0079, 0x1028, 0x1f17, 0x010400, 5};
	k.hba.n_arenas = 3;
	for (unsigned i = 0; i < 3; i++) {
		k.hba.arena[i].iova = 0x100000 * (i + 1);
		k.hba.arena[i].size = 0x8000;
	}
	k.hba.n_bytes = 5;
	memcpy(k.hba.bytes, "12345", 5);
	n_bytes = kept_encode(&k, bytes);
}

static void put32(unsigned at, uint32_t v)
{
	v = htole32(v);
	memcpy(bytes + at, &v, 4);
}

static void put64(unsigned at, uint64_t v)
{
	v = htole64(v);
	memcpy(bytes + at, &v, 8);
}

/* Another implementation than the one under test: by polynomial division of one bit after the other. */
static void sign(void)
{
	uint32_t crc = 0xffffffff;

	put32(0x10, 0);
	for (size_t bit = 0; bit < 8 * n_bytes; bit++) {
		uint32_t out = (crc ^ bytes[bit / 8] >> bit % 8) & 1;

		crc = crc >> 1 ^ (out ? 0xedb88320 : 0);
	}
	put32(0x10, crc ^ 0xffffffff);
}

static int decode(void)
{
	struct kept to;

	kept_init(&to);
	e.text[0] = '\0';
	return kept_decode(bytes, n_bytes, &to, &e);
}

START_TEST(a_record_comes_back_as_it_was)
{
	struct kept to;

	kept_init(&to);
	ck_assert_int_eq(kept_decode(bytes, n_bytes, &to, &e), 0);
	ck_assert_str_eq(to.addr, k.addr);
	ck_assert_str_eq(to.hba.driver, k.hba.driver);
	ck_assert_uint_eq(to.hba.id.vendor, 0x1000);
	ck_assert_uint_eq(to.hba.id.device, 0x0079);
	ck_assert_uint_eq(to.hba.id.subvendor, 0x1028);
	ck_assert_uint_eq(to.hba.id.subdevice, 0x1f17);
	ck_assert_uint_eq(to.hba.id.class_code, 0x010400);
	ck_assert_uint_eq(to.hba.id.revision, 5);
	ck_assert_uint_eq(to.hba.n_arenas, 3);
	ck_assert_uint_eq(to.hba.arena[2].iova, 0x300000);
	ck_assert_uint_eq(to.hba.arena[2].size, 0x8000);
	ck_assert_int_eq(to.hba.arena[2].memfd, -1);
	ck_assert_uint_eq(to.hba.n_bytes, 5);
	ck_assert_mem_eq(to.hba.bytes, "12345", 5);
	/* By hand. */
	ck_assert_uint_eq(n_bytes, 0xe0 + 5);
	ck_assert_mem_eq(bytes, "hbadkept\x01\0\0\0\xe5\0\0\0", 16);
	ck_assert_mem_eq(bytes + 0x14,
		"\x03\0\0\0\x05\0\0\0"
		"0000:03:00.0\0",
		21);
	ck_assert_mem_eq(bytes + 0x60, "\0\0\x10\0\0\0\0\0\0\x80\0\0\0\0\0\0", 16);
}
END_TEST

START_TEST(the_largest_record_fits)
{
	k.hba.n_arenas = HBA_FROZEN_ARENAS;
	for (unsigned i = 0; i < HBA_FROZEN_ARENAS; i++)
		k.hba.arena[i] = (struct hba_frozen_arena){0x100000 * (i + 1), 0x100000, -1};
	k.hba.n_bytes = HBA_FROZEN_BYTES;
	n_bytes = kept_encode(&k, bytes);
	ck_assert_uint_le(n_bytes, KEPT_RECORD_MAX);
	ck_assert_int_eq(decode(), 0);
}
END_TEST

START_TEST(no_bit_may_be_another)
{
	for (size_t bit = 0; bit < 8 * n_bytes; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ck_assert_int_eq(decode(), -EBADMSG);
		ck_assert(e.text[0]);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	ck_assert_int_eq(decode(), 0);
}
END_TEST

START_TEST(no_length_may_be_another)
{
	size_t whole = n_bytes;

	for (n_bytes = 0; n_bytes < whole; n_bytes++)
		ck_assert_int_eq(decode(), -EBADMSG);
	n_bytes = whole + 1;
	ck_assert_int_eq(decode(), -EBADMSG);
	n_bytes = KEPT_RECORD_MAX;
	ck_assert_int_eq(decode(), -EBADMSG);
}
END_TEST

/* Each with a checksum that is right. */
static void version_2(void)
{
	put32(0x08, 2);
}
static void version_0(void)
{
	put32(0x08, 0);
}
static void size_short(void)
{
	put32(0x0c, 0xe4);
}
static void arenas_too_many(void)
{
	put32(0x14, HBA_FROZEN_ARENAS + 1);
}
static void arenas_millions(void)
{
	put32(0x14, UINT32_MAX);
}
static void bytes_more(void)
{
	put32(0x18, 6);
}
static void bytes_millions(void)
{
	put32(0x18, UINT32_MAX - 0xdf);
}
static void addr_endless(void)
{
	memset(bytes + 0x1c, '0', 16);
}
static void addr_empty(void)
{
	bytes[0x1c] = 0;
}
static void addr_short(void)
{
	strcpy((char *)bytes + 0x1c, "03:00.0");
}
static void addr_path(void)
{
	strcpy((char *)bytes + 0x1c, "../../dev/sda");
}
static void driver_endless(void)
{
	memset(bytes + 0x2c, 'x', 32);
}
static void driver_empty(void)
{
	bytes[0x2c] = 0;
}
static void driver_control(void)
{
	bytes[0x2d] = 0x1b;
}
static void revision_wide(void)
{
	put32(0x58, 256);
}
static void arena_empty(void)
{
	put64(0x68, 0);
}
static void arena_wraps(void)
{
	put64(0x60, UINT64_MAX - 0x7ffe);
}
static void arena_endless(void)
{
	put64(0x68, UINT64_MAX);
}
static void arenas_same(void)
{
	put64(0x70, 0x100000);
}
static void arenas_touch_inside(void)
{
	put64(0x70, 0x107fff);
}
static void arena_around(void)
{
	put64(0x80, 0x1000);
	put64(0x88, 0x10000000);
}

static const struct {
	const char *what;
	void (*spoil)(void);
} spoils[] = {
#define SPOIL(x)                                                                                             \
	{                                                                                                    \
#x, x                                                                                        \
	}
	SPOIL(version_2),
	SPOIL(version_0),
	SPOIL(size_short),
	SPOIL(arenas_too_many),
	SPOIL(arenas_millions),
	SPOIL(bytes_more),
	SPOIL(bytes_millions),
	SPOIL(addr_endless),
	SPOIL(addr_empty),
	SPOIL(addr_short),
	SPOIL(addr_path),
	SPOIL(driver_endless),
	SPOIL(driver_empty),
	SPOIL(driver_control),
	SPOIL(revision_wide),
	SPOIL(arena_empty),
	SPOIL(arena_wraps),
	SPOIL(arena_endless),
	SPOIL(arenas_same),
	SPOIL(arenas_touch_inside),
	SPOIL(arena_around),
};

START_TEST(no_field_may_be_nonsense)
{
	sign();
	ck_assert_msg(decode() == 0, "the test's checksum is wrong: %s", e.text);
	spoils[_i].spoil();
	sign();
	ck_assert_msg(decode() == -EBADMSG && e.text[0], "%s is taken", spoils[_i].what);
}
END_TEST

START_TEST(a_refused_record_changes_nothing)
{
	struct kept to, before;

	memset(&to, 0x55, sizeof(to));
	before = to;
	bytes[n_bytes - 1] ^= 1;
	ck_assert_int_eq(kept_decode(bytes, n_bytes, &to, &e), -EBADMSG);
	ck_assert_mem_eq(&to, &before, sizeof(to));
}
END_TEST

START_TEST(the_file_is_sealed_and_nothing_else_is_read)
{
	struct kept to;
	int fd = -1, open_one = memfd_create("t", MFD_CLOEXEC | MFD_ALLOW_SEALING),
	    null = open("/dev/null", O_RDWR | O_CLOEXEC);

	kept_init(&to);
	ck_assert_int_eq(kept_write_record(&k, &fd, &e), 0);
	ck_assert_int_eq(pwrite(fd, "x", 1, 0), -1);
	ck_assert_int_eq(ftruncate(fd, 0), -1);
	ck_assert_int_eq(kept_read_record(fd, &to, &e), 0);
	ck_assert_str_eq(to.addr, k.addr);
	/* Somebody could change it while it is read. */
	ck_assert_int_eq(write(open_one, bytes, n_bytes), (ssize_t)n_bytes);
	ck_assert_int_eq(kept_read_record(open_one, &to, &e), -EBADMSG);
	/* Longer than any. */
	ck_assert_int_eq(ftruncate(open_one, KEPT_RECORD_MAX + 1), 0);
	ck_assert_int_eq(
		fcntl(open_one, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL), 0);
	ck_assert_int_eq(kept_read_record(open_one, &to, &e), -EBADMSG);
	ck_assert_int_eq(kept_read_record(null, &to, &e), -EBADMSG);
	ck_assert_int_eq(kept_read_record(-1, &to, &e), -EBADMSG);
	close(fd);
	close(open_one);
	close(null);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("kept record");
	TCase *t = tcase_create("record");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, a_record_comes_back_as_it_was);
	tcase_add_test(t, the_largest_record_fits);
	tcase_add_test(t, no_bit_may_be_another);
	tcase_add_test(t, no_length_may_be_another);
	tcase_add_loop_test(t, no_field_may_be_nonsense, 0, (int)ARRAY_SIZE(spoils));
	tcase_add_test(t, a_refused_record_changes_nothing);
	tcase_add_test(t, the_file_is_sealed_and_nothing_else_is_read);
	suite_add_tcase(s, t);
	return run_suite(s);
}
