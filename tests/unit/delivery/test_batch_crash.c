/* SPDX-License-Identifier: Apache-2.0
 *
 * Batches over crashes, on the real journal: random schedules of appends, answers, restarts and crashes. What is sent under
 * the bounds of a batch is always all of it, and no message is ever sent under two bounds, but for those of a
 * batch that was refused or from which somebody took one by hand. Nothing that was durable is missing in the end.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "delivery/courier.h"
#include "tests/unit/journal/rig.h"

#define MAX_SEQ   20000u
#define SCHEDULES 60u
#define LIVES     8u
#define STEPS     60u

struct link { /* the sink, and what it has seen in all lives */
	struct rig *rig;
	struct courier *courier;
	struct outbox_config outbox;
	struct connector connector;
	struct batching batching;
	uint64_t random;
	uint32_t dest;
	bool up;
	uint64_t first, last, n_in_flight; /* of the batch in flight */
	uint64_t bounds[MAX_SEQ][2]; /* under which it was sent; 0: never */
	bool free_of[MAX_SEQ]; /* may be sent under others */
	bool was_durable[MAX_SEQ], may_go[MAX_SEQ]; /* may_go: need not be sent at all */
	bool drops; /* the outbox is small, and the oldest give way */
	uint64_t n_batches; /* sent */
	uint64_t split, changed, incomplete, wrong;
};

static unsigned roll(struct link *link, unsigned n)
{
	link->random = link->random * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)((link->random >> 33) % n);
}

static struct batching batching(const void *settings)
{
	return ((const struct link *)settings)->batching;
}

static bool same_batch(const void *settings, const struct message_view *first, const struct message_view *next)
{
	(void)settings;
	return slice_equal(first->topic, next->topic);
}

static void sink_send(struct link *link, const struct delivery *delivery)
{
	uint64_t seq = delivery->seq;
	char payload[32];
	snprintf(payload, sizeof payload, "%u", (unsigned)seq);
	link->wrong += !slice_equal(message_view(delivery->msg)->payload, slice_str(payload)) || !link->up;
	if (seq == delivery->batch_first) {
		link->wrong += link->n_in_flight != 0;
		link->first = seq;
		link->last = delivery->batch_last;
		link->n_batches++;
	}
	link->split += delivery->batch_first != link->first || delivery->batch_last != link->last ||
		       seq != link->first + link->n_in_flight;
	link->n_in_flight++;
	uint64_t *bounds = link->bounds[seq];
	if (bounds[0] && (bounds[0] != link->first || bounds[1] != link->last) && !link->free_of[seq])
		link->changed++;
	bounds[0] = link->first;
	bounds[1] = link->last;
}

static void sink_send_end(struct link *link)
{
	link->incomplete += link->n_in_flight && link->n_in_flight != link->last - link->first + 1;
}

static void set_free(struct link *link)
{
	memset(&link->free_of[link->first], 1, link->last - link->first + 1);
}

/* The members hear the same, one after the other. */
static void answer(struct link *link)
{
	static const enum outcome_kind kinds[] = {OUTCOME_DELIVERED, OUTCOME_DELIVERED, OUTCOME_DELIVERED,
		OUTCOME_RETRY, OUTCOME_RETRY, OUTCOME_REJECTED, OUTCOME_LINK_DOWN};
	struct outcome outcome = {.kind = kinds[roll(link, 7)], .reason = "because"};
	if (outcome.kind == OUTCOME_REJECTED)
		set_free(link);
	link->up = outcome.kind != OUTCOME_LINK_DOWN;
	uint64_t first = link->first, n = link->n_in_flight;
	link->n_in_flight = 0;
	for (uint64_t seq = first; seq < first + n; seq++)
		courier_outcome(link->courier, seq, &outcome);
}

static void go_up(struct link *link)
{
	struct sink_traits traits = {.max_in_flight = 1};
	link->n_in_flight = 0;
	link->up = true;
	courier_link_up(link->courier, &traits);
}

static void go_down(struct link *link)
{
	link->up = false;
	link->n_in_flight = 0;
	courier_link_down(link->courier, "gone");
}

static void append(struct link *link)
{
	static const char *const topics[] = {"a", "a", "a", "a", "a", "b"};
	struct journal_outbox box = journal_outbox(link->rig->j, link->dest);
	if (box.next_seq + 1 >= MAX_SEQ)
		return;
	char payload[32];
	snprintf(payload, sizeof payload, "%u", (unsigned)box.next_seq);
	struct message_view view = {
		.topic = slice_str(topics[roll(link, 6)]),
		.order_key = slice_str("a"),
		.payload = slice_str(payload),
		.origin_ms = loop_wall_ms(link->rig->loop),
	};
	link->may_go[box.next_seq] = false;
	if (roll(link, 40) == 0)
		view.reject_reason = slice_str("no topic");
	if (roll(link, 8) == 0)
		view.expires_ms = view.origin_ms + roll(link, 300);
	link->may_go[box.next_seq] = view.reject_reason.data || view.expires_ms;
	struct journal_entry entry = {.dest = link->dest, .view = &view};
	uint64_t lsn;
	if (journal_append(link->rig->j, &entry, 1, NULL, 0, &lsn) == 0)
		courier_appended(link->courier, &entry, lsn);
}

static void note_durable(struct link *link)
{
	uint64_t next = journal_outbox(link->rig->j, link->dest).next_seq;
	for (uint64_t seq = 1; seq < next; seq++)
		link->was_durable[seq] = true;
}

/* One turn of everything but the sink. */
static void turn(struct link *link)
{
	rig_run(link->rig);
	note_durable(link);
	courier_durable(link->courier, journal_durable_lsn(link->rig->j));
	loop_sim_advance(link->rig->loop, 0);
}

static void purge_one(struct link *link)
{
	struct journal_outbox box = journal_outbox(link->rig->j, link->dest);
	if (box.waiting == 0)
		return;
	uint64_t seq = box.oldest_undone + roll(link, 12);
	if (seq >= box.next_seq || !link->was_durable[seq])
		return;
	struct courier_purge item = {.seq = seq, .bytes = 1};
	courier_purge(link->courier, &item, 1);
	if (item.result != COURIER_PURGED)
		return;
	link->may_go[seq] = true;
	/* Whoever was in a batch with it. */
	for (uint64_t other = seq > 50 ? seq - 50 : 1; other < seq + 50 && other < MAX_SEQ; other++)
		if (link->bounds[other][0] && seq >= link->bounds[other][0] && seq <= link->bounds[other][1])
			link->free_of[other] = true;
}

static void step(struct link *link)
{
	switch (roll(link, 12)) {
	case 0:
	case 1:
	case 2:
		for (unsigned n = roll(link, 40); n > 0; n--)
			append(link);
		break;
	case 3:
	case 4:
	case 5:
		turn(link);
		break;
	case 6:
	case 7:
	case 8:
		if (link->n_in_flight)
			answer(link);
		break;
	case 9:
		loop_sim_advance(link->rig->loop, roll(link, 200));
		break;
	case 10:
		if (link->up && roll(link, 3) == 0)
			go_down(link);
		else if (!link->up)
			go_up(link);
		break;
	default:
		if (roll(link, 3) == 0)
			purge_one(link);
		break;
	}
}

static void start(struct link *link)
{
	link->dest = (uint32_t)journal_destination(link->rig->j, "hooks");
	link->batching = (struct batching){
		.max_messages = 2 + roll(link, 30), .max_bytes = 20 + roll(link, 200), .wait_ms = roll(link, 3) * 20};
	link->outbox = (struct outbox_config){.max_bytes = 1u << 30,
		.backoff_min_ms = 10,
		.backoff_max_ms = 100,
		.lookahead = 10 + roll(link, 100),
		.max_attempts = roll(link, 2) ? 3 : 0,
		.when_full = link->drops ? WHEN_FULL_DROP_OLDEST : WHEN_FULL_BLOCK,
		.max_messages = link->drops ? 60 : 0};
	link->connector = (struct connector){
		.batching = batching, .same_batch = same_batch, .send = sink_send, .send_end = sink_send_end};
	struct courier_options options = {
		.name = "hooks",
		.loop = link->rig->loop,
		.journal = link->rig->j,
		.dest = link->dest,
		.outbox = &link->outbox,
		.connector = &link->connector,
		.settings = link,
		.link = link,
	};
	link->courier = courier_new(&options);
	CU_ASSERT_PTR_NOT_NULL_FATAL(link->courier);
	link->n_in_flight = 0;
	link->up = false;
}

/* With max_attempts a batch may end in the dead letters, at which a crash may come in between. */
static void end_of_life(struct link *link, bool crash)
{
	if (link->n_in_flight && link->outbox.max_attempts)
		set_free(link);
	courier_free(link->courier);
	link->courier = NULL;
	if (!crash) {
		rig_close(link->rig);
		return;
	}
	struct sim_disk *image =
		roll(link, 2) ? sim_disk_power_loss(link->rig->sim, SIM_KEEP_SOME, &link->random) : NULL;
	rig_crash(link->rig);
	if (!image)
		return;
	sim_disk_free(link->rig->sim);
	link->rig->sim = image;
}

static void deliver_the_rest(struct link *link)
{
	go_up(link);
	for (unsigned i = 0; i < 20000 && journal_outbox(link->rig->j, link->dest).waiting; i++) {
		turn(link);
		loop_sim_advance(link->rig->loop, 20);
		if (!link->n_in_flight)
			continue;
		uint64_t first = link->first, n = link->n_in_flight;
		link->n_in_flight = 0;
		for (uint64_t seq = first; seq < first + n; seq++)
			courier_outcome(link->courier, seq, &(struct outcome){.kind = OUTCOME_DELIVERED});
	}
	CU_ASSERT_EQUAL(journal_outbox(link->rig->j, link->dest).waiting, 0);
}

static void run_schedule(struct link *link, uint64_t number)
{
	struct rig rig;
	memset(link, 0, sizeof *link);
	link->random = number * 7919 + 1;
	link->drops = number % 2;
	rig_init(&rig);
	link->rig = &rig;
	for (unsigned life = 0; life < LIVES; life++) {
		rig_open(&rig);
		start(link);
		go_up(link);
		for (unsigned i = 0; i < STEPS; i++)
			step(link);
		end_of_life(link, roll(link, 4) != 0);
	}
	rig_open(&rig);
	start(link);
	deliver_the_rest(link);
	uint64_t lost = 0;
	for (uint64_t seq = 1; seq < MAX_SEQ && !link->drops; seq++)
		lost += link->was_durable[seq] && !link->may_go[seq] && !link->bounds[seq][0];
	CU_ASSERT_EQUAL(lost, 0);
	end_of_life(link, false);
	rig_fini(&rig);
	uint64_t faults = link->split + link->changed + link->incomplete + link->wrong;
	if (faults)
		printf("# schedule %u: split %u changed %u incomplete %u wrong %u\n", (unsigned)number,
			(unsigned)link->split, (unsigned)link->changed, (unsigned)link->incomplete,
			(unsigned)link->wrong);
	CU_ASSERT_EQUAL(faults, 0);
}

static void test_schedules(void)
{
	static struct link link;
	uint64_t batches = 0;
	for (uint64_t number = 1; number <= SCHEDULES; number++) {
		run_schedule(&link, number);
		batches += link.n_batches;
	}
	CU_ASSERT(batches > SCHEDULES * 20);
	printf("# %u batches\n", (unsigned)batches);
}

static const struct tap_test tests[] = {
	{"random schedules", test_schedules},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("batches over crashes", tests);
}
