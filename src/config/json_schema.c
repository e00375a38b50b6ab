/* SPDX-License-Identifier: Apache-2.0
 *
 * The tables as JSON Schema draft-07, which is what YAML editors understand. What it accepts is what the loader accepts
 * as far as a schema can tell: every value may come from ${env:…} or ${file:…}, plain numbers are texts where text is
 * wanted. Which keys a `from` or `to` has depends on the connection it names, which a schema cannot follow: there, the
 * keys of all connectors are allowed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/json_writer.h"
#include "config/loader.h"
#include "config/memory.h"
#include "config/sections.h"
#include "config/value.h"

#define NAME_PATTERN "^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"

static void write_keys(struct json_writer *json, const struct config_key *keys);

/* --- values --- */

static void write_reference(struct json_writer *json, const char *name, const char *definition)
{
	char text[128];
	snprintf(text, sizeof text, "#/definitions/%s", definition);
	json_open(json, name, '{');
	json_text(json, "$ref", text);
	json_close(json, '}');
}

static bool bounded(const struct config_key *key)
{
	return key->min || key->max;
}

static void write_number(struct json_writer *json, const struct config_key *key)
{
	json_text(json, "type", key->type == CONFIG_INT ? "integer" : "number");
	if (!bounded(key))
		return;
	json_int(json, "minimum", key->min);
	if (key->max != INT64_MAX)
		json_int(json, "maximum", key->max);
}

static bool is_number(const char *text)
{
	char *end;
	errno = 0;
	(void)strtoll(text, &end, 10);
	return *text && !*end && errno == 0;
}

static void write_choices(struct json_writer *json, const struct config_key *key)
{
	json_open(json, "enum", '[');
	for (const char *const *choice = key->choices; *choice; choice++) {
		json_text(json, NULL, *choice);
		if (is_number(*choice)) /* `version: 5` is a number for an editor */
			json_int(json, NULL, strtoll(*choice, NULL, 10));
	}
	json_close(json, ']');
}

static void write_unit(struct json_writer *json, const char *pattern)
{
	json_open(json, NULL, '{');
	json_text(json, "type", "string");
	json_text(json, "pattern", pattern);
	json_close(json, '}');
	json_open(json, NULL, '{'); /* 0 needs no unit */
	json_int(json, "const", 0);
	json_close(json, '}');
}

/* A value that is not text: as it is, or inserted. */
static void write_typed(struct json_writer *json, const struct config_key *key)
{
	json_open(json, "anyOf", '[');
	if (key->type == CONFIG_DURATION) {
		write_unit(json, VALUE_DURATION_PATTERN);
	} else if (key->type == CONFIG_SIZE) {
		write_unit(json, VALUE_SIZE_PATTERN);
	} else {
		json_open(json, NULL, '{');
		if (key->type == CONFIG_INT || key->type == CONFIG_NUMBER)
			write_number(json, key);
		else if (key->type == CONFIG_ENUM)
			write_choices(json, key);
		else
			json_text(json, "type", "boolean");
		json_close(json, '}');
	}
	write_reference(json, NULL, "inserted");
	json_close(json, ']');
}

static void write_text_types(struct json_writer *json)
{
	json_open(json, "type", '[');
	json_text(json, NULL, "string");
	json_text(json, NULL, "number");
	json_text(json, NULL, "boolean");
	json_close(json, ']');
}

static void write_list(struct json_writer *json)
{
	json_open(json, "anyOf", '[');
	write_reference(json, NULL, "text");
	json_open(json, NULL, '{');
	json_text(json, "type", "array");
	json_int(json, "minItems", 1);
	write_reference(json, "items", "text");
	json_close(json, '}');
	json_close(json, ']');
}

static void write_default(struct json_writer *json, const struct config_key *key)
{
	if (!key->fallback)
		return;
	if (key->type == CONFIG_INT || key->type == CONFIG_NUMBER)
		json_int(json, "default", strtoll(key->fallback, NULL, 10));
	else if (key->type == CONFIG_BOOL)
		json_bool(json, "default", strcmp(key->fallback, "true") == 0);
	else
		json_text(json, "default", key->fallback);
}

/* With a child that a single value stands for: that, or the keys. */
static void write_section(struct json_writer *json, const struct config_key *key)
{
	const struct config_key *child = key->children;
	if (!key->bare) {
		write_keys(json, key->children);
		return;
	}
	while (strcmp(child->name, key->bare) != 0)
		child++;
	json_open(json, "anyOf", '[');
	json_open(json, NULL, '{');
	write_typed(json, child);
	json_close(json, '}');
	json_open(json, NULL, '{');
	write_keys(json, key->children);
	json_close(json, '}');
	json_close(json, ']');
}

static void write_key(struct json_writer *json, const struct config_key *key)
{
	json_open(json, key->name, '{');
	json_text(json, "description", key->help);
	write_default(json, key);
	switch (key->type) {
	case CONFIG_SECTION:
		write_section(json, key);
		break;
	case CONFIG_LIST:
		write_list(json);
		break;
	case CONFIG_MAP:
		json_text(json, "type", "object");
		if (!key->choices) {
			write_reference(json, "additionalProperties", "text");
			break;
		}
		json_open(json, "additionalProperties", '{');
		write_choices(json, key);
		json_close(json, '}');
		break;
	case CONFIG_BOOL:
	case CONFIG_INT:
	case CONFIG_NUMBER:
	case CONFIG_DURATION:
	case CONFIG_SIZE:
	case CONFIG_ENUM:
		write_typed(json, key);
		break;
	default:
		write_text_types(json);
	}
	json_close(json, '}');
}

/* --- sections --- */

static void write_required(struct json_writer *json, const struct config_key *keys)
{
	for (; keys && keys->name; keys++)
		if (keys->required)
			json_text(json, NULL, keys->name);
}

static void write_properties(struct json_writer *json, const struct config_key *keys)
{
	for (; keys && keys->name; keys++)
		write_key(json, keys);
}

static bool any_required(const struct config_key *keys)
{
	for (; keys && keys->name; keys++)
		if (keys->required)
			return true;
	return false;
}

/* The inside of an object schema that one table describes. */
static void write_keys(struct json_writer *json, const struct config_key *keys)
{
	json_text(json, "type", "object");
	json_bool(json, "additionalProperties", false);
	if (any_required(keys)) {
		json_open(json, "required", '[');
		write_required(json, keys);
		json_close(json, ']');
	}
	json_open(json, "properties", '{');
	write_properties(json, keys);
	json_close(json, '}');
}

static void write_section_reference(struct json_writer *json, const char *name, const char *definition)
{
	json_open(json, name, '{');
	json_text(json, "description", section_elsewhere_help(name));
	json_open(json, "allOf", '[');
	write_reference(json, NULL, definition);
	json_close(json, ']');
	json_close(json, '}');
}

static void write_array(struct json_writer *json, const char *name, const char *definition)
{
	json_open(json, name, '{');
	json_text(json, "description", section_elsewhere_help(name));
	json_text(json, "type", "array");
	write_reference(json, "items", definition);
	json_close(json, '}');
}

/* --- connections --- */

static void write_connection_of(struct json_writer *json, const struct connector *connector)
{
	char name[96];
	snprintf(name, sizeof name, "connection-%s", connector->name);
	json_open(json, name, '{');
	json_text(json, "description", connector->help);
	json_text(json, "type", "object");
	json_bool(json, "additionalProperties", false);
	json_open(json, "required", '[');
	json_text(json, NULL, "type");
	write_required(json, connector->connection_keys);
	json_close(json, ']');
	json_open(json, "properties", '{');
	json_open(json, "type", '{');
	json_text(json, "const", connector->name);
	json_close(json, '}');
	write_properties(json, connector->connection_keys);
	write_properties(json, section_connection_keys);
	json_close(json, '}');
	json_close(json, '}');
}

static void write_if_type(struct json_writer *json, const struct connector *connector)
{
	char definition[96];
	snprintf(definition, sizeof definition, "connection-%s", connector->name);
	json_open(json, NULL, '{');
	json_open(json, "if", '{');
	json_open(json, "required", '[');
	json_text(json, NULL, "type");
	json_close(json, ']');
	json_open(json, "properties", '{');
	json_open(json, "type", '{');
	json_text(json, "const", connector->name);
	json_close(json, '}');
	json_close(json, '}');
	json_close(json, '}');
	write_reference(json, "then", definition);
	json_close(json, '}');
}

static void write_connection(struct json_writer *json, const struct connector *const *all)
{
	json_open(json, "connection", '{');
	json_text(json, "type", "object");
	json_open(json, "required", '[');
	json_text(json, NULL, "type");
	json_close(json, ']');
	json_open(json, "properties", '{');
	json_open(json, "type", '{');
	json_text(json, "description", section_elsewhere_help("type"));
	json_open(json, "enum", '[');
	for (size_t i = 0; all[i]; i++)
		json_text(json, NULL, all[i]->name);
	json_close(json, ']');
	json_close(json, '}');
	json_close(json, '}');
	if (all[0]) { /* allOf may not be empty */
		json_open(json, "allOf", '[');
		for (size_t i = 0; all[i]; i++)
			write_if_type(json, all[i]);
		json_close(json, ']');
	}
	json_close(json, '}');
	for (size_t i = 0; all[i]; i++)
		write_connection_of(json, all[i]);
}

/* --- mappings --- */

/* Names already written: two connectors may have a key of the same name. */
struct seen {
	const char *names[256];
	size_t n;
};

static bool first_time(struct seen *seen, const char *name)
{
	for (size_t i = 0; i < seen->n; i++)
		if (strcmp(seen->names[i], name) == 0)
			return false;
	if (seen->n < sizeof seen->names / sizeof seen->names[0])
		seen->names[seen->n++] = name;
	return true;
}

static void write_new_keys(struct json_writer *json, struct seen *seen, const struct config_key *keys)
{
	for (; keys && keys->name; keys++)
		if (first_time(seen, keys->name))
			write_key(json, keys);
}

static void open_leg(struct json_writer *json, const char *name, const struct config_key *keys)
{
	json_open(json, name, '{');
	json_text(json, "type", "object");
	json_bool(json, "additionalProperties", false);
	json_open(json, "required", '[');
	write_required(json, keys);
	json_close(json, ']');
	json_open(json, "properties", '{');
}

static void write_legs(struct json_writer *json, const struct connector *const *all)
{
	struct seen seen = {.n = 0};
	open_leg(json, "from", section_from_keys);
	write_new_keys(json, &seen, section_from_keys);
	for (size_t i = 0; all[i]; i++)
		if (all[i]->can_source)
			write_new_keys(json, &seen, all[i]->from_keys);
	json_close(json, '}');
	json_close(json, '}');
	seen.n = 0;
	open_leg(json, "to", section_to_keys);
	write_new_keys(json, &seen, section_to_keys);
	for (size_t i = 0; all[i]; i++) {
		if (!all[i]->can_sink)
			continue;
		struct config_key target[2] = {
			{.name = all[i]->target_key, .type = CONFIG_TEMPLATE, .help = section_target_help(all[i])}};
		write_new_keys(json, &seen, target);
		write_new_keys(json, &seen, all[i]->to_keys);
	}
	json_close(json, '}');
	json_close(json, '}');
}

static void write_to_of_mapping(struct json_writer *json)
{
	json_open(json, "to", '{');
	json_text(json, "description", section_elsewhere_help("to"));
	json_open(json, "anyOf", '[');
	write_reference(json, NULL, "to");
	json_open(json, NULL, '{');
	json_text(json, "type", "array");
	json_int(json, "minItems", 1);
	write_reference(json, "items", "to");
	json_close(json, '}');
	json_close(json, ']');
	json_close(json, '}');
}

static void write_mapping(struct json_writer *json)
{
	json_open(json, "mapping", '{');
	json_text(json, "type", "object");
	json_bool(json, "additionalProperties", false);
	json_open(json, "required", '[');
	write_required(json, section_mapping_keys);
	json_text(json, NULL, "from");
	json_text(json, NULL, "to");
	json_close(json, ']');
	json_open(json, "properties", '{');
	write_properties(json, section_mapping_keys);
	write_section_reference(json, "from", "from");
	write_to_of_mapping(json);
	json_close(json, '}');
	json_close(json, '}');
}

/* --- tests --- */

/* One of them, or a list. */
static void write_one_or_more(struct json_writer *json, const char *name, const char *definition)
{
	json_open(json, name, '{');
	json_text(json, "description", section_elsewhere_help(name));
	json_open(json, "anyOf", '[');
	write_reference(json, NULL, definition);
	json_open(json, NULL, '{');
	json_text(json, "type", "array");
	json_int(json, "minItems", 1);
	write_reference(json, "items", definition);
	json_close(json, '}');
	json_close(json, ']');
	json_close(json, '}');
}

static void write_expected(struct json_writer *json, const struct connector *const *all)
{
	struct seen seen = {.n = 0};
	open_leg(json, "expected", section_expected_keys);
	write_new_keys(json, &seen, section_expected_keys);
	for (size_t i = 0; all[i]; i++) {
		if (!all[i]->can_sink)
			continue;
		struct config_key target[2] = {{.name = all[i]->target_key,
			.type = CONFIG_STRING,
			.help = "Topic or path that it has at its destination."}};
		write_new_keys(json, &seen, target);
		for (const struct config_key *key = all[i]->to_keys; key && key->name; key++) {
			struct config_key text[2] = {{.name = key->name, .type = CONFIG_STRING, .help = key->help}};
			write_new_keys(json, &seen, text);
		}
	}
	json_close(json, '}');
	json_close(json, '}');
}

static void write_answer(struct json_writer *json)
{
	json_open(json, "answer", '{');
	json_text(json, "description", section_elsewhere_help("answer"));
	json_text(json, "type", "object");
	json_open(json, "additionalProperties", '{');
	json_open(json, "anyOf", '[');
	for (int list = 0; list <= 1; list++) {
		json_open(json, NULL, '{');
		if (list) {
			json_text(json, "type", "array");
			json_open(json, "items", '{');
		}
		write_choices(json, &(struct config_key){.choices = test_answer_names});
		if (list)
			json_close(json, '}');
		json_close(json, '}');
	}
	json_close(json, ']');
	json_close(json, '}');
	json_close(json, '}');
}

/* What the short form and a step share. */
static void write_actions(struct json_writer *json)
{
	write_answer(json);
	write_one_or_more(json, "given", "given");
	write_array(json, "expect", "expected");
}

static void write_required_alone(struct json_writer *json, const char *a, const char *b)
{
	json_open(json, NULL, '{');
	json_open(json, "required", '[');
	json_text(json, NULL, a);
	if (b)
		json_text(json, NULL, b);
	json_close(json, ']');
	json_close(json, '}');
}

static void write_test(struct json_writer *json)
{
	json_open(json, "given", '{');
	write_keys(json, section_given_keys);
	json_close(json, '}');
	json_open(json, "step", '{');
	json_text(json, "type", "object");
	json_bool(json, "additionalProperties", false);
	json_int(json, "minProperties", 1);
	json_int(json, "maxProperties", 1);
	json_open(json, "properties", '{');
	write_properties(json, section_step_keys);
	write_actions(json);
	json_close(json, '}');
	json_close(json, '}');
	json_open(json, "test", '{');
	json_text(json, "type", "object");
	json_bool(json, "additionalProperties", false);
	json_open(json, "required", '[');
	write_required(json, section_test_keys);
	json_close(json, ']');
	json_open(json, "oneOf", '[');
	write_required_alone(json, "given", "expect");
	write_required_alone(json, "steps", NULL);
	json_close(json, ']');
	json_open(json, "properties", '{');
	write_properties(json, section_test_keys);
	write_actions(json);
	json_open(json, "steps", '{');
	json_text(json, "description", section_elsewhere_help("steps"));
	json_text(json, "type", "array");
	json_int(json, "minItems", 1);
	write_reference(json, "items", "step");
	json_close(json, '}');
	json_close(json, '}');
	json_close(json, '}');
}

/* --- the whole --- */

static void write_definitions(struct json_writer *json, const struct connector *const *all)
{
	json_open(json, "definitions", '{');
	json_open(json, "inserted", '{');
	json_text(json, "description", "A value from the environment or from a file.");
	json_text(json, "type", "string");
	json_text(json, "pattern", "\\$\\{(env|file):[^}]+\\}");
	json_close(json, '}');
	json_open(json, "text", '{');
	write_text_types(json);
	json_close(json, '}');
	write_connection(json, all);
	write_mapping(json);
	write_legs(json, all);
	write_test(json);
	write_expected(json, all);
	json_close(json, '}');
}

static void write_connections(struct json_writer *json)
{
	json_open(json, "connections", '{');
	json_text(json, "description", section_elsewhere_help("connections"));
	json_text(json, "type", "object");
	json_open(json, "propertyNames", '{');
	json_text(json, "pattern", NAME_PATTERN);
	json_close(json, '}');
	write_reference(json, "additionalProperties", "connection");
	json_close(json, '}');
}

void config_write_schema_of(const struct connector *const *all, FILE *out)
{
	struct json_writer json = {.out = out};
	json_open(&json, NULL, '{');
	json_text(&json, "$schema", "http://json-schema.org/draft-07/schema#");
	json_text(&json, "title", "linkspan");
	json_text(&json, "description", "Configuration of linkspan " LINKSPAN_VERSION ".");
	json_text(&json, "type", "object");
	json_bool(&json, "additionalProperties", false);
	json_open(&json, "required", '[');
	write_required(&json, section_top_keys);
	json_close(&json, ']');
	json_open(&json, "properties", '{');
	write_properties(&json, section_top_keys);
	write_properties(&json, section_include_keys);
	write_connections(&json);
	write_array(&json, "mappings", "mapping");
	write_array(&json, "tests", "test");
	json_close(&json, '}');
	write_definitions(&json, all);
	json_close(&json, '}');
}

void config_write_schema(FILE *out)
{
	config_write_schema_of(connectors, out);
}
