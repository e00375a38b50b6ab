/* SPDX-License-Identifier: Apache-2.0
 *
 * The request that a message becomes, and its options in a message of libcoap.
 */
#include <errno.h>
#include <stdio.h>

#include "connectors/coap/out_message.h"
#include "connectors/coap/out_request.h"
#include "tests/unit/tap.h"

static struct coap_settings settings;
static struct coap_url own;
static struct arena arena;
static struct coap_call call;
static const struct coap_url *place;
static bool elsewhere;
static const char *reason;

static int make(const char *base, const struct message_view *view)
{
	CU_ASSERT_PTR_NULL_FATAL(coap_url_parse(slice_str(base), &own));
	arena_reset(&arena);
	return coap_request_make(&settings, &own, view, &arena, &call, &place, &elsewhere, &reason);
}

/* "11=a 11=b 12=\x32", values as they are. */
static const char *options(void)
{
	static char text[2000];
	size_t len = 0;
	struct slice left = buffer_slice(&call.options), value;
	uint16_t number;
	text[0] = '\0';
	while (coap_message_next(&left, &number, &value))
		len += (size_t)snprintf(text + len, sizeof text - len, "%s%u=%.*s", len ? " " : "", number,
			(int)value.len, (const char *)value.data);
	return text;
}

static struct message_view message(const char *path)
{
	return (struct message_view){.topic = slice_str(path), .payload = slice_str("x"), .qos = 1};
}

static void check(const char *base, const char *path, const char *expected)
{
	struct message_view view = message(path);
	CU_ASSERT_EQUAL(make(base, &view), 0);
	CU_ASSERT_STRING_EQUAL(options(), expected);
	CU_ASSERT_PTR_EQUAL(place, &own);
	CU_ASSERT_FALSE(elsewhere);
	CU_ASSERT_FALSE(call.guarded);
}

static void begin(void)
{
	settings = (struct coap_settings){.out = {.method = 0}};
	coap_call_init(&call);
}

static void end(void)
{
	coap_call_free(&call);
	arena_free(&arena);
}

static void test_paths(void)
{
	begin();
	check("coap://h", "", "");
	check("coap://h", "/", "");
	check("coap://h/", "/a/b", "11=a 11=b");
	check("coap://h/base", "/a%2Fb", "11=base 11=a/b");
	check("coap://h/base/", "/a", "11=base 11=a");
	check("coap://h/base/", "", "11=base 11=");
	check("coap://h/base//", "/a", "11=base 11= 11=a");
	check("coap://h/base/", "?x=1", "11=base 11= 15=x=1");
	check("coap://h/base?all=1", "/a?x=%26&y", "11=base 11=a 15=all=1 15=x=& 15=y");
	check("coap://h", "/a/", "11=a 11=");
	end();
}

static void test_refused(void)
{
	begin();
	struct message_view view = message("/a/../b");
	CU_ASSERT_EQUAL(make("coap://h", &view), -EINVAL);
	char longest[400] = "/";
	memset(longest + 1, 'a', 256);
	view = message(longest);
	CU_ASSERT_EQUAL(make("coap://h", &view), -EINVAL);
	struct message_field params[] = {{slice_str("method"), slice_str("BREW")}};
	view = message("/a");
	view.params = params;
	view.n_params = 1;
	CU_ASSERT_EQUAL(make("coap://h", &view), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(reason);
	params[0] = (struct message_field){slice_str("accept"), slice_str("image/x-unheard-of")};
	CU_ASSERT_EQUAL(make("coap://h", &view), -EINVAL);
	params[0] = (struct message_field){slice_str("url"), slice_str("http://h")};
	CU_ASSERT_EQUAL(make("coap://h", &view), -EINVAL);
	params[0] = (struct message_field){slice_str("url"), slice_of("", 0)};
	CU_ASSERT_EQUAL(make("coap://h", &view), -EINVAL);
	end();
}

static void check_method(const char *name, uint8_t code, bool has_body)
{
	struct message_field param = {slice_str("method"), slice_str(name)};
	struct message_view view = message("/a");
	view.params = &param;
	view.n_params = 1;
	view.content_type = slice_str("application/json");
	CU_ASSERT_EQUAL(make("coap://h", &view), 0);
	CU_ASSERT_EQUAL(call.code, code);
	CU_ASSERT_EQUAL(call.payload.len, has_body);
	CU_ASSERT_STRING_EQUAL(options(), has_body ? "11=a 12=2" : "11=a");
}

static void test_methods(void)
{
	begin();
	check_method("PUT", 3, true);
	check_method("post", 2, true);
	check_method("iPATCH", 7, true);
	check_method("PATCH", 6, true);
	check_method("FETCH", 5, true);
	check_method("DELETE", 4, false);
	check_method("GET", 1, false);
	end();
}

static void test_wishes(void)
{
	begin();
	struct message_view view = message("/a");
	CU_ASSERT_EQUAL(make("coap://h", &view), 0);
	CU_ASSERT_TRUE(call.confirmable);
	CU_ASSERT_FALSE(call.wants_body);
	view.qos = 0;
	CU_ASSERT_EQUAL(make("coap://h", &view), 0);
	CU_ASSERT_FALSE(call.confirmable);
	CU_ASSERT_FALSE(call.wants_answer);
	view.response_topic = slice_str("r");
	CU_ASSERT_EQUAL(make("coap://h", &view), 0);
	CU_ASSERT_TRUE(call.wants_answer);
	CU_ASSERT_TRUE(call.wants_body);
	view.payload = slice_of(NULL, 0);
	view.content_type = slice_str("text/plain");
	CU_ASSERT_EQUAL(make("coap://h", &view), 0);
	CU_ASSERT_EQUAL(call.payload.len, 0);
	CU_ASSERT_STRING_EQUAL(options(), "11=a");
	end();
}

static void test_elsewhere(void)
{
	begin();
	struct message_field param = {slice_str("url"), slice_str("coap+tcp://Other:7/b/?q")};
	struct message_view view = message("/a");
	view.params = &param;
	view.n_params = 1;
	CU_ASSERT_EQUAL(make("coap://h/base", &view), 0);
	CU_ASSERT_TRUE(elsewhere);
	CU_ASSERT_TRUE(call.guarded);
	CU_ASSERT_STRING_EQUAL(place->host, "other");
	CU_ASSERT_STRING_EQUAL(options(), "11=b 11=a 15=q");
	settings.out.allow_private = true;
	param.value = slice_str("coap://H/c"); /* the same place, by the message's word */
	CU_ASSERT_EQUAL(make("coap://h/base", &view), 0);
	CU_ASSERT_FALSE(elsewhere);
	CU_ASSERT_FALSE(call.guarded);
	CU_ASSERT_STRING_EQUAL(options(), "11=c 11=a");
	end();
}

/* --- messages of libcoap ---------------------------------------------------------------------------------------------------- */

static void test_message(void)
{
	begin();
	struct message_view view = message("/abc?q");
	view.content_type = slice_str("application/json");
	CU_ASSERT_EQUAL(make("coap://h", &view), 0);
	struct coap_message_extras extras = {.n = 0};
	uint8_t bytes[300] = {7};
	coap_message_add(&extras, 3, slice_str("host"));
	coap_message_add_uint(&extras, 6, 0);
	coap_message_add_uint(&extras, 23, coap_message_block(1, true, 6));
	coap_message_add_uint(&extras, 60, 300);
	coap_message_add(&extras, 292, slice_str("tag"));
	size_t size = coap_message_size(buffer_slice(&call.options), &extras);
	coap_pdu_t *pdu = coap_message_new(COAP_MESSAGE_CON, 3, 77, slice_str("12345678"), buffer_slice(&call.options),
		&extras, slice_of(bytes, sizeof bytes), 8 + size + 1 + sizeof bytes);
	CU_ASSERT_PTR_NOT_NULL_FATAL(pdu);
	coap_opt_iterator_t iterator;
	static const unsigned numbers[] = {3, 6, 11, 12, 15, 23, 60, 292};
	coap_option_iterator_init(pdu, &iterator, COAP_OPT_ALL);
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		CU_ASSERT_PTR_NOT_NULL_FATAL(coap_option_next(&iterator));
		CU_ASSERT_EQUAL(iterator.number, numbers[i]);
	}
	CU_ASSERT_PTR_NULL(coap_option_next(&iterator));
	coap_delete_pdu(pdu);
	/* One byte too few. */
	CU_ASSERT_PTR_NULL(coap_message_new(COAP_MESSAGE_CON, 3, 77, slice_str("12345678"), buffer_slice(&call.options),
		&extras, slice_of(bytes, sizeof bytes), 8 + size + sizeof bytes));
	end();
}

static void test_read(void)
{
	static const uint8_t bytes[] = {0x68, 0x45, 1, 2, 1, 2, 3, 4, 5, 6, 7, 8, /* ACK 2.05 */
		0x42, 0xaa, 0xbb, /* ETag */
		0x22, 0x01, 0x00, /* Observe 256 */
		0x61, 60, /* Content-Format */
		0x21, 30, /* Max-Age */
		0x91, 0x1e, /* Block2 1, more, 1024 */
		0x41, 0x07, /* Block1 0, 1024 (szx 7) */
		0xd2, 212, 'e', 'c', /* Echo */
		0xff, 'x'};
	coap_pdu_t *pdu = coap_pdu_init(0, 0, 0, 200);
	CU_ASSERT_PTR_NOT_NULL_FATAL(pdu);
	CU_ASSERT_EQUAL_FATAL(coap_pdu_parse(COAP_PROTO_UDP, bytes, sizeof bytes, pdu), 1);
	struct coap_message_view view;
	coap_message_read(pdu, &view);
	CU_ASSERT_EQUAL(view.code, 69);
	CU_ASSERT_TRUE(slice_equal(view.etag, slice_str("\xaa\xbb")));
	CU_ASSERT_TRUE(view.observed);
	CU_ASSERT_EQUAL(view.sequence, 256);
	CU_ASSERT_EQUAL(view.format, 60);
	CU_ASSERT_EQUAL(view.max_age_s, 30);
	CU_ASSERT_TRUE(view.block2.present && view.block2.more);
	CU_ASSERT_EQUAL(view.block2.num, 1);
	CU_ASSERT_EQUAL(view.block2.szx, 6);
	CU_ASSERT_TRUE(view.block1.present && !view.block1.more);
	CU_ASSERT_EQUAL(view.block1.szx, 6);
	CU_ASSERT_TRUE(slice_equal(view.echo, slice_str("ec")));
	CU_ASSERT_TRUE(slice_equal(view.payload, slice_str("x")));
	coap_delete_pdu(pdu);
}

static void test_numbers(void)
{
	uint8_t bytes[4];
	CU_ASSERT_EQUAL(coap_message_uint(0, bytes), 0);
	CU_ASSERT_EQUAL(coap_message_uint(255, bytes), 1);
	CU_ASSERT_EQUAL(coap_message_uint(256, bytes), 2);
	CU_ASSERT_EQUAL(bytes[0], 1);
	CU_ASSERT_EQUAL(coap_message_uint(UINT32_MAX, bytes), 4);
	CU_ASSERT_EQUAL(coap_message_block(3, false, 2), 0x32);
	coap_call_init(&call);
	CU_ASSERT_EQUAL(coap_call_option(&call, 11, slice_str("a")), 0);
	CU_ASSERT_EQUAL(coap_call_option(&call, 10, slice_str("a")), -EINVAL); /* not in order */
	coap_call_free(&call);
}

static const struct tap_test tests[] = {
	{"path and query under the connection's", test_paths},
	{"what cannot be sent", test_refused},
	{"methods", test_methods},
	{"qos and replies", test_wishes},
	{"a URL of the message", test_elsewhere},
	{"options in a message", test_message},
	{"options of a response", test_read},
	{"numbers", test_numbers},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("coap out request", tests);
}
