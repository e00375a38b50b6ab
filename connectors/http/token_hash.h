/* SPDX-License-Identifier: Apache-2.0
 *
 * Tokens that are known by their SHA-256: right for long random ones, which nobody can guess however fast the hash is.
 *
 * Pure functions; any thread.
 */
#ifndef LINKSPAN_CONNECTORS_HTTP_TOKEN_HASH_H
#define LINKSPAN_CONNECTORS_HTTP_TOKEN_HASH_H

#include "message/slice.h"

#define TOKEN_HASH_LEN 32

/* NULL if these are hashes, `sha256:` and 64 hexadecimal digits, one or several with white space between them; else what
 * is wrong and what would be right, one static sentence. */
const char *token_hash_check(const char *hashes);
void token_hash_of(struct slice token, uint8_t ret_hash[TOKEN_HASH_LEN]);
/* Is it one of them? Takes the same time whichever it is. */
bool token_hash_is_one_of(const uint8_t hash[TOKEN_HASH_LEN], const char *hashes);

#endif
