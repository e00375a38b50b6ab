/* SPDX-License-Identifier: Apache-2.0
 *
 * What a delivery gave back: appended for its destination together with the word that the delivery is done, as one set.
 * A crash leaves both or neither, and in that case the message is delivered again. A reply that can go nowhere is left out of
 * the set, counted and logged: its message is delivered all the same.
 */
#include <errno.h>
#include <string.h>

#include "runtime/endpoint.h"
#include "runtime/log.h"

static struct endpoint *destination_of(struct bridge *bridge, struct slice name)
{
	for (size_t i = 0; i < bridge->n_endpoints; i++)
		if (bridge->endpoints[i]->courier && slice_equal(slice_str(bridge->endpoints[i]->config->name), name))
			return bridge->endpoints[i];
	return NULL;
}

/* The message is done without it. */
static int drop(struct endpoint *from, const char *reason, const struct journal_change *finished)
{
	uint64_t lsn;
	int r = journal_append(from->bridge->journal, NULL, 0, finished, 1, &lsn);
	if (r < 0)
		return r;
	from->replies_dropped++;
	log_warn("reply_dropped", "destination=%s reason=\"%s\"", from->config->name, reason);
	return 0;
}

/* No room: the outbox's when_full says so. */
static int leave_out(struct endpoint *from, struct endpoint *to, uint32_t bytes, const struct journal_change *finished)
{
	struct journal_change changes[] = {
		{.type = JOURNAL_DROPPED, .dest = to->dest, .count = 1, .bytes = bytes},
		*finished,
	};
	uint64_t lsn;
	int r = journal_append(from->bridge->journal, NULL, 0, changes, 2, &lsn);
	if (r < 0)
		return r;
	from->replies_dropped++;
	courier_dropped(to->courier, 1);
	return 0;
}

static int append(struct endpoint *from, struct endpoint *to, const struct message_view *view,
	const struct journal_change *finished)
{
	uint32_t bytes = (uint32_t)message_encoded_size(view);
	enum courier_room room = courier_room(to->courier, 1, bytes);
	if (room == ROOM_WAIT)
		return -EAGAIN;
	if (room == ROOM_DROP)
		return leave_out(from, to, bytes, finished);
	struct journal_entry entry = {.dest = to->dest, .view = view};
	uint64_t lsn;
	int r = journal_append(from->bridge->journal, &entry, 1, finished, 1, &lsn);
	if (r == -EMSGSIZE)
		return drop(from, "larger than the journal takes", finished);
	if (r < 0)
		return r;
	from->replies++;
	if (room == ROOM_DEAD_LETTER)
		courier_surplus(to->courier, &entry, lsn);
	else
		courier_appended(to->courier, &entry, lsn);
	return 0;
}

int replies_append(void *ctx, const struct message_view *request, const struct message_view *reply,
	const struct journal_change *finished)
{
	struct endpoint *from = ctx;
	struct bridge *bridge = from->bridge;
	struct endpoint *to = destination_of(bridge, message_param(request, MESSAGE_REPLY));
	if (!to)
		return drop(from, "nothing writes to its connection any more", finished);
	if (reply->payload.len > bridge->config->max_message_bytes)
		return drop(from, "larger than max_message_bytes", finished);
	struct message_view view;
	const char *reason = "";
	arena_reset(&bridge->reply_arena);
	int r = reply_make(
		request, reply, to->config, loop_wall_ms(bridge->loop), &bridge->reply_arena, &view, &reason);
	if (r == -EINVAL)
		return drop(from, reason, finished);
	return r < 0 ? r : append(from, to, &view, finished);
}
