/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests by libcurl's multi interface on the loop: its sockets are polled there, its timer is one of the loop's. Knows
 * nothing of messages. A call is one request and what has come of it; calls are pooled with their handles, buffers and
 * lists of headers, so that a client in steady use allocates nothing of its own. Connections are kept and used again.
 *
 * Names are resolved by libcurl's own threads. Nothing blocks, but reading files of certificates, which the owner does.
 *
 * Threads: the loop's.
 */
#ifndef LINKSPAN_CONNECTORS_HTTP_OUT_CLIENT_H
#define LINKSPAN_CONNECTORS_HTTP_OUT_CLIENT_H

#include <curl/curl.h>
#include <sys/socket.h>

#include "message/buffer.h"
#include "message/slice.h"
#include "runtime/loop.h"

struct http_client;

/* Of a response: what is read of its body, and of all its headers together. More ends the connection. */
#define HTTP_MAX_REPLY_BYTES (1024u * 1024)
#define HTTP_MAX_HEAD_BYTES  (64u * 1024)
/* Of a body that nobody has asked for: enough to say what the receiver has complained of. */
#define HTTP_EXCERPT_BYTES 512u

/* Files of `tls:`, as they were when they were read; absent: the system's authorities, no certificate of ours. */
struct http_client_tls {
	struct slice ca, cert, key; /* PEM */
};

struct http_call {
	/* The request: filled in between http_client_take and http_client_begin, where they are looked at. */
	struct buffer url; /* with a NUL */
	const char *method; /* static */
	bool no_body; /* GET, HEAD, and what else goes without one */
	struct slice body; /* borrowed until the call is given back */
	bool guarded; /* guard_refusal is asked about each address */
	bool roams; /* to places that change: of connections to those not so many are kept */
	bool wants_reply; /* the body of the response is kept */

	/* What has come of it, from on_done on, until the call is given back. */
	CURLcode code;
	long status; /* of the last response; 0: none */
	bool complete; /* the response has come as a whole */
	bool head_ended; /* its last head has */
	bool capped; /* its body was longer than is read */
	bool sent; /* some bytes of the request went out */
	bool tried; /* a connection to an address that may be reached was begun */
	struct buffer reply; /* body; not more than HTTP_EXCERPT_BYTES unless wants_reply */
	char refused
		[128]; /* the address that the guard has refused, and what it is; empty: none, or others were tried too */
	char error[CURL_ERROR_SIZE];

	void *owner; /* the owner's own; NULL when taken */
	struct http_call *next; /* the owner's own, between take and give back; NULL when taken */

	/* Private. */
	struct http_client *client;
	CURL *easy;
	struct http_cache *cache; /* of connections; NULL: all that have none of their own */
	struct buffer lines; /* header lines, each with a NUL */
	size_t *offsets; /* of lines */
	struct curl_slist *nodes;
	size_t n_lines, lines_capacity;
	struct buffer url_set; /* what the handle was last told; empty: nothing */
	CURLU *parsed; /* the same */
	size_t head_bytes, body_bytes;
	const char *method_set; /* what the handle was last told */
	bool no_body_set, active, sent_noted;
	bool tls_due; /* what http_client_set_tls has brought is for its next request */
	struct http_call *link;
};

struct http_client_options {
	struct loop *loop;
	unsigned calls, connections; /* at most */
	uint64_t timeout_ms, connect_timeout_ms;
	bool http2;
	const char *(*refusal)(const struct sockaddr *address, socklen_t len); /* guard_refusal */
	/* A call has ended: what has come of it is the owner's to read, and it is to be given back, or begun once more. May begin
	 * others, and may not free the client. */
	void (*on_done)(struct http_call *call, void *arg);
	void *arg;
};

/* NULL: memory is out. */
struct http_client *http_client_new(const struct http_client_options *options) __attribute__((warn_unused_result));
/* Ends all calls without a word; their connections are closed. Not from inside on_done. NULL is allowed. */
void http_client_free(struct http_client *client);

/* Copies the texts: what begins from now on makes its connections with them. 0, -ENOMEM, or -EINVAL if the library does
 * not take them. */
int http_client_set_tls(struct http_client *client, const struct http_client_tls *tls)
	__attribute__((warn_unused_result));

/* An idle call, empty; NULL: all are in use. */
struct http_call *http_client_take(struct http_client *client);
void http_client_give_back(struct http_call *call);
/* A header of the request. 0, -ENOMEM; -EINVAL: it holds what no header may (RFC 9110 §5.5). */
int http_call_add_header(struct http_call *call, struct slice name, struct slice value)
	__attribute__((warn_unused_result));
void http_call_clear_headers(struct http_call *call);
/* All of that name, lower case as they were added. */
void http_call_drop_header(struct http_call *call, const char *name);
/* A line as libcurl takes it: "Name:" keeps it from making that header. 0 or -ENOMEM. */
int http_call_add_raw(struct http_call *call, const char *line) __attribute__((warn_unused_result));

/* 0, or -ENOMEM or -EINVAL and `error` says why: the call is the owner's as before. The bytes go out with http_client_run. */
int http_client_begin(struct http_call *call) __attribute__((warn_unused_result));
/* Lets the library do what it can now. May be called from inside on_done, where it is put off to its end. */
void http_client_run(struct http_client *client);
/* Ends all calls that have begun, as if they had never been; the owner has them again. Not from inside on_done. */
void http_client_abort(struct http_client *client, void (*fn)(struct http_call *call, void *arg), void *arg);

/* Of the last response: the header's value, absent if it has none, until the call is given back or begun again. */
struct slice http_call_header(const struct http_call *call, const char *name);
/* Its headers one after the other, beginning with *cursor NULL. False: there is no more. */
bool http_call_next_header(
	const struct http_call *call, void **cursor, struct slice *ret_name, struct slice *ret_value);
/* Where a redirect leads, absolute; NULL: nowhere. As long as a header. */
const char *http_call_redirect(const struct http_call *call);

uint64_t http_client_connections(const struct http_client *client); /* made so far */

#endif
