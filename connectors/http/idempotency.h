/* SPDX-License-Identifier: Apache-2.0
 *
 * The names of things that are repeated, as they stand in requests: the id of a delivery or a batch
 * (connectors/common/delivery_id.h), and the key by which a request is known that comes again.
 *
 * Pure functions but for the random id; any thread.
 */
#ifndef LINKSPAN_CONNECTORS_HTTP_IDEMPOTENCY_H
#define LINKSPAN_CONNECTORS_HTTP_IDEMPOTENCY_H

#include "connectors/common/delivery_id.h"
#include "connectors/connector.h"

/* --- out -------------------------------------------------------------------------------------------------------------- */

/* A delivery's id between quotes. */
#define IDEMPOTENCY_QUOTED_SIZE (DELIVERY_ID_SIZE + 2)

/* As the value of Idempotency-Key: a string of RFC 8941 §3.3.3. */
size_t idempotency_quote(const char *id, char ret_value[IDEMPOTENCY_QUOTED_SIZE]);

/* --- in --------------------------------------------------------------------------------------------------------------- */

#define IDEMPOTENCY_KEY_MAX 255 /* bytes, without quotes and escapes */

/* Reads the value of Idempotency-Key or webhook-id: a string between quotes (RFC 8941 §3.3.3), or bare visible ASCII
 * without `"`, `,` and `\`. NULL and the key, or what is wrong, one static sentence. ret_key is not NUL-terminated. */
const char *idempotency_key_parse(struct slice value, uint8_t ret_key[IDEMPOTENCY_KEY_MAX], size_t *ret_len);

/* What the key counts for. identity: NULL or "": nobody in particular. 0 or -ENOMEM. */
int idempotency_scope(const char *listener, const char *identity, struct slice path, struct slice key,
	uint8_t ret_scope[LINK_KEY_LEN]) __attribute__((warn_unused_result));
/* Of the bytes that came with it (struct state_change, hash). Never 0. */
uint64_t idempotency_body_hash(const uint8_t scope[LINK_KEY_LEN], struct slice body);

#define IDEMPOTENCY_IN_SIZE 33 /* 32 hexadecimal digits and a NUL */
/* The id that a request with that key is answered with, each time. */
void idempotency_request_id(const uint8_t scope[LINK_KEY_LEN], char ret_id[IDEMPOTENCY_IN_SIZE]);
/* For a request without a key. 0, or -EIO: no randomness. */
int idempotency_random_id(char ret_id[IDEMPOTENCY_IN_SIZE]) __attribute__((warn_unused_result));

#endif
