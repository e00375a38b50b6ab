/* SPDX-License-Identifier: Apache-2.0
 *
 * Subscriptions with options and identifiers: what is asked for, what is kept for the next process, and for which
 * subscription a message counts.
 */
#include <stdio.h>
#include <stdlib.h>

#include "connectors/mqtt/from.h"
#include "tests/unit/mqtt/rig.h"

static const struct broker_packet *subscribe(const struct rig *rig, size_t n)
{
	return fake_broker_packet(&rig->broker, MQTT_SUBSCRIBE, n);
}

static size_t subscribes(const struct rig *rig)
{
	return fake_broker_count(&rig->broker, MQTT_SUBSCRIBE);
}

/* The newest SUBSCRIBE of that filter. */
static const struct broker_packet *newest(const struct rig *rig, const char *filter)
{
	size_t len = strlen(filter);
	for (size_t n = subscribes(rig); n-- > 0;)
		if (strncmp(subscribe(rig, n)->topic, filter, len) == 0 && subscribe(rig, n)->topic[len] == ',')
			return subscribe(rig, n);
	return NULL;
}

static uint32_t identifier(const struct rig *rig, const char *filter)
{
	const struct broker_packet *packet = newest(rig, filter);
	CU_ASSERT_FATAL(packet != NULL);
	return packet->identifier;
}

static size_t reports(const struct rig *rig)
{
	return rig_changes(rig, CHANGE_SUBSCRIPTIONS);
}

/* Another process begins with what this one has left in the journal. The broker keeps the session. */
static void next_process(struct rig *rig)
{
	static uint8_t blob[512];
	const struct rig_offer *offer = rig_offer(rig, CHANGE_SUBSCRIPTIONS, reports(rig) - 1);
	CU_ASSERT_FATAL(offer && offer->blob_len > 0 && offer->blob_len <= sizeof blob);
	memcpy(blob, offer->blob, offer->blob_len);
	rig->recovered = slice_of(blob, offer->blob_len);
	rig->broker.session_present = true;
	rig_stop_link(rig);
	rig->n_subscriptions = 0;
}

/* A message with these identifiers, 0-terminated; the subscription that it was offered for. */
static int offered_for(struct rig *rig, const char *topic, const uint32_t *identifiers)
{
	size_t before = rig_messages(rig);
	struct mqtt_packet packet = {
		.type = MQTT_PUBLISH, .publish = {.topic = slice_str(topic), .payload = slice_str("x")}};
	packet.props.subscription_identifiers = identifiers;
	while (identifiers[packet.props.n_subscription_identifiers])
		packet.props.n_subscription_identifiers++;
	fake_broker_send(&rig->broker, &packet);
	UNTIL(rig, rig_messages(rig) == before + 1);
	return rig_offer(rig, CHANGE_NONE, before)->subscription;
}

static int offered_for_one(struct rig *rig, const char *topic, uint32_t number)
{
	const uint32_t identifiers[] = {number, 0};
	return offered_for(rig, topic, identifiers);
}

static void test_options(void)
{
	static const struct mqtt_from odd = {.no_local = true, .retain_handling = 2};
	struct rig rig;
	rig_open(&rig);
	rig_subscribe(&rig, "a", 1);
	rig_subscribe(&rig, "b", 0);
	rig.subscriptions[1].from_settings = &odd;
	rig_connect(&rig);
	UNTIL(&rig, reports(&rig) == 2);
	CU_ASSERT_FATAL(subscribes(&rig) == 2);
	const struct broker_packet *packet = subscribe(&rig, 0);
	CU_ASSERT(packet->entry_qos == 1 && packet->entry_retain_handling == 1);
	CU_ASSERT(packet->entry_retain_as_published && !packet->entry_no_local);
	packet = subscribe(&rig, 1);
	CU_ASSERT(packet->entry_qos == 0 && packet->entry_retain_handling == 2);
	CU_ASSERT(!packet->entry_retain_as_published && packet->entry_no_local);
	/* A change of the options alone is one. */
	next_process(&rig);
	rig_subscribe(&rig, "a", 1);
	rig_subscribe(&rig, "b", 0);
	rig_connect(&rig);
	UNTIL(&rig, reports(&rig) == 4);
	CU_ASSERT(subscribes(&rig) == 3);
	CU_ASSERT_STRING_EQUAL(subscribe(&rig, 2)->topic, "b,");
	CU_ASSERT(!subscribe(&rig, 2)->entry_no_local);
	rig_close(&rig);
}

static void test_identifiers(void)
{
	static const uint32_t none[] = {0};
	struct rig rig;
	rig_open(&rig);
	rig_subscribe(&rig, "z/#", 1);
	rig_subscribe(&rig, "a/+", 0);
	rig_connect(&rig);
	UNTIL(&rig, reports(&rig) == 2);
	CU_ASSERT_STRING_EQUAL(subscribe(&rig, 0)->topic, "z/#,"); /* in the order of the file */
	uint32_t z = identifier(&rig, "z/#"), a = identifier(&rig, "a/+");
	CU_ASSERT(z != 0 && a != 0 && a != z);
	CU_ASSERT(offered_for_one(&rig, "z/1", z) == 0);
	CU_ASSERT(offered_for_one(&rig, "a/1", a) == 1);
	CU_ASSERT(offered_for_one(&rig, "a/1", 77) == -1);
	const uint32_t both[] = {z, a, 0};
	CU_ASSERT(offered_for(&rig, "a/1", both) == -1);
	CU_ASSERT(offered_for(&rig, "a/1", none) == -1);
	/* Held, it keeps it. */
	rig.busy = true;
	struct mqtt_packet packet = {
		.type = MQTT_PUBLISH, .publish = {.topic = slice_str("a/1"), .payload = slice_str("x")}};
	packet.props.subscription_identifiers = &a;
	packet.props.n_subscription_identifiers = 1;
	fake_broker_send(&rig.broker, &packet);
	UNTIL(&rig, rig.pauses == 1);
	size_t before = rig_messages(&rig);
	rig_resume(&rig);
	UNTIL(&rig, rig_messages(&rig) == before + 1);
	CU_ASSERT(rig_offer(&rig, CHANGE_NONE, before)->subscription == 1);
	rig_close(&rig);
}

static void test_identifiers_stay_true(void)
{
	struct rig rig;
	rig_open(&rig);
	rig_subscribe(&rig, "a/#", 1);
	rig_subscribe(&rig, "b", 1);
	rig_subscribe(&rig, "c", 1);
	rig_connect(&rig);
	UNTIL(&rig, reports(&rig) == 2);
	uint32_t a = identifier(&rig, "a/#"), b = identifier(&rig, "b"), c = identifier(&rig, "c");
	uint32_t last = a > b ? a : b;
	last = last > c ? last : c;
	/* b has gone, c changes its QoS, the rest changes its place. */
	next_process(&rig);
	rig_subscribe(&rig, "c", 0);
	rig_subscribe(&rig, "d", 1);
	rig_subscribe(&rig, "a/#", 1);
	rig_connect(&rig);
	UNTIL(&rig, reports(&rig) == 4);
	CU_ASSERT(subscribes(&rig) == 5 && fake_broker_count(&rig.broker, MQTT_UNSUBSCRIBE) == 1);
	CU_ASSERT_STRING_EQUAL(fake_broker_packet(&rig.broker, MQTT_UNSUBSCRIBE, 0)->topic, "b,");
	CU_ASSERT(identifier(&rig, "c") > last && identifier(&rig, "d") > last);
	CU_ASSERT(offered_for_one(&rig, "a/1", a) == 2); /* as ever */
	CU_ASSERT(offered_for_one(&rig, "b", b) == -1); /* what the broker still had */
	CU_ASSERT(offered_for_one(&rig, "c", c) == -1);
	CU_ASSERT(offered_for_one(&rig, "c", identifier(&rig, "c")) == 0);
	CU_ASSERT(offered_for_one(&rig, "d", identifier(&rig, "d")) == 1);
	/* Nothing has changed: nothing is sent, and what was kept counts from the first message on. */
	uint32_t d = identifier(&rig, "d");
	next_process(&rig);
	rig_subscribe(&rig, "c", 0);
	rig_subscribe(&rig, "d", 1);
	rig_subscribe(&rig, "a/#", 1);
	rig_connect(&rig);
	CU_ASSERT(offered_for_one(&rig, "d", d) == 1);
	CU_ASSERT(subscribes(&rig) == 5);
	/* The session is gone, and with it all that was sent in it. */
	rig.broker.session_present = false;
	fake_broker_drop(&rig.broker);
	UNTIL(&rig, subscribes(&rig) == 8);
	CU_ASSERT(identifier(&rig, "c") == 1 && identifier(&rig, "d") == 2 && identifier(&rig, "a/#") == 3);
	UNTIL(&rig, reports(&rig) == 6);
	CU_ASSERT(offered_for_one(&rig, "c", 1) == 0);
	CU_ASSERT(offered_for_one(&rig, "a/1", 3) == 2);
	rig_close(&rig);
}

/* A new filter may be the first one that matches for a mapping that took part in another copy until now: of what the
 * broker has for that one, the old identifier must not keep the mapping away. */
static void test_new_overlap(void)
{
	struct rig rig;
	rig_open(&rig);
	rig_subscribe(&rig, "a/+", 1);
	rig_subscribe(&rig, "b", 1);
	rig_connect(&rig);
	UNTIL(&rig, reports(&rig) == 2);
	uint32_t a = identifier(&rig, "a/+"), b = identifier(&rig, "b");
	next_process(&rig);
	rig_subscribe(&rig, "b", 1);
	rig_subscribe(&rig, "a/+", 1);
	rig_subscribe(&rig, "a/b/#", 1);
	rig_connect(&rig);
	UNTIL(&rig, reports(&rig) == 4);
	CU_ASSERT_FATAL(subscribes(&rig) == 4);
	CU_ASSERT_STRING_EQUAL(subscribe(&rig, 2)->topic, "a/b/#,"); /* first, so that nothing is lost in between */
	CU_ASSERT_STRING_EQUAL(subscribe(&rig, 3)->topic, "a/+,");
	CU_ASSERT(offered_for_one(&rig, "a/b", a) == -1);
	CU_ASSERT(offered_for_one(&rig, "a/b", identifier(&rig, "a/+")) == 1);
	CU_ASSERT(offered_for_one(&rig, "a/b", identifier(&rig, "a/b/#")) == 2);
	CU_ASSERT(offered_for_one(&rig, "b", b) == 0);
	rig_close(&rig);
}

/* A process that ended in the middle: the set was reported before the first packet, and the identifier stays. */
static void test_unconfirmed(void)
{
	struct rig rig;
	rig_open(&rig);
	rig_subscribe(&rig, "a", 1);
	rig.broker.no_subacks = true;
	rig_connect(&rig);
	UNTIL(&rig, subscribes(&rig) == 1);
	CU_ASSERT(reports(&rig) == 1);
	next_process(&rig);
	rig.broker.no_subacks = false;
	rig_subscribe(&rig, "a", 1);
	rig_connect(&rig);
	UNTIL(&rig, reports(&rig) == 3);
	CU_ASSERT(subscribes(&rig) == 2 && subscribe(&rig, 1)->identifier == subscribe(&rig, 0)->identifier);
	rig_close(&rig);
}

/* What the first version of the blob left is known, without identifiers. */
static void test_old_blob(void)
{
	uint8_t blob[256];
	struct rig rig;
	rig_open(&rig);
	rig.broker.session_present = true;
	int len = snprintf((char *)blob, sizeof blob, "%c%c%ctester%c%c%s%c%c%ca%c%c%cold", 1, 0, 6, 0,
		(int)strlen(rig.url), rig.url, 5, 0, 1, 5, 0, 3);
	rig.recovered = slice_of(blob, (size_t)len);
	rig_subscribe(&rig, "a", 1);
	rig_connect(&rig);
	UNTIL(&rig, reports(&rig) == 2);
	CU_ASSERT(subscribes(&rig) == 1 && subscribe(&rig, 0)->identifier == 1);
	CU_ASSERT_STRING_EQUAL(fake_broker_packet(&rig.broker, MQTT_UNSUBSCRIBE, 0)->topic, "old,");
	rig_close(&rig);
	/* In 3.1.1 it is all that is wanted. */
	rig_open(&rig);
	rig.settings.version = 1;
	rig.broker.session_present = true;
	len = snprintf((char *)blob, sizeof blob, "%c%c%ctester%c%c%s%c%c%ca%c%c%cold", 1, 0, 6, 0,
		(int)strlen(rig.url), rig.url, 5, 0, 1, 5, 0, 3);
	rig.recovered = slice_of(blob, (size_t)len);
	rig_subscribe(&rig, "a", 1);
	rig_connect(&rig);
	UNTIL(&rig, fake_broker_count(&rig.broker, MQTT_UNSUBSCRIBE) == 1);
	CU_ASSERT(subscribes(&rig) == 0);
	rig_close(&rig);
}

static void test_no_identifiers(void)
{
	static const uint32_t none[] = {0};
	struct rig rig;
	rig_open(&rig);
	mqtt_set_number(&rig.broker.connack_props, MQTT_SUBSCRIPTION_IDENTIFIERS_AVAILABLE, 0);
	rig.exactly_once = true;
	rig_subscribe(&rig, "a/#", 1);
	rig_subscribe(&rig, "b", 1);
	rig_connect(&rig);
	UNTIL(&rig, reports(&rig) == 2);
	CU_ASSERT(rig.alarms == 0);
	CU_ASSERT(subscribes(&rig) == 1 && subscribe(&rig, 0)->identifier == 0);
	CU_ASSERT(offered_for(&rig, "a/b", none) == -1);
	rig_stop_link(&rig);
	rig_subscribe(&rig, "+/b", 0);
	rig_connect(&rig);
	CU_ASSERT(rig.alarms == 1 && strstr(rig.alarm, "\"+/b\"") && strstr(rig.alarm, "\"a/#\""));
	rig_stop_link(&rig);
	rig.broker.connack_props = (struct mqtt_properties){0};
	rig_connect(&rig);
	CU_ASSERT(rig.alarms == 1);
	rig_close(&rig);
}

/* Not one round trip each: as many packets come together as may be under way. */
static void test_many(void)
{
	static char filters[64][16];
	struct rig rig;
	rig_open(&rig);
	for (int i = 0; i < 64; i++) {
		snprintf(filters[i], sizeof filters[i], "f/%02d", i);
		rig_subscribe(&rig, filters[i], 1);
	}
	rig.broker.no_subacks = true;
	rig_connect(&rig);
	UNTIL(&rig, subscribes(&rig) == 64);
	CU_ASSERT(subscribe(&rig, 0)->read == subscribe(&rig, 63)->read);
	for (size_t i = 64; i-- > 0;) { /* answered in any order */
		static const uint8_t granted = 1;
		struct mqtt_packet suback = {.type = MQTT_SUBACK,
			.suback = {.packet_id = subscribe(&rig, i)->packet_id, .reasons = slice_of(&granted, 1)}};
		fake_broker_send(&rig.broker, &suback);
	}
	UNTIL(&rig, reports(&rig) == 2);
	CU_ASSERT(rig.downs == 0 && subscribes(&rig) == 64);
	for (size_t i = 0; i < 64; i++)
		for (size_t k = 0; k < i; k++)
			CU_ASSERT(subscribe(&rig, i)->packet_id != subscribe(&rig, k)->packet_id);
	rig_close(&rig);
}

static const struct tap_test tests[] = {
	{"options", test_options},
	{"identifiers say for which subscription", test_identifiers},
	{"identifiers over processes and changes", test_identifiers_stay_true},
	{"a new filter that overlaps", test_new_overlap},
	{"a process that ends in the middle", test_unconfirmed},
	{"the blob of an older version", test_old_blob},
	{"a broker without identifiers", test_no_identifiers},
	{"many filters, packets under way together", test_many},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("mqtt subscriptions", tests);
}
