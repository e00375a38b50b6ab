/* SPDX-License-Identifier: Apache-2.0 */
/* sequences: the table, and that no number is given twice or skipped, whatever the journal goes through. */
#include "journal/sequences.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "message/endian.h"
#include "tests/unit/journal/rig.h"

/* --- the table --- */

static void stream_of(uint64_t n, uint8_t ret_stream[SEQUENCES_STREAM_LEN])
{
	put_u64(ret_stream, n / 3); /* so that many collide in the table */
	put_u64(ret_stream + 8, n);
}

static void test_table(void)
{
	enum { N = 5000 };
	static uint64_t model[N];
	struct sequences sequences = {.v = NULL};
	uint8_t stream[SEQUENCES_STREAM_LEN];
	uint64_t state = 3;
	size_t n = 0;
	for (int round = 0; round < 40000; round++) {
		uint64_t which = sim_random(&state) % N, last = 1 + sim_random(&state) % 1000;
		stream_of(which, stream);
		CU_ASSERT_EQUAL(sequences_last(&sequences, stream), model[which]);
		CU_ASSERT_EQUAL(sequences_set(&sequences, stream, last), 0);
		n += model[which] == 0;
		model[which] = last > model[which] ? last : model[which];
		CU_ASSERT_EQUAL(sequences.n, n);
	}
	uint8_t *bytes = malloc(sequences.n * SEQUENCES_ENTRY_LEN); /* of its size: ASan watches its end */
	sequences_encode(&sequences, bytes);
	struct sequences again = {.v = NULL};
	CU_ASSERT_EQUAL(sequences_decode(&again, slice_of(bytes, n * SEQUENCES_ENTRY_LEN)), 0);
	CU_ASSERT_EQUAL(again.n, n);
	sequences_skip(&again, 7);
	for (uint64_t i = 0; i < N; i++) {
		stream_of(i, stream);
		CU_ASSERT_EQUAL(sequences_last(&sequences, stream), model[i]);
		CU_ASSERT_EQUAL(sequences_last(&again, stream), model[i] ? model[i] + 7 : 0);
	}
	CU_ASSERT_EQUAL(sequences_decode(&again, slice_of(bytes, SEQUENCES_ENTRY_LEN - 1)), -EBADMSG);
	free(bytes);
	sequences_clear(&again);
	sequences_clear(&sequences);
}

static void test_table_is_small(void)
{
	struct sequences sequences = {.v = NULL};
	uint8_t stream[SEQUENCES_STREAM_LEN];
	CU_ASSERT_EQUAL(sequences_reserve(&sequences, 100000), 0);
	size_t places = sequences.places;
	CU_ASSERT(places * sizeof *sequences.v <= 4u << 20);
	for (uint64_t i = 0; i < 100000; i++) {
		stream_of(i, stream);
		CU_ASSERT_EQUAL(sequences_set(&sequences, stream, 1), 0);
	}
	CU_ASSERT_EQUAL(sequences.places, places);
	sequences_clear(&sequences);
}

/* --- in the journal --- */

static struct journal_change change_of(const char *name, uint64_t number, uint8_t stream[JOURNAL_STREAM_LEN])
{
	memset(stream, 0, JOURNAL_STREAM_LEN);
	memcpy(stream, name, strlen(name));
	return (struct journal_change){
		.type = JOURNAL_SEQUENCE, .position = number, .blob = slice_of(stream, JOURNAL_STREAM_LEN)};
}

/* A message with that number, as intake appends it. */
static int append_numbered(struct rig *rig, const char *name, uint64_t number, const char *payload)
{
	uint8_t stream[JOURNAL_STREAM_LEN];
	struct journal_change change = change_of(name, number, stream);
	struct message_view view = {
		.topic = slice_str("plant/a"), .order_key = slice_str("plant/a"), .payload = slice_str(payload)};
	struct journal_entry entry = {.dest = (uint32_t)rig->dest, .view = &view};
	uint64_t lsn;
	return journal_append(rig->j, &entry, 1, &change, 1, &lsn);
}

/* UINT64_MAX: a new one, for which there is no place. */
static uint64_t last_of(struct rig *rig, const char *name)
{
	uint8_t stream[JOURNAL_STREAM_LEN];
	uint64_t last = 0;
	change_of(name, 0, stream);
	return journal_sequence(rig->j, stream, &last) ? last : UINT64_MAX;
}

static void begin(struct rig *rig)
{
	rig_init(rig);
	rig->max_sequences = 1000;
	rig_open(rig);
}

/* From frames after a crash, from the CHECKPOINT of a fresh segment, and from both. */
static void test_restarts(void)
{
	struct rig rig;
	begin(&rig);
	CU_ASSERT_EQUAL(last_of(&rig, "a"), 0);
	for (uint64_t i = 1; i <= 3; i++)
		CU_ASSERT_EQUAL(append_numbered(&rig, "a", i, "x"), 0);
	CU_ASSERT_EQUAL(append_numbered(&rig, "b", 1, "x"), 0);
	CU_ASSERT(last_of(&rig, "a") == 3 && last_of(&rig, "b") == 1);
	rig_run(&rig);
	CU_ASSERT_EQUAL(append_numbered(&rig, "a", 4, "not durable"), 0);
	rig_crash(&rig);
	rig_open(&rig);
	CU_ASSERT(last_of(&rig, "a") == 3 && last_of(&rig, "b") == 1);
	CU_ASSERT_EQUAL(append_numbered(&rig, "a", 4, "x"), 0);
	rig_run(&rig);
	rig_crash(&rig);
	rig_open(&rig);
	CU_ASSERT(last_of(&rig, "a") == 4 && last_of(&rig, "b") == 1);
	rig_close(&rig);
	rig_open(&rig);
	CU_ASSERT(last_of(&rig, "a") == 4 && last_of(&rig, "b") == 1);
	CU_ASSERT_EQUAL(journal_sequences(rig.j), 2);
	/* Of a destination that is dropped the numbers go on: what was thrown away shows as a gap. */
	CU_ASSERT_EQUAL(journal_drop_destination(rig.j, (uint32_t)rig.dest), 0);
	CU_ASSERT_EQUAL(last_of(&rig, "a"), 4);
	CU_ASSERT_EQUAL(rig_logged("event=journal_damage"), 0);
	rig_fini(&rig);
}

static void test_rotation(void)
{
	struct rig rig;
	static char block[60000];
	begin(&rig);
	memset(block, 'x', sizeof block - 1);
	for (uint64_t i = 1; i <= 40; i++) { /* a segment holds 17 */
		CU_ASSERT_EQUAL(append_numbered(&rig, i % 2 ? "odd" : "even", (i + 1) / 2, block), 0);
		rig_run(&rig);
	}
	CU_ASSERT(journal_stats(rig.j).segments >= 3);
	CU_ASSERT(last_of(&rig, "odd") == 20 && last_of(&rig, "even") == 20);
	rig_crash(&rig);
	rig_open(&rig);
	CU_ASSERT(last_of(&rig, "odd") == 20 && last_of(&rig, "even") == 20);
	rig_fini(&rig);
}

/* What is not appended has given no number. */
static void test_refused(void)
{
	struct rig rig;
	static char huge[2 * RIG_SEGMENT], block[60000];
	begin(&rig);
	memset(huge, 'x', sizeof huge - 1);
	memset(block, 'x', sizeof block - 1);
	CU_ASSERT_EQUAL(append_numbered(&rig, "a", 1, huge), -EMSGSIZE);
	CU_ASSERT_EQUAL(last_of(&rig, "a"), 0);
	CU_ASSERT_EQUAL(journal_sequences(rig.j), 0);
	int r = 0;
	uint64_t number = 0;
	while (r == 0 && number < 2000) /* nothing is written meanwhile, so the queue becomes too long */
		r = append_numbered(&rig, "a", ++number, block);
	CU_ASSERT_EQUAL(r, -ENOSPC);
	CU_ASSERT_EQUAL(last_of(&rig, "a"), number - 1);
	rig_run(&rig);
	CU_ASSERT_EQUAL(append_numbered(&rig, "a", number, "x"), 0);
	rig_run(&rig);
	rig_crash(&rig);
	rig_open(&rig);
	CU_ASSERT_EQUAL(last_of(&rig, "a"), number);
	rig_fini(&rig);
}

/* New streams find no place, known ones go on, and with a smaller limit too. */
static void test_limit(void)
{
	struct rig rig;
	begin(&rig);
	char name[16];
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(name, sizeof name, "s%u", i);
		CU_ASSERT_EQUAL(last_of(&rig, name), 0);
		CU_ASSERT_EQUAL(append_numbered(&rig, name, 1, "x"), 0);
		if (i % 100 == 0)
			rig_run(&rig);
	}
	CU_ASSERT_EQUAL(last_of(&rig, "one more"), UINT64_MAX);
	CU_ASSERT_EQUAL(last_of(&rig, "s77"), 1);
	CU_ASSERT_EQUAL(append_numbered(&rig, "s77", 2, "x"), 0);
	rig_close(&rig);
	rig.max_sequences = 10;
	rig_open(&rig);
	CU_ASSERT_EQUAL(journal_sequences(rig.j), 1000);
	CU_ASSERT_EQUAL(last_of(&rig, "s77"), 2);
	CU_ASSERT_EQUAL(last_of(&rig, "one more"), UINT64_MAX);
	rig_fini(&rig);
}

/* However many are allowed, the CHECKPOINT leaves room in the segment, and nothing is refused for it. */
static void test_share_of_a_segment(void)
{
	struct rig rig;
	rig_init(&rig);
	rig.max_sequences = 1000000;
	rig_open(&rig);
	char name[16];
	unsigned n = 0;
	for (; n < 100000; n++) {
		snprintf(name, sizeof name, "s%u", n);
		if (last_of(&rig, name) == UINT64_MAX)
			break;
		CU_ASSERT_EQUAL_FATAL(append_numbered(&rig, name, 1, "x"), 0);
		if (n % 100 == 0)
			rig_run(&rig);
	}
	CU_ASSERT_EQUAL(n, RIG_SEGMENT / 8 / SEQUENCES_ENTRY_LEN);
	CU_ASSERT_EQUAL(append_numbered(&rig, "s1", 2, "x"), 0);
	rig_run(&rig);
	rig_crash(&rig);
	rig_open(&rig);
	CU_ASSERT_EQUAL(journal_sequences(rig.j), n);
	rig_fini(&rig);
}

/* Where other tables have taken the room, a new stream finds none, and what is known goes on. */
static void test_other_tables(void)
{
	struct rig rig;
	static uint8_t partition[5000];
	begin(&rig);
	CU_ASSERT_EQUAL(append_numbered(&rig, "a", 1, "x"), 0);
	int r = 0;
	unsigned n = 0;
	for (; r == 0 && n < 100; n++) {
		partition[0] = (uint8_t)n;
		r = rig_change(&rig, (struct journal_change){.type = JOURNAL_POSITION,
					     .source = (uint32_t)rig.source,
					     .position = 1,
					     .blob = slice_of(partition, sizeof partition)});
	}
	CU_ASSERT_EQUAL(r, -EOVERFLOW);
	CU_ASSERT_EQUAL(last_of(&rig, "b"), UINT64_MAX);
	for (uint64_t i = 2; i < 1000; i++)
		CU_ASSERT_EQUAL(append_numbered(&rig, "a", i, "x"), 0);
	/* Who does not ask is refused, in the end. */
	char name[16];
	for (n = 0, r = 0; r == 0 && n < 1000; n++) {
		snprintf(name, sizeof name, "s%u", n);
		r = append_numbered(&rig, name, 1, "x");
	}
	CU_ASSERT_EQUAL(r, -EOVERFLOW);
	rig_fini(&rig);
}

/* Of lost frames nobody knows whether they gave numbers: none may be given twice. */
static void test_damage(void)
{
	struct rig rig;
	char path[300];
	uint64_t offset;
	begin(&rig);
	CU_ASSERT_EQUAL(append_numbered(&rig, "other", 5, "x"), 0);
	rig_run(&rig);
	CU_ASSERT_EQUAL(append_numbered(&rig, "a", 1, "the needle"), 0);
	CU_ASSERT_EQUAL(append_numbered(&rig, "a", 2, "x"), 0);
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig_append(&rig, "what proves that it was durable", NULL), 0);
	rig_run(&rig);
	rig_crash(&rig);
	CU_ASSERT_FATAL(rig_find(&rig, "the needle", path, &offset));
	sim_disk_flip(rig.sim, path, offset, 4);
	rig_open(&rig);
	CU_ASSERT(rig_logged("event=journal_damage") >= 2);
	CU_ASSERT_EQUAL(rig_logged("numbers of each stream are left out"), 1);
	CU_ASSERT_EQUAL(last_of(&rig, "a"), 3); /* one frame is lost; 2 was given */
	CU_ASSERT_EQUAL(last_of(&rig, "other"), 6);
	rig_close(&rig);
	rig_open(&rig);
	CU_ASSERT(last_of(&rig, "a") == 3 && last_of(&rig, "other") == 6);
	rig_fini(&rig);
}

static void test_senseless(void)
{
	struct rig rig;
	begin(&rig);
	CU_ASSERT_EQUAL(
		rig_change(&rig,
			(struct journal_change){.type = JOURNAL_SEQUENCE, .position = 1, .blob = slice_str("short")}),
		-EINVAL);
	uint8_t stream[JOURNAL_STREAM_LEN];
	CU_ASSERT_EQUAL(rig_change(&rig, change_of("a", 0, stream)), -EINVAL);
	CU_ASSERT_EQUAL(journal_sequences(rig.j), 0);
	rig_fini(&rig);
}

static const struct tap_test tests[] = {
	{"the table against a model", test_table},
	{"the table's memory", test_table_is_small},
	{"numbers over crashes and restarts", test_restarts},
	{"numbers over many segments", test_rotation},
	{"what is refused gives no number", test_refused},
	{"as many streams as are allowed", test_limit},
	{"as many streams as a CHECKPOINT can hold", test_share_of_a_segment},
	{"room that other tables have taken", test_other_tables},
	{"no number twice after damage", test_damage},
	{"changes that make no sense", test_senseless},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("journal sequences", tests);
}
