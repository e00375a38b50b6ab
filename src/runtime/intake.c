/* SPDX-License-Identifier: Apache-2.0
 *
 * The way in: an offer is routed, checked for room at every destination, appended as one set, and acknowledged once the
 * set is durable. Nothing is acknowledged that is not on disk; nothing is half taken: either something is to become of all
 * that a message becomes, by the destinations' when_full, or the source pauses and holds it.
 */
#include <errno.h>
#include <stdlib.h>

#include "runtime/endpoint.h"
#include "runtime/log.h"

#define INTAKE_RETRY_MS 1000

/* What one output will count for, about: enough to bound an outbox, cheaper than encoding twice. */
static size_t output_bytes(const struct message_view *view)
{
	return view->payload.len + view->topic.len + view->key.len + 128;
}

/* Pauses the source until intake_resume(destination). */
static enum offer_result hold(struct endpoint *end, const char *why, const struct endpoint *destination)
{
	if (!end->paused) {
		end->paused = true;
		end->waits_for = destination;
		end->pauses++;
		log_warn("source_paused", "connection=%s reason=%s destination=%s", end->config->name, why,
			destination ? destination->config->name : "-");
		end->connector->pause(end->link);
	}
	return OFFER_BUSY;
}

/* For shortages that nobody reports the end of. */
static enum offer_result hold_a_while(struct endpoint *end, const char *why)
{
	if (!loop_timer_running(end->bridge->retry_timer))
		loop_timer_start(end->bridge->retry_timer, INTAKE_RETRY_MS);
	return hold(end, why, NULL);
}

static enum offer_result refuse(struct endpoint *end, const struct message_view *view, const char *why)
{
	end->refused++;
	log_error("message_refused", "connection=%s reason=\"%s\" bytes=%zu topic=\"%.*s\"", end->config->name, why,
		view ? view->payload.len : 0, view ? (int)(view->topic.len < 200 ? view->topic.len : 200) : 0,
		view ? (const char *)view->topic.data : "");
	return OFFER_REFUSED;
}

static struct endpoint *destination_of(struct bridge *bridge, const struct route_result *routed, size_t i)
{
	return bridge->endpoints[routed->outputs[i].connection];
}

/* Asks the destination of output i, at its first output, what is to become of all the outputs for it. */
static void ask_for_room(struct bridge *bridge, const struct route_result *routed, size_t i)
{
	struct endpoint *to = destination_of(bridge, routed, i);
	size_t messages = 0, bytes = 0;
	for (size_t k = 0; k < routed->n_outputs; k++) {
		if (destination_of(bridge, routed, k) != to)
			continue;
		if (k < i)
			return; /* asked already */
		messages++;
		bytes += output_bytes(&routed->outputs[k].view);
	}
	to->n_outputs = messages;
	to->room = courier_room(to->courier, messages, bytes);
}

static int reserve_entries(struct bridge *bridge, size_t n)
{
	if (n <= bridge->entries_capacity)
		return 0;
	struct journal_entry *entries = realloc(bridge->entries, n * sizeof *entries);
	if (!entries)
		return -ENOMEM;
	bridge->entries = entries;
	bridge->entries_capacity = n;
	return 0;
}

/* One for the state change, one for what is finished, one for the drops of each destination, and the keys of what passes the rules over time. */
static int reserve_changes(struct bridge *bridge)
{
	size_t n = 2 + bridge->n_endpoints + bridge->spacing.n_changes;
	if (n <= bridge->changes_capacity)
		return 0;
	struct journal_change *changes = realloc(bridge->changes, n * sizeof *changes);
	if (!changes)
		return -ENOMEM;
	bridge->changes = changes;
	bridge->changes_capacity = n;
	return 0;
}

bool intake_change_of(const struct endpoint *end, const struct state_change *change, struct journal_change *ret)
{
	static const enum journal_change_type types[] = {
		[CHANGE_OPEN_ID] = JOURNAL_OPEN,
		[CHANGE_RELEASE_ID] = JOURNAL_REL,
		[CHANGE_SESSION_RESET] = JOURNAL_SESSION_RESET,
		[CHANGE_SUBSCRIPTIONS] = JOURNAL_SUBSCRIPTIONS,
		[CHANGE_POSITION] = JOURNAL_POSITION,
		[CHANGE_KEY] = JOURNAL_KEY,
	};
	if (change->type == CHANGE_NONE)
		return false;
	*ret = (struct journal_change){
		.type = types[change->type],
		.source = end->source,
		.id = change->id,
		.hash = change->hash,
		.position = change->position,
		.blob = change->blob,
	};
	return true;
}

/* The change that says what is dropped of one destination; its outputs need not stand together. first: of such changes. */
static struct journal_change *drop_of(struct bridge *bridge, const struct endpoint *to, size_t first, size_t *n_changes)
{
	struct journal_change *changes = bridge->changes;
	for (size_t i = first; i < *n_changes; i++)
		if (changes[i].dest == to->dest)
			return &changes[i];
	changes[*n_changes] = (struct journal_change){.type = JOURNAL_DROPPED, .dest = to->dest};
	return &changes[(*n_changes)++];
}

/* Fills the entries with the outputs that are to be appended, and the changes with a drop for each destination that
 * has no room for the others. Returns how many entries. */
static size_t list_outputs(struct bridge *bridge, const struct route_result *routed, size_t *n_changes)
{
	size_t n = 0, first_drop = *n_changes; /* behind the keys of these rules, of which there may be thousands */
	for (size_t i = 0; i < routed->n_outputs; i++) {
		struct endpoint *to = destination_of(bridge, routed, i);
		const struct message_view *view = &routed->outputs[i].view;
		if (to->room == ROOM_DROP) {
			struct journal_change *drop = drop_of(bridge, to, first_drop, n_changes);
			drop->count++;
			drop->bytes += (uint32_t)output_bytes(view);
		} else {
			bridge->entries[n++] = (struct journal_entry){.dest = to->dest, .view = view};
		}
	}
	return n;
}

/* Once they are appended. */
static void tell_couriers(struct bridge *bridge, const struct route_result *routed, uint64_t lsn)
{
	const struct journal_entry *entry = bridge->entries;
	for (size_t i = 0; i < routed->n_outputs; i++) {
		struct endpoint *to = destination_of(bridge, routed, i);
		if (to->room == ROOM_TAKE)
			courier_appended(to->courier, entry++, lsn);
		else if (to->room == ROOM_DEAD_LETTER)
			courier_surplus(to->courier, entry++, lsn);
		else if (to->n_outputs) {
			courier_dropped(to->courier, to->n_outputs);
			to->n_outputs = 0; /* told */
		}
	}
}

/* Appends the routed outputs and the state change as one set and tells the couriers. */
static int append(struct endpoint *end, const struct offer *offer, const struct route_result *routed, uint64_t *ret_lsn)
{
	struct bridge *bridge = end->bridge;
	const struct spacing *spacing = &bridge->spacing;
	int r = reserve_entries(bridge, routed->n_outputs);
	if (r == 0)
		r = reserve_changes(bridge);
	if (r < 0)
		return r;
	size_t n_changes = intake_change_of(end, &offer->change, bridge->changes);
	if (offer->n_finished) {
		r = together_change(end, offer->finished, offer->n_finished, &bridge->changes[n_changes++]);
		if (r < 0)
			return r;
	}
	if (spacing->n_changes)
		memcpy(&bridge->changes[n_changes], spacing->changes, spacing->n_changes * sizeof *spacing->changes);
	n_changes += spacing->n_changes;
	size_t n_entries = list_outputs(bridge, routed, &n_changes);
	uint64_t lsn;
	const struct journal_change *changes;
	/* What is dropped has its number too: that it is missing tells of it. */
	r = marking_changes(&bridge->marking, bridge->changes, n_changes, &changes, &n_changes);
	if (r == 0)
		r = journal_append(bridge->journal, bridge->entries, n_entries, changes, n_changes, &lsn);
	if (r < 0)
		return r;
	tell_couriers(bridge, routed, lsn);
	if ((bridge->watched || bridge->observer) && offer->view)
		watching_taken(end, offer, routed);
	if (offer->n_finished)
		courier_finished(end->courier, offer->finished, offer->n_finished);
	*ret_lsn = lsn;
	return 0;
}

static enum offer_result append_failed(struct endpoint *end, const struct offer *offer, bool messages, int error)
{
	switch (error) {
	case -EMSGSIZE:
		return refuse(end, offer->view, "larger than the journal takes");
	case -ENOSPC:
		/* The end of it is told only to who asked for room for messages. */
		if (messages)
			return hold(
				end, journal_disk_is_full(end->bridge->journal) ? "disk_full" : "journal_busy", NULL);
		return hold_a_while(end, "disk_full");
	case -ENOMEM:
		return hold_a_while(end, "out_of_memory");
	case -EOVERFLOW:
		return hold_a_while(end, "journal_state_full");
	default:
		return hold(end, "journal_failed", NULL);
	}
}

static enum offer_result take(struct endpoint *end, const struct offer *offer, const struct route_result *routed)
{
	struct bridge *bridge = end->bridge;
	uint64_t lsn = 0;
	int r = receipts_reserve(&end->receipts);
	if (r == 0)
		r = append(end, offer, routed, &lsn);
	if (r < 0)
		return append_failed(end, offer, routed->n_outputs > 0, r);
	end->taken += routed->n_inputs; /* a state change alone is no message */
	end->unmatched += routed->unmatched;
	end->looped += routed->looped;
	end->dropped += routed->dropped;
	end->unnumbered += bridge->marking.n_unnumbered;
	end->left_out += bridge->spacing.n_left_out;
	end->unlimited += bridge->spacing.n_unlimited;
	if (!offer->no_receipt) {
		receipts_push(&end->receipts, lsn, offer->cookie, loop_turn_us(bridge->loop));
		/* What became nothing has no group that would call for it. */
		if (lsn <= journal_durable_lsn(bridge->journal))
			loop_post(bridge->loop, &bridge->receipts_job);
	}
	return OFFER_TAKEN;
}

/* --- keys --------------------------------------------------------------------------------------------------------- */

enum key_state intake_key(struct link_host *host, const uint8_t *key, uint64_t *ret_hash)
{
	const struct endpoint *end = (const struct endpoint *)host;
	const struct journal *j = end->bridge->journal;
	uint64_t lsn;
	if (!journal_key(j, key, ret_hash, &lsn))
		return KEY_UNKNOWN;
	return lsn > journal_durable_lsn(j) ? KEY_NOT_YET : KEY_KNOWN;
}

bool intake_key_room(struct link_host *host)
{
	return journal_key_room(((const struct endpoint *)host)->bridge->journal);
}

/* Without its key the message could be taken twice. */
static bool has_room_for_key(const struct endpoint *end, const struct state_change *change)
{
	uint64_t hash, lsn;
	struct journal *j = end->bridge->journal;
	return change->type != CHANGE_KEY || change->blob.len != LINK_KEY_LEN ||
	       journal_key(j, change->blob.data, &hash, &lsn) || journal_key_room(j);
}

/* --- offers ------------------------------------------------------------------------------------------------------- */

/* All that came together. 0, or what the offer is answered with. */
static int route(
	struct endpoint *end, const struct offer *offer, struct route_result *ret_routed, enum offer_result *ret_answer)
{
	struct bridge *bridge = end->bridge;
	size_t n = offer->view ? offer->n_more + 1 : 0;
	for (size_t i = 0; i < n; i++)
		if (offer->view[i].payload.len > bridge->config->max_message_bytes) {
			*ret_answer = refuse(end, &offer->view[i], "larger than max_message_bytes");
			return -EMSGSIZE;
		}
	for (size_t i = 0; i < n; i++) {
		int r = (i ? router_route_more : router_route)(
			bridge->router, end->index, offer->subscription, &offer->view[i], ret_routed);
		if (r < 0) {
			*ret_answer = hold_a_while(end, "out_of_memory");
			return r;
		}
	}
	return 0;
}

enum offer_result intake_offer(struct link_host *host, const struct offer *offer)
{
	struct endpoint *end = (struct endpoint *)host;
	struct bridge *bridge = end->bridge;
	struct route_result routed = {0};
	/* What is said of a session alone needs no room, and the peer waits for it (PUBREC, PUBCOMP) or the next process needs
	 * it, whatever else is paused or ending. */
	bool of_session = !offer->view && offer->change.type != CHANGE_POSITION && offer->change.type != CHANGE_KEY;
	enum offer_result answer;
	bool all_is_taken = bridge->state == BRIDGE_RUNNING && end->phase == ENDPOINT_SERVING && !end->intake_stopped;
	bool taking = all_is_taken || (bridge->state <= BRIDGE_DRAINING && of_session);
	if (!taking || bridge->failure < 0)
		return hold(end, bridge->failure < 0 ? "journal_failed" : "stopping", NULL);
	if (end->paused && !of_session)
		return OFFER_BUSY;
	if (!has_room_for_key(end, &offer->change))
		return refuse(end, offer->view, "there are too many keys known; raise journal.max_keys");
	if (route(end, offer, &routed, &answer) < 0)
		return answer;
	if (spacing_run(&bridge->spacing, end, &routed) < 0)
		return hold_a_while(end, "out_of_memory");
	/* Also what finds no room below is numbered: its set is not appended then, and so no number is given. */
	if (marking_run(&bridge->marking, end, &routed) < 0)
		return hold_a_while(end, "out_of_memory");
	for (size_t i = 0; i < routed.n_outputs; i++) {
		ask_for_room(bridge, &routed, i);
		if (destination_of(bridge, &routed, i)->room == ROOM_WAIT)
			return hold(end, "outbox_full", destination_of(bridge, &routed, i));
	}
	return take(end, offer, &routed);
}

/* What was offered in one turn is counted together. */
static void give_receipts(struct endpoint *end, uint64_t lsn)
{
	struct receipt_slot slot;
	uint64_t now_us = end->receipts.count ? loop_fresh_us(end->bridge->loop) : 0;
	uint64_t at_us = 0, n = 0;
	while (receipts_take(&end->receipts, lsn, &slot)) {
		if (n && slot.at_us != at_us) {
			histogram_add(&end->acknowledgement, now_us - at_us, n);
			n = 0;
		}
		at_us = slot.at_us;
		n++;
		end->connector->receipt(end->link, slot.cookie, RECEIPT_DURABLE);
	}
	if (n == 0)
		return;
	histogram_add(&end->acknowledgement, now_us - at_us, n);
	end->connector->receipts_end(end->link);
}

void intake_durable(struct bridge *bridge, uint64_t lsn)
{
	for (size_t i = 0; i < bridge->n_endpoints; i++)
		if (bridge->endpoints[i]->has_state)
			give_receipts(bridge->endpoints[i], lsn);
}

void intake_resume(struct bridge *bridge, const struct endpoint *destination)
{
	if (bridge->state != BRIDGE_RUNNING || bridge->failure < 0)
		return;
	for (size_t i = 0; i < bridge->n_endpoints; i++) {
		struct endpoint *end = bridge->endpoints[i];
		if (!end->paused || end->waits_for != destination || end->phase != ENDPOINT_SERVING ||
			end->intake_stopped)
			continue;
		end->paused = false;
		log_info("source_resumed", "connection=%s", end->config->name);
		end->connector->resume(end->link);
	}
}
