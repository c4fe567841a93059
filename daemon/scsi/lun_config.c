/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "UNIT[;ro=1][;allow=...]": the part of a cfgstring after "hba/CONTROLLER/", and whether a unit fits it. */
#include "host.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
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

static int parse_ro(const char *value, size_t len, struct scsi_lun_config *cfg, struct err *e)
{
	if (len != 1 || (*value != '0' && *value != '1'))
		return err_set(
			e, -EINVAL, "option ro takes 0 or 1, not \"%.*s\"", (int)MIN(len, QUOTE_MAX), value);
	cfg->ro = *value == '1';
	return 0;
}

static const struct {
	const char *name;
	enum scsi_allow bit;
} allow_names[] = {
	{"format", ALLOW_FORMAT},
	{"sanitize", ALLOW_SANITIZE},
	{"buffer", ALLOW_BUFFER},
	{"security", ALLOW_SECURITY},
	{"ata", ALLOW_ATA},
	{"nodata", ALLOW_NODATA},
	{"copy", ALLOW_COPY},
	{"power", ALLOW_POWER},
};

const char *scsi_allow_name(enum scsi_allow bit)
{
	for (unsigned i = 0; i < ARRAY_SIZE(allow_names); i++)
		if (allow_names[i].bit == bit)
			return allow_names[i].name;
	return NULL;
}

/* "c1-in", "c2-out", "c3-none": a vendor-specific opcode and the direction of its data */
static bool parse_vendor(const char *text, size_t len, struct scsi_lun_config *cfg)
{
	static const struct {
		const char *name;
		enum dma_dir dir;
	} dirs[] = {{"-in", DMA_FROM_DEVICE}, {"-out", DMA_TO_DEVICE}, {"-none", DMA_NONE}};
	char hex[3] = {0};
	unsigned opcode;

	if (len < 5 || !isxdigit((unsigned char)text[0]) || !isxdigit((unsigned char)text[1]))
		return false;
	memcpy(hex, text, 2);
	opcode = (unsigned)strtoul(hex, NULL, 16);
	if (opcode < 0xc0)
		return false;
	for (unsigned i = 0; i < ARRAY_SIZE(dirs); i++) {
		if (strlen(dirs[i].name) != len - 2 || strncmp(dirs[i].name, text + 2, len - 2) != 0)
			continue;
		cfg->vendor[opcode - 0xc0] = (uint8_t)(1 + dirs[i].dir);
		return true;
	}
	return false;
}

static int allow_one(const char *text, size_t len, struct scsi_lun_config *cfg, struct err *e)
{
	for (unsigned i = 0; i < ARRAY_SIZE(allow_names); i++) {
		if (strlen(allow_names[i].name) != len || strncmp(allow_names[i].name, text, len) != 0)
			continue;
		cfg->allow |= (uint16_t)allow_names[i].bit;
		return 0;
	}
	if (parse_vendor(text, len, cfg))
		return 0;
	return err_set(e, -EINVAL,
		"option allow does not know \"%.*s\": it takes format, sanitize, buffer, security, ata, "
		"nodata, copy, power "
		"and vendor opcodes with the direction of their data like c1-in, c2-out or c3-none, joined "
		"by +",
		(int)MIN(len, QUOTE_MAX), text);
}

static int parse_allow(const char *value, size_t len, struct scsi_lun_config *cfg, struct err *e)
{
	const char *end = value + len;
	int r;

	do {
		size_t n = 0;

		while (value + n < end && value[n] != '+')
			n++;
		r = allow_one(value, n, cfg, e);
		value += n + 1;
	} while (r == 0 && value <= end);
	return r;
}

static int parse_hold(const char *value, size_t len, struct scsi_lun_config *cfg, struct err *e)
{
	uint32_t v = 0;

	for (size_t i = 0; i < len && isdigit((unsigned char)value[i]) && v <= SCSI_MAX_HOLD_S; i++)
		v = v * 10 + (uint32_t)(value[i] - '0');
	if (!len || len > 4 || strspn(value, "0123456789") < len || v > SCSI_MAX_HOLD_S)
		return err_set(e, -EINVAL,
			"option hold is a number of seconds from 0 to %u, not \"%.*s\": so long commands "
			"wait for a "
			"controller that is gone",
			SCSI_MAX_HOLD_S, (int)MIN(len, QUOTE_MAX), value);
	cfg->hold_s = v;
	cfg->own_hold = true;
	return 0;
}

static const struct {
	const char *name; /* with its '=' */
	int (*parse)(const char *value, size_t len, struct scsi_lun_config *cfg, struct err *e);
} options[] = {
	{"ro=", parse_ro},
	{"allow=", parse_allow},
	{"hold=", parse_hold},
};

/* seen: a bit for each option that has been given */
static int parse_option(
	const char *text, size_t len, unsigned *seen, struct scsi_lun_config *cfg, struct err *e)
{
	for (unsigned i = 0; i < ARRAY_SIZE(options); i++) {
		size_t n = strlen(options[i].name);

		if (len < n || strncmp(text, options[i].name, n) != 0)
			continue;
		if (*seen & 1U << i)
			return err_set(e, -EINVAL, "option %.*s is given twice: leave one out", (int)n - 1,
				options[i].name);
		*seen |= 1U << i;
		return options[i].parse(text + n, len - n, cfg, e);
	}
	return err_set(e, -EINVAL,
		"unknown option \"%.*s\"; known options: ro=0, ro=1, hold=SECONDS, allow=NAME+NAME...",
		(int)MIN(len, QUOTE_MAX), text);
}

int scsi_lun_parse(const char *text, struct scsi_lun_config *ret, struct err *e)
{
	struct scsi_lun_config cfg = {.blocks = 0};
	size_t len = strcspn(text, ";");
	unsigned seen = 0;
	int r = parse_unit(text, len, &cfg, e);

	for (text += len; r == 0 && *text == ';'; text += len) {
		text++;
		len = strcspn(text, ";");
		r = parse_option(text, len, &seen, &cfg, e);
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
	if (cfg->naa[0] && strcmp(cfg->naa, id->naa_text) != 0)
		return err_set(e, -ESTALE,
			"unit %s is %s now, and was %s when this backstore was served last: put that disk "
			"back, or, "
			"if this one is meant, create the backstore with \"%s\" in place of \"%s\"",
			u->hba->name, id->naa_text, cfg->naa, id->naa_text, cfg->unit);
	if (!cfg->blocks || (cfg->blocks == id->blocks && cfg->block_size == id->block_size))
		return 0;
	if (cfg->may_be_smaller && cfg->blocks < id->blocks && cfg->block_size == id->block_size)
		return 0;
	if (cfg->block_size != id->block_size)
		snprintf(block_size, sizeof(block_size), " control=hw_block_size=%" PRIu32, id->block_size);
	return err_set(e, -EINVAL,
		"unit %s has %" PRIu64 " bytes in blocks of %" PRIu32 ", the backstore was given %" PRIu64
		" in blocks of %" PRIu32 ": create it with size=%" PRIu64 "%s",
		u->hba->name, id->blocks * id->block_size, id->block_size, cfg->blocks * cfg->block_size,
		cfg->block_size, id->blocks * id->block_size, block_size);
}
