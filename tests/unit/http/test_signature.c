/* SPDX-License-Identifier: Apache-2.0
 *
 * Signatures against what the specifications publish, and against requests that are not quite right.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "connectors/http/signature.h"
#include "tests/unit/tap.h"

/* The example of https://github.com/standard-webhooks/standard-webhooks */
#define SECRET    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define ID        "msg_p5jXN8AQM9LWM0D4loKWxJek"
#define TIME_S    1614265330u
#define BODY      "{\"test\": 2432232314}"
#define SIGNATURE "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
#define OTHER     "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

#define TOLERANCE_S 300u

struct header {
	const char *name, *value;
};

static struct slice find_header(void *arg, const char *name)
{
	for (const struct header *header = arg; header->name; header++)
		if (strcasecmp(header->name, name) == 0)
			return slice_str(header->value);
	return (struct slice){NULL, 0};
}

static enum signature_verdict verify_format(enum signature_style style, const char *secrets,
	const struct signature_format *format, struct header *headers, const char *body, uint64_t now_s)
{
	struct verifier *verifier = NULL;
	if (verifier_new(style, secrets, format, TOLERANCE_S, &verifier) != 0)
		abort();
	enum signature_verdict verdict = verifier_verify(verifier, find_header, headers, slice_str(body), now_s);

	/* Byte by byte it is the same. */
	struct verification *verification = NULL;
	enum signature_verdict again = verification_begin(verifier, find_header, headers, now_s, &verification);
	if (again == SIGNATURE_GOOD) {
		for (const char *at = body; *at; at++)
			verification_add(verification, slice_of(at, 1));
		again = verification_end(verification);
	}
	CU_ASSERT_EQUAL(again, verdict);
	verifier_free(verifier);
	return verdict;
}

static enum signature_verdict verify(
	enum signature_style style, const char *secrets, struct header *headers, const char *body, uint64_t now_s)
{
	return verify_format(style, secrets, NULL, headers, body, now_s);
}

static enum signature_verdict verify_standard(const char *secrets, const char *value, const char *body, uint64_t now_s)
{
	struct header headers[] = {{"Webhook-Id", ID}, {"Webhook-Timestamp", "1614265330"},
		{value ? "Webhook-Signature" : "x", value}, {NULL, NULL}};
	return verify(SIGNATURE_STANDARD, secrets, headers, body, now_s);
}

/* --- signing ------------------------------------------------------------------------------------------------------ */

static void sign(const char *secrets, const struct slice *parts, size_t n, char value[SIGNATURE_VALUE_SIZE])
{
	struct signer *signer = NULL;
	CU_ASSERT_EQUAL_FATAL(signer_new(secrets, &signer), 0);
	CU_ASSERT_EQUAL(signer_sign(signer, slice_str(ID), TIME_S, parts, n, value), 0);
	char again[SIGNATURE_VALUE_SIZE];
	CU_ASSERT_EQUAL(signer_sign(signer, slice_str(ID), TIME_S, parts, n, again), 0);
	CU_ASSERT_STRING_EQUAL(value, again); /* the keys are as they were */
	signer_free(signer);
}

static void test_published_vector(void)
{
	char value[SIGNATURE_VALUE_SIZE];
	struct slice whole = slice_str(BODY);
	sign(SECRET, &whole, 1, value);
	CU_ASSERT_STRING_EQUAL(value, SIGNATURE);
	const struct slice parts[] = {slice_str("{\"test\""), slice_str(""), {NULL, 0}, slice_str(": 2432232314}")};
	sign(SECRET, parts, 4, value);
	CU_ASSERT_STRING_EQUAL(value, SIGNATURE);
	CU_ASSERT_EQUAL(verify_standard(SECRET, SIGNATURE, BODY, TIME_S), SIGNATURE_GOOD);
}

static void test_all_secrets_sign(void)
{
	char value[SIGNATURE_VALUE_SIZE];
	struct slice whole = slice_str(BODY);
	sign(" " OTHER "  " SECRET "\n", &whole, 1, value);
	CU_ASSERT_EQUAL(strlen(value), 47u * 2 + 1);
	CU_ASSERT_STRING_EQUAL(strchr(value, ' ') + 1, SIGNATURE);
	CU_ASSERT_EQUAL(verify_standard(SECRET, value, BODY, TIME_S), SIGNATURE_GOOD);
	CU_ASSERT_EQUAL(verify_standard(OTHER, value, BODY, TIME_S), SIGNATURE_GOOD);

	char eight[SIGNATURE_MAX_SECRETS * 64] = "";
	for (int i = 0; i < SIGNATURE_MAX_SECRETS; i++)
		snprintf(eight + strlen(eight), sizeof eight - strlen(eight), SECRET " ");
	sign(eight, &whole, 1, value);
	CU_ASSERT_EQUAL(strlen(value), SIGNATURE_VALUE_SIZE - 2u);
}

static void test_bad_secrets(void)
{
	static const char *const bad[] = {"", " ", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_MfKQ9r8G",
		"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS!", "whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", SECRET " x",
		SECRET " " SECRET " " SECRET " " SECRET " " SECRET " " SECRET " " SECRET " " SECRET " " SECRET};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct signer *signer = NULL;
		CU_ASSERT_PTR_NOT_NULL(signer_check(bad[i]));
		CU_ASSERT_EQUAL(signer_new(bad[i], &signer), -22);
	}
	CU_ASSERT_PTR_NULL(signer_check(SECRET));
	CU_ASSERT_PTR_NULL(signer_check("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8")); /* without its padding */
	CU_ASSERT_PTR_NULL(verifier_check(SIGNATURE_GITHUB, "x"));
	CU_ASSERT_PTR_NOT_NULL(verifier_check(SIGNATURE_GITHUB, "\n"));
	CU_ASSERT_PTR_NOT_NULL(verifier_check(SIGNATURE_STANDARD, "x"));
}

/* --- verifying ---------------------------------------------------------------------------------------------------- */

static void test_standard(void)
{
	CU_ASSERT_EQUAL(verify_standard(OTHER " " SECRET, SIGNATURE, BODY, TIME_S), SIGNATURE_GOOD);
	CU_ASSERT_EQUAL(verify_standard(OTHER, SIGNATURE, BODY, TIME_S), SIGNATURE_WRONG);
	CU_ASSERT_EQUAL(verify_standard(SECRET, SIGNATURE, BODY " ", TIME_S), SIGNATURE_WRONG);
	CU_ASSERT_EQUAL(verify_standard(SECRET, SIGNATURE, "", TIME_S), SIGNATURE_WRONG);
	CU_ASSERT_EQUAL(verify_standard(SECRET, SIGNATURE, BODY, TIME_S + TOLERANCE_S), SIGNATURE_GOOD);
	CU_ASSERT_EQUAL(verify_standard(SECRET, SIGNATURE, BODY, TIME_S + TOLERANCE_S + 1), SIGNATURE_OLD);
	CU_ASSERT_EQUAL(verify_standard(SECRET, SIGNATURE, BODY, TIME_S - TOLERANCE_S), SIGNATURE_GOOD);
	CU_ASSERT_EQUAL(verify_standard(SECRET, SIGNATURE, BODY, TIME_S - TOLERANCE_S - 1), SIGNATURE_OLD);
	CU_ASSERT_EQUAL(verify_standard(SECRET, NULL, BODY, TIME_S), SIGNATURE_ABSENT);
	/* Lists, with what others put into them. */
	CU_ASSERT_EQUAL(verify_standard(SECRET, "v1,AAAA v2,x v1a,y " SIGNATURE, BODY, TIME_S), SIGNATURE_GOOD);
	CU_ASSERT_EQUAL(verify_standard(SECRET, "v1,AAAA", BODY, TIME_S), SIGNATURE_WRONG);
	CU_ASSERT_EQUAL(verify_standard(SECRET, "v1a,AAAA", BODY, TIME_S), SIGNATURE_MALFORMED);
	CU_ASSERT_EQUAL(verify_standard(SECRET, "", BODY, TIME_S), SIGNATURE_MALFORMED);
	CU_ASSERT_EQUAL(verify_standard(SECRET, "v1,", BODY, TIME_S), SIGNATURE_MALFORMED);
	CU_ASSERT_EQUAL(verify_standard(SECRET, "v1,!!!!", BODY, TIME_S), SIGNATURE_MALFORMED);
}

/* A list that never ends must not cost more than one that does. */
static void test_long_list(void)
{
	char list[20 * 8 + sizeof SIGNATURE] = "";
	for (int i = 0; i < 16; i++)
		snprintf(list + strlen(list), sizeof list - strlen(list), "v1,AAAA ");
	snprintf(list + strlen(list), sizeof list - strlen(list), "%s", SIGNATURE);
	CU_ASSERT_EQUAL(verify_standard(SECRET, list, BODY, TIME_S), SIGNATURE_WRONG);
	CU_ASSERT_EQUAL(verify_standard(SECRET, list + 8, BODY, TIME_S), SIGNATURE_GOOD);
}

static void test_standard_headers(void)
{
	static const char *const times[] = {
		"", "x", "-1614265330", "1614265330.0", "+1614265330", " ", "16142653300000000000000"};
	for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
		struct header headers[] = {{"webhook-id", ID}, {"webhook-timestamp", times[i]},
			{"webhook-signature", SIGNATURE}, {NULL, NULL}};
		enum signature_verdict verdict = verify(SIGNATURE_STANDARD, SECRET, headers, BODY, TIME_S);
		CU_ASSERT_TRUE(verdict == SIGNATURE_MALFORMED || verdict == SIGNATURE_ABSENT);
	}
	struct header no_id[] = {{"webhook-timestamp", "1614265330"}, {"webhook-signature", SIGNATURE}, {NULL, NULL}};
	CU_ASSERT_EQUAL(verify(SIGNATURE_STANDARD, SECRET, no_id, BODY, TIME_S), SIGNATURE_ABSENT);
	struct header other_id[] = {{"webhook-id", ID "x"}, {"webhook-timestamp", "1614265330"},
		{"webhook-signature", SIGNATURE}, {NULL, NULL}};
	CU_ASSERT_EQUAL(verify(SIGNATURE_STANDARD, SECRET, other_id, BODY, TIME_S), SIGNATURE_WRONG);
}

/* The example of https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries */
#define GITHUB_SECRET "It's a Secret to Everybody"
#define GITHUB_MAC    "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"

static void test_github(void)
{
	static const struct {
		const char *value;
		enum signature_verdict verdict;
	} cases[] = {
		{"sha256=" GITHUB_MAC, SIGNATURE_GOOD},
		{"sha256=757107EA0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17", SIGNATURE_GOOD},
		{"sha256=657107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17", SIGNATURE_WRONG},
		{"sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e", SIGNATURE_WRONG},
		{"sha256=" GITHUB_MAC "00", SIGNATURE_WRONG},
		{"sha1=757107ea0eb2509fc211221cce984b8a37570b6d", SIGNATURE_MALFORMED},
		{GITHUB_MAC, SIGNATURE_MALFORMED},
		{"sha256=", SIGNATURE_MALFORMED},
		{"sha256=x57107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17", SIGNATURE_MALFORMED},
		{"", SIGNATURE_MALFORMED},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct header headers[] = {{"X-Hub-Signature-256", cases[i].value}, {NULL, NULL}};
		CU_ASSERT_EQUAL(verify(SIGNATURE_GITHUB, GITHUB_SECRET, headers, "Hello, World!", 1), cases[i].verdict);
		CU_ASSERT_EQUAL(verify(SIGNATURE_GITHUB, "new\n" GITHUB_SECRET "\n", headers, "Hello, World!", 1),
			cases[i].verdict);
	}
	struct header none[] = {{NULL, NULL}};
	CU_ASSERT_EQUAL(verify(SIGNATURE_GITHUB, GITHUB_SECRET, none, "Hello, World!", 1), SIGNATURE_ABSENT);
}

/* printf '1614265330.{"id":"evt_1"}' | openssl dgst -sha256 -hmac whsec_test */
#define STRIPE_BODY "{\"id\":\"evt_1\"}"
#define STRIPE_MAC  "347e9afe3d74ec4c5cbefd270edc9246513ae3da7b375223e302560fbd4146eb"

static void test_stripe(void)
{
	static const struct {
		const char *value;
		enum signature_verdict verdict;
	} cases[] = {
		{"t=1614265330,v1=" STRIPE_MAC ",v0=6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39",
			SIGNATURE_GOOD},
		{"t=1614265330, v1=00, v1=" STRIPE_MAC, SIGNATURE_GOOD},
		{"t=1614265331,v1=" STRIPE_MAC, SIGNATURE_WRONG},
		{"t=1614265330,v0=" STRIPE_MAC, SIGNATURE_MALFORMED},
		{"v1=" STRIPE_MAC, SIGNATURE_MALFORMED},
		{"t=1614265330,t=1614265330,v1=" STRIPE_MAC, SIGNATURE_MALFORMED},
		{"t=,v1=" STRIPE_MAC, SIGNATURE_MALFORMED},
		{"t=1614265330", SIGNATURE_MALFORMED},
		{",,,", SIGNATURE_MALFORMED},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct header headers[] = {{"Stripe-Signature", cases[i].value}, {NULL, NULL}};
		CU_ASSERT_EQUAL(verify(SIGNATURE_STRIPE, "whsec_test", headers, STRIPE_BODY, TIME_S), cases[i].verdict);
	}
	struct header old[] = {{"Stripe-Signature", cases[0].value}, {NULL, NULL}};
	CU_ASSERT_EQUAL(verify(SIGNATURE_STRIPE, "whsec_test", old, STRIPE_BODY, TIME_S + 301), SIGNATURE_OLD);
}

/* --- any other ---------------------------------------------------------------------------------------------------- */

static void test_formats(void)
{
	/* Made with openssl dgst; the key is "key", the body "body". */
	static const struct {
		struct signature_format format;
		const char *value, *timestamp;
	} cases[] = {
		{{.header = "X-S"}, "515aae133b435d4000956731f68ae5cf5eb85d4f0dc6a546d2bfcd3595ec1ae1", NULL},
		{{.header = "X-S", .hash = SIGNATURE_SHA1, .prefix = "sha1="},
			"sha1=70bbf6819d1037aa94ca7e7f537cbea25fe49283", NULL},
		{{.header = "X-S", .hash = SIGNATURE_SHA512, .encoding = SIGNATURE_BASE64},
			"tx6CtC7OJEGCquAPXEGNhLWwrIRIdHZeZY6RsmJhsy3znp/L9EQk0OO1O6sZLnikk2Ik7JQM+VMWS3CqzdTIRQ==",
			NULL},
		{{.header = "X-S", .timestamp_header = "X-T", .signed_text = "{timestamp}:{body}"},
			"77e5581a5faa9d3ae74ee27ecc8a3a9e23fe54b378de2c48c34e3ed38d874ba7", "1614265330"},
		{{.header = "X-S", .timestamp_header = "X-T", .signed_text = "v0:{body}/{timestamp}!"},
			"b6180db20be3d648edd02a810e8522e93213ad9a0fe8ec47efafa08011ec1bc5", "1614265330123"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const struct signature_format *format = &cases[i].format;
		struct header headers[] = {{"x-s", cases[i].value}, {"x-t", cases[i].timestamp}, {NULL, NULL}};
		CU_ASSERT_EQUAL(verify_format(SIGNATURE_HMAC, "key", format, headers, "body", TIME_S), SIGNATURE_GOOD);
		CU_ASSERT_EQUAL(verify_format(SIGNATURE_HMAC, "kez", format, headers, "body", TIME_S), SIGNATURE_WRONG);
		CU_ASSERT_EQUAL(verify_format(SIGNATURE_HMAC, "key", format, headers, "bodz", TIME_S), SIGNATURE_WRONG);
		if (!format->timestamp_header)
			continue;
		CU_ASSERT_EQUAL(
			verify_format(SIGNATURE_HMAC, "key", format, headers, "body", TIME_S + 301), SIGNATURE_OLD);
		headers[1].name = "y";
		CU_ASSERT_EQUAL(
			verify_format(SIGNATURE_HMAC, "key", format, headers, "body", TIME_S), SIGNATURE_ABSENT);
	}
}

static void test_format_check(void)
{
	static const struct {
		struct signature_format format;
		const char *member;
	} bad[] = {
		{{.header = NULL}, "header"},
		{{.header = "X S"}, "header"},
		{{.header = "X-S", .timestamp_header = "X:T", .signed_text = "{timestamp}{body}"}, "timestamp_header"},
		{{.header = "X-S", .signed_text = "x"}, "signed_text"},
		{{.header = "X-S", .signed_text = "{body}{body}"}, "signed_text"},
		{{.header = "X-S", .signed_text = "{body}{x}"}, "signed_text"},
		{{.header = "X-S", .signed_text = "{timestamp}.{body}"}, "signed_text"},
		{{.header = "X-S", .timestamp_header = "X-T"}, "signed_text"},
		{{.header = "X-S", .timestamp_header = "X-T", .signed_text = "{timestamp}{timestamp}{body}"},
			"signed_text"},
	};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		const char *member = NULL;
		CU_ASSERT_PTR_NOT_NULL(signature_format_check(&bad[i].format, &member));
		CU_ASSERT_STRING_EQUAL(member, bad[i].member);
		struct verifier *verifier = NULL;
		CU_ASSERT_EQUAL(verifier_new(SIGNATURE_HMAC, "x", &bad[i].format, 1, &verifier), -22);
	}
}

static void test_drop(void)
{
	struct verifier *verifier = NULL;
	struct verification *verification = NULL;
	struct header headers[] = {{"X-Hub-Signature-256", "sha256=" GITHUB_MAC}, {NULL, NULL}};
	CU_ASSERT_EQUAL_FATAL(verifier_new(SIGNATURE_GITHUB, "a\nb", NULL, 1, &verifier), 0);
	CU_ASSERT_STRING_EQUAL(verifier_header(verifier), "x-hub-signature-256");
	CU_ASSERT_EQUAL(verification_begin(verifier, find_header, headers, 1, &verification), SIGNATURE_GOOD);
	verification_add(verification, slice_str("x"));
	verification_drop(verification);
	verification_drop(NULL);
	verifier_free(verifier);
	verifier_free(NULL);
	signer_free(NULL);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"the published vector", test_published_vector},
		{"all secrets sign", test_all_secrets_sign},
		{"secrets that are none", test_bad_secrets},
		{"Standard Webhooks", test_standard},
		{"a long list of signatures", test_long_list},
		{"headers of Standard Webhooks", test_standard_headers},
		{"GitHub", test_github},
		{"Stripe", test_stripe},
		{"any other format", test_formats},
		{"formats that are none", test_format_check},
		{"a verification without an end", test_drop},
		{NULL, NULL},
	};
	return tap_main("http signature", tests);
}
