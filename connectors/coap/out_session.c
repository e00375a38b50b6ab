/* SPDX-License-Identifier: Apache-2.0
 *
 * Names and sessions of devices.
 *
 * A message id must not come again within 247 s (RFC 7252 §4.4), and they are counted up: after COAP_SESSION_MESSAGES a session gives
 * way to a new one, from another port.
 *
 * libcoap's client sessions of TCP block in coap_session_max_pdu_size and what calls it until the other side has introduced itself: nothing is
 * asked of them before. Its NSTART is switched off: what waits inside cannot be taken back, nor does anything say when it
 * goes out.
 */
#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <netdb.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "connectors/coap/out_peer_impl.h"
#include "connectors/coap/psk_file.h"
#include "runtime/log.h"

#define CONNECT_MS        30000u /* a connection over TCP, with TLS and what follows */
#define IDLE_MS           600000u
#define NO_NSTART         UINT16_MAX
#define MOST_MESSAGE_SIZE 1152u /* that a device may send over TCP: what is longer comes in blocks */

/* --- contexts ------------------------------------------------------------------------------------------------------------ */

static int on_event(coap_session_t *libs, coap_event_t event);

/* Of libcoap: each certificate of the chain, the device's own last. */
static int on_certificate(const char *name, const uint8_t *der, size_t len, coap_session_t *libs, unsigned depth,
	int validated, void *arg)
{
	struct coap_peer_session *session = coap_session_get_app_data(libs);
	(void)name, (void)arg;
	if (depth > 0)
		return validated;
	if (!session || !validated)
		return 0;
	if (coap_tls_is_for(der, len, &session->peer->url))
		return 1;
	snprintf(session->why, sizeof session->why, "its certificate is not for %.100s", session->peer->url.host);
	return 0;
}

void coap_peer_context_free(struct coap_peer_context *context)
{
	if (!context)
		return;
	coap_loop_free(context->loop);
	coap_tls_setup_free(context->tls);
	free(context);
}

static void set_up(struct coap_peer_context *context)
{
	coap_context_t *libs = coap_loop_context(context->loop);
	coap_context_set_block_mode(libs, 0);
	coap_context_set_csm_max_message_size(libs, MOST_MESSAGE_SIZE);
	coap_register_response_handler(libs, coap_call_on_response);
	coap_register_nack_handler(libs, coap_call_on_nack);
	coap_register_event_handler(libs, on_event);
}

static struct coap_peer_context *context_new(struct coap_peers *peers, enum coap_security security)
{
	struct coap_peer_context *context = calloc(1, sizeof *context);
	if (!context)
		return NULL;
	int r = coap_loop_new(peers->options.loop, false, peers, &context->loop);
	if (r == 0)
		set_up(context);
	if (r == 0 && security != COAP_SECURITY_PSK) {
		context->tls = coap_tls_setup_new(&peers->files, security == COAP_SECURITY_OWN_CERT, on_certificate);
		if (!context->tls || !coap_tls_trust(coap_loop_context(context->loop), peers->options.settings->tls.ca))
			r = -ENOMEM;
	}
	if (r == 0)
		return context;
	coap_peer_context_free(context);
	return NULL;
}

static enum coap_security security_of(const struct coap_peer *peer)
{
	const struct coap_settings *settings = peer->peers->options.settings;
	if (!coap_url_is_secure(&peer->url) || (peer->is_own && settings->psk.identity))
		return COAP_SECURITY_PSK;
	return peer->is_own ? COAP_SECURITY_OWN_CERT : COAP_SECURITY_NO_CERT;
}

/* NULL: there is none, and the log says why. */
static struct coap_peer_context *context_of(const struct coap_peer *peer)
{
	enum coap_security security = security_of(peer);
	struct coap_peer_context **context = &peer->peers->contexts[security];
	if (!*context)
		*context = context_new(peer->peers, security);
	return *context;
}

/* --- names --------------------------------------------------------------------------------------------------------------- */

struct coap_resolve {
	uv_getaddrinfo_t request;
	struct coap_peer *peer; /* NULL: nobody waits for it */
};

static void open_session(struct coap_peer *peer);

static void take_addresses(struct coap_peer *peer, const struct addrinfo *list)
{
	peer->n_addresses = 0;
	for (const struct addrinfo *at = list; at && peer->n_addresses < COAP_PEER_ADDRESSES; at = at->ai_next) {
		struct sockaddr_storage *address = &peer->addresses[peer->n_addresses];
		if ((at->ai_family != AF_INET && at->ai_family != AF_INET6) || at->ai_addrlen > sizeof *address)
			continue;
		memset(address, 0, sizeof *address);
		memcpy(address, at->ai_addr, at->ai_addrlen);
		peer->n_addresses++;
	}
}

static void have_addresses(struct coap_peer *peer, int err)
{
	char why[sizeof peer->why];
	peer->state = COAP_PEER_IDLE;
	if (err == 0 && peer->n_addresses > 0) {
		open_session(peer);
		return;
	}
	snprintf(why, sizeof why, "the name %.100s leads to no address: %s", peer->url.host,
		err ? uv_strerror(err) : "it has none");
	coap_peer_has_failed(peer, COAP_CALL_UNREACHED, why);
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *list)
{
	struct coap_resolve *resolve = request->data;
	struct coap_peer *peer = resolve->peer;
	free(resolve);
	if (peer) {
		peer->resolve = NULL;
		if (status == 0)
			take_addresses(peer, list);
		have_addresses(peer, status);
	}
	uv_freeaddrinfo(list);
}

static const struct addrinfo *hints(const struct coap_peer *peer)
{
	static struct addrinfo hint;
	hint = (struct addrinfo){
		.ai_family = AF_UNSPEC,
		.ai_socktype = coap_url_is_datagram(&peer->url) ? SOCK_DGRAM : SOCK_STREAM,
		.ai_flags = peer->url.is_literal ? AI_NUMERICHOST : AI_ADDRCONFIG,
	};
	return &hint;
}

/* Numbers need nobody to ask; with a zone the kernel knows its interface. */
static void take_literal(struct coap_peer *peer)
{
	struct addrinfo *list = NULL;
	int err = getaddrinfo(peer->url.host, NULL, hints(peer), &list);
	if (err == 0)
		take_addresses(peer, list);
	else
		peer->n_addresses = 0;
	if (list)
		freeaddrinfo(list);
	have_addresses(peer, err == 0 ? 0 : UV_EAI_NONAME);
}

static void resolve(struct coap_peer *peer)
{
	struct coap_resolve *resolve = calloc(1, sizeof *resolve);
	int err = UV_ENOMEM;
	if (resolve) {
		resolve->request.data = resolve;
		resolve->peer = peer;
		err = uv_getaddrinfo(loop_uv(peer->peers->options.loop), &resolve->request, on_resolved, peer->url.host,
			NULL, hints(peer));
	}
	if (err == 0) {
		peer->resolve = resolve;
		peer->state = COAP_PEER_RESOLVING;
		return;
	}
	free(resolve);
	peer->n_addresses = 0;
	have_addresses(peer, err);
}

void coap_peer_stop_resolving(struct coap_peer *peer)
{
	if (!peer->resolve)
		return;
	peer->resolve->peer = NULL;
	uv_cancel((uv_req_t *)&peer->resolve->request);
	peer->resolve = NULL;
}

/* --- sessions ------------------------------------------------------------------------------------------------------------ */

static coap_address_t lib_address(const struct coap_peer *peer, const struct sockaddr_storage *from)
{
	coap_address_t address;
	coap_address_init(&address);
	if (from->ss_family == AF_INET6) {
		memcpy(&address.addr.sin6, from, sizeof address.addr.sin6);
		address.size = sizeof address.addr.sin6;
	} else {
		memcpy(&address.addr.sin, from, sizeof address.addr.sin);
		address.size = sizeof address.addr.sin;
	}
	coap_address_set_port(&address, peer->url.port);
	return address;
}

void coap_peers_read_psk(struct coap_peers *peers)
{
	const struct coap_psk *psk = &peers->options.settings->psk;
	if (!psk->identity || !psk->key)
		return;
	const char *wrong;
	int len = psk_key_parse(slice_str(psk->key), peers->psk_key, &wrong);
	peers->psk.identity = (coap_bin_const_t){strlen(psk->identity), (const uint8_t *)psk->identity};
	peers->psk.key = (coap_bin_const_t){len > 0 ? (size_t)len : 0, peers->psk_key}; /* checked with the file */
}

static const coap_dtls_cpsk_info_t *on_hint(coap_str_const_t *hint, coap_session_t *libs, void *arg)
{
	const struct coap_peers *peers = arg;
	(void)hint, (void)libs;
	return &peers->psk;
}

/* With a callback for the hint libcoap offers TLS 1.2 at most. Of TLS 1.3 it would offer suites with certificates, which it does
 * not look at: anybody could take the device's place. */
static coap_session_t *open_psk(struct coap_peer *peer, coap_context_t *libs, const coap_address_t *address)
{
	coap_dtls_cpsk_t setup = {
		.version = COAP_DTLS_CPSK_SETUP_VERSION,
		.validate_ih_call_back = on_hint,
		.ih_call_back_arg = peer->peers,
		.psk_info = peer->peers->psk,
	};
	if (!peer->url.is_literal)
		setup.client_sni = peer->url.host;
	return coap_new_client_session_psk2(libs, NULL, address, coap_scheme_proto(peer->url.scheme), &setup);
}

static coap_session_t *open_lib_session(struct coap_peer *peer, const struct coap_peer_session *session)
{
	struct coap_peer_context *context = session->context;
	coap_context_t *libs = coap_loop_context(context->loop);
	coap_address_t address = lib_address(peer, &session->address);
	if (!coap_url_is_secure(&peer->url))
		return coap_new_client_session(libs, NULL, &address, coap_scheme_proto(peer->url.scheme));
	if (!context->tls)
		return open_psk(peer, libs, &address);
	coap_tls_setup_name(context->tls, &peer->url);
	return coap_new_client_session_pki(
		libs, NULL, &address, coap_scheme_proto(peer->url.scheme), coap_tls_setup_pki(context->tls));
}

static void set_transmission(coap_session_t *libs, const struct coap_transmission *transmission)
{
	coap_session_set_nstart(libs, NO_NSTART);
	coap_session_set_max_retransmit(libs, (uint16_t)transmission->max_retransmit);
	coap_session_set_ack_timeout(libs, (coap_fixed_point_t){(uint16_t)(transmission->ack_timeout_ms / 1000),
						   (uint16_t)(transmission->ack_timeout_ms % 1000)});
}

static void link_session(struct coap_peers *peers, struct coap_peer_session *session)
{
	session->next = peers->sessions;
	session->at = &peers->sessions;
	if (session->next)
		session->next->at = &session->next;
	peers->sessions = session;
	session->context->n_sessions++;
}

static void come_up(struct coap_peer_session *session)
{
	struct coap_peer *peer = session->peer;
	session->is_up = true;
	session->used_ms = loop_now_ms(peer->peers->options.loop);
	if (peer->session != session)
		return;
	peer->state = COAP_PEER_READY;
	coap_peer_pump(peer);
}

static bool is_established(const struct coap_peer_session *session)
{
	return coap_session_get_state(session->session) == COAP_SESSION_STATE_ESTABLISHED;
}

static void have_session(struct coap_peer *peer, struct coap_peer_session *session)
{
	struct coap_peers *peers = peer->peers;
	coap_session_set_app_data(session->session, session);
	set_transmission(session->session, &peers->settings->transmission);
	session->peer = peer;
	session->used_ms = session->begun_ms = session->heard_ms = loop_now_ms(peers->options.loop);
	link_session(peers, session);
	peer->session = session;
	peer->state = COAP_PEER_CONNECTING;
	peers->counters.sessions++;
	peers->counters.handshakes += coap_url_is_secure(&peer->url);
	if (is_established(session))
		come_up(session);
	else
		coap_peers_due(peers, session->begun_ms + CONNECT_MS);
}

/* Not even a handshake goes where no call may. */
static bool is_wanted(struct coap_peer *peer, const struct sockaddr_storage *address)
{
	struct coap_call *call = peer->waiting, *next;
	for (; call; call = next) {
		next = call->next;
		coap_call_is_guarded_off(call, address);
	}
	return peer->waiting != NULL;
}

/* The same as before, or if that has failed the one behind it. */
static const struct sockaddr_storage *choose_address(const struct coap_peer *peer)
{
	for (size_t i = 0; i < peer->n_addresses; i++)
		if (memcmp(&peer->addresses[i], &peer->last, sizeof peer->last) == 0)
			return &peer->addresses[(i + peer->last_has_failed) % peer->n_addresses];
	return &peer->addresses[0];
}

static void open_session(struct coap_peer *peer)
{
	const struct sockaddr_storage address = *choose_address(peer);
	char why[sizeof peer->why];
	peer->last = address;
	peer->last_has_failed = !is_wanted(peer, &address);
	if (peer->last_has_failed)
		return;
	struct coap_peer_session *session = calloc(1, sizeof *session);
	coap_loop_forget_reason();
	if (session)
		session->context = context_of(peer);
	if (session)
		session->address = address;
	if (session && session->context)
		session->session = open_lib_session(peer, session);
	if (session && session->session) {
		have_session(peer, session);
		return;
	}
	free(session);
	const char *reason = coap_loop_reason();
	snprintf(why, sizeof why, "no session can be had%s%s", *reason ? ": " : "", reason);
	peer->last_has_failed = true;
	peer->n_addresses = 0;
	coap_peer_has_failed(peer, COAP_CALL_UNREACHED, why);
}

void coap_peer_connect(struct coap_peer *peer)
{
	if (peer->url.is_literal)
		take_literal(peer);
	else
		resolve(peer);
}

/* --- their end ----------------------------------------------------------------------------------------------------------- */

static void session_free(struct coap_peer_session *session)
{
	struct coap_peer *peer = session->peer;
	struct coap_peer_context *context = session->context;
	*session->at = session->next;
	if (session->next)
		session->next->at = session->at;
	if (peer->session == session) {
		peer->session = NULL;
		if (peer->state != COAP_PEER_RESTING)
			peer->state = COAP_PEER_IDLE;
	}
	coap_session_set_app_data(session->session, NULL);
	/* What it would still repeat must not arrive after a later message of the same key. */
	coap_session_disconnected(session->session, COAP_NACK_NOT_DELIVERABLE);
	coap_session_release(session->session);
	free(session);
	context->n_sessions--;
	if (context->retired && context->n_sessions == 0)
		coap_peer_context_free(context);
}

void coap_peer_session_end(struct coap_peer_session *session, enum coap_call_end end, const char *why)
{
	while (session->calls)
		coap_call_note_end(session->calls, end, 0, why);
	session_free(session);
}

void coap_peer_session_retire(struct coap_peer_session *session)
{
	struct coap_peer *peer = session->peer;
	session->is_retired = true;
	if (peer->session == session) {
		peer->session = NULL;
		if (peer->state == COAP_PEER_READY || peer->state == COAP_PEER_CONNECTING)
			peer->state = COAP_PEER_IDLE;
	}
	coap_peers_note(peer->peers);
}

static void note_refusal(struct coap_peer_session *session, const char *why)
{
	session->is_refused = true;
	if (!session->why[0])
		snprintf(session->why, sizeof session->why, "the handshake has failed%s%s", *why ? ": " : "", why);
}

/* Our side has refused. */
static void note_error(struct coap_peer_session *session)
{
	SSL *ssl = coap_session_get_tls(session->session, NULL);
	long verified = ssl ? SSL_get_verify_result(ssl) : X509_V_OK;
	if (verified != X509_V_OK && !session->why[0])
		snprintf(session->why, sizeof session->why, "its certificate is not accepted: %s",
			X509_verify_cert_error_string(verified));
	note_refusal(session, "");
}

/* An alert of the other side, a time-out and a closed port are the same event; libcoap's log alone knows. */
static void note_alert(struct coap_peer_session *session)
{
	const char *reason = coap_loop_reason(), *who = coap_session_str(session->session);
	size_t len = strlen(who);
	if (strncmp(reason, who, len) != 0 || !strstr(reason + len, "alert"))
		return;
	char why[120];
	reason += len;
	snprintf(why, sizeof why, "%s", reason + strspn(reason, " :"));
	char *end = strstr(why, " at SSL");
	if (end)
		*end = '\0';
	note_refusal(session, why);
}

/* Whoever shows a certificate has not shown that it knows the key. */
static void check_psk(struct coap_peer_session *session)
{
	SSL *ssl = coap_session_get_tls(session->session, NULL);
	if (session->context->tls || !ssl || SSL_get0_peer_certificate(ssl) == NULL)
		return;
	note_refusal(session, "the other side knows no key, and shows a certificate");
	session->is_lost = true;
}

static int on_event(coap_session_t *libs, coap_event_t event)
{
	struct coap_peer_session *session = coap_session_get_app_data(libs);
	if (!session)
		return 0;
	switch (event) {
	case COAP_EVENT_TCP_CONNECTED: /* the ClientHello is next */
		if (session->context->tls)
			coap_tls_setup_name(session->context->tls, &session->peer->url);
		return 0;
	case COAP_EVENT_DTLS_ERROR:
		if (!session->is_up)
			note_error(session);
		break;
	case COAP_EVENT_DTLS_CONNECTED:
		check_psk(session);
		break;
	case COAP_EVENT_SESSION_CONNECTED:
		break;
	case COAP_EVENT_DTLS_CLOSED:
	case COAP_EVENT_TCP_FAILED:
	case COAP_EVENT_TCP_CLOSED:
	case COAP_EVENT_SESSION_CLOSED:
	case COAP_EVENT_SESSION_FAILED:
		if (!session->is_up)
			note_alert(session);
		session->is_lost = true;
		break;
	default:
		return 0;
	}
	coap_peers_note(session->peer->peers);
	return 0;
}

/* It was not up: all that waits for it has failed. */
static void lose_handshake(struct coap_peer_session *session)
{
	struct coap_peer *peer = session->peer;
	bool refused = session->is_refused, current = peer->session == session;
	char why[sizeof peer->why];
	if (refused)
		snprintf(why, sizeof why, "%s", session->why);
	else
		snprintf(why, sizeof why, "%s",
			peer->url.scheme == COAP_SCHEME_DTLS
				? "no answer to the handshake (or the key is not the right one)"
				: "no connection can be had");
	peer->peers->counters.refused += refused;
	coap_peer_session_end(session, COAP_CALL_UNREACHED, why);
	if (!current)
		return;
	peer->last_has_failed = true;
	coap_peer_has_failed(peer, refused ? COAP_CALL_REFUSED : COAP_CALL_UNREACHED, why);
}

static void lose(struct coap_peer_session *session)
{
	static const char why[] = "the session has ended before the response was there";
	struct coap_peer *peer = session->peer;
	if (!session->is_up) {
		lose_handshake(session);
		return;
	}
	bool failed = session->calls && peer->session == session;
	coap_peer_session_end(session, COAP_CALL_BROKEN, why);
	if (failed)
		coap_peer_has_failed(peer, COAP_CALL_UNREACHED, why);
	else if (!peer->session && peer->state == COAP_PEER_IDLE)
		coap_peer_pump(peer);
}

static void settle(struct coap_peer_session *session)
{
	if (session->is_lost)
		lose(session);
	else if (session->is_doomed)
		coap_peer_session_end(session, COAP_CALL_BROKEN, session->why);
	else if (session->is_retired && !session->calls)
		session_free(session);
	else if (!session->is_up && is_established(session))
		come_up(session);
	else if (session->n_messages >= COAP_SESSION_MESSAGES && !session->is_retired) {
		coap_peer_session_retire(session);
		coap_peer_pump(session->peer);
	}
}

/* A step may end others, of the same device. */
void coap_peer_sessions_settle(struct coap_peers *peers)
{
	struct coap_peer_session *session = peers->sessions, *next;
	for (; session; session = next) {
		next = session->next;
		settle(session);
	}
}

uint64_t coap_peer_sessions_sweep(struct coap_peers *peers)
{
	struct coap_peer_session *session = peers->sessions, *next;
	uint64_t now_ms = loop_now_ms(peers->options.loop), due_ms = now_ms + IDLE_MS;
	for (; session; session = next) {
		next = session->next;
		uint64_t end_ms = session->is_up ? session->used_ms + IDLE_MS : session->begun_ms + CONNECT_MS;
		if (end_ms <= now_ms && !session->is_up)
			session->is_lost = true;
		else if (end_ms <= now_ms && !session->calls)
			session->is_retired = true;
		else if (end_ms < due_ms)
			due_ms = end_ms > now_ms ? end_ms : due_ms;
		if (session->is_lost || session->is_retired)
			settle(session);
	}
	return due_ms;
}
