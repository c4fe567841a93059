/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control socket: lines in and out, the client's side, and what the inventory says. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <json-glib/json-glib.h>
#include "client.h"
#include "control/inventory.h"
#include "control/proto.h"
#include "control/server.h"

static struct server *server;
static struct hba hba;
static struct config config;
static struct inventory inv;

static char *canned; /* the reply, if not the inventory's */

static char *answer(const char *line, uid_t peer, void *user)
{
	if (canned)
		return g_steal_pointer(&canned);
	return inventory_answer(user, line);
}

static void start(void)
{
	int fd;

	service_start();
	memset(&hba, 0, sizeof(hba));
	strcpy(hba.info.product, "MegaRAID \xff");
	hba.limits.queue_depth = 128;
	config_init(&config);
	strcpy(config.device, "0000:03:00.0");
	inv = (struct inventory){
		.name = "g2",
		.config = &config,
		.started_ns = clock_ns() - 5 * NS_PER_SEC,
		.problem = "",
		.hba = &hba,
		.luns = &luns,
		.handoff = service,
		.rescan_problem = "",
		.start_note = "",
	};
	ck_assert_int_eq(sock_listen(temp_dir, "g2", PROTO_SOCKET, SOCK_STREAM, 0660, &fd, NULL), 0);
	server = server_new(fd, answer, &inv);
}

static JsonNode *answers[8]; /* freed with the fixture, since what ask() returns lies inside */
static unsigned n_answers;

static void stop(void)
{
	while (n_answers)
		json_node_unref(answers[--n_answers]);
	server_free(server);
	service_stop();
}

/* --- proto_call() from another thread, while the main loop serves --- */

struct call {
	const char *name, *verb;
	unsigned timeout_ms;
	int result;
	char *reply;
	struct err e;
	atomic_bool over;
};

static void *call_thread(void *arg)
{
	struct call *c = arg;

	c->result = proto_call(temp_dir, c->name, c->verb, c->timeout_ms, &c->reply, &c->e);
	c->over = true;
	return NULL;
}

static void call_with(struct call *c, bool serve)
{
	pthread_t t;

	ck_assert_int_eq(pthread_create(&t, NULL, call_thread, c), 0);
	while (serve && !c->over)
		pump(-1, 5);
	pthread_join(t, NULL);
}

static JsonObject *ask(const char *verb)
{
	struct call c = {.name = "g2", .verb = verb, .timeout_ms = FAKE_LIMIT_MS};
	JsonNode *node;

	call_with(&c, true);
	ck_assert_msg(!c.result, "%s", c.e.text);
	node = json_from_string(c.reply, NULL);
	ck_assert(node && JSON_NODE_HOLDS_OBJECT(node));
	free(c.reply);
	ck_assert_uint_lt(n_answers, ARRAY_SIZE(answers));
	answers[n_answers++] = node;
	return json_node_get_object(node);
}

static JsonObject *element(JsonObject *o, const char *list, unsigned i)
{
	return json_array_get_object_element(json_object_get_array_member(o, list), i);
}

START_TEST(status_tells_everything)
{
	static const char *const members[] = {"controller", "device", "handler", "io_threads",
		"kernel_driver", "limits", "luns", "name", "pid", "problem", "protocol", "refused",
		"rescan_problem", "rescanning", "rescans", "start_note", "state", "stats", "taken_over",
		"units", "uptime_s", "version"};
	JsonObject *o = ask("status");

	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		ck_assert_msg(json_object_has_member(o, members[i]), "%s is missing", members[i]);
	ck_assert_uint_eq(json_object_get_size(o), ARRAY_SIZE(members));
	ck_assert_int_eq(json_object_get_int_member(o, "protocol"), 1);
	ck_assert_str_eq(json_object_get_string_member(o, "name"), "g2");
	ck_assert_int_eq(json_object_get_int_member(o, "pid"), getpid());
	ck_assert_int_ge(json_object_get_int_member(o, "uptime_s"), 5);
	ck_assert_str_eq(json_object_get_string_member(o, "state"), "ready");
	ck_assert_str_eq(
		json_object_get_string_member(json_object_get_object_member(o, "controller"), "product"),
		"MegaRAID \xef\xbf\xbd");
	ck_assert_int_eq(
		json_object_get_int_member(json_object_get_object_member(o, "limits"), "queue_depth"), 128);
	ck_assert_int_eq(
		json_object_get_int_member(json_object_get_object_member(o, "stats"), "requests"), 9);
	ck_assert_int_eq(
		json_object_get_int_member(json_object_get_object_member(o, "stats"), "inflight"), 3);
}
END_TEST

START_TEST(units_tell_identity_cache_and_user)
{
	JsonObject *o, *u;
	int fd = client_connect();

	client_serve(fd, "disk0", "hba/g2/naa.60a0", 1);
	o = ask("units");
	u = element(o, "units", 0);
	ck_assert_str_eq(json_object_get_string_member(u, "name"), "ld0");
	ck_assert_str_eq(json_object_get_string_member(u, "kind"), "ld");
	ck_assert_str_eq(json_object_get_string_member(u, "raid"), "RAID 5");
	ck_assert_str_eq(json_object_get_string_member(u, "state"), "optimal");
	ck_assert_str_eq(json_object_get_string_member(u, "naa"), "naa.60a0");
	ck_assert_int_eq(json_object_get_int_member(u, "size_bytes"), 1048576);
	ck_assert(json_object_get_boolean_member(u, "write_back"));
	ck_assert(json_object_get_boolean_member(u, "cache_protected"));
	ck_assert(!json_object_get_boolean_member(u, "disk_cache"));
	ck_assert(json_object_get_boolean_member(u, "exportable"));
	ck_assert_str_eq(json_object_get_string_member(u, "exported_by"), "disk0");
	ck_assert_str_eq(json_object_get_string_member(element(o, "units", 1), "state"), "degraded");
	ck_assert_str_eq(json_object_get_string_member(element(o, "units", 1), "exported_by"), "");
	u = element(o, "units", 2);
	ck_assert_str_eq(json_object_get_string_member(u, "kind"), "pd");
	ck_assert_str_eq(json_object_get_string_member(u, "state"), "offline");
	ck_assert(!json_object_get_boolean_member(u, "exportable"));
	ck_assert_str_eq(json_object_get_string_member(u, "problem"), "is a tape");
	ck_assert_int_eq(json_object_get_int_member(u, "blocks"), 77);
	ck_assert_int_eq(json_object_get_int_member(u, "size_bytes"), 0);
	close(fd);
}
END_TEST

START_TEST(luns_tell_state_gate_and_counts)
{
	JsonObject *l;
	int fd = client_connect();

	client_serve(fd, "disk0", "hba/g2/naa.60a0;ro=1", 1);
	l = element(ask("luns"), "luns", 0);
	ck_assert_str_eq(json_object_get_string_member(l, "device"), "disk0");
	ck_assert_str_eq(json_object_get_string_member(l, "cfgstring"), "hba/g2/naa.60a0;ro=1");
	ck_assert_str_eq(json_object_get_string_member(l, "unit"), "ld0");
	ck_assert_str_eq(json_object_get_string_member(l, "state"), "serving");
	ck_assert_str_eq(json_object_get_string_member(l, "gate"), "open");
	ck_assert(json_object_get_boolean_member(l, "ro"));
	ck_assert_int_eq(
		json_object_get_int_member(json_object_get_object_member(l, "stats"), "commands"), 5);
	ck_assert_int_eq(json_object_get_int_member(json_object_get_object_member(l, "stats"), "read_bytes"),
		1ll << 40);
	fake_ring(0)->dropped = "gone";
	luns_tick(&luns);
	l = element(ask("stats"), "luns", 0);
	ck_assert_str_eq(json_object_get_string_member(l, "state"), "dropped");
	ck_assert_str_eq(json_object_get_string_member(l, "reason"), "gone");
	close(fd);
}
END_TEST

START_TEST(refused_is_an_array_that_hostile_names_do_not_break)
{
	JsonObject *o = ask("status"), *r;
	int fd = client_connect();
	struct handoff_open m;

	ck_assert_uint_eq(json_array_get_length(json_object_get_array_member(o, "refused")), 0);
	m = open_msg("\"},{\"device\":\"\\", "hba/g2/ld0\"]", 1);
	client_send_open(fd, &m);
	m = open_msg("x\xff\n\x1b", "hba/g2/ld0", 1);
	client_send_open(fd, &m);
	o = ask("status");
	ck_assert_uint_eq(json_array_get_length(json_object_get_array_member(o, "refused")), 2);
	r = element(o, "refused", 0);
	ck_assert_uint_eq(json_object_get_size(r), 4);
	ck_assert_str_eq(json_object_get_string_member(r, "device"), "x\xef\xbf\xbd\n\x1b");
	ck_assert_str_eq(json_object_get_string_member(r, "cfgstring"), "hba/g2/ld0");
	r = element(o, "refused", 1);
	ck_assert_uint_eq(json_object_get_size(r), 4);
	ck_assert_str_eq(json_object_get_string_member(r, "device"), "\"},{\"device\":\"\\");
	ck_assert_str_eq(json_object_get_string_member(r, "cfgstring"), "hba/g2/ld0\"]");
	ck_assert_ptr_nonnull(strstr(json_object_get_string_member(r, "reason"), "there are ld0, ld1"));
	luns.refusals.newest_first[1].time_us = 1790000000999999;
	r = element(ask("status"), "refused", 1);
	ck_assert_str_eq(json_object_get_string_member(r, "time"), "2026-09-21T14:13:20Z");
	close(fd);
}
END_TEST

START_TEST(lost_controller_leaves_its_units_alone)
{
	JsonObject *o;
	int fd = client_connect();

	client_serve(fd, "disk0", "hba/g2/naa.60a0", 1);
	inv.hba = NULL;
	inv.removed = true;
	luns.state = HANDOFF_FAILED;
	luns.attached = false;
	o = ask("status");
	ck_assert_str_eq(json_object_get_string_member(o, "state"), "removed");
	ck_assert(json_object_get_null_member(o, "controller"));
	ck_assert(json_object_get_null_member(o, "limits"));
	ck_assert_uint_eq(json_array_get_length(json_object_get_array_member(o, "units")), 0);
	ck_assert_str_eq(json_object_get_string_member(element(o, "luns", 0), "unit"), "naa.60a0");
	close(fd);
}
END_TEST

static const struct {
	enum handoff_state state;
	const char *name;
} states[] = {
	{HANDOFF_BOOTING, "booting"},
	{HANDOFF_READY, "ready"},
	{HANDOFF_STOPPING, "stopping"},
	{HANDOFF_FAILED, "failed"},
};

START_TEST(states_have_names)
{
	luns.state = states[_i].state;
	ck_assert_str_eq(json_object_get_string_member(ask("status"), "state"), states[_i].name);
}
END_TEST

/* --- failures of a call --- */

static const char *why;

static int on_upgrade(void *user, struct err *why_not, struct err *err)
{
	if (!why)
		return err_set(err, -EAGAIN, "the controller is not ready");
	return err_set(why_not, 0, "%s", why);
}

START_TEST(an_upgrade_is_for_root)
{
	g_autofree char *no = inventory_answer(&inv, "{\"verb\": \"upgrade\"}"), *in_place = NULL,
			*anew = NULL, *refused = NULL;

	ck_assert_msg(strstr(no, "\"error\"") && strstr(no, "root"), "%s", no);
	inv.may_upgrade = true;
	inv.upgrade = on_upgrade;
	refused = inventory_answer(&inv, "{\"verb\": \"upgrade\"}");
	ck_assert_str_eq(refused, "{\"error\":\"the controller is not ready\"}\n");
	why = "";
	in_place = inventory_answer(&inv, "{\"verb\": \"upgrade\"}");
	ck_assert_ptr_nonnull(strstr(in_place, "\"in_place\":true,\"reason\":\"\"}"));
	why = "it cannot";
	anew = inventory_answer(&inv, "{\"verb\": \"upgrade\"}");
	ck_assert_ptr_nonnull(strstr(anew, "\"in_place\":false,\"reason\":\"it cannot\"}"));
}
END_TEST

START_TEST(unknown_verb_is_a_sentence)
{
	struct call c = {.name = "g2", .verb = "dance", .timeout_ms = FAKE_LIMIT_MS};

	call_with(&c, true);
	ck_assert_int_eq(c.result, -EREMOTEIO);
	ck_assert_ptr_nonnull(strstr(c.e.text, "use status, units, luns, stats, events, rescan or upgrade"));
}
END_TEST

START_TEST(missing_instance_names_the_command_that_starts_it)
{
	struct call c = {.name = "g1", .verb = "status", .timeout_ms = FAKE_LIMIT_MS};

	call_with(&c, true);
	ck_assert_int_eq(c.result, -ENOENT);
	ck_assert_ptr_nonnull(strstr(c.e.text, "systemctl start hbad@g1"));
	/* A socket that a dead hbad left behind. */
	server_free(server);
	server = NULL;
	c = (struct call){.name = "g2", .verb = "status", .timeout_ms = FAKE_LIMIT_MS};
	call_with(&c, true);
	ck_assert_int_eq(c.result, -ECONNREFUSED);
	ck_assert_ptr_nonnull(strstr(c.e.text, "systemctl start hbad@g2"));
}
END_TEST

START_TEST(hung_hbad_costs_the_timeout)
{
	struct call c = {.name = "g2", .verb = "status", .timeout_ms = 200};

	call_with(&c, false);
	ck_assert_int_eq(c.result, -ETIMEDOUT);
	ck_assert_ptr_nonnull(strstr(c.e.text, "does not answer"));
}
END_TEST

/* 1 MiB of brackets, which a parser that calls itself for each does not survive; and less of it in strings, where they
 * mean nothing, together with a reply. */
START_TEST(a_reply_that_makes_no_sense_is_told_and_survived)
{
	struct call c = {.name = "g2", .verb = "status", .timeout_ms = FAKE_LIMIT_MS};

	canned = g_strdup("nonsense\n");
	call_with(&c, true);
	ck_assert_int_eq(c.result, -EPROTO);
	ck_assert_ptr_nonnull(strstr(c.e.text, "of one version"));
	ck_assert_ptr_nonnull(strstr(c.e.text, "systemctl restart hbad@g2"));
	c = (struct call){.name = "g2", .verb = "status", .timeout_ms = FAKE_LIMIT_MS};
	canned = g_strnfill((1 << 20) + 1, '[');
	canned[1 << 20] = '\n';
	call_with(&c, true);
	ck_assert_int_eq(c.result, -EPROTO);
	c = (struct call){.name = "g2", .verb = "status", .timeout_ms = FAKE_LIMIT_MS};
	canned = g_strdup("{\"problem\":\"[[[[{{{{\"}\n");
	call_with(&c, true);
	ck_assert_int_eq(c.result, 0);
	free(c.reply);
}
END_TEST

/* --- bytes on the socket --- */

static int raw_connect(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/g2/control.sock", temp_dir);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static void raw_send(int fd, const char *text, size_t len)
{
	ck_assert_int_eq(send(fd, text, len, MSG_NOSIGNAL), (ssize_t)len);
}

static char *raw_line(int fd)
{
	GString *s = g_string_new(NULL);
	char byte;

	while (pump(fd, FAKE_LIMIT_MS) && recv(fd, &byte, 1, 0) == 1 && byte != '\n')
		g_string_append_c(s, byte);
	return g_string_free(s, FALSE);
}

static const struct {
	const char *line;
	size_t len;
} nonsense[] = {
	{"\n", 1},
	{"{}\n", 3},
	{"[]\n", 3},
	{"nonsense\n", 9},
	{"{\"verb\": 7}\n", 12},
	{"{\"verb\": null}\n", 15},
	{"{\"verb\": {}}\n", 13},
	{"{\"verb\": \"\xff\"}\n", 14},
	{"{\"verb\"\0: 7}\n", 13},
	{"\"verb\"\n", 7},
};

START_TEST(nonsense_is_answered_with_an_error)
{
	int fd = raw_connect();
	g_autofree char *line = NULL;

	raw_send(fd, nonsense[_i].line, nonsense[_i].len);
	line = raw_line(fd);
	ck_assert_msg(g_str_has_prefix(line, "{\"error\":"), "%s", line);
	close(fd);
}
END_TEST

START_TEST(requests_may_come_in_pieces_and_together)
{
	static const char two[] = "{\"verb\": \"stats\"}\n{\"verb\": \"units\"}\n";
	int fd = raw_connect();
	g_autofree char *first = NULL, *second = NULL;

	for (size_t i = 0; i < 10; i++) {
		raw_send(fd, two + i, 1);
		pump(-1, 2);
	}
	raw_send(fd, two + 10, sizeof(two) - 11);
	first = raw_line(fd);
	second = raw_line(fd);
	ck_assert_msg(g_str_has_prefix(first, "{\"stats\":"), "%s", first);
	ck_assert_msg(g_str_has_prefix(second, "{\"units\":"), "%s", second);
	close(fd);
}
END_TEST

START_TEST(endless_line_ends_the_connection)
{
	char line[PROTO_MAX_REQUEST];
	int fd = raw_connect();

	memset(line, ' ', sizeof(line));
	raw_send(fd, line, sizeof(line));
	expect_end(fd);
	/* The longest line that is taken. */
	fd = raw_connect();
	memcpy(line, "{}", 2);
	line[sizeof(line) - 1] = '\n';
	raw_send(fd, line, sizeof(line));
	g_free(raw_line(fd));
	ck_assert_int_eq(send(fd, "\n", 1, MSG_NOSIGNAL), 1);
	close(fd);
}
END_TEST

/* A client that asks and never reads fills its socket: it must cost nobody else anything. */
START_TEST(client_that_does_not_read_blocks_nobody)
{
	static const char line[] = "{\"verb\": \"status\"}\n";
	int fd = raw_connect();

	for (int i = 0; i < 2000; i++) {
		if (send(fd, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			break;
		pump(-1, 1);
		if (i == 500)
			break;
	}
	ck_assert(json_object_has_member(ask("status"), "pid"));
	close(fd);
	pump(-1, 20);
}
END_TEST

START_TEST(sockets_have_their_modes)
{
	struct stat st;

	ck_assert_int_eq(stat(temp_path("g2/control.sock"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0660);
	ck_assert_int_eq(stat(temp_path("g2/handoff.sock"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
}
END_TEST

START_TEST(stale_socket_is_replaced)
{
	struct err e = {""};
	int fd;

	ck_assert_msg(!sock_listen(temp_dir, "g2", PROTO_SOCKET, SOCK_STREAM, 0660, &fd, &e), "%s", e.text);
	close(fd);
	ck_assert_int_eq(sock_listen(temp_dir, "nowhere", PROTO_SOCKET, SOCK_STREAM, 0660, &fd, &e), -ENOENT);
}
END_TEST

START_TEST(too_long_path_is_said)
{
	char dir[120];
	struct err e = {""};
	int fd;

	memset(dir, 'a', sizeof(dir));
	dir[sizeof(dir) - 1] = 0;
	ck_assert_int_eq(sock_listen(dir, "g2", PROTO_SOCKET, SOCK_STREAM, 0660, &fd, &e), -ENAMETOOLONG);
	ck_assert_ptr_nonnull(strstr(e.text, "107 characters"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("control socket");
	TCase *t = tcase_create("server");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	tcase_set_timeout(t, 100);
	tcase_add_checked_fixture(t, start, stop);
	tcase_add_test(t, status_tells_everything);
	tcase_add_test(t, units_tell_identity_cache_and_user);
	tcase_add_test(t, luns_tell_state_gate_and_counts);
	tcase_add_test(t, refused_is_an_array_that_hostile_names_do_not_break);
	tcase_add_test(t, lost_controller_leaves_its_units_alone);
	tcase_add_loop_test(t, states_have_names, 0, ARRAY_SIZE(states));
	tcase_add_test(t, an_upgrade_is_for_root);
	tcase_add_test(t, unknown_verb_is_a_sentence);
	tcase_add_test(t, missing_instance_names_the_command_that_starts_it);
	tcase_add_test(t, hung_hbad_costs_the_timeout);
	tcase_add_test(t, a_reply_that_makes_no_sense_is_told_and_survived);
	tcase_add_loop_test(t, nonsense_is_answered_with_an_error, 0, ARRAY_SIZE(nonsense));
	tcase_add_test(t, requests_may_come_in_pieces_and_together);
	tcase_add_test(t, endless_line_ends_the_connection);
	tcase_add_test(t, client_that_does_not_read_blocks_nobody);
	tcase_add_test(t, sockets_have_their_modes);
	tcase_add_test(t, stale_socket_is_replaced);
	tcase_add_test(t, too_long_path_is_said);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
