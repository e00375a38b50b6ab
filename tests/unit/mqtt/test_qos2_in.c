/* SPDX-License-Identifier: Apache-2.0
 *
 * QoS 2 inwards: the table of open identifiers against a plain model of it, and the link: what is offered, what is
 * answered, and that no answer goes out before its receipt.
 */
#include <stdlib.h>

#include "connectors/mqtt/filter_set.h"
#include "connectors/mqtt/qos2_in.h"
#include "tests/unit/mqtt/rig.h"

/* --- the table ------------------------------------------------------------------------------------------------------ */

static void test_table_against_an_array(void)
{
	struct qos2_in in = {0};
	uint64_t hashes[512] = {0}; /* 0: not open */
	uint32_t random = 12345;
	for (unsigned round = 0; round < 200000; round++) {
		random = random * 1664525 + 1013904223;
		uint16_t id = (uint16_t)(1 + (random >> 8) % 511 * ((round / 50000) * 64 + 1) % 65535) % 512;
		uint64_t hash = 1 + (random >> 20) % 2;
		if (random >> 31 && hashes[id]) {
			CU_ASSERT_FATAL(qos2_in_pubrel(&in, id) == QOS2_IN_RELEASE);
			qos2_in_released(&in, id);
			hashes[id] = 0;
		} else {
			enum qos2_in_verdict verdict = qos2_in_publish(&in, id, hash);
			CU_ASSERT_FATAL(verdict == (hashes[id] == hash ? QOS2_IN_AGAIN : QOS2_IN_NEW));
			qos2_in_taken(&in, id, hash);
			qos2_in_answered(&in, id);
			hashes[id] = hash;
		}
	}
	uint32_t n = 0;
	for (uint16_t id = 0; id < 512; id++) {
		n += hashes[id] != 0;
		CU_ASSERT(qos2_in_pubrel(&in, id) == (hashes[id] ? QOS2_IN_RELEASE : QOS2_IN_UNKNOWN));
	}
	CU_ASSERT(in.n == n && in.reused > 0);
	qos2_in_free(&in);
}

static void test_cut_forgets_what_was_only_offered(void)
{
	struct qos2_in in = {0};
	for (uint16_t id = 1; id <= 40; id++) {
		CU_ASSERT(qos2_in_publish(&in, id * 16, id) == QOS2_IN_NEW);
		CU_ASSERT(qos2_in_publish(&in, id * 16, id) == QOS2_IN_PENDING);
		if (id % 2)
			qos2_in_taken(&in, id * 16, id);
		CU_ASSERT(qos2_in_pubrel(&in, id * 16) == (id % 2 ? QOS2_IN_RELEASE : QOS2_IN_WAITS));
	}
	qos2_in_cut(&in);
	CU_ASSERT(in.n == 20);
	for (uint16_t id = 1; id <= 40; id++)
		CU_ASSERT(qos2_in_publish(&in, id * 16, id) == (id % 2 ? QOS2_IN_AGAIN : QOS2_IN_NEW));
	/* The journal still has the earlier one when a new one under its identifier dies. */
	CU_ASSERT(qos2_in_publish(&in, 16, 99) == QOS2_IN_NEW);
	CU_ASSERT(qos2_in_pubrel(&in, 16) == QOS2_IN_WAITS && qos2_in_pubrel(&in, 16) == QOS2_IN_WAITS_ALREADY);
	qos2_in_cut(&in);
	CU_ASSERT(qos2_in_pubrel(&in, 16) == QOS2_IN_RELEASE && qos2_in_publish(&in, 16, 1) == QOS2_IN_AGAIN);
	CU_ASSERT(qos2_in_publish(&in, 16, 99) == QOS2_IN_NEW);
	qos2_in_refused(&in, 16, 99);
	CU_ASSERT(qos2_in_publish(&in, 16, 1) == QOS2_IN_AGAIN);
	qos2_in_reset(&in);
	CU_ASSERT(in.n == 0 && qos2_in_publish(&in, 16, 1) == QOS2_IN_NEW);
	qos2_in_free(&in);
}

/* The answer to the first one comes when a second one, and a third, have come under its identifier. */
static void test_several_offered_under_one_identifier(void)
{
	struct qos2_in in = {0};
	qos2_in_taken(&in, 7, 1);
	CU_ASSERT(qos2_in_publish(&in, 7, 2) == QOS2_IN_NEW && qos2_in_publish(&in, 7, 3) == QOS2_IN_NEW);
	qos2_in_refused(&in, 7, 2);
	CU_ASSERT(qos2_in_pubrel(&in, 7) == QOS2_IN_WAITS);
	qos2_in_refused(&in, 7, 3);
	CU_ASSERT(qos2_in_publish(&in, 7, 1) == QOS2_IN_AGAIN); /* the journal has it */
	CU_ASSERT(qos2_in_publish(&in, 7, 2) == QOS2_IN_NEW && qos2_in_publish(&in, 7, 3) == QOS2_IN_NEW);
	qos2_in_taken(&in, 7, 2);
	CU_ASSERT(qos2_in_pubrel(&in, 7) == QOS2_IN_WAITS);
	qos2_in_cut(&in);
	CU_ASSERT(qos2_in_publish(&in, 7, 2) == QOS2_IN_AGAIN);
	CU_ASSERT(qos2_in_publish(&in, 7, 3) == QOS2_IN_NEW);
	qos2_in_released(&in, 7); /* the second one */
	qos2_in_taken(&in, 7, 3);
	CU_ASSERT(qos2_in_pubrel(&in, 7) == QOS2_IN_RELEASE);
	qos2_in_released(&in, 7);
	CU_ASSERT(in.n == 0);
	qos2_in_free(&in);
}

static uint64_t hash_of(const char *topic, const char *payload, uint32_t expiry, bool dup)
{
	struct mqtt_publish publish = {.topic = slice_str(topic), .payload = slice_str(payload), .qos = 2, .dup = dup};
	struct mqtt_properties props = {0};
	if (expiry)
		mqtt_set_number(&props, MQTT_MESSAGE_EXPIRY_INTERVAL, expiry);
	return qos2_in_hash(&publish, &props);
}

static void test_what_makes_a_repetition(void)
{
	uint64_t hash = hash_of("a/b", "payload of some length", 60, false);
	CU_ASSERT(hash_of("a/b", "payload of some length", 59, true) == hash);
	CU_ASSERT(hash_of("a/b", "payload of some lengtH", 60, false) != hash);
	CU_ASSERT(hash_of("a/c", "payload of some length", 60, false) != hash);
	CU_ASSERT(hash_of("a/bp", "ayload of some length", 60, false) != hash);
	/* It stands in the journal: the same on every machine and in every version. */
	CU_ASSERT(hash_of("in/a", "x", 0, false) == 0x28f513a69ab14464u);
}

/* --- the link ------------------------------------------------------------------------------------------------------- */

static void begin(struct rig *rig)
{
	rig_open(rig);
	rig_subscribe(rig, "in/#", 2);
	rig_connect(rig);
	UNTIL(rig, rig_changes(rig, CHANGE_SUBSCRIPTIONS) == 2);
	rig->n_receipts = rig->n_offers;
}

static size_t came(const struct rig *rig, enum mqtt_type type)
{
	return fake_broker_count(&rig->broker, type);
}

/* Whatever was sent before has arrived when the marker has. */
static void drain(struct rig *rig)
{
	size_t n = rig->n_outcomes;
	rig_send(rig, "out", "marker", 1);
	rig_send_end(rig);
	UNTIL(rig, rig->n_outcomes > n);
}

static void pubrel(struct rig *rig, uint16_t id)
{
	fake_broker_answer(&rig->broker, MQTT_PUBREL, id, 0);
}

static void test_subscribes_with_qos_2(void)
{
	struct rig rig;
	begin(&rig);
	CU_ASSERT(fake_broker_packet(&rig.broker, MQTT_SUBSCRIBE, 0)->entry_qos == 2);
	rig_close(&rig);
}

static void test_one_exchange(void)
{
	struct rig rig;
	begin(&rig);
	fake_broker_publish(&rig.broker, "in/a", "x", 2, 7);
	UNTIL(&rig, rig_messages(&rig) == 1);
	const struct rig_offer *offer = rig_offer(&rig, CHANGE_OPEN_ID, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(offer);
	CU_ASSERT(offer->has_message && offer->id == 7 && offer->hash != 0 && offer->qos == 2);
	drain(&rig);
	CU_ASSERT(came(&rig, MQTT_PUBREC) == 0);
	rig_receipts(&rig, 1);
	UNTIL(&rig, came(&rig, MQTT_PUBREC) == 1);
	CU_ASSERT(fake_broker_packet(&rig.broker, MQTT_PUBREC, 0)->packet_id == 7);
	pubrel(&rig, 7);
	UNTIL(&rig, rig_changes(&rig, CHANGE_RELEASE_ID) == 1);
	CU_ASSERT(!rig_offer(&rig, CHANGE_RELEASE_ID, 0)->has_message);
	CU_ASSERT(rig_offer(&rig, CHANGE_RELEASE_ID, 0)->id == 7);
	drain(&rig);
	CU_ASSERT(came(&rig, MQTT_PUBCOMP) == 0);
	rig_receipts(&rig, 1);
	UNTIL(&rig, came(&rig, MQTT_PUBCOMP) == 1);
	CU_ASSERT(fake_broker_packet(&rig.broker, MQTT_PUBCOMP, 0)->packet_id == 7);
	CU_ASSERT(fake_broker_packet(&rig.broker, MQTT_PUBCOMP, 0)->reason == 0);
	/* The identifier is free again: the same bytes are a new message now. */
	fake_broker_publish(&rig.broker, "in/a", "x", 2, 7);
	UNTIL(&rig, rig_messages(&rig) == 2);
	rig_close(&rig);
}

static void test_acks_in_order_and_together(void)
{
	struct rig rig;
	begin(&rig);
	for (uint16_t id = 1; id <= 6; id++)
		fake_broker_publish(&rig.broker, "in/a", "x", id % 3 ? 2 : 1, id);
	UNTIL(&rig, rig_messages(&rig) == 6);
	rig_receipts(&rig, 6);
	UNTIL(&rig, came(&rig, MQTT_PUBREC) == 4 && came(&rig, MQTT_PUBACK) == 2);
	static const uint16_t order[] = {1, 2, 4, 5};
	unsigned read = fake_broker_packet(&rig.broker, MQTT_PUBREC, 0)->read;
	for (size_t n = 0; n < 4; n++) {
		CU_ASSERT(fake_broker_packet(&rig.broker, MQTT_PUBREC, n)->packet_id == order[n]);
		CU_ASSERT(fake_broker_packet(&rig.broker, MQTT_PUBREC, n)->read == read);
	}
	rig_close(&rig);
}

/* The link breaks between PUBREC and PUBREL; the broker did not get the PUBREC. */
static void test_repetition_is_answered_and_not_offered(void)
{
	struct rig rig;
	begin(&rig);
	rig.broker.session_present = true;
	fake_broker_publish(&rig.broker, "in/a", "x", 2, 7);
	UNTIL(&rig, rig_messages(&rig) == 1);
	fake_broker_drop(&rig.broker); /* before the receipt: it is on its way to the disk */
	UNTIL(&rig, rig.ups == 2);
	rig.n_receipts = rig.n_offers;
	fake_broker_publish(&rig.broker, "in/a", "x", 2, 7);
	UNTIL(&rig, rig_changes(&rig, CHANGE_NONE) == 1);
	CU_ASSERT(rig_messages(&rig) == 1);
	drain(&rig);
	CU_ASSERT(came(&rig, MQTT_PUBREC) == 0); /* it may not be durable yet */
	rig_receipts(&rig, 1);
	UNTIL(&rig, came(&rig, MQTT_PUBREC) == 1);
	/* Twice on one connection: one PUBREC answers both, unless it is out already. */
	fake_broker_publish(&rig.broker, "in/a", "x", 2, 7);
	UNTIL(&rig, rig_changes(&rig, CHANGE_NONE) == 2);
	fake_broker_publish(&rig.broker, "in/a", "x", 2, 7);
	drain(&rig);
	CU_ASSERT(rig_changes(&rig, CHANGE_NONE) == 2);
	rig_receipts(&rig, 1);
	UNTIL(&rig, came(&rig, MQTT_PUBREC) == 2);
	CU_ASSERT(rig_messages(&rig) == 1);
	rig_close(&rig);
}

static void test_same_id_other_bytes_is_new(void)
{
	struct rig rig;
	begin(&rig);
	fake_broker_publish(&rig.broker, "in/a", "x", 2, 7);
	UNTIL(&rig, rig_messages(&rig) == 1);
	rig_receipts(&rig, 1);
	fake_broker_publish(&rig.broker, "in/a", "y", 2, 7);
	UNTIL(&rig, rig_messages(&rig) == 2);
	CU_ASSERT(rig_offer(&rig, CHANGE_OPEN_ID, 0)->hash != rig_offer(&rig, CHANGE_OPEN_ID, 1)->hash);
	rig_close(&rig);
}

static void test_recovered_ids(void)
{
	struct rig rig;
	rig_open(&rig);
	rig_subscribe(&rig, "in/#", 2);
	rig.broker.session_present = true;
	rig.open_ids[0].id = 7;
	rig.open_ids[0].hash = hash_of("in/a", "x", 0, false);
	rig.n_open_ids = 1;
	rig_connect(&rig);
	UNTIL(&rig, rig_changes(&rig, CHANGE_SUBSCRIPTIONS) == 2);
	rig.n_receipts = rig.n_offers;
	fake_broker_publish(&rig.broker, "in/a", "x", 2, 7);
	UNTIL(&rig, rig_changes(&rig, CHANGE_NONE) == 1);
	rig_receipts(&rig, 1);
	UNTIL(&rig, came(&rig, MQTT_PUBREC) == 1);
	CU_ASSERT(rig_messages(&rig) == 0);
	pubrel(&rig, 7);
	UNTIL(&rig, rig_changes(&rig, CHANGE_RELEASE_ID) == 1);
	rig_close(&rig);
}

/* The file names another broker than the one that the journal speaks of; that one may have a session of our name. */
static void test_ids_of_another_broker(void)
{
	struct rig rig;
	struct buffer blob;
	struct filter_set set = {0};
	struct filter_set_owner owner = {.client_id = "tester", .url = "mqtt://elsewhere"};
	buffer_init(&blob, 4096);
	CU_ASSERT_FATAL(filter_set_encode(&set, &owner, &blob) == 0);
	rig_open(&rig);
	rig_subscribe(&rig, "in/#", 2);
	rig.broker.session_present = true;
	rig.recovered = buffer_slice(&blob);
	rig.open_ids[0].id = 7;
	rig.open_ids[0].hash = hash_of("in/a", "x", 0, false);
	rig.n_open_ids = 1;
	rig_connect(&rig);
	CU_ASSERT(rig.session_lost); /* for the sink half */
	UNTIL(&rig, rig_changes(&rig, CHANGE_SUBSCRIPTIONS) == 2);
	CU_ASSERT(rig_changes(&rig, CHANGE_SESSION_RESET) == 1);
	fake_broker_publish(&rig.broker, "in/a", "x", 2, 7);
	UNTIL(&rig, rig_messages(&rig) == 1);
	/* The same broker at the next connection. */
	fake_broker_drop(&rig.broker);
	UNTIL(&rig, rig.ups == 2);
	CU_ASSERT(!rig.session_lost && rig_changes(&rig, CHANGE_SESSION_RESET) == 1);
	rig_close(&rig);
	buffer_free(&blob);
}

/* A session that is lost while linkspan stops is not to be taken for a kept one by the next process. */
static void test_session_lost_while_stopping(void)
{
	struct rig rig;
	begin(&rig);
	mqtt_connector.stop_intake(rig.link);
	fake_broker_drop(&rig.broker);
	UNTIL(&rig, rig.ups == 2);
	UNTIL(&rig, rig_changes(&rig, CHANGE_SESSION_RESET) == 1);
	fake_broker_publish(&rig.broker, "in/a", "x", 2, 7);
	drain(&rig);
	CU_ASSERT(rig_messages(&rig) == 0);
	rig_close(&rig);
}

/* A link that only writes tells whose session it has, so that its stages are not taken for those of another one. */
static void test_a_sink_tells_whose_session_it_has(void)
{
	struct rig rig;
	rig_open(&rig);
	rig_connect(&rig);
	UNTIL(&rig, rig_changes(&rig, CHANGE_SUBSCRIPTIONS) == 1);
	struct filter_set set = {0};
	struct filter_set_owner owner = {.client_id = "tester", .url = rig.url};
	const struct rig_offer *offer = rig_offer(&rig, CHANGE_SUBSCRIPTIONS, 0);
	CU_ASSERT(filter_set_decode(slice_of(offer->blob, offer->blob_len), &owner, &set) == 0 && set.n == 0);
	rig_close(&rig);
}

/* Not even a change can be taken: the newest one of each kind is tried again, in order, without anybody's resume. */
static void test_changes_that_have_to_wait(void)
{
	struct rig rig;
	begin(&rig);
	fake_broker_publish(&rig.broker, "in/a", "x", 2, 7);
	UNTIL(&rig, rig_messages(&rig) == 1);
	rig_receipts(&rig, 1);
	size_t n = rig.n_offers;
	rig.stuck = true;
	fake_broker_drop(&rig.broker); /* and the session is lost, twice */
	UNTIL(&rig, rig.ups == 2);
	fake_broker_drop(&rig.broker);
	UNTIL(&rig, rig.ups == 3);
	UNTIL(&rig, fake_broker_count(&rig.broker, MQTT_SUBSCRIBE) >= 2);
	CU_ASSERT(rig.n_offers == n);
	rig.stuck = false;
	UNTIL(&rig, rig_changes(&rig, CHANGE_SESSION_RESET) == 1 && rig.n_offers >= n + 2);
	CU_ASSERT(rig.offers[n].change == CHANGE_SESSION_RESET);
	CU_ASSERT(rig.offers[n + 1].change == CHANGE_SUBSCRIPTIONS);
	rig_close(&rig);
}

static void test_unknown_release(void)
{
	struct rig rig;
	begin(&rig);
	pubrel(&rig, 99);
	UNTIL(&rig, rig_changes(&rig, CHANGE_NONE) == 1);
	drain(&rig);
	CU_ASSERT(came(&rig, MQTT_PUBCOMP) == 0); /* its release may be on its way to the disk */
	rig_receipts(&rig, 1);
	UNTIL(&rig, came(&rig, MQTT_PUBCOMP) == 1);
	CU_ASSERT(fake_broker_packet(&rig.broker, MQTT_PUBCOMP, 0)->reason == MQTT_PACKET_IDENTIFIER_NOT_FOUND);
	rig_close(&rig);
}

static void test_lost_session_is_told_first(void)
{
	struct rig rig;
	begin(&rig);
	fake_broker_publish(&rig.broker, "in/a", "x", 2, 7);
	UNTIL(&rig, rig_messages(&rig) == 1);
	rig_receipts(&rig, 1);
	fake_broker_drop(&rig.broker); /* and the broker knows nothing of us any more */
	UNTIL(&rig, rig.ups == 2);
	UNTIL(&rig, rig_changes(&rig, CHANGE_SESSION_RESET) == 1);
	fake_broker_publish(&rig.broker, "in/a", "x", 2, 7);
	UNTIL(&rig, rig_messages(&rig) == 2); /* a new one of a new session */
	const struct rig_offer *reset = rig_offer(&rig, CHANGE_SESSION_RESET, 0);
	CU_ASSERT(reset < rig_offer(&rig, CHANGE_OPEN_ID, 1) && reset > rig_offer(&rig, CHANGE_OPEN_ID, 0));
	rig_close(&rig);
}

/* Not taken yet, then cut: the broker has it, and it is new again. */
static void test_held_message_dies_with_its_connection(void)
{
	struct rig rig;
	begin(&rig);
	rig.broker.session_present = true;
	rig.busy = true;
	fake_broker_publish(&rig.broker, "in/a", "x", 2, 7);
	UNTIL(&rig, rig.pauses == 1);
	fake_broker_drop(&rig.broker);
	UNTIL(&rig, rig.ups == 2);
	CU_ASSERT(rig_messages(&rig) == 0);
	rig_resume(&rig);
	fake_broker_publish(&rig.broker, "in/a", "x", 2, 7);
	UNTIL(&rig, rig_messages(&rig) == 1);
	rig_receipts(&rig, 1);
	UNTIL(&rig, came(&rig, MQTT_PUBREC) == 1);
	rig_close(&rig);
}

/* While the source is paused, exchanges that have begun go on. */
static void test_paused_source_releases(void)
{
	struct rig rig;
	begin(&rig);
	fake_broker_publish(&rig.broker, "in/a", "x", 2, 7);
	UNTIL(&rig, rig_messages(&rig) == 1);
	rig.busy = true;
	fake_broker_publish(&rig.broker, "in/a", "y", 2, 8);
	UNTIL(&rig, rig.pauses == 1);
	rig_receipts(&rig, 1);
	UNTIL(&rig, came(&rig, MQTT_PUBREC) == 1);
	pubrel(&rig, 7);
	pubrel(&rig, 8); /* of a broker that does not wait for PUBREC: in its turn */
	UNTIL(&rig, rig_changes(&rig, CHANGE_RELEASE_ID) == 1);
	rig_receipts(&rig, 1);
	UNTIL(&rig, came(&rig, MQTT_PUBCOMP) == 1);
	CU_ASSERT(fake_broker_packet(&rig.broker, MQTT_PUBCOMP, 0)->packet_id == 7);
	rig_resume(&rig);
	UNTIL(&rig, rig_messages(&rig) == 2 && rig_changes(&rig, CHANGE_RELEASE_ID) == 2);
	CU_ASSERT(rig_offer(&rig, CHANGE_RELEASE_ID, 1) > rig_offer(&rig, CHANGE_OPEN_ID, 1));
	rig_close(&rig);
}

static void test_refused(void)
{
	struct rig rig;
	begin(&rig);
	rig.refuse = true;
	fake_broker_publish(&rig.broker, "in/a", "x", 2, 7);
	UNTIL(&rig, came(&rig, MQTT_PUBREC) == 1);
	CU_ASSERT(fake_broker_packet(&rig.broker, MQTT_PUBREC, 0)->reason == MQTT_IMPLEMENTATION_SPECIFIC_ERROR);
	rig.refuse = false;
	fake_broker_publish(&rig.broker, "in/a", "x", 2, 7); /* that has ended it */
	UNTIL(&rig, rig_messages(&rig) == 1);
	rig_close(&rig);
}

static const struct tap_test tests[] = {
	{"the table against an array", test_table_against_an_array},
	{"a cut forgets what was only offered", test_cut_forgets_what_was_only_offered},
	{"several offered under one identifier", test_several_offered_under_one_identifier},
	{"what makes a repetition", test_what_makes_a_repetition},
	{"subscribes with QoS 2", test_subscribes_with_qos_2},
	{"one exchange", test_one_exchange},
	{"acknowledgements in order and together", test_acks_in_order_and_together},
	{"a repetition is answered and not offered", test_repetition_is_answered_and_not_offered},
	{"same identifier, other bytes: a new message", test_same_id_other_bytes_is_new},
	{"identifiers of an earlier process", test_recovered_ids},
	{"identifiers of another broker", test_ids_of_another_broker},
	{"a session that is lost while stopping", test_session_lost_while_stopping},
	{"a sink tells whose session it has", test_a_sink_tells_whose_session_it_has},
	{"changes that have to wait", test_changes_that_have_to_wait},
	{"release of an unknown identifier", test_unknown_release},
	{"a lost session is told before its messages", test_lost_session_is_told_first},
	{"a held message dies with its connection", test_held_message_dies_with_its_connection},
	{"a paused source releases", test_paused_source_releases},
	{"refused", test_refused},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("mqtt qos2 in", tests);
}
