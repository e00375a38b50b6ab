/* SPDX-License-Identifier: Apache-2.0
 *
 * The loop over libuv, and the queue of posted jobs that both loops use.
 */
#define _GNU_SOURCE /* RUSAGE_THREAD */
#include "runtime/loop.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <uv.h>

#include "runtime/log.h"
#include "runtime/loop_impl.h"

#define SLOW_TURN_MS 50

struct uv_based_loop {
	struct loop base;
	uv_loop_t uv;
	uv_async_t wake;
	uv_prepare_t before_poll;
	uv_check_t after_poll;
	struct loop_job stop_job;
	uint64_t turn_began_ms; /* 0: before the first poll */
	uint64_t turn_began_cpu_ms; /* of this thread's, which poll needs none of */
	struct rusage turn_began_usage;
	uint64_t wall_offset_ms; /* wall clock minus CLOCK_BOOTTIME, at the start */
	uint64_t counted_ns,
		idle_ns; /* when the last turn was counted; 0: none yet. How long had been waited by then */
};

struct uv_based_timer {
	struct loop_timer base;
	uv_timer_t uv;
	loop_fn fn;
	void *arg;
};

/* --- jobs, for both loops ------------------------------------------------------------------------------------- */

void loop_init_base(struct loop *loop, const struct loop_ops *ops)
{
	*loop = (struct loop){.ops = ops};
	histogram_init(&loop->turns, &histogram_short);
	pthread_mutex_init(&loop->mutex, NULL);
}

void loop_fini_base(struct loop *loop)
{
	pthread_mutex_destroy(&loop->mutex);
}

void loop_job_init(struct loop_job *job, loop_fn fn, void *arg)
{
	*job = (struct loop_job){.fn = fn, .arg = arg};
}

void loop_post(struct loop *loop, struct loop_job *job)
{
	pthread_mutex_lock(&loop->mutex);
	bool first = !loop->jobs_head;
	if (!job->queued) {
		job->queued = true;
		job->next = NULL;
		if (loop->jobs_tail)
			loop->jobs_tail->next = job;
		else
			loop->jobs_head = job;
		loop->jobs_tail = job;
	}
	pthread_mutex_unlock(&loop->mutex);
	if (first)
		loop->ops->wake(loop);
}

void loop_cancel(struct loop *loop, struct loop_job *job)
{
	pthread_mutex_lock(&loop->mutex);
	if (job->queued) {
		struct loop_job **link = &loop->jobs_head, *before = NULL;
		while (*link != job) {
			before = *link;
			link = &before->next;
		}
		*link = job->next;
		if (loop->jobs_tail == job)
			loop->jobs_tail = before;
		job->queued = false;
	}
	pthread_mutex_unlock(&loop->mutex);
}

static struct loop_job *take_job(struct loop *loop)
{
	pthread_mutex_lock(&loop->mutex);
	struct loop_job *job = loop->jobs_head;
	if (job) {
		loop->jobs_head = job->next;
		if (!job->next)
			loop->jobs_tail = NULL;
		job->queued = false;
	}
	pthread_mutex_unlock(&loop->mutex);
	return job;
}

bool loop_run_jobs(struct loop *loop)
{
	/* A marker bounds the run: jobs posted meanwhile wait for the next turn. */
	struct loop_job marker;
	loop_job_init(&marker, NULL, NULL);
	pthread_mutex_lock(&loop->mutex);
	bool any = loop->jobs_head != NULL;
	if (any) {
		marker.queued = true;
		loop->jobs_tail->next = &marker;
		loop->jobs_tail = &marker;
	}
	pthread_mutex_unlock(&loop->mutex);
	struct loop_job *job;
	while (any && (job = take_job(loop)) != &marker)
		job->fn(job->arg);
	pthread_mutex_lock(&loop->mutex);
	bool more = loop->jobs_head != NULL;
	pthread_mutex_unlock(&loop->mutex);
	if (more)
		loop->ops->wake(loop);
	return any;
}

/* --- dispatch --------------------------------------------------------------------------------------------------- */

void loop_free(struct loop *loop)
{
	if (loop)
		loop->ops->free(loop);
}

void loop_run(struct loop *loop)
{
	loop->ops->run(loop);
}

void loop_stop(struct loop *loop)
{
	loop->ops->stop(loop);
}

uint64_t loop_slow_turns(const struct loop *loop)
{
	return loop->slow_turns;
}

const struct histogram *loop_turns(const struct loop *loop)
{
	return &loop->turns;
}

uint64_t loop_turn_us(struct loop *loop)
{
	return loop->turn_us ? loop->turn_us : loop_fresh_us(loop);
}

uint64_t loop_fresh_us(struct loop *loop)
{
	loop->turn_us = loop->ops->now_us(loop);
	return loop->turn_us;
}

uint64_t loop_now_ms(const struct loop *loop)
{
	return loop->ops->now_ms(loop);
}

uint64_t loop_wall_ms(const struct loop *loop)
{
	return loop->ops->wall_ms(loop);
}

uint64_t loop_wall_offset_ms(const struct loop *loop)
{
	return loop->ops->wall_offset_ms(loop);
}

uint64_t loop_clock_ms(const struct loop *loop)
{
	return loop->ops->clock_ms(loop);
}

const uint8_t *loop_boot(const struct loop *loop)
{
	return loop->boot;
}

struct loop_timer *loop_timer_new(struct loop *loop, loop_fn fn, void *arg)
{
	return loop->ops->timer_new(loop, fn, arg);
}

void loop_timer_start(struct loop_timer *timer, uint64_t delay_ms)
{
	timer->ops->timer_start(timer, delay_ms);
}

void loop_timer_stop(struct loop_timer *timer)
{
	timer->ops->timer_stop(timer);
}

bool loop_timer_running(const struct loop_timer *timer)
{
	return timer->ops->timer_running(timer);
}

void loop_timer_free(struct loop_timer *timer)
{
	if (timer)
		timer->ops->timer_free(timer);
}

/* --- libuv ------------------------------------------------------------------------------------------------------ */

static uint64_t clock_ms(clockid_t id)
{
	struct timespec now;
	clock_gettime(id, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static struct uv_based_loop *uv_based(struct loop *loop)
{
	return (struct uv_based_loop *)loop;
}

static void on_wake(uv_async_t *async)
{
	loop_run_jobs(async->data);
}

static uint64_t monotonic_ms(void)
{
	return uv_hrtime() / 1000000;
}

/* A turn begins when the poll returns, for which libuv takes the time (uv_now) before it runs what became ready; it ends
 * before the next poll. */
static void on_after_poll(uv_check_t *check)
{
	struct uv_based_loop *self = check->data;
	self->turn_began_ms = uv_now(&self->uv);
}

static void count_turn(struct uv_based_loop *self)
{
	uint64_t now_ns = uv_hrtime(), idle_ns = uv_metrics_idle_time(&self->uv);
	if (self->counted_ns)
		histogram_add(&self->base.turns, (now_ns - self->counted_ns - (idle_ns - self->idle_ns)) / 1000, 1);
	self->counted_ns = now_ns;
	self->idle_ns = idle_ns;
	self->base.turn_us = 0;
}

static uint64_t system_ms(const struct rusage *usage)
{
	return (uint64_t)usage->ru_stime.tv_sec * 1000 + (uint64_t)usage->ru_stime.tv_usec / 1000;
}

static void tell_slow_turn(const struct uv_based_loop *self, uint64_t now_ms, uint64_t cpu_ms, const struct rusage *now)
{
	const struct rusage *began = &self->turn_began_usage;
	log_warn("slow_turn", "ms=%llu cpu_ms=%llu system_ms=%llu page_faults=%ld preempted=%ld",
		(unsigned long long)(now_ms - self->turn_began_ms),
		(unsigned long long)(cpu_ms - self->turn_began_cpu_ms),
		(unsigned long long)(system_ms(now) - system_ms(began)),
		now->ru_minflt - began->ru_minflt + now->ru_majflt - began->ru_majflt,
		now->ru_nivcsw - began->ru_nivcsw);
}

static void on_before_poll(uv_prepare_t *prepare)
{
	struct uv_based_loop *self = prepare->data;
	uint64_t now_ms = monotonic_ms();
	uint64_t cpu_ms = clock_ms(CLOCK_THREAD_CPUTIME_ID);
	struct rusage usage;
	getrusage(RUSAGE_THREAD, &usage);
	if (self->turn_began_ms && now_ms > self->turn_began_ms + SLOW_TURN_MS) {
		self->base.slow_turns++;
		tell_slow_turn(self, now_ms, cpu_ms, &usage);
	}
	self->turn_began_cpu_ms = cpu_ms;
	self->turn_began_usage = usage;
	count_turn(self);
}

static void uv_based_run(struct loop *loop)
{
	struct uv_based_loop *self = uv_based(loop);
	uv_update_time(&self->uv);
	self->turn_began_ms = uv_now(&self->uv);
	self->turn_began_cpu_ms = clock_ms(CLOCK_THREAD_CPUTIME_ID);
	getrusage(RUSAGE_THREAD, &self->turn_began_usage);
	uv_run(&self->uv, UV_RUN_DEFAULT);
}

static void on_stop(void *arg)
{
	struct uv_based_loop *self = arg;
	uv_stop(&self->uv);
}

static void uv_based_stop(struct loop *loop)
{
	loop_post(loop, &uv_based(loop)->stop_job);
}

static void uv_based_wake(struct loop *loop)
{
	uv_async_send(&uv_based(loop)->wake);
}

static uint64_t uv_based_now_ms(const struct loop *loop)
{
	(void)loop;
	return clock_ms(CLOCK_BOOTTIME);
}

static uint64_t uv_based_wall_ms(const struct loop *loop)
{
	const struct uv_based_loop *self = (const struct uv_based_loop *)loop;
	return clock_ms(CLOCK_BOOTTIME) + self->wall_offset_ms;
}

static uint64_t uv_based_wall_offset_ms(const struct loop *loop)
{
	return ((const struct uv_based_loop *)loop)->wall_offset_ms;
}

static uint64_t uv_based_clock_ms(const struct loop *loop)
{
	(void)loop;
	return clock_ms(CLOCK_REALTIME);
}

/* In a time namespace of its own CLOCK_BOOTTIME begins elsewhere (time_namespaces(7)). */
static bool boot_time_is_shifted(void)
{
	char line[80];
	long long seconds = 0, nanoseconds = 0;
	FILE *file = fopen("/proc/self/timens_offsets", "re");
	while (file && fgets(line, sizeof line, file))
		if (sscanf(line, "boottime %lld %lld", &seconds, &nanoseconds) == 2)
			break;
	if (file)
		fclose(file);
	return seconds != 0 || nanoseconds != 0;
}

/* A uuid as text; left zero when there is none to be had, as in some containers. */
static void read_boot(uint8_t boot[LOOP_BOOT_LEN])
{
	char text[64];
	FILE *file = boot_time_is_shifted() ? NULL : fopen("/proc/sys/kernel/random/boot_id", "re");
	size_t len = file ? fread(text, 1, sizeof text, file) : 0, digits = 0;
	if (file)
		fclose(file);
	for (size_t i = 0; i < len && digits < 2 * LOOP_BOOT_LEN; i++) {
		static const char hex[] = "0123456789abcdef";
		const char *digit = memchr(hex, text[i], 16);
		if (!digit)
			continue;
		boot[digits / 2] = (uint8_t)(boot[digits / 2] << 4 | (digit - hex));
		digits++;
	}
	if (digits < 2 * LOOP_BOOT_LEN)
		memset(boot, 0, LOOP_BOOT_LEN);
}

static uint64_t uv_based_now_us(const struct loop *loop)
{
	(void)loop;
	return uv_hrtime() / 1000;
}

static void uv_based_free(struct loop *loop)
{
	struct uv_based_loop *self = uv_based(loop);
	uv_close((uv_handle_t *)&self->wake, NULL);
	uv_close((uv_handle_t *)&self->before_poll, NULL);
	uv_close((uv_handle_t *)&self->after_poll, NULL);
	uv_run(&self->uv, UV_RUN_DEFAULT);
	int r = uv_loop_close(&self->uv);
	assert(r == 0); /* a handle is still open: somebody forgot to close it */
	loop_fini_base(loop);
	free(self);
}

static void on_timer(uv_timer_t *uv)
{
	struct uv_based_timer *timer = uv->data;
	timer->fn(timer->arg);
}

static struct loop_timer *uv_based_timer_new(struct loop *loop, loop_fn fn, void *arg)
{
	struct uv_based_timer *timer = calloc(1, sizeof *timer);
	if (!timer)
		return NULL;
	timer->base.ops = loop->ops;
	timer->fn = fn;
	timer->arg = arg;
	timer->uv.data = timer;
	uv_timer_init(&uv_based(loop)->uv, &timer->uv);
	return &timer->base;
}

static struct uv_based_timer *uv_timer_of(const struct loop_timer *timer)
{
	return (struct uv_based_timer *)(uintptr_t)timer;
}

static void uv_based_timer_start(struct loop_timer *timer, uint64_t delay_ms)
{
	struct uv_based_timer *self = uv_timer_of(timer);
	/* libuv counts from the beginning of the turn. */
	uint64_t into_turn_ms = monotonic_ms() - uv_now(self->uv.loop);
	uv_timer_start(&self->uv, on_timer, delay_ms + into_turn_ms, 0);
}

static void uv_based_timer_stop(struct loop_timer *timer)
{
	uv_timer_stop(&uv_timer_of(timer)->uv);
}

static bool uv_based_timer_running(const struct loop_timer *timer)
{
	return uv_is_active((const uv_handle_t *)&uv_timer_of(timer)->uv);
}

static void on_timer_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void uv_based_timer_free(struct loop_timer *timer)
{
	uv_close((uv_handle_t *)&uv_timer_of(timer)->uv, on_timer_closed);
}

static const struct loop_ops uv_based_ops = {
	.free = uv_based_free,
	.run = uv_based_run,
	.stop = uv_based_stop,
	.wake = uv_based_wake,
	.now_ms = uv_based_now_ms,
	.wall_ms = uv_based_wall_ms,
	.wall_offset_ms = uv_based_wall_offset_ms,
	.timer_new = uv_based_timer_new,
	.timer_start = uv_based_timer_start,
	.timer_stop = uv_based_timer_stop,
	.timer_running = uv_based_timer_running,
	.timer_free = uv_based_timer_free,
	.clock_ms = uv_based_clock_ms,
	.now_us = uv_based_now_us,
};

struct loop *loop_new(void)
{
	struct uv_based_loop *self = calloc(1, sizeof *self);
	if (!self)
		return NULL;
	if (uv_loop_init(&self->uv) < 0) {
		free(self);
		return NULL;
	}
	loop_init_base(&self->base, &uv_based_ops);
	uv_loop_configure(&self->uv, UV_METRICS_IDLE_TIME);
	uv_async_init(&self->uv, &self->wake, on_wake);
	self->wake.data = &self->base;
	uv_prepare_init(&self->uv, &self->before_poll);
	self->before_poll.data = self;
	uv_prepare_start(&self->before_poll, on_before_poll);
	uv_unref((uv_handle_t *)&self->before_poll);
	uv_check_init(&self->uv, &self->after_poll);
	self->after_poll.data = self;
	uv_check_start(&self->after_poll, on_after_poll);
	uv_unref((uv_handle_t *)&self->after_poll);
	loop_job_init(&self->stop_job, on_stop, self);
	read_boot(self->base.boot);
	self->wall_offset_ms = clock_ms(CLOCK_REALTIME) - clock_ms(CLOCK_BOOTTIME);
	return &self->base;
}

struct uv_loop_s *loop_uv(struct loop *loop)
{
	return loop->ops == &uv_based_ops ? &uv_based(loop)->uv : NULL;
}
