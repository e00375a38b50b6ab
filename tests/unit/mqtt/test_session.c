/* SPDX-License-Identifier: Apache-2.0
 *
 * Connections of the MQTT link: connecting, refusals, silence, back-off, subscriptions, leaving.
 */
#include <stdio.h>
#include <stdlib.h>

#include "runtime/log.h"
#include "tests/unit/mqtt/rig.h"

static const struct broker_packet *connected(const struct rig *rig, size_t n)
{
	return fake_broker_packet(&rig->broker, MQTT_CONNECT, n);
}

static void test_connect_packet(void)
{
	static char username[] = "edge", password[] = "secret", topic[] = "status", payload[] = "offline";
	struct rig rig;
	rig_open(&rig);
	rig.settings.username = username;
	rig.settings.password = password;
	rig.settings.will = (struct mqtt_own_message){.topic = topic, .payload = payload, .qos = 1, .delay_ms = 5000};
	rig_connect(&rig);
	const struct broker_packet *packet = connected(&rig, 0);
	CU_ASSERT_STRING_EQUAL(packet->topic, "tester");
	CU_ASSERT_STRING_EQUAL(packet->payload, "edge:secret");
	CU_ASSERT(packet->has_will && !packet->clean_start && packet->keep_alive == 30);
	CU_ASSERT(packet->session_expiry == 3600 && packet->receive_maximum == 256);
	rig_stop_link(&rig);
	CU_ASSERT(fake_broker_packet(&rig.broker, MQTT_DISCONNECT, 0)->reason == MQTT_DISCONNECT_WITH_WILL);
	rig_close(&rig);
}

static void test_3_1_1(void)
{
	static char topic[] = "status", payload[] = "offline";
	struct rig rig;
	rig_open(&rig);
	rig.settings.version = 1;
	rig.settings.will = (struct mqtt_own_message){.topic = topic, .payload = payload};
	rig_connect(&rig);
	CU_ASSERT(!connected(&rig, 0)->clean_start);
	rig_stop_link(&rig);
	CU_ASSERT(fake_broker_count(&rig.broker, MQTT_DISCONNECT) == 1);
	CU_ASSERT_STRING_EQUAL(fake_broker_packet(&rig.broker, MQTT_PUBLISH, 0)->payload, "offline");
	rig_close(&rig);
}

static void test_birth(void)
{
	static char topic[] = "status", payload[] = "online";
	struct rig rig;
	rig_open(&rig);
	rig.broker.no_pubacks = true;
	rig.settings.birth = (struct mqtt_own_message){.topic = topic, .payload = payload, .qos = 1, .retain = true};
	rig_connect(&rig);
	UNTIL(&rig, fake_broker_count(&rig.broker, MQTT_PUBLISH) == 1);
	const struct broker_packet *birth = fake_broker_packet(&rig.broker, MQTT_PUBLISH, 0);
	CU_ASSERT(birth->retain && birth->qos == 1 && birth->packet_id > 61440 && !birth->dup);
	uint16_t id = birth->packet_id;
	rig.broker.session_present = true;
	fake_broker_drop(&rig.broker);
	UNTIL(&rig, fake_broker_count(&rig.broker, MQTT_PUBLISH) == 2);
	birth = fake_broker_packet(&rig.broker, MQTT_PUBLISH, 1);
	CU_ASSERT(birth->packet_id == id && birth->dup);
	fake_broker_ack(&rig.broker, id, MQTT_SUCCESS);
	rig_send(&rig, "out", "x", 0);
	rig_send_end(&rig);
	UNTIL(&rig, fake_broker_count(&rig.broker, MQTT_PUBLISH) == 3);
	fake_broker_drop(&rig.broker);
	UNTIL(&rig, fake_broker_count(&rig.broker, MQTT_PUBLISH) == 4);
	CU_ASSERT(!fake_broker_packet(&rig.broker, MQTT_PUBLISH, 3)->dup);
	/* It counts for Receive Maximum. */
	mqtt_set_number(&rig.broker.connack_props, MQTT_RECEIVE_MAXIMUM, 7);
	fake_broker_drop(&rig.broker);
	UNTIL(&rig, fake_broker_count(&rig.broker, MQTT_PUBLISH) == 5);
	CU_ASSERT_EQUAL(rig.window, 6);
	rig_close(&rig);
}

static void test_accepts_and_closes(void)
{
	struct rig rig;
	rig_open(&rig);
	rig.broker.closes_at_once = true;
	rig_start(&rig);
	UNTIL(&rig, rig.broker.connections >= 20);
	CU_ASSERT(rig.ups == 0 && rig.downs == 0);
	rig.broker.closes_at_once = false;
	UNTIL(&rig, rig.ups == 1);
	rig_close(&rig);
}

static void test_nobody_listens(void)
{
	struct rig rig;
	rig_open(&rig);
	/* A port that was just given back. */
	struct fake_broker gone;
	fake_broker_open(&gone, rig.loop, NULL, NULL, NULL);
	snprintf(rig.url, sizeof rig.url, "mqtt://127.0.0.1:%u", gone.port);
	fake_broker_close(&gone);
	rig_start(&rig);
	rig_wait_begin(&rig);
	for (int i = 0; i < 5; i++)
		rig_wait_turn(&rig);
	CU_ASSERT(rig.ups == 0 && rig.downs == 0);
	rig_close(&rig);
}

static void test_never_connack(void)
{
	struct rig rig;
	rig_open(&rig);
	rig.broker.silent = true;
	rig.settings.connect_timeout_ms = 10;
	rig_start(&rig);
	UNTIL(&rig, rig.broker.connections >= 3);
	CU_ASSERT(rig.ups == 0);
	rig.broker.silent = false;
	UNTIL(&rig, rig.ups == 1);
	rig_close(&rig);
}

static void refused(int version, uint8_t reason, const char *advice)
{
	struct rig rig;
	rig_open(&rig);
	rig.settings.version = version;
	rig.broker.connack_reason = reason;
	rig_start(&rig);
	UNTIL(&rig, rig.broker.connections >= 2);
	CU_ASSERT(rig.ups == 0 && rig.downs == 0);
	CU_ASSERT((rig.alarms > 0) == (advice != NULL));
	CU_ASSERT(!advice || strstr(rig.alarm, advice));
	rig.broker.connack_reason = 0;
	UNTIL(&rig, rig.ups == 1);
	rig_close(&rig);
}

static void test_refused(void)
{
	refused(0, MQTT_BAD_USER_NAME_OR_PASSWORD, "password");
	refused(0, MQTT_NOT_AUTHORIZED, "accept this client");
	refused(0, MQTT_UNSUPPORTED_PROTOCOL_VERSION, "3.1.1");
	refused(0, MQTT_SERVER_BUSY, NULL);
	refused(1, 4, "password");
	refused(1, 3, NULL);
}

static void disconnected(uint8_t reason, const char *advice)
{
	struct rig rig;
	rig_open(&rig);
	rig_connect(&rig);
	struct mqtt_packet packet = {.type = MQTT_DISCONNECT, .reason = reason};
	fake_broker_send(&rig.broker, &packet);
	UNTIL(&rig, rig.ups == 2);
	CU_ASSERT(rig.downs == 1);
	CU_ASSERT((rig.alarms > 0) == (advice != NULL));
	CU_ASSERT(!advice || strstr(rig.alarm, advice));
	rig_close(&rig);
}

static void test_server_disconnects(void)
{
	disconnected(MQTT_SESSION_TAKEN_OVER, "client_id");
	disconnected(MQTT_SERVER_SHUTTING_DOWN, NULL);
	disconnected(MQTT_ADMINISTRATIVE_ACTION, "who runs the broker");
}

/* The broker had lost the session, and the CONNACK that would have said so got lost as well. */
static void test_connect_without_an_answer(void)
{
	struct rig rig;
	rig_open(&rig);
	rig_subscribe(&rig, "in/#", 1);
	rig_connect(&rig);
	UNTIL(&rig, rig_changes(&rig, CHANGE_SUBSCRIPTIONS) == 2);
	rig.broker.session_present = true;
	rig.broker.silent = true;
	fake_broker_drop(&rig.broker);
	UNTIL(&rig, fake_broker_count(&rig.broker, MQTT_CONNECT) == 2);
	rig.broker.silent = false;
	fake_broker_drop(&rig.broker);
	UNTIL(&rig, rig.ups == 2);
	UNTIL(&rig, fake_broker_count(&rig.broker, MQTT_SUBSCRIBE) == 2);
	/* And only then. */
	fake_broker_drop(&rig.broker);
	UNTIL(&rig, rig.ups == 3);
	rig_send(&rig, "out", "marker", 1);
	rig_send_end(&rig);
	UNTIL(&rig, rig.n_outcomes == 1);
	CU_ASSERT(fake_broker_count(&rig.broker, MQTT_SUBSCRIBE) == 2);
	rig_close(&rig);
}

static void test_silent_link(void)
{
	struct rig rig;
	rig_open(&rig);
	rig.settings.keep_alive_ms = 40;
	rig_connect(&rig);
	CU_ASSERT(connected(&rig, 0)->keep_alive == 1);
	/* As long as it answers the link stays. */
	UNTIL(&rig, fake_broker_count(&rig.broker, MQTT_PINGREQ) >= 3);
	CU_ASSERT(rig.downs == 0);
	rig.broker.silent = true;
	UNTIL(&rig, rig.downs == 1);
	CU_ASSERT(strstr(rig.down_reason, "silent") != NULL);
	UNTIL(&rig, fake_broker_count(&rig.broker, MQTT_DISCONNECT) == 1);
	rig.broker.silent = false;
	UNTIL(&rig, rig.ups == 2);
	rig_close(&rig);
}

/* A link that goes on taking our bytes and brings none is dead all the same. */
static void test_silent_while_sending(void)
{
	struct rig rig;
	rig_open(&rig);
	rig.settings.keep_alive_ms = 40;
	rig_connect(&rig);
	rig.broker.silent = true;
	rig_wait_begin(&rig);
	while (rig.downs == 0 && rig_wait_turn(&rig)) {
		if (rig.downs == 0) {
			rig_send(&rig, "out", "x", 0);
			rig_send_end(&rig);
		}
	}
	CU_ASSERT(rig.downs == 1);
	rig_close(&rig);
}

static void test_server_keep_alive(void)
{
	struct rig rig;
	rig_open(&rig);
	rig.settings.keep_alive_ms = 0;
	mqtt_set_number(&rig.broker.connack_props, MQTT_SERVER_KEEP_ALIVE, 1);
	rig_connect(&rig);
	CU_ASSERT(connected(&rig, 0)->keep_alive == 0);
	UNTIL(&rig, fake_broker_count(&rig.broker, MQTT_PINGREQ) == 1);
	rig_close(&rig);
}

static void broken(const uint8_t *bytes, size_t len, uint8_t reason)
{
	struct rig rig;
	rig_open(&rig);
	rig_connect(&rig);
	fake_broker_send_bytes(&rig.broker, bytes, len);
	UNTIL(&rig, fake_broker_count(&rig.broker, MQTT_DISCONNECT) == 1);
	CU_ASSERT(fake_broker_packet(&rig.broker, MQTT_DISCONNECT, 0)->reason == reason);
	UNTIL(&rig, rig.ups == 2);
	CU_ASSERT(rig.downs == 1);
	rig_close(&rig);
}

static void test_malformed(void)
{
	static const uint8_t reserved[] = {0x00, 0x00};
	static const uint8_t overlong[] = {0x30, 0xff, 0xff, 0xff, 0xff, 0x01};
	static const uint8_t second_connack[] = {0x20, 0x03, 0x00, 0x00, 0x00};
	static const uint8_t suback[] = {0x90, 0x04, 0x12, 0x34, 0x00, 0x00};
	broken(reserved, sizeof reserved, MQTT_MALFORMED_PACKET);
	broken(overlong, sizeof overlong, MQTT_MALFORMED_PACKET);
	broken(second_connack, sizeof second_connack, MQTT_PROTOCOL_ERROR);
	broken(suback, sizeof suback, MQTT_PROTOCOL_ERROR);
}

/* We announce no Authentication Method, so the broker has nothing to answer with an AUTH (§4.12). */
static void test_auth(void)
{
	static const struct mqtt_packet challenge = {
		.type = MQTT_AUTH,
		.reason = MQTT_CONTINUE_AUTHENTICATION,
		.props.authentication_method = {(const uint8_t *)"SCRAM-SHA-256", 13},
	};
	static const uint8_t shortest[] = {0xf0, 0x00};
	broken(shortest, sizeof shortest, MQTT_PROTOCOL_ERROR);
	struct rig rig;
	rig_open(&rig);
	rig_connect(&rig);
	fake_broker_send(&rig.broker, &challenge);
	UNTIL(&rig, fake_broker_count(&rig.broker, MQTT_DISCONNECT) == 1);
	CU_ASSERT(fake_broker_packet(&rig.broker, MQTT_DISCONNECT, 0)->reason == MQTT_PROTOCOL_ERROR);
	UNTIL(&rig, rig.ups == 2);
	rig_stop_link(&rig);
	/* Instead of the CONNACK. */
	rig.broker.silent = true;
	rig_start(&rig);
	size_t connects = fake_broker_count(&rig.broker, MQTT_CONNECT);
	UNTIL(&rig, fake_broker_count(&rig.broker, MQTT_CONNECT) == connects + 1);
	unsigned connections = rig.broker.connections;
	fake_broker_send(&rig.broker, &challenge);
	UNTIL(&rig, rig.broker.connections > connections);
	CU_ASSERT(rig.ups == 2);
	rig.broker.silent = false;
	fake_broker_drop(&rig.broker);
	UNTIL(&rig, rig.ups == 3);
	rig_close(&rig);
}

static const struct message_field explanations[] = {
	{{(const uint8_t *)"tenant", 6}, {(const uint8_t *)"north", 5}},
	{{(const uint8_t *)"ticket", 6}, {(const uint8_t *)"17", 2}},
};

/* What the broker says of it reaches the one who has to act. */
static void test_explanations(void)
{
	struct rig rig;
	rig_open(&rig);
	struct mqtt_properties said = {
		.reason_string = slice_str("no licence left"), .user = explanations, .n_user = 2};
	rig.broker.connack_props = said;
	rig.broker.connack_reason = MQTT_NOT_AUTHORIZED;
	rig_start(&rig);
	UNTIL(&rig, rig.alarms >= 1);
	CU_ASSERT(strstr(rig.alarm, "not authorized: no licence left (tenant=north, ticket=17); let the") != NULL);
	rig.broker.connack_reason = 0;
	UNTIL(&rig, rig.ups == 1);
	struct mqtt_packet packet = {.type = MQTT_DISCONNECT, .reason = MQTT_SERVER_SHUTTING_DOWN, .props = said};
	fake_broker_send(&rig.broker, &packet);
	UNTIL(&rig, rig.downs == 1);
	CU_ASSERT(strstr(rig.down_reason, "no licence left (tenant=north, ticket=17)") != NULL);
	UNTIL(&rig, rig.ups == 2);
	/* A broker that tells stories. */
	static char story[60000];
	struct message_field many[20];
	memset(story, 'x', sizeof story - 1);
	for (size_t i = 0; i < 20; i++)
		many[i] = (struct message_field){slice_str(story), slice_str("y")};
	packet.props = (struct mqtt_properties){.reason_string = slice_str(story), .user = many, .n_user = 20};
	fake_broker_send(&rig.broker, &packet);
	UNTIL(&rig, rig.downs == 2);
	CU_ASSERT(strstr(rig.down_reason, "xxx") != NULL);
	packet.props = (struct mqtt_properties){.user = many, .n_user = 9};
	for (size_t i = 0; i < 9; i++)
		many[i] = (struct message_field){slice_str("k"), slice_str("v")};
	UNTIL(&rig, rig.ups == 3);
	fake_broker_send(&rig.broker, &packet);
	UNTIL(&rig, rig.downs == 3);
	CU_ASSERT(strstr(rig.down_reason, "(k=v, k=v, k=v, k=v, k=v, k=v, k=v, k=v, …)") != NULL);
	rig_close(&rig);
}

/* --- subscriptions ------------------------------------------------------------------------------------------------------ */

static size_t subscribes(const struct rig *rig)
{
	return fake_broker_count(&rig->broker, MQTT_SUBSCRIBE);
}

static void keep_blob(struct rig *rig)
{
	static uint8_t blob[512];
	size_t n = rig_changes(rig, CHANGE_SUBSCRIPTIONS);
	CU_ASSERT_FATAL(n > 0);
	const struct rig_offer *offer = rig_offer(rig, CHANGE_SUBSCRIPTIONS, n - 1);
	memcpy(blob, offer->blob, offer->blob_len);
	rig->recovered = slice_of(blob, offer->blob_len);
}

static void test_subscriptions_by_difference(void)
{
	struct rig rig;
	rig_open(&rig);
	mqtt_set_number(&rig.broker.connack_props, MQTT_SUBSCRIPTION_IDENTIFIERS_AVAILABLE, 0);
	rig_subscribe(&rig, "a/#", 1);
	rig_subscribe(&rig, "c/+", 1);
	rig_subscribe(&rig, "$share/g/a/b", 1); /* a queue of its own */
	rig_connect(&rig);
	UNTIL(&rig, rig_changes(&rig, CHANGE_SUBSCRIPTIONS) == 2);
	const struct broker_packet *packet = fake_broker_packet(&rig.broker, MQTT_SUBSCRIBE, 0);
	CU_ASSERT_STRING_EQUAL(packet->topic, "a/#,c/+,$share/g/a/b,");
	CU_ASSERT(packet->entry_qos == 1 && packet->entry_retain_handling == 1 && packet->entry_retain_as_published);
	CU_ASSERT(packet->packet_id > 61440);
	/* The same session on the next connection: nothing to do. */
	rig.broker.session_present = true;
	fake_broker_drop(&rig.broker);
	UNTIL(&rig, rig.ups == 2);
	/* And in the next process, with other mappings. */
	keep_blob(&rig);
	rig_stop_link(&rig);
	rig.n_subscriptions = 0;
	rig_subscribe(&rig, "c/+", 1);
	rig_subscribe(&rig, "d", 0);
	rig_connect(&rig);
	UNTIL(&rig, fake_broker_count(&rig.broker, MQTT_UNSUBSCRIBE) == 1);
	CU_ASSERT(subscribes(&rig) == 2);
	CU_ASSERT_STRING_EQUAL(fake_broker_packet(&rig.broker, MQTT_SUBSCRIBE, 1)->topic, "d,");
	CU_ASSERT_STRING_EQUAL(fake_broker_packet(&rig.broker, MQTT_UNSUBSCRIBE, 0)->topic, "$share/g/a/b,a/#,");
	UNTIL(&rig, rig_changes(&rig, CHANGE_SUBSCRIPTIONS) == 4);
	keep_blob(&rig);
	CU_ASSERT(rig_changes(&rig, CHANGE_SESSION_RESET) == 0);
	/* Another qos is another subscription. */
	rig_stop_link(&rig);
	rig.subscriptions[1].qos = 1;
	rig_connect(&rig);
	UNTIL(&rig, subscribes(&rig) == 3);
	CU_ASSERT_STRING_EQUAL(fake_broker_packet(&rig.broker, MQTT_SUBSCRIBE, 2)->topic, "d,");
	rig_close(&rig);
}

static void test_session_lost(void)
{
	struct rig rig;
	rig_open(&rig);
	rig_subscribe(&rig, "a", 1);
	rig_connect(&rig);
	UNTIL(&rig, rig_changes(&rig, CHANGE_SUBSCRIPTIONS) == 2);
	CU_ASSERT(rig_changes(&rig, CHANGE_SESSION_RESET) == 0); /* there was none before */
	fake_broker_drop(&rig.broker);
	UNTIL(&rig, rig_changes(&rig, CHANGE_SUBSCRIPTIONS) == 4);
	CU_ASSERT(rig_changes(&rig, CHANGE_SESSION_RESET) == 1);
	CU_ASSERT(subscribes(&rig) == 2);
	CU_ASSERT(rig.offers[2].change == CHANGE_SESSION_RESET); /* before what the new session brings */
	/* Lost while linkspan was away. */
	keep_blob(&rig);
	rig_stop_link(&rig);
	rig_connect(&rig);
	UNTIL(&rig, rig_changes(&rig, CHANGE_SUBSCRIPTIONS) == 6);
	CU_ASSERT(rig_changes(&rig, CHANGE_SESSION_RESET) == 2);
	rig_close(&rig);
}

static void test_blob_of_another_session(void)
{
	struct rig rig;
	rig_open(&rig);
	rig_subscribe(&rig, "a", 1);
	rig_connect(&rig);
	UNTIL(&rig, rig_changes(&rig, CHANGE_SUBSCRIPTIONS) == 2);
	keep_blob(&rig);
	rig_stop_link(&rig);
	static char other[] = "other";
	rig.settings.client_id = other;
	rig.broker.session_present = true;
	rig_connect(&rig);
	UNTIL(&rig, subscribes(&rig) == 2);
	rig_close(&rig);
}

static void test_many_filters(void)
{
	static char filters[40][8];
	struct rig rig;
	rig_open(&rig);
	mqtt_set_number(&rig.broker.connack_props, MQTT_SUBSCRIPTION_IDENTIFIERS_AVAILABLE, 0);
	for (int i = 0; i < 40; i++) {
		snprintf(filters[i], sizeof filters[i], "f/%02d", i);
		rig_subscribe(&rig, filters[i], 1);
	}
	rig_connect(&rig);
	UNTIL(&rig, rig_changes(&rig, CHANGE_SUBSCRIPTIONS) == 2);
	CU_ASSERT(subscribes(&rig) == 5);
	CU_ASSERT_STRING_EQUAL(
		fake_broker_packet(&rig.broker, MQTT_SUBSCRIBE, 4)->topic, "f/32,f/33,f/34,f/35,f/36,f/37,f/38,f/39,");
	rig_close(&rig);
}

static char last_error[512];

static void on_line(enum log_level level, const char *line, void *arg)
{
	(void)arg;
	if (level == LOG_LEVEL_ERROR || strstr(line, "mqtt_qos_lowered"))
		snprintf(last_error, sizeof last_error, "%s", line);
}

static void test_subscription_refused(void)
{
	struct rig rig;
	rig_open(&rig);
	rig_subscribe(&rig, "secret/#", 1);
	rig.broker.suback_reason = MQTT_NOT_AUTHORIZED;
	log_set_sink(on_line, NULL);
	rig_connect(&rig);
	UNTIL(&rig, rig.alarms == 1);
	log_set_sink(NULL, NULL);
	CU_ASSERT(strstr(rig.alarm, "secret/#") != NULL);
	CU_ASSERT(strstr(last_error, "secret/#") != NULL);
	CU_ASSERT(rig.downs == 0);
	/* It asks again by itself. */
	rig.broker.suback_reason = 0;
	UNTIL(&rig, rig_changes(&rig, CHANGE_SUBSCRIPTIONS) >= 3 && subscribes(&rig) == 2);
	rig_close(&rig);
}

static void test_qos_lowered(void)
{
	struct rig rig;
	rig_open(&rig);
	rig_subscribe(&rig, "low", 1);
	rig.broker.no_subacks = true;
	last_error[0] = '\0';
	rig_connect(&rig);
	UNTIL(&rig, subscribes(&rig) == 1);
	static const uint8_t granted = 0;
	struct mqtt_packet suback = {
		.type = MQTT_SUBACK,
		.suback = {.packet_id = fake_broker_packet(&rig.broker, MQTT_SUBSCRIBE, 0)->packet_id,
			.reasons = slice_of(&granted, 1)},
	};
	log_set_sink(on_line, NULL);
	fake_broker_send(&rig.broker, &suback);
	UNTIL(&rig, last_error[0] != '\0');
	log_set_sink(NULL, NULL);
	CU_ASSERT(strstr(last_error, "filter=\"low\"") != NULL);
	rig_close(&rig);
}

static void test_suback_missing(void)
{
	struct rig rig;
	rig_open(&rig);
	rig_subscribe(&rig, "a", 1);
	rig.broker.no_subacks = true;
	rig.settings.ack_timeout_ms = 20;
	rig_connect(&rig);
	UNTIL(&rig, rig.ups == 2);
	rig.broker.no_subacks = false;
	UNTIL(&rig, rig_changes(&rig, CHANGE_SUBSCRIPTIONS) >= 3);
	rig_close(&rig);
}

/* --- life ---------------------------------------------------------------------------------------------------------------- */

static void test_stop_at_any_time(void)
{
	struct rig rig;
	rig_open(&rig);
	rig_start(&rig); /* before anything has happened */
	rig_stop_link(&rig);
	rig_start(&rig);
	rig_wait_begin(&rig);
	rig_wait_turn(&rig); /* somewhere on the way */
	rig_stop_link(&rig);
	rig.broker.closes_at_once = true;
	rig_start(&rig);
	UNTIL(&rig, rig.broker.connections >= 3); /* waiting */
	mqtt_connector.stop(rig.link, 1000);
	mqtt_connector.stop(rig.link, 1000); /* twice */
	UNTIL(&rig, rig.stopped);
	mqtt_connector.destroy(rig.link);
	rig.link = NULL;
	/* Never started. */
	struct link_spec spec = {.name = "test", .settings = &rig.settings, .loop = rig.loop};
	CU_ASSERT(mqtt_connector.create(&spec, &rig.host, &rig.link) == 0);
	mqtt_connector.destroy(rig.link);
	rig.link = NULL;
	rig_close(&rig);
}

/* A broker that is busy for longer than another connection would wait for. What it is still sending would be answered by
 * a reset, if the socket were gone, and at that brokers throw away what they have not read. */
static void test_stop_waits_for_the_broker(void)
{
	struct rig rig;
	rig_open(&rig);
	rig_subscribe(&rig, "a/#", 1);
	rig_connect(&rig);
	UNTIL(&rig, rig_changes(&rig, CHANGE_SUBSCRIPTIONS) == 1);
	fake_broker_publish(&rig.broker, "a/1", "taken", 1, 7);
	UNTIL(&rig, rig_messages(&rig) == 1);
	fake_broker_hold(&rig.broker, true);
	rig_receipts(&rig, 2);
	mqtt_connector.stop_intake(rig.link);
	mqtt_connector.stop(rig.link, 60000);
	rig_wait_begin(&rig);
	uint64_t until_ms = loop_now_ms(rig.loop) + 1500;
	while (!rig.stopped && loop_now_ms(rig.loop) < until_ms)
		rig_wait_turn(&rig);
	CU_ASSERT_FATAL(!rig.stopped);
	fake_broker_publish(&rig.broker, "a/2", "too late", 1, 8);
	fake_broker_hold(&rig.broker, false);
	UNTIL(&rig, rig.stopped);
	CU_ASSERT(fake_broker_count(&rig.broker, MQTT_PUBACK) == 1);
	CU_ASSERT(fake_broker_count(&rig.broker, MQTT_DISCONNECT) == 1);
	CU_ASSERT(rig_messages(&rig) == 1);
	rig_close(&rig);
}

static void test_stop_with_a_deaf_broker(void)
{
	struct rig rig;
	rig_open(&rig);
	rig.broker.swallows = true;
	rig_start(&rig);
	UNTIL(&rig, rig.broker.connections == 1);
	rig_close(&rig);
	CU_ASSERT(rig.stopped);
}

static void test_host_name(void)
{
	struct rig rig;
	rig_open(&rig);
	snprintf(rig.url, sizeof rig.url, "mqtt://localhost:%u", rig.broker.port);
	rig_connect(&rig); /* ::1, if localhost has it, refuses: the next address is taken */
	rig_close(&rig);
}

static const struct tap_test tests[] = {
	{"what the CONNECT says, and leaving with a will", test_connect_packet},
	{"3.1.1: persistent session, and leaving with a will", test_3_1_1},
	{"birth message", test_birth},
	{"a broker that accepts and closes", test_accepts_and_closes},
	{"a broker that is not there", test_nobody_listens},
	{"a broker that never sends a CONNACK", test_never_connack},
	{"refused connections", test_refused},
	{"the broker disconnects with a reason", test_server_disconnects},
	{"a CONNECT without an answer", test_connect_without_an_answer},
	{"a silent link is noticed", test_silent_link},
	{"a silent link is noticed while we send", test_silent_while_sending},
	{"the broker's keep-alive counts", test_server_keep_alive},
	{"malformed and unexpected packets", test_malformed},
	{"an AUTH that nobody asked for", test_auth},
	{"what the broker explains", test_explanations},
	{"subscriptions by difference", test_subscriptions_by_difference},
	{"a lost session", test_session_lost},
	{"a blob of another session says nothing", test_blob_of_another_session},
	{"many filters in several packets", test_many_filters},
	{"a refused subscription is named and asked for again", test_subscription_refused},
	{"a lowered qos is named", test_qos_lowered},
	{"a SUBACK that never comes", test_suback_missing},
	{"stop at any time, twice, without start", test_stop_at_any_time},
	{"a stop waits for a broker that is slow to read", test_stop_waits_for_the_broker},
	{"stop with a broker that does not read", test_stop_with_a_deaf_broker},
	{"a host name", test_host_name},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("mqtt session", tests);
}
