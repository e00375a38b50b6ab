/* SPDX-License-Identifier: Apache-2.0
 *
 * Peers: who they are, what they may do, and whether they are there. Over UDP anybody can write any address into a datagram,
 * so an address is validated by a ping of CoAP (ping.h); over DTLS, TCP and TLS the handshake has done so.
 *
 * A session of libcoap that has ended over DTLS stays as long as anybody holds it, and takes no new handshake meanwhile:
 * nothing tells, so it is looked for.
 */
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/coap/in_link.h"
#include "runtime/log.h"

#define PING_BYTES       20u /* with its repetitions */
#define FACTOR           3u /* RFC 7252 §11.3 */
#define PONG_MS          60000u /* of a stream */
#define QUIET_MS         1800000u
#define QUIET_FULL_MS    60000u
#define ASKED_A_TICK     50u
#define MAX_UNREAD_BYTES (4u * 1024 * 1024)

/* --- making ------------------------------------------------------------------------------------------------------------ */

static void add_bytes(struct coap_in_peer *peer, const void *data, size_t len)
{
	memcpy(peer->address + peer->address_len, data, len);
	peer->address_len += len;
}

/* What tells it apart from others: over UDP for ever, else as long as the session. */
static void write_address(struct coap_in_peer *peer)
{
	const coap_address_t *remote = coap_session_get_addr_remote(peer->session);
	uint8_t family = (uint8_t)remote->addr.sa.sa_family;
	add_bytes(peer, &family, 1);
	if (family == AF_INET6) {
		add_bytes(peer, &remote->addr.sin6.sin6_addr, 16);
		if (IN6_IS_ADDR_LINKLOCAL(&remote->addr.sin6.sin6_addr))
			add_bytes(peer, &remote->addr.sin6.sin6_scope_id, 4);
	} else {
		add_bytes(peer, &remote->addr.sin.sin_addr, 4);
	}
	peer->host_len = peer->address_len;
	add_bytes(peer, family == AF_INET6 ? &remote->addr.sin6.sin6_port : &remote->addr.sin.sin_port, 2);
}

struct coap_in_peer *coap_in_peer_of(struct coap_in_link *link, coap_session_t *session)
{
	struct coap_in_peer *peer = coap_session_get_app_data(session);
	if (peer)
		return peer;
	peer = calloc(1, sizeof *peer);
	if (!peer)
		return NULL;
	peer->link = link;
	peer->session = session;
	peer->proto = coap_session_get_proto(session);
	peer->number = ++link->last_number;
	peer->validated = peer->proto != COAP_PROTO_UDP;
	write_address(peer);
	peer->next = link->peers;
	if (peer->next)
		peer->next->prev = peer;
	link->peers = peer;
	link->n_peers++;
	coap_session_set_app_data(session, peer);
	return peer;
}

void coap_in_peer_free(struct coap_in_peer *peer)
{
	if (peer->proto == COAP_PROTO_DTLS)
		coap_in_hello_unwatch(peer->session);
	if (peer->prev)
		peer->prev->next = peer->next;
	else
		peer->link->peers = peer->next;
	if (peer->next)
		peer->next->prev = peer->prev;
	peer->link->n_peers--;
	ping_end(&peer->ping);
	coap_session_set_app_data(peer->session, NULL);
	coap_in_names_free(&peer->names);
	free(peer);
}

bool coap_in_peer_is_up(const struct coap_in_peer *peer)
{
	return coap_session_get_state(peer->session) == COAP_SESSION_STATE_ESTABLISHED;
}

/* --- is it there? ------------------------------------------------------------------------------------------------------ */

uint64_t coap_in_peer_allowance(uint64_t received)
{
	return FACTOR * received;
}

bool coap_in_peer_may_get(const struct coap_in_peer *peer, size_t bytes)
{
	return peer->validated || peer->sent + bytes <= coap_in_peer_allowance(peer->received);
}

struct slice coap_in_peer_holder(const struct coap_in_peer *peer)
{
	return slice_of(peer->address, peer->validated ? peer->host_len : 0);
}

void coap_in_peer_wants_share(struct coap_in_peer *peer)
{
	if (!peer->validated)
		(void)coap_in_peer_ping(peer);
}

static void on_ping_over(struct ping *ping, bool acknowledged)
{
	struct coap_in_peer *peer = (struct coap_in_peer *)((char *)ping - offsetof(struct coap_in_peer, ping));
	peer->is_pinged = false;
	if (acknowledged)
		coap_in_peer_heard(peer);
}

bool coap_in_peer_ping(struct coap_in_peer *peer)
{
	if (peer->is_pinged)
		return true;
	if (!coap_in_peer_is_up(peer))
		return false;
	if (!peer->validated) {
		if (!coap_in_peer_may_get(peer, PING_BYTES))
			return false;
		peer->sent += PING_BYTES;
	}
	bool is_sent = COAP_PROTO_RELIABLE(peer->proto) ? coap_session_send_ping(peer->session) != COAP_INVALID_MID
							: ping_send(&peer->ping, peer->session, on_ping_over);
	if (!is_sent)
		return false;
	peer->is_pinged = true;
	peer->pinged_ms = loop_now_ms(peer->link->spec.loop);
	peer->link->counters.pings++;
	return true;
}

/* Also while libcoap still sends it: a notification may be given up first. */
static void forget_ping(struct coap_in_peer *peer)
{
	ping_end(&peer->ping);
	peer->is_pinged = false;
}

void coap_in_peer_heard(struct coap_in_peer *peer)
{
	coap_session_t *session = coap_session_reference(peer->session);
	forget_ping(peer);
	peer->unsettled = 0;
	coap_in_peer_is_alive(peer);
	if (COAP_PROTO_RELIABLE(peer->proto))
		peer->sent = 0;
	peer->validated = true;
	coap_in_request_go_on(peer);
	coap_in_observe_go_on(peer);
	coap_session_release(session);
}

void coap_in_peer_lost(struct coap_in_peer *peer)
{
	coap_session_t *session = coap_session_reference(peer->session);
	forget_ping(peer);
	coap_in_request_drop_waiting(peer);
	coap_in_observe_remove_all(peer);
	coap_session_release(session);
}

void coap_in_peer_is_alive(struct coap_in_peer *peer)
{
	peer->heard_ms = loop_now_ms(peer->link->spec.loop);
	peer->is_challenged = false;
	coap_in_hello_forget(&peer->hello);
}

bool coap_in_peer_is_clogged(const struct coap_in_peer *peer)
{
	return COAP_PROTO_RELIABLE(peer->proto) && peer->sent > MAX_UNREAD_BYTES;
}

/* Without a sign of life while somebody says hello again and again, it has rebooted: its next hello makes a new session. */
static bool is_over(struct coap_in_peer *peer, uint64_t now_ms)
{
	bool is_stream = COAP_PROTO_RELIABLE(peer->proto);
	if (is_stream && (coap_in_peer_is_clogged(peer) || (peer->is_pinged && now_ms - peer->pinged_ms >= PONG_MS)))
		return true;
	if (!peer->hello.n)
		return false;
	if (!peer->is_challenged) {
		peer->is_challenged = true;
		(void)coap_in_peer_ping(peer);
	}
	return coap_in_hello_is_repeated(&peer->hello);
}

/* Who observes something that does not change is asked now and then whether he is there (RFC 7641 §4.5 wants that once a
 * day), and soon where others wait for his place. */
static void ask_quiet(struct coap_in_peer *peer, uint64_t now_ms, unsigned *left)
{
	uint64_t quiet_ms = coap_in_observe_is_full(peer->link) ? QUIET_FULL_MS : QUIET_MS;
	if (!*left || !peer->observers || peer->is_pinged || now_ms - peer->heard_ms < quiet_ms)
		return;
	(*left)--;
	(void)coap_in_peer_ping(peer);
}

void coap_in_peers_tick(struct coap_in_link *link)
{
	uint64_t now_ms = loop_now_ms(link->spec.loop);
	unsigned left = ASKED_A_TICK;
	for (struct coap_in_peer *peer = link->peers, *next; peer; peer = next) {
		next = peer->next;
		bool is_gone = coap_session_get_state(peer->session) == COAP_SESSION_STATE_NONE;
		if (!is_gone && is_over(peer, now_ms)) {
			log_debug("coap_session_ended", "connection=%s peer=%llu", link->spec.name,
				(unsigned long long)peer->number);
			coap_session_disconnected(peer->session, COAP_NACK_TLS_FAILED);
			is_gone = true;
		}
		if (!is_gone && peer->waiting.n)
			coap_in_request_look_at_waiting(peer);
		else if (!is_gone)
			ask_quiet(peer, now_ms, &left);
		else if (peer->observers || peer->waiting.n)
			coap_in_peer_lost(peer);
	}
}

/* --- what may it do? --------------------------------------------------------------------------------------------------- */

static void read_names(struct coap_in_peer *peer)
{
	if (peer->names_known)
		return;
	peer->names_known = true;
	if (peer->proto == COAP_PROTO_DTLS || peer->proto == COAP_PROTO_TLS)
		coap_in_security_names(peer->session, &peer->names);
}

uint8_t coap_in_peer_check(struct coap_in_peer *peer, struct slice path, bool reads, const char **ret_name)
{
	struct coap_in_link *link = peer->link;
	read_names(peer);
	*ret_name = peer->names.n ? peer->names.names[0] : NULL;
	for (size_t i = 0; i < peer->names.n; i++)
		if (allowed_paths_allow(link->allowed, peer->names.names[i], path, reads)) {
			*ret_name = peer->names.names[i];
			return 0;
		}
	if (peer->names.n == 0 && allowed_paths_allow(link->allowed, "*", path, reads))
		return 0;
	log_debug("coap_denied", "connection=%s identity=\"%s\" path=\"%.*s\"", link->spec.name,
		*ret_name ? *ret_name : "", (int)path.len, (const char *)path.data);
	return peer->names.n ? COAP_RESPONSE_CODE_FORBIDDEN : COAP_RESPONSE_CODE_UNAUTHORIZED;
}
