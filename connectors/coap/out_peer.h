/* SPDX-License-Identifier: Apache-2.0
 *
 * Devices and the requests to them, by libcoap's client side. A peer is one scheme, host and port; it is found by its URL, its
 * name is resolved without blocking, and its session is opened when the first call wants it, and again after it was lost. Who has
 * not answered rests for a while, longer each time, and then one call tries: meanwhile its calls end at once. Of those that
 * have begun, `concurrency` at most are under way; a device that has not answered for so long that a repetition was due does
 * not count, so that a dead one leaves others their places (what the courier may look ahead past its messages is another bound).
 * Peers without calls are forgotten when there are too many.
 *
 * A call is one request, or one observation, and what comes of it. Block-wise transfers (RFC 7959) both ways, repetitions and
 * separate responses are hidden here; libcoap's own block-wise code is not used, it keeps state of each request over TCP
 * or NON for minutes and cannot be told a limit.
 *
 * Threads: the loop's. Nothing blocks.
 */
#ifndef LINKSPAN_CONNECTORS_COAP_OUT_PEER_H
#define LINKSPAN_CONNECTORS_COAP_OUT_PEER_H

#include "connectors/coap/out_url.h"
#include "connectors/coap/settings.h"
#include "message/buffer.h"
#include "runtime/loop.h"

struct coap_call;
struct coap_peer;
struct coap_peer_session;
struct coap_peers; /* all devices of one link, and libcoap's context */

/* --- calls ------------------------------------------------------------------------------------------------------------- */

enum coap_call_end {
	COAP_CALL_ANSWERED, /* by the response that on_response was given */
	COAP_CALL_SENT, /* not confirmable, no answer wanted: it has gone out */
	COAP_CALL_SILENT, /* no response in time */
	COAP_CALL_RESET, /* the device has rejected it (RST) */
	COAP_CALL_UNREACHED, /* no address, nobody there, no handshake in time; or the device rests */
	COAP_CALL_BROKEN, /* the session has ended before the response was there */
	COAP_CALL_REFUSED, /* the handshake: it does not let us in, or is not whom it should be */
	COAP_CALL_GUARDED, /* its address is none that the call may go to */
	COAP_CALL_TOO_LONG, /* path and query do not fit into a message */
	COAP_CALL_NO_ROOM, /* max_peers devices are busy, or memory is out */
};

/* Slices live until on_response returns. */
struct coap_call_response {
	uint8_t code; /* class * 32 + detail: 69 is 2.05 */
	bool observed; /* there is an Observe option: a notification, and more will come */
	bool cut; /* the payload is not all: beyond max_response, changed meanwhile, or not wanted */
	uint32_t sequence; /* Observe: 24 bits */
	int32_t format; /* Content-Format; -1: none */
	bool has_max_age;
	uint32_t max_age_s; /* 60 without the option */
	struct slice etag; /* absent: none */
	struct slice payload; /* never absent */
	const void *pdu; /* coap_pdu_t of the last block, for the other options */
};

struct coap_call {
	/* The owner's, between coap_call_init and coap_call_begin. */
	uint8_t code; /* 1 GET, 2 POST, 3 PUT, 4 DELETE, 5 FETCH, 6 PATCH, 7 iPATCH */
	bool confirmable;
	bool wants_body; /* of the response: further blocks of it are asked for */
	bool wants_answer; /* not confirmable: wait for the response all the same */
	bool observe; /* register; ends when the observation does */
	bool guarded; /* only to public addresses */
	struct buffer options; /* by coap_call_option */
	struct slice payload; /* borrowed until the call has ended */
	void *owner;
	/* May be NULL. For an observation with each notification, in the order of their arrival (connectors/coap/freshness.h
	 * says which is newer). Neither may free the call's peers; on_end may begin the call again, others too. */
	void (*on_response)(struct coap_call *call, const struct coap_call_response *response);
	/* Once for each begin, never from inside it; not after coap_call_cancel. reason: for people, until it returns.
	 * retry_after_ms: when it makes sense to try again; 0: nothing is known. */
	void (*on_end)(struct coap_call *call, enum coap_call_end end, const char *reason, uint64_t retry_after_ms);

	bool was_sent; /* when it ends: something of it has gone out */

	/* Private: out_peer_impl.h. */
	struct coap_peers *peers;
	struct coap_peer *peer; /* NULL: not begun, or ended */
	struct coap_peer_session *session; /* NULL: it waits */
	struct coap_call *next, **at; /* in one list: of those that wait, are under way, or have ended */
	struct coap_call *next_deadline, **deadline_at; /* at NULL: it has none */
	uint64_t deadline_ms;
	uint64_t sent_ms; /* its last message */
	uint32_t slot; /* + 1; 0: none. Of the message under way; of an observation: its own */
	uint32_t fetch_slot; /* of an observation that fetches the rest of a notification */
	enum coap_call_end end; /* has_ended */
	uint64_t retry_after_ms;
	bool has_ended, is_active, is_counted, is_registered, is_renewing, is_cancelled, is_asking, is_half_answered;
	uint16_t last_option;
	struct coap_call_upload {
		size_t done, sending; /* bytes of payload: acknowledged; in the message under way */
		uint8_t szx; /* of a block: 2^(szx + 4) bytes */
		bool in_blocks;
		uint8_t restarts;
		uint8_t tag[4]; /* Request-Tag */
		uint8_t echo[40], echo_len, echoes;
	} up;
	struct coap_call_download {
		bool fetching; /* further blocks */
		bool cut;
		uint8_t szx;
		uint8_t etag[8], etag_len;
		uint8_t code;
		bool observed, has_max_age;
		int32_t format;
		uint32_t sequence, max_age_s;
		struct buffer body;
	} down;
	char why[200];
};

void coap_call_init(struct coap_call *call);
/* Not while it is under way. */
void coap_call_free(struct coap_call *call);
/* Forgets options and payload for the next request; keeps memory, owner and callbacks. */
void coap_call_clear(struct coap_call *call);
/* Options in ascending order of their numbers, without Uri-Host, Observe and what belongs to blocks. 0, -ENOMEM; -EINVAL: too
 * long for an option. */
int coap_call_option(struct coap_call *call, uint16_t number, struct slice value) __attribute__((warn_unused_result));
int coap_call_option_uint(struct coap_call *call, uint16_t number, uint32_t value) __attribute__((warn_unused_result));

/* To the place that the URL names (its path is the caller's to make options of). on_end follows. */
void coap_call_begin(struct coap_call *call, struct coap_peers *peers, const struct coap_url *url);
/* An observation: registers again under the same token (RFC 7641 §3.3.1); without an answer in time it ends. */
void coap_call_renew(struct coap_call *call);
/* Nothing more is heard of it, and an observation is ended at the device too. Also when it is not under way. */
void coap_call_cancel(struct coap_call *call);

/* --- peers ------------------------------------------------------------------------------------------------------------- */

struct coap_peers_options {
	struct loop *loop;
	const char *name; /* of the connection, for the log; borrowed */
	const struct coap_settings *settings; /* borrowed */
	const struct coap_url
		*own; /* that of the connection: identity, key and certificate are for it alone; borrowed */
};

struct coap_peers_counters {
	uint64_t sessions, handshakes, refused, unreached, silent, resets, blocks, evicted;
};

/* 0, -ENOMEM, or -EINVAL: the files of `tls` cannot be used (logged). */
int coap_peers_new(const struct coap_peers_options *options, struct coap_peers **ret_peers)
	__attribute__((warn_unused_result));
/* Ends all calls without a word, and all sessions. Not from inside a callback. NULL is allowed. */
void coap_peers_free(struct coap_peers *peers);
/* Reads the files of `tls` again, for sessions that are made from now on. 0, or a negative errno: logged, and nothing has
 * changed. */
int coap_peers_reload(struct coap_peers *peers) __attribute__((warn_unused_result));
/* Devices that rest are tried again at once. */
void coap_peers_wake(struct coap_peers *peers);
size_t coap_peers_count(const struct coap_peers *peers);
const struct coap_peers_counters *coap_peers_counters(const struct coap_peers *peers);

#endif
