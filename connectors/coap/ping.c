/* SPDX-License-Identifier: Apache-2.0
 *
 * libcoap deletes what it has sent when it has been acknowledged, reset or given up; the latter two have been told by then, and the
 * ping is not in the table any more. It calls coap_delete_pdu through its table of imports, so that the program's own comes
 * first. A confirmable response without a token, which nobody has asked for, has it deleted as well: anybody can forge that, so
 * only an acknowledgement with the ping's message id is one.
 */
#define _GNU_SOURCE
#include "connectors/coap/ping.h"

#include <assert.h>
#include <dlfcn.h>
#include <string.h>

#include "connectors/coap/datagram.h"

#define BUCKETS 256u

static struct ping *buckets[BUCKETS];
static size_t n_pings;

static struct ping **bucket_of(const coap_pdu_t *pdu)
{
	return &buckets[((uintptr_t)pdu >> 6) % BUCKETS];
}

static struct ping *take(const coap_pdu_t *pdu)
{
	for (struct ping **at = bucket_of(pdu); *at; at = &(*at)->next) {
		struct ping *ping = *at;
		if (ping->pdu != pdu)
			continue;
		*at = ping->next;
		ping->pdu = NULL;
		n_pings--;
		return ping;
	}
	return NULL;
}

bool ping_send(struct ping *ping, coap_session_t *session, void (*over)(struct ping *ping, bool acknowledged))
{
	assert(!ping->pdu);
	coap_pdu_t *pdu = coap_pdu_init(COAP_MESSAGE_CON, COAP_EMPTY_CODE, coap_new_message_id(session), 0);
	if (!pdu || coap_send(session, pdu) == COAP_INVALID_MID)
		return false;
	ping->pdu = pdu;
	ping->over = over;
	ping->next = *bucket_of(pdu);
	*bucket_of(pdu) = ping;
	n_pings++;
	return true;
}

void ping_end(struct ping *ping)
{
	if (ping->pdu)
		(void)take(ping->pdu);
}

static void delete (coap_pdu_t *pdu)
{
	static void (*library)(coap_pdu_t * pdu);
	if (!library) {
		void *found = dlsym(RTLD_NEXT, "coap_delete_pdu");
		memcpy(&library, &found, sizeof library); /* C has no cast from one to the other */
	}
	assert(library);
	library(pdu);
}

void coap_delete_pdu(coap_pdu_t *pdu)
{
	struct ping *ping = n_pings && pdu ? take(pdu) : NULL;
	bool acknowledged = ping && coap_pdu_get_mid(pdu) == datagram_acknowledged();
	delete (pdu);
	if (ping)
		ping->over(ping, acknowledged);
}
