/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Media and volatile caches: what a read sees, and what a power cut leaves. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <check.h>

#include "emu/store.h"
#include "emu/units.h"

#define BLOCKS 4096u

static struct rng rng;
static struct store *media, *cache;
static uint8_t buf[256 * 512];

static void setup(void)
{
	rng.state = 7;
	ck_assert_int_eq(media_open(NULL, BLOCKS, 512, &media), 0);
	ck_assert_int_eq(wcache_create(media, 64u << 20, &rng, &cache), 0);
}

static void teardown(void)
{
	cache->ops->free(cache);
	media->ops->free(media);
}

static void put(struct store *s, uint64_t lba, uint32_t n, uint8_t fill)
{
	memset(buf, fill, (size_t)n * 512);
	ck_assert_int_eq(s->ops->write(s, lba, n, buf, false), 0);
}

static uint8_t get(struct store *s, uint64_t lba)
{
	uint8_t b[512];

	ck_assert_int_eq(s->ops->read(s, lba, 1, b), 0);
	ck_assert_int_eq(memcmp(b, b + 1, sizeof(b) - 1), 0);
	return b[0];
}

static void cut(enum survive survive, uint64_t seed)
{
	struct rng lots = {seed};
	const struct cut c = {survive, &lots};

	cache->ops->power_cut(cache, &c);
	ck_assert_uint_eq(wcache_stats(cache).dirty_bytes, 0);
}

START_TEST(a_read_sees_the_newest_write_of_each_block)
{
	put(cache, 10, 20, 1);
	put(cache, 15, 1, 2);
	put(cache, 12, 8, 3);
	ck_assert_uint_eq(get(cache, 9), 0);
	ck_assert_uint_eq(get(cache, 11), 1);
	ck_assert_uint_eq(get(cache, 15), 3);
	ck_assert_uint_eq(get(cache, 19), 3);
	ck_assert_uint_eq(get(cache, 20), 1);
	ck_assert_uint_eq(get(cache, 30), 0);
}
END_TEST

START_TEST(a_flush_is_safe_from_any_power_cut)
{
	put(cache, 0, 100, 5);
	ck_assert_int_eq(cache->ops->flush(cache), 0);
	cut((enum survive)_i, 1);
	for (unsigned i = 0; i < 100; i++)
		ck_assert_uint_eq(get(media, i), 5);
}
END_TEST

START_TEST(what_was_not_flushed_is_lost_or_kept_as_chosen)
{
	/* few enough that the cache has not written any by itself (seeded) */
	put(cache, 0, 8, 1);
	ck_assert_int_eq(cache->ops->flush(cache), 0);
	put(cache, 0, 8, 2);
	put(cache, 8, 8, 3);
	ck_assert_uint_eq(get(media, 0), 1);
	cut(_i ? SURVIVE_ALL : SURVIVE_NONE, 1);
	ck_assert_uint_eq(get(cache, 0), _i ? 2 : 1);
	ck_assert_uint_eq(get(cache, 8), _i ? 3 : 0);
	ck_assert_uint_eq(wcache_stats(cache).lost, _i ? 0 : 2);
}
END_TEST

/* Writes 1 to 9 to one block. */
static uint8_t survivor(enum survive how, uint64_t seed)
{
	put(cache, 0, 1, 0);
	ck_assert_int_eq(cache->ops->flush(cache), 0);
	for (uint8_t i = 1; i < 10; i++)
		put(cache, 0, 1, i);
	cut(how, seed);
	return get(media, 0);
}

START_TEST(random_cuts_leave_every_possible_version)
{
	bool seen[10] = {false};

	for (uint64_t seed = 0; seed < 300; seed++)
		seen[survivor((enum survive)_i, seed)] = true;
	for (unsigned i = 4; i < 10; i++)
		ck_assert_msg(seen[i], "version %u never survived", i);
}
END_TEST

/* Block k gets the number k + 1, in order; which are there after the cut? */
static unsigned holes(enum survive how, uint64_t seed, unsigned *ret_there)
{
	unsigned n = 0, last = 0, there = 0;

	put(cache, 0, 64, 0);
	ck_assert_int_eq(cache->ops->flush(cache), 0);
	for (unsigned i = 0; i < 64; i++)
		put(cache, i, 1, (uint8_t)(i + 1));
	cut(how, seed);
	for (unsigned i = 0; i < 64; i++)
		if (get(media, i)) {
			last = i;
			there++;
		}
	for (unsigned i = 0; i < last; i++)
		n += !get(media, i);
	*ret_there = there;
	return n;
}

START_TEST(a_prefix_has_no_holes_and_a_random_choice_has)
{
	unsigned holes_prefix = 0, holes_random = 0, there, some = 0;

	for (uint64_t seed = 0; seed < 50; seed++) {
		holes_prefix += holes(SURVIVE_PREFIX, seed, &there);
		some += there > 0 && there < 64;
		holes_random += holes(SURVIVE_RANDOM, seed, &there);
	}
	ck_assert_uint_eq(holes_prefix, 0);
	ck_assert_uint_gt(some, 10);
	ck_assert_uint_gt(holes_random, 100);
}
END_TEST

START_TEST(reordering_can_bring_an_older_version_back_over_a_newer_one)
{
	unsigned older = 0;

	/* 9 survives in half of all random choices; with reordering an older one can lie over it */
	for (uint64_t seed = 0; seed < 200; seed++) {
		uint8_t v;

		put(cache, 0, 1, 0);
		cache->ops->flush(cache);
		put(cache, 0, 1, 1);
		put(cache, 0, 1, 2);
		/* both survive if this marker shows it: draw the same lots on a copy of the state */
		cut(SURVIVE_REORDER, seed);
		v = get(media, 0);
		ck_assert_uint_le(v, 2);
		older += v == 1;
	}
	/* 1 alone: a quarter. 1 over 2: an eighth more. */
	ck_assert_uint_gt(older, 58);
	ck_assert_uint_lt(older, 95);
}
END_TEST

START_TEST(the_same_seed_leaves_the_same_bytes)
{
	uint8_t first[64];

	for (unsigned round = 0; round < 2; round++) {
		unsigned there;

		rng.state = 99;
		holes(SURVIVE_REORDER, 1234, &there);
		for (unsigned i = 0; i < 64; i++) {
			if (!round)
				first[i] = get(media, i);
			ck_assert_uint_eq(get(media, i), first[i]);
		}
	}
}
END_TEST

START_TEST(a_write_through_is_on_the_media_and_newer_than_what_was_cached)
{
	put(cache, 0, 8, 1);
	put(cache, 100, 1, 9);
	memset(buf, 2, 512);
	ck_assert_int_eq(cache->ops->write(cache, 3, 1, buf, true), 0);
	ck_assert_uint_eq(get(media, 3), 2);
	cut(SURVIVE_ALL, 1);
	ck_assert_uint_eq(get(media, 3), 2);
}
END_TEST

START_TEST(a_cache_that_is_switched_off_holds_nothing)
{
	put(cache, 0, 8, 1);
	ck_assert_int_eq(wcache_enable(cache, false), 0);
	ck_assert_uint_eq(get(media, 7), 1);
	put(cache, 0, 8, 2);
	cut(SURVIVE_NONE, 1);
	ck_assert_uint_eq(get(media, 7), 2);
}
END_TEST

START_TEST(a_full_cache_writes_its_oldest_out)
{
	struct store *small;

	ck_assert_int_eq(wcache_create(media, 16 * 512, &rng, &small), 0);
	for (unsigned i = 0; i < 256; i++)
		put(small, i, 1, 7);
	ck_assert_uint_le(wcache_stats(small).dirty_bytes, 16 * 512);
	ck_assert_uint_eq(get(media, 0), 7);
	ck_assert_uint_eq(get(small, 255), 7);
	small->ops->free(small);
}
END_TEST

START_TEST(discard_reads_as_zeros_at_once_and_after_a_cut)
{
	put(cache, 0, 64, 1);
	ck_assert_int_eq(cache->ops->discard(cache, 8, 16), 0);
	ck_assert_uint_eq(get(cache, 7), 1);
	ck_assert_uint_eq(get(cache, 8), 0);
	ck_assert_uint_eq(get(cache, 23), 0);
	ck_assert_uint_eq(get(cache, 24), 1);
	cut(SURVIVE_REORDER, 3);
	ck_assert_uint_eq(get(cache, 8), 0);
}
END_TEST

/* Against a plain array: random reads, writes, flushes, and reorderless cuts that keep everything. */
START_TEST(random_use_equals_a_plain_array)
{
	static uint8_t plain[BLOCKS];
	struct rng r = {(uint64_t)_i};

	memset(plain, 0, sizeof(plain));
	for (unsigned n = 0; n < 3000; n++) {
		uint32_t len = 1 + (uint32_t)rng_below(&r, 40);
		uint64_t lba = rng_below(&r, BLOCKS - len);
		uint8_t v = (uint8_t)rng_next(&r);

		switch (rng_below(&r, 16)) {
		case 0:
			ck_assert_int_eq(cache->ops->flush(cache), 0);
			break;
		case 1:
			cut(SURVIVE_ALL, n);
			break;
		case 2:
			ck_assert_int_eq(cache->ops->discard(cache, lba, len), 0);
			memset(plain + lba, 0, len);
			break;
		case 3:
			memset(buf, v, len * 512u);
			ck_assert_int_eq(cache->ops->write(cache, lba, len, buf, true), 0);
			memset(plain + lba, v, len);
			break;
		case 4:
		case 5:
		case 6:
			ck_assert_uint_eq(get(cache, lba), plain[lba]);
			break;
		default:
			put(cache, lba, len, v);
			memset(plain + lba, v, len);
		}
	}
	for (unsigned i = 0; i < BLOCKS; i++)
		ck_assert_uint_eq(get(cache, i), plain[i]);
}
END_TEST

START_TEST(a_file_keeps_its_blocks)
{
	char path[] = "/tmp/hba-emu-media-XXXXXX";
	struct store *f;

	close(mkstemp(path));
	ck_assert_int_eq(media_open(path, 64, 4096, &f), 0);
	memset(buf, 0x3c, 4096);
	ck_assert_int_eq(f->ops->write(f, 63, 1, buf, false), 0);
	f->ops->free(f);
	ck_assert_int_eq(media_open(path, 64, 4096, &f), 0);
	memset(buf, 0, 4096);
	ck_assert_int_eq(f->ops->read(f, 63, 1, buf), 0);
	ck_assert_uint_eq(buf[4095], 0x3c);
	ck_assert_int_eq(f->ops->resize(f, 32), 0);
	ck_assert_uint_eq(f->blocks, 32);
	ck_assert_int_eq(f->ops->resize(f, 65), 0);
	memset(buf, 0, 4096);
	ck_assert_int_eq(f->ops->read(f, 63, 1, buf), 0);
	ck_assert_uint_eq(buf[4095], 0x3c);
	ck_assert_int_eq(f->ops->read(f, 64, 1, buf), 0);
	ck_assert_uint_eq(buf[4095], 0);
	f->ops->free(f);
	unlink(path);
	ck_assert_int_eq(media_open("/nonexistent/x", 64, 512, &f), -ENOENT);
}
END_TEST

/* --- stacks of units --- */

static struct units us;

static struct unit *ld(const char *spec)
{
	struct unit_spec s;
	struct unit *u;
	char path[64];
	struct err e = {""};

	memset(&us, 0, sizeof(us));
	us.rng = &rng;
	us.drive_cache_bytes = us.ctrl_cache_bytes = 1 << 20;
	ck_assert_int_eq(unit_spec_parse(spec, &s, path, sizeof(path), &e), 0);
	ck_assert_int_eq(unit_add(&us, &s, &u, &e), 0);
	return u;
}

START_TEST(a_logical_drive_has_two_caches_to_flush)
{
	struct unit *u = ld("ld0,size=1M");
	struct rng lots = {1};
	const struct cut none = {SURVIVE_NONE, &lots};

	put(u->top, 0, 8, 1);
	unit_flush_controller(u);
	units_power_cut(&us, &none);
	ck_assert_uint_eq(get(u->top, 0), 0);
	put(u->top, 0, 8, 1);
	unit_flush_controller(u);
	unit_flush_drive(u);
	units_power_cut(&us, &none);
	ck_assert_uint_eq(get(u->top, 0), 1);
	units_free(&us);
}
END_TEST

START_TEST(a_battery_keeps_the_controllers_cache)
{
	struct unit *u = ld("ld0,size=1M");
	struct rng lots = {1};
	const struct cut none = {SURVIVE_NONE, &lots};

	us.battery = true;
	put(u->top, 0, 8, 1);
	units_power_cut(&us, &none);
	ck_assert_uint_eq(get(u->top, 0), 1);
	units_free(&us);
}
END_TEST

static const struct {
	const char *spec;
	bool good;
} specs[] = {
	{"ld0", true},
	{"ld63,size=8G", true},
	{"pd255,block=4096,size=4096", true},
	{"ld64", false},
	{"pd256", false},
	{"ld", false},
	{"ld0x", false},
	{"xd0", false},
	{"", false},
	{"ld0,size", false},
	{"ld0,size=", false},
	{"ld0,size=-1", false},
	{"ld0,size=1X", false},
	{"ld0,size=99999999999T", false},
	{"ld0,size=511", false},
	{"ld0,block=520", false},
	{"ld0,color=1", false},
	{"ld0,wt=2", false},
};

START_TEST(unit_specifications)
{
	struct unit_spec s;
	char path[64];
	struct err e = {""};

	ck_assert_int_eq(unit_spec_parse(specs[_i].spec, &s, path, sizeof(path), &e) == 0, specs[_i].good);
	ck_assert_int_eq(!e.text[0], specs[_i].good);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("stores");
	TCase *t = tcase_create("cache");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_read_sees_the_newest_write_of_each_block);
	tcase_add_loop_test(t, a_flush_is_safe_from_any_power_cut, 0, N_SURVIVE);
	tcase_add_loop_test(t, what_was_not_flushed_is_lost_or_kept_as_chosen, 0, 2);
	tcase_add_loop_test(t, random_cuts_leave_every_possible_version, SURVIVE_PREFIX, N_SURVIVE);
	tcase_add_test(t, a_prefix_has_no_holes_and_a_random_choice_has);
	tcase_add_test(t, reordering_can_bring_an_older_version_back_over_a_newer_one);
	tcase_add_test(t, the_same_seed_leaves_the_same_bytes);
	tcase_add_test(t, a_write_through_is_on_the_media_and_newer_than_what_was_cached);
	tcase_add_test(t, a_cache_that_is_switched_off_holds_nothing);
	tcase_add_test(t, a_full_cache_writes_its_oldest_out);
	tcase_add_test(t, discard_reads_as_zeros_at_once_and_after_a_cut);
	tcase_add_loop_test(t, random_use_equals_a_plain_array, 0, 8);
	tcase_add_test(t, a_file_keeps_its_blocks);
	tcase_add_test(t, a_logical_drive_has_two_caches_to_flush);
	tcase_add_test(t, a_battery_keeps_the_controllers_cache);
	tcase_add_loop_test(t, unit_specifications, 0, (int)ARRAY_SIZE(specs));
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
