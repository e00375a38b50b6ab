/* SPDX-License-Identifier: Apache-2.0
 *
 * Assembly, the links' host, and the clean stop. Legal moves of a bridge: OPEN → RUNNING → DRAINING → CLOSING_LINKS →
 * STOPPED, and OPEN → STOPPED when it was never started. A failed journal goes to DRAINING with nothing to drain.
 */
#include "runtime/bridge.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/guarantee.h"
#include "config/reply.h"
#include "runtime/control.h"
#include "runtime/disk_limits.h"
#include "runtime/endpoint.h"
#include "runtime/log.h"

#define LINGER_MS 1000 /* of the links for their last words, when shutdown_timeout leaves no more */

/* --- the host of the links ----------------------------------------------------------------------------------------- */

static void host_link_up(struct link_host *host, const struct sink_traits *traits)
{
	struct endpoint *end = (struct endpoint *)host;
	log_info("link_up", "connection=%s", end->config->name);
	end->link_is_up = true;
	if (end->courier &&
		end->bridge->state <= BRIDGE_DRAINING) /* then it sends nothing, but may have lost its session */
		courier_link_up(end->courier, traits);
}

static void host_link_down(struct link_host *host, const char *reason)
{
	struct endpoint *end = (struct endpoint *)host;
	log_warn("link_down", "connection=%s reason=\"%s\"", end->config->name, reason ? reason : "");
	end->link_downs += end->link_is_up;
	end->link_is_up = false;
	receipts_clear(&end->receipts);
	if (end->courier)
		courier_link_down(end->courier, reason);
	bridge_check_drained(end->bridge);
}

static void host_window(struct link_host *host, uint32_t max_in_flight)
{
	struct endpoint *end = (struct endpoint *)host;
	if (end->courier)
		courier_window(end->courier, max_in_flight);
}

static void host_alarm(struct link_host *host, const char *what)
{
	struct endpoint *end = (struct endpoint *)host;
	log_error("alarm", "connection=%s what=\"%s\"", end->config->name, what);
}

static void host_outcome(struct link_host *host, uint64_t seq, const struct outcome *outcome)
{
	struct endpoint *end = (struct endpoint *)host;
	if (end->courier)
		courier_outcome(end->courier, seq, outcome);
}

static void host_delivered(struct link_host *host, const uint64_t *seqs, size_t n)
{
	struct endpoint *end = (struct endpoint *)host;
	if (end->courier)
		courier_delivered(end->courier, seqs, n);
}

static void host_stage(struct link_host *host, uint64_t seq, uint8_t stage)
{
	struct endpoint *end = (struct endpoint *)host;
	if (end->courier)
		courier_stage(end->courier, seq, stage);
}

static bool host_settle(struct link_host *host, uint64_t seq)
{
	struct endpoint *end = (struct endpoint *)host;
	return !end->courier || courier_settle(end->courier, seq);
}

static void finish_if_links_stopped(struct bridge *bridge)
{
	for (size_t i = 0; i < bridge->n_endpoints; i++)
		if (!bridge->endpoints[i].stopped)
			return;
	if (bridge->state != BRIDGE_CLOSING_LINKS)
		return;
	bridge->state = BRIDGE_STOPPED;
	loop_timer_stop(bridge->stop_timer);
	bridge->on_stopped(bridge->stopped_ctx);
}

static void host_stopped(struct link_host *host)
{
	struct endpoint *end = (struct endpoint *)host;
	end->stopped = true;
	finish_if_links_stopped(end->bridge);
}

static const struct link_host_ops host_ops = {
	.offer = intake_offer,
	.link_up = host_link_up,
	.link_down = host_link_down,
	.window = host_window,
	.alarm = host_alarm,
	.outcome = host_outcome,
	.delivered = host_delivered,
	.stage = host_stage,
	.settle = host_settle,
	.replace = together_replace,
	.outbox = together_outbox,
	.key = intake_key,
	.key_room = intake_key_room,
	.last_value = keeping_last_value,
	.last_values = keeping_last_values,
	.stopped = host_stopped,
};

/* --- the journal's callbacks ----------------------------------------------------------------------------------------- */

static void on_durable(void *ctx, uint64_t lsn)
{
	struct bridge *bridge = ctx;
	intake_durable(bridge, lsn);
	for (size_t i = 0; i < bridge->n_endpoints; i++)
		if (bridge->endpoints[i].courier)
			courier_durable(bridge->endpoints[i].courier, lsn);
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

static void on_courier_room(void *ctx)
{
	struct endpoint *end = ctx;
	struct bridge *bridge = end->bridge;
	for (size_t i = 0; i < bridge->n_endpoints; i++)
		if (bridge->endpoints[i].courier)
			courier_retry_replies(bridge->endpoints[i].courier);
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

static void find_roles(struct bridge *bridge)
{
	for (size_t m = 0; m < bridge->config->n_mappings; m++) {
		const struct mapping_config *map = &bridge->config->mappings[m];
		bridge->endpoints[map->from_connection].is_source = true;
		for (size_t i = 0; i < bridge->n_endpoints; i++)
			bridge->endpoints[i].is_sink |= mapping_writes_to(bridge->config, map, i);
	}
}

struct leftover_check {
	struct bridge *bridge;
	const struct bridge_options *options;
	int result;
};

static struct endpoint *endpoint_named(struct bridge *bridge, const char *name)
{
	for (size_t i = 0; i < bridge->n_endpoints; i++)
		if (strcmp(bridge->config->connections[i].name, name) == 0)
			return &bridge->endpoints[i];
	return NULL;
}

static bool named_in(const char *const *names, const char *name)
{
	for (; names && *names; names++)
		if (strcmp(*names, name) == 0)
			return true;
	return false;
}

static void drop_leftover(struct leftover_check *check, const struct journal_outbox *box)
{
	/* Said before it is done: the name goes with the destination. */
	log_warn("destination_dropped", "destination=%s messages=%llu bytes=%llu", box->name,
		(unsigned long long)box->waiting, (unsigned long long)box->waiting_bytes);
	int r = journal_drop_destination(check->bridge->journal, box->dest);
	if (r < 0)
		check->result = r;
}

/* A destination that nothing writes to any more: its messages are dropped, drained or stop the start. */
static void check_leftover(const struct journal_outbox *box, void *arg)
{
	struct leftover_check *check = arg;
	struct endpoint *end = endpoint_named(check->bridge, box->name);
	if (!end || !end->is_sink)
		journal_limit_values(check->bridge->journal, box->dest, 1, 0); /* nobody can ask for them */
	if (box->waiting == 0 || (end && end->is_sink))
		return;
	if (named_in(check->options->drop, box->name)) {
		drop_leftover(check, box);
	} else if (end && check->options->drain && end->connector->can_sink) {
		end->is_sink = true;
	} else {
		log_error("leftover_messages",
			"destination=%s messages=%llu what=\"%s has messages waiting, but no mapping writes to it any "
			"more. %s or start once with --drop %s to throw them away\"",
			box->name, (unsigned long long)box->waiting, box->name,
			end ? "Start once with --drain to deliver them," : "Put the connection back into the file,",
			box->name);
		check->result = -EEXIST;
	}
}

static int check_leftovers(struct bridge *bridge, const struct bridge_options *options)
{
	struct leftover_check check = {.bridge = bridge, .options = options};
	journal_outboxes(bridge->journal, check_leftover, &check);
	return check.result;
}

static int register_names(struct endpoint *end)
{
	struct journal *j = end->bridge->journal;
	if (end->is_sink) {
		int dest = journal_destination(j, end->config->name);
		if (dest < 0)
			return dest;
		end->dest = (uint32_t)dest;
		end->at_start = journal_outbox(j, end->dest);
	}
	end->has_state = end->is_source || (end->is_sink && end->connector->keeps_session);
	if (end->has_state) {
		int source = journal_source(j, end->config->name);
		if (source < 0)
			return source;
		end->source = (uint32_t)source;
	}
	return 0;
}

static int list_subscriptions(struct endpoint *end)
{
	const struct router_filter *filters;
	end->n_subscriptions = router_filters(end->bridge->router, end->index, &filters);
	end->subscriptions = calloc(end->n_subscriptions + 1, sizeof *end->subscriptions);
	if (!end->subscriptions)
		return -ENOMEM;
	for (size_t i = 0; i < end->n_subscriptions; i++)
		end->subscriptions[i] = (struct link_subscription){
			.filter = filters[i].filter,
			.qos = filters[i].qos,
			.from_settings = filters[i].from_settings,
		};
	return 0;
}

static int open_courier(struct endpoint *end)
{
	struct courier_options options = {
		.name = end->config->name,
		.loop = end->bridge->loop,
		.journal = end->bridge->journal,
		.dest = end->dest,
		.outbox = &end->config->outbox,
		.connector = end->connector,
		.settings = end->config->settings,
		.link = end->link,
		.in_order = end->connector->exactly_once_in_order &&
			    connection_sends_exactly_once(end->bridge->config, end->index),
		.on_room = on_courier_room,
		.on_reply = replies_append,
		.on_value = end->connector->keeps_values ? keeping_value : NULL,
		.ctx = end,
	};
	if (journal_outbox(options.journal, end->dest).paused)
		log_warn("destination_paused",
			"destination=%s what=\"paused by hand: linkspan queue resume lets it send again\"",
			options.name);
	end->courier = courier_new(&options);
	return end->courier ? 0 : -ENOMEM;
}

static bool declares_exactly_once(const struct endpoint *end)
{
	const struct config *config = end->bridge->config;
	if (end->config->delivery == EXACTLY_ONCE)
		return true;
	for (size_t m = 0; m < config->n_mappings; m++) {
		const struct mapping_config *map = &config->mappings[m];
		bool mine = map->from_connection == end->index;
		for (size_t t = 0; t < map->n_targets; t++)
			mine |= map->targets[t].connection == end->index;
		if (mine && map->delivery == EXACTLY_ONCE)
			return true;
	}
	return false;
}

static int open_endpoint(struct endpoint *end)
{
	int r = register_names(end);
	if (r == 0)
		r = list_subscriptions(end);
	if (r < 0)
		return r;
	struct link_spec spec = {
		.name = end->config->name,
		.settings = end->config->settings,
		.loop = end->bridge->loop,
		.subscriptions = end->subscriptions,
		.n_subscriptions = end->n_subscriptions,
		.is_sink = end->is_sink,
		.exactly_once = declares_exactly_once(end),
		.sink_exactly_once = connection_sends_exactly_once(end->bridge->config, end->index),
	};
	keeping_open(end);
	r = end->connector->create(&spec, &end->host, &end->link);
	if (r < 0)
		return r;
	return end->is_sink ? open_courier(end) : 0;
}

static int make_endpoints(struct bridge *bridge)
{
	const struct config *config = bridge->config;
	bridge->endpoints = calloc(config->n_connections + 1, sizeof *bridge->endpoints);
	if (!bridge->endpoints)
		return -ENOMEM;
	bridge->n_endpoints = config->n_connections;
	for (size_t i = 0; i < config->n_connections; i++)
		bridge->endpoints[i] = (struct endpoint){
			.host = {&host_ops},
			.bridge = bridge,
			.index = i,
			.config = &config->connections[i],
			.connector = config->connections[i].connector,
			.acknowledgement.scale = &histogram_long,
		};
	find_roles(bridge);
	return 0;
}

static struct courier *queue_courier_of(void *ctx, uint32_t dest)
{
	struct bridge *bridge = ctx;
	for (size_t i = 0; i < bridge->n_endpoints; i++)
		if (bridge->endpoints[i].courier && bridge->endpoints[i].dest == dest)
			return bridge->endpoints[i].courier;
	return NULL;
}

static void on_queue_idle(void *ctx)
{
	bridge_check_drained(ctx);
}

static int open_queue_service(struct bridge *bridge)
{
	struct queue_service_options options = {
		.journal = bridge->journal,
		.loop = bridge->loop,
		.courier = queue_courier_of,
		.on_idle = on_queue_idle,
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
		.min_free = options->config->journal.min_free_bytes,
		.max_sequences = (uint64_t)options->config->journal.max_sequences,
		.max_keys = (uint64_t)options->config->journal.max_keys,
		.on_durable = on_durable,
		.on_room = on_journal_room,
		.on_failed = on_journal_failed,
		.ctx = bridge,
	};
	int r = make_endpoints(bridge);
	if (r < 0)
		return r;
	bridge->stop_timer = loop_timer_new(options->loop, on_stop_timer, bridge);
	bridge->retry_timer = loop_timer_new(options->loop, on_retry_timer, bridge);
	bridge->router = router_new(options->config);
	if (!bridge->stop_timer || !bridge->retry_timer || !bridge->router)
		return -ENOMEM;
	r = journal_open(&journal, &bridge->journal);
	if (r == 0)
		r = check_leftovers(bridge, options);
	if (r == 0)
		disk_limits_check(options->disk, options->config);
	for (size_t i = 0; r == 0 && i < bridge->n_endpoints; i++)
		r = open_endpoint(&bridge->endpoints[i]);
	if (r == 0)
		r = open_queue_service(bridge);
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

struct endpoint_recovery {
	struct link_recovery base;
	const struct endpoint *end;
};

static void recovered_open_ids(
	const struct link_recovery *recovery, void (*fn)(uint16_t id, uint64_t hash, void *arg), void *arg)
{
	const struct endpoint *end = ((const struct endpoint_recovery *)recovery)->end;
	if (end->has_state)
		journal_open_ids(end->bridge->journal, end->source, fn, arg);
}

static bool recovered_position(const struct link_recovery *recovery, struct slice partition, uint64_t *ret_position)
{
	const struct endpoint *end = ((const struct endpoint_recovery *)recovery)->end;
	return end->has_state && journal_position(end->bridge->journal, end->source, partition, ret_position);
}

static void recovered_positions(const struct link_recovery *recovery,
	void (*fn)(struct slice partition, uint64_t position, uint64_t hash, void *arg), void *arg)
{
	const struct endpoint *end = ((const struct endpoint_recovery *)recovery)->end;
	if (end->has_state)
		journal_positions(end->bridge->journal, end->source, fn, arg);
}

static void start_endpoint(struct endpoint *end)
{
	struct journal *j = end->bridge->journal;
	struct endpoint_recovery recovery = {
		.base =
			{
				.destination_uuid = end->is_sink ? journal_destination_uuid(j, end->dest) : NULL,
				.subscriptions = end->has_state ? journal_subscriptions(j, end->source)
								: (struct slice){NULL, 0},
				.open_ids = recovered_open_ids,
				.position = recovered_position,
				.positions = recovered_positions,
			},
		.end = end,
	};
	end->connector->start(end->link, &recovery.base);
}

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
	for (size_t i = 0; i < bridge->n_endpoints; i++) {
		if (bridge->endpoints[i].is_source || bridge->endpoints[i].is_sink)
			start_endpoint(&bridge->endpoints[i]);
		else
			bridge->endpoints[i].stopped = true; /* configured, but no mapping uses it */
	}
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
		if (!bridge->endpoints[i].stopped)
			bridge->endpoints[i].connector->stop(bridge->endpoints[i].link, linger_ms);
	finish_if_links_stopped(bridge);
}

void bridge_check_drained(struct bridge *bridge)
{
	if (bridge->state != BRIDGE_DRAINING)
		return;
	for (size_t i = 0; i < bridge->n_endpoints; i++) {
		const struct endpoint *end = &bridge->endpoints[i];
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

void bridge_stop(struct bridge *bridge)
{
	if (bridge->state >= BRIDGE_DRAINING)
		return;
	bool was_running = bridge->state == BRIDGE_RUNNING;
	bridge->state = BRIDGE_DRAINING;
	control_free(bridge->control);
	bridge->control = NULL;
	if (!was_running || bridge->failure < 0) {
		for (size_t i = 0; !was_running && i < bridge->n_endpoints; i++)
			bridge->endpoints[i].stopped = true;
		/* Nothing is waited for, but nothing may be sent either while the links close. */
		for (size_t i = 0; i < bridge->n_endpoints; i++)
			if (bridge->endpoints[i].courier)
				courier_drain(bridge->endpoints[i].courier, NULL, NULL);
		stop_links(bridge);
		return;
	}
	bridge->stop_until_ms = loop_now_ms(bridge->loop) + bridge->config->shutdown_timeout_ms;
	loop_timer_start(bridge->stop_timer, bridge->config->shutdown_timeout_ms);
	for (size_t i = 0; i < bridge->n_endpoints; i++)
		if (bridge->endpoints[i].is_source)
			bridge->endpoints[i].connector->stop_intake(bridge->endpoints[i].link);
	for (size_t i = 0; i < bridge->n_endpoints; i++)
		if (bridge->endpoints[i].courier)
			courier_drain(bridge->endpoints[i].courier, on_courier_idle, &bridge->endpoints[i]);
	bridge_check_drained(bridge);
}

void bridge_reload(struct bridge *bridge)
{
	if (bridge->state != BRIDGE_RUNNING && bridge->state != BRIDGE_DRAINING)
		return;
	for (size_t i = 0; i < bridge->n_endpoints; i++) {
		const struct endpoint *end = &bridge->endpoints[i];
		if ((end->is_source || end->is_sink) && !end->stopped && end->connector->reload)
			end->connector->reload(end->link);
	}
}

struct counter_text {
	char text[512];
	size_t len;
};

static void add_counter(const char *name, uint64_t value, void *arg)
{
	struct counter_text *counters = arg;
	size_t room = sizeof counters->text - counters->len;
	int n = snprintf(counters->text + counters->len, room, " %s=%llu", name, (unsigned long long)value);
	if (n > 0 && (size_t)n < room)
		counters->len += (size_t)n;
	else
		counters->text[counters->len] = '\0';
}

/* What has become of the destination's messages, over all restarts. */
static void log_totals(const struct endpoint *end, unsigned long request)
{
	struct counter_text text = {.len = 0};
	struct journal_outbox box = journal_outbox(end->bridge->journal, end->dest);
	add_counter("offered", box.next_seq - 1 + box.totals[JOURNAL_DROPPED_NEWEST], &text);
	add_counter("waiting", box.waiting, &text);
	for (unsigned i = 0; i < JOURNAL_N_TOTALS; i++)
		add_counter(journal_total_name((enum journal_total)i), box.totals[i], &text);
	log_info("totals", "request=%lu destination=%s%s", request, end->config->name, text.text);
}

static void log_counters(const struct endpoint *end, unsigned long request)
{
	struct counter_text counters = {.len = 0};
	if (!end->connector->counters || !end->link)
		return;
	end->connector->counters(end->link, add_counter, &counters);
	log_info("status", "request=%lu connection=%s%s", request, end->config->name, counters.text);
}

void bridge_log_status(struct bridge *bridge)
{
	/* The number tells answers apart, and keeps equal ones from being taken for repeats. */
	unsigned long request = ++bridge->status_requests;
	for (size_t i = 0; i < bridge->n_endpoints; i++) {
		const struct endpoint *end = &bridge->endpoints[i];
		if (end->is_source)
			log_info("status",
				"request=%lu source=%s taken=%llu unmatched=%llu looped=%llu refused=%llu paused=%s "
				"unacknowledged=%zu unnumbered=%llu dropped=%llu left_out=%llu unlimited=%llu",
				request, end->config->name, (unsigned long long)end->taken,
				(unsigned long long)end->unmatched, (unsigned long long)end->looped,
				(unsigned long long)end->refused, end->paused ? "yes" : "no", end->receipts.count,
				(unsigned long long)end->unnumbered, (unsigned long long)end->dropped,
				(unsigned long long)end->left_out, (unsigned long long)end->unlimited);
		if (!end->courier)
			continue;
		struct courier_stats stats = courier_stats(end->courier);
		struct journal_outbox box = journal_outbox(bridge->journal, end->dest);
		log_info("status",
			"request=%lu destination=%s link=%s waiting=%llu waiting_bytes=%llu in_flight=%llu "
			"journalled=%llu "
			"delivered=%llu "
			"retried=%llu dead=%llu expired=%llu paused=%s replies=%llu replies_dropped=%llu",
			request, end->config->name, stats.link_is_up ? "up" : "down", (unsigned long long)box.waiting,
			(unsigned long long)box.waiting_bytes, (unsigned long long)stats.in_flight,
			(unsigned long long)box.next_seq - 1, (unsigned long long)stats.delivered,
			(unsigned long long)stats.retried, (unsigned long long)stats.dead,
			(unsigned long long)stats.expired, stats.paused ? "yes" : "no",
			(unsigned long long)end->replies,
			(unsigned long long)(end->replies_dropped + stats.replies_dropped));
		log_totals(end, request);
	}
	for (size_t i = 0; i < bridge->n_endpoints; i++)
		if (bridge->endpoints[i].is_source || bridge->endpoints[i].is_sink)
			log_counters(&bridge->endpoints[i], request);
}

static void close_endpoint(struct endpoint *end)
{
	if (end->courier)
		courier_free(end->courier);
	if (end->link)
		end->connector->destroy(end->link);
	receipts_free(&end->receipts);
	free(end->subscriptions);
}

int bridge_close(struct bridge *bridge)
{
	int r = bridge->failure;
	control_free(bridge->control);
	queue_service_free(bridge->queue);
	for (size_t i = 0; i < bridge->n_endpoints; i++)
		close_endpoint(&bridge->endpoints[i]);
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
	free(bridge);
	return r;
}
