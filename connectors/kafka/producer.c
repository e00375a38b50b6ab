/* SPDX-License-Identifier: Apache-2.0
 *
 * A message under way sits in a slot; its number is the message's opaque in the library, so that nothing is
 * allocated here per message. The slot that has been free for the longest is used next, so they are taken and given back nearly in
 * order, as memory is quickest; a new one only when none is free, so an idle producer touches few pages of them. The next one is
 * fetched ahead: it has not been looked at since tens of thousands of messages.
 */
#include "connectors/kafka/producer.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "connectors/kafka/client.h"
#include "connectors/kafka/library_log.h"
#include "connectors/kafka/record.h"
#include "connectors/kafka/topics.h"
#include "runtime/log.h"

struct slot {
	uint64_t seq;
	struct message *msg; /* NULL: free */
	uint32_t next; /* of the free list */
};

struct kafka_producer {
	const struct kafka_settings *settings;
	struct kafka_producer_host host;
	rd_kafka_t *rk; /* NULL after close */
	rd_kafka_queue_t *events;
	struct kafka_topics *topics;
	struct slot *slots;
	uint32_t capacity, used, in_flight; /* slots: all, ever used, now used */
	uint32_t free_first, free_last; /* slots; free_first == capacity: none */
	uint32_t batch_bytes;
	struct kafka_report reports[KAFKA_REPORTS_AT_ONCE]; /* not told yet */
	size_t n_reports;
	unsigned budget; /* what may still be told of in this turn */
};

/* --- slots ------------------------------------------------------------------------------------------------------------ */

static uint32_t slot_take(struct kafka_producer *producer)
{
	uint32_t i = producer->free_first;
	if (i < producer->capacity) {
		producer->free_first = producer->slots[i].next;
		if (producer->free_first < producer->capacity)
			__builtin_prefetch(&producer->slots[producer->free_first], 1);
	} else {
		assert(producer->used < producer->capacity); /* the window bounds what is sent */
		i = producer->used++;
	}
	producer->in_flight++;
	return i;
}

static void slot_release(struct kafka_producer *producer, uint32_t i)
{
	producer->slots[i].msg = NULL;
	producer->slots[i].next = producer->capacity;
	if (producer->free_first == producer->capacity)
		producer->free_first = i;
	else
		producer->slots[producer->free_last].next = i;
	producer->free_last = i;
	producer->in_flight--;
}

/* --- what comes back --------------------------------------------------------------------------------------------------- */

static void tell(struct kafka_producer *producer)
{
	size_t n = producer->n_reports;
	producer->n_reports = 0;
	if (n)
		producer->host.reported(producer->host.arg, producer->reports, n);
}

/* The rest stays with the library until the next turn, in which it comes behind what was there already. */
static void spend(struct kafka_producer *producer)
{
	if (--producer->budget == 0)
		rd_kafka_yield(producer->rk);
}

static void on_report(rd_kafka_t *rk, const rd_kafka_message_t *report, void *arg)
{
	struct kafka_producer *producer = kafka_client_owner(rk);
	uint32_t i = (uint32_t)((uintptr_t)report->_private - 1);
	(void)arg;
	assert(i < producer->used && producer->slots[i].msg);
	message_prefetch_count(producer->slots[i].msg);
	producer->reports[producer->n_reports++] =
		(struct kafka_report){.seq = producer->slots[i].seq, .msg = producer->slots[i].msg, .err = report->err};
	slot_release(producer, i);
	if (producer->n_reports == KAFKA_REPORTS_AT_ONCE)
		tell(producer);
	spend(producer);
}

static void on_error(rd_kafka_t *rk, int code, const char *text, void *arg)
{
	struct kafka_producer *producer = kafka_client_owner(rk);
	(void)arg;
	tell(producer);
	producer->host.error(producer->host.arg, (rd_kafka_resp_err_t)code, text);
	spend(producer);
}

static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
	const struct kafka_producer *producer = kafka_client_owner(rk);
	kafka_library_log(producer->host.name, level, facility, text);
}

static int on_statistics(rd_kafka_t *rk, char *json, size_t len, void *arg)
{
	const struct kafka_producer *producer = kafka_client_owner(rk);
	(void)arg;
	log_debug("kafka_statistics", "connection=%s json=%.*s", producer->host.name, (int)len, json);
	return 0; /* the library frees it */
}

bool kafka_producer_serve(struct kafka_producer *producer, unsigned budget)
{
	producer->budget = budget;
	rd_kafka_queue_poll_callback(producer->events, 0);
	tell(producer);
	return producer->budget == 0;
}

/* --- life ------------------------------------------------------------------------------------------------------------- */

static uint32_t read_batch_bytes(rd_kafka_t *rk)
{
	char text[32] = "";
	size_t size = sizeof text;
	if (rd_kafka_conf_get(rd_kafka_conf(rk), "batch.size", text, &size) != RD_KAFKA_CONF_OK)
		return UINT32_MAX;
	return (uint32_t)strtoul(text, NULL, 10);
}

int kafka_producer_open(const struct kafka_settings *settings, const struct kafka_limits *limits,
	const struct kafka_producer_host *host, uint32_t capacity, int wake_fd, struct kafka_producer **ret_producer,
	char *errstr, size_t errstr_size)
{
	struct kafka_producer *producer = calloc(1, sizeof *producer);
	rd_kafka_conf_t *conf = NULL;
	int r = -EINVAL;
	if (!producer || !(producer->slots = calloc(capacity, sizeof *producer->slots))) {
		snprintf(errstr, errstr_size, "out of memory");
		r = -ENOMEM;
		goto out;
	}
	producer->settings = settings;
	producer->host = *host;
	producer->capacity = producer->free_first = capacity;
	conf = kafka_settings_conf(settings, limits, errstr, errstr_size);
	if (!conf)
		goto out;
	rd_kafka_conf_set_dr_msg_cb(conf, on_report);
	rd_kafka_conf_set_error_cb(conf, on_error);
	rd_kafka_conf_set_log_cb(conf, on_log);
	rd_kafka_conf_set_stats_cb(conf, on_statistics);
	producer->rk = kafka_client_new(RD_KAFKA_PRODUCER, conf, settings, producer, errstr, errstr_size);
	if (!producer->rk)
		goto out;
	conf = NULL; /* the library's now */
	producer->batch_bytes = read_batch_bytes(producer->rk);
	producer->topics = kafka_topics_new(producer->rk, settings);
	if (!producer->topics) {
		snprintf(errstr, errstr_size, "out of memory");
		r = -ENOMEM;
		goto out;
	}
	rd_kafka_set_log_queue(producer->rk, NULL); /* to the main queue */
	producer->events = rd_kafka_queue_get_main(producer->rk);
	static const uint64_t one = 1;
	rd_kafka_queue_io_event_enable(producer->events, wake_fd, &one, sizeof one);
	*ret_producer = producer;
	return 0;
out:
	if (conf)
		rd_kafka_conf_destroy(conf);
	if (producer) {
		if (producer->rk)
			kafka_producer_close(producer);
		kafka_producer_free(producer);
	}
	return r;
}

void kafka_producer_close(struct kafka_producer *producer)
{
	if (producer->events) {
		rd_kafka_queue_io_event_enable(producer->events, -1, NULL, 0);
		rd_kafka_queue_destroy(producer->events);
	}
	kafka_topics_free(producer->topics);
	/* Without the purge, destroy would wait for brokers that are down. */
	rd_kafka_purge(
		producer->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
	kafka_client_destroy(producer->rk, 0);
	producer->rk = NULL;
}

void kafka_producer_free(struct kafka_producer *producer)
{
	assert(!producer->rk);
	for (uint32_t i = 0; i < producer->used; i++)
		message_unref(producer->slots[i].msg);
	free(producer->slots);
	free(producer);
}

/* The library asks for the cluster's description as soon as a connection is up and we are let in; with a
 * time-out of 0 these functions only look at what is there. */
char *kafka_producer_cluster(const struct kafka_producer *producer)
{
	return rd_kafka_clusterid(producer->rk, 0);
}

void kafka_producer_free_id(const struct kafka_producer *producer, char *id)
{
	if (id)
		rd_kafka_mem_free(producer->rk, id);
}

/* --- sending
 * -------------------------------------------------------------------------------------------------- */

rd_kafka_resp_err_t kafka_producer_send(struct kafka_producer *producer, struct cloudevent_writer *events,
	const uint8_t uuid[16], uint64_t seq, struct message *msg, uint64_t wall_ms, const char **ret_detail)
{
	const struct message_view *view = message_view(msg), *out;
	struct message_view event;
	struct kafka_record record;
	*ret_detail = NULL;
	rd_kafka_topic_t *topic = kafka_topics_get(producer->topics, view->topic, ret_detail);
	if (!topic)
		return RD_KAFKA_RESP_ERR__INVALID_ARG;
	int r = kafka_record_of(
		events, producer->settings, uuid, seq, view, wall_ms, &event, &out, &record, ret_detail);
	if (r < 0)
		return r == -ENOMEM ? RD_KAFKA_RESP_ERR__QUEUE_FULL : RD_KAFKA_RESP_ERR__INVALID_ARG;
	uint32_t slot = slot_take(producer);
	rd_kafka_resp_err_t err =
		kafka_record_produce(producer->rk, topic, out, &record, (void *)((uintptr_t)slot + 1));
	if (err) {
		slot_release(producer, slot);
		return err;
	}
	producer->slots[slot].seq = seq;
	producer->slots[slot].msg = message_ref(msg);
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* --- questions -------------------------------------------------------------------------------------------------------- */

uint32_t kafka_producer_batch_bytes(const struct kafka_producer *producer)
{
	return producer->batch_bytes;
}

uint32_t kafka_producer_in_flight(const struct kafka_producer *producer)
{
	return producer->in_flight;
}

rd_kafka_resp_err_t kafka_producer_fatal(const struct kafka_producer *producer, char *errstr, size_t errstr_size)
{
	return rd_kafka_fatal_error(producer->rk, errstr, errstr_size);
}

rd_kafka_t *kafka_producer_handle(const struct kafka_producer *producer)
{
	return producer->rk;
}

size_t kafka_message_bytes(const struct message_view *view)
{
	size_t bytes = view->key.len + view->payload.len;
	for (size_t i = 0; i < view->n_headers; i++)
		bytes += view->headers[i].name.len + view->headers[i].value.len;
	return bytes;
}
