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
void cmd_prevent_allow(struct scsi_task *t);
/* compare.c */
void cmd_compare_and_write(struct scsi_task *t);
void cmd_orwrite(struct scsi_task *t);
/* wverify.c */
void cmd_write_verify(struct scsi_task *t);
/* atomic.c */
void cmd_write_atomic(struct scsi_task *t);
bool atomic_able(const struct scsi_lun *lun);
/* verify.c */
void cmd_verify(struct scsi_task *t);
/* inquiry.c */
void cmd_inquiry(struct scsi_task *t);
/* capacity.c */
void cmd_read_capacity10(struct scsi_task *t);
void cmd_read_capacity16(struct scsi_task *t);
/* write_same.c */
void cmd_write_same(struct scsi_task *t);
/* unmap.c */
bool can_unmap(const struct scsi_lun *lun);
void cmd_unmap(struct scsi_task *t);
/* lba_status.c */
void cmd_get_lba_status(struct scsi_task *t);
/* prefetch.c */
void cmd_prefetch(struct scsi_task *t);
/* format.c */
void cmd_format_unit(struct scsi_task *t);
/* sanitize.c */
void cmd_sanitize_overwrite(struct scsi_task *t);
void cmd_sanitize_exit(struct scsi_task *t);
/* mode.c */
void cmd_mode_sense6(struct scsi_task *t);
void cmd_mode_sense10(struct scsi_task *t);
/* mode_select.c */
void cmd_mode_select6(struct scsi_task *t);
void cmd_mode_select10(struct scsi_task *t);
/* log_sense.c */
void cmd_log_sense(struct scsi_task *t);
/* defect.c */
void cmd_read_defect10(struct scsi_task *t);
void cmd_read_defect12(struct scsi_task *t);
/* diagnostic.c */
void cmd_send_diagnostic(struct scsi_task *t);
void cmd_receive_diagnostic(struct scsi_task *t);
/* buffer.c */
void cmd_read_buffer(struct scsi_task *t);
void cmd_write_buffer(struct scsi_task *t);
/* security.c */
void cmd_security_in(struct scsi_task *t);
void cmd_security_out(struct scsi_task *t);
/* ata.c */
void cmd_ata(struct scsi_task *t);
/* vendor.c */
void cmd_vendor(struct scsi_task *t);
/* report.c */
void cmd_request_sense(struct scsi_task *t);
void cmd_report_luns(struct scsi_task *t);
void cmd_report_opcodes(struct scsi_task *t);
void cmd_report_tmfs(struct scsi_task *t);

/* copy.c, copy_results.c */
void cmd_extended_copy(struct scsi_task *t);
void cmd_copy_status(struct scsi_task *t);
void cmd_copy_parameters(struct scsi_task *t);
void cmd_copy_failure(struct scsi_task *t);

#endif
