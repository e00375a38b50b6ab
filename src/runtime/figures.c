/* SPDX-License-Identifier: Apache-2.0
 *
 * Copies figures out of the endpoints.
 */
#include "runtime/figures.h"

#include "runtime/endpoint.h"

size_t bridge_connections(const struct bridge *bridge)
{
	return bridge->n_endpoints;
}

static struct source_figures source_of(const struct endpoint *end)
{
	return (struct source_figures){
		.taken = end->taken,
		.unmatched = end->unmatched,
		.looped = end->looped,
		.refused = end->refused,
		.pauses = end->pauses,
		.paused = end->paused,
		.unacknowledged = end->receipts.count,
		.acknowledgement = &end->acknowledgement,
		.unnumbered = end->unnumbered,
		.dropped = end->dropped,
		.rounded = end->rounded,
		.left_out = end->left_out,
		.unlimited = end->unlimited,
	};
}

static struct destination_figures destination_of(const struct endpoint *end)
{
	struct destination_figures figures = {
		.courier = courier_stats(end->courier),
		.outbox = journal_outbox(end->bridge->journal, end->dest),
		.limit_bytes = end->config->outbox.max_bytes,
		.limit_messages = (uint64_t)end->config->outbox.max_messages,
		.delivery = courier_delivery_times(end->courier),
		.overflow_bytes = journal_overflow_bytes(end->bridge->journal, end->dest),
		.values = journal_values_stats(end->bridge->journal, end->dest),
		.values_too_large = end->values_too_large,
		.replies = end->replies,
		.replies_dropped = end->replies_dropped,
	};
	figures.replies_dropped += figures.courier.replies_dropped;
	const struct journal_outbox *now = &figures.outbox, *then = &end->at_start;
	for (size_t i = 0; i < JOURNAL_N_TOTALS; i++)
		figures.finished[i] = now->totals[i] - then->totals[i];
	/* Those that found no room never got a seq. */
	figures.offered = now->next_seq - then->next_seq + figures.finished[JOURNAL_DROPPED_NEWEST];
	return figures;
}

struct connection_figures bridge_connection(const struct bridge *bridge, size_t index)
{
	const struct endpoint *end = bridge->endpoints[index];
	struct connection_figures figures = {
		.name = end->config->name,
		.type = end->connector->name,
		.used = end->is_source || end->is_sink,
		.link_is_up = end->link_is_up,
		.link_downs = end->link_downs,
		.is_source = end->is_source,
		.is_destination = end->courier != NULL,
	};
	if (figures.is_source)
		figures.source = source_of(end);
	if (figures.is_destination)
		figures.destination = destination_of(end);
	return figures;
}

void bridge_connection_counters(
	const struct bridge *bridge, size_t index, void (*fn)(const char *name, uint64_t value, void *arg), void *arg)
{
	const struct endpoint *end = bridge->endpoints[index];
	if (end->connector->counters && end->link && (end->is_source || end->is_sink))
		end->connector->counters(end->link, fn, arg);
}

struct journal_figures bridge_journal(const struct bridge *bridge)
{
	return (struct journal_figures){
		.stats = journal_stats(bridge->journal),
		.appended_lsn = journal_appended_lsn(bridge->journal),
		.durable_lsn = journal_durable_lsn(bridge->journal),
		.keys = journal_keys(bridge->journal),
		.key_limit = journal_key_limit(bridge->journal),
	};
}

const char *bridge_why_unhealthy(const struct bridge *bridge)
{
	return bridge->failure < 0 ? "the journal has failed: nothing more can be made durable" : NULL;
}

const char *bridge_why_unready(const struct bridge *bridge)
{
	if (bridge->failure < 0)
		return bridge_why_unhealthy(bridge);
	if (bridge->state == BRIDGE_OPEN)
		return "not started yet";
	if (bridge->state != BRIDGE_RUNNING)
		return "stopping";
	if (!journal_stats(bridge->journal).takes_messages)
		return "the journal has no room: the disk is full, or nearly";
	return NULL;
}
