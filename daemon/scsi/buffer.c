/* SPDX-License-Identifier: GPL-2.0-or-later */
/* READ BUFFER and WRITE BUFFER: firmware download and buffers of the unit. Passed where the LUN allows it. */
#include "commands.h"

#include "base/endian.h"
#include "through.h"

#define MODE		0x1f
#define MODE_DESCRIPTOR 0x03
#define MODE_ECHO_DESC	0x0b
#define DESCRIPTOR_LEN	4

static const struct through buffer = {.len_at = 6, .len_width = 3, .unit = 1};
static const struct through download = {.len_at = 6, .len_width = 3, .unit = 1, .once = true};

void cmd_read_buffer(struct scsi_task *t)
{
	uint8_t mode = t->cdb[1] & MODE;
	uint32_t alloc = get_be24(t->cdb + 6);

	/* Firmware does not tell how much came; of descriptors it is known. */
	if (mode == MODE_DESCRIPTOR || mode == MODE_ECHO_DESC)
		alloc = MIN(alloc, DESCRIPTOR_LEN);
	through_in(t, &buffer, alloc);
}

void cmd_write_buffer(struct scsi_task *t)
{
	through_out(t, &download, get_be24(t->cdb + 6));
}
