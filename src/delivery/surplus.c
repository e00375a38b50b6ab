/* SPDX-License-Identifier: Apache-2.0
 *
 * With when_full: dead_letter, messages that found no room in the outbox. They have a seq as all others, but are never
 * held in the window: as soon as they are durable they go to the dead letters, whatever waits before them. Until one is
 * stored it is undone; a crash before that makes it one that simply waits. What cannot be stored (dead_max_bytes) is
 * tried again, for ever; meanwhile there is no room for more.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "delivery/courier_impl.h"
#include "runtime/log.h"

#define REASON   "outbox full"
#define OVERHEAD 320u /* bytes that one takes beside its message, here and in the journal, about */

struct surplus {
	struct courier *courier; /* NULL: it is gone */
	struct message *msg;
	uint64_t seq, lsn;
	uint32_t bytes;
	bool underway;
};

static int grow(struct surplus_list *list)
{
	if (list->end < list->capacity)
		return 0;
	size_t n = list->end - list->begin;
	if (list->begin > n) {
		memmove(list->v, list->v + list->begin, n * sizeof *list->v);
	} else {
		size_t capacity = list->capacity ? 2 * list->capacity : 16;
		struct surplus_slot *v = malloc(capacity * sizeof *v);
		if (!v)
			return -ENOMEM;
		if (n)
			memcpy(v, list->v + list->begin, n * sizeof *v);
		free(list->v);
		list->v = v;
		list->capacity = capacity;
	}
	list->submitted -= list->begin;
	list->begin = 0;
	list->end = n;
	return 0;
}

static struct surplus_slot *find(const struct surplus_list *list, uint64_t seq)
{
	size_t low = list->begin, high = list->end;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (list->v[mid].seq < seq)
			low = mid + 1;
		else
			high = mid;
	}
	return low < list->end && list->v[low].seq == seq ? &list->v[low] : NULL;
}

bool surplus_has(const struct courier *courier, uint64_t seq)
{
	const struct surplus_slot *slot = find(&courier->surplus, seq);
	return slot && slot->surplus;
}

uint64_t surplus_oldest(const struct courier *courier)
{
	const struct surplus_list *list = &courier->surplus;
	for (size_t i = list->begin; i < list->end; i++)
		if (list->v[i].surplus)
			return list->v[i].seq;
	return UINT64_MAX;
}

/* Every run of seqs can become a done range of its own. */
bool surplus_has_room(const struct courier *courier, size_t limit_bytes)
{
	const struct surplus_list *list = &courier->surplus;
	struct journal_outbox box = journal_outbox(courier->options.journal, courier->options.dest);
	return !list->failures && list->memory < limit_bytes &&
	       box.done_ranges + courier->letters_ranges + list->runs < JOURNAL_MAX_DONE_RANGES;
}

static bool add(struct courier *courier, const struct journal_entry *entry, uint64_t lsn)
{
	struct surplus_list *list = &courier->surplus;
	struct surplus *surplus = grow(list) == 0 ? calloc(1, sizeof *surplus) : NULL;
	struct message *msg = surplus ? message_new(entry->view) : NULL;
	if (!msg) {
		free(surplus);
		return false;
	}
	*surplus =
		(struct surplus){.courier = courier, .msg = msg, .seq = entry->seq, .lsn = lsn, .bytes = entry->bytes};
	bool follows = list->end > list->begin && list->v[list->end - 1].seq + 1 == entry->seq;
	list->runs += !follows;
	courier->range_budget -= !follows && courier->range_budget > 0;
	list->v[list->end++] = (struct surplus_slot){entry->seq, surplus};
	list->n++;
	list->memory += message_memory(msg) + OVERHEAD;
	return true;
}

void courier_surplus(struct courier *courier, const struct journal_entry *entry, uint64_t lsn)
{
	if (!add(courier, entry, lsn)) {
		courier_appended(courier, entry, lsn); /* out of memory: then it waits as others do */
		return;
	}
	outbox_pass(courier, entry->seq);
}

static void remove_stored(struct courier *courier, struct surplus *surplus)
{
	struct surplus_list *list = &courier->surplus;
	find(list, surplus->seq)->surplus = NULL;
	list->n--;
	list->memory -= message_memory(surplus->msg) + OVERHEAD;
	message_unref(surplus->msg);
	free(surplus);
	while (list->begin < list->submitted && !list->v[list->begin].surplus)
		list->begin++;
	if (list->n == 0)
		list->runs = 0;
	courier->settle_due = true;
}

static void failed(struct courier *courier, int error)
{
	struct surplus_list *list = &courier->surplus;
	if (list->retry_ms != UINT64_MAX)
		return; /* of the same round */
	log_error("dead_letter_failed", "destination=%s error=\"%s\" reason=\"" REASON "\" messages=%zu",
		courier->options.name, strerror(-error), list->n);
	uint64_t delay_ms = backoff_delay_ms(&courier->backoff, ++list->failures);
	list->retry_ms = courier_now_ms(courier) + delay_ms;
	courier_poke_in(courier, delay_ms);
}

static void on_stored(int error, void *arg)
{
	struct surplus *surplus = arg;
	struct courier *courier = surplus->courier;
	if (!courier) {
		free(surplus);
		return;
	}
	surplus->underway = false;
	courier->surplus.underway--;
	if (error == -ECANCELED)
		return; /* the journal is being closed */
	courier_enter(courier);
	if (error == 0) {
		courier->stats.dead++;
		courier->surplus.failures = 0;
		drop_log_add(courier, &courier->dead_log, surplus->seq, REASON);
		remove_stored(courier, surplus);
	} else {
		failed(courier, error);
	}
	courier_leave(courier);
}

static void submit(struct courier *courier, struct surplus *surplus)
{
	struct journal_letter dead = {
		.dest = courier->options.dest,
		.seq = surplus->seq,
		.bytes = surplus->bytes,
		.msg = surplus->msg,
		.reason = REASON,
		.max_bytes = courier->options.outbox->dead_max_bytes,
	};
	surplus->underway = true;
	courier->surplus.underway++;
	journal_dead_letter(courier->options.journal, &dead, on_stored, surplus);
}

static void retry(struct courier *courier)
{
	struct surplus_list *list = &courier->surplus;
	if (list->retry_ms == UINT64_MAX || list->retry_ms > courier_now_ms(courier))
		return;
	list->retry_ms = UINT64_MAX;
	for (size_t i = list->begin; i < list->submitted; i++)
		if (list->v[i].surplus && !list->v[i].surplus->underway)
			submit(courier, list->v[i].surplus);
}

void surplus_work(struct courier *courier)
{
	struct surplus_list *list = &courier->surplus;
	retry(courier);
	while (list->submitted < list->end && list->v[list->submitted].surplus->lsn <= courier->durable)
		submit(courier, list->v[list->submitted++].surplus);
}

bool surplus_is_idle(const struct courier *courier)
{
	const struct surplus_list *list = &courier->surplus;
	return list->underway == 0 && list->submitted == list->end;
}

void surplus_free(struct courier *courier)
{
	struct surplus_list *list = &courier->surplus;
	for (size_t i = list->begin; i < list->end; i++) {
		struct surplus *surplus = list->v[i].surplus;
		if (!surplus)
			continue;
		message_unref(surplus->msg);
		surplus->courier = NULL;
		if (!surplus->underway)
			free(surplus);
	}
	free(list->v);
	list->v = NULL;
}
