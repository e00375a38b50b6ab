/* SPDX-License-Identifier: Apache-2.0
 *
 * The journal alone, on a real disk: bench_journal DIR
 *   per_second               appends of 256 B, all durable, at most 20,000 outstanding, DONE as soon as durable
 *   lone_append              latency of an append with nothing else under way, as a multiple of a bare pwrite+fdatasync of
 *                            4 KiB in a zero-filled file; medians, taken in turns
 *   bytes_written_per_message  100 B messages, ten a second (of simulated time), each delivered at once
 *   bytes_with_linger          the same at a thousand a second with journal.linger 100 ms
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "journal/journal.h"
#include "runtime/log.h"

#define TOTAL       1500000u
#define OUTSTANDING 20000u
#define LONE_ROUNDS 400u

struct bench {
	struct loop *loop;
	struct disk *disk;
	struct journal *j;
	struct loop_job job;
	struct message_view view;
	uint64_t appended, finished, wanted;
	uint32_t bytes;
	bool lone;
	uint64_t lone_lsn;
	uint64_t *lsns; /* of the outstanding ones */
	struct loop_timer *pace; /* append_paced only */
};

static void must(int r, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(-r));
	exit(1);
}

static double now_s(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static double median(double *values, size_t n)
{
	qsort(values, n, sizeof *values, compare);
	return values[n / 2];
}

static void append_more(struct bench *b)
{
	/* In turns of at most 1,000, as a network would bring them. */
	for (unsigned i = 0; i < 1000 && b->appended < b->wanted && b->appended - b->finished < OUTSTANDING; i++) {
		struct journal_entry entry = {.dest = 0, .view = &b->view};
		if (journal_append(b->j, &entry, 1, NULL, 0, &b->lone_lsn) < 0)
			return; /* on_room */
		b->bytes = entry.bytes;
		b->lsns[b->appended++ % OUTSTANDING] = b->lone_lsn;
	}
	if (b->appended < b->wanted && b->appended - b->finished < OUTSTANDING)
		loop_post(b->loop, &b->job);
}

static void on_job(void *arg)
{
	append_more(arg);
}

static void on_durable(void *ctx, uint64_t lsn)
{
	struct bench *b = ctx;
	if (b->lone) {
		if (lsn >= b->lone_lsn)
			loop_stop(b->loop);
		return;
	}
	while (b->finished < b->appended && b->lsns[b->finished % OUTSTANDING] <= lsn)
		journal_finish(b->j, 0, ++b->finished, b->bytes, JOURNAL_DELIVERED);
	if (b->finished == b->wanted)
		loop_stop(b->loop);
	else if (!b->pace)
		loop_post(b->loop, &b->job);
}

static void on_room(void *ctx)
{
	struct bench *b = ctx;
	loop_post(b->loop, &b->job);
}

static void on_failed(void *ctx, int error)
{
	(void)ctx;
	fprintf(stderr, "the journal failed: %s\n", strerror(-error));
	exit(1);
}

static void open_journal(struct bench *b, const char *dir, bool simulated, uint32_t linger_ms)
{
	b->loop = simulated ? loop_new_simulated(1700000000000) : loop_new();
	b->disk = disk_posix_new(dir);
	struct journal_options options = {
		.disk = b->disk,
		.loop = b->loop,
		.manual = simulated,
		.linger_ms = linger_ms,
		.on_durable = on_durable,
		.on_room = on_room,
		.on_failed = on_failed,
		.ctx = b,
	};
	if (!b->loop || !b->disk || journal_open(&options, &b->j) < 0 || journal_destination(b->j, "bench") != 0) {
		fprintf(stderr, "cannot open a journal in %s\n", dir);
		exit(1);
	}
	loop_job_init(&b->job, on_job, b);
}

static void close_journal(struct bench *b)
{
	journal_close(b->j);
	loop_cancel(b->loop, &b->job);
	loop_free(b->loop);
	disk_posix_free(b->disk);
}

static struct message_view view_of(const uint8_t *payload, size_t len)
{
	return (struct message_view){
		.topic = slice_str("plant/a/7/telemetry"),
		.order_key = slice_str("plant/a/7/telemetry"),
		.payload = slice_of(payload, len),
		.qos = 1,
	};
}

static double per_second(const char *dir, const uint8_t *payload)
{
	static uint64_t lsns[OUTSTANDING];
	struct bench b = {.wanted = TOTAL, .view = view_of(payload, 256), .lsns = lsns};
	open_journal(&b, dir, false, 0);
	double began = now_s();
	loop_post(b.loop, &b.job);
	loop_run(b.loop);
	double rate = TOTAL / (now_s() - began);
	close_journal(&b);
	return rate;
}

static double bare_fdatasync(int fd, unsigned i)
{
	static uint8_t block[4096];
	memset(block, (int)i + 1, sizeof block);
	double began = now_s();
	if (pwrite(fd, block, sizeof block, (off_t)i * 4096) != 4096 || fdatasync(fd) < 0)
		must(-errno, "bare write");
	return now_s() - began;
}

static double lone_once(struct bench *b)
{
	struct journal_entry entry = {.dest = 0, .view = &b->view};
	double began = now_s();
	must(journal_append(b->j, &entry, 1, NULL, 0, &b->lone_lsn), "append");
	loop_run(b->loop);
	double took = now_s() - began;
	journal_finish(b->j, 0, entry.seq, entry.bytes, JOURNAL_DELIVERED);
	return took;
}

static int zeroed_file(const char *dir)
{
	char path[4200];
	snprintf(path, sizeof path, "%s/bare", dir);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	static const uint8_t zeros[4096];
	for (unsigned i = 0; i < LONE_ROUNDS; i++)
		if (fd < 0 || pwrite(fd, zeros, sizeof zeros, (off_t)i * 4096) != 4096)
			must(-errno, "bare file");
	fsync(fd);
	return fd;
}

static double lone_append(const char *dir, const uint8_t *payload)
{
	static double bare[LONE_ROUNDS], lone[LONE_ROUNDS];
	struct bench b = {.view = view_of(payload, 256), .lone = true};
	open_journal(&b, dir, false, 0);
	int fd = zeroed_file(dir);
	for (unsigned i = 0; i < LONE_ROUNDS; i++) {
		bare[i] = bare_fdatasync(fd, i);
		lone[i] = lone_once(&b);
	}
	close_journal(&b);
	close(fd);
	return median(lone, LONE_ROUNDS) / median(bare, LONE_ROUNDS);
}

static double bytes_per_message(const char *dir, const uint8_t *payload)
{
	struct bench b = {.view = view_of(payload, 100), .lone = true};
	open_journal(&b, dir, true, 0);
	while (journal_step(b.j))
		loop_sim_advance(b.loop, 0);
	uint64_t before = journal_stats(b.j).bytes_written;
	for (unsigned i = 0; i < 600; i++) {
		struct journal_entry entry = {.dest = 0, .view = &b.view};
		must(journal_append(b.j, &entry, 1, NULL, 0, &b.lone_lsn), "append");
		while (journal_step(b.j))
			loop_sim_advance(b.loop, 0);
		journal_finish(b.j, 0, entry.seq, entry.bytes, JOURNAL_DELIVERED);
		loop_sim_advance(b.loop, 100);
		while (journal_step(b.j))
			loop_sim_advance(b.loop, 0);
	}
	double bytes = (double)(journal_stats(b.j).bytes_written - before) / 600;
	close_journal(&b);
	return bytes;
}

#define PACED_TOTAL 3000u

/* Ten messages every ten milliseconds, each done once it is durable. */
static void append_paced(void *arg)
{
	struct bench *b = arg;
	for (unsigned i = 0; i < 10 && b->appended < b->wanted; i++) {
		struct journal_entry entry = {.dest = 0, .view = &b->view};
		must(journal_append(b->j, &entry, 1, NULL, 0, &b->lone_lsn), "append");
		b->bytes = entry.bytes;
		b->lsns[b->appended++ % OUTSTANDING] = b->lone_lsn;
	}
	if (b->appended < b->wanted)
		loop_timer_start(b->pace, 10);
}

static double bytes_with_linger(const char *dir, const uint8_t *payload)
{
	static uint64_t lsns[OUTSTANDING];
	struct bench b = {.wanted = PACED_TOTAL, .view = view_of(payload, 100), .lsns = lsns};
	open_journal(&b, dir, false, 100);
	b.pace = loop_timer_new(b.loop, append_paced, &b);
	uint64_t before = journal_stats(b.j).bytes_written;
	loop_timer_start(b.pace, 0);
	loop_run(b.loop);
	double bytes = (double)(journal_stats(b.j).bytes_written - before) / PACED_TOTAL;
	loop_timer_free(b.pace);
	close_journal(&b);
	return bytes;
}

int main(int argc, char **argv)
{
	static uint8_t payload[256];
	char dir[4][4096];
	if (argc != 2) {
		fprintf(stderr, "usage: bench_journal DIR\n");
		return 2;
	}
	log_set_level(LOG_LEVEL_ERROR);
	for (size_t i = 0; i < sizeof payload; i++)
		payload[i] = (uint8_t)(i * 7);
	for (int i = 0; i < 4; i++)
		snprintf(dir[i], sizeof dir[i], "%s/%d", argv[1], i);
	double rates[3];
	for (int i = 0; i < 3; i++)
		rates[i] = per_second(dir[0], payload);
	double lone = lone_append(dir[1], payload);
	double bytes = bytes_per_message(dir[2], payload);
	double lingering = bytes_with_linger(dir[3], payload);
	printf("bench journal per_second=%.0f lone_append=%.2f bytes_written_per_message=%.0f bytes_with_linger=%.0f\n",
		median(rates, 3), lone, bytes, lingering);
	return 0;
}
