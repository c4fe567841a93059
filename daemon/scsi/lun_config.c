/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "UNIT[;ro=1]": the part of a cfgstring after "hba/CONTROLLER/", and whether a unit fits it. */
#include "host.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Text of a cfgstring inside a sentence: at most this much of it */
#define QUOTE_MAX 64

static int no_unit(struct err *e)
{
	return err_set(e, -EINVAL,
		"the cfgstring names no unit: write hba/CONTROLLER/UNIT, with UNIT like ld0 or naa.6...");
}

/* Hexadecimal digits in lower case; 16 or 32 of them. */
static bool take_naa(char *hex)
{
	size_t n = strlen(hex);

	for (char *p = hex; *p; p++) {
		if (!isxdigit((unsigned char)*p))
			return false;
		*p = (char)tolower((unsigned char)*p);
	}
	return n == 16 || n == 32;
}

static bool is_unit_name(const char *name)
{
	if (!islower((unsigned char)name[0]))
		return false;
	for (; *name; name++)
		if (!islower((unsigned char)*name) && !isdigit((unsigned char)*name))
			return false;
	return true;
}

static int parse_unit(const char *text, size_t len, struct scsi_lun_config *cfg, struct err *e)
{
	if (!len)
		return no_unit(e);
	if (len >= sizeof(cfg->unit))
		return err_set(e, -EINVAL, "the unit's name %.*s... is too long: write ldN, pdN or naa.HEX",
			20, text);
	memcpy(cfg->unit, text, len);
	cfg->unit[len] = '\0';
	if (strncmp(cfg->unit, "naa.", 4) == 0) {
		if (!take_naa(cfg->unit + 4))
			return err_set(e, -EINVAL,
				"%s is no NAA identity: write naa. and 16 or 32 hexadecimal digits",
				cfg->unit);
	} else if (!is_unit_name(cfg->unit)) {
		return err_set(e, -EINVAL, "%s is no name of a unit: write ldN, pdN or naa.HEX", cfg->unit);
	}
	return 0;
}

static int parse_option(
	const char *text, size_t len, bool *seen_ro, struct scsi_lun_config *cfg, struct err *e)
{
	if (len != 4 || strncmp(text, "ro=", 3) != 0)
		return err_set(e, -EINVAL, "unknown option \"%.*s\"; known options: ro=0, ro=1",
			(int)MIN(len, QUOTE_MAX), text);
	if (text[3] != '0' && text[3] != '1')
		return err_set(e, -EINVAL, "option ro takes 0 or 1, not \"%c\"", text[3]);
	if (*seen_ro)
		return err_set(e, -EINVAL, "option ro is given twice: leave one out");
	*seen_ro = true;
	cfg->ro = text[3] == '1';
	return 0;
}

int scsi_lun_parse(const char *text, struct scsi_lun_config *ret, struct err *e)
{
	struct scsi_lun_config cfg = {.blocks = 0};
	size_t len = strcspn(text, ";");
	bool seen_ro = false;
	int r = parse_unit(text, len, &cfg, e);

	for (text += len; r == 0 && *text == ';'; text += len) {
		text++;
		len = strcspn(text, ";");
		r = parse_option(text, len, &seen_ro, &cfg, e);
	}
	if (r == 0)
		*ret = cfg;
	return r;
}

int lun_fits(const struct scsi_unit *u, const struct scsi_lun_config *cfg, struct err *e)
{
	const struct scsi_identity *id = &u->id;
	char block_size[48] = "";

	if (!u->identified)
		return err_set(e, id->type ? -EMEDIUMTYPE : -EINVAL, "unit %s cannot be exported: it %s",
			u->hba->name, u->problem);
	if (!cfg->blocks || (cfg->blocks == id->blocks && cfg->block_size == id->block_size))
		return 0;
	if (cfg->block_size != id->block_size)
		snprintf(block_size, sizeof(block_size), " control=hw_block_size=%" PRIu32, id->block_size);
	return err_set(e, -EINVAL,
		"unit %s of this controller has %" PRIu64 " blocks of %" PRIu32
		" bytes: create it with size=%" PRIu64 "%s",
		u->hba->name, id->blocks, id->block_size, id->blocks * id->block_size, block_size);
}
