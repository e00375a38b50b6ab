/* SPDX-License-Identifier: Apache-2.0
 *
 * What is complained of in the keys of a client.
 */
#include <string.h>

#include "connectors/coap/client_settings.h"
#include "tests/unit/kafka/complaints.h"
#include "tests/unit/tap.h"

static char *text(const char *literal)
{
	return (char *)(uintptr_t)literal;
}

static bool complains(const struct coap_settings *settings, const char *key, const char *item)
{
	struct config_scope scope = {.n = 0};
	coap_client_check(settings, &scope);
	if (!key)
		return scope.n > 0;
	for (unsigned i = 0; i < scope.n; i++)
		if (strcmp(scope.complaints[i].key, key) == 0 && strcmp(scope.complaints[i].item, item) == 0)
			return true;
	return false;
}

static void test_url(void)
{
	struct coap_settings settings = {.url = text("coap://device/base?x=1")};
	CU_ASSERT_FALSE(complains(&settings, "url", ""));
	settings.url = text("coap://device/a/../b");
	CU_ASSERT_TRUE(complains(&settings, "url", ""));
	settings.url = text("http://device");
	CU_ASSERT_TRUE(complains(&settings, "url", ""));
}

static void test_psk(void)
{
	struct coap_settings settings = {.url = text("coaps://device")};
	settings.psk.identity = text("me");
	CU_ASSERT_TRUE(complains(&settings, "psk", "identity"));
	settings.psk.key = text("secret");
	CU_ASSERT_FALSE(complains(&settings, "psk", "identity"));
	CU_ASSERT_FALSE(complains(&settings, "psk", "key"));
	static const char *const good[] = {"hex:00", "hex:00ffAA", "x"};
	static const char *const bad[] = {"", "hex:", "hex:0", "hex:0g",
		"0123456789012345678901234567890123456789012345678901234567890123456789"};
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		settings.psk.key = text(good[i]);
		CU_ASSERT_FALSE(complains(&settings, "psk", "key"));
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		settings.psk.key = text(bad[i]);
		CU_ASSERT_TRUE(complains(&settings, "psk", "key"));
	}
	settings.psk.file = text("/some/file");
	CU_ASSERT_TRUE(complains(&settings, "psk", "file"));
	settings.psk.identity = text("");
	CU_ASSERT_TRUE(complains(&settings, "psk", "identity"));
}

static void test_tls(void)
{
	struct coap_settings settings = {.url = text("coaps://device")};
	settings.tls.client_ca = text("/some/file");
	CU_ASSERT_TRUE(complains(&settings, "tls", "client_ca"));
	settings.tls.cert = text("/no/such/file");
	CU_ASSERT_TRUE(complains(&settings, "tls", "cert"));
}

static void test_params(void)
{
	CU_ASSERT_PTR_NULL(coap_client_check_param("method", slice_str("ipatch")));
	CU_ASSERT_PTR_NOT_NULL(coap_client_check_param("method", slice_str("BREW")));
	CU_ASSERT_PTR_NULL(coap_client_check_param("accept", slice_str("application/cbor")));
	CU_ASSERT_PTR_NULL(coap_client_check_param("accept", slice_str("coap/65000")));
	CU_ASSERT_PTR_NOT_NULL(coap_client_check_param("accept", slice_str("image/x-unheard-of")));
	CU_ASSERT_PTR_NULL(coap_client_check_param("url", slice_str("coap://h/a")));
	CU_ASSERT_PTR_NOT_NULL(coap_client_check_param("url", slice_str("coap://h/a/..")));
	CU_ASSERT_PTR_NULL(coap_client_check_param("url", (struct slice){NULL, 0}));
	CU_ASSERT_PTR_NOT_NULL(coap_client_check_param("rt", slice_str("anything")));
	CU_ASSERT_PTR_NOT_NULL(coap_client_check_param("title", (struct slice){NULL, 0}));
	CU_ASSERT_PTR_NULL(coap_client_check_target(NULL, slice_str("/a?x")));
	CU_ASSERT_PTR_NOT_NULL(coap_client_check_target(NULL, slice_str("a")));
}

static const struct tap_test tests[] = {
	{"url", test_url},
	{"psk", test_psk},
	{"tls", test_tls},
	{"keys of to", test_params},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("coap client settings", tests);
}
