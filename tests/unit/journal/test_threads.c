/* SPDX-License-Identifier: Apache-2.0
 *
 * The journal with its threads, on the real disk and the real loop. Run it under TSan.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "journal/journal.h"
#include "tests/unit/tap.h"

#define MESSAGES   20000u
#define BURST      50u
#define PAYLOAD    1000u
#define SEGMENT    (1024u * 1024)
#define DEAD_EVERY 997u

/* Appends in bursts; reads everything back by a reader that lags; finishes what it read, now and then by a dead letter. */
struct scene {
	struct disk *disk;
	struct loop *loop;
	struct journal *j;
	uint32_t dest;
	struct journal_reader *reader;
	struct loop_job append_job;
	uint64_t appended, read, done, dead, durable_lsn;
	bool held; /* -ENOSPC: until on_room */
	bool reading, wrong;
	uint64_t read_from; /* nothing is read before so many were appended */
	uint32_t bytes;
};

static void append_burst(void *arg);
static void request(struct scene *scene);

static void finish_if_done(struct scene *scene)
{
	if (scene->done + scene->dead == MESSAGES)
		loop_stop(scene->loop);
}

static void on_dead(int error, void *arg)
{
	struct scene *scene = arg;
	scene->wrong |= error != 0;
	scene->dead++;
	finish_if_done(scene);
}

static void on_read(const struct journal_read_result *result, void *arg)
{
	struct scene *scene = arg;
	scene->reading = false;
	for (size_t i = 0; i < result->n_items; i++) {
		const struct journal_read *item = &result->items[i];
		const struct message_view *view = message_view(item->msg);
		uint64_t number;
		memcpy(&number, view->payload.data, sizeof number);
		scene->wrong |=
			item->seq != ++scene->read || number != item->seq || item->lsn > journal_durable_lsn(scene->j);
		if (item->seq % DEAD_EVERY == 0) {
			struct journal_letter letter = {.dest = scene->dest,
				.seq = item->seq,
				.bytes = item->bytes,
				.msg = item->msg,
				.reason = "refused",
				.attempts = 3};
			journal_dead_letter(scene->j, &letter, on_dead, scene);
		} else {
			journal_finish(scene->j, scene->dest, item->seq, item->bytes, JOURNAL_DELIVERED);
			scene->done++;
		}
		message_unref(item->msg);
	}
	finish_if_done(scene);
	if (!result->at_end)
		request(scene);
}

static void request(struct scene *scene)
{
	if (scene->reading || scene->appended < scene->read_from)
		return;
	scene->reading = true;
	journal_reader_request(scene->reader, 256, 256 * 1024);
}

static void append_burst(void *arg)
{
	struct scene *scene = arg;
	uint8_t payload[PAYLOAD] = {0};
	for (unsigned i = 0; i < BURST && scene->appended < MESSAGES; i++) {
		uint64_t number = scene->appended + 1;
		memcpy(payload, &number, sizeof number);
		struct message_view view = {.topic = slice_str("plant/a"),
			.order_key = slice_str("plant/a"),
			.payload = slice_of(payload, sizeof payload)};
		struct journal_entry entry = {.dest = scene->dest, .view = &view};
		uint64_t lsn;
		int r = journal_append(scene->j, &entry, 1, NULL, 0, &lsn);
		if (r == -ENOSPC) {
			scene->held = true;
			return;
		}
		scene->wrong |= r < 0 || entry.seq != number;
		scene->appended++;
	}
	if (scene->appended < MESSAGES)
		loop_post(scene->loop, &scene->append_job);
}

static void on_durable(void *ctx, uint64_t lsn)
{
	struct scene *scene = ctx;
	scene->wrong |= lsn <= scene->durable_lsn;
	scene->durable_lsn = lsn;
	request(scene);
}

static void on_room(void *ctx)
{
	struct scene *scene = ctx;
	scene->held = false;
	append_burst(scene);
}

static void on_failed(void *ctx, int error)
{
	struct scene *scene = ctx;
	(void)error;
	scene->wrong = true;
	loop_stop(scene->loop);
}

static void open_scene(struct scene *scene, const char *path)
{
	scene->disk = disk_posix_new(path);
	scene->loop = loop_new();
	struct journal_options options = {.disk = scene->disk,
		.loop = scene->loop,
		.segment_bytes = SEGMENT,
		.max_bytes = 3 * SEGMENT,
		.on_durable = on_durable,
		.on_room = on_room,
		.on_failed = on_failed,
		.ctx = scene};
	CU_ASSERT_EQUAL_FATAL(journal_open(&options, &scene->j), 0);
	int dest = journal_destination(scene->j, "lake");
	CU_ASSERT_FATAL(dest >= 0);
	scene->dest = (uint32_t)dest;
	loop_job_init(&scene->append_job, append_burst, scene);
}

static void close_scene(struct scene *scene)
{
	CU_ASSERT_EQUAL(journal_close(scene->j), 0);
	loop_free(scene->loop);
	disk_posix_free(scene->disk);
}

static void test_flow(void)
{
	struct scene scene = {0};
	const char *path = tap_tempdir();
	open_scene(&scene, path);
	scene.reader = journal_reader_new(scene.j, scene.dest, 1, on_read, &scene);
	loop_post(scene.loop, &scene.append_job);
	loop_run(scene.loop);
	CU_ASSERT_FALSE(scene.wrong);
	CU_ASSERT_EQUAL(scene.appended, MESSAGES);
	CU_ASSERT_EQUAL(scene.dead, MESSAGES / DEAD_EVERY);
	journal_reader_free(scene.reader);
	struct journal_stats stats = journal_stats(scene.j);
	CU_ASSERT(stats.groups > 1 && stats.frames >= MESSAGES && stats.damaged_messages == 0);
	close_scene(&scene);

	/* Nothing waits, and the segments have been used again and again rather than piled up. */
	struct scene again = {0};
	open_scene(&again, path);
	struct journal_outbox box = journal_outbox(again.j, again.dest);
	CU_ASSERT_EQUAL(box.next_seq, MESSAGES + 1);
	CU_ASSERT_EQUAL(box.waiting, 0);
	CU_ASSERT(journal_stats(again.j).segments < 8);
	close_scene(&again);
}

/* Most is spilled before anything is read; what is spilled goes on while it is read. */
static void test_spill(void)
{
	struct scene scene = {.read_from = MESSAGES / 4 * 3};
	open_scene(&scene, tap_tempdir());
	scene.reader = journal_reader_new(scene.j, scene.dest, 1, on_read, &scene);
	loop_post(scene.loop, &scene.append_job);
	loop_run(scene.loop);
	CU_ASSERT_FALSE(scene.wrong);
	CU_ASSERT_EQUAL(scene.done + scene.dead, MESSAGES);
	journal_reader_free(scene.reader);
	struct journal_stats stats = journal_stats(scene.j);
	CU_ASSERT(stats.spilled_messages > MESSAGES / 2);
	CU_ASSERT_EQUAL(stats.damaged_messages, 0);
	CU_ASSERT(stats.segments <= 7);
	close_scene(&scene);
}

/* The lock is for the process's life, by whatever name the folder is opened. */
static void test_two_opens(void)
{
	struct scene one = {0};
	const char *path = tap_tempdir();
	open_scene(&one, path);
	struct disk *disk = disk_posix_new(path);
	struct journal_options options = {.disk = disk, .loop = one.loop, .manual = true};
	struct journal *j;
	CU_ASSERT_EQUAL(journal_open(&options, &j), -EWOULDBLOCK);
	disk_posix_free(disk);
	close_scene(&one);
}

static void on_never(const struct journal_read_result *result, void *arg)
{
	(void)arg;
	for (size_t i = 0; i < result->n_items; i++)
		message_unref(result->items[i].msg);
	CU_FAIL("a cancelled reader was called");
}

/* Freeing a reader with a request under way, at every stage of it. */
static void test_cancelled_reads(void)
{
	struct scene scene = {0};
	open_scene(&scene, tap_tempdir());
	for (int i = 0; i < 200; i++) {
		struct journal_reader *reader = journal_reader_new(scene.j, scene.dest, 1, on_never, NULL);
		journal_reader_request(reader, 10, 1000);
		journal_reader_free(reader);
	}
	close_scene(&scene);
}

/* With linger a group waits for more, and still gets written when nothing more comes. */
static void append_lingering(struct scene *scene)
{
	struct message_view view = {.topic = slice_str("t"), .order_key = slice_str("t"), .payload = slice_str("x")};
	struct journal_entry entry = {.dest = scene->dest, .view = &view};
	uint64_t lsn;
	scene->wrong |= journal_append(scene->j, &entry, 1, NULL, 0, &lsn) < 0;
	scene->bytes = entry.bytes;
	scene->appended++;
}

static void on_durable_lingering(void *ctx, uint64_t lsn)
{
	struct scene *scene = ctx;
	if (lsn < journal_appended_lsn(scene->j))
		return;
	if (scene->appended)
		journal_finish(scene->j, scene->dest, scene->appended, scene->bytes, JOURNAL_DELIVERED);
	if (scene->appended == 5)
		loop_stop(scene->loop);
	else
		append_lingering(scene);
}

static void test_linger(void)
{
	struct scene scene = {.disk = disk_posix_new(tap_tempdir()), .loop = loop_new()};
	struct journal_options options = {.disk = scene.disk,
		.loop = scene.loop,
		.segment_bytes = SEGMENT,
		.linger_ms = 5,
		.on_durable = on_durable_lingering,
		.on_failed = on_failed,
		.ctx = &scene};
	CU_ASSERT_EQUAL_FATAL(journal_open(&options, &scene.j), 0);
	scene.dest = (uint32_t)journal_destination(scene.j, "lake");
	loop_run(scene.loop);
	CU_ASSERT_FALSE(scene.wrong);
	CU_ASSERT_EQUAL(scene.appended, 5);
	CU_ASSERT_EQUAL(journal_stats(scene.j).groups, 2 + 1 + 5);
	close_scene(&scene);
}

static const struct tap_test tests[] = {
	{"append, read back, finish, recycle", test_flow},
	{"spill, read back", test_spill},
	{"a second process is refused", test_two_opens},
	{"cancelled reads", test_cancelled_reads},
	{"linger", test_linger},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("journal threads", tests);
}
