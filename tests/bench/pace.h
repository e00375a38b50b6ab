/* SPDX-License-Identifier: Apache-2.0
 *
 * When a load generator sends: at even intervals, whatever is answered meanwhile, or (rate 0) as fast as there are answers. It sleeps
 * until the next request is due, to the microsecond: who rounds what is left to milliseconds looks again and again, and takes a whole
 * core from what is measured. All that became due is waited for, or the slowest would be left out.
 */
#ifndef LINKSPAN_TESTS_BENCH_PACE_H
#define LINKSPAN_TESTS_BENCH_PACE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

struct pace {
	double rate;
	uint64_t began_us, end_us;
	uint64_t n_sent;
};

/* Begins now. rate: a second; 0: nothing is ever due. */
void pace_begin(struct pace *pace, double rate, uint64_t seconds);
bool pace_is_due(const struct pace *pace);
/* Takes the request that is due. Returns since when it is, in microseconds of CLOCK_MONOTONIC. */
uint64_t pace_take(struct pace *pace);
/* As epoll_wait, until the next request is due or the time is over, and at most 100 ms. held_up: one is due that cannot be sent, so only an answer helps. */
int pace_wait(const struct pace *pace, bool held_up, int epoll_fd, struct epoll_event *events, int max_events);
/* The time is over and what was sent at a rate is answered. Exits when that does not come for a minute. */
bool pace_is_over(const struct pace *pace, uint64_t n_answered);
/* Answers a second until now. */
double pace_per_second(const struct pace *pace, uint64_t n_answered);

#endif
