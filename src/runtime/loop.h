/* SPDX-License-Identifier: Apache-2.0
 *
 * The event loop as the core sees it: time, timers and jobs posted from other threads. Two implementations:
 * libuv for the daemon, and a simulated one whose clock stands still until a test moves it.
 *
 * Everything here is called on the loop's own thread unless it says "any thread".
 */
#ifndef LINKSPAN_RUNTIME_LOOP_H
#define LINKSPAN_RUNTIME_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct histogram;
struct loop;
struct loop_timer;
struct uv_loop_s;

#define LOOP_BOOT_LEN 16

typedef void (*loop_fn)(void *arg);

/* A unit of work for the loop. Embed it; set fn and arg once with loop_job_init; the loop owns the rest while
 * it is queued. The memory must stay valid until the job ran or the loop was freed. */
struct loop_job {
	loop_fn fn;
	void *arg;
	struct loop_job *next;
	bool queued; /* guarded by the loop's mutex */
};

struct loop *loop_new(void) __attribute__((warn_unused_result)); /* libuv; NULL when that fails */
struct loop *loop_new_simulated(uint64_t wall_ms) __attribute__((warn_unused_result));
/* Frees timers too. Every libuv handle that others opened must be closed: runs the loop until they are. */
void loop_free(struct loop *loop);

/* Runs until loop_stop(). A turn of more than 50 ms is logged (event=slow_turn) and counted. The line says too how much of
 * that the thread was computing (cpu_ms): the rest it waited, for a processor or the disk. And how much of what it computed was the
 * kernel's doing, how often memory had to be found for it, and how often another thread was let in before it. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop); /* any thread */
uint64_t loop_slow_turns(const struct loop *loop);
const struct histogram *loop_turns(const struct loop *loop); /* how long they took, without the waiting */

/* Milliseconds of CLOCK_BOOTTIME: for intervals. */
uint64_t loop_now_ms(const struct loop *loop);
/* Milliseconds since the epoch that never step back or jump while the process runs: the wall clock at the start
 * plus the CLOCK_BOOTTIME since then. For times that outlive the process. */
uint64_t loop_wall_ms(const struct loop *loop);
uint64_t loop_wall_offset_ms(const struct loop *loop); /* loop_wall_ms - loop_now_ms, always the same */
/* Milliseconds since the epoch as the wall clock is set now, right or wrong: only to see that somebody has set it. */
uint64_t loop_clock_ms(const struct loop *loop);
/* LOOP_BOOT_LEN bytes, those of CLOCK_BOOTTIME's beginning: processes with the same ones can compare their loop_now_ms.
 * All zero: not known. */
const uint8_t *loop_boot(const struct loop *loop);

/* Microseconds from some point on, only for measuring. The clock is read when a turn first asks: what is measured is right
 * to a turn's length. loop_fresh_us reads it again, for the rest of the turn too. */
uint64_t loop_turn_us(struct loop *loop);
uint64_t loop_fresh_us(struct loop *loop);

/* For connectors that do their own I/O; NULL for a simulated loop. */
struct uv_loop_s *loop_uv(struct loop *loop);

/* One-shot timers. Starting a running timer moves it. fn may start, stop or free its own timer. */
struct loop_timer *loop_timer_new(struct loop *loop, loop_fn fn, void *arg) __attribute__((warn_unused_result));
void loop_timer_start(struct loop_timer *timer, uint64_t delay_ms);
void loop_timer_stop(struct loop_timer *timer);
bool loop_timer_running(const struct loop_timer *timer);
void loop_timer_free(struct loop_timer *timer); /* NULL is allowed */

/* Any thread. Runs job->fn(job->arg) on the loop soon; from the loop's own thread: later, never within this call.
 * A job that is queued already stays queued once. Jobs run in the order in which they were posted. */
void loop_job_init(struct loop_job *job, loop_fn fn, void *arg);
void loop_post(struct loop *loop, struct loop_job *job);
/* Takes the job out again if it is queued: after this it will not run. */
void loop_cancel(struct loop *loop, struct loop_job *job);

/* Simulated loop only: moves the clock by ms in steps, running what becomes due in the order of its time, and
 * posted jobs. 0 only runs what is posted. */
void loop_sim_advance(struct loop *loop, uint64_t ms);
/* Simulated loop only: how long until a timer is due; false: none runs. */
bool loop_sim_next(const struct loop *loop, uint64_t *ret_delay_ms);
/* Simulated loop only, before it is used: the process starts in that boot, now_ms after its beginning. */
void loop_sim_boot(struct loop *loop, const uint8_t boot[LOOP_BOOT_LEN], uint64_t now_ms);
/* Simulated loop only: somebody sets the wall clock. */
void loop_sim_set_clock(struct loop *loop, uint64_t wall_ms);

#endif
