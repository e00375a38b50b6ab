/* SPDX-License-Identifier: Apache-2.0
 *
 * Health in the states that are hard to bring about from outside.
 */
#include "admin/answers.h"

#include <errno.h>
#include <string.h>

#include "runtime/endpoint.h"
#include "tests/unit/tap.h"

static char *said(struct answer answer, unsigned status)
{
	static char text[1024];
	CU_ASSERT_EQUAL(answer.status, status);
	CU_ASSERT_STRING_EQUAL(answer.content_type, "text/plain; charset=utf-8");
	CU_ASSERT_FATAL(answer.body.len < sizeof text);
	memcpy(text, answer.body.data, answer.body.len);
	text[answer.body.len] = '\0';
	buffer_free(&answer.body);
	return text;
}

static void test_paths(void)
{
	CU_ASSERT_EQUAL(answers_find("/metrics"), ANSWERS_METRICS);
	CU_ASSERT_EQUAL(answers_find("/healthz"), ANSWERS_HEALTH);
	CU_ASSERT_EQUAL(answers_find("/readyz"), ANSWERS_READY);
	CU_ASSERT_EQUAL(answers_find("/"), ANSWERS_UNKNOWN);
	CU_ASSERT_EQUAL(answers_find("/readyz/"), ANSWERS_UNKNOWN);
	CU_ASSERT_STRING_EQUAL(said(answers_unknown(), 404), "there are /metrics, /healthz and /readyz\n");
}

static void test_no_bridge_yet(void)
{
	struct answers answers = {.bridge = NULL};
	CU_ASSERT_STRING_EQUAL(said(answers_health(&answers), 200), "ok\n");
	CU_ASSERT_STRING_EQUAL(said(answers_ready(&answers, false), 503), "not ready: not started yet\n");
	CU_ASSERT_STRING_EQUAL(said(answers_metrics(&answers, EXPOSITION_OPENMETRICS), 503), "not started yet\n");
}

static void test_states(void)
{
	struct bridge bridge = {.state = BRIDGE_OPEN};
	struct answers answers = {.bridge = &bridge};
	CU_ASSERT_STRING_EQUAL(said(answers_health(&answers), 200), "ok\n");
	CU_ASSERT_STRING_EQUAL(said(answers_ready(&answers, false), 503), "not ready: not started yet\n");
	for (int state = BRIDGE_DRAINING; state <= BRIDGE_STOPPED; state++) {
		bridge.state = (enum bridge_state)state;
		CU_ASSERT_STRING_EQUAL(said(answers_health(&answers), 200), "ok\n");
		CU_ASSERT_STRING_EQUAL(said(answers_ready(&answers, true), 503), "not ready: stopping\n");
	}
}

static void test_failed_journal(void)
{
	static const char why[] = "the journal has failed: nothing more can be made durable\n";
	for (int state = BRIDGE_OPEN; state <= BRIDGE_STOPPED; state++) {
		struct bridge bridge = {.state = (enum bridge_state)state, .failure = -EIO};
		struct answers answers = {.bridge = &bridge};
		CU_ASSERT_STRING_EQUAL(said(answers_health(&answers), 503), why);
		const char *ready = said(answers_ready(&answers, false), 503);
		CU_ASSERT_EQUAL(strncmp(ready, "not ready: ", 11), 0);
		CU_ASSERT_STRING_EQUAL(ready + 11, why);
	}
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"paths", test_paths},
		{"before there is a bridge", test_no_bridge_yet},
		{"starting and stopping", test_states},
		{"a failed journal", test_failed_journal},
		{NULL, NULL},
	};
	return tap_main("answers", tests);
}
