/* SPDX-License-Identifier: Apache-2.0
 *
 * What the router tells a watcher of one message, and that a watcher changes nothing.
 */
#include <stdio.h>
#include <stdlib.h>

#include "connectors/connector.h"
#include "routing/router.h"
#include "runtime/log.h"
#include "tests/unit/routing/a_config.h"
#include "tests/unit/tap.h"

static const char *no_spaces(const void *settings, struct slice target)
{
	(void)settings;
	return memchr(target.data, ' ', target.len) ? "a topic has no spaces" : NULL;
}

static const struct connector connector = {.name = "test", .can_source = true, .check_target = no_spaces};

struct notes {
	struct route_watcher watcher; /* first */
	char text[2000];
	size_t len;
};

static void note(struct notes *notes, const char *word, struct slice text)
{
	notes->len += (size_t)snprintf(notes->text + notes->len, sizeof notes->text - notes->len, " %s=%.*s", word,
		(int)text.len, text.data ? (const char *)text.data : "");
}

static void on_event(struct route_watcher *watcher, const struct route_event *event)
{
	static const char *const kinds[] = {"matched", "when", "made", "failed", "rounded", "interval", "skipped",
		"looped", "target_failed", "output"};
	struct notes *notes = (struct notes *)watcher;
	notes->len += (size_t)snprintf(notes->text + notes->len, sizeof notes->text - notes->len, "%s%zu:%s",
		notes->len ? "; " : "", event->mapping, kinds[event->kind]);
	for (size_t i = 0; event->kind == ROUTE_MATCHED && i < event->n; i++)
		note(notes, event->names[i], event->values[i]);
	if (event->kind == ROUTE_MATCHED && event->filter)
		note(notes, "filter", slice_str("second"));
	if (event->kind == ROUTE_WHEN)
		note(notes, "passed", slice_str(event->passed ? "yes" : "no"));
	if (event->kind == ROUTE_MADE)
		note(notes, "n", slice_str(event->n == 2 ? "2" : "other"));
	if (event->kind == ROUTE_FAILED)
		note(notes, "key", slice_str(mapping_steps[event->step]));
	if (event->kind == ROUTE_FAILED || event->kind == ROUTE_TARGET_FAILED)
		note(notes, "reason", slice_str(event->reason));
	if (event->kind == ROUTE_INTERVAL)
		note(notes, "value", event->value);
	if (event->kind >= ROUTE_SKIPPED)
		note(notes, "target", slice_str(event->target ? "second" : "first"));
	if (event->kind == ROUTE_OUTPUT)
		note(notes, event->view->reject_reason.data ? "letter" : "topic", event->view->topic);
}

static struct config *config;
static struct router *router;

static void begin(void)
{
	config = a_config(2, &connector);
}

static void end(void)
{
	router_free(router);
	a_config_free(config);
}

static void expect(const char *topic, const char *payload, bool retain, const char *wanted)
{
	struct notes notes = {.watcher = {on_event}};
	struct message_view view = {
		.topic = slice_str(topic), .payload = slice_str(payload), .origin_ms = 5, .qos = 1, .retain = retain};
	struct route_result watched, alone;
	router_watch(router, &notes.watcher);
	CU_ASSERT_EQUAL(router_route(router, 0, -1, &view, &watched), 0);
	size_t n = watched.n_outputs, matched = watched.matched;
	router_watch(router, NULL);
	size_t len = notes.len;
	CU_ASSERT_EQUAL(router_route(router, 0, -1, &view, &alone), 0);
	CU_ASSERT(alone.n_outputs == n && alone.matched == matched && notes.len == len);
	CU_ASSERT_STRING_EQUAL(notes.text, wanted);
	if (strcmp(notes.text, wanted) != 0)
		printf("# %s\n", notes.text);
}

static void test_steps(void)
{
	begin();
	struct mapping_config *map = a_mapping(config, "first", "a/{x}");
	a_filter(map, "b/{y}");
	map->when = a_text(". != 0");
	map->payload = a_text("., 7");
	map->max_outputs = 5;
	a_target(map, 1, "t/{topic[1]}");
	map = a_mapping(config, "second", "a/#");
	map->min_interval.every_ms = 1000;
	map->min_interval.key = a_text("k {topic}");
	a_target(map, 1, NULL)->retain = RETAIN_SKIP;
	a_target(map, 1, "u");
	router = router_new(config);
	CU_ASSERT_PTR_NOT_NULL_FATAL(router);
	expect("a/b", "1", false,
		"0:matched x=b y=; 0:when passed=yes; 0:made n=2; 0:output target=first topic=t/b; 0:output "
		"target=first topic=t/b; "
		"1:matched; 1:interval value=k a/b; 1:output target=first topic=a/b; 1:output target=second topic=u");
	expect("b/c", "0", false, "0:matched x= y=c filter=second; 0:when passed=no");
	expect("a/b", "0", true,
		"0:matched x=b y=; 0:when passed=no; 1:matched; 1:interval value=k a/b; 1:skipped target=first; "
		"1:output target=second topic=u");
	expect("c", "0", false, "");
	end();
}

/* Says that the mapping of that topic fails, once, and on what. */
static void expect_failure(const char *topic, const char *step)
{
	struct notes notes = {.watcher = {on_event}};
	struct message_view view = {.topic = slice_str(topic),
		.payload = slice_str("{\"on\": true, \"v\": [1, 2]}"),
		.origin_ms = 5,
		.qos = 1};
	struct route_result result;
	char wanted[64];
	router_watch(router, &notes.watcher);
	CU_ASSERT_EQUAL(router_route(router, 0, -1, &view, &result), 0);
	snprintf(wanted, sizeof wanted, ":failed key=%s ", step);
	const char *found = strstr(notes.text, wanted);
	CU_ASSERT_TRUE(found && !strstr(found + 1, ":failed"));
	if (!found)
		printf("# %s\n", notes.text);
}

static void test_failures(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	begin();
	struct mapping_config *map = a_mapping(config, "program", "p");
	map->payload = a_text(".a.b");
	map->max_outputs = 5;
	map->on_error = ON_ERROR_DROP;
	a_target(map, 1, NULL);
	map = a_mapping(config, "target", "t/#");
	a_target(map, 1, "{.site}");
	a_target(map, 1, "{topic} x");
	map = a_mapping(config, "interval", "i");
	map->min_interval.every_ms = 1000;
	map->min_interval.key = a_text("{key}");
	a_target(map, 1, NULL);
	router = router_new(config);
	CU_ASSERT_PTR_NOT_NULL_FATAL(router);
	expect("p", "x", false,
		"0:matched; 0:failed key=payload reason=the payload is not JSON; "
		"0:target_failed reason=the payload is not JSON target=first");
	expect("t/1", "{}", false,
		"1:matched; 1:target_failed reason=the payload has no .site target=first; 1:output target=first "
		"letter=t/1; "
		"1:target_failed reason=the target t/1 x is not legal: a topic has no spaces target=second; "
		"1:output target=second letter=t/1");
	expect("i", "{}", false,
		"2:matched; 2:failed key=min_interval.key reason=the message has no key; "
		"2:target_failed reason=the message has no key target=first; 2:output target=first letter=i");
	end();
}

static void test_rounding(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	begin();
	struct mapping_config *map = a_mapping(config, "ids", "a");
	map->payload = a_text(".id");
	map->max_outputs = 5;
	a_target(map, 1, NULL);
	router = router_new(config);
	CU_ASSERT_PTR_NOT_NULL_FATAL(router);
	for (size_t i = 0; i < 2; i++) /* each time */
		expect("a", "{\"id\": 9007199254740993}", false,
			"0:matched; 0:made n=other; 0:rounded; 0:output target=first topic=a");
	expect("a", "{\"id\": 9007199254740992}", false, "0:matched; 0:made n=other; 0:output target=first topic=a");
	end();
}

/* A watcher is told which of a mapping's programs and templates it was. */
static void test_failing_rules(void)
{
	static const char *const topics[] = {"value", "when", "key", "silent", "sample"};
	log_set_level(LOG_LEVEL_ERROR);
	begin();
	for (size_t i = 0; i < sizeof topics / sizeof topics[0]; i++) {
		struct mapping_config *map = a_mapping(config, topics[i], topics[i]);
		map->when = a_text(".on");
		map->payload = a_text(".v");
		map->changes_only.enabled = i < 4;
		map->changes_only.refresh_ms = 1000;
		map->max_outputs = 5;
		a_target(map, 1, NULL);
	}
	config->mappings[0].changes_only.value = a_text(".v[]");
	config->mappings[1].changes_only.when = a_text(".v | error");
	config->mappings[2].changes_only.key = a_text("{.k}");
	config->mappings[3].changes_only.key = a_text("{.k}");
	config->mappings[3].changes_only.when = a_text("false");
	config->mappings[4].sample.one_in = 2;
	config->mappings[4].sample.key = a_text("{.k}");
	router = router_new(config);
	CU_ASSERT_PTR_NOT_NULL_FATAL(router);
	expect_failure("value", "changes_only.value");
	expect_failure("when", "changes_only.when");
	expect_failure("key", "changes_only.key");
	expect_failure("silent", "changes_only.key");
	expect_failure("sample", "sample.key");
	end();
}

static const struct tap_test tests[] = {
	{"each step", test_steps},
	{"what fails, and on what", test_failures},
	{"integers that change", test_rounding},
	{"which of the rules over time fails", test_failing_rules},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("watch", tests);
}
