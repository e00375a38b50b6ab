/* SPDX-License-Identifier: Apache-2.0
 *
 * The hop count: a header that counts how often linkspans have passed a message on, so that a loop that nobody sees in
 * one configuration ends. Pure functions on views; any thread.
 */
#ifndef LINKSPAN_ROUTING_HOPS_H
#define LINKSPAN_ROUTING_HOPS_H

#include "message/message.h"
#include "routing/arena.h"

#define HOPS_HEADER "linkspan-hops" /* decimal digits */

/* How often it has been passed on: the highest that a header of that name says, 0 without one. What is no number counts
 * as 0. */
unsigned hops_received(const struct message_view *view);

/* Sets the header, in place of all of that name. Left out where it would be one header too many. The view's headers are
 * then in the arena. -ENOMEM. */
int hops_write(struct message_view *view, unsigned hops, struct arena *arena) __attribute__((warn_unused_result));

#endif
