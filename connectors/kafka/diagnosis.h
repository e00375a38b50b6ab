/* SPDX-License-Identifier: Apache-2.0
 *
 * Which part of a connection's security does not fit, told from the library's errors: they say what happened to a socket,
 * a person wants to know what to change. Pure functions, any thread.
 */
#ifndef LINKSPAN_CONNECTORS_KAFKA_DIAGNOSIS_H
#define LINKSPAN_CONNECTORS_KAFKA_DIAGNOSIS_H

#include "connectors/kafka/settings.h"

/* Why OpenSSL refuses a broker's certificate, in a sentence: error is an X509_V_ERR_…, depth 0 the broker's own. */
void kafka_diagnose_certificate(char *sentence, size_t size, int error, int depth, const char *broker);

/* A TLS alert of the broker, in OpenSSL's words, that speaks of certificates; false: it does not. has_certificate: we have
 * one. */
bool kafka_diagnose_alert(bool has_certificate, const char *text, char *sentence, size_t size);
/* The broker does not offer our mechanism; offered: what it does. */
void kafka_diagnose_mechanism(const struct kafka_sasl *sasl, const char *offered, char *sentence, size_t size);
/* The broker does not let us in; said: its words. */
void kafka_diagnose_login(const struct kafka_sasl *sasl, const char *said, char *sentence, size_t size);

/* What is behind a broker that hangs up, or answers as it should not. */
extern const char kafka_hint_not_tls[], kafka_hint_wants_tls[], kafka_hint_not_sasl[], kafka_hint_login_cut[];

/* An error event. finding: what else is known of the client's last failure, or "". True, with a sentence for an alarm, when
 * a person must do something; the sentence stays the same when the error comes again, also from other brokers. */
bool kafka_diagnose(const struct kafka_settings *settings, bool was_up, rd_kafka_resp_err_t err, const char *text,
	const char *finding, char *sentence, size_t size);

#endif
