/* SPDX-License-Identifier: GPL-2.0-or-later */
/* JSON in and out. Readers take nothing for granted: a member that is missing or of another type is its
 * default. */
#ifndef HBAD_HBACTL_JSON_H
#define HBAD_HBACTL_JSON_H

#include <json-glib/json-glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "base/err.h"

/* One line that holds an object. *ret is json_node_unref()ed by the caller. -EPROTO. */
int json_parse(const char *text, JsonNode **ret, struct err *e);

const char *json_str(JsonObject *o, const char *member); /* "" */
int64_t json_int(JsonObject *o, const char *member);	 /* 0 */
uint64_t json_u64(JsonObject *o, const char *member);	 /* 0; negative numbers too */
bool json_bool(JsonObject *o, const char *member);	 /* false */
JsonObject *json_obj(JsonObject *o, const char *member); /* NULL; o may be NULL */
JsonArray *json_arr(JsonObject *o, const char *member);	 /* NULL; o may be NULL */
unsigned json_arr_len(JsonArray *a);			 /* a may be NULL */
JsonObject *json_arr_obj(
	JsonArray *a, unsigned i); /* NULL when the element is no object: readers take that */
const char *json_arr_str(JsonArray *a, unsigned i); /* "" */

/* Pretty-printed, with a newline at the end. */
void json_print(JsonNode *root, FILE *out);

/* Adds "name": "text" (cleaned to UTF-8) to the object that the builder has open. */
void json_put_str(JsonBuilder *b, const char *member, const char *text);
void json_put_int(JsonBuilder *b, const char *member, int64_t value);
void json_put_bool(JsonBuilder *b, const char *member, bool value);

#endif
