/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What Linux 6.12's megaraid_sas sent to the SAS3108 model (tests/lab/judge --capture), byte for byte at its addresses:
 * IOC INIT with three reply queues, CTRL_GET_INFO passed through, INQUIRY to a system drive by the fast path, a read of a
 * logical drive, and one with its list in a chain frame.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mfi_host.h"
#include "tests/unit/linux_sas3108.h"

#define LOW	 0x1080000u /* frames, queues and sense are in 3 MiB from here */
#define LOW_SIZE 0x300000u

static const uint8_t init_frame[64] = {0x00, 0x00, 0xff, 0x00, 0xdb, 0xdd, 0x00,
	0x00, [0x10] = 0x01, [0x14] = 0x48, [0x18] = 0x00, 0x10, 0x08, 0x01};
static const uint8_t ioc_init[72] = {0x04, 0x00, 0x00, 0x02, [0x07] = 0x01, [0x0c] = 0x00, 0x02, 0x00,
	0x10, [0x16] = 0x0c, 0x03, [0x1a] = 0x40, 0x00, 0xe0, 0x07, [0x2a] = 0x18, 0x01, [0x31] = 0xb0, 0x13,
	0x01, [0x40] = 0xb0, 0x18, 0xa1, 0xfc, 0xa1, 0x01};
static const uint32_t queues[3] = {0x1300000, 0x1303f00, 0x1307e00};

static uint8_t *low(uint32_t addr)
{
	return c.mem + (addr - LOW);
}

static uint8_t *page(unsigned n)
{
	return c.mem + LOW_SIZE + 0x1000 * (n + 1);
}

static void post(uint64_t desc)
{
	ck_assert_int_eq(client_write(&c, 1, 0xc0, &desc, 8), 0);
}

static void setup(void)
{
	const struct model *model = NULL;

	for (unsigned i = 0; models[i]; i++)
		if (strcmp(models[i]->name, "sas3108") == 0)
			model = models[i];
	rig = rig_new(model);
	rig_unit(rig, "ld0,size=64M");
	rig_unit(rig, "pd8,size=64M");
	rig_up(rig);
	client_up(&c, rig->socket);
	ck_assert_int_eq(client_map(&c, LOW, LOW_SIZE, 3, c.memfd, 0), 0);
	ck_assert_int_eq(client_map(&c, CHAIN, 0x1000, 3, c.memfd, LOW_SIZE), 0);
	for (unsigned i = 0; i < 17; i++)
		ck_assert_int_eq(
			client_map(&c, pages[i], 0x1000, 3, c.memfd, LOW_SIZE + 0x1000 * (i + 1)), 0);
	client_bus_master(&c, true);
	rig_wait(client_read32(&c, 1, 0xb0) >> 28 == 0x6);
	client_write32(&c, 1, 0x00, 0x18);
	rig_wait(client_read32(&c, 1, 0xb0) >> 28 == 0xb);
	memcpy(low(0x1088000), init_frame, sizeof(init_frame));
	memcpy(low(0x1081000), ioc_init, sizeof(ioc_init));
	for (unsigned i = 0; i < 3; i++) {
		le64(low(0x113b000), 16 * i, queues[i]);
		memset(low(queues[i]), 0xff, 0x7e0 * 8);
	}
	client_write32(&c, 1, 0x34, UINT32_MAX);
	post(0x0000000001088002);
	rig_wait(low(0x1088000)[2] != 0xff);
	ck_assert_uint_eq(low(0x1088000)[2], 0x00);
	ck_assert_uint_eq(client_read32(&c, 1, 0xb0), 0xc45003f0);
}

static void teardown(void)
{
	ck_assert_uint_eq(rig_stats(rig).protocol_errors, 0);
	client_close(&c);
	rig_down(rig);
}

/* An entry as the capture has it: zero but for queue and number. */
static void answered(unsigned queue, uint16_t smid)
{
	const uint8_t *e = low(queues[queue]);

	rig_wait(get_le64(e, 0) != UINT64_MAX);
	ck_assert_uint_eq(get_le64(e, 0), (uint64_t)smid << 16 | queue << 8);
}

START_TEST(a_dcmd_passed_through)
{
	memcpy(low(0x11be500), info_request, 256);
	memcpy(low(0x10bf000), info_frame, 64);
	post(INFO_DESC);
	answered(0, 0x3e5);
	ck_assert_uint_eq(low(0x10bf000)[2], 0x00);
	ck_assert_uint_eq(get_le32(low(0x1083000), 0), 0x005d1000);
}
END_TEST

START_TEST(an_inquiry_by_the_fast_path)
{
	memcpy(low(0x11b4100), inquiry_request, 256);
	post(INQUIRY_DESC);
	answered(2, 0x341);
	ck_assert_uint_eq(get_le16(low(0x11b4100), 0x76), 0);
	ck_assert_int_eq(memcmp(page(16) + 0xb00 + 8, "SEAGATE ", 8), 0);
}
END_TEST

START_TEST(a_read)
{
	memset(page(15), 0xaa, 0x1000);
	memcpy(low(0x11b7500), read_request, 256);
	post(READ_DESC);
	answered(2, 0x375);
	ck_assert_uint_eq(get_le16(low(0x11b7500), 0x76), 0);
	for (unsigned i = 0; i < 0x1000; i++)
		ck_assert_uint_eq(page(15)[i], 0);
}
END_TEST

START_TEST(a_read_with_a_chain)
{
	for (unsigned i = 0; i < 15; i++)
		memset(page(i), 0xaa, 0x1000);
	memcpy(low(0x11b5d00), chained_request, 256);
	memcpy(c.mem + LOW_SIZE, chain_frame, sizeof(chain_frame));
	post(CHAINED_DESC);
	answered(2, 0x35d);
	ck_assert_uint_eq(get_le16(low(0x11b5d00), 0x76), 0);
	for (unsigned i = 0; i < 15; i++)
		for (unsigned j = 0; j < 0x1000; j++)
			ck_assert_uint_eq(page(i)[j], 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("what Linux sends");
	TCase *t = tcase_create("sas3108");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_dcmd_passed_through);
	tcase_add_test(t, an_inquiry_by_the_fast_path);
	tcase_add_test(t, a_read);
	tcase_add_test(t, a_read_with_a_chain);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
