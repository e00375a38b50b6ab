/* SPDX-License-Identifier: Apache-2.0
 *
 * Which addresses a request must not go to when its URL has come from outside: those that lead into one's own network, to
 * one's own machine, or to nobody. Of IANA's registries of special-purpose addresses (RFC 6890 and its updates), with the
 * IPv4 addresses that lie inside IPv6 ones.
 *
 * Pure; any thread.
 */
#ifndef LINKSPAN_CONNECTORS_COMMON_GUARD_H
#define LINKSPAN_CONNECTORS_COMMON_GUARD_H

#include <sys/socket.h>

/* NULL if it is a public unicast address of AF_INET or AF_INET6, else what it is, for people: "a loopback address". len:
 * of the address; one that is too short for its family is refused. */
const char *guard_refusal(const struct sockaddr *address, socklen_t len);

#endif
