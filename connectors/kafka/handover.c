/* SPDX-License-Identifier: Apache-2.0
 *
 * Two lists of chunks under one lock, and an eventfd.
 */
#include "connectors/kafka/handover.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

int kafka_handover_init(struct kafka_handover *handover, struct loop *loop, struct loop_job *job, uint64_t max_inputs,
	uint64_t max_bytes)
{
	*handover = (struct kafka_handover){.loop = loop, .job = job, .max_inputs = max_inputs, .max_bytes = max_bytes};
	handover->last = &handover->first;
	handover->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (handover->wake_fd < 0)
		return -errno;
	int r = pthread_mutex_init(&handover->mutex, NULL);
	if (r != 0)
		close(handover->wake_fd);
	return -r;
}

void kafka_handover_fini(struct kafka_handover *handover)
{
	close(handover->wake_fd);
	pthread_mutex_destroy(&handover->mutex);
}

static void lock(struct kafka_handover *handover)
{
	pthread_mutex_lock(&handover->mutex);
}

static void unlock(struct kafka_handover *handover)
{
	pthread_mutex_unlock(&handover->mutex);
}

/* Ends a change that the loop is to hear of: under the lock, so that nothing is posted once the loop has abandoned us. */
static void unlock_and_post(struct kafka_handover *handover)
{
	if (!handover->abandoned)
		loop_post(handover->loop, handover->job);
	unlock(handover);
}

static void wake_thread(struct kafka_handover *handover)
{
	static const uint64_t one = 1;
	ssize_t n = write(handover->wake_fd, &one, sizeof one);
	(void)n; /* full: it is awake */
}

/* --- chunks ----------------------------------------------------------------------------------------------------- */

void kafka_handover_push(struct kafka_handover *handover, struct kafka_chunk *chunk)
{
	chunk->link = NULL;
	chunk->at = 0;
	lock(handover);
	*handover->last = chunk;
	handover->last = &chunk->link;
	handover->n_inputs += chunk->n;
	handover->n_bytes += chunk->bytes;
	unlock_and_post(handover);
}

static bool above(const struct kafka_handover *handover, unsigned divisor)
{
	return handover->n_inputs >= handover->max_inputs / divisor ||
	       handover->n_bytes >= handover->max_bytes / divisor;
}

bool kafka_handover_full(struct kafka_handover *handover)
{
	lock(handover);
	bool full = handover->n_inputs > 0 && above(handover, handover->thread_waits ? 2 : 1);
	handover->thread_waits = full;
	unlock(handover);
	return full;
}

struct kafka_chunk *kafka_handover_pop(struct kafka_handover *handover)
{
	lock(handover);
	struct kafka_chunk *chunk = handover->first;
	if (chunk) {
		handover->first = chunk->link;
		if (!handover->first)
			handover->last = &handover->first;
		chunk->link = NULL;
	}
	unlock(handover);
	return chunk;
}

void kafka_handover_return(struct kafka_handover *handover, struct kafka_chunk *chunk)
{
	lock(handover);
	chunk->link = handover->spent;
	handover->spent = chunk;
	handover->n_inputs -= chunk->n;
	handover->n_bytes -= chunk->bytes;
	bool wake = handover->thread_waits && (handover->n_inputs == 0 || !above(handover, 2));
	unlock(handover);
	if (wake)
		wake_thread(handover);
}

struct kafka_chunk *kafka_handover_spent(struct kafka_handover *handover)
{
	lock(handover);
	struct kafka_chunk *chunks = handover->spent;
	handover->spent = NULL;
	unlock(handover);
	return chunks;
}

struct kafka_chunk *kafka_handover_take_all(struct kafka_handover *handover)
{
	lock(handover);
	struct kafka_chunk *chunks = handover->first;
	for (const struct kafka_chunk *chunk = chunks; chunk; chunk = chunk->link) {
		handover->n_inputs -= chunk->n;
		handover->n_bytes -= chunk->bytes;
	}
	handover->first = NULL;
	handover->last = &handover->first;
	unlock(handover);
	return chunks;
}

/* --- orders ----------------------------------------------------------------------------------------------------- */

struct kafka_orders kafka_handover_orders(struct kafka_handover *handover)
{
	lock(handover);
	struct kafka_orders orders = handover->orders;
	handover->orders.commit = false;
	unlock(handover);
	return orders;
}

void kafka_handover_order_stop(struct kafka_handover *handover)
{
	lock(handover);
	handover->orders.stop = true;
	unlock(handover);
	wake_thread(handover);
}

void kafka_handover_order_commit(struct kafka_handover *handover)
{
	lock(handover);
	handover->orders.commit = true;
	unlock(handover);
	wake_thread(handover);
}

void kafka_handover_answer(struct kafka_handover *handover, bool settled)
{
	lock(handover);
	handover->orders.dropped = true;
	handover->orders.settled = settled;
	unlock(handover);
	wake_thread(handover);
}

void kafka_handover_wait(struct kafka_handover *handover, uint64_t timeout_ms)
{
	struct pollfd fd = {.fd = handover->wake_fd, .events = POLLIN};
	uint64_t count;
	if (poll(&fd, 1, (int)timeout_ms) > 0) {
		ssize_t n = read(handover->wake_fd, &count, sizeof count);
		(void)n; /* non-blocking; nothing there is as good */
	}
}

/* --- news ------------------------------------------------------------------------------------------------------- */

struct kafka_news kafka_handover_news(struct kafka_handover *handover)
{
	lock(handover);
	struct kafka_news news = handover->news;
	handover->news.up = handover->news.recall = false;
	handover->news.alarm[0] = '\0';
	unlock(handover);
	return news;
}

void kafka_handover_recall(struct kafka_handover *handover)
{
	lock(handover);
	handover->orders.dropped = handover->orders.settled = false;
	handover->news.recall = true;
	unlock_and_post(handover);
}

void kafka_handover_up(struct kafka_handover *handover, const char *cluster)
{
	lock(handover);
	handover->news.up = true;
	snprintf(handover->news.cluster, sizeof handover->news.cluster, "%s", cluster);
	unlock_and_post(handover);
}

void kafka_handover_alarm(struct kafka_handover *handover, const char *what)
{
	lock(handover);
	snprintf(handover->news.alarm, sizeof handover->news.alarm, "%s", what);
	unlock_and_post(handover);
}

void kafka_handover_lost(struct kafka_handover *handover, const char *why)
{
	lock(handover);
	if (!handover->news.lost[0])
		snprintf(handover->news.lost, sizeof handover->news.lost, "%s", why);
	unlock_and_post(handover);
}

void kafka_handover_ended(struct kafka_handover *handover)
{
	lock(handover);
	handover->news.ended = true;
	unlock_and_post(handover);
}

void kafka_handover_abandon(struct kafka_handover *handover)
{
	lock(handover);
	handover->abandoned = true;
	unlock(handover);
}
