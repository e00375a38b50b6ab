/* SPDX-License-Identifier: Apache-2.0
 *
 * drain: live_first. A message that has just come overtakes what waits when nothing older of its unit of order (its
 * key and priority) waits, but for what is in the key table's lists already: it is then held in the window's lane
 * instead of in its place, and listed behind those. It stays undone in the journal as any other, and the head, when it
 * gets there, passes over it.
 *
 * What is known of the rest, most of which is on disk only, is a count of undone messages by the hash of their unit: up
 * when one is appended and does not overtake, down when the head lets go of it or lists it (which it does at once with
 * other priorities than the default). Units that share a count only keep the order among each other. A count that stays
 * too high (messages that ended without passing through the head) does the same, until the head has everything and
 * counts anew.
 *
 * What an earlier process left is counted by a survey with a reader of its own, in seq order, while the head is being
 * delivered; before its end nothing new overtakes. It takes the first ones of higher priorities along: so alarms go
 * first after a restart, too.
 *
 * In the lane every message is listed in the key table from the start, NEW before it is durable and sifted, so that
 * dispatch.c keeps the order between the lane and the head as it does within the head. What overtakes leaves holes
 * behind in what is done: it gets half of the done ranges that the journal can hold.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "delivery/courier_impl.h"
#include "runtime/log.h"

#define COUNTS          65536u
#define LANE_BYTES      (1024u * 1024) /* of memory */
#define SURVEY_MESSAGES 512u
#define SURVEY_BYTES    (256u * 1024)

struct live {
	struct journal_reader *reader; /* of the survey */
	bool reading, in_survey;
	/* Undone messages from survey_next to before survey_end are not counted. */
	uint64_t survey_next, survey_end;
	uint32_t range_budget; /* so many more may overtake before the done ranges must be counted again */
	uint32_t counts[COUNTS];
};

static uint32_t *count_of(const struct courier *courier, uint64_t key_hash)
{
	return &courier->live->counts[key_hash & (COUNTS - 1)];
}

static bool is_surveying(const struct live *live)
{
	return live->survey_next < live->survey_end;
}

int live_start(struct courier *courier)
{
	if (courier->options.outbox->drain != DRAIN_LIVE_FIRST || batch_applies(courier))
		return 0;
	courier->live = calloc(1, sizeof *courier->live);
	courier->window.lane = lane_new();
	if (!courier->live || !courier->window.lane)
		return -ENOMEM;
	courier->live->survey_next = courier->window.first;
	courier->live->survey_end = courier->appended_end;
	return 0;
}

void live_stop(struct courier *courier)
{
	if (courier->live && courier->live->reader)
		journal_reader_free(courier->live->reader);
	free(courier->live);
	courier->live = NULL;
}

/* --- who overtakes -------------------------------------------------------------------------------------------------- */

/* Half of the room is for higher priorities alone. */
static bool has_room(const struct lane *lane, const struct message_view *view, size_t bytes)
{
	unsigned share = view->priority > 0 ? 1 : 2;
	return lane->n < LANE_MESSAGES / share && lane->bytes + bytes <= LANE_BYTES / share;
}

/* Lower priorities never do. A QoS 2 message stays among those that an earlier process is taken to have sent. */
static bool may_overtake(const struct courier *courier, const struct message_view *view, uint64_t seq, size_t bytes)
{
	const struct window *window = &courier->window;
	if (view->priority < 0 || !has_room(window->lane, view, bytes))
		return false;
	if (view->qos == 2 && seq - window_oldest(window) >= courier_span(&courier->options))
		return false;
	return *count_of(courier, outbox_key_hash(courier, view, seq)) == 0;
}

static void list(struct courier *courier, uint64_t seq, const struct held *held)
{
	struct key *key = key_table_get(&courier->keys, held->key_hash);
	key_list_append(key, &courier->window, seq);
	key_table_update(&courier->keys, key, &courier->window);
}

/* Takes the message. */
static void hold(struct courier *courier, uint64_t seq, uint64_t lsn, uint32_t bytes, struct message *msg)
{
	struct lane *lane = courier->window.lane;
	struct held *held = lane_add(lane, seq, lsn, bytes, msg);
	outbox_complete(courier, held, seq);
	held->rank--;
	held->state = HELD_NEW;
	if (lane->unsifted == 0 || seq < lane->unsifted)
		lane->unsifted = seq;
	list(courier, seq, held);
}

/* Is there something to overtake? What has its place in memory and a higher priority is sent first from there. */
static bool worthwhile(const struct courier *courier, const struct message_view *view, bool has_place)
{
	if (view->priority > 0)
		return !has_place;
	return courier->up && (!has_place || courier->send_next < courier->sift_next);
}

bool live_may_have_been_sent(const struct courier *courier, const struct message_view *view, uint64_t seq)
{
	return view->qos < 2 && seq < courier->live->survey_end;
}

bool live_takes(struct courier *courier, const struct journal_entry *entry, uint64_t lsn, bool has_place)
{
	const struct message_view *view = entry->view;
	struct message *msg = NULL;
	if (!is_surveying(courier->live) && worthwhile(courier, view, has_place) &&
		may_overtake(courier, view, entry->seq, entry->bytes))
		msg = message_new(view);
	if (!msg) {
		++*count_of(courier, outbox_key_hash(courier, view, entry->seq));
		return false;
	}
	hold(courier, entry->seq, lsn, entry->bytes, msg);
	return true;
}

void live_released(struct courier *courier, uint64_t seq, const struct held *held)
{
	const struct live *live = courier->live;
	uint32_t *count = count_of(courier, held->key_hash);
	bool counted = !held->uncounted && (seq < live->survey_next || seq >= live->survey_end);
	if (!HELD_OVERTAKES(held->rank) && counted && *count > 0)
		--*count;
}

void live_listed(struct courier *courier, uint64_t seq, struct held *held)
{
	live_released(courier, seq, held);
	held->uncounted = true;
}

void live_caught_up(struct courier *courier)
{
	struct live *live = courier->live;
	const struct window *window = &courier->window;
	live->survey_next = live->survey_end;
	memset(live->counts, 0, sizeof live->counts);
	for (uint64_t seq = window->first; seq < window->end; seq++) {
		const struct held *held = window_head_slot(window, seq);
		if (held->state != HELD_GONE && !held->uncounted)
			++*count_of(courier, held->key_hash);
	}
}

/* --- going out ------------------------------------------------------------------------------------------------------ */

void live_sift(struct courier *courier)
{
	struct lane *lane = courier->window.lane;
	for (uint64_t seq = lane->unsifted, next; seq; lane->unsifted = seq = next) {
		struct held *held = lane_find(lane, seq);
		next = lane_next(lane, seq);
		if (held->state != HELD_NEW && held->state != HELD_WAITING && held->state != HELD_RETRY_WAIT)
			continue;
		if (held->lsn > courier->durable)
			return;
		times_durable(courier, held);
		if (!dispatch_sift_one(courier, seq, held))
			return;
		held = lane_find(lane, seq);
		if (!held || held->state != HELD_NEW)
			continue;
		held->state = HELD_WAITING;
		key_table_update(&courier->keys, key_table_find(&courier->keys, held->key_hash), &courier->window);
	}
}

bool live_may_go(struct courier *courier, uint64_t seq)
{
	struct live *live = courier->live;
	if (seq < courier->window.first)
		return true; /* all around it is done: no new range */
	if (live->range_budget == 0) {
		struct journal_outbox box = journal_outbox(courier->options.journal, courier->options.dest);
		uint64_t used = box.done_ranges + courier->in_flight + courier->n_replies + courier->n_letters;
		uint64_t most = JOURNAL_MAX_DONE_RANGES / 2;
		live->range_budget = used < most ? (uint32_t)(most - used) : 0;
	}
	return live->range_budget > 0;
}

void live_sent(struct courier *courier)
{
	if (courier->live->range_budget > 0)
		courier->live->range_budget--;
}

void live_relist(struct courier *courier, uint64_t seq)
{
	struct held *held = lane_find(courier->window.lane, seq);
	dispatch_reset(held);
	if (held->state == HELD_NEW || held->state == HELD_WAITING || held->state == HELD_RETRY_WAIT)
		list(courier, seq, held);
}

/* --- the survey ----------------------------------------------------------------------------------------------------- */

/* Of what is on disk only the head of the courier knows nothing. */
static bool is_on_disk_only(const struct window *window, uint64_t seq)
{
	return seq >= window->end && !(window_has_tail(window) && seq >= window->tail_begin);
}

/* What it shares its memory with goes at once: it is copied out. Out of memory: it keeps its place. */
static bool survey_holds(struct courier *courier, const struct journal_read *item)
{
	const struct message_view *view = message_view(item->msg);
	const struct window *window = &courier->window;
	if (view->priority <= 0 || !is_on_disk_only(window, item->seq) ||
		!may_overtake(courier, view, item->seq, message_memory(item->msg)))
		return false;
	struct message *kept = message_keep(item->msg);
	if (!kept)
		return false;
	hold(courier, item->seq, item->lsn, item->bytes, kept);
	times_read_back(courier, lane_find(window->lane, item->seq), loop_wall_ms(courier->options.loop));
	return true;
}

/* Takes the message. */
static void survey(struct courier *courier, const struct journal_read *item)
{
	const struct held *held = window_find(&courier->window, item->seq);
	bool counted = item->seq >= courier->live->survey_end || (held && held->uncounted); /* appended since: then */
	if (!counted && !survey_holds(courier, item))
		++*count_of(courier, outbox_key_hash(courier, message_view(item->msg), item->seq));
	message_unref(item->msg);
}

static void on_surveyed(const struct journal_read_result *result, void *arg)
{
	struct courier *courier = arg;
	struct live *live = courier->live;
	courier_enter(courier);
	live->reading = false;
	live->in_survey = true;
	bool over = !is_surveying(live); /* the head has everything, and counted it */
	for (size_t i = 0; i < result->n_items; i++)
		if (over)
			message_unref(result->items[i].msg);
		else
			survey(courier, &result->items[i]);
	if (!over)
		live->survey_next = result->at_end ? live->survey_end : result->next_seq;
	if (!over && !is_surveying(live))
		log_info("backlog_counted", "destination=%s what=\"from now on new messages may overtake\"",
			courier->options.name);
	courier_leave(courier);
	live->in_survey = false;
}

static void end_survey(struct live *live)
{
	if (live->reader && !live->in_survey) {
		journal_reader_free(live->reader);
		live->reader = NULL;
		live->reading = false;
	}
}

void live_survey(struct courier *courier)
{
	struct live *live = courier->live;
	if (!is_surveying(live)) {
		end_survey(live);
		return;
	}
	/* All may fit into the head: its first read comes first. If it does, live_caught_up comes next. */
	if (live->reading || courier->draining || (courier->reading && !live->reader) ||
		courier->window.end == courier->appended_end)
		return;
	if (!live->reader)
		live->reader = journal_reader_new(
			courier->options.journal, courier->options.dest, live->survey_next, on_surveyed, courier);
	if (!live->reader) {
		courier_poke_in(courier, COURIER_REPEAT_MS);
		return;
	}
	live->reading = true;
	journal_reader_request(live->reader, SURVEY_MESSAGES, SURVEY_BYTES);
}
