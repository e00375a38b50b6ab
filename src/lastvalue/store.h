/* SPDX-License-Identifier: Apache-2.0
 *
 * The last value of each topic at one destination, for whoever asks for it there (GET, later Observe). A hash table by
 * topic, and a list in the order in which they were set: what goes first when there are too many. Never touches the disk:
 * the journal keeps a store for each destination as part of its state.
 *
 * Threads: the loop only.
 */
#ifndef LINKSPAN_LASTVALUE_STORE_H
#define LINKSPAN_LASTVALUE_STORE_H

#include <stdbool.h>

#include "message/message.h"

struct last_value {
	struct last_value *next; /* in its bucket */
	struct last_value *older, *newer;
	struct message *msg;
	uint64_t hash; /* of its topic */
	size_t bytes; /* of its message, encoded */
};

/* A zeroed one is empty and takes everything. */
struct last_values {
	struct last_value **buckets;
	size_t n_buckets; /* a power of two, or 0 */
	struct last_value *oldest, *newest;
	size_t n, bytes; /* sum */
	uint64_t evicted; /* since the store was made: went because there were too many, or were too large */
};

void last_values_clear(struct last_values *values); /* gives everything back */
/* The message is now the last value of its topic; one with a null payload says that there is none. Takes a reference.
 * encoded_bytes: message_encoded_size. 0 or -ENOMEM: nothing has changed. */
int last_values_set(struct last_values *values, struct message *msg, size_t encoded_bytes)
	__attribute__((warn_unused_result));
/* Borrowed until it is replaced or goes. NULL: none. */
struct message *last_values_get(const struct last_values *values, struct slice topic);
/* Lets the one that was set least recently go. False: there is none. */
bool last_values_evict(struct last_values *values);

#endif
