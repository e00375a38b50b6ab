/* SPDX-License-Identifier: Apache-2.0
 *
 * A journal of one destination in memory, with the functions that a courier calls: a test decides what is
 * durable, what fails, and sees what was asked. It checks what the courier owes to a journal: nothing done
 * twice, no DONE of what was never durable, one read at a time. Defines journal_* itself, so that the real
 * one is not linked.
 */
#ifndef LINKSPAN_TESTS_UNIT_DELIVERY_FAKE_JOURNAL_H
#define LINKSPAN_TESTS_UNIT_DELIVERY_FAKE_JOURNAL_H

#include "journal/journal.h"

#define FAKE_BYTES 100u /* that every message counts for, unless its payload is larger */

enum fake_end { FAKE_UNDONE, FAKE_DONE, FAKE_DEAD };

struct fake_record {
	struct message *msg;
	uint64_t lsn;
	uint32_t bytes;
	uint8_t end; /* enum fake_end */
	uint8_t stage;
	bool dying; /* has its final outcome from the sink or is on its way to the dead letters: out of the order */
	bool left_order; /* was dying once */
	uint32_t dead_attempts;
	uint8_t why; /* enum journal_total, once it has ended */
};

struct fake_batch {
	uint64_t first, last, lsn;
};

struct journal {
	struct loop *loop;
	struct fake_batch *batches; /* in the order of appending */
	size_t n_batches;
	struct fake_record *records; /* by seq - 1 */
	size_t n_records, capacity;
	uint64_t appended, durable; /* lsn */
	uint64_t oldest; /* seq */
	uint64_t waiting, waiting_bytes;
	size_t done_ranges, most_done_ranges;
	uint64_t newest_ms;
	uint64_t earlier_lsn; /* up to here stamped in an earlier boot */
	uint64_t flush_lsn, flush_oldest, done_durable; /* DONEs below done_durable are durable */
	struct fake_letter *letters;
	char last_reason[512];

	/* To be set by a test. */
	int append_error; /* of the next state changes */
	int dead_letter_error;
	bool hold_letters; /* answers nothing until fake_journal_answer */

	/* Found by it. */
	uint64_t faults; /* broken rules, each printed */
	uint64_t reads, read_messages, readers;
	uint64_t stages_appended, flushes;
	uint64_t totals[JOURNAL_N_TOTALS];
};

struct journal *fake_journal_new(struct loop *loop);
void fake_journal_free(struct journal *j);
/* Appends; the entry is filled in as by journal_append. Returns the lsn. */
uint64_t fake_journal_append(struct journal *j, struct journal_entry *entry);
struct fake_record *fake_record(struct journal *j, uint64_t seq);
/* Up to that lsn, as the commit thread would. */
void fake_journal_commit(struct journal *j, uint64_t lsn);
bool fake_journal_has_batch(const struct journal *j, uint64_t first, uint64_t last); /* durable */
/* As the JOURNAL_FINISHED change of a reply would. */
void fake_journal_finish(struct journal *j, uint64_t seq, enum fake_end end);
/* The process ends and another one begins: what is not durable is gone, nothing is under way. */
void fake_journal_restart(struct journal *j);
void fake_journal_answer(struct journal *j); /* to held letters */

#endif
