/* SPDX-License-Identifier: Apache-2.0
 *
 * Idempotency keys and last values as the fake host knows them: lists that are searched from end to end.
 */
#ifndef LINKSPAN_TESTS_CONFORMANCE_FAKE_MEMORY_H
#define LINKSPAN_TESTS_CONFORMANCE_FAKE_MEMORY_H

#include "connectors/connector.h"

struct fake_key {
	uint8_t key[LINK_KEY_LEN];
	uint64_t hash, expires_ms;
	bool durable; /* the receipt of its offer has been given */
};
struct fake_memory {
	struct fake_key *keys;
	size_t n_keys;
	struct message **values; /* one for each topic */
	size_t n_values;
};

void fake_memory_clear(struct fake_memory *memory);

const struct fake_key *fake_memory_key(const struct fake_memory *memory, const uint8_t *key); /* NULL: unknown */
/* Of a CHANGE_KEY; not durable yet. */
void fake_memory_set_key(struct fake_memory *memory, const struct state_change *change);
void fake_memory_durable(struct fake_memory *memory); /* all keys are */
void fake_memory_forget(struct fake_memory *memory); /* those that are not: they are lost with their link */

struct message *fake_memory_value(const struct fake_memory *memory, struct slice topic); /* NULL: none */
void fake_memory_values(const struct fake_memory *memory, void (*fn)(struct message *msg, void *arg), void *arg);
void fake_memory_set_value(struct fake_memory *memory, struct message *msg); /* a null payload removes it */

#endif
