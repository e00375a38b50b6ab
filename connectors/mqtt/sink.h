/* SPDX-License-Identifier: Apache-2.0
 *
 * The sink half of an MQTT link: deliveries become PUBLISHes, acknowledgements become outcomes.
 *
 * Legal moves of a delivery: PENDING (to be published, in the order of seqs; the write queue is long, or QoS 2 has to
 * wait) → WRITING (in the transport's hands) → AWAITING (an acknowledgement) → outcome; QoS 2 from WRITING or AWAITING →
 * JOURNAL (its stage is to become durable) → AWAITING, as qos2_out.h says. Acknowledgements may come while WRITING; QoS 0
 * has its outcome when the kernel has it. The packet identifier is 1 + (seq mod 61440), so that a repetition after a restart
 * has the same one. But for parking, no outcome is given from inside send or send_end, so that a long outbox does not become
 * a deep stack.
 * The end of a connection ends all deliveries without an outcome, as connector.h says. Loop thread only.
 */
#ifndef LINKSPAN_CONNECTORS_MQTT_SINK_H
#define LINKSPAN_CONNECTORS_MQTT_SINK_H

#include "connectors/connector.h"
#include "connectors/mqtt/session.h"

struct mqtt_sink;

struct mqtt_sink_options {
	const char *name; /* of the connection; borrowed */
	struct loop *loop;
	struct link_host *host;
	struct mqtt_session *session; /* borrowed */
	const struct mqtt_settings *settings; /* borrowed */
};

struct mqtt_sink *mqtt_sink_new(const struct mqtt_sink_options *options) __attribute__((warn_unused_result));
void mqtt_sink_free(struct mqtt_sink *sink); /* NULL is allowed */

/* From the session. Up: gives how many deliveries may be under way on these terms, or -ENOMEM. */
int mqtt_sink_up(struct mqtt_sink *sink, const struct mqtt_session_terms *terms, uint32_t *ret_window)
	__attribute__((warn_unused_result));
void mqtt_sink_down(struct mqtt_sink *sink);
void mqtt_sink_acked(
	struct mqtt_sink *sink, enum mqtt_type type, uint16_t packet_id, uint8_t reason, struct slice text);
void mqtt_sink_written(struct mqtt_sink *sink);

/* Since it was made. */
struct mqtt_sink_counters {
	uint64_t ambiguous; /* sent again or parked because the session was lost */
	uint64_t identifiers_in_use; /* PUBREC 0x91 to a first PUBLISH */
};
struct mqtt_sink_counters mqtt_sink_counters(const struct mqtt_sink *sink);

/* From the host, see connector.h. */
void mqtt_sink_send(struct mqtt_sink *sink, const struct delivery *delivery);
void mqtt_sink_send_end(struct mqtt_sink *sink);
void mqtt_sink_stage_durable(struct mqtt_sink *sink, uint64_t seq, uint8_t stage);

#endif
