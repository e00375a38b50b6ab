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

/* An error event. finding: what else is known of the client's last failure, or "". True, with a sentence for an alarm, when
 * a person must do something; the sentence stays the same when the error comes again, also from other brokers. */
bool kafka_diagnose(const struct kafka_settings *settings, bool was_up, rd_kafka_resp_err_t err, const char *text,
	const char *finding, char *sentence, size_t size);

#endif
