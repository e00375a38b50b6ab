/* SPDX-License-Identifier: Apache-2.0
 *
 * What an error of librdkafka or of a broker means for one message. The table behind it is the whole error
 * policy of the sink; sink.c only carries it out.
 */
#ifndef LINKSPAN_CONNECTORS_KAFKA_VERDICT_H
#define LINKSPAN_CONNECTORS_KAFKA_VERDICT_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>

enum kafka_verdict {
	KAFKA_DELIVERED,
	KAFKA_REJECTED, /* this message can never be delivered */
	KAFKA_RETRY, /* later perhaps */
	KAFKA_RETRY_ALARM, /* later, once somebody has done something */
	KAFKA_LATER, /* the library's own queue is full: not even tried */
	/* A broker refuses whole batches: one bad message takes the innocent ones around it along. So these
	 * mean "rejected" only for a message that was alone in its batch; else the batch must be taken apart.
	 */
	KAFKA_BATCH_TOO_LARGE,
	KAFKA_BATCH_INVALID,
	KAFKA_PRODUCER_LOST, /* a fatal error: nothing more comes from this producer */
};

enum kafka_verdict kafka_verdict(rd_kafka_resp_err_t err);

/* Does this error need a person (credentials, certificates, rights)? */
bool kafka_needs_person(rd_kafka_resp_err_t err);

/* One sentence for the dead letters and the log, into text. topic: NUL-terminated. */
void kafka_reason(char *text, size_t size, rd_kafka_resp_err_t err, const char *topic);

#endif
