/* SPDX-License-Identifier: Apache-2.0
 *
 * Both loops keep the same contract: jobs from any thread, timers that may restart or free themselves.
 */
#include "runtime/loop.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "runtime/histogram.h"
#include "runtime/log.h"
#include "tests/unit/tap.h"

#define POSTS 2000

struct counter {
	struct loop *loop;
	struct loop_job job;
	struct loop_timer *timer;
	int runs, wanted;
	uint64_t wanted_cpu_ms;
};

static void count_and_stop(void *arg)
{
	struct counter *counter = arg;
	if (++counter->runs >= counter->wanted)
		loop_stop(counter->loop);
}

/* Many threads, many jobs of their own: each runs as often as it was queued anew. */
struct poster {
	struct counter *counter;
	struct loop_job jobs[POSTS];
};

static void *post_all(void *arg)
{
	struct poster *poster = arg;
	for (int i = 0; i < POSTS; i++) {
		loop_job_init(&poster->jobs[i], count_and_stop, poster->counter);
		loop_post(poster->counter->loop, &poster->jobs[i]);
	}
	return NULL;
}

static void test_posts_from_threads(void)
{
	static struct poster posters[4];
	struct counter counter = {.loop = loop_new(), .wanted = 4 * POSTS};
	pthread_t threads[4];
	for (int i = 0; i < 4; i++) {
		posters[i].counter = &counter;
		pthread_create(&threads[i], NULL, post_all, &posters[i]);
	}
	loop_run(counter.loop);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	CU_ASSERT_EQUAL(counter.runs, 4 * POSTS);
	loop_free(counter.loop);
}

static void test_job_queued_once_and_cancelled(void)
{
	struct loop *loop = loop_new_simulated(1);
	struct counter counter = {.loop = loop, .wanted = 100};
	struct counter other = {.loop = loop, .wanted = 100};
	loop_job_init(&counter.job, count_and_stop, &counter);
	loop_job_init(&other.job, count_and_stop, &other);
	loop_post(loop, &counter.job);
	loop_post(loop, &other.job);
	loop_post(loop, &counter.job);
	loop_cancel(loop, &other.job);
	CU_ASSERT_EQUAL(counter.runs, 0);
	loop_sim_advance(loop, 0);
	CU_ASSERT_EQUAL(counter.runs, 1);
	CU_ASSERT_EQUAL(other.runs, 0);
	loop_post(loop, &other.job);
	loop_sim_advance(loop, 0);
	CU_ASSERT_EQUAL(other.runs, 1);
	loop_free(loop);
}

static void post_again(void *arg)
{
	struct counter *counter = arg;
	if (++counter->runs < counter->wanted)
		loop_post(counter->loop, &counter->job);
	else
		loop_stop(counter->loop);
}

static void test_job_may_post_itself(void)
{
	struct counter counter = {.loop = loop_new(), .wanted = 50};
	loop_job_init(&counter.job, post_again, &counter);
	loop_post(counter.loop, &counter.job);
	loop_run(counter.loop);
	CU_ASSERT_EQUAL(counter.runs, 50);
	loop_free(counter.loop);
}

static void restart_then_free(void *arg)
{
	struct counter *counter = arg;
	if (++counter->runs < counter->wanted) {
		loop_timer_start(counter->timer, 1);
		return;
	}
	loop_timer_free(counter->timer);
	loop_stop(counter->loop);
}

static void timer_restarts_on(struct loop *loop)
{
	struct counter counter = {.loop = loop, .wanted = 5};
	counter.timer = loop_timer_new(loop, restart_then_free, &counter);
	CU_ASSERT(!loop_timer_running(counter.timer));
	loop_timer_start(counter.timer, 1);
	CU_ASSERT(loop_timer_running(counter.timer));
	loop_run(loop);
	CU_ASSERT_EQUAL(counter.runs, 5);
	loop_free(loop);
}

static void test_timer_restarts(void)
{
	timer_restarts_on(loop_new());
	timer_restarts_on(loop_new_simulated(1));
}

static void test_simulated_time(void)
{
	struct loop *loop = loop_new_simulated(1000000);
	struct counter late = {.loop = loop, .wanted = 100}, early = {.loop = loop, .wanted = 100};
	late.timer = loop_timer_new(loop, count_and_stop, &late);
	early.timer = loop_timer_new(loop, count_and_stop, &early);
	uint64_t now = loop_now_ms(loop), next_ms = 0;
	CU_ASSERT(!loop_sim_next(loop, &next_ms));
	loop_timer_start(late.timer, 200);
	loop_timer_start(early.timer, 100);
	loop_sim_advance(loop, 99);
	CU_ASSERT_EQUAL(early.runs, 0);
	CU_ASSERT(loop_sim_next(loop, &next_ms) && next_ms == 1);
	loop_sim_advance(loop, 1);
	CU_ASSERT(early.runs == 1 && late.runs == 0);
	CU_ASSERT(loop_sim_next(loop, &next_ms) && next_ms == 100);
	loop_timer_stop(late.timer);
	CU_ASSERT(!loop_sim_next(loop, &next_ms));
	loop_sim_advance(loop, 1000);
	CU_ASSERT_EQUAL(late.runs, 0);
	CU_ASSERT_EQUAL(loop_now_ms(loop), now + 1100);
	CU_ASSERT_EQUAL(loop_wall_ms(loop), 1000000 + 1100);
	CU_ASSERT_PTR_NULL(loop_uv(loop));
	loop_free(loop);
}

static void test_clocks(void)
{
	static const uint8_t unknown[LOOP_BOOT_LEN];
	struct loop *real = loop_new(), *other = loop_new();
	CU_ASSERT_EQUAL(memcmp(loop_boot(real), loop_boot(other), LOOP_BOOT_LEN), 0);
	if (access("/proc/sys/kernel/random/boot_id", R_OK) == 0)
		CU_ASSERT(memcmp(loop_boot(real), unknown, LOOP_BOOT_LEN) != 0);
	uint64_t apart_ms = loop_clock_ms(real) - loop_wall_ms(real);
	CU_ASSERT(apart_ms < 60000 || apart_ms + 60000 < 120000);
	loop_free(other);
	loop_free(real);
	struct loop *loop = loop_new_simulated(1000000);
	CU_ASSERT_EQUAL(memcmp(loop_boot(loop), unknown, LOOP_BOOT_LEN), 0);
	loop_sim_boot(loop, (const uint8_t[LOOP_BOOT_LEN]){7}, 5000);
	CU_ASSERT(loop_now_ms(loop) == 5000 && loop_wall_ms(loop) == 1000000 && loop_boot(loop)[0] == 7);
	loop_sim_set_clock(loop, 60000);
	loop_sim_advance(loop, 10);
	CU_ASSERT(loop_wall_ms(loop) == 1000010 && loop_clock_ms(loop) == 60010);
	loop_free(loop);
}

static void busy_for_60_ms(void *arg)
{
	struct counter *counter = arg;
	uint64_t end = uv_hrtime() + 60 * 1000000ull;
	while (uv_hrtime() < end)
		;
	loop_timer_start(counter->timer, 1);
}

static void test_slow_turns_are_counted(void)
{
	struct counter counter = {.loop = loop_new(), .wanted = 1};
	loop_job_init(&counter.job, busy_for_60_ms, &counter);
	counter.timer = loop_timer_new(counter.loop, count_and_stop, &counter);
	loop_post(counter.loop, &counter.job);
	loop_run(counter.loop);
	CU_ASSERT(loop_slow_turns(counter.loop) >= 1);
	loop_timer_free(counter.timer);
	loop_free(counter.loop);
}

/* The most that slow turns said. */
static unsigned long long turn_ms, turn_cpu_ms;

static void on_line(enum log_level level, const char *line, void *arg)
{
	(void)level, (void)arg;
	unsigned long long ms, cpu_ms, system_ms;
	long faults, preempted;
	const char *text = strstr(line, "event=slow_turn ");
	if (!text)
		return;
	CU_ASSERT_EQUAL(sscanf(text, "event=slow_turn ms=%llu cpu_ms=%llu system_ms=%llu page_faults=%ld preempted=%ld",
				&ms, &cpu_ms, &system_ms, &faults, &preempted),
		5);
	CU_ASSERT(faults >= 0 && preempted >= 0);
	turn_ms = ms > turn_ms ? ms : turn_ms;
	turn_cpu_ms = cpu_ms > turn_cpu_ms ? cpu_ms : turn_cpu_ms;
}

static void compute_for_60_ms(void *arg)
{
	struct counter *counter = arg;
	struct timespec cpu;
	do
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
	while ((uint64_t)cpu.tv_sec * 1000 + (uint64_t)cpu.tv_nsec / 1000000 < counter->wanted_cpu_ms);
	loop_timer_start(counter->timer, 1);
}

static void wait_for_60_ms(void *arg)
{
	struct counter *counter = arg;
	poll(NULL, 0, 60);
	loop_timer_start(counter->timer, 1);
}

static void run_slow_turn(loop_fn fn)
{
	struct timespec cpu;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
	struct counter counter = {.loop = loop_new(), .wanted = 1};
	counter.wanted_cpu_ms = (uint64_t)cpu.tv_sec * 1000 + (uint64_t)cpu.tv_nsec / 1000000 + 60;
	loop_job_init(&counter.job, fn, &counter);
	counter.timer = loop_timer_new(counter.loop, count_and_stop, &counter);
	loop_post(counter.loop, &counter.job);
	turn_ms = turn_cpu_ms = 0;
	loop_run(counter.loop);
	loop_timer_free(counter.timer);
	loop_free(counter.loop);
}

static void test_slow_turns_say_what_was_computed(void)
{
	log_set_sink(on_line, NULL);
	run_slow_turn(compute_for_60_ms);
	CU_ASSERT(turn_cpu_ms > 50 && turn_ms > 50);
	run_slow_turn(wait_for_60_ms);
	CU_ASSERT(turn_cpu_ms < 50 && turn_ms > 50);
	log_set_sink(NULL, NULL);
}

/* A loaded machine can make any turn slow: one undisturbed try out of many is enough, and without the distinction there
 * is none. */
static void test_waiting_is_no_slow_turn(void)
{
	bool quiet = false;
	for (int i = 0; i < 50 && !quiet; i++) {
		struct counter counter = {.loop = loop_new(), .wanted = 1};
		counter.timer = loop_timer_new(counter.loop, count_and_stop, &counter);
		loop_timer_start(counter.timer, 120);
		loop_run(counter.loop);
		quiet = loop_slow_turns(counter.loop) == 0;
		loop_timer_free(counter.timer);
		loop_free(counter.loop);
	}
	CU_ASSERT(quiet);
}

static void burn_and_stop(void *arg)
{
	struct counter *counter = arg;
	uint64_t first_us = loop_turn_us(counter->loop);
	while (uv_hrtime() / 1000 < first_us + 6000)
		;
	CU_ASSERT_EQUAL(loop_turn_us(counter->loop), first_us); /* read once a turn */
	CU_ASSERT(loop_fresh_us(counter->loop) >= first_us + 6000);
	CU_ASSERT(loop_turn_us(counter->loop) >= first_us + 6000);
	if (++counter->runs < counter->wanted)
		loop_timer_start(counter->timer, 30);
	else
		loop_stop(counter->loop);
}

/* Twice 30 ms of waiting and a turn of 6 ms: only the turns count. The last one ends the loop and is not counted. Whether
 * nobody kept the thread from waiting that long. */
static bool waiting_is_not_counted(void)
{
	struct counter counter = {.loop = loop_new(), .wanted = 2};
	counter.timer = loop_timer_new(counter.loop, burn_and_stop, &counter);
	uint64_t began_us = uv_hrtime() / 1000, long_ones = 0;
	loop_timer_start(counter.timer, 30);
	loop_run(counter.loop);
	uint64_t took_us = uv_hrtime() / 1000 - began_us;
	const struct histogram *turns = loop_turns(counter.loop);
	for (size_t i = 1; i <= HISTOGRAM_MAX_BOUNDS; i++)
		if (turns->scale->bounds[i - 1] >= 5000)
			long_ones += turns->counts[i];
	CU_ASSERT(long_ones >= 1);
	CU_ASSERT(turns->sum >= 6000);
	bool without = turns->sum + 2 * 29000 <= took_us; /* a timer may come a millisecond early */
	loop_timer_free(counter.timer);
	loop_free(counter.loop);
	return without;
}

/* As above: one undisturbed try is enough. */
static void test_turns_are_counted(void)
{
	bool without = false;
	for (int i = 0; i < 50 && !without; i++)
		without = waiting_is_not_counted();
	CU_ASSERT(without);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"jobs posted from threads all run", test_posts_from_threads},
		{"a queued job runs once, a cancelled one never", test_job_queued_once_and_cancelled},
		{"a job may post itself", test_job_may_post_itself},
		{"a timer may restart and free itself", test_timer_restarts},
		{"simulated time moves timers in order", test_simulated_time},
		{"boot and wall clock", test_clocks},
		{"a slow turn is counted", test_slow_turns_are_counted},
		{"a slow turn says how much it computed", test_slow_turns_say_what_was_computed},
		{"waiting is no slow turn", test_waiting_is_no_slow_turn},
		{"turns are counted without the waiting", test_turns_are_counted},
		{NULL, NULL},
	};
	return tap_main("loop", tests);
}
