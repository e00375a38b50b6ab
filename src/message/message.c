/* SPDX-License-Identifier: Apache-2.0
 *
 * Builds, encodes and decodes messages. A message is one block: the struct, the field arrays, the bytes.
 * Decoding trusts nothing: every length is checked against what is left before it is used.
 */
#include "message/message.h"

#include <errno.h>
#include <stdlib.h>

#include "message/endian.h"

struct message {
	size_t memory;
	struct message_block *block; /* that it is in; NULL: it is a block of its own */
	unsigned refs;
	struct message_view view;
};

struct message_block {
	unsigned refs; /* its messages, and the decoder that fills it */
	unsigned used; /* bytes behind this, up to BLOCK_BYTES */
};

/* Tags of the encoding. Numbers are on disk: never reuse one. */
enum message_tag {
	TAG_TOPIC = 1,
	TAG_PAYLOAD = 2,
	TAG_CONTENT_TYPE = 3,
	TAG_KEY = 4,
	TAG_ORDER_KEY = 5,
	TAG_RESPONSE_TOPIC = 6,
	TAG_CORRELATION = 7,
	TAG_REJECT_REASON = 8,
	TAG_HEADER = 9,
	TAG_PARAM = 10,
	TAG_ATTRIBUTES = 11, /* u64 origin_ms, u64 expires_ms, u8 qos, u8 flags */
	TAG_PRIORITY = 15, /* u8, 0 to 9; absent: 4 */
	TAG_QUEUED = 16, /* u64 queued_ms; absent: 0 */
};

#define CACHE_LINE  64u
#define ALIGNMENT   16u
#define BLOCK_BYTES (16u * 1024 - 64) /* with what malloc adds less than four pages */
#define BLOCK_SMALL                                                                                                    \
	1024u /* what is larger has memory of its own: little is kept by a message that outlives its neighbours */
#define TLV_OVERHEAD   5u /* u8 tag, u32 length */
#define ATTRIBUTES_LEN 18u
#define FLAG_RETAIN    1u
#define FLAG_UTF8      2u
#define FLAG_WAITS     4u

/* The plain slices of a view, in the order of their tags. */
static const struct {
	uint8_t tag;
	size_t offset;
} slots[] = {
	{TAG_TOPIC, offsetof(struct message_view, topic)},
	{TAG_CONTENT_TYPE, offsetof(struct message_view, content_type)},
	{TAG_KEY, offsetof(struct message_view, key)},
	{TAG_ORDER_KEY, offsetof(struct message_view, order_key)},
	{TAG_RESPONSE_TOPIC, offsetof(struct message_view, response_topic)},
	{TAG_CORRELATION, offsetof(struct message_view, correlation)},
	{TAG_REJECT_REASON, offsetof(struct message_view, reject_reason)},
	{TAG_PAYLOAD, offsetof(struct message_view, payload)},
};
#define N_SLOTS (sizeof slots / sizeof slots[0])

static const struct slice *slot_get(const struct message_view *view, size_t i)
{
	return (const struct slice *)(const void *)((const char *)view + slots[i].offset);
}

static struct slice *slot_of(struct message_view *view, size_t i)
{
	return (struct slice *)(void *)((char *)view + slots[i].offset);
}

static size_t field_len(const struct message_field *field)
{
	return field->name.len + field->value.len;
}

/* Bytes of all slices and fields together; SIZE_MAX when a limit is passed. */
static size_t content_len(const struct message_view *view)
{
	if (view->payload.len > MESSAGE_MAX_PAYLOAD || view->n_headers > MESSAGE_MAX_FIELDS ||
		view->n_params > MESSAGE_MAX_FIELDS)
		return SIZE_MAX;
	size_t sum = 0;
	for (size_t i = 0; i < N_SLOTS; i++)
		sum += slot_get(view, i)->len;
	for (size_t i = 0; i < view->n_headers; i++)
		sum += field_len(&view->headers[i]);
	for (size_t i = 0; i < view->n_params; i++)
		sum += field_len(&view->params[i]);
	return sum > MESSAGE_MAX_ENCODED ? SIZE_MAX : sum;
}

static uint8_t *copy_slice(struct slice *dst, struct slice src, uint8_t *bytes)
{
	if (!src.data) {
		*dst = (struct slice){NULL, 0};
		return bytes;
	}
	if (src.len)
		memcpy(bytes, src.data, src.len);
	*dst = slice_of(bytes, src.len);
	return bytes + src.len;
}

static uint8_t *copy_fields(struct message_field *dst, const struct message_field *src, size_t n, uint8_t *bytes)
{
	for (size_t i = 0; i < n; i++) {
		bytes = copy_slice(&dst[i].name, src[i].name, bytes);
		bytes = copy_slice(&dst[i].value, src[i].value, bytes);
	}
	return bytes;
}

struct message *message_new(const struct message_view *view)
{
	size_t content = content_len(view);
	if (content == SIZE_MAX)
		return NULL;
	size_t fields = (view->n_headers + view->n_params) * sizeof(struct message_field);
	/* One byte more, so that an empty but present slice at the very end still points into the block. */
	size_t memory = sizeof(struct message) + fields + content + 1;
	struct message *msg = malloc(memory);
	if (!msg)
		return NULL;
	msg->view = *view;
	msg->memory = memory;
	msg->block = NULL;
	msg->refs = 1;
	struct message_field *headers = (struct message_field *)(msg + 1);
	struct message_field *params = headers + view->n_headers;
	uint8_t *bytes = (uint8_t *)(params + view->n_params);
	msg->view.headers = headers;
	msg->view.params = params;
	for (size_t i = 0; i < N_SLOTS; i++)
		bytes = copy_slice(slot_of(&msg->view, i), *slot_get(view, i), bytes);
	bytes = copy_fields(headers, view->headers, view->n_headers, bytes);
	copy_fields(params, view->params, view->n_params, bytes);
	return msg;
}

struct message *message_ref(struct message *msg)
{
	msg->refs++;
	return msg;
}

static void block_unref(struct message_block *block)
{
	if (block && --block->refs == 0)
		free(block);
}

void message_unref(struct message *msg)
{
	if (!msg || --msg->refs > 0)
		return;
	if (msg->block)
		block_unref(msg->block);
	else
		free(msg);
}

struct message *message_keep(struct message *msg)
{
	return msg->block ? message_new(&msg->view) : message_ref(msg);
}

const struct message_view *message_view(const struct message *msg)
{
	return &msg->view;
}

void message_prefetch(const struct message *msg)
{
	for (size_t at = 0; at < sizeof *msg + CACHE_LINE; at += CACHE_LINE) /* and where its bytes begin: the topic */
		__builtin_prefetch((const char *)msg + at);
}

void message_prefetch_count(const struct message *msg)
{
	__builtin_prefetch(msg, 1);
}

size_t message_memory(const struct message *msg)
{
	return msg->memory;
}

static struct slice field_find(const struct message_field *fields, size_t n, const char *name)
{
	if (n == 0)
		return (struct slice){NULL, 0};
	struct slice wanted = slice_str(name);
	for (size_t i = 0; i < n; i++)
		if (slice_equal(fields[i].name, wanted))
			return fields[i].value;
	return (struct slice){NULL, 0};
}

struct slice message_header(const struct message_view *view, const char *name)
{
	return field_find(view->headers, view->n_headers, name);
}

struct slice message_param(const struct message_view *view, const char *name)
{
	return field_find(view->params, view->n_params, name);
}

/* A field is: u32 name length, name, u8 has value, value. */
static size_t fields_encoded_size(const struct message_field *fields, size_t n)
{
	size_t sum = 0;
	for (size_t i = 0; i < n; i++)
		sum += TLV_OVERHEAD + 5 + field_len(&fields[i]);
	return sum;
}

size_t message_encoded_size(const struct message_view *view)
{
	if (content_len(view) == SIZE_MAX)
		return 0;
	size_t sum = TLV_OVERHEAD + ATTRIBUTES_LEN + (view->priority ? TLV_OVERHEAD + 1 : 0) +
		     (view->queued_ms ? TLV_OVERHEAD + 8 : 0);
	for (size_t i = 0; i < N_SLOTS; i++)
		if (slot_get(view, i)->data)
			sum += TLV_OVERHEAD + slot_get(view, i)->len;
	sum += fields_encoded_size(view->headers, view->n_headers);
	sum += fields_encoded_size(view->params, view->n_params);
	return sum;
}

static uint8_t *put_head(uint8_t *out, uint8_t tag, size_t len)
{
	*out = tag;
	put_u32(out + 1, (uint32_t)len);
	return out + TLV_OVERHEAD;
}

static uint8_t *put_bytes(uint8_t *out, struct slice bytes)
{
	if (bytes.len)
		memcpy(out, bytes.data, bytes.len);
	return out + bytes.len;
}

static uint8_t *put_fields(uint8_t *out, uint8_t tag, const struct message_field *fields, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		out = put_head(out, tag, 5 + field_len(&fields[i]));
		put_u32(out, (uint32_t)fields[i].name.len);
		out = put_bytes(out + 4, fields[i].name);
		*out++ = fields[i].value.data != NULL;
		out = put_bytes(out, fields[i].value);
	}
	return out;
}

void message_encode(const struct message_view *view, uint8_t *out)
{
	out = put_head(out, TAG_ATTRIBUTES, ATTRIBUTES_LEN);
	put_u64(out, view->origin_ms);
	put_u64(out + 8, view->expires_ms);
	out[16] = view->qos;
	out[17] = (uint8_t)((view->retain ? FLAG_RETAIN : 0) | (view->utf8_payload ? FLAG_UTF8 : 0) |
			    (view->waits ? FLAG_WAITS : 0));
	out += ATTRIBUTES_LEN;
	for (size_t i = 0; i < N_SLOTS; i++) {
		const struct slice *slot = slot_get(view, i);
		if (slot->data)
			out = put_bytes(put_head(out, slots[i].tag, slot->len), *slot);
	}
	if (view->priority) {
		out = put_head(out, TAG_PRIORITY, 1);
		*out++ = (uint8_t)(view->priority + MESSAGE_DEFAULT_PRIORITY);
	}
	if (view->queued_ms) {
		out = put_head(out, TAG_QUEUED, 8);
		put_u64(out, view->queued_ms);
		out += 8;
	}
	out = put_fields(out, TAG_HEADER, view->headers, view->n_headers);
	put_fields(out, TAG_PARAM, view->params, view->n_params);
}

/* Walks the TLVs. Returns false at the end or when the rest is no TLV; *ok tells which. */
static bool next_tlv(struct slice *rest, uint8_t *tag, struct slice *value, bool *ok)
{
	if (rest->len == 0)
		return false;
	if (rest->len < TLV_OVERHEAD || get_u32(rest->data + 1) > rest->len - TLV_OVERHEAD) {
		*ok = false;
		return false;
	}
	*tag = rest->data[0];
	*value = slice_of(rest->data + TLV_OVERHEAD, get_u32(rest->data + 1));
	rest->data += TLV_OVERHEAD + value->len;
	rest->len -= TLV_OVERHEAD + value->len;
	return true;
}

static bool decode_field(struct slice value, struct message_field *field)
{
	if (value.len < 5 || get_u32(value.data) > value.len - 5)
		return false;
	size_t name_len = get_u32(value.data);
	field->name = slice_of(value.data + 4, name_len);
	bool has_value = value.data[4 + name_len];
	field->value = slice_of(has_value ? value.data + 5 + name_len : NULL, value.len - 5 - name_len);
	return has_value || field->value.len == 0;
}

static bool decode_attributes(struct slice value, struct message_view *view)
{
	if (value.len < ATTRIBUTES_LEN || value.data[16] > 2)
		return false;
	view->origin_ms = get_u64(value.data);
	view->expires_ms = get_u64(value.data + 8);
	view->qos = value.data[16];
	view->retain = value.data[17] & FLAG_RETAIN;
	view->utf8_payload = value.data[17] & FLAG_UTF8;
	view->waits = value.data[17] & FLAG_WAITS;
	return true;
}

static bool decode_priority(struct slice value, struct message_view *view)
{
	if (value.len != 1 || value.data[0] > MESSAGE_MAX_PRIORITY)
		return false;
	view->priority = (int8_t)(value.data[0] - MESSAGE_DEFAULT_PRIORITY);
	return true;
}

static bool decode_queued(struct slice value, struct message_view *view)
{
	if (value.len != 8)
		return false;
	view->queued_ms = get_u64(value.data);
	return true;
}

/* NULL: the tag of no plain slice, perhaps one that a newer version has written. */
static struct slice *slot_with_tag(struct message_view *view, uint8_t tag)
{
	switch (tag) {
	case TAG_TOPIC:
		return &view->topic;
	case TAG_CONTENT_TYPE:
		return &view->content_type;
	case TAG_KEY:
		return &view->key;
	case TAG_ORDER_KEY:
		return &view->order_key;
	case TAG_RESPONSE_TOPIC:
		return &view->response_topic;
	case TAG_CORRELATION:
		return &view->correlation;
	case TAG_REJECT_REASON:
		return &view->reject_reason;
	case TAG_PAYLOAD:
		return &view->payload;
	default:
		return NULL;
	}
}

static void decode_slot(uint8_t tag, struct slice value, struct message_view *view)
{
	struct slice *slot = slot_with_tag(view, tag);
	if (slot)
		*slot = value;
}

/* All but the fields, which are counted. */
static bool decode_view(struct slice encoded, struct message_view *view)
{
	uint8_t tag;
	struct slice value;
	bool ok = true;
	bool attributes = false;
	while (ok && next_tlv(&encoded, &tag, &value, &ok)) {
		if (tag == TAG_HEADER)
			view->n_headers++;
		else if (tag == TAG_PARAM)
			view->n_params++;
		else if (tag == TAG_ATTRIBUTES)
			ok = attributes = decode_attributes(value, view);
		else if (tag == TAG_PRIORITY)
			ok = decode_priority(value, view);
		else if (tag == TAG_QUEUED)
			ok = decode_queued(value, view);
		else
			decode_slot(tag, value, view);
	}
	return ok && attributes && view->topic.data && view->n_headers <= MESSAGE_MAX_FIELDS &&
	       view->n_params <= MESSAGE_MAX_FIELDS;
}

static bool decode_fields(struct slice encoded, struct message_field *headers, struct message_field *params)
{
	uint8_t tag;
	struct slice value;
	bool ok = true;
	while (ok && next_tlv(&encoded, &tag, &value, &ok)) {
		if (tag == TAG_HEADER)
			ok = decode_field(value, headers++);
		else if (tag == TAG_PARAM)
			ok = decode_field(value, params++);
	}
	return ok;
}

/* Memory for a message of that size, in the decoder's block if there is a decoder and it is small. NULL: out of memory. */
static struct message *decoder_take(struct message_decoder *decoder, size_t memory)
{
	if (!decoder || memory > BLOCK_SMALL) {
		struct message *msg = malloc(memory);
		if (msg)
			msg->block = NULL;
		return msg;
	}
	struct message_block *block = decoder->block;
	if (!block || block->used + memory > BLOCK_BYTES) {
		message_decoder_end(decoder);
		block = malloc(sizeof *block + ALIGNMENT + BLOCK_BYTES);
		if (!block)
			return NULL;
		*block = (struct message_block){.refs = 1, .used = ALIGNMENT - sizeof *block % ALIGNMENT};
		decoder->block = block;
	}
	struct message *msg = (struct message *)(void *)((uint8_t *)(block + 1) + block->used);
	block->used += (unsigned)memory;
	block->refs++;
	msg->block = block;
	return msg;
}

/* Copies what is encoded behind the message, and has the view point there. */
static bool decode_into(struct message *msg, struct slice encoded, const struct message_view *view)
{
	struct message_field *headers = (struct message_field *)(msg + 1);
	struct message_field *params = headers + view->n_headers;
	uint8_t *bytes = (uint8_t *)(params + view->n_params);
	memcpy(bytes, encoded.data, encoded.len);
	msg->view = *view;
	msg->view.headers = headers;
	msg->view.params = params;
	for (size_t i = 0; i < N_SLOTS; i++) {
		struct slice *slot = slot_of(&msg->view, i);
		if (slot->data)
			slot->data = bytes + (slot->data - encoded.data);
	}
	if (view->n_headers + view->n_params > 0 && !decode_fields(slice_of(bytes, encoded.len), headers, params))
		return false;
	return encoded.len <= MESSAGE_MAX_PAYLOAD || content_len(&msg->view) != SIZE_MAX;
}

static int decode(struct message_decoder *decoder, struct slice encoded, struct message **ret_msg)
{
	struct message_view view = {0};
	if (encoded.len > MESSAGE_MAX_ENCODED * 2 || !decode_view(encoded, &view))
		return -EBADMSG;
	size_t fields = (view.n_headers + view.n_params) * sizeof(struct message_field);
	/* One byte more, so that an empty slice at the very end still points into it. */
	size_t memory = sizeof(struct message) + fields + encoded.len + 1;
	memory = (memory + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	struct message *msg = decoder_take(decoder, memory);
	if (!msg)
		return -ENOMEM;
	msg->memory = memory;
	msg->refs = 1;
	if (!decode_into(msg, encoded, &view)) {
		message_unref(msg);
		return -EBADMSG;
	}
	*ret_msg = msg;
	return 0;
}

int message_decode(struct slice encoded, struct message **ret_msg)
{
	return decode(NULL, encoded, ret_msg);
}

int message_decoder_next(struct message_decoder *decoder, struct slice encoded, struct message **ret_msg)
{
	return decode(decoder, encoded, ret_msg);
}

void message_decoder_end(struct message_decoder *decoder)
{
	block_unref(decoder->block);
	decoder->block = NULL;
}
