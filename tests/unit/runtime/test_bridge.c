/* SPDX-License-Identifier: Apache-2.0
 *
 * The bridge between two scripted links, with the real router, journal (threads and disk) and couriers: what is
 * acknowledged when, what pauses, what a clean stop waits for, what a restart finds.
 */
#include "runtime/bridge.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "connectors/connector.h"
#include "journal/journal.h"
#include "runtime/endpoint.h"
#include "runtime/log.h"
#include "tests/unit/tap.h"

#define MAX_MESSAGES 20000u

/* One scripted link; the source offers numbered messages, the sink notes what it is sent. */
struct link {
	struct link_host *host;
	struct link_spec spec;
	struct scene *scene;
	bool up, paused;
};

struct scene {
	struct loop *loop;
	struct disk *disk;
	struct config config;
	struct connection_config connections[2];
	struct mapping_config mapping;
	struct target_config target;
	struct config_text filter;
	struct bridge *bridge;
	struct link *source, *sink;
	/* script */
	unsigned to_offer, offered, wanted_receipts, wanted_deliveries;
	const char *topic;
	bool sink_holds; /* takes deliveries without an outcome */
	bool stop_when_done;
	struct loop_job offer_job;
	/* seen */
	unsigned receipts, receipt_batches, deliveries, pauses, resumes, wrong_order, early;
	uint64_t held[MAX_MESSAGES];
	unsigned n_held;
	bool stopped;
	struct loop_timer *deadline;
	bool timed_out;
};

static struct scene *scene;

static void check_progress(void)
{
	if (scene->stop_when_done && scene->receipts >= scene->wanted_receipts &&
		scene->deliveries >= scene->wanted_deliveries)
		bridge_stop(scene->bridge);
}

static int fake_create(const struct link_spec *spec, struct link_host *host, struct link **ret_link)
{
	struct link *link = calloc(1, sizeof *link);
	link->host = host;
	link->spec = *spec;
	link->scene = scene;
	*(spec->n_subscriptions ? &scene->source : &scene->sink) = link;
	*ret_link = link;
	return 0;
}

static void fake_start(struct link *link, const struct link_recovery *recovery)
{
	(void)recovery;
	link->up = true;
	link->host->ops->link_up(link->host, &(struct sink_traits){.max_in_flight = 1000});
	if (link == scene->source)
		loop_post(scene->loop, &scene->offer_job);
}

static void offer_all(void *arg)
{
	struct link *link = scene->source;
	(void)arg;
	while (scene->offered < scene->to_offer && !link->paused) {
		char text[32];
		snprintf(text, sizeof text, "%u", scene->offered);
		struct message_view view = {.topic = slice_str(scene->topic), .payload = slice_str(text), .qos = 1};
		struct offer offer = {.view = &view, .subscription = -1, .cookie = scene->offered};
		if (link->host->ops->offer(link->host, &offer) != OFFER_TAKEN)
			return;
		scene->offered++;
	}
}

static void fake_pause(struct link *link)
{
	link->paused = true;
	scene->pauses++;
}

static void fake_resume(struct link *link)
{
	link->paused = false;
	scene->resumes++;
	offer_all(NULL);
}

/* The n-th message that matched is at least the n-th frame: nobody may hear of it before that is durable. */
static void check_durable(uint64_t n)
{
	bool matched = strcmp(scene->topic, "a/b") == 0;
	scene->early += matched && journal_durable_lsn(scene->bridge->journal) < n;
}

static void fake_receipt(struct link *link, uint64_t cookie, enum receipt receipt)
{
	(void)link;
	scene->wrong_order += cookie != scene->receipts || receipt != RECEIPT_DURABLE;
	check_durable(cookie + 1);
	scene->receipts++;
}

static void fake_receipts_end(struct link *link)
{
	(void)link;
	scene->receipt_batches++;
	check_progress();
}

static void deliver(struct link *link, uint64_t seq)
{
	scene->deliveries++;
	check_durable(seq);
	link->host->ops->outcome(link->host, seq, &(struct outcome){.kind = OUTCOME_DELIVERED});
}

static void fake_send(struct link *link, const struct delivery *delivery)
{
	if (scene->sink_holds)
		scene->held[scene->n_held++] = delivery->seq;
	else
		deliver(link, delivery->seq);
}

static void fake_send_end(struct link *link)
{
	(void)link;
	check_progress();
}

static void fake_stop_intake(struct link *link)
{
	link->paused = true;
}

static void fake_stop(struct link *link, uint64_t linger_ms)
{
	(void)linger_ms;
	link->up = false;
	link->host->ops->stopped(link->host);
}

static void fake_destroy(struct link *link)
{
	free(link);
}

static enum guarantee fake_guarantee(const void *settings, uint8_t qos)
{
	(void)settings, (void)qos;
	return AT_LEAST_ONCE;
}

static enum guarantee fake_sink_guarantee(const void *settings, uint8_t qos, bool declared)
{
	(void)declared;
	return fake_guarantee(settings, qos);
}

static const struct connector fake = {
	.name = "fake",
	.target_key = "topic",
	.can_source = true,
	.can_sink = true,
	.pipelined_order = true,
	.source_guarantee = fake_guarantee,
	.sink_guarantee = fake_sink_guarantee,
	.create = fake_create,
	.start = fake_start,
	.pause = fake_pause,
	.resume = fake_resume,
	.receipt = fake_receipt,
	.receipts_end = fake_receipts_end,
	.send = fake_send,
	.send_end = fake_send_end,
	.stop_intake = fake_stop_intake,
	.stop = fake_stop,
	.destroy = fake_destroy,
};

static void on_stopped(void *ctx)
{
	struct scene *sc = ctx;
	sc->stopped = true;
	loop_stop(sc->loop);
}

static void on_deadline(void *arg)
{
	struct scene *sc = arg;
	sc->timed_out = true;
	loop_stop(sc->loop);
}

static void scene_config(struct scene *sc, const char *dir)
{
	static char in[] = "in", out[] = "out", name[] = "all", filter[] = "a/#";
	struct outbox_config outbox = {.max_bytes = 1 << 30,
		.backoff_min_ms = 1,
		.backoff_max_ms = 10,
		.lookahead = 10000,
		.dead_max_bytes = 1 << 20};
	sc->connections[0] =
		(struct connection_config){.name = in, .connector = &fake, .delivery = -1, .outbox = outbox};
	sc->connections[1] =
		(struct connection_config){.name = out, .connector = &fake, .delivery = -1, .outbox = outbox};
	sc->filter = (struct config_text){.value = filter};
	sc->target = (struct target_config){.connection = 1, .qos = -1, .retain = -1};
	sc->mapping = (struct mapping_config){.name = name,
		.filters = {&sc->filter, 1},
		.from_qos = 1,
		.max_outputs = 10,
		.delivery = -1,
		.priority = MESSAGE_DEFAULT_PRIORITY,
		.targets = &sc->target,
		.n_targets = 1};
	sc->config = (struct config){.journal = {.segment_bytes = 1 << 20},
		.shutdown_timeout_ms = 200,
		.max_transform_bytes = 1 << 20,
		.max_message_bytes = 1 << 20,
		.connections = sc->connections,
		.n_connections = 2,
		.mappings = &sc->mapping,
		.n_mappings = 1};
	sc->config.data_dir = strdup(dir);
}

static void scene_begin(struct scene *sc, const char *dir)
{
	memset(sc, 0, sizeof *sc);
	scene = sc;
	sc->topic = "a/b";
	sc->stop_when_done = true;
	scene_config(sc, dir);
	sc->loop = loop_new();
	sc->disk = disk_posix_new(dir);
	sc->deadline = loop_timer_new(sc->loop, on_deadline, sc);
	loop_timer_start(sc->deadline, 60000); /* only so that a broken bridge ends */
	loop_job_init(&sc->offer_job, offer_all, sc);
	log_set_level(LOG_LEVEL_ERROR);
}

static int scene_open(struct scene *sc, const char *const *drop, bool drain)
{
	struct bridge_options options = {.config = &sc->config,
		.loop = sc->loop,
		.disk = sc->disk,
		.drop = drop,
		.drain = drain,
		.on_stopped = on_stopped,
		.ctx = sc};
	return bridge_open(&options, &sc->bridge);
}

static void scene_run(struct scene *sc)
{
	CU_ASSERT_EQUAL_FATAL(scene_open(sc, NULL, false), 0);
	bridge_start(sc->bridge);
	loop_run(sc->loop);
	CU_ASSERT(!sc->timed_out);
	CU_ASSERT(sc->stopped);
	CU_ASSERT_EQUAL(sc->early, 0);
	CU_ASSERT_EQUAL(bridge_close(sc->bridge), 0);
}

static void scene_end(struct scene *sc)
{
	loop_cancel(sc->loop, &sc->offer_job);
	loop_timer_free(sc->deadline);
	loop_free(sc->loop);
	disk_posix_free(sc->disk);
	free(sc->config.data_dir);
}

static void test_flow(void)
{
	struct scene sc;
	scene_begin(&sc, tap_tempdir());
	sc.to_offer = sc.wanted_receipts = sc.wanted_deliveries = 5000;
	scene_run(&sc);
	CU_ASSERT(sc.receipts == 5000 && sc.deliveries == 5000);
	CU_ASSERT_EQUAL(sc.wrong_order, 0);
	CU_ASSERT(sc.receipt_batches < 5000); /* grouped */
	CU_ASSERT_EQUAL(sc.pauses, 0);
	scene_end(&sc);
}

static void test_unmatched_get_receipts(void)
{
	struct scene sc;
	scene_begin(&sc, tap_tempdir());
	sc.topic = "elsewhere";
	sc.to_offer = sc.wanted_receipts = 100;
	scene_run(&sc);
	CU_ASSERT(sc.receipts == 100 && sc.deliveries == 0 && sc.wrong_order == 0);
	scene_end(&sc);
}

static void release_held(void *arg)
{
	struct scene *sc = arg;
	unsigned n = sc->n_held;
	sc->sink_holds = false;
	for (unsigned i = 0; i < n; i++)
		deliver(sc->sink, sc->held[i]);
}

/* The sink answers nothing until the source has been paused. */
static void release_when_paused(void *arg)
{
	struct scene *sc = arg;
	static struct loop_job again;
	if (sc->source->paused) {
		/* Nothing else is taken now, but a packet identifier is released. */
		struct link_host *host = sc->source->host;
		struct message_view view = {.topic = slice_str(sc->topic), .payload = slice_str("late"), .qos = 1};
		struct offer late = {.view = &view, .subscription = -1};
		struct offer release = {
			.change = {.type = CHANGE_RELEASE_ID, .id = 7}, .subscription = -1, .no_receipt = true};
		CU_ASSERT_EQUAL(host->ops->offer(host, &late), OFFER_BUSY);
		CU_ASSERT_EQUAL(host->ops->offer(host, &release), OFFER_TAKEN);
		release_held(sc);
		return;
	}
	loop_job_init(&again, release_when_paused, sc);
	loop_post(sc->loop, &again);
}

static void test_full_outbox_pauses_and_goes_on(void)
{
	struct scene sc;
	struct loop_job job;
	scene_begin(&sc, tap_tempdir());
	sc.connections[1].outbox.max_messages = 500;
	sc.sink_holds = true;
	sc.to_offer = sc.wanted_receipts = sc.wanted_deliveries = 3000;
	loop_job_init(&job, release_when_paused, &sc);
	loop_post(sc.loop, &job);
	scene_run(&sc);
	CU_ASSERT(sc.pauses >= 1 && sc.pauses == sc.resumes);
	CU_ASSERT(sc.receipts == 3000 && sc.deliveries == 3000 && sc.wrong_order == 0);
	scene_end(&sc);
}

static void test_too_large_is_refused(void)
{
	struct scene sc;
	static uint8_t big[2 << 20];
	scene_begin(&sc, tap_tempdir());
	CU_ASSERT_EQUAL_FATAL(scene_open(&sc, NULL, false), 0);
	bridge_start(sc.bridge);
	log_set_sink(NULL, NULL);
	struct message_view view = {.topic = slice_str("a/b"), .payload = slice_of(big, sizeof big), .qos = 1};
	struct offer offer = {.view = &view, .subscription = -1};
	CU_ASSERT_EQUAL(sc.source->host->ops->offer(sc.source->host, &offer), OFFER_REFUSED);
	bridge_stop(sc.bridge);
	CU_ASSERT(sc.stopped);
	CU_ASSERT_EQUAL(bridge_close(sc.bridge), 0);
	scene_end(&sc);
}

/* What the first life could not deliver stops the second one when nothing writes there any more, until it is told. */
static void test_restart_and_leftovers(void)
{
	struct scene sc;
	const char *dir = tap_tempdir();
	scene_begin(&sc, dir);
	sc.sink_holds = true;
	sc.to_offer = sc.wanted_receipts = 50;
	scene_run(&sc);
	CU_ASSERT(sc.receipts == 50 && sc.deliveries == 0);
	scene_end(&sc);

	scene_begin(&sc, dir);
	sc.config.n_mappings = 0;
	CU_ASSERT_EQUAL(scene_open(&sc, NULL, false), -EEXIST);
	scene_end(&sc);

	scene_begin(&sc, dir);
	sc.wanted_deliveries = 50;
	scene_run(&sc);
	CU_ASSERT_EQUAL(sc.deliveries, 50);
	scene_end(&sc);

	scene_begin(&sc, dir);
	sc.config.n_mappings = 0;
	CU_ASSERT_EQUAL(scene_open(&sc, NULL, false), 0);
	CU_ASSERT_EQUAL(bridge_close(sc.bridge), 0);
	scene_end(&sc);
}

static void note_drop(enum log_level level, const char *line, void *arg)
{
	(void)level;
	*(unsigned *)arg += strstr(line, "event=destination_dropped destination=out messages=50") != NULL;
}

static void test_leftovers_dropped(void)
{
	struct scene sc;
	const char *dir = tap_tempdir();
	const char *const drop[] = {"out", NULL};
	scene_begin(&sc, dir);
	sc.sink_holds = true;
	sc.to_offer = sc.wanted_receipts = 50;
	scene_run(&sc);
	scene_end(&sc);
	unsigned told = 0;
	log_set_sink(note_drop, &told);
	for (int i = 0; i < 2; i++) {
		scene_begin(&sc, dir);
		log_set_level(LOG_LEVEL_WARN);
		sc.config.n_mappings = 0;
		CU_ASSERT_EQUAL(scene_open(&sc, i == 0 ? drop : NULL, false), 0);
		CU_ASSERT_EQUAL(bridge_close(sc.bridge), 0);
		scene_end(&sc);
	}
	log_set_sink(NULL, NULL);
	CU_ASSERT_EQUAL(told, 1);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"messages flow, receipts in order and grouped", test_flow},
		{"what matches nothing is acknowledged", test_unmatched_get_receipts},
		{"a full outbox pauses the source and lets it go on", test_full_outbox_pauses_and_goes_on},
		{"a message that is too large is refused", test_too_large_is_refused},
		{"a restart delivers what waits; leftovers stop the start", test_restart_and_leftovers},
		{"leftovers are dropped when told", test_leftovers_dropped},
		{NULL, NULL},
	};
	return tap_main("bridge", tests);
}
