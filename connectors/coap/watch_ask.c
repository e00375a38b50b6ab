/* SPDX-License-Identifier: Apache-2.0
 *
 * One resource and its device. An observation is registered again under the same token (RFC 7641 §3.3.1) when nothing has come
 * for as long as the last value was valid: a device that has rebooted knows of no observer, and says nothing. If that is not
 * answered either, or the session is lost, it is asked for anew, later each time.
 *
 * The answer to a registration cannot be told from a notification, but for an acknowledgement: the first of what comes is
 * taken whatever its number is, since a device that has rebooted counts from the start again, and so is an acknowledgement that
 * comes later.
 */
#include <coap3/coap.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "connectors/coap/content_format.h"
#include "connectors/coap/out_reply.h"
#include "connectors/coap/out_request.h"
#include "connectors/coap/out_verdict.h"
#include "connectors/coap/path.h"
#include "connectors/coap/watch_impl.h"
#include "message/message.h"
#include "routing/topic_filter.h"
#include "runtime/log.h"

#define CODE_GET     1u
#define CODE_VALID   67u /* 2.03 */
#define CODE_CONTENT 69u /* 2.05 */

#define AGAIN_MIN_MS 1000u
#define AGAIN_MAX_MS 60000u
#define PATIENCE_MS  3600000u /* what a device may want us to wait */
#define RENEW_MAX_MS 86400000u
/* After a registration anew something is said within `timeout`; should it not be, it is begun from the start. */
#define WATCHDOG_MS  60000u
#define MOST_HEADERS 2u

static uint64_t now_of(const struct watched *resource)
{
	return loop_now_ms(resource->watch->client->loop);
}

static bool observes(const struct watched *resource)
{
	return resource->from->mode == COAP_WATCH_OBSERVE;
}

/* --- asking ---------------------------------------------------------------------------------------------------------------- */

/* Path and query beneath those of the url: the topic, which is not percent-encoded, and `query`, which is. */
static int make_target(struct watched *resource)
{
	struct slice rest = slice_str(resource->subscription->filter + 1), level;
	int r = 0;
	buffer_init(&resource->target, COAP_TOPIC_MAX);
	while (r == 0 && topic_next_level(&rest, &level))
		r = coap_target_add_path(&resource->target, level);
	if (r == 0 && resource->from->query)
		r = buffer_append(&resource->target, slice_str("?"));
	if (r == 0 && resource->from->query)
		r = buffer_append(&resource->target, slice_str(resource->from->query));
	return r;
}

static int make_options(struct watched *resource, const char **ret_reason)
{
	struct slice base = resource->watch->client->own.target, target = buffer_slice(&resource->target);
	struct coap_call *call = &resource->call;
	int r = 0;
	coap_call_clear(call);
	if (!observes(resource) && resource->etag_len)
		r = coap_call_option(call, COAP_OPTION_ETAG, slice_of(resource->etag, resource->etag_len));
	if (r == 0)
		r = coap_request_add_path(base, target, call, ret_reason);
	if (r == 0)
		r = coap_request_add_query(base, target, call, ret_reason);
	int format = resource->from->accept ? content_format_find(slice_str(resource->from->accept)) : -1;
	if (r == 0 && format >= 0)
		r = coap_call_option_uint(call, COAP_OPTION_ACCEPT, (uint32_t)format);
	return r;
}

static void forget_answer(struct watched *resource)
{
	resource->asks = true;
	resource->asked_ms = now_of(resource);
	resource->problem = NULL;
	resource->wait_ms = 0;
	freshness_reset(&resource->freshness);
}

static void ask(struct watched *resource)
{
	struct coap_watch *watch = resource->watch;
	const char *reason = "there is no memory for it";
	if (make_options(resource, &reason) < 0) {
		log_error("coap_watch_failed", "connection=%s path=\"%s\" reason=\"%s\"", watch->client->name,
			resource->subscription->filter, reason);
		loop_timer_start(resource->timer, AGAIN_MAX_MS);
		return;
	}
	forget_answer(resource);
	resource->observed = false;
	watch->counters.polls += !observes(resource);
	watch->counters.registrations += observes(resource);
	coap_call_begin(&resource->call, watch->client->peers, &watch->client->own);
}

static void register_again(struct watched *resource)
{
	const struct coap_client *client = resource->watch->client;
	forget_answer(resource);
	resource->watch->counters.registrations++;
	loop_timer_start(resource->timer, client->settings->out.timeout_ms + WATCHDOG_MS);
	coap_call_renew(&resource->call);
}

static void on_timer(void *arg)
{
	struct watched *resource = arg;
	if (!resource->watch->running)
		return;
	if (resource->observed && !resource->asks) {
		register_again(resource);
		return;
	}
	coap_call_cancel(&resource->call); /* the watchdog; otherwise there is none */
	ask(resource);
}

/* --- values ---------------------------------------------------------------------------------------------------------------- */

static void hash_value(const struct coap_call_response *response, uint8_t hash[SIPHASH_LEN])
{
	uint8_t key[SIPHASH_KEY_LEN] = {0};
	int32_t format = response->format;
	memcpy(key, &format, sizeof format);
	siphash(key, response->payload, hash);
}

/* True: it is the value that was there before. */
static bool note_value(struct watched *resource, const struct coap_call_response *response)
{
	uint8_t hash[SIPHASH_LEN];
	hash_value(response, hash);
	bool same = resource->has_last && memcmp(hash, resource->last, SIPHASH_LEN) == 0;
	memcpy(resource->last, hash, SIPHASH_LEN);
	resource->has_last = true;
	resource->etag_len = response->etag.len <= WATCH_MAX_ETAG ? (uint8_t)response->etag.len : 0;
	if (resource->etag_len)
		memcpy(resource->etag, response->etag.data, resource->etag_len);
	return same;
}

static void take_value(struct watched *resource, const struct coap_call_response *response)
{
	struct message_field headers[MOST_HEADERS];
	char type[CONTENT_FORMAT_SIZE], etag[2 * WATCH_MAX_ETAG + 1] = "", max_age[16];
	struct message_view view = {.topic = slice_str(resource->subscription->filter),
		.payload = response->payload,
		.headers = headers,
		.qos = resource->subscription->qos,
		.origin_ms = loop_wall_ms(resource->watch->client->loop)};
	if (response->format >= 0)
		view.content_type = content_format_type((uint16_t)response->format, type);
	for (size_t i = 0; i < response->etag.len && i < WATCH_MAX_ETAG; i++)
		snprintf(etag + 2 * i, 3, "%02x", response->etag.data[i]);
	if (*etag)
		headers[view.n_headers++] = (struct message_field){slice_str(COAP_ETAG_HEADER), slice_str(etag)};
	snprintf(max_age, sizeof max_age, "%u", response->max_age_s);
	if (response->has_max_age)
		headers[view.n_headers++] = (struct message_field){slice_str(COAP_MAX_AGE_HEADER), slice_str(max_age)};
	watch_take(resource, &view);
}

/* --- answers --------------------------------------------------------------------------------------------------------------- */

static void note_problem(struct watched *resource, const struct coap_call_response *response)
{
	char code[COAP_CODE_SIZE];
	struct link_host *host = resource->watch->client->host;
	coap_code_print(response->code, code);
	snprintf(resource->problem_text, sizeof resource->problem_text, "the device answered %s %s", code,
		coap_code_name(response->code));
	resource->problem = resource->problem_text;
	uint64_t wait_ms = coap_verdict_wait_ms(response->code, response->has_max_age, response->max_age_s);
	resource->wait_ms = wait_ms < PATIENCE_MS ? wait_ms : PATIENCE_MS;
	if (coap_verdict_of(response->code) != COAP_NO_ACCESS)
		return;
	char what[300];
	snprintf(what, sizeof what, "%s is not for us to read: %s; check psk and tls, and what we may do there",
		resource->subscription->filter, resource->problem_text);
	host->ops->alarm(host, what);
}

/* Of two that have overtaken each other the second is the older. */
static bool is_newer(struct watched *resource, const struct coap_call_response *response)
{
	const struct coap_pdu_t *pdu = response->pdu;
	bool answers = resource->asks || !response->observed;
	if (!answers && pdu && coap_url_is_datagram(&resource->watch->client->own))
		answers = coap_pdu_get_type(pdu) == COAP_MESSAGE_ACK;
	if (answers || !coap_url_is_datagram(&resource->watch->client->own)) /* RFC 8323 §7.1: they come in order */
		return true;
	return freshness_is_newer(&resource->freshness, response->sequence, now_of(resource));
}

/* It is observed, or not: when to register again is known from the answer, whatever it holds. */
static void note_arrival(struct watched *resource, const struct coap_call_response *response)
{
	uint64_t now_ms = now_of(resource);
	if (response->observed && !resource->observed)
		log_info("coap_observed", "connection=%s path=\"%s\"", resource->watch->client->name,
			resource->subscription->filter);
	resource->asks = false;
	resource->problem = NULL;
	resource->observed = response->observed;
	coap_client_welcome(resource->watch->client);
	if (!response->observed)
		return;
	freshness_take(
		&resource->freshness, response->sequence, response->max_age_s, now_ms, arc4random(), 0, RENEW_MAX_MS);
	loop_timer_start(resource->timer, resource->freshness.renew_ms - now_ms);
}

static uint64_t back_off_ms(const struct watched *resource)
{
	uint64_t wait_ms = (uint64_t)AGAIN_MIN_MS << (resource->failures < 6 ? resource->failures : 6);
	if (wait_ms > AGAIN_MAX_MS)
		wait_ms = AGAIN_MAX_MS;
	return wait_ms + arc4random_uniform((uint32_t)wait_ms / 2 + 1);
}

/* The state is not known: it is asked for, the observation notwithstanding. */
static void note_cut(struct watched *resource)
{
	static const char why[] = "the value is larger than max_response, or has changed while it was read";
	struct coap_watch *watch = resource->watch;
	watch->counters.too_large++;
	if (!resource->observed) {
		resource->problem = why;
		return;
	}
	if (resource->failures == 0)
		log_warn("coap_value_cut", "connection=%s path=\"%s\" what=\"%s\"", watch->client->name,
			resource->subscription->filter, why);
	loop_timer_start(resource->timer, back_off_ms(resource));
	resource->failures++;
}

static void note_value_again(struct watched *resource)
{
	if (resource->failures)
		log_info("coap_value_again", "connection=%s path=\"%s\"", resource->watch->client->name,
			resource->subscription->filter);
	resource->failures = 0;
}

static void on_response(struct coap_call *call, const struct coap_call_response *response)
{
	struct watched *resource = call->owner;
	struct coap_watch *watch = resource->watch;
	bool is_answer = resource->asks || !response->observed;
	if (response->code != CODE_CONTENT && response->code != CODE_VALID) {
		note_problem(resource, response);
		return;
	}
	if (!is_newer(resource, response)) {
		watch->counters.reordered++;
		return;
	}
	watch->counters.notifications += !is_answer;
	note_arrival(resource, response);
	if (response->cut) {
		note_cut(resource);
		return;
	}
	note_value_again(resource);
	/* What is only said again, because it was asked for, is nothing new. */
	if (response->code == CODE_VALID || (note_value(resource, response) && is_answer))
		watch->counters.unchanged++;
	else
		take_value(resource, response);
}

/* --- ends ------------------------------------------------------------------------------------------------------------------ */

static void fail(struct watched *resource, const char *reason, uint64_t wait_ms)
{
	struct coap_watch *watch = resource->watch;
	uint64_t again_ms = back_off_ms(resource);
	watch->counters.failures++;
	if (resource->failures++ == 0)
		log_warn("coap_watch_failed",
			"connection=%s path=\"%s\" reason=\"%s\" what=\"it is tried again, later each time\"",
			watch->client->name, resource->subscription->filter, reason);
	loop_timer_start(resource->timer, wait_ms > again_ms ? wait_ms : again_ms);
}

/* It has answered with a value, and will not say when that changes. */
static void wait_for_next(struct watched *resource)
{
	uint64_t every_ms = resource->from->every_ms, passed_ms = now_of(resource) - resource->asked_ms;
	if (observes(resource) && !resource->said_not_observed) {
		resource->said_not_observed = true;
		log_warn("coap_not_observed",
			"connection=%s path=\"%s\" what=\"the device does not let itself be observed; it is asked "
			"again "
			"and again, as `every` says\"",
			resource->watch->client->name, resource->subscription->filter);
	}
	loop_timer_start(resource->timer, every_ms > passed_ms ? every_ms - passed_ms : 0);
}

static void on_end(struct coap_call *call, enum coap_call_end end, const char *reason, uint64_t retry_after_ms)
{
	struct watched *resource = call->owner;
	resource->observed = false;
	if (!resource->watch->running)
		return;
	if (end == COAP_CALL_REFUSED)
		coap_client_refused(resource->watch->client, reason);
	else if (end != COAP_CALL_ANSWERED)
		fail(resource, reason, retry_after_ms);
	else if (resource->problem)
		fail(resource, resource->problem, resource->wait_ms);
	else
		wait_for_next(resource);
}

/* --- life ------------------------------------------------------------------------------------------------------------------ */

int watched_init(struct watched *resource)
{
	coap_call_init(&resource->call);
	resource->call.code = CODE_GET;
	resource->call.confirmable = true;
	resource->call.wants_body = true;
	resource->call.wants_answer = true;
	resource->call.observe = observes(resource);
	resource->call.owner = resource;
	resource->call.on_response = on_response;
	resource->call.on_end = on_end;
	resource->timer = loop_timer_new(resource->watch->client->loop, on_timer, resource);
	return resource->timer ? make_target(resource) : -ENOMEM;
}

void watched_fini(struct watched *resource)
{
	watched_end(resource);
	coap_call_free(&resource->call);
	buffer_free(&resource->target);
	loop_timer_free(resource->timer);
}

void watched_begin(struct watched *resource)
{
	ask(resource);
}

void watched_end(struct watched *resource)
{
	if (resource->timer)
		loop_timer_stop(resource->timer);
	coap_call_cancel(&resource->call);
	resource->observed = false;
}
