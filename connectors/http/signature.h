/* SPDX-License-Identifier: Apache-2.0
 *
 * Signatures of webhooks by a shared secret (HMAC): made as Standard Webhooks says, and verified in that style and in those
 * of GitHub, Stripe and whoever else signs a body with a header. Keys are scheduled once; a signature costs two
 * hashes of the text. Comparisons take the same time whatever they find.
 *
 * A secret that is repeated within the tolerance is not seen here: that is the idempotency key's business.
 *
 * Pure: no I/O, no clock; one thread at a time for each object.
 */
#ifndef LINKSPAN_CONNECTORS_HTTP_SIGNATURE_H
#define LINKSPAN_CONNECTORS_HTTP_SIGNATURE_H

#include "message/slice.h"

/* Secrets in one text (rotation): those of Standard Webhooks separated by white space, others on lines of their own. */
#define SIGNATURE_MAX_SECRETS 8
/* Of the value of webhook-signature, NUL included. */
#define SIGNATURE_VALUE_SIZE (SIGNATURE_MAX_SECRETS * 48 + 1)

/* --- signing: Standard Webhooks ------------------------------------------------------------------------------------- */

struct signer;

/* NULL if these are secrets of Standard Webhooks (`whsec_` and base64 of 16 to 128 bytes; one or several, separated by
 * spaces), else what is wrong and what would be right, one static sentence that shows nothing of them. */
const char *signer_check(const char *secrets);
/* 0; -EINVAL: see signer_check; -ENOMEM. */
int signer_new(const char *secrets, struct signer **ret_signer) __attribute__((warn_unused_result));
void signer_free(struct signer *signer); /* NULL is allowed */

/* Writes the value of `webhook-signature`: one `v1,…` for each secret. id: the value of webhook-id; timestamp_s: that of
 * webhook-timestamp, seconds since the epoch, of this attempt. The body is the parts, one after the other. 0 or -ENOMEM. */
int signer_sign(const struct signer *signer, struct slice id, uint64_t timestamp_s, const struct slice *parts,
	size_t n_parts, char ret_value[SIGNATURE_VALUE_SIZE]) __attribute__((warn_unused_result));

/* --- verifying -------------------------------------------------------------------------------------------------------- */

enum signature_style {
	SIGNATURE_STANDARD, /* webhook-id, webhook-timestamp, webhook-signature: v1,base64 … over `id.timestamp.body` */
	SIGNATURE_GITHUB, /* X-Hub-Signature-256: sha256=hex over the body; the secret as it is written */
	SIGNATURE_STRIPE, /* Stripe-Signature: t=…,v1=hex,… over `t.body`; the secret as it is written, whsec_ included */
	SIGNATURE_HMAC, /* as struct signature_format says */
};
enum signature_hash { SIGNATURE_SHA256, SIGNATURE_SHA1, SIGNATURE_SHA512 };
enum signature_encoding { SIGNATURE_HEX, SIGNATURE_BASE64 };

/* SIGNATURE_HMAC. The strings live as long as the verifier. */
struct signature_format {
	const char *header;
	const char *prefix; /* what stands before the signature in the header; NULL: nothing */
	enum signature_hash hash;
	enum signature_encoding encoding;
	const char *timestamp_header; /* seconds (or, with 13 digits, milliseconds) since the epoch; NULL: none */
	const char
		*signed_text; /* with {body} once and {timestamp} at most once: `{timestamp}.{body}`. NULL: the body */
};
/* NULL or what is wrong, one static sentence. *ret_member: which member it is about, by its name above. */
const char *signature_format_check(const struct signature_format *format, const char **ret_member);

struct verifier;

/* NULL or what is wrong with the secrets, as signer_check. */
const char *verifier_check(enum signature_style style, const char *secrets);
/* tolerance_s: how far the timestamp may be from now, in both directions; styles without one have none. format: for
 * SIGNATURE_HMAC, else NULL; borrowed. 0; -EINVAL: see the checks; -ENOMEM. */
int verifier_new(enum signature_style style, const char *secrets, const struct signature_format *format,
	uint64_t tolerance_s, struct verifier **ret_verifier) __attribute__((warn_unused_result));
void verifier_free(struct verifier *verifier); /* NULL is allowed */
/* The header whose presence says that a request is signed in that style. */
const char *verifier_header(const struct verifier *verifier);

/* The value of a request's header of that name (any case), absent if there is none; borrowed. */
typedef struct slice (*signature_header_fn)(void *arg, const char *name);

enum signature_verdict {
	SIGNATURE_GOOD,
	SIGNATURE_ABSENT, /* a header that the style needs is not there */
	SIGNATURE_MALFORMED,
	SIGNATURE_OLD, /* or from the future: the timestamp is outside of the tolerance */
	SIGNATURE_WRONG,
};
const char *signature_verdict_text(enum signature_verdict verdict); /* one static sentence, for people */

/* The verification of one request: begins with its headers, takes the body in pieces, ends with the verdict. */
struct verification;
/* Reads the headers, of which nothing is kept but the signatures. now_s: seconds since the epoch. SIGNATURE_GOOD: *ret is
 * a verification, to be ended; any other verdict is final (memory that is out counts as SIGNATURE_WRONG). */
enum signature_verdict verification_begin(const struct verifier *verifier, signature_header_fn header, void *arg,
	uint64_t now_s, struct verification **ret) __attribute__((warn_unused_result));
void verification_add(struct verification *verification, struct slice piece);
/* Frees it. */
enum signature_verdict verification_end(struct verification *verification) __attribute__((warn_unused_result));
void verification_drop(struct verification *verification); /* frees it without a verdict; NULL is allowed */

/* All at once. */
enum signature_verdict verifier_verify(const struct verifier *verifier, signature_header_fn header, void *arg,
	struct slice body, uint64_t now_s) __attribute__((warn_unused_result));

#endif
