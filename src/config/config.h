/* SPDX-License-Identifier: Apache-2.0
 *
 * The typed configuration: what linkspan.yaml says after every value has been checked. Loading reports every mistake of
 * the file (and of the files it includes) in one run. A loaded configuration is immutable; the loop may read it for as
 * long as it lives. Loading may block on files and compiles jq, so it runs before the loop or on a worker.
 */
#ifndef LINKSPAN_CONFIG_CONFIG_H
#define LINKSPAN_CONFIG_CONFIG_H

#include <stdio.h>

#include "config/aggregate.h"
#include "config/schema.h"

struct connector;
struct test_config;

enum when_full { WHEN_FULL_BLOCK, WHEN_FULL_DROP_OLDEST, WHEN_FULL_DROP_NEWEST, WHEN_FULL_DEAD_LETTER };
enum drain { DRAIN_OLDEST_FIRST, DRAIN_LIVE_FIRST };
/* What becomes a null payload at a destination, beside what is one. */
enum tombstones { TOMBSTONES_RECEIVED, TOMBSTONES_CLEARED, TOMBSTONES_EMPTY, TOMBSTONES_EMPTY_OR_NULL };
enum { RETAIN_SKIP = 2 }; /* what comes retained is not forwarded */
enum on_error { ON_ERROR_DEAD_LETTER, ON_ERROR_DROP, ON_ERROR_PASS };

/* connections.<name>.outbox */
struct outbox_config {
	uint64_t max_bytes; /* default 1 GiB */
	int64_t max_messages; /* 0 = no limit */
	int when_full; /* enum when_full */
	uint64_t ttl_ms; /* 0 = none */
	int64_t max_attempts; /* 0 = unlimited */
	uint64_t backoff_min_ms, backoff_max_ms; /* 100 ms, 60 s */
	int64_t window; /* most deliveries in flight; 0 = what the link can hold */
	int64_t lookahead; /* 10,000 */
	uint64_t dead_max_bytes; /* 256 MiB */
	struct {
		int64_t messages;
		uint64_t bytes;
	} max_rate; /* a second; 0 = no limit */
	int drain; /* enum drain */
};

struct connection_config {
	char *name;
	const struct connector *connector;
	void *settings; /* the connector's struct */
	int delivery; /* enum guarantee declared, or -1 */
	struct outbox_config outbox;
	struct {
		int64_t max_entries;
		uint64_t max_bytes;
	} last_values; /* of a connector that keeps them */
	/* Made of a mapping's `aggregate`: the mapping has become two, from its source to this connection and from there to its
	 * targets. The second one's topics and filters are as those of the first one's source. */
	bool is_aggregator;
	size_t aggregates_from;
	const char *file;
	int line, column;
};

/* What becomes of the replies that a destination gives. */
struct reply_config {
	char *topic; /* template; NULL: that which the message asks for */
	size_t connection; /* with a topic: where it is written */
	char *key; /* template */
	int qos; /* -1 = as the message was sent */
	bool retain;
	bool heed_response_topic; /* without a topic: what a message asks for is answered */
	struct config_list response_topics; /* filters of what it may ask for */
};

/* One destination of a mapping. Templates are as written; NULL = not given. */
struct target_config {
	size_t connection; /* index into connections */
	char *target; /* template of the topic or path; NULL = the source topic unchanged */
	char *key;
	char *content_type;
	struct config_list headers; /* name → template */
	struct config_list params; /* the connector's to_keys, name → template */
	int qos; /* -1 = as received */
	int retain; /* -1 = keep, 0 = clear, 1 = set, RETAIN_SKIP */
	int tombstones; /* enum tombstones */
	int format; /* enum format (routing/format.h); -1 = as the payload comes */
	struct reply_config reply;
	const char *file;
	int line, column;
};

struct config_place {
	int line, column; /* 0: it is not there */
};

/* What of a mapping is run or rendered for each message, before its targets are. */
enum mapping_step {
	STEP_WHEN,
	STEP_PAYLOAD,
	STEP_CHANGES_VALUE,
	STEP_CHANGES_WHEN,
	STEP_CHANGES_KEY,
	STEP_SAMPLE_KEY,
	STEP_INTERVAL_KEY,
	STEP_AGGREGATE_VALUE,
	STEP_AGGREGATE_KEY,
	MAPPING_STEPS
};
extern const char *const mapping_steps[]; /* as they are called in a file: "changes_only.key" */

struct mapping_config {
	char *name;
	size_t from_connection;
	struct config_list
		filters; /* `topic:`, one or several, {name} captures allowed; levels end with '/', whatever ends
	                               them at that connection (config_filter_as_written) */
	int from_qos;
	void *from_settings; /* the source connector's from struct */
	char *when; /* jq, NULL = always */
	int from_format; /* enum format (routing/format.h) */
	char *payload; /* jq, NULL = the bytes unchanged */
	char *payload_template; /* NULL = not given; never beside payload */
	int on_error; /* enum on_error */
	int64_t max_outputs;
	int64_t max_hops; /* 0: neither counted nor heeded */
	int delivery; /* enum guarantee declared, or -1 */
	struct target_config *targets;
	size_t n_targets;
	const char *file;
	int line, column;
	struct config_place places[MAPPING_STEPS];
	struct { /* these three: what passes, see runtime/spacing.h; keys are templates, NULL: the source topic */
		bool enabled;
		char *value; /* jq; NULL: the payload */
		char *when; /* jq: which of the changes pass; NULL: all */
		double dead_band; /* for numbers; 0: none */
		char *key;
		uint64_t refresh_ms;
	} changes_only;
	struct {
		int64_t one_in; /* 0: every message passes */
		char *key;
	} sample;
	struct {
		uint64_t every_ms; /* 0: every message passes */
		char *key; /* template; NULL: the source topic */
	} min_interval;
	struct aggregate_config aggregate;
	bool markers;
	int64_t priority; /* 0 to MESSAGE_MAX_PRIORITY */
};

struct config {
	char *data_dir;
	struct {
		uint64_t segment_bytes;
		uint64_t max_bytes; /* of segments in use; 256 MiB */
		uint64_t linger_ms;
		bool strict;
		uint64_t min_free_bytes;
		int64_t max_sequences;
		int64_t max_keys;
	} journal;
	struct {
		int level; /* enum log_level */
	} log;
	uint64_t shutdown_timeout_ms;
	uint64_t max_transform_bytes; /* 1 MiB */
	uint64_t max_message_bytes; /* 32 MiB at most */
	struct connection_config *connections;
	size_t n_connections;
	struct mapping_config *mappings;
	size_t n_mappings;
	struct test_config *tests; /* config/test_config.h */
	size_t n_tests;
	struct jq_pool *programs; /* compiled (routing/jq_pool.h); NULL in a configuration made by hand */
	struct {
		struct config_list listen; /* config/listen.h; empty: no listener */
		bool public;
	} admin;
	size_t n_warnings; /* that loading has written */
	struct report *report; /* the loader's: what is secret, and the files; NULL in a configuration made by hand */
};

/* Reads `path`. 0 with a configuration, or -EINVAL after writing every mistake to `errors` as
 * `file:line:column: what is wrong` + the line + a caret; other errnos (ENOENT …) are written there too. Warnings go
 * there as well and do not fail. The number of mistakes goes to *ret_mistakes if not NULL. */
int config_load(const char *path, FILE *errors, struct config **ret_config, size_t *ret_mistakes)
	__attribute__((warn_unused_result));
void config_free(struct config *config);

/* The data folder that a file names, whatever mistakes it has elsewhere. NULL: none that could be read. The caller frees. */
char *config_data_dir(const char *path) __attribute__((warn_unused_result));
/* What may be a destination, by its name and its type as they stand in the file and in what it includes, whatever mistakes these
 * have: connections, and mappings with aggregate. */
void config_destinations(const char *path, void (*fn)(const char *name, const char *type, void *arg), void *arg);
/* The connection whose topics are meant where a mapping reads from this one: itself, but for an aggregator. */
static inline const struct connection_config *config_topics_of(const struct config *config, size_t connection)
{
	const struct connection_config *conn = &config->connections[connection];
	return conn->is_aggregator ? &config->connections[conn->aggregates_from] : conn;
}

/* A filter of the mapping as it stands in the file. The caller frees. */
char *config_filter_as_written(const struct config *config, const struct mapping_config *map, size_t filter)
	__attribute__((warn_unused_result));

/* `text` with everything that is secret in this configuration (or came from ${env:…} or ${file:…}) replaced by ***: for
 * whoever shows parts of a configuration. The caller frees. */
char *config_redact(const struct config *config, const char *text) __attribute__((warn_unused_result));

/* The line of a file of the configuration with a caret below the column, as mistakes are shown; nothing when the file cannot
 * be read any more. */
void config_show_place(const struct config *config, const char *file, int line, int column, FILE *out);

/* The same tables, written as JSON Schema draft-07 and as the Markdown reference. */
void config_write_schema(FILE *out);
void config_write_reference(FILE *out);

#endif
