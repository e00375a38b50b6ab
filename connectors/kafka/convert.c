/* SPDX-License-Identifier: Apache-2.0
 *
 * Kafka's fields into those of a message.
 */
#include "connectors/kafka/convert.h"

#include <string.h>

#include "connectors/kafka/headers.h"
#include "message/endian.h"

static size_t list_headers(const rd_kafka_headers_t *headers, struct kafka_scratch *scratch)
{
	const char *name;
	const void *value;
	size_t size, n = 0;
	while (n < sizeof scratch->headers / sizeof scratch->headers[0] &&
		rd_kafka_header_get_all(headers, n, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR) {
		scratch->headers[n++] = (struct message_field){slice_str(name), slice_of(value, value ? size : 0)};
	}
	return n;
}

/* NULL is Kafka's null, and the absent slice; an empty value has an address. */
static struct slice slice_or_null(const void *data, size_t len)
{
	return data ? slice_of(data, len) : (struct slice){NULL, 0};
}

void kafka_convert(const struct kafka_input *input, int mqtt_headers, uint64_t wall_ms, struct kafka_scratch *scratch,
	struct message_view *ret_view)
{
	const rd_kafka_message_t *msg = input->msg;
	*ret_view = (struct message_view){
		.topic = slice_of(input->partition->topic, input->partition->topic_len),
		.payload = slice_or_null(msg->payload, msg->len),
		.key = slice_or_null(msg->key, msg->key_len),
		.origin_ms = input->timestamp_ms > 0 ? (uint64_t)input->timestamp_ms : wall_ms,
		.qos = input->partition->qos,
	};
	if (!input->headers)
		return;
	ret_view->headers = scratch->headers;
	ret_view->n_headers = kafka_headers_read(
		mqtt_headers, scratch->headers, list_headers(input->headers, scratch), ret_view->origin_ms, ret_view);
}

/* --- fingerprint ------------------------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t hash, uint64_t word) /* the step of MurmurHash64A */
{
	const uint64_t m = UINT64_C(0xc6a4a7935bd1e995);
	word *= m;
	word ^= word >> 47;
	return (hash ^ word * m) * m;
}

static uint64_t mix_bytes(uint64_t hash, const void *data, size_t len)
{
	const uint8_t *bytes = data;
	hash = mix(hash, bytes ? len : UINT64_MAX);
	for (; len >= 8; bytes += 8, len -= 8)
		hash = mix(hash, get_u64(bytes));
	uint8_t rest[8] = {0};
	if (len)
		memcpy(rest, bytes, len);
	return mix(hash, get_u64(rest));
}

uint64_t kafka_fingerprint(const rd_kafka_message_t *msg, int64_t timestamp_ms)
{
	uint64_t hash = mix(UINT64_C(0x6c696e6b7370616e), (uint64_t)timestamp_ms);
	hash = mix_bytes(hash, msg->key, msg->key_len);
	hash = mix_bytes(hash, msg->payload, msg->len);
	hash ^= hash >> 47;
	return hash ? hash : 1;
}
