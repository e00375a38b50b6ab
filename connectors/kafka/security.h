/* SPDX-License-Identifier: Apache-2.0
 *
 * How a Kafka connection proves who it is and whom it trusts: the sections `tls` and `sasl`. Every client that a
 * connection makes (producer, consumer, the cursor's reader) gets them from here.
 */
#ifndef LINKSPAN_CONNECTORS_KAFKA_SECURITY_H
#define LINKSPAN_CONNECTORS_KAFKA_SECURITY_H

#include <librdkafka/rdkafka.h>

#include "config/schema.h"

struct kafka_tls {
	bool enabled; /* implied by any of the others */
	char *ca, *cert, *key;
	char *key_password;
	bool verify;
};

struct kafka_sasl {
	int mechanism; /* index into the choices */
	char *username; /* NULL: no SASL */
	char *password;
};

extern const struct config_key kafka_tls_keys[];
extern const struct config_key kafka_sasl_keys[];

/* Complains of what is wrong with the two sections; false if anything is. Touches no network. */
bool kafka_security_check(const struct kafka_tls *tls, const struct kafka_sasl *sasl, struct config_scope *scope);

/* 0, or -EINVAL with the library's sentence in errstr. */
int kafka_security_conf(const struct kafka_tls *tls, const struct kafka_sasl *sasl, rd_kafka_conf_t *conf, char *errstr,
	size_t errstr_size) __attribute__((warn_unused_result));

#endif
