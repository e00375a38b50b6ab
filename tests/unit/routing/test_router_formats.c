/* SPDX-License-Identifier: Apache-2.0
 *
 * Formats of payloads through the router: how they are read, how they are written, content types, errors, null payloads.
 */
#define _GNU_SOURCE /* memmem */
#include <stdio.h>

#include "connectors/connector.h"
#include "routing/format.h"
#include "routing/router.h"
#include "tests/unit/routing/a_config.h"
#include "tests/unit/tap.h"

static const struct connector connector = {.name = "test", .can_source = true, .carries_null = true};

static struct config *config;
static struct mapping_config *map;
static struct route_result result;
static struct router *router;

static struct target_config *begin(int from, int to)
{
	config = a_config(2, &connector);
	config->max_transform_bytes = 1000;
	map = a_mapping(config, "m", "in/{name}");
	map->from_format = from;
	struct target_config *target = a_target(map, 1, "out");
	target->format = to;
	return target;
}

static void end(void)
{
	router_free(router);
	a_config_free(config);
	router = NULL;
}

static void route_bytes(struct slice payload)
{
	struct message_view view = {.topic = slice_str("in/Zoe"),
		.payload = payload,
		.content_type = slice_str("x/received"),
		.utf8_payload = true};
	if (!router)
		router = router_new(config);
	CU_ASSERT_PTR_NOT_NULL_FATAL(router);
	CU_ASSERT_EQUAL_FATAL(router_route(router, 0, -1, &view, &result), 0);
}

static const struct message_view *only(void)
{
	CU_ASSERT_EQUAL_FATAL(result.n_outputs, 1);
	return &result.outputs[0].view;
}

static void is(struct slice got, const char *expected)
{
	bool same = expected ? got.data && slice_equal(got, slice_str(expected)) : !got.data;
	CU_ASSERT_TRUE(same);
	if (!same)
		printf("# got %.*s, wanted %s\n", (int)got.len, got.data ? (const char *)got.data : "",
			expected ? expected : "(absent)");
}

static void refused_because(const char *words)
{
	struct slice reason = only()->reject_reason;
	bool same = reason.data && memmem(reason.data, reason.len, words, strlen(words));
	CU_ASSERT_TRUE(same);
	if (!same)
		printf("# %.*s does not say: %s\n", (int)reason.len, reason.data ? (const char *)reason.data : "",
			words);
	is(only()->content_type, "x/received");
}

struct way {
	int from, to;
	const char *payload, *made, *content_type;
	bool is_text;
};

static void test_ways(void)
{
	static const struct way ways[] = {
		{FORMAT_JSON, -1, "no JSON", "no JSON", "x/received", true},
		{FORMAT_CBOR, -1, "no CBOR", "no CBOR", "x/received", true},
		{FORMAT_TEXT, FORMAT_TEXT, "as it is", "as it is", "x/received", true},
		{FORMAT_TEXT, FORMAT_JSON, "say \"hi\"\n", "\"say \\\"hi\\\"\\u000a\"", "application/json", true},
		{FORMAT_JSON, FORMAT_TEXT, " \"say \\\"hi\\\"\" ", "say \"hi\"", "text/plain; charset=utf-8", true},
		{FORMAT_JSON, FORMAT_TEXT, "9007199254740993", "9007199254740993", "text/plain; charset=utf-8", true},
		{FORMAT_RAW, FORMAT_BASE64, "\xff\xfe", "//4=", "text/plain; charset=utf-8", true},
		{FORMAT_BASE64, FORMAT_RAW, "//4=", "\xff\xfe", NULL, false},
		{FORMAT_RAW, FORMAT_JSON, "\xff\xfe", "\"//4=\"", "application/json", true},
		{FORMAT_JSON, FORMAT_CBOR, "[1,\"a\"]",
			"\x82\x01\x61"
			"a",
			"application/cbor", false},
		{FORMAT_CBOR, FORMAT_JSON,
			"\x82\x01\x61"
			"a",
			"[1,\"a\"]", "application/json", true},
		{FORMAT_TEXT, FORMAT_CBOR, "a",
			"\x61"
			"a",
			"application/cbor", false},
	};
	for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
		begin(ways[i].from, ways[i].to);
		route_bytes(slice_str(ways[i].payload));
		is(only()->payload, ways[i].made);
		is(only()->content_type, ways[i].content_type);
		CU_ASSERT_EQUAL(only()->utf8_payload, ways[i].is_text);
		CU_ASSERT_PTR_NULL(only()->reject_reason.data);
		end();
	}
}

static void test_refused(void)
{
	static const struct {
		int from, to;
		const char *payload, *why;
	} rows[] = {
		{FORMAT_JSON, FORMAT_CBOR, "{", "not JSON"},
		{FORMAT_JSON, FORMAT_TEXT, "[1]", "format: text takes"},
		{FORMAT_JSON, FORMAT_TEXT, "null", "format: text takes"},
		{FORMAT_JSON, FORMAT_RAW, "1", "no string"},
		{FORMAT_JSON, FORMAT_BASE64, "\"a\"", "format: base64 takes a string in base64"},
		{FORMAT_TEXT, FORMAT_JSON, "\xff", "UTF-8"},
		{FORMAT_BASE64, FORMAT_RAW, "a", "read as base64"},
		{FORMAT_CBOR, FORMAT_JSON, "\x82\x01", "not CBOR"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		begin(rows[i].from, rows[i].to)->content_type = a_text("x/made");
		route_bytes(slice_str(rows[i].payload));
		refused_because(rows[i].why);
		is(only()->payload, rows[i].payload);
		end();
	}
}

/* jq and templates read the same value. */
static void test_reads(void)
{
	struct target_config *target = begin(FORMAT_CBOR, FORMAT_CBOR);
	map->when = a_text(".t > 20");
	map->payload = a_text("{t: (.t + 1)}");
	target->key = a_text("{.t}");
	route_bytes(slice_str("\xa1\x61t\x18\x2a"));
	is(only()->payload, "\xa1\x61t\x18\x2b");
	is(only()->key, "42");
	is(only()->content_type, "application/cbor");
	CU_ASSERT_FALSE(only()->utf8_payload);
	route_bytes(slice_str("\xa1\x61t\x14"));
	CU_ASSERT_EQUAL(result.n_outputs, 0);
	route_bytes(slice_str("{\"t\":42}"));
	refused_because("not CBOR");
	end();
}

/* Each mapping reads the payload its own way, be it one message. */
static void test_two_formats(void)
{
	begin(FORMAT_JSON, FORMAT_JSON);
	map->payload = a_text(".");
	struct mapping_config *other = a_mapping(config, "other", "in/#");
	other->from_format = FORMAT_TEXT;
	other->payload = a_text(".");
	a_target(other, 1, "other");
	route_bytes(slice_str("12"));
	CU_ASSERT_EQUAL_FATAL(result.n_outputs, 2);
	is(result.outputs[0].view.payload, "12");
	is(result.outputs[1].view.payload, "\"12\"");
	end();
}

/* on_error: pass gives what came, in the format that it came in. */
static void test_passed(void)
{
	begin(FORMAT_JSON, FORMAT_CBOR)->content_type = a_text("x/made");
	map->payload = a_text(".a.b");
	map->on_error = ON_ERROR_PASS;
	route_bytes(slice_str("[1]"));
	is(only()->payload, "[1]");
	is(only()->content_type, "x/received");
	CU_ASSERT_TRUE(only()->utf8_payload);
	end();
}

static void test_many_outputs(void)
{
	begin(FORMAT_JSON, FORMAT_TEXT);
	map->payload = a_text(".[]");
	route_bytes(slice_str("[\"a\",true,2.5]"));
	CU_ASSERT_EQUAL_FATAL(result.n_outputs, 3);
	is(result.outputs[0].view.payload, "a");
	is(result.outputs[1].view.payload, "true");
	is(result.outputs[2].view.payload, "2.5");
	route_bytes(slice_str("[\"a\",{}]")); /* all or nothing */
	refused_because("format: text takes");
	end();
}

static void test_null(void)
{
	begin(FORMAT_CBOR, FORMAT_JSON);
	route_bytes((struct slice){NULL, 0});
	is(only()->payload, NULL);
	end();
	begin(FORMAT_CBOR, FORMAT_JSON)->tombstones = TOMBSTONES_EMPTY_OR_NULL;
	route_bytes(slice_str("\xf6"));
	is(only()->payload, "null");
	end();
}

static void test_limit(void)
{
	char large[1100];
	memset(large, 'x', sizeof large);
	begin(FORMAT_TEXT, FORMAT_JSON);
	route_bytes(slice_of(large, sizeof large));
	refused_because("max_transform_bytes");
	end();
}

/* --- payload_template ------------------------------------------------------------------------------------- */

static void test_template(void)
{
	begin(FORMAT_JSON, -1);
	map->payload_template = a_text("{name}: {.temp} °C");
	route_bytes(slice_str("{\"temp\":21.50}"));
	is(only()->payload, "Zoe: 21.50 °C");
	is(only()->content_type, "text/plain; charset=utf-8");
	route_bytes(slice_str("{}"));
	refused_because("the payload has no .temp");
	end();
}

/* What is inserted cannot leave its string. */
static void test_template_json(void)
{
	begin(FORMAT_JSON, FORMAT_JSON);
	map->payload_template = a_text("{{\"text\":\"{.says}\",\"n\":{.n}}}");
	route_bytes(slice_str("{\"says\":\"\\\",\\\"admin\\\":\\\"\\n\",\"n\":1}"));
	is(only()->payload, "{\"text\":\"\\\",\\\"admin\\\":\\\"\\u000a\",\"n\":1}");
	is(only()->content_type, "application/json");
	route_bytes(slice_str("{\"says\":\"\",\"n\":\"no number\"}"));
	refused_because("payload_template");
	end();
}

static void test_template_formats(void)
{
	static const struct way ways[] = {
		{FORMAT_TEXT, FORMAT_CBOR, "1", "\x01", "application/cbor", false},
		{FORMAT_TEXT, FORMAT_BASE64, "\xc3\xa4", "w6Q=", "text/plain; charset=utf-8", true},
		{FORMAT_TEXT, FORMAT_RAW, "a", "a", NULL, false},
	};
	for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
		begin(ways[i].from, ways[i].to);
		map->payload_template = a_text("{.}");
		route_bytes(slice_str(ways[i].payload));
		is(only()->payload, ways[i].made);
		is(only()->content_type, ways[i].content_type);
		end();
	}
}

static const struct tap_test tests[] = {
	{"from each to each", test_ways},
	{"what cannot be read or written is a dead letter, as it was received", test_refused},
	{"jq and templates read it", test_reads},
	{"two mappings, two formats, one message", test_two_formats},
	{"on_error: pass", test_passed},
	{"several outputs", test_many_outputs},
	{"null payloads", test_null},
	{"the limit", test_limit},
	{"a template as payload", test_template},
	{"a template that makes JSON", test_template_json},
	{"a template in the other formats", test_template_formats},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("router formats", tests);
}
