/* SPDX-License-Identifier: Apache-2.0
 *
 * The source against the mock cluster and a host that this test plays: what it offers when it is refused, when it is held,
 * and what of it is committed for its group.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/kafka/part.h"
#include "connectors/kafka/settings.h"
#include "runtime/log.h"
#include "tests/conformance/kafka_tools.h"
#include "tests/unit/tap.h"

#define TOPIC        "t"
#define GROUP        "g"
#define N_RECORDS    20
#define N_PARTITIONS 24
#define DEADLINE_S   60

struct seen {
	bool has_view;
	char payload[16];
	uint64_t position;
};

static struct rig {
	struct link_host host; /* first */
	struct loop *loop;
	struct loop_timer *ticks;
	struct kafka_mock *mock;
	struct kafka_settings settings;
	struct config_text broker, property;
	struct link *part;
	int n_partitions;
	bool begun[N_PARTITIONS]; /* by partition: has its first position come? */
	unsigned n_begun;
	_Atomic unsigned n_unanswered; /* questions that nobody has answered */
	struct seen seen[200]; /* what was taken, or refused */
	size_t n_seen;
	size_t busy_at; /* that many taken: held once, 0: never */
	const char *refuse; /* the payload that is refused */
	bool hold_receipts;
	uint64_t mark; /* cookie of the last offer of nothing; 0: none */
	unsigned n_marks;
	bool up, stopped;
	bool (*until)(void);
	unsigned ticks_left;
} rig;

static void note_begin(const struct offer *offer)
{
	char name[32];
	int number = -1;
	snprintf(name, sizeof name, "%.*s", (int)offer->change.blob.len, (const char *)offer->change.blob.data);
	CU_ASSERT_TRUE_FATAL(sscanf(name, TOPIC "/%d", &number) == 1 && number >= 0 && number < N_PARTITIONS);
	rig.n_begun += !rig.begun[number];
	rig.begun[number] = true;
}

static enum offer_result on_offer(struct link_host *host, const struct offer *offer)
{
	(void)host;
	CU_ASSERT_FALSE(rig.stopped);
	if (!offer->view && offer->change.type == CHANGE_NONE) {
		CU_ASSERT_FALSE(offer->no_receipt);
		rig.mark = offer->cookie;
		rig.n_marks++;
		return OFFER_TAKEN;
	}
	CU_ASSERT_EQUAL(offer->change.type, CHANGE_POSITION);
	if (rig.n_partitions > 1) {
		note_begin(offer);
		return OFFER_TAKEN;
	}
	CU_ASSERT_TRUE(slice_equal(offer->change.blob, slice_str(TOPIC "/0")));
	if (rig.busy_at && rig.n_seen == rig.busy_at) {
		rig.busy_at = 0;
		kafka_source_part.pause(rig.part);
		return OFFER_BUSY;
	}
	struct seen *seen = &rig.seen[rig.n_seen++];
	seen->has_view = offer->view != NULL;
	seen->position = offer->change.position;
	if (offer->view)
		snprintf(seen->payload, sizeof seen->payload, "%.*s", (int)offer->view->payload.len,
			(const char *)offer->view->payload.data);
	return offer->view && rig.refuse && strcmp(seen->payload, rig.refuse) == 0 ? OFFER_REFUSED : OFFER_TAKEN;
}

static void on_up(struct link_host *host, const struct sink_traits *traits)
{
	(void)host, (void)traits;
	rig.up = true;
}

static void on_down(struct link_host *host, const char *reason)
{
	(void)host, (void)reason;
	rig.up = false;
}

static void on_alarm(struct link_host *host, const char *what)
{
	(void)host;
	printf("# alarm: %s\n", what);
}

static void on_stopped(struct link_host *host)
{
	(void)host;
	rig.stopped = true;
}

static const struct link_host_ops ops = {
	.offer = on_offer, .link_up = on_up, .link_down = on_down, .alarm = on_alarm, .stopped = on_stopped};

static void no_positions(const struct link_recovery *recovery,
	void (*fn)(struct slice partition, uint64_t position, uint64_t hash, void *arg), void *arg)
{
	(void)recovery, (void)fn, (void)arg;
}

/* --- running --------------------------------------------------------------------------------------------------- */

static void on_tick(void *arg)
{
	(void)arg;
	if (rig.until() || rig.ticks_left-- == 0)
		loop_stop(rig.loop);
	else
		loop_timer_start(rig.ticks, 10);
}

static bool run_until(bool (*until)(void))
{
	rig.until = until;
	rig.ticks_left = DEADLINE_S * 100;
	loop_timer_start(rig.ticks, 0);
	loop_run(rig.loop);
	return until();
}

static char *text(const char *literal)
{
	return (char *)(uintptr_t)literal;
}

static void begin_with(const char *group, struct kafka_mock *mock, int n_partitions)
{
	static const struct link_subscription subscription = {.filter = TOPIC, .qos = 1};
	static const struct link_recovery recovery = {.positions = no_positions};
	memset(&rig, 0, sizeof rig);
	rig.host.ops = &ops;
	rig.mock = mock;
	rig.n_partitions = n_partitions;
	rig.loop = loop_new();
	rig.ticks = loop_timer_new(rig.loop, on_tick, NULL);
	rig.broker.value = rig.mock->brokers;
	rig.property = (struct config_text){.name = text("fetch.wait.max.ms"), .value = text("20")};
	rig.settings = (struct kafka_settings){.brokers = {&rig.broker, 1},
		.client_id = text("test"),
		.tls = {.verify = true},
		.group = text(group),
		.hold_messages = 1000,
		.hold_bytes = 1 << 20,
		.properties = {&rig.property, 1}};
	struct link_spec spec = {.name = "lake",
		.settings = &rig.settings,
		.loop = rig.loop,
		.subscriptions = &subscription,
		.n_subscriptions = 1};
	CU_ASSERT_EQUAL_FATAL(kafka_source_part.create(&spec, &rig.host, &rig.part), 0);
	kafka_source_part.start(rig.part, &recovery);
}

static void begin(const char *group)
{
	struct kafka_mock *mock = kafka_mock_new(1);
	kafka_mock_topic(mock, TOPIC, 1);
	for (unsigned i = 0; i < N_RECORDS; i++) {
		char value[16];
		snprintf(value, sizeof value, "%u", i);
		kafka_mock_publish(mock, TOPIC, slice_str(value));
	}
	begin_with(group, mock, 1);
}

static bool has_stopped(void)
{
	return rig.stopped;
}

static void end(void)
{
	kafka_source_part.stop(rig.part);
	CU_ASSERT_TRUE(run_until(has_stopped));
	kafka_source_part.destroy(rig.part);
	loop_timer_free(rig.ticks);
	loop_free(rig.loop);
	kafka_mock_free(rig.mock);
}

static bool all_came(void)
{
	return rig.n_seen > 0 && rig.seen[rig.n_seen - 1].position == N_RECORDS;
}

static bool is_held(void)
{
	return rig.busy_at == 0;
}

/* --- tests ------------------------------------------------------------------------------------------------------- */

/* First where it begins, then each record with the position behind it. */
static void test_positions(void)
{
	begin(NULL);
	CU_ASSERT_TRUE_FATAL(run_until(all_came));
	CU_ASSERT_EQUAL(rig.n_seen, N_RECORDS + 1);
	CU_ASSERT_TRUE(!rig.seen[0].has_view && rig.seen[0].position == 0);
	for (size_t i = 1; i < rig.n_seen; i++) {
		char wanted[16];
		snprintf(wanted, sizeof wanted, "%zu", i - 1);
		CU_ASSERT_TRUE(rig.seen[i].has_view && rig.seen[i].position == i);
		CU_ASSERT_STRING_EQUAL(rig.seen[i].payload, wanted);
	}
	CU_ASSERT_EQUAL(rig.n_marks, 0); /* nothing is committed anywhere */
	CU_ASSERT_TRUE(rig.up);
	end();
}

/* A record that is refused leaves its position, also when that has to wait. */
static void test_refused(void)
{
	begin(NULL);
	rig.refuse = "5";
	rig.busy_at = 7; /* the position alone, behind 0 and 0…5 */
	CU_ASSERT_TRUE_FATAL(run_until(is_held));
	CU_ASSERT_EQUAL(rig.n_seen, 7);
	kafka_source_part.resume(rig.part);
	CU_ASSERT_TRUE_FATAL(run_until(all_came));
	CU_ASSERT_EQUAL(rig.n_seen, N_RECORDS + 2);
	CU_ASSERT_TRUE(rig.seen[6].has_view && rig.seen[6].position == 6);
	CU_ASSERT_TRUE(!rig.seen[7].has_view && rig.seen[7].position == 6);
	CU_ASSERT_TRUE(rig.seen[8].has_view && rig.seen[8].position == 7);
	end();
}

static void test_held(void)
{
	begin(NULL);
	rig.busy_at = 4;
	CU_ASSERT_TRUE_FATAL(run_until(is_held));
	CU_ASSERT_EQUAL(rig.n_seen, 4);
	kafka_source_part.resume(rig.part);
	CU_ASSERT_TRUE_FATAL(run_until(all_came));
	CU_ASSERT_EQUAL(rig.n_seen, N_RECORDS + 1); /* none left out, none twice */
	end();
}

static int64_t committed(void)
{
	char errstr[256];
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_conf_set(conf, "bootstrap.servers", rig.mock->brokers, errstr, sizeof errstr);
	rd_kafka_conf_set(conf, "group.id", GROUP, errstr, sizeof errstr);
	rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, errstr, sizeof errstr);
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(list, TOPIC, 0);
	int64_t offset = rd_kafka_committed(rk, list, DEADLINE_S * 1000) ? -2 : list->elems[0].offset;
	rd_kafka_topic_partition_list_destroy(list);
	rd_kafka_destroy(rk);
	return offset;
}

static bool is_marked(void)
{
	return rig.n_marks > 0 && all_came();
}

static bool is_marked_and_held(void)
{
	return rig.n_marks > 0 && is_held();
}

static bool is_committed(void)
{
	return committed() == N_RECORDS;
}

/* Nothing is committed before its receipt, a lost receipt is asked for again, and one of an earlier mark does not count. */
static void test_marks(void)
{
	begin(GROUP);
	CU_ASSERT_TRUE_FATAL(run_until(is_marked));
	uint64_t lost = rig.mark;
	unsigned before = rig.n_marks;
	kafka_source_part.receipts_lost(rig.part);
	CU_ASSERT_EQUAL(rig.n_marks, before + 1);
	CU_ASSERT_NOT_EQUAL(rig.mark, lost);
	kafka_source_part.receipt(rig.part, lost, RECEIPT_DURABLE);
	kafka_source_part.receipt(rig.part, rig.mark, RECEIPT_FAILED);
	CU_ASSERT_EQUAL(committed(), RD_KAFKA_OFFSET_INVALID);
	kafka_source_part.receipt(rig.part, rig.mark, RECEIPT_DURABLE);
	CU_ASSERT_TRUE(run_until(is_committed));
	end();
}

/* What came behind a mark that is on its way when linkspan stops is committed as well. */
static void test_stop_mark(void)
{
	begin(GROUP);
	rig.busy_at = 4;
	CU_ASSERT_TRUE_FATAL(run_until(is_marked_and_held));
	uint64_t first = rig.mark;
	kafka_source_part.resume(rig.part);
	CU_ASSERT_TRUE_FATAL(run_until(all_came));
	CU_ASSERT_EQUAL(rig.mark, first); /* one at a time */
	kafka_source_part.stop_intake(rig.part);
	CU_ASSERT_EQUAL(rig.mark, first);
	kafka_source_part.receipt(rig.part, first, RECEIPT_DURABLE);
	CU_ASSERT_NOT_EQUAL_FATAL(rig.mark, first);
	kafka_source_part.receipt(rig.part, rig.mark, RECEIPT_DURABLE);
	kafka_source_part.stop(rig.part);
	CU_ASSERT_TRUE(run_until(has_stopped));
	CU_ASSERT_EQUAL(committed(), N_RECORDS);
	end();
}

static bool others_have_begun(void)
{
	return rig.n_begun == N_PARTITIONS - 1;
}

static void on_log(enum log_level level, const char *line, void *arg)
{
	(void)level, (void)arg;
	if (strstr(line, "event=kafka_offsets ")) /* in the consumer's thread alone */
		rig.n_unanswered++;
}

/* Of one whose leader does not answer, each question takes two seconds: it is asked with the others, then once alone. */
static void test_one_does_not_answer(void)
{
	struct kafka_mock *mock = kafka_mock_new(2);
	kafka_mock_topic(mock, TOPIC, N_PARTITIONS);
	for (int i = 0; i < N_PARTITIONS; i++)
		rd_kafka_mock_partition_set_leader(mock->cluster, TOPIC, i, i == 0 ? 2 : 1);
	rd_kafka_mock_broker_set_down(mock->cluster, 2);
	log_set_level(LOG_LEVEL_DEBUG);
	log_set_sink(on_log, NULL);
	begin_with(NULL, mock, N_PARTITIONS);
	CU_ASSERT_TRUE(run_until(others_have_begun));
	CU_ASSERT_FALSE(rig.begun[0]);
	CU_ASSERT_TRUE(rig.n_unanswered >= 1 && rig.n_unanswered <= 2);
	rd_kafka_mock_broker_set_up(mock->cluster, 2);
	end();
	log_set_sink(NULL, NULL);
	log_set_level(LOG_LEVEL_WARN);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"each record with its position", test_positions},
		{"a record that is refused leaves its position", test_refused},
		{"held, then resumed", test_held},
		{"with a group: durable, then committed", test_marks},
		{"a stop commits what came behind the last mark", test_stop_mark},
		{"one that does not answer lets the others go first", test_one_does_not_answer},
		{NULL, NULL},
	};
	if (kafka_tools_unavailable()) {
		printf("1..0 # SKIP %s\n", kafka_tools_unavailable());
		return 0;
	}
	log_set_level(LOG_LEVEL_WARN);
	return tap_main("kafka source", tests);
}
