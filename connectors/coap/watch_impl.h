/* SPDX-License-Identifier: Apache-2.0
 *
 * What the two halves of the source share: watch.c, between the host and all resources; watch_ask.c, between one resource and
 * its device. Private to those.
 *
 * A resource: ASKING (a call without an answer yet) → WATCHING (observed) or WAITING (for the timer) → ASKING.
 */
#ifndef LINKSPAN_CONNECTORS_COAP_WATCH_IMPL_H
#define LINKSPAN_CONNECTORS_COAP_WATCH_IMPL_H

#include "connectors/coap/client_impl.h"
#include "connectors/coap/freshness.h"
#include "connectors/coap/watch.h"
#include "message/siphash.h"

#define WATCH_MAX_ETAG 8u

struct watched {
	struct coap_watch *watch;
	const struct link_subscription *subscription;
	const struct coap_from_settings *from;
	struct buffer target; /* path and query, below those of the connection's url */
	struct coap_call call;
	struct loop_timer *timer; /* WAITING: to ask; WATCHING: to register again */
	/* Of the call that is under way. */
	struct freshness freshness;
	bool asks; /* a registration has no answer yet */
	bool observed; /* WATCHING */
	uint64_t asked_ms;
	const char *problem; /* what the answer was, if it was no value; NULL: it was one */
	char problem_text[160];
	uint64_t wait_ms; /* what the device wants us to wait, after a problem; 0: nothing is known */
	/* Of the resource. */
	uint8_t last[SIPHASH_LEN]; /* the value that was offered or held last */
	bool has_last;
	uint8_t etag[WATCH_MAX_ETAG], etag_len; /* of the same */
	unsigned failures; /* in a row */
	bool said_not_observed;
	struct message *held; /* the newest value, which the host could not take; NULL: none */
};

struct coap_watch {
	struct coap_client *client;
	struct watched *resources;
	size_t n;
	bool running; /* between begin and end */
	bool paused, intake_stopped;
	struct {
		uint64_t notifications, polls, registrations, unchanged, reordered, replaced, failures, too_large;
	} counters;
};

/* watch.c: a new value of the resource. */
void watch_take(struct watched *resource, const struct message_view *view);

/* watch_ask.c. */
/* watch, subscription and from are set. 0 or a negative errno; watched_fini is due in any case. */
int watched_init(struct watched *resource) __attribute__((warn_unused_result));
void watched_fini(struct watched *resource);
void watched_begin(struct watched *resource);
void watched_end(struct watched *resource); /* nothing more comes of it until watched_begin */

#endif
