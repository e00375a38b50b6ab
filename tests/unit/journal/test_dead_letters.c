/* SPDX-License-Identifier: Apache-2.0 */
/* Dead letters in numbers: those that wait for the thread are stored together, each hears what became of it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "journal/frame.h"
#include "journal/segment.h"
#include "tests/unit/journal/rig.h"

#define LETTERS 300u

static unsigned n_stored, n_refused, n_other;
static int other_dest;

static void on_dead(int error, void *arg)
{
	(void)arg;
	n_stored += error == 0;
	n_refused += error == -ENOSPC;
	n_other += error != 0 && error != -ENOSPC;
}

static void append_to(struct rig *rig, int dest, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct message_view view = {
			.topic = slice_str("a"), .order_key = slice_str("a"), .payload = slice_str("xyz")};
		struct journal_entry entry = {.dest = (uint32_t)dest, .view = &view};
		uint64_t lsn;
		CU_ASSERT_EQUAL_FATAL(journal_append(rig->j, &entry, 1, NULL, 0, &lsn), 0);
	}
}

static void bury(struct rig *rig, int dest, uint64_t seq, uint64_t max_bytes)
{
	struct message_view view = {.topic = slice_str("a"), .order_key = slice_str("a"), .payload = slice_str("xyz")};
	struct message *msg = message_new(&view);
	struct journal_letter letter = {
		.dest = (uint32_t)dest, .seq = seq, .bytes = 1, .msg = msg, .reason = "full", .max_bytes = max_bytes};
	journal_dead_letter(rig->j, &letter, on_dead, NULL);
	message_unref(msg);
}

static void begin(struct rig *rig)
{
	rig_init(rig);
	rig_open(rig);
	other_dest = journal_destination(rig->j, "hooks");
	CU_ASSERT_FATAL(other_dest > 0);
	append_to(rig, rig->dest, LETTERS);
	append_to(rig, other_dest, LETTERS);
	rig_run(rig);
	n_stored = n_refused = n_other = 0;
}

/* The letters of a folder, in order: their seqs are counted, and must rise. */
static unsigned letters_in(struct rig *rig, const char *folder)
{
	unsigned n = 0;
	uint64_t last = 0;
	char **names = sim_disk_names(rig->sim, folder);
	for (size_t i = 0; names[i]; i++) {
		char path[300];
		snprintf(path, sizeof path, "%s/%s", folder, names[i]);
		size_t size = (size_t)sim_disk_size(rig->sim, path);
		uint8_t *bytes = malloc(size);
		sim_disk_read(rig->sim, path, 0, bytes, size);
		for (size_t at = 16; at < size;) {
			uint32_t len = frame_peek_length(bytes + at, size - at);
			struct frame frame;
			if (!len || !frame_check(bytes + at, len, 0) || frame_decode(bytes + at, len, &frame) < 0)
				break;
			CU_ASSERT(frame.seq > last);
			last = frame.seq;
			n++;
			at += len;
		}
		free(bytes);
	}
	sim_disk_free_names(names);
	return n;
}

static uint64_t dead(struct rig *rig, int dest)
{
	return journal_outbox(rig->j, (uint32_t)dest).totals[JOURNAL_DEAD_LETTERED];
}

static void test_together(void)
{
	struct rig rig;
	begin(&rig);
	for (uint64_t seq = 1; seq <= LETTERS; seq++) {
		bury(&rig, rig.dest, seq, 0);
		bury(&rig, other_dest, seq, 0);
	}
	unsigned steps = 0;
	while (journal_step(rig.j))
		steps++;
	CU_ASSERT(steps <= 4); /* one for each destination, and some for the journal */
	CU_ASSERT_EQUAL(n_stored, 0);
	CU_ASSERT_EQUAL(letters_in(&rig, "dead/lake"), LETTERS);
	CU_ASSERT_EQUAL(letters_in(&rig, "dead/hooks"), LETTERS);
	loop_sim_advance(rig.loop, 0);
	rig_run(&rig);
	CU_ASSERT_EQUAL(n_stored, 2 * LETTERS);
	CU_ASSERT(dead(&rig, rig.dest) == LETTERS && dead(&rig, other_dest) == LETTERS);
	rig_fini(&rig);
}

/* The group does not fit: those that do are stored, the others hear of it and can be tried again. */
static void test_limit(void)
{
	struct rig rig;
	begin(&rig);
	for (uint64_t seq = 1; seq <= LETTERS; seq++)
		bury(&rig, rig.dest, seq, 8000);
	rig_run(&rig);
	CU_ASSERT(n_stored > 50 && n_stored < 200);
	CU_ASSERT_EQUAL(n_stored + n_refused, LETTERS);
	CU_ASSERT_EQUAL(letters_in(&rig, "dead/lake"), n_stored);
	CU_ASSERT_EQUAL(dead(&rig, rig.dest), n_stored);
	unsigned before = n_stored;
	bury(&rig, rig.dest, LETTERS, 16000);
	rig_run(&rig);
	CU_ASSERT_EQUAL(n_stored, before + 1);
	rig_fini(&rig);
}

/* A write that fails fails them all, and nothing of it counts. */
static void test_failure(void)
{
	struct rig rig;
	begin(&rig);
	for (uint64_t seq = 1; seq <= LETTERS; seq++)
		bury(&rig, rig.dest, seq, 0);
	sim_disk_fail(rig.sim, 3, 1); /* after the sync of the folder and the header */
	rig_run(&rig);
	CU_ASSERT(n_stored == 0 && n_other == LETTERS);
	CU_ASSERT_EQUAL(dead(&rig, rig.dest), 0);
	for (uint64_t seq = 1; seq <= LETTERS; seq++)
		bury(&rig, rig.dest, seq, 0);
	rig_run(&rig);
	CU_ASSERT_EQUAL(n_stored, LETTERS);
	rig_fini(&rig);
}

static const struct tap_test tests[] = {
	{"many are stored together", test_together},
	{"the limit is in the middle of them", test_limit},
	{"a write that fails", test_failure},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("dead letters", tests);
}
