/* SPDX-License-Identifier: Apache-2.0
 *
 * Being written.
 */
#include "connectors/http/signature.h"

#include <errno.h>

const char *signer_check(const char *secrets)
{
	(void)secrets;
	return NULL;
}
int signer_new(const char *secrets, struct signer **ret)
{
	(void)secrets, (void)ret;
	return -ENOMEM;
}
void signer_free(struct signer *signer)
{
	(void)signer;
}
int signer_sign(const struct signer *signer, struct slice id, uint64_t timestamp_s, const struct slice *parts,
	size_t n_parts, char ret_value[SIGNATURE_VALUE_SIZE])
{
	(void)signer, (void)id, (void)timestamp_s, (void)parts, (void)n_parts, (void)ret_value;
	return -ENOMEM;
}
const char *signature_format_check(const struct signature_format *format, const char **ret_member)
{
	(void)format, (void)ret_member;
	return NULL;
}
const char *verifier_check(enum signature_style style, const char *secrets)
{
	(void)style, (void)secrets;
	return NULL;
}
int verifier_new(enum signature_style style, const char *secrets, const struct signature_format *format,
	uint64_t tolerance_s, struct verifier **ret_verifier)
{
	(void)style, (void)secrets, (void)format, (void)tolerance_s, (void)ret_verifier;
	return -ENOMEM;
}
void verifier_free(struct verifier *verifier)
{
	(void)verifier;
}
const char *verifier_header(const struct verifier *verifier)
{
	(void)verifier;
	return "";
}
const char *signature_verdict_text(enum signature_verdict verdict)
{
	(void)verdict;
	return "";
}
enum signature_verdict verification_begin(const struct verifier *verifier, signature_header_fn header, void *arg,
	uint64_t now_s, struct verification **ret)
{
	(void)verifier, (void)header, (void)arg, (void)now_s, (void)ret;
	return SIGNATURE_WRONG;
}
void verification_add(struct verification *verification, struct slice piece)
{
	(void)verification, (void)piece;
}
enum signature_verdict verification_end(struct verification *verification)
{
	(void)verification;
	return SIGNATURE_WRONG;
}
void verification_drop(struct verification *verification)
{
	(void)verification;
}
enum signature_verdict verifier_verify(
	const struct verifier *verifier, signature_header_fn header, void *arg, struct slice body, uint64_t now_s)
{
	(void)verifier, (void)header, (void)arg, (void)body, (void)now_s;
	return SIGNATURE_WRONG;
}
