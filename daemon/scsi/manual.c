/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Prints the tables of commands, VPD pages, mode pages and log pages as a manual page. */
#include "manual.h"

#include <errno.h>
#include "facts.h"
#include "log_sense.h"
#include "mode.h"
#include "opcodes.h"

static const char head[] =
	"'\\\" t\n"
	".\\\" Made from hbad's own tables when it was built.\n"
	".TH HBAD\\-COMMANDS 7 \"\" \"hbad\" \"Miscellaneous\"\n"
	".SH NAME\n"
	"hbad\\-commands \\- SCSI commands and pages of the LUNs that hbad serves\n"
	".SH DESCRIPTION\n"
	"What becomes of each command that an initiator sends to a LUN of\n"
	".BR hbad (8),\n"
	"and of each page that it asks for.\n"
	"The same tables answer REPORT SUPPORTED OPERATION CODES, so that\n"
	".B sg_opcodes\n"
	"shows for one LUN what stands here for all.\n"
	"The fates:\n"
	".TP\n"
	".B pass\n"
	"the unit (logical drive or disk) answers the command itself\n"
	".TP\n"
	".B translate\n"
	"hbad makes other requests to the controller of it, and answers when these are done\n"
	".TP\n"
	".B emulate\n"
	"hbad answers\n"
	".TP\n"
	".B LIO\n"
	"Linux-IO answers, before the command comes to hbad\n"
	".TP\n"
	".B reject\n"
	"CHECK CONDITION, ILLEGAL REQUEST, INVALID COMMAND OPERATION CODE; INVALID FIELD IN CDB\n"
	"where the opcode has other service actions that are answered\n"
	".PP\n"
	"Opcodes that are not in the table are rejected.\n"
	"REPORT LUNS is in it because each logical unit has to have it; over Linux-IO's ports\n"
	"initiators see Linux-IO's answer.\n"
	".SH COMMANDS\n"
	".IR Allow :\n"
	"rejected unless the LUN's configuration string has this in its\n"
	".B allow=\n"
	"option; hbad's log tells when an initiator tried.\n"
	".IR Seconds :\n"
	"how long one request of it may take at the controller before it is aborted; longer\n"
	"commands are cut into several requests (those of FORMAT UNIT and SANITIZE are writes and\n"
	"flushes; their number is what initiators are told of the whole).\n"
	".IR Notes :\n"
	"w, refused as write protected with\n"
	".BR ro=1 ;\n"
	"m, also while software write protection (SWP) is on;\n"
	"n, it can change the medium without data, which Linux-IO does not see as a write:\n"
	"its read-only mappings and reservations do not stop it (of WRITE SAME the forms with\n"
	"NDOB, which need\n"
	".BR allow=nodata );\n"
	"u, offered only if the unit can do it.\n"
	".PP\n";

static const char vpd_head[] =
	".SH VPD PAGES\n"
	"No page 88h (SCSI ports): ports are Linux-IO's, which does not tell hbad of them.\n"
	"For the same reason designators of ports are left out of page 83h, and TPGS in the\n"
	"standard INQUIRY data is 0.\n"
	"No page B7h (block limits extension), which is newer than SBC-3: it speaks of\n"
	"streams, scattered writes and rebuild assist, none of which there is.\n"
	"Nor is there 8Ah (power condition), since initiators do not choose power conditions,\n"
	"89h (ATA information), and B3h and B6h (referrals, zones), which no exported unit has.\n"
	".PP\n";

static const char mode_head[] =
	".SH MODE PAGES\n"
	"Current, changeable and default values; saved values are refused (SAVING PARAMETERS\n"
	"NOT SUPPORTED).\n"
	"Page 3Fh and subpage FFh ask for all of them.\n"
	"MODE SELECT takes D_SENSE (format of sense data) and SWP (software write\n"
	"protection), both for all initiators and until hbad ends: also through a LOGICAL UNIT\n"
	"RESET, a restart of tcmu\\-runner, and when the LUN is removed and made anew; for\n"
	"protection that lasts use\n"
	".BR ro=1 .\n"
	"WCE cannot be changed: it tells whether the controller, the unit or its disks\n"
	"acknowledge writes from a volatile cache. A change would be forgotten with the next\n"
	"restart of hbad, which initiators do not notice: they would count on a write-through\n"
	"cache that is none. Change it with the vendor's tools.\n"
	"WP tells of\n"
	".B ro=1\n"
	"and SWP; that Linux-IO maps the LUN read-only for an initiator is not known here.\n"
	"D_SENSE is 1 from the start on LUNs with more than 2^32 blocks, as it is in\n"
	"Linux-IO's own sense data.\n"
	".PP\n";

static const char log_head[] =
	".SH LOG PAGES\n"
	"Those that the unit has, in its own words; the lists of pages (00h, with subpage 00h\n"
	"or FFh) are hbad's and name just these. Many logical drives have none. Pages about\n"
	"the unit's own ports and vendors' pages are left out.\n"
	"LOG SELECT is rejected: counters belong to whoever watches the disks.\n"
	".PP\n";

static const char tail[] =
	".SH DATA LENGTHS\n"
	"Data-out must have the length that the CDB means, else INVALID FIELD IN COMMAND\n"
	"INFORMATION UNIT.\n"
	"Data-in are cut to what the initiator has room for.\n"
	"A command that is passed with data must fit one request of the controller; reads,\n"
	"writes and what is made of them are cut into pieces.\n"
	".SH COMPARE AND WRITE, ORWRITE, WRITE ATOMIC\n"
	"No other command touches the blocks of the first two meanwhile; only who wants these\n"
	"blocks waits. COMPARE AND WRITE takes as many blocks as one request to the controller\n"
	"writes, 64 KiB and 255 blocks at most (page B0h): nothing can happen between two\n"
	"halves of a new value. WRITE ATOMIC is offered as far as the unit promises it for one\n"
	"request.\n"
	".PP\n"
	"When hbad dies, what was on its way is answered with BUSY and sent again by the\n"
	"initiator, although it may have been done. A COMPARE AND WRITE that had been done\n"
	"then miscompares with its own data: who uses it as a lock has to read the block after\n"
	"a MISCOMPARE, as after a lost path, or after one that ended with ABORTED COMMAND.\n"
	".SH START STOP UNIT\n"
	"START alone is passed. To stop the unit and to name a power condition need\n"
	".BR allow=power :\n"
	"the unit is then stopped for all initiators, and Linux-IO, which looks at the\n"
	"direction of data, lets this command pass from an initiator that is mapped\n"
	"read-only or kept out by another one's Write Exclusive reservation. With\n"
	".B ro=1\n"
	"it is write protected in any case. LOEJ is refused: nothing loads or ejects.\n"
	".SH FORMAT UNIT AND SANITIZE\n"
	"Both are done by writing all blocks that the LUN shows through the controller, and\n"
	"emptying the caches after each pass. What the controller and its disks have set\n"
	"aside (replaced sectors, spares, flash held back) is out of reach:\n"
	"where data must not be recoverable from the disks themselves, use the vendor's\n"
	"tools. BLOCK ERASE and CRYPTOGRAPHIC ERASE are rejected for this reason.\n"
	".PP\n"
	"With or without IMMED the work goes on when the command is aborted, the LUN reset or\n"
	"removed, or tcmu\\-runner stopped;\n"
	"meanwhile commands are answered with NOT READY, FORMAT IN PROGRESS or SANITIZE IN\n"
	"PROGRESS and a progress indication, which REQUEST SENSE tells as well. The command\n"
	"itself, when it comes without IMMED and the work is not done after 30 seconds, ends\n"
	"with the same: Linux-IO deletes no LUN, and ends no session, whose commands have not\n"
	"ended. The work ends with\n"
	"the process: after a restart of hbad the unit is partly overwritten and usable, and\n"
	"nothing tells of it. When a write fails, commands to the medium are refused (MEDIUM\n"
	"FORMAT CORRUPTED, SANITIZE COMMAND FAILED) until it is done again.\n"
	".SH THIN PROVISIONING\n"
	"LBPME, LBPU and UNMAP are offered if the unit offers them (READ CAPACITY(16), pages\n"
	"B0h and B2h), for at most 256 MiB and 256 extents in one command. WRITE SAME with\n"
	"UNMAP is refused (LBPWS and LBPWS10 are 0): WRITE SAME, up to 32 MiB, is always made\n"
	"of writes. GET LBA STATUS says that all is mapped where the unit does not know\n"
	"better.\n"
	".SH VENDOR SPECIFIC OPCODES\n"
	"C0h to FFh are passed if the configuration names them with the direction of their\n"
	"data, which no CDB tells:\n"
	".BR allow=c1\\-in ,\n"
	".BR c2\\-out ,\n"
	".BR c3\\-none ,\n"
	"joined by + with others.\n"
	"Linux-IO cuts their CDBs to 10 bytes, so that longer ones cannot reach the unit\n"
	"whole: do not allow an opcode whose CDB is longer. The length of the data is what\n"
	"the initiator expects.\n"
	".SH UNIT ATTENTIONS\n"
	"An initiator that changes mode parameters is the only one that knows: Linux-IO has\n"
	"no way for a back end to raise UNIT ATTENTION (mode parameters changed, capacity\n"
	"data has changed) for the others. Neither can hbad tell them that D_SENSE and SWP\n"
	"are back at their defaults after a restart of its own. What the unit itself raises\n"
	"goes to the initiator whose command found it.\n"
	".SH TASK MANAGEMENT\n"
	"ABORT TASK and LOGICAL UNIT RESET, as REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS\n"
	"tells; Linux-IO refuses the others.\n"
	"When the controller has to be reset, hbad sends again what was on its way, and\n"
	"initiators see a pause. Not so vendor specific commands, ATA PASS\\-THROUGH, WRITE\n"
	"BUFFER and SECURITY PROTOCOL: they end with ABORTED COMMAND, COMMANDS CLEARED BY\n"
	"DEVICE SERVER (2Fh/02h), and may have been done, in part or whole.\n"
	".PP\n"
	"Task attributes do not reach hbad: all tasks are simple (VPD page 86h).\n"
	".SH SEE ALSO\n"
	".BR hbad (8),\n"
	".BR hbad\\-handler (7),\n"
	".BR sg_opcodes (8),\n"
	".BR sg_vpd (8),\n"
	".BR sg_modes (8),\n"
	".BR sg_logs (8)\n";

/* What a page is called and where it comes from. */
static const struct {
	const char *name, *origin;
} vpd[PAGE_COUNT] = {
	[PAGE_INQUIRY] = {"(standard INQUIRY data)",
		"the unit; bits about ports, transport and limits are hbad's"},
	[PAGE_VPD_00] = {"Supported VPD Pages", "hbad"},
	[PAGE_VPD_80] = {"Unit Serial Number", "the unit"},
	[PAGE_VPD_83] = {"Device Identification",
		"the unit's designators of the logical unit; an NAA name made of its "
		"serial number if it has none"},
	[PAGE_VPD_86] = {"Extended INQUIRY Data", "hbad"},
	[PAGE_VPD_87] = {"Mode Page Policy", "hbad: all mode pages are shared"},
	[PAGE_VPD_8F] = {"Third-Party Copy", "hbad: what EXTENDED COPY takes"},
	[PAGE_VPD_B0] = {"Block Limits", "hbad; optimal lengths are the unit's"},
	[PAGE_VPD_B1] = {"Block Device Characteristics", "the unit: rotation rate and form factor"},
	[PAGE_VPD_B2] = {"Logical Block Provisioning", "hbad: what the unit does by UNMAP"},
};

/* Four columns at most, the last one with room for sentences. */
static void begin_table(FILE *f, const char *format, const char *titles)
{
	fprintf(f, ".na\n.TS\n%s\n%s\n", format, titles);
}

static void end_table(FILE *f)
{
	fprintf(f, ".TE\n.ad\n");
}

static void put_allow(FILE *f, uint16_t bits)
{
	const char *sep = "";

	for (unsigned bit = 1; bit <= UINT16_MAX; bit <<= 1) {
		const char *name = bits & bit ? scsi_allow_name((enum scsi_allow)bit) : NULL;

		if (!name)
			continue;
		fprintf(f, "%s%s", sep, name);
		sep = " or ";
	}
}

static void put_notes(FILE *f, const struct scsi_op *op)
{
	bool write = op->fate != FATE_REJECT && op->fate != FATE_LIO && op->flags & OP_WRITE;

	fprintf(f, "%s%s%s%s", write ? "w" : "", write && !(op->flags & OP_STATE) ? "m" : "",
		write && op->flags & OP_DATALESS_WRITE ? "n" : "", op->able ? "u" : "");
}

static int put_command(FILE *f, const struct scsi_op *op)
{
	if (!op->name || !op->name[0])
		return -EINVAL;
	fprintf(f, "%02Xh", op->opcode);
	if (op->flags & OP_SERVICE_ACTION)
		fprintf(f, "/%0*Xh", op->opcode == OP_VARIABLE ? 4 : 2, op->sa);
	fprintf(f, "|T{\n%s\nT}|%s|", op->name, scsi_fate_name(op->fate));
	put_allow(f, op->allow);
	fprintf(f, "|");
	if (op->time != TIME_NONE)
		fprintf(f, "%u", scsi_time_seconds(op->time));
	fprintf(f, "|");
	put_notes(f, op);
	fprintf(f, "\n");
	return 0;
}

static int put_commands(FILE *f)
{
	unsigned n;
	const struct scsi_op *op = scsi_op_table(&n);
	int r = 0;

	begin_table(
		f, "tab(|);\nlB lB lB lB rB lB\nl lx l l r l.", "Opcode|Command|Fate|Allow|Seconds|Notes");
	for (; n-- && r == 0; op++)
		r = put_command(f, op);
	fprintf(f, "C0h\\-FFh|T{\nvendor specific, see below\nT}|pass|its own|%u|wmn\n",
		scsi_time_seconds(TIME_SERVICE));
	end_table(f);
	return r;
}

static int put_vpd_pages(FILE *f)
{
	begin_table(f, "tab(|);\nlB lB lB\nl l lx.", "Page|Name|From");
	for (unsigned i = 0; i < PAGE_COUNT; i++) {
		if (!vpd[i].name)
			return -EINVAL;
		if (i == PAGE_INQUIRY)
			fprintf(f, "|");
		else
			fprintf(f, "%02Xh|", scsi_page_code[i]);
		fprintf(f, "%s|T{\n%s\nT}\n", vpd[i].name, vpd[i].origin);
	}
	end_table(f);
	return 0;
}

static int put_mode_pages(FILE *f)
{
	unsigned n;
	const struct mode_page *p = mode_pages(&n);

	begin_table(f, "tab(|);\nlB lB lB\nl l lx.", "Page|Name|From");
	for (; n--; p++) {
		if (!p->name || !p->origin)
			return -EINVAL;
		fprintf(f, "%02Xh|%s|T{\n%s\nT}\n", p->code, p->name, p->origin);
	}
	end_table(f);
	return 0;
}

static int put_log_pages(FILE *f)
{
	unsigned n;
	const struct log_page *p = log_pages(&n);

	begin_table(f, "tab(|);\nlB lB\nl l.", "Page|Name");
	fprintf(f, "00h|Supported Log Pages\n");
	for (; n--; p++)
		fprintf(f, "%02Xh|%s\n", p->code, p->name);
	end_table(f);
	return 0;
}

int manual_write(FILE *f)
{
	static const struct {
		const char *text;
		int (*table)(FILE *f);
	} sections[] = {
		{head, put_commands},
		{vpd_head, put_vpd_pages},
		{mode_head, put_mode_pages},
		{log_head, put_log_pages},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(sections); i++) {
		int r;

		fputs(sections[i].text, f);
		r = sections[i].table(f);
		if (r < 0)
			return r;
	}
	fputs(tail, f);
	return ferror(f) ? -EIO : 0;
}
