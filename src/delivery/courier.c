/* SPDX-License-Identifier: Apache-2.0
 *
 * The courier's life, what the link and the journal tell it, and the order in which it works. What is to be
 * done is found out anew each time from the state (courier_work); nothing is queued but timers.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "delivery/courier_impl.h"
#include "runtime/log.h"

/* --- time
 * -----------------------------------------------------------------------------------------------------------
 */

uint64_t courier_now_ms(const struct courier *courier)
{
	return loop_now_ms(courier->options.loop);
}

void courier_poke_in(struct courier *courier, uint64_t delay_ms)
{
	uint64_t due_ms = courier_now_ms(courier) + delay_ms;
	if (due_ms < courier->poke_due_ms)
		courier->poke_due_ms = due_ms;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t next_due_ms(const struct courier *courier)
{
	uint64_t due_ms = least(retry_heap_next_ms(&courier->retries), courier->poke_due_ms);
	due_ms = least(due_ms, courier->sweep_due_ms);
	due_ms = least(due_ms, courier->late_due_ms);
	due_ms = least(due_ms, courier->pace_due_ms);
	due_ms = least(due_ms, courier->batch.due_ms);
	due_ms = least(due_ms, courier->stuck_due_ms);
	return least(due_ms, drop_log_due_ms(courier));
}

static void set_timer(struct courier *courier)
{
	if (courier->window.n_expiring == 0)
		courier->sweep_due_ms = UINT64_MAX;
	else if (courier->sweep_due_ms == UINT64_MAX)
		courier->sweep_due_ms = courier_now_ms(courier) + COURIER_REPEAT_MS;
	if (courier->n_late == 0)
		courier->late_due_ms = UINT64_MAX;
	else if (courier->late_due_ms == UINT64_MAX)
		courier->late_due_ms = courier_now_ms(courier) + COURIER_LATE_MS;
	stuck_watch(courier);
	uint64_t due_ms = next_due_ms(courier);
	if (due_ms == courier->timer_due_ms)
		return;
	courier->timer_due_ms = due_ms;
	if (due_ms == UINT64_MAX) {
		loop_timer_stop(courier->timer);
		return;
	}
	uint64_t now_ms = courier_now_ms(courier);
	loop_timer_start(courier->timer, due_ms > now_ms ? due_ms - now_ms : 0);
}

static void on_timer(void *arg)
{
	struct courier *courier = arg;
	uint64_t now_ms = courier_now_ms(courier);
	courier->timer_due_ms = UINT64_MAX;
	courier_enter(courier);
	if (courier->poke_due_ms <= now_ms) {
		courier->poke_due_ms = UINT64_MAX;
		courier->read_at_end = false;
	}
	if (courier->late_due_ms <= now_ms) {
		courier->late_due_ms = UINT64_MAX;
		late_sweep(courier, false);
	}
	for (uint64_t seq; (seq = retry_heap_pop(&courier->retries, now_ms)) != 0;)
		outcome_due(courier, seq);
	expiry_sweep(courier, now_ms);
	drop_log_flush(courier, now_ms);
	stuck_tell(courier, now_ms);
	courier_leave(courier);
}

/* --- work
 * ------------------------------------------------------------------------------------------------------------
 */

static void flush(struct courier *courier)
{
	bool unflushed = courier->unflushed;
	courier->unflushed = false;
	if (unflushed && courier->up)
		courier->options.connector->send_end(courier->options.link);
}

static void work(struct courier *courier)
{
	size_t burst = COURIER_BURST;
	do {
		courier->again = false;
		stages_work(courier);
		batch_bury(courier);
		dispatch_sift(courier);
		dispatch_send(courier, &burst);
		flush(courier);
		room_make(courier); /* what can be sent now is not dropped */
		surplus_work(courier);
		settle_work(courier);
		outbox_read_back(courier);
		if (courier->live)
			live_survey(courier);
	} while (courier->again && burst > 0);
	if (burst == 0)
		loop_post(courier->options.loop, &courier->go_on);
	set_timer(courier);
}

void courier_enter(struct courier *courier)
{
	courier->depth++;
}

/* By a job: whoever hears it offers at once, and may be the very link that is telling us an outcome just now. */
static void on_room_job(void *arg)
{
	struct courier *courier = arg;
	if (!courier->was_full || !room_is_back(courier))
		return;
	courier->was_full = false;
	if (courier->options.on_room)
		courier->options.on_room(courier->options.ctx);
}

/* The news for others, when nothing is half done. */
static void tell(struct courier *courier)
{
	if (courier->was_full && room_is_back(courier))
		loop_post(courier->options.loop, &courier->room_job);
	if (courier->on_idle && courier->in_flight + courier->n_replies + courier->letters_underway == 0 &&
		surplus_is_idle(courier)) {
		void (*on_idle)(void *ctx) = courier->on_idle;
		courier->on_idle = NULL;
		on_idle(courier->idle_ctx);
	}
}

void courier_leave(struct courier *courier)
{
	if (courier->depth > 1) {
		courier->depth--;
		courier->again = true;
		return;
	}
	work(courier);
	courier->depth = 0;
	tell(courier);
}

static void on_go_on(void *arg)
{
	courier_enter(arg);
	courier_leave(arg);
}

/* --- life
 * ------------------------------------------------------------------------------------------------------------
 */

static uint64_t seed_of(const struct courier *courier)
{
	uint64_t seed = loop_wall_ms(courier->options.loop);
	const uint8_t *uuid = journal_destination_uuid(courier->options.journal, courier->options.dest);
	return key_hash(slice_of(uuid, JOURNAL_UUID_LEN), seed);
}

static void init(struct courier *courier, const struct courier_options *options)
{
	courier->options = *options;
	courier->surplus.retry_ms = UINT64_MAX;
	courier->timer_due_ms = courier->poke_due_ms = courier->sweep_due_ms = courier->late_due_ms =
		courier->pace_due_ms = courier->stuck_due_ms = UINT64_MAX;
	pace_init(&courier->pace, (uint64_t)options->outbox->max_rate.messages, options->outbox->max_rate.bytes,
		loop_now_ms(options->loop));
	histogram_init(&courier->delivery, &histogram_long);
	courier->unordered = options->connector->unordered && options->connector->unordered(options->settings);
	batch_init(courier);
	courier->newest_ms = journal_newest_ms(options->journal);
	key_table_init(&courier->keys);
	retry_heap_init(&courier->retries, &courier->window);
	courier->hash_seed = seed_of(courier);
	backoff_init(&courier->backoff, options->outbox->backoff_min_ms, options->outbox->backoff_max_ms,
		courier->hash_seed);
	loop_job_init(&courier->go_on, on_go_on, courier);
	loop_job_init(&courier->room_job, on_room_job, courier);
}

struct courier *courier_new(const struct courier_options *options)
{
	struct courier *courier = calloc(1, sizeof *courier);
	if (!courier)
		return NULL;
	init(courier, options);
	courier->timer = loop_timer_new(options->loop, on_timer, courier);
	if (!courier->timer || stages_recover(courier) != 0 || batch_recover(courier) != 0 ||
		outbox_start(courier) != 0 || live_start(courier) != 0) {
		courier_free(courier);
		return NULL;
	}
	courier_enter(courier);
	courier_leave(courier);
	return courier;
}

void courier_free(struct courier *courier)
{
	if (!courier)
		return;
	drop_log_flush(courier, UINT64_MAX);
	loop_cancel(courier->options.loop, &courier->go_on);
	loop_cancel(courier->options.loop, &courier->room_job);
	if (courier->timer)
		loop_timer_free(courier->timer);
	if (courier->reader)
		journal_reader_free(courier->reader);
	live_stop(courier);
	letters_orphan(courier);
	surplus_free(courier);
	room_free(courier);
	window_fini(&courier->window);
	key_table_fini(&courier->keys);
	retry_heap_fini(&courier->retries);
	batch_fini(courier);
	free(courier->stages);
	free(courier->known_stages);
	free(courier);
}

void courier_inherit(struct courier *courier, const struct courier *before)
{
	courier->stats = before->stats;
	courier->delivery = before->delivery;
	courier->sent_end = before->sent_end;
	uint64_t end = before->sent_end > before->maybe_sent_end ? before->sent_end : before->maybe_sent_end;
	if (!courier->live && !before->live && end < courier->maybe_sent_end)
		courier->maybe_sent_end = end;
}

bool courier_is_settled(const struct courier *courier)
{
	return courier->letters_underway == 0 && surplus_is_idle(courier);
}

/* --- the journal's news
 * ------------------------------------------------------------------------------------------------ */

void courier_durable(struct courier *courier, uint64_t lsn)
{
	courier_enter(courier);
	if (lsn > courier->durable)
		courier->durable = lsn;
	packet_id_durable(courier);
	courier_leave(courier);
}

/* --- the link's news
 * ---------------------------------------------------------------------------------------------------- */

/* A cursor ahead of the log: the data folder is an older copy. What the destination has under the seqs that
 * will be given next is not what will be appended: neither to skip nor to send it would be right. As long as this process has
 * sent nothing, what was appended since its start says nothing of the cursor: sources may be quicker than the destination. */
static bool cursor_is_sane(const struct courier *courier, uint64_t done_through)
{
	uint64_t end = courier->stats.sent ? courier->appended_end : courier->recovered_end;
	if (done_through >= end) {
		log_error("cursor_ahead",
			"destination=%s done_through=%" PRIu64 " newest=%" PRIu64
			" cause=\"the data folder is older than the destination; nothing is sent\"",
			courier->options.name, done_through, end - 1);
		return false;
	}
	if (done_through + 1 < window_oldest(&courier->window))
		log_warn("cursor_behind", "destination=%s done_through=%" PRIu64 " done_here=%" PRIu64,
			courier->options.name, done_through, window_oldest(&courier->window) - 1);
	return true;
}

void courier_link_up(struct courier *courier, const struct sink_traits *traits)
{
	courier_enter(courier);
	dispatch_restart(courier);
	courier->link_window = traits->max_in_flight;
	courier->link_held_bytes = traits->held_bytes;
	courier->up = true;
	if (traits->session_lost)
		stages_void(courier);
	if (traits->cursor_valid) {
		courier->up = cursor_is_sane(courier, traits->done_through);
		courier->cursor_through = courier->up ? traits->done_through : 0;
		courier->sift_next = courier->window.first;
		if (courier->live)
			courier->window.lane->unsifted = lane_first(courier->window.lane);
	}
	if (courier->up)
		log_info("delivery_resumed", "destination=%s held=%zu", courier->options.name, courier->window.n_held);
	courier_leave(courier);
}

void courier_link_down(struct courier *courier, const char *reason)
{
	courier_enter(courier);
	if (courier->up) {
		courier->stats.link_downs++;
		log_warn("delivery_paused", "destination=%s in_flight=%" PRIu64 " reason=\"%s\"", courier->options.name,
			courier->in_flight, reason ? reason : "");
	}
	courier->up = false;
	courier->settle_seq = 0;
	late_sweep(courier, true);
	dispatch_restart(courier);
	courier_leave(courier);
}

void courier_window(struct courier *courier, uint32_t max_in_flight)
{
	courier_enter(courier);
	courier->link_window = max_in_flight;
	courier_leave(courier);
}

void courier_drain(struct courier *courier, void (*on_idle)(void *ctx), void *ctx)
{
	courier_enter(courier);
	courier->draining = true;
	late_sweep(courier, true);
	courier->on_idle = on_idle;
	courier->idle_ctx = ctx;
	courier_leave(courier);
}

struct courier_stats courier_stats(const struct courier *courier)
{
	struct courier_stats stats = courier->stats;
	stats.in_flight = courier->in_flight;
	stats.held = courier->window.n_held;
	stats.held_bytes = courier->window.held_bytes;
	if (courier->window.lane) {
		stats.held += courier->window.lane->n;
		stats.held_bytes += courier->window.lane->bytes;
	}
	stats.link_is_up = courier->up;
	stats.oldest_ms = times_oldest_ms(courier);
	stats.paused = courier->paused;
	return stats;
}
