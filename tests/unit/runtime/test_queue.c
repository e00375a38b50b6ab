/* SPDX-License-Identifier: Apache-2.0
 *
 * The queue service on a real journal, on a disk in memory, one step of its threads at a time: what is answered, what is
 * durable when it says so, and what a crash at any step leaves.
 */
#define _GNU_SOURCE /* memmem */
#include "runtime/queue_service.h"

#include <stdio.h>
#include <stdlib.h>

#include "journal/frame.h"
#include "message/buffer.h"
#include "tests/unit/journal/rig.h"

struct peer {
	struct queue_listener listener; /* first */
	struct buffer got;
	size_t unread, most_unread;
	bool reads; /* else it takes nothing */
	unsigned wants, ended;
};

struct scene {
	struct rig rig;
	struct queue_service *service;
	struct queue_job *job;
	struct peer peer;
};

/* --- the peer ---------------------------------------------------------------------------------------------------------- */

static uint8_t *peer_send(struct queue_listener *listener, size_t bytes)
{
	struct peer *peer = (struct peer *)listener;
	CU_ASSERT_EQUAL_FATAL(buffer_reserve(&peer->got, bytes), 0);
	peer->got.len += bytes;
	peer->unread += bytes;
	if (peer->unread > peer->most_unread)
		peer->most_unread = peer->unread;
	if (peer->reads)
		peer->unread = 0;
	return peer->got.data + peer->got.len - bytes;
}

static bool peer_can_send(struct queue_listener *listener)
{
	return ((struct peer *)listener)->unread < 64 * 1024;
}

static void peer_want_input(struct queue_listener *listener)
{
	((struct peer *)listener)->wants++;
}

static void peer_ended(struct queue_listener *listener)
{
	((struct peer *)listener)->ended++;
}

static bool said(const struct scene *s, const char *text)
{
	char *copy = calloc(1, s->peer.got.len + 1);
	if (s->peer.got.len)
		memcpy(copy, s->peer.got.data, s->peer.got.len);
	for (size_t i = 0; i < s->peer.got.len; i++)
		if (!copy[i])
			copy[i] = ' ';
	bool found = strstr(copy, text) != NULL;
	if (!found)
		printf("# not said: %s\n# but: %.300s\n", text, copy);
	free(copy);
	return found;
}

/* --- the scene --------------------------------------------------------------------------------------------------------- */

static void open_service(struct scene *s, uint64_t span)
{
	struct queue_service_options options = {.journal = s->rig.j, .loop = s->rig.loop, .maybe_sent_span = span};
	s->service = queue_service_new(&options);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s->service);
}

static void begin(struct scene *s)
{
	*s = (struct scene){.peer.reads = true};
	rig_init(&s->rig);
	rig_open(&s->rig);
	open_service(s, 10);
	s->peer.listener = (struct queue_listener){peer_send, peer_can_send, peer_want_input, peer_ended};
	buffer_init(&s->peer.got, 256u << 20);
}

static void end(struct scene *s)
{
	queue_service_free(s->service);
	rig_fini(&s->rig);
	buffer_free(&s->peer.got);
}

static void crash(struct scene *s)
{
	queue_service_free(s->service);
	rig_crash(&s->rig);
	rig_open(&s->rig);
	open_service(s, 10);
}

/* The machine loses power: what was not synced is lost, or not. */
static void power_cut(struct scene *s, unsigned seed)
{
	static const enum sim_loss losses[] = {SIM_KEEP_NONE, SIM_KEEP_ALL, SIM_KEEP_SOME, SIM_KEEP_SOME};
	uint64_t state = seed;
	struct sim_disk *image = sim_disk_power_loss(s->rig.sim, losses[seed % 4], &state);
	queue_service_free(s->service);
	int ignored = journal_close(s->rig.j);
	(void)ignored;
	sim_disk_free(s->rig.sim);
	s->rig.sim = image;
	rig_open(&s->rig);
	open_service(s, 10);
}

static bool step(struct scene *s)
{
	bool any = journal_step(s->rig.j);
	loop_sim_advance(s->rig.loop, 0);
	queue_service_durable(s->service, s->rig.durable);
	loop_sim_advance(s->rig.loop, 0);
	return any;
}

static void settle(struct scene *s)
{
	while (step(s))
		;
}

static void start(struct scene *s, const char *line)
{
	buffer_clear(&s->peer.got);
	s->peer.ended = s->peer.wants = 0;
	s->job = queue_job_start(s->service, slice_str(line), &s->peer.listener);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s->job);
	CU_ASSERT_EQUAL(s->peer.ended, 0);
}

static void ask(struct scene *s, const char *line)
{
	start(s, line);
	settle(s);
	CU_ASSERT_EQUAL(s->peer.ended, 1);
}

static struct message_view numbered(char text[16], unsigned number)
{
	snprintf(text, 16, "%u", number);
	return (struct message_view){.topic = slice_str(number % 2 ? "odd" : "even"),
		.order_key = slice_str("k"),
		.payload = slice_str(text),
		.origin_ms = 1600000000000 + number};
}

static void append(struct scene *s, unsigned number, uint8_t qos)
{
	char text[16];
	struct message_view view = numbered(text, number);
	view.qos = qos;
	struct journal_entry entry = {.dest = (uint32_t)s->rig.dest, .view = &view};
	uint64_t lsn;
	CU_ASSERT_EQUAL(journal_append(s->rig.j, &entry, 1, NULL, 0, &lsn), 0);
}

static void append_some(struct scene *s, unsigned n)
{
	for (unsigned i = 1; i <= n; i++)
		append(s, i, 1);
	settle(s);
}

static void on_letter(int error, void *arg)
{
	(void)arg;
	CU_ASSERT_EQUAL(error, 0);
}

/* A message that died; its sender had a wish, or not (0). */
static void bury_wish(struct scene *s, unsigned number, uint64_t expires_ms)
{
	char text[16];
	struct message_view view = numbered(text, number);
	view.expires_ms = expires_ms;
	view.reject_reason = slice_str("no");
	struct journal_entry entry = {.dest = (uint32_t)s->rig.dest, .view = &view};
	uint64_t lsn;
	CU_ASSERT_EQUAL_FATAL(journal_append(s->rig.j, &entry, 1, NULL, 0, &lsn), 0);
	settle(s);
	struct message *msg = message_new(&view);
	struct journal_letter letter = {.dest = entry.dest,
		.bytes = entry.bytes,
		.seq = entry.seq,
		.msg = msg,
		.reason = number < 3 ? "bad schema" : "refused",
		.attempts = 2};
	journal_dead_letter(s->rig.j, &letter, on_letter, NULL);
	settle(s);
	message_unref(msg);
}

static void bury(struct scene *s, unsigned number)
{
	bury_wish(s, number, 0);
}

/* --- what is there ------------------------------------------------------------------------------------------------------- */

struct tally {
	unsigned waiting[64], dead[64];
	unsigned n_waiting, n_dead;
	bool rejected; /* a waiting one would go to the dead letters at once */
	uint64_t queued_ms; /* of the last waiting one */
	bool other_origin; /* than when it was made */
	struct journal_dead_cursor at;
	bool more;
};

static void on_dead(const struct journal_dead_result *result, void *arg)
{
	struct tally *tally = arg;
	CU_ASSERT_EQUAL(result->error, 0);
	for (size_t i = 0; i < result->n_items; i++) {
		struct slice payload = message_view(result->items[i].msg)->payload;
		char text[16] = "";
		memcpy(text, payload.data, payload.len < 15 ? payload.len : 15);
		tally->dead[strtoul(text, NULL, 10) % 64]++;
		tally->n_dead++;
		message_unref(result->items[i].msg);
	}
	tally->at = result->next;
	tally->more = !result->at_end && result->error == 0;
}

static void on_waiting(const struct journal_read_result *result, void *arg)
{
	struct tally *tally = arg;
	for (size_t i = 0; i < result->n_items; i++) {
		const struct message_view *view = message_view(result->items[i].msg);
		char text[16] = "";
		memcpy(text, view->payload.data, view->payload.len < 15 ? view->payload.len : 15);
		tally->waiting[strtoul(text, NULL, 10) % 64]++;
		tally->n_waiting++;
		tally->rejected |= view->reject_reason.data != NULL;
		tally->queued_ms = view->queued_ms;
		tally->other_origin |= view->origin_ms != 1600000000000 + strtoul(text, NULL, 10);
		message_unref(result->items[i].msg);
	}
	tally->more = !result->at_end;
}

static struct tally count(struct scene *s)
{
	struct tally tally = {.more = true};
	while (tally.more) {
		struct journal_dead_query query = {
			.destination = "lake", .from = tally.at, .max_messages = 3, .max_bytes = 1000};
		CU_ASSERT_PTR_NOT_NULL_FATAL(journal_dead_read(s->rig.j, &query, on_dead, &tally));
		settle(s);
	}
	struct journal_reader *reader = journal_reader_new(s->rig.j, (uint32_t)s->rig.dest, 1, on_waiting, &tally);
	for (tally.more = true; tally.more;) {
		journal_reader_request(reader, 10, 1000);
		settle(s);
	}
	journal_reader_free(reader);
	return tally;
}

static unsigned dead_files(struct scene *s)
{
	unsigned n = 0;
	for (unsigned file = 1; file < 50; file++) {
		char path[100];
		snprintf(path, sizeof path, "dead/lake/%020u.dead", file);
		struct disk *disk = sim_disk_ops(s->rig.sim);
		int handle = disk->ops->open(disk, path, DISK_READ);
		n += handle >= 0;
		if (handle >= 0)
			disk->ops->close(disk, handle);
	}
	return n;
}

/* --- tests ----------------------------------------------------------------------------------------------------------------- */

static void test_ls(void)
{
	struct scene s;
	begin(&s);
	append_some(&s, 3);
	bury(&s, 4);
	bury(&s, 5);
	ask(&s, "{\"op\":\"ls\"}");
	CU_ASSERT(said(&s, "\"name\": \"lake\",\"link\": \"stopped\",\"paused\": false,\"waiting\": 3,"));
	CU_ASSERT(said(&s, "\"oldest_ms\": 1600000000001,"));
	CU_ASSERT(said(&s, "\"dead_lettered\": 2,"));
	CU_ASSERT(said(&s, "\"dead\": 2,"));
	CU_ASSERT(said(&s, "{\"end\": true,\"messages\": 0,\"kept\": 0}\n"));
	end(&s);
}

static void test_peek(void)
{
	struct scene s;
	begin(&s);
	append_some(&s, 9);
	ask(&s, "{\"op\":\"peek\",\"destination\":\"lake\",\"limit\":2,\"topic\":\"even\"}");
	CU_ASSERT(said(&s, "{\"end\": true,\"messages\": 2,"));
	ask(&s, "{\"op\":\"peek\",\"destination\":\"lake\",\"first\":3,\"last\":5}");
	CU_ASSERT(said(&s, "{\"end\": true,\"messages\": 3,"));
	ask(&s, "{\"op\":\"peek\",\"destination\":\"lake\",\"first\":30}");
	CU_ASSERT(said(&s, "{\"end\": true,\"messages\": 0,"));
	ask(&s, "{\"op\":\"peek\",\"destination\":\"sea\"}");
	CU_ASSERT(said(&s, "there is no destination 'sea'"));
	ask(&s, "{\"op\":\"peek\",\"destination\":\"lake\",\"dead\":true}");
	CU_ASSERT(said(&s, "{\"end\": true,\"messages\": 0,"));
	end(&s);
}

static void test_mistakes(void)
{
	static const char *const lines[] = {"", "{", "[]", "7", "{}", "{\"op\":\"dance\"}", "{\"op\":7}",
		"{\"op\":\"peek\"}", "{\"op\":\"peek\",\"destination\":7}",
		"{\"op\":\"peek\",\"destination\":\"lake\",\"limit\":-1}",
		"{\"op\":\"peek\",\"destination\":\"lake\",\"limit\":99999999999999999999}",
		"{\"op\":\"peek\",\"destination\":\"lake\",\"topic\":\"a/#/b\"}",
		"{\"op\":\"peek\",\"destination\":\"lake\",\"dead\":1}",
		"{\"op\":\"peek\",\"destination\":\"lake\",\"reason\":\"x\"}",
		"{\"op\":\"peek\",\"destination\":\"la\\u0000ke\"}"};
	struct scene s;
	begin(&s);
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		ask(&s, lines[i]);
		CU_ASSERT(said(&s, "\"error\": \"the request is not understood: "));
	}
	end(&s);
}

/* A listener that takes nothing: a bounded amount is kept for it, and all comes when it goes on. */
static void test_back_pressure(void)
{
	struct scene s;
	char payload[1000];
	memset(payload, 'x', sizeof payload);
	begin(&s);
	for (unsigned i = 0; i < 3000; i++) {
		CU_ASSERT_EQUAL(rig_append_bytes(&s.rig, payload, sizeof payload, NULL), 0);
		if (i % 100 == 0)
			settle(&s);
	}
	settle(&s);
	s.peer.reads = false;
	start(&s, "{\"op\":\"export\",\"destination\":\"lake\"}");
	settle(&s);
	CU_ASSERT_EQUAL(s.peer.ended, 0);
	CU_ASSERT(s.peer.unread > 0);
	for (unsigned i = 0; i < 1000 && !s.peer.ended; i++) {
		s.peer.unread = 0;
		queue_job_go_on(s.job);
		settle(&s);
	}
	CU_ASSERT(said(&s, "{\"end\": true,\"messages\": 3000,"));
	CU_ASSERT(s.peer.most_unread < 256 * 1024);
	end(&s);
}

/* A client that goes away ends its work: at once, or when what is under way has come back. */
static void test_cancel(void)
{
	struct scene s;
	begin(&s);
	append_some(&s, 50);
	start(&s, "{\"op\":\"export\",\"destination\":\"lake\"}");
	queue_job_cancel(s.job);
	settle(&s);
	CU_ASSERT(queue_service_is_idle(s.service));
	CU_ASSERT_EQUAL(s.peer.ended, 0);
	start(&s, "{\"op\":\"import\"}");
	queue_job_cancel(s.job);
	settle(&s);
	CU_ASSERT(queue_service_is_idle(s.service));
	s.peer.reads = false;
	s.peer.unread = 1 << 20;
	start(&s, "{\"op\":\"export\",\"destination\":\"lake\"}");
	settle(&s);
	CU_ASSERT_FALSE(queue_service_is_idle(s.service));
	queue_job_cancel(s.job);
	settle(&s);
	CU_ASSERT(queue_service_is_idle(s.service));
	end(&s);
}

/* --- import */

static struct slice import_frame(uint8_t room[300], const struct message_view *view, const char *destination)
{
	struct frame frame = {
		.type = FRAME_MSG, .name = slice_str(destination), .body = {NULL, message_encoded_size(view)}};
	message_encode(view, frame_encode(&frame, room));
	frame_seal(room, 0);
	return slice_of(room, frame_size(&frame));
}

static bool import_number(struct scene *s, unsigned number, const char *destination)
{
	uint8_t room[300];
	char text[16];
	struct message_view view = numbered(text, number);
	return queue_job_input(s->job, import_frame(room, &view, destination));
}

static void test_import(void)
{
	struct scene s;
	begin(&s);
	start(&s, "{\"op\":\"import\"}");
	unsigned waits = 0;
	for (unsigned i = 1; i <= 600; i++)
		if (!import_number(&s, i % 64, "lake")) {
			waits++;
			CU_ASSERT_EQUAL(s.peer.wants, waits - 1);
			settle(&s);
			CU_ASSERT_EQUAL(s.peer.wants, waits);
		}
	CU_ASSERT(waits >= 2);
	queue_job_input_end(s.job);
	CU_ASSERT_EQUAL(s.peer.ended, 0);
	settle(&s);
	CU_ASSERT(said(&s, "{\"end\": true,\"messages\": 600,"));
	crash(&s);
	struct tally tally = count(&s);
	CU_ASSERT(tally.n_waiting == 600 && tally.queued_ms == loop_wall_ms(s.rig.loop) && !tally.other_origin);
	end(&s);
}

static void test_import_mistakes(void)
{
	struct scene s;
	uint8_t room[300];
	char text[16];
	begin(&s);
	start(&s, "{\"op\":\"import\"}");
	import_number(&s, 1, "lake");
	import_number(&s, 2, "sea");
	settle(&s);
	CU_ASSERT(said(&s, "there is no destination 'sea'"));
	start(&s, "{\"op\":\"import\"}");
	queue_job_input(s.job, slice_str("garbage"));
	settle(&s);
	CU_ASSERT(said(&s, "message 1 is not readable"));
	start(&s, "{\"op\":\"import\"}");
	struct message_view view = numbered(text, 3);
	view.order_key = (struct slice){NULL, 0};
	queue_job_input(s.job, import_frame(room, &view, "lake"));
	settle(&s);
	CU_ASSERT(said(&s, "message 1 lacks its order key"));
	start(&s, "{\"op\":\"import\",\"destination\":\"sea\"}");
	settle(&s);
	CU_ASSERT(said(&s, "there is no destination 'sea'"));
	CU_ASSERT_EQUAL(count(&s).n_waiting, 0); /* the set of a mistake is not half taken */
	end(&s);
}

/* --- requeue */

static void test_requeue(void)
{
	struct scene s;
	begin(&s);
	for (unsigned i = 1; i <= 6; i++)
		bury(&s, i);
	ask(&s, "{\"op\":\"requeue\",\"destination\":\"lake\",\"reason\":\"schema\"}");
	CU_ASSERT(said(&s, "{\"end\": true,\"messages\": 2,"));
	struct tally tally = count(&s);
	CU_ASSERT(tally.n_waiting == 2 && tally.waiting[1] == 1 && tally.waiting[2] == 1 && tally.n_dead == 4);
	CU_ASSERT_FALSE(tally.rejected);
	ask(&s, "{\"op\":\"requeue\",\"destination\":\"lake\",\"topic\":\"odd\",\"limit\":1}");
	CU_ASSERT(said(&s, "{\"end\": true,\"messages\": 1,"));
	bury(&s, 7); /* the next letter goes on in a file of its own */
	CU_ASSERT_EQUAL(dead_files(&s), 2);
	ask(&s, "{\"op\":\"requeue\",\"destination\":\"lake\"}");
	CU_ASSERT(said(&s, "{\"end\": true,\"messages\": 4,"));
	CU_ASSERT_EQUAL(dead_files(&s), 0);
	crash(&s);
	tally = count(&s);
	CU_ASSERT(tally.n_waiting == 7 && tally.n_dead == 0);
	end(&s);
}

/* It is as old as it is, but waits from now on; one that would expire at once by its sender's wish stays. */
static void test_requeue_old(void)
{
	struct scene s;
	begin(&s);
	uint64_t now_ms = loop_wall_ms(s.rig.loop);
	bury_wish(&s, 1, now_ms - 1);
	bury_wish(&s, 2, now_ms + 1000);
	bury_wish(&s, 3, 0);
	ask(&s, "{\"op\":\"requeue\",\"destination\":\"lake\"}");
	CU_ASSERT(said(&s, "{\"end\": true,\"messages\": 2,\"kept\": 1}"));
	struct tally tally = count(&s);
	CU_ASSERT(tally.n_waiting == 2 && tally.waiting[1] == 0 && tally.n_dead == 1 && tally.dead[1] == 1);
	CU_ASSERT_FALSE(tally.other_origin);
	CU_ASSERT_EQUAL(tally.queued_ms, now_ms);
	end(&s);
}

/* At any step: a letter may be there twice, in one place at least, and those that do not fit the filter stay. */
static void requeue_and_crash(unsigned cut)
{
	bool done = false;
	for (unsigned steps = 0; !done; steps++) {
		struct scene s;
		begin(&s);
		for (unsigned i = 1; i <= 5; i++)
			bury(&s, i);
		start(&s, steps % 2 ? "{\"op\":\"requeue\",\"destination\":\"lake\"}"
				    : "{\"op\":\"requeue\",\"destination\":\"lake\",\"reason\":\"schema\"}");
		for (unsigned i = 0; i < steps / 2; i++)
			step(&s);
		done = s.peer.ended && steps % 2;
		if (s.peer.ended)
			CU_ASSERT(said(&s, "{\"end\": true,\"messages\": "));
		if (cut)
			power_cut(&s, cut + 4 * steps);
		else
			crash(&s);
		struct tally tally = count(&s);
		for (unsigned i = 1; i <= 5; i++) {
			CU_ASSERT(tally.waiting[i] + tally.dead[i] >= 1);
			CU_ASSERT(tally.waiting[i] <= 1 && tally.dead[i] <= 1);
			CU_ASSERT(steps % 2 || i < 3 || tally.dead[i] == 1);
		}
		if (done)
			CU_ASSERT(tally.n_waiting == 5 && tally.n_dead == 0);
		end(&s);
		CU_ASSERT_FATAL(steps < 100);
	}
}

static void test_requeue_crash(void)
{
	for (unsigned cut = 0; cut <= 20; cut++)
		requeue_and_crash(cut);
}

/* A client that goes away between the appending and the removing leaves no letter in both places. More letters than are
 * sent at a time. */
static void test_requeue_orphan(void)
{
	for (unsigned steps = 0; steps < 12; steps++) {
		struct scene s;
		begin(&s);
		for (unsigned i = 1; i <= 600; i++)
			bury(&s, i % 64);
		start(&s, "{\"op\":\"requeue\",\"destination\":\"lake\"}");
		for (unsigned i = 0; i < steps; i++)
			step(&s);
		if (!s.peer.ended)
			queue_job_cancel(s.job);
		settle(&s);
		CU_ASSERT(queue_service_is_idle(s.service));
		struct tally tally = count(&s);
		CU_ASSERT_EQUAL(tally.n_waiting + tally.n_dead, 600);
		end(&s);
	}
}

static void test_one_remover(void)
{
	struct scene s;
	begin(&s);
	bury(&s, 1);
	struct queue_job *first = queue_job_start(
		s.service, slice_str("{\"op\":\"requeue\",\"destination\":\"lake\"}"), &s.peer.listener);
	struct peer other = {.listener = s.peer.listener, .reads = true};
	buffer_init(&other.got, 1 << 20);
	CU_ASSERT_PTR_NOT_NULL_FATAL(first);
	CU_ASSERT_PTR_NOT_NULL_FATAL(queue_job_start(
		s.service, slice_str("{\"op\":\"purge\",\"dead\":true,\"destination\":\"lake\"}"), &other.listener));
	settle(&s);
	CU_ASSERT(s.peer.ended == 1 && other.ended == 1);
	CU_ASSERT(memmem(other.got.data, other.got.len, "another client", 14) != NULL);
	buffer_free(&other.got);
	end(&s);
}

/* --- purge */

static void test_purge_waiting(void)
{
	struct scene s;
	begin(&s);
	for (unsigned i = 1; i <= 20; i++)
		append(&s, i, i == 3 || i == 15 ? 2 : 1);
	settle(&s);
	ask(&s, "{\"op\":\"purge\",\"destination\":\"lake\",\"topic\":\"odd\"}");
	/* 3 may have been sent by the process before (among the first ten); 15 cannot have been. */
	CU_ASSERT(said(&s, "{\"end\": true,\"messages\": 9,\"kept\": 1}"));
	crash(&s);
	struct tally tally = count(&s);
	CU_ASSERT(tally.n_waiting == 11 && tally.waiting[3] == 1 && tally.waiting[15] == 0 && tally.waiting[2] == 1);
	CU_ASSERT_EQUAL(journal_outbox(s.rig.j, (uint32_t)s.rig.dest).totals[JOURNAL_PURGED], 9);
	end(&s);
}

static void test_purge_stage(void)
{
	struct scene s;
	begin(&s);
	append_some(&s, 3);
	CU_ASSERT_EQUAL(rig_change(&s.rig,
				(struct journal_change){
					.type = JOURNAL_STAGE, .dest = (uint32_t)s.rig.dest, .seq = 2, .stage = 1}),
		0);
	ask(&s, "{\"op\":\"purge\",\"destination\":\"lake\"}");
	CU_ASSERT(said(&s, "{\"end\": true,\"messages\": 2,\"kept\": 1}"));
	CU_ASSERT_EQUAL(count(&s).waiting[2], 1);
	end(&s);
}

static void test_purge_dead(void)
{
	struct scene s;
	begin(&s);
	for (unsigned i = 1; i <= 6; i++)
		bury(&s, i);
	ask(&s, "{\"op\":\"purge\",\"dead\":true,\"destination\":\"lake\",\"topic\":\"odd\"}");
	CU_ASSERT(said(&s, "{\"end\": true,\"messages\": 3,"));
	struct tally tally = count(&s);
	CU_ASSERT(tally.n_dead == 3 && tally.dead[2] == 1 && tally.n_waiting == 0);
	ask(&s, "{\"op\":\"purge\",\"dead\":true,\"destination\":\"lake\"}");
	CU_ASSERT(said(&s, "{\"end\": true,\"messages\": 3,"));
	CU_ASSERT_EQUAL(dead_files(&s), 0);
	end(&s);
}

/* What cannot be read stays with a filter, and goes when everything is to go. */
static void test_unreadable(void)
{
	struct scene s;
	begin(&s);
	bury(&s, 1);
	bury(&s, 2);
	struct disk *disk = sim_disk_ops(s.rig.sim);
	int handle = disk->ops->open(disk, "dead/lake/00000000000000000001.dead", DISK_WRITE);
	CU_ASSERT_FATAL(handle >= 0);
	int64_t size = disk->ops->size(disk, handle);
	CU_ASSERT_EQUAL(disk->ops->pwrite(disk, handle, "torn", 4, (uint64_t)size), 0);
	disk->ops->close(disk, handle);
	ask(&s, "{\"op\":\"ls\"}");
	CU_ASSERT(said(&s, "\"dead\": 2,"));
	CU_ASSERT(said(&s, "\"dead_unreadable_bytes\": 4"));
	ask(&s, "{\"op\":\"requeue\",\"destination\":\"lake\"}");
	CU_ASSERT(said(&s, "{\"end\": true,\"messages\": 2,"));
	CU_ASSERT_EQUAL(dead_files(&s), 1);
	ask(&s, "{\"op\":\"purge\",\"dead\":true,\"destination\":\"lake\"}");
	CU_ASSERT(said(&s, "{\"end\": true,\"messages\": 0,"));
	CU_ASSERT_EQUAL(dead_files(&s), 0);
	end(&s);
}

/* --- pause */

static bool is_paused(struct scene *s)
{
	return journal_outbox(s->rig.j, (uint32_t)s->rig.dest).paused;
}

static void test_pause(void)
{
	struct scene s;
	begin(&s);
	ask(&s, "{\"op\":\"pause\",\"destination\":\"lake\"}");
	CU_ASSERT(said(&s, "{\"end\": true,\"messages\": 0,\"kept\": 0}"));
	for (unsigned i = 0; i < 3; i++) { /* from its frame, then from a CHECKPOINT */
		crash(&s);
		CU_ASSERT(is_paused(&s));
	}
	rig_close(&s.rig);
	queue_service_free(s.service);
	rig_open(&s.rig);
	open_service(&s, 10);
	CU_ASSERT(is_paused(&s));
	ask(&s, "{\"op\":\"ls\"}");
	CU_ASSERT(said(&s, "\"paused\": true,"));
	ask(&s, "{\"op\":\"resume\",\"destination\":\"lake\"}");
	for (unsigned i = 0; i < 2; i++) {
		crash(&s);
		CU_ASSERT_FALSE(is_paused(&s));
	}
	end(&s);
}

static const struct tap_test tests[] = {
	{"ls", test_ls},
	{"peek", test_peek},
	{"requests that are none", test_mistakes},
	{"a listener that takes nothing", test_back_pressure},
	{"a listener that goes away", test_cancel},
	{"import", test_import},
	{"import: mistakes", test_import_mistakes},
	{"requeue", test_requeue},
	{"requeue of what is old", test_requeue_old},
	{"requeue and a crash at any step", test_requeue_crash},
	{"requeue and a client that goes away", test_requeue_orphan},
	{"one client removes dead letters at a time", test_one_remover},
	{"purge of what waits", test_purge_waiting},
	{"purge keeps what the peer has in part", test_purge_stage},
	{"purge of dead letters", test_purge_dead},
	{"what cannot be read among the dead letters", test_unreadable},
	{"pause and resume outlive the process", test_pause},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("queue", tests);
}
