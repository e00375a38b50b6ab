/* SPDX-License-Identifier: Apache-2.0
 *
 * What the router makes of a message because of where it goes: null payloads where there are some and where there are none, and
 * headers that a destination fits.
 */
#include <errno.h>
#include <stdio.h>

#include "connectors/connector.h"
#include "routing/router.h"
#include "tests/unit/routing/a_config.h"
#include "tests/unit/tap.h"

static bool no_headers;

static bool carries_headers(const void *settings)
{
	(void)settings;
	return !no_headers;
}

static const struct connector connector = {.name = "test", .can_source = true, .carries_headers = carries_headers};

static struct config *config;
static struct router *router;
static struct route_result result;

static void begin(void)
{
	config = a_config(3, &connector);
}

static void end(void)
{
	router_free(router);
	a_config_free(config);
	router = NULL;
}

static struct message_view message(const char *topic, const char *payload)
{
	return (struct message_view){.topic = slice_str(topic), .payload = slice_str(payload), .origin_ms = 5};
}

static void route_view(const struct message_view *view)
{
	if (!router)
		router = router_new(config);
	CU_ASSERT_PTR_NOT_NULL_FATAL(router);
	CU_ASSERT_EQUAL_FATAL(router_route(router, 0, -1, view, &result), 0);
}

static bool is(struct slice got, const char *expected)
{
	bool same = expected ? got.data && slice_equal(got, slice_str(expected)) : !got.data;
	if (!same)
		printf("# %.*s is not %s\n", (int)got.len, got.data ? (const char *)got.data : "",
			expected ? expected : "(absent)");
	return same;
}

static bool is_name(struct slice name, const char *expected)
{
	return slice_equal(name, slice_str(expected));
}

static const struct message_view *output(size_t i)
{
	CU_ASSERT_TRUE_FATAL(i < result.n_outputs);
	return &result.outputs[i].view;
}

/* --- null payloads --- */

static const struct connector null_connector = {.name = "nulls", .can_sink = true, .carries_null = true};

static void null_begin(int tombstones)
{
	begin();
	config->connections[1].connector = &null_connector;
	struct mapping_config *map = a_mapping(config, "m", "a");
	a_target(map, 1, "t")->tombstones = tombstones;
	a_target(map, 2, "u");
}

/* Payloads of the outputs, "~" for null, and ! where the retain flag is set. */
static void assert_payloads(const char *payload, bool retain, const char *expected)
{
	struct message_view view = message("a", payload);
	char text[200] = "";
	view.retain = retain;
	route_view(&view);
	for (size_t i = 0; i < result.n_outputs; i++) {
		const struct message_view *out = output(i);
		size_t len = strlen(text);
		snprintf(text + len, sizeof text - len, "%s%.*s%s%s", i ? " " : "", (int)out->payload.len,
			out->payload.data ? (const char *)out->payload.data : "", out->payload.data ? "" : "~",
			out->retain ? "!" : "");
	}
	CU_ASSERT_STRING_EQUAL(text, expected);
}

static void test_tombstones(void)
{
	null_begin(TOMBSTONES_RECEIVED);
	assert_payloads(NULL, false, "~ ~!"); /* the second destination has no nulls: it clears */
	assert_payloads("", true, "! !");
	assert_payloads("null", false, "null null");
	end();
	null_begin(TOMBSTONES_CLEARED);
	assert_payloads("", true, "~! !");
	assert_payloads("", false, " ");
	end();
	null_begin(TOMBSTONES_EMPTY);
	assert_payloads("", false, "~ ");
	assert_payloads("null", false, "null null");
	end();
	null_begin(TOMBSTONES_EMPTY_OR_NULL);
	assert_payloads("", false, "~ ");
	assert_payloads("null", false, "~ null");
	assert_payloads("nulls", false, "nulls nulls");
	end();
}

/* What a target says of the flag holds for what clears as well. */
static void test_tombstone_retain(void)
{
	null_begin(TOMBSTONES_RECEIVED);
	config->mappings[0].targets[1].retain = 0;
	assert_payloads(NULL, true, "~! ~");
	end();
	null_begin(TOMBSTONES_RECEIVED);
	config->mappings[0].targets[1].retain = 1;
	assert_payloads(NULL, false, "~ ~!");
	assert_payloads("x", false, "x x!");
	end();
}

static void test_transformed_tombstones(void)
{
	null_begin(TOMBSTONES_RECEIVED);
	config->mappings[0].payload = a_text(".v");
	assert_payloads(NULL, false, "~ ~!");
	assert_payloads("{}", false, "null null"); /* what was not null before is none now */
	assert_payloads("", false, " "); /* no JSON: dead letters */
	CU_ASSERT_PTR_NOT_NULL(output(0)->reject_reason.data);
	end();
	null_begin(TOMBSTONES_EMPTY);
	config->mappings[0].when = a_text(". == null or .v > 1");
	config->mappings[0].payload = a_text(".v, [1]");
	config->mappings[0].max_outputs = 2;
	assert_payloads("", false, "~ [1] ~! [1]");
	assert_payloads("{\"v\":2}", false, "2 [1] 2 [1]");
	assert_payloads("{\"v\":1}", false, "");
	end();
	null_begin(TOMBSTONES_EMPTY_OR_NULL);
	config->mappings[0].payload = a_text("if .gone then null else .v end");
	assert_payloads("{\"gone\":true}", false, "~ null");
	assert_payloads("{\"v\":7}", false, "7 7");
	end();
}

/* --- headers that a destination fits --- */

static int fit_header(const void *settings, const struct message_field *field, bool set_by_mapping, struct arena *arena,
	struct message_field *ret_field, const char **ret_reason)
{
	(void)settings, (void)arena;
	*ret_field = *field;
	if (is_name(field->name, "bad"))
		*ret_reason = "no such header here";
	else if (is_name(field->name, "a") && !set_by_mapping)
		ret_field->name = slice_str("received-a");
	else if (is_name(field->name, "c"))
		ret_field->name = (struct slice){NULL, 0};
	return is_name(field->name, "bad") ? -EINVAL : 0;
}

static const struct connector fitting_connector = {
	.name = "fitting", .can_sink = true, .carries_headers = carries_headers, .fit_header = fit_header};

static void test_fitted_headers(void)
{
	struct message_field headers[] = {{slice_str("a"), slice_str("1")}, {slice_str("b"), slice_str("2")}};
	struct message_view view = message("a", "x");
	view.headers = headers;
	view.n_headers = 2;
	begin();
	config->connections[1].connector = &fitting_connector;
	struct mapping_config *map = a_mapping(config, "m", "a");
	a_target(map, 1, "t");
	a_target(map, 2, "u");
	a_field(&a_target(map, 1, "v")->headers, "a", "mine");
	route_view(&view);
	CU_ASSERT_EQUAL_FATAL(result.n_outputs, 3);
	CU_ASSERT(is(message_header(output(0), "received-a"), "1") && is(message_header(output(0), "b"), "2"));
	CU_ASSERT_EQUAL(output(0)->n_headers, 2);
	CU_ASSERT_PTR_EQUAL(output(1)->headers, headers);
	CU_ASSERT(is(message_header(output(2), "a"), "mine") && output(2)->n_headers == 2);
	headers[0].name = slice_str("c"); /* left out */
	route_view(&view);
	CU_ASSERT(output(0)->n_headers == 1 && is(message_header(output(0), "b"), "2"));
	CU_ASSERT_EQUAL(output(1)->n_headers, 2);
	CU_ASSERT(is(message_header(output(2), "a"), "mine") && output(2)->n_headers == 2);
	headers[0].name = slice_str("a");
	headers[1].name = slice_str("bad");
	route_view(&view);
	CU_ASSERT(is(output(0)->reject_reason, "no such header here") && is(output(0)->topic, "t"));
	CU_ASSERT(is(message_header(output(0), "received-a"), "1") && is(message_header(output(0), "bad"), "2"));
	CU_ASSERT(is(output(1)->reject_reason, NULL));
	CU_ASSERT_PTR_EQUAL(output(1)->headers, headers);
	no_headers = true; /* then nobody asks */
	router_free(router);
	router = NULL;
	route_view(&view);
	CU_ASSERT_PTR_EQUAL(output(0)->headers, headers);
	CU_ASSERT(is(output(0)->reject_reason, NULL));
	no_headers = false;
	end();
}

/* A letter is sent again as it is, so its headers are fit before that. */
static void test_fitted_letters(void)
{
	struct message_field headers[] = {{slice_str("a"), slice_str("1")}, {slice_str("b"), slice_str("2")}};
	struct message_view view = message("a", "no JSON");
	view.headers = headers;
	view.n_headers = 2;
	begin();
	config->connections[1].connector = &fitting_connector;
	struct mapping_config *map = a_mapping(config, "m", "a");
	map->payload = a_text(".v");
	a_target(map, 1, "t");
	a_target(map, 2, "u");
	route_view(&view);
	CU_ASSERT_EQUAL_FATAL(result.n_outputs, 2);
	CU_ASSERT(output(0)->reject_reason.data && output(1)->reject_reason.data);
	CU_ASSERT_EQUAL(output(0)->n_headers, 2);
	CU_ASSERT(is(message_header(output(0), "received-a"), "1") && is(message_header(output(0), "b"), "2"));
	CU_ASSERT_PTR_EQUAL(output(1)->headers, headers);
	end();
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"null payloads", test_tombstones},
		{"a null payload clears what is retained", test_tombstone_retain},
		{"null payloads through jq", test_transformed_tombstones},
		{"headers that a destination fits", test_fitted_headers},
		{"headers of dead letters that a destination fits", test_fitted_letters},
		{NULL, NULL},
	};
	return tap_main("router destinations", tests);
}
