/* SPDX-License-Identifier: Apache-2.0
 *
 * The link of a mapping with `aggregate`: as a sink it holds its deliveries in flight until their window is over, as a source it
 * then offers the results, with which the deliveries are done (README.md). It owns what is known of the open windows, which
 * is nothing that the journal does not have; it keeps no file and speaks to nobody.
 *
 * Threads: the loop.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/aggregate/panes.h"
#include "connectors/connector.h"
#include "runtime/log.h"

#define IN_FLIGHT  16384u
#define HELD_BYTES (32u * 1024 * 1024)
#define FOLD_SEQS  12000u /* more of them than MAX_KEYS, so that folding makes fewer */
#define FOLD_BYTES (12u * 1024 * 1024) /* likewise; and less than a courier holds */
#define MAX_KEYS   10000u /* of all open windows */
#define MAX_BYTES  (8u * 1024 * 1024)
#define CHUNK      512u /* results of one offer, and of one turn of the loop */
#define POLL_MS    1000u /* what nobody reports */

static const char position_closed[] = "closed", position_states[] = "states";

struct link {
	struct link_host *host;
	const char *name;
	struct loop *loop;
	const struct aggregate_config *settings;
	unsigned bits;
	struct loop_timer *timer;
	struct loop_job job;
	struct panes panes;
	struct arena arena;
	uint64_t seen; /* the newest seq that was sent here */
	uint64_t newest_end_ms; /* of the windows of messages that came as they are */
	uint64_t states_end; /* messages that stand for several have seqs below */
	uint64_t closed_ms; /* results of windows up to that end were given, and there is only one of each */
	size_t chunk;
	bool up;
	bool blocked; /* an offer was not taken, until resume */
	bool narrow; /* nothing more is taken in, until then */
	bool later; /* something could not be done: not before the timer */
	uint64_t results, folds, early, late;
};

/* --- time --------------------------------------------------------------------------------------------------------- */

static uint64_t end_of(const struct link *link, uint64_t at_ms)
{
	return (at_ms / link->settings->window_ms + 1) * link->settings->window_ms;
}

/* By the clock of this process. */
static int64_t over_ms(const struct pane *pane)
{
	return (int64_t)pane->frame.end_ms + pane->frame.shift_ms;
}

/* What ends later than any window that could begin now was stamped by a clock that stood wrong: it is not waited for. */
static bool is_over(const struct link *link, const struct pane *pane)
{
	int64_t now_ms = (int64_t)loop_wall_ms(link->loop);
	return now_ms >= over_ms(pane) || over_ms(pane) > now_ms + 2 * (int64_t)link->settings->window_ms;
}

/* A message for which the result was given already counts in the window after that. A clock that was set back by more than
 * a window begins anew. */
static uint64_t window_of(struct link *link, uint64_t origin_ms)
{
	uint64_t end_ms = end_of(link, origin_ms);
	if (end_ms > link->closed_ms || link->closed_ms > end_of(link, loop_wall_ms(link->loop)))
		return end_ms;
	link->late++;
	return end_of(link, link->closed_ms);
}

/* Has everything been sent here that belongs to the window? All that was appended before it was over, or, where much waits, what
 * came after it: the seqs are in the order of arriving, but for what was folded. */
static bool is_complete(struct link *link, struct pane *pane)
{
	uint64_t next_seq, undone;
	link->host->ops->outbox(link->host, &next_seq, &undone);
	if (!pane->barrier)
		pane->barrier = next_seq;
	return link->seen + 1 >= pane->barrier || link->panes.n_seqs == undone ||
	       (link->newest_end_ms > pane->frame.end_ms && link->seen + 1 >= link->states_end);
}

static struct pane *find_complete(struct link *link)
{
	struct pane *pane = link->panes.first;
	while (pane && !(is_over(link, pane) && is_complete(link, pane)))
		pane = pane->next;
	return pane;
}

/* --- what is to be done ------------------------------------------------------------------------------------------- */

static bool passes_bounds(const struct link *link)
{
	return link->panes.n > MAX_KEYS || link->panes.bytes > MAX_BYTES;
}

static bool needs_fold(const struct link *link)
{
	const struct panes *panes = &link->panes;
	return (panes->n_seqs >= FOLD_SEQS || panes->held >= FOLD_BYTES) && panes->n_seqs > panes->n;
}

static void set_timer(struct link *link)
{
	int64_t now_ms = (int64_t)loop_wall_ms(link->loop), due_ms = INT64_MAX;
	for (const struct pane *pane = link->panes.first; pane; pane = pane->next) {
		int64_t at_ms = is_over(link, pane) ? now_ms + POLL_MS : over_ms(pane);
		if (at_ms < due_ms)
			due_ms = at_ms;
	}
	if (link->later && due_ms > now_ms + POLL_MS)
		due_ms = now_ms + POLL_MS;
	if (due_ms == INT64_MAX)
		loop_timer_stop(link->timer);
	else
		loop_timer_start(link->timer, (uint64_t)(due_ms - now_ms));
}

/* By a job: a result that is offered may reach a courier that is just sending. */
static void plan(struct link *link)
{
	if (!link->up)
		return;
	bool can_give = !link->blocked && (passes_bounds(link) || find_complete(link));
	if (!link->later && (can_give || needs_fold(link)))
		loop_post(link->loop, &link->job);
	else
		set_timer(link);
}

static int compare_seqs(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

static int compare_partials(const void *a, const void *b)
{
	const struct partial *x = *(struct partial *const *)a, *y = *(struct partial *const *)b;
	return compare_seqs(&x->seqs[0], &y->seqs[0]);
}

/* Some of a window's keys with what is to be offered of them. */
struct bundle {
	struct partial **partials;
	struct message_view *views;
	uint64_t *seqs;
	size_t n, n_seqs;
};

static void bundle_free(struct bundle *bundle)
{
	free(bundle->partials);
	free(bundle->views);
	free(bundle->seqs);
}

/* 0 or -ENOMEM. Holds nothing yet, but room for that many. */
static int bundle_new(struct bundle *bundle, size_t n, size_t n_seqs)
{
	*bundle = (struct bundle){
		.partials = calloc(n + 1, sizeof(struct partial *)),
		.views = calloc(n + 1, sizeof(struct message_view)),
		.seqs = calloc(n_seqs + 1, sizeof(uint64_t)),
	};
	if (bundle->partials && bundle->views && bundle->seqs)
		return 0;
	bundle_free(bundle);
	return -ENOMEM;
}

static void bundle_add_seqs(struct bundle *bundle, const struct partial *partial)
{
	memcpy(bundle->seqs + bundle->n_seqs, partial->seqs, partial->n_seqs * sizeof *partial->seqs);
	bundle->n_seqs += partial->n_seqs;
}

static void bundle_sort_seqs(struct bundle *bundle)
{
	if (bundle->n_seqs)
		qsort(bundle->seqs, bundle->n_seqs, sizeof *bundle->seqs, compare_seqs);
}

static void remove_all(struct link *link, const struct bundle *bundle)
{
	for (size_t i = 0; i < bundle->n; i++)
		pane_remove(&link->panes, bundle->partials[i]);
	panes_remove_empty(&link->panes);
}

/* --- folding ------------------------------------------------------------------------------------------------------ */

/* Of each key that is made of several messages, or of all of one window. */
static int add_states(struct link *link, struct pane *pane, bool all, struct bundle *bundle)
{
	size_t first = bundle->n;
	int r = 0;
	pane_list(pane, bundle->partials + first);
	for (size_t i = first; r == 0 && i < first + pane->n; i++) {
		struct partial *partial = bundle->partials[i];
		if (partial->n_seqs < 2 && !(all && partial->raw))
			continue;
		r = partial_write(partial, link->bits, &pane->frame, &link->arena, &bundle->views[bundle->n]);
		bundle_add_seqs(bundle, partial);
		bundle->partials[bundle->n++] = partial;
	}
	return r;
}

static int replace(struct link *link, struct bundle *bundle)
{
	uint64_t next_seq, undone;
	link->host->ops->outbox(link->host, &next_seq, &undone);
	struct state_change change = {.type = CHANGE_POSITION,
		.position = next_seq + bundle->n,
		.blob = slice_of(position_states, sizeof position_states - 1)};
	int r = link->host->ops->replace(link->host, bundle->seqs, bundle->n_seqs, bundle->views, bundle->n, &change);
	if (r == 0)
		link->states_end = change.position;
	return r;
}

/* only: of that window, and all of it. NULL: of all windows. 0 or a negative errno. */
static int fold(struct link *link, struct pane *only)
{
	struct bundle bundle;
	int r = bundle_new(&bundle, link->panes.n, link->panes.n_seqs);
	if (r < 0)
		return r;
	arena_reset(&link->arena);
	for (struct pane *pane = only ? only : link->panes.first; pane && r == 0; pane = only ? NULL : pane->next)
		r = add_states(link, pane, only != NULL, &bundle);
	bundle_sort_seqs(&bundle);
	if (r == 0)
		r = replace(link, &bundle);
	if (r == 0) /* it comes back as deliveries, like after a restart */
		remove_all(link, &bundle);
	bundle_free(&bundle);
	link->folds += r == 0;
	if (r < 0)
		log_debug("aggregate_fold", "connection=%s error=\"%s\"", link->name, strerror(-r));
	return r;
}

/* --- results ------------------------------------------------------------------------------------------------------ */

static int make_results(struct link *link, const struct pane *pane, struct bundle *bundle)
{
	uint64_t end_ms = pane->frame.end_ms, start_ms = end_ms - link->settings->window_ms;
	int r = 0;
	arena_reset(&link->arena);
	for (size_t i = 0; r == 0 && i < bundle->n; i++) {
		bundle_add_seqs(bundle, bundle->partials[i]);
		r = partial_result(bundle->partials[i], link->bits, start_ms, end_ms, &link->arena, &bundle->views[i]);
		bundle->views[i].origin_ms = loop_wall_ms(link->loop);
	}
	bundle_sort_seqs(bundle);
	return r;
}

static enum offer_result offer(struct link *link, const struct pane *pane, const struct bundle *bundle, bool closes)
{
	struct offer offer = {
		.view = bundle->views,
		.n_more = bundle->n - 1,
		.subscription = -1,
		.no_receipt = true,
		.finished = bundle->seqs,
		.n_finished = bundle->n_seqs,
	};
	if (closes)
		offer.change = (struct state_change){.type = CHANGE_POSITION,
			.position = pane->frame.end_ms,
			.blob = slice_of(position_closed, sizeof position_closed - 1)};
	return link->host->ops->offer(link->host, &offer);
}

static void reject(struct link *link, uint64_t seq, const char *reason)
{
	struct outcome outcome = {.kind = OUTCOME_REJECTED, .reason = reason};
	link->host->ops->outcome(link->host, seq, &outcome);
}

static void settle(struct link *link, struct pane *pane, const struct bundle *bundle, bool closes)
{
	uint64_t end_ms = pane->frame.end_ms;
	switch (offer(link, pane, bundle, closes)) {
	case OFFER_TAKEN:
		link->results += bundle->n;
		link->chunk = bundle->n == pane->n ? CHUNK : link->chunk;
		if (closes)
			link->closed_ms = end_ms;
		remove_all(link, bundle);
		break;
	case OFFER_REFUSED: /* too large: in smaller sets, or not at all */
		if (bundle->n > 1) {
			link->chunk = bundle->n / 2;
			break;
		}
		remove_all(link, bundle);
		for (size_t i = 0; i < bundle->n_seqs; i++)
			reject(link, bundle->seqs[i], "the result of its window was refused: it is too large");
		break;
	case OFFER_BUSY:
		link->blocked = true;
		break;
	}
}

static bool is_folded(struct partial *const *partials, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (partials[i]->raw || partials[i]->n_seqs > 1)
			return false;
	return true;
}

/* Gives results of the window, as many as one set and turn take. What is given in parts is folded before: what is not may count
 * in the next window once the first part has closed this one, and would leave as many gaps in the outbox as it has messages.
 * early: the window is not over, and stays open. */
static void give(struct link *link, struct pane *pane, bool early)
{
	struct bundle bundle;
	size_t n = pane->n;
	if (bundle_new(&bundle, n, pane->n_seqs) < 0) {
		link->later = true; /* the timer comes back to it */
		return;
	}
	pane_list(pane, bundle.partials);
	qsort(bundle.partials, n, sizeof(struct partial *), compare_partials);
	bundle.n = n < link->chunk ? n : link->chunk;
	if (n > link->chunk && !early && !is_folded(bundle.partials, n) && fold(link, pane) == 0) {
		bundle_free(&bundle);
		return;
	}
	bool closes = !early && bundle.n == n && pane->frame.end_ms > link->closed_ms;
	if (make_results(link, pane, &bundle) == 0)
		settle(link, pane, &bundle, closes);
	else
		link->later = true;
	bundle_free(&bundle);
}

static void give_early(struct link *link)
{
	struct pane *pane = link->panes.first;
	log_warn("aggregate_early",
		"connection=%s keys=%zu bytes=%zu max_keys=%u max_bytes=%u what=\"too much is in the windows: results "
		"are "
		"given before their end, and what comes then is in a further one\"",
		link->name, link->panes.n, link->panes.bytes, MAX_KEYS, MAX_BYTES);
	link->early++;
	give(link, pane, true);
}

static void work(void *arg)
{
	struct link *link = arg;
	if (!link->up)
		return;
	struct pane *complete = link->blocked ? NULL : find_complete(link);
	if (complete)
		give(link, complete, false);
	else if (!link->blocked && passes_bounds(link))
		give_early(link);
	else if (needs_fold(link))
		link->later = fold(link, NULL) < 0;
	if (link->blocked && passes_bounds(link) && !link->narrow) {
		link->narrow = true;
		link->host->ops->window(link->host, 0);
	}
	plan(link);
}

static void on_timer(void *arg)
{
	struct link *link = arg;
	link->later = false;
	work(link);
}

/* --- deliveries --------------------------------------------------------------------------------------------------- */

/* What came as a message, or stands for several of them. */
static int pane_of(struct link *link, const struct delivery *delivery, struct slice state, struct pane **ret_pane)
{
	struct partial_frame frame = {.end_ms = 0};
	if (state.data && !partial_read_frame(link->bits, state, &frame))
		return -EINVAL;
	if (!state.data)
		frame.end_ms = window_of(link, message_view(delivery->msg)->origin_ms);
	struct pane *pane = panes_get(&link->panes, frame.end_ms);
	if (!pane)
		return -ENOMEM;
	pane->frame.shift_ms = frame.shift_ms + delivery->shift_ms;
	*ret_pane = pane;
	return 0;
}

static int take(struct link *link, const struct delivery *delivery)
{
	const struct message_view *view = message_view(delivery->msg);
	struct slice key = message_param(view, MESSAGE_AGGREGATE), state = message_param(view, MESSAGE_AGGREGATE_STATE);
	struct pane *pane;
	int r = key.data ? pane_of(link, delivery, state, &pane) : -EINVAL;
	if (r < 0)
		return r;
	struct partial *partial = pane_get(&link->panes, pane, key);
	if (!partial)
		return -ENOMEM;
	r = pane_add(&link->panes, partial, link->bits, delivery->seq, delivery->msg, state);
	if (partial->n_seqs == 0)
		pane_remove(&link->panes, partial);
	if (r == 0 && !state.data && pane->frame.end_ms > link->newest_end_ms)
		link->newest_end_ms = pane->frame.end_ms;
	return r;
}

static void aggregate_send(struct link *link, const struct delivery *delivery)
{
	if (delivery->seq > link->seen)
		link->seen = delivery->seq;
	int r = take(link, delivery);
	if (r < 0)
		panes_remove_empty(&link->panes);
	if (r == -EINVAL) {
		reject(link, delivery->seq,
			"it holds no value that can be aggregated: its mapping has been changed, or it was a dead "
			"letter");
	} else if (r < 0) {
		struct outcome outcome = {.kind = OUTCOME_RETRY, .reason = "out of memory"};
		link->host->ops->outcome(link->host, delivery->seq, &outcome);
	}
	if (link->blocked && passes_bounds(link) && !link->narrow) {
		link->narrow = true;
		link->host->ops->window(link->host, 0);
	}
}

static void aggregate_send_end(struct link *link)
{
	plan(link);
}

/* --- life --------------------------------------------------------------------------------------------------------- */

static void aggregate_destroy(struct link *link)
{
	panes_clear(&link->panes);
	loop_cancel(link->loop, &link->job);
	loop_timer_free(link->timer);
	arena_free(&link->arena);
	free(link);
}

static int aggregate_create(const struct link_spec *spec, struct link_host *host, struct link **ret_link)
{
	struct link *link = calloc(1, sizeof *link);
	if (!link)
		return -ENOMEM;
	*link = (struct link){
		.host = host,
		.name = spec->name,
		.loop = spec->loop,
		.settings = spec->settings,
		.bits = aggregate_bits(spec->settings),
		.chunk = CHUNK,
	};
	loop_job_init(&link->job, work, link);
	link->timer = loop_timer_new(link->loop, on_timer, link);
	if (!link->timer) {
		aggregate_destroy(link);
		return -ENOMEM;
	}
	*ret_link = link;
	return 0;
}

static void aggregate_start(struct link *link, const struct link_recovery *recovery)
{
	struct sink_traits traits = {.max_in_flight = IN_FLIGHT, .held_bytes = HELD_BYTES};
	uint64_t position;
	if (recovery->position(recovery, slice_of(position_closed, sizeof position_closed - 1), &position))
		link->closed_ms = position;
	if (recovery->position(recovery, slice_of(position_states, sizeof position_states - 1), &position))
		link->states_end = position;
	link->up = true;
	link->host->ops->link_up(link->host, &traits);
}

static void aggregate_pause(struct link *link)
{
	link->blocked = true;
}

static void aggregate_resume(struct link *link)
{
	link->blocked = false;
	if (!link->up)
		return;
	if (link->narrow)
		link->host->ops->window(link->host, IN_FLIGHT);
	link->narrow = false;
	plan(link);
}

static void aggregate_receipt(struct link *link, uint64_t cookie, enum receipt receipt)
{
	(void)link;
	(void)cookie;
	(void)receipt;
}

static void aggregate_receipts_end(struct link *link)
{
	(void)link;
}

/* What is open waits in the journal. */
static void aggregate_stop_intake(struct link *link)
{
	if (!link->up)
		return;
	link->up = false;
	loop_timer_stop(link->timer);
	panes_clear(&link->panes);
	link->host->ops->link_down(link->host, "stopping: what is in a window waits for the next start");
}

static void aggregate_stop(struct link *link, uint64_t linger_ms)
{
	(void)linger_ms;
	aggregate_stop_intake(link);
	link->host->ops->stopped(link->host);
}

static void aggregate_counters(
	const struct link *link, void (*fn)(const char *name, uint64_t value, void *arg), void *arg)
{
	fn("open_keys", link->panes.n, arg);
	fn("results", link->results, arg);
	fn("folds", link->folds, arg);
	fn("early", link->early, arg);
	fn("late", link->late, arg);
}

static enum guarantee source_guarantee(const void *settings, uint8_t qos)
{
	(void)settings;
	(void)qos;
	return EXACTLY_ONCE;
}

static enum guarantee sink_guarantee(const void *settings, uint8_t qos, bool declared)
{
	(void)settings;
	(void)qos;
	(void)declared;
	return EXACTLY_ONCE;
}

const struct connector aggregate_connector = {
	.name = "aggregate",
	.help = "What a mapping with aggregate has between its source and its targets.",
	.connection_keys = aggregate_keys,
	.settings_size = sizeof(struct aggregate_config),
	.target_key = "topic",
	.can_source = true,
	.can_sink = true,
	.pipelined_order = true,
	.deep_window = true, /* what is in open windows is in flight */
	.source_guarantee = source_guarantee,
	.sink_guarantee = sink_guarantee,
	.create = aggregate_create,
	.start = aggregate_start,
	.pause = aggregate_pause,
	.resume = aggregate_resume,
	.receipt = aggregate_receipt,
	.receipts_end = aggregate_receipts_end,
	.send = aggregate_send,
	.send_end = aggregate_send_end,
	.counters = aggregate_counters,
	.stop_intake = aggregate_stop_intake,
	.stop = aggregate_stop,
	.destroy = aggregate_destroy,
};
