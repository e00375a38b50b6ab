/* SPDX-License-Identifier: Apache-2.0
 *
 * The exactly-once sink on the loop: gathers deliveries into transactions, decides when one ends, and turns what the worker
 * reports into outcomes. Messages and cursor are committed together, strictly in the order of seq.
 *
 * A transaction ends when its first message is `interval` old, when it is full, or when the window lets no more come: but as long as the
 * worker is busy with an earlier one it may as well go on filling, up to what is configured. Before it ends the
 * host is asked whether the cursor may move (settle); what comes meanwhile belongs to the next one.
 *
 * Legal moves: IDLE → OPENING → UP → CLOSING → WAITING → OPENING; OPENING → CLOSING; any → CLOSING → STOPPED. OPENING and
 * UP leave by CLOSING only: the messages of a producer are kept until the worker says that it is closed.
 *
 * Threads: the loop; the worker's is in exact_worker.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/kafka/backoff.h"
#include "connectors/kafka/exact_worker.h"
#include "connectors/kafka/part.h"
#include "runtime/failpoint.h"
#include "runtime/log.h"

#define ALARM_AGAIN_MS 60000u
/* What the courier lets be in flight at most; of that a transaction ends with three quarters. What comes while it is committed is
 * the beginning of the next one, which can so be sent to the brokers while the rest of it is still read. */
#define HELD_BYTES        (4u * 1024 * 1024)
#define WIDE_HELD_BYTES   (64u * 1024 * 1024)
#define SMALLER_BATCH     4u /* divides batch.size */
#define OUTCOMES_AT_ONCE  512u
#define OUTCOMES_PER_TURN 5000u /* of the loop: with the journal's work behind each, a few milliseconds */
/* Each rejected message can be a done range in the journal until all before it are committed (JOURNAL_MAX_DONE_RANGES): more of them are
 * left to narrow transactions, of which the window has two. */
#define MOST_REJECTED   1000u
#define NARROW_MESSAGES 500u

enum exact_state { EX_IDLE, EX_OPENING, EX_UP, EX_CLOSING, EX_WAITING, EX_FENCED, EX_STOPPED };

struct exact_item {
	uint64_t seq;
	struct message *msg; /* NULL: it has its outcome */
	int64_t shift_ms;
};

struct kafka_exact {
	struct link_host *host;
	struct loop *loop;
	const char *name;
	const struct kafka_settings *settings;
	struct exact_worker *worker;
	struct loop_timer *timer; /* UP: the end of a transaction; WAITING: the next try */
	struct loop_job outcomes_job;
	enum exact_state state;
	bool announced, stopping;
	unsigned failures; /* in a row, for the back-off */
	struct kafka_limits limits; /* of the next producer */
	uint64_t isolate_until; /* with limits.one_by_one: up to there */
	bool size_in_doubt; /* … because a batch was too large, and no single record has been so far */
	uint64_t narrow_until; /* up to there transactions are narrow; 0: no */

	/* Taken and without outcome, by seq; [0, n_given) were given to the worker. */
	struct exact_item *items;
	size_t begin, end, capacity; /* of the array */
	size_t n_given;
	uint64_t last_seq;
	uint64_t ended, committed; /* through that seq: the worker has been told to end one, has committed one */
	size_t n_rejected; /* of the items */
	size_t n_gathered, gathered_bytes; /* since the last end of a transaction */
	bool due; /* it is to end */
	uint64_t settling; /* the host is asked about that seq; nothing is given meanwhile. 0: no */
	bool go_after, undone; /* … and the worker waits for it */

	struct exact_order *orders; /* scratch */
	size_t orders_capacity;
	char alarm[400];
	uint64_t alarm_ms;
	uint64_t n_transactions, n_lost;
};

static struct kafka_exact *exact_of(struct link *link)
{
	return (struct kafka_exact *)(void *)link;
}

static void alarm_once(struct kafka_exact *ex, const char *what)
{
	uint64_t now_ms = loop_now_ms(ex->loop);
	if (strncmp(ex->alarm, what, sizeof ex->alarm - 1) == 0 && now_ms - ex->alarm_ms < ALARM_AGAIN_MS)
		return;
	snprintf(ex->alarm, sizeof ex->alarm, "%s", what);
	ex->alarm_ms = now_ms;
	ex->host->ops->alarm(ex->host, what);
}

/* --- items ---------------------------------------------------------------------------------------------------- */

static size_t n_items(const struct kafka_exact *ex)
{
	return ex->end - ex->begin;
}

static struct exact_item *item_at(const struct kafka_exact *ex, size_t i)
{
	return &ex->items[ex->begin + i];
}

static bool items_add(struct kafka_exact *ex, const struct delivery *delivery)
{
	if (ex->end == ex->capacity && ex->begin > ex->capacity / 2) {
		memmove(ex->items, ex->items + ex->begin, n_items(ex) * sizeof *ex->items);
		ex->end -= ex->begin;
		ex->begin = 0;
	} else if (ex->end == ex->capacity) {
		size_t capacity = ex->capacity ? 2 * ex->capacity : 256;
		struct exact_item *items = realloc(ex->items, capacity * sizeof *items);
		if (!items)
			return false;
		ex->items = items;
		ex->capacity = capacity;
	}
	ex->items[ex->end++] = (struct exact_item){delivery->seq, message_ref(delivery->msg), delivery->shift_ms};
	return true;
}

static struct exact_item items_pop(struct kafka_exact *ex)
{
	struct exact_item item = ex->items[ex->begin++];
	ex->n_rejected -= !item.msg;
	ex->n_given -= ex->n_given > 0;
	if (ex->begin == ex->end)
		ex->begin = ex->end = 0;
	return item;
}

static void items_clear(struct kafka_exact *ex)
{
	while (n_items(ex) > 0)
		message_unref(items_pop(ex).msg);
}

/* --- going down ------------------------------------------------------------------------------------------------- */

static void forget_transaction(struct kafka_exact *ex)
{
	loop_timer_stop(ex->timer);
	ex->n_gathered = ex->gathered_bytes = 0;
	ex->due = ex->go_after = ex->undone = false;
	ex->settling = 0;
}

static bool worker_is_busy(const struct kafka_exact *ex)
{
	return ex->ended > ex->committed;
}

/* The producer is given up; what is in flight ends with LINK_DOWN. */
static void go_down(struct kafka_exact *ex, const char *reason)
{
	ex->state = EX_CLOSING;
	forget_transaction(ex);
	exact_worker_close(ex->worker);
	if (!ex->announced)
		return;
	ex->announced = false;
	ex->host->ops->link_down(ex->host, reason);
}

/* The same for a cause that may be there again at once. */
static void give_up(struct kafka_exact *ex, const char *reason)
{
	ex->failures++;
	go_down(ex, reason);
}

/* --- giving and ending ------------------------------------------------------------------------------------------ */

static bool reserve_orders(struct kafka_exact *ex, size_t n)
{
	if (n <= ex->orders_capacity)
		return true;
	struct exact_order *orders = realloc(ex->orders, 2 * n * sizeof *orders);
	if (!orders)
		return false;
	ex->orders = orders;
	ex->orders_capacity = 2 * n;
	return true;
}

/* Gives the worker all that waits here up to that seq. */
static void give(struct kafka_exact *ex, uint64_t through)
{
	size_t i = ex->n_given, n_orders = 0;
	if (!reserve_orders(ex, n_items(ex) - i)) {
		give_up(ex, "out of memory");
		return;
	}
	uint64_t now_ms = loop_wall_ms(ex->loop);
	for (; i < n_items(ex) && item_at(ex, i)->seq <= through; i++) {
		const struct exact_item *item = item_at(ex, i);
		if (item->msg)
			ex->orders[n_orders++] =
				(struct exact_order){item->seq, item->msg, now_ms - (uint64_t)item->shift_ms};
	}
	if (n_orders > 0 && exact_worker_give(ex->worker, ex->orders, n_orders) < 0)
		give_up(ex, "out of memory");
	else
		ex->n_given = i;
}

static bool has_committed(const struct kafka_exact *ex)
{
	return n_items(ex) > 0 && item_at(ex, 0)->seq <= ex->committed;
}

/* The first one that is not committed: those before it only wait for their outcomes. */
static size_t first_uncommitted(const struct kafka_exact *ex)
{
	size_t i = 0;
	while (i < n_items(ex) && item_at(ex, i)->seq <= ex->committed)
		i++;
	return i;
}

/* The cursor may move to where the host was asked about. */
static void finish_ending(struct kafka_exact *ex, uint64_t seq)
{
	struct exact_order end = {.seq = seq};
	bool go_after = ex->go_after, undone = ex->undone;
	ex->settling = 0;
	ex->go_after = ex->undone = false;
	if (go_after)
		exact_worker_go(ex->worker, undone);
	if (go_after && !undone)
		return; /* its end was ordered before */
	if (undone) {
		ex->n_given = first_uncommitted(ex);
		give(ex, seq);
	}
	ex->ended = seq;
	if (ex->state == EX_UP && exact_worker_give(ex->worker, &end, 1) < 0)
		give_up(ex, "out of memory");
}

/* Ends the transaction with all that was given. */
static void end_transaction(struct kafka_exact *ex)
{
	forget_transaction(ex);
	ex->settling = ex->last_seq;
	if (ex->host->ops->settle(ex->host, ex->settling))
		finish_ending(ex, ex->settling);
}

static uint32_t window_of(const struct kafka_exact *ex)
{
	uint32_t most = kafka_settings_window(ex->settings, true);
	return ex->narrow_until && most > 2 * NARROW_MESSAGES ? 2 * NARROW_MESSAGES : most;
}

/* It must not grow any more. */
static bool is_full(const struct kafka_exact *ex)
{
	const struct kafka_transaction *most = &ex->settings->transaction;
	return ex->n_gathered >= (size_t)most->max_messages || ex->gathered_bytes >= most->max_bytes;
}

static bool is_part_of_all(const struct kafka_exact *ex, unsigned quarters)
{
	size_t window = window_of(ex), messages = window < SINK_DEEP_LOOKAHEAD ? window : SINK_DEEP_LOOKAHEAD;
	size_t bytes = window >= SINK_DEEP_WINDOW ? WIDE_HELD_BYTES : HELD_BYTES;
	return 4 * ex->n_gathered >= quarters * messages || 4 * ex->gathered_bytes >= quarters * bytes;
}

static bool should_end(const struct kafka_exact *ex)
{
	if (ex->n_gathered == 0)
		return false;
	return is_full(ex) || (!worker_is_busy(ex) && (ex->due || is_part_of_all(ex, 3)));
}

/* Does what can be done: gives, and ends the transaction if it is due. */
static void go_on(struct kafka_exact *ex)
{
	if (ex->state != EX_UP || ex->settling || ex->stopping)
		return;
	give(ex, UINT64_MAX);
	if (ex->state == EX_UP && should_end(ex))
		end_transaction(ex);
}

static void exact_send(struct link *link, const struct delivery *delivery)
{
	struct kafka_exact *ex = exact_of(link);
	if (ex->stopping || ex->state != EX_UP)
		return; /* forgotten by the stop, or ended by the LINK_DOWN */
	if (delivery->seq <= ex->last_seq || !items_add(ex, delivery)) {
		/* Out of order: a message that was to be dead is not. From the oldest on, again. */
		give_up(ex, delivery->seq <= ex->last_seq ? "a message has come out of order" : "out of memory");
		return;
	}
	ex->last_seq = delivery->seq;
	if (ex->n_gathered++ == 0)
		loop_timer_start(ex->timer, ex->settings->transaction.interval_ms);
	ex->gathered_bytes += message_memory(delivery->msg);
	if (should_end(ex))
		go_on(ex);
}

static void exact_send_end(struct link *link)
{
	go_on(exact_of(link));
}

static void exact_settled(struct link *link)
{
	struct kafka_exact *ex = exact_of(link);
	if (ex->state != EX_UP || !ex->settling)
		return;
	finish_ending(ex, ex->settling);
	go_on(ex);
}

/* --- what the worker says ----------------------------------------------------------------------------------------- */

static void on_opened(struct kafka_exact *ex, uint64_t done_through)
{
	if (ex->state != EX_OPENING)
		return;
	ex->state = EX_UP;
	ex->announced = true;
	ex->last_seq = ex->ended = ex->committed = done_through;
	log_info("kafka_transactional", "connection=%s cursor=%llu transactional_id=%s", ex->name,
		(unsigned long long)done_through, exact_worker_id(ex->worker));
	struct sink_traits traits = {
		.max_in_flight = window_of(ex),
		.held_bytes = WIDE_HELD_BYTES,
		.cursor_valid = true,
		.done_through = done_through,
	};
	ex->host->ops->link_up(ex->host, &traits);
}

/* All that had to go one by one is through. */
static void end_isolation(struct kafka_exact *ex)
{
	uint32_t batch_bytes = exact_worker_batch_bytes(ex->worker);
	ex->limits.one_by_one = false;
	if (ex->size_in_doubt) /* no record was to blame */
		ex->limits.batch_bytes = batch_bytes > SMALLER_BATCH ? batch_bytes / SMALLER_BATCH : 1;
	ex->size_in_doubt = false;
	go_down(ex, "the refused batch has been sent message by message; back to batches");
}

static void end_narrowness(struct kafka_exact *ex)
{
	ex->narrow_until = 0;
	ex->host->ops->window(ex->host, window_of(ex));
}

static void tell_some(struct kafka_exact *ex)
{
	uint64_t seqs[OUTCOMES_AT_ONCE];
	size_t n = 0;
	while (n < OUTCOMES_AT_ONCE && has_committed(ex)) {
		struct exact_item item = items_pop(ex);
		if (!item.msg)
			continue;
		message_unref(item.msg);
		seqs[n++] = item.seq;
	}
	if (n > 0)
		ex->host->ops->delivered(ex->host, seqs, n); /* may send */
}

/* Some in each turn. What a producer that is lost meanwhile has committed the next one learns from the cursor. */
static void tell_outcomes(void *arg)
{
	struct kafka_exact *ex = arg;
	for (unsigned n = 0; n < OUTCOMES_PER_TURN && ex->state == EX_UP && has_committed(ex); n += OUTCOMES_AT_ONCE)
		tell_some(ex);
	FAILPOINT("kafka.after_outcome");
	if (ex->state != EX_UP)
		return;
	if (has_committed(ex))
		loop_post(ex->loop, &ex->outcomes_job);
	else if (ex->limits.one_by_one && ex->committed >= ex->isolate_until)
		end_isolation(ex);
	else if (ex->narrow_until && ex->committed >= ex->narrow_until)
		end_narrowness(ex);
}

/* The worker first: it has nothing to do. */
static void on_committed(struct kafka_exact *ex, uint64_t seq)
{
	ex->n_transactions++;
	ex->failures = 0;
	ex->committed = seq;
	if (is_part_of_all(ex, 1)) { /* a backlog: the next one can become large as well */
		ex->due = false;
		loop_timer_start(ex->timer, ex->settings->transaction.interval_ms);
	}
	go_on(ex);
	tell_outcomes(ex);
}

static struct exact_item *item_find(const struct kafka_exact *ex, uint64_t seq)
{
	size_t low = 0, high = n_items(ex);
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (item_at(ex, middle)->seq < seq)
			low = middle + 1;
		else
			high = middle;
	}
	return low < n_items(ex) && item_at(ex, low)->seq == seq ? item_at(ex, low) : NULL;
}

static void on_rejects(struct kafka_exact *ex, const struct exact_report *report)
{
	if (ex->state != EX_UP)
		return;
	ex->size_in_doubt = false; /* it was a record */
	if (ex->settling) { /* for the end of a later transaction, which is to be asked for again */
		ex->due = true;
		ex->n_gathered += ex->n_gathered == 0;
	}
	ex->settling = ex->last_seq; /* what is sent from inside waits, as the worker does */
	for (size_t i = 0; i < report->n_rejects && ex->state == EX_UP; i++) {
		struct exact_item *item = item_find(ex, report->rejects[i].seq);
		struct outcome outcome = {.kind = OUTCOME_REJECTED, .reason = report->rejects[i].reason};
		if (!item || !item->msg)
			continue;
		message_unref(item->msg);
		item->msg = NULL;
		ex->n_rejected++;
		ex->host->ops->outcome(ex->host, report->rejects[i].seq, &outcome);
	}
	if (ex->state != EX_UP)
		return;
	if (ex->n_rejected >= MOST_REJECTED && !ex->narrow_until) {
		ex->narrow_until = ex->last_seq;
		go_down(ex, "very many messages are rejected; they are sent in smaller transactions");
		return;
	}
	if (report->undone)
		forget_transaction(ex); /* all that there is becomes one */
	ex->go_after = true;
	ex->undone = report->undone;
	ex->settling = ex->last_seq;
	if (ex->host->ops->settle(ex->host, ex->settling))
		exact_settled((struct link *)(void *)ex);
}

/* What the next producer must do differently. */
static void learn(struct kafka_exact *ex, const struct exact_report *report)
{
	switch (report->failure) {
	case EXACT_BATCH_TOO_LARGE:
	case EXACT_BATCH_INVALID:
		ex->limits.one_by_one = true;
		ex->isolate_until = report->failed_seq;
		ex->size_in_doubt = report->failure == EXACT_BATCH_TOO_LARGE;
		break;
	case EXACT_LOST:
	case EXACT_NEEDS_PERSON:
	case EXACT_FENCED:
		ex->failures++;
		ex->n_lost++;
		break;
	}
}

static void on_failed(struct kafka_exact *ex, const struct exact_report *report)
{
	if (ex->state != EX_OPENING && ex->state != EX_UP)
		return;
	learn(ex, report);
	if (report->failure == EXACT_FENCED)
		log_error("kafka_fenced", "connection=%s transactional_id=%s", ex->name, exact_worker_id(ex->worker));
	else
		log_warn("kafka_producer_replaced", "connection=%s reason=\"%s\"", ex->name, report->reason);
	if (report->failure == EXACT_NEEDS_PERSON || report->failure == EXACT_FENCED)
		alarm_once(ex, report->reason);
	go_down(ex, report->reason);
	if (report->failure == EXACT_FENCED)
		ex->failures = UINT32_MAX;
}

static void open_producer(struct kafka_exact *ex)
{
	ex->state = EX_OPENING;
	exact_worker_open(ex->worker, &ex->limits);
}

static void finish_stop(struct kafka_exact *ex)
{
	ex->state = EX_STOPPED;
	loop_timer_stop(ex->timer);
	loop_cancel(ex->loop, &ex->outcomes_job);
	ex->host->ops->stopped(ex->host); /* may free us */
}

static void on_closed(struct kafka_exact *ex)
{
	items_clear(ex);
	ex->n_given = 0;
	if (ex->stopping) {
		finish_stop(ex);
	} else if (ex->failures == UINT32_MAX) {
		ex->state = EX_FENCED;
	} else if (ex->failures > 0) {
		ex->state = EX_WAITING;
		loop_timer_start(ex->timer, kafka_backoff_ms(ex->failures));
	} else {
		open_producer(ex);
	}
}

static void on_report(void *arg)
{
	struct kafka_exact *ex = arg;
	struct exact_report report;
	exact_worker_take(ex->worker, &report);
	if (report.alarmed)
		alarm_once(ex, report.alarm);
	if (report.opened && !ex->stopping)
		on_opened(ex, report.done_through);
	if (report.committed)
		on_committed(ex, report.committed);
	if ((report.asks || report.undone) && !ex->stopping)
		on_rejects(ex, &report);
	if (report.failed && !ex->stopping)
		on_failed(ex, &report);
	if (report.closed)
		on_closed(ex);
	else
		go_on(ex);
}

static void on_timer(void *arg)
{
	struct kafka_exact *ex = arg;
	if (ex->state == EX_WAITING) {
		open_producer(ex);
		return;
	}
	ex->due = ex->n_gathered > 0;
	go_on(ex);
}

/* --- the table -------------------------------------------------------------------------------------------------- */

static void exact_destroy(struct link *link)
{
	struct kafka_exact *ex = exact_of(link);
	exact_worker_free(ex->worker);
	loop_cancel(ex->loop, &ex->outcomes_job);
	loop_timer_free(ex->timer);
	items_clear(ex);
	free(ex->items);
	free(ex->orders);
	free(ex);
}

static int exact_create(const struct link_spec *spec, struct link_host *host, struct link **ret_part)
{
	struct kafka_exact *ex = calloc(1, sizeof *ex);
	if (!ex)
		return -ENOMEM;
	ex->host = host;
	ex->loop = spec->loop;
	ex->name = spec->name;
	ex->settings = spec->settings;
	loop_job_init(&ex->outcomes_job, tell_outcomes, ex);
	ex->timer = loop_timer_new(spec->loop, on_timer, ex);
	if (!ex->timer) {
		free(ex);
		return -ENOMEM;
	}
	*ret_part = (struct link *)(void *)ex;
	return 0;
}

static void exact_start(struct link *link, const struct link_recovery *recovery)
{
	struct kafka_exact *ex = exact_of(link);
	ex->worker = exact_worker_new(ex->loop, ex->settings, ex->name, recovery->destination_uuid, on_report, ex);
	if (!ex->worker) {
		alarm_once(ex, "no thread for the transactions: out of memory? Start linkspan again");
		return;
	}
	open_producer(ex);
}

static void exact_stop(struct link *link)
{
	struct kafka_exact *ex = exact_of(link);
	if (ex->stopping)
		return;
	ex->stopping = true;
	ex->announced = false;
	switch (ex->state) {
	case EX_OPENING:
	case EX_UP:
		go_down(ex, "stopping");
		break;
	case EX_CLOSING:
	case EX_STOPPED:
		break;
	case EX_IDLE:
	case EX_WAITING:
	case EX_FENCED:
		finish_stop(ex);
		break;
	}
}

static void exact_counters(const struct link *link, void (*fn)(const char *name, uint64_t value, void *arg), void *arg)
{
	const struct kafka_exact *ex = (const struct kafka_exact *)(const void *)link;
	fn("transactions", ex->n_transactions, arg);
	fn("producers_lost", ex->n_lost, arg);
}

const struct kafka_part_ops kafka_exact_part = {
	.create = exact_create,
	.start = exact_start,
	.stop = exact_stop,
	.destroy = exact_destroy,
	.counters = exact_counters,
	.send = exact_send,
	.send_end = exact_send_end,
	.settled = exact_settled,
};
