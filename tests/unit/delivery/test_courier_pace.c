/* SPDX-License-Identifier: Apache-2.0
 *
 * outbox.max_rate: the courier sends no faster, wakes by itself, and does not turn in circles.
 */
#include <stdio.h>
#include <stdlib.h>

#include "runtime/log.h"
#include "tests/unit/delivery/courier_rig.h"
#include "tests/unit/tap.h"

static void quiet(enum log_level level, const char *line, void *arg)
{
	(void)level, (void)line, (void)arg;
}

static void setup(struct rig *rig, int64_t messages, uint64_t bytes)
{
	rig_init(rig);
	rig->connector.pipelined_order = true;
	rig->outbox.max_rate.messages = messages;
	rig->outbox.max_rate.bytes = bytes;
	rig->traits.max_in_flight = 1u << 20;
	rig->on_send = rig_deliver_at_once;
	rig_start(rig);
}

/* In any time t no more than t * rate + burst go. */
static void check_rate(const struct rig *rig, uint64_t rate, uint64_t burst)
{
	const struct rig_sent *sent = rig->link.sent;
	uint64_t wrong = 0;
	for (size_t i = 0, k = 0; i < rig->link.n_sent; i++) {
		for (; sent[i].at_ms - sent[k].at_ms > 1000; k++)
			;
		for (size_t from = k; from < i; from += 1 + (i - from) / 4)
			wrong += (i - from + 1) > burst + ((sent[i].at_ms - sent[from].at_ms) * rate + 999) / 1000;
	}
	CU_ASSERT_EQUAL(wrong, 0);
}

static void test_messages(void)
{
	struct rig rig;
	setup(&rig, 500, 0);
	rig_publish(&rig, 20000, "a"); /* more than are held */
	rig_up(&rig);
	CU_ASSERT_EQUAL(rig.link.n_sent, 50);
	loop_sim_advance(rig.loop, 10000);
	CU_ASSERT(rig.link.n_sent >= 5040 && rig.link.n_sent <= 5050);
	loop_sim_advance(rig.loop, 29900);
	CU_ASSERT_EQUAL(rig.journal->waiting, 0);
	check_rate(&rig, 500, 50);
	CU_ASSERT(rig.link.send_ends <= 40 * 101); /* some at a time */
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

static void test_bytes(void)
{
	struct rig rig;
	setup(&rig, 0, 100 * FAKE_BYTES);
	rig_publish(&rig, 1000, "a");
	rig_up(&rig);
	CU_ASSERT_EQUAL(rig.link.n_sent, 10);
	loop_sim_advance(rig.loop, 5000);
	CU_ASSERT(rig.link.n_sent >= 508 && rig.link.n_sent <= 511);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* A second by itself for something of ten seconds' worth. */
static void test_a_large_message(void)
{
	struct rig rig;
	setup(&rig, 0, 1000);
	static uint8_t payload[10000];
	struct message_view view = rig_view(&rig, "a");
	view.payload = slice_of(payload, sizeof payload);
	rig_append_view(&rig, &view);
	rig_publish(&rig, 1, "a");
	rig_up(&rig);
	CU_ASSERT_EQUAL(rig.link.n_sent, 1);
	loop_sim_advance(rig.loop, 9800);
	CU_ASSERT_EQUAL(rig.link.n_sent, 1);
	loop_sim_advance(rig.loop, 200);
	CU_ASSERT_EQUAL(rig.link.n_sent, 2);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* Repetitions count as well: of two a second one goes to what is refused again and again. */
static void refuse_the_first(struct rig *rig, const struct delivery *delivery)
{
	struct outcome later = {.kind = OUTCOME_RETRY, .reason = "not now"};
	struct outcome delivered = {.kind = OUTCOME_DELIVERED};
	rig_outcome_full(rig, delivery->seq, delivery->seq == 1 ? &later : &delivered);
}

static void test_repetitions(void)
{
	struct rig rig;
	setup(&rig, 10, 0);
	rig.outbox.backoff_min_ms = rig.outbox.backoff_max_ms = 1;
	rig_stop(&rig);
	rig.on_send = refuse_the_first;
	rig_publish(&rig, 1, "refused");
	rig_publish(&rig, 1000, "a");
	rig_start(&rig);
	rig_up(&rig);
	loop_sim_advance(rig.loop, 20000);
	CU_ASSERT(rig.link.n_sent >= 200 && rig.link.n_sent <= 202);
	CU_ASSERT(rig_stats(&rig).retried > 50);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* What comes into a full bucket goes at once; with nothing to send there is no timer. */
static void test_no_wait_without_need(void)
{
	struct rig rig;
	setup(&rig, 100, 1 << 20);
	rig_up(&rig);
	for (int i = 0; i < 50; i++) {
		rig_publish(&rig, 1, "a");
		CU_ASSERT_EQUAL(rig.link.n_sent, (size_t)i + 1);
		loop_sim_advance(rig.loop, 20);
	}
	uint64_t ends = rig.link.send_ends;
	loop_sim_advance(rig.loop, 100000);
	CU_ASSERT_EQUAL(rig.link.send_ends, ends);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* Down, draining: the pace wakes nobody. Up again: it goes on. */
static void test_down_and_up(void)
{
	struct rig rig;
	setup(&rig, 100, 0);
	rig_publish(&rig, 1000, "a");
	rig_up(&rig);
	loop_sim_advance(rig.loop, 1000);
	rig_down(&rig);
	size_t sent = rig.link.n_sent;
	loop_sim_advance(rig.loop, 5000);
	CU_ASSERT_EQUAL(rig.link.n_sent, sent);
	rig_up(&rig);
	CU_ASSERT_EQUAL(rig.link.n_sent, sent + 10);
	loop_sim_advance(rig.loop, 20000);
	CU_ASSERT_EQUAL(rig.journal->waiting, 0);
	check_rate(&rig, 100, 10);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

static const struct tap_test tests[] = {
	{"messages", test_messages},
	{"bytes", test_bytes},
	{"a large message", test_a_large_message},
	{"repetitions", test_repetitions},
	{"no wait without need", test_no_wait_without_need},
	{"down and up", test_down_and_up},
	{NULL, NULL},
};

int main(void)
{
	log_set_sink(quiet, NULL);
	return tap_main("courier pace", tests);
}
