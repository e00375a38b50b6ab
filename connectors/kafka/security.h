/* SPDX-License-Identifier: Apache-2.0
 *
 * How a Kafka connection proves who it is and whom it trusts: the sections `tls` and `sasl`. Every client that a
 * connection makes (producer, consumer, the cursor's reader) gets them from here.
 */
#ifndef LINKSPAN_CONNECTORS_KAFKA_SECURITY_H
#define LINKSPAN_CONNECTORS_KAFKA_SECURITY_H

#include <librdkafka/rdkafka.h>

#include "config/schema.h"
#include "connectors/common/oauth.h"

struct kafka_tls {
	bool enabled; /* implied by any of the others */
	char *ca, *cert, *key;
	char *key_password;
	bool verify;
};

struct kafka_sasl {
	int mechanism; /* index into the choices */
	char *username; /* NULL: no SASL, unless by tokens */
	char *password;
	struct oauth_settings oauth;
	struct config_list extensions;
};

extern const struct config_key kafka_tls_keys[];
extern const struct config_key kafka_sasl_keys[];

/* Complains of what is wrong with the two sections; false if anything is. Reads the files; touches no network. */
bool kafka_security_check(const struct kafka_tls *tls, const struct kafka_sasl *sasl, const struct config_list *brokers,
	struct config_scope *scope);

/* Why a property of that name would have no effect with this login, and what would be right; NULL: it has. */
const char *kafka_security_refuses_property(const struct kafka_sasl *sasl, const char *name);

bool kafka_tls_used(const struct kafka_tls *tls);
/* Is there SASL at all, and is it OAUTHBEARER? */
bool kafka_sasl_used(const struct kafka_sasl *sasl);
bool kafka_sasl_uses_tokens(const struct kafka_sasl *sasl);
/* By the name that Kafka knows. */
const char *kafka_sasl_mechanism(const struct kafka_sasl *sasl);

/* 0, or -EINVAL with the library's sentence in errstr. */
int kafka_security_conf(const struct kafka_tls *tls, const struct kafka_sasl *sasl, rd_kafka_conf_t *conf, char *errstr,
	size_t errstr_size) __attribute__((warn_unused_result));

#endif
