/* SPDX-License-Identifier: Apache-2.0
 *
 * /.well-known/core (RFC 6690): the values that can be read and observed, and the paths without wildcards that are written to,
 * as far as the peer may use them. Sorted, and the same list for a while, so that its blocks belong together.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/coap/content_format.h"
#include "connectors/coap/in_link.h"
#include "connectors/coap/link_format.h"
#include "message/siphash.h"

#define CORE_PATH    "/.well-known/core"
#define SAME_FOR_MS  10000u
#define WORTH_A_PING 256u /* bytes */
#define MAX_LINKS    20000u
#define LARGEST_SZX  6u
#define OPTION_BYTES 32u
#define ETAG_LEN     8u

static const uint8_t hash_key[SIPHASH_KEY_LEN] = "linkspan, core";

struct gathering {
	struct coap_in_peer *peer;
	const struct coap_in_head *head;
	struct link_format_link *links;
	size_t n, capacity;
};

bool coap_in_core_is(struct slice path)
{
	return slice_equal(path, slice_str(CORE_PATH));
}

static uint64_t hash_of(struct slice bytes)
{
	uint8_t hash[SIPHASH_LEN];
	uint64_t result;
	siphash(hash_key, bytes, hash);
	memcpy(&result, hash, sizeof result);
	return result;
}

/* --- gathering --------------------------------------------------------------------------------------------------------- */

static void gather(struct gathering *gathering, const struct link_format_link *link, bool reads)
{
	const struct coap_in_head *head = gathering->head;
	const char *name;
	for (size_t i = 0; i < head->n_queries; i++)
		if (!link_format_matches(link, head->queries[i]))
			return;
	if (gathering->n == MAX_LINKS || coap_in_peer_check(gathering->peer, link->path, reads, &name) != 0)
		return;
	if (gathering->n == gathering->capacity) {
		size_t capacity = gathering->capacity ? gathering->capacity * 2 : 64;
		struct link_format_link *links = realloc(gathering->links, capacity * sizeof *links);
		if (!links)
			return; /* a shorter list */
		gathering->links = links;
		gathering->capacity = capacity;
	}
	gathering->links[gathering->n++] = *link;
}

static void gather_value(struct message *msg, void *arg)
{
	struct gathering *gathering = arg;
	const struct message_view *view = message_view(msg);
	uint64_t now_ms = loop_wall_ms(gathering->peer->link->spec.loop);
	struct link_format_link link = {
		.path = view->topic,
		.rt = message_param(view, "rt"),
		.title = message_param(view, "title"),
		.content_format = content_format_find(view->content_type),
		.observable = true,
	};
	if (view->payload.data && (!view->expires_ms || view->expires_ms > now_ms))
		gather(gathering, &link, true);
}

static void gather_filters(struct gathering *gathering)
{
	const struct coap_in_link *link = gathering->peer->link;
	for (size_t i = 0; i < link->spec.n_subscriptions; i++) {
		const char *filter = link->spec.subscriptions[i].filter;
		struct link_format_link found = {.path = slice_str(filter), .content_format = CONTENT_FORMAT_NONE};
		if (!strpbrk(filter, "+#"))
			gather(gathering, &found, false);
	}
}

/* By path; of two with the same one the value is first. */
static int compare(const void *a, const void *b)
{
	const struct link_format_link *x = a, *y = b;
	size_t len = x->path.len < y->path.len ? x->path.len : y->path.len;
	int order = memcmp(x->path.data, y->path.data, len);
	if (order == 0 && x->path.len != y->path.len)
		order = x->path.len < y->path.len ? -1 : 1;
	return order ? order : (int)y->observable - (int)x->observable;
}

static void write_links(struct coap_in_link *link, const struct gathering *gathering)
{
	for (size_t i = 0; i < gathering->n; i++) {
		struct link_format_link one = gathering->links[i];
		if (i && slice_equal(one.path, gathering->links[i - 1].path))
			continue;
		int r = link_format_append(&link->core.text, &one);
		if (r == -EINVAL) { /* what a message made of rt or title cannot stand there */
			one.rt = one.title = (struct slice){NULL, 0};
			r = link_format_append(&link->core.text, &one);
		}
		if (r < 0)
			return;
	}
}

static uint64_t key_of(const struct coap_in_peer *peer, const struct coap_in_head *head)
{
	uint64_t key = peer->names.n;
	for (size_t i = 0; i < peer->names.n; i++)
		key = (key << 9 | key >> 55) ^ hash_of(slice_str(peer->names.names[i]));
	for (size_t i = 0; i < head->n_queries; i++)
		key = (key << 9 | key >> 55) ^ hash_of(head->queries[i]);
	return key;
}

static struct slice make_list(struct coap_in_peer *peer, const struct coap_in_head *head)
{
	struct coap_in_link *link = peer->link;
	struct gathering gathering = {.peer = peer, .head = head};
	const char *name;
	(void)coap_in_peer_check(peer, head->topic, true, &name); /* who it is */
	uint64_t key = key_of(peer, head), now_ms = loop_now_ms(link->spec.loop);
	/* Blocks of one list belong together, whatever has come since; and a new list is as old as its values. */
	bool is_same = link->core.is_made && link->core.key == key && now_ms - link->core.made_ms < SAME_FOR_MS;
	if (is_same && (head->block2.num || !link->core.is_stale))
		return buffer_slice(&link->core.text);
	buffer_clear(&link->core.text);
	if (link->spec.is_sink && link->host->ops->last_values)
		link->host->ops->last_values(link->host, gather_value, &gathering);
	gather_filters(&gathering);
	if (gathering.n)
		qsort(gathering.links, gathering.n, sizeof *gathering.links, compare);
	write_links(link, &gathering);
	free(gathering.links);
	link->core.is_made = true;
	link->core.is_stale = false;
	link->core.key = key;
	link->core.made_ms = now_ms;
	return buffer_slice(&link->core.text);
}

/* --- the answer -------------------------------------------------------------------------------------------------------- */

static int fill(coap_pdu_t *pdu, const struct coap_in_block *block, struct slice list, struct slice piece)
{
	uint64_t hash = hash_of(list);
	bool in_blocks = block->is_set || piece.len < list.len;
	size_t end = (size_t)(piece.data - list.data) + piece.len;
	uint32_t more = end < list.len ? 8 : 0;
	int r = coap_add_option(pdu, COAP_OPTION_ETAG, ETAG_LEN, (const uint8_t *)&hash) ? 0 : -ENOMEM;
	if (r == 0)
		r = coap_in_answer_number(pdu, COAP_OPTION_CONTENT_FORMAT, CONTENT_FORMAT_LINKS);
	if (r == 0 && in_blocks)
		r = coap_in_answer_number(pdu, COAP_OPTION_BLOCK2, block->num << 4 | more | block->szx);
	if (r == 0 && in_blocks && block->num == 0)
		r = coap_in_answer_number(pdu, COAP_OPTION_SIZE2, list.len);
	if (r == 0 && piece.len && !coap_add_data(pdu, piece.len, piece.data))
		r = -ENOMEM;
	return r;
}

static size_t least_bytes(const struct coap_in_list_cache *core)
{
	return core->text.len < WORTH_A_PING ? 0 : WORTH_A_PING;
}

static void refuse(struct coap_in_exchange *exchange, uint8_t code)
{
	if (!exchange->to_group)
		coap_in_answer_send(exchange, (struct coap_in_answer){.code = code});
}

void coap_in_core_get(struct coap_in_exchange *exchange, const struct coap_in_head *head, coap_pdu_t *response)
{
	struct coap_in_peer *peer = exchange->peer;
	struct coap_in_block block = head->block2;
	/* Not even looked for, as long as the last one would be too much for an address that nobody has validated. */
	if (peer->link->core.is_made && !coap_in_answer_may_take(exchange, least_bytes(&peer->link->core))) {
		coap_in_request_await_peer(exchange, head);
		return;
	}
	struct slice list = make_list(peer, head);
	if (!block.is_set || block.szx > LARGEST_SZX)
		block.szx = LARGEST_SZX;
	size_t size = (size_t)16 << block.szx, offset = (size_t)block.num << (block.szx + 4);
	if (head->accept != CONTENT_FORMAT_NONE && head->accept != CONTENT_FORMAT_LINKS) {
		refuse(exchange, COAP_RESPONSE_CODE_NOT_ACCEPTABLE);
		return;
	}
	if (offset && offset >= list.len) {
		refuse(exchange, COAP_RESPONSE_CODE_BAD_REQUEST);
		return;
	}
	struct slice piece = slice_of(
		list.data ? list.data + offset : list.data, list.len - offset < size ? list.len - offset : size);
	if (exchange->to_group && piece.len == 0)
		return; /* RFC 7252 §8.2: to a group nobody says that he has nothing */
	if (!coap_in_answer_may_take(exchange, OPTION_BYTES + piece.len)) {
		coap_in_request_await_peer(exchange, head);
		return;
	}
	if (response) {
		coap_pdu_set_code(response, COAP_RESPONSE_CODE_CONTENT);
		if (fill(response, &block, list, piece) < 0)
			coap_pdu_set_code(response, COAP_EMPTY_CODE);
		else if (!peer->validated)
			peer->sent += coap_in_answer_size(response);
		return;
	}
	coap_pdu_t *pdu = coap_in_answer_begin(exchange, COAP_RESPONSE_CODE_CONTENT, OPTION_BYTES + piece.len);
	if (pdu && fill(pdu, &block, list, piece) == 0)
		coap_in_answer_finish(exchange, pdu);
	else
		coap_delete_pdu(pdu);
}
