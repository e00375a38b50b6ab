/* SPDX-License-Identifier: Apache-2.0 */
/* Last values in the journal: each is there exactly when its message is done, over crashes and restarts, within bounds. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/journal/rig.h"

/* A message is done and is the last value of its topic. NULL: a null payload. */
static int keep(struct rig *rig, const char *topic, const char *payload, const struct journal_entry *done)
{
	struct message_view view = {.topic = slice_str(topic), .order_key = slice_str(topic), .origin_ms = 5};
	if (payload)
		view.payload = slice_str(payload);
	size_t len = message_encoded_size(&view);
	uint8_t *bytes = malloc(len);
	CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
	message_encode(&view, bytes);
	struct journal_change changes[] = {
		{.type = JOURNAL_VALUE, .dest = (uint32_t)rig->dest, .blob = slice_of(bytes, len)},
		{.type = JOURNAL_FINISHED, .dest = (uint32_t)rig->dest},
	};
	if (done) {
		changes[1].seq = done->seq;
		changes[1].bytes = done->bytes;
	}
	uint64_t lsn;
	int r = journal_append(rig->j, NULL, 0, changes, done ? 2 : 1, &lsn);
	free(bytes);
	return r;
}

static bool is(struct rig *rig, const char *topic, const char *payload)
{
	struct message *msg = journal_value(rig->j, (uint32_t)rig->dest, slice_str(topic));
	return payload ? msg && slice_equal(message_view(msg)->payload, slice_str(payload)) : !msg;
}

static struct journal_values_stats stats(const struct rig *rig)
{
	return journal_values_stats(rig->j, (uint32_t)rig->dest);
}

static void begin(struct rig *rig)
{
	rig_init(rig);
	rig_open(rig);
	journal_limit_values(rig->j, (uint32_t)rig->dest, 100, 50000);
}

static void reopen(struct rig *rig, bool crash)
{
	if (crash)
		rig_crash(rig);
	else
		rig_close(rig);
	rig_open(rig);
	journal_limit_values(rig->j, (uint32_t)rig->dest, 100, 50000);
}

static void test_restarts(void)
{
	struct rig rig;
	struct journal_entry entry;
	begin(&rig);
	CU_ASSERT_EQUAL(rig_append(&rig, "x", &entry), 0);
	rig_run(&rig);
	CU_ASSERT_EQUAL(keep(&rig, "a", "one", &entry), 0);
	CU_ASSERT_EQUAL(keep(&rig, "b", "", NULL), 0);
	CU_ASSERT_EQUAL(keep(&rig, "c", "gone", NULL), 0);
	CU_ASSERT_EQUAL(keep(&rig, "c", NULL, NULL), 0);
	CU_ASSERT(is(&rig, "a", "one") && is(&rig, "b", "") && is(&rig, "c", NULL));
	CU_ASSERT(journal_is_done(rig.j, (uint32_t)rig.dest, 1));
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig_append(&rig, "x", &entry), 0);
	rig_run(&rig);
	CU_ASSERT_EQUAL(keep(&rig, "a", "not durable", &entry), 0);
	reopen(&rig, true);
	CU_ASSERT(is(&rig, "a", "one") && is(&rig, "b", "") && is(&rig, "c", NULL));
	CU_ASSERT(journal_is_done(rig.j, (uint32_t)rig.dest, 1) && !journal_is_done(rig.j, (uint32_t)rig.dest, 2));
	reopen(&rig, true);
	reopen(&rig, false);
	CU_ASSERT(is(&rig, "a", "one") && is(&rig, "b", "") && is(&rig, "c", NULL));
	CU_ASSERT_EQUAL(stats(&rig).n, 2);
	CU_ASSERT_EQUAL(stats(&rig).evicted, 0);
	CU_ASSERT_EQUAL(rig_logged("event=journal_damage"), 0);
	CU_ASSERT_EQUAL(journal_drop_destination(rig.j, (uint32_t)rig.dest), 0);
	CU_ASSERT(is(&rig, "a", NULL));
	rig_fini(&rig);
}

/* What was set least recently goes, also after a restart that reads a CHECKPOINT. */
static void test_limits(void)
{
	struct rig rig;
	char topic[16];
	begin(&rig);
	for (unsigned i = 0; i < 100; i++) {
		snprintf(topic, sizeof topic, "t%u", i);
		CU_ASSERT_EQUAL(keep(&rig, topic, topic, NULL), 0);
	}
	CU_ASSERT_EQUAL(keep(&rig, "t0", "again", NULL), 0);
	rig_run(&rig);
	reopen(&rig, false);
	CU_ASSERT_EQUAL(stats(&rig).n, 100);
	CU_ASSERT_EQUAL(keep(&rig, "one more", "x", NULL), 0);
	CU_ASSERT_EQUAL(keep(&rig, "and one", "x", NULL), 0);
	CU_ASSERT(is(&rig, "t0", "again") && is(&rig, "t1", NULL) && is(&rig, "t2", NULL) && is(&rig, "t3", "t3"));
	CU_ASSERT(stats(&rig).n == 100 && stats(&rig).evicted == 2);
	static char large[40001], too_large[50001];
	memset(large, 'x', sizeof large - 1);
	memset(too_large, 'x', sizeof too_large - 1);
	CU_ASSERT(journal_value_fits(rig.j, (uint32_t)rig.dest, 50000));
	CU_ASSERT(!journal_value_fits(rig.j, (uint32_t)rig.dest, 50001));
	CU_ASSERT_EQUAL(keep(&rig, "large", large, NULL), 0);
	CU_ASSERT(is(&rig, "large", large) && stats(&rig).bytes <= 50000 && is(&rig, "and one", "x"));
	CU_ASSERT_EQUAL(keep(&rig, "large 2", large, NULL), 0);
	CU_ASSERT(is(&rig, "large", NULL) && is(&rig, "large 2", large) && stats(&rig).bytes <= 50000);
	CU_ASSERT_EQUAL(keep(&rig, "large 3", too_large, NULL), 0); /* who does not ask finds it gone */
	CU_ASSERT(is(&rig, "large 3", NULL) && stats(&rig).n == 0);
	rig_fini(&rig);
}

/* Many segments, with values in each CHECKPOINT. */
static void test_rotation(void)
{
	struct rig rig;
	static char block[2000];
	char topic[16];
	begin(&rig);
	memset(block, 'x', sizeof block - 1);
	CU_ASSERT_EQUAL(keep(&rig, "first", "1", NULL), 0);
	for (unsigned i = 0; i < 3000; i++) {
		snprintf(topic, sizeof topic, "t%u", i % 20);
		CU_ASSERT_EQUAL(keep(&rig, topic, block, NULL), 0);
		if (i % 20 == 0)
			rig_run(&rig);
	}
	rig_run(&rig);
	reopen(&rig, true);
	CU_ASSERT(is(&rig, "first", "1") && is(&rig, "t7", block) && stats(&rig).n == 21);
	rig_fini(&rig);
}

/* However much is allowed, all of them together take a sixteenth of a segment; other tables and messages do not suffer. */
static void test_share_of_a_segment(void)
{
	struct rig rig;
	static char block[2000];
	char topic[16];
	rig_init(&rig);
	rig_open(&rig);
	memset(block, 'x', sizeof block - 1);
	journal_limit_values(rig.j, (uint32_t)rig.dest, 1000000, 1u << 30);
	int other = journal_destination(rig.j, "other");
	CU_ASSERT_FATAL(other >= 0);
	for (unsigned i = 0; i < 1500; i++) { /* far more than a segment's worth, each of its own topic */
		snprintf(topic, sizeof topic, "t%u", i);
		int dest = rig.dest;
		rig.dest = i % 2 ? dest : other;
		CU_ASSERT_EQUAL(keep(&rig, topic, block, NULL), 0);
		rig.dest = dest;
		if (i % 20 == 0)
			rig_run(&rig);
	}
	size_t all = stats(&rig).bytes + journal_values_stats(rig.j, (uint32_t)other).bytes;
	CU_ASSERT(all <= RIG_SEGMENT / 16 && all > RIG_SEGMENT / 16 - 5000);
	rig_run(&rig);
	rig_crash(&rig);
	rig_open(&rig); /* recovery finds more, and begins a segment all the same */
	all = stats(&rig).bytes + journal_values_stats(rig.j, (uint32_t)other).bytes;
	CU_ASSERT(all <= RIG_SEGMENT / 16 && all > RIG_SEGMENT / 16 - 5000);
	CU_ASSERT_EQUAL(stats(&rig).evicted, 0);
	CU_ASSERT(is(&rig, "t1499", block));
	static char large[600000];
	memset(large, 'x', sizeof large - 1);
	CU_ASSERT_EQUAL(rig_append(&rig, large, NULL), 0);
	rig_fini(&rig);
}

static void test_senseless(void)
{
	struct rig rig;
	begin(&rig);
	CU_ASSERT_EQUAL(rig_change(&rig, (struct journal_change){.type = JOURNAL_VALUE, .dest = 77}), -EINVAL);
	CU_ASSERT_EQUAL(journal_values_stats(rig.j, 77).n, 0);
	CU_ASSERT_PTR_NULL(journal_value(rig.j, 77, slice_str("a")));
	CU_ASSERT(!journal_value_fits(rig.j, 77, 1));
	rig_fini(&rig);
}

static const struct tap_test tests[] = {
	{"values over crashes and restarts", test_restarts},
	{"as many and as large as allowed", test_limits},
	{"values over many segments", test_rotation},
	{"a sixteenth of a segment", test_share_of_a_segment},
	{"changes that make no sense", test_senseless},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("journal values", tests);
}
