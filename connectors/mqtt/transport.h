/* SPDX-License-Identifier: Apache-2.0
 *
 * One network connection to a broker: name resolution, TCP to the first address that answers, TLS if asked
 * for, bytes in, bytes out. It knows nothing of MQTT, keeps no time but the head start of an address over the
 * next one, and never connects again: its owner makes a new one.
 *
 * Life: transport_open → connected → (readable, written)* → failed at most once → transport_close → closed.
 * Events come from the loop, never from inside a call of the owner's. No event but `closed` follows
 * transport_close, and `closed` is the last: the memory is gone when it returns. Loop thread only; nothing
 * blocks except reading the TLS files.
 */
#ifndef LINKSPAN_CONNECTORS_MQTT_TRANSPORT_H
#define LINKSPAN_CONNECTORS_MQTT_TRANSPORT_H

#include "connectors/mqtt/proxy.h"
#include "connectors/mqtt/tls.h"
#include "runtime/loop.h"

/* Bytes read in one turn of the loop before others get their turn. */
#define TRANSPORT_TURN_BYTES (256u * 1024)
/* The first size of the input buffer, and the size to which it goes back. */
#define TRANSPORT_INPUT_BYTES (64u * 1024)

struct transport;

struct transport_events {
	void (*connected)(void *ctx); /* TLS included: handshake done, peer verified */
	void (*readable)(void *ctx); /* transport_input has grown */
	void (*written)(void *ctx); /* transport_written has advanced since the last flush: the kernel took
					 what it left */
	/* reason: for people, says what to do where something can be done. lasts: waiting will not mend it.
	 */
	void (*failed)(void *ctx, const char *reason, bool lasts);
	void (*closed)(void *ctx);
};

struct transport_options {
	struct loop *loop;
	const char *host; /* name, IPv4 or IPv6 address without brackets; copied */
	uint16_t port;
	const struct mqtt_proxy *proxy; /* to go through; borrowed during transport_open; NULL: none */
	const struct tls_options *tls; /* borrowed during transport_open; its host NULL: that of above; NULL: no TLS */
	size_t output_limit; /* most bytes that may gather between two writes */
	const struct transport_events *events; /* borrowed for the life of the transport */
	void *ctx;
};

/* 0, or a negative errno with what is wrong in `error`: then there is no transport and no event. */
int transport_open(const struct transport_options *options, struct transport **ret_transport, char *error,
	size_t error_size) __attribute__((warn_unused_result));

/* Ends it. Bytes that were appended are still sent, for at most linger_ms (0: dropped); then TLS and TCP are
 * closed. */
void transport_close(struct transport *transport, uint64_t linger_ms);

/* What has been read and not consumed; until the next call of consume or expect, or the return to the loop.
 */
struct slice transport_input(const struct transport *transport);
void transport_consume(struct transport *transport, size_t count);
/* A packet of that many bytes is coming: makes room for it. 0 or -ENOMEM. */
int transport_expect(struct transport *transport, size_t bytes) __attribute__((warn_unused_result));

/* Reads no more (within what one read brings), so that the peer has to wait; or goes on. For one whose own reader is
 * slow. */
void transport_hold(struct transport *transport, bool hold);

/* Where to append what is to be sent, only after `connected`; it goes out with transport_flush and not
 * before. A flush gives the kernel at once what it takes (compare transport_written); the rest follows, then
 * `written`. */
struct buffer *transport_output(struct transport *transport);
void transport_flush(struct transport *transport);
uint64_t transport_appended(const struct transport *transport); /* bytes, since the start */
uint64_t transport_written(const struct transport *transport); /* of these, given to the kernel */

#endif
