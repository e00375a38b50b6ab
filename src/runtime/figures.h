/* SPDX-License-Identifier: Apache-2.0
 *
 * What the bridge knows of itself, for whoever shows it: one struct per connection, and whether all is well. Only reads.
 *
 * Threads: the loop only. None of it blocks. Pointers live until bridge_close.
 */
#ifndef LINKSPAN_RUNTIME_FIGURES_H
#define LINKSPAN_RUNTIME_FIGURES_H

#include "delivery/courier.h"
#include "journal/journal.h"
#include "runtime/bridge.h"

struct source_figures {
	uint64_t taken, unmatched, looped, refused, pauses;
	bool paused;
	size_t unacknowledged;
	const struct histogram *acknowledgement; /* us from the offer to its receipt */
	uint64_t unnumbered; /* with markers, but without a number */
	uint64_t dropped; /* by on_error: drop */
	uint64_t rounded; /* by jq, of its integers; once for each mapping */
	uint64_t left_out, unlimited; /* by the rules over time; passed for want of room for their keys */
};

struct destination_figures {
	struct courier_stats courier;
	struct journal_outbox outbox;
	uint64_t limit_bytes; /* outbox.max_bytes */
	/* Since the start. (The outbox's own totals outlive the process, and may be a little lower after a crash than they were
	 * shown before it, which whoever computes rates would take for a counter that began anew.) */
	uint64_t offered, finished[JOURNAL_N_TOTALS];
	const struct histogram *delivery; /* us from durable to delivered */
	uint64_t overflow_bytes; /* on disk, beside the journal */
	uint64_t limit_messages; /* outbox.max_messages; 0: none */
	struct journal_values_stats values; /* last ones */
	uint64_t values_too_large;
	uint64_t replies, replies_dropped; /* of what was delivered there: appended for who asked, or not */
};

struct connection_figures {
	const char *name, *type;
	bool used; /* some mapping reads from it or writes to it */
	bool link_is_up;
	uint64_t link_downs;
	bool is_source, is_destination;
	struct source_figures source; /* with is_source */
	struct destination_figures destination; /* with is_destination */
};

size_t bridge_connections(const struct bridge *bridge); /* how many */
struct connection_figures bridge_connection(const struct bridge *bridge, size_t index);
/* What only the connector can count, by names of the field. */
void bridge_connection_counters(
	const struct bridge *bridge, size_t index, void (*fn)(const char *name, uint64_t value, void *arg), void *arg);

struct journal_figures {
	struct journal_stats stats;
	uint64_t appended_lsn, durable_lsn;
	uint64_t keys, key_limit;
};
struct journal_figures bridge_journal(const struct bridge *bridge);

/* NULL: it lives; else a line that says why not: the journal has failed, and nothing more will become durable. */
const char *bridge_why_unhealthy(const struct bridge *bridge);
/* NULL: what is offered is taken and made durable; else why not: not started yet, stopping, the disk is full. */
const char *bridge_why_unready(const struct bridge *bridge);

#endif
