/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hbactl guard: answers initiators for an hbad that is gone. Called by ExecStopPost= of hbad@.service. */
#include "hbactl.h"

#include "instance.h"

static int run(struct ctl *c, int argc, char **argv)
{
	const struct ctl_syntax syntax = {
		.command = "guard",
		.operand = "NAME",
		.summary = "Blocks the instance's LUNs and answers what is outstanding with BUSY, so that "
			   "initiators "
			   "retry instead\nof waiting for ever and LUNs can be deleted while hbad is away. "
			   "Refuses while "
			   "hbad lives. For\nExecStopPost= of hbad@.service.",
	};
	struct guard_config cfg = {.configfs_root = c->configfs, .runtime_dir = c->runtime_dir};
	struct guard_result result = {0};
	struct err e = {""};
	int exit_code;

	if (ctl_parse(c, &syntax, argc, argv, &cfg.name, &exit_code) == CTL_PARSE_EXIT)
		return exit_code;
	if (ctl_check_name(c, "guard", cfg.name) != CTL_OK)
		return CTL_USAGE;
	if (ctl_need_root(c, "guard") != CTL_OK)
		return CTL_FAILED;
	fflush(c->out); /* the guard forks, and must not print our buffer once more */
	if (c->ops->guard(&cfg, &result, &e) < 0)
		return ctl_fail(c, "%s", e.text);
	/* A slip in the name must not look like a job that is done. */
	if (result.guarded == 0 && !instance_exists(c, cfg.name))
		ctl_warn(c, "there is no instance '%s', and no LUN of one: 'hbactl list' lists the instances",
			cfg.name);
	return CTL_OK;
}

const struct ctl_command cmd_guard = {
	.name = "guard",
	.summary = "Block an instance's LUNs after hbad ended",
	.run = run,
	.for_unit = true,
};
