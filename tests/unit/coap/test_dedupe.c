/* SPDX-License-Identifier: Apache-2.0
 *
 * Repeated requests, ids that are used again, time, a full table, and many steps at random beside a plain list.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/coap/dedupe.h"
#include "tests/unit/tap.h"

static struct dedupe *made(size_t max_entries, size_t max_answer_bytes)
{
	struct dedupe *dedupe = NULL;
	struct dedupe_limits limits = {.max_entries = max_entries, .max_answer_bytes = max_answer_bytes};
	CU_ASSERT_EQUAL_FATAL(dedupe_new(&limits, &dedupe), 0);
	return dedupe;
}

static enum dedupe_state enter(struct dedupe *dedupe, const char *peer, uint16_t id, uint64_t hash, uint64_t now_ms)
{
	struct slice answer = {NULL, 0};
	return dedupe_enter(dedupe, slice_str(peer), id, hash, true, now_ms, &answer);
}

static int answer(struct dedupe *dedupe, const char *peer, uint16_t id, uint64_t hash, const char *text)
{
	return dedupe_answer(dedupe, slice_str(peer), id, hash, slice_str(text));
}

static void expect_answer(struct dedupe *dedupe, const char *peer, uint16_t id, uint64_t hash, const char *text)
{
	struct slice given = {NULL, 0};
	CU_ASSERT_EQUAL(dedupe_enter(dedupe, slice_str(peer), id, hash, true, 1, &given), DEDUPE_ANSWERED);
	CU_ASSERT(slice_equal(given, slice_str(text)));
}

static const char long_answer[] = "D and options that are longer than what is kept inline";

static void repetitions_get_the_same_answer(void)
{
	struct dedupe *dedupe = made(8, 100);
	CU_ASSERT_EQUAL(enter(dedupe, "a", 1, 11, 0), DEDUPE_NEW);
	CU_ASSERT_EQUAL(enter(dedupe, "a", 1, 11, 0), DEDUPE_PENDING);
	CU_ASSERT_EQUAL(enter(dedupe, "a", 2, 11, 0), DEDUPE_NEW);
	CU_ASSERT_EQUAL(enter(dedupe, "b", 1, 11, 0), DEDUPE_NEW);
	CU_ASSERT_EQUAL(enter(dedupe, "", 1, 11, 0), DEDUPE_NEW);
	CU_ASSERT_EQUAL(answer(dedupe, "a", 1, 11, "D"), 0);
	CU_ASSERT_EQUAL(answer(dedupe, "a", 2, 11, long_answer), 0);
	CU_ASSERT_EQUAL(answer(dedupe, "b", 1, 11, "16 bytes exactly"), 0);
	CU_ASSERT_EQUAL(answer(dedupe, "", 1, 11, ""), 0);
	for (int i = 0; i < 2; i++) {
		expect_answer(dedupe, "a", 1, 11, "D");
		expect_answer(dedupe, "a", 2, 11, long_answer);
		expect_answer(dedupe, "b", 1, 11, "16 bytes exactly");
		expect_answer(dedupe, "", 1, 11, "");
	}
	CU_ASSERT_EQUAL(answer(dedupe, "a", 2, 11, "E"), 0);
	expect_answer(dedupe, "a", 2, 11, "E");
	struct dedupe_figures figures;
	dedupe_figures(dedupe, &figures);
	CU_ASSERT_EQUAL(figures.n, 4);
	CU_ASSERT_EQUAL(figures.answer_bytes, 0);
	CU_ASSERT_EQUAL(figures.repeated, 10);
	dedupe_free(dedupe);
}

static void other_bytes_are_another_message(void)
{
	struct dedupe *dedupe = made(8, 100);
	CU_ASSERT_EQUAL(enter(dedupe, "a", 1, 11, 0), DEDUPE_NEW);
	CU_ASSERT_EQUAL(answer(dedupe, "a", 1, 11, long_answer), 0);
	CU_ASSERT_EQUAL(enter(dedupe, "a", 1, 12, 5), DEDUPE_NEW);
	CU_ASSERT_EQUAL(enter(dedupe, "a", 1, 12, 5), DEDUPE_PENDING);
	/* An answer to the one before comes too late. */
	CU_ASSERT_EQUAL(answer(dedupe, "a", 1, 11, "D"), -ENOENT);
	dedupe_forget(dedupe, slice_str("a"), 1, 11);
	CU_ASSERT_EQUAL(enter(dedupe, "a", 1, 12, 5), DEDUPE_PENDING);
	struct dedupe_figures figures;
	dedupe_figures(dedupe, &figures);
	CU_ASSERT_EQUAL(figures.n, 1);
	CU_ASSERT_EQUAL(figures.replaced, 1);
	CU_ASSERT_EQUAL(figures.answer_bytes, 0);
	/* Its time counts from its own arrival. */
	CU_ASSERT_EQUAL(dedupe_first_expiry_ms(dedupe), 5 + DEDUPE_CON_MS);
	dedupe_free(dedupe);
}

static void entries_go_by_their_time(void)
{
	struct dedupe *dedupe = made(8, 100);
	struct slice given;
	CU_ASSERT_EQUAL(dedupe_first_expiry_ms(dedupe), UINT64_MAX);
	CU_ASSERT_EQUAL(enter(dedupe, "a", 1, 11, 1000), DEDUPE_NEW);
	CU_ASSERT_EQUAL(dedupe_enter(dedupe, slice_str("a"), 2, 11, false, 2000, &given), DEDUPE_NEW);
	CU_ASSERT_EQUAL(dedupe_first_expiry_ms(dedupe), 2000 + DEDUPE_NON_MS);
	CU_ASSERT_EQUAL(answer(dedupe, "a", 1, 11, long_answer), 0);
	CU_ASSERT_EQUAL(enter(dedupe, "a", 2, 11, 2000 + DEDUPE_NON_MS - 1), DEDUPE_PENDING);
	CU_ASSERT_EQUAL(enter(dedupe, "a", 2, 11, 2000 + DEDUPE_NON_MS), DEDUPE_NEW);
	CU_ASSERT_EQUAL(
		dedupe_enter(dedupe, slice_str("a"), 1, 11, true, 1000 + DEDUPE_CON_MS - 1, &given), DEDUPE_ANSWERED);
	CU_ASSERT_EQUAL(enter(dedupe, "a", 1, 11, 1000 + DEDUPE_CON_MS), DEDUPE_NEW);
	dedupe_expire(dedupe, UINT64_MAX);
	struct dedupe_figures figures;
	dedupe_figures(dedupe, &figures);
	CU_ASSERT_EQUAL(figures.n, 0);
	CU_ASSERT_EQUAL(figures.answer_bytes, 0);
	dedupe_free(dedupe);
}

static void a_full_table_refuses(void)
{
	struct dedupe *dedupe = made(3, 100);
	for (uint16_t id = 0; id < 3; id++)
		CU_ASSERT_EQUAL(enter(dedupe, "a", id, 11, id), DEDUPE_NEW);
	CU_ASSERT_EQUAL(enter(dedupe, "a", 3, 11, 10), DEDUPE_FULL);
	CU_ASSERT_EQUAL(enter(dedupe, "a", 2, 11, 10), DEDUPE_PENDING);
	CU_ASSERT_EQUAL(enter(dedupe, "a", 2, 12, 10), DEDUPE_NEW); /* takes no room */
	dedupe_forget(dedupe, slice_str("a"), 1, 11);
	CU_ASSERT_EQUAL(enter(dedupe, "a", 3, 11, 10), DEDUPE_NEW);
	CU_ASSERT_EQUAL(enter(dedupe, "a", 4, 11, 10), DEDUPE_FULL);
	CU_ASSERT_EQUAL(enter(dedupe, "a", 4, 11, DEDUPE_CON_MS), DEDUPE_NEW); /* the first one has expired */
	struct dedupe_figures figures;
	dedupe_figures(dedupe, &figures);
	CU_ASSERT_EQUAL(figures.n, 3);
	CU_ASSERT_EQUAL(figures.refused, 2);
	dedupe_free(dedupe);
	dedupe = made(0, 0);
	CU_ASSERT_EQUAL(enter(dedupe, "a", 1, 11, 0), DEDUPE_FULL);
	dedupe_free(dedupe);
}

static void answers_have_their_room(void)
{
	struct dedupe *dedupe = made(8, 30);
	char text[32];
	memset(text, 'x', sizeof text);
	CU_ASSERT_EQUAL(enter(dedupe, "a", 1, 11, 0), DEDUPE_NEW);
	CU_ASSERT_EQUAL(enter(dedupe, "a", 2, 11, 0), DEDUPE_NEW);
	CU_ASSERT_EQUAL(dedupe_answer(dedupe, slice_str("a"), 1, 11, slice_of(text, 31)), -ENOBUFS);
	CU_ASSERT_EQUAL(dedupe_answer(dedupe, slice_str("a"), 1, 11, slice_of(text, 30)), 0);
	CU_ASSERT_EQUAL(dedupe_answer(dedupe, slice_str("a"), 2, 11, slice_of(text, 17)), -ENOBUFS);
	struct slice given;
	CU_ASSERT_EQUAL(dedupe_enter(dedupe, slice_str("a"), 2, 11, true, 0, &given), DEDUPE_ANSWERED);
	CU_ASSERT_EQUAL(given.len, DEDUPE_INLINE_BYTES);
	dedupe_forget(dedupe, slice_str("a"), 1, 11);
	CU_ASSERT_EQUAL(dedupe_answer(dedupe, slice_str("a"), 2, 11, slice_of(text, 17)), 0);
	CU_ASSERT_EQUAL(dedupe_answer(dedupe, slice_str("a"), 1, 11, slice_of(text, 1)), -ENOENT);
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

static enum dedupe_state model_enter(struct known *known, uint64_t hash, bool is_con, uint64_t now_ms)
{
	size_t n = model_expire(now_ms);
	if (known->expires_ms && known->hash == hash)
		return known->answer < 0 ? DEDUPE_PENDING : DEDUPE_ANSWERED;
	if (!known->expires_ms && n >= ROOM)
		return DEDUPE_FULL;
	*known = (struct known){hash, now_ms + (is_con ? DEDUPE_CON_MS : DEDUPE_NON_MS), -1};
	return DEDUPE_NEW;
}

static void agrees_with_a_list(void)
{
	static const char *const peers[N_PEERS] = {"a", "b", "ab", ""};
	struct dedupe *dedupe = made(ROOM, 0);
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
			enum dedupe_state expected = model_enter(known, hash, dice % 3 == 0, now_ms);
			enum dedupe_state state =
				dedupe_enter(dedupe, slice_str(peers[peer]), id, hash, dice % 3 == 0, now_ms, &given);
			seen[state]++;
			n_wrong += state != expected;
			n_wrong += state == DEDUPE_ANSWERED && (given.len != 1 || given.data[0] != known->answer);
		}
	}
	CU_ASSERT_EQUAL(n_wrong, 0);
	for (int state = 0; state < 4; state++)
		CU_ASSERT(seen[state] > 100);
	struct dedupe_figures figures;
	dedupe_figures(dedupe, &figures);
	CU_ASSERT_EQUAL(figures.n, model_expire(now_ms));
	dedupe_free(dedupe);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"a repetition gets the same answer", repetitions_get_the_same_answer},
		{"other bytes under the same id are another message", other_bytes_are_another_message},
		{"entries go by their time, of either kind", entries_go_by_their_time},
		{"a full table refuses and forgets nothing", a_full_table_refuses},
		{"long answers have a room of their own", answers_have_their_room},
		{"many steps agree with a plain list", agrees_with_a_list},
		{NULL, NULL},
	};
	return tap_main("coap dedupe", tests);
}
