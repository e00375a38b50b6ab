/* SPDX-License-Identifier: Apache-2.0
 *
 * SCRAM for a library that cannot: librdkafka before 2.6.1 repeats its nonce in the last message, which brokers refuse since
 * 3.8.1 whatever the password. So the library is left to speak plainly over a socket pair, and a thread per connection
 * stands at the other end: it connects, does TLS and the login, and passes bytes on.
 *
 * Nothing listens anywhere: the library's ends exist in this process alone.
 */
#ifndef LINKSPAN_CONNECTORS_KAFKA_GATEWAY_H
#define LINKSPAN_CONNECTORS_KAFKA_GATEWAY_H

#include "connectors/kafka/channel.h"
#include "connectors/kafka/settings.h"

struct gateway;

/* Must this connection have one? */
bool gateway_wanted(const struct kafka_sasl *sasl);

/* NULL with a sentence in errstr. settings: borrowed. */
struct gateway *gateway_new(const struct kafka_settings *settings, char *errstr, size_t errstr_size)
	__attribute__((warn_unused_result));
/* When the library has closed its sockets. Ends all threads, at once. NULL is allowed. */
void gateway_free(struct gateway *gateway);

/* What rd_kafka_conf_set_socket_cb and _connect_cb are asked for; any thread, without blocking. */
int gateway_socket(struct gateway *gateway);
int gateway_connect(
	struct gateway *gateway, int fd, const struct sockaddr *address, socklen_t address_len, const char *broker);

/* Why the last connection ended before its login was done; false: it did not. */
bool gateway_failure(struct gateway *gateway, struct channel_failure *ret_failure);

#endif
