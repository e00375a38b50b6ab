/* SPDX-License-Identifier: Apache-2.0
 *
 * What of a response is passed on: not what is of one connection or frames the body (RFC 9110 §7.6.1), not cookies, and
 * nothing that is no text.
 */
#include "connectors/http/out_reply.h"

#include <errno.h>
#include <stdio.h>

#include "message/utf8.h"

bool http_reply_is_wanted(const struct message_view *view)
{
	return view->response_topic.len > 0 || message_param(view, MESSAGE_REPLY).data;
}

static bool is_passed_on(struct slice name)
{
	static const char *const left_out[] = {"connection", "content-length", "content-type", "keep-alive",
		"proxy-authenticate", "proxy-connection", "set-cookie", "set-cookie2", "te", "trailer",
		"transfer-encoding", "upgrade", HTTP_STATUS_HEADER, HTTP_CUT_HEADER};
	for (size_t i = 0; i < sizeof left_out / sizeof left_out[0]; i++)
		if (slice_equal(name, slice_str(left_out[i])))
			return false;
	return true;
}

/* Absent when memory is out. */
static struct slice lower_case(struct slice name, struct arena *arena)
{
	uint8_t *out = arena_alloc(arena, name.len);
	for (size_t i = 0; out && i < name.len; i++)
		out[i] = name.data[i] >= 'A' && name.data[i] <= 'Z' ? name.data[i] | 0x20 : name.data[i];
	return out ? slice_of(out, name.len) : slice_of(NULL, 0);
}

static int add_headers(const struct http_call *call, struct arena *arena, struct message_field *fields, size_t *n)
{
	struct slice name, value;
	size_t bytes = 0;
	for (void *cursor = NULL; *n < HTTP_REPLY_HEADERS && http_call_next_header(call, &cursor, &name, &value);) {
		name = lower_case(name, arena);
		if (!name.data)
			return -ENOMEM;
		if (!is_passed_on(name) || !utf8_valid(name) || !utf8_valid(value) ||
			bytes + name.len + value.len > HTTP_REPLY_HEAD_BYTES)
			continue;
		bytes += name.len + value.len;
		fields[(*n)++] = (struct message_field){name, value};
	}
	return 0;
}

int http_reply_make(const struct http_call *call, uint64_t wall_ms, struct arena *arena, struct message_view *ret_view)
{
	struct message_field *fields = arena_alloc(arena, (HTTP_REPLY_HEADERS + 2) * sizeof *fields);
	if (!fields)
		return -ENOMEM;
	size_t n = 0;
	fields[n++] = (struct message_field){
		slice_str(HTTP_STATUS_HEADER), slice_str(arena_printf(arena, "%ld", call->status))};
	if (call->capped)
		fields[n++] = (struct message_field){slice_str(HTTP_CUT_HEADER), slice_str("true")};
	int err = add_headers(call, arena, fields, &n);
	if (err)
		return err;
	struct slice content_type = http_call_header(call, "content-type");
	*ret_view = (struct message_view){
		.topic = slice_str(""),
		.payload = call->reply.len ? buffer_slice(&call->reply) : slice_of("", 0),
		.content_type = utf8_valid(content_type) ? content_type : slice_of(NULL, 0),
		.headers = fields,
		.n_headers = n,
		.origin_ms = wall_ms,
	};
	return 0;
}
