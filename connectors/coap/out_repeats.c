/* SPDX-License-Identifier: Apache-2.0
 *
 * Message id and token say which message it is, whoever has sent it: tokens hold 40 bits of chance.
 */
#include "connectors/coap/out_repeats.h"

#include <string.h>

#define MOST_KEPT   256u
#define LIFETIME_MS 247000u /* EXCHANGE_LIFETIME */

struct response {
	coap_tick_t at; /* 0: nothing */
	coap_mid_t id;
	uint8_t token[8];
	uint8_t token_len;
	bool rejected;
};

static struct response kept[MOST_KEPT];
static unsigned next;
static struct response *current; /* that is being handled; NULL: it is none of these */
static bool is_repetition;

static bool is_same(const struct response *response, const coap_pdu_t *pdu, coap_tick_t now)
{
	coap_bin_const_t token = coap_pdu_get_token(pdu);
	return response->at && response->id == coap_pdu_get_mid(pdu) && response->token_len == token.length &&
	       memcmp(response->token, token.s, token.length) == 0 && now - response->at < LIFETIME_MS;
}

static struct response *find(const coap_pdu_t *pdu, coap_tick_t now)
{
	for (unsigned i = 1; i <= MOST_KEPT; i++) {
		struct response *response = &kept[(next + MOST_KEPT - i) % MOST_KEPT];
		if (is_same(response, pdu, now))
			return response;
	}
	return NULL;
}

static struct response *keep(const coap_pdu_t *pdu, coap_tick_t now)
{
	coap_bin_const_t token = coap_pdu_get_token(pdu);
	struct response *response = &kept[next++ % MOST_KEPT];
	response->at = now;
	response->id = coap_pdu_get_mid(pdu);
	response->token_len = (uint8_t)token.length;
	response->rejected = true; /* unless it gets as far as the handler */
	memcpy(response->token, token.s, token.length);
	return response;
}

void coap_out_repeats_look_at(coap_pdu_t *pdu)
{
	coap_tick_t now;
	coap_ticks(&now);
	current = NULL;
	is_repetition = false;
	if (coap_pdu_get_type(pdu) != COAP_MESSAGE_CON || coap_pdu_get_code(pdu) < 64 ||
		coap_pdu_get_token(pdu).length > sizeof kept[0].token)
		return;
	current = find(pdu, now);
	is_repetition = current != NULL;
	if (is_repetition)
		coap_pdu_set_type(pdu, COAP_MESSAGE_NON);
	else
		current = keep(pdu, now);
}

bool coap_out_repeats_answer(coap_session_t *session, const coap_pdu_t *received)
{
	/* What comes over a stream is parsed elsewhere, and is none: what is noted is of the last datagram then. */
	bool is_stream = COAP_PROTO_RELIABLE(coap_session_get_proto(session));
	bool answers = is_repetition && !is_stream;
	is_repetition = false;
	if (answers)
		coap_send_message_type(session, received, current->rejected ? COAP_MESSAGE_RST : COAP_MESSAGE_ACK);
	if (is_stream)
		current = NULL;
	return answers;
}

void coap_out_repeats_note(coap_response_t response)
{
	if (current)
		current->rejected = response == COAP_RESPONSE_FAIL;
	current = NULL; /* what the handler itself has caused to be read is another */
}
