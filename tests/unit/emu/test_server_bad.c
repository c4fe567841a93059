/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The vfio-user server against clients that break the specification. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "probe.h"

static struct rig *rig;
static struct client c;

static void setup(void)
{
	rig = rig_new(&model_probe);
	rig_up(rig);
	client_up(&c, rig->socket);
}

static void teardown(void)
{
	client_close(&c);
	rig_down(rig);
}

static void forgive(void *arg)
{
	rig->emu.stats.wrong_dma = 0;
}

static uint32_t engine(uint32_t command, uint64_t addr, uint32_t len)
{
	client_write32(&c, 0, 0x00, (uint32_t)addr);
	client_write32(&c, 0, 0x04, (uint32_t)(addr >> 32));
	client_write32(&c, 0, 0x08, len);
	client_write32(&c, 0, 0x0c, command);
	rig_wait(client_read32(&c, 0, 0x0c) != UINT32_MAX);
	return client_read32(&c, 0, 0x0c);
}

/* --- bad clients: each is thrown out, and the next one finds all in order --- */

static void raw_header(uint16_t cmd, uint32_t size, uint32_t flags)
{
	const struct vu_header h = {1, cmd, size, flags, 0};

	client_send_raw(&c, &h, sizeof(h));
}

static void short_header(void)
{
	client_send_raw(&c, "\1\0\4", 3);
	shutdown(c.fd, SHUT_WR);
}
static void size_below_header(void)
{
	raw_header(VU_DEVICE_GET_INFO, 15, 0);
}
static void size_huge(void)
{
	raw_header(VU_REGION_WRITE, UINT32_MAX, 0);
}
static void size_just_too_much(void)
{
	raw_header(VU_REGION_WRITE, 16 + 16 + 1048576 + 1, 0);
}
static void type_unknown(void)
{
	raw_header(VU_DEVICE_GET_INFO, 16, 0x5);
}
static void reply_to_nothing(void)
{
	raw_header(VU_DMA_READ, 16, VU_TYPE_REPLY);
}
static void short_payload(void)
{
	const struct vu_dma_map m = {sizeof(m), 3, 0, 0x1000, 0x1000};

	client_send(&c, VU_DMA_MAP, 0, &m, 31, NULL, 0);
}
static void no_payload(void)
{
	client_send(&c, VU_DEVICE_SET_IRQS, 0, NULL, 0, NULL, 0);
}
static void write_shorter_than_count(void)
{
	const struct vu_region_access a = {0x20, 0, 8};
	uint8_t m[20] = {0};

	memcpy(m, &a, sizeof(a));
	client_send(&c, VU_REGION_WRITE, 0, m, sizeof(m), NULL, 0);
}
static void read_of_too_much(void)
{
	const struct vu_region_access a = {0, 2, 1048577};

	client_send(&c, VU_REGION_READ, 0, &a, sizeof(a), NULL, 0);
}
static void multi_count_lies(void)
{
	const uint64_t m[4] = {UINT64_MAX / 24 + 2, 0x20, 0, 0};

	client_send(&c, VU_REGION_WRITE_MULTI, 0, m, sizeof(m), NULL, 0);
}
static void second_version(void)
{
	const struct vu_version v = {0, 1};

	client_send(&c, VU_VERSION, 0, &v, sizeof(v), NULL, 0);
}
static void descriptor_where_none_belongs(void)
{
	int fd = 0;
	struct vu_device_info d = {.argsz = sizeof(d)};

	client_send(&c, VU_DEVICE_GET_INFO, 0, &d, sizeof(d), &fd, 1);
}
static void two_descriptors_for_one_map(void)
{
	int fds[2] = {c.memfd, c.memfd};
	const struct vu_dma_map m = {sizeof(m), 3, 0, 0x1000, 0x1000};

	client_send(&c, VU_DMA_MAP, 0, &m, sizeof(m), fds, 2);
}
static void too_many_descriptors(void)
{
	int fds[17];
	const struct vu_irq_set q = {sizeof(q), VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
		VFIO_PCI_MSIX_IRQ_INDEX, 0, 4};

	for (unsigned i = 0; i < 17; i++)
		fds[i] = c.memfd;
	client_send(&c, VU_DEVICE_SET_IRQS, 0, &q, sizeof(q), fds, 17);
}
static void before_negotiation(void)
{
	const struct vu_device_info d = {.argsz = sizeof(d)};

	client_close(&c);
	client_connect(&c, rig->socket);
	client_send(&c, VU_DEVICE_GET_INFO, 0, &d, sizeof(d), NULL, 0);
}
static void other_major(void)
{
	const struct vu_version v = {1, 0};

	client_close(&c);
	client_connect(&c, rig->socket);
	client_send(&c, VU_VERSION, 0, &v, sizeof(v), NULL, 0);
}
static void wrong_dma_reply(void)
{
	ck_assert_int_eq(client_map(&c, 0x8000, 0x1000, 3, -1, 0), 0);
	client_write32(&c, 0, 0x00, 0x8000);
	client_write32(&c, 0, 0x08, 64);
	client_write32(&c, 0, 0x0c, 1);
	ck_assert(client_receive(&c));
	raw_header(VU_DMA_WRITE, 16, VU_TYPE_REPLY);
}

static void (*const rude[])(void) = {short_header, size_below_header, size_huge, size_just_too_much,
	type_unknown, reply_to_nothing, short_payload, no_payload, write_shorter_than_count, read_of_too_much,
	multi_count_lies, second_version, descriptor_where_none_belongs, two_descriptors_for_one_map,
	too_many_descriptors, before_negotiation, other_major, wrong_dma_reply};

START_TEST(a_client_that_breaks_the_protocol_is_thrown_out)
{
	rude[_i]();
	ck_assert(client_is_closed(&c));
	rig_wait(rig_stats(rig).bad_messages == 1);
	client_close(&c);
	rig_call(rig, forgive, NULL);
	client_up(&c, rig->socket);
	ck_assert_uint_eq(engine(1, MEM_IOVA, 4096), 0);
}
END_TEST

START_TEST(unknown_commands_are_answered_with_an_error)
{
	static const uint16_t unknown[] = {0, 6, 14, 16, 17, 18, 19, 0xffff};

	for (unsigned i = 0; i < ARRAY_SIZE(unknown); i++)
		ck_assert_int_eq(client_call(&c, unknown[i], NULL, 0, -1), ENOTSUP);
}
END_TEST

START_TEST(random_bytes_do_not_hurt)
{
	struct rng rng = {(uint64_t)_i};

	for (unsigned n = 0; n < 50; n++) {
		uint8_t junk[256];
		struct vu_header h;

		client_close(&c);
		client_hello(&c, rig->socket);
		for (unsigned i = 0; i < sizeof(junk); i++)
			junk[i] = (uint8_t)rng_next(&rng);
		/* a header that may pass, and a payload that says anything */
		h = (struct vu_header){7, (uint16_t)rng_below(&rng, 20), 16 + (uint32_t)rng_below(&rng, 80),
			(uint32_t)rng_below(&rng, 64) & ~0xfu, 0};
		memcpy(junk, &h, sizeof(h));
		client_send_raw(&c, junk, sizeof(junk));
		shutdown(c.fd, SHUT_WR);
		while (client_receive(&c))
			if (answer.fd >= 0)
				close(answer.fd);
	}
	client_close(&c);
	client_up(&c, rig->socket);
	ck_assert_uint_eq(engine(1, MEM_IOVA, 4096), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vfio-user server, bad clients");
	TCase *t = tcase_create("rude");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 30);
	tcase_add_loop_test(t, a_client_that_breaks_the_protocol_is_thrown_out, 0, (int)ARRAY_SIZE(rude));
	tcase_add_test(t, unknown_commands_are_answered_with_an_error);
	tcase_add_loop_test(t, random_bytes_do_not_hurt, 0, 10);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
