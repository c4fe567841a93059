/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sizes in the hand-off: what is taken, what is remembered of earlier times, and growth. */
#include <stdlib.h>
#include "client.h"
#include "control/sizes.h"
#include "control/worker.h"

START_TEST(open_judges_size_and_block_size)
{
	int fd = client_connect();
	struct handoff_open m = open_msg("a", "hba/g2/ld0", 1);
	struct handoff_reply r;

	m.blocks--;
	r = client_send_open(fd, &m);
	ck_assert_int_eq(r.head.status, -EINVAL);
	SPEAKS(r, "ld0 has 2048 blocks of 512");
	m = open_msg("a", "hba/g2/ld0", 1);
	m.block_size = 4096;
	ck_assert_int_eq(client_send_open(fd, &m).head.status, -EINVAL);
	/* A unit of another size is not the one that was served before. */
	m = open_msg("a", "hba/g2/ld0", 1);
	m.blocks++;
	m.known = 1;
	ck_assert_int_eq(client_send_open(fd, &m).head.status, -EINVAL);
	ck_assert_str_eq(fake_calls(), "");
	close(fd);
}
END_TEST

static struct handoff_reply open_blocks(int fd, uint64_t blocks)
{
	struct handoff_open m = open_msg("a", "hba/g2/ld0", 1);

	m.blocks = blocks;
	return client_send_open(fd, &m);
}

/* The file on disk; the worker writes it. */
static void save_and_reopen(void)
{
	struct worker *w = worker_new();

	sizes_save(luns.sizes, w);
	worker_free(w);
	sizes_close(luns.sizes);
	luns.sizes = sizes_open(temp_path("state/g2.sizes"));
}

/* ld0 has 2048 blocks. */
START_TEST(a_backstore_smaller_than_its_unit_is_taken_when_the_unit_has_grown)
{
	int fd = client_connect();

	luns.sizes = sizes_open(temp_path("state/g2.sizes"));
	SPEAKS(open_blocks(fd, 1024), "2048 blocks");
	ck_assert_int_eq(open_blocks(fd, 2048).head.status, 0);
	/* As if it had been served with half of its size before. */
	luns_release_all(&luns, NULL);
	sizes_note(luns.sizes, "naa.60a0", 1024, 512);
	save_and_reopen();
	SPEAKS(open_blocks(fd, 1023), "2048 blocks");
	ck_assert_int_eq(open_blocks(fd, 1024).head.status, 0);
	sizes_close(luns.sizes);
	luns.sizes = NULL;
	close(fd);
}
END_TEST

START_TEST(what_was_served_is_remembered)
{
	int fd = client_connect();

	luns.sizes = sizes_open(temp_path("state/g2.sizes"));
	client_serve(fd, "a", "hba/g2/ld0", 1);
	save_and_reopen();
	ck_assert(sizes_had(luns.sizes, "naa.60a0", 2048, 512));
	ck_assert(!sizes_had(luns.sizes, "naa.60a0", 2048, 4096));
	ck_assert(!sizes_had(luns.sizes, "naa.60a1", 2048, 512));
	ck_assert(!sizes_had(NULL, "naa.60a0", 2048, 512));
	sizes_close(luns.sizes);
	/* A damaged file knows nothing and is replaced. */
	ck_assert(g_file_set_contents(temp_path("state/g2.sizes"), "[naa", -1, NULL));
	luns.sizes = sizes_open(temp_path("state/g2.sizes"));
	ck_assert(!sizes_had(luns.sizes, "naa.60a0", 2048, 512));
	sizes_note(luns.sizes, "naa.60a0", 2048, 512);
	save_and_reopen();
	ck_assert(sizes_had(luns.sizes, "naa.60a0", 2048, 512));
	sizes_close(luns.sizes);
	luns.sizes = NULL;
	close(fd);
}
END_TEST

START_TEST(a_lun_grows_as_far_as_its_unit)
{
	struct handoff_open m = open_msg("a", "hba/g2/ld0", 1);
	int fd = client_connect();
	uint64_t handle;

	m.blocks = 1024;
	m.known = 1;
	handle = client_send_open(fd, &m).handle;
	SPEAKS(client_resize(fd, handle, 2048), "not served now");
	ck_assert_int_eq(client_handle(fd, HANDOFF_START, handle).head.status, 0);
	fake_calls();
	SPEAKS(client_resize(fd, handle, 1023), "cannot become smaller");
	SPEAKS(client_resize(fd, handle, 2049), "hbactl rescan g2");
	ck_assert_int_eq(client_resize(fd, handle + 1, 2048).head.status, -ENOENT);
	ck_assert_int_eq(client_resize(fd, handle, 1024).head.status, 0);
	ck_assert_str_eq(fake_calls(), "");
	fake.resize = -ETIMEDOUT;
	ck_assert_int_eq(client_resize(fd, handle, 2048).head.status, -ETIMEDOUT);
	fake.resize = 0;
	ck_assert_int_eq(client_resize(fd, handle, 2048).head.status, 0);
	ck_assert_str_eq(fake_calls(), "resize ld0, resize ld0");
	ck_assert_uint_eq(luns_find(&luns, handle)->cfg.blocks, 2048);
	close(fd);
}
END_TEST

static int open_known(int fd, const char *cfgstring, bool known)
{
	struct handoff_open m = open_msg("a", cfgstring, 1);

	m.known = known;
	return client_send_open(fd, &m).head.status;
}

/* The kernel's configuration has "ld0" only. 1: tcmu-runner restarted; 2: while the controller boots it is taken on trust, and its
 * gate stays closed; nothing is learned from it. */
START_TEST(a_backstore_is_the_disk_that_it_was)
{
	int fd = client_connect();

	luns.sizes = sizes_open(temp_path("state/g2.sizes"));
	client_serve(fd, "a", "hba/g2/ld0", 1);
	save_and_reopen();
	luns_release_all(&luns, NULL);
	/* As if ld0 had been another disk then. */
	sizes_note_disk(luns.sizes, "a", "ld0", "naa.old");
	ck_assert_ptr_null(sizes_disk(luns.sizes, "a", "ld1"));
	ck_assert_ptr_null(sizes_disk(luns.sizes, "b", "ld0"));
	save_and_reopen();
	if (_i == 2) {
		luns.attached = false;
		luns.state = HANDOFF_BOOTING;
		client_serve(fd, "a", "hba/g2/ld0", 1);
		luns_attached(&luns);
		luns.state = HANDOFF_READY;
		luns_release_all(&luns, NULL);
	}
	ck_assert_int_eq(open_known(fd, "hba/g2/ld0", _i == 1), -ESTALE);
	/* Who names the disk means it, and from then on that is the one. */
	client_serve(fd, "a", "hba/g2/naa.60a0", 1);
	luns_release_all(&luns, NULL);
	ck_assert_int_eq(open_known(fd, "hba/g2/ld0", _i == 1), 0);
	sizes_close(luns.sizes);
	luns.sizes = NULL;
	close(fd);
}
END_TEST

/* Firmware gives the unit's name to another disk while the backstore lives. */
START_TEST(what_comes_in_the_place_of_a_served_disk_is_not_remembered)
{
	struct scsi_unit *u = (struct scsi_unit *)scsi_host_find(NULL, "ld0", NULL);
	g_autofree char *was = NULL, *is = NULL;
	char naa[40];
	int fd = client_connect();

	luns.sizes = sizes_open(temp_path("state/g2.sizes"));
	client_serve(fd, "a [1]=", "hba/g2/ld0", 1);
	was = sizes_disk(luns.sizes, "a [1]=", "ld0");
	ck_assert_str_eq(was, u->id.naa_text);
	strcpy(naa, u->id.naa_text);
	strcpy(u->id.naa_text, "naa.other");
	luns_attached(&luns);
	strcpy(u->id.naa_text, naa);
	save_and_reopen();
	is = sizes_disk(luns.sizes, "a [1]=", "ld0");
	ck_assert_str_eq(is, was);
	/* Nor is it forgotten because another backstore is that disk now. */
	sizes_note_disk(luns.sizes, "b", "naa.x", was);
	g_free(is);
	is = sizes_disk(luns.sizes, "a [1]=", "ld0");
	ck_assert_str_eq(is, was);
	for (unsigned i = 0; i < 3000; i++) {
		g_autofree char *name = g_strdup_printf("v%u", i);

		sizes_note_disk(luns.sizes, name, "ld1", "naa.y");
	}
	g_free(is);
	is = sizes_disk(luns.sizes, "v2999", "ld1");
	ck_assert_str_eq(is, "naa.y");
	g_free(is);
	is = sizes_disk(luns.sizes, "v1000", "ld1");
	ck_assert_ptr_null(is);
	sizes_close(luns.sizes);
	luns.sizes = NULL;
	close(fd);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sizes");
	TCase *t = tcase_create("sizes");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	tcase_set_timeout(t, 100);
	tcase_add_checked_fixture(t, service_start, service_stop);
	tcase_add_test(t, open_judges_size_and_block_size);
	tcase_add_test(t, a_backstore_smaller_than_its_unit_is_taken_when_the_unit_has_grown);
	tcase_add_test(t, what_was_served_is_remembered);
	tcase_add_test(t, a_lun_grows_as_far_as_its_unit);
	tcase_add_loop_test(t, a_backstore_is_the_disk_that_it_was, 0, 3);
	tcase_add_test(t, what_comes_in_the_place_of_a_served_disk_is_not_remembered);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
