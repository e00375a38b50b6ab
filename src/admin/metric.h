/* SPDX-License-Identifier: Apache-2.0
 *
 * Every figure that /metrics shows, once: its name, type, unit, what it says, and where its value is found in a snapshot.
 * The exposition and the reference page are written from this table. The reference test reads dashboard and alerts
 * against it.
 *
 * Names keep Prometheus' conventions (https://prometheus.io/docs/practices/naming/). Labels are bounded: names of
 * connections, and words of our own.
 */
#ifndef LINKSPAN_ADMIN_METRIC_H
#define LINKSPAN_ADMIN_METRIC_H

#include <stddef.h>
#include <stdio.h>

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM, METRIC_INFO };

enum metric_of { /* what there is one sample of; offsets speak of these structs (snapshot.h) */
	METRIC_ONCE, /* struct snapshot */
	METRIC_CONNECTION, /* struct snapshot_connection, of each that is used */
	METRIC_SOURCE, /* the same, of each source */
	METRIC_DESTINATION,
	METRIC_OUTCOME, /* struct snapshot_connection: of each destination an array, by enum journal_total */
	METRIC_EVENT, /* of each connection and counter of its connector; no offset */
	METRIC_BUILD, /* 1, with the version; no offset */
};

enum metric_value { METRIC_U64, METRIC_SIZE, METRIC_BOOL, METRIC_DOUBLE, METRIC_BUCKETS, METRIC_BUCKETS_AT };

struct metric {
	const char *name; /* as in the text format: a counter's ends in _total */
	const char *help; /* one sentence, without full stop */
	const char *unit; /* seconds, bytes; NULL: a number of things. The name, without _total, ends in it */
	enum metric_type type;
	enum metric_of of;
	enum metric_value
		value; /* the C type there: BUCKETS is a struct histogram, BUCKETS_AT a pointer to one; a DOUBLE that
				    is NAN is not known and left out */
	size_t offset;
};

extern const struct metric metrics[]; /* ended by one without a name */

const char *metric_type_name(const struct metric *metric);

/* The table as a part of the reference page, in Markdown. */
void metrics_write_reference(FILE *out);

#endif
