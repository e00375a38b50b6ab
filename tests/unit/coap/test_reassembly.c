/* SPDX-License-Identifier: Apache-2.0
 *
 * Bodies in blocks: whole, repeated, out of order, mixed, too large, and what they may take of memory.
 */
#include <stdlib.h>
#include <string.h>

#include "connectors/coap/reassembly.h"
#include "tests/unit/tap.h"

#define PUT 3

static uint8_t bytes[65536];
static struct buffer whole;

static struct reassembly *made(size_t max_body, size_t max_bytes, size_t max_bodies)
{
	struct reassembly *reassembly = NULL;
	struct reassembly_limits limits = {
		.max_body = max_body, .max_bytes = max_bytes, .max_bodies = max_bodies, .yield_ms = 10000};
	CU_ASSERT_EQUAL_FATAL(reassembly_new(&limits, &reassembly), 0);
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 256);
	buffer_free(&whole);
	buffer_init(&whole, 0);
	return reassembly;
}

static struct reassembly_key key_of(const char *peer)
{
	return (struct reassembly_key){.peer = slice_str(peer), .method = PUT, .options_hash = 5};
}

/* A block of `bytes`, of 64 each. */
static struct reassembly_block block_of(uint32_t num, bool more, size_t len)
{
	return (struct reassembly_block){
		.num = num, .more = more, .szx = 2, .payload = slice_of(bytes + (size_t)num * 64, len)};
}

static enum reassembly_result add(
	struct reassembly *reassembly, const char *peer, uint32_t num, bool more, size_t len, uint64_t now_ms)
{
	struct reassembly_key key = key_of(peer);
	struct reassembly_block block = block_of(num, more, len);
	return reassembly_add(reassembly, &key, &block, now_ms, &whole);
}

static size_t count(const struct reassembly *reassembly)
{
	size_t held;
	return reassembly_count(reassembly, &held);
}

static size_t held(const struct reassembly *reassembly)
{
	size_t n_bytes;
	(void)reassembly_count(reassembly, &n_bytes);
	return n_bytes;
}

static bool is_whole(size_t len)
{
	return slice_equal(buffer_slice(&whole), slice_of(bytes, len));
}

static void makes_bodies(void)
{
	struct reassembly *reassembly = made(1000, 10000, 4);
	CU_ASSERT_EQUAL(add(reassembly, "a", 0, false, 3, 0), REASSEMBLY_WHOLE);
	CU_ASSERT_EQUAL(add(reassembly, "a", 0, false, 0, 0), REASSEMBLY_WHOLE);
	CU_ASSERT_EQUAL(count(reassembly), 0);
	for (int round = 0; round < 2; round++) {
		CU_ASSERT_EQUAL(add(reassembly, "a", 0, true, 64, 0), REASSEMBLY_CONTINUE);
		CU_ASSERT_EQUAL(add(reassembly, "a", 1, true, 64, 0), REASSEMBLY_CONTINUE);
		CU_ASSERT_EQUAL(count(reassembly), 1);
		CU_ASSERT_EQUAL(add(reassembly, "a", 2, false, 1, 0), REASSEMBLY_COMPLETE);
		CU_ASSERT(is_whole(129));
		CU_ASSERT_EQUAL(count(reassembly), 0);
		CU_ASSERT_EQUAL(held(reassembly), 0);
	}
	/* A last block may be full, and empty. */
	CU_ASSERT_EQUAL(add(reassembly, "a", 0, true, 64, 0), REASSEMBLY_CONTINUE);
	CU_ASSERT_EQUAL(add(reassembly, "a", 1, false, 64, 0), REASSEMBLY_COMPLETE);
	CU_ASSERT(is_whole(128));
	CU_ASSERT_EQUAL(add(reassembly, "a", 0, true, 64, 0), REASSEMBLY_CONTINUE);
	CU_ASSERT_EQUAL(add(reassembly, "a", 1, false, 0, 0), REASSEMBLY_COMPLETE);
	CU_ASSERT(is_whole(64));
	reassembly_free(reassembly);
}

static void bodies_are_kept_apart(void)
{
	struct reassembly *reassembly = made(1000, 10000, 16);
	struct reassembly_key keys[7];
	for (size_t i = 0; i < 7; i++)
		keys[i] = key_of("a");
	keys[1].peer = slice_str("b");
	keys[2].method = 2;
	keys[3].options_hash = 6;
	keys[4].request_tag = slice_of("", 0);
	keys[5].request_tag = slice_str("x");
	keys[6].request_tag = slice_str("xy");
	for (size_t i = 0; i < 7; i++) {
		struct reassembly_block block = block_of(0, true, 64);
		block.payload.data += i;
		CU_ASSERT_EQUAL(reassembly_add(reassembly, &keys[i], &block, 0, &whole), REASSEMBLY_CONTINUE);
	}
	CU_ASSERT_EQUAL(count(reassembly), 7);
	for (size_t i = 0; i < 7; i++) {
		struct reassembly_block block = block_of(1, false, 2);
		block.payload.data += i;
		CU_ASSERT_EQUAL(reassembly_add(reassembly, &keys[i], &block, 0, &whole), REASSEMBLY_COMPLETE);
		CU_ASSERT(slice_equal(buffer_slice(&whole), slice_of(bytes + i, 66)));
	}
	reassembly_free(reassembly);
}

static void blocks_may_come_again(void)
{
	struct reassembly *reassembly = made(1000, 10000, 4);
	CU_ASSERT_EQUAL(add(reassembly, "a", 0, true, 64, 0), REASSEMBLY_CONTINUE);
	for (int i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(add(reassembly, "a", 1, true, 64, 0), REASSEMBLY_CONTINUE);
	CU_ASSERT_EQUAL(add(reassembly, "a", 2, true, 64, 0), REASSEMBLY_CONTINUE);
	CU_ASSERT_EQUAL(add(reassembly, "a", 1, true, 64, 0), REASSEMBLY_CONTINUE);
	CU_ASSERT_EQUAL(add(reassembly, "a", 3, false, 5, 0), REASSEMBLY_COMPLETE);
	CU_ASSERT(is_whole(197));
	/* The first one begins anew, whatever was there. */
	CU_ASSERT_EQUAL(add(reassembly, "a", 0, true, 64, 0), REASSEMBLY_CONTINUE);
	CU_ASSERT_EQUAL(add(reassembly, "a", 1, true, 64, 0), REASSEMBLY_CONTINUE);
	CU_ASSERT_EQUAL(add(reassembly, "a", 0, true, 64, 0), REASSEMBLY_CONTINUE);
	CU_ASSERT_EQUAL(add(reassembly, "a", 1, false, 1, 0), REASSEMBLY_COMPLETE);
	CU_ASSERT(is_whole(65));
	/* Also if it is the only one. */
	CU_ASSERT_EQUAL(add(reassembly, "a", 0, true, 64, 0), REASSEMBLY_CONTINUE);
	CU_ASSERT_EQUAL(add(reassembly, "a", 0, false, 1, 0), REASSEMBLY_WHOLE);
	CU_ASSERT_EQUAL(add(reassembly, "a", 1, false, 1, 0), REASSEMBLY_INCOMPLETE);
	reassembly_free(reassembly);
}

static void what_is_missing_is_incomplete(void)
{
	struct reassembly *reassembly = made(1000, 10000, 4);
	CU_ASSERT_EQUAL(add(reassembly, "a", 1, true, 64, 0), REASSEMBLY_INCOMPLETE);
	CU_ASSERT_EQUAL(add(reassembly, "a", 5, false, 1, 0), REASSEMBLY_INCOMPLETE);
	CU_ASSERT_EQUAL(add(reassembly, "a", 0, true, 64, 0), REASSEMBLY_CONTINUE);
	CU_ASSERT_EQUAL(add(reassembly, "a", 2, true, 64, 0), REASSEMBLY_INCOMPLETE);
	CU_ASSERT_EQUAL(count(reassembly), 0);
	CU_ASSERT_EQUAL(add(reassembly, "a", 1, false, 1, 0), REASSEMBLY_INCOMPLETE);
	/* Other bytes where some have been taken: two bodies under one key. */
	CU_ASSERT_EQUAL(add(reassembly, "a", 0, true, 64, 0), REASSEMBLY_CONTINUE);
	CU_ASSERT_EQUAL(add(reassembly, "a", 1, true, 64, 0), REASSEMBLY_CONTINUE);
	struct reassembly_key key = key_of("a");
	struct reassembly_block block = block_of(1, true, 64);
	block.payload.data++;
	CU_ASSERT_EQUAL(reassembly_add(reassembly, &key, &block, 0, &whole), REASSEMBLY_INCOMPLETE);
	CU_ASSERT_EQUAL(count(reassembly), 0);
	/* A last one in the middle. */
	CU_ASSERT_EQUAL(add(reassembly, "a", 0, true, 64, 0), REASSEMBLY_CONTINUE);
	CU_ASSERT_EQUAL(add(reassembly, "a", 1, true, 64, 0), REASSEMBLY_CONTINUE);
	CU_ASSERT_EQUAL(add(reassembly, "a", 1, false, 64, 0), REASSEMBLY_INCOMPLETE);
	CU_ASSERT_EQUAL(count(reassembly), 0);
	reassembly_free(reassembly);
}

static void blocks_are_as_long_as_they_say(void)
{
	struct reassembly *reassembly = made(1000, 10000, 4);
	struct reassembly_key key = key_of("a");
	CU_ASSERT_EQUAL(add(reassembly, "a", 0, true, 63, 0), REASSEMBLY_MALFORMED);
	CU_ASSERT_EQUAL(add(reassembly, "a", 0, true, 65, 0), REASSEMBLY_MALFORMED);
	CU_ASSERT_EQUAL(add(reassembly, "a", 0, true, 0, 0), REASSEMBLY_MALFORMED);
	CU_ASSERT_EQUAL(add(reassembly, "a", 0, false, 65, 0), REASSEMBLY_MALFORMED);
	CU_ASSERT_EQUAL(count(reassembly), 0);
	CU_ASSERT_EQUAL(add(reassembly, "a", 0, true, 64, 0), REASSEMBLY_CONTINUE);
	CU_ASSERT_EQUAL(add(reassembly, "a", 1, true, 10, 0), REASSEMBLY_MALFORMED);
	CU_ASSERT_EQUAL(count(reassembly), 1);
	/* A smaller size from there on: the numbers count in it. */
	struct reassembly_block block = {.num = 4, .more = true, .szx = 0, .payload = slice_of(bytes + 64, 16)};
	CU_ASSERT_EQUAL(reassembly_add(reassembly, &key, &block, 0, &whole), REASSEMBLY_CONTINUE);
	block = (struct reassembly_block){.num = 5, .szx = 0, .payload = slice_of(bytes + 80, 16)};
	CU_ASSERT_EQUAL(reassembly_add(reassembly, &key, &block, 0, &whole), REASSEMBLY_COMPLETE);
	CU_ASSERT(is_whole(96));
	reassembly_free(reassembly);
}

static void bert_blocks_count_in_kibibytes(void)
{
	struct reassembly *reassembly = made(20000, 100000, 4);
	struct reassembly_key key = key_of("a");
	struct reassembly_block block = {.num = 0, .more = true, .szx = 7, .payload = slice_of(bytes, 3 * 1024)};
	CU_ASSERT_EQUAL(reassembly_add(reassembly, &key, &block, 0, &whole), REASSEMBLY_CONTINUE);
	block = (struct reassembly_block){.num = 3, .more = true, .szx = 7, .payload = slice_of(bytes + 3072, 1000)};
	CU_ASSERT_EQUAL(reassembly_add(reassembly, &key, &block, 0, &whole), REASSEMBLY_MALFORMED);
	block.payload.len = 0;
	CU_ASSERT_EQUAL(reassembly_add(reassembly, &key, &block, 0, &whole), REASSEMBLY_MALFORMED);
	block.payload.len = 8 * 1024;
	CU_ASSERT_EQUAL(reassembly_add(reassembly, &key, &block, 0, &whole), REASSEMBLY_CONTINUE);
	block = (struct reassembly_block){.num = 11, .szx = 7, .payload = slice_of(bytes + 11264, 5000)};
	CU_ASSERT_EQUAL(reassembly_add(reassembly, &key, &block, 0, &whole), REASSEMBLY_COMPLETE);
	CU_ASSERT(is_whole(16264));
	reassembly_free(reassembly);
}

static void a_body_has_its_limit(void)
{
	struct reassembly *reassembly = made(130, 10000, 4);
	struct reassembly_key key = key_of("a");
	CU_ASSERT_EQUAL(add(reassembly, "a", 0, true, 64, 0), REASSEMBLY_CONTINUE);
	CU_ASSERT_EQUAL(add(reassembly, "a", 1, true, 64, 0), REASSEMBLY_CONTINUE);
	CU_ASSERT_EQUAL(add(reassembly, "a", 2, false, 2, 0), REASSEMBLY_COMPLETE);
	CU_ASSERT(is_whole(130));
	CU_ASSERT_EQUAL(add(reassembly, "a", 0, true, 64, 0), REASSEMBLY_CONTINUE);
	CU_ASSERT_EQUAL(add(reassembly, "a", 1, true, 64, 0), REASSEMBLY_CONTINUE);
	CU_ASSERT_EQUAL(add(reassembly, "a", 2, false, 3, 0), REASSEMBLY_TOO_LARGE);
	CU_ASSERT_EQUAL(count(reassembly), 0);
	/* Of a size that is announced nothing is allocated, and one too large is refused at once. */
	struct reassembly_block block = block_of(0, true, 64);
	block.size1 = 131;
	CU_ASSERT_EQUAL(reassembly_add(reassembly, &key, &block, 0, &whole), REASSEMBLY_TOO_LARGE);
	block.size1 = UINT64_MAX;
	CU_ASSERT_EQUAL(reassembly_add(reassembly, &key, &block, 0, &whole), REASSEMBLY_TOO_LARGE);
	CU_ASSERT_EQUAL(count(reassembly), 0);
	block.size1 = 130;
	CU_ASSERT_EQUAL(reassembly_add(reassembly, &key, &block, 0, &whole), REASSEMBLY_CONTINUE);
	CU_ASSERT(held(reassembly) <= 130);
	block = (struct reassembly_block){.num = 0xfffff, .more = true, .szx = 6, .payload = slice_of(bytes, 1024)};
	CU_ASSERT_EQUAL(reassembly_add(reassembly, &key, &block, 0, &whole), REASSEMBLY_TOO_LARGE);
	CU_ASSERT_EQUAL(add(reassembly, "a", 0, false, 64, 0), REASSEMBLY_WHOLE);
	reassembly_free(reassembly);
}

static void there_are_so_many_bodies(void)
{
	struct reassembly *reassembly = made(1000, 100000, 2);
	CU_ASSERT_EQUAL(add(reassembly, "a", 0, true, 64, 0), REASSEMBLY_CONTINUE);
	CU_ASSERT_EQUAL(add(reassembly, "b", 0, true, 64, 1), REASSEMBLY_CONTINUE);
	CU_ASSERT_EQUAL(add(reassembly, "c", 0, true, 64, 2), REASSEMBLY_NO_ROOM);
	CU_ASSERT_EQUAL(add(reassembly, "c", 0, true, 64, 9999), REASSEMBLY_NO_ROOM);
	CU_ASSERT_EQUAL(add(reassembly, "a", 1, true, 64, 9999), REASSEMBLY_CONTINUE);
	/* Now the second has waited for longest. */
	CU_ASSERT_EQUAL(add(reassembly, "c", 0, true, 64, 10001), REASSEMBLY_CONTINUE);
	CU_ASSERT_EQUAL(add(reassembly, "b", 1, true, 64, 10001), REASSEMBLY_INCOMPLETE);
	CU_ASSERT_EQUAL(add(reassembly, "a", 2, false, 1, 10001), REASSEMBLY_COMPLETE);
	CU_ASSERT(is_whole(129));
	reassembly_free(reassembly);
}

static void all_bodies_share_a_room(void)
{
	struct reassembly *reassembly = made(4096, 3000, 100);
	size_t n = 0;
	char peer[2] = "A";
	while (add(reassembly, peer, 0, true, 64, 0) == REASSEMBLY_CONTINUE) {
		CU_ASSERT(held(reassembly) <= 3000);
		n++;
		peer[0]++;
	}
	CU_ASSERT(n >= 5 && n <= 46);
	CU_ASSERT_EQUAL(add(reassembly, peer, 0, true, 64, 0), REASSEMBLY_NO_ROOM);
	CU_ASSERT_EQUAL(count(reassembly), n);
	/* One that goes on makes those go that were begun after it, or have waited, but never itself. */
	for (uint32_t num = 1; num < 4; num++)
		CU_ASSERT_EQUAL(add(reassembly, "A", num, true, 64, 0), REASSEMBLY_CONTINUE);
	CU_ASSERT_EQUAL(count(reassembly), n);
	CU_ASSERT_EQUAL(add(reassembly, "A", 4, true, 64, 0), REASSEMBLY_CONTINUE);
	CU_ASSERT(count(reassembly) < n);
	peer[0]--;
	CU_ASSERT_EQUAL(add(reassembly, peer, 1, true, 64, 0), REASSEMBLY_INCOMPLETE); /* begun last */
	CU_ASSERT_EQUAL(add(reassembly, "B", 1, true, 64, 0), REASSEMBLY_CONTINUE);
	uint32_t num = 5;
	enum reassembly_result result;
	while ((result = add(reassembly, "A", num, true, 64, 20000)) == REASSEMBLY_CONTINUE)
		num++;
	CU_ASSERT_EQUAL(result, REASSEMBLY_NO_ROOM);
	CU_ASSERT_EQUAL(count(reassembly), 1);
	CU_ASSERT(num >= 16);
	CU_ASSERT(held(reassembly) <= 3000);
	reassembly_free(reassembly);
}

static enum reassembly_result add_of(
	struct reassembly *reassembly, const char *holder, const char *peer, uint32_t num, bool more)
{
	struct reassembly_key key = key_of(peer);
	struct reassembly_block block = block_of(num, more, 64);
	key.holder = slice_str(holder);
	return reassembly_add(reassembly, &key, &block, 0, &whole);
}

static void nobody_takes_all_of_the_room(void)
{
	struct reassembly *reassembly = made(4096, 3000, 100);
	char peer[2] = "A";
	CU_ASSERT_EQUAL(add_of(reassembly, "", "known", 0, true), REASSEMBLY_CONTINUE);
	while (add_of(reassembly, "greedy", peer, 0, true) == REASSEMBLY_CONTINUE)
		peer[0]++;
	CU_ASSERT_EQUAL(add_of(reassembly, "greedy", peer, 0, true), REASSEMBLY_NO_ROOM);
	size_t n = count(reassembly);
	/* Those who hold less get room from who holds most, beginning with what has been without a block for longest. */
	CU_ASSERT_EQUAL(add_of(reassembly, "modest", "m", 0, true), REASSEMBLY_CONTINUE);
	CU_ASSERT_EQUAL(count(reassembly), n);
	CU_ASSERT_EQUAL(add_of(reassembly, "greedy", "A", 1, true), REASSEMBLY_INCOMPLETE);
	CU_ASSERT_EQUAL(add_of(reassembly, "greedy", "B", 1, true), REASSEMBLY_CONTINUE);
	/* A body that is known to be somebody's now is of his share. */
	CU_ASSERT_EQUAL(add_of(reassembly, "known", "known", 1, true), REASSEMBLY_CONTINUE);
	for (uint32_t num = 1; num < 8; num++)
		CU_ASSERT_EQUAL(add_of(reassembly, "modest", "m", num, num < 7),
			num < 7 ? REASSEMBLY_CONTINUE : REASSEMBLY_COMPLETE);
	CU_ASSERT(is_whole((size_t)8 * 64));
	CU_ASSERT_EQUAL(add_of(reassembly, "known", "known", 2, false), REASSEMBLY_COMPLETE);
	reassembly_free(reassembly);
}

static void bodies_expire(void)
{
	struct reassembly *reassembly = made(1000, 10000, 4);
	CU_ASSERT_EQUAL(add(reassembly, "a", 0, true, 64, 1000), REASSEMBLY_CONTINUE);
	CU_ASSERT_EQUAL(add(reassembly, "a", 1, true, 64, 1000 + REASSEMBLY_WAIT_MS - 1), REASSEMBLY_CONTINUE);
	reassembly_expire(reassembly, 1000 + 2 * REASSEMBLY_WAIT_MS - 2);
	CU_ASSERT_EQUAL(count(reassembly), 1);
	CU_ASSERT_EQUAL(add(reassembly, "a", 2, false, 1, 1000 + 2 * REASSEMBLY_WAIT_MS - 1), REASSEMBLY_INCOMPLETE);
	CU_ASSERT_EQUAL(count(reassembly), 0);
	CU_ASSERT_EQUAL(held(reassembly), 0);
	reassembly_free(reassembly);
}

/* Anything in any order: limits hold, and what is complete is what was sent. */
static void survives_disorder(void)
{
	struct reassembly *reassembly = made(500, 4000, 5);
	static const char *const peers[] = {"a", "b", "c", "d", "e", "f", "g"};
	unsigned n_wrong = 0, n_complete = 0;
	uint32_t next[7] = {0};
	srandom(3);
	for (int i = 0; i < 100000; i++) {
		size_t peer = (size_t)random() % 7;
		uint32_t num = random() % 4 ? next[peer] : (uint32_t)(random() % 9);
		bool more = random() % 5 != 0;
		size_t len = more ? 64 : (size_t)(random() % 65);
		enum reassembly_result result = add(reassembly, peers[peer], num, more, len, (uint64_t)i * 200);
		next[peer] = result == REASSEMBLY_CONTINUE ? num + 1 : 0;
		if (result == REASSEMBLY_COMPLETE) {
			n_complete++;
			n_wrong += !is_whole(num * 64 + len);
		}
		n_wrong += held(reassembly) > 4000 || count(reassembly) > 5;
	}
	CU_ASSERT_EQUAL(n_wrong, 0);
	CU_ASSERT(n_complete > 1000);
	reassembly_free(reassembly);
	buffer_free(&whole);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"blocks make a body", makes_bodies},
		{"bodies are kept apart by all of their key", bodies_are_kept_apart},
		{"a block that comes again changes nothing", blocks_may_come_again},
		{"what is missing or mixed is incomplete", what_is_missing_is_incomplete},
		{"blocks are as long as they say, in any size", blocks_are_as_long_as_they_say},
		{"BERT blocks count in kibibytes", bert_blocks_count_in_kibibytes},
		{"a body has its limit, announced or not", a_body_has_its_limit},
		{"there are so many bodies and no more", there_are_so_many_bodies},
		{"all bodies share a room", all_bodies_share_a_room},
		{"nobody takes all of the room", nobody_takes_all_of_the_room},
		{"bodies expire", bodies_expire},
		{"disorder breaks nothing", survives_disorder},
		{NULL, NULL},
	};
	return tap_main("coap reassembly", tests);
}
