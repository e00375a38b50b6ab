/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of topics: what is legal, allowed and matched, escaping there and back, and a router whose source has dots.
 */
#include <stdlib.h>
#include <string.h>

#include "connectors/kafka/kafka.h"
#include "connectors/kafka/naming.h"
#include "connectors/kafka/settings.h"
#include "connectors/kafka/topic_names.h"
#include "routing/arena.h"
#include "routing/router.h"
#include "tests/unit/routing/a_config.h"
#include "tests/unit/tap.h"

#define ROUNDS 200000

static bool is(struct slice got, const char *expected)
{
	bool same = slice_equal(got, slice_str(expected));
	if (!same)
		printf("# %.*s is not %s\n", (int)got.len, got.data ? (const char *)got.data : "", expected);
	return same;
}

static void test_filters(void)
{
	static const char *const good[] = {
		"#", "+", "scada.#", "scada.{line}.+", "a_b-C.9", ".a", "a..b", "a.", "{x}.#"};
	static const char *const bad[] = {".", "..", "sc ada", "a.b\xC3\xA4", "$SYS.#", "a.b:c", "a%.#"};
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		CU_ASSERT_PTR_NULL(kafka_filter_check(good[i]));
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		CU_ASSERT_PTR_NOT_NULL(kafka_filter_check(bad[i]));
	char longest[253 + 1] = "";
	memset(longest, 'a', 249);
	CU_ASSERT_PTR_NULL(kafka_filter_check(longest));
	strcpy(longest + 249, ".#"); /* it matches what is above it */
	CU_ASSERT_PTR_NULL(kafka_filter_check(longest));
	strcpy(longest + 249, ".+");
	CU_ASSERT_PTR_NOT_NULL(kafka_filter_check(longest));
}

static bool allowed(const char *pattern, const char *topic)
{
	struct config_text item = {.value = (char *)(uintptr_t)pattern};
	struct config_list list = {&item, 1};
	return kafka_topic_allowed(&list, slice_str(topic));
}

static void test_patterns(void)
{
	CU_ASSERT(allowed("scada.*", "scada.a") && allowed("scada.*", "scada.a.b") && allowed("scada.*", "scada."));
	CU_ASSERT(!allowed("scada.*", "scada") && !allowed("scada.*", "xscada.a") && !allowed("scada", "scada.a"));
	CU_ASSERT(allowed("*", "x") && allowed("*.state", "a.b.state") && !allowed("*.state", "a.b.states"));
	CU_ASSERT(allowed("a*b*c", "abc") && allowed("a*b*c", "aXbYbZc") && !allowed("a*b*c", "acb"));
	CU_ASSERT(allowed("*ab*", "aab") && allowed("a**b", "ab") && allowed("exact", "exact"));
	CU_ASSERT_PTR_NULL(kafka_pattern_check("scada.*-x_Y9"));
	static const char *const bad[] = {"", "scada.#", "scada.+", "a/b", "{x}", "a b", "^a"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		CU_ASSERT_PTR_NOT_NULL(kafka_pattern_check(bad[i]));
}

static void test_allowed_targets(void)
{
	struct config_text items[] = {{.value = (char *)(uintptr_t) "scada.*"}, {.value = (char *)(uintptr_t) "other"}};
	struct kafka_settings settings = {.topics_allowed = {NULL, 0}};
	CU_ASSERT_PTR_NULL(kafka_check_target(&settings, slice_str("any")));
	CU_ASSERT_PTR_NOT_NULL(kafka_warn_open_target(&settings));
	settings.topics_allowed = (struct config_list){items, 2};
	CU_ASSERT_PTR_NULL(kafka_warn_open_target(&settings));
	CU_ASSERT_PTR_NULL(kafka_check_target(&settings, slice_str("scada.x")));
	CU_ASSERT_PTR_NULL(kafka_check_target(&settings, slice_str("other")));
	CU_ASSERT_PTR_NOT_NULL(strstr(kafka_check_target(&settings, slice_str("any")), "topics_allowed"));
	CU_ASSERT_PTR_NOT_NULL(strstr(kafka_check_target(&settings, slice_str("scada.x y")), "character"));
	static const char *const kept[] = {"linkspan-cursor", "__consumer_offsets", "__transaction_state"};
	items[1].value = (char *)(uintptr_t) "*";
	settings.cursor_topic = (char *)(uintptr_t) "linkspan-cursor";
	for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
		CU_ASSERT_PTR_NOT_NULL(kafka_check_target(&settings, slice_str(kept[i])));
	CU_ASSERT_PTR_NULL(kafka_check_target(&settings, slice_str("linkspan-cursors")));
	CU_ASSERT_PTR_NULL(kafka_check_target(&settings, slice_str("__others")));
	items[1].value = (char *)(uintptr_t) "a b"; /* that is reported elsewhere */
	CU_ASSERT_PTR_NULL(kafka_check_target(&settings, slice_str("any")));
}

/* --- escaping ----------------------------------------------------------------------------------------------------- */

static void assert_escape(const char *text, const char *name)
{
	char out[200], back[200];
	size_t len = kafka_topic_escape(slice_str(text), out);
	CU_ASSERT(is(slice_of(out, len), name));
	CU_ASSERT(is(slice_of(back, kafka_topic_restore(slice_of(out, len), back)), text));
}

static void test_escape(void)
{
	assert_escape("plant/line-1/Cell_2", "plant.line-1.Cell_2");
	assert_escape("v1.2", "v1_x2E_2");
	assert_escape("a b", "a_x20_b");
	assert_escape("K\xC3\xA4se", "K_xC3__xA4_se");
	assert_escape("$SYS/x", "_x24_SYS.x");
	assert_escape("/a//", ".a..");
	assert_escape("_x2E_", "_x5F_x2E_");
	assert_escape("_x2E", "_x5F_x2E");
	assert_escape("_x2E.", "_x5F_x2E_x2E_"); /* else the dot's underscore would end it */
	assert_escape("__x2E_", "__x5F_x2E_");
	assert_escape(".x2E_", "_x2E_x2E_");
	assert_escape("_x2e_", "_x2e_"); /* lower case is no escape */
	assert_escape("", "");
	char out[20];
	CU_ASSERT(is(slice_of(out, kafka_topic_restore(slice_str("_x41_.x"), out)), "_x41_/x")); /* none of ours */
	CU_ASSERT(is(slice_of(out, kafka_topic_restore(slice_str("_x2F_"), out)), "_x2F_"));
	CU_ASSERT(is(slice_of(out, kafka_topic_restore(slice_str("a_x2"), out)), "a_x2"));
}

static unsigned state = 1;

static unsigned pick(unsigned n)
{
	state = state * 1103515245u + 12345u;
	return (state >> 16) % n;
}

/* Mostly what escapes are made of. */
static size_t random_text(uint8_t *out, size_t most)
{
	static const char likely[] = "_____xxx25EF0A./a";
	size_t len = pick((unsigned)most + 1);
	for (size_t i = 0; i < len; i++)
		out[i] = pick(8) ? (uint8_t)likely[pick(sizeof likely - 1)] : (uint8_t)pick(256);
	return len;
}

static void test_there_and_back(void)
{
	uint8_t text[24];
	char name[KAFKA_ESCAPED_MOST(sizeof text)], back[sizeof name];
	for (int i = 0; i < ROUNDS; i++) {
		struct slice in = slice_of(text, random_text(text, sizeof text));
		size_t len = kafka_topic_escape(in, name);
		if (in.len > 2 && len <= KAFKA_MAX_TOPIC && kafka_topic_check(slice_of(name, len)))
			CU_FAIL("an escaped text is no legal topic");
		if (!slice_equal(slice_of(back, kafka_topic_restore(slice_of(name, len), back)), in))
			CU_FAIL("what was escaped does not come back");
	}
}

/* As captures of whole levels go in and out. */
static void test_level_by_level(void)
{
	uint8_t one[12], other[12];
	char name[KAFKA_ESCAPED_MOST(sizeof one) * 2 + 1], back[sizeof name];
	for (int i = 0; i < ROUNDS; i++) {
		struct slice a = slice_of(one, random_text(one, sizeof one));
		struct slice b = slice_of(other, random_text(other, sizeof other));
		size_t middle = kafka_topic_escape(a, name);
		name[middle] = '.';
		size_t len = middle + 1 + kafka_topic_escape(b, name + middle + 1);
		size_t got = kafka_topic_restore(slice_of(name, len), back);
		if (got != a.len + 1 + b.len || memcmp(back, one, a.len) != 0 || back[a.len] != '/' ||
			memcmp(back + a.len + 1, other, b.len) != 0)
			CU_FAIL("a joined name does not come back");
	}
}

/* --- in the router -------------------------------------------------------------------------------------------------- */

static struct config *config;
static struct router *router;
static struct route_result result;
static struct kafka_settings settings;

static void begin(int characters)
{
	settings = (struct kafka_settings){.topic_characters = characters};
	config = a_config(2, &kafka_connector);
	for (size_t i = 0; i < 2; i++)
		config->connections[i].settings = &settings;
}

static void end(void)
{
	router_free(router);
	for (size_t i = 0; i < 2; i++)
		config->connections[i].settings = NULL;
	a_config_free(config);
	router = NULL;
}

static const struct message_view *route(const char *topic)
{
	struct message_view view = {
		.topic = slice_str(topic), .payload = slice_str("{}"), .origin_ms = 5, .order_key = slice_str(topic)};
	if (!router)
		router = router_new(config);
	CU_ASSERT_PTR_NOT_NULL_FATAL(router);
	CU_ASSERT_EQUAL_FATAL(router_route(router, 0, -1, &view, &result), 0);
	return result.n_outputs ? &result.outputs[0].view : NULL;
}

static void test_levels(void)
{
	const struct router_filter *filters;
	begin(KAFKA_CHARACTERS_REFUSE);
	struct mapping_config *map = a_mapping(config, "m", "scada/{line}/#"); /* as config_load leaves it */
	map->payload = a_text("{line: $line, topic: $topic}");
	struct target_config *target = a_target(map, 1, "x.{line}.{topic[2]}");
	target->key = a_text("{topic}");
	const struct message_view *out = route("scada.7.state.on");
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	CU_ASSERT(is(out->topic, "x.7.state"));
	CU_ASSERT(is(out->key, "scada.7.state.on"));
	CU_ASSERT(is(out->payload, "{\"line\":\"7\",\"topic\":\"scada.7.state.on\"}"));
	CU_ASSERT_EQUAL_FATAL(router_filters(router, 0, &filters), 1);
	CU_ASSERT_STRING_EQUAL(filters[0].filter, "scada.+.#");
	CU_ASSERT_PTR_NOT_NULL(route("scada.7.x"));
	CU_ASSERT_PTR_NULL(route("scada"));
	CU_ASSERT_PTR_NULL(route("scada_7.state"));
	end();
}

static void test_restored_levels(void)
{
	begin(KAFKA_CHARACTERS_ESCAPE);
	struct mapping_config *map = a_mapping(config, "m", "#");
	a_target(map, 1, "out.{topic[1]}")->key = a_text("{topic}");
	map = a_mapping(config, "n", "scada/{line}/#");
	a_target(map, 1, "{line}");
	a_target(map, 1, NULL);
	const struct message_view *out = route("scada._x2E_7.a_x20_b");
	CU_ASSERT_EQUAL_FATAL(result.n_outputs, 3);
	CU_ASSERT(is(out->topic, "out._x2E_7")); /* the level is ".7" */
	CU_ASSERT(is(out->key, "scada/.7/a b"));
	CU_ASSERT(is(result.outputs[1].view.topic, "_x2E_7"));
	CU_ASSERT(is(result.outputs[2].view.topic, "scada._x2E_7.a_x20_b"));
	CU_ASSERT_PTR_NOT_NULL(route("_x24_SYS.x")); /* # leaves out what begins with $ in MQTT alone */
	end();
}

static void test_refused_characters(void)
{
	begin(KAFKA_CHARACTERS_REFUSE);
	config->connections[0].connector = NULL; /* something with slashes */
	a_target(a_mapping(config, "m", "plant/{line}"), 1, "t.{topic}");
	const struct message_view *out = route("plant/a");
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	CU_ASSERT_PTR_NOT_NULL(out->reject_reason.data);
	settings.topic_characters = KAFKA_CHARACTERS_ESCAPE;
	out = route("plant/a.b");
	CU_ASSERT_PTR_NULL(out->reject_reason.data);
	CU_ASSERT(is(out->topic, "t.plant.a_x2E_b"));
	end();
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"filters that can match a topic", test_filters},
		{"patterns", test_patterns},
		{"allowed targets", test_allowed_targets},
		{"escaping", test_escape},
		{"any text there and back", test_there_and_back},
		{"level by level", test_level_by_level},
		{"levels end with dots", test_levels},
		{"restored levels", test_restored_levels},
		{"characters that Kafka does not have", test_refused_characters},
		{NULL, NULL},
	};
	return tap_main("kafka naming", tests);
}
