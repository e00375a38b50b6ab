/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside of `linkspan trace`: what is asked, and who says it.
 */
#ifndef LINKSPAN_CLI_TRACE_H
#define LINKSPAN_CLI_TRACE_H

#include <stdio.h>

#include "cli/joined.h"
#include "config/config.h"
#include "message/message.h"
#include "routing/router.h"

struct trace {
	struct route_watcher watcher; /* first */
	const struct config *config;
	struct joined joined; /* the same, for what is said of ways as a whole */
	size_t connection; /* that has received it */
	const struct message_view *view;
	bool all; /* mappings that do not match, too */
	FILE *out;
	int width;
	size_t next; /* the first mapping that has not been shown */
	bool program_failed; /* of the mapping that is being shown */
	size_t n_matched, n_out, n_windows, n_dead;
};

/* Joins what follows; then the message, and then what the router tells; at the end what did not match, and the sum. */
void trace_begin(struct trace *trace);
void trace_end(struct trace *trace, const struct route_result *result);
void trace_free(struct trace *trace);

/* linkspan trace --live: what passes a running daemon. */
struct trace_live {
	const char *path; /* a configuration, or a data folder */
	const char *filter;
	unsigned long count; /* ends after so many messages; 0: never */
	bool json; /* the lines of the protocol as they are */
};
/* The exit status. */
int trace_live(const struct trace_live *live);

#endif
