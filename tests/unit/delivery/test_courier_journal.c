/* SPDX-License-Identifier: Apache-2.0
 *
 * Couriers on the real journal, in manual mode on a disk in memory: a backlog over restarts and crashes, dead letters,
 * stages, and two destinations of which one is dead.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "delivery/courier.h"
#include "tests/unit/journal/rig.h"

#define MAX_SEQ 60000u

struct link { /* a sink of one destination */
	struct rig *rig;
	struct courier *courier;
	struct outbox_config outbox;
	struct connector connector;
	uint32_t dest;
	uint64_t sends, last_seq;
	uint64_t in_flight[4096];
	size_t n_in_flight;
	uint8_t seen[MAX_SEQ]; /* by seq */
	uint64_t out_of_order, before_durable, wrong;
	uint8_t last_stage;
	bool hold; /* answers nothing by itself */
	int drain; /* enum drain */
	bool alarm; /* of what is appended now: another key, a higher priority */
};

static void sink_send(struct link *link, const struct delivery *delivery)
{
	char payload[32];
	snprintf(payload, sizeof payload, "%u", (unsigned)delivery->seq);
	link->wrong += !slice_equal(message_view(delivery->msg)->payload, slice_str(payload));
	link->sends++;
	link->out_of_order += delivery->seq < link->last_seq;
	link->last_seq = delivery->seq;
	link->last_stage = delivery->stage;
	link->in_flight[link->n_in_flight++] = delivery->seq;
}

static void sink_send_end(struct link *link)
{
	(void)link;
}

static void sink_stage_durable(struct link *link, uint64_t seq, uint8_t stage)
{
	(void)seq;
	link->last_stage = stage;
}

static void start(struct link *link, struct rig *rig, const char *name)
{
	link->rig = rig;
	link->dest = (uint32_t)journal_destination(rig->j, name);
	link->outbox = (struct outbox_config){
		.max_bytes = 1u << 30, .backoff_min_ms = 10, .backoff_max_ms = 100, .lookahead = 1000};
	link->outbox.drain = link->drain;
	link->connector = (struct connector){.pipelined_order = true,
		.send = sink_send,
		.send_end = sink_send_end,
		.stage_durable = sink_stage_durable};
	struct courier_options options = {
		.name = name,
		.loop = rig->loop,
		.journal = rig->j,
		.dest = link->dest,
		.outbox = &link->outbox,
		.connector = &link->connector,
		.link = link,
	};
	link->courier = courier_new(&options);
	CU_ASSERT_PTR_NOT_NULL_FATAL(link->courier);
	link->last_seq = 0;
	link->n_in_flight = 0;
}

static void up(struct link *link)
{
	struct sink_traits traits = {.max_in_flight = 500};
	courier_link_up(link->courier, &traits);
}

static void stop(struct link *link)
{
	courier_free(link->courier);
	link->courier = NULL;
}

static void append(struct link *link)
{
	struct journal_outbox box = journal_outbox(link->rig->j, link->dest);
	char payload[32];
	snprintf(payload, sizeof payload, "%u", (unsigned)box.next_seq);
	struct message_view view = {
		.topic = slice_str("plant/a"), .order_key = slice_str("plant/a"), .payload = slice_str(payload)};
	if (link->alarm) {
		view.order_key = slice_str("alarm");
		view.priority = MESSAGE_MAX_PRIORITY - MESSAGE_DEFAULT_PRIORITY;
	}
	struct journal_entry entry = {.dest = link->dest, .view = &view};
	uint64_t lsn;
	CU_ASSERT_EQUAL_FATAL(journal_append(link->rig->j, &entry, 1, NULL, 0, &lsn), 0);
	courier_appended(link->courier, &entry, lsn);
}

static void answer_all(struct link *link)
{
	uint64_t seqs[4096];
	size_t n = link->n_in_flight;
	memcpy(seqs, link->in_flight, n * sizeof *seqs);
	link->n_in_flight = 0;
	struct outcome outcome = {.kind = OUTCOME_DELIVERED};
	for (size_t i = 0; i < n; i++) {
		if (seqs[i] < MAX_SEQ)
			link->seen[seqs[i]]++;
		courier_outcome(link->courier, seqs[i], &outcome);
	}
}

/* One turn of everything: the journal's threads, the loop, the sink. */
static void turn(struct link *link)
{
	rig_run(link->rig);
	courier_durable(link->courier, journal_durable_lsn(link->rig->j));
	if (!link->hold)
		answer_all(link);
}

static uint64_t waiting(const struct link *link)
{
	return journal_outbox(link->rig->j, link->dest).waiting;
}

static void turn_until_empty(struct link *link)
{
	for (unsigned i = 0; i < 2000 && waiting(link); i++)
		turn(link);
	CU_ASSERT_EQUAL(waiting(link), 0);
}

static void test_backlog_over_a_restart(void)
{
	static struct link link;
	struct rig rig;
	memset(&link, 0, sizeof link);
	rig_init(&rig);
	rig_open(&rig);
	start(&link, &rig, "lake");
	for (unsigned i = 0; i < 20000; i++) {
		append(&link);
		if (i % 500 == 0)
			turn(&link);
	}
	turn(&link);
	stop(&link);
	rig_close(&rig);
	rig_open(&rig);
	start(&link, &rig, "lake");
	CU_ASSERT_EQUAL(waiting(&link), 20000);
	up(&link);
	turn_until_empty(&link);
	CU_ASSERT_EQUAL(link.sends, 20000);
	CU_ASSERT_EQUAL(link.out_of_order, 0);
	CU_ASSERT_EQUAL(link.wrong, 0);
	for (unsigned i = 0; i < 1000; i++)
		append(&link); /* and live again */
	turn_until_empty(&link);
	CU_ASSERT_EQUAL(link.sends, 21000);
	stop(&link);
	rig_close(&rig);
	rig_open(&rig);
	start(&link, &rig, "lake");
	CU_ASSERT_EQUAL(waiting(&link), 0);
	stop(&link);
	rig_fini(&rig);
}

/* Appends and deliveries side by side, with crashes: what was durable arrives, in order within each life. */
static void test_crashes(void)
{
	static struct link link;
	static bool was_durable[MAX_SEQ];
	struct rig rig;
	memset(&link, 0, sizeof link);
	memset(was_durable, 0, sizeof was_durable);
	rig_init(&rig);
	uint64_t state = 1, highest = 0;
	for (unsigned life = 0; life < 12; life++) {
		rig_open(&rig);
		start(&link, &rig, "lake");
		up(&link);
		for (unsigned i = 0; i < 40; i++) {
			state = state * 6364136223846793005u + 1442695040888963407u;
			for (unsigned n = (unsigned)(state >> 33) % 200; n > 0; n--)
				append(&link);
			link.hold = (state >> 50) % 3 == 0;
			if ((state >> 55) % 4) {
				turn(&link);
				highest = journal_outbox(rig.j, link.dest).next_seq;
				memset(was_durable, 1, highest < MAX_SEQ ? highest : MAX_SEQ);
			}
		}
		stop(&link);
		rig_crash(&rig);
	}
	rig_open(&rig);
	start(&link, &rig, "lake");
	up(&link);
	link.hold = false;
	turn_until_empty(&link);
	uint64_t lost = 0;
	for (uint64_t seq = 1; seq < highest && seq < MAX_SEQ; seq++)
		lost += was_durable[seq] && link.seen[seq] == 0;
	CU_ASSERT_EQUAL(lost, 0);
	CU_ASSERT(highest > 20000);
	CU_ASSERT_EQUAL(link.out_of_order, 0);
	CU_ASSERT_EQUAL(link.wrong, 0);
	stop(&link);
	rig_fini(&rig);
}

static void test_dead_letter(void)
{
	static struct link link;
	struct rig rig;
	memset(&link, 0, sizeof link);
	rig_init(&rig);
	rig_open(&rig);
	start(&link, &rig, "lake");
	up(&link);
	append(&link);
	append(&link);
	link.hold = true;
	turn(&link);
	struct outcome rejected = {.kind = OUTCOME_REJECTED, .reason = "too large for the topic"};
	courier_outcome(link.courier, 1, &rejected);
	turn(&link);
	turn(&link);
	CU_ASSERT_EQUAL(courier_stats(link.courier).dead, 1);
	CU_ASSERT_EQUAL(waiting(&link), 1);
	char **names = sim_disk_names(rig.sim, "dead/lake");
	CU_ASSERT(names[0] != NULL);
	sim_disk_free_names(names);
	stop(&link);
	rig_close(&rig);
	rig_open(&rig);
	start(&link, &rig, "lake");
	CU_ASSERT_EQUAL(journal_outbox(rig.j, link.dest).oldest_undone, 2);
	stop(&link);
	rig_fini(&rig);
}

/* outbox.dead_max_bytes counts; a letter that is under way when everything ends is neither lost nor leaked. */
static void test_dead_letter_limit_and_end(void)
{
	static struct link link;
	struct rig rig;
	memset(&link, 0, sizeof link);
	rig_init(&rig);
	rig_open(&rig);
	start(&link, &rig, "lake");
	link.outbox.dead_max_bytes = 10;
	up(&link);
	append(&link);
	link.hold = true;
	turn(&link);
	struct outcome rejected = {.kind = OUTCOME_REJECTED, .reason = "too large for the topic"};
	courier_outcome(link.courier, 1, &rejected);
	turn(&link);
	turn(&link);
	CU_ASSERT(courier_stats(link.courier).dead == 0 && waiting(&link) == 1);
	link.outbox.dead_max_bytes = 1u << 20;
	loop_sim_advance(rig.loop, 200);
	stop(&link);
	rig_close(&rig);
	rig_open(&rig);
	start(&link, &rig, "lake");
	CU_ASSERT_EQUAL(waiting(&link), 1);
	stop(&link);
	rig_fini(&rig);
}

static void test_stage_over_a_crash(void)
{
	static struct link link;
	struct rig rig;
	memset(&link, 0, sizeof link);
	rig_init(&rig);
	rig_open(&rig);
	start(&link, &rig, "lake");
	up(&link);
	append(&link);
	link.hold = true;
	turn(&link);
	courier_stage(link.courier, 1, 1);
	CU_ASSERT_EQUAL(link.last_stage, 0);
	turn(&link);
	CU_ASSERT_EQUAL(link.last_stage, 1);
	stop(&link);
	rig_crash(&rig);
	link.last_stage = 0;
	rig_open(&rig);
	start(&link, &rig, "lake");
	up(&link);
	turn(&link);
	CU_ASSERT_EQUAL(link.last_stage, 1);
	answer_all(&link);
	CU_ASSERT_EQUAL(waiting(&link), 0);
	stop(&link);
	rig_fini(&rig);
}

/* The peer has lost its session: what had a stage is sent from the beginning, in the next process too. */
static void test_lost_session_over_a_crash(void)
{
	static struct link link;
	struct rig rig;
	memset(&link, 0, sizeof link);
	link.hold = true;
	rig_init(&rig);
	rig_open(&rig);
	start(&link, &rig, "cloud");
	append(&link);
	up(&link);
	turn(&link);
	courier_stage(link.courier, 1, 1);
	turn(&link);
	CU_ASSERT_EQUAL(link.last_stage, 1);
	courier_link_down(link.courier, "gone");
	struct sink_traits traits = {.max_in_flight = 500, .session_lost = true};
	link.n_in_flight = 0;
	link.last_seq = 0;
	courier_link_up(link.courier, &traits);
	turn(&link);
	CU_ASSERT(link.sends == 2 && link.last_stage == 0);
	stop(&link);
	rig_crash(&rig);
	rig_open(&rig);
	start(&link, &rig, "cloud");
	up(&link);
	turn(&link);
	CU_ASSERT(link.sends == 3 && link.last_stage == 0);
	link.hold = false;
	turn_until_empty(&link);
	stop(&link);
	rig_close(&rig);
	rig_fini(&rig);
}

static uint64_t append_alarm(struct link *link)
{
	uint64_t seq = journal_outbox(link->rig->j, link->dest).next_seq;
	link->alarm = true;
	append(link);
	link->alarm = false;
	return seq;
}

/* A backlog with alarms in it: they go first, over a crash too, and what has overtaken does not come again although the
 * reader comes to it later. */
static void test_live_first_over_crashes(void)
{
	static struct link link;
	struct rig rig;
	memset(&link, 0, sizeof link);
	link.drain = DRAIN_LIVE_FIRST;
	rig_init(&rig);
	rig_open(&rig);
	start(&link, &rig, "lake");
	uint64_t alarms[40];
	for (unsigned i = 0; i < 20000; i++) {
		append(&link);
		if (i % 500 == 499)
			alarms[i / 500] = append_alarm(&link);
		if (i % 500 == 0)
			rig_run(&rig);
	}
	rig_run(&rig);
	stop(&link);
	rig_crash(&rig);
	rig_open(&rig);
	start(&link, &rig, "lake");
	rig_run(&rig); /* head and survey */
	link.hold = true;
	up(&link);
	turn(&link);
	for (unsigned i = 0; i < 40; i++)
		CU_ASSERT_EQUAL(link.in_flight[i], alarms[i]);
	/* The first 30 of them arrive; then it crashes, once their DONEs are durable. */
	struct outcome outcome = {.kind = OUTCOME_DELIVERED};
	for (unsigned i = 0; i < 100; i++)
		append(&link);
	uint64_t live = append_alarm(&link);
	turn(&link);
	for (unsigned i = 0; i < 30; i++) {
		link.seen[alarms[i]]++;
		courier_outcome(link.courier, alarms[i], &outcome);
		CU_ASSERT(i > 0 || link.last_seq == live); /* the next one that goes */
	}
	append(&link); /* takes the DONEs along */
	turn(&link);
	CU_ASSERT_EQUAL(journal_outbox(rig.j, link.dest).done_ranges, 30);
	stop(&link);
	rig_crash(&rig);
	rig_open(&rig);
	start(&link, &rig, "lake");
	up(&link);
	rig_run(&rig);
	link.hold = false;
	turn_until_empty(&link);
	uint64_t wrong = 0;
	for (uint64_t seq = 1; seq < journal_outbox(rig.j, link.dest).next_seq; seq++)
		wrong += link.seen[seq] != 1;
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(link.wrong, 0);
	CU_ASSERT_EQUAL(courier_stats(link.courier).held, 0);
	stop(&link);
	rig_fini(&rig);
}

static void test_one_dead_destination_slows_no_other(void)
{
	static struct link dead, alive;
	struct rig rig;
	memset(&dead, 0, sizeof dead);
	memset(&alive, 0, sizeof alive);
	rig_init(&rig);
	rig_open(&rig);
	start(&dead, &rig, "hooks");
	start(&alive, &rig, "lake");
	up(&alive);
	for (unsigned i = 0; i < 5000; i++) {
		append(&dead);
		append(&alive);
		if (i % 100 == 99) {
			turn(&alive);
			CU_ASSERT_EQUAL(alive.sends, i + 1);
		}
	}
	CU_ASSERT_EQUAL(waiting(&alive), 0);
	CU_ASSERT_EQUAL(waiting(&dead), 5000);
	CU_ASSERT(courier_stats(dead.courier).held <= 1000);
	up(&dead);
	turn_until_empty(&dead);
	CU_ASSERT_EQUAL(dead.sends, 5000);
	CU_ASSERT_EQUAL(dead.out_of_order, 0);
	stop(&dead);
	stop(&alive);
	rig_fini(&rig);
}

static const struct tap_test tests[] = {
	{"a backlog over a restart", test_backlog_over_a_restart},
	{"crashes", test_crashes},
	{"a dead letter", test_dead_letter},
	{"dead_max_bytes, and a letter under way at the end", test_dead_letter_limit_and_end},
	{"a stage over a crash", test_stage_over_a_crash},
	{"a lost session over a crash", test_lost_session_over_a_crash},
	{"live first over crashes", test_live_first_over_crashes},
	{"one dead destination slows no other", test_one_dead_destination_slows_no_other},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("courier on the journal", tests);
}
