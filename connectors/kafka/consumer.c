/* SPDX-License-Identifier: Apache-2.0
 *
 * The thread: it serves the library's events, hands over records while there is room, and looks after what has a time.
 *
 * Records are taken from the library one by one (in 2.0.2 its calls for batches skip some around a seek). All partitions are led into
 * one queue of ours, apart from that of the group: so rebalances are answered, and the group's deadline (max.poll.interval.ms) is
 * kept, while the loop has no room for records. Pausing partitions would throw away what was fetched.
 */
#include "connectors/kafka/consumer_impl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "connectors/kafka/client.h"
#include "connectors/kafka/consumer_conf.h"
#include "connectors/kafka/convert.h"
#include "connectors/kafka/from.h"
#include "connectors/kafka/library_log.h"
#include "connectors/kafka/verdict.h"
#include "runtime/log.h"

#define INPUT_BYTES        256u /* what the library keeps of a record besides its bytes, about */
#define CHUNK_BYTES        (256u * 1024)
#define SPARE_CHUNKS       16u
#define WAIT_MS            1000u
#define CONNECTING_MS      50u
#define WATCH_MS           1000u
#define SETTLE_MS          3000u /* how long a rebalance waits for the disk */
#define EVENTS_PER_TURN    1000u
#define DEFAULT_REFRESH_MS 10000u
#define ROOM_PARTS         4u /* of a full queue */

uint64_t kafka_consumer_now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

bool kafka_consumer_must_stop(struct kafka_consumer *consumer)
{
	struct kafka_handover *handover = &consumer->handover;
	pthread_mutex_lock(&handover->mutex);
	bool stop = handover->orders.stop;
	pthread_mutex_unlock(&handover->mutex);
	return stop;
}

void kafka_consumer_alarm(struct kafka_consumer *consumer, const char *format, ...)
{
	char text[sizeof consumer->handover.news.alarm];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	kafka_handover_alarm(&consumer->handover, text);
}

void kafka_consumer_lose(struct kafka_consumer *consumer, const char *why)
{
	consumer->lost = true;
	kafka_handover_lost(&consumer->handover, why);
}

/* --- chunks ----------------------------------------------------------------------------------------------------- */

static void empty_chunk(struct kafka_chunk *chunk)
{
	for (unsigned i = 0; i < chunk->n; i++)
		if (chunk->inputs[i].event)
			rd_kafka_event_destroy(chunk->inputs[i].event);
	chunk->n = chunk->at = 0;
	chunk->bytes = 0;
}

static void recycle(struct kafka_consumer *consumer, struct kafka_chunk *chunk)
{
	empty_chunk(chunk);
	if (consumer->n_spare == SPARE_CHUNKS) {
		free(chunk);
		return;
	}
	chunk->link = consumer->spare;
	consumer->spare = chunk;
	consumer->n_spare++;
}

static void recycle_list(struct kafka_consumer *consumer, struct kafka_chunk *chunks)
{
	while (chunks) {
		struct kafka_chunk *next = chunks->link;
		recycle(consumer, chunks);
		chunks = next;
	}
}

static void flush(struct kafka_consumer *consumer)
{
	if (consumer->chunk && consumer->chunk->n)
		kafka_handover_push(&consumer->handover, consumer->chunk);
	else if (consumer->chunk)
		recycle(consumer, consumer->chunk);
	consumer->chunk = NULL;
}

/* A place for one more input; NULL when memory is out, which ends the consumer. */
static struct kafka_input *next_input(struct kafka_consumer *consumer, size_t bytes)
{
	struct kafka_chunk *chunk = consumer->chunk;
	if (chunk && (chunk->n == KAFKA_CHUNK_INPUTS || chunk->bytes >= CHUNK_BYTES)) {
		flush(consumer);
		chunk = NULL;
	}
	if (!chunk && consumer->spare) {
		chunk = consumer->spare;
		consumer->spare = chunk->link;
		consumer->n_spare--;
	} else if (!chunk) {
		chunk = malloc(sizeof *chunk);
		if (!chunk) {
			kafka_consumer_lose(consumer, "out of memory");
			return NULL;
		}
		chunk->n = chunk->at = 0;
		chunk->bytes = 0;
	}
	consumer->chunk = chunk;
	chunk->bytes += bytes;
	return &chunk->inputs[chunk->n++];
}

void kafka_consumer_hand_position(struct kafka_consumer *consumer, struct kafka_partition *partition)
{
	struct kafka_input *input = next_input(consumer, INPUT_BYTES);
	if (input)
		*input = (struct kafka_input){.partition = partition,
			.next = partition->next,
			.fingerprint = partition->last_fingerprint,
			.puts = partition->puts};
}

bool kafka_consumer_recall(struct kafka_consumer *consumer, bool settle)
{
	struct kafka_handover *handover = &consumer->handover;
	struct kafka_orders orders;
	if (consumer->chunk)
		recycle(consumer, consumer->chunk);
	consumer->chunk = NULL;
	recycle_list(consumer, kafka_handover_take_all(handover));
	kafka_handover_recall(handover);
	/* The loop never blocks, so it answers; what is on its way to the disk may take its time. */
	while (orders = kafka_handover_orders(handover), !orders.dropped && !orders.stop)
		kafka_handover_wait(handover, WAIT_MS);
	uint64_t until_ms = kafka_consumer_now_ms() + SETTLE_MS, now_ms;
	while (settle && (now_ms = kafka_consumer_now_ms()) < until_ms) {
		orders = kafka_handover_orders(handover);
		if (orders.settled || orders.stop)
			break;
		kafka_handover_wait(handover, until_ms - now_ms);
	}
	recycle_list(consumer, kafka_handover_spent(handover));
	if (!orders.dropped)
		return false;
	kafka_partitions_rewind(consumer->partitions);
	return !orders.stop;
}

/* --- records ---------------------------------------------------------------------------------------------------- */

static struct kafka_partition *partition_of(struct kafka_consumer *consumer, const rd_kafka_message_t *msg)
{
	struct kafka_partition *last = consumer->last_partition;
	if (last && consumer->last_topic == msg->rkt && last->number == msg->partition)
		return last;
	struct kafka_partition *partition =
		kafka_partitions_get(consumer->partitions, rd_kafka_topic_name(msg->rkt), msg->partition);
	consumer->last_topic = msg->rkt;
	consumer->last_partition = partition;
	return partition;
}

/* A thread of the library that finds the queue full sleeps, up to a second, and is not woken when there is room: in 2.0.2 little more than
 * a queue full would come in a second. It is told of each part of a full queue that was taken. */
static void tell_of_room(struct kafka_consumer *consumer)
{
	struct kafka_room *room = &consumer->room;
	if (room->n < room->tell_n && room->bytes < room->tell_bytes)
		return;
	room->n = room->bytes = 0;
	kafka_client_wake(consumer->rk);
}

/* False: it is not wanted. */
static bool hand_over(struct kafka_consumer *consumer, rd_kafka_event_t *event)
{
	const rd_kafka_message_t *msg = rd_kafka_event_message_next(event);
	struct kafka_partition *partition = msg ? partition_of(consumer, msg) : NULL;
	consumer->room.bytes += msg ? msg->len + msg->key_len : 0;
	if (!partition || (partition->state != KAFKA_PARTITION_READING && partition->state != KAFKA_PARTITION_CHECKING))
		return false;
	rd_kafka_timestamp_type_t type;
	int64_t timestamp_ms = rd_kafka_message_timestamp(msg, &type);
	if (type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE)
		timestamp_ms = -1;
	uint64_t offset = (uint64_t)msg->offset, fingerprint = kafka_fingerprint(msg, timestamp_ms);
	if (partition->state == KAFKA_PARTITION_CHECKING &&
		!kafka_check_record(consumer, partition, offset, fingerprint))
		return false;
	if (offset < partition->next) {
		atomic_fetch_add(&consumer->repeated, 1);
		return false;
	}
	struct kafka_input *input = next_input(consumer, msg->len + msg->key_len + INPUT_BYTES);
	if (!input)
		return false;
	rd_kafka_headers_t *headers = NULL;
	if (rd_kafka_message_headers(msg, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
		headers = NULL;
	*input = (struct kafka_input){.event = event,
		.msg = msg,
		.headers = headers,
		.partition = partition,
		.next = offset + 1,
		.fingerprint = fingerprint,
		.puts = partition->puts,
		.timestamp_ms = timestamp_ms};
	partition->next = offset + 1;
	partition->last_fingerprint = fingerprint;
	partition->known = true;
	return true;
}

static void on_partition_error(struct kafka_consumer *consumer, const rd_kafka_topic_partition_t *where,
	rd_kafka_resp_err_t err, const char *text)
{
	struct kafka_partition *partition = kafka_partitions_get(consumer->partitions, where->topic, where->partition);
	if (!partition || (partition->state != KAFKA_PARTITION_READING && partition->state != KAFKA_PARTITION_CHECKING))
		return;
	switch (err) {
	case RD_KAFKA_RESP_ERR__PARTITION_EOF:
		if (partition->state == KAFKA_PARTITION_CHECKING)
			kafka_check_end(partition, (uint64_t)where->offset);
		break;
	case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
	case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
		kafka_doubt(consumer, partition, KAFKA_DOUBT_RANGE);
		break;
	case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
	case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
	case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
		kafka_doubt(consumer, partition, KAFKA_DOUBT_GONE);
		break;
	/* The library goes on behind what it cannot read. We do not. */
	case RD_KAFKA_RESP_ERR__BAD_MSG:
	case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
	case RD_KAFKA_RESP_ERR__UNDERFLOW:
	case RD_KAFKA_RESP_ERR_INVALID_MSG:
		kafka_consumer_alarm(consumer, "%s, offset %llu: %s; it is asked for again until it can be read",
			partition->name, (unsigned long long)partition->next, text);
		kafka_doubt(consumer, partition, KAFKA_DOUBT_DAMAGED);
		break;
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
		kafka_consumer_alarm(consumer, "not authorised to read topic %s", partition->topic);
		break;
	default:
		log_warn("kafka_read_error", "connection=%s partition=%s code=%s text=\"%s\"", consumer->options.name,
			partition->name, rd_kafka_err2name(err), text);
		break;
	}
}

/* What the queue of records holds: up to a chunk of them. Returns whether there was any. */
static bool pump(struct kafka_consumer *consumer)
{
	rd_kafka_event_t *event;
	unsigned n = 0;
	while (n < KAFKA_CHUNK_INPUTS && (!consumer->chunk || consumer->chunk->bytes < CHUNK_BYTES) &&
		(event = rd_kafka_queue_poll(consumer->records, 0)) != NULL) {
		n++;
		if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_FETCH) {
			if (!hand_over(consumer, event))
				rd_kafka_event_destroy(event);
			continue;
		}
		rd_kafka_topic_partition_t *where = rd_kafka_event_topic_partition(event);
		if (where && rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR)
			on_partition_error(
				consumer, where, rd_kafka_event_error(event), rd_kafka_event_error_string(event));
		if (where)
			rd_kafka_topic_partition_destroy(where);
		rd_kafka_event_destroy(event);
	}
	flush(consumer);
	consumer->room.n += n;
	if (n > 0)
		tell_of_room(consumer);
	return n > 0;
}

/* --- events ------------------------------------------------------------------------------------------------------ */

static void on_error(struct kafka_consumer *consumer, rd_kafka_event_t *event)
{
	rd_kafka_resp_err_t err = rd_kafka_event_error(event);
	const char *text = rd_kafka_event_error_string(event);
	char words[400];
	if (rd_kafka_fatal_error(consumer->rk, words, sizeof words)) {
		kafka_consumer_lose(consumer, words);
	} else if (err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
		if (!consumer->brokers_down)
			log_warn("kafka_brokers_down", "connection=%s side=source", consumer->options.name);
		consumer->brokers_down = true;
	} else if (err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || err == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC) {
		kafka_topic_missing(consumer, text); /* of a subscription */
	} else if (err == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED) {
		kafka_consumer_alarm(consumer, "not authorised to read as group %s", consumer->settings->group);
	} else {
		enum kafka_error kind = kafka_client_error(consumer->rk, consumer->up, err, text, words, sizeof words);
		if (kind == KAFKA_ERROR_ALARM)
			kafka_consumer_alarm(consumer, "%s", words);
		else if (kind == KAFKA_ERROR_NOTE)
			log_warn("kafka_error", "connection=%s side=source code=%s text=\"%s\"", consumer->options.name,
				rd_kafka_err2name(err), words);
	}
}

static void on_library_log(struct kafka_consumer *consumer, rd_kafka_event_t *event)
{
	const char *facility, *text;
	int level;
	if (rd_kafka_event_log(event, &facility, &text, &level) == 0)
		kafka_library_log(consumer->options.name, level, facility, text);
}

void kafka_consumer_serve(struct kafka_consumer *consumer, rd_kafka_queue_t *queue)
{
	rd_kafka_event_t *event;
	for (unsigned i = 0; i < EVENTS_PER_TURN && (event = rd_kafka_queue_poll(queue, 0)) != NULL; i++) {
		switch (rd_kafka_event_type(event)) {
		case RD_KAFKA_EVENT_ERROR:
			on_error(consumer, event);
			break;
		case RD_KAFKA_EVENT_LOG:
			on_library_log(consumer, event);
			break;
		case RD_KAFKA_EVENT_STATS:
			log_debug("kafka_statistics", "connection=%s side=source json=%s", consumer->options.name,
				rd_kafka_event_stats(event));
			break;
		case RD_KAFKA_EVENT_REBALANCE:
			kafka_group_rebalance(consumer, event);
			break;
		case RD_KAFKA_EVENT_OFFSET_COMMIT:
			kafka_group_on_commit(consumer, event);
			break;
		case RD_KAFKA_EVENT_FETCH: /* led nowhere: to pass it over would be to lose it */
			kafka_consumer_lose(consumer, "a record has come among the group's events");
			break;
		default:
			break;
		}
		rd_kafka_event_destroy(event);
	}
}

/* --- the thread -------------------------------------------------------------------------------------------------- */

static void lead_into(struct kafka_consumer *consumer, rd_kafka_queue_t *queue)
{
	static const uint64_t one = 1;
	rd_kafka_queue_io_event_enable(queue, consumer->handover.wake_fd, &one, sizeof one);
}

/* What the library makes of a property that is a number above 0; if it is none, the fallback. */
static uint64_t read_number(rd_kafka_t *rk, const char *property, uint64_t fallback)
{
	char text[32] = "";
	size_t size = sizeof text;
	if (rd_kafka_conf_get(rd_kafka_conf(rk), property, text, &size) != RD_KAFKA_CONF_OK)
		return fallback;
	long value = strtol(text, NULL, 10);
	return value > 0 ? (uint64_t)value : fallback;
}

static bool open_consumer(struct kafka_consumer *consumer)
{
	char errstr[512];
	rd_kafka_conf_t *conf = kafka_consumer_conf(consumer->settings, errstr, sizeof errstr);
	if (conf) {
		consumer->rk =
			kafka_client_new(RD_KAFKA_CONSUMER, conf, consumer->settings, NULL, errstr, sizeof errstr);
		if (!consumer->rk)
			rd_kafka_conf_destroy(conf);
	}
	if (!consumer->rk) {
		kafka_consumer_alarm(consumer, "%s", errstr);
		kafka_consumer_lose(consumer, errstr);
		return false;
	}
	rd_kafka_set_log_queue(consumer->rk, NULL); /* to the main queue */
	consumer->refresh_ms = read_number(consumer->rk, "topic.metadata.refresh.interval.ms", DEFAULT_REFRESH_MS);
	consumer->room.tell_n = read_number(consumer->rk, "queued.min.messages", ROOM_PARTS) / ROOM_PARTS;
	consumer->room.tell_bytes = read_number(consumer->rk, "queued.max.messages.kbytes", 1) * 1024 / ROOM_PARTS;
	consumer->events = rd_kafka_queue_get_main(consumer->rk);
	consumer->records = rd_kafka_queue_new(consumer->rk);
	lead_into(consumer, consumer->events);
	lead_into(consumer, consumer->records);
	if (!consumer->settings->group)
		return true;
	consumer->group = rd_kafka_queue_get_consumer(consumer->rk);
	lead_into(consumer, consumer->group);
	kafka_group_join(consumer);
	return true;
}

/* No record may be left when the library is destroyed: it would wait for it. */
static void take_back(struct kafka_consumer *consumer)
{
	if (!kafka_consumer_must_stop(consumer))
		kafka_consumer_recall(consumer, false);
	flush(consumer);
	recycle_list(consumer, kafka_handover_take_all(&consumer->handover));
	recycle_list(consumer, kafka_handover_spent(&consumer->handover));
	while (consumer->spare) {
		struct kafka_chunk *chunk = consumer->spare;
		consumer->spare = chunk->link;
		free(chunk);
	}
	consumer->n_spare = 0;
}

static void close_queue(rd_kafka_queue_t *queue)
{
	rd_kafka_event_t *event;
	rd_kafka_queue_io_event_enable(queue, -1, NULL, 0);
	while ((event = rd_kafka_queue_poll(queue, 0)) != NULL)
		rd_kafka_event_destroy(event);
	rd_kafka_queue_destroy(queue);
}

static void close_consumer(struct kafka_consumer *consumer)
{
	take_back(consumer);
	if (consumer->group)
		kafka_group_leave(consumer);
	for (size_t i = 0; i < consumer->partitions->n; i++)
		kafka_fetch_end(consumer, consumer->partitions->items[i]);
	if (consumer->group)
		close_queue(consumer->group);
	close_queue(consumer->records);
	close_queue(consumer->events);
	kafka_client_destroy(consumer->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
	consumer->rk = NULL;
}

static void look_for_cluster(struct kafka_consumer *consumer)
{
	char *cluster = rd_kafka_clusterid(consumer->rk, 0);
	if (!cluster)
		return;
	consumer->up = true;
	kafka_handover_up(&consumer->handover, cluster);
	rd_kafka_mem_free(consumer->rk, cluster);
}

static void brokers_are_up(struct kafka_consumer *consumer)
{
	if (consumer->brokers_down)
		log_info("kafka_brokers_up", "connection=%s side=source", consumer->options.name);
	consumer->brokers_down = false;
}

static void on_time(struct kafka_consumer *consumer)
{
	uint64_t now_ms = kafka_consumer_now_ms();
	if (!consumer->up)
		look_for_cluster(consumer);
	if (!consumer->up)
		return;
	if (!consumer->group && now_ms >= consumer->next_refresh_ms) {
		kafka_topics_refresh(consumer);
		consumer->next_refresh_ms = kafka_consumer_now_ms() + consumer->refresh_ms;
	}
	if (now_ms >= consumer->next_begin_ms)
		kafka_begin_due(consumer);
	kafka_ask_doubtful(consumer);
	if (now_ms >= consumer->next_watch_ms) {
		kafka_watch(consumer);
		consumer->next_watch_ms = now_ms + WATCH_MS;
	}
	if (consumer->reassign)
		kafka_group_reassign(consumer);
	if (consumer->group && now_ms >= consumer->next_lead_ms)
		kafka_group_lead(consumer);
	flush(consumer); /* positions */
}

static uint64_t wait_ms(const struct kafka_consumer *consumer)
{
	bool soon = !consumer->up || consumer->begins.one_by_one || consumer->doubts.one_by_one ||
		    kafka_consumer_now_ms() < consumer->lead_until_ms;
	return soon ? CONNECTING_MS : WAIT_MS;
}

static void run(struct kafka_consumer *consumer)
{
	while (!consumer->lost) {
		struct kafka_orders orders = kafka_handover_orders(&consumer->handover);
		if (orders.stop)
			break;
		if (orders.commit && consumer->group)
			kafka_group_commit(consumer);
		recycle_list(consumer, kafka_handover_spent(&consumer->handover));
		kafka_consumer_serve(consumer, consumer->events);
		if (consumer->group)
			kafka_consumer_serve(consumer, consumer->group);
		on_time(consumer);
		bool any = !kafka_handover_full(&consumer->handover) && pump(consumer);
		if (any)
			brokers_are_up(consumer);
		else
			kafka_handover_wait(&consumer->handover, wait_ms(consumer));
	}
}

static void *consumer_main(void *arg)
{
	struct kafka_consumer *consumer = arg;
	if (open_consumer(consumer)) {
		run(consumer);
		close_consumer(consumer);
	}
	kafka_handover_ended(&consumer->handover);
	return NULL;
}

/* --- for the loop ------------------------------------------------------------------------------------------------ */

int kafka_consumer_start(const struct kafka_consumer_options *options, struct kafka_consumer **ret_consumer)
{
	struct kafka_consumer *consumer = calloc(1, sizeof *consumer);
	if (!consumer)
		return -ENOMEM;
	consumer->options = *options;
	consumer->settings = options->settings;
	consumer->partitions = options->partitions;
	int r = kafka_handover_init(&consumer->handover, options->loop, options->job,
		(uint64_t)options->settings->hold_messages, options->settings->hold_bytes);
	if (r < 0) {
		free(consumer);
		return r;
	}
	kafka_partitions_rewind(consumer->partitions);
	for (size_t i = 0; i < consumer->partitions->n; i++)
		consumer->partitions->items[i]->assigned = false;
	r = pthread_create(&consumer->thread, NULL, consumer_main, consumer);
	if (r != 0) {
		kafka_handover_fini(&consumer->handover);
		free(consumer);
		return -r;
	}
	*ret_consumer = consumer;
	return 0;
}

struct kafka_handover *kafka_consumer_handover(struct kafka_consumer *consumer)
{
	return &consumer->handover;
}

void kafka_consumer_free(struct kafka_consumer *consumer)
{
	pthread_join(consumer->thread, NULL); /* it has nothing left to do */
	kafka_handover_fini(&consumer->handover);
	free(consumer);
}

void kafka_consumer_abandon(struct kafka_consumer *consumer)
{
	kafka_handover_abandon(&consumer->handover);
	pthread_detach(consumer->thread);
}

uint64_t kafka_consumer_repeated(const struct kafka_consumer *consumer)
{
	return atomic_load(&consumer->repeated);
}
