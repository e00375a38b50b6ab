/* SPDX-License-Identifier: Apache-2.0 */
/* commit, prepare, reader, dead_letter: rotation and recycling, a disk that fails or is full, backlogs. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/journal/rig.h"

static uint8_t block[60000];

/* Appends n messages of 60,000 bytes; a segment holds 17. Returns how many were taken. */
static unsigned fill(struct rig *rig, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (rig_append_bytes(rig, block, sizeof block, NULL) < 0)
			return i;
		rig_run(rig);
	}
	return n;
}

static void finish_all(struct rig *rig)
{
	struct journal_outbox box = journal_outbox(rig->j, (uint32_t)rig->dest);
	for (uint64_t seq = box.oldest_undone; seq < box.next_seq; seq++)
		journal_finish(rig->j, (uint32_t)rig->dest, seq, (uint32_t)(box.waiting_bytes / box.waiting),
			JOURNAL_DELIVERED);
	loop_sim_advance(rig->loop, 1100);
	rig_run(rig);
}

static void test_rotation(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_open(&rig);
	CU_ASSERT_EQUAL(fill(&rig, 60), 60);
	CU_ASSERT(journal_stats(rig.j).segments >= 4);
	struct rig_read *read = rig_read_all(&rig, rig.dest, 1);
	CU_ASSERT_EQUAL(read->n, 60);
	CU_ASSERT_EQUAL(read->next_seq, 61);
	rig_read_free(read);
	read = rig_read_all(&rig, rig.dest, 40);
	CU_ASSERT_EQUAL(read->n, 21);
	CU_ASSERT_EQUAL(read->seqs[0], 40);
	rig_read_free(read);
	rig_crash(&rig);
	rig_open(&rig);
	read = rig_read_all(&rig, rig.dest, 1);
	CU_ASSERT_EQUAL(read->n, 60);
	rig_read_free(read);
	CU_ASSERT_EQUAL(rig_logged("event=journal_damage"), 0);
	rig_fini(&rig);
}

static void test_recycling(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_open(&rig);
	for (int round = 0; round < 20; round++) {
		CU_ASSERT_EQUAL(fill(&rig, 30), 30);
		finish_all(&rig);
		CU_ASSERT(journal_stats(rig.j).segments <= 3);
	}
	char **names = sim_disk_names(rig.sim, "journal");
	size_t n = 0;
	while (names[n])
		n++;
	CU_ASSERT(n <= 9);
	sim_disk_free_names(names);
	/* One undone message keeps its own segment, and only that. */
	CU_ASSERT_EQUAL(rig_append(&rig, "slow", NULL), 0);
	int other = journal_destination(rig.j, "other"), slow = rig.dest;
	rig.dest = other;
	for (int round = 0; round < 5; round++) {
		CU_ASSERT_EQUAL(fill(&rig, 30), 30);
		finish_all(&rig);
	}
	CU_ASSERT(journal_stats(rig.j).segments <= 4);
	struct rig_read *read = rig_read_all(&rig, slow, 1);
	CU_ASSERT_EQUAL(read->n, 1);
	rig_read_free(read);
	rig.dest = slow;
	CU_ASSERT_EQUAL(rig_append(&rig, "slow again", NULL), 0);
	rig_run(&rig);
	rig_crash(&rig);
	rig_open(&rig);
	read = rig_read_all(&rig, slow, 1);
	CU_ASSERT_EQUAL(read->n, 2);
	rig_read_free(read);
	CU_ASSERT_EQUAL(rig_logged("event=journal_damage"), 0);
	/* The segments that are not there any more are no damage. */
	CU_ASSERT_EQUAL(rig_logged("event=journal_quarantine"), 0);
	names = sim_disk_names(rig.sim, "quarantine");
	CU_ASSERT_PTR_NULL(names[0]);
	sim_disk_free_names(names);
	rig_fini(&rig);
}

/* Every write and sync fails once, at every place; what was reported durable must be there. */
static void test_one_error(void)
{
	for (unsigned n = 1; n < 40; n++) {
		struct rig rig;
		rig_init(&rig);
		rig_open(&rig);
		sim_disk_fail(rig.sim, n, 1);
		for (int i = 0; i < 12; i++) {
			CU_ASSERT_EQUAL(rig_append(&rig, "x", NULL), 0);
			rig_run(&rig);
		}
		CU_ASSERT_EQUAL(rig.failed, 0);
		CU_ASSERT_EQUAL(rig.durable, journal_appended_lsn(rig.j));
		struct rig_read *read = rig_read_all(&rig, rig.dest, 1);
		CU_ASSERT_EQUAL(read->n, 12);
		rig_read_free(read);
		rig_crash(&rig);
		rig_open(&rig);
		CU_ASSERT_EQUAL(rig_logged("event=journal_damage"), 0);
		read = rig_read_all(&rig, rig.dest, 1);
		CU_ASSERT_EQUAL(read->n, 12);
		rig_read_free(read);
		rig_fini(&rig);
	}
}

static void test_failed_for_good(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_open(&rig);
	CU_ASSERT_EQUAL(rig_append(&rig, "safe", NULL), 0);
	rig_run(&rig);
	uint64_t durable = rig.durable;
	sim_disk_fail(rig.sim, 1, 100000);
	CU_ASSERT_EQUAL(rig_append(&rig, "lost", NULL), 0);
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig.failed, -EIO);
	CU_ASSERT_EQUAL(rig.durable, durable);
	CU_ASSERT_EQUAL(rig_append(&rig, "x", NULL), -EIO);
	uint64_t lsn;
	journal_finish(rig.j, (uint32_t)rig.dest, 1, 10, JOURNAL_DELIVERED);
	CU_ASSERT_EQUAL(journal_flush_done(rig.j, &lsn), -EIO);
	CU_ASSERT_EQUAL(journal_close(rig.j), -EIO);
	rig.j = NULL;
	rig.failed = 0;
	sim_disk_fail(rig.sim, 0, 0);
	rig_open(&rig);
	struct rig_read *read = rig_read_all(&rig, rig.dest, 1);
	CU_ASSERT(read->n >= 1);
	rig_read_free(read);
	rig_fini(&rig);
}

/* Messages are refused, the drain goes on, and when there is room again so do the messages. */
static void test_disk_full(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_open(&rig);
	sim_disk_set_space(rig.sim, 0);
	unsigned taken = fill(&rig, 100);
	CU_ASSERT(taken >= 17 && taken < 100);
	CU_ASSERT_EQUAL(rig_append_bytes(&rig, block, sizeof block, NULL), -ENOSPC);
	CU_ASSERT_EQUAL(rig.rooms, 0);
	CU_ASSERT_EQUAL(rig.failed, 0);
	/* State goes on for as long as anybody could want: two segments take turns. */
	for (unsigned i = 0; i < 2000; i++) {
		CU_ASSERT_EQUAL(
			rig_change(&rig, (struct journal_change){JOURNAL_SUBSCRIPTIONS, .source = (uint32_t)rig.source,
						 .blob = slice_of(block, 3000)}),
			0);
		if (i % 8 == 0)
			rig_run(&rig);
		if (i % 100 == 0)
			loop_sim_advance(rig.loop, 1100);
	}
	CU_ASSERT_EQUAL(rig.rooms, 0);
	struct rig_read *read = rig_read_all(&rig, rig.dest, 1);
	CU_ASSERT_EQUAL(read->n, taken);
	rig_read_free(read);
	/* Draining makes room even without more disk. */
	finish_all(&rig);
	loop_sim_advance(rig.loop, 1100);
	rig_run(&rig);
	CU_ASSERT(rig.rooms > 0);
	CU_ASSERT_EQUAL(fill(&rig, 10), 10);
	sim_disk_set_space(rig.sim, UINT64_MAX);
	rig_run(&rig);
	CU_ASSERT_EQUAL(fill(&rig, 60), 60);
	rig_crash(&rig);
	rig_open(&rig);
	CU_ASSERT_EQUAL(rig_logged("event=journal_damage"), 0);
	CU_ASSERT_EQUAL(journal_outbox(rig.j, (uint32_t)rig.dest).waiting, 70);
	rig_fini(&rig);
}

/* A file system that copies on write can be full even for blocks that it has: nothing is acknowledged, nothing fails. */
static const struct disk_ops *whole_ops;
static bool no_blocks;

static int pwrite_when_room(struct disk *disk, int handle, const void *buf, size_t len, uint64_t offset)
{
	return no_blocks ? -ENOSPC : whole_ops->pwrite(disk, handle, buf, len, offset);
}

static void test_stalled_group(void)
{
	struct rig rig;
	rig_init(&rig);
	struct disk *disk = sim_disk_ops(rig.sim);
	whole_ops = disk->ops;
	struct disk_ops ops = *whole_ops;
	ops.pwrite = pwrite_when_room;
	disk->ops = &ops;
	rig_open(&rig);
	CU_ASSERT_EQUAL(rig_append(&rig, "one", NULL), 0);
	uint64_t durable = rig.durable;
	no_blocks = true;
	CU_ASSERT_FALSE(journal_step(rig.j));
	CU_ASSERT_FALSE(journal_step(rig.j));
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig.durable, durable);
	CU_ASSERT_EQUAL(rig.failed, 0);
	CU_ASSERT_EQUAL(rig_append(&rig, "two", NULL), -ENOSPC);
	CU_ASSERT_EQUAL(
		rig_change(&rig, (struct journal_change){JOURNAL_REL, .source = (uint32_t)rig.source, .id = 1}), 0);
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig.rooms, 0);
	no_blocks = false;
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig.durable, journal_appended_lsn(rig.j));
	CU_ASSERT_EQUAL(rig.rooms, 1);
	CU_ASSERT_EQUAL(rig_append(&rig, "two", NULL), 0);
	rig_run(&rig);
	struct rig_read *read = rig_read_all(&rig, rig.dest, 1);
	CU_ASSERT_EQUAL(read->n, 2);
	rig_read_free(read);
	/* The same at the first group of a segment, and then the end while it is full. */
	while (rig_append_bytes(&rig, block, sizeof block, NULL) == 0 && journal_stats(rig.j).segments == 1)
		rig_run(&rig);
	no_blocks = true;
	CU_ASSERT_EQUAL(
		rig_change(&rig, (struct journal_change){JOURNAL_REL, .source = (uint32_t)rig.source, .id = 1}), 0);
	rig_run(&rig);
	CU_ASSERT_EQUAL(journal_close(rig.j), -ENOSPC);
	rig.j = NULL;
	no_blocks = false;
	rig_open(&rig);
	CU_ASSERT_EQUAL(rig_logged("event=journal_damage"), 0);
	disk->ops = whole_ops;
	rig_fini(&rig);
}

static void test_room_by_disk(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_open(&rig);
	sim_disk_set_space(rig.sim, 0);
	fill(&rig, 100);
	sim_disk_set_space(rig.sim, UINT64_MAX);
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig.rooms, 1);
	CU_ASSERT_EQUAL(fill(&rig, 5), 5);
	rig_fini(&rig);
}

static void test_open_on_full_disk(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_open(&rig);
	CU_ASSERT_EQUAL(rig_append(&rig, "x", NULL), 0);
	rig_close(&rig);
	sim_disk_set_space(rig.sim, 4096);
	rig_open(&rig);
	CU_ASSERT_EQUAL(journal_outbox(rig.j, (uint32_t)rig.dest).waiting, 1);
	rig_fini(&rig);
}

static void test_sizes(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_open(&rig);
	uint8_t *big = calloc(1, 2 * RIG_SEGMENT);
	CU_ASSERT_EQUAL(rig_append_bytes(&rig, big, RIG_SEGMENT, NULL), -EMSGSIZE);
	CU_ASSERT_EQUAL(rig_append_bytes(&rig, big, RIG_SEGMENT - 32768, NULL), 0);
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig_append_bytes(&rig, big, RIG_SEGMENT - 32768, NULL), 0);
	rig_run(&rig);
	struct rig_read *read = rig_read_all(&rig, rig.dest, 1);
	CU_ASSERT_EQUAL(read->n, 2);
	rig_read_free(read);
	/* The DONEs that could ride along do not make a message too large. */
	struct journal_entry entry;
	for (unsigned i = 0; i < 2000; i++)
		CU_ASSERT_EQUAL(rig_append(&rig, "small", &entry), 0);
	rig_run(&rig);
	for (uint64_t seq = entry.seq; seq > entry.seq - 2000; seq -= 2)
		journal_finish(rig.j, entry.dest, seq, entry.bytes, JOURNAL_DELIVERED);
	CU_ASSERT_EQUAL(rig_append_bytes(&rig, big, RIG_SEGMENT - 50000, NULL), 0);
	/* A table that would make the CHECKPOINT too large. */
	CU_ASSERT_EQUAL(rig_change(&rig, (struct journal_change){JOURNAL_SUBSCRIPTIONS, .source = (uint32_t)rig.source,
						 .blob = slice_of(big, RIG_SEGMENT / 2)}),
		-EOVERFLOW);
	free(big);
	rig_fini(&rig);
}

/* Memory that waits for the disk has an end. */
static void test_queue_bound(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_open(&rig);
	int r = 0;
	unsigned taken = 0;
	for (; taken < 5000 && r == 0; taken++)
		r = rig_append_bytes(&rig, block, 1000, NULL);
	CU_ASSERT_EQUAL(r, -ENOSPC); /* spares are not made while nobody steps */
	CU_ASSERT_EQUAL(
		rig_change(&rig, (struct journal_change){JOURNAL_REL, .source = (uint32_t)rig.source, .id = 1}), 0);
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig.rooms, 1);
	CU_ASSERT_EQUAL(rig_append(&rig, "x", NULL), 0);
	rig_fini(&rig);
}

static void test_done_rides_along(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_open(&rig);
	uint64_t written = journal_stats(rig.j).bytes_written;
	for (uint64_t seq = 1; seq <= 50; seq++) { /* ten a second */
		struct journal_entry entry;
		CU_ASSERT_EQUAL(rig_append_bytes(&rig, block, 100, &entry), 0);
		rig_run(&rig);
		journal_finish(rig.j, (uint32_t)rig.dest, seq, entry.bytes, JOURNAL_DELIVERED);
		loop_sim_advance(rig.loop, 100);
		rig_run(&rig);
	}
	CU_ASSERT(journal_stats(rig.j).bytes_written - written <= 51 * 4096);
	written = journal_stats(rig.j).bytes_written;
	loop_sim_advance(rig.loop, 1100);
	rig_run(&rig);
	CU_ASSERT_EQUAL(journal_stats(rig.j).bytes_written - written, 4096);
	rig_crash(&rig);
	rig_open(&rig);
	CU_ASSERT_EQUAL(journal_outbox(rig.j, (uint32_t)rig.dest).waiting, 0);
	CU_ASSERT_EQUAL(journal_outbox(rig.j, (uint32_t)rig.dest).waiting_bytes, 0);
	rig_fini(&rig);
}

/* Bodies before the newest CHECKPOINT are verified when they are read. */
static void test_old_damage(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_open(&rig);
	rig_append(&rig, "one", NULL);
	rig_append(&rig, "the needle", NULL);
	rig_append(&rig, "three", NULL);
	rig_run(&rig);
	rig_append(&rig, "four", NULL);
	rig_close(&rig);
	rig_open(&rig);
	char path[300];
	uint64_t offset;
	CU_ASSERT_FATAL(rig_find(&rig, "the needle", path, &offset));
	sim_disk_flip(rig.sim, path, offset, 1);
	rig_close(&rig);
	rig_open(&rig);
	CU_ASSERT_EQUAL(rig_logged("event=journal_damage"), 0);
	struct rig_read *read = rig_read_all(&rig, rig.dest, 1);
	CU_ASSERT_EQUAL(read->n, 3);
	CU_ASSERT_EQUAL(read->seqs[1], 3);
	CU_ASSERT_EQUAL(rig_logged("first_seq=2 last_seq=2"), 1);
	CU_ASSERT(journal_is_done(rig.j, (uint32_t)rig.dest, 2));
	CU_ASSERT_EQUAL(journal_stats(rig.j).damaged_messages, 1);
	rig_read_free(read);
	/* Told once, and remembered. */
	loop_sim_advance(rig.loop, 1100);
	rig_run(&rig);
	rig_crash(&rig);
	rig_open(&rig);
	read = rig_read_all(&rig, rig.dest, 1);
	CU_ASSERT_EQUAL(read->n, 3);
	CU_ASSERT_EQUAL(rig_logged("first_seq=2 last_seq=2"), 1);
	rig_read_free(read);
	rig_fini(&rig);
}

/* A sector that cannot be read takes with it what stands in it, and nothing else: neither what the same read would have
 * brought, nor the rest of the segment, nor the seqs. */
static void test_bad_sector(void)
{
	for (int replayed = 0; replayed < 2; replayed++) {
		struct rig rig;
		static const char *const texts[] = {"one", "the needle", "three", "four"};
		rig_init(&rig);
		rig_open(&rig);
		for (size_t i = 0; i < 4; i++) {
			CU_ASSERT_EQUAL(rig_append(&rig, texts[i], NULL), 0);
			rig_run(&rig);
		}
		if (replayed) {
			rig_crash(&rig);
		} else {
			rig_close(&rig);
			rig_open(&rig); /* behind a newer CHECKPOINT */
			rig_close(&rig);
		}
		char path[300];
		uint64_t offset;
		CU_ASSERT_FATAL(rig_find(&rig, "the needle", path, &offset));
		sim_disk_bad_sector(rig.sim, path, offset);
		rig_open(&rig);
		struct rig_read *read = rig_read_all(&rig, rig.dest, 1);
		CU_ASSERT_EQUAL(read->n, 3);
		CU_ASSERT(read->seqs[0] == 1 && read->seqs[1] == 3 && read->seqs[2] == 4);
		CU_ASSERT_EQUAL(rig_logged("first_seq=2 last_seq=2"), 1);
		CU_ASSERT_EQUAL(journal_outbox(rig.j, (uint32_t)rig.dest).next_seq, 5);
		rig_read_free(read);
		rig_fini(&rig);
	}
}

/* A whole segment of the backlog is gone. */
static void test_lost_file(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_open(&rig);
	rig_append(&rig, "the needle", NULL);
	CU_ASSERT_EQUAL(fill(&rig, 40), 40);
	rig_close(&rig);
	char path[300];
	uint64_t offset;
	CU_ASSERT_FATAL(rig_find(&rig, "the needle", path, &offset));
	struct disk *disk = sim_disk_ops(rig.sim);
	CU_ASSERT_EQUAL(disk->ops->unlink(disk, path), 0);
	rig_open(&rig);
	struct rig_read *read = rig_read_all(&rig, rig.dest, 1);
	CU_ASSERT(read->n > 10 && read->n < 40);
	CU_ASSERT_EQUAL(rig_logged("first_seq=1 last_seq="), 1);
	CU_ASSERT_EQUAL(journal_stats(rig.j).damaged_messages + read->n, 41);
	rig_read_free(read);
	rig_fini(&rig);
}

static int dead_error;
static unsigned dead_calls;

static void on_dead(int error, void *arg)
{
	(void)arg;
	dead_error = error;
	dead_calls++;
}

static void test_dead_letter(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_open(&rig);
	struct journal_entry entry;
	CU_ASSERT_EQUAL(rig_append(&rig, "never wanted", &entry), 0);
	CU_ASSERT_EQUAL(rig_append(&rig, "wanted", NULL), 0);
	rig_run(&rig);
	struct message_view view = {
		.topic = slice_str("t"), .order_key = slice_str("t"), .payload = slice_str("never wanted")};
	struct message *msg = message_new(&view);
	struct journal_letter letter = {.dest = (uint32_t)rig.dest,
		.seq = 1,
		.bytes = entry.bytes,
		.msg = msg,
		.reason = "refused",
		.attempts = 3};
	dead_calls = 0;
	/* It cannot be stored: then it is still undone. */
	sim_disk_fail(rig.sim, 1, 1);
	journal_dead_letter(rig.j, &letter, on_dead, NULL);
	rig_run(&rig);
	CU_ASSERT(dead_calls == 1 && dead_error < 0);
	CU_ASSERT_FALSE(journal_is_done(rig.j, (uint32_t)rig.dest, 1));
	journal_dead_letter(rig.j, &letter, on_dead, NULL);
	message_unref(msg);
	CU_ASSERT_EQUAL(dead_calls, 1);
	rig_run(&rig);
	CU_ASSERT(dead_calls == 2 && dead_error == 0);
	char **names = sim_disk_names(rig.sim, "dead/lake");
	CU_ASSERT_PTR_NOT_NULL(names[0]);
	sim_disk_free_names(names);
	rig_crash(&rig);
	rig_open(&rig);
	CU_ASSERT(journal_is_done(rig.j, (uint32_t)rig.dest, 1));
	CU_ASSERT_EQUAL(journal_outbox(rig.j, (uint32_t)rig.dest).waiting, 1);
	rig_fini(&rig);
}

/* max_bytes counts what is on the disk; who removes letters makes room without a restart. What has not ended when the
 * journal is closed is told so. */
static void test_dead_letter_bounds(void)
{
	struct rig rig;
	static uint8_t payload[4000];
	struct message_view view = {
		.topic = slice_str("t"), .order_key = slice_str("t"), .payload = slice_of(payload, sizeof payload)};
	struct message *msg = message_new(&view);
	struct journal_letter letter = {.msg = msg, .reason = "refused", .attempts = 1, .max_bytes = 10000};
	rig_init(&rig);
	rig_open(&rig);
	letter.dest = (uint32_t)rig.dest;
	dead_calls = 0;
	for (uint64_t seq = 1; seq <= 4; seq++) {
		struct journal_entry entry;
		CU_ASSERT_EQUAL(rig_append_bytes(&rig, payload, sizeof payload, &entry), 0);
		letter.bytes = entry.bytes;
	}
	rig_run(&rig);
	for (letter.seq = 1; letter.seq <= 3; letter.seq++) {
		journal_dead_letter(rig.j, &letter, on_dead, NULL);
		rig_run(&rig);
		CU_ASSERT_EQUAL(dead_error, letter.seq < 3 ? 0 : -ENOSPC);
	}
	CU_ASSERT_EQUAL(dead_calls, 3);
	CU_ASSERT_FALSE(journal_is_done(rig.j, letter.dest, 3));
	struct disk *disk = sim_disk_ops(rig.sim);
	char **names = sim_disk_names(rig.sim, "dead/lake");
	for (size_t i = 0; names[i]; i++) {
		char path[300];
		snprintf(path, sizeof path, "dead/lake/%s", names[i]);
		CU_ASSERT_EQUAL(disk->ops->unlink(disk, path), 0);
	}
	sim_disk_free_names(names);
	letter.seq = 3;
	do { /* the file that was being written is gone, too: at most one fails for that */
		journal_dead_letter(rig.j, &letter, on_dead, NULL);
		rig_run(&rig);
	} while (dead_error != 0 && dead_calls < 6);
	CU_ASSERT_EQUAL(dead_error, 0);
	CU_ASSERT(journal_is_done(rig.j, letter.dest, 3));
	letter.seq = 4;
	unsigned before = dead_calls;
	journal_dead_letter(rig.j, &letter, on_dead, NULL);
	rig_close(&rig);
	CU_ASSERT(dead_calls == before + 1 && dead_error == -ECANCELED);
	message_unref(msg);
	rig_fini(&rig);
}

/* A request for more than one destination's share, cut by count and by bytes. */
static void on_part(const struct journal_read_result *result, void *arg)
{
	*(size_t *)arg = result->n_items;
	for (size_t i = 0; i < result->n_items; i++)
		message_unref(result->items[i].msg);
}

static void test_reader_bounds(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_open(&rig);
	CU_ASSERT_EQUAL(fill(&rig, 20), 20);
	size_t n = 0;
	struct journal_reader *reader = journal_reader_new(rig.j, (uint32_t)rig.dest, 1, on_part, &n);
	journal_reader_request(reader, 100, 200000);
	rig_run(&rig);
	CU_ASSERT_EQUAL(n, 3);
	journal_reader_request(reader, 2, 200000);
	rig_run(&rig);
	CU_ASSERT_EQUAL(n, 2);
	journal_reader_request(reader, 100, 1); /* at least one */
	rig_run(&rig);
	CU_ASSERT_EQUAL(n, 1);
	journal_reader_seek(reader, 18);
	journal_reader_request(reader, 100, 1 << 20);
	rig_run(&rig);
	CU_ASSERT_EQUAL(n, 3);
	journal_reader_seek(reader, 2);
	journal_reader_request(reader, 5, 1 << 20);
	rig_run(&rig);
	CU_ASSERT_EQUAL(n, 5);
	journal_reader_request(reader, 5, 1 << 20);
	journal_reader_free(reader);
	rig_run(&rig);
	rig_fini(&rig);
}

static const struct tap_test tests[] = {
	{"rotation, and a backlog over several segments", test_rotation},
	{"recycling", test_recycling},
	{"one error at every place", test_one_error},
	{"a disk that fails for good", test_failed_for_good},
	{"a full disk", test_disk_full},
	{"a group that finds no room", test_stalled_group},
	{"room by more disk", test_room_by_disk},
	{"opening on a full disk", test_open_on_full_disk},
	{"sizes", test_sizes},
	{"the queue has an end", test_queue_bound},
	{"DONE rides along", test_done_rides_along},
	{"damage in the backlog", test_old_damage},
	{"a bad sector", test_bad_sector},
	{"a lost file", test_lost_file},
	{"dead letters", test_dead_letter},
	{"dead letters have a limit and an end", test_dead_letter_bounds},
	{"bounds of a read, seek, cancel", test_reader_bounds},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("journal failures", tests);
}
