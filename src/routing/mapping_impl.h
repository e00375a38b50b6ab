/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside of a mapping: mapping_compile.c makes it of the configuration, mapping.c routes messages by it.
 */
#ifndef LINKSPAN_ROUTING_MAPPING_IMPL_H
#define LINKSPAN_ROUTING_MAPPING_IMPL_H

#include "routing/mapping.h"
#include "routing/reply.h"
#include "routing/template.h"

struct field {
	struct slice name;
	struct template *value;
};

/* What the configuration says is copied: routing reads no more memory than it must. */
struct target {
	size_t connection;
	const struct connector *connector;
	const void *settings; /* of the connection */
	int qos, retain; /* as struct target_config */
	int format; /* enum format; -1: not given */
	bool may_return, counts_hops; /* what is sent there may come back, and may say how often it did */
	bool marked;
	bool fits_headers;
	bool carries_null;
	int tombstones; /* as struct target_config */
	bool speaks_of_made; /* some template speaks of the payload that goes out */
	struct template *topic, *key, *content_type; /* NULL: not given */
	struct field *headers, *params;
	size_t n_headers, n_params;
	struct reply *reply; /* NULL: nobody wants what comes back */
};

struct mapping {
	const struct mapping_config *config;
	size_t number;
	enum format format; /* in which the payload is read */
	struct transform *when, *payload; /* NULL: not given */
	struct template *text; /* payload_template; NULL: not given */
	struct target *targets;
	size_t n_targets;
	size_t max_outputs;
	bool has_rules; /* changes_only, sample or min_interval */
	struct template *changes_key, *sample_key, *interval_key; /* of these; NULL: the source topic */
	struct transform *value; /* of changes_only; NULL: the payload */
	struct transform *change_when; /* of changes_only; NULL: every change passes */
	unsigned aggregate_bits; /* `aggregate`: its results; 0: none. The only target is the aggregator */
	struct template *aggregate_key; /* NULL: the source topic */
	struct transform *aggregate_value; /* NULL: the payload */
	int on_error; /* enum on_error */
	int8_t priority; /* as struct message_view */
	bool told_rounded; /* logged once */
};

#endif
