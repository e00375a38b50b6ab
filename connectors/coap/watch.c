/* SPDX-License-Identifier: Apache-2.0
 *
 * Values are states, not events: while the host takes nothing, the newest of each resource is held, and takes the place of
 * the one before. No receipts are asked for. What was not durable when the process ended is read again by the next one, since
 * every registration is answered with the state.
 */
#include "connectors/coap/watch.h"

#include <stdlib.h>

#include "connectors/coap/watch_impl.h"
#include "message/message.h"
#include "runtime/log.h"

struct coap_watch *coap_watch_new(struct coap_client *client, const struct link_spec *spec)
{
	struct coap_watch *watch = calloc(1, sizeof *watch);
	if (!watch)
		return NULL;
	watch->client = client;
	watch->resources = calloc(spec->n_subscriptions, sizeof *watch->resources);
	bool failed = !watch->resources;
	while (!failed && watch->n < spec->n_subscriptions) {
		struct watched *resource = &watch->resources[watch->n];
		resource->watch = watch;
		resource->subscription = &spec->subscriptions[watch->n++];
		resource->from = resource->subscription->from_settings;
		failed = watched_init(resource) < 0;
	}
	if (!failed)
		return watch;
	coap_watch_free(watch);
	return NULL;
}

void coap_watch_free(struct coap_watch *watch)
{
	if (!watch)
		return;
	for (size_t i = 0; i < watch->n; i++) {
		watched_fini(&watch->resources[i]);
		message_unref(watch->resources[i].held);
	}
	free(watch->resources);
	free(watch);
}

/* --- to the host --------------------------------------------------------------------------------------------------------- */

static void hold(struct watched *resource, const struct message_view *view)
{
	struct coap_watch *watch = resource->watch;
	struct message *msg = message_new(view);
	if (!msg) {
		/* The next registration gives it again. */
		resource->has_last = false;
		resource->etag_len = 0;
		log_error("coap_value_lost", "connection=%s path=\"%s\" reason=\"it cannot be held\"",
			watch->client->name, resource->subscription->filter);
		return;
	}
	watch->counters.replaced += resource->held != NULL;
	message_unref(resource->held);
	resource->held = msg;
}

static enum offer_result offer(struct watched *resource, const struct message_view *view)
{
	struct coap_watch *watch = resource->watch;
	struct link_host *host = watch->client->host;
	return host->ops->offer(host,
		&(struct offer){.view = view, .subscription = (int)(resource - watch->resources), .no_receipt = true});
}

void watch_take(struct watched *resource, const struct message_view *view)
{
	const struct coap_watch *watch = resource->watch;
	if (watch->intake_stopped)
		return;
	/* What is refused has been logged and counted by the host. */
	if (watch->paused || offer(resource, view) == OFFER_BUSY)
		hold(resource, view);
}

/* --- the table ----------------------------------------------------------------------------------------------------------- */

void coap_watch_begin(struct coap_watch *watch)
{
	if (watch->running || watch->intake_stopped)
		return;
	watch->running = true;
	for (size_t i = 0; i < watch->n; i++)
		watched_begin(&watch->resources[i]);
}

void coap_watch_end(struct coap_watch *watch)
{
	watch->running = false;
	for (size_t i = 0; i < watch->n; i++)
		watched_end(&watch->resources[i]);
}

void coap_watch_stop_intake(struct coap_watch *watch)
{
	watch->intake_stopped = true;
	coap_watch_end(watch);
}

void coap_watch_pause(struct coap_watch *watch)
{
	watch->paused = true;
}

void coap_watch_resume(struct coap_watch *watch)
{
	watch->paused = false;
	for (size_t i = 0; i < watch->n && !watch->paused && !watch->intake_stopped; i++) {
		struct watched *resource = &watch->resources[i];
		struct message *msg = resource->held;
		if (!msg || offer(resource, message_view(msg)) == OFFER_BUSY)
			continue;
		resource->held = NULL;
		message_unref(msg);
	}
}

/* None is asked for. */
void coap_watch_receipt(struct coap_watch *watch, uint64_t cookie, enum receipt receipt)
{
	(void)watch, (void)cookie, (void)receipt;
}

void coap_watch_receipts_end(struct coap_watch *watch)
{
	(void)watch;
}

void coap_watch_counters(
	const struct coap_watch *watch, void (*fn)(const char *name, uint64_t value, void *arg), void *arg)
{
	size_t n_observed = 0;
	for (size_t i = 0; i < watch->n; i++)
		n_observed += watch->resources[i].observed;
	fn("observed", n_observed, arg);
	fn("notifications", watch->counters.notifications, arg);
	fn("registrations", watch->counters.registrations, arg);
	fn("polls", watch->counters.polls, arg);
	fn("unchanged", watch->counters.unchanged, arg);
	fn("reordered", watch->counters.reordered, arg);
	fn("replaced", watch->counters.replaced, arg);
	fn("watch_failures", watch->counters.failures, arg);
	fn("too_large", watch->counters.too_large, arg);
}
