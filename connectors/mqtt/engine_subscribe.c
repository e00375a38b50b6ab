/* SPDX-License-Identifier: Apache-2.0
 *
 * Subscriptions by difference: what is wanted and not known at the broker is subscribed, then what is known and no
 * longer wanted is unsubscribed, a few filters in a packet and one packet at a time. The set is reported (and so kept in
 * the journal) before the first packet with every filter that the broker may get to know, and again at the end:
 * whatever a crash leaves at the broker, the next process knows of it. What the broker refuses is asked for again,
 * ever more slowly.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "connectors/mqtt/engine.h"
#include "runtime/log.h"

#define FILTERS_PER_PACKET 8 /* AWS IoT takes no more */
#define RETRY_MIN_MS       1000
#define RETRY_MAX_MS       60000

static void subscriber_next(struct mqtt_engine *s);

static bool subscriber_is_wanted(const struct mqtt_engine *s, const struct filter_entry *known)
{
	return filter_set_find(s->options.wanted, known->filter) != NULL;
}

static bool subscriber_is_missing(const struct mqtt_engine *s, const struct filter_entry *wanted)
{
	const struct filter_entry *known = filter_set_find(&s->subscriber.known, wanted->filter);
	return !known || !known->confirmed || known->qos != wanted->qos;
}

static void subscriber_report(struct mqtt_engine *s)
{
	s->options.events->subscribed(s->options.ctx, &s->subscriber.known);
}

/* Marks everything that is missing as possibly there. Returns whether there is anything to do. */
static int subscriber_prepare(struct mqtt_engine *s, bool *ret_work)
{
	const struct filter_set *wanted = s->options.wanted;
	struct filter_set *known = &s->subscriber.known;
	bool missing = false, gone = false;
	for (size_t i = 0; i < wanted->n; i++) {
		const struct filter_entry *sub = &wanted->items[i];
		if (!subscriber_is_missing(s, sub))
			continue;
		missing = true;
		if (filter_set_put(known, sub->filter, sub->qos, false) < 0)
			return -ENOMEM;
	}
	for (size_t i = 0; i < known->n; i++)
		gone = gone || !subscriber_is_wanted(s, &known->items[i]);
	*ret_work = missing || gone;
	if (missing)
		subscriber_report(s);
	return 0;
}

static void subscriber_forget_packet(struct engine_subscriber *sub)
{
	for (size_t i = 0; i < sub->n_filters; i++)
		free(sub->filters[i]);
	sub->n_filters = 0;
	sub->packet_id = 0;
}

static void subscriber_begin(struct mqtt_engine *s)
{
	bool work;
	if (subscriber_prepare(s, &work) < 0) {
		engine_reconnect(s, MQTT_AGAIN_BACKOFF, "out of memory");
		return;
	}
	if (!work)
		return;
	s->subscriber.next = 0;
	s->subscriber.unsubscribing = s->subscriber.round_failed = false;
	subscriber_next(s);
}

static void subscriber_on_timer(void *arg)
{
	struct mqtt_engine *s = arg;
	if (s->subscriber.packet_id == 0) {
		subscriber_begin(s);
		engine_flush(s);
	} else {
		engine_end(s, MQTT_AGAIN_BACKOFF, MQTT_UNSPECIFIED_ERROR,
			"the broker did not answer a SUBSCRIBE or UNSUBSCRIBE within ack_timeout");
	}
}

int subscriber_init(struct mqtt_engine *s)
{
	struct engine_subscriber *sub = &s->subscriber;
	sub->timer = loop_timer_new(s->options.loop, subscriber_on_timer, s);
	sub->filters = calloc(FILTERS_PER_PACKET, sizeof *sub->filters);
	return sub->timer && sub->filters ? 0 : -ENOMEM;
}

void subscriber_free(struct mqtt_engine *s)
{
	subscriber_forget_packet(&s->subscriber);
	free(s->subscriber.filters);
	loop_timer_free(s->subscriber.timer);
	filter_set_free(&s->subscriber.known);
}

void subscriber_up(struct mqtt_engine *s)
{
	if (!s->terms.session_present)
		filter_set_free(&s->subscriber.known);
	subscriber_begin(s);
}

void subscriber_down(struct mqtt_engine *s)
{
	loop_timer_stop(s->subscriber.timer);
	subscriber_forget_packet(&s->subscriber);
}

/* --- one packet ------------------------------------------------------------------------------------------------------ */

/* Picks the next filters of this round, of the set that it walks. */
static int subscriber_pick(struct mqtt_engine *s)
{
	struct engine_subscriber *sub = &s->subscriber;
	const struct filter_set *set = sub->unsubscribing ? &sub->known : s->options.wanted;
	for (; sub->next < set->n && sub->n_filters < FILTERS_PER_PACKET; sub->next++) {
		const struct filter_entry *item = &set->items[sub->next];
		if (sub->unsubscribing ? subscriber_is_wanted(s, item) : !subscriber_is_missing(s, item))
			continue;
		sub->filters[sub->n_filters] = strdup(item->filter);
		if (!sub->filters[sub->n_filters])
			return -ENOMEM;
		sub->n_filters++;
	}
	return 0;
}

static int subscriber_send(struct mqtt_engine *s)
{
	struct engine_subscriber *sub = &s->subscriber;
	struct mqtt_subscription entries[FILTERS_PER_PACKET] = {0};
	bool five = s->version == MQTT_5_0;
	for (size_t i = 0; i < sub->n_filters; i++) {
		const struct filter_entry *wanted = filter_set_find(s->options.wanted, sub->filters[i]);
		entries[i].filter = slice_str(sub->filters[i]);
		if (sub->unsubscribing)
			continue;
		entries[i].qos = wanted ? wanted->qos : 0;
		entries[i].retain_as_published = five; /* a mirror keeps the flag */
		entries[i].retain_handling = five; /* 1: only if the subscription is new */
	}
	sub->packet_id = (uint16_t)(ENGINE_SUBSCRIBE_ID + sub->packets++ % (65536 - ENGINE_SUBSCRIBE_ID));
	struct mqtt_packet packet = {
		.type = sub->unsubscribing ? MQTT_UNSUBSCRIBE : MQTT_SUBSCRIBE,
		.subscribe = {.packet_id = sub->packet_id, .entries = entries, .n_entries = sub->n_filters},
	};
	return engine_send(s, &packet);
}

static void subscriber_end_round(struct mqtt_engine *s)
{
	struct engine_subscriber *sub = &s->subscriber;
	subscriber_report(s);
	if (!sub->round_failed) {
		sub->failed_rounds = 0;
		log_info("mqtt_subscribed", "connection=%s filters=%zu", s->options.name, sub->known.n);
		return;
	}
	uint64_t delay_ms = RETRY_MIN_MS << (sub->failed_rounds < 6 ? sub->failed_rounds : 6);
	sub->failed_rounds++;
	loop_timer_start(sub->timer, delay_ms < RETRY_MAX_MS ? delay_ms : RETRY_MAX_MS);
}

static void subscriber_next(struct mqtt_engine *s)
{
	struct engine_subscriber *sub = &s->subscriber;
	int r = subscriber_pick(s);
	/* What is gone may be covered by what is new: it is kept until that is there. */
	if (r == 0 && sub->n_filters == 0 && !sub->unsubscribing && !sub->round_failed) {
		sub->unsubscribing = true;
		sub->next = 0;
		r = subscriber_pick(s);
	}
	if (r < 0) {
		engine_reconnect(s, MQTT_AGAIN_BACKOFF, "out of memory");
	} else if (sub->n_filters == 0) {
		subscriber_end_round(s);
	} else if (subscriber_send(s) == 0) {
		loop_timer_start(sub->timer, s->settings->ack_timeout_ms);
	}
}

/* --- its answer ------------------------------------------------------------------------------------------------------- */

static void subscriber_refused(struct mqtt_engine *s, const char *filter, uint8_t reason, struct slice text)
{
	s->subscriber.round_failed = true;
	const char *name = s->version == MQTT_5_0 ? mqtt_reason_name(reason) : "failure";
	log_error("mqtt_subscribe_refused", "connection=%s filter=\"%s\" reason=\"%s\" text=\"%.*s\"", s->options.name,
		filter, name, (int)(text.len < 200 ? text.len : 200), text.len ? (const char *)text.data : "");
	engine_alarm(s,
		"the broker refuses the subscription to \"%s\": %s; nothing comes for it until the broker allows it",
		filter, name);
}

static int subscriber_granted(struct mqtt_engine *s, const char *filter, uint8_t granted)
{
	const struct filter_entry *wanted = filter_set_find(s->options.wanted, filter);
	if (!wanted)
		return 0;
	if (granted < wanted->qos)
		log_warn("mqtt_qos_lowered",
			"connection=%s filter=\"%s\" wanted=%u granted=%u what=\"the broker gives less than the "
			"mapping asks "
			"for; messages may be lost before they reach linkspan\"",
			s->options.name, filter, wanted->qos, granted);
	return filter_set_put(&s->subscriber.known, filter, wanted->qos, true);
}

static int subscriber_take_answer(struct mqtt_engine *s, const struct mqtt_suback *suback, struct slice text)
{
	struct engine_subscriber *sub = &s->subscriber;
	for (size_t i = 0; i < sub->n_filters; i++) {
		uint8_t reason = i < suback->reasons.len ? suback->reasons.data[i] : MQTT_SUCCESS;
		const char *filter = sub->filters[i];
		int r = 0;
		if (reason >= MQTT_UNSPECIFIED_ERROR && sub->unsubscribing)
			sub->round_failed = true;
		else if (reason >= MQTT_UNSPECIFIED_ERROR)
			subscriber_refused(s, filter, reason, text);
		else if (sub->unsubscribing)
			filter_set_remove(&sub->known, filter);
		else
			r = subscriber_granted(s, filter, reason);
		if (r < 0)
			return r;
	}
	return 0;
}

void subscriber_acked(struct mqtt_engine *s, bool unsuback, const struct mqtt_suback *suback, struct slice text)
{
	struct engine_subscriber *sub = &s->subscriber;
	bool counts = !(unsuback && s->version == MQTT_3_1_1);
	if (sub->packet_id == 0 || suback->packet_id != sub->packet_id || unsuback != sub->unsubscribing ||
		(counts && suback->reasons.len != sub->n_filters)) {
		engine_end(s, MQTT_AGAIN_BACKOFF, MQTT_PROTOCOL_ERROR,
			"the broker broke the protocol: a SUBACK or UNSUBACK that was not asked for");
		return;
	}
	loop_timer_stop(sub->timer);
	int r = subscriber_take_answer(s, suback, text);
	/* Unsubscribing shortens the set that is walked: begin again, what is left is left. */
	if (sub->unsubscribing)
		sub->next = sub->round_failed ? sub->known.n : 0;
	subscriber_forget_packet(sub);
	if (r < 0) {
		engine_reconnect(s, MQTT_AGAIN_BACKOFF, "out of memory");
		return;
	}
	subscriber_next(s);
}
