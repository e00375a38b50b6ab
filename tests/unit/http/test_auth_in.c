/* SPDX-License-Identifier: Apache-2.0
 *
 * Who sends a request and what it may do: tokens, passwords, signatures, certificates, and all that is not quite one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "connectors/http/auth_in.h"
#include "connectors/http/password_worker.h"
#include "tests/unit/kafka/complaints.h"
#include "tests/unit/tap.h"

#define TOKEN_ONE  "sha256:75c5c10f256c75b650c6ffc2e83c6588af02766efd2de28f4de34547006e8d1a" /* token-one */
#define TOKEN_TWO  "sha256:adb97ffd599d30b788077856502e55d9ef5543386cd60a5106e034ebbc3acb0c" /* token-two */
#define OF_NOTHING "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
/* openssl passwd -6 -salt abcdefgh geheim */
#define SHA512_CRYPT                                                                                                   \
	"$6$abcdefgh$msgktWxVAbjjh3X7lA5LaM7dS/ZfABJL6T4qcRsnjcOTj0kptUvZcrvrXIoO5fgPA9xz6UnF2To2Y7jGc/IZY/"
#define YESCRYPT "$y$j9T$abcdefghijklmnopqrst$2D8DTYltcMNt0DgKzDJcIzjrqt0bNO5bjKkUHcJE7tB" /* geheim2 */

#define GITHUB_SECRET "It's a Secret to Everybody"
#define GITHUB_MAC    "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
#define GITHUB_BODY   "Hello, World!"

/* --- a listener and a request ------------------------------------------------------------------------------------- */

#define MAX_ITEMS 4

static struct config_text items[12][MAX_ITEMS];
static size_t n_lists;

static struct auth_in_settings settings;
static struct auth_in *auth;
static struct loop *loop;

static struct {
	const char *path, *name[3], *value[3];
	const char *certificates[2];
	size_t n_certificates;
	bool reads;
} request;

static void begin(void)
{
	memset(&settings, 0, sizeof settings);
	memset(&request, 0, sizeof request);
	settings.tolerance_ms = 300000;
	request.path = "/p";
	n_lists = 0;
	loop = loop_new();
	CU_ASSERT_PTR_NOT_NULL_FATAL(loop);
}

static void end(void)
{
	auth_in_free(auth);
	loop_free(loop);
	auth = NULL;
}

/* Adds to a list that is made at its first time. */
static void add(struct config_list *list, const char *name, const char *value)
{
	if (!list->items)
		list->items = items[n_lists++];
	list->items[list->n++] =
		(struct config_text){.name = (char *)(uintptr_t)name, .value = (char *)(uintptr_t)value};
}

static struct slice find_header(void *arg, const char *name)
{
	(void)arg;
	for (size_t i = 0; i < 3; i++)
		if (request.name[i] && strcasecmp(request.name[i], name) == 0)
			return slice_str(request.value[i]);
	return (struct slice){NULL, 0};
}

static bool is_done;
static unsigned n_done;
static struct auth_in_result later;

static void on_done(void *arg, const struct auth_in_result *result)
{
	CU_ASSERT_PTR_EQUAL(arg, &later);
	later = *result;
	is_done = true;
	n_done++;
	loop_stop(loop);
}

static struct auth_in_result begin_check(struct auth_in_check **ret_check)
{
	if (!auth)
		CU_ASSERT_EQUAL_FATAL(auth_in_new(&settings, loop, &auth), 0);
	const struct auth_in_request about = {.path = slice_str(request.path),
		.reads = request.reads,
		.header = find_header,
		.certificate_names = request.certificates,
		.n_certificate_names = request.n_certificates,
		.now_ms = 1614265330000u};
	is_done = false;
	return auth_in_begin(auth, &about, on_done, &later, ret_check);
}

static bool was_slow;

/* "ok NAME", "401", "403 NAME", "busy". */
static const char *ask(const char *body)
{
	static char text[100];
	struct auth_in_check *check = NULL;
	struct auth_in_result result = begin_check(&check);
	was_slow = result.verdict == AUTH_IN_LATER;
	if (was_slow) {
		CU_ASSERT_FALSE(is_done);
		loop_run(loop);
		CU_ASSERT_TRUE(is_done);
		result = later;
	} else if (result.verdict == AUTH_IN_BODY) {
		for (const char *at = body; *at; at++)
			auth_in_add(check, slice_of(at, 1));
		result = auth_in_end(check);
	}
	switch (result.verdict) {
	case AUTH_IN_ALLOWED:
		snprintf(text, sizeof text, "ok %s", result.identity);
		return text;
	case AUTH_IN_FORBIDDEN:
		CU_ASSERT_PTR_NOT_NULL(result.reason);
		snprintf(text, sizeof text, "403 %s", result.identity);
		return text;
	case AUTH_IN_UNAUTHORIZED:
		CU_ASSERT_PTR_NOT_NULL(result.reason);
		CU_ASSERT_PTR_NOT_NULL(result.challenge);
		return "401";
	case AUTH_IN_BUSY:
	case AUTH_IN_BODY:
	case AUTH_IN_LATER:
		break;
	}
	return "busy";
}

static const char *ask_with(const char *authorization)
{
	request.name[0] = authorization ? "authorization" : NULL;
	request.value[0] = authorization;
	return ask("");
}

/* --- tests -------------------------------------------------------------------------------------------------------- */

static void test_nothing(void)
{
	begin();
	CU_ASSERT_FALSE(auth_in_used(&settings));
	CU_ASSERT_STRING_EQUAL(ask(""), "ok ");
	end();
}

static void test_tokens(void)
{
	begin();
	add(&settings.tokens, "one", TOKEN_ONE);
	add(&settings.tokens, "two", TOKEN_ONE " " TOKEN_TWO);
	CU_ASSERT_TRUE(auth_in_used(&settings));
	CU_ASSERT_STRING_EQUAL(ask_with("Bearer token-one"), "ok one");
	CU_ASSERT_STRING_EQUAL(ask_with("bearer  token-two"), "ok two");
	static const char *const wrong[] = {"Bearer token-three", "Bearer token-on", "Bearer ", "Bearer", "token-one",
		"Basic token-one", "Bearertoken-one", "Bearer token-one ", ""};
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		CU_ASSERT_STRING_EQUAL(ask_with(wrong[i]), "401");
	CU_ASSERT_STRING_EQUAL(ask_with(NULL), "401");
	/* Only where it is configured. */
	request.name[1] = "X-Gitlab-Token";
	request.value[1] = "token-two";
	CU_ASSERT_STRING_EQUAL(ask_with(NULL), "401");
	settings.token_header = (char *)(uintptr_t) "X-Gitlab-Token";
	CU_ASSERT_STRING_EQUAL(ask_with(NULL), "ok two");
	request.value[1] = "token-thre";
	CU_ASSERT_STRING_EQUAL(ask_with(NULL), "401");
	/* A wrong one is not made good by another. */
	request.value[1] = "token-two";
	CU_ASSERT_STRING_EQUAL(ask_with("Bearer x"), "401");
	end();
}

static void test_passwords(void)
{
	begin();
	add(&settings.passwords, "anna", SHA512_CRYPT);
	add(&settings.passwords, "ben", YESCRYPT);
	add(&settings.passwords, "robot", TOKEN_ONE);
	CU_ASSERT_STRING_EQUAL(ask_with("Basic YW5uYTpnZWhlaW0="), "ok anna"); /* anna:geheim */
	CU_ASSERT_TRUE(was_slow);
	CU_ASSERT_STRING_EQUAL(ask_with("basic YW5uYTpnZWhlaW0"), "ok anna");
	CU_ASSERT_FALSE(was_slow);
	CU_ASSERT_STRING_EQUAL(ask_with("Basic YW5uYTpnZWhlaW0y"), "401"); /* anna:geheim2 */
	CU_ASSERT_TRUE(was_slow);
	CU_ASSERT_STRING_EQUAL(ask_with("Basic YW5uYTpnZWhlaW0="), "ok anna");
	CU_ASSERT_FALSE(was_slow);
	CU_ASSERT_STRING_EQUAL(ask_with("Basic YmVuOmdlaGVpbTI="), "ok ben"); /* ben:geheim2 */
	CU_ASSERT_STRING_EQUAL(ask_with("Basic YmVuOmdlaGVpbQ=="), "401"); /* ben:geheim */
	CU_ASSERT_STRING_EQUAL(ask_with("Basic cm9ib3Q6dG9rZW4tb25l"), "ok robot"); /* robot:token-one */
	CU_ASSERT_FALSE(was_slow);
	CU_ASSERT_STRING_EQUAL(ask_with("Basic cm9ib3Q6dG9rZW4tdHdv"), "401"); /* robot:token-two */
	CU_ASSERT_STRING_EQUAL(ask_with("Basic bm9ib2R5OmdlaGVpbQ=="), "401"); /* nobody:geheim */
	CU_ASSERT_TRUE(was_slow); /* as long as for somebody */
	static const char *const wrong[] = {"Basic ", "Basic !",
		"Basic YW5uYQ==", "Basic Og==", "Basic YW5uYTo=", "Bearer token-one", "Basic YW5uYTpnZWgAZWlt"};
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		CU_ASSERT_STRING_EQUAL(ask_with(wrong[i]), "401");
	end();
}

static void test_many_guesses(void)
{
	begin();
	add(&settings.passwords, "ben", YESCRYPT);
	request.name[0] = "Authorization";
	request.value[0] = "Basic YmVuOmdlaGVpbQ==";
	struct auth_in_check *checks[PASSWORD_WORKER_MOST], *none = NULL;
	for (size_t i = 0; i < PASSWORD_WORKER_MOST; i++)
		CU_ASSERT_EQUAL_FATAL(begin_check(&checks[i]).verdict, AUTH_IN_LATER);
	CU_ASSERT_EQUAL(begin_check(&none).verdict, AUTH_IN_BUSY);
	for (size_t i = 0; i < PASSWORD_WORKER_MOST; i++)
		auth_in_cancel(checks[i]);
	/* Cancelled ones are still being worked at; free ends that. */
	CU_ASSERT_EQUAL(begin_check(&none).verdict, AUTH_IN_BUSY);
	auth_in_free(auth);
	auth = NULL;
	CU_ASSERT_STRING_EQUAL(ask(""), "401");
	CU_ASSERT_TRUE(was_slow);
	end();
}

static void test_cancelled(void)
{
	begin();
	add(&settings.passwords, "anna", SHA512_CRYPT);
	request.name[0] = "Authorization";
	request.value[0] = "Basic YW5uYTpnZWhlaW0="; /* anna:geheim */
	struct auth_in_check *check = NULL;
	CU_ASSERT_EQUAL_FATAL(begin_check(&check).verdict, AUTH_IN_LATER);
	auth_in_cancel(check);
	n_done = 0;
	request.value[0] = "Basic YW5uYTpnZWhlaW0y"; /* anna:geheim2; the right one comes back before it */
	CU_ASSERT_STRING_EQUAL(ask(""), "401");
	CU_ASSERT_EQUAL(n_done, 1);
	end();
}

static void test_signatures(void)
{
	begin();
	add(&settings.github_secrets, "other", "other");
	add(&settings.github_secrets, "github", GITHUB_SECRET);
	add(&settings.stripe_secrets, "stripe", "whsec_x");
	CU_ASSERT_STRING_EQUAL(ask(GITHUB_BODY), "401");
	request.name[1] = "X-Hub-Signature-256";
	request.value[1] = GITHUB_MAC;
	CU_ASSERT_STRING_EQUAL(ask(GITHUB_BODY), "ok github");
	CU_ASSERT_STRING_EQUAL(ask(GITHUB_BODY "!"), "401");
	CU_ASSERT_STRING_EQUAL(ask(""), "401");
	request.value[1] = "sha256=zz";
	CU_ASSERT_STRING_EQUAL(ask(GITHUB_BODY), "401");
	request.name[2] = "Stripe-Signature";
	request.value[2] = "t=1,v1=00";
	request.value[1] = GITHUB_MAC;
	CU_ASSERT_STRING_EQUAL(ask(GITHUB_BODY), "ok github");
	request.name[1] = NULL;
	CU_ASSERT_STRING_EQUAL(ask(GITHUB_BODY), "401");
	/* An Authorization that this listener does not know says nothing. */
	request.name[1] = "X-Hub-Signature-256";
	request.name[0] = "Authorization";
	request.value[0] = "Basic eDp5";
	CU_ASSERT_STRING_EQUAL(ask(GITHUB_BODY), "ok github");
	struct auth_in_check *check = NULL;
	CU_ASSERT_EQUAL(begin_check(&check).verdict, AUTH_IN_BODY);
	auth_in_add(check, slice_str("x"));
	auth_in_cancel(check);
	end();
}

static void test_hmac(void)
{
	begin();
	add(&settings.hmac_secrets, "grafana", "key");
	settings.hmac.header = (char *)(uintptr_t) "X-Grafana-Alerting-Signature";
	settings.hmac.timestamp_header = (char *)(uintptr_t) "X-Grafana-Alerting-Signature-Timestamp";
	settings.hmac.signed_text = (char *)(uintptr_t) "{timestamp}:{body}";
	request.name[0] = settings.hmac.header;
	request.value[0] = "77e5581a5faa9d3ae74ee27ecc8a3a9e23fe54b378de2c48c34e3ed38d874ba7";
	request.name[1] = settings.hmac.timestamp_header;
	request.value[1] = "1614265330";
	CU_ASSERT_STRING_EQUAL(ask("body"), "ok grafana");
	CU_ASSERT_STRING_EQUAL(ask("bodz"), "401");
	request.value[1] = "1614265029";
	CU_ASSERT_STRING_EQUAL(ask("body"), "401");
	end();
}

static void test_certificates(void)
{
	begin();
	settings.client_certificates = true;
	CU_ASSERT_STRING_EQUAL(ask(""), "401");
	request.certificates[0] = "plc-7";
	request.certificates[1] = "plc-7.example.org";
	request.n_certificates = 2;
	CU_ASSERT_STRING_EQUAL(ask(""), "ok plc-7");
	auth_in_free(auth);
	auth = NULL;
	add(&settings.allow, "plc-7.example.org", "/p");
	CU_ASSERT_STRING_EQUAL(ask(""), "ok plc-7.example.org");
	request.path = "/q";
	CU_ASSERT_STRING_EQUAL(ask(""), "403 plc-7.example.org");
	request.n_certificates = 1;
	CU_ASSERT_STRING_EQUAL(ask(""), "403 plc-7");
	end();
}

static void test_paths(void)
{
	begin();
	add(&settings.tokens, "one", TOKEN_ONE);
	add(&settings.tokens, "two", TOKEN_TWO);
	add(&settings.github_secrets, "github", GITHUB_SECRET);
	add(&settings.allow, "one", "/line/{line}/# read:/state/#");
	add(&settings.allow, "github", "write:/hooks/github");
	static const struct {
		const char *path;
		bool reads;
		const char *answer;
	} cases[] = {
		{"/line/7", false, "ok one"},
		{"/line/7/cell", true, "ok one"},
		{"/lines/7", false, "403 one"},
		{"/line", false, "403 one"},
		{"/state/x", true, "ok one"},
		{"/state/x", false, "403 one"},
		{"/hooks/github", false, "403 one"},
		{"/", false, "403 one"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		request.path = cases[i].path;
		request.reads = cases[i].reads;
		CU_ASSERT_STRING_EQUAL(ask_with("Bearer token-one"), cases[i].answer);
	}
	request.reads = false;
	request.path = "/line/7";
	CU_ASSERT_STRING_EQUAL(ask_with("Bearer token-two"), "403 two");
	CU_ASSERT_STRING_EQUAL(ask_with("Bearer token"), "401");
	request.name[0] = "X-Hub-Signature-256";
	request.value[0] = GITHUB_MAC;
	CU_ASSERT_STRING_EQUAL(ask(GITHUB_BODY), "401"); /* its secret is not tried there */
	request.path = "/hooks/github";
	CU_ASSERT_STRING_EQUAL(ask(GITHUB_BODY), "ok github");
	request.reads = true;
	CU_ASSERT_STRING_EQUAL(ask(GITHUB_BODY), "401");
	auth_in_free(auth);
	auth = NULL;
	add(&settings.allow, "*", "/everybody/+");
	request.path = "/everybody/x";
	CU_ASSERT_STRING_EQUAL(ask_with("Bearer token-two"), "ok two");
	CU_ASSERT_STRING_EQUAL(ask_with("Bearer token"), "401");
	end();
}

/* --- settings ----------------------------------------------------------------------------------------------------- */

static struct config_scope check(bool has_client_ca)
{
	struct config_scope scope = {.n = 0};
	auth_in_check(&settings, has_client_ca, &scope, "access");
	for (unsigned i = 0; i < scope.n; i++)
		CU_ASSERT_STRING_EQUAL(scope.complaints[i].key, "access");
	return scope;
}

static void assert_complaint(const char *item)
{
	struct config_scope scope = check(false);
	CU_ASSERT_EQUAL_FATAL(scope.n, 1);
	CU_ASSERT_STRING_EQUAL(scope.complaints[0].item, item);
	end();
}

static void test_settings(void)
{
	begin();
	add(&settings.tokens, "one", TOKEN_ONE);
	add(&settings.passwords, "anna", SHA512_CRYPT);
	add(&settings.passwords, "ben", YESCRYPT);
	add(&settings.passwords, "robot", TOKEN_ONE);
	add(&settings.standard_secrets, "shop", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
	settings.client_certificates = true;
	add(&settings.allow, "one", "/a read:/b write:/c/#");
	add(&settings.allow, "some.certificate", "/a");
	CU_ASSERT_EQUAL(check(true).n, 0);
	end();

	static const char *const bad_hashes[] = {"token", "sha256:00", "", "sha256:", TOKEN_ONE "x"};
	for (size_t i = 0; i < sizeof bad_hashes / sizeof bad_hashes[0]; i++) {
		begin();
		add(&settings.tokens, "one", bad_hashes[i]);
		assert_complaint("tokens");
	}
	begin();
	add(&settings.tokens, "one", TOKEN_ONE " " OF_NOTHING);
	assert_complaint("tokens");
	begin();
	add(&settings.passwords, "anna", OF_NOTHING);
	assert_complaint("passwords");
	static const char *const bad_passwords[] = {
		"geheim", "abJnggxhB/yWI", "$6$", "$6$abcdefgh", "$9$x$y", "sha256:00", ""};
	for (size_t i = 0; i < sizeof bad_passwords / sizeof bad_passwords[0]; i++) {
		begin();
		add(&settings.passwords, "anna", bad_passwords[i]);
		assert_complaint("passwords");
	}
	begin();
	add(&settings.standard_secrets, "shop", "geheim");
	assert_complaint("standard_secrets");
	begin();
	add(&settings.hmac_secrets, "x", "geheim");
	assert_complaint("hmac.header");
	begin();
	add(&settings.hmac_secrets, "x", "geheim");
	settings.hmac.header = (char *)(uintptr_t) "X-S";
	settings.hmac.signed_text = (char *)(uintptr_t) "{nothing}";
	assert_complaint("hmac.signed");
	begin();
	settings.hmac.header = (char *)(uintptr_t) "X-S";
	assert_complaint("hmac");
	begin();
	settings.client_certificates = true;
	assert_complaint("client_certificates");
	begin();
	settings.token_header = (char *)(uintptr_t) "X";
	assert_complaint("token_header");
	begin();
	add(&settings.allow, "one", "/#");
	assert_complaint("allow");
	static const char *const bad_filters[] = {"", " ", "a", "/a#", "/{}", "read:a", "read: /a", "/a /b/+c"};
	for (size_t i = 0; i < sizeof bad_filters / sizeof bad_filters[0]; i++) {
		begin();
		add(&settings.tokens, "one", TOKEN_ONE);
		add(&settings.allow, "one", bad_filters[i]);
		assert_complaint("allow");
	}
	begin();
	add(&settings.tokens, "one", TOKEN_ONE);
	add(&settings.allow, "two", "/a");
	assert_complaint("allow");
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"nothing configured", test_nothing},
		{"tokens", test_tokens},
		{"passwords", test_passwords},
		{"many guesses at once", test_many_guesses},
		{"a request that is gone", test_cancelled},
		{"signatures", test_signatures},
		{"signatures of another format", test_hmac},
		{"certificates", test_certificates},
		{"paths", test_paths},
		{"settings", test_settings},
		{NULL, NULL},
	};
	return tap_main("http auth in", tests);
}
