/* SPDX-License-Identifier: Apache-2.0
 *
 * Resources that are watched: the source's part of a client. Observations (RFC 7641) and polls are calls like any others
 * (out_peer.h), over the same sessions.
 *
 * Threads: the loop's.
 */
#ifndef LINKSPAN_CONNECTORS_COAP_WATCH_H
#define LINKSPAN_CONNECTORS_COAP_WATCH_H

#include "connectors/connector.h"

struct coap_client; /* client_impl.h */
struct coap_watch;

/* One watch for each subscription of the link. NULL: memory is out. */
struct coap_watch *coap_watch_new(struct coap_client *client, const struct link_spec *spec)
	__attribute__((warn_unused_result));
/* Before the client's peers. NULL is allowed. */
void coap_watch_free(struct coap_watch *watch);

/* The link is up: begins to observe and to poll. From inside start, or a timer. */
void coap_watch_begin(struct coap_watch *watch);
/* The link goes down, or stops: all calls are cancelled. Receipts of what was offered may still come. */
void coap_watch_end(struct coap_watch *watch);

/* The members of struct connector of these names. */
void coap_watch_pause(struct coap_watch *watch);
void coap_watch_resume(struct coap_watch *watch);
void coap_watch_receipt(struct coap_watch *watch, uint64_t cookie, enum receipt receipt);
void coap_watch_receipts_end(struct coap_watch *watch);
void coap_watch_stop_intake(struct coap_watch *watch);
void coap_watch_counters(
	const struct coap_watch *watch, void (*fn)(const char *name, uint64_t value, void *arg), void *arg);

#endif
