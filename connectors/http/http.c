/* SPDX-License-Identifier: Apache-2.0
 *
 * The HTTP connector's table. A link is one of two: a sender or a listener; the first member of both says which.
 */
#include "connectors/http/http.h"

#include "connectors/http/in.h"
#include "connectors/http/in_path.h"
#include "connectors/http/out.h"
#include "connectors/http/settings.h"

struct http_link {
	bool listens; /* first in both structs */
};

static bool listens(const struct link *link)
{
	return ((const struct http_link *)(const void *)link)->listens;
}

static int http_create(const struct link_spec *spec, struct link_host *host, struct link **ret_link)
{
	return http_settings_listens(spec->settings) ? http_in_create(spec, host, ret_link)
						     : http_out_create(spec, host, ret_link);
}

static void http_start(struct link *link, const struct link_recovery *recovery)
{
	if (listens(link))
		http_in_start(link, recovery);
	else
		http_out_start(link, recovery);
}

static void http_send(struct link *link, const struct delivery *delivery)
{
	if (listens(link))
		http_in_send(link, delivery);
	else
		http_out_send(link, delivery);
}

static void http_send_end(struct link *link)
{
	(void)link;
}

/* Requests are answered when libmicrohttpd is next run. */
static void http_receipts_end(struct link *link)
{
	(void)link;
}

static void http_counters(const struct link *link, void (*fn)(const char *name, uint64_t value, void *arg), void *arg)
{
	if (listens(link))
		http_in_counters(link, fn, arg);
}

static void http_reload(struct link *link)
{
	if (listens(link))
		http_in_reload(link);
}

static void http_stop(struct link *link, uint64_t linger_ms)
{
	if (listens(link))
		http_in_stop(link, linger_ms);
	else
		http_out_stop(link, linger_ms);
}

static void http_destroy(struct link *link)
{
	if (listens(link))
		http_in_destroy(link);
	else
		http_out_destroy(link);
}

static enum guarantee at_least_once(const void *settings, uint8_t qos)
{
	(void)settings, (void)qos;
	return AT_LEAST_ONCE;
}

static enum guarantee sink_guarantee(const void *settings, uint8_t qos, bool declared)
{
	(void)declared;
	return at_least_once(settings, qos);
}

static const char *check_roles(const void *arg, bool source, bool sink)
{
	const struct http_settings *settings = arg;
	(void)sink;
	if (source && !http_settings_listens(settings))
		return "nothing can be read from an HTTP connection with url; one with listen takes requests";
	return NULL;
}

static const char *check_target(const void *arg, struct slice target)
{
	const struct http_settings *settings = arg;
	return http_settings_listens(settings) ? in_path_check_target(target) : NULL;
}

const struct connector http_connector = {
	.name = "http",
	.help = "Webhooks: requests to an HTTP server, and a listener that takes them.",
	.connection_keys = http_connection_keys,
	.settings_size = sizeof(struct http_settings),
	.from_keys = http_from_keys,
	.target_key = "path",
	.to_keys = http_to_keys,
	.can_source = true,
	.can_sink = true,
	.gives_replies = true,
	.keeps_values = true,
	.check = http_settings_check,
	.check_roles = check_roles,
	.source_guarantee = at_least_once,
	.sink_guarantee = sink_guarantee,
	.from_size = sizeof(struct http_from_settings),
	.one_per_filter = true,
	.check_from = in_settings_check_from,
	.check_target = check_target,
	.create = http_create,
	.start = http_start,
	.pause = http_in_pause,
	.resume = http_in_resume,
	.receipt = http_in_receipt,
	.receipts_end = http_receipts_end,
	.send = http_send,
	.send_end = http_send_end,
	.counters = http_counters,
	.reload = http_reload,
	.stop_intake = http_in_stop_intake,
	.stop = http_stop,
	.destroy = http_destroy,
};
