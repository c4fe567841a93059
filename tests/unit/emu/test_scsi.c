/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The disk behind the emulated controllers: CDBs in, bytes out, as SPC-4 and SBC-3 lay them down. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <check.h>

#include "emu/units.h"

static struct units us;
static struct rng rng;
static struct unit *pd, *ld;
static uint8_t data[1 << 17], cdb[16];
static struct scsi_cmd c;

static struct unit *add(const char *spec)
{
	struct unit_spec s;
	struct unit *u;
	char path[64];
	struct err e = {""};

	ck_assert_int_eq(unit_spec_parse(spec, &s, path, sizeof(path), &e), 0);
	ck_assert_int_eq(unit_add(&us, &s, &u, &e), 0);
	return u;
}

static void setup(void)
{
	memset(&us, 0, sizeof(us));
	rng.state = 5;
	us.rng = &rng;
	us.drive_cache_bytes = us.ctrl_cache_bytes = 8 << 20;
	pd = add("pd3,size=1M");
	ld = add("ld2,size=1M");
	pd->disk.attention = 0;
}

static void teardown(void)
{
	units_free(&us);
}

/* Executes the bytes of the CDB; data_len as the transport says. Returns the status. */
#define exec(u, data_len, ...)                                                                               \
	({                                                                                                   \
		const uint8_t _cdb[] = {__VA_ARGS__};                                                        \
		execute(u, _cdb, sizeof(_cdb), data_len);                                                    \
	})

static uint8_t execute(struct unit *u, const uint8_t *bytes, size_t n, uint32_t data_len)
{
	memset(cdb, 0, sizeof(cdb));
	memcpy(cdb, bytes, n);
	c = (struct scsi_cmd){.cdb = cdb, .cdb_len = (uint8_t)n, .data = data, .data_len = data_len};
	scsi_exec(&u->disk, &c);
	return c.status;
}

/* "5/2400": key and code of the sense, or "GOOD". */
static const char *said(void)
{
	static char text[16];

	if (c.status == 0)
		return "GOOD";
	ck_assert_uint_eq(c.status, 0x02);
	ck_assert_uint_eq(c.sense[0], 0x70);
	ck_assert_uint_eq(c.sense[7], 10);
	ck_assert_uint_eq(c.sense_len, 18);
	snprintf(text, sizeof(text), "%x/%02x%02x", c.sense[2], c.sense[12], c.sense[13]);
	return text;
}

START_TEST(inquiry_is_cut_at_the_allocation_length_and_at_the_transport)
{
	exec(pd, 255, 0x12, 0, 0, 0, 96, 0);
	ck_assert_uint_eq(c.moved, 96);
	ck_assert_uint_eq(data[0], 0x00);
	ck_assert_uint_eq(data[2], 0x06);
	ck_assert_uint_eq(data[3] & 0x0f, 0x02);
	ck_assert_uint_eq(data[4], 91);
	ck_assert_uint_eq(data[7] & 0x02, 0x02);
	ck_assert_int_eq(memcmp(data + 8, "SEAGATE ST2000NM0023    0004", 28), 0);
	exec(pd, 255, 0x12, 0, 0, 0, 5, 0);
	ck_assert_uint_eq(c.moved, 5);
	exec(pd, 3, 0x12, 0, 0, 0, 96, 0);
	ck_assert_uint_eq(c.moved, 3);
	exec(pd, 255, 0x12, 0, 0x83, 0, 96, 0);
	ck_assert_str_eq(said(), "5/2400");
}
END_TEST

START_TEST(vital_product_data)
{
	static const uint8_t pages[] = {0, 0, 0, 6, 0x00, 0x80, 0x83, 0xb0, 0xb1, 0xb2};
	static const uint8_t ids[] = {
		0, 0x83, 0, 12, 0x01, 0x03, 0, 8, 0x50, 0x00, 0xc5, 0x00, 0xa1, 0xb2, 0xc3, 0x03};

	exec(pd, 255, 0x12, 1, 0x00, 0, 255, 0);
	ck_assert_uint_eq(c.moved, sizeof(pages));
	ck_assert_int_eq(memcmp(data, pages, sizeof(pages)), 0);
	exec(pd, 255, 0x12, 1, 0x80, 0, 255, 0);
	ck_assert_uint_eq(c.moved, 24);
	ck_assert_int_eq(memcmp(data + 4, "Z1X000000003", 12), 0);
	exec(pd, 255, 0x12, 1, 0x83, 0, 255, 0);
	ck_assert_uint_eq(c.moved, sizeof(ids));
	ck_assert_int_eq(memcmp(data, ids, sizeof(ids)), 0);
	exec(pd, 255, 0x12, 1, 0xb0, 0, 255, 0);
	ck_assert_uint_eq(c.moved, 64);
	exec(pd, 255, 0x12, 1, 0xb1, 0, 255, 0);
	ck_assert_int_eq(memcmp(data + 4, "\x1c\x20", 2), 0);
	exec(pd, 255, 0x12, 1, 0xb2, 0, 255, 0);
	ck_assert_uint_eq(data[5] & 0xe4, 0xe4);
	exec(pd, 255, 0x12, 1, 0xc7, 0, 255, 0);
	ck_assert_str_eq(said(), "5/2400");
	exec(ld, 255, 0x12, 1, 0x83, 0, 255, 0);
	ck_assert_uint_eq(c.moved, 24);
	ck_assert_int_eq(
		memcmp(data + 4,
			"\x01\x03\x00\x10\x60\x06\x05\xb0\xa1\xb2\xc3\xd0\x2a\x5e\x00\x00\x00\x00\x00\x02",
			20),
		0);
	/* A logical drive has the first three only. */
	exec(ld, 255, 0x12, 1, 0x00, 0, 255, 0);
	ck_assert_uint_eq(c.moved, 7);
	exec(ld, 255, 0x12, 1, 0xb0, 0, 255, 0);
	ck_assert_str_eq(said(), "5/2400");
}
END_TEST

START_TEST(capacity)
{
	static const uint8_t ten[] = {0x00, 0x00, 0x07, 0xff, 0x00, 0x00, 0x02, 0x00};

	exec(pd, 8, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	ck_assert_int_eq(memcmp(data, ten, 8), 0);
	exec(pd, 32, 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0);
	ck_assert_uint_eq(c.moved, 32);
	ck_assert_int_eq(memcmp(data, "\0\0\0\0", 4), 0);
	ck_assert_int_eq(memcmp(data + 4, ten, 8), 0);
	ck_assert_uint_eq(data[14], 0xc0);
	exec(pd, 32, 0x9e, 0x12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0);
	ck_assert_str_eq(said(), "5/2400");
}
END_TEST

/* The same four blocks at 100h, each length of CDB. */
static const uint8_t reads[][16] = {
	{0x08, 0, 1, 0, 4, 0},
	{0x28, 0, 0, 0, 1, 0, 0, 0, 4, 0},
	{0xa8, 0, 0, 0, 1, 0, 0, 0, 0, 4, 0, 0},
	{0x88, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 4, 0, 0},
};

START_TEST(every_length_of_read_and_write)
{
	uint8_t write[16];

	memcpy(write, reads[_i], 16);
	write[0] |= 0x02;
	for (unsigned i = 0; i < 2048; i++)
		data[i] = (uint8_t)(i / 512 + 1);
	ck_assert_uint_eq(execute(pd, write, 16, 2048), 0);
	for (unsigned k = 0; k < 4; k++) {
		memset(data, 0, 4096);
		ck_assert_uint_eq(execute(pd, reads[k], 16, 2048), 0);
		ck_assert_uint_eq(c.moved, 2048);
		for (unsigned i = 0; i < 4; i++)
			ck_assert_uint_eq(data[i * 512 + 511], i + 1);
	}
	exec(pd, 512, 0x28, 0, 0, 0, 1, 3, 0, 0, 1, 0);
	ck_assert_uint_eq(data[0], 4);
	exec(pd, 512, 0x28, 0, 0, 0, 1, 4, 0, 0, 1, 0);
	ck_assert_uint_eq(data[0], 0);
}
END_TEST

START_TEST(lengths_of_zero)
{
	/* 256 blocks in six bytes, none in the others */
	exec(pd, 256 * 512, 0x08, 0, 0, 0, 0, 0);
	ck_assert_uint_eq(c.moved, 256 * 512);
	exec(pd, 0, 0x28, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	ck_assert_str_eq(said(), "GOOD");
	ck_assert_uint_eq(c.moved, 0);
	/* which still checks the address */
	exec(pd, 0, 0x28, 0, 0, 0, 8, 1, 0, 0, 0, 0);
	ck_assert_str_eq(said(), "5/2100");
}
END_TEST

static const struct {
	uint8_t cdb[16];
	uint32_t len;
	const char *said;
} table[] = {
	{{0x28, 0, 0, 0, 7, 255, 0, 0, 1, 0}, 512, "GOOD"},
	{{0x28, 0, 0, 0, 7, 255, 0, 0, 2, 0}, 1024, "5/2100"},
	{{0x28, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 1, 0}, 512, "5/2100"},
	{{0x88, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1}, 512, "5/2100"},
	{{0x28, 0x20, 0, 0, 0, 0, 0, 0, 1, 0}, 512, "5/2400"},
	{{0x28, 0, 0, 0, 0, 0, 0, 0, 2, 0}, 512, "5/2400"},
	{{0xff}, 0, "5/2000"},
	{{0x04}, 0, "5/2000"},
	{{0x00}, 0, "GOOD"},
	{{0x35}, 0, "GOOD"},
	{{0x91}, 0, "GOOD"},
	{{0x35, 0, 0, 0, 8, 1, 0, 0, 0, 0}, 0, "5/2100"},
	{{0x2f, 0, 0, 0, 0, 0, 0, 0, 8, 0}, 0, "GOOD"},
	{{0x2f, 2, 0, 0, 0, 0, 0, 0, 1, 0}, 0, "5/2400"},
	{{0x4d, 0, 0x4d, 0, 0, 0, 0, 0, 64, 0}, 64, "GOOD"},
	{{0x4d, 0, 0x51, 0, 0, 0, 0, 0, 64, 0}, 64, "5/2400"},
	{{0x1a, 0, 0x03, 0, 64, 0}, 64, "5/2400"},
	{{0x1a, 0, 0x08, 1, 64, 0}, 64, "5/2400"},
	{{0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0}, 8, "5/2400"},
	{{0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 0, "GOOD"},
	{{0x42, 0, 0, 0, 0, 0, 0, 0, 4, 0}, 4, "5/1a00"},
	{{0x15, 0x00, 0, 0, 4, 0}, 4, "5/2400"},
	{{0x8f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0}, 0, "GOOD"},
	{{0x8f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 1}, 0, "5/2100"},
};

START_TEST(commands_and_what_is_said_of_them)
{
	memset(data, 0, 4096);
	execute(pd, table[_i].cdb, 16, table[_i].len);
	ck_assert_str_eq(said(), table[_i].said);
}
END_TEST

START_TEST(a_drive_tells_and_changes_its_write_cache)
{
	static const uint8_t off[] = {
		0, 0, 0, 0, 0x08, 18, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
	struct rng lots = {1};
	const struct cut none = {SURVIVE_NONE, &lots};

	/* 4 of head, no descriptor, page 8 of 18 bytes: WCE is bit 2 of byte 2 */
	exec(pd, 64, 0x1a, 0x08, 0x08, 0, 64, 0);
	ck_assert_uint_eq(c.moved, 24);
	ck_assert_uint_eq(data[0], 23);
	ck_assert_uint_eq(data[4], 0x88);
	ck_assert_uint_eq(data[6], 0x04);
	/* changeable */
	exec(pd, 64, 0x1a, 0x08, 0x48, 0, 64, 0);
	ck_assert_uint_eq(data[6], 0x04);
	exec(ld, 64, 0x1a, 0x08, 0x48, 0, 64, 0);
	ck_assert_uint_eq(data[6], 0x00);
	memcpy(data, off, sizeof(off));
	exec(pd, sizeof(off), 0x15, 0x10, 0, 0, sizeof(off), 0);
	ck_assert_str_eq(said(), "GOOD");
	exec(pd, 64, 0x5a, 0x08, 0x08, 0, 0, 0, 0, 0, 64, 0);
	ck_assert_uint_eq(c.moved, 28);
	ck_assert_uint_eq(data[8 + 2], 0x00);
	memset(data, 0x77, 512);
	exec(pd, 512, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0);
	units_power_cut(&us, &none);
	exec(pd, 0, 0x00, 0, 0, 0, 0, 0);
	ck_assert_str_eq(said(), "6/2900");
	exec(pd, 512, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0);
	ck_assert_uint_eq(data[0], 0x77);
}
END_TEST

START_TEST(mode_select_changes_nothing_else)
{
	uint8_t bad[24] = {0, 0, 0, 0, 0x08, 18, 0x05}; /* RCD too */

	memcpy(data, bad, sizeof(bad));
	exec(pd, sizeof(bad), 0x15, 0x10, 0, 0, sizeof(bad), 0);
	ck_assert_str_eq(said(), "5/2600");
	bad[6] = 0x00;
	bad[5] = 17;
	memcpy(data, bad, sizeof(bad));
	exec(pd, sizeof(bad), 0x15, 0x10, 0, 0, sizeof(bad), 0);
	ck_assert_str_eq(said(), "5/2600");
	bad[3] = 200; /* a descriptor longer than the list */
	memcpy(data, bad, sizeof(bad));
	exec(pd, sizeof(bad), 0x15, 0x10, 0, 0, sizeof(bad), 0);
	ck_assert_str_eq(said(), "5/1a00");
	ck_assert(wcache_enabled(pd->top));
}
END_TEST

START_TEST(fua_and_synchronize_cache_survive_and_a_plain_write_does_not)
{
	struct rng lots = {1};
	const struct cut none = {SURVIVE_NONE, &lots};

	memset(data, 1, 512);
	exec(pd, 512, 0x2a, 0, 0, 0, 0, 1, 0, 0, 1, 0);
	exec(pd, 0, 0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	memset(data, 2, 512);
	exec(pd, 512, 0x2a, 0, 0, 0, 0, 1, 0, 0, 1, 0);
	memset(data, 3, 512);
	exec(pd, 512, 0x2a, 0x08, 0, 0, 0, 64, 0, 0, 1, 0);
	units_power_cut(&us, &none);
	pd->disk.attention = 0;
	exec(pd, 512, 0x28, 0, 0, 0, 0, 1, 0, 0, 1, 0);
	ck_assert_uint_eq(data[0], 1);
	exec(pd, 512, 0x28, 0, 0, 0, 0, 64, 0, 0, 1, 0);
	ck_assert_uint_eq(data[0], 3);
}
END_TEST

START_TEST(verify_compares)
{
	memset(data, 0x31, 1024);
	exec(pd, 1024, 0x2a, 0, 0, 0, 0, 8, 0, 0, 2, 0);
	exec(pd, 1024, 0x2f, 0x02, 0, 0, 0, 8, 0, 0, 2, 0);
	ck_assert_str_eq(said(), "GOOD");
	data[1023] ^= 1;
	exec(pd, 1024, 0x2f, 0x02, 0, 0, 0, 8, 0, 0, 2, 0);
	ck_assert_str_eq(said(), "e/1d00");
	exec(pd, 0, 0x2f, 0x00, 0, 0, 0, 8, 0, 0, 2, 0);
	ck_assert_str_eq(said(), "GOOD");
}
END_TEST

START_TEST(write_same_and_unmap)
{
	static const uint8_t list[] = {
		0, 22, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 17, 0, 0, 0, 2, 0, 0, 0, 0};

	memset(data, 0x44, 512);
	exec(pd, 512, 0x41, 0, 0, 0, 0, 16, 0, 0, 8, 0);
	ck_assert_str_eq(said(), "GOOD");
	memcpy(data, list, sizeof(list));
	exec(pd, sizeof(list), 0x42, 0, 0, 0, 0, 0, 0, 0, sizeof(list), 0);
	ck_assert_str_eq(said(), "GOOD");
	exec(pd, 8 * 512, 0x28, 0, 0, 0, 0, 16, 0, 0, 8, 0);
	for (unsigned i = 0; i < 8; i++)
		ck_assert_uint_eq(data[i * 512], i == 1 || i == 2 ? 0 : 0x44);
	/* no data-out buffer: zeros */
	exec(pd, 0, 0x93, 0x01, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 1, 0, 0);
	ck_assert_str_eq(said(), "GOOD");
	exec(pd, 512, 0x28, 0, 0, 0, 0, 16, 0, 0, 1, 0);
	ck_assert_uint_eq(data[0], 0);
	/* beyond the end: nothing of it */
	memcpy(data, list, sizeof(list));
	data[14] = 8;
	exec(pd, sizeof(list), 0x42, 0, 0, 0, 0, 0, 0, 0, sizeof(list), 0);
	ck_assert_str_eq(said(), "5/2100");
	/* firmware of logical drives knows neither */
	exec(ld, 512, 0x41, 0, 0, 0, 0, 16, 0, 0, 8, 0);
	ck_assert_str_eq(said(), "5/2000");
}
END_TEST

START_TEST(a_stopped_drive_is_not_ready_until_started)
{
	pd->disk.start_ms = 1234;
	memset(data, 9, 512);
	exec(pd, 512, 0x2a, 0, 0, 0, 0, 1, 0, 0, 1, 0);
	exec(pd, 0, 0x1b, 0, 0, 0, 0, 0);
	ck_assert_uint_eq(c.delay_ms, 1234);
	/* it wrote out what it held */
	ck_assert_uint_eq(wcache_stats(pd->drive_cache).dirty_bytes, 0);
	exec(pd, 512, 0x28, 0, 0, 0, 0, 1, 0, 0, 1, 0);
	ck_assert_str_eq(said(), "2/0402");
	exec(pd, 36, 0x12, 0, 0, 0, 36, 0);
	ck_assert_str_eq(said(), "GOOD");
	exec(pd, 18, 0x03, 0, 0, 0, 18, 0);
	ck_assert_uint_eq(data[2], 0x02);
	exec(pd, 0, 0x1b, 0x01, 0, 0, 1, 0);
	ck_assert_uint_eq(c.delay_ms, 0);
	exec(pd, 512, 0x28, 0, 0, 0, 0, 1, 0, 0, 1, 0);
	ck_assert_str_eq(said(), "GOOD");
	ck_assert_uint_eq(data[0], 9);
}
END_TEST

START_TEST(unit_attentions_are_told_once_and_not_to_everybody)
{
	struct err e = {""};

	ck_assert_int_eq(unit_resize(pd, 4096, &e), 0);
	exec(pd, 36, 0x12, 0, 0, 0, 36, 0);
	ck_assert_str_eq(said(), "GOOD");
	exec(pd, 16, 0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0);
	ck_assert_str_eq(said(), "GOOD");
	exec(pd, 8, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	ck_assert_str_eq(said(), "6/2a09");
	exec(pd, 8, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	ck_assert_int_eq(memcmp(data, "\x00\x00\x0f\xff", 4), 0);
	pd->disk.attention = ASC_POWER_ON;
	exec(pd, 18, 0x03, 0, 0, 0, 18, 0);
	ck_assert_int_eq(memcmp(data, "\x70\x00\x06\x00\x00\x00\x00\x0a\x00\x00\x00\x00\x29\x00", 14), 0);
	exec(pd, 0, 0x00, 0, 0, 0, 0, 0);
	ck_assert_str_eq(said(), "GOOD");
}
END_TEST

START_TEST(temperature_and_failure_prediction)
{
	static const uint8_t temperature[] = {0x0d, 0, 0, 12, 0, 0, 0x03, 2, 0, 41, 0, 1, 0x03, 2, 0, 68};

	pd->disk.temperature = 41;
	pd->disk.failing = true;
	exec(pd, 64, 0x4d, 0, 0x4d, 0, 0, 0, 0, 0, 64, 0);
	ck_assert_uint_eq(c.moved, sizeof(temperature));
	ck_assert_int_eq(memcmp(data, temperature, sizeof(temperature)), 0);
	exec(pd, 64, 0x4d, 0, 0x6f, 0, 0, 0, 0, 0, 64, 0);
	ck_assert_uint_eq(data[8], 0x5d);
	exec(pd, 18, 0x03, 0, 0, 0, 18, 0);
	ck_assert_uint_eq(data[12], 0x5d);
}
END_TEST

START_TEST(a_read_only_drive_refuses_writes)
{
	pd->disk.read_only = true;
	exec(pd, 512, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0);
	ck_assert_str_eq(said(), "7/2700");
	exec(pd, 512, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0);
	ck_assert_str_eq(said(), "GOOD");
	exec(pd, 64, 0x1a, 0x08, 0x08, 0, 64, 0);
	ck_assert_uint_eq(data[2] & 0x80, 0x80);
}
END_TEST

/* No CDB and no length of data makes it read or write out of its buffers (the sanitizers watch). */
START_TEST(random_cdbs)
{
	struct rng r = {(uint64_t)_i};

	for (unsigned n = 0; n < 20000; n++) {
		static const uint8_t likely[] = {0x08, 0x0a, 0x12, 0x15, 0x1a, 0x25, 0x28, 0x2a, 0x2f, 0x35,
			0x41, 0x42, 0x4d, 0x55, 0x5a, 0x88, 0x8a, 0x8f, 0x91, 0x93, 0x9e, 0xa0, 0xa8, 0xaa,
			0xaf, 0x03, 0x1b};
		uint32_t len = (uint32_t)rng_below(&r, rng_below(&r, 2) ? 64 : 4096);
		uint8_t *exact = malloc(len ? len : 1), any[16];

		for (unsigned i = 0; i < 16; i++)
			any[i] = (uint8_t)(rng_below(&r, 3) ? 0 : rng_next(&r));
		any[0] = likely[rng_below(&r, sizeof(likely))];
		for (unsigned i = 0; i < len; i++)
			exact[i] = (uint8_t)(rng_below(&r, 3) ? 0 : rng_next(&r));
		c = (struct scsi_cmd){.cdb = any, .cdb_len = 16, .data = exact, .data_len = len};
		scsi_exec(&(n % 2 ? pd : ld)->disk, &c);
		if (c.moved > len || c.sense_len > SCSI_SENSE_MAX)
			ck_abort_msg("moved %u of %u", c.moved, len);
		free(exact);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("emulated disk");
	TCase *t = tcase_create("commands");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, inquiry_is_cut_at_the_allocation_length_and_at_the_transport);
	tcase_add_test(t, vital_product_data);
	tcase_add_test(t, capacity);
	tcase_add_loop_test(t, every_length_of_read_and_write, 0, 4);
	tcase_add_test(t, lengths_of_zero);
	tcase_add_loop_test(t, commands_and_what_is_said_of_them, 0, (int)ARRAY_SIZE(table));
	tcase_add_test(t, a_drive_tells_and_changes_its_write_cache);
	tcase_add_test(t, mode_select_changes_nothing_else);
	tcase_add_test(t, fua_and_synchronize_cache_survive_and_a_plain_write_does_not);
	tcase_add_test(t, verify_compares);
	tcase_add_test(t, write_same_and_unmap);
	tcase_add_test(t, a_stopped_drive_is_not_ready_until_started);
	tcase_add_test(t, unit_attentions_are_told_once_and_not_to_everybody);
	tcase_add_test(t, temperature_and_failure_prediction);
	tcase_add_test(t, a_read_only_drive_refuses_writes);
	tcase_add_loop_test(t, random_cdbs, 0, 4);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
