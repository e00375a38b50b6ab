/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside of config/: what the files of the loader share. load.c opens files and puts the parts together,
 * load_connection.c and load_mapping.c read one connection and one mapping.
 *
 * Runs on one thread at a time; may block (files, jq).
 */
#ifndef LINKSPAN_CONFIG_LOADER_H
#define LINKSPAN_CONFIG_LOADER_H

#include "config/config.h"
#include "config/program_list.h"
#include "config/report.h"
#include "config/table.h"
#include "config/yaml_tree.h"
#include "connectors/connector.h"

/* What a test may replace. */
struct config_options {
	const struct connector *const *connectors; /* NULL-terminated */
	const char *mappings_dir; /* of ready-made files; NULL: $LINKSPAN_MAPPINGS, else the installed ones */
};

/* config_load, config_write_schema and config_write_reference with other connectors. */
int config_load_with(const struct config_options *options, const char *path, FILE *errors, struct config **ret_config,
	size_t *ret_mistakes) __attribute__((warn_unused_result));
void config_write_schema_of(const struct connector *const *connectors, FILE *out);
void config_write_reference_of(const struct connector *const *connectors, FILE *out);

/* A configuration with what it borrows. */
struct config_own {
	struct config config; /* first: config_free casts back */
	struct report *report; /* paths of files, and secrets for config_redact */
	struct yaml_tree **trees; /* until loading ends */
	size_t n_trees;
};

/* One entry of `connections:` (name and value) or of `mappings:` and `tests:` (value alone). */
struct loader_entry {
	const struct node *name;
	struct node *value;
	bool sound; /* of a connection: its connector is known and may be asked; of a mapping: there is no mistake in it */
	bool failed; /* of a connection: some value was a mistake and holds its fallback */
	bool outbox_refused; /* of a connection: its outbox throws away what must not be lost, which is reported */
	bool order_refused; /* of a connection: what is wrong with the order in which it sends is reported */
	bool legs_known; /* of a mapping: which connections it uses, at which QoS, and what it declares */
	struct table_captures captures; /* of a mapping; the names are its own */
};
struct loader_entries {
	struct loader_entry *items;
	size_t n;
};

struct loader {
	const struct config_options *options;
	struct report *report;
	struct config_own *own;
	struct loader_entries connections; /* parallel to own->config.connections */
	struct loader_entries mappings; /* parallel to own->config.mappings, where each has one */
	struct loader_entries tests;
	struct table_other *others; /* every kind of section but the top one, for keys that stand in the wrong one */
	struct program_list programs;
	const struct source *chain[16]; /* files being read, from the main one */
	size_t n_chain;
	bool unread; /* some file could not be read: its connections and mappings are not known */
};

/* What stands in `others`, for the scopes of those sections. */
#define LOADER_AT_TOP        "at the top of the file"
#define LOADER_IN_CONNECTION "to a connection"
#define LOADER_IN_MAPPING    "beside 'from' and 'to'"
#define LOADER_IN_FROM       "under 'from'"
#define LOADER_IN_TO         "under 'to'"

void loader_read_connection(struct loader *loader, size_t index);
void loader_read_mapping(struct loader *loader, size_t index);
void loader_read_test(struct loader *loader, const struct node *node);
/* Refuses mappings that declare more than their legs keep; warns of connections that nothing uses. Once all mappings
 * have been read without mistakes. */
void loader_check_guarantees(struct loader *loader, const struct mapping_config *map, const struct node *node);
/* Refuses markers that no destination of the mapping carries, and warns of those that one does not. The same time. */
void loader_check_markers(struct loader *loader, const struct mapping_config *map, const struct node *node);

/* Refuses mappings that name the same filter with other settings where the peer keeps one subscription per filter, and
 * mappings that are declared exactly-once where overlapping filters bring messages twice. The same time. */
void loader_check_subscriptions(struct loader *loader);
/* Refuses mappings by which a message goes round for ever, and warns of those by which it may. The same time. */
void loader_check_cycles(struct loader *loader);
/* Warns of what never gets a message, or does what is done already: mappings, filters, settings of outboxes. The same
 * time, when there are no mistakes. */
void loader_check_use(struct loader *loader);
/* What only `aggregate` of a mapping can have wrong. */
void loader_check_aggregate(struct loader *loader, const struct mapping_config *map, const struct node *mapping);
/* Splits each mapping that aggregates. A configuration without mistakes, which is checked no more. */
void loader_split_aggregates(struct config *config);
/* What tests expect at mappings that have been split. */
void loader_resolve_tests(struct config *config);
/* The outbox of a connection that does not stand in the file. */
void loader_default_outbox(struct connection_config *conn);
/* Frees what a connection (mapping) holds; of a mapping's entry, the names of its captures. */
void loader_forget_mapping(struct loader_entry *entry);
void loader_free_connection(struct connection_config *conn);
void loader_free_mapping(const struct config *config, struct mapping_config *map);

/* Index of the connection that a node names; -1 after reporting that there is none, or silently when the text could
 * not be read. `key`: for messages. */
long loader_find_connection(struct loader *loader, const struct node *section, const char *title);
/* Letters, digits, _ - and ., at most 64, beginning with a letter or digit; reports. */
bool loader_check_name(struct loader *loader, const struct node *name, const char *what);

/* Sets `file`, `line` and `column` of a part of the configuration. */
#define LOADER_PLACE(part, node)                                                                                       \
	((part)->file = (node)->source->path, (part)->line = (node)->line, (part)->column = (node)->column)

#endif
