/* SPDX-License-Identifier: Apache-2.0 */
/* spill, overflow, overflow_recovery, and the reader over both: a destination that is away while others are not. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "journal/journal_impl.h"
#include "journal/overflow.h"
#include "tests/unit/journal/rig.h"

#define BODY 10000u

static int hooks; /* the other destination, never away */

static void open_both(struct rig *rig)
{
	rig_open(rig);
	hooks = journal_destination(rig->j, "web/hooks");
	CU_ASSERT_FATAL(hooks >= 0);
	rig_run(rig);
}

static void begin(struct rig *rig)
{
	rig_init(rig);
	rig->max_bytes = 3 * RIG_SEGMENT;
	open_both(rig);
}

static int append_to(struct rig *rig, int dest, uint64_t number, struct journal_entry *ret_entry)
{
	static uint8_t body[BODY];
	memset(body, (int)(number % 251), sizeof body);
	snprintf((char *)body, sizeof body, "message %llu", (unsigned long long)number);
	struct message_view view = {.topic = slice_str("plant/a"),
		.order_key = slice_str("plant/a"),
		.payload = slice_of(body, sizeof body),
		.origin_ms = 1600000000000};
	struct journal_entry entry = {.dest = (uint32_t)dest, .view = &view};
	uint64_t lsn;
	int r = journal_append(rig->j, &entry, 1, NULL, 0, &lsn);
	if (r == 0 && ret_entry)
		*ret_entry = entry;
	return r;
}

/* One message for the destination that is away, `healthy` for the other one, which has them at once. */
static void traffic(struct rig *rig, unsigned rounds, unsigned healthy)
{
	for (unsigned i = 0; i < rounds; i++) {
		struct journal_entry entry;
		uint64_t next = journal_outbox(rig->j, (uint32_t)rig->dest).next_seq;
		int r = append_to(rig, rig->dest, next, NULL);
		CU_ASSERT_EQUAL(r, 0);
		for (unsigned k = 0; k < healthy; k++) {
			r = append_to(rig, hooks, k, &entry);
			CU_ASSERT_EQUAL(r, 0);
			if (r == 0)
				journal_finish(rig->j, (uint32_t)hooks, entry.seq, entry.bytes, JOURNAL_DELIVERED);
		}
		loop_sim_advance(rig->loop, 300);
		rig_run(rig);
	}
	loop_sim_advance(rig->loop, 2000);
	rig_run(rig);
}

static size_t count_names(struct rig *rig, const char *folder)
{
	char **names = sim_disk_names(rig->sim, folder);
	size_t n = 0;
	while (names[n])
		n++;
	sim_disk_free_names(names);
	return n;
}

static uint64_t bytes_in(struct rig *rig, const char *folder)
{
	char **names = sim_disk_names(rig->sim, folder), path[300];
	uint64_t sum = 0;
	for (size_t i = 0; names[i]; i++) {
		snprintf(path, sizeof path, "%s/%s", folder, names[i]);
		sum += (uint64_t)sim_disk_size(rig->sim, path);
	}
	sim_disk_free_names(names);
	return sum;
}

static void check_all_there(struct rig *rig, uint64_t first, uint64_t last)
{
	struct rig_read *read = rig_read_all(rig, rig->dest, 1);
	CU_ASSERT_EQUAL(read->n, last - first + 1);
	unsigned wrong = 0;
	for (size_t i = 0; i < read->n; i++)
		wrong += read->seqs[i] != first + i;
	CU_ASSERT_EQUAL(wrong, 0);
	char text[40];
	snprintf(text, sizeof text, "message %llu", (unsigned long long)last);
	if (read->last && read->n)
		CU_ASSERT_STRING_EQUAL((const char *)message_view(read->last)->payload.data, text);
	rig_read_free(read);
}

/* Ten times as much traffic as the journal takes: it does not grow, the overflow log holds only what waits. */
static void test_journal_does_not_grow(void)
{
	struct rig rig;
	begin(&rig);
	traffic(&rig, 60, 8);
	size_t early = count_names(&rig, "journal");
	traffic(&rig, 340, 8);
	CU_ASSERT(count_names(&rig, "journal") <= early + 1);
	CU_ASSERT(count_names(&rig, "journal") <= 3 + 5 + 1);
	uint64_t waiting = journal_outbox(rig.j, (uint32_t)rig.dest).waiting_bytes;
	CU_ASSERT_EQUAL(journal_outbox(rig.j, (uint32_t)rig.dest).waiting, 400);
	CU_ASSERT(bytes_in(&rig, "outbox/lake") > waiting / 2);
	CU_ASSERT(bytes_in(&rig, "outbox/lake") < waiting + waiting / 4);
	CU_ASSERT_EQUAL(count_names(&rig, "outbox"), 1); /* nothing of the healthy one */
	check_all_there(&rig, 1, 400);
	CU_ASSERT_EQUAL(rig_logged("event=journal_damage"), 0);
	rig_fini(&rig);
}

static void test_restart(void)
{
	struct rig rig;
	begin(&rig);
	traffic(&rig, 100, 4);
	rig_crash(&rig);
	open_both(&rig);
	check_all_there(&rig, 1, 100);
	traffic(&rig, 100, 4);
	check_all_there(&rig, 1, 200);
	rig_close(&rig);
	open_both(&rig);
	check_all_there(&rig, 1, 200);
	CU_ASSERT_EQUAL(rig_logged("event=journal_damage"), 0);
	rig_fini(&rig);
}

struct drain {
	struct rig *rig;
	uint64_t expected;
	unsigned wrong;
	bool at_end;
};

static void on_drain(const struct journal_read_result *result, void *arg)
{
	struct drain *drain = arg;
	for (size_t i = 0; i < result->n_items; i++) {
		drain->wrong += result->items[i].seq != drain->expected;
		drain->expected = result->items[i].seq + 1;
		journal_finish(drain->rig->j, (uint32_t)drain->rig->dest, result->items[i].seq, result->items[i].bytes,
			JOURNAL_DELIVERED);
		message_unref(result->items[i].msg);
	}
	drain->at_end = result->at_end;
}

/* Delivers everything while more comes in: in order, and the files go. */
static void test_drain(void)
{
	struct rig rig;
	begin(&rig);
	traffic(&rig, 200, 4);
	size_t files = count_names(&rig, "outbox/lake");
	CU_ASSERT(files > 3);
	struct drain drain = {.rig = &rig, .expected = 1};
	struct journal_reader *reader = journal_reader_new(rig.j, (uint32_t)rig.dest, 1, on_drain, &drain);
	for (unsigned i = 0; i < 2000 && drain.expected < 251; i++) {
		journal_reader_request(reader, 3, 1 << 20);
		if (i < 50)
			traffic(&rig, 1, 8); /* segments are spilled and used again under the reader */
		loop_sim_advance(rig.loop, 100);
		rig_run(&rig);
	}
	CU_ASSERT_EQUAL(drain.expected, 251);
	CU_ASSERT_EQUAL(drain.wrong, 0);
	loop_sim_advance(rig.loop, 2000);
	rig_run(&rig);
	CU_ASSERT_EQUAL(count_names(&rig, "outbox/lake"), 0);
	journal_reader_free(reader);
	CU_ASSERT_EQUAL(rig_logged("event=journal_damage"), 0);
	rig_close(&rig);
	open_both(&rig);
	CU_ASSERT_EQUAL(journal_outbox(rig.j, (uint32_t)rig.dest).waiting, 0);
	rig_fini(&rig);
}

/* What was done just before a spill is not copied, and the process dies before the second is over in which DONEs gather:
 * delivered all the same, not lost. */
static void test_done_just_before(void)
{
	struct rig rig;
	struct journal_entry entries[400];
	begin(&rig);
	unsigned n = 0, done = 0;
	for (; n < 400 && !journal_stats(rig.j).spilled_messages; n++) {
		CU_ASSERT_EQUAL(append_to(&rig, rig.dest, n + 1, &entries[n]), 0);
		if (n >= 200) { /* after the append, so that it does not ride along with it */
			journal_finish(
				rig.j, (uint32_t)rig.dest, entries[done].seq, entries[done].bytes, JOURNAL_DELIVERED);
			done++;
		}
		rig_run(&rig);
	}
	CU_ASSERT(n < 400 && done > 0);
	rig_crash(&rig);
	open_both(&rig);
	check_all_there(&rig, done + 1, n);
	struct journal_outbox box = journal_outbox(rig.j, (uint32_t)rig.dest);
	CU_ASSERT_EQUAL(box.totals[JOURNAL_LOST], 0);
	CU_ASSERT_EQUAL(box.totals[JOURNAL_DELIVERED], done);
	CU_ASSERT_EQUAL(rig_logged("event=journal_damage"), 0);
	rig_fini(&rig);
}

/* Every second one is done: the others are copied alone. */
static void test_packed(void)
{
	struct rig rig;
	begin(&rig);
	for (uint64_t seq = 1; seq <= 300; seq++) {
		struct journal_entry entry;
		CU_ASSERT_EQUAL(append_to(&rig, rig.dest, seq, &entry), 0);
		if (seq % 4)
			journal_finish(rig.j, (uint32_t)rig.dest, entry.seq, entry.bytes, JOURNAL_DELIVERED);
		loop_sim_advance(rig.loop, 300);
		rig_run(&rig);
	}
	uint64_t waiting = journal_outbox(rig.j, (uint32_t)rig.dest).waiting_bytes;
	CU_ASSERT_EQUAL(journal_outbox(rig.j, (uint32_t)rig.dest).waiting, 75);
	CU_ASSERT(bytes_in(&rig, "outbox/lake") < waiting + waiting / 2);
	struct rig_read *read = rig_read_all(&rig, rig.dest, 1);
	CU_ASSERT_EQUAL(read->n, 75);
	for (size_t i = 0; i < read->n; i++)
		CU_ASSERT_EQUAL(read->seqs[i], 4 * (i + 1));
	rig_read_free(read);
	CU_ASSERT_EQUAL(rig_logged("event=journal_damage"), 0);
	rig_fini(&rig);
}

/* All but the newest are done. */
static void finish_old(struct rig *rig, uint64_t keep)
{
	struct journal_outbox box = journal_outbox(rig->j, (uint32_t)rig->dest);
	for (uint64_t seq = box.oldest_undone; seq + keep < box.next_seq; seq++)
		journal_finish(rig->j, (uint32_t)rig->dest, seq, BODY, JOURNAL_DELIVERED);
	uint64_t ignored;
	CU_ASSERT_EQUAL(journal_flush_done(rig->j, &ignored), 0);
}

/* What the log holds is done while a spill is about to append to its newest file: the file must not go then. */
static void test_drained_while_it_is_written(void)
{
	struct rig rig;
	unsigned caught = 0;
	begin(&rig);
	for (unsigned round = 0; round < 1500; round++) {
		uint64_t next = journal_outbox(rig.j, (uint32_t)rig.dest).next_seq;
		CU_ASSERT_EQUAL(append_to(&rig, rig.dest, next, NULL), 0);
		while (journal_step(rig.j)) {
			loop_sim_advance(rig.loop, 0);
			if (rig.j->spill && rig.j->state.dests[rig.dest].overflow.n && ++caught % 2)
				finish_old(&rig, 250);
		}
		if (round % 100 == 99) {
			struct journal_outbox box = journal_outbox(rig.j, (uint32_t)rig.dest);
			check_all_there(&rig, box.oldest_undone, box.next_seq - 1);
		}
	}
	CU_ASSERT(caught > 4);
	finish_old(&rig, 0);
	rig_run(&rig);
	CU_ASSERT_EQUAL(count_names(&rig, "outbox/lake"), 0);
	CU_ASSERT_EQUAL(rig_logged("event=journal_damage"), 0);
	CU_ASSERT_EQUAL(rig_logged("event=journal_spill_failed"), 0);
	rig_fini(&rig);
}

/* --- damage ------------------------------------------------------------------------------------------------------- */

static void first_file(struct rig *rig, char path[300])
{
	char **names = sim_disk_names(rig->sim, "outbox/lake");
	CU_ASSERT_FATAL(names[0] != NULL);
	snprintf(path, 300, "outbox/lake/%s", names[0]);
	sim_disk_free_names(names);
}

/* What it held is lost, and said so: at the start already. */
static void test_missing_file(void)
{
	struct rig rig;
	char path[300];
	begin(&rig);
	traffic(&rig, 200, 4);
	rig_close(&rig);
	first_file(&rig, path);
	CU_ASSERT_EQUAL(sim_disk_ops(rig.sim)->ops->unlink(sim_disk_ops(rig.sim), path), 0);
	rig_forget_log();
	open_both(&rig);
	CU_ASSERT(rig_logged("an overflow file is missing") == 1);
	CU_ASSERT(rig_logged("destination=lake first_seq=1 last_seq=") == 1);
	struct journal_outbox box = journal_outbox(rig.j, (uint32_t)rig.dest);
	CU_ASSERT(box.oldest_undone > 1 && box.oldest_undone < 100);
	CU_ASSERT_EQUAL(journal_stats(rig.j).damaged_messages, box.oldest_undone - 1);
	check_all_there(&rig, box.oldest_undone, 200);
	rig_close(&rig);
	rig.strict = true;
	open_both(&rig); /* it is settled */
	rig_fini(&rig);
}

/* One bit of one message: that one is lost, no other. */
static void test_flipped_bit(void)
{
	struct rig rig;
	char path[300];
	begin(&rig);
	traffic(&rig, 200, 4);
	rig_close(&rig);
	first_file(&rig, path);
	sim_disk_flip(rig.sim, path, 4096 + 3 * (BODY + 100) / 2, 4); /* in the second */
	open_both(&rig);
	CU_ASSERT_EQUAL(rig_logged("event=journal_damage"), 0);
	struct rig_read *read = rig_read_all(&rig, rig.dest, 1);
	CU_ASSERT_EQUAL(read->n, 199);
	CU_ASSERT(read->seqs[0] == 1 && read->seqs[1] == 3 && read->seqs[198] == 200);
	rig_read_free(read);
	CU_ASSERT_EQUAL(rig_logged("destination=lake first_seq=2 last_seq=2"), 1);
	CU_ASSERT_EQUAL(rig_logged("event=journal_quarantine file=outbox/lake"), 1);
	CU_ASSERT_EQUAL(count_names(&rig, "quarantine"), 1);
	CU_ASSERT_EQUAL(journal_outbox(rig.j, (uint32_t)rig.dest).waiting, 199);
	rig_fini(&rig);
}

/* A damaged length field costs the rest of its chunk at most. */
static void test_damaged_length(void)
{
	struct rig rig;
	char path[300];
	begin(&rig);
	traffic(&rig, 200, 4);
	rig_close(&rig);
	first_file(&rig, path);
	sim_disk_flip(rig.sim, path, 4096 + 2, 1);
	open_both(&rig);
	struct rig_read *read = rig_read_all(&rig, rig.dest, 1);
	CU_ASSERT(read->n >= 190 && read->n < 200);
	CU_ASSERT_EQUAL(read->seqs[read->n - 1], 200);
	rig_read_free(read);
	CU_ASSERT_EQUAL(rig_logged("destination=lake first_seq=1 last_seq="), 1);
	rig_fini(&rig);
}

static void test_damaged_header(void)
{
	struct rig rig;
	char path[300];
	begin(&rig);
	traffic(&rig, 200, 4);
	rig_close(&rig);
	first_file(&rig, path);
	sim_disk_flip(rig.sim, path, 33, 1);
	open_both(&rig); /* the copy */
	check_all_there(&rig, 1, 200);
	rig_close(&rig);
	sim_disk_flip(rig.sim, path, 2048 + 33, 1);
	open_both(&rig);
	CU_ASSERT_EQUAL(rig_logged("its header is not whole"), 1);
	CU_ASSERT_EQUAL(count_names(&rig, "quarantine"), 1);
	rig_fini(&rig);
}

/* --- failures ----------------------------------------------------------------------------------------------------- */

/* The disk is full when a segment is to be spilled: nothing is lost, and it goes on when there is room. */
static void test_disk_full(void)
{
	struct rig rig;
	begin(&rig);
	traffic(&rig, 20, 4);
	sim_disk_set_space(rig.sim, 2 * RIG_SEGMENT + 4096); /* spares take it before the first spill */
	unsigned taken = 20;
	for (unsigned i = 0; i < 500; i++) {
		int r = append_to(&rig, rig.dest, taken + 1, NULL);
		CU_ASSERT(r == 0 || r == -ENOSPC);
		taken += r == 0;
		loop_sim_advance(rig.loop, 300);
		rig_run(&rig);
	}
	CU_ASSERT(taken < 500);
	CU_ASSERT(rig_logged("event=journal_spill_failed") >= 1);
	unsigned rooms = rig.rooms;
	sim_disk_set_space(rig.sim, UINT64_MAX);
	for (unsigned i = 0; i < 20; i++) {
		loop_sim_advance(rig.loop, 1000);
		rig_run(&rig);
	}
	CU_ASSERT(rig.rooms > rooms);
	check_all_there(&rig, 1, taken);
	CU_ASSERT_EQUAL(append_to(&rig, rig.dest, taken + 1, NULL), 0);
	check_all_there(&rig, 1, taken + 1);
	CU_ASSERT_EQUAL(rig_logged("event=journal_damage"), 0);
	rig_fini(&rig);
}

/* Each write and sync of the spill fails once. */
static void test_failing_disk(void)
{
	for (unsigned n = 1; n <= 40; n++) {
		struct rig rig;
		begin(&rig);
		traffic(&rig, 66, 4);
		sim_disk_fail(rig.sim, n, 1);
		for (unsigned i = 0; i < 40; i++) {
			if (append_to(&rig, rig.dest, journal_outbox(rig.j, (uint32_t)rig.dest).next_seq, NULL) == -EIO)
				break;
			loop_sim_advance(rig.loop, 700);
			rig_run(&rig);
		}
		uint64_t last = journal_outbox(rig.j, (uint32_t)rig.dest).next_seq - 1;
		check_all_there(&rig, 1, last);
		rig_crash(&rig);
		open_both(&rig);
		check_all_there(&rig, 1, last);
		CU_ASSERT_EQUAL(rig_logged("first_seq="), 0);
		rig_fini(&rig);
	}
}

/* The rest of a spill that was cut short is removed; a dropped destination's files go at once. */
static void test_strays(void)
{
	struct rig rig;
	begin(&rig);
	traffic(&rig, 100, 4);
	struct disk *disk = sim_disk_ops(rig.sim);
	int handle = disk->ops->open(disk, "outbox/lake/00000000000000000999.log", DISK_WRITE | DISK_CREATE);
	CU_ASSERT_FATAL(handle >= 0);
	disk->ops->close(disk, handle);
	rig_close(&rig);
	open_both(&rig);
	CU_ASSERT(sim_disk_size(rig.sim, "outbox/lake/00000000000000000999.log") < 0);
	check_all_there(&rig, 1, 100);
	traffic(&rig, 100, 4); /* numbers go on behind it */
	check_all_there(&rig, 1, 200);
	CU_ASSERT_EQUAL(journal_drop_destination(rig.j, (uint32_t)rig.dest), 0);
	rig_run(&rig);
	CU_ASSERT_EQUAL(count_names(&rig, "outbox/lake"), 0);
	CU_ASSERT_EQUAL(rig_logged("event=journal_damage"), 0);
	rig_fini(&rig);
}

/* The frame that named the files is lost with its group: they are taken back. */
static void test_lost_frame(void)
{
	struct rig rig;
	begin(&rig);
	traffic(&rig, 60, 4);
	char path[300];
	uint64_t offset;
	CU_ASSERT_FATAL(rig_find(&rig, "message 60", path, &offset));
	size_t before = count_names(&rig, "outbox/lake");
	/* Both CHECKPOINTs of every segment, so that only frames are left: state from the oldest segment on. */
	rig_crash(&rig);
	char **names = sim_disk_names(rig.sim, "journal");
	for (size_t i = 0; names[i]; i++) {
		snprintf(path, sizeof path, "journal/%s", names[i]);
		uint8_t magic[8];
		sim_disk_read(rig.sim, path, 0, magic, sizeof magic);
		if (memcmp(magic, "LNKSPANJ", 8) != 0)
			continue;
		sim_disk_flip(rig.sim, path, 4096 + 40, 1);
		sim_disk_flip(rig.sim, path, 8192 + 40, 1);
	}
	sim_disk_free_names(names);
	rig_forget_log();
	int r = rig_try_open(&rig);
	CU_ASSERT_EQUAL(r, 0);
	CU_ASSERT(rig_logged("event=journal_damage") > 0);
	CU_ASSERT_EQUAL(count_names(&rig, "outbox/lake"), before); /* nothing is thrown away over damage */
	rig_fini(&rig);
}

/* --- the edges of a spill ----------------------------------------------------------------------------------------- */

/* hooks takes n messages and has them at once. */
static void healthy_traffic(struct rig *rig, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct journal_entry entry;
		CU_ASSERT_EQUAL_FATAL(append_to(rig, hooks, i, &entry), 0);
		journal_finish(rig->j, (uint32_t)hooks, entry.seq, entry.bytes, JOURNAL_DELIVERED);
		loop_sim_advance(rig->loop, 300);
		rig_run(rig);
	}
	loop_sim_advance(rig->loop, 2000);
	rig_run(rig);
}

/* Where segments between two were given back, the end of the first is not damage after a restart. */
static void test_end_before_a_hole(void)
{
	struct rig rig;
	begin(&rig);
	CU_ASSERT_EQUAL(rig_append(&rig, "message 1", NULL), 0);
	rig_run(&rig);
	healthy_traffic(&rig, 900);
	CU_ASSERT(rig.j->segments->next->number > rig.j->segments->number + 1);
	CU_ASSERT_EQUAL(journal_overflow_bytes(rig.j, (uint32_t)rig.dest), 0);
	rig_crash(&rig);
	open_both(&rig);
	for (uint64_t number = 2; number <= 400; number++) {
		CU_ASSERT_EQUAL(append_to(&rig, rig.dest, number, NULL), 0);
		loop_sim_advance(rig.loop, 300);
		rig_run(&rig);
	}
	CU_ASSERT(journal_overflow_bytes(rig.j, (uint32_t)rig.dest) > 0);
	CU_ASSERT_EQUAL(rig_logged("event=journal_quarantine"), 0);
	CU_ASSERT_EQUAL(count_names(&rig, "quarantine"), 0);
	check_all_there(&rig, 1, 400);
	rig_fini(&rig);
}

/* Steps until a spill is under way, or done and not yet settled, with messages for lake alone. */
static void fill_until_spill(struct rig *rig)
{
	for (unsigned i = 0; i < 2000 && !rig->j->spill; i++) {
		uint64_t next = journal_outbox(rig->j, (uint32_t)rig->dest).next_seq;
		CU_ASSERT_EQUAL_FATAL(append_to(rig, rig->dest, next, NULL), 0);
		for (unsigned steps = 0; steps < 100 && !rig->j->spill && journal_step(rig->j); steps++)
			loop_sim_advance(rig->loop, 0);
	}
	CU_ASSERT_PTR_NOT_NULL_FATAL(rig->j->spill);
}

/* What was done a moment before a spill is not copied; a crash must not find it undone and missing. */
static void test_done_before_a_spill(void)
{
	struct rig rig;
	begin(&rig);
	for (unsigned i = 0; i < 2000 && rig.j->n_segments <= rig.j->max_segments; i++) {
		uint64_t next = journal_outbox(rig.j, (uint32_t)rig.dest).next_seq;
		CU_ASSERT_EQUAL(append_to(&rig, rig.dest, next, NULL), 0);
		while (rig.j->n_segments <= rig.j->max_segments && journal_step(rig.j))
			;
	}
	CU_ASSERT_PTR_NULL(rig.j->spill);
	for (uint64_t seq = 3; seq <= 5; seq++)
		journal_finish(rig.j, (uint32_t)rig.dest, seq, BODY, JOURNAL_DELIVERED);
	rig_run(&rig);
	CU_ASSERT(journal_overflow_bytes(rig.j, (uint32_t)rig.dest) > 0);
	rig_crash(&rig);
	open_both(&rig);
	struct rig_read *read = rig_read_all(&rig, rig.dest, 1);
	CU_ASSERT(read->n > 3 && read->seqs[1] == 2);
	rig_read_free(read);
	CU_ASSERT_EQUAL(rig_logged("event=journal_damage"), 0);
	rig_fini(&rig);
}

/* A reader is asked before a spill and runs after it: what it does not find has moved. */
static void test_moved_under_a_reader(void)
{
	struct rig rig;
	struct drain drain = {.rig = &rig, .expected = 1};
	begin(&rig);
	fill_until_spill(&rig);
	uint64_t spilled = rig.j->segments->number;
	struct journal_reader *reader = journal_reader_new(rig.j, (uint32_t)rig.dest, 1, on_drain, &drain);
	journal_reader_request(reader, 3, 1 << 20);
	struct reader_job *job = job_pop(&rig.j->jobs);
	rig_run(&rig);
	CU_ASSERT(rig.j->segments->number > spilled);
	job_push(&rig.j->jobs, job);
	rig_run(&rig);
	CU_ASSERT_EQUAL(drain.expected, 4);
	CU_ASSERT_EQUAL(drain.wrong, 0);
	CU_ASSERT_EQUAL(rig_logged("event=journal_damage"), 0);
	journal_reader_free(reader);
	rig_fini(&rig);
}

/* The file that a spill would go on writing is not one any more: the next try makes another. */
static void test_own_file_damaged(void)
{
	struct rig rig;
	char path[300];
	begin(&rig);
	for (unsigned i = 0; i < 400; i++) {
		if (i == 200) {
			char **names = sim_disk_names(rig.sim, "outbox/lake");
			size_t n = count_names(&rig, "outbox/lake");
			CU_ASSERT_FATAL(n > 0);
			snprintf(path, sizeof path, "outbox/lake/%s", names[n - 1]);
			sim_disk_free_names(names);
			sim_disk_flip(rig.sim, path, 33, 1);
			sim_disk_flip(rig.sim, path, 2048 + 33, 1);
		}
		traffic(&rig, 1, 4);
	}
	CU_ASSERT(rig.j->n_segments <= rig.j->max_segments + 1);
	CU_ASSERT(rig_logged("event=journal_spill_failed") <= 1);
	struct rig_read *read = rig_read_all(&rig, rig.dest, 1);
	CU_ASSERT(read->n < 400);
	CU_ASSERT_EQUAL(read->n + journal_outbox(rig.j, (uint32_t)rig.dest).totals[JOURNAL_LOST], 400);
	rig_read_free(read);
	rig_fini(&rig);
}

/* A file that a dropped destination of that name has left is neither written to nor waited for. */
static void test_file_in_the_way(void)
{
	struct rig rig;
	char path[FOLDER_PATH_LEN];
	begin(&rig);
	traffic(&rig, 50, 8);
	uint64_t number = rig.j->state.dests[rig.dest].overflow_next_file;
	CU_ASSERT(number > 1);
	overflow_path("lake", number, path);
	struct disk *disk = sim_disk_ops(rig.sim);
	int handle = disk->ops->open(disk, path, DISK_WRITE | DISK_CREATE);
	CU_ASSERT_FATAL(handle >= 0);
	disk->ops->close(disk, handle);
	traffic(&rig, 100, 8);
	CU_ASSERT(rig.j->state.dests[rig.dest].overflow_next_file > number + 1);
	CU_ASSERT_EQUAL(sim_disk_size(rig.sim, path), 0);
	check_all_there(&rig, 1, 150);
	CU_ASSERT_EQUAL(rig_logged("event=journal_spill_failed"), 0);
	rig_fini(&rig);
}

/* What is done, and not yet durably so, frees no segment. */
static void test_done_in_memory(void)
{
	struct rig rig;
	rig_init(&rig);
	open_both(&rig);
	uint64_t next = 1;
	while (rig.j->n_segments < 3 && next < 1000) {
		if (append_to(&rig, rig.dest, next, NULL) == 0)
			next++;
		else
			rig_run(&rig); /* there was no spare */
		loop_sim_advance(rig.loop, 0);
		journal_step(rig.j); /* a group; the loop has not heard of it yet */
	}
	uint64_t oldest = rig.j->segments->number;
	for (uint64_t seq = 1; seq < next; seq++)
		journal_finish(rig.j, (uint32_t)rig.dest, seq, BODY, JOURNAL_DELIVERED);
	loop_sim_advance(rig.loop, 0);
	CU_ASSERT_EQUAL(rig.j->segments->number, oldest);
	rig_crash(&rig);
	open_both(&rig);
	check_all_there(&rig, 1, journal_outbox(rig.j, (uint32_t)rig.dest).next_seq - 1);
	loop_sim_advance(rig.loop, 2000);
	rig_run(&rig);
	rig_fini(&rig);
}

/* Nor does it remove a file. */
static void test_files_done_in_memory(void)
{
	struct rig rig;
	begin(&rig);
	traffic(&rig, 100, 4);
	size_t files = count_names(&rig, "outbox/lake");
	CU_ASSERT(files > 1);
	CU_ASSERT_EQUAL(append_to(&rig, rig.dest, 101, NULL), 0);
	CU_ASSERT(journal_step(rig.j)); /* durable; the loop has not heard of it yet */
	finish_old(&rig, 0);
	CU_ASSERT_PTR_NOT_NULL(rig.j->doomed);
	loop_sim_advance(rig.loop, 0);
	CU_ASSERT_PTR_NULL(rig.j->doomed_files);
	CU_ASSERT_EQUAL(count_names(&rig, "outbox/lake"), files);
	rig_crash(&rig);
	open_both(&rig);
	check_all_there(&rig, 1, 101);
	CU_ASSERT_EQUAL(rig_logged("event=journal_damage"), 0);
	rig_fini(&rig);
}

/* No more than has to go: the next spill waits for what the last one gives back, also when nothing else happens. */
static void test_one_segment_goes(void)
{
	struct rig rig;
	begin(&rig);
	fill_until_spill(&rig);
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig.j->n_segments, rig.j->max_segments);
	rig_fini(&rig);
}

/* With the disk full it is not tried again and again: each try may write as much as is free. */
static void test_failed_again(void)
{
	struct rig rig;
	begin(&rig);
	fill_until_spill(&rig);
	sim_disk_set_space(rig.sim, 100000);
	for (unsigned i = 0; i < 200; i++) {
		loop_sim_advance(rig.loop, 1000);
		rig_run(&rig);
	}
	CU_ASSERT(rig.j->spill_failed >= 5 && rig.j->spill_failed <= 12);
	CU_ASSERT_EQUAL(rig_logged("event=journal_spill_failed"), 1);
	CU_ASSERT_EQUAL(count_names(&rig, "outbox/lake"), 0);
	rig_fini(&rig);
}

/* A destination that is dropped while it is copied leaves nothing behind, under the same name or without. */
static void test_dropped_in_a_spill(void)
{
	struct rig rig;
	begin(&rig);
	fill_until_spill(&rig);
	CU_ASSERT_EQUAL(journal_drop_destination(rig.j, (uint32_t)rig.dest), 0);
	rig.dest = journal_destination(rig.j, "lake");
	rig_run(&rig);
	CU_ASSERT_EQUAL(count_names(&rig, "outbox/lake"), 0);
	traffic(&rig, 100, 4);
	check_all_there(&rig, 1, 100);
	CU_ASSERT(journal_overflow_bytes(rig.j, (uint32_t)rig.dest) > 0);
	rig_crash(&rig);
	open_both(&rig);
	check_all_there(&rig, 1, 100);
	CU_ASSERT_EQUAL(rig_logged("event=journal_damage"), 0);
	CU_ASSERT_EQUAL(rig_logged("event=journal_spill_failed"), 0);
	rig_fini(&rig);
}

/* Nothing else need happen for its segments to become free. */
static void test_dropped_frees_segments(void)
{
	struct rig rig;
	rig_init(&rig);
	open_both(&rig);
	for (uint64_t i = 1; i <= 400; i++) {
		CU_ASSERT_EQUAL(append_to(&rig, rig.dest, i, NULL), 0);
		rig_run(&rig);
	}
	CU_ASSERT(rig.j->n_segments >= 4);
	CU_ASSERT_EQUAL(journal_drop_destination(rig.j, (uint32_t)rig.dest), 0);
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig.j->n_segments, 1);
	rig_fini(&rig);
}

/* A segment's file goes away under the journal: damage, which does not keep the others from being spilled. */
static void test_segment_vanished(void)
{
	struct rig rig;
	begin(&rig);
	for (uint64_t i = 1; i <= 50; i++)
		CU_ASSERT_EQUAL(append_to(&rig, rig.dest, i, NULL), 0);
	rig_run(&rig);
	char path[SEGMENT_PATH_LEN];
	segment_path(path, rig.j->segments->file);
	CU_ASSERT_EQUAL(sim_disk_ops(rig.sim)->ops->unlink(sim_disk_ops(rig.sim), path), 0);
	for (unsigned i = 0; i < 1000; i++) {
		uint64_t next = journal_outbox(rig.j, (uint32_t)rig.dest).next_seq;
		CU_ASSERT_EQUAL(append_to(&rig, rig.dest, next, NULL), 0);
		loop_sim_advance(rig.loop, 300);
		rig_run(&rig);
	}
	CU_ASSERT(rig.j->n_segments <= rig.j->max_segments + 1);
	CU_ASSERT_EQUAL(rig_logged("event=journal_damage"), 1);
	struct rig_read *read = rig_read_all(&rig, rig.dest, 1);
	CU_ASSERT(read->n > 940 && read->n < 1000);
	CU_ASSERT_EQUAL(read->seqs[read->n - 1], 1050);
	CU_ASSERT_EQUAL(read->n + journal_outbox(rig.j, (uint32_t)rig.dest).totals[JOURNAL_LOST], 1050);
	rig_read_free(read);
	rig_fini(&rig);
}

/* The last group, which said so, is damaged, and the segment is gone: no sign of damage but that messages are missing. */
static void test_lost_last_frame(void)
{
	struct rig rig;
	char path[300];
	begin(&rig);
	fill_until_spill(&rig);
	uint64_t spilled = rig.j->segments->number, file = rig.j->segments->file;
	uint64_t last = journal_outbox(rig.j, (uint32_t)rig.dest).next_seq - 1;
	while (rig.j->segments->number == spilled && journal_step(rig.j))
		loop_sim_advance(rig.loop, 0);
	CU_ASSERT_FATAL(rig.j->segments->number > spilled);
	uint64_t group = rig.j->current_offset - SEGMENT_BLOCK;
	segment_path(path, rig.j->newest->file);
	rig_crash(&rig);
	sim_disk_flip(rig.sim, path, group + 30, 1);
	segment_path(path, file);
	CU_ASSERT_EQUAL(sim_disk_ops(rig.sim)->ops->unlink(sim_disk_ops(rig.sim), path), 0);
	rig_forget_log();
	open_both(&rig);
	check_all_there(&rig, 1, last);
	CU_ASSERT(rig_logged("the file is taken back") > 0);
	rig_fini(&rig);
}

static const struct tap_test tests[] = {
	{"the journal does not grow", test_journal_does_not_grow},
	{"over a restart", test_restart},
	{"drained while more comes in", test_drain},
	{"done just before a spill, and a crash", test_done_just_before},
	{"only what is undone is copied", test_packed},
	{"drained while it is written", test_drained_while_it_is_written},
	{"a missing file", test_missing_file},
	{"a flipped bit", test_flipped_bit},
	{"a damaged length", test_damaged_length},
	{"a damaged header", test_damaged_header},
	{"a full disk", test_disk_full},
	{"a failing disk", test_failing_disk},
	{"files that nobody names", test_strays},
	{"nothing is thrown away when state is lost", test_lost_frame},
	{"the end before a hole is no damage", test_end_before_a_hole},
	{"done a moment before", test_done_before_a_spill},
	{"moved under a reader", test_moved_under_a_reader},
	{"the file to go on with is damaged", test_own_file_damaged},
	{"a file is in the way", test_file_in_the_way},
	{"done in memory alone", test_done_in_memory},
	{"done in memory alone, files", test_files_done_in_memory},
	{"one segment goes at a time", test_one_segment_goes},
	{"a full disk is not filled again and again", test_failed_again},
	{"dropped while it is copied", test_dropped_in_a_spill},
	{"dropped, and its segments are free", test_dropped_frees_segments},
	{"a segment's file has vanished", test_segment_vanished},
	{"the last frame is lost", test_lost_last_frame},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("journal overflow", tests);
}
