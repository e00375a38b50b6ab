/* SPDX-License-Identifier: Apache-2.0
 *
 * A node stands for a prefix of levels. Texts of levels are interned, so an exact child is found by two numbers, (node,
 * level), in an open-addressing hash table of small entries; the + child is kept in the node, and so are the filters
 * that end here or end here in #. A lookup walks all nodes of one depth before the next: no recursion, and each level is
 * hashed once. A level that no filter names is known by then to lead nowhere but to +.
 *
 * The keys of the tables come from the configuration, never from a peer: a peer can only look things up.
 */
#include "routing/topic_index.h"

#include <errno.h>
#include <stdlib.h>

#include "routing/topic_filter.h"

#define NONE UINT32_MAX

/* Lists of filters are chained by number: next[filter]. */
struct node {
	uint32_t plus; /* child, NONE */
	uint32_t end_first, end_last; /* filters that end at this level */
	uint32_t rest_first, rest_last; /* filters that end in # below this level */
};

struct edge {
	uint32_t parent, level;
	uint32_t child; /* NONE: free */
};

/* A distinct text; its number is the place in `levels`. */
struct level {
	char *text;
	uint32_t len;
	uint32_t hash;
};

struct topic_index {
	struct node *nodes;
	size_t n_nodes, nodes_size;
	struct edge *edges;
	size_t n_edges, edges_size; /* size: a power of two, never more than half full; or 0 */
	struct level *levels;
	size_t n_levels, levels_size;
	uint32_t *by_text; /* hash table of numbers of levels, NONE: free */
	size_t by_text_size; /* as edges_size */
	uint32_t *next;
	size_t n_filters, filters_size;
	/* Scratch of a lookup; all hold as many as there are nodes or filters. */
	uint32_t *active, *following, *matches;
};

static uint32_t hash_text(struct slice text)
{
	uint64_t hash = 0xcbf29ce484222325u;
	for (size_t i = 0; i < text.len; i++)
		hash = (hash ^ text.data[i]) * 0x100000001b3u;
	return (uint32_t)(hash ^ (hash >> 32));
}

static size_t hash_edge(uint32_t parent, uint32_t level)
{
	uint64_t hash = (((uint64_t)parent << 32) | level) * 0x9e3779b97f4a7c15u;
	return (size_t)(hash >> 32);
}

/* --- building ---------------------------------------------------------------------------------------- */

/* The array with room for one more element, possibly moved; sizes double. NULL when memory is out. */
static void *reserve(void *array, size_t element, size_t n, size_t *size)
{
	if (n < *size)
		return array;
	size_t wanted = *size ? 2 * *size : 16;
	void *grown = realloc(array, wanted * element);
	if (grown)
		*size = wanted;
	return grown;
}

static int reserve_numbers(uint32_t **numbers, size_t n, size_t size)
{
	uint32_t *grown = reserve(*numbers, sizeof *grown, n, &size);
	if (!grown)
		return -ENOMEM;
	*numbers = grown;
	return 0;
}

static int reserve_node(struct topic_index *index)
{
	if (reserve_numbers(&index->active, index->n_nodes, index->nodes_size) != 0 ||
		reserve_numbers(&index->following, index->n_nodes, index->nodes_size) != 0)
		return -ENOMEM;
	struct node *nodes = reserve(index->nodes, sizeof *nodes, index->n_nodes, &index->nodes_size);
	if (!nodes)
		return -ENOMEM;
	index->nodes = nodes;
	return 0;
}

static int reserve_filter(struct topic_index *index)
{
	if (reserve_numbers(&index->matches, index->n_filters, index->filters_size) != 0)
		return -ENOMEM;
	uint32_t *next = reserve(index->next, sizeof *next, index->n_filters, &index->filters_size);
	if (!next)
		return -ENOMEM;
	index->next = next;
	return 0;
}

static int node_new(struct topic_index *index, uint32_t *ret_node)
{
	int err = reserve_node(index);
	if (err)
		return err;
	index->nodes[index->n_nodes] = (struct node){NONE, NONE, NONE, NONE, NONE};
	*ret_node = (uint32_t)index->n_nodes++;
	return 0;
}

struct topic_index *topic_index_new(void)
{
	struct topic_index *index = calloc(1, sizeof *index);
	uint32_t root;
	if (index && node_new(index, &root) != 0) {
		topic_index_free(index);
		return NULL;
	}
	return index;
}

void topic_index_free(struct topic_index *index)
{
	if (!index)
		return;
	for (size_t i = 0; i < index->n_levels; i++)
		free(index->levels[i].text);
	free(index->levels);
	free(index->by_text);
	free(index->edges);
	free(index->nodes);
	free(index->next);
	free(index->active);
	free(index->following);
	free(index->matches);
	free(index);
}

/* The number of a text, NONE if no filter has such a level. */
static uint32_t find_level(const struct topic_index *index, struct slice text)
{
	size_t mask = index->by_text_size - 1;
	if (index->by_text_size == 0)
		return NONE;
	uint32_t hash = hash_text(text);
	for (size_t i = hash & mask;; i = (i + 1) & mask) {
		uint32_t number = index->by_text[i];
		if (number == NONE)
			return NONE;
		const struct level *level = &index->levels[number];
		if (level->hash == hash && level->len == text.len && memcmp(level->text, text.data, text.len) == 0)
			return number;
	}
}

static void place_level(uint32_t *table, size_t size, uint32_t hash, uint32_t number)
{
	size_t at = hash & (size - 1);
	while (table[at] != NONE)
		at = (at + 1) & (size - 1);
	table[at] = number;
}

static int grow_by_text(struct topic_index *index)
{
	size_t size = index->by_text_size ? 2 * index->by_text_size : 64;
	uint32_t *table = malloc(size * sizeof *table);
	if (!table)
		return -ENOMEM;
	memset(table, 0xFF, size * sizeof *table); /* NONE */
	for (size_t i = 0; i < index->n_levels; i++)
		place_level(table, size, index->levels[i].hash, (uint32_t)i);
	free(index->by_text);
	index->by_text = table;
	index->by_text_size = size;
	return 0;
}

static int intern_level(struct topic_index *index, struct slice text, uint32_t *ret_level)
{
	uint32_t number = find_level(index, text);
	if (number == NONE) {
		if (2 * (index->n_levels + 1) > index->by_text_size && grow_by_text(index) != 0)
			return -ENOMEM;
		struct level *levels = reserve(index->levels, sizeof *levels, index->n_levels, &index->levels_size);
		if (levels)
			index->levels = levels;
		char *copy = malloc(text.len + 1);
		if (!levels || !copy) {
			free(copy);
			return -ENOMEM;
		}
		memcpy(copy, text.data, text.len);
		number = (uint32_t)index->n_levels++;
		levels[number] = (struct level){copy, (uint32_t)text.len, hash_text(text)};
		place_level(index->by_text, index->by_text_size, levels[number].hash, number);
	}
	*ret_level = number;
	return 0;
}

/* The edge, or the free place where it belongs. */
static struct edge *find_edge(const struct topic_index *index, uint32_t parent, uint32_t level)
{
	size_t mask = index->edges_size - 1;
	for (size_t i = hash_edge(parent, level) & mask;; i = (i + 1) & mask) {
		struct edge *edge = &index->edges[i];
		if (edge->child == NONE || (edge->parent == parent && edge->level == level))
			return edge;
	}
}

static int grow_edges(struct topic_index *index)
{
	size_t old_size = index->edges_size, size = old_size ? 2 * old_size : 64;
	struct edge *old = index->edges, *edges = malloc(size * sizeof *edges);
	if (!edges)
		return -ENOMEM;
	memset(edges, 0xFF, size * sizeof *edges); /* child is NONE */
	index->edges = edges;
	index->edges_size = size;
	for (size_t i = 0; i < old_size; i++)
		if (old[i].child != NONE)
			*find_edge(index, old[i].parent, old[i].level) = old[i];
	free(old);
	return 0;
}

static int child_exact(struct topic_index *index, uint32_t parent, struct slice text, uint32_t *ret_child)
{
	uint32_t level;
	int err = intern_level(index, text, &level);
	if (!err && 2 * (index->n_edges + 1) > index->edges_size)
		err = grow_edges(index);
	if (err)
		return err;
	struct edge *edge = find_edge(index, parent, level);
	if (edge->child == NONE) {
		uint32_t child;
		err = node_new(index, &child);
		if (err)
			return err;
		*edge = (struct edge){parent, level, child};
		index->n_edges++;
	}
	*ret_child = edge->child;
	return 0;
}

static int child_plus(struct topic_index *index, uint32_t parent, uint32_t *ret_child)
{
	uint32_t child = index->nodes[parent].plus;
	if (child == NONE) {
		int err = node_new(index, &child);
		if (err)
			return err;
		index->nodes[parent].plus = child;
	}
	*ret_child = child;
	return 0;
}

static void chain(struct topic_index *index, uint32_t *first, uint32_t *last, uint32_t filter)
{
	index->next[filter] = NONE;
	if (*first == NONE)
		*first = filter;
	else
		index->next[*last] = filter;
	*last = filter;
}

int topic_index_add(struct topic_index *index, const char *filter)
{
	int err = reserve_filter(index);
	struct slice rest = slice_str(filter), level;
	uint32_t at = 0;
	bool all_below = false;
	while (!err && topic_next_level(&rest, &level)) {
		if (level.len == 1 && level.data[0] == '#')
			all_below = true; /* the last level, says topic_filter_check */
		else if (level.len == 1 && level.data[0] == '+')
			err = child_plus(index, at, &at);
		else
			err = child_exact(index, at, level, &at);
	}
	if (err)
		return err;
	struct node *node = &index->nodes[at];
	uint32_t number = (uint32_t)index->n_filters++;
	if (all_below)
		chain(index, &node->rest_first, &node->rest_last, number);
	else
		chain(index, &node->end_first, &node->end_last, number);
	return 0;
}

/* --- asking ------------------------------------------------------------------------------------------ */

static size_t collect(const struct topic_index *index, uint32_t first, size_t n)
{
	for (uint32_t filter = first; filter != NONE; filter = index->next[filter])
		index->matches[n++] = filter;
	return n;
}

/* Shell sort: in place, and nearly sorted input (one chain) costs one pass. */
static void sort(uint32_t *numbers, size_t n)
{
	static const size_t gaps[] = {7983, 3548, 1577, 701, 301, 132, 57, 23, 10, 4, 1};
	for (size_t g = 0; g < sizeof gaps / sizeof gaps[0]; g++) {
		size_t gap = gaps[g];
		for (size_t i = gap; i < n; i++) {
			uint32_t number = numbers[i];
			size_t at = i;
			for (; at >= gap && numbers[at - gap] > number; at -= gap)
				numbers[at] = numbers[at - gap];
			numbers[at] = number;
		}
	}
}

/* What is looked up: a topic, or a filter whose wildcards stand for themselves. */
struct query {
	struct slice rest;
	bool is_filter;
	bool wildcards; /* may the next step enter wildcards? Not from the root when the topic begins with $ */
};

static bool level_is(struct slice level, char wildcard)
{
	return level.len == 1 && level.data[0] == (uint8_t)wildcard;
}

/* From the nodes of one depth to those of the next. */
static size_t step(struct topic_index *index, size_t n_active, const struct query *query, struct slice level)
{
	uint32_t number = query->is_filter && level_is(level, '+') ? NONE : find_level(index, level);
	size_t n = 0;
	for (size_t i = 0; i < n_active; i++) {
		uint32_t node = index->active[i];
		struct edge *edge = number != NONE ? find_edge(index, node, number) : NULL;
		if (edge && edge->child != NONE)
			index->following[n++] = edge->child;
		if (query->wildcards && index->nodes[node].plus != NONE)
			index->following[n++] = index->nodes[node].plus;
	}
	uint32_t *swap = index->active;
	index->active = index->following;
	index->following = swap;
	return n;
}

static size_t look_up(struct topic_index *index, struct query *query)
{
	struct slice level;
	size_t n_active = 1, n = 0;
	index->active[0] = 0;
	if (query->wildcards)
		n = collect(index, index->nodes[0].rest_first, n);
	while (n_active && topic_next_level(&query->rest, &level)) {
		if (query->is_filter && level_is(level, '#'))
			return n; /* only another # covers it */
		n_active = step(index, n_active, query, level);
		query->wildcards = true;
		for (size_t i = 0; i < n_active; i++)
			n = collect(index, index->nodes[index->active[i]].rest_first, n);
	}
	for (size_t i = 0; i < n_active; i++)
		n = collect(index, index->nodes[index->active[i]].end_first, n);
	return n;
}

static size_t ask(struct topic_index *index, struct slice text, bool is_filter, const uint32_t **ret_filters)
{
	struct query query = {text, is_filter, text.len == 0 || text.data[0] != '$'};
	size_t n = look_up(index, &query);
	sort(index->matches, n);
	*ret_filters = index->matches;
	return n;
}

size_t topic_index_match(struct topic_index *index, struct slice topic, const uint32_t **ret_filters)
{
	return ask(index, topic, false, ret_filters);
}

size_t topic_index_covering(struct topic_index *index, const char *filter, const uint32_t **ret_filters)
{
	return ask(index, slice_str(filter), true, ret_filters);
}
