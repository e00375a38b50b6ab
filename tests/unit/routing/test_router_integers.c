/* SPDX-License-Identifier: Apache-2.0
 *
 * Integers that doubles do not keep, through the router: counted by what libjq makes of them, told once of each mapping.
 */
#include <stdio.h>
#include <string.h>

#include "connectors/connector.h"
#include "routing/router.h"
#include "runtime/log.h"
#include "tests/unit/routing/a_config.h"
#include "tests/unit/tap.h"

static const struct connector connector = {.name = "test", .can_source = true};

static struct config *config;
static struct router *router;
static struct route_result result;

static void begin(void)
{
	config = a_config(4, &connector);
}

static void end(void)
{
	router_free(router);
	a_config_free(config);
	router = NULL;
}

static void route(const char *topic, const char *payload)
{
	struct message_view view = {.topic = slice_str(topic), .payload = slice_str(payload), .utf8_payload = true};
	if (!router)
		router = router_new(config);
	CU_ASSERT_PTR_NOT_NULL_FATAL(router);
	CU_ASSERT_EQUAL_FATAL(router_route(router, 0, -1, &view, &result), 0);
}

static bool is(struct slice got, const char *expected)
{
	return got.data && slice_equal(got, slice_str(expected));
}

static const struct message_view *output(size_t i)
{
	CU_ASSERT_FATAL(i < result.n_outputs);
	return &result.outputs[i].view;
}

static char last_log[500];
static unsigned n_logs;

static void on_log(enum log_level level, const char *line, void *arg)
{
	(void)arg;
	if (level <= LOG_LEVEL_WARN) {
		snprintf(last_log, sizeof last_log, "%s", line);
		n_logs++;
	}
}

struct integer_row {
	const char *program, *payload;
	size_t rounded;
};

/* Which runs of a program count, by what libjq has really made of the numbers. */
static void test_rounding_counted(void)
{
	static const struct integer_row rows[] = {
		{"{id: .id}", "{\"id\":9007199254740993}", 1}, {"{id: .id}", "{\"id\":-9007199254740993}", 1},
		{"{id: .id}", "{\"id\":9007199254740992}", 0}, /* a double */
		{"{id: .id}", "{\"id\":18446744073709551615}", 1},
		{"{id: .id}", "{\"id\":9223372036854775807,\"b\":1}", 1},
		{"{id: .id}", "{\"id\":\"9007199254740993\"}", 0}, /* a text */
		{"{id: .id}", "{\"id\":1234567890.1234567}", 0}, /* no integer */
		{"{id: .id}", "{\"id\":1e300}", 0}, {"{v: .v}", "{\"id\":9007199254740993,\"v\":1}", 0}, /* left out */
		{"[.v, \"n\\(.id)\"]", "{\"id\":9007199254740993,\"v\":1}", 1}, /* within a text */
		{".[]", "[1,{\"s\":\"\\\"\"},[9007199254740993]]", 1}, {".[0]", "[1,[9007199254740993]]", 0},
		{"1, .id", "{\"id\":9007199254740993}", 1},
		{".v", "{\"v\":90071992547409921,\"id\":3}", 1}, /* 90071992547409920 */
		{"[90071992547409920, .v]", "{\"id\":9007199254740993,\"v\":1}", 0}, /* more digits than it becomes */
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		begin();
		struct mapping_config *map = a_mapping(config, "m", "a");
		map->payload = a_text(rows[i].program);
		a_target(map, 1, "t");
		route("a", rows[i].payload);
		if (result.rounded != rows[i].rounded) {
			CU_FAIL("counted wrongly");
			printf("# %s of %s: %zu\n", rows[i].program, rows[i].payload, result.rounded);
		}
		end();
	}
}

/* Warned of once by each mapping, and not at all by those that leave the payload alone. */
static void test_rounding_told_once(void)
{
	static const char payload[] = "{\"id\":9007199254740993}";
	begin();
	struct mapping_config *map = a_mapping(config, "first", "a");
	map->payload = a_text("{id: .id}");
	a_target(map, 1, "t");
	map = a_mapping(config, "second", "a");
	map->when = a_text(".id > 0");
	a_target(map, 1, "u/{.id}");
	map = a_mapping(config, "third", "a");
	map->payload_template = a_text("{{\"id\": {.id}}}");
	a_target(map, 1, "v");
	log_set_sink(on_log, NULL);
	n_logs = 0;
	for (int i = 0; i < 3; i++) {
		route("a", payload);
		CU_ASSERT_EQUAL(result.rounded, 1);
		CU_ASSERT_EQUAL_FATAL(result.n_outputs, 3);
		CU_ASSERT_TRUE(is(output(0)->payload, "{\"id\":9007199254740992}"));
		CU_ASSERT_TRUE(is(output(1)->payload, payload) && is(output(1)->topic, "u/9007199254740993"));
		CU_ASSERT_TRUE(is(output(2)->payload, "{\"id\": 9007199254740993}"));
		CU_ASSERT_EQUAL(n_logs, 1);
	}
	CU_ASSERT_PTR_NOT_NULL(strstr(last_log, "event=integer_rounded mapping=\"first\""));
	log_set_sink(NULL, NULL);
	end();
}

static const struct tap_test tests[] = {
	{"integers that jq puts out as another number count", test_rounding_counted},
	{"each mapping warns of them once", test_rounding_told_once},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("router integers", tests);
}
