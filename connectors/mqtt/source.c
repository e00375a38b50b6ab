/* SPDX-License-Identifier: Apache-2.0
 *
 * Offers, holding, and owed acknowledgements.
 */
#include "connectors/mqtt/source.h"

#include <errno.h>
#include <stdlib.h>

#include "connectors/mqtt/convert.h"
#include "connectors/mqtt/subscription_map.h"
#include "runtime/log.h"

#define DRAIN_PER_TURN 1024 /* held messages offered in one turn of the loop */
#define BLOB_LIMIT     (16u * 1024 * 1024)

/* An acknowledgement that the broker waits for. */
struct owed {
	uint16_t packet_id;
	uint8_t qos;
	uint8_t reason;
	bool due; /* nothing but the order stands in its way */
};

/* Held until the host has room: a message or a state change. */
struct held {
	struct held *next;
	struct message *msg; /* NULL: a state change */
	size_t bytes;
	uint32_t number; /* of the owed acknowledgement, QoS 1 and 2 */
	int subscription; /* as in struct offer */
	enum state_change_type change;
	struct buffer blob;
};

struct mqtt_source {
	struct mqtt_source_options options;
	bool paused, intake_stopped;
	bool session_expected; /* its loss matters */
	uint32_t epoch;

	struct owed *owed; /* a ring */
	uint32_t owed_head, owed_end; /* numbers; the slot is number % capacity */
	uint32_t owed_capacity; /* zero or a power of two */
	bool forgetting; /* from here on nothing above QoS 0 is taken on this connection */

	struct held *held_head, **held_tail;
	uint64_t held_bytes;
	uint64_t dropped; /* QoS 0 messages since the last line about them */
	struct loop_job drain_job;
};

static void source_drain(void *arg);

/* --- owed acknowledgements --------------------------------------------------------------------------------------------- */

static struct owed *source_owed(struct mqtt_source *source, uint32_t number)
{
	return &source->owed[number & (source->owed_capacity - 1)];
}

static int source_grow_owed(struct mqtt_source *source)
{
	uint32_t capacity = source->owed_capacity ? source->owed_capacity * 2 : 256;
	struct owed *ring = calloc(capacity, sizeof *ring);
	if (!ring)
		return -ENOMEM;
	for (uint32_t n = source->owed_head; n != source->owed_end; n++)
		ring[n & (capacity - 1)] = *source_owed(source, n);
	free(source->owed);
	source->owed = ring;
	source->owed_capacity = capacity;
	return 0;
}

/* The session bounds how many there are by what it lets the broker send. */
static int source_owe(struct mqtt_source *source, uint8_t qos, uint16_t packet_id, uint32_t *ret_number)
{
	if (source->owed_end - source->owed_head == source->owed_capacity && source_grow_owed(source) < 0)
		return -ENOMEM;
	*ret_number = source->owed_end++;
	*source_owed(source, *ret_number) = (struct owed){.packet_id = packet_id, .qos = qos};
	return 0;
}

static void source_ack_due(struct mqtt_source *source)
{
	while (source->owed_head != source->owed_end && source_owed(source, source->owed_head)->due) {
		const struct owed *owed = source_owed(source, source->owed_head++);
		mqtt_session_ack(source->options.session, owed->qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, owed->packet_id,
			owed->reason);
	}
}

static void source_settle(struct mqtt_source *source, uint32_t number, uint8_t reason)
{
	struct owed *owed = source_owed(source, number);
	owed->due = true;
	owed->reason = reason;
	source_ack_due(source);
}

static void source_reconnect_if_drained(struct mqtt_source *source)
{
	if (source->forgetting && !source->paused && !source->intake_stopped && !source->held_head &&
		source->owed_head == source->owed_end)
		mqtt_session_reconnect(source->options.session, MQTT_AGAIN_SOON,
			"there is room again: fetch what was left at the broker");
}

/* Everything from here on stays at the broker until the next connection. */
static void source_forget_rest(struct mqtt_source *source, const char *why)
{
	if (!source->forgetting)
		log_warn("mqtt_hold_full",
			"connection=%s reason=%s what=\"messages stay at the broker until there is room\"",
			source->options.name, why);
	source->forgetting = true;
	source_reconnect_if_drained(source);
}

/* --- offers --------------------------------------------------------------------------------------------------------------- */

static uint64_t source_cookie(const struct mqtt_source *source, uint32_t number)
{
	return (uint64_t)source->epoch << 32 | number;
}

static enum offer_result source_offer(
	struct mqtt_source *source, const struct message_view *view, int subscription, uint32_t number)
{
	struct offer offer = {
		.view = view,
		.subscription = subscription,
		.cookie = source_cookie(source, number),
		.no_receipt = view->qos == 0,
	};
	enum offer_result result = source->options.host->ops->offer(source->options.host, &offer);
	if (result == OFFER_REFUSED && view->qos > 0)
		source_settle(source, number, MQTT_IMPLEMENTATION_SPECIFIC_ERROR);
	return result;
}

static enum offer_result source_offer_change(struct mqtt_source *source, enum state_change_type type, struct slice blob)
{
	struct offer offer = {
		.change = {.type = type, .blob = blob},
		.subscription = -1,
		.no_receipt = true,
	};
	return source->options.host->ops->offer(source->options.host, &offer);
}

/* --- holding ---------------------------------------------------------------------------------------------------------------- */

static void source_free_held(struct held *held)
{
	message_unref(held->msg);
	buffer_free(&held->blob);
	free(held);
}

static void source_push_held(struct mqtt_source *source, struct held *held)
{
	*source->held_tail = held;
	source->held_tail = &held->next;
	source->held_bytes += held->bytes;
}

/* Removes those of which `is` says so. */
static void source_remove_held(struct mqtt_source *source, bool (*is)(const struct held *held))
{
	struct held **link = &source->held_head;
	while (*link) {
		struct held *held = *link;
		if (!is(held)) {
			link = &held->next;
			continue;
		}
		*link = held->next;
		source->held_bytes -= held->bytes;
		source_free_held(held);
	}
	source->held_tail = link;
}

static bool held_is_any(const struct held *held)
{
	(void)held;
	return true;
}

static bool held_is_change(const struct held *held)
{
	return !held->msg;
}

static bool held_is_subscriptions(const struct held *held)
{
	return held->change == CHANGE_SUBSCRIPTIONS;
}

static bool held_dies_with_connection(const struct held *held)
{
	return held->msg && message_view(held->msg)->qos > 0;
}

static void source_report_dropped(struct mqtt_source *source)
{
	if (source->dropped > 0)
		log_warn("mqtt_qos0_dropped", "connection=%s messages=%llu", source->options.name,
			(unsigned long long)source->dropped);
	source->dropped = 0;
}

/* 0, -ENOBUFS (no room by hold_bytes), -ENOMEM, -EMSGSIZE (no message at all). */
static int source_hold(struct mqtt_source *source, const struct message_view *view, int subscription, uint32_t number)
{
	size_t encoded = message_encoded_size(view);
	if (encoded == 0)
		return -EMSGSIZE;
	if (source->held_bytes + encoded > source->options.hold_bytes)
		return -ENOBUFS;
	struct held *held = calloc(1, sizeof *held);
	struct message *msg = held ? message_new(view) : NULL;
	if (!msg) {
		free(held);
		return -ENOMEM;
	}
	*held = (struct held){.msg = msg,
		.number = number,
		.subscription = subscription,
		.bytes = sizeof *held + message_memory(msg)};
	source_push_held(source, held);
	return 0;
}

static void source_hold_or_leave(
	struct mqtt_source *source, const struct message_view *view, int subscription, uint32_t number)
{
	int r = source_hold(source, view, subscription, number);
	if (r == 0)
		return;
	if (view->qos == 0) {
		source->dropped++;
	} else if (r == -EMSGSIZE) {
		log_error("mqtt_message_unusable", "connection=%s qos=%u what=\"larger than linkspan takes\"",
			source->options.name, view->qos);
		source_settle(source, number, MQTT_IMPLEMENTATION_SPECIFIC_ERROR);
	} else {
		source->owed_end--; /* it was the last one: it is as if it had not come */
		source_forget_rest(source, r == -ENOMEM ? "out_of_memory" : "hold_bytes");
	}
}

/* A newer change of the same kind makes the older ones void, so that a flapping link cannot heap them up. */
static void source_change(struct mqtt_source *source, enum state_change_type type, struct buffer *blob)
{
	if (source->intake_stopped)
		return;
	if (!source->paused && !source->held_head) {
		enum offer_result result = source_offer_change(source, type, buffer_slice(blob));
		if (result != OFFER_BUSY)
			return;
	}
	source_remove_held(source, type == CHANGE_SESSION_RESET ? held_is_change : held_is_subscriptions);
	struct held *held = calloc(1, sizeof *held);
	if (!held)
		return; /* the next start subscribes again what it does not know of */
	*held = (struct held){.change = type, .blob = *blob};
	*blob = (struct buffer){0};
	source_push_held(source, held);
}

static enum offer_result source_offer_held(struct mqtt_source *source, const struct held *held)
{
	if (held->msg)
		return source_offer(source, message_view(held->msg), held->subscription, held->number);
	return source_offer_change(source, held->change, buffer_slice(&held->blob));
}

/* A part per turn: a full hold is more than a turn should take. */
static void source_drain(void *arg)
{
	struct mqtt_source *source = arg;
	for (unsigned n = 0; source->held_head && !source->paused && n < DRAIN_PER_TURN; n++) {
		struct held *held = source->held_head;
		if (source_offer_held(source, held) == OFFER_BUSY) {
			source->paused = true;
			break;
		}
		source->held_head = held->next;
		if (!source->held_head)
			source->held_tail = &source->held_head;
		source->held_bytes -= held->bytes;
		source_free_held(held);
	}
	mqtt_session_flush(source->options.session);
	if (source->held_head && !source->paused)
		loop_post(source->options.loop, &source->drain_job);
	if (!source->held_head)
		source_report_dropped(source);
	source_reconnect_if_drained(source);
}

/* --- from the session --------------------------------------------------------------------------------------------------------- */

void mqtt_source_publish(
	struct mqtt_source *source, const struct mqtt_publish *publish, const struct mqtt_properties *props)
{
	uint32_t number = 0;
	if (source->intake_stopped || (publish->qos > 0 && source->forgetting))
		return;
	if (publish->qos > 0 && source_owe(source, publish->qos, publish->packet_id, &number) < 0) {
		source_forget_rest(source, "out_of_memory");
		return;
	}
	if (!source->options.active) {
		log_warn("mqtt_unexpected_message",
			"connection=%s what=\"the session at the broker has subscriptions that no "
			"mapping asks for; their messages are thrown away\"",
			source->options.name);
		if (publish->qos > 0)
			source_settle(source, number, MQTT_SUCCESS);
		return;
	}
	struct message_view view = convert_to_view(publish, props, loop_wall_ms(source->options.loop));
	int subscription = subscription_map_find(source->options.map, props);
	if (source->paused || source->held_head || source_offer(source, &view, subscription, number) == OFFER_BUSY)
		source_hold_or_leave(source, &view, subscription, number);
}

void mqtt_source_unusable(struct mqtt_source *source, uint8_t qos, uint16_t packet_id, uint8_t reason)
{
	uint32_t number;
	if (qos == 0 || source->forgetting || source->intake_stopped)
		return;
	if (source_owe(source, qos, packet_id, &number) < 0)
		source_forget_rest(source, "out_of_memory");
	else
		source_settle(source, number, reason);
}

void mqtt_source_subscribed(struct mqtt_source *source, const struct filter_set *set)
{
	if (!source->options.active || !source->options.owner)
		return;
	struct buffer blob;
	buffer_init(&blob, BLOB_LIMIT);
	int r = filter_set_encode(set, source->options.owner, &blob);
	if (r < 0) {
		log_warn("mqtt_subscriptions_not_kept", "connection=%s error=%d", source->options.name, -r);
	} else {
		source->session_expected = true;
		source_change(source, CHANGE_SUBSCRIPTIONS, &blob);
	}
	buffer_free(&blob);
}

void mqtt_source_up(struct mqtt_source *source, const struct mqtt_session_terms *terms)
{
	source->forgetting = false;
	if (terms->session_present || !source->session_expected || !source->options.active)
		return;
	log_warn("mqtt_session_lost",
		"connection=%s what=\"the broker has forgotten the session and what it had for it\"",
		source->options.name);
	source->session_expected = false;
	struct buffer none = {0};
	source_change(source, CHANGE_SESSION_RESET, &none);
}

void mqtt_source_down(struct mqtt_source *source)
{
	source->epoch++;
	source->owed_head = source->owed_end = 0;
	source->forgetting = false;
	source_remove_held(source, held_dies_with_connection);
}

void mqtt_source_expect_session(struct mqtt_source *source)
{
	source->session_expected = true;
}

/* --- from the host -------------------------------------------------------------------------------------------------------------- */

void mqtt_source_pause(struct mqtt_source *source)
{
	source->paused = true;
}

void mqtt_source_resume(struct mqtt_source *source)
{
	source->paused = false;
	source_drain(source);
}

void mqtt_source_receipt(struct mqtt_source *source, uint64_t cookie, enum receipt receipt)
{
	uint32_t number = (uint32_t)cookie;
	if (cookie >> 32 != source->epoch || number - source->owed_head >= source->owed_end - source->owed_head)
		return; /* of a connection that is gone */
	if (receipt == RECEIPT_DURABLE)
		source_settle(source, number, MQTT_SUCCESS);
}

void mqtt_source_receipts_end(struct mqtt_source *source)
{
	mqtt_session_flush(source->options.session);
	source_reconnect_if_drained(source);
}

void mqtt_source_stop_intake(struct mqtt_source *source)
{
	source->intake_stopped = true;
	source_remove_held(source, held_is_any);
	source_report_dropped(source);
}

/* --- life ------------------------------------------------------------------------------------------------------------------------ */

struct mqtt_source *mqtt_source_new(const struct mqtt_source_options *options)
{
	struct mqtt_source *source = calloc(1, sizeof *source);
	if (!source)
		return NULL;
	source->options = *options;
	source->held_tail = &source->held_head;
	loop_job_init(&source->drain_job, source_drain, source);
	return source;
}

void mqtt_source_free(struct mqtt_source *source)
{
	if (!source)
		return;
	loop_cancel(source->options.loop, &source->drain_job);
	source_remove_held(source, held_is_any);
	free(source->owed);
	free(source);
}
