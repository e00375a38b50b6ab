/* SPDX-License-Identifier: Apache-2.0
 *
 * One value of a table: from a node of the file, or from the fallback that the table gives.
 */
#ifndef LINKSPAN_CONFIG_TABLE_VALUE_H
#define LINKSPAN_CONFIG_TABLE_VALUE_H

#include "config/table.h"

/* Reads, checks, and writes to `out` (the C type that schema.h names); reports what is wrong and then leaves `out`
 * untouched, but for lists and maps, which keep what was right. Not for sections. */
/* Some mistake in this value, or directly below it, has been reported. */
bool table_failed(const struct node *node);

void table_value(struct config_scope *scope, const struct config_key *key, struct node *node, void *out);
/* A fallback that cannot be read is a bug in the table: asserted. */
void table_fallback(const struct config_key *key, void *out);
void table_free_value(const struct config_key *key, void *value);

/* Checks of texts that are more than text, with places: `captures` as in the scope; `name` of the key. */
/* separator: what ends the levels of this filter. */
void table_check_filter(struct report *report, const struct node *node, const char *name, char separator);
void table_check_template(
	struct report *report, const struct table_captures *captures, const struct node *node, const char *name);
/* Warns of a program that asks for what no message has. */
void table_warn_jq(
	struct report *report, const struct table_captures *captures, const struct node *node, const char *name);
/* Warns of a program that compiles and does hardly what is meant. */
void table_doubt_jq(
	struct report *report, const struct table_captures *captures, const struct node *node, const char *name);
/* Of a jq program that does not compile: why, and at which of its lines, from 1. */
void table_complain_jq(struct report *report, const struct table_captures *captures, const struct node *node,
	const char *name, const char *wrong, int line);

#endif
