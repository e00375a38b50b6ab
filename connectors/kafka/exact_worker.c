/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of the exactly-once worker's thread, and what passes between it and the loop: orders one way, a report the
 * other, both under the mutex.
 */
#include "connectors/kafka/exact_worker.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "connectors/kafka/client.h"
#include "connectors/kafka/exact_worker_impl.h"
#include "connectors/kafka/library_log.h"
#include "connectors/kafka/verdict.h"
#include "runtime/failpoint.h"
#include "runtime/log.h"

#define INIT_STEP_MS     500
#define IDLE_POLL_MS     1000
#define LEADER_MS        500
#define TIMEOUTS_SEEN_MS 15000u /* brokers look for them every 10 s, unless told otherwise */

/* --- reports -------------------------------------------------------------------------------------------------- */

static void report_begin(struct exact_worker *worker)
{
	pthread_mutex_lock(&worker->mutex);
}

static void report_end(struct exact_worker *worker)
{
	pthread_mutex_unlock(&worker->mutex);
	loop_post(worker->loop, &worker->job);
}

void exact_fail(struct exact_worker *worker, enum exact_failure failure, const char *format, ...)
{
	va_list args;
	if (worker->has_failed)
		return;
	worker->has_failed = true;
	report_begin(worker);
	worker->report.failed = true;
	worker->report.failure = failure;
	worker->report.failed_seq = worker->trouble.seq;
	va_start(args, format);
	vsnprintf(worker->report.reason, sizeof worker->report.reason, format, args);
	va_end(args);
	report_end(worker);
}

void exact_alarm(struct exact_worker *worker, const char *what)
{
	report_begin(worker);
	worker->report.alarmed = true;
	snprintf(worker->report.alarm, sizeof worker->report.alarm, "%s", what);
	report_end(worker);
}

void exact_committed(struct exact_worker *worker, uint64_t seq)
{
	report_begin(worker);
	worker->report.committed = seq;
	report_end(worker);
}

bool exact_closing(const struct exact_worker *worker)
{
	return atomic_load(&worker->closing) || worker->has_failed;
}

/* --- waiting --------------------------------------------------------------------------- */

/* The mutex is held. */
static void wait_a_while(struct exact_worker *worker, unsigned ms)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_cond_timedwait(&worker->cond, &worker->mutex, &until);
}

uint64_t exact_clock_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Orders that come meanwhile wake it, and it goes on waiting. */
void exact_wait_until(struct exact_worker *worker, uint64_t us)
{
	struct timespec until = {.tv_sec = (time_t)(us / 1000000), .tv_nsec = (long)(us % 1000000) * 1000};
	pthread_mutex_lock(&worker->mutex);
	while (!exact_closing(worker) && exact_clock_us() < us)
		pthread_cond_timedwait(&worker->cond, &worker->mutex, &until);
	pthread_mutex_unlock(&worker->mutex);
}

bool exact_ask(struct exact_worker *worker, bool undone)
{
	report_begin(worker);
	worker->go = false;
	worker->report.asks = !undone;
	worker->report.undone = undone;
	worker->report.n_rejects = worker->n_rejects;
	memcpy(worker->report.rejects, worker->rejects, worker->n_rejects * sizeof *worker->rejects);
	worker->n_rejects = 0;
	report_end(worker);
	bool go = false;
	while (!go && !exact_closing(worker)) {
		rd_kafka_poll(worker->rk, 0);
		pthread_mutex_lock(&worker->mutex);
		if (!worker->go && !exact_closing(worker))
			wait_a_while(worker, IDLE_POLL_MS);
		go = worker->go;
		pthread_mutex_unlock(&worker->mutex);
	}
	return go && !exact_closing(worker);
}

/* Swaps what was ordered into `taken`; waits a while if there is nothing. */
static void take_orders(struct exact_worker *worker)
{
	pthread_mutex_lock(&worker->mutex);
	if (worker->n_orders == 0 && !exact_closing(worker))
		wait_a_while(worker, IDLE_POLL_MS);
	struct exact_order *orders = worker->taken;
	size_t capacity = worker->taken_capacity;
	worker->taken = worker->orders;
	worker->taken_capacity = worker->orders_capacity;
	worker->n_taken = worker->n_orders;
	worker->orders = orders;
	worker->orders_capacity = capacity;
	worker->n_orders = 0;
	pthread_mutex_unlock(&worker->mutex);
}

static bool wait_for_open(struct exact_worker *worker)
{
	pthread_mutex_lock(&worker->mutex);
	while (worker->wish == EXACT_IDLE)
		pthread_cond_wait(&worker->cond, &worker->mutex);
	bool open = worker->wish == EXACT_OPEN;
	if (open) {
		worker->wish = EXACT_IDLE;
		worker->one_by_one = worker->limits.one_by_one;
	}
	pthread_mutex_unlock(&worker->mutex);
	return open;
}

/* --- the producer ----------------------------------------------------------------------------------------------- */

static void on_error(rd_kafka_t *rk, int code, const char *text, void *arg)
{
	struct exact_worker *worker = kafka_client_owner(rk);
	rd_kafka_resp_err_t err = (rd_kafka_resp_err_t)code;
	char words[400];
	(void)arg;
	if (err == RD_KAFKA_RESP_ERR__FATAL) {
		err = rd_kafka_fatal_error(rk, words, sizeof words);
		exact_fail(worker, kafka_needs_person(err) ? EXACT_NEEDS_PERSON : EXACT_LOST, "%s", words);
		return;
	}
	if (err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
		log_warn("kafka_brokers_down", "connection=%s", worker->name);
		return;
	}
	enum kafka_error kind = kafka_client_error(rk, worker->is_open, err, text, words, sizeof words);
	if (kind == KAFKA_ERROR_ALARM)
		exact_alarm(worker, words);
	else if (kind == KAFKA_ERROR_NOTE)
		log_warn("kafka_error", "connection=%s code=%s text=\"%s\"", worker->name, rd_kafka_err2name(err),
			words);
}

static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
	const struct exact_worker *worker = kafka_client_owner(rk);
	kafka_library_log(worker->name, level, facility, text);
}

static bool make_producer(struct exact_worker *worker)
{
	char errstr[400], text[32] = "";
	size_t size = sizeof text;
	rd_kafka_conf_t *conf = kafka_settings_conf_exact(
		worker->settings, &worker->limits, worker->transactional_id, errstr, sizeof errstr);
	if (conf) {
		rd_kafka_conf_get(conf, "batch.size", text, &size);
		rd_kafka_conf_set_dr_msg_cb(conf, exact_on_delivery_report);
		rd_kafka_conf_set_error_cb(conf, on_error);
		rd_kafka_conf_set_log_cb(conf, on_log);
		worker->rk = kafka_client_new(RD_KAFKA_PRODUCER, conf, worker->settings, worker, errstr, sizeof errstr);
		if (!worker->rk)
			rd_kafka_conf_destroy(conf);
	}
	if (!worker->rk) {
		exact_fail(worker, EXACT_NEEDS_PERSON, "%s", errstr);
		return false;
	}
	rd_kafka_set_log_queue(worker->rk, NULL);
	report_begin(worker);
	worker->batch_bytes = (uint32_t)strtoul(text, NULL, 10);
	report_end(worker);
	worker->topics = kafka_topics_new(worker->rk, worker->settings);
	if (!worker->topics)
		exact_fail(worker, EXACT_LOST, "out of memory");
	return worker->topics != NULL;
}

/* Aborts what an earlier producer has left, and fences it off. */
static bool init_transactions(struct exact_worker *worker)
{
	FAILPOINT("kafka.before_init");
	for (;;) {
		rd_kafka_error_t *error = rd_kafka_init_transactions(worker->rk, INIT_STEP_MS);
		rd_kafka_poll(worker->rk, 0);
		if (!error)
			break;
		rd_kafka_resp_err_t err = rd_kafka_error_code(error);
		if (!rd_kafka_error_is_retriable(error))
			exact_fail(worker, EXACT_NEEDS_PERSON, "transactions cannot be used: %s (transactional.id %s)",
				rd_kafka_error_string(error), worker->transactional_id);
		rd_kafka_error_destroy(error);
		if (exact_closing(worker))
			return false;
		if (err != RD_KAFKA_RESP_ERR__TIMED_OUT)
			rd_kafka_poll(worker->rk, INIT_STEP_MS);
	}
	FAILPOINT("kafka.after_init");
	return true;
}

static void on_cursor_waits(void *arg, int32_t partition)
{
	struct exact_worker *worker = arg;
	worker->waits_since_us = partition >= 0 ? exact_clock_us() : 0;
	worker->waits_partition = partition;
}

/* By now brokers have ended one of ours. Another writer's may be allowed to last longer; one that they have forgotten lasts for ever. */
static void say_cursor_stands_still(struct exact_worker *worker)
{
	char what[400];
	if (worker->waits_since_us == 0 || exact_clock_us() - worker->waits_since_us <
						   (worker->settings->transaction.timeout_ms + TIMEOUTS_SEEN_MS) * 1000)
		return;
	worker->waits_since_us = 0;
	snprintf(what, sizeof what,
		"a transaction stays open in topic %s, partition %" PRId32
		", and nothing is sent before it ends. Brokers may have forgotten it: doc/exactly-once.md",
		worker->settings->cursor_topic, worker->waits_partition);
	exact_alarm(worker, what);
}

static bool gives_up(void *arg)
{
	struct exact_worker *worker = arg;
	rd_kafka_poll(worker->rk, 0);
	say_cursor_stands_still(worker);
	return exact_closing(worker);
}

/* The cursor must be what we have left, or what was there when we came. */
static bool is_ours(struct exact_worker *worker)
{
	uint64_t writer = worker->cursor.writer;
	if (!worker->opened_before)
		worker->seen = worker->cursor;
	worker->opened_before = true;
	if (worker->cursor.seq == 0 || writer == worker->writer)
		return true; /* 0: the topic was made anew; there is nothing that could be anybody's */
	return writer == worker->seen.writer && worker->cursor.seq == worker->seen.seq && !worker->committed_before;
}

static bool read_cursor(struct exact_worker *worker)
{
	char errstr[400] = "";
	struct kafka_cursor_request request = {
		worker->settings, worker->name, worker->key, gives_up, on_cursor_waits, worker};
	worker->waits_since_us = 0;
	int r = kafka_cursor_read(&request, &worker->cursor, errstr, sizeof errstr);
	FAILPOINT("kafka.after_cursor_read");
	if (r == -ECANCELED)
		return false;
	if (r < 0) {
		exact_fail(worker, r == -EPERM ? EXACT_NEEDS_PERSON : EXACT_LOST, "%s", errstr);
		return false;
	}
	if (!is_ours(worker)) {
		exact_fail(worker, EXACT_FENCED,
			"another process has written to the cluster as this destination (%s): is there a second "
			"linkspan with a copy "
			"of this data folder? Nothing more is sent from here; run only one of the two, and start it "
			"again",
			worker->transactional_id);
		return false;
	}
	return true;
}

/* Else the library asks who leads the cursor's partition when the first one is written, behind all the records that are on their
 * way, and the commit waits for the answer. Here it is there by now, so it is not made by the question. */
static void meet_cursor_topic(struct exact_worker *worker)
{
	const struct rd_kafka_metadata *metadata;
	worker->cursor_topic = rd_kafka_topic_new(worker->rk, worker->settings->cursor_topic, NULL);
	if (worker->cursor_topic && !rd_kafka_metadata(worker->rk, 0, worker->cursor_topic, &metadata, LEADER_MS))
		rd_kafka_metadata_destroy(metadata);
}

static bool open_outside(struct exact_worker *worker)
{
	char errstr[400];
	if (!worker->cursor_outside || worker->outside)
		return true;
	rd_kafka_conf_t *conf = kafka_settings_conf(worker->settings, NULL, errstr, sizeof errstr);
	if (conf)
		worker->outside =
			kafka_client_new(RD_KAFKA_PRODUCER, conf, worker->settings, worker, errstr, sizeof errstr);
	return worker->outside != NULL;
}

static bool open_producer(struct exact_worker *worker)
{
	if (!make_producer(worker) || !init_transactions(worker) || !read_cursor(worker) || !open_outside(worker))
		return false;
	meet_cursor_topic(worker);
	worker->is_open = true;
	report_begin(worker);
	worker->report.opened = true;
	worker->report.done_through = worker->cursor.seq;
	report_end(worker);
	return true;
}

static void close_producer(struct exact_worker *worker)
{
	if (worker->rk)
		exact_abandon(worker);
	if (worker->cursor_topic)
		rd_kafka_topic_destroy(worker->cursor_topic);
	worker->cursor_topic = NULL;
	kafka_topics_free(worker->topics);
	worker->topics = NULL;
	if (worker->rk) {
		/* Without the purge, destroy would wait for brokers that are down. */
		rd_kafka_purge(
			worker->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
		kafka_client_destroy(worker->rk, 0);
	}
	worker->rk = NULL;
	if (worker->outside)
		kafka_client_destroy(worker->outside, 0);
	worker->outside = NULL;
	worker->in_transaction = worker->has_failed = worker->is_open = false;
	worker->n_rejects = 0;
	worker->trouble = (struct exact_trouble){.failure = EXACT_LOST};
	report_begin(worker);
	worker->n_orders = 0;
	worker->report.closed = true;
	report_end(worker);
}

/* --- the thread ------------------------------------------------------------------------------------------------- */

static bool carry_out(struct exact_worker *worker, const struct exact_order *order, bool *ret_undone)
{
	*ret_undone = false;
	return order->msg ? exact_write(worker, order) : exact_end(worker, order->seq, ret_undone);
}

static void serve(struct exact_worker *worker)
{
	while (!exact_closing(worker)) {
		bool undone = false;
		take_orders(worker);
		for (size_t i = 0; i < worker->n_taken && !undone; i++)
			if (exact_closing(worker) || !carry_out(worker, &worker->taken[i], &undone))
				return;
		rd_kafka_poll(worker->rk, 0);
	}
}

static void *worker_main(void *arg)
{
	struct exact_worker *worker = arg;
	while (wait_for_open(worker)) {
		if (open_producer(worker))
			serve(worker);
		close_producer(worker);
	}
	return NULL;
}

/* --- the loop's side -------------------------------------------------------------------------------------------- */

static void init_names(struct exact_worker *worker, const uint8_t *uuid)
{
	for (size_t i = 0; i < (EXACT_KEY_SIZE - 1) / 2; i++)
		snprintf(worker->key + 2 * i, 3, "%02x", uuid[i]);
	snprintf(worker->transactional_id, sizeof worker->transactional_id, "linkspan-%s", worker->key);
	if (getrandom(&worker->writer, sizeof worker->writer, 0) != sizeof worker->writer)
		worker->writer = (uint64_t)time(NULL);
	worker->cursor_outside = getenv("LINKSPAN_TEST_CURSOR_OUTSIDE") != NULL;
	if (worker->cursor_outside)
		log_warn("kafka_cursor_outside",
			"connection=%s cause=\"LINKSPAN_TEST_CURSOR_OUTSIDE is set: messages may be repeated\"",
			worker->name);
}

struct exact_worker *exact_worker_new(struct loop *loop, const struct kafka_settings *settings, const char *name,
	const uint8_t *uuid, loop_fn on_report, void *arg)
{
	struct exact_worker *worker = calloc(1, sizeof *worker);
	pthread_condattr_t attr;
	if (!worker)
		return NULL;
	worker->loop = loop;
	worker->settings = settings;
	worker->name = name;
	memcpy(worker->uuid, uuid, sizeof worker->uuid);
	init_names(worker, uuid);
	cloudevent_writer_init(&worker->events, &settings->events, &cloudevent_kafka, name);
	loop_job_init(&worker->job, on_report, arg);
	pthread_mutex_init(&worker->mutex, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&worker->cond, &attr);
	pthread_condattr_destroy(&attr);
	if (pthread_create(&worker->thread, NULL, worker_main, worker) == 0)
		return worker;
	pthread_cond_destroy(&worker->cond);
	pthread_mutex_destroy(&worker->mutex);
	free(worker);
	return NULL;
}

void exact_worker_free(struct exact_worker *worker)
{
	if (!worker)
		return;
	pthread_mutex_lock(&worker->mutex);
	worker->wish = EXACT_QUIT;
	atomic_store(&worker->closing, true);
	pthread_cond_signal(&worker->cond);
	pthread_mutex_unlock(&worker->mutex);
	pthread_join(worker->thread, NULL);
	loop_cancel(worker->loop, &worker->job);
	pthread_cond_destroy(&worker->cond);
	pthread_mutex_destroy(&worker->mutex);
	free(worker->orders);
	free(worker->taken);
	cloudevent_writer_free(&worker->events);
	free(worker);
}

void exact_worker_open(struct exact_worker *worker, const struct kafka_limits *limits)
{
	pthread_mutex_lock(&worker->mutex);
	worker->wish = EXACT_OPEN;
	worker->limits = *limits;
	worker->n_orders = 0;
	atomic_store(&worker->closing, false);
	pthread_cond_signal(&worker->cond);
	pthread_mutex_unlock(&worker->mutex);
}

void exact_worker_close(struct exact_worker *worker)
{
	pthread_mutex_lock(&worker->mutex);
	atomic_store(&worker->closing, true);
	pthread_cond_signal(&worker->cond);
	pthread_mutex_unlock(&worker->mutex);
}

static int reserve_orders(struct exact_worker *worker, size_t n)
{
	size_t capacity = worker->orders_capacity ? worker->orders_capacity : 256;
	while (capacity < n)
		capacity *= 2;
	if (capacity == worker->orders_capacity)
		return 0;
	struct exact_order *orders = realloc(worker->orders, capacity * sizeof *orders);
	if (!orders)
		return -ENOMEM;
	worker->orders = orders;
	worker->orders_capacity = capacity;
	return 0;
}

int exact_worker_give(struct exact_worker *worker, const struct exact_order *orders, size_t n)
{
	pthread_mutex_lock(&worker->mutex);
	int r = reserve_orders(worker, worker->n_orders + n);
	if (r == 0) {
		memcpy(worker->orders + worker->n_orders, orders, n * sizeof *orders);
		worker->n_orders += n;
		pthread_cond_signal(&worker->cond);
	}
	pthread_mutex_unlock(&worker->mutex);
	return r;
}

void exact_worker_go(struct exact_worker *worker, bool forget)
{
	pthread_mutex_lock(&worker->mutex);
	if (forget)
		worker->n_orders = 0;
	worker->go = true;
	pthread_cond_signal(&worker->cond);
	pthread_mutex_unlock(&worker->mutex);
}

void exact_worker_take(struct exact_worker *worker, struct exact_report *ret_report)
{
	pthread_mutex_lock(&worker->mutex);
	*ret_report = worker->report;
	memset(&worker->report, 0, sizeof worker->report);
	pthread_mutex_unlock(&worker->mutex);
}

const char *exact_worker_id(const struct exact_worker *worker)
{
	return worker->transactional_id;
}

uint32_t exact_worker_batch_bytes(struct exact_worker *worker)
{
	pthread_mutex_lock(&worker->mutex);
	uint32_t bytes = worker->batch_bytes;
	pthread_mutex_unlock(&worker->mutex);
	return bytes;
}
