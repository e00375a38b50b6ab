/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS as a filter between bytes and bytes: OpenSSL over memory BIOs, no socket in sight. The transport feeds
 * it what the network brought and sends what it puts out. Verification of chain and host name is on unless it
 * is turned off.
 *
 * Each is one thread's, the loop's or that of a check. tls_new reads the client's files anew each time and those of authorities
 * when they have changed, so that a renewed certificate needs no restart.
 */
#ifndef LINKSPAN_CONNECTORS_MQTT_TLS_H
#define LINKSPAN_CONNECTORS_MQTT_TLS_H

#include "config/schema.h"
#include "message/buffer.h"

struct tls;

struct tls_options {
	const char *ca; /* PEM file of the authorities to trust; NULL: the system's */
	const char *cert, *key; /* PEM files of the client; both or neither */
	const char *host; /* name or address that the certificate must be for; also sent as SNI if it is a name */
	const struct config_list
		*alpn; /* names of protocols to offer, in the order of preference; NULL or empty: none */
	bool only_1_3; /* nothing below TLS 1.3; else nothing below 1.2 */
	bool insecure; /* verify nothing */
};

/* What is wrong with the names for ALPN (RFC 7301 §3.1), or NULL. */
const char *tls_alpn_check(const struct config_list *alpn);

/* 0 and a client's half of a connection, or -EINVAL (a file cannot be used) or -ENOMEM. `error` then says
 * what is wrong and what to do about it. */
int tls_new(const struct tls_options *options, struct tls **ret_tls, char *error, size_t error_size)
	__attribute__((warn_unused_result));
void tls_free(struct tls *tls); /* NULL is allowed */

/* Bytes from the network. -ENOMEM. */
int tls_feed(struct tls *tls, const void *data, size_t len) __attribute__((warn_unused_result));

/* Each of these may leave output. 0, -EAGAIN (needs more from the network), -EPROTO (over; see tls_error). */
int tls_handshake(struct tls *tls) __attribute__((warn_unused_result));
int tls_write(struct tls *tls, const void *data, size_t len) __attribute__((warn_unused_result));
void tls_shutdown(struct tls *tls);
/* Appends what can be read to `buf`, within its capacity: the number of bytes (0: none now, or no capacity
 * left), -EPIPE (the peer has ended the connection), -EPROTO. */
int tls_read(struct tls *tls, struct buffer *buf) __attribute__((warn_unused_result));
/* Appends what is to be sent. 0, -ENOMEM or -ENOBUFS. */
int tls_take_output(struct tls *tls, struct buffer *buf) __attribute__((warn_unused_result));

/* Why the last call failed and what to do, one or two sentences, valid until tls_free. */
const char *tls_error(const struct tls *tls);
/* The failure is one that waiting does not mend: a certificate that is refused. */
bool tls_error_lasts(const struct tls *tls);

#endif
