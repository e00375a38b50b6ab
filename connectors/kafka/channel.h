/* SPDX-License-Identifier: Apache-2.0
 *
 * One connection to a broker, with or without TLS, of a thread that may wait. Until it is handed over to a pump it has a
 * deadline, and ends at once when one of the descriptors it watches is closed by its peer or can be read.
 */
#ifndef LINKSPAN_CONNECTORS_KAFKA_CHANNEL_H
#define LINKSPAN_CONNECTORS_KAFKA_CHANNEL_H

#include <sys/socket.h>

#include "connectors/kafka/security.h"

struct ssl_ctx_st;
struct channel;

/* What became of a channel, for the log or an alarm. */
struct channel_failure {
	bool person; /* waiting does not mend it */
	bool hang_up; /* the broker merely hung up: from one that has let us in before, this means nothing */
	char sentence[400];
};

/* The context for all channels of a client; NULL with a sentence when a file cannot be used. */
struct ssl_ctx_st *channel_tls_new(const struct kafka_tls *tls, char *error, size_t error_size)
	__attribute__((warn_unused_result));
void channel_tls_free(struct ssl_ctx_st *ctx); /* NULL is allowed */

struct channel_options {
	struct ssl_ctx_st *ctx; /* NULL: no TLS */
	bool verify;
	bool has_certificate; /* of our own: for what is said when it is refused */
	const struct sockaddr *address;
	socklen_t address_len;
	const char *broker; /* host:port, for the certificate and for what is said */
	int closed_fd; /* its peer's closing ends the opening */
	int stop_fd; /* its being readable does */
	uint64_t timeout_ms; /* for all until it is handed over */
};

/* Connects and shakes hands. 0 and a channel, or a negative errno with ret_failure; -ECANCELED. */
int channel_open(const struct channel_options *options, struct channel **ret_channel,
	struct channel_failure *ret_failure) __attribute__((warn_unused_result));
void channel_close(struct channel *channel); /* NULL is allowed */

/* All of it within the deadline. 0, or a negative errno: -EPIPE when the broker hangs up, -ETIMEDOUT, -ECANCELED. */
int channel_write_all(struct channel *channel, const void *data, size_t len) __attribute__((warn_unused_result));
int channel_read_all(struct channel *channel, void *data, size_t len) __attribute__((warn_unused_result));

/* What can be done now: the number of bytes; -EAGAIN, and *ret_events is what to poll for; -EPIPE: over. */
ssize_t channel_try_write(struct channel *channel, const void *data, size_t len, short *ret_events)
	__attribute__((warn_unused_result));
ssize_t channel_try_read(struct channel *channel, void *data, size_t len, short *ret_events)
	__attribute__((warn_unused_result));
int channel_fd(const struct channel *channel);
/* Why the last call failed with -EPIPE, if TLS knows more than that. */
bool channel_refusal(const struct channel *channel, struct channel_failure *ret_failure);

#endif
