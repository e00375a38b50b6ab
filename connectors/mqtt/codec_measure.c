/* SPDX-License-Identifier: Apache-2.0
 *
 * How long a packet will be, and whether it may be written at all: the same rules that decoding enforces, so
 * that what this codec writes, this codec takes. In the order of chapter 3.
 */
#include "connectors/mqtt/codec_internal.h"

#include <errno.h>

#define BY_ANYBODY (MQTT_BY_CLIENT | MQTT_BY_SERVER)

/* Each adds to draft->remaining and returns 0 or an error of mqtt_encode. */

static int measure_text(struct mqtt_draft *draft, struct slice text)
{
	draft->remaining += 2 + text.len;
	return mqtt_text_check(text);
}

static int measure_binary(struct mqtt_draft *draft, struct slice bytes)
{
	draft->remaining += 2 + bytes.len;
	return bytes.len > 65535 ? -EMSGSIZE : 0;
}

static int measure_topic(struct mqtt_draft *draft, struct slice topic)
{
	int err = measure_text(draft, topic);
	return err ? err : mqtt_topic_name_valid(topic) ? 0 : -EILSEQ;
}

static int measure_own_properties(struct mqtt_draft *draft)
{
	if (draft->version == MQTT_3_1_1)
		return 0;
	int err = mqtt_properties_measure(&draft->packet->props, MQTT_IN(draft->packet->type), &draft->props_len);
	draft->remaining += mqtt_varint_size(draft->props_len) + draft->props_len;
	return err;
}

static int measure_packet_id(struct mqtt_draft *draft, uint16_t packet_id)
{
	draft->remaining += 2;
	return packet_id ? 0 : -EINVAL;
}

static int measure_will(struct mqtt_draft *draft, const struct mqtt_will *will)
{
	if (!will->topic.data)
		return 0;
	if (will->qos > 2)
		return -EINVAL;
	int err = measure_topic(draft, will->topic);
	if (!err)
		err = measure_binary(draft, will->payload);
	if (err || draft->version == MQTT_3_1_1)
		return err;
	err = mqtt_properties_measure(&will->props, MQTT_IN_WILL, &draft->will_len);
	draft->remaining += mqtt_varint_size(draft->will_len) + draft->will_len;
	return err;
}

static int measure_connect(struct mqtt_draft *draft)
{
	const struct mqtt_connect *connect = &draft->packet->connect;
	const struct mqtt_properties *props = &draft->packet->props;
	if (draft->version == MQTT_3_1_1 && ((connect->password.data && !connect->user_name.data) ||
						    (connect->client_id.len == 0 && !connect->clean_start)))
		return -EINVAL;
	if (draft->version == MQTT_5_0 && props->authentication_data.data && !props->authentication_method.data)
		return -EINVAL;
	draft->remaining += 10;
	int err = measure_own_properties(draft);
	if (!err)
		err = measure_text(draft, connect->client_id);
	if (!err)
		err = measure_will(draft, &connect->will);
	if (!err && connect->user_name.data)
		err = measure_text(draft, connect->user_name);
	if (!err && connect->password.data)
		err = measure_binary(draft, connect->password);
	return err;
}

static int measure_connack(struct mqtt_draft *draft)
{
	const struct mqtt_connack *connack = &draft->packet->connack;
	if (connack->session_present && connack->reason != MQTT_SUCCESS)
		return -EINVAL;
	if (!mqtt_reason_legal(draft->version, MQTT_CONNACK, MQTT_BY_SERVER, connack->reason))
		return -EINVAL;
	draft->remaining += 2;
	return measure_own_properties(draft);
}

static int measure_publish(struct mqtt_draft *draft)
{
	const struct mqtt_publish *publish = &draft->packet->publish;
	if (publish->qos > 2 || (publish->dup && publish->qos == 0))
		return -EINVAL;
	if ((publish->packet_id != 0) != (publish->qos > 0))
		return -EINVAL;
	int err = 0;
	bool alias = draft->version == MQTT_5_0 && mqtt_has(&draft->packet->props, MQTT_TOPIC_ALIAS);
	if (publish->topic.len == 0 && alias)
		draft->remaining += 2;
	else
		err = measure_topic(draft, publish->topic);
	if (publish->qos > 0)
		draft->remaining += 2;
	if (!err)
		err = measure_own_properties(draft);
	if (publish->payload.len > MQTT_MAX_REMAINING)
		return -EMSGSIZE;
	draft->remaining += publish->payload.len;
	return err;
}

/* A reason, and properties, that may both be left out at the end of the packet. */
static int measure_reason(struct mqtt_draft *draft, uint8_t reason)
{
	if (draft->version == MQTT_3_1_1)
		return 0;
	if (!mqtt_reason_legal(MQTT_5_0, draft->packet->type, BY_ANYBODY, reason))
		return -EINVAL;
	size_t before = draft->remaining;
	int err = measure_own_properties(draft);
	draft->short_form = draft->props_len == 0;
	if (draft->short_form)
		draft->remaining = before;
	if (reason != MQTT_SUCCESS || !draft->short_form)
		draft->remaining++;
	return err;
}

static int measure_ack(struct mqtt_draft *draft)
{
	int err = measure_packet_id(draft, draft->packet->ack.packet_id);
	return err ? err : measure_reason(draft, draft->packet->ack.reason);
}

static int measure_entry(struct mqtt_draft *draft, const struct mqtt_subscription *entry)
{
	int err = measure_text(draft, entry->filter);
	if (err)
		return err;
	if (!mqtt_topic_filter_valid(entry->filter))
		return -EILSEQ;
	if (draft->packet->type == MQTT_UNSUBSCRIBE)
		return 0;
	draft->remaining++;
	bool options = entry->no_local || entry->retain_as_published || entry->retain_handling;
	if (entry->qos > 2 || entry->retain_handling > 2 || (options && draft->version == MQTT_3_1_1))
		return -EINVAL;
	return entry->no_local && mqtt_filter_is_shared(entry->filter) ? -EINVAL : 0;
}

static int measure_subscribe(struct mqtt_draft *draft)
{
	const struct mqtt_subscribe *subscribe = &draft->packet->subscribe;
	int err = measure_packet_id(draft, subscribe->packet_id);
	if (!err)
		err = measure_own_properties(draft);
	if (!err && (subscribe->n_entries == 0 || subscribe->n_entries > MQTT_MAX_LIST))
		err = -EINVAL;
	for (size_t i = 0; !err && i < subscribe->n_entries; i++)
		err = measure_entry(draft, &subscribe->entries[i]);
	return err;
}

static int measure_suback(struct mqtt_draft *draft)
{
	const struct mqtt_suback *suback = &draft->packet->suback;
	int err = measure_packet_id(draft, suback->packet_id);
	if (!err)
		err = measure_own_properties(draft);
	if (err || (draft->packet->type == MQTT_UNSUBACK && draft->version == MQTT_3_1_1))
		return err;
	if (suback->reasons.len == 0)
		return -EINVAL;
	if (suback->reasons.len > MQTT_MAX_REMAINING)
		return -EMSGSIZE;
	for (size_t i = 0; i < suback->reasons.len; i++)
		if (!mqtt_reason_legal(draft->version, draft->packet->type, MQTT_BY_SERVER, suback->reasons.data[i]))
			return -EINVAL;
	draft->remaining += suback->reasons.len;
	return 0;
}

/* The method must be there (§3.15.2.2.2), so an AUTH is never without properties, but for the empty one. */
static int measure_auth(struct mqtt_draft *draft)
{
	bool bare = draft->packet->reason == MQTT_SUCCESS && draft->packet->props.n_user == 0 &&
		    !draft->packet->props.authentication_data.data && !draft->packet->props.reason_string.data;
	if (draft->version == MQTT_3_1_1 || (!draft->packet->props.authentication_method.data && !bare))
		return -EINVAL;
	return measure_reason(draft, draft->packet->reason);
}

int mqtt_draft_measure(struct mqtt_draft *draft)
{
	switch (draft->packet->type) {
	case MQTT_CONNECT:
		return measure_connect(draft);
	case MQTT_CONNACK:
		return measure_connack(draft);
	case MQTT_PUBLISH:
		return measure_publish(draft);
	case MQTT_PUBACK:
	case MQTT_PUBREC:
	case MQTT_PUBREL:
	case MQTT_PUBCOMP:
		return measure_ack(draft);
	case MQTT_SUBSCRIBE:
	case MQTT_UNSUBSCRIBE:
		return measure_subscribe(draft);
	case MQTT_SUBACK:
	case MQTT_UNSUBACK:
		return measure_suback(draft);
	case MQTT_PINGREQ:
	case MQTT_PINGRESP:
		return 0;
	case MQTT_DISCONNECT:
		return measure_reason(draft, draft->packet->reason);
	case MQTT_AUTH:
		return measure_auth(draft);
	}
	return -EINVAL;
}
