/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads the answer of a token endpoint (RFC 6749 §5) and the readable part of a token that is a JWT (RFC 7519). Nobody has
 * signed anything for us: what stands there serves to know when to ask again and what to call ourselves, no more.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "connectors/common/oauth_fetch.h"
#include "routing/json.h"

#define MOST_TOKEN_BYTES   16384u
#define MOST_SUBJECT_BYTES 255u
#define UNKNOWN_LIFE_S     300u /* neither expires_in nor exp */
#define MOST_LIFE_S        UINT64_C(31536000)

void oauth_answer_clear(struct oauth_answer *answer)
{
	if (answer->token)
		OPENSSL_cleanse(answer->token, strlen(answer->token));
	free(answer->token);
	free(answer->subject);
	answer->token = answer->subject = NULL;
}

static struct slice member(struct slice text, const char *name)
{
	const struct json_step step = {.key = slice_str(name)};
	return json_find(text, &step, 1);
}

/* A string's characters, NUL-terminated; NULL: no string, empty, too long, or with something that is not printable. */
static char *copy_string(struct slice raw, size_t most)
{
	if (!raw.data || json_kind(raw) != JSON_STRING || raw.len > 6 * most + 2)
		return NULL;
	char *text = malloc(raw.len + 1);
	size_t len = text ? json_unescape(raw, (uint8_t *)text) : SIZE_MAX;
	bool good = len != SIZE_MAX && len > 0 && len <= most;
	for (size_t i = 0; good && i < len; i++)
		good = (unsigned char)text[i] >= ' ' && text[i] != 0x7f;
	if (!good) {
		free(text);
		return NULL;
	}
	text[len] = '\0';
	return text;
}

/* A whole number of seconds, 0 if it is none. Some endpoints write it as a string. */
static uint64_t read_seconds(struct slice raw)
{
	char digits[24] = "";
	if (!raw.data || raw.len == 0 || raw.len > 20)
		return 0;
	bool quoted = json_kind(raw) == JSON_STRING && raw.len > 2;
	memcpy(digits, raw.data + quoted, raw.len - 2 * (size_t)quoted);
	char *end;
	unsigned long long seconds = strtoull(digits, &end, 10);
	return isdigit((unsigned char)digits[0]) && (*end == '\0' || *end == '.') ? seconds : 0;
}

/* RFC 6750 §2.1: what a bearer token is made of. */
static bool is_bearer_token(const char *token)
{
	size_t len = strspn(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/");
	return len > 0 && token[len + strspn(token + len, "=")] == '\0';
}

/* The claims of a JWT; absent if it is not one. `buffer` has as many bytes as the token. */
static struct slice jwt_claims(const char *token, uint8_t *buffer)
{
	const char *first = strchr(token, '.'), *last = first ? strchr(first + 1, '.') : NULL;
	size_t len = last ? (size_t)(last - first) - 1 : 0;
	char *padded = len ? calloc(1, len + 4) : NULL;
	struct slice claims = {.data = NULL};
	if (!padded)
		return claims;
	for (size_t i = 0; i < len; i++)
		padded[i] = first[1 + i] == '-' ? '+' : first[1 + i] == '_' ? '/' : first[1 + i];
	size_t padding = (4 - len % 4) % 4;
	memset(padded + len, '=', padding);
	int n = padding == 3 ? -1 : EVP_DecodeBlock(buffer, (const unsigned char *)padded, (int)(len + padding));
	free(padded);
	if (n < (int)padding)
		return claims;
	claims = (struct slice){buffer, (size_t)n - padding};
	return json_check(claims, NULL) == NULL && json_kind(claims) == JSON_OBJECT ? claims
										    : (struct slice){.data = NULL};
}

static int fail(struct oauth_answer *answer, const char *what)
{
	snprintf(answer->error, sizeof answer->error, "%s", what);
	return -EACCES;
}

/* RFC 6749 §5.2; or whatever stands between it and us. */
static int read_refusal(unsigned status, struct slice body, struct oauth_answer *answer)
{
	bool json = json_check(body, NULL) == NULL && json_kind(body) == JSON_OBJECT;
	char *error = json ? copy_string(member(body, "error"), 80) : NULL;
	char *detail = json ? copy_string(member(body, "error_description"), 160) : NULL;
	const char *advice = "";
	if (error && (strcmp(error, "invalid_client") == 0 || strcmp(error, "unauthorized_client") == 0))
		advice = "; see client_id, client_secret and auth";
	else if (error && strcmp(error, "invalid_scope") == 0)
		advice = "; see scope";
	else if (!error && status == 401)
		advice = "; see client_id, client_secret and auth";
	else if (!error && status >= 300 && status < 500)
		advice = "; is token_url right?";
	snprintf(answer->error, sizeof answer->error, "the token endpoint refuses: %s%s%s%sHTTP %u%s",
		error ? error : "", error && detail ? ": " : "", error && detail ? detail : "", error ? ", " : "",
		status, advice);
	free(error);
	free(detail);
	return -EACCES;
}

static void read_life(struct slice body, uint64_t wall_s, struct oauth_answer *answer)
{
	uint64_t life_s = read_seconds(member(body, "expires_in"));
	uint8_t *buffer = malloc(strlen(answer->token) + 4);
	struct slice claims = buffer ? jwt_claims(answer->token, buffer) : (struct slice){.data = NULL};
	if (claims.data) {
		uint64_t exp_s = read_seconds(member(claims, "exp"));
		/* Only when need be: exp is by the clock of another machine. */
		if (life_s == 0 && exp_s > wall_s)
			life_s = exp_s - wall_s;
		answer->subject = copy_string(member(claims, "sub"), MOST_SUBJECT_BYTES);
	}
	free(buffer);
	if (life_s == 0)
		life_s = UNKNOWN_LIFE_S;
	answer->lifetime_ms = (life_s < MOST_LIFE_S ? life_s : MOST_LIFE_S) * 1000;
}

int oauth_read_answer(unsigned status, struct slice body, uint64_t wall_s, struct oauth_answer *ret_answer)
{
	*ret_answer = (struct oauth_answer){.token = NULL};
	if (status != 200)
		return read_refusal(status, body, ret_answer);
	if (json_check(body, NULL) != NULL || json_kind(body) != JSON_OBJECT)
		return fail(ret_answer, "the token endpoint's answer is not a JSON object; is token_url right?");
	char *type = copy_string(member(body, "token_type"), 40);
	bool bearer = !type || strcasecmp(type, "bearer") == 0;
	free(type);
	if (!bearer)
		return fail(ret_answer, "the token endpoint gives tokens of another type than Bearer");
	if (!member(body, "access_token").data)
		return fail(ret_answer, "the token endpoint's answer has no access_token; is token_url right?");
	ret_answer->token = copy_string(member(body, "access_token"), MOST_TOKEN_BYTES);
	if (!ret_answer->token || !is_bearer_token(ret_answer->token)) {
		oauth_answer_clear(ret_answer);
		return fail(ret_answer,
			"the token endpoint's access_token is not a bearer token of at most 16384 characters");
	}
	read_life(body, wall_s, ret_answer);
	return 0;
}
