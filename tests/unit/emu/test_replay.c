/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Captures as they are read: what is damaged, cut off or hostile is refused with a reason; what is right is played. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "emu/replay.h"
#include "tests/unit/run_suite.h"

/* --- captures by hand --- */

struct capture {
	uint8_t bytes[16384];
	size_t len;
	uint32_t n;
};

static struct capture cap;

static void put(const void *p, size_t len)
{
	ck_assert_uint_le(cap.len + len, sizeof(cap.bytes));
	if (len)
		memcpy(cap.bytes + cap.len, p, len);
	cap.len += len;
}

static void begin(void)
{
	struct capture_header h = {.major = 1,
		.header_len = sizeof(h),
		.vendor = 0x1000,
		.device = 0x0079,
		.class_rev = 0x01040005,
		.n_vectors = {1, 0, 4},
		.bar_size = {[1] = 0x4000},
		.dma_page = 4096};

	memset(&cap, 0, sizeof(cap));
	memcpy(h.magic, CAPTURE_MAGIC, sizeof(h.magic));
	memcpy(h.config, "\x00\x10\x79\x00", 4);
	memcpy(h.program, "by hand", 7);
	h.config[0x14] = 4;
	put(&h, sizeof(h));
}

static void rec_seq(uint32_t seq, uint8_t type, uint8_t arg, const void *p, uint16_t len)
{
	static const uint8_t zeros[8];
	const struct capture_record r = {
		.type = type, .arg = arg, .len = len, .seq = seq, .time_ns = 1000u * seq};

	put(&r, sizeof(r));
	put(p, len);
	put(zeros, CAPTURE_PAD(len) - len);
	cap.n++;
}

static void rec(uint8_t type, uint8_t arg, const void *p, uint16_t len)
{
	rec_seq(cap.n, type, arg, p, len);
}

static void reg(uint8_t type, unsigned width, uint32_t off, uint64_t value)
{
	const struct capture_reg r = {.off = off, .value = value};

	rec(type, CAPTURE_ARG(1, width), &r, sizeof(r));
}
static void rd(uint32_t off, uint32_t value)
{
	reg(CAPTURE_READ, 4, off, value);
}
static void wr(uint32_t off, uint32_t value)
{
	reg(CAPTURE_WRITE, 4, off, value);
}

static void mem_in(uint64_t addr, const char *text)
{
	uint8_t buf[64];

	memcpy(buf, &addr, 8);
	memcpy(buf + 8, text, strlen(text));
	rec(CAPTURE_MEM_IN, 0, buf, (uint16_t)(8 + strlen(text)));
}

static void irq(uint8_t kind, uint32_t vector)
{
	const struct capture_irq q = {vector, 1};

	rec(CAPTURE_IRQ, kind, &q, sizeof(q));
}

static void end_with(uint32_t why, uint64_t dropped)
{
	struct capture_end e = {.records = cap.n, .dropped = dropped, .why = why};

	e.crc = capture_crc(0, cap.bytes, cap.len);
	rec(CAPTURE_END, 0, &e, sizeof(e));
}

static int parse_len(size_t len, bool partial, struct replay_file *f, struct err *e)
{
	/* Exactly so much memory, so that reading behind it is noticed. */
	uint8_t *copy = malloc(len ? len : 1);

	memcpy(copy, cap.bytes, len);
	memset(f, 0, sizeof(*f));
	return replay_file_parse("it", copy, len, partial, f, e);
}

/* For replay_file_free(). */
static void taken(struct replay_file *f)
{
	struct err e = {""};

	ck_assert_msg(parse_len(cap.len, false, f, &e) == 0, "%s", e.text);
}

static void refused(const char *part)
{
	struct replay_file f;
	struct err e = {""};

	ck_assert_int_eq(parse_len(cap.len, false, &f, &e), -EBADMSG);
	ck_assert_msg(strstr(e.text, part), "'%s' is not in: %s", part, e.text);
}

static void small_capture(void)
{
	begin();
	rd(0xb0, 0x60000000);
	wr(0x20, 0x18);
	mem_in(0x1000, "frame");
	irq(2, 3);
	rd(0xb0, 0xb0000000);
	end_with(CAPTURE_CLOSED, 0);
}

/* --- reading --- */

START_TEST(a_right_capture_is_taken)
{
	struct replay_file f;

	small_capture();
	taken(&f);
	ck_assert_uint_eq(f.n, 5);
	ck_assert(f.whole);
	ck_assert_uint_eq(f.h.device, 0x0079);
	ck_assert_uint_eq(f.rec[1].value, 0x18);
	ck_assert_mem_eq(f.rec[2].data, "frame", 5);
	replay_file_free(&f);
}
END_TEST

START_TEST(each_cut_is_refused_and_partial_takes_what_is_whole)
{
	struct replay_file f;
	struct err e;

	small_capture();
	for (size_t len = 0; len < cap.len; len++) {
		int r;

		e.text[0] = '\0';
		ck_assert_int_eq(parse_len(len, false, &f, &e), -EBADMSG);
		ck_assert(e.text[0]);
		r = parse_len(len, true, &f, &e);
		ck_assert_int_eq(r, len < sizeof(struct capture_header) ? -EBADMSG : 0);
		ck_assert_uint_le(f.n, 5);
		ck_assert(!f.whole);
		replay_file_free(&f);
	}
}
END_TEST

START_TEST(each_flipped_bit_is_noticed)
{
	struct replay_file f;

	small_capture();
	for (size_t at = 0; at < cap.len; at++) {
		struct err e = {""};

		/* The end is not in its own sum; its padding, time and counts are nobody's. */
		if (at >= cap.len - 40 + 1)
			break;
		cap.bytes[at] ^= 0x10;
		ck_assert_msg(parse_len(cap.len, false, &f, &e) < 0, "byte %zu", at);
		ck_assert(e.text[0]);
		cap.bytes[at] ^= 0x10;
	}
}
END_TEST

START_TEST(records_out_of_order_are_sorted)
{
	struct replay_file f;

	begin();
	rec_seq(2, CAPTURE_RESET, 0, NULL, 0);
	rec_seq(0, CAPTURE_IRQ_DISABLE, 0, NULL, 0);
	rec_seq(1, CAPTURE_INTX_UNMASK, 0, NULL, 0);
	end_with(CAPTURE_CLOSED, 0);
	taken(&f);
	ck_assert_uint_eq(f.rec[0].type, CAPTURE_IRQ_DISABLE);
	ck_assert_uint_eq(f.rec[2].type, CAPTURE_RESET);
	replay_file_free(&f);
}
END_TEST

START_TEST(a_capture_that_ended_early_counts_up_to_its_first_hole)
{
	struct replay_file f;

	begin();
	rec_seq(0, CAPTURE_RESET, 0, NULL, 0);
	rec_seq(1, CAPTURE_RESET, 0, NULL, 0);
	rec_seq(3, CAPTURE_RESET, 0, NULL, 0);
	end_with(CAPTURE_FULL, 0);
	taken(&f);
	ck_assert_uint_eq(f.n, 2);
	replay_file_free(&f);
}
END_TEST

START_TEST(types_of_a_later_version_are_passed_over)
{
	struct replay_file f;

	begin();
	rd(0xb0, 1);
	rec(200, 7, "what?", 5);
	rd(0xb0, 2);
	end_with(CAPTURE_CLOSED, 0);
	taken(&f);
	ck_assert_uint_eq(f.n, 3);
	replay_file_free(&f);
}
END_TEST

/* Hostile ones have right sums. */
START_TEST(hostile_headers_are_refused)
{
	static const struct {
		size_t at;
		uint8_t byte;
		const char *part;
	} bad[] = {
		{0x00, 'X', "does not begin like one"},
		{0x08, 2, "version 2"},
		{0x0c, 0xa8, "at byte"},	/* header_len: into the first record */
		{0x0d, 0x01, "its header has"}, /* too short */
		{0x0f, 0x7f, "its header has"},
		{0x24, 2, "interrupts of one kind"},
		{0x2e, 1, "interrupts of one kind"},
		{0x38, 1, "BAR 1 has"},
		{0x3c, 1, "BAR 1 has"},
		{0x68, 17, "address ranges"},
	};

	begin();
	cap.bytes[bad[_i].at] = bad[_i].byte;
	rd(0xb0, 0);
	end_with(CAPTURE_CLOSED, 0);
	refused(bad[_i].part);
}
END_TEST

static void hostile_record(int which)
{
	const struct capture_map wraps = {UINT64_MAX - 4095, 8192}, none = {0x1000, 0};
	const struct capture_reg bar6 = {.off = 0};
	static const uint8_t big[CAPTURE_MAX_PAYLOAD + 8];
	const uint64_t high = UINT64_MAX;

	switch (which) {
	case 0:
		rec(CAPTURE_READ, CAPTURE_ARG(6, 4), &bar6, sizeof(bar6));
		break;
	case 1:
		reg(CAPTURE_READ, 3, 0xb0, 0);
		break;
	case 2:
		reg(CAPTURE_READ, 4, 0xb1, 0);
		break;
	case 3:
		reg(CAPTURE_WRITE, 4, 0x4000, 0);
		break;
	case 4:
		reg(CAPTURE_READ, 1, 0xb0, 0x100);
		break;
	case 5:
		rec(CAPTURE_READ, CAPTURE_ARG(1, 4), "short", 5);
		break;
	case 6:
		rec(CAPTURE_MAP, 0, &wraps, sizeof(wraps));
		break;
	case 7:
		rec(CAPTURE_UNMAP, 0, &none, sizeof(none));
		break;
	case 8:
		irq(2, 4);
		break;
	case 9:
		irq(3, 0);
		break;
	case 10:
		rec(CAPTURE_MEM_IN, 0, "1234567", 7);
		break;
	case 11:
		rec(CAPTURE_RESET, 0, "x", 1);
		break;
	case 12:
		rec(CAPTURE_MEM_OUT, 0, big, sizeof(big));
		break;
	case 13:
		rec_seq(0, CAPTURE_RESET, 0, NULL, 0);
		break;
	case 14:
		rec_seq(9, CAPTURE_RESET, 0, NULL, 0);
		break;
	case 15: {
		uint8_t m[16];

		memcpy(m, &high, 8);
		rec(CAPTURE_MEM_IN, 0, m, sizeof(m));
		break;
	}
	case 16:
		rec(CAPTURE_DROPPED, 0, "1234", 4);
		break;
	case 17:
		rec(CAPTURE_CFG_READ, 4, &(struct capture_reg){.off = 4096}, sizeof(struct capture_reg));
		break;
	}
}

START_TEST(hostile_records_are_refused)
{
	begin();
	rd(0xb0, 1);
	hostile_record(_i);
	end_with(CAPTURE_CLOSED, 0);
	refused("at byte");
}
END_TEST

START_TEST(something_behind_the_end_is_refused)
{
	small_capture();
	put("more....", 8);
	refused("behind the end");
	begin();
	rd(0xb0, 1);
	cap.n = 7;
	end_with(CAPTURE_CLOSED, 0);
	refused("there should be 7 records");
}
END_TEST

START_TEST(files_that_are_none_are_refused)
{
	struct replay_file f;
	struct err e = {""};

	ck_assert_int_eq(replay_file_load("/nowhere", false, &f, &e), -ENOENT);
	ck_assert_int_eq(replay_file_load("/tmp", false, &f, &e), -EINVAL);
	ck_assert_int_eq(replay_file_load("/dev/null", false, &f, &e), -EINVAL);
	ck_assert_int_eq(replay_file_load("/proc/self/stat", false, &f, &e), -EBADMSG);
}
END_TEST

/* --- playing --- */

static struct {
	struct emu_bus bus;
	uint8_t mem[64];
	unsigned writes, messages, lines;
	unsigned vector;
} host;
static struct emu_stats stats;
static struct model_env env;
static const struct model *model;
static struct ctrl *ctrl;
static char path[64];

static int h_write(struct emu_bus *b, uint64_t addr, const void *buf, uint32_t len)
{
	host.writes++;
	if (addr < 0x1000 || addr - 0x1000 + len > sizeof(host.mem))
		return -EFAULT;
	memcpy(host.mem + (addr - 0x1000), buf, len);
	return 0;
}
static void h_message(struct emu_bus *b, unsigned vector)
{
	host.messages++;
	host.vector = vector;
}
static void h_line(struct emu_bus *b, bool level)
{
	host.lines += level;
}
static const struct emu_bus_ops host_ops = {.write = h_write, .message = h_message, .line = h_line};

static void play(void)
{
	struct err e = {""};
	int fd;

	strcpy(path, "/tmp/hba-emu-replay-XXXXXX");
	fd = mkstemp(path);
	ck_assert_int_eq(write(fd, cap.bytes, cap.len), (ssize_t)cap.len);
	close(fd);
	ck_assert_msg(replay_open(path, false, &model, &e) == 0, "%s", e.text);
	unlink(path);
	memset(&host, 0, sizeof(host));
	memset(&stats, 0, sizeof(stats));
	host.bus = (struct emu_bus){&host_ops, &stats};
	env = (struct model_env){.bus = &host.bus, .stats = &stats};
	ck_assert_int_eq(model->create(&env, &ctrl, &e), 0);
}

static void close_and_play(void)
{
	end_with(CAPTURE_CLOSED, 0);
	play();
}

static void done(void)
{
	model->destroy(ctrl);
	replay_close();
}

static uint32_t get(uint32_t off)
{
	return (uint32_t)model->access(ctrl, 1, off, 4, false, 0);
}
static void set(uint32_t off, uint32_t value)
{
	model->access(ctrl, 1, off, 4, true, value);
}

static void says(const char *part)
{
	char text[768];

	model->describe(ctrl, text, sizeof(text));
	ck_assert_msg(strstr(text, part), "'%s' is not in: %s", part, text);
}

START_TEST(the_device_looks_like_the_captured_one)
{
	uint8_t cfg[4096] = {1}, writable[4096];

	small_capture();
	play();
	ck_assert_uint_eq(model->pci.vendor, 0x1000);
	ck_assert_uint_eq(model->pci.device, 0x0079);
	ck_assert_uint_eq(model->pci.bar[1].size, 0x4000);
	ck_assert(model->pci.bar[1].wide);
	ck_assert(!model->pci.bar[0].size);
	ck_assert_uint_eq(model->pci.n_msix, 4);
	model->config(model, cfg, writable);
	ck_assert_mem_eq(cfg, "\x00\x10\x79\x00", 4);
	done();
}
END_TEST

START_TEST(the_same_again_is_answered_the_same)
{
	small_capture();
	play();
	ck_assert_uint_eq(get(0xb0), 0x60000000);
	model->work(ctrl);
	ck_assert_uint_eq(host.writes, 0);
	set(0x20, 0x18);
	ck_assert(model->work(ctrl));
	ck_assert_mem_eq(host.mem, "frame", 5);
	ck_assert_uint_eq(host.messages, 1);
	ck_assert_uint_eq(host.vector, 3);
	ck_assert(!model->work(ctrl));
	ck_assert_uint_eq(get(0xb0), 0xb0000000);
	says("\"state\":\"replaying\",\"matched\":3");
	/* Behind the end: the last value, and nothing goes wrong. */
	set(0x20, 1);
	ck_assert_uint_eq(get(0xb0), 0xb0000000);
	ck_assert_uint_eq(get(0x30), 0);
	says("\"state\":\"ended\"");
	ck_assert_uint_eq(stats.protocol_errors, 0);
	done();
}
END_TEST

/* Two writes in a row before the device moves: what stood between them comes all the same, and first. */
START_TEST(memory_comes_before_the_next_write)
{
	begin();
	wr(0x40, 1);
	mem_in(0x1000, "AAAA");
	wr(0x40, 2);
	mem_in(0x1000, "BB");
	close_and_play();
	set(0x40, 1);
	set(0x40, 2);
	ck_assert_mem_eq(host.mem, "AAAA", 4);
	model->work(ctrl);
	ck_assert_mem_eq(host.mem, "BBAA", 4);
	ck_assert_uint_eq(host.writes, 2);
	done();
}
END_TEST

static void play_memory_between_reads(void)
{
	begin();
	rd(0xb0, 1);
	wr(0x40, 1);
	rd(0xb0, 1);
	mem_in(0x1000, "AAAA");
	rd(0xb0, 2);
	close_and_play();
}

/* What it is that a driver sees first must not depend on who is faster. */
START_TEST(memory_comes_with_the_read_in_front_of_it)
{
	play_memory_between_reads();
	get(0xb0);
	set(0x40, 1);
	model->work(ctrl);
	ck_assert_uint_eq(host.writes, 0);
	ck_assert_uint_eq(get(0xb0), 1);
	ck_assert_uint_eq(host.writes, 1);
	ck_assert_uint_eq(get(0xb0), 2);
	done();
}
END_TEST

START_TEST(a_driver_that_waits_in_silence_gets_its_memory)
{
	struct clockwork clock;
	struct loop *loop;

	play_memory_between_reads();
	ck_assert_int_eq(loop_create(&loop), 0);
	clockwork_init(&clock, loop, 1);
	env.clock = &clock;
	get(0xb0);
	set(0x40, 1);
	for (unsigned i = 0; i < 3000 && !host.writes; i++)
		loop_once(loop, 10);
	ck_assert_uint_eq(host.writes, 1);
	/* The read that it left out is not answered any more. */
	ck_assert_uint_eq(get(0xb0), 2);
	done();
	clockwork_fini(&clock);
	loop_destroy(loop);
}
END_TEST

START_TEST(polling_may_be_faster_or_slower)
{
	begin();
	rd(0xb0, 0x40000000);
	rd(0xb0, 0x40000000);
	rd(0xb0, 0x40000000);
	wr(0x20, 0x18);
	rd(0xb0, 0xb0000000);
	wr(0x34, 1);
	close_and_play();
	/* Faster: two looks are left out. */
	ck_assert_uint_eq(get(0xb0), 0x40000000);
	set(0x20, 0x18);
	/* Slower: it looks again and again. */
	for (unsigned i = 0; i < 5000; i++)
		ck_assert_uint_eq(get(0xb0), 0xb0000000);
	set(0x34, 1);
	says("\"state\":\"replaying\",\"matched\":4,\"extra_reads\":4999,\"left_out\":2");
	done();
}
END_TEST

START_TEST(news_may_not_be_left_out)
{
	begin();
	rd(0xb0, 0x40000000);
	rd(0xb0, 0xb0000000);
	wr(0x20, 0x18);
	close_and_play();
	get(0xb0);
	set(0x20, 0x18);
	says("diverged");
	says("record 1 at 0.000001 s: the capture has read32 BAR1+0xb0 = 0xb0000000, the driver did write32 "
	     "BAR1+0x20 = 0x00000018");
	done();
}
END_TEST

START_TEST(the_first_difference_is_named_and_the_device_is_dead)
{
	small_capture();
	play();
	get(0xb0);
	set(0x20, 0x19);
	says("access 2, record 1");
	says("the capture has write32 BAR1+0x20 = 0x00000018, the driver did write32 BAR1+0x20 = 0x00000019");
	ck_assert_uint_eq(stats.protocol_errors, 1);
	ck_assert_uint_eq(get(0xb0), UINT32_MAX);
	set(0x20, 0x18);
	model->work(ctrl);
	ck_assert_uint_eq(host.writes, 0);
	/* Only the first one. */
	says("access 2, record 1");
	ck_assert_uint_eq(stats.protocol_errors, 1);
	done();
}
END_TEST

START_TEST(a_register_that_nobody_read_differs)
{
	small_capture();
	play();
	ck_assert_uint_eq(get(0x30), UINT32_MAX);
	says("the driver did read32 BAR1+0x30\"");
	done();
}
END_TEST

START_TEST(widths_are_told_apart)
{
	begin();
	reg(CAPTURE_READ, 1, 0x14, 0x0f);
	reg(CAPTURE_READ, 2, 0x18, 0x1234);
	reg(CAPTURE_WRITE, 8, 0xc0, UINT64_C(0x1122334455667788));
	close_and_play();
	ck_assert_uint_eq(model->access(ctrl, 1, 0x14, 1, false, 0), 0x0f);
	ck_assert_uint_eq(model->access(ctrl, 1, 0x18, 2, false, 0), 0x1234);
	model->access(ctrl, 1, 0xc0, 8, true, UINT64_C(0x1122334455667788));
	says("\"matched\":3");
	done();
}
END_TEST

START_TEST(a_hole_in_the_capture_is_its_end)
{
	const struct capture_dropped d = {5};

	begin();
	wr(0x20, 1);
	rec(CAPTURE_DROPPED, 0, &d, sizeof(d));
	wr(0x20, 2);
	end_with(CAPTURE_CLOSED, 5);
	play();
	set(0x20, 1);
	set(0x20, 9);
	says("\"state\":\"ended\"");
	says("records are missing");
	ck_assert_uint_eq(stats.protocol_errors, 0);
	done();
}
END_TEST

START_TEST(the_line_interrupts_too)
{
	begin();
	wr(0x20, 1);
	irq(0, 0);
	close_and_play();
	set(0x20, 1);
	model->work(ctrl);
	ck_assert_uint_eq(host.lines, 1);
	ck_assert_uint_eq(host.messages, 0);
	done();
}
END_TEST

START_TEST(a_dump_has_a_line_for_each_record)
{
	struct replay_file f;
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	small_capture();
	taken(&f);
	replay_dump(&f, out);
	fclose(out);
	ck_assert_ptr_nonnull(strstr(text, "1000:0079"));
	ck_assert_ptr_nonnull(strstr(text, "write32 BAR1+0x20 = 0x00000018"));
	ck_assert_ptr_nonnull(strstr(text, "memory-in 0x1000, 5 bytes"));
	ck_assert_ptr_nonnull(strstr(text, "66 72 61 6d 65"));
	ck_assert_ptr_nonnull(strstr(text, "interrupt MSI-X 3"));
	free(text);
	replay_file_free(&f);
}
END_TEST

static void add_all(TCase *t)
{
	tcase_add_test(t, a_right_capture_is_taken);
	tcase_add_test(t, each_cut_is_refused_and_partial_takes_what_is_whole);
	tcase_add_test(t, each_flipped_bit_is_noticed);
	tcase_add_test(t, records_out_of_order_are_sorted);
	tcase_add_test(t, a_capture_that_ended_early_counts_up_to_its_first_hole);
	tcase_add_test(t, types_of_a_later_version_are_passed_over);
	tcase_add_loop_test(t, hostile_headers_are_refused, 0, 10);
	tcase_add_loop_test(t, hostile_records_are_refused, 0, 18);
	tcase_add_test(t, something_behind_the_end_is_refused);
	tcase_add_test(t, files_that_are_none_are_refused);
	tcase_add_test(t, the_device_looks_like_the_captured_one);
	tcase_add_test(t, the_same_again_is_answered_the_same);
	tcase_add_test(t, memory_comes_before_the_next_write);
	tcase_add_test(t, memory_comes_with_the_read_in_front_of_it);
	tcase_add_test(t, a_driver_that_waits_in_silence_gets_its_memory);
	tcase_add_test(t, polling_may_be_faster_or_slower);
	tcase_add_test(t, news_may_not_be_left_out);
	tcase_add_test(t, the_first_difference_is_named_and_the_device_is_dead);
	tcase_add_test(t, a_register_that_nobody_read_differs);
	tcase_add_test(t, widths_are_told_apart);
	tcase_add_test(t, a_hole_in_the_capture_is_its_end);
	tcase_add_test(t, the_line_interrupts_too);
	tcase_add_test(t, a_dump_has_a_line_for_each_record);
}

int main(void)
{
	Suite *s = suite_create("replay");
	TCase *t = tcase_create("replay");

	log_set_level(LOG_LV_ERR);
	tcase_set_timeout(t, 60);
	add_all(t);
	suite_add_tcase(s, t);
	return run_suite(s);
}
