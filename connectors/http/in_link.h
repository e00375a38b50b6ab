/* SPDX-License-Identifier: Apache-2.0
 *
 * A listener and its requests, from the inside (in.c, in_request.c, in_values.c).
 *
 * A request moves BEGUN → (CHECKING) → BODY or DRAIN → (HELD) → OFFERED → READY → ANSWERED; with DRAIN its answer is known, and
 * what still comes of its body is dropped. CHECKING, HELD and OFFERED are suspended, and one of the link's lists holds them.
 */
#ifndef LINKSPAN_CONNECTORS_HTTP_IN_LINK_H
#define LINKSPAN_CONNECTORS_HTTP_IN_LINK_H

#include "connectors/connector.h"
#include "connectors/http/auth_in.h"
#include "connectors/http/header_names.h"
#include "connectors/http/idempotency.h"
#include "connectors/http/in_answer.h"
#include "connectors/http/in_head.h"
#include "connectors/http/in_server.h"
#include "connectors/http/settings.h"
#include "message/buffer.h"
#include "message/siphash.h"
#include "routing/arena.h"

enum in_state { IN_BEGUN, IN_CHECKING, IN_TAKING, IN_DRAIN, IN_WAITS_FOR_ROOM, IN_OFFERED, IN_READY, IN_ANSWERED };
enum in_method { IN_METHOD_OTHER, IN_METHOD_READ, IN_METHOD_WRITE, IN_METHOD_OPTIONS };

struct in_link;

struct in_request {
	struct in_link *link;
	struct MHD_Connection *connection;
	struct in_peer *peer;
	enum in_state state;
	struct in_request *prev, *next; /* of a list of the link */
	const char *target_at; /* where libmicrohttpd has it, only to compare */
	struct slice target; /* a copy, behind this struct */
	struct slice path, query; /* the path is decoded, behind it */
	enum in_method method;
	bool split;
	struct in_head head;
	struct buffer body;
	uint64_t dropped; /* bytes of the body */
	struct auth_in_check *check; /* NULL: not under way */
	const char *identity;
	bool is_signed; /* a signature of its body says who it is, or has not */
	bool has_key;
	uint8_t scope[LINK_KEY_LEN];
	uint64_t hash;
	char id[IDEMPOTENCY_IN_SIZE];
	uint64_t since_ms; /* HELD */
	struct in_answer answer;
};

struct in_list {
	struct in_request *first, *last;
	size_t n;
};

struct in_counters {
	uint64_t requests, accepted, repeated, refused, busy, denied, values;
};

struct in_link {
	bool listens; /* first: http.c */
	struct link_spec spec;
	const struct http_settings *settings;
	struct link_host *host;
	struct in_server *server;
	struct auth_in *auth;
	struct loop_timer *timer; /* listens again, or ends the linger */
	uint64_t retry_ms;
	struct loop_job stopped_job;
	struct loop_job offer_job; /* more of those that are held */
	struct in_list checking, held, offered;
	size_t buffered; /* bytes of bodies */
	struct arena arena; /* scratch of an offer */
	uint8_t id_key[SIPHASH_KEY_LEN]; /* random: ids of requests without a key are hashes of their number */
	uint64_t n_ids;
	bool listening, paused, closing, stopping;
	struct in_counters counters;
};

/* in_request.c */
void *in_request_begin(void *link, struct MHD_Connection *connection, const char *target);
enum MHD_Result in_request_handle(void *link, struct MHD_Connection *connection, const char *url, const char *method,
	const char *version, const char *body, size_t *body_len, void **request);
void in_request_end(void *link, void *request);
size_t in_request_write_answer(void *link, void *request, char *out, size_t size);
/* A suspended request is answered with this, of which the id or the sentence is borrowed for the link's life. */
void in_request_answer(struct in_request *request, struct in_answer answer);
/* Requests that wait for room are offered, until one has to wait again; so many in a turn of the loop, the others in the
 * next ones. */
void in_request_offer_held(void *link);
/* Those that have waited too long, or all of them, are answered with 503. */
void in_request_give_up(struct in_link *link, bool all);

/* in_values.c: a GET or HEAD, whose path is one. */
struct message *in_values_find(struct in_link *link, struct slice path);
enum MHD_Result in_values_send(struct in_request *request);

#endif
