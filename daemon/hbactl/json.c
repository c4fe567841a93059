/* SPDX-License-Identifier: GPL-2.0-or-later */
/* JSON in and out. */
#include "json.h"

#include <errno.h>

int json_parse(const char *text, JsonNode **ret, struct err *e)
{
	g_autoptr(JsonParser) parser = json_parser_new_immutable();
	g_autoptr(GError) error = NULL;
	JsonNode *root;

	if (!json_parser_load_from_data(parser, text, -1, &error))
		return err_set(e, -EPROTO,
			"hbad's answer is no JSON (%s): are hbactl and hbad of one version?", error->message);
	root = json_parser_get_root(parser);
	if (!root || !JSON_NODE_HOLDS_OBJECT(root))
		return err_set(
			e, -EPROTO, "hbad's answer is no JSON object: are hbactl and hbad of one version?");
	*ret = json_node_ref(root);
	return 0;
}

static JsonNode *value_node(JsonObject *o, const char *member)
{
	JsonNode *n = o ? json_object_get_member(o, member) : NULL;

	return n && JSON_NODE_HOLDS_VALUE(n) ? n : NULL;
}

const char *json_str(JsonObject *o, const char *member)
{
	JsonNode *n = value_node(o, member);

	return n && json_node_get_value_type(n) == G_TYPE_STRING ? json_node_get_string(n) : "";
}

int64_t json_int(JsonObject *o, const char *member)
{
	JsonNode *n = value_node(o, member);

	return n && json_node_get_value_type(n) == G_TYPE_INT64 ? json_node_get_int(n) : 0;
}

uint64_t json_u64(JsonObject *o, const char *member)
{
	int64_t v = json_int(o, member);

	return v > 0 ? (uint64_t)v : 0;
}

bool json_bool(JsonObject *o, const char *member)
{
	JsonNode *n = value_node(o, member);

	return n && json_node_get_value_type(n) == G_TYPE_BOOLEAN && json_node_get_boolean(n);
}

JsonObject *json_obj(JsonObject *o, const char *member)
{
	JsonNode *n = o ? json_object_get_member(o, member) : NULL;

	return n && JSON_NODE_HOLDS_OBJECT(n) ? json_node_get_object(n) : NULL;
}

JsonArray *json_arr(JsonObject *o, const char *member)
{
	JsonNode *n = o ? json_object_get_member(o, member) : NULL;

	return n && JSON_NODE_HOLDS_ARRAY(n) ? json_node_get_array(n) : NULL;
}

unsigned json_arr_len(JsonArray *a)
{
	return a ? json_array_get_length(a) : 0;
}

JsonObject *json_arr_obj(JsonArray *a, unsigned i)
{
	JsonNode *n = json_array_get_element(a, i);

	return JSON_NODE_HOLDS_OBJECT(n) ? json_node_get_object(n) : NULL;
}

const char *json_arr_str(JsonArray *a, unsigned i)
{
	JsonNode *n = json_array_get_element(a, i);

	if (!JSON_NODE_HOLDS_VALUE(n) || json_node_get_value_type(n) != G_TYPE_STRING)
		return "";
	return json_node_get_string(n);
}

void json_print(JsonNode *root, FILE *out)
{
	g_autoptr(JsonGenerator) gen = json_generator_new();
	g_autofree char *text = NULL;

	json_generator_set_root(gen, root);
	json_generator_set_pretty(gen, TRUE);
	text = json_generator_to_data(gen, NULL);
	fprintf(out, "%s\n", text);
}

void json_put_str(JsonBuilder *b, const char *member, const char *text)
{
	g_autofree char *valid = g_utf8_make_valid(text ? text : "", -1);

	json_builder_set_member_name(b, member);
	json_builder_add_string_value(b, valid);
}

void json_put_int(JsonBuilder *b, const char *member, int64_t value)
{
	json_builder_set_member_name(b, member);
	json_builder_add_int_value(b, value);
}

void json_put_bool(JsonBuilder *b, const char *member, bool value)
{
	json_builder_set_member_name(b, member);
	json_builder_add_boolean_value(b, value);
}
