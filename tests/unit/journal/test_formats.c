/* SPDX-License-Identifier: Apache-2.0 */
/* crc32c, frame, segment, ranges: what has no state of its own. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "journal/crc32c.h"
#include "journal/frame.h"
#include "journal/pages.h"
#include "journal/ranges.h"
#include "journal/segment.h"
#include "message/endian.h"
#include "journal/disk_simulated.h"
#include "tests/unit/tap.h"

static void test_crc32c_vectors(void)
{
	/* RFC 3720 B.4, and the check value of the catalogue of CRC algorithms. */
	uint8_t bytes[32] = {0};
	CU_ASSERT_EQUAL(crc32c(0, "123456789", 9), 0xe3069283);
	CU_ASSERT_EQUAL(crc32c_portable(0, "123456789", 9), 0xe3069283);
	CU_ASSERT_EQUAL(crc32c(0, bytes, 32), 0x8a9136aa);
	memset(bytes, 0xff, sizeof bytes);
	CU_ASSERT_EQUAL(crc32c(0, bytes, 32), 0x62a8ab43);
	for (int i = 0; i < 32; i++)
		bytes[i] = (uint8_t)i;
	CU_ASSERT_EQUAL(crc32c(0, bytes, 32), 0x46dd794e);
	CU_ASSERT_EQUAL(crc32c(0, bytes, 0), 0);
}

static void test_crc32c_agree(void)
{
	uint8_t bytes[300];
	uint64_t state = 1;
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)sim_random(&state);
	for (size_t len = 0; len < 280; len++) {
		uint32_t whole = crc32c(7, bytes + len % 9, len);
		CU_ASSERT_EQUAL(whole, crc32c_portable(7, bytes + len % 9, len));
		CU_ASSERT_EQUAL(
			whole, crc32c(crc32c(7, bytes + len % 9, len / 3), bytes + len % 9 + len / 3, len - len / 3));
	}
}

static struct frame full_frame(void)
{
	return (struct frame){.lsn = 0x1234567890,
		.type = FRAME_MSG,
		.flags = FRAME_SET_END,
		.dest = 3,
		.source = 0x100,
		.seq = UINT64_MAX,
		.last = 1,
		.position = 0xffffffffff,
		.hash = 0x8000000000000000,
		.bytes = 255,
		.id = 65535,
		.stage = 2,
		.time_ms = 1700000000000,
		.count = 256,
		.name = slice_str("lake"),
		.uuid = slice_of("0123456789abcdef", 16),
		.body = slice_of("\0body", 5)};
}

static void test_frame_round_trip(void)
{
	struct frame in = full_frame(), out;
	uint8_t bytes[400];
	size_t size = frame_size(&in);
	CU_ASSERT_FATAL(size <= sizeof bytes);
	uint8_t *body = frame_encode(&in, bytes);
	CU_ASSERT_PTR_EQUAL(body + 5, bytes + size);
	frame_seal(bytes, 42);
	CU_ASSERT(frame_check(bytes, size, 42));
	CU_ASSERT_FALSE(frame_check(bytes, size, 43));
	CU_ASSERT_EQUAL_FATAL(frame_decode(bytes, size, &out), 0);
	CU_ASSERT_EQUAL(out.length, size);
	CU_ASSERT(slice_equal(in.name, out.name) && slice_equal(in.uuid, out.uuid) && slice_equal(in.body, out.body));
	out.name = in.name;
	out.uuid = in.uuid;
	out.body = in.body;
	in.length = out.length;
	CU_ASSERT(in.lsn == out.lsn && in.type == out.type && in.flags == out.flags && in.dest == out.dest &&
		  in.source == out.source && in.seq == out.seq && in.last == out.last && in.position == out.position &&
		  in.hash == out.hash && in.bytes == out.bytes && in.id == out.id && in.stage == out.stage &&
		  in.time_ms == out.time_ms && in.count == out.count);
}

/* What was written once can be read for ever. */
static void test_frame_bytes(void)
{
	static const uint8_t expected[] = {108, 0, 0, 0, 0, 0, 0, 0, 0x90, 0x78, 0x56, 0x34, 0x12, 0, 0, 0, FRAME_MSG,
		FRAME_SET_END, 83, 0, /* fields: */
		1, 1, 3, 2, 2, 0, 1, 3, 8, 255, 255, 255, 255, 255, 255, 255, 255, 4, 1, 1, 5, 5, 255, 255, 255, 255,
		255, 6, 8, 0, 0, 0, 0, 0, 0, 0, 0x80, 7, 1, 255, 8, 2, 255, 255, 9, 1, 2, 10, 6, 0, 0x68, 0xe5, 0xcf,
		0x8b, 1, 11, 2, 0, 1, 32, 4, 'l', 'a', 'k', 'e', 33, 16, '0', '1', '2', '3', '4', '5', '6', '7', '8',
		'9', 'a', 'b', 'c', 'd', 'e', 'f', /* body: */ 0, 'b', 'o', 'd', 'y'};
	struct frame frame = full_frame();
	uint8_t bytes[400];
	CU_ASSERT_EQUAL_FATAL(frame_size(&frame), sizeof expected);
	frame_encode(&frame, bytes);
	CU_ASSERT_EQUAL(memcmp(bytes, expected, sizeof expected), 0);
}

/* Every bit is covered by the checksum, and no damaged header leads outside. */
static void test_frame_damage(void)
{
	struct frame in = full_frame(), out;
	uint8_t bytes[400];
	size_t size = frame_size(&in);
	frame_encode(&in, bytes);
	frame_seal(bytes, 42);
	for (size_t bit = 0; bit < size * 8; bit++) {
		uint8_t *copy = malloc(size); /* of the exact size: ASan watches its end */
		memcpy(copy, bytes, size);
		copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
		uint32_t len = frame_peek_length(copy, size);
		CU_ASSERT(len <= size);
		CU_ASSERT_FALSE(len && frame_check(copy, len, 42));
		if (len)
			(void)!frame_decode(copy, len, &out);
		free(copy);
	}
	for (size_t len = 0; len < size; len++)
		CU_ASSERT_EQUAL(frame_decode(bytes, len, &out), -EBADMSG);
}

static void test_header(void)
{
	struct segment_header in = {.kind = SEGMENT_JOURNAL, .number = 7, .base_lsn = 9, .salt = 11, .bytes = 1 << 20},
			      out;
	memcpy(in.uuid, "0123456789abcdef", 16);
	uint8_t block[SEGMENT_BLOCK], older[SEGMENT_BLOCK];
	segment_encode_header(&in, block);
	CU_ASSERT_EQUAL(segment_decode_header(block, SEGMENT_JOURNAL, &out), 0);
	CU_ASSERT_EQUAL(memcmp(&in, &out, sizeof in), 0);
	/* A torn write over an older header leaves one copy of each. */
	in.number = 3;
	segment_encode_header(&in, older);
	memcpy(older, block, 512);
	CU_ASSERT_EQUAL(segment_decode_header(older, SEGMENT_JOURNAL, &out), 0);
	CU_ASSERT_EQUAL(out.number, 7);
	for (size_t bit = 0; bit < sizeof block * 8; bit++) {
		block[bit / 8] ^= (uint8_t)(1 << bit % 8);
		CU_ASSERT_EQUAL(segment_decode_header(block, SEGMENT_JOURNAL, &out), 0);
		CU_ASSERT_EQUAL(out.number, 7);
		block[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	block[20] ^= 1;
	block[2048 + 20] ^= 1;
	CU_ASSERT_EQUAL(segment_decode_header(block, SEGMENT_JOURNAL, &out), -EBADMSG);
	memset(block, 0, sizeof block);
	CU_ASSERT_EQUAL(segment_decode_header(block, SEGMENT_JOURNAL, &out), -ENODATA);
}

static void test_names(void)
{
	uint64_t file = 0;
	CU_ASSERT_EQUAL(segment_parse_name("00000000000000000042.log", &file), 0);
	CU_ASSERT_EQUAL(file, 42);
	CU_ASSERT_EQUAL(segment_parse_name("00000000000000000042.tmp", &file), -EINVAL);
	CU_ASSERT_EQUAL(segment_parse_name("42.log", &file), -EINVAL);
	CU_ASSERT_EQUAL(segment_parse_name("", &file), -EINVAL);
	char path[SEGMENT_PATH_LEN];
	segment_path(path, 42);
	CU_ASSERT_STRING_EQUAL(path, "journal/00000000000000000042.log");
}

static void test_ranges(void)
{
	struct ranges ranges = {0};
	bool model[200] = {false};
	uint64_t state = 5;
	for (int round = 0; round < 3000; round++) {
		uint64_t first = sim_random(&state) % 190, last = first + sim_random(&state) % 8, added, expected = 0;
		for (uint64_t i = first; i <= last; i++) {
			expected += !model[i];
			model[i] = true;
		}
		CU_ASSERT_EQUAL(ranges_add(&ranges, first, last, &added), 0);
		CU_ASSERT_EQUAL(added, expected);
		if (round % 40 == 39) { /* and begin again, from a hole */
			ranges_drop_below(&ranges, 100);
			memset(model, 0, 100);
		}
		for (uint64_t i = 0; i < 200; i++)
			CU_ASSERT_EQUAL(ranges_has(&ranges, i), model[i]);
		for (size_t i = 1; i < ranges.n; i++)
			CU_ASSERT(ranges.v[i].first > ranges.v[i - 1].last + 1);
		if (round % 97 == 96) {
			ranges_clear(&ranges);
			memset(model, 0, sizeof model);
		}
	}
	ranges_clear(&ranges);
}

static void test_pages(void)
{
	struct pages pages = {0};
	CU_ASSERT_EQUAL(pages_reserve(&pages, 10), 0);
	memset(pages.data, 'x', 10);
	pages.len = 10;
	CU_ASSERT_EQUAL(pages_reserve(&pages, 1 << 20), 0);
	CU_ASSERT_EQUAL(memcmp(pages.data, "xxxxxxxxxx", 10), 0);
	CU_ASSERT(pages.capacity >= (1 << 20) + 10);
	pages_reset(&pages, 4096);
	CU_ASSERT_EQUAL(pages.capacity, 0);
	CU_ASSERT_EQUAL(pages_reserve(&pages, SIZE_MAX / 2), -ENOMEM);
	pages_free(&pages);
}

static const struct tap_test tests[] = {
	{"crc32c of known vectors", test_crc32c_vectors},
	{"crc32c by the processor and by tables", test_crc32c_agree},
	{"frame round trip", test_frame_round_trip},
	{"a frame on disk", test_frame_bytes},
	{"frame with any bit flipped", test_frame_damage},
	{"segment header, torn and damaged", test_header},
	{"file names", test_names},
	{"ranges against a model", test_ranges},
	{"pages", test_pages},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("journal formats", tests);
}
