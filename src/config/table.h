/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads one section of the file by the tables of keys that describe it (schema.h). A section may be described by several
 * tables at once (what all connections share and what this connector adds), each with its own struct.
 *
 * The structs must be zeroed, or filled with what an absent key without fallback is to leave there. What is written into
 * them is freed by table_free.
 */
#ifndef LINKSPAN_CONFIG_TABLE_H
#define LINKSPAN_CONFIG_TABLE_H

#include "config/report.h"
#include "config/schema.h"
#include "config/yaml_tree.h"
#include "routing/template.h"

struct table_part {
	const struct config_key *keys; /* NULL is an empty table */
	void *base; /* the struct that their offsets speak of */
};
#define TABLE_MAX_PARTS 4

/* What templates and jq programs of a section may name. */
struct table_captures {
	struct program_list *programs; /* gathers the jq programs, which are compiled together at the end */
	const char *const *names;
	size_t n;
	const char *const *partial; /* names that only some of the mapping's topic filters bind */
	size_t n_partial;
	struct template_received received;
	size_t fewest_levels; /* that every topic of some filter of the mapping has; 0: nobody knows */
	bool unknown; /* because of a mistake elsewhere: check no template and no program */
};

/* A section of another kind. */
struct table_other {
	const char *place; /* "under 'to'", for messages; NULL ends an array */
	const struct config_key *keys;
};

/* One section being read; also where config_complain finds the place of a key. */
struct config_scope {
	struct report *report;
	const struct table_captures *captures; /* NULL: none */
	const struct node *node; /* the section; NULL: absent, only fallbacks are taken */
	const struct node *anchor; /* where to point when a key is missing: the section's name */
	const char *title; /* "connection 'lake'"; for messages */
	struct table_part parts[TABLE_MAX_PARTS];
	const char *place; /* of this section, as in others; NULL: it is in none */
	const struct table_other *others; /* where a key that is unknown here may belong; NULL: nowhere */
	const char *const *elsewhere; /* names that somebody else reads, NULL-terminated; may be NULL */
	bool unsound; /* set by table_read: a value that must be there is not, so further checks would mislead */
	bool failed; /* set by table_read: some value was a mistake and holds its fallback, or nothing */
	bool keys_unknown; /* what else may stand here cannot be known: do not complain about unknown keys */
};

void table_read(struct config_scope *scope);
/* The part of it that complains about unknown keys. */
void table_find_unknown(const struct config_scope *scope);
/* Frees what the keys hold in `base`, not base itself; base NULL is allowed. */
void table_free(const struct config_key *keys, void *base);

/* Name of the first key whose values differ in two structs of that table; NULL: they are equal. Both NULL: equal. */
const char *table_difference(const struct config_key *keys, const void *a, const void *b);

/* Checks that a node is a map (list) and reports if it is not. title: "connection 'lake'". */
bool table_expect_map(struct report *report, const struct node *node, const char *title);

/* Text of a scalar; NULL after reporting that it is none. name: of the key, for messages. */
const char *table_text(struct report *report, const struct node *node, const char *name);

/* Points at `offset` within a scalar. */
void table_mistake(struct report *report, const struct node *node, size_t offset, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

#endif
