/* SPDX-License-Identifier: Apache-2.0
 *
 * A target is rendered once per message into an envelope (all but the payload); every output of the transform goes into
 * it. Where a template speaks of what the transform made ({payload.path}), each output has an envelope of its own.
 */
#include <errno.h>

#include "connectors/connector.h"
#include "message/utf8.h"
#include "routing/hops.h"
#include "routing/mapping_impl.h"
#include "routing/reply.h"
#include "routing/template.h"
#include "runtime/log.h"

#define SHOWN_BYTES 150 /* of a target, in a reason */

/* --- routing ----------------------------------------------------------------------------------------- */

/* One mapping at work on one message. */
struct work {
	struct mapping *map;
	struct routing *routing;
	struct template_source source;
	struct routed_value *form; /* of the payload, as the mapping reads it */
	enum mapping_step step; /* that is being done */
	const char *reason; /* why it failed */
	bool transformed; /* the payload is the transform's output */
	bool passed; /* on_error: pass; the payload is as it was received */
	bool null; /* what was received is a null payload, here or at some target */
	struct slice value; /* of changes_only */
	struct slice aggregate_value;
	bool valueless; /* it could not be had, and on_error lets the message pass */
	bool silent; /* a change that is only remembered */
};

static void tell(const struct work *work, const struct target *to, struct route_event event)
{
	struct route_watcher *watcher = work->routing->watcher;
	event.mapping = work->map->number;
	event.target = to ? (size_t)(to - work->map->targets) : 0;
	event.reason = work->reason;
	watcher->on_event(watcher, &event);
}

/* Costs a branch when nobody looks. */
#define TELL(work, to, ...)                                                                                            \
	do {                                                                                                           \
		if ((work)->routing->watcher)                                                                          \
			tell(work, to, (struct route_event){__VA_ARGS__});                                             \
	} while (0)

static int fail(struct work *work, const char *reason)
{
	work->reason = reason;
	return -EINVAL;
}

static int render(struct work *work, const struct template *tpl, struct slice *ret_text)
{
	return template_render(tpl, &work->source, work->routing->arena, ret_text, &work->reason);
}

/* The dead letter has the source's topic, so the target is said here, if it can be. */
static const char *illegal_target(struct arena *arena, struct slice topic, const char *wrong)
{
	bool plain = utf8_valid(topic) && topic.len > 0;
	for (size_t i = 0; i < topic.len && plain; i++)
		plain = topic.data[i] >= ' ' && topic.data[i] != '"' && topic.data[i] != 0x7f;
	if (!plain)
		return arena_printf(arena, "the target is not legal: %s", wrong);
	size_t shown = topic.len < SHOWN_BYTES ? topic.len : SHOWN_BYTES;
	return arena_printf(arena, "the target %.*s%s is not legal: %s", (int)shown, (const char *)topic.data,
		shown < topic.len ? "…" : "", wrong);
}

static int render_topic(struct work *work, const struct target *to, struct slice *ret_topic)
{
	struct arena *arena = work->routing->arena;
	const struct connector *connector = to->connector;
	struct slice topic = work->routing->view->topic;
	int err = 0;
	work->source.insert = connector ? connector->insert_in_target : NULL;
	work->source.insert_with = to->settings;
	if (to->topic)
		err = render(work, to->topic, &topic);
	else if (work->source.insert)
		err = work->source.insert(to->settings, topic, arena, &topic);
	work->source.insert = NULL;
	if (err)
		return err;
	const char *wrong = connector && connector->check_target ? connector->check_target(to->settings, topic) : NULL;
	if (wrong)
		return fail(work, illegal_target(arena, topic, wrong));
	*ret_topic = topic;
	return 0;
}

static bool is_configured(const struct target *to, struct slice name)
{
	for (size_t i = 0; i < to->n_headers; i++)
		if (slice_equal(to->headers[i].name, name))
			return true;
	return false;
}

static int render_fields(struct work *work, const struct field *fields, size_t n, struct message_field *out)
{
	int err = 0;
	for (size_t i = 0; i < n && !err; i++) {
		out[i].name = fields[i].name;
		err = render(work, fields[i].value, &out[i].value);
	}
	return err;
}

/* *n: how many there are, and then how many are left. */
static int fit_headers(
	struct work *work, const struct target *to, struct message_field *headers, size_t *n, size_t n_received)
{
	int err = 0;
	size_t left = 0;
	for (size_t i = 0; i < *n && !err; i++) {
		struct message_field fit;
		err = to->connector->fit_header(
			to->settings, &headers[i], i >= n_received, work->routing->arena, &fit, &work->reason);
		if (!err && fit.name.data)
			headers[left++] = fit;
	}
	*n = left;
	return err;
}

/* Received headers stay; a configured one takes the place of all of its name. */
static int render_headers(struct work *work, const struct target *to, struct message_view *view)
{
	size_t n_configured = to->n_headers, n = 0;
	if (n_configured == 0 && !(to->fits_headers && view->n_headers))
		return 0;
	struct message_field *headers =
		arena_alloc(work->routing->arena, (view->n_headers + n_configured) * sizeof *headers);
	if (!headers)
		return -ENOMEM;
	for (size_t i = 0; i < view->n_headers; i++)
		if (!is_configured(to, view->headers[i].name))
			headers[n++] = view->headers[i];
	int err = render_fields(work, to->headers, n_configured, headers + n);
	size_t n_received = n;
	n += n_configured;
	if (!err && to->fits_headers)
		err = fit_headers(work, to, headers, &n, n_received);
	view->headers = headers;
	view->n_headers = n;
	return err;
}

static int render_params(struct work *work, const struct target *to, struct message_view *view)
{
	size_t n = to->n_params;
	if (n == 0)
		return 0;
	struct message_field *params = arena_alloc(work->routing->arena, n * sizeof *params);
	if (!params)
		return -ENOMEM;
	view->params = params;
	view->n_params = n;
	return render_fields(work, to->params, n, params);
}

/* In which format is the payload made? -1: it is as received. */
static int made_format(const struct mapping *map, const struct target *to)
{
	if (map->payload || map->text)
		return to->format >= 0 ? to->format : map->text ? FORMAT_TEXT : FORMAT_JSON;
	return to->format == (int)map->format ? -1 : to->format;
}

/* A configured content type speaks of what the mapping makes; it does not fit a payload that was passed as received
 * because the transform failed. */
static int render_content_type(struct work *work, const struct target *to, struct message_view *view)
{
	int format = made_format(work->map, to);
	if (to->content_type && !(work->passed && format >= 0))
		return render(work, to->content_type, &view->content_type);
	if (format < 0 || work->passed)
		return 0;
	view->content_type = format_content_type((enum format)format);
	view->utf8_payload = format_is_text((enum format)format);
	return 0;
}

/* As received, but for what no output takes over. */
static struct message_view received(const struct work *work)
{
	struct message_view view = *work->routing->view;
	view.order_key = view.topic;
	view.reject_reason = (struct slice){NULL, 0};
	view.params = NULL;
	view.n_params = 0;
	view.priority = work->map->priority;
	return view;
}

/* Read once for all mappings, and only where it matters. */
static unsigned work_hops(struct work *work)
{
	struct routing *routing = work->routing;
	if (routing->hops < 0)
		routing->hops = (int)hops_received(routing->view);
	return (unsigned)routing->hops;
}

static int render_reply(struct work *work, const struct target *to, struct message_view *view)
{
	int hops = work->map->config->max_hops > 0 ? (int)work_hops(work) : -1;
	return reply_render(to->reply, &work->source, hops, work->routing->arena, view, &work->reason);
}

static int render_envelope(struct work *work, const struct target *to, struct message_view *ret_view)
{
	struct message_view view = received(work);
	int err = render_topic(work, to, &view.topic);
	if (!err && to->key) {
		err = render(work, to->key, &view.key);
		view.order_key = view.key;
	}
	if (!err)
		err = render_content_type(work, to, &view);
	if (!err)
		err = render_headers(work, to, &view);
	if (!err && to->counts_hops)
		err = hops_write(&view, work_hops(work) + 1, work->routing->arena);
	if (!err)
		err = render_params(work, to, &view);
	if (!err && to->reply)
		err = render_reply(work, to, &view);
	if (err)
		return err;
	if (to->qos >= 0)
		view.qos = (uint8_t)to->qos;
	if (to->retain >= 0)
		view.retain = to->retain == 1;
	*ret_view = view;
	return 0;
}

static int emit(struct work *work, const struct target *to, const struct message_view *view, bool marked)
{
	struct routing *routing = work->routing;
	if (routing->n_outputs == routing->outputs_size) {
		size_t size = routing->outputs_size ? 2 * routing->outputs_size : 8;
		struct route_output *grown = arena_alloc(routing->arena, size * sizeof *grown);
		if (!grown)
			return -ENOMEM;
		if (routing->n_outputs)
			memcpy(grown, routing->outputs, routing->n_outputs * sizeof *grown);
		routing->outputs = grown;
		routing->outputs_size = size;
	}
	routing->outputs[routing->n_outputs++] = (struct route_output){.mapping = work->map->number,
		.connection = to->connection,
		.view = *view,
		.marked = marked,
		.input = routing->input_number};
	routing->n_marked += marked;
	TELL(work, to, .kind = ROUTE_OUTPUT, .view = view, .marked = marked);
	return 0;
}

/* A letter may be sent again, as it is: so its headers are those that any message gets there. One that cannot go there at all stays
 * as it was received. */
static int fit_letter(struct work *work, const struct target *to, struct message_view *view)
{
	size_t n = view->n_headers;
	if (!to->fits_headers || n == 0)
		return 0;
	struct message_field *headers = arena_alloc(work->routing->arena, n * sizeof *headers);
	if (!headers)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const char *reason;
		int err = to->connector->fit_header(
			to->settings, &view->headers[i], false, work->routing->arena, &headers[i], &reason);
		if (err == -ENOMEM)
			return err;
		if (err)
			headers[i] = view->headers[i];
	}
	view->headers = headers;
	return 0;
}

/* Something of the message is always kept: what passes the limits of an encoded message is left out. */
static int emit_dead_letter(struct work *work, const struct target *to)
{
	struct message_view view = received(work);
	view.reject_reason = slice_str(work->reason);
	int err = render_topic(work, to, &view.topic);
	if (err != -ENOMEM)
		err = fit_letter(work, to, &view);
	if (err)
		return err;
	if (message_encoded_size(&view) == 0)
		view.n_headers = 0;
	return emit(work, to, &view, false);
}

static int drop(struct work *work)
{
	work->routing->dropped++;
	/* The reason may quote the payload, which belongs to no log above debug. */
	log_warn("message_dropped", "mapping=\"%s\" because=\"on_error: drop\"", work->map->config->name);
	log_debug("message_dropped_why", "mapping=\"%s\" reason=\"%s\"", work->map->config->name, work->reason);
	return 0;
}

static bool breaks_loop(struct work *work, const struct target *to)
{
	const struct mapping_config *config = work->map->config;
	if (!to->may_return || work_hops(work) < (unsigned)config->max_hops)
		return false;
	work->routing->looped++;
	TELL(work, to, .kind = ROUTE_LOOPED);
	log_warn("loop_broken",
		"mapping=\"%s\" max_hops=%d what=\"a message has been passed on that often and is dropped: what is "
		"written there comes back\"",
		config->name, (int)config->max_hops);
	return true;
}

static bool target_skips(const struct work *work, const struct target *to)
{
	if (to->retain != RETAIN_SKIP || !work->routing->view->retain)
		return false;
	TELL(work, to, .kind = ROUTE_SKIPPED);
	return true;
}

/* A target's template has failed. */
static int target_failed(struct work *work, const struct target *to)
{
	TELL(work, to, .kind = ROUTE_TARGET_FAILED);
	return work->map->on_error == ON_ERROR_DROP ? drop(work) : emit_dead_letter(work, to);
}

/* --- null payloads -------------------------------------------------------------------------------------- */

/* Is that a null payload at the target, as it was received? */
static bool is_tombstone(const struct target *to, const struct message_view *view)
{
	if (!view->payload.data)
		return true;
	if (view->payload.len > 0 || to->tombstones == TOMBSTONES_RECEIVED)
		return false;
	return to->tombstones != TOMBSTONES_CLEARED || view->retain;
}

static bool is_null_for_any(const struct mapping *map, const struct message_view *view)
{
	bool any = !view->payload.data;
	for (size_t i = 0; i < map->n_targets && !any && view->payload.len == 0; i++)
		any = is_tombstone(&map->targets[i], view);
	return any;
}

static bool is_json_null(struct slice payload)
{
	return slice_equal(payload, slice_str("null"));
}

/* A null that was received stays one if the transform makes null of it. */
static struct slice payload_for(const struct work *work, const struct target *to, struct slice payload)
{
	struct slice null = {NULL, 0};
	if (!work->transformed && is_tombstone(to, work->routing->view))
		return null;
	if (work->transformed && work->null && is_json_null(payload))
		return null;
	if (to->tombstones == TOMBSTONES_EMPTY_OR_NULL && is_json_null(payload))
		return null;
	return payload;
}

/* --- formats --------------------------------------------------------------------------------------------- */

/* What a template inserts stands within a string of the JSON text that it makes. */
static int insert_in_json(const void *unused, struct slice text, struct arena *arena, struct slice *ret_text)
{
	(void)unused;
	const char *reason;
	struct slice quoted;
	if (!utf8_valid(text))
		return -EINVAL;
	int err = format_to_json(FORMAT_TEXT, text, SIZE_MAX, arena, &quoted, &reason);
	if (!err)
		*ret_text = slice_of(quoted.data + 1, quoted.len - 2);
	return err;
}

static int check_json(struct work *work, struct slice text)
{
	return json_check(text, NULL)
		       ? fail(work, "what payload_template gives is not JSON, as format says it should be")
		       : 0;
}

/* As the format needs it: json and cbor take JSON, the others take any bytes. */
static int render_text(struct work *work, enum format format, struct slice *ret_payload)
{
	struct arena *arena = work->routing->arena;
	bool is_json = format == FORMAT_JSON || format == FORMAT_CBOR;
	struct slice text;
	work->source.insert = is_json ? insert_in_json : NULL;
	int err = render(work, work->map->text, &text);
	work->source.insert = NULL;
	if (!err && is_json)
		err = check_json(work, text);
	if (!err && format == FORMAT_CBOR)
		return format_from_json(format, text, arena, ret_payload, &work->reason);
	if (!err && format == FORMAT_BASE64) {
		err = format_to_json(FORMAT_RAW, text, SIZE_MAX, arena, &text, &work->reason);
		return err ? err : format_from_json(FORMAT_BASE64, text, arena, ret_payload, &work->reason);
	}
	if (!err)
		*ret_payload = text;
	return err;
}

/* payload: what jq gave, or what was received. */
static int make_payload(struct work *work, const struct target *to, struct slice payload, struct slice *ret_payload)
{
	int format = work->passed ? -1 : made_format(work->map, to);
	*ret_payload = payload_for(work, to, payload);
	if (!ret_payload->data || format < 0)
		return 0;
	if (work->map->text)
		return render_text(work, (enum format)format, ret_payload);
	if (!work->transformed) {
		const char *wrong = json_payload_check(&work->form->json);
		if (wrong)
			return fail(work, wrong);
		payload = work->form->json.text;
	}
	return format_from_json((enum format)format, payload, work->routing->arena, ret_payload, &work->reason);
}

/* Does a null payload clear what is retained there? */
static bool clears(const struct target *to)
{
	return !to->carries_null && to->retain < 0;
}

/* The envelope for one of the payloads. What was not transformed goes out as it was read. */
static int render_envelope_of(
	struct work *work, const struct target *to, struct slice payload, struct message_view *ret_view)
{
	struct json_payload made = {.text = payload, .limit_bytes = work->routing->max_transform_bytes};
	work->source.made = work->transformed ? &made : work->source.json;
	int err = render_envelope(work, to, ret_view);
	work->source.made = NULL;
	return err;
}

static int make_views(struct work *work, const struct target *to, const struct slice *payloads, size_t n,
	struct message_view *ret_views)
{
	int err = 0;
	for (size_t i = 0; i < n && !err; i++) {
		struct message_view *view = &ret_views[i];
		if (i > 0 && !to->speaks_of_made)
			*view = ret_views[0];
		else
			err = render_envelope_of(work, to, payloads[i], view);
		if (!err)
			err = make_payload(work, to, payloads[i], &view->payload);
		if (!err && message_encoded_size(view) == 0)
			err = fail(work, "the message would pass the limits of 32 MiB of payload or 1 MiB of all else");
	}
	return err;
}

/* All of the payloads to one target, or none. */
static int route_target(struct work *work, const struct target *to, const struct slice *payloads, size_t n)
{
	struct message_view one, *views = &one;
	if (target_skips(work, to) || breaks_loop(work, to))
		return 0;
	if (n > 1 && !(views = arena_alloc(work->routing->arena, n * sizeof *views)))
		return -ENOMEM;
	int err = make_views(work, to, payloads, n, views);
	if (err == -EINVAL)
		return target_failed(work, to);
	for (size_t i = 0; i < n && !err; i++) {
		views[i].retain |= !views[i].payload.data && clears(to);
		err = emit(work, to, &views[i], to->marked);
	}
	return err;
}

/* --- aggregate ------------------------------------------------------------------------------------------- */

/* The message with its value as its payload. Nothing of it is another's business but what a result is routed by: it must
 * neither expire while it waits nor be answered. */
static int route_to_aggregator(struct work *work, const struct target *to)
{
	struct routing *routing = work->routing;
	struct message_view view = *routing->view;
	struct message_field *key = arena_alloc(routing->arena, sizeof *key);
	if (!key)
		return -ENOMEM;
	if (target_skips(work, to))
		return 0;
	*key = (struct message_field){slice_str(MESSAGE_AGGREGATE), routing->view->topic};
	int err = work->map->aggregate_key ? render(work, work->map->aggregate_key, &key->value) : 0;
	view.topic = view.order_key = routing->topic;
	view.payload = work->map->aggregate_value ? work->aggregate_value : slice_str("");
	view.content_type = view.response_topic = view.correlation = view.reject_reason = (struct slice){NULL, 0};
	view.params = key;
	view.n_params = 1;
	view.expires_ms = 0;
	view.retain = view.utf8_payload = false;
	view.priority = 0;
	if (err == -EINVAL)
		TELL(work, NULL, .kind = ROUTE_FAILED, .step = STEP_AGGREGATE_KEY);
	if (!err && message_encoded_size(&view) == 0)
		err = fail(work, "the message would pass the limits of 32 MiB of payload or 1 MiB of all else");
	if (err == -EINVAL)
		return target_failed(work, to);
	return err ? err : emit(work, to, &view, false);
}

/* --- rules over time --------------------------------------------------------------------------------------- */

static bool any_sent(const struct routing *routing, size_t first)
{
	for (size_t i = first; i < routing->n_outputs; i++)
		if (!routing->outputs[i].view.reject_reason.data)
			return true;
	return false;
}

/* The rules' keys and value. A key that cannot be rendered fails; so does a value, but for on_error: pass, which passes. */
static int render_rules(struct work *work, struct route_rules *ret_rules)
{
	const struct mapping *map = work->map;
	const struct mapping_config *config = map->config;
	struct slice topic = work->routing->view->topic;
	*ret_rules = (struct route_rules){.mapping = map->number, .value = work->value};
	int err = 0;
	if (config->changes_only.enabled && !work->valueless) {
		ret_rules->changes_key = topic;
		work->step = STEP_CHANGES_KEY;
		if (map->changes_key)
			err = render(work, map->changes_key, &ret_rules->changes_key);
	}
	if (!err && config->sample.one_in) {
		ret_rules->sample_key = topic;
		work->step = STEP_SAMPLE_KEY;
		if (map->sample_key)
			err = render(work, map->sample_key, &ret_rules->sample_key);
	}
	if (!err && config->min_interval.every_ms) {
		ret_rules->interval_key = topic;
		work->step = STEP_INTERVAL_KEY;
		if (map->interval_key)
			err = render(work, map->interval_key, &ret_rules->interval_key);
	}
	return err;
}

/* All outputs from `first` on pass together or not at all. Dead letters alone do not count as passing. */
static int add_rules(struct work *work, struct route_rules *rules, size_t first)
{
	struct routing *routing = work->routing;
	if (!any_sent(routing, first) && !work->silent)
		return 0;
	if (routing->n_rules == routing->rules_size) {
		size_t size = routing->rules_size ? 2 * routing->rules_size : 4;
		struct route_rules *grown = arena_alloc(routing->arena, size * sizeof *grown);
		if (!grown)
			return -ENOMEM;
		if (routing->n_rules)
			memcpy(grown, routing->rules, routing->n_rules * sizeof *grown);
		routing->rules = grown;
		routing->rules_size = size;
	}
	rules->first_output = first;
	rules->n_outputs = routing->n_outputs - first;
	routing->rules[routing->n_rules++] = *rules;
	return 0;
}

static int all_targets_failed(struct work *work)
{
	const char *reason = work->reason;
	int err = 0;
	for (size_t i = 0; i < work->map->n_targets && !err; i++) {
		work->reason = reason;
		if (!target_skips(work, &work->map->targets[i]))
			err = target_failed(work, &work->map->targets[i]);
	}
	return err;
}

/* changes_only without a message: what it has changed to is remembered, the other rules know nothing of it. */
static int route_silently(struct work *work)
{
	const struct mapping *map = work->map;
	struct route_rules rules = {
		.mapping = map->number, .value = work->value, .changes_key = work->routing->view->topic};
	int err = map->changes_key ? render(work, map->changes_key, &rules.changes_key) : 0;
	if (err == -EINVAL) {
		TELL(work, NULL, .kind = ROUTE_FAILED, .step = STEP_CHANGES_KEY);
		return all_targets_failed(work);
	}
	return err ? err : add_rules(work, &rules, work->routing->n_outputs);
}

static int route_targets(struct work *work, const struct slice *payloads, size_t n)
{
	struct mapping *map = work->map;
	struct route_rules rules;
	size_t first = work->routing->n_outputs;
	int err = map->has_rules ? render_rules(work, &rules) : 0;
	if (err == -EINVAL) {
		TELL(work, NULL, .kind = ROUTE_FAILED, .step = work->step);
		return all_targets_failed(work);
	}
	if (!err && map->has_rules && map->config->min_interval.every_ms)
		TELL(work, NULL, .kind = ROUTE_INTERVAL, .value = rules.interval_key);
	if (map->aggregate_bits)
		err = err ? err : route_to_aggregator(work, &map->targets[0]);
	for (size_t i = 0; !map->aggregate_bits && i < map->n_targets && !err; i++)
		err = route_target(work, &map->targets[i], payloads, n);
	return err || !map->has_rules ? err : add_rules(work, &rules, first);
}

/* `when`, `payload` or the value of changes_only has failed. */
static int transform_failed(struct work *work)
{
	const struct mapping *map = work->map;
	if (map->on_error != ON_ERROR_PASS)
		return all_targets_failed(work);
	log_warn("message_passed", "mapping=\"%s\" because=\"on_error: pass\"", map->config->name);
	log_debug("message_passed_why", "mapping=\"%s\" reason=\"%s\"", map->config->name, work->reason);
	work->passed = true;
	work->valueless = true;
	return route_targets(work, &work->routing->view->payload, 1);
}

static int take_value(struct work *work)
{
	struct mapping *map = work->map;
	struct routing *routing = work->routing;
	struct slice *values;
	size_t n = 0;
	int err = 0;
	work->step = STEP_CHANGES_VALUE;
	if (!map->value)
		work->value = routing->view->payload;
	else
		err = transform_run(map->value, work->form->input, work->source.captures, 1, routing->arena, &values,
			&n, &work->reason);
	if (!err && n)
		work->value = values[0];
	if (err)
		return err;
	bool passes = true;
	work->step = STEP_CHANGES_WHEN;
	if (map->change_when)
		err = transform_test(map->change_when, work->form->input, work->source.captures, routing->arena,
			&passes, &work->reason);
	work->silent = !passes;
	if (!err && map->change_when)
		TELL(work, NULL, .kind = ROUTE_WHEN, .key = "changes_only", .passed = passes);
	return err;
}

static bool is_number(struct slice json)
{
	return json.len && (json.data[0] == '-' || (json.data[0] >= '0' && json.data[0] <= '9'));
}

/* *ret_pass: false if there is none, which is not a mistake. */
static int take_aggregate_value(struct work *work, bool *ret_pass)
{
	struct mapping *map = work->map;
	struct slice *values;
	size_t n;
	if (!map->aggregate_value)
		return 0;
	work->step = STEP_AGGREGATE_VALUE;
	int err = transform_run(map->aggregate_value, work->form->input, work->source.captures, 1, work->routing->arena,
		&values, &n, &work->reason);
	*ret_pass = !err && n > 0;
	if (err || n == 0)
		return err;
	if (map->aggregate_bits & AGGREGATE_OF_NUMBERS && !is_number(values[0]))
		return fail(work, "the value to aggregate is no number");
	work->aggregate_value = values[0];
	return 0;
}

static void note_rounding(struct work *work)
{
	struct mapping *map = work->map;
	if (!transform_input_rounded(work->form->input))
		return;
	work->routing->rounded++;
	TELL(work, NULL, .kind = ROUTE_ROUNDED);
	if (!map->told_rounded)
		log_warn("integer_rounded",
			"mapping=\"%s\" what=\"jq has changed an integer above 2^53, since its numbers are doubles; "
			"send "
			"such numbers as text, or insert them with a template; said once, then counted\"",
			map->config->name);
	map->told_rounded = true;
}

static int run_transforms(struct work *work, bool *ret_pass, struct slice **ret_payloads, size_t *ret_n)
{
	struct mapping *map = work->map;
	struct routing *routing = work->routing;
	bool pass = true;
	int err = 0;
	work->null = is_null_for_any(map, routing->view);
	transform_input_null(work->form->input, work->null);
	work->step = STEP_WHEN;
	if (map->when) {
		err = transform_test(
			map->when, work->form->input, work->source.captures, routing->arena, &pass, &work->reason);
		if (!err)
			TELL(work, NULL, .kind = ROUTE_WHEN, .passed = pass);
	}
	if (!err && pass && map->has_rules && map->config->changes_only.enabled)
		err = take_value(work);
	if (!err && pass && !work->silent && map->payload) {
		work->step = STEP_PAYLOAD;
		err = transform_run(map->payload, work->form->input, work->source.captures, map->max_outputs,
			routing->arena, ret_payloads, ret_n, &work->reason);
		if (!err)
			TELL(work, NULL, .kind = ROUTE_MADE, .n = *ret_n);
	}
	if (!err && pass && !work->silent && map->aggregate_bits)
		err = take_aggregate_value(work, &pass);
	if (err == -EINVAL)
		TELL(work, NULL, .kind = ROUTE_FAILED, .step = work->step);
	note_rounding(work);
	*ret_pass = pass;
	return err;
}

/* Once for all mappings that read it so. What cannot be read is said to whoever asks for it. */
static int read_value(struct routing *routing, enum format format)
{
	struct routed_value *value = &routing->values[format];
	const struct message_view *view = routing->view;
	if (value->read)
		return 0;
	value->json = (struct json_payload){.text = view->payload, .limit_bytes = routing->max_transform_bytes};
	if (format != FORMAT_JSON && view->payload.data) {
		int err = format_to_json(format, view->payload, routing->max_transform_bytes, routing->arena,
			&value->json.text, &value->json.wrong);
		if (err == -ENOMEM)
			return err;
		value->json.checked = err != 0;
	}
	transform_input_begin(value->input, view, &value->json);
	value->read = true;
	return 0;
}

int mapping_route(struct mapping *map, struct routing *routing, const struct slice *captures)
{
	if (read_value(routing, map->format) != 0)
		return -ENOMEM;
	struct work work = {
		.map = map,
		.routing = routing,
		.source = {.view = routing->view,
			.separator = routing->separator,
			.captures = captures,
			.json = &routing->values[map->format].json},
		.form = &routing->values[map->format],
	};
	struct slice as_received = routing->view->payload, *payloads = &as_received;
	size_t n = 1;
	bool pass;
	int err = run_transforms(&work, &pass, &payloads, &n);
	if (err == -EINVAL)
		return transform_failed(&work);
	if (err || !pass)
		return err;
	work.transformed = map->payload != NULL;
	if (work.silent)
		return route_silently(&work);
	return n ? route_targets(&work, payloads, n) : 0;
}
