/* SPDX-License-Identifier: Apache-2.0
 *
 * What is known of the messages of one window and key: enough for every result, and for going on after it was written down
 * as a message and read again (a fold). It is the same in whatever order and groups they come, since everything that depends on
 * an order goes by the seqs that they had when they came.
 *
 * Threads: the loop.
 */
#ifndef LINKSPAN_CONNECTORS_AGGREGATE_PARTIAL_H
#define LINKSPAN_CONNECTORS_AGGREGATE_PARTIAL_H

#include "config/aggregate.h"
#include "connectors/aggregate/sum.h"
#include "message/message.h"
#include "routing/arena.h"

struct partial_item {
	uint64_t seq;
	size_t len;
	char *text; /* JSON */
};

struct partial {
	struct partial *next; /* in its bucket */
	struct pane *pane; /* whose it is (panes.h) */
	uint64_t hash;
	uint8_t *key;
	size_t key_len;
	uint64_t count;
	double min, max;
	struct sum sum;
	uint64_t last_seq; /* of the newest message */
	struct message *last; /* that message, or what it was written down as */
	uint8_t qos; /* the highest */
	struct partial_item *items; /* for a list, in no order */
	size_t n_items, items_capacity;
	uint64_t *seqs; /* deliveries that it is made of */
	size_t n_seqs, seqs_capacity;
	bool raw; /* one of them is a message as it came */
	size_t bytes; /* of values and the last message */
	size_t held; /* bytes of memory of all messages that it is made of */
};

/* What goes with it that is not its own. */
struct partial_frame {
	uint64_t end_ms; /* of the window, by the clock of those who stamped the messages */
	int64_t shift_ms; /* of that clock, before the message was written */
};

struct partial *partial_new(struct slice key, uint64_t hash)
	__attribute__((warn_unused_result)); /* NULL: out of memory */
void partial_free(struct partial *partial);

/* Adds a message (state absent), or one that stands for several. 0; -EINVAL: it cannot be read; -ENOMEM. Nothing has changed
 * then. */
int partial_add(struct partial *partial, unsigned bits, uint64_t seq, struct message *msg, struct slice state)
	__attribute__((warn_unused_result));
/* What stands in such a state beside the partial. False: it cannot be read. */
bool partial_read_frame(unsigned bits, struct slice state, struct partial_frame *ret_frame);

/* The message that stands for all of it. Lives as long as the arena and the partial. 0 or -ENOMEM. */
int partial_write(struct partial *partial, unsigned bits, const struct partial_frame *frame, struct arena *arena,
	struct message_view *ret_view) __attribute__((warn_unused_result));

/* The result for those bits as a message with the last one's topic and headers. Likewise. */
int partial_result(struct partial *partial, unsigned bits, uint64_t start_ms, uint64_t end_ms, struct arena *arena,
	struct message_view *ret_view) __attribute__((warn_unused_result));

#endif
