/* SPDX-License-Identifier: Apache-2.0
 *
 * The sink half of the MQTT link: identifiers, repetitions, windows, reason codes, limits of the broker.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/mqtt/rig.h"

static const struct broker_packet *published(const struct rig *rig, size_t n)
{
	return fake_broker_packet(&rig->broker, MQTT_PUBLISH, n);
}

static void test_qos1_delivered_by_puback(void)
{
	struct rig rig;
	rig_open(&rig);
	rig_connect(&rig);
	rig.next_seq = 61441; /* begins the identifiers anew */
	rig_send(&rig, "out/a", "hello", 1);
	rig_send(&rig, "out/a", "", 1);
	rig_send_end(&rig);
	UNTIL(&rig, rig.n_outcomes == 2);
	CU_ASSERT(rig.outcomes[0].seq == 61441 && rig.outcomes[0].kind == OUTCOME_DELIVERED);
	CU_ASSERT(rig.outcomes[1].seq == 61442 && rig.outcomes[1].kind == OUTCOME_DELIVERED);
	CU_ASSERT(published(&rig, 0)->packet_id == 2);
	CU_ASSERT_STRING_EQUAL(published(&rig, 0)->topic, "out/a");
	CU_ASSERT_STRING_EQUAL(published(&rig, 0)->payload, "hello");
	CU_ASSERT(!published(&rig, 0)->dup && published(&rig, 0)->qos == 1);
	CU_ASSERT(published(&rig, 1)->payload_len == 0);
	CU_ASSERT(published(&rig, 0)->read == published(&rig, 1)->read);
	rig_close(&rig);
}

static void test_qos0_delivered_when_written(void)
{
	struct rig rig;
	rig_open(&rig);
	rig_connect(&rig);
	rig_send(&rig, "out", "x", 0);
	CU_ASSERT(rig.n_outcomes == 0);
	rig_send_end(&rig);
	CU_ASSERT(rig.n_outcomes == 0); /* never from inside */
	UNTIL(&rig, rig.n_outcomes == 1);
	CU_ASSERT(rig.outcomes[0].kind == OUTCOME_DELIVERED);
	UNTIL(&rig, fake_broker_count(&rig.broker, MQTT_PUBLISH) == 1);
	CU_ASSERT(published(&rig, 0)->qos == 0 && published(&rig, 0)->packet_id == 0);
	/* A host that sends the next one from inside the outcome, a long outbox through. */
	rig.keep_sending = true;
	rig.send_until = 2000;
	rig_send(&rig, "out", "x", 0);
	rig_send_end(&rig);
	UNTIL(&rig, rig.n_outcomes == 2000);
	rig_close(&rig);
}

static void test_properties(void)
{
	struct rig rig;
	rig_open(&rig);
	rig_connect(&rig);
	struct message_field headers[] = {
		{slice_str("a"), slice_str("1")}, {slice_str("null"), {NULL, 0}}, {slice_str("b"), slice_str("")}};
	struct message_view view = {
		.topic = slice_str("out/p"),
		.payload = slice_str("x"),
		.content_type = slice_str("text/plain"),
		.response_topic = slice_str("back"),
		.correlation = slice_str("c2"),
		.headers = headers,
		.n_headers = 3,
		.qos = 1,
		.retain = true,
		.utf8_payload = true,
		.expires_ms = loop_wall_ms(rig.loop) + 90500,
	};
	rig_send_view(&rig, &view, false);
	rig_send_end(&rig);
	UNTIL(&rig, rig.n_outcomes == 1);
	const struct broker_packet *packet = published(&rig, 0);
	CU_ASSERT(packet->qos == 1 && packet->retain);
	CU_ASSERT_STRING_EQUAL(packet->content_type, "text/plain");
	CU_ASSERT_STRING_EQUAL(packet->response_topic, "back");
	CU_ASSERT_STRING_EQUAL(packet->correlation, "c2");
	CU_ASSERT_STRING_EQUAL(packet->user, "a=1;null=;b=;");
	CU_ASSERT(packet->payload_format == 1);
	CU_ASSERT(packet->message_expiry > 60 && packet->message_expiry <= 91);
	rig_close(&rig);
}

/* Stamped by another process a year ago by its clock, thirty seconds in truth. */
static void test_expiry_by_another_clock(void)
{
	struct rig rig;
	rig_open(&rig);
	rig_connect(&rig);
	int64_t year_ms = INT64_C(365) * 86400000;
	uint64_t then_ms = loop_wall_ms(rig.loop) - (uint64_t)year_ms - 30000;
	struct message_view view = {.topic = slice_str("out"),
		.payload = slice_str("x"),
		.qos = 1,
		.origin_ms = then_ms,
		.expires_ms = then_ms + 90500};
	struct message *msg = message_new(&view);
	struct delivery delivery = {.seq = 1,
		.destination_uuid = (const uint8_t *)"0123456789abcdef",
		.attempt = 1,
		.msg = msg,
		.shift_ms = year_ms};
	mqtt_connector.send(rig.link, &delivery);
	rig_send_end(&rig);
	UNTIL(&rig, rig.n_outcomes == 1);
	uint32_t seconds = published(&rig, 0)->message_expiry;
	CU_ASSERT(seconds > 30 && seconds <= 61);
	rig_close(&rig);
	message_unref(msg);
}

static void test_3_1_1_has_no_properties(void)
{
	struct rig rig;
	rig_open(&rig);
	rig.settings.version = 1;
	rig_connect(&rig);
	CU_ASSERT(rig.window == 20);
	struct message_field header = {slice_str("a"), slice_str("1")};
	struct message_view view = {
		.topic = slice_str("out"), .payload = {NULL, 0}, .headers = &header, .n_headers = 1, .qos = 1};
	rig_send_view(&rig, &view, false);
	rig_send_end(&rig);
	UNTIL(&rig, rig.n_outcomes == 1);
	CU_ASSERT(rig.outcomes[0].kind == OUTCOME_DELIVERED && published(&rig, 0)->user[0] == '\0');
	rig_close(&rig);
}

static void test_dup_on_resend(void)
{
	struct rig rig;
	rig_open(&rig);
	rig.broker.no_pubacks = true;
	rig_connect(&rig);
	rig_send(&rig, "out", "first", 1);
	rig_send(&rig, "out", "second", 1);
	rig_send_end(&rig);
	UNTIL(&rig, fake_broker_count(&rig.broker, MQTT_PUBLISH) == 2);
	rig.broker.session_present = true;
	rig.broker.no_pubacks = false;
	fake_broker_drop(&rig.broker);
	UNTIL(&rig, rig.ups == 2);
	CU_ASSERT(rig.downs == 1 && rig.n_outcomes == 0);
	struct message_view view = {.topic = slice_str("out"), .payload = slice_str("first"), .qos = 1};
	rig.next_seq = 1;
	rig_send_view(&rig, &view, true);
	rig.next_seq = 3;
	rig_send(&rig, "out", "third", 1);
	rig_send_end(&rig);
	UNTIL(&rig, rig.n_outcomes == 2);
	CU_ASSERT(published(&rig, 2)->dup && published(&rig, 2)->packet_id == published(&rig, 0)->packet_id);
	CU_ASSERT(!published(&rig, 3)->dup);
	/* The broker has forgotten the session: it is no repetition to it. */
	rig.broker.session_present = false;
	fake_broker_drop(&rig.broker);
	UNTIL(&rig, rig.ups == 3);
	rig.next_seq = 1;
	rig_send_view(&rig, &view, true);
	rig_send_end(&rig);
	UNTIL(&rig, rig.n_outcomes == 3);
	CU_ASSERT(!published(&rig, 4)->dup);
	rig_close(&rig);
}

static void test_window(void)
{
	struct rig rig;
	rig_open(&rig);
	mqtt_set_number(&rig.broker.connack_props, MQTT_RECEIVE_MAXIMUM, 7);
	rig_connect(&rig);
	CU_ASSERT(rig.window == 7);
	rig.broker.connack_props = (struct mqtt_properties){0};
	fake_broker_drop(&rig.broker);
	UNTIL(&rig, rig.ups == 2);
	CU_ASSERT(rig.window == 1000);
	rig_stop_link(&rig);
	rig.settings.max_in_flight = 5;
	rig_connect(&rig);
	CU_ASSERT(rig.window == 5);
	rig_close(&rig);
}

static void test_reason_codes(void)
{
	static const struct {
		uint8_t reason;
		enum outcome_kind kind;
		unsigned alarms;
	} cases[] = {
		{MQTT_SUCCESS, OUTCOME_DELIVERED, 0},
		{MQTT_NO_MATCHING_SUBSCRIBERS, OUTCOME_DELIVERED, 0},
		{MQTT_QUOTA_EXCEEDED, OUTCOME_RETRY, 0},
		{MQTT_UNSPECIFIED_ERROR, OUTCOME_RETRY, 0},
		{MQTT_IMPLEMENTATION_SPECIFIC_ERROR, OUTCOME_RETRY, 0},
		{MQTT_PACKET_IDENTIFIER_IN_USE, OUTCOME_RETRY, 0},
		{MQTT_NOT_AUTHORIZED, OUTCOME_LINK_DOWN, 1},
		{MQTT_PAYLOAD_FORMAT_INVALID, OUTCOME_REJECTED, 0},
		{MQTT_TOPIC_NAME_INVALID, OUTCOME_REJECTED, 0},
		{MQTT_PACKET_TOO_LARGE, OUTCOME_REJECTED, 0},
	};
	struct rig rig;
	rig_open(&rig);
	rig_connect(&rig);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		rig.broker.puback_reason = cases[i].reason;
		rig.alarms = 0;
		rig_send(&rig, "out", "x", 1);
		rig_send_end(&rig);
		UNTIL(&rig, rig.n_outcomes == i + 1);
		CU_ASSERT(rig.outcomes[i].kind == cases[i].kind);
		CU_ASSERT(rig.alarms == cases[i].alarms);
		CU_ASSERT(!rig.alarms || strstr(rig.alarm, " publish to out; "));
		CU_ASSERT((rig.outcomes[i].reason[0] == '\0') == (cases[i].kind == OUTCOME_DELIVERED));
	}
	CU_ASSERT(rig.downs == 0);
	rig_close(&rig);
}

static void test_limits_of_the_broker(void)
{
	struct rig rig;
	rig_open(&rig);
	mqtt_set_number(&rig.broker.connack_props, MQTT_MAXIMUM_PACKET_SIZE, 100);
	mqtt_set_number(&rig.broker.connack_props, MQTT_RETAIN_AVAILABLE, 0);
	rig_connect(&rig);
	char payload[101];
	memset(payload, 'x', 100);
	payload[100] = '\0';
	struct message_view retained = {.topic = slice_str("out"), .payload = slice_str("x"), .qos = 1, .retain = true};
	struct message_view illegal = {.topic = slice_str("out/+"), .payload = slice_str("x"), .qos = 1};
	rig_send(&rig, "out", payload, 1);
	rig_send_view(&rig, &retained, false);
	rig_send_view(&rig, &illegal, false);
	rig_send(&rig, "out", "fits", 1);
	CU_ASSERT(rig.n_outcomes == 0); /* never from inside */
	rig_send_end(&rig);
	UNTIL(&rig, rig.n_outcomes == 4);
	for (size_t i = 0; i < 4; i++)
		CU_ASSERT(rig.outcomes[i].kind == (rig.outcomes[i].seq == 4 ? OUTCOME_DELIVERED : OUTCOME_REJECTED));
	CU_ASSERT(fake_broker_count(&rig.broker, MQTT_PUBLISH) == 1 && rig.downs == 0);
	rig_close(&rig);
}

static void test_maximum_qos_0(void)
{
	struct rig rig;
	rig_open(&rig);
	mqtt_set_number(&rig.broker.connack_props, MQTT_MAXIMUM_QOS, 0);
	rig_connect(&rig);
	rig_send(&rig, "out", "x", 0);
	rig_send_end(&rig);
	UNTIL(&rig, rig.n_outcomes == 1);
	rig_send(&rig, "out", "x", 1);
	rig_send_end(&rig);
	UNTIL(&rig, rig.downs == 1);
	CU_ASSERT(rig.alarms == 1 && strstr(rig.alarm, "QoS 0"));
	CU_ASSERT(rig.n_outcomes == 1 && fake_broker_count(&rig.broker, MQTT_PUBLISH) == 1);
	rig_close(&rig);
}

static void test_missing_puback(void)
{
	struct rig rig;
	rig_open(&rig);
	rig.broker.no_pubacks = true;
	rig.settings.ack_timeout_ms = 500;
	rig_connect(&rig);
	rig_send(&rig, "out", "x", 1);
	rig_send(&rig, "out", "y", 1);
	rig_send_end(&rig);
	UNTIL(&rig, fake_broker_count(&rig.broker, MQTT_PUBLISH) == 2);
	/* One of them is acknowledged, the other never. */
	fake_broker_ack(&rig.broker, published(&rig, 1)->packet_id, MQTT_SUCCESS);
	UNTIL(&rig, rig.ups == 2);
	CU_ASSERT(rig.downs == 1 && strstr(rig.down_reason, "ack_timeout"));
	CU_ASSERT(rig.n_outcomes == 1 && rig.outcomes[0].seq == 2);
	rig_close(&rig);
}

/* More than the socket takes at once: the rest waits un-encoded, in order, and the broker gets all of it. */
static void test_long_queue(void)
{
	enum { COUNT = 40, BYTES = 256 * 1024 };
	struct rig rig;
	rig_open(&rig);
	rig_connect(&rig);
	char *payload = malloc(BYTES);
	CU_ASSERT_FATAL(payload != NULL);
	memset(payload, 'x', BYTES);
	struct message_view view = {.topic = slice_str("out"), .payload = slice_of(payload, BYTES), .qos = 1};
	struct message *msg = message_new(&view);
	for (uint64_t seq = 1; seq <= COUNT; seq++) {
		struct delivery delivery = {
			.seq = seq, .destination_uuid = (const uint8_t *)"0123456789abcdef", .attempt = 1, .msg = msg};
		mqtt_connector.send(rig.link, &delivery);
	}
	mqtt_connector.send_end(rig.link);
	UNTIL(&rig, rig.n_outcomes == COUNT);
	for (size_t i = 0; i < COUNT; i++) {
		CU_ASSERT(rig.outcomes[i].seq == i + 1 && rig.outcomes[i].kind == OUTCOME_DELIVERED);
		CU_ASSERT(published(&rig, i)->payload_len == BYTES);
	}
	message_unref(msg);
	free(payload);
	rig_close(&rig);
}

/* The same with a connection that breaks in the middle, and a stop. */
static void test_lost_mid_send(void)
{
	struct rig rig;
	rig_open(&rig);
	rig_connect(&rig);
	static char payload[1 << 20];
	memset(payload, 'x', sizeof payload);
	struct message_view view = {.topic = slice_str("out"), .payload = slice_of(payload, sizeof payload), .qos = 1};
	struct message *msg = message_new(&view);
	for (unsigned round = 1; round <= 2; round++) {
		for (uint64_t seq = 1; seq <= 10; seq++) {
			struct delivery delivery = {.seq = seq,
				.destination_uuid = (const uint8_t *)"0123456789abcdef",
				.attempt = 1,
				.msg = msg};
			mqtt_connector.send(rig.link, &delivery);
		}
		mqtt_connector.send_end(rig.link);
		fake_broker_drop(&rig.broker);
		UNTIL(&rig, rig.ups == round + 1);
	}
	CU_ASSERT(rig.downs == 2);
	for (uint64_t seq = 1; seq <= 10; seq++) {
		struct delivery delivery = {
			.seq = seq, .destination_uuid = (const uint8_t *)"0123456789abcdef", .attempt = 1, .msg = msg};
		mqtt_connector.send(rig.link, &delivery);
	}
	rig_close(&rig);
	message_unref(msg);
}

static void test_same_identifier_twice(void)
{
	struct rig rig;
	rig_open(&rig);
	rig.broker.no_pubacks = true;
	rig_connect(&rig);
	rig_send(&rig, "out", "x", 1);
	rig.next_seq = 1 + 61440;
	rig_send(&rig, "out", "y", 1);
	rig_send_end(&rig);
	UNTIL(&rig, rig.n_outcomes == 1);
	CU_ASSERT(rig.outcomes[0].seq == 61441 && rig.outcomes[0].kind == OUTCOME_RETRY);
	rig_close(&rig);
}

static void test_past_the_window(void)
{
	struct rig rig;
	rig_open(&rig);
	rig.broker.no_pubacks = true;
	rig.settings.max_in_flight = 1;
	rig_connect(&rig);
	rig_send(&rig, "out", "x", 1);
	rig_send(&rig, "out", "y", 1);
	CU_ASSERT(rig.n_outcomes == 1 && rig.outcomes[0].kind == OUTCOME_RETRY);
	rig_close(&rig);
}

static const struct tap_test tests[] = {
	{"qos 1 is delivered by its PUBACK", test_qos1_delivered_by_puback},
	{"qos 0 is delivered when it is written", test_qos0_delivered_when_written},
	{"version 5 properties", test_properties},
	{"what remains of an expiry, stamped by another clock", test_expiry_by_another_clock},
	{"3.1.1 carries no properties", test_3_1_1_has_no_properties},
	{"a repetition has the same identifier, and DUP if the session is there", test_dup_on_resend},
	{"the window is the smaller of settings and broker", test_window},
	{"reason codes become outcomes", test_reason_codes},
	{"what the broker does not take is rejected before it is sent", test_limits_of_the_broker},
	{"Maximum QoS 0 is an alarm and ends the link", test_maximum_qos_0},
	{"a missing PUBACK ends the connection", test_missing_puback},
	{"a long write queue", test_long_queue},
	{"a connection lost in the middle of sending", test_lost_mid_send},
	{"an identifier that is in use is not used again", test_same_identifier_twice},
	{"deliveries past the window", test_past_the_window},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("mqtt sink", tests);
}
