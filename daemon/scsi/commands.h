/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One function per command of the opcode table. Each ends in task_…() of task.h: a result, or work for the
 * controller. */
#ifndef HBAD_SCSI_COMMANDS_H
#define HBAD_SCSI_COMMANDS_H

#include "scsi.h"

/* rw.c */
void cmd_read(struct scsi_task *t);
void cmd_write(struct scsi_task *t);
void cmd_sync_cache(struct scsi_task *t);
/* pass.c */
void cmd_test_unit_ready(struct scsi_task *t);
void cmd_start_stop(struct scsi_task *t);
/* verify.c */
void cmd_verify(struct scsi_task *t);
/* inquiry.c */
void cmd_inquiry(struct scsi_task *t);
/* capacity.c */
void cmd_read_capacity10(struct scsi_task *t);
void cmd_read_capacity16(struct scsi_task *t);
/* mode.c */
void cmd_mode_sense6(struct scsi_task *t);
void cmd_mode_sense10(struct scsi_task *t);
/* report.c */
void cmd_request_sense(struct scsi_task *t);
void cmd_report_luns(struct scsi_task *t);
void cmd_report_opcodes(struct scsi_task *t);
void cmd_report_tmfs(struct scsi_task *t);

#endif
