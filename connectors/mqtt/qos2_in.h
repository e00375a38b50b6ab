/* SPDX-License-Identifier: Apache-2.0
 *
 * The receiver's half of QoS 2, MQTT 5 §4.3.3: which packet identifiers of a session are open, from the moment of the
 * offer until the broker has released them, and what a PUBLISH or a PUBREL means by that. It decides; the source does what
 * it says. No I/O, no clock, no journal, so that tests/model can search every order of events.
 *
 * Life of an identifier: publish → OFFERED → taken → OPEN → released → gone. OFFERED dies with its connection: the broker
 * still has the message. OPEN is in the journal, durable or about to be, and outlives connections and processes. A
 * repetition needs the same identifier and the same bytes; the same identifier with other bytes is a new message (brokers
 * that have lost a PUBREL give it again), also while the earlier one is still to be offered. The caller sees to it that nothing is answered before it is durable. Loop thread
 * only.
 */
#ifndef LINKSPAN_CONNECTORS_MQTT_QOS2_IN_H
#define LINKSPAN_CONNECTORS_MQTT_QOS2_IN_H

#include "connectors/mqtt/codec.h"

enum qos2_in_state { QOS2_IN_FREE, QOS2_IN_OFFERED, QOS2_IN_OPEN };

struct qos2_in_id {
	uint64_t hash;
	uint64_t journalled_hash; /* of what the journal has open under the identifier */
	uint16_t id;
	uint8_t state; /* enum qos2_in_state; FREE: the slot is empty */
	bool journalled; /* OFFERED: the journal has it open for an earlier message; that is true again if this one dies */
	bool answering; /* a PUBREC is owed on this connection */
	bool releasing; /* OFFERED: a PUBREL waits for its message to be taken */
};

struct qos2_in { /* zero-initialised is empty */
	struct qos2_in_id *slots; /* open addressing */
	uint32_t capacity, n; /* zero or a power of two; used ones */
	uint64_t reused; /* identifiers that came again with other bytes while they were open */
};

void qos2_in_free(struct qos2_in *in);
/* Of an earlier process: open. -ENOMEM. */
int qos2_in_recover(struct qos2_in *in, uint16_t id, uint64_t hash) __attribute__((warn_unused_result));

enum qos2_in_verdict {
	QOS2_IN_NO_MEMORY, /* nothing has changed */
	QOS2_IN_NEW, /* offer it with CHANGE_OPEN_ID, PUBREC when that is durable; then taken(), refused() or cut() */
	QOS2_IN_AGAIN, /* is open: no message, PUBREC once all that was appended so far is durable */
	QOS2_IN_PENDING, /* its PUBREC is under way on this connection already: nothing to do */
};
enum qos2_in_verdict qos2_in_publish(struct qos2_in *in, uint16_t id, uint64_t hash)
	__attribute__((warn_unused_result));
void qos2_in_taken(struct qos2_in *in, uint16_t id, uint64_t hash);
/* Not taken: answered with a reason of 0x80 or more, which ends it (§4.3.3), or left to the broker without an answer. */
void qos2_in_refused(struct qos2_in *in, uint16_t id, uint64_t hash);
void qos2_in_answered(struct qos2_in *in, uint16_t id); /* the PUBREC is written */

/* What a PUBREL means. */
enum qos2_in_release {
	QOS2_IN_UNKNOWN, /* PUBCOMP with 0x92 once all that was appended so far is durable: its release may be among that */
	QOS2_IN_RELEASE, /* append CHANGE_RELEASE_ID, then released(); PUBCOMP when that is durable */
	QOS2_IN_WAITS, /* the journal has not taken its message yet: a CHANGE_RELEASE_ID in its turn behind that */
	QOS2_IN_WAITS_ALREADY, /* one waits there: nothing to do */
};
enum qos2_in_release qos2_in_pubrel(struct qos2_in *in, uint16_t id) __attribute__((warn_unused_result));
void qos2_in_released(struct qos2_in *in, uint16_t id);

/* The connection has ended. */
void qos2_in_cut(struct qos2_in *in);
/* The broker has forgotten the session. */
void qos2_in_reset(struct qos2_in *in);

/* What makes two PUBLISHes the same: the topic, payload and properties that a repetition has in common with the original.
 * Not DUP, not the expiry, which the broker counts down, not the alias, not subscription identifiers. Stable over
 * processes and machines. */
uint64_t qos2_in_hash(const struct mqtt_publish *publish, const struct mqtt_properties *props);

#endif
