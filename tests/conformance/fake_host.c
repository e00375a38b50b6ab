/* SPDX-License-Identifier: Apache-2.0
 *
 * The fake host. Its courier is as simple as the contract allows: a fixed back-off, one key for everything.
 */
#include "tests/conformance/fake_host.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define GIVE_UP_MS 300000u /* decides nothing else: a loaded machine must not fail a test */
#define LOOK_MS    10u
#define RETRY_MS   10u

static void *must(void *pointer)
{
	if (!pointer) {
		printf("Bail out! out of memory\n");
		exit(1);
	}
	return pointer;
}

__attribute__((format(printf, 2, 3))) static void breach(struct fake_host *fake, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	if (fake->breaches++ == 0)
		vsnprintf(fake->first_breach, sizeof fake->first_breach, format, args);
	va_end(args);
	printf("# breach of contract: %s\n", fake->first_breach);
}

struct fake_stage {
	uint64_t seq;
	uint8_t stage;
	unsigned connection; /* fake_host.ups */
};

struct fake_change {
	enum state_change_type type;
	uint16_t id;
	uint64_t hash;
	uint64_t position;
	uint8_t *blob;
	size_t blob_len;
};

static struct fake_host *fake_of(struct link_host *host)
{
	return (struct fake_host *)host;
}

/* --- deliveries ----------------------------------------------------------------------------------------------- */

/* Everything has one key: with a sink that does not keep the order of what is in flight, one goes after the other. */
static bool key_waits(const struct fake_host *fake)
{
	const struct connector *connector = fake->connector;
	bool together = connector->pipelined_order || (connector->unordered && connector->unordered(fake->settings));
	return !together && (fake->n_in_flight > 0 || fake->n_retry_waits > 0);
}

static void send_one(struct fake_host *fake, size_t index)
{
	static const uint8_t uuid[16] = "conformance test";
	struct fake_delivery *item = &fake->deliveries[index];
	item->state = FAKE_IN_FLIGHT;
	item->sends++;
	if (++fake->n_in_flight > fake->most_in_flight)
		fake->most_in_flight = fake->n_in_flight;
	struct delivery delivery = {
		.destination_uuid = uuid,
		.seq = (uint64_t)index + 1,
		.attempt = item->retries + 1,
		.stage = item->stage,
		.maybe_sent = item->maybe_sent,
		.session_lost = item->session_lost,
		.msg = item->msg,
		.batch_first = fake->batch_first,
		.batch_last = fake->batch_last,
	};
	item->session_lost = false; /* said once */
	fake->connector->send(fake->link, &delivery);
}

/* --- batches --------------------------------------------------------------------------------------------------- */

static struct batching batching_of(const struct fake_host *fake)
{
	if (!fake->connector->batching)
		return (struct batching){0};
	return fake->connector->batching(fake->settings);
}

static bool goes_with(const struct fake_host *fake, uint64_t first, uint64_t next)
{
	const struct connector *connector = fake->connector;
	return !connector->same_batch ||
	       connector->same_batch(fake->settings, message_view(fake->deliveries[first - 1].msg),
		       message_view(fake->deliveries[next - 1].msg));
}

/* Of what waits; its bounds stay until it has ended. */
static void form_batch(struct fake_host *fake, const struct batching *batching)
{
	while (fake->next < fake->n_deliveries && fake->deliveries[fake->next].state != FAKE_WAITING)
		fake->next++;
	if (fake->next == fake->n_deliveries)
		return;
	uint64_t first = fake->next + 1, last = first;
	uint64_t bytes = message_view(fake->deliveries[first - 1].msg)->payload.len;
	for (; last < fake->n_deliveries && last - first + 1 < batching->max_messages; last++) {
		bytes += message_view(fake->deliveries[last].msg)->payload.len;
		if (fake->deliveries[last].state != FAKE_WAITING || bytes > batching->max_bytes ||
			!goes_with(fake, first, last + 1))
			break;
	}
	fake->batch_first = first;
	fake->batch_last = last;
}

static void pump_batch(struct fake_host *fake, const struct batching *batching)
{
	if (fake->n_in_flight > 0 || fake->n_retry_waits > 0 || fake->window == 0)
		return;
	if (!fake->batch_first)
		form_batch(fake, batching);
	if (!fake->batch_first)
		return;
	unsigned connection = fake->ups;
	fake->batch_answered = false;
	fake->n_batches++;
	for (uint64_t seq = fake->batch_first; seq <= fake->batch_last && fake->up && fake->ups == connection; seq++)
		send_one(fake, seq - 1);
	if (fake->up)
		fake->connector->send_end(fake->link);
}

static void check_batch_outcome(struct fake_host *fake, uint64_t seq, enum outcome_kind kind)
{
	if (fake->batch_answered && kind != fake->batch_kind)
		breach(fake, "outcome %d of %llu, but %d of another one of its batch", (int)kind,
			(unsigned long long)seq, (int)fake->batch_kind);
	fake->batch_answered = true;
	fake->batch_kind = kind;
	if (fake->n_in_flight == 0 && fake->deliveries[seq - 1].state == FAKE_ENDED)
		fake->batch_first = fake->batch_last = 0;
}

/* --- deliveries, again ------------------------------------------------------------------------------------------ */

static void pump(struct fake_host *fake)
{
	if (fake->pumping || !fake->up || !fake->link)
		return;
	fake->pumping = true;
	struct batching batching = batching_of(fake);
	bool any = false;
	if (batching.max_messages > 1)
		pump_batch(fake, &batching);
	while (batching.max_messages <= 1 && fake->up && fake->next < fake->n_deliveries &&
		fake->n_in_flight < fake->window && !key_waits(fake)) {
		size_t index = fake->next++;
		if (fake->deliveries[index].state != FAKE_WAITING)
			continue;
		send_one(fake, index);
		any = true;
	}
	if (any && fake->up)
		fake->connector->send_end(fake->link);
	fake->pumping = false;
}

static void on_pump(void *arg)
{
	pump(arg);
}

static void wait_again(struct fake_host *fake, size_t index)
{
	fake->deliveries[index].state = FAKE_WAITING;
	if (index < fake->next)
		fake->next = index;
}

static void on_retry_timer(void *arg)
{
	struct fake_host *fake = arg;
	for (size_t i = 0; i < fake->n_deliveries; i++)
		if (fake->deliveries[i].state == FAKE_RETRY_WAIT)
			wait_again(fake, i);
	fake->n_retry_waits = 0;
	pump(fake);
}

static void keep_reason(struct fake_delivery *item, const char *reason)
{
	if (!reason)
		return;
	free(item->reason);
	item->reason = must(strdup(reason));
}

static void keep_value(struct fake_host *fake, struct message *msg);

static void check_exact_outcome(struct fake_host *fake, uint64_t seq, enum outcome_kind kind)
{
	if (kind == OUTCOME_RETRY)
		breach(fake, "RETRY of %llu by a sink with a cursor", (unsigned long long)seq);
	if (kind != OUTCOME_DELIVERED)
		return;
	if (seq <= fake->last_delivered)
		breach(fake, "DELIVERED of %llu after that of a later one", (unsigned long long)seq);
	if (seq > fake->settled_through)
		breach(fake, "DELIVERED of %llu, about which settle() has not said yes", (unsigned long long)seq);
	fake->last_delivered = seq;
}

static void keep_reply(struct fake_host *fake, struct fake_delivery *item, const struct outcome *outcome)
{
	const struct connector *connector = fake->connector;
	if (outcome->kind != OUTCOME_DELIVERED)
		breach(fake, "a reply with outcome %d", (int)outcome->kind);
	if (!connector->gives_replies || !connector->gives_replies(fake->settings) || fake->batch_first)
		breach(fake, "a reply where there should be none");
	struct message_view view = *outcome->reply;
	view.topic = view.order_key = slice_str("");
	message_unref(item->reply);
	item->reply = must(message_new(&view));
}

static void on_outcome(struct link_host *host, uint64_t seq, const struct outcome *outcome)
{
	struct fake_host *fake = fake_of(host);
	if (!fake->up)
		breach(fake, "outcome of %llu while the link is down", (unsigned long long)seq);
	if (seq == 0 || seq > fake->n_deliveries || fake->deliveries[seq - 1].state != FAKE_IN_FLIGHT) {
		breach(fake, "outcome of %llu, which is not in flight", (unsigned long long)seq);
		return;
	}
	struct fake_delivery *item = &fake->deliveries[seq - 1];
	if (outcome->kind != OUTCOME_DELIVERED && !outcome->reason)
		breach(fake, "outcome %d of %llu without a reason", (int)outcome->kind, (unsigned long long)seq);
	keep_reason(item, outcome->reason);
	fake->n_in_flight--;
	if (outcome->kind == OUTCOME_LINK_DOWN) {
		wait_again(fake, seq - 1);
	} else if (outcome->kind == OUTCOME_RETRY && fake->resend_retries) {
		item->retries++;
		item->state = FAKE_RETRY_WAIT;
		fake->n_retry_waits++;
		loop_timer_start(fake->retry_timer, RETRY_MS);
	} else {
		item->outcome = outcome->kind;
		item->state = FAKE_ENDED;
		fake->n_ended++;
	}
	if (outcome->keep_value && outcome->kind != OUTCOME_DELIVERED)
		breach(fake, "keep_value of %llu, which is not delivered", (unsigned long long)seq);
	else if (outcome->keep_value)
		keep_value(fake, item->msg);
	if (fake->has_cursor)
		check_exact_outcome(fake, seq, outcome->kind);
	if (outcome->reply)
		keep_reply(fake, item, outcome);
	if (fake->batch_first)
		check_batch_outcome(fake, seq, outcome->kind);
	loop_post(fake->loop, &fake->pump_job);
}

static void on_delivered(struct link_host *host, const uint64_t *seqs, size_t n)
{
	static const struct outcome delivered = {.kind = OUTCOME_DELIVERED};
	for (size_t i = 0; i < n; i++)
		on_outcome(host, seqs[i], &delivered);
}

static void void_stages(struct fake_host *fake)
{
	fake->n_pending_stages = 0;
	for (size_t i = 0; i < fake->n_deliveries; i++) {
		struct fake_delivery *item = &fake->deliveries[i];
		item->stage = 0;
		item->session_lost = item->maybe_sent;
	}
}

/* What the cursor covers is delivered, whatever its last outcome was. */
static void believe_cursor(struct fake_host *fake, uint64_t done_through)
{
	fake->has_cursor = true;
	fake->done_through = done_through;
	if (done_through > fake->n_deliveries)
		breach(fake, "a cursor at %llu, beyond all", (unsigned long long)done_through);
	for (size_t i = 0; i < fake->n_deliveries && i < done_through; i++) {
		struct fake_delivery *item = &fake->deliveries[i];
		if (item->state != FAKE_WAITING)
			continue;
		item->state = FAKE_ENDED;
		item->outcome = OUTCOME_DELIVERED;
		item->by_cursor = true;
		fake->n_ended++;
	}
}

static void on_link_up(struct link_host *host, const struct sink_traits *traits)
{
	struct fake_host *fake = fake_of(host);
	if (fake->stops)
		breach(fake, "link_up after stopped()");
	fake->up = true;
	fake->ups++;
	fake->window = traits ? traits->max_in_flight : 0;
	if (traits && traits->session_lost)
		void_stages(fake);
	if (traits && traits->cursor_valid)
		believe_cursor(fake, traits->done_through);
	pump(fake);
}

static void on_link_down(struct link_host *host, const char *reason)
{
	struct fake_host *fake = fake_of(host);
	if (!reason)
		breach(fake, "link_down without a reason");
	snprintf(fake->last_down, sizeof fake->last_down, "%s", reason ? reason : "");
	fake->up = false;
	fake->downs++;
	for (size_t i = 0; i < fake->n_deliveries; i++)
		if (fake->deliveries[i].state == FAKE_IN_FLIGHT) {
			fake->deliveries[i].maybe_sent = true;
			fake->n_in_flight--;
			wait_again(fake, i);
		}
	fake->settle_waits = false;
	fake->n_cookies = 0; /* receipts die with the connection */
}

static void on_window(struct link_host *host, uint32_t max_in_flight)
{
	struct fake_host *fake = fake_of(host);
	fake->window = max_in_flight;
	loop_post(fake->loop, &fake->pump_job);
}

static void on_alarm(struct link_host *host, const char *what)
{
	struct fake_host *fake = fake_of(host);
	fake->alarms++;
	snprintf(fake->last_alarm, sizeof fake->last_alarm, "%s", what);
}

static bool on_settle(struct link_host *host, uint64_t seq)
{
	struct fake_host *fake = fake_of(host);
	if (!fake->up)
		breach(fake, "settle of %llu while the link is down", (unsigned long long)seq);
	if (seq == 0 || seq > fake->n_deliveries)
		breach(fake, "settle of %llu, which is not in flight", (unsigned long long)seq);
	for (uint64_t s = 1; s <= seq && s <= fake->n_deliveries; s++)
		if (fake->deliveries[s - 1].state == FAKE_WAITING)
			breach(fake, "settle of %llu, but %llu has not been sent", (unsigned long long)seq,
				(unsigned long long)s);
	fake->settle_seq = seq;
	fake->n_settles++;
	fake->settle_waits = fake->hold_settle; /* else dead letters are stored at once */
	if (!fake->hold_settle)
		fake->settled_through = seq;
	return !fake->hold_settle;
}

void fake_host_settle_once(struct fake_host *fake)
{
	if (!fake->settle_waits || !fake->up)
		return;
	fake->settle_waits = false;
	fake->settled_through = fake->settle_seq;
	fake->connector->settled(fake->link);
}

void fake_host_settle(struct fake_host *fake)
{
	fake->hold_settle = false;
	fake_host_settle_once(fake);
}

static void on_stage(struct link_host *host, uint64_t seq, uint8_t stage)
{
	struct fake_host *fake = fake_of(host);
	if (seq == 0 || seq > fake->n_deliveries || fake->deliveries[seq - 1].state != FAKE_IN_FLIGHT) {
		breach(fake, "stage of %llu, which is not in flight", (unsigned long long)seq);
		return;
	}
	fake->stages = must(realloc(fake->stages, (fake->n_pending_stages + 1) * sizeof *fake->stages));
	fake->stages[fake->n_pending_stages++] = (struct fake_stage){seq, stage, fake->ups};
	loop_post(fake->loop, &fake->stage_job);
}

/* They are durable whether or not the connection has lasted; the answer is given only if it has. */
static void on_stages(void *arg)
{
	struct fake_host *fake = arg;
	size_t n = fake->n_pending_stages;
	struct fake_stage *stages = fake->stages;
	fake->stages = NULL;
	fake->n_pending_stages = 0;
	for (size_t i = 0; i < n; i++) {
		struct fake_delivery *item = &fake->deliveries[stages[i].seq - 1];
		item->stage = stages[i].stage;
		if (fake->link && fake->up && stages[i].connection == fake->ups && item->state == FAKE_IN_FLIGHT)
			fake->connector->stage_durable(fake->link, stages[i].seq, stages[i].stage);
	}
	if (fake->link && fake->up)
		fake->connector->send_end(fake->link);
	free(stages);
}

static void on_stopped(struct link_host *host)
{
	struct fake_host *fake = fake_of(host);
	if (fake->stops++)
		breach(fake, "stopped() twice");
	fake->up = false;
}

/* --- offers --------------------------------------------------------------------------------------------------- */

static void keep_change(struct fake_host *fake, const struct state_change *change)
{
	if (change->type == CHANGE_NONE)
		return;
	fake->changes = must(realloc(fake->changes, (fake->n_pending_changes + 1) * sizeof *fake->changes));
	struct fake_change *kept = &fake->changes[fake->n_pending_changes++];
	*kept = (struct fake_change){
		.type = change->type, .id = change->id, .hash = change->hash, .position = change->position};
	if (change->blob.len == 0)
		return;
	kept->blob = must(malloc(change->blob.len));
	kept->blob_len = change->blob.len;
	memcpy(kept->blob, change->blob.data, change->blob.len);
}

/* Takes the blob. */
static void journal_position(struct fake_journal *journal, struct fake_change *change)
{
	struct slice partition = slice_of(change->blob, change->blob_len);
	struct fake_position *known = NULL;
	for (size_t i = 0; i < journal->n_positions && !known; i++)
		if (slice_equal(journal->positions[i].partition, partition))
			known = &journal->positions[i];
	if (!known) {
		journal->positions =
			must(realloc(journal->positions, (journal->n_positions + 1) * sizeof *journal->positions));
		known = &journal->positions[journal->n_positions++];
		known->partition = partition;
		change->blob = NULL;
	}
	known->position = change->position;
	known->hash = change->hash;
}

static void journal_change(struct fake_journal *journal, struct fake_change *change)
{
	switch (change->type) {
	case CHANGE_OPEN_ID:
		journal->open[change->id] = true;
		journal->hash[change->id] = change->hash;
		break;
	case CHANGE_RELEASE_ID:
		journal->open[change->id] = false;
		break;
	case CHANGE_SESSION_RESET:
		fake_journal_clear(journal);
		break;
	case CHANGE_SUBSCRIPTIONS:
		free(journal->subscriptions);
		journal->subscriptions = change->blob;
		journal->subscriptions_len = change->blob_len;
		change->blob = NULL;
		break;
	case CHANGE_POSITION:
		journal_position(journal, change);
		break;
	case CHANGE_KEY: /* known from the offer on */
	case CHANGE_NONE:
		break;
	}
}

static void journal_changes(struct fake_host *fake, struct fake_journal *journal)
{
	for (size_t i = 0; i < fake->n_pending_changes; i++) {
		if (journal)
			journal_change(journal, &fake->changes[i]);
		free(fake->changes[i].blob);
	}
	fake->n_pending_changes = 0;
	fake_memory_durable(fake_host_memory(fake));
}

void fake_journal_clear(struct fake_journal *journal)
{
	free(journal->subscriptions);
	for (size_t i = 0; i < journal->n_positions; i++)
		free((void *)(uintptr_t)journal->positions[i].partition.data);
	free(journal->positions);
	fake_memory_clear(&journal->memory);
	memset(journal, 0, sizeof *journal);
}

/* --- keys and values -------------------------------------------------------------------------------------------- */

struct fake_memory *fake_host_memory(struct fake_host *fake)
{
	return fake->journal ? &fake->journal->memory : &fake->own_memory;
}

static enum key_state on_key(struct link_host *host, const uint8_t *key, uint64_t *ret_hash)
{
	struct fake_host *fake = fake_of(host);
	const struct fake_key *known = fake_memory_key(fake_host_memory(fake), key);
	if (!known || known->expires_ms <= loop_wall_ms(fake->loop))
		return KEY_UNKNOWN;
	*ret_hash = known->hash;
	return known->durable ? KEY_KNOWN : KEY_NOT_YET;
}

static uint64_t on_key_room(struct link_host *host)
{
	struct fake_host *fake = fake_of(host);
	size_t n = fake_host_memory(fake)->n_keys;
	if (!fake->max_keys)
		return UINT64_MAX;
	return n < fake->max_keys ? fake->max_keys - n : 0;
}

/* False: there is no room for it. */
static bool keep_key(struct fake_host *fake, const struct state_change *change)
{
	struct fake_memory *memory = fake_host_memory(fake);
	if (change->blob.len != LINK_KEY_LEN) {
		breach(fake, "a key of %zu bytes", change->blob.len);
		return false;
	}
	if (change->position <= loop_wall_ms(fake->loop))
		breach(fake, "a key that has expired when it is offered");
	const struct fake_key *known = fake_memory_key(memory, change->blob.data);
	if (known && known->expires_ms > loop_wall_ms(fake->loop) && known->hash == change->hash)
		breach(fake, "a key that is known is offered again");
	if (!known && !on_key_room(&fake->base))
		return false;
	fake_memory_set_key(memory, change);
	return true;
}

static struct message *on_last_value(struct link_host *host, struct slice topic)
{
	return fake_memory_value(fake_host_memory(fake_of(host)), topic);
}

static void on_last_values(struct link_host *host, void (*fn)(struct message *msg, void *arg), void *arg)
{
	fake_memory_values(fake_host_memory(fake_of(host)), fn, arg);
}

static void keep_value(struct fake_host *fake, struct message *msg)
{
	if (!fake->connector->keeps_values)
		breach(fake, "keep_value by a connector that does not keep values");
	fake_memory_set_value(fake_host_memory(fake), msg);
	if (fake->connector->value_changed)
		fake->connector->value_changed(fake->link, message_view(msg)->topic);
}

static enum offer_result on_offer(struct link_host *host, const struct offer *offer)
{
	struct fake_host *fake = fake_of(host);
	if (fake->stops)
		breach(fake, "offer after stopped()");
	if (offer->view && fake->busy_after && fake->n_offers >= fake->busy_after) {
		fake->n_busy++;
		fake->connector->pause(fake->link);
		return OFFER_BUSY;
	}
	if (offer->change.type == CHANGE_KEY && !keep_key(fake, &offer->change))
		return OFFER_REFUSED;
	if (!offer->view && offer->n_more)
		breach(fake, "an offer of more messages than one without one");
	for (size_t i = 0; offer->view && i <= offer->n_more; i++) {
		const struct message_view *view = &offer->view[i];
		if (!view->topic.data || !view->origin_ms)
			breach(fake, "an offer without topic or origin_ms");
		fake->offers = must(realloc(fake->offers, (fake->n_offers + 1) * sizeof *fake->offers));
		fake->offers[fake->n_offers++] = must(message_new(view));
	}
	fake->n_changes += offer->view == NULL;
	fake->n_repetitions += offer->view == NULL && offer->change.type == CHANGE_NONE;
	keep_change(fake, &offer->change);
	if (!fake->hold_receipts)
		loop_post(fake->loop, &fake->receipt_job);
	if (offer->no_receipt)
		return OFFER_TAKEN;
	fake->cookies = must(realloc(fake->cookies, (fake->n_cookies + 1) * sizeof *fake->cookies));
	fake->cookies[fake->n_cookies++] = offer->cookie;
	return OFFER_TAKEN;
}

static void on_receipts(void *arg)
{
	struct fake_host *fake = arg;
	journal_changes(fake, fake->journal);
	if (!fake->link || fake->n_cookies == 0)
		return;
	size_t n = fake->n_cookies;
	uint64_t *cookies = fake->cookies;
	fake->cookies = NULL;
	fake->n_cookies = 0;
	for (size_t i = 0; i < n; i++) {
		fake->n_receipts++;
		fake->connector->receipt(fake->link, cookies[i], RECEIPT_DURABLE);
	}
	fake->connector->receipts_end(fake->link);
	free(cookies);
}

void fake_host_give_receipts(struct fake_host *fake)
{
	fake->hold_receipts = false;
	loop_post(fake->loop, &fake->receipt_job);
}

void fake_host_resume(struct fake_host *fake, size_t busy_after)
{
	fake->busy_after = busy_after;
	fake->connector->resume(fake->link);
}

/* --- life ----------------------------------------------------------------------------------------------------- */

static const struct link_host_ops fake_ops = {
	.offer = on_offer,
	.link_up = on_link_up,
	.link_down = on_link_down,
	.window = on_window,
	.alarm = on_alarm,
	.outcome = on_outcome,
	.delivered = on_delivered,
	.stage = on_stage,
	.settle = on_settle,
	.key = on_key,
	.key_room = on_key_room,
	.last_value = on_last_value,
	.last_values = on_last_values,
	.stopped = on_stopped,
};

static struct fake_host *new_for(const struct connector *connector, struct link_spec *spec)
{
	struct fake_host *fake = must(calloc(1, sizeof *fake));
	fake->base.ops = &fake_ops;
	fake->connector = connector;
	static unsigned number; /* the log leaves out a line that it has just written */
	snprintf(fake->name, sizeof fake->name, "conformance-%u", ++number);
	fake->loop = must(loop_new());
	fake->retry_timer = must(loop_timer_new(fake->loop, on_retry_timer, fake));
	loop_job_init(&fake->pump_job, on_pump, fake);
	loop_job_init(&fake->receipt_job, on_receipts, fake);
	loop_job_init(&fake->stage_job, on_stages, fake);
	spec->name = fake->name;
	spec->loop = fake->loop;
	fake->settings = spec->settings;
	int r = connector->create(spec, &fake->base, &fake->link);
	if (r < 0) {
		printf("Bail out! create of %s: %s\n", connector->name, strerror(-r));
		exit(1);
	}
	return fake;
}

struct fake_host *fake_host_new(const struct connector *connector, const void *settings, bool is_sink,
	const struct link_subscription *subscriptions, size_t n_subscriptions)
{
	struct link_spec spec = {
		.settings = settings,
		.subscriptions = subscriptions,
		.n_subscriptions = n_subscriptions,
		.is_sink = is_sink,
	};
	return new_for(connector, &spec);
}

struct fake_host *fake_host_new_exact(const struct connector *connector, const void *settings)
{
	struct link_spec spec = {
		.settings = settings,
		.is_sink = true,
		.exactly_once = true,
		.sink_exactly_once = true,
	};
	return new_for(connector, &spec);
}

struct fake_recovery {
	struct link_recovery base; /* first */
	const struct fake_journal *journal;
};

static void open_ids(const struct link_recovery *recovery, void (*fn)(uint16_t id, uint64_t hash, void *arg), void *arg)
{
	const struct fake_journal *journal = ((const struct fake_recovery *)recovery)->journal;
	for (unsigned id = 0; journal && id <= UINT16_MAX; id++)
		if (journal->open[id])
			fn((uint16_t)id, journal->hash[id], arg);
}

static bool position(const struct link_recovery *recovery, struct slice partition, uint64_t *ret_position)
{
	const struct fake_journal *journal = ((const struct fake_recovery *)recovery)->journal;
	for (size_t i = 0; journal && i < journal->n_positions; i++)
		if (slice_equal(journal->positions[i].partition, partition)) {
			*ret_position = journal->positions[i].position;
			return true;
		}
	return false;
}

static void positions(const struct link_recovery *recovery,
	void (*fn)(struct slice partition, uint64_t position, uint64_t hash, void *arg), void *arg)
{
	const struct fake_journal *journal = ((const struct fake_recovery *)recovery)->journal;
	for (size_t i = 0; journal && i < journal->n_positions; i++)
		fn(journal->positions[i].partition, journal->positions[i].position, journal->positions[i].hash, arg);
}

void fake_host_start(struct fake_host *fake)
{
	static const uint8_t uuid[16] = "conformance test";
	const struct fake_journal *journal = fake->journal;
	struct fake_recovery recovery = {
		.base = {.destination_uuid = uuid, .open_ids = open_ids, .position = position, .positions = positions},
		.journal = journal,
	};
	if (journal && journal->subscriptions)
		recovery.base.subscriptions = slice_of(journal->subscriptions, journal->subscriptions_len);
	fake->connector->start(fake->link, &recovery.base);
}

void fake_host_destroy_link(struct fake_host *fake)
{
	if (fake->link)
		fake->connector->destroy(fake->link);
	fake->link = NULL;
	loop_cancel(fake->loop, &fake->pump_job);
	loop_cancel(fake->loop, &fake->receipt_job);
	loop_cancel(fake->loop, &fake->stage_job);
}

void fake_host_free(struct fake_host *fake)
{
	fake_host_destroy_link(fake);
	loop_timer_free(fake->retry_timer);
	loop_free(fake->loop);
	for (size_t i = 0; i < fake->n_deliveries; i++) {
		message_unref(fake->deliveries[i].msg);
		message_unref(fake->deliveries[i].reply);
		free(fake->deliveries[i].reason);
	}
	for (size_t i = 0; i < fake->n_offers; i++)
		message_unref(fake->offers[i]);
	free(fake->deliveries);
	free(fake->offers);
	fake_memory_forget(fake_host_memory(fake));
	journal_changes(fake, NULL);
	fake_memory_clear(&fake->own_memory);
	free(fake->changes);
	free(fake->stages);
	free(fake->cookies);
	free(fake);
}

uint64_t fake_host_deliver(struct fake_host *fake, const struct message_view *view)
{
	if ((fake->n_deliveries & (fake->n_deliveries - 1)) == 0) { /* a power of two: full */
		size_t capacity = fake->n_deliveries ? fake->n_deliveries * 2 : 1;
		fake->deliveries = must(realloc(fake->deliveries, capacity * sizeof *fake->deliveries));
	}
	struct message *msg = must(message_new(view));
	fake->deliveries[fake->n_deliveries++] = (struct fake_delivery){.msg = msg};
	loop_post(fake->loop, &fake->pump_job);
	return fake->n_deliveries;
}

const struct fake_delivery *fake_host_delivery(const struct fake_host *fake, uint64_t seq)
{
	return &fake->deliveries[seq - 1];
}

/* --- running -------------------------------------------------------------------------------------------------- */

static void look(struct fake_host *fake)
{
	if (!fake->reached && fake->until(fake->until_arg)) {
		fake->reached = true;
		loop_stop(fake->loop);
	}
}

static void on_turn(uv_check_t *check)
{
	look(check->data);
}

static void on_look(uv_timer_t *timer)
{
	look(timer->data);
}

static void on_give_up(uv_timer_t *timer)
{
	struct fake_host *fake = timer->data;
	fake->gave_up = true;
	loop_stop(fake->loop);
}

bool fake_host_run_until(struct fake_host *fake, bool (*until)(void *arg), void *arg)
{
	fake->until = until;
	fake->until_arg = arg;
	fake->reached = until(arg);
	if (fake->reached)
		return true;
	uv_loop_t *uv = loop_uv(fake->loop);
	uv_check_t turn;
	uv_timer_t look_timer, give_up;
	uv_check_init(uv, &turn);
	uv_timer_init(uv, &look_timer);
	uv_timer_init(uv, &give_up);
	turn.data = look_timer.data = give_up.data = fake;
	uv_update_time(uv);
	uv_check_start(&turn, on_turn);
	uv_timer_start(&look_timer, on_look, 0, LOOK_MS);
	uv_timer_start(&give_up, on_give_up, GIVE_UP_MS, 0);
	fake->gave_up = false;
	while (!fake->reached && !fake->gave_up)
		loop_run(fake->loop);
	uv_close((uv_handle_t *)&turn, NULL);
	uv_close((uv_handle_t *)&look_timer, NULL);
	uv_close((uv_handle_t *)&give_up, NULL);
	uv_run(uv, UV_RUN_NOWAIT); /* the closing handles are on our stack */
	return fake->reached;
}
