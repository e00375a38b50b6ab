/* SPDX-License-Identifier: Apache-2.0
 *
 * QoS 2 outwards, the link's part: PUBREL only after a durable stage, what a resumed and what a lost session make of a
 * delivery, reason codes, identifiers in use, limits, and the pause when the broker does not authorize us.
 */
#include <stdio.h>
#include <stdlib.h>

#include "connectors/mqtt/qos2_out.h"
#include "tests/unit/mqtt/rig.h"

static const struct broker_packet *packet(const struct rig *rig, enum mqtt_type type, size_t n)
{
	const struct broker_packet *found = fake_broker_packet(&rig->broker, type, n);
	CU_ASSERT_PTR_NOT_NULL_FATAL(found);
	return found;
}

static size_t came(const struct rig *rig, enum mqtt_type type)
{
	return fake_broker_count(&rig->broker, type);
}

static struct message_view view_of(const char *payload)
{
	return (struct message_view){.topic = slice_str("out"), .payload = slice_str(payload), .qos = 2};
}

/* Whatever was sent before has arrived when the marker has. Its outcome is taken out of the record. */
static void drain(struct rig *rig)
{
	size_t n_outcomes = rig->n_outcomes, n_published = came(rig, MQTT_PUBLISH);
	rig_send(rig, "out", "marker", 0);
	rig_send_end(rig);
	UNTIL(rig, rig->n_outcomes > n_outcomes && came(rig, MQTT_PUBLISH) > n_published);
	rig->n_outcomes = n_outcomes;
}

static void test_one_exchange(void)
{
	struct rig rig;
	rig_open(&rig);
	rig_connect(&rig);
	rig_send(&rig, "out", "x", 2);
	rig_send_end(&rig);
	UNTIL(&rig, came(&rig, MQTT_PUBLISH) == 1);
	CU_ASSERT(packet(&rig, MQTT_PUBLISH, 0)->qos == 2 && packet(&rig, MQTT_PUBLISH, 0)->packet_id == 2);
	CU_ASSERT(!packet(&rig, MQTT_PUBLISH, 0)->dup);
	fake_broker_answer(&rig.broker, MQTT_PUBREC, 2, 0);
	UNTIL(&rig, rig.n_stages == 1);
	CU_ASSERT(rig.stages[0].seq == 1 && rig.stages[0].stage == QOS2_STAGE_RECEIVED);
	fake_broker_answer(&rig.broker, MQTT_PUBREC, 2, 0); /* once more is no news */
	drain(&rig);
	CU_ASSERT(came(&rig, MQTT_PUBREL) == 0 && rig.n_stages == 1);
	rig_stage_durable(&rig, 0);
	UNTIL(&rig, came(&rig, MQTT_PUBREL) == 1);
	CU_ASSERT(packet(&rig, MQTT_PUBREL, 0)->packet_id == 2 && rig.n_outcomes == 0);
	fake_broker_answer(&rig.broker, MQTT_PUBREC, 2, 0); /* it has not heard the PUBREL */
	UNTIL(&rig, came(&rig, MQTT_PUBREL) == 2);
	fake_broker_answer(&rig.broker, MQTT_PUBCOMP, 2, 0);
	UNTIL(&rig, rig.n_outcomes == 1);
	CU_ASSERT(rig.outcomes[0].kind == OUTCOME_DELIVERED && rig.outcomes[0].seq == 1);
	fake_broker_answer(&rig.broker, MQTT_PUBCOMP, 2, 0);
	fake_broker_answer(&rig.broker, MQTT_PUBREC, 2, 0);
	drain(&rig);
	CU_ASSERT(rig.n_outcomes == 1 && rig.downs == 0);
	rig_close(&rig);
}

/* Session present: without a stage the PUBLISH again with DUP, with one only the PUBREL. */
static void test_resumed_session(void)
{
	struct rig rig;
	rig_open(&rig);
	rig.broker.session_present = true;
	rig_connect(&rig);
	struct message_view view = view_of("x");
	rig_send_again(&rig, 5, &view, true, QOS2_STAGE_PUBLISH);
	rig_send_again(&rig, 6, &view, true, QOS2_STAGE_RECEIVED);
	rig_send_again(&rig, 7, &view, false, QOS2_STAGE_PUBLISH);
	rig_send_end(&rig);
	UNTIL(&rig, came(&rig, MQTT_PUBLISH) == 2 && came(&rig, MQTT_PUBREL) == 1);
	CU_ASSERT(packet(&rig, MQTT_PUBLISH, 0)->dup && packet(&rig, MQTT_PUBLISH, 0)->packet_id == 6);
	CU_ASSERT(!packet(&rig, MQTT_PUBLISH, 1)->dup && packet(&rig, MQTT_PUBLISH, 1)->packet_id == 8);
	CU_ASSERT(packet(&rig, MQTT_PUBREL, 0)->packet_id == 7);
	fake_broker_answer(&rig.broker, MQTT_PUBCOMP, 7, MQTT_PACKET_IDENTIFIER_NOT_FOUND);
	UNTIL(&rig, rig.n_outcomes == 1);
	CU_ASSERT(rig.outcomes[0].seq == 6 && rig.outcomes[0].kind == OUTCOME_DELIVERED);
	/* A broker that knows identifiers by number alone. */
	fake_broker_answer(&rig.broker, MQTT_PUBREC, 6, MQTT_PACKET_IDENTIFIER_IN_USE);
	UNTIL(&rig, rig.n_stages == 1);
	CU_ASSERT(rig.stages[0].seq == 5 && rig.stages[0].stage == QOS2_STAGE_RECEIVED);
	rig_close(&rig);
}

/* Session lost: what may have been sent in it is a first PUBLISH to the new one. */
static void test_lost_session(void)
{
	struct rig rig;
	rig_open(&rig);
	rig_connect(&rig);
	CU_ASSERT(rig.session_lost);
	struct message_view view = view_of("old"), fresh = view_of("new");
	rig_send_lost(&rig, 5, &view);
	rig_send_again(&rig, 6, &fresh, false, QOS2_STAGE_PUBLISH);
	rig_send_end(&rig);
	UNTIL(&rig, came(&rig, MQTT_PUBLISH) == 2);
	CU_ASSERT(packet(&rig, MQTT_PUBLISH, 0)->packet_id == 6 && !packet(&rig, MQTT_PUBLISH, 0)->dup);
	CU_ASSERT(packet(&rig, MQTT_PUBLISH, 1)->packet_id == 7 && !packet(&rig, MQTT_PUBLISH, 1)->dup);
	rig.broker.session_present = true;
	fake_broker_drop(&rig.broker);
	UNTIL(&rig, rig.ups == 2);
	CU_ASSERT(!rig.session_lost);
	rig_close(&rig);
}

static void test_park(void)
{
	struct rig rig;
	rig_open(&rig);
	rig.settings.on_session_loss = MQTT_SESSION_LOSS_PARK;
	rig_connect(&rig);
	struct message_view view = view_of("old"), fresh = view_of("new");
	rig_send_lost(&rig, 5, &view);
	CU_ASSERT(rig.n_outcomes == 1); /* at once: a cut now would have it sent again */
	rig_send_lost(&rig, 6, &view);
	rig_send_again(&rig, 7, &fresh, false, QOS2_STAGE_PUBLISH);
	rig_send_end(&rig);
	UNTIL(&rig, rig.n_outcomes == 2 && came(&rig, MQTT_PUBLISH) == 1);
	CU_ASSERT(rig.outcomes[0].kind == OUTCOME_REJECTED && rig.outcomes[1].kind == OUTCOME_REJECTED);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.outcomes[0].reason, "lost the session"));
	CU_ASSERT(packet(&rig, MQTT_PUBLISH, 0)->packet_id == 8 && rig.n_stages == 0);
	rig_close(&rig);
}

/* The broker holds our identifier for something else: that is released first, durably, then ours goes. */
static void test_identifier_in_use(void)
{
	struct rig rig;
	rig_open(&rig);
	rig.broker.session_present = true;
	rig_connect(&rig);
	rig_send(&rig, "out", "x", 2);
	rig_send_end(&rig);
	UNTIL(&rig, came(&rig, MQTT_PUBLISH) == 1);
	fake_broker_answer(&rig.broker, MQTT_PUBREC, 2, MQTT_PACKET_IDENTIFIER_IN_USE);
	UNTIL(&rig, rig.n_stages == 1);
	CU_ASSERT(rig.stages[0].stage == QOS2_STAGE_CLEARING && came(&rig, MQTT_PUBREL) == 0);
	rig_stage_durable(&rig, 0);
	UNTIL(&rig, came(&rig, MQTT_PUBREL) == 1);
	fake_broker_answer(&rig.broker, MQTT_PUBCOMP, 2, 0);
	UNTIL(&rig, rig.n_stages == 2);
	CU_ASSERT(rig.stages[1].stage == QOS2_STAGE_PUBLISH && came(&rig, MQTT_PUBLISH) == 1);
	rig_stage_durable(&rig, 1);
	UNTIL(&rig, came(&rig, MQTT_PUBLISH) == 2);
	CU_ASSERT(packet(&rig, MQTT_PUBLISH, 1)->packet_id == 2 && !packet(&rig, MQTT_PUBLISH, 1)->dup);
	CU_ASSERT(rig.n_outcomes == 0);
	/* A process that ends in the middle goes on with it. */
	struct message_view view = view_of("y");
	rig_send_again(&rig, 9, &view, true, QOS2_STAGE_CLEARING);
	rig_send_end(&rig);
	UNTIL(&rig, came(&rig, MQTT_PUBREL) == 2);
	CU_ASSERT(packet(&rig, MQTT_PUBREL, 1)->packet_id == 10);
	rig_close(&rig);
}

static void test_reason_codes(void)
{
	static const struct {
		uint8_t reason;
		enum outcome_kind kind;
	} cases[] = {
		{MQTT_QUOTA_EXCEEDED, OUTCOME_RETRY},
		{MQTT_UNSPECIFIED_ERROR, OUTCOME_RETRY},
		{MQTT_PAYLOAD_FORMAT_INVALID, OUTCOME_REJECTED},
		{MQTT_TOPIC_NAME_INVALID, OUTCOME_REJECTED},
		{MQTT_PACKET_TOO_LARGE, OUTCOME_REJECTED}, /* mosquitto's answer beyond its message_size_limit */
		{MQTT_NOT_AUTHORIZED, OUTCOME_LINK_DOWN},
	};
	struct rig rig;
	rig_open(&rig);
	rig_connect(&rig);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		rig_send(&rig, "out", "x", 2);
		rig_send_end(&rig);
		UNTIL(&rig, came(&rig, MQTT_PUBLISH) == i + 1);
		fake_broker_answer(&rig.broker, MQTT_PUBREC, packet(&rig, MQTT_PUBLISH, i)->packet_id, cases[i].reason);
		UNTIL(&rig, rig.n_outcomes == i + 1);
		CU_ASSERT(rig.outcomes[i].kind == cases[i].kind && rig.outcomes[i].reason[0] != '\0');
	}
	CU_ASSERT(rig.n_stages == 0 && rig.alarms == 1);
	rig_close(&rig);
}

/* Not authorized: what is in flight ends, then the link is offered again. */
static void test_pause_when_not_authorized(void)
{
	struct rig rig;
	rig_open(&rig);
	rig.broker.no_pubacks = true;
	rig_connect(&rig);
	rig_send(&rig, "out/no", "x", 1);
	rig_send(&rig, "out/yes", "y", 2);
	rig_send_end(&rig);
	UNTIL(&rig, came(&rig, MQTT_PUBLISH) == 2);
	fake_broker_ack(&rig.broker, 2, MQTT_NOT_AUTHORIZED);
	UNTIL(&rig, rig.n_outcomes == 1);
	CU_ASSERT(rig.outcomes[0].kind == OUTCOME_LINK_DOWN && rig.alarms == 1 && rig.ups == 1);
	fake_broker_answer(&rig.broker, MQTT_PUBREC, 3, 0);
	UNTIL(&rig, rig.n_stages == 1);
	CU_ASSERT(rig.ups == 1); /* one is still under way */
	rig_stage_durable(&rig, 0);
	UNTIL(&rig, came(&rig, MQTT_PUBREL) == 1);
	fake_broker_answer(&rig.broker, MQTT_PUBCOMP, 3, 0);
	UNTIL(&rig, rig.n_outcomes == 2 && rig.ups == 2);
	CU_ASSERT(rig.outcomes[1].kind == OUTCOME_DELIVERED && rig.downs == 0 && rig.broker.connections == 1);
	rig_close(&rig);
}

/* 3.1.1: at most ten of QoS 2 are under way unless the user knows better. */
static void test_limit_in_3_1_1(void)
{
	struct rig rig;
	rig_open(&rig);
	rig.settings.version = 1;
	rig_connect(&rig);
	CU_ASSERT(rig.window == 20);
	for (unsigned n = 0; n < 12; n++)
		rig_send(&rig, "out", "x", 2);
	rig_send_end(&rig);
	UNTIL(&rig, came(&rig, MQTT_PUBLISH) == 10);
	fake_broker_answer(&rig.broker, MQTT_PUBREC, 2, 0);
	UNTIL(&rig, rig.n_stages == 1);
	rig_stage_durable(&rig, 0);
	UNTIL(&rig, came(&rig, MQTT_PUBREL) == 1);
	CU_ASSERT(came(&rig, MQTT_PUBLISH) == 10);
	fake_broker_answer(&rig.broker, MQTT_PUBCOMP, 2, 0);
	UNTIL(&rig, rig.n_outcomes == 1 && came(&rig, MQTT_PUBLISH) == 11);
	rig_close(&rig);
}

static void test_broker_without_qos_2(void)
{
	struct rig rig;
	rig_open(&rig);
	mqtt_set_number(&rig.broker.connack_props, MQTT_MAXIMUM_QOS, 1);
	rig_connect(&rig);
	rig_send(&rig, "out", "x", 2);
	rig_send_end(&rig);
	UNTIL(&rig, rig.downs == 1);
	CU_ASSERT(rig.alarms == 1 && came(&rig, MQTT_PUBLISH) == 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.alarm, "qos: 1"));
	rig_close(&rig);
}

static void test_missing_pubcomp_renews_the_connection(void)
{
	struct rig rig;
	rig_open(&rig);
	rig.settings.ack_timeout_ms = 50;
	rig.broker.session_present = true;
	rig_connect(&rig);
	struct message_view view = view_of("x");
	rig_send_again(&rig, 1, &view, true, QOS2_STAGE_RECEIVED);
	rig_send_end(&rig);
	UNTIL(&rig, rig.downs == 1);
	CU_ASSERT(came(&rig, MQTT_PUBREL) == 1);
	rig_close(&rig);
}

/* What the broker may hold from an earlier connection is not buried because this one's terms forbid it. */
static void test_repetition_that_cannot_be_sent(void)
{
	struct rig rig;
	rig_open(&rig);
	rig.broker.session_present = true;
	mqtt_set_number(&rig.broker.connack_props, MQTT_RETAIN_AVAILABLE, 0);
	rig_connect(&rig);
	struct message_view view = view_of("x");
	view.retain = true;
	rig_send_again(&rig, 1, &view, false, QOS2_STAGE_PUBLISH);
	rig_send_end(&rig);
	UNTIL(&rig, rig.n_outcomes == 1);
	CU_ASSERT(rig.outcomes[0].kind == OUTCOME_REJECTED && rig.alarms == 0);
	rig_send_again(&rig, 2, &view, true, QOS2_STAGE_PUBLISH);
	struct message_view behind = view_of("behind it");
	rig_send_again(&rig, 3, &behind, false, QOS2_STAGE_PUBLISH);
	rig_send_end(&rig);
	UNTIL(&rig, rig.n_stages == 1 && came(&rig, MQTT_PUBLISH) == 1);
	CU_ASSERT(rig.stages[0].seq == 2 && rig.stages[0].stage == QOS2_STAGE_GIVEN_UP);
	CU_ASSERT(came(&rig, MQTT_PUBREL) == 0 && rig.n_outcomes == 1);
	rig_stage_durable(&rig, 0);
	UNTIL(&rig, came(&rig, MQTT_PUBREL) == 1);
	CU_ASSERT(packet(&rig, MQTT_PUBREL, 0)->packet_id == 3);
	fake_broker_answer(&rig.broker, MQTT_PUBCOMP, 3, 0);
	UNTIL(&rig, rig.n_outcomes == 2);
	CU_ASSERT(rig.outcomes[1].seq == 2 && rig.outcomes[1].kind == OUTCOME_REJECTED);
	/* After a restart in the middle, whatever the broker allows by now: only released. */
	view.retain = false;
	rig_send_again(&rig, 9, &view, true, QOS2_STAGE_GIVEN_UP);
	rig_send_end(&rig);
	UNTIL(&rig, came(&rig, MQTT_PUBREL) == 2);
	fake_broker_answer(&rig.broker, MQTT_PUBCOMP, 10, MQTT_PACKET_IDENTIFIER_NOT_FOUND);
	UNTIL(&rig, rig.n_outcomes == 3);
	CU_ASSERT(rig.outcomes[2].seq == 9 && rig.outcomes[2].kind == OUTCOME_REJECTED);
	CU_ASSERT(came(&rig, MQTT_PUBLISH) == 1 && rig.downs == 0 && rig.alarms == 0);
	rig_close(&rig);
}

static void test_broker_that_ends_at_a_repeated_pubrel(void)
{
	struct rig rig;
	rig_open(&rig);
	rig.broker.session_present = true;
	rig_connect(&rig);
	struct message_view view = view_of("x");
	for (unsigned n = 1; n <= 5; n++) {
		CU_ASSERT(rig.alarms == 0);
		rig_send_again(&rig, 1, &view, true, QOS2_STAGE_RECEIVED);
		rig_send_end(&rig);
		UNTIL(&rig, came(&rig, MQTT_PUBREL) == n);
		fake_broker_drop(&rig.broker);
		UNTIL(&rig, rig.downs == n && rig.ups == n + 1);
	}
	CU_ASSERT(rig.alarms == 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.alarm, "PUBREL"));
	rig_close(&rig);
}

static const struct tap_test tests[] = {
	{"one exchange", test_one_exchange},
	{"a resumed session", test_resumed_session},
	{"a lost session: sent again", test_lost_session},
	{"a lost session: parked", test_park},
	{"identifier in use", test_identifier_in_use},
	{"reason codes", test_reason_codes},
	{"a pause when not authorized", test_pause_when_not_authorized},
	{"limit in 3.1.1", test_limit_in_3_1_1},
	{"a broker without QoS 2", test_broker_without_qos_2},
	{"a missing PUBCOMP renews the connection", test_missing_pubcomp_renews_the_connection},
	{"a repetition that cannot be sent", test_repetition_that_cannot_be_sent},
	{"a broker that ends the connection at a repeated PUBREL", test_broker_that_ends_at_a_repeated_pubrel},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("mqtt qos2 out", tests);
}
