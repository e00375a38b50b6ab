/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers on their way: piggybacked on the acknowledgement as long as there was none, separate after that (RFC 7252 §5.2),
 * never more than an address that is not validated may get, and none that the client does not want (RFC 7967).
 */
#include <errno.h>
#include <string.h>

#include "connectors/coap/in_link.h"
#include "runtime/failpoint.h"

#define HEADER_BYTES    4u
#define OPTION_BYTES    48u /* more than all options of an answer without payload take */
#define MAX_AGE_BYTES   5u
#define BLOCK_BYTES     11u /* Block1 and Size1 */
#define MAX_RETRANSMITS 4u
#define ASK_AFTER_BYTES (64u * 1024)

int coap_in_answer_number(coap_pdu_t *pdu, coap_option_num_t option, uint64_t value)
{
	uint8_t bytes[8];
	unsigned len = coap_encode_var_safe8(bytes, sizeof bytes, value);
	return coap_add_option(pdu, option, len, bytes) ? 0 : -ENOMEM;
}

coap_pdu_t *coap_in_answer_begin(const struct coap_in_exchange *exchange, uint8_t code, size_t room)
{
	coap_pdu_t *pdu = coap_pdu_init(COAP_MESSAGE_NON, (coap_pdu_code_t)code, 0, exchange->token_len + room);
	if (!pdu || coap_add_token(pdu, exchange->token_len, exchange->token))
		return pdu;
	coap_delete_pdu(pdu);
	return NULL;
}

/* The shortest answer always goes out, so no other one may use what it needs meanwhile. Nor does it take more than its request
 * brings. */
void coap_in_answer_set_aside(struct coap_in_exchange *exchange, size_t received)
{
	struct coap_in_peer *peer = exchange->peer;
	uint64_t least =
		2 * HEADER_BYTES + exchange->token_len + MAX_AGE_BYTES + (exchange->has_block1 ? BLOCK_BYTES : 0);
	if (peer->validated)
		return;
	uint64_t most = coap_in_peer_allowance(received);
	exchange->set_aside = least < most ? least : most;
	peer->received += received;
	peer->sent += exchange->set_aside;
}

bool coap_in_answer_may_take(const struct coap_in_exchange *exchange, size_t bytes)
{
	uint64_t ahead = exchange->set_aside;
	return coap_in_peer_may_get(exchange->peer, bytes > ahead ? bytes - (size_t)ahead : 0);
}

static void take(struct coap_in_exchange *exchange, size_t bytes)
{
	uint64_t ahead = bytes < exchange->set_aside ? bytes : exchange->set_aside;
	exchange->set_aside -= ahead;
	exchange->peer->sent += bytes - ahead;
}

void coap_in_answer_give_back(struct coap_in_exchange *exchange)
{
	exchange->peer->sent -= exchange->set_aside;
	exchange->set_aside = 0;
}

static void send_to(struct coap_in_exchange *exchange, coap_pdu_t *pdu, size_t bytes)
{
	struct coap_in_peer *peer = exchange->peer;
	if (!coap_in_peer_is_up(peer)) {
		coap_delete_pdu(pdu);
		return;
	}
	take(exchange, bytes);
	coap_send(peer->session, pdu);
	if (COAP_PROTO_RELIABLE(peer->proto) && peer->sent > ASK_AFTER_BYTES)
		(void)coap_in_peer_ping(peer);
}

/* What an address that is not validated gets; and over TCP what nobody has read yet, for all we know. */
static bool is_counted(const struct coap_in_peer *peer)
{
	return !peer->validated || COAP_PROTO_RELIABLE(peer->proto);
}

void coap_in_answer_acknowledge(struct coap_in_exchange *exchange)
{
	struct coap_in_peer *peer = exchange->peer;
	if (exchange->type != COAP_MESSAGE_CON || COAP_PROTO_RELIABLE(peer->proto))
		return;
	coap_pdu_t *pdu = coap_pdu_init(COAP_MESSAGE_ACK, COAP_EMPTY_CODE, exchange->mid, 0);
	if (!pdu)
		return;
	exchange->acked = true;
	send_to(exchange, pdu, HEADER_BYTES);
}

size_t coap_in_answer_size(const coap_pdu_t *pdu)
{
	coap_opt_iterator_t iterator;
	const uint8_t *data;
	size_t len, bytes = HEADER_BYTES + coap_pdu_get_token(pdu).length;
	coap_option_iterator_init(pdu, &iterator, COAP_OPT_ALL);
	for (coap_opt_t *option; (option = coap_option_next(&iterator)) != NULL;)
		bytes += coap_opt_size(option);
	return coap_get_data(pdu, &len, &data) && len ? bytes + 1 + len : bytes;
}

/* A separate response is confirmable, if its repetitions may go there. */
static void set_type(struct coap_in_exchange *exchange, coap_pdu_t *pdu, size_t bytes)
{
	struct coap_in_peer *peer = exchange->peer;
	coap_pdu_type_t type = COAP_MESSAGE_NON;
	if (exchange->type == COAP_MESSAGE_CON && !COAP_PROTO_RELIABLE(peer->proto)) {
		bool may_repeat = coap_in_answer_may_take(exchange, bytes * (1 + MAX_RETRANSMITS));
		type = !exchange->acked ? COAP_MESSAGE_ACK : may_repeat ? COAP_MESSAGE_CON : COAP_MESSAGE_NON;
	}
	coap_pdu_set_type(pdu, type);
	coap_pdu_set_mid(pdu, type == COAP_MESSAGE_ACK ? exchange->mid : coap_new_message_id(peer->session));
}

static bool is_unwanted(const struct coap_in_exchange *exchange, const coap_pdu_t *pdu)
{
	unsigned class = (unsigned)coap_pdu_get_code(pdu) >> 5;
	return class && (exchange->no_response >> (class - 1) & 1);
}

/* Does it mean: send it again? */
static bool asks_again(uint8_t code)
{
	return code >> 5 == 5 || code == COAP_RESPONSE_CODE_TOO_MANY_REQUESTS || code == COAP_RESPONSE_CODE_INCOMPLETE;
}

void coap_in_answer_finish(struct coap_in_exchange *exchange, coap_pdu_t *pdu)
{
	struct coap_in_peer *peer = exchange->peer;
	if (is_unwanted(exchange, pdu)) {
		/* Who gets nothing but the acknowledgement takes it for a success: not when he has to send it again. */
		if (!exchange->acked && !asks_again((uint8_t)coap_pdu_get_code(pdu)))
			coap_in_answer_acknowledge(exchange);
		coap_delete_pdu(pdu);
		coap_in_answer_give_back(exchange);
		return;
	}
	size_t bytes = is_counted(peer) ? coap_in_answer_size(pdu) : 0;
	set_type(exchange, pdu, bytes);
	if (!peer->validated && coap_pdu_get_type(pdu) == COAP_MESSAGE_CON)
		bytes *= 1 + MAX_RETRANSMITS;
	FAILPOINT("coap.before_answer");
	send_to(exchange, pdu, bytes);
	coap_in_answer_give_back(exchange);
	FAILPOINT("coap.after_answer");
}

static void count(struct coap_in_counters *counters, uint8_t code)
{
	if (code == COAP_RESPONSE_CODE_UNAUTHORIZED || code == COAP_RESPONSE_CODE_FORBIDDEN)
		counters->denied++;
	else if (code >> 5 == 5 || code == COAP_RESPONSE_CODE_TOO_MANY_REQUESTS)
		counters->busy++;
	else if (code >> 5 == 4)
		counters->refused++;
}

void coap_in_answer_send(struct coap_in_exchange *exchange, struct coap_in_answer answer)
{
	struct coap_in_peer *peer = exchange->peer;
	size_t text_len = answer.text ? strlen(answer.text) : 0;
	count(&peer->link->counters, answer.code);
	size_t times = exchange->acked ? 1 + MAX_RETRANSMITS : 1;
	if (!coap_in_answer_may_take(exchange, times * (HEADER_BYTES + exchange->token_len + OPTION_BYTES + text_len)))
		text_len = 0;
	coap_pdu_t *pdu = coap_in_answer_begin(exchange, answer.code, OPTION_BYTES + text_len);
	if (!pdu)
		return; /* it will ask again */
	int r = 0;
	if (answer.max_age_s)
		r = coap_in_answer_number(pdu, COAP_OPTION_MAXAGE, answer.max_age_s);
	if (r == 0 && exchange->has_block1)
		r = coap_in_answer_number(pdu, COAP_OPTION_BLOCK1, exchange->block1);
	if (r == 0 && answer.size1)
		r = coap_in_answer_number(pdu, COAP_OPTION_SIZE1, answer.size1);
	if (r == 0 && text_len && !coap_add_data(pdu, text_len, (const uint8_t *)answer.text))
		r = -ENOMEM;
	if (r < 0)
		coap_delete_pdu(pdu);
	else
		coap_in_answer_finish(exchange, pdu);
}
