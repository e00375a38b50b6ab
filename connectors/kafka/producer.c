/* SPDX-License-Identifier: Apache-2.0
 *
 * A message under way sits in a slot; its number is the message's opaque in the library, so that nothing is
 * allocated here per message. Slots are used from the bottom up, so an idle producer touches few pages of
 * them.
 */
#include "connectors/kafka/producer.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "connectors/kafka/topics.h"
#include "message/markers.h"

#define FIRST_YEAR_MS UINT64_C(1577836800000) /* 2020 */
#define MAX_VALUES    8

struct slot {
	uint64_t seq;
	struct message *msg; /* NULL: free */
	uint32_t next; /* of the free list */
};

struct kafka_producer {
	rd_kafka_t *rk; /* NULL after close */
	rd_kafka_queue_t *events;
	struct kafka_topics *topics;
	struct slot *slots;
	uint32_t capacity, used, in_flight; /* slots: all, ever used, now used */
	uint32_t free_slot; /* capacity: none */
	uint32_t batch_bytes;
};

static uint32_t read_batch_bytes(rd_kafka_t *rk)
{
	char text[32] = "";
	size_t size = sizeof text;
	if (rd_kafka_conf_get(rd_kafka_conf(rk), "batch.size", text, &size) != RD_KAFKA_CONF_OK)
		return UINT32_MAX;
	return (uint32_t)strtoul(text, NULL, 10);
}

int kafka_producer_open(const struct kafka_settings *settings, const struct kafka_limits *limits, uint32_t capacity,
	int wake_fd, struct kafka_producer **ret_producer, char *errstr, size_t errstr_size)
{
	struct kafka_producer *producer = calloc(1, sizeof *producer);
	rd_kafka_conf_t *conf = NULL;
	int r = -EINVAL;
	if (!producer || !(producer->slots = calloc(capacity, sizeof *producer->slots))) {
		snprintf(errstr, errstr_size, "out of memory");
		r = -ENOMEM;
		goto out;
	}
	producer->capacity = producer->free_slot = capacity;
	conf = kafka_settings_conf(settings, limits, errstr, errstr_size);
	if (!conf)
		goto out;
	producer->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, errstr, errstr_size);
	if (!producer->rk)
		goto out;
	conf = NULL; /* the library's now */
	producer->batch_bytes = read_batch_bytes(producer->rk);
	producer->topics = kafka_topics_new(producer->rk);
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
	rd_kafka_destroy(producer->rk);
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

static uint32_t slot_take(struct kafka_producer *producer)
{
	uint32_t i = producer->free_slot;
	if (i < producer->capacity) {
		producer->free_slot = producer->slots[i].next;
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
	producer->slots[i].next = producer->free_slot;
	producer->free_slot = i;
	producer->in_flight--;
}

/* Absent: any partition. Returns false when it is not a partition's number. */
static bool parse_partition(struct slice text, int32_t *ret_partition)
{
	if (!text.data) {
		*ret_partition = RD_KAFKA_PARTITION_UA;
		return true;
	}
	int64_t number = 0;
	if (text.len == 0 || text.len > 10)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		number = number * 10 + (text.data[i] - '0');
	}
	if (number > INT32_MAX)
		return false;
	*ret_partition = (int32_t)number;
	return true;
}

static bool has_content_type(const struct message_view *view)
{
	static const char name[] = "content-type";
	for (size_t i = 0; i < view->n_headers; i++)
		if (view->headers[i].name.len == sizeof name - 1 &&
			strncasecmp((const char *)view->headers[i].name.data, name, sizeof name - 1) == 0)
			return true;
	return false;
}

/* The message's headers, its content type as one (CloudEvents' Kafka binding has it so), and how long it has waited
 * where that is wanted. NULL when there are none. */
static rd_kafka_headers_t *make_headers(const struct message_view *view, uint64_t wall_ms)
{
	bool add_type = view->content_type.data && !has_content_type(view);
	if (view->n_headers == 0 && !add_type && !view->waits)
		return NULL;
	rd_kafka_headers_t *headers = rd_kafka_headers_new(view->n_headers + 2);
	for (size_t i = 0; i < view->n_headers; i++) {
		const struct message_field *field = &view->headers[i];
		rd_kafka_header_add(headers, (const char *)field->name.data, (ssize_t)field->name.len,
			field->value.data, (ssize_t)field->value.len);
	}
	if (add_type)
		rd_kafka_header_add(
			headers, "content-type", -1, view->content_type.data, (ssize_t)view->content_type.len);
	if (view->waits) {
		char text[MARKERS_WAITED_SIZE];
		struct message_field waited = markers_waited(view, wall_ms, text);
		rd_kafka_header_add(headers, MARKER_WAITED, -1, waited.value.data, (ssize_t)waited.value.len);
	}
	return headers;
}

/* The library's type has no const; without F_COPY and F_FREE it only reads. */
static void *unconst(const void *pointer)
{
	return (void *)(uintptr_t)pointer;
}

/* 0: the library's now. Kafka deletes by timestamp (retention.ms): a record stamped by a clock that had not been set yet
 * would be gone at once. */
static int64_t timestamp_ms(const struct message_view *view)
{
	return view->origin_ms < FIRST_YEAR_MS ? 0 : (int64_t)view->origin_ms;
}

/* Takes the headers in every outcome. */
static rd_kafka_resp_err_t produce(struct kafka_producer *producer, const struct message_view *view,
	rd_kafka_topic_t *topic, int32_t partition, rd_kafka_headers_t *headers, uint32_t slot)
{
	rd_kafka_vu_t values[MAX_VALUES] = {
		{.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = topic},
		{.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = partition},
		{.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = 0},
		{.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {unconst(view->payload.data), view->payload.len}},
		{.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {unconst(view->key.data), view->key.len}},
		{.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = timestamp_ms(view)},
		{.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = (void *)((uintptr_t)slot + 1)},
	};
	size_t n = 7;
	if (headers)
		values[n++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers};
	rd_kafka_error_t *error = rd_kafka_produceva(producer->rk, values, n);
	if (!error)
		return RD_KAFKA_RESP_ERR_NO_ERROR;
	rd_kafka_resp_err_t err =
		rd_kafka_error_is_fatal(error) ? RD_KAFKA_RESP_ERR__FATAL : rd_kafka_error_code(error);
	rd_kafka_error_destroy(error);
	if (headers)
		rd_kafka_headers_destroy(headers);
	return err;
}

rd_kafka_resp_err_t kafka_producer_send(
	struct kafka_producer *producer, uint64_t seq, struct message *msg, uint64_t wall_ms, const char **ret_detail)
{
	const struct message_view *view = message_view(msg);
	int32_t partition;
	*ret_detail = NULL;
	if (!parse_partition(message_param(view, "partition"), &partition)) {
		*ret_detail = "the partition is not a number";
		return RD_KAFKA_RESP_ERR__INVALID_ARG;
	}
	rd_kafka_topic_t *topic = kafka_topics_get(producer->topics, view->topic);
	if (!topic) {
		*ret_detail = "the topic is not a legal Kafka topic";
		return RD_KAFKA_RESP_ERR__INVALID_ARG;
	}
	uint32_t slot = slot_take(producer);
	rd_kafka_resp_err_t err = produce(producer, view, topic, partition, make_headers(view, wall_ms), slot);
	if (err) {
		slot_release(producer, slot);
		return err;
	}
	producer->slots[slot].seq = seq;
	producer->slots[slot].msg = message_ref(msg);
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* --- what comes back
 * ------------------------------------------------------------------------------------------ */

rd_kafka_event_t *kafka_producer_poll(struct kafka_producer *producer)
{
	return rd_kafka_queue_poll(producer->events, 0);
}

struct message *kafka_producer_take(
	struct kafka_producer *producer, const rd_kafka_message_t *report, uint64_t *ret_seq)
{
	uint32_t i = (uint32_t)((uintptr_t)report->_private - 1);
	assert(i < producer->used && producer->slots[i].msg);
	struct message *msg = producer->slots[i].msg;
	*ret_seq = producer->slots[i].seq;
	slot_release(producer, i);
	return msg;
}

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
