/* SPDX-License-Identifier: Apache-2.0
 *
 * A network without a network, for the fuzz target of the session machine: this implements connectors/mqtt/transport.h,
 * so a program that links wire.c has no sockets. What a socket would do is done by whoever plays the network: connections
 * succeed, fail, bring bytes and take bytes only when told to. What the engine has flushed is handed over at once; when
 * it counts as taken by the kernel is another matter, see wire_let.
 *
 * One network at a time; the thread that calls.
 */
#ifndef LINKSPAN_TESTS_FUZZ_SESSION_WIRE_H
#define LINKSPAN_TESTS_FUZZ_SESSION_WIRE_H

#include "connectors/mqtt/transport.h"

/* Bytes that a connection has flushed, in order. `opened` counts connections from 1. */
typedef void (*wire_sent_fn)(unsigned opened, struct slice bytes);

void wire_init(wire_sent_fn sent);
/* The connection that the link uses now: 0 or its number. */
unsigned wire_open(void);
bool wire_connected(void);
unsigned wire_left(void); /* transports that exist, closing ones included */

/* Each does nothing when there is no such connection. */
void wire_connect(void);
void wire_fail(bool lasts);
void wire_feed(struct slice bytes); /* only when connected */
/* The kernel takes that many bytes more; UINT64_MAX: all that will ever come. */
void wire_let(uint64_t bytes);

#endif
