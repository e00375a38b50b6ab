/* SPDX-License-Identifier: Apache-2.0
 *
 * Names in here are those of RFC 5802 §3. The password is taken as its UTF-8 bytes, as Kafka's own client and brokers do,
 * without SASLprep.
 */
#include "connectors/kafka/scram.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#define MESSAGE_SIZE   2048 /* of each of the three texts */
#define NONCE_BYTES    24
#define MOST_SALT      256
#define MOST_HASH      EVP_MAX_MD_SIZE
#define BASE64_SIZE(n) (((n) + 2) / 3 * 4 + 1)

struct scram {
	const EVP_MD *md;
	char *password;
	char nonce[BASE64_SIZE(NONCE_BYTES)];
	char first[MESSAGE_SIZE]; /* with "n,," before it */
	char final[MESSAGE_SIZE];
	uint8_t server_signature[MOST_HASH];
};

/* RFC 5802 §5.1: '=' and ',' in a name. False: does not fit. */
static bool write_name(char *out, size_t size, const char *user)
{
	size_t used = 0;
	for (; *user; user++) {
		if (used + 4 > size)
			return false;
		if (*user == '=' || *user == ',')
			used += (size_t)snprintf(out + used, size - used, "%s", *user == '=' ? "=3D" : "=2C");
		else
			out[used++] = *user;
	}
	out[used] = '\0';
	return true;
}

static bool make_nonce(struct scram *scram, const char *nonce)
{
	uint8_t random[NONCE_BYTES];
	if (nonce)
		return (size_t)snprintf(scram->nonce, sizeof scram->nonce, "%s", nonce) < sizeof scram->nonce;
	if (RAND_bytes(random, sizeof random) != 1)
		return false;
	EVP_EncodeBlock((unsigned char *)scram->nonce, random, sizeof random); /* no ',' among its letters */
	return true;
}

struct scram *scram_new(bool sha512, const char *user, const char *password, const char *nonce)
{
	struct scram *scram = calloc(1, sizeof *scram);
	char name[MESSAGE_SIZE / 2];
	if (!scram)
		return NULL;
	scram->md = sha512 ? EVP_sha512() : EVP_sha256();
	scram->password = strdup(password);
	if (!scram->password || !make_nonce(scram, nonce) || !write_name(name, sizeof name, user)) {
		scram_free(scram);
		return NULL;
	}
	snprintf(scram->first, sizeof scram->first, "n,,n=%s,r=%s", name, scram->nonce);
	return scram;
}

void scram_free(struct scram *scram)
{
	if (!scram)
		return;
	if (scram->password)
		OPENSSL_cleanse(scram->password, strlen(scram->password));
	free(scram->password);
	OPENSSL_cleanse(scram, sizeof *scram);
	free(scram);
}

const char *scram_first(struct scram *scram)
{
	return scram->first;
}

/* Takes `x=value` off the front of *text, and the comma before it if it is not the first. Absent: it is not there. */
static struct slice take(struct slice *text, char name, bool first)
{
	struct slice value = {.data = NULL};
	const uint8_t *at = text->data, *end = text->data + text->len;
	if (!first && (at == end || *at++ != ','))
		return value;
	if (end - at < 3 || at[0] != (uint8_t)name || at[1] != '=')
		return value;
	const uint8_t *comma = memchr(at, ',', (size_t)(end - at));
	value = (struct slice){at + 2, (size_t)((comma ? comma : end) - at) - 2};
	*text = (struct slice){comma ? comma : end, comma ? (size_t)(end - comma) : 0};
	return value;
}

/* The number of bytes, -1: not base64, or too long. */
static int decode(struct slice text, uint8_t *out, size_t size)
{
	if (text.len == 0 || text.len % 4 != 0 || text.len / 4 * 3 > size)
		return -1;
	int n = EVP_DecodeBlock(out, text.data, (int)text.len);
	for (size_t i = text.len; n > 0 && i > text.len - 2 && text.data[i - 1] == '='; i--)
		n--;
	return n;
}

static bool hmac(const struct scram *scram, const uint8_t *key, const char *text, uint8_t *out)
{
	return HMAC(scram->md, key, EVP_MD_get_size(scram->md), (const unsigned char *)text, strlen(text), out, NULL) !=
	       NULL;
}

/* ClientProof, and the ServerSignature for later. */
static bool prove(struct scram *scram, const uint8_t *salt, int salt_len, long iterations, const char *auth_message,
	uint8_t *proof)
{
	int size = EVP_MD_get_size(scram->md);
	uint8_t salted[MOST_HASH], key[MOST_HASH], stored[MOST_HASH], signature[MOST_HASH];
	bool good = PKCS5_PBKDF2_HMAC(scram->password, (int)strlen(scram->password), salt, salt_len, (int)iterations,
			    scram->md, size, salted) == 1 &&
		    hmac(scram, salted, "Client Key", key) &&
		    EVP_Digest(key, (size_t)size, stored, NULL, scram->md, NULL) == 1 &&
		    hmac(scram, stored, auth_message, signature);
	for (int i = 0; good && i < size; i++)
		proof[i] = key[i] ^ signature[i];
	good = good && hmac(scram, salted, "Server Key", key) &&
	       hmac(scram, key, auth_message, scram->server_signature);
	OPENSSL_cleanse(salted, sizeof salted);
	OPENSSL_cleanse(key, sizeof key);
	return good;
}

static long read_iterations(struct slice text)
{
	long n = 0;
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < '0' || text.data[i] > '9' || n > SCRAM_MOST_ITERATIONS)
			return -1;
		n = n * 10 + (text.data[i] - '0');
	}
	return n;
}

const char *scram_final(struct scram *scram, struct slice server_first)
{
	struct slice rest = server_first;
	struct slice nonce = take(&rest, 'r', true), salt_text = take(&rest, 's', false),
		     count = take(&rest, 'i', false);
	uint8_t salt[MOST_SALT], proof[MOST_HASH];
	long iterations = count.data ? read_iterations(count) : -1;
	int salt_len = salt_text.data ? decode(salt_text, salt, sizeof salt) : -1;
	size_t own = strlen(scram->nonce);
	if (!nonce.data || nonce.len <= own || memcmp(nonce.data, scram->nonce, own) != 0 || salt_len <= 0 ||
		iterations < SCRAM_LEAST_ITERATIONS || iterations > SCRAM_MOST_ITERATIONS ||
		nonce.len > MESSAGE_SIZE / 2 || server_first.len > MESSAGE_SIZE)
		return NULL;
	/* "biws": base64 of "n,,". librdkafka before 2.6.1 puts its own nonce before this one, which has it already. */
	char without_proof[MESSAGE_SIZE], auth_message[3 * MESSAGE_SIZE + 3];
	snprintf(without_proof, sizeof without_proof, "c=biws,r=%.*s", (int)nonce.len, (const char *)nonce.data);
	snprintf(auth_message, sizeof auth_message, "%s,%.*s,%s", scram->first + 3, (int)server_first.len,
		(const char *)server_first.data, without_proof);
	if (!prove(scram, salt, salt_len, iterations, auth_message, proof))
		return NULL;
	char proof_text[BASE64_SIZE(MOST_HASH)];
	EVP_EncodeBlock((unsigned char *)proof_text, proof, EVP_MD_get_size(scram->md));
	if ((size_t)snprintf(scram->final, sizeof scram->final, "%s,p=%s", without_proof, proof_text) >=
		sizeof scram->final)
		return NULL;
	return scram->final;
}

bool scram_verify(struct scram *scram, struct slice server_final)
{
	uint8_t signature[BASE64_SIZE(MOST_HASH)];
	struct slice rest = server_final, text = take(&rest, 'v', true);
	int size = EVP_MD_get_size(scram->md);
	return text.data && scram->final[0] && decode(text, signature, sizeof signature) == size &&
	       CRYPTO_memcmp(signature, scram->server_signature, (size_t)size) == 0;
}
