/* SPDX-License-Identifier: Apache-2.0
 *
 * The JSON Schema is JSON and says what the tables say; the reference page and the schema in doc/ are those that the
 * tables give.
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
		"4"); /* `connection`, `from`, `to` and `expected`, which hand on to those of a type */
	expect("[.definitions.from, .definitions.to | .anyOf[] | .additionalProperties] | unique", "[false]");
	expect(".definitions.included | [.additionalProperties, (.properties | keys)]",
		"[false,[\"connections\",\"include\",\"mappings\",\"needs\",\"tests\"]]");
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
	expect(".definitions.\"connection-mqtt\".properties.version.anyOf[0].enum", "[5,\"3.1.1\"]");
	expect(".definitions.\"connection-mqtt\".properties.version.anyOf[1].pattern", "\"^5$\"");
	expect(".definitions.\"connection-mqtt\".properties.version.default", "5");
	expect(".definitions.\"connection-kafka\".properties.partitions.anyOf[0]",
		"{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000}");
	expect(".definitions.\"connection-mqtt\".properties.outbox.properties.when_full.default", "\"block\"");
	expect(".properties.journal.properties.strict.default", "false");
	/* What belongs to a connector stands together, and nothing else with it. */
	expect("[.definitions.to | (.properties | keys) as $all | .anyOf[].properties | keys - $all]",
		"[[\"topic\"],[\"partition\",\"topic\"],[\"topic\"],[\"path\"]]");
	expect("[.definitions.from | (.properties | keys) as $all | .anyOf[].properties | [keys - $all, $all - keys]]",
		"[[[\"no_local\"],[]],[[\"after\",\"limit\"],[]],[[],[]]]");
	expect(".definitions.from.properties.qos.anyOf[0].enum", "[0,1,2]");
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
	/* A reference has the description of what it leads to. */
	expect(".definitions as $definitions | [.. | objects | select(.properties and (.type == \"object\" or "
	       ".additionalProperties == false)) | .properties | to_entries[] | "
	       "select(.value != true and .key != \"type\" and (.value | has(\"minItems\") or has(\"minProperties\") | "
	       "not) "
	       "and ((.value.description // "
	       "$definitions[.value.\"$ref\" // \"\" | ltrimstr(\"#/definitions/\")].description // \"\") | length) < "
	       "5) "
	       "| .key]",
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

static void expect_fresh(const char *path, void (*write)(const struct connector *const *, FILE *))
{
	char *kept = files_read(path), *now = written(write, connectors);
	CU_ASSERT_PTR_NOT_NULL(kept);
	if (kept && strcmp(kept, now) != 0) {
		CU_FAIL("what is kept in doc/ is not what the tables say: run make update-reference");
		printf("# %s\n", path);
	}
	free(kept);
	free(now);
}

static void test_what_is_kept_is_fresh(void)
{
	expect_fresh("../../../doc/reference.md", write_reference);
	expect_fresh("../../../doc/linkspan.schema.json", config_write_schema_of);
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
		{"reference page and schema in doc/ are fresh", test_what_is_kept_is_fresh},
		{NULL, NULL},
	};
	return tap_main("schema", tests);
}
