/* SPDX-License-Identifier: Apache-2.0
 *
 * The jq programs of a file while it is being read. Compiling takes 15 ms for one and not much more for many at once, so they are
 * gathered, and checked when all have been read.
 *
 * One thread at a time; checking blocks.
 */
#ifndef LINKSPAN_CONFIG_PROGRAM_LIST_H
#define LINKSPAN_CONFIG_PROGRAM_LIST_H

#include "config/table.h"
#include "config/yaml_tree.h"

struct jq_pool;
struct transform;

struct program_entry {
	const struct table_captures *captures;
	const struct node *node;
	const char *name; /* of the key */
	size_t mapping; /* its index */
	struct transform *transform;
};

struct program_list {
	struct jq_pool *pool; /* borrowed; holds the programs then */
	size_t mapping; /* whose programs come now */
	struct program_entry *entries;
	size_t n;
};

/* Borrows captures, node and name until the list is freed. */
void program_list_add(
	struct program_list *list, const struct table_captures *captures, const struct node *node, const char *name);
/* Compiles them and reports those that do not, each to on_wrong with its mapping. */
void program_list_check(
	struct program_list *list, struct report *report, void (*on_wrong)(void *arg, size_t mapping), void *arg);
void program_list_free(struct program_list *list); /* what it holds */

#endif
