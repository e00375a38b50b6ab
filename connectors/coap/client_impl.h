/* SPDX-License-Identifier: Apache-2.0
 *
 * What the parts of a client share: client.c, its life and state; out.c, deliveries; watch.c, resources that are watched. Private
 * to those.
 *
 * IDLE → UP ⇄ WAITING (the device of the connection does not let us in); any → STOPPED.
 */
#ifndef LINKSPAN_CONNECTORS_COAP_CLIENT_IMPL_H
#define LINKSPAN_CONNECTORS_COAP_CLIENT_IMPL_H

#include "connectors/coap/out_peer.h"
#include "connectors/connector.h"

struct coap_out;
struct coap_watch;

enum coap_client_state { COAP_CLIENT_IDLE, COAP_CLIENT_UP, COAP_CLIENT_WAITING, COAP_CLIENT_STOPPED };

struct coap_client {
	bool listens; /* first, false */
	struct link_host *host;
	struct loop *loop;
	const char *name;
	const struct coap_settings *settings;
	struct coap_url own; /* that of the connection */
	enum coap_client_state state;
	bool stopping;
	unsigned refusals; /* of the link, in a row */
	bool was_welcome; /* the device has once let us in */
	unsigned refused_requests; /* in a row */
	struct coap_peers *peers;
	struct coap_out *out; /* NULL: nothing is written */
	struct coap_watch *watch; /* NULL: nothing is read */
	struct loop_timer *timer; /* WAITING */
	struct loop_job stop_job;
};

/* The device of the connection does not let us in: alarm, and the link goes down for a while. All calls of out and watch are
 * cancelled from inside. Does nothing unless it is up. */
void coap_client_refused(struct coap_client *client, const char *reason);
/* The device has answered 4.01 or 4.03. True: it lets us do other things, so this is about the request; an alarm was raised. */
bool coap_client_refuses_request(struct coap_client *client, const char *reason);
/* It has let us in. */
void coap_client_welcome(struct coap_client *client);

#endif
