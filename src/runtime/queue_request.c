/* SPDX-License-Identifier: Apache-2.0
 *
 * The request line is read in place by src/routing/json; only what is kept is copied.
 */
#define _GNU_SOURCE /* memmem */
#include "runtime/queue_request.h"

#include <errno.h>
#include <stdlib.h>

#include "routing/json.h"
#include "routing/topic_filter.h"

static const char *const op_names[QUEUE_N_OPS] = {
	[QUEUE_LS] = "ls",
	[QUEUE_PEEK] = "peek",
	[QUEUE_EXPORT] = "export",
	[QUEUE_IMPORT] = "import",
	[QUEUE_REQUEUE] = "requeue",
	[QUEUE_PURGE] = "purge",
	[QUEUE_PAUSE] = "pause",
	[QUEUE_RESUME] = "resume",
	[QUEUE_WATCH] = "watch",
	[QUEUE_RELOAD] = "reload",
};

static struct slice member(struct slice line, const char *name)
{
	struct json_step step = {.key = slice_str(name)};
	return json_find(line, &step, 1);
}

/* The characters of a string, malloc'ed with a NUL behind them; ret_len may be NULL: then a NUL within is a mistake. */
static int unescape(struct slice raw, uint8_t **ret_text, size_t *ret_len)
{
	if (json_kind(raw) != JSON_STRING)
		return -EINVAL;
	uint8_t *text = malloc(raw.len);
	if (!text)
		return -ENOMEM;
	size_t len = json_unescape(raw, text);
	if (len == SIZE_MAX || (!ret_len && memchr(text, 0, len))) {
		free(text);
		return -EINVAL;
	}
	text[len] = '\0'; /* the quotes took two bytes */
	*ret_text = text;
	if (ret_len)
		*ret_len = len;
	return 0;
}

/* Likewise of a member. Absent is no mistake. */
static int take_text(struct slice line, const char *name, uint8_t **ret_text, size_t *ret_len)
{
	struct slice raw = member(line, name);
	return raw.data ? unescape(raw, ret_text, ret_len) : 0;
}

static void free_names(char **names)
{
	for (size_t i = 0; names && names[i]; i++)
		free(names[i]);
	free(names);
}

/* A list of names, none of them with a NUL. Absent is no mistake. */
static int take_names(struct slice line, const char *member_name, char ***ret_names)
{
	struct slice list = member(line, member_name), key, raw;
	if (!list.data)
		return 0;
	if (json_kind(list) != JSON_ARRAY)
		return -EINVAL;
	size_t n = 0;
	for (struct json_walk walk = json_walk(list); json_walk_next(&walk, &key, &raw);)
		n++;
	char **names = calloc(n + 1, sizeof *names);
	int r = names ? 0 : -ENOMEM;
	struct json_walk walk = json_walk(list);
	for (size_t i = 0; r == 0 && json_walk_next(&walk, &key, &raw); i++)
		r = unescape(raw, (uint8_t **)&names[i], NULL);
	if (r < 0)
		free_names(names);
	else
		*ret_names = names;
	return r;
}

static int take_number(struct slice line, const char *name, uint64_t *number)
{
	struct slice raw = member(line, name);
	uint64_t value = 0;
	if (!raw.data)
		return 0;
	for (size_t i = 0; i < raw.len; i++) {
		if (raw.data[i] < '0' || raw.data[i] > '9' || value > (UINT64_MAX - 9) / 10)
			return -EINVAL;
		value = value * 10 + (uint64_t)(raw.data[i] - '0');
	}
	*number = value;
	return 0;
}

static int take_flag(struct slice line, const char *name, bool *flag)
{
	struct slice raw = member(line, name);
	if (!raw.data)
		return 0;
	if (json_kind(raw) != JSON_TRUE && json_kind(raw) != JSON_FALSE)
		return -EINVAL;
	*flag = json_kind(raw) == JSON_TRUE;
	return 0;
}

static int take_op(struct slice line, enum queue_op *op)
{
	struct slice raw = member(line, "op");
	for (int i = 0; raw.data && raw.len > 2 && i < QUEUE_N_OPS; i++)
		if (slice_equal(slice_of(raw.data + 1, raw.len - 2), slice_str(op_names[i]))) {
			*op = (enum queue_op)i;
			return 0;
		}
	return -EINVAL;
}

static int take_topic(struct slice line, struct queue_filter *filter)
{
	uint8_t *text = NULL;
	int r = take_text(line, "topic", &text, NULL);
	if (r < 0 || !text)
		return r;
	if (topic_filter_check((const char *)text))
		r = -EINVAL;
	else if (!(filter->topic = topic_filter_wire((const char *)text, true)))
		r = -ENOMEM;
	free(text);
	return r;
}

/* Key and reason in one block. */
static int take_bytes(struct slice line, struct queue_request *request)
{
	uint8_t *key = NULL, *reason = NULL;
	size_t key_len = 0, reason_len = 0;
	int r = take_text(line, "key", &key, &key_len);
	if (r == 0)
		r = take_text(line, "reason", &reason, &reason_len);
	if (r == 0 && (key || reason))
		request->bytes = malloc(key_len + reason_len + 1);
	if (r == 0 && (key || reason) && !request->bytes)
		r = -ENOMEM;
	if (r == 0 && key) {
		memcpy(request->bytes, key, key_len);
		request->filter.key = slice_of(request->bytes, key_len);
	}
	if (r == 0 && reason) {
		memcpy(request->bytes + key_len, reason, reason_len);
		request->filter.reason = slice_of(request->bytes + key_len, reason_len);
	}
	free(key);
	free(reason);
	return r;
}

static int take_members(struct slice line, struct queue_request *request, const char **wrong)
{
	struct queue_filter *filter = &request->filter;
	uint8_t *name = NULL;
	*wrong = "\"op\" is none that this linkspan knows";
	int r = take_op(line, &request->op);
	if (r == 0) {
		*wrong = "\"destination\" is not a name";
		r = take_text(line, "destination", &name, NULL);
		request->destination = (char *)name;
	}
	if (r == 0) {
		*wrong = "\"dead\" is not true or false";
		r = take_flag(line, "dead", &request->dead);
	}
	if (r == 0) {
		*wrong = "\"limit\", \"first\" and \"last\" are numbers";
		r = take_number(line, "limit", &request->limit);
	}
	if (r == 0)
		r = take_number(line, "first", &filter->first_seq);
	if (r == 0)
		r = take_number(line, "last", &filter->last_seq);
	if (r == 0) {
		*wrong = "\"topic\" is not an MQTT topic filter";
		r = take_topic(line, filter);
	}
	if (r == 0) {
		*wrong = "\"key\" and \"reason\" are text";
		r = take_bytes(line, request);
	}
	if (r == 0) {
		*wrong = "\"drop\" and \"drain\" are lists of names";
		r = take_names(line, "drop", &request->drop);
	}
	if (r == 0)
		r = take_names(line, "drain", &request->drain);
	return r;
}

static int check(const struct queue_request *request, const char **wrong)
{
	bool needs_name = request->op != QUEUE_LS && request->op != QUEUE_IMPORT && request->op != QUEUE_RELOAD &&
			  request->op != QUEUE_WATCH;
	*wrong = "\"destination\" is missing";
	if (needs_name && !request->destination)
		return -EINVAL;
	*wrong = "\"reason\" is of dead letters only";
	return request->filter.reason.data && !request->dead && request->op != QUEUE_REQUEUE ? -EINVAL : 0;
}

int queue_request_parse(struct slice line, struct queue_request *ret_request, const char **ret_wrong)
{
	struct queue_request request = {.limit = UINT64_MAX, .filter = {.last_seq = UINT64_MAX}};
	*ret_wrong = json_check(line, NULL);
	int r = *ret_wrong ? -EINVAL : 0;
	if (r == 0) {
		*ret_wrong = "a request is a JSON object";
		struct slice whole = json_find(line, NULL, 0);
		r = json_kind(whole) == JSON_OBJECT ? 0 : -EINVAL;
	}
	if (r == 0)
		r = take_members(line, &request, ret_wrong);
	if (r == 0)
		r = check(&request, ret_wrong);
	if (r < 0) {
		queue_request_free(&request);
		return r;
	}
	*ret_request = request;
	return 0;
}

void queue_request_free(struct queue_request *request)
{
	free(request->destination);
	free(request->filter.topic);
	free(request->bytes);
	free_names(request->drop);
	free_names(request->drain);
	*request = (struct queue_request){0};
}

bool queue_filter_is_empty(const struct queue_filter *filter)
{
	return filter->first_seq == 0 && filter->last_seq == UINT64_MAX && !filter->topic && !filter->key.data &&
	       !filter->reason.data;
}

bool queue_filter_matches(
	const struct queue_filter *filter, uint64_t seq, const struct message_view *view, const char *reason)
{
	if (seq < filter->first_seq || seq > filter->last_seq)
		return false;
	if (filter->topic && !topic_filter_matches(filter->topic, view->topic))
		return false;
	if (filter->key.data && (!view->key.data || !slice_equal(filter->key, view->key)))
		return false;
	if (!filter->reason.data || filter->reason.len == 0)
		return true;
	return reason && memmem(reason, strlen(reason), filter->reason.data, filter->reason.len);
}
