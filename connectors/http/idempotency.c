/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys as they stand in headers, and the hashes that are kept of them.
 */
#include "connectors/http/idempotency.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/random.h>

#include "message/endian.h"
#include "message/siphash.h"

/* --- out ---------------------------------------------------------------------------------------------------------- */

size_t idempotency_quote(const char *id, char ret_value[IDEMPOTENCY_QUOTED_SIZE])
{
	size_t len = strlen(id);
	ret_value[0] = '"';
	memcpy(ret_value + 1, id, len);
	memcpy(ret_value + 1 + len, "\"", 2);
	return len + 2;
}

/* --- the key of a request ----------------------------------------------------------------------------------------- */

static const char too_long[] = "an idempotency key has at most 255 characters";
static const char empty[] = "an idempotency key has at least one character";

static struct slice trimmed(struct slice text)
{
	while (text.len && (text.data[0] == ' ' || text.data[0] == '\t'))
		text = slice_of(text.data + 1, text.len - 1);
	while (text.len && (text.data[text.len - 1] == ' ' || text.data[text.len - 1] == '\t'))
		text.len--;
	return text;
}

/* What follows the first quote. */
static const char *parse_quoted(struct slice text, uint8_t *ret_key, size_t *ret_len)
{
	size_t n = 0;
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.data[i];
		if (c == '"') {
			if (i + 1 != text.len)
				return "nothing may follow the closing quote of an idempotency key";
			*ret_len = n;
			return n ? NULL : empty;
		}
		if (c == '\\') {
			if (++i == text.len || (text.data[i] != '"' && text.data[i] != '\\'))
				return "in an idempotency key between quotes, \\ stands before \" or \\ only";
			c = text.data[i];
		}
		if (c < 0x20 || c > 0x7e)
			return "an idempotency key between quotes is printable ASCII";
		if (n == IDEMPOTENCY_KEY_MAX)
			return too_long;
		ret_key[n++] = c;
	}
	return "the closing quote of the idempotency key is missing";
}

static const char *parse_bare(struct slice text, uint8_t *ret_key, size_t *ret_len)
{
	if (text.len > IDEMPOTENCY_KEY_MAX)
		return too_long;
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.data[i];
		if (c <= 0x20 || c > 0x7e || c == '"' || c == ',' || c == '\\')
			return "an idempotency key without quotes is visible ASCII without \" , and \\";
	}
	memcpy(ret_key, text.data, text.len);
	*ret_len = text.len;
	return NULL;
}

const char *idempotency_key_parse(struct slice value, uint8_t ret_key[IDEMPOTENCY_KEY_MAX], size_t *ret_len)
{
	value = trimmed(value);
	if (value.len == 0)
		return empty;
	if (value.data[0] == '"')
		return parse_quoted(slice_of(value.data + 1, value.len - 1), ret_key, ret_len);
	return parse_bare(value, ret_key, ret_len);
}

/* --- what is made of it ------------------------------------------------------------------------------------------- */

static bool add_part(EVP_MD_CTX *ctx, struct slice part)
{
	uint8_t size[8];
	put_u64(size, part.len); /* so that no two lists of parts give one text */
	return EVP_DigestUpdate(ctx, size, sizeof size) == 1 &&
	       (part.len == 0 || EVP_DigestUpdate(ctx, part.data, part.len) == 1);
}

int idempotency_scope(const char *listener, const char *identity, struct slice path, struct slice key,
	uint8_t ret_scope[LINK_KEY_LEN])
{
	const struct slice parts[] = {slice_str(listener), slice_str(identity), path, key};
	uint8_t hash[EVP_MAX_MD_SIZE];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1;
	for (size_t i = 0; i < sizeof parts / sizeof parts[0] && ok; i++)
		ok = add_part(ctx, parts[i]);
	ok = ok && EVP_DigestFinal_ex(ctx, hash, NULL) == 1;
	EVP_MD_CTX_free(ctx);
	if (!ok)
		return -ENOMEM;
	memcpy(ret_scope, hash, LINK_KEY_LEN);
	return 0;
}

uint64_t idempotency_body_hash(const uint8_t scope[LINK_KEY_LEN], struct slice body)
{
	uint8_t hash[SIPHASH_LEN];
	siphash(scope, body, hash);
	uint64_t number = get_u64(hash);
	return number ? number : 1;
}

static void write_hex(const uint8_t bytes[16], char ret_id[IDEMPOTENCY_IN_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < 16; i++) {
		ret_id[2 * i] = digits[bytes[i] >> 4];
		ret_id[2 * i + 1] = digits[bytes[i] & 15];
	}
	ret_id[32] = '\0';
}

void idempotency_request_id(const uint8_t scope[LINK_KEY_LEN], char ret_id[IDEMPOTENCY_IN_SIZE])
{
	static const uint8_t purpose[SIPHASH_KEY_LEN] = "id of a request";
	uint8_t hash[SIPHASH_LEN];
	siphash(purpose, slice_of(scope, LINK_KEY_LEN), hash);
	write_hex(hash, ret_id);
}

int idempotency_random_id(char ret_id[IDEMPOTENCY_IN_SIZE])
{
	uint8_t bytes[16];
	if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
		return -EIO;
	write_hex(bytes, ret_id);
	return 0;
}
