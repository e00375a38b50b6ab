/* SPDX-License-Identifier: Apache-2.0
 *
 * From one message, or the members of a batch, to a request: method, URL, headers, body. What is the same at each attempt
 * is made of the stored messages and the settings alone: the ids and the bytes of the body. What is of the attempt is the
 * time of its signature, and what it shows of us.
 *
 * Threads: the loop's. No I/O.
 */
#ifndef LINKSPAN_CONNECTORS_HTTP_OUT_REQUEST_H
#define LINKSPAN_CONNECTORS_HTTP_OUT_REQUEST_H

#include "connectors/connector.h"
#include "connectors/http/out_client.h"
#include "connectors/http/settings.h"

struct signer;

/* Keys under `to:`. */
#define HTTP_PARAM_METHOD "method"
#define HTTP_PARAM_URL    "url"

struct http_member {
	uint64_t seq;
	struct message *msg;
	int64_t shift_ms; /* as in struct delivery */
};

/* What goes into one request. */
struct http_load {
	const uint8_t *destination_uuid;
	const struct http_member *members;
	size_t n;
	uint64_t batch_first, batch_last; /* 0: no batch, and one member */
};

/* What all requests of a link share. */
struct http_maker {
	const char *name; /* of the connection */
	const struct http_settings *settings;
	struct signer *signer; /* NULL: not signed */
	struct arena *arena; /* for the time of one call */
};

/* Of the attempt. */
struct http_attempt {
	uint64_t wall_ms; /* loop_wall_ms */
	uint64_t clock_ms; /* loop_clock_ms: what a receiver compares its own clock with */
	const char *authorization; /* NULL: none */
};

/* Fills in the call. body: for a body that is made, borrowed as long as the call is in use; any other is borrowed of the
 * message. 0; -EINVAL: it can never be sent, and *ret_reason says why (as long as the arena); -ENOMEM. */
int http_request_make(const struct http_maker *maker, const struct http_load *load, const struct http_attempt *attempt,
	struct buffer *body, struct http_call *call, const char **ret_reason) __attribute__((warn_unused_result));

/* Does the URL come from the message, so that its answer says nothing of the destination? */
bool http_request_is_elsewhere(const struct message_view *view);
/* Do both lead to the same scheme, host and port? */
bool http_same_origin(const char *url, const char *other);
/* What of a URL may be told in a log: its scheme with ://, and host, port and path; not who logs in there, nor its query. */
struct slice http_url_place(const char *url, struct slice *ret_scheme);
/* Turns the call, which has been answered with a redirect, to where that leads. status: of the answer. 0; -EINVAL: it must
 * not go there, *ret_reason is a static sentence; -ENOMEM. */
int http_request_redirect(const struct http_maker *maker, const char *url, long status, struct http_call *call,
	const char **ret_reason) __attribute__((warn_unused_result));

/* As struct connector, same_batch. */
bool http_same_batch(const void *settings, const struct message_view *first, const struct message_view *next);

#endif
