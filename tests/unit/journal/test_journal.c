/* SPDX-License-Identifier: Apache-2.0 */
#include "journal/journal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/journal/rig.h"

static void test_append_and_read(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_open(&rig);
	struct journal_entry entry;
	CU_ASSERT_EQUAL(rig_append(&rig, "one", &entry), 0);
	CU_ASSERT_EQUAL(entry.seq, 1);
	CU_ASSERT(entry.bytes > 3);
	CU_ASSERT(journal_durable_lsn(rig.j) < journal_appended_lsn(rig.j));
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig.durable, journal_appended_lsn(rig.j));
	CU_ASSERT_EQUAL(rig_append(&rig, "two", &entry), 0);
	CU_ASSERT_EQUAL(entry.seq, 2);
	rig_run(&rig);
	struct rig_read *read = rig_read_all(&rig, rig.dest, 1);
	CU_ASSERT_EQUAL(read->n, 2);
	CU_ASSERT(slice_equal(message_view(read->last)->payload, slice_str("two")));
	CU_ASSERT_EQUAL(read->last_bytes, entry.bytes);
	CU_ASSERT_EQUAL(read->next_seq, 3);
	rig_read_free(read);
	rig_fini(&rig);
}

static void test_reader_sees_only_durable(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_open(&rig);
	CU_ASSERT_EQUAL(rig_append(&rig, "one", NULL), 0);
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig_append(&rig, "two", NULL), 0);
	/* The group of "two" is on the disk, yet its fdatasync failed everywhere. */
	sim_disk_fail(rig.sim, 2, 1000);
	rig_run(&rig);
	CU_ASSERT(rig.failed < 0);
	sim_disk_fail(rig.sim, 0, 0);
	struct rig_read *read = rig_read_all(&rig, rig.dest, 1);
	CU_ASSERT_EQUAL(read->n, 1);
	CU_ASSERT_EQUAL(rig_append(&rig, "three", NULL), -EIO);
	rig_read_free(read);
	rig_crash(&rig);
	rig_fini(&rig);
}

static void test_reopen_keeps_everything(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_open(&rig);
	for (int i = 0; i < 10; i++)
		CU_ASSERT_EQUAL(rig_append(&rig, "payload", NULL), 0);
	struct journal_outbox box = journal_outbox(rig.j, (uint32_t)rig.dest);
	uint32_t bytes = (uint32_t)(box.waiting_bytes / 10);
	journal_finish(rig.j, (uint32_t)rig.dest, 1, bytes, JOURNAL_DELIVERED);
	journal_finish(rig.j, (uint32_t)rig.dest, 4, bytes, JOURNAL_DELIVERED);
	uint8_t uuid[JOURNAL_UUID_LEN];
	memcpy(uuid, journal_destination_uuid(rig.j, (uint32_t)rig.dest), sizeof uuid);
	rig_close(&rig);
	rig_open(&rig);
	box = journal_outbox(rig.j, (uint32_t)rig.dest);
	CU_ASSERT_STRING_EQUAL(box.name, "lake");
	CU_ASSERT_EQUAL(box.next_seq, 11);
	CU_ASSERT_EQUAL(box.oldest_undone, 2);
	CU_ASSERT_EQUAL(box.waiting, 8);
	CU_ASSERT_EQUAL(box.waiting_bytes, 8 * bytes);
	CU_ASSERT_EQUAL(box.done_ranges, 1);
	CU_ASSERT_EQUAL(memcmp(uuid, journal_destination_uuid(rig.j, (uint32_t)rig.dest), sizeof uuid), 0);
	CU_ASSERT_EQUAL(journal_newest_ms(rig.j), 1600000000000);
	CU_ASSERT_EQUAL(rig_logged("event=journal_tail"), 0);
	CU_ASSERT_EQUAL(rig_logged("event=journal_damage"), 0);
	struct rig_read *read = rig_read_all(&rig, rig.dest, 1);
	CU_ASSERT_EQUAL(read->n, 8);
	CU_ASSERT_EQUAL(read->seqs[0], 2);
	CU_ASSERT_EQUAL(read->seqs[2], 5);
	rig_read_free(read);
	rig_fini(&rig);
}

static const struct tap_test tests[] = {
	{"append, durable, read", test_append_and_read},
	{"the reader sees only what is durable", test_reader_sees_only_durable},
	{"reopening keeps everything", test_reopen_keeps_everything},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("journal", tests);
}
