/* SPDX-License-Identifier: Apache-2.0
 *
 * The leash of the Paho client: one connection of Paho's to a broker, which passes through this process's loop. Paho
 * connects to a port of 127.0.0.1 as if to an HTTP proxy (CONNECT); from there the bytes go through a transport, which
 * resolves names, tries addresses, speaks TLS and passes real proxies. So none of these holds up Paho, whose one lock
 * is for all connections, and, above all, the loop can end a connection in a way that nothing that Paho says later
 * reaches the broker: relay_cut. The port listens until Paho has come, and takes only who knows a random token.
 *
 * Life: relay_open → connected → failed or ended → relay_close or relay_cut → closed, the last event; the memory is gone
 * when it returns. Events come from the loop, never from inside a call, and none but `closed` follows close and cut.
 * Loop thread only; nothing blocks but the reading of TLS files.
 */
#ifndef LINKSPAN_CONNECTORS_MQTT_RELAY_H
#define LINKSPAN_CONNECTORS_MQTT_RELAY_H

#include "connectors/mqtt/transport.h"

struct relay;

struct relay_events {
	void (*connected)(void *ctx); /* the broker's end is there */
	/* The broker's end has failed; see transport_events.failed. What had come from there still reaches Paho, then the
	 * end of the stream. */
	void (*failed)(void *ctx, const char *reason, bool lasts);
	void (*ended)(void *ctx); /* Paho has closed its end */
	void (*closed)(void *ctx);
};

struct relay_options {
	struct loop *loop;
	const char *host; /* of the broker; copied */
	uint16_t port;
	const struct mqtt_proxy *proxy; /* NULL: none; borrowed until `closed`, as the next ones */
	const struct tls_options *tls; /* NULL: no TLS */
	const struct relay_events *events;
	void *ctx;
};

/* 0, or a negative errno with what is wrong in `error`. The relay is there in any case, to be closed, but for -ENOMEM
 * without one (*ret_relay is NULL). */
int relay_open(const struct relay_options *options, struct relay **ret_relay, char *error, size_t error_size)
	__attribute__((warn_unused_result));

/* The proxy that Paho is to be told of, http://name:token@127.0.0.1:port. For the life of the relay; never log it. */
const char *relay_proxy_url(const struct relay *relay);

/* What has been read from Paho still goes to the broker, for at most linger_ms. Paho's end is closed when it returns. */
void relay_close(struct relay *relay, uint64_t linger_ms);
/* The same, for at most a second, and what Paho has written so far goes too. Nothing that Paho writes after its return reaches the broker. */
void relay_cut(struct relay *relay);

#endif
