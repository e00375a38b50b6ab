/* SPDX-License-Identifier: Apache-2.0
 *
 * The lists.
 */
#include "tests/conformance/fake_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *grown(void *list, size_t n, size_t size)
{
	void *longer = realloc(list, (n + 1) * size);
	if (!longer) {
		printf("Bail out! out of memory\n");
		exit(1);
	}
	return longer;
}

void fake_memory_clear(struct fake_memory *memory)
{
	for (size_t i = 0; i < memory->n_values; i++)
		message_unref(memory->values[i]);
	free(memory->values);
	free(memory->keys);
	*memory = (struct fake_memory){0};
}

const struct fake_key *fake_memory_key(const struct fake_memory *memory, const uint8_t *key)
{
	for (size_t i = 0; i < memory->n_keys; i++)
		if (memcmp(memory->keys[i].key, key, LINK_KEY_LEN) == 0)
			return &memory->keys[i];
	return NULL;
}

void fake_memory_set_key(struct fake_memory *memory, const struct state_change *change)
{
	const struct fake_key *known = fake_memory_key(memory, change->blob.data);
	size_t at = known ? (size_t)(known - memory->keys) : memory->n_keys;
	if (!known)
		memory->keys = grown(memory->keys, memory->n_keys++, sizeof *memory->keys);
	memory->keys[at] = (struct fake_key){.hash = change->hash, .expires_ms = change->position};
	memcpy(memory->keys[at].key, change->blob.data, LINK_KEY_LEN);
}

void fake_memory_durable(struct fake_memory *memory)
{
	for (size_t i = 0; i < memory->n_keys; i++)
		memory->keys[i].durable = true;
}

void fake_memory_forget(struct fake_memory *memory)
{
	size_t n = 0;
	for (size_t i = 0; i < memory->n_keys; i++)
		if (memory->keys[i].durable)
			memory->keys[n++] = memory->keys[i];
	memory->n_keys = n;
}

struct message *fake_memory_value(const struct fake_memory *memory, struct slice topic)
{
	for (size_t i = 0; i < memory->n_values; i++)
		if (slice_equal(message_view(memory->values[i])->topic, topic))
			return memory->values[i];
	return NULL;
}

void fake_memory_values(const struct fake_memory *memory, void (*fn)(struct message *msg, void *arg), void *arg)
{
	for (size_t i = 0; i < memory->n_values; i++)
		fn(memory->values[i], arg);
}

void fake_memory_set_value(struct fake_memory *memory, struct message *msg)
{
	const struct message_view *view = message_view(msg);
	for (size_t i = 0; i < memory->n_values; i++)
		if (slice_equal(message_view(memory->values[i])->topic, view->topic)) {
			message_unref(memory->values[i]);
			memory->values[i] = memory->values[--memory->n_values];
			break;
		}
	if (!view->payload.data)
		return;
	memory->values = grown(memory->values, memory->n_values, sizeof(struct message *));
	memory->values[memory->n_values++] = message_ref(msg);
}
