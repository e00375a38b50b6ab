/* SPDX-License-Identifier: Apache-2.0
 *
 * Logs in to a broker by SCRAM, on a connection on which nothing has been said yet (KIP-43, KIP-152): SaslHandshake, then
 * the messages of SCRAM in SaslAuthenticate. Blocks the thread that owns the channel.
 */
#ifndef LINKSPAN_CONNECTORS_KAFKA_SASL_LOGIN_H
#define LINKSPAN_CONNECTORS_KAFKA_SASL_LOGIN_H

#include "connectors/kafka/channel.h"

/* 0, or a negative errno with ret_failure; -ECANCELED. tls: the channel has it. */
int sasl_login(struct channel *channel, const struct kafka_sasl *sasl, bool tls, const char *client_id,
	struct channel_failure *ret_failure) __attribute__((warn_unused_result));

#endif
