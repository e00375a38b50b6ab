/* SPDX-License-Identifier: Apache-2.0
 *
 * The journal in memory. Answers come by jobs of the loop, never from inside a call.
 */
#include "tests/unit/delivery/fake_journal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fake_letter {
	struct loop_job job;
	struct journal *journal;
	struct fake_letter *next;
	struct message *msg;
	void (*fn)(int error, void *arg);
	void *arg;
	uint64_t seq;
	uint32_t attempts;
	char reason[512];
};

struct journal_reader {
	struct loop_job job;
	struct journal *journal;
	void (*fn)(const struct journal_read_result *result, void *arg);
	void *arg;
	uint64_t seq;
	size_t max_messages, max_bytes;
	bool asked;
};

static void fault(struct journal *j, const char *what, uint64_t seq)
{
	printf("# fake journal: %s, seq %" PRIu64 "\n", what, seq);
	j->faults++;
}

struct journal *fake_journal_new(struct loop *loop)
{
	struct journal *j = calloc(1, sizeof *j);
	j->loop = loop;
	j->oldest = 1;
	return j;
}

static void free_letter(struct fake_letter *letter)
{
	struct fake_letter **link = &letter->journal->letters;
	while (*link != letter)
		link = &(*link)->next;
	*link = letter->next;
	loop_cancel(letter->journal->loop, &letter->job);
	message_unref(letter->msg);
	free(letter);
}

static void cancel_letters(struct journal *j)
{
	while (j->letters) {
		void (*fn)(int, void *) = j->letters->fn;
		void *arg = j->letters->arg;
		free_letter(j->letters);
		fn(-ECANCELED, arg);
	}
}

void fake_journal_restart(struct journal *j)
{
	cancel_letters(j);
	while (j->n_records && j->records[j->n_records - 1].lsn > j->durable) {
		struct fake_record *record = &j->records[--j->n_records];
		j->waiting--;
		j->waiting_bytes -= record->bytes;
		message_unref(record->msg);
	}
	j->appended = j->durable;
	while (j->n_batches && j->batches[j->n_batches - 1].lsn > j->durable)
		j->n_batches--;
	for (size_t i = 0; i < j->n_records; i++)
		j->records[i].dying = false;
}

void fake_journal_free(struct journal *j)
{
	cancel_letters(j);
	for (size_t i = 0; i < j->n_records; i++)
		message_unref(j->records[i].msg);
	free(j->records);
	free(j->batches);
	free(j);
}

struct fake_record *fake_record(struct journal *j, uint64_t seq)
{
	return &j->records[seq - 1];
}

uint64_t fake_journal_append(struct journal *j, struct journal_entry *entry)
{
	if (j->n_records == j->capacity) {
		j->capacity = j->capacity ? 2 * j->capacity : 64;
		j->records = realloc(j->records, j->capacity * sizeof *j->records);
	}
	struct fake_record *record = &j->records[j->n_records++];
	*record = (struct fake_record){.msg = message_new(entry->view), .lsn = ++j->appended};
	record->bytes = entry->view->payload.len > FAKE_BYTES ? (uint32_t)entry->view->payload.len : FAKE_BYTES;
	entry->seq = j->n_records;
	entry->bytes = record->bytes;
	j->waiting++;
	j->waiting_bytes += record->bytes;
	return record->lsn;
}

void fake_journal_commit(struct journal *j, uint64_t lsn)
{
	j->durable = lsn;
	if (j->flush_lsn && j->flush_lsn <= lsn) {
		j->done_durable = j->flush_oldest;
		j->flush_lsn = 0;
	}
}

static bool ended(const struct journal *j, uint64_t seq)
{
	return seq >= 1 && seq <= j->n_records && j->records[seq - 1].end != FAKE_UNDONE;
}

static void count_ranges(struct journal *j, uint64_t seq)
{
	bool left = ended(j, seq - 1), right = ended(j, seq + 1);
	if (seq == j->oldest) {
		j->done_ranges -= right;
		while (ended(j, j->oldest))
			j->oldest++;
		return;
	}
	j->done_ranges += 1u;
	j->done_ranges -= left + right;
	if (j->done_ranges > j->most_done_ranges)
		j->most_done_ranges = j->done_ranges;
}

void fake_journal_finish(struct journal *j, uint64_t seq, enum fake_end end)
{
	if (seq == 0 || seq > j->n_records || fake_record(j, seq)->end != FAKE_UNDONE) {
		fault(j, "finished twice, or never appended", seq);
		return;
	}
	struct fake_record *record = fake_record(j, seq);
	if (record->lsn > j->durable)
		fault(j, "finished before durable", seq);
	record->end = (uint8_t)end;
	record->why = end == FAKE_DEAD ? JOURNAL_DEAD_LETTERED : JOURNAL_DELIVERED;
	j->totals[record->why]++;
	j->waiting--;
	j->waiting_bytes -= record->bytes;
	count_ranges(j, seq);
}

/* --- journal.h
 * ----------------------------------------------------------------------------------------------------- */

struct journal_outbox journal_outbox(const struct journal *j, uint32_t dest)
{
	return (struct journal_outbox){
		.name = "fake",
		.dest = dest,
		.next_seq = j->n_records + 1,
		.oldest_undone = j->oldest,
		.waiting = j->waiting,
		.waiting_bytes = j->waiting_bytes,
		.done_ranges = j->done_ranges,
	};
}

const uint8_t *journal_destination_uuid(const struct journal *j, uint32_t dest)
{
	(void)j, (void)dest;
	return (const uint8_t *)"0123456789abcdef";
}

uint64_t journal_durable_lsn(const struct journal *j)
{
	return j->durable;
}

uint64_t journal_newest_ms(const struct journal *j)
{
	return j->newest_ms;
}

bool journal_clock_shift(const struct journal *j, uint64_t lsn, int64_t *ret_shift_ms)
{
	*ret_shift_ms = 0;
	return lsn > j->earlier_lsn;
}

void journal_finish(struct journal *j, uint32_t dest, uint64_t seq, uint32_t bytes, enum journal_total why)
{
	(void)dest;
	if (seq >= 1 && seq <= j->n_records && bytes != fake_record(j, seq)->bytes)
		fault(j, "done with other bytes", seq);
	if (why == JOURNAL_DEAD_LETTERED || why == JOURNAL_DROPPED_NEWEST)
		fault(j, "finished for a reason that is none", seq);
	fake_journal_finish(j, seq, FAKE_DONE);
	j->totals[JOURNAL_DELIVERED]--;
	j->totals[why]++;
	fake_record(j, seq)->why = (uint8_t)why;
}

void journal_finish_run(
	struct journal *j, uint32_t dest, uint64_t first, uint64_t last, uint64_t bytes, enum journal_total why)
{
	uint64_t sum = 0;
	for (uint64_t seq = first; seq <= last && seq <= j->n_records; seq++) {
		uint32_t own = fake_record(j, seq)->bytes;
		sum += own;
		journal_finish(j, dest, seq, own, why);
	}
	if (sum != bytes)
		fault(j, "a run is done with other bytes", first);
}

bool journal_is_done(const struct journal *j, uint32_t dest, uint64_t seq)
{
	(void)dest;
	return seq <= j->n_records && j->records[seq - 1].end != FAKE_UNDONE;
}

int journal_flush_done(struct journal *j, uint64_t *ret_lsn)
{
	if (j->append_error)
		return j->append_error;
	j->flushes++;
	j->flush_oldest = j->oldest;
	*ret_lsn = j->flush_lsn = ++j->appended;
	return 0;
}

void journal_stages(
	const struct journal *j, uint32_t dest, void (*fn)(uint64_t seq, uint8_t stage, void *arg), void *arg)
{
	(void)dest;
	for (uint64_t seq = j->n_records; seq > 0; seq--)
		if (j->records[seq - 1].stage && !ended(j, seq))
			fn(seq, j->records[seq - 1].stage, arg);
}

bool fake_journal_has_batch(const struct journal *j, uint64_t first, uint64_t last)
{
	for (size_t i = 0; i < j->n_batches; i++)
		if (j->batches[i].first == first && j->batches[i].last == last && j->batches[i].lsn <= j->durable)
			return true;
	return false;
}

/* The real one forgets those of which all are done. */
void journal_batches(
	const struct journal *j, uint32_t dest, void (*fn)(uint64_t first, uint64_t last, void *arg), void *arg)
{
	(void)dest;
	for (size_t i = 0; i < j->n_batches; i++)
		if (j->batches[i].last >= j->oldest)
			fn(j->batches[i].first, j->batches[i].last, arg);
}

static void append_batch(struct journal *j, const struct journal_change *change)
{
	if (change->seq == 0 || change->last < change->seq || change->last > j->n_records)
		fault(j, "a batch of what is not there", change->seq);
	for (uint64_t seq = change->seq; seq <= change->last && seq <= j->n_records; seq++)
		if (ended(j, seq))
			fault(j, "a batch of what has ended", seq);
	j->batches = realloc(j->batches, (j->n_batches + 1) * sizeof *j->batches);
	j->batches[j->n_batches++] = (struct fake_batch){change->seq, change->last, ++j->appended};
}

int journal_append(struct journal *j, struct journal_entry *entries, size_t n_entries,
	const struct journal_change *changes, size_t n_changes, uint64_t *ret_lsn)
{
	(void)entries;
	if (j->append_error)
		return j->append_error;
	if (n_entries || n_changes != 1 || (changes[0].type != JOURNAL_STAGE && changes[0].type != JOURNAL_BATCH))
		fault(j, "an append that no courier makes", 0);
	if (changes[0].type == JOURNAL_BATCH) {
		append_batch(j, changes);
		*ret_lsn = j->appended;
		return 0;
	}
	if (changes[0].seq > 0)
		fake_record(j, changes[0].seq)->stage = changes[0].stage;
	for (uint64_t seq = 1; changes[0].seq == 0 && seq <= j->n_records; seq++)
		fake_record(j, seq)->stage = 0;
	j->stages_appended++;
	*ret_lsn = ++j->appended;
	return 0;
}

/* --- reader
 * -------------------------------------------------------------------------------------------------------- */

/* As the real one reads it: small ones share memory. */
static struct message *read_back(struct message_decoder *decoder, const struct message *msg)
{
	const struct message_view *view = message_view(msg);
	size_t len = message_encoded_size(view);
	uint8_t *encoded = malloc(len);
	struct message *copy = NULL;
	message_encode(view, encoded);
	if (message_decoder_next(decoder, slice_of(encoded, len), &copy) != 0)
		abort();
	free(encoded);
	return copy;
}

static void run_read(void *arg)
{
	struct journal_reader *reader = arg;
	struct journal *j = reader->journal;
	struct message_decoder decoder = {NULL};
	static struct journal_read items[2048];
	struct journal_read_result result = {.items = items};
	size_t bytes = 0;
	uint64_t seq = reader->seq;
	for (; seq <= j->n_records && fake_record(j, seq)->lsn <= j->durable; seq++) {
		struct fake_record *record = fake_record(j, seq);
		if (record->end != FAKE_UNDONE)
			continue;
		if (result.n_items == reader->max_messages || result.n_items == 2048 ||
			(result.n_items && bytes + record->bytes > reader->max_bytes))
			break;
		items[result.n_items++] = (struct journal_read){.seq = seq,
			.lsn = record->lsn,
			.bytes = record->bytes,
			.msg = read_back(&decoder, record->msg)};
		bytes += record->bytes;
	}
	message_decoder_end(&decoder);
	j->reads++;
	j->read_messages += result.n_items;
	reader->seq = result.next_seq = seq;
	result.at_end = seq > j->n_records || fake_record(j, seq)->lsn > j->durable;
	reader->asked = false;
	reader->fn(&result, reader->arg);
}

struct journal_reader *journal_reader_new(struct journal *j, uint32_t dest, uint64_t from_seq,
	void (*fn)(const struct journal_read_result *result, void *arg), void *arg)
{
	(void)dest;
	struct journal_reader *reader = calloc(1, sizeof *reader);
	reader->journal = j;
	reader->seq = from_seq;
	reader->fn = fn;
	reader->arg = arg;
	j->readers++;
	loop_job_init(&reader->job, run_read, reader);
	return reader;
}

void journal_reader_request(struct journal_reader *reader, size_t max_messages, size_t max_bytes)
{
	if (reader->asked || max_messages == 0)
		fault(reader->journal, "asked twice, or for nothing", reader->seq);
	reader->asked = true;
	reader->max_messages = max_messages;
	reader->max_bytes = max_bytes;
	loop_post(reader->journal->loop, &reader->job);
}

void journal_reader_seek(struct journal_reader *reader, uint64_t seq)
{
	if (reader->asked)
		fault(reader->journal, "seek while reading", seq);
	reader->seq = seq;
}

void journal_reader_free(struct journal_reader *reader)
{
	loop_cancel(reader->journal->loop, &reader->job);
	reader->journal->readers--;
	free(reader);
}

/* --- dead letters
 * -------------------------------------------------------------------------------------------------- */

static void answer_letter(void *arg)
{
	struct fake_letter *letter = arg;
	struct journal *j = letter->journal;
	int error = j->dead_letter_error;
	if (error == 0) {
		fake_journal_finish(j, letter->seq, FAKE_DEAD);
		fake_record(j, letter->seq)->dead_attempts = letter->attempts;
		memcpy(j->last_reason, letter->reason, sizeof j->last_reason);
	}
	void (*fn)(int, void *) = letter->fn;
	void *fn_arg = letter->arg;
	free_letter(letter);
	fn(error, fn_arg);
}

void journal_dead_letter(
	struct journal *j, const struct journal_letter *dead, void (*fn)(int error, void *arg), void *arg)
{
	uint64_t seq = dead->seq;
	struct fake_letter *letter = calloc(1, sizeof *letter);
	if (dead->bytes != fake_record(j, seq)->bytes)
		fault(j, "dead with other bytes", seq);
	fake_record(j, seq)->dying = fake_record(j, seq)->left_order = true;
	letter->journal = j;
	letter->seq = seq;
	letter->attempts = dead->attempts;
	letter->msg = message_ref(dead->msg);
	letter->fn = fn;
	letter->arg = arg;
	letter->next = j->letters;
	j->letters = letter;
	snprintf(letter->reason, sizeof letter->reason, "%s", dead->reason);
	loop_job_init(&letter->job, answer_letter, letter);
	if (!j->hold_letters)
		loop_post(j->loop, &letter->job);
}

void fake_journal_answer(struct journal *j)
{
	for (struct fake_letter *letter = j->letters; letter; letter = letter->next)
		loop_post(j->loop, &letter->job);
	loop_sim_advance(j->loop, 0);
}
