/* SPDX-License-Identifier: Apache-2.0
 *
 * The error policy of the sink. Errors that librdkafka retries by itself without end (leader changes,
 * time-outs of requests, too few replicas) are not here: with enable.idempotence and message.timeout.ms=0
 * they are never reported.
 */
#include "connectors/kafka/verdict.h"

#include <stdio.h>
#include <string.h>

enum kafka_verdict kafka_verdict(rd_kafka_resp_err_t err)
{
	switch (err) {
	case RD_KAFKA_RESP_ERR_NO_ERROR:
		return KAFKA_DELIVERED;
	case RD_KAFKA_RESP_ERR__QUEUE_FULL:
		return KAFKA_LATER;
	case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
	case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
		return KAFKA_BATCH_TOO_LARGE;
	case RD_KAFKA_RESP_ERR_INVALID_MSG: /* also a null key in a compacted topic, for older brokers */
	case RD_KAFKA_RESP_ERR_INVALID_RECORD:
	case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
	case RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT:
		return KAFKA_BATCH_INVALID;
	case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION: /* not a legal name */
	case RD_KAFKA_RESP_ERR__INVALID_ARG:
		return KAFKA_REJECTED;
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
		return KAFKA_RETRY_ALARM;
	case RD_KAFKA_RESP_ERR__FATAL:
	case RD_KAFKA_RESP_ERR__PURGE_QUEUE: /* what the library does with its queue after one */
	case RD_KAFKA_RESP_ERR__PURGE_INFLIGHT:
	case RD_KAFKA_RESP_ERR__FENCED:
	case RD_KAFKA_RESP_ERR__GAPLESS_GUARANTEE:
	case RD_KAFKA_RESP_ERR__INCONSISTENT:
	case RD_KAFKA_RESP_ERR__STATE:
	case RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER:
	case RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID:
	case RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH:
	case RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING:
	case RD_KAFKA_RESP_ERR_PRODUCER_FENCED:
		return KAFKA_PRODUCER_LOST;
	default:
		return KAFKA_RETRY;
	}
}

bool kafka_needs_person(rd_kafka_resp_err_t err)
{
	switch (err) {
	case RD_KAFKA_RESP_ERR__AUTHENTICATION:
	case RD_KAFKA_RESP_ERR__SSL:
	case RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE:
	case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
	case RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM:
	case RD_KAFKA_RESP_ERR_ILLEGAL_SASL_STATE:
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_SECURITY_DISABLED:
		return true;
	default:
		return false;
	}
}

void kafka_reason(char *text, size_t size, rd_kafka_resp_err_t err, const char *topic)
{
	switch (err) {
	case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
	case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
		snprintf(text, size, "topic %s does not exist in the cluster and is not created by itself", topic);
		break;
	case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
		snprintf(text, size, "topic %s does not have the partition that is asked for", topic);
		break;
	case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
	case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
		snprintf(text, size, "too large for topic %s (message.max.bytes here, max.message.bytes there)", topic);
		break;
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
		snprintf(text, size, "not authorised to write to topic %s", topic);
		break;
	default:
		snprintf(text, size, "topic %s: %s (%s)", topic, rd_kafka_err2str(err), rd_kafka_err2name(err));
		break;
	}
}
