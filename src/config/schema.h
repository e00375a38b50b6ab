/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of keys. Every section of the file and every connector declares its keys once, here; parsing, validation with
 * positions, the JSON Schema (`linkspan schema`) and the reference page (doc/reference.md) all come from the tables.
 *
 * A table is an array of config_key ended by one with name NULL. `offset` is where the parsed value goes in the
 * section's own struct. Values that are not given take the fallback, parsed the same way.
 */
#ifndef LINKSPAN_CONFIG_SCHEMA_H
#define LINKSPAN_CONFIG_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config_text { /* one string of a list or map, with where it stands (1-based) */
	char *name; /* maps only */
	char *value;
	int line, column;
};
struct config_list { /* CONFIG_LIST and CONFIG_MAP */
	struct config_text *items;
	size_t n;
};

enum config_type { /* and the C type at `offset` */
	CONFIG_STRING, /* char *, NULL when absent */
	CONFIG_SECRET, /* char *; never printed, never in messages */
	CONFIG_PATH, /* char *; relative to the file that names it, made absolute; must be readable */
	CONFIG_TEMPLATE, /* char *; text with {captures}: syntax checked */
	CONFIG_FILTER, /* char *; an MQTT topic filter, {name} allowed */
	CONFIG_JQ, /* char *; a jq program, compiled by check */
	CONFIG_BOOL, /* bool */
	CONFIG_INT, /* int64_t, within min..max */
	CONFIG_NUMBER, /* double, within min..max */
	CONFIG_DURATION, /* uint64_t milliseconds, within min..max; "7d 90s 250ms" */
	CONFIG_SIZE, /* uint64_t bytes, within min..max; "4GiB 64KB" */
	CONFIG_ENUM, /* int: index into choices */
	CONFIG_LIST, /* struct config_list of strings; a single string is a list of one */
	CONFIG_MAP, /* struct config_list of named strings */
	CONFIG_SECTION, /* the struct of `children`, embedded at offset */
};

struct config_key {
	const char *name;
	enum config_type type;
	size_t offset;
	const char *fallback; /* as it would be written in the file; NULL: zero, NULL, empty */
	bool required;
	const char *const
		*choices; /* CONFIG_ENUM: NULL-terminated; CONFIG_LIST: the words it may hold, each once, NULL: any;
			   * CONFIG_MAP: what its values may be, for the schema alone */
	int64_t min, max; /* both 0: no bound */
	const struct config_key *children; /* CONFIG_SECTION */
	const char *bare; /* CONFIG_SECTION: the child that a single value in its place stands for; NULL: none */
	const char *
		others; /* names that other programs have for it, for "did you mean", with blanks between them; or NULL */
	bool nullable; /* CONFIG_STRING, and CONFIG_MAP for its values: may be null, and is NULL then */
	const char *help; /* one or two sentences, for the reference page and editors */
	/* For editors alone, of texts and each of a list of them: a pattern of ECMA 262, as if it stood between ^ and $, that a
	 * text without ${…} fits if the loader takes it (it may fit more); a value that somebody could write, always beside a pattern. NULL: none. */
	const char *pattern, *example;
};

/* Where a connector's check() complains. key: name in the connector's table (NULL: the section itself); item: for a
 * list its index as text, for a map the name, for a section the child's name, and "child.grandchild" for a section within;
 * NULL: the key itself. The message is
 * printed as `file:line:column: …` with the line and a caret, together with all others. One sentence of what is
 * wrong, one of what would be right. */
struct config_scope;
/* Does the section name this key, be it with the value that it has anyway? item: as below. */
bool config_given(const struct config_scope *scope, const char *key, const char *item);
/* Is what stands there a mistake that has been reported, or missing though it must be there? It then holds its fallback,
 * or nothing. What is complained about that key is dropped; who concludes from it on another key, or from its absence,
 * asks first. key NULL: any of the section's. */
bool config_failed(const struct config_scope *scope, const char *key, const char *item);
void config_complain(struct config_scope *scope, const char *key, const char *item, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* The same for what is legal and yet hardly meant: it is printed and nothing fails. */
void config_warn(struct config_scope *scope, const char *key, const char *item, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

#endif
