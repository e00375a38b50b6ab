/* SPDX-License-Identifier: Apache-2.0
 *
 * The JSON Schema is JSON and says what the tables say; the reference page in doc/ is the one that the tables give.
 */
#define _GNU_SOURCE
#include <jq.h>
#include <jv.h>
#include <stdlib.h>
#include <string.h>

#include "admin/metric.h"
#include "config/loader.h"
#include "tests/unit/config/connectors.h"
#include "tests/unit/config/files.h"
#include "tests/unit/tap.h"

static char *written(void (*write)(const struct connector *const *, FILE *), const struct connector *const *all)
{
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	write(all, out);
	fclose(out);
	return text;
}

/* The first result of a jq program on the schema, as text. The caller frees. */
static char *ask(const struct connector *const *all, const char *program)
{
	char *schema = written(config_write_schema_of, all), *answer = NULL;
	jq_state *jq = jq_init();
	jv input = jv_parse(schema);
	CU_ASSERT(jv_is_valid(input));
	CU_ASSERT(jq_compile(jq, program));
	jq_start(jq, input, 0);
	jv result = jq_next(jq);
	if (jv_is_valid(result)) {
		jv text = jv_dump_string(result, 0);
		answer = strdup(jv_string_value(text));
		jv_free(text);
	} else {
		jv_free(result);
		answer = strdup("(nothing)");
	}
	jq_teardown(&jq);
	free(schema);
	return answer;
}

static void expect(const char *program, const char *wanted)
{
	char *answer = ask(test_connectors, program);
	if (strcmp(answer, wanted) != 0)
		printf("# %s: %s\n", program, answer);
	CU_ASSERT_STRING_EQUAL(answer, wanted);
	free(answer);
}

static void test_is_closed(void)
{
	expect("[.. | objects | select(.properties and .type == \"object\" and .additionalProperties != false)] | "
	       "length",
		"1"); /* `connection`, which hands on to the one of its type */
	expect(".\"$schema\"", "\"http://json-schema.org/draft-07/schema#\"");
	expect(".required", "[\"data_dir\"]");
	/* Every reference leads somewhere. */
	expect("([.. | objects | .\"$ref\"? // empty | ltrimstr(\"#/definitions/\")] | unique) - (.definitions | keys)",
		"[]");
}

static void test_types(void)
{
	expect(".definitions.connection.properties.type.enum", "[\"mqtt\",\"kafka\",\"feed\",\"log\",\"hook\"]");
	expect("[.definitions.connection.allOf[] | .then.\"$ref\"]",
		"[\"#/definitions/connection-mqtt\",\"#/definitions/connection-kafka\",\"#/definitions/"
		"connection-feed\",\"#/definitions/connection-log\",\"#/definitions/connection-hook\"]");
	expect(".definitions.\"connection-mqtt\".required", "[\"type\",\"url\"]");
	expect(".definitions.\"connection-mqtt\".properties.version.anyOf[0].enum", "[\"5\",5,\"3.1.1\"]");
	expect(".definitions.\"connection-kafka\".properties.partitions.anyOf[0]",
		"{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000}");
	expect(".definitions.\"connection-mqtt\".properties.outbox.properties.when_full.default", "\"block\"");
	expect(".properties.journal.properties.strict.default", "false");
	expect(".definitions.to.properties | keys",
		"[\"connection\",\"content_type\",\"format\",\"headers\",\"key\","
		"\"partition\",\"path\",\"qos\",\"reply\",\"retain\",\"tombstones\",\"topic\"]");
	expect(".definitions.from.properties | keys",
		"[\"after\",\"connection\",\"format\",\"limit\",\"no_local\",\"qos\",\"topic\"]");
}

static void test_patterns(void)
{
	expect("(.properties.shutdown_timeout.anyOf[0].pattern) as $p | [\"10s\", \"0\", \"1h 30m\", \"10 sec\", "
	       "\"10\", \"s\"] "
	       "| map(test($p))",
		"[true,true,true,false,false,false]");
	expect("(.properties.max_message_bytes.anyOf[0].pattern) as $p | [\"1MB\", \"4GiB\", \"7B\", \"5MBB\", \"5 "
	       "MB\", \"5\"] "
	       "| map(test($p))",
		"[true,true,true,false,false,false]");
	expect("(.definitions.inserted.pattern) as $p | [\"${env:A}\", \"x${file:b/c}y\", \"$${env:\", \"env\"] | "
	       "map(test($p))",
		"[true,true,false,false]");
}

static void test_everything_is_described(void)
{
	expect("[.. | objects | select(.properties and .type == \"object\") | .properties | to_entries[] | select(.key "
	       "!= \"type\" and "
	       "((.value.description // \"\") | length) < 5) | .key]",
		"[]");
}

/* The real connectors must give a schema as well, and all keys a sentence of help. */
static void test_real_connectors(void)
{
	char *answer = ask(connectors, "[.definitions | keys[] | select(startswith(\"connection-\"))] | length");
	size_t n = 0;
	while (connectors[n])
		n++;
	CU_ASSERT_EQUAL((size_t)atoi(answer), n);
	free(answer);
}

/* As `linkspan schema --markdown` does. */
static void write_reference(const struct connector *const *all, FILE *out)
{
	config_write_reference_of(all, out);
	metrics_write_reference(out);
}

static void test_reference_is_fresh(void)
{
	char *page = files_read("../../../doc/reference.md"), *now = written(write_reference, connectors);
	CU_ASSERT_PTR_NOT_NULL(page);
	if (page && strcmp(page, now) != 0)
		CU_FAIL("doc/reference.md is not what the tables say: run make update-reference");
	free(page);
	free(now);
}

int main(void)
{
	files_enter();
	static const struct tap_test tests[] = {
		{"every object is closed and every reference leads somewhere", test_is_closed},
		{"connections depend on their type, keys have their types", test_types},
		{"patterns accept what the loader accepts", test_patterns},
		{"every key is described", test_everything_is_described},
		{"the connectors that are compiled in are all there", test_real_connectors},
		{"doc/reference.md is fresh", test_reference_is_fresh},
		{NULL, NULL},
	};
	return tap_main("schema", tests);
}
