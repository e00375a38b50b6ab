/* SPDX-License-Identifier: Apache-2.0 */
/* trial: what passes, and in which words each way to fail is told, through the whole bridge. */
#define _GNU_SOURCE /* asprintf */
#include "simulation/trial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/tap.h"

static const char *head =
	"data_dir: d\n"
	"connections:\n"
	"  plant: {type: mqtt, url: \"mqtt://127.0.0.1\", client_id: p, version: 5}\n"
	"  lake: {type: kafka, brokers: [\"127.0.0.1:9092\"], topics_allowed: [t.*], outbox: {ttl: 1h, max_attempts: "
	"3}}\n"
	"  hooks: {type: http, url: \"http://127.0.0.1:1\", outbox: {max_messages: 2, when_full: drop_newest}}\n"
	"mappings:\n"
	"  - name: m\n"
	"    from: {connection: plant, topic: \"plant/{line}/+\"}\n"
	"    when: .ok\n"
	"    payload: '{v: .v}'\n"
	"    to: {connection: lake, topic: \"t.{line}\", key: \"{line}\", headers: {from: \"{topic}\"}, timestamp: "
	"\"{.ts}\"}\n"
	"  - name: h\n"
	"    from: {connection: plant, topic: \"hook/{n}\", qos: 2}\n"
	"    to: {connection: hooks, path: \"/{n}\", method: PUT}\n"
	"  - name: sums\n"
	"    from: {connection: plant, topic: \"sum/{n}\"}\n"
	"    aggregate: {window: 1m, value: .v, as: [count, mean]}\n"
	"    to: {connection: hooks, path: \"/sums/{n}\"}\n"
	"tests:\n"
	"  - name: it\n"; /* 20 lines: what a case adds begins at 21 */

/* The failures of a test, a line "LINE text" each and what belongs to it. */
static const char *run_test(const char *body)
{
	static char text[8000];
	char *path, *errors;
	size_t size, len = 0;
	struct config *config;
	struct trial trial;
	if (asprintf(&path, "%s/linkspan.yaml", tap_tempdir()) < 0)
		abort();
	FILE *file = fopen(path, "w");
	FILE *out = open_memstream(&errors, &size);
	if (!file || !out || fprintf(file, "%s%s", head, body) < 0 || fclose(file) != 0)
		abort();
	int r = config_load(path, out, &config, NULL);
	fclose(out);
	free(path);
	snprintf(text, sizeof text, "%s", errors);
	free(errors);
	if (r < 0)
		return text;
	CU_ASSERT_EQUAL(trial_run(config, &config->tests[0], &trial), 0);
	text[0] = '\0';
	for (size_t i = 0; i < trial.n_failures; i++)
		len += (size_t)snprintf(
			text + len, sizeof text - len, "%d %s", trial.failures[i].line, trial.failures[i].text);
	trial_free(&trial);
	config_free(config);
	return text;
}

static void check_test(const char *body, const char *failures, int line)
{
	const char *got = run_test(body);
	CU_assertImplementation(strcmp(got, failures) == 0, (unsigned)line, "the failures", __FILE__, "", CU_FALSE);
	if (strcmp(got, failures) != 0)
		printf("# got: %s\n", got);
}

#define PASSES(body)      check_test(body, "", __LINE__)
#define FAILS(body, text) check_test(body, text, __LINE__)

#define GOOD "{topic: plant/a/1, payload: '{\"ok\":true,\"v\":1,\"ts\":7}'}"

static void test_passing(void)
{
	PASSES("    given: " GOOD "\n"
	       "    expect: [{connection: lake, topic: t.a, key: a, headers: {from: plant/a/1}, timestamp: \"7\", "
	       "payload: "
	       "'{\"v\": 1}', qos: 1, retain: false, null_payload: false}]\n");
	PASSES("    given: {connection: plant, topic: plant/a/1, payload: '{\"ok\":false}'}\n    expect: []\n");
	PASSES("    given: {connection: plant, topic: nobody/listens}\n    expect: []\n");
	PASSES("    given: {topic: hook/x, payload_base64: AAE=, qos: 2, content_type: image/x, retain: true}\n"
	       "    expect: [{connection: hooks, path: /x, method: PUT, payload_base64: AAE=, qos: 2, content_type: "
	       "image/x}]\n");
	PASSES("    mapping: h\n    given: {topic: hook/x, qos: 1}\n    expect: [{path: /x, qos: 1, payload: \"\"}]\n");
	/* The subscription lowers what is published. */
	PASSES("    given: {topic: plant/a/1, payload: '{\"ok\":1,\"ts\":1}', qos: 2}\n    expect: [{connection: lake, "
	       "qos: 1}]\n");
	PASSES("    given: {topic: plant/a/1, payload: '{\"ok\":1,\"ts\":1}', qos: 0}\n    expect: [{connection: lake, "
	       "qos: 0}]\n");
}

/* One message without a list, and what must not be there. */
static void test_absent(void)
{
	PASSES("    given: {topic: hook/x, payload: '1'}\n"
	       "    expect: {connection: hooks, path: /x, key: null, content_type: ~, headers: {from: null}}\n");
	FAILS("    given: " GOOD "\n"
	      "    expect: {connection: lake, key: null, content_type: null, headers: {from: null, other: ~}}\n",
		"22 'lake', message 1 of 1 is another one:\n"
		"  key: want none\n"
		"       got a\n"
		"  content_type: want none\n"
		"                got application/json\n"
		"  headers.from: want none\n"
		"                got plant/a/1\n");
	FAILS("    given: {topic: nobody/listens, connection: plant}\n    expect: {connection: lake, key: null}\n",
		"22 'lake', message 1 of 1 is missing:\n  key none\n");
}

static void test_differences(void)
{
	FAILS("    given: " GOOD "\n"
	      "    expect:\n"
	      "      - connection: lake\n"
	      "        topic: t.b\n"
	      "        key: b\n"
	      "        payload: '{\"v\": 2, \"w\": [1]}'\n"
	      "        headers: {from: here, other: x}\n"
	      "        timestamp: \"8\"\n"
	      "        content_type: text/plain\n"
	      "        qos: 2\n"
	      "        retain: true\n",
		"23 'lake', message 1 of 1 is another one:\n"
		"  topic: want t.b\n"
		"         got t.a\n"
		"  key: want b\n"
		"       got a\n"
		"  payload .v: want 2\n"
		"              got 1\n"
		"  payload .w: want [1]\n"
		"              got none\n"
		"  content_type: want text/plain\n"
		"                got application/json\n"
		"  headers.from: want here\n"
		"                got plant/a/1\n"
		"  headers.other: want x\n"
		"                 got none\n"
		"  timestamp: want 8\n"
		"             got 7\n"
		"  qos: want 2\n"
		"       got 1\n"
		"  retain: want true\n"
		"          got false\n");
	/* Bytes, where one of the two is no JSON. */
	FAILS("    given: {topic: hook/x, payload: '[1]'}\n    expect: [{connection: hooks, payload: one}]\n",
		"22 'hooks', message 1 of 1 is another one:\n"
		"  payload: want one\n"
		"           got [1]\n");
	FAILS("    given: {topic: hook/x, payload_base64: AAE=}\n    expect: [{connection: hooks, payload: ''}]\n",
		"22 'hooks', message 1 of 1 is another one:\n"
		"  payload: want \"\"\n"
		"           got base64 AAE=\n");
}

static void test_missing_and_extra(void)
{
	FAILS("    given: {topic: plant/a/1, payload: '{\"ok\":false}'}\n"
	      "    expect: [{connection: lake, topic: t.a, payload: '1'}, {connection: lake}]\n",
		"22 'lake', message 1 of 2 is missing:\n  topic t.a, payload 1\n"
		"22 'lake', message 2 of 2 is missing:\n  any message\n");
	FAILS("    given: " GOOD "\n    expect: []\n",
		"22 'lake': message that is not expected:\n  topic t.a, key a, payload {\"v\":1}\n");
	FAILS("    given: [{topic: hook/a}, {topic: hook/c}]\n"
	      "    expect: [{connection: hooks, path: /a}, {connection: hooks, path: /b}, {connection: hooks, path: "
	      "/c}]\n",
		"22 'hooks', message 2 of 3 is missing:\n  path /b\n");
	FAILS("    given: {topic: plant/a/1, payload: 'no JSON'}\n    expect: []\n",
		"22 'lake': dead letter that is not expected:\n"
		"  topic t.a, payload no JSON, reason the payload is not JSON\n");
}

static void test_places(void)
{
	FAILS("    given: [{topic: hook/a}, {topic: hook/b}]\n"
	      "    expect: [{connection: hooks, path: /b}, {connection: hooks, path: /a}]\n",
		"22 'hooks', message 1 of 2 is out of order, it came as 2 of 2:\n  path /b, payload \"\"\n"
		"22 'hooks', message 2 of 2 is out of order, it came as 1 of 2:\n  path /a, payload \"\"\n");
	FAILS("    given: {topic: hook/a, payload: x}\n    expect: [{connection: lake, payload: x}]\n",
		"22 'lake', message 1 of 1 went to 'hooks' instead:\n  path /a, payload x\n");
	FAILS("    answer: {hooks: rejected}\n"
	      "    given: {topic: hook/a, payload: x}\n    expect: [{connection: hooks, payload: x}]\n",
		"23 'hooks', message 1 of 1 is a dead letter instead:\n"
		"  path /a, payload x, reason the test says rejected\n");
}

static void test_outage(void)
{
	PASSES("    steps:\n"
	       "      - link: {lake: down}\n"
	       "      - given: [" GOOD ", " GOOD "]\n"
	       "      - wait: 30m\n"
	       "      - expect: []\n"
	       "      - given: " GOOD "\n"
	       "      - wait: 29m 59s\n"
	       "      - expect: []\n"
	       "      - wait: 1s\n"
	       "      - expect: [{connection: lake, outcome: expired, key: a}, {connection: lake, outcome: expired}]\n"
	       "      - link: {lake: up}\n"
	       "      - expect: [{connection: lake, key: a}]\n"
	       "      - wait: 1s\n"
	       "      - restart: true\n"
	       "      - wait: 1d\n"
	       "      - expect: []\n");
	/* That it is done is written within a second: at least once. */
	PASSES("    steps:\n"
	       "      - given: " GOOD "\n"
	       "      - expect: [{connection: lake, key: a}]\n"
	       "      - restart: true\n"
	       "      - expect: [{connection: lake, key: a}]\n"
	       "      - wait: 1s\n"
	       "      - restart: true\n"
	       "      - expect: []\n");
	/* A source that is away holds what it has. */
	PASSES("    steps:\n"
	       "      - link: {plant: down}\n"
	       "      - given: [" GOOD ", {topic: hook/x, expires_in: 5s}]\n"
	       "      - wait: 1m\n"
	       "      - expect: []\n"
	       "      - restart: true\n"
	       "      - link: {plant: up}\n"
	       "      - expect: [{connection: lake}, {connection: hooks}]\n");
	/* Its own wish: from when it came in. */
	PASSES("    steps:\n"
	       "      - link: {hooks: down}\n"
	       "      - given: {topic: hook/x, expires_in: 5s}\n"
	       "      - wait: 4999ms\n"
	       "      - expect: []\n"
	       "      - wait: 1ms\n"
	       "      - expect: [{connection: hooks, outcome: expired, path: /x}]\n");
}

static void test_answers(void)
{
	PASSES("    answer: {lake: [retry, retry, delivered]}\n    given: " GOOD
	       "\n    expect: [{connection: lake}]\n");
	PASSES("    answer: {lake: [retry, retry, retry]}\n    given: " GOOD "\n"
	       "    expect: [{connection: lake, outcome: dead_letter, reason: attempt}]\n");
	PASSES("    steps:\n"
	       "      - answer: {hooks: [unanswered, rejected]}\n"
	       "      - given: {topic: hook/x}\n"
	       "      - expect: [{connection: hooks, path: /x}]\n"
	       "      - wait: 1d\n"
	       "      - expect: []\n"
	       "      - link: {hooks: down}\n"
	       "      - link: {hooks: up}\n"
	       "      - expect: [{connection: hooks, path: /x, outcome: dead_letter}]\n");
	/* What is not answered may come twice, but not before something happens. */
	PASSES("    answer: {hooks: unanswered}\n    given: {topic: hook/x}\n    expect: [{connection: hooks}]\n");
	PASSES("    steps:\n"
	       "      - answer: {hooks: unanswered}\n"
	       "      - given: {topic: hook/x}\n"
	       "      - restart: true\n"
	       "      - expect: [{connection: hooks, path: /x}, {connection: hooks, path: /x}]\n");
}

/* What the connector's sink would never send has not arrived, and takes no answer. */
static void test_impossible(void)
{
	PASSES("    answer: {lake: rejected}\n"
	       "    given: [{topic: plant/a/1, payload: '{\"ok\":true,\"v\":1,\"ts\":\"soon\"}'}, " GOOD "]\n"
	       "    expect:\n"
	       "      - {connection: lake, outcome: dead_letter, reason: the timestamp is neither}\n"
	       "      - {connection: lake, outcome: dead_letter, reason: the test says rejected}\n");
}

static void test_full(void)
{
	PASSES("    link: {hooks: down}\n"
	       "    given: [{topic: hook/a}, {topic: hook/b}, {topic: hook/c}]\n"
	       "    expect: [{connection: hooks, outcome: dropped, path: /c}]\n");
}

static void test_aggregate(void)
{
	PASSES("    steps:\n"
	       "      - given: [{topic: sum/a, payload: '{\"v\":1}'}, {topic: sum/b, payload: '{\"v\":5}'}]\n"
	       "      - wait: 59s\n"
	       "      - restart: true\n"
	       "      - given: {topic: sum/a, payload: '{\"v\":2}'}\n"
	       "      - expect: []\n"
	       "      - wait: 1s\n"
	       "      - expect: [{connection: hooks, path: /sums/a, payload: '{\"count\":2,\"mean\":1.5}'}, "
	       "{connection: hooks, path: /sums/b}]\n");
	/* In the end the window has ended. */
	PASSES("    given: {topic: sum/a, payload: '{\"v\":1}'}\n    expect: [{connection: hooks}]\n");
	PASSES("    given: {topic: sum/a, payload: '{\"v\":\"x\"}'}\n"
	       "    expect: [{connection: sums, outcome: dead_letter, payload: '{\"v\":\"x\"}'}]\n");
}

/* A hundred pauses of half a day. */
static void test_no_rest(void)
{
	enum { N = 100 };
	const char *before = head;
	char body[2000] = "    answer: {hooks: [", *at = body + strlen(body);
	head = "data_dir: d\n"
	       "connections:\n"
	       "  plant: {type: mqtt, url: \"mqtt://127.0.0.1\", client_id: p}\n"
	       "  hooks: {type: http, url: \"http://127.0.0.1:1\", outbox: {backoff_min: 1d, backoff_max: 1d}}\n"
	       "mappings:\n"
	       "  - {name: m, from: {connection: plant, topic: t}, to: {connection: hooks, path: /x}}\n"
	       "tests:\n"
	       "  - name: it\n";
	for (size_t i = 0; i < N; i++)
		at += snprintf(at, 20, "retry, ");
	snprintf(at, 100, "delivered]}\n    given: {topic: t}\n    expect: []\n");
	FAILS(body, "11 it does not come to rest: after 40 days of simulated time 1 message for 'hooks' still waits\n");
	head = before;
}

/* Nobody takes what is larger than max_message_bytes, and it is said. */
static void test_refused(void)
{
	FAILS("    given: {topic: hook/x, payload: xxxx}\n"
	      "    expect: [{connection: hooks}]\n"
	      "max_message_bytes: 3B\n",
		"22 'hooks', message 1 of 1 is missing:\n  any message\n"
		"22 linkspan refused what came to 'plant' under hook/x\n");
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"passing", test_passing},
		{"what must not be there, and one message without a list", test_absent},
		{"differences", test_differences},
		{"missing and extra", test_missing_and_extra},
		{"wrong order, destination, outcome", test_places},
		{"outage", test_outage},
		{"answers", test_answers},
		{"what no sink would send", test_impossible},
		{"full", test_full},
		{"aggregate", test_aggregate},
		{"no rest", test_no_rest},
		{"refused", test_refused},
		{NULL, NULL},
	};
	return tap_main("trial", tests);
}
