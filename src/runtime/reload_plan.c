/* SPDX-License-Identifier: Apache-2.0
 *
 * What a new configuration makes of each endpoint. First everything that can fail is made beside what runs: setups, names in
 * the journal, links, couriers of those that are new. Then the commit: the router and the configuration are exchanged, and
 * each endpoint is kept, told of other subscriptions, begun anew, added or sent away. Whoever is not touched does not notice:
 * its link, its courier and its figures stay, and so does the configuration that they borrow from.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/difference.h"
#include "runtime/endpoint.h"
#include "runtime/log.h"
#include "runtime/reload.h"

enum fate { FATE_KEPT, FATE_TOLD, FATE_ANEW, FATE_ADDED, N_FATES };

struct item {
	struct endpoint *end; /* FATE_ADDED: the plan's until the commit */
	struct endpoint_setup setup;
	enum fate fate;
	bool drop; /* what waits for it (as drop_dest), which nothing writes to any more */
	uint32_t drop_dest;
	const char *changed; /* FATE_ANEW: the key, for the log */
};

struct plan {
	struct bridge *bridge;
	const struct reload_input *input;
	struct generation *generation;
	struct item *items; /* one per connection */
	size_t n_items;
	struct endpoint **endpoints; /* the array to be */
	struct endpoint **drop, **drain; /* those that the configuration does not name */
	size_t n_drop, n_drain;
	bool refused;
	size_t counts[N_FATES], n_removed;
};

static bool named_in(const char *const *names, const char *name)
{
	for (; names && *names; names++)
		if (strcmp(*names, name) == 0)
			return true;
	return false;
}

/* --- what cannot change ---------------------------------------------------------------------------------------------------- */

static void check_fixed(struct plan *plan)
{
	const struct config *after = plan->input->config;
	char *key = config_fixed_difference(plan->bridge->config, after);
	if (!key)
		return;
	plan->refused = true;
	fprintf(plan->input->why,
		"%s is another one than linkspan was started with, and is only read at the start: restart linkspan, or "
		"put it back\n",
		key);
	free(key);
}

/* --- destinations that nothing writes to any more ------------------------------------------------------------------------- */

static struct item *item_named(struct plan *plan, const char *name)
{
	for (size_t i = 0; i < plan->n_items; i++)
		if (strcmp(plan->items[i].setup.config->name, name) == 0)
			return &plan->items[i];
	return NULL;
}

static void refuse_leftover(struct plan *plan, const struct journal_outbox *box)
{
	plan->refused = true;
	fprintf(plan->input->why,
		"%s has %llu messages waiting, but no mapping writes to it any more: linkspan reload --drain %s "
		"delivers them first, "
		"linkspan reload --drop %s throws them away\n",
		box->name, (unsigned long long)box->waiting, box->name, box->name);
}

/* What is in a window goes out as a result, and the mapping that makes results, with its targets, is what has gone. */
static void refuse_windows(struct plan *plan, const struct journal_outbox *box)
{
	plan->refused = true;
	fprintf(plan->input->why,
		"%s has %llu messages waiting for their window to be over, but the mapping that says what becomes of "
		"them "
		"is gone: put it back until they are done, linkspan reload --drop %s throws them away\n",
		box->name, (unsigned long long)box->waiting, box->name);
}

static void check_leftover(const struct journal_outbox *box, void *arg)
{
	struct plan *plan = arg;
	const struct reload_order *order = plan->input->order;
	struct item *item = item_named(plan, box->name);
	struct endpoint *end = endpoint_named(plan->bridge, box->name);
	if (box->waiting == 0 || (item && item->setup.is_sink))
		return;
	bool drop = named_in(order->drop, box->name);
	if (drop && item) {
		item->drop = true;
		item->drop_dest = box->dest;
		return;
	}
	if (drop && end) {
		end->drop_dest = box->dest;
		plan->drop[plan->n_drop++] = end;
		return;
	}
	if (end && end->courier && end->removed)
		return; /* an earlier reload was told to drain it */
	if (end && end->config->is_aggregator)
		refuse_windows(plan, box);
	else if (named_in(order->drain, box->name) && item && item->setup.config->connector->can_sink)
		item->setup.is_sink = true; /* for as long as this configuration holds, as after a start with --drain */
	else if (named_in(order->drain, box->name) && end && end->courier)
		plan->drain[plan->n_drain++] = end;
	else
		refuse_leftover(plan, box);
}

struct search {
	const char *name;
	bool found;
};

static void find_outbox(const struct journal_outbox *box, void *arg)
{
	struct search *search = arg;
	search->found |= strcmp(box->name, search->name) == 0;
}

/* Whoever names a destination wants something to become of what waits there, and hears when nothing does. */
static void tell_unused(struct plan *plan, const char *const *names, const char *what)
{
	for (; names && *names; names++) {
		struct item *item = item_named(plan, *names);
		struct search search = {*names, item || endpoint_named(plan->bridge, *names)};
		journal_outboxes(plan->bridge->journal, find_outbox, &search);
		if (!search.found)
			fprintf(plan->input->why, "--%s %s: there is no destination of that name\n", what, *names);
		else if (item && item->setup.is_sink)
			fprintf(plan->input->why,
				"--%s %s: nothing becomes of what waits there, for a mapping writes to it; linkspan "
				"queue purge throws it away all the same\n",
				what, *names);
	}
}

/* --- what becomes of each --------------------------------------------------------------------------------------------------- */

static bool same_subscriptions(const struct endpoint *end, const struct endpoint_setup *setup)
{
	bool same = end->n_subscriptions == setup->n_subscriptions;
	for (size_t i = 0; same && i < setup->n_subscriptions; i++) {
		const struct link_subscription *before = &end->subscriptions[i], *after = &setup->subscriptions[i];
		same = strcmp(before->filter, after->filter) == 0 && before->qos == after->qos &&
		       from_settings_equal(end->connector, before->from_settings, after->from_settings);
	}
	return same;
}

static void find_fate(struct plan *plan, struct item *item)
{
	const struct endpoint_setup *setup = &item->setup;
	struct endpoint *end = item->end = endpoint_named(plan->bridge, setup->config->name);
	if (!end) {
		item->fate = FATE_ADDED;
		return;
	}
	item->fate = FATE_ANEW;
	item->changed = connection_difference(end->config, setup->config);
	if (item->changed || item->drop || end->phase != ENDPOINT_SERVING || end->intake_stopped)
		return;
	item->changed = "mappings";
	if (same_subscriptions(end, setup) && end->is_source == setup->is_source && end->is_sink == setup->is_sink &&
		end->exactly_once == setup->exactly_once && end->sink_exactly_once == setup->sink_exactly_once)
		item->fate = FATE_KEPT;
	else if (endpoint_is_used(end) && endpoint_setup_is_used(setup) && end->connector->retarget)
		item->fate = FATE_TOLD;
}

static int refuse_link(struct plan *plan, const struct item *item, int r)
{
	fprintf(plan->input->why, "%s:%d:%d: connection '%s' cannot be made: %s (the log says more)\n",
		item->setup.config->file, item->setup.config->line, item->setup.config->column,
		item->setup.config->name, strerror(-r));
	return r;
}

static int make_added(struct plan *plan, struct item *item)
{
	struct endpoint *end = endpoint_new(plan->bridge);
	if (!end)
		return -ENOMEM;
	end->generation = generation_ref(item->setup.generation);
	end->config = item->setup.config;
	end->connector = item->setup.config->connector;
	item->end = end;
	int r = endpoint_setup_link(plan->bridge, &item->setup, end);
	if (r < 0)
		return refuse_link(plan, item, r);
	return endpoint_become(end, &item->setup);
}

static int make_anew(struct plan *plan, struct item *item)
{
	int r = endpoint_setup_link(plan->bridge, &item->setup, item->end);
	return r < 0 ? refuse_link(plan, item, r) : 0;
}

static int make_item(struct plan *plan, struct item *item)
{
	int r = endpoint_setup_names(plan->bridge, &item->setup);
	if (r < 0) {
		fprintf(plan->input->why, "the journal does not take the name of connection '%s': %s\n",
			item->setup.config->name, strerror(-r));
		return r;
	}
	find_fate(plan, item);
	if (item->fate == FATE_ADDED)
		return make_added(plan, item);
	return item->fate == FATE_ANEW ? make_anew(plan, item) : 0;
}

static int make_setups(struct plan *plan)
{
	int r = 0;
	for (; r == 0 && plan->n_items < plan->input->config->n_connections; plan->n_items += r == 0)
		r = endpoint_setup(plan->bridge, plan->generation, plan->input->router, plan->n_items,
			&plan->items[plan->n_items].setup);
	return r;
}

static int make(struct plan *plan)
{
	size_t before = plan->bridge->n_endpoints, n = plan->input->config->n_connections;
	plan->items = calloc(n + 1, sizeof *plan->items);
	plan->endpoints = calloc(n + before + 1, sizeof(struct endpoint *));
	plan->drop = calloc(before + 1, sizeof(struct endpoint *));
	plan->drain = calloc(before + 1, sizeof(struct endpoint *));
	if (!plan->generation || !plan->items || !plan->endpoints || !plan->drop || !plan->drain)
		return -ENOMEM;
	int r = make_setups(plan);
	if (r < 0)
		return r;
	check_fixed(plan);
	tell_unused(plan, plan->input->order->drop, "drop");
	tell_unused(plan, plan->input->order->drain, "drain");
	journal_outboxes(plan->bridge->journal, check_leftover, plan);
	if (plan->refused)
		return -EINVAL;
	for (size_t i = 0; r == 0 && i < n; i++)
		r = make_item(plan, &plan->items[i]);
	return r;
}

static void give_up(struct plan *plan)
{
	for (size_t i = 0; i < plan->n_items; i++) {
		if (plan->items[i].fate == FATE_ADDED && plan->items[i].end)
			endpoint_free(plan->items[i].end);
		endpoint_setup_free(&plan->items[i].setup);
	}
	generation_unref(plan->generation);
}

/* --- the commit ------------------------------------------------------------------------------------------------------------- */

static bool is_in(struct endpoint *const *list, size_t n, const struct endpoint *end)
{
	for (size_t i = 0; i < n; i++)
		if (list[i] == end)
			return true;
	return false;
}

/* Those of the configuration in their order, then those that it does not name. */
static void exchange_endpoints(struct plan *plan)
{
	struct bridge *bridge = plan->bridge;
	size_t n = plan->n_items;
	for (size_t i = 0; i < n; i++) {
		plan->endpoints[i] = plan->items[i].end;
		plan->items[i].end->index = i;
		plan->items[i].end->removed = false;
	}
	for (size_t i = 0; i < bridge->n_endpoints; i++) {
		struct endpoint *end = bridge->endpoints[i];
		if (is_in(plan->endpoints, plan->n_items, end))
			continue;
		plan->endpoints[n++] = end;
		plan->n_removed += !end->removed;
		end->removed = true;
	}
	free(bridge->endpoints);
	bridge->endpoints = plan->endpoints;
	bridge->n_endpoints = n;
	plan->endpoints = NULL;
}

static struct router *exchange_configuration(struct plan *plan)
{
	struct bridge *bridge = plan->bridge;
	struct router *before = bridge->router;
	bridge->router = plan->input->router;
	bridge->generation = plan->generation;
	bridge->config = plan->input->config;
	bridge->configurations++;
	return before;
}

static void fail(struct plan *plan, const struct endpoint *end, int error)
{
	log_error("reload_failed", "connection=%s error=\"%s\" what=\"linkspan stops\"", end->config->name,
		strerror(-error));
	plan->bridge->failure = error;
	bridge_stop(plan->bridge);
}

/* Its messages are its own until the new link is there; what is routed to it has an outbox from now on. */
static void begin_anew(struct plan *plan, struct item *item)
{
	struct endpoint *end = item->end;
	log_info("connection_changed", "connection=%s key=%s reload=%lu", end->config->name,
		item->changed ? item->changed : "-", plan->bridge->configurations);
	end->drop = item->drop;
	end->drop_dest = item->drop_dest;
	if (item->setup.is_sink && !end->courier) {
		int r = endpoint_open_courier(end, &item->setup);
		end->courier_is_next = r == 0;
		if (r < 0)
			fail(plan, end, r);
	}
	end->next = item->setup;
	item->setup = (struct endpoint_setup){0};
	if (end->phase == ENDPOINT_SERVING)
		endpoint_leave(end);
}

static void tell(struct plan *plan, struct item *item)
{
	int r = endpoint_retarget(item->end, &item->setup);
	if (r == 0) {
		log_info("connection_told", "connection=%s subscriptions=%zu reload=%lu", item->end->config->name,
			item->end->n_subscriptions, plan->bridge->configurations);
		return;
	}
	plan->counts[FATE_TOLD]--;
	plan->counts[FATE_ANEW]++;
	r = make_anew(plan, item);
	if (r < 0)
		fail(plan, item->end, r);
	else
		begin_anew(plan, item);
}

static void carry_out(struct plan *plan, struct item *item)
{
	plan->counts[item->fate]++;
	switch (item->fate) {
	case FATE_KEPT:
		break;
	case FATE_TOLD:
		tell(plan, item);
		break;
	case FATE_ANEW:
		begin_anew(plan, item);
		break;
	default:
		log_info("connection_added", "connection=%s reload=%lu", item->end->config->name,
			plan->bridge->configurations);
		item->end->phase = ENDPOINT_PENDING;
	}
}

static void send_away(struct plan *plan, struct endpoint *end)
{
	if (end->phase != ENDPOINT_SERVING) {
		endpoint_setup_free(&end->next);
		return;
	}
	end->drop |= is_in(plan->drop, plan->n_drop, end);
	bool stays = journal_outbox(plan->bridge->journal, end->dest).waiting > 0 && end->courier && !end->drop;
	if (!stays) {
		endpoint_leave(end);
		return;
	}
	if (end->intake_stopped)
		return; /* since an earlier one */
	log_warn("connection_drains",
		"connection=%s reload=%lu what=\"it is removed once all that waits for it is delivered\"",
		end->config->name, plan->bridge->configurations);
	if (end->is_source)
		end->connector->stop_intake(end->link);
	end->intake_stopped = true;
}

/* Nobody can ask for last values of what is no destination any more. */
static void forget_values(const struct journal_outbox *box, void *arg)
{
	struct bridge *bridge = arg;
	const struct endpoint *end = endpoint_named(bridge, box->name);
	if (!end || !end->is_sink)
		journal_limit_values(bridge->journal, box->dest, 1, 0);
}

/* What is held was not taken: it is offered again, and becomes what the new mappings make of it. */
static void resume_sources(struct bridge *bridge)
{
	for (size_t i = 0; i < bridge->n_endpoints; i++)
		bridge->endpoints[i]->waits_for = NULL;
	intake_resume(bridge, NULL);
}

static void commit(struct plan *plan)
{
	struct bridge *bridge = plan->bridge;
	exchange_endpoints(plan);
	for (size_t i = 0; i < plan->n_items; i++)
		carry_out(plan, &plan->items[i]);
	for (size_t i = 0; i < plan->n_items; i++)
		endpoint_setup_free(&plan->items[i].setup);
	for (size_t i = plan->n_items; i < bridge->n_endpoints; i++)
		send_away(plan, bridge->endpoints[i]);
	journal_outboxes(bridge->journal, forget_values, bridge);
	resume_sources(bridge);
}

int reload_apply(struct bridge *bridge, const struct reload_input *input, struct reload_output *ret_output)
{
	struct plan plan = {.bridge = bridge, .input = input, .generation = generation_new(input->config, NULL)};
	int r = make(&plan);
	if (r < 0) {
		give_up(&plan);
	} else {
		plan.generation->owned = input->config;
		ret_output->old_generation = bridge->generation;
		ret_output->old_router = exchange_configuration(&plan);
		commit(&plan);
		snprintf(ret_output->summary, sizeof ret_output->summary,
			"connections: %zu kept, %zu told of other subscriptions, %zu begun anew, %zu added, %zu "
			"removed",
			plan.counts[FATE_KEPT], plan.counts[FATE_TOLD], plan.counts[FATE_ANEW], plan.counts[FATE_ADDED],
			plan.n_removed);
	}
	free(plan.items);
	free(plan.endpoints);
	free(plan.drop);
	free(plan.drain);
	return r < 0 ? r : 0;
}
