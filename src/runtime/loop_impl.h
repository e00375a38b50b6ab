/* SPDX-License-Identifier: Apache-2.0
 *
 * What the two loops share: the table by which loop.c reaches the one in use. Private to src/runtime.
 */
#ifndef LINKSPAN_RUNTIME_LOOP_IMPL_H
#define LINKSPAN_RUNTIME_LOOP_IMPL_H

#include <pthread.h>

#include "runtime/histogram.h"
#include "runtime/loop.h"

struct loop_ops {
	void (*free)(struct loop *loop);
	void (*run)(struct loop *loop);
	void (*stop)(struct loop *loop);
	void (*wake)(struct loop *loop); /* any thread: loop_run_jobs soon */
	uint64_t (*now_ms)(const struct loop *loop);
	uint64_t (*wall_ms)(const struct loop *loop);
	uint64_t (*wall_offset_ms)(const struct loop *loop);
	struct loop_timer *(*timer_new)(struct loop *loop, loop_fn fn, void *arg);
	void (*timer_start)(struct loop_timer *timer, uint64_t delay_ms);
	void (*timer_stop)(struct loop_timer *timer);
	bool (*timer_running)(const struct loop_timer *timer);
	void (*timer_free)(struct loop_timer *timer);
	uint64_t (*clock_ms)(const struct loop *loop);
	uint64_t (*now_us)(const struct loop *loop);
};

/* First member of both. */
struct loop {
	const struct loop_ops *ops;
	pthread_mutex_t mutex;
	struct loop_job *jobs_head, *jobs_tail; /* guarded by mutex */
	uint64_t slow_turns;
	uint8_t boot[LOOP_BOOT_LEN];
	struct histogram turns; /* us */
	uint64_t turn_us; /* for loop_turn_us; 0: not read yet in this turn */
};

/* First member of both timers. */
struct loop_timer {
	const struct loop_ops *ops;
};

void loop_init_base(struct loop *loop, const struct loop_ops *ops);
void loop_fini_base(struct loop *loop);
/* Runs the jobs that were queued when it was called. Returns false if there were none. */
bool loop_run_jobs(struct loop *loop);

#endif
