/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates that are read again while requests are under way, addresses, authorities. What gets an answer is tested with real
 * servers (tests/conformance, tests/integration).
 */
#define _GNU_SOURCE /* accept4 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "connectors/common/pem_files.h"
#include "connectors/common/trust.h"
#include "connectors/http/out_client.h"
#include "tests/unit/common/authorities.h"
#include "tests/unit/mqtt/certificates.h"
#include "tests/unit/tap.h"

static struct loop *loop;
static struct http_client *client;

static void on_done(struct http_call *call, void *arg)
{
	(void)call, (void)arg;
}

static void begin(void)
{
	loop = loop_new_simulated(1000);
	CU_ASSERT_PTR_NOT_NULL_FATAL(loop);
	struct http_client_options options = {.loop = loop,
		.calls = 2,
		.connections = 2,
		.timeout_ms = 1000,
		.connect_timeout_ms = 1000,
		.on_done = on_done};
	client = http_client_new(&options);
	CU_ASSERT_PTR_NOT_NULL_FATAL(client);
}

static void end(void)
{
	http_client_free(client);
	loop_free(loop);
}

static int read_files(const char *text)
{
	struct http_client_tls tls = {.ca = slice_str(text), .cert = slice_str(text), .key = slice_str(text)};
	return http_client_set_tls(client, &tls);
}

static void start(struct http_call *call)
{
	call->method = "GET";
	call->no_body = true;
	buffer_clear(&call->url);
	CU_ASSERT_EQUAL(buffer_append(&call->url, slice_of("https://127.0.0.1:9/", 21)), 0);
	CU_ASSERT_EQUAL(http_client_begin(call), 0);
}

static void on_abort(struct http_call *call, void *arg)
{
	(void)call;
	++*(unsigned *)arg;
}

/* libcurl reads what a handle holds as late as in the handshake. */
static void test_under_way(void)
{
	unsigned aborted = 0;
	begin();
	CU_ASSERT_EQUAL(read_files("one"), 0);
	struct http_call *busy = http_client_take(client), *idle = http_client_take(client);
	CU_ASSERT_FALSE(busy->tls_due);
	start(busy);
	CU_ASSERT_EQUAL(read_files("another one"), 0);
	CU_ASSERT_TRUE(busy->tls_due);
	CU_ASSERT_FALSE(idle->tls_due);
	CU_ASSERT_EQUAL(read_files("the last one"), 0);
	http_client_abort(client, on_abort, &aborted);
	CU_ASSERT_EQUAL(aborted, 1);
	start(busy);
	CU_ASSERT_FALSE(busy->tls_due);
	end();
}

/* Values are looked at eight bytes at a time: wherever it stands, what no header may hold is found. */
static void test_values(void)
{
	begin();
	struct http_call *call = http_client_take(client);
	for (size_t len = 1; len < 27; len++) {
		for (size_t at = 0; at < len; at++) {
			for (unsigned c = 0; c < 256; c++) {
				uint8_t value[27];
				memset(value, 'a' + (int)(c % 2), sizeof value);
				value[at] = (uint8_t)c;
				bool may = (c >= ' ' || c == '\t') && c != 0x7f;
				http_call_clear_headers(call);
				int err = http_call_add_header(call, slice_str("x"), slice_of(value, len));
				if (err != (may ? 0 : -EINVAL))
					CU_FAIL("a value is judged wrongly");
			}
		}
	}
	http_client_give_back(call);
	end();
}

static void begin_at(struct http_call *call, const char *url, int wanted)
{
	unsigned aborted = 0;
	call->method = "GET";
	call->no_body = true;
	buffer_clear(&call->url);
	CU_ASSERT_EQUAL(buffer_append(&call->url, slice_of(url, strlen(url) + 1)), 0);
	CU_ASSERT_EQUAL(http_client_begin(call), wanted);
	http_client_abort(client, on_abort, &aborted);
	CU_ASSERT_EQUAL(aborted, wanted == 0);
	if (wanted == 0) {
		char *path = NULL, *effective = NULL;
		CU_ASSERT_EQUAL(curl_url_get(call->parsed, CURLUPART_URL, &path, 0), CURLUE_OK);
		CU_ASSERT_EQUAL(curl_easy_getinfo(call->easy, CURLINFO_EFFECTIVE_URL, &effective), CURLE_OK);
		CU_ASSERT_STRING_EQUAL(path, url);
		CU_ASSERT_STRING_EQUAL(effective, url);
		curl_free(path);
	} else {
		CU_ASSERT_TRUE(call->error[0]);
	}
}

/* A handle is told a URL when it is another one than before, and what follows one that cannot be used is not taken for it. */
static void test_urls(void)
{
	begin();
	struct http_call *call = http_client_take(client);
	begin_at(call, "http://127.0.0.1:9/a/../b?c=%2e", 0);
	begin_at(call, "http://127.0.0.1:9/a/../b?c=%2e", 0);
	begin_at(call, "http://127.0.0.1:9/", 0);
	begin_at(call, "http://127.0.0.1:99999/", -EINVAL);
	begin_at(call, "http://127.0.0.1:99999/", -EINVAL);
	begin_at(call, "http://127.0.0.1:9/", 0);
	end();
}

/* --- a name with several addresses --------------------------------------------------------------------------------- */

#define OTHER "127.0.0.2" /* is refused */

static struct {
	CURLcode code;
	bool refused;
} told;

static const char *refusal(const struct sockaddr *address, socklen_t len)
{
	struct in_addr other;
	(void)len;
	inet_pton(AF_INET, OTHER, &other);
	bool is_other = ((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr == other.s_addr;
	return is_other ? "refused here" : NULL;
}

static void on_told(struct http_call *call, void *arg)
{
	(void)arg;
	told.code = call->code;
	told.refused = call->refused[0];
	http_client_give_back(call);
	loop_stop(loop);
}

/* A port at which nobody listens: it is bound, and given back at the end. */
static int bind_port(unsigned *ret_port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&address, len), 0);
	CU_ASSERT_EQUAL_FATAL(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	*ret_port = ntohs(address.sin_port);
	return fd;
}

/* tls: NULL: the system's authorities, if it is https. */
static void ask_at(const char *scheme, unsigned port, const char *addresses, const struct http_client_tls *tls)
{
	char known[100], url[64];
	snprintf(known, sizeof known, "mixed.test:%u:%s", port, addresses);
	snprintf(url, sizeof url, "%s://mixed.test:%u/", scheme, port);
	loop = loop_new();
	CU_ASSERT_PTR_NOT_NULL_FATAL(loop);
	struct http_client_options options = {.loop = loop,
		.calls = 1,
		.connections = 1,
		.timeout_ms = 30000,
		.connect_timeout_ms = 30000,
		.refusal = refusal,
		.on_done = on_told};
	client = http_client_new(&options);
	CU_ASSERT_PTR_NOT_NULL_FATAL(client);
	CU_ASSERT(!tls || http_client_set_tls(client, tls) == 0);
	struct http_call *call = http_client_take(client);
	struct curl_slist *resolve = curl_slist_append(NULL, known);
	curl_easy_setopt(call->easy, CURLOPT_RESOLVE, resolve);
	call->method = "GET";
	call->no_body = call->guarded = true;
	CU_ASSERT_EQUAL(buffer_append(&call->url, slice_of(url, strlen(url) + 1)), 0);
	CU_ASSERT_EQUAL(http_client_begin(call), 0);
	http_client_run(client);
	loop_run(loop);
	end();
	curl_slist_free_all(resolve);
}

static void ask(const char *addresses)
{
	unsigned port;
	int fd = bind_port(&port);
	ask_at("http", port, addresses, NULL);
	close(fd);
}

/* Somebody who must not be reached listens at the other one, at that port; asked for a name that has both addresses in
 * this order. Returns whether he was reached. */
static bool reaches_other(const char *addresses)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	unsigned port;
	int nobody = bind_port(&port), other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	inet_pton(AF_INET, OTHER, &address.sin_addr);
	address.sin_port = htons((uint16_t)port);
	CU_ASSERT_EQUAL_FATAL(bind(other, (struct sockaddr *)&address, sizeof address), 0);
	CU_ASSERT_EQUAL_FATAL(listen(other, 8), 0);
	ask_at("http", port, addresses, NULL);
	int reached = accept4(other, NULL, NULL, SOCK_CLOEXEC);
	if (reached >= 0)
		close(reached);
	close(other);
	close(nobody);
	return reached >= 0;
}

/* Each address is asked about, not only the one that is tried first. */
static void test_other_address(void)
{
	CU_ASSERT_FALSE(reaches_other("127.0.0.1," OTHER));
	CU_ASSERT_EQUAL(told.code, CURLE_COULDNT_CONNECT);
	CU_ASSERT_FALSE(reaches_other(OTHER ",127.0.0.1"));
	CU_ASSERT_EQUAL(told.code, CURLE_COULDNT_CONNECT);
	CU_ASSERT_FALSE(reaches_other(OTHER));
	CU_ASSERT_TRUE(told.refused);
}

/* One address that is refused says nothing of the others. */
static void test_addresses(void)
{
	ask(OTHER);
	CU_ASSERT_NOT_EQUAL(told.code, CURLE_OK);
	CU_ASSERT_TRUE(told.refused);
	ask(OTHER ",127.0.0.1");
	CU_ASSERT_EQUAL(told.code, CURLE_COULDNT_CONNECT);
	CU_ASSERT_FALSE(told.refused);
	ask("127.0.0.1," OTHER);
	CU_ASSERT_EQUAL(told.code, CURLE_COULDNT_CONNECT);
	CU_ASSERT_FALSE(told.refused);
}

static void ask_by_tls(const struct http_client_tls *tls)
{
	unsigned port;
	pthread_t thread;
	int fd = bind_port(&port);
	CU_ASSERT_EQUAL_FATAL(listen(fd, 8), 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, authorities_answer, &fd), 0);
	ask_at("https", port, "127.0.0.1", tls);
	pthread_join(thread, NULL);
	close(fd);
	CU_ASSERT_EQUAL(told.code, CURLE_SSL_CONNECT_ERROR);
}

/* libcurl trusts those of the system's folder beside tls.ca, unless told otherwise. */
static void test_no_other_authorities(void)
{
	struct certificate ca;
	struct buffer pem = {0};
	certificate_authority(tap_tempdir(), "ca", &ca);
	CU_ASSERT_EQUAL_FATAL(pem_file_read(ca.cert, &pem), 0);
	const struct http_client_tls tls = {.ca = buffer_slice(&pem)};
	ask_by_tls(&tls);
	ask_by_tls(NULL);
	CU_ASSERT_EQUAL(authorities_folders(), 0);
	buffer_free(&pem);
}

/* As MQTT's connections do. */
static void test_system_is_parsed_once(void)
{
	struct certificate ca;
	certificate_authority(tap_tempdir(), "system", &ca);
	setenv("SSL_CERT_FILE", ca.cert, 1);
	uint64_t before = trust_parses();
	ask_by_tls(NULL);
	ask_by_tls(NULL);
	CU_ASSERT_EQUAL(trust_parses(), before + 1);
	unsetenv("SSL_CERT_FILE");
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"certificates wait for the next request", test_under_way},
		{"authorities are ours alone", test_no_other_authorities},
		{"the system's authorities are parsed once", test_system_is_parsed_once},
		{"what values may hold", test_values},
		{"a URL is told when it changes", test_urls},
		{"a name with several addresses, of which one is refused", test_addresses},
		{"of several addresses the one that is refused is not reached", test_other_address},
		{NULL, NULL},
	};
	return tap_main("http out client", tests);
}
