/* SPDX-License-Identifier: Apache-2.0
 *
 * Repeated requests, ids that are used again, time, a full table, and many steps at random beside a plain list.
 */
#include <stdlib.h>
#include <string.h>

#include "connectors/coap/dedupe.h"
#include "connectors/coap/shares.h"
#include "tests/unit/tap.h"

static struct dedupe *made(size_t max_entries)
{
	struct dedupe *dedupe = NULL;
	CU_ASSERT_EQUAL_FATAL(dedupe_new(max_entries, &dedupe), 0);
	return dedupe;
}

/* Each peer is a holder of its own. */
static enum dedupe_state enter_as(struct dedupe *dedupe, const char *peer, uint16_t id, uint64_t hash, bool is_con,
	uint64_t now_ms, struct slice *ret_answer)
{
	return dedupe_enter(dedupe, slice_str(peer), slice_str(peer), id, hash, is_con, now_ms, ret_answer);
}

static enum dedupe_state enter(struct dedupe *dedupe, const char *peer, uint16_t id, uint64_t hash, uint64_t now_ms)
{
	struct slice answer = {NULL, 0};
	return enter_as(dedupe, peer, id, hash, true, now_ms, &answer);
}

static void answer(struct dedupe *dedupe, const char *peer, uint16_t id, uint64_t hash, const char *text)
{
	dedupe_answer(dedupe, slice_str(peer), id, hash, slice_str(text));
}

static void expect_answer(struct dedupe *dedupe, const char *peer, uint16_t id, uint64_t hash, const char *text)
{
	struct slice given = {NULL, 0};
	CU_ASSERT_EQUAL(enter_as(dedupe, peer, id, hash, true, 1, &given), DEDUPE_ANSWERED);
	CU_ASSERT(slice_equal(given, slice_str(text)));
}

static void repetitions_get_the_same_answer(void)
{
	struct dedupe *dedupe = made(8);
	CU_ASSERT_EQUAL(enter(dedupe, "a", 1, 11, 0), DEDUPE_NEW);
	CU_ASSERT_EQUAL(enter(dedupe, "a", 1, 11, 0), DEDUPE_PENDING);
	CU_ASSERT_EQUAL(enter(dedupe, "b", 1, 11, 0), DEDUPE_NEW);
	CU_ASSERT_EQUAL(enter(dedupe, "", 1, 11, 0), DEDUPE_NEW);
	answer(dedupe, "a", 1, 11, "D");
	answer(dedupe, "b", 1, 11, "16 bytes exactly");
	answer(dedupe, "", 1, 11, "");
	for (int i = 0; i < 2; i++) {
		expect_answer(dedupe, "a", 1, 11, "D");
		expect_answer(dedupe, "b", 1, 11, "16 bytes exactly");
		expect_answer(dedupe, "", 1, 11, "");
	}
	answer(dedupe, "a", 1, 11, "E");
	expect_answer(dedupe, "a", 1, 11, "E");
	dedupe_free(dedupe);
}

static void other_bytes_are_another_message(void)
{
	struct dedupe *dedupe = made(8);
	CU_ASSERT_EQUAL(enter(dedupe, "a", 1, 11, 0), DEDUPE_NEW);
	answer(dedupe, "a", 1, 11, "D");
	CU_ASSERT_EQUAL(enter(dedupe, "a", 1, 12, 5), DEDUPE_NEW);
	CU_ASSERT_EQUAL(enter(dedupe, "a", 1, 12, 5), DEDUPE_PENDING);
	answer(dedupe, "a", 1, 11, "D"); /* to the one before: it comes too late */
	dedupe_forget(dedupe, slice_str("a"), 1, 11);
	CU_ASSERT_EQUAL(enter(dedupe, "a", 1, 12, 5), DEDUPE_PENDING);
	/* Its time counts from its own arrival. */
	CU_ASSERT_EQUAL(enter(dedupe, "a", 1, 12, 4 + DEDUPE_CON_MS), DEDUPE_PENDING);
	CU_ASSERT_EQUAL(enter(dedupe, "a", 1, 12, 5 + DEDUPE_CON_MS), DEDUPE_NEW);
	dedupe_free(dedupe);
}

static void entries_go_by_their_time(void)
{
	struct dedupe *dedupe = made(8);
	struct slice given;
	CU_ASSERT_EQUAL(enter(dedupe, "a", 1, 11, 1000), DEDUPE_NEW);
	CU_ASSERT_EQUAL(enter_as(dedupe, "a", 2, 11, false, 2000, &given), DEDUPE_NEW);
	answer(dedupe, "a", 1, 11, "D");
	CU_ASSERT_EQUAL(enter(dedupe, "a", 2, 11, 2000 + DEDUPE_NON_MS - 1), DEDUPE_PENDING);
	CU_ASSERT_EQUAL(enter(dedupe, "a", 2, 11, 2000 + DEDUPE_NON_MS), DEDUPE_NEW);
	CU_ASSERT_EQUAL(enter_as(dedupe, "a", 1, 11, true, 1000 + DEDUPE_CON_MS - 1, &given), DEDUPE_ANSWERED);
	CU_ASSERT_EQUAL(enter(dedupe, "a", 1, 11, 1000 + DEDUPE_CON_MS), DEDUPE_NEW);
	dedupe_free(dedupe);
}

static void a_full_table_refuses(void)
{
	struct dedupe *dedupe = made(3);
	for (uint16_t id = 0; id < 3; id++)
		CU_ASSERT_EQUAL(enter(dedupe, "a", id, 11, id), DEDUPE_NEW);
	CU_ASSERT_EQUAL(enter(dedupe, "a", 3, 11, 10), DEDUPE_FULL);
	CU_ASSERT_EQUAL(enter(dedupe, "a", 2, 11, 10), DEDUPE_PENDING);
	CU_ASSERT_EQUAL(enter(dedupe, "a", 2, 12, 10), DEDUPE_NEW); /* takes no room */
	dedupe_forget(dedupe, slice_str("a"), 1, 11);
	CU_ASSERT_EQUAL(enter(dedupe, "a", 3, 11, 10), DEDUPE_NEW);
	CU_ASSERT_EQUAL(enter(dedupe, "a", 4, 11, 10), DEDUPE_FULL);
	CU_ASSERT_EQUAL(enter(dedupe, "a", 4, 11, DEDUPE_CON_MS), DEDUPE_NEW); /* the first one has expired */
	dedupe_free(dedupe);
	dedupe = made(0);
	CU_ASSERT_EQUAL(enter(dedupe, "a", 1, 11, 0), DEDUPE_FULL);
	dedupe_free(dedupe);
}

/* Whatever one does, there is a place for another; and its own are free again when they have expired. */
static void no_holder_takes_all(void)
{
	struct dedupe *dedupe = made(90);
	uint16_t n = 0;
	while (n < 90 && enter(dedupe, "a", n, 11, 0) == DEDUPE_NEW)
		n++;
	CU_ASSERT_EQUAL(n, 80);
	CU_ASSERT_EQUAL(enter(dedupe, "a", 3, 12, 0), DEDUPE_NEW); /* in the place of what was there */
	CU_ASSERT_EQUAL(enter(dedupe, "b", 0, 11, 10), DEDUPE_NEW);
	dedupe_forget(dedupe, slice_str("b"), 0, 11);
	dedupe_forget(dedupe, slice_str("a"), 7, 11);
	CU_ASSERT_EQUAL(enter(dedupe, "a", 7, 11, 10), DEDUPE_NEW);
	CU_ASSERT_EQUAL(enter(dedupe, "a", 80, 11, 10), DEDUPE_FULL);
	CU_ASSERT_EQUAL(enter(dedupe, "a", 80, 11, DEDUPE_CON_MS), DEDUPE_NEW);
	dedupe_free(dedupe);
}

/* --- beside a plain list --------------------------------------------------------------------------------------------- */

#define N_IDS   64
#define N_PEERS 4
#define ROOM    100

struct known {
	uint64_t hash, expires_ms;
	int answer; /* its only byte; -1: none */
};

static struct known model[N_PEERS][N_IDS];

static size_t model_expire(uint64_t now_ms)
{
	size_t n = 0;
	for (size_t i = 0; i < sizeof model / sizeof model[0][0]; i++) {
		struct known *known = &model[0][0] + i;
		if (known->expires_ms <= now_ms)
			known->expires_ms = 0;
		n += known->expires_ms != 0;
	}
	return n;
}

static enum dedupe_state model_enter(
	const struct known *row, struct known *known, uint64_t hash, bool is_con, uint64_t now_ms)
{
	size_t n = model_expire(now_ms), own = 0;
	for (size_t i = 0; i < N_IDS; i++)
		own += row[i].expires_ms != 0;
	if (known->expires_ms && known->hash == hash)
		return known->answer < 0 ? DEDUPE_PENDING : DEDUPE_ANSWERED;
	if (!known->expires_ms && own >= SHARES_FACTOR * (ROOM - n))
		return DEDUPE_FULL;
	*known = (struct known){hash, now_ms + (is_con ? DEDUPE_CON_MS : DEDUPE_NON_MS), -1};
	return DEDUPE_NEW;
}

static void agrees_with_a_list(void)
{
	static const char *const peers[N_PEERS] = {"a", "b", "ab", ""};
	struct dedupe *dedupe = made(ROOM);
	uint64_t now_ms = 0;
	unsigned n_wrong = 0, seen[4] = {0};
	srandom(7);
	for (int i = 0; i < 200000; i++) {
		long dice = random();
		size_t peer = (size_t)dice % N_PEERS;
		uint16_t id = (uint16_t)(dice / 4 % N_IDS);
		uint64_t hash = (uint64_t)(dice / 256 % 3);
		struct known *known = &model[peer][id];
		uint8_t byte = (uint8_t)(dice / 4096);
		struct slice given = {NULL, 0};
		now_ms += (uint64_t)(dice / 65536 % 800);
		switch (random() % 4) {
		case 0:
			model_expire(now_ms);
			dedupe_expire(dedupe, now_ms);
			if (known->expires_ms && known->hash == hash)
				known->answer = byte;
			dedupe_answer(dedupe, slice_str(peers[peer]), id, hash, slice_of(&byte, 1));
			break;
		case 1:
			if (known->hash == hash && dice % 7 == 0) {
				known->expires_ms = 0;
				dedupe_forget(dedupe, slice_str(peers[peer]), id, hash);
			}
			break;
		default:;
			enum dedupe_state expected = model_enter(model[peer], known, hash, dice % 3 == 0, now_ms);
			enum dedupe_state state =
				enter_as(dedupe, peers[peer], id, hash, dice % 3 == 0, now_ms, &given);
			seen[state]++;
			n_wrong += state != expected;
			n_wrong += state == DEDUPE_ANSWERED && (given.len != 1 || given.data[0] != known->answer);
		}
	}
	CU_ASSERT_EQUAL(n_wrong, 0);
	for (int state = 0; state < 4; state++)
		CU_ASSERT(seen[state] > 100);
	dedupe_free(dedupe);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"a repetition gets the same answer", repetitions_get_the_same_answer},
		{"other bytes under the same id are another message", other_bytes_are_another_message},
		{"entries go by their time, of either kind", entries_go_by_their_time},
		{"a full table refuses and forgets nothing", a_full_table_refuses},
		{"no holder takes all of a table", no_holder_takes_all},
		{"many steps agree with a plain list", agrees_with_a_list},
		{NULL, NULL},
	};
	return tap_main("coap dedupe", tests);
}
