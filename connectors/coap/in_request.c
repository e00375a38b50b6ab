/* SPDX-License-Identifier: Apache-2.0
 *
 * A request on its way: whether it has come before, what may be done with it, its body, and the offer that it becomes. It is
 * in this order that a repetition gets the answer of the first one, whatever has changed since.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/coap/content_format.h"
#include "connectors/coap/in_link.h"
#include "connectors/coap/path.h"
#include "connectors/coap/shares.h"
#include "message/siphash.h"
#include "runtime/failpoint.h"

#define ACK_AFTER_MS          1000u
#define MAX_WAITING_FOR_PEERS 256u
#define KEYS_FULL_MAX_AGE_S   30u
#define FAILED_MAX_AGE_S      10u
#define HEADER_BYTES          4u

static const uint8_t hash_key[SIPHASH_KEY_LEN] = "linkspan, CoAP";
static const char query_name[] = "coap-query", identity_name[] = "coap-identity";

/* --- lists ------------------------------------------------------------------------------------------------------------- */

static struct coap_in_list *list_of(struct coap_in_request *request)
{
	struct coap_in_peer *peer = request->exchange.peer;
	switch (request->state) {
	case COAP_IN_WAITS_FOR_PEER:
		return &peer->waiting;
	case COAP_IN_WAITS_FOR_ROOM:
		return &peer->link->held;
	case COAP_IN_OFFERED:
		break;
	}
	return &peer->link->offered;
}

static void list_add(struct coap_in_request *request)
{
	struct coap_in_list *list = list_of(request);
	request->next = NULL;
	request->prev = list->last;
	if (list->last)
		list->last->next = request;
	else
		list->first = request;
	list->last = request;
	list->n++;
}

static void list_remove(struct coap_in_request *request)
{
	struct coap_in_list *list = list_of(request);
	if (request->prev)
		request->prev->next = request->next;
	else
		list->first = request->next;
	if (request->next)
		request->next->prev = request->prev;
	else
		list->last = request->prev;
	list->n--;
}

static void unacked_add(struct coap_in_request *request)
{
	struct coap_in_exchange *exchange = &request->exchange;
	struct coap_in_link *link = exchange->peer->link;
	if (exchange->acked || exchange->type != COAP_MESSAGE_CON || COAP_PROTO_RELIABLE(exchange->peer->proto))
		return;
	request->is_unacked = true;
	request->next_unacked = NULL;
	request->prev_unacked = link->last_unacked;
	if (link->last_unacked)
		link->last_unacked->next_unacked = request;
	else
		link->first_unacked = request;
	link->last_unacked = request;
	if (!loop_timer_running(link->ack_timer))
		loop_timer_start(link->ack_timer, ACK_AFTER_MS);
}

static void unacked_remove(struct coap_in_request *request)
{
	struct coap_in_link *link = request->exchange.peer->link;
	if (!request->is_unacked)
		return;
	request->is_unacked = false;
	if (request->prev_unacked)
		request->prev_unacked->next_unacked = request->next_unacked;
	else
		link->first_unacked = request->next_unacked;
	if (request->next_unacked)
		request->next_unacked->prev_unacked = request->prev_unacked;
	else
		link->last_unacked = request->prev_unacked;
}

void coap_in_request_acknowledge(struct coap_in_link *link)
{
	uint64_t now_ms = loop_now_ms(link->spec.loop);
	for (struct coap_in_request *request; (request = link->first_unacked) != NULL;) {
		uint64_t age_ms = now_ms - request->since_ms;
		if (age_ms < ACK_AFTER_MS) {
			loop_timer_start(link->ack_timer, ACK_AFTER_MS - age_ms);
			return;
		}
		unacked_remove(request);
		coap_in_answer_acknowledge(&request->exchange);
		if (!request->exchange.peer
				->validated) /* so that its answer may be sent again and again; if there is room for both */
			(void)coap_in_peer_ping(request->exchange.peer);
	}
}

/* --- from bytes to requests and back ----------------------------------------------------------------------------------- */

static struct coap_in_request *request_new(
	const struct coap_in_exchange *exchange, const struct coap_in_head *head, bool with_bytes)
{
	size_t raw_len = with_bytes ? HEADER_BYTES + head->bytes.len : 0;
	struct coap_in_request *request = malloc(sizeof *request + raw_len);
	if (!request)
		return NULL;
	memset(request, 0, sizeof *request);
	request->exchange = *exchange;
	request->since_ms = loop_now_ms(exchange->peer->link->spec.loop);
	request->raw_len = raw_len;
	if (with_bytes) {
		request->raw[0] = (uint8_t)(0x40u | (unsigned)exchange->type << 4 | exchange->token_len);
		request->raw[1] = head->code;
		request->raw[2] = (uint8_t)(exchange->mid >> 8);
		request->raw[3] = (uint8_t)exchange->mid;
		memcpy(request->raw + HEADER_BYTES, head->bytes.data, head->bytes.len);
	}
	return request;
}

/* From now on something will come of it, later. */
static void hold(struct coap_in_request *request, enum coap_in_state state)
{
	struct coap_in_link *link = request->exchange.peer->link;
	coap_session_reference(request->exchange.peer->session);
	request->state = state;
	list_add(request);
	coap_in_repeat_add(request);
	/* What was not acknowledged comes again, and asks again; and who wants no success takes that for one (RFC 7967). */
	if (state != COAP_IN_WAITS_FOR_PEER && !(request->exchange.no_response & 2))
		unacked_add(request);
	link->waiting_bytes += request->raw_len + request->body.capacity;
	if (state == COAP_IN_WAITS_FOR_PEER)
		link->n_waiting_for_peers++;
}

static void free_body(struct coap_in_request *request)
{
	if (request->has_body)
		buffer_free(&request->body);
	request->has_body = false;
}

static void let_go(struct coap_in_request *request)
{
	struct coap_in_link *link = request->exchange.peer->link;
	coap_session_t *session = request->exchange.peer->session;
	link->waiting_bytes -= request->raw_len + request->body.capacity;
	if (request->state == COAP_IN_WAITS_FOR_PEER)
		link->n_waiting_for_peers--;
	list_remove(request);
	coap_in_repeat_remove(request);
	unacked_remove(request);
	free_body(request);
	free(request);
	coap_session_release(session);
}

/* Parses what was kept. The PDU is to be deleted, and holds what the head points at. NULL: no memory. */
static coap_pdu_t *parse_again(struct coap_in_request *request, struct coap_in_head *head)
{
	const char *wrong;
	struct coap_in_link *link = request->exchange.peer->link;
	coap_pdu_t *pdu = coap_pdu_init(COAP_MESSAGE_CON, COAP_EMPTY_CODE, 0, request->raw_len);
	if (pdu && coap_pdu_parse(COAP_PROTO_UDP, request->raw, request->raw_len, pdu) &&
		coap_in_head_read(
			pdu, COAP_PROTO_RELIABLE(request->exchange.peer->proto), &link->topic, head, &wrong) == 0)
		return pdu;
	coap_delete_pdu(pdu);
	return NULL;
}

/* --- the offer --------------------------------------------------------------------------------------------------------- */

static int add_query(struct coap_in_link *link, const struct coap_in_head *head, struct message_field *field)
{
	buffer_clear(&link->query);
	for (size_t i = 0; i < head->n_queries; i++)
		if (coap_target_add_query(&link->query, head->queries[i]) < 0)
			return -ENOMEM;
	struct slice text = buffer_slice(&link->query);
	*field = (struct message_field){slice_str(query_name), slice_of(text.data + 1, text.len - 1)};
	return 0;
}

/* Is its message id a key of the journal? Else it is known in memory, or cannot come again. */
static bool needs_key(const struct coap_in_request *request)
{
	return !request->is_entered && !COAP_PROTO_RELIABLE(request->exchange.peer->proto);
}

static enum offer_result offer(
	struct coap_in_request *request, const struct coap_in_head *head, const struct message_view *view)
{
	struct coap_in_link *link = request->exchange.peer->link;
	bool is_con = request->exchange.type == COAP_MESSAGE_CON;
	struct offer offer = {
		.view = view,
		.subscription = -1,
		.cookie = (uint64_t)(uintptr_t)request,
		.no_receipt = !is_con && (head->no_response & 2),
	};
	if (needs_key(request))
		offer.change = (struct state_change){
			.type = CHANGE_KEY,
			.hash = request->hash,
			.position = loop_wall_ms(link->spec.loop) + (is_con ? DEDUPE_CON_MS : DEDUPE_NON_MS),
			.blob = slice_of(request->key, LINK_KEY_LEN),
		};
	FAILPOINT("coap.before_offer");
	enum offer_result result = link->host->ops->offer(link->host, &offer);
	FAILPOINT("coap.after_offer");
	if (result == OFFER_TAKEN && needs_key(request))
		key_shares_take(
			link->keys, coap_in_peer_holder(request->exchange.peer), is_con, loop_now_ms(link->spec.loop));
	return result;
}

static enum offer_result offer_message(
	struct coap_in_request *request, const struct coap_in_head *head, const char *identity)
{
	struct coap_in_link *link = request->exchange.peer->link;
	char type[CONTENT_FORMAT_SIZE];
	struct message_field headers[2];
	size_t n = 0;
	if (link->paused)
		return OFFER_BUSY;
	if (head->n_queries && add_query(link, head, &headers[n++]) < 0)
		return OFFER_BUSY;
	if (identity)
		headers[n++] = (struct message_field){slice_str(identity_name), slice_str(identity)};
	struct message_view view = {
		.topic = head->topic,
		.payload = request->has_body ? slice_of(request->body.data ? (const void *)request->body.data : "",
						       request->body.len)
					     : head->payload,
		.headers = headers,
		.n_headers = n,
		.origin_ms = loop_wall_ms(link->spec.loop),
		.qos = request->qos,
	};
	if (head->code == COAP_REQUEST_CODE_DELETE) {
		view.payload = (struct slice){NULL, 0};
		view.retain = true;
	} else if (head->content_format != CONTENT_FORMAT_NONE) {
		view.content_type = content_format_type((uint16_t)head->content_format, type);
	}
	return offer(request, head, &view);
}

/* --- answers ----------------------------------------------------------------------------------------------------------- */

/* Of one that has not been held. What cannot be remembered is not said: the client asks again with the same message id. Frees it. */
static void answer_now(struct coap_in_request *request, struct coap_in_answer answer)
{
	if (coap_in_repeat_refused(request, &answer))
		coap_in_answer_send(&request->exchange, answer);
	free_body(request);
	free(request);
}

/* A part of a body. Frees it. */
static void answer_part(struct coap_in_request *request)
{
	coap_in_repeat_answered(request, COAP_RESPONSE_CODE_CONTINUE);
	coap_in_answer_send(&request->exchange, (struct coap_in_answer){.code = COAP_RESPONSE_CODE_CONTINUE});
	free(request);
}

static struct coap_in_answer busy(const char *text)
{
	return (struct coap_in_answer){
		.code = COAP_RESPONSE_CODE_SERVICE_UNAVAILABLE, .text = text, .max_age_s = COAP_IN_RETRY_AFTER_S};
}

void coap_in_request_done(struct coap_in_request *request, enum receipt receipt)
{
	struct coap_in_exchange *exchange = &request->exchange;
	if (receipt == RECEIPT_DURABLE) {
		exchange->peer->link->counters.accepted++;
		coap_in_repeat_answered(request, request->success);
		coap_in_answer_send(exchange, (struct coap_in_answer){.code = request->success});
	} else if (exchange->peer->proto != COAP_PROTO_UDP) {
		struct coap_in_answer answer = busy("the journal has failed");
		answer.max_age_s = FAILED_MAX_AGE_S;
		if (coap_in_repeat_refused(request, &answer))
			coap_in_answer_send(exchange, answer);
	} /* else: whether it is there is not known; the client asks again, and the next process may know */
	let_go(request);
}

/* --- what may be done with it ------------------------------------------------------------------------------------------ */

/* The code that a mapping answers with, 0: none reads this; and the highest qos that one asks for. Of what is not confirmable it is 0. */
static uint8_t success_of(
	struct coap_in_link *link, const struct coap_in_head *head, bool *ret_is_read, uint8_t *ret_qos)
{
	const uint32_t *filters;
	uint8_t success = 0;
	size_t n = topic_index_match(link->filters, head->topic, &filters);
	*ret_is_read = n > 0;
	*ret_qos = head->type == COAP_MESSAGE_CON;
	for (size_t i = 0; i < n; i++) {
		const struct link_subscription *subscription = &link->spec.subscriptions[filters[i]];
		const struct coap_from_settings *from = subscription->from_settings;
		if (*ret_qos && subscription->qos > *ret_qos)
			*ret_qos = subscription->qos;
		if (success)
			continue;
		if (head->code == COAP_REQUEST_CODE_DELETE)
			success = from && from->delete ? COAP_RESPONSE_CODE_DELETED : 0;
		else
			success = from && from->success == COAP_SUCCESS_CREATED ? COAP_RESPONSE_CODE_CREATED
										: COAP_RESPONSE_CODE_CHANGED;
	}
	return success;
}

static struct coap_in_answer refusal(struct coap_in_link *link, const struct coap_in_head *head, bool is_read)
{
	if (is_read || coap_in_core_is(head->topic) || coap_in_values_find(link, head->topic))
		return (struct coap_in_answer){
			.code = COAP_RESPONSE_CODE_NOT_ALLOWED, .text = "this path does not take that method"};
	return (struct coap_in_answer){.code = COAP_RESPONSE_CODE_NOT_FOUND, .text = "nothing reads this path"};
}

static uint64_t options_hash(const struct coap_in_head *head)
{
	uint8_t hash[SIPHASH_LEN];
	uint64_t sum, one;
	siphash(hash_key, head->topic, hash);
	memcpy(&sum, hash, sizeof sum);
	for (size_t i = 0; i < head->n_queries; i++) {
		siphash(hash_key, head->queries[i], hash);
		memcpy(&one, hash, sizeof one);
		sum = (sum << 7 | sum >> 57) ^ one;
	}
	return sum ^ (uint64_t)(head->content_format + 1) << 20;
}

/* 0: the body is there; else what to answer. */
static struct coap_in_answer take_block(struct coap_in_request *request, const struct coap_in_head *head)
{
	struct coap_in_peer *peer = request->exchange.peer;
	struct coap_in_link *link = peer->link;
	const struct coap_in_block *block1 = &head->block1;
	uint64_t max_body = link->settings->in.limits.max_body;
	struct reassembly_key key = {.peer = coap_in_repeat_peer(peer),
		.holder = coap_in_peer_holder(peer),
		.method = head->code,
		.options_hash = options_hash(head),
		.request_tag = head->request_tag};
	struct reassembly_block block = {.num = block1->num,
		.more = block1->more,
		.szx = block1->szx,
		.payload = head->payload,
		.size1 = head->size1};
	buffer_init(&request->body, (size_t)max_body);
	switch (reassembly_add(link->bodies, &key, &block, loop_now_ms(link->spec.loop), &request->body)) {
	case REASSEMBLY_WHOLE:
		break;
	case REASSEMBLY_COMPLETE:
		request->has_body = true;
		break;
	case REASSEMBLY_CONTINUE:
		if (reassembly_is_crowded(link->bodies))
			coap_in_peer_wants_share(peer);
		return (struct coap_in_answer){.code = COAP_RESPONSE_CODE_CONTINUE};
	case REASSEMBLY_INCOMPLETE:
		return (struct coap_in_answer){.code = COAP_RESPONSE_CODE_INCOMPLETE, .text = "send it from the start"};
	case REASSEMBLY_TOO_LARGE:
		return (struct coap_in_answer){.code = COAP_RESPONSE_CODE_REQUEST_TOO_LARGE,
			.text = "the body is larger than this listener takes",
			.size1 = max_body};
	case REASSEMBLY_MALFORMED:
		return (struct coap_in_answer){
			.code = COAP_RESPONSE_CODE_BAD_REQUEST, .text = "the payload is not as long as Block1 says"};
	case REASSEMBLY_NO_ROOM:
		return busy("too many bodies are being received");
	}
	return (struct coap_in_answer){.code = 0};
}

static struct coap_in_answer take_body(struct coap_in_request *request, const struct coap_in_head *head)
{
	uint64_t max_body = request->exchange.peer->link->settings->in.limits.max_body;
	if (head->block1.is_set)
		return take_block(request, head);
	if (head->payload.len > max_body)
		return (struct coap_in_answer){.code = COAP_RESPONSE_CODE_REQUEST_TOO_LARGE,
			.text = "the body is larger than this listener takes",
			.size1 = max_body};
	return (struct coap_in_answer){.code = 0};
}

/* --- writing ----------------------------------------------------------------------------------------------------------- */

/* There is no room: keeps its bytes, or answers. Frees the request. */
static void wait_for_room(struct coap_in_request *request, const struct coap_in_head *head)
{
	struct coap_in_link *link = request->exchange.peer->link;
	const struct coap_limits *limits = &link->settings->in.limits;
	size_t bytes = HEADER_BYTES + head->bytes.len + request->body.capacity;
	struct coap_in_request *copy = NULL;
	if (limits->busy_timeout_ms && request->exchange.type == COAP_MESSAGE_CON &&
		link->waiting_bytes + bytes <= limits->max_buffered)
		copy = request_new(&request->exchange, head, true);
	if (!copy) {
		answer_now(request, busy("there is no room for more messages"));
		return;
	}
	copy->success = request->success;
	copy->qos = request->qos;
	copy->is_entered = request->is_entered;
	copy->hash = request->hash;
	memcpy(copy->key, request->key, sizeof copy->key);
	copy->has_body = request->has_body;
	copy->body = request->body;
	free(request);
	hold(copy, COAP_IN_WAITS_FOR_ROOM);
}

/* Then the host would refuse it for good, or it would take the room of others. Those that have one share together are asked for
 * a sign of life when that has grown to half of all: what they take after that is their own. */
static bool lacks_key_room(const struct coap_in_request *request)
{
	struct coap_in_peer *peer = request->exchange.peer;
	struct coap_in_link *link = peer->link;
	struct link_host *host = link->host;
	if (!needs_key(request) || !host->ops->key_room)
		return false;
	uint64_t room = host->ops->key_room(host), now_ms = loop_now_ms(link->spec.loop);
	struct slice holder = coap_in_peer_holder(peer);
	if (!key_shares_may_take(link->keys, holder, room / SHARES_FACTOR, now_ms))
		coap_in_peer_wants_share(peer);
	return !key_shares_may_take(link->keys, holder, room, now_ms);
}

static struct coap_in_answer refused(const struct coap_in_request *request)
{
	struct coap_in_answer answer = busy("no more message ids can be kept now");
	answer.max_age_s = KEYS_FULL_MAX_AGE_S;
	if (lacks_key_room(request))
		return answer;
	return (struct coap_in_answer){
		.code = COAP_RESPONSE_CODE_REQUEST_TOO_LARGE, .text = "the message is larger than linkspan takes"};
}

static void add_share(const struct coap_in_list *list, struct slice holder, size_t *ret_n, size_t *ret_bytes)
{
	for (const struct coap_in_request *request = list->first; request; request = request->next)
		if (slice_equal(coap_in_peer_holder(request->exchange.peer), holder)) {
			(*ret_n)++;
			*ret_bytes += request->raw_len + request->body.capacity;
		}
}

/* Whoever waits already may have at most so many times as much as is left: there is always something for others, and nobody
 * is stopped as long as there is plenty. */
static bool has_share(const struct coap_in_request *request)
{
	struct coap_in_peer *peer = request->exchange.peer;
	struct coap_in_link *link = peer->link;
	const struct coap_limits *limits = &link->settings->in.limits;
	size_t n = link->held.n + link->offered.n, own = 0, own_bytes = 0;
	size_t most = SHARES_FACTOR * ((size_t)limits->max_waiting - n);
	size_t most_bytes = link->waiting_bytes < limits->max_buffered
				    ? SHARES_FACTOR * (size_t)(limits->max_buffered - link->waiting_bytes)
				    : 0;
	if (n < most && link->waiting_bytes <= most_bytes)
		return true;
	add_share(&link->held, coap_in_peer_holder(peer), &own, &own_bytes);
	add_share(&link->offered, coap_in_peer_holder(peer), &own, &own_bytes);
	coap_in_peer_wants_share(peer);
	return own < most && own_bytes <= most_bytes;
}

/* Its body is there. */
static void offer_first(struct coap_in_request *request, const struct coap_in_head *head, const char *identity)
{
	struct coap_in_link *link = request->exchange.peer->link;
	if (link->held.n + link->offered.n >= (size_t)link->settings->in.limits.max_waiting || !has_share(request)) {
		answer_now(request, busy("too many requests are waiting"));
		return;
	}
	if (lacks_key_room(request)) {
		answer_now(request, refused(request));
		return;
	}
	switch (link->held.n ? OFFER_BUSY : offer_message(request, head, identity)) {
	case OFFER_TAKEN:
		free_body(request);
		if (request->exchange.type == COAP_MESSAGE_NON && (head->no_response & 2)) {
			link->counters.accepted++;
			free(request);
			return;
		}
		hold(request, COAP_IN_OFFERED);
		return;
	case OFFER_BUSY:
		wait_for_room(request, head);
		return;
	case OFFER_REFUSED:
		answer_now(request, refused(request));
		return;
	}
}

/* What a request gets that is not looked at. One that comes again after it was taken has to get its own answer before: who
 * is told to come later sends it as a new one. */
static struct coap_in_answer turned_away(const struct coap_in_peer *peer)
{
	struct coap_in_link *link = peer->link;
	if (link->closing)
		return busy("linkspan is stopping");
	uint64_t now_ms = loop_now_ms(link->spec.loop);
	uint64_t wait_ms = link->rate ? rate_take(link->rate, slice_of(peer->address, peer->host_len), now_ms) : 0;
	if (!wait_ms)
		return (struct coap_in_answer){.code = 0};
	return (struct coap_in_answer){
		.code = COAP_RESPONSE_CODE_TOO_MANY_REQUESTS, .max_age_s = (uint32_t)((wait_ms + 999) / 1000)};
}

/* While linkspan stops: the next process takes what comes again with this id, but knows nothing of a refusal. */
static bool is_left_to_repeat(const struct coap_in_exchange *exchange)
{
	return exchange->peer->proto == COAP_PROTO_UDP && exchange->type == COAP_MESSAGE_CON && !exchange->acked;
}

static void take(struct coap_in_exchange *exchange, const struct coap_in_head *head, const char *identity)
{
	struct coap_in_link *link = exchange->peer->link;
	bool is_read;
	uint8_t qos, success = success_of(link, head, &is_read, &qos);
	if (!success) {
		struct coap_in_answer answer = turned_away(exchange->peer);
		coap_in_answer_send(exchange, answer.code ? answer : refusal(link, head, is_read));
		return;
	}
	struct coap_in_request *request = request_new(exchange, head, false);
	if (!request) {
		if (COAP_PROTO_RELIABLE(exchange->peer->proto)) /* else a refusal that cannot be remembered */
			coap_in_answer_send(exchange, busy("out of memory"));
		return;
	}
	request->success = success;
	request->qos = qos;
	switch (coap_in_repeat_look_up(request, head)) {
	case COAP_IN_REPEAT_NEW:
		break;
	case COAP_IN_REPEAT_SEEN_TO:
		free(request);
		return;
	case COAP_IN_REPEAT_FULL:
		answer_now(request, busy("no more message ids can be kept now"));
		return;
	}
	if (!coap_in_values_condition(link, head)) {
		answer_now(request, (struct coap_in_answer){.code = COAP_RESPONSE_CODE_PRECONDITION_FAILED});
		return;
	}
	struct coap_in_answer answer = turned_away(exchange->peer);
	if (!answer.code)
		answer = take_body(request, head);
	else if (link->closing && is_left_to_repeat(exchange)) {
		free(request);
		return;
	}
	if (answer.code == COAP_RESPONSE_CODE_CONTINUE)
		answer_part(request);
	else if (answer.code)
		answer_now(request, answer);
	else
		offer_first(request, head, identity);
}

/* --- reading ----------------------------------------------------------------------------------------------------------- */

static void give(struct coap_in_exchange *exchange, const struct coap_in_head *head)
{
	if (coap_in_core_is(head->topic))
		coap_in_core_get(exchange, head, NULL);
	else
		coap_in_values_get(exchange, head);
}

void coap_in_request_await_peer(struct coap_in_exchange *exchange, const struct coap_in_head *head)
{
	coap_in_answer_give_back(exchange); /* it is answered to one that is validated, or not at all */
	struct coap_in_peer *peer = exchange->peer;
	struct coap_in_link *link = peer->link;
	struct coap_in_request like = {.exchange = *exchange};
	coap_in_repeat_identify(&like, head);
	if (coap_in_repeat_pending(&like) || (!exchange->not_before_ms && !coap_in_peer_ping(peer)))
		return; /* the client sends it again */
	struct coap_in_request *request =
		link->n_waiting_for_peers < MAX_WAITING_FOR_PEERS ? request_new(exchange, head, true) : NULL;
	if (!request)
		return;
	request->hash = like.hash;
	memcpy(request->key, like.key, sizeof request->key);
	hold(request, COAP_IN_WAITS_FOR_PEER);
}

static struct coap_in_request *first_due(const struct coap_in_peer *peer)
{
	uint64_t now_ms = loop_now_ms(peer->link->spec.loop);
	struct coap_in_request *request = peer->waiting.first;
	while (request && request->exchange.not_before_ms > now_ms)
		request = request->next;
	return request;
}

void coap_in_request_look_at_waiting(struct coap_in_peer *peer)
{
	coap_session_t *session = coap_session_reference(peer->session);
	struct coap_in_request *request = first_due(peer);
	if (request && peer->validated)
		coap_in_request_go_on(peer);
	else if (request && !coap_in_peer_ping(peer))
		let_go(request);
	coap_session_release(session);
}

void coap_in_request_go_on(struct coap_in_peer *peer)
{
	struct coap_in_request *request;
	for (size_t n = peer->waiting.n; n && (request = first_due(peer)) != NULL; n--) {
		struct coap_in_head head;
		coap_pdu_t *pdu = parse_again(request, &head);
		if (pdu)
			give(&request->exchange, &head);
		coap_delete_pdu(pdu);
		let_go(request);
	}
}

void coap_in_request_drop_waiting(struct coap_in_peer *peer)
{
	while (peer->waiting.first)
		let_go(peer->waiting.first);
}

/* --- the beginning ----------------------------------------------------------------------------------------------------- */

static void begin(struct coap_in_exchange *exchange, const struct coap_in_head *head)
{
	struct coap_in_peer *peer = exchange->peer;
	const char *identity = NULL;
	bool reads = head->code == COAP_REQUEST_CODE_GET;
	bool writes = head->code == COAP_REQUEST_CODE_PUT || head->code == COAP_REQUEST_CODE_POST ||
		      head->code == COAP_REQUEST_CODE_DELETE;
	uint8_t denied =
		reads && coap_in_core_is(head->topic) ? 0 : coap_in_peer_check(peer, head->topic, reads, &identity);
	if (writes && !denied) {
		take(exchange, head, identity);
		return;
	}
	struct coap_in_answer answer = turned_away(peer);
	if (!answer.code && denied)
		answer.code = denied;
	else if (!answer.code && !reads)
		answer = (struct coap_in_answer){
			.code = COAP_RESPONSE_CODE_NOT_ALLOWED, .text = "use GET, PUT, POST or DELETE"};
	if (answer.code)
		coap_in_answer_send(exchange, answer);
	else
		give(exchange, head);
}

void coap_in_request_take(struct coap_in_link *link, coap_session_t *session, const coap_pdu_t *pdu)
{
	struct coap_in_head head;
	const char *wrong;
	struct coap_in_peer *peer = coap_in_peer_of(link, session);
	link->counters.requests++;
	if (!peer || !coap_in_peer_is_up(peer) || coap_in_peer_is_clogged(peer))
		return; /* RFC 8323 §5.3: nothing goes before the peer's CSM */
	coap_in_peer_is_alive(peer);
	uint8_t code = coap_in_head_read(pdu, COAP_PROTO_RELIABLE(peer->proto), &link->topic, &head, &wrong);
	struct coap_in_exchange exchange = {
		.peer = peer,
		.mid = head.mid,
		.type = head.type,
		.token_len = (uint8_t)head.token.len,
		.no_response = head.no_response,
		.has_block1 = head.block1.is_set,
		.block1 = head.block1.raw,
	};
	if (head.token.len)
		memcpy(exchange.token, head.token.data, head.token.len);
	coap_in_answer_set_aside(&exchange, HEADER_BYTES + head.bytes.len);
	if (code)
		coap_in_answer_send(&exchange, (struct coap_in_answer){.code = code, .text = wrong});
	else
		begin(&exchange, &head);
}

/* --- those that wait --------------------------------------------------------------------------------------------------- */

static void answer_held(struct coap_in_request *request, struct coap_in_answer answer)
{
	if (coap_in_repeat_refused(request, &answer))
		coap_in_answer_send(&request->exchange, answer);
	let_go(request);
}

void coap_in_request_offer_held(struct coap_in_link *link)
{
	struct coap_in_request *request;
	while (!link->paused && (request = link->held.first) != NULL) {
		struct coap_in_head head;
		const char *identity = NULL;
		coap_pdu_t *pdu = parse_again(request, &head);
		if (!pdu) {
			answer_held(request, busy("out of memory"));
			continue;
		}
		(void)coap_in_peer_check(request->exchange.peer, head.topic, false, &identity);
		enum offer_result result =
			lacks_key_room(request) ? OFFER_REFUSED : offer_message(request, &head, identity);
		coap_delete_pdu(pdu);
		if (result == OFFER_BUSY)
			return;
		if (result == OFFER_REFUSED) {
			answer_held(request, refused(request));
			continue;
		}
		list_remove(request);
		request->state = COAP_IN_OFFERED;
		list_add(request);
	}
}

void coap_in_request_give_up(struct coap_in_link *link, bool all)
{
	uint64_t now_ms = loop_now_ms(link->spec.loop), ms = link->settings->in.limits.busy_timeout_ms;
	while (link->held.first && (all || now_ms - link->held.first->since_ms >= ms)) {
		if (all && is_left_to_repeat(&link->held.first->exchange))
			let_go(link->held.first);
		else
			answer_held(link->held.first,
				busy(all ? "linkspan is stopping" : "there is no room for more messages"));
	}
}

void coap_in_request_end_all(struct coap_in_link *link)
{
	static const char unknown[] = "linkspan is stopping; whether this was taken is not known";
	struct coap_in_answer answer = busy(unknown);
	for (struct coap_in_peer *peer = link->peers; peer; peer = peer->next)
		coap_in_request_drop_waiting(peer);
	while (link->held.first)
		answer_held(link->held.first, answer);
	/* Over UDP nothing is said: the client asks again with the same message id, which the next process may know. */
	while (link->offered.first) {
		const struct coap_in_peer *peer = link->offered.first->exchange.peer;
		if (peer->proto != COAP_PROTO_UDP)
			coap_in_answer_send(&link->offered.first->exchange, answer);
		let_go(link->offered.first);
	}
}
