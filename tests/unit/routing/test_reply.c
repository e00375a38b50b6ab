/* SPDX-License-Identifier: Apache-2.0
 *
 * What the router writes into a message of where its reply goes: a configured topic, a response topic and who may ask for
 * which, and nothing where nobody answers or wants it.
 */
#include <stdio.h>

#include "connectors/connector.h"
#include "routing/arena.h"
#include "routing/reply.h"
#include "routing/router.h"
#include "routing/topic_filter.h"
#include "runtime/log.h"
#include "tests/unit/routing/a_config.h"
#include "tests/unit/tap.h"

enum { BROKER, SERVER, OTHER, N };

static bool asks;
static uint32_t batch;

static bool asks_for_replies(const void *settings)
{
	(void)settings;
	return asks;
}

static bool carries_headers(const void *settings)
{
	(void)settings;
	return true;
}

static const char *check_target(const void *settings, struct slice target)
{
	(void)settings;
	return topic_name_check(target);
}

static struct batching batching(const void *settings)
{
	(void)settings;
	return (struct batching){.max_messages = batch};
}

static const struct connector broker = {.name = "broker",
	.can_source = true,
	.can_sink = true,
	.carries_headers = carries_headers,
	.asks_for_replies = asks_for_replies,
	.check_target = check_target};
static bool gives_replies(const void *settings)
{
	(void)settings;
	return true;
}

static const struct connector server = {
	.name = "server", .can_source = true, .can_sink = true, .gives_replies = gives_replies, .batching = batching};

static struct config *config;
static struct router *router;
static struct route_result result;
static struct reply_config *reply;

static void begin(void)
{
	static char all[] = "#";
	static struct config_text any = {.value = all};
	asks = true;
	batch = 0;
	config = a_config(N, &broker);
	config->connections[BROKER].name = a_text("broker");
	config->connections[SERVER].name = a_text("server");
	config->connections[SERVER].connector = &server;
	config->connections[OTHER].name = a_text("other");
	struct mapping_config *map = a_mapping(config, "m", "ask/{who}");
	map->max_hops = 16;
	reply = &a_target(map, SERVER, "/p")->reply;
	*reply = (struct reply_config){.qos = -1, .heed_response_topic = true, .response_topics = {&any, 1}};
}

static void end(void)
{
	router_free(router);
	a_config_free(config);
	router = NULL;
}

static const struct message_view *route(const char *response_topic)
{
	static const struct message_field hops = {{(const uint8_t *)"linkspan-hops", 13}, {(const uint8_t *)"2", 1}};
	struct message_view view = {.topic = slice_str("ask/7"),
		.payload = slice_str("{\"to\": \"a+b\"}"),
		.correlation = slice_str("c"),
		.headers = &hops,
		.n_headers = 1,
		.origin_ms = 5};
	if (response_topic)
		view.response_topic = slice_str(response_topic);
	if (!router)
		router = router_new(config);
	CU_ASSERT_PTR_NOT_NULL_FATAL(router);
	CU_ASSERT_EQUAL_FATAL(router_route(router, BROKER, -1, &view, &result), 0);
	CU_ASSERT_EQUAL_FATAL(result.n_outputs, 1);
	return &result.outputs[0].view;
}

static bool is(struct slice got, const char *expected)
{
	bool same = expected ? got.data && slice_equal(got, slice_str(expected)) : !got.data;
	if (!same)
		printf("# %.*s is not %s\n", (int)got.len, got.data ? (const char *)got.data : "",
			expected ? expected : "(absent)");
	return same;
}

static struct slice to_whom(const struct message_view *view)
{
	return message_param(view, MESSAGE_REPLY);
}

static void test_response_topic(void)
{
	begin();
	const struct message_view *view = route("answers/7");
	CU_ASSERT(is(to_whom(view), "broker"));
	CU_ASSERT(is(view->response_topic, "answers/7") && is(view->correlation, "c"));
	CU_ASSERT(is(message_param(view, MESSAGE_REPLY_HOPS), "3"));
	CU_ASSERT(is(message_param(view, MESSAGE_REPLY_QOS), NULL));
	CU_ASSERT(is(to_whom(route(NULL)), NULL));
	end();
}

/* A device chooses it. What is not legal is not answered, and the message goes out all the same. */
static void test_what_is_not_answered(void)
{
	static const char *const topics[] = {"", "a/#", "a/+/b", "$SYS/broker", "$share/g/a", "a\xff", NULL};
	begin();
	for (unsigned i = 0; topics[i]; i++) {
		const struct message_view *view = route(topics[i]);
		CU_ASSERT(is(to_whom(view), NULL));
		CU_ASSERT(is(view->reject_reason, NULL));
	}
	end();
	begin();
	struct config_text allowed[] = {{.value = a_text("answers/+")}, {.value = a_text("$direct/#")}};
	reply->response_topics = (struct config_list){allowed, 2};
	CU_ASSERT(is(to_whom(route("answers/7")), "broker"));
	CU_ASSERT(is(to_whom(route("$direct/7")), "broker"));
	CU_ASSERT(is(to_whom(route("valves/7")), NULL));
	end();
	begin();
	reply->heed_response_topic = false;
	CU_ASSERT(is(to_whom(route("answers/7")), NULL));
	end();
}

/* The connection cannot be answered at (MQTT 3.1.1), or the destination answers many at once. */
static void test_no_replies(void)
{
	begin();
	asks = false;
	CU_ASSERT(is(to_whom(route("answers/7")), NULL));
	end();
	begin();
	batch = 10;
	reply->topic = a_text("t");
	CU_ASSERT(is(to_whom(route("answers/7")), NULL));
	end();
	begin();
	config->mappings[0].targets[0].connection =
		OTHER; /* gives none; the response topic is for whoever reads there */
	const struct message_view *view = route("answers/7");
	CU_ASSERT(is(to_whom(view), NULL) && is(view->response_topic, "answers/7"));
	end();
}

static void test_configured(void)
{
	begin();
	reply->topic = a_text("replies/{who}");
	reply->connection = OTHER;
	reply->key = a_text("{topic}");
	reply->qos = 2;
	reply->retain = true;
	config->mappings[0].max_hops = 0;
	const struct message_view *view = route("answers/7");
	CU_ASSERT(is(to_whom(view), "other"));
	CU_ASSERT(is(view->response_topic, "replies/7") && is(view->correlation, "c"));
	CU_ASSERT(is(message_param(view, MESSAGE_REPLY_KEY), "ask/7"));
	CU_ASSERT(is(message_param(view, MESSAGE_REPLY_QOS), "2"));
	CU_ASSERT(is(message_param(view, MESSAGE_REPLY_RETAIN), "1"));
	CU_ASSERT(is(message_param(view, MESSAGE_REPLY_HOPS), NULL));
	end();
}

/* A template of the configuration that fails is a mistake like any other of the mapping. */
static void test_illegal(void)
{
	begin();
	reply->topic = a_text("replies/{.to}");
	const struct message_view *view = route(NULL);
	CU_ASSERT(is(view->reject_reason,
		"the topic of the reply is not legal: the topic holds + or #, which only a topic filter may"));
	end();
	begin();
	reply->topic = a_text("replies/{.nobody}");
	CU_ASSERT(route(NULL)->reject_reason.data != NULL);
	end();
}

/* Params of the connector stay. */
static void test_beside_params(void)
{
	begin();
	a_field(&config->mappings[0].targets[0].params, "method", "PUT");
	const struct message_view *view = route("answers/7");
	CU_ASSERT(is(message_param(view, "method"), "PUT") && is(to_whom(view), "broker"));
	end();
}

/* --- the reply itself --- */

static void test_make(void)
{
	begin();
	reply->key = a_text("{who}");
	reply->retain = true;
	struct message_view request = *route("answers/7"), made, answer = {.payload = {NULL, 0}};
	struct arena arena = {0};
	const char *reason = "";
	request.qos = 1;
	CU_ASSERT_EQUAL_FATAL(
		reply_make(&request, &answer, &config->connections[BROKER], 77, &arena, &made, &reason), 0);
	CU_ASSERT(is(made.topic, "answers/7") && is(made.key, "7") && is(made.order_key, "7"));
	CU_ASSERT(made.qos == 1 && made.retain && made.origin_ms == 77 && made.n_params == 0);
	CU_ASSERT(is(made.payload, "")); /* null is nothing there */
	CU_ASSERT(is(message_header(&made, "linkspan-hops"), "3"));
	request.response_topic = slice_str("a/#");
	CU_ASSERT_EQUAL(reply_make(&request, &answer, &config->connections[BROKER], 77, &arena, &made, &reason), -22);
	arena_free(&arena);
	end();
}

static void quiet(enum log_level level, const char *line, void *arg)
{
	(void)level, (void)line, (void)arg;
}

static const struct tap_test tests[] = {
	{"response topic", test_response_topic},
	{"what is not answered", test_what_is_not_answered},
	{"no replies", test_no_replies},
	{"configured", test_configured},
	{"illegal", test_illegal},
	{"beside params", test_beside_params},
	{"make", test_make},
	{NULL, NULL},
};

int main(void)
{
	log_set_sink(quiet, NULL);
	return tap_main("reply", tests);
}
