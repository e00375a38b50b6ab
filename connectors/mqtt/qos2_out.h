/* SPDX-License-Identifier: Apache-2.0
 *
 * The sender's half of QoS 2, MQTT 5 §4.3.3: what to do next with one delivery, by what is durable about it and what the
 * broker answers. It decides; the sink does what it says. No I/O, no clock, no journal, so that tests/model can search
 * every order of events.
 *
 *  begin ─▶ PUBLISHED ─PUBREC─▶ RECEIVED ─stage durable─▶ RELEASED ─PUBCOMP─▶ delivered
 *    ├─ stage RECEIVED ─▶ RELEASED
 *    ├─ stage CLEARING ─▶ CLEARED
 *    └─ stage GIVEN_UP ─▶ GIVEN_UP
 *  PUBLISHED ─PUBREC 0x91─▶ CLEARING ─stage durable─▶ CLEARED ─PUBCOMP─▶ REOPENING ─stage durable─▶ PUBLISHED
 *  PUBLISHED ─give up─▶ GIVING_UP ─stage durable─▶ GIVEN_UP ─PUBCOMP─▶ to the dead letters
 *
 * A stage is durable before the step that it allows, so that after a crash a PUBLISH is repeated only while the broker
 * may know its identifier as ours, and never after it has said that it has the message. When the broker has lost the
 * session, the courier makes all stages void, in the journal before any new one. Loop thread only.
 */
#ifndef LINKSPAN_CONNECTORS_MQTT_QOS2_OUT_H
#define LINKSPAN_CONNECTORS_MQTT_QOS2_OUT_H

#include <stdbool.h>
#include <stdint.h>

/* What is durable about a delivery (enum journal_change_type: STAGE). */
enum qos2_stage {
	QOS2_STAGE_PUBLISH, /* to be published, perhaps again */
	QOS2_STAGE_RECEIVED, /* PUBREC seen: never published again, only released */
	QOS2_STAGE_CLEARING, /* the broker has its identifier for something else: PUBREL for that comes first */
	QOS2_STAGE_GIVEN_UP, /* never published again: it cannot be. Released, in case the broker has it */
};

enum qos2_out_state {
	QOS2_OUT_PUBLISHED,
	QOS2_OUT_RECEIVED,
	QOS2_OUT_RELEASED,
	QOS2_OUT_CLEARING,
	QOS2_OUT_CLEARED,
	QOS2_OUT_REOPENING,
	QOS2_OUT_GIVING_UP,
	QOS2_OUT_GIVEN_UP,
};

struct qos2_out {
	uint8_t state; /* enum qos2_out_state */
	bool repeated; /* this session may have seen the PUBLISH before */
};

enum qos2_out_step {
	QOS2_OUT_WAIT, /* for what comes next; what came was no news */
	QOS2_OUT_PUBLISH, /* DUP if `repeated`; not before deliveries of a lower seq that are still to be published */
	QOS2_OUT_PUBREL,
	QOS2_OUT_STAGE, /* make *ret_stage durable, then stage_durable() */
	QOS2_OUT_DELIVERED,
	QOS2_OUT_REFUSED, /* by the reason of the PUBREC: the broker has not taken it, and its identifier is free (§4.3.3) */
	QOS2_OUT_PARK, /* to the dead letters: it may have been delivered before the session was lost */
	QOS2_OUT_BURY, /* to the dead letters: it cannot be published again, and may have been delivered before */
};

/* A connection begins. stage, maybe_sent, session_lost: struct delivery. park: on_session_loss. A delivery of a lost
 * session may have been published there, or not: some brokers publish at PUBLISH, some at PUBREL. */
enum qos2_out_step qos2_out_begin(struct qos2_out *out, uint8_t stage, bool maybe_sent, bool session_lost, bool park)
	__attribute__((warn_unused_result));
enum qos2_out_step qos2_out_stage_durable(struct qos2_out *out, uint8_t stage) __attribute__((warn_unused_result));
enum qos2_out_step qos2_out_pubrec(struct qos2_out *out, uint8_t reason, uint8_t *ret_stage)
	__attribute__((warn_unused_result));
enum qos2_out_step qos2_out_pubcomp(struct qos2_out *out, uint8_t *ret_stage) __attribute__((warn_unused_result));
/* It is to be published again (`repeated`) and cannot be: too large for what the broker says by now, for instance. Whether
 * the broker has it is not known, so it may not simply be buried [MQTT-4.3.3-7]: a PUBREL brings it to its end there. */
enum qos2_out_step qos2_out_give_up(struct qos2_out *out, uint8_t *ret_stage) __attribute__((warn_unused_result));

#endif
