/* SPDX-License-Identifier: Apache-2.0
 *
 * Which hosts the keys are of that a listener has in the journal (RFC 7252 §4.5; dedupe.h has those that are in memory). The
 * journal counts keys and knows no hosts; so it is noted here which host has taken one, for as long as the key lives. What an
 * earlier process has taken is nobody's, until it expires.
 *
 * Eight bytes a key. One thread at a time; the clock is the caller's, any that does not go back.
 */
#ifndef LINKSPAN_CONNECTORS_COAP_KEY_SHARES_H
#define LINKSPAN_CONNECTORS_COAP_KEY_SHARES_H

#include "message/slice.h"

struct key_shares;

/* 0 or -ENOMEM. */
int key_shares_new(struct key_shares **ret_keys) __attribute__((warn_unused_result));
void key_shares_free(struct key_shares *keys); /* NULL is allowed */

/* May that host have one more, with room for so many left in the journal? */
bool key_shares_may_take(struct key_shares *keys, struct slice host, uint64_t room, uint64_t now_ms);
/* It has one more. is_con: which of the two lifetimes (dedupe.h) it has. Without memory it is not counted. */
void key_shares_take(struct key_shares *keys, struct slice host, bool is_con, uint64_t now_ms);

#endif
