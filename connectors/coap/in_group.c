/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests to a group (RFC 7252 §8): only discovery is answered, and nobody hears an error, or that there is nothing (§8.2). All
 * members hear the request at the same moment, so that whatever any of them sends waits for a random time, its leisure. libcoap
 * does so with what it is given in its handler; what has to wait for a ping waits before that. No Reset goes to who has sent
 * something to a group: see datagram.c.
 */
#include <string.h>

#include "connectors/coap/in_link.h"

#define LEISURE_MS 5000u /* DEFAULT_LEISURE, RFC 7252 §4.8 */

static uint64_t random_leisure_ms(void)
{
	uint32_t random = 0;
	coap_prng(&random, sizeof random);
	return random % (LEISURE_MS + 1);
}

void coap_in_group_take(struct coap_in_link *link, coap_session_t *session, const coap_pdu_t *pdu, coap_pdu_t *response)
{
	struct coap_in_head head;
	const char *wrong;
	struct coap_in_peer *peer = coap_in_peer_of(link, session);
	link->counters.requests++;
	if (!peer || coap_in_head_read(pdu, false, &link->topic, &head, &wrong) != 0 || link->closing ||
		head.code != COAP_REQUEST_CODE_GET || !coap_in_core_is(head.topic))
		return;
	struct coap_in_exchange exchange = {
		.peer = peer,
		.mid = head.mid,
		.type = COAP_MESSAGE_NON,
		.token_len = (uint8_t)head.token.len,
		.to_group = true,
		.not_before_ms = loop_now_ms(link->spec.loop) + random_leisure_ms(),
	};
	if (head.token.len)
		memcpy(exchange.token, head.token.data, head.token.len);
	peer->received += head.bytes.len;
	coap_in_core_get(&exchange, &head, response);
}
