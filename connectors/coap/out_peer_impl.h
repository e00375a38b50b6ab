/* SPDX-License-Identifier: Apache-2.0
 *
 * What the parts of out_peer.h share: out_peer.c, devices and whose turn it is; out_session.c, names and sessions; out_call.c,
 * the life of calls and their messages; out_answer.c, responses. Private to those.
 *
 * Nothing of libcoap is freed from inside one of its callbacks, nor does a callback end a call there: it walks over its
 * lists of sessions and messages meanwhile. What has ended is noted, and a job does the rest. A response alone is taken at once.
 *
 * IDLE → RESOLVING → CONNECTING → READY → RESTING → IDLE; any of the first four → RESTING; READY → IDLE (the session was ended
 * by the device, or by us while nothing was under way).
 */
#ifndef LINKSPAN_CONNECTORS_COAP_OUT_PEER_IMPL_H
#define LINKSPAN_CONNECTORS_COAP_OUT_PEER_IMPL_H

#include <coap3/coap.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "connectors/coap/coap_loop.h"
#include "connectors/coap/out_message.h"
#include "connectors/coap/out_peer.h"
#include "connectors/coap/out_tls.h"
#include "connectors/coap/psk_file.h"

#define COAP_PEER_ADDRESSES   8u
#define COAP_TOKEN_LEN        8u
#define COAP_SESSION_MESSAGES 60000u

enum coap_peer_state { COAP_PEER_IDLE, COAP_PEER_RESOLVING, COAP_PEER_CONNECTING, COAP_PEER_READY, COAP_PEER_RESTING };

/* One of libcoap's contexts. Keys of both kinds in one would make it offer pre-shared ones only, and authorities that
 * it was once given it keeps; so there are several, and new ones after a reload. */
enum coap_security { COAP_SECURITY_PSK /* or none */, COAP_SECURITY_OWN_CERT, COAP_SECURITY_NO_CERT };
#define COAP_SECURITIES 3
struct coap_peer_context {
	struct coap_loop *loop;
	struct coap_tls_setup *tls; /* NULL with COAP_SECURITY_PSK */
	size_t n_sessions;
	bool retired; /* freed with its last session */
};

struct coap_peer_session {
	struct coap_peer *peer;
	struct coap_peer_context *context;
	coap_session_t *session;
	struct coap_peer_session *next, **at; /* of all */
	struct coap_call *calls; /* under way */
	uint32_t n_messages; /* sent */
	uint64_t used_ms; /* last */
	uint64_t begun_ms; /* of the handshake, or the connection */
	uint64_t heard_ms; /* when it was last known to be there, or was asked */
	struct sockaddr_storage address; /* where it leads */
	bool is_up;
	bool has_answered;
	bool is_lost; /* libcoap has said so */
	bool is_refused; /* the handshake was */
	bool is_doomed; /* to be ended, with all calls on it */
	bool is_retired; /* ends with its last call */
	char why[160];
};

struct coap_peer {
	struct coap_peers *peers;
	struct coap_url url; /* without a target */
	uint32_t hash;
	bool is_own;
	enum coap_peer_state state;
	struct coap_peer *next, **at; /* of those with that hash */
	struct coap_peer *newer, *older; /* by when it was last wanted */
	struct coap_resolve *resolve; /* RESOLVING */
	struct sockaddr_storage addresses[COAP_PEER_ADDRESSES];
	size_t n_addresses;
	struct sockaddr_storage last; /* that was used; a name's may come in another order each time */
	bool last_has_failed; /* the next one's turn */
	struct coap_peer_session *session; /* CONNECTING, READY */
	struct coap_call *waiting, **waiting_end;
	size_t n_waiting;
	size_t n_calls; /* that wait or are under way */
	size_t n_active; /* under way and not answered: NSTART counts them */
	unsigned failures; /* in a row */
	uint64_t rest_until_ms;
	bool is_suspect; /* a repetition was due */
	struct coap_peer *next_silent, **silent_at; /* that are waited for; at NULL: it is not */
	uint64_t silent_ms; /* since when */
	struct coap_peer *next_ready, **ready_at; /* that wait for room in `concurrency`; at NULL: it does not */
	char why[200]; /* RESTING */
};

struct coap_slot {
	struct coap_call *call; /* NULL: free */
	uint32_t next; /* free: + 1 */
	uint8_t random[5];
	bool fetches;
};

struct coap_peers {
	struct coap_peers_options options;
	const struct coap_out_settings *settings;
	struct coap_tls_files files; /* as they were read last */
	uint8_t psk_key[PSK_MAX_KEY_BYTES];
	coap_dtls_cpsk_info_t psk; /* of `psk`; its key lies in psk_key */
	struct coap_peer_context *contexts[COAP_SECURITIES];
	struct coap_peer **buckets;
	size_t n_buckets, n_peers;
	size_t n_busy; /* peers with calls */
	struct coap_peer *newest, *oldest;
	struct coap_peer_session *sessions;
	struct coap_slot *slots;
	uint32_t n_slots, free_slot; /* free_slot: + 1 */
	size_t n_active; /* calls that `concurrency` counts */
	struct coap_call *deadlines, **deadlines_end; /* in order: the time is the same for all */
	struct coap_peer *silent, **silent_end; /* the same */
	struct coap_peer *ready, **ready_end;
	struct coap_call *ended, **ended_end;
	struct loop_timer *timer;
	uint64_t timer_ms; /* what it was started for; 0: it is not running */
	uint64_t swept_ms;
	struct loop_job job;
	bool is_ending; /* coap_peers_free */
	struct coap_peers_counters counters;
};

/* --- out_peer.c --- */

/* To the end of its peer's line, and on from there as soon as it can. The peer exists. */
void coap_peer_wait(struct coap_peer *peer, struct coap_call *call);
/* Sends what may be sent now. */
void coap_peer_pump(struct coap_peer *peer);
void coap_peers_pump(struct coap_peers *peers);
/* Something has come from it. */
void coap_peer_is_alive(struct coap_peer *peer);
/* It rests; what waits for it ends so. */
void coap_peer_has_failed(struct coap_peer *peer, enum coap_call_end end, const char *why);
/* A call is under way, and is not any more. */
void coap_peer_activate(struct coap_peer *peer, struct coap_call *call);
void coap_peer_deactivate(struct coap_peer *peer, struct coap_call *call);
/* The timer goes off by then. */
void coap_peers_due(struct coap_peers *peers, uint64_t at_ms);
void coap_peers_note(struct coap_peers *peers); /* there is something for the job */

/* --- out_session.c --- */

/* IDLE → RESOLVING or CONNECTING or READY, or it has failed. */
void coap_peer_connect(struct coap_peer *peer);
void coap_peer_stop_resolving(struct coap_peer *peer);
void coap_peers_read_psk(struct coap_peers *peers);
/* No new calls; it ends with its last. */
void coap_peer_session_retire(struct coap_peer_session *session);
/* What has been noted about sessions. May free some. */
void coap_peer_sessions_settle(struct coap_peers *peers);
/* Those in a handshake for too long, and those unused for too long. Returns when to look again. */
uint64_t coap_peer_sessions_sweep(struct coap_peers *peers);
/* With all calls on it: they end so. */
void coap_peer_session_end(struct coap_peer_session *session, enum coap_call_end end, const char *why);
void coap_peer_context_free(struct coap_peer_context *context); /* NULL is allowed */

/* --- out_call.c --- */

void coap_call_send(struct coap_call *call, struct coap_peer_session *session); /* its first message */
bool coap_call_send_message(
	struct coap_call *call, bool fetches); /* the next. False: it cannot be sent, and the call has ended */
/* It is in no list any more, and the job says so to its owner. */
void coap_call_note_end(struct coap_call *call, enum coap_call_end end, uint64_t retry_after_ms, const char *why);
void coap_calls_tell(struct coap_peers *peers); /* those that have ended */
void coap_call_expire(struct coap_call *call);
/* Nothing here knows it any more. */
void coap_call_leave(struct coap_call *call);
void coap_call_set_deadline(struct coap_call *call);
void coap_call_drop_deadline(struct coap_call *call);
void coap_call_drop_slot(struct coap_call *call, uint32_t *number);
struct coap_slot *coap_call_find_slot(struct coap_peers *peers, const coap_pdu_t *pdu); /* NULL: of nobody */
void coap_call_forget_download(struct coap_call *call);
void coap_call_on_nack(
	coap_session_t *libs, const coap_pdu_t *sent, const coap_nack_reason_t reason, const coap_mid_t id);

/* May the call not go to that address? It has ended then. */
bool coap_call_is_guarded_off(struct coap_call *call, const struct sockaddr_storage *address);

/* --- out_answer.c --- */

/* Has the request been carried out, and is the rest of its response being fetched? To send it again would do it twice. */
bool coap_call_has_first(const struct coap_call *call);
/* To the owner: the request was answered, but the rest of the response cannot be had. */
void coap_call_tell_cut(struct coap_call *call);
coap_response_t coap_call_on_response(
	coap_session_t *libs, const coap_pdu_t *sent, const coap_pdu_t *received, const coap_mid_t id);

#endif
