/* SPDX-License-Identifier: Apache-2.0
 *
 * The error policy: one row per error that matters, and no error at all is final by accident.
 */
#include <string.h>

#include "connectors/kafka/pending.h"
#include "connectors/kafka/verdict.h"
#include "tests/unit/tap.h"

static void test_table(void)
{
	static const struct {
		rd_kafka_resp_err_t err;
		enum kafka_verdict verdict;
	} rows[] = {
		{RD_KAFKA_RESP_ERR_NO_ERROR, KAFKA_DELIVERED},
		{RD_KAFKA_RESP_ERR__QUEUE_FULL, KAFKA_LATER},
		{RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, KAFKA_BATCH_TOO_LARGE},
		{RD_KAFKA_RESP_ERR_INVALID_MSG, KAFKA_BATCH_INVALID},
		{RD_KAFKA_RESP_ERR_INVALID_RECORD, KAFKA_BATCH_INVALID},
		{RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, KAFKA_REJECTED},
		{RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, KAFKA_RETRY},
		{RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, KAFKA_RETRY},
		{RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, KAFKA_RETRY},
		{RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, KAFKA_RETRY},
		{RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, KAFKA_RETRY_ALARM},
		{RD_KAFKA_RESP_ERR__FATAL, KAFKA_PRODUCER_LOST},
		{RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, KAFKA_PRODUCER_LOST},
		{RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID, KAFKA_PRODUCER_LOST},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		CU_ASSERT_EQUAL(kafka_verdict(rows[i].err), rows[i].verdict);
}

/* What we do not know is tried again: only the known few may end a message. */
static void test_nothing_is_final_by_accident(void)
{
	unsigned final = 0;
	for (int err = RD_KAFKA_RESP_ERR__BEGIN; err < 200; err++) {
		enum kafka_verdict verdict = kafka_verdict((rd_kafka_resp_err_t)err);
		final += verdict == KAFKA_REJECTED;
		CU_ASSERT_TRUE(verdict != KAFKA_DELIVERED || err == RD_KAFKA_RESP_ERR_NO_ERROR);
	}
	CU_ASSERT_EQUAL(final, 2);
}

static void test_reasons_fit(void)
{
	char topic[250], text[400];
	memset(topic, 't', 249);
	topic[249] = '\0';
	for (int err = RD_KAFKA_RESP_ERR__BEGIN; err < 100; err++) {
		kafka_reason(text, sizeof text, (rd_kafka_resp_err_t)err, topic);
		CU_ASSERT_PTR_NOT_NULL(strstr(text, topic));
	}
	kafka_reason(text, sizeof text, RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, "x");
	CU_ASSERT_STRING_EQUAL(text, "topic x does not exist in the cluster and is not created by itself");
}

static void test_pending_keeps_order(void)
{
	struct pending pending = {.items = NULL};
	struct message_view view = {.topic = slice_str("t"), .order_key = slice_str("t")};
	struct message *msg = message_new(&view);
	uint64_t in = 0, out = 0;
	for (unsigned round = 0; round < 50; round++) { /* more in than out: grows while wrapped */
		for (unsigned i = 0; i < 7; i++)
			CU_ASSERT_TRUE(pending_push(&pending, in++, msg, 0));
		for (unsigned i = 0; i < 4; i++) {
			CU_ASSERT_EQUAL(pending_first(&pending)->seq, out++);
			pending_pop(&pending);
		}
	}
	while (pending_first(&pending) && out < 200) {
		CU_ASSERT_EQUAL(pending_first(&pending)->seq, out++);
		pending_pop(&pending);
	}
	pending_clear(&pending);
	CU_ASSERT_PTR_NULL(pending_first(&pending));
	message_unref(msg);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"verdicts", test_table},
		{"nothing is final by accident", test_nothing_is_final_by_accident},
		{"reasons name the topic", test_reasons_fit},
		{"what is pending keeps its order", test_pending_keeps_order},
		{NULL, NULL},
	};
	return tap_main("kafka verdict", tests);
}
