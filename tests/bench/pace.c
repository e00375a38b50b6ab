/* SPDX-License-Identifier: Apache-2.0
 *
 * See pace.h.
 */
#define _GNU_SOURCE /* ppoll */
#include "tests/bench/pace.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define LONGEST_WAIT_MS 100
#define PATIENCE_US     60000000u

static uint64_t now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Of the next request; UINT64_MAX: there is none. */
static uint64_t next_due_us(const struct pace *pace)
{
	if (pace->rate <= 0)
		return UINT64_MAX;
	uint64_t due_us = pace->began_us + (uint64_t)((double)pace->n_sent * 1e6 / pace->rate);
	return due_us < pace->end_us ? due_us : UINT64_MAX;
}

void pace_begin(struct pace *pace, double rate, uint64_t seconds)
{
	uint64_t now = now_us();
	*pace = (struct pace){.rate = rate, .began_us = now, .end_us = now + seconds * 1000000};
}

bool pace_is_due(const struct pace *pace)
{
	return next_due_us(pace) <= now_us();
}

uint64_t pace_take(struct pace *pace)
{
	uint64_t due_us = next_due_us(pace);
	pace->n_sent++;
	return due_us;
}

int pace_wait(const struct pace *pace, bool held_up, int epoll_fd, struct epoll_event *events, int max_events)
{
	uint64_t now = now_us(), next_us = next_due_us(pace);
	if (next_us == UINT64_MAX && now < pace->end_us)
		next_us = pace->end_us;
	uint64_t wait_us = next_us > now ? next_us - now : 0; /* it may have become due just now */
	if (held_up || wait_us >= LONGEST_WAIT_MS * 1000)
		return epoll_wait(epoll_fd, events, max_events, LONGEST_WAIT_MS);
	struct pollfd fd = {.fd = epoll_fd, .events = POLLIN};
	struct timespec wait = {.tv_nsec = (long)wait_us * 1000};
	return ppoll(&fd, 1, &wait, NULL) > 0 ? epoll_wait(epoll_fd, events, max_events, 0) : 0;
}

bool pace_is_over(const struct pace *pace, uint64_t n_answered)
{
	uint64_t now = now_us();
	if (now < pace->end_us)
		return false;
	if (pace->rate <= 0 || (next_due_us(pace) == UINT64_MAX && n_answered >= pace->n_sent))
		return true;
	if (now < pace->end_us + PATIENCE_US)
		return false;
	fprintf(stderr, "%llu requests got no answer\n", (unsigned long long)(pace->n_sent - n_answered));
	exit(1);
}

double pace_per_second(const struct pace *pace, uint64_t n_answered)
{
	return (double)n_answered * 1e6 / (double)(now_us() - pace->began_us);
}
