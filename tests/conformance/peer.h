/* SPDX-License-Identifier: Apache-2.0
 *
 * What the conformance suite needs to know of a connector's other side: how to begin and end it, how to break it, what
 * has arrived there. One table per kind of peer; a member that is NULL is something that this peer cannot do, and the
 * tests that need it are left out.
 *
 * A test program is: such a table, and
 *     int main(void) { return conformance_main(&peer); }
 */
#ifndef LINKSPAN_TESTS_CONFORMANCE_PEER_H
#define LINKSPAN_TESTS_CONFORMANCE_PEER_H

#include "connectors/connector.h"

struct arrivals {
	struct message **items; /* in the order of arrival; payload is what counts */
	size_t n;
};

struct peer {
	const char *name;
	const struct connector *connector;
	/* NULL: it can be had; else why not, and the program skips. NULL member: always. */
	const char *(*unavailable)(void);
	/* A fresh peer, reachable; nothing has arrived. Ends the program if that fails. */
	void (*begin)(void);
	void (*end)(void);

	/* Settings of the connector for this peer; valid until end. */
	const void *(*settings)(void);
	const void *(*wrong_credentials)(void);

	/* Cuts every connection and refuses new ones, until `find`. */
	void (*lose)(void);
	void (*find)(void);
	/* Is there and does not answer, or only after a time, until `find`. */
	void (*slow)(void);

	/* As a destination. */
	const char *target; /* topic */
	size_t max_payload; /* the largest that it takes */
	uint8_t qos; /* of the deliveries */
	const struct arrivals *(*arrived)(void); /* so far; does not wait; valid until the next call */

	/* As a source. */
	const struct link_subscription *subscription; /* NULL: none */
	const char *ready_event; /* a word of the log: from then on what is published arrives */
	void (*publish)(struct slice payload); /* to what `subscription` matches */
	size_t open_offers; /* most offers without a receipt; 0: more than a test needs */
	bool down_while_paused; /* the link disconnects when it is paused, and connects again when it is resumed */
	bool repeats; /* what was not acknowledged comes again */

	bool sessionless; /* nothing is known of it before the first delivery: the link is up from its start on */

	bool exactly_once; /* both ways: whatever breaks, nothing arrives or is offered twice */
};

int conformance_main(const struct peer *peer);

#endif
