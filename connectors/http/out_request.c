/* SPDX-License-Identifier: Apache-2.0
 *
 * Making a request. Messages are checked here once more, though the router has done so: one that was put into the queue by
 * hand has passed no mapping.
 */
#include "connectors/http/out_request.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "connectors/common/cloudevent_out.h"
#include "connectors/common/delivery_id.h"
#include "connectors/http/header_names.h"
#include "connectors/http/idempotency.h"
#include "connectors/http/out_body.h"
#include "connectors/http/out_settings.h"
#include "connectors/http/signature.h"
#include "message/markers.h"
#include "routing/arena.h"

#define MOST_UNEXPECTED 1000u /* bytes of a body: libcurl never asks before it sends so few (7.88: 1 MiB) */

/* One request in the making. */
struct making {
	const struct http_maker *maker;
	const struct http_load *load;
	const struct http_attempt *attempt;
	struct http_call *call;
	struct buffer *body;
	const struct message_view *first; /* what holds for all members is taken from it */
	struct slice content_type;
	bool elsewhere; /* the URL is the message's */
	bool same_origin; /* as the connection's url */
	char id[DELIVERY_ID_SIZE];
	const char *reason;
};

static int refuse(struct making *making, const char *reason)
{
	making->reason = reason;
	return -EINVAL;
}

static int add(struct making *making, const char *name, struct slice value)
{
	int err = http_call_add_header(making->call, slice_str(name), value);
	return err == -EINVAL
		       ? refuse(making,
				 arena_printf(making->maker->arena,
					 "the header %s would hold a line break or another control character", name))
		       : err;
}

/* --- URL ---------------------------------------------------------------------------------------------------------- */

static bool parts(const char *url, char **ret_scheme, char **ret_host, char **ret_port)
{
	CURLU *parsed = curl_url();
	bool good = parsed && curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK &&
		    curl_url_get(parsed, CURLUPART_SCHEME, ret_scheme, 0) == CURLUE_OK &&
		    curl_url_get(parsed, CURLUPART_HOST, ret_host, 0) == CURLUE_OK &&
		    curl_url_get(parsed, CURLUPART_PORT, ret_port, CURLU_DEFAULT_PORT) == CURLUE_OK;
	curl_url_cleanup(parsed);
	return good;
}

bool http_same_origin(const char *url, const char *other)
{
	char *scheme[2] = {NULL}, *host[2] = {NULL}, *port[2] = {NULL};
	bool same = parts(url, &scheme[0], &host[0], &port[0]) && parts(other, &scheme[1], &host[1], &port[1]) &&
		    strcasecmp(scheme[0], scheme[1]) == 0 && strcasecmp(host[0], host[1]) == 0 &&
		    strcmp(port[0], port[1]) == 0;
	for (int i = 0; i < 2; i++) {
		curl_free(scheme[i]);
		curl_free(host[i]);
		curl_free(port[i]);
	}
	return same;
}

struct slice http_url_place(const char *url, struct slice *ret_scheme)
{
	const char *place = strstr(url, "://");
	place = place ? place + 3 : url;
	*ret_scheme = slice_of(url, (size_t)(place - url));
	size_t len = strcspn(place, "?#");
	struct slice authority = slice_of(place, strcspn(place, "/?#"));
	for (size_t i = 0; i < authority.len; i++) {
		if (authority.data[i] == '@') {
			place = (const char *)authority.data + i + 1;
			len = strcspn(place, "?#");
		}
	}
	return slice_of(place, len);
}

bool http_request_is_elsewhere(const struct message_view *view)
{
	/* An empty one too: it is no reason to send the message to the connection's. */
	return message_param(view, HTTP_PARAM_URL).data;
}

static const char *text_of(struct making *making, struct slice text)
{
	char *copy = arena_alloc(making->maker->arena, text.len + 1);
	if (!copy)
		return NULL;
	memcpy(copy, text.data, text.len);
	copy[text.len] = '\0';
	return copy;
}

static int find_base(struct making *making, const char **ret_base)
{
	const struct http_settings *settings = making->maker->settings;
	*ret_base = settings->url;
	making->same_origin = true;
	if (!making->elsewhere)
		return 0;
	struct slice text = message_param(making->first, HTTP_PARAM_URL);
	if (memchr(text.data, '\0', text.len))
		return refuse(making, "the url of the message holds a NUL.");
	const char *url = text_of(making, text);
	if (!url)
		return -ENOMEM;
	const char *wrong = http_url_check(url);
	if (wrong)
		return refuse(making, arena_printf(making->maker->arena, "the url of the message: %s", wrong));
	making->same_origin = http_same_origin(url, settings->url);
	*ret_base = url;
	return 0;
}

static int make_url(struct making *making)
{
	struct buffer *url = &making->call->url;
	struct slice path = making->first->topic;
	const char *base;
	int err = find_base(making, &base);
	if (err)
		return err;
	const char *wrong = http_path_check(base, path);
	if (wrong)
		return refuse(making, wrong);
	struct slice begin = slice_str(base);
	if (path.len > 0 && path.data[0] == '/' && begin.data[begin.len - 1] == '/')
		begin.len--;
	buffer_clear(url);
	err = buffer_append(url, begin);
	if (!err)
		err = buffer_append(url, path);
	if (!err)
		err = buffer_append(url, slice_of("", 1));
	if (err)
		return err == -ENOBUFS ? refuse(making, "the URL is too long: more than 64 KiB.") : err;
	making->call->guarded = making->elsewhere && !making->maker->settings->out.allow_private;
	making->call->roams = making->elsewhere;
	return 0;
}

/* --- method ------------------------------------------------------------------------------------------------------- */

static int make_method(struct making *making)
{
	struct slice wished = message_param(making->first, HTTP_PARAM_METHOD);
	int method = wished.data ? http_method_find(wished) : making->maker->settings->out.method;
	if (method < 0)
		return refuse(making, "the method of the message is none of POST, PUT, PATCH, DELETE, GET, HEAD and "
				      "OPTIONS.");
	making->call->method = http_methods[method];
	making->call->no_body = strcmp(http_methods[method], "GET") == 0 || strcmp(http_methods[method], "HEAD") == 0;
	return 0;
}

/* --- CloudEvents -------------------------------------------------------------------------------------------------- */

/* Its source is absent when memory is out. */
static struct cloudevent event_of(struct making *making, const struct http_member *member, const char *id)
{
	const struct http_maker *maker = making->maker;
	return cloudevents_event(&maker->settings->events, maker->name, message_view(member->msg), id, maker->arena);
}

static int add_event_headers(struct making *making)
{
	struct message_field *fields;
	size_t n;
	struct cloudevent event = event_of(making, &making->load->members[0], making->id);
	if (!event.source.data)
		return -ENOMEM;
	const char *wrong = cloudevent_check(&event);
	if (wrong)
		return refuse(making, wrong);
	int err = cloudevent_fields(&event, &cloudevent_http, making->maker->arena, &fields, &n);
	for (size_t i = 0; !err && i < n; i++)
		err = http_call_add_header(making->call, fields[i].name, fields[i].value);
	return err;
}

/* In a batch others would suffer from what one message asks for: it goes with the attributes of the settings. */
static int append_event(struct making *making, const struct http_member *member, bool alone)
{
	char id[DELIVERY_ID_SIZE];
	delivery_id(making->load->destination_uuid, member->seq, id);
	struct cloudevent event = event_of(making, member, id);
	if (!event.source.data)
		return -ENOMEM;
	const char *wrong = cloudevent_check(&event);
	if (wrong && alone)
		return refuse(making, wrong);
	if (wrong) {
		const struct cloudevents_settings *settings = &making->maker->settings->events;
		event.source = slice_str(settings->source ? settings->source : "linkspan:");
		event.type = slice_str(settings->type);
		event.subject = slice_of(NULL, 0);
	}
	return cloudevent_append(&event, message_view(member->msg), making->body);
}

/* --- body --------------------------------------------------------------------------------------------------------- */

static int append_members(struct making *making, bool of_lines, bool events)
{
	const struct http_load *load = making->load;
	int err = 0;
	for (size_t i = 0; !err && i < load->n; i++) {
		err = http_body_next(of_lines, i, making->body);
		if (!err && events)
			err = append_event(making, &load->members[i], false);
		else if (!err)
			err = http_body_append_value(
				message_view(load->members[i].msg)->payload, of_lines, making->body);
	}
	return err ? err : http_body_end(of_lines, making->body);
}

static int make_batch(struct making *making)
{
	const struct http_settings *settings = making->maker->settings;
	bool of_lines = settings->out.batch.format == HTTP_BATCH_NDJSON;
	bool events = settings->events.mode == CLOUDEVENTS_STRUCTURED;
	making->content_type = slice_str(of_lines ? "application/x-ndjson"
					 : events ? CLOUDEVENT_BATCH_CONTENT_TYPE
						  : "application/json");
	return append_members(making, of_lines, events);
}

static int make_body(struct making *making)
{
	const struct message_view *view = making->first;
	buffer_clear(making->body);
	making->content_type = view->content_type.len > 0 ? view->content_type : slice_str("application/octet-stream");
	int err = 0;
	if (making->load->batch_first) {
		err = make_batch(making);
	} else if (making->maker->settings->events.mode == CLOUDEVENTS_STRUCTURED) {
		making->content_type = slice_str(CLOUDEVENT_CONTENT_TYPE);
		err = append_event(making, &making->load->members[0], true);
	} else {
		making->call->body = view->payload;
		return 0;
	}
	making->call->body = buffer_slice(making->body);
	return err == -ENOBUFS ? refuse(making, "the body is too large.") : err;
}

/* --- headers ------------------------------------------------------------------------------------------------------ */

static int add_message_headers(struct making *making)
{
	const struct message_view *view = making->first;
	bool events = making->maker->settings->events.mode != CLOUDEVENTS_OFF;
	int err = 0;
	for (size_t i = 0; !err && i < view->n_headers; i++) {
		const struct message_field *field = &view->headers[i];
		if (header_names_check_set(field->name))
			continue; /* of a message that no mapping has seen */
		if (events && cloudevent_attribute(field->name).data)
			continue; /* of the event */
		err = http_call_add_header(making->call, field->name, field->value);
		if (err == -EINVAL)
			return refuse(making, "a header of the message has no name, or holds control characters.");
	}
	return err;
}

/* libcurl formats headers letter by letter, its own ones twice: they cost more than all else here. */
static int add_client(struct making *making)
{
	int err = 0;
	if (making->call->body.len > MOST_UNEXPECTED) /* it would wait for a 100 that many servers never send */
		err = http_call_add_raw(making->call, "Expect:");
	if (!err)
		err = http_call_add_raw(making->call, "Accept:");
	if (!err && !message_header(making->first, "user-agent").data)
		err = http_call_add_raw(making->call, "user-agent: linkspan/" LINKSPAN_VERSION);
	return err;
}

static int add_waited(struct making *making)
{
	char text[MARKERS_WAITED_SIZE];
	if (!making->first->waits)
		return 0;
	uint64_t now_ms = making->attempt->wall_ms - (uint64_t)making->load->members[0].shift_ms;
	struct message_field field = markers_waited(making->first, now_ms, text);
	return http_call_add_header(making->call, field.name, field.value);
}

static int add_ids(struct making *making)
{
	char quoted[IDEMPOTENCY_QUOTED_SIZE];
	const struct http_load *load = making->load;
	if (load->batch_first)
		delivery_id_of_batch(load->destination_uuid, load->batch_first, load->batch_last, making->id);
	else
		delivery_id(load->destination_uuid, load->members[0].seq, making->id);
	idempotency_quote(making->id, quoted);
	int err = add(making, "webhook-id", slice_str(making->id));
	return err ? err : add(making, "idempotency-key", slice_str(quoted));
}

static int add_signature(struct making *making)
{
	char value[SIGNATURE_VALUE_SIZE], timestamp[24];
	uint64_t now_s = making->attempt->clock_ms / 1000;
	if (!making->maker->signer)
		return 0;
	struct slice body = making->call->no_body ? slice_of("", 0) : making->call->body;
	snprintf(timestamp, sizeof timestamp, "%" PRIu64, now_s);
	int err = signer_sign(making->maker->signer, slice_str(making->id), now_s, &body, 1, value);
	if (!err)
		err = add(making, "webhook-timestamp", slice_str(timestamp));
	return err ? err : add(making, "webhook-signature", slice_str(value));
}

static int add_headers(struct making *making)
{
	http_call_clear_headers(making->call);
	int err = add_message_headers(making);
	if (!err)
		err = add_waited(making);
	if (!err && !making->call->no_body)
		err = add(making, "content-type", making->content_type);
	if (!err)
		err = add_ids(making);
	if (!err && making->maker->settings->events.mode == CLOUDEVENTS_BINARY)
		err = add_event_headers(making);
	if (!err && making->attempt->authorization && making->same_origin)
		err = add(making, "authorization", slice_str(making->attempt->authorization));
	if (!err)
		err = add_client(making);
	return err ? err : add_signature(making);
}

int http_request_make(const struct http_maker *maker, const struct http_load *load, const struct http_attempt *attempt,
	struct buffer *body, struct http_call *call, const char **ret_reason)
{
	struct making making = {
		.maker = maker,
		.load = load,
		.attempt = attempt,
		.call = call,
		.body = body,
		.first = message_view(load->members[0].msg),
		.reason = "it cannot be sent.",
	};
	making.elsewhere = http_request_is_elsewhere(making.first);
	int err = make_method(&making);
	if (!err)
		err = make_url(&making);
	if (!err)
		err = make_body(&making);
	if (!err)
		err = add_headers(&making);
	*ret_reason = making.reason;
	return err;
}

/* --- redirects ---------------------------------------------------------------------------------------------------- */

int http_request_redirect(
	const struct http_maker *maker, const char *url, long status, struct http_call *call, const char **ret_reason)
{
	const char *from = (const char *)call->url.data;
	if (http_url_check(url)) {
		*ret_reason = "the redirect leads to no URL that can be used.";
		return -EINVAL;
	}
	if (strncasecmp(from, "https:", 6) == 0 && strncasecmp(url, "https:", 6) != 0) {
		*ret_reason = "the redirect leads from https to http.";
		return -EINVAL;
	}
	bool same = http_same_origin(url, from);
	if (!same)
		http_call_drop_header(call, "authorization");
	call->guarded = !maker->settings->out.allow_private && (call->guarded || !same);
	call->roams |= !same;
	if (status == 303 && strcmp(call->method, "HEAD") != 0) {
		call->method = "GET";
		call->no_body = true;
		http_call_drop_header(call, "content-type");
		http_call_drop_header(call, "webhook-timestamp"); /* they sign a body that does not go along */
		http_call_drop_header(call, "webhook-signature");
	}
	struct slice text = slice_str(url); /* libcurl's, which ends with the next begin: not of call->url */
	buffer_clear(&call->url);
	return buffer_append(&call->url, slice_of(text.data, text.len + 1)) < 0 ? -ENOMEM : 0;
}

/* --- batches ------------------------------------------------------------------------------------------------------ */

static bool same_param(const struct message_view *a, const struct message_view *b, const char *name)
{
	return slice_equal(message_param(a, name), message_param(b, name));
}

static bool same_headers(const struct message_view *a, const struct message_view *b)
{
	if (a->n_headers != b->n_headers)
		return false;
	for (size_t i = 0; i < a->n_headers; i++)
		if (!slice_equal(a->headers[i].name, b->headers[i].name) ||
			!slice_equal(a->headers[i].value, b->headers[i].value))
			return false;
	return true;
}

bool http_same_batch(const void *settings, const struct message_view *first, const struct message_view *next)
{
	(void)settings;
	return slice_equal(first->topic, next->topic) && same_param(first, next, HTTP_PARAM_METHOD) &&
	       same_param(first, next, HTTP_PARAM_URL) && slice_equal(first->content_type, next->content_type) &&
	       same_headers(first, next);
}
