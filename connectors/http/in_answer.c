/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers as libmicrohttpd wants them.
 */
#include "connectors/http/in_answer.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define JSON_SIZE 512

/* Sentences are ours, but may quote. */
static size_t write_json(char out[JSON_SIZE], const char *name, const char *text)
{
	int head = snprintf(out, JSON_SIZE, "{\"%s\":\"", name);
	size_t len = head > 0 ? (size_t)head : 0;
	for (; *text && len < JSON_SIZE - 8; text++) {
		if (*text == '"' || *text == '\\')
			out[len++] = '\\';
		out[len++] = (unsigned char)*text < 0x20 ? ' ' : *text;
	}
	memcpy(out + len, "\"}\n", 3);
	return len + 3;
}

static const char *allowed_methods(unsigned allow)
{
	switch (allow) {
	case IN_ALLOW_READ | IN_ALLOW_WRITE:
		return "GET, HEAD, POST, PUT, OPTIONS";
	case IN_ALLOW_READ:
		return "GET, HEAD, OPTIONS";
	case IN_ALLOW_WRITE:
		return "POST, PUT, OPTIONS";
	default:
		return "OPTIONS";
	}
}

static void add_number(struct MHD_Response *response, const char *name, unsigned value)
{
	char text[16];
	snprintf(text, sizeof text, "%u", value);
	MHD_add_response_header(response, name, text);
}

static void add_headers(struct MHD_Response *response, const struct in_answer *answer)
{
	if (answer->challenge)
		MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, answer->challenge);
	if (answer->retry_after_s)
		add_number(response, MHD_HTTP_HEADER_RETRY_AFTER, answer->retry_after_s);
	if (answer->status == MHD_HTTP_METHOD_NOT_ALLOWED || answer->status == MHD_HTTP_NO_CONTENT)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, allowed_methods(answer->allow));
	if (answer->close)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
}

enum MHD_Result in_answer_send(struct MHD_Connection *connection, const struct in_answer *answer)
{
	char json[JSON_SIZE];
	bool empty = answer->status == MHD_HTTP_NO_CONTENT;
	size_t len = empty ? 0
			   : write_json(json, answer->status == MHD_HTTP_ACCEPTED ? "id" : "error",
				     answer->text ? answer->text : "");
	struct MHD_Response *response = MHD_create_response_from_buffer(len, json, MHD_RESPMEM_MUST_COPY);
	if (!response)
		return MHD_NO;
	if (!empty)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
	add_headers(response, answer);
	enum MHD_Result r = MHD_queue_response(connection, answer->status, response);
	MHD_destroy_response(response);
	return r;
}

size_t in_answer_write(const struct in_answer *answer, char *out, size_t size)
{
	char json[JSON_SIZE], retry[48] = "", challenge[256] = "";
	const char *reason = MHD_get_reason_phrase_for(answer->status);
	size_t json_len = write_json(
		json, answer->status == MHD_HTTP_ACCEPTED ? "id" : "error", answer->text ? answer->text : "");
	if (answer->retry_after_s)
		snprintf(retry, sizeof retry, "Retry-After: %u\r\n", answer->retry_after_s);
	if (answer->challenge)
		snprintf(challenge, sizeof challenge, "WWW-Authenticate: %s\r\n", answer->challenge);
	int n = snprintf(out, size,
		"HTTP/1.1 %u %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n%s%sConnection: "
		"close\r\n\r\n",
		answer->status, reason ? reason : "", json_len, retry, challenge);
	if (n < 0 || (size_t)n + json_len > size)
		return 0;
	memcpy(out + n, json, json_len);
	return (size_t)n + json_len;
}

/* RFC 9110 §5.6.7, whatever the locale. */
static void write_date(uint64_t ms, char *out, size_t size)
{
	static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char months[12][4] = {
		"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;
	if (gmtime_r(&seconds, &tm))
		snprintf(out, size, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[tm.tm_wday], tm.tm_mday,
			months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
	else
		out[0] = '\0';
}

/* A header value may hold no control characters, and Content-Type of ours is short. */
static void add_content_type(struct MHD_Response *response, struct slice type)
{
	char text[256];
	if (!type.data || type.len == 0 || type.len >= sizeof text)
		type = slice_str("application/octet-stream");
	memcpy(text, type.data, type.len);
	text[type.len] = '\0';
	for (size_t i = 0; i < type.len; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			text[i] = ' ';
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, text);
}

static void release_value(void *arg)
{
	message_unref(arg);
}

enum MHD_Result in_answer_send_value(
	struct MHD_Connection *connection, struct message *msg, const char *etag, bool not_modified, bool close)
{
	char date[64];
	const struct message_view *view = message_view(msg);
	struct MHD_Response *response = NULL;
	if (not_modified)
		response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
	else if ((response = MHD_create_response_from_buffer_with_free_callback_cls(view->payload.len,
			  (void *)(uintptr_t)view->payload.data, release_value, message_ref(msg))) == NULL)
		message_unref(msg);
	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_ETAG, etag);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
	write_date(view->origin_ms, date, sizeof date);
	if (date[0])
		MHD_add_response_header(response, MHD_HTTP_HEADER_LAST_MODIFIED, date);
	if (close)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	if (!not_modified)
		add_content_type(response, view->content_type);
	enum MHD_Result r =
		MHD_queue_response(connection, not_modified ? MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK, response);
	MHD_destroy_response(response);
	return r;
}
