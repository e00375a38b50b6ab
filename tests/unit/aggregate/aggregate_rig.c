/* SPDX-License-Identifier: Apache-2.0
 *
 * The bridge of a process, put together by hand, so that it can go without a word.
 */
#include "tests/unit/aggregate/aggregate_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/log.h"

struct bench bench;

/* --- the hosts ---------------------------------------------------------------------------------------------------- */

static struct endpoint *endpoint_of(struct link_host *host)
{
	return (struct endpoint *)host;
}

static void host_link_up(struct link_host *host, const struct sink_traits *traits)
{
	courier_link_up(endpoint_of(host)->courier, traits);
}

static void host_link_down(struct link_host *host, const char *reason)
{
	courier_link_down(endpoint_of(host)->courier, reason);
}

static void host_window(struct link_host *host, uint32_t max_in_flight)
{
	courier_window(endpoint_of(host)->courier, max_in_flight);
}

static void host_outcome(struct link_host *host, uint64_t seq, const struct outcome *outcome)
{
	courier_outcome(endpoint_of(host)->courier, seq, outcome);
}

static void host_stopped(struct link_host *host)
{
	endpoint_of(host)->stopped = true;
}

static const struct link_host_ops host_ops = {
	.offer = intake_offer,
	.link_up = host_link_up,
	.link_down = host_link_down,
	.window = host_window,
	.outcome = host_outcome,
	.replace = together_replace,
	.outbox = together_outbox,
	.stopped = host_stopped,
};

/* --- the ends ----------------------------------------------------------------------------------------------------- */

static void note(uint64_t seq, const struct message_view *view)
{
	char *text = malloc(view->topic.len + view->payload.len + 2);
	sprintf(text, "%.*s %.*s", (int)view->topic.len, (const char *)view->topic.data, (int)view->payload.len,
		(const char *)view->payload.data);
	CU_ASSERT_FATAL(seq < MAX_RESULTS);
	if (bench.results[seq]) {
		bench.repeated++;
		bench.different += strcmp(bench.results[seq], text) != 0;
		free(bench.results[seq]);
	} else {
		bench.n_results++;
	}
	bench.results[seq] = text;
	bench.qos = view->qos;
}

static void lake_send(struct link *link, const struct delivery *delivery)
{
	(void)link;
	note(delivery->seq, message_view(delivery->msg));
	courier_outcome(bench.endpoints[LAKE].courier, delivery->seq, &(struct outcome){.kind = OUTCOME_DELIVERED});
}

static void nothing(struct link *link)
{
	(void)link;
}

static const struct connector lake = {.name = "fake",
	.can_sink = true,
	.pipelined_order = true,
	.send = lake_send,
	.send_end = nothing,
	.pause = nothing,
	.resume = nothing};

/* --- a process ---------------------------------------------------------------------------------------------------- */

static bool recovered_position(const struct link_recovery *recovery, struct slice partition, uint64_t *ret_position)
{
	(void)recovery;
	return journal_position(bench.rig.j, bench.endpoints[AGGREGATOR].source, partition, ret_position);
}

static void on_room(void *ctx)
{
	intake_resume(&bench.bridge, ctx);
}

static void on_retry(void *arg)
{
	intake_resume(arg, NULL);
}

static void open_courier(struct endpoint *end)
{
	int dest = journal_destination(bench.rig.j, end->config->name);
	CU_ASSERT_FATAL(dest >= 0);
	end->dest = (uint32_t)dest;
	struct courier_options options = {.name = end->config->name,
		.loop = bench.rig.loop,
		.journal = bench.rig.j,
		.dest = end->dest,
		.outbox = &end->config->outbox,
		.connector = end->connector,
		.settings = end->config->settings,
		.link = end->link,
		.on_room = on_room,
		.ctx = end};
	end->courier = courier_new(&options);
	CU_ASSERT_PTR_NOT_NULL_FATAL(end->courier);
}

static void start(void)
{
	struct bridge *bridge = &bench.bridge;
	rig_open(&bench.rig);
	*bridge = (struct bridge){.config = bench.config,
		.loop = bench.rig.loop,
		.journal = bench.rig.j,
		.router = router_new(bench.config),
		.endpoints = bench.of_bridge,
		.n_endpoints = ENDPOINTS,
		.state = BRIDGE_RUNNING,
		.retry_timer = loop_timer_new(bench.rig.loop, on_retry, bridge)};
	CU_ASSERT_PTR_NOT_NULL_FATAL(bridge->router);
	for (size_t i = 0; i < ENDPOINTS; i++) {
		bench.of_bridge[i] = &bench.endpoints[i];
		bench.endpoints[i] = (struct endpoint){.host = {&host_ops},
			.bridge = bridge,
			.index = i,
			.config = &bench.config->connections[i],
			.connector = i == AGGREGATOR ? &aggregate_connector : &lake};
	}
	struct endpoint *aggregator = &bench.endpoints[AGGREGATOR];
	struct link_spec spec = {.name = aggregator->config->name,
		.settings = aggregator->config->settings,
		.loop = bench.rig.loop,
		.is_sink = true};
	CU_ASSERT_EQUAL_FATAL(aggregate_connector.create(&spec, &aggregator->host, &aggregator->link), 0);
	int source = journal_source(bench.rig.j, aggregator->config->name);
	CU_ASSERT_FATAL(source >= 0);
	aggregator->source = (uint32_t)source;
	aggregator->has_state = aggregator->is_source = true;
	open_courier(&bench.endpoints[LAKE]);
	open_courier(aggregator);
	if (!bench.target_is_away)
		courier_link_up(bench.endpoints[LAKE].courier, &(struct sink_traits){.max_in_flight = 1000});
	aggregate_connector.start(aggregator->link, &(struct link_recovery){.position = recovered_position});
}

static void forget(void)
{
	struct bridge *bridge = &bench.bridge;
	for (size_t i = 0; i < ENDPOINTS; i++)
		receipts_free(&bench.endpoints[i].receipts);
	courier_free(bench.endpoints[LAKE].courier);
	courier_free(bench.endpoints[AGGREGATOR].courier);
	aggregate_connector.destroy(bench.endpoints[AGGREGATOR].link);
	loop_timer_free(bridge->retry_timer);
	router_free(bridge->router);
	free(bridge->entries);
	free(bridge->changes);
	free(bridge->runs);
	marking_free(&bridge->marking);
	spacing_free(&bridge->spacing);
}

void bench_begin(const char *rules)
{
	char path[300];
	memset(&bench, 0, sizeof bench);
	rig_init(&bench.rig);
	snprintf(path, sizeof path, "%s/linkspan.yaml", tap_tempdir());
	FILE *file = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	fprintf(file,
		"data_dir: data\n"
		"connections:\n"
		"  plant: {type: mqtt, url: \"mqtt://localhost\", client_id: p}\n"
		"  lake: {type: mqtt, url: \"mqtt://localhost:1884\", client_id: l}\n"
		"mappings:\n"
		"  - name: sums\n"
		"    from: {connection: plant, topic: \"in/{k}/#\", qos: 2}\n"
		"    to: {connection: lake, topic: \"out/{k}\"}\n"
		"%s",
		rules);
	fclose(file);
	CU_ASSERT_EQUAL_FATAL(config_load(path, stdout, &bench.config, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(bench.config->n_connections, ENDPOINTS);
	start();
}

void bench_end(void)
{
	CU_ASSERT_EQUAL(bench.different, 0);
	CU_ASSERT_EQUAL(rig_logged("outcome_ignored"), 0);
	forget();
	rig_fini(&bench.rig);
	config_free(bench.config);
	for (size_t i = 0; i < MAX_RESULTS; i++)
		free(bench.results[i]);
}

enum offer_result bench_offer(const char *topic, const char *payload, uint8_t qos)
{
	struct message_view view = {.topic = slice_str(topic),
		.payload = slice_str(payload),
		.qos = qos,
		.origin_ms = loop_wall_ms(bench.rig.loop)};
	return intake_offer(
		&bench.endpoints[PLANT].host, &(struct offer){.view = &view, .subscription = -1, .no_receipt = true});
}

enum offer_result bench_offer_at(const char *topic, const char *payload, uint64_t origin_ms)
{
	struct message_view view = {.topic = slice_str(topic), .payload = slice_str(payload), .origin_ms = origin_ms};
	return intake_offer(
		&bench.endpoints[PLANT].host, &(struct offer){.view = &view, .subscription = -1, .no_receipt = true});
}

void bench_settle(void)
{
	for (unsigned i = 0; i < 8; i++) {
		rig_run(&bench.rig);
		courier_durable(bench.endpoints[LAKE].courier, journal_durable_lsn(bench.rig.j));
		courier_durable(bench.endpoints[AGGREGATOR].courier, journal_durable_lsn(bench.rig.j));
	}
}

void bench_wait(uint64_t ms)
{
	bench_settle();
	loop_sim_advance(bench.rig.loop, ms);
	bench_settle();
}

void bench_crash(void)
{
	struct rig *rig = &bench.rig;
	/* What the couriers would write as they go is not to be on the disk. */
	struct sim_disk *image = sim_disk_fork(rig->sim);
	forget();
	struct journal *j = rig->j;
	rig->j = NULL;
	int ignored = journal_close(j);
	(void)ignored;
	sim_disk_free(rig->sim);
	rig->sim = image;
	start();
}

void bench_restart(void)
{
	bench.bridge.state = BRIDGE_DRAINING;
	aggregate_connector.stop_intake(bench.endpoints[AGGREGATOR].link);
	CU_ASSERT_EQUAL(courier_stats(bench.endpoints[AGGREGATOR].courier).in_flight, 0);
	bench_settle();
	aggregate_connector.stop(bench.endpoints[AGGREGATOR].link, 0);
	CU_ASSERT(bench.endpoints[AGGREGATOR].stopped);
	forget();
	rig_close(&bench.rig);
	start();
}

const char *bench_results(void)
{
	static char text[20000];
	size_t len = 0;
	text[0] = '\0';
	for (size_t i = 0; i < MAX_RESULTS && len < sizeof text; i++)
		if (bench.results[i])
			len += (size_t)snprintf(
				text + len, sizeof text - len, "%s%s", len ? "|" : "", bench.results[i]);
	return text;
}

uint64_t bench_waiting(void)
{
	return journal_outbox(bench.rig.j, bench.endpoints[AGGREGATOR].dest).waiting;
}

static const char *wanted_counter;

static void find_counter(const char *name, uint64_t value, void *arg)
{
	if (strcmp(name, wanted_counter) == 0)
		*(uint64_t *)arg = value;
}

uint64_t bench_counter(const char *name)
{
	uint64_t value = UINT64_MAX;
	wanted_counter = name;
	aggregate_connector.counters(bench.endpoints[AGGREGATOR].link, find_counter, &value);
	return value;
}
