/* SPDX-License-Identifier: Apache-2.0 */
#include "message/message.h"

#include <errno.h>
#include <stdlib.h>

#include "tests/unit/tap.h"

static const struct message_field headers[] = {
	{{(const uint8_t *)"site", 4}, {(const uint8_t *)"a", 1}},
	{{(const uint8_t *)"null", 4}, {NULL, 0}},
	{{(const uint8_t *)"", 0}, {(const uint8_t *)"", 0}},
};
static const struct message_field params[] = {{{(const uint8_t *)"partition", 9}, {(const uint8_t *)"3", 1}}};

static struct message_view full_view(void)
{
	return (struct message_view){
		.topic = slice_str("plant/a/7"),
		.payload = slice_of("\0\xff\n", 3),
		.content_type = slice_str("application/octet-stream"),
		.key = slice_str(""),
		.order_key = slice_str("plant/a/7"),
		.response_topic = slice_str("answers"),
		.correlation = slice_of("\0\1", 2),
		.headers = headers,
		.n_headers = 3,
		.params = params,
		.n_params = 1,
		.origin_ms = 1700000000123,
		.expires_ms = 1700000009999,
		.qos = 2,
		.retain = true,
		.utf8_payload = true,
		.waits = true,
		.priority = 5,
		.queued_ms = 1700000008888,
	};
}

static struct message *round_trip(const struct message_view *view)
{
	size_t len = message_encoded_size(view);
	uint8_t *bytes = malloc(len);
	message_encode(view, bytes);
	struct message *msg = NULL;
	CU_ASSERT_EQUAL(message_decode(slice_of(bytes, len), &msg), 0);
	free(bytes);
	return msg;
}

static void test_round_trip(void)
{
	struct message_view in = full_view();
	struct message *msg = round_trip(&in);
	CU_ASSERT_PTR_NOT_NULL_FATAL(msg);
	const struct message_view *out = message_view(msg);
	CU_ASSERT(slice_equal(out->topic, in.topic));
	CU_ASSERT(slice_equal(out->payload, in.payload));
	CU_ASSERT(slice_equal(out->content_type, in.content_type));
	CU_ASSERT(out->key.data && out->key.len == 0);
	CU_ASSERT(slice_equal(out->correlation, in.correlation));
	CU_ASSERT(!out->reject_reason.data);
	CU_ASSERT_EQUAL(out->n_headers, 3);
	CU_ASSERT(slice_equal(message_header(out, "site"), slice_str("a")));
	CU_ASSERT(!out->headers[1].value.data);
	CU_ASSERT(out->headers[2].value.data != NULL);
	CU_ASSERT(slice_equal(message_param(out, "partition"), slice_str("3")));
	CU_ASSERT_EQUAL(out->origin_ms, in.origin_ms);
	CU_ASSERT_EQUAL(out->expires_ms, in.expires_ms);
	CU_ASSERT_EQUAL(out->queued_ms, in.queued_ms);
	CU_ASSERT(out->qos == 2 && out->retain && out->utf8_payload && out->waits && out->priority == 5);
	message_unref(msg);
}

static void test_null_and_empty_payload_differ(void)
{
	struct message_view view = {.topic = slice_str("t")};
	struct message *msg = round_trip(&view);
	CU_ASSERT(!message_view(msg)->payload.data);
	message_unref(msg);
	view.payload = slice_str("");
	msg = round_trip(&view);
	CU_ASSERT(message_view(msg)->payload.data && message_view(msg)->payload.len == 0);
	message_unref(msg);
}

/* Old encodings have no priority: what is not said is the default. */
static void test_priority(void)
{
	struct message_view view = {.topic = slice_str("t")};
	size_t plain = message_encoded_size(&view);
	for (int priority = 0; priority <= MESSAGE_MAX_PRIORITY; priority++) {
		view.priority = (int8_t)(priority - MESSAGE_DEFAULT_PRIORITY);
		CU_ASSERT_EQUAL(message_encoded_size(&view) == plain, priority == MESSAGE_DEFAULT_PRIORITY);
		struct message *msg = round_trip(&view);
		CU_ASSERT_PTR_NOT_NULL_FATAL(msg);
		CU_ASSERT_EQUAL(message_view(msg)->priority, view.priority);
		message_unref(msg);
	}
	uint8_t bytes[64];
	view.priority = 5;
	size_t len = message_encoded_size(&view);
	message_encode(&view, bytes);
	CU_ASSERT_EQUAL_FATAL(bytes[len - 1], 9);
	bytes[len - 1] = 10;
	struct message *msg;
	CU_ASSERT_EQUAL(message_decode(slice_of(bytes, len), &msg), -EBADMSG);
	bytes[len - 6] = 99; /* an unknown tag is skipped */
	CU_ASSERT_EQUAL_FATAL(message_decode(slice_of(bytes, len), &msg), 0);
	CU_ASSERT_EQUAL(message_view(msg)->priority, 0);
	message_unref(msg);
}

static void test_limits(void)
{
	struct message_view view = {.topic = slice_str("t"), .payload = slice_of("x", MESSAGE_MAX_PAYLOAD + 1)};
	CU_ASSERT_PTR_NULL(message_new(&view));
	CU_ASSERT_EQUAL(message_encoded_size(&view), 0);
}

/* Every prefix and every flipped byte of an encoding either decodes to some message or is refused; nothing is read
 * outside (the sanitizers watch). */
static void test_hostile_bytes(void)
{
	struct message_view view = full_view();
	size_t len = message_encoded_size(&view);
	uint8_t *bytes = malloc(len);
	message_encode(&view, bytes);
	unsigned refused = 0;
	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *copy = malloc(cut + 1); /* exact size, so that an overrun is seen */
		memcpy(copy, bytes, cut);
		struct message *msg = NULL;
		int r = message_decode(slice_of(copy, cut), &msg);
		CU_ASSERT(r == 0 || r == -EBADMSG);
		refused += r != 0;
		message_unref(msg);
		free(copy);
	}
	CU_ASSERT(refused > len / 2);
	for (size_t i = 0; i < len * 8; i++) {
		bytes[i / 8] ^= (uint8_t)(1u << i % 8);
		struct message *msg = NULL;
		int r = message_decode(slice_of(bytes, len), &msg);
		CU_ASSERT(r == 0 || r == -EBADMSG);
		message_unref(msg);
		bytes[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	free(bytes);
}

#define MANY 1000u

/* They share memory, and each lives as long as it is wanted, whatever has become of its neighbours. */
static void test_decode_many(void)
{
	struct message *msgs[MANY];
	struct message_decoder decoder = {NULL};
	char topic[2000];
	memset(topic, 't', sizeof topic);
	for (size_t i = 0; i < MANY; i++) {
		struct message_view view = full_view();
		view.topic = slice_of(topic, 1 + i * 7 % (sizeof topic - 1));
		view.origin_ms = i;
		size_t len = message_encoded_size(&view);
		uint8_t *bytes = malloc(len);
		message_encode(&view, bytes);
		CU_ASSERT_EQUAL_FATAL(message_decoder_next(&decoder, slice_of(bytes, len), &msgs[i]), 0);
		struct message *none = NULL;
		CU_ASSERT_EQUAL(message_decoder_next(&decoder, slice_of(bytes, len - 1), &none), -EBADMSG);
		free(bytes);
	}
	message_decoder_end(&decoder);
	for (size_t i = 0; i < MANY; i += 2)
		message_unref(msgs[i]);
	for (size_t i = 1; i < MANY; i += 2) {
		struct message *kept = message_keep(msgs[i]);
		message_unref(msgs[i]);
		CU_ASSERT_PTR_NOT_NULL_FATAL(kept);
		const struct message_view *view = message_view(kept);
		CU_ASSERT(slice_equal(view->topic, slice_of(topic, 1 + i * 7 % (sizeof topic - 1))));
		CU_ASSERT(slice_equal(view->payload, full_view().payload));
		CU_ASSERT(slice_equal(message_header(view, "site"), slice_str("a")));
		CU_ASSERT_EQUAL(view->origin_ms, i);
		CU_ASSERT(message_memory(kept) > view->topic.len);
		message_unref(kept);
	}
}

/* A message of a topic and that many headers; the last one says that its name is longer than all of it, if it is to be broken. */
static int decode_headers(size_t n, bool broken)
{
	static const struct message_field field = {
		.name = {(const uint8_t *)"n", 1}, .value = {(const uint8_t *)"v", 1}};
	struct message_view view = {.topic = slice_str("t")};
	const size_t tlv = 5 + 5 + 2;
	size_t base = message_encoded_size(&view), len = base + n * tlv;
	uint8_t *bytes = malloc(len);
	message_encode(&view, bytes);
	view.headers = &field;
	view.n_headers = 1;
	uint8_t one[64];
	CU_ASSERT_EQUAL_FATAL(message_encoded_size(&view), base + tlv);
	message_encode(&view, one);
	for (size_t i = 0; i < n; i++)
		memcpy(bytes + base + i * tlv, one + base, tlv);
	if (broken)
		bytes[len - tlv + 5] = 200;
	struct message_decoder decoder = {NULL};
	struct message *msg = NULL;
	int r = message_decoder_next(&decoder, slice_of(bytes, len), &msg);
	free(bytes);
	message_decoder_end(&decoder);
	if (msg)
		CU_ASSERT_TRUE(message_view(msg)->n_headers == n &&
			       slice_equal(message_header(message_view(msg), "n"), slice_str("v")));
	message_unref(msg);
	return r;
}

static void test_decode_fields(void)
{
	CU_ASSERT_EQUAL(decode_headers(3, false), 0);
	CU_ASSERT_EQUAL(decode_headers(3, true), -EBADMSG);
	CU_ASSERT_EQUAL(decode_headers(MESSAGE_MAX_FIELDS, false), 0);
	CU_ASSERT_EQUAL(decode_headers(MESSAGE_MAX_FIELDS + 1, false), -EBADMSG);
}

static void test_keep(void)
{
	struct message_view view = full_view();
	struct message *msg = message_new(&view), *kept = message_keep(msg);
	CU_ASSERT(kept == msg); /* its memory is its own */
	message_unref(kept);
	message_unref(msg);
}

static void test_reference_counts(void)
{
	struct message_view view = full_view();
	struct message *msg = message_new(&view);
	CU_ASSERT_PTR_NOT_NULL_FATAL(msg);
	CU_ASSERT(message_ref(msg) == msg);
	message_unref(msg);
	CU_ASSERT(slice_equal(message_view(msg)->topic, view.topic));
	message_unref(msg);
	message_unref(NULL);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"encode and decode give the same message", test_round_trip},
		{"a null payload is not an empty one", test_null_and_empty_payload_differ},
		{"the priority, if it is not the default", test_priority},
		{"sizes past the limits are refused", test_limits},
		{"hostile bytes are refused or harmless", test_hostile_bytes},
		{"references keep a message alive", test_reference_counts},
		{"many, decoded one after the other", test_decode_many},
		{"fields, good, broken and too many", test_decode_fields},
		{"kept for long", test_keep},
		{NULL, NULL},
	};
	return tap_main("message", tests);
}
