/* SPDX-License-Identifier: Apache-2.0
 *
 * What the parts of a sender share: out.c, its life and state; out_send.c, deliveries on their way and what becomes of them.
 * Private to those two.
 *
 * IDLE → UP → DRAINING (nothing more is sent, what is under way ends) → WAITING (down, for a time or for a token) → UP;
 * DRAINING → GONE (down until the settings change); IDLE → WAITING, GONE; any → STOPPED.
 */
#ifndef LINKSPAN_CONNECTORS_HTTP_OUT_IMPL_H
#define LINKSPAN_CONNECTORS_HTTP_OUT_IMPL_H

#include "connectors/connector.h"
#include "connectors/http/auth_out.h"
#include "connectors/http/out_breaker.h"
#include "connectors/http/out_client.h"
#include "connectors/http/out_gone.h"
#include "connectors/http/out_request.h"
#include "connectors/http/settings.h"
#include "routing/arena.h"

enum http_out_state {
	HTTP_OUT_IDLE,
	HTTP_OUT_UP,
	HTTP_OUT_DRAINING,
	HTTP_OUT_WAITING,
	HTTP_OUT_GONE,
	HTTP_OUT_STOPPED
};

/* One request on its way, and what it carries. */
struct http_flight {
	struct http_out *out;
	struct http_call *call; /* NULL: it gathers, or is idle */
	struct http_member *members;
	size_t n, capacity;
	uint64_t batch_first, batch_last;
	struct buffer body; /* if it is made */
	unsigned redirects;
	bool elsewhere; /* its URL is the message's */
	struct http_flight *next; /* idle */
};

struct http_out {
	bool listens; /* first, false */
	struct link_host *host;
	struct loop *loop;
	const char *name;
	const struct http_settings *settings;
	enum http_out_state state;
	bool stopping;
	bool refused; /* DRAINING, WAITING: it did not let us in */
	bool renewing; /* the same, and auth has been told to bring another token */
	bool renewed; /* DRAINING: auth has news */
	bool gone; /* DRAINING: to GONE */
	bool for_token; /* WAITING: until auth has one */
	const uint8_t *uuid; /* of the destination; NULL: none is known */
	struct http_client *client;
	struct auth_out *auth;
	struct http_maker maker;
	struct arena arena; /* for one call */
	struct http_breaker breaker;
	struct loop_timer *timer; /* WAITING */
	struct loop_job stop_job;
	struct http_flight *flights; /* n_flights of them */
	size_t n_flights, n_under_way;
	struct http_flight *idle;
	struct http_flight *gathering; /* a batch that is not complete; NULL: none */
	char why[400]; /* DRAINING: what link_down will say */
	struct {
		uint64_t requests, redirects, batches, refused_5xx, refused_4xx, failed, breaker_opened;
	} counters;
};

/* Nothing more is sent; once nothing is under way the link goes down and waits as the breaker says. tell: the host does not
 * know yet, by an outcome, that nothing shall be sent. */
void http_out_drain(struct http_out *out, bool tell, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* A flight has ended: the link goes down if it was the last one that was waited for. */
void http_out_landed(struct http_out *out);
/* The receiver has answered 410. */
void http_out_note_gone(struct http_out *out);
/* Deliveries that the host may have under way. */
uint32_t http_out_window(const struct http_out *out);

void http_out_on_done(struct http_call *call, void *arg); /* struct http_client_options */
/* Ends all flights without an outcome. */
void http_out_forget(struct http_out *out);

#endif
