/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of a sender.
 */
#include "connectors/http/out.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "connectors/common/guard.h"
#include "connectors/common/pem_files.h"
#include "connectors/http/out_impl.h"
#include "connectors/http/signature.h"
#include "runtime/log.h"

#define TOKEN_AGAIN_MS 5000u /* a token's file that cannot be read is looked at again */

static struct http_out *out_of(struct link *link)
{
	return (struct http_out *)(void *)link;
}

/* A batch goes alone, however many are in it. */
uint32_t http_out_window(const struct http_out *out)
{
	const struct http_out_settings *settings = &out->settings->out;
	if (http_settings_batches(out->settings))
		return (uint32_t)settings->batch.max;
	return out->breaker.state == HTTP_BREAKER_CLOSED ? (uint32_t)settings->concurrency : 1;
}

/* --- up and down -------------------------------------------------------------------------------------------------- */

static void wait_for(struct http_out *out, uint64_t ms)
{
	out->state = HTTP_OUT_WAITING;
	loop_timer_start(out->timer, ms);
}

static void wait_for_token(struct http_out *out)
{
	out->for_token = true;
	out->state = HTTP_OUT_WAITING;
	loop_timer_stop(out->timer);
}

/* Up, unless there is nothing yet to show who we are. */
static void come_up(struct http_out *out)
{
	const char *value = NULL;
	out->for_token = false;
	switch (auth_out_header(out->auth, &value)) {
	case AUTH_OUT_NOT_YET:
		wait_for_token(out);
		return;
	case AUTH_OUT_FAILED:
		wait_for_token(out);
		loop_timer_start(out->timer, TOKEN_AGAIN_MS);
		out->host->ops->alarm(out->host, value);
		return;
	case AUTH_OUT_NONE:
	case AUTH_OUT_READY:
		break;
	}
	out->state = HTTP_OUT_UP;
	out->refused = out->renewing = out->renewed = false;
	loop_timer_stop(out->timer);
	struct sink_traits traits = {.max_in_flight = http_out_window(out)};
	out->host->ops->link_up(out->host, &traits);
}

static void on_timer(void *arg)
{
	struct http_out *out = arg;
	if (out->state != HTTP_OUT_WAITING)
		return;
	http_breaker_probe(&out->breaker);
	come_up(out);
}

static void on_auth_change(void *arg)
{
	struct http_out *out = arg;
	if (out->state == HTTP_OUT_WAITING && (out->for_token || out->refused))
		on_timer(out);
	else if (out->state == HTTP_OUT_DRAINING)
		out->renewed = true;
}

static void go_down(struct http_out *out)
{
	uint64_t now_ms = loop_now_ms(out->loop);
	if (out->gone) {
		out->state = HTTP_OUT_GONE;
	} else if (out->renewed && (out->for_token || out->refused)) {
		wait_for(out, 0); /* what it waits for came while others were under way */
	} else if (out->for_token) {
		wait_for_token(out);
		loop_timer_start(out->timer, TOKEN_AGAIN_MS);
	} else {
		uint64_t wait_ms = out->breaker.until_ms > now_ms ? out->breaker.until_ms - now_ms : 0;
		log_warn("http_waiting", "connection=%s ms=%" PRIu64 " reason=\"%s\"", out->name, wait_ms, out->why);
		wait_for(out, wait_ms);
	}
	out->host->ops->link_down(out->host, out->why);
}

void http_out_drain(struct http_out *out, bool tell, const char *format, ...)
{
	if (out->state != HTTP_OUT_UP)
		return;
	va_list args;
	va_start(args, format);
	vsnprintf(out->why, sizeof out->why, format, args);
	va_end(args);
	out->state = HTTP_OUT_DRAINING;
	if (tell)
		out->host->ops->window(out->host, 0);
}

void http_out_landed(struct http_out *out)
{
	if (out->state == HTTP_OUT_DRAINING && out->n_under_way == 0 && !out->stopping)
		go_down(out);
}

/* --- gone --------------------------------------------------------------------------------------------------------- */

static void keep(struct http_out *out, struct slice blob)
{
	struct offer offer = {.change = {.type = CHANGE_SUBSCRIPTIONS, .blob = blob}, .subscription = -1};
	if (out->host->ops->offer(out->host, &offer) != OFFER_TAKEN)
		log_warn("http_state_not_kept", "connection=%s what=\"after a restart the receiver is asked again\"",
			out->name);
}

static void alarm_gone(struct http_out *out)
{
	out->host->ops->alarm(out->host,
		"the receiver has answered 410 Gone: it wants no more requests. Nothing is sent to it until a key of "
		"this connection is changed; what waits for it stays. Correct url, or take the mapping out");
}

void http_out_note_gone(struct http_out *out)
{
	uint8_t blob[HTTP_GONE_SIZE];
	out->gone = true;
	alarm_gone(out);
	if (out->uuid && http_gone_blob(out->settings, out->uuid, blob) == 0)
		keep(out, slice_of(blob, sizeof blob));
}

/* What an earlier process has kept: is it about these settings? */
static bool is_gone(struct http_out *out, struct slice kept)
{
	uint8_t blob[HTTP_GONE_SIZE];
	if (kept.len == 0 || !out->uuid || http_gone_blob(out->settings, out->uuid, blob) < 0)
		return false;
	if (slice_equal(kept, slice_of(blob, sizeof blob)))
		return true;
	keep(out, slice_of("", 0)); /* else the old settings would be gone still, should they come back */
	return false;
}

/* --- TLS ---------------------------------------------------------------------------------------------------------- */

struct files {
	struct buffer ca, cert, key;
};

static void files_free(struct files *files)
{
	if (files->key.data)
		OPENSSL_cleanse(files->key.data, files->key.capacity);
	buffer_free(&files->ca);
	buffer_free(&files->cert);
	buffer_free(&files->key);
}

static const char *read_one(const char *path, struct buffer *into)
{
	int r = path ? pem_file_read(path, into) : 0;
	return r < 0 ? strerror(-r) : NULL;
}

/* NULL, or what is wrong. */
static const char *read_files(const struct http_tls *tls, struct files *files)
{
	const char *wrong = read_one(tls->ca, &files->ca);
	if (!wrong)
		wrong = read_one(tls->cert, &files->cert);
	if (!wrong)
		wrong = read_one(tls->key, &files->key);
	if (!wrong && tls->ca)
		wrong = pem_ca_check(buffer_slice(&files->ca));
	if (!wrong && tls->cert)
		wrong = pem_pair_check(buffer_slice(&files->cert), buffer_slice(&files->key));
	return wrong;
}

static int load_tls(struct http_out *out)
{
	const struct http_tls *tls = &out->settings->tls;
	struct files files = {{0}, {0}, {0}};
	const char *wrong = tls->ca || tls->cert ? read_files(tls, &files) : NULL;
	int r = wrong ? -EINVAL : 0;
	if (!wrong) {
		const struct http_client_tls pem = {
			buffer_slice(&files.ca), buffer_slice(&files.cert), buffer_slice(&files.key)};
		r = http_client_set_tls(out->client, &pem);
		wrong = r < 0 ? "TLS does not take them" : NULL;
	}
	if (wrong)
		log_error("http_tls_files", "connection=%s what=\"the files of tls cannot be used: %s\"", out->name,
			wrong);
	files_free(&files);
	return r;
}

/* --- the table ---------------------------------------------------------------------------------------------------- */

static void on_stop(void *arg)
{
	struct http_out *out = arg;
	http_out_forget(out);
	out->state = HTTP_OUT_STOPPED;
	out->host->ops->stopped(out->host); /* may free us */
}

static int set_up_flights(struct http_out *out)
{
	out->flights = calloc(out->n_flights, sizeof *out->flights);
	if (!out->flights)
		return -ENOMEM;
	for (size_t i = 0; i < out->n_flights; i++) {
		struct http_flight *flight = &out->flights[i];
		flight->out = out;
		buffer_init(&flight->body, UINT32_MAX);
		flight->next = out->idle;
		out->idle = flight;
	}
	return 0;
}

static int set_up(struct http_out *out)
{
	const struct http_out_settings *settings = &out->settings->out;
	struct http_client_options options = {
		.loop = out->loop,
		.calls = (unsigned)out->n_flights,
		.connections = (unsigned)settings->concurrency,
		.timeout_ms = settings->timeout_ms,
		.connect_timeout_ms = settings->connect_timeout_ms,
		.http2 = settings->version == HTTP_VERSION_2,
		.refusal = guard_refusal,
		.on_done = http_out_on_done,
		.arg = out,
	};
	int r = set_up_flights(out);
	out->timer = loop_timer_new(out->loop, on_timer, out);
	out->client = http_client_new(&options);
	if (r == 0 && (!out->timer || !out->client))
		r = -ENOMEM;
	if (r == 0 && settings->signing_secret)
		r = signer_new(settings->signing_secret, &out->maker.signer);
	if (r == 0)
		r = auth_out_new(&settings->auth, out->loop, on_auth_change, out, &out->auth);
	return r == 0 ? load_tls(out) : r;
}

int http_out_create(const struct link_spec *spec, struct link_host *host, struct link **ret_link)
{
	struct http_out *out = calloc(1, sizeof *out);
	if (!out)
		return -ENOMEM;
	const struct http_settings *settings = out->settings = spec->settings;
	out->host = host;
	out->loop = spec->loop;
	out->name = spec->name;
	out->n_flights = (size_t)settings->out.concurrency + 1; /* one sends more while it ends */
	out->maker = (struct http_maker){.name = spec->name, .settings = settings, .arena = &out->arena};
	out->breaker = (struct http_breaker){
		.limit = (uint64_t)settings->out.breaker.failures,
		.min_ms = settings->out.breaker.min_ms,
		.max_ms = settings->out.breaker.max_ms,
		.random = arc4random_uniform,
	};
	loop_job_init(&out->stop_job, on_stop, out);
	int r = set_up(out);
	if (r < 0) {
		http_out_destroy((struct link *)(void *)out);
		return r;
	}
	*ret_link = (struct link *)(void *)out;
	return 0;
}

void http_out_start(struct link *link, const struct link_recovery *recovery)
{
	struct http_out *out = out_of(link);
	out->uuid = recovery->destination_uuid;
	if (is_gone(out, recovery->subscriptions)) {
		out->state = HTTP_OUT_GONE;
		alarm_gone(out);
		return;
	}
	if (auth_out_start(out->auth) < 0)
		log_error("http_no_thread", "connection=%s", out->name);
	come_up(out);
}

void http_out_counters(const struct link *link, void (*fn)(const char *name, uint64_t value, void *arg), void *arg)
{
	const struct http_out *out = (const struct http_out *)(const void *)link;
	fn("requests", out->counters.requests, arg);
	fn("connections", http_client_connections(out->client), arg);
	fn("batches", out->counters.batches, arg);
	fn("redirects", out->counters.redirects, arg);
	fn("answers_4xx", out->counters.refused_4xx, arg);
	fn("answers_5xx", out->counters.refused_5xx, arg);
	fn("no_answer", out->counters.failed, arg);
	fn("breaker_opened", out->counters.breaker_opened, arg);
}

void http_out_reload(struct link *link)
{
	struct http_out *out = out_of(link);
	const char *wrong = auth_out_reload(out->auth);
	if (wrong)
		log_error("http_token_file", "connection=%s what=\"%s\"", out->name, wrong);
	if (load_tls(out) == 0 && (out->settings->tls.ca || out->settings->tls.cert))
		log_info("http_tls_files_read", "connection=%s", out->name);
	if (out->state == HTTP_OUT_WAITING && (out->for_token || out->refused))
		on_timer(out);
}

/* From a job: it may be a step of a delivery's end that asks for it. What is under way is cut off, and sent again with the
 * same id: the bridge has given it its time before. */
void http_out_stop(struct link *link, uint64_t linger_ms)
{
	struct http_out *out = out_of(link);
	(void)linger_ms;
	if (out->stopping)
		return;
	out->stopping = true;
	loop_timer_stop(out->timer);
	loop_post(out->loop, &out->stop_job);
}

static void flight_free(struct http_flight *flight)
{
	for (size_t i = 0; i < flight->n; i++)
		message_unref(flight->members[i].msg);
	free(flight->members);
	buffer_free(&flight->body);
}

void http_out_destroy(struct link *link)
{
	struct http_out *out = out_of(link);
	loop_cancel(out->loop, &out->stop_job);
	http_client_free(out->client);
	auth_out_free(out->auth);
	for (size_t i = 0; out->flights && i < out->n_flights; i++)
		flight_free(&out->flights[i]);
	free(out->flights);
	signer_free(out->maker.signer);
	loop_timer_free(out->timer);
	arena_free(&out->arena);
	free(out);
}
