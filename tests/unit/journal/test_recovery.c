/* SPDX-License-Identifier: Apache-2.0 */
/* recovery, state, checkpoint, identity, quarantine: what is there after a restart. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/journal/rig.h"

static unsigned n_seen;
static uint64_t seen[8];

static void see_stage(uint64_t seq, uint8_t stage, void *arg)
{
	(void)arg;
	seen[n_seen++ % 8] = seq * 10 + stage;
}

static void see_batch(uint64_t first, uint64_t last, void *arg)
{
	(void)arg;
	seen[n_seen++ % 8] = first * 100 + last;
}

static void see_id(uint16_t id, uint64_t hash, void *arg)
{
	(void)arg;
	seen[n_seen++ % 8] = id * 1000u + hash;
}

static void see_position(struct slice partition, uint64_t position, uint64_t hash, void *arg)
{
	(void)arg;
	seen[n_seen++ % 8] = partition.len * 1000 + position + hash;
}

static void make_state(struct rig *rig)
{
	uint32_t dest = (uint32_t)rig->dest, source = (uint32_t)rig->source;
	for (int i = 0; i < 12; i++)
		CU_ASSERT_EQUAL(rig_append(rig, "x", NULL), 0);
	CU_ASSERT_EQUAL(
		rig_change(rig, (struct journal_change){JOURNAL_OPEN, .source = source, .id = 7, .hash = 70}), 0);
	CU_ASSERT_EQUAL(
		rig_change(rig, (struct journal_change){JOURNAL_OPEN, .source = source, .id = 9, .hash = 90}), 0);
	CU_ASSERT_EQUAL(rig_change(rig, (struct journal_change){JOURNAL_REL, .source = source, .id = 9}), 0);
	CU_ASSERT_EQUAL(rig_change(rig, (struct journal_change){JOURNAL_SUBSCRIPTIONS, .source = source,
						.blob = slice_str("a/#")}),
		0);
	CU_ASSERT_EQUAL(rig_change(rig, (struct journal_change){JOURNAL_POSITION, .source = source, .position = 99,
						.hash = 98, .blob = slice_str("t-0")}),
		0);
	CU_ASSERT_EQUAL(rig_change(rig, (struct journal_change){JOURNAL_POSITION, .source = source, .position = 45,
						.hash = UINT64_MAX, .blob = slice_str("t-0")}),
		0);
	CU_ASSERT_EQUAL(rig_change(rig, (struct journal_change){JOURNAL_POSITION, .source = source, .position = 0,
						.blob = slice_str("t")}),
		0);
	CU_ASSERT_EQUAL(rig_change(rig, (struct journal_change){JOURNAL_STAGE, .dest = dest, .seq = 5, .stage = 2}), 0);
	CU_ASSERT_EQUAL(rig_change(rig, (struct journal_change){JOURNAL_STAGE, .dest = dest, .seq = 1, .stage = 1}), 0);
	CU_ASSERT_EQUAL(rig_change(rig, (struct journal_change){JOURNAL_BATCH, .dest = dest, .seq = 5, .last = 8}), 0);
	CU_ASSERT_EQUAL(
		rig_change(rig, (struct journal_change){JOURNAL_FINISHED, .dest = dest, .seq = 1, .bytes = 1}), 0);
	CU_ASSERT_EQUAL(rig_change(rig, (struct journal_change){JOURNAL_DEAD, .dest = dest, .seq = 3, .bytes = 1,
						.blob = slice_str("why")}),
		0);
}

static void check_state(struct rig *rig)
{
	uint32_t dest = (uint32_t)rig->dest, source = (uint32_t)rig->source;
	uint64_t value = 0;
	CU_ASSERT(journal_id_open(rig->j, source, 7, &value));
	CU_ASSERT_EQUAL(value, 70);
	CU_ASSERT_FALSE(journal_id_open(rig->j, source, 9, &value));
	CU_ASSERT(slice_equal(journal_subscriptions(rig->j, source), slice_str("a/#")));
	CU_ASSERT(journal_position(rig->j, source, slice_str("t-0"), &value));
	CU_ASSERT_EQUAL(value, 45);
	CU_ASSERT(journal_position(rig->j, source, slice_str("t"), &value));
	CU_ASSERT_EQUAL(value, 0);
	CU_ASSERT_FALSE(journal_position(rig->j, source, slice_str("t-1"), &value));
	n_seen = 0;
	journal_positions(rig->j, source, see_position, NULL);
	CU_ASSERT(n_seen == 2 && seen[0] == 1000 && seen[1] == 3000 + 45 + UINT64_MAX);
	n_seen = 0;
	journal_stages(rig->j, dest, see_stage, NULL);
	CU_ASSERT(n_seen == 1 && seen[0] == 52);
	journal_batches(rig->j, dest, see_batch, NULL);
	CU_ASSERT(n_seen == 2 && seen[1] == 508);
	journal_open_ids(rig->j, source, see_id, NULL);
	CU_ASSERT(n_seen == 3 && seen[2] == 7070);
	struct journal_outbox box = journal_outbox(rig->j, dest);
	CU_ASSERT_EQUAL(box.next_seq, 13);
	CU_ASSERT_EQUAL(box.oldest_undone, 2);
	CU_ASSERT_EQUAL(box.waiting, 10);
	CU_ASSERT_EQUAL(box.done_ranges, 1);
	CU_ASSERT(journal_is_done(rig->j, dest, 1) && !journal_is_done(rig->j, dest, 2) &&
		  journal_is_done(rig->j, dest, 3));
}

/* From frames (after a crash), then from the CHECKPOINT that the restart wrote. */
static void test_every_state(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_open(&rig);
	make_state(&rig);
	check_state(&rig);
	rig_run(&rig);
	rig_crash(&rig);
	rig_open(&rig);
	check_state(&rig);
	CU_ASSERT_EQUAL(rig_logged("event=journal_damage"), 0);
	CU_ASSERT_EQUAL(rig_logged("event=journal_tail"), 1);
	rig_close(&rig);
	rig_open(&rig);
	check_state(&rig);
	CU_ASSERT_EQUAL(
		rig_change(&rig, (struct journal_change){JOURNAL_SESSION_RESET, .source = (uint32_t)rig.source}), 0);
	rig_close(&rig);
	rig_open(&rig);
	uint64_t ignored;
	CU_ASSERT_FALSE(journal_id_open(rig.j, (uint32_t)rig.source, 7, &ignored));
	CU_ASSERT_PTR_NULL(journal_subscriptions(rig.j, (uint32_t)rig.source).data);
	CU_ASSERT(journal_position(rig.j, (uint32_t)rig.source, slice_str("t-0"), &ignored));
	rig_fini(&rig);
}

static void check_ids(struct rig *rig, const uint8_t *open)
{
	unsigned wrong = 0;
	for (uint32_t id = 0; id < 3000; id++) {
		uint64_t hash;
		bool there = journal_id_open(rig->j, (uint32_t)rig->source, (uint16_t)id, &hash);
		wrong += there != (open[id] > 0) || (there && hash != open[id]);
	}
	CU_ASSERT_EQUAL(wrong, 0);
}

/* Opened in order and released in order, as brokers do, then at random; from frames and from the CHECKPOINT. */
static void test_many_identifiers(void)
{
	static uint8_t open[3000];
	struct rig rig;
	uint32_t random = 1;
	rig_init(&rig);
	rig_open(&rig);
	for (uint32_t round = 0; round < 12000; round++) {
		random = random * 1664525 + 1013904223;
		uint32_t id = round < 6000 ? (round / 2 + (round % 2 ? 0 : 500)) % 3000 : (random >> 8) % 3000;
		bool release = round < 6000 ? round % 2 : random >> 31;
		open[id] = release ? 0 : (uint8_t)(1 + id % 200);
		struct journal_change change = {.type = release ? JOURNAL_REL : JOURNAL_OPEN,
			.source = (uint32_t)rig.source,
			.id = (uint16_t)id,
			.hash = open[id]};
		CU_ASSERT_EQUAL_FATAL(rig_change(&rig, change), 0);
		if (round % 1000 == 0)
			rig_run(&rig);
		if (round % 3000 == 0)
			check_ids(&rig, open);
	}
	check_ids(&rig, open);
	rig_run(&rig);
	rig_crash(&rig);
	rig_open(&rig);
	check_ids(&rig, open);
	rig_close(&rig);
	rig_open(&rig);
	check_ids(&rig, open);
	rig_fini(&rig);
}

static void test_torn_tail(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_open(&rig);
	rig_append(&rig, "first group", NULL);
	rig_run(&rig);
	char *big = calloc(1, 20001);
	memset(big, 'x', 20000);
	rig_append(&rig, "needle of the torn group", NULL);
	rig_append(&rig, big, NULL);
	free(big);
	rig_run(&rig);
	rig_crash(&rig);
	char path[300];
	uint64_t offset;
	CU_ASSERT_FATAL(rig_find(&rig, "needle of the torn", path, &offset));
	sim_disk_zero_from(rig.sim, path, offset + 10000); /* its last blocks never came */
	rig_open(&rig);
	CU_ASSERT_EQUAL(rig_logged("event=journal_tail"), 1);
	CU_ASSERT_EQUAL(rig_logged("is not whole"), 1);
	CU_ASSERT_EQUAL(rig_logged("event=journal_damage"), 0);
	struct journal_entry entry;
	CU_ASSERT_EQUAL(rig_append(&rig, "again", &entry), 0);
	CU_ASSERT_EQUAL(entry.seq, 2);
	rig_run(&rig);
	struct rig_read *read = rig_read_all(&rig, rig.dest, 1);
	CU_ASSERT_EQUAL(read->n, 2);
	CU_ASSERT(slice_equal(message_view(read->last)->payload, slice_str("again")));
	rig_read_free(read);
	rig_fini(&rig);
}

/* A bad frame with good ones behind it: exactly that message is lost, reported, and set aside. */
static void test_damage_in_the_middle(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_open(&rig);
	rig_append(&rig, "before", NULL);
	rig_append(&rig, "the needle", NULL);
	rig_append(&rig, "behind", NULL);
	rig_run(&rig);
	rig_append(&rig, "next group", NULL);
	rig_run(&rig);
	rig_crash(&rig);
	char path[300];
	uint64_t offset;
	CU_ASSERT_FATAL(rig_find(&rig, "the needle", path, &offset));
	sim_disk_flip(rig.sim, path, offset, 4);
	struct sim_disk *damaged = sim_disk_fork(rig.sim);
	rig_open(&rig);
	CU_ASSERT(rig_logged("event=journal_damage") >= 2);
	CU_ASSERT_EQUAL(rig_logged("first_seq=2 last_seq=2"), 1);
	CU_ASSERT_EQUAL(journal_stats(rig.j).damaged_messages, 1);
	CU_ASSERT_EQUAL(journal_stats(rig.j).damaged_frames, 1);
	struct rig_read *read = rig_read_all(&rig, rig.dest, 1);
	CU_ASSERT_EQUAL(read->n, 3);
	CU_ASSERT(read->seqs[0] == 1 && read->seqs[1] == 3 && read->seqs[2] == 4);
	rig_read_free(read);
	char **names = sim_disk_names(rig.sim, "quarantine");
	CU_ASSERT_PTR_NOT_NULL(names[0]);
	CU_ASSERT(names[0] && !names[1]);
	sim_disk_free_names(names);
	rig_close(&rig);

	/* The same with --strict. */
	sim_disk_free(rig.sim);
	rig.sim = damaged;
	rig.strict = true;
	CU_ASSERT_EQUAL(rig_try_open(&rig), -EBADMSG);
	rig.strict = false;
	rig_open(&rig);
	rig_fini(&rig);
}

static void test_checkpoint_damaged(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_open(&rig);
	make_state(&rig);
	rig_close(&rig);
	rig_open(&rig); /* now all of it stands in a CHECKPOINT */
	rig_crash(&rig);
	char path[300];
	uint64_t offset;
	bool flipped = false;
	/* Its first copy, in the newest segment: the later of the files that begin with one. */
	char **names = sim_disk_names(rig.sim, "journal");
	for (size_t i = 0; names[i]; i++) {
		snprintf(path, sizeof path, "journal/%s", names[i]);
		uint8_t head[24];
		sim_disk_read(rig.sim, path, 0, head, sizeof head);
		if (head[16] == 2) {
			sim_disk_flip(rig.sim, path, 4096 + 40, 1);
			flipped = true;
		}
	}
	sim_disk_free_names(names);
	(void)offset;
	CU_ASSERT_FATAL(flipped);
	rig_open(&rig);
	CU_ASSERT_EQUAL(rig_logged("its copy is used"), 1);
	check_state(&rig);
	rig_fini(&rig);
}

static void test_header_damaged(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_open(&rig);
	rig_append(&rig, "needle", NULL);
	rig_run(&rig);
	rig_crash(&rig);
	char path[300];
	uint64_t offset;
	CU_ASSERT_FATAL(rig_find(&rig, "needle", path, &offset));
	sim_disk_flip(rig.sim, path, 17, 1);
	sim_disk_flip(rig.sim, path, 2048 + 17, 1);
	CU_ASSERT_EQUAL(rig_try_open(&rig), 0);
	CU_ASSERT_EQUAL(rig_logged("header cannot be read"), 1);
	rig_fini(&rig);
}

static void test_uuid_mismatch(void)
{
	struct rig one, two;
	rig_init(&one);
	rig_open(&one);
	rig_append(&one, "needle", NULL);
	rig_close(&one);
	rig_init(&two);
	rig_open(&two);
	rig_close(&two);
	/* A segment of the first among those of the second. */
	char path[300];
	uint64_t offset;
	CU_ASSERT_FATAL(rig_find(&one, "needle", path, &offset));
	struct disk *from = sim_disk_ops(one.sim), *to = sim_disk_ops(two.sim);
	uint8_t *bytes = malloc(RIG_SEGMENT);
	int handle = from->ops->open(from, path, DISK_READ);
	CU_ASSERT_EQUAL(from->ops->pread(from, handle, bytes, RIG_SEGMENT, 0), RIG_SEGMENT);
	from->ops->close(from, handle);
	handle = to->ops->open(to, "journal/00000000000000000099.log", DISK_WRITE | DISK_CREATE);
	CU_ASSERT_EQUAL(to->ops->pwrite(to, handle, bytes, RIG_SEGMENT, 0), 0);
	to->ops->close(to, handle);
	free(bytes);
	CU_ASSERT_EQUAL(rig_try_open(&two), -ESTALE);
	CU_ASSERT_EQUAL(rig_logged("another instance"), 1);
	to->ops->unlink(to, "journal/00000000000000000099.log");
	rig_open(&two);
	rig_fini(&two);
	rig_fini(&one);
}

/* An older journal folder beside a newer id. */
static void test_restored_journal(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_open(&rig);
	rig_close(&rig);
	struct sim_disk *older = sim_disk_fork(rig.sim);
	rig_open(&rig);
	rig_close(&rig);
	struct disk *from = sim_disk_ops(rig.sim), *to = sim_disk_ops(older);
	char text[512];
	int handle = from->ops->open(from, "id", DISK_READ);
	ssize_t len = from->ops->pread(from, handle, text, sizeof text, 0);
	from->ops->close(from, handle);
	CU_ASSERT_FATAL(len > 0);
	to->ops->unlink(to, "id");
	handle = to->ops->open(to, "id", DISK_WRITE | DISK_CREATE);
	CU_ASSERT_EQUAL(to->ops->pwrite(to, handle, text, (size_t)len, 0), 0);
	to->ops->close(to, handle);
	sim_disk_free(rig.sim);
	rig.sim = older;
	CU_ASSERT_EQUAL(rig_try_open(&rig), -ESTALE);
	CU_ASSERT_EQUAL(rig_logged("is older than data/id"), 1);
	rig_fini(&rig);
}

static void test_identity_damaged(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_open(&rig);
	uint8_t uuid[JOURNAL_UUID_LEN];
	memcpy(uuid, journal_uuid(rig.j), sizeof uuid);
	rig_append(&rig, "kept", NULL);
	rig_close(&rig);
	int64_t size = sim_disk_size(rig.sim, "id");
	CU_ASSERT_FATAL(size > 0);
	for (int64_t at = 0; at < size; at++) {
		sim_disk_flip(rig.sim, "id", (uint64_t)at, 2);
		rig_open(&rig);
		CU_ASSERT_EQUAL(memcmp(uuid, journal_uuid(rig.j), sizeof uuid), 0);
		CU_ASSERT_EQUAL(journal_outbox(rig.j, (uint32_t)rig.dest).waiting, 1);
		rig_close(&rig);
	}
	CU_ASSERT(rig_logged("rebuilt from the segments") > 0);
	rig_fini(&rig);
}

static void test_drop_destination(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_open(&rig);
	rig_append(&rig, "x", NULL);
	CU_ASSERT_EQUAL(journal_drop_destination(rig.j, (uint32_t)rig.dest), 0);
	CU_ASSERT_EQUAL(journal_drop_destination(rig.j, (uint32_t)rig.dest), -ENOENT);
	CU_ASSERT_PTR_NULL(journal_destination_uuid(rig.j, (uint32_t)rig.dest));
	CU_ASSERT_EQUAL(rig_append(&rig, "y", NULL), -EINVAL);
	int again = journal_destination(rig.j, "lake");
	CU_ASSERT(again > rig.dest);
	rig_close(&rig);
	rig_open(&rig);
	CU_ASSERT_EQUAL(rig.dest, again);
	CU_ASSERT_EQUAL(journal_outbox(rig.j, (uint32_t)rig.dest).next_seq, 1);
	rig_fini(&rig);
}

static void test_bad_names(void)
{
	struct rig rig;
	char longest[300];
	memset(longest, 'n', sizeof longest);
	longest[299] = '\0';
	rig_init(&rig);
	rig_open(&rig);
	CU_ASSERT_EQUAL(journal_destination(rig.j, ""), -EINVAL);
	CU_ASSERT_EQUAL(journal_source(rig.j, longest), -EINVAL);
	CU_ASSERT_EQUAL(journal_destination(rig.j, "lake"), rig.dest);
	CU_ASSERT_EQUAL(rig_change(&rig, (struct journal_change){JOURNAL_REL, .source = 99, .id = 1}), -EINVAL);
	CU_ASSERT_EQUAL(rig_change(&rig, (struct journal_change){JOURNAL_STAGE, .dest = (uint32_t)rig.dest, .seq = 1}),
		-EINVAL);
	CU_ASSERT_EQUAL(rig_change(&rig, (struct journal_change){.type = 77}), -EINVAL);
	rig_fini(&rig);
}

static const struct tap_test tests[] = {
	{"every state, by frames and by CHECKPOINT", test_every_state},
	{"many identifiers", test_many_identifiers},
	{"a torn tail", test_torn_tail},
	{"damage in the middle, and --strict", test_damage_in_the_middle},
	{"a damaged CHECKPOINT", test_checkpoint_damaged},
	{"a damaged header", test_header_damaged},
	{"a segment of another instance", test_uuid_mismatch},
	{"a journal older than its id", test_restored_journal},
	{"a damaged id", test_identity_damaged},
	{"a dropped destination", test_drop_destination},
	{"names and changes that make no sense", test_bad_names},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("journal recovery", tests);
}
