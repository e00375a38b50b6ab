/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests that have come before (RFC 7252 §4.5): the same peer, message id and bytes within EXCHANGE_LIFETIME (CON) or
 * NON_LIFETIME is a repetition, which gets the same answer and is not processed. Other bytes under the same id are another
 * message (a device that has rebooted counts from the start again), which replaces the one before.
 *
 * Entries go by their time alone, never to make room: when the table is full, a new request has to be refused; and no holder
 * gets all of it (shares.h). All operations take constant time. One thread at a time; the clock is the caller's, any that
 * does not go back.
 */
#ifndef LINKSPAN_CONNECTORS_COAP_DEDUPE_H
#define LINKSPAN_CONNECTORS_COAP_DEDUPE_H

#include "message/slice.h"

#define DEDUPE_CON_MS 247000u /* EXCHANGE_LIFETIME, RFC 7252 §4.8.2 */
#define DEDUPE_NON_MS 145000u /* NON_LIFETIME */

struct dedupe;

#define DEDUPE_ANSWER_MAX 16u /* bytes of what is kept of an answer */

enum dedupe_state {
	DEDUPE_NEW, /* it is entered as pending: process it */
	DEDUPE_PENDING, /* its answer will come */
	DEDUPE_ANSWERED, /* give the same answer again */
	DEDUPE_FULL, /* not entered, for want of room, or of a larger share: refuse it, to be sent again later */
};

/* Memory is taken only for as many as there are. 0 or -ENOMEM. */
int dedupe_new(size_t max_entries, struct dedupe **ret_dedupe) __attribute__((warn_unused_result));
void dedupe_free(struct dedupe *dedupe); /* NULL is allowed */

/* peer: what tells it apart, address and port or a session's number. holder: whose share of the table it takes. hash: of the
 * request's bytes. ret_answer: with ANSWERED, as it was given to dedupe_answer, borrowed until the next call. */
enum dedupe_state dedupe_enter(struct dedupe *dedupe, struct slice peer, struct slice holder, uint16_t message_id,
	uint64_t hash, bool is_con, uint64_t now_ms, struct slice *ret_answer);

/* Has it been answered? Enters nothing. ret_answer as above. */
bool dedupe_find(struct dedupe *dedupe, struct slice peer, uint16_t message_id, uint64_t hash, uint64_t now_ms,
	struct slice *ret_answer);

/* The request has been answered: `answer` is whatever the caller needs to answer again, DEDUPE_ANSWER_MAX bytes at most,
 * copied. Nothing happens if it is not there any more, or its id means another one now. */
void dedupe_answer(struct dedupe *dedupe, struct slice peer, uint16_t message_id, uint64_t hash, struct slice answer);
/* Nothing became of the request: should it come again, it is new. */
void dedupe_forget(struct dedupe *dedupe, struct slice peer, uint16_t message_id, uint64_t hash);

/* Lets go what has expired; dedupe_enter does so too. */
void dedupe_expire(struct dedupe *dedupe, uint64_t now_ms);

#endif
