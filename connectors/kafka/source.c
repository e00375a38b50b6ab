/* SPDX-License-Identifier: Apache-2.0
 *
 * Offers, marks, and the life of consumers.
 *
 * What is durable matters to a group alone, once a second: a mark is an offer of nothing, whose receipt says that all before it is
 * on disk. So records need no receipts of their own; the last of a chunk asks for one, by which the host measures how long the disk takes and
 * a stop waits for it.
 */
#include "connectors/kafka/source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/common/cloudevent_read.h"
#include "connectors/kafka/backoff.h"
#include "connectors/kafka/consumer.h"
#include "connectors/kafka/convert.h"
#include "runtime/failpoint.h"
#include "runtime/log.h"

#define ALARM_AGAIN_MS 60000u
#define MARK_MS        1000u
#define CLOSE_MS       15000u /* longer than leaving a group and a commit take; name resolution may hang longer */

enum source_state { SOURCE_IDLE, SOURCE_RUNNING, SOURCE_WAITING, SOURCE_STOPPED };

struct partition_list {
	struct kafka_partition **items;
	size_t n, capacity;
};

struct kafka_source {
	struct link_host *host;
	enum source_state state;
	struct kafka_consumer_options options;
	struct kafka_partitions partitions;
	struct kafka_consumer *consumer; /* while RUNNING */
	struct kafka_chunk *chunk; /* being offered; NULL: none */
	bool refused; /* the input at chunk->at: only its position is still to be offered */
	bool paused, intake_stopped, stopping, announced;
	bool abandoned; /* the partitions are a thread's that did not end */
	unsigned failures; /* consumers lost in a row, for the back-off */
	struct loop_job job;
	struct loop_timer *timer; /* back-off; while stopping: how long the consumer may take */

	struct loop_timer *mark_timer; /* with a group */
	struct partition_list listed; /* of which more was offered since the last mark */
	struct partition_list marked; /* those that the mark is about */
	bool mark_open;
	uint64_t mark; /* cookie of the last one; 0 is that of records */
	bool recalled; /* the thread waits for what was offered to be durable */

	char alarm[512]; /* the last one */
	uint64_t alarm_ms;
	uint64_t repeated, refused_records, resets; /* counters; of consumers before this one in `repeated` */
	struct cloudevent_reader events;
	struct kafka_scratch scratch;
};

static struct kafka_source *source_of(struct link *link)
{
	return (struct kafka_source *)(void *)link;
}

static void source_alarm(struct kafka_source *source, const char *what)
{
	uint64_t now_ms = loop_now_ms(source->options.loop);
	if (strncmp(source->alarm, what, sizeof source->alarm - 1) == 0 && now_ms - source->alarm_ms < ALARM_AGAIN_MS)
		return;
	snprintf(source->alarm, sizeof source->alarm, "%s", what);
	source->alarm_ms = now_ms;
	source->host->ops->alarm(source->host, what);
}

/* --- what is durable ---------------------------------------------------------------------------------------------- */

static bool list_add(struct partition_list *list, struct kafka_partition *partition)
{
	if (list->n == list->capacity) {
		size_t capacity = list->capacity ? list->capacity * 2 : 16;
		void *items = realloc(list->items, capacity * sizeof(void *));
		if (!items)
			return false;
		list->items = items;
		list->capacity = capacity;
	}
	list->items[list->n++] = partition;
	return true;
}

/* With a group: more of it was offered. Without memory it is committed later, with the next record. */
static void list_partition(struct kafka_source *source, struct kafka_partition *partition)
{
	if (!partition->listed && source->mark_timer)
		partition->listed = list_add(&source->listed, partition);
}

static void set_mark(struct kafka_source *source)
{
	if (!source->mark_timer || source->mark_open || source->listed.n == 0)
		return;
	struct offer offer = {.subscription = -1, .cookie = source->mark + 1};
	if (source->host->ops->offer(source->host, &offer) != OFFER_TAKEN)
		return;
	source->mark++;
	source->mark_open = true;
	struct partition_list empty = source->marked;
	source->marked = source->listed;
	source->listed = empty;
	source->listed.n = 0;
	for (size_t i = 0; i < source->marked.n; i++) {
		struct kafka_partition *partition = source->marked.items[i];
		partition->marked = (struct kafka_place){
			(int64_t)partition->position, partition->fingerprint, partition->position_puts};
		partition->listed = false;
	}
}

static void give_back_chunk(struct kafka_source *source)
{
	if (source->chunk)
		kafka_handover_return(kafka_consumer_handover(source->consumer), source->chunk);
	source->chunk = NULL;
	source->refused = false;
}

static void answer_recall(struct kafka_source *source)
{
	if (!source->recalled || !source->consumer)
		return;
	give_back_chunk(source); /* the question may have come a moment ago */
	bool settled = source->listed.n == 0 && !source->mark_open;
	kafka_handover_answer(kafka_consumer_handover(source->consumer), settled);
	source->recalled = !settled;
	set_mark(source);
}

static void mark_is_durable(struct kafka_source *source)
{
	source->mark_open = false;
	for (size_t i = 0; i < source->marked.n; i++)
		kafka_partition_set_durable(source->marked.items[i], source->marked.items[i]->marked);
	source->marked.n = 0;
	if (source->consumer)
		kafka_handover_order_commit(kafka_consumer_handover(source->consumer));
	answer_recall(source);
	if (source->intake_stopped)
		set_mark(source); /* what came behind this one; no timer waits for it */
}

static void on_mark_timer(void *arg)
{
	struct kafka_source *source = arg;
	set_mark(source);
	loop_timer_start(source->mark_timer, MARK_MS);
}

static void source_receipt(struct link *link, uint64_t cookie, enum receipt receipt)
{
	struct kafka_source *source = source_of(link);
	if (receipt == RECEIPT_DURABLE && source->mark_open && cookie == source->mark)
		mark_is_durable(source);
}

static void source_receipts_end(struct link *link)
{
	(void)link; /* commits are a matter of seconds */
}

/* The mark's receipt will not come: another mark. */
static void source_receipts_lost(struct link *link)
{
	struct kafka_source *source = source_of(link);
	if (!source->mark_open)
		return;
	source->mark_open = false;
	for (size_t i = 0; i < source->marked.n; i++)
		list_partition(source, source->marked.items[i]);
	source->marked.n = 0;
	set_mark(source);
}

/* --- offers -------------------------------------------------------------------------------------------------------- */

static void moved(struct kafka_source *source, const struct kafka_input *input)
{
	struct kafka_partition *partition = input->partition;
	partition->has_position = true;
	partition->position = input->next;
	partition->fingerprint = input->fingerprint;
	partition->position_puts = input->puts;
	list_partition(source, partition);
}

static bool offer_position(struct kafka_source *source, const struct kafka_input *input)
{
	struct offer offer = {
		.change = {.type = CHANGE_POSITION,
			.position = input->next,
			.hash = input->fingerprint,
			.blob = slice_str(input->partition->name)},
		.subscription = -1,
		.no_receipt = true,
	};
	if (source->host->ops->offer(source->host, &offer) == OFFER_BUSY)
		return false;
	moved(source, input);
	return true;
}

/* False: not now. */
static bool offer_record(struct kafka_source *source, const struct kafka_input *input, bool with_receipt)
{
	struct message_view view;
	kafka_convert(input, source->options.settings->mqtt_headers, loop_wall_ms(source->options.loop),
		&source->scratch, &view);
	cloudevent_reader_read(&source->events, false, &view);
	struct offer offer = {
		.view = &view,
		.change = {.type = CHANGE_POSITION,
			.position = input->next,
			.hash = input->fingerprint,
			.blob = slice_str(input->partition->name)},
		.subscription = -1,
		.no_receipt = !with_receipt,
	};
	FAILPOINT("kafka.before_offer");
	enum offer_result result = source->host->ops->offer(source->host, &offer);
	FAILPOINT("kafka.after_offer");
	if (result == OFFER_BUSY)
		return false;
	if (result == OFFER_REFUSED) {
		log_warn("kafka_record_refused", "connection=%s partition=%s offset=%llu", source->options.name,
			input->partition->name, (unsigned long long)input->next - 1);
		source->refused_records++;
		source->refused = true;
		return offer_position(source, input);
	}
	moved(source, input);
	return true;
}

static bool offer_input(struct kafka_source *source, const struct kafka_input *input, bool last)
{
	const struct kafka_partition *partition = input->partition;
	if (source->refused)
		return offer_position(source, input);
	if (!input->event) {
		source->resets += partition->has_position;
		return offer_position(source, input);
	}
	if (partition->has_position && input->next <= partition->position) {
		source->repeated++;
		return true;
	}
	return offer_record(source, input, last);
}

static bool is_taking(const struct kafka_source *source)
{
	return source->state == SOURCE_RUNNING && !source->paused && !source->intake_stopped && !source->stopping;
}

/* One chunk in one turn of the loop. */
static void offer_chunk(struct kafka_source *source)
{
	if (!source->chunk) {
		source->chunk = kafka_handover_pop(kafka_consumer_handover(source->consumer));
		if (source->chunk)
			source->recalled = false; /* the thread goes on: it waits for the disk no longer */
	}
	struct kafka_chunk *chunk = source->chunk;
	if (!chunk)
		return;
	for (; chunk->at < chunk->n; chunk->at++) {
		if (!is_taking(source) || !offer_input(source, &chunk->inputs[chunk->at], chunk->at + 1 == chunk->n))
			return;
		source->refused = false;
	}
	source->failures = 0;
	give_back_chunk(source);
	loop_post(source->options.loop, &source->job); /* there may be more */
}

/* --- consumers ------------------------------------------------------------------------------------------------------ */

static void finish(struct kafka_source *source)
{
	source->state = SOURCE_STOPPED;
	loop_timer_stop(source->timer);
	if (source->mark_timer)
		loop_timer_stop(source->mark_timer);
	loop_cancel(source->options.loop, &source->job);
	source->host->ops->stopped(source->host); /* may free us */
}

static void wait_and_begin(struct kafka_source *source)
{
	source->failures++;
	source->state = SOURCE_WAITING;
	loop_timer_start(source->timer, kafka_backoff_ms(source->failures));
}

static void begin(struct kafka_source *source)
{
	int r = kafka_consumer_start(&source->options, &source->consumer);
	source->state = SOURCE_RUNNING;
	if (r == 0)
		return;
	log_error("kafka_no_thread", "connection=%s error=%d", source->options.name, -r);
	wait_and_begin(source);
}

static void on_timer(void *arg)
{
	struct kafka_source *source = arg;
	if (source->state == SOURCE_WAITING) {
		begin(source);
	} else if (source->stopping && source->consumer) {
		log_warn("kafka_close_abandoned",
			"connection=%s what=\"the library does not end; it is left to the end of the process\"",
			source->options.name);
		kafka_consumer_abandon(source->consumer);
		source->consumer = NULL;
		source->abandoned = true;
		finish(source);
	}
}

static void on_ended(struct kafka_source *source, const char *why)
{
	source->repeated += kafka_consumer_repeated(source->consumer);
	kafka_consumer_free(source->consumer);
	source->consumer = NULL;
	source->recalled = false;
	if (source->stopping) {
		finish(source);
		return;
	}
	log_warn("kafka_consumer_replaced", "connection=%s reason=\"%s\"", source->options.name, why);
	wait_and_begin(source);
	if (!source->announced)
		return;
	source->announced = false;
	source->host->ops->link_down(source->host, why);
	source_receipts_lost((struct link *)(void *)source);
}

static void on_up(struct kafka_source *source, const char *cluster)
{
	log_info("kafka_connected", "connection=%s cluster=%s side=source", source->options.name, cluster);
	if (source->announced)
		return;
	source->announced = true;
	static const struct sink_traits traits = {.max_in_flight = 1};
	source->host->ops->link_up(source->host, &traits);
}

static void on_news(void *arg)
{
	struct kafka_source *source = arg;
	if (source->state != SOURCE_RUNNING || !source->consumer)
		return;
	struct kafka_news news = kafka_handover_news(kafka_consumer_handover(source->consumer));
	if (news.recall) {
		source->recalled = true;
		answer_recall(source);
	}
	if (news.ended) {
		on_ended(source, news.lost);
		return;
	}
	if (source->stopping)
		return;
	if (news.up)
		on_up(source, news.cluster);
	if (news.alarm[0])
		source_alarm(source, news.alarm);
	if (is_taking(source))
		offer_chunk(source);
}

/* --- the table ----------------------------------------------------------------------------------------------------- */

static void source_destroy(struct link *link)
{
	struct kafka_source *source = source_of(link);
	loop_cancel(source->options.loop, &source->job);
	loop_timer_free(source->timer);
	loop_timer_free(source->mark_timer);
	free(source->listed.items);
	free(source->marked.items);
	cloudevent_reader_free(&source->events);
	if (source->abandoned)
		return; /* the thread still reads the partitions */
	kafka_partitions_fini(&source->partitions);
	free(source);
}

static int source_create(const struct link_spec *spec, struct link_host *host, struct link **ret_part)
{
	const struct kafka_settings *settings = spec->settings;
	struct kafka_source *source = calloc(1, sizeof *source);
	if (!source)
		return -ENOMEM;
	source->host = host;
	source->options = (struct kafka_consumer_options){
		.name = spec->name,
		.settings = settings,
		.loop = spec->loop,
		.job = &source->job,
		.subscriptions = spec->subscriptions,
		.n_subscriptions = spec->n_subscriptions,
		.partitions = &source->partitions,
	};
	source->events = (struct cloudevent_reader){
		.on = settings->events.read, .binding = &cloudevent_kafka, .connection = spec->name};
	loop_job_init(&source->job, on_news, source);
	source->timer = loop_timer_new(spec->loop, on_timer, source);
	if (settings->group)
		source->mark_timer = loop_timer_new(spec->loop, on_mark_timer, source);
	if (!source->timer || (settings->group && !source->mark_timer)) {
		source_destroy((struct link *)(void *)source);
		return -ENOMEM;
	}
	*ret_part = (struct link *)(void *)source;
	return 0;
}

static void recover_position(struct slice name, uint64_t position, uint64_t hash, void *arg)
{
	struct kafka_source *source = arg;
	struct kafka_partition *partition = kafka_partitions_named(&source->partitions, name);
	if (!partition) {
		log_error("kafka_position",
			"connection=%s partition=\"%.*s\" what=\"a position that is no partition's\"",
			source->options.name, (int)name.len, (const char *)name.data);
		return;
	}
	partition->has_position = true;
	partition->position = position;
	partition->fingerprint = hash;
}

static void source_start(struct link *link, const struct link_recovery *recovery)
{
	struct kafka_source *source = source_of(link);
	recovery->positions(recovery, recover_position, source);
	if (source->mark_timer)
		loop_timer_start(source->mark_timer, MARK_MS);
	begin(source);
}

static void source_pause(struct link *link)
{
	source_of(link)->paused = true;
}

static void source_resume(struct link *link)
{
	struct kafka_source *source = source_of(link);
	source->paused = false;
	loop_post(source->options.loop, &source->job);
}

/* What is in hand was not offered, so it is read again. */
static void source_stop_intake(struct link *link)
{
	struct kafka_source *source = source_of(link);
	source->intake_stopped = true;
	give_back_chunk(source);
	set_mark(source);
}

static void source_stop(struct link *link)
{
	struct kafka_source *source = source_of(link);
	if (source->stopping)
		return;
	source->stopping = true;
	if (source->mark_timer)
		loop_timer_stop(source->mark_timer);
	if (!source->consumer) {
		finish(source);
		return;
	}
	give_back_chunk(source);
	loop_timer_start(source->timer, CLOSE_MS);
	kafka_handover_order_stop(kafka_consumer_handover(source->consumer));
}

static void source_counters(const struct link *link, void (*fn)(const char *name, uint64_t value, void *arg), void *arg)
{
	const struct kafka_source *source = (const struct kafka_source *)(const void *)link;
	uint64_t repeated = source->repeated;
	if (source->consumer)
		repeated += kafka_consumer_repeated(source->consumer);
	fn("records_repeated", repeated, arg);
	fn("records_refused", source->refused_records, arg);
	fn("positions_set", source->resets, arg);
	if (source->options.settings->events.read)
		fn("events_broken", source->events.broken, arg);
}

const struct kafka_part_ops kafka_source_part = {
	.create = source_create,
	.start = source_start,
	.stop_intake = source_stop_intake,
	.stop = source_stop,
	.destroy = source_destroy,
	.counters = source_counters,
	.pause = source_pause,
	.resume = source_resume,
	.receipt = source_receipt,
	.receipts_end = source_receipts_end,
	.receipts_lost = source_receipts_lost,
};
