/* SPDX-License-Identifier: Apache-2.0
 *
 * The CoAP connector's table. A link is one of two: a listener or a client; the first member of both says which.
 */
#include "connectors/coap/coap.h"

#include <errno.h>
#include <stdio.h>

#include "connectors/coap/client.h"
#include "connectors/coap/client_settings.h"
#include "connectors/coap/in.h"
#include "connectors/coap/in_settings.h"
#include "connectors/coap/path.h"

struct coap_any {
	bool listens; /* first in both structs */
};

static bool listens(const struct link *link)
{
	return ((const struct coap_any *)(const void *)link)->listens;
}

static int link_create(const struct link_spec *spec, struct link_host *host, struct link **ret_link)
{
	return coap_settings_listens(spec->settings) ? coap_in_create(spec, host, ret_link)
						     : coap_client_create(spec, host, ret_link);
}

static void link_start(struct link *link, const struct link_recovery *recovery)
{
	if (listens(link))
		coap_in_start(link, recovery);
	else
		coap_client_start(link, recovery);
}

static void link_pause(struct link *link)
{
	if (listens(link))
		coap_in_pause(link);
	else
		coap_client_pause(link);
}

static void link_resume(struct link *link)
{
	if (listens(link))
		coap_in_resume(link);
	else
		coap_client_resume(link);
}

static void link_receipt(struct link *link, uint64_t cookie, enum receipt receipt)
{
	if (listens(link))
		coap_in_receipt(link, cookie, receipt);
	else
		coap_client_receipt(link, cookie, receipt);
}

static void link_receipts_end(struct link *link)
{
	if (listens(link))
		coap_in_receipts_end(link);
	else
		coap_client_receipts_end(link);
}

static void link_send(struct link *link, const struct delivery *delivery)
{
	if (listens(link))
		coap_in_send(link, delivery);
	else
		coap_client_send(link, delivery);
}

static void link_send_end(struct link *link)
{
	if (listens(link))
		coap_in_send_end(link);
	else
		coap_client_send_end(link);
}

static void link_counters(const struct link *link, void (*fn)(const char *name, uint64_t value, void *arg), void *arg)
{
	if (listens(link))
		coap_in_counters(link, fn, arg);
	else
		coap_client_counters(link, fn, arg);
}

static void link_reload(struct link *link)
{
	if (listens(link))
		coap_in_reload(link);
	else
		coap_client_reload(link);
}

static void link_stop_intake(struct link *link)
{
	if (listens(link))
		coap_in_stop_intake(link);
	else
		coap_client_stop_intake(link);
}

static int link_retarget(struct link *link, const struct link_spec *spec)
{
	return listens(link) ? coap_in_retarget(link, spec) : -ENOTSUP;
}

static void link_stop(struct link *link, uint64_t linger_ms)
{
	if (listens(link))
		coap_in_stop(link, linger_ms);
	else
		coap_client_stop(link, linger_ms);
}

static void link_value_changed(struct link *link, struct slice topic)
{
	if (listens(link))
		coap_in_value_changed(link, topic);
}

static void link_destroy(struct link *link)
{
	if (listens(link))
		coap_in_destroy(link);
	else
		coap_client_destroy(link);
}

/* --- what it can keep -------------------------------------------------------------------------------------------------- */

static enum guarantee source_guarantee(const void *arg, uint8_t qos)
{
	const struct coap_settings *settings = arg;
	if (!coap_settings_listens(settings) || qos == 0)
		return AT_MOST_ONCE;
	return coap_in_knows_repetitions(settings) ? EXACTLY_ONCE : AT_LEAST_ONCE;
}

static enum guarantee sink_guarantee(const void *settings, uint8_t qos, bool declared)
{
	(void)declared;
	return qos == 0 && !coap_settings_listens(settings) ? AT_MOST_ONCE : AT_LEAST_ONCE;
}

static void explain_source(const struct coap_settings *settings, uint8_t qos, char *ret_why, size_t size)
{
	if (!coap_settings_listens(settings))
		snprintf(ret_why, size,
			"a device tells what its state is, not how it came to that: what changes while nobody listens "
			"is never "
			"seen, but the newest state always comes");
	else if (qos > 0)
		snprintf(ret_why, size,
			"a request that comes again after a restart is known by its message id over coap:// alone; "
			"leave other "
			"addresses out of listen, with dedupe: durable");
}

static void explain_sink(const struct coap_settings *settings, uint8_t qos, char *ret_why, size_t size)
{
	if (coap_settings_listens(settings))
		return;
	if (qos == 0)
		snprintf(ret_why, size, "with qos 0 a request is not confirmed, and sent once; qos: 1 confirms it");
	else
		snprintf(ret_why, size,
			"a response that is lost leaves open whether the device has the request, so it is sent again; "
			"PUT to "
			"the same path does the work once all the same");
}

static void explain_guarantee(
	const void *settings, bool source, uint8_t qos, enum guarantee wished, char *ret_why, size_t size)
{
	(void)wished;
	*ret_why = '\0';
	if (source)
		explain_source(settings, qos, ret_why, size);
	else
		explain_sink(settings, qos, ret_why, size);
}

/* --- what the configuration may say ------------------------------------------------------------------------------------ */

static bool unordered(const void *arg)
{
	const struct coap_settings *settings = arg;
	return !coap_settings_listens(settings) && settings->out.order == COAP_ORDER_NONE;
}

/* What is written to a listener is a value that others read; what is written to a device may change what is watched. */
static bool ignores_own(const void *settings, const void *from_settings)
{
	(void)from_settings;
	return coap_settings_listens(settings);
}

static bool gives_replies(const void *settings)
{
	return !coap_settings_listens(settings);
}

static void check_from(
	const void *settings, const void *from_settings, const struct config_list *filters, struct config_scope *scope)
{
	if (coap_settings_listens(settings))
		coap_in_check_from(settings, from_settings, filters, scope);
	else
		coap_client_check_from(settings, from_settings, filters, scope);
}

static const char *check_target(const void *settings, struct slice target)
{
	return coap_settings_listens(settings) ? coap_in_check_target(settings, target)
					       : coap_client_check_target(settings, target);
}

static const char *check_param(const void *settings, const char *name, struct slice value)
{
	return coap_settings_listens(settings) ? coap_in_check_param(name) : coap_client_check_param(name, value);
}

/* A listener's paths are topics: nothing in them is encoded. */
static int insert_in_target(const void *settings, struct slice text, struct arena *arena, struct slice *ret_text)
{
	*ret_text = text;
	return coap_settings_listens(settings) ? 0 : coap_target_insert(text, arena, ret_text);
}

static const char *check_received(const void *settings, struct slice header)
{
	(void)settings;
	return header.data ? NULL
			   : "a message of CoAP has no key; use {topic}, a capture such as {device}, or {.json.path}";
}

const struct connector coap_connector = {
	.name = "coap",
	.help = "CoAP: a listener for devices, and a client that writes to devices and watches their resources.",
	.connection_keys = coap_connection_keys,
	.settings_size = sizeof(struct coap_settings),
	.from_keys = coap_from_keys,
	.from_size = sizeof(struct coap_from_settings),
	.target_key = "path",
	.target_fallback = "",
	.to_keys = coap_to_keys,
	.can_source = true,
	.can_sink = true,
	.one_per_filter = true,
	.gives_replies = gives_replies,
	.keeps_values = true,
	.carries_null = true, /* which removes a value */
	.unordered = unordered,
	.ignores_own = ignores_own,
	.check = coap_settings_check,
	.check_from = check_from,
	.check_target = check_target,
	.check_param = check_param,
	.insert_in_target = insert_in_target,
	.check_received = check_received,
	.source_guarantee = source_guarantee,
	.sink_guarantee = sink_guarantee,
	.explain_guarantee = explain_guarantee,
	.create = link_create,
	.start = link_start,
	.pause = link_pause,
	.resume = link_resume,
	.receipt = link_receipt,
	.receipts_end = link_receipts_end,
	.send = link_send,
	.send_end = link_send_end,
	.value_changed = link_value_changed,
	.counters = link_counters,
	.reload = link_reload,
	.retarget = link_retarget,
	.stop_intake = link_stop_intake,
	.stop = link_stop,
	.destroy = link_destroy,
};
