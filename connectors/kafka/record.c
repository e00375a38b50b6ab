/* SPDX-License-Identifier: Apache-2.0
 *
 * Partition and timestamp from what the target's templates have given, headers from the message.
 */
#include "connectors/kafka/record.h"

#include <errno.h>
#include <string.h>

#include "connectors/kafka/headers.h"
#include "connectors/kafka/timestamp.h"

#define MAX_VALUES 8

static const char wrong_partition[] =
	"the partition is no number from 0 to 2147483647; give the number of one, or leave it to the key";
static const char wrong_timestamp[] = "the timestamp is neither a number of seconds, milliseconds, microseconds or "
				      "nanoseconds since 1970 nor a time as in "
				      "RFC 3339, 2026-11-25T22:58:34Z";

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

/* 0: the library's now. Kafka deletes by timestamp (retention.ms): a record stamped by a clock that had not been set yet
 * would be gone at once. So the message's own time is taken, the time of origin, or now: the first that can be true.
 * False: what should be the message's time is none. */
static bool timestamp_of(const struct message_view *view, int64_t *ret_ms)
{
	struct slice text = message_param(view, "timestamp");
	int64_t ms = 0;
	if (text.data && !kafka_timestamp_read(text, &ms))
		return false;
	if (ms < KAFKA_FIRST_YEAR_MS)
		ms = (int64_t)view->origin_ms;
	*ret_ms = ms < KAFKA_FIRST_YEAR_MS ? 0 : ms;
	return true;
}

const char *kafka_record_make(const struct kafka_settings *settings, const struct message_view *view, uint64_t wall_ms,
	struct kafka_record *ret_record)
{
	struct kafka_record record = {.copied = false};
	if (!parse_partition(message_param(view, "partition"), &record.partition))
		return wrong_partition;
	if (!timestamp_of(view, &record.timestamp_ms))
		return wrong_timestamp;
	uint64_t stamped_ms = record.timestamp_ms ? (uint64_t)record.timestamp_ms : wall_ms;
	record.headers = kafka_headers_make(settings->mqtt_headers, view, stamped_ms, wall_ms);
	*ret_record = record;
	return NULL;
}

/* Kafka binding §3.1: the key is the user's, and without one that of the extension for partitioning. */
static void key_by_event(struct message_view *view)
{
	struct slice key = message_header(view, "ce-partitionkey");
	if (!view->key.data && key.len)
		view->key = key;
}

int kafka_record_of(struct cloudevent_writer *events, const struct kafka_settings *settings, const uint8_t uuid[16],
	uint64_t seq, const struct message_view *view, uint64_t wall_ms, struct message_view *space,
	const struct message_view **ret_view, struct kafka_record *ret_record, const char **ret_wrong)
{
	const struct message_view *out = view;
	if (settings->events.mode != CLOUDEVENTS_OFF) {
		struct message_view keyed = *view;
		key_by_event(&keyed);
		int err = cloudevent_writer_make(events, uuid, seq, &keyed, space, ret_wrong);
		if (err)
			return err;
		out = space;
	}
	*ret_wrong = kafka_record_make(settings, out, wall_ms, ret_record);
	if (*ret_wrong)
		return -EINVAL;
	ret_record->copied = out->payload.data != view->payload.data;
	*ret_view = out;
	return 0;
}

const char *kafka_check_param(const void *arg, const char *name, struct slice value)
{
	const struct kafka_settings *settings = arg;
	const char *wrong = cloudevents_check_param(&settings->events, name);
	if (wrong)
		return wrong;
	int32_t partition;
	int64_t ms;
	if (!value.data)
		return NULL;
	if (strcmp(name, "partition") == 0)
		return parse_partition(value, &partition) ? NULL : wrong_partition;
	if (strcmp(name, "timestamp") == 0)
		return kafka_timestamp_read(value, &ms) ? NULL : wrong_timestamp;
	return NULL;
}

void kafka_record_drop(struct kafka_record *record)
{
	if (record->headers)
		rd_kafka_headers_destroy(record->headers);
	record->headers = NULL;
}

/* The library's type has no const; without F_COPY and F_FREE it only reads. */
static void *unconst(const void *pointer)
{
	return (void *)(uintptr_t)pointer;
}

rd_kafka_resp_err_t kafka_record_produce(rd_kafka_t *rk, rd_kafka_topic_t *topic, const struct message_view *view,
	struct kafka_record *record, void *opaque)
{
	/* Not initialised as a whole: each has room for the largest type that there may ever be. */
	rd_kafka_vu_t values[MAX_VALUES];
	size_t n = 0;
	values[n].vtype = RD_KAFKA_VTYPE_RKT;
	values[n++].u.rkt = topic;
	values[n].vtype = RD_KAFKA_VTYPE_PARTITION;
	values[n++].u.i32 = record->partition;
	values[n].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
	values[n++].u.i = record->copied ? RD_KAFKA_MSG_F_COPY : 0;
	values[n].vtype = RD_KAFKA_VTYPE_VALUE;
	values[n].u.mem.ptr = unconst(view->payload.data);
	values[n++].u.mem.size = view->payload.len;
	values[n].vtype = RD_KAFKA_VTYPE_KEY;
	values[n].u.mem.ptr = unconst(view->key.data);
	values[n++].u.mem.size = view->key.len;
	values[n].vtype = RD_KAFKA_VTYPE_TIMESTAMP;
	values[n++].u.i64 = record->timestamp_ms;
	values[n].vtype = RD_KAFKA_VTYPE_OPAQUE;
	values[n++].u.ptr = opaque;
	if (record->headers) {
		values[n].vtype = RD_KAFKA_VTYPE_HEADERS;
		values[n++].u.headers = record->headers;
	}
	rd_kafka_error_t *error = rd_kafka_produceva(rk, values, n);
	if (!error) {
		record->headers = NULL; /* the library's now */
		return RD_KAFKA_RESP_ERR_NO_ERROR;
	}
	rd_kafka_resp_err_t err =
		rd_kafka_error_is_fatal(error) ? RD_KAFKA_RESP_ERR__FATAL : rd_kafka_error_code(error);
	rd_kafka_error_destroy(error);
	kafka_record_drop(record);
	return err;
}
