/* SPDX-License-Identifier: Apache-2.0
 *
 * One source, two destinations of each message: one is away and full, the other one takes everything. What the full one
 * does by its when_full is its own affair: the source and the other one do not notice, but for `block`. With the real
 * router, journal (threads and disk) and couriers, over a restart.
 */
#include <stdlib.h>
#include <string.h>

#include "connectors/connector.h"
#include "journal/journal.h"
#include "runtime/bridge.h"
#include "runtime/endpoint.h"
#include "runtime/log.h"
#include "tests/unit/tap.h"

#define OFFERED 3000u
#define LIMIT   500u

enum { IN, AWAY, HERE };

struct link {
	struct link_host *host;
	const char *name;
	bool paused;
};

static struct {
	struct loop *loop;
	struct disk *disk;
	struct bridge *bridge;
	struct connection_config connections[3];
	struct link *links[3];
	bool away_is_up, away_holds; /* it gives no outcome */
	int64_t lookahead; /* of the one that is away */
	size_t payload_len;
	unsigned offered, to_offer, receipts, pauses, delivered[3];
	struct loop_job offer_job;
	struct loop_timer *poll, *deadline;
	bool (*done)(void);
	bool timed_out;
} scene;

static struct journal_outbox box_of(unsigned i)
{
	return journal_outbox(scene.bridge->journal, scene.bridge->endpoints[i]->dest);
}

static unsigned number_of(const struct link *link)
{
	for (unsigned i = 0; i < 3; i++)
		if (scene.links[i] == link)
			return i;
	abort();
}

static int fake_create(const struct link_spec *spec, struct link_host *host, struct link **ret_link)
{
	struct link *link = calloc(1, sizeof *link);
	*link = (struct link){.host = host, .name = spec->name};
	for (unsigned i = 0; i < 3; i++)
		if (strcmp(spec->name, scene.connections[i].name) == 0)
			scene.links[i] = link;
	*ret_link = link;
	return 0;
}

static void fake_start(struct link *link, const struct link_recovery *recovery)
{
	(void)recovery;
	if (number_of(link) != AWAY || scene.away_is_up)
		link->host->ops->link_up(link->host, &(struct sink_traits){.max_in_flight = 100});
}

/* A few at a time, as a connection would. */
static void offer_some(void *arg)
{
	struct link *link = scene.links[IN];
	(void)arg;
	for (unsigned i = 0; i < 50 && scene.offered < scene.to_offer && !link->paused; i++) {
		static char payload[4000];
		struct message_view view = {
			.topic = slice_str("a/b"), .payload = slice_of(payload, scene.payload_len), .qos = 1};
		struct offer offer = {.view = &view, .subscription = -1, .cookie = scene.offered};
		if (link->host->ops->offer(link->host, &offer) != OFFER_TAKEN)
			return;
		scene.offered++;
	}
	if (scene.offered < scene.to_offer && !link->paused)
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
	offer_some(NULL);
}

static void fake_receipt(struct link *link, uint64_t cookie, enum receipt receipt)
{
	(void)link;
	CU_ASSERT(cookie == scene.receipts && receipt == RECEIPT_DURABLE);
	scene.receipts++;
}

static void fake_send(struct link *link, const struct delivery *delivery)
{
	if (number_of(link) == AWAY && scene.away_holds)
		return;
	scene.delivered[number_of(link)]++;
	link->host->ops->outcome(link->host, delivery->seq, &(struct outcome){.kind = OUTCOME_DELIVERED});
}

static void nothing(struct link *link)
{
	(void)link;
}

static void fake_stop(struct link *link, uint64_t linger_ms)
{
	(void)linger_ms;
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
	.receipts_end = nothing,
	.send = fake_send,
	.send_end = nothing,
	.stop_intake = nothing,
	.stop = fake_stop,
	.destroy = fake_destroy,
};

static void on_stopped(void *ctx)
{
	(void)ctx;
	loop_stop(scene.loop);
}

static void on_deadline(void *arg)
{
	(void)arg;
	scene.timed_out = true;
	loop_stop(scene.loop);
}

static void on_poll(void *arg)
{
	(void)arg;
	if (scene.done())
		bridge_stop(scene.bridge);
	else
		loop_timer_start(scene.poll, 5);
}

static struct config configure(const char *dir, enum when_full when_full)
{
	static char names[3][8] = {"in", "away", "here"}, name[] = "all", filter[] = "a/#", folder[300];
	static struct config_text text = {.value = filter};
	static struct target_config targets[3] = {{.connection = AWAY, .qos = -1, .retain = -1},
		{.connection = HERE, .qos = -1, .retain = -1}, {.connection = AWAY, .qos = -1, .retain = -1}};
	static struct mapping_config mapping;
	struct outbox_config outbox = {.max_bytes = 1 << 30,
		.backoff_min_ms = 1,
		.backoff_max_ms = 10,
		.lookahead = 10000,
		.dead_max_bytes = 1 << 20};
	snprintf(folder, sizeof folder, "%s", dir);
	for (unsigned i = 0; i < 3; i++)
		scene.connections[i] = (struct connection_config){
			.name = names[i], .connector = &fake, .delivery = -1, .outbox = outbox};
	scene.connections[AWAY].outbox.when_full = (int)when_full;
	scene.connections[AWAY].outbox.max_messages = LIMIT;
	scene.connections[AWAY].outbox.lookahead = scene.lookahead;
	/* Two outputs for the one that is away, with another one between. */
	mapping = (struct mapping_config){.name = name,
		.filters = {&text, 1},
		.from_qos = 1,
		.max_outputs = 10,
		.delivery = -1,
		.targets = targets,
		.n_targets = 3};
	return (struct config){.journal = {.segment_bytes = 1 << 20, .max_bytes = 3 << 20},
		.data_dir = folder,
		.shutdown_timeout_ms = scene.away_holds ? 50 : 5000,
		.max_transform_bytes = 1 << 20,
		.max_message_bytes = 1 << 20,
		.connections = scene.connections,
		.n_connections = 3,
		.mappings = &mapping,
		.n_mappings = 1};
}

static void begin(const char *dir, const struct config *config)
{
	scene.offered = scene.receipts = scene.pauses = 0;
	scene.timed_out = false;
	memset(scene.delivered, 0, sizeof scene.delivered);
	scene.loop = loop_new();
	scene.disk = disk_posix_new(dir);
	scene.poll = loop_timer_new(scene.loop, on_poll, NULL);
	scene.deadline = loop_timer_new(scene.loop, on_deadline, NULL);
	loop_timer_start(scene.deadline, 60000); /* only so that a broken bridge ends */
	loop_timer_start(scene.poll, 1);
	loop_job_init(&scene.offer_job, offer_some, NULL);
	struct bridge_options options = {
		.config = config, .loop = scene.loop, .disk = scene.disk, .on_stopped = on_stopped};
	CU_ASSERT_EQUAL_FATAL(bridge_open(&options, &scene.bridge), 0);
}

static void end(void)
{
	CU_ASSERT_EQUAL(bridge_close(scene.bridge), 0);
	loop_cancel(scene.loop, &scene.offer_job);
	loop_timer_free(scene.poll);
	loop_timer_free(scene.deadline);
	loop_free(scene.loop);
	disk_posix_free(scene.disk);
}

/* One life: offers so many, until done() says so. Fills in what the one that is away has come to. */
static struct journal_outbox live(const char *dir, enum when_full when_full, unsigned to_offer, bool (*done)(void))
{
	struct config config = configure(dir, when_full);
	scene.to_offer = to_offer;
	scene.done = done;
	begin(dir, &config);
	bridge_start(scene.bridge);
	loop_post(scene.loop, &scene.offer_job);
	loop_run(scene.loop);
	CU_ASSERT_FALSE(scene.timed_out);
	struct journal_outbox box = box_of(AWAY);
	end();
	return box;
}

static bool all_acknowledged(void)
{
	struct journal_outbox box = box_of(AWAY);
	return scene.receipts == OFFERED && scene.delivered[HERE] == OFFERED && box.waiting <= LIMIT;
}

static bool is_blocked(void)
{
	return scene.links[IN]->paused && scene.receipts == scene.offered && scene.delivered[HERE] == scene.offered;
}

static bool is_empty(void)
{
	return box_of(AWAY).waiting == 0;
}

static void check_totals(const struct journal_outbox *box, enum journal_total why, uint64_t n)
{
	for (unsigned i = 0; i < JOURNAL_N_TOTALS; i++)
		CU_ASSERT_EQUAL(box->totals[i], i == why ? n : i == JOURNAL_DELIVERED ? box->totals[i] : 0);
}

static void check_policy(enum when_full when_full, enum journal_total why)
{
	const char *dir = tap_tempdir();
	scene.away_is_up = false;
	struct journal_outbox box = live(dir, when_full, OFFERED, all_acknowledged);
	CU_ASSERT_EQUAL(scene.delivered[AWAY], 0);
	/* The oldest are dropped a little further than they must. */
	uint64_t kept = box.waiting;
	CU_ASSERT(kept <= LIMIT && kept >= (why == JOURNAL_DROPPED_OLDEST ? LIMIT - LIMIT / 64 : LIMIT));
	check_totals(&box, why, 2 * OFFERED - kept);
	uint64_t offered = box.next_seq - 1 + box.totals[JOURNAL_DROPPED_NEWEST];
	CU_ASSERT_EQUAL(offered, 2 * OFFERED);
	scene.away_is_up = true;
	box = live(dir, when_full, 0, is_empty);
	CU_ASSERT_EQUAL(scene.delivered[AWAY], kept);
	CU_ASSERT_EQUAL(box.totals[JOURNAL_DELIVERED], kept);
	check_totals(&box, why, 2 * OFFERED - kept);
}

static void test_drop_newest(void)
{
	check_policy(WHEN_FULL_DROP_NEWEST, JOURNAL_DROPPED_NEWEST);
	CU_ASSERT_EQUAL(scene.pauses, 0);
}

static void test_drop_oldest(void)
{
	check_policy(WHEN_FULL_DROP_OLDEST, JOURNAL_DROPPED_OLDEST);
	scene.lookahead = 50; /* read back to be dropped */
	check_policy(WHEN_FULL_DROP_OLDEST, JOURNAL_DROPPED_OLDEST);
	scene.lookahead = 10000;
}

/* What is in flight stays, and the window stays with it: what is dropped is read by a reader of its own. */
static void drop_behind_what_stays(size_t payload_len)
{
	const char *dir = tap_tempdir();
	scene.away_is_up = scene.away_holds = true;
	scene.lookahead = 150;
	scene.payload_len = payload_len;
	struct journal_outbox box = live(dir, WHEN_FULL_DROP_OLDEST, OFFERED, all_acknowledged);
	uint64_t kept = box.waiting;
	CU_ASSERT(kept <= LIMIT && kept >= LIMIT - LIMIT / 64);
	CU_ASSERT_EQUAL(box.oldest_undone, 1);
	check_totals(&box, JOURNAL_DROPPED_OLDEST, 2 * OFFERED - kept);
	scene.away_holds = false;
	box = live(dir, WHEN_FULL_DROP_OLDEST, 0, is_empty);
	CU_ASSERT_EQUAL(box.totals[JOURNAL_DELIVERED], kept);
	check_totals(&box, JOURNAL_DROPPED_OLDEST, 2 * OFFERED - kept);
	scene.lookahead = 10000;
	scene.payload_len = 7;
}

/* With large messages what stays goes to the overflow log, and what follows it too. */
static void test_drop_behind_what_stays(void)
{
	drop_behind_what_stays(7);
	drop_behind_what_stays(4000);
}

static void test_dead_letter(void)
{
	check_policy(WHEN_FULL_DEAD_LETTER, JOURNAL_DEAD_LETTERED);
}

static void test_block(void)
{
	const char *dir = tap_tempdir();
	scene.away_is_up = false;
	struct journal_outbox box = live(dir, WHEN_FULL_BLOCK, OFFERED, is_blocked);
	CU_ASSERT(scene.pauses == 1 && scene.offered == LIMIT / 2);
	CU_ASSERT_EQUAL(box.waiting, LIMIT);
	check_totals(&box, JOURNAL_LOST, 0);
	scene.away_is_up = true;
	box = live(dir, WHEN_FULL_BLOCK, 0, is_empty);
	CU_ASSERT_EQUAL(box.totals[JOURNAL_DELIVERED], LIMIT);
}

/* The dead letters have no room either: nothing is lost, the source waits. */
static void test_dead_letters_full(void)
{
	const char *dir = tap_tempdir();
	struct config config = configure(dir, WHEN_FULL_DEAD_LETTER);
	scene.connections[AWAY].outbox.dead_max_bytes = 20000;
	scene.away_is_up = false;
	scene.to_offer = 1000000;
	scene.done = is_blocked;
	begin(dir, &config);
	bridge_start(scene.bridge);
	loop_post(scene.loop, &scene.offer_job);
	loop_run(scene.loop);
	CU_ASSERT_FALSE(scene.timed_out);
	struct journal_outbox box = box_of(AWAY);
	CU_ASSERT(box.totals[JOURNAL_DEAD_LETTERED] > 100 && box.totals[JOURNAL_DEAD_LETTERED] < 300);
	CU_ASSERT_EQUAL(box.waiting + box.totals[JOURNAL_DEAD_LETTERED], 2 * scene.offered);
	CU_ASSERT(scene.pauses >= 1 && box.waiting > LIMIT);
	end();
	scene.away_is_up = true;
	struct journal_outbox later = live(dir, WHEN_FULL_DEAD_LETTER, 0, is_empty);
	CU_ASSERT_EQUAL(later.totals[JOURNAL_DELIVERED], box.waiting);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"block", test_block},
		{"drop_newest", test_drop_newest},
		{"drop_oldest", test_drop_oldest},
		{"drop_oldest behind what stays", test_drop_behind_what_stays},
		{"dead_letter", test_dead_letter},
		{"dead_letter without room", test_dead_letters_full},
		{NULL, NULL},
	};
	log_set_level(LOG_LEVEL_ERROR);
	scene.lookahead = 10000;
	scene.payload_len = 7;
	return tap_main("bridge with a full outbox", tests);
}
