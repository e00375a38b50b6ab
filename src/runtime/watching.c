/* SPDX-License-Identifier: Apache-2.0
 *
 * What the bridge tells those who watch messages pass (queue_watch.h). Called while somebody does; changes nothing of a
 * message's way.
 */
#include "connectors/connector.h"
#include "runtime/endpoint.h"
#include "runtime/queue_watch.h"

#define MAX_OUTPUTS 64u /* that are told of one message */

/* Entries of the journal stand in the order of the outputs that were appended. */
static size_t list_outputs(const struct bridge *bridge, const struct route_result *routed, size_t input,
	struct queue_watched_output *outputs)
{
	const struct journal_entry *entry = bridge->entries;
	size_t n = 0;
	for (size_t i = 0; i < routed->n_outputs && n < MAX_OUTPUTS; i++) {
		const struct route_output *routed_output = &routed->outputs[i];
		const struct endpoint *to = bridge->endpoints[routed_output->connection];
		bool appended = to->room != ROOM_DROP;
		uint64_t seq = appended ? (entry++)->seq : 0;
		if (routed_output->input != input)
			continue;
		bool letter = to->room == ROOM_DEAD_LETTER || routed_output->view.reject_reason.data;
		outputs[n++] = (struct queue_watched_output){
			.mapping = bridge->config->mappings[routed_output->mapping].name,
			.destination = to->config->name,
			.dest = to->dest,
			.seq = seq,
			.what = !appended ? "dropped"
				: letter  ? "dead letter"
					  : "queued",
			.view = &routed_output->view,
		};
	}
	return n;
}

void watching_taken(struct endpoint *end, const struct offer *offer, const struct route_result *routed)
{
	struct queue_watched_output outputs[MAX_OUTPUTS];
	for (size_t i = 0; i < offer->n_more + 1; i++) {
		struct queue_watched message = {
			.connection = end->config->name,
			.separator = connector_separator(end->connector),
			.view = &offer->view[i],
			.outputs = outputs,
			.n_outputs = list_outputs(end->bridge, routed, i, outputs),
			.left_out = end->bridge->spacing.n_left_out,
			.dropped = routed->dropped,
			.looped = routed->looped,
		};
		if (end->bridge->observer)
			end->bridge->observer->taken(end->bridge->observer->ctx, &message);
		queue_watch_message(end->bridge->queue, &message);
	}
}

void watching_outcome(struct endpoint *end, uint64_t seq, const struct outcome *outcome)
{
	static const char *const words[] = {"delivered", "rejected", "to be sent again", "waits for the link"};
	queue_watch_outcome(end->bridge->queue, end->dest, end->config->name, seq, words[outcome->kind],
		outcome->reason, outcome->kind == OUTCOME_DELIVERED);
}

void watching_delivered(struct endpoint *end, const uint64_t *seqs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		queue_watch_outcome(end->bridge->queue, end->dest, end->config->name, seqs[i], "delivered", NULL, true);
}

void watching_dropped(void *ctx, uint64_t seq, const char *what, const char *reason)
{
	struct endpoint *end = ctx;
	const struct bridge_observer *observer = end->bridge->observer;
	if (observer)
		observer->dropped(observer->ctx, end->config->name, seq, what, reason);
	if (end->bridge->watched)
		queue_watch_outcome(end->bridge->queue, end->dest, end->config->name, seq, what, reason, true);
}
