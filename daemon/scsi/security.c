/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SECURITY PROTOCOL IN and OUT, passed where the LUN allows it. Never twice: each is a step of a dialogue. */
#include "commands.h"

#include "base/endian.h"
#include "through.h"

#define INC_512 0x80

static const struct through bytes = {.len_at = 6, .len_width = 4, .unit = 1, .once = true};
static const struct through blocks = {.len_at = 6, .len_width = 4, .unit = 512, .once = true};

static const struct through *how(const struct scsi_task *t)
{
	return t->cdb[4] & INC_512 ? &blocks : &bytes;
}

static uint64_t length(const struct scsi_task *t)
{
	return (uint64_t)get_be32(t->cdb + 6) * how(t)->unit;
}

void cmd_security_in(struct scsi_task *t)
{
	through_in(t, how(t), length(t));
}

void cmd_security_out(struct scsi_task *t)
{
	through_out(t, how(t), length(t));
}
