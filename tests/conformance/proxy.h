/* SPDX-License-Identifier: Apache-2.0
 *
 * A TCP proxy on a loopback port of its own, with which a test cuts, refuses or stalls what a link and its peer say to
 * each other, while the peer stays as it is. Ends the program if it cannot be had.
 *
 * Threads: one of its own moves the bytes; each function returns when it has taken effect.
 */
#ifndef LINKSPAN_TESTS_CONFORMANCE_PROXY_H
#define LINKSPAN_TESTS_CONFORMANCE_PROXY_H

struct proxy;

struct proxy *proxy_new(int peer_port); /* passes */
int proxy_port(const struct proxy *proxy);
void proxy_pass(struct proxy *proxy); /* listens and moves bytes */
void proxy_stall(struct proxy *proxy); /* connections stay, new ones are made, nothing moves */
void proxy_cut(struct proxy *proxy); /* connections are reset, new ones refused */
void proxy_free(struct proxy *proxy);

#endif
