/* SPDX-License-Identifier: Apache-2.0
 *
 * The last number given in each stream of numbered messages (message/markers.h): part of the journal's state. An open
 * hash table by the stream's name, which is a keyed hash already. Nothing is ever forgotten: who adds bounds it.
 *
 * Threads: the loop only.
 */
#ifndef LINKSPAN_JOURNAL_SEQUENCES_H
#define LINKSPAN_JOURNAL_SEQUENCES_H

#include "message/slice.h"

#define SEQUENCES_STREAM_LEN 16
#define SEQUENCES_ENTRY_LEN  24 /* as written: the stream, u64 last */

struct sequence {
	uint64_t stream[2];
	uint64_t last; /* 0: the place is free */
};
struct sequences {
	struct sequence *v; /* NULL: none */
	size_t n, places; /* places: a power of two */
};

void sequences_clear(struct sequences *sequences); /* frees */
/* Makes room for that many more, so that as many sequences_set cannot fail. 0 or -ENOMEM. */
int sequences_reserve(struct sequences *sequences, size_t more) __attribute__((warn_unused_result));
/* 0: no number was given in it yet. stream: SEQUENCES_STREAM_LEN bytes. */
uint64_t sequences_last(const struct sequences *sequences, const uint8_t *stream);
/* Numbers only go up: a lower one changes nothing. 0 or -ENOMEM. */
int sequences_set(struct sequences *sequences, const uint8_t *stream, uint64_t last)
	__attribute__((warn_unused_result));
/* So many numbers of each stream may have been given and be lost: they are not given again. */
void sequences_skip(struct sequences *sequences, uint64_t count);

/* n * SEQUENCES_ENTRY_LEN bytes. */
void sequences_encode(const struct sequences *sequences, uint8_t *out);
/* 0, -EBADMSG, -ENOMEM. */
int sequences_decode(struct sequences *sequences, struct slice body) __attribute__((warn_unused_result));

#endif
