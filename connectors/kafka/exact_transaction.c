/* SPDX-License-Identifier: Apache-2.0
 *
 * One transaction: begin, the records as they come, the cursor, flush, commit.
 *
 * A broker that refuses a record refuses the batch that it came in. What can be blamed on one record alone goes back as
 * rejected: the transaction is aborted, and if the abort is definite too the rest of it is tried again with the same
 * producer. A commit without a definite answer may have been one: then only the cursor knows, and a new producer asks.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/kafka/client.h"
#include "connectors/kafka/exact_worker_impl.h"
#include "connectors/kafka/record.h"
#include "connectors/kafka/verdict.h"
#include "runtime/failpoint.h"

#define FLUSH_STEP_MS                                                                                                  \
	2 /* no event ends it sooner (successes are not reported); with 1 the library does not wait at all */
/* After a refused record, for the answers to what is on its way: an abort that comes before them can leave the library waiting for
 * messages until they time out. */
#define ANSWERS_MS   200
#define FULL_STEP_MS 10
/* A commit is answered before its markers are written to the partitions, and until they are the broker takes no partition into the next
 * transaction. The library asks again only after 20 ms, in which nothing is sent. The markers take about as long again as the commit
 * has. */
#define MARKERS_PER_COMMIT 2u
#define MARKERS_LEAST_US   3000u
#define MARKERS_MOST_US    15000u
#define ABANDON_MS         1000
#define REASON_SIZE        256

/* --- what is wrong with a record -------------------------------------------------------------------------------- */

static void reject(struct exact_worker *worker, uint64_t seq, const char *reason)
{
	if (worker->n_rejects == EXACT_MAX_REJECTS) {
		worker->trouble.refused = true; /* cannot be told: those that can be, and all others again */
		return;
	}
	struct exact_reject *to = &worker->rejects[worker->n_rejects++];
	to->seq = seq;
	snprintf(to->reason, sizeof to->reason, "%s", reason);
}

static void refused_with_others(
	struct exact_worker *worker, uint64_t seq, enum exact_failure failure, const char *reason)
{
	struct exact_trouble *trouble = &worker->trouble;
	if (!trouble->apart || seq > trouble->seq)
		trouble->seq = seq;
	if (!trouble->apart)
		snprintf(trouble->reason, sizeof trouble->reason, "%s", reason);
	trouble->apart = true;
	trouble->failure = failure;
}

static void lost(struct exact_worker *worker, enum exact_failure failure, const char *reason)
{
	struct exact_trouble *trouble = &worker->trouble;
	if (!trouble->lost) {
		trouble->failure = failure;
		snprintf(trouble->reason, sizeof trouble->reason, "%s", reason);
	}
	trouble->lost = true;
}

/* alone: it is about this record and no other. */
static void judge(struct exact_worker *worker, uint64_t seq, rd_kafka_resp_err_t err, const char *topic, bool alone)
{
	enum kafka_verdict verdict = kafka_verdict(err);
	char reason[REASON_SIZE];
	kafka_reason(reason, sizeof reason, err, topic);
	if (seq == 0 && verdict != KAFKA_RETRY_ALARM) /* the cursor's own */
		lost(worker, EXACT_LOST, reason);
	else if (verdict == KAFKA_REJECTED ||
		 (alone && (verdict == KAFKA_BATCH_TOO_LARGE || verdict == KAFKA_BATCH_INVALID)) ||
		 err == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION)
		reject(worker, seq, reason);
	else if (verdict == KAFKA_BATCH_TOO_LARGE || verdict == KAFKA_BATCH_INVALID)
		refused_with_others(worker, seq,
			verdict == KAFKA_BATCH_TOO_LARGE ? EXACT_BATCH_TOO_LARGE : EXACT_BATCH_INVALID, reason);
	else if (verdict == KAFKA_RETRY_ALARM || err == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
		 err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
		lost(worker, EXACT_NEEDS_PERSON, reason);
	else
		lost(worker, EXACT_LOST, reason);
}

void exact_on_delivery_report(rd_kafka_t *rk, const rd_kafka_message_t *report, void *arg)
{
	struct exact_worker *worker = kafka_client_owner(rk);
	(void)arg;
	if (!report->err || report->err == RD_KAFKA_RESP_ERR__PURGE_QUEUE ||
		report->err == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT)
		return; /* purged: the abort's doing */
	bool alone = worker->one_by_one || (kafka_verdict(report->err) == KAFKA_BATCH_TOO_LARGE &&
						   report->len + report->key_len > worker->batch_bytes);
	worker->trouble.refused = true;
	judge(worker, (uint64_t)(uintptr_t)report->_private, report->err,
		report->rkt ? rd_kafka_topic_name(report->rkt) : "?", alone);
}

/* --- the library's errors --------------------------------------------------------------------------------------- */

/* Takes the error. */
static bool fail_with(struct exact_worker *worker, const char *doing, rd_kafka_error_t *error)
{
	rd_kafka_resp_err_t err = rd_kafka_error_code(error);
	bool person = kafka_needs_person(err) || err == RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
	exact_fail(worker, person ? EXACT_NEEDS_PERSON : EXACT_LOST, "%s: %s", doing, rd_kafka_error_string(error));
	rd_kafka_error_destroy(error);
	return false;
}

/* --- writing ------------------------------------------------------------------------------------------------------ */

static bool begin(struct exact_worker *worker)
{
	if (worker->in_transaction)
		return true;
	exact_wait_until(worker, worker->begin_us);
	if (exact_closing(worker))
		return false;
	rd_kafka_error_t *error = rd_kafka_begin_transaction(worker->rk);
	if (error)
		return fail_with(worker, "a transaction cannot begin", error);
	worker->in_transaction = true;
	worker->trouble = (struct exact_trouble){.failure = EXACT_LOST};
	FAILPOINT("kafka.after_begin");
	return true;
}

static rd_kafka_resp_err_t try_write(
	struct exact_worker *worker, const struct exact_order *order, const char **ret_wrong)
{
	const struct message_view *view = message_view(order->msg), *out;
	struct message_view event;
	struct kafka_record record;
	rd_kafka_topic_t *topic = kafka_topics_get(worker->topics, view->topic, ret_wrong);
	int r = topic ? kafka_record_of(&worker->events, worker->settings, worker->uuid, order->seq, view,
				order->wall_ms, &event, &out, &record, ret_wrong)
		      : -EINVAL;
	if (r < 0)
		return r == -ENOMEM ? RD_KAFKA_RESP_ERR__QUEUE_FULL : RD_KAFKA_RESP_ERR__INVALID_ARG;
	return kafka_record_produce(worker->rk, topic, out, &record, (void *)(uintptr_t)order->seq);
}

/* After a record was refused by a broker the library takes no more: that one's report tells, now or later. */
static bool is_aftermath(struct exact_worker *worker, rd_kafka_resp_err_t err)
{
	if (err != RD_KAFKA_RESP_ERR__STATE)
		return false;
	worker->trouble.refused = true;
	return true;
}

static void judge_local(struct exact_worker *worker, const struct exact_order *order, rd_kafka_resp_err_t err)
{
	if (is_aftermath(worker, err))
		return;
	struct slice name = message_view(order->msg)->topic;
	char topic[250];
	snprintf(topic, sizeof topic, "%.*s", (int)name.len, (const char *)name.data);
	judge(worker, order->seq, err, topic, true);
}

static bool is_spoilt(const struct exact_worker *worker)
{
	return worker->trouble.lost || worker->trouble.refused;
}

bool exact_write(struct exact_worker *worker, const struct exact_order *order)
{
	const char *wrong;
	rd_kafka_resp_err_t err;
	if (!begin(worker))
		return false;
	while ((err = try_write(worker, order, &wrong)) == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
		if (exact_closing(worker))
			return false;
		rd_kafka_flush(worker->rk, FULL_STEP_MS); /* what waits for its batch to fill goes as it is */
	}
	FAILPOINT("kafka.after_produce");
	if (wrong)
		reject(worker, order->seq, wrong);
	else if (err)
		judge_local(worker, order, err);
	/* More could not be told, and the next try would find the same ones. */
	return worker->n_rejects < EXACT_MAX_REJECTS || is_spoilt(worker) || exact_ask(worker, false);
}

/* --- the end ------------------------------------------------------------------------------------------------------ */

static rd_kafka_resp_err_t write_cursor(struct exact_worker *worker, rd_kafka_t *rk, uint64_t seq)
{
	struct kafka_cursor cursor = {seq, worker->writer, worker->cursor.partition};
	char value[KAFKA_CURSOR_VALUE_SIZE];
	size_t len = kafka_cursor_format(&cursor, value);
	return rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(worker->settings->cursor_topic),
		RD_KAFKA_V_PARTITION(cursor.partition), RD_KAFKA_V_KEY(worker->key, strlen(worker->key)),
		RD_KAFKA_V_VALUE(value, len), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
}

static bool add_cursor(struct exact_worker *worker, uint64_t seq)
{
	rd_kafka_resp_err_t err;
	FAILPOINT("kafka.before_cursor");
	if (worker->cursor_outside)
		return true;
	while ((err = write_cursor(worker, worker->rk, seq)) == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
		if (exact_closing(worker))
			return false;
		rd_kafka_flush(worker->rk, FULL_STEP_MS);
	}
	if (err && !is_aftermath(worker, err))
		judge(worker, 0, err, worker->settings->cursor_topic, true);
	return true;
}

/* In steps, so that a stop need not wait for brokers that are away; the library gives up after transaction.timeout. What a
 * refused record leaves behind it in the library's queue is not sent any more. */
static bool flush(struct exact_worker *worker)
{
	while (rd_kafka_outq_len(worker->rk) > 0 && !is_spoilt(worker)) {
		if (exact_closing(worker))
			return false;
		rd_kafka_flush(worker->rk, FLUSH_STEP_MS);
	}
	if (is_spoilt(worker))
		rd_kafka_flush(worker->rk, ANSWERS_MS);
	return true;
}

/* A transaction that has failed by itself (a topic that may not be written to is refused before any record) has no report that says
 * why, and only to a call for which it is not ready does the library tell. */
static void find_reason(struct exact_worker *worker)
{
	struct exact_trouble *trouble = &worker->trouble;
	rd_kafka_error_t *error = *trouble->reason ? NULL : rd_kafka_begin_transaction(worker->rk);
	if (!error)
		return;
	rd_kafka_resp_err_t err = rd_kafka_error_code(error);
	if (err != RD_KAFKA_RESP_ERR__STATE)
		snprintf(trouble->reason, sizeof trouble->reason, "%s", rd_kafka_error_string(error));
	if (kafka_needs_person(err))
		trouble->failure = EXACT_NEEDS_PERSON;
	rd_kafka_error_destroy(error);
}

/* What can be blamed on single records goes back, and with a definite abort nothing of the rest is there. */
static bool undo(struct exact_worker *worker, bool *ret_undone)
{
	const struct exact_trouble *trouble = &worker->trouble;
	if (!trouble->lost && !trouble->apart) {
		find_reason(worker);
		rd_kafka_error_t *error = rd_kafka_abort_transaction(worker->rk, -1); /* reports may come from inside */
		if (error)
			return fail_with(worker, "a transaction cannot be undone", error);
		worker->in_transaction = false;
	}
	if (trouble->lost || trouble->apart || worker->n_rejects == 0) {
		exact_fail(worker, trouble->failure, "%s",
			*trouble->reason ? trouble->reason : "the library takes no more records");
		return false;
	}
	*ret_undone = true;
	return exact_ask(worker, true);
}

static void expect_markers(struct exact_worker *worker, uint64_t asked_us)
{
	uint64_t now_us = exact_clock_us(), wait_us = (now_us - asked_us) * MARKERS_PER_COMMIT;
	if (wait_us < MARKERS_LEAST_US)
		wait_us = MARKERS_LEAST_US;
	worker->begin_us = now_us + (wait_us < MARKERS_MOST_US ? wait_us : MARKERS_MOST_US);
}

static bool commit(struct exact_worker *worker, uint64_t seq)
{
	FAILPOINT("kafka.before_commit");
	worker->in_transaction = false; /* from here on nobody but the cursor knows what has become of it */
	uint64_t asked_us = exact_clock_us();
	/* Another time-out than -1 may leave the library in a state that is not the cluster's. */
	rd_kafka_error_t *error = rd_kafka_commit_transaction(worker->rk, -1);
	if (error)
		return fail_with(worker, "a transaction was not committed, as far as we know", error);
	expect_markers(worker, asked_us);
	FAILPOINT("kafka.after_commit");
	if (worker->cursor_outside) {
		if (write_cursor(worker, worker->outside, seq))
			exact_fail(worker, EXACT_LOST, "the cursor could not be written");
		rd_kafka_flush(worker->outside, -1);
	}
	worker->committed_before = true;
	exact_committed(worker, seq);
	return true;
}

bool exact_end(struct exact_worker *worker, uint64_t seq, bool *ret_undone)
{
	*ret_undone = false;
	if (!begin(worker))
		return false;
	if (worker->n_rejects > 0) { /* told before the cursor passes them */
		if (!flush(worker))
			return false;
		if (is_spoilt(worker))
			return undo(worker, ret_undone);
		if (!exact_ask(worker, false))
			return false;
	}
	if (!add_cursor(worker, seq) || !flush(worker))
		return false;
	return is_spoilt(worker) ? undo(worker, ret_undone) : commit(worker, seq);
}

/* A transaction that is left open makes readers wait. After a failure it is left to the next producer all the same: an abort
 * that reached a broker on its way down was seen to leave a transaction without an end for ever (Kafka 4.4.0). */
void exact_abandon(struct exact_worker *worker)
{
	if (!worker->in_transaction || worker->has_failed)
		return;
	rd_kafka_error_t *error = rd_kafka_abort_transaction(worker->rk, ABANDON_MS);
	if (error)
		rd_kafka_error_destroy(error);
}
