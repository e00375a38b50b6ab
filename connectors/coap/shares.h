/* SPDX-License-Identifier: Apache-2.0
 *
 * How much of a common room each holder has, so that none takes all of it: whoever has something already may have at most so
 * many times as much as is left. There is always something for others, and nobody is stopped as long as there is plenty.
 *
 * A holder is a name of a few bytes (a host's address; an empty one for all that nobody has validated), and costs memory only
 * while it has something. One thread at a time.
 */
#ifndef LINKSPAN_CONNECTORS_COAP_SHARES_H
#define LINKSPAN_CONNECTORS_COAP_SHARES_H

#include "message/slice.h"

#define SHARES_FACTOR 8u

struct shares;

/* 0 or -ENOMEM. */
int shares_new(struct shares **ret_shares) __attribute__((warn_unused_result));
void shares_free(struct shares *shares); /* NULL is allowed */

/* May it have one more, with room for that many left? */
bool shares_may_take(const struct shares *shares, struct slice holder, uint64_t room);
/* It has one more. A number for shares_give; 0: no memory, and it is not counted. */
uint32_t shares_take(struct shares *shares, struct slice holder);
void shares_give(struct shares *shares, uint32_t number); /* 0 is allowed */

#endif
