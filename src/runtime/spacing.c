/* SPDX-License-Identifier: Apache-2.0
 *
 * The key is a hash of the mapping's name and the rendered key, keyed by the data folder's uuid.
 */
#include "runtime/spacing.h"

#include <errno.h>
#include <stdlib.h>

#include "message/endian.h"
#include "message/siphash.h"
#include "runtime/endpoint.h"
#include "runtime/log.h"

_Static_assert(SIPHASH_LEN == JOURNAL_KEY_LEN, "a hash is a key");

void spacing_free(struct spacing *spacing)
{
	arena_free(&spacing->arena);
	free(spacing->changes);
	free(spacing->table);
	*spacing = (struct spacing){.n_changes = 0};
}

static int reserve_change(struct spacing *spacing)
{
	if (spacing->n_changes < spacing->capacity)
		return 0;
	size_t capacity = spacing->capacity ? spacing->capacity * 2 : 8;
	struct journal_change *changes = realloc(spacing->changes, capacity * sizeof *changes);
	if (!changes)
		return -ENOMEM;
	spacing->changes = changes;
	spacing->capacity = capacity;
	return 0;
}

/* Room for n keys of one offer, which may be the elements of one body: to compare each with all would take seconds. */
static int clear_table(struct spacing *spacing, size_t n)
{
	size_t n_slots = 2;
	while (n_slots < 2 * n)
		n_slots *= 2;
	if (n_slots > spacing->table_capacity) {
		uint32_t *table = realloc(spacing->table, n_slots * sizeof *table);
		if (!table)
			return -ENOMEM;
		spacing->table = table;
		spacing->table_capacity = n_slots;
	}
	memset(spacing->table, 0, n_slots * sizeof *spacing->table);
	spacing->n_slots = n_slots;
	return 0;
}

/* Where the key is, or would be. */
static uint32_t *slot_of(const struct spacing *spacing, const uint8_t *key)
{
	size_t at = get_u32(key);
	for (;; at++) {
		uint32_t *slot = &spacing->table[at & (spacing->n_slots - 1)];
		if (!*slot || memcmp(spacing->changes[*slot - 1].blob.data, key, JOURNAL_KEY_LEN) == 0)
			return slot;
	}
}

/* Each part with its length before it, and a word that no other keys begin with. */
static uint8_t *name_key(struct spacing *spacing, const struct endpoint *end, const char *mapping, struct slice key)
{
	const struct slice parts[] = {slice_str("min_interval"), slice_str(mapping), key};
	size_t len = 0, at = 0;
	for (size_t i = 0; i < 3; i++)
		len += 4 + parts[i].len;
	uint8_t *bytes = arena_alloc(&spacing->arena, len), *hash = arena_alloc(&spacing->arena, SIPHASH_LEN);
	if (!bytes || !hash)
		return NULL;
	for (size_t i = 0; i < 3; at += 4 + parts[i].len, i++) {
		put_u32(bytes + at, (uint32_t)parts[i].len);
		if (parts[i].len)
			memcpy(bytes + at + 4, parts[i].data, parts[i].len);
	}
	siphash(journal_uuid(end->bridge->journal), slice_of(bytes, len), hash);
	return hash;
}

/* Also of another message of the same offer. */
static bool has_passed(const struct spacing *spacing, const struct journal *j, const uint8_t *key)
{
	uint64_t hash, lsn;
	return *slot_of(spacing, key) || journal_key(j, key, &hash, &lsn);
}

static void go_unlimited(struct spacing *spacing, const struct endpoint *end, const char *mapping)
{
	spacing->n_unlimited++;
	if (!spacing->told_unlimited)
		log_warn("min_interval_full",
			"connection=%s mapping=\"%s\" keys=%zu what=\"there is no room to remember what has passed: "
			"nothing "
			"is left out of what is not known; raise journal.max_keys\"",
			end->config->name, mapping, journal_keys(end->bridge->journal));
	spacing->told_unlimited = true;
}

static void leave_out(struct spacing *spacing, struct route_result *routed, const struct route_interval *interval,
	const char *mapping)
{
	spacing->n_left_out++;
	for (size_t i = 0; i < interval->n_outputs; i++)
		routed->outputs[interval->first_output + i].left_out = true;
	log_debug("message_left_out", "mapping=\"%s\" because=\"min_interval\"", mapping);
}

static void pass(struct spacing *spacing, const uint8_t *key, uint64_t until_ms)
{
	uint32_t *slot = slot_of(spacing, key);
	spacing->changes[spacing->n_changes++] = (struct journal_change){
		.type = JOURNAL_KEY, .position = until_ms, .blob = slice_of(key, JOURNAL_KEY_LEN)};
	*slot = (uint32_t)spacing->n_changes;
}

static int judge(struct spacing *spacing, const struct endpoint *end, struct route_result *routed,
	const struct route_interval *interval)
{
	struct journal *j = end->bridge->journal;
	const char *mapping = end->bridge->config->mappings[interval->mapping].name;
	const uint8_t *key = name_key(spacing, end, mapping, interval->key);
	if (!key || reserve_change(spacing) < 0)
		return -ENOMEM;
	if (has_passed(spacing, j, key))
		leave_out(spacing, routed, interval, mapping);
	else if (!journal_key_room(j))
		go_unlimited(spacing, end, mapping);
	else
		pass(spacing, key, loop_wall_ms(end->bridge->loop) + interval->every_ms);
	return 0;
}

static void close_gaps(struct route_result *routed)
{
	size_t n = 0;
	for (size_t i = 0; i < routed->n_outputs; i++) {
		if (routed->outputs[i].left_out)
			routed->n_marked -= routed->outputs[i].marked;
		else
			routed->outputs[n++] = routed->outputs[i];
	}
	routed->n_outputs = n;
}

int spacing_run(struct spacing *spacing, const struct endpoint *end, struct route_result *routed)
{
	spacing->n_changes = spacing->n_left_out = spacing->n_unlimited = 0;
	if (routed->n_intervals == 0)
		return 0;
	arena_reset(&spacing->arena);
	int r = clear_table(spacing, routed->n_intervals);
	for (size_t i = 0; r == 0 && i < routed->n_intervals; i++)
		r = judge(spacing, end, routed, &routed->intervals[i]);
	routed->n_intervals = 0; /* they speak of places that are others now */
	if (spacing->n_left_out)
		close_gaps(routed);
	return r;
}
