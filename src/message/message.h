/* SPDX-License-Identifier: Apache-2.0
 *
 * The message: what every connector turns its input into and every sink sends. Immutable, reference-counted,
 * one allocation. A `message_view` describes a message by borrowed pointers; it is how messages are built,
 * read, routed and encoded, so that a message on its way from a socket buffer to the journal is copied once.
 *
 * Threads: a message belongs to one thread at a time (the count is not atomic). The reader thread makes
 * messages and hands them to the loop whole, with all that share their memory (struct message_decoder).
 */
#ifndef LINKSPAN_MESSAGE_MESSAGE_H
#define LINKSPAN_MESSAGE_MESSAGE_H

#include "message/slice.h"

/* The largest payload that linkspan carries, in bytes. Larger input is refused where it enters. */
#define MESSAGE_MAX_PAYLOAD (32u * 1024 * 1024)
/* The largest encoded message, payload included: bounds topic, key, headers and the rest to 1 MiB together. */
#define MESSAGE_MAX_ENCODED (MESSAGE_MAX_PAYLOAD + 1024u * 1024)
/* At most this many headers, and as many params. */
#define MESSAGE_MAX_FIELDS 1024
/* Priorities as users write them go from 0 to that, higher first. */
#define MESSAGE_MAX_PRIORITY     9
#define MESSAGE_DEFAULT_PRIORITY 4

/* Params that the core sets itself. With MESSAGE_REPLY, the name of a connection, what the delivery gives back is written
 * there: to the message's response_topic, with its correlation. */
#define MESSAGE_REPLY        ".reply"
#define MESSAGE_REPLY_KEY    ".reply.key"
#define MESSAGE_REPLY_QOS    ".reply.qos" /* absent: that of the message */
#define MESSAGE_REPLY_RETAIN ".reply.retain"
#define MESSAGE_REPLY_HOPS   ".reply.hops" /* what its hop count begins with; absent: it has none */

/* Of what waits for an aggregator: what it is taken together with (`key`), and, if it stands for several that were taken
 * already, what is known of these (connectors/aggregate/partial.h). */
#define MESSAGE_AGGREGATE       ".aggregate"
#define MESSAGE_AGGREGATE_STATE ".aggregate.state"

/* One header or param. Names and values are UTF-8 where the protocol demands it; Kafka header values are any
 * bytes. A NULL value pointer is a Kafka null header value. */
struct message_field {
	struct slice name;
	struct slice value;
};

struct message_view {
	struct slice topic; /* MQTT topic name, Kafka topic, HTTP path or CoAP path; never absent */
	struct slice payload; /* absent = null (a Kafka tombstone); present and empty is an empty payload */
	struct slice content_type;
	struct slice key; /* absent = no key; the ordering key is then the source topic (order_key) */
	struct slice order_key; /* messages with equal order keys keep their order; never absent in the journal */
	struct slice response_topic;
	struct slice correlation;
	struct slice reject_reason; /* present: never sent, goes to the destination's dead letters with this reason */
	const struct message_field *headers; /* MQTT 5 user properties, Kafka headers, HTTP headers; in order */
	size_t n_headers;
	const struct message_field *params; /* rendered connector-specific target keys, e.g. "partition"; never
	                                       taken from a peer */
	size_t n_params;
	uint64_t origin_ms; /* when linkspan received it, milliseconds since the epoch (loop_wall_ms) */
	uint64_t expires_ms; /* same clock; 0 = never. MQTT 5 §3.3.2.3.3, HTTP and CoAP by their own rules */
	uint8_t qos; /* 0, 1 or 2: as received, or for a target as it is to be sent */
	bool retain;
	bool utf8_payload; /* MQTT 5 Payload Format Indicator 1 (§3.3.2.3.2) */
	bool waits; /* who sends it says how long it has waited (message/markers.h); never taken from a peer */
	int8_t priority; /* of the mapping, less MESSAGE_DEFAULT_PRIORITY: above 0 goes before others */
	uint64_t
		queued_ms; /* when somebody put it into the queue by hand (requeue, import), same clock; 0: nobody has. A
	                       ttl counts from then */
};

struct message;

/* Copies everything that the view points at. NULL when the message would pass a limit above or memory is out. */
struct message *message_new(const struct message_view *view) __attribute__((warn_unused_result));
struct message *message_ref(struct message *msg);
void message_unref(struct message *msg); /* NULL is allowed */
/* For long: message_ref, or a copy if it shares its memory with others (NULL: out of memory). */
struct message *message_keep(struct message *msg) __attribute__((warn_unused_result));

/* Pointers inside live as long as the message. */
const struct message_view *message_view(const struct message *msg);

/* It will be looked at soon: fetches what another thread has written of it. */
void message_prefetch(const struct message *msg);

/* It will be given back soon, without a look at it. */
void message_prefetch_count(const struct message *msg);

/* Bytes of memory that the message holds, its own bookkeeping included. */
size_t message_memory(const struct message *msg);

/* The value of the first header (param) of that name, exact bytes; absent slice if there is none. */
struct slice message_header(const struct message_view *view, const char *name);
struct slice message_param(const struct message_view *view, const char *name);

/* The encoding that the journal stores (doc/journal-format.md): tag-length-value, little endian, unknown
 * tags are skipped by readers. */
size_t message_encoded_size(const struct message_view *view); /* 0 = passes a limit, must not be encoded */
void message_encode(const struct message_view *view, uint8_t *out); /* writes exactly that many bytes */

/* Decodes untrusted bytes. 0 with a new message (the caller's), -EBADMSG when they are not an encoded message,
 * -ENOMEM. */
int message_decode(struct slice encoded, struct message **ret_msg) __attribute__((warn_unused_result));

/* The same for many messages one after the other: small ones share memory, which is given back with the last of them. All that
 * one decoder has made belongs to the same thread at any time. Begin with {NULL}; end it before they are handed over. */
struct message_decoder {
	struct message_block *block;
};
int message_decoder_next(struct message_decoder *decoder, struct slice encoded, struct message **ret_msg)
	__attribute__((warn_unused_result));
void message_decoder_end(struct message_decoder *decoder);

#endif
