/* SPDX-License-Identifier: Apache-2.0
 *
 * The bridge when something is wrong: a disk without room, a disk that fails or does not answer, a destination that is
 * full, a link that goes down. Two scripted sources and two scripted sinks (source i feeds sink i) around the real
 * router, couriers and journal, on a real disk behind one that can be told to fail.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/connector.h"
#include "journal/journal.h"
#include "runtime/bridge.h"
#include "runtime/endpoint.h"
#include "runtime/log.h"
#include "tests/unit/tap.h"

#define LINKS    4u /* two sources, two sinks */
#define MAX_HELD 8192u

/* --- a disk that can be told to fail --------------------------------------------------------------------------------- */

static struct {
	struct disk disk;
	struct disk_ops ops;
	struct disk *real;
	atomic_bool full; /* no new file */
	atomic_bool broken; /* no write, no fdatasync */
	pthread_mutex_t gate; /* an fdatasync holds it: who has it stops them */
} faulty;

static int faulty_open(struct disk *disk, const char *path, int flags)
{
	(void)disk;
	if ((flags & DISK_CREATE) && faulty.full)
		return -ENOSPC;
	return faulty.real->ops->open(faulty.real, path, flags);
}

static int faulty_pwrite(struct disk *disk, int handle, const void *buf, size_t len, uint64_t offset)
{
	(void)disk;
	return faulty.broken ? -EIO : faulty.real->ops->pwrite(faulty.real, handle, buf, len, offset);
}

static int faulty_fdatasync(struct disk *disk, int handle)
{
	(void)disk;
	pthread_mutex_lock(&faulty.gate);
	int r = faulty.broken ? -EIO : faulty.real->ops->fdatasync(faulty.real, handle);
	pthread_mutex_unlock(&faulty.gate);
	return r;
}

static int faulty_close(struct disk *disk, int handle)
{
	(void)disk;
	return faulty.real->ops->close(faulty.real, handle);
}

static ssize_t faulty_pread(struct disk *disk, int handle, void *buf, size_t len, uint64_t offset)
{
	(void)disk;
	return faulty.real->ops->pread(faulty.real, handle, buf, len, offset);
}

static int64_t faulty_size(struct disk *disk, int handle)
{
	(void)disk;
	return faulty.real->ops->size(faulty.real, handle);
}

static int faulty_rename(struct disk *disk, const char *from, const char *to)
{
	(void)disk;
	return faulty.real->ops->rename(faulty.real, from, to);
}

static int faulty_unlink(struct disk *disk, const char *path)
{
	(void)disk;
	return faulty.real->ops->unlink(faulty.real, path);
}

static int faulty_mkdir(struct disk *disk, const char *path)
{
	(void)disk;
	return faulty.real->ops->mkdir(faulty.real, path);
}

static int faulty_sync_dir(struct disk *disk, const char *path)
{
	(void)disk;
	return faulty.real->ops->sync_dir(faulty.real, path);
}

static int faulty_list(struct disk *disk, const char *path, int (*fn)(const char *name, void *arg), void *arg)
{
	(void)disk;
	return faulty.real->ops->list(faulty.real, path, fn, arg);
}

static int faulty_lock(struct disk *disk, const char *path)
{
	(void)disk;
	return faulty.real->ops->lock(faulty.real, path);
}

static int64_t faulty_free_bytes(struct disk *disk)
{
	(void)disk;
	return faulty.real->ops->free_bytes(faulty.real);
}

static void faulty_begin(const char *dir)
{
	faulty.real = disk_posix_new(dir);
	CU_ASSERT_PTR_NOT_NULL_FATAL(faulty.real);
	faulty.full = faulty.broken = false;
	pthread_mutex_init(&faulty.gate, NULL);
	faulty.ops = (struct disk_ops){
		.open = faulty_open,
		.close = faulty_close,
		.pread = faulty_pread,
		.pwrite = faulty_pwrite,
		.fdatasync = faulty_fdatasync,
		.size = faulty_size,
		.rename = faulty_rename,
		.unlink = faulty_unlink,
		.mkdir = faulty_mkdir,
		.sync_dir = faulty_sync_dir,
		.list = faulty_list,
		.lock = faulty_lock,
		.free_bytes = faulty_free_bytes,
	};
	faulty.disk.ops = &faulty.ops;
}

static void faulty_end(void)
{
	disk_posix_free(faulty.real);
	pthread_mutex_destroy(&faulty.gate);
}

/* --- scripted links ------------------------------------------------------------------------------------------------- */

struct link {
	struct link_host *host;
	bool is_source, up, paused, stopping;
	/* script */
	unsigned to_offer; /* messages */
	unsigned changes_to_offer; /* large state changes without a message, before them */
	bool holds; /* takes deliveries and gives no outcome */
	bool retries; /* answers RETRY */
	bool starts_down;
	/* seen */
	unsigned offered, changes, receipts, deliveries, pauses, resumes, wrong_order, sent_while_stopping;
	uint64_t first_cookie; /* of this connection */
	uint64_t held[MAX_HELD];
	unsigned n_held;
};

static struct scene {
	struct loop *loop;
	struct config config;
	struct connection_config connections[LINKS];
	struct mapping_config mappings[2];
	struct target_config targets[2];
	struct config_text filter;
	struct bridge *bridge;
	struct link links[LINKS];
	bool stopped, slow_to_stop;
	uint64_t linger_ms; /* that the links were given */
	struct loop_timer *stop_later;
	bool (*until)(void);
	struct loop_timer *look, *deadline;
	bool timed_out;
} scene;

static struct link *const sources = &scene.links[0], *const sinks = &scene.links[2];
static uint8_t payload[10000];

static void offer(struct link *link)
{
	struct offer change = {.change = {.type = CHANGE_SUBSCRIPTIONS, .blob = slice_of(payload, sizeof payload)},
		.subscription = -1,
		.no_receipt = true};
	while (link->up && !link->stopping && !link->paused && link->changes < link->changes_to_offer) {
		if (link->host->ops->offer(link->host, &change) != OFFER_TAKEN)
			return;
		link->changes++;
	}
	while (link->up && !link->stopping && !link->paused && link->offered < link->to_offer) {
		struct message_view view = {
			.topic = slice_str("a/b"), .payload = slice_of(payload, sizeof payload), .qos = 1};
		struct offer message = {.view = &view, .subscription = -1, .cookie = link->offered};
		if (link->host->ops->offer(link->host, &message) != OFFER_TAKEN)
			return;
		link->offered++;
	}
}

static int fake_create(const struct link_spec *spec, struct link_host *host, struct link **ret_link)
{
	struct link *link = &scene.links[(spec->name[0] == 's' ? 0 : 2) + (spec->name[1] - '0')];
	link->host = host;
	link->is_source = spec->n_subscriptions > 0;
	*ret_link = link;
	return 0;
}

static void go_up(struct link *link)
{
	link->up = true;
	link->first_cookie = link->offered;
	link->receipts = 0;
	link->host->ops->link_up(link->host, &(struct sink_traits){.max_in_flight = 100});
	offer(link);
}

static void go_down(struct link *link)
{
	link->up = false;
	link->n_held = 0;
	link->host->ops->link_down(link->host, "told to");
}

static void fake_start(struct link *link, const struct link_recovery *recovery)
{
	(void)recovery;
	if (!link->starts_down)
		go_up(link);
}

static void fake_pause(struct link *link)
{
	link->paused = true;
	link->pauses++;
}

static void fake_resume(struct link *link)
{
	link->paused = false;
	link->resumes++;
	offer(link);
}

static void fake_receipt(struct link *link, uint64_t cookie, enum receipt receipt)
{
	link->wrong_order += cookie != link->first_cookie + link->receipts || receipt != RECEIPT_DURABLE;
	link->receipts++;
}

static void fake_receipts_end(struct link *link)
{
	(void)link;
}

static void answer(struct link *link, uint64_t seq, enum outcome_kind kind)
{
	struct outcome outcome = {.kind = kind, .reason = "told to"};
	link->deliveries += kind == OUTCOME_DELIVERED;
	link->host->ops->outcome(link->host, seq, &outcome);
}

static void fake_send(struct link *link, const struct delivery *delivery)
{
	link->sent_while_stopping += link->stopping;
	if (link->stopping)
		return;
	if (link->holds)
		link->held[link->n_held++] = delivery->seq;
	else
		answer(link, delivery->seq, link->retries ? OUTCOME_RETRY : OUTCOME_DELIVERED);
}

static void release(struct link *link)
{
	link->holds = false;
	for (unsigned i = 0; i < link->n_held; i++)
		answer(link, link->held[i], OUTCOME_DELIVERED);
	link->n_held = 0;
}

static void on_stop_later(void *arg)
{
	(void)arg;
	for (size_t i = 0; i < LINKS; i++)
		scene.links[i].host->ops->stopped(scene.links[i].host);
}

static void fake_stop(struct link *link, uint64_t linger_ms)
{
	scene.linger_ms = linger_ms;
	link->stopping = true;
	link->up = false;
	if (scene.slow_to_stop)
		loop_timer_start(scene.stop_later, 30);
	else
		link->host->ops->stopped(link->host);
}

static void fake_nothing(struct link *link)
{
	(void)link;
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
	.send_end = fake_nothing,
	.stop_intake = fake_nothing,
	.stop = fake_stop,
	.destroy = fake_nothing,
};

/* --- the scene ------------------------------------------------------------------------------------------------------- */

static void on_stopped(void *ctx)
{
	(void)ctx;
	scene.stopped = true;
}

/* Whoever waits looks now and then; how often decides nothing. */
static void on_look(void *arg)
{
	(void)arg;
	if (scene.until())
		loop_stop(scene.loop);
	else
		loop_timer_start(scene.look, 1);
}

static void on_deadline(void *arg)
{
	(void)arg;
	scene.timed_out = true;
	loop_stop(scene.loop);
}

static void run_until(bool (*until)(void))
{
	if (scene.timed_out)
		return;
	scene.until = until;
	loop_timer_start(scene.look, 0);
	loop_run(scene.loop);
	loop_timer_stop(scene.look);
	CU_ASSERT_FALSE(scene.timed_out);
}

static void scene_config(const char *dir)
{
	static char names[LINKS][3] = {"s0", "s1", "d0", "d1"}, filter[] = "a/#";
	for (size_t i = 0; i < LINKS; i++)
		scene.connections[i] = (struct connection_config){.name = names[i],
			.connector = &fake,
			.delivery = -1,
			.outbox = {.max_bytes = 1 << 30,
				.backoff_min_ms = 1,
				.backoff_max_ms = 2,
				.lookahead = 10000,
				.dead_max_bytes = 1 << 20}};
	scene.filter = (struct config_text){.value = filter};
	for (size_t i = 0; i < 2; i++) {
		scene.targets[i] = (struct target_config){.connection = 2 + i, .qos = -1, .retain = -1};
		scene.mappings[i] = (struct mapping_config){.name = names[i],
			.from_connection = i,
			.filters = {&scene.filter, 1},
			.from_qos = 1,
			.max_outputs = 10,
			.delivery = -1,
			.priority = MESSAGE_DEFAULT_PRIORITY,
			.targets = &scene.targets[i],
			.n_targets = 1};
	}
	scene.config = (struct config){.journal = {.segment_bytes = 1 << 20},
		.shutdown_timeout_ms = 100,
		.max_transform_bytes = 1 << 20,
		.max_message_bytes = 1 << 20,
		.connections = scene.connections,
		.n_connections = LINKS,
		.mappings = scene.mappings,
		.n_mappings = 2};
	scene.config.data_dir = strdup(dir);
}

static void scene_init(void)
{
	const char *dir = tap_tempdir();
	scene = (struct scene){.timed_out = false};
	scene_config(dir);
	faulty_begin(dir);
	scene.loop = loop_new();
	scene.look = loop_timer_new(scene.loop, on_look, NULL);
	scene.stop_later = loop_timer_new(scene.loop, on_stop_later, NULL);
	scene.deadline = loop_timer_new(scene.loop, on_deadline, NULL);
	loop_timer_start(scene.deadline, 60000); /* only so that a broken bridge ends */
	log_set_level(LOG_LEVEL_ERROR);
}

static const char *const *drop; /* bridge_options */

static void scene_open(void)
{
	struct bridge_options options = {.config = &scene.config,
		.loop = scene.loop,
		.disk = &faulty.disk,
		.drop = drop,
		.on_stopped = on_stopped};
	CU_ASSERT_EQUAL_FATAL(bridge_open(&options, &scene.bridge), 0);
}

static bool has_stopped(void)
{
	return scene.stopped;
}

/* Stops and returns what bridge_close says. */
static int scene_end(void)
{
	bridge_stop(scene.bridge);
	run_until(has_stopped);
	CU_ASSERT(scene.stopped);
	int r = bridge_close(scene.bridge);
	loop_timer_free(scene.look);
	loop_timer_free(scene.stop_later);
	loop_timer_free(scene.deadline);
	loop_free(scene.loop);
	faulty_end();
	free(scene.config.data_dir);
	return r;
}

/* --- tests ----------------------------------------------------------------------------------------------------------- */

static bool paused_and_settled(void)
{
	return sources[0].paused && sources[0].receipts == sources[0].offered;
}

static bool all_acknowledged(void)
{
	return sources[0].offered == sources[0].to_offer && sources[0].receipts == sources[0].to_offer;
}

static bool all_delivered(void)
{
	return all_acknowledged() && sinks[0].deliveries >= sources[0].to_offer;
}

static int count_name(const char *name, void *arg)
{
	*(unsigned *)arg += strstr(name, ".log") != NULL;
	return 0;
}

static unsigned n_segment_files(void)
{
	unsigned n = 0;
	CU_ASSERT_EQUAL(faulty.real->ops->list(faulty.real, "journal", count_name, &n), 0);
	return n;
}

/* One that is written, one for messages, and the reserve. */
static bool spares_are_ready(void)
{
	return n_segment_files() >= 4;
}

/* 6 MB for a destination that is down, in segments of 1 MiB, and then no new file. */
static void fill_the_disk(void)
{
	scene_init();
	sinks[0].starts_down = true;
	scene_open();
	bridge_start(scene.bridge);
	run_until(spares_are_ready);
	faulty.full = true;
	sources[0].to_offer = 600;
	offer(&sources[0]);
	run_until(paused_and_settled);
}

static void test_disk_full_then_space(void)
{
	fill_the_disk();
	CU_ASSERT(sources[0].pauses >= 1 && sources[0].offered < 600);
	CU_ASSERT_FALSE(scene.stopped);
	faulty.full = false;
	run_until(all_acknowledged);
	CU_ASSERT_FALSE(sources[0].paused);
	go_up(&sinks[0]);
	run_until(all_delivered);
	CU_ASSERT_EQUAL(sources[0].wrong_order, 0);
	CU_ASSERT_EQUAL(scene_end(), 0);
}

/* No new file at all: what is delivered makes the room. */
static void test_disk_full_then_drained(void)
{
	fill_the_disk();
	go_up(&sinks[0]);
	run_until(all_delivered);
	CU_ASSERT(sources[0].pauses >= 1 && sources[0].wrong_order == 0);
	CU_ASSERT_EQUAL(scene_end(), 0);
}

static void test_stop_while_disk_is_full(void)
{
	fill_the_disk();
	CU_ASSERT_EQUAL(scene_end(), 0); /* all that was acknowledged is durable */
}

static bool all_changes_taken(void)
{
	return sources[0].changes == sources[0].changes_to_offer && all_acknowledged();
}

static bool three_thousand_delivered(void)
{
	return sinks[0].deliveries == 3000;
}

static bool few_files_are_left(void)
{
	return n_segment_files() <= 8;
}

/* A backlog of many segments is delivered by a later process, and by one that finds it delivered: the files go. */
static void test_finished_segments_are_given_back(void)
{
	scene_init();
	sinks[0].starts_down = true;
	sources[0].to_offer = 3000; /* 30 segments */
	scene_open();
	bridge_start(scene.bridge);
	run_until(all_acknowledged);
	CU_ASSERT(n_segment_files() >= 25);
	bridge_stop(scene.bridge);
	run_until(has_stopped);
	CU_ASSERT_EQUAL(bridge_close(scene.bridge), 0);

	for (size_t i = 0; i < LINKS; i++)
		scene.links[i] = (struct link){.starts_down = false};
	scene.stopped = false;
	scene_open();
	bridge_start(scene.bridge);
	run_until(three_thousand_delivered);
	run_until(few_files_are_left);
	/* Steady traffic does not make them many again. */
	sources[0].to_offer = 3000;
	offer(&sources[0]);
	run_until(all_acknowledged);
	run_until(few_files_are_left);
	CU_ASSERT_EQUAL(scene_end(), 0);
}

/* Killed after the last DONE was durable and before anything was given back. */
static void test_finished_segments_found_at_the_start(void)
{
	scene_init();
	sinks[0].holds = true;
	sources[0].to_offer = 3000;
	scene.connections[2].outbox.max_messages = 0;
	scene_open();
	bridge_start(scene.bridge);
	run_until(all_acknowledged);
	bridge_stop(scene.bridge);
	run_until(has_stopped);
	CU_ASSERT_EQUAL(bridge_close(scene.bridge), 0);
	unsigned before = n_segment_files();
	CU_ASSERT(before >= 25);
	/* Dropping the destination finishes all at once, and the process ends before anything can go. */
	for (size_t i = 0; i < LINKS; i++)
		scene.links[i] = (struct link){.starts_down = false};
	scene.stopped = false;
	scene.config.n_mappings = 0;
	drop = (const char *const[]){"d0", NULL};
	scene_open();
	CU_ASSERT_EQUAL(bridge_close(scene.bridge), 0);
	drop = NULL;
	scene.config.n_mappings = 2;
	scene_open();
	bridge_start(scene.bridge);
	run_until(few_files_are_left);
	CU_ASSERT_EQUAL(scene_end(), 0);
}

/* More state changes at once than the prepared segments take; nobody asks for room for messages meanwhile. */
static void test_state_changes_that_find_no_room(void)
{
	scene_init();
	sources[0].changes_to_offer = 1000;
	sources[0].to_offer = 10;
	scene_open();
	pthread_mutex_lock(&faulty.gate); /* no group ends and no segment gets ready meanwhile */
	bridge_start(scene.bridge);
	CU_ASSERT(sources[0].paused);
	pthread_mutex_unlock(&faulty.gate);
	run_until(all_changes_taken);
	CU_ASSERT_EQUAL(scene_end(), 0);
}

static bool some_retried(void)
{
	return sources[0].receipts == 10;
}

/* Nothing is acknowledged or sent any more; the stop is not clean. */
static void test_journal_fails(void)
{
	scene_init();
	scene.slow_to_stop = true;
	sinks[0].retries = true;
	sources[0].to_offer = 10;
	scene_open();
	bridge_start(scene.bridge);
	run_until(some_retried);
	faulty.broken = true;
	sources[0].to_offer = 20;
	sources[1].to_offer = 20;
	offer(&sources[0]);
	offer(&sources[1]);
	run_until(has_stopped);
	CU_ASSERT(sources[0].receipts == 10 && sources[1].receipts == 0);
	CU_ASSERT_EQUAL(sinks[1].deliveries, 0);
	CU_ASSERT_EQUAL(sinks[0].sent_while_stopping, 0);
	CU_ASSERT_EQUAL(scene_end(), -EIO);
}

static bool second_is_through(void)
{
	return sources[0].paused && sources[1].receipts == 500 && sinks[1].deliveries == 500;
}

static void test_a_full_destination_stops_no_other(void)
{
	scene_init();
	scene.connections[2].outbox.max_messages = 50;
	sinks[0].holds = true;
	sources[0].to_offer = 300;
	sources[1].to_offer = 500;
	scene_open();
	bridge_start(scene.bridge);
	run_until(second_is_through);
	CU_ASSERT_EQUAL(sources[0].offered, 50);
	CU_ASSERT(sources[0].resumes == 0 && sinks[0].deliveries == 0);
	release(&sinks[0]);
	run_until(all_delivered);
	CU_ASSERT(sources[0].wrong_order == 0 && sources[0].pauses == sources[0].resumes);
	CU_ASSERT_EQUAL(scene_end(), 0);
}

/* Receipts die with the connection, the messages do not. */
static void test_link_down_with_receipts_pending(void)
{
	scene_init();
	scene_open();
	bridge_start(scene.bridge);
	pthread_mutex_lock(&faulty.gate);
	sources[0].to_offer = 10;
	offer(&sources[0]);
	CU_ASSERT(sources[0].offered == 10 && sources[0].receipts == 0);
	go_down(&sources[0]);
	sources[0].to_offer = 15;
	go_up(&sources[0]);
	CU_ASSERT_EQUAL(sources[0].offered, 15);
	pthread_mutex_unlock(&faulty.gate);
	sources[0].to_offer = 5; /* of this connection */
	sources[0].offered = 5;
	run_until(all_acknowledged);
	CU_ASSERT_EQUAL(sources[0].wrong_order, 0);
	sources[0].to_offer = sources[0].receipts;
	while (sinks[0].deliveries < 15 && !scene.timed_out)
		run_until(all_delivered);
	CU_ASSERT_EQUAL(sinks[0].deliveries, 15);
	CU_ASSERT_EQUAL(scene_end(), 0);
}

/* A stop waits for the disk, but not for receipts of a connection that is gone. */
static void test_link_down_during_a_stop(void)
{
	scene_init();
	scene.config.shutdown_timeout_ms = 3600u * 1000;
	scene_open();
	bridge_start(scene.bridge);
	pthread_mutex_lock(&faulty.gate);
	sources[0].to_offer = 10;
	offer(&sources[0]);
	bridge_stop(scene.bridge);
	CU_ASSERT_FALSE(scene.stopped);
	go_down(&sources[0]);
	CU_ASSERT(scene.stopped);
	pthread_mutex_unlock(&faulty.gate);
	CU_ASSERT_EQUAL(sources[0].receipts, 0);
	/* What is left of shutdown_timeout. */
	CU_ASSERT(scene.linger_ms > 3000u * 1000 && scene.linger_ms <= 3600u * 1000);
	CU_ASSERT_EQUAL(scene_end(), 0);
}

static enum offer_result offer_change(enum state_change_type type)
{
	struct offer offer = {.change = {.type = type, .id = 7, .hash = 1}, .subscription = -1, .no_receipt = true};
	return sources[0].host->ops->offer(sources[0].host, &offer);
}

/* What the next process must know of a session is taken while linkspan stops; messages are not. */
static void test_session_lost_during_a_stop(void)
{
	scene_init();
	scene.config.shutdown_timeout_ms = 3600u * 1000;
	scene_open();
	bridge_start(scene.bridge);
	uint32_t source = scene.bridge->endpoints[0]->source;
	CU_ASSERT_EQUAL(offer_change(CHANGE_OPEN_ID), OFFER_TAKEN);
	CU_ASSERT(journal_id_open(scene.bridge->journal, source, 7, &(uint64_t){0}));
	pthread_mutex_lock(&faulty.gate);
	sources[0].to_offer = 10;
	offer(&sources[0]);
	bridge_stop(scene.bridge);
	CU_ASSERT_FALSE(scene.stopped);
	CU_ASSERT_EQUAL(offer_change(CHANGE_SESSION_RESET), OFFER_TAKEN);
	CU_ASSERT_FALSE(journal_id_open(scene.bridge->journal, source, 7, &(uint64_t){0}));
	sources[0].to_offer = 11;
	offer(&sources[0]);
	CU_ASSERT_EQUAL(sources[0].offered, 10);
	pthread_mutex_unlock(&faulty.gate);
	run_until(has_stopped);
	CU_ASSERT_EQUAL(scene_end(), 0);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"the disk is full, then there is space", test_disk_full_then_space},
		{"the disk is full, then the outbox is drained", test_disk_full_then_drained},
		{"a stop while the disk is full", test_stop_while_disk_is_full},
		{"finished segments are given back", test_finished_segments_are_given_back},
		{"finished segments found at the start", test_finished_segments_found_at_the_start},
		{"state changes that find no room", test_state_changes_that_find_no_room},
		{"the journal fails", test_journal_fails},
		{"a full destination stops no other", test_a_full_destination_stops_no_other},
		{"a link goes down while receipts are pending", test_link_down_with_receipts_pending},
		{"a link goes down during a stop", test_link_down_during_a_stop},
		{"a session is lost during a stop", test_session_lost_during_a_stop},
		{NULL, NULL},
	};
	return tap_main("bridge faults", tests);
}
