/* SPDX-License-Identifier: Apache-2.0
 *
 * Between the codec's packets and messages. Owns nothing: views and packets borrow from each other, and the only copy,
 * headers without nulls, goes into the caller's scratch. It never reads a clock: the caller says what time it is, and an
 * expiry is counted in the wall clock, because it outlives the process. Any thread; no I/O, no allocation.
 */
#include "connectors/mqtt/convert.h"

struct message_view convert_to_view(
	const struct mqtt_publish *publish, const struct mqtt_properties *props, uint64_t wall_ms)
{
	struct message_view view = {
		.topic = publish->topic,
		.payload = publish->payload,
		.content_type = props->content_type,
		.response_topic = props->response_topic,
		.correlation = props->correlation_data,
		.headers = props->user,
		.n_headers = props->n_user,
		.origin_ms = wall_ms,
		.qos = publish->qos,
		.retain = publish->retain,
		.utf8_payload = props->payload_format_indicator == 1,
	};
	if (mqtt_has(props, MQTT_MESSAGE_EXPIRY_INTERVAL))
		view.expires_ms = wall_ms + (uint64_t)props->message_expiry_interval * 1000;
	return view;
}

static const struct message_field *without_nulls(const struct message_view *view, struct message_field *scratch)
{
	bool any = false;
	for (size_t i = 0; i < view->n_headers; i++)
		any = any || !view->headers[i].value.data;
	if (!any)
		return view->headers;
	for (size_t i = 0; i < view->n_headers; i++) {
		scratch[i] = view->headers[i];
		if (!scratch[i].value.data)
			scratch[i].value = slice_str("");
	}
	return scratch;
}

static uint32_t remaining_seconds(const struct message_view *view, uint64_t wall_ms)
{
	if (wall_ms < view->origin_ms)
		wall_ms = view->origin_ms; /* a clock that stands back */
	if (view->expires_ms <= wall_ms)
		return 1;
	uint64_t seconds = (view->expires_ms - wall_ms + 999) / 1000;
	return seconds < UINT32_MAX ? (uint32_t)seconds : UINT32_MAX;
}

void convert_to_publish(const struct message_view *view, uint64_t wall_ms, uint8_t qos, struct message_field *scratch,
	struct mqtt_publish *ret_publish, struct mqtt_properties *ret_props)
{
	*ret_publish = (struct mqtt_publish){
		.qos = qos,
		.retain = view->retain,
		.topic = view->topic,
		.payload = view->payload.data ? view->payload : slice_str(""),
	};
	*ret_props = (struct mqtt_properties){
		.content_type = view->content_type,
		.response_topic = view->response_topic,
		.correlation_data = view->correlation,
		.user = without_nulls(view, scratch),
		.n_user = view->n_headers,
	};
	if (view->utf8_payload)
		mqtt_set_number(ret_props, MQTT_PAYLOAD_FORMAT_INDICATOR, 1);
	if (view->expires_ms > 0)
		mqtt_set_number(ret_props, MQTT_MESSAGE_EXPIRY_INTERVAL, remaining_seconds(view, wall_ms));
}

void convert_add_waited(const struct message_view *view, uint64_t wall_ms, struct message_field *scratch,
	char text[MARKERS_WAITED_SIZE], struct mqtt_properties *props)
{
	if (!view->waits)
		return;
	if (props->n_user && props->user != scratch)
		memcpy(scratch, props->user, props->n_user * sizeof *scratch);
	scratch[props->n_user++] = markers_waited(view, wall_ms, text);
	props->user = scratch;
}
