/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of a client. It is up from its start on: CoAP has no session of its own, and a device that does not answer concerns
 * the messages for it alone. It goes down when the device of the connection does not let us in.
 */
#include "connectors/coap/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "connectors/coap/client_impl.h"
#include "connectors/coap/out.h"
#include "connectors/coap/watch.h"
#include "runtime/log.h"

#define REFUSED_MIN_MS 60000u
#define REFUSED_MAX_MS 600000u
#define MOST_REFUSED   3u /* requests in a row that may be refused for what they ask */

static struct coap_client *client_of(struct link *link)
{
	return (struct coap_client *)(void *)link;
}

/* --- up and down ----------------------------------------------------------------------------------------------------------- */

static void come_up(struct coap_client *client)
{
	loop_timer_stop(client->timer);
	client->state = COAP_CLIENT_UP;
	struct sink_traits traits = {.max_in_flight = client->out ? coap_out_window(client->out) : 0};
	client->host->ops->link_up(client->host, &traits);
	if (client->watch && client->state == COAP_CLIENT_UP)
		coap_watch_begin(client->watch);
}

static void on_timer(void *arg)
{
	struct coap_client *client = arg;
	if (client->state != COAP_CLIENT_WAITING)
		return;
	coap_peers_wake(client->peers);
	come_up(client);
}

static void end_calls(struct coap_client *client)
{
	if (client->out)
		coap_out_forget(client->out);
	if (client->watch)
		coap_watch_end(client->watch);
}

void coap_client_refused(struct coap_client *client, const char *reason)
{
	char what[600], why[400];
	if (client->state != COAP_CLIENT_UP || client->stopping)
		return;
	snprintf(why, sizeof why, "%s", reason);
	snprintf(what, sizeof what,
		"the device does not let us in: %s; check psk and tls, and what we may do there. It is asked again "
		"from time "
		"to time",
		why);
	uint64_t wait_ms = (uint64_t)REFUSED_MIN_MS << (client->refusals < 4 ? client->refusals : 4);
	client->refusals++;
	client->state = COAP_CLIENT_WAITING;
	loop_timer_start(client->timer, wait_ms < REFUSED_MAX_MS ? wait_ms : REFUSED_MAX_MS);
	client->host->ops->alarm(client->host, what);
	end_calls(client);
	client->host->ops->link_down(client->host, why);
}

void coap_client_welcome(struct coap_client *client)
{
	client->refusals = 0;
	client->refused_requests = 0;
	client->was_welcome = true;
}

bool coap_client_refuses_request(struct coap_client *client, const char *reason)
{
	if (!client->was_welcome || ++client->refused_requests > MOST_REFUSED)
		return false;
	client->host->ops->alarm(client->host, reason);
	return true;
}

/* --- the table ------------------------------------------------------------------------------------------------------------- */

static void on_stop(void *arg)
{
	struct coap_client *client = arg;
	end_calls(client);
	coap_out_free(client->out);
	coap_watch_free(client->watch);
	coap_peers_free(client->peers);
	client->out = NULL;
	client->watch = NULL;
	client->peers = NULL;
	client->state = COAP_CLIENT_STOPPED;
	client->host->ops->stopped(client->host); /* may free us */
}

static int set_up(struct coap_client *client, const struct link_spec *spec)
{
	const char *wrong = coap_url_parse(slice_str(client->settings->url), &client->own);
	if (wrong)
		return -EINVAL; /* the check of the settings has said so */
	struct coap_peers_options options = {
		.loop = client->loop,
		.name = client->name,
		.settings = client->settings,
		.own = &client->own,
	};
	client->timer = loop_timer_new(client->loop, on_timer, client);
	if (!client->timer)
		return -ENOMEM;
	int r = coap_peers_new(&options, &client->peers);
	if (r < 0)
		return r;
	client->out = spec->is_sink ? coap_out_new(client) : NULL;
	client->watch = spec->n_subscriptions ? coap_watch_new(client, spec) : NULL;
	return (spec->is_sink && !client->out) || (spec->n_subscriptions && !client->watch) ? -ENOMEM : 0;
}

int coap_client_create(const struct link_spec *spec, struct link_host *host, struct link **ret_link)
{
	struct coap_client *client = calloc(1, sizeof *client);
	if (!client)
		return -ENOMEM;
	client->host = host;
	client->loop = spec->loop;
	client->name = spec->name;
	client->settings = spec->settings;
	loop_job_init(&client->stop_job, on_stop, client);
	int r = set_up(client, spec);
	if (r < 0) {
		coap_client_destroy((struct link *)(void *)client);
		return r;
	}
	*ret_link = (struct link *)(void *)client;
	return 0;
}

void coap_client_start(struct link *link, const struct link_recovery *recovery)
{
	(void)recovery;
	come_up(client_of(link));
}

void coap_client_pause(struct link *link)
{
	struct coap_client *client = client_of(link);
	if (client->watch)
		coap_watch_pause(client->watch);
}

void coap_client_resume(struct link *link)
{
	struct coap_client *client = client_of(link);
	if (client->watch)
		coap_watch_resume(client->watch);
}

void coap_client_receipt(struct link *link, uint64_t cookie, enum receipt receipt)
{
	struct coap_client *client = client_of(link);
	if (client->watch)
		coap_watch_receipt(client->watch, cookie, receipt);
}

void coap_client_receipts_end(struct link *link)
{
	struct coap_client *client = client_of(link);
	if (client->watch)
		coap_watch_receipts_end(client->watch);
}

void coap_client_send(struct link *link, const struct delivery *delivery)
{
	coap_out_send(client_of(link)->out, delivery);
}

/* Each message has gone out by itself. */
void coap_client_send_end(struct link *link)
{
	(void)link;
}

void coap_client_counters(const struct link *link, void (*fn)(const char *name, uint64_t value, void *arg), void *arg)
{
	const struct coap_client *client = (const struct coap_client *)(const void *)link;
	if (client->stopping || !client->peers)
		return;
	const struct coap_peers_counters *counters = coap_peers_counters(client->peers);
	if (client->out)
		coap_out_counters(client->out, fn, arg);
	if (client->watch)
		coap_watch_counters(client->watch, fn, arg);
	fn("devices", coap_peers_count(client->peers), arg);
	fn("sessions", counters->sessions, arg);
	fn("handshakes", counters->handshakes, arg);
	fn("handshakes_refused", counters->refused, arg);
	fn("device_failures", counters->unreached, arg);
	fn("timeouts", counters->silent, arg);
	fn("resets", counters->resets, arg);
	fn("blocks", counters->blocks, arg);
	fn("devices_evicted", counters->evicted, arg);
}

void coap_client_reload(struct link *link)
{
	struct coap_client *client = client_of(link);
	if (client->stopping || coap_peers_reload(client->peers) < 0)
		return;
	on_timer(client);
}

void coap_client_stop_intake(struct link *link)
{
	struct coap_client *client = client_of(link);
	if (client->watch)
		coap_watch_stop_intake(client->watch);
}

/* From a job: it may be a step of a delivery's end that asks for it. What is under way is forgotten, and sent again. */
void coap_client_stop(struct link *link, uint64_t linger_ms)
{
	struct coap_client *client = client_of(link);
	(void)linger_ms;
	if (client->stopping)
		return;
	client->stopping = true;
	loop_timer_stop(client->timer);
	loop_post(client->loop, &client->stop_job);
}

void coap_client_destroy(struct link *link)
{
	struct coap_client *client = client_of(link);
	loop_cancel(client->loop, &client->stop_job);
	coap_out_free(client->out);
	coap_watch_free(client->watch);
	coap_peers_free(client->peers);
	loop_timer_free(client->timer);
	free(client);
}
