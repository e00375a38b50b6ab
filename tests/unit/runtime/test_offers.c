/* SPDX-License-Identifier: Apache-2.0 */
/* What an offer can be besides one message (with an idempotency key; several messages), and what an outcome can be besides
 * delivered (the last value of its topic); between scripted links, with the real router, journal and couriers. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/connector.h"
#include "runtime/bridge.h"
#include "runtime/endpoint.h"
#include "runtime/log.h"
#include "tests/unit/tap.h"

#define MOST 64u

struct link {
	struct link_host *host;
	bool paused;
};

static struct {
	struct loop *loop;
	struct disk *disk;
	struct config config;
	struct connection_config connections[3];
	struct mapping_config mappings[2];
	struct target_config targets[2];
	struct config_text filters[2];
	struct bridge *bridge;
	struct link *links[3]; /* a source and two sinks */
	struct loop_timer *deadline;
	/* seen */
	char delivered[MOST][16];
	unsigned n_delivered, n_receipts, wanted;
	bool keep; /* script: what is delivered is the last value */
	char changed[256]; /* topics of values that have, each behind a blank; - for some that have gone */
	bool stopped, timed_out;
} scene;

/* --- the links ---------------------------------------------------------------------------------------------------- */

static int fake_create(const struct link_spec *spec, struct link_host *host, struct link **ret_link)
{
	struct link *link = calloc(1, sizeof *link);
	if (!link)
		return -ENOMEM;
	link->host = host;
	scene.links[spec->n_subscriptions ? 0 : spec->name[0] - '0'] = link;
	*ret_link = link;
	return 0;
}

static void fake_start(struct link *link, const struct link_recovery *recovery)
{
	(void)recovery;
	link->host->ops->link_up(link->host, &(struct sink_traits){.max_in_flight = 1000});
}

static void fake_pause(struct link *link)
{
	link->paused = true;
}

static void fake_resume(struct link *link)
{
	link->paused = false;
}

static void look(void)
{
	if (scene.wanted && scene.n_receipts + scene.n_delivered >= scene.wanted)
		loop_stop(scene.loop);
}

static void fake_receipt(struct link *link, uint64_t cookie, enum receipt receipt)
{
	(void)link, (void)cookie;
	CU_ASSERT_EQUAL(receipt, RECEIPT_DURABLE);
	scene.n_receipts++;
	look();
}

static void fake_nothing(struct link *link)
{
	(void)link;
}

static void fake_send(struct link *link, const struct delivery *delivery)
{
	const struct message_view *view = message_view(delivery->msg);
	char *text = scene.delivered[scene.n_delivered++];
	snprintf(text, sizeof scene.delivered[0], "%.*s", (int)view->payload.len, (const char *)view->payload.data);
	link->host->ops->outcome(
		link->host, delivery->seq, &(struct outcome){.kind = OUTCOME_DELIVERED, .keep_value = scene.keep});
	look();
}

static void fake_value_changed(struct link *link, struct slice topic)
{
	size_t len = strlen(scene.changed);
	if (link == scene.links[1])
		snprintf(scene.changed + len, sizeof scene.changed - len, " %.*s", topic.data ? (int)topic.len : 1,
			topic.data ? (const char *)topic.data : "-");
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

static const struct connector fake = {
	.name = "fake",
	.can_source = true,
	.can_sink = true,
	.keeps_values = true,
	.create = fake_create,
	.start = fake_start,
	.pause = fake_pause,
	.resume = fake_resume,
	.receipt = fake_receipt,
	.receipts_end = fake_nothing,
	.send = fake_send,
	.send_end = fake_nothing,
	.value_changed = fake_value_changed,
	.stop_intake = fake_nothing,
	.stop = fake_stop,
	.destroy = fake_destroy,
};

/* --- the scene ---------------------------------------------------------------------------------------------------- */

static void on_stopped(void *ctx)
{
	(void)ctx;
	scene.stopped = true;
	loop_stop(scene.loop);
}

static void on_deadline(void *arg)
{
	(void)arg;
	scene.timed_out = true;
	loop_stop(scene.loop);
}

/* a/# goes to the first sink, a/both to the second as well. */
static void scene_config(const char *dir)
{
	static char names[3][4] = {"in", "1", "2"}, map_names[2][8] = {"all", "both"},
		    filters[2][8] = {"a/#", "a/both"};
	for (int i = 0; i < 3; i++)
		scene.connections[i] = (struct connection_config){.name = names[i],
			.connector = &fake,
			.delivery = -1,
			.outbox = {.max_bytes = 1 << 30, .lookahead = 10000, .dead_max_bytes = 1 << 20},
			.last_values = {.max_entries = 3, .max_bytes = 1000}};
	for (int i = 0; i < 2; i++) {
		scene.filters[i] = (struct config_text){.value = filters[i]};
		scene.targets[i] = (struct target_config){.connection = (size_t)i + 1, .qos = -1, .retain = -1};
		scene.mappings[i] = (struct mapping_config){.name = map_names[i],
			.filters = {&scene.filters[i], 1},
			.max_outputs = 10,
			.delivery = -1,
			.priority = MESSAGE_DEFAULT_PRIORITY,
			.targets = &scene.targets[i],
			.n_targets = 1};
	}
	scene.config = (struct config){.journal = {.segment_bytes = 1 << 20, .max_keys = 5},
		.shutdown_timeout_ms = 10000,
		.max_transform_bytes = 1 << 20,
		.max_message_bytes = 1000000,
		.connections = scene.connections,
		.n_connections = 3,
		.mappings = scene.mappings,
		.n_mappings = 2};
	scene.config.data_dir = strdup(dir);
}

static void begin(const char *dir)
{
	memset(&scene, 0, sizeof scene);
	log_set_level(LOG_LEVEL_ERROR);
	log_set_sink(NULL, NULL);
	scene_config(dir);
	scene.loop = loop_new();
	scene.disk = disk_posix_new(dir);
	scene.deadline = loop_timer_new(scene.loop, on_deadline, NULL);
	loop_timer_start(scene.deadline, 60000); /* only so that a broken bridge ends */
}

static void open_bridge(void)
{
	struct bridge_options options = {
		.config = &scene.config, .loop = scene.loop, .disk = scene.disk, .on_stopped = on_stopped};
	CU_ASSERT_EQUAL_FATAL(bridge_open(&options, &scene.bridge), 0);
	bridge_start(scene.bridge);
}

static void run_until(unsigned receipts_and_deliveries)
{
	scene.wanted = receipts_and_deliveries;
	loop_run(scene.loop);
	CU_ASSERT(!scene.timed_out);
}

static void end(void)
{
	scene.wanted = 0;
	bridge_stop(scene.bridge);
	if (!scene.stopped)
		loop_run(scene.loop);
	CU_ASSERT(scene.stopped && !scene.timed_out);
	CU_ASSERT_EQUAL(bridge_close(scene.bridge), 0);
	loop_timer_free(scene.deadline);
	loop_free(scene.loop);
	disk_posix_free(scene.disk);
	free(scene.config.data_dir);
	log_set_level(LOG_LEVEL_INFO);
}

static bool was_delivered(const char *text)
{
	for (unsigned i = 0; i < scene.n_delivered; i++)
		if (strcmp(scene.delivered[i], text) == 0)
			return true;
	return false;
}

static struct message_view message(const char *topic, const char *payload)
{
	return (struct message_view){
		.topic = slice_str(topic), .payload = slice_str(payload), .origin_ms = 1700000000000, .qos = 1};
}

static enum offer_result offer_views(const struct message_view *views, size_t n, const char *key, uint64_t hash)
{
	uint8_t bytes[LINK_KEY_LEN] = {0};
	struct link *source = scene.links[0];
	struct offer offer = {.view = views, .n_more = n - 1, .subscription = -1};
	if (key) {
		memcpy(bytes, key, strlen(key));
		offer.change = (struct state_change){.type = CHANGE_KEY,
			.hash = hash,
			.position = loop_wall_ms(scene.loop) + 3600000,
			.blob = slice_of(bytes, sizeof bytes)};
	}
	return source->host->ops->offer(source->host, &offer);
}

static enum key_state state_of(const char *key, uint64_t *ret_hash)
{
	uint8_t bytes[LINK_KEY_LEN] = {0};
	memcpy(bytes, key, strlen(key));
	return scene.links[0]->host->ops->key(scene.links[0]->host, bytes, ret_hash);
}

/* --- tests -------------------------------------------------------------------------------------------------------- */

static void test_key(void)
{
	const char *dir = tap_tempdir();
	uint64_t hash = 0;
	struct message_view views[2] = {message("a/x", "one"), message("elsewhere", "two")};
	begin(dir);
	open_bridge();
	CU_ASSERT_EQUAL(state_of("k", &hash), KEY_UNKNOWN);
	CU_ASSERT_EQUAL(offer_views(&views[0], 1, "k", 77), OFFER_TAKEN);
	CU_ASSERT_EQUAL(state_of("k", &hash), KEY_NOT_YET);
	CU_ASSERT_EQUAL(hash, 77);
	CU_ASSERT_EQUAL(state_of("other", &hash), KEY_UNKNOWN);
	run_until(2);
	CU_ASSERT_EQUAL(state_of("k", &hash), KEY_KNOWN);
	/* Also of what matches nothing. */
	CU_ASSERT_EQUAL(offer_views(&views[1], 1, "unmatched", 78), OFFER_TAKEN);
	CU_ASSERT_EQUAL(state_of("unmatched", &hash), KEY_NOT_YET);
	run_until(3);
	CU_ASSERT_EQUAL(state_of("unmatched", &hash), KEY_KNOWN);
	end();
	begin(dir);
	open_bridge();
	CU_ASSERT(state_of("k", &hash) == KEY_KNOWN && hash == 77);
	CU_ASSERT(state_of("unmatched", &hash) == KEY_KNOWN && hash == 78);
	end();
}

static void test_no_room_for_a_key(void)
{
	char name[8];
	struct message_view view = message("a/x", "x");
	uint64_t hash;
	begin(tap_tempdir());
	open_bridge();
	struct link_host *host = scene.links[0]->host;
	for (unsigned i = 0; i < 5; i++) {
		snprintf(name, sizeof name, "k%u", i);
		CU_ASSERT_EQUAL(host->ops->key_room(host), 5 - i);
		CU_ASSERT_EQUAL(offer_views(&view, 1, name, i), OFFER_TAKEN);
	}
	CU_ASSERT(!host->ops->key_room(host));
	CU_ASSERT_EQUAL(offer_views(&view, 1, "k5", 5), OFFER_REFUSED);
	CU_ASSERT_EQUAL(state_of("k5", &hash), KEY_UNKNOWN);
	CU_ASSERT_EQUAL(state_of("k0", &hash), KEY_NOT_YET);
	CU_ASSERT_EQUAL(offer_views(&view, 1, NULL, 0), OFFER_TAKEN);
	run_until(12);
	CU_ASSERT_EQUAL(scene.n_delivered, 6);
	end();
}

static void test_several(void)
{
	struct message_view views[4] = {
		message("a/1", "one"), message("a/both", "two"), message("elsewhere", "three"), message("a/4", "four")};
	uint64_t hash;
	begin(tap_tempdir());
	open_bridge();
	CU_ASSERT_EQUAL(offer_views(views, 4, "k", 5), OFFER_TAKEN);
	/* One set: four messages and the key. */
	CU_ASSERT_EQUAL(journal_outbox(scene.bridge->journal, 0).next_seq, 4);
	CU_ASSERT_EQUAL(journal_outbox(scene.bridge->journal, 1).next_seq, 2);
	run_until(5);
	CU_ASSERT_EQUAL(scene.n_receipts, 1);
	CU_ASSERT_EQUAL(scene.n_delivered, 4);
	CU_ASSERT(was_delivered("one") && was_delivered("two") && was_delivered("four"));
	CU_ASSERT_EQUAL(state_of("k", &hash), KEY_KNOWN);
	CU_ASSERT_EQUAL(scene.bridge->endpoints[0]->taken, 4);
	CU_ASSERT_EQUAL(scene.bridge->endpoints[0]->unmatched, 1);
	end();
}

/* What is too large, or finds no room, takes the others with it. */
static void test_all_or_nothing(void)
{
	static char large[700001], too_large[1000002];
	memset(large, 'x', sizeof large - 1);
	memset(too_large, 'x', sizeof too_large - 1);
	uint64_t hash;
	struct message_view views[3] = {message("a/1", "one"), message("a/2", large), message("a/3", too_large)};
	begin(tap_tempdir());
	scene.connections[1].outbox.max_messages = 2;
	open_bridge();
	CU_ASSERT_EQUAL(offer_views(views, 3, "k", 5), OFFER_REFUSED); /* max_message_bytes */
	views[2] = views[1];
	CU_ASSERT_EQUAL(offer_views(&views[1], 2, "k", 5), OFFER_REFUSED); /* together they fit into no segment */
	CU_ASSERT_EQUAL(state_of("k", &hash), KEY_UNKNOWN);
	CU_ASSERT_EQUAL(journal_outbox(scene.bridge->journal, 0).next_seq, 1);
	CU_ASSERT_EQUAL(scene.bridge->endpoints[0]->refused, 2);
	views[1] = views[2] = views[0];
	CU_ASSERT_EQUAL(offer_views(views, 1, NULL, 0), OFFER_TAKEN);
	CU_ASSERT_EQUAL(offer_views(views, 3, "k", 5), OFFER_BUSY); /* max_messages */
	CU_ASSERT(scene.links[0]->paused);
	CU_ASSERT_EQUAL(state_of("k", &hash), KEY_UNKNOWN);
	CU_ASSERT_EQUAL(journal_outbox(scene.bridge->journal, 0).next_seq, 2);
	end();
}

/* What one destination drops of an offer is counted, and the others take theirs. */
static void test_several_dropped(void)
{
	struct message_view views[3] = {message("a/1", "one"), message("a/both", "two"), message("a/both", "three")};
	begin(tap_tempdir());
	scene.connections[1].outbox.max_messages = 2;
	scene.connections[1].outbox.when_full = WHEN_FULL_DROP_NEWEST;
	open_bridge();
	CU_ASSERT_EQUAL(offer_views(views, 1, NULL, 0), OFFER_TAKEN);
	CU_ASSERT_EQUAL(offer_views(views, 3, NULL, 0), OFFER_TAKEN);
	struct journal_outbox first = journal_outbox(scene.bridge->journal, 0);
	CU_ASSERT_EQUAL(first.next_seq, 2);
	CU_ASSERT_EQUAL(first.totals[JOURNAL_DROPPED_NEWEST], 3);
	CU_ASSERT_EQUAL(journal_outbox(scene.bridge->journal, 1).next_seq, 3);
	run_until(5);
	CU_ASSERT(was_delivered("one") && was_delivered("two") && was_delivered("three"));
	CU_ASSERT(scene.n_receipts == 2 && scene.n_delivered == 3);
	end();
}

static bool has_value(int sink, const char *topic, const char *payload)
{
	struct link_host *host = scene.links[sink]->host;
	struct message *msg = host->ops->last_value(host, slice_str(topic));
	return payload ? msg && slice_equal(message_view(msg)->payload, slice_str(payload)) : !msg;
}

static void count_value(struct message *msg, void *arg)
{
	(void)msg;
	++*(unsigned *)arg;
}

static unsigned n_values(int sink)
{
	unsigned n = 0;
	struct link_host *host = scene.links[sink]->host;
	host->ops->last_values(host, count_value, &n);
	return n;
}

static void offer_one(const char *topic, struct slice payload)
{
	struct message_view view = message(topic, "");
	view.payload = payload;
	CU_ASSERT_EQUAL(offer_views(&view, 1, NULL, 0), OFFER_TAKEN);
	run_until(scene.n_receipts + scene.n_delivered + 2);
}

static void test_last_value(void)
{
	static char large[600];
	const char *dir = tap_tempdir();
	memset(large, 'x', sizeof large - 1);
	begin(dir);
	scene.keep = true;
	open_bridge();
	CU_ASSERT(has_value(1, "a/x", NULL));
	offer_one("a/x", slice_str("one"));
	CU_ASSERT(has_value(1, "a/x", "one") && has_value(2, "a/x", NULL));
	offer_one("a/x", slice_str("two"));
	offer_one("a/gone", slice_str("x"));
	offer_one("a/gone", (struct slice){NULL, 0}); /* null removes */
	CU_ASSERT(has_value(1, "a/x", "two") && has_value(1, "a/gone", NULL) && n_values(1) == 1);
	CU_ASSERT_STRING_EQUAL(scene.changed, " a/x a/x a/gone a/gone");
	scene.keep = false;
	offer_one("a/x", slice_str("not kept"));
	CU_ASSERT(has_value(1, "a/x", "two"));
	end();

	begin(dir); /* before links start */
	scene.keep = true;
	open_bridge();
	CU_ASSERT(has_value(1, "a/x", "two") && n_values(1) == 1 && scene.n_delivered == 0);
	/* More than max_entries, and more than max_bytes. */
	offer_one("a/2", slice_str("2"));
	offer_one("a/3", slice_str("3"));
	CU_ASSERT_STRING_EQUAL(scene.changed, " a/2 a/3");
	offer_one("a/4", slice_str("4"));
	CU_ASSERT_STRING_EQUAL(scene.changed, " a/2 a/3 a/4 -");
	CU_ASSERT(has_value(1, "a/x", NULL) && has_value(1, "a/2", "2") && n_values(1) == 3);
	offer_one("a/2", slice_str(large));
	CU_ASSERT(has_value(1, "a/2", large) && n_values(1) == 3);
	offer_one("a/3", slice_str(large));
	CU_ASSERT(has_value(1, "a/3", large) && n_values(1) == 1);
	/* Larger than all: a wrong value would be worse than none. */
	static char too_large[1200];
	memset(too_large, 'x', sizeof too_large - 1);
	offer_one("a/3", slice_str(too_large));
	CU_ASSERT(n_values(1) == 0);
	CU_ASSERT_EQUAL(scene.bridge->endpoints[1]->values_too_large, 1);
	offer_one("a/x", slice_str("last"));
	CU_ASSERT_EQUAL(journal_outbox(scene.bridge->journal, 0).waiting, 0);
	end();

	begin(dir); /* nothing writes there any more */
	scene.config.mappings = &scene.mappings[1];
	scene.config.n_mappings = 1;
	open_bridge();
	CU_ASSERT_EQUAL(journal_values_stats(scene.bridge->journal, 0).n, 0);
	end();
}

static const struct tap_test tests[] = {
	{"a key is known with its message, over a restart as well", test_key},
	{"no room for a key", test_no_room_for_a_key},
	{"several messages in one offer", test_several},
	{"all of an offer or nothing", test_all_or_nothing},
	{"several messages, some of them dropped", test_several_dropped},
	{"last values, over restarts, within bounds", test_last_value},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("offers", tests);
}
