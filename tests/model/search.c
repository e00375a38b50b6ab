/* SPDX-License-Identifier: Apache-2.0
 *
 * States stand in one growing array in the order in which they were found, which is also the queue; a hash table finds
 * them again.
 */
#include "tests/model/search.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LABEL_BYTES 44

struct origin {
	uint32_t parent;
	char label[LABEL_BYTES];
};

struct search {
	const struct model *model;
	const void *options;
	uint8_t *states; /* n of model->size each */
	struct origin *origins; /* how each was reached */
	uint32_t *table; /* index + 1 */
	size_t n, capacity, table_size;
	size_t current;
	struct search_result result;
	bool moved;
};

static void *must(void *memory)
{
	if (memory)
		return memory;
	fprintf(stderr, "out of memory for the states\n");
	exit(2);
}

static uint64_t hash_of(const uint8_t *bytes, size_t size)
{
	uint64_t hash = 0xcbf29ce484222325u;
	for (size_t i = 0; i < size; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3u;
	return hash ^ hash >> 29;
}

static const uint8_t *state_at(const struct search *search, size_t i)
{
	return search->states + i * search->model->size;
}

/* The place of the state in the table. */
static uint32_t *place_of(const struct search *search, const void *state)
{
	size_t at = hash_of(state, search->model->size) & (search->table_size - 1);
	while (search->table[at] && memcmp(state_at(search, search->table[at] - 1), state, search->model->size) != 0)
		at = (at + 1) & (search->table_size - 1);
	return &search->table[at];
}

static void grow(struct search *search)
{
	if (search->n == search->capacity) {
		search->capacity *= 2;
		search->states = must(realloc(search->states, search->capacity * search->model->size));
		search->origins = must(realloc(search->origins, search->capacity * sizeof *search->origins));
	}
	if (search->n * 2 < search->table_size)
		return;
	free(search->table);
	search->table_size *= 2;
	search->table = must(calloc(search->table_size, sizeof *search->table));
	for (size_t i = 0; i < search->n; i++)
		*place_of(search, state_at(search, i)) = (uint32_t)i + 1;
}

static void report(struct search *search, size_t i, const char *rule, bool loud)
{
	snprintf(search->result.broken, sizeof search->result.broken, "%s", rule);
	if (!loud)
		return;
	printf("# %s: %s; the last step comes first:\n", search->model->name, rule);
	for (; i > 0; i = search->origins[i].parent)
		printf("#   %s\n", search->origins[i].label);
}

void search_emit(struct search *search, const void *state, const char *format, ...)
{
	search->moved = true;
	search->result.moves++;
	uint32_t *place = place_of(search, state);
	if (*place)
		return;
	*place = (uint32_t)++search->n;
	memcpy(search->states + (search->n - 1) * search->model->size, state, search->model->size);
	struct origin *origin = &search->origins[search->n - 1];
	origin->parent = (uint32_t)search->current;
	va_list args;
	va_start(args, format);
	vsnprintf(origin->label, sizeof origin->label, format, args);
	va_end(args);
	grow(search);
}

static const char *visit(struct search *search)
{
	uint8_t state[MODEL_STATE_BYTES];
	memcpy(state, state_at(search, search->current), search->model->size);
	const char *rule = search->model->check(state, search->options);
	if (rule)
		return rule;
	search->moved = false;
	search->model->next(search, state, search->options);
	if (search->moved)
		return NULL;
	search->result.finals++;
	return search->model->final(state, search->options);
}

struct search_result search_run(const struct model *model, const void *options, bool loud)
{
	struct search search = {.model = model, .options = options, .capacity = 1024, .table_size = 4096};
	search.states = must(malloc(search.capacity * model->size));
	search.origins = must(malloc(search.capacity * sizeof *search.origins));
	search.table = must(calloc(search.table_size, sizeof *search.table));
	uint8_t first[MODEL_STATE_BYTES] = {0};
	if (model->size > sizeof first)
		exit(2);
	model->init(first, options);
	search_emit(&search, first, "begin");
	for (; search.current < search.n && !search.result.broken[0]; search.current++) {
		const char *rule = visit(&search);
		if (rule)
			report(&search, search.current, rule, loud);
	}
	search.result.states = search.n;
	free(search.states);
	free(search.origins);
	free(search.table);
	return search.result;
}
