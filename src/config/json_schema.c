/* SPDX-License-Identifier: Apache-2.0
 *
 * The tables as JSON Schema draft-07, which is what YAML editors understand. What it accepts is what the loader accepts
 * as far as a schema can tell: every value may come from ${env:…} or ${file:…}, plain numbers are texts where text is
 * wanted. Which keys a `from` or `to` has depends on the connection it names, which a schema cannot follow: there, it takes
 * what some connector has, all of one together, and an editor that has seen one such key offers that connector's alone.
 *
 * `#/definitions/included` is the schema of a file that another one includes.
 */
#include <assert.h>
#include <string.h>

#include "config/json_writer.h"
#include "config/key_words.h"
#include "config/loader.h"
#include "config/memory.h"
#include "config/sections.h"
#include "config/value.h"

/* A ${ that is not escaped begins with env: or file:. */
#define INSERTED_PATTERN "\\$\\{(env|file):[^}]+\\}"
#define TEXT_PATTERN     "^([^$]|\\$(?!\\{)|\\$\\$\\{|" INSERTED_PATTERN ")*$"
/* Braces in pairs: {{ and }} are braces, {…} is inserted and may hold texts in quotes. What stands in it only the loader knows. */
#define TEMPLATE_PATTERN "^([^{}]|\\{\\{|\\}\\}|\\{([^{}\"]|\"[^\"]*\")+\\})*$"
#define FEW              10 /* numbers that are offered one by one */

static void write_keys(struct json_writer *json, const struct config_key *keys);

/* --- values --- */

/* Beside a description and a default, which annotate and need not count for a validator. */
static void json_reference(struct json_writer *json, const char *definition)
{
	char text[128];
	snprintf(text, sizeof text, "#/definitions/%s", definition);
	json_text(json, "$ref", text);
}

static void write_reference(struct json_writer *json, const char *name, const char *definition)
{
	json_open(json, name, '{');
	json_reference(json, definition);
	json_close(json, '}');
}

static bool bounded(const struct config_key *key)
{
	return key->min || key->max;
}

static bool offered_one_by_one(const struct config_key *key)
{
	return key->type == CONFIG_INT && bounded(key) && key->max - key->min < FEW;
}

static void write_number(struct json_writer *json, const struct config_key *key)
{
	json_text(json, "type", key->type == CONFIG_INT ? "integer" : "number");
	if (!bounded(key))
		return;
	if (offered_one_by_one(key)) {
		json_open(json, "enum", '[');
		for (int64_t number = key->min; number <= key->max; number++)
			json_int(json, NULL, number);
		json_close(json, ']');
		return;
	}
	json_int(json, "minimum", key->min);
	if (key->max != INT64_MAX)
		json_int(json, "maximum", key->max);
}

/* Would YAML read it as a number, and that as the same text? `version: 5` and `min_version: 1.2` are numbers for an editor. */
static bool is_number(const char *text)
{
	size_t digits = strspn(text, "0123456789"), more = 0;
	if (text[digits] == '.')
		more = 1 + strspn(text + digits + 1, "0123456789");
	return digits && more != 1 && !text[digits + more];
}

static void write_choices(struct json_writer *json, const struct config_key *key)
{
	json_open(json, "enum", '[');
	for (const char *const *choice = key->choices; *choice; choice++)
		if (is_number(*choice))
			json_number(json, NULL, *choice);
		else
			json_text(json, NULL, *choice);
	json_close(json, ']');
}

/* `version: "5"` is as good, but need not be offered. */
static void write_quoted_choices(struct json_writer *json, const struct config_key *key)
{
	for (const char *const *choice = key->choices; *choice; choice++) {
		if (!is_number(*choice))
			continue;
		char pattern[32];
		snprintf(pattern, sizeof pattern, "^%s$", *choice);
		json_open(json, NULL, '{');
		json_text(json, "type", "string");
		json_text(json, "pattern", pattern);
		json_close(json, '}');
	}
}

static void write_unit(struct json_writer *json, const struct config_key *key, const char *pattern)
{
	json_open(json, NULL, '{');
	json_text(json, "type", "string");
	json_text(json, "pattern", pattern);
	json_text(json, "patternErrorMessage",
		key->type == CONFIG_DURATION ? "Write a number and its unit, such as 10s. Units: ms, s, m, h, d."
					     : "Write a number and its unit, such as 64MiB. Units: B, KB, MB, GB, TB, "
					       "KiB, MiB, GiB, TiB.");
	json_close(json, '}');
	if (key->min > 0)
		return;
	json_open(json, NULL, '{'); /* 0 needs no unit */
	json_int(json, "const", 0);
	json_close(json, '}');
}

/* A value that is not text: as it is, or inserted. */
static void write_typed(struct json_writer *json, const struct config_key *key)
{
	json_open(json, "anyOf", '[');
	if (key->type == CONFIG_DURATION) {
		write_unit(json, key, VALUE_DURATION_PATTERN);
	} else if (key->type == CONFIG_SIZE) {
		write_unit(json, key, VALUE_SIZE_PATTERN);
	} else {
		json_open(json, NULL, '{');
		if (key->type == CONFIG_INT || key->type == CONFIG_NUMBER)
			write_number(json, key);
		else if (key->type == CONFIG_ENUM)
			write_choices(json, key);
		else
			json_text(json, "type", "boolean");
		json_close(json, '}');
		if (key->type == CONFIG_ENUM)
			write_quoted_choices(json, key);
	}
	write_reference(json, NULL, "inserted");
	json_close(json, ']');
}

static void write_pattern(struct json_writer *json, const struct config_key *key)
{
	char text[400];
	int len = snprintf(text, sizeof text, "^(?:%s)$|\\$\\{", key->pattern);
	assert(len > 0 && (size_t)len < sizeof text);
	json_text(json, "pattern", text);
	len = snprintf(text, sizeof text, "Write it as in %s.", key->example);
	assert(len > 0 && (size_t)len < sizeof text);
	json_text(json, "patternErrorMessage", text);
}

/* A plain `true` is read as text, too, but in place of a text it is hardly meant. */
static void write_text_types(struct json_writer *json, bool boolean)
{
	json_open(json, "type", '[');
	json_text(json, NULL, "string");
	json_text(json, NULL, "number");
	if (boolean)
		json_text(json, NULL, "boolean");
	json_close(json, ']');
}

static void write_text(struct json_writer *json, const struct config_key *key)
{
	const char *definition = key->type == CONFIG_TEMPLATE ? "template" : "text";
	if (key->choices) { /* of a list */
		write_choices(json, key);
		return;
	}
	if (key->type == CONFIG_JQ)
		definition = "plain"; /* true is a program */
	if (!key->pattern) {
		json_reference(json, definition);
		return;
	}
	write_text_types(json, false);
	write_pattern(json, key);
	json_open(json, "allOf", '[');
	write_reference(json, NULL, definition);
	json_close(json, ']');
}

static void write_list(struct json_writer *json, const struct config_key *key)
{
	json_open(json, "anyOf", '[');
	json_open(json, NULL, '{');
	write_text(json, key);
	json_close(json, '}');
	json_open(json, NULL, '{');
	json_text(json, "type", "array");
	json_int(json, "minItems", 1);
	if (key->choices)
		json_bool(json, "uniqueItems", true);
	json_open(json, "items", '{');
	write_text(json, key);
	json_close(json, '}');
	json_close(json, '}');
	json_close(json, ']');
}

static void write_default(struct json_writer *json, const struct config_key *key)
{
	if (!key->fallback)
		return;
	if (key->type == CONFIG_BOOL)
		json_bool(json, "default", strcmp(key->fallback, "true") == 0);
	else if (key->type != CONFIG_STRING && is_number(key->fallback))
		json_number(json, "default", key->fallback);
	else
		json_text(json, "default", key->fallback);
}

static void write_example(struct json_writer *json, const struct config_key *key)
{
	if (!key->example)
		return;
	json_open(json, "examples", '[');
	json_text(json, NULL, key->example);
	json_close(json, ']');
}

/* Editors show the description, and few of them anything else. */
static void write_description(struct json_writer *json, const struct config_key *key)
{
	char text[3000], bounds[KEY_BOUNDS_SIZE];
	key_bounds(key, bounds, sizeof bounds);
	if (offered_one_by_one(key))
		bounds[0] = '\0';
	size_t len = (size_t)snprintf(text, sizeof text, "%s", key->help);
	if (key->fallback && len < sizeof text)
		len += (size_t)snprintf(text + len, sizeof text - len, "\n\nDefault: %s.", key->fallback);
	if (*bounds && len < sizeof text)
		len += (size_t)snprintf(
			text + len, sizeof text - len, "%sAllowed: %s.", key->fallback ? " " : "\n\n", bounds);
	assert(len < sizeof text);
	json_text(json, "description", text);
}

/* A text, or null. */
static void write_nullable(struct json_writer *json, const char *definition)
{
	json_open(json, "anyOf", '[');
	write_reference(json, NULL, definition);
	json_open(json, NULL, '{');
	json_text(json, "type", "null");
	json_close(json, '}');
	json_close(json, ']');
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

static void write_value(struct json_writer *json, const struct config_key *key)
{
	switch (key->type) {
	case CONFIG_SECTION:
		write_section(json, key);
		break;
	case CONFIG_LIST:
		write_list(json, key);
		break;
	case CONFIG_MAP:
		json_text(json, "type", "object");
		if (key->nullable) {
			json_open(json, "additionalProperties", '{');
			write_nullable(json, "plain");
			json_close(json, '}');
			break;
		}
		if (!key->choices) {
			write_reference(json, "additionalProperties", "plain");
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
		if (key->nullable)
			write_nullable(json, "text");
		else
			write_text(json, key);
	}
}

static void write_key(struct json_writer *json, const struct config_key *key)
{
	json_open(json, key->name, '{');
	write_description(json, key);
	write_default(json, key);
	write_example(json, key);
	write_value(json, key);
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

static void write_array(struct json_writer *json, const char *name, const char *definition)
{
	json_open(json, name, '{');
	json_text(json, "description", section_elsewhere_help(name));
	json_text(json, "type", "array");
	write_reference(json, "items", definition);
	json_close(json, '}');
}

/* --- connections --- */

/* As a choice of one, which editors offer less of than of a constant. */
static void write_type(struct json_writer *json, const struct connector *connector)
{
	json_open(json, "type", '{');
	json_open(json, "enum", '[');
	json_text(json, NULL, connector->name);
	json_close(json, ']');
	json_close(json, '}');
}

static void write_connection_of(struct json_writer *json, const struct connector *connector)
{
	char name[96];
	snprintf(name, sizeof name, "connection-%s", connector->name);
	json_open(json, name, '{');
	snprintf(name, sizeof name, "connection of type %s", connector->name);
	json_text(json, "title", name);
	json_text(json, "description", connector->help);
	json_text(json, "type", "object");
	json_bool(json, "additionalProperties", false);
	json_open(json, "required", '[');
	json_text(json, NULL, "type");
	write_required(json, connector->connection_keys);
	json_close(json, ']');
	json_open(json, "properties", '{');
	write_type(json, connector);
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
	write_type(json, connector);
	json_close(json, '}');
	json_close(json, '}');
	write_reference(json, "then", definition);
	json_close(json, '}');
}

static void write_connection(struct json_writer *json, const struct connector *const *all)
{
	json_open(json, "connection", '{');
	json_text(json, "title", "connection");
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

/* The same key twice: two connectors may have it. */
static bool same_key(const struct config_key *a, const struct config_key *b)
{
	return strcmp(a->name, b->name) == 0;
}

static bool has_key(const struct config_key *keys, const struct config_key *key)
{
	for (; keys && keys->name; keys++)
		if (same_key(keys, key))
			return true;
	return false;
}

/* What a key of one connector is said to be: for whom. */
static void write_own_key(struct json_writer *json, const struct connector *connector, const struct config_key *key)
{
	char help[2000];
	struct config_key own = *key;
	int len = snprintf(help, sizeof help, "(%s) %s", connector->name, key->help);
	assert(len > 0 && (size_t)len < sizeof help);
	own.help = help;
	write_key(json, &own);
}

/* One connector's leg: what all have, which is described once, and its own. target: NULL, or the key that holds it. */
static void write_leg_of(struct json_writer *json, const struct connector *connector, const struct config_key *common,
	const struct config_key *target, const struct config_key *own)
{
	json_open(json, NULL, '{');
	json_bool(json, "additionalProperties", false);
	json_open(json, "properties", '{');
	if (target)
		write_own_key(json, connector, target);
	for (const struct config_key *key = own; key && key->name; key++)
		if (!has_key(common, key))
			write_own_key(json, connector, key);
	for (; common->name; common++)
		if (!target || !same_key(common, target))
			json_bool(json, common->name, true);
	json_close(json, '}');
	json_close(json, '}');
}

static void open_leg(struct json_writer *json, const char *name, const struct config_key *common)
{
	json_open(json, name, '{');
	json_text(json, "description", section_elsewhere_help(name));
	json_text(json, "type", "object");
	json_open(json, "required", '[');
	write_required(json, common);
	json_close(json, ']');
	json_open(json, "properties", '{');
	write_properties(json, common);
	json_close(json, '}');
	json_open(json, "anyOf", '[');
}

static void close_leg(struct json_writer *json, size_t n)
{
	if (n == 0) /* may not be empty */
		json_bool(json, NULL, true);
	json_close(json, ']');
	json_close(json, '}');
}

static void write_legs(struct json_writer *json, const struct connector *const *all)
{
	size_t n = 0;
	open_leg(json, "from", section_from_keys);
	for (size_t i = 0; all[i]; i++) {
		if (!all[i]->can_source)
			continue;
		write_leg_of(json, all[i], section_from_keys, NULL, all[i]->from_keys);
		n++;
	}
	close_leg(json, n);
	n = 0;
	open_leg(json, "to", section_to_keys);
	for (size_t i = 0; all[i]; i++) {
		if (!all[i]->can_sink)
			continue;
		struct config_key target = {
			.name = all[i]->target_key, .type = CONFIG_TEMPLATE, .help = section_target_help(all[i])};
		write_leg_of(json, all[i], section_to_keys, &target, all[i]->to_keys);
		n++;
	}
	close_leg(json, n);
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
	write_reference(json, "from", "from");
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

/* What was sent holds a text where `to` has a template. */
static void write_expected_of(struct json_writer *json, const struct connector *connector)
{
	struct config_key target = {.name = connector->target_key,
		.type = CONFIG_STRING,
		.help = "Topic or path that it has at its destination."};
	struct config_key texts[32] = {{0}};
	size_t n = 0;
	for (const struct config_key *key = connector->to_keys; key && key->name; key++) {
		assert(n + 1 < sizeof texts / sizeof texts[0]);
		texts[n++] = (struct config_key){.name = key->name, .type = CONFIG_STRING, .help = key->help};
	}
	write_leg_of(json, connector, section_expected_keys, &target, texts);
}

static void write_expected(struct json_writer *json, const struct connector *const *all)
{
	size_t n = 0;
	open_leg(json, "expected", section_expected_keys);
	for (size_t i = 0; all[i]; i++) {
		if (!all[i]->can_sink)
			continue;
		write_expected_of(json, all[i]);
		n++;
	}
	close_leg(json, n);
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
	json_open(json, "expect", '{');
	json_text(json, "description", section_elsewhere_help("expect"));
	json_open(json, "anyOf", '[');
	json_open(json, NULL, '{');
	json_int(json, "minProperties", 1);
	json_open(json, "allOf", '[');
	write_reference(json, NULL, "expected");
	json_close(json, ']');
	json_close(json, '}');
	json_open(json, NULL, '{');
	json_text(json, "type", "array");
	write_reference(json, "items", "expected");
	json_close(json, '}');
	json_close(json, ']');
	json_close(json, '}');
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

static void write_connections(struct json_writer *json)
{
	json_open(json, "connections", '{');
	json_text(json, "description", section_elsewhere_help("connections"));
	json_text(json, "type", "object");
	json_open(json, "propertyNames", '{');
	json_text(json, "pattern", "^" SECTION_NAME_PATTERN "$");
	json_close(json, '}');
	write_reference(json, "additionalProperties", "connection");
	json_close(json, '}');
}

/* What an included file may hold as well. */
static void write_parts(struct json_writer *json)
{
	write_properties(json, section_include_keys);
	write_reference(json, "connections", "connections");
	write_reference(json, "mappings", "mappings");
	write_reference(json, "tests", "tests");
}

static void write_included(struct json_writer *json)
{
	json_open(json, "included", '{');
	json_text(json, "title", "file that another one includes");
	json_text(json, "type", "object");
	json_bool(json, "additionalProperties", false);
	json_open(json, "properties", '{');
	write_properties(json, section_included_keys);
	write_parts(json);
	json_close(json, '}');
	json_close(json, '}');
}

static void write_text_definition(
	struct json_writer *json, const char *name, const char *pattern, bool boolean, const char *what_is_right)
{
	json_open(json, name, '{');
	write_text_types(json, boolean);
	json_text(json, "pattern", pattern);
	json_text(json, "patternErrorMessage", what_is_right);
	json_close(json, '}');
}

static void write_definitions(struct json_writer *json, const struct connector *const *all)
{
	json_open(json, "definitions", '{');
	json_open(json, "inserted", '{');
	json_text(json, "description", "A value from the environment or from a file.");
	json_text(json, "type", "string");
	json_text(json, "pattern", INSERTED_PATTERN);
	json_close(json, '}');
	write_text_definition(json, "text", TEXT_PATTERN, false,
		"Behind ${ stands env: or file:, as in ${env:NAME}; $${ stands for ${ itself.");
	write_text_definition(json, "plain", TEXT_PATTERN, true,
		"Behind ${ stands env: or file:, as in ${env:NAME}; $${ stands for ${ itself.");
	write_text_definition(json, "template", TEMPLATE_PATTERN, false,
		"Braces come in pairs, with something between them; {{ and }} stand for braces.");
	write_included(json);
	write_connections(json);
	write_array(json, "mappings", "mapping");
	write_array(json, "tests", "test");
	write_connection(json, all);
	write_mapping(json);
	write_legs(json, all);
	write_test(json);
	write_expected(json, all);
	json_close(json, '}');
}

/* One way in which a file has what a bridge needs: both here, or (perhaps) in what it includes. */
static void write_enough(struct json_writer *json, bool included)
{
	json_open(json, NULL, '{');
	json_open(json, "required", '[');
	if (included) {
		json_text(json, NULL, "include");
	} else {
		json_text(json, NULL, "connections");
		json_text(json, NULL, "mappings");
	}
	json_close(json, ']');
	if (!included) {
		json_open(json, "properties", '{');
		json_open(json, "connections", '{');
		json_int(json, "minProperties", 1);
		json_close(json, '}');
		json_open(json, "mappings", '{');
		json_int(json, "minItems", 1);
		json_close(json, '}');
		json_close(json, '}');
	}
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
	write_parts(&json);
	json_close(&json, '}');
	json_open(&json, "anyOf", '[');
	write_enough(&json, false);
	write_enough(&json, true);
	json_close(&json, ']');
	write_definitions(&json, all);
	json_close(&json, '}');
}

void config_write_schema(FILE *out)
{
	config_write_schema_of(connectors, out);
}
