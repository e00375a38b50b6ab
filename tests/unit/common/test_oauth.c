/* SPDX-License-Identifier: Apache-2.0
 *
 * What is believed of a token endpoint's answer, which settings are complained about, and which authorities are trusted. Against a real endpoint:
 * tests/integration/kafka_security.py.
 */
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "connectors/common/oauth_fetch.h"
#include "tests/unit/kafka/complaints.h"
#include "tests/unit/common/authorities.h"
#include "tests/unit/mqtt/certificates.h"
#include "tests/unit/tap.h"

#define NOW_S 1800000000u
/* {"alg":"none"} . {"sub":"edge-7","exp":1800000090} . x */
#define JWT "eyJhbGciOiJub25lIn0.eyJzdWIiOiJlZGdlLTciLCJleHAiOjE4MDAwMDAwOTB9.eA"

static int answer_to(unsigned status, const char *body, struct oauth_answer *ret_answer)
{
	return oauth_read_answer(status, slice_str(body), NOW_S, ret_answer);
}

static void check_token(const char *body, const char *token, const char *subject, uint64_t lifetime_s)
{
	struct oauth_answer answer;
	CU_ASSERT_EQUAL_FATAL(answer_to(200, body, &answer), 0);
	CU_ASSERT_STRING_EQUAL(answer.token, token);
	CU_ASSERT_EQUAL(answer.lifetime_ms, lifetime_s * 1000);
	CU_ASSERT_TRUE(subject ? answer.subject && strcmp(answer.subject, subject) == 0 : !answer.subject);
	oauth_answer_clear(&answer);
}

static void test_tokens(void)
{
	check_token("{\"access_token\":\"abc\",\"token_type\":\"bearer\",\"expires_in\":60}", "abc", NULL, 60);
	check_token("{\"access_token\":\"a.b\",\"expires_in\":\"60\"}", "a.b", NULL, 60);
	check_token("{\"access_token\":\"abc==\"}", "abc==", NULL, 300); /* who says nothing is asked soon */
	check_token("{\"access_token\":\"abc\",\"expires_in\":-1}", "abc", NULL, 300);
	check_token("{\"access_token\":\"abc\",\"expires_in\":1e99}", "abc", NULL, 300);
	check_token("{\"access_token\":\"abc\",\"expires_in\":99999999999999999999}", "abc", NULL, 31536000);
	check_token("{\"access_token\":\"" JWT "\"}", JWT, "edge-7", 90);
	/* exp is by another clock than ours. */
	check_token("{\"access_token\":\"" JWT "\",\"expires_in\":60}", JWT, "edge-7", 60);
	/* What only looks like a JWT is a token all the same. */
	check_token("{\"access_token\":\"a..b\"}", "a..b", NULL, 300);
	check_token("{\"access_token\":\"a.b.c\"}", "a.b.c", NULL, 300);
	check_token("{\"access_token\":\"a.bm8ganNvbg.c\"}", "a.bm8ganNvbg.c", NULL, 300);
}

static void check_refusal(unsigned status, const char *body, const char *words)
{
	struct oauth_answer answer;
	CU_ASSERT_EQUAL(answer_to(status, body, &answer), -EACCES);
	CU_ASSERT_PTR_NULL(answer.token);
	CU_ASSERT_PTR_NOT_NULL(strstr(answer.error, words));
	oauth_answer_clear(&answer);
}

static void test_refusals(void)
{
	check_refusal(401, "{\"error\":\"invalid_client\",\"error_description\":\"who?\"}",
		"invalid_client: who?, HTTP 401; see client_id");
	check_refusal(400, "{\"error\":\"invalid_scope\"}", "invalid_scope, HTTP 400; see scope");
	check_refusal(401, "", "HTTP 401; see client_id");
	check_refusal(404, "<html>", "HTTP 404; is token_url right?");
	check_refusal(503, "{\"error\":7}", "HTTP 503");
	check_refusal(400, "{\"error\":\"a\\nb\"}", "refuses: HTTP 400"); /* nothing unprintable into the log */
	check_refusal(200, "", "not a JSON object");
	check_refusal(200, "[1]", "not a JSON object");
	check_refusal(200, "{\"access_token\":\"abc\"} x", "not a JSON object");
	check_refusal(200, "{\"id_token\":\"abc\"}", "no access_token");
	check_refusal(200, "{\"access_token\":7}", "not a bearer token");
	check_refusal(200, "{\"access_token\":\"\"}", "not a bearer token");
	check_refusal(200, "{\"access_token\":\"a b\"}", "not a bearer token");
	check_refusal(200, "{\"access_token\":\"a\\u0001b\"}", "not a bearer token");
	check_refusal(200, "{\"access_token\":\"abc\",\"token_type\":\"mac\"}", "another type than Bearer");
	char *longest = malloc(40000);
	CU_ASSERT_PTR_NOT_NULL_FATAL(longest);
	memset(longest, 'a', 40000);
	memcpy(longest, "{\"access_token\":\"", 17);
	memcpy(longest + 39997, "\"}", 3);
	check_refusal(200, longest, "not a bearer token");
	free(longest);
}

static unsigned complaints_of_url(const char *url, bool allow_http, const char *words)
{
	struct config_scope scope = {.n = 0};
	struct oauth_settings settings = {.token_url = (char *)(uintptr_t)url, .allow_http = allow_http};
	CU_ASSERT_EQUAL(oauth_check(&settings, &scope, "sasl", "oauth"), scope.n == 0);
	if (scope.n > 0) {
		CU_ASSERT_STRING_EQUAL(scope.complaints[0].item, "oauth.token_url");
		CU_ASSERT_PTR_NOT_NULL(strstr(scope.complaints[0].text, words));
	}
	return scope.n;
}

static void test_urls(void)
{
	CU_ASSERT_EQUAL(complaints_of_url("https://id.example.org/realms/plant/token", false, ""), 0);
	CU_ASSERT_EQUAL(complaints_of_url("http://127.0.0.1:8080/token", false, ""), 0);
	CU_ASSERT_EQUAL(complaints_of_url("http://localhost/token", false, ""), 0);
	CU_ASSERT_EQUAL(complaints_of_url("http://[::1]/token", false, ""), 0);
	CU_ASSERT_EQUAL(complaints_of_url("http://id.example.org/token", true, ""), 0);
	CU_ASSERT_EQUAL(complaints_of_url("http://id.example.org/token", false, "everybody on the way"), 1);
	CU_ASSERT_EQUAL(complaints_of_url("http://127.example.org/token", false, "everybody on the way"), 1);
	CU_ASSERT_EQUAL(complaints_of_url("http://localhost.example.org/token", false, "everybody on the way"), 1);
	CU_ASSERT_EQUAL(complaints_of_url("https://me:secret@id.example.org/token", false, "client_id"), 1);
	CU_ASSERT_EQUAL(complaints_of_url("https://id.example.org/token#x", false, "fragment"), 1);
	CU_ASSERT_EQUAL(complaints_of_url("ftp://id.example.org/token", false, "not the URL"), 1);
	CU_ASSERT_EQUAL(complaints_of_url("id.example.org/token", false, "not the URL"), 1);
	CU_ASSERT_EQUAL(complaints_of_url("", false, "not the URL"), 1);
}

/* --- whom it trusts ------------------------------------------------------------------------------------------------ */

static int listen_at(int port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	CU_ASSERT_EQUAL_FATAL(listen(fd, 1), 0);
	return fd;
}

/* libcurl trusts those of the system's folder beside the file, unless told otherwise. */
static void test_only_its_ca(void)
{
	struct certificate ca;
	pthread_t thread;
	char url[64];
	int port = tap_free_port(), fd = listen_at(port);
	certificate_authority(tap_tempdir(), "ca", &ca);
	snprintf(url, sizeof url, "https://127.0.0.1:%d/token", port);
	const struct oauth_settings settings = {
		.token_url = url, .client_id = url, .client_secret = url, .ca = ca.cert, .timeout_ms = 30000};
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, authorities_answer, &fd), 0);
	struct oauth_fetch *fetch = oauth_fetch_new(&settings);
	struct oauth_answer answer;
	CU_ASSERT_PTR_NOT_NULL_FATAL(fetch);
	CU_ASSERT_EQUAL(oauth_fetch_run(fetch, &answer), -EACCES);
	CU_ASSERT_PTR_NOT_NULL(strstr(answer.error, "no TLS with the token endpoint"));
	CU_ASSERT_EQUAL(authorities_folders(), 0);
	oauth_answer_clear(&answer);
	oauth_fetch_free(fetch);
	pthread_join(thread, NULL);
	close(fd);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"tokens", test_tokens},
		{"refusals", test_refusals},
		{"which URLs", test_urls},
		{"no authorities but its own", test_only_its_ca},
		{NULL, NULL},
	};
	return tap_main("oauth", tests);
}
