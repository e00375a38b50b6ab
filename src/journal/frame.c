/* SPDX-License-Identifier: Apache-2.0
 *
 * The frame codec. Integers of the header TLVs are written in as few bytes as they need and left out when
 * zero.
 */
#include "journal/frame.h"

#include <assert.h>
#include <errno.h>

#include "journal/crc32c.h"
#include "message/endian.h"

#define TLV_HEAD 2u /* u8 tag, u8 length */
#define TAG_NAME 32u
#define TAG_UUID 33u

/* Integers. The tag of each is its place, beginning with 1. They are on disk: new ones come last. */
static const size_t numbers[] = {
	offsetof(struct frame, dest),
	offsetof(struct frame, source),
	offsetof(struct frame, seq),
	offsetof(struct frame, last),
	offsetof(struct frame, position),
	offsetof(struct frame, hash),
	offsetof(struct frame, bytes),
	offsetof(struct frame, id),
	offsetof(struct frame, stage),
	offsetof(struct frame, time_ms),
	offsetof(struct frame, count),
};
#define N_NUMBERS (sizeof numbers / sizeof numbers[0])
_Static_assert(N_NUMBERS < TAG_NAME, "their tags are those of others");

static uint64_t number_get(const struct frame *frame, size_t i)
{
	return *(const uint64_t *)(const void *)((const char *)frame + numbers[i]);
}

static unsigned number_len(uint64_t value)
{
	return value ? (71u - (unsigned)__builtin_clzll(value)) / 8 : 0;
}

static size_t slice_tlv_size(struct slice value)
{
	return value.data ? TLV_HEAD + value.len : 0;
}

static size_t tlvs_size(const struct frame *frame)
{
	size_t sum = slice_tlv_size(frame->name) + slice_tlv_size(frame->uuid);
	for (size_t i = 0; i < N_NUMBERS; i++) {
		uint64_t value = number_get(frame, i);
		if (value)
			sum += TLV_HEAD + number_len(value);
	}
	return sum;
}

size_t frame_size(const struct frame *frame)
{
	return FRAME_HEADER_LEN + tlvs_size(frame) + frame->body.len;
}

static uint8_t *put_slice_tlv(uint8_t *out, uint8_t tag, struct slice value)
{
	if (!value.data)
		return out;
	assert(value.len <= FRAME_MAX_NAME);
	out[0] = tag;
	out[1] = (uint8_t)value.len;
	memcpy(out + TLV_HEAD, value.data, value.len);
	return out + TLV_HEAD + value.len;
}

uint8_t *frame_encode(const struct frame *frame, uint8_t *out)
{
	uint8_t *tlv = out + FRAME_HEADER_LEN;
	for (size_t i = 0; i < N_NUMBERS; i++) {
		uint64_t value = number_get(frame, i);
		unsigned len = number_len(value);
		if (!len)
			continue;
		*tlv++ = (uint8_t)(i + 1);
		*tlv++ = (uint8_t)len;
		for (; len; len--, value >>= 8)
			*tlv++ = (uint8_t)value;
	}
	tlv = put_slice_tlv(tlv, TAG_NAME, frame->name);
	tlv = put_slice_tlv(tlv, TAG_UUID, frame->uuid);
	size_t tlvs = (size_t)(tlv - out) - FRAME_HEADER_LEN;
	put_u32(out, (uint32_t)(FRAME_HEADER_LEN + tlvs + frame->body.len));
	put_u32(out + 4, 0);
	put_u64(out + 8, frame->lsn);
	out[16] = frame->type;
	out[17] = frame->flags;
	put_u16(out + 18, (uint16_t)tlvs);
	if (frame->body.data && frame->body.len)
		memcpy(tlv, frame->body.data, frame->body.len);
	return tlv;
}

static uint32_t frame_crc(const uint8_t *bytes, size_t len, uint64_t salt)
{
	uint8_t head[12];
	put_u64(head, salt);
	memcpy(head + 8, bytes, 4);
	return crc32c(crc32c(0, head, sizeof head), bytes + 8, len - 8);
}

void frame_seal(uint8_t *bytes, uint64_t salt)
{
	put_u32(bytes + 4, frame_crc(bytes, get_u32(bytes), salt));
}

bool frame_check(const uint8_t *bytes, size_t len, uint64_t salt)
{
	return len >= FRAME_HEADER_LEN && get_u32(bytes) == len && get_u32(bytes + 4) == frame_crc(bytes, len, salt);
}

uint32_t frame_peek_length(const uint8_t *bytes, size_t max)
{
	uint32_t length = max >= FRAME_HEADER_LEN ? get_u32(bytes) : 0;
	if (length < FRAME_HEADER_LEN || length > max || get_u16(bytes + 18) > length - FRAME_HEADER_LEN)
		return 0;
	return length;
}

static bool decode_number(struct frame *frame, size_t i, struct slice value)
{
	uint64_t number = 0;
	if (value.len > 8)
		return false;
	for (size_t b = value.len; b; b--)
		number = number << 8 | value.data[b - 1];
	*(uint64_t *)(void *)((char *)frame + numbers[i]) = number;
	return true;
}

static bool decode_tlv(struct frame *frame, uint8_t tag, struct slice value)
{
	if (tag >= 1 && tag <= N_NUMBERS)
		return decode_number(frame, tag - 1u, value);
	if (tag == TAG_NAME)
		frame->name = value;
	else if (tag == TAG_UUID)
		frame->uuid = value;
	return true;
}

int frame_decode(const uint8_t *bytes, size_t len, struct frame *ret_frame)
{
	if (len == 0 || frame_peek_length(bytes, len) != len)
		return -EBADMSG;
	struct frame frame = {
		.lsn = get_u64(bytes + 8), .type = bytes[16], .flags = bytes[17], .length = (uint32_t)len};
	const uint8_t *tlv = bytes + FRAME_HEADER_LEN, *end = tlv + get_u16(bytes + 18);
	while (tlv < end) {
		if (end - tlv < (ptrdiff_t)TLV_HEAD || end - tlv < (ptrdiff_t)(TLV_HEAD + tlv[1]) ||
			!decode_tlv(&frame, tlv[0], slice_of(tlv + TLV_HEAD, tlv[1])))
			return -EBADMSG;
		tlv += TLV_HEAD + tlv[1];
	}
	frame.body = slice_of(end, (size_t)(bytes + len - end));
	*ret_frame = frame;
	return 0;
}

int frame_next_record(struct slice *rest, struct frame *ret_frame)
{
	if (rest->len == 0)
		return 0;
	uint32_t len = frame_peek_length(rest->data, rest->len);
	if (len == 0 || frame_decode(rest->data, len, ret_frame) < 0)
		return -EBADMSG;
	rest->data += len;
	rest->len -= len;
	return 1;
}

const char *frame_type_name(uint8_t type)
{
	static const char *const names[] = {
		[FRAME_MSG] = "MSG",
		[FRAME_OPEN] = "OPEN",
		[FRAME_REL] = "REL",
		[FRAME_SESSION_RESET] = "SESSION_RESET",
		[FRAME_SUBSCRIPTIONS] = "SUBSCRIPTIONS",
		[FRAME_POSITION] = "POSITION",
		[FRAME_STAGE] = "STAGE",
		[FRAME_BATCH] = "BATCH",
		[FRAME_DONE] = "DONE",
		[FRAME_DEAD] = "DEAD",
		[FRAME_FINISHED] = "FINISHED",
		[FRAME_REGISTER] = "REGISTER",
		[FRAME_DROP] = "DROP",
		[FRAME_CHECKPOINT] = "CHECKPOINT",
		[FRAME_SEAL] = "SEAL",
		[FRAME_COMMIT] = "COMMIT",
		[FRAME_BASE] = "BASE",
		[FRAME_OUTBOX] = "OUTBOX",
		[FRAME_STAGES] = "STAGES",
		[FRAME_BATCHES] = "BATCHES",
		[FRAME_OPEN_IDS] = "OPEN_IDS",
		[FRAME_OVERFLOW] = "OVERFLOW",
		[FRAME_PAUSE] = "PAUSE",
		[FRAME_TOTALS] = "TOTALS",
		[FRAME_DROPPED] = "DROPPED",
		[FRAME_CLOCK] = "CLOCK",
		[FRAME_SEQUENCE] = "SEQUENCE",
		[FRAME_SEQUENCES] = "SEQUENCES",
		[FRAME_KEY] = "KEY",
		[FRAME_KEYS] = "KEYS",
		[FRAME_VALUE] = "VALUE",
	};
	return type < sizeof names / sizeof names[0] && names[type] ? names[type] : "UNKNOWN";
}
