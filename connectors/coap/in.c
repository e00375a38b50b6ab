/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of a listener: opens its addresses and tries again while it cannot, gives receipts to the requests that they are
 * for, takes what mappings write to it as last values, and closes so that every request has an answer.
 */
#include "connectors/coap/in.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/coap/descriptors.h"
#include "connectors/coap/in_link.h"
#include "connectors/coap/path.h"
#include "message/siphash.h"
#include "runtime/log.h"

#define RETRY_FIRST_MS  1000u
#define RETRY_LAST_MS   60000u
#define TICK_MS         1000u
#define MAX_IN_FLIGHT   1024u /* values; each is answered at once */
#define MAX_IDS         1000000u /* message ids known in memory */
#define MAX_REFUSALS    131072u
#define MAX_BODIES      4096u /* that are being received */
#define BODY_YIELDS_MS  10000u
#define MAX_RATED_PEERS 65536u
#define MAX_QUERY       65536u
#define LINGER_STEP_MS  20u

static struct coap_in_link *cast(struct link *link)
{
	return (struct coap_in_link *)(void *)link;
}

/* --- listening --------------------------------------------------------------------------------------------------------- */

static void try_to_listen(struct coap_in_link *link)
{
	struct sink_traits traits = {.max_in_flight = MAX_IN_FLIGHT};
	if (coap_in_server_open(link) == 0) {
		link->listening = true;
		loop_timer_start(link->ticker, TICK_MS);
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
	struct coap_in_link *link = arg;
	if (link->stopped)
		return;
	link->stopped = true;
	loop_timer_stop(link->timer);
	loop_timer_stop(link->ticker);
	loop_timer_stop(link->ack_timer);
	coap_in_server_close(link);
	link->host->ops->stopped(link->host);
}

/* Has everything that was said been taken in? */
static bool is_quiet(const struct coap_in_link *link)
{
	return (!link->datagrams || coap_can_exit(coap_loop_context(link->datagrams))) &&
	       (!link->streams || coap_can_exit(coap_loop_context(link->streams)));
}

static void on_timer(void *arg)
{
	struct coap_in_link *link = arg;
	if (link->stopping && (link->linger_ms <= LINGER_STEP_MS || is_quiet(link))) {
		finish_stop(link);
	} else if (link->stopping) {
		link->linger_ms -= LINGER_STEP_MS;
		loop_timer_start(link->timer, LINGER_STEP_MS);
	} else if (!link->closing) {
		try_to_listen(link);
	}
}

static void on_tick(void *arg)
{
	struct coap_in_link *link = arg;
	uint64_t now_ms = loop_now_ms(link->spec.loop);
	coap_in_request_give_up(link, false);
	coap_in_peers_tick(link);
	coap_in_observe_tick(link);
	reassembly_expire(link->bodies, now_ms);
	dedupe_expire(link->dedupe, now_ms);
	dedupe_expire(link->refusals, now_ms);
	loop_timer_start(link->ticker, TICK_MS);
}

static void on_ack_timer(void *arg)
{
	coap_in_request_acknowledge(arg);
}

/* --- making ------------------------------------------------------------------------------------------------------------ */

static int read_security(struct coap_in_link *link)
{
	char why[512];
	int r = coap_in_security_new(link->settings, why, sizeof why, &link->security);
	if (r < 0)
		log_error("coap_tls", "connection=%s error=\"%s\"", link->spec.name, why);
	else if (link->security && coap_in_security_is_exposed(link->security))
		log_warn("coap_keys_exposed",
			"connection=%s file=%s what=\"everybody on this machine can read these keys; chmod o-r\"",
			link->spec.name, link->settings->psk.file);
	return r;
}

static int make_filters(const struct link_spec *spec, struct topic_index **ret_filters)
{
	struct topic_index *filters = topic_index_new();
	int r = filters ? 0 : -ENOMEM;
	for (size_t i = 0; i < spec->n_subscriptions && r == 0; i++)
		r = topic_index_add(filters, spec->subscriptions[i].filter);
	if (r < 0)
		topic_index_free(filters);
	else
		*ret_filters = filters;
	return r;
}

static int make_tables(struct coap_in_link *link)
{
	const struct coap_limits *limits = &link->settings->in.limits;
	struct reassembly_limits bodies = {.max_body = (size_t)limits->max_body,
		.max_bytes = (size_t)limits->max_buffered,
		.max_bodies = MAX_BODIES,
		.yield_ms = BODY_YIELDS_MS};
	link->n_buckets = 64;
	while (link->n_buckets < (size_t)limits->max_waiting)
		link->n_buckets *= 2;
	link->keyed = calloc(link->n_buckets, sizeof(struct coap_in_request *));
	int r = link->keyed ? make_filters(&link->spec, &link->filters) : -ENOMEM;
	if (r == 0)
		r = dedupe_new(MAX_IDS, &link->dedupe);
	if (r == 0)
		r = dedupe_new(MAX_REFUSALS, &link->refusals);
	if (r == 0)
		r = key_shares_new(&link->keys);
	if (r == 0)
		r = reassembly_new(&bodies, &link->bodies);
	if (r == 0 && limits->rate)
		r = rate_new((uint32_t)limits->rate, (uint32_t)limits->rate_burst, MAX_RATED_PEERS, &link->rate);
	if (r == 0)
		r = coap_in_observe_new(link);
	return r;
}

static int open_parts(struct coap_in_link *link)
{
	static const uint8_t key[SIPHASH_KEY_LEN] = "linkspan, CoAP";
	siphash(key, slice_str(link->spec.name), link->name_hash);
	buffer_init(&link->topic, COAP_TOPIC_MAX);
	buffer_init(&link->query, MAX_QUERY);
	buffer_init(&link->core.text, (size_t)link->settings->in.limits.max_list);
	link->timer = loop_timer_new(link->spec.loop, on_timer, link);
	link->ticker = loop_timer_new(link->spec.loop, on_tick, link);
	link->ack_timer = loop_timer_new(link->spec.loop, on_ack_timer, link);
	if (!link->timer || !link->ticker || !link->ack_timer)
		return -ENOMEM;
	int r = allowed_paths_new(&link->settings->in.allow, &link->allowed);
	if (r == 0)
		r = make_tables(link);
	return r == 0 ? read_security(link) : r;
}

int coap_in_create(const struct link_spec *spec, struct link_host *host, struct link **ret_link)
{
	struct coap_in_link *link = calloc(1, sizeof *link);
	if (!link)
		return -ENOMEM;
	link->listens = true;
	link->spec = *spec;
	link->settings = spec->settings;
	link->host = host;
	coap_descriptors_enter();
	loop_job_init(&link->stopped_job, finish_stop, link);
	int r = open_parts(link);
	if (r < 0) {
		coap_in_destroy((struct link *)(void *)link);
		return r;
	}
	*ret_link = (struct link *)(void *)link;
	return 0;
}

void coap_in_start(struct link *link, const struct link_recovery *recovery)
{
	(void)recovery;
	try_to_listen(cast(link));
}

/* --- source ------------------------------------------------------------------------------------------------------------ */

void coap_in_pause(struct link *link)
{
	cast(link)->paused = true;
}

void coap_in_resume(struct link *link)
{
	cast(link)->paused = false;
	coap_in_request_offer_held(cast(link));
}

void coap_in_receipt(struct link *link, uint64_t cookie, enum receipt receipt)
{
	if (!cast(link)->stopping) /* then all have been answered, and are gone */
		coap_in_request_done((struct coap_in_request *)(uintptr_t)cookie, receipt);
}

void coap_in_receipts_end(struct link *link)
{
	(void)link; /* each answer goes out by itself */
}

/* --- last values ------------------------------------------------------------------------------------------------------- */

void coap_in_send(struct link *link, const struct delivery *delivery)
{
	struct coap_in_link *in = cast(link);
	struct outcome outcome = {.kind = OUTCOME_DELIVERED, .keep_value = true};
	in->host->ops->outcome(in->host, delivery->seq, &outcome);
}

void coap_in_value_changed(struct link *link, struct slice topic)
{
	struct coap_in_link *in = cast(link);
	in->core.is_stale = true;
	if (topic.data)
		coap_in_observe_changed(in, topic);
	else
		coap_in_observe_some_gone(in);
}

void coap_in_send_end(struct link *link)
{
	(void)link;
}

/* --- figures, files ---------------------------------------------------------------------------------------------------- */

void coap_in_counters(const struct link *link, void (*fn)(const char *name, uint64_t value, void *arg), void *arg)
{
	const struct coap_in_link *in = (const struct coap_in_link *)(const void *)link;
	const struct coap_in_counters *counters = &in->counters;
	size_t n_paths, n_observers = coap_in_observe_count(in, &n_paths), buffered = 0;
	size_t n_bodies = in->bodies ? reassembly_count(in->bodies, &buffered) : 0;
	fn("requests", counters->requests, arg);
	fn("accepted", counters->accepted, arg);
	fn("repeated", counters->repeated, arg);
	fn("ids_used_again", counters->replaced, arg);
	fn("refused", counters->refused, arg);
	fn("denied", counters->denied, arg);
	fn("busy", counters->busy, arg);
	fn("values", counters->values, arg);
	fn("notifications", counters->notifications, arg);
	fn("pings", counters->pings, arg);
	fn("observers", n_observers, arg);
	fn("observed_paths", n_paths, arg);
	fn("peers", in->n_peers, arg);
	fn("unfinished_bodies", n_bodies, arg);
	fn("waiting_requests", in->held.n + in->offered.n + in->n_waiting_for_peers, arg);
	fn("buffered_bytes", in->waiting_bytes + buffered, arg);
}

void coap_in_reload(struct link *link)
{
	struct coap_in_link *in = cast(link);
	char why[512];
	if (!in->security)
		return;
	if (coap_in_security_reload(in->security, why, sizeof why) < 0) {
		log_error("coap_tls", "connection=%s error=\"%s\" what=\"what was read before stays in use\"",
			in->spec.name, why);
		return;
	}
	log_info("coap_tls_reloaded", "connection=%s", in->spec.name);
}

int coap_in_retarget(struct link *link, const struct link_spec *spec)
{
	struct coap_in_link *in = cast(link);
	struct topic_index *filters;
	int r = make_filters(spec, &filters);
	if (r < 0)
		return r;
	topic_index_free(in->filters);
	in->filters = filters;
	in->spec = *spec;
	in->core.is_stale = true; /* /.well-known/core */
	return 0;
}

/* --- the end ----------------------------------------------------------------------------------------------------------- */

void coap_in_stop_intake(struct link *link)
{
	struct coap_in_link *in = cast(link);
	in->closing = true;
	coap_in_request_give_up(in, true);
}

void coap_in_stop(struct link *link, uint64_t linger_ms)
{
	struct coap_in_link *in = cast(link);
	coap_in_stop_intake(link);
	coap_in_request_end_all(in);
	in->stopping = true;
	in->linger_ms = linger_ms;
	loop_timer_stop(in->ticker);
	if (is_quiet(in))
		loop_post(in->spec.loop, &in->stopped_job);
	else
		loop_timer_start(in->timer, LINGER_STEP_MS);
}

void coap_in_destroy(struct link *link)
{
	struct coap_in_link *in = cast(link);
	loop_cancel(in->spec.loop, &in->stopped_job);
	if (in->offered.n)
		coap_in_request_end_all(in);
	coap_in_server_close(in);
	coap_in_observe_free(in);
	coap_in_security_free(in->security);
	rate_free(in->rate);
	reassembly_free(in->bodies);
	dedupe_free(in->dedupe);
	dedupe_free(in->refusals);
	key_shares_free(in->keys);
	topic_index_free(in->filters);
	allowed_paths_free(in->allowed);
	loop_timer_free(in->timer);
	loop_timer_free(in->ticker);
	loop_timer_free(in->ack_timer);
	buffer_free(&in->topic);
	buffer_free(&in->query);
	buffer_free(&in->core.text);
	message_unref(in->etag.msg);
	free(in->keyed);
	free(in);
	coap_descriptors_leave();
}
