/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests that come again (RFC 7252 §4.5): the same peer, message id and bytes. While one is pending it stands in the link's
 * table; once taken it is known from the journal, or from memory where the peer does not outlive us; once refused, from memory.
 * A refusal is final for that datagram: who is told to come later does so with another id, and a copy that was on its way for
 * longer must not be taken beside it. What has been refused never takes the room of what has been taken.
 *
 * Threads: the loop's.
 */
#include <string.h>

#include "connectors/coap/in_link.h"
#include "message/siphash.h"

static const uint8_t hash_key[SIPHASH_KEY_LEN] = "linkspan, CoAP";

/* A refusal that is remembered. */
struct refusal {
	const char *text; /* static */
	uint32_t max_age_s;
	uint8_t code;
	bool has_size1; /* max_body */
};
_Static_assert(sizeof(struct refusal) <= DEDUPE_ANSWER_MAX, "refusals take no memory of their own");

/* --- who asks what ----------------------------------------------------------------------------------------------------- */

struct slice coap_in_repeat_peer(const struct coap_in_peer *peer)
{
	return peer->proto == COAP_PROTO_UDP ? slice_of(peer->address, peer->address_len)
					     : slice_of(&peer->number, sizeof peer->number);
}

static void write_key(const struct coap_in_peer *peer, uint16_t mid, uint8_t out[LINK_KEY_LEN])
{
	uint8_t text[16 + COAP_IN_ADDRESS_MAX + 2];
	struct slice who = coap_in_repeat_peer(peer);
	memcpy(text, peer->link->name_hash, 16);
	memcpy(text + 16, who.data, who.len);
	memcpy(text + 16 + who.len, &mid, sizeof mid);
	siphash(hash_key, slice_of(text, 16 + who.len + sizeof mid), out);
}

static uint64_t hash_of(const struct coap_in_head *head)
{
	uint8_t hash[SIPHASH_LEN];
	uint64_t result;
	siphash(hash_key, head->bytes, hash);
	memcpy(&result, hash, sizeof result);
	return result ^ head->code;
}

void coap_in_repeat_identify(struct coap_in_request *request, const struct coap_in_head *head)
{
	write_key(request->exchange.peer, request->exchange.mid, request->key);
	request->hash = hash_of(head);
}

static bool can_repeat(const struct coap_in_request *request)
{
	return !COAP_PROTO_RELIABLE(request->exchange.peer->proto);
}

/* --- those that are pending -------------------------------------------------------------------------------------------- */

static struct coap_in_request **bucket_of(struct coap_in_link *link, const uint8_t *key)
{
	uint64_t hash;
	memcpy(&hash, key, sizeof hash);
	return &link->keyed[hash & (link->n_buckets - 1)];
}

void coap_in_repeat_add(struct coap_in_request *request)
{
	if (!can_repeat(request))
		return;
	struct coap_in_request **at = bucket_of(request->exchange.peer->link, request->key);
	request->next_keyed = *at;
	*at = request;
	request->is_keyed = true;
}

void coap_in_repeat_remove(struct coap_in_request *request)
{
	if (!request->is_keyed)
		return;
	struct coap_in_request **at = bucket_of(request->exchange.peer->link, request->key);
	while (*at != request)
		at = &(*at)->next_keyed;
	*at = request->next_keyed;
	request->is_keyed = false;
}

struct coap_in_request *coap_in_repeat_pending(const struct coap_in_request *like)
{
	struct coap_in_request *request = *bucket_of(like->exchange.peer->link, like->key);
	while (request && (request->hash != like->hash || memcmp(request->key, like->key, LINK_KEY_LEN) != 0))
		request = request->next_keyed;
	return request;
}

/* --- those that have been answered ------------------------------------------------------------------------------------- */

static void forget(struct coap_in_request *request)
{
	const struct coap_in_exchange *exchange = &request->exchange;
	if (request->is_entered)
		dedupe_forget(exchange->peer->link->dedupe, coap_in_repeat_peer(exchange->peer), exchange->mid,
			request->hash);
	request->is_entered = false;
}

void coap_in_repeat_answered(struct coap_in_request *request, uint8_t code)
{
	const struct coap_in_exchange *exchange = &request->exchange;
	if (request->is_entered)
		dedupe_answer(exchange->peer->link->dedupe, coap_in_repeat_peer(exchange->peer), exchange->mid,
			request->hash, slice_of(&code, 1));
}

bool coap_in_repeat_refused(struct coap_in_request *request, const struct coap_in_answer *answer)
{
	const struct coap_in_exchange *exchange = &request->exchange;
	struct coap_in_link *link = exchange->peer->link;
	struct slice peer = coap_in_repeat_peer(exchange->peer), before;
	const struct refusal refusal = {.text = answer->text,
		.max_age_s = answer->max_age_s,
		.code = answer->code,
		.has_size1 = answer->size1 != 0};
	bool is_con = exchange->type == COAP_MESSAGE_CON;
	if (!can_repeat(request))
		return true;
	forget(request);
	if (dedupe_enter(link->refusals, peer, coap_in_peer_holder(exchange->peer), exchange->mid, request->hash,
		    is_con, loop_now_ms(link->spec.loop), &before) == DEDUPE_FULL)
		return !is_con || exchange->acked; /* neither comes again */
	dedupe_answer(
		link->refusals, peer, exchange->mid, request->hash, slice_of((const void *)&refusal, sizeof refusal));
	return true;
}

static bool was_refused(struct coap_in_request *request)
{
	struct coap_in_exchange *exchange = &request->exchange;
	struct coap_in_link *link = exchange->peer->link;
	struct refusal refusal;
	struct slice given;
	if (!dedupe_find(link->refusals, coap_in_repeat_peer(exchange->peer), exchange->mid, request->hash,
		    loop_now_ms(link->spec.loop), &given))
		return false;
	memcpy(&refusal, given.data, sizeof refusal);
	link->counters.repeated++;
	coap_in_answer_send(exchange, (struct coap_in_answer){.code = refusal.code,
					      .text = refusal.text,
					      .max_age_s = refusal.max_age_s,
					      .size1 = refusal.has_size1 ? link->settings->in.limits.max_body : 0});
	return true;
}

/* In the journal. */
static enum coap_in_repeat ask_journal(struct coap_in_request *request)
{
	struct coap_in_link *link = request->exchange.peer->link;
	uint64_t hash = 0;
	enum key_state state = link->host->ops->key(link->host, request->key, &hash);
	if (state == KEY_UNKNOWN)
		return COAP_IN_REPEAT_NEW;
	if (hash != request->hash) {
		link->counters.replaced++;
		return COAP_IN_REPEAT_NEW;
	}
	link->counters.repeated++;
	if (state == KEY_KNOWN)
		coap_in_answer_send(&request->exchange, (struct coap_in_answer){.code = request->success});
	return COAP_IN_REPEAT_SEEN_TO;
}

static enum coap_in_repeat ask_memory(struct coap_in_request *request)
{
	struct coap_in_exchange *exchange = &request->exchange;
	struct coap_in_link *link = exchange->peer->link;
	struct slice answer;
	switch (dedupe_enter(link->dedupe, coap_in_repeat_peer(exchange->peer), coap_in_peer_holder(exchange->peer),
		exchange->mid, request->hash, exchange->type == COAP_MESSAGE_CON, loop_now_ms(link->spec.loop),
		&answer)) {
	case DEDUPE_NEW:
		request->is_entered = true;
		return COAP_IN_REPEAT_NEW;
	case DEDUPE_FULL:
		coap_in_peer_wants_share(exchange->peer);
		return COAP_IN_REPEAT_FULL;
	case DEDUPE_ANSWERED:
		coap_in_answer_send(exchange, (struct coap_in_answer){.code = answer.data[0]});
		break;
	case DEDUPE_PENDING:
		break;
	}
	link->counters.repeated++;
	return COAP_IN_REPEAT_SEEN_TO;
}

/* Parts of a body do not survive us, and neither does a session: they are not for the journal. */
static bool is_for_journal(const struct coap_in_request *request, const struct coap_in_head *head)
{
	const struct coap_in_peer *peer = request->exchange.peer;
	const struct coap_in_link *link = peer->link;
	return !(head->block1.is_set && head->block1.more) && peer->proto == COAP_PROTO_UDP &&
	       link->settings->in.dedupe == COAP_DEDUPE_DURABLE && link->host->ops->key;
}

enum coap_in_repeat coap_in_repeat_look_up(struct coap_in_request *request, const struct coap_in_head *head)
{
	if (!can_repeat(request))
		return COAP_IN_REPEAT_NEW;
	coap_in_repeat_identify(request, head);
	struct coap_in_request *before = coap_in_repeat_pending(request);
	if (before) {
		request->exchange.peer->link->counters.repeated++;
		if (before->exchange.acked)
			coap_in_answer_acknowledge(&before->exchange);
		return COAP_IN_REPEAT_SEEN_TO;
	}
	if (was_refused(request))
		return COAP_IN_REPEAT_SEEN_TO;
	return is_for_journal(request, head) ? ask_journal(request) : ask_memory(request);
}
