/* SPDX-License-Identifier: Apache-2.0
 *
 * A device names its response topic, so what is legal there is decided here: a filter of the configuration must match, and
 * the connection must be able to write to it. What is not legal is not answered; the message goes out all the same.
 */
#include "routing/reply.h"

#include <errno.h>
#include <stdlib.h>

#include "config/reply.h"
#include "connectors/connector.h"
#include "routing/hops.h"
#include "routing/topic_filter.h"
#include "runtime/log.h"

#define MAX_PARAMS 5u /* that a reply adds */

struct reply {
	const struct reply_config *config;
	const struct connection_config *to;
	const char *mapping; /* its name */
	struct template *topic, *key; /* topic NULL: what the message asks for */
};

int reply_new(const struct config *config, const struct mapping_config *map, const struct target_config *target,
	const char *const *captures, size_t n_captures, struct reply **ret_reply)
{
	long connection = target_reply_connection(config, map, target);
	*ret_reply = NULL;
	if (connection < 0)
		return 0;
	struct reply *reply = calloc(1, sizeof *reply);
	if (!reply)
		return -ENOMEM;
	reply->config = &target->reply;
	reply->to = &config->connections[connection];
	reply->mapping = map->name;
	int err = reply->config->topic ? template_new(reply->config->topic, captures, n_captures, &reply->topic) : 0;
	if (!err && reply->config->key)
		err = template_new(reply->config->key, captures, n_captures, &reply->key);
	if (err)
		reply_free(reply);
	else
		*ret_reply = reply;
	return err;
}

void reply_free(struct reply *reply)
{
	if (!reply)
		return;
	template_free(reply->topic);
	template_free(reply->key);
	free(reply);
}

/* --- where to -------------------------------------------------------------------------------------------------------- */

static int render_topic(const struct reply *reply, struct template_source *source, struct arena *arena,
	struct slice *ret_topic, const char **ret_reason)
{
	const struct connector *connector = reply->to->connector;
	source->insert = connector->insert_in_target;
	source->insert_with = reply->to->settings;
	int err = template_render(reply->topic, source, arena, ret_topic, ret_reason);
	source->insert = NULL;
	if (err)
		return err;
	const char *wrong = connector->check_target ? connector->check_target(reply->to->settings, *ret_topic) : NULL;
	if (!wrong)
		return 0;
	*ret_reason = arena_printf(arena, "the topic of the reply is not legal: %s", wrong);
	return -EINVAL;
}

static bool is_allowed(const struct reply *reply, struct slice topic)
{
	for (size_t i = 0; i < reply->config->response_topics.n; i++)
		if (topic_filter_matches(reply->config->response_topics.items[i].value, topic))
			return true;
	return false;
}

/* Why the topic that a message asks for is not answered; NULL: it is. */
static const char *refusal(const struct reply *reply, struct slice topic)
{
	const struct connector *connector = reply->to->connector;
	const char *wrong = topic_name_check(topic);
	if (!wrong && connector->check_target)
		wrong = connector->check_target(reply->to->settings, topic);
	return wrong || is_allowed(reply, topic) ? wrong : "reply.response_topics does not name it";
}

/* *ret_topic is absent when there is nobody to answer. */
static void asked_topic(const struct reply *reply, struct slice topic, struct slice *ret_topic)
{
	*ret_topic = (struct slice){NULL, 0};
	if (!topic.data)
		return;
	const char *wrong = refusal(reply, topic);
	if (wrong)
		log_warn("response_topic_refused", "mapping=\"%s\" reason=\"%s\"", reply->mapping, wrong);
	else
		*ret_topic = topic;
}

static void add(struct message_view *view, struct message_field *params, const char *name, struct slice value)
{
	params[view->n_params++] = (struct message_field){slice_str(name), value};
}

static struct slice number(struct arena *arena, int value)
{
	return slice_str(arena_printf(arena, "%d", value));
}

int reply_render(const struct reply *reply, struct template_source *source, int hops, struct arena *arena,
	struct message_view *view, const char **ret_reason)
{
	struct slice topic, key = {NULL, 0};
	int err = 0;
	if (reply->topic)
		err = render_topic(reply, source, arena, &topic, ret_reason);
	else
		asked_topic(reply, view->response_topic, &topic);
	if (!err && topic.data && reply->key)
		err = template_render(reply->key, source, arena, &key, ret_reason);
	if (err || !topic.data)
		return err;
	struct message_field *params = arena_alloc(arena, (view->n_params + MAX_PARAMS) * sizeof *params);
	if (!params)
		return -ENOMEM;
	if (view->n_params)
		memcpy(params, view->params, view->n_params * sizeof *params);
	view->params = params;
	view->response_topic = topic;
	add(view, params, MESSAGE_REPLY, slice_str(reply->to->name));
	if (key.data)
		add(view, params, MESSAGE_REPLY_KEY, key);
	if (reply->config->qos >= 0)
		add(view, params, MESSAGE_REPLY_QOS, number(arena, reply->config->qos));
	if (reply->config->retain)
		add(view, params, MESSAGE_REPLY_RETAIN, slice_str("1"));
	if (hops >= 0)
		add(view, params, MESSAGE_REPLY_HOPS, number(arena, hops + 1));
	return 0;
}

/* --- the reply ------------------------------------------------------------------------------------------------------- */

static int fit_headers(
	const struct connection_config *to, struct arena *arena, struct message_view *view, const char **ret_reason)
{
	const struct connector *connector = to->connector;
	if (!connector->fit_header || view->n_headers == 0)
		return 0;
	struct message_field *headers = arena_alloc(arena, view->n_headers * sizeof *headers);
	int err = headers ? 0 : -ENOMEM;
	size_t left = 0;
	for (size_t i = 0; i < view->n_headers && !err; i++) {
		err = connector->fit_header(to->settings, &view->headers[i], false, arena, &headers[left], ret_reason);
		left += !err && headers[left].name.data;
	}
	view->headers = headers;
	view->n_headers = left;
	return err;
}

/* It has passed linkspan as often as its message and once more, whatever the answer itself says. */
static int add_headers(const struct message_view *request, const struct connection_config *to, struct arena *arena,
	struct message_view *view, const char **ret_reason)
{
	struct slice hops = message_param(request, MESSAGE_REPLY_HOPS);
	if (!to->connector->carries_headers || !to->connector->carries_headers(to->settings)) {
		view->n_headers = 0;
		return 0;
	}
	int err = fit_headers(to, arena, view, ret_reason);
	if (err || !hops.data)
		return err;
	struct message_field field = {slice_str(HOPS_HEADER), hops};
	struct message_view counted = {.headers = &field, .n_headers = 1};
	return hops_write(view, hops_received(&counted), arena);
}

int reply_make(const struct message_view *request, const struct message_view *answer,
	const struct connection_config *to, uint64_t now_ms, struct arena *arena, struct message_view *ret_view,
	const char **ret_reason)
{
	struct slice qos = message_param(request, MESSAGE_REPLY_QOS);
	struct message_view view = {
		.topic = request->response_topic,
		.payload = answer->payload,
		.content_type = answer->content_type,
		.key = message_param(request, MESSAGE_REPLY_KEY),
		.correlation = request->correlation,
		.headers = answer->headers,
		.n_headers = answer->n_headers,
		.origin_ms = now_ms,
		.qos = qos.len == 1 ? (uint8_t)(qos.data[0] - '0') : request->qos,
		.retain = message_param(request, MESSAGE_REPLY_RETAIN).data != NULL,
		.utf8_payload = answer->utf8_payload,
	};
	view.order_key = view.key.data ? view.key : view.topic;
	if (view.qos > 2)
		view.qos = request->qos;
	if (!view.payload.data && !to->connector->carries_null)
		view.payload = slice_str("");
	const char *wrong = view.topic.data ? NULL : "it has no topic";
	if (!wrong && to->connector->check_target)
		wrong = to->connector->check_target(to->settings, view.topic);
	if (wrong) {
		*ret_reason = wrong;
		return -EINVAL;
	}
	int err = add_headers(request, to, arena, &view, ret_reason);
	if (err)
		return err;
	if (message_encoded_size(&view) == 0) {
		*ret_reason = "it would pass the limits of 32 MiB of payload or 1 MiB of all else";
		return -EINVAL;
	}
	*ret_view = view;
	return 0;
}
