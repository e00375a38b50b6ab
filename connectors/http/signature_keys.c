/* SPDX-License-Identifier: Apache-2.0
 *
 * From secrets to contexts of EVP_MAC. What holds a secret here is wiped.
 */
#include "connectors/http/signature_keys.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>

#define WHSEC           "whsec_"
#define KEY_LEAST_BYTES 16u /* the specification says 24 to 64 */
#define KEY_MOST_BYTES  128u
#define TEXT_MOST_BYTES 512u

/* --- encodings ---------------------------------------------------------------------------------------------------- */

static int base64_digit(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static size_t without_padding(struct slice text)
{
	size_t len = text.len;
	if (len % 4 != 0)
		return len;
	for (int i = 0; i < 2 && len > 0 && text.data[len - 1] == '='; i++)
		len--;
	return len;
}

size_t signature_base64(struct slice text, uint8_t *out, size_t size)
{
	size_t len = without_padding(text), n = 0;
	uint32_t bits = 0;
	unsigned n_bits = 0;
	if (len % 4 == 1 || len / 4 * 3 > size)
		return SIZE_MAX;
	for (size_t i = 0; i < len; i++) {
		int digit = base64_digit(text.data[i]);
		if (digit < 0)
			return SIZE_MAX;
		bits = bits << 6 | (uint32_t)digit;
		n_bits += 6;
		if (n_bits < 8)
			continue;
		if (n == size)
			return SIZE_MAX;
		n_bits -= 8;
		out[n++] = (uint8_t)(bits >> n_bits);
	}
	/* Bits that belong to no byte must be 0: one text for each key. */
	return bits & ((1u << n_bits) - 1) ? SIZE_MAX : n;
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

size_t signature_hex(struct slice text, uint8_t *out, size_t size)
{
	if (text.len % 2 || text.len / 2 > size)
		return SIZE_MAX;
	for (size_t i = 0; i < text.len; i += 2) {
		int high = hex_digit(text.data[i]), low = hex_digit(text.data[i + 1]);
		if (high < 0 || low < 0)
			return SIZE_MAX;
		out[i / 2] = (uint8_t)(high << 4 | low);
	}
	return text.len / 2;
}

/* --- secrets ------------------------------------------------------------------------------------------------------ */

/* What a person has thought of may have spaces in it. */
static bool next_secret(const char **rest, enum secret_form form, struct slice *ret_secret)
{
	const char *separators = form == SECRET_TEXT ? "\r\n" : " \t\r\n";
	*rest += strspn(*rest, separators);
	size_t len = strcspn(*rest, separators);
	*ret_secret = slice_of(*rest, len);
	*rest += len;
	return len > 0;
}

/* NULL, and the key in a buffer of TEXT_MOST_BYTES; or what is wrong. */
static const char *read_secret(struct slice secret, enum secret_form form, uint8_t *key, size_t *ret_len)
{
	if (form == SECRET_TEXT) {
		if (secret.len > TEXT_MOST_BYTES)
			return "a secret has at most 512 characters";
		memcpy(key, secret.data, secret.len);
		*ret_len = secret.len;
		return NULL;
	}
	size_t prefix = strlen(WHSEC);
	if (secret.len < prefix || memcmp(secret.data, WHSEC, prefix) != 0)
		return "a secret of Standard Webhooks begins with whsec_, and the base64 of 24 to 64 random bytes "
		       "follows";
	size_t len = signature_base64(slice_of(secret.data + prefix, secret.len - prefix), key, KEY_MOST_BYTES);
	if (len == SIZE_MAX)
		return "what follows whsec_ is not base64 of at most 128 bytes; `openssl rand -base64 32` makes a good "
		       "one";
	if (len < KEY_LEAST_BYTES)
		return "the secret is too short: 24 to 64 random bytes are right, `openssl rand -base64 32` makes them";
	*ret_len = len;
	return NULL;
}

const char *signature_keys_check(const char *secrets, enum secret_form form)
{
	uint8_t key[TEXT_MOST_BYTES];
	size_t n = 0, len;
	struct slice secret;
	const char *wrong = NULL;
	while (!wrong && next_secret(&secrets, form, &secret)) {
		wrong = ++n > SIGNATURE_MAX_SECRETS ? "there are more than 8 secrets; a rotation needs two"
						    : read_secret(secret, form, key, &len);
	}
	OPENSSL_cleanse(key, sizeof key);
	return wrong ? wrong : n == 0 ? "there is no secret; write at least one" : NULL;
}

static const char *hash_name(enum signature_hash hash)
{
	return hash == SIGNATURE_SHA1 ? "SHA1" : hash == SIGNATURE_SHA512 ? "SHA512" : "SHA256";
}

static EVP_MAC_CTX *new_context(const uint8_t *key, size_t len, enum signature_hash hash)
{
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *ctx = mac ? EVP_MAC_CTX_new(mac) : NULL;
	EVP_MAC_free(mac); /* the context holds it */
	char name[8];
	snprintf(name, sizeof name, "%s", hash_name(hash));
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
		OSSL_PARAM_construct_end(),
	};
	if (ctx && EVP_MAC_init(ctx, key, len, params) != 1) {
		EVP_MAC_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

int signature_keys_init(
	struct signature_keys *keys, const char *secrets, enum secret_form form, enum signature_hash hash)
{
	*keys = (struct signature_keys){0};
	if (signature_keys_check(secrets, form))
		return -EINVAL;
	uint8_t key[TEXT_MOST_BYTES];
	size_t len = 0;
	struct slice secret;
	int err = 0;
	while (!err && next_secret(&secrets, form, &secret)) {
		if (read_secret(secret, form, key, &len)) {
			err = -EINVAL;
			break;
		}
		EVP_MAC_CTX *ctx = new_context(key, len, hash);
		if (ctx)
			keys->contexts[keys->n++] = ctx;
		else
			err = -ENOMEM;
	}
	OPENSSL_cleanse(key, sizeof key);
	if (err)
		signature_keys_clear(keys);
	return err;
}

void signature_keys_clear(struct signature_keys *keys)
{
	for (size_t i = 0; i < keys->n; i++)
		EVP_MAC_CTX_free(keys->contexts[i]);
	keys->n = 0;
}

EVP_MAC_CTX *signature_keys_begin(const struct signature_keys *keys, size_t i)
{
	return EVP_MAC_CTX_dup(keys->contexts[i]);
}
