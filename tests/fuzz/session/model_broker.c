/* SPDX-License-Identifier: Apache-2.0
 *
 * What the link says to the broker, and what it is told. The link's own bytes must be legal packets; an acknowledgement
 * must be for something that came on this connection and is durable; a PUBREL must stand on a durable stage.
 */
#include <stdlib.h>
#include <string.h>

#include "connectors/mqtt/qos2_in.h"
#include "connectors/mqtt/qos2_out.h"
#include "connectors/mqtt/sink.h"
#include "connectors/mqtt/source.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/session/model.h"

/* --- between mqtt.c and its halves: the linker's --wrap ------------------------------------------------------------- */

enum qos2_in_verdict __real_qos2_in_publish(struct qos2_in *in, uint16_t id, uint64_t hash);
enum qos2_in_verdict __wrap_qos2_in_publish(struct qos2_in *in, uint16_t id, uint64_t hash);
void __real_mqtt_source_publish(
	struct mqtt_source *source, const struct mqtt_publish *publish, const struct mqtt_properties *props);
void __wrap_mqtt_source_publish(
	struct mqtt_source *source, const struct mqtt_publish *publish, const struct mqtt_properties *props);
void __real_mqtt_source_unusable(struct mqtt_source *source, uint8_t qos, uint16_t packet_id, uint8_t reason);
void __wrap_mqtt_source_unusable(struct mqtt_source *source, uint8_t qos, uint16_t packet_id, uint8_t reason);
void __real_mqtt_source_released(struct mqtt_source *source, uint16_t packet_id);
void __wrap_mqtt_source_released(struct mqtt_source *source, uint16_t packet_id);
int __real_mqtt_sink_up(struct mqtt_sink *sink, const struct mqtt_session_terms *terms, uint32_t *ret_window);
int __wrap_mqtt_sink_up(struct mqtt_sink *sink, const struct mqtt_session_terms *terms, uint32_t *ret_window);
void __real_mqtt_sink_acked(
	struct mqtt_sink *sink, enum mqtt_type type, uint16_t packet_id, uint8_t reason, struct slice text);
void __wrap_mqtt_sink_acked(
	struct mqtt_sink *sink, enum mqtt_type type, uint16_t packet_id, uint8_t reason, struct slice text);

static struct incoming *model_came(uint8_t qos, uint16_t id)
{
	if (model.n_incoming == MODEL_INCOMING)
		return NULL;
	struct incoming *in = &model.incoming[model.n_incoming++];
	*in = (struct incoming){
		.qos = qos, .id = id, .state = model.active || qos == 0 ? INCOMING_NEW : INCOMING_UNREAD};
	return in;
}

/* An earlier one whose PUBREC is still to come answers it, too. */
static bool model_may_be_pending(const struct incoming *in)
{
	for (const struct incoming *before = in; before-- > model.incoming;)
		if (before->qos == in->qos && before->id == in->id && before->hash == in->hash && !before->acked &&
			before->state != INCOMING_PENDING && before->state != INCOMING_REFUSED)
			return true;
	return false;
}

/* Only the link knows which PUBLISHes it takes for repetitions: a release in between makes the same bytes new. */
enum qos2_in_verdict __wrap_qos2_in_publish(struct qos2_in *in, uint16_t id, uint64_t hash)
{
	enum qos2_in_verdict verdict = __real_qos2_in_publish(in, id, hash);
	if (verdict != QOS2_IN_PENDING)
		return verdict;
	fuzz_require(model.reading && model_may_be_pending(model.reading));
	model.reading->state = INCOMING_PENDING;
	return verdict;
}

void __wrap_mqtt_source_publish(
	struct mqtt_source *source, const struct mqtt_publish *publish, const struct mqtt_properties *props)
{
	struct incoming *in = publish->qos > 0 ? model_came(publish->qos, publish->packet_id) : NULL;
	if (publish->qos > 0 && !in)
		return; /* more than the model counts: as if it were still on its way */
	if (in)
		in->hash = publish->qos == 2 ? qos2_in_hash(publish, props)
					     : model_hash(&publish->topic, &publish->payload);
	model.reading = in;
	__real_mqtt_source_publish(source, publish, props);
	model.reading = NULL;
}

void __wrap_mqtt_source_unusable(struct mqtt_source *source, uint8_t qos, uint16_t packet_id, uint8_t reason)
{
	fuzz_require(reason >= MQTT_UNSPECIFIED_ERROR);
	struct incoming *in = qos > 0 ? model_came(qos, packet_id) : NULL;
	if (qos > 0 && !in)
		return;
	if (in)
		in->state = INCOMING_REFUSED;
	__real_mqtt_source_unusable(source, qos, packet_id, reason);
}

void __wrap_mqtt_source_released(struct mqtt_source *source, uint16_t packet_id)
{
	struct incoming *in = model_came(0, packet_id);
	if (!in)
		return;
	model.reading = in;
	__real_mqtt_source_released(source, packet_id);
	model.reading = NULL;
}

int __wrap_mqtt_sink_up(struct mqtt_sink *sink, const struct mqtt_session_terms *terms, uint32_t *ret_window)
{
	model.terms = *terms;
	return __real_mqtt_sink_up(sink, terms, ret_window);
}

void __wrap_mqtt_sink_acked(
	struct mqtt_sink *sink, enum mqtt_type type, uint16_t packet_id, uint8_t reason, struct slice text)
{
	model.acking = packet_id;
	model.acking_type = type;
	model.acking_reason = reason;
	__real_mqtt_sink_acked(sink, type, packet_id, reason, text);
	model.acking = 0;
}

/* --- what the link says -------------------------------------------------------------------------------------------- */

uint64_t model_seq_of(uint16_t packet_id)
{
	for (size_t i = 0; i < model.n_deliveries; i++) {
		const struct model_delivery *item = &model.deliveries[i];
		if (item->state == DELIVERY_IN_FLIGHT && message_view(item->msg)->qos > 0 &&
			model_packet_id(model.first_seq + i) == packet_id)
			return model.first_seq + i;
	}
	return 0;
}

static void model_check_publish(const struct mqtt_publish *publish)
{
	if (publish->qos == 0 || publish->packet_id > MQTT_SESSION_LAST_ID)
		return; /* birth and will are the session's own */
	uint64_t seq = model_seq_of(publish->packet_id);
	fuzz_require(seq != 0);
	struct model_delivery *item = model_delivery(seq);
	fuzz_require(message_view(item->msg)->qos == publish->qos);
	fuzz_require(!publish->dup || item->maybe_sent);
	fuzz_require(publish->qos == 1 || item->durable_stage == QOS2_STAGE_PUBLISH);
	item->published = true;
	size_t n = 0;
	for (size_t i = 0; i < model.n_deliveries; i++)
		n += model.deliveries[i].state == DELIVERY_IN_FLIGHT && model.deliveries[i].published &&
		     message_view(model.deliveries[i].msg)->qos > 0;
	fuzz_require(n <= model.window);
	fuzz_require(publish->qos <= model.terms.maximum_qos);
}

/* Of a delivery that may have ended since: the answer to a second PUBREC goes out after the PUBCOMP that came with it. */
static void model_check_pubrel(uint16_t packet_id)
{
	const struct model_delivery *item = NULL;
	for (size_t i = 0; i < model.n_deliveries; i++)
		if (model_packet_id(model.first_seq + i) == packet_id)
			item = &model.deliveries[i];
	fuzz_require(item && item->state != DELIVERY_WAITING);
	fuzz_require(item->durable_stage != QOS2_STAGE_PUBLISH);
}

/* The first of its kind that is not answered yet; none before it may be passed over. */
static void model_check_ack(enum mqtt_type type, const struct mqtt_ack *ack)
{
	uint8_t qos = type == MQTT_PUBACK ? 1 : type == MQTT_PUBREC ? 2 : 0;
	for (size_t i = 0; i < model.n_incoming; i++) {
		struct incoming *in = &model.incoming[i];
		if (in->qos != qos || in->acked || in->state == INCOMING_NEW || in->state == INCOMING_PENDING)
			continue;
		if (in->id != ack->packet_id) {
			fuzz_require(qos == 0); /* [MQTT-4.6.0-2] [MQTT-4.6.0-3] */
			continue;
		}
		if (qos == 0 && in->state == INCOMING_OFFERED)
			continue;
		fuzz_require(in->state != INCOMING_OFFERED); /* acknowledged before it is durable */
		bool refusal = ack->reason >= MQTT_UNSPECIFIED_ERROR;
		fuzz_require(qos == 0 || model.version == MQTT_3_1_1 || refusal == (in->state == INCOMING_REFUSED));
		in->acked = true;
		return;
	}
	fuzz_require(!"an acknowledgement of something that did not come");
}

static void model_check_packet(const struct mqtt_packet *packet)
{
	fuzz_require((packet->type == MQTT_CONNECT) == !model.seen_connect);
	fuzz_require(!model.seen_disconnect);
	model.seen_connect = true;
	switch (packet->type) {
	case MQTT_CONNECT:
	case MQTT_PINGREQ:
		break;
	case MQTT_PUBLISH:
		model_check_publish(&packet->publish);
		break;
	case MQTT_PUBREL:
		model_check_pubrel(packet->ack.packet_id);
		break;
	case MQTT_PUBACK:
	case MQTT_PUBREC:
	case MQTT_PUBCOMP:
		model_check_ack(packet->type, &packet->ack);
		break;
	case MQTT_SUBSCRIBE:
	case MQTT_UNSUBSCRIBE:
		model.subscribe_id = packet->subscribe.packet_id;
		model.n_filters = packet->subscribe.n_entries;
		model.unsubscribe = packet->type == MQTT_UNSUBSCRIBE;
		break;
	case MQTT_DISCONNECT:
		model.seen_disconnect = true;
		break;
	default:
		fuzz_require(!"a packet that no client sends here");
	}
}

void model_sent(unsigned connection, struct slice bytes)
{
	static struct mqtt_decoder decoder;
	if (connection != model.connection) {
		model.connection = connection;
		model.seen_connect = model.seen_disconnect = false;
		model.subscribe_id = 0;
		buffer_clear(&model.stream);
	}
	mqtt_decoder_init(&decoder, model.version, MQTT_CLIENT);
	decoder.topic_alias_maximum = UINT16_MAX;
	fuzz_require(buffer_append(&model.stream, bytes) == 0);
	size_t len = 0;
	struct mqtt_error error;
	struct mqtt_packet packet;
	while (model.stream.len > 0 &&
		mqtt_frame(buffer_slice(&model.stream), MQTT_MAX_PACKET, &len, &error) == MQTT_FRAME_WHOLE) {
		fuzz_require(mqtt_decode(&decoder, slice_of(model.stream.data, len), &packet, &error) == 0);
		model_check_packet(&packet);
		buffer_consume(&model.stream, len);
	}
	fuzz_require(model.stream.len == 0); /* packets are appended whole */
}
