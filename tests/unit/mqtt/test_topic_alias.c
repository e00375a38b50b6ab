/* SPDX-License-Identifier: Apache-2.0
 *
 * Topic aliases of version 5, both ways: what the broker sees of ours, and what becomes of its own, right or wrong.
 */
#include "connectors/mqtt/topic_alias.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/mqtt/rig.h"

/* --- what goes -------------------------------------------------------------------------------------------------------- */

static void begin_out(struct rig *rig, int64_t ours, uint32_t theirs)
{
	rig_open(rig);
	rig->settings.topic_aliases = ours;
	if (theirs > 0)
		mqtt_set_number(&rig->broker.connack_props, MQTT_TOPIC_ALIAS_MAXIMUM, theirs);
	rig_connect(rig);
}

static const struct broker_packet *sent(struct rig *rig, const char *topic)
{
	size_t n = fake_broker_count(&rig->broker, MQTT_PUBLISH);
	rig_send(rig, topic, "x", 1);
	rig_send_end(rig);
	UNTIL(rig, fake_broker_count(&rig->broker, MQTT_PUBLISH) > n);
	const struct broker_packet *packet = fake_broker_packet(&rig->broker, MQTT_PUBLISH, n);
	CU_ASSERT_FATAL(packet != NULL);
	return packet;
}

static void test_out(void)
{
	struct rig rig;
	begin_out(&rig, 64, 10);
	const struct broker_packet *packet = sent(&rig, "plant/line/1");
	uint32_t alias = packet->topic_alias;
	CU_ASSERT_STRING_EQUAL(packet->topic, "plant/line/1");
	CU_ASSERT(alias >= 1 && alias <= 10);
	packet = sent(&rig, "plant/line/1");
	CU_ASSERT(packet->topic[0] == '\0' && packet->topic_alias == alias);
	/* The next connection knows nothing of it. */
	fake_broker_drop(&rig.broker);
	UNTIL(&rig, rig.ups == 2);
	packet = sent(&rig, "plant/line/1");
	CU_ASSERT_STRING_EQUAL(packet->topic, "plant/line/1");
	CU_ASSERT(packet->topic_alias == alias);
	/* Nor does one to a broker that has changed its mind. */
	rig.broker.connack_props = (struct mqtt_properties){0};
	fake_broker_drop(&rig.broker);
	UNTIL(&rig, rig.ups == 3);
	for (int i = 0; i < 2; i++) {
		packet = sent(&rig, "plant/line/1");
		CU_ASSERT_STRING_EQUAL(packet->topic, "plant/line/1");
		CU_ASSERT(packet->topic_alias == 0);
	}
	rig_close(&rig);
}

static void test_out_short(void)
{
	struct rig rig;
	begin_out(&rig, 64, 10);
	for (int i = 0; i < 2; i++) {
		const struct broker_packet *packet = sent(&rig, "a/b");
		CU_ASSERT_STRING_EQUAL(packet->topic, "a/b");
		CU_ASSERT(packet->topic_alias == 0);
	}
	rig_close(&rig);
}

static void test_out_off(void)
{
	struct rig rig;
	begin_out(&rig, 0, 10);
	for (int i = 0; i < 2; i++)
		CU_ASSERT(sent(&rig, "plant/line/1")->topic_alias == 0);
	rig_close(&rig);
	begin_out(&rig, 3, 10); /* the smaller one counts */
	char topic[32];
	for (int i = 0; i < 50; i++) {
		snprintf(topic, sizeof topic, "plant/line/%d", i);
		uint32_t alias = sent(&rig, topic)->topic_alias;
		CU_ASSERT(alias >= 1 && alias <= 3);
	}
	rig_close(&rig);
}

/* More topics than aliases: whoever resolves them as the specification says finds every topic. */
static void test_out_many(void)
{
	enum { TOPICS = 12, ALIASES = 5, MESSAGES = 500 };
	char topics[TOPICS][32], set[ALIASES][128] = {{0}};
	unsigned saved = 0;
	struct rig rig;
	begin_out(&rig, 64, ALIASES);
	for (int i = 0; i < TOPICS; i++)
		snprintf(topics[i], sizeof topics[i], "plant/line/%d/temperature", i);
	uint32_t random = 1;
	for (int i = 0; i < MESSAGES; i++) {
		random = random * 1103515245 + 12345;
		const char *topic = topics[(random >> 16) % TOPICS];
		const struct broker_packet *packet = sent(&rig, topic);
		CU_ASSERT_FATAL(packet->topic_alias >= 1 && packet->topic_alias <= ALIASES);
		char *known = set[packet->topic_alias - 1];
		if (packet->topic[0])
			snprintf(known, sizeof set[0], "%s", packet->topic);
		else
			saved++;
		CU_ASSERT_STRING_EQUAL(known, topic);
	}
	CU_ASSERT(saved > MESSAGES / 10);
	rig_close(&rig);
}

/* A message that fits only without the property goes without; one that does not fit at all sets no alias. */
static void test_out_maximum_packet_size(void)
{
	struct rig rig;
	rig_open(&rig);
	rig.settings.topic_aliases = 10;
	mqtt_set_number(&rig.broker.connack_props, MQTT_TOPIC_ALIAS_MAXIMUM, 10);
	/* 2 fixed header, 14 topic, 2 packet identifier, 1 property length, 1 payload */
	mqtt_set_number(&rig.broker.connack_props, MQTT_MAXIMUM_PACKET_SIZE, 20);
	rig_connect(&rig);
	rig_send(&rig, "plant/line/1", "too large", 1);
	rig_send_end(&rig);
	UNTIL(&rig, rig.n_outcomes == 1);
	CU_ASSERT(rig.outcomes[0].kind == OUTCOME_REJECTED);
	for (int i = 0; i < 2; i++) {
		const struct broker_packet *packet = sent(&rig, "plant/line/1");
		CU_ASSERT_STRING_EQUAL(packet->topic, "plant/line/1");
		CU_ASSERT(packet->topic_alias == 0);
	}
	rig.broker.connack_props.maximum_packet_size = 23;
	fake_broker_drop(&rig.broker);
	UNTIL(&rig, rig.ups == 2);
	CU_ASSERT(sent(&rig, "plant/line/1")->topic[0] != '\0');
	CU_ASSERT(sent(&rig, "plant/line/1")->topic[0] == '\0');
	rig_close(&rig);
}

static void test_out_3_1_1(void)
{
	struct rig rig;
	rig_open(&rig);
	rig.settings.version = 1;
	rig.settings.topic_aliases = 64;
	rig.settings.topic_alias_maximum = 32;
	rig_connect(&rig);
	for (int i = 0; i < 2; i++)
		CU_ASSERT_STRING_EQUAL(sent(&rig, "plant/line/1")->topic, "plant/line/1");
	rig_close(&rig);
}

/* --- what comes ------------------------------------------------------------------------------------------------------- */

static void begin_in(struct rig *rig, int64_t maximum)
{
	rig_open(rig);
	rig->settings.topic_alias_maximum = maximum;
	rig_subscribe(rig, "in/#", 1);
	rig_connect(rig);
	UNTIL(rig, rig_changes(rig, CHANGE_SUBSCRIPTIONS) == 2);
	rig->n_receipts = rig->n_offers;
}

static void comes(struct rig *rig, const char *topic, uint32_t alias, const char *payload, uint16_t packet_id)
{
	struct mqtt_packet packet = {
		.type = MQTT_PUBLISH,
		.publish = {.topic = slice_str(topic),
			.payload = slice_str(payload),
			.qos = packet_id > 0,
			.packet_id = packet_id},
	};
	mqtt_set_number(&packet.props, MQTT_TOPIC_ALIAS, alias);
	fake_broker_send(&rig->broker, &packet);
}

static bool offered(struct rig *rig, size_t n, const char *topic, const char *payload)
{
	const struct rig_offer *offer = rig_offer(rig, CHANGE_NONE, n);
	return offer && strcmp(offer->topic, topic) == 0 && strcmp(offer->payload, payload) == 0;
}

static void test_in(void)
{
	struct rig rig;
	begin_in(&rig, 3);
	CU_ASSERT(fake_broker_packet(&rig.broker, MQTT_CONNECT, 0)->topic_alias_maximum == 3);
	comes(&rig, "in/a", 3, "1", 1);
	comes(&rig, "in/much/longer", 1, "2", 2);
	comes(&rig, "", 3, "3", 3);
	comes(&rig, "", 1, "4", 4);
	comes(&rig, "in/another/one", 3, "5", 5); /* set anew */
	comes(&rig, "", 3, "6", 0);
	comes(&rig, "in/b", 1, "7", 0);
	comes(&rig, "", 1, "8", 0);
	UNTIL(&rig, rig_messages(&rig) == 8);
	CU_ASSERT(offered(&rig, 0, "in/a", "1") && offered(&rig, 1, "in/much/longer", "2"));
	CU_ASSERT(offered(&rig, 2, "in/a", "3") && offered(&rig, 3, "in/much/longer", "4"));
	CU_ASSERT(offered(&rig, 4, "in/another/one", "5") && offered(&rig, 5, "in/another/one", "6"));
	CU_ASSERT(offered(&rig, 6, "in/b", "7") && offered(&rig, 7, "in/b", "8"));
	CU_ASSERT(rig.downs == 0);
	rig_close(&rig);
}

static void ends(struct rig *rig, uint8_t reason)
{
	size_t ups = rig->ups;
	UNTIL(rig, fake_broker_count(&rig->broker, MQTT_DISCONNECT) == 1);
	CU_ASSERT(fake_broker_packet(&rig->broker, MQTT_DISCONNECT, 0)->reason == reason);
	CU_ASSERT(rig_messages(rig) == 0);
	UNTIL(rig, rig->ups == ups + 1);
	rig_close(rig);
}

static void test_in_wrong(void)
{
	static const uint8_t zero[] = {0x30, 11, 0, 4, 'i', 'n', '/', 'a', 3, 0x23, 0, 0, 'x'};
	struct rig rig;
	begin_in(&rig, 3);
	comes(&rig, "in/a", 4, "x", 0);
	ends(&rig, MQTT_TOPIC_ALIAS_INVALID);
	begin_in(&rig, 3);
	fake_broker_send_bytes(&rig.broker, zero, sizeof zero);
	ends(&rig, MQTT_TOPIC_ALIAS_INVALID);
	begin_in(&rig, 3);
	comes(&rig, "", 1, "x", 0);
	ends(&rig, MQTT_PROTOCOL_ERROR);
	begin_in(&rig, 0);
	CU_ASSERT(fake_broker_packet(&rig.broker, MQTT_CONNECT, 0)->topic_alias_maximum == 0);
	comes(&rig, "in/a", 1, "x", 0);
	ends(&rig, MQTT_TOPIC_ALIAS_INVALID);
	/* Of an earlier connection. */
	begin_in(&rig, 3);
	comes(&rig, "in/a", 1, "x", 1);
	UNTIL(&rig, rig_messages(&rig) == 1);
	fake_broker_drop(&rig.broker);
	UNTIL(&rig, rig.ups == 2);
	comes(&rig, "", 1, "y", 2);
	UNTIL(&rig, fake_broker_count(&rig.broker, MQTT_DISCONNECT) == 1);
	CU_ASSERT(fake_broker_packet(&rig.broker, MQTT_DISCONNECT, 0)->reason == MQTT_PROTOCOL_ERROR);
	CU_ASSERT(rig_messages(&rig) == 1);
	rig_close(&rig);
}

static uint8_t acked_with(struct rig *rig, size_t n)
{
	UNTIL(rig, fake_broker_count(&rig->broker, MQTT_PUBACK) > n);
	return fake_broker_packet(&rig->broker, MQTT_PUBACK, n)->reason;
}

/* What cannot be carried sets its alias all the same. */
static void test_in_refused(void)
{
	static const uint8_t bad_text[] = {
		0x32, 19, 0, 4, 'i', 'n', '/', 'a', 0, 1, 10, 0x26, 0, 1, 'k', 0, 1, 0xff, 0x23, 0, 2};
	static const uint8_t bad_topic[] = {0x32, 12, 0, 4, 'i', 'n', '/', '+', 0, 2, 3, 0x23, 0, 1};
	struct rig rig;
	begin_in(&rig, 3);
	fake_broker_send_bytes(&rig.broker, bad_text, sizeof bad_text);
	CU_ASSERT(acked_with(&rig, 0) == MQTT_IMPLEMENTATION_SPECIFIC_ERROR);
	comes(&rig, "", 2, "x", 0);
	UNTIL(&rig, rig_messages(&rig) == 1);
	CU_ASSERT(offered(&rig, 0, "in/a", "x"));
	/* Where the topic itself is what is wrong, all that is sent under the alias is. */
	fake_broker_send_bytes(&rig.broker, bad_topic, sizeof bad_topic);
	CU_ASSERT(acked_with(&rig, 1) == MQTT_TOPIC_NAME_INVALID);
	comes(&rig, "", 1, "y", 3);
	CU_ASSERT(acked_with(&rig, 2) == MQTT_TOPIC_NAME_INVALID);
	comes(&rig, "in/c", 1, "z", 0);
	comes(&rig, "", 1, "z", 0);
	UNTIL(&rig, rig_messages(&rig) == 3);
	CU_ASSERT(offered(&rig, 2, "in/c", "z"));
	CU_ASSERT(rig.downs == 0);
	rig_close(&rig);
}

/* A PUBLISH that is larger than linkspan takes: the head as given, and nothing else of meaning. */
static void comes_oversized(struct rig *rig, const uint8_t *head, size_t head_len)
{
	static uint8_t zeros[65536];
	uint32_t len = MESSAGE_MAX_ENCODED + 100;
	uint8_t fixed[] = {0x32, (uint8_t)(0x80 | (len & 0x7f)), (uint8_t)(0x80 | (len >> 7 & 0x7f)),
		(uint8_t)(0x80 | (len >> 14 & 0x7f)), (uint8_t)(len >> 21)};
	fake_broker_send_bytes(&rig->broker, fixed, sizeof fixed);
	for (size_t i = 0; i < head_len; i++) { /* byte by byte: it comes as it comes */
		fake_broker_send_bytes(&rig->broker, head + i, 1);
		rig_wait_begin(rig);
		rig_wait_turn(rig);
	}
	for (uint32_t left = len - (uint32_t)head_len, part; left > 0; left -= part) {
		part = left < sizeof zeros ? left : sizeof zeros;
		fake_broker_send_bytes(&rig->broker, zeros, part);
		rig_wait_begin(rig);
		rig_wait_turn(rig);
	}
}

static void test_in_oversized(void)
{
	static const uint8_t head[] = {0, 4, 'i', 'n', '/', 'a', 0, 5, 3, 0x23, 0, 2};
	/* Two MiB of properties, so that nobody knows which alias is set in them. */
	static const uint8_t blind[] = {0, 4, 'i', 'n', '/', 'b', 0, 6, 0x80, 0x80, 0x80, 1};
	struct rig rig;
	begin_in(&rig, 3);
	comes_oversized(&rig, head, sizeof head);
	CU_ASSERT(acked_with(&rig, 0) == MQTT_IMPLEMENTATION_SPECIFIC_ERROR);
	comes(&rig, "", 2, "x", 7);
	UNTIL(&rig, rig_messages(&rig) == 1);
	CU_ASSERT(offered(&rig, 0, "in/a", "x"));
	rig_receipts(&rig, 1);
	comes_oversized(&rig, blind, sizeof blind);
	CU_ASSERT(acked_with(&rig, 2) == MQTT_IMPLEMENTATION_SPECIFIC_ERROR);
	CU_ASSERT(fake_broker_packet(&rig.broker, MQTT_PUBACK, 2)->packet_id == 6 && rig.downs == 0);
	comes(&rig, "in/c", 1, "y", 0);
	UNTIL(&rig, rig_messages(&rig) == 2);
	comes(&rig, "", 2, "z", 8);
	UNTIL(&rig, rig.ups == 2);
	CU_ASSERT(fake_broker_packet(&rig.broker, MQTT_DISCONNECT, 0)->reason == MQTT_PROTOCOL_ERROR);
	CU_ASSERT(rig_messages(&rig) == 2);
	rig_close(&rig);
}

static const struct tap_test tests[] = {
	{"sent: topic and alias, then the alias alone", test_out},
	{"sent: short topics go without", test_out_short},
	{"sent: none, or as many as both want", test_out_off},
	{"sent: more topics than aliases", test_out_many},
	{"sent: the broker's maximum packet size", test_out_maximum_packet_size},
	{"sent: never in 3.1.1", test_out_3_1_1},
	{"received: set, used, set anew", test_in},
	{"received: not allowed, unknown, of another connection", test_in_wrong},
	{"received: a refused message sets its alias", test_in_refused},
	{"received: a message that is too large sets its alias", test_in_oversized},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("mqtt topic alias", tests);
}
