/* SPDX-License-Identifier: Apache-2.0
 *
 * What a broker says in its CONNACK, as the session tells it to its user. The session is driven without a link.
 */
#include "connectors/mqtt/session.h"
#include "tests/unit/mqtt/rig.h"

struct user {
	struct mqtt_session_terms terms;
	bool up, stopped;
};

static void on_up(void *ctx, const struct mqtt_session_terms *terms)
{
	struct user *user = ctx;
	user->terms = *terms;
	user->up = true;
}

static void on_down(void *ctx, const char *reason)
{
	(void)ctx, (void)reason;
}

static void on_subscribed(void *ctx, const struct filter_set *set)
{
	(void)ctx, (void)set;
}

static void on_stopped(void *ctx)
{
	((struct user *)ctx)->stopped = true;
}

static const struct mqtt_session_events events = {
	.up = on_up,
	.down = on_down,
	.subscribed = on_subscribed,
	.stopped = on_stopped,
};

/* The terms of one connection to the rig's broker. */
static struct mqtt_session_terms terms_of(struct rig *rig)
{
	struct user user = {0};
	struct filter_set none = {0};
	struct mqtt_session *session;
	struct mqtt_session_options options = {
		.name = "test",
		.loop = rig->loop,
		.settings = &rig->settings,
		.client_id = rig->settings.client_id,
		.wanted = &none,
		.events = &events,
		.ctx = &user,
	};
	rig->broker.version = mqtt_settings_version(&rig->settings);
	CU_ASSERT_FATAL(engine_new(&options, &session) == 0);
	CU_ASSERT(mqtt_session_start(session, NULL) == 0);
	UNTIL(rig, user.up);
	mqtt_session_stop(session, 1000);
	UNTIL(rig, user.stopped);
	mqtt_session_free(session);
	return user.terms;
}

static void test_silence(void)
{
	struct rig rig;
	rig_open(&rig);
	struct mqtt_session_terms terms = terms_of(&rig);
	CU_ASSERT(!terms.session_present && terms.receive_maximum == 65535 && terms.maximum_qos == 2);
	CU_ASSERT(terms.retain_available && terms.maximum_packet_size == MQTT_MAX_PACKET);
	CU_ASSERT(terms.wildcard_subscriptions && terms.shared_subscriptions && terms.subscription_identifiers);
	rig_close(&rig);
}

static void test_said(void)
{
	struct rig rig;
	rig_open(&rig);
	struct mqtt_properties *props = &rig.broker.connack_props;
	mqtt_set_number(props, MQTT_RECEIVE_MAXIMUM, 3);
	mqtt_set_number(props, MQTT_MAXIMUM_QOS, 1);
	mqtt_set_number(props, MQTT_RETAIN_AVAILABLE, 0);
	mqtt_set_number(props, MQTT_MAXIMUM_PACKET_SIZE, 1000);
	mqtt_set_number(props, MQTT_WILDCARD_SUBSCRIPTION_AVAILABLE, 0);
	struct mqtt_session_terms terms = terms_of(&rig);
	CU_ASSERT(terms.receive_maximum == 3 && terms.maximum_qos == 1);
	CU_ASSERT(!terms.retain_available && terms.maximum_packet_size == 1000);
	CU_ASSERT(!terms.wildcard_subscriptions && terms.shared_subscriptions && terms.subscription_identifiers);
	mqtt_set_number(props, MQTT_WILDCARD_SUBSCRIPTION_AVAILABLE, 1);
	mqtt_set_number(props, MQTT_SHARED_SUBSCRIPTION_AVAILABLE, 0);
	terms = terms_of(&rig);
	CU_ASSERT(terms.wildcard_subscriptions && !terms.shared_subscriptions && terms.subscription_identifiers);
	mqtt_set_number(props, MQTT_SHARED_SUBSCRIPTION_AVAILABLE, 1);
	mqtt_set_number(props, MQTT_SUBSCRIPTION_IDENTIFIERS_AVAILABLE, 0);
	terms = terms_of(&rig);
	CU_ASSERT(terms.wildcard_subscriptions && terms.shared_subscriptions && !terms.subscription_identifiers);
	rig_close(&rig);
}

static void test_3_1_1(void)
{
	struct rig rig;
	rig_open(&rig);
	rig.settings.version = 1;
	struct mqtt_session_terms terms = terms_of(&rig);
	CU_ASSERT(terms.receive_maximum == 0 && terms.maximum_qos == 2 && terms.retain_available);
	CU_ASSERT(terms.wildcard_subscriptions && terms.shared_subscriptions && !terms.subscription_identifiers);
	rig_close(&rig);
}

static const struct tap_test tests[] = {
	{"a broker that says nothing", test_silence},
	{"a broker that has its limits", test_said},
	{"3.1.1", test_3_1_1},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("mqtt terms", tests);
}
