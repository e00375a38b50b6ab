/* SPDX-License-Identifier: Apache-2.0
 *
 * The server under a listener: libmicrohttpd without threads in the loop, one daemon for each address, and the clocks that it
 * lacks. Knows nothing of messages.
 *
 * A connection moves WAITING → HEAD (the first line of a request is there) → BODY → HELD (suspended until somebody has an
 * answer) → ANSWERING → WAITING. Each but HELD ends in time: libmicrohttpd's own time-out begins anew with each byte,
 * so that slow senders would stay for ever. A suspended connection is not watched: that its peer has gone is seen when it
 * is resumed; then libmicrohttpd reads first, and gives up if there is nothing more to come.
 *
 * Threads: the loop's.
 */
#ifndef LINKSPAN_CONNECTORS_HTTP_IN_SERVER_H
#define LINKSPAN_CONNECTORS_HTTP_IN_SERVER_H

#include <microhttpd.h>

#include "connectors/http/in_settings.h"
#include "connectors/http/in_tls.h"
#include "runtime/loop.h"

struct in_server;
struct in_peer; /* a connection */

enum in_phase { IN_WAITING, IN_HEAD, IN_BODY, IN_HELD, IN_ANSWERING };

struct in_server_options {
	const char *name; /* of the connection, for the log */
	struct loop *loop;
	const struct config_list *listen;
	const struct in_limits *limits;
	struct in_tls *tls; /* NULL: none; the server takes a reference */
	void *arg;
	/* The first line of a request has come. What it returns is *request of the others; NULL: no memory. target: as it was sent,
	 * NULL if there is none. */
	void *(*begin)(void *arg, struct MHD_Connection *connection, const char *target);
	MHD_AccessHandlerCallback handle;
	void (*end)(void *arg, void *request); /* of each that has begun */
	/* The answer to a resumed request as it goes over the wire, at most size bytes: for a client that has closed its half of the
	 * connection, which libmicrohttpd takes for the end of it. */
	size_t (*write_answer)(void *arg, void *request, char *out, size_t size);
	/* Once a second. */
	void (*tick)(void *arg);
	/* After in_server_close_intake, from inside: the last connection has ended. */
	void (*drained)(void *arg);
};

/* Listens nowhere yet. options are copied, what they point at is borrowed. NULL: out of memory. */
struct in_server *in_server_new(const struct in_server_options *options) __attribute__((warn_unused_result));
/* Listens at all addresses or at none. 0 or a negative errno, which has been logged. */
int in_server_listen(struct in_server *server) __attribute__((warn_unused_result));
/* Takes no more connections, and ends those that wait for a request. */
void in_server_close_intake(struct in_server *server);
unsigned in_server_connections(const struct in_server *server);
/* Nothing may be suspended. NULL is allowed. Not from inside a callback. */
void in_server_free(struct in_server *server);

/* Handshakes from now on use this one; the server takes a reference. */
void in_server_set_tls(struct in_server *server, struct in_tls *tls);

struct in_peer *in_server_peer(struct MHD_Connection *connection);
void in_server_phase(struct in_peer *peer, enum in_phase phase);
/* From inside `handle`. */
void in_server_suspend(struct in_peer *peer);
/* `handle` is called again, in a later turn. */
void in_server_resume(struct in_peer *peer);
/* Ends a connection whose request cannot be answered by libmicrohttpd, because its body never ends. */
void in_server_break_off(struct in_peer *peer, const char *status_line);
/* Of its certificate, verified; borrowed until the connection ends. 0: none. */
size_t in_server_client_names(struct in_peer *peer, const char *const **ret_names);

struct in_server_counters {
	uint64_t connections, timed_out;
};
struct in_server_counters in_server_counters(const struct in_server *server);

#endif
