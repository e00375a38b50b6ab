/* SPDX-License-Identifier: Apache-2.0
 *
 * The journal's key is a hash of the rule, the mapping's name and the rendered key, keyed by the data folder's uuid. What stands
 * with it is, of changes_only, the value that passed last: a number, or a hash where there is no dead band or it is none; of
 * sample, which of its so many messages the next one is, from 0.
 */
#include "runtime/spacing.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "message/endian.h"
#include "message/siphash.h"
#include "runtime/endpoint.h"
#include "runtime/log.h"

#define RULES        3u /* of a mapping at most */
#define SAMPLE_MS    (UINT64_C(30) * 24 * 3600 * 1000) /* a count is known for that long after the last message */
#define NUMBER_CHARS "+-.0123456789eE"
#define NUMBER_BYTES 64u /* a longer one is compared as text */
#define NOT_A_NUMBER UINT64_C(0x7ff8000000000000) /* and 51 bits of a hash, none of which a number has with these */

_Static_assert(SIPHASH_LEN == JOURNAL_KEY_LEN, "a hash is a key");

void spacing_free(struct spacing *spacing)
{
	arena_free(&spacing->arena);
	free(spacing->changes);
	free(spacing->table);
	*spacing = (struct spacing){.n_changes = 0};
}

static int reserve_changes(struct spacing *spacing, size_t more)
{
	if (spacing->n_changes + more <= spacing->capacity)
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

/* One rule of a mapping, for one message. */
struct rule {
	const char *word;
	const uint8_t *key; /* of the journal; NULL: the mapping has no such rule */
	bool known;
	uint64_t state; /* what is known */
};

/* Each part with its length before it, and a word that no other keys begin with. */
static uint8_t *name_key(
	struct spacing *spacing, const struct endpoint *end, const char *rule, const char *mapping, struct slice key)
{
	const struct slice parts[] = {slice_str(rule), slice_str(mapping), key};
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
static int look_up(
	struct spacing *spacing, const struct endpoint *end, const char *mapping, struct slice key, struct rule *rule)
{
	uint64_t lsn;
	if (!key.data)
		return 0;
	rule->key = name_key(spacing, end, rule->word, mapping, key);
	if (!rule->key)
		return -ENOMEM;
	uint32_t slot = *slot_of(spacing, rule->key);
	if (slot)
		rule->state = spacing->changes[slot - 1].hash;
	rule->known = slot || journal_key(end->bridge->journal, rule->key, &rule->state, &lsn);
	return 0;
}

/* --- what has changed --------------------------------------------------------------------------------------------- */

static uint64_t text_state(const struct endpoint *end, struct slice value)
{
	uint8_t hash[SIPHASH_LEN];
	if (!value.data)
		return 0;
	siphash(journal_uuid(end->bridge->journal), value, hash);
	return get_u64(hash);
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool read_number(struct slice text, double *ret_number)
{
	char copy[NUMBER_BYTES + 1], *end;
	while (text.len && is_blank(text.data[0]))
		text = slice_of(text.data + 1, text.len - 1);
	while (text.len && is_blank(text.data[text.len - 1]))
		text.len--;
	if (text.len == 0 || text.len > NUMBER_BYTES)
		return false;
	memcpy(copy, text.data, text.len);
	copy[text.len] = '\0';
	*ret_number = strspn(copy, NUMBER_CHARS) == text.len ? strtod(copy, &end) : NAN;
	return isfinite(*ret_number) && !*end;
}

static uint64_t number_state(const struct endpoint *end, struct slice value)
{
	double number;
	uint64_t bits;
	if (!value.data || !read_number(value, &number))
		return text_state(end, value) | NOT_A_NUMBER;
	memcpy(&bits, &number, sizeof bits);
	return bits;
}

static bool has_changed(uint64_t before, uint64_t now, double dead_band)
{
	double a, b;
	memcpy(&a, &before, sizeof a);
	memcpy(&b, &now, sizeof b);
	if (dead_band > 0 && isfinite(a) && isfinite(b))
		return fabs(a - b) > dead_band;
	return before != now;
}

/* --- what passes -------------------------------------------------------------------------------------------------- */

static void go_unlimited(
	struct spacing *spacing, const struct endpoint *end, const char *mapping, const struct rule *rule)
{
	if (!spacing->told_unlimited)
		log_warn("keys_full",
			"connection=%s mapping=\"%s\" rule=%s keys=%zu what=\"there is no room to remember what has "
			"passed: nothing is left out of what is not known; raise journal.max_keys\"",
			end->config->name, mapping, rule->word, journal_keys(end->bridge->journal));
	spacing->told_unlimited = true;
}

static void leave_out(struct spacing *spacing, struct route_result *routed, const struct route_rules *rules,
	const char *mapping, const char *word)
{
	spacing->n_left_out++;
	for (size_t i = 0; i < rules->n_outputs; i++)
		routed->outputs[rules->first_output + i].left_out = true;
	log_debug("message_left_out", "mapping=\"%s\" because=\"%s\"", mapping, word);
}

/* False: there is no room to remember it. */
static bool remember(struct spacing *spacing, const struct endpoint *end, const char *mapping, const struct rule *rule,
	uint64_t state, uint64_t for_ms)
{
	if (!rule->key)
		return true;
	if (!rule->known && !journal_key_room(end->bridge->journal)) {
		go_unlimited(spacing, end, mapping, rule);
		return false;
	}
	uint32_t *slot = slot_of(spacing, rule->key);
	if (!*slot)
		*slot = (uint32_t)++spacing->n_changes;
	spacing->changes[*slot - 1] = (struct journal_change){.type = JOURNAL_KEY,
		.hash = state,
		.position = loop_wall_ms(end->bridge->loop) + for_ms,
		.blob = slice_of(rule->key, JOURNAL_KEY_LEN)};
	return true;
}

static int judge(struct spacing *spacing, const struct endpoint *end, struct route_result *routed,
	const struct route_rules *rules)
{
	const struct mapping_config *map = &end->bridge->config->mappings[rules->mapping];
	double dead_band = map->changes_only.dead_band;
	struct rule changes = {.word = dead_band > 0 ? "dead_band" : "changes_only"};
	struct rule sample = {.word = "sample"}, interval = {.word = "min_interval"};
	int r = look_up(spacing, end, map->name, rules->changes_key, &changes);
	if (r == 0)
		r = look_up(spacing, end, map->name, rules->sample_key, &sample);
	if (r == 0)
		r = look_up(spacing, end, map->name, rules->interval_key, &interval);
	if (r == 0)
		r = reserve_changes(spacing, RULES);
	if (r < 0)
		return r;
	const char *because = NULL;
	bool room = true;
	uint64_t value = 0;
	if (changes.key) {
		value = dead_band > 0 ? number_state(end, rules->value) : text_state(end, rules->value);
		if (changes.known && !has_changed(changes.state, value, dead_band))
			because = "changes_only";
	}
	if (!because && sample.key) {
		uint64_t one_in = (uint64_t)map->sample.one_in, at = sample.state < one_in ? sample.state : 0;
		because = at ? sample.word : NULL;
		room = remember(spacing, end, map->name, &sample, (at + 1) % one_in, SAMPLE_MS);
	}
	if (!because && interval.known)
		because = interval.word;
	if (because) {
		leave_out(spacing, routed, rules, map->name, because);
	} else {
		room &= remember(spacing, end, map->name, &changes, value, map->changes_only.refresh_ms);
		room &= remember(spacing, end, map->name, &interval, 0, map->min_interval.every_ms);
		spacing->n_left_out += rules->n_outputs == 0; /* a change that is only remembered */
	}
	spacing->n_unlimited += !room;
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
	if (routed->n_rules == 0)
		return 0;
	arena_reset(&spacing->arena);
	int r = clear_table(spacing, RULES * routed->n_rules);
	for (size_t i = 0; r == 0 && i < routed->n_rules; i++)
		r = judge(spacing, end, routed, &routed->rules[i]);
	routed->n_rules = 0; /* they speak of places that are others now */
	if (spacing->n_left_out)
		close_gaps(routed);
	return r;
}
