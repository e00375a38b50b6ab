/* SPDX-License-Identifier: Apache-2.0
 *
 * What a configuration makes of a connection (a setup), and the endpoint that it becomes. A setup is complete before anything
 * that runs is touched, so that a configuration that cannot be applied leaves no trace.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/guarantee.h"
#include "config/reply.h"
#include "runtime/endpoint.h"
#include "runtime/log.h"

/* --- setups ---------------------------------------------------------------------------------------------------------- */

bool endpoint_setup_is_used(const struct endpoint_setup *setup)
{
	return setup->is_source || setup->is_sink;
}

static void find_roles(struct endpoint_setup *setup, const struct config *config)
{
	for (size_t m = 0; m < config->n_mappings; m++) {
		const struct mapping_config *map = &config->mappings[m];
		setup->is_source |= map->from_connection == setup->index;
		setup->is_sink |= mapping_writes_to(config, map, setup->index);
	}
}

static bool declares_exactly_once(const struct config *config, size_t index)
{
	if (config->connections[index].delivery == EXACTLY_ONCE)
		return true;
	for (size_t m = 0; m < config->n_mappings; m++) {
		const struct mapping_config *map = &config->mappings[m];
		bool mine = map->from_connection == index;
		for (size_t t = 0; t < map->n_targets; t++)
			mine |= map->targets[t].connection == index;
		if (mine && map->delivery == EXACTLY_ONCE)
			return true;
	}
	return false;
}

static void free_subscriptions(struct link_subscription *subscriptions, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free((char *)(uintptr_t)subscriptions[i].filter);
	free(subscriptions);
}

/* With filters of their own: the router that they are from may go before the link does. */
static int list_subscriptions(struct endpoint_setup *setup, const struct router *router)
{
	const struct router_filter *filters;
	size_t n = router_filters(router, setup->index, &filters);
	setup->subscriptions = calloc(n + 1, sizeof *setup->subscriptions);
	if (!setup->subscriptions)
		return -ENOMEM;
	for (; setup->n_subscriptions < n; setup->n_subscriptions++) {
		const struct router_filter *filter = &filters[setup->n_subscriptions];
		char *copy = strdup(filter->filter);
		if (!copy)
			return -ENOMEM;
		setup->subscriptions[setup->n_subscriptions] = (struct link_subscription){
			.filter = copy,
			.qos = filter->qos,
			.from_settings = filter->from_settings,
		};
	}
	return 0;
}

int endpoint_setup(struct bridge *bridge, struct generation *generation, struct router *router, size_t index,
	struct endpoint_setup *ret_setup)
{
	const struct config *config = generation->config;
	(void)bridge;
	struct endpoint_setup setup = {
		.generation = generation_ref(generation),
		.config = &config->connections[index],
		.index = index,
		.exactly_once = declares_exactly_once(config, index),
		.sink_exactly_once = connection_sends_exactly_once(config, index),
	};
	find_roles(&setup, config);
	int r = list_subscriptions(&setup, router);
	if (r < 0)
		endpoint_setup_free(&setup);
	else
		*ret_setup = setup;
	return r;
}

void endpoint_setup_free(struct endpoint_setup *setup)
{
	if (!setup->generation)
		return;
	if (setup->link)
		setup->config->connector->destroy(setup->link);
	free_subscriptions(setup->subscriptions, setup->n_subscriptions);
	generation_unref(setup->generation);
	*setup = (struct endpoint_setup){0};
}

int endpoint_setup_names(struct bridge *bridge, struct endpoint_setup *setup)
{
	const char *name = setup->config->name;
	setup->has_state = setup->is_source || (setup->is_sink && setup->config->connector->keeps_session);
	int number = setup->is_sink ? journal_destination(bridge->journal, name) : 0;
	if (number < 0)
		return number;
	setup->dest = (uint32_t)number;
	number = setup->has_state ? journal_source(bridge->journal, name) : 0;
	if (number < 0)
		return number;
	setup->source = (uint32_t)number;
	return 0;
}

struct link_spec endpoint_setup_spec(const struct bridge *bridge, const struct endpoint_setup *setup)
{
	return (struct link_spec){
		.name = setup->config->name,
		.settings = setup->config->settings,
		.loop = bridge->loop,
		.subscriptions = setup->subscriptions,
		.n_subscriptions = setup->n_subscriptions,
		.is_sink = setup->is_sink,
		.exactly_once = setup->exactly_once,
		.sink_exactly_once = setup->sink_exactly_once,
	};
}

int endpoint_setup_link(struct bridge *bridge, struct endpoint_setup *setup, struct endpoint *end)
{
	struct link_spec spec = endpoint_setup_spec(bridge, setup);
	return setup->config->connector->create(&spec, &end->host, &setup->link);
}

/* --- life ------------------------------------------------------------------------------------------------------------ */

bool endpoint_is_used(const struct endpoint *end)
{
	return end->is_source || end->is_sink;
}

struct endpoint *endpoint_named(struct bridge *bridge, const char *name)
{
	for (size_t i = 0; i < bridge->n_endpoints; i++)
		if (strcmp(bridge->endpoints[i]->config->name, name) == 0)
			return bridge->endpoints[i];
	return NULL;
}

struct endpoint *endpoint_new(struct bridge *bridge)
{
	struct endpoint *end = calloc(1, sizeof *end);
	if (!end)
		return NULL;
	*end = (struct endpoint){
		.host = {&endpoint_host_ops},
		.bridge = bridge,
		.stopped = true,
		.acknowledgement.scale = &histogram_long,
	};
	return end;
}

/* Says so too if the destination is paused. */
int endpoint_open_courier(struct endpoint *end, const struct endpoint_setup *setup)
{
	const struct connection_config *config = setup->config;
	struct courier_options options = {
		.name = config->name,
		.loop = end->bridge->loop,
		.journal = end->bridge->journal,
		.dest = setup->dest,
		.outbox = &config->outbox,
		.connector = config->connector,
		.settings = config->settings,
		.link = setup->link,
		.in_order = config->connector->exactly_once_in_order && setup->sink_exactly_once,
		.on_room = bridge_courier_room,
		.on_reply = replies_append,
		.on_value = config->connector->keeps_values ? keeping_value : NULL,
		.on_dropped = watching_dropped,
		.ctx = end,
	};
	if (journal_outbox(options.journal, setup->dest).paused)
		log_warn("destination_paused",
			"destination=%s what=\"paused by hand: linkspan queue resume lets it send again\"",
			options.name);
	end->courier = courier_new(&options);
	if (!end->courier)
		return -ENOMEM;
	if (!end->is_sink)
		end->at_start = journal_outbox(options.journal, setup->dest);
	return 0;
}

static void take_subscriptions(struct endpoint *end, struct endpoint_setup *setup)
{
	free_subscriptions(end->subscriptions, end->n_subscriptions);
	end->subscriptions = setup->subscriptions;
	end->n_subscriptions = setup->n_subscriptions;
	generation_unref(end->subscriptions_of);
	end->subscriptions_of = generation_ref(setup->generation);
	setup->subscriptions = NULL;
	setup->n_subscriptions = 0;
}

static void take_roles(struct endpoint *end, const struct endpoint_setup *setup)
{
	end->index = setup->index;
	end->is_source = setup->is_source;
	end->is_sink = setup->is_sink;
	end->exactly_once = setup->exactly_once;
	end->sink_exactly_once = setup->sink_exactly_once;
	end->has_state = setup->has_state;
	end->source = setup->source;
	end->dest = setup->dest;
}

int endpoint_become(struct endpoint *end, struct endpoint_setup *setup)
{
	struct courier *before = end->courier_is_next ? NULL : end->courier;
	int r = 0;
	if (setup->is_sink && !end->courier_is_next)
		r = endpoint_open_courier(end, setup);
	else if (!setup->is_sink)
		end->courier = NULL;
	if (r < 0)
		end->courier = before;
	if (r < 0)
		return r;
	if (before && end->courier)
		courier_inherit(end->courier, before);
	courier_free(before);
	end->courier_is_next = false;
	take_subscriptions(end, setup);
	take_roles(end, setup);
	generation_unref(end->generation);
	end->generation = generation_ref(setup->generation);
	end->config = setup->config;
	end->connector = setup->config->connector;
	end->link = setup->link;
	setup->link = NULL;
	end->link_is_up = end->paused = end->intake_stopped = end->removed = end->drop = end->idle = false;
	end->waits_for = NULL;
	endpoint_setup_free(setup);
	keeping_open(end);
	return 0;
}

int endpoint_retarget(struct endpoint *end, struct endpoint_setup *setup)
{
	struct link_spec spec = endpoint_setup_spec(end->bridge, setup);
	spec.name = end->config->name;
	spec.settings = end->config->settings;
	bool begins = setup->is_sink && !end->courier, ends = !setup->is_sink && end->courier;
	struct endpoint_setup mine = *setup; /* the courier borrows what the link does */
	mine.config = end->config;
	mine.link = end->link;
	int r = begins ? endpoint_open_courier(end, &mine) : 0;
	if (r == 0)
		r = end->connector->retarget(end->link, &spec);
	if (r < 0 && begins) {
		courier_free(end->courier);
		end->courier = NULL;
	}
	if (r < 0)
		return r;
	if (ends) {
		courier_free(end->courier);
		end->courier = NULL;
	}
	take_subscriptions(end, setup);
	take_roles(end, setup);
	endpoint_setup_free(setup);
	if (!begins)
		return 0;
	keeping_open(end);
	end->traits.session_lost = false;
	if (end->link_is_up)
		courier_link_up(end->courier, &end->traits);
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

void endpoint_start(struct endpoint *end)
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
	end->phase = ENDPOINT_SERVING;
	end->stopped = false;
	end->connector->start(end->link, &recovery.base);
}

void endpoint_free(struct endpoint *end)
{
	courier_free(end->courier);
	if (end->link)
		end->connector->destroy(end->link);
	endpoint_setup_free(&end->next);
	receipts_free(&end->receipts);
	free_subscriptions(end->subscriptions, end->n_subscriptions);
	generation_unref(end->subscriptions_of);
	generation_unref(end->generation);
	if (end->leave_timer) {
		loop_cancel(end->bridge->loop, &end->left_job);
		loop_timer_free(end->leave_timer);
	}
	free(end);
}
