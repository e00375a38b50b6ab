/* SPDX-License-Identifier: Apache-2.0
 *
 * Subscriptions of a Paho session by difference, as engine_subscribe.c does it: what is wanted and not known at the broker
 * is subscribed, and when all of that is there, what is known and no longer wanted is unsubscribed. One filter in a
 * packet, all of a round under way at once. The set is reported before the first packet, with everything that the broker
 * may get to know, and again at the end. Loop thread only.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/mqtt/paho.h"
#include "runtime/log.h"

#define RETRY_MIN_MS 1000
#define RETRY_MAX_MS 60000

static bool subscribe_is_missing(const struct paho_session *s, const struct filter_entry *wanted)
{
	const struct filter_entry *known = filter_set_find(&s->known, wanted->filter);
	return !known || !known->confirmed || known->qos != wanted->qos || known->options != wanted->options;
}

static int subscribe_send(struct paho_session *s, const struct filter_entry *entry, enum mqtt_type type)
{
	struct paho_request *request = paho_request_new(s->conn, type);
	if (!request)
		return -ENOMEM;
	request->qos = entry->qos;
	request->options = entry->options;
	request->filter = strdup(entry->filter);
	if (!request->filter) {
		paho_request_free(request);
		return -ENOMEM;
	}
	s->unanswered++;
	paho_request_hand(request);
	return 0;
}

static void subscribe_report(struct paho_session *s)
{
	s->reported = true;
	s->options.events->subscribed(s->options.ctx, &s->known);
}

/* Subscribes what is missing. -ENOMEM. */
static int subscribe_wanted(struct paho_session *s)
{
	const struct filter_set *wanted = s->options.wanted;
	size_t missing = 0;
	for (size_t i = 0; i < wanted->n; i++) {
		const struct filter_entry *entry = &wanted->items[i];
		if (!subscribe_is_missing(s, entry))
			continue;
		missing++;
		struct filter_entry maybe = *entry;
		maybe.confirmed = false;
		if (filter_set_put(&s->known, &maybe) < 0)
			return -ENOMEM;
	}
	if (missing > 0 || !s->reported)
		subscribe_report(s);
	for (size_t i = 0; i < wanted->n; i++)
		if (subscribe_is_missing(s, &wanted->items[i]) &&
			subscribe_send(s, &wanted->items[i], MQTT_SUBSCRIBE) < 0)
			return -ENOMEM;
	return 0;
}

/* What is gone may be covered by what is new: it is kept until that is there. */
static int unsubscribe_gone(struct paho_session *s)
{
	s->unsubscribing = true;
	for (size_t i = 0; i < s->known.n; i++)
		if (!filter_set_find(s->options.wanted, s->known.items[i].filter) &&
			subscribe_send(s, &s->known.items[i], MQTT_UNSUBSCRIBE) < 0)
			return -ENOMEM;
	return 0;
}

static void subscribe_end_round(struct paho_session *s)
{
	subscribe_report(s);
	loop_timer_stop(s->subscribe_timer);
	if (!s->round_failed) {
		s->failed_rounds = 0;
		log_info("mqtt_subscribed", "connection=%s filters=%zu", s->options.name, s->known.n);
		return;
	}
	uint64_t delay_ms = RETRY_MIN_MS << (s->failed_rounds < 6 ? s->failed_rounds : 6);
	s->failed_rounds++;
	loop_timer_start(s->subscribe_timer, delay_ms < RETRY_MAX_MS ? delay_ms : RETRY_MAX_MS);
}

static void subscribe_next(struct paho_session *s)
{
	int r = 0;
	if (!s->unsubscribing && !s->round_failed)
		r = unsubscribe_gone(s);
	if (r < 0)
		paho_reconnect(s, MQTT_AGAIN_BACKOFF, "out of memory");
	else if (s->unanswered == 0)
		subscribe_end_round(s);
	else
		loop_timer_start(s->subscribe_timer, s->settings->ack_timeout_ms);
}

static void subscribe_begin(struct paho_session *s)
{
	s->unanswered = 0;
	s->unsubscribing = s->round_failed = false;
	if (subscribe_wanted(s) < 0) {
		paho_reconnect(s, MQTT_AGAIN_BACKOFF, "out of memory");
		return;
	}
	if (s->unanswered == 0 && unsubscribe_gone(s) < 0)
		paho_reconnect(s, MQTT_AGAIN_BACKOFF, "out of memory");
	if (s->unanswered > 0)
		loop_timer_start(s->subscribe_timer, s->settings->ack_timeout_ms);
}

static void subscribe_refused(struct paho_session *s, const struct paho_request *request)
{
	const char *name =
		s->version == MQTT_5_0 ? mqtt_reason_name(request->event.reason) : "failure"; /* 3.1.1 says no more */
	s->round_failed = true;
	log_error("mqtt_subscribe_refused", "connection=%s filter=\"%s\" reason=\"%s\" text=\"%s\"", s->options.name,
		request->filter, name, request->event.text);
	if (request->type == MQTT_SUBSCRIBE)
		paho_alarm(s,
			"the broker refuses the subscription to \"%s\": %s; nothing comes for it until the broker "
			"allows it",
			request->filter, name);
}

static void subscribe_granted(struct paho_session *s, const struct paho_request *request)
{
	if (request->type == MQTT_UNSUBSCRIBE) {
		filter_set_remove(&s->known, request->filter);
		return;
	}
	if (request->event.reason < request->qos)
		log_warn("mqtt_qos_lowered",
			"connection=%s filter=\"%s\" wanted=%u granted=%u what=\"the broker gives less than the "
			"mapping asks for; messages may be lost before they reach linkspan\"",
			s->options.name, request->filter, request->qos, request->event.reason);
	struct filter_entry granted = {
		.filter = request->filter, .qos = request->qos, .options = request->options, .confirmed = true};
	if (filter_set_put(&s->known, &granted) < 0)
		paho_reconnect(s, MQTT_AGAIN_BACKOFF, "out of memory");
}

void paho_subscription_answered(struct paho_session *s, struct paho_request *request)
{
	if (request->failed) {
		paho_reconnect(s, MQTT_AGAIN_BACKOFF, "a SUBSCRIBE or UNSUBSCRIBE could not be sent");
		return;
	}
	if (request->event.reason >= MQTT_UNSPECIFIED_ERROR)
		subscribe_refused(s, request);
	else
		subscribe_granted(s, request);
	paho_request_free(request);
	if (--s->unanswered == 0)
		subscribe_next(s);
}

void paho_on_subscribe_timer(void *arg)
{
	struct paho_session *s = arg;
	if (s->state != PAHO_UP)
		return;
	if (s->unanswered > 0)
		paho_end(s, MQTT_AGAIN_BACKOFF, MQTT_UNSPECIFIED_ERROR,
			"the broker did not answer a SUBSCRIBE or UNSUBSCRIBE within ack_timeout");
	else
		subscribe_begin(s);
}

void paho_subscriptions_up(struct paho_session *s)
{
	if (!s->terms.session_present) {
		filter_set_free(&s->known);
		s->reported = false;
	}
	subscribe_begin(s);
}

void paho_subscriptions_down(struct paho_session *s)
{
	loop_timer_stop(s->subscribe_timer);
	s->unanswered = 0;
}
