/* SPDX-License-Identifier: Apache-2.0
 *
 * A whole linkspan in simulated time: the real router, journal and couriers of one configuration, on a disk in memory, with
 * peers in place of connectors (peer.h). Time stands still until simulation_wait; everything that has nothing to wait for
 * happens at once. The same steps give the same result each time, to the byte.
 *
 * Threads: the caller's alone, and one simulation at a time. Nothing outside of its memory is touched.
 */
#ifndef LINKSPAN_SIMULATION_SIMULATION_H
#define LINKSPAN_SIMULATION_SIMULATION_H

#include "config/config.h"
#include "config/test_config.h"
#include "message/message.h"

#define SIMULATION_BEGINS_MS UINT64_C(1767225600000) /* 2026-01-01 00:00:00 UTC */
/* simulation_settle waits so long for what waits. */
#define SIMULATION_PATIENCE_MS (UINT64_C(40) * 24 * 3600 * 1000)

struct simulation;

/* What has become of a message at a destination, in the order in which it did. */
struct simulation_event {
	size_t connection; /* of the configuration */
	enum test_outcome outcome;
	struct message *msg; /* NULL: nobody knows any more what it held */
	char *reason; /* of a dead letter; else NULL */
};

/* Only the mapping of that name takes part; NULL: all do. config: borrowed. 0 or a negative errno; what linkspan logged of it
 * is in *ret_why (the caller frees). */
int simulation_open(const struct config *config, const char *mapping, struct simulation **ret_simulation,
	char **ret_why) __attribute__((warn_unused_result));
void simulation_close(struct simulation *simulation); /* NULL is allowed */

/* Each goes on until there is nothing more to do at this time. 0 or a negative errno (-ENOMEM; what bridge_open says). */
int simulation_give(struct simulation *simulation, const struct test_given *given) __attribute__((warn_unused_result));
int simulation_answer(struct simulation *simulation, const struct test_answers *answers)
	__attribute__((warn_unused_result));
void simulation_link(struct simulation *simulation, size_t connection, bool up);
void simulation_wait(struct simulation *simulation, uint64_t ms);
/* The process dies without a word, and another begins on the same disk. */
int simulation_restart(struct simulation *simulation) __attribute__((warn_unused_result));

/* Lets time pass until nothing waits any more but for what is down, or will not be answered. False: something still does after
 * SIMULATION_PATIENCE_MS; *ret_what says what (the caller frees). */
bool simulation_settle(struct simulation *simulation, char **ret_what) __attribute__((warn_unused_result));

/* What has happened since simulation_forget; borrowed until the next call. */
const struct simulation_event *simulation_events(const struct simulation *simulation, size_t *ret_n);
void simulation_forget(struct simulation *simulation);
/* Messages that linkspan has refused since then, in words; NULL: none. Borrowed. */
const char *simulation_refused(const struct simulation *simulation);

#endif
