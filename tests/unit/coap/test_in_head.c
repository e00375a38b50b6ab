/* SPDX-License-Identifier: Apache-2.0
 *
 * What a request's options are read into.
 */
#include <stdlib.h>
#include <string.h>

#include "connectors/coap/content_format.h"
#include "connectors/coap/in_head.h"
#include "tests/unit/tap.h"

#define CODE(class, detail) ((class) << 5 | (detail))

static struct buffer topic;
static struct coap_in_head head;
static const char *wrong;
static coap_pdu_t *pdu;

static void begin(void)
{
	static const uint8_t token[] = {1, 2, 3};
	buffer_free(&topic);
	buffer_init(&topic, 70000);
	pdu = coap_pdu_init(COAP_MESSAGE_CON, COAP_REQUEST_CODE_PUT, 0x1234, 4096);
	CU_ASSERT_PTR_NOT_NULL_FATAL(pdu);
	CU_ASSERT_FATAL(coap_add_token(pdu, sizeof token, token));
}

static void option(coap_option_num_t number, const void *value, size_t len)
{
	CU_ASSERT_FATAL(coap_add_option(pdu, number, len, value) > 0);
}

static void text(coap_option_num_t number, const char *value)
{
	option(number, value, strlen(value));
}

static uint8_t read_as(bool is_stream)
{
	wrong = NULL;
	return coap_in_head_read(pdu, is_stream, &topic, &head, &wrong);
}

static uint8_t read_it(void)
{
	return read_as(false);
}

static void end(void)
{
	coap_delete_pdu(pdu);
	buffer_free(&topic);
}

static bool is(struct slice slice, const char *wanted)
{
	return slice_equal(slice, slice_str(wanted));
}

static void test_nothing(void)
{
	begin();
	CU_ASSERT_EQUAL(read_it(), 0);
	CU_ASSERT_PTR_NULL(wrong);
	CU_ASSERT_EQUAL(head.code, COAP_REQUEST_CODE_PUT);
	CU_ASSERT_EQUAL(head.type, COAP_MESSAGE_CON);
	CU_ASSERT_EQUAL(head.mid, 0x1234);
	CU_ASSERT(is(head.token, "\1\2\3"));
	CU_ASSERT(is(head.topic, "/"));
	CU_ASSERT(head.payload.data && head.payload.len == 0);
	CU_ASSERT(is(head.bytes, "\1\2\3"));
	CU_ASSERT_EQUAL(head.content_format, CONTENT_FORMAT_NONE);
	CU_ASSERT_EQUAL(head.accept, CONTENT_FORMAT_NONE);
	CU_ASSERT_EQUAL(head.observe, COAP_IN_NO_OBSERVE);
	CU_ASSERT(!head.block1.is_set && !head.block2.is_set && !head.request_tag.data && !head.if_none_match);
	end();
}

static void test_all(void)
{
	begin();
	text(COAP_OPTION_IF_MATCH, "");
	text(COAP_OPTION_ETAG, "e1");
	text(COAP_OPTION_ETAG, "e2");
	option(COAP_OPTION_IF_NONE_MATCH, NULL, 0);
	option(COAP_OPTION_OBSERVE, "\1", 1);
	text(COAP_OPTION_URI_PATH, "a");
	text(COAP_OPTION_URI_PATH, "b c");
	option(COAP_OPTION_CONTENT_FORMAT, "\x2d\x16", 2); /* 11542 */
	text(COAP_OPTION_URI_QUERY, "x=1");
	text(COAP_OPTION_URI_QUERY, "y");
	option(COAP_OPTION_ACCEPT, "\x32", 1);
	option(COAP_OPTION_BLOCK2, "\x06", 1);
	option(COAP_OPTION_BLOCK1, "\x01\x2a", 2); /* 18, more, 64 */
	option(COAP_OPTION_SIZE1, "\x01\x00\x00", 3);
	option(COAP_OPTION_NORESPONSE, "\x1a", 1);
	option(COAP_OPTION_RTAG, "tag", 3);
	CU_ASSERT_FATAL(coap_add_data(pdu, 4, (const uint8_t *)"data"));
	CU_ASSERT_EQUAL(read_it(), 0);
	CU_ASSERT(is(head.topic, "/a/b c"));
	CU_ASSERT(head.n_queries == 2 && is(head.queries[0], "x=1") && is(head.queries[1], "y"));
	CU_ASSERT_EQUAL(head.content_format, 11542);
	CU_ASSERT_EQUAL(head.accept, 50);
	CU_ASSERT_EQUAL(head.observe, 1);
	CU_ASSERT(head.n_etags == 2 && is(head.etags[0], "e1") && is(head.etags[1], "e2"));
	CU_ASSERT(head.n_if_match == 1 && head.if_match[0].len == 0 && head.if_none_match);
	CU_ASSERT(head.block2.is_set && head.block2.num == 0 && !head.block2.more && head.block2.szx == 6);
	CU_ASSERT(head.block1.is_set && head.block1.num == 18 && head.block1.more && head.block1.szx == 2);
	CU_ASSERT_EQUAL(head.block1.raw, 0x12a);
	CU_ASSERT_EQUAL(head.size1, 65536);
	CU_ASSERT_EQUAL(head.no_response, 0x1a);
	CU_ASSERT(is(head.request_tag, "tag"));
	CU_ASSERT(is(head.payload, "data"));
	CU_ASSERT(head.bytes.data == head.token.data && head.bytes.data + head.bytes.len == head.payload.data + 4);
	end();
}

/* A request that differs in anything but its id is another one: `bytes` says so, with and without a payload. */
static void test_bytes(void)
{
	begin();
	text(COAP_OPTION_URI_PATH, "a");
	CU_ASSERT_EQUAL(read_it(), 0);
	CU_ASSERT_EQUAL(head.bytes.len, 3 + 2);
	CU_ASSERT_EQUAL(memcmp(head.bytes.data + 3,
				"\xb1"
				"a",
				2),
		0);
	end();
	begin();
	text(COAP_OPTION_URI_PATH, "a");
	CU_ASSERT_FATAL(coap_add_data(pdu, 1, (const uint8_t *)"1"));
	CU_ASSERT_EQUAL(read_it(), 0);
	CU_ASSERT_EQUAL(head.bytes.len, 3 + 2 + 1 + 1);
	end();
}

static void test_paths(void)
{
	static const struct {
		const char *segment;
		uint8_t code;
	} bad[] = {{"+", CODE(4, 0)}, {"#", CODE(4, 0)}, {"a/b", CODE(4, 0)}, {"..", CODE(4, 2)}, {"\xff", CODE(4, 2)}};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		begin();
		text(COAP_OPTION_URI_PATH, bad[i].segment);
		text(COAP_OPTION_URI_PATH, "fine");
		CU_ASSERT_EQUAL(read_it(), bad[i].code);
		CU_ASSERT_PTR_NOT_NULL(wrong);
		CU_ASSERT(is(head.token, "\1\2\3") && head.mid == 0x1234);
		end();
	}
}

static void test_limits(void)
{
	begin();
	for (unsigned i = 0; i < COAP_IN_MAX_QUERIES; i++)
		text(COAP_OPTION_URI_QUERY, "q");
	CU_ASSERT_EQUAL(read_it(), 0);
	CU_ASSERT_EQUAL(head.n_queries, COAP_IN_MAX_QUERIES);
	text(COAP_OPTION_URI_QUERY, "q");
	CU_ASSERT_EQUAL(read_it(), CODE(4, 0));
	end();
	begin();
	for (unsigned i = 0; i < COAP_IN_MAX_ETAGS + 3; i++)
		text(COAP_OPTION_ETAG, "e");
	CU_ASSERT_EQUAL(read_it(), 0); /* elective: more are left out */
	CU_ASSERT_EQUAL(head.n_etags, COAP_IN_MAX_ETAGS);
	end();
}

static void test_reserved_block(void)
{
	begin();
	option(COAP_OPTION_BLOCK1, "\x07", 1);
	CU_ASSERT_EQUAL(read_it(), CODE(4, 0));
	CU_ASSERT_EQUAL(read_as(true), 0); /* BERT */
	end();
	begin();
	option(COAP_OPTION_BLOCK2, "\x17", 1);
	CU_ASSERT_EQUAL(read_it(), CODE(4, 0));
	end();
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"nothing but a header and a token", test_nothing},
		{"every option that means something", test_all},
		{"the bytes that tell a request from another one", test_bytes},
		{"paths that are none", test_paths},
		{"as many options as are taken", test_limits},
		{"the reserved block size", test_reserved_block},
		{NULL, NULL},
	};
	return tap_main("coap heads of requests", tests);
}
