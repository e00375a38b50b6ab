/* SPDX-License-Identifier: Apache-2.0
 *
 * Packet to message and back: every field, the expiry's arithmetic, null payloads and null header values.
 */
#include "connectors/mqtt/convert.h"
#include "tests/unit/tap.h"

#define NOW 1700000000000u

static bool same(struct slice slice, const char *text)
{
	return slice.data && slice_equal(slice, slice_str(text));
}

static void test_to_view(void)
{
	const struct message_field user[] = {{slice_str("a"), slice_str("1")}, {slice_str("a"), slice_str("")}};
	const struct mqtt_publish publish = {.dup = true,
		.qos = 2,
		.retain = true,
		.packet_id = 7,
		.topic = slice_str("in/1"),
		.payload = slice_str("x")};
	struct mqtt_properties props = {.content_type = slice_str("text/x"),
		.response_topic = slice_str("answer"),
		.correlation_data = slice_of("\0\1", 2),
		.user = user,
		.n_user = 2};
	struct message_view view = convert_to_view(&publish, &props, NOW);
	CU_ASSERT(same(view.topic, "in/1") && same(view.payload, "x") && same(view.content_type, "text/x"));
	CU_ASSERT(same(view.response_topic, "answer") && slice_equal(view.correlation, slice_of("\0\1", 2)));
	CU_ASSERT(view.headers == user && view.n_headers == 2);
	CU_ASSERT(view.qos == 2 && view.retain && !view.utf8_payload);
	CU_ASSERT(view.origin_ms == NOW && view.expires_ms == 0);
	CU_ASSERT(!view.key.data && !view.order_key.data && view.n_params == 0);
	mqtt_set_number(&props, MQTT_PAYLOAD_FORMAT_INDICATOR, 1);
	mqtt_set_number(&props, MQTT_MESSAGE_EXPIRY_INTERVAL, UINT32_MAX);
	view = convert_to_view(&publish, &props, NOW);
	CU_ASSERT(view.utf8_payload);
	CU_ASSERT_EQUAL(view.expires_ms, NOW + UINT32_MAX * UINT64_C(1000));
	mqtt_set_number(&props, MQTT_PAYLOAD_FORMAT_INDICATOR, 0);
	mqtt_set_number(&props, MQTT_MESSAGE_EXPIRY_INTERVAL, 0); /* at once, not never */
	view = convert_to_view(&publish, &props, NOW);
	CU_ASSERT(!view.utf8_payload);
	CU_ASSERT_EQUAL(view.expires_ms, NOW);
}

static void test_to_publish(void)
{
	const struct message_field headers[] = {{slice_str("a"), slice_str("1")}, {slice_str("b"), slice_str("")}};
	const struct message_view view = {.topic = slice_str("out"),
		.payload = slice_str("x"),
		.content_type = slice_str("text/x"),
		.response_topic = slice_str("answer"),
		.correlation = slice_str("c"),
		.headers = headers,
		.n_headers = 2,
		.origin_ms = NOW,
		.qos = 2,
		.retain = true,
		.utf8_payload = true};
	struct message_field scratch[2];
	struct mqtt_publish publish;
	struct mqtt_properties props;
	convert_to_publish(&view, NOW, 1, scratch, &publish, &props);
	CU_ASSERT(publish.qos == 1 && publish.retain && !publish.dup && publish.packet_id == 0);
	CU_ASSERT(same(publish.topic, "out") && same(publish.payload, "x"));
	CU_ASSERT(same(props.content_type, "text/x") && same(props.response_topic, "answer"));
	CU_ASSERT(same(props.correlation_data, "c"));
	CU_ASSERT(props.user == headers && props.n_user == 2);
	CU_ASSERT(mqtt_has(&props, MQTT_PAYLOAD_FORMAT_INDICATOR) && props.payload_format_indicator == 1);
	CU_ASSERT(!mqtt_has(&props, MQTT_MESSAGE_EXPIRY_INTERVAL));
	convert_to_publish(&(struct message_view){.topic = slice_str("out"), .payload = slice_str("x")}, NOW, 0, NULL,
		&publish, &props);
	CU_ASSERT(props.present == 0 && props.n_user == 0 && !props.content_type.data && !props.response_topic.data);
}

/* What remains, rounded up: who has a part of a second left is not told that there is none. */
static void test_expiry(void)
{
	static const struct {
		uint64_t after_ms; /* from the arrival to the departure */
		uint32_t seconds;
	} cases[] = {{0, 10}, {1, 10}, {999, 10}, {1000, 9}, {1001, 9}, {8999, 2}, {9000, 1}, {9999, 1}, {10000, 1},
		{86400000, 1}};
	const struct mqtt_publish in = {.topic = slice_str("t"), .payload = slice_str("x")};
	struct mqtt_properties props = {0};
	mqtt_set_number(&props, MQTT_MESSAGE_EXPIRY_INTERVAL, 10);
	struct message_view view = convert_to_view(&in, &props, NOW);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct mqtt_publish out;
		struct mqtt_properties sent;
		convert_to_publish(&view, NOW + cases[i].after_ms, 1, NULL, &out, &sent);
		CU_ASSERT(mqtt_has(&sent, MQTT_MESSAGE_EXPIRY_INTERVAL));
		CU_ASSERT_EQUAL(sent.message_expiry_interval, cases[i].seconds);
	}
	struct mqtt_publish out;
	convert_to_publish(&view, NOW - 86400000, 1, NULL, &out, &props); /* the clock stands before the message */
	CU_ASSERT_EQUAL(props.message_expiry_interval, 10);
	view.expires_ms = UINT64_MAX - 1000; /* of another protocol */
	convert_to_publish(&view, NOW, 1, NULL, &out, &props);
	CU_ASSERT_EQUAL(props.message_expiry_interval, UINT32_MAX);
}

/* Kafka knows null values, MQTT does not; the message itself stays as it is. */
static void test_nulls(void)
{
	const struct message_field headers[] = {
		{slice_str("a"), slice_str("1")}, {slice_str("b"), {NULL, 0}}, {slice_str("c"), slice_str("3")}};
	const struct message_view view = {.topic = slice_str("out"), .headers = headers, .n_headers = 3};
	struct message_field scratch[3];
	struct mqtt_publish publish;
	struct mqtt_properties props;
	convert_to_publish(&view, NOW, 1, scratch, &publish, &props);
	CU_ASSERT(publish.payload.data && publish.payload.len == 0);
	CU_ASSERT_FATAL(props.user == scratch && props.n_user == 3);
	CU_ASSERT(same(props.user[0].name, "a") && same(props.user[0].value, "1"));
	CU_ASSERT(same(props.user[1].name, "b") && same(props.user[1].value, ""));
	CU_ASSERT(same(props.user[2].name, "c") && same(props.user[2].value, "3"));
	CU_ASSERT(!headers[1].value.data);
}

/* Behind the others, whether they were copied or not; without the wish nothing changes. */
static void test_waited(void)
{
	const struct message_field headers[] = {{slice_str("a"), slice_str("1")}, {slice_str("b"), {NULL, 0}}};
	struct message_view view = {.topic = slice_str("out"), .headers = headers, .n_headers = 1, .origin_ms = NOW};
	struct message_field scratch[3];
	struct mqtt_publish publish;
	struct mqtt_properties props;
	char text[MARKERS_WAITED_SIZE];
	convert_to_publish(&view, NOW, 1, scratch, &publish, &props);
	convert_add_waited(&view, NOW, scratch, text, &props);
	CU_ASSERT(props.user == headers && props.n_user == 1);
	view.waits = true;
	for (view.n_headers = 0; view.n_headers <= 2; view.n_headers++) {
		convert_to_publish(&view, NOW + 1234, 1, scratch, &publish, &props);
		convert_add_waited(&view, NOW + 1234, scratch, text, &props);
		CU_ASSERT_EQUAL_FATAL(props.n_user, view.n_headers + 1);
		CU_ASSERT(same(props.user[view.n_headers].name, "linkspan-waited-ms"));
		CU_ASSERT(same(props.user[view.n_headers].value, "1234"));
		CU_ASSERT(view.n_headers < 1 || same(props.user[0].value, "1"));
		CU_ASSERT(view.n_headers < 2 || same(props.user[1].value, ""));
	}
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"a packet as a message", test_to_view},
		{"a message as a packet", test_to_publish},
		{"the expiry is passed on as what remains", test_expiry},
		{"null payloads and null header values become empty", test_nulls},
		{"how long it has waited", test_waited},
		{NULL, NULL},
	};
	return tap_main("mqtt convert", tests);
}
