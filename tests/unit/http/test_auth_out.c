/* SPDX-License-Identifier: Apache-2.0
 *
 * Authorization of requests: from the configuration, from a file that changes, from a token endpoint that is not there.
 * (With one that is: tests/integration/webhooks_field.py.)
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "connectors/http/auth_out.h"
#include "connectors/http/token_file.h"
#include "message/slice.h"
#include "tests/unit/kafka/complaints.h"
#include "tests/unit/tap.h"

static char *text(const char *literal)
{
	return (char *)(uintptr_t)literal; /* the settings own their strings elsewhere; here nobody frees them */
}

static struct loop *loop;
static struct auth_out *auth;
static unsigned changes;

static void on_change(void *arg)
{
	(void)arg;
	changes++;
	loop_stop(loop);
}

static void begin(struct loop *new_loop, const struct auth_out_settings *settings)
{
	loop = new_loop;
	changes = 0;
	CU_ASSERT_PTR_NOT_NULL_FATAL(loop);
	CU_ASSERT_EQUAL_FATAL(auth_out_new(settings, loop, on_change, NULL, &auth), 0);
	CU_ASSERT_EQUAL_FATAL(auth_out_start(auth), 0);
}

static void end(void)
{
	auth_out_free(auth);
	loop_free(loop);
}

static const char *value(void)
{
	const char *header = NULL;
	return auth_out_header(auth, &header) == AUTH_OUT_READY ? header : NULL;
}

static void test_constant(void)
{
	const char *header = NULL;
	struct auth_out_settings none = {.token = NULL};
	begin(loop_new_simulated(0), &none);
	CU_ASSERT_EQUAL(auth_out_header(auth, &header), AUTH_OUT_NONE);
	CU_ASSERT_FALSE(auth_out_refused(auth));
	CU_ASSERT_PTR_NULL(auth_out_reload(auth));
	end();
	struct auth_out_settings token = {.token = text("abc")};
	begin(loop_new_simulated(0), &token);
	CU_ASSERT_STRING_EQUAL(value(), "Bearer abc");
	CU_ASSERT_FALSE(auth_out_refused(auth));
	CU_ASSERT_STRING_EQUAL(value(), "Bearer abc");
	end();
	/* RFC 7617 §2 */
	struct auth_out_settings basic = {.basic = {text("Aladdin"), text("open sesame")}};
	begin(loop_new_simulated(0), &basic);
	CU_ASSERT_STRING_EQUAL(value(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
	end();
	struct auth_out_settings no_password = {.basic = {text("a"), NULL}};
	begin(loop_new_simulated(0), &no_password);
	CU_ASSERT_STRING_EQUAL(value(), "Basic YTo=");
	end();
}

static void write_file(const char *path, const char *content)
{
	FILE *out = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	fputs(content, out);
	CU_ASSERT_EQUAL(fclose(out), 0);
}

static void test_file(void)
{
	char path[4200];
	const char *header = NULL;
	snprintf(path, sizeof path, "%s/token", tap_tempdir());
	struct auth_out_settings settings = {.token_file = path};
	begin(loop_new_simulated(0), &settings);
	CU_ASSERT_EQUAL(auth_out_header(auth, &header), AUTH_OUT_FAILED);
	CU_ASSERT_PTR_NOT_NULL(strstr(header, path));
	write_file(path, "one\n");
	CU_ASSERT_EQUAL(auth_out_header(auth, &header), AUTH_OUT_FAILED); /* looked at a moment ago */
	loop_sim_advance(loop, TOKEN_FILE_LOOK_MS);
	CU_ASSERT_STRING_EQUAL(value(), "Bearer one");
	write_file(path, "number-two\r\n");
	CU_ASSERT_STRING_EQUAL(value(), "Bearer one");
	loop_sim_advance(loop, TOKEN_FILE_LOOK_MS);
	CU_ASSERT_STRING_EQUAL(value(), "Bearer number-two");
	/* At once when it was refused, and on reload. */
	write_file(path, "three");
	CU_ASSERT_FALSE(auth_out_refused(auth));
	CU_ASSERT_STRING_EQUAL(value(), "Bearer three");
	write_file(path, "four");
	CU_ASSERT_PTR_NULL(auth_out_reload(auth));
	CU_ASSERT_STRING_EQUAL(value(), "Bearer four");
	/* What cannot be used leaves what was there. */
	static const char *const bad[] = {"", "\n", "a b", "a\nb", "\xc3\xa4"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		write_file(path, bad[i]);
		CU_ASSERT_PTR_NOT_NULL(auth_out_reload(auth));
		CU_ASSERT_STRING_EQUAL(value(), "Bearer four");
	}
	CU_ASSERT_EQUAL(unlink(path), 0);
	CU_ASSERT_PTR_NOT_NULL(auth_out_reload(auth));
	CU_ASSERT_STRING_EQUAL(value(), "Bearer four");
	write_file(path, "five");
	loop_sim_advance(loop, TOKEN_FILE_LOOK_MS);
	CU_ASSERT_STRING_EQUAL(value(), "Bearer five");
	CU_ASSERT_PTR_NULL(auth_out_reload(auth));
	end();
	CU_ASSERT_EQUAL(unlink(path), 0);
}

static void test_large_and_odd_files(void)
{
	char path[4200];
	const char *header = NULL;
	snprintf(path, sizeof path, "%s/large", tap_tempdir());
	struct auth_out_settings settings = {.token_file = path};
	FILE *out = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	for (unsigned i = 0; i <= TOKEN_FILE_MAX_BYTES; i++)
		fputc('x', out);
	CU_ASSERT_EQUAL(fclose(out), 0);
	begin(loop_new_simulated(0), &settings);
	CU_ASSERT_EQUAL(auth_out_header(auth, &header), AUTH_OUT_FAILED);
	CU_ASSERT_EQUAL(truncate(path, TOKEN_FILE_MAX_BYTES), 0);
	CU_ASSERT_PTR_NULL(auth_out_reload(auth));
	CU_ASSERT_EQUAL(strlen(value()), TOKEN_FILE_MAX_BYTES + strlen("Bearer "));
	end();
	CU_ASSERT_EQUAL(unlink(path), 0);
	struct auth_out_settings folder = {.token_file = text("/tmp")};
	begin(loop_new_simulated(0), &folder);
	CU_ASSERT_EQUAL(auth_out_header(auth, &header), AUTH_OUT_FAILED);
	CU_ASSERT_PTR_NOT_NULL(strstr(header, "regular"));
	end();
}

static void test_oauth_without_endpoint(void)
{
	const char *header = NULL;
	struct auth_out_settings settings = {.oauth = {.token_url = text("http://127.0.0.1:1/token"),
						     .client_id = text("me"),
						     .client_secret = text("s"),
						     .allow_http = true,
						     .timeout_ms = 5000}};
	begin(loop_new(), &settings);
	CU_ASSERT_NOT_EQUAL(auth_out_header(auth, &header), AUTH_OUT_READY);
	loop_run(loop); /* until on_change */
	CU_ASSERT_EQUAL(changes, 1);
	CU_ASSERT_EQUAL(auth_out_header(auth, &header), AUTH_OUT_FAILED);
	CU_ASSERT_TRUE(strlen(header) > 0);
	CU_ASSERT_TRUE(auth_out_refused(auth));
	end();
}

/* --- settings ----------------------------------------------------------------------------------------------------- */

static struct config_scope check(const struct auth_out_settings *settings, const char *url)
{
	struct config_scope scope = {.n = 0};
	auth_out_check(settings, url, &scope, "auth");
	return scope;
}

static void test_settings(void)
{
	struct auth_out_settings settings = {.token = NULL};
	CU_ASSERT_FALSE(auth_out_used(&settings));
	CU_ASSERT_EQUAL(check(&settings, "http://example.org").n, 0);
	CU_ASSERT_EQUAL(check(&settings, "http://example.org").n_warnings, 0);
	settings.token = text("abc");
	CU_ASSERT_TRUE(auth_out_used(&settings));
	CU_ASSERT_EQUAL(check(&settings, "https://example.org").n, 0);
	CU_ASSERT_EQUAL(check(&settings, "http://127.0.0.1:80").n_warnings, 0);
	CU_ASSERT_EQUAL(check(&settings, "HTTP://example.org").n_warnings, 1);
	settings.basic.username = text("u");
	CU_ASSERT_EQUAL(check(&settings, NULL).n, 1);
	settings.basic.username = NULL;
	static const char *const bad_tokens[] = {"", "a b", "a\n", "\xc3\xa4"};
	for (size_t i = 0; i < sizeof bad_tokens / sizeof bad_tokens[0]; i++) {
		settings.token = text(bad_tokens[i]);
		CU_ASSERT_STRING_EQUAL(check(&settings, NULL).complaints[0].item, "token");
	}
	settings = (struct auth_out_settings){.basic = {NULL, text("p")}};
	CU_ASSERT_EQUAL(check(&settings, NULL).n, 1);
	settings.basic.username = text("a:b");
	CU_ASSERT_EQUAL(check(&settings, NULL).n, 1);
	settings.basic = (struct auth_out_basic){text("a"), text("p\n")};
	CU_ASSERT_EQUAL(check(&settings, NULL).n, 1);
	settings = (struct auth_out_settings){.oauth = {.token_url = text("https://a/"), .client_id = text("x")}};
	CU_ASSERT_EQUAL(check(&settings, NULL).n, 1);
	CU_ASSERT_STRING_EQUAL(check(&settings, NULL).complaints[0].item, "oauth");
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"constant credentials", test_constant},
		{"a token in a file", test_file},
		{"large and odd files", test_large_and_odd_files},
		{"a token endpoint that is not there", test_oauth_without_endpoint},
		{"settings", test_settings},
		{NULL, NULL},
	};
	return tap_main("http auth out", tests);
}
