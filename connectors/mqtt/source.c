/* SPDX-License-Identifier: Apache-2.0
 *
 * Offers, holding, and owed acknowledgements.
 */
#include "connectors/mqtt/source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/common/cloudevent_read.h"
#include "connectors/mqtt/convert.h"
#include "connectors/mqtt/qos2_in.h"
#include "connectors/mqtt/subscription_map.h"
#include "runtime/log.h"

#define DRAIN_PER_TURN 1024 /* held messages offered in one turn of the loop */
#define CHANGES_MS     1000 /* between two tries of changes that the host could not take */
#define BLOB_LIMIT     (16u * 1024 * 1024)

/* An acknowledgement that the broker waits for. */
struct owed {
	uint16_t packet_id;
	uint8_t qos;
	uint8_t reason;
	bool due; /* nothing but the order stands in its way */
};

/* What a receipt is for; in its cookie, behind the epoch. */
enum promise {
	PROMISE_NONE, /* QoS 0, and changes that nobody waits for */
	PROMISE_OWED, /* the owed acknowledgement of that number */
	PROMISE_PUBCOMP, /* of that packet identifier */
	PROMISE_PUBCOMP_UNKNOWN, /* the same, for an identifier that was not open */
};

/* What is offered with a message, or alone. */
struct offering {
	struct state_change change;
	enum promise promise;
	uint32_t number; /* of the owed acknowledgement, or the packet identifier of the PUBCOMP */
	int subscription; /* as in struct offer */
};

/* Held until the host has room. */
struct held {
	struct held *next;
	struct message *msg; /* NULL: a state change alone */
	size_t bytes;
	struct offering offering; /* its blob: below */
	struct buffer blob;
	bool in_turn; /* not before what is held in front of it */
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
	bool poor; /* because memory is out */
	struct qos2_in ids; /* open QoS 2 identifiers */

	struct held *held_head, **held_tail;
	uint64_t held_bytes;
	uint64_t dropped; /* QoS 0 messages since the last line about them */
	struct mqtt_source_counters counters;
	struct cloudevent_reader events;
	struct loop_job drain_job;
	struct loop_timer *changes_timer;
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
		if (owed->qos == 2)
			qos2_in_answered(&source->ids, owed->packet_id);
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
		mqtt_session_reconnect(source->options.session, source->poor ? MQTT_AGAIN_BACKOFF : MQTT_AGAIN_SOON,
			"fetch what was left at the broker");
}

/* Everything from here on stays at the broker until the next connection. */
static void source_forget_rest(struct mqtt_source *source, const char *why)
{
	if (!source->forgetting)
		log_warn("mqtt_hold_full",
			"connection=%s reason=%s what=\"messages stay at the broker until there is room\"",
			source->options.name, why);
	source->forgetting = true;
	source->poor = strcmp(why, "hold_bytes") != 0;
	source_reconnect_if_drained(source);
}

/* --- offers --------------------------------------------------------------------------------------------------------------- */

#define COOKIE_EPOCH_SHIFT   40
#define COOKIE_PROMISE_SHIFT 32

static uint64_t source_cookie(const struct mqtt_source *source, enum promise promise, uint32_t number)
{
	return (uint64_t)source->epoch << COOKIE_EPOCH_SHIFT | (uint64_t)promise << COOKIE_PROMISE_SHIFT | number;
}

static enum offer_result source_offer(
	struct mqtt_source *source, const struct message_view *view, const struct offering *offering)
{
	struct offer offer = {
		.view = view,
		.change = offering->change,
		.subscription = offering->subscription,
		.cookie = source_cookie(source, offering->promise, offering->number),
		.no_receipt = offering->promise == PROMISE_NONE,
	};
	return source->options.host->ops->offer(source->options.host, &offer);
}

/* What follows from the host's answer to a message or a release. */
static void source_offered(struct mqtt_source *source, const struct offering *offering, enum offer_result result)
{
	const struct state_change *change = &offering->change;
	if (result == OFFER_BUSY)
		return;
	if (change->type == CHANGE_OPEN_ID && result == OFFER_TAKEN)
		qos2_in_taken(&source->ids, change->id, change->hash);
	else if (change->type == CHANGE_OPEN_ID)
		qos2_in_refused(&source->ids, change->id, change->hash);
	else if (change->type == CHANGE_RELEASE_ID)
		qos2_in_released(&source->ids, change->id);
	if (result == OFFER_REFUSED && offering->promise == PROMISE_OWED)
		source_settle(source, offering->number, MQTT_IMPLEMENTATION_SPECIFIC_ERROR);
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

/* A message, or what waits behind one. */
static bool held_in_turn(const struct held *held)
{
	return held->msg || held->in_turn;
}

static bool held_is_change(const struct held *held)
{
	return held->offering.change.type == CHANGE_SESSION_RESET || held->offering.change.type == CHANGE_SUBSCRIPTIONS;
}

static bool held_is_subscriptions(const struct held *held)
{
	return held->offering.change.type == CHANGE_SUBSCRIPTIONS;
}

static bool held_dies_with_connection(const struct held *held)
{
	return held->offering.promise != PROMISE_NONE;
}

static void source_report_dropped(struct mqtt_source *source)
{
	if (source->dropped > 0)
		log_warn("mqtt_qos0_dropped", "connection=%s messages=%llu", source->options.name,
			(unsigned long long)source->dropped);
	source->counters.qos0_dropped += source->dropped;
	source->dropped = 0;
}

static bool source_holds_change(const struct mqtt_source *source)
{
	for (const struct held *held = source->held_head; held; held = held->next)
		if (held_is_change(held))
			return true;
	return false;
}

static void source_try_changes_later(struct mqtt_source *source)
{
	if (!loop_timer_running(source->changes_timer))
		loop_timer_start(source->changes_timer, CHANGES_MS);
}

/* 0, -ENOBUFS (no room by hold_bytes), -ENOMEM, -EMSGSIZE (no message at all). */
static int source_hold(struct mqtt_source *source, const struct message_view *view, const struct offering *offering)
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
	*held = (struct held){.msg = msg, .offering = *offering};
	held->bytes = sizeof *held + message_memory(msg);
	source_push_held(source, held);
	return 0;
}

static void source_hold_or_leave(
	struct mqtt_source *source, const struct message_view *view, const struct offering *offering)
{
	int r = source_hold(source, view, offering);
	if (r == 0)
		return;
	if (offering->change.type == CHANGE_OPEN_ID)
		qos2_in_refused(&source->ids, offering->change.id, offering->change.hash);
	if (view->qos == 0) {
		source->dropped++;
	} else if (r == -EMSGSIZE) {
		log_error("mqtt_message_unusable", "connection=%s qos=%u what=\"larger than linkspan takes\"",
			source->options.name, view->qos);
		source_settle(source, offering->number, MQTT_IMPLEMENTATION_SPECIFIC_ERROR);
	} else {
		source->owed_end--; /* it was the last one: it is as if it had not come */
		source_forget_rest(source, r == -ENOMEM ? "out_of_memory" : "hold_bytes");
	}
}

/* A change alone that somebody waits for: a release, or (CHANGE_NONE) that all that was appended so far is durable. The
 * host takes it also while the source is paused, so that exchanges that have begun can end; what it does not take now
 * waits in its turn. */
static void source_promise(struct mqtt_source *source, const struct offering *offering, bool in_turn)
{
	enum offer_result result = in_turn ? OFFER_BUSY : source_offer(source, NULL, offering);
	source_offered(source, offering, result);
	if (result != OFFER_BUSY)
		return;
	struct held *held = calloc(1, sizeof *held);
	if (!held) {
		mqtt_session_reconnect(source->options.session, MQTT_AGAIN_BACKOFF, "out of memory");
		return;
	}
	*held = (struct held){.offering = *offering, .in_turn = in_turn};
	source_push_held(source, held);
	if (!in_turn)
		source_try_changes_later(source);
}

/* A newer change of the same kind makes the older ones void, so that a flapping link cannot heap them up. */
static void source_change(struct mqtt_source *source, enum state_change_type type, struct buffer *blob)
{
	struct offering offering = {.change = {.type = type, .blob = buffer_slice(blob)}, .subscription = -1};
	source_remove_held(source, type == CHANGE_SESSION_RESET ? held_is_change : held_is_subscriptions);
	/* Not before a loss that is still held: it would be void again. */
	if (!source_holds_change(source) && source_offer(source, NULL, &offering) != OFFER_BUSY)
		return;
	struct held *held = calloc(1, sizeof *held);
	if (!held)
		return; /* the next start subscribes again what it does not know of */
	*held = (struct held){.offering = {.change = {.type = type}, .subscription = -1}, .blob = *blob};
	*blob = (struct buffer){0};
	source_push_held(source, held);
	source_try_changes_later(source);
}

static enum offer_result source_offer_held(struct mqtt_source *source, const struct held *held)
{
	struct offering offering = held->offering;
	if (offering.change.type == CHANGE_SUBSCRIPTIONS)
		offering.change.blob = buffer_slice(&held->blob);
	enum offer_result result = source_offer(source, held->msg ? message_view(held->msg) : NULL, &offering);
	source_offered(source, &offering, result);
	return result;
}

/* What is said of the session alone does not wait for the room that messages wait for. */
static void source_try_changes(void *arg)
{
	struct mqtt_source *source = arg;
	struct held **link = &source->held_head;
	while (*link) {
		struct held *held = *link;
		if (held->msg || held->in_turn) {
			link = &held->next;
			continue;
		}
		if (source_offer_held(source, held) == OFFER_BUSY) {
			source_try_changes_later(source);
			return;
		}
		*link = held->next;
		if (!held->next)
			source->held_tail = link;
		source->held_bytes -= held->bytes;
		source_free_held(held);
	}
	mqtt_session_flush(source->options.session);
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

/* True when the identifier says that no message is to be offered; what is owed then is under way. */
static bool source_is_repetition(struct mqtt_source *source, const struct offering *offering)
{
	switch (qos2_in_publish(&source->ids, offering->change.id, offering->change.hash)) {
	case QOS2_IN_NEW:
		return false;
	case QOS2_IN_AGAIN:
		source_promise(source, &(struct offering){.promise = PROMISE_OWED, .number = offering->number}, false);
		return true;
	case QOS2_IN_PENDING:
		source->owed_end--; /* the first one's PUBREC answers it, too */
		return true;
	case QOS2_IN_NO_MEMORY:
		break;
	}
	source->owed_end--;
	source_forget_rest(source, "out_of_memory");
	return true;
}

/* No mapping reads from this link, but the session at the broker has subscriptions. */
static void source_throw_away(struct mqtt_source *source, uint8_t qos, uint32_t number)
{
	log_warn("mqtt_unexpected_message",
		"connection=%s what=\"the session at the broker has subscriptions that no mapping asks for; their "
		"messages are thrown away\"",
		source->options.name);
	if (qos > 0)
		source_settle(source, number, MQTT_SUCCESS);
}

void mqtt_source_publish(
	struct mqtt_source *source, const struct mqtt_publish *publish, const struct mqtt_properties *props)
{
	struct offering offering = {.promise = publish->qos > 0 ? PROMISE_OWED : PROMISE_NONE};
	if (source->intake_stopped || (publish->qos > 0 && source->forgetting))
		return;
	if (publish->qos > 0 && source_owe(source, publish->qos, publish->packet_id, &offering.number) < 0) {
		source_forget_rest(source, "out_of_memory");
		return;
	}
	if (!source->options.active) {
		source_throw_away(source, publish->qos, offering.number);
		return;
	}
	if (publish->qos == 2) {
		offering.change = (struct state_change){
			.type = CHANGE_OPEN_ID, .id = publish->packet_id, .hash = qos2_in_hash(publish, props)};
		if (source_is_repetition(source, &offering))
			return;
	}
	struct message_view view = convert_to_view(publish, props, loop_wall_ms(source->options.loop));
	cloudevent_reader_read(&source->events, mqtt_settings_version(source->options.settings) == MQTT_3_1_1, &view);
	offering.subscription = subscription_map_find(source->options.map, props);
	enum offer_result result = OFFER_BUSY;
	if (!source->paused && !source->held_head)
		result = source_offer(source, &view, &offering);
	source_offered(source, &offering, result);
	if (result == OFFER_BUSY)
		source_hold_or_leave(source, &view, &offering);
}

void mqtt_source_released(struct mqtt_source *source, uint16_t packet_id)
{
	struct offering release = {.change = {.type = CHANGE_RELEASE_ID, .id = packet_id},
		.promise = PROMISE_PUBCOMP,
		.number = packet_id};
	struct offering barrier = {.promise = PROMISE_PUBCOMP_UNKNOWN, .number = packet_id};
	switch (qos2_in_pubrel(&source->ids, packet_id)) {
	case QOS2_IN_UNKNOWN:
		source_promise(source, &barrier, false);
		break;
	case QOS2_IN_RELEASE:
		source_promise(source, &release, false);
		break;
	case QOS2_IN_WAITS:
		source_promise(source, &release, true);
		break;
	case QOS2_IN_WAITS_ALREADY:
		break;
	}
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
	if (!source->options.owner)
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

void mqtt_source_up(struct mqtt_source *source, bool session_lost)
{
	source->forgetting = source->poor = false;
	if (!session_lost)
		return;
	bool expected = source->session_expected || source->ids.n > 0;
	qos2_in_reset(&source->ids);
	if (!expected)
		return;
	log_warn("mqtt_session_lost",
		"connection=%s what=\"the broker has forgotten the session and what it had for it\"",
		source->options.name);
	source->counters.sessions_lost++;
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
	qos2_in_cut(&source->ids);
}

void mqtt_source_expect_session(struct mqtt_source *source)
{
	source->session_expected = true;
}

int mqtt_source_recover_id(struct mqtt_source *source, uint16_t packet_id, uint64_t hash)
{
	return qos2_in_recover(&source->ids, packet_id, hash);
}

struct mqtt_source_counters mqtt_source_counters(const struct mqtt_source *source)
{
	struct mqtt_source_counters counters = source->counters;
	counters.qos0_dropped += source->dropped;
	counters.identifiers_reused = source->ids.reused;
	counters.events_broken = source->events.broken;
	return counters;
}

/* --- from the host -------------------------------------------------------------------------------------------------------------- */

void mqtt_source_retarget(struct mqtt_source *source, bool active, const int *new_of)
{
	source->options.active = active;
	for (struct held *held = source->held_head; held; held = held->next)
		if (held->offering.subscription >= 0)
			held->offering.subscription = new_of[held->offering.subscription];
}

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
	enum promise promise = (enum promise)(cookie >> COOKIE_PROMISE_SHIFT & 0xff);
	/* What is of a connection that is gone is answered on the next one, when the broker asks again. */
	if (receipt != RECEIPT_DURABLE || source_cookie(source, promise, number) != cookie)
		return;
	if (promise == PROMISE_PUBCOMP)
		mqtt_session_ack(source->options.session, MQTT_PUBCOMP, (uint16_t)number, MQTT_SUCCESS);
	else if (promise == PROMISE_PUBCOMP_UNKNOWN)
		mqtt_session_ack(
			source->options.session, MQTT_PUBCOMP, (uint16_t)number, MQTT_PACKET_IDENTIFIER_NOT_FOUND);
	else if (number - source->owed_head < source->owed_end - source->owed_head)
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
	for (const struct held *held = source->held_head; held; held = held->next)
		if (held->offering.change.type == CHANGE_OPEN_ID)
			qos2_in_refused(&source->ids, held->offering.change.id, held->offering.change.hash);
	source_remove_held(source, held_in_turn);
	source_try_changes(source);
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
	source->events = (struct cloudevent_reader){
		.on = options->settings->events.read, .binding = &cloudevent_mqtt, .connection = options->name};
	loop_job_init(&source->drain_job, source_drain, source);
	source->changes_timer = loop_timer_new(options->loop, source_try_changes, source);
	if (source->changes_timer)
		return source;
	free(source);
	return NULL;
}

void mqtt_source_free(struct mqtt_source *source)
{
	if (!source)
		return;
	loop_cancel(source->options.loop, &source->drain_job);
	loop_timer_free(source->changes_timer);
	source_remove_held(source, held_is_any);
	qos2_in_free(&source->ids);
	cloudevent_reader_free(&source->events);
	free(source->owed);
	free(source);
}
