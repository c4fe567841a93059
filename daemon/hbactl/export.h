/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Units of a controller as a table, as JSON, and as the targetcli commands that export them. */
#ifndef HBAD_HBACTL_EXPORT_H
#define HBAD_HBACTL_EXPORT_H

#include "hbactl.h"
#include "json.h"

/* Nothing in it but what belongs into a shell command. */
bool export_is_plain(const char *text);
/* The command that makes a backstore of the unit; g_free(). NULL when it cannot be exported, is exported
 * already, or when its name has characters that do not belong into a shell command. */
char *export_command(const char *instance, JsonObject *unit);
void export_print_units(JsonArray *units, const char *indent, FILE *out);
/* The commands for all units that can be exported; says what is missing when there is none. */
void export_print_commands(const char *instance, JsonArray *units, FILE *out);
/* {"name": instance, "units": [...]}, on out */
void export_print_json(const char *instance, JsonArray *units, FILE *out);
/* units with a member "targetcli" (the command, or "") added to each. Adds an array to the open builder. */
void export_json(JsonBuilder *b, const char *instance, JsonArray *units);

#endif
