/* SPDX-License-Identifier: Apache-2.0
 *
 * A context of libcoap in the loop: its epoll descriptor is polled, a bounded number of datagrams is taken in each turn, and
 * what libcoap has to say goes into our log. Knows nothing of messages; handlers are registered with libcoap itself, which
 * gives them `arg` by coap_get_app_data.
 *
 * Traps of 4.3.1: coap_io_process takes one datagram for each wait, and walks over all sessions each time; its timer, which is
 * part of its descriptor, is set by coap_send from outside as well, but is turned off when it is late; at levels up to
 * LOG_WARNING it writes what any peer can cause.
 *
 * Threads: the loop's. libcoap 4.3.1 has no locks.
 */
#ifndef LINKSPAN_CONNECTORS_COAP_COAP_LOOP_H
#define LINKSPAN_CONNECTORS_COAP_COAP_LOOP_H

#include <coap3/coap.h>

#include "runtime/loop.h"

struct coap_loop;

/* A context without endpoints and sessions. With only_endpoints it may have no other sockets than those of endpoints for UDP
 * and DTLS; datagrams are then taken many at a time. 0 or a negative errno. */
int coap_loop_new(struct loop *loop, bool only_endpoints, void *arg, struct coap_loop **ret_watch)
	__attribute__((warn_unused_result));
coap_context_t *coap_loop_context(const struct coap_loop *watch);
/* Frees the context too, and with it all its sessions: nobody may hold a reference to one. libcoap's handlers are called from
 * inside. NULL is allowed. Not from inside one of its handlers. */
void coap_loop_free(struct coap_loop *watch);

/* What libcoap has warned of last since coap_loop_forget_reason, for the log line of what failed thereby; "" if nothing. Valid
 * until libcoap says more. */
const char *coap_loop_reason(void);
void coap_loop_forget_reason(void);

#endif
