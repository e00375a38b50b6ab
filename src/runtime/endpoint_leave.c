/* SPDX-License-Identifier: Apache-2.0
 *
 * An endpoint that leaves, or begins anew with another link, while all others go on. It is a clean stop of one: nothing is
 * taken in, nothing new is sent, what was taken is acknowledged once it is durable, what is in flight ends; then the link is
 * stopped, and what has not been answered by then is sent again by the link to come, as after a restart. Its outbox, its
 * numbers and its session stay in the journal all the time; what is routed to it meanwhile is appended.
 *
 * Links that are new are started once none is leaving: they may want the same port, client_id or group.
 */
#include <stdlib.h>
#include <string.h>

#include "runtime/endpoint.h"
#include "runtime/log.h"
#include "runtime/queue_service.h"
#include "runtime/reload.h"

#define LINGER_MS 1000 /* of the link for its last words */
#define AGAIN_MS  50 /* until the disk has what is on its way there */

static struct courier *courier_of(const struct endpoint *end)
{
	return end->courier_is_next ? NULL : end->courier;
}

/* --- gone ------------------------------------------------------------------------------------------------------------- */

static void detach(struct endpoint *end)
{
	struct bridge *bridge = end->bridge;
	size_t at = 0;
	while (bridge->endpoints[at] != end)
		at++;
	bridge->n_endpoints--;
	for (; at < bridge->n_endpoints; at++)
		bridge->endpoints[at] = bridge->endpoints[at + 1];
}

static void drop_what_waits(struct endpoint *end)
{
	struct journal_outbox box = journal_outbox(end->bridge->journal, end->drop_dest);
	log_warn("destination_dropped", "destination=%s messages=%llu bytes=%llu reload=%lu", end->config->name,
		(unsigned long long)box.waiting, (unsigned long long)box.waiting_bytes, end->bridge->configurations);
	int r = journal_drop_destination(end->bridge->journal, end->drop_dest);
	if (r < 0)
		log_error("destination_not_dropped",
			"destination=%s error=\"%s\" what=\"reload again with --drop %s, or the next start will refuse "
			"it\"",
			end->config->name, strerror(-r), end->config->name);
}

/* What a letter on its way to the disk, or a client of the queue service, still needs. */
static bool is_needed(const struct endpoint *end)
{
	return (courier_of(end) && !courier_is_settled(end->courier)) ||
	       (end->drop && !queue_service_is_quiet(end->bridge->queue));
}

static void go(struct endpoint *end)
{
	log_info("connection_removed", "connection=%s reload=%lu", end->config->name, end->bridge->configurations);
	detach(end);
	courier_free(end->courier);
	end->courier = NULL;
	if (end->drop)
		drop_what_waits(end);
	endpoint_free(end);
}

static void begin_anew(struct endpoint *end)
{
	struct bridge *bridge = end->bridge;
	bool drop = end->drop;
	if (drop) {
		courier_free(end->courier);
		end->courier = NULL;
		drop_what_waits(end);
	}
	int r = endpoint_become(end, &end->next);
	end->phase = ENDPOINT_PENDING;
	if (r == 0)
		return;
	log_error(
		"reload_failed", "connection=%s error=\"%s\" what=\"linkspan stops\"", end->config->name, strerror(-r));
	bridge->failure = r;
	bridge_stop(bridge);
}

static void on_left(void *arg)
{
	struct endpoint *end = arg;
	struct bridge *bridge = end->bridge;
	if (bridge->state != BRIDGE_RUNNING)
		return; /* bridge_close frees it */
	if (end->link_is_up && courier_of(end))
		courier_link_down(end->courier, "its connection has changed in the configuration");
	end->link_is_up = false;
	if (is_needed(end)) {
		loop_timer_start(end->leave_timer, AGAIN_MS);
		return;
	}
	if (end->link)
		end->connector->destroy(end->link);
	end->link = NULL;
	receipts_clear(&end->receipts);
	if (end->next.generation)
		begin_anew(end);
	else
		go(end);
	if (!endpoints_are_leaving(bridge))
		reload_settled(bridge);
}

/* --- leaving ------------------------------------------------------------------------------------------------------------- */

static void stop_link(struct endpoint *end)
{
	end->phase = ENDPOINT_STOPPING;
	loop_timer_stop(end->leave_timer);
	if (end->stopped) /* it was never started */
		loop_post(end->bridge->loop, &end->left_job);
	else
		end->connector->stop(end->link, LINGER_MS);
}

static void on_leave_timer(void *arg)
{
	struct endpoint *end = arg;
	if (end->bridge->state != BRIDGE_RUNNING)
		return;
	if (end->phase != ENDPOINT_LEAVING) {
		on_left(end);
		return;
	}
	log_warn("leave_timeout",
		"connection=%s ms=%llu reload=%lu what=\"not everything in flight was answered; it waits in the "
		"journal\"",
		end->config->name, (unsigned long long)end->bridge->config->shutdown_timeout_ms,
		end->bridge->configurations);
	stop_link(end);
}

static void go_on(struct endpoint *end)
{
	if (end->phase == ENDPOINT_LEAVING && end->idle && end->receipts.count == 0)
		stop_link(end);
}

static void on_idle(void *ctx)
{
	struct endpoint *end = ctx;
	end->idle = true;
	go_on(end);
}

void endpoint_leave(struct endpoint *end)
{
	struct bridge *bridge = end->bridge;
	end->phase = ENDPOINT_LEAVING;
	end->idle = courier_of(end) == NULL || end->drop; /* what is thrown away is not waited for */
	loop_job_init(&end->left_job, on_left, end);
	if (!end->leave_timer)
		end->leave_timer = loop_timer_new(bridge->loop, on_leave_timer, end);
	if (!end->leave_timer)
		abort(); /* some hundred bytes */
	loop_timer_start(end->leave_timer, bridge->config->shutdown_timeout_ms);
	if (end->is_source && !end->intake_stopped && !end->stopped)
		end->connector->stop_intake(end->link);
	end->intake_stopped = true;
	if (courier_of(end))
		courier_drain(end->courier, on_idle, end);
	go_on(end);
}

void endpoints_go_on(struct bridge *bridge)
{
	for (size_t i = 0; i < bridge->n_endpoints; i++) {
		struct endpoint *end = bridge->endpoints[i];
		if (end->removed && end->phase == ENDPOINT_SERVING &&
			journal_outbox(bridge->journal, end->dest).waiting == 0)
			endpoint_leave(end); /* all that waited is delivered */
		else
			go_on(end);
	}
}

bool endpoints_are_leaving(const struct bridge *bridge)
{
	for (size_t i = 0; i < bridge->n_endpoints; i++)
		if (bridge->endpoints[i]->phase == ENDPOINT_LEAVING || bridge->endpoints[i]->phase == ENDPOINT_STOPPING)
			return true;
	return false;
}

void endpoints_start_pending(struct bridge *bridge)
{
	for (size_t i = 0; i < bridge->n_endpoints; i++) {
		struct endpoint *end = bridge->endpoints[i];
		if (end->phase != ENDPOINT_PENDING)
			continue;
		end->phase = ENDPOINT_SERVING;
		if (endpoint_is_used(end))
			endpoint_start(end);
	}
}
