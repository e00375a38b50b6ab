/* SPDX-License-Identifier: Apache-2.0
 *
 * A chained hash table over one array of places, which are also a list in seq order.
 */
#include "delivery/lane.h"

#include <assert.h>
#include <stdlib.h>

struct lane *lane_new(void)
{
	struct lane *lane = calloc(1, sizeof *lane);
	if (!lane)
		return NULL;
	lane->places = calloc(LANE_MESSAGES, sizeof *lane->places);
	lane->buckets = calloc(LANE_MESSAGES, sizeof *lane->buckets);
	if (!lane->places || !lane->buckets) {
		lane_free(lane);
		return NULL;
	}
	return lane;
}

static struct lane_place *place_at(const struct lane *lane, uint32_t index)
{
	return index ? &lane->places[index - 1] : NULL;
}

static uint32_t index_of(const struct lane *lane, const struct lane_place *place)
{
	return (uint32_t)(place - lane->places) + 1;
}

void lane_free(struct lane *lane)
{
	if (!lane)
		return;
	for (struct lane_place *place = place_at(lane, lane->first); place; place = place_at(lane, place->next)) {
		if (place->held.state == HELD_REPLY)
			message_unref(place->held.reply);
		message_unref(place->held.msg);
	}
	free(lane->places);
	free(lane->buckets);
	free(lane);
}

static uint32_t *bucket_of(const struct lane *lane, uint64_t seq)
{
	return &lane->buckets[seq & (LANE_MESSAGES - 1)];
}

static struct lane_place *find(const struct lane *lane, uint64_t seq)
{
	if (lane->n == 0)
		return NULL;
	struct lane_place *place = place_at(lane, *bucket_of(lane, seq));
	while (place && place->seq != seq)
		place = place_at(lane, place->chain);
	return place;
}

struct held *lane_find(const struct lane *lane, uint64_t seq)
{
	struct lane_place *place = find(lane, seq);
	return place ? &place->held : NULL;
}

static struct lane_place *take_place(struct lane *lane)
{
	assert(lane->n < LANE_MESSAGES);
	lane->n++;
	if (!lane->free_head)
		return &lane->places[lane->n_touched++];
	struct lane_place *place = place_at(lane, lane->free_head);
	lane->free_head = place->chain;
	return place;
}

/* Nearly always at the end. */
static void link_in_order(struct lane *lane, struct lane_place *place)
{
	uint32_t prev = lane->last, index = index_of(lane, place);
	while (prev && place_at(lane, prev)->seq > place->seq)
		prev = place_at(lane, prev)->prev;
	uint32_t next = prev ? place_at(lane, prev)->next : lane->first;
	place->prev = prev;
	place->next = next;
	*(prev ? &place_at(lane, prev)->next : &lane->first) = index;
	*(next ? &place_at(lane, next)->prev : &lane->last) = index;
}

struct held *lane_add(struct lane *lane, uint64_t seq, uint64_t lsn, uint32_t bytes, struct message *msg)
{
	struct lane_place *place = take_place(lane);
	uint32_t *bucket = bucket_of(lane, seq);
	*place = (struct lane_place){.seq = seq, .chain = *bucket};
	place->held = (struct held){.msg = msg, .lsn = lsn, .bytes = bytes, .state = HELD_WAITING};
	*bucket = index_of(lane, place);
	link_in_order(lane, place);
	lane->bytes += message_memory(msg);
	return &place->held;
}

void lane_remove(struct lane *lane, uint64_t seq)
{
	struct lane_place *place = find(lane, seq);
	uint32_t index = index_of(lane, place);
	if (lane->unsifted == seq)
		lane->unsifted = lane_next(lane, seq);
	uint32_t *link = bucket_of(lane, seq);
	while (*link != index)
		link = &place_at(lane, *link)->chain;
	*link = place->chain;
	*(place->prev ? &place_at(lane, place->prev)->next : &lane->first) = place->next;
	*(place->next ? &place_at(lane, place->next)->prev : &lane->last) = place->prev;
	lane->n--;
	lane->bytes -= message_memory(place->held.msg);
	message_unref(place->held.msg);
	*place = (struct lane_place){.chain = lane->free_head};
	lane->free_head = index;
}

uint64_t lane_first(const struct lane *lane)
{
	return lane->first ? place_at(lane, lane->first)->seq : 0;
}

uint64_t lane_next(const struct lane *lane, uint64_t seq)
{
	const struct lane_place *place = find(lane, seq);
	return place && place->next ? place_at(lane, place->next)->seq : 0;
}
