/* SPDX-License-Identifier: Apache-2.0
 *
 * The list is read each time: it is short, and hexadecimal digits cost less than the hash.
 */
#include "connectors/http/token_hash.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "connectors/http/signature_keys.h"

#define BLANKS " \t\r\n"

static bool next_hash(const char **rest, struct slice *ret_text)
{
	*rest += strspn(*rest, BLANKS);
	size_t len = strcspn(*rest, BLANKS);
	*ret_text = slice_of(*rest, len);
	*rest += len;
	return len > 0;
}

static bool read_hash(struct slice text, uint8_t out[TOKEN_HASH_LEN])
{
	static const char prefix[] = "sha256:";
	size_t len = strlen(prefix);
	return text.len > len && memcmp(text.data, prefix, len) == 0 &&
	       signature_hex(slice_of(text.data + len, text.len - len), out, TOKEN_HASH_LEN) == TOKEN_HASH_LEN;
}

const char *token_hash_check(const char *hashes)
{
	struct slice text;
	uint8_t hash[TOKEN_HASH_LEN], of_nothing[TOKEN_HASH_LEN];
	size_t n = 0;
	token_hash_of(slice_str(""), of_nothing);
	for (; next_hash(&hashes, &text); n++) {
		if (!read_hash(text, hash))
			return "this is no hash of a token; write sha256: and the 64 digits that `printf %s TOKEN | "
			       "sha256sum` "
			       "prints";
		if (memcmp(hash, of_nothing, sizeof hash) == 0)
			return "this is the hash of an empty text, which everybody knows: a variable was not set; hash "
			       "a long random token";
	}
	return n ? NULL : "there is no hash; write sha256: and the 64 digits that `printf %s TOKEN | sha256sum` prints";
}

void token_hash_of(struct slice token, uint8_t ret_hash[TOKEN_HASH_LEN])
{
	SHA256(token.len ? token.data : (const uint8_t *)"", token.len, ret_hash);
}

bool token_hash_is_one_of(const uint8_t hash[TOKEN_HASH_LEN], const char *hashes)
{
	struct slice text;
	uint8_t known[TOKEN_HASH_LEN];
	bool found = false;
	while (next_hash(&hashes, &text))
		found |= read_hash(text, known) && CRYPTO_memcmp(known, hash, TOKEN_HASH_LEN) == 0;
	return found;
}
