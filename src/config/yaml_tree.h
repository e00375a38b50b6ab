/* SPDX-License-Identifier: Apache-2.0
 *
 * A YAML file as a tree of nodes that know where they stand. Built from libyaml's events and not from its document,
 * because an alias has a position of its own there and the limits hold while reading, before memory is used.
 *
 * What it reports: syntax errors (libyaml's, with a hint), duplicate keys, tags, merge keys, aliases of something
 * unfinished or unknown, more than one document, NUL characters, and the limits below. ${env:…} and ${file:…} inside
 * values are replaced here (interpolate.h). libyaml resolves no types: every scalar is text.
 *
 * An alias shares the node it names, nothing is copied; but it counts with all that is below it, so that no walk over
 * the tree is longer than YAML_MAX_NODES.
 */
#ifndef LINKSPAN_CONFIG_YAML_TREE_H
#define LINKSPAN_CONFIG_YAML_TREE_H

#include <stdbool.h>
#include <stddef.h>

#include "config/report.h"
#include "config/source.h"

#define YAML_MAX_DEPTH 24
#define YAML_MAX_NODES 1000000

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };
enum node_style { STYLE_PLAIN, STYLE_SINGLE, STYLE_DOUBLE, STYLE_LITERAL, STYLE_FOLDED };

struct node {
	enum node_kind kind;
	enum node_style style; /* scalars */
	bool interpolated; /* holds a value from the environment or a file */
	bool secret; /* never printed */
	bool failed; /* its value could not be found out and that has been reported: no further mistakes about it */
	bool flow; /* a collection written as {…} or […] */
	bool open; /* not read to its end yet */
	struct source *source;
	int line, column; /* from 1 */
	int end_line, end_column; /* scalars: behind the last character, quotes included */
	char *text; /* scalars, after interpolation; no NUL inside */
	struct node **keys; /* maps */
	struct node **items; /* lists, and the values of maps */
	size_t n;
	size_t weight; /* nodes in it, aliases expanded */
	struct node *next; /* of all nodes of the tree */
};

struct yaml_tree {
	struct node *root; /* NULL: unreadable, reported */
	struct node *nodes; /* all of them */
};

/* Reads `source`, which outlives the tree. Always returns a tree. May read files (${file:…}). */
struct yaml_tree *yaml_tree_read(struct source *source, struct report *report);
void yaml_tree_free(struct yaml_tree *tree);

/* The value of a key in a map, NULL if there is none or `map` is no map. */
struct node *node_get(const struct node *map, const char *name);
/* `key:` with nothing behind it, `~` or `null`. */
bool node_is_null(const struct node *node);
/* Where byte `offset` of `text` stands in the file, text being what the node said before interpolation. Falls back to
 * the node's beginning where escapes or folding make it unclear. */
void node_place(const struct node *node, const char *text, size_t offset, int *ret_line, int *ret_column);
/* Marks the node, and what is below it, as never to be printed: neither its text in messages nor its place in the
 * file. A value that is nothing but one ${…} may still be shown as it is written. */
void node_hide(struct node *node, struct report *report);

#endif
