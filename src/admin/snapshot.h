/* SPDX-License-Identifier: Apache-2.0
 *
 * All that is shown at one moment, as plain numbers. Taken and read on the loop.
 */
#ifndef LINKSPAN_ADMIN_SNAPSHOT_H
#define LINKSPAN_ADMIN_SNAPSHOT_H

#include "admin/process.h"
#include "runtime/figures.h"

struct snapshot_connection {
	struct connection_figures figures;
	double oldest_age_s; /* NAN: not known */
};

struct snapshot {
	struct process_figures process;
	struct journal_figures journal;
	uint64_t not_durable; /* frames */
	bool ready, journal_failed;
	const struct histogram *turns;
	uint64_t slow_turns;
	double disk_free, disk_size; /* bytes; NAN: not known */
	uint64_t disk_written, disk_written_last_day; /* bytes */
	const struct bridge *bridge; /* for what cannot be copied: its connectors' counters */
	struct snapshot_connection *connections;
	size_t n_connections;
};

#endif
