/* SPDX-License-Identifier: Apache-2.0
 *
 * Assembly, the journal's callbacks, and the clean stop. Legal moves of a bridge: OPEN → RUNNING → DRAINING → CLOSING_LINKS →
 * STOPPED, and OPEN → STOPPED when it was never started. A failed journal goes to DRAINING with nothing to drain.
 */
#include "runtime/bridge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/control.h"
#include "runtime/disk_limits.h"
#include "runtime/endpoint.h"
#include "runtime/log.h"
#include "runtime/reload.h"

#define LINGER_MS 1000 /* of the links for their last words, when shutdown_timeout leaves no more */

/* --- the journal's callbacks ----------------------------------------------------------------------------------------- */

static void on_durable(void *ctx, uint64_t lsn)
{
	struct bridge *bridge = ctx;
	intake_durable(bridge, lsn);
	for (size_t i = 0; i < bridge->n_endpoints; i++)
		if (bridge->endpoints[i]->courier)
			courier_durable(bridge->endpoints[i]->courier, lsn);
	queue_service_durable(bridge->queue, lsn);
	bridge_check_drained(bridge);
}

static void on_journal_room(void *ctx)
{
	intake_resume(ctx, NULL);
}

static void stop_links(struct bridge *bridge);

static void on_journal_failed(void *ctx, int error)
{
	struct bridge *bridge = ctx;
	log_error("journal_failed",
		"error=\"%s\" what=\"nothing more can be made durable; linkspan stops. Check the disk "
		"below %s, then start it again\"",
		strerror(-error), bridge->config->data_dir);
	bridge->failure = error;
	if (bridge->state == BRIDGE_RUNNING)
		bridge_stop(bridge);
	else if (bridge->state == BRIDGE_DRAINING)
		stop_links(bridge);
}

void bridge_courier_room(void *ctx)
{
	struct endpoint *end = ctx;
	struct bridge *bridge = end->bridge;
	for (size_t i = 0; i < bridge->n_endpoints; i++)
		if (bridge->endpoints[i]->courier)
			courier_retry_replies(bridge->endpoints[i]->courier);
	intake_resume(bridge, end);
}

static void on_receipts_job(void *arg)
{
	struct bridge *bridge = arg;
	intake_durable(bridge, journal_durable_lsn(bridge->journal));
	bridge_check_drained(bridge);
}

static void on_retry_timer(void *arg)
{
	intake_resume(arg, NULL);
}

static void on_stop_timer(void *arg)
{
	struct bridge *bridge = arg;
	log_warn("shutdown_timeout", "ms=%llu what=\"not everything in flight was answered; it stays in the journal\"",
		(unsigned long long)bridge->config->shutdown_timeout_ms);
	stop_links(bridge);
}

/* --- opening --------------------------------------------------------------------------------------------------------- */

static int make_endpoint(struct bridge *bridge, struct endpoint_setup *setup)
{
	struct endpoint *end = endpoint_new(bridge);
	if (!end)
		return -ENOMEM;
	bridge->endpoints[bridge->n_endpoints++] = end;
	/* What it is called must be known to whoever closes it when something below fails. */
	end->generation = generation_ref(setup->generation);
	end->config = setup->config;
	end->connector = setup->config->connector;
	int r = endpoint_setup_names(bridge, setup);
	if (r == 0)
		r = endpoint_setup_link(bridge, setup, end);
	return r < 0 ? r : endpoint_become(end, setup);
}

static int make_endpoints(struct bridge *bridge, const struct bridge_options *options)
{
	size_t n = bridge->config->n_connections;
	struct endpoint_setup *setups = calloc(n + 1, sizeof *setups);
	bridge->endpoints = calloc(n + 1, sizeof(struct endpoint *));
	int r = setups && bridge->endpoints ? 0 : -ENOMEM;
	for (size_t i = 0; r == 0 && i < n; i++)
		r = endpoint_setup(bridge, bridge->generation, bridge->router, i, &setups[i]);
	if (r == 0)
		r = leftovers_check(bridge, setups, options);
	if (r == 0)
		disk_limits_check(options->disk, options->config);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = make_endpoint(bridge, &setups[i]);
	for (size_t i = 0; setups && i < n; i++)
		endpoint_setup_free(&setups[i]);
	free(setups);
	return r;
}

static struct courier *queue_courier_of(void *ctx, uint32_t dest)
{
	struct bridge *bridge = ctx;
	for (size_t i = 0; i < bridge->n_endpoints; i++)
		if (bridge->endpoints[i]->courier && bridge->endpoints[i]->dest == dest)
			return bridge->endpoints[i]->courier;
	return NULL;
}

static void on_queue_idle(void *ctx)
{
	bridge_check_drained(ctx);
}

static char *redact_for_watchers(void *ctx, const char *text)
{
	const struct bridge *bridge = ctx;
	return config_redact(bridge->config, text);
}

static int queue_reload(void *ctx, const struct reload_order *order)
{
	return bridge_reload(ctx, order);
}

static void queue_reload_forget(void *ctx, const void *order_ctx)
{
	bridge_reload_forget(ctx, order_ctx);
}

static int open_queue_service(struct bridge *bridge)
{
	struct queue_service_options options = {
		.journal = bridge->journal,
		.loop = bridge->loop,
		.courier = queue_courier_of,
		.on_idle = on_queue_idle,
		.watched = &bridge->watched,
		.redact = redact_for_watchers,
		.reload = queue_reload,
		.reload_forget = queue_reload_forget,
		.ctx = bridge,
		/* of destinations that have no courier because nothing writes to them */
		.maybe_sent_span = UINT32_MAX,
	};
	bridge->queue = queue_service_new(&options);
	return bridge->queue ? 0 : -ENOMEM;
}

static int open_parts(struct bridge *bridge, const struct bridge_options *options)
{
	struct journal_options journal = {
		.disk = options->disk,
		.loop = options->loop,
		.segment_bytes = options->config->journal.segment_bytes,
		.max_bytes = options->config->journal.max_bytes,
		.linger_ms = (uint32_t)options->config->journal.linger_ms,
		.strict = options->config->journal.strict,
		.manual = options->manual,
		.min_free = options->config->journal.min_free_bytes,
		.max_sequences = (uint64_t)options->config->journal.max_sequences,
		.max_keys = (uint64_t)options->config->journal.max_keys,
		.on_durable = on_durable,
		.on_room = on_journal_room,
		.on_failed = on_journal_failed,
		.ctx = bridge,
	};
	bridge->generation = generation_new(options->config, NULL);
	bridge->stop_timer = loop_timer_new(options->loop, on_stop_timer, bridge);
	bridge->retry_timer = loop_timer_new(options->loop, on_retry_timer, bridge);
	bridge->router = router_new(options->config);
	if (!bridge->generation || !bridge->stop_timer || !bridge->retry_timer || !bridge->router)
		return -ENOMEM;
	int r = journal_open(&journal, &bridge->journal);
	if (r == 0)
		r = make_endpoints(bridge, options);
	if (r == 0)
		r = open_queue_service(bridge);
	if (r == 0)
		r = reload_new(bridge, options, &bridge->reload);
	return r;
}

int bridge_open(const struct bridge_options *options, struct bridge **ret_bridge)
{
	struct bridge *bridge = calloc(1, sizeof *bridge);
	if (!bridge)
		return -ENOMEM;
	bridge->config = options->config;
	bridge->loop = options->loop;
	bridge->on_stopped = options->on_stopped;
	bridge->stopped_ctx = options->ctx;
	bridge->observer = options->observer;
	loop_job_init(&bridge->receipts_job, on_receipts_job, bridge);
	int r = open_parts(bridge, options);
	if (r < 0) {
		bridge_close(bridge);
		return r;
	}
	*ret_bridge = bridge;
	return 0;
}

/* --- starting -------------------------------------------------------------------------------------------------------- */

/* Without it linkspan does its work all the same. */
static void open_control(struct bridge *bridge)
{
	if (!loop_uv(bridge->loop))
		return;
	bridge->control = control_new(bridge->loop, bridge->queue);
	int r = bridge->control ? control_listen(bridge->control, bridge->config->data_dir) : -ENOMEM;
	if (r == 0)
		return;
	log_error("control", "error=\"%s\" what=\"linkspan queue will not reach this process by %s/control\"",
		strerror(-r), bridge->config->data_dir);
	control_free(bridge->control);
	bridge->control = NULL;
}

void bridge_start(struct bridge *bridge)
{
	bridge->state = BRIDGE_RUNNING;
	open_control(bridge);
	for (size_t i = 0; i < bridge->n_endpoints; i++)
		if (endpoint_is_used(bridge->endpoints[i])) /* some may be configured that no mapping uses */
			endpoint_start(bridge->endpoints[i]);
}

bool bridge_step(struct bridge *bridge)
{
	return journal_step(bridge->journal);
}

/* --- stopping -------------------------------------------------------------------------------------------------------- */

static void stop_links(struct bridge *bridge)
{
	if (bridge->state >= BRIDGE_CLOSING_LINKS)
		return;
	bridge->state = BRIDGE_CLOSING_LINKS;
	loop_timer_stop(bridge->stop_timer);
	uint64_t now_ms = loop_now_ms(bridge->loop), linger_ms = LINGER_MS;
	if (bridge->stop_until_ms > now_ms + LINGER_MS)
		linger_ms = bridge->stop_until_ms - now_ms;
	for (size_t i = 0; i < bridge->n_endpoints; i++)
		if (!bridge->endpoints[i]->stopped && bridge->endpoints[i]->phase != ENDPOINT_STOPPING)
			bridge->endpoints[i]->connector->stop(bridge->endpoints[i]->link, linger_ms);
	bridge_finish_stop(bridge);
}

void bridge_finish_stop(struct bridge *bridge)
{
	if (bridge->state != BRIDGE_CLOSING_LINKS)
		return;
	for (size_t i = 0; i < bridge->n_endpoints; i++)
		if (!bridge->endpoints[i]->stopped)
			return;
	bridge->state = BRIDGE_STOPPED;
	loop_timer_stop(bridge->stop_timer);
	bridge->on_stopped(bridge->stopped_ctx);
}

void bridge_check_drained(struct bridge *bridge)
{
	if (bridge->state == BRIDGE_RUNNING)
		endpoints_go_on(bridge);
	if (bridge->state != BRIDGE_DRAINING)
		return;
	for (size_t i = 0; i < bridge->n_endpoints; i++) {
		const struct endpoint *end = bridge->endpoints[i];
		if ((end->courier && !end->idle) || (end->receipts.count && bridge->failure == 0))
			return;
	}
	if (!queue_service_is_idle(bridge->queue) && bridge->failure == 0)
		return; /* letters that were sent again and are to be removed */
	stop_links(bridge);
}

static void on_courier_idle(void *ctx)
{
	struct endpoint *end = ctx;
	end->idle = true;
	bridge_check_drained(end->bridge);
}

static bool takes_in(const struct endpoint *end)
{
	return end->phase == ENDPOINT_SERVING && !end->intake_stopped;
}

static void drain(struct endpoint *end)
{
	if (!end->courier)
		return;
	/* Nothing is in flight on a link that has been told to stop, or was not started yet, nor will be. */
	bool has_link = end->phase <= ENDPOINT_LEAVING && !end->courier_is_next;
	end->idle = !has_link;
	courier_drain(end->courier, has_link ? on_courier_idle : NULL, end);
}

void bridge_stop(struct bridge *bridge)
{
	if (bridge->state >= BRIDGE_DRAINING)
		return;
	bool was_running = bridge->state == BRIDGE_RUNNING;
	bridge->state = BRIDGE_DRAINING;
	reload_stop(bridge->reload);
	control_free(bridge->control);
	bridge->control = NULL;
	if (!was_running || bridge->failure < 0) {
		for (size_t i = 0; !was_running && i < bridge->n_endpoints; i++)
			bridge->endpoints[i]->stopped = true;
		/* Nothing is waited for, but nothing may be sent either while the links close. */
		for (size_t i = 0; i < bridge->n_endpoints; i++)
			if (bridge->endpoints[i]->courier)
				courier_drain(bridge->endpoints[i]->courier, NULL, NULL);
		stop_links(bridge);
		return;
	}
	bridge->stop_until_ms = loop_now_ms(bridge->loop) + bridge->config->shutdown_timeout_ms;
	loop_timer_start(bridge->stop_timer, bridge->config->shutdown_timeout_ms);
	for (size_t i = 0; i < bridge->n_endpoints; i++)
		if (bridge->endpoints[i]->is_source && takes_in(bridge->endpoints[i]))
			bridge->endpoints[i]->connector->stop_intake(bridge->endpoints[i]->link);
	for (size_t i = 0; i < bridge->n_endpoints; i++)
		drain(bridge->endpoints[i]);
	bridge_check_drained(bridge);
}

int bridge_close(struct bridge *bridge)
{
	int r = bridge->failure;
	control_free(bridge->control);
	queue_service_free(bridge->queue);
	reload_free(bridge->reload);
	for (size_t i = 0; i < bridge->n_endpoints; i++)
		endpoint_free(bridge->endpoints[i]);
	if (bridge->journal) {
		int closed = journal_close(bridge->journal);
		r = r < 0 ? r : closed;
	}
	loop_cancel(bridge->loop, &bridge->receipts_job);
	loop_timer_free(bridge->stop_timer);
	loop_timer_free(bridge->retry_timer);
	router_free(bridge->router);
	free(bridge->entries);
	free(bridge->changes);
	marking_free(&bridge->marking);
	arena_free(&bridge->reply_arena);
	spacing_free(&bridge->spacing);
	free(bridge->runs);
	free(bridge->endpoints);
	generation_unref(bridge->generation);
	free(bridge);
	return r;
}
