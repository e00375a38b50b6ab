/* SPDX-License-Identifier: Apache-2.0
 *
 * What the journal's tests share: a journal in manual mode on a disk of its own kind (tests/crash/sim_disk) and a
 * simulated loop, reopened at will.
 */
#ifndef LINKSPAN_TESTS_UNIT_JOURNAL_RIG_H
#define LINKSPAN_TESTS_UNIT_JOURNAL_RIG_H

#include "journal/journal.h"
#include "journal/disk_simulated.h"
#include "tests/unit/tap.h"

#define RIG_SEGMENT  (1024u * 1024)
#define RIG_MAX_READ 20000u

struct rig {
	struct sim_disk *sim;
	struct loop *loop;
	struct journal *j;
	bool strict;
	uint64_t max_bytes; /* of the journal; 0: as usual */
	uint64_t min_free;
	uint64_t durable;
	unsigned rooms;
	int failed;
	int dest, source; /* "lake" and "plant", made by rig_open */
	uint64_t max_sequences; /* of the next rig_open */
	uint64_t max_keys; /* likewise */
};

void rig_init(struct rig *rig);
void rig_fini(struct rig *rig); /* closes the journal too, if it is open */
int rig_try_open(struct rig *rig);
void rig_open(struct rig *rig); /* must succeed */
void rig_close(struct rig *rig);
void rig_crash(struct rig *rig); /* the process dies: nothing more is written */
void rig_run(struct rig *rig); /* until there is nothing to do */

/* One message with that payload for rig->dest; the result of journal_append. */
int rig_append(struct rig *rig, const char *payload, struct journal_entry *ret_entry);
int rig_append_bytes(struct rig *rig, const void *bytes, size_t len, struct journal_entry *ret_entry);
int rig_change(struct rig *rig, struct journal_change change);

struct rig_read {
	uint64_t seqs[RIG_MAX_READ];
	size_t n;
	struct message *last;
	uint64_t next_seq;
	uint32_t last_bytes;
	bool at_end;
};
/* Reads everything of a destination, a few at a time. Free with rig_read_free. */
struct rig_read *rig_read_all(struct rig *rig, int dest, uint64_t from_seq);
void rig_read_free(struct rig_read *read);

/* Log lines since rig_init that contain text. */
unsigned rig_logged(const char *text);
void rig_forget_log(void);
/* The file of the newest segment, "journal/…", found by asking which file has a message's text in it. */
bool rig_find(struct rig *rig, const char *text, char path[300], uint64_t *ret_offset);

#endif
