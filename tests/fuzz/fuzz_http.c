/* SPDX-License-Identifier: Apache-2.0
 *
 * What the HTTP connector reads of headers by itself, one a line and then the body: Idempotency-Key, Authorization,
 * signatures of four styles, Retry-After with Date, and any header on its way in and out. What is parsed comes back the same
 * when it is written and parsed again; verdicts do not depend on how a body is cut; what linkspan signs, it takes.
 */
#include <string.h>
#include <strings.h>

#include "connectors/http/auth_in.h"
#include "connectors/common/cloudevent_read.h"
#include "connectors/http/header_names.h"
#include "connectors/http/idempotency.h"
#include "connectors/http/out_verdict.h"
#include "routing/json.h"
#include "tests/fuzz/fuzz.h"

#define NOW_S  1614265330u
#define SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define TOKEN  "sha256:75c5c10f256c75b650c6ffc2e83c6588af02766efd2de28f4de34547006e8d1a" /* token-one */

enum line {
	KEY,
	AUTHORIZATION,
	HUB,
	STRIPE,
	HMAC,
	HMAC_TIME,
	ID,
	TIMESTAMP,
	SIGNATURE,
	RETRY,
	DATE,
	NAME,
	VALUE,
	N_LINES
};

static const char *const names[N_LINES] = {[AUTHORIZATION] = "authorization",
	[HUB] = "x-hub-signature-256",
	[STRIPE] = "stripe-signature",
	[HMAC] = "x-signature",
	[HMAC_TIME] = "x-timestamp",
	[ID] = "webhook-id",
	[TIMESTAMP] = "webhook-timestamp",
	[SIGNATURE] = "webhook-signature"};

static struct slice lines[N_LINES];

/* An empty line is a header that is not there. */
static struct slice find_header(void *arg, const char *name)
{
	(void)arg;
	for (size_t i = 0; i < N_LINES; i++)
		if (names[i] && strcasecmp(names[i], name) == 0 && lines[i].len)
			return lines[i];
	return (struct slice){NULL, 0};
}

static struct slice take_line(struct slice *rest)
{
	const uint8_t *end = rest->len ? memchr(rest->data, '\n', rest->len) : NULL;
	struct slice line = slice_of(rest->data, end ? (size_t)(end - rest->data) : rest->len);
	size_t used = end ? line.len + 1 : line.len;
	*rest = slice_of(rest->data + used, rest->len - used);
	return line;
}

/* --- idempotency -------------------------------------------------------------------------------------------------- */

static void check_key(struct slice value)
{
	uint8_t key[IDEMPOTENCY_KEY_MAX], again[IDEMPOTENCY_KEY_MAX], quoted[2 * IDEMPOTENCY_KEY_MAX + 2];
	size_t len = 0, again_len = 0, n = 0;
	const char *wrong = idempotency_key_parse(value, key, &len);
	fuzz_require(wrong ? *wrong != '\0' : len > 0 && len <= IDEMPOTENCY_KEY_MAX);
	if (wrong)
		return;
	quoted[n++] = '"';
	for (size_t i = 0; i < len; i++) {
		if (key[i] == '"' || key[i] == '\\')
			quoted[n++] = '\\';
		quoted[n++] = key[i];
	}
	quoted[n++] = '"';
	fuzz_require(idempotency_key_parse(slice_of(quoted, n), again, &again_len) == NULL);
	fuzz_require(slice_equal(slice_of(key, len), slice_of(again, again_len)));
}

/* --- signatures --------------------------------------------------------------------------------------------------- */

static const struct signature_format format = {.header = "x-signature",
	.prefix = "v0=",
	.encoding = SIGNATURE_BASE64,
	.timestamp_header = "x-timestamp",
	.signed_text = "v0:{timestamp}:{body}"};

/* Made once: they never change, and making them takes longer than all the rest. */
static struct verifier *verifiers[SIGNATURE_HMAC + 1];
static struct signer *signer;

static void make_once(void)
{
	static const char *const secrets[] = {[SIGNATURE_STANDARD] = SECRET,
		[SIGNATURE_GITHUB] = "a\nb",
		[SIGNATURE_STRIPE] = "whsec_x",
		[SIGNATURE_HMAC] = "x"};
	for (int style = 0; style <= SIGNATURE_HMAC && !signer; style++)
		fuzz_require(verifier_new((enum signature_style)style, secrets[style],
				     style == SIGNATURE_HMAC ? &format : NULL, 300, &verifiers[style]) == 0);
	fuzz_require(signer || signer_new(SECRET, &signer) == 0);
}

static void check_signature(enum signature_style style, struct slice body)
{
	const struct verifier *verifier = verifiers[style];
	enum signature_verdict verdict = verifier_verify(verifier, find_header, NULL, body, NOW_S);
	struct verification *verification = NULL;
	enum signature_verdict cut = verification_begin(verifier, find_header, NULL, NOW_S, &verification);
	if (cut == SIGNATURE_GOOD) {
		size_t half = body.len / 2;
		verification_add(verification, slice_of(body.data, half));
		verification_add(verification, slice_of(body.data + half, body.len - half));
		cut = verification_end(verification);
	}
	fuzz_require(cut == verdict);
	fuzz_require(signature_verdict_text(verdict)[0] != '\0');
}

/* With any id. */
static void check_own_signature(struct slice id, struct slice body)
{
	char value[SIGNATURE_VALUE_SIZE];
	fuzz_require(signer_sign(signer, id, NOW_S, &body, 1, value) == 0);
	lines[ID] = id;
	lines[TIMESTAMP] = slice_str("1614265330");
	lines[SIGNATURE] = slice_str(value);
	fuzz_require(verifier_verify(verifiers[SIGNATURE_STANDARD], find_header, NULL, body, NOW_S) ==
		     (id.len ? SIGNATURE_GOOD : SIGNATURE_ABSENT));
}

/* --- who ---------------------------------------------------------------------------------------------------------- */

static void never_later(void *arg, const struct auth_in_result *result)
{
	(void)arg, (void)result;
	fuzz_require(!"a fast hash was slow");
}

static struct auth_in *auth;

static void make_auth(void)
{
	static char plc[] = "plc", robot[] = "robot", hash[] = TOKEN, ci[] = "ci", x[] = "x", all[] = "*",
		    paths[] = "/a/# read:/b";
	static struct config_text token = {.name = plc, .value = hash}, user = {.name = robot, .value = hash},
				  secret = {.name = ci, .value = x}, allow = {.name = all, .value = paths};
	static const struct auth_in_settings settings = {.tokens = {&token, 1},
		.passwords = {&user, 1},
		.github_secrets = {&secret, 1},
		.allow = {&allow, 1},
		.tolerance_ms = 300000};
	fuzz_require(auth || auth_in_new(&settings, NULL, &auth) == 0);
}

static void check_authorization(struct slice body)
{
	struct auth_in_check *check = NULL;
	const struct auth_in_request request = {
		.path = slice_str("/a/b"), .header = find_header, .now_ms = NOW_S * UINT64_C(1000)};
	struct auth_in_result result = auth_in_begin(auth, &request, never_later, NULL, &check);
	fuzz_require(result.verdict != AUTH_IN_LATER && result.verdict != AUTH_IN_BUSY);
	if (result.verdict == AUTH_IN_BODY) {
		auth_in_add(check, body);
		result = auth_in_end(check);
	}
	fuzz_require(result.verdict == AUTH_IN_ALLOWED ? result.identity != NULL : result.reason != NULL);
	fuzz_require(result.verdict != AUTH_IN_UNAUTHORIZED || result.challenge);
}

/* --- headers ------------------------------------------------------------------------------------------------------ */

static void check_fit(const struct message_field *field, bool set_by_mapping, struct arena *arena)
{
	struct message_field fit = {{NULL, 0}, {NULL, 0}};
	const char *reason = NULL;
	int err = header_names_fit(true, field, set_by_mapping, arena, &fit, &reason);
	fuzz_require(err == 0 || (err == -22 && set_by_mapping && reason));
	for (size_t i = 0; !err && i < fit.name.len; i++)
		fuzz_require(fit.name.data[i] > 0x20 && fit.name.data[i] < 0x7f && fit.name.data[i] != ':' &&
			     !(fit.name.data[i] >= 'A' && fit.name.data[i] <= 'Z'));
	for (size_t i = 0; !err && i < fit.value.len; i++)
		fuzz_require(fit.value.data[i] == '\t' || (fit.value.data[i] >= 0x20 && fit.value.data[i] != 0x7f));
}

static void check_headers(struct slice body)
{
	struct arena arena = {0};
	struct header_names headers = {.arena = &arena};
	struct message_field field = {lines[NAME], lines[VALUE]};
	check_fit(&field, false, &arena);
	check_fit(&field, true, &arena);
	field.value = body;
	check_fit(&field, false, &arena);
	int err = header_names_add(&headers, lines[NAME], lines[VALUE]);
	fuzz_require(err == 0 || err == -7);
	fuzz_require(headers.n == (err == 0 && header_names_kept(lines[NAME]) ? 1u : 0u));
	arena_free(&arena);
}

/* What was written is read as the same event, in both modes. */
static void check_read(struct message_field *const *fields, size_t n, const struct cloudevent *event,
	const struct message_view *sent, struct slice json)
{
	struct arena arena = {0};
	const char *wrong;
	struct cloudevent read;
	struct message_view binary = {.headers = *fields, .n_headers = n, .payload = sent->payload};
	struct message_view structured = {.payload = json};
	fuzz_require(cloudevent_read_binary(&cloudevent_http, &arena, &binary, &wrong) == CLOUDEVENT_READ);
	fuzz_require(cloudevent_of_headers(&binary, &read) && slice_equal(read.id, event->id));
	fuzz_require(slice_equal(read.type, event->type));
	fuzz_require(cloudevent_read_structured(&arena, &structured, &wrong) == CLOUDEVENT_READ);
	fuzz_require(cloudevent_of_headers(&structured, &read) && slice_equal(read.id, event->id));
	fuzz_require(slice_equal(structured.payload, sent->payload));
	arena_free(&arena);
}

/* Any bytes as an event. */
static void check_any_event(struct slice body)
{
	struct arena arena = {0};
	const char *wrong;
	struct cloudevent event;
	const struct message_field field = {lines[NAME], lines[VALUE]};
	struct message_view view = {.payload = body, .content_type = lines[DATE], .headers = &field, .n_headers = 1};
	for (int implied = 0; implied < 2; implied++)
		if (cloudevent_read(&cloudevent_mqtt, implied, &arena, &view, &wrong) == CLOUDEVENT_READ)
			fuzz_require(cloudevent_of_headers(&view, &event));
	struct slice text;
	if (cloudevent_percent_decode(lines[VALUE], &arena, &text) == 0)
		fuzz_require(cloudevent_percent_encode(text, &arena, &text) == 0);
	arena_free(&arena);
}

/* Whatever the message, the event is JSON. */
static void check_event(struct slice body)
{
	const struct cloudevent event = {.id = lines[KEY], .source = lines[NAME], .type = lines[VALUE], .time_ms = 1};
	const struct message_view view = {.payload = body, .content_type = lines[DATE], .utf8_payload = true};
	struct arena arena = {0};
	struct message_field *fields;
	struct buffer out;
	size_t n = 0;
	if (cloudevent_check(&event))
		return;
	buffer_init(&out, 1u << 22);
	fuzz_require(cloudevent_append(&event, &view, &out) == 0);
	fuzz_require(json_check(buffer_slice(&out), NULL) == NULL);
	fuzz_require(cloudevent_fields(&event, &cloudevent_http, &arena, &fields, &n) == 0 && n >= 4);
	for (size_t i = 0; i < n; i++)
		for (size_t at = 0; at < fields[i].value.len; at++)
			fuzz_require(fields[i].value.data[at] > 0x20 && fields[i].value.data[at] < 0x7f);
	check_read(&fields, n, &event, &view, buffer_slice(&out));
	arena_free(&arena);
	buffer_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice body = slice_of(data, size);
	for (size_t i = 0; i < N_LINES; i++)
		lines[i] = take_line(&body);
	uint64_t wait_ms = 0;
	int64_t date_s = 0;
	check_key(lines[KEY]);
	make_once();
	make_auth();
	for (int style = 0; style <= SIGNATURE_HMAC; style++)
		check_signature((enum signature_style)style, body);
	check_authorization(body);
	if (http_retry_after(lines[RETRY], lines[DATE], NOW_S, &wait_ms))
		fuzz_require(wait_ms <= HTTP_MAX_WAIT_MS);
	(void)http_date(lines[RETRY], &date_s);
	check_headers(body);
	check_event(body);
	check_any_event(body);
	check_own_signature(lines[NAME], body);
	return 0;
}
