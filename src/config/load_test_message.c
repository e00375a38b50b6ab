/* SPDX-License-Identifier: Apache-2.0
 *
 * One message of `given` or `expect`: its keys by the tables, and the connection that it means when it names none.
 */
#include <stdlib.h>
#include <string.h>

#include "config/load_test.h"
#include "config/memory.h"
#include "config/reply.h"
#include "config/sections.h"
#include "connectors/connector.h"
#include "message/base64.h"
#include "routing/json.h"
#include "routing/topic_filter.h"

/* --- connections that a message may mean --- */

/* Names of connections for which `use` holds, once each; *ret_only: the one that is, where there is one. */
struct candidates {
	char list[256];
	size_t len, n, only;
};

static void add_candidate(struct candidates *found, const struct config *config, size_t connection)
{
	size_t left = sizeof found->list - found->len;
	if (found->len < sizeof found->list)
		found->len += (size_t)snprintf(found->list + found->len, left, "%s%s", found->n ? ", " : "",
			config->connections[connection].name);
	found->only = connection;
	found->n++;
}

/* Does the mapping take what comes under that topic? */
static bool matches(const struct config *config, const struct mapping_config *map, const char *topic)
{
	char *text = memory_text(topic);
	bool found = false;
	topic_separate(
		text, strlen(text), connector_separator(config->connections[map->from_connection].connector), '/');
	for (size_t i = 0; i < map->filters.n && !found; i++) {
		char *wire = topic_filter_wire(map->filters.items[i].value, true);
		found = wire && topic_filter_matches(wire, slice_str(text));
		free(wire);
	}
	free(text);
	return found;
}

/* Connections that are read from; with a topic only those whose mappings take it. */
static struct candidates find_sources(const struct test_reading *reading, const char *topic)
{
	const struct config *config = &reading->loader->own->config;
	struct candidates found = {.n = 0};
	for (size_t c = 0; c < config->n_connections; c++) {
		bool any = false;
		for (size_t m = 0; m < config->n_mappings; m++)
			any |= test_takes_part(reading, m) && config->mappings[m].from_connection == c &&
			       (!topic || matches(config, &config->mappings[m], topic));
		if (any)
			add_candidate(&found, config, c);
	}
	return found;
}

static bool is_target(const struct mapping_config *map, size_t connection)
{
	bool any = false;
	for (size_t i = 0; i < map->n_targets; i++)
		any |= map->targets[i].connection == connection;
	return any;
}

/* Connections that are written to; with `replies` also by a reply. */
static struct candidates find_destinations(const struct test_reading *reading, bool replies)
{
	const struct config *config = &reading->loader->own->config;
	struct candidates found = {.n = 0};
	for (size_t c = 0; c < config->n_connections; c++) {
		bool any = false;
		for (size_t m = 0; m < config->n_mappings; m++)
			any |= test_takes_part(reading, m) &&
			       (is_target(&config->mappings[m], c) ||
				       (replies && mapping_writes_to(config, &config->mappings[m], c)));
		if (any)
			add_candidate(&found, config, c);
	}
	return found;
}

static bool is_among(const struct candidates *found, const struct config *config, size_t connection)
{
	const char *name = config->connections[connection].name;
	size_t len = strlen(name);
	for (const char *at = found->list; (at = strstr(at, name)); at++)
		if ((at == found->list || at[-1] == ' ') && (at[len] == ',' || !at[len]))
			return true;
	return found->len >= sizeof found->list; /* nobody knows */
}

/* The one that is named; -1: none, reported or not to be known. what: "mapping of this test reads from". */
static long named_connection(const struct test_reading *reading, const struct node *node, const char *name,
	const struct candidates *found, const char *title, const char *what)
{
	const struct node *at = node_get(node, "connection");
	long connection = test_find_connection(reading, at, name, title);
	if (connection < 0 || reading->unknown || is_among(found, &reading->loader->own->config, (size_t)connection))
		return connection;
	table_mistake(reading->loader->report, at, 0, "%s: no mapping of this test %s '%s'; name one of: %s", title,
		what, name, found->n ? found->list : "none does");
	return -1;
}

/* --- payloads --- */

static void read_payload(struct config_scope *scope, const char *text, const char *encoded, bool is_null,
	uint8_t **ret_decoded, size_t *ret_n)
{
	if ((text != NULL) + (encoded != NULL) + is_null > 1)
		config_complain(scope, encoded ? "payload_base64" : "null_payload", NULL,
			"there is another payload beside it; write one of payload, payload_base64 and null_payload");
	if (!encoded)
		return;
	struct slice base64 = slice_str(encoded);
	uint8_t *decoded = memory_zero(base64.len + 1);
	size_t n = base64_decode(base64, decoded);
	if (n == SIZE_MAX) {
		config_complain(scope, "payload_base64", NULL,
			"this is no base64; write the bytes as 'base64 -w0' does, padding included");
		free(decoded);
		return;
	}
	*ret_decoded = decoded;
	*ret_n = n;
}

/* What begins like JSON and is none is compared as bytes, which is hardly meant. */
static void warn_of_json(struct config_scope *scope, const char *text)
{
	size_t offset;
	if (!text || (*text != '{' && *text != '['))
		return;
	const char *wrong = json_check(slice_str(text), &offset);
	if (wrong)
		config_warn(scope, "payload", NULL,
			"it begins like JSON but is none (%s, at byte %zu), so it is compared byte for byte", wrong,
			offset);
}

/* --- given --- */

static void find_source(const struct test_reading *reading, const struct node *node, struct test_given *given)
{
	struct candidates all = find_sources(reading, NULL);
	if (given->connection) {
		long named = named_connection(reading, node, given->connection, &all, "given", "reads from");
		given->from = named < 0 ? 0 : (size_t)named;
		return;
	}
	struct candidates taking = {.n = 0};
	if (all.n > 1)
		taking = find_sources(reading, given->topic);
	given->from = taking.n == 1 ? taking.only : all.only;
	if (reading->unknown || all.n == 1 || taking.n == 1)
		return;
	table_mistake(reading->loader->report, node, 0, "given: %s; write connection: with one of: %s",
		taking.n ? "mappings of several connections take this topic"
			 : "no mapping takes this topic, so nobody "
			   "knows which connection is meant",
		taking.n ? taking.list
		: all.n  ? all.list
			 : "(none is read from)");
}

void test_read_given(struct test_reading *reading, const struct node *node, struct test_given *given)
{
	struct config_scope scope = {
		.report = reading->loader->report,
		.node = node,
		.anchor = node,
		.title = "'given'",
		.parts = {{section_given_keys, given}},
	};
	table_read(&scope);
	if (!config_failed(&scope, "topic", NULL)) {
		const char *wrong = topic_name_check(slice_str(given->topic));
		if (wrong)
			config_complain(&scope, "topic", NULL, "%s", wrong);
		else if (!config_failed(&scope, "connection", NULL))
			find_source(reading, node, given);
	}
	read_payload(
		&scope, given->payload, given->payload_base64, given->null_payload, &given->decoded, &given->n_decoded);
}

/* --- expect --- */

/* What a destination knows of a message besides: its target, and the connector's own keys, as plain texts. */
static struct config_key *own_keys(const struct connector *connector, size_t *ret_n)
{
	size_t n = 1;
	for (const struct config_key *key = connector->to_keys; key && key->name; key++)
		n++;
	struct config_key *keys = memory_zero((n + 1) * sizeof *keys);
	keys[0] = (struct config_key){.name = connector->target_key, .type = CONFIG_STRING};
	for (size_t i = 1; i < n; i++)
		keys[i] = (struct config_key){.name = connector->to_keys[i - 1].name,
			.type = CONFIG_STRING,
			.offset = i * sizeof(char *),
			.help = connector->to_keys[i - 1].help};
	*ret_n = n;
	return keys;
}

/* A mapping that aggregates is a destination of its own, of its name, once it has been split (loader_resolve_tests). */
static bool is_aggregate(const struct test_reading *reading, const struct node *name)
{
	const struct config *config = &reading->loader->own->config;
	bool found = false;
	for (size_t i = 0; i < config->n_mappings && name->kind == NODE_SCALAR; i++)
		found |= config->mappings[i].aggregate.window_ms && test_takes_part(reading, i) &&
			 config->mappings[i].name && strcmp(config->mappings[i].name, name->text) == 0;
	return found;
}

static void find_destination(
	const struct test_reading *reading, const struct node *node, bool *ret_known, size_t *ret_to)
{
	const struct node *name = node_get(node, "connection");
	struct candidates all = find_destinations(reading, name != NULL);
	long named = -1;
	*ret_to = all.only;
	*ret_known = !name && all.n == 1;
	if (name && is_aggregate(reading, name)) {
		*ret_to = SIZE_MAX;
		*ret_known = true;
	} else if (name && name->kind == NODE_SCALAR && !name->failed && !node_is_null(name))
		named = named_connection(reading, node, name->text, &all, "expect", "writes to");
	if (named >= 0) {
		*ret_known = true;
		*ret_to = (size_t)named;
	}
	if (!name && all.n != 1 && !reading->unknown)
		table_mistake(reading->loader->report, node, 0,
			"expect: there are several destinations; write connection: with one of: %s",
			all.n ? all.list : "(nothing is written to)");
}

static void take_own_values(struct test_expected *expected, const struct config_key *keys, char **values, size_t n)
{
	expected->target = values[0];
	expected->params.items = memory_zero((n + 1) * sizeof *expected->params.items);
	for (size_t i = 1; i < n; i++)
		if (values[i])
			expected->params.items[expected->params.n++] =
				(struct config_text){.name = memory_text(keys[i].name), .value = values[i]};
}

static void check_fate(struct config_scope *scope, const struct test_expected *expected)
{
	if (expected->reason && expected->outcome != TEST_DEAD_LETTER && !config_failed(scope, "outcome", NULL))
		config_complain(scope, "reason", NULL,
			"only dead letters have one; write outcome: dead_letter beside it, or leave it out");
}

void test_read_expected(struct test_reading *reading, const struct node *node, struct test_expected *expected)
{
	bool known;
	size_t n = 0;
	struct config_key *keys = NULL;
	find_destination(reading, node, &known, &expected->to);
	const struct connector *connector = !known ? NULL
					    : expected->to == SIZE_MAX
						    ? &aggregate_connector
						    : reading->loader->own->config.connections[expected->to].connector;
	if (connector)
		keys = own_keys(connector, &n);
	char **values = memory_zero((n + 1) * sizeof *values);
	struct config_scope scope = {
		.report = reading->loader->report,
		.node = node,
		.anchor = node,
		.title = "a message of 'expect'",
		.keys_unknown = !connector,
		.parts = {{section_expected_keys, expected}, {keys, values}},
	};
	expected->qos = -1;
	LOADER_PLACE(expected, node);
	table_read(&scope);
	expected->says_null = config_given(&scope, "null_payload", NULL);
	expected->no_key = !expected->key && config_given(&scope, "key", NULL);
	expected->no_content_type = !expected->content_type && config_given(&scope, "content_type", NULL);
	expected->says_retain = config_given(&scope, "retain", NULL);
	read_payload(&scope, expected->payload, expected->payload_base64, expected->null_payload, &expected->decoded,
		&expected->n_decoded);
	warn_of_json(&scope, expected->payload);
	check_fate(&scope, expected);
	if (keys)
		take_own_values(expected, keys, values, n);
	free(values);
	free(keys);
}
