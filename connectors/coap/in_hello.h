/* SPDX-License-Identifier: Apache-2.0
 *
 * A ClientHello that comes to a session of DTLS which is there already: of a device that has rebooted, or a late copy, or of
 * whoever writes the device's address into his datagrams. OpenSSL drops it without a word, so the device would be mute until its
 * old session goes. RFC 6347 §4.2.8 wants a cookie asked for, which cannot be done from outside of libcoap: its own one would
 * come second, and clients do not take a second one. So it is told by its manners: a client that gets no answer repeats its
 * hello for as long as a minute, and its old session answers no ping.
 *
 * Threads: the loop's.
 */
#ifndef LINKSPAN_CONNECTORS_COAP_IN_HELLO_H
#define LINKSPAN_CONNECTORS_COAP_IN_HELLO_H

#include <coap3/coap.h>
#include <stdbool.h>

#include "runtime/loop.h"

struct coap_in_hello {
	struct loop *loop;
	uint8_t own[32]; /* random bytes of the client that made the session */
	unsigned n; /* hellos of another handshake than the session's, repetitions that come too soon left out */
	uint64_t first_ms, last_ms;
};

/* Watches an established session until it ends. hello must live for as long. */
void coap_in_hello_watch(coap_session_t *session, struct loop *loop, struct coap_in_hello *hello);
void coap_in_hello_unwatch(coap_session_t *session);
/* Is somebody there who repeats his hello, and has done so for long enough to have had the pong of the old session meanwhile? */
bool coap_in_hello_is_repeated(const struct coap_in_hello *hello);
/* The session has shown that it lives. */
void coap_in_hello_forget(struct coap_in_hello *hello);

#endif
