/* SPDX-License-Identifier: Apache-2.0
 *
 * Verifying: a style says where the signatures and the timestamp stand and what was signed; the rest is common.
 */
#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>

#include "connectors/http/signature.h"
#include "connectors/http/signature_keys.h"

#define MAC_MOST_BYTES  64 /* SHA-512 */
#define MAX_CANDIDATES  16 /* signatures in one header */
#define MAX_TIMESTAMP   20 /* digits */
#define MAX_SIGNED_TEXT 256 /* a template, without what is put in */
#define MILLISECONDS    UINT64_C(100000000000) /* from here on it is no number of seconds: the year 5138 */
#define BODY            "{body}"
#define TIMESTAMP       "{timestamp}"

static const struct signature_format github = {.header = "x-hub-signature-256", .prefix = "sha256="};

struct verifier {
	enum signature_style style;
	struct signature_keys keys;
	struct signature_format format; /* GITHUB and HMAC */
	struct slice before, after; /* of signed_text, around {body} */
	uint64_t tolerance_s;
};

struct candidate {
	uint8_t bytes[MAC_MOST_BYTES];
	size_t len;
};

struct verification {
	size_t n_macs;
	EVP_MAC_CTX *macs[SIGNATURE_MAX_SECRETS];
	size_t n_candidates;
	struct candidate candidates[MAX_CANDIDATES];
	struct slice after; /* the verifier's */
	char timestamp[MAX_TIMESTAMP + 1]; /* as written */
	bool broken; /* out of memory: cannot be right any more */
};

/* What a request says of its signature. The slices are the request's. */
struct claim {
	struct slice id, timestamp;
	struct candidate *candidates;
	size_t n;
};

/* --- checks and life ---------------------------------------------------------------------------------------------- */

static enum secret_form secret_form(enum signature_style style)
{
	return style == SIGNATURE_STANDARD ? SECRET_WHSEC : SECRET_TEXT;
}

const char *verifier_check(enum signature_style style, const char *secrets)
{
	return signature_keys_check(secrets, secret_form(style));
}

static bool is_token(const char *name)
{
	return *name && strspn(name, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") ==
				strlen(name);
}

static size_t occurrences(const char *text, const char *word)
{
	size_t n = 0;
	for (const char *at = text; (at = strstr(at, word)) != NULL; at += strlen(word))
		n++;
	return n;
}

static const char *check_signed_text(const char *text, bool has_timestamp)
{
	size_t bodies = occurrences(text, BODY), timestamps = occurrences(text, TIMESTAMP), braces = 0;
	for (const char *at = text; *at; at++)
		braces += *at == '{';
	if (strlen(text) > MAX_SIGNED_TEXT)
		return "the text that is signed is too long; 256 characters are enough for {timestamp} and {body} and "
		       "what "
		       "stands between them";
	if (bodies != 1)
		return "the text that is signed must have {body} in it, once";
	if (timestamps > 1 || braces != bodies + timestamps)
		return "the text that is signed may have {timestamp}, once, and {body} in it, and no other braces";
	if (timestamps == 1 && !has_timestamp)
		return "{timestamp} needs timestamp_header, the header that it stands in";
	if (timestamps == 0 && has_timestamp)
		return "a timestamp that is not signed proves nothing; put {timestamp} into the text as well, as "
		       "{timestamp}.{body}";
	return NULL;
}

const char *signature_format_check(const struct signature_format *format, const char **ret_member)
{
	*ret_member = "header";
	if (!format->header)
		return "the header that the signature stands in is missing; name it, as X-Signature";
	if (!is_token(format->header))
		return "this is no name of a header; X-Signature would be one";
	*ret_member = "timestamp_header";
	if (format->timestamp_header && !is_token(format->timestamp_header))
		return "this is no name of a header; X-Timestamp would be one";
	*ret_member = "signed_text";
	return check_signed_text(format->signed_text ? format->signed_text : BODY, format->timestamp_header != NULL);
}

static void split_signed_text(struct verifier *verifier)
{
	const char *text = verifier->format.signed_text ? verifier->format.signed_text : BODY;
	const char *body = strstr(text, BODY);
	verifier->before = slice_of(text, (size_t)(body - text));
	verifier->after = slice_str(body + strlen(BODY));
}

int verifier_new(enum signature_style style, const char *secrets, const struct signature_format *format,
	uint64_t tolerance_s, struct verifier **ret_verifier)
{
	const char *member;
	if (style == SIGNATURE_HMAC && (!format || signature_format_check(format, &member)))
		return -EINVAL;
	struct verifier *verifier = calloc(1, sizeof *verifier);
	if (!verifier)
		return -ENOMEM;
	verifier->style = style;
	verifier->tolerance_s = tolerance_s;
	if (style == SIGNATURE_HMAC)
		verifier->format = *format;
	else if (style == SIGNATURE_GITHUB)
		verifier->format = github;
	split_signed_text(verifier);
	int err = signature_keys_init(&verifier->keys, secrets, secret_form(style), verifier->format.hash);
	if (err)
		free(verifier);
	else
		*ret_verifier = verifier;
	return err;
}

void verifier_free(struct verifier *verifier)
{
	if (!verifier)
		return;
	signature_keys_clear(&verifier->keys);
	free(verifier);
}

const char *verifier_header(const struct verifier *verifier)
{
	switch (verifier->style) {
	case SIGNATURE_STANDARD:
		return "webhook-signature";
	case SIGNATURE_STRIPE:
		return "stripe-signature";
	case SIGNATURE_GITHUB:
	case SIGNATURE_HMAC:
		break;
	}
	return verifier->format.header;
}

const char *signature_verdict_text(enum signature_verdict verdict)
{
	switch (verdict) {
	case SIGNATURE_GOOD:
		return "the signature is right";
	case SIGNATURE_ABSENT:
		return "a header of the signature is missing";
	case SIGNATURE_MALFORMED:
		return "the signature's header is not of its form";
	case SIGNATURE_OLD:
		return "the signature's timestamp is too far from now";
	case SIGNATURE_WRONG:
		break;
	}
	return "the signature is wrong";
}

/* --- headers ------------------------------------------------------------------------------------------------------ */

static struct slice trimmed(struct slice text)
{
	while (text.len && (text.data[0] == ' ' || text.data[0] == '\t'))
		text = slice_of(text.data + 1, text.len - 1);
	while (text.len && (text.data[text.len - 1] == ' ' || text.data[text.len - 1] == '\t'))
		text.len--;
	return text;
}

/* Takes off what stands before the separator. */
static bool next_part(struct slice *rest, char separator, struct slice *ret_part)
{
	if (!rest->data)
		return false;
	const uint8_t *end = rest->len ? memchr(rest->data, separator, rest->len) : NULL;
	size_t len = end ? (size_t)(end - rest->data) : rest->len;
	*ret_part = trimmed(slice_of(rest->data, len));
	*rest = end ? slice_of(end + 1, rest->len - len - 1) : (struct slice){NULL, 0};
	return true;
}

static bool take_prefix(struct slice *text, const char *prefix)
{
	size_t len = strlen(prefix);
	if (text->len < len || memcmp(text->data, prefix, len) != 0)
		return false;
	*text = slice_of(text->data + len, text->len - len);
	return true;
}

/* What is beyond MAX_CANDIDATES is not looked at. False: it is no signature. */
static bool add_candidate(struct claim *claim, struct slice text, enum signature_encoding encoding)
{
	if (claim->n == MAX_CANDIDATES)
		return true;
	struct candidate *candidate = &claim->candidates[claim->n];
	size_t len = encoding == SIGNATURE_BASE64 ? signature_base64(text, candidate->bytes, sizeof candidate->bytes)
						  : signature_hex(text, candidate->bytes, sizeof candidate->bytes);
	if (len == SIZE_MAX || len == 0)
		return false;
	candidate->len = len;
	claim->n++;
	return true;
}

/* A list of `version,signature`; other versions are other people's. */
static enum signature_verdict read_standard(struct claim *claim, signature_header_fn header, void *arg)
{
	struct slice list = header(arg, "webhook-signature"), part;
	claim->id = header(arg, "webhook-id");
	claim->timestamp = trimmed(header(arg, "webhook-timestamp"));
	if (!list.data || claim->id.len == 0 || claim->timestamp.len == 0)
		return SIGNATURE_ABSENT;
	while (next_part(&list, ' ', &part))
		if (take_prefix(&part, "v1,") && !add_candidate(claim, part, SIGNATURE_BASE64))
			return SIGNATURE_MALFORMED;
	return claim->n ? SIGNATURE_GOOD : SIGNATURE_MALFORMED;
}

/* https://docs.stripe.com/webhooks/signature: t=…,v1=…,v1=…,v0=… */
static enum signature_verdict read_stripe(struct claim *claim, signature_header_fn header, void *arg)
{
	struct slice list = header(arg, "stripe-signature"), part;
	if (!list.data)
		return SIGNATURE_ABSENT;
	while (next_part(&list, ',', &part)) {
		if (take_prefix(&part, "t=")) {
			if (claim->timestamp.data)
				return SIGNATURE_MALFORMED; /* which one was signed? */
			claim->timestamp = part;
		} else if (take_prefix(&part, "v1=") && !add_candidate(claim, part, SIGNATURE_HEX)) {
			return SIGNATURE_MALFORMED;
		}
	}
	return claim->n && claim->timestamp.data ? SIGNATURE_GOOD : SIGNATURE_MALFORMED;
}

static enum signature_verdict read_format(
	const struct signature_format *format, struct claim *claim, signature_header_fn header, void *arg)
{
	struct slice value = header(arg, format->header);
	if (!value.data)
		return SIGNATURE_ABSENT;
	value = trimmed(value);
	if (format->timestamp_header) {
		claim->timestamp = trimmed(header(arg, format->timestamp_header));
		if (!claim->timestamp.data)
			return SIGNATURE_ABSENT;
	}
	if (format->prefix && !take_prefix(&value, format->prefix))
		return SIGNATURE_MALFORMED;
	return add_candidate(claim, value, format->encoding) ? SIGNATURE_GOOD : SIGNATURE_MALFORMED;
}

static enum signature_verdict read_claim(
	const struct verifier *verifier, struct claim *claim, signature_header_fn header, void *arg)
{
	switch (verifier->style) {
	case SIGNATURE_STANDARD:
		return read_standard(claim, header, arg);
	case SIGNATURE_STRIPE:
		return read_stripe(claim, header, arg);
	case SIGNATURE_GITHUB:
	case SIGNATURE_HMAC:
		break;
	}
	return read_format(&verifier->format, claim, header, arg);
}

static enum signature_verdict check_time(const struct verifier *verifier, struct slice text, uint64_t now_s)
{
	uint64_t time = 0;
	if (text.len == 0 || text.len > MAX_TIMESTAMP - 1) /* so that it cannot overflow */
		return SIGNATURE_MALFORMED;
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return SIGNATURE_MALFORMED;
		time = time * 10 + (uint64_t)(text.data[i] - '0');
	}
	if (verifier->style == SIGNATURE_HMAC && time >= MILLISECONDS)
		time /= 1000;
	uint64_t distance = time > now_s ? time - now_s : now_s - time;
	return distance > verifier->tolerance_s ? SIGNATURE_OLD : SIGNATURE_GOOD;
}

/* --- the text that was signed ------------------------------------------------------------------------------------- */

void verification_add(struct verification *verification, struct slice piece)
{
	for (size_t i = 0; i < verification->n_macs && piece.len; i++)
		if (EVP_MAC_update(verification->macs[i], piece.data, piece.len) != 1)
			verification->broken = true;
}

/* A part of signed_text, which ends with a NUL further on, with the timestamp in its place. */
static void add_template(struct verification *verification, struct slice text)
{
	size_t word = strlen(TIMESTAMP);
	const char *begin = (const char *)text.data, *at = text.len ? strstr(begin, TIMESTAMP) : NULL;
	size_t before = at ? (size_t)(at - begin) : text.len;
	if (before >= text.len) {
		verification_add(verification, text);
		return;
	}
	verification_add(verification, slice_of(text.data, before));
	verification_add(verification, slice_str(verification->timestamp));
	verification_add(verification, slice_of(at + word, text.len - before - word));
}

static void add_beginning(const struct verifier *verifier, struct verification *verification, const struct claim *claim)
{
	if (verifier->style == SIGNATURE_STANDARD) {
		verification_add(verification, claim->id);
		verification_add(verification, slice_str("."));
	}
	if (verifier->style == SIGNATURE_STANDARD || verifier->style == SIGNATURE_STRIPE) {
		verification_add(verification, claim->timestamp);
		verification_add(verification, slice_str("."));
		return;
	}
	add_template(verification, verifier->before);
}

static bool begin_macs(const struct verifier *verifier, struct verification *verification)
{
	for (size_t i = 0; i < verifier->keys.n; i++) {
		verification->macs[i] = signature_keys_begin(&verifier->keys, i);
		if (!verification->macs[i])
			return false;
		verification->n_macs++;
	}
	return true;
}

enum signature_verdict verification_begin(const struct verifier *verifier, signature_header_fn header, void *arg,
	uint64_t now_s, struct verification **ret)
{
	struct verification *verification = calloc(1, sizeof *verification);
	if (!verification)
		return SIGNATURE_WRONG;
	struct claim claim = {.candidates = verification->candidates};
	enum signature_verdict verdict = read_claim(verifier, &claim, header, arg);
	if (verdict == SIGNATURE_GOOD && claim.timestamp.data)
		verdict = check_time(verifier, claim.timestamp, now_s);
	if (verdict == SIGNATURE_GOOD && !begin_macs(verifier, verification))
		verdict = SIGNATURE_WRONG;
	if (verdict != SIGNATURE_GOOD) {
		verification_drop(verification);
		return verdict;
	}
	verification->n_candidates = claim.n;
	verification->after = verifier->after;
	if (claim.timestamp.len)
		memcpy(verification->timestamp, claim.timestamp.data, claim.timestamp.len);
	add_beginning(verifier, verification, &claim);
	*ret = verification;
	return SIGNATURE_GOOD;
}

/* All are compared, whatever has been found: how long it takes says nothing. */
static bool is_one_of(const struct verification *verification, const uint8_t *mac, size_t len)
{
	bool found = false;
	for (size_t i = 0; i < verification->n_candidates; i++) {
		const struct candidate *candidate = &verification->candidates[i];
		found |= candidate->len == len && CRYPTO_memcmp(candidate->bytes, mac, len) == 0;
	}
	return found;
}

enum signature_verdict verification_end(struct verification *verification)
{
	add_template(verification, verification->after);
	bool good = false;
	for (size_t i = 0; i < verification->n_macs; i++) {
		uint8_t mac[MAC_MOST_BYTES];
		size_t len = 0;
		if (EVP_MAC_final(verification->macs[i], mac, &len, sizeof mac) == 1)
			good |= is_one_of(verification, mac, len);
	}
	good &= !verification->broken;
	verification_drop(verification);
	return good ? SIGNATURE_GOOD : SIGNATURE_WRONG;
}

void verification_drop(struct verification *verification)
{
	if (!verification)
		return;
	for (size_t i = 0; i < verification->n_macs; i++)
		EVP_MAC_CTX_free(verification->macs[i]);
	free(verification);
}

enum signature_verdict verifier_verify(
	const struct verifier *verifier, signature_header_fn header, void *arg, struct slice body, uint64_t now_s)
{
	struct verification *verification = NULL;
	enum signature_verdict verdict = verification_begin(verifier, header, arg, now_s, &verification);
	if (verdict != SIGNATURE_GOOD)
		return verdict;
	verification_add(verification, body);
	return verification_end(verification);
}
