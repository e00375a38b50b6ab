/* SPDX-License-Identifier: Apache-2.0
 *
 * Signing as Standard Webhooks says.
 */
#include "connectors/http/signature.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "connectors/http/signature_keys.h"

#define SHA256_LEN    32
#define ENCODED_LEN   44 /* of so many bytes in base64 */
#define SIGNATURE_LEN (3 + ENCODED_LEN) /* v1, */

struct signer {
	struct signature_keys keys;
};

const char *signer_check(const char *secrets)
{
	return signature_keys_check(secrets, SECRET_WHSEC);
}

int signer_new(const char *secrets, struct signer **ret_signer)
{
	struct signer *signer = calloc(1, sizeof *signer);
	if (!signer)
		return -ENOMEM;
	int err = signature_keys_init(&signer->keys, secrets, SECRET_WHSEC, SIGNATURE_SHA256);
	if (err)
		free(signer);
	else
		*ret_signer = signer;
	return err;
}

void signer_free(struct signer *signer)
{
	if (!signer)
		return;
	signature_keys_clear(&signer->keys);
	free(signer);
}

static bool update(EVP_MAC_CTX *ctx, const struct slice *parts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (parts[i].len && EVP_MAC_update(ctx, parts[i].data, parts[i].len) != 1)
			return false;
	return true;
}

/* Writes SIGNATURE_LEN characters and a NUL. */
static bool sign_one(EVP_MAC_CTX *ctx, const struct slice *before, size_t n_before, const struct slice *parts,
	size_t n_parts, char *out)
{
	uint8_t mac[SHA256_LEN];
	size_t len = 0;
	bool ok = ctx && update(ctx, before, n_before) && update(ctx, parts, n_parts) &&
		  EVP_MAC_final(ctx, mac, &len, sizeof mac) == 1 && len == sizeof mac;
	EVP_MAC_CTX_free(ctx);
	if (!ok)
		return false;
	memcpy(out, "v1,", 3);
	EVP_EncodeBlock((unsigned char *)out + 3, mac, sizeof mac);
	return true;
}

int signer_sign(const struct signer *signer, struct slice id, uint64_t timestamp_s, const struct slice *parts,
	size_t n_parts, char ret_value[SIGNATURE_VALUE_SIZE])
{
	char timestamp[24], value[SIGNATURE_VALUE_SIZE] = ""; /* nothing of it comes out before all is well */
	int len = snprintf(timestamp, sizeof timestamp, ".%llu.", (unsigned long long)timestamp_s);
	const struct slice before[] = {id, slice_of(timestamp, (size_t)len)};
	char *at = value;
	for (size_t i = 0; i < signer->keys.n; i++) {
		if (i > 0)
			*at++ = ' ';
		if (!sign_one(signature_keys_begin(&signer->keys, i), before, 2, parts, n_parts, at))
			return -ENOMEM;
		at += SIGNATURE_LEN;
	}
	memcpy(ret_value, value, (size_t)(at - value) + 1);
	return 0;
}
