/* SPDX-License-Identifier: Apache-2.0
 *
 * The server under a listener: a context of libcoap for datagrams and one for streams, their endpoints, and what libcoap
 * calls. One resource stands for all paths; /.well-known/core must be another, or libcoap answers for it.
 *
 * libcoap sets SO_REUSEADDR on UDP sockets, with which two programs share a port and one of them gets nothing: whether the
 * address is free is tried before. It gives no reason for what fails either.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "connectors/coap/descriptors.h"
#include "connectors/coap/in_address.h"
#include "connectors/coap/in_link.h"
#include "runtime/log.h"

#define RECEIVE_BYTES (4 * 1024 * 1024) /* the system gives as much of it as net.core.rmem_max says */
#define BACKLOG       512
#define OPTIONS_BYTES 4096u /* of a message besides its payload, at most */

/* --- what libcoap calls ------------------------------------------------------------------------------------------------ */

static struct coap_in_link *link_of(const coap_session_t *session)
{
	return coap_get_app_data(coap_session_get_context(session));
}

/* No code and this type: libcoap sends nothing, and the answer is ours. */
static void on_request(coap_resource_t *resource, coap_session_t *session, const coap_pdu_t *pdu,
	const coap_string_t *query, coap_pdu_t *response)
{
	struct coap_in_link *link = link_of(session);
	(void)resource, (void)query;
	coap_pdu_set_type(response, COAP_MESSAGE_NON);
	if (coap_is_mcast(coap_session_get_addr_local(session)))
		coap_in_group_take(link, session, pdu, response);
	else
		coap_in_request_take(link, session, pdu);
}

/* Connections take descriptors that files and other connections need. */
static size_t max_streams(const struct coap_in_link *link)
{
	size_t most = (size_t)link->settings->in.limits.max_sessions, share = coap_descriptors_share();
	return share < most ? share : most;
}

static void on_new_stream(struct coap_in_link *link, coap_session_t *session)
{
	if (link->closing || link->n_streams >= max_streams(link)) {
		coap_session_disconnected(session, COAP_NACK_NOT_DELIVERABLE);
		return;
	}
	if (coap_in_peer_of(link, session))
		link->n_streams++;
	else
		coap_session_disconnected(session, COAP_NACK_NOT_DELIVERABLE);
}

static void on_handshake(struct coap_in_link *link, coap_session_t *session)
{
	struct coap_in_peer *peer = coap_in_peer_of(link, session);
	if (peer && peer->proto == COAP_PROTO_DTLS)
		coap_in_hello_watch(session, link->spec.loop, &peer->hello);
}

static int on_event(coap_session_t *session, coap_event_t event)
{
	struct coap_in_link *link = link_of(session);
	struct coap_in_peer *peer = coap_session_get_app_data(session);
	if (event == COAP_EVENT_SERVER_SESSION_NEW && COAP_PROTO_RELIABLE(coap_session_get_proto(session)))
		on_new_stream(link, session);
	else if (event == COAP_EVENT_DTLS_CONNECTED)
		on_handshake(link, session);
	else if (event == COAP_EVENT_SERVER_SESSION_DEL && peer) {
		if (COAP_PROTO_RELIABLE(peer->proto))
			link->n_streams--;
		coap_in_peer_free(peer);
	}
	return 0;
}

/* A reset, or nothing at all. All else ends the session, maybe while we send to it: that is looked for once a second. */
static void on_nack(
	coap_session_t *session, const coap_pdu_t *sent, const coap_nack_reason_t reason, const coap_mid_t mid)
{
	struct coap_in_peer *peer = coap_session_get_app_data(session);
	(void)mid;
	if (!peer || COAP_PROTO_RELIABLE(peer->proto))
		return;
	if (coap_pdu_get_code(sent) == COAP_EMPTY_CODE)
		ping_end(&peer->ping);
	if (reason == COAP_NACK_TOO_MANY_RETRIES) {
		coap_in_peer_lost(peer);
	} else if (reason == COAP_NACK_RST) {
		if (coap_pdu_get_code(sent) == COAP_EMPTY_CODE) {
			coap_in_peer_heard(peer);
			return;
		}
		coap_bin_const_t token = coap_pdu_get_token(sent);
		coap_in_observe_remove(peer, slice_of(token.s, token.length));
	}
}

static void on_pong(coap_session_t *session, const coap_pdu_t *received, const coap_mid_t mid)
{
	struct coap_in_peer *peer = coap_session_get_app_data(session);
	(void)received, (void)mid;
	if (peer)
		coap_in_peer_heard(peer);
}

/* --- contexts ---------------------------------------------------------------------------------------------------------- */

static void register_methods(coap_resource_t *resource)
{
	static const coap_request_t methods[] = {COAP_REQUEST_GET, COAP_REQUEST_POST, COAP_REQUEST_PUT,
		COAP_REQUEST_DELETE, COAP_REQUEST_FETCH, COAP_REQUEST_PATCH, COAP_REQUEST_IPATCH};
	for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
		coap_register_request_handler(resource, methods[i], on_request);
}

static int add_resources(coap_context_t *context)
{
	static coap_str_const_t core = {.length = 16, .s = (const uint8_t *)".well-known/core"};
	coap_resource_t *all = coap_resource_unknown_init2(on_request, 0);
	coap_resource_t *list = coap_resource_init(&core, 0);
	if (all) {
		register_methods(all);
		coap_add_resource(context, all);
	}
	if (list) {
		register_methods(list);
		coap_add_resource(context, list);
	}
	return all && list ? 0 : -ENOMEM;
}

static int open_context(struct coap_in_link *link, bool datagrams, struct coap_loop **ret_watch)
{
	const struct coap_limits *limits = &link->settings->in.limits;
	struct coap_loop *watch;
	int r = coap_loop_new(link->spec.loop, datagrams, link, &watch);
	if (r < 0)
		return r;
	*ret_watch = watch;
	coap_context_t *context = coap_loop_context(watch);
	coap_context_set_block_mode(context, 0);
	coap_context_set_max_idle_sessions(context, (unsigned)limits->max_sessions);
	coap_context_set_max_handshake_sessions(context, (unsigned)limits->max_handshakes);
	coap_context_set_session_timeout(context, (unsigned)((limits->session_timeout_ms + 999) / 1000));
	/* What it announces over TCP is what it lets a message grow to; 8 MiB otherwise. */
	coap_context_set_csm_max_message_size(context, (uint32_t)limits->max_body + OPTIONS_BYTES);
	coap_register_event_handler(context, on_event);
	coap_register_nack_handler(context, on_nack);
	coap_register_pong_handler(context, on_pong);
	r = add_resources(context);
	return r == 0 && link->security ? coap_in_security_use(link->security, context) : r;
}

/* --- endpoints --------------------------------------------------------------------------------------------------------- */

/* Is it free? 0 or a negative errno. */
static int try_address(const struct coap_in_address *address)
{
	int on = 1, type = coap_scheme_is_datagram(address->scheme) ? SOCK_DGRAM : SOCK_STREAM;
	const struct sockaddr *at = (const struct sockaddr *)&address->at.at;
	int fd = socket(at->sa_family, type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (type == SOCK_STREAM)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	int r = bind(fd, at, address->at.len) == 0 ? 0 : -errno;
	if (r == 0 && type == SOCK_STREAM && listen(fd, 1) != 0)
		r = -errno;
	close(fd);
	return r;
}

/* The descriptor that the next socket gets; -1: none. */
static int next_descriptor(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), number = fd;
	if (fd >= 0)
		close(fd);
	return number;
}

/* libcoap keeps its sockets to itself. If this is the one that it has just made: UDP loses what comes in a burst unless it
 * has room, and the queue of connections is five long. */
static void tune(int fd, const struct coap_in_address *address)
{
	struct sockaddr_storage at;
	socklen_t len = sizeof at, type_len = sizeof(int);
	int type = 0, room = RECEIVE_BYTES;
	if (fd < 0 || getsockname(fd, (struct sockaddr *)&at, &len) != 0 || len != address->at.len ||
		at.ss_family != address->at.at.ss_family || getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len) != 0)
		return;
	if (type == SOCK_DGRAM && coap_scheme_is_datagram(address->scheme))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
	else if (type == SOCK_STREAM && !coap_scheme_is_datagram(address->scheme))
		(void)!listen(fd, BACKLOG);
}

static int open_endpoint(struct coap_in_link *link, const struct coap_in_address *address)
{
	struct coap_loop **watch = coap_scheme_is_datagram(address->scheme) ? &link->datagrams : &link->streams;
	coap_address_t at;
	int r = try_address(address);
	if (r == 0 && !*watch)
		r = open_context(link, coap_scheme_is_datagram(address->scheme), watch);
	if (r < 0)
		return r;
	coap_address_init(&at);
	memcpy(&at.addr, &address->at.at, address->at.len);
	at.size = address->at.len;
	int fd = next_descriptor();
	coap_endpoint_t *endpoint =
		coap_new_endpoint(coap_loop_context(*watch), &at, coap_scheme_proto(address->scheme));
	if (!endpoint)
		return -EIO;
	tune(fd, address);
	char text[96];
	snprintf(text, sizeof text, "%s", coap_endpoint_str(endpoint));
	text[strcspn(text, " ")] = '\0';
	log_info("coap_listening", "connection=%s address=%s://%s", link->spec.name, coap_scheme_name(address->scheme),
		text);
	return 0;
}

static const char *advice(int error)
{
	switch (error) {
	case -EADDRINUSE:
		return "another program listens there, perhaps another linkspan: end it, or give this one another port";
	case -EADDRNOTAVAIL:
		return "this machine has no such address: correct it";
	case -EINVAL:
	case -ENODEV:
		return "this machine has no such interface now: correct it, or bring it up";
	case -EACCES:
		return "ports below 1024 need a privilege: take a higher one";
	default:
		return "correct listen";
	}
}

static int join_groups(struct coap_in_link *link)
{
	const struct config_list *groups = &link->settings->in.multicast;
	char group[COAP_IN_GROUP_SIZE], interface[COAP_IN_GROUP_SIZE];
	for (size_t i = 0; i < groups->n && link->datagrams; i++) {
		const char *text = groups->items[i].value;
		coap_loop_forget_reason();
		if (coap_in_group_parse(text, group, interface) == NULL &&
			coap_join_mcast_group_intf(
				coap_loop_context(link->datagrams), group, interface[0] ? interface : NULL) == 0)
			continue;
		log_error("coap_group_failed", "connection=%s group=%s error=\"%s\" what=\"correct multicast\"",
			link->spec.name, text, coap_loop_reason());
		return -EINVAL;
	}
	return 0;
}

int coap_in_server_open(struct coap_in_link *link)
{
	const struct config_list *listen = &link->settings->listen;
	struct coap_in_address address;
	int r = 0;
	for (size_t i = 0; i < listen->n && r == 0; i++) {
		const char *text = listen->items[i].value;
		coap_loop_forget_reason();
		r = coap_in_address_parse(text, &address) ? -EINVAL : open_endpoint(link, &address);
		if (r < 0)
			log_error("coap_listen_failed", "connection=%s address=%s error=\"%s%s%s\" what=\"%s\"",
				link->spec.name, text, strerror(-r), *coap_loop_reason() ? ": " : "",
				coap_loop_reason(), advice(r));
	}
	if (r == 0)
		r = join_groups(link);
	if (r < 0)
		coap_in_server_close(link);
	return r;
}

void coap_in_server_close(struct coap_in_link *link)
{
	for (struct coap_in_peer *peer = link->peers; peer; peer = peer->next)
		coap_in_peer_lost(peer);
	if (link->security)
		coap_in_security_unuse(link->security);
	while (link->peers)
		coap_in_peer_free(link->peers);
	coap_loop_free(link->datagrams);
	coap_loop_free(link->streams);
	link->datagrams = link->streams = NULL;
	link->n_streams = 0;
}
