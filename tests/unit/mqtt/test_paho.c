/* SPDX-License-Identifier: Apache-2.0
 *
 * The Paho session against a broker in the same loop: no acknowledgement before a message is durable, in whatever way a
 * connection ends; order; what brokers refuse; pausing; subscriptions.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/mqtt/rig.h"

static void open_paho(struct rig *rig)
{
	rig_open(rig);
	rig->settings.client = MQTT_CLIENT_PAHO;
}

static void begin(struct rig *rig)
{
	open_paho(rig);
	rig_subscribe(rig, "in/#", 1);
	rig_connect(rig);
	UNTIL(rig, rig_changes(rig, CHANGE_SUBSCRIPTIONS) == 2);
	rig->n_receipts = rig->n_offers;
	rig->broker.session_present = true;
}

/* One message acknowledged, the next one offered and not durable. */
static void begin_with_open_message(struct rig *rig)
{
	begin(rig);
	fake_broker_publish(&rig->broker, "in/a", "1", 1, 7);
	fake_broker_publish(&rig->broker, "in/a", "2", 1, 9);
	UNTIL(rig, rig_messages(rig) == 1);
	CU_ASSERT(fake_broker_count(&rig->broker, MQTT_PUBACK) == 0);
	rig_receipts(rig, 1);
	UNTIL(rig, rig_messages(rig) == 2);
}

/* The broker has read to the end of the connection, and the one acknowledgement that was due is all there is. */
static void check_one_acknowledgement(struct rig *rig)
{
	CU_ASSERT(fake_broker_count(&rig->broker, MQTT_PUBACK) == 1);
	const struct broker_packet *puback = fake_broker_packet(&rig->broker, MQTT_PUBACK, 0);
	CU_ASSERT(puback && puback->packet_id == 7 && puback->connection == 1);
}

static void test_no_ack_before_durable(void)
{
	struct rig rig;
	begin(&rig);
	for (uint16_t id = 1; id <= 5; id++)
		fake_broker_publish(&rig.broker, "in/a", "x", 1, (uint16_t)(id * 7));
	for (size_t n = 1; n <= 5; n++) {
		UNTIL(&rig, rig_messages(&rig) == n);
		CU_ASSERT(fake_broker_count(&rig.broker, MQTT_PUBACK) == n - 1);
		rig_receipts(&rig, 1);
	}
	UNTIL(&rig, fake_broker_count(&rig.broker, MQTT_PUBACK) == 5);
	for (size_t n = 0; n < 5; n++)
		CU_ASSERT(fake_broker_packet(&rig.broker, MQTT_PUBACK, n)->packet_id == (n + 1) * 7);
	rig_close(&rig);
}

static void test_stop_with_open_message(void)
{
	struct rig rig;
	begin_with_open_message(&rig);
	rig_stop_link(&rig);
	UNTIL(&rig, !rig.broker.connection);
	check_one_acknowledgement(&rig);
	rig_close(&rig);
}

static void test_lost_with_open_message(void)
{
	struct rig rig;
	begin_with_open_message(&rig);
	UNTIL(&rig, fake_broker_count(&rig.broker, MQTT_PUBACK) == 1);
	fake_broker_drop(&rig.broker);
	UNTIL(&rig, rig.ups == 2);
	/* A receipt of the old connection acknowledges nothing on the new one. */
	fake_broker_publish(&rig.broker, "in/a", "2", 1, 9);
	UNTIL(&rig, rig_messages(&rig) == 3);
	mqtt_connector.receipt(rig.link, rig_offer(&rig, CHANGE_NONE, 1)->cookie, RECEIPT_DURABLE);
	mqtt_connector.receipts_end(rig.link);
	fake_broker_publish(&rig.broker, "in/a", "3", 0, 0); /* stands behind it */
	rig_stop_link(&rig);
	UNTIL(&rig, !rig.broker.connection);
	check_one_acknowledgement(&rig);
	rig_close(&rig);
}

static void test_pause_leaves_it_at_the_broker(void)
{
	struct rig rig;
	begin(&rig);
	fake_broker_publish(&rig.broker, "in/a", "1", 1, 7);
	UNTIL(&rig, rig_messages(&rig) == 1);
	rig.busy = true;
	fake_broker_publish(&rig.broker, "in/a", "2", 1, 9);
	rig_receipts(&rig, 1);
	UNTIL(&rig, rig.pauses == 1);
	UNTIL(&rig, rig.downs == 1 && !rig.broker.connection);
	check_one_acknowledgement(&rig);
	CU_ASSERT(rig.broker.connections == 1);
	rig.busy = false;
	rig_resume(&rig);
	UNTIL(&rig, rig.ups == 2);
	fake_broker_publish(&rig.broker, "in/a", "2", 1, 9);
	UNTIL(&rig, rig_messages(&rig) == 2);
	rig.n_receipts = rig.n_offers - 1; /* those before have had theirs */
	rig_receipts(&rig, 1);
	UNTIL(&rig, fake_broker_count(&rig.broker, MQTT_PUBACK) == 2);
	rig_close(&rig);
}

/* What comes after the end of the intake is neither taken nor acknowledged. */
static void test_intake_ended(void)
{
	struct rig rig;
	begin_with_open_message(&rig);
	mqtt_connector.stop_intake(rig.link);
	rig_receipts(&rig, 1);
	UNTIL(&rig, fake_broker_count(&rig.broker, MQTT_PUBACK) == 2);
	fake_broker_publish(&rig.broker, "in/a", "3", 1, 11);
	UNTIL(&rig, rig.downs == 1 && !rig.broker.connection);
	CU_ASSERT(fake_broker_count(&rig.broker, MQTT_PUBACK) == 2 && rig_messages(&rig) == 2);
	rig_close(&rig);
}

static void test_many_open_and_close(void)
{
	struct rig rig;
	begin(&rig);
	for (unsigned n = 1; n <= 8; n++) {
		fake_broker_publish(&rig.broker, "in/a", "x", 1, (uint16_t)n);
		UNTIL(&rig, rig_messages(&rig) == n);
		fake_broker_drop(&rig.broker);
		UNTIL(&rig, rig.ups == n + 1);
	}
	CU_ASSERT(fake_broker_count(&rig.broker, MQTT_PUBACK) == 0);
	rig_close(&rig);
}

/* --- out ---------------------------------------------------------------------------------------------------------------- */

static void begin_sink(struct rig *rig)
{
	open_paho(rig);
	rig_connect(rig);
}

static void test_outcomes(void)
{
	struct rig rig;
	begin_sink(&rig);
	rig.broker.no_pubacks = true;
	for (unsigned n = 0; n < 3; n++)
		rig_send(&rig, "out/a", "x", 1);
	rig_send(&rig, "out/a", "zero", 0);
	rig_send_end(&rig);
	UNTIL(&rig, fake_broker_count(&rig.broker, MQTT_PUBLISH) == 4);
	UNTIL(&rig, rig.n_outcomes == 1);
	CU_ASSERT(rig.outcomes[0].seq == 4 && rig.outcomes[0].kind == OUTCOME_DELIVERED);
	static const uint8_t reasons[] = {MQTT_SUCCESS, MQTT_QUOTA_EXCEEDED, MQTT_PAYLOAD_FORMAT_INVALID};
	static const enum outcome_kind kinds[] = {OUTCOME_DELIVERED, OUTCOME_RETRY, OUTCOME_REJECTED};
	for (size_t n = 0; n < 3; n++) {
		const struct broker_packet *packet = fake_broker_packet(&rig.broker, MQTT_PUBLISH, n);
		CU_ASSERT(packet->qos == 1 && packet->packet_id != 0);
		fake_broker_ack(&rig.broker, packet->packet_id, reasons[n]);
		UNTIL(&rig, rig.n_outcomes == n + 2);
		CU_ASSERT(rig.outcomes[n + 1].seq == n + 1 && rig.outcomes[n + 1].kind == kinds[n]);
	}
	rig_close(&rig);
}

static void test_lost_before_puback(void)
{
	struct rig rig;
	begin_sink(&rig);
	rig.broker.no_pubacks = true;
	rig.broker.session_present = true;
	uint64_t seq = rig_send(&rig, "out/a", "x", 1);
	rig_send_end(&rig);
	UNTIL(&rig, fake_broker_count(&rig.broker, MQTT_PUBLISH) == 1);
	fake_broker_drop(&rig.broker);
	UNTIL(&rig, rig.ups == 2 && rig.downs == 1);
	/* Paho does not send it by itself: the host does. */
	rig.broker.no_pubacks = false;
	rig.next_seq = seq;
	struct message_view view = {.topic = slice_str("out/a"), .payload = slice_str("x"), .qos = 1, .origin_ms = 1};
	rig_send_view(&rig, &view, true);
	rig_send_end(&rig);
	UNTIL(&rig, rig.n_outcomes == 1);
	CU_ASSERT(rig.outcomes[0].seq == seq && rig.outcomes[0].kind == OUTCOME_DELIVERED);
	CU_ASSERT(fake_broker_count(&rig.broker, MQTT_PUBLISH) == 2);
	rig_close(&rig);
}

/* --- connections ---------------------------------------------------------------------------------------------------------- */

static void test_connect_packet(void)
{
	struct rig rig;
	open_paho(&rig);
	rig.settings.receive_maximum = 17;
	rig.settings.session_expiry_ms = 90000;
	rig_connect(&rig);
	const struct broker_packet *connect = fake_broker_packet(&rig.broker, MQTT_CONNECT, 0);
	CU_ASSERT(connect->receive_maximum == 17 && connect->session_expiry == 90 && !connect->clean_start);
	rig_stop_link(&rig);
	UNTIL(&rig, fake_broker_count(&rig.broker, MQTT_DISCONNECT) == 1);
	CU_ASSERT(fake_broker_packet(&rig.broker, MQTT_DISCONNECT, 0)->reason == MQTT_SUCCESS);
	rig_close(&rig);
}

static void test_server_keep_alive(void)
{
	struct rig rig;
	open_paho(&rig);
	rig.settings.keep_alive_ms = 30000;
	mqtt_set_number(&rig.broker.connack_props, MQTT_SERVER_KEEP_ALIVE, 5);
	rig_connect(&rig);
	CU_ASSERT(rig.broker.connections == 2 && rig.downs == 0);
	CU_ASSERT(fake_broker_packet(&rig.broker, MQTT_CONNECT, 0)->keep_alive == 30);
	CU_ASSERT(fake_broker_packet(&rig.broker, MQTT_CONNECT, 1)->keep_alive == 5);
	rig_close(&rig);
}

static void test_refused(void)
{
	struct rig rig;
	open_paho(&rig);
	rig.broker.connack_reason = MQTT_NOT_AUTHORIZED;
	rig_start(&rig);
	UNTIL(&rig, rig.alarms >= 1);
	CU_ASSERT(strstr(rig.alarm, "not authorized") != NULL);
	rig.broker.connack_reason = MQTT_SUCCESS;
	UNTIL(&rig, rig.ups == 1);
	rig_close(&rig);
}

/* What an earlier process knew is unsubscribed when it is no longer wanted; a refused filter is an alarm. */
static void test_subscriptions(void)
{
	struct rig rig;
	begin(&rig);
	CU_ASSERT_STRING_EQUAL(fake_broker_packet(&rig.broker, MQTT_SUBSCRIBE, 0)->topic, "in/#,");
	CU_ASSERT(fake_broker_packet(&rig.broker, MQTT_SUBSCRIBE, 0)->entry_retain_handling == 1);
	const struct rig_offer *last = rig_offer(&rig, CHANGE_SUBSCRIPTIONS, 1);
	uint8_t blob[512];
	memcpy(blob, last->blob, last->blob_len);
	rig.recovered = slice_of(blob, last->blob_len);
	rig_stop_link(&rig);
	rig.n_subscriptions = 0;
	rig_subscribe(&rig, "new/+", 1);
	rig.broker.suback_reason = MQTT_NOT_AUTHORIZED;
	rig_start(&rig);
	UNTIL(&rig, rig.alarms == 1);
	CU_ASSERT(fake_broker_count(&rig.broker, MQTT_UNSUBSCRIBE) == 0);
	rig.broker.suback_reason = MQTT_SUCCESS;
	UNTIL(&rig, fake_broker_count(&rig.broker, MQTT_UNSUBSCRIBE) == 1);
	CU_ASSERT_STRING_EQUAL(fake_broker_packet(&rig.broker, MQTT_UNSUBSCRIBE, 0)->topic, "in/#,");
	rig_close(&rig);
}

static const struct tap_test tests[] = {
	{"no acknowledgement before a message is durable, and in order", test_no_ack_before_durable},
	{"stopped with a message that is not durable", test_stop_with_open_message},
	{"connection lost with a message that is not durable", test_lost_with_open_message},
	{"paused: what there is no room for stays at the broker", test_pause_leaves_it_at_the_broker},
	{"after the end of the intake nothing is acknowledged", test_intake_ended},
	{"a link that flaps acknowledges nothing", test_many_open_and_close},
	{"outcomes: success, retry, refusal, QoS 0", test_outcomes},
	{"a message without PUBACK is sent again by the host alone", test_lost_before_puback},
	{"CONNECT and DISCONNECT say what the settings say", test_connect_packet},
	{"a shorter keep-alive of the broker's is heeded", test_server_keep_alive},
	{"a refused connection is an alarm, and tried again", test_refused},
	{"subscriptions by difference", test_subscriptions},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("mqtt paho", tests);
}
