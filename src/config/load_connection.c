/* SPDX-License-Identifier: Apache-2.0
 *
 * One entry of `connections:`: what all connections share, and what its connector's tables say.
 */
#define _GNU_SOURCE /* strcasestr */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "config/loader.h"
#include "config/memory.h"
#include "config/sections.h"
#include "config/suggest.h"
#include "config/table_value.h"

#define NAME_MAX_BYTES 64

bool loader_check_name(struct loader *loader, const struct node *name, const char *what)
{
	const char *text = name->text;
	size_t len = strlen(text);
	bool good = len > 0 && len <= NAME_MAX_BYTES && isalnum((unsigned char)text[0]);
	for (size_t i = 0; good && i < len; i++)
		good = isascii((unsigned char)text[i]) && (isalnum((unsigned char)text[i]) || strchr("_-.", text[i]));
	if (good)
		return true;
	table_mistake(loader->report, name, 0,
		"this is no name for a %s; a name is letters, digits, _ - and ., at most %d, and begins with a letter "
		"or digit",
		what, NAME_MAX_BYTES);
	return false;
}

/* The type that a word for the same thing stands for. */
static const char *type_called(const char *word)
{
	static const char *const types[][2] = {{"http", "https webhook webhooks rest web url"},
		{"mqtt", "mqtts mqtt5 mqtt3 mosquitto emqx hivemq broker websocket ws wss"},
		{"kafka", "redpanda confluent msk warpstream"}, {"coap", "coaps lwm2m dtls"}};
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		const char *at = strcasestr(types[i][1], word);
		size_t len = strlen(word);
		if (len > 1 && at && (at == types[i][1] || at[-1] == ' ') && (at[len] == ' ' || !at[len]))
			return types[i][0];
	}
	return NULL;
}

static void complain_no_type(struct loader *loader, const struct config_scope *scope, const struct node *type)
{
	struct suggestion near = {.word = type ? type->text : ""};
	char list[256] = "";
	size_t len = 0;
	for (const struct connector *const *it = loader->options->connectors; *it; it++) {
		suggest_offer(&near, (*it)->name);
		if (len < sizeof list)
			len += (size_t)snprintf(list + len, sizeof list - len, "%s%s", len ? ", " : "", (*it)->name);
	}
	if (type && !near.best && type_called(type->text))
		near.best = type_called(type->text);
	if (!type)
		table_mistake(
			loader->report, scope->anchor, 0, "%s has no 'type': write one of %s", scope->title, list);
	else if (near.best)
		table_mistake(
			loader->report, type, 0, "type: '%s' is unknown; did you mean '%s'?", type->text, near.best);
	else
		table_mistake(loader->report, type, 0, "type: '%s' is unknown; write one of %s", type->text, list);
}

static const struct connector *find_connector(struct loader *loader, struct config_scope *scope)
{
	const struct node *type = node_get(scope->node, "type");
	const char *text = type ? table_text(loader->report, type, "type") : NULL;
	if (type && !text)
		return NULL;
	for (const struct connector *const *it = loader->options->connectors; text && *it; it++)
		if (strcmp((*it)->name, text) == 0)
			return *it;
	if (type || !node_get(scope->node, "<<")) /* which has been told, and may bring it */
		complain_no_type(loader, scope, type);
	return NULL;
}

static void check_outbox(struct config_scope *scope, const struct outbox_config *outbox)
{
	if (config_failed(scope, "outbox", "backoff_min") || config_failed(scope, "outbox", "backoff_max"))
		return;
	if (outbox->backoff_min_ms > outbox->backoff_max_ms)
		config_complain(scope, "outbox",
			node_get(node_get(scope->node, "outbox"), "backoff_min") ? "backoff_min" : "backoff_max",
			"the pauses grow from backoff_min to backoff_max; make the first the shorter one");
}

static void check_last_values(struct config_scope *scope, const struct connector *connector)
{
	if (connector && !connector->keeps_values && node_get(scope->node, "last_values"))
		config_complain(scope, "last_values", NULL,
			"a connection of type %s keeps no last values; remove this, or give it to one that does",
			connector->name);
}

void loader_read_connection(struct loader *loader, size_t index)
{
	struct loader_entry *entry = &loader->connections.items[index];
	struct connection_config *conn = &loader->own->config.connections[index];
	conn->name = memory_text(entry->name->text);
	conn->delivery = -1;
	LOADER_PLACE(conn, entry->name);
	loader_check_name(loader, entry->name, "connection");
	char *title = memory_format("connection '%s'", conn->name);
	if (table_expect_map(loader->report, entry->value, title)) {
		struct config_scope scope = {
			.report = loader->report,
			.node = entry->value,
			.anchor = entry->name,
			.title = title,
			.place = LOADER_IN_CONNECTION,
			.others = loader->others,
			.elsewhere = section_connection_elsewhere,
			.parts = {{section_connection_keys, conn}},
		};
		conn->connector = find_connector(loader, &scope);
		if (conn->connector) {
			conn->settings = memory_zero(conn->connector->settings_size);
			scope.parts[1] = (struct table_part){conn->connector->connection_keys, conn->settings};
		}
		scope.keys_unknown = !conn->connector;
		table_read(&scope);
		check_outbox(&scope, &conn->outbox);
		check_last_values(&scope, conn->connector);
		if (conn->connector && conn->connector->check)
			conn->connector->check(conn->settings, &scope);
		entry->sound = conn->connector;
		entry->failed = scope.failed;
	}
	free(title);
}

void loader_default_outbox(struct connection_config *conn)
{
	const struct config_key *outbox = section_connection_keys;
	while (strcmp(outbox->name, "outbox") != 0)
		outbox++;
	char *base = (char *)conn + outbox->offset;
	for (const struct config_key *key = outbox->children; key->name; key++) {
		if (key->type == CONFIG_SECTION)
			for (const struct config_key *child = key->children; child->name; child++)
				table_fallback(child, base + key->offset + child->offset);
		else if (key->fallback)
			table_fallback(key, base + key->offset);
	}
}

void loader_free_connection(struct connection_config *conn)
{
	table_free(section_connection_keys, conn);
	if (conn->connector)
		table_free(conn->connector->connection_keys, conn->settings);
	free(conn->settings);
	free(conn->name);
}

long loader_find_connection(struct loader *loader, const struct node *section, const char *title)
{
	struct node *node = node_get(section, "connection");
	if (node && node->kind == NODE_LIST && !node->failed && strcmp(title, "to") == 0) {
		table_mistake(loader->report, node, 0,
			"connection is a list; for several destinations make a list of 'to' itself, as in to: [{…}, "
			"{…}]");
		node->failed = true;
		return -1;
	}
	if (!node || node->kind != NODE_SCALAR || node->failed || node_is_null(node))
		return -1; /* reported by the table */
	if (loader_need_unmet(loader, node))
		return -1; /* reported where the file is included */
	for (size_t i = 0; i < loader->connections.n; i++)
		if (strcmp(loader->connections.items[i].name->text, node->text) == 0)
			return (long)i;
	struct suggestion near = {.word = node->text};
	char list[256] = "";
	size_t len = 0;
	for (size_t i = 0; i < loader->connections.n; i++) {
		const char *name = loader->connections.items[i].name->text;
		suggest_offer(&near, name);
		if (len < sizeof list)
			len += (size_t)snprintf(list + len, sizeof list - len, "%s%s", len ? ", " : "", name);
	}
	if (loader->unread)
		return -1; /* it may be in the file that could not be read */
	if (near.best)
		table_mistake(loader->report, node, 0, "%s: no connection is called '%s'; did you mean '%s'?", title,
			node->text, near.best);
	else
		table_mistake(loader->report, node, 0, "%s: no connection is called '%s'; known: %s", title, node->text,
			len ? list : "none");
	return -1;
}
