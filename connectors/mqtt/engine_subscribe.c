/* SPDX-License-Identifier: Apache-2.0
 *
 * Subscriptions by difference: what is wanted and not known at the broker is subscribed, then what is known and no
 * longer wanted is unsubscribed, several packets under way at once. The set is reported (and so kept in the journal)
 * before the first packet with every filter that the broker may get to know, and again at the end: whatever a crash
 * leaves at the broker, the next process knows of it. What the broker refuses is asked for again, ever more slowly.
 *
 * Identifiers (version 5) say for which subscription a copy has come, so that each mapping takes part in one copy. That
 * is only true of copies that were sent when all subscriptions of today were there: a filter that is new takes mappings
 * away from those that it overlaps, for which the broker may hold messages. So those get a new identifier too, and what
 * comes with the old one is matched against everything. New filters are subscribed first: until the others follow, a
 * message may come once too often, but not once too seldom.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "connectors/mqtt/engine.h"
#include "routing/topic_filter.h"
#include "runtime/log.h"

#define RETRY_MIN_MS    1000
#define RETRY_MAX_MS    60000
#define MAX_COMPARISONS (4u * 1024 * 1024) /* of filters, in one turn of the loop */

static void subscriber_next(struct mqtt_engine *s);

static void subscriber_report(struct mqtt_engine *s)
{
	s->subscriber.reported = true;
	s->options.events->subscribed(s->options.ctx, &s->subscriber.known);
}

/* --- what there is to do --------------------------------------------------------------------------------------------- */

enum need {
	NEED_NOTHING,
	NEED_AGAIN, /* the last SUBSCRIBE may or may not have come to the broker */
	NEED_CHANGE, /* under a new identifier */
	NEED_NEW, /* the session has no such filter */
};

/* One that is to be subscribed. */
struct subscriber_step {
	enum need need;
	const struct filter_entry *wanted;
};

struct subscriber_plan {
	enum need *needs; /* parallel to wanted */
	size_t n_new;
	struct subscriber_step *steps;
	size_t n_steps;
};

static enum need subscriber_need(const struct mqtt_engine *s, const struct filter_entry *wanted)
{
	const struct filter_entry *known = filter_set_find(&s->subscriber.known, wanted->filter);
	if (!known)
		return NEED_NEW;
	if (known->qos != wanted->qos || known->options != wanted->options ||
		(s->terms.subscription_identifiers && known->identifier == 0))
		return NEED_CHANGE;
	return known->confirmed ? NEED_NOTHING : NEED_AGAIN;
}

static bool overlaps_new(const struct mqtt_engine *s, const struct subscriber_plan *plan, size_t at)
{
	const struct filter_set *wanted = s->options.wanted;
	const char *filter = topic_filter_without_share(wanted->items[at].filter);
	for (size_t i = 0; i < wanted->n; i++)
		if (plan->needs[i] == NEED_NEW &&
			topic_filter_overlaps(filter, topic_filter_without_share(wanted->items[i].filter)))
			return true;
	return false;
}

static void subscriber_renew_overlapped(const struct mqtt_engine *s, struct subscriber_plan *plan)
{
	size_t n = s->options.wanted->n;
	/* Too many to compare: all of them, which costs a packet each. */
	bool all = n && plan->n_new > MAX_COMPARISONS / n;
	if (!s->terms.subscription_identifiers || plan->n_new == 0)
		return;
	for (size_t i = 0; i < n; i++)
		if (plan->needs[i] < NEED_CHANGE && (all || overlaps_new(s, plan, i)))
			plan->needs[i] = NEED_CHANGE;
}

/* New ones first, in the order of the file: a mapping takes part in the copy of its first filter that matches, so that
 * one should be there first. */
static int compare_steps(const void *a, const void *b)
{
	const struct subscriber_step *x = a, *y = b;
	if ((x->need == NEED_NEW) != (y->need == NEED_NEW))
		return x->need == NEED_NEW ? -1 : 1;
	return x->wanted->subscription < y->wanted->subscription ? -1
								 : x->wanted->subscription > y->wanted->subscription;
}

static int subscriber_plan(const struct mqtt_engine *s, struct subscriber_plan *plan)
{
	const struct filter_set *wanted = s->options.wanted;
	plan->needs = calloc(wanted->n + 1, sizeof *plan->needs);
	plan->steps = calloc(wanted->n + 1, sizeof *plan->steps);
	if (!plan->needs || !plan->steps)
		return -ENOMEM;
	for (size_t i = 0; i < wanted->n; i++) {
		plan->needs[i] = subscriber_need(s, &wanted->items[i]);
		plan->n_new += plan->needs[i] == NEED_NEW;
	}
	subscriber_renew_overlapped(s, plan);
	for (size_t i = 0; i < wanted->n; i++)
		if (plan->needs[i] != NEED_NOTHING)
			plan->steps[plan->n_steps++] = (struct subscriber_step){plan->needs[i], &wanted->items[i]};
	qsort(plan->steps, plan->n_steps, sizeof *plan->steps, compare_steps);
	return 0;
}

/* --- the filters of one half of a round ------------------------------------------------------------------------------ */

static void subscriber_forget_filters(struct engine_subscriber *sub)
{
	for (size_t i = 0; i < sub->n_filters; i++)
		free(sub->filters[i]);
	free(sub->filters);
	sub->filters = NULL;
	sub->n_filters = sub->next = 0;
}

static int subscriber_reserve(struct engine_subscriber *sub, size_t n)
{
	subscriber_forget_filters(sub);
	sub->filters = calloc(n + 1, sizeof *sub->filters);
	return sub->filters ? 0 : -ENOMEM;
}

static int subscriber_add(struct engine_subscriber *sub, const char *filter)
{
	char *copy = strdup(filter);
	if (!copy)
		return -ENOMEM;
	sub->filters[sub->n_filters++] = copy;
	return 0;
}

/* Marks everything that is missing as possibly there. */
static int subscriber_note(struct mqtt_engine *s, const struct subscriber_plan *plan)
{
	struct engine_subscriber *sub = &s->subscriber;
	int r = subscriber_reserve(sub, plan->n_steps);
	for (size_t i = 0; i < plan->n_steps && r == 0; i++) {
		struct filter_entry entry = *plan->steps[i].wanted;
		const struct filter_entry *known = filter_set_find(&sub->known, entry.filter);
		entry.confirmed = false;
		if (s->terms.subscription_identifiers)
			entry.identifier = plan->steps[i].need == NEED_AGAIN ? known->identifier
									     : filter_set_next_identifier(&sub->known);
		r = filter_set_put(&sub->known, &entry);
		if (r == 0)
			r = subscriber_add(sub, entry.filter);
	}
	return r;
}

static int subscriber_collect_missing(struct mqtt_engine *s)
{
	struct subscriber_plan plan = {0};
	int r = subscriber_plan(s, &plan);
	if (r == 0)
		r = subscriber_note(s, &plan);
	free(plan.needs);
	free(plan.steps);
	return r;
}

static int subscriber_collect_gone(struct mqtt_engine *s)
{
	struct engine_subscriber *sub = &s->subscriber;
	int r = subscriber_reserve(sub, sub->known.n);
	for (size_t i = 0; i < sub->known.n && r == 0; i++)
		if (!filter_set_find(s->options.wanted, sub->known.items[i].filter))
			r = subscriber_add(sub, sub->known.items[i].filter);
	return r;
}

/* --- rounds ------------------------------------------------------------------------------------------------------------ */

static void subscriber_begin(struct mqtt_engine *s)
{
	struct engine_subscriber *sub = &s->subscriber;
	sub->unsubscribing = sub->round_failed = sub->again = false;
	int r = subscriber_collect_missing(s);
	if (r == 0 && sub->n_filters > 0) {
		subscriber_report(s);
	} else if (r == 0) {
		sub->unsubscribing = true;
		r = subscriber_collect_gone(s);
	}
	if (r < 0) {
		engine_reconnect(s, MQTT_AGAIN_BACKOFF, "out of memory");
	} else if (sub->n_filters > 0) {
		sub->in_round = true;
		subscriber_next(s);
	} else if (!sub->reported) {
		subscriber_report(s);
	}
}

static void subscriber_forget_packet(struct engine_subscriber *sub, struct engine_subscribe_packet *packet)
{
	for (size_t i = 0; i < packet->n_filters; i++)
		free(packet->filters[i]);
	sub->under_way -= packet->packet_id != 0;
	*packet = (struct engine_subscribe_packet){0};
}

static void subscriber_on_timer(void *arg)
{
	struct mqtt_engine *s = arg;
	if (!s->subscriber.in_round) {
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
	sub->packets = calloc(ENGINE_SUBSCRIBE_PACKETS, sizeof *sub->packets);
	return sub->timer && sub->packets ? 0 : -ENOMEM;
}

static void subscriber_end_round(struct engine_subscriber *sub)
{
	for (size_t i = 0; sub->packets && i < ENGINE_SUBSCRIBE_PACKETS; i++)
		subscriber_forget_packet(sub, &sub->packets[i]);
	subscriber_forget_filters(sub);
	sub->in_round = false;
}

void subscriber_free(struct mqtt_engine *s)
{
	subscriber_end_round(&s->subscriber);
	free(s->subscriber.packets);
	loop_timer_free(s->subscriber.timer);
	filter_set_free(&s->subscriber.known);
}

void subscriber_doubt(struct mqtt_engine *s)
{
	for (size_t i = 0; i < s->subscriber.known.n; i++)
		s->subscriber.known.items[i].confirmed = false;
}

void subscriber_up(struct mqtt_engine *s)
{
	if (!s->terms.session_present) {
		filter_set_free(&s->subscriber.known);
		s->subscriber.reported = false;
	}
	subscriber_begin(s);
}

void subscriber_down(struct mqtt_engine *s)
{
	loop_timer_stop(s->subscriber.timer);
	subscriber_end_round(&s->subscriber);
}

/* Who hears of it learns at once what the identifiers that are known stand for now. Before the first connection nothing is
 * known that somebody could be told. */
void subscriber_wanted_changed(struct mqtt_engine *s)
{
	struct engine_subscriber *sub = &s->subscriber;
	if (sub->reported)
		subscriber_report(s);
	if (s->state != ENGINE_UP)
		return;
	if (sub->in_round) {
		sub->again = true;
		return;
	}
	loop_timer_stop(sub->timer); /* of what was refused, which is asked for again now */
	sub->failed_rounds = 0;
	subscriber_begin(s);
}

static void subscriber_finish(struct mqtt_engine *s)
{
	struct engine_subscriber *sub = &s->subscriber;
	bool failed = sub->round_failed;
	subscriber_end_round(sub);
	subscriber_report(s);
	if (sub->again) {
		subscriber_begin(s);
		return;
	}
	if (!failed) {
		sub->failed_rounds = 0;
		log_info("mqtt_subscribed", "connection=%s filters=%zu", s->options.name, sub->known.n);
		return;
	}
	uint64_t delay_ms = RETRY_MIN_MS << (sub->failed_rounds < 6 ? sub->failed_rounds : 6);
	sub->failed_rounds++;
	loop_timer_start(sub->timer, delay_ms < RETRY_MAX_MS ? delay_ms : RETRY_MAX_MS);
}

/* --- packets ------------------------------------------------------------------------------------------------------------ */

static struct engine_subscribe_packet *subscriber_find_packet(struct engine_subscriber *sub, uint16_t packet_id)
{
	for (size_t i = 0; i < ENGINE_SUBSCRIBE_PACKETS; i++)
		if (sub->packets[i].packet_id == packet_id)
			return &sub->packets[i];
	return NULL;
}

static uint16_t subscriber_free_id(struct engine_subscriber *sub)
{
	uint16_t packet_id;
	do
		packet_id = (uint16_t)(ENGINE_SUBSCRIBE_ID + sub->sent++ % (65536 - ENGINE_SUBSCRIBE_ID));
	while (subscriber_find_packet(sub, packet_id));
	return packet_id;
}

static void subscriber_fill_entry(
	const struct mqtt_engine *s, const char *filter, struct mqtt_subscription *entry, uint32_t *ret_identifier)
{
	entry->filter = slice_str(filter);
	const struct filter_entry *sub =
		s->subscriber.unsubscribing ? NULL : filter_set_find(&s->subscriber.known, filter);
	if (!sub)
		return;
	entry->qos = sub->qos;
	entry->no_local = sub->options >> 2 & 1;
	entry->retain_as_published = sub->options >> 3 & 1;
	entry->retain_handling = sub->options >> 4 & 3;
	*ret_identifier = sub->identifier;
}

/* A SUBSCRIBE has one identifier for all that is in it. */
static int subscriber_send(struct mqtt_engine *s)
{
	struct engine_subscriber *sub = &s->subscriber;
	struct engine_subscribe_packet *place = subscriber_find_packet(sub, 0);
	struct mqtt_subscription entries[ENGINE_SUBSCRIBE_FILTERS] = {0};
	size_t most = s->terms.subscription_identifiers && !sub->unsubscribing ? 1 : ENGINE_SUBSCRIBE_FILTERS;
	uint32_t identifier = 0;
	place->packet_id = subscriber_free_id(sub);
	sub->under_way++;
	while (place->n_filters < most && sub->next < sub->n_filters) {
		char *filter = sub->filters[sub->next];
		sub->filters[sub->next++] = NULL;
		subscriber_fill_entry(s, filter, &entries[place->n_filters], &identifier);
		place->filters[place->n_filters++] = filter;
	}
	struct mqtt_packet packet = {
		.type = sub->unsubscribing ? MQTT_UNSUBSCRIBE : MQTT_SUBSCRIBE,
		.subscribe = {.packet_id = place->packet_id, .entries = entries, .n_entries = place->n_filters},
	};
	if (s->terms.subscription_identifiers && identifier > 0) {
		packet.props.subscription_identifiers = &identifier;
		packet.props.n_subscription_identifiers = 1;
	}
	return engine_send(s, &packet);
}

static void subscriber_next(struct mqtt_engine *s)
{
	struct engine_subscriber *sub = &s->subscriber;
	/* What is gone may be covered by what is new: it is kept until that is there. */
	if (sub->under_way == 0 && sub->next == sub->n_filters && !sub->unsubscribing && !sub->round_failed) {
		sub->unsubscribing = true;
		if (subscriber_collect_gone(s) < 0) {
			engine_reconnect(s, MQTT_AGAIN_BACKOFF, "out of memory");
			return;
		}
	}
	while (sub->under_way < ENGINE_SUBSCRIBE_PACKETS && sub->next < sub->n_filters)
		if (subscriber_send(s) < 0)
			return; /* the connection ends */
	if (sub->under_way == 0)
		subscriber_finish(s);
	else
		loop_timer_start(sub->timer, s->settings->ack_timeout_ms);
}

/* --- their answers ------------------------------------------------------------------------------------------------------- */

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

static void subscriber_granted(struct mqtt_engine *s, const char *filter, uint8_t granted)
{
	struct filter_entry *sub = filter_set_find(&s->subscriber.known, filter);
	if (!sub)
		return;
	if (granted < sub->qos)
		log_warn("mqtt_qos_lowered",
			"connection=%s filter=\"%s\" wanted=%u granted=%u what=\"the broker gives less than the "
			"mapping asks "
			"for; messages may be lost before they reach linkspan\"",
			s->options.name, filter, sub->qos, granted);
	sub->confirmed = true;
}

static void subscriber_take_answer(struct mqtt_engine *s, const struct engine_subscribe_packet *packet,
	const struct mqtt_suback *suback, struct slice text)
{
	struct engine_subscriber *sub = &s->subscriber;
	for (size_t i = 0; i < packet->n_filters; i++) {
		uint8_t reason = i < suback->reasons.len ? suback->reasons.data[i] : MQTT_SUCCESS;
		if (reason >= MQTT_UNSPECIFIED_ERROR && sub->unsubscribing)
			sub->round_failed = true;
		else if (reason >= MQTT_UNSPECIFIED_ERROR)
			subscriber_refused(s, packet->filters[i], reason, text);
		else if (sub->unsubscribing)
			filter_set_remove(&sub->known, packet->filters[i]);
		else
			subscriber_granted(s, packet->filters[i], reason);
	}
}

void subscriber_acked(struct mqtt_engine *s, bool unsuback, const struct mqtt_suback *suback, struct slice text)
{
	struct engine_subscriber *sub = &s->subscriber;
	struct engine_subscribe_packet *packet =
		suback->packet_id ? subscriber_find_packet(sub, suback->packet_id) : NULL;
	bool counts = !(unsuback && s->version == MQTT_3_1_1);
	if (!packet || unsuback != sub->unsubscribing || (counts && suback->reasons.len != packet->n_filters)) {
		engine_end(s, MQTT_AGAIN_BACKOFF, MQTT_PROTOCOL_ERROR,
			"the broker broke the protocol: a SUBACK or UNSUBACK that was not asked for");
		return;
	}
	loop_timer_stop(sub->timer);
	subscriber_take_answer(s, packet, suback, text);
	subscriber_forget_packet(sub, packet);
	subscriber_next(s);
}
