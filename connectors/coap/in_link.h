/* SPDX-License-Identifier: Apache-2.0
 *
 * A listener from the inside: its link, its peers and the requests that have no answer yet (in.c, in_*.c).
 *
 * A request is answered at once, or it becomes a struct coap_in_request:
 *     WAITS_FOR_PEER (its address has to be validated first; if it was sent to a group, not before a random time) → processed again
 *     WAITS_FOR_ROOM (when_full: block) → OFFERED → answered by its receipt
 * What waits is kept as the bytes that came, and processed again from them. Whatever state it is in, a confirmable one that
 * has no answer within a second is acknowledged, and its response is separate (RFC 7252 §5.2.2).
 *
 * Threads: the loop's.
 */
#ifndef LINKSPAN_CONNECTORS_COAP_IN_LINK_H
#define LINKSPAN_CONNECTORS_COAP_IN_LINK_H

#include "connectors/common/allowed_paths.h"
#include "connectors/connector.h"
#include "connectors/coap/coap_loop.h"
#include "connectors/coap/dedupe.h"
#include "connectors/coap/in_head.h"
#include "connectors/coap/in_hello.h"
#include "connectors/coap/in_security.h"
#include "connectors/coap/key_shares.h"
#include "connectors/coap/ping.h"
#include "connectors/coap/rate.h"
#include "connectors/coap/reassembly.h"
#include "connectors/coap/settings.h"
#include "message/buffer.h"
#include "routing/topic_index.h"

#define COAP_IN_TOKEN_MAX     8u
#define COAP_IN_ADDRESS_MAX   24u /* family, address, scope, port; or a number */
#define COAP_IN_RETRY_AFTER_S 2u /* Max-Age of 5.03 */

struct coap_in_link;
struct coap_in_peer;
struct coap_in_observer;

/* What an answer has to know of its request. */
struct coap_in_exchange {
	struct coap_in_peer *peer;
	uint16_t mid;
	uint8_t type; /* COAP_MESSAGE_CON or _NON */
	uint8_t token_len;
	uint8_t token[COAP_IN_TOKEN_MAX];
	uint8_t no_response; /* of which classes it wants none, RFC 7967 */
	bool acked; /* an empty acknowledgement has gone out */
	bool to_group; /* what is no answer to it is not said */
	uint64_t set_aside; /* bytes for its answer: counted as sent, also if none goes out in the end */
	uint64_t not_before_ms; /* while it waits for its peer: nothing is sent until then; 0: at once */
	bool has_block1;
	uint32_t block1; /* to be repeated */
};

/* What a request is answered with, but for values. */
struct coap_in_answer {
	uint8_t code;
	const char *text; /* the diagnostic payload; NULL: none */
	uint32_t max_age_s; /* 0: left out */
	uint64_t size1; /* 0: left out */
};

enum coap_in_state { COAP_IN_WAITS_FOR_PEER, COAP_IN_WAITS_FOR_ROOM, COAP_IN_OFFERED };

struct coap_in_request {
	struct coap_in_exchange exchange;
	enum coap_in_state state;
	uint8_t success; /* the code to answer with */
	uint8_t qos;
	bool is_keyed; /* in the table of the link by `key` */
	bool is_entered; /* in link->dedupe */
	bool is_unacked; /* in that list */
	struct coap_in_request *prev, *next; /* of the list of its state */
	struct coap_in_request *prev_unacked, *next_unacked;
	struct coap_in_request *next_keyed;
	uint8_t key[LINK_KEY_LEN]; /* of peer and message id */
	uint64_t hash; /* of its bytes */
	uint64_t since_ms;
	bool has_body; /* that has come block by block */
	struct buffer body;
	size_t raw_len;
	uint8_t raw[]; /* while it waits: header, token, options, payload */
};

struct coap_in_list {
	struct coap_in_request *first, *last;
	size_t n;
};

/* One session of libcoap: an address and port, or a connection. */
struct coap_in_peer {
	struct coap_in_link *link;
	struct coap_in_peer *prev, *next; /* all of the link */
	coap_session_t *session;
	coap_proto_t proto;
	uint64_t number; /* never given twice */
	uint8_t address[COAP_IN_ADDRESS_MAX];
	size_t address_len, host_len; /* with and without the port */
	struct coap_in_names names; /* of who it is; n == 0: nobody in particular */
	bool names_known;
	bool validated; /* somebody is there: it has answered */
	bool is_pinged;
	struct ping ping; /* over UDP and DTLS */
	uint64_t received, sent; /* bytes, until it is validated; over TCP sent since it was last heard of */
	struct coap_in_hello hello; /* that comes to its session (DTLS) */
	bool is_challenged; /* it has been asked for a sign of life because of one */
	uint64_t heard_ms, pinged_ms;
	uint64_t failing_ms; /* since when nothing can be sent to it; 0: it can */
	struct coap_in_list waiting; /* WAITS_FOR_PEER */
	struct coap_in_observer *observers;
	size_t n_observers;
	unsigned unsettled; /* notifications sent since it was last heard of */
	uint64_t notified_ms;
};

struct coap_in_counters {
	uint64_t requests, accepted, repeated, replaced, refused, denied, busy, values, notifications, pings;
};

struct coap_in_observe; /* in_observe.c */

struct coap_in_list_cache { /* in_core.c: the list that was made last */
	struct buffer text;
	uint64_t key; /* of who asked for what */
	uint64_t made_ms;
	bool is_made, is_stale; /* stale: a value has come since */
};

struct coap_in_etag { /* in_values.c */
	struct message *msg; /* NULL: none is known */
	uint8_t etag[8];
};

struct coap_in_link {
	bool listens; /* first: coap.c */
	struct link_spec spec;
	const struct coap_settings *settings;
	struct link_host *host;
	struct coap_loop *datagrams, *streams; /* NULL: no such address */
	struct coap_in_security *security; /* NULL: none */
	struct allowed_paths *allowed;
	struct topic_index *filters; /* those of spec.subscriptions */
	struct dedupe *dedupe; /* what was taken and is not in the journal */
	struct dedupe *refusals;
	struct key_shares *keys; /* whose those are that are in the journal */
	struct reassembly *bodies;
	struct rate *rate; /* NULL: no limit */
	struct coap_in_observe *observe;
	struct coap_in_peer *peers;
	size_t n_peers, n_streams;
	uint64_t last_number;
	uint8_t name_hash[16];
	struct coap_in_list held, offered; /* WAITS_FOR_ROOM, OFFERED */
	size_t n_waiting_for_peers;
	struct coap_in_request *first_unacked, *last_unacked;
	struct coap_in_request **keyed; /* by key */
	size_t n_buckets; /* a power of two */
	size_t waiting_bytes; /* of what waits */
	struct buffer topic, query; /* scratch */
	struct coap_in_list_cache core;
	struct coap_in_etag etag;
	struct loop_timer *ack_timer, *ticker, *timer; /* timer: listens again, or ends the linger */
	uint64_t retry_ms;
	struct loop_job stopped_job;
	uint64_t linger_ms;
	bool listening, paused, closing, stopping, stopped;
	struct coap_in_counters counters;
};

/* --- in_server.c ------------------------------------------------------------------------------------------------------ */

/* Listens at all addresses or at none. 0 or a negative errno, which has been logged. */
int coap_in_server_open(struct coap_in_link *link) __attribute__((warn_unused_result));
/* Everything of libcoap's; nothing may hold a session. */
void coap_in_server_close(struct coap_in_link *link);

/* --- in_group.c -------------------------------------------------------------------------------------------------------- */

/* Takes a request to a group. response: libcoap's own, which goes out after a random time. */
void coap_in_group_take(
	struct coap_in_link *link, coap_session_t *session, const coap_pdu_t *pdu, coap_pdu_t *response);

/* --- in_peer.c --------------------------------------------------------------------------------------------------------- */

/* Of a session, made when it is first asked for. NULL: no memory. */
struct coap_in_peer *coap_in_peer_of(struct coap_in_link *link, coap_session_t *session);
void coap_in_peer_free(struct coap_in_peer *peer); /* its session ends, or all do */
/* Whether something can be sent to it: its session is there, and not closed. */
bool coap_in_peer_is_up(const struct coap_in_peer *peer);
/* What an address that is not validated may get for that many bytes: three times as many (RFC 7252 §11.3). */
uint64_t coap_in_peer_allowance(uint64_t received);
/* May that many bytes more be sent to it, though nobody knows whether its address is its own? */
bool coap_in_peer_may_get(const struct coap_in_peer *peer, size_t bytes);
/* Whose share of common room its requests take: its host's; all that nobody has validated have one together. */
struct slice coap_in_peer_holder(const struct coap_in_peer *peer);
/* It has found no room in its share: once it is validated, it has one of its own. */
void coap_in_peer_wants_share(struct coap_in_peer *peer);
/* Asks it for a sign of life; coap_in_peer_heard follows, or coap_in_peer_lost. False: it cannot be asked. */
bool coap_in_peer_ping(struct coap_in_peer *peer);
void coap_in_peer_heard(struct coap_in_peer *peer);
void coap_in_peer_lost(struct coap_in_peer *peer);
/* May it? *ret_name: the name by which, NULL for nobody in particular; else the code to answer with. */
uint8_t coap_in_peer_check(struct coap_in_peer *peer, struct slice path, bool reads, const char **ret_name);
/* It has sent something that only it can have sent. */
void coap_in_peer_is_alive(struct coap_in_peer *peer);
/* Has it left more unread than is borne? Then it is cut off soon. */
bool coap_in_peer_is_clogged(const struct coap_in_peer *peer);
/* Once a second: those that have gone, as far as libcoap does not say so. */
void coap_in_peers_tick(struct coap_in_link *link);

/* --- in_request.c ------------------------------------------------------------------------------------------------------ */

/* Takes a request: whatever libcoap calls for one. */
void coap_in_request_take(struct coap_in_link *link, coap_session_t *session, const coap_pdu_t *pdu);
/* Those that wait for room are offered, until one has to wait again. */
void coap_in_request_offer_held(struct coap_in_link *link);
/* Those that have waited for room too long, or all of them, are answered with 5.03. */
void coap_in_request_give_up(struct coap_in_link *link, bool all);
/* The receipt of an offered one. */
void coap_in_request_done(struct coap_in_request *request, enum receipt receipt);
/* The peer's address is validated: what has waited for that goes on; or it is not, and is dropped. */
void coap_in_request_go_on(struct coap_in_peer *peer);
void coap_in_request_drop_waiting(struct coap_in_peer *peer);
/* Those that wait for their peer, but were not to be looked at before now: they go on, or their peer is asked. */
void coap_in_request_look_at_waiting(struct coap_in_peer *peer);
/* Waits for its peer; processed again by coap_in_request_go_on. */
void coap_in_request_await_peer(struct coap_in_exchange *exchange, const struct coap_in_head *head);
/* Everything that has no answer is told that linkspan stops. */
void coap_in_request_end_all(struct coap_in_link *link);
/* Acknowledges those that have had no answer for a second. */
void coap_in_request_acknowledge(struct coap_in_link *link);

/* --- in_repeat.c ------------------------------------------------------------------------------------------------------- */

enum coap_in_repeat {
	COAP_IN_REPEAT_NEW,
	COAP_IN_REPEAT_SEEN_TO, /* it has come before, and has its answer, or will have it */
	COAP_IN_REPEAT_FULL, /* no more ids can be kept */
};

/* Who it is for whom a message id counts: an address, or a session, whose keys are of no use to another process. Borrowed from
 * the peer. */
struct slice coap_in_repeat_peer(const struct coap_in_peer *peer);
/* Fills in key and hash. */
void coap_in_repeat_identify(struct coap_in_request *request, const struct coap_in_head *head);
/* Has it come before? */
enum coap_in_repeat coap_in_repeat_look_up(struct coap_in_request *request, const struct coap_in_head *head);
/* It is pending, or not any more. */
void coap_in_repeat_add(struct coap_in_request *request);
void coap_in_repeat_remove(struct coap_in_request *request);
/* One that is pending with the same key and hash; NULL: none. */
struct coap_in_request *coap_in_repeat_pending(const struct coap_in_request *like);
/* It was taken, or is a part of a body (2.31): as far as the journal does not know. */
void coap_in_repeat_answered(struct coap_in_request *request, uint8_t code);
/* It is refused for good. False: that cannot be remembered, so it must not be said: the datagram comes again. */
bool coap_in_repeat_refused(struct coap_in_request *request, const struct coap_in_answer *answer)
	__attribute__((warn_unused_result));

/* --- in_values.c ------------------------------------------------------------------------------------------------------- */

/* NULL: none, or it has expired. Borrowed until control returns to the loop. */
struct message *coap_in_values_find(struct coap_in_link *link, struct slice path);
/* GET. */
void coap_in_values_get(struct coap_in_exchange *exchange, const struct coap_in_head *head);

/* Do the request's If-Match and If-None-Match options let it pass, by the value that is there now? */
bool coap_in_values_condition(struct coap_in_link *link, const struct coap_in_head *head);

/* What of a value goes into an answer. */
struct coap_in_part {
	struct slice token;
	bool observe;
	uint32_t sequence;
	int accept; /* CONTENT_FORMAT_NONE: anything */
	bool wants_block;
	uint32_t block_num;
	uint8_t block_szx;
	const struct coap_in_head *head; /* whose ETags count; NULL: none */
};
/* The answer to a GET, whose value is there; or 4.06 and the like. */
coap_pdu_t *coap_in_values_answer(struct coap_in_peer *peer, struct message *msg, const struct coap_in_part *part);

/* --- in_observe.c ------------------------------------------------------------------------------------------------------ */

int coap_in_observe_new(struct coap_in_link *link) __attribute__((warn_unused_result));
void coap_in_observe_free(struct coap_in_link *link);
/* Registers (again), for values of that Content-Format. False: there are too many; the request is then one without Observe. */
bool coap_in_observe_add(
	const struct coap_in_exchange *exchange, const struct coap_in_head *head, int format, uint32_t *ret_sequence);
bool coap_in_observe_is_full(const struct coap_in_link *link);
void coap_in_observe_remove(struct coap_in_peer *peer, struct slice token);
void coap_in_observe_remove_all(struct coap_in_peer *peer);
/* The value of that path is another one now, or none. */
void coap_in_observe_changed(struct coap_in_link *link, struct slice path);
/* Values have gone for want of room: those whose path has none any more are told within a second. */
void coap_in_observe_some_gone(struct coap_in_link *link);
/* The peer can take notifications again. */
void coap_in_observe_go_on(struct coap_in_peer *peer);
/* Once a second: who could not be told is told again, and whose value has gone. */
void coap_in_observe_tick(struct coap_in_link *link);
size_t coap_in_observe_count(const struct coap_in_link *link, size_t *ret_paths);

/* --- in_core.c --------------------------------------------------------------------------------------------------------- */

bool coap_in_core_is(struct slice path);
/* GET of /.well-known/core. response: what is filled, or left as it is; NULL: the answer is sent. */
void coap_in_core_get(struct coap_in_exchange *exchange, const struct coap_in_head *head, coap_pdu_t *response);

/* --- in_answer.c ------------------------------------------------------------------------------------------------------- */

/* Of received bytes, the request: counts them, and sets aside what the shortest answer takes. */
void coap_in_answer_set_aside(struct coap_in_exchange *exchange, size_t received);
/* It needs no more of that, or nothing of it now. */
void coap_in_answer_give_back(struct coap_in_exchange *exchange);
/* coap_in_peer_may_get, for its answer. */
bool coap_in_answer_may_take(const struct coap_in_exchange *exchange, size_t bytes);
/* Tells the peer. */
void coap_in_answer_send(struct coap_in_exchange *exchange, struct coap_in_answer answer);
/* An answer that is made elsewhere: begun without type and token, which come with coap_in_answer_finish. room: for options and
 * payload. NULL: no memory. */
coap_pdu_t *coap_in_answer_begin(const struct coap_in_exchange *exchange, uint8_t code, size_t room);
void coap_in_answer_finish(struct coap_in_exchange *exchange, coap_pdu_t *pdu);
/* Bytes of it with its header. */
size_t coap_in_answer_size(const coap_pdu_t *pdu);
/* The empty acknowledgement. */
void coap_in_answer_acknowledge(struct coap_in_exchange *exchange);
/* Options: 0, or -ENOMEM. */
int coap_in_answer_number(coap_pdu_t *pdu, coap_option_num_t option, uint64_t value)
	__attribute__((warn_unused_result));

#endif
