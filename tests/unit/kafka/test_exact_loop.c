/* SPDX-License-Identifier: Apache-2.0
 *
 * The loop's side of the exactly-once sink with a worker that says what the test wants, when it wants: what a cluster does
 * only now and then. Outcomes of a large transaction are told over several turns; what happens meanwhile must neither write
 * again what is committed nor end anything twice.
 */
#include <stdlib.h>
#include <string.h>

#include "connectors/kafka/exact_worker.h"
#include "connectors/kafka/part.h"
#include "runtime/log.h"
#include "tests/unit/tap.h"

#define TRANSACTION 6000u
#define MOST        20000u

/* --- the worker ------------------------------------------------------------------------------------------------- */

struct exact_worker {
	struct loop *loop;
	struct loop_job job;
	struct exact_report report;
	struct exact_order orders[2 * MOST]; /* since the last go that forgets */
	size_t n_orders;
	unsigned opens, closes;
};

static struct exact_worker worker;

struct exact_worker *exact_worker_new(struct loop *loop, const struct kafka_settings *settings, const char *name,
	const uint8_t *uuid, loop_fn on_report, void *arg)
{
	(void)settings, (void)name, (void)uuid;
	memset(&worker, 0, sizeof worker);
	worker.loop = loop;
	loop_job_init(&worker.job, on_report, arg);
	return &worker;
}

void exact_worker_free(struct exact_worker *self)
{
	loop_cancel(self->loop, &self->job);
}

void exact_worker_open(struct exact_worker *self, const struct kafka_limits *limits)
{
	(void)limits;
	self->n_orders = 0;
	self->opens++;
}

void exact_worker_close(struct exact_worker *self)
{
	self->closes++;
}

int exact_worker_give(struct exact_worker *self, const struct exact_order *orders, size_t n)
{
	CU_ASSERT_FATAL(self->n_orders + n <= 2 * MOST);
	memcpy(self->orders + self->n_orders, orders, n * sizeof *orders);
	self->n_orders += n;
	return 0;
}

void exact_worker_go(struct exact_worker *self, bool forget)
{
	if (forget)
		self->n_orders = 0;
}

void exact_worker_take(struct exact_worker *self, struct exact_report *ret_report)
{
	*ret_report = self->report;
	memset(&self->report, 0, sizeof self->report);
}

const char *exact_worker_id(const struct exact_worker *self)
{
	(void)self;
	return "linkspan-test";
}

uint32_t exact_worker_batch_bytes(struct exact_worker *self)
{
	(void)self;
	return 1000000;
}

/* --- the host --------------------------------------------------------------------------------------------------- */

struct scene {
	struct link_host host;
	struct loop *loop;
	struct kafka_settings settings;
	struct link *part;
	struct message *msg;
	unsigned delivered[MOST + 1], rejected[MOST + 1];
	unsigned n_delivered, ups, downs, stops;
	uint64_t done_through;
};

static struct scene scene;

static void on_up(struct link_host *host, const struct sink_traits *traits)
{
	(void)host;
	scene.ups++;
	scene.done_through = traits->done_through;
}

static void on_down(struct link_host *host, const char *reason)
{
	(void)host, (void)reason;
	scene.downs++;
}

static void on_window(struct link_host *host, uint32_t max_in_flight)
{
	(void)host, (void)max_in_flight;
}

static void on_alarm(struct link_host *host, const char *what)
{
	(void)host, (void)what;
}

static void on_outcome(struct link_host *host, uint64_t seq, const struct outcome *outcome)
{
	(void)host;
	if (outcome->kind == OUTCOME_DELIVERED)
		scene.delivered[seq]++, scene.n_delivered++;
	else
		scene.rejected[seq]++;
}

static void on_delivered(struct link_host *host, const uint64_t *seqs, size_t n)
{
	static const struct outcome delivered = {.kind = OUTCOME_DELIVERED};
	for (size_t i = 0; i < n; i++)
		on_outcome(host, seqs[i], &delivered);
}

static bool on_settle(struct link_host *host, uint64_t seq)
{
	(void)host, (void)seq;
	return true;
}

static void on_stopped(struct link_host *host)
{
	(void)host;
	scene.stops++;
}

static void report(void)
{
	loop_post(scene.loop, &worker.job);
	loop_sim_advance(scene.loop, 0);
}

static void open_with(uint64_t cursor)
{
	worker.report.opened = true;
	worker.report.done_through = cursor;
	report();
}

static void send_all(uint64_t first, uint64_t last)
{
	for (uint64_t seq = first; seq <= last; seq++)
		kafka_exact_part.send(scene.part, &(struct delivery){.seq = seq, .attempt = 1, .msg = scene.msg});
	kafka_exact_part.send_end(scene.part);
}

/* Two whole transactions are ordered. */
static void begin(void)
{
	static const struct link_host_ops ops = {.link_up = on_up,
		.link_down = on_down,
		.window = on_window,
		.alarm = on_alarm,
		.outcome = on_outcome,
		.delivered = on_delivered,
		.settle = on_settle,
		.stopped = on_stopped};
	scene = (struct scene){.host = {&ops}, .loop = loop_new_simulated(1700000000000)};
	scene.settings.max_in_flight = MOST;
	scene.settings.transaction.interval_ms = 3600000;
	scene.settings.transaction.max_messages = TRANSACTION;
	scene.settings.transaction.max_bytes = 1u << 30;
	scene.msg = message_new(&(struct message_view){.topic = slice_str("t"), .order_key = slice_str("k")});
	struct link_spec spec = {.name = "lake", .settings = &scene.settings, .loop = scene.loop, .is_sink = true};
	struct link_recovery recovery = {.destination_uuid = (const uint8_t *)"0123456789abcdef"};
	CU_ASSERT_EQUAL_FATAL(kafka_exact_part.create(&spec, &scene.host, &scene.part), 0);
	kafka_exact_part.start(scene.part, &recovery);
	open_with(0);
	CU_ASSERT_EQUAL(scene.ups, 1);
	send_all(1, 2 * TRANSACTION);
	CU_ASSERT_EQUAL(worker.n_orders, 2 * TRANSACTION + 2);
}

static void stop(void)
{
	kafka_exact_part.stop(scene.part);
	worker.report.closed = true;
	report();
	CU_ASSERT_EQUAL(scene.stops, 1);
	kafka_exact_part.destroy(scene.part);
	message_unref(scene.msg);
	loop_free(scene.loop);
}

static void check_delivered(uint64_t first, uint64_t last, unsigned times)
{
	for (uint64_t seq = first; seq <= last; seq++)
		CU_ASSERT_EQUAL(scene.delivered[seq], times);
}

/* A transaction is undone while outcomes of the one before are told still: those are not written again. */
static void test_undone_while_told(void)
{
	begin();
	worker.report.committed = TRANSACTION;
	worker.report.undone = true;
	worker.report.n_rejects = 1;
	worker.report.rejects[0].seq = TRANSACTION + 3;
	report();
	CU_ASSERT_EQUAL(scene.rejected[TRANSACTION + 3], 1);
	CU_ASSERT_EQUAL_FATAL(worker.n_orders, TRANSACTION); /* all but one, and the end */
	CU_ASSERT_EQUAL(worker.orders[0].seq, TRANSACTION + 1);
	CU_ASSERT_EQUAL(worker.orders[2].seq, TRANSACTION + 4);
	CU_ASSERT_PTR_NULL(worker.orders[TRANSACTION - 1].msg);
	CU_ASSERT_EQUAL(worker.orders[TRANSACTION - 1].seq, 2 * TRANSACTION);
	worker.report.committed = 2 * TRANSACTION;
	report();
	CU_ASSERT_EQUAL(scene.n_delivered, 2 * TRANSACTION - 1);
	check_delivered(1, TRANSACTION + 2, 1);
	check_delivered(TRANSACTION + 4, 2 * TRANSACTION, 1);
	CU_ASSERT_EQUAL(scene.downs, 0);
	stop();
}

/* The producer is lost while they are told: the rest is left to the cursor. */
static void test_lost_while_told(void)
{
	begin();
	worker.report.committed = TRANSACTION;
	worker.report.failed = true;
	report();
	unsigned told = scene.n_delivered;
	CU_ASSERT(told > 0 && told < TRANSACTION);
	CU_ASSERT_EQUAL(scene.downs, 1);
	CU_ASSERT_EQUAL(worker.closes, 1);
	worker.report.closed = true;
	report();
	loop_sim_advance(scene.loop, 60000);
	CU_ASSERT_EQUAL(worker.opens, 2);
	open_with(TRANSACTION);
	CU_ASSERT_EQUAL(scene.ups, 2);
	CU_ASSERT_EQUAL(scene.done_through, TRANSACTION);
	send_all(TRANSACTION + 1, 2 * TRANSACTION);
	CU_ASSERT_EQUAL(worker.n_orders, TRANSACTION + 1);
	worker.report.committed = 2 * TRANSACTION;
	report();
	CU_ASSERT_EQUAL(scene.n_delivered, told + TRANSACTION);
	check_delivered(1, told, 1);
	check_delivered(told + 1, TRANSACTION, 0);
	check_delivered(TRANSACTION + 1, 2 * TRANSACTION, 1);
	stop();
}

static void test_stopped_while_told(void)
{
	begin();
	worker.report.committed = TRANSACTION;
	loop_post(scene.loop, &worker.job);
	kafka_exact_part.stop(scene.part);
	loop_sim_advance(scene.loop, 0);
	CU_ASSERT_EQUAL(scene.n_delivered, 0);
	CU_ASSERT_EQUAL(scene.downs, 0);
	CU_ASSERT_EQUAL(scene.stops, 0);
	stop();
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"undone while outcomes are told", test_undone_while_told},
		{"lost while outcomes are told", test_lost_while_told},
		{"stopped before they are told", test_stopped_while_told},
		{NULL, NULL},
	};
	log_set_level(LOG_LEVEL_ERROR);
	return tap_main("kafka exactly-once sink, the loop", tests);
}
