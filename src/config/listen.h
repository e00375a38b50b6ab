/* SPDX-License-Identifier: Apache-2.0
 *
 * Addresses to listen on, as they are written in the file: `127.0.0.1:9464`, `[::1]:9464`, `[fe80::1%eth0]:9464`, `localhost:9464`. Numbers,
 * not names: to look one up could block, and would have to be guessed at check time. Any thread.
 */
#ifndef LINKSPAN_CONFIG_LISTEN_H
#define LINKSPAN_CONFIG_LISTEN_H

#include <stdbool.h>
#include <sys/socket.h>

struct listen_address {
	struct sockaddr_storage at;
	socklen_t len;
	bool loopback; /* nobody but this machine can reach it */
};

/* NULL; or what is wrong and what would be right, one static sentence. Port 0 is any that is free. */
const char *listen_parse(const char *text, struct listen_address *ret_address) __attribute__((warn_unused_result));

#endif
