/* SPDX-License-Identifier: Apache-2.0
 *
 * The work of a Kafka link: deliveries into the library, its reports back into outcomes.
 */
#include "connectors/kafka/link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/kafka/client.h"
#include "connectors/kafka/verdict.h"
#include "runtime/log.h"

/* Delivery reports and errors handled in one turn of the loop: with the journal's work behind each, a few milliseconds.
 */
#define REPORTS_PER_TURN 8192u
/* Nothing is in flight and the library's queue is full all the same. */
#define PENDING_RETRY_MS 50u

#define TOPIC_TEXT_SIZE 250

static bool link_down_is_due(const struct kafka_link *kl)
{
	return kl->turnover.lost || kl->turnover.smaller || kl->turnover.apart;
}

static bool turnover_is_due(const struct kafka_link *kl)
{
	return link_down_is_due(kl) || kl->turnover.regroup;
}

static void turnover_reason(struct kafka_link *kl, const char *reason)
{
	if (!turnover_is_due(kl))
		snprintf(kl->reason, sizeof kl->reason, "%s", reason);
}

static void brokers_are_up(struct kafka_link *kl)
{
	if (kl->brokers_down)
		log_info("kafka_brokers_up", "connection=%s", kl->name);
	kl->brokers_down = false;
}

static void give_outcome(struct kafka_link *kl, uint64_t seq, enum outcome_kind kind, const char *reason)
{
	struct outcome outcome = {.kind = kind, .reason = reason};
	kl->host->ops->outcome(kl->host, seq, &outcome);
}

/* --- one message
 * ---------------------------------------------------------------------------------------------- */

static void producer_is_lost(struct kafka_link *kl, const char *fallback)
{
	char text[400];
	rd_kafka_resp_err_t err = kafka_producer_fatal(kl->producer, text, sizeof text);
	turnover_reason(kl, err ? text : fallback);
	if (err && !kl->turnover.lost && kafka_needs_person(err))
		kafka_link_alarm(kl, text);
	kl->turnover.lost = true;
}

/* A broker has refused the batch that this message was in. Returns true when the message was the whole batch.
 */
static bool was_alone(struct kafka_link *kl, enum kafka_verdict verdict, const struct message_view *view)
{
	return kl->limits.one_by_one || (verdict == KAFKA_BATCH_TOO_LARGE &&
						kafka_message_bytes(view) > kafka_producer_batch_bytes(kl->producer));
}

static void take_batch_apart(struct kafka_link *kl, enum kafka_verdict verdict, uint64_t seq, const char *reason)
{
	turnover_reason(kl, reason);
	if (verdict == KAFKA_BATCH_TOO_LARGE) {
		kl->turnover.smaller = true;
		return;
	}
	if (!kl->turnover.apart || seq > kl->isolate_until)
		kl->isolate_until = seq;
	kl->turnover.apart = true;
}

/* alone: the verdict is about this message and no other. */
static void conclude(struct kafka_link *kl, uint64_t seq, const struct message_view *view, rd_kafka_resp_err_t err,
	const char *detail, bool alone)
{
	enum kafka_verdict verdict = kafka_verdict(err);
	if (verdict == KAFKA_DELIVERED) {
		kl->failures = 0;
		brokers_are_up(kl);
		give_outcome(kl, seq, OUTCOME_DELIVERED, NULL);
		return;
	}
	char topic[TOPIC_TEXT_SIZE], reason[400];
	snprintf(topic, sizeof topic, "%.*s", (int)view->topic.len, (const char *)view->topic.data);
	kafka_reason(reason, sizeof reason, err, topic);
	switch (verdict) {
	case KAFKA_BATCH_TOO_LARGE:
	case KAFKA_BATCH_INVALID:
		if (!alone && !was_alone(kl, verdict, view)) {
			take_batch_apart(kl, verdict, seq, reason);
			break;
		}
		/* fall through */
	case KAFKA_REJECTED:
		give_outcome(kl, seq, OUTCOME_REJECTED, detail ? detail : reason);
		break;
	case KAFKA_PRODUCER_LOST:
		producer_is_lost(kl, reason);
		break;
	case KAFKA_RETRY_ALARM:
		kafka_link_alarm(kl, reason);
		/* fall through */
	default:
		if (!kl->turnover.lost) /* else it ends with the others, by LINK_DOWN */
			give_outcome(kl, seq, OUTCOME_RETRY, reason);
		break;
	}
}

/* What brokers have taken is told of together, the rest one by one. */
struct taken {
	uint64_t seqs[KAFKA_REPORTS_AT_ONCE];
	size_t n;
};

static void tell_taken(struct kafka_link *kl, struct taken *taken)
{
	size_t n = taken->n;
	taken->n = 0;
	if (n == 0 || kl->stopping)
		return;
	kl->failures = 0;
	brokers_are_up(kl);
	kl->host->ops->delivered(kl->host, taken->seqs, n);
}

void kafka_link_on_reports(void *arg, const struct kafka_report *reports, size_t n)
{
	struct kafka_link *kl = arg;
	struct taken taken = {.n = 0};
	for (size_t i = 0; i < n; i++) {
		if (!reports[i].err) {
			taken.seqs[taken.n++] = reports[i].seq;
		} else {
			tell_taken(kl, &taken);
			if (!kl->stopping)
				conclude(kl, reports[i].seq, message_view(reports[i].msg), reports[i].err, NULL, false);
		}
		message_unref(reports[i].msg);
	}
	tell_taken(kl, &taken);
}

/* --- sending
 * -------------------------------------------------------------------------------------------------- */

/* While a refused batch is taken apart, what came after it waits. */
static bool must_wait(const struct kafka_link *kl, uint64_t seq)
{
	return kl->state != KAFKA_UP || (kl->limits.one_by_one && seq > kl->isolate_until);
}

/* False: the library's queue is full. Every other outcome is taken care of. */
static bool try_send(struct kafka_link *kl, uint64_t seq, struct message *msg, int64_t shift_ms)
{
	const char *detail;
	if (!kl->turn_wall_ms)
		kl->turn_wall_ms = loop_wall_ms(kl->loop);
	uint64_t now_ms = kl->turn_wall_ms - (uint64_t)shift_ms; /* by the clock of the message */
	rd_kafka_resp_err_t err = kafka_producer_send(kl->producer, &kl->events, kl->uuid, seq, msg, now_ms, &detail);
	if (!err)
		return true;
	if (kafka_verdict(err) == KAFKA_LATER)
		return false;
	conclude(kl, seq, message_view(msg), err, detail, true);
	return true;
}

static void send_pending(struct kafka_link *kl)
{
	const struct pending_item *item;
	while (!kl->stopping && !turnover_is_due(kl) && (item = pending_first(&kl->pending)) != NULL &&
		!must_wait(kl, item->seq)) {
		struct message *msg = message_ref(item->msg);
		bool sent = try_send(kl, item->seq, msg, item->shift_ms);
		if (sent)
			pending_pop(&kl->pending);
		message_unref(msg);
		if (!sent)
			break;
	}
}

void kafka_link_send(struct link *link, const struct delivery *delivery)
{
	struct kafka_link *kl = (struct kafka_link *)(void *)link;
	if (kl->stopping || link_down_is_due(kl))
		return; /* forgotten by the stop, or ended by the LINK_DOWN that is due */
	if (pending_first(&kl->pending) == NULL && !must_wait(kl, delivery->seq) &&
		try_send(kl, delivery->seq, delivery->msg, delivery->shift_ms)) {
		if (turnover_is_due(kl))
			loop_post(kl->loop, &kl->events_job);
		return;
	}
	if (!pending_push(&kl->pending, delivery->seq, delivery->msg, delivery->shift_ms)) {
		give_outcome(kl, delivery->seq, OUTCOME_RETRY, "out of memory");
		return;
	}
	if (kl->state == KAFKA_UP)
		loop_post(kl->loop, &kl->events_job);
}

/* --- what the library says --------------------------------------------------------------------------------------------- */

static void on_broker_error(struct kafka_link *kl, rd_kafka_resp_err_t err, const char *text)
{
	char sentence[400];
	switch (kafka_client_error(
		kafka_producer_handle(kl->producer), kl->announced, err, text, sentence, sizeof sentence)) {
	case KAFKA_ERROR_ALARM:
		kafka_link_alarm(kl, sentence);
		break;
	case KAFKA_ERROR_NOTE:
		log_warn(
			"kafka_error", "connection=%s code=%s text=\"%s\"", kl->name, rd_kafka_err2name(err), sentence);
		break;
	case KAFKA_ERROR_QUIET:
		break;
	}
}

void kafka_link_on_error(void *arg, rd_kafka_resp_err_t err, const char *text)
{
	struct kafka_link *kl = arg;
	if (kl->stopping)
		return;
	if (err == RD_KAFKA_RESP_ERR__FATAL || kafka_producer_fatal(kl->producer, NULL, 0)) {
		producer_is_lost(kl, text);
	} else if (err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
		if (!kl->brokers_down)
			log_warn("kafka_brokers_down", "connection=%s in_flight=%u", kl->name,
				kafka_producer_in_flight(kl->producer));
		kl->brokers_down = true;
	} else {
		on_broker_error(kl, err, text);
	}
}

/* All that had to go one by one is through: back to batches. */
static void check_isolation(struct kafka_link *kl)
{
	const struct pending_item *item = pending_first(&kl->pending);
	if (!kl->limits.one_by_one || kl->state != KAFKA_UP || turnover_is_due(kl) || !item ||
		item->seq <= kl->isolate_until || kafka_producer_in_flight(kl->producer) > 0)
		return;
	turnover_reason(kl, "the refused batch has been sent message by message; back to batches");
	kl->turnover.regroup = true;
}

void kafka_link_on_events(void *arg)
{
	struct kafka_link *kl = arg;
	if ((kl->state != KAFKA_CONNECTING && kl->state != KAFKA_UP) || kl->busy)
		return;
	kl->busy = true;
	/* The library tells only when its queue becomes non-empty, so it is emptied, over several turns if need be. */
	bool more = kafka_producer_serve(kl->producer, REPORTS_PER_TURN);
	kl->turn_wall_ms = 0;
	send_pending(kl);
	kl->busy = false;
	if (kl->stopping) {
		kafka_link_continue_stop(kl);
		return;
	}
	if (more) {
		loop_post(kl->loop, &kl->events_job);
		return;
	}
	check_isolation(kl);
	if (turnover_is_due(kl))
		kafka_link_turn_over(kl);
	else if (kl->state == KAFKA_UP && pending_first(&kl->pending) &&
		 !must_wait(kl, pending_first(&kl->pending)->seq))
		loop_timer_start(kl->timer, PENDING_RETRY_MS);
}
