/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of a listener: opens its addresses and tries again while it cannot, gives receipts to the requests that they are
 * for, takes what mappings write to it as last values, and closes so that every request has an answer.
 */
#include "connectors/http/in.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "connectors/http/in_link.h"
#include "runtime/failpoint.h"
#include "runtime/log.h"

#define RETRY_FIRST_MS 1000u
#define RETRY_LAST_MS  60000u
#define MAX_IN_FLIGHT  1024u /* values; each is answered at once */

static struct in_link *cast(struct link *link)
{
	return (struct in_link *)(void *)link;
}

/* --- listening --------------------------------------------------------------------------------------------------------- */

static void on_tick(void *arg)
{
	in_request_give_up(arg, false);
}

static void on_drained(void *arg)
{
	struct in_link *link = arg;
	if (link->stopping)
		loop_post(link->spec.loop, &link->stopped_job);
}

static void try_to_listen(struct in_link *link)
{
	struct sink_traits traits = {.max_in_flight = MAX_IN_FLIGHT};
	if (in_server_listen(link->server) == 0) {
		link->listening = true;
		link->host->ops->link_up(link->host, &traits);
		return;
	}
	if (!link->retry_ms)
		link->host->ops->alarm(link->host, "it cannot listen; it tries again until it can");
	link->retry_ms = link->retry_ms ? link->retry_ms * 2 : RETRY_FIRST_MS;
	if (link->retry_ms > RETRY_LAST_MS)
		link->retry_ms = RETRY_LAST_MS;
	loop_timer_start(link->timer, link->retry_ms);
}

static void finish_stop(void *arg)
{
	struct in_link *link = arg;
	if (!link->server)
		return;
	loop_timer_stop(link->timer);
	in_server_free(link->server);
	link->server = NULL;
	link->host->ops->stopped(link->host);
}

static void on_timer(void *arg)
{
	struct in_link *link = arg;
	if (link->stopping)
		finish_stop(link);
	else if (!link->closing)
		try_to_listen(link);
}

/* --- making --------------------------------------------------------------------------------------------------------- */

static int open_parts(struct in_link *link)
{
	const struct http_settings *settings = link->settings;
	char why[512];
	struct in_tls *tls = NULL;
	int r = settings->tls.cert ? in_tls_load(&settings->tls, why, sizeof why, &tls) : 0;
	if (r < 0) {
		log_error("http_tls", "connection=%s error=\"%s\"", link->spec.name, why);
		return r;
	}
	struct in_server_options options = {
		.name = link->spec.name,
		.loop = link->spec.loop,
		.listen = &settings->listen,
		.limits = &settings->in.limits,
		.tls = tls,
		.arg = link,
		.begin = in_request_begin,
		.handle = in_request_handle,
		.end = in_request_end,
		.write_answer = in_request_write_answer,
		.tick = on_tick,
		.drained = on_drained,
	};
	link->server = in_server_new(&options);
	in_tls_unref(tls);
	if (getrandom(link->id_key, sizeof link->id_key, 0) != sizeof link->id_key)
		return -EIO;
	link->timer = loop_timer_new(link->spec.loop, on_timer, link);
	if (!link->server || !link->timer)
		return -ENOMEM;
	return auth_in_new(&settings->in.access, link->spec.loop, &link->auth);
}

int http_in_create(const struct link_spec *spec, struct link_host *host, struct link **ret_link)
{
	struct in_link *link = calloc(1, sizeof *link);
	if (!link)
		return -ENOMEM;
	link->listens = true;
	link->spec = *spec;
	link->settings = spec->settings;
	link->host = host;
	loop_job_init(&link->stopped_job, finish_stop, link);
	loop_job_init(&link->offer_job, in_request_offer_held, link);
	int r = open_parts(link);
	if (r < 0) {
		http_in_destroy((struct link *)(void *)link);
		return r;
	}
	*ret_link = (struct link *)(void *)link;
	return 0;
}

void http_in_start(struct link *link, const struct link_recovery *recovery)
{
	(void)recovery;
	try_to_listen(cast(link));
}

/* --- source --------------------------------------------------------------------------------------------------------- */

void http_in_pause(struct link *link)
{
	cast(link)->paused = true;
}

void http_in_resume(struct link *link)
{
	cast(link)->paused = false;
	in_request_offer_held(cast(link));
}

void http_in_receipt(struct link *link, uint64_t cookie, enum receipt receipt)
{
	struct in_link *in = cast(link);
	if (in->stopping)
		return; /* all have been answered, and may be gone */
	struct in_request *request = (struct in_request *)(uintptr_t)cookie;
	struct in_answer answer = {.status = MHD_HTTP_ACCEPTED, .text = request->id};
	if (receipt == RECEIPT_DURABLE)
		in->counters.accepted++;
	else
		answer = (struct in_answer){
			.status = MHD_HTTP_SERVICE_UNAVAILABLE, .text = "the journal has failed", .retry_after_s = 10};
	FAILPOINT("http.before_answer");
	in_request_answer(request, answer);
}

/* --- last values ------------------------------------------------------------------------------------------------------ */

void http_in_send(struct link *link, const struct delivery *delivery)
{
	struct in_link *in = cast(link);
	struct outcome outcome = {.kind = OUTCOME_DELIVERED, .keep_value = true};
	in->host->ops->outcome(in->host, delivery->seq, &outcome);
}

/* --- figures, files --------------------------------------------------------------------------------------------------- */

void http_in_counters(const struct link *link, void (*fn)(const char *name, uint64_t value, void *arg), void *arg)
{
	const struct in_link *in = (const struct in_link *)(const void *)link;
	const struct in_counters *counters = &in->counters;
	struct in_server_counters server = {.connections = 0};
	if (in->server)
		server = in_server_counters(in->server);
	fn("requests", counters->requests, arg);
	fn("accepted", counters->accepted, arg);
	fn("repeated", counters->repeated, arg);
	fn("refused", counters->refused, arg);
	fn("denied", counters->denied, arg);
	fn("busy", counters->busy, arg);
	fn("values", counters->values, arg);
	fn("connections", server.connections, arg);
	fn("timed_out", server.timed_out, arg);
	fn("waiting_requests", in->checking.n + in->held.n + in->offered.n, arg);
	fn("buffered_bytes", in->buffered, arg);
}

void http_in_reload(struct link *link)
{
	struct in_link *in = cast(link);
	struct in_tls *tls;
	char why[512];
	if (!in->settings->tls.cert || !in->server)
		return;
	if (in_tls_load(&in->settings->tls, why, sizeof why, &tls) < 0) {
		log_error("http_tls", "connection=%s error=\"%s\" what=\"what was read before stays in use\"",
			in->spec.name, why);
		return;
	}
	in_server_set_tls(in->server, tls);
	in_tls_unref(tls);
	log_info("http_tls_reloaded", "connection=%s", in->spec.name);
}

/* Whether a path is read is asked once for each request. */
int http_in_retarget(struct link *link, const struct link_spec *spec)
{
	cast(link)->spec = *spec;
	return 0;
}

/* --- the end ---------------------------------------------------------------------------------------------------------- */

void http_in_stop_intake(struct link *link)
{
	struct in_link *in = cast(link);
	in->closing = true;
	in_request_give_up(in, true);
	in_server_close_intake(in->server);
}

void http_in_stop(struct link *link, uint64_t linger_ms)
{
	static const struct in_answer unknown = {.status = MHD_HTTP_SERVICE_UNAVAILABLE,
		.text = "linkspan is stopping; whether this was taken is not known",
		.retry_after_s = 1};
	struct in_link *in = cast(link);
	http_in_stop_intake(link);
	while (in->checking.first)
		in_request_answer(in->checking.first, unknown);
	while (in->offered.first)
		in_request_answer(in->offered.first, unknown);
	in->stopping = true;
	if (in_server_connections(in->server) == 0)
		finish_stop(in);
	else
		loop_timer_start(in->timer, linger_ms);
}

void http_in_destroy(struct link *link)
{
	struct in_link *in = cast(link);
	in_server_free(in->server);
	auth_in_free(in->auth);
	loop_cancel(in->spec.loop, &in->stopped_job);
	loop_cancel(in->spec.loop, &in->offer_job);
	loop_timer_free(in->timer);
	arena_free(&in->arena);
	free(in);
}
