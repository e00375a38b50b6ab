/* SPDX-License-Identifier: Apache-2.0
 *
 * The source half of the MQTT link: acknowledgements in order and together, epochs, holding, what is left at the broker.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/mqtt/rig.h"

static void begin(struct rig *rig)
{
	rig_open(rig);
	rig_subscribe(rig, "in/#", 1);
	rig_connect(rig);
	UNTIL(rig, rig_changes(rig, CHANGE_SUBSCRIPTIONS) == 2);
	rig->n_receipts = rig->n_offers;
}

static void test_acks_in_order_and_together(void)
{
	struct rig rig;
	begin(&rig);
	for (uint16_t id = 1; id <= 5; id++)
		fake_broker_publish(&rig.broker, "in/a", "x", 1, (uint16_t)(id * 7));
	UNTIL(&rig, rig_messages(&rig) == 5);
	CU_ASSERT(fake_broker_count(&rig.broker, MQTT_PUBACK) == 0);
	rig_receipts(&rig, 2);
	rig_receipts(&rig, 3);
	UNTIL(&rig, fake_broker_count(&rig.broker, MQTT_PUBACK) == 5);
	for (size_t n = 0; n < 5; n++)
		CU_ASSERT(fake_broker_packet(&rig.broker, MQTT_PUBACK, n)->packet_id == (n + 1) * 7);
	rig_close(&rig);
}

static void test_one_write_per_turn(void)
{
	struct rig rig;
	begin(&rig);
	for (uint16_t id = 1; id <= 100; id++)
		fake_broker_publish(&rig.broker, "in/a", "x", 1, id);
	UNTIL(&rig, rig_messages(&rig) == 100);
	rig_receipts(&rig, 100);
	UNTIL(&rig, fake_broker_count(&rig.broker, MQTT_PUBACK) == 100);
	unsigned first = fake_broker_packet(&rig.broker, MQTT_PUBACK, 0)->read;
	CU_ASSERT(fake_broker_packet(&rig.broker, MQTT_PUBACK, 99)->read == first);
	rig_close(&rig);
}

static void test_qos0_needs_no_receipt(void)
{
	struct rig rig;
	begin(&rig);
	fake_broker_publish(&rig.broker, "in/a", "zero", 0, 0);
	fake_broker_publish(&rig.broker, "in/a", "", 1, 9);
	UNTIL(&rig, rig_messages(&rig) == 2);
	CU_ASSERT(rig_offer(&rig, CHANGE_NONE, 0)->no_receipt);
	CU_ASSERT(!rig_offer(&rig, CHANGE_NONE, 1)->no_receipt);
	CU_ASSERT(rig_offer(&rig, CHANGE_NONE, 1)->payload_len == 0);
	rig_receipts(&rig, 1);
	UNTIL(&rig, fake_broker_count(&rig.broker, MQTT_PUBACK) == 1);
	CU_ASSERT(fake_broker_packet(&rig.broker, MQTT_PUBACK, 0)->packet_id == 9);
	rig_close(&rig);
}

static void test_properties(void)
{
	struct rig rig;
	begin(&rig);
	struct message_field user[] = {{slice_str("a"), slice_str("1")}, {slice_str("a"), slice_str("2")}};
	struct mqtt_packet packet = {
		.type = MQTT_PUBLISH,
		.publish = {.topic = slice_str("in/p"),
			.payload = slice_str("{}"),
			.qos = 1,
			.packet_id = 1,
			.retain = true},
		.props = {.content_type = slice_str("application/json"),
			.response_topic = slice_str("answer/here"),
			.correlation_data = slice_str("c1"),
			.user = user,
			.n_user = 2},
	};
	mqtt_set_number(&packet.props, MQTT_PAYLOAD_FORMAT_INDICATOR, 1);
	mqtt_set_number(&packet.props, MQTT_MESSAGE_EXPIRY_INTERVAL, 60);
	fake_broker_send(&rig.broker, &packet);
	UNTIL(&rig, rig_messages(&rig) == 1);
	const struct rig_offer *offer = rig_offer(&rig, CHANGE_NONE, 0);
	CU_ASSERT_STRING_EQUAL(offer->topic, "in/p");
	CU_ASSERT_STRING_EQUAL(offer->content_type, "application/json");
	CU_ASSERT_STRING_EQUAL(offer->response_topic, "answer/here");
	CU_ASSERT_STRING_EQUAL(offer->correlation, "c1");
	CU_ASSERT_STRING_EQUAL(offer->user, "a=1;a=2;");
	CU_ASSERT(offer->utf8 && offer->retain && offer->qos == 1);
	CU_ASSERT(offer->origin_ms > 0 && offer->expires_ms == offer->origin_ms + 60000);
	rig_close(&rig);
}

static void test_receipts_of_an_old_epoch(void)
{
	struct rig rig;
	begin(&rig);
	rig.broker.session_present = true;
	fake_broker_publish(&rig.broker, "in/a", "1", 1, 1);
	fake_broker_publish(&rig.broker, "in/a", "2", 1, 2);
	UNTIL(&rig, rig_messages(&rig) == 2);
	fake_broker_drop(&rig.broker);
	UNTIL(&rig, rig.ups == 2);
	CU_ASSERT(rig.downs == 1);
	/* The broker repeats them; the old cookies must not acknowledge the new connection's identifiers. */
	fake_broker_publish(&rig.broker, "in/a", "1", 1, 1);
	UNTIL(&rig, rig_messages(&rig) == 3);
	uint64_t old = rig_offer(&rig, CHANGE_NONE, 0)->cookie;
	CU_ASSERT(old != rig_offer(&rig, CHANGE_NONE, 2)->cookie);
	mqtt_connector.receipt(rig.link, old, RECEIPT_DURABLE);
	mqtt_connector.receipts_end(rig.link);
	mqtt_connector.receipt(rig.link, rig_offer(&rig, CHANGE_NONE, 1)->cookie, RECEIPT_DURABLE);
	mqtt_connector.receipts_end(rig.link);
	fake_broker_publish(&rig.broker, "in/a", "2", 1, 2);
	UNTIL(&rig, rig_messages(&rig) == 4);
	CU_ASSERT(fake_broker_count(&rig.broker, MQTT_PUBACK) == 0);
	rig_receipts(&rig, 2);
	UNTIL(&rig, fake_broker_count(&rig.broker, MQTT_PUBACK) == 2);
	CU_ASSERT(fake_broker_packet(&rig.broker, MQTT_PUBACK, 0)->connection == 2);
	rig_close(&rig);
}

static void test_dup_is_an_offer_like_any_other(void)
{
	struct rig rig;
	begin(&rig);
	struct mqtt_packet packet = {
		.type = MQTT_PUBLISH,
		.publish =
			{.topic = slice_str("in/a"), .payload = slice_str("x"), .qos = 1, .packet_id = 4, .dup = true},
	};
	fake_broker_send(&rig.broker, &packet);
	fake_broker_send(&rig.broker, &packet);
	UNTIL(&rig, rig_messages(&rig) == 2);
	rig_receipts(&rig, 2);
	UNTIL(&rig, fake_broker_count(&rig.broker, MQTT_PUBACK) == 2);
	rig_close(&rig);
}

static void test_a_failed_receipt_is_not_acknowledged(void)
{
	struct rig rig;
	begin(&rig);
	fake_broker_publish(&rig.broker, "in/a", "1", 1, 1);
	fake_broker_publish(&rig.broker, "in/a", "2", 1, 2);
	UNTIL(&rig, rig_messages(&rig) == 2);
	mqtt_connector.receipt(rig.link, rig_offer(&rig, CHANGE_NONE, 0)->cookie, RECEIPT_FAILED);
	mqtt_connector.receipt(rig.link, rig_offer(&rig, CHANGE_NONE, 1)->cookie, RECEIPT_DURABLE);
	mqtt_connector.receipts_end(rig.link);
	rig_send(&rig, "out", "marker", 1);
	rig_send_end(&rig);
	UNTIL(&rig, fake_broker_count(&rig.broker, MQTT_PUBLISH) == 1);
	CU_ASSERT(fake_broker_count(&rig.broker, MQTT_PUBACK) == 0);
	rig_close(&rig);
}

static void test_refused_is_acknowledged_in_its_turn(void)
{
	struct rig rig;
	begin(&rig);
	fake_broker_publish(&rig.broker, "in/a", "1", 1, 1);
	UNTIL(&rig, rig_messages(&rig) == 1);
	rig.refuse = true;
	fake_broker_publish(&rig.broker, "in/a", "2", 1, 2);
	fake_broker_publish(&rig.broker, "in/a", "bad\xff", 1, 3);
	fake_broker_ack(&rig.broker, 999, 0); /* nobody waits for it */
	rig_send(&rig, "out", "marker", 1);
	rig_send_end(&rig);
	UNTIL(&rig, rig.n_outcomes == 1);
	CU_ASSERT(fake_broker_count(&rig.broker, MQTT_PUBACK) == 0);
	rig_receipts(&rig, 1);
	UNTIL(&rig, fake_broker_count(&rig.broker, MQTT_PUBACK) == 3);
	CU_ASSERT(fake_broker_packet(&rig.broker, MQTT_PUBACK, 0)->packet_id == 1);
	CU_ASSERT(fake_broker_packet(&rig.broker, MQTT_PUBACK, 0)->reason == MQTT_SUCCESS);
	CU_ASSERT(fake_broker_packet(&rig.broker, MQTT_PUBACK, 1)->packet_id == 2);
	CU_ASSERT(fake_broker_packet(&rig.broker, MQTT_PUBACK, 1)->reason == MQTT_IMPLEMENTATION_SPECIFIC_ERROR);
	CU_ASSERT(fake_broker_packet(&rig.broker, MQTT_PUBACK, 2)->packet_id == 3);
	rig_close(&rig);
}

/* A PUBLISH whose topic holds a wildcard: whole, but not legal. */
static void test_unusable_is_acknowledged_and_passed_over(void)
{
	static const uint8_t wild[] = {0x32, 9, 0, 4, 'i', 'n', '/', '+', 0, 8, 0};
	struct rig rig;
	begin(&rig);
	fake_broker_send_bytes(&rig.broker, wild, sizeof wild);
	UNTIL(&rig, fake_broker_count(&rig.broker, MQTT_PUBACK) == 1);
	CU_ASSERT(fake_broker_packet(&rig.broker, MQTT_PUBACK, 0)->packet_id == 8);
	CU_ASSERT(fake_broker_packet(&rig.broker, MQTT_PUBACK, 0)->reason >= 0x80);
	CU_ASSERT(rig_messages(&rig) == 0 && rig.downs == 0);
	rig_close(&rig);
}

/* The broker takes no packet as large as a PUBACK with a reason. [MQTT-4.6.0-2] holds up to the end of the connection. */
static void test_nothing_is_acknowledged_behind_what_cannot_be(void)
{
	static const uint8_t wild[] = {0x32, 9, 0, 4, 'i', 'n', '/', '+', 0, 2, 0};
	struct rig rig;
	begin(&rig);
	rig.broker.session_present = true; /* no SUBSCRIBE again: it would be too large, too */
	mqtt_set_number(&rig.broker.connack_props, MQTT_MAXIMUM_PACKET_SIZE, 4);
	fake_broker_drop(&rig.broker);
	UNTIL(&rig, rig.ups == 2);
	fake_broker_publish(&rig.broker, "in/a", "first", 1, 1);
	fake_broker_send_bytes(&rig.broker, wild, sizeof wild);
	fake_broker_publish(&rig.broker, "in/a", "third", 1, 3);
	UNTIL(&rig, rig_messages(&rig) == 2);
	rig_receipts(&rig, 2);
	UNTIL(&rig, rig.ups == 3);
	CU_ASSERT(fake_broker_count(&rig.broker, MQTT_PUBACK) == 1);
	CU_ASSERT(fake_broker_packet(&rig.broker, MQTT_PUBACK, 0)->packet_id == 1);
	fake_broker_publish(&rig.broker, "in/a", "third", 1, 3);
	UNTIL(&rig, rig_messages(&rig) == 3);
	rig_receipts(&rig, 1);
	UNTIL(&rig, fake_broker_count(&rig.broker, MQTT_PUBACK) == 2);
	CU_ASSERT(fake_broker_packet(&rig.broker, MQTT_PUBACK, 1)->packet_id == 3);
	rig_close(&rig);
}

static void test_oversized_is_passed_over(void)
{
	static uint8_t zeros[65536];
	uint32_t len = MESSAGE_MAX_ENCODED + 100;
	uint8_t head[] = {0x32, (uint8_t)(0x80 | (len & 0x7f)), (uint8_t)(0x80 | (len >> 7 & 0x7f)),
		(uint8_t)(0x80 | (len >> 14 & 0x7f)), (uint8_t)(len >> 21), 0, 3, 'i', 'n', '/', 0, 5, 0};
	struct rig rig;
	begin(&rig);
	fake_broker_send_bytes(&rig.broker, head, sizeof head);
	uint32_t left = len - 8;
	for (uint32_t part; left > 0; left -= part) {
		part = left < sizeof zeros ? left : sizeof zeros;
		fake_broker_send_bytes(&rig.broker, zeros, part);
		rig_wait_begin(&rig);
		rig_wait_turn(&rig);
	}
	fake_broker_publish(&rig.broker, "in/a", "after", 1, 6);
	UNTIL(&rig, rig_messages(&rig) == 1);
	CU_ASSERT_STRING_EQUAL(rig_offer(&rig, CHANGE_NONE, 0)->payload, "after");
	UNTIL(&rig, fake_broker_count(&rig.broker, MQTT_PUBACK) == 1);
	CU_ASSERT(fake_broker_packet(&rig.broker, MQTT_PUBACK, 0)->packet_id == 5);
	CU_ASSERT(rig.downs == 0);
	rig_close(&rig);
}

static void test_large_message(void)
{
	struct rig rig;
	begin(&rig);
	size_t len = 3 * 1024 * 1024;
	char *payload = malloc(len + 1);
	memset(payload, 'p', len);
	payload[len] = '\0';
	fake_broker_publish(&rig.broker, "in/a", "before", 1, 1);
	fake_broker_publish(&rig.broker, "in/a", payload, 1, 2);
	fake_broker_publish(&rig.broker, "in/a", "after", 1, 3);
	free(payload);
	UNTIL(&rig, rig_messages(&rig) == 3);
	CU_ASSERT(rig_offer(&rig, CHANGE_NONE, 1)->payload_len == len);
	rig_close(&rig);
}

/* --- busy ----------------------------------------------------------------------------------------------------------------- */

static void test_held_while_busy(void)
{
	struct rig rig;
	begin(&rig);
	rig.busy = true;
	for (uint16_t id = 1; id <= 10; id++) {
		char text[8];
		snprintf(text, sizeof text, "%u", id);
		fake_broker_publish(&rig.broker, "in/a", text, id % 2, id % 2 ? id : 0);
	}
	/* A paused source still hears acknowledgements and sends. */
	UNTIL(&rig, rig.pauses == 1);
	rig_send(&rig, "out", "x", 1);
	rig_send_end(&rig);
	UNTIL(&rig, rig.n_outcomes == 1);
	CU_ASSERT(rig.pauses == 1);
	CU_ASSERT(rig_messages(&rig) == 0);
	rig_resume(&rig);
	UNTIL(&rig, rig_messages(&rig) == 10);
	for (size_t n = 0; n < 10; n++)
		CU_ASSERT(atoi(rig_offer(&rig, CHANGE_NONE, n)->payload) == (int)n + 1);
	rig_receipts(&rig, 5);
	UNTIL(&rig, fake_broker_count(&rig.broker, MQTT_PUBACK) == 5);
	CU_ASSERT(rig.downs == 0);
	rig_close(&rig);
}

static void test_held_dies_with_its_connection(void)
{
	struct rig rig;
	begin(&rig);
	rig.broker.session_present = true;
	rig.busy = true;
	fake_broker_publish(&rig.broker, "in/a", "one", 1, 1);
	fake_broker_publish(&rig.broker, "in/a", "zero", 0, 0);
	UNTIL(&rig, rig.pauses == 1);
	rig_send(&rig, "out", "marker", 1);
	rig_send_end(&rig);
	UNTIL(&rig, rig.n_outcomes == 1);
	fake_broker_drop(&rig.broker);
	UNTIL(&rig, rig.ups == 2);
	rig_resume(&rig);
	UNTIL(&rig, rig_messages(&rig) == 1);
	CU_ASSERT_STRING_EQUAL(rig_offer(&rig, CHANGE_NONE, 0)->payload, "zero");
	fake_broker_publish(&rig.broker, "in/a", "one", 1, 1);
	UNTIL(&rig, rig_messages(&rig) == 2);
	rig_close(&rig);
}

/* What does not fit stays at the broker, and is fetched when there is room; meanwhile the connection lives for the sink. */
static void overflow(int version)
{
	struct rig rig;
	rig_open(&rig);
	rig.settings.version = version;
	rig.settings.hold_bytes = 1000;
	rig_subscribe(&rig, "in/#", 1);
	rig_connect(&rig);
	UNTIL(&rig, rig_changes(&rig, CHANGE_SUBSCRIPTIONS) == 2);
	rig.n_receipts = rig.n_offers;
	rig.broker.session_present = true;
	rig.busy = true;
	char payload[101];
	memset(payload, 'x', 100);
	payload[100] = '\0';
	for (uint16_t id = 1; id <= 40; id++) {
		fake_broker_publish(&rig.broker, "in/a", payload, 1, id);
		fake_broker_publish(&rig.broker, "in/a", payload, 0, 0);
	}
	UNTIL(&rig, rig.pauses == 1);
	rig_send(&rig, "out", "marker", 1);
	rig_send_end(&rig);
	UNTIL(&rig, rig.n_outcomes == 1);
	CU_ASSERT(rig.downs == 0);
	rig_resume(&rig);
	size_t held = rig_messages(&rig);
	CU_ASSERT(held > 0 && held < 20);
	size_t with_receipt = 0;
	for (size_t n = 0; n < held; n++)
		with_receipt += !rig_offer(&rig, CHANGE_NONE, n)->no_receipt;
	CU_ASSERT(with_receipt > 0);
	/* Not before what was held is acknowledged. */
	CU_ASSERT(rig.ups == 1);
	rig_receipts(&rig, with_receipt);
	UNTIL(&rig, rig.ups == 2);
	CU_ASSERT(fake_broker_count(&rig.broker, MQTT_PUBACK) == with_receipt);
	for (uint16_t id = (uint16_t)(with_receipt + 1); id <= 40; id++)
		fake_broker_publish(&rig.broker, "in/a", payload, 1, id);
	UNTIL(&rig, rig_messages(&rig) == held + 40 - with_receipt);
	rig_receipts(&rig, 40);
	UNTIL(&rig, fake_broker_count(&rig.broker, MQTT_PUBACK) == 40);
	for (size_t n = 0; n < 40; n++)
		CU_ASSERT(fake_broker_packet(&rig.broker, MQTT_PUBACK, n)->packet_id == n + 1);
	rig_close(&rig);
}

static void test_overflow_5(void)
{
	overflow(0);
}

static void test_overflow_3_1_1(void)
{
	overflow(1);
}

/* mosquitto 2.0.11 does so when it resumes a session: leaving it would go on for ever. */
static void test_receive_maximum_exceeded(void)
{
	struct rig rig;
	rig_open(&rig);
	rig.settings.receive_maximum = 3;
	rig_subscribe(&rig, "in/#", 1);
	rig_connect(&rig);
	CU_ASSERT(fake_broker_packet(&rig.broker, MQTT_CONNECT, 0)->receive_maximum == 3);
	for (uint16_t id = 1; id <= 10; id++)
		fake_broker_publish(&rig.broker, "in/a", "x", 1, id);
	UNTIL(&rig, rig_messages(&rig) == 10);
	CU_ASSERT(rig.downs == 0);
	rig_close(&rig);
}

static void test_more_than_identifiers(void)
{
	static const uint8_t packet[] = {0x32, 9, 0, 4, 'i', 'n', '/', 'a', 0, 1};
	static uint8_t packets[65536][sizeof packet + 1];
	struct rig rig;
	begin(&rig);
	rig.busy = true;
	for (size_t i = 0; i < 65536; i++)
		memcpy(packets[i], packet, sizeof packet); /* and a zero: no properties */
	fake_broker_send_bytes(&rig.broker, packets, sizeof packets);
	UNTIL(&rig, fake_broker_count(&rig.broker, MQTT_DISCONNECT) == 1);
	CU_ASSERT(fake_broker_packet(&rig.broker, MQTT_DISCONNECT, 0)->reason == MQTT_RECEIVE_MAXIMUM_EXCEEDED);
	UNTIL(&rig, rig.ups == 2);
	rig_close(&rig);
}

static void test_stop_intake_still_acknowledges(void)
{
	struct rig rig;
	begin(&rig);
	fake_broker_publish(&rig.broker, "in/a", "1", 1, 1);
	UNTIL(&rig, rig_messages(&rig) == 1);
	mqtt_connector.stop_intake(rig.link);
	fake_broker_publish(&rig.broker, "in/a", "2", 1, 2);
	rig_receipts(&rig, 1);
	rig_send(&rig, "out", "marker", 1);
	rig_send_end(&rig);
	UNTIL(&rig, rig.n_outcomes == 1);
	CU_ASSERT(fake_broker_count(&rig.broker, MQTT_PUBACK) == 1);
	CU_ASSERT(rig_messages(&rig) == 1);
	CU_ASSERT(fake_broker_count(&rig.broker, MQTT_UNSUBSCRIBE) == 0);
	rig_close(&rig);
	CU_ASSERT(rig.stopped);
}

static const struct tap_test tests[] = {
	{"acknowledgements in order of the messages, after the receipts", test_acks_in_order_and_together},
	{"all acknowledgements of a turn in one write", test_one_write_per_turn},
	{"qos 0 asks for no receipt", test_qos0_needs_no_receipt},
	{"version 5 properties", test_properties},
	{"receipts of an old epoch acknowledge nothing", test_receipts_of_an_old_epoch},
	{"a repeated PUBLISH is a new offer (field bug 9)", test_dup_is_an_offer_like_any_other},
	{"a failed receipt is not acknowledged, nor what follows it", test_a_failed_receipt_is_not_acknowledged},
	{"a refused message is acknowledged in its turn", test_refused_is_acknowledged_in_its_turn},
	{"an illegal message is acknowledged and passed over", test_unusable_is_acknowledged_and_passed_over},
	{"nothing is acknowledged behind what cannot be", test_nothing_is_acknowledged_behind_what_cannot_be},
	{"a message that is too large is passed over", test_oversized_is_passed_over},
	{"a message larger than the read buffer", test_large_message},
	{"held while the host is busy, offered in order", test_held_while_busy},
	{"what is held above qos 0 dies with its connection", test_held_dies_with_its_connection},
	{"beyond hold_bytes messages stay at the broker, version 5", test_overflow_5},
	{"beyond hold_bytes messages stay at the broker, version 3.1.1", test_overflow_3_1_1},
	{"a broker that passes Receive Maximum is borne", test_receive_maximum_exceeded},
	{"more unacknowledged messages than identifiers", test_more_than_identifiers},
	{"stop_intake offers no more and still acknowledges", test_stop_intake_still_acknowledges},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("mqtt source", tests);
}
