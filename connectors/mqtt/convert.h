/* SPDX-License-Identifier: Apache-2.0
 *
 * A PUBLISH as a message, and a message as a PUBLISH, MQTT 5 §3.3.2.3: user properties are headers, and content type,
 * expiry, response topic, correlation data and payload format have fields of their own. 3.1.1 has a place for none of
 * them. Nothing is copied. Any thread.
 */
#ifndef LINKSPAN_CONNECTORS_MQTT_CONVERT_H
#define LINKSPAN_CONNECTORS_MQTT_CONVERT_H

#include "connectors/mqtt/codec.h"
#include "message/markers.h"
#include "message/message.h"

/* The view borrows what the packet borrows. wall_ms: loop_wall_ms now. */
struct message_view convert_to_view(
	const struct mqtt_publish *publish, const struct mqtt_properties *props, uint64_t wall_ms);

/* The other way; packet_id and dup are left 0. Headers with a null value, which Kafka knows, become empty: the list is
 * then copied to `scratch`, which must have room for the view's headers. wall_ms: now, by the clock of the message's times.
 * An expired message says one second, and none says more than when it came. */
void convert_to_publish(const struct message_view *view, uint64_t wall_ms, uint8_t qos, struct message_field *scratch,
	struct mqtt_publish *ret_publish, struct mqtt_properties *ret_props);

/* Adds how long a view with `waits` has waited (message/markers.h); others are left alone. The properties are those that
 * convert_to_publish gave with the same scratch, which must have room for one more; `text` is borrowed like it. */
void convert_add_waited(const struct message_view *view, uint64_t wall_ms, struct message_field *scratch,
	char text[MARKERS_WAITED_SIZE], struct mqtt_properties *props);

#endif
