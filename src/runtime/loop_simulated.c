/* SPDX-License-Identifier: Apache-2.0
 *
 * A loop whose clock stands still until loop_sim_advance moves it. No libuv, no waiting: the same core code runs in
 * tests in simulated time. loop_run runs until loop_stop, jumping from timer to timer.
 */
#include "runtime/loop.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/loop_impl.h"

struct simulated_timer {
	struct loop_timer base;
	struct simulated_loop *loop;
	struct simulated_timer *next; /* of all timers of the loop */
	loop_fn fn;
	void *arg;
	uint64_t due_ms;
	uint64_t order; /* timers due together run in the order in which they were started */
	bool running;
};

struct simulated_loop {
	struct loop base;
	struct simulated_timer *timers;
	uint64_t now_ms, wall_offset_ms, orders;
	uint64_t set_by_ms; /* the wall clock is that far from wall_offset_ms */
	bool stopped;
};

static struct simulated_loop *simulated(const struct loop *loop)
{
	return (struct simulated_loop *)(uintptr_t)loop;
}

static struct simulated_timer *simulated_timer(const struct loop_timer *timer)
{
	return (struct simulated_timer *)(uintptr_t)timer;
}

static struct simulated_timer *next_due(const struct simulated_loop *self, uint64_t until_ms)
{
	struct simulated_timer *best = NULL;
	for (struct simulated_timer *timer = self->timers; timer; timer = timer->next)
		if (timer->running && timer->due_ms <= until_ms &&
			(!best || timer->due_ms < best->due_ms ||
				(timer->due_ms == best->due_ms && timer->order < best->order)))
			best = timer;
	return best;
}

void loop_sim_advance(struct loop *loop, uint64_t ms)
{
	struct simulated_loop *self = simulated(loop);
	uint64_t until_ms = self->now_ms + ms;
	for (;;) {
		while (loop_run_jobs(loop))
			;
		struct simulated_timer *timer = next_due(self, until_ms);
		if (!timer)
			break;
		if (timer->due_ms > self->now_ms)
			self->now_ms = timer->due_ms;
		self->base.turn_us = 0;
		timer->running = false;
		timer->fn(timer->arg);
	}
	self->now_ms = until_ms;
	self->base.turn_us = 0;
}

bool loop_sim_next(const struct loop *loop, uint64_t *ret_delay_ms)
{
	const struct simulated_loop *self = simulated(loop);
	const struct simulated_timer *timer = next_due(self, UINT64_MAX);
	if (timer)
		*ret_delay_ms = timer->due_ms > self->now_ms ? timer->due_ms - self->now_ms : 0;
	return timer != NULL;
}

static void simulated_run(struct loop *loop)
{
	struct simulated_loop *self = simulated(loop);
	self->stopped = false;
	while (!self->stopped) {
		struct simulated_timer *timer = next_due(self, UINT64_MAX);
		loop_sim_advance(loop, timer && timer->due_ms > self->now_ms ? timer->due_ms - self->now_ms : 0);
	}
}

static void simulated_stop(struct loop *loop)
{
	simulated(loop)->stopped = true;
}

static void simulated_wake(struct loop *loop)
{
	(void)loop; /* jobs run when the test advances the clock */
}

static uint64_t simulated_now_ms(const struct loop *loop)
{
	return simulated(loop)->now_ms;
}

static uint64_t simulated_wall_ms(const struct loop *loop)
{
	return simulated(loop)->now_ms + simulated(loop)->wall_offset_ms;
}

static uint64_t simulated_wall_offset_ms(const struct loop *loop)
{
	return simulated(loop)->wall_offset_ms;
}

static uint64_t simulated_clock_ms(const struct loop *loop)
{
	return simulated_wall_ms(loop) + simulated(loop)->set_by_ms;
}

static uint64_t simulated_now_us(const struct loop *loop)
{
	return simulated(loop)->now_ms * 1000;
}

static struct loop_timer *simulated_timer_new(struct loop *loop, loop_fn fn, void *arg)
{
	struct simulated_timer *timer = calloc(1, sizeof *timer);
	if (!timer)
		return NULL;
	timer->base.ops = loop->ops;
	timer->loop = simulated(loop);
	timer->fn = fn;
	timer->arg = arg;
	timer->next = timer->loop->timers;
	timer->loop->timers = timer;
	return &timer->base;
}

static void simulated_timer_start(struct loop_timer *timer, uint64_t delay_ms)
{
	struct simulated_timer *self = simulated_timer(timer);
	self->due_ms = self->loop->now_ms + delay_ms;
	self->order = ++self->loop->orders;
	self->running = true;
}

static void simulated_timer_stop(struct loop_timer *timer)
{
	simulated_timer(timer)->running = false;
}

static bool simulated_timer_running(const struct loop_timer *timer)
{
	return simulated_timer(timer)->running;
}

static void simulated_timer_free(struct loop_timer *timer)
{
	struct simulated_timer *self = simulated_timer(timer);
	struct simulated_timer **link = &self->loop->timers;
	while (*link != self)
		link = &(*link)->next;
	*link = self->next;
	free(self);
}

static void simulated_free(struct loop *loop)
{
	struct simulated_loop *self = simulated(loop);
	while (self->timers)
		simulated_timer_free(&self->timers->base);
	loop_fini_base(loop);
	free(self);
}

static const struct loop_ops simulated_ops = {
	.free = simulated_free,
	.run = simulated_run,
	.stop = simulated_stop,
	.wake = simulated_wake,
	.now_ms = simulated_now_ms,
	.wall_ms = simulated_wall_ms,
	.wall_offset_ms = simulated_wall_offset_ms,
	.timer_new = simulated_timer_new,
	.timer_start = simulated_timer_start,
	.timer_stop = simulated_timer_stop,
	.timer_running = simulated_timer_running,
	.timer_free = simulated_timer_free,
	.clock_ms = simulated_clock_ms,
	.now_us = simulated_now_us,
};

struct loop *loop_new_simulated(uint64_t wall_ms)
{
	struct simulated_loop *self = calloc(1, sizeof *self);
	if (!self)
		return NULL;
	loop_init_base(&self->base, &simulated_ops);
	self->now_ms = 1000;
	self->wall_offset_ms = wall_ms - self->now_ms;
	return &self->base;
}

void loop_sim_boot(struct loop *loop, const uint8_t boot[LOOP_BOOT_LEN], uint64_t now_ms)
{
	struct simulated_loop *self = simulated(loop);
	memcpy(loop->boot, boot, LOOP_BOOT_LEN);
	self->wall_offset_ms += self->now_ms - now_ms;
	self->now_ms = now_ms;
}

void loop_sim_set_clock(struct loop *loop, uint64_t wall_ms)
{
	struct simulated_loop *self = simulated(loop);
	self->set_by_ms = wall_ms - self->now_ms - self->wall_offset_ms;
}
