/* SPDX-License-Identifier: Apache-2.0
 *
 * Last values: what a mapping has written to a path of this listener, for GET and HEAD (RFC 9110 §8.8, §13.1).
 */
#include <stdio.h>
#include <string.h>

#include "connectors/http/in_link.h"
#include "message/siphash.h"

#define ETAG_SIZE 40

struct message *in_values_find(struct in_link *link, struct slice path)
{
	if (!link->spec.is_sink || !link->host->ops->last_value)
		return NULL;
	struct message *msg = link->host->ops->last_value(link->host, path);
	if (!msg)
		return NULL;
	uint64_t expires_ms = message_view(msg)->expires_ms;
	return expires_ms && expires_ms <= loop_wall_ms(link->spec.loop) ? NULL : msg;
}

/* Of what the answer is made of; the same in every process. */
static void write_etag(const struct message_view *view, char out[ETAG_SIZE])
{
	static const uint8_t key[SIPHASH_KEY_LEN] = "linkspan, ETag";
	uint8_t of_type[SIPHASH_LEN], of_payload[SIPHASH_LEN];
	siphash(key, view->content_type, of_type);
	siphash(key, view->payload, of_payload);
	size_t len = 1;
	out[0] = '"';
	for (size_t i = 0; i < SIPHASH_LEN; i++)
		len += (size_t)snprintf(
			out + len, ETAG_SIZE - len, "%02x", of_type[i] ^ of_payload[SIPHASH_LEN - 1 - i]);
	out[len++] = '"';
	out[len] = '\0';
}

/* Does If-None-Match name it (weak comparison)? */
static bool names_etag(struct slice list, const char *etag)
{
	if (list.len == 1 && list.data[0] == '*')
		return true;
	size_t len = strlen(etag);
	for (size_t i = 0; i + len <= list.len; i++)
		if (memcmp(list.data + i, etag, len) == 0)
			return true;
	return false;
}

enum MHD_Result in_values_send(struct in_request *request)
{
	char etag[ETAG_SIZE];
	struct message *msg = in_values_find(request->link, request->path);
	bool close = request->head.chunked; /* as after any such body (in_request.c, send_answer) */
	if (!msg) {
		struct in_answer none = {
			.status = MHD_HTTP_NOT_FOUND, .text = "there is no value of this path", .close = close};
		return in_answer_send(request->connection, &none);
	}
	write_etag(message_view(msg), etag);
	request->link->counters.values++;
	return in_answer_send_value(request->connection, msg, etag, names_etag(request->head.none_match, etag), close);
}
