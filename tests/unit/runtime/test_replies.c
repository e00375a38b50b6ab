/* SPDX-License-Identifier: Apache-2.0
 *
 * Replies from courier to courier: the real couriers and the real journal, in manual mode on a disk in memory, around
 * replies_append. The reply and the word that its message is delivered are in one set, whatever crash comes when.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/endpoint.h"
#include "runtime/figures.h"
#include "tests/unit/journal/rig.h"

enum { SERVER, BROKER, ENDS }; /* who is asked, who is replied to */

struct link {
	unsigned sends;
	struct message *msg; /* the last one */
	uint64_t seq;
	bool is_server;
};

struct scene {
	struct rig rig;
	struct config config;
	struct connection_config connections[ENDS];
	struct endpoint ends[ENDS], *endpoints[ENDS];
	struct bridge bridge;
	bool silent; /* nobody takes replies from the couriers */
	struct link links[ENDS];
};

static void sink_send(struct link *link, const struct delivery *delivery)
{
	link->sends++;
	link->seq = delivery->seq;
	message_unref(link->msg);
	link->msg = message_ref(delivery->msg);
}

static void sink_send_end(struct link *link)
{
	(void)link;
}

static bool carries_headers(const void *settings)
{
	(void)settings;
	return true;
}

static const char *check_target(const void *settings, struct slice target)
{
	(void)settings;
	return target.len == 0 || memchr(target.data, '#', target.len) ? "no topic" : NULL;
}

static bool gives_replies(const void *settings)
{
	(void)settings;
	return true;
}

static const struct connector fake = {.name = "fake",
	.gives_replies = gives_replies,
	.can_sink = true,
	.carries_headers = carries_headers,
	.check_target = check_target,
	.send = sink_send,
	.send_end = sink_send_end};

static void scene_init(struct scene *scene)
{
	static char server[] = "server", broker[] = "broker";
	memset(scene, 0, sizeof *scene);
	rig_init(&scene->rig);
	char *names[] = {server, broker};
	for (unsigned i = 0; i < ENDS; i++)
		scene->connections[i] = (struct connection_config){.name = names[i],
			.connector = &fake,
			.outbox = {
				.max_bytes = 1 << 20, .backoff_min_ms = 10, .backoff_max_ms = 10, .lookahead = 1000}};
	scene->config =
		(struct config){.connections = scene->connections, .n_connections = ENDS, .max_message_bytes = 1 << 16};
}

static void on_room(void *ctx)
{
	const struct endpoint *end = ctx;
	courier_retry_replies(end->bridge->endpoints[SERVER]->courier);
}

/* A process begins. */
static void start(struct scene *scene)
{
	rig_open(&scene->rig);
	scene->bridge = (struct bridge){.config = &scene->config,
		.loop = scene->rig.loop,
		.journal = scene->rig.j,
		.endpoints = scene->endpoints,
		.n_endpoints = ENDS};
	for (unsigned i = 0; i < ENDS; i++) {
		struct endpoint *end = scene->endpoints[i] = &scene->ends[i];
		*end = (struct endpoint){.bridge = &scene->bridge,
			.config = &scene->connections[i],
			.connector = &fake,
			.is_sink = true};
		end->dest = (uint32_t)journal_destination(scene->rig.j, end->config->name);
		struct courier_options options = {
			.name = end->config->name,
			.loop = scene->rig.loop,
			.journal = scene->rig.j,
			.dest = end->dest,
			.outbox = &end->config->outbox,
			.connector = &fake,
			.link = &scene->links[i],
			.on_room = on_room,
			.on_reply = scene->silent ? NULL : replies_append,
			.ctx = end,
		};
		end->courier = courier_new(&options);
		CU_ASSERT_PTR_NOT_NULL_FATAL(end->courier);
		courier_link_up(end->courier, &(struct sink_traits){.max_in_flight = 10});
	}
}

static void stop(struct scene *scene, bool crash)
{
	for (unsigned i = 0; i < ENDS; i++) {
		courier_free(scene->ends[i].courier);
		message_unref(scene->links[i].msg);
		scene->links[i] = (struct link){0};
	}
	arena_free(&scene->bridge.reply_arena);
	if (crash)
		rig_crash(&scene->rig);
	else
		rig_close(&scene->rig);
}

/* Of the journal's threads that much work, and what follows from it. */
static void turn(struct scene *scene)
{
	rig_run(&scene->rig);
	for (unsigned i = 0; i < ENDS; i++)
		courier_durable(scene->ends[i].courier, journal_durable_lsn(scene->rig.j));
	loop_sim_advance(scene->rig.loop, 0);
}

static struct message_view request_view(const struct scene *scene, const struct message_field *params, size_t n)
{
	return (struct message_view){.topic = slice_str("/ask"),
		.payload = slice_str("?"),
		.order_key = slice_str("k"),
		.response_topic = slice_str("answers/7"),
		.correlation = slice_str("c-7"),
		.origin_ms = loop_wall_ms(scene->rig.loop),
		.qos = 1,
		.params = params,
		.n_params = n};
}

static void append_view(struct scene *scene, unsigned to, const struct message_view *view)
{
	struct endpoint *end = &scene->ends[to];
	struct journal_entry entry = {.dest = end->dest, .view = view};
	uint64_t lsn;
	CU_ASSERT_EQUAL_FATAL(journal_append(scene->rig.j, &entry, 1, NULL, 0, &lsn), 0);
	courier_appended(end->courier, &entry, lsn);
}

static void ask(struct scene *scene)
{
	struct message_field params[] = {{slice_str(MESSAGE_REPLY), slice_str("broker")},
		{slice_str(MESSAGE_REPLY_QOS), slice_str("2")}, {slice_str(MESSAGE_REPLY_HOPS), slice_str("3")}};
	struct message_view view = request_view(scene, params, 3);
	append_view(scene, SERVER, &view);
	turn(scene);
}

/* The server's: as a sink gives it. */
static void answer(struct scene *scene)
{
	struct message_field headers[] = {
		{slice_str("http-status"), slice_str("200")}, {slice_str("linkspan-hops"), slice_str("0")}};
	struct message_view reply = {
		.payload = slice_str("!"), .content_type = slice_str("text/plain"), .headers = headers, .n_headers = 2};
	courier_outcome(scene->ends[SERVER].courier, scene->links[SERVER].seq,
		&(struct outcome){.kind = OUTCOME_DELIVERED, .reply = &reply});
}

static struct journal_outbox box_of(const struct scene *scene, unsigned i)
{
	return journal_outbox(scene->rig.j, scene->ends[i].dest);
}

/* What the metrics say of who is asked. */
static struct destination_figures figures_of(const struct scene *scene)
{
	return bridge_connection(&scene->bridge, SERVER).destination;
}

static void test_reply(void)
{
	struct scene scene;
	scene_init(&scene);
	start(&scene);
	ask(&scene);
	CU_ASSERT_EQUAL_FATAL(scene.links[SERVER].sends, 1);
	answer(&scene);
	CU_ASSERT_EQUAL(scene.links[BROKER].sends, 0); /* not durable */
	turn(&scene);
	CU_ASSERT_EQUAL_FATAL(scene.links[BROKER].sends, 1);
	const struct message_view *view = message_view(scene.links[BROKER].msg);
	CU_ASSERT(slice_equal(view->topic, slice_str("answers/7")));
	CU_ASSERT(slice_equal(view->correlation, slice_str("c-7")));
	CU_ASSERT(slice_equal(view->payload, slice_str("!")));
	CU_ASSERT(slice_equal(view->content_type, slice_str("text/plain")));
	CU_ASSERT(slice_equal(message_header(view, "http-status"), slice_str("200")));
	CU_ASSERT(slice_equal(message_header(view, "linkspan-hops"), slice_str("3"))); /* not what the server says */
	CU_ASSERT(view->qos == 2 && !view->retain && !view->response_topic.data && view->n_params == 0);
	CU_ASSERT_EQUAL(scene.ends[SERVER].replies, 1);
	CU_ASSERT_EQUAL(box_of(&scene, SERVER).waiting, 0);
	CU_ASSERT_EQUAL(box_of(&scene, SERVER).totals[JOURNAL_DELIVERED], 1);
	stop(&scene, false);
	rig_fini(&scene.rig);
}

/* Killed after n steps of the journal since the answer: the message waits again, or its reply is there. */
static bool crash_after(unsigned steps)
{
	struct scene scene;
	scene_init(&scene);
	start(&scene);
	ask(&scene);
	answer(&scene);
	for (unsigned i = 0; i < steps; i++)
		journal_step(scene.rig.j);
	stop(&scene, true);
	start(&scene);
	bool repeated = box_of(&scene, SERVER).waiting == 1;
	uint64_t replies = box_of(&scene, BROKER).next_seq - 1;
	CU_ASSERT_EQUAL(replies, repeated ? 0 : 1);
	if (repeated) {
		turn(&scene);
		answer(&scene);
	}
	turn(&scene);
	CU_ASSERT_EQUAL(scene.links[BROKER].sends, 1);
	CU_ASSERT_EQUAL(box_of(&scene, BROKER).next_seq, 2);
	stop(&scene, false);
	rig_fini(&scene.rig);
	return repeated;
}

static void test_crashes(void)
{
	CU_ASSERT(crash_after(0));
	unsigned repeated = 0;
	for (unsigned steps = 0; steps < 6; steps++)
		repeated += crash_after(steps);
	CU_ASSERT(repeated > 0 && repeated < 6);
}

static void fill(struct scene *scene, unsigned n)
{
	struct message_view view = request_view(scene, NULL, 0);
	for (unsigned i = 0; i < n; i++)
		append_view(scene, BROKER, &view);
	turn(scene);
}

/* No room for it: the message stays undone, is not sent again, and ends as soon as there is. */
static void test_block(void)
{
	struct scene scene;
	scene_init(&scene);
	scene.connections[BROKER].outbox.max_messages = 1;
	scene.connections[SERVER].outbox.backoff_min_ms = scene.connections[SERVER].outbox.backoff_max_ms = 60000;
	start(&scene);
	fill(&scene, 1);
	ask(&scene);
	answer(&scene);
	turn(&scene);
	CU_ASSERT_EQUAL(box_of(&scene, SERVER).waiting, 1);
	CU_ASSERT_EQUAL(box_of(&scene, BROKER).waiting, 1);
	courier_outcome(
		scene.ends[BROKER].courier, scene.links[BROKER].seq, &(struct outcome){.kind = OUTCOME_DELIVERED});
	turn(&scene);
	turn(&scene);
	CU_ASSERT_EQUAL(scene.links[SERVER].sends, 1);
	CU_ASSERT_EQUAL(scene.links[BROKER].sends, 2);
	CU_ASSERT(slice_equal(message_view(scene.links[BROKER].msg)->topic, slice_str("answers/7")));
	CU_ASSERT_EQUAL(box_of(&scene, SERVER).waiting, 0);
	CU_ASSERT_EQUAL(figures_of(&scene).replies, 1);
	CU_ASSERT_EQUAL(figures_of(&scene).replies_dropped, 0);
	stop(&scene, false);
	rig_fini(&scene.rig);
}

static void test_nobody_takes_them(void)
{
	struct scene scene;
	scene_init(&scene);
	scene.silent = true;
	start(&scene);
	ask(&scene);
	answer(&scene);
	turn(&scene);
	CU_ASSERT_EQUAL(box_of(&scene, SERVER).waiting, 0);
	CU_ASSERT_EQUAL(figures_of(&scene).replies_dropped, 1);
	stop(&scene, false);
	rig_fini(&scene.rig);
}

static void test_drop_newest(void)
{
	struct scene scene;
	scene_init(&scene);
	scene.connections[BROKER].outbox.max_messages = 1;
	scene.connections[BROKER].outbox.when_full = WHEN_FULL_DROP_NEWEST;
	start(&scene);
	fill(&scene, 1);
	ask(&scene);
	answer(&scene);
	turn(&scene);
	CU_ASSERT_EQUAL(box_of(&scene, SERVER).waiting, 0);
	CU_ASSERT_EQUAL(box_of(&scene, BROKER).waiting, 1);
	CU_ASSERT_EQUAL(box_of(&scene, BROKER).totals[JOURNAL_DROPPED_NEWEST], 1);
	CU_ASSERT_EQUAL(figures_of(&scene).replies, 0);
	CU_ASSERT_EQUAL(figures_of(&scene).replies_dropped, 1);
	stop(&scene, false);
	rig_fini(&scene.rig);
}

/* A reply that is none, or that has nowhere to go: the message is delivered, and that is all. */
static void test_dropped(void)
{
	static uint8_t large[(1 << 16) + 1];
	struct scene scene;
	scene_init(&scene);
	start(&scene);
	struct message_view reply = {.payload = slice_str("!")};
	struct outcome outcome = {.kind = OUTCOME_DELIVERED, .reply = &reply};
	struct message_field gone = {slice_str(MESSAGE_REPLY), slice_str("elsewhere")};
	struct message_view view = request_view(&scene, &gone, 1);
	append_view(&scene, SERVER, &view);
	turn(&scene);
	courier_outcome(scene.ends[SERVER].courier, 1, &outcome);
	struct message_field params = {slice_str(MESSAGE_REPLY), slice_str("broker")};
	view = request_view(&scene, &params, 1);
	view.response_topic = slice_str("a/#"); /* the connection's rules may have changed */
	append_view(&scene, SERVER, &view);
	turn(&scene);
	courier_outcome(scene.ends[SERVER].courier, 2, &outcome);
	ask(&scene);
	reply.payload = slice_of(large, sizeof large);
	courier_outcome(scene.ends[SERVER].courier, 3, &outcome);
	turn(&scene);
	CU_ASSERT_EQUAL(figures_of(&scene).replies, 0);
	CU_ASSERT_EQUAL(figures_of(&scene).replies_dropped, 3);
	CU_ASSERT_EQUAL(box_of(&scene, SERVER).waiting, 0);
	CU_ASSERT_EQUAL(box_of(&scene, BROKER).next_seq, 1);
	CU_ASSERT_EQUAL(rig_logged("event=reply_dropped"), 3);
	stop(&scene, false);
	rig_fini(&scene.rig);
}

/* Somebody replies to the one who is asked. */
static void test_to_itself(void)
{
	struct scene scene;
	scene_init(&scene);
	start(&scene);
	struct message_field params = {slice_str(MESSAGE_REPLY), slice_str("server")};
	struct message_view view = request_view(&scene, &params, 1);
	for (unsigned i = 0; i < 100; i++)
		append_view(&scene, SERVER, &view);
	turn(&scene);
	answer(&scene);
	turn(&scene);
	CU_ASSERT_EQUAL(box_of(&scene, SERVER).next_seq, 102);
	CU_ASSERT_EQUAL(box_of(&scene, SERVER).waiting, 100);
	stop(&scene, false);
	rig_fini(&scene.rig);
}

static const struct tap_test tests[] = {
	{"a reply", test_reply},
	{"crashes", test_crashes},
	{"block", test_block},
	{"nobody takes them", test_nobody_takes_them},
	{"drop_newest", test_drop_newest},
	{"dropped", test_dropped},
	{"to itself", test_to_itself},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("replies", tests);
}
