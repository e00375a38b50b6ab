/* SPDX-License-Identifier: Apache-2.0
 *
 * A request on its way: who sends it, whether its path is one, its body, and the offer that it becomes. What can be refused
 * before the body is, and a body of some length that nobody wants is read and dropped, so that the answer reaches a client
 * that first sends and then reads.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "connectors/http/in_events.h"
#include "connectors/http/in_link.h"
#include "connectors/http/in_path.h"
#include "connectors/http/in_split.h"
#include "message/utf8.h"
#include "routing/topic_filter.h"
#include "runtime/failpoint.h"
#include "runtime/log.h"

#define DRAIN_BYTES   (256u * 1024) /* that are read of a body whose answer is known */
#define RETRY_AFTER_S 1
#define MOST_OFFERS   32 /* of held requests in one turn of the loop; each may be thousands of messages */

/* --- lists ------------------------------------------------------------------------------------------------------------ */

static void list_add(struct in_list *list, struct in_request *request)
{
	request->next = NULL;
	request->prev = list->last;
	if (list->last)
		list->last->next = request;
	else
		list->first = request;
	list->last = request;
	list->n++;
}

static void list_remove(struct in_list *list, struct in_request *request)
{
	if (request->prev)
		request->prev->next = request->next;
	else
		list->first = request->next;
	if (request->next)
		request->next->prev = request->prev;
	else
		list->last = request->prev;
	request->prev = request->next = NULL;
	list->n--;
}

static struct in_list *list_of(struct in_request *request)
{
	switch (request->state) {
	case IN_CHECKING:
		return request->check ? &request->link->checking : NULL;
	case IN_WAITS_FOR_ROOM:
		return &request->link->held;
	case IN_OFFERED:
		return &request->link->offered;
	default:
		return NULL;
	}
}

static void leave_list(struct in_request *request)
{
	struct in_list *list = list_of(request);
	if (list)
		list_remove(list, request);
}

static size_t n_waiting(const struct in_link *link)
{
	return link->checking.n + link->held.n + link->offered.n;
}

/* --- answers ---------------------------------------------------------------------------------------------------------- */

static void answer_with(struct in_request *request, unsigned status, const char *text)
{
	request->answer = (struct in_answer){.status = status, .text = text};
	if (status == MHD_HTTP_SERVICE_UNAVAILABLE || status == MHD_HTTP_CONFLICT)
		request->answer.retry_after_s = RETRY_AFTER_S;
}

static void answer_busy(struct in_request *request, const char *text)
{
	answer_with(request, MHD_HTTP_SERVICE_UNAVAILABLE, text);
}

static void count_answer(struct in_counters *counters, unsigned status)
{
	if (status == MHD_HTTP_UNAUTHORIZED || status == MHD_HTTP_FORBIDDEN)
		counters->denied++;
	else if (status >= 500)
		counters->busy++;
	else if (status >= 400)
		counters->refused++;
}

static void free_body(struct in_request *request)
{
	request->link->buffered -= request->body.capacity;
	buffer_free(&request->body);
}

static enum MHD_Result send_answer(struct in_request *request)
{
	struct in_answer *answer = &request->answer;
	free_body(request);
	/* libmicrohttpd takes chunk lines that end with a bare LF: whoever stands before us may see another end of the body,
	 * and what it takes for a part of that must not become a request of somebody else. */
	answer->close |= request->head.chunked || request->link->closing;
	count_answer(&request->link->counters, answer->status);
	in_server_phase(request->peer, IN_ANSWERING);
	request->state = IN_ANSWERED;
	return in_answer_send(request->connection, answer);
}

/* The answer is known before the body. */
static enum MHD_Result refuse(struct in_request *request)
{
	const struct in_head *head = &request->head;
	if (request->answer.close || head->expects || (head->has_length && head->length > DRAIN_BYTES)) {
		request->answer.close = true;
		return send_answer(request);
	}
	request->state = IN_DRAIN;
	return MHD_YES;
}

void in_request_answer(struct in_request *request, struct in_answer answer)
{
	leave_list(request);
	if (request->check) {
		auth_in_cancel(request->check);
		request->check = NULL;
	}
	request->answer = answer;
	request->state = IN_READY;
	in_server_resume(request->peer);
}

size_t in_request_write_answer(void *link, void *answered, char *out, size_t size)
{
	const struct in_request *request = answered;
	(void)link;
	return request->state == IN_READY ? in_answer_write(&request->answer, out, size) : 0;
}

/* --- the beginning ---------------------------------------------------------------------------------------------------- */

void *in_request_begin(void *arg, struct MHD_Connection *connection, const char *target)
{
	struct in_link *link = arg;
	size_t len = target ? strlen(target) : 0;
	struct in_request *request = calloc(1, sizeof *request + 2 * len + 1);
	if (!request)
		return NULL;
	uint8_t *copy = (uint8_t *)(request + 1);
	if (len)
		memcpy(copy, target, len);
	request->link = link;
	request->connection = connection;
	request->peer = in_server_peer(connection);
	request->target_at = target;
	request->target = slice_of(copy, len);
	request->path = slice_of(copy + len, 0);
	buffer_init(&request->body, (size_t)link->settings->in.limits.max_body);
	return request;
}

void in_request_end(void *arg, void *ended)
{
	struct in_request *request = ended;
	(void)arg;
	leave_list(request);
	if (request->check)
		auth_in_cancel(request->check);
	free_body(request);
	free(request);
}

static enum in_method method_of(const char *method)
{
	if (strcmp(method, MHD_HTTP_METHOD_POST) == 0 || strcmp(method, MHD_HTTP_METHOD_PUT) == 0)
		return IN_METHOD_WRITE;
	if (strcmp(method, MHD_HTTP_METHOD_GET) == 0 || strcmp(method, MHD_HTTP_METHOD_HEAD) == 0)
		return IN_METHOD_READ;
	return strcmp(method, MHD_HTTP_METHOD_OPTIONS) == 0 ? IN_METHOD_OPTIONS : IN_METHOD_OTHER;
}

/* Does a mapping read this path? A body is split when one of the filters that match says so. */
static bool is_read(struct in_request *request)
{
	const struct link_spec *spec = &request->link->spec;
	bool found = false;
	for (size_t i = 0; i < spec->n_subscriptions; i++) {
		const struct http_from_settings *from = spec->subscriptions[i].from_settings;
		if (!topic_filter_matches(spec->subscriptions[i].filter, request->path))
			continue;
		found = true;
		request->split |= from && from->split == HTTP_SPLIT_JSON_ARRAY;
	}
	return found;
}

static void check_method(struct in_request *request)
{
	struct in_link *link = request->link;
	/* Whoever may not read a value does not learn either that there is one. */
	bool sees = auth_in_may(link->auth, request->identity, request->path, true);
	unsigned allow = (is_read(request) ? IN_ALLOW_WRITE : 0) |
			 (sees && in_values_find(link, request->path) ? IN_ALLOW_READ : 0);
	bool allowed = (request->method == IN_METHOD_WRITE && (allow & IN_ALLOW_WRITE)) ||
		       (request->method == IN_METHOD_READ && link->spec.is_sink);
	if (allowed)
		return;
	if (!allow) {
		answer_with(request, MHD_HTTP_NOT_FOUND, "nothing reads this path");
	} else if (request->method == IN_METHOD_OPTIONS) {
		answer_with(request, MHD_HTTP_NO_CONTENT, NULL);
	} else {
		answer_with(request, MHD_HTTP_METHOD_NOT_ALLOWED, "this path does not take that method");
	}
	request->answer.allow = allow;
}

static void check_limits(struct in_request *request)
{
	const struct in_limits *limits = &request->link->settings->in.limits;
	const struct in_head *head = &request->head;
	if (head->has_length && head->length > (request->method == IN_METHOD_WRITE ? limits->max_body : DRAIN_BYTES))
		answer_with(request, MHD_HTTP_CONTENT_TOO_LARGE, "the body is larger than this listener takes");
	else if (request->method == IN_METHOD_WRITE && n_waiting(request->link) >= (size_t)limits->max_waiting)
		answer_busy(request, "too many requests are waiting");
}

/* Who it is has been settled, or needs the body. */
static enum MHD_Result admit(struct in_request *request)
{
	in_server_phase(request->peer, IN_BODY);
	if (!request->answer.status)
		check_method(request);
	if (!request->answer.status)
		check_limits(request);
	if (request->answer.status)
		return refuse(request);
	request->state = IN_TAKING;
	return MHD_YES;
}

/* --- who it is --------------------------------------------------------------------------------------------------------- */

static void apply_verdict(struct in_request *request, const struct auth_in_result *result)
{
	request->identity = result->identity;
	switch (result->verdict) {
	case AUTH_IN_ALLOWED:
	case AUTH_IN_BODY:
	case AUTH_IN_LATER:
		return;
	case AUTH_IN_UNAUTHORIZED:
		answer_with(request, MHD_HTTP_UNAUTHORIZED, result->reason);
		request->answer.challenge = result->challenge;
		break;
	case AUTH_IN_FORBIDDEN:
		answer_with(request, MHD_HTTP_FORBIDDEN, result->reason);
		break;
	case AUTH_IN_BUSY:
		answer_busy(request, result->reason);
		break;
	}
	log_debug("http_denied", "connection=%s identity=\"%s\" reason=\"%s\"", request->link->spec.name,
		result->identity ? result->identity : "", result->reason ? result->reason : "");
}

static void on_checked(void *arg, const struct auth_in_result *result)
{
	struct in_request *request = arg;
	leave_list(request);
	request->check = NULL;
	apply_verdict(request, result);
	in_server_resume(request->peer);
}

static struct slice find_header(void *arg, const char *name)
{
	return in_head_value(arg, name);
}

/* True: it is being checked, and suspended until then. */
static bool authenticate(struct in_request *request)
{
	struct in_link *link = request->link;
	const char *const *names;
	size_t n_names = in_server_client_names(request->peer, &names);
	struct auth_in_request about = {
		.path = request->path,
		.reads = request->method == IN_METHOD_READ || request->method == IN_METHOD_OPTIONS,
		.header = find_header,
		.arg = request->connection,
		.certificate_names = n_names ? names : NULL,
		.n_certificate_names = n_names,
		.now_ms = loop_clock_ms(link->spec.loop),
	};
	struct auth_in_result result = auth_in_begin(link->auth, &about, on_checked, request, &request->check);
	apply_verdict(request, &result);
	if (result.verdict != AUTH_IN_LATER)
		return false;
	request->state = IN_CHECKING;
	list_add(&link->checking, request);
	in_server_suspend(request->peer);
	return true;
}

static bool asks_for_server(const struct in_request *request)
{
	return request->method == IN_METHOD_OPTIONS && slice_equal(request->target, slice_str("*"));
}

static const char *read_head(struct in_request *request, const char *method, const char *version)
{
	size_t len = 0;
	const char *wrong = in_head_read(
		request->connection, method, version, request->target_at, request->target.len, &request->head);
	if (wrong)
		return wrong;
	if (asks_for_server(request))
		return NULL; /* of no path */
	wrong = in_path_parse(request->target, (uint8_t *)(request + 1) + request->target.len, &len, &request->query);
	request->path.len = len;
	return wrong;
}

static enum MHD_Result begin(struct in_request *request, const char *method, const char *version)
{
	request->link->counters.requests++;
	request->method = method_of(method);
	const char *wrong = read_head(request, method, version);
	if (wrong) {
		answer_with(request, MHD_HTTP_BAD_REQUEST, wrong);
		request->answer.close = true;
	} else if (asks_for_server(request)) {
		answer_with(request, MHD_HTTP_NO_CONTENT, NULL);
		request->answer.allow = IN_ALLOW_READ | IN_ALLOW_WRITE;
	} else if (request->link->closing) {
		answer_busy(request, "linkspan is stopping");
	} else if (authenticate(request)) {
		return MHD_YES;
	}
	return admit(request);
}

/* --- the body ---------------------------------------------------------------------------------------------------------- */

static enum MHD_Result drop(struct in_request *request, size_t len)
{
	uint64_t most = request->head.has_length ? request->head.length : DRAIN_BYTES;
	uint64_t before = request->dropped;
	request->dropped += len;
	if (request->dropped <= most || before > most) /* not yet, or already */
		return MHD_YES;
	/* It need not end, and libmicrohttpd takes no answer before it does. Without one it is of a GET. */
	unsigned status = request->answer.status ? request->answer.status : MHD_HTTP_CONTENT_TOO_LARGE;
	char line[128];
	snprintf(line, sizeof line, "%u %s%s", status, MHD_get_reason_phrase_for(status),
		status == MHD_HTTP_SERVICE_UNAVAILABLE ? "\r\nRetry-After: 1" : "");
	count_answer(&request->link->counters, status);
	in_server_break_off(request->peer, line);
	return MHD_YES;
}

static enum MHD_Result give_up_body(struct in_request *request)
{
	free_body(request);
	request->state = IN_DRAIN;
	return MHD_YES;
}

static enum MHD_Result take(struct in_request *request, const char *data, size_t len)
{
	struct in_link *link = request->link;
	if (request->method != IN_METHOD_WRITE)
		return drop(request, len);
	size_t before = request->body.capacity;
	int r = buffer_append(&request->body, slice_of(data, len));
	link->buffered += request->body.capacity - before;
	if (r == 0 && request->check)
		auth_in_add(request->check, slice_of(data, len));
	if (r == -ENOBUFS) {
		answer_with(request, MHD_HTTP_CONTENT_TOO_LARGE, "the body is larger than this listener takes");
		return give_up_body(request);
	}
	if (r < 0 || link->buffered > link->settings->in.limits.max_buffered) {
		answer_busy(request, "too many bodies are being received");
		return give_up_body(request);
	}
	return MHD_YES;
}

/* --- the offer --------------------------------------------------------------------------------------------------------- */

/* Idempotency-Key before webhook-id. Not so where it is signed: the signature may be of the webhook-id, and whoever repeats
 * what he has recorded could send another Idempotency-Key along. */
static struct slice find_key(const struct in_request *request)
{
	const struct in_head *head = &request->head;
	bool id_first = request->is_signed && head->webhook_id.data;
	return head->idempotency_key.data && !id_first ? head->idempotency_key : head->webhook_id;
}

static void read_key(struct in_request *request)
{
	struct slice value = find_key(request);
	uint8_t key[IDEMPOTENCY_KEY_MAX];
	size_t len;
	if (!value.data)
		return;
	const char *wrong = idempotency_key_parse(value, key, &len);
	if (wrong) {
		answer_with(request, MHD_HTTP_BAD_REQUEST, wrong);
		return;
	}
	if (idempotency_scope(request->link->spec.name, request->identity, request->path, slice_of(key, len),
		    request->scope) < 0) {
		answer_busy(request, "out of memory");
		return;
	}
	request->has_key = true;
	request->hash = idempotency_body_hash(request->scope, buffer_slice(&request->body));
	idempotency_request_id(request->scope, request->id);
}

/* Is there an answer for its key? */
static void look_up_key(struct in_request *request)
{
	struct in_link *link = request->link;
	uint64_t hash = 0;
	enum key_state state =
		link->host->ops->key ? link->host->ops->key(link->host, request->scope, &hash) : KEY_UNKNOWN;
	if (state == KEY_NOT_YET) {
		answer_with(request, MHD_HTTP_CONFLICT, "the request with this key is not yet answered");
	} else if (state == KEY_KNOWN && hash != request->hash) {
		answer_with(request, MHD_HTTP_UNPROCESSABLE_CONTENT, "this key has come with another body before");
	} else if (state == KEY_KNOWN) {
		link->counters.repeated++;
		answer_with(request, MHD_HTTP_ACCEPTED, request->id);
	} else if (link->host->ops->key_room && !link->host->ops->key_room(link->host)) {
		answer_busy(request, "no more keys can be kept now");
	}
}

static const char query_name[] = "http-query", identity_name[] = "http-identity";

struct collecting {
	struct header_names *names;
	const char *token_header; /* NULL: none */
	int error;
};

static bool is_called(const char *name, size_t len, const char *wanted)
{
	return wanted && len == strlen(wanted) && strncasecmp(name, wanted, len) == 0;
}

static enum MHD_Result collect_header(
	void *arg, enum MHD_ValueKind kind, const char *name, size_t name_len, const char *value, size_t value_len)
{
	struct collecting *collecting = arg;
	(void)kind;
	while (value_len && (value[value_len - 1] == ' ' || value[value_len - 1] == '\t'))
		value_len--;
	/* These say what linkspan has seen. */
	if (name_len >= 5 && strncasecmp(name, "http-", 5) == 0)
		return MHD_YES;
	/* It opens this door, whatever it is called. */
	if (is_called(name, name_len, collecting->token_header))
		return MHD_YES;
	collecting->error =
		header_names_add(collecting->names, slice_of(name, name_len), slice_of(value ? value : "", value_len));
	return collecting->error < 0 ? MHD_NO : MHD_YES;
}

static int collect_headers(struct in_request *request, struct header_names *names)
{
	struct collecting collecting = {
		.names = names, .token_header = request->link->settings->in.access.token_header};
	names->arena = &request->link->arena;
	names->n = names->bytes = 0;
	MHD_get_connection_values_n(request->connection, MHD_HEADER_KIND, collect_header, &collecting);
	if (collecting.error == 0 && request->query.len && utf8_valid(request->query))
		collecting.error = header_names_add(names, slice_str(query_name), request->query);
	if (collecting.error == 0 && request->identity && *request->identity)
		collecting.error = header_names_add(names, slice_str(identity_name), slice_str(request->identity));
	return collecting.error;
}

static struct message_view view_of(const struct in_request *request, const struct header_names *names)
{
	return (struct message_view){
		.topic = request->path,
		.payload = slice_of(request->body.data ? (const void *)request->body.data : "", request->body.len),
		.content_type = request->head.content_type,
		.headers = names->fields,
		.n_headers = names->n,
		.origin_ms = loop_wall_ms(request->link->spec.loop),
		.qos = 1,
	};
}

/* Of one body several views, in the arena; or an answer. */
static void split_body(struct in_request *request, struct message_view **view, size_t *n)
{
	struct in_link *link = request->link;
	int r = in_split(buffer_slice(&request->body), *view, (size_t)link->settings->in.limits.max_split, &link->arena,
		view, n, &request->answer.text);
	if (r == 0)
		return;
	if (r == -E2BIG)
		answer_with(
			request, MHD_HTTP_CONTENT_TOO_LARGE, "the array has more elements than this listener takes");
	else if (r == -EINVAL)
		answer_with(request, MHD_HTTP_UNPROCESSABLE_CONTENT, request->answer.text);
	else
		answer_busy(request, "out of memory");
}

static void refuse_event(struct in_request *request, int err, const char *wrong)
{
	if (err == -EINVAL)
		answer_with(request, MHD_HTTP_BAD_REQUEST, wrong);
	else
		answer_busy(request, "out of memory");
}

/* Of one request the views of its messages, in the arena; or an answer. one: the request as a whole. */
static void make_views(
	struct in_request *request, struct message_view *one, struct message_view **ret_views, size_t *ret_n)
{
	struct arena *arena = &request->link->arena;
	bool reads = request->link->settings->events.read;
	bool of_batch = reads && in_events_are_batch(one);
	const char *wrong = NULL;
	*ret_views = one;
	*ret_n = 1;
	int err = in_events_headers(one, request->split, arena, &wrong);
	if (err == -EINVAL && !reads)
		err = 0; /* it stays as it came */
	if (!err && (request->split || of_batch))
		split_body(request, ret_views, ret_n);
	if (!err && reads && !request->answer.status)
		err = in_events_read(*ret_views, *ret_n, of_batch, arena, &wrong);
	if (err)
		refuse_event(request, err, wrong);
}

/* What is signed can be repeated for as long as its time is right, which is on both sides of now and in whole seconds. */
static uint64_t key_ttl_ms(const struct in_request *request)
{
	const struct in_settings *in = &request->link->settings->in;
	uint64_t least_ms = request->is_signed ? 2 * in->access.tolerance_ms + 1000 : 0;
	return in->key_ttl_ms > least_ms ? in->key_ttl_ms : least_ms;
}

static enum offer_result offer(struct in_request *request, const struct message_view *view, size_t n)
{
	struct in_link *link = request->link;
	struct offer offer = {
		.view = n ? view : NULL,
		.n_more = n ? n - 1 : 0,
		.subscription = -1,
		.cookie = (uint64_t)(uintptr_t)request,
	};
	if (request->has_key && link->host->ops->key)
		offer.change = (struct state_change){
			.type = CHANGE_KEY,
			.hash = request->hash,
			.position = loop_wall_ms(link->spec.loop) + key_ttl_ms(request),
			.blob = slice_of(request->scope, LINK_KEY_LEN),
		};
	FAILPOINT("http.before_offer");
	enum offer_result result = link->host->ops->offer(link->host, &offer);
	FAILPOINT("http.after_offer");
	return result;
}

static void make_id(struct in_request *request)
{
	static const char digits[] = "0123456789abcdef";
	struct in_link *link = request->link;
	uint8_t hash[SIPHASH_LEN];
	uint64_t number = ++link->n_ids;
	siphash(link->id_key, slice_of(&number, sizeof number), hash);
	for (size_t i = 0; i < SIPHASH_LEN; i++) {
		request->id[2 * i] = digits[hash[i] >> 4];
		request->id[2 * i + 1] = digits[hash[i] & 15];
	}
}

/* OFFER_REFUSED: the answer is set. */
static enum offer_result offer_message(struct in_request *request)
{
	struct header_names names; /* cleared where it is used: it is large */
	struct message_view one, *view;
	size_t n;
	int r = collect_headers(request, &names);
	if (r < 0) {
		if (r == -E2BIG)
			answer_with(
				request, MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE, "the request has too many headers");
		else
			answer_busy(request, "out of memory");
		return OFFER_REFUSED;
	}
	one = view_of(request, &names);
	make_views(request, &one, &view, &n);
	if (request->answer.status)
		return OFFER_REFUSED;
	if (!request->id[0])
		make_id(request);
	enum offer_result result = offer(request, view, n);
	if (result == OFFER_REFUSED)
		answer_with(request, MHD_HTTP_CONTENT_TOO_LARGE, "the message is larger than linkspan takes");
	return result;
}

/* Offers it, or finds another answer. */
static enum offer_result try_offer(struct in_request *request)
{
	if (request->has_key)
		look_up_key(request);
	if (request->answer.status)
		return OFFER_REFUSED;
	if (request->link->paused)
		return OFFER_BUSY;
	enum offer_result result = offer_message(request);
	arena_reset(&request->link->arena);
	if (result == OFFER_TAKEN)
		free_body(request);
	return result;
}

static enum MHD_Result wait_in(struct in_request *request, struct in_list *list, enum in_state state)
{
	request->state = state;
	request->since_ms = loop_now_ms(request->link->spec.loop);
	list_add(list, request);
	in_server_suspend(request->peer);
	return MHD_YES;
}

/* The body is whole. */
static enum MHD_Result finish(struct in_request *request)
{
	struct in_link *link = request->link;
	const struct in_limits *limits = &link->settings->in.limits;
	if (request->check) {
		struct auth_in_result result = auth_in_end(request->check);
		request->check = NULL;
		request->is_signed = true;
		apply_verdict(request, &result);
	}
	if (!request->answer.status && link->closing)
		answer_busy(request, "linkspan is stopping");
	if (request->answer.status)
		return send_answer(request);
	if (request->method == IN_METHOD_READ) {
		in_server_phase(request->peer, IN_ANSWERING);
		return in_values_send(request);
	}
	if (n_waiting(link) >= (size_t)limits->max_waiting)
		answer_busy(request, "too many requests are waiting");
	else
		read_key(request);
	switch (request->answer.status ? OFFER_REFUSED : try_offer(request)) {
	case OFFER_TAKEN:
		return wait_in(request, &link->offered, IN_OFFERED);
	case OFFER_BUSY:
		if (limits->busy_timeout_ms)
			return wait_in(request, &link->held, IN_WAITS_FOR_ROOM);
		answer_busy(request, "there is no room for more messages");
		break;
	case OFFER_REFUSED:
		break;
	}
	return send_answer(request);
}

enum MHD_Result in_request_handle(void *arg, struct MHD_Connection *connection, const char *url, const char *method,
	const char *version, const char *body, size_t *body_len, void **ref)
{
	struct in_request *request = *ref;
	size_t len = *body_len;
	(void)arg, (void)connection, (void)url;
	*body_len = 0;
	switch (request->state) {
	case IN_BEGUN:
		return begin(request, method, version);
	case IN_CHECKING:
		return request->check ? MHD_YES : admit(request);
	case IN_TAKING:
		return len ? take(request, body, len) : finish(request);
	case IN_DRAIN:
		return len ? drop(request, len) : send_answer(request);
	case IN_READY:
		return send_answer(request);
	case IN_WAITS_FOR_ROOM:
	case IN_OFFERED:
	case IN_ANSWERED:
		break;
	}
	return MHD_YES;
}

/* --- those that wait ---------------------------------------------------------------------------------------------------- */

void in_request_offer_held(void *arg)
{
	struct in_link *link = arg;
	struct in_request *request;
	for (unsigned n = 0; !link->paused && (request = link->held.first) != NULL; n++) {
		if (n == MOST_OFFERS) {
			loop_post(link->spec.loop, &link->offer_job);
			return;
		}
		enum offer_result result = try_offer(request);
		if (result == OFFER_BUSY)
			return;
		if (result == OFFER_REFUSED) {
			in_request_answer(request, request->answer);
			continue;
		}
		list_remove(&link->held, request);
		request->state = IN_OFFERED;
		list_add(&link->offered, request);
	}
}

void in_request_give_up(struct in_link *link, bool all)
{
	static const struct in_answer full = {.status = MHD_HTTP_SERVICE_UNAVAILABLE,
		.text = "there is no room for more messages",
		.retry_after_s = RETRY_AFTER_S};
	static const struct in_answer stopping = {
		.status = MHD_HTTP_SERVICE_UNAVAILABLE, .text = "linkspan is stopping", .retry_after_s = RETRY_AFTER_S};
	uint64_t now_ms = loop_now_ms(link->spec.loop), ms = link->settings->in.limits.busy_timeout_ms;
	while (link->held.first && (all || now_ms - link->held.first->since_ms >= ms))
		in_request_answer(link->held.first, all ? stopping : full);
}
