/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of a Kafka link (link.h): its states, its blocking calls on a thread of their own, its back-off.
 */
#include "connectors/kafka/link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/kafka/backoff.h"
#include "connectors/kafka/part.h"
#include "runtime/log.h"

#define POLL_FIRST_MS   20u /* is there a broker: at first, */
#define POLL_LAST_MS    500u /* and at last */
#define THREAD_RETRY_MS 1000u
#define ALARM_AGAIN_MS  60000u
#define SMALLER_BATCH   4u /* divides batch.size */
#define HELD_BYTES      (32u * 1024 * 1024)

static void link_open(struct kafka_link *kl);
static void link_close(struct kafka_link *kl);

static struct kafka_link *kafka_link_of(struct link *link)
{
	return (struct kafka_link *)(void *)link;
}

void kafka_link_alarm(struct kafka_link *kl, const char *what)
{
	uint64_t now_ms = loop_now_ms(kl->loop);
	if (strncmp(kl->alarm, what, sizeof kl->alarm - 1) == 0 && now_ms - kl->alarm_ms < ALARM_AGAIN_MS)
		return;
	snprintf(kl->alarm, sizeof kl->alarm, "%s", what);
	kl->alarm_ms = now_ms;
	kl->host->ops->alarm(kl->host, what);
}

/* --- the thread of one blocking call
 * -------------------------------------------------------------------------- */

static void *thread_main(void *arg)
{
	struct kafka_link *kl = arg;
	kl->thread_work(kl);
	loop_post(kl->loop, &kl->thread_done);
	return NULL;
}

static void thread_begin(struct kafka_link *kl, void (*work)(struct kafka_link *kl))
{
	kl->thread_work = work;
	int r = pthread_create(&kl->thread, NULL, thread_main, kl);
	if (r != 0) {
		log_error("kafka_no_thread", "connection=%s error=%d", kl->name, r);
		loop_timer_start(kl->timer, THREAD_RETRY_MS); /* the state says what to try again */
	}
}

static void work_open(struct kafka_link *kl)
{
	const struct kafka_producer_host host = {
		.reported = kafka_link_on_reports, .error = kafka_link_on_error, .arg = kl, .name = kl->name};
	kl->thread_result =
		kafka_producer_open(kl->settings, &kl->limits, &host, kafka_settings_window(kl->settings, false),
			kafka_wake_fd(kl->wake), &kl->producer, kl->thread_error, sizeof kl->thread_error);
}

static void work_close(struct kafka_link *kl)
{
	kafka_producer_close(kl->producer);
}

/* --- from state to state
 * -------------------------------------------------------------------------------------- */

static void link_finish(struct kafka_link *kl)
{
	kl->state = KAFKA_STOPPED;
	kafka_wake_close(kl->wake);
	kl->wake = NULL;
	loop_timer_stop(kl->timer);
	loop_cancel(kl->loop, &kl->events_job);
	kl->host->ops->stopped(kl->host); /* may free us */
}

static void link_open(struct kafka_link *kl)
{
	kl->state = KAFKA_OPENING;
	kl->turnover = (struct kafka_turnover){.lost = false};
	thread_begin(kl, work_open);
}

static void link_wait(struct kafka_link *kl, uint64_t delay_ms)
{
	kl->state = KAFKA_WAITING;
	loop_timer_start(kl->timer, delay_ms);
}

static void link_opened(struct kafka_link *kl)
{
	if (kl->thread_result < 0) {
		kl->producer = NULL;
		if (kl->stopping) {
			link_finish(kl);
			return;
		}
		kl->failures++;
		link_wait(kl, kafka_backoff_ms(kl->failures));
		kafka_link_alarm(kl, kl->thread_error);
	} else if (kl->stopping) {
		link_close(kl);
	} else {
		kl->state = KAFKA_CONNECTING;
		kl->connect_polls = 0;
		loop_timer_start(kl->timer, POLL_FIRST_MS);
		loop_post(kl->loop, &kl->events_job); /* the wake may have come before the state */
	}
}

static void link_close(struct kafka_link *kl)
{
	kl->state = KAFKA_CLOSING;
	loop_timer_stop(kl->timer);
	thread_begin(kl, work_close);
}

static void link_closed(struct kafka_link *kl)
{
	kafka_producer_free(kl->producer);
	kl->producer = NULL;
	if (kl->stopping)
		link_finish(kl);
	else if (kl->turnover.lost)
		link_wait(kl, kafka_backoff_ms(kl->failures));
	else
		link_open(kl);
}

static void on_thread_done(void *arg)
{
	struct kafka_link *kl = arg;
	pthread_join(kl->thread, NULL); /* it has nothing left to do */
	if (kl->state == KAFKA_OPENING)
		link_opened(kl);
	else
		link_closed(kl);
}

static void link_announce(struct kafka_link *kl, const char *cluster)
{
	kl->state = KAFKA_UP;
	kl->brokers_down = false;
	kl->turn_wall_ms = 0;
	log_info("kafka_connected", "connection=%s cluster=%s", kl->name, cluster);
	if (kl->announced) {
		loop_post(kl->loop, &kl->events_job); /* sends what is pending */
		return;
	}
	kl->announced = true;
	struct sink_traits traits = {
		.max_in_flight = kafka_settings_window(kl->settings, false), .held_bytes = HELD_BYTES};
	kl->host->ops->link_up(kl->host, &traits);
}

static void link_poll_broker(struct kafka_link *kl)
{
	char *cluster = kafka_producer_cluster(kl->producer);
	if (cluster) {
		char id[64];
		snprintf(id, sizeof id, "%s", cluster);
		kafka_producer_free_id(kl->producer, cluster);
		link_announce(kl, id);
		return;
	}
	uint64_t delay_ms = POLL_FIRST_MS << (kl->connect_polls < 8 ? kl->connect_polls / 2 : 4);
	kl->connect_polls++;
	loop_timer_start(kl->timer, delay_ms < POLL_LAST_MS ? delay_ms : POLL_LAST_MS);
}

static void on_timer(void *arg)
{
	struct kafka_link *kl = arg;
	switch (kl->state) {
	case KAFKA_OPENING:
		link_open(kl);
		break;
	case KAFKA_CLOSING:
		thread_begin(kl, work_close);
		break;
	case KAFKA_CONNECTING:
		link_poll_broker(kl);
		break;
	case KAFKA_WAITING:
		link_open(kl);
		break;
	case KAFKA_UP:
		kafka_link_on_events(kl); /* sends what is pending */
		break;
	case KAFKA_IDLE:
	case KAFKA_STOPPED:
		break;
	}
}

void kafka_link_turn_over(struct kafka_link *kl)
{
	bool tell = kl->announced && !kl->turnover.regroup;
	if (kl->turnover.lost)
		kl->failures++;
	if (kl->turnover.smaller) {
		kl->limits.batch_bytes = kafka_producer_batch_bytes(kl->producer) / SMALLER_BATCH;
		if (kl->limits.batch_bytes == 0)
			kl->limits.batch_bytes = 1;
	}
	if (kl->turnover.apart)
		kl->limits.one_by_one = true;
	if (kl->turnover.regroup)
		kl->limits.one_by_one = false;
	else
		pending_clear(&kl->pending);
	log_warn("kafka_producer_replaced", "connection=%s reason=\"%s\"", kl->name, kl->reason);
	link_close(kl);
	if (!tell)
		return;
	kl->announced = false;
	kl->host->ops->link_down(kl->host, kl->reason);
}

/* --- the table
 * ------------------------------------------------------------------------------------------------ */

static int link_create(const struct link_spec *spec, struct link_host *host, struct link **ret_link)
{
	struct kafka_link *kl = calloc(1, sizeof *kl);
	if (!kl)
		return -ENOMEM;
	kl->host = host;
	kl->loop = spec->loop;
	kl->name = spec->name;
	kl->settings = spec->settings;
	cloudevent_writer_init(&kl->events, &kl->settings->events, &cloudevent_kafka, kl->name);
	loop_job_init(&kl->events_job, kafka_link_on_events, kl);
	loop_job_init(&kl->thread_done, on_thread_done, kl);
	int r = -ENOMEM;
	kl->timer = loop_timer_new(spec->loop, on_timer, kl);
	if (kl->timer)
		r = kafka_wake_open(spec->loop, kafka_link_on_events, kl, &kl->wake);
	if (r < 0) {
		loop_timer_free(kl->timer);
		free(kl);
		return r;
	}
	*ret_link = (struct link *)(void *)kl;
	return 0;
}

/* At-least-once: nothing of ours outlives the process. */
static void link_start(struct link *link, const struct link_recovery *recovery)
{
	kafka_link_of(link)->uuid = recovery->destination_uuid;
	link_open(kafka_link_of(link));
}

void kafka_link_continue_stop(struct kafka_link *kl)
{
	kl->announced = false;
	pending_clear(&kl->pending);
	switch (kl->state) {
	case KAFKA_CONNECTING:
	case KAFKA_UP:
		link_close(kl);
		break;
	case KAFKA_IDLE:
	case KAFKA_WAITING:
		link_finish(kl);
		break;
	case KAFKA_OPENING:
	case KAFKA_CLOSING: /* the thread's end goes on from here */
	case KAFKA_STOPPED:
		break;
	}
}

static void link_stop(struct link *link)
{
	struct kafka_link *kl = kafka_link_of(link);
	if (kl->stopping)
		return;
	kl->stopping = true;
	if (!kl->busy)
		kafka_link_continue_stop(kl);
}

static void link_destroy(struct link *link)
{
	struct kafka_link *kl = kafka_link_of(link);
	kafka_wake_close(kl->wake);
	loop_cancel(kl->loop, &kl->events_job);
	loop_timer_free(kl->timer);
	pending_clear(&kl->pending);
	cloudevent_writer_free(&kl->events);
	free(kl);
}

static void link_send_end(struct link *link)
{
	kafka_link_of(link)->turn_wall_ms = 0; /* the library gathers by itself (linger) */
}

const struct kafka_part_ops kafka_idempotent_part = {
	.create = link_create,
	.start = link_start,
	.stop = link_stop,
	.destroy = link_destroy,
	.send = kafka_link_send,
	.send_end = link_send_end,
};
