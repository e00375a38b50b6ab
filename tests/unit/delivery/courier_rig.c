/* SPDX-License-Identifier: Apache-2.0
 *
 * The sink and what drives it.
 */
#include "tests/unit/delivery/courier_rig.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fault(struct rig *rig, const char *what, uint64_t seq)
{
	if (rig->faults++ < 20)
		printf("# sink: %s, seq %" PRIu64 "\n", what, seq);
}

bool rig_in_flight(const struct rig *rig, uint64_t seq)
{
	return seq < rig->link.in_flight_capacity && rig->link.in_flight[seq];
}

static void set_in_flight(struct link *link, uint64_t seq, uint8_t value)
{
	if (seq >= link->in_flight_capacity) {
		size_t capacity = 2 * seq + 64;
		link->in_flight = realloc(link->in_flight, capacity);
		memset(link->in_flight + link->in_flight_capacity, 0, capacity - link->in_flight_capacity);
		link->in_flight_capacity = capacity;
	}
	link->in_flight[seq] = value;
}

static struct slice order_key(const struct rig *rig, uint64_t seq)
{
	return message_view(fake_record(rig->journal, seq)->msg)->order_key;
}

static bool same_unit(const struct rig *rig, uint64_t a, uint64_t b)
{
	return slice_equal(order_key(rig, a), order_key(rig, b)) &&
	       message_view(fake_record(rig->journal, a)->msg)->priority ==
		       message_view(fake_record(rig->journal, b)->msg)->priority;
}

/* What is older, of the same key and priority and undone must be in flight (pipelined, and never refused) or dying, or of
 * the same batch. */
static void check_order(struct rig *rig, uint64_t seq, uint64_t batch_first)
{
	const struct journal *j = rig->journal;
	for (uint64_t older = j->oldest; older < seq; older++) {
		if (fake_record(rig->journal, older)->end != FAKE_UNDONE || !same_unit(rig, older, seq))
			continue;
		if (batch_first && older >= batch_first)
			continue;
		bool flying = rig_in_flight(rig, older);
		bool dying = fake_record(rig->journal, older)->dying;
		if (!dying && !flying)
			fault(rig, "sent before an older one of its key", seq);
		else if (flying && !rig->connector.pipelined_order)
			fault(rig, "two of a key in flight", seq);
		else if (flying && rig->link.in_flight[older] == 2)
			fault(rig, "sent behind one that was refused", seq);
	}
}

static void record(struct link *link, const struct delivery *delivery)
{
	if (link->n_sent == link->sent_capacity) {
		link->sent_capacity = link->sent_capacity ? 2 * link->sent_capacity : 64;
		link->sent = realloc(link->sent, link->sent_capacity * sizeof *link->sent);
	}
	link->sent[link->n_sent++] = (struct rig_sent){
		.seq = delivery->seq,
		.at_ms = loop_now_ms(link->rig->loop),
		.attempt = delivery->attempt,
		.stage = delivery->stage,
		.maybe_sent = delivery->maybe_sent,
		.session_lost = delivery->session_lost,
		.batch_first = delivery->batch_first,
		.batch_last = delivery->batch_last,
	};
}

/* In order, all of it, one at a time. */
static void check_batch(struct rig *rig, const struct delivery *delivery)
{
	struct link *link = &rig->link;
	bool begins = delivery->seq == delivery->batch_first;
	if (delivery->seq < delivery->batch_first || delivery->seq > delivery->batch_last)
		fault(rig, "not of its batch", delivery->seq);
	if (!begins && delivery->seq != link->batch_seq + 1)
		fault(rig, "a batch with a gap", delivery->seq);
	if (begins && link->n_in_flight)
		fault(rig, "two batches in flight", delivery->seq);
	link->batch_seq = delivery->seq;
	if (!fake_journal_has_batch(rig->journal, delivery->batch_first, delivery->batch_last))
		fault(rig, "sent before its bounds were durable", delivery->seq);
}

static void check(struct rig *rig, const struct delivery *delivery)
{
	struct link *link = &rig->link;
	uint64_t seq = delivery->seq;
	if (!link->up)
		fault(rig, "sent while the link is down", seq);
	if (fake_record(rig->journal, seq)->lsn > rig->journal->durable)
		fault(rig, "sent before durable", seq);
	if (fake_record(rig->journal, seq)->end != FAKE_UNDONE)
		fault(rig, "sent though done", seq);
	if (rig_in_flight(rig, seq))
		fault(rig, "sent twice at a time", seq);
	if (delivery->batch_first == 0 && rig->connector.batching)
		fault(rig, "sent without its batch", seq);
	if (delivery->batch_first)
		check_batch(rig, delivery);
	else if (link->n_in_flight >= rig->traits.max_in_flight ||
		 (rig->outbox.window && link->n_in_flight >= rig->outbox.window))
		fault(rig, "beyond the window", seq);
	if (!rig->connector.unordered)
		check_order(rig, seq, delivery->batch_first);
}

static void sink_send(struct link *link, const struct delivery *delivery)
{
	struct rig *rig = link->rig;
	link->sends++;
	if (!link->light) {
		check(rig, delivery);
		record(link, delivery);
		set_in_flight(link, delivery->seq, delivery->attempt > 1 ? 2 : 1);
	}
	if (++link->n_in_flight > link->most_in_flight)
		link->most_in_flight = link->n_in_flight;
	if (rig->on_send)
		rig->on_send(rig, delivery);
}

struct batching rig_batching(const void *settings)
{
	return ((const struct rig *)settings)->batching;
}

static void sink_send_end(struct link *link)
{
	link->send_ends++;
	if (!link->up)
		fault(link->rig, "send_end while the link is down", 0);
}

static void sink_stage_durable(struct link *link, uint64_t seq, uint8_t stage)
{
	link->stages_durable++;
	if (!rig_in_flight(link->rig, seq))
		fault(link->rig, "stage of what is not in flight", seq);
	if (link->rig->on_stage)
		link->rig->on_stage(link->rig, seq, stage);
}

static void sink_settled(struct link *link)
{
	link->settled++;
	if (!link->up)
		fault(link->rig, "settled while the link is down", 0);
}

static void on_room(void *ctx)
{
	((struct rig *)ctx)->rooms++;
}

static int journalled(struct rig *rig, const struct message_view *view, const struct journal_change *finished)
{
	if (rig->reply_error) {
		fake_record(rig->journal, finished->seq)->dying = true; /* out of the order */
		return rig->reply_error;
	}
	if (finished->type != JOURNAL_FINISHED || finished->bytes != fake_record(rig->journal, finished->seq)->bytes)
		fault(rig, "a reply or a value without its DONE", finished->seq);
	snprintf(rig->reply_topic, sizeof rig->reply_topic, "%.*s", (int)view->topic.len,
		(const char *)view->topic.data);
	fake_journal_finish(rig->journal, finished->seq, FAKE_DONE);
	return 0;
}

static int on_reply(void *ctx, const struct message_view *request, const struct message_view *reply,
	const struct journal_change *finished)
{
	struct rig *rig = ctx;
	if (!message_param(request, MESSAGE_REPLY).data)
		fault(rig, "a reply that nobody wants", finished->seq);
	int r = journalled(rig, reply, finished);
	rig->replies += r == 0;
	return r;
}

static int on_value(void *ctx, const struct message_view *value, const struct journal_change *finished)
{
	struct rig *rig = ctx;
	int r = journalled(rig, value, finished);
	if (r == 0 && finished->seq < rig->last_value)
		fault(rig, "a last value that is older than the one before", finished->seq);
	if (r == 0)
		rig->last_value = finished->seq;
	rig->values += r == 0;
	return r;
}

void rig_init(struct rig *rig)
{
	*rig = (struct rig){.loop = loop_new_simulated(RIG_WALL_MS)};
	rig->journal = fake_journal_new(rig->loop);
	rig->outbox = (struct outbox_config){
		.max_bytes = 1u << 30, .backoff_min_ms = 100, .backoff_max_ms = 60000, .lookahead = 10000};
	rig->connector = (struct connector){.name = "scripted",
		.send = sink_send,
		.send_end = sink_send_end,
		.stage_durable = sink_stage_durable,
		.settled = sink_settled};
	rig->traits.max_in_flight = 16;
	rig->link.rig = rig;
}

void rig_start(struct rig *rig)
{
	rig_begin(rig);
	loop_sim_advance(rig->loop, 0);
}

void rig_begin(struct rig *rig)
{
	struct courier_options options = {
		.name = "sink",
		.loop = rig->loop,
		.journal = rig->journal,
		.outbox = &rig->outbox,
		.connector = &rig->connector,
		.settings = rig,
		.link = &rig->link,
		.in_order = rig->in_order,
		.on_room = on_room,
		.on_reply = rig->take_replies ? on_reply : NULL,
		.on_value = rig->take_values ? on_value : NULL,
		.ctx = rig,
	};
	rig->courier = courier_new(&options);
}

static void forget_in_flight(struct link *link)
{
	if (link->in_flight_capacity)
		memset(link->in_flight, 0, link->in_flight_capacity);
	link->n_in_flight = 0;
}

void rig_stop(struct rig *rig)
{
	courier_free(rig->courier);
	rig->courier = NULL;
	rig->link.up = false;
	forget_in_flight(&rig->link);
}

uint64_t rig_fini(struct rig *rig)
{
	uint64_t faults = rig->faults + rig->journal->faults;
	rig_stop(rig);
	if (rig->journal->readers)
		faults++;
	fake_journal_free(rig->journal);
	loop_free(rig->loop);
	free(rig->link.in_flight);
	free(rig->link.sent);
	return faults;
}

struct message_view rig_view(const struct rig *rig, const char *key)
{
	static const struct message_field wanted = {{(const uint8_t *)MESSAGE_REPLY, sizeof MESSAGE_REPLY - 1},
		{(const uint8_t *)"broker", sizeof "broker" - 1}};
	return (struct message_view){
		.topic = slice_str("plant/a"),
		.payload = slice_str("{}"),
		.order_key = slice_str(key),
		.origin_ms = loop_wall_ms(rig->loop),
		.qos = 1,
		.params = &wanted,
		.n_params = rig->want_replies ? 1 : 0,
	};
}

uint64_t rig_append_view(struct rig *rig, struct message_view *view)
{
	struct journal_entry entry = {.view = view};
	uint64_t lsn = fake_journal_append(rig->journal, &entry);
	if (rig->courier)
		courier_appended(rig->courier, &entry, lsn);
	return entry.seq;
}

uint64_t rig_append(struct rig *rig, const char *key)
{
	struct message_view view = rig_view(rig, key);
	return rig_append_view(rig, &view);
}

void rig_durable(struct rig *rig)
{
	fake_journal_commit(rig->journal, rig->journal->appended);
	if (rig->courier)
		courier_durable(rig->courier, rig->journal->durable);
}

void rig_publish(struct rig *rig, size_t n, const char *key)
{
	while (n-- > 0)
		rig_append(rig, key);
	rig_durable(rig);
}

void rig_up(struct rig *rig)
{
	rig->link.up = true;
	courier_link_up(rig->courier, &rig->traits);
}

void rig_down(struct rig *rig)
{
	rig->link.up = false;
	forget_in_flight(&rig->link);
	courier_link_down(rig->courier, "gone");
}

void rig_outcome_full(struct rig *rig, uint64_t seq, const struct outcome *outcome)
{
	if (!rig->link.light) {
		if (!rig_in_flight(rig, seq))
			fault(rig, "the test ends what is not in flight", seq);
		rig->link.in_flight[seq] = 0;
	}
	rig->link.n_in_flight--;
	courier_outcome(rig->courier, seq, outcome);
}

void rig_outcome(struct rig *rig, uint64_t seq, enum outcome_kind kind)
{
	struct outcome outcome = {.kind = kind, .reason = kind == OUTCOME_DELIVERED ? NULL : "because"};
	rig_outcome_full(rig, seq, &outcome);
}

void rig_delivered(struct rig *rig, const uint64_t *seqs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!rig_in_flight(rig, seqs[i]))
			fault(rig, "the test ends what is not in flight", seqs[i]);
		rig->link.in_flight[seqs[i]] = 0;
		fake_record(rig->journal, seqs[i])->dying = true; /* it may be journalled later */
	}
	rig->link.n_in_flight -= (uint32_t)n;
	courier_delivered(rig->courier, seqs, n);
}

void rig_deliver_all(struct rig *rig)
{
	for (bool any = true; any;) {
		any = false;
		for (uint64_t seq = rig->journal->oldest; seq <= rig->journal->n_records; seq++)
			if (rig_in_flight(rig, seq)) {
				rig_outcome(rig, seq, OUTCOME_DELIVERED);
				any = true;
			}
		loop_sim_advance(rig->loop, 0);
	}
}

void rig_deliver_at_once(struct rig *rig, const struct delivery *delivery)
{
	rig_outcome(rig, delivery->seq, OUTCOME_DELIVERED);
}

struct courier_stats rig_stats(const struct rig *rig)
{
	return courier_stats(rig->courier);
}
