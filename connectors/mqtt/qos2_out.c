/* SPDX-License-Identifier: Apache-2.0
 *
 * The moves of the header's drawing.
 */
#include "connectors/mqtt/qos2_out.h"

#include "connectors/mqtt/codec.h"

static enum qos2_out_step qos2_out_to(struct qos2_out *out, enum qos2_out_state state, enum qos2_out_step step)
{
	out->state = (uint8_t)state;
	return step;
}

static enum qos2_out_step qos2_out_ask(
	struct qos2_out *out, enum qos2_out_state state, enum qos2_stage stage, uint8_t *ret_stage)
{
	*ret_stage = (uint8_t)stage;
	return qos2_out_to(out, state, QOS2_OUT_STAGE);
}

enum qos2_out_step qos2_out_begin(struct qos2_out *out, uint8_t stage, bool maybe_sent, bool session_lost, bool park)
{
	*out = (struct qos2_out){0};
	if (session_lost && park)
		return QOS2_OUT_PARK;
	if (stage == QOS2_STAGE_RECEIVED)
		return qos2_out_to(out, QOS2_OUT_RELEASED, QOS2_OUT_PUBREL);
	if (stage == QOS2_STAGE_CLEARING)
		return qos2_out_to(out, QOS2_OUT_CLEARED, QOS2_OUT_PUBREL);
	if (stage == QOS2_STAGE_GIVEN_UP)
		return qos2_out_to(out, QOS2_OUT_GIVEN_UP, QOS2_OUT_PUBREL);
	out->repeated = maybe_sent && !session_lost;
	return qos2_out_to(out, QOS2_OUT_PUBLISHED, QOS2_OUT_PUBLISH);
}

enum qos2_out_step qos2_out_stage_durable(struct qos2_out *out, uint8_t stage)
{
	if (out->state == QOS2_OUT_RECEIVED && stage == QOS2_STAGE_RECEIVED)
		return qos2_out_to(out, QOS2_OUT_RELEASED, QOS2_OUT_PUBREL);
	if (out->state == QOS2_OUT_CLEARING && stage == QOS2_STAGE_CLEARING)
		return qos2_out_to(out, QOS2_OUT_CLEARED, QOS2_OUT_PUBREL);
	if (out->state == QOS2_OUT_GIVING_UP && stage == QOS2_STAGE_GIVEN_UP)
		return qos2_out_to(out, QOS2_OUT_GIVEN_UP, QOS2_OUT_PUBREL);
	if (out->state == QOS2_OUT_REOPENING && stage == QOS2_STAGE_PUBLISH) {
		out->repeated = false;
		return qos2_out_to(out, QOS2_OUT_PUBLISHED, QOS2_OUT_PUBLISH);
	}
	return QOS2_OUT_WAIT;
}

enum qos2_out_step qos2_out_pubrec(struct qos2_out *out, uint8_t reason, uint8_t *ret_stage)
{
	if (out->state == QOS2_OUT_RELEASED)
		return QOS2_OUT_PUBREL; /* it has not heard it */
	if (out->state != QOS2_OUT_PUBLISHED)
		return QOS2_OUT_WAIT;
	bool in_use = reason == MQTT_PACKET_IDENTIFIER_IN_USE;
	/* Brokers that know identifiers by number alone say so to a repetition. */
	if (reason < MQTT_UNSPECIFIED_ERROR || (in_use && out->repeated))
		return qos2_out_ask(out, QOS2_OUT_RECEIVED, QOS2_STAGE_RECEIVED, ret_stage);
	if (in_use)
		return qos2_out_ask(out, QOS2_OUT_CLEARING, QOS2_STAGE_CLEARING, ret_stage);
	return QOS2_OUT_REFUSED;
}

enum qos2_out_step qos2_out_pubcomp(struct qos2_out *out, uint8_t *ret_stage)
{
	if (out->state == QOS2_OUT_RELEASED)
		return QOS2_OUT_DELIVERED; /* whatever its reason: 0x92 says that it was released before */
	if (out->state == QOS2_OUT_CLEARED)
		return qos2_out_ask(out, QOS2_OUT_REOPENING, QOS2_STAGE_PUBLISH, ret_stage);
	if (out->state == QOS2_OUT_GIVEN_UP)
		return QOS2_OUT_BURY;
	return QOS2_OUT_WAIT;
}

enum qos2_out_step qos2_out_give_up(struct qos2_out *out, uint8_t *ret_stage)
{
	if (out->state != QOS2_OUT_PUBLISHED)
		return QOS2_OUT_WAIT;
	return qos2_out_ask(out, QOS2_OUT_GIVING_UP, QOS2_STAGE_GIVEN_UP, ret_stage);
}
