/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Capabilities of the vfio-user negotiation: what the client says in JSON, and what this server says. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <json-glib/json-glib.h>

#include "vu_server.h"

#define MAX_TEXT 65536

/* A number from 1 to UINT32_MAX; absent leaves it alone. */
static int number(JsonObject *o, const char *name, uint32_t *ret)
{
	JsonNode *n = json_object_get_member(o, name);
	gint64 v;

	if (!n)
		return 0;
	if (!JSON_NODE_HOLDS_VALUE(n) || json_node_get_value_type(n) != G_TYPE_INT64)
		return -EPROTO;
	v = json_node_get_int(n);
	if (v < 1 || v > UINT32_MAX)
		return -EPROTO;
	*ret = (uint32_t)v;
	return 0;
}

static int parse_root(JsonNode *root, struct vu_caps *ret)
{
	JsonNode *caps, *n;
	int r;

	if (!root || !JSON_NODE_HOLDS_OBJECT(root))
		return -EPROTO;
	caps = json_object_get_member(json_node_get_object(root), VU_CAPS_KEY);
	if (!caps)
		return 0;
	if (!JSON_NODE_HOLDS_OBJECT(caps))
		return -EPROTO;
	r = number(json_node_get_object(caps), VU_CAP_MAX_FDS, &ret->max_fds);
	if (r == 0)
		r = number(json_node_get_object(caps), VU_CAP_MAX_XFER, &ret->max_xfer);
	n = json_object_get_member(json_node_get_object(caps), VU_CAP_WRITE_MULTIPLE);
	ret->write_multiple = n && JSON_NODE_HOLDS_VALUE(n) &&
			      json_node_get_value_type(n) == G_TYPE_BOOLEAN && json_node_get_boolean(n);
	return r;
}

int vu_caps_parse(const char *text, uint32_t len, struct vu_caps *ret)
{
	g_autoptr(JsonParser) parser = NULL;

	*ret = (struct vu_caps){VU_DEFAULT_MAX_FDS, VU_DEFAULT_MAX_XFER, false};
	if (!len)
		return 0;
	if (len > MAX_TEXT || text[len - 1] != '\0' || strlen(text) != len - 1)
		return -EPROTO;
	parser = json_parser_new();
	if (!json_parser_load_from_data(parser, text, len - 1, NULL))
		return -EPROTO;
	return parse_root(json_parser_get_root(parser), ret);
}

/* Capabilities that the client did not offer are not named: the reply's are a subset. */
uint32_t vu_caps_text(const struct vu_caps *peer, char *buf, size_t size)
{
	return 1 + (uint32_t)snprintf(buf, size,
			   "{\"" VU_CAPS_KEY "\":{\"" VU_CAP_MAX_FDS "\":%d,\"" VU_CAP_MAX_XFER
			   "\":%d,\"" VU_CAP_MAX_MAPS "\":%d,\"" VU_CAP_PGSIZES "\":%d%s}}",
			   VU_SERVER_MAX_FDS, VU_SERVER_MAX_XFER, VU_DEFAULT_MAX_MAPS, VU_DEFAULT_PGSIZES,
			   peer->write_multiple ? ",\"" VU_CAP_WRITE_MULTIPLE "\":true" : "");
}
