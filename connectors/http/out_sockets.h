/* SPDX-License-Identifier: Apache-2.0
 *
 * The sockets of libcurl on the loop: opened, polled, closed. A connection that libcurl keeps for later stays polled for
 * reading: to stop and start that for each request would be three system calls. It is closed here, so that polling ends
 * before its number is used again.
 *
 * Threads: the loop's.
 */
#ifndef LINKSPAN_CONNECTORS_HTTP_OUT_SOCKETS_H
#define LINKSPAN_CONNECTORS_HTTP_OUT_SOCKETS_H

#include <curl/curl.h>
#include <stdint.h>

#include "runtime/loop.h"

struct http_sockets;

struct http_sockets_options {
	struct loop *loop;
	/* A socket that libcurl wants is ready: for curl_multi_socket_action. */
	void (*on_ready)(curl_socket_t fd, int mask, void *arg);
	/* All have been told that were ready in this turn of the loop. */
	void (*on_all_ready)(void *arg);
	void *arg;
};

/* NULL: memory is out. */
struct http_sockets *http_sockets_new(const struct http_sockets_options *options) __attribute__((warn_unused_result));
/* Ends polling; sockets that are open stay so. NULL is allowed. */
void http_sockets_free(struct http_sockets *sockets);

/* A socket that does not block, for CURLOPT_OPENSOCKETFUNCTION; CURL_SOCKET_BAD. */
curl_socket_t http_sockets_open(struct http_sockets *sockets, struct curl_sockaddr *address);
/* For CURLOPT_CLOSESOCKETFUNCTION. */
int http_sockets_close(struct http_sockets *sockets, curl_socket_t fd);
/* For CURLMOPT_SOCKETFUNCTION. what: CURL_POLL_IN… -1: memory is out. */
int http_sockets_want(struct http_sockets *sockets, curl_socket_t fd, int what);
/* The connection with these ends has got as far as a request: it will be closed by http_sockets_close. */
void http_sockets_note_kept(struct http_sockets *sockets, const char *peer, int peer_port, int own_port);

uint64_t http_sockets_opened(const struct http_sockets *sockets); /* so far */

#endif
