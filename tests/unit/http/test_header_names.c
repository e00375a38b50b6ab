/* SPDX-License-Identifier: Apache-2.0
 *
 * Which headers cross, in both directions, and as what.
 */
#include <errno.h>
#include <stdio.h>

#include "connectors/http/header_names.h"
#include "tests/unit/tap.h"

static struct arena arena;

/* "name: value", "" when it is left out, "! reason". */
static const char *fit_slices(bool cloudevents, struct slice name, struct slice value, bool set)
{
	static char text[400];
	struct message_field field = {name, value}, fit = {{NULL, 0}, {NULL, 0}};
	const char *reason = NULL;
	int err = header_names_fit(cloudevents, &field, set, &arena, &fit, &reason);
	if (err == -EINVAL)
		snprintf(text, sizeof text, "! %s", reason ? reason : "(none)");
	else if (err || !fit.name.data)
		snprintf(text, sizeof text, "%s", err ? "error" : "");
	else
		snprintf(text, sizeof text, "%.*s: %.*s", (int)fit.name.len, (const char *)fit.name.data,
			(int)fit.value.len, (const char *)fit.value.data);
	arena_reset(&arena);
	return text;
}

static const char *received(const char *name, const char *value)
{
	return fit_slices(false, slice_str(name), slice_str(value), false);
}

static const char *set(const char *name, const char *value)
{
	return fit_slices(false, slice_str(name), slice_str(value), true);
}

static void test_names_and_values(void)
{
	CU_ASSERT_STRING_EQUAL(received("Site", "north"), "site: north");
	CU_ASSERT_STRING_EQUAL(received("Site of plant", "a\tb"), "site-of-plant: a\tb");
	CU_ASSERT_STRING_EQUAL(received("a:b\r\nc", "x"), "a-b--c: x");
	CU_ASSERT_STRING_EQUAL(received("\xc3\xa4", "\xc3\xa4"), "--: \xc3\xa4");
	CU_ASSERT_STRING_EQUAL(received("a", "b\r\nX-Evil: 1\x7f"), "a: b%0D%0AX-Evil: 1%7F");
	CU_ASSERT_STRING_EQUAL(set("a", "b\nc"), "a: b%0Ac");
	CU_ASSERT_STRING_EQUAL(received("a", ""), "a: ");
	CU_ASSERT_STRING_EQUAL(received("", "x"), "");
	/* What is no text, as in MQTT. */
	CU_ASSERT_STRING_EQUAL(
		fit_slices(false, slice_str("Raw"), slice_of("\0\xff", 2), false), "kafka-base64-raw: AP8=");
	CU_ASSERT_STRING_EQUAL(fit_slices(false, slice_str("n"), (struct slice){NULL, 0}, false), "kafka-null-n: ");
	CU_ASSERT_STRING_EQUAL(fit_slices(false, slice_of("\xff", 1), slice_str("x"), false), "");
	CU_ASSERT_EQUAL(fit_slices(false, slice_of("\xff", 1), slice_str("x"), true)[0], '!');
}

static void test_received_ones_that_stay(void)
{
	static const char *const names[] = {"Authorization", "cookie", "Set-Cookie", "Proxy-Authorization", "Host",
		"Content-Length", "content length", "Transfer-Encoding", "transfer\nencoding", "Connection",
		"Keep-Alive", "TE", "Trailer", "Upgrade", "Expect", "webhook-id", "webhook-timestamp",
		"Webhook-Signature", "webhook-anything", "Idempotency-Key", "Content-Type", "User-Agent",
		"Accept-Encoding", "If-None-Match", "X-Forwarded-For", "Range"};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		CU_ASSERT_STRING_EQUAL(received(names[i], "x"), "");
	CU_ASSERT_STRING_EQUAL(received("content-lengths", "x"), "content-lengths: x");
	CU_ASSERT_STRING_EQUAL(received("x-host", "x"), "x-host: x");
	CU_ASSERT_STRING_EQUAL(received("linkspan-origin-time", "x"), "linkspan-origin-time: x");
}

static void test_names_that_a_mapping_sets(void)
{
	CU_ASSERT_STRING_EQUAL(set("Authorization", "Bearer x"), "authorization: Bearer x");
	CU_ASSERT_STRING_EQUAL(set("Cookie", "a=b"), "cookie: a=b");
	CU_ASSERT_STRING_EQUAL(set("Accept", "x"), "accept: x");
	CU_ASSERT_STRING_EQUAL(set("Title", "x"), "title: x");
	static const char *const refused[] = {"Content-Length", "Transfer-Encoding", "HOST", "connection",
		"Content-Type", "webhook-id", "Webhook-Signature", "Idempotency-Key", "a b", "a:b", "", "\xc3\xa4"};
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
		CU_ASSERT_EQUAL(set(refused[i], "x")[0], '!');
		CU_ASSERT_PTR_NOT_NULL(header_names_check_set(slice_str(refused[i])));
	}
	CU_ASSERT_PTR_NULL(header_names_check_set(slice_str("X-Priority")));
}

static void test_cloudevents(void)
{
	CU_ASSERT_STRING_EQUAL(received("ce-id", "x"), "ce-id: x");
	CU_ASSERT_STRING_EQUAL(received("ce-id", "a \xc3\xa4%"), "ce-id: a%20%C3%A4%25");
	CU_ASSERT_STRING_EQUAL(received("ce-no-attribute", "a b"), "ce-no-attribute: a b");
	CU_ASSERT_STRING_EQUAL(fit_slices(true, slice_str("CE-Id"), slice_str("a b"), false), "ce-id: a b");
	CU_ASSERT_STRING_EQUAL(fit_slices(true, slice_str("ce-datacontenttype"), slice_str("x"), false), "");
	CU_ASSERT_STRING_EQUAL(fit_slices(true, slice_str("ce-line"), slice_str("x"), false), "ce-line: x");
	CU_ASSERT_STRING_EQUAL(fit_slices(true, slice_str("ce-line"), slice_str("x"), true), "ce-line: x");
	CU_ASSERT_STRING_EQUAL(set("ce-type", "x"), "ce-type: x");
}

static void test_kept(void)
{
	static const char *const kept[] = {"X-GitHub-Event", "X-GitHub-Delivery", "X-Hub-Signature-256", "webhook-id",
		"ce-type", "User-Agent", "Title", "traceparent", "content-encoding", "x-priority"};
	static const char *const left[] = {"authorization", "AUTHORIZATION", "Cookie", "Host", "Content-Type",
		"content-length", "Idempotency-Key", "X-Gitlab-Token", "X-Api-Key", "apikey", "x-auth-token",
		"X-Telegram-Bot-Api-Secret-Token", "x-amz-security-token", "X-Password", "accept", "Accept-Language",
		"sec-fetch-mode", "if-match", "x-forwarded-authorization", "Forwarded", "TE", ""};
	for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
		CU_ASSERT_TRUE(header_names_kept(slice_str(kept[i])));
	for (size_t i = 0; i < sizeof left / sizeof left[0]; i++)
		CU_ASSERT_FALSE(header_names_kept(slice_str(left[i])));
}

static void test_collecting(void)
{
	struct header_names names = {.arena = &arena};
	char name[] = "X-One", value[] = "1";
	CU_ASSERT_EQUAL(header_names_add(&names, slice_str(name), slice_str(value)), 0);
	name[0] = value[0] = '?';
	CU_ASSERT_EQUAL(header_names_add(&names, slice_str("Authorization"), slice_str("x")), 0);
	CU_ASSERT_EQUAL(header_names_add(&names, slice_str("Empty"), (struct slice){NULL, 0}), 0);
	CU_ASSERT_EQUAL_FATAL(names.n, 2);
	CU_ASSERT_TRUE(slice_equal(names.fields[0].name, slice_str("x-one")));
	CU_ASSERT_TRUE(slice_equal(names.fields[0].value, slice_str("1")));
	CU_ASSERT_PTR_NOT_NULL(names.fields[1].value.data); /* NULL is Kafka's null */
	for (size_t i = names.n; i < HEADER_NAMES_MAX_N; i++)
		CU_ASSERT_EQUAL(header_names_add(&names, slice_str("a"), slice_str("b")), 0);
	CU_ASSERT_EQUAL(header_names_add(&names, slice_str("a"), slice_str("b")), -E2BIG);
	CU_ASSERT_EQUAL(header_names_add(&names, slice_str("cookie"), slice_str("b")), 0);

	static uint8_t large[HEADER_NAMES_MAX_BYTES];
	struct header_names few = {.arena = &arena};
	CU_ASSERT_EQUAL(header_names_add(&few, slice_str("a"), slice_of(large, sizeof large)), -E2BIG);
	CU_ASSERT_EQUAL(header_names_add(&few, slice_str("a"), slice_of(large, sizeof large - 1)), 0);
	CU_ASSERT_EQUAL(header_names_add(&few, slice_str("a"), slice_str("")), -E2BIG);
	arena_reset(&arena);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"names and values are made fit", test_names_and_values},
		{"received headers that are not passed on", test_received_ones_that_stay},
		{"names that a mapping sets", test_names_that_a_mapping_sets},
		{"attributes of CloudEvents", test_cloudevents},
		{"headers of requests", test_kept},
		{"collecting them", test_collecting},
		{NULL, NULL},
	};
	int status = tap_main("http header names", tests);
	arena_free(&arena);
	return status;
}
