/* SPDX-License-Identifier: Apache-2.0
 *
 * One producer: an rd_kafka_t from birth to death, the messages that it holds, and its topic handles. A link
 * has one at a time; after a fatal error the next one takes over (sink.h).
 *
 * The library reads payloads where they lie, from its own threads, until a message's delivery report or the
 * end of the producer. So each message is referenced from kafka_producer_send to its report or
 * kafka_producer_free.
 *
 * Threads: open and close block and run on a thread of their own; everything else runs on the loop and does
 * not block.
 */
#ifndef LINKSPAN_CONNECTORS_KAFKA_PRODUCER_H
#define LINKSPAN_CONNECTORS_KAFKA_PRODUCER_H

#include "connectors/kafka/settings.h"
#include "message/message.h"

#define KAFKA_REPORTS_AT_ONCE 256u

struct kafka_producer;

/* A message has left the producer. */
struct kafka_report {
	uint64_t seq;
	struct message *msg;
	rd_kafka_resp_err_t err;
};

/* Called by kafka_producer_serve alone; may send, but not close or free the producer. */
struct kafka_producer_host {
	/* The references to the messages pass to the host. n: up to KAFKA_REPORTS_AT_ONCE. */
	void (*reported)(void *arg, const struct kafka_report *reports, size_t n);
	void (*error)(void *arg, rd_kafka_resp_err_t err, const char *text);
	void *arg;
	const char *name; /* of the connection, for the log; lives as long as the producer */
};

/* Side thread. The settings are borrowed until kafka_producer_free. wake_fd is written to (8 bytes) when there begins to be something to
 * serve. capacity: messages held at most. 0, or a negative errno with the library's sentence in errstr. */
int kafka_producer_open(const struct kafka_settings *settings, const struct kafka_limits *limits,
	const struct kafka_producer_host *host, uint32_t capacity, int wake_fd, struct kafka_producer **ret_producer,
	char *errstr, size_t errstr_size) __attribute__((warn_unused_result));

/* Side thread. Purges and ends the library's part: after this no thread but the loop touches the messages.
 * May take as long as a name resolution. */
void kafka_producer_close(struct kafka_producer *producer);

/* Loop, after close. Lets go of the messages. */
void kafka_producer_free(struct kafka_producer *producer);

/* Has a broker let us in and described the cluster? Its id (free with kafka_producer_free_id), or NULL. */
char *kafka_producer_cluster(const struct kafka_producer *producer);
void kafka_producer_free_id(const struct kafka_producer *producer, char *id);

/* Hands a message over; takes a reference to msg if, and only if, it returns NO_ERROR. Other errors:
 * verdict.h; ret_detail is the text of a mistake that is linkspan's own finding (a partition that is no
 * number), else NULL. wall_ms: loop_wall_ms now. events: makes events of messages; uuid: of the destination. */
rd_kafka_resp_err_t kafka_producer_send(struct kafka_producer *producer, struct cloudevent_writer *events,
	const uint8_t uuid[16], uint64_t seq, struct message *msg, uint64_t wall_ms, const char **ret_detail)
	__attribute__((warn_unused_result));

/* Tells the host what the library has to say, up to so many things. True: there may be more. */
bool kafka_producer_serve(struct kafka_producer *producer, unsigned budget);

/* Its batch.size: a message with more kafka_message_bytes than this is alone in its batch. */
uint32_t kafka_producer_batch_bytes(const struct kafka_producer *producer);
uint32_t kafka_producer_in_flight(const struct kafka_producer *producer);
/* The library's fatal error with its sentence; NO_ERROR if there is none. */
rd_kafka_resp_err_t kafka_producer_fatal(const struct kafka_producer *producer, char *errstr, size_t errstr_size);
/* For tests that provoke errors. */
rd_kafka_t *kafka_producer_handle(const struct kafka_producer *producer);

/* Bytes of a message that count against batch.size: at least this many. */
size_t kafka_message_bytes(const struct message_view *view);

#endif
