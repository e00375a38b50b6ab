/* SPDX-License-Identifier: Apache-2.0
 *
 * The client's half of SCRAM-SHA-256 and SCRAM-SHA-512 (RFC 5802, RFC 7677), without channel binding, as Kafka has it: three
 * texts, no I/O. Any thread, one at a time.
 */
#ifndef LINKSPAN_CONNECTORS_KAFKA_SCRAM_H
#define LINKSPAN_CONNECTORS_KAFKA_SCRAM_H

#include "message/slice.h"

struct scram;

/* nonce: for tests; NULL: a random one. NULL: out of memory or of randomness. What is given is copied. */
struct scram *scram_new(bool sha512, const char *user, const char *password, const char *nonce)
	__attribute__((warn_unused_result));
void scram_free(struct scram *scram); /* wipes the password; NULL is allowed */

/* The client-first message. Valid until the next call. */
const char *scram_first(struct scram *scram);
/* Reads the server-first message; the client-final one, NULL when the server's cannot be accepted. Takes the time of up to
 * SCRAM_MOST_ITERATIONS hashes. */
const char *scram_final(struct scram *scram, struct slice server_first);
#define SCRAM_LEAST_ITERATIONS 4096L /* with fewer, whoever poses as a broker could guess the password from our proof */
#define SCRAM_MOST_ITERATIONS  1000000L
/* Has the server proved that it knows the password too? */
bool scram_verify(struct scram *scram, struct slice server_final);

#endif
