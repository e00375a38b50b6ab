/* SPDX-License-Identifier: Apache-2.0
 *
 * The source half of an MQTT link: PUBLISHes become offers, receipts become acknowledgements.
 *
 * Owed acknowledgements (PUBACK, PUBREC) stand in one queue in the order in which their PUBLISHes came, and leave it from
 * its head only [MQTT-4.6.0-2] [MQTT-4.6.0-3]; those of one turn go out in one write. A PUBCOMP follows when its release is
 * durable. What a QoS 2 identifier means is qos2_in.h's to say. While the host is busy, messages are held in memory, up to
 * hold_bytes, and offered first after resume. Beyond that QoS 0 is dropped and counted, and what is above is forgotten with
 * all that follows it: never acknowledged, so that the broker has it still. Once what was held has its receipts, the
 * connection is made anew and the broker sends the forgotten again. The connection itself stays meanwhile: the other
 * half of the link may need it, to make the very room that this half waits for.
 *
 * An epoch is one network connection. Its end forgets what is owed and what is held above QoS 0. Loop thread only.
 */
#ifndef LINKSPAN_CONNECTORS_MQTT_SOURCE_H
#define LINKSPAN_CONNECTORS_MQTT_SOURCE_H

#include "connectors/connector.h"
#include "connectors/mqtt/session.h"

struct mqtt_source;

struct mqtt_source_options {
	const char *name; /* of the connection; borrowed */
	struct loop *loop;
	struct link_host *host;
	struct mqtt_session *session; /* borrowed */
	const struct subscription_map *map; /* borrowed */
	uint64_t hold_bytes;
	/* The session that the blob of subscriptions is about; borrowed. NULL: not kept over a process. */
	const struct filter_set_owner *owner;
	const struct mqtt_settings *settings; /* borrowed */
	bool active; /* false: no mapping reads from this link; what comes is acknowledged and counted */
};

struct mqtt_source *mqtt_source_new(const struct mqtt_source_options *options) __attribute__((warn_unused_result));
void mqtt_source_free(struct mqtt_source *source); /* NULL is allowed */

/* Something of an earlier session may be in the journal: its loss at the broker is to be told. */
void mqtt_source_expect_session(struct mqtt_source *source);
/* A QoS 2 identifier that an earlier process left open. -ENOMEM. */
int mqtt_source_recover_id(struct mqtt_source *source, uint16_t packet_id, uint64_t hash)
	__attribute__((warn_unused_result));

/* From the session. */
void mqtt_source_up(struct mqtt_source *source, bool session_lost);
void mqtt_source_down(struct mqtt_source *source);
void mqtt_source_publish(
	struct mqtt_source *source, const struct mqtt_publish *publish, const struct mqtt_properties *props);
void mqtt_source_unusable(struct mqtt_source *source, uint8_t qos, uint16_t packet_id, uint8_t reason);
void mqtt_source_released(struct mqtt_source *source, uint16_t packet_id);
void mqtt_source_subscribed(struct mqtt_source *source, const struct filter_set *set);

/* Since it was made. */
struct mqtt_source_counters {
	uint64_t sessions_lost;
	uint64_t qos0_dropped; /* beyond hold_bytes */
	uint64_t identifiers_reused; /* with other bytes while they were open */
	uint64_t events_broken; /* CloudEvents that are none */
};
struct mqtt_source_counters mqtt_source_counters(const struct mqtt_source *source);

/* From the host, see connector.h. */
/* Link subscriptions have other indices: those that are held of the old one i are of new_of[i] (-1: of any). */
void mqtt_source_retarget(struct mqtt_source *source, bool active, const int *new_of);
void mqtt_source_pause(struct mqtt_source *source);
void mqtt_source_resume(struct mqtt_source *source);
void mqtt_source_receipt(struct mqtt_source *source, uint64_t cookie, enum receipt receipt);
void mqtt_source_receipts_end(struct mqtt_source *source);
void mqtt_source_stop_intake(struct mqtt_source *source);

#endif
