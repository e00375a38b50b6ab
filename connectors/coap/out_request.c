/* SPDX-License-Identifier: Apache-2.0
 *
 * Options go in the order of their numbers: Uri-Path (11), Content-Format (12), Uri-Query (15), Accept (17).
 */
#include "connectors/coap/out_request.h"

#include <errno.h>
#include <strings.h>

#include "connectors/coap/content_format.h"
#include "connectors/coap/path.h"

enum { URI_PATH = 11, CONTENT_FORMAT = 12, URI_QUERY = 15, ACCEPT = 17 };

/* By the index in coap_methods: PUT, POST, iPATCH, PATCH, DELETE, FETCH, GET. */
static const uint8_t codes[] = {3, 2, 7, 6, 4, 5, 1};
enum { CODE_GET = 1, CODE_DELETE = 4 };

static const char no_target[] =
	"path and query are no target of a request; each segment and each argument has at most 255 "
	"bytes of UTF-8, and none is . or ..";

int coap_method_find(struct slice name)
{
	for (int i = 0; coap_methods[i]; i++)
		if (name.len == strlen(coap_methods[i]) &&
			strncasecmp((const char *)name.data, coap_methods[i], name.len) == 0)
			return i;
	return -1;
}

bool coap_reply_is_wanted(const struct message_view *view)
{
	return view->response_topic.len > 0 || message_param(view, MESSAGE_REPLY).data;
}

/* --- path and query ------------------------------------------------------------------------------------------------------- */

struct adding {
	struct coap_call *call;
	enum coap_target_part part;
	bool drops_last; /* of a path: the empty segment that a slash at its end makes */
	bool has_empty; /* which came last, and may be it */
};

static int add_one(struct adding *adding, struct slice value)
{
	return coap_call_option(adding->call, adding->part == COAP_TARGET_PATH ? URI_PATH : URI_QUERY, value);
}

static int on_part(enum coap_target_part part, struct slice value, void *arg)
{
	struct adding *adding = arg;
	if (part != adding->part)
		return 0;
	if (adding->has_empty) {
		adding->has_empty = false;
		int err = add_one(adding, slice_of("", 0));
		if (err)
			return err;
	}
	if (adding->drops_last && value.len == 0) {
		adding->has_empty = true;
		return 0;
	}
	return add_one(adding, value);
}

static int add_parts(struct slice target, enum coap_target_part part, bool drops_last, struct coap_call *call,
	const char **ret_reason)
{
	struct adding adding = {.call = call, .part = part, .drops_last = drops_last};
	int err = target.len ? coap_target_walk(target, on_part, &adding) : 0;
	if (err == -EINVAL)
		*ret_reason = no_target;
	return err;
}

static bool has_path(struct slice target)
{
	return target.len > 0 && target.data[0] == '/';
}

int coap_request_add_path(struct slice base, struct slice target, struct coap_call *call, const char **ret_reason)
{
	int err = add_parts(base, COAP_TARGET_PATH, has_path(target), call, ret_reason);
	return err ? err : add_parts(target, COAP_TARGET_PATH, false, call, ret_reason);
}

int coap_request_add_query(struct slice base, struct slice target, struct coap_call *call, const char **ret_reason)
{
	int err = add_parts(base, COAP_TARGET_QUERY, false, call, ret_reason);
	return err ? err : add_parts(target, COAP_TARGET_QUERY, false, call, ret_reason);
}

/* --- the rest ------------------------------------------------------------------------------------------------------------- */

static int refuse(const char **ret_reason, const char *reason)
{
	*ret_reason = reason;
	return -EINVAL;
}

static int find_place(const struct coap_settings *settings, const struct coap_url *own, const struct message_view *view,
	struct arena *arena, struct coap_call *call, const struct coap_url **ret_url, bool *ret_elsewhere,
	const char **ret_reason)
{
	struct slice text = message_param(view, COAP_PARAM_URL);
	*ret_url = own;
	*ret_elsewhere = false;
	call->guarded = false;
	if (!text.data) /* an empty one is no reason to send the message to the connection's */
		return 0;
	struct coap_url *url = arena_alloc(arena, sizeof *url);
	if (!url)
		return -ENOMEM;
	const char *wrong = coap_url_parse(text, url);
	if (wrong)
		return refuse(ret_reason, arena_printf(arena, "the url of the message: %s", wrong));
	*ret_url = url;
	*ret_elsewhere = !coap_url_same_place(url, own);
	call->guarded = !settings->out.allow_private;
	return 0;
}

static int set_method(const struct coap_settings *settings, const struct message_view *view, struct coap_call *call,
	const char **ret_reason)
{
	struct slice wished = message_param(view, COAP_PARAM_METHOD);
	int method = wished.data ? coap_method_find(wished) : settings->out.method;
	if (method < 0)
		return refuse(ret_reason,
			"the method of the message is none of PUT, POST, iPATCH, PATCH, DELETE, FETCH and GET");
	call->code = codes[method];
	return 0;
}

static int add_format(const struct message_view *view, struct coap_call *call)
{
	int format = content_format_find(view->content_type);
	return format < 0 || call->payload.len == 0 ? 0 : coap_call_option_uint(call, CONTENT_FORMAT, (uint32_t)format);
}

static int add_accept(const struct message_view *view, struct coap_call *call, const char **ret_reason)
{
	struct slice wished = message_param(view, COAP_PARAM_ACCEPT);
	if (wished.len == 0)
		return 0;
	int format = content_format_find(wished);
	if (format < 0)
		return refuse(ret_reason,
			"accept names no content type that CoAP has a number for; write one of IANA's CoAP "
			"Content-Formats, or coap/ and the number");
	return coap_call_option_uint(call, ACCEPT, (uint32_t)format);
}

static void set_wishes(const struct message_view *view, struct coap_call *call)
{
	bool has_body = call->code != CODE_GET && call->code != CODE_DELETE;
	call->payload = has_body && view->payload.data ? view->payload : slice_of("", 0);
	call->confirmable = view->qos > 0;
	call->wants_body = call->wants_answer = coap_reply_is_wanted(view);
	call->observe = false;
}

int coap_request_make(const struct coap_settings *settings, const struct coap_url *own, const struct message_view *view,
	struct arena *arena, struct coap_call *call, const struct coap_url **ret_url, bool *ret_elsewhere,
	const char **ret_reason)
{
	*ret_reason = "it cannot be sent";
	coap_call_clear(call);
	int err = find_place(settings, own, view, arena, call, ret_url, ret_elsewhere, ret_reason);
	if (!err)
		err = set_method(settings, view, call, ret_reason);
	if (err)
		return err;
	set_wishes(view, call);
	struct slice base = (*ret_url)->target;
	err = coap_request_add_path(base, view->topic, call, ret_reason);
	if (!err)
		err = add_format(view, call);
	if (!err)
		err = coap_request_add_query(base, view->topic, call, ret_reason);
	return err ? err : add_accept(view, call, ret_reason);
}
