/* SPDX-License-Identifier: Apache-2.0
 *
 * Markers on their way through a real bridge (router, journal, courier) between two scripted links: what the sink is
 * given to send. Then the numbering by itself, over a journal without threads.
 */
#include "runtime/marking.h"

#include <stdio.h>
#include <stdlib.h>

#include "connectors/connector.h"
#include "message/markers.h"
#include "runtime/bridge.h"
#include "runtime/endpoint.h"
#include "runtime/log.h"
#include "tests/unit/journal/rig.h"
#include "tests/unit/routing/a_config.h"

static unsigned logged;

static void on_log(enum log_level level, const char *line, void *arg)
{
	(void)level, (void)arg;
	logged += strstr(line, "event=messages_unnumbered") != NULL;
}

static bool carries_headers(const void *settings)
{
	(void)settings;
	return true;
}

/* --- through a bridge ---------------------------------------------------------------------------------- */

#define TOPICS 3

struct link {
	struct link_host *host;
	bool paused;
};

static struct scene {
	struct loop *loop;
	struct bridge *bridge;
	struct link source, sink;
	struct loop_job offer_job;
	struct loop_timer *deadline;
	unsigned offered, to_offer, delivered, pauses;
	uint64_t last[TOPICS]; /* number delivered, by topic */
	char streams[TOPICS][64];
	unsigned wrong;
	bool timed_out;
} scene;

static int fake_create(const struct link_spec *spec, struct link_host *host, struct link **ret_link)
{
	*ret_link = spec->n_subscriptions ? &scene.source : &scene.sink;
	**ret_link = (struct link){.host = host};
	return 0;
}

static void offer_all(void *arg)
{
	static const char *const topics[TOPICS] = {"a/0", "a/1", "a/2"};
	struct link *link = &scene.source;
	(void)arg;
	while (scene.offered < scene.to_offer && !link->paused) {
		struct message_view view = {.topic = slice_str(topics[scene.offered % TOPICS]),
			.payload = slice_str("1"),
			.origin_ms = 1709210096007,
			.qos = 1};
		struct offer offer = {.view = &view, .subscription = -1};
		if (link->host->ops->offer(link->host, &offer) != OFFER_TAKEN)
			return;
		scene.offered++;
	}
}

static void fake_start(struct link *link, const struct link_recovery *recovery)
{
	(void)recovery;
	link->host->ops->link_up(link->host, &(struct sink_traits){.max_in_flight = 10});
	if (link == &scene.source)
		loop_post(scene.loop, &scene.offer_job);
}

static void fake_pause(struct link *link)
{
	link->paused = true;
	scene.pauses++;
}

static void fake_resume(struct link *link)
{
	link->paused = false;
	offer_all(NULL);
}

static void fake_receipt(struct link *link, uint64_t cookie, enum receipt receipt)
{
	(void)link, (void)cookie, (void)receipt;
}

static void fake_nothing(struct link *link)
{
	(void)link;
}

/* Each topic has its stream, whose numbers come one by one. */
static void look_at(const struct message_view *view)
{
	size_t topic = (size_t)(view->topic.data[view->topic.len - 1] - '0');
	struct slice number = message_header(view, MARKER_SEQUENCE), stream = message_header(view, MARKER_STREAM);
	char text[64], seen[64];
	snprintf(text, sizeof text, "%llu", (unsigned long long)++scene.last[topic]);
	snprintf(seen, sizeof seen, "%.*s", (int)stream.len, stream.data ? (const char *)stream.data : "");
	if (!scene.streams[topic][0])
		memcpy(scene.streams[topic], seen, sizeof seen);
	scene.wrong += !slice_equal(number, slice_str(text)) || strcmp(seen, scene.streams[topic]) != 0 ||
		       strlen(seen) != 32 || !view->waits ||
		       !slice_equal(message_header(view, MARKER_SOURCE), slice_str("in")) ||
		       !slice_equal(message_header(view, MARKER_ORIGIN_TIME), slice_str("2024-02-29T12:34:56.007Z"));
}

static void fake_send(struct link *link, const struct delivery *delivery)
{
	look_at(message_view(delivery->msg));
	scene.delivered++;
	link->host->ops->outcome(link->host, delivery->seq, &(struct outcome){.kind = OUTCOME_DELIVERED});
}

static void fake_send_end(struct link *link)
{
	(void)link;
	if (scene.delivered >= scene.to_offer)
		bridge_stop(scene.bridge);
}

static void fake_stop(struct link *link, uint64_t linger_ms)
{
	(void)linger_ms;
	link->host->ops->stopped(link->host);
}

static const struct connector fake = {
	.name = "fake",
	.target_key = "topic",
	.can_source = true,
	.can_sink = true,
	.pipelined_order = true,
	.carries_headers = carries_headers,
	.create = fake_create,
	.start = fake_start,
	.pause = fake_pause,
	.resume = fake_resume,
	.receipt = fake_receipt,
	.receipts_end = fake_nothing,
	.send = fake_send,
	.send_end = fake_send_end,
	.stop_intake = fake_nothing,
	.stop = fake_stop,
	.destroy = fake_nothing,
};

static struct config *a_marked_config(const char *dir)
{
	struct config *config = a_config(2, &fake);
	config->connections[0].name = a_text("in");
	config->connections[1].name = a_text("out");
	for (size_t i = 0; i < 2; i++) {
		config->connections[i].delivery = -1;
		config->connections[i].outbox = (struct outbox_config){.max_bytes = 1 << 30,
			.max_messages = 7, /* so that most offers find no room at first */
			.backoff_min_ms = 1,
			.backoff_max_ms = 10,
			.lookahead = 100,
			.dead_max_bytes = 1 << 20};
	}
	struct mapping_config *map = a_mapping(config, "all", "a/#");
	map->markers = true;
	map->delivery = -1;
	a_target(map, 1, NULL);
	config->data_dir = a_text(dir);
	config->journal.segment_bytes = 1 << 20;
	config->journal.max_sequences = 100;
	config->shutdown_timeout_ms = 1000;
	return config;
}

static void on_stopped(void *ctx)
{
	(void)ctx;
	loop_stop(scene.loop);
}

static void on_deadline(void *ctx)
{
	(void)ctx;
	scene.timed_out = true;
	loop_stop(scene.loop);
}

static void run_until_delivered(const struct config *config, struct disk *disk, unsigned n)
{
	scene.loop = loop_new();
	scene.deadline = loop_timer_new(scene.loop, on_deadline, NULL);
	loop_timer_start(scene.deadline, 60000); /* only so that a broken bridge ends */
	loop_job_init(&scene.offer_job, offer_all, NULL);
	scene.offered = scene.delivered = 0;
	scene.to_offer = n;
	struct bridge_options options = {.config = config, .loop = scene.loop, .disk = disk, .on_stopped = on_stopped};
	CU_ASSERT_EQUAL_FATAL(bridge_open(&options, &scene.bridge), 0);
	bridge_start(scene.bridge);
	loop_run(scene.loop);
	CU_ASSERT_EQUAL(bridge_close(scene.bridge), 0);
	loop_timer_free(scene.deadline);
	loop_free(scene.loop);
	CU_ASSERT_FALSE(scene.timed_out);
}

static void test_through_a_bridge(void)
{
	const char *dir = tap_tempdir();
	struct config *config = a_marked_config(dir);
	struct disk *disk = disk_posix_new(dir);
	log_set_sink(on_log, NULL);
	memset(&scene, 0, sizeof scene);
	for (unsigned round = 1; round <= 3; round++) {
		run_until_delivered(config, disk, 300);
		CU_ASSERT(scene.pauses > 5 * round);
		for (size_t i = 0; i < TOPICS; i++)
			CU_ASSERT_EQUAL(scene.last[i], 100 * round);
	}
	CU_ASSERT_EQUAL(scene.wrong, 0);
	CU_ASSERT_STRING_NOT_EQUAL(scene.streams[0], scene.streams[1]);
	CU_ASSERT_STRING_NOT_EQUAL(scene.streams[1], scene.streams[2]);
	log_set_sink(NULL, NULL);
	disk_posix_free(disk);
	a_config_free(config);
}

/* --- by itself ------------------------------------------------------------------------------------------- */

static struct bench {
	struct rig rig;
	struct config *config;
	struct bridge bridge;
	struct endpoint endpoints[3];
	struct router *router;
	struct route_result routed;
} bench;

static void bench_router(void)
{
	router_free(bench.router);
	bench.router = router_new(bench.config);
	CU_ASSERT_PTR_NOT_NULL_FATAL(bench.router);
}

static void bench_begin(uint64_t max_sequences)
{
	static const char *const names[] = {"one", "two", "lake"};
	memset(&bench, 0, sizeof bench);
	rig_init(&bench.rig);
	bench.rig.max_sequences = max_sequences;
	rig_open(&bench.rig);
	bench.config = a_config(3, &fake);
	bench.bridge = (struct bridge){.config = bench.config, .journal = bench.rig.j};
	for (size_t i = 0; i < 3; i++) {
		bench.config->connections[i].name = a_text(names[i]);
		bench.endpoints[i] =
			(struct endpoint){.bridge = &bench.bridge, .index = i, .config = &bench.config->connections[i]};
	}
	logged = 0;
	log_set_sink(on_log, NULL);
}

static void bench_end(void)
{
	marking_free(&bench.bridge.marking);
	router_free(bench.router);
	a_config_free(bench.config);
	rig_fini(&bench.rig);
}

static struct mapping_config *bench_mapping(const char *name, const char *filter)
{
	struct mapping_config *map = a_mapping(bench.config, name, filter);
	map->markers = true;
	return map;
}

/* Routes and marks, and appends where `append` says so. */
static void pass_view(size_t from, const struct message_view *view, bool append)
{
	if (!bench.router)
		bench_router();
	CU_ASSERT_EQUAL_FATAL(router_route(bench.router, from, -1, view, &bench.routed), 0);
	CU_ASSERT_EQUAL_FATAL(marking_run(&bench.bridge.marking, &bench.endpoints[from], &bench.routed), 0);
	if (!append)
		return;
	size_t n_changes;
	const struct journal_change *changes;
	CU_ASSERT_EQUAL_FATAL(marking_changes(&bench.bridge.marking, NULL, 0, &changes, &n_changes), 0);
	struct journal_entry entries[16];
	CU_ASSERT_FATAL(bench.routed.n_outputs <= 16);
	for (size_t i = 0; i < bench.routed.n_outputs; i++)
		entries[i] =
			(struct journal_entry){.dest = (uint32_t)bench.rig.dest, .view = &bench.routed.outputs[i].view};
	uint64_t lsn;
	CU_ASSERT_EQUAL(journal_append(bench.rig.j, entries, bench.routed.n_outputs, changes, n_changes, &lsn), 0);
}

static void pass(size_t from, const char *topic, const char *payload, bool append)
{
	struct message_view view = {
		.topic = slice_str(topic), .payload = slice_str(payload), .origin_ms = 1709210096007};
	pass_view(from, &view, append);
}

/* The numbers of the outputs, "-" for those that have none. */
static const char *numbers(void)
{
	static char text[200];
	size_t len = 0;
	text[0] = '\0';
	for (size_t i = 0; i < bench.routed.n_outputs; i++) {
		struct slice number = message_header(&bench.routed.outputs[i].view, MARKER_SEQUENCE);
		len += (size_t)snprintf(text + len, sizeof text - len, "%s%.*s", i ? " " : "",
			number.data ? (int)number.len : 1, number.data ? (const char *)number.data : "-");
	}
	return text;
}

static struct slice stream(size_t output)
{
	return message_header(&bench.routed.outputs[output].view, MARKER_STREAM);
}

/* Messages of one offer are numbered one after the other, and each tells its own time. */
static void test_several(void)
{
	struct message_view views[2];
	for (unsigned i = 0; i < 2; i++)
		views[i] = (struct message_view){.topic = slice_str("a/x"),
			.payload = slice_str("[1,2]"),
			.origin_ms = 1709210096007 + 1000 * i};
	bench_begin(100);
	struct mapping_config *map = bench_mapping("m", "a/#");
	map->payload = a_text(".[]");
	a_target(map, 2, "t");
	bench_router();
	CU_ASSERT_EQUAL_FATAL(router_route(bench.router, 0, -1, &views[0], &bench.routed), 0);
	CU_ASSERT_EQUAL_FATAL(router_route_more(bench.router, 0, -1, &views[1], &bench.routed), 0);
	CU_ASSERT_EQUAL_FATAL(marking_run(&bench.bridge.marking, &bench.endpoints[0], &bench.routed), 0);
	CU_ASSERT_STRING_EQUAL(numbers(), "1 2 3 4");
	for (size_t i = 0; i < bench.routed.n_outputs; i++)
		CU_ASSERT(slice_equal(message_header(&bench.routed.outputs[i].view, MARKER_ORIGIN_TIME),
			slice_str(i < 2 ? "2024-02-29T12:34:56.007Z" : "2024-02-29T12:34:57.007Z")));
	bench_end();
}

static void test_units(void)
{
	bench_begin(100);
	struct mapping_config *map = bench_mapping("m", "a/#");
	map->payload = a_text(".[]");
	a_target(map, 2, "t");
	a_target(map, 2, "u.{topic[1]}")->key = a_text("k");
	a_target(bench_mapping("n", "a/b"), 2, "t");
	a_target(a_mapping(bench.config, "plain", "a/b"), 2, "t");
	pass(0, "a/b", "[1,2]", true);
	CU_ASSERT_STRING_EQUAL(numbers(), "1 2 1 2 1 -");
	CU_ASSERT_FALSE(slice_equal(stream(0), stream(2)) || slice_equal(stream(0), stream(4)));
	CU_ASSERT(slice_equal(stream(0), stream(1)));
	pass(0, "a/b", "[1]", true);
	CU_ASSERT_STRING_EQUAL(numbers(), "3 3 2 -");
	pass(0, "a/c", "[1]", true); /* another order key; another target */
	CU_ASSERT_STRING_EQUAL(numbers(), "1 1");
	bench_router();
	pass(0, "a/b", "[]", true);
	CU_ASSERT_STRING_EQUAL(numbers(), "3 -");
	CU_ASSERT_EQUAL(journal_sequences(bench.rig.j), 5);
	bench_end();
}

/* Two connections that read the same are two streams. */
static void test_sources(void)
{
	bench_begin(100);
	struct mapping_config *map = bench_mapping("m", "a");
	a_target(map, 2, "t");
	pass(0, "a", "x", true);
	struct slice first = stream(0);
	char kept[32];
	memcpy(kept, first.data, 32);
	map->from_connection = 1;
	bench_router();
	pass(1, "a", "x", true);
	CU_ASSERT_STRING_EQUAL(numbers(), "1");
	CU_ASSERT_FALSE(slice_equal(stream(0), slice_of(kept, 32)));
	CU_ASSERT(slice_equal(message_header(&bench.routed.outputs[0].view, MARKER_SOURCE), slice_str("two")));
	bench_end();
}

/* What is offered again gets the same number. */
static void test_not_appended(void)
{
	bench_begin(100);
	a_target(bench_mapping("m", "a"), 2, "t");
	for (int i = 0; i < 3; i++) {
		pass(0, "a", "x", false);
		CU_ASSERT_STRING_EQUAL(numbers(), "1");
	}
	pass(0, "a", "x", true);
	pass(0, "a", "x", false);
	CU_ASSERT_STRING_EQUAL(numbers(), "2");
	bench_end();
}

/* The other changes come along, also when there is nothing to mark, and after that. */
static void test_other_changes(void)
{
	bench_begin(100);
	a_target(bench_mapping("m", "a"), 2, "t");
	struct marking *marking = &bench.bridge.marking;
	struct journal_change own = {.type = JOURNAL_REL, .source = 0, .id = 7}, many[30];
	struct route_result nothing = {.n_outputs = 0};
	size_t n;
	pass(0, "a", "x", false);
	const struct journal_change *changes;
	CU_ASSERT_EQUAL_FATAL(marking_changes(marking, &own, 1, &changes, &n), 0);
	CU_ASSERT(n == 2 && changes[0].type == JOURNAL_SEQUENCE && changes[1].type == JOURNAL_REL);
	for (uint16_t i = 0; i < 30; i++)
		many[i] = (struct journal_change){.type = JOURNAL_REL, .id = i};
	CU_ASSERT_EQUAL_FATAL(marking_changes(marking, many, 30, &changes, &n), 0);
	CU_ASSERT(n == 31 && changes[0].position == 1 && changes[1].id == 0 && changes[30].id == 29);
	CU_ASSERT_EQUAL(marking_run(marking, &bench.endpoints[0], &nothing), 0);
	CU_ASSERT_EQUAL_FATAL(marking_changes(marking, &own, 1, &changes, &n), 0);
	CU_ASSERT(n == 1 && changes[0].type == JOURNAL_REL);
	CU_ASSERT_EQUAL_FATAL(marking_changes(marking, &own, 0, &changes, &n), 0);
	CU_ASSERT_EQUAL(n, 0);
	bench_end();
}

static void test_too_many_streams(void)
{
	bench_begin(2);
	a_target(bench_mapping("m", "a/#"), 2, "t");
	pass(0, "a/1", "x", true);
	pass(0, "a/2", "x", true);
	CU_ASSERT_EQUAL(bench.bridge.marking.n_unnumbered, 0);
	for (int i = 0; i < 3; i++) {
		pass(0, "a/3", "x", true);
		CU_ASSERT_STRING_EQUAL(numbers(), "-");
		CU_ASSERT_EQUAL(bench.bridge.marking.n_unnumbered, 1);
		CU_ASSERT(bench.routed.outputs[0].view.waits);
	}
	CU_ASSERT_EQUAL(logged, 1);
	pass(0, "a/2", "x", true);
	CU_ASSERT_STRING_EQUAL(numbers(), "2");
	CU_ASSERT_EQUAL(bench.bridge.marking.n_unnumbered, 0);
	bench_end();
}

/* Markers of an earlier linkspan: its time stays, the rest is ours. A message with no room for them goes as it is. */
static void test_received(void)
{
	static struct message_field headers[MESSAGE_MAX_FIELDS];
	bench_begin(100);
	a_target(bench_mapping("m", "a"), 2, "t");
	for (size_t i = 0; i < MESSAGE_MAX_FIELDS; i++)
		headers[i] = (struct message_field){slice_str("n"), slice_str("v")};
	headers[0] = (struct message_field){slice_str(MARKER_ORIGIN_TIME), slice_str("2020-01-01T00:00:00.000Z")};
	headers[1] = (struct message_field){slice_str(MARKER_SEQUENCE), slice_str("77")};
	struct message_view view = {
		.topic = slice_str("a"), .payload = slice_str("x"), .headers = headers, .n_headers = 2};
	pass_view(0, &view, true);
	const struct message_view *out = &bench.routed.outputs[0].view;
	CU_ASSERT(slice_equal(message_header(out, MARKER_ORIGIN_TIME), slice_str("2020-01-01T00:00:00.000Z")));
	CU_ASSERT_STRING_EQUAL(numbers(), "1");
	CU_ASSERT_EQUAL(out->n_headers, 4);
	view.n_headers = MESSAGE_MAX_FIELDS;
	pass_view(0, &view, true);
	CU_ASSERT(out->n_headers == MESSAGE_MAX_FIELDS && !out->waits);
	CU_ASSERT_EQUAL(bench.bridge.marking.n_unnumbered, 1);
	view.n_headers = 0;
	pass_view(0, &view, true);
	CU_ASSERT_STRING_EQUAL(numbers(), "2");
	bench_end();
}

static const struct tap_test tests[] = {
	{"numbers through a bridge whose outbox is full most of the time", test_through_a_bridge},
	{"what a stream is", test_units},
	{"several messages in one offer", test_several},
	{"streams of several sources", test_sources},
	{"what is not appended has not given its number", test_not_appended},
	{"the other changes of the set", test_other_changes},
	{"more streams than are allowed", test_too_many_streams},
	{"markers that are received, and no room for any", test_received},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("marking", tests);
}
