/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hbactl.1 and the bash completion know every command and option that --help prints, and every JSON member. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "fake.h"
#include "fake_dev.h"
#include "hbactl/json.h"

static char *manual, *completion;

static void setup(void)
{
	fake_setup();
	ck_assert(g_file_get_contents(HBACTL_SOURCE "/hbactl.1", &manual, NULL, NULL));
	ck_assert(g_file_get_contents(HBACTL_SOURCE "/hbactl.bash", &completion, NULL, NULL));
}

static void teardown(void)
{
	g_clear_pointer(&manual, g_free);
	g_clear_pointer(&completion, g_free);
	fake_teardown();
}

/* The description of a command: from its ".It Cm NAME" to that of the next command or section. */
static char *section_of(const char *command)
{
	g_autofree char *tag = g_strdup_printf("\n.It Cm %s ", command);
	const char *begin = strstr(manual, tag), *end, *next;

	ck_assert_msg(begin != NULL, "hbactl.1 does not describe '%s'", command);
	end = strstr(begin + 1, "\n.S"); /* .Sh or .Ss */
	next = strstr(begin + 1, "\n.It Cm ");
	ck_assert_ptr_nonnull(end);
	if (next && next < end)
		end = next;
	return g_strndup(begin, (gsize)(end - begin));
}

static bool in_manual(const char *section, const char *option)
{
	/* "--json" is spelled ".Fl -json" in mdoc, "-j" is ".Fl j"; a list of forms has them after "|" or "," */
	g_autofree char *pattern = g_strdup_printf("(Fl|\\|) %s( |$|,)", option + 1);

	return g_regex_match_simple(pattern, section, G_REGEX_MULTILINE, 0);
}

static void check_options(const char *command)
{
	g_autofree char *args = g_strdup_printf("%s --help", command);
	g_autofree char *section = section_of(command);
	g_autoptr(GRegex) re = g_regex_new("(?<=[ ,])--?[a-z][a-z-]*", 0, 0, NULL);
	g_autoptr(GMatchInfo) match = NULL;
	unsigned n = 0;

	ck_assert_int_eq(fake_run(args), CTL_OK);
	g_regex_match(re, fake->out, 0, &match);
	for (; g_match_info_matches(match); g_match_info_next(match, NULL)) {
		g_autofree char *option = g_match_info_fetch(match, 0);
		bool common = strcmp(option, "--help") == 0 || strcmp(option, "-h") == 0;

		n++;
		ck_assert_msg(in_manual(common ? manual : section, option),
			"hbactl.1 does not have %s in the description of %s", option, command);
		if (option[1] == '-')
			ck_assert_msg(strstr(completion, option) != NULL, "the completion does not know %s",
				option);
	}
	ck_assert_uint_ge(n, 2); /* -h, --help: else the expression is wrong */
}

START_TEST(the_manual_describes_each_command_with_each_option)
{
	for (const struct ctl_command *const *cmd = ctl_commands; *cmd; cmd++) {
		check_options((*cmd)->name);
		ck_assert_msg(strstr(completion, (*cmd)->name) != NULL, "the completion does not know %s",
			(*cmd)->name);
	}
	ck_assert(in_manual(manual, "--version"));
}
END_TEST

START_TEST(the_manual_has_no_command_that_is_not_there)
{
	g_autoptr(GRegex) re = g_regex_new("^\\.It Cm ([a-z]+)", G_REGEX_MULTILINE, 0, NULL);
	g_autoptr(GMatchInfo) match = NULL;

	g_regex_match(re, manual, 0, &match);
	ck_assert(g_match_info_matches(match));
	for (; g_match_info_matches(match); g_match_info_next(match, NULL)) {
		g_autofree char *name = g_match_info_fetch(match, 1);

		ck_assert_msg(ctl_find(name) != NULL, "hbactl.1 describes '%s'", name);
	}
}
END_TEST

static void check_members(JsonNode *node)
{
	JsonObjectIter it;
	const char *member;
	JsonNode *value;

	if (JSON_NODE_HOLDS_ARRAY(node))
		for (unsigned i = 0; i < json_array_get_length(json_node_get_array(node)); i++)
			check_members(json_array_get_element(json_node_get_array(node), i));
	if (!JSON_NODE_HOLDS_OBJECT(node))
		return;
	json_object_iter_init(&it, json_node_get_object(node));
	while (json_object_iter_next(&it, &member, &value)) {
		g_autofree char *line = g_strdup_printf("^\\.Ql (\\( )?%s( |$)", member);

		if (strcmp(member, "stats") == 0)
			continue; /* counters: described as such */
		ck_assert_msg(g_regex_match_simple(line, manual, G_REGEX_MULTILINE, 0),
			"hbactl.1 does not describe the member '%s'", member);
		check_members(value);
	}
}

START_TEST(the_manual_describes_each_json_member)
{
	static const char *const args[] = {"candidates -j", "attach 3:0.0 -n g2 -j", "list -j", "units g2 -j",
		"show g2 -j", "probe vfio-user:/x -j", "upgrade g2 -j"};
	static struct fake_dev dev;

	fake_dev_init(&dev);
	fake->pci = &dev.pci;
	fake->upgrade = "{\"pid\":1,\"in_place\":true,\"reason\":\"\"}";

	for (size_t i = 0; i < ARRAY_SIZE(args); i++) {
		g_autoptr(JsonNode) root = NULL;

		if (g_str_has_prefix(args[i], "upgrade")) {
			fake->boot_status = "{\"pid\":1}";
			fake->status_after = 1;
		}
		ck_assert_int_eq(fake_run(args[i]), CTL_OK);
		ck_assert_int_eq(json_parse(fake->out, &root, NULL), 0);
		check_members(root);
	}
}
END_TEST

START_TEST(the_manual_describes_each_state)
{
	static const char *const states[] = {"booting", "ready", "resetting", "failed", "removed", "stopping",
		"starting", "restarting", "stopped", "silent", "unknown"};

	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		g_autofree char *tag = g_strdup_printf("\n.It %s\n", states[i]);

		ck_assert_msg(
			strstr(manual, tag) != NULL, "hbactl.1 does not describe the state '%s'", states[i]);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hbactl manual");
	TCase *tc = tcase_create("manual");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, the_manual_describes_each_command_with_each_option);
	tcase_add_test(tc, the_manual_has_no_command_that_is_not_there);
	tcase_add_test(tc, the_manual_describes_each_json_member);
	tcase_add_test(tc, the_manual_describes_each_state);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
