/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of the MQTT link share: a loop, a fake broker, a link under test and a host that records what the link
 * tells it. Nothing sleeps: UNTIL runs the loop until a condition holds, and fails after ten seconds.
 */
#ifndef LINKSPAN_TESTS_UNIT_MQTT_RIG_H
#define LINKSPAN_TESTS_UNIT_MQTT_RIG_H

#include "connectors/mqtt/mqtt.h"
#include "connectors/mqtt/settings.h"
#include "tests/unit/mqtt/fake_broker.h"
#include "tests/unit/tap.h"

struct rig_offer {
	char topic[128], payload[128], content_type[64], response_topic[64], correlation[64], user[256];
	size_t payload_len;
	uint8_t qos;
	bool retain, utf8, no_receipt, has_message;
	uint16_t id; /* with a change of an identifier */
	uint64_t hash;
	uint64_t cookie, origin_ms, expires_ms;
	int subscription;
	enum state_change_type change;
	uint8_t blob[512];
	size_t blob_len;
};

struct rig_outcome {
	uint64_t seq;
	enum outcome_kind kind;
	char reason[256];
};

struct rig_stage {
	uint64_t seq;
	uint8_t stage;
};

struct rig {
	struct link_host host; /* first */
	struct loop *loop;
	struct fake_broker broker;
	char url[64];
	struct config_text urls[4]; /* what settings.urls lists; the first is `url` */
	struct mqtt_settings settings;
	struct link_subscription subscriptions[64];
	size_t n_subscriptions;
	struct slice recovered;
	struct {
		uint16_t id;
		uint64_t hash;
	} open_ids[8]; /* recovered */
	size_t n_open_ids;
	bool exactly_once; /* some mapping declares it */
	struct link *link;

	/* The host's answers and memory. */
	bool busy, refuse;
	bool stuck; /* takes nothing at all, as when the journal has no room for anything */
	bool keep_sending; /* sends the next seq from inside outcome() until seq reaches send_until */
	uint64_t send_until;
	unsigned ups, downs, alarms, pauses;
	bool stopped, session_lost;
	uint32_t window;
	char down_reason[256], alarm[512];
	struct rig_offer *offers;
	size_t n_offers;
	size_t n_receipts; /* given, so far */
	struct rig_outcome *outcomes;
	size_t n_outcomes;
	struct rig_stage *stages; /* asked for */
	size_t n_stages;
	struct message **messages; /* deliveries borrow them */
	size_t n_messages;
	uint64_t next_seq;
};

/* A rig with sound settings; change them, then rig_start. */
void rig_open(struct rig *rig);
void rig_open_tls(struct rig *rig, const char *cert, const char *key, const char *ca);
void rig_subscribe(struct rig *rig, const char *filter, uint8_t qos);
void rig_start(struct rig *rig);
/* Starts a link, and waits until it is up. */
void rig_connect(struct rig *rig);
/* Stops and destroys the link: what a restart of linkspan does. The broker and what was recorded stay. */
void rig_stop_link(struct rig *rig);
void rig_close(struct rig *rig);

/* Receipts for that many of the oldest offers that wait for one, and the end of the turn. */
void rig_receipts(struct rig *rig, size_t count);
void rig_resume(struct rig *rig);
/* Sends a delivery with the next seq, without ending the turn; its seq. */
uint64_t rig_send(struct rig *rig, const char *topic, const char *payload, uint8_t qos);
uint64_t rig_send_view(struct rig *rig, const struct message_view *view, bool maybe_sent);
/* A delivery as the courier repeats it. */
void rig_send_again(struct rig *rig, uint64_t seq, const struct message_view *view, bool maybe_sent, uint8_t stage);
void rig_send_lost(struct rig *rig, uint64_t seq, const struct message_view *view); /* of a session that is lost */
void rig_send_end(struct rig *rig);
/* The n-th stage that was asked for is durable, and the turn ends. */
void rig_stage_durable(struct rig *rig, size_t n);
/* Offers with a message; offers of that kind, and the n-th of them. */
size_t rig_messages(const struct rig *rig);
size_t rig_changes(const struct rig *rig, enum state_change_type type);
const struct rig_offer *rig_offer(const struct rig *rig, enum state_change_type type, size_t n);

/* Runs one turn of the loop; false once ten seconds have passed since the last begin. */
void rig_wait_begin(struct rig *rig);
bool rig_wait_turn(struct rig *rig);

#define UNTIL(rig, condition)                                                                                          \
	do {                                                                                                           \
		rig_wait_begin(rig);                                                                                   \
		while (!(condition) && rig_wait_turn(rig)) {                                                           \
		}                                                                                                      \
		CU_ASSERT(condition);                                                                                  \
	} while (0)

#endif
