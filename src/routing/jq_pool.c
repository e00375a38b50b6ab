/* SPDX-License-Identifier: Apache-2.0
 *
 * A group that does not compile is compiled by halves, down to the program alone, whose complaint it is.
 */
#include "routing/jq_pool.h"

#include <errno.h>
#include <stdlib.h>

#include "message/siphash.h"
#include "routing/jq_program.h"

/* Programs compiled together. What libjq takes for each state is shared by as many; more of them hardly save any more. */
#define GROUP 128

struct program {
	struct jq_entry entry; /* first: given out */
	struct program *next; /* in its bucket */
	char *text;
	struct slice *names; /* their bytes are in the same block */
	bool is_done; /* compiled, or complained about */
};

struct jq_pool {
	struct program **programs; /* in the order in which they came */
	size_t n_programs, size;
	size_t n_done; /* programs before that one are done */
	struct program **buckets; /* size of them */
	jq_state **states;
	size_t n_states, states_size;
	bool complains;
};

struct jq_pool *jq_pool_new(void)
{
	return calloc(1, sizeof(struct jq_pool));
}

static void program_free(struct program *program)
{
	if (program)
		free(program->names);
	if (program)
		free(program->text);
	free(program);
}

void jq_pool_free(struct jq_pool *pool)
{
	if (!pool)
		return;
	for (size_t i = 0; i < pool->n_states; i++)
		jq_teardown(&pool->states[i]);
	for (size_t i = 0; i < pool->n_programs; i++)
		program_free(pool->programs[i]);
	free(pool->states);
	free(pool->programs);
	free(pool->buckets);
	free(pool);
}

/* --- adding ------------------------------------------------------------------------------------------ */

static size_t bucket_of(const struct jq_pool *pool, const char *text)
{
	static const uint8_t key[SIPHASH_KEY_LEN] = {0}; /* the configuration is trusted */
	uint8_t hash[SIPHASH_LEN];
	siphash(key, slice_str(text), hash);
	return (hash[0] | (size_t)hash[1] << 8 | (size_t)hash[2] << 16) & (pool->size - 1);
}

static bool program_is(const struct program *program, const char *text, const struct slice *names, size_t n)
{
	if (program->entry.n_variables != n || strcmp(program->text, text) != 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!slice_equal(program->names[i], names[i]))
			return false;
	return true;
}

static int make_room(struct jq_pool *pool)
{
	if (pool->n_programs < pool->size)
		return 0;
	size_t size = pool->size ? 2 * pool->size : 16; /* a power of two */
	struct program **programs = realloc(pool->programs, size * sizeof(struct program *));
	if (programs)
		pool->programs = programs;
	struct program **buckets = calloc(size, sizeof(struct program *));
	if (!programs || !buckets) {
		free(buckets);
		return -ENOMEM;
	}
	free(pool->buckets);
	pool->buckets = buckets;
	pool->size = size;
	for (size_t i = 0; i < pool->n_programs; i++) {
		struct program **bucket = &buckets[bucket_of(pool, programs[i]->text)];
		programs[i]->next = *bucket;
		*bucket = programs[i];
	}
	return 0;
}

static struct slice *copy_names(const struct slice *names, size_t n)
{
	size_t len = 0;
	for (size_t i = 0; i < n; i++)
		len += names[i].len;
	struct slice *copy = malloc((n + 1) * sizeof *copy + len);
	uint8_t *bytes = copy ? (uint8_t *)&copy[n + 1] : NULL;
	for (size_t i = 0; i < n && copy; i++) {
		memcpy(bytes, names[i].data, names[i].len);
		copy[i] = slice_of(bytes, names[i].len);
		bytes += names[i].len;
	}
	return copy;
}

static struct program *program_new(const char *text, const struct slice *names, size_t n)
{
	struct program *program = calloc(1, sizeof *program);
	if (!program)
		return NULL;
	program->text = strdup(text);
	program->names = copy_names(names, n);
	program->entry.n_variables = n;
	program->entry.number = -1;
	if (!program->text || !program->names) {
		program_free(program);
		return NULL;
	}
	return program;
}

static void scan(struct jq_pool *pool, struct program *program)
{
	struct jq_scan scan;
	if (jq_scan(program->text, &scan) == 0)
		return;
	snprintf(program->entry.complaint.text, sizeof program->entry.complaint.text, "%s", scan.wrong);
	program->entry.complaint.line = scan.line;
	program->is_done = pool->complains = true;
}

int jq_pool_add(
	struct jq_pool *pool, const char *text, const struct slice *names, size_t n_names, struct jq_entry **ret_entry)
{
	if (make_room(pool) != 0)
		return -ENOMEM;
	struct program **bucket = &pool->buckets[bucket_of(pool, text)], *program = *bucket;
	while (program && !program_is(program, text, names, n_names))
		program = program->next;
	if (!program) {
		program = program_new(text, names, n_names);
		if (!program)
			return -ENOMEM;
		scan(pool, program);
		program->next = *bucket;
		*bucket = program;
		pool->programs[pool->n_programs++] = program;
	}
	*ret_entry = &program->entry;
	return 0;
}

/* --- compiling --------------------------------------------------------------------------------------- */

static struct jq_source source_of(const struct program *program)
{
	return (struct jq_source){program->text, program->names, program->entry.n_variables};
}

/* Room for one more state comes first, so that none is lost. */
static int states_room(struct jq_pool *pool)
{
	if (pool->n_states < pool->states_size)
		return 0;
	size_t size = pool->states_size ? 2 * pool->states_size : 16;
	jq_state **grown = realloc(pool->states, size * sizeof(jq_state *));
	if (!grown)
		return -ENOMEM;
	pool->states = grown;
	pool->states_size = size;
	return 0;
}

static int compile_alone(struct jq_pool *pool, struct program *program)
{
	struct jq_source source = source_of(program);
	struct jq_entry *entry = &program->entry;
	int err = states_room(pool);
	if (!err)
		err = jq_program_compile(&source, &entry->jq, &entry->complaint);
	if (err == -ENOMEM)
		return err;
	program->is_done = true;
	if (err) {
		pool->complains = true;
		return 0;
	}
	entry->complaint.text[0] = '\0';
	pool->states[pool->n_states++] = entry->jq;
	return 0;
}

static int compile_group(struct jq_pool *pool, struct program *const *group, size_t n)
{
	struct jq_source sources[GROUP];
	jq_state *jq;
	if (n == 1)
		return compile_alone(pool, group[0]);
	for (size_t i = 0; i < n; i++)
		sources[i] = source_of(group[i]);
	int err = states_room(pool);
	if (!err)
		err = jq_program_compile_group(sources, n, &jq);
	if (err == -EINVAL) {
		err = compile_group(pool, group, n / 2);
		return err ? err : compile_group(pool, group + n / 2, n - n / 2);
	}
	if (err)
		return err;
	pool->states[pool->n_states++] = jq;
	for (size_t i = 0; i < n; i++) {
		group[i]->entry.jq = jq;
		group[i]->entry.number = (int)i;
		group[i]->is_done = true;
	}
	return 0;
}

int jq_pool_compile(struct jq_pool *pool)
{
	struct program *group[GROUP];
	size_t most = pool->n_programs - pool->n_done > JQ_POOL_ALONE ? GROUP : 1, n = 0;
	int err = 0;
	for (size_t i = pool->n_done; i < pool->n_programs && !err; i++) {
		if (!pool->programs[i]->is_done)
			group[n++] = pool->programs[i];
		if (n < most)
			continue;
		err = compile_group(pool, group, n);
		n = 0;
	}
	if (!err && n)
		err = compile_group(pool, group, n);
	if (err)
		return err;
	pool->n_done = pool->n_programs;
	return pool->complains ? -EINVAL : 0;
}
