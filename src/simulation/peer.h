/* SPDX-License-Identifier: Apache-2.0
 *
 * What stands at the other end of a connection in a simulation: a link that offers what it is given and answers deliveries as
 * it is told, in place of the connector's own. Keys, defaults, checks and the rendering of targets stay the connector's, so a
 * topic, path or key means what it means outside. Nothing of a network is touched.
 *
 * A peer outlives its link: what is not taken yet, and the answers that are left, are there after a restart.
 *
 * Threads: the loop only, and one simulation at a time: a connector's table of functions has no place for whose it is.
 */
#ifndef LINKSPAN_SIMULATION_PEER_H
#define LINKSPAN_SIMULATION_PEER_H

#include "config/config.h"
#include "config/test_config.h"
#include "connectors/connector.h"

struct peers;

struct peers_options {
	/* A message has arrived at that connection; the receiver takes a reference. */
	void (*on_arrival)(void *ctx, size_t connection, struct message *msg);
	/* A message was given that linkspan refuses. */
	void (*on_refused)(void *ctx, size_t connection, const struct message_view *view);
	void *ctx;
};

/* One for each connection; its `connector` is exchanged for one whose links are the peer's, but for aggregators. The
 * connections must stay where they are. NULL: no memory. */
struct peers *peers_new(struct connection_config *connections, size_t n, const struct peers_options *options)
	__attribute__((warn_unused_result));
void peers_free(struct peers *peers); /* when no link is left; NULL is allowed */

/* The connection goes down, or can be reached again. */
void peer_set_up(struct peers *peers, size_t connection, bool up);
bool peer_is_up(const struct peers *peers, size_t connection);
/* A message comes in there, as soon as the link is up and everything before it has been taken. -ENOMEM. */
int peer_give(struct peers *peers, size_t connection, const struct message_view *view)
	__attribute__((warn_unused_result));
size_t peer_holds(const struct peers *peers, size_t connection); /* messages that have not been taken */
/* So the next attempts are answered, after those that were named before; then everything is delivered. -ENOMEM. */
int peer_answer(struct peers *peers, size_t connection, const enum test_answer *answers, size_t n)
	__attribute__((warn_unused_result));
/* Deliveries that will not be answered. */
size_t peer_unanswered(const struct peers *peers, size_t connection);
/* From now on nothing is offered, answered or told of: the process that the links belong to is dead. Until peers_revive. */
void peers_leave(struct peers *peers);
void peers_revive(struct peers *peers);

#endif
