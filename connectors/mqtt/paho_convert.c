/* SPDX-License-Identifier: Apache-2.0
 *
 * Properties, from and to Paho's list.
 */
#include "connectors/mqtt/paho_convert.h"

#include <stdint.h>
#include <stdlib.h>

static struct slice convert_text(const MQTTLenString *text)
{
	return slice_of(text->data ? text->data : "", (size_t)text->len);
}

static const MQTTProperty *convert_find(const MQTTProperties *from, enum MQTTPropertyCodes code)
{
	for (int i = 0; i < from->count; i++)
		if (from->array[i].identifier == code)
			return &from->array[i];
	return NULL;
}

struct message_field *convert_from_paho(const MQTTProperties *from, struct mqtt_properties *ret_props)
{
	struct message_field *user = from->count > 0 ? calloc((size_t)from->count, sizeof *user) : NULL;
	for (int i = 0; i < from->count; i++) {
		const MQTTProperty *prop = &from->array[i];
		switch (prop->identifier) {
		case MQTTPROPERTY_CODE_PAYLOAD_FORMAT_INDICATOR:
			mqtt_set_number(ret_props, MQTT_PAYLOAD_FORMAT_INDICATOR, prop->value.byte);
			break;
		case MQTTPROPERTY_CODE_MESSAGE_EXPIRY_INTERVAL:
			mqtt_set_number(ret_props, MQTT_MESSAGE_EXPIRY_INTERVAL, prop->value.integer4);
			break;
		case MQTTPROPERTY_CODE_CONTENT_TYPE:
			ret_props->content_type = convert_text(&prop->value.data);
			break;
		case MQTTPROPERTY_CODE_RESPONSE_TOPIC:
			ret_props->response_topic = convert_text(&prop->value.data);
			break;
		case MQTTPROPERTY_CODE_CORRELATION_DATA:
			ret_props->correlation_data = convert_text(&prop->value.data);
			break;
		case MQTTPROPERTY_CODE_USER_PROPERTY:
			if (user)
				user[ret_props->n_user++] = (struct message_field){
					.name = convert_text(&prop->value.data),
					.value = convert_text(&prop->value.value),
				};
			break;
		default:
			break;
		}
	}
	ret_props->user = user;
	return user;
}

static int convert_add_number(MQTTProperties *to, enum MQTTPropertyCodes code, uint32_t value)
{
	MQTTProperty prop = {.identifier = code};
	switch (MQTTProperty_getType(code)) {
	case MQTTPROPERTY_TYPE_BYTE:
		prop.value.byte = (unsigned char)value;
		break;
	case MQTTPROPERTY_TYPE_TWO_BYTE_INTEGER:
		prop.value.integer2 = (unsigned short)value;
		break;
	default:
		prop.value.integer4 = value;
	}
	return MQTTProperties_add(to, &prop);
}

/* Paho copies, and does not write through the pointer. */
static MQTTLenString convert_len_string(struct slice text)
{
	return (MQTTLenString){(int)text.len, (char *)(uintptr_t)text.data};
}

static int convert_add_text(MQTTProperties *to, enum MQTTPropertyCodes code, struct slice text)
{
	if (!text.data)
		return 0;
	MQTTProperty prop = {.identifier = code};
	prop.value.data = convert_len_string(text);
	return MQTTProperties_add(to, &prop);
}

int convert_to_paho(const struct mqtt_properties *from, MQTTProperties *to)
{
	int r = 0;
	if (mqtt_has(from, MQTT_PAYLOAD_FORMAT_INDICATOR))
		r = convert_add_number(to, MQTTPROPERTY_CODE_PAYLOAD_FORMAT_INDICATOR, from->payload_format_indicator);
	if (r == 0 && mqtt_has(from, MQTT_MESSAGE_EXPIRY_INTERVAL))
		r = convert_add_number(to, MQTTPROPERTY_CODE_MESSAGE_EXPIRY_INTERVAL, from->message_expiry_interval);
	if (r == 0)
		r = convert_add_text(to, MQTTPROPERTY_CODE_CONTENT_TYPE, from->content_type);
	if (r == 0)
		r = convert_add_text(to, MQTTPROPERTY_CODE_RESPONSE_TOPIC, from->response_topic);
	if (r == 0)
		r = convert_add_text(to, MQTTPROPERTY_CODE_CORRELATION_DATA, from->correlation_data);
	for (size_t i = 0; r == 0 && i < from->n_user; i++) {
		MQTTProperty prop = {.identifier = MQTTPROPERTY_CODE_USER_PROPERTY};
		prop.value.data = convert_len_string(from->user[i].name);
		prop.value.value = convert_len_string(from->user[i].value);
		r = MQTTProperties_add(to, &prop);
	}
	return r;
}

static uint32_t convert_seconds(uint64_t ms)
{
	return (uint32_t)((ms + 999) / 1000);
}

int convert_connect_properties(const struct mqtt_settings *settings, MQTTProperties *props, MQTTProperties *will)
{
	int r = convert_add_number(props, MQTTPROPERTY_CODE_RECEIVE_MAXIMUM, (uint32_t)settings->receive_maximum);
	if (r == 0 && !settings->clean_start && settings->session_expiry_ms > 0)
		r = convert_add_number(
			props, MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL, convert_seconds(settings->session_expiry_ms));
	if (r == 0 && settings->will.topic && settings->will.delay_ms > 0)
		r = convert_add_number(
			will, MQTTPROPERTY_CODE_WILL_DELAY_INTERVAL, convert_seconds(settings->will.delay_ms));
	return r;
}

void convert_terms(const MQTTProperties *from, bool session_present, struct paho_connection *conn)
{
	const MQTTProperty *receive = convert_find(from, MQTTPROPERTY_CODE_RECEIVE_MAXIMUM);
	const MQTTProperty *qos = convert_find(from, MQTTPROPERTY_CODE_MAXIMUM_QOS);
	const MQTTProperty *retain = convert_find(from, MQTTPROPERTY_CODE_RETAIN_AVAILABLE);
	const MQTTProperty *size = convert_find(from, MQTTPROPERTY_CODE_MAXIMUM_PACKET_SIZE);
	const MQTTProperty *alive = convert_find(from, MQTTPROPERTY_CODE_SERVER_KEEP_ALIVE);
	const MQTTProperty *expiry = convert_find(from, MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL);
	conn->terms = (struct mqtt_session_terms){
		.session_present = session_present,
		.receive_maximum = receive ? receive->value.integer2 : 65535,
		.maximum_qos = qos ? qos->value.byte : 2,
		.retain_available = !retain || retain->value.byte != 0,
		.wildcard_subscriptions = true, /* a refusal says the same */
		.shared_subscriptions = true,
		.maximum_packet_size = size ? size->value.integer4 : MQTT_MAX_PACKET,
	};
	conn->keep_alive_given = alive != NULL;
	conn->server_keep_alive_s = alive ? alive->value.integer2 : 0;
	conn->server_expiry_s = expiry ? expiry->value.integer4 : UINT32_MAX;
}

struct slice convert_reason_string(const MQTTProperties *from)
{
	const MQTTProperty *text = from ? convert_find(from, MQTTPROPERTY_CODE_REASON_STRING) : NULL;
	return text ? convert_text(&text->value.data) : slice_of("", 0);
}
