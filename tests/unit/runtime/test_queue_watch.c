/* SPDX-License-Identifier: Apache-2.0
 *
 * Watchers: what they are told, what they are not told when they do not read, and that nothing of a secret is left by cutting.
 */
#define _GNU_SOURCE /* memmem */
#include "runtime/queue_watch.h"

#include <stdio.h>
#include <stdlib.h>

#include "message/buffer.h"
#include "tests/unit/tap.h"

struct peer {
	struct queue_listener listener; /* first */
	struct buffer got;
	bool reads;
	unsigned ended;
};

static struct loop *loop;
static struct queue_service *service;
static bool watched;

static uint8_t *peer_send(struct queue_listener *listener, size_t bytes)
{
	struct peer *peer = (struct peer *)listener;
	CU_ASSERT_EQUAL_FATAL(buffer_reserve(&peer->got, bytes), 0);
	peer->got.len += bytes;
	return peer->got.data + peer->got.len - bytes;
}

static bool peer_can_send(struct queue_listener *listener)
{
	return ((struct peer *)listener)->reads;
}

static void peer_ended(struct queue_listener *listener)
{
	((struct peer *)listener)->ended++;
}

/* "secret" is one. */
static char *redact(void *ctx, const char *text)
{
	(void)ctx;
	char *copy = strdup(text);
	for (char *at = copy; (at = strstr(at, "secret"));)
		memcpy(at, "******", 6);
	return copy;
}

static void begin(void)
{
	loop = loop_new_simulated(1);
	struct queue_service_options options = {.loop = loop, .watched = &watched, .redact = redact};
	service = queue_service_new(&options);
	CU_ASSERT_PTR_NOT_NULL_FATAL(service);
}

static void end(void)
{
	queue_service_free(service);
	loop_free(loop);
}

static struct queue_job *watch(struct peer *peer, const char *line)
{
	*peer = (struct peer){.listener = {peer_send, peer_can_send, NULL, peer_ended}, .reads = true};
	buffer_init(&peer->got, 16u << 20);
	struct queue_job *job = queue_job_start(service, slice_str(line), &peer->listener);
	CU_ASSERT_PTR_NOT_NULL_FATAL(job);
	return job;
}

static bool said(const struct peer *peer, const char *text)
{
	char *copy = calloc(1, peer->got.len + 1);
	if (peer->got.len)
		memcpy(copy, peer->got.data, peer->got.len);
	bool found = strstr(copy, text) != NULL;
	if (!found)
		printf("# not said: %s\n# but: %.600s\n", text, copy);
	free(copy);
	return found;
}

static void pass(const char *topic, char separator, struct slice payload, uint64_t seq)
{
	struct message_view view = {.topic = slice_str(topic), .payload = payload, .origin_ms = 7};
	struct queue_watched_output output = {"rule", "lake", 3, seq, seq ? "queued" : "dropped", &view};
	struct queue_watched message = {
		.connection = "plant", .separator = separator, .view = &view, .outputs = &output, .n_outputs = 1};
	queue_watch_message(service, &message);
}

static void test_told(void)
{
	struct peer all, some;
	begin();
	CU_ASSERT_FALSE(watched);
	watch(&all, "{\"op\":\"watch\"}");
	watch(&some, "{\"op\":\"watch\",\"topic\":\"a/{x}/c\"}");
	CU_ASSERT_TRUE(watched);
	pass("a/b/c", '/', slice_str("one"), 11);
	pass("a.b.c", '.', slice_str("two"), 12);
	pass("a/b", '/', slice_of("\xff\x01", 2), 0);
	CU_ASSERT_TRUE(said(
		&some, "\"n\": 2,\"time_ms\": 7,\"connection\": \"plant\",\"topic\": \"a.b.c\",\"payload\": \"two\""));
	CU_ASSERT_TRUE(said(&all, "\"n\": 3,\"time_ms\": 7,\"connection\": \"plant\",\"topic\": \"a/b\",\"payload\": "
				  "{\"hex\": \"ff01\"}"));
	CU_ASSERT_TRUE(said(&all,
		"{\"output\": {\"n\": 3,\"mapping\": \"rule\",\"destination\": \"lake\",\"topic\": \"a/b\",\"what\": "
		"\"dropped\"}}"));
	queue_watch_outcome(service, 3, "lake", 12, "to be sent again", "busy", false);
	queue_watch_outcome(service, 3, "lake", 12, "delivered", NULL, true);
	CU_ASSERT_TRUE(said(&some,
		"{\"outcome\": {\"n\": 2,\"destination\": \"lake\",\"seq\": 12,\"what\": \"to be sent "
		"again\",\"reason\": "
		"\"busy\"}}\n{\"outcome\": {\"n\": 2,\"destination\": \"lake\",\"seq\": 12,\"what\": \"delivered\"}}"));
	size_t len = some.got.len;
	queue_watch_outcome(service, 3, "lake", 12, "delivered", NULL, true); /* it is over */
	queue_watch_outcome(service, 4, "other", 11, "delivered", NULL, true); /* of another destination */
	queue_watch_outcome(service, 3, "lake", 13, "delivered", NULL, true); /* not told of */
	CU_ASSERT_EQUAL(some.got.len, len);
	end();
	buffer_free(&all.got);
	buffer_free(&some.got);
}

static void test_lost(void)
{
	struct peer peer;
	begin();
	struct queue_job *job = watch(&peer, "{\"op\":\"watch\"}");
	pass("t", '/', slice_str("told"), 1);
	size_t len = peer.got.len;
	peer.reads = false;
	for (uint64_t seq = 2; seq < 100002; seq++)
		pass("t", '/', slice_str("x"), seq);
	queue_watch_outcome(service, 3, "lake", 1, "delivered", NULL, true);
	CU_ASSERT_EQUAL(peer.got.len, len); /* nothing is kept for him */
	peer.reads = true;
	queue_job_go_on(job);
	CU_ASSERT_TRUE(said(&peer, "{\"lost\": 100001}\n"));
	pass("t", '/', slice_str("again"), 100002);
	CU_ASSERT_TRUE(said(&peer, "\"n\": 100002,"));
	queue_watch_outcome(service, 3, "lake", 5000, "delivered", NULL, true); /* was lost: nobody knows its message */
	CU_ASSERT_FALSE(memmem(peer.got.data, peer.got.len, "5000", 4));
	end();
	buffer_free(&peer.got);
}

static void test_end(void)
{
	struct peer one, two;
	begin();
	struct queue_job *job = watch(&one, "{\"op\":\"watch\"}");
	struct queue_job *other = watch(&two, "{\"op\":\"watch\",\"topic\":\"#\"}");
	queue_job_cancel(job);
	loop_sim_advance(loop, 0);
	CU_ASSERT(one.ended == 0 && watched); /* he is gone, the other one is not */
	size_t len = one.got.len;
	pass("t", '/', slice_str("x"), 1);
	CU_ASSERT(one.got.len == len && said(&two, "\"payload\": \"x\""));
	queue_job_cancel(other);
	loop_sim_advance(loop, 0);
	CU_ASSERT(!watched && queue_service_is_idle(service));
	pass("t", '/', slice_str("x"), 2);
	end();
	buffer_free(&one.got);
	buffer_free(&two.got);
}

/* The secret lies across the place where the text is cut. */
static void test_cut(void)
{
	char payload[400];
	struct peer peer;
	begin();
	watch(&peer, "{\"op\":\"watch\"}");
	for (size_t at = 230; at < 245; at++) {
		memset(payload, 'x', sizeof payload);
		memcpy(payload + at, "secret", 6);
		pass("t", '/', slice_of(payload, sizeof payload), 1);
	}
	CU_ASSERT_FALSE(memmem(peer.got.data, peer.got.len, "xs", 2));
	memset(payload, 'x', sizeof payload);
	memcpy(payload + 239, "\xc3\xa4", 2); /* and no half of a character is left */
	pass("t", '/', slice_of(payload, sizeof payload), 1);
	CU_ASSERT_FALSE(memmem(peer.got.data, peer.got.len, "\xc3", 1));
	CU_ASSERT_TRUE(said(&peer, "\"bytes\": 400"));
	end();
	buffer_free(&peer.got);
}

static void test_nobody_runs(void)
{
	struct peer peer;
	loop = loop_new_simulated(1);
	struct queue_service_options options = {.loop = loop};
	service = queue_service_new(&options);
	watch(&peer, "{\"op\":\"watch\"}");
	loop_sim_advance(loop, 0);
	CU_ASSERT(peer.ended == 1 && said(&peer, "nothing to watch"));
	end();
	buffer_free(&peer.got);
}

static const struct tap_test tests[] = {
	{"messages, outputs and outcomes", test_told},
	{"who does not read", test_lost},
	{"the end", test_end},
	{"secrets where a text is cut", test_cut},
	{"without a daemon", test_nobody_runs},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("queue watch", tests);
}
