/* SPDX-License-Identifier: Apache-2.0
 *
 * Last values: what a mapping has written to a path of this listener, for GET (RFC 7252 §5.8.1), in blocks where it is large
 * (RFC 7959 §2.4). Nothing is kept between blocks: each is cut from the value as it is then, and the ETag tells a client
 * that it has become another one.
 */
#include <errno.h>
#include <string.h>

#include "connectors/coap/content_format.h"
#include "connectors/coap/in_link.h"
#include "message/utf8.h"
#include "message/siphash.h"

#define ETAG_LEN          8u
#define DEFAULT_MAX_AGE   60u /* RFC 7252 §5.10.5 */
#define LARGEST_SZX       6u
#define MAX_MESSAGE_BYTES (64u * 1024) /* over TCP */
#define OPTION_BYTES      48u
#define MAX_TEXT          (64u * 1024) /* whether it is text is looked at each time */

struct message *coap_in_values_find(struct coap_in_link *link, struct slice path)
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
static void make_etag(const struct message_view *view, uint8_t out[ETAG_LEN])
{
	static const uint8_t key[SIPHASH_KEY_LEN] = "linkspan, ETag";
	uint8_t of_type[SIPHASH_LEN], of_payload[SIPHASH_LEN];
	siphash(key, view->content_type, of_type);
	siphash(key, view->payload, of_payload);
	for (size_t i = 0; i < ETAG_LEN; i++)
		out[i] = of_type[i] ^ of_payload[SIPHASH_LEN - 1 - i];
}

/* Of the value that was asked for last it is known: blocks and observers ask for the same one. */
static void write_etag(struct coap_in_link *link, struct message *msg, uint8_t out[ETAG_LEN])
{
	struct coap_in_etag *known = &link->etag;
	if (known->msg != msg) {
		message_unref(known->msg);
		known->msg = message_ref(msg);
		make_etag(message_view(msg), known->etag);
	}
	memcpy(out, known->etag, ETAG_LEN);
}

static bool names_etag(const struct slice *list, size_t n, const uint8_t *etag)
{
	for (size_t i = 0; i < n; i++)
		if (slice_equal(list[i], slice_of(etag, ETAG_LEN)))
			return true;
	return false;
}

bool coap_in_values_condition(struct coap_in_link *link, const struct coap_in_head *head)
{
	uint8_t etag[ETAG_LEN];
	if (!head->n_if_match && !head->if_none_match)
		return true;
	struct message *msg = coap_in_values_find(link, head->topic);
	if (head->if_none_match && msg)
		return false;
	if (!head->n_if_match)
		return true;
	if (!msg)
		return false;
	write_etag(link, msg, etag);
	for (size_t i = 0; i < head->n_if_match; i++)
		if (head->if_match[i].len == 0) /* any value at all, RFC 7252 §5.10.8.1 */
			return true;
	return names_etag(head->if_match, head->n_if_match, etag);
}

static uint32_t max_age_s(const struct coap_in_link *link, const struct message_view *view)
{
	uint64_t ms = link->settings->in.max_age_ms, now_ms = loop_wall_ms(link->spec.loop);
	if (view->expires_ms)
		ms = view->expires_ms > now_ms ? view->expires_ms - now_ms : 0;
	return ms / 1000 > UINT32_MAX ? UINT32_MAX : (uint32_t)(ms / 1000);
}

/* Which part of it, and whether as a block at all. False: there is no such block. */
static bool cut(
	const struct coap_in_peer *peer, struct slice payload, struct coap_in_part *part, struct slice *ret_piece)
{
	uint8_t szx = part->wants_block && part->block_szx < LARGEST_SZX ? part->block_szx : LARGEST_SZX;
	size_t size = (size_t)16 << szx, most = size;
	size_t offset = part->wants_block ? (size_t)part->block_num << (szx + 4) : 0;
	if (!part->wants_block && COAP_PROTO_RELIABLE(peer->proto)) {
		most = coap_session_max_pdu_size(peer->session); /* as it says, up to 8 MiB */
		most = most > MAX_MESSAGE_BYTES ? MAX_MESSAGE_BYTES : most;
		most = most > OPTION_BYTES + size ? most - OPTION_BYTES : size;
	}
	if (offset && offset >= payload.len)
		return false;
	if (!part->wants_block && payload.len <= most) {
		*ret_piece = payload;
		return true;
	}
	part->wants_block = true;
	part->block_szx = szx;
	*ret_piece = slice_of(payload.data + offset, payload.len - offset < size ? payload.len - offset : size);
	return true;
}

static int add_block(coap_pdu_t *pdu, const struct coap_in_part *part, struct slice payload)
{
	size_t end = ((size_t)part->block_num + 1) << (part->block_szx + 4);
	uint32_t more = end < payload.len ? 8 : 0;
	int r = coap_in_answer_number(pdu, COAP_OPTION_BLOCK2, part->block_num << 4 | more | part->block_szx);
	if (r == 0 && part->block_num == 0)
		r = coap_in_answer_number(pdu, COAP_OPTION_SIZE2, payload.len);
	return r;
}

/* What a value is given as to who accepts that: a value without a content type (whoever speaks MQTT 3.1.1 cannot say one) is bytes
 * to everybody, and text to who asks for text, if it is. */
static int format_as(const struct message_view *view, int accept)
{
	int format = content_format_find(view->content_type);
	bool is_text = accept == CONTENT_FORMAT_TEXT && view->payload.len <= MAX_TEXT && utf8_valid(view->payload);
	return format == CONTENT_FORMAT_NONE && (accept == CONTENT_FORMAT_OCTETS || is_text) ? accept : format;
}

/* Options in the order of their numbers. */
static int fill(coap_pdu_t *pdu, const struct coap_in_link *link, const struct message_view *view, const uint8_t *etag,
	const struct coap_in_part *part, struct slice piece)
{
	int format = format_as(view, part->accept);
	bool valid = coap_pdu_get_code(pdu) == COAP_RESPONSE_CODE_VALID;
	uint32_t age = max_age_s(link, view);
	int r = coap_add_option(pdu, COAP_OPTION_ETAG, ETAG_LEN, etag) ? 0 : -ENOMEM;
	if (r == 0 && part->observe)
		r = coap_in_answer_number(pdu, COAP_OPTION_OBSERVE, part->sequence);
	if (r == 0 && !valid && format != CONTENT_FORMAT_NONE)
		r = coap_in_answer_number(pdu, COAP_OPTION_CONTENT_FORMAT, (uint64_t)format);
	if (r == 0 && age != DEFAULT_MAX_AGE)
		r = coap_in_answer_number(pdu, COAP_OPTION_MAXAGE, age);
	if (r == 0 && !valid && part->wants_block)
		r = add_block(pdu, part, view->payload);
	if (r == 0 && !valid && piece.len && !coap_add_data(pdu, piece.len, piece.data))
		r = -ENOMEM;
	return r;
}

static bool is_acceptable(const struct message_view *view, int accept)
{
	return accept == CONTENT_FORMAT_NONE || accept == format_as(view, accept);
}

coap_pdu_t *coap_in_values_answer(struct coap_in_peer *peer, struct message *msg, const struct coap_in_part *wanted)
{
	const struct message_view *view = message_view(msg);
	struct coap_in_part part = *wanted;
	struct coap_in_exchange exchange = {.peer = peer, .token_len = (uint8_t)part.token.len};
	struct slice piece;
	uint8_t etag[ETAG_LEN], code = COAP_RESPONSE_CODE_CONTENT;
	memcpy(exchange.token, part.token.len ? part.token.data : (const uint8_t *)"", part.token.len);
	if (!is_acceptable(view, part.accept))
		return coap_in_answer_begin(&exchange, COAP_RESPONSE_CODE_NOT_ACCEPTABLE, 0);
	write_etag(peer->link, msg, etag);
	if (part.head && names_etag(part.head->etags, part.head->n_etags, etag))
		code = COAP_RESPONSE_CODE_VALID;
	if (!cut(peer, view->payload, &part, &piece))
		return coap_in_answer_begin(&exchange, COAP_RESPONSE_CODE_BAD_REQUEST, 0);
	coap_pdu_t *pdu = coap_in_answer_begin(&exchange, code, OPTION_BYTES + piece.len);
	if (pdu && fill(pdu, peer->link, view, etag, &part, piece) == 0)
		return pdu;
	coap_delete_pdu(pdu);
	return NULL;
}

static void send_value(struct coap_in_exchange *exchange, const struct coap_in_head *head, struct message *msg)
{
	struct coap_in_peer *peer = exchange->peer;
	struct coap_in_part part = {
		.token = head->token,
		.accept = head->accept,
		.wants_block = head->block2.is_set,
		.block_num = head->block2.num,
		.block_szx = head->block2.szx,
		.head = head,
	};
	bool registers = head->observe == 0 && part.block_num == 0 && is_acceptable(message_view(msg), part.accept);
	if (head->observe == 1)
		coap_in_observe_remove(peer, head->token);
	else if (registers)
		part.observe = coap_in_observe_add(
			exchange, head, content_format_find(message_view(msg)->content_type), &part.sequence);
	coap_pdu_t *pdu = coap_in_values_answer(peer, msg, &part);
	if (!pdu)
		return; /* no memory: it will ask again */
	if (!peer->validated && !coap_in_answer_may_take(exchange, coap_in_answer_size(pdu))) {
		coap_delete_pdu(pdu);
		coap_in_request_await_peer(exchange, head);
		return;
	}
	peer->link->counters.values++;
	coap_in_answer_finish(exchange, pdu);
}

void coap_in_values_get(struct coap_in_exchange *exchange, const struct coap_in_head *head)
{
	struct coap_in_peer *peer = exchange->peer;
	struct message *msg = coap_in_values_find(peer->link, head->topic);
	if (!msg) {
		const uint32_t *filters;
		bool is_read = topic_index_match(peer->link->filters, head->topic, &filters) > 0;
		if (head->observe == 1)
			coap_in_observe_remove(peer, head->token);
		coap_in_answer_send(exchange, (struct coap_in_answer){.code = is_read && !peer->link->spec.is_sink
										      ? COAP_RESPONSE_CODE_NOT_ALLOWED
										      : COAP_RESPONSE_CODE_NOT_FOUND,
						      .text = "there is no value of this path"});
	} else if (head->observe == 0 && !peer->validated) {
		coap_in_request_await_peer(exchange, head);
	} else {
		send_value(exchange, head, msg);
	}
}
