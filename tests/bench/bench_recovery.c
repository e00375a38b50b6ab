/* SPDX-License-Identifier: Apache-2.0
 *
 * Start-up with a backlog: bench_recovery DIR. A child process fills a journal with 1 GiB of waiting messages and dies
 * without a word; then journal_open is timed, three times, each after such a death.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "journal/journal.h"
#include "runtime/log.h"

#define PAYLOAD 1024u

struct filler {
	struct loop *loop;
	struct journal *j;
	struct loop_job job;
	uint64_t target_bytes, bytes, lsn;
	bool full;
};

static double now_s(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void fill_more(void *arg)
{
	static uint8_t payload[PAYLOAD];
	struct filler *f = arg;
	struct message_view view = {.topic = slice_str("plant/a"),
		.order_key = slice_str("plant/a"),
		.payload = slice_of(payload, PAYLOAD)};
	for (unsigned i = 0; i < 5000 && f->bytes < f->target_bytes; i++) {
		struct journal_entry entry = {.dest = 0, .view = &view};
		if (journal_append(f->j, &entry, 1, NULL, 0, &f->lsn) < 0)
			return; /* on_room */
		f->bytes += entry.bytes;
	}
	f->full = f->bytes >= f->target_bytes;
}

static void on_durable(void *ctx, uint64_t lsn)
{
	struct filler *f = ctx;
	if (f->full && lsn >= f->lsn)
		_exit(0); /* as a crash would */
	if (!f->full)
		loop_post(f->loop, &f->job);
}

static void on_room(void *ctx)
{
	struct filler *f = ctx;
	loop_post(f->loop, &f->job);
}

static void on_failed(void *ctx, int error)
{
	(void)ctx, (void)error;
	_exit(1);
}

static struct journal *open_journal(struct filler *f, struct disk *disk)
{
	f->loop = loop_new();
	struct journal_options options = {
		.disk = disk,
		.loop = f->loop,
		.on_durable = on_durable,
		.on_room = on_room,
		.on_failed = on_failed,
		.ctx = f,
	};
	return journal_open(&options, &f->j) == 0 ? f->j : NULL;
}

static void fill_and_die(const char *dir, uint64_t bytes)
{
	pid_t pid = fork();
	if (pid == 0) {
		struct filler f = {.target_bytes = bytes};
		if (!open_journal(&f, disk_posix_new(dir)) || journal_destination(f.j, "bench") != 0)
			_exit(1);
		loop_job_init(&f.job, fill_more, &f);
		loop_post(f.loop, &f.job);
		loop_run(f.loop);
		_exit(1);
	}
	int status = 1;
	waitpid(pid, &status, 0);
	if (status != 0) {
		fprintf(stderr, "filling failed\n");
		exit(1);
	}
}

/* In a child, so that every opening is a first one. */
static double time_open(const char *dir)
{
	int pipe_fds[2];
	if (pipe(pipe_fds) < 0)
		exit(1);
	pid_t pid = fork();
	if (pid == 0) {
		struct filler f = {.full = false};
		double began = now_s();
		struct journal *j = open_journal(&f, disk_posix_new(dir));
		double took = now_s() - began;
		bool told = j && write(pipe_fds[1], &took, sizeof took) == sizeof took;
		_exit(told ? 0 : 1);
	}
	double took = -1;
	close(pipe_fds[1]);
	ssize_t got = read(pipe_fds[0], &took, sizeof took);
	close(pipe_fds[0]);
	waitpid(pid, NULL, 0);
	return got == sizeof took ? took : -1;
}

static double median_open(const char *dir)
{
	double a = time_open(dir), b = time_open(dir), c = time_open(dir);
	return a > b ? (b > c ? b : (a > c ? c : a)) : (a > c ? a : (b > c ? c : b));
}

int main(int argc, char **argv)
{
	char small[4096], large[4096];
	if (argc != 2) {
		fprintf(stderr, "usage: bench_recovery DIR\n");
		return 2;
	}
	log_set_level(LOG_LEVEL_ERROR);
	snprintf(small, sizeof small, "%s/small", argv[1]);
	snprintf(large, sizeof large, "%s/large", argv[1]);
	fill_and_die(small, 64u << 20);
	fill_and_die(large, 1u << 30);
	double seconds = median_open(large), small_seconds = median_open(small);
	printf("bench recovery seconds=%.3f seconds_64mib=%.3f\n", seconds, small_seconds);
	return seconds < 0;
}
