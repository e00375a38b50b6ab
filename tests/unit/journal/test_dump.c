/* SPDX-License-Identifier: Apache-2.0 */
/* `linkspan journal dump`. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "journal/journal.h"
#include "tests/unit/tap.h"

static char output[1 << 20];

/* Runs the command with its standard output in `output`. */
static int dump(const char *folder)
{
	char argv0[] = "journal", argv1[] = "dump", path[300];
	snprintf(path, sizeof path, "%s", folder);
	char *argv[] = {argv0, argv1, path, NULL};
	FILE *file = tmpfile();
	fflush(stdout);
	int saved = dup(STDOUT_FILENO);
	dup2(fileno(file), STDOUT_FILENO);
	int status = cli_journal(3, argv);
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	rewind(file);
	output[fread(output, 1, sizeof output - 1, file)] = '\0';
	fclose(file);
	return status;
}

static void make_journal(const char *folder)
{
	struct disk *disk = disk_posix_new(folder);
	struct loop *loop = loop_new_simulated(1700000000000);
	struct journal_options options = {.disk = disk, .loop = loop, .segment_bytes = 1 << 20, .manual = true};
	struct journal *j;
	CU_ASSERT_EQUAL_FATAL(journal_open(&options, &j), 0);
	struct message_view view = {
		.topic = slice_str("t"), .order_key = slice_str("t"), .payload = slice_str("the needle")};
	struct journal_entry entry = {.dest = (uint32_t)journal_destination(j, "lake"), .view = &view};
	struct journal_change open = {
		JOURNAL_OPEN, .source = (uint32_t)journal_source(j, "plant"), .id = 7, .hash = 99};
	uint64_t lsn;
	CU_ASSERT_EQUAL(journal_append(j, &entry, 1, &open, 1, &lsn), 0);
	struct journal_change number = {JOURNAL_SEQUENCE, .position = 5, .blob = slice_str("0123456789abcdef")};
	CU_ASSERT_EQUAL(journal_append(j, NULL, 0, &number, 1, &lsn), 0);
	struct journal_change key = {
		JOURNAL_KEY, .position = 1800000000000, .hash = 12, .blob = slice_str("fedcba9876543210")};
	CU_ASSERT_EQUAL(journal_append(j, NULL, 0, &key, 1, &lsn), 0);
	uint8_t encoded[200];
	size_t len = message_encoded_size(&view);
	CU_ASSERT_FATAL(len <= sizeof encoded);
	message_encode(&view, encoded);
	struct journal_change value = {JOURNAL_VALUE, .dest = entry.dest, .blob = slice_of(encoded, len)};
	CU_ASSERT_EQUAL(journal_append(j, NULL, 0, &value, 1, &lsn), 0);
	struct message *msg = message_new(&view);
	struct journal_letter letter = {.dest = entry.dest,
		.seq = entry.seq,
		.bytes = entry.bytes,
		.msg = msg,
		.reason = "refused by \"them\"",
		.attempts = 3};
	journal_dead_letter(j, &letter, NULL, NULL);
	message_unref(msg);
	while (journal_step(j))
		loop_sim_advance(loop, 0);
	CU_ASSERT_EQUAL(journal_close(j), 0);
	loop_free(loop);
	disk_posix_free(disk);
}

static void test_dump(void)
{
	const char *folder = tap_tempdir();
	make_journal(folder);
	CU_ASSERT_EQUAL(dump(folder), 0);
	static const char *const wanted[] = {"id: uuid=", "segment 1 base_lsn=1", "CHECKPOINT", "REGISTER",
		"destination=0 name=\"lake\"", "MSG", "OPEN", "source=0 id=7 hash=99 ", "DEAD", "SEAL", "CLOCK boot=00",
		"end of the journal", ": spare", "dead/lake/", "attempts=3", "SEQUENCE",
		"KEY length=", "VALUE length=", " topic=\"t\"",
		" expires_ms=1800000000000 hash=12 time_ms=1700000000000 key=66656463",
		"position=5 stream=30313233343536373839616263646566", "refused by \\x22them\\x22"};
	for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
		CU_ASSERT_PTR_NOT_NULL(strstr(output, wanted[i]));
	CU_ASSERT_PTR_NULL(strstr(output, "DAMAGE"));
}

/* One message waits while many others are delivered: it goes to the overflow log. */
static void make_overflow(const char *folder)
{
	struct disk *disk = disk_posix_new(folder);
	struct loop *loop = loop_new_simulated(1700000000000);
	struct journal_options options = {
		.disk = disk, .loop = loop, .segment_bytes = 1 << 20, .max_bytes = 3 << 20, .manual = true};
	struct journal *j;
	CU_ASSERT_EQUAL_FATAL(journal_open(&options, &j), 0);
	static uint8_t body[60000];
	struct message_view view = {
		.topic = slice_str("t"), .order_key = slice_str("t"), .payload = slice_str("the needle")};
	struct journal_entry away = {.dest = (uint32_t)journal_destination(j, "lake"), .view = &view};
	struct journal_entry other = {.dest = (uint32_t)journal_destination(j, "hooks"), .view = &view};
	uint64_t lsn;
	for (unsigned i = 0; i < 120; i++) {
		view.payload = slice_of(body, sizeof body);
		if (i % 20 == 0)
			CU_ASSERT_EQUAL(journal_append(j, &away, 1, NULL, 0, &lsn), 0);
		CU_ASSERT_EQUAL(journal_append(j, &other, 1, NULL, 0, &lsn), 0);
		journal_finish(j, other.dest, other.seq, other.bytes, JOURNAL_DELIVERED);
		while (journal_step(j))
			loop_sim_advance(loop, 0);
	}
	CU_ASSERT(journal_overflow_bytes(j, away.dest) > 0);
	CU_ASSERT_EQUAL(journal_close(j), 0);
	loop_free(loop);
	disk_posix_free(disk);
}

static void test_dump_overflow(void)
{
	const char *folder = tap_tempdir();
	char path[400];
	make_overflow(folder);
	CU_ASSERT_EQUAL(dump(folder), 0);
	static const char *const wanted[] = {"OVERFLOW destination=0 end_seq=", " file=1 first_seq=1 bytes=",
		"outbox/lake/00000000000000000001.log: overflow log, file 1 first_seq=1 bytes=", " destination_uuid="};
	for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
		CU_ASSERT_PTR_NOT_NULL(strstr(output, wanted[i]));
	const char *overflow = strstr(output, ": overflow log");
	CU_ASSERT_PTR_NOT_NULL_FATAL(overflow);
	CU_ASSERT_PTR_NOT_NULL(strstr(overflow, "MSG length=60"));
	CU_ASSERT_PTR_NOT_NULL(strstr(overflow, " destination=0 seq=1 "));
	CU_ASSERT_PTR_NULL(strstr(output, "not readable"));
	snprintf(path, sizeof path, "%s/outbox/lake/00000000000000000001.log", folder);
	int fd = open(path, O_RDWR);
	CU_ASSERT_EQUAL_FATAL(pwrite(fd, "x", 1, 4096 + 300), 1);
	close(fd);
	dump(folder);
	CU_ASSERT_PTR_NOT_NULL(strstr(output, " 4096 not readable up to "));
}

static void test_dump_damaged(void)
{
	const char *folder = tap_tempdir();
	char path[400];
	make_journal(folder);
	snprintf(path, sizeof path, "%s/journal/00000000000000000001.log", folder);
	int fd = open(path, O_RDWR);
	CU_ASSERT_EQUAL_FATAL(pwrite(fd, "x", 1, 4096 + 30), 1);
	close(fd);
	CU_ASSERT_EQUAL(dump(folder), 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(output, "DAMAGE"));
	CU_ASSERT_PTR_NOT_NULL(strstr(output, "SEAL"));
}

static void test_dump_nothing(void)
{
	char path[400];
	snprintf(path, sizeof path, "%s/none", tap_tempdir());
	CU_ASSERT_EQUAL(dump(path), 1);
	CU_ASSERT_EQUAL(access(path, F_OK), -1);
	char *argv[] = {path, NULL};
	CU_ASSERT_EQUAL(cli_journal(1, argv), 2);
}

static const struct tap_test tests[] = {
	{"a whole journal", test_dump},
	{"overflow logs", test_dump_overflow},
	{"a damaged one", test_dump_damaged},
	{"none", test_dump_nothing},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("journal dump", tests);
}
