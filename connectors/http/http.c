/* SPDX-License-Identifier: Apache-2.0
 *
 * The HTTP connector's table. A link is one of two: a sender or a listener; the first member of both says which.
 */
#include "connectors/http/http.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "connectors/http/header_names.h"
#include "connectors/http/in.h"
#include "connectors/http/in_path.h"
#include "connectors/http/out.h"
#include "connectors/http/out_request.h"
#include "connectors/http/out_settings.h"
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
	if (!listens(link))
		http_out_send_end(link);
}

/* A sender's state is kept as soon as it can be; nothing waits for that. */
static void http_receipt(struct link *link, uint64_t cookie, enum receipt receipt)
{
	if (listens(link))
		http_in_receipt(link, cookie, receipt);
}

/* Requests are answered when libmicrohttpd is next run. */
static void http_receipts_end(struct link *link)
{
	(void)link;
}

static void http_stop_intake(struct link *link)
{
	if (listens(link))
		http_in_stop_intake(link);
}

static void http_pause(struct link *link)
{
	if (listens(link))
		http_in_pause(link);
}

static void http_resume(struct link *link)
{
	if (listens(link))
		http_in_resume(link);
}

static void http_counters(const struct link *link, void (*fn)(const char *name, uint64_t value, void *arg), void *arg)
{
	if (listens(link))
		http_in_counters(link, fn, arg);
	else
		http_out_counters(link, fn, arg);
}

static void http_reload(struct link *link)
{
	if (listens(link))
		http_in_reload(link);
	else
		http_out_reload(link);
}

static int http_retarget(struct link *link, const struct link_spec *spec)
{
	return listens(link) ? http_in_retarget(link, spec) : -ENOTSUP;
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

static struct batching batching(const void *arg)
{
	const struct http_settings *settings = arg;
	if (http_settings_listens(settings) || !http_settings_batches(settings))
		return (struct batching){.max_messages = 0};
	return (struct batching){
		.max_messages = (uint32_t)settings->out.batch.max,
		.max_bytes = settings->out.batch.max_bytes,
		.wait_ms = settings->out.batch.wait_ms,
	};
}

static bool unordered(const void *arg)
{
	const struct http_settings *settings = arg;
	return !http_settings_listens(settings) && settings->out.order == HTTP_ORDER_NONE;
}

/* What is asked, not who asks. */
static bool gives_replies(const void *settings)
{
	return !http_settings_listens(settings);
}

static bool carries_headers(const void *settings)
{
	return !http_settings_listens(settings);
}

static int fit_header(const void *arg, const struct message_field *field, bool set_by_mapping, struct arena *arena,
	struct message_field *ret_field, const char **ret_reason)
{
	const struct http_settings *settings = arg;
	const char *wrong =
		set_by_mapping ? cloudevents_check_header(&settings->events, &cloudevent_http, field->name) : NULL;
	if (wrong) {
		*ret_reason = wrong;
		return -EINVAL;
	}
	return header_names_fit(
		settings->events.mode != CLOUDEVENTS_OFF, field, set_by_mapping, arena, ret_field, ret_reason);
}

static const char *check_header(const void *arg, struct slice name)
{
	const struct http_settings *settings = arg;
	if (http_settings_listens(settings))
		return NULL;
	const char *wrong = header_names_check_set(name);
	return wrong ? wrong : cloudevents_check_header(&settings->events, &cloudevent_http, name);
}

static const char *check_param(const void *arg, const char *name, struct slice value)
{
	const struct http_settings *settings = arg;
	(void)value;
	return http_settings_listens(settings) ? NULL : cloudevents_check_param(&settings->events, name);
}

static const char *check_target(const void *arg, struct slice target)
{
	const struct http_settings *settings = arg;
	return http_settings_listens(settings) ? in_path_check_target(target) : http_path_check(settings->url, target);
}

static const char *check_received(const void *settings, struct slice header)
{
	(void)settings;
	if (!header.data)
		return "a request has no key; use {topic}, a capture, {header.name} or {.json.path}";
	for (size_t i = 0; i < header.len; i++)
		if (header.data[i] >= 'A' && header.data[i] <= 'Z')
			return "headers of requests have names in small letters here, however they are sent; write it "
			       "so, as in {header.x-github-event}";
	bool of_linkspan = header.len > 5 && memcmp(header.data, "http-", 5) == 0; /* http-query, http-identity */
	return of_linkspan || header_names_kept(header) ? NULL
							: "this header of a request never becomes one of its message: "
							  "what opens doors, cookies and what is "
							  "about the connection stay outside; use another one";
}

static int insert_in_target(const void *settings, struct slice text, struct arena *arena, struct slice *ret_text)
{
	*ret_text = text;
	return http_settings_listens(settings) ? 0 : http_path_insert(text, arena, ret_text);
}

/* What is written to a listener is a value that others read. */
static bool ignores_own(const void *settings, const void *from_settings)
{
	(void)settings, (void)from_settings;
	return true;
}

static void explain_guarantee(
	const void *settings, bool source, uint8_t qos, enum guarantee wished, char *ret_why, size_t size)
{
	(void)settings, (void)qos, (void)wished;
	*ret_why = '\0';
	if (!source)
		snprintf(ret_why, size,
			"an answer that is lost leaves open whether the receiver has the request, so it is sent again; "
			"receivers that remember webhook-id or Idempotency-Key do the work once all the same");
}

const struct connector http_connector = {
	.name = "http",
	.help = "Webhooks: requests to an HTTP server, and a listener that takes them.",
	.connection_keys = http_connection_keys,
	.settings_size = sizeof(struct http_settings),
	.from_keys = http_from_keys,
	.target_key = "path",
	.target_fallback = "",
	.to_keys = http_to_keys,
	.can_source = true,
	.can_sink = true,
	.gives_replies = gives_replies,
	.keeps_values = true,
	.keeps_session = true,
	.batching = batching,
	.same_batch = http_same_batch,
	.unordered = unordered,
	.ignores_own = ignores_own,
	.carries_headers = carries_headers,
	.fit_header = fit_header,
	.check_header = check_header,
	.check_target = check_target,
	.check_param = check_param,
	.insert_in_target = insert_in_target,
	.check_received = check_received,
	.explain_guarantee = explain_guarantee,
	.check = http_settings_check,
	.check_roles = check_roles,
	.source_guarantee = at_least_once,
	.sink_guarantee = sink_guarantee,
	.from_size = sizeof(struct http_from_settings),
	.one_per_filter = true,
	.check_from = in_settings_check_from,
	.create = http_create,
	.start = http_start,
	.pause = http_pause,
	.resume = http_resume,
	.receipt = http_receipt,
	.receipts_end = http_receipts_end,
	.send = http_send,
	.send_end = http_send_end,
	.counters = http_counters,
	.reload = http_reload,
	.retarget = http_retarget,
	.stop_intake = http_stop_intake,
	.stop = http_stop,
	.destroy = http_destroy,
};
